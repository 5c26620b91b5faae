/* indexpart.c - one index out of those that a listing needs: found, told by its first bytes, loaded.
 *
 * What:    beside the shards only leat.index is looked for; what the user names may be any kind, or a folder with one.
 * Why so:  files of other programs lie beside shards for many reasons, so nobody's run depends on one that was not asked for. A
 *          server that answers with a page of its own where there is no file (they exist) has none.
 * Threads: any; nothing is shared.
 * Not here: whose shards are in it (index.c), formats (indexfile.c, indexforeign.c). */
#include "stages/indexpart.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipeline/failure.h"
#include "stages/filename.h"
#include "stages/indexforeign.h"

static leat_code no_memory(leat_error *error)
{
    return leat__fail(error, LEAT_ENOMEM, 0, "no memory for an index");
}

static leat_code set_shown(leat__index_part *part, const char *name, leat_error *error)
{
    char shown[512];
    free(part->shown);
    part->shown = strdup(leat__redact(shown, sizeof shown, name));
    return part->shown ? LEAT_OK : no_memory(error);
}

void leat__index_part_end(leat__index_part *part)
{
    leat__index_file_free(part->file);
    leat__index_list_end(&part->list);
    free(part->shown);
    *part = (leat__index_part){0};
}

bool leat__index_part_find(const leat__index_part *part, const char *name, size_t *shard)
{
    if (part->file) return leat__index_file_find(part->file, name, shard);
    const leat__index_row *row = leat__index_list_find(&part->list, name);
    if (row) *shard = (size_t)(row - part->list.rows);
    return row != NULL;
}

void leat__index_part_row(const leat__index_part *part, size_t shard, leat__index_row *row)
{
    if (part->file) {
        leat__index_file_row(part->file, shard, row);
        return;
    }
    *row = part->list.rows[shard];
    row->has_places = row->places != NULL;
}

const char *leat__index_part_hint(const leat__index_part *part)
{
    return part->file ? "run leat index again" : "make the index again";
}

/* ---- bytes ---- */

#define MOST_TEXT ((uint64_t)1 << 30) /* bytes of a file of another program's */

/* Reads a whole file. *bytes: gives. LEAT_ENOTFOUND and the like; LEAT_ELIMIT over 1 GiB. */
static leat_code read_file(const char *path, const char *shown, uint8_t **bytes, size_t *size, leat_error *error)
{
    struct stat status;
    *bytes = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), number;
    if (fd < 0 || fstat(fd, &status) < 0) goto fail;
    if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size > MOST_TEXT) {
        close(fd);
        return leat__fail(error, LEAT_ELIMIT, 0, "index %s: not a regular file of at most 1 GiB", shown);
    }
    *size = 0;
    *bytes = malloc((size_t)status.st_size + 1);
    for (ssize_t got = 1; *bytes && got != 0 && *size < (size_t)status.st_size; *size += (size_t)got) {
        do got = read(fd, *bytes + *size, (size_t)status.st_size - *size);
        while (got < 0 && errno == EINTR);
        if (got < 0) goto fail;
    }
    close(fd);
    return *bytes ? LEAT_OK : no_memory(error);
fail:
    number = errno;
    free(*bytes);
    *bytes = NULL;
    if (fd >= 0) close(fd);
    return leat__fail_errno(error, leat__code_of_errno(number), number, "reading index %s", shown);
}

/* Tells by its first bytes what an index is, and loads it (bytes: takes). */
static leat_code load_bytes(leat__index_part *part, uint8_t *bytes, size_t size, const leat__listing *listing, leat_error *error)
{
    leat_code code;
    if (leat__index_file_is(bytes, size)) return leat__index_file_of_bytes(bytes, size, part->shown, &part->file, error);
    if (leat__wids_is(bytes, size)) code = leat__wids_read(bytes, size, part->shown, &part->list, error);
    else if (!leat__dali_is(bytes, size))
        code = leat__fail(error, LEAT_EFORMAT, 0,
                          "index %s: neither a file of leat index, nor WebDataset's index (wids), nor DALI's .idx", part->shown);
    else if (listing->count != 1)
        code = leat__fail(error, LEAT_EINVAL, 0,
                          "index %s: DALI's .idx is of one shard, the source has %zu: name the folder with all of them",
                          part->shown, listing->count);
    else {
        char *name = leat__index_name(listing->objects[0].name);
        code = name ? leat__dali_read(bytes, size, part->shown, name, &part->list, error) : no_memory(error);
        free(name);
    }
    free(bytes);
    return code ? code : leat__index_list_sort(&part->list, part->shown, error);
}

/* Remote indexes are held in memory: together they get what the caller has for them. */
static leat_code fetch_url(leat__index_part *part, const char *url, leat__index_source *source, uint8_t **bytes, size_t *size,
                           leat_error *error)
{
    leat_error cause;
    *bytes = NULL;
    leat_code code = source->fetch(source->user, url, source->max_bytes, bytes, size, &cause);
    if (!code) source->max_bytes -= *size;
    if (code == LEAT_ELIMIT)
        return leat__fail(error, code, 0,
                          "index %s: it has more than the %llu bytes that memory_limit leaves for it: raise memory_limit, or give "
                          "a local copy of the index", part->shown, (unsigned long long)source->max_bytes);
    if (code) leat__fail(error, code, cause.system, "index %s: %.700s", part->shown, cause.message);
    return code;
}

/* ---- beside the shards ---- */

leat_code leat__index_part_beside(const leat__object *object, leat__index_source *source, leat__index_part *part, bool *there,
                                  leat_error *error)
{
    leat__filename filename = leat__filename_parse(object->name);
    uint8_t *bytes;
    size_t size;
    char *path;
    *part = (leat__index_part){0};
    *there = false;
    if (object->is_url && !source->fetch) return LEAT_OK;
    if (asprintf(&path, "%.*s" LEAT__INDEX_NAME "%s", (int)(filename.base - object->name), object->name, filename.end) < 0)
        return no_memory(error);
    leat_code code = set_shown(part, path, error);
    if (!code && object->is_url) {
        code = fetch_url(part, path, source, &bytes, &size, error);
        if (!code && leat__index_file_is(bytes, size))
            code = leat__index_file_of_bytes(bytes, size, part->shown, &part->file, error);
        else free(bytes);
    } else if (!code) {
        code = leat__index_file_open(path, part->shown, &part->file, error);
    }
    free(path);
    *there = part->file != NULL;
    if (code != LEAT_ENOTFOUND) return code;
    leat__error_clear(error);
    return LEAT_OK;
}

/* ---- a folder that was named ---- */

/* The name that wds2idx gives the index of a shard: to the first dot of the base name (which may begin with one), then .idx.
 * Gives. */
static char *dali_name(const char *name)
{
    char *path;
    return asprintf(&path, "%.*s.idx", (int)(1 + strcspn(name + 1, ".")), name) < 0 ? NULL : path;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* One shard's .idx in folder. LEAT_ENOTFOUND. */
static leat_code load_dali(leat__index_part *part, const char *folder, const char *name, leat_error *error)
{
    char *file = dali_name(name), *path = NULL, shown[512];
    uint8_t *bytes = NULL;
    size_t size;
    leat_code code = file && asprintf(&path, "%s/%s", folder, file) >= 0 ? LEAT_OK : no_memory(error);
    if (!code) code = read_file(path, leat__redact(shown, sizeof shown, path), &bytes, &size, error);
    if (!code) code = leat__dali_read(bytes, size, shown, name, &part->list, error);
    free(bytes);
    free(path);
    free(file);
    return code;
}

/* The .idx of each shard (names: sorted), if the first has one. *there: it has. */
static leat_code load_dalis(leat__index_part *part, const char *folder, char *const *names, size_t count, bool *there,
                            leat_error *error)
{
    leat_code code = LEAT_OK;
    for (size_t i = 0; !code && i < count; i++) {
        if (i > 0 && strcmp(names[i - 1], names[i]) == 0) continue; /* a list may name a shard twice */
        code = load_dali(part, folder, names[i], error);
        if (i == 0 && code == LEAT_ENOTFOUND) {
            leat__error_clear(error);
            return LEAT_OK;
        }
        *there = true;
    }
    return code ? code : leat__index_list_sort(&part->list, part->shown, error);
}

static leat_code find_dalis(leat__index_part *part, const char *folder, const leat__listing *listing, bool *there,
                            leat_error *error)
{
    size_t count = 0;
    leat_code code = LEAT_OK;
    char **names = calloc(listing->count, sizeof *names);
    if (!names) return no_memory(error);
    for (size_t i = 0; !code && i < listing->count; i++) {
        if (!listing->objects[i].is_shard) continue;
        names[count] = leat__index_name(listing->objects[i].name);
        if (!names[count++]) code = no_memory(error);
    }
    if (!code) {
        qsort(names, count, sizeof *names, compare_names);
        code = load_dalis(part, folder, names, count, there, error);
    }
    for (size_t i = 0; i < count; i++) free(names[i]);
    free(names);
    return code;
}

/* The only .json file of a folder. *path: gives; NULL: none. */
static leat_code find_json(const char *folder, const char *shown, char **path, leat_error *error)
{
    leat_code code = LEAT_OK;
    *path = NULL;
    DIR *dir = opendir(folder);
    if (!dir) return leat__fail_errno(error, leat__code_of_errno(errno), errno, "listing folder %s", shown);
    for (struct dirent *entry; !code && (entry = readdir(dir)) != NULL;) {
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || dot == entry->d_name || strcmp(dot, ".json") != 0) continue;
        if (*path) code = leat__fail(error, LEAT_EINVAL, 0, "index %s: several .json files are there: name the one", shown);
        else if (asprintf(path, "%s/%s", folder, entry->d_name) < 0) code = no_memory(error);
    }
    closedir(dir);
    if (code) {
        free(*path);
        *path = NULL;
    }
    return code;
}

static leat_code load_file(leat__index_part *part, const char *path, const leat__listing *listing, leat_error *error)
{
    uint8_t *bytes;
    size_t size;
    leat_code code = set_shown(part, path, error);
    if (code) return code;
    code = leat__index_file_open(path, part->shown, &part->file, error);
    if (code != LEAT_EFORMAT) return code;
    code = read_file(path, part->shown, &bytes, &size, error);
    return code ? code : load_bytes(part, bytes, size, listing, error);
}

static leat_code load_folder(leat__index_part *part, const char *folder, const leat__listing *listing, leat_error *error)
{
    char *path;
    bool there = false;
    if (asprintf(&path, "%s/" LEAT__INDEX_NAME, folder) < 0) return no_memory(error);
    leat_code code = leat__index_file_open(path, part->shown, &part->file, error);
    free(path);
    if (code != LEAT_ENOTFOUND) return code;
    code = find_dalis(part, folder, listing, &there, error);
    if (code || there) return code;
    code = find_json(folder, part->shown, &path, error);
    if (code) return code;
    if (!path)
        return leat__fail(error, LEAT_ENOTFOUND, 0,
                          "index %s: the folder has no leat.index, no .idx file of the first shard, no .json file", part->shown);
    code = load_file(part, path, listing, error);
    free(path);
    return code;
}

/* ---- what was named ---- */

static leat_code load_url(leat__index_part *part, const char *wanted, const leat__listing *listing,
                          leat__index_source *source, leat_error *error)
{
    uint8_t *bytes;
    size_t size, length = strlen(wanted);
    char *url;
    if (!source->fetch) return leat__fail(error, LEAT_EUNSUPPORTED, 0, "index %s: a URL cannot be read here", part->shown);
    if (asprintf(&url, "%s%s", wanted, wanted[length - 1] == '/' ? LEAT__INDEX_NAME : "") < 0) return no_memory(error);
    leat_code code = fetch_url(part, url, source, &bytes, &size, error);
    free(url);
    return code ? code : load_bytes(part, bytes, size, listing, error);
}

leat_code leat__index_part_named(const char *wanted, const leat__listing *listing, leat__index_source *source,
                                 leat__index_part *part, leat_error *error)
{
    struct stat status;
    assert(*wanted && listing->count > 0);
    *part = (leat__index_part){0};
    leat_code code = set_shown(part, wanted, error);
    if (code) return code;
    if (leat__is_url(wanted)) return load_url(part, wanted, listing, source, error);
    if (stat(wanted, &status) < 0)
        return leat__fail_errno(error, leat__code_of_errno(errno), errno, "looking for index %s", part->shown);
    return S_ISDIR(status.st_mode) ? load_folder(part, wanted, listing, error) : load_file(part, wanted, listing, error);
}
