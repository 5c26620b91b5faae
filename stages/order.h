/* order.h - in which order the samples of one source come, where they are counted: pass after pass, all of it arithmetic.
 *
 * A pass brings each sample once. Its order is a position 0..samples - 1 for each; a *lane* is a part of it that is read in one go:
 * lane, and number in the lane, for each position, and back.
 *
 *     shards, shuffled   the shards permuted by (seed, pass) and dealt to the lanes in turn; a lane is the samples of its shards,
 *     cut into
 *                        windows, each window permuted by (seed, pass, lane, window); the order takes one of each lane in turn, a
 *                        lane that has ended is passed over
 *     files, shuffled    one permutation of the files
 *     as listed          object after object; an object is read by lane number mod lanes
 *
 * So the shuffled order of shards depends on the number of lanes, the others do not. The streams of sources that are not counted
 * (deal.c, shuffle.c, merge.c) come to the same order without knowing positions.
 * Threads: loop thread (passes are shared without a lock), or any one thread. */
#ifndef LEAT__ORDER_H
#define LEAT__ORDER_H

#include <stdbool.h>

#include "pipeline/random.h"

typedef struct leat__order_options {
    uint64_t objects;       /* >= 1, < 2^32 */
    const uint64_t *counts; /* samples of each object (borrows); NULL: one each, loose files */
    uint32_t lanes;         /* 1..256 */
    uint32_t window;        /* samples; 1: none */
    bool shuffled;
    uint64_t seed;
    uint32_t source;        /* number of the source among several: tells their draws apart */
    uint64_t spread;        /* files: so many positions in a row are of one lane. With the number of ranks every rank uses all lanes */
} leat__order_options;

typedef struct leat__order leat__order;

leat__order *leat__order_new(const leat__order_options *options); /* gives; NULL if memory is short */
void leat__order_free(leat__order *order);                        /* takes; NULL is fine; every pass has been released */
uint64_t leat__order_samples(const leat__order *order);           /* of a pass; over 2^62: too many, take no pass */

/* ---- a pass ---- */

typedef struct leat__pass leat__pass;

/* Gives a pass (shares: a few are kept, and made once for all who ask); NULL if memory is short. Costs some 50 ns a shard. */
leat__pass *leat__pass_take(leat__order *order, uint64_t number);
void leat__pass_release(leat__pass *pass); /* NULL is fine */

/* Number n of a lane's samples, in the order in which they leave it. */
typedef struct leat__spot {
    uint32_t lane;
    uint64_t n;
} leat__spot;

/* Position to spot, and back. */
leat__spot leat__pass_spot(const leat__pass *pass, uint64_t position);
uint64_t leat__pass_position(const leat__pass *pass, leat__spot spot);

uint64_t leat__pass_lane_samples(const leat__pass *pass, uint32_t lane);

/* How many of the lane's samples have positions below this one. */
uint64_t leat__pass_lane_before(const leat__pass *pass, uint32_t lane, uint64_t position);

/* ---- what is stored where ---- */

/* A window of a lane; keep one and set it on: it is the same for as many samples as it has. Zeroed at first. */
typedef struct leat__window {
    uint64_t pass;          /* its number, plus 1 */
    uint32_t lane;
    uint64_t first, size;   /* of the lane's samples */
    leat__permutation permutation;
} leat__window;

/* Sets it to the window that has sample n of the lane, as it leaves or as it is stored: both are in the same one. */
void leat__window_set(leat__window *window, const leat__pass *pass, uint32_t lane, uint64_t n);

/* The sample that leaves as number n is number .. of the lane as it is stored; and back. */
uint64_t leat__window_stored(const leat__window *window, uint64_t n);
uint64_t leat__window_leaves(const leat__window *window, uint64_t stored);

/* An object of a lane, and a sample in it. */
typedef struct leat__stored {
    uint64_t object;        /* number in the source */
    uint64_t ordinal;       /* of the object in the lane */
    uint64_t base;          /* number in the lane, as stored, of the object's sample 0 */
    uint64_t index;         /* of the sample in the object */
} leat__stored;

/* The object that has sample number `stored` of the lane. Logarithmic in the lane's objects. */
leat__stored leat__pass_stored(const leat__pass *pass, uint32_t lane, uint64_t stored);

/* The lane's object of that ordinal (index 0); false past the last. */
bool leat__pass_object(const leat__pass *pass, uint32_t lane, uint64_t ordinal, leat__stored *stored);

#endif
