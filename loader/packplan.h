/* packplan.h - which local files become which sample of which shard. */
#ifndef LEAT__PACKPLAN_H
#define LEAT__PACKPLAN_H

#include "loader/packjob.h"

/* A sample: `fields` objects of the listing from `first` on. 0 fields: it is left out. */
typedef struct leat__pack_sample {
    size_t first;
    uint32_t fields;
} leat__pack_sample;

typedef struct leat__pack_plan {
    uint64_t *sizes;             /* bytes of each object, by its number in the listing */
    leat__pack_sample *samples;  /* in the order they are written */
    size_t count;
    size_t *shard_begins;        /* shards + 1 positions in samples */
    size_t shards;
    size_t longest_name;         /* of an entry, bytes, NUL included */
} leat__pack_plan;

/* Plans the run: looks at every file's size, groups files of one key, permutes, cuts into shards. The same files give
 * the same plan. Samples that can't be had are counted by leat__pack_failed. *plan: gives, also on failure, to be ended
 * by leat__pack_plan_end. */
leat_code leat__pack_plan_make(leat__pack_job *job, leat__pack_plan *plan, leat_error *error);

void leat__pack_plan_end(leat__pack_plan *plan);

/* The entry's name of object `object`: "key.field". */
void leat__pack_entry_name(const leat__object *object, char *name, size_t capacity);

/* The .cls entry that a sample of this object gets: its name and text. False: none (no class, or the sample has a field
 * cls of its own). sample: of job->listing. */
bool leat__pack_class_entry(const leat__pack_job *job, const leat__pack_sample *sample, char *name, size_t capacity,
                            char text[24]);

#endif
