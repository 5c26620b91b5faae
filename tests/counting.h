/* counting.h - random cases of orders, and the same orders by counting: what tests of order, mix, course and walk have in common.
 *
 * Every random case is named by its number, which seeds all of its draws; LEAT_MORE_CASES=N runs N times as many. */
#ifndef LEAT_TEST_COUNTING_H
#define LEAT_TEST_COUNTING_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "stages/mix.h"
#include "stages/order.h"

enum { MOST_OBJECTS = 40, MOST_LANES = 20, MOST_PASSES = 4096 };

/* ---- cases ---- */

extern uint64_t number; /* of the case */

void begin_case(uint64_t n);
uint64_t draw(uint64_t bound); /* 0..bound - 1 */
uint64_t cases(uint64_t usual);

/* In inner loops: ck_assert_* would write a line to disk each time. */
#define same(is, expected) \
    do { \
        uint64_t ck_is = (uint64_t)(is), ck_expected = (uint64_t)(expected); \
        if (ck_is != ck_expected) \
            ck_abort_msg("case %llu: %s is %llu, expected %llu", (unsigned long long)number, #is, (unsigned long long)ck_is, \
                         (unsigned long long)ck_expected); \
    } while (0)
#define holds(condition) same(!!(condition), 1)

/* Zeroed; at least a byte. gives: free. */
void *room(size_t count, size_t size);

/* ---- a source, and its order by counting ---- */

typedef struct model_sample {
    uint64_t object, index; /* what comes */
    uint64_t n;             /* from where: number n of the lane, stored there as number `stored` */
    uint64_t stored;
    uint32_t lane;
} model_sample;

typedef struct origin {
    leat__order_options options;
    uint64_t counts[MOST_OBJECTS];
    uint64_t samples;
    leat__order *order;
    model_sample *passes[MOST_PASSES]; /* made when they are asked for */
} origin;
/* Any source: its kind, its empty shards, its lanes, also more of them than shards. gives: origin_free. */
origin *random_origin(uint32_t source, uint64_t spread);
void origin_free(origin *o);

/* The number of the object that is at a place of the pass's permutation, or of the listing. */
uint64_t object_at(const origin *o, uint64_t pass, uint64_t place);

/* What comes at each position of a pass. Lives as long as the origin. */
const model_sample *model_pass(origin *o, uint64_t pass);

/* ---- what is tested ---- */

leat__pass *take_pass(leat__order *order, uint64_t pass);

/* What leaves a lane as number n. */
leat__stored look_up(const leat__pass *pass, leat__spot spot);

leat__mix *new_mix(const double *weights, unsigned count);

enum { BIG_SHARDS = 100000, BIG_LANES = 16 };

/* A billion samples; counts: [BIG_SHARDS], filled in. */
leat__order *big_order(uint64_t *counts, bool shuffled);

#endif
