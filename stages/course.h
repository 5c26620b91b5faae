/* course.h - what a rank delivers: which samples of which source, in which epoch, global batch and row. All of it arithmetic.
 *
 * The *course* is the order of all ranks together, over all epochs: place 0, 1, 2 ... Epoch e is places e * epoch .. (e + 1) *
 * epoch - 1; global batch k of it is the next `batch` of them; slot i of that belongs to rank i mod world, as its row i / world. So
 * a global batch is the same set of samples for every world, and each rank's batches are of one size.
 * Each source contributes samples in its own order: pass after pass, or, if an epoch is one pass, the first `used` of each pass,
 *                                                   and again
 * from its beginning where an epoch is padded. Such a piece is a *segment*.
 * Threads: fixed after creation, but for the passes (order.h: loop thread). */
#ifndef LEAT__COURSE_H
#define LEAT__COURSE_H

#include <leat/config.h>

#include "stages/mix.h"
#include "stages/order.h"

/* A source, as the course sees it. */
typedef struct leat__course_source {
    leat__order *order;     /* borrows */
    uint32_t first_lane;    /* its lanes are numbered from here among those of all sources */
    /* the course's: */
    uint64_t used;          /* samples of a pass that are used */
    uint64_t cycle;         /* samples until the next pass: `used`, or more if an epoch is padded */
} leat__course_source;

typedef struct leat__course {
    leat__course_source *sources;
    unsigned count;
    leat__mix *mix;         /* NULL: one source */
    uint64_t epoch;         /* places of an epoch; > 0. The same for every world */
    uint64_t kept;          /* the first of them that are delivered; the others are no rank's: fewer than ranks */
    uint64_t batch;         /* of a global batch */
    uint64_t steps;         /* global batches of an epoch */
    uint64_t dropped, padded; /* samples of an epoch */
    uint64_t begin, end;    /* places that are delivered; end is UINT64_MAX without one */
    uint32_t rank, world;
} leat__course;

enum { LEAT__COURSE_ROWS_AHEAD = 16384 };

typedef struct leat__course_options {
    const leat__order *const *orders; /* of each source; borrows the orders as long as the course lives */
    const uint32_t *lanes;            /* of each */
    const double *weights;
    unsigned count;
    uint64_t batch, limit, epoch_samples, first_epoch, first_step, epochs; /* as in leat_config */
    leat_remainder remainder;
    uint32_t rank, world;
} leat__course_options;

/* Fills it in. LEAT_EINVAL: an epoch would be empty, a rank would have no rows, numbers beyond 2^62, impossible weights;
 * LEAT_ENOMEM. End it with leat__course_clear, also after a failure. */
leat_code leat__course_init(leat__course *course, const leat__course_options *options, leat_error *error);
void leat__course_clear(leat__course *course);

/* Rows of the rank's full batches. */
uint64_t leat__course_rows(const leat__course *course);

/* The rank's first place that is not below this one (which is at least begin); `end` if there is none. */
uint64_t leat__course_next(const leat__course *course, uint64_t place);
bool leat__course_is_own(const leat__course *course, uint64_t place);

static inline uint64_t leat__course_epoch(const leat__course *course, uint64_t place)
{
    return place / course->epoch;
}

/* How far lanes look ahead of the place that is delivered next: rows enough to keep every lane busy, so that one which has nothing
 * for long need not look for ever. */
static inline uint64_t leat__course_horizon(const leat__course *course, uint64_t place)
{
    uint64_t ahead = LEAT__COURSE_ROWS_AHEAD * (uint64_t)course->world;
    return course->end - place > ahead ? place + ahead : course->end;
}

/* ---- what comes at a place ---- */

typedef struct leat__course_spot {
    unsigned source;
    uint64_t segment;       /* of the source */
    uint64_t position;      /* in the order of the segment's pass */
} leat__course_spot;

leat__course_spot leat__course_at(const leat__course *course, uint64_t place);

/* And back. */
uint64_t leat__course_place(const leat__course *course, const leat__course_spot *spot);

/* The source's first spot at or behind a place. */
leat__course_spot leat__course_from(const leat__course *course, unsigned source, uint64_t place);

/* The pass that a segment brings, and how many of its positions. */
uint64_t leat__course_pass(const leat__course *course, unsigned source, uint64_t segment);
uint64_t leat__course_length(const leat__course *course, unsigned source, uint64_t segment);

#endif
