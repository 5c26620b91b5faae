/* arrange.h - brings a lane's samples, which come as they are stored, into the order in which they leave. */
#ifndef LEAT__ARRANGE_H
#define LEAT__ARRANGE_H

#include "pipeline/stage.h"
#include "stages/flow.h"
#include "stages/index.h"
#include "stages/walk.h"

typedef struct leat__arrange_options {
    leat__lane *lane;               /* borrows all, as long as the stage lives */
    const leat__course *course;
    const leat__object *objects;    /* of the lane's source */
    const leat__index *index;       /* of the source */
    unsigned source;
    uint32_t number;                /* of the lane in its source */
    uint64_t held_bytes;            /* what may wait of shards that are read whole, as leat__weigh weighs it */
} leat__arrange_options;

/* State of the stage; concurrency 1. NULL if memory is short. */
void *leat__arrange_state_new(const leat__arrange_options *options);

extern const leat__stage_type leat__arrange_type;

#endif
