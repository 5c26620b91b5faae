/* test_jpeg.c - JPEG: every form bit by bit against libjpeg, parts at every scale, truncation, damage, limits. */
#include "tests/decoding.h"
#include "stages/jpeg.h"

#include <signal.h>
#include <stdio.h>
#include <sys/time.h>

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

/* ---- what libjpeg finds in its memory, unless a sanitizer has taken malloc ---- */

static int found_in_memory = -1; /* in each byte that malloc gives; -1: chance */

#if !SANITIZED
void *__libc_malloc(size_t size);

void *malloc(size_t size)
{
    void *memory = __libc_malloc(size);
    if (memory && found_in_memory >= 0) memset(memory, found_in_memory, size);
    return memory;
}
#endif

static const jpeg_form plain = {.width = 61, .height = 47, .colours = STORED_YCC, .h = 2, .v = 2, .quality = 85};

/* ---- pixels ---- */

static void check_form(const jpeg_form *form)
{
    char what[160];
    snprintf(what, sizeof what, "%ux%u colours %d sampling %ux%u quality %d scans %d arithmetic %d restart %u",
             form->width, form->height, form->colours, form->h, form->v, form->quality, form->scans, form->arithmetic,
             form->restart_rows);
    picture jpeg = picture_jpeg(form);
    static const uint32_t strips[] = {1, 16, 23, UINT32_MAX};
    for (int alpha = 0; alpha < 2; alpha++) {
        uint8_t *want = picture_jpeg_pixels(&jpeg, alpha ? 4 : 3);
        expect_pixels(reader, &jpeg, alpha, strips[(form->width + (unsigned)form->quality) % 4], want, what);
        free(want);
    }
    free(jpeg.data);
}

START_TEST(test_every_form_is_libjpegs_decode)
{
    static const unsigned sizes[][2] = {{1, 1}, {7, 5}, {16, 16}, {33, 17}, {61, 67}};
    static const unsigned samplings[][2] = {{1, 1}, {2, 1}, {1, 2}, {2, 2}, {4, 1}, {4, 2}};
    static const int qualities[] = {15, 75, 100};
    static const jpeg_colours colours[] = {STORED_GREY, STORED_RGB, STORED_YCC, STORED_CMYK, STORED_YCCK};
    jpeg_form form = {.colours = colours[_i]};
    unsigned forms = 0;
    for (size_t s = 0; s < 5; s++) {
        for (size_t h = 0; h < 6; h++) {
            for (unsigned coding = 0; coding < 12; coding++) {
                form.width = sizes[s][0], form.height = sizes[s][1];
                form.h = samplings[h][0], form.v = samplings[h][1];
                form.quality = qualities[(coding + s) % 3];
                form.scans = (jpeg_scans)(coding % 3); /* one, several, progressive */
                form.arithmetic = coding / 3 % 2;
                form.restart_rows = coding / 6;
                form.optimized = (coding + s) % 2 && !form.arithmetic;
                unsigned blocks = form.h * form.v + (_i < 1 ? 0 : _i < 3 ? 2 : 3);
                if (blocks > 10 && form.scans != SCANS_SEVERAL) continue; /* of an interleaved scan: T.81 B.2.3 */
                check_form(&form);
                forms++;
            }
        }
    }
    ck_assert_uint_eq(forms, _i < 3 ? 360 : 320);
}
END_TEST

START_TEST(test_orientation)
{
    for (unsigned orientation = 0; orientation <= 9; orientation++) {
        for (int big_endian = 0; big_endian < 2; big_endian++) {
            picture jpeg = picture_jpeg(&plain);
            leat__image_info info;
            picture_orient_jpeg(&jpeg, orientation, big_endian);
            ck_assert_int_eq(leat__image_open(reader, jpeg.data, jpeg.size, false, &roomy, &info, NULL), LEAT_OK);
            ck_assert_int_eq(info.orientation, orientation >= 1 && orientation <= 8 ? (int)orientation : 1);
            ck_assert_uint_eq(info.width, plain.width);
            ck_assert_uint_eq(info.codec_bytes, 0);
            leat__image_done(reader);
            free(jpeg.data);
        }
    }
}
END_TEST

/* ---- parts ---- */

static uint32_t draws = 1;

static uint32_t draw(uint32_t below)
{
    draws ^= draws << 13, draws ^= draws >> 17, draws ^= draws << 5;
    return draws % below;
}

/* A corner and 1 px as often as anything else. */
static void draw_span(uint32_t size, uint32_t *from, uint32_t *length)
{
    *from = draw(3) ? draw(size) : draw(2) ? 0 : size - 1;
    *length = draw(4) ? 1 + draw(size - *from) : draw(2) ? size - *from : 1;
}

static leat__image_part draw_part(uint32_t width, uint32_t height)
{
    leat__image_part part;
    draw_span(width, &part.x, &part.width);
    draw_span(height, &part.y, &part.height);
    return part;
}

static jpeg_form draw_form(uint32_t longest)
{
    static const uint8_t samplings[][2] = {{1, 1}, {2, 1}, {1, 2}, {2, 2}, {4, 1}, {4, 2}, {1, 4},
                                           {2, 4}, {4, 4}, {3, 1}, {1, 3}, {2, 3}, {3, 3}};
    const uint8_t *sampling = samplings[draw(2) ? draw(4) : draw(13)];
    jpeg_form form = {.width = 1 + draw(longest), .height = 1 + draw(longest), .h = sampling[0], .v = sampling[1]};
    form.colours = draw(2) ? STORED_YCC : (jpeg_colours)draw(5);
    form.quality = 20 + (int)draw(81);
    form.scans = draw(3) ? SCANS_ONE : SCANS_SEVERAL + draw(2);
    form.arithmetic = draw(10) == 0;
    form.optimized = !form.arithmetic && draw(2);
    form.restart_rows = draw(4) ? 0 : 1 + draw(2);
    unsigned blocks = form.h * form.v + (form.colours < STORED_RGB ? 0 : form.colours < STORED_CMYK ? 2 : 3);
    if (blocks > 10) form.scans = SCANS_SEVERAL; /* T.81 B.2.3 */
    return form;
}

/* Opens, selects, takes the part's rows in strips, verifies, says done. *got: what was selected. *pixels: owned, NULL
 * on an error. */
static leat_code decode_selected(const picture *of, unsigned channels, unsigned reduce, leat__image_part *got,
                                 uint32_t strip, uint8_t fill, uint8_t **pixels, leat_error *error)
{
    leat__image_info info;
    *pixels = NULL;
    leat_code code = leat__image_open(reader, of->data, of->size, channels == 4, &roomy, &info, error);
    if (code == LEAT_OK) code = leat__image_select(reader, reduce, got, error);
    if (code != LEAT_OK) return leat__image_done(reader), code;
    size_t stride = (size_t)got->width * channels;
    uint8_t *out = malloc(stride * got->height);
    memset(out, fill, stride * got->height);
    for (uint32_t y = 0; y < got->height && code == LEAT_OK; y += strip) {
        uint32_t count = strip < got->height - y ? strip : got->height - y;
        code = leat__image_rows(reader, out + y * stride, stride, count, error);
    }
    if (code == LEAT_OK) code = leat__image_verify(reader, error);
    leat__image_done(reader);
    if (code == LEAT_OK) *pixels = out;
    else free(out);
    return code;
}

/* True if the rows of `got` hold what is at `part` of the whole. */
static bool is_part(const uint8_t *pixels, const leat__image_part *got, const leat__image_part *part,
                    const uint8_t *whole, uint32_t width, size_t channels)
{
    for (uint32_t y = 0; y < part->height; y++) {
        const uint8_t *row = pixels + ((size_t)y * got->width + part->x - got->x) * channels;
        const uint8_t *want = whole + ((size_t)(part->y + y) * width + part->x) * channels;
        if (memcmp(row, want, part->width * channels) != 0) return false;
    }
    return true;
}

/* Decodes the part and compares it with the same part of the whole. Returns the columns that were decoded. */
static uint32_t expect_part(const picture *jpeg, unsigned channels, unsigned reduce, const leat__image_part *part,
                            const uint8_t *whole, uint32_t width, const char *what)
{
    leat__image_part got = *part;
    leat_error error = {.code = LEAT_OK};
    uint8_t *pixels;
    leat_code code = decode_selected(jpeg, channels, reduce, &got, 1 + draw(20), 0xa5, &pixels, &error);
    ck_assert_msg(code == LEAT_OK, "%s: %s", what, error.message);
    ck_assert_msg(got.x <= part->x && got.x + got.width >= part->x + part->width && got.x + got.width <= width &&
                  got.y == part->y && got.height == part->height,
                  "%s: columns %u + %u", what, got.x, got.width);
    ck_assert_msg(is_part(pixels, &got, part, whole, width, channels), "%s: other pixels", what);
    free(pixels);
    return got.width;
}

/* Random parts of the picture at random scales. Sums up columns: wanted, decoded, and of the whole. */
static void check_parts(const picture *jpeg, const jpeg_form *form, unsigned parts, uint64_t columns[3])
{
    for (unsigned i = 0; i < parts; i++) {
        char what[200];
        uint32_t width, height;
        const unsigned reduce = 1u << draw(4), channels = draw(4) ? 3 : 4;
        uint8_t *whole = picture_jpeg_reduced(jpeg, channels, reduce, &width, &height);
        leat__image_part part = draw_part(width, height);
        snprintf(what, sizeof what,
                 "%ux%u colours %d sampling %ux%u quality %d scans %d restart %u, 1/%u: %ux%u at %u,%u",
                 form->width, form->height, form->colours, form->h, form->v, form->quality, form->scans,
                 form->restart_rows, reduce, part.width, part.height, part.x, part.y);
        columns[0] += part.width;
        columns[1] += expect_part(jpeg, channels, reduce, &part, whole, width, what);
        columns[2] += width;
        free(whole);
    }
}

START_TEST(test_parts_are_those_of_the_whole)
{
    uint64_t columns[3] = {0};
    draws = 1 + (uint32_t)_i;
    for (unsigned i = 0; i < 400; i++) {
        jpeg_form form = draw_form(_i == 0 ? 40 : 200);
        picture jpeg = picture_jpeg(&form);
        check_parts(&jpeg, &form, 6, columns);
        free(jpeg.data);
    }
    ck_assert_uint_lt(columns[0], columns[1]);
    ck_assert_uint_lt(columns[1], _i == 0 ? columns[2] : columns[2] * 7 / 10); /* or nothing is cropped */
}
END_TEST

START_TEST(test_parts_of_large_images)
{
    uint64_t columns[3] = {0};
    draws = 77;
    for (unsigned i = 0; i < 12; i++) {
        jpeg_form form = draw_form(200);
        form.width += 1500, form.height += 900;
        picture jpeg = picture_jpeg(&form);
        check_parts(&jpeg, &form, 3, columns);
        free(jpeg.data);
    }
}
END_TEST

/* Where scans are missing, libjpeg guesses at coefficients from the blocks around. */
START_TEST(test_parts_of_unfinished_progressive_images)
{
    uint64_t columns[3] = {0};
    draws = 1000;
    for (unsigned i = 0; i < 300; i++) {
        jpeg_form form = draw_form(160);
        form.scans = SCANS_PROGRESSIVE;
        if (form.h * form.v > 4) form.h = form.v = 2;
        picture jpeg = picture_jpeg(&form);
        picture_keep_scans(&jpeg, 1 + draw(9));
        check_parts(&jpeg, &form, 4, columns);
        free(jpeg.data);
    }
}
END_TEST

START_TEST(test_every_single_pixel_and_every_column_of_blocks)
{
    static const uint8_t samplings[][2] = {{1, 1}, {2, 1}, {1, 2}, {2, 2}, {4, 1}};
    jpeg_form form = {.width = 75, .height = 37, .colours = STORED_YCC, .quality = 85};
    form.h = samplings[_i][0], form.v = samplings[_i][1];
    picture jpeg = picture_jpeg(&form);
    for (unsigned reduce = 1; reduce <= 8; reduce *= 2) {
        uint32_t width, height;
        uint8_t *whole = picture_jpeg_reduced(&jpeg, 3, reduce, &width, &height);
        for (uint32_t y = 0; y < height; y++) {
            for (uint32_t x = 0; x < width; x++)
                expect_part(&jpeg, 3, reduce, &(leat__image_part){x, y, 1, 1}, whole, width, "one pixel");
        }
        for (uint32_t x = 0; x < width; x++)
            expect_part(&jpeg, 3, reduce, &(leat__image_part){x, 0, width - x, height}, whole, width, "from here");
        for (uint32_t x = 1; x <= width; x++)
            expect_part(&jpeg, 3, reduce, &(leat__image_part){0, 0, x, height}, whole, width, "to here");
        free(whole);
    }
    free(jpeg.data);
}
END_TEST

/* Decodes the part with 00, 55, aa and ff in all memory, libjpeg's and the rows, and compares every column given. */
static void expect_defined(const picture *jpeg, unsigned channels, unsigned reduce, const leat__image_part *part,
                           const char *what)
{
    uint8_t *first = NULL;
    for (int fill = 0; fill <= 0xff; fill += 0x55) {
        leat__image_part got = *part;
        leat_error error = {.code = LEAT_OK};
        uint8_t *pixels;
        found_in_memory = fill;
        leat_code code = decode_selected(jpeg, channels, reduce, &got, 16, (uint8_t)fill, &pixels, &error);
        found_in_memory = -1;
        ck_assert_msg(code == LEAT_OK, "%s: %s", what, error.message);
        if (!first) first = pixels;
        ck_assert_msg(memcmp(first, pixels, (size_t)got.width * got.height * channels) == 0, "%s: by chance", what);
        if (pixels != first) free(pixels);
    }
    free(first);
}

/* libjpeg's vectors read behind a row's last column, mostly at 1/8, where a block is a pixel and fills nothing there.
 * What comes of those columns is dropped, but memcheck makes pmaddwd's two sums one, and so calls the green of up to
 * two columns before them undefined (photographs of 400 px at 1/8: columns 48 and 49 of 50). */
START_TEST(test_pixels_that_valgrind_calls_undefined_are_the_same_whatever_lay_in_memory)
{
    const jpeg_form photograph = {.width = 400, .height = 320, .colours = STORED_YCC, .h = 2, .v = 2, .quality = 90};
    picture jpeg = picture_jpeg(&photograph);
    for (unsigned reduce = 1; reduce <= 8; reduce *= 2)
        expect_defined(&jpeg, 3, reduce, &(leat__image_part){0, 0, 400 / reduce, 320 / reduce}, "the photograph");
    free(jpeg.data);
    draws = 400;
    for (unsigned i = 0; i < 500; i++) {
        jpeg_form form = draw_form(i % 2 ? 60 : 200);
        jpeg = picture_jpeg(&form);
        for (unsigned reduce = 1; reduce <= 8; reduce *= 2) {
            char what[160];
            const uint32_t width = (form.width + reduce - 1) / reduce, height = (form.height + reduce - 1) / reduce;
            const leat__image_part whole = {0, 0, width, height}, part = draw_part(width, height);
            snprintf(what, sizeof what, "%ux%u colours %d sampling %ux%u scans %d, 1/%u: %ux%u at %u,%u", form.width,
                     form.height, form.colours, form.h, form.v, form.scans, reduce, part.width, part.height, part.x,
                     part.y);
            expect_defined(&jpeg, 3, reduce, &whole, what);
            expect_defined(&jpeg, 3 + draw(2), reduce, &part, what);
        }
        free(jpeg.data);
    }
}
END_TEST

/* ---- truncation and damage ---- */

static const jpeg_form damaged_forms[] = {
    {.width = 40, .height = 37, .colours = STORED_YCC, .h = 2, .v = 2, .quality = 60},
    {.width = 40, .height = 37, .colours = STORED_YCC, .h = 2, .v = 1, .quality = 60, .restart_rows = 1},
    {.width = 40, .height = 37, .colours = STORED_YCC, .h = 2, .v = 2, .quality = 60, .scans = SCANS_PROGRESSIVE},
    {.width = 40, .height = 37, .colours = STORED_YCC, .h = 1, .v = 1, .quality = 60, .arithmetic = true},
    {.width = 40, .height = 37, .colours = STORED_YCCK, .h = 2, .v = 2, .quality = 60, .scans = SCANS_SEVERAL},
    {.width = 40, .height = 37, .colours = STORED_GREY, .h = 1, .v = 1, .quality = 60},
};
enum { DAMAGED_FORMS = sizeof damaged_forms / sizeof damaged_forms[0] };

START_TEST(test_every_truncation_is_an_error)
{
    picture jpeg = picture_jpeg(&damaged_forms[_i]);
    picture_orient_jpeg(&jpeg, 6, true);
    uint8_t *want = picture_jpeg_pixels(&jpeg, 3);
    for (size_t size = 0; size < jpeg.size; size++) {
        /* in memory of its own, so that a read past the end is seen */
        picture cut = {malloc(size + !size), size};
        leat_error error = {.code = LEAT_OK};
        leat__image_info info;
        uint8_t *got;
        memcpy(cut.data, jpeg.data, size);
        leat_code code = decode(reader, &cut, false, &got, &error);
        ck_assert_msg(code == LEAT_ETRUNCATED, "%zu of %zu bytes: %s (%s)", size, jpeg.size, leat_code_name(code),
                      error.message);
        ck_assert_ptr_nonnull(strstr(error.message, "premature end"));
        /* without a single row, or with the first ten only */
        for (uint32_t rows = 0; rows <= 10; rows += 10) {
            code = decode_part(reader, &cut, false, rows, 3, &roomy, 0, &got, &info, &error);
            ck_assert_msg(code == LEAT_ETRUNCATED, "%u rows of %zu bytes: %s", rows, size, leat_code_name(code));
        }
        if (size % 64 == 0) expect_pixels(reader, &jpeg, false, 8, want, "after an error");
        free(cut.data);
    }
    free(want);
    free(jpeg.data);
}
END_TEST

START_TEST(test_first_rows_then_verify)
{
    picture jpeg = picture_jpeg(&damaged_forms[_i]);
    uint8_t *want = picture_jpeg_pixels(&jpeg, 3);
    picture_insert(&jpeg, jpeg.size, "trailing \xff\xd8 junk, as an MPO has it", 34);
    for (uint32_t rows = 0; rows <= 37; rows++) {
        leat__image_info info;
        leat_error error;
        uint8_t *got;
        leat_code code = decode_part(reader, &jpeg, false, rows, 4, &roomy, 0xa5, &got, &info, &error);
        ck_assert_msg(code == LEAT_OK, "%u rows: %s", rows, code ? error.message : "");
        ck_assert_int_eq(memcmp(got, want, (size_t)rows * 40 * 3), 0);
        free(got);
    }
    free(want);
    free(jpeg.data);
}
END_TEST

START_TEST(test_damaged_bytes_never_leave_pixels_undefined)
{
    picture jpeg = picture_jpeg(&damaged_forms[_i]);
    unsigned errors = 0;
    for (size_t at = 2; at < jpeg.size; at++) {
        static const uint8_t flips[] = {0x01, 0x80, 0xff};
        picture bad = picture_copy(&jpeg);
        leat_code code;
        bad.data[at] ^= flips[at % 3];
        ck_assert_msg(decode_is_defined(reader, &bad, &code), "byte %zu", at);
        errors += code != LEAT_OK;
        free(bad.data);
    }
    ck_assert_uint_gt(errors, 20); /* the arithmetic decoder takes nearly any bits for some picture */
    free(jpeg.data);
}
END_TEST

static const leat__image_part in_the_middle = {.x = 17, .y = 19, .width = 9, .height = 7};

START_TEST(test_every_truncation_is_an_error_of_a_part)
{
    picture jpeg = picture_jpeg(&damaged_forms[_i]);
    for (size_t size = 0; size < jpeg.size; size++) {
        picture cut = {malloc(size + !size), size};
        memcpy(cut.data, jpeg.data, size);
        leat__image_part part = in_the_middle;
        leat_error error = {.code = LEAT_OK};
        uint8_t *pixels;
        leat_code code = decode_selected(&cut, 3, 1, &part, 3, 0, &pixels, &error);
        ck_assert_msg(code == LEAT_ETRUNCATED, "%zu of %zu bytes: %s (%s)", size, jpeg.size, leat_code_name(code),
                      error.message);
        free(cut.data);
    }
    free(jpeg.data);
}
END_TEST

/* Damage above or beside the part is found as it is when all rows are decoded down to the part's end; where that finds
 * none, the pixels are the same. */
START_TEST(test_damage_outside_of_the_part_is_found)
{
    picture jpeg = picture_jpeg(&damaged_forms[_i]);
    unsigned errors = 0;
    const uint32_t rows = in_the_middle.y + in_the_middle.height;
    for (size_t at = 2; at < jpeg.size; at++) {
        static const uint8_t flips[] = {0x01, 0x80, 0xff};
        picture bad = picture_copy(&jpeg);
        bad.data[at] ^= flips[at % 3];
        leat__image_info info;
        leat__image_part got = in_the_middle;
        leat_error error = {.code = LEAT_OK};
        uint8_t *whole, *part;
        leat_code want = decode_part(reader, &bad, false, rows, 9, &roomy, 0, &whole, &info, &error);
        if (info.width >= 26 && info.height >= rows) {
            leat_code code = decode_selected(&bad, 3, 1, &got, 4, 0xa5, &part, &error);
            ck_assert_msg(code == want, "byte %zu: %s, not %s", at, leat_code_name(code), leat_code_name(want));
            ck_assert_msg(code || is_part(part, &got, &in_the_middle, whole, info.width, 3), "byte %zu: pixels", at);
            errors += code != LEAT_OK;
            free(part);
        }
        free(whole);
        free(bad.data);
    }
    ck_assert_uint_gt(errors, 5); /* in the header and the tables at least */
    free(jpeg.data);
}
END_TEST

START_TEST(test_end_marker_in_the_middle_is_an_error)
{
    picture jpeg = picture_jpeg(&plain);
    for (size_t size = picture_find_marker(&jpeg, 0xda) + 14; size < jpeg.size - 6; size++) {
        if (jpeg.data[size - 1] == 0xff) continue; /* would take the marker's first byte for a stuffed one */
        picture cut = picture_copy(&jpeg);
        cut.size = size;
        picture_insert(&cut, size, "\xff\xd9", 2);
        expect_error(reader, &cut, LEAT_ECORRUPT, "premature end of data segment");
        free(cut.data);
    }
    free(jpeg.data);
}
END_TEST

START_TEST(test_bad_huffman_code_is_an_error)
{
    picture jpeg = picture_jpeg(&plain);
    size_t scan = picture_find_marker(&jpeg, 0xda);
    ck_assert_uint_ne(scan, SIZE_MAX);
    for (size_t at = scan + 60; at < scan + 100; at += 2) jpeg.data[at] = 0xff, jpeg.data[at + 1] = 0x00; /* all ones */
    expect_error(reader, &jpeg, LEAT_ECORRUPT, "JPEG: damaged (libjpeg: Corrupt JPEG data: bad Huffman code)");
    free(jpeg.data);
}
END_TEST

START_TEST(test_lost_restart_marker_is_an_error)
{
    jpeg_form form = plain;
    form.restart_rows = 1;
    picture jpeg = picture_jpeg(&form);
    size_t at = picture_find_marker(&jpeg, 0xda);
    while (jpeg.data[at] != 0xff || jpeg.data[at + 1] != 0xd1) at++;
    picture gone = picture_copy(&jpeg), wrong = picture_copy(&jpeg);
    picture_remove(&gone, at, 2);
    expect_error(reader, &gone, LEAT_ECORRUPT, "libjpeg");
    wrong.data[at + 1] = 0xd5;
    expect_error(reader, &wrong, LEAT_ECORRUPT, "found marker 0xd5 instead of RST1");
    free(gone.data);
    free(wrong.data);
    free(jpeg.data);
}
END_TEST

START_TEST(test_harmless_oddities_are_read)
{
    picture jpeg = picture_jpeg(&plain);
    uint8_t *want = picture_jpeg_pixels(&jpeg, 3);
    picture_remove(&jpeg, 2, 18); /* JFIF: it would make Adobe's word count for nothing */
    picture_insert(&jpeg, jpeg.size - 2, "\0\0\0\0", 4); /* extraneous bytes before EOI */
    picture_insert(&jpeg, 2, "extraneous", 10);
    picture_insert(&jpeg, 2, "\xff\xee\0\x0e" "Adobe\0\x64\0\0\0\0\x07", 16); /* an unknown transform */
    uint8_t *segment = calloc(1, 65537);
    memcpy(segment, "\xff\xe2\xff\xff", 4); /* APP2 of 64 KB, 50 times: garbage ICC */
    for (int i = 0; i < 50; i++) picture_insert(&jpeg, 2, segment, 65537);
    expect_pixels(reader, &jpeg, false, 9, want, "oddities");
    free(segment);
    free(want);
    free(jpeg.data);
}
END_TEST

START_TEST(test_zeroed_scan_parameters_are_read)
{
    picture jpeg = picture_jpeg(&plain);
    uint8_t *want = picture_jpeg_pixels(&jpeg, 3);
    size_t scan = picture_find_marker(&jpeg, 0xda);
    ck_assert_int_eq(jpeg.data[scan + 12], 63); /* Se */
    jpeg.data[scan + 12] = 0;
    expect_pixels(reader, &jpeg, false, 9, want, "Se = 0");
    free(want);
    free(jpeg.data);
}
END_TEST

/* ---- an image does not depend on the one before ---- */

static void remove_segments(picture *jpeg, uint8_t marker)
{
    for (size_t at; (at = picture_find_marker(jpeg, marker)) != SIZE_MAX;)
        picture_remove(jpeg, at, 2 + ((size_t)jpeg->data[at + 2] << 8 | jpeg->data[at + 3]));
}

START_TEST(test_missing_tables_are_not_the_last_images)
{
    jpeg_form other = plain;
    other.quality = 20;
    other.optimized = true;
    picture before = picture_jpeg(&other), whole = picture_jpeg(&plain);
    uint8_t *pixels, *want = picture_jpeg_pixels(&whole, 3);
    ck_assert_int_eq(decode(reader, &before, false, &pixels, NULL), LEAT_OK);
    free(pixels);

    picture no_huffman = picture_copy(&whole), no_quantization = picture_copy(&whole);
    remove_segments(&no_huffman, 0xc4);
    expect_pixels(reader, &no_huffman, false, 9, want, "the standard's Huffman tables, as Motion JPEG has it");

    remove_segments(&no_quantization, 0xdb);
    expect_error(reader, &no_quantization, LEAT_ECORRUPT, "Quantization table");

    free(no_quantization.data);
    free(no_huffman.data);
    free(want);
    free(whole.data);
    free(before.data);
}
END_TEST

START_TEST(test_component_without_a_scan_is_an_error)
{
    jpeg_form form = plain;
    form.scans = SCANS_SEVERAL;
    picture jpeg = picture_jpeg(&form);
    /* the second scan begins at the second SOS: end the file there */
    size_t at = picture_find_marker(&jpeg, 0xda) + 2;
    while (jpeg.data[at] != 0xff || jpeg.data[at + 1] != 0xda) at++;
    jpeg.data[at + 1] = 0xd9;
    jpeg.size = at + 2;
    expect_error(reader, &jpeg, LEAT_ECORRUPT, "no scan of one of its components");
    free(jpeg.data);
}
END_TEST

/* ---- forms that are not read ---- */

static size_t frame_of(const picture *jpeg)
{
    size_t at = picture_find_marker(jpeg, 0xc0);
    ck_assert_uint_ne(at, SIZE_MAX);
    return at;
}

START_TEST(test_unsupported_forms_are_named)
{
    picture jpeg = picture_jpeg(&plain);
    size_t frame = frame_of(&jpeg);
    jpeg.data[frame + 4] = 12;
    expect_error(reader, &jpeg, LEAT_EUNSUPPORTED, "precision 12");
    jpeg.data[frame + 4] = 8;
    for (uint8_t marker = 0xc3; marker <= 0xcf; marker++) { /* lossless, differential */
        if (marker == 0xc4 || marker == 0xc8 || marker == 0xc9 || marker == 0xca || marker == 0xcc) continue;
        jpeg.data[frame + 1] = marker;
        expect_error(reader, &jpeg, LEAT_EUNSUPPORTED, "Unsupported JPEG process");
    }
    jpeg.data[frame + 1] = 0xc0;
    jpeg.data[frame + 5] = jpeg.data[frame + 6] = 0;
    expect_error(reader, &jpeg, LEAT_EUNSUPPORTED, "DNL not supported");
    free(jpeg.data);

    jpeg_form form = plain;
    form.colours = STORED_TWO;
    form.h = form.v = 1;
    jpeg = picture_jpeg(&form);
    expect_error(reader, &jpeg, LEAT_EUNSUPPORTED, "2 components");
    free(jpeg.data);
}
END_TEST

/* ---- limits ---- */

static void set_size(picture *jpeg, size_t frame, unsigned width, unsigned height)
{
    jpeg->data[frame + 5] = (uint8_t)(height >> 8), jpeg->data[frame + 6] = (uint8_t)height;
    jpeg->data[frame + 7] = (uint8_t)(width >> 8), jpeg->data[frame + 8] = (uint8_t)width;
}

START_TEST(test_dimension_bombs_are_refused_from_the_header)
{
    picture jpeg = picture_jpeg(&plain);
    set_size(&jpeg, frame_of(&jpeg), 65500, 65500);
    expect_error(reader, &jpeg, LEAT_ELIMIT,
                 "65500 x 65500 px x 3 channels are 4290250000 pixels, max_image_pixels is 100000000");
    set_size(&jpeg, frame_of(&jpeg), 65535, 1);
    expect_error(reader, &jpeg, LEAT_ELIMIT, "libjpeg");
    free(jpeg.data);
}
END_TEST

START_TEST(test_pixel_limit_is_exact)
{
    picture jpeg = picture_jpeg(&plain);
    leat__image_limits limits = roomy;
    leat__image_info info;
    limits.max_pixels = 61 * 47;
    ck_assert_int_eq(leat__image_open(reader, jpeg.data, jpeg.size, false, &limits, &info, NULL), LEAT_OK);
    leat__image_done(reader);
    limits.max_pixels--;
    ck_assert_int_eq(leat__image_open(reader, jpeg.data, jpeg.size, false, &limits, &info, NULL), LEAT_ELIMIT);
    free(jpeg.data);
}
END_TEST

START_TEST(test_progressive_memory_is_checked_before_it_is_taken)
{
    jpeg_form form = plain;
    form.scans = SCANS_PROGRESSIVE;
    picture jpeg = picture_jpeg(&form);
    leat__image_limits limits = roomy;
    leat__image_info info;
    leat_error error;
    uint8_t *got;
    /* 61 x 47 at 4:2:0: 8 x 6 blocks of luma, 4 x 3 of each chroma, 128 bytes each */
    limits.max_codec_bytes = (8 * 6 + 2 * 4 * 3) * 128;
    ck_assert_int_eq(decode_part(reader, &jpeg, false, 47, 9, &limits, 0, &got, &info, &error), LEAT_OK);
    ck_assert_uint_eq(info.codec_bytes, limits.max_codec_bytes);
    free(got);
    limits.max_codec_bytes--;
    ck_assert_int_eq(decode_part(reader, &jpeg, false, 47, 9, &limits, 0, &got, &info, &error), LEAT_ELIMIT);
    ck_assert_ptr_nonnull(strstr(error.message, "61 x 47 px, in several scans, take 9216 bytes"));

    size_t frame = picture_find_marker(&jpeg, 0xc2);
    ck_assert_uint_ne(frame, SIZE_MAX);
    set_size(&jpeg, frame, 30000, 30000); /* 2.7 GB of coefficients from under 3 KB */
    limits = roomy;
    limits.max_pixels = UINT64_MAX;
    ck_assert_int_eq(decode_part(reader, &jpeg, false, 47, 9, &limits, 0, &got, &info, &error), LEAT_ELIMIT);
    ck_assert_ptr_nonnull(strstr(error.message, "memory_limit leaves 268435456"));
    free(jpeg.data);
}
END_TEST

START_TEST(test_scans_are_limited)
{
    jpeg_form form = plain;
    form.scans = SCANS_MANY;
    picture many = picture_jpeg(&form);
    expect_error(reader, &many, LEAT_ELIMIT, "more than 100 scans");
    free(many.data);

    form.colours = STORED_GREY; /* 64 scans are fine */
    picture fewer = picture_jpeg(&form);
    uint8_t *want = picture_jpeg_pixels(&fewer, 3);
    expect_pixels(reader, &fewer, false, 9, want, "64 scans");
    free(want);
    free(fewer.data);
}
END_TEST

START_TEST(test_repeated_sequential_scan_is_limited)
{
    jpeg_form form = plain;
    form.scans = SCANS_SEVERAL;
    picture jpeg = picture_jpeg(&form);
    size_t first = picture_find_marker(&jpeg, 0xda), second = first + 2;
    while (jpeg.data[second] != 0xff || jpeg.data[second + 1] == 0x00) second++;
    picture scan = {malloc(second - first), second - first};
    memcpy(scan.data, jpeg.data + first, scan.size);
    for (int i = 0; i < 97; i++) picture_insert(&jpeg, first, scan.data, scan.size);
    uint8_t *pixels;
    leat_error error;
    ck_assert_msg(decode(reader, &jpeg, false, &pixels, &error) == LEAT_OK, "100 scans: %s", error.message);
    free(pixels);
    picture_insert(&jpeg, first, scan.data, scan.size);
    expect_error(reader, &jpeg, LEAT_ELIMIT, "more than 100 scans");
    free(scan.data);
    free(jpeg.data);
}
END_TEST

START_TEST(test_widest_image_stays_within_the_row_buffers)
{
    jpeg_form form = {.width = 65500, .height = 33, .colours = STORED_CMYK, .h = 4, .v = 4, .quality = 20};
    form.scans = SCANS_SEVERAL;
    check_form(&form);
    form.h = 2, form.v = 2, form.scans = SCANS_PROGRESSIVE;
    check_form(&form);
}
END_TEST

START_TEST(test_stop_ends_rows_soon)
{
    jpeg_form form = plain;
    form.scans = _i ? SCANS_PROGRESSIVE : SCANS_ONE;
    picture jpeg = picture_jpeg(&form);
    uint8_t *want = picture_jpeg_pixels(&jpeg, 3), *rows = malloc(61 * 47 * 3);
    atomic_bool stop = false;
    leat__image_limits limits = roomy;
    leat__image_info info;
    leat_error error;
    limits.stop = &stop;
    ck_assert_int_eq(leat__image_open(reader, jpeg.data, jpeg.size, false, &limits, &info, &error), LEAT_OK);
    ck_assert_int_eq(leat__image_rows(reader, rows, 61 * 3, 20, &error), LEAT_OK);
    atomic_store(&stop, true);
    ck_assert_int_eq(leat__image_rows(reader, rows, 61 * 3, 27, &error), LEAT_ECLOSED);
    leat__image_done(reader);
    ck_assert_int_eq(leat__image_open(reader, jpeg.data, jpeg.size, false, &limits, &info, &error), LEAT_ECLOSED);
    leat__image_done(reader);
    expect_pixels(reader, &jpeg, false, 9, want, "after a stop");
    free(rows);
    free(want);
    free(jpeg.data);
}
END_TEST

static atomic_bool alarmed;

static void on_alarm(int signal)
{
    (void)signal;
    atomic_store(&alarmed, true);
}

START_TEST(test_stop_ends_a_select_soon)
{
    jpeg_form form = {.width = 3000, .height = 3000, .colours = STORED_GREY, .h = 1, .v = 1, .quality = 100};
    picture jpeg = picture_jpeg(&form);
    leat__image_limits limits = roomy;
    leat__image_info info;
    leat__image_part part = {.y = 2999, .width = 3000, .height = 1}; /* tens of ms away, even for a fast machine */
    const struct itimerval soon = {.it_value = {.tv_usec = 2000}};
    limits.stop = &alarmed;
    ck_assert_uint_gt(jpeg.size, 4 << 20);
    for (int i = 0; i < 2; i++) { /* while it skips rows, and before it begins */
        atomic_store(&alarmed, false);
        ck_assert_int_eq(leat__image_open(reader, jpeg.data, jpeg.size, false, &limits, &info, NULL), LEAT_OK);
        signal(SIGVTALRM, on_alarm);
        if (i == 0) setitimer(ITIMER_VIRTUAL, &soon, NULL);
        else atomic_store(&alarmed, true);
        ck_assert_int_eq(leat__image_select(reader, 1, &part, NULL), LEAT_ECLOSED);
        leat__image_done(reader);
    }
    free(jpeg.data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("jpeg");
    TCase *tests = tcase_create("jpeg");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 300);
    tcase_add_loop_test(tests, test_every_form_is_libjpegs_decode, 0, 5);
    tcase_add_loop_test(tests, test_parts_are_those_of_the_whole, 0, 4);
    tcase_add_test(tests, test_parts_of_large_images);
    tcase_add_test(tests, test_parts_of_unfinished_progressive_images);
    tcase_add_loop_test(tests, test_every_single_pixel_and_every_column_of_blocks, 0, 5);
    tcase_add_test(tests, test_pixels_that_valgrind_calls_undefined_are_the_same_whatever_lay_in_memory);
    tcase_add_test(tests, test_orientation);
    tcase_add_loop_test(tests, test_every_truncation_is_an_error, 0, DAMAGED_FORMS);
    tcase_add_loop_test(tests, test_first_rows_then_verify, 0, DAMAGED_FORMS);
    tcase_add_loop_test(tests, test_damaged_bytes_never_leave_pixels_undefined, 0, DAMAGED_FORMS);
    tcase_add_loop_test(tests, test_every_truncation_is_an_error_of_a_part, 0, DAMAGED_FORMS);
    tcase_add_loop_test(tests, test_damage_outside_of_the_part_is_found, 0, DAMAGED_FORMS);
    tcase_add_test(tests, test_end_marker_in_the_middle_is_an_error);
    tcase_add_test(tests, test_bad_huffman_code_is_an_error);
    tcase_add_test(tests, test_lost_restart_marker_is_an_error);
    tcase_add_test(tests, test_harmless_oddities_are_read);
    tcase_add_test(tests, test_zeroed_scan_parameters_are_read);
    tcase_add_test(tests, test_missing_tables_are_not_the_last_images);
    tcase_add_test(tests, test_component_without_a_scan_is_an_error);
    tcase_add_test(tests, test_unsupported_forms_are_named);
    tcase_add_test(tests, test_dimension_bombs_are_refused_from_the_header);
    tcase_add_test(tests, test_pixel_limit_is_exact);
    tcase_add_test(tests, test_progressive_memory_is_checked_before_it_is_taken);
    tcase_add_test(tests, test_scans_are_limited);
    tcase_add_test(tests, test_repeated_sequential_scan_is_limited);
    tcase_add_test(tests, test_widest_image_stays_within_the_row_buffers);
    tcase_add_loop_test(tests, test_stop_ends_rows_soon, 0, 2);
    tcase_add_test(tests, test_stop_ends_a_select_soon);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
