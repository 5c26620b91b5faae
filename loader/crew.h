/* crew.h - threads that share out numbered tasks, while their caller looks on. */
#ifndef LEAT__CREW_H
#define LEAT__CREW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <leat/error.h>

typedef struct leat__crew {
    const char *name;      /* of the threads: at most 15 characters */
    uint64_t tasks;        /* numbered from 0 */
    uint64_t threads;      /* at most */
    void *job;             /* what they share */
    atomic_bool *stopping; /* set by the first failure, or by anyone: no further task is begun */
    /* Called now and then on the caller's thread. */
    void (*look)(void *job);
    /* A thread's own state, before its first task. NULL: it failed. Each: any thread of the crew. */
    void *(*begin)(void *job, leat_error *error);
    leat_code (*run)(void *state, uint64_t task, leat_error *error);
    void (*end)(void *state);
} leat__crew;

/* Runs every task once. *unfinished: tasks were left over, as stopping was set by someone else. Returns the first failure.
 * Thread: any. Blocks: till done. */
leat_code leat__crew_run(const leat__crew *crew, bool *unfinished, leat_error *error);

#endif
