/* collate.h - puts decoded rows together to finished batches, and judges what failed. */
#ifndef LEAT__COLLATE_H
#define LEAT__COLLATE_H

#include "pipeline/stage.h"
#include "stages/flow.h"
#include "stages/tensors.h"

typedef struct leat__collate_options {
    bool drop_last, substitute;
    /* Loop thread, in the order of the data: a sample or object has failed (sample->error). LEAT_OK: go on; else the run ends with
     * *error. */
    leat_code (*judge)(void *user, const leat__sample *sample, leat_error *error);
    void *user;
} leat__collate_options;

/* State of the stage; concurrency 1. NULL if memory is short. */
void *leat__collate_state_new(const leat__collate_options *options);

extern const leat__stage_type leat__collate_type;

#endif
