/* packindex.c - the index of what leat_pack writes.
 *
 * What:    notes each shard when it is finished; at the end writes leat.index for all shards of the folder.
 * Why so:  the places are known while they are written, so the index costs nothing. It is the one that leat_index would write,
 *          byte for byte. Shards of an earlier run keep the rows they have in an index that is there, if they still match them;
 *          if one has none, no index is written: it would lack a shard, and the whole folder would be refused.
 * Threads: leat__pack_note_shard on any; the rest on leat_pack's caller's.
 * Not here: the file (indexstore.c). */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libdeflate.h>

#include "loader/indexstore.h"
#include "loader/packjob.h"
#include "pipeline/failure.h"
#include "stages/filename.h"
#include "stages/index.h"

/* Size and CRC-32 of the beginning of a file in the folder. */
static bool look_at(int directory, const char *name, uint64_t *bytes, uint32_t *crc)
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

leat_code leat__pack_note_shard(leat__pack_job *job, const char *name, uint64_t bytes, uint64_t samples, uint32_t *places,
                                leat_error *error)
{
    uint64_t there;
    leat__index_row row = {.name = name, .etag = "", .bytes = bytes, .samples = samples, .has_head_crc = true, .places = places};
    if (job->config.compression != LEAT_COMPRESSION_NONE) { /* only an uncompressed shard can be read by sample */
        free(places);
        row.places = NULL;
    }
    if (!look_at(job->directory, name, &there, &row.head_crc) || there != bytes) {
        free((uint32_t *)row.places);
        return leat__fail(error, LEAT_EIO, 0, "%s/%s: it is not there as it was written: is another run writing to the folder?",
                          job->config.to, name);
    }
    pthread_mutex_lock(&job->lock);
    leat_code code = leat__index_list_add(&job->index, &row, error);
    pthread_mutex_unlock(&job->lock);
    return code;
}

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

/* Adds a shard of an earlier run with the row that `old` has of it. *known: it has one that still matches. */
static leat_code keep_row(leat__pack_job *job, const leat__index_file *old, const char *name, bool *known, leat_error *error)
{
    leat__index_row row;
    size_t shard;
    uint64_t bytes;
    uint32_t crc, *places = NULL;
    *known = old && leat__index_file_find(old, name, &shard) && look_at(job->directory, name, &bytes, &crc);
    if (!*known) return LEAT_OK;
    leat__index_file_row(old, shard, &row);
    *known = row.bytes == bytes && row.has_head_crc && row.head_crc == crc;
    leat_code code = *known && row.has_places ? copy_places(old, shard, &row, &places, error) : LEAT_OK;
    *known = *known && (places || !row.has_places);
    row.places = places;
    return code || !*known ? code : leat__index_list_add(&job->index, &row, error);
}

/* Adds the folder's other shards. *whole: all are known. */
static leat_code keep_others(leat__pack_job *job, const leat__index_file *old, size_t own, bool *whole, leat_error *error)
{
    leat_code code = LEAT_OK;
    int fd = openat(job->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    *whole = folder != NULL;
    if (!folder) {
        if (fd >= 0) close(fd);
        return LEAT_OK;
    }
    const leat__index_list written = {.rows = job->index.rows, .count = own};
    leat__index_list others = {0};
    for (struct dirent *entry; !code && *whole && (entry = readdir(folder)) != NULL;) {
        leat__filename filename = leat__filename_parse(entry->d_name);
        if (entry->d_name[0] == '.' || !leat__filename_is_shard(&filename) || leat__index_list_find(&written, entry->d_name))
            continue;
        code = leat__index_list_add(&others, &(leat__index_row){.name = entry->d_name, .etag = ""}, error);
    }
    closedir(folder);
    for (size_t i = 0; !code && *whole && i < others.count; i++) code = keep_row(job, old, others.rows[i].name, whole, error);
    leat__index_list_end(&others);
    return code;
}

leat_code leat__pack_write_index(leat__pack_job *job, leat_error *error)
{
    leat__index_file *old = NULL;
    char *path;
    bool whole;
    uint64_t bytes;
    leat_error ignored;
    leat_code code = leat__index_list_sort(&job->index, job->config.to, error);
    if (code) return code;
    if (asprintf(&path, "%s/" LEAT__INDEX_NAME, job->config.to) < 0)
        return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a path");
    leat__index_file_open(path, path, &old, &ignored);
    free(path);
    code = keep_others(job, old, job->index.count, &whole, error);
    leat__index_file_free(old);
    if (!code && whole) code = leat__index_list_sort(&job->index, job->config.to, error);
    if (!code && whole) code = leat__index_store(job->directory, job->config.to, &job->index, &bytes, error);
    return code;
}
