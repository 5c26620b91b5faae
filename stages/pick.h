/* pick.h - the source stage of a lane that reads by the order: which parts of which objects it reads. */
#ifndef LEAT__PICK_H
#define LEAT__PICK_H

#include "pipeline/stage.h"
#include "stages/flow.h"
#include "stages/index.h"
#include "stages/walk.h"

typedef struct leat__pick_options {
    const leat__flow *flow;       /* borrows all, as long as the stage lives */
    leat__stock *stock;
    const leat__course *course;
    const leat__object *objects;  /* of the lane's source */
    const leat__index *index;     /* NULL: loose files */
    unsigned source;
    uint32_t lane;                /* of the source */
    uint64_t group_bytes;         /* samples that leave one after another are read together as far as this goes ... */
    uint64_t extent_bytes;        /* ... and neighbours among them in one go up to this */
    uint64_t gap_bytes;           /* also over as much between them that is not wanted, at most half of what is */
} leat__pick_options;

/* State of the stage, without inbox, concurrency 1. NULL if memory is short. */
void *leat__pick_state_new(const leat__pick_options *options);

extern const leat__stage_type leat__pick_type;

#endif
