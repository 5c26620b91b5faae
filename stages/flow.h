/* flow.h - what the stages of one loader share: counters, and how a stage says upstream that bytes are not wanted any more. */
#ifndef LEAT__FLOW_H
#define LEAT__FLOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <leat/config.h>

#include "stages/items.h"

/* Of the loader. */
typedef struct leat__flow {
    /* loop thread only */
    uint64_t place;               /* of the course (course.h): what is delivered next */
    /* atomic: jobs count too */
    _Atomic uint64_t cut;         /* epochs below this number are over: what still comes of them is dropped on sight */
    _Atomic uint64_t bytes_read;
    _Atomic uint64_t ignored;
    _Atomic uint64_t windows_cut;
    _Atomic uint64_t delivered[LEAT_MAX_SOURCES]; /* rows of each source, by the consumer's thread */
} leat__flow;

/* Chunks of a shard that a local read brings at once; loader/plan.c has room for them. */
enum { LEAT__LANE_BURST = 4 };

/* Of a lane: the stages that read one stream of objects, one after another. */
typedef struct leat__lane {
    /* fixed after creation */
    leat__flow *flow;
    leat__arena *arena;
    leat__budget *budget;
    leat__stock *stock;
    size_t chunk_bytes;           /* of buffers for bytes on the way */
    size_t burst_bytes;           /* room that a local read asks for */
    uint64_t max_sample_bytes;
    bool marks_objects;           /* the end of each object is an item of its own, also of one that ended well */
    char limit_hint[160];         /* where max_sample_bytes comes from, for messages */
    /* atomic */
    _Atomic uint64_t dead;        /* the lane's object of this ordinal (from 1) has failed or is not wanted: stop reading it */
} leat__lane;

static inline bool leat__flow_is_cut(const leat__flow *flow, uint64_t epoch)
{
    return epoch < atomic_load_explicit(&flow->cut, memory_order_relaxed);
}

/* For whoever reads object number `ordinal` of the lane: true if nobody wants the rest. */
static inline bool leat__lane_is_done_with(const leat__lane *lane, uint64_t ordinal, uint64_t epoch)
{
    return atomic_load_explicit(&lane->dead, memory_order_relaxed) == ordinal || leat__flow_is_cut(lane->flow, epoch);
}

/* Gives a chunk of the lane's: bytes (takes, also on failure), the task's end (`last`), or its failure (error: copied; implies
 * last). NULL if memory is short. offset: of the bytes in the object; the task's first chunk is the one at its extent's beginning. */
leat__chunk *leat__chunk_make(leat__lane *lane, const leat__task *task, leat__bytes bytes, uint64_t offset, bool last,
                              const leat_error *error);

/* The same for what has been made of another chunk; offset: in the stream that is being made, whose first chunk is the one at 0. */
leat__chunk *leat__chunk_made_of(leat__lane *lane, const leat__chunk *in, leat__bytes bytes, uint64_t offset, bool last,
                                 const leat_error *error);

/* Notes the stage that found an error, unless one further up has. */
static inline void leat__error_at_stage(leat_error *error, const char *stage)
{
    if (!error->stage[0]) snprintf(error->stage, sizeof error->stage, "%s", stage);
}

#endif
