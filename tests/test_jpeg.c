/* test_jpeg.c - JPEG: every form bit by bit against libjpeg, every truncation, damage, limits, bombs. */
#include "tests/decoding.h"
#include "stages/jpeg.h"

#include <stdio.h>

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

int main(void)
{
    Suite *suite = suite_create("jpeg");
    TCase *tests = tcase_create("jpeg");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 300);
    tcase_add_loop_test(tests, test_every_form_is_libjpegs_decode, 0, 5);
    tcase_add_test(tests, test_orientation);
    tcase_add_loop_test(tests, test_every_truncation_is_an_error, 0, DAMAGED_FORMS);
    tcase_add_loop_test(tests, test_first_rows_then_verify, 0, DAMAGED_FORMS);
    tcase_add_loop_test(tests, test_damaged_bytes_never_leave_pixels_undefined, 0, DAMAGED_FORMS);
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
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
