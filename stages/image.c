/* image.c - one interface to every image format: sniffs, checks limits, and hands on to jpeg.c or png.c.
 *
 * What:    a reader holds one decoder of each format and an image is open in at most one of them.
 * Why so:  two formats and six functions: a choice by `if` reads easier than a table of function pointers. The format
 *          is told by content, since data sets are full of PNG files named .jpg and of HTML error pages named .png.
 * Threads: a reader belongs to one worker at a time; nothing is shared between readers.
 * States:  idle -open-> open -select-> open -rows/verify-> open -done-> idle; an error from any of them -> idle.
 * Invariants: (1) format != UNKNOWN exactly while an image is open   (2) given <= part.height
 *          (3) part lies inside the image at its scale
 * Not here: codecs (jpeg.c, png.c), orientation's parsing (exif.c), crops and resizes (transform.c). */
#include "stages/image.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pipeline/failure.h"
#include "stages/jpeg.h"
#include "stages/png.h"

struct leat__image_reader {
    /* fixed after creation */
    leat__jpeg *jpeg;
    leat__png *png;
    /* the image's, from open to done */
    leat__image_format format; /* UNKNOWN: no image is open */
    leat__image_info info;
    leat__image_part part;     /* of the image at its scale: what rows are given of, and their columns */
    uint32_t given;            /* rows so far */
    bool selected;
};

/* ---- what the bytes are ---- */

/* Bytes at an offset, and what they say; the first that fits wins. */
typedef struct magic {
    uint8_t offset, length;
    const char *bytes;
    const char *name;
} magic;

#define JPEG_MAGIC "\xff\xd8\xff"
#define PNG_MAGIC "\x89PNG\r\n\x1a\n"

static const magic others[] = {
    {0, 4, "GIF8", "GIF"},
    {8, 4, "WEBP", "WebP"},
    {4, 8, "ftypavif", "AVIF"},
    {4, 8, "ftypavis", "AVIF"},
    {4, 8, "ftypheic", "HEIC"},
    {4, 8, "ftypheix", "HEIC"},
    {4, 8, "ftypmif1", "HEIF"},
    {4, 4, "ftyp", "an MP4 or another ISO media file"},
    {0, 4, "II*\0", "TIFF"},
    {0, 4, "MM\0*", "TIFF"},
    {0, 2, "\xff\x0a", "JPEG XL"},
    {4, 4, "JXL ", "JPEG XL"},
    {4, 4, "jP  ", "JPEG 2000"},
    {0, 4, "\xff\x4f\xff\x51", "JPEG 2000"},
    {0, 4, "8BPS", "Photoshop"},
    {0, 4, "\0\0\1\0", "an icon (ICO)"},
    {0, 4, "qoif", "QOI"},
    {0, 4, "%PDF", "PDF"},
    {0, 4, "PK\3\4", "ZIP"},
    {0, 3, "\x1f\x8b\x08", "gzip"},
    {0, 4, "\x28\xb5\x2f\xfd", "zstd"},
    {0, 6, "\x93NUMPY", "a NumPy array"},
    {0, 2, "BM", "BMP"},
};

static bool has_magic(const uint8_t *data, size_t size, size_t offset, const char *bytes, size_t length)
{
    return size >= offset + length && memcmp(data + offset, bytes, length) == 0;
}

/* What begins with '<' after white space and a byte order mark: a server's error page as a rule. */
static const char *sniff_markup(const uint8_t *data, size_t size)
{
    if (size == 0) return NULL;
    size_t at = has_magic(data, size, 0, "\xef\xbb\xbf", 3) ? 3 : 0;
    while (at < size && strchr(" \t\r\n", data[at]) && data[at] != '\0') at++;
    const char *text = (const char *)data + at;
    size_t left = size - at;
    if (left >= 5 && strncasecmp(text, "<html", 5) == 0) return "HTML";
    if (left >= 9 && strncasecmp(text, "<!doctype", 9) == 0) return "HTML";
    if (left >= 4 && strncasecmp(text, "<svg", 4) == 0) return "SVG";
    if (left >= 5 && strncasecmp(text, "<?xml", 5) == 0) return "XML or SVG";
    return NULL;
}

leat__image_format leat__image_sniff(const uint8_t *data, size_t size, const char **other)
{
    assert(data || size == 0);
    if (other) *other = NULL;
    if (has_magic(data, size, 0, JPEG_MAGIC, sizeof JPEG_MAGIC - 1)) return LEAT__IMAGE_JPEG;
    if (has_magic(data, size, 0, PNG_MAGIC, sizeof PNG_MAGIC - 1)) return LEAT__IMAGE_PNG;
    if (!other) return LEAT__IMAGE_UNKNOWN;
    for (size_t i = 0; i < sizeof others / sizeof others[0] && !*other; i++) {
        if (has_magic(data, size, others[i].offset, others[i].bytes, others[i].length)) *other = others[i].name;
    }
    if (!*other) *other = sniff_markup(data, size);
    return LEAT__IMAGE_UNKNOWN;
}

/* True for bytes that are too few to tell, but begin as a JPEG or a PNG does. */
static bool is_stump(const uint8_t *data, size_t size)
{
    if (size == 0) return true;
    if (size < sizeof JPEG_MAGIC - 1 && memcmp(data, JPEG_MAGIC, size) == 0) return true;
    return size < sizeof PNG_MAGIC - 1 && memcmp(data, PNG_MAGIC, size) == 0;
}

static leat_code fail_unknown(const uint8_t *data, size_t size, const char *other, leat_error *error)
{
    if (is_stump(data, size))
        return leat__fail(error, LEAT_ETRUNCATED, 0, "image: premature end: only %zu bytes", size);
    if (other)
        return leat__fail(error, LEAT_EFORMAT, 0, "image: this is %s; JPEG and PNG are read", other);
    char hex[3 * 8 + 1] = "";
    for (size_t i = 0; i < size && i < 8; i++) snprintf(hex + 3 * i, 4, " %02x", data[i]);
    return leat__fail(error, LEAT_EFORMAT, 0, "image: neither JPEG nor PNG: %zu bytes that begin with%s", size, hex);
}

/* ---- limits and words that the formats share ---- */

leat_code leat__image_check_pixels(const char *name, const leat__image_info *info, const leat__image_limits *limits,
                                   leat_error *error)
{
    uint64_t pixels = (uint64_t)info->width * info->height; /* 32 x 32 bits: cannot overflow */
    if (pixels <= limits->max_pixels) return LEAT_OK;
    return leat__fail(error, LEAT_ELIMIT, 0,
                      "%s: too large: %" PRIu32 " x %" PRIu32 " px x %" PRIu32 " channels are %" PRIu64
                      " pixels, max_image_pixels is %" PRIu64,
                      name, info->width, info->height, info->channels, pixels, limits->max_pixels);
}

leat_code leat__image_check_codec(const char *name, const char *why, uint64_t bytes, const leat__image_info *info,
                                  const leat__image_limits *limits, leat_error *error)
{
    if (bytes <= limits->max_codec_bytes) return LEAT_OK;
    return leat__fail(error, LEAT_ELIMIT, 0,
                      "%s: too large: %" PRIu32 " x %" PRIu32 " px, %s, take %" PRIu64 " bytes to decode, memory_limit"
                      " leaves %" PRIu64 " for it",
                      name, info->width, info->height, why, bytes, limits->max_codec_bytes);
}

const char *leat__image_word(leat_code code)
{
    switch (code) {
    case LEAT_ETRUNCATED: return "premature end";
    case LEAT_EUNSUPPORTED: return "not supported";
    case LEAT_ELIMIT: return "too large";
    case LEAT_ENOMEM: return "out of memory";
    case LEAT_ECLOSED: return "stopped";
    default: return "damaged";
    }
}

/* ---- the reader ---- */

leat__image_reader *leat__image_reader_new(void)
{
    leat__image_reader *reader = calloc(1, sizeof *reader);
    if (!reader) return NULL;
    reader->jpeg = leat__jpeg_new();
    reader->png = leat__png_new();
    if (!reader->jpeg || !reader->png) goto fail;
    return reader;

fail:
    leat__image_reader_free(reader);
    return NULL;
}

void leat__image_reader_free(leat__image_reader *reader)
{
    if (!reader) return;
    leat__jpeg_free(reader->jpeg);
    leat__png_free(reader->png);
    free(reader);
}

void leat__image_done(leat__image_reader *reader)
{
    if (reader->format == LEAT__IMAGE_JPEG) leat__jpeg_done(reader->jpeg);
    if (reader->format == LEAT__IMAGE_PNG) leat__png_done(reader->png);
    reader->format = LEAT__IMAGE_UNKNOWN;
}

leat_code leat__image_open(leat__image_reader *reader, const uint8_t *data, size_t size, bool alpha,
                           const leat__image_limits *limits, leat__image_info *info, leat_error *error)
{
    assert(reader && limits && info);
    assert(reader->format == LEAT__IMAGE_UNKNOWN); /* leat__image_done was called */
    memset(info, 0, sizeof *info);
    if (leat__image_stopped(limits)) return leat__fail(error, LEAT_ECLOSED, 0, "image: stopped");
    const char *other;
    leat__image_format format = leat__image_sniff(data, size, &other);
    if (format == LEAT__IMAGE_UNKNOWN) return fail_unknown(data, size, other, error);
    leat_code code = format == LEAT__IMAGE_JPEG ? leat__jpeg_open(reader->jpeg, data, size, alpha, limits, info, error)
                                                : leat__png_open(reader->png, data, size, alpha, limits, info, error);
    if (code != LEAT_OK) return code;
    assert(info->format == format && info->channels == (alpha ? 4u : 3u));
    assert(info->width > 0 && info->height > 0 && info->orientation >= 1 && info->orientation <= 8);
    assert(info->most_reduce >= 1);
    reader->format = format;
    reader->info = *info;
    reader->part = (leat__image_part){0, 0, info->width, info->height};
    reader->given = 0;
    reader->selected = false;
    return LEAT_OK;
}

static bool can_select(const leat__image_reader *reader, unsigned reduce, const leat__image_part *part)
{
    if (reader->selected || reader->given > 0) return false;
    if (reduce == 0 || reduce > reader->info.most_reduce || (reduce & (reduce - 1)) != 0) return false;
    uint32_t width = (reader->info.width - 1) / reduce + 1, height = (reader->info.height - 1) / reduce + 1;
    return part->width > 0 && part->x < width && part->width <= width - part->x && part->height > 0 &&
           part->y < height && part->height <= height - part->y;
}

leat_code leat__image_select(leat__image_reader *reader, unsigned reduce, leat__image_part *part, leat_error *error)
{
    assert(reader && part);
    if (reader->format == LEAT__IMAGE_UNKNOWN) return leat__fail(error, LEAT_EINVAL, 0, "image: none is open");
    if (!can_select(reader, reduce, part))
        return leat__fail(error, LEAT_EINVAL, 0,
                          "image: no %" PRIu32 " x %" PRIu32 " px at (%" PRIu32 ", %" PRIu32 ") of 1/%u of %" PRIu32
                          " x %" PRIu32 " px, or too late",
                          part->width, part->height, part->x, part->y, reduce, reader->info.width,
                          reader->info.height);
    leat_code code = reader->format == LEAT__IMAGE_JPEG ? leat__jpeg_select(reader->jpeg, reduce, part, error)
                                                        : leat__png_select(reader->png, part, error);
    if (code != LEAT_OK) {
        leat__image_done(reader);
        return code;
    }
    assert(part->width > 0 && part->width <= reader->info.width);
    reader->part = *part;
    reader->selected = true;
    return LEAT_OK;
}

leat_code leat__image_rows(leat__image_reader *reader, uint8_t *rows, size_t stride, uint32_t count, leat_error *error)
{
    assert(reader && (rows || count == 0));
    if (reader->format == LEAT__IMAGE_UNKNOWN) return leat__fail(error, LEAT_EINVAL, 0, "image: none is open");
    if (count == 0) return LEAT_OK;
    if (count > reader->part.height - reader->given)
        return leat__fail(error, LEAT_EINVAL, 0, "image: %" PRIu32 " rows wanted, %" PRIu32 " of %" PRIu32 " are left",
                          count, reader->part.height - reader->given, reader->part.height);
    assert(stride >= (size_t)reader->part.width * reader->info.channels);
    leat_code code = reader->format == LEAT__IMAGE_JPEG ? leat__jpeg_rows(reader->jpeg, rows, stride, count, error)
                                                        : leat__png_rows(reader->png, rows, stride, count, error);
    if (code != LEAT_OK) leat__image_done(reader);
    else reader->given += count;
    return code;
}

leat_code leat__image_verify(leat__image_reader *reader, leat_error *error)
{
    assert(reader);
    if (reader->format == LEAT__IMAGE_UNKNOWN) return leat__fail(error, LEAT_EINVAL, 0, "image: none is open");
    leat_code code = reader->format == LEAT__IMAGE_JPEG ? leat__jpeg_verify(reader->jpeg, error)
                                                        : leat__png_verify(reader->png, error);
    if (code != LEAT_OK) leat__image_done(reader);
    return code;
}
