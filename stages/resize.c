/* resize.c - antialiased resize of 8-bit images, from a ring of source rows to planar output rows, one at a time.
 *
 * What:    for each output row, its source rows are summed down, column by column, into planes of 16-bit values (one a
 *          channel); these are summed across into the row's pixels. The kernels do both; here is which rows and when.
 * Why so:  down first, so that a source byte is multiplied where the decoder left it, nothing is kept but source rows,
 *          and one row between the passes stays in the first-level cache. Planes, because across is then the same for 3
 *          and 4 channels, and the batch usually wants planes. Pillow goes across first, into 8 bits.
 * Within 1 of Pillow (bilinear): let t be the exact result.
 *          Pillow rounds once between its passes (at most 0.5, and down's weights sum to 1) and has 22-bit weights
 *          (under 0.04 for 1,000 taps): its value before the last rounding is t + p, |p| < 0.54.
 *          Ours, few taps: down's weights 0.12 (filter.c) + down's products, each rounded to 1/128, 16 * 0.5 / 128 =
 *          0.063 + across's weights 0.12; its products and sums are exact. t + q, |q| < 0.31.
 *          Many taps: float weights and sums, at most 2 * taps * 255 / 2^24 = 0.031 for 1,000 taps, each pass; and
 *          0.004 for the row between. |q| < 0.07.
 *          Two numbers less than 1 apart round to integers at most 1 apart, and 0.54 + 0.31 < 1: so for reductions of
 *          up to 500 times in each direction. Beyond, Pillow's own error grows as ours does.
 * Many taps (over 16: a reduction by more than 8, bicubic by 4) would need as many rows kept: each source row is added
 *          to the output rows that it belongs to when it comes, in float, and is then forgotten. At most 6 are open at
 *          a time: supports are 2 (bicubic 4) outputs wide, and 2 more share the last taps at the edges.
 * Threads: any; a leat__resize belongs to one worker.
 * Invariants: sums of 16 bits cannot overflow: weights of bicubic sum to at most 1.3 in absolute value, so |value| <=
 *          128 * 128 * 1.3 = 21,300 between the passes, and 32 bits hold 21,300 * 1.3 * 2^14.
 * Not here: the weights (filter.c), the loops (resize_*.c), number formats (pixels.c), when rows come (transform.c). */
#include "stages/resize.h"

#include <assert.h>
#include <string.h>

#include "stages/resize_kernels.h"

#define OPEN 8 /* output rows that are summed up at a time: 6, see above, and 2 for roundings of a start */

static size_t aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static const leat__resize_kernels *kernels_of(leat__simd level)
{
#if defined(__x86_64__)
    if (level == LEAT__SIMD_AVX512) return &leat__resize_avx512;
    if (level == LEAT__SIMD_AVX2) return &leat__resize_avx2;
#endif
    assert(level == LEAT__SIMD_PORTABLE);
    return &leat__resize_portable;
}

/* Values from plane to plane: whole blocks of down, and what across may read past the last column, weighing nothing. */
static size_t plane_for(uint32_t columns)
{
    return ((size_t)columns + LEAT__RESIZE_BLOCK - 1) / LEAT__RESIZE_BLOCK * LEAT__RESIZE_BLOCK + 128;
}

static size_t sums_bytes(uint32_t columns, unsigned channels)
{
    return aligned(OPEN * (size_t)columns * channels * sizeof(float));
}

size_t leat__resize_row_bytes(uint32_t width, unsigned channels)
{
    return aligned(width) * channels;
}

void leat__resize_plan(leat__resize *resize, const leat__line *across, const leat__line *down, unsigned channels,
                       leat__simd level)
{
    assert((channels == 3 || channels == 4) && level <= leat__simd_best());
    *resize = (leat__resize){.kernels = kernels_of(level), .channels = channels};
    leat__filter_plan(&resize->across, across);
    leat__filter_plan(&resize->down, down);
    resize->columns = resize->across.end - resize->across.first;
    resize->plane = plane_for(resize->columns);
    resize->out_plane = aligned(across->size);
}

static size_t packed_bytes(const leat__resize *resize)
{
    if (!resize->kernels->packed_bytes || resize->across.taps > LEAT__FILTER_FEW) return 0;
    return aligned(resize->kernels->packed_bytes(&resize->across));
}

size_t leat__resize_bytes(const leat__resize *resize)
{
    size_t bytes = aligned(leat__filter_bytes(&resize->across)) + aligned(leat__filter_bytes(&resize->down)) +
                   aligned(resize->channels * resize->plane * sizeof(int16_t)) + packed_bytes(resize);
    if (resize->down.taps > LEAT__FILTER_FEW) bytes += sums_bytes(resize->columns, resize->channels);
    return bytes;
}

size_t leat__resize_most_bytes(const leat__line *across, const leat__line *down, unsigned channels)
{
    const uint32_t groups = (across->size + LEAT__FILTER_GROUP - 1) / LEAT__FILTER_GROUP;
    return aligned(leat__filter_most_bytes(across->resample, across->length, across->size)) +
           aligned(leat__filter_most_bytes(down->resample, down->length, down->size)) +
           aligned(channels * plane_for(across->length) * sizeof(int16_t)) + groups * LEAT__RESIZE_MOST_PACKED +
           sums_bytes(across->length, channels);
}

uint32_t leat__resize_kept(const leat__resize *resize)
{
    return resize->down.taps > LEAT__FILTER_FEW ? 0 : resize->down.taps - 1;
}

void leat__resize_begin(leat__resize *resize, const leat__line *across, const leat__line *down, const leat__ring *ring,
                        void *memory)
{
    assert((uintptr_t)memory % 64 == 0 && ring->column <= resize->across.first);
    assert(ring->count > leat__resize_kept(resize));
    uint8_t *at = memory;
    leat__filter_build(&resize->across, across, at);
    at += aligned(leat__filter_bytes(&resize->across));
    leat__filter_build(&resize->down, down, at);
    at += aligned(leat__filter_bytes(&resize->down));
    resize->planes = (int16_t *)at;
    at += aligned(resize->channels * resize->plane * sizeof(int16_t));
    if (resize->down.taps > LEAT__FILTER_FEW) {
        resize->sums = (float *)at;
        at += sums_bytes(resize->columns, resize->channels);
    }
    if (packed_bytes(resize)) {
        resize->packed = at;
        resize->kernels->pack(resize);
    }
    resize->ring = *ring;
    resize->taken = resize->summed = resize->down.first;
    resize->next = 0;
}

void leat__resize_take(leat__resize *resize, uint32_t end)
{
    if (end > resize->down.end) end = resize->down.end;
    if (end > resize->taken) resize->taken = end;
}

static const uint8_t *source_row(const leat__resize *resize, uint32_t y)
{
    const leat__ring *ring = &resize->ring;
    const size_t pixel = resize->across.first - ring->column;
    return ring->rows + (y % ring->count) * ring->stride + pixel * resize->channels;
}

/* Few taps: straight from the source rows, those without weight left out. */
static void sum_down(leat__resize *resize, uint32_t start)
{
    const int16_t *weights = resize->down.weights + (size_t)resize->next * resize->down.stride;
    const uint8_t *rows[LEAT__FILTER_FEW];
    unsigned taps = resize->down.taps;
    while (taps > 1 && weights[taps - 1] == 0) taps--;
    for (; taps > 1 && weights[0] == 0; taps--, start++) weights++;
    for (unsigned t = 0; t < taps; t++) rows[t] = source_row(resize, start + t);
    resize->kernels->down(rows, weights, taps, resize->channels, resize->columns, resize->planes, resize->plane);
}

/* Many taps: adds the next source row to every output row that it is part of. */
static void add_row(leat__resize *resize)
{
    const leat__filter *down = &resize->down;
    const size_t count = (size_t)resize->columns * resize->channels;
    const uint32_t row = resize->summed++, at = row - down->first;
    for (uint32_t y = resize->next; y < down->size && (uint32_t)down->starts[y] <= at; y++) {
        assert(y - resize->next < OPEN);
        const uint32_t tap = at - (uint32_t)down->starts[y];
        float *sums = resize->sums + y % OPEN * count;
        if (tap == 0) memset(sums, 0, count * sizeof(*sums));
        if (tap >= down->taps) continue;
        const float weight = down->float_weights[(size_t)y * down->stride + tap];
        if (weight != 0) resize->kernels->add(source_row(resize, row), weight, count, sums);
    }
}

bool leat__resize_next(leat__resize *resize, uint8_t *out, uint32_t *y)
{
    const leat__filter *down = &resize->down;
    if (resize->next == down->size) return false;
    const uint32_t start = down->first + (uint32_t)down->starts[resize->next], end = start + down->taps;
    if (resize->sums)
        while (resize->summed < end && resize->summed < resize->taken) add_row(resize);
    if (end > resize->taken) return false;
    if (resize->sums) {
        const size_t count = (size_t)resize->columns * resize->channels;
        resize->kernels->settle(resize->sums + resize->next % OPEN * count, resize->channels, resize->columns,
                                resize->planes, resize->plane);
    } else {
        sum_down(resize, start);
    }
    if (resize->across.taps > LEAT__FILTER_FEW) resize->kernels->across_many(resize, out);
    else resize->kernels->across(resize, out);
    *y = resize->next++;
    return true;
}
