/* file.h - the fetch stage for local files: tasks in, chunks out, read on the I/O pool. */
#ifndef LEAT__FILE_H
#define LEAT__FILE_H

#include "pipeline/stage.h"
#include "stages/flow.h"

/* State of one lane's stage. lane: borrows, as long as the stage lives. NULL if memory is short. Concurrency 1. */
void *leat__file_state_new(leat__lane *lane, uint64_t max_object_bytes);

extern const leat__stage_type leat__file_type;

#endif
