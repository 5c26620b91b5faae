/* rows.h - gives each sample its row in a batch, before it is decoded. */
#ifndef LEAT__ROWS_H
#define LEAT__ROWS_H

#include "pipeline/stage.h"
#include "stages/flow.h"
#include "stages/tensors.h"

typedef struct leat__rows_options {
    leat__flow *flow;            /* borrows all, as long as the stage lives */
    leat__schema *schema;        /* its unknown arrays are filled in by the first sample that has them */
    leat__batches *batches;
    leat__budget *ragged_budget;
    uint64_t limit;              /* samples an epoch; 0: all that come */
    uint64_t first_step;         /* of the first batch */
    uint64_t skip;               /* samples that are passed over before it, in the first epoch */
    uint64_t memory_limit;       /* for messages */
    /* Loop thread, under the batches' lock: nothing can go on until the consumer gives a batch back, and why. That is over when
     * the batches' wake is called. */
    void (*stuck)(void *user, const leat_error *error);
    void *user;
} leat__rows_options;

/* State of the stage; concurrency 1. NULL if memory is short. */
void *leat__rows_state_new(const leat__rows_options *options);

extern const leat__stage_type leat__rows_type;

#endif
