/* pixels.h - finished 8-bit rows into the batch: flip, normalize, number format, layout; and alpha around a resize.
 *
 * Threads: any; a leat__pixels is constant after its init. */
#ifndef LEAT__PIXELS_H
#define LEAT__PIXELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <leat/config.h>

typedef struct leat__pixels {
    uint32_t height, width, channels; /* of the output */
    leat_dtype dtype;
    leat_layout layout;
    union { /* what each value of each channel becomes: (value / 255 - mean) / std in float32, rounded to the dtype */
        float float32[4][256];
        uint16_t float16[4][256];
    } table;
} leat__pixels;

/* image: every zero replaced (leat__image_defaults). */
void leat__pixels_init(leat__pixels *pixels, const leat_image *image);

/* Writes row y of the output image at `out` (the whole image's start) from `row`: width * channels bytes, interleaved.
 * flip: mirrored left to right. */
void leat__pixels_put(const leat__pixels *pixels, const uint8_t *row, uint32_t y, bool flip, void *out);

/* Colours of `count` RGBA pixels multiplied by their alpha, as Pillow's RGBA -> RGBa; and back. */
void leat__pixels_premultiply(uint8_t *rgba, size_t count);
void leat__pixels_unpremultiply(uint8_t *rgba, size_t count);

/* The binary16 nearest to value, ties to even; too large becomes infinity, NaN stays NaN. */
uint16_t leat__float16(float value);

#endif
