/* merge.h - the lanes become one stream: a sample from each in turn, or an object from each in turn. */
#ifndef LEAT__MERGE_H
#define LEAT__MERGE_H

#include "pipeline/stage.h"
#include "stages/flow.h"

/* State of the stage; concurrency 1, an inbox a lane. by_object: a lane keeps its turn until its object ends, which gives
 * back the order of the listing. NULL if memory is short. */
void *leat__merge_state_new(unsigned lanes, bool by_object);

extern const leat__stage_type leat__merge_type;

#endif
