/* walk.h - goes through what one lane delivers of a course: its samples that are this rank's, in their order. */
#ifndef LEAT__WALK_H
#define LEAT__WALK_H

#include "stages/course.h"

typedef struct leat__walk {
    /* fixed after leat__walk_begin */
    const leat__course *course;
    unsigned source;
    uint32_t lane;          /* of the source */
    /* where it stands: number n of the segment's pass leaves the lane next, if it is wanted */
    uint64_t segment;
    leat__pass *pass;
    uint64_t n, end;        /* numbers of the segment end before `end` */
    leat__window window;
} leat__walk;

/* A sample that is wanted. */
typedef struct leat__wanted {
    uint64_t segment;
    uint64_t n;             /* in the order in which the segment's samples leave the lane */
    uint64_t place;         /* in the course */
    uint64_t pass;
    leat__stored stored;
} leat__wanted;

/* Begins at the course's beginning. False if memory is short. leat__walk_end frees what it has, also then. */
bool leat__walk_begin(leat__walk *walk, const leat__course *course, unsigned source, uint32_t lane);
void leat__walk_end(leat__walk *walk);

typedef enum leat__walk_step { LEAT__WALK_WANTED, LEAT__WALK_NONE, LEAT__WALK_NO_MEMORY } leat__walk_step;

/* Finds the next wanted sample and stays there; leat__walk_on goes past it. NONE: there is none before place `until` (which is at
 * most the course's end and never comes down from call to call). */
leat__walk_step leat__walk_find(leat__walk *walk, uint64_t until, leat__wanted *wanted);
void leat__walk_on(leat__walk *walk);

/* Goes on to number n of the segment, or to its end; never back. */
void leat__walk_skip(leat__walk *walk, uint64_t n);

/* Whether a sample, number `stored` of the lane as it is stored, is wanted in a segment, and if so when it leaves. The pass is the
 * segment's. window: the caller's. */
bool leat__walk_wants(const leat__course *course, unsigned source, uint32_t lane, uint64_t segment, const leat__pass *pass,
                      leat__window *window, uint64_t stored, uint64_t *n);

#endif
