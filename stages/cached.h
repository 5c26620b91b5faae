/* cached.h - the fetch stage for URLs of shards that are kept on the local disk: tasks in, chunks out. */
#ifndef LEAT__CACHED_H
#define LEAT__CACHED_H

#include "stages/fill.h"
#include "stages/flow.h"

/* State of one lane's stage. Both borrowed, as long as the stage lives. NULL if memory is short. Concurrency 1. */
void *leat__cached_state_new(leat__lane *lane, leat__fills *fills);

extern const leat__stage_type leat__cached_type;

#endif
