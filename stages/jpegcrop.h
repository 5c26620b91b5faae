/* jpegcrop.h - which columns libjpeg is asked for, so that the wanted ones are what they are in the whole image. */
#ifndef LEAT__JPEGCROP_H
#define LEAT__JPEGCROP_H

#include <stdio.h>

#include <jpeglib.h>

#include "stages/huffman.h"
#include "stages/image.h"

/* Crops the columns of an image whose decompression has started and which has given no row yet. *part becomes the
 * columns that rows will have; y and height stay. Errors as libjpeg's. */
void leat__jpeg_crop(j_decompress_ptr codec, leat__image_part *part);

/* Tells huffman, which has been attached, of the columns that were chosen. */
void leat__jpeg_crop_blocks(const struct jpeg_decompress_struct *codec, const leat__image_part *part,
                            leat__huffman *huffman);

#endif
