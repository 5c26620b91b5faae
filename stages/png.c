/* png.c - PNG: the fast reader where it can, libpng for all else.
 *
 * What:    looks at the chunks, checks the limits, and gives the image to pngfast.c, or else to libpng.c.
 * Why so:  the fast reader knows the common forms and takes nothing that is odd in any way; whatever it turns down,
 *          even when it has inflated half of it, libpng reads from the start. So libpng's verdict and words count, a
 *          damaged image is refused by both or by neither, and only one place knows what a PNG may be.
 *          The fast reader has inflated every row, however few are asked for. An image of its forms that it turns down
 *          is therefore read to its end by libpng too (thorough): the verdict does not depend on the crop.
 * Threads: one at a time (a worker's).
 * States:  CLOSED -open-> WAITING (fits the fast reader, CRCs are right) -select, rows, verify-> FAST, or LIBPNG
 *          CLOSED -open-> LIBPNG         done or an error, from any -> CLOSED
 * Not here: sniffing and counting rows (image.c); EXIF (exif.c). */
#include "stages/png.h"

#include <assert.h>
#include <stdlib.h>

#include "pipeline/failure.h"
#include "stages/exif.h"
#include "stages/libpng.h"
#include "stages/pngchunks.h"
#include "stages/pngfast.h"

struct leat__png {
    /* fixed after creation */
    leat__pngfast *fast;
    leat__libpng *libpng;
    /* the image's, from open to done */
    enum { CLOSED, WAITING, FAST, LIBPNG } state;
    leat__png_outline outline;
    leat__image_limits limits;
    leat__image_info info;
    bool alpha;
};

leat__png *leat__png_new(void)
{
    leat__png *png = calloc(1, sizeof *png);
    if (!png) return NULL;
    png->fast = leat__pngfast_new();
    png->libpng = leat__libpng_new();
    if (png->fast && png->libpng) return png;
    leat__png_free(png);
    return NULL;
}

void leat__png_free(leat__png *png)
{
    if (!png) return;
    leat__pngfast_free(png->fast);
    leat__libpng_free(png->libpng);
    free(png);
}

void leat__png_done(leat__png *png)
{
    leat__pngfast_done(png->fast);
    leat__libpng_done(png->libpng);
    png->state = CLOSED;
}

/* Remembers how it went; an error ends the image. */
static leat_code pass(leat__png *png, leat_code code)
{
    if (code != LEAT_OK) leat__png_done(png);
    return code;
}

/* Whether the fast reader may take it, and what it would need. An image to be turned upright is held whole by who
 * asked for it; where memory counts, it is not held twice. */
static bool is_common(const leat__png *png, size_t *bytes)
{
    if (!leat__pngfast_fits(&png->outline, &png->limits, bytes)) return false;
    return png->info.orientation == 1 || *bytes <= LEAT__PNG_SMALL_BYTES;
}

static leat_code open_libpng(leat__png *png, bool thorough, leat_error *error)
{
    png->state = LIBPNG;
    return leat__libpng_open(png->libpng, &png->outline, png->alpha, thorough, &png->limits, &png->info, error);
}

leat_code leat__png_open(leat__png *png, const uint8_t *data, size_t size, bool alpha, const leat__image_limits *limits,
                         leat__image_info *info, leat_error *error)
{
    assert(png->state == CLOSED);
    leat__png_outline *o = &png->outline;
    leat_code code = leat__png_walk(data, size, o, error);
    if (code != LEAT_OK) return code;
    png->limits = *limits;
    png->alpha = alpha;
    png->info = (leat__image_info){.format = LEAT__IMAGE_PNG, .width = o->width, .height = o->height, .most_reduce = 1};
    png->info.channels = alpha ? 4 : 3;
    png->info.orientation = leat__exif_orientation(o->exif, o->exif_size);
    code = leat__image_check_pixels("PNG", &png->info, limits, error);
    if (code != LEAT_OK) return code;
    size_t bytes = 0;
    const bool common = is_common(png, &bytes);
    if (common && leat__pngfast_open(png->fast, o, alpha, limits)) {
        png->state = WAITING;
        png->info.codec_bytes = bytes > LEAT__PNG_SMALL_BYTES ? bytes : 0;
    } else {
        code = open_libpng(png, common, error);
    }
    *info = png->info;
    return pass(png, code);
}

/* Inflates, if the image still waits for it; goes over to libpng if that fails. */
static leat_code decide(leat__png *png, leat_error *error)
{
    assert(png->state != CLOSED);
    if (png->state != WAITING) return LEAT_OK;
    png->state = FAST;
    if (leat__pngfast_unpack(png->fast)) return LEAT_OK;
    if (leat__image_stopped(&png->limits))
        return leat__fail(error, LEAT_ECLOSED, 0, "PNG: %s (by leat_close)", leat__image_word(LEAT_ECLOSED));
    return open_libpng(png, true, error);
}

leat_code leat__png_select(leat__png *png, leat__image_part *part, leat_error *error)
{
    leat_code code = decide(png, error);
    if (code != LEAT_OK) return pass(png, code);
    if (png->state == FAST) leat__pngfast_select(png->fast, part);
    else leat__libpng_select(png->libpng, part);
    return LEAT_OK;
}

leat_code leat__png_rows(leat__png *png, uint8_t *rows, size_t stride, uint32_t count, leat_error *error)
{
    leat_code code = decide(png, error);
    if (code != LEAT_OK) return pass(png, code);
    return pass(png, png->state == FAST ? leat__pngfast_rows(png->fast, rows, stride, count, error)
                                        : leat__libpng_rows(png->libpng, rows, stride, count, error));
}

leat_code leat__png_verify(leat__png *png, leat_error *error)
{
    leat_code code = decide(png, error);
    if (code != LEAT_OK) return pass(png, code);
    return pass(png, png->state == FAST ? leat__pngfast_verify(png->fast, error)
                                        : leat__libpng_verify(png->libpng, error));
}
