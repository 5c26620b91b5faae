/* pngfast.c - PNGs of the common forms: 8 bits, not interlaced, nothing odd.
 *
 * What:    all IDATs are inflated at once into scratch, rows are unfiltered there as they are asked for, and the wanted
 *          columns written to the caller's memory as RGB or RGBA.
 * Why so:  half of libpng's time is zlib's, which inflates row by row; a quarter is Paeth's filter, a pixel at a time.
 *          Both go at twice the speed and more if the image lies there whole (inflate.c, unfilter_sse41.c). In place,
 *          since the row above is needed whatever the caller does with his; the copy costs 2 %.
 *          Grey is an indexed image whose palette is a ramp.
 * Memory:  the header says how much, before it is taken: the inflated rows, and the IDATs joined if there are several,
 *          as long as they are no larger than such rows can need.
 *
 *          [ IDATs joined, or nothing | zeros, the row above the first | rows with filter types | slack ]
 *
 * Threads: one at a time (a worker's).
 * Invariants: (1) part.y + given <= unfiltered <= height, once rows were given
 *          (2) scratch is of capacity bytes, at most LEAT__PNG_KEEP_BYTES while idle
 * Not here: chunks (pngchunks.c); what to do with an image that is turned down (png.c). */
#include "stages/pngfast.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"
#include "stages/inflate.h"
#include "stages/png.h"
#include "stages/unfilter.h"

enum {
    STOP_ROWS = 16,        /* the stop flag is looked at once in so many; a multiple of what unfilter_sse41.c joins */
    SLACK = (int)LEAT__INFLATE_SLACK,  /* also of leat__unfilter, and of RGB pixels read as 4 bytes */
    PACKED_EXTRA = 1024,   /* bytes of IDATs to join, beyond 9 bits a byte, as the fixed codes have at worst */
};

static_assert((int)SLACK >= (int)LEAT__UNFILTER_SLACK, "unfilter");

struct leat__pngfast {
    /* fixed after creation */
    leat__inflate *inflate;
    /* kept between images */
    uint8_t *scratch;
    size_t capacity;
    /* the image's, from open to done */
    leat__png_outline outline;
    leat__image_limits limits;
    leat__image_part part;
    bool alpha;
    unsigned pixel_bytes;  /* in the file */
    uint8_t *image;        /* the first row's filter type, in scratch; NULL: not inflated yet */
    uint32_t unfiltered, given; /* rows, from the top */
    unsigned colours;
    uint8_t palette[256][4];    /* RGBA; of indexed and grey images */
};

leat__pngfast *leat__pngfast_new(void)
{
    leat__pngfast *fast = calloc(1, sizeof *fast);
    if (!fast) return NULL;
    fast->inflate = leat__inflate_new();
    if (fast->inflate) return fast;
    leat__pngfast_free(fast);
    return NULL;
}

void leat__pngfast_free(leat__pngfast *fast)
{
    if (!fast) return;
    leat__inflate_free(fast->inflate);
    free(fast->scratch);
    free(fast);
}

void leat__pngfast_done(leat__pngfast *fast)
{
    fast->image = NULL;
    if (fast->capacity <= LEAT__PNG_KEEP_BYTES) return;
    free(fast->scratch);
    fast->scratch = NULL;
    fast->capacity = 0;
}

/* ---- what is taken ---- */

/* Of a pixel in the file; 0: no colour type. */
static unsigned pixel_bytes(unsigned colour)
{
    switch (colour) {
    case LEAT__PNG_GREY:
    case LEAT__PNG_INDEXED: return 1;
    case LEAT__PNG_GREY_ALPHA: return 2;
    case LEAT__PNG_RGB: return 3;
    case LEAT__PNG_RGBA: return 4;
    default: return 0;
    }
}

static size_t stride_of(const leat__png_outline *o)
{
    return 1 + (size_t)o->width * pixel_bytes(o->colour);
}

/* Bytes of all rows, without the one above. */
static size_t image_bytes(const leat__png_outline *o)
{
    return stride_of(o) * o->height;
}

bool leat__pngfast_fits(const leat__png_outline *o, const leat__image_limits *limits, size_t *bytes)
{
    const size_t most = LEAT__PNGFAST_MOST_BYTES;
    const unsigned pixel = pixel_bytes(o->colour);
    if (o->depth != 8 || pixel == 0 || o->interlace != 0 || o->width == 0 || o->height == 0) return false;
    if (o->width > most || o->height > most / stride_of(o)) return false;
    const size_t image = image_bytes(o), packed_most = image + image / 8 + PACKED_EXTRA;
    if (o->idats > 1 && o->packed_size > packed_most) return false;
    *bytes = (o->idats > 1 ? o->packed_size : 0) + stride_of(o) + image + SLACK;
    return *bytes <= LEAT__PNG_SMALL_BYTES || (*bytes <= most && *bytes <= limits->max_codec_bytes);
}

static void make_palette(leat__pngfast *fast)
{
    const leat__png_outline *o = &fast->outline;
    fast->colours = o->palette ? o->colours : 256;
    for (unsigned i = 0; i < fast->colours; i++) {
        const uint8_t ramp[3] = {(uint8_t)i, (uint8_t)i, (uint8_t)i};
        memcpy(fast->palette[i], o->palette ? o->palette + (size_t)3 * i : ramp, 3);
        fast->palette[i][3] = i < o->opacities ? o->opacity[i] : 255;
    }
}

bool leat__pngfast_open(leat__pngfast *fast, const leat__png_outline *o, bool alpha, const leat__image_limits *limits)
{
    assert(!fast->image);
    if (!o->plain || !leat__png_check_crcs(o)) return false;
    fast->outline = *o;
    fast->limits = *limits;
    fast->part = (leat__image_part){.width = o->width, .height = o->height};
    fast->alpha = alpha;
    fast->pixel_bytes = pixel_bytes(o->colour);
    fast->unfiltered = fast->given = 0;
    if (fast->pixel_bytes <= 2) make_palette(fast);
    return true;
}

static bool need_scratch(leat__pngfast *fast)
{
    size_t bytes = 0;
    bool fits = leat__pngfast_fits(&fast->outline, &fast->limits, &bytes);
    assert(fits); /* leat__pngfast_open */
    if (!fits) return false;
    if (bytes <= fast->capacity) return true;
    free(fast->scratch);
    fast->scratch = malloc(bytes);
    fast->capacity = fast->scratch ? bytes : 0;
    return fast->scratch;
}

static bool check_filters(const leat__pngfast *fast)
{
    const size_t stride = stride_of(&fast->outline);
    for (uint32_t y = 0; y < fast->outline.height; y++) {
        if (fast->image[y * stride] >= LEAT__UNFILTER_TYPES) return false;
    }
    return true;
}

bool leat__pngfast_unpack(leat__pngfast *fast)
{
    const leat__png_outline *o = &fast->outline;
    const size_t stride = stride_of(o);
    assert(!fast->image);
    if (!need_scratch(fast)) return false;
    const uint8_t *packed = o->data + o->idat + 8;
    uint8_t *above = fast->scratch;
    if (o->idats > 1) {
        leat__png_gather(o, fast->scratch);
        packed = fast->scratch;
        above += o->packed_size;
    }
    memset(above, 0, stride);
    fast->image = above + stride;
    if (leat__inflate_zlib(fast->inflate, packed, o->packed_size, fast->image, image_bytes(o), fast->limits.stop) &&
        check_filters(fast))
        return true;
    leat__pngfast_done(fast);
    return false;
}

/* ---- rows ---- */

/* Unfilters up to row `end`, and looks whether all indices are in the palette. */
static leat_code unfilter_to(leat__pngfast *fast, uint32_t end, leat_error *error)
{
    const size_t stride = stride_of(&fast->outline);
    assert(end <= fast->outline.height);
    while (fast->unfiltered < end) {
        if (leat__image_stopped(&fast->limits))
            return leat__fail(error, LEAT_ECLOSED, 0, "PNG: %s (by leat_close)", leat__image_word(LEAT_ECLOSED));
        uint32_t count = end - fast->unfiltered < STOP_ROWS ? end - fast->unfiltered : STOP_ROWS;
        uint8_t *rows = fast->image + fast->unfiltered * stride;
        leat__unfilter(rows, stride - 1, fast->pixel_bytes, count);
        fast->unfiltered += count;
        if (fast->colours == 256 || fast->pixel_bytes > 1) continue;
        unsigned most = 0;
        for (uint32_t y = 0; y < count; y++, rows += stride) {
            for (size_t x = 1; x < stride; x++) most = rows[x] > most ? rows[x] : most;
        }
        if (most >= fast->colours)
            return leat__fail(error, LEAT_ECORRUPT, 0, "PNG: %s (a pixel has colour %u, the palette has %u colours)",
                              leat__image_word(LEAT_ECORRUPT), most, fast->colours);
    }
    return LEAT_OK;
}

/* A pixel as RGBA. */
static inline __attribute__((always_inline)) void read_px(const leat__pngfast *fast, const uint8_t *in,
                                                          const unsigned bytes, uint8_t px[4])
{
    if (bytes >= 3) memcpy(px, in, 4); /* 3: the slack or the next row is read, too */
    else memcpy(px, fast->palette[*in], 4);
    if (bytes == 2) px[3] = in[1];
    if (bytes == 3) px[3] = 255;
}

static inline __attribute__((always_inline)) void convert(const leat__pngfast *fast, const uint8_t *in, uint8_t *out,
                                                          const unsigned bytes, const unsigned channels)
{
    uint8_t px[4];
    uint32_t left = fast->part.width;
    for (; left > 1; left--, in += bytes, out += channels) {
        read_px(fast, in, bytes, px);
        memcpy(out, px, 4); /* 3 channels: the fourth byte is the next pixel's */
    }
    read_px(fast, in, bytes, px);
    memcpy(out, px, channels);
}

static void put_row(const leat__pngfast *fast, const uint8_t *in, uint8_t *out)
{
    const unsigned channels = fast->alpha ? 4 : 3;
    if (channels == fast->pixel_bytes) memcpy(out, in, (size_t)fast->part.width * channels);
    else if (fast->pixel_bytes == 1) fast->alpha ? convert(fast, in, out, 1, 4) : convert(fast, in, out, 1, 3);
    else if (fast->pixel_bytes == 2) fast->alpha ? convert(fast, in, out, 2, 4) : convert(fast, in, out, 2, 3);
    else if (fast->pixel_bytes == 3) convert(fast, in, out, 3, 4);
    else convert(fast, in, out, 4, 3);
}

void leat__pngfast_select(leat__pngfast *fast, const leat__image_part *part)
{
    assert(fast->given == 0);
    assert(part->width > 0 && part->width <= fast->outline.width - part->x);
    assert(part->height > 0 && part->height <= fast->outline.height - part->y);
    fast->part = *part;
}

leat_code leat__pngfast_rows(leat__pngfast *fast, uint8_t *rows, size_t stride, uint32_t count, leat_error *error)
{
    const size_t own = stride_of(&fast->outline);
    assert(fast->image && count <= fast->outline.height - fast->part.y - fast->given);
    const uint32_t y = fast->part.y + fast->given;
    leat_code code = unfilter_to(fast, y + count, error);
    if (code != LEAT_OK) return code;
    const uint8_t *in = fast->image + y * own + 1 + (size_t)fast->part.x * fast->pixel_bytes;
    for (uint32_t i = 0; i < count; i++) put_row(fast, in + i * own, rows + i * stride);
    fast->given += count;
    return LEAT_OK;
}

/* Only an index beyond the palette can be wrong in rows that were not asked for. */
leat_code leat__pngfast_verify(leat__pngfast *fast, leat_error *error)
{
    assert(fast->image);
    bool all = fast->outline.colour == LEAT__PNG_INDEXED && fast->colours < 256;
    return all ? unfilter_to(fast, fast->outline.height, error) : LEAT_OK;
}
