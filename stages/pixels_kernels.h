/* pixels_kernels.h - the inner loops of pixels.c, one set for each level of vector instructions, with the same results.
 *
 * Threads: any; pure functions. */
#ifndef LEAT__PIXELS_KERNELS_H
#define LEAT__PIXELS_KERNELS_H

#include "stages/pixels.h"

struct leat__pixels_kernels {
    /* out[i] = in[i] * times + plus, rounded to float32 after each step. around: out is a multiple of 64. */
    void (*to_float32)(const uint8_t *in, size_t count, const leat__pixels_scale *scale, float *out, bool around);
    void (*to_float16)(const uint8_t *in, size_t count, const leat__pixels_scale *scale, uint16_t *out, bool around);
    /* `count` pixels of `channels` planes side by side. */
    void (*interleave)(const uint8_t *planes, size_t plane, unsigned channels, size_t count, uint8_t *out);
};

extern const leat__pixels_kernels leat__pixels_portable;
#if defined(__x86_64__)
extern const leat__pixels_kernels leat__pixels_avx2, leat__pixels_avx512;
void leat__pixels_interleave_avx2(const uint8_t *planes, size_t plane, unsigned channels, size_t count, uint8_t *out);
#endif

/* Value i of a run. */
static inline float leat__pixels_one(const uint8_t *in, size_t i, const leat__pixels_scale *scale)
{
    const float product = (float)in[i] * scale->times[i % LEAT__PIXELS_PERIOD];
    return product + scale->plus[i % LEAT__PIXELS_PERIOD];
}

#endif
