/* filter.c - one direction's resize as tables: which source pixels an output is made of, and with which weights.
 *
 * What:    every output of a line has the same number of taps, the most that any could need, so that kernels run
 *          without asking; a tap outside of an output's support weighs 0. plan says how many and which source pixels
 *          there are (a decoder wants to know before it starts), build computes the weights.
 * Why so:  the tables are made anew for every image, so this is made to run in vectors: 16 outputs side by side, taps
 *          in the outer loop, positions in double (a line can be long) and distances in float (they are short). Few
 *          taps (16: a reduction by 8, bicubic by 4) get 14-bit integers for 16-bit multiplications; more get float,
 *          whose error does not grow with smaller weights.
 * Error:   an integer weight is off by at most 0.51 / 16384, and the middle tap, the largest, by what makes the sum
 *          exact; so over values of 0..255 an output is off by at most 127.5 * 2 * 0.51 * (taps - 1) / 16384, which is
 *          0.12 for 16 taps and 0.02 for 3. (127.5: the errors' sum is 0, so values may be counted from their middle.)
 * Threads: any; pure functions.
 * Invariants: no output has weight on a pixel that is not in first..end; starts + taps stay in there too. Compile with
 *          -ffp-contract=off: a fused multiply-add would round differently.
 * Not here: which part of an image (view.c), the sums (resize.c). */
#include "stages/filter.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define LANES LEAT__FILTER_GROUP

/* The line as Pillow sees it. */
typedef struct stretch {
    double from, scale, support; /* px of the source; support: half of the filter's width */
    double inverse;              /* what a distance in px is multiplied by to be the filter's own x */
    bool identity;
} stretch;

static stretch stretch_of(const leat__line *line)
{
    assert(line->size > 0 && line->begin >= 0 && line->begin < line->end && line->end <= line->length);
    const float from = (float)line->begin, to = (float)line->end;
    const double scale = (double)(to - from) / line->size;
    const double wider = scale < 1 ? 1 : scale;
    stretch s = {.from = from, .scale = scale, .inverse = 1 / wider, .identity = scale == 1 && from == floorf(from)};
    s.support = line->resample == LEAT_RESAMPLE_BICUBIC && !s.identity ? 2 * wider : wider;
    return s;
}

/* The first pixel whose centre is inside the support of an output centred at `centre`; may lie before the line. */
static inline int32_t first_inside(double centre, double support)
{
    const int32_t away = 1 << 26; /* past any line and support, so that the truncated number is positive */
    return (int32_t)(centre - support - 0.5 + away) - away + 1;
}

static uint32_t taps_for(double support, uint32_t available)
{
    const double most = ceil(2 * support); /* an open interval holds at most so many integers */
    return most < available ? (uint32_t)most : available;
}

static size_t stride_for(uint32_t taps)
{
    return taps <= 8 ? 8 : ((size_t)taps + 15) / 16 * 16;
}

void leat__filter_plan(leat__filter *filter, const leat__line *line)
{
    assert(line->length <= LEAT__FILTER_LONGEST);
    const stretch s = stretch_of(line);
    const double last = s.from + (line->size - 0.5) * s.scale;
    const int32_t begin = first_inside(s.from + 0.5 * s.scale, s.support);
    const double end = ceil(last + s.support - 0.5); /* the first pixel whose centre is past the last support */
    *filter = (leat__filter){.size = line->size, .groups = (line->size + LANES - 1) / LANES};
    filter->identity = s.identity;
    filter->first = begin < 0 ? 0 : (uint32_t)begin;
    filter->end = end > line->length ? line->length : (uint32_t)end;
    filter->taps = s.identity ? 1 : taps_for(s.support, filter->end - filter->first);
    filter->stride = (uint32_t)stride_for(filter->taps);
    assert(filter->first < filter->end && filter->end <= line->length && filter->taps >= 1);
}

static size_t bytes_for(uint32_t size, uint32_t taps)
{
    const size_t outputs = ((size_t)size + LANES - 1) / LANES * LANES;
    const size_t weight = taps > LEAT__FILTER_FEW ? sizeof(float) : sizeof(int16_t);
    return outputs * (sizeof(int32_t) + stride_for(taps) * weight);
}

size_t leat__filter_bytes(const leat__filter *filter)
{
    return bytes_for(filter->size, filter->taps);
}

uint32_t leat__filter_most_taps(leat_resample resample, double extent, uint32_t size)
{
    assert(size > 0 && extent > 0);
    const double scale = (extent + 2) / size; /* + 2: both ends are rounded to float */
    const double radius = resample == LEAT_RESAMPLE_BICUBIC ? 2 : 1;
    return taps_for(radius * (scale < 1 ? 1 : scale), UINT32_MAX);
}

size_t leat__filter_most_bytes(leat_resample resample, double extent, uint32_t size)
{
    return bytes_for(size, leat__filter_most_taps(resample, extent, size));
}

/* ---- weights ---- */

static inline float triangle(float x)
{
    const float y = 1 - fabsf(x);
    return y > 0 ? y : 0;
}

/* Keys' cubic convolution with a = -0.5 (Keys 1981). */
static inline float cubic(float x)
{
    x = fabsf(x);
    const float near = (1.5f * x - 2.5f) * x * x + 1, far = ((2.5f - 0.5f * x) * x - 4) * x + 2;
    return x < 1 ? near : x < 2 ? far : 0;
}

/* Sixteen outputs: where they start, and how far the first tap's centre is from theirs. */
typedef struct places {
    int32_t start[LANES];
    float distance[LANES], inverse;
} places;

static void find_places(const leat__filter *filter, const stretch *s, bool mirrored, uint32_t i, places *at)
{
    const int32_t lowest = (int32_t)filter->first, highest = (int32_t)(filter->end - filter->taps);
    const int32_t last = (int32_t)filter->size - 1;
    for (int32_t j = 0; j < LANES; j++) {
        int32_t output = (int32_t)i + j;
        output = output > last ? last : output;
        output = mirrored ? last - output : output;
        const double centre = s->from + (output + 0.5) * s->scale;
        int32_t start = first_inside(centre, s->support);
        start = start > highest ? highest : start;
        start = start < lowest ? lowest : start;
        at->start[j] = start - lowest;
        at->distance[j] = (float)(start - centre + 0.5);
    }
}

/* Integer weights of one group, from weights that are not divided by their sum yet. */
static void settle_integers(const leat__filter *filter, const places *at, float (*weight)[LANES], const float *sum,
                            int16_t *out)
{
    int32_t rest[LANES], middle[LANES];
    float times[LANES];
    for (int j = 0; j < LANES; j++) {
        rest[j] = LEAT__FILTER_ONE;
        times[j] = LEAT__FILTER_ONE / sum[j];
        const float nearest = 0.5f - at->distance[j];
        const float most = (float)filter->taps - 1;
        middle[j] = (int32_t)(nearest < 0 ? 0 : nearest > most ? most : nearest);
    }
    for (uint32_t t = 0; t < filter->taps; t++)
        for (int j = 0; j < LANES; j++) {
            const int32_t whole = (int32_t)(weight[t][j] * times[j] + 65536.5f) - 65536; /* rounds negative ones too */
            out[(size_t)j * filter->stride + t] = (int16_t)whole;
            rest[j] -= whole;
        }
    for (size_t j = 0; j < LANES; j++) out[j * filter->stride + (size_t)middle[j]] += (int16_t)rest[j];
}

static void weigh_few(const leat__filter *filter, const places *at, leat_resample resample, int16_t *out)
{
    float weight[LEAT__FILTER_FEW][LANES], sum[LANES] = {0};
    for (uint32_t t = 0; t < filter->taps; t++)
        for (int j = 0; j < LANES; j++) {
            const float x = (at->distance[j] + (float)t) * at->inverse;
            weight[t][j] = resample == LEAT_RESAMPLE_BICUBIC ? cubic(x) : triangle(x);
            sum[j] += weight[t][j];
        }
    settle_integers(filter, at, weight, sum, out);
}

static void weigh_many(const leat__filter *filter, const places *at, leat_resample resample, float *out)
{
    for (int j = 0; j < LANES; j++, out += filter->stride) {
        double sum = 0;
        for (uint32_t t = 0; t < filter->taps; t++) {
            const float x = (at->distance[j] + (float)t) * at->inverse;
            out[t] = resample == LEAT_RESAMPLE_BICUBIC ? cubic(x) : triangle(x);
            sum += out[t];
        }
        for (uint32_t t = 0; t < filter->taps; t++) out[t] = (float)(out[t] / sum);
    }
}

void leat__filter_build(leat__filter *filter, const leat__line *line, void *memory)
{
    const stretch s = stretch_of(line);
    const size_t outputs = (size_t)filter->groups * LANES, stride = filter->stride;
    const bool few = filter->taps <= LEAT__FILTER_FEW;
    memset(memory, 0, leat__filter_bytes(filter));
    filter->starts = memory;
    if (few) filter->weights = (int16_t *)(filter->starts + outputs);
    else filter->float_weights = (float *)(filter->starts + outputs);
    places at = {.inverse = (float)s.inverse};
    for (uint32_t i = 0; i < outputs; i += LANES) { /* outputs past `size` repeat the last one */
        find_places(filter, &s, line->mirrored, i, &at);
        memcpy(filter->starts + i, at.start, sizeof(at.start));
        if (few) weigh_few(filter, &at, line->resample, filter->weights + i * stride);
        else weigh_many(filter, &at, line->resample, filter->float_weights + i * stride);
    }
}
