/* deal.h - the source stage of a lane: which objects it reads, epoch after epoch.
 *
 * Order of an epoch: the listing's objects permuted by (seed, epoch), or as they are listed; the one at position p goes to lane
 * p mod lanes. Each epoch ends with a marker that carries its number. */
#ifndef LEAT__DEAL_H
#define LEAT__DEAL_H

#include "pipeline/random.h"
#include "pipeline/stage.h"
#include "stages/draws.h"
#include "stages/flow.h"

typedef struct leat__deal_options {
    const leat__flow *flow;       /* borrows all three, as long as the stage lives */
    leat__stock *stock;
    const leat__object *objects;
    uint64_t count;               /* >= 1 */
    uint64_t lane, lanes;
    uint64_t seed, first_epoch;
    uint64_t epochs;              /* 0: without end */
    bool shuffled;
} leat__deal_options;

void *leat__deal_state_new(const leat__deal_options *options); /* NULL if memory is short */

extern const leat__stage_type leat__deal_type;

#endif
