/* classes.c - the names of classes, for captions.
 *
 * What:    names out of a file, out of the source's folders, or out of the list that leat pack leaves beside its
 *          shards.
 * Why so:  a label is a number; a person who checks a sheet by eye wants the name.
 * Threads: the main thread. */
#include "cli/classes.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <leat/reader.h>

enum { MOST_CLASSES = 1000000 };

static bool add(cli_classes *classes, const char *name)
{
    if ((classes->count & (classes->count - 1)) == 0) { /* full at each power of two */
        size_t capacity = classes->count ? classes->count * 2 : 1;
        char **names = capacity <= MOST_CLASSES * 2 ? realloc(classes->names, capacity * sizeof *names) : NULL;
        if (!names) return false;
        classes->names = names;
    }
    char *copy = strdup(name);
    if (!copy) return false;
    classes->names[classes->count++] = copy;
    return true;
}

bool cli_classes_read(cli_classes *classes, const char *path)
{
    char *line = NULL;
    size_t capacity = 0;
    bool fine = true;
    *classes = (cli_classes){0};
    FILE *file = fopen(path, "re");
    if (!file) return false;
    while (fine && getline(&line, &capacity, file) >= 0) {
        line[strcspn(line, "\r\n")] = '\0';
        fine = add(classes, line);
    }
    fine = fine && !ferror(file);
    free(line);
    fclose(file);
    if (!fine) cli_classes_free(classes);
    return fine;
}

static void read_from_source(cli_classes *classes, const char *source)
{
    leat_config config = LEAT_CONFIG_INIT;
    leat_reader *reader;
    config.source = source;
    config.epochs = 1;
    if (leat_reader_open(&config, &reader, NULL)) return;
    bool fine = true;
    for (size_t i = 0; fine && i < leat_reader_classes(reader); i++) fine = add(classes, leat_reader_class(reader, i));
    leat_reader_close(reader);
    if (!fine) cli_classes_free(classes);
}

void cli_classes_find(cli_classes *classes, const char *source, const char *shard)
{
    *classes = (cli_classes){0};
    assert(source && shard);
    if (strcmp(source, "@-") != 0) read_from_source(classes, source); /* stdin can't be read again */
    if (classes->count > 0 || strstr(shard, "://")) return;
    const char *slash = strrchr(shard, '/');
    char *path;
    if (asprintf(&path, "%.*sclasses.txt", slash ? (int)(slash - shard + 1) : 0, shard) < 0) return;
    cli_classes_read(classes, path);
    free(path);
}

const char *cli_classes_name(const cli_classes *classes, int64_t label)
{
    return label >= 0 && (uint64_t)label < classes->count ? classes->names[label] : NULL;
}

void cli_classes_free(cli_classes *classes)
{
    for (size_t i = 0; i < classes->count; i++) free(classes->names[i]);
    free(classes->names);
    *classes = (cli_classes){0};
}
