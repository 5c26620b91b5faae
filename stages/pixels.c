/* pixels.c - finished 8-bit rows into the batch: normalize, number format, layout; and alpha around a resize.
 *
 * What:    a row of planes is either converted plane by plane (CHW), or put side by side first and then converted
 *          (HWC), a stretch at a time; factors repeat every 48 values, so that both are the same loop.
 * Why so:  value * times + plus in vectors writes as fast as memory takes it; looking each value up in a table of 256
 *          goes one by one. Multiplication and addition are rounded apart, never fused, so every machine gives the
 *          same bits. float16 rounds the float32 result. Around the caches, a photograph's 600 KB take half the time:
 *          else every line is read before it is written, and drives out what the decoder needs (bench/resize.c).
 * Threads: any; nothing here changes after init.
 * Not here: the flip (the across filter is mirrored), resize.c. */
#include "stages/pixels.h"

#include <assert.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "stages/pixels_kernels.h"

#define STRETCH 240 /* pixels of HWC converted at a time: a multiple of 48, so that every stretch begins alike */

uint16_t leat__float16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    bits &= 0x7FFFFFFF;
    if (bits > 0x7F800000) return sign | 0x7E00;  /* NaN */
    if (bits >= 0x477FF000) return sign | 0x7C00; /* 65520 and more round to infinity */
    if (bits < 0x33000000) return sign;           /* under half of the smallest subnormal */
    unsigned drop = 13;                           /* bits of the fraction that binary16 does not have */
    uint32_t fraction = bits;
    if (bits < 0x38800000) { /* a subnormal: the leading 1 becomes explicit and moves right */
        fraction = (bits & 0x7FFFFF) | 0x800000;
        drop = 13 + 113 - (bits >> 23);
    } else {
        fraction -= (uint32_t)(127 - 15) << 23;
    }
    const uint32_t half = UINT32_C(1) << (drop - 1), rest = fraction & (2 * half - 1);
    uint32_t result = fraction >> drop;
    result += rest > half || (rest == half && (result & 1)); /* a carry into the exponent is right */
    assert(result <= 0x7C00);
    return (uint16_t)(sign | result);
}

/* ---- portable kernels ---- */

static void to_float32(const uint8_t *in, size_t count, const leat__pixels_scale *scale, float *out, bool around)
{
    size_t i = 0;
    (void)around;
    for (; i + LEAT__PIXELS_PERIOD <= count; i += LEAT__PIXELS_PERIOD)
        for (size_t j = 0; j < LEAT__PIXELS_PERIOD; j++)
            out[i + j] = (float)in[i + j] * scale->times[j] + scale->plus[j];
    for (; i < count; i++) out[i] = leat__pixels_one(in, i, scale);
}

static void to_float16(const uint8_t *in, size_t count, const leat__pixels_scale *scale, uint16_t *out, bool around)
{
    (void)around;
    for (size_t i = 0; i < count; i++) out[i] = leat__float16(leat__pixels_one(in, i, scale));
}

static void interleave(const uint8_t *planes, size_t plane, unsigned channels, size_t count, uint8_t *out)
{
    for (size_t x = 0; x < count; x++)
        for (unsigned c = 0; c < channels; c++) *out++ = planes[c * plane + x];
}

const leat__pixels_kernels leat__pixels_portable = {
    .to_float32 = to_float32, .to_float16 = to_float16, .interleave = interleave};

static const leat__pixels_kernels *kernels_of(leat__simd level)
{
#if defined(__x86_64__)
    if (level == LEAT__SIMD_AVX512) return &leat__pixels_avx512;
    if (level == LEAT__SIMD_AVX2) return &leat__pixels_avx2;
#endif
    assert(level == LEAT__SIMD_PORTABLE);
    return &leat__pixels_portable;
}

/* ---- rows ---- */

void leat__pixels_init(leat__pixels *pixels, const leat_image *image, leat__simd level)
{
    assert(level <= leat__simd_best() && (image->layout == LEAT_HWC || image->layout == LEAT_CHW));
    *pixels = (leat__pixels){.kernels = kernels_of(level), .height = image->height, .width = image->width,
                             .channels = image->alpha ? 4 : 3, .dtype = image->dtype, .layout = image->layout};
    for (unsigned channel = 0; channel < pixels->channels; channel++)
        for (unsigned i = 0; i < LEAT__PIXELS_PERIOD; i++) {
            const unsigned c = pixels->layout == LEAT_CHW ? channel : i % pixels->channels;
            const double mean = c < 3 ? (double)image->mean[c] : 0, std = c < 3 ? (double)image->std[c] : 1;
            assert(std > 0);
            pixels->scale[channel].times[i] = (float)(1 / (255 * std));
            pixels->scale[channel].plus[i] = (float)(-mean / std);
        }
}

/* True if a run may go around the caches: it must begin and end with a cache line, or lines would be written twice. */
static bool goes_around(const leat__pixels *pixels, const void *to, size_t bytes)
{
    return pixels->around_cache && (uintptr_t)to % 64 == 0 && bytes % 64 == 0;
}

/* Values of one run to out[at ...]; out: the image's start. */
static void convert(const leat__pixels *pixels, const uint8_t *in, size_t count, unsigned scale, void *out, size_t at)
{
    const leat__pixels_scale *by = &pixels->scale[scale];
    if (pixels->dtype == LEAT_FLOAT32) {
        float *to = (float *)out + at;
        pixels->kernels->to_float32(in, count, by, to, goes_around(pixels, to, count * sizeof(*to)));
    } else if (pixels->dtype == LEAT_FLOAT16) {
        uint16_t *to = (uint16_t *)out + at;
        pixels->kernels->to_float16(in, count, by, to, goes_around(pixels, to, count * sizeof(*to)));
    } else {
        assert(pixels->dtype == LEAT_UINT8);
        memcpy((uint8_t *)out + at, in, count);
    }
}

static void put_side_by_side(const leat__pixels *pixels, const uint8_t *row, size_t plane, size_t at, void *out)
{
    const unsigned channels = pixels->channels;
    if (pixels->dtype == LEAT_UINT8) {
        pixels->kernels->interleave(row, plane, channels, pixels->width, (uint8_t *)out + at);
        return;
    }
    uint8_t values[STRETCH * 4];
    for (size_t x = 0; x < pixels->width; x += STRETCH) {
        const size_t count = pixels->width - x < STRETCH ? pixels->width - x : STRETCH;
        pixels->kernels->interleave(row + x, plane, channels, count, values);
        convert(pixels, values, count * channels, 0, out, at + x * channels);
    }
}

void leat__pixels_put(const leat__pixels *pixels, const uint8_t *row, size_t plane, uint32_t y, void *out)
{
    assert(y < pixels->height && plane >= pixels->width);
    const size_t width = pixels->width;
    if (pixels->layout == LEAT_HWC) {
        put_side_by_side(pixels, row, plane, y * width * pixels->channels, out);
        return;
    }
    for (unsigned c = 0; c < pixels->channels; c++)
        convert(pixels, row + c * plane, width, c, out, (c * (size_t)pixels->height + y) * width);
}

void leat__pixels_done(const leat__pixels *pixels)
{
#if defined(__x86_64__)
    if (pixels->around_cache) _mm_sfence();
#else
    (void)pixels;
#endif
}

/* ---- alpha ---- */

void leat__pixels_premultiply(uint8_t *rgba, size_t count)
{
    for (size_t i = 0; i < 4 * count; i += 4) {
        const unsigned alpha = rgba[i + 3];
        for (size_t c = i; c < i + 3; c++) {
            unsigned product = rgba[c] * alpha + 128; /* divided by 255, rounded: exact for 8 bits */
            rgba[c] = (uint8_t)((product + (product >> 8)) >> 8);
        }
    }
}

void leat__pixels_unpremultiply(uint8_t *row, size_t plane, size_t count)
{
    const uint8_t *alpha = row + 3 * plane;
    for (int c = 0; c < 3; c++, row += plane)
        for (size_t x = 0; x < count; x++) {
            /* the quotient of integers under 2^16 and 2^8 is never rounded up to the next integer below 256 */
            const int32_t colour = (int32_t)(255.0f * row[x] / (float)(alpha[x] ? alpha[x] : 255));
            row[x] = (uint8_t)(colour > 255 ? 255 : colour);
        }
}
