/* resize.c - Pillow's antialiased bilinear resize: filter tables, and the pass along each direction.
 *
 * What:    a filter says for every output pixel which source pixels it is made of and with which weights; across
 *          applies it to a row, down to a column of rows.
 * Why so:  the order of every floating-point operation follows Pillow's precompute_coeffs and normalize_coeffs_8bpc, so
 *          that the tables, and with them the pixels, are the same; weights that came out 0 are cut off, which changes
 *          no sum. Across makes a pixel's channels side by side; down makes 16 columns at a time. Both exist in plain C
 *          and for AVX2, chosen at run time, with the same results; generic vectors were tried, and are slower than
 *          plain C with gcc 12.
 * Threads: any; pure functions.
 * Invariants: weights are >= 0 and a span's sum differs from 1 << LEAT__RESIZE_BITS by at most half its taps, so a sum
 *          of products stays under 2^31. Compile with -ffp-contract=off: a fused multiply-add would round differently.
 * Not here: which rows and columns (view.c), when rows come (transform.c), alpha (pixels.c). */
#include "stages/resize.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2")))
#endif

#define ONE (1 << LEAT__RESIZE_BITS)

static double stretch(double extent, uint32_t size)
{
    double scale = extent / size;
    return scale < 1.0 ? 1.0 : scale;
}

uint32_t leat__filter_taps(double extent, uint32_t size)
{
    assert(size > 0 && extent > 0);
    return (uint32_t)ceil(stretch(extent + 1, size)) * 2 + 1; /* + 1: both ends are rounded to float */
}

size_t leat__filter_bytes(double extent, uint32_t size)
{
    return size * (sizeof(leat__span) + leat__filter_taps(extent, size) * sizeof(int32_t));
}

static double triangle(double x)
{
    if (x < 0.0) x = -x;
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Weights of the source pixels span->start..+taps for an output centred at `centre`, zeros at both ends cut off. */
static void weigh(leat__span *span, int32_t *weights, double centre, double inverse)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < span->taps; i++) sum += triangle(((double)(i + span->start) - centre + 0.5) * inverse);
    uint32_t kept = 0, used = 0, skipped = 0;
    for (uint32_t i = 0; i < span->taps; i++) {
        double weight = triangle(((double)(i + span->start) - centre + 0.5) * inverse);
        if (sum != 0.0) weight /= sum;
        int32_t fixed = (int32_t)(0.5 + weight * ONE);
        if (fixed == 0 && kept == 0) {
            skipped++;
            continue;
        }
        weights[kept++] = fixed;
        if (fixed) used = kept;
    }
    assert(used >= 1);
    span->start += skipped;
    span->taps = used;
}

void leat__filter_build(leat__filter *filter, void *memory, uint32_t length, double begin, double end, uint32_t size)
{
    assert(begin >= 0 && begin < end && end <= length && length <= LEAT__RESIZE_LONGEST);
    const float from = (float)begin, to = (float)end;
    const double scale = (double)(to - from) / size;
    const double support = stretch((double)(to - from), size), inverse = 1.0 / support;
    filter->size = size;
    filter->stride = leat__filter_taps(end - begin, size);
    filter->identity = scale == 1.0 && from == floorf(from);
    filter->first = length;
    filter->end = 0;
    filter->spans = memory;
    filter->weights = (int32_t *)(filter->spans + size);
    for (uint32_t i = 0; i < size; i++) {
        const double centre = from + (i + 0.5) * scale;
        const double low = centre - support + 0.5, high = centre + support + 0.5;
        leat__span *span = &filter->spans[i];
        span->start = low < 0 ? 0 : (uint32_t)low;
        span->taps = (high > length ? length : (uint32_t)high) - span->start;
        assert(span->taps >= 1 && span->taps <= filter->stride);
        weigh(span, filter->weights + (size_t)i * filter->stride, centre, inverse);
        if (span->start < filter->first) filter->first = span->start;
        if (span->start + span->taps > filter->end) filter->end = span->start + span->taps;
    }
    assert(filter->end <= length);
}

static uint8_t finish(int32_t sum)
{
    sum >>= LEAT__RESIZE_BITS;
    return (uint8_t)(sum > 255 ? 255 : sum); /* the rounding of very many weights can make it 256 */
}

static void across_3(const leat__filter *filter, const uint8_t *in, uint8_t *out)
{
    for (uint32_t x = 0; x < filter->size; x++, out += 3) {
        const leat__span *span = &filter->spans[x];
        const int32_t *weight = filter->weights + (size_t)x * filter->stride, *end = weight + span->taps;
        const uint8_t *pixel = in + (size_t)span->start * 3;
        int32_t r = ONE / 2, g = ONE / 2, b = ONE / 2;
        for (; weight < end; weight++, pixel += 3) {
            r += *weight * pixel[0];
            g += *weight * pixel[1];
            b += *weight * pixel[2];
        }
        out[0] = finish(r);
        out[1] = finish(g);
        out[2] = finish(b);
    }
}

static void across_4(const leat__filter *filter, const uint8_t *in, uint8_t *out)
{
    for (uint32_t x = 0; x < filter->size; x++, out += 4) {
        const leat__span *span = &filter->spans[x];
        const int32_t *weight = filter->weights + (size_t)x * filter->stride, *end = weight + span->taps;
        const uint8_t *pixel = in + (size_t)span->start * 4;
        int32_t r = ONE / 2, g = ONE / 2, b = ONE / 2, a = ONE / 2;
        for (; weight < end; weight++, pixel += 4) {
            r += *weight * pixel[0];
            g += *weight * pixel[1];
            b += *weight * pixel[2];
            a += *weight * pixel[3];
        }
        out[0] = finish(r);
        out[1] = finish(g);
        out[2] = finish(b);
        out[3] = finish(a);
    }
}

/* A block of columns: constant bounds, so that compilers make vectors of it. */
static void down_block(const leat__span *span, const int32_t *weights, const uint8_t *ring, size_t stride,
                       uint32_t rows, uint8_t *out)
{
    int32_t sums[LEAT__RESIZE_BLOCK];
    uint32_t slot = span->start % rows;
    for (int x = 0; x < LEAT__RESIZE_BLOCK; x++) sums[x] = ONE / 2;
    for (uint32_t i = 0; i < span->taps; i++) {
        const uint8_t *row = ring + slot * stride;
        const int32_t weight = weights[i];
        for (int x = 0; x < LEAT__RESIZE_BLOCK; x++) sums[x] += weight * row[x];
        if (++slot == rows) slot = 0;
    }
    for (int x = 0; x < LEAT__RESIZE_BLOCK; x++) out[x] = finish(sums[x]);
}

#if defined(__x86_64__)
/* One vector is one pixel; with 3 channels its fourth element is the next pixel's first byte, and is overwritten. */
AVX2 static inline __attribute__((always_inline)) void
across_avx2(const leat__filter *filter, const uint8_t *in, const unsigned channels, uint8_t *out)
{
    for (uint32_t x = 0; x < filter->size; x++, out += channels) {
        const leat__span *span = &filter->spans[x];
        const int32_t *weight = filter->weights + (size_t)x * filter->stride, *end = weight + span->taps;
        const uint8_t *pixel = in + (size_t)span->start * channels;
        __m128i sum = _mm_set1_epi32(ONE / 2);
        for (; weight < end; weight++, pixel += channels) {
            int32_t bytes;
            memcpy(&bytes, pixel, sizeof(bytes));
            __m128i wide = _mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes));
            sum = _mm_add_epi32(sum, _mm_mullo_epi32(wide, _mm_set1_epi32(*weight)));
        }
        sum = _mm_srai_epi32(sum, LEAT__RESIZE_BITS);
        sum = _mm_packus_epi16(_mm_packus_epi32(sum, sum), sum);
        int32_t done = _mm_cvtsi128_si32(sum);
        memcpy(out, &done, channels);
    }
}

AVX2 static void across_3_avx2(const leat__filter *filter, const uint8_t *in, uint8_t *out)
{
    across_avx2(filter, in, 3, out);
}

AVX2 static void across_4_avx2(const leat__filter *filter, const uint8_t *in, uint8_t *out)
{
    across_avx2(filter, in, 4, out);
}

AVX2 static void down_block_avx2(const leat__span *span, const int32_t *weights, const uint8_t *ring, size_t stride,
                                 uint32_t rows, uint8_t *out)
{
    __m256i left = _mm256_set1_epi32(ONE / 2), right = left;
    uint32_t slot = span->start % rows;
    for (uint32_t i = 0; i < span->taps; i++) {
        __m128i row = _mm_loadu_si128((const __m128i *)(ring + slot * stride));
        __m256i weight = _mm256_set1_epi32(weights[i]);
        left = _mm256_add_epi32(left, _mm256_mullo_epi32(_mm256_cvtepu8_epi32(row), weight));
        right = _mm256_add_epi32(right, _mm256_mullo_epi32(_mm256_cvtepu8_epi32(_mm_srli_si128(row, 8)), weight));
        if (++slot == rows) slot = 0;
    }
    left = _mm256_srai_epi32(left, LEAT__RESIZE_BITS);
    right = _mm256_srai_epi32(right, LEAT__RESIZE_BITS);
    __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(left, right), 0xD8); /* packing works on halves */
    __m128i done = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128((__m128i *)out, done);
}
#endif

void leat__resize_across(const leat__filter *filter, const uint8_t *in, unsigned channels, uint8_t *out)
{
    assert(channels == 3 || channels == 4);
    void (*across)(const leat__filter *, const uint8_t *, uint8_t *) = channels == 3 ? across_3 : across_4;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) across = channels == 3 ? across_3_avx2 : across_4_avx2;
#endif
    across(filter, in, out);
}

void leat__resize_down(const leat__filter *filter, uint32_t y, const uint8_t *ring, size_t stride, uint32_t rows,
                       size_t bytes, uint8_t *out)
{
    assert(y < filter->size && stride % LEAT__RESIZE_BLOCK == 0 && bytes <= stride);
    const leat__span *span = &filter->spans[y];
    const int32_t *weights = filter->weights + (size_t)y * filter->stride;
    assert(span->taps >= 1 && span->taps <= rows);
    void (*block)(const leat__span *, const int32_t *, const uint8_t *, size_t, uint32_t, uint8_t *) = down_block;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) block = down_block_avx2;
#endif
    for (size_t x = 0; x < bytes; x += LEAT__RESIZE_BLOCK) block(span, weights, ring + x, stride, rows, out + x);
}
