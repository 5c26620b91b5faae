/* exif.c - the orientation of a picture, out of its EXIF block.
 *
 * What:    walks a JPEG's segments to the EXIF one, and a TIFF directory to the one tag that changes pixels.
 * Why so:  libjpeg's saved markers were rejected: they cost a copy of every APP1 of a stranger's file, and dozens of
 *          bytes more for each tiny one. A metadata library was rejected: one tag is wanted of hundreds.
 * Threads: any; pure functions.
 * Invariants: every read is of bytes that were compared with the end before; nonsense is orientation 1, never an error:
 *          a picture with damaged metadata is still a picture.
 * Not here: turning the pixels (transform.c); PNG's eXIf chunk, which png.c finds on its own walk. */
#include "stages/exif.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

enum {
    TAG_ORIENTATION = 0x0112,
    TYPE_SHORT = 3,
    TYPE_LONG = 4,       /* some writers' way */
    IFD_ENTRY_BYTES = 12,
};

/* A TIFF block and its byte order. */
typedef struct tiff {
    const uint8_t *data;
    size_t size;
    bool big_endian;
} tiff;

static uint32_t read_number(const tiff *block, size_t at, unsigned bytes)
{
    assert(at <= block->size && bytes <= block->size - at);
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        unsigned place = block->big_endian ? bytes - 1 - i : i;
        value |= (uint32_t)block->data[at + i] << (8 * place);
    }
    return value;
}

static bool tiff_begin(tiff *block, const uint8_t *data, size_t size)
{
    if (size >= 6 && memcmp(data, "Exif\0", 5) == 0) {
        data += 6;
        size -= 6;
    }
    if (size < 8) return false;
    if (memcmp(data, "II*\0", 4) != 0 && memcmp(data, "MM\0*", 4) != 0) return false;
    *block = (tiff){.data = data, .size = size, .big_endian = data[0] == 'M'};
    return true;
}

static int orientation_of_entry(const tiff *block, size_t at)
{
    uint32_t type = read_number(block, at + 2, 2);
    uint32_t count = read_number(block, at + 4, 4);
    if (count != 1 || (type != TYPE_SHORT && type != TYPE_LONG)) return 1;
    uint32_t value = read_number(block, at + 8, type == TYPE_SHORT ? 2 : 4);
    return value >= 1 && value <= 8 ? (int)value : 1;
}

int leat__exif_orientation(const uint8_t *data, size_t size)
{
    assert(data || size == 0);
    tiff block;
    if (!tiff_begin(&block, data, size)) return 1;
    size_t at = read_number(&block, 4, 4);
    if (at > block.size - 2) return 1;
    size_t entries = read_number(&block, at, 2);
    at += 2;
    for (; entries > 0 && block.size - at >= IFD_ENTRY_BYTES; entries--, at += IFD_ENTRY_BYTES) {
        if (read_number(&block, at, 2) == TAG_ORIENTATION) return orientation_of_entry(&block, at);
    }
    return 1;
}

/* Moves *at past the next marker and returns it; -1 at the end. Steps over junk between segments, as libjpeg does. */
static int next_marker(const uint8_t *data, size_t size, size_t *at)
{
    assert(*at <= size);
    for (;;) {
        const uint8_t *found = memchr(data + *at, 0xff, size - *at);
        if (!found) return -1;
        *at = (size_t)(found - data);
        while (*at < size && data[*at] == 0xff) ++*at;
        if (*at == size) return -1;
        int marker = data[(*at)++];
        if (marker != 0) return marker;
    }
}

int leat__exif_orientation_of_jpeg(const uint8_t *data, size_t size)
{
    assert(data || size == 0);
    size_t at = size < 2 ? size : 2; /* past SOI */
    for (;;) {
        int marker = next_marker(data, size, &at);
        if (marker < 0 || marker == 0xd9 || marker == 0xda) return 1; /* the end, EOI, SOS */
        if (marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8)) continue; /* TEM, RSTn, SOI: no length */
        if (size - at < 2) return 1;
        size_t length = (size_t)data[at] << 8 | data[at + 1]; /* counts its own two bytes */
        if (length < 2 || length > size - at) return 1;
        if (marker == 0xe1 && length >= 8 && memcmp(data + at + 2, "Exif\0", 5) == 0)
            return leat__exif_orientation(data + at + 2, length - 2);
        at += length;
    }
}
