/* pictures.h - synthetic JPEGs and PNGs of every form, with the pixels they must decode to. */
#ifndef LEAT_TESTS_PICTURES_H
#define LEAT_TESTS_PICTURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Owned bytes; free(data) ends them. */
typedef struct picture {
    uint8_t *data;
    size_t size;
} picture;

/* How a JPEG's colours are stored. */
typedef enum jpeg_colours { STORED_GREY, STORED_RGB, STORED_YCC, STORED_CMYK, STORED_YCCK, STORED_TWO } jpeg_colours;

/* How a JPEG's scans are cut. */
typedef enum jpeg_scans {
    SCANS_ONE,         /* sequential, interleaved */
    SCANS_SEVERAL,     /* sequential, one for each component */
    SCANS_PROGRESSIVE, /* libjpeg's usual script */
    SCANS_MANY,        /* progressive, each AC coefficient of each component by itself: 190 */
} jpeg_scans;

typedef struct jpeg_form {
    unsigned width, height;
    jpeg_colours colours;
    unsigned h, v;         /* sampling of the first component; the others have 1 x 1 */
    int quality;
    jpeg_scans scans;
    bool arithmetic, optimized;
    unsigned restart_rows; /* restart marker after so many rows of blocks; 0: none */
} jpeg_form;

picture picture_jpeg(const jpeg_form *form);

/* libjpeg's own decode, all rows: RGB as Pillow gives it. channels 3 or 4 (alpha 255). Owned. */
uint8_t *picture_jpeg_pixels(const picture *jpeg, unsigned channels);

/* The same at 1/reduce of the size (1, 2, 4, 8), whose columns and rows it says. */
uint8_t *picture_jpeg_reduced(const picture *jpeg, unsigned channels, unsigned reduce, uint32_t *width,
                              uint32_t *height);

/* Leaves the first `scans` scans of a JPEG, and an end marker. */
void picture_keep_scans(picture *jpeg, unsigned scans);

typedef struct png_form {
    unsigned width, height;
    int colour, depth;     /* as libpng's PNG_COLOR_TYPE_... */
    bool interlaced;
    bool transparency;     /* a tRNS chunk */
    unsigned colours;      /* of the palette; 0: as many as the depth can tell apart */
} png_form;

picture picture_png(const png_form *form);

/* The pixels by arithmetic from the samples that picture_png wrote, without libpng. Owned. */
uint8_t *picture_png_pixels(const png_form *form, unsigned channels);

/* libpng's own decode, all of its transformations, palette included. Owned. */
uint8_t *picture_png_reference(const picture *png, unsigned channels);

/* Puts bytes into a picture at an offset, or takes them out. */
void picture_insert(picture *of, size_t at, const void *bytes, size_t size);
void picture_remove(picture *of, size_t at, size_t size);

/* Writes a PNG chunk of this type with its CRC; how many bytes it takes: size + 12. */
size_t picture_chunk(uint8_t *out, const char *type, const void *bytes, size_t size);

/* A PNG chunk of this type put in at an offset, with its CRC. */
void picture_insert_chunk(picture *png, size_t at, const char *type, const void *bytes, size_t size);

/* Offset of the first chunk of a type (its length field), or of the first JPEG marker ff `marker` up to the first SOS;
 * SIZE_MAX: none. */
size_t picture_find_chunk(const picture *png, const char *type);
size_t picture_find_marker(const picture *jpeg, uint8_t marker);

/* A copy. */
picture picture_copy(const picture *of);

/* A TIFF block with one directory entry: orientation. prefix: "Exif\0\0" before it. Returns its size (at most 32). */
size_t picture_exif(uint8_t out[32], bool prefix, bool big_endian, unsigned tag, unsigned type, uint32_t count,
                    uint32_t value);

/* The APP1 segment with an orientation put into a JPEG, the eXIf chunk into a PNG (before IDAT or behind it). */
void picture_orient_jpeg(picture *jpeg, unsigned orientation, bool big_endian);
void picture_orient_png(picture *png, unsigned orientation, bool behind);

#endif
