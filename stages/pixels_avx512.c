/* pixels_avx512.c - bytes to floats with 512-bit vectors.
 *
 * What:    48 values, a whole period, a step, its factors in registers; the rest by 16 with a mask.
 * Threads: any; pure functions. Runs only where leat__simd_best says so.
 * Not here: what the numbers mean (pixels.c). */
#if defined(__x86_64__)
#include <immintrin.h>

#include "stages/pixels_kernels.h"

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl")))
#define AVX512_INLINE __attribute__((target("avx512f,avx512bw,avx512vl"), always_inline)) static inline

AVX512_INLINE __m512 scaled(__m128i bytes, __m512 times, __m512 plus)
{
    return _mm512_add_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)), times), plus);
}

/* Sixteen values, or those of `some`, to element i. */
AVX512_INLINE void put(void *out, size_t i, __m512 value, __mmask16 some, const bool half, const bool around)
{
    if (half) {
        uint16_t *to = (uint16_t *)out + i;
        const __m256i halves = _mm512_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT);
        if (some != 0xFFFF) _mm256_mask_storeu_epi16(to, some, halves);
        else if (around) _mm256_stream_si256((__m256i *)to, halves);
        else _mm256_storeu_si256((__m256i *)to, halves);
    } else {
        float *to = (float *)out + i;
        if (some != 0xFFFF) _mm512_mask_storeu_ps(to, some, value);
        else if (around) _mm512_stream_ps(to, value);
        else _mm512_storeu_ps(to, value);
    }
}

AVX512_INLINE void run(const uint8_t *in, size_t count, const leat__pixels_scale *scale, void *out, const bool half,
                       const bool around)
{
    __m512 times[3], plus[3];
    LEAT__UNROLL for (int j = 0; j < 3; j++) {
        times[j] = _mm512_loadu_ps(scale->times + 16 * j);
        plus[j] = _mm512_loadu_ps(scale->plus + 16 * j);
    }
    size_t i = 0;
    for (; i + 48 <= count; i += 48)
        LEAT__UNROLL for (size_t j = 0; j < 3; j++) {
            const __m128i bytes = _mm_loadu_si128((const __m128i *)(in + i + 16 * j));
            put(out, i + 16 * j, scaled(bytes, times[j], plus[j]), 0xFFFF, half, around);
        }
    for (int j = 0; j < 3 && i < count; j++, i += 16) {
        const __mmask16 some = (__mmask16)(count - i < 16 ? (1u << (count - i)) - 1 : 0xFFFF);
        put(out, i, scaled(_mm_maskz_loadu_epi8(some, in + i), times[j], plus[j]), some, half, around);
    }
}

AVX512 static void to_float32(const uint8_t *in, size_t count, const leat__pixels_scale *scale, float *out, bool around)
{
    if (around) run(in, count, scale, out, false, true);
    else run(in, count, scale, out, false, false);
}

AVX512 static void to_float16(const uint8_t *in, size_t count, const leat__pixels_scale *scale, uint16_t *out,
                              bool around)
{
    if (around) run(in, count, scale, out, true, true);
    else run(in, count, scale, out, true, false);
}

const leat__pixels_kernels leat__pixels_avx512 = {
    .to_float32 = to_float32, .to_float16 = to_float16, .interleave = leat__pixels_interleave_avx2};
#endif
