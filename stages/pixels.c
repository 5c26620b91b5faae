/* pixels.c - finished 8-bit rows into the batch: flip, normalize, number format, layout; and alpha around a resize.
 *
 * What:    a pixel value is one of 256, so normalizing is a table for each channel, filled once per worker; a row is
 *          then looked up forwards or backwards into its place.
 * Why so:  the table's entries are computed with torchvision's operations (ToTensor, Normalize) one by one in float32,
 *          so the result is the same bit for bit, on every compiler, and float16 costs no more than float32. Computing
 *          value * a + b in vectors instead differs in the last bit, and whether it is fused differs between machines.
 * Threads: any; nothing here changes after init.
 * Not here: resize.c, and what is flipped (view.c). */
#include "stages/pixels.h"

#include <assert.h>
#include <string.h>

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

void leat__pixels_init(leat__pixels *pixels, const leat_image *image)
{
    pixels->height = image->height;
    pixels->width = image->width;
    pixels->channels = image->alpha ? 4 : 3;
    pixels->dtype = image->dtype;
    pixels->layout = image->layout;
    assert(image->layout == LEAT_HWC || image->layout == LEAT_CHW);
    if (image->dtype == LEAT_UINT8) return;
    for (int channel = 0; channel < 4; channel++) {
        const float mean = channel < 3 ? image->mean[channel] : 0, std = channel < 3 ? image->std[channel] : 1;
        assert(std != 0);
        for (int value = 0; value < 256; value++) {
            float unit = (float)value / 255.0f;
            float result = (unit - mean) / std;
            if (image->dtype == LEAT_FLOAT16) pixels->table.float16[channel][value] = leat__float16(result);
            else pixels->table.float32[channel][value] = result;
        }
    }
}

/* Row y by table; step: from pixel to pixel of the source, negative if mirrored. */
#define DEFINE_PUT(name, type, table)                                                                                  \
    static void name(const leat__pixels *pixels, const uint8_t *source, ptrdiff_t step, uint32_t y, type *out)         \
    {                                                                                                                  \
        const size_t width = pixels->width, channels = pixels->channels, plane = pixels->height * width;               \
        if (pixels->layout == LEAT_HWC) {                                                                              \
            out += y * width * channels;                                                                               \
            for (size_t x = 0; x < width; x++, source += step)                                                         \
                for (size_t c = 0; c < channels; c++) *out++ = table[c][source[c]];                                    \
            return;                                                                                                    \
        }                                                                                                              \
        out += y * width;                                                                                              \
        for (size_t c = 0; c < channels; c++, out += plane) {                                                          \
            const uint8_t *value = source + c;                                                                         \
            for (size_t x = 0; x < width; x++, value += step) out[x] = table[c][*value];                               \
        }                                                                                                              \
    }

DEFINE_PUT(put_float32, float, pixels->table.float32)
DEFINE_PUT(put_float16, uint16_t, pixels->table.float16)

static void put_uint8(const leat__pixels *pixels, const uint8_t *source, ptrdiff_t step, uint32_t y, uint8_t *out)
{
    const size_t width = pixels->width, channels = pixels->channels, plane = pixels->height * width;
    if (pixels->layout == LEAT_HWC && step > 0) {
        memcpy(out + y * width * channels, source, width * channels);
    } else if (pixels->layout == LEAT_HWC) {
        out += y * width * channels;
        for (size_t x = 0; x < width; x++, source += step, out += channels)
            for (size_t c = 0; c < channels; c++) out[c] = source[c];
    } else {
        out += y * width;
        for (size_t c = 0; c < channels; c++, out += plane) {
            const uint8_t *value = source + c;
            for (size_t x = 0; x < width; x++, value += step) out[x] = *value;
        }
    }
}

void leat__pixels_put(const leat__pixels *pixels, const uint8_t *row, uint32_t y, bool flip, void *out)
{
    assert(y < pixels->height);
    const ptrdiff_t channels = pixels->channels;
    const uint8_t *source = flip ? row + (ptrdiff_t)(pixels->width - 1) * channels : row;
    const ptrdiff_t step = flip ? -channels : channels;
    switch (pixels->dtype) {
    case LEAT_FLOAT32: put_float32(pixels, source, step, y, out); break;
    case LEAT_FLOAT16: put_float16(pixels, source, step, y, out); break;
    default:
        assert(pixels->dtype == LEAT_UINT8);
        put_uint8(pixels, source, step, y, out);
    }
}

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

void leat__pixels_unpremultiply(uint8_t *rgba, size_t count)
{
    for (size_t i = 0; i < 4 * count; i += 4) {
        const unsigned alpha = rgba[i + 3];
        if (alpha == 0 || alpha == 255) continue;
        for (size_t c = i; c < i + 3; c++) {
            unsigned colour = 255u * rgba[c] / alpha;
            rgba[c] = (uint8_t)(colour > 255 ? 255 : colour);
        }
    }
}
