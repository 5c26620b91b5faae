/* test_huffman.c - our entropy decoder in libjpeg's place, against libjpeg's own.
 *
 * What ours decodes must be what libjpeg decodes; whenever it gives up (`odd`) libjpeg decodes alone, so only what ours
 * accepts is compared. Any warning of libjpeg counts as refusing, as in jpeg.c but for those that no pixel depends on. */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "stages/huffman.h"
#include "tests/pictures.h"

#include <jerror.h>

typedef struct decoded {
    uint8_t *pixels; /* NULL: refused */
    size_t bytes;
    bool attached, odd;
} decoded;

typedef struct handler {
    struct jpeg_error_mgr manager;
    jmp_buf jump;
    bool odd;
} handler;

static uint64_t state;

static uint32_t draw(uint32_t below)
{
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)((state >> 33) % below);
}

_Noreturn static void on_error(j_common_ptr codec)
{
    longjmp(((handler *)(void *)codec->err)->jump, 1);
}

static void on_message(j_common_ptr codec, int level)
{
    if (level < 0 && codec->err->msg_code != JWRN_EXTRANEOUS_DATA && codec->err->msg_code != JWRN_NOT_SEQUENTIAL &&
        codec->err->msg_code != JWRN_ADOBE_XFORM && codec->err->msg_code != JWRN_JFIF_MAJOR)
        on_error(codec);
}

static void on_odd(void *user)
{
    handler *h = user;
    h->odd = true;
    longjmp(h->jump, 1);
}

static void on_poll(void *user)
{
    (void)user;
}

/* rows: how many are stepped over first. */
static decoded decode(const picture *jpeg, leat__huffman *huffman, const uint32_t rows)
{
    static struct jpeg_decompress_struct codec;
    static handler h;
    static decoded out;
    h.odd = false;
    out = (decoded){0};
    codec.err = jpeg_std_error(&h.manager);
    h.manager.error_exit = on_error;
    h.manager.emit_message = on_message;
    if (setjmp(h.jump)) {
        free(out.pixels);
        out.pixels = NULL;
        goto done;
    }
    jpeg_create_decompress(&codec);
    jpeg_mem_src(&codec, jpeg->data, jpeg->size);
    jpeg_read_header(&codec, TRUE);
    jpeg_start_decompress(&codec);
    const leat__huffman_hooks hooks = {.odd = on_odd, .poll = on_poll, .user = &h};
    out.attached = huffman && leat__huffman_attach(huffman, &codec, jpeg->data + jpeg->size, &hooks);
    const size_t stride = (size_t)codec.output_width * (size_t)codec.output_components;
    out.bytes = stride * codec.output_height;
    out.pixels = calloc(1, out.bytes);
    ck_assert_ptr_nonnull(out.pixels);
    const uint32_t skip = rows < codec.output_height ? rows : codec.output_height - 1;
    if (skip > 0) ck_assert_uint_eq(jpeg_skip_scanlines(&codec, skip), skip);
    while (codec.output_scanline < codec.output_height) {
        JSAMPROW row = out.pixels + stride * codec.output_scanline;
        jpeg_read_scanlines(&codec, &row, 1);
    }
    jpeg_finish_decompress(&codec);
done:
    jpeg_destroy_decompress(&codec);
    out.odd = h.odd;
    return out;
}

/* Compares; returns whether ours accepted it. */
static bool compare(const picture *jpeg, leat__huffman *huffman, uint32_t skip, const char *what, int i)
{
    decoded ours = decode(jpeg, huffman, skip), theirs = decode(jpeg, NULL, skip);
    const bool accepted = ours.pixels && ours.attached;
    if (!ours.odd) {
        ck_assert_msg((ours.pixels != NULL) == (theirs.pixels != NULL), "%s %d: %s by libjpeg alone", what, i,
                      theirs.pixels ? "accepted" : "refused");
        if (ours.pixels)
            ck_assert_msg(ours.bytes == theirs.bytes && memcmp(ours.pixels, theirs.pixels, ours.bytes) == 0,
                          "%s %d: other pixels", what, i);
    }
    free(ours.pixels);
    free(theirs.pixels);
    return accepted;
}

static jpeg_form random_form(void)
{
    static const unsigned samplings[][2] = {{1, 1}, {2, 1}, {2, 2}, {1, 2}, {4, 1}};
    const unsigned *s = samplings[draw(5)];
    jpeg_form form = {.width = 1 + draw(120), .height = 1 + draw(120), .h = s[0], .v = s[1],
                      .quality = 1 + (int)draw(100), .optimized = draw(2)};
    const jpeg_colours colours[] = {STORED_YCC, STORED_YCC, STORED_YCC, STORED_GREY, STORED_RGB, STORED_CMYK};
    form.colours = colours[draw(6)];
    return form;
}

START_TEST(sound_files_decode_to_libjpegs_pixels_and_none_is_odd)
{
    state = 1;
    leat__huffman *huffman = leat__huffman_new();
    for (int i = 0; i < 1500; i++) {
        jpeg_form form = random_form();
        picture jpeg = picture_jpeg(&form);
        ck_assert_msg(compare(&jpeg, huffman, draw(2) * draw(form.height), "file", i), "file %d was not decoded by us", i);
        free(jpeg.data);
    }
    leat__huffman_free(huffman);
}
END_TEST

/* Bytes of the entropy-coded data changed, cut out or put in: ours gives up, or is right. */
START_TEST(damaged_files_are_odd_or_decode_to_libjpegs_pixels)
{
    state = 2;
    leat__huffman *huffman = leat__huffman_new();
    int accepted = 0, refused = 0;
    static const char odd_bytes[3][2] = {{'\xff', 0}, {'\xff', '\xd9'}, {0x12, 0x34}};
    for (int i = 0; i < 6000; i++) {
        jpeg_form form = random_form();
        picture jpeg = picture_jpeg(&form);
        size_t sos = picture_find_marker(&jpeg, 0xda);
        size_t data = sos + 2 + (size_t)(jpeg.data[sos + 2] << 8 | jpeg.data[sos + 3]); /* behind the scan's header */
        ck_assert_uint_lt(data, jpeg.size);
        size_t at = data + draw((uint32_t)(jpeg.size - data));
        switch (draw(4)) {
        case 0: jpeg.data[at] ^= (uint8_t)(1u << draw(8)); break;
        case 1: jpeg.data[at] = (uint8_t)draw(256); break;
        case 2: picture_remove(&jpeg, at, 1 + draw((uint32_t)(jpeg.size - at))); break;
        default: picture_insert(&jpeg, at, odd_bytes[draw(3)], 2);
        }
        if (compare(&jpeg, huffman, draw(2) * draw(form.height), "damage", i)) accepted++;
        else refused++;
        free(jpeg.data);
    }
    ck_assert_int_gt(accepted, 500);
    ck_assert_int_gt(refused, 500);
    leat__huffman_free(huffman);
}
END_TEST

/* What libjpeg alone is for. */
START_TEST(other_kinds_of_files_are_left_to_libjpeg)
{
    leat__huffman *huffman = leat__huffman_new();
    const jpeg_form forms[] = {
        {.width = 40, .height = 30, .colours = STORED_YCC, .h = 2, .v = 2, .quality = 90, .scans = SCANS_PROGRESSIVE},
        {.width = 40, .height = 30, .colours = STORED_YCC, .h = 2, .v = 2, .quality = 90, .scans = SCANS_SEVERAL},
        {.width = 40, .height = 30, .colours = STORED_YCC, .h = 2, .v = 2, .quality = 90, .restart_rows = 1},
        {.width = 40, .height = 30, .colours = STORED_YCC, .h = 2, .v = 2, .quality = 90, .arithmetic = true}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        picture jpeg = picture_jpeg(&forms[i]);
        decoded out = decode(&jpeg, huffman, 0);
        ck_assert(!out.attached && out.pixels);
        free(out.pixels);
        free(jpeg.data);
    }
    leat__huffman_free(huffman);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("huffman");
    TCase *cases = tcase_create("huffman");
    tcase_set_timeout(cases, 240);
    tcase_add_test(cases, sound_files_decode_to_libjpegs_pixels_and_none_is_odd);
    tcase_add_test(cases, damaged_files_are_odd_or_decode_to_libjpegs_pixels);
    tcase_add_test(cases, other_kinds_of_files_are_left_to_libjpeg);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
