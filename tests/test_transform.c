/* test_transform.c - resizing, normalizing and the way of a whole image. pillow_compare.py compares with Pillow itself
 * on hundreds of images; here are some of its results, and a whole-image resize by its arithmetic, which the streaming
 * one must equal but for 1. test_resize.c looks closer at the kernels. */
#include <check.h>
#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "stages/pixels.h"
#include "stages/resize.h"
#include "stages/transform.h"
#include "tests/reference_resize.h"

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

/* By Pillow's arithmetic, on the whole image. */
static uint8_t *plain_image(const uint8_t *in, uint32_t width, uint32_t height, const leat__view *view,
                            uint32_t to_width, uint32_t to_height)
{
    const reference_job job = {.in = in, .width = width, .height = height, .channels = 3, .x = view->x, .y = view->y,
                               .box_width = view->width, .box_height = view->height, .to_width = to_width,
                               .to_height = to_height};
    uint8_t *out = malloc((size_t)to_width * to_height * 3);
    ck_assert_ptr_nonnull(out);
    reference_pillow(&job, out);
    return out;
}

/* True if no byte differs by more than 1. */
static bool within_one(const uint8_t *got, const uint8_t *want, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (abs(got[i] - want[i]) > 1) return false;
    return true;
}

static const uint32_t sides[] = {1, 2, 3, 15, 16, 17, 33, 64, 100, 257};
#define SIDES (sizeof(sides) / sizeof(sides[0]))

/* Every pair of heights, and of widths, so that strips, ring and identity are met in all their phases. */
START_TEST(test_streaming_is_a_plain_resize)
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
            ck_assert_msg(within_one(got, want, (size_t)to_width * to * 3), "%u x %u -> %u x %u", width, height,
                          to_width, to);
            free(got);
            free(want);
        }
        free(png.data);
        free(pixels);
    }
}
END_TEST

/* Decoded whole, and only what is needed: the same bytes. */
START_TEST(test_random_crops_are_a_plain_resize)
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
        uint8_t *got, *whole;
        leat__view_choose(&image, width, height, &key, &view);
        image.decode = LEAT_DECODE_CROP;
        ck_assert_int_eq(transform_with(&image, &png, &roomy, &key, &got, NULL), LEAT_OK);
        image.decode = LEAT_DECODE_WHOLE;
        ck_assert_int_eq(transform_with(&image, &png, &roomy, &key, &whole, NULL), LEAT_OK);
        ck_assert_mem_eq(got, whole, 24 * 19 * 3);
        uint8_t *want = plain_image(pixels, width, height, &view, 24, 19);
        for (size_t y = 0; y < 19; y++)
            for (size_t x = 0; x < 24; x++)
                ck_assert(within_one(got + (y * 24 + x) * 3, want + (y * 24 + (view.flip ? 23 - x : x)) * 3, 3));
        free(got);
        free(whole);
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

/* What the reference says is Pillow's is: byte for byte. And ours is within 1. */
START_TEST(test_pillows_own_pixels)
{
    uint8_t *rgb = noise(13, 9, 3), *rgba = noise(7, 6, 4);
    encoded png = encode(rgb, 13, 9, 3), png_alpha = encode(rgba, 7, 6, 4);
    leat_image image = settings(5, 4), with_alpha = {.width = 4, .height = 5, .alpha = true};
    const leat__view all = {.width = 13, .height = 9};
    uint8_t *got = transform(&image, &png), *want = plain_image(rgb, 13, 9, &all, 5, 4);
    ck_assert_mem_eq(want, pillow_rgb_5x4, sizeof(pillow_rgb_5x4));
    ck_assert(within_one(got, pillow_rgb_5x4, sizeof(pillow_rgb_5x4)));
    free(got);
    free(want);
    want = plain_image(rgb, 13, 9, &(leat__view){.x = 2.5, .y = 1.25, .width = 3.5, .height = 7.5}, 6, 5);
    ck_assert_mem_eq(want, pillow_rgb_box_6x5, sizeof(pillow_rgb_box_6x5));
    free(want);
    ck_assert_int_eq(leat__image_defaults(&with_alpha, NULL), LEAT_OK);
    got = transform(&with_alpha, &png_alpha);
    for (int i = 0; i < 4 * 5; i++) { /* the division by alpha makes more of a difference of 1 */
        const int most = 1 + 2 * 255 / pillow_rgba_4x5[4 * i + 3];
        for (int c = 0; c < 4; c++)
            ck_assert_int_le(abs(got[4 * i + c] - pillow_rgba_4x5[4 * i + c]), c == 3 ? 1 : most);
    }
    free(got);
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

/* ---- how much is decoded ---- */

static encoded read_photo(const char *path)
{
    encoded of = {.data = malloc(4 << 20)};
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file && of.data, "%s", path);
    of.size = fread(of.data, 1, 4 << 20, file);
    fclose(file);
    return of;
}

/* 10 log10 of 255^2 / the mean squared difference. */
static double psnr(const uint8_t *a, const uint8_t *b, size_t bytes)
{
    double sum = 1e-9;
    for (size_t i = 0; i < bytes; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return 10 * log10(255 * 255 * (double)bytes / sum);
}

/* A photograph's random crops: at full scale the same bytes as of the whole image, reduced ones close to them. */
START_TEST(test_photo_crops)
{
    encoded photo = read_photo(LEAT_PHOTOS "/bird/crowned_crane.jpg");
    const uint32_t sizes[] = {224, 96, 40, 20};
    leat_image image = {.width = sizes[_i], .height = sizes[_i], .crop = LEAT_CROP_RANDOM_RESIZED, .flip = true};
    image.resample = _i % 2 ? LEAT_RESAMPLE_BICUBIC : LEAT_RESAMPLE_BILINEAR;
    ck_assert_int_eq(leat__image_defaults(&image, NULL), LEAT_OK);
    const size_t bytes = leat__image_row_bytes(&image);
    int reduced = 0, same = 0;
    double total = 0;
    for (uint64_t sample = 0; sample < 30; sample++) {
        const leat__random_key key = {.seed = 5, .sample = sample};
        leat_error error;
        uint8_t *crop, *whole;
        image.decode = LEAT_DECODE_CROP;
        ck_assert_msg(!transform_with(&image, &photo, &roomy, &key, &crop, &error), "%s", error.message);
        image.decode = LEAT_DECODE_WHOLE;
        ck_assert_msg(!transform_with(&image, &photo, &roomy, &key, &whole, &error), "%s", error.message);
        leat__view view;
        leat__view_choose(&image, 300, 400, &key, &view);
        if (view.width < 2 * image.width || view.height < 2 * image.height) {
            ck_assert_mem_eq(crop, whole, bytes);
            same++;
        } else {
            total += psnr(crop, whole, bytes);
            ck_assert(memcmp(crop, whole, bytes) != 0);
            reduced++;
        }
        free(crop);
        free(whole);
    }
    ck_assert(_i == 0 ? same > 0 : reduced > 10);
    if (reduced) ck_assert_double_ge(total / reduced, 30);
    free(photo.data);
}
END_TEST

START_TEST(test_damage_anywhere_is_found_when_all_is_decoded)
{
    uint8_t *pixels = noise(400, 400, 3), *out;
    encoded png = encode(pixels, 400, 400, 3);
    png.size -= png.size / 4; /* its last quarter is missing */
    leat_image image = {.width = 20, .height = 20, .crop = LEAT_CROP_RANDOM_RESIZED, .scale = {0.01f, 0.02f}};
    ck_assert_int_eq(leat__image_defaults(&image, NULL), LEAT_OK);
    image.decode = LEAT_DECODE_WHOLE;
    for (uint64_t sample = 0; sample < 20; sample++) {
        const leat__random_key key = {.seed = 9, .sample = sample};
        ck_assert_int_eq(transform_with(&image, &png, &roomy, &key, &out, NULL), LEAT_ETRUNCATED);
        free(out);
    }
    free(png.data);
    free(pixels);
}
END_TEST

START_TEST(test_choices_are_checked)
{
    leat_error error;
    leat_image image = {.resample = (leat_resample)2};
    ck_assert_int_eq(leat__image_defaults(&image, &error), LEAT_EINVAL);
    ck_assert_ptr_nonnull(strstr(error.message, "image.resample is 2"));
    image = (leat_image){.decode = (leat_decode)7};
    ck_assert_int_eq(leat__image_defaults(&image, &error), LEAT_EINVAL);
    ck_assert_ptr_nonnull(strstr(error.message, "image.decode is 7"));
    image = (leat_image){.resample = LEAT_RESAMPLE_BICUBIC, .decode = LEAT_DECODE_WHOLE};
    ck_assert_int_eq(leat__image_defaults(&image, &error), LEAT_OK);
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

/* Within the bound of pixels.h of torchvision's operations, each rounded to float; float16 is that float rounded. */
static bool value_is_right(const uint8_t *at, const leat_image *image, uint8_t value, size_t channel)
{
    if (image->dtype == LEAT_UINT8) return *at == value;
    const float mean = channel < 3 ? image->mean[channel] : 0, std = channel < 3 ? image->std[channel] : 1;
    volatile float torchvision = (float)value / 255.0f;
    torchvision = torchvision - mean;
    torchvision = torchvision / std;
    const float most = ldexpf(1 + fabsf(mean), -22) / std;
    float got;
    uint16_t half;
    if (image->dtype == LEAT_FLOAT32) {
        memcpy(&got, at, sizeof(got));
        return fabsf(got - torchvision) <= most;
    }
    memcpy(&half, at, sizeof(half));
    return half_value(half) >= half_value(leat__float16(torchvision - most)) &&
           half_value(half) <= half_value(leat__float16(torchvision + most));
}

/* One pixel of every value through each dtype and layout. */
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
    leat__pixels_init(&pixels, &image, leat__simd_best());
    for (uint32_t y = 0; y < 4; y++) {
        for (size_t i = 0; i < 64 * channels; i++) row[i] = (uint8_t)(y * 64 + i % 64 + i / 64);
        leat__pixels_put(&pixels, row, 64, y, out);
    }
    for (size_t y = 0; y < 4; y++)
        for (size_t x = 0; x < 64; x++)
            for (size_t c = 0; c < channels; c++) {
                const uint8_t value = (uint8_t)(y * 64 + x + c);
                const uint8_t *at = out + (planar ? c * 256 + y * 64 + x : (y * 64 + x) * channels + c) * element;
                if (!value_is_right(at, &image, value, c)) ck_abort_msg("y %zu x %zu c %zu", y, x, c);
            }
}
END_TEST

static Suite *transform_suite(void)
{
    Suite *suite = suite_create("transform");
    TCase *resize = tcase_create("resize"), *whole = tcase_create("whole"), *numbers = tcase_create("numbers");
    tcase_set_timeout(resize, 60);
    tcase_add_loop_test(resize, test_streaming_is_a_plain_resize, 0, (int)SIDES);
    tcase_add_loop_test(resize, test_random_crops_are_a_plain_resize, 0, 2);
    tcase_add_test(resize, test_pillows_own_pixels);
    tcase_add_test(resize, test_transparent_colours_do_not_bleed);
    tcase_set_timeout(whole, 60);
    tcase_add_loop_test(whole, test_orientations, 1, 9);
    tcase_add_test(whole, test_turning_is_held_to_the_limit);
    tcase_add_test(whole, test_one_worker_goes_on_after_errors);
    tcase_add_loop_test(whole, test_photo_crops, 0, 4);
    tcase_add_test(whole, test_choices_are_checked);
    tcase_add_test(whole, test_damage_anywhere_is_found_when_all_is_decoded);
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
