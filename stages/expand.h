/* expand.h - the decompress stage: chunks in, chunks out; what is not packed passes through untouched. */
#ifndef LEAT__EXPAND_H
#define LEAT__EXPAND_H

#include "pipeline/stage.h"
#include "stages/decompress.h"
#include "stages/flow.h"

/* State of one lane's stage. lane: borrows, as long as the stage lives. NULL if memory is short. Concurrency 1. */
void *leat__expand_state_new(leat__lane *lane, const leat__decompress_limits *limits);

extern const leat__stage_type leat__expand_type;

#endif
