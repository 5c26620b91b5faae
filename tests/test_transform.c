/* test_transform.c - views, resizing, normalizing and the way of a whole image. pillow_compare.py compares with Pillow
 * itself on hundreds of images; here are some of its results, and a plain whole-image resize that the streaming one
 * must equal. */
#include <check.h>
#include <math.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "stages/pixels.h"
#include "stages/resize.h"
#include "stages/transform.h"

typedef struct encoded {
    uint8_t *data;
    size_t size;
} encoded;

static const leat__image_limits roomy = {.max_pixels = 100000000, .max_codec_bytes = 256 << 20};
static const leat__random_key some_key = {.seed = 11, .epoch = 2, .sample = 77};

/* Pixels as the golden arrays' script made them. */
static uint8_t *noise(size_t width, size_t height, size_t channels)
{
    uint32_t state = 1;
    uint8_t *pixels = malloc(width * height * channels);
    ck_assert_ptr_nonnull(pixels);
    for (size_t i = 0; i < width * height * channels; i++) {
        state = state * 1664525 + 1013904223;
        pixels[i] = (uint8_t)(state >> 24);
    }
    return pixels;
}

static encoded encode(const uint8_t *pixels, uint32_t width, uint32_t height, unsigned channels)
{
    png_image image = {.version = PNG_IMAGE_VERSION, .width = width, .height = height, .flags = PNG_IMAGE_FLAG_FAST};
    image.format = channels == 4 ? PNG_FORMAT_RGBA : PNG_FORMAT_RGB;
    encoded out = {.size = PNG_IMAGE_PNG_SIZE_MAX(image) + 64};
    out.data = malloc(out.size);
    ck_assert_ptr_nonnull(out.data);
    ck_assert(png_image_write_to_memory(&image, out.data, &out.size, 0, pixels, 0, NULL));
    return out;
}

/* An eXIf chunk with nothing but an orientation, put after IHDR (8 + 25 bytes). */
static void add_orientation(encoded *of, uint8_t orientation)
{
    uint8_t chunk[12 + 26] = {0,   0,   0, 26, 'e', 'X', 'I', 'f', 'M', 'M', 0, 42, 0, 0,           0, 8, 0, 1, 1, 0x12,
                              0,   3,   0, 0,  0,   1,   0,   orientation, 0, 0, 0, 0,  0, 0};
    uint32_t crc = (uint32_t)crc32(0, chunk + 4, 4 + 26);
    for (int i = 0; i < 4; i++) chunk[34 + i] = (uint8_t)(crc >> (24 - 8 * i));
    uint8_t *grown = malloc(of->size + sizeof(chunk));
    ck_assert_ptr_nonnull(grown);
    memcpy(grown, of->data, 33);
    memcpy(grown + 33, chunk, sizeof(chunk));
    memcpy(grown + 33 + sizeof(chunk), of->data + 33, of->size - 33);
    free(of->data);
    of->data = grown;
    of->size += sizeof(chunk);
}

static leat_image settings(uint32_t width, uint32_t height)
{
    leat_image image = {.width = width, .height = height, .layout = LEAT_HWC};
    ck_assert_int_eq(leat__image_defaults(&image, NULL), LEAT_OK);
    return image;
}

static leat_code transform_with(const leat_image *image, const encoded *of, const leat__image_limits *limits,
                                const leat__random_key *key, uint8_t **out, leat_error *error)
{
    leat__image_reader *reader = leat__image_reader_new();
    leat__transform *transform = leat__transform_new(image);
    *out = malloc(leat__image_row_bytes(image));
    ck_assert(reader && transform && *out);
    leat_code code = leat__transform_image(transform, reader, of->data, of->size, limits, key, *out, error);
    leat__transform_free(transform);
    leat__image_reader_free(reader);
    return code;
}

static uint8_t *transform(const leat_image *image, const encoded *of)
{
    leat_error error;
    uint8_t *out;
    leat_code code = transform_with(image, of, &roomy, &some_key, &out, &error);
    ck_assert_msg(code == LEAT_OK, "%s", error.message);
    return out;
}

/* ---- resize ---- */

/* One direction by Pillow's formulas, straight from the definition, on a whole image of `lines` lines. step: bytes from
 * one pixel of a line to the next, line: bytes from line to line. */
static void plain_resize(const uint8_t *in, size_t length, size_t step, size_t line, uint8_t *out, size_t size,
                         size_t out_step, size_t out_line, size_t lines, double begin, double end)
{
    const double scale = (double)((float)end - (float)begin) / (double)size, support = scale < 1 ? 1 : scale;
    double *weights = malloc(length * sizeof(*weights));
    for (size_t x = 0; x < size; x++) {
        const double centre = (float)begin + ((double)x + 0.5) * scale;
        const int low = (int)(centre - support + 0.5), high = (int)(centre + support + 0.5);
        const size_t from = low < 0 ? 0 : (size_t)low, to = (size_t)high > length ? length : (size_t)high;
        double sum = 0;
        for (size_t i = from; i < to; i++) {
            double distance = fabs(((double)i - centre + 0.5) * (1.0 / support));
            sum += weights[i] = distance < 1 ? 1 - distance : 0;
        }
        for (size_t y = 0; y < lines; y++) {
            int total = 1 << 21;
            for (size_t i = from; i < to; i++)
                total += in[y * line + i * step] * (int)(0.5 + weights[i] / sum * (1 << 22));
            out[y * out_line + x * out_step] = (uint8_t)(total >> 22 > 255 ? 255 : total >> 22);
        }
    }
    free(weights);
}

static uint8_t *plain_image(const uint8_t *in, size_t width, size_t height, const leat__view *view, size_t to_width,
                            size_t to_height)
{
    uint8_t *between = malloc(to_width * height * 3), *out = malloc(to_width * to_height * 3);
    ck_assert(between && out);
    for (size_t c = 0; c < 3; c++) {
        plain_resize(in + c, width, 3, width * 3, between + c, to_width, 3, to_width * 3, height, view->x,
                     view->x + view->width);
        plain_resize(between + c, height, to_width * 3, 3, out + c, to_height, to_width * 3, 3, to_width, view->y,
                     view->y + view->height);
    }
    free(between);
    return out;
}

static const uint32_t sides[] = {1, 2, 3, 15, 16, 17, 33, 64, 100, 257};
#define SIDES (sizeof(sides) / sizeof(sides[0]))

/* Every pair of heights, and of widths, so that strips, ring and identity are met in all their phases. */
START_TEST(test_streaming_equals_a_plain_resize)
{
    const uint32_t width = sides[_i], to_height = sides[(_i * 7 + 3) % (int)SIDES];
    for (size_t h = 0; h < SIDES; h++) {
        const uint32_t height = sides[h];
        uint8_t *pixels = noise(width, height, 3);
        encoded png = encode(pixels, width, height, 3);
        for (size_t w = 0; w < SIDES; w++) {
            const uint32_t to_width = sides[w], to = w % 2 ? to_height : height;
            const leat_image image = settings(to_width, to);
            const leat__view view = {.width = width, .height = height};
            uint8_t *got = transform(&image, &png), *want = plain_image(pixels, width, height, &view, to_width, to);
            ck_assert_msg(!memcmp(got, want, (size_t)to_width * to * 3), "%u x %u -> %u x %u", width, height, to_width,
                          to);
            free(got);
            free(want);
        }
        free(png.data);
        free(pixels);
    }
}
END_TEST

START_TEST(test_random_crops_equal_a_plain_resize)
{
    const uint32_t width = 61, height = 83;
    uint8_t *pixels = noise(width, height, 3);
    encoded png = encode(pixels, width, height, 3);
    leat_image image = {.width = 24, .height = 19, .crop = _i ? LEAT_CROP_CENTER : LEAT_CROP_RANDOM_RESIZED,
                        .flip = true};
    ck_assert_int_eq(leat__image_defaults(&image, NULL), LEAT_OK);
    for (uint64_t sample = 0; sample < 40; sample++) {
        const leat__random_key key = {.seed = 1, .sample = sample};
        leat__view view;
        uint8_t *got;
        leat__view_choose(&image, width, height, &key, &view);
        ck_assert_int_eq(transform_with(&image, &png, &roomy, &key, &got, NULL), LEAT_OK);
        uint8_t *want = plain_image(pixels, width, height, &view, 24, 19);
        for (size_t y = 0; y < 19; y++)
            for (size_t x = 0; x < 24; x++)
                ck_assert_mem_eq(got + (y * 24 + x) * 3, want + (y * 24 + (view.flip ? 23 - x : x)) * 3, 3);
        free(got);
        free(want);
    }
    free(png.data);
    free(pixels);
}
END_TEST

/* Made by Pillow 9.4.0 from the same noise: Image.resize(size, BILINEAR[, box]). */
static const uint8_t pillow_rgb_5x4[] = {
    125, 125, 123, 134, 166, 78, 130, 127, 74, 97, 105, 155, 163, 143, 154, 146, 112, 131, 126, 126, 111, 132, 151, 143,
    109, 127, 111, 109, 136, 129, 125, 104, 103, 146, 114, 128, 179, 129, 128, 128, 136, 107, 124, 89, 162, 141, 114, 136,
    146, 176, 142, 128, 137, 155, 145, 149, 97, 159, 105, 148,
};
static const uint8_t pillow_rgb_box_6x5[] = {
    87, 157, 124, 113, 201, 86, 119, 225, 81, 121, 234, 84, 145, 121, 64, 146, 67, 56, 154, 62, 99, 113, 75, 103,
    131, 111, 112, 159, 151, 122, 92, 155, 145, 76, 153, 160, 92, 85, 70, 113, 130, 84, 144, 131, 112, 175, 122, 139,
    180, 109, 94, 184, 102, 75, 95, 106, 131, 154, 113, 180, 161, 132, 181, 158, 155, 170, 190, 169, 166, 207, 164, 161,
    133, 193, 91, 106, 172, 126, 141, 190, 152, 190, 214, 171, 166, 189, 124, 132, 164, 118,
};
static const uint8_t pillow_rgba_4x5[] = {
    45, 116, 153, 145, 84, 188, 104, 154, 175, 137, 104, 134, 58, 113, 103, 74, 117, 186, 114, 89, 153, 235, 149, 118,
    183, 167, 142, 79, 120, 60, 214, 38, 178, 90, 169, 116, 204, 136, 132, 75, 179, 150, 129, 112, 101, 108, 160, 103,
    187, 148, 189, 117, 172, 74, 213, 117, 122, 130, 124, 96, 75, 179, 148, 149, 204, 76, 112, 140, 176, 36, 53, 176,
    119, 125, 112, 75, 124, 159, 150, 88,
};

START_TEST(test_pillows_own_pixels)
{
    uint8_t *rgb = noise(13, 9, 3), *rgba = noise(7, 6, 4), out[6 * 5 * 3];
    encoded png = encode(rgb, 13, 9, 3), png_alpha = encode(rgba, 7, 6, 4);
    leat_image image = settings(5, 4), with_alpha = {.width = 4, .height = 5, .alpha = true};
    uint8_t *got = transform(&image, &png);
    ck_assert_mem_eq(got, pillow_rgb_5x4, sizeof(pillow_rgb_5x4));
    free(got);
    ck_assert_int_eq(leat__image_defaults(&with_alpha, NULL), LEAT_OK);
    got = transform(&with_alpha, &png_alpha);
    ck_assert_mem_eq(got, pillow_rgba_4x5, sizeof(pillow_rgba_4x5));
    free(got);

    /* A box of fractions: the filters alone, all rows in a "ring" of 9; 16 bytes of slack after the last. */
    leat__filter across, down;
    uint8_t padded[9 * 39 + LEAT__RESIZE_SLACK] = {0}, row[32];
    void *memory[2] = {malloc(leat__filter_bytes(3.5, 6)), malloc(leat__filter_bytes(7.5, 5))};
    memcpy(padded, rgb, 9 * 39);
    leat__filter_build(&across, memory[0], 13, 2.5, 6.0, 6);
    leat__filter_build(&down, memory[1], 9, 1.25, 8.75, 5);
    uint8_t wide[9 * 32];
    for (size_t y = 0; y < 9; y++) leat__resize_across(&across, padded + y * 39, 3, wide + y * 32);
    for (uint32_t y = 0; y < 5; y++) {
        leat__resize_down(&down, y, wide, 32, 9, 18, row);
        memcpy(out + y * 18, row, 18);
    }
    ck_assert_mem_eq(out, pillow_rgb_box_6x5, sizeof(pillow_rgb_box_6x5));
    free(memory[0]);
    free(memory[1]);
    free(png.data);
    free(png_alpha.data);
    free(rgb);
    free(rgba);
}
END_TEST

/* White opaque next to transparent black and transparent green: no result may be anything but white where it shows. */
START_TEST(test_transparent_colours_do_not_bleed)
{
    uint8_t pixels[8 * 8 * 4];
    for (int i = 0; i < 64; i++) {
        const bool opaque = i % 8 < 4;
        memcpy(pixels + 4 * i, opaque ? (uint8_t[]){255, 255, 255, 255} : (uint8_t[]){0, 200, 0, 0}, 4);
    }
    encoded png = encode(pixels, 8, 8, 4);
    leat_image image = {.width = 3, .height = 3, .alpha = true};
    ck_assert_int_eq(leat__image_defaults(&image, NULL), LEAT_OK);
    uint8_t *got = transform(&image, &png);
    int partial = 0;
    for (int i = 0; i < 9; i++) {
        partial += got[4 * i + 3] > 0 && got[4 * i + 3] < 255;
        for (int c = 0; c < 3; c++) ck_assert(got[4 * i + 3] == 0 || got[4 * i + c] == 255);
    }
    ck_assert_int_gt(partial, 0);
    free(got);
    image.width = image.height = 8; /* no resize: kept as they are, transparent colours too */
    got = transform(&image, &png);
    ck_assert_mem_eq(got, pixels, sizeof(pixels));
    free(got);
    free(png.data);
}
END_TEST

/* ---- orientation ---- */

/* Where Pillow's exif_transpose takes pixel (x, y) of a stored image of 5 x 3. */
static void turned_place(int orientation, int x, int y, int *to_x, int *to_y)
{
    const int places[9][2] = {{0}, {x, y}, {4 - x, y}, {4 - x, 2 - y}, {x, 2 - y}, {y, x}, {2 - y, x}, {2 - y, 4 - x},
                              {y, 4 - x}};
    *to_x = places[orientation][0];
    *to_y = places[orientation][1];
}

START_TEST(test_orientations)
{
    uint8_t *pixels = noise(5, 3, 3);
    encoded png = encode(pixels, 5, 3, 3);
    add_orientation(&png, (uint8_t)_i);
    leat_image image = settings(_i >= 5 ? 3 : 5, _i >= 5 ? 5 : 3);
    image.orient = true;
    uint8_t *got = transform(&image, &png);
    for (int y = 0; y < 3; y++)
        for (int x = 0; x < 5; x++) {
            int to_x, to_y;
            turned_place(_i, x, y, &to_x, &to_y);
            ck_assert_mem_eq(got + (to_y * (int)image.width + to_x) * 3, pixels + (y * 5 + x) * 3, 3);
        }
    free(got);
    image = settings(5, 3); /* not asked for: as stored */
    got = transform(&image, &png);
    ck_assert_mem_eq(got, pixels, 45);
    free(got);
    free(png.data);
    free(pixels);
}
END_TEST

/* ---- limits and errors ---- */

START_TEST(test_turning_is_held_to_the_limit)
{
    const uint32_t width = 3000, height = 1000; /* 9 MB: over LEAT__TRANSFORM_KEEP */
    uint8_t *pixels = noise(width, height, 3), *out;
    encoded png = encode(pixels, width, height, 3);
    add_orientation(&png, 6);
    leat_image image = settings(8, 8);
    image.orient = true;
    leat_error error;
    leat__image_limits limits = roomy;
    limits.max_codec_bytes = leat__transform_scratch(&image, width, height);
    ck_assert_int_eq(transform_with(&image, &png, &limits, &some_key, &out, &error), LEAT_OK);
    free(out);
    limits.max_codec_bytes = (size_t)width * height * 3;
    ck_assert_int_eq(transform_with(&image, &png, &limits, &some_key, &out, &error), LEAT_ELIMIT);
    ck_assert_ptr_nonnull(strstr(error.message, "1000 x 3000"));
    ck_assert_ptr_nonnull(strstr(error.message, "orientation 6"));
    free(out);
    image.orient = false;
    ck_assert_int_eq(transform_with(&image, &png, &limits, &some_key, &out, &error), LEAT_OK);
    free(out);
    ck_assert_uint_eq(leat__transform_scratch(&(leat_image){.width = 1, .height = 1, .orient = true}, UINT32_MAX,
                                              UINT32_MAX),
                      SIZE_MAX);
    free(png.data);
    free(pixels);
}
END_TEST

START_TEST(test_one_worker_goes_on_after_errors)
{
    uint8_t *pixels = noise(40, 30, 3), *first, out[10 * 10 * 3];
    encoded png = encode(pixels, 40, 30, 3);
    const leat_image image = settings(10, 10);
    leat__image_reader *reader = leat__image_reader_new();
    leat__transform *worker = leat__transform_new(&image);
    leat_error error;
    first = transform(&image, &png);
    for (size_t cut = 0; cut < png.size; cut += 1 + png.size / 50) {
        leat_code code = leat__transform_image(worker, reader, png.data, cut, &roomy, &some_key, out, &error);
        ck_assert_msg(code == LEAT_ETRUNCATED || code == LEAT_EFORMAT || code == LEAT_ECORRUPT, "cut at %zu: %d", cut,
                      code);
        ck_assert_int_eq(error.code, code);
        ck_assert_str_ne(error.message, "");
        code = leat__transform_image(worker, reader, png.data, png.size, &roomy, &some_key, out, &error);
        ck_assert_msg(code == LEAT_OK, "%s", error.message);
        ck_assert_mem_eq(out, first, sizeof(out));
    }
    leat__image_limits small = roomy;
    small.max_pixels = 40 * 30 - 1;
    ck_assert_int_eq(leat__transform_image(worker, reader, png.data, png.size, &small, &some_key, out, &error),
                     LEAT_ELIMIT);
    leat__transform_free(worker);
    leat__image_reader_free(reader);
    free(first);
    free(png.data);
    free(pixels);
}
END_TEST

/* ---- numbers ---- */

static double half_value(uint16_t half)
{
    const int exponent = half >> 10 & 31, fraction = half & 1023;
    const double value = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return half & 0x8000 ? -value : value;
}

/* Every binary16, and both sides of every midpoint between neighbours. */
START_TEST(test_float16_rounds_to_nearest_even)
{
    int wrong = 0;
    for (unsigned sign = 0; sign <= 0x8000; sign += 0x8000)
        for (uint16_t half = 0; half < 0x7C00; half++) {
            const uint16_t h = (uint16_t)(half | sign), next = (uint16_t)(h + 1);
            const double low = half_value(h);
            const double high = half == 0x7BFF ? (sign ? -65536.0 : 65536.0) : half_value(next);
            const float middle = (float)((low + high) / 2), away = sign ? -INFINITY : INFINITY;
            wrong += leat__float16((float)low) != h;
            wrong += leat__float16(middle) != (half % 2 ? next : h);
            wrong += leat__float16(nextafterf(middle, away)) != next;
            wrong += leat__float16(nextafterf(middle, -away)) != h;
        }
    ck_assert_int_eq(wrong, 0);
    ck_assert_uint_eq(leat__float16(INFINITY), 0x7C00);
    ck_assert_uint_eq(leat__float16(-1e30f), 0xFC00);
    ck_assert_uint_eq(leat__float16(1e-30f), 0);
    ck_assert_uint_eq(leat__float16(NAN) & 0x7E00, 0x7E00);
}
END_TEST

/* One pixel of every value through each dtype, layout and flip. */
START_TEST(test_formats)
{
    const leat_dtype dtype = (leat_dtype[]){LEAT_UINT8, LEAT_FLOAT32, LEAT_FLOAT16}[_i % 3];
    const bool planar = _i / 3 % 2, alpha = _i / 6 % 2;
    leat_image image = {.width = 64, .height = 4, .dtype = dtype, .layout = planar ? LEAT_CHW : LEAT_HWC,
                        .alpha = alpha};
    const float mean[3] = {0.485f, 0.456f, 0.406f}, std[3] = {0.229f, 0.224f, 0.225f};
    if (dtype != LEAT_UINT8) {
        memcpy(image.mean, mean, sizeof(mean));
        memcpy(image.std, std, sizeof(std));
    }
    ck_assert_int_eq(leat__image_defaults(&image, NULL), LEAT_OK);
    const size_t channels = alpha ? 4 : 3, element = dtype == LEAT_UINT8 ? 1 : dtype == LEAT_FLOAT16 ? 2 : 4;
    ck_assert_uint_eq(leat__image_row_bytes(&image), 256 * channels * element);
    leat__pixels pixels;
    uint8_t row[64 * 4], out[256 * 4 * 4];
    leat__pixels_init(&pixels, &image);
    for (int flip = 0; flip < 2; flip++) {
        for (uint32_t y = 0; y < 4; y++) {
            for (size_t i = 0; i < 64 * channels; i++) row[i] = (uint8_t)(y * 64 + i / channels + i % channels);
            leat__pixels_put(&pixels, row, y, flip, out);
        }
        for (size_t y = 0; y < 4; y++)
            for (size_t x = 0; x < 64; x++)
                for (size_t c = 0; c < channels; c++) {
                    const uint8_t value = (uint8_t)(y * 64 + (flip ? 63 - x : x) + c);
                    const uint8_t *at = out + (planar ? c * 256 + y * 64 + x : (y * 64 + x) * channels + c) * element;
                    volatile float normal = (float)value / 255.0f; /* volatile: each step rounded to float */
                    if (c < 3) normal = normal - image.mean[c];
                    if (c < 3) normal = normal / image.std[c];
                    const float expected = normal;
                    const uint16_t half = leat__float16(expected);
                    const void *want = element == 1 ? (const void *)&value : element == 2 ? (const void *)&half : &expected;
                    if (memcmp(at, want, element)) ck_abort_msg("y %zu x %zu c %zu flip %d", y, x, c, flip);
                }
    }
}
END_TEST

static Suite *transform_suite(void)
{
    Suite *suite = suite_create("transform");
    TCase *resize = tcase_create("resize"), *whole = tcase_create("whole"), *numbers = tcase_create("numbers");
    tcase_set_timeout(resize, 60);
    tcase_add_loop_test(resize, test_streaming_equals_a_plain_resize, 0, (int)SIDES);
    tcase_add_loop_test(resize, test_random_crops_equal_a_plain_resize, 0, 2);
    tcase_add_test(resize, test_pillows_own_pixels);
    tcase_add_test(resize, test_transparent_colours_do_not_bleed);
    tcase_set_timeout(whole, 60);
    tcase_add_loop_test(whole, test_orientations, 1, 9);
    tcase_add_test(whole, test_turning_is_held_to_the_limit);
    tcase_add_test(whole, test_one_worker_goes_on_after_errors);
    tcase_add_test(numbers, test_float16_rounds_to_nearest_even);
    tcase_add_loop_test(numbers, test_formats, 0, 12);
    suite_add_tcase(suite, resize);
    suite_add_tcase(suite, whole);
    suite_add_tcase(suite, numbers);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(transform_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
