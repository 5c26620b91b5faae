/* fuzz_image.c - any bytes as an image: no crash, no leak, no row left undefined, and one reader for all inputs.
 *
 * The input is decoded twice over different fillings: with LEAT_OK both must give the same pixels. How much is asked
 * for, in what strips and with alpha or without, follows from the input's size. Seeds: seed_image.c. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "stages/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const leat__image_limits limits = {.max_pixels = 1 << 18, .max_codec_bytes = 8 << 20};

static leat_code take(leat__image_reader *reader, const uint8_t *data, size_t size, uint8_t fill, uint8_t **out,
                      size_t *bytes)
{
    leat__image_info info;
    leat_error error;
    *out = NULL;
    leat_code code = leat__image_open(reader, data, size, size & 1, &limits, &info, &error);
    if (code != LEAT_OK) return code;
    if (info.codec_bytes > limits.max_codec_bytes || (uint64_t)info.width * info.height > limits.max_pixels) abort();
    uint32_t rows = size % 3 ? info.height : info.height / 2, strip = 1 + (uint32_t)(size % 17);
    size_t stride = (size_t)info.width * info.channels;
    *bytes = stride * rows;
    *out = malloc(*bytes + 1);
    if (!*out) abort();
    memset(*out, fill, *bytes);
    for (uint32_t y = 0; y < rows && code == LEAT_OK; y += strip)
        code = leat__image_rows(reader, *out + y * stride, stride, strip < rows - y ? strip : rows - y, &error);
    if (code == LEAT_OK) code = leat__image_verify(reader, &error);
    leat__image_done(reader);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static leat__image_reader *reader;
    if (!reader) reader = leat__image_reader_new();
    if (!reader) abort();
    uint8_t *first, *second;
    size_t first_bytes = 0, second_bytes = 0;
    mallopt(M_PERTURB, 0x55); /* what libjpeg and libpng find in memory of their own, where no sanitizer fills it */
    leat_code code = take(reader, data, size, 0x00, &first, &first_bytes);
    mallopt(M_PERTURB, 0xaa);
    leat_code again = take(reader, data, size, 0xff, &second, &second_bytes);
    if (code != again || first_bytes != second_bytes) abort();
    if (code == LEAT_OK && memcmp(first, second, first_bytes) != 0) abort();
    if (code == LEAT_ENOMEM || code == LEAT_EBUG || code == LEAT_EINVAL) abort();
    free(first);
    free(second);
    return 0;
}
