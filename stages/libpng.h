/* libpng.h - PNG through libpng, every form of it. Called by png.c. */
#ifndef LEAT__LIBPNG_H
#define LEAT__LIBPNG_H

#include "stages/image.h"
#include "stages/pngchunks.h"

typedef struct leat__libpng leat__libpng;

leat__libpng *leat__libpng_new(void);       /* gives; NULL if memory is short */
void leat__libpng_free(leat__libpng *png);  /* takes; NULL is fine */

/* As the leat__image_ functions of the same names, the data being the outline's. After an error the image is done.
 * thorough: verify decodes the rows that were not asked for, too, so that its verdict is that of the whole file. open
 * sets info->codec_bytes alone; the rest of *info is there. */
leat_code leat__libpng_open(leat__libpng *png, const leat__png_outline *outline, bool alpha, bool thorough,
                            const leat__image_limits *limits, leat__image_info *info, leat_error *error);
void leat__libpng_select(leat__libpng *png, const leat__image_part *part);
leat_code leat__libpng_rows(leat__libpng *png, uint8_t *rows, size_t stride, uint32_t count, leat_error *error);
leat_code leat__libpng_verify(leat__libpng *png, leat_error *error);
void leat__libpng_done(leat__libpng *png);

#endif
