/* resize_kernels.h - the inner loops of a resize, one set for each level of vector instructions.
 *
 * All sets give the same bits: the sums of few taps are integers, those of many are floats added in one order.
 * Threads: any; pure functions. */
#ifndef LEAT__RESIZE_KERNELS_H
#define LEAT__RESIZE_KERNELS_H

#include "stages/resize.h"

#define LEAT__RESIZE_FRACTION 7 /* fraction bits between the passes; values are counted from 128 */
#define LEAT__RESIZE_BLOCK 64   /* columns that `down` may write past the last one, up to a multiple of it */
#define LEAT__RESIZE_SHIFT (LEAT__RESIZE_FRACTION + LEAT__FILTER_BITS)
#define LEAT__RESIZE_MOST_PACKED (2 * 64 + 64 * LEAT__FILTER_FEW / 2) /* bytes that packing 16 outputs may need */
/* what a sum of across begins with: 128, and a half that makes the shift round */
#define LEAT__RESIZE_BIAS ((128 << LEAT__RESIZE_SHIFT) + (1 << (LEAT__RESIZE_SHIFT - 1)))

struct leat__resize_kernels {
    /* planes[c][x] = sum over t of ((rows[t][x][c] - 128) * weights[t] + 64) >> 7: few taps down. */
    void (*down)(const uint8_t *const *rows, const int16_t *weights, unsigned taps, unsigned channels, size_t columns,
                 int16_t *planes, size_t plane);
    /* out[c][x] = (bias + sum over t of planes[c][start + t] * weight[t]) >> shift, in 0..255: few taps across. */
    void (*across)(const leat__resize *resize, uint8_t *out);
    /* Bytes of, and makes, resize->packed. NULL: across uses the filter as it is. */
    size_t (*packed_bytes)(const leat__filter *across);
    void (*pack)(leat__resize *resize);
    /* Many taps: sums[i] += row[i] * weight; planes from sums; and across with float weights. */
    void (*add)(const uint8_t *row, float weight, size_t count, float *sums);
    void (*settle)(const float *sums, unsigned channels, size_t columns, int16_t *planes, size_t plane);
    void (*across_many)(const leat__resize *resize, uint8_t *out);
};

extern const leat__resize_kernels leat__resize_portable;
#if defined(__x86_64__)
extern const leat__resize_kernels leat__resize_avx2, leat__resize_avx512;

/* Used by avx512 where outputs lie too far apart for its own. */
void leat__resize_across_far_avx2(const leat__resize *resize, uint8_t *out);
#endif

#endif
