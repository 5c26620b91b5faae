/* order_survey.h - how well an order mixes: what leat order --quality says. */
#ifndef CLI_ORDER_SURVEY_H
#define CLI_ORDER_SURVEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct order_survey order_survey;

/* What the survey found, beside what a perfect shuffle of the same samples would have on average. */
typedef struct order_quality {
    uint64_t samples, batches;
    uint64_t groups;           /* shards, or classes of loose files */
    bool classes;
    double distance[2];        /* of neighbours' places in the data: found, perfect; NaN: fewer than 2 samples */
    double same_group[2];      /* share of neighbours from one group */
    double batch_groups[2];    /* groups in a batch, on average */
    uint64_t batch_groups_least; /* of the batches of the largest size */
    double mixing;             /* the worst of the three against perfect, 0..1; NaN: too little to say */
} order_quality;

/* Gives; NULL if memory is short. */
order_survey *order_survey_new(void);

/* Frees it (takes; NULL is fine). */
void order_survey_free(order_survey *survey);

/* Adds the next sample of the order: its global batch, the shard or file it is in, its number there, and its class by folder
 * (-1: none). False if memory is short. */
bool order_survey_add(order_survey *survey, uint64_t step, const char *shard, uint64_t index, int64_t class_number);

/* Sums up. False if memory is short. */
bool order_survey_end(order_survey *survey, order_quality *quality);

/* One sentence, static. */
const char *order_verdict(const order_quality *quality);

#endif
