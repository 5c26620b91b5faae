/* test_png.c - PNG: every colour type, depth, interlace and tRNS against arithmetic and libpng; damage; bombs. */
#include "tests/decoding.h"
#include "stages/png.h"

#include <png.h>
#include <stdio.h>
#include <zlib.h>

static leat__image_reader *reader;

static void set_up(void)
{
    reader = leat__image_reader_new();
    ck_assert_ptr_nonnull(reader);
}

static void tear_down(void)
{
    leat__image_reader_free(reader);
}

static const png_form plain = {.width = 33, .height = 19, .colour = PNG_COLOR_TYPE_RGB, .depth = 8};

/* Changes bytes of a chunk's data and makes its CRC right again. */
static void patch(picture *png, const char *type, size_t offset, const void *bytes, size_t size)
{
    size_t at = picture_find_chunk(png, type);
    ck_assert_uint_ne(at, SIZE_MAX);
    uint8_t *chunk = png->data + at;
    size_t length = (size_t)chunk[0] << 24 | (size_t)chunk[1] << 16 | (size_t)chunk[2] << 8 | chunk[3];
    ck_assert_uint_le(offset + size, length);
    memcpy(chunk + 8 + offset, bytes, size);
    uint32_t crc = (uint32_t)crc32(0, chunk + 4, (uInt)length + 4);
    uint8_t *out = chunk + 8 + length;
    out[0] = (uint8_t)(crc >> 24), out[1] = (uint8_t)(crc >> 16), out[2] = (uint8_t)(crc >> 8), out[3] = (uint8_t)crc;
}

static void remove_chunk(picture *png, const char *type)
{
    size_t at = picture_find_chunk(png, type);
    ck_assert_uint_ne(at, SIZE_MAX);
    const uint8_t *d = png->data + at;
    picture_remove(png, at, 12 + ((size_t)d[0] << 24 | (size_t)d[1] << 16 | (size_t)d[2] << 8 | d[3]));
}

/* ---- pixels ---- */

static void check_form(const png_form *form)
{
    char what[160];
    snprintf(what, sizeof what, "%ux%u colour %d depth %d interlaced %d tRNS %d", form->width, form->height,
             form->colour, form->depth, form->interlaced, form->transparency);
    picture png = picture_png(form);
    static const uint32_t strips[] = {1, 3, 16, UINT32_MAX};
    for (unsigned channels = 3; channels <= 4; channels++) {
        uint8_t *want = picture_png_pixels(form, channels), *libpngs = picture_png_reference(&png, channels);
        size_t bytes = (size_t)form->width * form->height * channels;
        ck_assert_msg(memcmp(want, libpngs, bytes) == 0, "%s: references", what);
        expect_pixels(reader, &png, channels == 4, strips[(form->width + channels) % 4], want, what);
        free(want);
        free(libpngs);
    }
    free(png.data);
}

START_TEST(test_every_form_is_exact)
{
    static const struct {
        int colour, depths, least;
    } types[] = {{PNG_COLOR_TYPE_GRAY, 5, 1}, {PNG_COLOR_TYPE_PALETTE, 4, 1}, {PNG_COLOR_TYPE_RGB, 2, 8},
                 {PNG_COLOR_TYPE_GRAY_ALPHA, 2, 8}, {PNG_COLOR_TYPE_RGB_ALPHA, 2, 8}};
    static const unsigned sizes[][2] = {{1, 1}, {1, 9}, {3, 2}, {5, 5}, {8, 8}, {33, 19}, {67, 34}};
    unsigned forms = 0;
    for (int d = 0; d < types[_i].depths; d++) {
        for (unsigned bits = 0; bits < 4; bits++) {
            bool transparency = bits & 1;
            if (transparency && types[_i].colour & PNG_COLOR_MASK_ALPHA) continue;
            for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
                int depth = types[_i].least << d;
                png_form form = {sizes[s][0], sizes[s][1], types[_i].colour, depth, bits & 2, transparency, 0};
                check_form(&form);
                form.colours = depth == 8 ? 200 : 0;
                if (form.colour == PNG_COLOR_TYPE_PALETTE) check_form(&form);
                forms++;
            }
        }
    }
    ck_assert_uint_eq(forms, (unsigned)(types[_i].depths * 7 * (types[_i].colour & PNG_COLOR_MASK_ALPHA ? 2 : 4)));
}
END_TEST

START_TEST(test_orientation)
{
    for (unsigned orientation = 0; orientation <= 9; orientation++) {
        for (int behind = 0; behind < 2; behind++) {
            picture png = picture_png(&plain);
            uint8_t *want = picture_png_pixels(&plain, 3);
            leat__image_info info;
            leat_error error;
            uint8_t *got;
            picture_orient_png(&png, orientation, behind);
            ck_assert_int_eq(decode_part(reader, &png, false, 19, 4, &roomy, 0, &got, &info, &error), LEAT_OK);
            ck_assert_int_eq(info.orientation, orientation >= 1 && orientation <= 8 ? (int)orientation : 1);
            ck_assert_int_eq(memcmp(got, want, 33 * 19 * 3), 0);
            free(got);
            free(want);
            free(png.data);
        }
    }
}
END_TEST

/* ---- truncation and damage ---- */

static const png_form damaged_forms[] = {
    {.width = 19, .height = 21, .colour = PNG_COLOR_TYPE_RGB, .depth = 8},
    {.width = 19, .height = 21, .colour = PNG_COLOR_TYPE_RGB_ALPHA, .depth = 16, .interlaced = true},
    {.width = 19, .height = 21, .colour = PNG_COLOR_TYPE_PALETTE, .depth = 4, .transparency = true},
    {.width = 19, .height = 21, .colour = PNG_COLOR_TYPE_GRAY, .depth = 2, .interlaced = true, .transparency = true},
};
enum { DAMAGED_FORMS = sizeof damaged_forms / sizeof damaged_forms[0] };

START_TEST(test_every_truncation_is_an_error)
{
    picture png = picture_png(&damaged_forms[_i]);
    uint8_t *want = picture_png_pixels(&damaged_forms[_i], 3);
    for (size_t size = 0; size < png.size; size++) {
        picture cut = {malloc(size + !size), size};
        memcpy(cut.data, png.data, size);
        expect_error(reader, &cut, LEAT_ETRUNCATED, "premature end");
        leat__image_info info;
        leat_error error;
        uint8_t *got;
        for (uint32_t rows = 0; rows <= 10; rows += 10) {
            leat_code code = decode_part(reader, &cut, false, rows, 3, &roomy, 0, &got, &info, &error);
            ck_assert_int_eq(code, LEAT_ETRUNCATED);
        }
        if (size % 64 == 0) expect_pixels(reader, &png, false, 8, want, "after an error");
        free(cut.data);
    }
    free(want);
    free(png.data);
}
END_TEST

START_TEST(test_first_rows_then_verify)
{
    picture png = picture_png(&damaged_forms[_i]);
    uint8_t *want = picture_png_pixels(&damaged_forms[_i], 4);
    picture_insert(&png, png.size, "trailing junk", 13);
    for (uint32_t rows = 0; rows <= 21; rows++) {
        leat__image_info info;
        leat_error error;
        uint8_t *got;
        leat_code code = decode_part(reader, &png, true, rows, 4, &roomy, 0xa5, &got, &info, &error);
        ck_assert_msg(code == LEAT_OK, "%u rows: %s", rows, code ? error.message : "");
        ck_assert_int_eq(memcmp(got, want, (size_t)rows * 19 * 4), 0);
        free(got);
    }
    free(want);
    free(png.data);
}
END_TEST

START_TEST(test_every_damaged_byte_is_an_error)
{
    picture png = picture_png(&damaged_forms[_i]);
    picture_insert_chunk(&png, picture_find_chunk(&png, "IDAT"), "tEXt", "Comment\0skipped, but its CRC counts", 35);
    for (size_t at = 0; at < png.size; at++) {
        leat_code code;
        picture bad = picture_copy(&png);
        bad.data[at] ^= (uint8_t)(1u << (at % 8));
        ck_assert_msg(decode_is_defined(reader, &bad, &code), "byte %zu", at);
        ck_assert_msg(code != LEAT_OK, "byte %zu of %zu", at, png.size);
        free(bad.data);
    }
    free(png.data);
}
END_TEST

/* A PNG whose IDAT holds this, compressed. */
static picture png_of(const png_form *form, const uint8_t *filtered, size_t size)
{
    picture png = picture_png(form);
    uLongf bound = compressBound(size);
    uint8_t *packed = malloc(bound);
    ck_assert_int_eq(compress2(packed, &bound, filtered, size, 9), Z_OK);
    while (picture_find_chunk(&png, "IDAT") != SIZE_MAX) remove_chunk(&png, "IDAT");
    picture_insert_chunk(&png, picture_find_chunk(&png, "IEND"), "IDAT", packed, bound);
    free(packed);
    return png;
}

START_TEST(test_pixel_data_that_is_short_or_long)
{
    uint8_t *filtered = calloc(1, 19 * (1 + 33 * 3) + 500), *black = calloc(1, 33 * 19 * 3);
    picture png = png_of(&plain, filtered, 19 * (1 + 33 * 3) - 1);
    expect_error(reader, &png, LEAT_ECORRUPT, "Not enough image data");
    free(png.data);
    png = png_of(&plain, filtered, 19 * (1 + 33 * 3) + 500);
    expect_pixels(reader, &png, false, 4, black, "too much data");
    free(png.data);
    filtered[5 * (1 + 33 * 3)] = 5;
    png = png_of(&plain, filtered, 19 * (1 + 33 * 3));
    expect_error(reader, &png, LEAT_ECORRUPT, "bad adaptive filter value");
    free(png.data);
    free(black);
    free(filtered);
}
END_TEST

START_TEST(test_wrong_adler_is_an_error)
{
    for (int interlaced = 0; interlaced < 2; interlaced++) {
        png_form form = plain;
        form.interlaced = interlaced;
        picture png = picture_png(&form);
        size_t idat = picture_find_chunk(&png, "IDAT");
        size_t length = (size_t)png.data[idat + 2] << 8 | png.data[idat + 3];
        patch(&png, "IDAT", length - 4, "\1\2\3\4", 4);
        expect_error(reader, &png, LEAT_ECORRUPT, "incorrect data check");
        /* in a chunk of its own, which no row needs */
        uint8_t *data = malloc(length);
        memcpy(data, png.data + idat + 8, length);
        remove_chunk(&png, "IDAT");
        picture_insert_chunk(&png, idat, "IDAT", data + length - 4, 4);
        picture_insert_chunk(&png, idat, "IDAT", data, length - 4);
        expect_error(reader, &png, LEAT_ECORRUPT, "incorrect data check");
        free(data);
        free(png.data);
    }
}
END_TEST

START_TEST(test_index_beyond_the_palette_is_an_error)
{
    for (int bits = 0; bits < 2; bits++) {
        png_form form = {.width = 33, .height = 19, .colour = PNG_COLOR_TYPE_PALETTE, .depth = 8, .interlaced = bits};
        picture png = picture_png(&form);
        remove_chunk(&png, "PLTE");
        picture_insert_chunk(&png, picture_find_chunk(&png, "IDAT"), "PLTE", "abcdefghijkl", 12);
        expect_error(reader, &png, LEAT_ECORRUPT, "the palette has 4 colours");
        free(png.data);
    }
}
END_TEST

START_TEST(test_chunks_in_disorder)
{
    png_form form = plain;
    form.colour = PNG_COLOR_TYPE_PALETTE;
    picture png = picture_png(&form);
    remove_chunk(&png, "PLTE");
    expect_error(reader, &png, LEAT_ECORRUPT, "Missing PLTE before IDAT");
    picture_insert_chunk(&png, picture_find_chunk(&png, "IEND"), "PLTE", "abcdef", 6);
    expect_error(reader, &png, LEAT_ECORRUPT, "Missing PLTE before IDAT");
    remove_chunk(&png, "IDAT");
    expect_error(reader, &png, LEAT_ECORRUPT, NULL);
    free(png.data);

    png = picture_png(&plain);
    remove_chunk(&png, "IDAT");
    expect_error(reader, &png, LEAT_ECORRUPT, "libpng");
    remove_chunk(&png, "IHDR");
    expect_error(reader, &png, LEAT_ETRUNCATED, NULL);
    picture_insert_chunk(&png, 8, "tEXt", "a\0bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", 37);
    expect_error(reader, &png, LEAT_ECORRUPT, "first chunk is not IHDR");
    free(png.data);

    png = picture_png(&plain);
    picture_insert_chunk(&png, picture_find_chunk(&png, "IDAT"), "QQQq", "must be understood", 18);
    expect_error(reader, &png, LEAT_ECORRUPT, "QQQq: unhandled critical chunk");
    free(png.data);
}
END_TEST

START_TEST(test_odd_transparency_is_defined)
{
    static const size_t sizes[] = {0, 1, 2, 5, 6, 7, 255, 300};
    static const int colours[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_PALETTE,
                                  PNG_COLOR_TYPE_RGB_ALPHA};
    uint8_t opacity[300];
    memset(opacity, 0x5a, sizeof opacity);
    for (size_t c = 0; c < 4; c++) {
        for (size_t s = 0; s < 8; s++) {
            png_form form = {.width = 9, .height = 9, .colour = colours[c], .depth = 8};
            picture png = picture_png(&form);
            uint8_t *got[2];
            leat__image_info info;
            leat_error error;
            leat_code code[2];
            picture_insert_chunk(&png, picture_find_chunk(&png, "IDAT"), "tRNS", opacity, sizes[s]);
            for (int i = 0; i < 2; i++)
                code[i] = decode_part(reader, &png, true, 9, 2, &roomy, i ? 0xff : 0, &got[i], &info, &error);
            ck_assert_int_eq(code[0], code[1]);
            ck_assert(code[0] == LEAT_OK ? memcmp(got[0], got[1], 9 * 9 * 4) == 0 : code[0] == LEAT_ECORRUPT);
            free(got[0]);
            free(got[1]);
            free(png.data);
        }
    }
}
END_TEST

START_TEST(test_impossible_headers_are_errors)
{
    static const struct {
        size_t at;
        uint8_t values[5], good; /* impossible ones, and what the file has */
    } fields[] = {{8, {0, 3, 16, 17, 255}, 8}, {9, {1, 5, 7, 255, 9}, 3}, {10, {1, 2, 64, 255, 8}, 0},
                  {11, {1, 2, 64, 255, 8}, 0}, {12, {2, 3, 64, 255, 8}, 0}};
    picture png = picture_png(&(png_form){.width = 9, .height = 9, .colour = PNG_COLOR_TYPE_PALETTE, .depth = 8});
    for (size_t f = 0; f < sizeof fields / sizeof fields[0]; f++) {
        for (size_t i = 0; i < 5; i++) {
            patch(&png, "IHDR", fields[f].at, &fields[f].values[i], 1);
            expect_error(reader, &png, LEAT_ECORRUPT, "IHDR");
        }
        patch(&png, "IHDR", fields[f].at, &fields[f].good, 1);
    }
    for (size_t at = 0; at <= 4; at += 4) {
        picture none = picture_copy(&png);
        patch(&none, "IHDR", at, "\0\0\0\0", 4);
        expect_error(reader, &none, LEAT_ECORRUPT, "IHDR");
        free(none.data);
    }
    free(png.data);
}
END_TEST

START_TEST(test_window_said_too_small_is_read)
{
    png_form form = {.width = 333, .height = 40, .colour = PNG_COLOR_TYPE_RGB, .depth = 8};
    uint8_t filtered[40 * 1000], want[40 * 999];
    for (size_t i = 0; i < sizeof filtered; i++) /* noise that repeats every 1000 bytes, as far as a match must reach */
        filtered[i] = i < 1000 ? (uint8_t)(i ? i * i * 31 >> 4 ^ i * 77 : 0) : filtered[i - 1000];
    for (size_t y = 0; y < 40; y++) memcpy(want + y * 999, filtered + y * 1000 + 1, 999);
    picture png = png_of(&form, filtered, sizeof filtered);
    patch(&png, "IDAT", 0, "\x18\x19", 2); /* CMF: a window of 512 bytes */
    expect_pixels(reader, &png, false, 7, want, "window");
    free(png.data);
}
END_TEST

START_TEST(test_wider_than_libpngs_own_limit)
{
    png_form form = {.width = 1000001, .height = 2, .depth = 1};
    picture png = picture_png(&form);
    uint8_t *want = picture_png_pixels(&form, 3);
    expect_pixels(reader, &png, false, 2, want, "wide");
    free(want);
    free(png.data);
}
END_TEST

/* ---- limits and bombs ---- */

START_TEST(test_dimension_bombs_are_refused_from_the_header)
{
    static const struct {
        const char *size, *words;
    } bombs[] = {
        {"\x00\x0f\x42\x40\x00\x0f\x42\x40",
         "1000000 x 1000000 px x 3 channels are 1000000000000 pixels, max_image_pixels is 100000000"},
        {"\x7f\xff\xff\xff\x7f\xff\xff\xff", "2147483647 x 2147483647 px"},
        {"\xff\xff\xff\xff\xff\xff\xff\xff", "4294967295 x 4294967295 px"},
        {"\xff\xff\xff\xff\x00\x00\x00\x01", "4294967295 x 1 px"},
    };
    for (int interlaced = 0; interlaced < 2; interlaced++) {
        for (size_t i = 0; i < 4; i++) {
            png_form form = plain;
            form.interlaced = interlaced;
            picture png = picture_png(&form);
            patch(&png, "IHDR", 0, bombs[i].size, 8);
            expect_error(reader, &png, LEAT_ELIMIT, bombs[i].words);
            free(png.data);
        }
    }
}
END_TEST

START_TEST(test_no_limit_on_pixels_still_bounds_memory)
{
    picture png = picture_png(&plain);
    leat__image_limits limits = {.max_pixels = UINT64_MAX, .max_codec_bytes = 64 << 20};
    leat__image_info info;
    leat_error error;
    patch(&png, "IHDR", 0, "\x7f\xff\xff\xff\x7f\xff\xff\xff", 8);
    ck_assert_int_eq(leat__image_open(reader, png.data, png.size, true, &limits, &info, &error), LEAT_ELIMIT);
    ck_assert_ptr_nonnull(strstr(error.message, "in long rows"));
    patch(&png, "IHDR", 12, "\1", 1);
    patch(&png, "IHDR", 0, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    limits.max_codec_bytes = UINT64_MAX - 1;
    ck_assert_int_eq(leat__image_open(reader, png.data, png.size, true, &limits, &info, &error), LEAT_ELIMIT);
    ck_assert_ptr_nonnull(strstr(error.message, "18446744073709551615 bytes")); /* the product overflows */
    free(png.data);
}
END_TEST

START_TEST(test_interlaced_memory_is_checked_before_it_is_taken)
{
    png_form form = plain;
    form.interlaced = true;
    picture png = picture_png(&form);
    leat__image_limits limits = roomy;
    leat__image_info info;
    leat_error error;
    uint8_t *got;
    limits.max_codec_bytes = 33 * 19 * 3 + 33 * 16; /* the image, and libpng's rows */
    ck_assert_int_eq(decode_part(reader, &png, false, 19, 9, &limits, 0, &got, &info, &error), LEAT_OK);
    ck_assert_uint_eq(info.codec_bytes, limits.max_codec_bytes);
    free(got);
    limits.max_codec_bytes--;
    ck_assert_int_eq(decode_part(reader, &png, false, 19, 9, &limits, 0, &got, &info, &error), LEAT_ELIMIT);
    static const char words[] = "33 x 19 px, interlaced, take 2409 bytes to decode, memory_limit leaves 2408";
    ck_assert_ptr_nonnull(strstr(error.message, words));
    free(png.data);
    png = picture_png(&plain); /* row by row, nothing is needed */
    limits.max_codec_bytes = 0;
    ck_assert_int_eq(decode_part(reader, &png, false, 19, 9, &limits, 0, &got, &info, &error), LEAT_OK);
    ck_assert_uint_eq(info.codec_bytes, 0);
    free(got);
    free(png.data);
}
END_TEST

START_TEST(test_skipped_chunks_cost_nothing)
{
    picture png = picture_png(&plain);
    uint8_t *want = picture_png_pixels(&plain, 3);
    size_t bomb_size = 12 << 20;
    uint8_t *text = calloc(1, bomb_size);
    memcpy(text, "Comment", 7);
    picture_insert_chunk(&png, picture_find_chunk(&png, "IDAT"), "tEXt", text, bomb_size); /* libpng's default: 8 MB */
    uLongf bound = compressBound(bomb_size);
    uint8_t *packed = malloc(bound + 16);
    static const char *const types[] = {"zTXt", "iCCP", "iTXt"};
    for (int i = 0; i < 3; i++) {
        size_t head = i == 2 ? 6 : 3; /* keyword, method; iTXt: keyword, flag, method, language, translation */
        memcpy(packed, i == 2 ? "k\0\1\0\0\0" : "k\0\0", head);
        bound = compressBound(bomb_size);
        ck_assert_int_eq(compress(packed + head, &bound, text, bomb_size), Z_OK);
        picture_insert_chunk(&png, picture_find_chunk(&png, "IDAT"), types[i], packed, head + bound);
    }
    picture_insert_chunk(&png, picture_find_chunk(&png, "IDAT"), "gAMA", "\0\0\0\1", 4);
    picture_insert_chunk(&png, picture_find_chunk(&png, "IDAT"), "sPLT", "garbage", 7);
    picture_insert_chunk(&png, picture_find_chunk(&png, "IDAT"), "pHYs", "too short", 3);
    expect_pixels(reader, &png, false, 9, want, "chunks that change nothing");
    free(packed);
    free(text);
    free(want);
    free(png.data);
}
END_TEST

START_TEST(test_a_flood_of_chunks_is_read_through)
{
    enum { CHUNKS = 1000000 };
    static const uint8_t text[] = "\0\0\0\3tEXta\0b";
    picture png = picture_png(&plain);
    uint8_t *want = picture_png_pixels(&plain, 3), *flood = malloc((size_t)CHUNKS * 15);
    uint32_t crc = (uint32_t)crc32(0, text + 4, 7);
    for (size_t i = 0; i < CHUNKS; i++) {
        memcpy(flood + i * 15, text, 11);
        for (int b = 0; b < 4; b++) flood[i * 15 + 11 + (size_t)b] = (uint8_t)(crc >> (24 - 8 * b));
    }
    picture_insert(&png, picture_find_chunk(&png, "IDAT"), flood, (size_t)CHUNKS * 15);
    expect_pixels(reader, &png, false, 9, want, "a flood");
    free(flood);
    free(want);
    free(png.data);
}
END_TEST

START_TEST(test_stop_ends_rows_soon)
{
    png_form form = plain;
    form.height = 64;
    form.interlaced = _i;
    picture png = picture_png(&form);
    uint8_t *want = picture_png_pixels(&form, 3), *rows = malloc(33 * 64 * 3);
    atomic_bool stop = false;
    leat__image_limits limits = roomy;
    leat__image_info info;
    leat_error error;
    limits.stop = &stop;
    ck_assert_int_eq(leat__image_open(reader, png.data, png.size, false, &limits, &info, &error), LEAT_OK);
    ck_assert_int_eq(leat__image_rows(reader, rows, 33 * 3, 20, &error), LEAT_OK);
    atomic_store(&stop, true);
    ck_assert_int_eq(leat__image_rows(reader, rows, 33 * 3, 44, &error), LEAT_ECLOSED);
    leat__image_done(reader);
    expect_pixels(reader, &png, false, 9, want, "after a stop");
    free(rows);
    free(want);
    free(png.data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("png");
    TCase *tests = tcase_create("png");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 300);
    tcase_add_loop_test(tests, test_every_form_is_exact, 0, 5);
    tcase_add_test(tests, test_orientation);
    tcase_add_loop_test(tests, test_every_truncation_is_an_error, 0, DAMAGED_FORMS);
    tcase_add_loop_test(tests, test_first_rows_then_verify, 0, DAMAGED_FORMS);
    tcase_add_loop_test(tests, test_every_damaged_byte_is_an_error, 0, DAMAGED_FORMS);
    tcase_add_test(tests, test_pixel_data_that_is_short_or_long);
    tcase_add_test(tests, test_wrong_adler_is_an_error);
    tcase_add_test(tests, test_index_beyond_the_palette_is_an_error);
    tcase_add_test(tests, test_chunks_in_disorder);
    tcase_add_test(tests, test_odd_transparency_is_defined);
    tcase_add_test(tests, test_impossible_headers_are_errors);
    tcase_add_test(tests, test_window_said_too_small_is_read);
    tcase_add_test(tests, test_wider_than_libpngs_own_limit);
    tcase_add_test(tests, test_dimension_bombs_are_refused_from_the_header);
    tcase_add_test(tests, test_no_limit_on_pixels_still_bounds_memory);
    tcase_add_test(tests, test_interlaced_memory_is_checked_before_it_is_taken);
    tcase_add_test(tests, test_skipped_chunks_cost_nothing);
    tcase_add_test(tests, test_a_flood_of_chunks_is_read_through);
    tcase_add_loop_test(tests, test_stop_ends_rows_soon, 0, 2);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
