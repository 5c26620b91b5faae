/* course.c - what a rank delivers.
 *
 * What:    divisions. A place is (epoch, step, slot); a source's samples are numbered over all of its passes by the mix; such a
 *          number is (cycle, segment of it, position in the pass).
 * Why so:  every lane can compute by itself which of its samples this rank delivers, and when; nobody has to tell it, and nothing
 *          has to be remembered to go on anywhere.
 * Segments: of a source whose pass is an epoch, cycle e is epoch e: one segment of `used` positions if nothing is padded, else one
 *           of all
 *          positions and as many more, from the pass's beginning again, as the epoch is longer. Of others a cycle is a pass. */
#include "stages/course.h"

#include <assert.h>
#include <stdlib.h>

#include "pipeline/failure.h"

#define FARTHEST (UINT64_C(1) << 62)

/* ---- making one ---- */

/* Places of an epoch, and what the remainder comes to. */
static void choose_length(leat__course *course, uint64_t samples, leat_remainder remainder)
{
    uint64_t batch = course->batch, rest = samples % batch;
    course->epoch = samples;
    if (rest && remainder == LEAT_REMAINDER_PAD) course->epoch += course->padded = batch - rest;
    if (remainder == LEAT_REMAINDER_DROP) course->epoch -= course->dropped = rest;
    course->kept = course->epoch;
    /* which world drops it must not move the epochs that follow */
    if (remainder == LEAT_REMAINDER_SHORT && rest < course->world) course->kept -= course->dropped = rest;
    course->steps = (course->kept + batch - 1) / batch;
}

static leat_code add_sources(leat__course *course, const leat__course_options *options, uint64_t *together, leat_error *error)
{
    uint32_t lanes = 0;
    *together = 0;
    course->sources = calloc(options->count, sizeof *course->sources);
    if (!course->sources) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for %u sources", options->count);
    for (unsigned s = 0; s < options->count; s++) {
        leat__course_source *source = &course->sources[s];
        source->order = (leat__order *)(uintptr_t)options->orders[s];
        source->first_lane = lanes;
        source->used = source->cycle = leat__order_samples(source->order);
        lanes += options->lanes[s];
        if (!source->used) return leat__fail(error, LEAT_EINVAL, 0, "source %u has no samples", s + 1);
        if (__builtin_add_overflow(*together, source->used, together) || *together > FARTHEST)
            return leat__fail(error, LEAT_EINVAL, 0, "the sources have more than 2^62 samples");
    }
    if (options->count == 1) return LEAT_OK;
    leat_code code = leat__mix_new(options->weights, options->count, &course->mix, error);
    for (unsigned s = 0; !code && s < options->count; s++)
        if ((double)course->sources[s].used / leat__mix_share(course->mix, s) > (double)FARTHEST)
            code = leat__fail(error, LEAT_EINVAL, 0, "source %u has too many samples for a weight so small: a pass of it ends "
                              "beyond 2^62", s + 1);
    return code;
}

static leat_code set_bounds(leat__course *course, const leat__course_options *options, leat_error *error)
{
    uint64_t last = options->first_epoch, begin, end;
    bool over = __builtin_add_overflow(last, options->epochs ? options->epochs : 1, &last);
    over = over || __builtin_mul_overflow(last, course->epoch, &end) || end > FARTHEST;
    if (over)
        return leat__fail(error, LEAT_EINVAL, 0, "epoch %llu of %llu samples is beyond what can be counted",
                          (unsigned long long)options->first_epoch, (unsigned long long)course->epoch);
    begin = options->first_epoch * course->epoch;
    uint64_t steps = options->first_step < course->steps ? options->first_step * course->batch : course->epoch;
    course->begin = begin + steps;
    course->end = options->epochs ? end : UINT64_MAX;
    return LEAT_OK;
}

leat_code leat__course_init(leat__course *course, const leat__course_options *options, leat_error *error)
{
    *course = (leat__course){.count = options->count, .batch = options->batch, .rank = options->rank, .world = options->world};
    if (options->batch < options->world)
        return leat__fail(error, LEAT_EINVAL, 0, "batch_size is %llu for %u ranks: a rank would have no rows; give at least %u",
                          (unsigned long long)options->batch, options->world, options->world);
    uint64_t together;
    leat_code code = add_sources(course, options, &together, error);
    if (code) return code;
    bool by_pass = options->count == 1 && !options->epoch_samples;
    uint64_t samples = options->epoch_samples ? options->epoch_samples : together;
    if (options->limit && options->limit < samples) samples = options->limit;
    if (samples > FARTHEST) return leat__fail(error, LEAT_EINVAL, 0, "epoch_samples is over 2^62");
    if (by_pass) course->sources[0].used = samples;
    choose_length(course, samples, options->remainder);
    if (!course->steps)
        return leat__fail(error, LEAT_EINVAL, 0, "an epoch of %llu samples has no batch of %llu for %u ranks that is not dropped: "
                          "lower batch_size, or pad the remainder", (unsigned long long)samples, (unsigned long long)options->batch,
                          options->world);
    if (by_pass) {
        course->sources[0].cycle = course->epoch;
        if (course->epoch < samples) course->sources[0].used = course->epoch;
    }
    return set_bounds(course, options, error);
}

void leat__course_clear(leat__course *course)
{
    leat__mix_free(course->mix);
    free(course->sources);
    *course = (leat__course){0};
}

/* ---- ranks ---- */

uint64_t leat__course_rows(const leat__course *course)
{
    return course->batch / course->world + (course->rank < course->batch % course->world);
}

bool leat__course_is_own(const leat__course *course, uint64_t place)
{
    uint64_t in_epoch = place % course->epoch;
    return in_epoch < course->kept && in_epoch % course->batch % course->world == course->rank;
}

uint64_t leat__course_next(const leat__course *course, uint64_t place)
{
    assert(place >= course->begin);
    for (;;) {
        uint64_t in_epoch = place % course->epoch, slot = in_epoch % course->batch, mod = slot % course->world;
        uint64_t next = slot + (course->rank >= mod ? course->rank - mod : course->rank + course->world - mod);
        uint64_t ahead = next - slot, left_of_batch = course->batch - slot, left = in_epoch < course->kept ? course->kept - in_epoch : 0;
        if (left_of_batch > left) left_of_batch = left;
        if (ahead < left_of_batch) return place + ahead < course->end ? place + ahead : course->end;
        place += left ? left_of_batch : course->epoch - in_epoch;
        if (place >= course->end) return course->end;
    }
}

/* ---- sources ---- */

/* The source's sample number k, over all of its segments. */
static leat__course_spot spot_of(const leat__course *course, unsigned s, uint64_t k)
{
    const leat__course_source *source = &course->sources[s];
    uint64_t cycle = k / source->cycle, in = k % source->cycle, pieces = (source->cycle + source->used - 1) / source->used;
    return (leat__course_spot){.source = s, .segment = cycle * pieces + in / source->used, .position = in % source->used};
}

leat__course_spot leat__course_at(const leat__course *course, uint64_t place)
{
    uint64_t k = place;
    unsigned s = course->mix ? leat__mix_source(course->mix, place, &k) : 0;
    return spot_of(course, s, k);
}

uint64_t leat__course_place(const leat__course *course, const leat__course_spot *spot)
{
    const leat__course_source *source = &course->sources[spot->source];
    uint64_t pieces = (source->cycle + source->used - 1) / source->used;
    uint64_t k = spot->segment / pieces * source->cycle + spot->segment % pieces * source->used + spot->position;
    return course->mix ? leat__mix_position(course->mix, spot->source, k) : k;
}

leat__course_spot leat__course_from(const leat__course *course, unsigned source, uint64_t place)
{
    return spot_of(course, source, course->mix ? leat__mix_before(course->mix, source, place) : place);
}

uint64_t leat__course_pass(const leat__course *course, unsigned source, uint64_t segment)
{
    const leat__course_source *from = &course->sources[source];
    return segment / ((from->cycle + from->used - 1) / from->used);
}

uint64_t leat__course_length(const leat__course *course, unsigned source, uint64_t segment)
{
    const leat__course_source *from = &course->sources[source];
    uint64_t pieces = (from->cycle + from->used - 1) / from->used, piece = segment % pieces;
    return piece + 1 < pieces ? from->used : from->cycle - piece * from->used;
}
