/* resize_avx2.c - the inner loops of a resize with 256-bit vectors.
 *
 * What:    down takes 32 pixels at a time: a byte b becomes the word (b - 128) * 256, whose rounded high product
 *          (pmulhrsw) with a 14-bit weight has 7 bits of fraction. Across multiplies an output's taps, which lie side
 *          by side in the plane, with its weights (pmaddwd). Where four outputs' next two taps lie within 8 words (a
 *          reduction by up to 2), one shuffle collects them; else each output loads its own taps, and eight are added
 *          up together.
 * Why so:  the two halves of a vector are loaded from pixels 16 apart, so that each holds whole pixels and channels can
 *          be sorted apart within halves: of three vectors of 8 words, each channel is in different places of each, so
 *          two blends collect it and one shuffle orders it.
 * Threads: any; pure functions. Runs only where leat__simd_best says so.
 * Not here: what the numbers mean (resize.c). */
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "stages/resize_kernels.h"
#include "stages/resize_many.h"

#define AVX2 __attribute__((target("avx2")))
#define AVX2_INLINE __attribute__((target("avx2"), always_inline)) static inline

/* 16 bytes at `at`, and 16 bytes `apart` bytes further. */
AVX2_INLINE __m256i load_apart(const uint8_t *at, size_t apart)
{
    const __m256i low = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)at));
    return _mm256_inserti128_si256(low, _mm_loadu_si128((const __m128i *)(at + apart)), 1);
}

/* Sums of 16 * channels columns in each half: sum[2k] of the first eight of every 16 bytes, sum[2k + 1] of the
 * others. */
AVX2_INLINE void sum_block(const uint8_t *const *rows, size_t offset, const int16_t *weights, unsigned taps,
                           const unsigned channels, __m256i *sum)
{
    const __m256i zero = _mm256_setzero_si256(), middle = _mm256_set1_epi8((char)0x80);
    LEAT__UNROLL for (unsigned k = 0; k < 2 * channels; k++) sum[k] = zero;
    for (unsigned t = 0; t < taps; t++) {
        const __m256i weight = _mm256_set1_epi16(weights[t]);
        LEAT__UNROLL for (unsigned k = 0; k < channels; k++) {
            const __m256i bytes = _mm256_xor_si256(load_apart(rows[t] + offset + 16 * k, 16 * channels), middle);
            const __m256i low = _mm256_unpacklo_epi8(zero, bytes), high = _mm256_unpackhi_epi8(zero, bytes);
            sum[2 * k] = _mm256_add_epi16(sum[2 * k], _mm256_mulhrs_epi16(low, weight));
            sum[2 * k + 1] = _mm256_add_epi16(sum[2 * k + 1], _mm256_mulhrs_epi16(high, weight));
        }
    }
}

AVX2_INLINE void store_apart(int16_t *at, __m256i words)
{
    _mm_storeu_si128((__m128i *)at, _mm256_castsi256_si128(words));
    _mm_storeu_si128((__m128i *)(at + 16), _mm256_extracti128_si256(words, 1));
}

/* Eight RGB pixels of each half, 24 words in a, b, c, to their planes. */
AVX2_INLINE void sort_3(__m256i a, __m256i b, __m256i c, int16_t *planes, size_t plane)
{
    const __m256i red = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 6, 7, 12, 13, 2, 3, 8, 9, 14, 15, 4, 5, 10, 11));
    const __m256i green = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(2, 3, 8, 9, 14, 15, 4, 5, 10, 11, 0, 1, 6, 7, 12, 13));
    const __m256i blue = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(4, 5, 10, 11, 0, 1, 6, 7, 12, 13, 2, 3, 8, 9, 14, 15));
    const __m256i r = _mm256_blend_epi16(_mm256_blend_epi16(a, b, 0x92), c, 0x24);
    const __m256i g = _mm256_blend_epi16(_mm256_blend_epi16(a, b, 0x24), c, 0x49);
    const __m256i u = _mm256_blend_epi16(_mm256_blend_epi16(a, b, 0x49), c, 0x92);
    store_apart(planes, _mm256_shuffle_epi8(r, red));
    store_apart(planes + plane, _mm256_shuffle_epi8(g, green));
    store_apart(planes + 2 * plane, _mm256_shuffle_epi8(u, blue));
}

/* Eight RGBA pixels of each half, 32 words, to their planes. */
AVX2_INLINE void sort_4(const __m256i *words, int16_t *planes, size_t plane)
{
    const __m256i pairs = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15));
    __m256i at[4];
    LEAT__UNROLL for (int i = 0; i < 4; i++) at[i] = _mm256_shuffle_epi8(words[i], pairs); /* r r g g b b a a */
    const __m256i rg_low = _mm256_unpacklo_epi32(at[0], at[1]), ba_low = _mm256_unpackhi_epi32(at[0], at[1]);
    const __m256i rg_high = _mm256_unpacklo_epi32(at[2], at[3]), ba_high = _mm256_unpackhi_epi32(at[2], at[3]);
    store_apart(planes, _mm256_unpacklo_epi64(rg_low, rg_high));
    store_apart(planes + plane, _mm256_unpackhi_epi64(rg_low, rg_high));
    store_apart(planes + 2 * plane, _mm256_unpacklo_epi64(ba_low, ba_high));
    store_apart(planes + 3 * plane, _mm256_unpackhi_epi64(ba_low, ba_high));
}

AVX2 static void down(const uint8_t *const *rows, const int16_t *weights, unsigned taps, unsigned channels,
                      size_t columns, int16_t *planes, size_t plane)
{
    __m256i sum[8];
    for (size_t x = 0; x < columns; x += 32, planes += 32) {
        if (channels == 3) {
            sum_block(rows, x * 3, weights, taps, 3, sum);
            sort_3(sum[0], sum[1], sum[2], planes, plane);
            sort_3(sum[3], sum[4], sum[5], planes + 8, plane);
        } else {
            sum_block(rows, x * 4, weights, taps, 4, sum);
            sort_4(sum, planes, plane);
            sort_4(sum + 4, planes + 8, plane);
        }
    }
}

AVX2_INLINE __m256i load_pair(const int16_t *low, const int16_t *high)
{
    const __m256i first = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)low));
    return _mm256_inserti128_si256(first, _mm_loadu_si128((const __m128i *)high), 1);
}

/* Eight sums that began with LEAT__RESIZE_BIAS. */
AVX2_INLINE void store_eight(__m256i sum, uint8_t *out)
{
    sum = _mm256_srai_epi32(sum, LEAT__RESIZE_SHIFT);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    _mm_storel_epi64((__m128i *)out, _mm_packus_epi16(words, words));
}

/* Eight sums of four pairs each: dot[i] holds those of output i in its low half, of i + 4 in its high one. */
AVX2_INLINE void finish_eight(const __m256i *dot, uint8_t *out)
{
    const __m256i sum = _mm256_hadd_epi32(_mm256_hadd_epi32(dot[0], dot[1]), _mm256_hadd_epi32(dot[2], dot[3]));
    store_eight(_mm256_add_epi32(sum, _mm256_set1_epi32(LEAT__RESIZE_BIAS)), out);
}

/* ---- across, outputs close together: four share a window of eight words ---- */

/* Eight outputs; their weights follow, eight pairs a vector. */
typedef struct group {
    uint8_t places[32]; /* where each output's first two taps are in its half's window, in bytes */
    int32_t base[2];    /* the windows' first words; pair t's begin 2 * t words later */
    int32_t unused[6];
} group;

static uint32_t pairs_of(const leat__filter *across)
{
    return (across->taps + 1) / 2;
}

static size_t group_bytes(const leat__filter *across)
{
    return sizeof(group) + 32 * (size_t)pairs_of(across);
}

static size_t packed_bytes(const leat__filter *across)
{
    return 2 * across->groups * group_bytes(across);
}

/* False if the outputs lie too far apart. */
static bool pack_group(const leat__filter *across, size_t x, group *to)
{
    int16_t *weights = (int16_t *)(to + 1);
    for (int half = 0; half < 2; half++) {
        const int32_t *starts = across->starts + x + 4 * half;
        const int32_t base = starts[0] < starts[3] ? starts[0] : starts[3];
        to->base[half] = base;
        LEAT__UNROLL for (int i = 0; i < 4; i++) {
            const int32_t place = starts[i] - base;
            if (place > 6) return false;
            for (int b = 0; b < 4; b++) to->places[16 * half + 4 * i + b] = (uint8_t)(2 * place + b);
        }
    }
    for (uint32_t t = 0; t < pairs_of(across); t++, weights += 16)
        for (size_t i = 0; i < 8; i++) memcpy(weights + 2 * i, across->weights + (x + i) * across->stride + 2 * t, 4);
    return true;
}

static void pack(leat__resize *resize)
{
    const leat__filter *across = &resize->across;
    uint8_t *at = resize->packed;
    for (size_t x = 0; x < across->size; x += 8, at += group_bytes(across))
        if (!pack_group(across, x, (group *)at)) {
            resize->packed = NULL;
            return;
        }
}

AVX2_INLINE void across_groups(const leat__resize *resize, const unsigned channels, const uint32_t pairs, uint8_t *out)
{
    const uint8_t *at = resize->packed;
    for (size_t x = 0; x < resize->across.size; x += 8, at += group_bytes(&resize->across)) {
        const group *from = (const group *)at;
        const __m256i *weights = (const __m256i *)(from + 1), places = _mm256_load_si256((const __m256i *)from->places);
        LEAT__UNROLL for (unsigned c = 0; c < channels; c++) {
            const int16_t *plane = resize->planes + c * resize->plane;
            const int16_t *low = plane + from->base[0], *high = plane + from->base[1];
            __m256i sum = _mm256_set1_epi32(LEAT__RESIZE_BIAS);
            for (uint32_t t = 0; t < pairs; t++) {
                const __m256i taps = _mm256_shuffle_epi8(load_pair(low + 2 * t, high + 2 * t), places);
                sum = _mm256_add_epi32(sum, _mm256_madd_epi16(taps, _mm256_load_si256(weights + t)));
            }
            store_eight(sum, out + c * resize->out_plane + x);
        }
    }
}

/* ---- across, outputs further apart: each loads its taps ---- */

/* At most eight taps: an output fills half a vector. */
AVX2_INLINE void across_8(const leat__resize *resize, size_t x, uint8_t *out)
{
    const int32_t *starts = resize->across.starts + x;
    const int16_t *weights = resize->across.weights + x * 8, *plane = resize->planes;
    __m256i weight[4], dot[4];
    LEAT__UNROLL for (int i = 0; i < 4; i++) weight[i] = load_pair(weights + i * 8, weights + (i + 4) * 8);
    for (unsigned c = 0; c < resize->channels; c++, plane += resize->plane, out += resize->out_plane) {
        LEAT__UNROLL for (int i = 0; i < 4; i++)
            dot[i] = _mm256_madd_epi16(load_pair(plane + starts[i], plane + starts[i + 4]), weight[i]);
        finish_eight(dot, out);
    }
}

/* At most sixteen: the two halves of an output's sums are added. */
AVX2_INLINE void across_16(const leat__resize *resize, size_t x, uint8_t *out)
{
    const int32_t *starts = resize->across.starts + x;
    const int16_t *weights = resize->across.weights + x * 16, *plane = resize->planes;
    __m256i dot[4];
    for (unsigned c = 0; c < resize->channels; c++, plane += resize->plane, out += resize->out_plane) {
        LEAT__UNROLL for (int i = 0; i < 4; i++) {
            const int16_t *low = plane + starts[i], *high = plane + starts[i + 4];
            const int16_t *low_weights = weights + i * 16, *high_weights = weights + (i + 4) * 16;
            dot[i] = _mm256_add_epi32(
                _mm256_madd_epi16(load_pair(low, high), load_pair(low_weights, high_weights)),
                _mm256_madd_epi16(load_pair(low + 8, high + 8), load_pair(low_weights + 8, high_weights + 8)));
        }
        finish_eight(dot, out);
    }
}

AVX2 void leat__resize_across_far_avx2(const leat__resize *resize, uint8_t *out)
{
    const size_t width = resize->across.size;
    if (resize->across.stride == 8)
        for (size_t x = 0; x < width; x += 8) across_8(resize, x, out + x);
    else
        for (size_t x = 0; x < width; x += 8) across_16(resize, x, out + x);
}

#define LEVEL AVX2
#include "stages/resize_level.h"

const leat__resize_kernels leat__resize_avx2 = {.down = down, .across = across, .packed_bytes = packed_bytes,
    .pack = pack, .add = add, .settle = settle, .across_many = across_many};
#endif
