/* pngchunks.h - what a PNG is made of, by its chunks. Called by png.c. */
#ifndef LEAT__PNGCHUNKS_H
#define LEAT__PNGCHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <leat/error.h>

/* PNG, section 11.2.2. */
typedef enum leat__png_colour {
    LEAT__PNG_GREY = 0, LEAT__PNG_RGB = 2, LEAT__PNG_INDEXED = 3, LEAT__PNG_GREY_ALPHA = 4, LEAT__PNG_RGBA = 6,
} leat__png_colour;

/* What the chunks say, none of it checked against PNG's rules but for `plain`. Pointers lead into the data. */
typedef struct leat__png_outline {
    const uint8_t *data;
    size_t size;
    uint32_t width, height;
    uint8_t depth, colour, interlace;
    const uint8_t *exif;       /* contents of the first eXIf chunk, even behind the pixels; NULL: none */
    size_t exif_size;
    bool plain;                /* nothing but what follows, in the usual order, and ancillary chunks that change no
                                  pixel: with the right CRCs nothing can be wrong with it before the IDATs' contents */
    size_t idat;               /* of the first IDAT, whose successors follow at once */
    size_t idats, packed_size; /* how many, and what they hold together */
    const uint8_t *palette, *opacity; /* contents of PLTE and tRNS, of an indexed image */
    unsigned colours, opacities;      /* PLTE: 3 bytes each; tRNS: 1, at most as many */
} leat__png_outline;

/* Walks the chunks from IHDR to IEND by their lengths. data: borrows, while the outline is in use. LEAT_ETRUNCATED if
 * it ends before, LEAT_ECORRUPT if it doesn't begin with IHDR. Thread: any. */
leat_code leat__png_walk(const uint8_t *data, size_t size, leat__png_outline *outline, leat_error *error);

/* True if every chunk up to and with IEND has the CRC that it says. outline: of a walk that went well. Thread: any. */
bool leat__png_check_crcs(const leat__png_outline *outline);

/* Copies the contents of all IDATs of a plain PNG, packed_size bytes. Thread: any. */
void leat__png_gather(const leat__png_outline *outline, uint8_t *out);

#endif
