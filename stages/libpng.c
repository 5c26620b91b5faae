/* libpng.c - PNG through libpng: every colour type, depth and interlace, as RGB or RGBA rows.
 *
 * What:    lets libpng decode rows straight into the caller's memory.
 * Why so:  libpng reports errors by a function that must not return: each call into it is a step run by attempt(), the
 *          only setjmp here; a step's arguments lie in the struct, so no local can be clobbered.
 *          Palettes are looked up here, not by libpng, which paints an index beyond the palette black without a word.
 *          Interlaced images are decoded whole into a scratch at the first row: their last pass holds half of the
 *          pixels.
 * Threads: one at a time (a worker's).
 * States:  idle -open-> header read -[select]-> -rows-> ... -verify-> finished; done or an error -> idle.
 * Invariants: (1) scratch is of capacity bytes, at most LEAT__PNG_KEEP_BYTES while idle   (2) next <= height
 *          (3) longjmp happens only inside of attempt()
 * Not here: chunks and the data's end (pngchunks.c); the common forms (pngfast.c); EXIF (exif.c). */
#include "stages/libpng.h"

#include <assert.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "pipeline/failure.h"
#include "stages/png.h"

enum {
    STOP_ROWS = 16,                    /* the stop flag is looked at once in so many */
    LIBPNG_ROW_BYTES = 2 * 8,          /* libpng's memory for each px: this row and the one above, of 16-bit RGBA */
};

struct leat__libpng {
    /* kept between images */
    uint8_t *scratch;      /* a row, or an interlaced image */
    size_t capacity;
    /* the image's, from open to done */
    png_structp codec;
    png_infop info;
    leat__image_limits limits;
    const uint8_t *data;
    size_t size, used;     /* used: read by libpng */
    uint32_t width, height;
    leat__image_part part;
    uint32_t next;         /* row of the image to read next; `part` counts only from its first row */
    unsigned channels;
    unsigned depth_bytes;  /* of a pixel as libpng gives it: 1 if indexed, else channels */
    bool alpha, interlaced, indexed, thorough, unpacked, finished; /* unpacked: the interlaced image lies in scratch */
    bool memory_short;     /* an allocation has failed */
    unsigned colours;
    uint8_t palette[256][4]; /* RGBA; zero beyond `colours` */
    /* a step's */
    jmp_buf jump;
    leat_code code;
    char cause[256];
    uint8_t *rows;
    size_t stride;
    uint32_t count;
};

leat__libpng *leat__libpng_new(void)
{
    return calloc(1, sizeof(leat__libpng));
}

void leat__libpng_free(leat__libpng *png)
{
    if (!png) return;
    leat__libpng_done(png);
    free(png->scratch);
    free(png);
}

void leat__libpng_done(leat__libpng *png)
{
    if (png->codec) png_destroy_read_struct(&png->codec, &png->info, NULL);
    assert(!png->codec && !png->info);
    png->data = NULL;
    if (png->capacity <= LEAT__PNG_KEEP_BYTES) return;
    free(png->scratch);
    png->scratch = NULL;
    png->capacity = 0;
}

/* ---- errors ---- */

_Noreturn static void leave(leat__libpng *png, leat_code code, const char *cause)
{
    assert(code != LEAT_OK);
    png->code = code;
    snprintf(png->cause, sizeof png->cause, "%s", cause);
    longjmp(png->jump, 1);
}

_Noreturn static void on_error(png_structp codec, png_const_charp words)
{
    leat__libpng *png = png_get_error_ptr(codec);
    char cause[sizeof png->cause];
    snprintf(cause, sizeof cause, "libpng: %s", words);
    leave(png, png->memory_short ? LEAT_ENOMEM : LEAT_ECORRUPT, cause);
}

/* Most warnings are about what no pixel depends on. Not those about IDAT (a wrong Adler-32, say), except for bytes that
 * are left over when the last row is whole. */
static void on_warning(png_structp codec, png_const_charp words)
{
    if (strncmp(words, "IDAT: ", 6) != 0) return;
    if (strcmp(words + 6, "Extra compressed data") == 0 || strcmp(words + 6, "Too much image data") == 0) return;
    on_error(codec, words);
}

static void *on_malloc(png_structp codec, png_alloc_size_t size)
{
    leat__libpng *png = png_get_mem_ptr(codec);
    void *memory = malloc(size);
    if (!memory) png->memory_short = true;
    return memory;
}

static void on_free(png_structp codec, void *memory)
{
    (void)codec;
    free(memory);
}

static void on_read(png_structp codec, png_bytep out, size_t size)
{
    leat__libpng *png = png_get_io_ptr(codec);
    assert(png->used <= png->size);
    if (leat__image_stopped(&png->limits)) leave(png, LEAT_ECLOSED, "by leat_close"); /* IDATs come in 8 KiB */
    if (size > png->size - png->used) leave(png, LEAT_ETRUNCATED, "libpng reads past the end");
    memcpy(out, png->data + png->used, size);
    png->used += size;
}

/* Runs a step; whatever ends it early ends the image. */
static leat_code attempt(leat__libpng *png, void (*step)(leat__libpng *png), leat_error *error)
{
    if (setjmp(png->jump)) {
        leat__libpng_done(png);
        return leat__fail(error, png->code, 0, "PNG: %s (%s)", leat__image_word(png->code), png->cause);
    }
    step(png);
    return LEAT_OK;
}

/* ---- the header ---- */

/* Bytes of scratch. Cannot overflow: the pixels are within max_pixels and there is memory for the data that says so. */
static bool count_scratch(const leat__libpng *png, size_t *bytes)
{
    uint32_t rows = png->interlaced ? png->height : 1;
    return !__builtin_mul_overflow((size_t)png->width * rows, (size_t)png->depth_bytes, bytes);
}

/* What decoding holds: libpng's rows and our scratch. */
static leat_code check_limits(const leat__libpng *png, leat__image_info *info, leat_error *error)
{
    size_t scratch;
    uint64_t held;
    if (!count_scratch(png, &scratch) ||
        __builtin_add_overflow((uint64_t)png->width * LIBPNG_ROW_BYTES, (uint64_t)scratch, &held))
        held = UINT64_MAX;
    if (png->interlaced || held > LEAT__PNG_SMALL_BYTES) info->codec_bytes = held;
    return leat__image_check_codec("PNG", png->interlaced ? "interlaced" : "in long rows", info->codec_bytes, info,
                                   &png->limits, error);
}

static void read_palette(leat__libpng *png)
{
    png_colorp colours = NULL;
    png_bytep opacity = NULL;
    int count = 0, opacities = 0;
    if (!png_get_PLTE(png->codec, png->info, &colours, &count)) leave(png, LEAT_ECORRUPT, "no palette");
    png_get_tRNS(png->codec, png->info, &opacity, &opacities, NULL);
    assert(count >= 0 && count <= 256);
    memset(png->palette, 0, sizeof png->palette);
    png->colours = (unsigned)count;
    for (int i = 0; i < count; i++) {
        uint8_t a = i < opacities ? opacity[i] : 255;
        memcpy(png->palette[i], (uint8_t[4]){colours[i].red, colours[i].green, colours[i].blue, a}, 4);
    }
}

/* Tells libpng to give RGB or RGBA of 8 bits, or palette indices of 8 bits. */
static void choose_output(leat__libpng *png)
{
    png_structp codec = png->codec;
    int colour = png_get_color_type(codec, png->info);
    if (png->indexed) {
        png_set_packing(codec);
        read_palette(png);
        return;
    }
    bool has_key = png_get_valid(codec, png->info, PNG_INFO_tRNS) != 0;
    png_set_strip_16(codec);
    if (!(colour & PNG_COLOR_MASK_COLOR)) {
        png_set_expand_gray_1_2_4_to_8(codec);
        png_set_gray_to_rgb(codec);
    }
    if (!png->alpha) png_set_strip_alpha(codec);
    else if (has_key && !(colour & PNG_COLOR_MASK_ALPHA)) png_set_tRNS_to_alpha(codec);
    else if (!(colour & PNG_COLOR_MASK_ALPHA)) png_set_add_alpha(codec, 255, PNG_FILLER_AFTER);
}

/* Chunks that change no pixel are skipped unread, whatever they hold; so no chunk takes memory but PLTE and tRNS. */
static void set_limits(leat__libpng *png)
{
    png_structp codec = png->codec;
    png_set_keep_unknown_chunks(codec, PNG_HANDLE_CHUNK_NEVER, NULL, -1); /* all but IHDR, PLTE, tRNS, IDAT, IEND */
    png_set_chunk_cache_max(codec, 1);             /* none */
    png_set_chunk_malloc_max(codec, png->size);    /* skipped chunks are measured by it too: any that fits the file */
    png_set_user_limits(codec, png->width, png->height); /* as checked by check_limits */
    png_set_crc_action(codec, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_benign_errors(codec, 1);               /* come to on_warning, which tells them apart */
    png_set_option(codec, PNG_MAXIMUM_INFLATE_WINDOW, PNG_OPTION_ON); /* some writers say too small a window in CMF */
}

static void read_header(leat__libpng *png)
{
    png->codec = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, png, on_error, on_warning, png, on_malloc, on_free);
    if (png->codec) png->info = png_create_info_struct(png->codec);
    if (!png->info) leave(png, LEAT_ENOMEM, "libpng could not begin");
    set_limits(png);
    png_set_read_fn(png->codec, png, on_read);
    png_read_info(png->codec, png->info);
    choose_output(png);
    int passes = png_set_interlace_handling(png->codec);
    png_read_update_info(png->codec, png->info);
    assert(passes == (png->interlaced ? 7 : 1));
    assert(png_get_image_width(png->codec, png->info) == png->width);
    assert(png_get_image_height(png->codec, png->info) == png->height);
    if (passes < 1 || png_get_rowbytes(png->codec, png->info) != (size_t)png->width * png->depth_bytes)
        leave(png, LEAT_EUNSUPPORTED, "libpng gives rows of another size");
}

leat_code leat__libpng_open(leat__libpng *png, const leat__png_outline *outline, bool alpha, bool thorough,
                            const leat__image_limits *limits, leat__image_info *info, leat_error *error)
{
    assert(!png->codec);
    png->data = outline->data;
    png->size = outline->size;
    png->used = 0;
    png->limits = *limits;
    png->alpha = alpha;
    png->thorough = thorough;
    png->width = outline->width;
    png->height = outline->height;
    png->part = (leat__image_part){.width = png->width, .height = png->height};
    png->indexed = outline->colour == PNG_COLOR_TYPE_PALETTE;
    png->interlaced = outline->interlace != PNG_INTERLACE_NONE;
    png->channels = alpha ? 4 : 3;
    png->depth_bytes = png->indexed ? 1 : png->channels;
    png->unpacked = png->finished = png->memory_short = false;
    png->next = 0;
    leat_code code = check_limits(png, info, error);
    return code == LEAT_OK ? attempt(png, read_header, error) : code;
}

/* ---- rows ---- */

static void need_scratch(leat__libpng *png)
{
    size_t bytes;
    bool fits = count_scratch(png, &bytes);
    assert(fits); /* check_limits */
    if (!fits) leave(png, LEAT_ELIMIT, "scratch");
    if (bytes <= png->capacity) return;
    free(png->scratch);
    png->scratch = malloc(bytes);
    png->capacity = png->scratch ? bytes : 0;
    if (!png->scratch) leave(png, LEAT_ENOMEM, "scratch");
}

static void poll_stop(leat__libpng *png, uint32_t row)
{
    if (row % STOP_ROWS == 0 && leat__image_stopped(&png->limits)) leave(png, LEAT_ECLOSED, "by leat_close");
}

/* All seven passes of an interlaced image into the scratch. */
static void unpack_interlaced(leat__libpng *png)
{
    size_t row_bytes = (size_t)png->width * png->depth_bytes;
    for (int pass = 0; pass < 7; pass++) {
        for (uint32_t y = 0; y < png->height; y++) {
            poll_stop(png, y);
            png_read_row(png->codec, png->scratch + y * row_bytes, NULL);
        }
    }
    png->unpacked = true;
}

/* Indices of a whole row into colours of the wanted columns; out: NULL: only looks. */
static void look_up(leat__libpng *png, const uint8_t *indices, uint8_t *out)
{
    unsigned most = 0;
    for (uint32_t x = 0; x < png->width; x++) most = indices[x] > most ? indices[x] : most;
    if (most >= png->colours) {
        char cause[96];
        snprintf(cause, sizeof cause, "a pixel has colour %u, the palette has %u colours", most, png->colours);
        leave(png, LEAT_ECORRUPT, cause);
    }
    if (!out) return;
    indices += png->part.x;
    for (uint32_t x = 0; x < png->part.width; x++, out += png->channels)
        memcpy(out, png->palette[indices[x]], png->channels);
}

/* The next row; out: NULL: it is not wanted. */
static void take_row(leat__libpng *png, uint8_t *out)
{
    assert(png->next < png->height);
    const size_t pixel = png->depth_bytes, row_bytes = (size_t)png->width * pixel;
    const bool direct = !png->interlaced && !png->indexed && png->part.width == png->width;
    uint8_t *row = png->interlaced ? png->scratch + png->next * row_bytes : png->scratch;
    if (!png->interlaced) png_read_row(png->codec, direct ? out : row, NULL);
    if (png->indexed) look_up(png, row, out);
    else if (!direct && out) memcpy(out, row + png->part.x * pixel, png->part.width * pixel);
    png->next++;
}

static void skip_rows(leat__libpng *png, uint32_t end)
{
    while (png->next < end) {
        poll_stop(png, png->next);
        take_row(png, NULL);
    }
}

static void begin_rows(leat__libpng *png)
{
    if (png->next == 0) need_scratch(png);
    if (png->interlaced && !png->unpacked) unpack_interlaced(png);
}

static void decode_rows(leat__libpng *png)
{
    begin_rows(png);
    skip_rows(png, png->part.y);
    for (; png->count > 0; png->count--, png->rows += png->stride) {
        poll_stop(png, png->next);
        take_row(png, png->rows);
    }
}

void leat__libpng_select(leat__libpng *png, const leat__image_part *part)
{
    assert(png->codec && png->next == 0);
    assert(part->width > 0 && part->width <= png->width - part->x);
    assert(part->height > 0 && part->height <= png->height - part->y);
    png->part = *part;
}

leat_code leat__libpng_rows(leat__libpng *png, uint8_t *rows, size_t stride, uint32_t count, leat_error *error)
{
    assert(png->codec && count <= png->part.height);
    png->rows = rows;
    png->stride = stride;
    png->count = count;
    return attempt(png, decode_rows, error);
}

/* ---- the end ---- */

static void finish(leat__libpng *png)
{
    begin_rows(png);
    if (!png->unpacked) skip_rows(png, png->height);
    png_read_end(png->codec, NULL); /* checks Adler-32, the last IDAT's CRC and the chunks behind it */
    png->finished = true;
}

/* With rows left there is nothing more to see without decoding them: the outline goes on to IEND. */
leat_code leat__libpng_verify(leat__libpng *png, leat_error *error)
{
    assert(png->codec);
    bool whole = png->thorough || png->unpacked || png->next == png->height;
    return whole && !png->finished ? attempt(png, finish, error) : LEAT_OK;
}
