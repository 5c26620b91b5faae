/* plan.h - a config with every choice made, and the arithmetic that keeps a loader within memory_limit. */
#ifndef LEAT__PLAN_H
#define LEAT__PLAN_H

#include <leat/config.h>

#include "loader/origins.h"

/* Bytes of a lane, of shards or of loose files. */
typedef struct leat__lane_plan {
    size_t chunk_bytes;         /* buffers for bytes on the way */
    size_t burst_bytes;         /* what a local read brings at once */
    size_t queue_bytes;         /* bound of the queues in a lane */
    size_t window_bytes;        /* of a shuffle window, as weight.c weighs it; loose files: 0 */
    size_t sample_bytes;        /* the largest sample */
} leat__lane_plan;

typedef struct leat__plan {
    leat_config config;         /* no zero left that means "choose for me" */
    char launcher[24];          /* whence rank and world come */
    bool packed;                /* a name says zstd or gzip: decompressors will be needed */
    /* bytes; the sum of what may be in flight is at most config.memory_limit (see plan.c) */
    size_t lane_bytes;          /* of each lane's budget */
    leat__lane_plan shards, loose;
    size_t ragged_bytes;        /* of bytes columns */
    size_t worker_codec_bytes, big_codec_bytes;
    size_t keep_bytes;          /* unused buffers kept */
    size_t fill_bytes;          /* of buffers on the way to the cache */
    unsigned fills;             /* downloads into it at a time; 0: no cache */
    unsigned window_log;        /* zstd's */
    size_t batches;             /* that exist */
} leat__plan;

/* Makes every choice of `config` that does not depend on the data, but for rank and world. LEAT_EINVAL names the setting, its value
 * and what would be right. */
leat_code leat__plan_config(const leat_config *config, leat_config *chosen, leat_error *error);

/* Rows of this rank's batches. config: with its choices made. */
uint32_t leat__plan_rows(const leat_config *config);

/* Completes the plan, and chooses each source's lanes. plan->config: from leat__plan_config. batch_bytes: of one batch; 0: no
 * batches (a reader), or not known before the first sample. has_ragged: there are bytes columns. LEAT_EINVAL if memory_limit is too
 * small, with the figures. */
leat_code leat__plan_memory(leat__plan *plan, leat__origins *origins, bool reader, size_t batch_bytes, bool has_ragged,
                            leat_error *error);

#endif
