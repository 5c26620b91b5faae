/* png.h - PNG: every colour type, depth and interlace, as RGB or RGBA rows. Called by image.c, which keeps order.
 *
 * 16 bits become 8 by their high byte (png_set_strip_16), as in Pillow's "RGB;16B"; fewer than 8 are stretched to
 * 0..255. Alpha is dropped, not blended, or kept; a transparent colour (tRNS) is alpha. Gamma and colour profiles are
 * ignored. */
#ifndef LEAT__PNG_H
#define LEAT__PNG_H

#include "stages/image.h"

/* Scratch of an image that is kept for the next one; a larger one is freed with its image. */
enum { LEAT__PNG_KEEP_BYTES = 8 * 1024 * 1024 };

/* Memory for an image that is not worth counting. */
enum { LEAT__PNG_SMALL_BYTES = 1024 * 1024 };

typedef struct leat__png leat__png;

leat__png *leat__png_new(void);       /* gives; NULL if memory is short */
void leat__png_free(leat__png *png);  /* takes; NULL is fine */

/* As the leat__image_ functions of the same names (`reduce` would be 1); rows hold exactly the columns that were
 * selected. After an error the image is done. */
leat_code leat__png_open(leat__png *png, const uint8_t *data, size_t size, bool alpha, const leat__image_limits *limits,
                         leat__image_info *info, leat_error *error);
leat_code leat__png_select(leat__png *png, leat__image_part *part, leat_error *error);
leat_code leat__png_rows(leat__png *png, uint8_t *rows, size_t stride, uint32_t count, leat_error *error);
leat_code leat__png_verify(leat__png *png, leat_error *error);
void leat__png_done(leat__png *png);

#endif
