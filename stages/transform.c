/* transform.c - from image rows to a row of the batch, in one streaming pass.
 *
 * What:    rows come in strips of a few; each is resized across into a ring that holds as many rows as one output row
 *          can be made of; whenever an output row's sources are all there it is resized down, flipped, normalized,
 *          converted and written to its final place.
 * Why so:  the ring (some 20 rows of 224 pixels for a photograph) stays in the first-level cache, and memory does not
 *          grow with the image's height. Rows above the crop are stepped over, rows below it are never asked for.
 *          Images to be turned upright (EXIF) are decoded whole first, straight into their turned place: their first
 *          row is only known then.
 * Threads: one transform per worker; leat__transform_image runs in the pool.
 * Invariants: scratch holds exactly what `measure` says, at offsets that are multiples of 64; before a strip is read
 *          every output row that could be made has been, so the ring never loses a row that is still needed (ring_rows
 *          = most taps + a strip).
 * Not here: the resize itself (resize.c), the choice of the box (view.c), formats (image.h). */
#include "stages/transform.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"
#include "stages/pixels.h"
#include "stages/resize.h"

#define STRIP_BYTES ((size_t)256 << 10) /* a strip is as many rows as fit, at least 1 ... */
#define STRIP_ROWS 16                   /* ... and at most a row of JPEG's largest common blocks */

struct leat__transform {
    /* fixed after creation */
    leat_image image;
    leat__pixels pixels;
    unsigned channels;
    /* the job's own */
    uint8_t *scratch;
    size_t capacity;
};

/* Where things lie in the scratch, bytes from its start. */
typedef struct layout {
    size_t across, down, strip, ring, row, whole, total;
    size_t strip_stride, ring_stride;
    uint32_t strip_rows, ring_rows;
} layout;

/* One image on its way. */
typedef struct passage {
    leat__transform *transform;
    leat__image_reader *reader;
    leat__image_info info;
    int orientation;
    uint32_t width, height; /* upright */
    leat__view view;
    layout at;
    leat__filter across, down;
    bool premultiply;       /* alpha, and at least one direction is resized */
    uint8_t *whole;         /* the upright image, if it had to be turned; else NULL: rows come from the reader */
    void *out;
} passage;

static size_t aligned(size_t bytes)
{
    return (bytes + LEAT_ALIGNMENT - 1) / LEAT_ALIGNMENT * LEAT_ALIGNMENT;
}

/* Lays out the scratch for a source of width x height of which extent_x x extent_y is used. False if that overflows. */
static bool measure(const leat_image *image, uint32_t width, uint32_t height, double extent_x, double extent_y,
                    bool turned, layout *at)
{
    const size_t channels = image->alpha ? 4 : 3;
    const uint32_t stored_width = turned && height > width ? height : width; /* or less */
    at->strip_stride = aligned(stored_width * channels + LEAT__RESIZE_SLACK);
    at->strip_rows = (uint32_t)(STRIP_BYTES / at->strip_stride);
    if (at->strip_rows < 1) at->strip_rows = 1;
    if (at->strip_rows > STRIP_ROWS) at->strip_rows = STRIP_ROWS;
    at->ring_stride = aligned(image->width * channels);
    at->ring_rows = leat__filter_taps(extent_y, image->height) + at->strip_rows;
    at->across = 0;
    at->down = at->across + aligned(leat__filter_bytes(extent_x, image->width));
    at->strip = at->down + aligned(leat__filter_bytes(extent_y, image->height));
    at->ring = at->strip + at->strip_rows * at->strip_stride;
    at->row = at->ring + at->ring_rows * at->ring_stride;
    at->whole = at->row + at->ring_stride;
    at->total = at->whole;
    if (!turned) return true;
    size_t pixels;
    return !__builtin_mul_overflow((size_t)width, (size_t)height, &pixels) &&
           !__builtin_mul_overflow(pixels, channels, &pixels) &&
           !__builtin_add_overflow(pixels, (size_t)(LEAT__RESIZE_SLACK + LEAT_ALIGNMENT), &pixels) &&
           !__builtin_add_overflow(at->total, aligned(pixels), &at->total);
}

size_t leat__transform_scratch(const leat_image *image, uint32_t width, uint32_t height)
{
    assert(width > 0 && height > 0);
    layout stored, turned, sideways;
    if (!measure(image, width, height, width, height, false, &stored)) return SIZE_MAX;
    if (!image->orient) return stored.total;
    if (!measure(image, width, height, width, height, true, &turned)) return SIZE_MAX;
    if (!measure(image, height, width, height, width, true, &sideways)) return SIZE_MAX;
    const size_t most = turned.total > sideways.total ? turned.total : sideways.total;
    return most > stored.total ? most : stored.total;
}

leat__transform *leat__transform_new(const leat_image *image)
{
    leat__transform *transform = calloc(1, sizeof(*transform));
    if (!transform) return NULL;
    transform->image = *image;
    transform->channels = image->alpha ? 4 : 3;
    leat__pixels_init(&transform->pixels, image);
    return transform;
}

void leat__transform_free(leat__transform *transform)
{
    if (!transform) return;
    free(transform->scratch);
    free(transform);
}

static void drop_scratch(leat__transform *transform)
{
    free(transform->scratch);
    transform->scratch = NULL;
    transform->capacity = 0;
}

/* Makes the scratch at least `bytes` long; its contents are lost. */
static leat_code need_scratch(leat__transform *transform, size_t bytes, leat_error *error)
{
    if (bytes <= transform->capacity) return LEAT_OK;
    drop_scratch(transform);
    transform->scratch = aligned_alloc(LEAT_ALIGNMENT, aligned(bytes));
    if (!transform->scratch)
        return leat__fail(error, LEAT_ENOMEM, 0, "no memory for %zu bytes of scratch to resize an image", bytes);
    transform->capacity = bytes;
    return LEAT_OK;
}

/* leat__resize_down works in blocks: what lies between the pixels and a block's end is read, and must be something. */
static void clear_ring_ends(const passage *p)
{
    const size_t bytes = (size_t)p->transform->image.width * p->transform->channels;
    uint8_t *ring = p->transform->scratch + p->at.ring;
    for (uint32_t i = 0; i < p->at.ring_rows; i++)
        memset(ring + i * p->at.ring_stride + bytes, 0, p->at.ring_stride - bytes);
}

/* Chooses the view, takes scratch for it and computes the filters. */
static leat_code prepare(passage *p, const leat__image_limits *limits, const leat__random_key *key, leat_error *error)
{
    leat__transform *t = p->transform;
    const leat_image *image = &t->image;
    const bool sideways = p->orientation >= 5;
    p->width = sideways ? p->info.height : p->info.width;
    p->height = sideways ? p->info.width : p->info.height;
    assert(p->info.channels == t->channels);
    if (p->width > LEAT__RESIZE_LONGEST || p->height > LEAT__RESIZE_LONGEST)
        return leat__fail(error, LEAT_ELIMIT, 0, "image of %u x %u px: sides over %d px cannot be resized", p->width,
                          p->height, LEAT__RESIZE_LONGEST);
    leat__view_choose(image, p->width, p->height, key, &p->view);
    const leat__view *view = &p->view;
    uint64_t held;
    if (!measure(image, p->width, p->height, view->width, view->height, p->orientation != 1, &p->at) ||
        __builtin_add_overflow((uint64_t)p->at.total, p->info.codec_bytes, &held))
        return leat__fail(error, LEAT_ELIMIT, 0, "image of %u x %u px: too large to be held", p->width, p->height);
    if (p->at.total > LEAT__TRANSFORM_KEEP && held > limits->max_codec_bytes)
        return leat__fail(error, LEAT_ELIMIT, 0,
                          "image of %u x %u px, EXIF orientation %d: %llu bytes needed to decode and %s, %llu allowed",
                          p->width, p->height, p->orientation, (unsigned long long)held,
                          p->orientation != 1 ? "turn upright" : "resize", (unsigned long long)limits->max_codec_bytes);
    assert(p->at.total <= leat__transform_scratch(image, p->info.width, p->info.height));
    leat_code code = need_scratch(t, p->at.total, error);
    if (code) return code;
    clear_ring_ends(p);
    leat__filter_build(&p->across, t->scratch + p->at.across, p->width, view->x, view->x + view->width, image->width);
    leat__filter_build(&p->down, t->scratch + p->at.down, p->height, view->y, view->y + view->height, image->height);
    p->premultiply = t->channels == 4 && !(p->across.identity && p->down.identity);
    return LEAT_OK;
}

static uint32_t strip_length(const passage *p, uint32_t from, uint32_t to)
{
    return to - from < p->at.strip_rows ? to - from : p->at.strip_rows;
}

/* Decodes the whole image, each pixel straight to its upright place: as Pillow's ImageOps.exif_transpose. */
static leat_code turn(passage *p, leat_error *error)
{
    const unsigned channels = p->transform->channels, what = (unsigned)(p->orientation - 1) & 3;
    const bool sideways = p->orientation >= 5, mirror_x = what == 1 || what == 2, mirror_y = what == 2 || what == 3;
    const ptrdiff_t right = mirror_x ? -(ptrdiff_t)channels : (ptrdiff_t)channels;
    const ptrdiff_t line = (ptrdiff_t)p->width * channels, below = mirror_y ? -line : line;
    const ptrdiff_t step_x = sideways ? below : right, step_y = sideways ? right : below;
    uint8_t *strip = p->transform->scratch + p->at.strip, *whole = p->transform->scratch + p->at.whole, *corner = whole;
    if (mirror_x) corner += line - channels;
    if (mirror_y) corner += line * (ptrdiff_t)(p->height - 1);
    const size_t stride = p->at.strip_stride;
    assert((size_t)p->info.width * channels <= stride);
    for (uint32_t y = 0, count; y < p->info.height; y += count) {
        count = strip_length(p, y, p->info.height);
        leat_code code = leat__image_rows(p->reader, strip, stride, count, error);
        if (code) return code;
        for (uint32_t x = 0; x < p->info.width; x++)
            for (uint32_t row = 0; row < count; row++)
                memcpy(corner + (ptrdiff_t)x * step_x + (ptrdiff_t)(y + row) * step_y,
                       strip + row * stride + x * channels,
                       channels);
    }
    p->whole = whole;
    return LEAT_OK;
}

/* The next `count` rows from y on, wherever they come from; they may be changed in place. */
static leat_code take_strip(passage *p, uint32_t y, uint32_t count, uint8_t **rows, size_t *stride, leat_error *error)
{
    if (p->whole) {
        *stride = (size_t)p->width * p->transform->channels;
        *rows = p->whole + y * *stride;
        return LEAT_OK;
    }
    *stride = p->at.strip_stride;
    *rows = p->transform->scratch + p->at.strip;
    return leat__image_rows(p->reader, *rows, *stride, count, error);
}

/* Source row y into its place in the ring, resized across. */
static void put_in_ring(passage *p, uint32_t y, uint8_t *row)
{
    const unsigned channels = p->transform->channels;
    uint8_t *place = p->transform->scratch + p->at.ring + (y % p->at.ring_rows) * p->at.ring_stride;
    uint8_t *used = row + (size_t)p->across.first * channels;
    if (p->premultiply) leat__pixels_premultiply(used, p->across.end - p->across.first);
    if (p->across.identity) memcpy(place, used, (size_t)p->across.size * channels);
    else leat__resize_across(&p->across, row, channels, place);
}

/* Output row y, whose sources are all in the ring. */
static void finish_row(passage *p, uint32_t y)
{
    leat__transform *t = p->transform;
    uint8_t *ring = t->scratch + p->at.ring, *row = t->scratch + p->at.row;
    if (p->down.identity) row = ring + (p->down.spans[y].start % p->at.ring_rows) * p->at.ring_stride;
    else leat__resize_down(&p->down, y, ring, p->at.ring_stride, p->at.ring_rows, (size_t)t->image.width * t->channels,
                           row);
    if (p->premultiply) leat__pixels_unpremultiply(row, t->image.width);
    leat__pixels_put(&t->pixels, row, y, p->view.flip, p->out);
}

static leat_code stream(passage *p, leat_error *error)
{
    uint32_t finished = 0, count;
    uint8_t *rows;
    size_t stride;
    for (uint32_t y = p->whole ? p->down.first : 0; y < p->down.end; y += count) {
        const bool wanted = y >= p->down.first;
        count = strip_length(p, y, wanted ? p->down.end : p->down.first);
        leat_code code = take_strip(p, y, count, &rows, &stride, error);
        if (code) return code;
        if (!wanted) continue;
        for (uint32_t i = 0; i < count; i++) put_in_ring(p, y + i, rows + i * stride);
        for (; finished < p->down.size; finished++) {
            const leat__span *span = &p->down.spans[finished];
            if (span->start + span->taps > y + count) break;
            finish_row(p, finished);
        }
    }
    assert(finished == p->down.size);
    return LEAT_OK;
}

leat_code leat__transform_image(leat__transform *transform, leat__image_reader *reader, const uint8_t *data,
                                size_t size, const leat__image_limits *limits, const leat__random_key *key, void *out,
                                leat_error *error)
{
    passage p = {.transform = transform, .reader = reader, .orientation = 1, .out = out};
    leat_code code = leat__image_open(reader, data, size, transform->image.alpha, limits, &p.info, error);
    if (code) return code; /* the reader is ready for the next image */
    assert(p.info.width > 0 && p.info.height > 0 && p.info.orientation >= 1 && p.info.orientation <= 8);
    if (transform->image.orient) p.orientation = p.info.orientation;
    code = prepare(&p, limits, key, error);
    if (!code && p.orientation != 1) code = turn(&p, error);
    if (!code) code = stream(&p, error);
    if (!code) code = leat__image_verify(reader, error);
    leat__image_done(reader);
    if (transform->capacity > LEAT__TRANSFORM_KEEP) drop_scratch(transform);
    return code;
}
