/* failures.h - the list of what failed, and whether the run may go on. */
#ifndef LEAT__FAILURES_H
#define LEAT__FAILURES_H

#include <pthread.h>

#include <leat/config.h>

#include "stages/items.h"

typedef struct leat__failures {
    /* fixed after creation */
    leat_on_error on_error;
    uint64_t max_errors;
    /* under the lock */
    pthread_mutex_t lock;
    uint64_t count;
    leat_error *kept;  /* the first LEAT_ERRORS_KEPT */
    size_t capacity;
} leat__failures;

void leat__failures_init(leat__failures *failures, leat_on_error on_error, uint64_t max_errors);
void leat__failures_destroy(leat__failures *failures);

/* Books a failed sample or object. LEAT_OK: go on; else *error says why the run ends. Loop thread. */
leat_code leat__failures_judge(leat__failures *failures, const leat__sample *sample, leat_error *error);

/* As leat_errors. Any thread. */
uint64_t leat__failures_get(leat__failures *failures, leat_error *errors, size_t capacity);

#endif
