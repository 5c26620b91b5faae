/* pixels.h - finished 8-bit rows into the batch: normalize, number format, layout; and alpha around a resize.
 *
 * Rows are planar, as resize.h makes them: pixel x of channel c at row[c * plane + x].
 * Threads: any; a leat__pixels is constant after its init. */
#ifndef LEAT__PIXELS_H
#define LEAT__PIXELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <leat/config.h>

#include "stages/simd.h"

#define LEAT__PIXELS_PERIOD 48 /* values after which factors repeat: whole pixels of 3 or 4, and whole vectors */

/* What one run of values becomes: value * times[i % 48] + plus[i % 48]. */
typedef struct leat__pixels_scale {
    float times[LEAT__PIXELS_PERIOD], plus[LEAT__PIXELS_PERIOD];
} leat__pixels_scale;

typedef struct leat__pixels_kernels leat__pixels_kernels;

typedef struct leat__pixels {
    const leat__pixels_kernels *kernels;
    uint32_t height, width, channels; /* of the output */
    leat_dtype dtype;
    leat_layout layout;
    bool around_cache;           /* floats go past the caches (non-temporal stores) where rows are whole cache lines */
    leat__pixels_scale scale[4]; /* CHW: of each channel; HWC: scale[0], of all in turn */
} leat__pixels;

/* image: every zero replaced (leat__image_defaults). level: at most leat__simd_best(). */
void leat__pixels_init(leat__pixels *pixels, const leat_image *image, leat__simd level);

/* Writes row y of the output image at `out` (the whole image's start). row: borrows. A value becomes value * times +
 * plus in float32, times = 1 / (255 * std) and plus = -mean / std rounded to float32, then rounded to the dtype:
 * within 2^-22 * (1 + |mean|) / std of torchvision's ToTensor and Normalize, and the same bits on every machine. */
void leat__pixels_put(const leat__pixels *pixels, const uint8_t *row, size_t plane, uint32_t y, void *out);

/* After the last row, before another thread may read: orders stores that went around the caches. */
void leat__pixels_done(const leat__pixels *pixels);

/* Colours of `count` RGBA pixels multiplied by their alpha, as Pillow's RGBA -> RGBa; and of a planar row back. */
void leat__pixels_premultiply(uint8_t *rgba, size_t count);
void leat__pixels_unpremultiply(uint8_t *row, size_t plane, size_t count);

/* The binary16 nearest to value, ties to even; too large becomes infinity, NaN stays NaN. */
uint16_t leat__float16(float value);

#endif
