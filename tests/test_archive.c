/* test_archive.c - unpacking and tar against libzstd, zlib and a plain reader: random data, cut up at random.
 *
 * test_decompress.c and test_tar.c have the tools' own files and the broken ones; here are thousands of cases that
 * nobody thought of, from a fixed seed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>
#include <zstd.h>

#include "check_main.h"
#include "stages/decompress.h"
#include "stages/tar.h"
#include "stages/tarhead.h"
#include "tests/reference_tar.h"

enum {
    MOST = 1 << 20, /* bytes of a case */
    GAPS = 16,      /* between the pieces of a buffer */
};

static uint64_t state;

static uint64_t draw(uint64_t below)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (state >> 11) % below;
}

/* ---- packed data ---- */

static uint8_t plain[MOST], packed[2 * MOST], unpacked[MOST + 1];

/* Bytes that pack well, a little, or not at all, and runs. */
static void draw_bytes(uint8_t *to, size_t size)
{
    static const char text[] = "the quick brown fox";
    uint64_t kind = draw(4);
    for (size_t i = 0; i < size; i++) {
        if (kind == 0) to[i] = (uint8_t)draw(256);
        else if (kind == 1) to[i] = (uint8_t)text[(i * i / 7) % (sizeof text - 1)];
        else if (kind == 2) to[i] = (uint8_t)(i / 9000);
        else to[i] = (uint8_t)draw(3);
    }
    for (size_t i = 64; kind == 3 && i + 64 < size; i += 64 + draw(500)) memcpy(to + i, to + draw(i - 32), 32);
}

static size_t draw_size(void)
{
    static const uint64_t scales[] = {1, 20, 3000, 140000, 300000};
    return (size_t)draw(scales[draw(5)] + 1);
}

static size_t pack_zstd_frame(uint8_t *to, size_t room, const uint8_t *from, size_t size)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, (int)draw(6) - 2);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, (int)draw(2));
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, (int)draw(2));
    if (draw(2)) ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 10 + (int)draw(8));
    size_t n = ZSTD_compress2(context, to, room, from, size);
    ck_assert(!ZSTD_isError(n));
    ZSTD_freeCCtx(context);
    return n;
}

static size_t pack_gzip_member(uint8_t *to, size_t room, const uint8_t *from, size_t size)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)from, .avail_in = (uInt)size, .next_out = to, .avail_out = (uInt)room};
    ck_assert_int_eq(deflateInit2(&z, (int)draw(10), Z_DEFLATED, 15 + 16, 8, (int)draw(3)), Z_OK);
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return room - z.avail_out;
}

/* One to four frames or members into `packed`; what they hold into `plain`. */
static size_t draw_packed(bool zstd, size_t *plain_size)
{
    size_t size = 0;
    *plain_size = 0;
    for (uint64_t left = 1 + draw(4) * draw(2); left; left--) {
        uint8_t *from = plain + *plain_size, *to = packed + size;
        size_t n = draw_size() % (MOST / 4);
        draw_bytes(from, n);
        *plain_size += n;
        size += (zstd ? pack_zstd_frame : pack_gzip_member)(to, sizeof packed - size, from, n);
        if (!zstd || draw(4)) continue;
        uint32_t skippable[2] = {0x184d2a50 + (uint32_t)draw(16), (uint32_t)draw(300)};
        memcpy(packed + size, skippable, sizeof skippable); /* this test runs on little-endian machines */
        memset(packed + size + 8, 0x5a, skippable[1]);
        size += 8 + skippable[1];
    }
    return size;
}

/* Unpacks `size` bytes of `packed` into `unpacked`, cut at random; *made: how many came. */
static leat_code unpack_in_pieces(leat__decompressor *d, size_t size, size_t *made)
{
    static const uint64_t scales[] = {3, 100, 5000, 300000};
    uint64_t in_scale = scales[draw(4)], out_scale = scales[draw(4)];
    if (size > 100000 && in_scale < 100) in_scale = 100;
    if (out_scale < 100) out_scale = 100;
    leat_code code = LEAT_OK;
    *made = 0;
    leat__decompressor_begin(d);
    for (size_t at = 0, n; !code && at < size; at += n) {
        n = 1 + (size_t)draw(in_scale);
        if (n > size - at) n = size - at;
        bool last = at + n == size;
        const uint8_t *in = packed + at;
        size_t in_size = n;
        if (leat__decompressor_passes(d, in, in_size, last)) return LEAT_EFORMAT; /* none of these looks unpacked */
        do {
            size_t capacity = 1 + (size_t)draw(out_scale), room;
            if (capacity > sizeof unpacked - *made) capacity = sizeof unpacked - *made;
            if (!capacity) return LEAT_ELIMIT;
            uint8_t *out = unpacked + *made;
            room = capacity;
            leat_error error;
            code = leat__decompress(d, &in, &in_size, last, &out, &room, &error);
            *made += capacity - room;
        } while (code == LEAT_AGAIN);
    }
    return code;
}

static leat__decompressor *decompressor(void)
{
    leat__decompress_limits limits = {.max_window_log = 23, .max_output = MOST, .ratio = 1000000, .ratio_after = MOST};
    leat__decompressor *d = leat__decompressor_new(&limits);
    ck_assert_ptr_nonnull(d);
    return d;
}

START_TEST(random_streams_in_random_pieces_unpack_as_packed)
{
    bool zstd = _i == 0;
    leat__decompressor *d = decompressor(); /* one for all: what it keeps between objects must not show */
    for (int i = 0; i < 1500; i++) {
        size_t plain_size, size = draw_packed(zstd, &plain_size), made;
        ck_assert_int_eq(unpack_in_pieces(d, size, &made), LEAT_OK);
        ck_assert_uint_eq(made, plain_size);
        ck_assert(memcmp(unpacked, plain, made) == 0);
        ck_assert_uint_eq(leat__decompressor_used(d), size);
        if (!zstd) continue;
        size_t all = ZSTD_decompress(unpacked, sizeof unpacked, packed, size); /* the data is what libzstd says it is */
        ck_assert_uint_eq(all, plain_size);
        ck_assert(memcmp(unpacked, plain, all) == 0);
    }
    leat__decompressor_free(d);
}
END_TEST

/* What a plain loop around libzstd makes of it: true if it is whole and sound. */
static bool plain_zstd(uint8_t *to, size_t room, size_t size, size_t *made)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, 23);
    ZSTD_inBuffer in = {packed, size, 0};
    ZSTD_outBuffer out = {to, room, 0};
    size_t result = 1;
    while (in.pos < in.size && !ZSTD_isError(result) && out.pos < out.size)
        result = ZSTD_decompressStream(context, &out, &in);
    ZSTD_freeDCtx(context);
    *made = out.pos;
    return result == 0 && in.pos == in.size;
}

/* Refused by both or by neither, and then with the same bytes. */
START_TEST(a_damaged_stream_is_judged_as_libzstd_judges_it)
{
    static uint8_t theirs[MOST + 1];
    leat__decompressor *d = decompressor();
    int refused = 0;
    for (int i = 0; i < 1500; i++) {
        size_t plain_size, size = draw_packed(true, &plain_size), made, their_size;
        if (draw(4) == 0) size = 4 + (size_t)draw(size - 3);
        else for (uint64_t n = 1 + draw(3); n && size > 4; n--) packed[4 + draw(size - 4)] ^= (uint8_t)(1 << draw(8));
        bool good = plain_zstd(theirs, sizeof theirs, size, &their_size);
        leat_code code = unpack_in_pieces(d, size, &made);
        ck_assert_msg(good == (code == LEAT_OK), "case %d: libzstd %d, leat %s", i, good, leat_code_name(code));
        refused += !good;
        if (!good) continue;
        ck_assert_uint_eq(made, their_size);
        ck_assert(memcmp(unpacked, theirs, made) == 0);
    }
    ck_assert_int_gt(refused, 300);
    ck_assert_int_lt(refused, 1450);
    leat__decompressor_free(d);
}
END_TEST

/* ---- tar ---- */

static uint8_t archive[2 * MOST];
static size_t archive_size;

static void seal(uint8_t *block)
{
    unsigned sum = 0;
    memset(block + 148, ' ', 8);
    for (int i = 0; i < 512; i++) sum += block[i];
    snprintf((char *)block + 148, 8, "%06o", sum);
}

static void put(const char *prefix, const char *name, char type, const void *body, size_t size, size_t said)
{
    uint8_t *block = archive + archive_size;
    memset(block, 0, 512);
    memcpy(block, name, strnlen(name, 100));
    memcpy(block + 345, prefix, strnlen(prefix, 155));
    memcpy(block + 257, "ustar\00000", 8);
    if (draw(8)) {
        snprintf((char *)block + 124, 12, "%011zo", said);
    } else {
        block[124] = 0x80;
        for (int i = 0; i < 4; i++) block[135 - i] = (uint8_t)(said >> 8 * i);
    }
    block[156] = (uint8_t)type;
    seal(block);
    archive_size += 512;
    if (size) memcpy(archive + archive_size, body, size);
    memset(archive + archive_size + size, 0, -size & 511);
    archive_size += (size + 511) & ~(size_t)511;
}

static void put_record(const char *key, const char *value)
{
    char record[600];
    size_t length = strlen(key) + strlen(value) + 3, whole = length + 1; /* blank, '=', newline */
    while (whole != length + (size_t)snprintf(NULL, 0, "%zu", whole)) whole++;
    snprintf(record, sizeof record, "%zu %s=%s\n", whole, key, value);
    put("", "pax", 'x', record, whole, whole);
}

/* A file named in one of the formats' ways; now and then something that is no file before it. */
static void put_file(unsigned key, unsigned field)
{
    static uint8_t body[40000];
    char name[400], prefix[160] = "", size_text[32];
    size_t size = draw_size() % sizeof body, said = size;
    draw_bytes(body, size);
    uint64_t way = draw(6);
    if (draw(10) == 0) put("", "folder/", '5', NULL, 0, 0);
    if (draw(10) == 0) put("", "link.x", '2', NULL, 0, 0);
    if (draw(20) == 0) put("", "all", 'g', "13 comment=a\n", 13, 13);
    if (way == 1) snprintf(prefix, sizeof prefix, "%0*d", 1 + (int)draw(150), 0);
    if (way >= 4) snprintf(name, sizeof name, "%0*d/k%u.f%u", 90 + (int)draw(150), 0, key, field);
    else snprintf(name, sizeof name, "k%u.f%u", key, field);
    if (way == 4) put("", "././@LongLink", 'L', name, strlen(name) + 1, strlen(name) + 1);
    if (way == 5) put_record("path", name);
    if (way == 3) {
        snprintf(size_text, sizeof size_text, "%zu", size);
        put_record("size", size_text);
        said = (size_t)draw(size + 1); /* the record goes over it */
    }
    put(prefix, way >= 4 ? "short" : name, draw(8) ? '0' : '\0', body, size, said);
}

static void draw_archive(void)
{
    archive_size = 0;
    unsigned key = 0, field = 0;
    for (uint64_t files = 1 + draw(20); files; files--) {
        put_file(key, field++);
        if (draw(2)) key++, field = 0;
    }
    memset(archive + archive_size, 0, 1024);
    archive_size += (size_t)draw(3) * 512; /* the end's mark, half of it, none */
}

/* Where a run of the archive's bytes lies in a buffer that was fed. */
typedef struct run {
    size_t start;        /* in the archive */
    const uint8_t *data;
    leat__buffer *buffer;
} run;

/* What was fed, and what was seen of it. */
typedef struct sight {
    run runs[1 << 16];
    size_t count;
    char *text;
    size_t size;
    size_t slices, copies;
} sight;

static void note(sight *s, const char *path, size_t length, size_t offset, size_t size)
{
    s->size += (size_t)sprintf(s->text + s->size, "%.*s %zu %zu\n", (int)length, path, offset, size);
}

static void see_file(void *user, const char *path, size_t length, size_t body_offset, size_t size)
{
    note(user, path, length, body_offset, size);
}

/* Bytes are the archive's; a body in one run is not copied, another one is. */
static void check_bytes(sight *s, const leat__sample_field *f)
{
    ck_assert(f->bytes.size == 0 || memcmp(f->bytes.data, archive + f->offset, f->bytes.size) == 0);
    if (f->bytes.size <= LEAT__INLINE_BYTES) return;
    size_t i = s->count - 1;
    while (s->runs[i].start > f->offset) i--;
    bool in_one = i == s->count - 1 || f->offset + f->bytes.size <= s->runs[i + 1].start;
    const uint8_t *expected = in_one ? s->runs[i].data + (f->offset - s->runs[i].start) : f->bytes.buffer->data;
    ck_assert_ptr_eq(f->bytes.data, expected);
    ck_assert(in_one == (f->bytes.buffer == s->runs[i].buffer));
    s->slices += in_one;
    s->copies += !in_one;
}

static void see_sample(void *user, leat__sample *sample)
{
    sight *s = user;
    ck_assert_msg(!sample->failed, "%s", sample->error.message);
    for (size_t i = 0; i < sample->field_count; i++) {
        const leat__sample_field *f = &sample->fields[i];
        char path[600];
        snprintf(path, sizeof path, "%s.%s", sample->key, f->name);
        note(s, path, strlen(path), (size_t)f->offset, f->bytes.size);
        check_bytes(s, f);
    }
    leat__item_release(&sample->item);
}

/* Feeds the archive in buffers of up to buffer_bytes, each in several pieces, now and then with a gap between two. */
static leat_code feed(leat__tar *tar, leat__arena *arena, sight *s, size_t buffer_bytes)
{
    static const leat__object object = {.display = "random.tar", .is_shard = true};
    leat_error error;
    leat_code code = LEAT_OK;
    leat__tar_begin(tar, &object, 0);
    for (size_t at = 0, n; !code && at < archive_size; at += n) {
        n = 1 + (size_t)draw(buffer_bytes);
        if (n > archive_size - at) n = archive_size - at;
        leat__buffer *buffer = leat__buffer_new(arena, NULL, n + GAPS);
        uint8_t *to = buffer->data;
        for (size_t done = 0, gaps = 0, piece; !code && done < n; done += piece, to += piece) {
            bool gap = gaps < GAPS && draw(4) == 0;
            if (gap) *to++ = 0xee, gaps++;
            if (gap || done == 0) s->runs[s->count++] = (run){at + done, to, buffer};
            piece = 1 + (size_t)draw(n - done);
            memcpy(to, archive + at + done, piece); /* what lies behind is not there yet */
            leat__bytes bytes = {buffer, to, piece};
            code = leat__tar_feed(tar, &bytes, see_sample, s, &error);
        }
        leat__buffer_release(buffer);
    }
    return code ? code : leat__tar_end(tar, see_sample, s, &error);
}

/* Half of the archives are cut somewhere: whole for both readers, or for none. */
START_TEST(random_archives_in_random_pieces_read_as_a_plain_reader_reads_them)
{
    static sight s, whole;
    leat__arena *arena = leat__arena_new((size_t)1 << 24);
    leat__stock *samples = leat__stock_new();
    leat__tar_options options = {.arena = arena, .samples = samples, .max_sample_bytes = 4 * MOST};
    leat__tar *tar = leat__tar_new(&options);
    s.text = malloc(MOST);
    whole.text = malloc(MOST);
    size_t slices = 0, copies = 0, refused = 0;
    for (int i = 0; i < 3000; i++) {
        draw_archive();
        if (draw(2)) archive_size = (size_t)draw(archive_size + 1);
        whole.size = 0;
        bool good = reference_tar_walk(archive, archive_size, see_file, &whole);
        s.count = s.size = s.slices = s.copies = 0;
        leat_code code = feed(tar, arena, &s, i % 2 ? 200000 : 3000);
        ck_assert_msg(good == (code == LEAT_OK), "archive %d: %d, %s", i, good, leat_code_name(code));
        if (good) ck_assert_uint_eq(s.size, whole.size);
        ck_assert_uint_le(s.size, whole.size); /* of a broken one the samples before */
        ck_assert(memcmp(s.text, whole.text, s.size) == 0);
        slices += s.slices, copies += s.copies, refused += !good;
    }
    ck_assert_uint_gt(slices, 1000);
    ck_assert_uint_gt(copies, 1000);
    ck_assert_uint_gt(refused, 1000);
    leat__tar_free(tar);
    ck_assert_uint_eq(leat__arena_live(arena), 0);
    leat__stock_release(samples);
    leat__arena_release(arena);
    free(whole.text);
    free(s.text);
}
END_TEST

/* The sum is vectorized by the compiler; here it is a byte at a time. */
START_TEST(a_header_is_one_if_its_sum_is_right_plain_or_signed)
{
    int accepted = 0;
    for (int i = 0; i < 20000; i++) {
        uint8_t block[512];
        bool high = draw(2);
        for (int k = 0; k < 512; k++) block[k] = (uint8_t)draw(high ? 256 : 128);
        memcpy(block + 124, "00000000123", 12);
        int plain_sum = 0, signed_sum = 0;
        memset(block + 148, ' ', 8);
        for (int k = 0; k < 512; k++) plain_sum += block[k], signed_sum += (int8_t)block[k];
        int64_t choices[] = {plain_sum, signed_sum, plain_sum + 1, plain_sum - 256, signed_sum + 256, 0};
        int64_t stored = choices[draw(6)];
        if (stored < 0) stored = -stored;
        char digits[16];
        snprintf(digits, sizeof digits, "%07o", (unsigned)stored);
        memcpy(block + 148, digits, 8);
        leat__tar_header header;
        leat_code code = leat__tar_header_read(block, 0, &header, NULL);
        bool right = stored == plain_sum || stored == signed_sum;
        ck_assert_int_eq(code, right ? LEAT_OK : LEAT_ECORRUPT);
        if (right) ck_assert_uint_eq(header.size, 0123 * (unsigned)header.has_data);
        accepted += right;
    }
    ck_assert_int_gt(accepted, 4000);
    ck_assert_int_lt(accepted, 16000);
}
END_TEST

static void seed(void)
{
    state = 88172645463325252u;
}

int main(void)
{
    Suite *suite = suite_create("archive");
    TCase *tests = tcase_create("archive");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, seed, NULL);
    tcase_add_loop_test(tests, random_streams_in_random_pieces_unpack_as_packed, 0, 2);
    tcase_add_test(tests, a_damaged_stream_is_judged_as_libzstd_judges_it);
    tcase_add_test(tests, random_archives_in_random_pieces_read_as_a_plain_reader_reads_them);
    tcase_add_test(tests, a_header_is_one_if_its_sum_is_right_plain_or_signed);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
