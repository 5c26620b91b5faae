/* home.h - what batches and samples need for as long as any of them lives, which may be longer than their loader. */
#ifndef LEAT__HOME_H
#define LEAT__HOME_H

#include "pipeline/pipeline.h"
#include "loader/origins.h"

typedef struct leat__home {
    /* fixed after creation */
    leat__arena *arena;
    leat__stock *stock;
    leat__origins *origins;     /* with the names of shards */
    leat__budget total;         /* of everything in flight: for the statistics */
    leat__budget ragged;
    leat__budget *lanes;
    /* under the lock */
    pthread_mutex_t lock;
    leat__pipeline *pipeline;   /* to wake when there is room; NULL: gone, or not yet there */
    /* atomic */
    atomic_size_t references;
} leat__home;

/* Makes a home with one reference. origins: takes. NULL if memory is short. */
leat__home *leat__home_new(leat__origins *origins, size_t keep_bytes, size_t lane_bytes, size_t ragged_bytes,
                           size_t memory_limit);

void leat__home_share(leat__home *home);
void leat__home_release(leat__home *home); /* takes; NULL is fine */

/* Whom to wake; NULL before it goes. Threads: any. */
void leat__home_set_pipeline(leat__home *home, leat__pipeline *pipeline);

/* Wakes the pipeline, if it is still there; fits budgets' and batches' wake. Threads: any. */
void leat__home_wake(void *home);

#endif
