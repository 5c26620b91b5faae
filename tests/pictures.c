/* pictures.c - synthetic JPEGs and PNGs of every form, with the pixels they must decode to.
 *
 * What:    encoders (libjpeg, libpng) over gradients with noise, the reference decodes, and tools to do damage.
 * Why so:  made, not stored: the sweep over forms is thousands of files. A failure here aborts: a test cannot go on.
 * Threads: any; no shared state. */
#include "tests/pictures.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <png.h>
#include <zlib.h>

static void *need(void *memory)
{
    if (!memory) abort();
    return memory;
}

static uint32_t noise(uint32_t x, uint32_t y, uint32_t c)
{
    uint32_t h = x * 0x9e3779b1u ^ y * 0x85ebca77u ^ (c + 1) * 0xc2b2ae3du;
    h ^= h >> 15, h *= 0x2c1b3c6du, h ^= h >> 12, h *= 0x297a2d39u;
    return h ^ h >> 15;
}

/* ---- bytes ---- */

picture picture_copy(const picture *of)
{
    picture copy = {need(malloc(of->size + 1)), of->size};
    memcpy(copy.data, of->data, of->size);
    return copy;
}

void picture_insert(picture *of, size_t at, const void *bytes, size_t size)
{
    assert(at <= of->size);
    of->data = need(realloc(of->data, of->size + size + 1));
    memmove(of->data + at + size, of->data + at, of->size - at);
    memcpy(of->data + at, bytes, size);
    of->size += size;
}

void picture_remove(picture *of, size_t at, size_t size)
{
    assert(at + size <= of->size);
    memmove(of->data + at, of->data + at + size, of->size - at - size);
    of->size -= size;
}

static void put_u32(uint8_t *out, uint32_t value)
{
    out[0] = (uint8_t)(value >> 24), out[1] = (uint8_t)(value >> 16), out[2] = (uint8_t)(value >> 8);
    out[3] = (uint8_t)value;
}

size_t picture_chunk(uint8_t *out, const char *type, const void *bytes, size_t size)
{
    put_u32(out, (uint32_t)size);
    memcpy(out + 4, type, 4);
    if (size) memcpy(out + 8, bytes, size);
    put_u32(out + 8 + size, (uint32_t)crc32(0, out + 4, (uInt)(size + 4)));
    return size + 12;
}

void picture_insert_chunk(picture *png, size_t at, const char *type, const void *bytes, size_t size)
{
    uint8_t *chunk = need(malloc(size + 12));
    picture_insert(png, at, chunk, picture_chunk(chunk, type, bytes, size));
    free(chunk);
}

size_t picture_find_chunk(const picture *png, const char *type)
{
    for (size_t at = 8; at + 12 <= png->size;) {
        if (memcmp(png->data + at + 4, type, 4) == 0) return at;
        const uint8_t *d = png->data + at;
        at += 12 + ((size_t)d[0] << 24 | (size_t)d[1] << 16 | (size_t)d[2] << 8 | d[3]);
    }
    return SIZE_MAX;
}

size_t picture_find_marker(const picture *jpeg, uint8_t marker)
{
    for (size_t at = 2; at + 4 <= jpeg->size && jpeg->data[at] == 0xff;) {
        if (jpeg->data[at + 1] == marker) return at;
        if (jpeg->data[at + 1] == 0xda) break;
        at += 2 + ((size_t)jpeg->data[at + 2] << 8 | jpeg->data[at + 3]);
    }
    return SIZE_MAX;
}

static void put_number(uint8_t *out, bool big_endian, unsigned bytes, uint32_t value)
{
    for (unsigned i = 0; i < bytes; i++) out[big_endian ? bytes - 1 - i : i] = (uint8_t)(value >> (8 * i));
}

size_t picture_exif(uint8_t out[32], bool prefix, bool big_endian, unsigned tag, unsigned type, uint32_t count,
                    uint32_t value)
{
    memset(out, 0, 32);
    uint8_t *at = out;
    if (prefix) memcpy(at, "Exif\0\0", 6), at += 6;
    memcpy(at, big_endian ? "MM\0*" : "II*\0", 4);
    put_number(at + 4, big_endian, 4, 8);
    put_number(at + 8, big_endian, 2, 1);
    put_number(at + 10, big_endian, 2, tag);
    put_number(at + 12, big_endian, 2, type);
    put_number(at + 14, big_endian, 4, count);
    put_number(at + 18, big_endian, type == 3 ? 2 : 4, value);
    return (size_t)(at + 22 - out);
}

void picture_orient_jpeg(picture *jpeg, unsigned orientation, bool big_endian)
{
    uint8_t segment[36] = {0xff, 0xe1, 0, 0};
    size_t size = picture_exif(segment + 4, true, big_endian, 0x112, 3, 1, orientation);
    segment[3] = (uint8_t)(size + 2);
    picture_insert(jpeg, 2, segment, size + 4);
}

void picture_orient_png(picture *png, unsigned orientation, bool behind)
{
    uint8_t block[32];
    size_t size = picture_exif(block, false, true, 0x112, 3, 1, orientation);
    picture_insert_chunk(png, picture_find_chunk(png, behind ? "IEND" : "IDAT"), "eXIf", block, size);
}

/* ---- JPEG ---- */

static const struct {
    J_COLOR_SPACE in, stored;
    int components;
} jpeg_spaces[] = {
    [STORED_GREY] = {JCS_GRAYSCALE, JCS_GRAYSCALE, 1}, [STORED_RGB] = {JCS_RGB, JCS_RGB, 3},
    [STORED_YCC] = {JCS_RGB, JCS_YCbCr, 3},            [STORED_CMYK] = {JCS_CMYK, JCS_CMYK, 4},
    [STORED_YCCK] = {JCS_CMYK, JCS_YCCK, 4},           [STORED_TWO] = {JCS_UNKNOWN, JCS_UNKNOWN, 2},
};

/* Scan scripts; returns the number of scans. */
static int make_script(jpeg_scan_info *script, jpeg_scans scans, int components)
{
    int n = 0;
    for (int c = 0; c < components; c++) {
        script[n++] = (jpeg_scan_info){.comps_in_scan = 1, .component_index = {c}, .Se = scans == SCANS_MANY ? 0 : 63};
    }
    for (int c = 0; c < components && scans == SCANS_MANY; c++) {
        for (int k = 1; k < 64; k++)
            script[n++] = (jpeg_scan_info){.comps_in_scan = 1, .component_index = {c}, .Ss = k, .Se = k};
    }
    return n;
}

static void write_jpeg_rows(j_compress_ptr codec)
{
    size_t row_bytes = (size_t)codec->image_width * (size_t)codec->input_components;
    uint8_t *row = need(malloc(row_bytes));
    while (codec->next_scanline < codec->image_height) {
        uint32_t y = codec->next_scanline;
        for (size_t i = 0; i < row_bytes; i++) {
            uint32_t c = (uint32_t)(i % (size_t)codec->input_components);
            uint32_t x = (uint32_t)(i / (size_t)codec->input_components);
            row[i] = (uint8_t)((x * (3 + c) + y * (5 - c)) / 2 + noise(x, y, c) % 48);
        }
        jpeg_write_scanlines(codec, &row, 1);
    }
    free(row);
}

picture picture_jpeg(const jpeg_form *form)
{
    struct jpeg_compress_struct codec;
    struct jpeg_error_mgr messages;
    jpeg_scan_info script[256];
    unsigned char *data = NULL;
    unsigned long size = 0;
    codec.err = jpeg_std_error(&messages);
    jpeg_create_compress(&codec);
    jpeg_mem_dest(&codec, &data, &size);
    codec.image_width = form->width;
    codec.image_height = form->height;
    codec.input_components = jpeg_spaces[form->colours].components;
    codec.in_color_space = jpeg_spaces[form->colours].in;
    jpeg_set_defaults(&codec);
    jpeg_set_colorspace(&codec, jpeg_spaces[form->colours].stored);
    jpeg_set_quality(&codec, form->quality, TRUE);
    for (int i = 0; i < codec.num_components; i++) {
        codec.comp_info[i].h_samp_factor = i == 0 ? (int)form->h : 1;
        codec.comp_info[i].v_samp_factor = i == 0 ? (int)form->v : 1;
    }
    codec.arith_code = form->arithmetic;
    codec.optimize_coding = form->optimized;
    codec.restart_in_rows = (int)form->restart_rows;
    if (form->scans == SCANS_PROGRESSIVE) jpeg_simple_progression(&codec);
    if (form->scans == SCANS_SEVERAL || form->scans == SCANS_MANY) {
        codec.num_scans = make_script(script, form->scans, codec.num_components);
        codec.scan_info = script;
    }
    jpeg_start_compress(&codec, TRUE);
    write_jpeg_rows(&codec);
    jpeg_finish_compress(&codec);
    jpeg_destroy_compress(&codec);
    return (picture){data, size};
}

uint8_t *picture_jpeg_pixels(const picture *jpeg, unsigned channels)
{
    uint32_t width, height;
    return picture_jpeg_reduced(jpeg, channels, 1, &width, &height);
}

void picture_keep_scans(picture *jpeg, unsigned scans)
{
    for (size_t at = 2, end = 2; at + 4 <= jpeg->size; at++) {
        /* a segment, or in a scan's data, where ff is followed by 00 or a restart marker */
        if (jpeg->data[at] != 0xff || jpeg->data[at + 1] == 0 || (jpeg->data[at + 1] & 0xf8) == 0xd0) {
            end = at + 1;
            continue;
        }
        if (jpeg->data[at + 1] == 0xda && scans-- == 0) {
            memcpy(jpeg->data + end, "\xff\xd9", 2);
            jpeg->size = end + 2;
            return;
        }
        at += 1 + ((size_t)jpeg->data[at + 2] << 8 | jpeg->data[at + 3]);
    }
}

uint8_t *picture_jpeg_reduced(const picture *jpeg, unsigned channels, unsigned reduce, uint32_t *width,
                              uint32_t *height)
{
    struct jpeg_decompress_struct codec;
    struct jpeg_error_mgr messages;
    codec.err = jpeg_std_error(&messages);
    jpeg_create_decompress(&codec);
    jpeg_mem_src(&codec, jpeg->data, jpeg->size);
    jpeg_read_header(&codec, TRUE);
    bool ink = codec.num_components == 4;
    codec.out_color_space = ink ? JCS_CMYK : JCS_RGB;
    codec.scale_num = 1;
    codec.scale_denom = reduce;
    jpeg_start_decompress(&codec);
    *width = codec.output_width;
    *height = codec.output_height;
    size_t pixels = (size_t)codec.output_width * codec.output_height, step = ink ? 4 : 3;
    uint8_t *raw = need(malloc(pixels * step)), *out = need(malloc(pixels * channels));
    while (codec.output_scanline < codec.output_height) {
        JSAMPROW row = raw + codec.output_scanline * codec.output_width * step;
        jpeg_read_scanlines(&codec, &row, 1);
    }
    jpeg_finish_decompress(&codec);
    jpeg_destroy_decompress(&codec);
    for (size_t i = 0; i < pixels; i++) {
        for (unsigned c = 0; c < 3; c++) {
            double value = ink ? raw[i * 4 + c] * (raw[i * 4 + 3] / 255.0) : raw[i * 3 + c];
            out[i * channels + c] = (uint8_t)(value + 0.5);
        }
        if (channels == 4) out[i * 4 + 3] = 255;
    }
    free(raw);
    return out;
}

/* ---- PNG ---- */

static unsigned samples_of(int colour)
{
    switch (colour) {
    case PNG_COLOR_TYPE_GRAY_ALPHA: return 2;
    case PNG_COLOR_TYPE_RGB: return 3;
    case PNG_COLOR_TYPE_RGB_ALPHA: return 4;
    default: return 1;
    }
}

static unsigned palette_size(const png_form *form)
{
    return form->colours ? form->colours : 1u << form->depth;
}

/* Sample c of pixel (x, y). Pixel (1, 0) differs from (0, 0), the transparent colour, in the lowest bit alone. */
static uint32_t png_sample(const png_form *form, uint32_t x, uint32_t y, uint32_t c)
{
    uint32_t mask = (1u << form->depth) - 1;
    if (form->colour == PNG_COLOR_TYPE_PALETTE) return noise(x, y, 0) % palette_size(form);
    if (y == 0 && x < 2) return ((0x5a5a5a5au >> c) & mask) ^ (x == 1 && c == 0);
    return ((x * 257 + y * 911) / (c + 1) + noise(x, y, c)) & mask;
}

static png_color palette_colour(unsigned i)
{
    return (png_color){(png_byte)noise(i, 1, 7), (png_byte)noise(i, 2, 7), (png_byte)noise(i, 3, 7)};
}

/* How much is allocated while a picture is written, so that not every piece copies all before it. */
static size_t room_for(size_t size)
{
    size_t room = 4096;
    while (room < size) room *= 2;
    return room;
}

static void on_png_write(png_structp codec, png_bytep bytes, size_t size)
{
    picture *out = png_get_io_ptr(codec);
    const size_t room = room_for(out->size + size);
    if (room != room_for(out->size)) out->data = need(realloc(out->data, room));
    memcpy(out->data + out->size, bytes, size);
    out->size += size;
}

static void on_png_flush(png_structp codec)
{
    (void)codec;
}

static void write_png_colours(png_structp codec, png_infop info, const png_form *form)
{
    png_color palette[256];
    png_byte opacity[256];
    if (form->colour == PNG_COLOR_TYPE_PALETTE) {
        for (unsigned i = 0; i < 256; i++) palette[i] = palette_colour(i), opacity[i] = (png_byte)(i * 37);
        png_set_PLTE(codec, info, palette, (int)palette_size(form));
        if (form->transparency) png_set_tRNS(codec, info, opacity, (int)(palette_size(form) + 1) / 2, NULL);
    } else if (form->transparency) {
        png_uint_16 s[3];
        for (uint32_t c = 0; c < 3; c++) s[c] = (png_uint_16)png_sample(form, 0, 0, c);
        png_color_16 key = {.red = s[0], .green = s[1], .blue = s[2], .gray = s[0]};
        png_set_tRNS(codec, info, NULL, 0, &key);
    }
}

static void pack_row(const png_form *form, uint32_t y, uint8_t *row)
{
    unsigned samples = samples_of(form->colour);
    size_t bit = 0;
    for (uint32_t x = 0; x < form->width; x++) {
        for (unsigned c = 0; c < samples; c++) {
            uint32_t value = png_sample(form, x, y, c);
            for (int b = form->depth - 1; b >= 0; b--, bit++)
                row[bit / 8] = (uint8_t)(row[bit / 8] | ((value >> b) & 1) << (7 - bit % 8));
        }
    }
}

picture picture_png(const png_form *form)
{
    picture out = {need(malloc(room_for(0))), 0};
    png_structp codec = need(png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL));
    png_infop info = need(png_create_info_struct(codec));
    if (setjmp(png_jmpbuf(codec))) abort();
    png_set_write_fn(codec, &out, on_png_write, on_png_flush);
    png_set_user_limits(codec, 0x7fffffff, 0x7fffffff);
    png_set_IHDR(codec, info, form->width, form->height, form->depth, form->colour,
                 form->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_BASE,
                 PNG_FILTER_TYPE_BASE);
    write_png_colours(codec, info, form);
    png_set_filter(codec, 0, PNG_ALL_FILTERS);
    png_set_check_for_invalid_index(codec, 0);
    png_write_info(codec, info);
    size_t row_bytes = ((size_t)form->width * samples_of(form->colour) * (size_t)form->depth + 7) / 8;
    uint8_t *pixels = need(calloc(form->height, row_bytes));
    uint8_t **rows = need(malloc(form->height * sizeof *rows));
    for (uint32_t y = 0; y < form->height; y++) pack_row(form, y, rows[y] = pixels + y * row_bytes);
    png_write_image(codec, rows);
    png_write_end(codec, NULL);
    png_destroy_write_struct(&codec, &info);
    free(rows);
    free(pixels);
    out.data = need(realloc(out.data, out.size)); /* exactly, so that a sanitizer sees */
    return out;
}

static uint8_t to_byte(const png_form *form, uint32_t sample)
{
    return form->depth == 16 ? (uint8_t)(sample >> 8) : (uint8_t)(sample * 255 / ((1u << form->depth) - 1));
}

static void png_pixel(const png_form *form, uint32_t x, uint32_t y, uint8_t rgba[4])
{
    uint32_t s[4];
    bool key = form->transparency;
    unsigned samples = samples_of(form->colour);
    for (uint32_t c = 0; c < samples; c++) {
        s[c] = png_sample(form, x, y, c);
        key = key && s[c] == png_sample(form, 0, 0, c);
    }
    if (form->colour == PNG_COLOR_TYPE_PALETTE) {
        png_color colour = palette_colour(s[0]);
        rgba[0] = colour.red, rgba[1] = colour.green, rgba[2] = colour.blue;
        rgba[3] = form->transparency && s[0] < (palette_size(form) + 1) / 2 ? (uint8_t)(s[0] * 37) : 255;
        return;
    }
    for (unsigned c = 0; c < 3; c++) rgba[c] = to_byte(form, s[samples >= 3 ? c : 0]);
    rgba[3] = form->colour & PNG_COLOR_MASK_ALPHA ? to_byte(form, s[samples - 1]) : key ? 0 : 255;
}

uint8_t *picture_png_pixels(const png_form *form, unsigned channels)
{
    uint8_t *out = need(malloc((size_t)form->width * form->height * channels)), *at = out, rgba[4];
    for (uint32_t y = 0; y < form->height; y++) {
        for (uint32_t x = 0; x < form->width; x++, at += channels) {
            png_pixel(form, x, y, rgba);
            memcpy(at, rgba, channels);
        }
    }
    return out;
}

typedef struct cursor {
    const uint8_t *data;
    size_t left;
} cursor;

static void on_png_read(png_structp codec, png_bytep out, size_t size)
{
    cursor *from = png_get_io_ptr(codec);
    if (size > from->left) png_error(codec, "end");
    memcpy(out, from->data, size);
    from->data += size, from->left -= size;
}

uint8_t *picture_png_reference(const picture *png, unsigned channels)
{
    cursor from = {png->data, png->size};
    png_structp codec = need(png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL));
    png_infop info = need(png_create_info_struct(codec));
    if (setjmp(png_jmpbuf(codec))) abort();
    png_set_read_fn(codec, &from, on_png_read);
    png_set_user_limits(codec, 0x7fffffff, 0x7fffffff);
    png_read_info(codec, info);
    png_set_expand(codec);
    png_set_strip_16(codec);
    png_set_gray_to_rgb(codec);
    if (channels == 3) png_set_strip_alpha(codec);
    else png_set_add_alpha(codec, 255, PNG_FILLER_AFTER);
    png_set_interlace_handling(codec);
    png_read_update_info(codec, info);
    uint32_t width = png_get_image_width(codec, info), height = png_get_image_height(codec, info);
    if (png_get_rowbytes(codec, info) != (size_t)width * channels) abort();
    uint8_t *out = need(malloc((size_t)width * height * channels));
    uint8_t **rows = need(malloc(height * sizeof *rows));
    for (uint32_t y = 0; y < height; y++) rows[y] = out + (size_t)y * width * channels;
    png_read_image(codec, rows);
    png_read_end(codec, NULL);
    png_destroy_read_struct(&codec, &info, NULL);
    free(rows);
    return out;
}
