/* merge.h - the lanes become one stream: a sample from each in turn, or an object from each in turn, or by the course. */
#ifndef LEAT__MERGE_H
#define LEAT__MERGE_H

#include "pipeline/stage.h"
#include "stages/course.h"
#include "stages/flow.h"

/* Whose turn it is. */
typedef struct leat__merge_options {
    unsigned lanes;
    bool by_object;               /* a lane keeps its turn until its object ends, which gives back the order of the listing */
    const leat__course *course;   /* NULL: the samples are not counted; a sample from each lane in turn. Borrows these, as long as the
                                     stage lives */
    leat__flow *flow;
    leat__stock *stock;
    uint64_t first_epoch;         /* with a course: the one that ends first */
} leat__merge_options;

/* State of the stage; concurrency 1, an inbox a lane. NULL if memory is short. */
void *leat__merge_state_new(const leat__merge_options *options);

extern const leat__stage_type leat__merge_type;

#endif
