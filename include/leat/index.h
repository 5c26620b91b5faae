/* index.h - counts and places of the samples in shards, written once, so that shards can be read in any order. */
#ifndef LEAT_INDEX_H
#define LEAT_INDEX_H

#include <stdint.h>

#include <leat/config.h>
#include <leat/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct leat_index_progress {
    uint64_t shards, total; /* done, and in all */
    uint64_t samples;       /* counted so far */
    uint64_t bytes;         /* read so far */
} leat_index_progress;

typedef struct leat_index_config {
    const char *source;       /* shards, as leat_config.source. Required */
    const char *to;           /* folder that the index goes into: of exactly the source's shards; NULL: beside the shards, which
                                 must be local, one file a folder, which keeps what it has of the folder's other shards */
    uint32_t threads;         /* shards read side by side; 0: one for each CPU */
    const char *ca_file;      /* as leat_config */
    const char *const *headers;
    size_t header_count;
    void (*progress)(void *user, const leat_index_progress *progress); /* now and then, on the calling thread; NULL: none */
    void *progress_user;      /* borrows, until leat_index returns */
    const volatile int *stop; /* set it to non-zero (from a signal handler, say) to stop early with LEAT_ECLOSED; NULL: never */
} leat_index_config;

#define LEAT_INDEX_CONFIG_INIT {0}

typedef struct leat_index_result {
    uint64_t shards, samples;
    uint64_t files, bytes;    /* index files written, and their bytes */
} leat_index_result;

/* Reads every shard once and writes leat.index (docs/formats.md): for each shard its name, sizes and count, and the place of each
 * sample. An index that is there is replaced when the new one is whole; without `to`, rows that it has of other shards of the
 * folder stay if those are still there, of the same size and beginning. A shard that cannot be read to its end fails the call: an
 * index with holes would be believed. result: of the shards read; filled as far as it came, also on failure. Thread: any. Blocks:
 * till done. */
LEAT_API leat_code leat_index(const leat_index_config *config, leat_index_result *result, leat_error *error);

#ifdef __cplusplus
}
#endif
#endif
