/* walk.c - goes through what one lane delivers of a course.
 *
 * What:    number after number of the lane, segment after segment. From one that is another rank's it goes to the lane's first at
 *          or behind the next place that is this rank's.
 * Why so:  no lane has to wait for another to hear what is its own, and the cost is that of the rank's own samples, some 50 ns for
 *          each lane, whatever the number of ranks.
 * Threads: loop thread. */
#include "stages/walk.h"

#include <assert.h>

/* Sets the walk to a segment, at the first number whose position is not below `position`. */
static bool enter(leat__walk *walk, uint64_t segment, uint64_t position)
{
    const leat__course *course = walk->course;
    leat__pass_release(walk->pass);
    walk->segment = segment;
    walk->pass = leat__pass_take(course->sources[walk->source].order, leat__course_pass(course, walk->source, segment));
    if (!walk->pass) return false;
    walk->n = leat__pass_lane_before(walk->pass, walk->lane, position);
    walk->end = leat__pass_lane_before(walk->pass, walk->lane, leat__course_length(course, walk->source, segment));
    return true;
}

bool leat__walk_begin(leat__walk *walk, const leat__course *course, unsigned source, uint32_t lane)
{
    *walk = (leat__walk){.course = course, .source = source, .lane = lane};
    leat__course_spot spot = leat__course_from(course, source, course->begin);
    return enter(walk, spot.segment, spot.position);
}

void leat__walk_end(leat__walk *walk)
{
    leat__pass_release(walk->pass);
    walk->pass = NULL;
}

static uint64_t place_of(const leat__course *course, unsigned source, uint64_t segment, const leat__pass *pass, uint32_t lane,
                         uint64_t n)
{
    leat__course_spot spot = {.source = source, .segment = segment,
                              .position = leat__pass_position(pass, (leat__spot){.lane = lane, .n = n})};
    return leat__course_place(course, &spot);
}

/* Goes on to the lane's first number at or behind a place; *step: set if there is none before `until`, or memory is short. */
static bool go_to(leat__walk *walk, uint64_t place, uint64_t until, leat__walk_step *step)
{
    *step = LEAT__WALK_NONE;
    if (place >= until) return false;
    leat__course_spot spot = leat__course_from(walk->course, walk->source, place);
    if (spot.segment == walk->segment) {
        uint64_t n = leat__pass_lane_before(walk->pass, walk->lane, spot.position);
        if (n > walk->n) walk->n = n;
        return true;
    }
    if (leat__course_place(walk->course, &spot) >= until) return false;
    *step = LEAT__WALK_NO_MEMORY;
    return enter(walk, spot.segment, spot.position);
}

leat__walk_step leat__walk_find(leat__walk *walk, uint64_t until, leat__wanted *wanted)
{
    const leat__course *course = walk->course;
    leat__walk_step step;
    for (;;) {
        leat__course_spot next = {.source = walk->source, .segment = walk->segment + 1};
        uint64_t place = walk->n < walk->end ? place_of(course, walk->source, walk->segment, walk->pass, walk->lane, walk->n)
                                             : leat__course_place(course, &next);
        if (place >= until) return LEAT__WALK_NONE;
        uint64_t own = leat__course_next(course, place);
        if (walk->n >= walk->end || own != place) {
            if (!go_to(walk, own, until, &step)) return step;
            continue;
        }
        leat__window_set(&walk->window, walk->pass, walk->lane, walk->n);
        uint64_t stored = leat__window_stored(&walk->window, walk->n);
        *wanted = (leat__wanted){.segment = walk->segment, .n = walk->n, .place = place,
                                 .pass = leat__course_pass(course, walk->source, walk->segment),
                                 .stored = leat__pass_stored(walk->pass, walk->lane, stored)};
        return LEAT__WALK_WANTED;
    }
}

void leat__walk_on(leat__walk *walk)
{
    assert(walk->n < walk->end);
    walk->n++;
}

void leat__walk_skip(leat__walk *walk, uint64_t n)
{
    if (n > walk->n) walk->n = n < walk->end ? n : walk->end;
}

bool leat__walk_wants(const leat__course *course, unsigned source, uint32_t lane, uint64_t segment, const leat__pass *pass,
                      leat__window *window, uint64_t stored, uint64_t *n)
{
    leat__window_set(window, pass, lane, stored);
    *n = leat__window_leaves(window, stored);
    uint64_t position = leat__pass_position(pass, (leat__spot){.lane = lane, .n = *n});
    if (position >= leat__course_length(course, source, segment)) return false;
    leat__course_spot spot = {.source = source, .segment = segment, .position = position};
    uint64_t place = leat__course_place(course, &spot);
    return place >= course->begin && place < course->end && leat__course_is_own(course, place);
}
