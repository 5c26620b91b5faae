/* resize.c - a photograph in memory to a row of the batch, against a plain C version, at every level of vectors.
 *
 * The work: filters, both passes, flip, normalize, convert, from an image that lies in memory as a decoder leaves it, 8
 * rows at a time. The reference is reference_plain (tests/reference_resize.c): separable, float, compiled as the
 * library is. "around": non-temporal stores; "cycling": each image goes to another place of 96 MB, as in batches, and
 * not to the one that the caches still hold. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/timing.h"
#include "stages/pixels.h"
#include "stages/resize.h"
#include "stages/view.h"
#include "tests/reference_resize.h"

#define STRIP 8
#define PLACES_BYTES ((size_t)96 << 20)

static const float mean[3] = {0.485f, 0.456f, 0.406f}, std[3] = {0.229f, 0.224f, 0.225f};

typedef struct job {
    const char *name;
    uint32_t width, height;
    leat_image image;
    leat__simd level;
    bool around, cycling, flip;
    /* made by prepare */
    leat__pixels pixels;
    leat__line across, down;
    uint8_t *in, *places;
    void *memory;
    size_t place, row_bytes;
} job;

static void *need(size_t bytes)
{
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!memory) {
        fprintf(stderr, "no memory for %zu bytes\n", bytes);
        exit(1);
    }
    memset(memory, 0, bytes);
    return memory;
}

/* A photograph's share of smooth and busy places: waves and some noise. */
static uint8_t *make_image(uint32_t width, uint32_t height)
{
    uint8_t *pixels = need((size_t)width * height * 3 + LEAT__RESIZE_SLACK);
    uint32_t state = 1;
    for (size_t i = 0; i < (size_t)width * height * 3; i++) {
        state = state * 1664525 + 1013904223;
        pixels[i] = (uint8_t)(i / 3 * 5 / 7 + i / width / 3 * (i % 3 + 1) + (state >> 27));
    }
    return pixels;
}

static void prepare(job *j)
{
    j->image.width = j->image.height = 224;
    if (j->image.dtype != LEAT_UINT8) {
        memcpy(j->image.mean, mean, sizeof(mean));
        memcpy(j->image.std, std, sizeof(std));
    }
    if (leat__image_defaults(&j->image, NULL)) abort();
    leat__pixels_init(&j->pixels, &j->image, j->level);
    j->pixels.around_cache = j->around;
    j->across = (leat__line){.length = j->width, .end = j->width, .size = 224, .resample = j->image.resample,
                             .mirrored = j->flip};
    j->down = (leat__line){.length = j->height, .end = j->height, .size = 224, .resample = j->image.resample};
    leat__resize resize;
    leat__resize_plan(&resize, &j->across, &j->down, 3, j->level);
    j->in = make_image(j->width, j->height);
    j->memory = need(leat__resize_bytes(&resize) + leat__resize_row_bytes(224, 3));
    j->row_bytes = (leat__image_row_bytes(&j->image) + 63) / 64 * 64;
    j->places = need(j->cycling ? PLACES_BYTES : j->row_bytes);
}

static void done(job *j)
{
    free(j->in);
    free(j->memory);
    free(j->places);
}

static void work(void *user)
{
    job *j = user;
    leat__resize resize;
    leat__resize_plan(&resize, &j->across, &j->down, 3, j->level);
    const leat__ring ring = {.rows = j->in, .stride = (size_t)j->width * 3, .count = j->height};
    uint8_t *row = (uint8_t *)j->memory + leat__resize_bytes(&resize), *out = j->places + j->place;
    leat__resize_begin(&resize, &j->across, &j->down, &ring, j->memory);
    for (uint32_t y = 0, at; y < j->height; y += STRIP) {
        leat__resize_take(&resize, y + STRIP);
        while (leat__resize_next(&resize, row, &at)) leat__pixels_put(&j->pixels, row, resize.out_plane, at, out);
    }
    leat__pixels_done(&j->pixels);
    j->place += j->row_bytes;
    if (!j->cycling || j->place + j->row_bytes > PLACES_BYTES) j->place = 0;
}

static reference_job reference_of(const job *j)
{
    return (reference_job){.in = j->in, .width = j->width, .height = j->height, .channels = 3, .box_width = j->width,
                           .box_height = j->height, .to_width = 224, .to_height = 224,
                           .bicubic = j->image.resample == LEAT_RESAMPLE_BICUBIC};
}

static void plain(void *user)
{
    job *j = user;
    const reference_job reference = reference_of(j);
    reference_plain(&reference, j->flip, mean, std, (float *)(void *)j->places);
}

/* Largest difference to Pillow's bytes of every level's, and how many bytes differ at all. */
static void print_difference(bool json)
{
    int most = 0;
    double differing = 0, total = 0;
    uint8_t *want = need(224 * 224 * 3);
    const uint32_t sides[][2] = {{300, 350}, {500, 375}, {1500, 1125}, {224, 224}, {97, 113}, {10000, 700}};
    for (size_t i = 0; i < sizeof(sides) / sizeof(*sides); i++)
        for (leat__simd level = LEAT__SIMD_PORTABLE; level <= leat__simd_best(); level++) {
            job j = {.width = sides[i][0], .height = sides[i][1], .image = {.layout = LEAT_HWC}, .level = level};
            prepare(&j);
            work(&j);
            const reference_job reference = reference_of(&j);
            reference_pillow(&reference, want);
            for (size_t k = 0; k < 224 * 224 * 3; k++, total++) {
                const int off = abs(j.places[k] - want[k]);
                most = off > most ? off : most;
                differing += off != 0;
            }
            done(&j);
        }
    free(want);
    bench_print_value(json, "resize-max-difference", most, "of 255");
    bench_print_value(json, "resize-differing-bytes", differing / total * 100, "%");
}

#define FLOAT32 .image = {.dtype = LEAT_FLOAT32}

int main(int argc, char **argv)
{
    bool json;
    if (!bench_arguments(argc, argv, &json)) return 2;
    mallopt(M_MMAP_THRESHOLD, 1 << 30); /* the plain version keeps its buffers mapped */
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    const leat__simd best = leat__simd_best();
    job jobs[] = {
        {.name = "resize-300x350-f32", .width = 300, .height = 350, FLOAT32, .level = best, .around = true},
        {.name = "resize-300x350-f32-flip", .width = 300, .height = 350, FLOAT32, .level = best, .around = true,
         .flip = true},
        {.name = "resize-300x350-f32-cached", .width = 300, .height = 350, FLOAT32, .level = best},
        {.name = "resize-300x350-f32-cycling", .width = 300, .height = 350, FLOAT32, .level = best, .around = true,
         .cycling = true},
        {.name = "resize-300x350-f32-cached-cycling", .width = 300, .height = 350, FLOAT32, .level = best,
         .cycling = true},
        {.name = "resize-300x350-f32-portable", .width = 300, .height = 350, FLOAT32},
        {.name = "resize-300x350-f32-avx2", .width = 300, .height = 350, FLOAT32, .level = LEAT__SIMD_AVX2,
         .around = true},
        {.name = "resize-300x350-f32-avx512", .width = 300, .height = 350, FLOAT32, .level = LEAT__SIMD_AVX512,
         .around = true},
        {.name = "resize-300x350-f16", .width = 300, .height = 350, .image = {.dtype = LEAT_FLOAT16}, .level = best,
         .around = true},
        {.name = "resize-300x350-u8-hwc", .width = 300, .height = 350, .level = best},
        {.name = "resize-300x350-bicubic-f32", .width = 300, .height = 350, .level = best, .around = true,
         .image = {.dtype = LEAT_FLOAT32, .resample = LEAT_RESAMPLE_BICUBIC}},
        {.name = "resize-500x375-f32", .width = 500, .height = 375, FLOAT32, .level = best, .around = true},
        {.name = "resize-1500x1125-f32", .width = 1500, .height = 1125, FLOAT32, .level = best, .around = true},
    };
    for (size_t i = 0; i < sizeof(jobs) / sizeof(*jobs); i++) {
        job *j = &jobs[i];
        if (j->level > best) continue;
        prepare(j);
        const bool comparable = j->image.dtype == LEAT_FLOAT32;
        const bench_result result = bench_compare(work, comparable ? plain : NULL, j, 0.03);
        bench_print(json, j->name, &result, 1, "images");
        if (!json) printf("%-44s %12.1f us\n", "", result.ns / 1e3);
        done(j);
    }
    print_difference(json);
    return 0;
}
