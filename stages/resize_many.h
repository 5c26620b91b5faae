/* resize_many.h - the bodies of the kernels for many taps, for each level's file to compile with its own instructions.
 *
 * Plain loops that compilers make vectors of. Order and operations are fixed (16 partial sums, then their tree), so the
 * result is the same at every width. Threads: any; pure functions. */
#ifndef LEAT__RESIZE_MANY_H
#define LEAT__RESIZE_MANY_H

#include "stages/resize_kernels.h"

#define LEAT__RESIZE_INLINE static inline __attribute__((always_inline))

LEAT__RESIZE_INLINE void leat__resize_add_body(const uint8_t *row, float weight, size_t count, float *restrict sums)
{
    for (size_t i = 0; i < count; i++) sums[i] += (float)row[i] * weight;
}

LEAT__RESIZE_INLINE void leat__resize_settle_body(const float *sums, unsigned channels, size_t columns,
                                                  int16_t *restrict planes, size_t plane)
{
    const float one = 1 << LEAT__RESIZE_FRACTION;
    for (unsigned c = 0; c < channels; c++) /* + 512: truncating a positive number */
        for (size_t x = 0; x < columns; x++)
            planes[c * plane + x] =
                (int16_t)((int32_t)((sums[x * channels + c] + (512 - 128)) * one + 0.5f) - 512 * 128);
}

/* Sum over t of values[t] * weights[t], taps a multiple of 16. */
LEAT__RESIZE_INLINE float leat__resize_dot(const int16_t *values, const float *weights, size_t taps)
{
    float parts[16] = {0};
    for (size_t t = 0; t < taps; t += 16)
        for (size_t i = 0; i < 16; i++) parts[i] += (float)values[t + i] * weights[t + i];
    for (size_t half = 8; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++) parts[i] += parts[i + half];
    return parts[0];
}

LEAT__RESIZE_INLINE void leat__resize_across_many_body(const leat__resize *resize, uint8_t *out)
{
    const leat__filter *filter = &resize->across;
    const float one = 1 << LEAT__RESIZE_FRACTION;
    for (unsigned c = 0; c < resize->channels; c++, out += resize->out_plane)
        for (size_t x = 0; x < filter->size; x++) {
            const int16_t *values = resize->planes + c * resize->plane + filter->starts[x];
            const float *weights = filter->float_weights + x * filter->stride;
            const int32_t sum = (int32_t)(leat__resize_dot(values, weights, filter->stride) / one + 512 + 128.5f) - 512;
            out[x] = (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
        }
}

#endif
