/* transform.c - from image rows to a row of the batch, in one streaming pass.
 *
 * What:    rows come in strips of a few, straight into a ring that holds as many as one output row can be made of, and
 *          a strip; whenever an output row's sources are all there it is resized, normalized, converted and written to
 *          its final place.
 * Why so:  the ring (16 rows for a photograph) stays in the caches near the core, nothing is copied, and memory does
 *          not grow with the image's height. With LEAT_DECODE_CROP the reader is told which rows and columns are
 *          needed, and at which scale. Images to be turned upright (EXIF) are decoded whole first, straight into their
 *          turned place: their first row is only known then.
 * Threads: one transform per worker; leat__transform_image runs in the pool.
 * Invariants: scratch holds exactly what `measure` says, at offsets that are multiples of 64; before a strip is read
 *          every output row that could be made has been, so the ring never loses a row that is still needed (ring_rows
 *          >= what resize keeps + a strip).
 * Not here: the resize itself (resize.c), the choice of the box (view.c), formats (image.h). */
#include "stages/transform.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"
#include "stages/pixels.h"
#include "stages/resize.h"

#define STRIP_BYTES ((size_t)256 << 10) /* a strip is as many rows as fit, at least 1 ... */
#define STRIP_ROWS 8                    /* ... and at most so many: two strips of a photograph stay in 32 KiB */
#define AROUND_CACHE true /* a batch is larger than the caches, and its trainer copies it once */

struct leat__transform {
    /* fixed after creation */
    leat_image image;
    leat__pixels pixels;
    leat__simd level;
    unsigned channels;
    /* the job's own */
    uint8_t *scratch;
    size_t capacity;
};

/* Where things lie in the scratch, bytes from its start. */
typedef struct layout {
    size_t ring, row, whole, total; /* the resize's own memory is first */
    size_t stride;
    uint32_t strip_rows, ring_rows;
} layout;

/* One image on its way. */
typedef struct passage {
    leat__transform *transform;
    leat__image_reader *reader;
    leat__image_info info;
    int orientation;
    unsigned reduce;        /* the image is decoded at 1/reduce of its size */
    leat__view view;        /* in pixels of the upright image */
    leat__line across, down;/* in pixels of the image as it is decoded, reduced if it is */
    leat__image_part part;  /* of it: what the reader gives */
    layout at;
    leat__resize resize;
    bool premultiply;       /* alpha, and at least one direction is resized */
    uint8_t *whole;         /* the upright image, if it had to be turned; else NULL: rows come from the reader */
    void *out;
} passage;

static size_t aligned(size_t bytes)
{
    return (bytes + LEAT_ALIGNMENT - 1) / LEAT_ALIGNMENT * LEAT_ALIGNMENT;
}

static uint32_t strip_rows_for(size_t stride)
{
    const size_t fit = STRIP_BYTES / stride;
    return fit < 1 ? 1 : fit > STRIP_ROWS ? STRIP_ROWS : (uint32_t)fit;
}

/* Bytes of a ring for `kept` rows and a strip, rounded up to whole strips; never less for a longer stride. */
static size_t ring_bytes(size_t stride, uint32_t kept)
{
    const size_t strip = stride * STRIP_ROWS < STRIP_BYTES ? stride * STRIP_ROWS : STRIP_BYTES;
    return kept * stride + 2 * (strip < stride ? stride : strip);
}

/* Lays out the scratch: `resize` bytes for the resize, a ring for `kept` rows of `width` px and a strip, an output row,
 * and `whole` px of an upright image (0: none). False if that overflows. */
static bool measure(const leat_image *image, size_t resize, uint32_t width, uint32_t kept, uint64_t whole, layout *at)
{
    const size_t channels = image->alpha ? 4 : 3;
    at->stride = aligned(width * channels + LEAT__RESIZE_SLACK);
    at->strip_rows = strip_rows_for(at->stride);
    at->ring_rows = (kept + at->strip_rows - 1) / at->strip_rows * at->strip_rows + at->strip_rows;
    at->ring = resize;
    at->row = at->ring + ring_bytes(at->stride, kept);
    assert(at->ring_rows * at->stride <= at->row - at->ring);
    at->whole = at->row + leat__resize_row_bytes(image->width, (unsigned)channels);
    at->total = at->whole;
    size_t bytes;
    return !whole || (!__builtin_mul_overflow(whole, channels, &bytes) &&
                      !__builtin_add_overflow(bytes, (size_t)(LEAT__RESIZE_SLACK + LEAT_ALIGNMENT), &bytes) &&
                      !__builtin_add_overflow(at->total, aligned(bytes), &at->total));
}

/* The most that any part of an image of width x height px needs, stored in rows of `stored` px. */
static size_t most_scratch(const leat_image *image, uint32_t width, uint32_t height, uint32_t stored, uint64_t whole)
{
    const leat__line across = {.length = width, .size = image->width, .resample = image->resample};
    const leat__line down = {.length = height, .size = image->height, .resample = image->resample};
    const uint32_t taps = leat__filter_most_taps(image->resample, height, image->height);
    const uint32_t kept = (taps < LEAT__FILTER_FEW ? taps : LEAT__FILTER_FEW) - 1;
    layout at;
    const size_t resize = leat__resize_most_bytes(&across, &down, image->alpha ? 4 : 3);
    return measure(image, resize, stored, kept, whole, &at) ? at.total : SIZE_MAX;
}

size_t leat__transform_scratch(const leat_image *image, uint32_t width, uint32_t height)
{
    assert(width > 0 && height > 0);
    if (!image->orient) return most_scratch(image, width, height, width, 0);
    const uint64_t pixels = (uint64_t)width * height;
    const size_t upright = most_scratch(image, width, height, width, pixels);
    const size_t sideways = most_scratch(image, height, width, width, pixels);
    return upright > sideways ? upright : sideways;
}

leat__transform *leat__transform_new(const leat_image *image)
{
    leat__transform *transform = calloc(1, sizeof(*transform));
    if (!transform) return NULL;
    transform->image = *image;
    transform->channels = image->alpha ? 4 : 3;
    transform->level = leat__simd_best();
    leat__pixels_init(&transform->pixels, image, transform->level);
    transform->pixels.around_cache = AROUND_CACHE;
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
    memset(transform->scratch, 0, bytes); /* kernels read behind the columns, with weights of 0: by no chance then */
    transform->capacity = bytes;
    return LEAT_OK;
}

/* The largest reduction at which the crop is still no smaller than the output. */
static unsigned choose_reduce(const passage *p)
{
    const leat_image *image = &p->transform->image;
    unsigned reduce = 1;
    if (image->decode == LEAT_DECODE_WHOLE || p->orientation != 1) return 1;
    while (2 * reduce <= 8 && 2 * reduce <= p->info.most_reduce && p->view.width / (2 * reduce) >= image->width &&
           p->view.height / (2 * reduce) >= image->height)
        reduce *= 2;
    return reduce;
}

/* Chooses the view and the scale, and plans the resize. */
static leat_code plan(passage *p, const leat__random_key *key, leat_error *error)
{
    const leat_image *image = &p->transform->image;
    const bool sideways = p->orientation >= 5;
    const uint32_t width = sideways ? p->info.height : p->info.width;
    const uint32_t height = sideways ? p->info.width : p->info.height;
    assert(p->info.channels == p->transform->channels);
    if (width > LEAT__FILTER_LONGEST || height > LEAT__FILTER_LONGEST)
        return leat__fail(error, LEAT_ELIMIT, 0, "image of %u x %u px: sides over %d px cannot be resized", width,
                          height, LEAT__FILTER_LONGEST);
    leat__view_choose(image, width, height, key, &p->view);
    const leat__view *view = &p->view;
    const unsigned by = p->reduce = choose_reduce(p);
    p->across = (leat__line){.length = (width + by - 1) / by, .size = image->width, .begin = view->x / by,
                             .end = (view->x + view->width) / by, .resample = image->resample, .mirrored = view->flip};
    p->down = (leat__line){.length = (height + by - 1) / by, .size = image->height, .begin = view->y / by,
                           .end = (view->y + view->height) / by, .resample = image->resample};
    leat__resize_plan(&p->resize, &p->across, &p->down, p->transform->channels, p->transform->level);
    p->premultiply = p->transform->channels == 4 && !(p->resize.across.identity && p->resize.down.identity);
    return LEAT_OK;
}

/* Tells the reader what is needed of it. */
static leat_code choose_part(passage *p, leat_error *error)
{
    const leat__filter *across = &p->resize.across, *down = &p->resize.down;
    p->part = (leat__image_part){.width = p->info.width, .height = p->info.height};
    if (p->transform->image.decode == LEAT_DECODE_WHOLE || p->orientation != 1) return LEAT_OK;
    const leat__image_part needed = {.x = across->first, .y = down->first, .width = across->end - across->first,
                                     .height = down->end - down->first};
    if (needed.width == p->part.width && needed.height == p->part.height) return LEAT_OK; /* all of it, at full size */
    p->part = needed;
    const leat_code code = leat__image_select(p->reader, p->reduce, &p->part, error);
    assert(code || (p->part.x <= needed.x && p->part.x + p->part.width >= needed.x + needed.width));
    return code;
}

/* Takes scratch, for what is planned, and makes the resize ready. */
static leat_code prepare(passage *p, const leat__image_limits *limits, leat_error *error)
{
    leat__transform *t = p->transform;
    const bool turned = p->orientation != 1;
    const uint32_t width = p->info.width, height = p->info.height;
    uint64_t held;
    if (!measure(&t->image, leat__resize_bytes(&p->resize), p->part.width, leat__resize_kept(&p->resize),
                 turned ? (uint64_t)width * height : 0, &p->at) ||
        __builtin_add_overflow((uint64_t)p->at.total, p->info.codec_bytes, &held))
        return leat__fail(error, LEAT_ELIMIT, 0, "image of %u x %u px: too large to be held", width, height);
    if (p->at.total > LEAT__TRANSFORM_KEEP && held > limits->max_codec_bytes)
        return leat__fail(error, LEAT_ELIMIT, 0,
                          "image of %u x %u px, EXIF orientation %d: %llu bytes needed to decode and %s, %llu allowed",
                          p->across.length, p->down.length, p->orientation, (unsigned long long)held,
                          turned ? "turn upright" : "resize", (unsigned long long)limits->max_codec_bytes);
    assert(p->at.total <= leat__transform_scratch(&t->image, width, height));
    leat_code code = need_scratch(t, p->at.total, error);
    if (code) return code;
    leat__ring ring = {.rows = t->scratch + p->at.ring, .stride = p->at.stride, .count = p->at.ring_rows,
                       .column = p->part.x};
    if (turned) {
        p->whole = t->scratch + p->at.whole;
        const size_t stride = (size_t)p->across.length * t->channels;
        ring = (leat__ring){.rows = p->whole, .stride = stride, .count = p->down.length};
    }
    leat__resize_begin(&p->resize, &p->across, &p->down, &ring, t->scratch);
    return LEAT_OK;
}

/* Decodes the whole image, each pixel straight to its upright place: as Pillow's ImageOps.exif_transpose. */
static leat_code turn(passage *p, leat_error *error)
{
    const unsigned channels = p->transform->channels, what = (unsigned)(p->orientation - 1) & 3;
    const bool sideways = p->orientation >= 5, mirror_x = what == 1 || what == 2, mirror_y = what == 2 || what == 3;
    const ptrdiff_t right = mirror_x ? -(ptrdiff_t)channels : (ptrdiff_t)channels;
    const ptrdiff_t line = (ptrdiff_t)p->across.length * channels, below = mirror_y ? -line : line;
    const ptrdiff_t step_x = sideways ? below : right, step_y = sideways ? right : below;
    uint8_t *strip = p->transform->scratch + p->at.ring, *corner = p->whole;
    if (mirror_x) corner += line - channels;
    if (mirror_y) corner += line * (ptrdiff_t)(p->down.length - 1);
    const size_t stride = p->at.stride;
    for (uint32_t y = 0, count; y < p->info.height; y += count) {
        count = p->info.height - y < p->at.strip_rows ? p->info.height - y : p->at.strip_rows;
        leat_code code = leat__image_rows(p->reader, strip, stride, count, error);
        if (code) return code;
        for (uint32_t x = 0; x < p->info.width; x++)
            for (uint32_t row = 0; row < count; row++)
                memcpy(corner + (ptrdiff_t)x * step_x + (ptrdiff_t)(y + row) * step_y,
                       strip + row * stride + x * channels,
                       channels);
    }
    return LEAT_OK;
}

/* Rows y .. y + count, at `rows`, are where the resize looks for them: makes every output row that can be made. */
static void use_rows(passage *p, uint32_t y, uint32_t count, uint8_t *rows)
{
    leat__transform *t = p->transform;
    const leat__ring *ring = &p->resize.ring;
    const leat__filter *across = &p->resize.across;
    uint8_t *row = t->scratch + p->at.row;
    if (p->premultiply)
        for (uint32_t i = 0; i < count; i++)
            leat__pixels_premultiply(rows + i * ring->stride + (size_t)(across->first - ring->column) * t->channels,
                                     across->end - across->first);
    leat__resize_take(&p->resize, y + count);
    for (uint32_t at; leat__resize_next(&p->resize, row, &at);) {
        if (p->premultiply) leat__pixels_unpremultiply(row, p->resize.out_plane, across->size);
        leat__pixels_put(&t->pixels, row, p->resize.out_plane, at, p->out);
    }
}

/* Decodes strip by strip. With LEAT_DECODE_WHOLE rows above the crop and below are read too, into the ring. */
static leat_code stream(passage *p, leat_error *error)
{
    const leat__filter *down = &p->resize.down;
    const uint32_t stop = p->transform->image.decode == LEAT_DECODE_WHOLE ? p->info.height : down->end;
    for (uint32_t y = p->part.y, count; y < stop; y += count) {
        const uint32_t left = p->at.strip_rows - y % p->at.strip_rows; /* the ring's end is a strip's end */
        count = stop - y < left ? stop - y : left;
        uint8_t *rows = p->transform->scratch + p->at.ring + (y % p->at.ring_rows) * p->at.stride;
        leat_code code = leat__image_rows(p->reader, rows, p->at.stride, count, error);
        if (code) return code;
        if (y + count > down->first && y < down->end) use_rows(p, y, count, rows);
    }
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
    code = plan(&p, key, error);
    if (!code) code = choose_part(&p, error);
    if (!code) code = prepare(&p, limits, error);
    if (!code && !p.whole) code = stream(&p, error);
    if (!code && p.whole) code = turn(&p, error);
    if (!code && p.whole)
        use_rows(&p, p.resize.down.first, p.resize.down.end - p.resize.down.first,
                 p.whole + p.resize.down.first * p.resize.ring.stride);
    if (!code) code = leat__image_verify(reader, error);
    assert(code || p.resize.next == p.resize.down.size);
    leat__pixels_done(&transform->pixels);
    leat__image_done(reader);
    if (transform->capacity > LEAT__TRANSFORM_KEEP) drop_scratch(transform);
    return code;
}
