/* toys.h - toy stages for engine tests and the engine's benchmark: numbers in, numbers out. */
#ifndef LEAT_TOYS_H
#define LEAT_TOYS_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "pipeline/pipeline.h"

typedef struct toy_number {
    leat__item item;
    uint64_t value;
} toy_number;

extern atomic_size_t toys_live; /* numbers that exist: 0 at the end of every test */

toy_number *toy_number_new(uint64_t value);
uint64_t toy_value(const leat__item *item);

/* A source of numbers 0..count-1, after each `epoch` of them a marker (0: none). */
typedef struct toy_source {
    uint64_t count, epoch, next;
} toy_source;
extern const leat__stage_type toy_source_type;

extern const leat__stage_type toy_pass_type;   /* on the loop: one to one */
extern const leat__stage_type toy_add_type;    /* in the pool: one to one, value + 1 */
extern const leat__stage_type toy_io_type;     /* in the I/O pool: one to one, value + 1 */
extern const leat__stage_type toy_repeat_type; /* in the pool: one to many, MORE after each: value * 10 + 0..value % 4 - 1 */
extern const leat__stage_type toy_sum_type;    /* on the loop: many to one, sums of 3; the rest at a marker or the end */
extern const leat__stage_type toy_timer_type;  /* later: one to one, after value % 3 ms */
extern const leat__stage_type toy_hang_type;   /* later: never */
extern const leat__stage_type toy_fail_type;   /* in the pool: passes on, fails at the value that state points to */
extern const leat__stage_type toy_merge_type;  /* on the loop: takes from each inbox in turn */
extern const leat__stage_type toy_park_type;   /* in the pool: waits for the semaphore that state points to */

#endif
