/* shuffle.h - permutes a lane's samples window by window. */
#ifndef LEAT__SHUFFLE_H
#define LEAT__SHUFFLE_H

#include "pipeline/stage.h"
#include "stages/flow.h"

typedef struct leat__shuffle_options {
    leat__lane *lane;       /* borrows, as long as the stage lives */
    uint64_t number;        /* of the lane */
    uint64_t seed;
    uint32_t window;        /* samples, >= 2 */
    uint64_t window_bytes;  /* a window ends early before the sample that would take what it keeps in memory over this */
} leat__shuffle_options;

/* State of one lane's stage; concurrency 1. NULL if memory is short. */
void *leat__shuffle_state_new(const leat__shuffle_options *options);

extern const leat__stage_type leat__shuffle_type;

#endif
