/* indexfile.c - leat.index: reading, with everything checked. Writing is in indexwrite.c.
 *
 * What:    header and table are read and checked when it is opened; places block by block, when they are asked for.
 * Why so:  there is one way to lay out given rows (positions are where the bytes before them end, names rise), and every byte lies
 *          under a checksum. So any other file is refused by comparing, and nothing in it is ever followed unchecked. Memory is
 *          taken for what the file is large enough to hold, never for what a header says.
 *          pread and not mmap: a file that shrinks must be an error, not SIGBUS.
 * Threads: any number may read an open file.
 * Invariants: (1) exactly one of fd >= 0 and bytes is there   (2) text of shard i begins at table + string_at(i), and is terminated
 * Not here: which index is whose (index.c). */
#include "stages/indexfile.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libdeflate.h>

#include "pipeline/failure.h"
#include "stages/indexlayout.h"

struct leat__index_file {
    char *shown;
    int fd;            /* -1: it lies in `bytes` */
    uint8_t *bytes;    /* owned */
    uint64_t size;
    uint64_t shards;
    uint8_t *table;    /* owned */
    uint64_t table_bytes;
};

/* ---- bytes of the file ---- */

static leat_code fail_short(const leat__index_file *file, uint64_t at, leat_error *error)
{
    return leat__fail(error, LEAT_ETRUNCATED, 0, "index %s: it ends too early, at byte %llu: run leat index again", file->shown,
                      (unsigned long long)at);
}

static leat_code fail_damaged(const leat__index_file *file, const char *what, uint64_t at, leat_error *error)
{
    return leat__fail(error, LEAT_ECORRUPT, 0, "index %s: %s at byte %llu: it is damaged, run leat index again", file->shown, what,
                      (unsigned long long)at);
}

/* Reads [at, at + size), which lies within file->size. */
static leat_code read_at(const leat__index_file *file, uint64_t at, void *out, size_t size, leat_error *error)
{
    assert(at <= file->size && size <= file->size - at);
    if (file->bytes) {
        memcpy(out, file->bytes + at, size);
        return LEAT_OK;
    }
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(file->fd, (uint8_t *)out + done, size - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return leat__fail_errno(error, LEAT_EIO, errno, "index %s: reading at byte %llu", file->shown,
                                    (unsigned long long)(at + done));
        if (got == 0) return fail_short(file, at + done, error);
        done += (size_t)got;
    }
    return LEAT_OK;
}

/* ---- header and table ---- */

bool leat__index_file_is(const uint8_t *bytes, size_t size)
{
    return size >= sizeof leat__index_magic && memcmp(bytes, leat__index_magic, sizeof leat__index_magic) == 0;
}

static leat_code check_header(leat__index_file *file, const uint8_t *header, uint64_t *samples, leat_error *error)
{
    if (!leat__index_file_is(header, LEAT__INDEX_HEADER))
        return leat__fail(error, LEAT_EFORMAT, 0, "index %s: not a file of leat index", file->shown);
    uint32_t version = leat__get_u32(header + 8);
    if (version > LEAT__INDEX_VERSION)
        return leat__fail(error, LEAT_EUNSUPPORTED, 0,
                          "index %s: version %u of the format, this leat reads %u: run leat index again", file->shown,
                          version, LEAT__INDEX_VERSION);
    if (libdeflate_crc32(0, header, 60) != leat__get_u32(header + 60))
        return fail_damaged(file, "the header's checksum is wrong", 60, error);
    uint64_t size = leat__get_u64(header + 16);
    file->shards = leat__get_u64(header + 24);
    *samples = leat__get_u64(header + 32);
    file->table_bytes = leat__get_u64(header + 40);
    if (file->size < size) return fail_short(file, file->size, error);
    if (version != LEAT__INDEX_VERSION || leat__get_u32(header + 12) != LEAT__INDEX_HEADER || leat__get_u64(header + 48) != 0 ||
        file->size != size || file->table_bytes > size - LEAT__INDEX_HEADER ||
        file->shards > LEAT__INDEX_MOST_SHARDS || file->table_bytes < file->shards * LEAT__INDEX_ROW ||
        file->table_bytes > file->shards * (LEAT__INDEX_ROW + LEAT__INDEX_MOST_TEXT))
        return fail_damaged(file, "a header that cannot be", 8, error);
    return LEAT_OK;
}

/* Row `shard` of the table and, in the same table, its texts. */
static const uint8_t *row_at(const leat__index_file *file, uint64_t shard)
{
    return file->table + shard * LEAT__INDEX_ROW;
}

void leat__index_file_row(const leat__index_file *file, size_t shard, leat__index_row *row)
{
    assert(shard < file->shards);
    const uint8_t *at = row_at(file, shard);
    uint32_t flags = leat__get_u32(at + 28);
    const char *text = (const char *)file->table + leat__get_u64(at + 40);
    *row = (leat__index_row){.name = text, .etag = text + leat__get_u32(at + 32) + 1, .bytes = leat__get_u64(at),
                             .unpacked = leat__get_u64(at + 48), .samples = leat__get_u64(at + 8),
                             .head_crc = leat__get_u32(at + 24), .has_head_crc = (flags & LEAT__INDEX_HAS_HEAD) != 0,
                             .has_places = (flags & LEAT__INDEX_HAS_PLACES) != 0};
}

/* The texts of a row: name and ETag, each with a zero byte behind it, lie at `text`; *next: where the row's after it do. */
static bool texts_fit(const leat__index_file *file, const uint8_t *row, uint64_t text, uint64_t *next)
{
    uint64_t name = leat__get_u32(row + 32), etag = leat__get_u32(row + 36);
    if (leat__get_u64(row + 40) != text || name == 0 || name + etag + 2 > LEAT__INDEX_MOST_TEXT ||
        name + etag + 2 > file->table_bytes - text)
        return false;
    const uint8_t *at = file->table + text;
    *next = text + name + etag + 2;
    return memchr(at, 0, name + 1) == at + name && !memchr(at, '/', name) &&
           memchr(at + name + 1, 0, etag + 1) == at + name + 1 + etag;
}

/* What a row says of places: they lie at `places`, *next: where the ones after it do. */
static bool places_fit(const leat__index_file *file, const uint8_t *row, uint64_t places, uint64_t *next)
{
    uint64_t bytes = leat__get_u64(row), samples = leat__get_u64(row + 8), at = leat__get_u64(row + 16);
    *next = places;
    if (!(leat__get_u32(row + 28) & LEAT__INDEX_HAS_PLACES)) return at == 0 && samples <= LEAT__INDEX_MOST_SAMPLES;
    if (bytes > LEAT__INDEX_MOST_BYTES || leat__get_u64(row + 48) != bytes || samples > bytes / LEAT__PLACE_UNIT || at != places)
        return false;
    uint64_t size = leat__index_places_bytes(samples);
    *next = places + size;
    return size <= file->size - places;
}

static leat_code check_rows(const leat__index_file *file, uint64_t samples, leat_error *error)
{
    uint64_t text = file->shards * LEAT__INDEX_ROW, places = LEAT__INDEX_HEADER + file->table_bytes, sum = 0;
    const char *before = NULL;
    for (uint64_t i = 0; i < file->shards; i++) {
        const uint8_t *row = row_at(file, i);
        uint64_t at = LEAT__INDEX_HEADER + i * LEAT__INDEX_ROW, next_text, next_places;
        if (!texts_fit(file, row, text, &next_text) || leat__get_u32(row + 28) & ~(uint32_t)LEAT__INDEX_FLAGS ||
            !places_fit(file, row, places, &next_places))
            return fail_damaged(file, "a row that cannot be", at, error);
        const char *name = (const char *)file->table + text;
        if (before && strcmp(before, name) >= 0) return fail_damaged(file, "a name out of its order", at, error);
        sum += leat__get_u64(row + 8);
        if (sum > LEAT__INDEX_MOST_SAMPLES) return fail_damaged(file, "a count that cannot be", at, error);
        before = name;
        text = next_text;
        places = next_places;
    }
    bool whole = text == file->table_bytes && places == file->size && sum == samples;
    return whole ? LEAT_OK : fail_damaged(file, "a table that does not match its header", LEAT__INDEX_HEADER, error);
}

static leat_code read_table(leat__index_file *file, leat_error *error)
{
    uint8_t header[LEAT__INDEX_HEADER];
    uint64_t samples = 0;
    if (file->size < sizeof header) {
        uint8_t magic[sizeof leat__index_magic] = {0};
        size_t there = file->size < sizeof magic ? (size_t)file->size : sizeof magic;
        leat_code code = read_at(file, 0, magic, there, error);
        if (!code && memcmp(magic, leat__index_magic, there) == 0) return fail_short(file, file->size, error);
        return code ? code : leat__fail(error, LEAT_EFORMAT, 0, "index %s: not a file of leat index", file->shown);
    }
    leat_code code = read_at(file, 0, header, sizeof header, error);
    if (!code) code = check_header(file, header, &samples, error);
    if (code) return code;
    file->table = malloc(file->table_bytes + 1);
    if (!file->table) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for the table of index %s", file->shown);
    code = read_at(file, LEAT__INDEX_HEADER, file->table, file->table_bytes, error);
    if (code) return code;
    if (libdeflate_crc32(0, file->table, file->table_bytes) != leat__get_u32(header + 56))
        return fail_damaged(file, "the table's checksum is wrong", LEAT__INDEX_HEADER, error);
    return check_rows(file, samples, error);
}

/* ---- opening ---- */

static leat_code finish_open(leat__index_file *file, leat__index_file **out, leat_error *error)
{
    leat_code code = read_table(file, error);
    if (code) leat__index_file_free(file);
    else *out = file;
    return code;
}

static leat__index_file *file_new(const char *shown)
{
    leat__index_file *file = calloc(1, sizeof *file);
    if (!file) return NULL;
    file->fd = -1;
    file->shown = strdup(shown);
    if (file->shown) return file;
    leat__index_file_free(file);
    return NULL;
}

leat_code leat__index_file_open(const char *path, const char *shown, leat__index_file **out, leat_error *error)
{
    *out = NULL;
    leat__index_file *file = file_new(shown);
    if (!file) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for an index");
    struct stat status;
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file->fd < 0 || fstat(file->fd, &status) < 0) {
        int number = errno;
        leat__index_file_free(file);
        return leat__fail_errno(error, leat__code_of_errno(number), number, "opening index %s", shown);
    }
    if (!S_ISREG(status.st_mode)) {
        leat__index_file_free(file);
        return leat__fail(error, LEAT_EFORMAT, 0, "index %s: not a regular file", shown);
    }
    file->size = (uint64_t)status.st_size;
    return finish_open(file, out, error);
}

leat_code leat__index_file_of_bytes(uint8_t *bytes, size_t size, const char *shown, leat__index_file **out, leat_error *error)
{
    *out = NULL;
    leat__index_file *file = file_new(shown);
    if (!file) {
        free(bytes);
        return leat__fail(error, LEAT_ENOMEM, 0, "no memory for an index");
    }
    file->bytes = bytes;
    file->size = size;
    return finish_open(file, out, error);
}

void leat__index_file_free(leat__index_file *file)
{
    if (!file) return;
    if (file->fd >= 0) close(file->fd);
    free(file->bytes);
    free(file->table);
    free(file->shown);
    free(file);
}

size_t leat__index_file_shards(const leat__index_file *file)
{
    return (size_t)file->shards;
}

bool leat__index_file_find(const leat__index_file *file, const char *name, size_t *shard)
{
    size_t low = 0, high = (size_t)file->shards;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, (const char *)file->table + leat__get_u64(row_at(file, middle) + 40));
        if (order == 0) {
            *shard = middle;
            return true;
        }
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return false;
}

/* ---- places ---- */

bool leat__places_rise(const uint64_t *places, uint64_t count, uint64_t bytes, uint64_t *bad)
{
    for (*bad = 0; *bad < count; (*bad)++) {
        if (places[*bad] >= places[*bad + 1]) return false;
    }
    return places[count] <= bytes;
}

/* Reads the block that place number `number` is in; *there: how many places it has. */
static leat_code read_block(const leat__index_file *file, uint64_t start, uint64_t last, uint64_t number, uint8_t *block,
                            size_t *there, leat_error *error)
{
    uint64_t first = number / LEAT__PLACE_BLOCK * LEAT__PLACE_BLOCK;
    uint64_t at = start + number / LEAT__PLACE_BLOCK * LEAT__INDEX_BLOCK_BYTES;
    *there = last - first < LEAT__PLACE_BLOCK ? (size_t)(last - first) + 1 : LEAT__PLACE_BLOCK;
    leat_code code = read_at(file, at, block, *there * 4 + 4, error);
    if (code) return code;
    if (libdeflate_crc32(0, block, *there * 4) == leat__get_u32(block + *there * 4)) return LEAT_OK;
    return fail_damaged(file, "the checksum of places is wrong", at, error);
}

leat_code leat__index_file_places(const leat__index_file *file, size_t shard, uint64_t first, uint64_t count, uint64_t *places,
                                  leat_error *error)
{
    leat__index_row row;
    uint8_t block[LEAT__INDEX_BLOCK_BYTES];
    leat__index_file_row(file, shard, &row);
    assert(row.has_places && first <= row.samples && count <= row.samples - first);
    uint64_t start = leat__get_u64(row_at(file, shard) + 16), bad;
    for (uint64_t i = 0; i <= count;) {
        size_t there, from = (size_t)((first + i) % LEAT__PLACE_BLOCK);
        leat_code code = read_block(file, start, row.samples, first + i, block, &there, error);
        if (code) return code;
        for (; from < there && i <= count; from++, i++) places[i] = (uint64_t)leat__get_u32(block + from * 4) * LEAT__PLACE_UNIT;
    }
    if (leat__places_rise(places, count, row.bytes, &bad)) return LEAT_OK;
    return leat__fail(error, LEAT_ECORRUPT, 0, "index %s: the place of sample %llu of %.300s cannot be: run leat index again",
                      file->shown, (unsigned long long)(first + bad), row.name);
}
