/* classes.h - the names of classes, for captions. */
#ifndef CLI_CLASSES_H
#define CLI_CLASSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cli_classes {
    char **names;
    size_t count;
} cli_classes;

/* Reads a list of names, one a line, line n for class n. False if the file can't be read (errno) or memory is short. */
bool cli_classes_read(cli_classes *classes, const char *path);

/* Finds the names for a source without being told: its class folders, else classes.txt beside `shard`, as leat pack
 * writes it. None found: count is 0, which is no failure. */
void cli_classes_find(cli_classes *classes, const char *source, const char *shard);

/* The name of a class, NULL if it has none. */
const char *cli_classes_name(const cli_classes *classes, int64_t label);

void cli_classes_free(cli_classes *classes);

#endif
