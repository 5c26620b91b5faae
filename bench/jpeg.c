/* jpeg.c - what it saves to decode of a JPEG only what a random crop needs, and what that costs in likeness.
 *
 * What:    the same photographs, the same crops (RandomResizedCrop to 224 x 224), one thread: LEAT_DECODE_CROP against
 *          LEAT_DECODE_WHOLE; with the resize to bytes ("crop") and by decoding alone ("decode").
 * Likeness: mean PSNR of the 224 x 224 x 3 bytes against those of LEAT_DECODE_WHOLE, over the crops that are decoded at
 *          a reduced scale. The others have the same pixels in both.
 * Data:    $LEAT_BENCH_DATA or /var/tmp/leat-bench3, made by bench/data: jpeg/folder, large/folder. */
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <leat/config.h>

#include "bench/timing.h"
#include "stages/image.h"
#include "stages/transform.h"
#include "stages/view.h"

enum {
    MOST_FILES = 64,
    SIDE = 224,
    BYTES = SIDE * SIDE * 3,
    STRIP = 16,
};

typedef struct photo {
    unsigned char *data;
    size_t size;
} photo;

/* Photographs, and all that decodes them. */
typedef struct album {
    const char *name;
    photo photos[MOST_FILES];
    unsigned count;
    leat__image_reader *reader;
    leat__transform *crop, *whole;
    unsigned char *rows;  /* a strip, or a whole part; as many as were needed so far */
    size_t capacity;
    unsigned char out[BYTES];
} album;

static const leat__image_limits limits = {.max_pixels = UINT64_C(1) << 30, .max_codec_bytes = UINT64_C(1) << 30};

static void fail(const char *what, const leat_error *error)
{
    fprintf(stderr, "bench-jpeg: %s: %s\n", what, error->message);
    exit(1);
}

static void *need(void *memory)
{
    if (memory) return memory;
    fprintf(stderr, "bench-jpeg: no memory\n");
    exit(1);
}

static leat_image settings(leat_decode decode)
{
    leat_image image = {.height = SIDE, .width = SIDE, .crop = LEAT_CROP_RANDOM_RESIZED, .decode = decode};
    leat_error error;
    if (leat__image_defaults(&image, &error)) fail("settings", &error);
    return image;
}

static leat__random_key key_of(unsigned i)
{
    return (leat__random_key){.seed = 1, .sample = i};
}

/* At most MOST_FILES, spread evenly over the set. False if there are none. */
static bool load(album *set, const char *folder)
{
    const char *data = getenv("LEAT_BENCH_DATA");
    char pattern[4096];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/%s/folder/*/*.jpg", data ? data : "/var/tmp/leat-bench3", folder);
    if (glob(pattern, 0, NULL, &found) != 0) {
        fprintf(stderr, "bench-jpeg: no %s: make the data with bench/data\n", pattern);
        return false;
    }
    set->count = found.gl_pathc < MOST_FILES ? (unsigned)found.gl_pathc : MOST_FILES;
    for (unsigned i = 0; i < set->count; i++)
        set->photos[i].data = bench_read_file(found.gl_pathv[i * found.gl_pathc / set->count], &set->photos[i].size);
    globfree(&found);
    const leat_image crop = settings(LEAT_DECODE_CROP), whole = settings(LEAT_DECODE_WHOLE);
    set->reader = need(leat__image_reader_new());
    set->crop = need(leat__transform_new(&crop));
    set->whole = need(leat__transform_new(&whole));
    return true;
}

static void unload(album *set)
{
    for (unsigned i = 0; i < set->count; i++) free(set->photos[i].data);
    leat__transform_free(set->crop);
    leat__transform_free(set->whole);
    leat__image_reader_free(set->reader);
    free(set->rows);
}

/* ---- decode and resize ---- */

static void transform(album *set, leat__transform *with, unsigned i)
{
    const leat__random_key key = key_of(i);
    leat_error error;
    if (leat__transform_image(with, set->reader, set->photos[i].data, set->photos[i].size, &limits, &key, set->out,
                              &error))
        fail(set->name, &error);
}

static void transform_crop(void *user)
{
    album *set = user;
    for (unsigned i = 0; i < set->count; i++) transform(set, set->crop, i);
}

static void transform_whole(void *user)
{
    album *set = user;
    for (unsigned i = 0; i < set->count; i++) transform(set, set->whole, i);
}

/* ---- decode alone ---- */

/* The scale that LEAT_DECODE_CROP takes, and the crop at it. */
static unsigned choose(const leat__image_info *info, unsigned i, leat__image_part *part)
{
    const leat_image image = settings(LEAT_DECODE_CROP);
    const leat__random_key key = key_of(i);
    leat__view view;
    unsigned reduce = 1;
    leat__view_choose(&image, info->width, info->height, &key, &view);
    while (reduce < info->most_reduce && view.width >= 2.0 * reduce * SIDE && view.height >= 2.0 * reduce * SIDE)
        reduce *= 2;
    part->x = (uint32_t)(view.x / reduce);
    part->y = (uint32_t)(view.y / reduce);
    part->width = (uint32_t)ceil((view.x + view.width) / reduce) - part->x;
    part->height = (uint32_t)ceil((view.y + view.height) / reduce) - part->y;
    return reduce;
}

static void decode(album *set, unsigned i, bool crop)
{
    leat__image_info info;
    leat_error error;
    if (leat__image_open(set->reader, set->photos[i].data, set->photos[i].size, false, &limits, &info, &error))
        fail(set->name, &error);
    leat__image_part part = {.width = info.width, .height = info.height};
    if (crop) {
        const unsigned reduce = choose(&info, i, &part);
        if (leat__image_select(set->reader, reduce, &part, &error)) fail(set->name, &error);
    }
    const size_t stride = (size_t)part.width * info.channels;
    if (stride * STRIP > set->capacity) set->rows = need(realloc(set->rows, set->capacity = stride * STRIP));
    for (uint32_t y = 0; y < part.height; y += STRIP) {
        const uint32_t count = part.height - y < STRIP ? part.height - y : STRIP;
        if (leat__image_rows(set->reader, set->rows, stride, count, &error)) fail(set->name, &error);
    }
    if (leat__image_verify(set->reader, &error)) fail(set->name, &error);
    leat__image_done(set->reader);
}

static void decode_crop(void *user)
{
    album *set = user;
    for (unsigned i = 0; i < set->count; i++) decode(set, i, true);
}

static void decode_whole(void *user)
{
    album *set = user;
    for (unsigned i = 0; i < set->count; i++) decode(set, i, false);
}

/* ---- likeness ---- */

/* PSNR of the i-th photograph's crop, dB; 0 if it was not decoded at a reduced scale. */
static double likeness(album *set, unsigned i)
{
    static const double most = 99; /* of equal pictures */
    unsigned char whole[BYTES];
    leat__image_info info;
    leat__image_part part;
    leat_error error;
    double squares = 0;
    if (leat__image_open(set->reader, set->photos[i].data, set->photos[i].size, false, &limits, &info, &error))
        fail(set->name, &error);
    const unsigned reduce = choose(&info, i, &part);
    leat__image_done(set->reader);
    if (reduce == 1) return 0;
    transform(set, set->whole, i);
    memcpy(whole, set->out, BYTES);
    transform(set, set->crop, i);
    for (size_t at = 0; at < BYTES; at++) squares += pow((double)set->out[at] - whole[at], 2);
    return squares > 0 ? fmin(10 * log10(255.0 * 255 * BYTES / squares), most) : most;
}

static void compare_pictures(album *sets, unsigned count, bool json)
{
    double sum = 0, least = INFINITY;
    unsigned reduced = 0;
    for (unsigned s = 0; s < count; s++) {
        for (unsigned i = 0; i < sets[s].count; i++) {
            const double psnr = likeness(&sets[s], i);
            if (psnr == 0) continue;
            reduced++;
            sum += psnr;
            least = fmin(least, psnr);
        }
    }
    if (reduced == 0) return;
    bench_print_value(json, "jpeg-crop-psnr", sum / reduced, "dB");
    bench_print_value(json, "jpeg-crop-psnr-least", least, "dB");
    bench_print_value(json, "jpeg-crop-reduced", reduced, "images");
}

static void measure(album *set, bool json)
{
    char name[64];
    bench_result result = bench_compare(transform_crop, transform_whole, set, 0.1);
    snprintf(name, sizeof name, "jpeg-crop-%s", set->name);
    bench_print(json, name, &result, set->count, "images");
    result = bench_compare(decode_crop, decode_whole, set, 0.1);
    snprintf(name, sizeof name, "jpeg-decode-%s", set->name);
    bench_print(json, name, &result, set->count, "images");
}

int main(int argc, char **argv)
{
    static album sets[] = {{.name = "500"}, {.name = "large"}};
    bool json;
    if (!bench_arguments(argc, argv, &json)) {
        fprintf(stderr, "usage: bench-jpeg [--json]\n");
        return 2;
    }
    if (!load(&sets[0], "jpeg") || !load(&sets[1], "large")) return 1;
    for (int i = 0; i < 2; i++) measure(&sets[i], json);
    compare_pictures(sets, 2, json);
    for (int i = 0; i < 2; i++) unload(&sets[i]);
    return 0;
}
