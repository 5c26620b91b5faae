/* transform.h - from image rows to a row of the batch: crop, resize, flip, normalize, convert, in one streaming pass.
 *
 * Resize: antialiased bilinear as Pillow's Image.resize(size, BILINEAR, box): triangle filter stretched by the scale,
 * horizontal pass first, 8-bit intermediate, fixed-point coefficients (Pillow's Resample.c, PRECISION_BITS); within 1/255.
 * Rows are pulled from the reader strip by strip and only the source rows that the crop needs are kept. */
#ifndef LEAT__TRANSFORM_H
#define LEAT__TRANSFORM_H

#include <leat/config.h>

#include "pipeline/random.h"
#include "stages/image.h"

/* Operations of a sample that draw random numbers (leat__random_key.operation). The user's start at LEAT__DRAW_USER. */
enum { LEAT__DRAW_CROP = 1, LEAT__DRAW_FLIP = 2, LEAT__DRAW_USER = 0x10000 };

/* The part of the upright image that is resized to the output; fractions of a pixel are allowed as in Pillow's box. */
typedef struct leat__view {
    double x, y, width, height; /* px of the (oriented) image */
    bool flip;
} leat__view;

/* Where a sample's pixels come from: draws as `image` says. width, height: of the oriented image, px. key: seed, epoch and
 * sample set; operation is filled in here.
 * LEAT_CROP_RANDOM_RESIZED is torchvision's RandomResizedCrop.get_params: 10 tries of a uniform area and a log-uniform
 * ratio, integer sizes and offsets, then the centre fall-back.
 * LEAT_CROP_CENTER is torchvision's Resize(resize_shorter) then CenterCrop, done as one resize of the matching box.
 * image: every zero replaced (leat__image_defaults). */
void leat__view_choose(const leat_image *image, uint32_t width, uint32_t height, const leat__random_key *key,
                       leat__view *view);

/* Replaces the zeros of *image by the defaults of config.h. LEAT_EINVAL for impossible values, naming field and value. */
leat_code leat__image_defaults(leat_image *image, leat_error *error);

/* Bytes of one output row of the batch (height * width * channels * dtype size). image: every zero replaced. */
size_t leat__image_row_bytes(const leat_image *image);

/* One worker's scratch: filter tables, strips, the intermediate image. */
typedef struct leat__transform leat__transform;
leat__transform *leat__transform_new(const leat_image *image); /* gives; NULL if memory is short; every zero replaced */
void leat__transform_free(leat__transform *transform);         /* takes; NULL is fine */

/* Upper bound of the scratch one image of this size takes, bytes, for the memory plan. */
size_t leat__transform_scratch(const leat_image *image, uint32_t width, uint32_t height);

/* Decodes and transforms one image into out (leat__image_row_bytes, LEAT_ALIGNMENT-aligned not required).
 * key: as leat__view_choose. On an error out is undefined (the caller drops the row). The whole of one sample's image
 * work: open, choose the view, rows, verify, done. */
leat_code leat__transform_image(leat__transform *transform, leat__image_reader *reader, const uint8_t *data, size_t size,
                                const leat__image_limits *limits, const leat__random_key *key, void *out,
                                leat_error *error);

#endif
