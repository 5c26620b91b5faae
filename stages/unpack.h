/* unpack.h - the unpack stage: chunks in, samples out. */
#ifndef LEAT__UNPACK_H
#define LEAT__UNPACK_H

#include "pipeline/stage.h"
#include "stages/flow.h"

/* State of one lane's stage. lane: borrows, as long as the stage lives. NULL if memory is short. Concurrency 1. */
void *leat__unpack_state_new(leat__lane *lane);

extern const leat__stage_type leat__unpack_type;

#endif
