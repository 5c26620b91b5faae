/* stats.h - what a loader did and which stage holds it back. */
#ifndef LEAT_STATS_H
#define LEAT_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LEAT_MAX_STAGES 16

/* One kind of stage. Where it has an instance per lane, items, bytes and busy time are sums over the lanes, starved and
 * blocked are means. A stage that is busy while the one after it is starved is the one to make faster. */
typedef struct leat_stage_stats {
    char name[16];
    uint32_t instances;      /* lanes it runs in */
    uint32_t concurrency;    /* items at a time, an instance */
    uint64_t items;          /* items taken */
    uint64_t bytes;          /* bytes of those items */
    uint64_t busy_ns;        /* time spent at work, summed over concurrent items */
    uint64_t starved_ns;     /* time with nothing to do because the stage before gave nothing */
    uint64_t blocked_ns;     /* time with results that the stage after had no room for */
    double queue_depth_mean; /* of the queue in front, items, over time */
    uint64_t queue_depth_max;
} leat_stage_stats;

/* One of several sources (leat_config.sources); of a single one if there is one. */
typedef struct leat_source_stats {
    char name[64];
    double weight;             /* its share, 0..1 */
    uint64_t samples;          /* rows of it that this rank delivered, substituted ones not counted */
    uint64_t counted;          /* samples it has, if they are counted; else 0 */
} leat_source_stats;

typedef struct leat_statistics {
    uint64_t samples;          /* delivered to the consumer; a substituted row counts as an error, not as a sample */
    uint64_t batches;          /* delivered */
    uint64_t epochs;           /* ended */
    uint64_t errors;           /* samples and shards that failed; leat_errors names them */
    uint64_t ignored;          /* directories, links and devices in archives; files of no known kind in folders */
    uint64_t bytes_read;       /* from disks and the network, as stored */
    uint64_t retries;          /* transfers begun again after a transient failure */
    uint64_t cache_hits;       /* shards served whole from leat_config.cache */
    uint64_t cache_misses;     /* shards that had to be downloaded into it, by this process or, at the time, by another one */
    uint64_t cache_bypassed;   /* shards that streamed past it: no room, or the disk failed */
    uint64_t cache_damaged;    /* shards found damaged in it: put aside and downloaded again */
    uint64_t windows_cut;      /* shuffle windows made smaller because memory_limit could not hold them */
    uint32_t rank, world;      /* as they are used */
    char launcher[24];         /* where they come from: "config", "torchrun", "openmpi", "pmi", "slurm", "kubernetes", or ""
                                  (alone) */
    bool indexed;              /* the samples are counted: by an index, or as loose files */
    uint64_t steps;            /* global batches of an epoch; 0: not known, as the samples are not counted */
    uint64_t dropped;          /* samples of an epoch that no rank gets (leat_config.remainder) */
    uint64_t padded;           /* rows of an epoch that repeat its first samples, of all ranks together */
    uint64_t open_ns;          /* since leat_open */
    uint64_t first_batch_ns;   /* from leat_open to the first batch ready */
    uint64_t consumer_wait_ns; /* time the consumer waited in leat_next */
    uint64_t memory_limit;     /* bytes */
    uint64_t memory_used;      /* bytes in flight now, batches included */
    uint64_t memory_peak;      /* and at most so far */
    size_t source_count;
    leat_source_stats sources[64]; /* LEAT_MAX_SOURCES */
    size_t stage_count;
    leat_stage_stats stages[LEAT_MAX_STAGES]; /* in the order of the data's way */
} leat_statistics;

#ifdef __cplusplus
}
#endif
#endif
