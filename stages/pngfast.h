/* pngfast.h - PNGs of the common forms: 8 bits, not interlaced, nothing odd. Called by png.c, which gives libpng what
 * is turned down here.
 *
 * Whatever is taken here libpng would take too, with the same pixels. The order is: open, unpack, [select], rows...,
 * verify, done. */
#ifndef LEAT__PNGFAST_H
#define LEAT__PNGFAST_H

#include "stages/image.h"
#include "stages/pngchunks.h"

/* Most that an image may take inflated; a larger one goes through libpng row by row. */
enum { LEAT__PNGFAST_MOST_BYTES = 16 * 1024 * 1024 };

typedef struct leat__pngfast leat__pngfast;

leat__pngfast *leat__pngfast_new(void);        /* gives; NULL if memory is short */
void leat__pngfast_free(leat__pngfast *fast);  /* takes; NULL is fine */

/* Whether images of this form are taken, within these limits, if nothing is odd; *bytes: what one needs. */
bool leat__pngfast_fits(const leat__png_outline *outline, const leat__image_limits *limits, size_t *bytes);

/* Begins an image that fits; *outline's data: borrows, until leat__pngfast_done. False if it is not plain or a CRC is
 * wrong; then no image has begun. */
bool leat__pngfast_open(leat__pngfast *fast, const leat__png_outline *outline, bool alpha,
                        const leat__image_limits *limits);

/* Inflates. False if there is anything wrong with it, or too little memory; then the image is done. */
bool leat__pngfast_unpack(leat__pngfast *fast);

/* As the leat__image_ functions of the same names; rows hold exactly the columns of `part`. */
void leat__pngfast_select(leat__pngfast *fast, const leat__image_part *part);
leat_code leat__pngfast_rows(leat__pngfast *fast, uint8_t *rows, size_t stride, uint32_t count, leat_error *error);
leat_code leat__pngfast_verify(leat__pngfast *fast, leat_error *error);
void leat__pngfast_done(leat__pngfast *fast);

#endif
