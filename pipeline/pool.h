/* pool.h - worker threads for jobs: one pool for the CPU, one for files. */
#ifndef LEAT__POOL_H
#define LEAT__POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <leat/error.h>

#include "pipeline/env.h"

typedef struct leat__pool leat__pool;

/* A job belongs to the pool from submit until it is taken back by leat__pool_take_done. */
typedef struct leat__job {
    struct leat__job *next;
    void (*run)(struct leat__job *job); /* on a worker: owns the job's input and output, touches nothing else */
    uint64_t run_ns;                    /* how long it ran */
    bool cancelled;                     /* dropped before it ran */
} leat__job;

/* Starts `threads` workers named leat-NAME-n. Done jobs are announced by on_done(user), on the worker: at once while
 * the workers may soon have nothing to do, else now and then; at least once after the last one. threads 0: jobs run one at a time
 * where leat__pool_run_one is called, and nothing is announced. env: borrows, until free.
 * *pool: gives, to be ended by leat__pool_free. */
leat_code leat__pool_new(const char *name, unsigned threads, const leat__env *env, void (*on_done)(void *user), void *user,
                         leat__pool **pool, leat_error *error);

/* Puts a job aside for the next leat__pool_flush, which hands all of them over at once. Loop thread. */
void leat__pool_submit(leat__pool *pool, leat__job *job);
void leat__pool_flush(leat__pool *pool);

/* Takes back every job that has finished, oldest first unless the env picks otherwise; NULL if there is none. Loop thread. */
leat__job *leat__pool_take_done(leat__pool *pool);

/* True if some worker may soon have nothing to do: the queue has no job for each. If not, on_done will be called. Any thread. */
bool leat__pool_is_short(leat__pool *pool);

/* True while there are jobs that have been handed over and not taken back. Loop thread. */
bool leat__pool_is_busy(const leat__pool *pool);

/* Runs one queued job on this thread; false if there is none. Only with threads == 0. Loop thread. */
bool leat__pool_run_one(leat__pool *pool);

/* Drops every job that has not begun: they come back cancelled. Loop thread. */
void leat__pool_cancel_queued(leat__pool *pool);

/* True while this thread runs a job of this pool. */
bool leat__pool_is_here(const leat__pool *pool);

/* Ends the workers (takes; NULL is fine). Jobs accepted == jobs taken back: asserted. */
void leat__pool_free(leat__pool *pool);

#endif
