/* pipeline.h - a loop, two pools and the stages that live on them; start, failure and close.
 *
 * States: building --start--> running --close--> closing (every operation cancelled or run to its end) --> closed (freed).
 * A stream that ends or fails leaves the pipeline running: the consumer sees it at the outlet. */
#ifndef LEAT__PIPELINE_H
#define LEAT__PIPELINE_H

#include "pipeline/env.h"
#include "pipeline/loop.h"
#include "pipeline/outlet.h"
#include "pipeline/stage.h"

typedef struct leat__pipeline_options {
    const leat__env *env;  /* NULL: the real one. Borrows, until close */
    unsigned threads;      /* CPU workers; 0: jobs of both pools run on the loop thread, for tests */
    unsigned io_threads;
} leat__pipeline_options;

/* Makes a pipeline with its threads. *pipeline: gives, to be ended by leat__pipeline_close. */
leat_code leat__pipeline_new(const leat__pipeline_options *options, leat__pipeline **pipeline, leat_error *error);

/* Where the last stage's results go. Before start; the outlet outlives the pipeline (borrows). */
void leat__pipeline_set_outlet(leat__stage *last, leat__outlet *outlet);

/* Something of the loader's that has handles on the loop: called there once every operation has ended, it closes them and then
 * calls leat__pipeline_closer_done. Before start. */
typedef struct leat__closer {
    struct leat__closer *next;
    void (*close)(struct leat__closer *closer, leat__pipeline *pipeline);
} leat__closer;
void leat__pipeline_add_closer(leat__pipeline *pipeline, leat__closer *closer);
void leat__pipeline_closer_done(leat__pipeline *pipeline);

/* Begins to run. Thread: any. */
void leat__pipeline_start(leat__pipeline *pipeline);

/* Has every stage look again: a budget has room, a batch has come back. Thread: any. */
void leat__pipeline_wake(leat__pipeline *pipeline);

/* Stops everything and frees it (takes; NULL is fine): queued jobs are dropped, running ones told to end (op->cancelled,
 * leat__pipeline_stop_flag) and waited for. Thread: any but the pipeline's own. Blocks. */
void leat__pipeline_close(leat__pipeline *pipeline);

/* Set while the pipeline closes: long jobs poll it and end early. Thread: any. */
const atomic_bool *leat__pipeline_stop_flag(const leat__pipeline *pipeline);

leat__loop *leat__pipeline_loop(leat__pipeline *pipeline);
const leat__env *leat__pipeline_env(const leat__pipeline *pipeline);

/* Fills up to LEAT_MAX_STAGES rows, one for each name of a stage in the order of their making; returns how many.
 * Thread: any but the loop's. Blocks: until the loop thread has answered. */
size_t leat__pipeline_get_stats(leat__pipeline *pipeline, leat_stage_stats *stages);

/* True on the loop thread; true in a job of either pool: for assertions. */
bool leat__pipeline_on_loop(const leat__pipeline *pipeline);
bool leat__pipeline_on_worker(const leat__pipeline *pipeline);

#define LEAT__ASSERT_LOOP(pipeline) assert(leat__pipeline_on_loop(pipeline))
#define LEAT__ASSERT_JOB(pipeline) assert(leat__pipeline_on_worker(pipeline))

#endif
