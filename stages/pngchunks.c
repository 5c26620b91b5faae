/* pngchunks.c - what a PNG is made of, by its chunks.
 *
 * What:    one walk over the chunks' headers (a few nanoseconds each) finds the size, whether the file goes on to IEND,
 *          EXIF, and what pngfast.c needs; another one checks the CRCs.
 * Why so:  limits and truncation are known before any memory is taken. `plain` is a list of what is allowed, and short:
 *          the more is left to libpng, the less can be judged differently. Ancillary chunks are passed over by libpng
 *          too (libpng.c tells it so), but for tRNS.
 * Threads: any; no state.
 * Not here: whether depth and colour fit together (pngfast.c for its forms, libpng). */
#include "stages/pngchunks.h"

#include <assert.h>
#include <string.h>

#include <libdeflate.h>

#include "pipeline/failure.h"

enum {
    SIGNATURE_BYTES = 8,
    HEADER_BYTES = SIGNATURE_BYTES + 8 + 13 + 4, /* signature and the IHDR chunk */
    CHUNK_BYTES = 12,                  /* length, type and CRC around a chunk's data */
    LONGEST_CHUNK = 0x7fffffff,
    PALETTE_MOST = 256,
};

typedef struct chunk {
    uint32_t type, length;
    const uint8_t *data;
} chunk;

#define TYPE(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))
#define IHDR TYPE('I', 'H', 'D', 'R')
#define PLTE TYPE('P', 'L', 'T', 'E')
#define TRNS TYPE('t', 'R', 'N', 'S')
#define IDAT TYPE('I', 'D', 'A', 'T')
#define IEND TYPE('I', 'E', 'N', 'D')
#define EXIF TYPE('e', 'X', 'I', 'f')

static uint32_t read_u32(const uint8_t *data)
{
    return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

/* The chunk at a byte that is known to be there. */
static chunk chunk_at(const uint8_t *data, size_t at)
{
    return (chunk){.type = read_u32(data + at + 4), .length = read_u32(data + at), .data = data + at + 8};
}

/* Four letters, the first of them small. */
static bool is_ancillary(uint32_t type)
{
    for (unsigned shift = 0; shift < 32; shift += 8) {
        uint8_t letter = (uint8_t)(type >> shift | 0x20);
        if (letter < 'a' || letter > 'z') return false;
    }
    return type & TYPE(0x20, 0, 0, 0);
}

/* Whether a chunk is one that a plain PNG has at this place; notes what it holds. */
static bool take_chunk(leat__png_outline *o, const chunk *c, uint32_t before, size_t at)
{
    const bool indexed = o->colour == LEAT__PNG_INDEXED;
    if (c->length > LONGEST_CHUNK) return false;
    switch (c->type) {
    case IHDR:
        return before == 0;
    case PLTE:
        if (!indexed || o->palette || o->idats) return false;
        if (c->length == 0 || c->length % 3 != 0 || c->length > 3 * PALETTE_MOST) return false;
        o->palette = c->data;
        o->colours = c->length / 3;
        return true;
    case TRNS:
        if (!o->palette || o->opacity || o->idats || !c->length || c->length > o->colours) return false;
        o->opacity = c->data;
        o->opacities = c->length;
        return true;
    case IDAT:
        if (c->length == 0 || (o->idats && before != IDAT) || (indexed && !o->palette)) return false;
        if (o->idats++ == 0) o->idat = at;
        o->packed_size += c->length;
        return true;
    case IEND:
        return c->length == 0 && o->idats;
    default:
        return is_ancillary(c->type);
    }
}

leat_code leat__png_walk(const uint8_t *data, size_t size, leat__png_outline *o, leat_error *error)
{
    *o = (leat__png_outline){.data = data, .size = size};
    if (size < HEADER_BYTES)
        return leat__fail(error, LEAT_ETRUNCATED, 0, "PNG: premature end (%zu bytes, not even a header)", size);
    const uint8_t *header = data + SIGNATURE_BYTES + 8;
    if (read_u32(data + SIGNATURE_BYTES) != 13 || read_u32(data + SIGNATURE_BYTES + 4) != IHDR)
        return leat__fail(error, LEAT_ECORRUPT, 0, "PNG: damaged (the first chunk is not IHDR)");
    o->width = read_u32(header);
    o->height = read_u32(header + 4);
    o->depth = header[8];
    o->colour = header[9];
    o->interlace = header[12];
    o->plain = memcmp(data, "\x89PNG\r\n\x1a\n", SIGNATURE_BYTES) == 0;
    if (header[10] != 0 || header[11] != 0) o->plain = false; /* methods of compression and filtering */
    size_t at = SIGNATURE_BYTES;
    for (uint32_t before = 0; size - at >= CHUNK_BYTES;) {
        chunk c = chunk_at(data, at);
        if (c.length > size - at - CHUNK_BYTES)
            return leat__fail(error, LEAT_ETRUNCATED, 0,
                              "PNG: premature end (the chunk at byte %zu has %u bytes, the file %zu more)", at,
                              (unsigned)c.length, size - at - CHUNK_BYTES);
        o->plain = o->plain && take_chunk(o, &c, before, at);
        if (c.type == IEND) return LEAT_OK;
        if (c.type == EXIF && !o->exif) o->exif = c.data, o->exif_size = c.length;
        before = c.type;
        at += CHUNK_BYTES + c.length;
    }
    return leat__fail(error, LEAT_ETRUNCATED, 0, "PNG: premature end (no IEND chunk by byte %zu)", size);
}

bool leat__png_check_crcs(const leat__png_outline *o)
{
    for (size_t at = SIGNATURE_BYTES;;) {
        chunk c = chunk_at(o->data, at);
        if (libdeflate_crc32(0, o->data + at + 4, (size_t)c.length + 4) != read_u32(c.data + c.length)) return false;
        if (c.type == IEND) return true;
        at += CHUNK_BYTES + c.length;
    }
}

void leat__png_gather(const leat__png_outline *o, uint8_t *out)
{
    assert(o->plain && o->idats > 0);
    size_t at = o->idat;
    for (size_t i = 0; i < o->idats; i++) {
        chunk c = chunk_at(o->data, at);
        memcpy(out, c.data, c.length);
        out += c.length;
        at += CHUNK_BYTES + c.length;
    }
}
