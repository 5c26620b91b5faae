/* transform.h - from image rows to a row of the batch: crop, resize, flip, normalize, convert, in one streaming pass.
 *
 * Resize: antialiased as Pillow's Image.resize(size, BILINEAR or BICUBIC, box) (resize.h says how close). Rows are
 * pulled from the reader strip by strip and only the source rows that the next output rows need are kept. With
 * LEAT_DECODE_CROP only what the crop needs is decoded, of a JPEG at 1/2, 1/4 or 1/8 of its size if the crop at that
 * size is still no smaller than the output; the box is then divided alike. With LEAT_DECODE_WHOLE all rows are read.
 * Alpha (4 channels): colours are multiplied by alpha for the resize and divided after it, as Pillow does for mode
 * RGBA, so that transparent pixels' colours do not bleed; a crop that needs no resize is copied as it is. Alpha of
 * 3-channel output is dropped by the reader, not blended. */
#ifndef LEAT__TRANSFORM_H
#define LEAT__TRANSFORM_H

#include <leat/config.h>

#include "pipeline/random.h"
#include "stages/image.h"
#include "stages/view.h"

/* One worker's scratch: filter tables, source rows, the row between the passes. Kept from image to image up to
 * LEAT__TRANSFORM_KEEP bytes; more is given back after the image. */
#define LEAT__TRANSFORM_KEEP ((size_t)8 << 20)
typedef struct leat__transform leat__transform;
leat__transform *leat__transform_new(const leat_image *image); /* gives; NULL if memory is short; every zero replaced */
void leat__transform_free(leat__transform *transform);         /* takes; NULL is fine */

/* Upper bound of the scratch one image of this size takes, bytes, for the memory plan; SIZE_MAX if it overflows. An
 * image that is to be turned upright (image->orient) is held whole. */
size_t leat__transform_scratch(const leat_image *image, uint32_t width, uint32_t height);

/* Decodes and transforms one image into out (leat__image_row_bytes; aligned for the dtype, LEAT_ALIGNMENT not
 * required). key: as leat__view_choose. On an error out is undefined (the caller drops the row). The whole of one
 * sample's image work: open, choose the view, rows, verify, done. Errors beyond the reader's: LEAT_ELIMIT where scratch
 * above LEAT__TRANSFORM_KEEP and the codec together would pass limits->max_codec_bytes, LEAT_ENOMEM. */
leat_code leat__transform_image(leat__transform *transform, leat__image_reader *reader, const uint8_t *data,
                                size_t size, const leat__image_limits *limits, const leat__random_key *key, void *out,
                                leat_error *error);

#endif
