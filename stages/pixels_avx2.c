/* pixels_avx2.c - bytes to floats with 256-bit vectors, and planes side by side.
 *
 * What:    eight values a step; three channels are put side by side 16 pixels at a time, each output vector being made
 *          of one shuffle of each plane.
 * Threads: any; pure functions. Runs only where leat__simd_best says so.
 * Not here: what the numbers mean (pixels.c). */
#if defined(__x86_64__)
#include <immintrin.h>

#include "stages/pixels_kernels.h"

#define AVX2 __attribute__((target("avx2,f16c")))
#define AVX2_INLINE __attribute__((target("avx2,f16c"), always_inline)) static inline

/* Eight values; j: where they are in the period. */
AVX2_INLINE __m256 eight(const uint8_t *in, const leat__pixels_scale *scale, size_t j)
{
    const __m256 value = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)in)));
    return _mm256_add_ps(_mm256_mul_ps(value, _mm256_loadu_ps(scale->times + j)), _mm256_loadu_ps(scale->plus + j));
}

AVX2_INLINE size_t next(size_t j)
{
    return j + 8 == LEAT__PIXELS_PERIOD ? 0 : j + 8;
}

AVX2 static void to_float32(const uint8_t *in, size_t count, const leat__pixels_scale *scale, float *out, bool around)
{
    size_t i = 0, j = 0;
    if (around)
        for (; i + 8 <= count; i += 8, j = next(j)) _mm256_stream_ps(out + i, eight(in + i, scale, j));
    else
        for (; i + 8 <= count; i += 8, j = next(j)) _mm256_storeu_ps(out + i, eight(in + i, scale, j));
    for (; i < count; i++) out[i] = leat__pixels_one(in, i, scale);
}

AVX2_INLINE __m128i eight_halves(const uint8_t *in, const leat__pixels_scale *scale, size_t j)
{
    return _mm256_cvtps_ph(eight(in, scale, j), _MM_FROUND_TO_NEAREST_INT);
}

AVX2 static void to_float16(const uint8_t *in, size_t count, const leat__pixels_scale *scale, uint16_t *out,
                            bool around)
{
    size_t i = 0, j = 0;
    if (around)
        for (; i + 8 <= count; i += 8, j = next(j))
            _mm_stream_si128((__m128i *)(out + i), eight_halves(in + i, scale, j));
    else
        for (; i + 8 <= count; i += 8, j = next(j))
            _mm_storeu_si128((__m128i *)(out + i), eight_halves(in + i, scale, j));
    for (; i < count; i++) out[i] = leat__float16(leat__pixels_one(in, i, scale));
}

/* Which pixel's byte of a plane comes to each of 48 bytes of RGB, 16 a row; -1: another plane's. */
static const int8_t red_places[3][16] = {{0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1, 5},
                                         {-1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10, -1},
                                         {-1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1, -1}};
static const int8_t green_places[3][16] = {{-1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1},
                                           {5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10},
                                           {-1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1}};
static const int8_t blue_places[3][16] = {{-1, -1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1},
                                          {-1, 5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1},
                                          {10, -1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15}};

AVX2_INLINE __m128i spread(__m128i plane, const int8_t *places)
{
    return _mm_shuffle_epi8(plane, _mm_loadu_si128((const __m128i *)places));
}

AVX2_INLINE size_t interleave_3(const uint8_t *planes, size_t plane, size_t count, uint8_t *out)
{
    size_t x = 0;
    for (; x + 16 <= count; x += 16, out += 48) {
        const __m128i r = _mm_loadu_si128((const __m128i *)(planes + x));
        const __m128i g = _mm_loadu_si128((const __m128i *)(planes + plane + x));
        const __m128i b = _mm_loadu_si128((const __m128i *)(planes + 2 * plane + x));
        for (int k = 0; k < 3; k++) {
            const __m128i rg = _mm_or_si128(spread(r, red_places[k]), spread(g, green_places[k]));
            _mm_storeu_si128((__m128i *)(out + 16 * k), _mm_or_si128(rg, spread(b, blue_places[k])));
        }
    }
    return x;
}

AVX2_INLINE size_t interleave_4(const uint8_t *planes, size_t plane, size_t count, uint8_t *out)
{
    size_t x = 0;
    for (; x + 16 <= count; x += 16, out += 64) {
        const __m128i r = _mm_loadu_si128((const __m128i *)(planes + x));
        const __m128i g = _mm_loadu_si128((const __m128i *)(planes + plane + x));
        const __m128i b = _mm_loadu_si128((const __m128i *)(planes + 2 * plane + x));
        const __m128i a = _mm_loadu_si128((const __m128i *)(planes + 3 * plane + x));
        const __m128i rg_low = _mm_unpacklo_epi8(r, g), rg_high = _mm_unpackhi_epi8(r, g);
        const __m128i ba_low = _mm_unpacklo_epi8(b, a), ba_high = _mm_unpackhi_epi8(b, a);
        _mm_storeu_si128((__m128i *)out, _mm_unpacklo_epi16(rg_low, ba_low));
        _mm_storeu_si128((__m128i *)(out + 16), _mm_unpackhi_epi16(rg_low, ba_low));
        _mm_storeu_si128((__m128i *)(out + 32), _mm_unpacklo_epi16(rg_high, ba_high));
        _mm_storeu_si128((__m128i *)(out + 48), _mm_unpackhi_epi16(rg_high, ba_high));
    }
    return x;
}

AVX2 void leat__pixels_interleave_avx2(const uint8_t *planes, size_t plane, unsigned channels, size_t count,
                                       uint8_t *out)
{
    size_t x = channels == 3 ? interleave_3(planes, plane, count, out) : interleave_4(planes, plane, count, out);
    for (; x < count; x++)
        for (unsigned c = 0; c < channels; c++) out[x * channels + c] = planes[c * plane + x];
}

const leat__pixels_kernels leat__pixels_avx2 = {
    .to_float32 = to_float32, .to_float16 = to_float16, .interleave = leat__pixels_interleave_avx2};
#endif
