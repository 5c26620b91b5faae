/* fuzz_png.c - any bytes as a PNG, through the fast reader and through libpng: refused by both or by neither, and the
 * same pixels.
 *
 * CRCs are made right first, in most inputs, so that damage reaches what lies behind them. How much is asked for, in
 * what strips and with alpha or without, follows from the input's size. Seeds: seed_image.c. */
#include <stdlib.h>
#include <string.h>

#include <libdeflate.h>

#include "stages/libpng.h"
#include "stages/png.h"
#include "stages/pngfast.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const leat__image_limits limits = {.max_pixels = 1 << 16, .max_codec_bytes = 8 << 20};

static void need(bool held)
{
    if (!held) abort();
}

static void mend_crcs(uint8_t *data, size_t size)
{
    for (size_t at = 8; at < size && size - at >= 12;) {
        size_t length = (size_t)data[at] << 24 | (size_t)data[at + 1] << 16 | (size_t)data[at + 2] << 8 | data[at + 3];
        if (length > size - at - 12) return;
        uint32_t crc = libdeflate_crc32(0, data + at + 4, length + 4);
        for (unsigned i = 0; i < 4; i++) data[at + 8 + length + i] = (uint8_t)(crc >> (24 - 8 * i));
        at += 12 + length;
    }
}

/* All of it by libpng; NULL if it is refused. */
static uint8_t *read_by_libpng(leat__libpng *png, const leat__png_outline *outline, bool alpha)
{
    leat__image_info info = {.width = outline->width, .height = outline->height, .channels = alpha ? 4 : 3};
    leat_error error;
    if (leat__image_check_pixels("PNG", &info, &limits, &error) != LEAT_OK) return NULL;
    if (leat__libpng_open(png, outline, alpha, true, &limits, &info, &error) != LEAT_OK) return NULL;
    const size_t stride = (size_t)info.width * info.channels;
    uint8_t *pixels = malloc(stride * info.height);
    need(pixels);
    leat_code code = leat__libpng_rows(png, pixels, stride, info.height, &error);
    if (code == LEAT_OK) code = leat__libpng_verify(png, &error);
    leat__libpng_done(png);
    if (code == LEAT_OK) return pixels;
    free(pixels);
    return NULL;
}

/* A part of it by our reader, which must be the same part of `whole`. */
static leat_code compare(leat__png *png, const uint8_t *data, size_t size, bool alpha, bool all, const uint8_t *whole)
{
    leat__image_info info;
    leat_error error;
    leat_code code = leat__png_open(png, data, size, alpha, &limits, &info, &error);
    if (code != LEAT_OK) return code;
    leat__image_part part = {.width = info.width, .height = info.height};
    if (!all) {
        part.x = (uint32_t)(size % info.width), part.width = 1 + (uint32_t)(size / 3 % (info.width - part.x));
        part.y = (uint32_t)(size % info.height), part.height = 1 + (uint32_t)(size / 5 % (info.height - part.y));
        code = leat__png_select(png, &part, &error);
        if (code != LEAT_OK) return code;
    }
    const size_t row = (size_t)part.width * info.channels;
    const uint32_t strip = 1 + (uint32_t)(size % 17);
    uint8_t *pixels = malloc(row * part.height);
    need(pixels);
    for (uint32_t y = 0; y < part.height && code == LEAT_OK; y += strip)
        code = leat__png_rows(png, pixels + y * row, row, strip < part.height - y ? strip : part.height - y, &error);
    if (code == LEAT_OK) code = leat__png_verify(png, &error);
    for (uint32_t y = 0; y < part.height && code == LEAT_OK && whole; y++) {
        const uint8_t *want = whole + ((size_t)(part.y + y) * info.width + part.x) * info.channels;
        need(memcmp(pixels + y * row, want, row) == 0);
    }
    leat__png_done(png);
    free(pixels);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static leat__png *png;
    static leat__libpng *libpng;
    if (!png) png = leat__png_new();
    if (!libpng) libpng = leat__libpng_new();
    uint8_t *copy = malloc(size + !size);
    need(png && libpng && copy);
    if (size) memcpy(copy, data, size);
    if (size % 8) mend_crcs(copy, size);
    leat__png_outline outline;
    leat_error error;
    size_t bytes;
    if (leat__png_walk(copy, size, &outline, &error) == LEAT_OK) {
        const bool alpha = size & 1, common = leat__pngfast_fits(&outline, &limits, &bytes);
        uint8_t *whole = read_by_libpng(libpng, &outline, alpha);
        leat_code code = compare(png, copy, size, alpha, !common || size % 3 == 0, whole);
        need((code == LEAT_OK) == (whole != NULL));
        free(whole);
    }
    free(copy);
    return 0;
}
