/* png.c - decoding PNGs: leat's reader against libpng, and the two parts of it alone.
 *
 *     bench-png [--json]
 *
 * The photographs are those of DIR/png/folder (bench/data makes them), DIR being LEAT_BENCH_DATA or
 * /var/tmp/leat-bench3; the other forms are made of them here, by libpng at its default settings. The reference is
 * libpng as its manual says: the simplified API or rows one by one, whichever is faster. Chunks that change no pixel
 * are taken out first: libpng would spend time on colour profiles. png-inflate is compared with zlib,
 * png-inflate-libdeflate with libdeflate, png-unfilter with plain C. */
#include <assert.h>
#include <glob.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libdeflate.h>
#include <png.h>
#include <zlib.h>

#include "bench/timing.h"
#include "stages/image.h"
#include "stages/inflate.h"
#include "stages/pngchunks.h"
#include "stages/unfilter.h"

enum { IMAGES = 64, MOST_PIXELS = 512 * 512, CHANNELS_MOST = 4 };

static const double seconds = 0.03;

typedef struct file {
    unsigned char *data;
    size_t size;
} file;

/* A set of images of one form, and what they are decoded with and to. */
typedef struct set {
    file files[IMAGES];
    unsigned count;
    unsigned channels; /* 3 or 4 */
    leat__image_reader *reader;
    uint8_t *pixels;
    /* the parts */
    leat__inflate *inflate;
    struct libdeflate_decompressor *libdeflate;
    file packed[IMAGES], filtered[IMAGES]; /* zlib streams; rows, with the row above the first */
    leat__png_outline outlines[IMAGES];
    uint8_t *work;
} set;

_Noreturn static void die(const char *why)
{
    fprintf(stderr, "bench-png: %s\n", why);
    exit(1);
}

static void *need(void *memory)
{
    if (!memory) die("out of memory");
    return memory;
}

/* ---- readers ---- */

static void read_ours(void *user)
{
    set *s = user;
    const leat__image_limits limits = {.max_pixels = MOST_PIXELS, .max_codec_bytes = 16 << 20};
    for (unsigned i = 0; i < s->count; i++) {
        leat__image_info info;
        leat_error error;
        const file *from = &s->files[i];
        leat_code code = leat__image_open(s->reader, from->data, from->size, s->channels == 4, &limits, &info, &error);
        if (code == LEAT_OK)
            code = leat__image_rows(s->reader, s->pixels, (size_t)info.width * s->channels, info.height, &error);
        if (code == LEAT_OK) code = leat__image_verify(s->reader, &error);
        if (code != LEAT_OK) die(error.message);
        leat__image_done(s->reader);
    }
}

static void read_simplified(void *user)
{
    set *s = user;
    for (unsigned i = 0; i < s->count; i++) {
        png_image image = {.version = PNG_IMAGE_VERSION};
        if (!png_image_begin_read_from_memory(&image, s->files[i].data, s->files[i].size)) die(image.message);
        image.format = s->channels == 4 ? PNG_FORMAT_RGBA : PNG_FORMAT_RGB;
        if (!png_image_finish_read(&image, NULL, s->pixels, 0, NULL)) die(image.message);
    }
}

static void on_read(png_structp codec, png_bytep out, size_t size)
{
    file *from = png_get_io_ptr(codec);
    if (size > from->size) png_error(codec, "end");
    memcpy(out, from->data, size);
    from->data += size, from->size -= size;
}

static void read_one(const set *s, file from)
{
    static png_bytep rows[MOST_PIXELS];
    png_structp codec = need(png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL));
    png_infop info = need(png_create_info_struct(codec));
    if (setjmp(png_jmpbuf(codec))) die("libpng refuses an image");
    png_set_read_fn(codec, &from, on_read);
    png_read_info(codec, info);
    png_set_expand(codec);
    png_set_gray_to_rgb(codec);
    if (s->channels == 3) png_set_strip_alpha(codec);
    else png_set_add_alpha(codec, 255, PNG_FILLER_AFTER);
    png_read_update_info(codec, info);
    const size_t row_bytes = png_get_rowbytes(codec, info);
    const uint32_t height = png_get_image_height(codec, info);
    if (row_bytes * height > (size_t)MOST_PIXELS * CHANNELS_MOST) die("an image is too large");
    for (uint32_t y = 0; y < height; y++) rows[y] = s->pixels + y * row_bytes;
    png_read_image(codec, rows);
    png_read_end(codec, NULL);
    png_destroy_read_struct(&codec, &info, NULL);
}

static void read_by_rows(void *user)
{
    const set *s = user;
    for (unsigned i = 0; i < s->count; i++) read_one(s, s->files[i]);
}

/* ---- images ---- */

static size_t chunk_bytes(const uint8_t *chunk)
{
    return 12 + ((size_t)chunk[0] << 24 | (size_t)chunk[1] << 16 | (size_t)chunk[2] << 8 | chunk[3]);
}

/* Takes ancillary chunks out, whose names begin with a small letter. */
static void make_bare(file *of)
{
    size_t to = 8;
    for (size_t at = 8, bytes; at < of->size; at += bytes) {
        bytes = chunk_bytes(of->data + at);
        if (bytes > of->size - at) die("an image is damaged");
        if (of->data[at + 4] & 0x20) continue;
        memmove(of->data + to, of->data + at, bytes);
        to += bytes;
    }
    of->size = to;
}

static void load_photos(set *s)
{
    const char *folder = getenv("LEAT_BENCH_DATA");
    char pattern[4096];
    snprintf(pattern, sizeof pattern, "%s/png/folder/*/*.png", folder ? folder : "/var/tmp/leat-bench3");
    glob_t found;
    if (glob(pattern, 0, NULL, &found) != 0) {
        fprintf(stderr, "bench-png: no %s: make the data with bench/data\n", pattern);
        exit(1);
    }
    s->count = found.gl_pathc < IMAGES ? (unsigned)found.gl_pathc : IMAGES;
    for (unsigned i = 0; i < s->count; i++) {
        s->files[i].data = bench_read_file(found.gl_pathv[i * found.gl_pathc / s->count], &s->files[i].size);
        make_bare(&s->files[i]);
    }
    globfree(&found);
}

/* The pixels of a photograph written anew: RGB, and alpha that changes slowly. */
static file encode(const file *photo, png_uint_32 format)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_memory(&image, photo->data, photo->size)) die(image.message);
    image.format = format;
    uint8_t *pixels = need(malloc(PNG_IMAGE_SIZE(image))), *colours = need(calloc(1, 256 * 4));
    if (!png_image_finish_read(&image, NULL, pixels, 0, colours)) die(image.message);
    const unsigned channels = PNG_IMAGE_SAMPLE_CHANNELS(format);
    if (format & PNG_FORMAT_FLAG_ALPHA) {
        for (size_t i = 0; i < (size_t)image.width * image.height; i++)
            pixels[i * channels + channels - 1] = (uint8_t)(i % image.width / 2 + i / image.width / 4);
    }
    png_alloc_size_t size = 0;
    if (!png_image_write_get_memory_size(image, size, 0, pixels, 0, colours)) die(image.message);
    file out = {need(malloc(size)), size};
    if (!png_image_write_to_memory(&image, out.data, &out.size, 0, pixels, 0, colours)) die(image.message);
    free(pixels);
    free(colours);
    return out;
}

static void compare_readers(bool json, const char *name, set *s)
{
    bench_result choice = bench_compare(read_simplified, read_by_rows, s, seconds / 3);
    bench_result result = bench_compare(read_ours, choice.ratio > 1 ? read_simplified : read_by_rows, s, seconds);
    bench_print(json, name, &result, s->count, "images");
}

/* ---- the parts ---- */

static void inflate_ours(void *user)
{
    set *s = user;
    for (unsigned i = 0; i < s->count; i++) {
        const size_t above = 1 + (size_t)s->outlines[i].width * 3;
        if (!leat__inflate_zlib(s->inflate, s->packed[i].data, s->packed[i].size, s->work, s->filtered[i].size - above, NULL))
            die("inflate.c refuses an image");
    }
}

static void inflate_libdeflate(void *user)
{
    set *s = user;
    for (unsigned i = 0; i < s->count; i++) {
        const size_t above = 1 + (size_t)s->outlines[i].width * 3;
        if (libdeflate_zlib_decompress(s->libdeflate, s->packed[i].data, s->packed[i].size, s->work,
                                       s->filtered[i].size - above, NULL) != LIBDEFLATE_SUCCESS)
            die("libdeflate refuses an image");
    }
}

static void inflate_zlib(void *user)
{
    set *s = user;
    for (unsigned i = 0; i < s->count; i++) {
        uLongf size = s->filtered[i].size;
        if (uncompress(s->work, &size, s->packed[i].data, s->packed[i].size) != Z_OK) die("zlib refuses an image");
    }
}

/* Both unfilter a copy, since it is done in place. */
static void unfilter_with(set *s, void (*unfilter)(uint8_t *, size_t, unsigned, size_t))
{
    for (unsigned i = 0; i < s->count; i++) {
        const size_t row_bytes = (size_t)s->outlines[i].width * 3;
        memcpy(s->work, s->filtered[i].data, s->filtered[i].size);
        unfilter(s->work + 1 + row_bytes, row_bytes, 3, s->outlines[i].height);
    }
}

static void unfilter_ours(void *user)
{
    unfilter_with(user, leat__unfilter);
}

static void unfilter_plain(void *user)
{
    unfilter_with(user, leat__unfilter_plain);
}

/* Takes the RGB images apart; gives the megabytes of their rows. */
static double take_apart(set *s)
{
    double bytes = 0;
    for (unsigned i = 0; i < s->count; i++) {
        leat__png_outline *o = &s->outlines[i];
        leat_error error;
        if (leat__png_walk(s->files[i].data, s->files[i].size, o, &error) != LEAT_OK) die(error.message);
        if (!o->plain || o->colour != LEAT__PNG_RGB) die("a photograph is not plain RGB");
        const size_t stride = 1 + (size_t)o->width * 3, size = stride * o->height;
        s->packed[i] = (file){need(malloc(o->packed_size)), o->packed_size};
        leat__png_gather(o, s->packed[i].data);
        s->filtered[i] = (file){need(calloc(1, stride + size + LEAT__INFLATE_SLACK)), stride + size};
        if (!leat__inflate_zlib(s->inflate, s->packed[i].data, o->packed_size, s->filtered[i].data + stride, size, NULL))
            die("inflate.c refuses an image");
        bytes += (double)size;
    }
    return bytes / 1e6;
}

static void compare_parts(bool json, set *s)
{
    const double megabytes = take_apart(s);
    bench_result result = bench_compare(inflate_ours, inflate_zlib, s, seconds);
    bench_print(json, "png-inflate", &result, megabytes, "MB");
    result = bench_compare(inflate_ours, inflate_libdeflate, s, seconds);
    bench_print(json, "png-inflate-libdeflate", &result, megabytes, "MB");
    result = bench_compare(unfilter_ours, unfilter_plain, s, seconds);
    bench_print(json, "png-unfilter", &result, megabytes, "MB");
    for (unsigned i = 0; i < s->count; i++) {
        free(s->packed[i].data);
        free(s->filtered[i].data);
    }
}

static void free_files(set *s)
{
    for (unsigned i = 0; i < s->count; i++) free(s->files[i].data);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        png_uint_32 format;
        unsigned channels;
    } forms[] = {
        {"png-256-rgb-libpng", PNG_FORMAT_RGB, 3},  {"png-256-rgba-libpng", PNG_FORMAT_RGBA, 4},
        {"png-256-grey-libpng", PNG_FORMAT_GRAY, 3}, {"png-256-grey-alpha-libpng", PNG_FORMAT_GA, 4},
        {"png-256-palette-libpng", PNG_FORMAT_RGB_COLORMAP, 3},
    };
    static set photos, made;
    bool json;
    if (!bench_arguments(argc, argv, &json)) die("usage: bench-png [--json]");
    photos.reader = need(leat__image_reader_new());
    photos.inflate = need(leat__inflate_new());
    photos.libdeflate = need(libdeflate_alloc_decompressor());
    photos.pixels = need(malloc((size_t)MOST_PIXELS * CHANNELS_MOST));
    photos.work = need(malloc((size_t)MOST_PIXELS * CHANNELS_MOST));
    photos.channels = 3;
    load_photos(&photos);
    compare_readers(json, "png-256-rgb", &photos);
    compare_parts(json, &photos);
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        made = (set){.count = photos.count, .channels = forms[f].channels};
        made.reader = photos.reader, made.pixels = photos.pixels;
        for (unsigned i = 0; i < made.count; i++) made.files[i] = encode(&photos.files[i], forms[f].format);
        compare_readers(json, forms[f].name, &made);
        free_files(&made);
    }
    free_files(&photos);
    leat__image_reader_free(photos.reader);
    leat__inflate_free(photos.inflate);
    libdeflate_free_decompressor(photos.libdeflate);
    free(photos.pixels);
    free(photos.work);
    return 0;
}
