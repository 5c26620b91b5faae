/* indexstore.c - puts leat.index into a folder; what is there of a folder's shards, and what its leat.index knows of them.
 *
 * What:    leat_index of some of a folder's shards, and leat_pack beside others, keep the rows that are still right.
 * Why so:  an index that lacks one of its folder's shards is refused for the whole folder. A row is kept if size and beginning of
 *          its shard are what it says: as much as a loader compares before it reads one.
 * Threads: the caller's.
 * Not here: its layout (stages/indexwrite.c), files that appear when they are whole (shardfile.c). */
#include "loader/indexstore.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libdeflate.h>

#include "loader/shardfile.h"
#include "pipeline/failure.h"
#include "stages/filename.h"
#include "stages/index.h"

leat_code leat__index_store(int directory, const char *to, const leat__index_list *list, uint64_t *bytes, leat_error *error)
{
    assert(directory >= 0);
    leat__shard_file *file = leat__shard_file_new(LEAT_COMPRESSION_NONE, 0);
    if (!file) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for an index");
    leat_code code = leat__shard_file_begin(file, directory, to, LEAT__INDEX_NAME, true, error);
    if (!code) code = leat__index_file_write(list->rows, list->count, leat__shard_file_write, file, error);
    if (!code) code = leat__shard_file_commit(file, bytes, error);
    leat__shard_file_free(file);
    return code;
}

bool leat__index_look(int directory, const char *name, uint64_t *bytes, uint32_t *crc)
{
    uint8_t head[LEAT__INDEX_HEAD];
    struct stat status;
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return false;
    ssize_t got = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) ? pread(fd, head, sizeof head, 0) : -1;
    close(fd);
    if (got < 0) return false;
    *bytes = (uint64_t)status.st_size;
    *crc = libdeflate_crc32(0, head, (size_t)got);
    return got == (ssize_t)sizeof head || (uint64_t)got == *bytes;
}

/* ---- the others of a folder ---- */

/* The places of a row of an index that is there. *units: gives; NULL: it has none, or they are damaged. */
static leat_code copy_places(const leat__index_file *old, size_t shard, const leat__index_row *row, uint32_t **units,
                             leat_error *error)
{
    leat_error damage;
    leat__place_list list = {0};
    leat_code code = LEAT_OK;
    *units = NULL;
    uint64_t *places = reallocarray(NULL, row->samples + 1, sizeof *places); /* the file has half as many bytes for them */
    if (!places) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for an index");
    bool fine = leat__index_file_places(old, shard, 0, row->samples, places, &damage) == LEAT_OK;
    for (uint64_t i = 0; fine && !code && i <= row->samples; i++) code = leat__place_list_add(&list, places[i], error);
    if (fine && !code) *units = leat__place_list_take(&list);
    leat__place_list_end(&list);
    free(places);
    return code;
}

/* Adds a shard with the row that `old` (NULL: none) has of it. *known: it has one that still matches. */
static leat_code keep_row(int directory, const leat__index_file *old, const char *name, leat__index_list *list, bool *known,
                          leat_error *error)
{
    leat__index_row row;
    size_t shard;
    uint64_t bytes;
    uint32_t crc, *places = NULL;
    *known = old && leat__index_file_find(old, name, &shard) && leat__index_look(directory, name, &bytes, &crc);
    if (!*known) return LEAT_OK;
    leat__index_file_row(old, shard, &row);
    *known = row.bytes == bytes && row.has_head_crc && row.head_crc == crc;
    leat_code code = *known && row.has_places ? copy_places(old, shard, &row, &places, error) : LEAT_OK;
    *known = *known && (places || !row.has_places);
    row.places = places;
    return code || !*known ? code : leat__index_list_add(list, &row, error);
}

/* Lists the folder's shards that are not in a list. */
static leat_code list_others(int directory, const char *to, const leat__index_list *list, leat__index_list *others,
                             leat_error *error)
{
    leat_code code = LEAT_OK;
    char shown[512];
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), number;
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    errno = folder ? 0 : errno;
    for (struct dirent *entry; folder && !code && (entry = readdir(folder)) != NULL; errno = 0) {
        leat__filename filename = leat__filename_parse(entry->d_name);
        if (entry->d_name[0] == '.' || !leat__filename_is_shard(&filename) || leat__index_list_find(list, entry->d_name)) continue;
        code = leat__index_list_add(others, &(leat__index_row){.name = entry->d_name, .etag = ""}, error);
    }
    number = errno;
    if (folder) closedir(folder);
    else if (fd >= 0) close(fd);
    if (code || number == 0) return code;
    return leat__fail_errno(error, leat__code_of_errno(number), number, "listing folder %s", leat__redact(shown, sizeof shown, to));
}

leat_code leat__index_keep_others(int directory, const char *to, leat__index_list *list, leat__index_list *unknown, bool *stale,
                                  leat_error *error)
{
    leat__index_file *old = NULL;
    leat__index_list others = {0};
    char *path;
    leat_error ignored;
    assert(directory >= 0 && unknown->count == 0);
    if (asprintf(&path, "%s/" LEAT__INDEX_NAME, to) < 0) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a path");
    *stale = leat__index_file_open(path, path, &old, &ignored) != LEAT_ENOTFOUND;
    free(path);
    leat_code code = list_others(directory, to, list, &others, error);
    for (size_t i = 0; !code && i < others.count; i++) {
        bool known;
        code = keep_row(directory, old, others.rows[i].name, list, &known, error);
        if (!code && !known) code = leat__index_list_add(unknown, &others.rows[i], error);
    }
    leat__index_list_end(&others);
    leat__index_file_free(old);
    return code ? code : leat__index_list_sort(list, to, error);
}
