/* view.h - the settings of an image field, checked and completed; and the part of each image that is taken.
 *
 * Threads: any; pure functions. */
#ifndef LEAT__VIEW_H
#define LEAT__VIEW_H

#include <leat/config.h>

#include "pipeline/random.h"
#include "stages/draws.h"

/* The part of the upright image that is resized to the output; fractions of a pixel are allowed as in Pillow's box. */
typedef struct leat__view {
    double x, y, width, height; /* px of the (oriented) image */
    bool flip;
} leat__view;

/* Where a sample's pixels come from: draws as `image` says. width, height: of the oriented image, px, > 0. key: seed,
 * epoch and sample set; operation is filled in here.
 * LEAT_CROP_RANDOM_RESIZED is torchvision's RandomResizedCrop.get_params: 10 tries of a uniform area and a log-uniform
 * ratio, integer sizes and offsets, then the centre fall-back. exp and log are the C library's: another one may round a
 * ratio's last bit otherwise, which changes a size by a pixel in about one of 10^13 crops.
 * LEAT_CROP_CENTER is torchvision's Resize(resize_shorter) then CenterCrop, done as one resize of the matching box;
 * where the crop is longer than the resized image, that side is taken whole and stretched (torchvision would add black
 * bars). image: every zero replaced (leat__image_defaults). */
void leat__view_choose(const leat_image *image, uint32_t width, uint32_t height, const leat__random_key *key,
                       leat__view *view);

/* Replaces the zeros of *image by the defaults of config.h. LEAT_EINVAL for impossible values, naming field and value.
 * */
leat_code leat__image_defaults(leat_image *image, leat_error *error);

/* Bytes of one output row of the batch (height * width * channels * dtype size). image: every zero replaced. */
size_t leat__image_row_bytes(const leat_image *image);

#endif
