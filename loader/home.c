/* home.c - what batches and samples need for as long as any of them lives.
 *
 * Why so:  a batch that the consumer still holds points to its shard's name and was charged to a budget; its loader may have
 *          been closed. So these things are counted together, and the loader is one of their users.
 * Threads: any. The lock orders the last wake before the pipeline's end. */
#include "loader/home.h"

#include <assert.h>
#include <stdlib.h>

static void home_free(leat__home *home)
{
    leat__stock_release(home->stock);
    leat__arena_release(home->arena);
    leat__origins_free(home->origins);
    pthread_mutex_destroy(&home->lock);
    free(home->lanes);
    free(home);
}

leat__home *leat__home_new(leat__origins *origins, size_t keep_bytes, size_t lane_bytes, size_t ragged_bytes,
                           size_t memory_limit)
{
    leat__home *home = calloc(1, sizeof *home);
    if (!home) {
        leat__origins_free(origins);
        return NULL;
    }
    home->origins = origins;
    atomic_init(&home->references, 1);
    pthread_mutex_init(&home->lock, NULL);
    leat__budget_init(&home->total, NULL, memory_limit, NULL, NULL);
    leat__budget_init(&home->ragged, &home->total, ragged_bytes, leat__home_wake, home);
    home->arena = leat__arena_new(keep_bytes);
    home->stock = leat__stock_new();
    home->lanes = calloc(origins->lanes, sizeof *home->lanes);
    if (!home->arena || !home->stock || !home->lanes) {
        home_free(home);
        return NULL;
    }
    for (unsigned i = 0; i < origins->lanes; i++) leat__budget_init(&home->lanes[i], &home->total, lane_bytes, leat__home_wake, home);
    return home;
}

void leat__home_share(leat__home *home)
{
    size_t before = atomic_fetch_add(&home->references, 1);
    assert(before > 0);
    (void)before;
}

void leat__home_release(leat__home *home)
{
    if (home && atomic_fetch_sub(&home->references, 1) == 1) home_free(home);
}

void leat__home_set_pipeline(leat__home *home, leat__pipeline *pipeline)
{
    pthread_mutex_lock(&home->lock);
    home->pipeline = pipeline;
    pthread_mutex_unlock(&home->lock);
}

void leat__home_wake(void *argument)
{
    leat__home *home = argument;
    pthread_mutex_lock(&home->lock);
    if (home->pipeline) leat__pipeline_wake(home->pipeline);
    pthread_mutex_unlock(&home->lock);
}
