/* test_pngfast.c - the fast PNG reader against libpng: every common form, and damage of every kind. */
#include "tests/decoding.h"

#include <libdeflate.h>
#include <png.h>
#include <stdio.h>
#include <zlib.h>

#include "pipeline/random.h"
#include "stages/libpng.h"
#include "stages/png.h"
#include "stages/pngfast.h"

static leat__png *png;
static leat__pngfast *fast;
static leat__libpng *slow;

static void set_up(void)
{
    png = leat__png_new();
    fast = leat__pngfast_new();
    slow = leat__libpng_new();
    ck_assert(png && fast && slow);
}

static void tear_down(void)
{
    leat__png_free(png);
    leat__pngfast_free(fast);
    leat__libpng_free(slow);
}

/* ---- images ---- */

static unsigned below(leat__random *random, unsigned bound)
{
    return (unsigned)leat__random_below(random, bound);
}

typedef struct form {
    unsigned width, height, colour, pixel; /* pixel: bytes */
    int filter;    /* of all rows; 5: mixed */
    unsigned colours;
    bool stray;    /* indices beyond the palette may occur */
} form;

static form draw_form(leat__random *random)
{
    static const struct {
        unsigned colour, pixel;
    } types[] = {{PNG_COLOR_TYPE_GRAY, 1}, {PNG_COLOR_TYPE_RGB, 3}, {PNG_COLOR_TYPE_PALETTE, 1},
                 {PNG_COLOR_TYPE_GRAY_ALPHA, 2}, {PNG_COLOR_TYPE_RGB_ALPHA, 4}};
    unsigned type = below(random, 5), most = below(random, 8) ? 40 : 300;
    form f = {.width = 1 + below(random, most), .height = 1 + below(random, most), .colour = types[type].colour,
              .pixel = types[type].pixel, .filter = (int)below(random, 6)};
    f.colours = below(random, 2) ? 256 : 1 + below(random, 256);
    f.stray = below(random, 30) == 0;
    return f;
}

/* Rows with filter types; the differences are noise, or small. */
static uint8_t *draw_rows(leat__random *random, const form *f, size_t *size)
{
    const size_t stride = 1 + (size_t)f->width * f->pixel;
    *size = stride * f->height;
    uint8_t *rows = malloc(*size);
    uint32_t mask = below(random, 2) ? 0xff : 0x3;
    for (size_t i = 0; i < *size; i++) rows[i] = (uint8_t)(leat__random_next(random) & mask);
    const bool indexed = f->colour == PNG_COLOR_TYPE_PALETTE && f->colours < 256 && !f->stray;
    for (size_t y = 0; y < f->height; y++) {
        rows[y * stride] = (uint8_t)(f->filter == 5 ? below(random, 5) : (unsigned)f->filter);
        if (indexed) rows[y * stride] = 0;
        for (size_t x = 1; indexed && x < stride; x++)
            rows[y * stride + x] = (uint8_t)(rows[y * stride + x] % f->colours);
    }
    return rows;
}

static void append_chunk(picture *to, const char *type, const void *bytes, size_t size)
{
    picture_insert_chunk(to, to->size, type, bytes, size);
}

/* The zlib stream in IDATs: one, or cut anywhere. */
static void append_idats(leat__random *random, picture *to, const uint8_t *rows, size_t size)
{
    static const int strategies[] = {Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED};
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)rows, .avail_in = (uInt)size};
    const int level = (int)below(random, 10), window = 9 + (int)below(random, 7), memory = 1 + (int)below(random, 9);
    const int strategy = strategies[below(random, 5)];
    ck_assert_int_eq(deflateInit2(&z, level, Z_DEFLATED, window, memory, strategy), Z_OK);
    size_t bound = deflateBound(&z, size) + size / 8 + 100, most = below(random, 2) ? bound : 1 + below(random, 300);
    uint8_t *packed = malloc(bound);
    z.next_out = packed, z.avail_out = (uInt)bound;
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    uint8_t *chunks = malloc(z.total_out + (z.total_out / most + 1) * 12), *end = chunks; /* one by one each would copy all so far */
    for (size_t at = 0, length; at < z.total_out; at += length) {
        length = most < z.total_out - at ? most : z.total_out - at;
        end += picture_chunk(end, "IDAT", packed + at, length);
    }
    picture_insert(to, to->size, chunks, (size_t)(end - chunks));
    deflateEnd(&z);
    free(packed);
    free(chunks);
}

static void append_ancillary(leat__random *random, picture *to)
{
    static const char *const types[] = {"tEXt", "prIv", "quUx", "viEw"};
    while (below(random, 3) == 0) append_chunk(to, types[below(random, 4)], "Comment\0any thing", below(random, 18));
}

static picture draw_png(leat__random *random, const form *f)
{
    uint8_t header[13] = {0}, colours[768];
    size_t size;
    uint8_t *rows = draw_rows(random, f, &size);
    picture out = {malloc(8), 8};
    memcpy(out.data, "\x89PNG\r\n\x1a\n", 8);
    header[2] = (uint8_t)(f->width >> 8), header[3] = (uint8_t)f->width;
    header[6] = (uint8_t)(f->height >> 8), header[7] = (uint8_t)f->height;
    header[8] = 8, header[9] = (uint8_t)f->colour;
    append_chunk(&out, "IHDR", header, sizeof header);
    append_ancillary(random, &out);
    for (size_t i = 0; i < sizeof colours; i++) colours[i] = (uint8_t)leat__random_next(random);
    if (f->colour == PNG_COLOR_TYPE_PALETTE) {
        append_chunk(&out, "PLTE", colours, (size_t)3 * f->colours);
        append_ancillary(random, &out);
        if (below(random, 2)) append_chunk(&out, "tRNS", colours + 100, 1 + below(random, f->colours));
    }
    append_ancillary(random, &out);
    append_idats(random, &out, rows, size);
    append_ancillary(random, &out);
    append_chunk(&out, "IEND", "", 0);
    free(rows);
    return out;
}

/* ---- readers ---- */

/* What came of it; pixels: owned, NULL on an error. */
typedef struct result {
    leat_code code;
    leat_error error;
    leat__image_info info;
    uint8_t *pixels;
} result;

/* The whole image through libpng, to the end of the file. */
static result read_slow(const picture *of, bool alpha)
{
    leat__png_outline outline;
    result r = {.code = leat__png_walk(of->data, of->size, &outline, &r.error)};
    if (r.code != LEAT_OK) return r;
    r.info = (leat__image_info){.width = outline.width, .height = outline.height, .channels = alpha ? 4 : 3};
    r.code = leat__image_check_pixels("PNG", &r.info, &roomy, &r.error);
    if (r.code == LEAT_OK) r.code = leat__libpng_open(slow, &outline, alpha, true, &roomy, &r.info, &r.error);
    if (r.code != LEAT_OK) return r;
    const size_t stride = (size_t)r.info.width * r.info.channels;
    r.pixels = calloc(r.info.height, stride);
    r.code = leat__libpng_rows(slow, r.pixels, stride, r.info.height, &r.error);
    if (r.code == LEAT_OK) r.code = leat__libpng_verify(slow, &r.error);
    leat__libpng_done(slow);
    return r;
}

/* True for a form that the fast reader knows, whether or not there is anything odd. */
static bool is_common(const picture *of, const leat__image_limits *limits)
{
    leat__png_outline outline;
    leat_error error;
    size_t bytes;
    if (leat__png_walk(of->data, of->size, &outline, &error) != LEAT_OK) return false;
    return leat__pngfast_fits(&outline, limits, &bytes);
}

/* True if the fast reader takes the image by itself. */
static bool fast_takes(const picture *of)
{
    leat__png_outline outline;
    leat_error error;
    if (!is_common(of, &roomy)) return false;
    ck_assert_int_eq(leat__png_walk(of->data, of->size, &outline, &error), LEAT_OK);
    if (!leat__pngfast_open(fast, &outline, false, &roomy)) return false;
    bool takes = leat__pngfast_unpack(fast) && leat__pngfast_verify(fast, &error) == LEAT_OK;
    leat__pngfast_done(fast);
    return takes;
}

/* A part of the image, in strips, as the loader reads it; compared with the whole one, unless that is an error: then
 * all rows are read of other forms, where libpng sees no more than it is asked for. */
static void expect_part(leat__random *random, const picture *of, bool alpha, bool select, const result *whole)
{
    leat__image_info info;
    leat_error error;
    const bool some = whole->code == LEAT_OK || is_common(of, &roomy);
    leat_code code = leat__png_open(png, of->data, of->size, alpha, &roomy, &info, &error);
    if (code == LEAT_OK) {
        leat__image_part part = {.width = info.width, .height = info.height};
        if (select && some) {
            part.x = below(random, info.width), part.width = 1 + below(random, info.width - part.x);
            part.y = below(random, info.height), part.height = 1 + below(random, info.height - part.y);
            code = leat__png_select(png, &part, &error);
        }
        const size_t row = (size_t)part.width * info.channels, stride = row + below(random, 3);
        uint32_t rows = below(random, 4) || !some ? part.height : below(random, part.height + 1), count;
        uint8_t *pixels = malloc(stride * part.height);
        for (uint32_t y = 0; y < rows && code == LEAT_OK; y += count) {
            count = 1 + below(random, rows - y);
            uint8_t *strip = malloc(stride * (count - 1) + row); /* exactly, so that a sanitizer sees */
            code = leat__png_rows(png, strip, stride, count, &error);
            for (uint32_t i = 0; i < count && code == LEAT_OK; i++)
                memcpy(pixels + (y + i) * stride, strip + i * stride, row);
            free(strip);
        }
        if (code == LEAT_OK) code = leat__png_verify(png, &error);
        for (uint32_t y = 0; y < rows && code == LEAT_OK && whole->code == LEAT_OK; y++) {
            const uint8_t *want = whole->pixels + ((size_t)(part.y + y) * info.width + part.x) * info.channels;
            if (memcmp(pixels + y * stride, want, row) != 0) ck_abort_msg("row %u of the part differs", y);
        }
        free(pixels);
        leat__png_done(png);
    }
    if (code != whole->code)
        ck_abort_msg("%s (%s), libpng says %s (%s)", leat_code_name(code), code ? error.message : "",
                     leat_code_name(whole->code), whole->code ? whole->error.message : "");
}

/* Both readers, all and parts; gives whether they take it. */
static bool expect_agreement(leat__random *random, const picture *of)
{
    const bool alpha = below(random, 2);
    result whole = read_slow(of, alpha);
    expect_part(random, of, alpha, false, &whole);
    expect_part(random, of, alpha, true, &whole);
    if (fast_takes(of) && whole.code != LEAT_OK) ck_abort_msg("taken, but %s", whole.error.message);
    free(whole.pixels);
    return whole.code == LEAT_OK;
}

START_TEST(test_every_common_form)
{
    leat__random random = {.key = {.seed = 11, .sample = (uint64_t)_i}};
    unsigned strays = 0;
    for (unsigned n = 0; n < 1200; n++) {
        form f = draw_form(&random);
        picture of = draw_png(&random, &f);
        const bool takes = fast_takes(&of);
        strays += !takes;
        if (!f.stray && !takes)
            ck_abort_msg("%u: %u x %u px, colour %u, filter %d", n, f.width, f.height, f.colour, f.filter);
        if (expect_agreement(&random, &of) && n % 4 == 0) {
            for (unsigned channels = 3; channels <= 4; channels++) {
                uint8_t *want = picture_png_reference(&of, channels);
                result got = read_slow(&of, channels == 4);
                ck_assert_int_eq(memcmp(got.pixels, want, (size_t)f.width * f.height * channels), 0);
                free(want);
                free(got.pixels);
            }
        }
        free(of.data);
    }
    ck_assert_uint_gt(strays, 0);
    ck_assert_uint_lt(strays, 40);
}
END_TEST

START_TEST(test_parts_of_other_forms)
{
    static const int types[][2] = {{0, 1}, {0, 4}, {0, 8}, {0, 16}, {2, 8}, {2, 16}, {3, 1}, {3, 2}, {3, 4}, {3, 8},
                                   {4, 8}, {4, 16}, {6, 8}, {6, 16}};
    leat__random random = {.key = {.seed = 14}};
    for (unsigned n = 0; n < 14 * 4 * 8; n++) {
        png_form stored = {.width = 1 + below(&random, 40), .height = 1 + below(&random, 40), .interlaced = n & 1};
        stored.colour = types[n / 32][0], stored.depth = types[n / 32][1];
        stored.transparency = n & 2 && stored.colour < PNG_COLOR_TYPE_GRAY_ALPHA;
        picture of = picture_png(&stored);
        ck_assert(expect_agreement(&random, &of));
        free(of.data);
    }
}
END_TEST

/* ---- damage ---- */

static size_t length_at(const picture *of, size_t at)
{
    const uint8_t *d = of->data + at;
    return (size_t)d[0] << 24 | (size_t)d[1] << 16 | (size_t)d[2] << 8 | d[3];
}

/* A chunk other than the first, but for 1 in 8; its offset. */
static size_t draw_chunk(leat__random *random, const picture *of)
{
    size_t starts[1024], count = 0;
    for (size_t at = 8; at < of->size && count < 1024; at += 12 + length_at(of, at)) starts[count++] = at;
    return starts[below(random, 8) ? 1 + below(random, (unsigned)count - 1) : 0];
}

static void mend_crcs(picture *of)
{
    for (size_t at = 8; of->size - at >= 12 && length_at(of, at) <= of->size - at - 12; at += 12 + length_at(of, at)) {
        uint32_t crc = (uint32_t)crc32(0, of->data + at + 4, (uInt)length_at(of, at) + 4);
        uint8_t *out = of->data + at + 8 + length_at(of, at);
        for (unsigned i = 0; i < 4; i++) out[i] = (uint8_t)(crc >> (24 - 8 * i));
    }
}

/* Inflates what may be a little damaged, and puts the right Adler-32 behind; all in one IDAT. */
static void mend_adler(picture *of)
{
    leat__png_outline o;
    leat_error error;
    if (leat__png_walk(of->data, of->size, &o, &error) != LEAT_OK || o.idats != 1 || o.packed_size < 6) return;
    struct libdeflate_decompressor *lax = libdeflate_alloc_decompressor();
    static uint8_t rows[300 * (1 + 300 * 4) + 1000];
    uint8_t *stream = of->data + o.idat + 8;
    size_t size;
    if (libdeflate_deflate_decompress(lax, stream + 2, o.packed_size - 6, rows, sizeof rows, &size) == LIBDEFLATE_SUCCESS) {
        uint32_t adler = libdeflate_adler32(1, rows, size);
        for (unsigned i = 0; i < 4; i++) stream[o.packed_size - 4 + i] = (uint8_t)(adler >> (24 - 8 * i));
    }
    libdeflate_free_decompressor(lax);
}

static void move_chunk(leat__random *random, picture *of, bool keep)
{
    size_t at = draw_chunk(random, of), size = 12 + length_at(of, at), to = draw_chunk(random, of);
    uint8_t *copy = malloc(size);
    memcpy(copy, of->data + at, size);
    picture_insert(of, to, copy, size);
    if (!keep) picture_remove(of, to <= at ? at + size : at, size);
    free(copy);
}

static void insert_odd_chunk(leat__random *random, picture *of)
{
    static const char *const types[] = {"PLTE", "tRNS", "IDAT", "IEND", "IHDR", "QQQQ", "t1Xt", "tExt",
                                        "eXIf", "sBIT", "gAMA", "iCCP", "zTXt", "bKGD"};
    static const size_t sizes[] = {0, 1, 2, 3, 6, 13, 255, 768, 769, 771};
    uint8_t bytes[771];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)below(random, 256);
    picture_insert_chunk(of, draw_chunk(random, of), types[below(random, 14)], bytes, sizes[below(random, 10)]);
}

/* One change to the file, or to a chunk's data. */
static void damage(leat__random *random, picture *of)
{
    size_t at = draw_chunk(random, of), length = length_at(of, at), odd = below(random, (unsigned)of->size);
    switch (below(random, 10)) {
    case 0: of->data[odd] ^= (uint8_t)(1u << below(random, 8)); break;
    case 1: of->size = odd; break;
    case 2: move_chunk(random, of, true); break;
    case 3: move_chunk(random, of, false); break;
    case 4: insert_odd_chunk(random, of); break;
    case 5: picture_remove(of, at, 12 + length); break;
    case 6: picture_insert(of, of->size, "junk behind", 11); break;
    default:
        at = below(random, 2) ? at : picture_find_chunk(of, "IDAT");
        if (at == SIZE_MAX || length_at(of, at) == 0) break;
        of->data[at + 8 + below(random, (unsigned)length_at(of, at))] ^= (uint8_t)(1u << below(random, 8));
    }
}

START_TEST(test_damage)
{
    leat__random random = {.key = {.seed = 12, .sample = (uint64_t)_i}};
    unsigned taken = 0, refused = 0;
    for (unsigned n = 0; n < 1000; n++) {
        form f = draw_form(&random);
        f.width = (f.width + 7) / 8, f.height = (f.height + 7) / 8;
        picture good = draw_png(&random, &f);
        for (unsigned i = 0; i < 12; i++) {
            picture bad = picture_copy(&good);
            damage(&random, &bad);
            if (below(&random, 4) && bad.size > 40) {
                if (below(&random, 2)) mend_adler(&bad);
                mend_crcs(&bad);
            }
            picture exact = picture_copy(&bad);
            if (expect_agreement(&random, &exact)) taken++;
            else refused++;
            free(exact.data);
            free(bad.data);
        }
        free(good.data);
    }
    ck_assert_uint_gt(taken, 2000);
    ck_assert_uint_gt(refused, 2000);
}
END_TEST

/* ---- memory ---- */

START_TEST(test_large_images_go_by_rows)
{
    png_form small = {.width = 1000, .height = 1000, .colour = PNG_COLOR_TYPE_RGB, .depth = 8};
    png_form large = {.width = 3000, .height = 2000, .colour = PNG_COLOR_TYPE_RGB, .depth = 8};
    picture a = picture_png(&small), b = picture_png(&large);
    leat__image_limits tight = roomy;
    leat__image_info info;
    leat_error error;
    tight.max_codec_bytes = 3000000;
    ck_assert(is_common(&a, &roomy) && !is_common(&a, &tight) && !is_common(&b, &roomy));
    ck_assert_int_eq(leat__png_open(png, a.data, a.size, false, &roomy, &info, &error), LEAT_OK);
    ck_assert_uint_ge(info.codec_bytes, 1000 * 3001);
    leat__png_done(png);
    ck_assert_int_eq(leat__png_open(png, a.data, a.size, false, &tight, &info, &error), LEAT_OK);
    ck_assert_uint_eq(info.codec_bytes, 0);
    leat__png_done(png);
    picture_orient_png(&a, 6, false); /* will be held whole by the transform */
    ck_assert_int_eq(leat__png_open(png, a.data, a.size, false, &roomy, &info, &error), LEAT_OK);
    ck_assert_uint_eq(info.codec_bytes, 0);
    leat__png_done(png);
    free(a.data);
    free(b.data);
}
END_TEST

START_TEST(test_stored_data_in_tiny_blocks_is_left_to_libpng)
{
    leat__random random = {.key = {.seed = 13}};
    picture of = picture_png(&(png_form){.width = 9, .height = 9, .colour = PNG_COLOR_TYPE_GRAY, .depth = 8});
    uint8_t empty[5000] = {0x78, 0x01}; /* blocks of no bytes, 5 each, and never a last one */
    for (size_t i = 2; i + 5 <= sizeof empty; i += 5) memcpy(empty + i, "\0\0\0\xff\xff", 5);
    size_t at = picture_find_chunk(&of, "IDAT");
    picture_remove(&of, at, 12 + length_at(&of, at));
    picture_insert_chunk(&of, at, "IDAT", empty, sizeof empty);
    ck_assert(is_common(&of, &roomy)); /* read where it lies */
    ck_assert(!expect_agreement(&random, &of));
    picture_insert_chunk(&of, at, "IDAT", empty, 2);
    ck_assert(!is_common(&of, &roomy)); /* would have to be copied */
    ck_assert(!expect_agreement(&random, &of));
    free(of.data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pngfast");
    TCase *tests = tcase_create("pngfast");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 300);
    tcase_add_loop_test(tests, test_every_common_form, 0, 3);
    tcase_add_test(tests, test_parts_of_other_forms);
    tcase_add_loop_test(tests, test_damage, 0, 3);
    tcase_add_test(tests, test_large_images_go_by_rows);
    tcase_add_test(tests, test_stored_data_in_tiny_blocks_is_left_to_libpng);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
