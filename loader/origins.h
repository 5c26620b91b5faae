/* origins.h - the sources of a loader: what each of them lists, how many samples it has, in which order they come. */
#ifndef LEAT__ORIGINS_H
#define LEAT__ORIGINS_H

#include "stages/course.h"
#include "stages/index.h"
#include "stages/source.h"

/* One source. */
typedef struct leat__origin {
    char name[64];              /* for the statistics: redacted, escaped, cut */
    double weight;              /* as given */
    leat__listing *listing;
    leat__index *index;         /* NULL: none, or loose files */
    uint32_t lanes;             /* chosen by the plan */
    leat__order *order;         /* NULL until leat__origins_order, or not counted */
} leat__origin;

typedef struct leat__origins {
    leat__origin *all;
    size_t count;
    uint32_t lanes;             /* of all */
    bool counted;               /* the number of samples of each is known */
    leat__course course;        /* if counted, after leat__origins_order */
} leat__origins;

/* Lists the sources of a config (with its choices made) and finds their indexes. *origins: gives, to be ended by
 * leat__origins_free. LEAT_EINVAL also for what needs counts where there are none: several sources or ranks, epoch_samples. Blocks. */
leat_code leat__origins_open(const leat_config *config, leat__origins **origins, leat_error *error);
void leat__origins_free(leat__origins *origins); /* takes; NULL is fine */

/* Once each has its lanes: the order of counted ones. config: as it runs, epoch and step included. */
leat_code leat__origins_order(leat__origins *origins, const leat_config *config, leat_error *error);

uint64_t leat__origins_objects(const leat__origins *origins);

/* True if the config cannot do without counts, or resumes a run that had them; else they may be forgotten, of a single source. */
bool leat__origins_need_counts(const leat_config *config);
void leat__origins_forget_counts(leat__origins *origins);

/* True if any source has shards, or URLs. */
bool leat__origins_have_shards(const leat__origins *origins);
bool leat__origins_have_urls(const leat__origins *origins);

#endif
