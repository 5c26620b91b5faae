/* resize_portable.c - the inner loops of a resize in plain C.
 *
 * What:    constant bounds and separate steps, so that gcc and clang make vectors of what they can (SSE2, NEON).
 * Why so:  down sums a block of interleaved bytes first and sorts its channels apart after.
 * Threads: any; pure functions.
 * Not here: AVX2 and AVX-512 (resize_avx2.c, resize_avx512.c), which give the same bits. */
#include "stages/resize_kernels.h"
#include "stages/resize_many.h"

#define BLOCK 16 /* pixels that down sums at a time */

LEAT__RESIZE_INLINE void down_block(const uint8_t *const *rows, size_t offset, const int16_t *weights, unsigned taps,
                                    const unsigned channels, int16_t *planes, size_t plane)
{
    int16_t sums[BLOCK * 4] = {0};
    for (unsigned t = 0; t < taps; t++) {
        const uint8_t *row = rows[t] + offset;
        const int16_t weight = weights[t];
        for (unsigned i = 0; i < BLOCK * channels; i++) {
            const int16_t value = (int16_t)(row[i] - 128);
            sums[i] = (int16_t)(sums[i] + ((value * weight + 64) >> 7));
        }
    }
    for (unsigned c = 0; c < channels; c++)
        for (unsigned x = 0; x < BLOCK; x++) planes[c * plane + x] = sums[x * channels + c];
}

static void down(const uint8_t *const *rows, const int16_t *weights, unsigned taps, unsigned channels, size_t columns,
                 int16_t *planes, size_t plane)
{
    for (size_t x = 0; x < columns; x += BLOCK) {
        if (channels == 3) down_block(rows, x * 3, weights, taps, 3, planes + x, plane);
        else down_block(rows, x * 4, weights, taps, 4, planes + x, plane);
    }
}

LEAT__RESIZE_INLINE uint8_t dot(const int16_t *values, const int16_t *weights, const unsigned taps)
{
    int32_t sum = LEAT__RESIZE_BIAS;
    for (unsigned t = 0; t < taps; t++) sum += values[t] * weights[t];
    sum >>= LEAT__RESIZE_SHIFT;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* Everything in locals: bytes may alias what resize points to. */
LEAT__RESIZE_INLINE void across_taps(const leat__resize *resize, const unsigned channels, const unsigned taps,
                                     uint8_t *restrict out)
{
    const size_t width = resize->across.size, stride = resize->across.stride, plane = resize->plane;
    const size_t out_plane = resize->out_plane;
    const int32_t *starts = resize->across.starts;
    const int16_t *weights = resize->across.weights, *planes = resize->planes;
    for (size_t x = 0; x < width; x++, weights += stride)
        for (unsigned c = 0; c < channels; c++)
            out[c * out_plane + x] = dot(planes + c * plane + starts[x], weights, taps);
}

static void across(const leat__resize *resize, uint8_t *out)
{
    const uint32_t taps = resize->across.taps;
    if (resize->channels == 4) across_taps(resize, 4, resize->across.stride, out);
    else if (taps <= 2) across_taps(resize, 3, 2, out);
    else if (taps == 3) across_taps(resize, 3, 3, out);
    else if (taps == 4) across_taps(resize, 3, 4, out);
    else if (taps <= 8) across_taps(resize, 3, 8, out);
    else across_taps(resize, 3, 16, out);
}

static void add(const uint8_t *row, float weight, size_t count, float *sums)
{
    leat__resize_add_body(row, weight, count, sums);
}

static void settle(const float *sums, unsigned channels, size_t columns, int16_t *planes, size_t plane)
{
    leat__resize_settle_body(sums, channels, columns, planes, plane);
}

static void across_many(const leat__resize *resize, uint8_t *out)
{
    leat__resize_across_many_body(resize, out);
}

const leat__resize_kernels leat__resize_portable = {
    .down = down, .across = across, .add = add, .settle = settle, .across_many = across_many};
