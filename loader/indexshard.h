/* indexshard.h - reads one shard to its end and says what an index has to know of it.
 *
 * indexshard.c: what its bytes say, and reading from local disk; indexweb.c: reading over the network. */
#ifndef LEAT__INDEXSHARD_H
#define LEAT__INDEXSHARD_H

#include <stdatomic.h>

#include <leat/config.h>

#include "pipeline/buffer.h"
#include "stages/decompress.h"
#include "stages/indexlist.h"
#include "stages/tar.h"

/* What all threads share. Fixed, but for the counters. */
typedef struct leat__index_run {
    const leat_config *config;   /* with its choices made */
    atomic_bool stopping;
    atomic_uint_fast64_t shards, samples, bytes; /* so far */
} leat__index_run;

/* One thread's own: counts one shard after another. */
typedef struct leat__shard_counter {
    /* fixed after creation */
    leat__index_run *run;
    leat__arena *arena;
    leat__stock *stock;
    leat__tar *tar;
    leat__decompressor *decompressor;
    struct leat__index_web *web; /* made for the first URL */
    /* of the shard being counted */
    const leat__object *object;
    uint64_t bytes;              /* as stored, so far */
    uint64_t unpacked;           /* and after decompression, if it is compressed */
    uint32_t head_crc;
    leat__place_list places;     /* of the samples so far */
    leat_code code;              /* LEAT_ENOMEM once there was no memory for one */
} leat__shard_counter;

enum { LEAT__INDEX_CHUNK = 1 << 20 }; /* bytes read or unpacked at a time */

/* Gives; NULL if memory is short (error says so). */
leat__shard_counter *leat__shard_counter_new(leat__index_run *run, leat_error *error);
void leat__shard_counter_free(leat__shard_counter *counter); /* takes; NULL is fine */

/* Counts a shard. row: its facts, with etag "" or (of a URL) in etag[]; row->name is left alone; row->places: gives (free), NULL
 * if it can't be read by sample. A failure names the shard. Blocks: till done, or stopping (LEAT_ECLOSED). */
enum { LEAT__INDEX_ETAG = 128 };
leat_code leat__shard_counter_run(leat__shard_counter *counter, const leat__object *object, leat__index_row *row,
                                  char etag[LEAT__INDEX_ETAG], leat_error *error);

/* The steps of it, for the two ways to read. Bytes of the shard as stored, in order (borrows); last: nothing follows; bytes may
 * be empty then. */
leat_code leat__shard_counter_feed(leat__shard_counter *counter, const leat__bytes *bytes, bool last, leat_error *error);

/* Reads counter->object over the network, feeding it all; sets etag. */
leat_code leat__index_web_read(leat__shard_counter *counter, char etag[LEAT__INDEX_ETAG], leat_error *error);
void leat__index_web_free(struct leat__index_web *web); /* takes; NULL is fine */

#endif
