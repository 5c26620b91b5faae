/* weight.h - what a sample that waits keeps in memory. */
#ifndef LEAT__WEIGHT_H
#define LEAT__WEIGHT_H

#include "stages/flow.h"

/* The sample before, in the order of the lane's stream. Zeroed at first. */
typedef struct leat__weigher {
    const leat__object *object;
    uint64_t end;
} leat__weigher;

/* What a sample keeps alive, at most, wherever the chunks' borders fall: a body that crosses one is a copy of its own (rounded up
 * by a quarter at most, buffer.c); one that does not keeps its whole chunk, which is shared with what lies near it in the shard. So
 * a small file between large ones that nobody wants weighs a chunk, and a thousand samples of two bytes their thousand headers.
 * Samples are to be weighed in the order in which they come. */
uint64_t leat__weigh(leat__weigher *weigher, const leat__lane *lane, const leat__sample *sample);

#endif
