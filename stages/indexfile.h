/* indexfile.h - leat.index, the file: reading, with everything checked, and writing. Its layout: docs/formats.md.
 *
 * A header, a table with a row for each shard, and the places of samples in blocks that are checked each by itself, so that opening
 * reads the table alone and a slice of places costs a few blocks. Parser of foreign bytes. */
#ifndef LEAT__INDEXFILE_H
#define LEAT__INDEXFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <leat/error.h>

enum {
    LEAT__PLACE_UNIT = 512,   /* bytes: places are counted in tar's blocks */
    LEAT__PLACE_BLOCK = 1024, /* places that share a checksum */
    LEAT__INDEX_MOST_TEXT = 1024, /* bytes of a shard's name and ETag together, two zero bytes included */
};
#define LEAT__INDEX_MOST_BYTES ((uint64_t)UINT32_MAX * LEAT__PLACE_UNIT) /* of a shard with places: 2 TiB */

/* A shard, as the index has it. */
typedef struct leat__index_row {
    const char *name;      /* base name */
    const char *etag;      /* "": none */
    uint64_t bytes;        /* as stored; UINT64_MAX: not known */
    uint64_t unpacked;     /* and after decompression, if it is compressed; UINT64_MAX: not known */
    uint64_t samples;
    uint32_t head_crc;
    bool has_head_crc;
    const uint32_t *places;/* writing: samples + 1 of them, in units, rising; NULL: none. Reading: NULL */
    bool has_places;       /* reading */
} leat__index_row;

typedef struct leat__index_file leat__index_file;

/* Opens one on local disk, which stays open; or takes bytes that were fetched (takes, also on failure). shown: its name for
 * messages, copied. *file: gives, to be ended by leat__index_file_free; NULL on failure. LEAT_ENOTFOUND and the like;
 * LEAT_EFORMAT (no leat.index), LEAT_EUNSUPPORTED (a newer version), LEAT_ETRUNCATED, LEAT_ECORRUPT, LEAT_ENOMEM. Blocks. */
leat_code leat__index_file_open(const char *path, const char *shown, leat__index_file **file, leat_error *error);
leat_code leat__index_file_of_bytes(uint8_t *bytes, size_t size, const char *shown, leat__index_file **file, leat_error *error);
void leat__index_file_free(leat__index_file *file); /* takes; NULL is fine */

/* True if bytes begin as a leat.index does. */
bool leat__index_file_is(const uint8_t *bytes, size_t size);

/* Shards in it; the row of one, sorted bytewise by name; where a name stands (false: nowhere). Row's texts: borrows, until free.
 * Thread: any, as for all below. */
size_t leat__index_file_shards(const leat__index_file *file);
void leat__index_file_row(const leat__index_file *file, size_t shard, leat__index_row *row);
bool leat__index_file_find(const leat__index_file *file, const char *name, size_t *shard);

/* places[0..count], in bytes, of samples [first, first + count) of a shard that has places: see leat__index_places. Blocks. */
leat_code leat__index_file_places(const leat__index_file *file, size_t shard, uint64_t first, uint64_t count, uint64_t *places,
                                  leat_error *error);

/* True if places, in bytes, rise and end at or before `bytes`. *bad: the first that doesn't. */
bool leat__places_rise(const uint64_t *places, uint64_t count, uint64_t bytes, uint64_t *bad);

/* Takes the file's next bytes (borrows). The shape of leat__shard_file_write. */
typedef leat_code (*leat__index_sink)(void *user, const void *data, size_t size, leat_error *error);

/* Writes an index. rows: sorted bytewise by name, no two of one name; borrows. The same rows give the same bytes. */
leat_code leat__index_file_write(const leat__index_row *rows, size_t count, leat__index_sink sink, void *user, leat_error *error);

#endif
