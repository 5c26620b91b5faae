/* test_image.c - the reader: what bytes are, reuse after every error, misuse, EXIF blocks, allocations that fail. */
#include "tests/decoding.h"
#include "stages/exif.h"

#include <png.h>
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

static const jpeg_form jpeg_plain = {.width = 61, .height = 47, .colours = STORED_YCC, .h = 2, .v = 2, .quality = 85};
static const png_form png_plain = {.width = 33, .height = 19, .colour = PNG_COLOR_TYPE_RGB, .depth = 8};

/* ---- failing allocations: malloc and its kin, for libjpeg and libpng too, unless a sanitizer has taken them ---- */

static long allocations_left = -1; /* until one fails, and all after it; -1: none fails */
static size_t largest;              /* request since it was set to 0 */

#if !SANITIZED
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);

static bool is_refused(size_t size)
{
    if (size > largest) largest = size;
    if (allocations_left < 0) return false;
    if (allocations_left == 0) return true;
    allocations_left--;
    return false;
}

void *malloc(size_t size)
{
    return is_refused(size) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return is_refused(count * size) ? NULL : __libc_calloc(count, size);
}
#endif

/* ---- what bytes are ---- */

START_TEST(test_bytes_are_named_for_what_they_are)
{
    static const struct {
        const char *bytes;
        size_t size;
        leat_code code;
        const char *words;
    } cases[] = {
        {"", 0, LEAT_ETRUNCATED, "only 0 bytes"},
        {"\xff", 1, LEAT_ETRUNCATED, "only 1 bytes"},
        {"\xff\xd8", 2, LEAT_ETRUNCATED, "only 2 bytes"},
        {"\x89PNG\r\n\x1a", 7, LEAT_ETRUNCATED, "only 7 bytes"},
        {"\xff\xd8\xff", 3, LEAT_ETRUNCATED, "JPEG: premature end"},
        {"\x89PNG\r\n\x1a\n", 8, LEAT_ETRUNCATED, "PNG: premature end"},
        {"G", 1, LEAT_EFORMAT, "1 bytes that begin with 47"},
        {"GIF89a..", 8, LEAT_EFORMAT, "this is GIF"},
        {"RIFF\x24\0\0\0WEBPVP8 ", 16, LEAT_EFORMAT, "this is WebP"},
        {"\0\0\0\x1c" "ftypavif", 12, LEAT_EFORMAT, "this is AVIF"},
        {"\0\0\0\x18" "ftypheic", 12, LEAT_EFORMAT, "this is HEIC"},
        {"BM\x36\0\x0c\0\0\0\0\0", 10, LEAT_EFORMAT, "this is BMP"},
        {"II*\0\x08\0\0\0", 8, LEAT_EFORMAT, "this is TIFF"},
        {"MM\0*\0\0\0\x08", 8, LEAT_EFORMAT, "this is TIFF"},
        {"\0\0\0\x0cjP  \r\n\x87\n", 12, LEAT_EFORMAT, "this is JPEG 2000"},
        {"\0\0\0\x0cJXL \r\n\x87\n", 12, LEAT_EFORMAT, "this is JPEG XL"},
        {"<!DOCTYPE html><html>", 21, LEAT_EFORMAT, "this is HTML"},
        {"\xef\xbb\xbf \r\n<HTML>", 12, LEAT_EFORMAT, "this is HTML"},
        {"<?xml version='1.0'?><Error>", 28, LEAT_EFORMAT, "this is XML"},
        {"PK\3\4....", 8, LEAT_EFORMAT, "this is ZIP"},
        {"\x1f\x8b\x08\0", 4, LEAT_EFORMAT, "this is gzip"},
        {"\x01\x02\x03\x1b[2J \xff", 9, LEAT_EFORMAT, "9 bytes that begin with 01 02 03 1b 5b 32 4a 20"},
        {"\0\0\0\0\0\0\0\0\0\0", 10, LEAT_EFORMAT, "neither JPEG nor PNG"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        picture bytes = {malloc(cases[i].size + !cases[i].size), cases[i].size};
        memcpy(bytes.data, cases[i].bytes, cases[i].size);
        expect_error(reader, &bytes, cases[i].code, cases[i].words);
        free(bytes.data);
    }
    expect_error(reader, &(picture){NULL, 0}, LEAT_ETRUNCATED, "only 0 bytes");
    ck_assert_int_eq(leat__image_sniff((const uint8_t *)"GIF8", 4, NULL), LEAT__IMAGE_UNKNOWN);
}
END_TEST

START_TEST(test_garbage_behind_a_magic_is_an_error)
{
    picture bytes = {malloc(4096), 4096};
    uint32_t state = 1;
    for (unsigned round = 0; round < 2000; round++) {
        for (size_t i = 0; i < bytes.size; i++) bytes.data[i] = (uint8_t)((state = state * 1664525 + 1013904223) >> 24);
        leat_code code;
        if (round % 2) memcpy(bytes.data, "\xff\xd8\xff", 3);
        else memcpy(bytes.data, "\x89PNG\r\n\x1a\n\0\0\0\15IHDR", 16);
        ck_assert(decode_is_defined(reader, &bytes, &code) && code != LEAT_OK);
    }
    free(bytes.data);
}
END_TEST

/* ---- one reader, many images ---- */

START_TEST(test_formats_take_turns_between_errors)
{
    picture jpeg = picture_jpeg(&jpeg_plain), png = picture_png(&png_plain);
    uint8_t *of_jpeg = picture_jpeg_pixels(&jpeg, 4), *of_png = picture_png_pixels(&png_plain, 4);
    picture cut_jpeg = picture_copy(&jpeg), cut_png = picture_copy(&png);
    cut_jpeg.size -= 300;
    cut_png.size -= 300;
    for (int round = 0; round < 20; round++) {
        expect_pixels(reader, &jpeg, true, 7, of_jpeg, "JPEG");
        expect_error(reader, &cut_jpeg, LEAT_ETRUNCATED, "JPEG");
        expect_pixels(reader, &png, true, 7, of_png, "PNG");
        expect_error(reader, &cut_png, LEAT_ETRUNCATED, "PNG");
        expect_error(reader, &(picture){(uint8_t *)"GIF89a", 6}, LEAT_EFORMAT, "GIF");
    }
    free(cut_jpeg.data), free(cut_png.data);
    free(of_jpeg), free(of_png);
    free(jpeg.data), free(png.data);
}
END_TEST

START_TEST(test_done_in_any_state)
{
    picture of[] = {picture_jpeg(&jpeg_plain), picture_png(&png_plain)};
    uint8_t *rows = malloc(61 * 47 * 3);
    for (int i = 0; i < 2; i++) {
        leat__image_info info;
        for (uint32_t taken = 0; taken < 19; taken += 3) {
            ck_assert_int_eq(leat__image_open(reader, of[i].data, of[i].size, false, &roomy, &info, NULL), LEAT_OK);
            ck_assert_int_eq(leat__image_rows(reader, rows, info.width * 3, taken, NULL), LEAT_OK);
            leat__image_done(reader);
            leat__image_done(reader); /* idle already: nothing */
        }
        /* and freed with an image open */
        leat__image_reader *other = leat__image_reader_new();
        ck_assert_int_eq(leat__image_open(other, of[i].data, of[i].size, false, &roomy, &info, NULL), LEAT_OK);
        ck_assert_int_eq(leat__image_rows(other, rows, info.width * 3, 5, NULL), LEAT_OK);
        leat__image_reader_free(other);
        free(of[i].data);
    }
    leat__image_reader_free(NULL);
    free(rows);
}
END_TEST

START_TEST(test_rows_that_are_not_there)
{
    picture jpeg = picture_jpeg(&jpeg_plain);
    uint8_t *rows = calloc(1, 61 * 60 * 3);
    leat__image_info info;
    leat_error error;
    ck_assert_int_eq(leat__image_rows(reader, rows, 61 * 3, 1, &error), LEAT_EINVAL);
    ck_assert_int_eq(leat__image_verify(reader, &error), LEAT_EINVAL);
    ck_assert_int_eq(leat__image_open(reader, jpeg.data, jpeg.size, false, &roomy, &info, &error), LEAT_OK);
    ck_assert_int_eq(leat__image_rows(reader, rows, 61 * 3, 0, &error), LEAT_OK);
    ck_assert_int_eq(leat__image_rows(reader, rows, 61 * 3, 48, &error), LEAT_EINVAL);
    ck_assert_ptr_nonnull(strstr(error.message, "48 rows wanted, 47 of 47 are left"));
    ck_assert_int_eq(leat__image_rows(reader, rows, 61 * 3, 47, &error), LEAT_OK);
    ck_assert_int_eq(leat__image_rows(reader, rows, 61 * 3, UINT32_MAX, &error), LEAT_EINVAL);
    ck_assert_int_eq(leat__image_verify(reader, &error), LEAT_OK);
    ck_assert_int_eq(leat__image_verify(reader, &error), LEAT_OK); /* again: the same */
    leat__image_done(reader);
    jpeg.size -= 500; /* an error ends the image: what follows says so */
    ck_assert_int_eq(leat__image_open(reader, jpeg.data, jpeg.size, false, &roomy, &info, &error), LEAT_OK);
    ck_assert_int_eq(leat__image_rows(reader, rows, 61 * 3, 47, &error), LEAT_ETRUNCATED);
    ck_assert_int_eq(leat__image_rows(reader, rows, 61 * 3, 1, &error), LEAT_EINVAL);
    leat__image_done(reader);
    free(rows);
    free(jpeg.data);
}
END_TEST

START_TEST(test_select_takes_what_is_there_once)
{
    static const struct {
        unsigned reduce;
        leat__image_part part;
        bool jpeg, png;
    } cases[] = {
        {1, {0, 0, 33, 19}, true, true},          {1, {32, 18, 1, 1}, true, true},
        {1, {0, 0, 34, 19}, false, false},        {1, {0, 0, 33, 20}, false, false},
        {1, {33, 0, 1, 1}, false, false},         {1, {0, 19, 1, 1}, false, false},
        {1, {0, 0, 0, 19}, false, false},         {1, {0, 0, 33, 0}, false, false},
        {1, {1, 0, UINT32_MAX, 1}, false, false}, {1, {0, UINT32_MAX, 1, UINT32_MAX}, false, false},
        {0, {0, 0, 1, 1}, false, false},          {3, {0, 0, 1, 1}, false, false},
        {16, {0, 0, 1, 1}, false, false},         {2, {0, 0, 17, 10}, true, false},
        {2, {0, 0, 18, 10}, false, false},        {4, {8, 4, 1, 1}, true, false},
        {8, {0, 0, 5, 3}, true, false},           {8, {5, 0, 1, 1}, false, false},
    };
    jpeg_form form = jpeg_plain;
    form.width = 33, form.height = 19;
    picture of[] = {picture_jpeg(&form), picture_png(&png_plain)};
    uint8_t *rows = malloc(33 * 19 * 3);
    leat__image_part pixel = {0, 0, 1, 1};
    leat_error error;
    ck_assert_int_eq(leat__image_select(reader, 1, &pixel, &error), LEAT_EINVAL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int png = 0; png < 2; png++) {
            leat__image_info info;
            leat__image_part got = cases[i].part;
            const bool fits = png ? cases[i].png : cases[i].jpeg;
            ck_assert_int_eq(leat__image_open(reader, of[png].data, of[png].size, false, &roomy, &info, NULL), LEAT_OK);
            ck_assert_uint_eq(info.most_reduce, png ? 1 : 8);
            leat_code code = leat__image_select(reader, cases[i].reduce, &got, &error);
            ck_assert_msg(code == (fits ? LEAT_OK : LEAT_EINVAL), "case %zu of %d: %s", i, png, leat_code_name(code));
            if (fits) {
                const size_t stride = (size_t)got.width * 3;
                ck_assert_int_eq(leat__image_select(reader, 1, &got, &error), LEAT_EINVAL); /* once only */
                ck_assert_int_eq(leat__image_rows(reader, rows, stride, got.height + 1, &error), LEAT_EINVAL);
                ck_assert_int_eq(leat__image_rows(reader, rows, stride, got.height, &error), LEAT_OK);
                ck_assert_int_eq(leat__image_rows(reader, rows, stride, 1, &error), LEAT_EINVAL);
                ck_assert_int_eq(leat__image_verify(reader, &error), LEAT_OK);
            } else { /* nothing has happened */
                ck_assert_int_eq(leat__image_rows(reader, rows, 33 * 3, 1, &error), LEAT_OK);
                ck_assert_int_eq(leat__image_select(reader, 1, &pixel, &error), LEAT_EINVAL); /* too late */
                ck_assert_int_eq(leat__image_rows(reader, rows, 33 * 3, 18, &error), LEAT_OK);
            }
            leat__image_done(reader);
        }
    }
    free(rows);
    free(of[0].data), free(of[1].data);
}
END_TEST

START_TEST(test_stride_leaves_the_gap_alone)
{
    picture of[] = {picture_jpeg(&jpeg_plain), picture_png(&png_plain)};
    for (int i = 0; i < 4; i++) { /* whole, and a part */
        leat__image_info info;
        leat__image_part part = {20, 3, 9, 11};
        ck_assert_int_eq(leat__image_open(reader, of[i % 2].data, of[i % 2].size, false, &roomy, &info, NULL), LEAT_OK);
        if (i < 2) part = (leat__image_part){0, 0, info.width, info.height};
        else ck_assert_int_eq(leat__image_select(reader, 1, &part, NULL), LEAT_OK);
        size_t used = (size_t)part.width * 3, stride = used + 13, bad = 0;
        uint8_t *rows = malloc(stride * part.height);
        memset(rows, 0x77, stride * part.height);
        ck_assert_int_eq(leat__image_rows(reader, rows, stride, part.height, NULL), LEAT_OK);
        leat__image_done(reader);
        for (size_t at = 0; at < stride * part.height; at++) bad += at % stride >= used && rows[at] != 0x77;
        ck_assert_uint_eq(bad, 0);
        free(rows);
    }
    free(of[0].data), free(of[1].data);
}
END_TEST

START_TEST(test_failing_allocations_are_errors_and_the_reader_lives_on)
{
#if SANITIZED
    (void)allocations_left, (void)largest; /* the sanitizer's allocator is in place of ours; other builds have this */
#else
    jpeg_form progressive = jpeg_plain;
    jpeg_form ink = jpeg_plain;
    png_form interlaced = png_plain;
    progressive.scans = SCANS_PROGRESSIVE;
    ink.colours = STORED_YCCK;
    interlaced.interlaced = true;
    picture of[] = {picture_jpeg(&jpeg_plain), picture_jpeg(&progressive), picture_jpeg(&ink), picture_png(&png_plain),
                    picture_png(&interlaced)};
    uint8_t *rows = malloc(61 * 47 * 3);
    for (int i = 0; i < 10; i++) { /* whole, and a part, which has its allocations elsewhere */
        const picture *file = &of[i % 5];
        leat__image_part part = {0, 9, 33, 1};
        long failures = 0;
        for (leat_code code = LEAT_ENOMEM; code != LEAT_OK; failures++) {
            leat__image_info info = {0};
            leat_error error = {0};
            ck_assert_int_lt(failures, 1000);
            leat__image_reader *fresh = NULL;
            allocations_left = failures;
            fresh = leat__image_reader_new();
            code = fresh ? leat__image_open(fresh, file->data, file->size, false, &roomy, &info, &error)
                         : LEAT_ENOMEM;
            if (code == LEAT_OK && i >= 5) code = leat__image_select(fresh, 1, &part, &error);
            if (code == LEAT_OK)
                code = leat__image_rows(fresh, rows, info.width * 3, i < 5 ? info.height : part.height, &error);
            if (code == LEAT_OK) code = leat__image_verify(fresh, &error);
            allocations_left = -1;
            ck_assert_msg(code == LEAT_OK || code == LEAT_ENOMEM, "picture %d, allocation %ld: %s", i, failures,
                          error.message);
            if (!fresh) continue;
            leat__image_done(fresh);
            uint8_t *pixels;
            ck_assert_int_eq(decode(fresh, file, false, &pixels, &error), LEAT_OK);
            ck_assert_int_eq(memcmp(pixels, rows, code == LEAT_OK && i < 5 ? info.width * 3 * info.height : 0), 0);
            free(pixels);
            leat__image_reader_free(fresh);
        }
        if (!getenv("LD_PRELOAD")) ck_assert_int_gt(failures, 8); /* valgrind's allocator takes the place of ours */
    }
    for (int i = 0; i < 5; i++) free(of[i].data);
    free(rows);
#endif
}
END_TEST

#if !SANITIZED
static size_t in_use(void)
{
    struct mallinfo2 heap = mallinfo2();
    return heap.uordblks + heap.hblkhd;
}

START_TEST(test_skipped_chunks_take_no_memory)
{
    picture png = picture_png(&png_plain);
    uint8_t *text = calloc(1, 4 << 20), *want = picture_png_pixels(&png_plain, 3);
    memcpy(text, "Comment\0text", 12);
    picture_insert_chunk(&png, picture_find_chunk(&png, "IDAT"), "tEXt", text, 4 << 20);
    picture_insert_chunk(&png, picture_find_chunk(&png, "IDAT"), "prVt", text, 4 << 20);
    picture_insert_chunk(&png, picture_find_chunk(&png, "IEND"), "tEXt", text, 4 << 20);
    largest = 0;
    expect_pixels(reader, &png, false, 9, want, "skipped chunks");
    ck_assert(getenv("LD_PRELOAD") || largest > 1000); /* valgrind's allocator takes the place of ours */
    ck_assert_uint_lt(largest, 256 << 10);
    free(text), free(want);
    free(png.data);
}
END_TEST

START_TEST(test_only_a_small_scratch_is_kept)
{
    static const unsigned heights[] = {1000, 2000}; /* of 2000 px x 3 bytes: 6 MB, 12 MB */
    for (int i = 0; i < 2; i++) {
        png_form form = {.width = 2000, .height = heights[i], .depth = 1, .interlaced = true};
        picture png = picture_png(&form);
        uint8_t *pixels;
        leat__image_reader *fresh = leat__image_reader_new();
        size_t before = in_use();
        ck_assert_int_eq(decode(fresh, &png, false, &pixels, NULL), LEAT_OK);
        free(pixels);
        ck_assert_uint_lt(in_use() - before, i == 0 ? 6200000 : 100000);
        ck_assert(i == 1 || getenv("LD_PRELOAD") || in_use() - before >= 6000000);
        leat__image_reader_free(fresh);
        free(png.data);
    }
}
END_TEST
#endif

/* ---- EXIF ---- */

START_TEST(test_exif_blocks)
{
    uint8_t block[32];
    for (int bits = 0; bits < 4; bits++) {
        bool prefix = bits & 1, big = bits & 2;
        for (uint32_t value = 0; value < 12; value++) {
            int want = value >= 1 && value <= 8 ? (int)value : 1;
            ck_assert_int_eq(leat__exif_orientation(block, picture_exif(block, prefix, big, 0x112, 3, 1, value)), want);
            ck_assert_int_eq(leat__exif_orientation(block, picture_exif(block, prefix, big, 0x112, 4, 1, value)), want);
        }
        ck_assert_int_eq(leat__exif_orientation(block, picture_exif(block, prefix, big, 0x113, 3, 1, 6)), 1);
        ck_assert_int_eq(leat__exif_orientation(block, picture_exif(block, prefix, big, 0x112, 2, 1, 6)), 1);
        ck_assert_int_eq(leat__exif_orientation(block, picture_exif(block, prefix, big, 0x112, 3, 2, 6)), 1);
        ck_assert_int_eq(leat__exif_orientation(block, picture_exif(block, prefix, big, 0x112, 3, 0, 6)), 1);
    }
    ck_assert_int_eq(leat__exif_orientation(NULL, 0), 1);
}
END_TEST

START_TEST(test_exif_garbage_is_orientation_1_and_in_bounds)
{
    uint8_t block[32];
    for (int bits = 0; bits < 4; bits++) {
        size_t size = picture_exif(block, bits & 1, bits & 2, 0x112, 3, 1, 6);
        for (size_t cut = 0; cut <= size; cut++) {
            uint8_t *exact = malloc(cut + !cut);
            memcpy(exact, block, cut);
            ck_assert_int_eq(leat__exif_orientation(exact, cut), cut == size ? 6 : 1);
            for (size_t at = 0; at < cut; at++) {
                for (int value = 0; value < 256; value += 15) {
                    exact[at] = (uint8_t)value;
                    int got = leat__exif_orientation(exact, cut);
                    if (got < 1 || got > 8) ck_abort_msg("orientation %d", got);
                }
                exact[at] = block[at];
            }
            free(exact);
        }
    }
}
END_TEST

START_TEST(test_exif_offsets_at_the_edge)
{
    uint8_t block[32];
    size_t size = picture_exif(block, false, false, 0x112, 3, 1, 6);
    static const uint32_t offsets[] = {0, 7, 20, 21, 22, 23, 0x7fffffff, 0xfffffffe, 0xffffffff};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        for (int b = 0; b < 4; b++) block[4 + b] = (uint8_t)(offsets[i] >> (8 * b));
        ck_assert_int_eq(leat__exif_orientation(block, size), 1);
    }
    block[4] = 8, block[5] = block[6] = block[7] = 0;
    block[8] = block[9] = 0xff; /* 65535 entries in room for one */
    ck_assert_int_eq(leat__exif_orientation(block, size), 6);
    block[10] = 0; /* another tag: the rest is not there */
    ck_assert_int_eq(leat__exif_orientation(block, size), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("image");
    TCase *tests = tcase_create("image");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, test_bytes_are_named_for_what_they_are);
    tcase_add_test(tests, test_garbage_behind_a_magic_is_an_error);
    tcase_add_test(tests, test_formats_take_turns_between_errors);
    tcase_add_test(tests, test_done_in_any_state);
    tcase_add_test(tests, test_rows_that_are_not_there);
    tcase_add_test(tests, test_select_takes_what_is_there_once);
    tcase_add_test(tests, test_stride_leaves_the_gap_alone);
    tcase_add_test(tests, test_failing_allocations_are_errors_and_the_reader_lives_on);
#if !SANITIZED
    tcase_add_test(tests, test_skipped_chunks_take_no_memory);
    tcase_add_test(tests, test_only_a_small_scratch_is_kept);
#endif
    tcase_add_test(tests, test_exif_blocks);
    tcase_add_test(tests, test_exif_garbage_is_orientation_1_and_in_bounds);
    tcase_add_test(tests, test_exif_offsets_at_the_edge);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
