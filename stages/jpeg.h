/* jpeg.h - JPEG through libjpeg-turbo: every form it reads, as RGB or RGBA rows. Called by image.c, which keeps order.
 *
 * Pixels are those of libjpeg's defaults (accurate integer DCT, fancy upsampling), which are Pillow's too. Grey becomes
 * RGB. CMYK and YCCK are taken as inverted, as Adobe writes them, whether or not an Adobe marker says so, as Pillow and
 * OpenCV do; RGB = C * K / 255 and so on, rounded: Pillow's convert("RGB"). */
#ifndef LEAT__JPEG_H
#define LEAT__JPEG_H

#include "stages/image.h"

/* Scans an image may have. Encoders make about 10; a file of 38 KB with 1000 can take a minute (libjpeg-turbo #284). */
enum { LEAT__JPEG_MAX_SCANS = 100 };

typedef struct leat__jpeg leat__jpeg;

leat__jpeg *leat__jpeg_new(void);        /* gives; NULL if memory is short */
void leat__jpeg_free(leat__jpeg *jpeg);  /* takes; NULL is fine */

/* As the leat__image_ functions of the same names. After an error the image is done. */
leat_code leat__jpeg_open(leat__jpeg *jpeg, const uint8_t *data, size_t size, bool alpha,
                          const leat__image_limits *limits, leat__image_info *info, leat_error *error);
leat_code leat__jpeg_select(leat__jpeg *jpeg, unsigned reduce, leat__image_part *part, leat_error *error);
leat_code leat__jpeg_rows(leat__jpeg *jpeg, uint8_t *rows, size_t stride, uint32_t count, leat_error *error);
leat_code leat__jpeg_verify(leat__jpeg *jpeg, leat_error *error);
void leat__jpeg_done(leat__jpeg *jpeg);

#endif
