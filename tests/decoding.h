/* decoding.h - what the tests of image.c, jpeg.c and png.c share: decode in strips, compare, expect errors. */
#ifndef LEAT_TESTS_DECODING_H
#define LEAT_TESTS_DECODING_H

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "stages/image.h"
#include "tests/pictures.h"

static const leat__image_limits roomy = {.max_pixels = 100000000, .max_codec_bytes = 256 << 20};

/* Opens, takes `rows` rows (UINT32_MAX: all) in strips of `strip`, verifies, and says done. *pixels: owned, of exactly
 * the rows taken, NULL on an error. */
static inline leat_code decode_part(leat__image_reader *reader, const picture *of, bool alpha, uint32_t rows,
                                    uint32_t strip, const leat__image_limits *limits, uint8_t fill, uint8_t **pixels,
                                    leat__image_info *info, leat_error *error)
{
    *pixels = NULL;
    leat_code code = leat__image_open(reader, of->data, of->size, alpha, limits, info, error);
    if (code != LEAT_OK) return code;
    if (rows > info->height) rows = info->height;
    size_t stride = (size_t)info->width * info->channels;
    uint8_t *out = malloc(stride * rows + !rows);
    ck_assert_ptr_nonnull(out);
    memset(out, fill, stride * rows);
    for (uint32_t y = 0; y < rows && code == LEAT_OK; y += strip) {
        uint32_t count = strip < rows - y ? strip : rows - y;
        code = leat__image_rows(reader, out + y * stride, stride, count, error);
    }
    if (code == LEAT_OK) code = leat__image_verify(reader, error);
    leat__image_done(reader);
    if (code == LEAT_OK) *pixels = out;
    else free(out);
    return code;
}

static inline leat_code decode(leat__image_reader *reader, const picture *of, bool alpha, uint8_t **pixels,
                               leat_error *error)
{
    leat__image_info info;
    return decode_part(reader, of, alpha, UINT32_MAX, 5, &roomy, 0xa5, pixels, &info, error);
}

/* Decodes and expects these very pixels. */
static inline void expect_pixels(leat__image_reader *reader, const picture *of, bool alpha, uint32_t strip,
                                 const uint8_t *want, const char *what)
{
    leat__image_info info;
    leat_error error;
    uint8_t *got;
    leat_code code = decode_part(reader, of, alpha, UINT32_MAX, strip, &roomy, 0xa5, &got, &info, &error);
    ck_assert_msg(code == LEAT_OK, "%s: %s", what, code == LEAT_OK ? "" : error.message);
    ck_assert_uint_eq(info.channels, alpha ? 4 : 3);
    size_t bytes = (size_t)info.width * info.height * info.channels;
    size_t i = 0;
    while (i < bytes && got[i] == want[i]) i++;
    ck_assert_msg(i == bytes, "%s: byte %zu of %zu is %d, not %d", what, i, bytes, got[i % bytes], want[i % bytes]);
    free(got);
}

/* Decodes and expects this error, and these words in its message (NULL: any). */
static inline void expect_error(leat__image_reader *reader, const picture *of, leat_code want, const char *words)
{
    leat_error error = {.code = LEAT_OK};
    uint8_t *got;
    leat_code code = decode(reader, of, false, &got, &error);
    ck_assert_msg(code == want, "%s (%s), not %s", leat_code_name(code), error.message, leat_code_name(want));
    ck_assert_int_eq(error.code, want);
    ck_assert_msg(!words || strstr(error.message, words), "\"%s\" lacks \"%s\"", error.message, words);
    ck_assert_ptr_null(got);
}

/* True if the decode of damaged bytes gave an error or pixels that do not depend on what lay in memory before, neither
 * in the rows nor in the codec's own. */
static inline bool decode_is_defined(leat__image_reader *reader, const picture *of, leat_code *code)
{
    leat__image_info info;
    leat_error error;
    uint8_t *first, *second;
    mallopt(M_PERTURB, 0x55);
    *code = decode_part(reader, of, false, UINT32_MAX, 7, &roomy, 0x00, &first, &info, &error);
    mallopt(M_PERTURB, 0xaa);
    leat_code again = decode_part(reader, of, false, UINT32_MAX, 7, &roomy, 0xff, &second, &info, &error);
    mallopt(M_PERTURB, 0);
    bool same = *code == again;
    if (same && *code == LEAT_OK) same = memcmp(first, second, (size_t)info.width * info.height * info.channels) == 0;
    free(first);
    free(second);
    return same;
}

#endif
