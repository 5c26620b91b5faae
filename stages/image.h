/* image.h - one interface to every image format: look at the header, then take rows.
 *
 * A reader belongs to one worker and is used for one image after another; it keeps its codec state and scratch between
 * them, so that a warm worker allocates nothing beyond what the codec itself does. jpeg.c and png.c are the formats. */
#ifndef LEAT__IMAGE_H
#define LEAT__IMAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <leat/error.h>

typedef enum leat__image_format { LEAT__IMAGE_UNKNOWN = 0, LEAT__IMAGE_JPEG, LEAT__IMAGE_PNG } leat__image_format;

typedef struct leat__image_limits {
    uint64_t max_pixels;     /* width * height; checked before anything is allocated for them */
    uint64_t max_codec_bytes;/* what the codec may need beyond a few rows: progressive and interlaced images */
    const atomic_bool *stop; /* NULL, or: set by another thread to make open and rows end soon with LEAT_ECLOSED */
} leat__image_limits;

typedef struct leat__image_info {
    leat__image_format format;
    uint32_t width, height;  /* as stored, px */
    uint32_t channels;       /* of the rows that leat__image_rows gives: 3 (RGB) or 4 (RGBA) */
    int orientation;         /* EXIF 1..8; 1 if none or nonsense */
    uint64_t codec_bytes;    /* estimate of what the codec holds for the whole image; 0 for row by row formats */
    unsigned most_reduce;    /* largest `reduce` that leat__image_select takes: 8 (JPEG) or 1 */
} leat__image_info;

/* A rectangle, px. */
typedef struct leat__image_part {
    uint32_t x, y, width, height;
} leat__image_part;

typedef struct leat__image_reader leat__image_reader;

/* What the bytes are, by their magic; also names what is not read ("WebP", "GIF", "HTML"...; NULL if not known). */
leat__image_format leat__image_sniff(const uint8_t *data, size_t size, const char **other);

/* Gives a reader; NULL if memory is short. */
leat__image_reader *leat__image_reader_new(void);

/* Begins an image: sniffs, reads the header, checks the limits, before memory is taken for pixels. data: borrows, until
 * leat__image_done. alpha: rows are RGBA, else RGB. Errors: LEAT_EFORMAT (unknown; says what it looks like),
 * LEAT_EUNSUPPORTED, LEAT_ELIMIT, LEAT_ETRUNCATED, LEAT_ECORRUPT, LEAT_ENOMEM; message such as
 * "JPEG: premature end (libjpeg: Premature end of JPEG file)". After an error the reader is ready for the next
 * image. */
leat_code leat__image_open(leat__image_reader *reader, const uint8_t *data, size_t size, bool alpha,
                           const leat__image_limits *limits, leat__image_info *info, leat_error *error);

/* Says what of the image is wanted, between open and the first leat__image_rows: *part of the image at 1/reduce of its
 * size, with reduce 1, 2, 4 or 8, at most info->most_reduce (a reduced image has ceil(width / reduce) columns, rows
 * alike). Rows then begin at part->y and hold the columns of *part, which on return covers what was wanted, and may be
 * wider on both sides, as the format's blocks are; y and height stay. The wanted pixels equal those of the whole image
 * decoded at this scale; damage to rows that are not given but lie above the part's end is an error as in the others.
 * Not called: all of the image, full size. A part that is not in the image, another scale, or a second call are
 * LEAT_EINVAL, and change nothing; other errors as leat__image_rows. */
leat_code leat__image_select(leat__image_reader *reader, unsigned reduce, leat__image_part *part, leat_error *error);

/* Writes the next `count` rows, top to bottom, interleaved, to rows[0 .. count * stride). Never leaves pixels undefined
 * with LEAT_OK: damaged or truncated data is an error. (Bytes that a decoder can step over without inventing pixels, as
 * libjpeg's "extraneous bytes before marker", are not.) Any count, 0 too; more rows than are left, or rows of no open
 * image (an error ends it), are LEAT_EINVAL. stride: at least width * channels. */
leat_code leat__image_rows(leat__image_reader *reader, uint8_t *rows, size_t stride, uint32_t count, leat_error *error);

/* Checks that the image was whole, as far as can be told without decoding the rows that were not asked for (JPEG: an
 * end marker is there; PNG: IEND). Call it after the last row that is wanted; leat__image_done must still follow. */
leat_code leat__image_verify(leat__image_reader *reader, leat_error *error);

/* Ends the image, in any state. */
void leat__image_done(leat__image_reader *reader);

/* Frees the reader (takes; NULL is fine). */
void leat__image_reader_free(leat__image_reader *reader);

/* ---- for the formats ---- */

/* LEAT_ELIMIT if width * height is over limits->max_pixels, with the figures; else LEAT_OK. name: "PNG". */
leat_code leat__image_check_pixels(const char *name, const leat__image_info *info, const leat__image_limits *limits,
                                   leat_error *error);

/* LEAT_ELIMIT if the codec would hold more than limits->max_codec_bytes; why: "interlaced". */
leat_code leat__image_check_codec(const char *name, const char *why, uint64_t bytes, const leat__image_info *info,
                                  const leat__image_limits *limits, leat_error *error);

static inline bool leat__image_stopped(const leat__image_limits *limits)
{
    return limits->stop && atomic_load_explicit(limits->stop, memory_order_relaxed);
}

/* The words that begin a message about a code: "premature end", "damaged" ... */
const char *leat__image_word(leat_code code);

#endif
