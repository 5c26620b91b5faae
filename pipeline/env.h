/* env.h - what the engine takes from the world besides threads: the time, chance, and the order of finished jobs.
 *
 * One small table, so that a test can put a seeded world in its place: with `threads` 0 every job runs on the loop thread,
 * one at a time, in the order that pick says, and a run is a function of the seed. */
#ifndef LEAT__ENV_H
#define LEAT__ENV_H

#include <stddef.h>
#include <stdint.h>

typedef struct leat__env {
    uint64_t (*now_ns)(void *user);                      /* monotonic; called on any thread */
    uint64_t (*random)(void *user);                      /* for back-off, never for data; loop thread */
    size_t (*pick)(void *user, size_t count);            /* which of `count` (> 0) jobs is next; NULL: the oldest; loop thread */
    uint64_t (*delay_ns)(void *user, const char *stage); /* how long a step of this stage is held back; NULL: not; loop thread */
    void *user;
} leat__env;

/* The real world: CLOCK_MONOTONIC, getrandom. Static. */
const leat__env *leat__env_real(void);

#endif
