/* jpeg.c - JPEG through libjpeg-turbo.
 *
 * What:    opens an image (header and limits only), chooses scale, columns and rows, decodes rows straight into the
 *          caller's memory, checks the end.
 * Why so:  libjpeg reports errors by a function that must not return, so each call into it is a step run by attempt(),
 *          the only setjmp here; a step's arguments lie in the struct, so no local can be clobbered. libjpeg warns
 *          where it invents pixels (a bad Huffman code, data that ends early); such warnings are errors here.
 *          The decompressor is made anew for each image: reused, it would keep the quantization and Huffman tables of
 *          the image before, so that a file without its own would decode by another sample's, differently from thread
 *          to thread. That costs three small allocations: 0.12 us (measured) of some 600.
 *          Of a part, every code down to its last row is still read, since nothing in the data says where a row
 *          begins: most of the part's time, so huffman.c does it where it can. Where that meets something odd the image
 *          is decoded again by libjpeg alone (do_again), whose verdict counts.
 * Threads: one at a time (a worker's).
 * States:  idle -open-> header read -select or rows-> started -rows-> ... -verify-> finished; done or an error -> idle.
 * Invariants: (1) `created` while libjpeg holds memory for us   (2) finished => started => created
 *          (3) longjmp happens only inside of attempt()
 * Not here: codes (huffman.c); sniffing and counting rows (image.c); which columns to ask for (jpegcrop.c); what
 *          libjpeg's messages mean (jpegfacts.c); EXIF (exif.c). */
#include "stages/jpeg.h"

#include <assert.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "pipeline/failure.h"
#include "stages/exif.h"
#include "stages/huffman.h"
#include "stages/jpegcrop.h"
#include "stages/jpegfacts.h"

enum {
    STRIP_ROWS = 16,               /* handed to libjpeg at once: one row of blocks at 4:2:0 */
    PIECE_BYTES = 1024 * 1024,     /* skipped without a look at the stop flag, in some 10 ms; most files are one */
    ROW_BUFFERS = 32 * 1024 * 1024,/* libjpeg's own rows at worst: 65,536 px x 4 components x 4 + 2 rows of 8 px in the
                                      main buffer, 4 rows in the upsampler, as much again for pointers and tables */
};

struct leat__jpeg {
    /* kept between images */
    leat__huffman *huffman;
    /* the image's, from open to done */
    struct jpeg_decompress_struct codec;
    struct jpeg_error_mgr messages;
    struct jpeg_progress_mgr progress;
    leat__image_limits limits;
    const uint8_t *data;
    size_t size;
    const uint8_t *piece_end;      /* of the data that libjpeg was handed, where that is in pieces */
    boolean (*at_end)(j_decompress_ptr codec); /* jpeg_mem_src's own: says that the data ended */
    uint64_t coefficient_bytes;    /* progressive and multi-scan: held for the whole image; else 0 */
    JSAMPROW ink;                  /* one row of CMYK; NULL if the image is not */
    bool alpha, created, started, finished;
    bool fast;                     /* huffman decodes it */
    bool plain;                    /* it met something odd: libjpeg alone decodes it */
    bool selected;
    unsigned reduce;
    leat__image_part wanted;       /* as it was asked for, if selected */
    uint32_t given;                /* rows so far */
    /* a step's */
    jmp_buf jump;
    leat_code code;
    char cause[JMSG_LENGTH_MAX + 64];
    uint8_t *rows;
    size_t stride;
    uint32_t count;
    leat__image_part part;
};

leat__jpeg *leat__jpeg_new(void)
{
    leat__jpeg *jpeg = calloc(1, sizeof *jpeg);
    if (!jpeg) return NULL;
    jpeg->huffman = leat__huffman_new();
    if (jpeg->huffman) return jpeg;
    free(jpeg);
    return NULL;
}

void leat__jpeg_free(leat__jpeg *jpeg)
{
    if (!jpeg) return;
    leat__jpeg_done(jpeg);
    leat__huffman_free(jpeg->huffman);
    free(jpeg);
}

void leat__jpeg_done(leat__jpeg *jpeg)
{
    if (jpeg->created) jpeg_destroy_decompress(&jpeg->codec);
    jpeg->created = jpeg->started = jpeg->finished = jpeg->fast = false;
    jpeg->ink = NULL;
}

/* ---- errors ---- */

_Noreturn static void leave(leat__jpeg *jpeg, leat_code code, const char *cause)
{
    assert(code != LEAT_OK);
    jpeg->code = code;
    snprintf(jpeg->cause, sizeof jpeg->cause, "%s", cause);
    longjmp(jpeg->jump, 1);
}

_Noreturn static void on_error(j_common_ptr codec)
{
    char words[JMSG_LENGTH_MAX], cause[JMSG_LENGTH_MAX + 16];
    codec->err->format_message(codec, words);
    snprintf(cause, sizeof cause, "libjpeg: %s", words);
    leave(codec->client_data, leat__jpeg_code_of(codec->err->msg_code), cause);
}

static void on_message(j_common_ptr codec, int level)
{
    if (level < 0 && !leat__jpeg_is_harmless(codec->err->msg_code)) on_error(codec);
}

/* Called by libjpeg at least once for each row of blocks, while it reads scans and while it gives rows. */
static void on_progress(j_common_ptr codec)
{
    leat__jpeg *jpeg = codec->client_data;
    if (leat__image_stopped(&jpeg->limits)) leave(jpeg, LEAT_ECLOSED, "by leat_close");
    if (jpeg->codec.input_scan_number <= LEAT__JPEG_MAX_SCANS) return;
    char cause[64];
    snprintf(cause, sizeof cause, "more than %d scans", LEAT__JPEG_MAX_SCANS);
    leave(jpeg, LEAT_ELIMIT, cause);
}

/* huffman's hooks. */
static void on_odd(void *user)
{
    leave(user, LEAT_AGAIN, "odd");
}

static void on_poll(void *user)
{
    leat__jpeg *jpeg = user;
    on_progress((j_common_ptr)&jpeg->codec);
}

/* Runs a step; whatever ends it early ends the image. LEAT_AGAIN: huffman met something odd; see do_again. */
static leat_code attempt(leat__jpeg *jpeg, void (*step)(leat__jpeg *jpeg), leat_error *error)
{
    if (setjmp(jpeg->jump)) {
        leat__jpeg_done(jpeg);
        if (jpeg->code == LEAT_AGAIN) return LEAT_AGAIN;
        return leat__fail(error, jpeg->code, jpeg->messages.msg_code, "JPEG: %s (%s)", leat__image_word(jpeg->code),
                          jpeg->cause);
    }
    step(jpeg);
    return LEAT_OK;
}

/* ---- the header ---- */

static J_COLOR_SPACE choose_output(leat__jpeg *jpeg)
{
    char cause[64];
    switch (jpeg->codec.jpeg_color_space) {
    case JCS_GRAYSCALE:
    case JCS_RGB:
    case JCS_YCbCr: return jpeg->alpha ? JCS_EXT_RGBA : JCS_RGB;
    case JCS_CMYK:
    case JCS_YCCK: return JCS_CMYK;
    default:
        snprintf(cause, sizeof cause, "%d components", jpeg->codec.num_components);
        leave(jpeg, LEAT_EUNSUPPORTED, cause);
    }
}

static void read_header(leat__jpeg *jpeg)
{
    j_decompress_ptr codec = &jpeg->codec;
    codec->err = jpeg_std_error(&jpeg->messages);
    codec->err->error_exit = on_error;
    codec->err->emit_message = on_message;
    codec->client_data = jpeg;
    codec->mem = NULL;
    jpeg->created = true; /* from here jpeg_destroy_decompress takes it, however far its making came */
    jpeg_create_decompress(codec);
    codec->progress = &jpeg->progress;
    jpeg->progress.progress_monitor = on_progress;
    jpeg_mem_src(codec, jpeg->data, jpeg->size);
    jpeg_read_header(codec, TRUE);
    codec->out_color_space = choose_output(jpeg);
    jpeg->coefficient_bytes = leat__jpeg_coefficient_bytes(codec);
}

leat_code leat__jpeg_open(leat__jpeg *jpeg, const uint8_t *data, size_t size, bool alpha,
                          const leat__image_limits *limits, leat__image_info *info, leat_error *error)
{
    assert(!jpeg->created);
    jpeg->data = data;
    jpeg->size = size;
    jpeg->alpha = alpha;
    jpeg->limits = *limits;
    jpeg->plain = jpeg->selected = false;
    jpeg->given = 0;
    leat_code code = attempt(jpeg, read_header, error);
    if (code != LEAT_OK) return code;
    *info = (leat__image_info){.format = LEAT__IMAGE_JPEG,
                               .width = jpeg->codec.image_width,
                               .height = jpeg->codec.image_height,
                               .channels = alpha ? 4 : 3,
                               .codec_bytes = jpeg->coefficient_bytes,
                               .orientation = leat__exif_orientation_of_jpeg(data, size),
                               .most_reduce = 8};
    code = leat__image_check_pixels("JPEG", info, limits, error);
    if (code == LEAT_OK)
        code = leat__image_check_codec("JPEG", "in several scans", info->codec_bytes, info, limits, error);
    if (code != LEAT_OK) leat__jpeg_done(jpeg);
    return code;
}

/* ---- rows ---- */

/* One row of inverted CMYK to RGB or RGBA. a * b / 255, rounded, without a division, is exact for bytes. */
static void ink_to_rgb(const uint8_t *ink, uint8_t *out, uint32_t width, bool alpha)
{
    for (uint32_t x = 0; x < width; x++, ink += 4) {
        for (unsigned c = 0; c < 3; c++) {
            unsigned product = (unsigned)ink[c] * ink[3] + 128;
            *out++ = (uint8_t)((product + (product >> 8)) >> 8);
        }
        if (alpha) *out++ = 255;
    }
}

static void start(leat__jpeg *jpeg)
{
    j_decompress_ptr codec = &jpeg->codec;
    codec->mem->max_memory_to_use = (long)(jpeg->coefficient_bytes + ROW_BUFFERS); /* keeps libjpeg to our estimate */
    jpeg_start_decompress(codec);
    for (int i = 0; i < codec->num_components; i++) {
        if (!codec->comp_info[i].quant_table) leave(jpeg, LEAT_ECORRUPT, "no scan of one of its components");
    }
    if (codec->out_color_space == JCS_CMYK)
        jpeg->ink = codec->mem->alloc_large((j_common_ptr)codec, JPOOL_IMAGE, (size_t)codec->output_width * 4);
    const leat__huffman_hooks hooks = {.odd = on_odd, .poll = on_poll, .user = jpeg};
    jpeg->fast = !jpeg->plain && leat__huffman_attach(jpeg->huffman, codec, jpeg->data + jpeg->size, &hooks);
    jpeg->started = true;
}

static void decode_strip(leat__jpeg *jpeg)
{
    JSAMPROW strip[STRIP_ROWS];
    JDIMENSION count = jpeg->count < STRIP_ROWS ? jpeg->count : STRIP_ROWS;
    if (jpeg->ink) count = 1;
    for (JDIMENSION i = 0; i < count; i++) strip[i] = jpeg->ink ? jpeg->ink : jpeg->rows + i * jpeg->stride;
    JDIMENSION done = jpeg_read_scanlines(&jpeg->codec, strip, count);
    assert(done <= count);
    if (done == 0) leave(jpeg, LEAT_ECORRUPT, "libjpeg gave no row");
    if (jpeg->ink) ink_to_rgb(jpeg->ink, jpeg->rows, jpeg->codec.output_width, jpeg->alpha);
    jpeg->rows += done * jpeg->stride;
    jpeg->count -= done;
    jpeg->given += done;
}

static void decode_rows(leat__jpeg *jpeg)
{
    if (!jpeg->started) start(jpeg);
    while (jpeg->count > 0) decode_strip(jpeg);
}

/* ---- the part that is wanted ---- */

static void hand_piece(leat__jpeg *jpeg, const uint8_t *from)
{
    struct jpeg_source_mgr *source = jpeg->codec.src;
    const size_t left = (size_t)(jpeg->data + jpeg->size - from);
    source->next_input_byte = from;
    source->bytes_in_buffer = left < PIECE_BYTES ? left : PIECE_BYTES;
    jpeg->piece_end = from + source->bytes_in_buffer;
}

static boolean on_piece_end(j_decompress_ptr codec)
{
    leat__jpeg *jpeg = codec->client_data;
    if (jpeg->piece_end == jpeg->data + jpeg->size) return jpeg->at_end(codec);
    on_progress((j_common_ptr)codec);
    hand_piece(jpeg, jpeg->piece_end);
    return TRUE;
}

/* Rows above the part. libjpeg runs through them without a call of on_progress; the end of a piece of data makes one.
 * It is asked once: from row 0 it skips exactly, from other rows not always (libjpeg-turbo 2.1.5, upsampling that looks
 * at the rows around). */
static void skip_rows(leat__jpeg *jpeg, JDIMENSION count)
{
    j_decompress_ptr codec = &jpeg->codec;
    assert(codec->output_scanline == 0);
    if (!jpeg->fast) {
        jpeg->at_end = codec->src->fill_input_buffer;
        codec->src->fill_input_buffer = on_piece_end;
        hand_piece(jpeg, codec->src->next_input_byte);
    }
    if (jpeg_skip_scanlines(codec, count) != count) leave(jpeg, LEAT_ECORRUPT, "libjpeg skipped too few rows");
}

static void start_part(leat__jpeg *jpeg)
{
    j_decompress_ptr codec = &jpeg->codec;
    on_progress((j_common_ptr)codec);
    codec->scale_num = 1;
    codec->scale_denom = jpeg->reduce;
    jpeg->part = jpeg->wanted;
    start(jpeg);
    leat__jpeg_crop(codec, &jpeg->part);
    if (jpeg->fast) leat__jpeg_crop_blocks(codec, &jpeg->part, jpeg->huffman);
    if (jpeg->part.y > 0) skip_rows(jpeg, jpeg->part.y);
}

/* All of it again by libjpeg alone: rows that were given already are right, and go where the next ones will be. */
static void do_again(leat__jpeg *jpeg)
{
    uint8_t *const rows = jpeg->rows;
    const uint32_t given = jpeg->given, count = jpeg->count;
    jpeg->plain = true;
    read_header(jpeg);
    if (jpeg->selected) start_part(jpeg);
    for (uint32_t i = 0; i < given; i++) {
        jpeg->rows = rows;
        jpeg->count = 1;
        decode_rows(jpeg);
    }
    jpeg->rows = rows;
    jpeg->count = count;
    jpeg->given = given;
    decode_rows(jpeg);
}

leat_code leat__jpeg_select(leat__jpeg *jpeg, unsigned reduce, leat__image_part *part, leat_error *error)
{
    assert(jpeg->created && !jpeg->started);
    jpeg->selected = true;
    jpeg->reduce = reduce;
    jpeg->wanted = *part;
    jpeg->count = 0;
    leat_code code = attempt(jpeg, start_part, error);
    if (code == LEAT_AGAIN) code = attempt(jpeg, do_again, error);
    *part = jpeg->part;
    return code;
}

leat_code leat__jpeg_rows(leat__jpeg *jpeg, uint8_t *rows, size_t stride, uint32_t count, leat_error *error)
{
    assert(jpeg->created && !jpeg->finished);
    const uint32_t given = jpeg->given;
    jpeg->rows = rows;
    jpeg->stride = stride;
    jpeg->count = count;
    leat_code code = attempt(jpeg, decode_rows, error);
    if (code != LEAT_AGAIN) return code;
    jpeg->rows = rows;
    jpeg->count = count;
    jpeg->given = given;
    return attempt(jpeg, do_again, error);
}

/* ---- the end ---- */

/* True if an end marker follows. Entropy-coded data cannot hold one (its ff bytes are followed by 00 or RSTn), so that
 * what is found behind the place that was read to is the image's own, however much lies behind it. */
static bool has_end(const uint8_t *from, size_t size)
{
    while (size >= 2) {
        const uint8_t *found = memrchr(from + 1, 0xd9, size - 1);
        if (!found) return false;
        if (found[-1] == 0xff) return true;
        size = (size_t)(found - from);
    }
    return false;
}

static void check_end(leat__jpeg *jpeg)
{
    j_decompress_ptr codec = &jpeg->codec;
    const uint8_t *next = codec->src->next_input_byte;
    if (jpeg->started && codec->output_scanline == codec->output_height) {
        jpeg_finish_decompress(codec); /* reads on to the end marker; the lack of one is an error */
        jpeg->finished = true;
    } else if (!jpeg_input_complete(codec) && codec->unread_marker != JPEG_EOI &&
               !has_end(next, (size_t)(jpeg->data + jpeg->size - next))) {
        leave(jpeg, LEAT_ETRUNCATED, "no end marker");
    }
}

leat_code leat__jpeg_verify(leat__jpeg *jpeg, leat_error *error)
{
    assert(jpeg->created);
    return jpeg->finished ? LEAT_OK : attempt(jpeg, check_end, error);
}
