/* test_view.c - image settings and the choice of views, against torchvision's arithmetic. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stages/view.h"

enum { DRAWS = 40000 };

static leat_image cropping(leat_crop crop)
{
    leat_image image = {.crop = crop};
    ck_assert_int_eq(leat__image_defaults(&image, NULL), LEAT_OK);
    return image;
}

/* Mean and standard deviation of x, y, width, height, share of the area and fall-backs over 200,000 draws of
 * the algorithm of torchvision.transforms.RandomResizedCrop.get_params, written in Python (random.Random(5)). */
static const struct expectation {
    uint32_t width, height;
    float scale[2], ratio[2];
    double figures[6][2];
} expectations[] = {
    {500, 375, {0.08f, 1}, {0.75f, 1.33333333f},
     {{109.368, 80.6426}, {52.3175, 50.5726}, {281.618, 86.0284}, {270.072, 70.1224}, {0.432613, 0.215928}, {0, 0}}},
    {375, 500, {0.08f, 1}, {0.75f, 1.33333333f},
     {{52.5841, 50.9416}, {109.045, 80.6689}, {270.042, 70.3469}, {281.708, 86.4287}, {0.432956, 0.216887}, {0, 0}}},
    {1000, 200, {0.08f, 1}, {0.75f, 1.33333333f},
     {{401.87, 210.329}, {13.2399, 16.2328}, {196.346, 49.1369}, {173.563, 24.4872}, {0.174945, 0.0634726},
      {0.23616, 0.424722}}},
    {64, 64, {0.5f, 1}, {0.5f, 2},
     {{5.82954, 5.91335}, {5.81693, 5.91905}, {52.3569, 8.07427}, {52.3534, 8.0834}, {0.662604, 0.119774},
      {0.00219, 0.0467462}}},
    {300, 100, {0.9f, 1}, {1, 1.5f}, {{75, 0}, {0, 0}, {150, 0}, {100, 0}, {0.5, 0}, {1, 0}}},
};

/* The fall-back's view, if the image has one of its own (its ratio is outside of the range or it is taken whole). */
static bool is_fall_back(const leat_image *image, const struct expectation *e, const leat__view *view)
{
    const double ratio = (double)e->width / e->height;
    double w = e->width, h = e->height;
    if (ratio < image->ratio[0]) h = rint(w / image->ratio[0]);
    if (ratio > image->ratio[1]) w = rint(h * image->ratio[1]);
    const double x = floor((e->width - w) / 2), y = floor((e->height - h) / 2);
    return view->width == w && view->height == h && view->x == x && view->y == y;
}

START_TEST(test_random_resized_has_torchvisions_distribution)
{
    const struct expectation *e = &expectations[_i];
    leat_image image = {.crop = LEAT_CROP_RANDOM_RESIZED};
    memcpy(image.scale, e->scale, sizeof(image.scale));
    memcpy(image.ratio, e->ratio, sizeof(image.ratio));
    ck_assert_int_eq(leat__image_defaults(&image, NULL), LEAT_OK);
    double sums[6] = {0}, squares[6] = {0};
    int outside = 0;
    for (uint64_t sample = 0; sample < DRAWS; sample++) {
        const leat__random_key key = {.seed = 99, .epoch = 1, .sample = sample};
        leat__view v;
        leat__view_choose(&image, e->width, e->height, &key, &v);
        outside += v.x < 0 || v.width < 1 || v.x + v.width > e->width;
        outside += v.y < 0 || v.height < 1 || v.y + v.height > e->height;
        outside += v.x != floor(v.x) || v.y != floor(v.y) || v.width != floor(v.width) || v.height != floor(v.height);
        const double figures[6] = {v.x, v.y, v.width, v.height, v.width * v.height / ((double)e->width * e->height),
                                   is_fall_back(&image, e, &v)};
        for (int i = 0; i < 6; i++) {
            sums[i] += figures[i];
            squares[i] += figures[i] * figures[i];
        }
    }
    ck_assert_int_eq(outside, 0);
    for (int i = 0; i < 6; i++) {
        const double mean = sums[i] / DRAWS, deviation = sqrt(fmax(0, squares[i] / DRAWS - mean * mean));
        const double want = e->figures[i][0], sigma = e->figures[i][1];
        /* 5 standard errors of both runs' means; a tried view that looks like the fall-back: 1 in 1,000 */
        const double tolerance = 5 * sigma * sqrt(1.0 / DRAWS + 1.0 / 200000) + (i == 5 ? 1e-3 : 1e-9);
        ck_assert_msg(fabs(mean - want) <= tolerance, "figure %d: mean %g, expected %g", i, mean, want);
        if (i < 5) ck_assert_msg(fabs(deviation - sigma) <= 0.03 * sigma + 1e-6, "figure %d: deviation %g, expected %g",
                                 i, deviation, sigma);
    }
}
END_TEST

/* The same key gives the same view, here and in every version; each part of it changes the view. */
START_TEST(test_views_are_repeatable)
{
    leat_image image = cropping(LEAT_CROP_RANDOM_RESIZED);
    image.flip = true;
    leat__random_key key = {.seed = 1, .epoch = 2, .sample = 3};
    leat__view view, again;
    leat__view_choose(&image, 500, 375, &key, &view);
    key.operation = 123; /* is filled in */
    leat__view_choose(&image, 500, 375, &key, &again);
    ck_assert(view.x == again.x && view.y == again.y && view.width == again.width && view.height == again.height);
    ck_assert_msg(view.x == 92 && view.y == 1 && view.width == 382 && view.height == 354 && view.flip == false,
                  "%g %g %g %g %d", view.x, view.y, view.width, view.height, view.flip);
    leat__random_key others[3] = {key, key, key};
    others[0].seed++;
    others[1].epoch++;
    others[2].sample++;
    for (int i = 0; i < 3; i++) {
        leat__view_choose(&image, 500, 375, &others[i], &again);
        ck_assert(view.x != again.x || view.y != again.y || view.width != again.width || view.height != again.height);
    }
}
END_TEST

START_TEST(test_half_of_the_images_are_flipped)
{
    leat_image image = cropping(LEAT_CROP_NONE), unflipped = image;
    image.flip = true;
    int flipped = 0, changed = 0;
    for (uint64_t sample = 0; sample < DRAWS; sample++) {
        leat__random_key key = {.seed = 4, .sample = sample};
        leat__view first, second, never;
        leat__view_choose(&image, 10, 10, &key, &first);
        leat__view_choose(&unflipped, 10, 10, &key, &never);
        key.epoch = 1;
        leat__view_choose(&image, 10, 10, &key, &second);
        flipped += first.flip;
        changed += first.flip != second.flip;
        if (never.flip) ck_abort_msg("flipped without being asked");
    }
    ck_assert_int_lt(abs(flipped - DRAWS / 2), 5 * 100); /* sigma = sqrt(DRAWS) / 2 = 100 */
    ck_assert_int_lt(abs(changed - DRAWS / 2), 5 * 100);
}
END_TEST

/* torchvision's Resize(shorter), then CenterCrop: size after the resize, crop's place in it; -1: the whole side. */
static const struct centred {
    uint32_t width, height, shorter, crop_width, crop_height;
    int resized_width, resized_height, left, top;
} centred[] = {
    {500, 375, 256, 224, 224, 341, 256, 58, 16},
    {375, 500, 256, 224, 224, 256, 341, 16, 58},
    {333, 500, 256, 224, 224, 256, 384, 16, 80},
    {100, 100, 256, 224, 224, 256, 256, 16, 16},
    {1000, 10, 256, 224, 224, 25600, 256, 12688, 16},
    {257, 301, 64, 33, 50, 64, 74, 16, 12},
    {640, 480, 200, 224, 224, 266, 200, 21, -1},
};

START_TEST(test_centre_crop_is_torchvisions)
{
    const struct centred *c = &centred[_i];
    leat_image image = {.crop = LEAT_CROP_CENTER, .width = c->crop_width, .height = c->crop_height,
                        .resize_shorter = c->shorter};
    ck_assert_int_eq(leat__image_defaults(&image, NULL), LEAT_OK);
    leat__view view;
    leat__view_choose(&image, c->width, c->height, &(leat__random_key){0}, &view);
    const double x_scale = (double)c->width / c->resized_width, y_scale = (double)c->height / c->resized_height;
    ck_assert_double_eq_tol(view.x, c->left < 0 ? 0 : c->left * x_scale, 1e-9);
    ck_assert_double_eq_tol(view.y, c->top < 0 ? 0 : c->top * y_scale, 1e-9);
    ck_assert_double_eq_tol(view.width, c->left < 0 ? c->width : c->crop_width * x_scale, 1e-9);
    ck_assert_double_eq_tol(view.height, c->top < 0 ? c->height : c->crop_height * y_scale, 1e-9);
    ck_assert(!view.flip);
}
END_TEST

/* Any size of image, down to a pixel and up to a million in a line, has a view inside of itself. */
START_TEST(test_views_of_odd_sizes_stay_inside)
{
    static const uint32_t sizes[] = {1, 2, 3, 7, 100, 65535, 1000000, 1 << 24};
    const leat_image images[3] = {cropping(LEAT_CROP_NONE), cropping(LEAT_CROP_CENTER),
                                  cropping(LEAT_CROP_RANDOM_RESIZED)};
    for (int crop = 0; crop < 3; crop++)
        for (int w = 0; w < 8; w++)
            for (int h = 0; h < 8; h++)
                for (uint64_t sample = 0; sample < 5; sample++) {
                    leat__view v;
                    const leat__random_key key = {.sample = sample};
                    leat__view_choose(&images[crop], sizes[w], sizes[h], &key, &v);
                    ck_assert(v.x >= 0 && v.width > 0 && v.x + v.width <= sizes[w]);
                    ck_assert(v.y >= 0 && v.height > 0 && v.y + v.height <= sizes[h]);
                }
}
END_TEST

START_TEST(test_defaults)
{
    leat_image image = {0}, again;
    ck_assert_int_eq(leat__image_defaults(&image, NULL), LEAT_OK);
    ck_assert_uint_eq(image.height, 224);
    ck_assert_uint_eq(image.width, 224);
    ck_assert_uint_eq(image.resize_shorter, 256);
    ck_assert(image.scale[0] == 0.08f && image.scale[1] == 1);
    ck_assert(image.ratio[0] == 0.75f && image.ratio[1] == 4.0f / 3);
    ck_assert(image.std[0] == 1 && image.std[2] == 1 && image.mean[1] == 0);
    ck_assert_int_eq(image.layout, LEAT_HWC);
    again = image;
    ck_assert_int_eq(leat__image_defaults(&again, NULL), LEAT_OK);
    ck_assert_mem_eq(&again, &image, sizeof(image));
    image = (leat_image){.height = 64, .dtype = LEAT_FLOAT16};
    ck_assert_int_eq(leat__image_defaults(&image, NULL), LEAT_OK);
    ck_assert_uint_eq(image.width, 64);
    ck_assert_int_eq(image.layout, LEAT_CHW);
}
END_TEST

static const struct refused {
    leat_image image;
    const char *named;
} refused[] = {
    {{.height = 70000}, "70000"},
    {{.width = 70000}, "70000"},
    {{.crop = (leat_crop)9}, "crop is 9"},
    {{.resize_shorter = 1000000}, "resize_shorter is 1000000"},
    {{.scale = {0, 0.5f}}, "scale is {0, 0.5}"},
    {{.scale = {0.5f, 1.5f}}, "scale is {0.5, 1.5}"},
    {{.scale = {0.5f, 0.25f}}, "scale is {0.5, 0.25}"},
    {{.scale = {NAN, 1}}, "scale is {nan, 1}"},
    {{.ratio = {-1, 1}}, "ratio is {-1, 1}"},
    {{.ratio = {1, INFINITY}}, "ratio is {1, inf}"},
    {{.dtype = LEAT_FLOAT64}, "dtype is 10"},
    {{.layout = (leat_layout)7}, "layout is 7"},
    {{.dtype = LEAT_FLOAT32, .mean = {0, NAN, 0}}, "mean[1] is nan"},
    {{.dtype = LEAT_FLOAT32, .std = {0, 0, -1}}, "std[2] is -1"},
    {{.mean = {0.5f}}, "not uint8"},
};

START_TEST(test_impossible_settings_are_named)
{
    leat_image image = refused[_i].image;
    leat_error error = {0};
    ck_assert_int_eq(leat__image_defaults(&image, &error), LEAT_EINVAL);
    ck_assert_int_eq(error.code, LEAT_EINVAL);
    ck_assert_msg(strstr(error.message, refused[_i].named) != NULL, "\"%s\" lacks \"%s\"", error.message,
                  refused[_i].named);
}
END_TEST

static Suite *view_suite(void)
{
    Suite *suite = suite_create("view");
    TCase *views = tcase_create("views"), *checks = tcase_create("settings");
    tcase_set_timeout(views, 60);
    tcase_add_loop_test(views, test_random_resized_has_torchvisions_distribution, 0,
                        (int)(sizeof(expectations) / sizeof(expectations[0])));
    tcase_add_test(views, test_views_are_repeatable);
    tcase_add_test(views, test_half_of_the_images_are_flipped);
    tcase_add_loop_test(views, test_centre_crop_is_torchvisions, 0, (int)(sizeof(centred) / sizeof(centred[0])));
    tcase_add_test(views, test_views_of_odd_sizes_stay_inside);
    tcase_add_test(checks, test_defaults);
    tcase_add_loop_test(checks, test_impossible_settings_are_named, 0, (int)(sizeof(refused) / sizeof(refused[0])));
    suite_add_tcase(suite, views);
    suite_add_tcase(suite, checks);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(view_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
