/* test_resize.c - filters, the resize and the formats of pixels at every level of vector instructions: against Pillow's
 * arithmetic, against the exact result, and against each other, on thousands of random shapes, boxes and images. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stages/pixels.h"
#include "stages/resize.h"
#include "stages/view.h"
#include "tests/reference_resize.h"

static uint64_t state;

static uint32_t random_below(uint32_t end)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) * end >> 31);
}

static double random_unit(void)
{
    return random_below(1 << 30) / (double)(1 << 30);
}

/* Log-uniform. */
static uint32_t random_side(uint32_t most)
{
    const uint32_t side = (uint32_t)exp(random_unit() * log(most + 1.0));
    return side < 1 ? 1 : side > most ? most : side;
}

/* Noise, black and white, blocks of both, a gradient: noise shows wrong weights, gradients wrong positions, black and
 * white the worst case of every bound. */
static void fill(uint8_t *pixels, uint32_t width, uint32_t height, unsigned channels)
{
    const uint32_t kind = random_below(4), block = 1 + random_below(9), slope = random_below(7);
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++)
            for (unsigned c = 0; c < channels; c++) {
                uint32_t value = random_below(256);
                if (kind == 1) value = value < 128 ? 0 : 255;
                if (kind == 2) value = (x / block + y / block + c) % 2 * 255;
                if (kind == 3) value = (x * slope + y * (c + 1)) & 255;
                *pixels++ = (uint8_t)value;
            }
}

/* ---- our resize of a whole image in memory, in strips ---- */

static uint8_t *ours(const reference_job *job, leat__simd level, bool mirrored, uint32_t strip)
{
    const leat_resample resample = job->bicubic ? LEAT_RESAMPLE_BICUBIC : LEAT_RESAMPLE_BILINEAR;
    const leat__line across = {.length = job->width, .size = job->to_width, .begin = job->x,
                               .end = job->x + job->box_width, .resample = resample, .mirrored = mirrored};
    const leat__line down = {.length = job->height, .size = job->to_height, .begin = job->y,
                             .end = job->y + job->box_height, .resample = resample};
    const unsigned channels = job->channels;
    leat__resize r;
    leat__resize_plan(&r, &across, &down, channels, level);
    ck_assert_uint_le(leat__resize_bytes(&r), leat__resize_most_bytes(&across, &down, channels));
    const size_t needed = (size_t)r.columns * channels, stride = needed + LEAT__RESIZE_SLACK;
    leat__ring ring = {.stride = stride, .count = leat__resize_kept(&r) + strip, .column = r.across.first};
    uint8_t *rows = malloc(ring.count * stride), *out = malloc((size_t)job->to_width * job->to_height * channels);
    uint8_t *row = malloc(leat__resize_row_bytes(job->to_width, channels));
    void *memory = aligned_alloc(64, leat__resize_bytes(&r));
    ck_assert(rows && out && row && memory);
    memset(rows, 0xA5, ring.count * stride);
    memset(memory, 0xA5, leat__resize_bytes(&r));
    ring.rows = rows;
    leat__resize_begin(&r, &across, &down, &ring, memory);
    uint32_t made = 0, y;
    for (uint32_t at = r.down.first; at < r.down.end; at += strip) {
        const uint32_t end = at + strip < r.down.end ? at + strip : r.down.end;
        for (uint32_t i = at; i < end; i++) /* only what was said to be needed; the rest is 0xA5 */
            memcpy(rows + i % ring.count * stride,
                   job->in + ((size_t)i * job->width + r.across.first) * channels, needed);
        leat__resize_take(&r, end);
        for (; leat__resize_next(&r, row, &y); made++) {
            ck_assert_uint_eq(y, made);
            for (size_t x = 0; x < job->to_width; x++)
                for (unsigned c = 0; c < channels; c++)
                    out[((size_t)y * job->to_width + x) * channels + c] = row[c * r.out_plane + x];
        }
    }
    ck_assert_uint_eq(made, job->to_height);
    free(rows);
    free(row);
    free(memory);
    return out;
}

static reference_job random_job(uint32_t most, uint32_t most_out)
{
    reference_job job = {.width = random_side(most), .height = random_side(most), .channels = 3 + random_below(2)};
    job.to_width = random_side(most_out);
    job.to_height = random_side(most_out);
    job.box_width = job.width;
    job.box_height = job.height;
    const uint32_t kind = random_below(4);
    if (kind == 1) { /* as RandomResizedCrop */
        job.box_width = 1 + random_below(job.width);
        job.box_height = 1 + random_below(job.height);
        job.x = random_below(job.width - (uint32_t)job.box_width + 1);
        job.y = random_below(job.height - (uint32_t)job.box_height + 1);
    } else if (kind == 2) {
        job.box_width *= 0.05 + 0.95 * random_unit();
        job.box_height *= 0.05 + 0.95 * random_unit();
        job.x = random_unit() * (job.width - job.box_width);
        job.y = random_unit() * (job.height - job.box_height);
    }
    if (random_below(8) == 0 && job.box_width == floor(job.box_width)) job.to_width = (uint32_t)job.box_width;
    if (random_below(8) == 0 && job.box_height == floor(job.box_height)) job.to_height = (uint32_t)job.box_height;
    return job;
}

static void say(char *text, size_t size, const reference_job *job)
{
    snprintf(text, size, "%u x %u x %u, box %g x %g at (%g, %g) -> %u x %u%s", job->width, job->height, job->channels,
             job->box_width, job->box_height, job->x, job->y, job->to_width, job->to_height,
             job->bicubic ? ", bicubic" : "");
}

/* Every level gives the same bytes; mirrored outputs are the others' mirror image. Gives the portable ones. */
static uint8_t *same_at_every_level(const reference_job *job)
{
    char text[200];
    say(text, sizeof(text), job);
    const size_t row = (size_t)job->to_width * job->channels, bytes = row * job->to_height;
    uint8_t *first = ours(job, LEAT__SIMD_PORTABLE, false, 1 + random_below(20));
    for (leat__simd level = LEAT__SIMD_PORTABLE; level <= leat__simd_best(); level++)
        for (int mirrored = level == LEAT__SIMD_PORTABLE; mirrored < 2; mirrored++) {
            uint8_t *got = ours(job, level, mirrored, 1 + random_below(20));
            if (!mirrored) ck_assert_msg(!memcmp(got, first, bytes), "level %d: %s", (int)level, text);
            for (size_t i = 0; mirrored && i < bytes; i++) {
                const size_t x = i % row / job->channels, from = i / row * row + i % job->channels +
                                                                 (job->to_width - 1 - x) * job->channels;
                ck_assert_msg(got[i] == first[from], "level %d, mirrored: %s", (int)level, text);
            }
            free(got);
        }
    return first;
}

/* How far a pass may take a value, as filter.c and resize.c say; magnitude: of the weights' sum. */
static double pass_error(uint32_t taps, bool is_down, double magnitude)
{
    if (taps > LEAT__FILTER_FEW) return 2.0 * taps * 255 * magnitude / (1 << 24) + 1.0 / 128;
    return 127.5 * 2 * 0.51 * (taps - 1) / LEAT__FILTER_ONE + (is_down ? taps * 0.5 / 128 : 0);
}

static uint32_t taps_of(uint32_t length, double begin, double extent, uint32_t size, bool bicubic)
{
    const leat__line line = {.length = length, .size = size, .begin = begin, .end = begin + extent,
                             .resample = bicubic ? LEAT_RESAMPLE_BICUBIC : LEAT_RESAMPLE_BILINEAR};
    leat__filter filter;
    leat__filter_plan(&filter, &line);
    return filter.taps;
}

/* Every byte is the exact result, clipped and rounded, but for the error that the arithmetic allows. */
static void near_exact(const reference_job *job, const uint8_t *got, const char *text)
{
    const size_t values = (size_t)job->to_width * job->to_height * job->channels;
    const double magnitude = job->bicubic ? 1.3 : 1;
    const uint32_t across = taps_of(job->width, job->x, job->box_width, job->to_width, job->bicubic);
    const uint32_t down = taps_of(job->height, job->y, job->box_height, job->to_height, job->bicubic);
    const double most = 0.5 + pass_error(across, false, magnitude) + magnitude * pass_error(down, true, magnitude);
    double *exact = malloc(values * sizeof(*exact));
    ck_assert_ptr_nonnull(exact);
    reference_exact(job, exact);
    for (size_t i = 0; i < values; i++) {
        const double want = fmin(fmax(exact[i], 0), 255);
        ck_assert_msg(fabs(got[i] - want) <= most, "%d, not %g +- %g: %s", got[i], want, most, text);
    }
    free(exact);
}

/* ---- bilinear ---- */

static void within_one_of_pillow(const reference_job *job)
{
    char text[200];
    say(text, sizeof(text), job);
    const size_t bytes = (size_t)job->to_width * job->to_height * job->channels;
    uint8_t *got = same_at_every_level(job), *want = malloc(bytes);
    ck_assert_ptr_nonnull(want);
    reference_pillow(job, want);
    for (size_t i = 0; i < bytes; i++)
        ck_assert_msg(abs(got[i] - want[i]) <= 1, "%d, not %d: %s", got[i], want[i], text);
    near_exact(job, got, text);
    free(got);
    free(want);
}

/* Cases of a row are of one order of size, so that small ones, where edges are everywhere, are most. */
START_TEST(test_bilinear_is_within_one_of_pillow)
{
    static const struct {
        uint32_t cases, most, most_out;
    } sizes[] = {{2500, 24, 24}, {700, 90, 90}, {120, 400, 130}, {25, 1000, 260}};
    state = 0xb111 + (uint64_t)_i;
    for (uint32_t i = 0; i < sizes[_i].cases; i++) {
        reference_job job = random_job(sizes[_i].most, sizes[_i].most_out);
        uint8_t *pixels = malloc((size_t)job.width * job.height * job.channels);
        ck_assert_ptr_nonnull(pixels);
        fill(pixels, job.width, job.height, job.channels);
        job.in = pixels;
        within_one_of_pillow(&job);
        free(pixels);
    }
}
END_TEST

/* Long lines, one direction at a time: many taps, black and white in the order that adds up every weight's error. */
START_TEST(test_large_reductions_are_within_one_of_pillow)
{
    static const uint32_t lengths[] = {10000, 16384, 3584, 1793, 9, 20000, 4000};
    static const uint32_t sizes[] = {224, 224, 224, 224, 1, 11, 2};
    state = 0x1a46e;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++)
        for (int sideways = 0; sideways < 2; sideways++)
            for (int round = 0; round < 2; round++) {
                reference_job job = {.width = sideways ? 7 : lengths[i], .height = sideways ? lengths[i] : 7,
                                     .channels = 3 + (uint32_t)round % 2};
                job.to_width = sideways ? 5 : sizes[i];
                job.to_height = sideways ? sizes[i] : 5;
                job.box_width = job.width;
                job.box_height = job.height;
                uint8_t *pixels = malloc((size_t)job.width * job.height * job.channels);
                ck_assert_ptr_nonnull(pixels);
                fill(pixels, job.width, job.height, job.channels);
                job.in = pixels;
                within_one_of_pillow(&job);
                free(pixels);
            }
}
END_TEST

/* A constant image stays what it is, and an identity changes nothing. */
START_TEST(test_constants_and_identities)
{
    state = 0xc0;
    for (uint32_t i = 0; i < 256; i++) {
        reference_job job = random_job(60, 60);
        job.bicubic = i % 2;
        const size_t bytes = (size_t)job.width * job.height * job.channels;
        uint8_t *pixels = malloc(bytes);
        ck_assert_ptr_nonnull(pixels);
        memset(pixels, (int)i, bytes);
        job.in = pixels;
        uint8_t *got = same_at_every_level(&job);
        for (size_t k = 0; k < (size_t)job.to_width * job.to_height * job.channels; k++) ck_assert_uint_eq(got[k], i);
        free(got);
        fill(pixels, job.width, job.height, job.channels);
        job.x = job.y = 0;
        job.box_width = job.to_width = job.width;
        job.box_height = job.to_height = job.height;
        got = same_at_every_level(&job);
        ck_assert_mem_eq(got, pixels, bytes);
        free(got);
        free(pixels);
    }
}
END_TEST

/* ---- bicubic ---- */

/* Within 1 of the exact result, clipped at the end: the bound of resize.c holds as it does for bilinear, with weights
 * whose absolute values sum to 1.3. Pillow's own result is further away where it clips between its passes. */
START_TEST(test_bicubic_is_within_one_of_exact)
{
    state = 0xb1c0b1c + (uint64_t)_i;
    const uint32_t most[] = {20, 120, 700}, most_out[] = {30, 90, 120};
    const int cases[] = {1500, 300, 15};
    for (int i = 0; i < cases[_i]; i++) {
        reference_job job = random_job(most[_i], most_out[_i]);
        job.bicubic = true;
        uint8_t *pixels = malloc((size_t)job.width * job.height * job.channels);
        char text[200];
        say(text, sizeof(text), &job);
        ck_assert_ptr_nonnull(pixels);
        fill(pixels, job.width, job.height, job.channels);
        job.in = pixels;
        uint8_t *got = same_at_every_level(&job);
        near_exact(&job, got, text);
        free(got);
        free(pixels);
    }
}
END_TEST

/* Values in the middle are not clipped anywhere: there Pillow's bicubic is ours, but for 1. */
START_TEST(test_bicubic_is_within_one_of_pillow_where_nothing_is_clipped)
{
    state = 0xb1c;
    for (int i = 0; i < 600; i++) {
        reference_job job = random_job(80, 80);
        job.bicubic = true;
        uint8_t *pixels = malloc((size_t)job.width * job.height * job.channels);
        uint8_t *want = malloc((size_t)job.to_width * job.to_height * job.channels);
        ck_assert(pixels && want);
        for (size_t k = 0; k < (size_t)job.width * job.height * job.channels; k++)
            pixels[k] = (uint8_t)(96 + random_below(64));
        job.in = pixels;
        reference_pillow(&job, want);
        uint8_t *got = same_at_every_level(&job);
        for (size_t k = 0; k < (size_t)job.to_width * job.to_height * job.channels; k++)
            ck_assert_int_le(abs(got[k] - want[k]), 1);
        free(got);
        free(want);
        free(pixels);
    }
}
END_TEST

/* ---- the error that resize.c speaks of ---- */

/* Weights of few taps against the filter itself in double: off by what filter.c says, and their sum is exact. */
START_TEST(test_weights)
{
    state = 0x3e164;
    for (int i = 0; i < 3000; i++) {
        leat__line line = {.length = random_side(3000), .size = random_side(500), .mirrored = random_below(2)};
        line.resample = (leat_resample)random_below(2);
        line.end = line.length * (0.01 + 0.99 * random_unit());
        line.begin = line.end * random_unit() * 0.9;
        leat__filter filter;
        leat__filter_plan(&filter, &line);
        ck_assert_uint_le(filter.taps, leat__filter_most_taps(line.resample, line.end - line.begin, line.size));
        ck_assert_uint_le(leat__filter_bytes(&filter),
                          leat__filter_most_bytes(line.resample, line.end - line.begin, line.size));
        void *memory = aligned_alloc(64, (leat__filter_bytes(&filter) + 63) / 64 * 64);
        ck_assert_ptr_nonnull(memory);
        leat__filter_build(&filter, &line, memory);
        for (uint32_t x = 0; x < filter.size; x++) {
            ck_assert_int_ge(filter.starts[x], 0);
            ck_assert_uint_le((uint32_t)filter.starts[x] + filter.taps, filter.end - filter.first);
            const double scale = (double)((float)line.end - (float)line.begin) / line.size, wider = fmax(scale, 1);
            const double centre = (float)line.begin + (line.mirrored ? line.size - 1 - x : x) * scale + scale / 2;
            double sum = 0, magnitude = 0, exact[LEAT__FILTER_FEW], exact_sum = 0;
            for (uint32_t t = 0; t < filter.taps && filter.weights; t++) {
                const double distance = filter.first + (uint32_t)filter.starts[x] + t + 0.5 - centre;
                exact_sum += exact[t] = reference_filter(distance / wider, line.resample == LEAT_RESAMPLE_BICUBIC);
            }
            int rounded = 0;
            for (uint32_t t = 0; t < filter.stride; t++) {
                const double weight = filter.weights ? filter.weights[x * filter.stride + t] / (double)LEAT__FILTER_ONE
                                                     : (double)filter.float_weights[x * filter.stride + t];
                ck_assert(t < filter.taps || weight == 0);
                if (filter.weights && t < filter.taps) /* the middle one has the rest */
                    rounded += fabs(weight - exact[t] / exact_sum) <= 0.515 / LEAT__FILTER_ONE;
                sum += weight;
                magnitude += fabs(weight);
            }
            ck_assert(!filter.weights || rounded >= (int)filter.taps - 1);
            ck_assert_double_le(fabs(sum - 1), filter.weights ? 0 : 1e-5);
            ck_assert_double_le(magnitude, 1.3); /* what resize.c counts on */
        }
        free(memory);
    }
}
END_TEST

/* ---- formats ---- */

static const leat_dtype dtypes[] = {LEAT_UINT8, LEAT_FLOAT32, LEAT_FLOAT16};

/* A random image of every width, as `level` writes it; guard bytes stay. */
static void put_rows(const leat_image *image, leat__simd level, const uint8_t *planes, size_t plane, size_t row_bytes,
                     bool around, uint8_t *out)
{
    leat__pixels pixels;
    leat__pixels_init(&pixels, image, level);
    pixels.around_cache = around;
    memset(out, 0x5A, row_bytes + 64);
    for (uint32_t y = 0; y < image->height; y++)
        leat__pixels_put(&pixels, planes + y * plane * pixels.channels, plane, y, out);
    leat__pixels_done(&pixels);
    for (size_t i = 0; i < 64; i++) ck_assert_uint_eq(out[row_bytes + i], 0x5A);
}

START_TEST(test_every_level_writes_the_same)
{
    state = 0xf0;
    for (int i = 0; i < 700; i++) {
        leat_image image = {.width = i < 300 ? (uint32_t)i + 1 : random_side(900), .height = 2,
                            .dtype = dtypes[random_below(3)], .layout = random_below(2) ? LEAT_CHW : LEAT_HWC,
                            .alpha = random_below(2)};
        if (random_below(4) == 0) image.width = (image.width + 31) / 32 * 32;
        for (int c = 0; c < 3 && image.dtype != LEAT_UINT8; c++) {
            image.mean[c] = (float)random_unit();
            image.std[c] = (float)(0.05 + random_unit());
        }
        ck_assert_int_eq(leat__image_defaults(&image, NULL), LEAT_OK);
        const size_t plane = (image.width + 63) / 64 * 64, row_bytes = leat__image_row_bytes(&image);
        uint8_t *planes = malloc(plane * 4 * image.height);
        const size_t room = (row_bytes + 127) / 64 * 64;
        uint8_t *want = aligned_alloc(64, room), *got = aligned_alloc(64, room);
        ck_assert(planes && want && got);
        for (size_t k = 0; k < plane * 4 * image.height; k++) planes[k] = (uint8_t)random_below(256);
        put_rows(&image, LEAT__SIMD_PORTABLE, planes, plane, row_bytes, false, want);
        for (leat__simd level = LEAT__SIMD_PORTABLE; level <= leat__simd_best(); level++)
            for (int around = 0; around < 2; around++) {
                put_rows(&image, level, planes, plane, row_bytes, around, got);
                ck_assert_msg(!memcmp(got, want, row_bytes), "level %d, %u px, dtype %d", (int)level, image.width,
                              (int)image.dtype);
            }
        free(planes);
        free(want);
        free(got);
    }
}
END_TEST

static Suite *resize_suite(void)
{
    Suite *suite = suite_create("resize");
    TCase *bilinear = tcase_create("bilinear"), *bicubic = tcase_create("bicubic"), *parts = tcase_create("parts");
    tcase_set_timeout(bilinear, 240);
    tcase_add_loop_test(bilinear, test_bilinear_is_within_one_of_pillow, 0, 4);
    tcase_add_test(bilinear, test_large_reductions_are_within_one_of_pillow);
    tcase_add_test(bilinear, test_constants_and_identities);
    tcase_set_timeout(bicubic, 240);
    tcase_add_loop_test(bicubic, test_bicubic_is_within_one_of_exact, 0, 3);
    tcase_add_test(bicubic, test_bicubic_is_within_one_of_pillow_where_nothing_is_clipped);
    tcase_set_timeout(parts, 60);
    tcase_add_test(parts, test_weights);
    tcase_add_test(parts, test_every_level_writes_the_same);
    suite_add_tcase(suite, bilinear);
    suite_add_tcase(suite, bicubic);
    suite_add_tcase(suite, parts);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(resize_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
