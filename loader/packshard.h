/* packshard.h - writes one planned shard of local files. */
#ifndef LEAT__PACKSHARD_H
#define LEAT__PACKSHARD_H

#include "loader/packplan.h"

/* One thread's own: writes one shard after another. */
typedef struct leat__shard_writer {
    /* fixed after creation */
    leat__pack_job *job;
    leat__pack_plan *plan;
    leat__shard_file *file;
    char *name;              /* of an entry; plan->longest_name bytes */
    /* of the shard being written */
    leat__tar_writer tar;
    uint64_t samples, bytes; /* so far; the job's progress has them too */
    leat__place_list places; /* of the samples so far */
    bool foreign;            /* the failure is the input's, not the output's */
} leat__shard_writer;

/* LEAT_ENOMEM leaves nothing behind. End it with leat__shard_writer_end (any zeroed writer is fine). */
leat_code leat__shard_writer_begin(leat__shard_writer *writer, leat__pack_job *job, leat__pack_plan *plan,
                                   leat_error *error);
void leat__shard_writer_end(leat__shard_writer *writer);

/* Writes shard number `shard` of the plan, whole or not at all. Thread: the writer's. Blocks: till done. */
leat_code leat__shard_writer_run(leat__shard_writer *writer, size_t shard, leat_error *error);

#endif
