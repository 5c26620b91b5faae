/* huffman.h - a faster entropy decoder for libjpeg: baseline JPEG's Huffman codes (ITU-T T.81, F.2.2).
 *
 * libjpeg decodes through a function pointer; ours is put in its place for the image at hand, and everything after it
 * (dequantization, IDCT, upsampling, colours) stays libjpeg's. Whatever is not as it should be - a code that does not
 * exist, a coefficient beyond the last, data that ends early - makes our decoder give up by calling `odd`; the image is
 * then to be decoded again by libjpeg alone, whose verdict counts. So both give the same pixels, or an error of
 * the same code. */
#ifndef LEAT__HUFFMAN_H
#define LEAT__HUFFMAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jpeglib.h>

/* Thread: one at a time (a worker's). Kept from image to image, since encoders' tables are nearly always the same. */
typedef struct leat__huffman leat__huffman;

leat__huffman *leat__huffman_new(void);          /* gives; NULL if memory is short */
void leat__huffman_free(leat__huffman *huffman); /* takes; NULL is fine */

/* What our decoder asks of its user. */
typedef struct leat__huffman_hooks {
    void (*odd)(void *user);  /* called at most once; must not return */
    void (*poll)(void *user); /* called every few KiB of data; may not return */
    void *user;
} leat__huffman_hooks;

/* True if the image is one that we decode: baseline, one scan, no restart markers. To be called when
 * jpeg_start_decompress has returned; huffman then takes the place of codec->entropy until the image's end (codec:
 * borrows). end: of the file's data, which lies in memory from codec->src->next_input_byte on. */
bool leat__huffman_attach(leat__huffman *huffman, j_decompress_ptr codec, const uint8_t *end,
                          const leat__huffman_hooks *hooks);

/* Coefficients are only needed of these columns of MCUs (after jpeg_crop_scanline). */
void leat__huffman_crop(leat__huffman *huffman, uint32_t first, uint32_t last);

#endif
