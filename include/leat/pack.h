/* pack.h - class folders, lists or shards into WebDataset shards, byte for byte the same on every run. */
#ifndef LEAT_PACK_H
#define LEAT_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include <leat/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum leat_compression {
    LEAT_COMPRESSION_NONE = 0, /* .tar */
    LEAT_COMPRESSION_ZSTD = 1, /* .tar.zst */
} leat_compression;

typedef struct leat_pack_progress {
    uint64_t samples; /* written so far */
    uint64_t total;   /* samples in all, 0 while not known (shards as a source) */
    uint64_t bytes;   /* unpacked bytes so far */
    uint64_t shards;  /* finished */
} leat_pack_progress;

typedef struct leat_pack_config {
    const char *source;      /* as leat_config.source. Required */
    const char *to;          /* directory for the shards; made if it is not there. Required */
    const char *prefix;      /* of the shards' names: PREFIX-000000.tar; NULL: "shard" */
    uint64_t shard_bytes;    /* a shard is closed before the sample that would take it over this size; 0: 256 MiB */
    leat_compression compression;
    int level;               /* zstd's level, 1..19; 0: 3 */
    uint32_t threads;        /* shards written side by side; 0: one for each CPU. The bytes do not depend on it */
    bool shuffle;            /* put the samples in a random order first (by `seed`); shards of shards keep windows */
    uint64_t seed;
    bool overwrite;          /* replace shards of the same name; false: LEAT_EEXISTS */
    uint64_t max_errors;     /* unreadable files that are left out and named before it gives up; 0: none;
                                LEAT_UNLIMITED: any number */
    void (*progress)(void *user, const leat_pack_progress *progress); /* now and then, on the calling thread; NULL: none */
    void *progress_user;     /* borrows, until leat_pack returns */
    const volatile int *stop;/* set it to non-zero (from a signal handler, say) to stop early with LEAT_ECLOSED; NULL: never */
} leat_pack_config;

#define LEAT_PACK_CONFIG_INIT {0}

typedef struct leat_pack_result {
    uint64_t samples, shards;
    uint64_t bytes;        /* of the shards as written */
    uint64_t errors;       /* files left out */
    leat_error first_error;/* the first of them */
} leat_pack_result;

/* Writes the shards: ustar, entries of a sample next to each other, mode 0644, owner 0, time 0, a .cls field with the
 * class number for class folders. A shard appears under its name when it is whole (written beside it as NAME.partial,
 * then renamed). result: filled as far as it came, also on failure. Thread: any. Blocks: till done. */
LEAT_API leat_code leat_pack(const leat_pack_config *config, leat_pack_result *result, leat_error *error);

#ifdef __cplusplus
}
#endif
#endif
