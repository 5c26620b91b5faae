/* index.h - how many samples the shards of a listing have, and where each lies, out of an index that was written before.
 *
 * index.c finds and joins indexes and looks things up; indexfile.c reads and writes leat.index; indexforeign.c reads those of
 * others. Objects go by their position in listing->objects. All of it is foreign data: sizes and checksums are compared before it
 * is used. */
#ifndef LEAT__INDEX_H
#define LEAT__INDEX_H

#include "stages/source.h"

/* The index of one listing. Read only after leat__index_find: any thread may ask. */
typedef struct leat__index leat__index;

#define LEAT__INDEX_NAME "leat.index"

/* Downloads a small object. *bytes: gives (free). url: borrows. LEAT_ENOTFOUND if the server says 404, 403 or 410; LEAT_ELIMIT over
 * max_bytes. Blocks. */
typedef leat_code (*leat__index_fetch)(void *user, const char *url, uint64_t max_bytes, uint8_t **bytes, size_t *size,
                                       leat_error *error);

/* Finds the index of a listing. wanted: leat_config.index. NULL: leat.index in the folders of the shards; *index is NULL, with
 * LEAT_OK, if no folder has one. "none", or a listing without shards: likewise NULL; a loose file among shards counts as one
 * sample. fetch, user: for URLs; fetch may be NULL, then no URL is asked for. max_bytes: of what is fetched, all together; it is
 * held until leat__index_free. listing: borrows, until it returns. *index: gives, to be ended by leat__index_free; NULL on failure.
 * LEAT_ECHANGED: the index lacks a shard, or a shard on local disk has another size than it says (looked at if there are at most
 * 20,000); LEAT_ECORRUPT (damaged, or more samples than the shard can hold), LEAT_EFORMAT, LEAT_EUNSUPPORTED (newer version),
 * LEAT_ELIMIT (over max_bytes); LEAT_ENOTFOUND (only with wanted). Blocks. */
leat_code leat__index_find(const leat__listing *listing, const char *wanted, leat__index_fetch fetch, void *user,
                           uint64_t max_bytes, leat__index **index, leat_error *error);

void leat__index_free(leat__index *index); /* takes; NULL is fine */

/* Samples of each object: [listing->count]. Borrows, until leat__index_free. */
const uint64_t *leat__index_counts(const leat__index *index);

/* True if the object may be read by sample: an uncompressed tar whose places are known, without pax global headers. */
bool leat__index_has_places(const leat__index *index, uint64_t object);

/* Fills places[0..count] (count + 1 numbers, rising): sample first + i lies at bytes places[i]..places[i+1] of the shard, headers
 * before it included; what lies between samples belongs to the one before or after. Needs leat__index_has_places and first +
 * count <= its count. Reads the index file: call it on an I/O thread. LEAT_ECORRUPT if a checksum is wrong or places don't rise,
 * LEAT_EIO. Blocks. */
leat_code leat__index_places(const leat__index *index, uint64_t object, uint64_t first, uint64_t count, uint64_t *places,
                             leat_error *error);

/* What the index says of the stored object, to be compared with what is found when it is opened. */
typedef struct leat__index_facts {
    uint64_t bytes;     /* stored size; UINT64_MAX: not known */
    uint64_t unpacked;  /* size after decompression, `bytes` if it is not compressed; UINT64_MAX: not known (indexes of others) */
    uint32_t head_crc;  /* CRC-32 of the first min(4096, bytes) bytes as stored, if has_head_crc */
    bool has_head_crc;
    const char *etag;   /* of the server, as it was sent, with its quotes; "": none. Borrows, until leat__index_free */
} leat__index_facts;

enum { LEAT__INDEX_HEAD = LEAT__HEAD_BYTES };

void leat__index_get_facts(const leat__index *index, uint64_t object, leat__index_facts *facts);

/* Of base names, counts, sizes, CRCs of the beginnings and ETags in the listing's order, so that a data set that was moved with its
 * index is the same, and other data of the same shape is not: for a state's fingerprint. */
uint64_t leat__index_digest(const leat__index *index);

#endif
