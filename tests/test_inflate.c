/* test_inflate.c - inflate.c against zlib: the same bytes, and the same streams refused. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libdeflate.h>
#include <zlib.h>

#include "check_main.h"
#include "pipeline/random.h"
#include "stages/inflate.h"

enum { MOST = 1 << 16, GUARD = 64 };

static leat__inflate *inflate_state;
static struct libdeflate_decompressor *lax;
static z_stream zlib;

static void set_up(void)
{
    inflate_state = leat__inflate_new();
    lax = libdeflate_alloc_decompressor();
    zlib = (z_stream){0};
    ck_assert_int_eq(inflateInit2(&zlib, 15), Z_OK);
    ck_assert(inflate_state && lax);
}

static void tear_down(void)
{
    leat__inflate_free(inflate_state);
    libdeflate_free_decompressor(lax);
    inflateEnd(&zlib);
}

/* A stream in memory of exactly its size. */
typedef struct stream {
    uint8_t *data;
    size_t size;
} stream;

/* Bytes of many kinds: noise, few symbols, runs, repeats from far and near. */
static void fill(leat__random *random, uint8_t *out, size_t size)
{
    const unsigned kind = (unsigned)leat__random_below(random, 6);
    for (size_t i = 0; i < size; i++) {
        const uint64_t r = leat__random_next(random);
        const unsigned few = (unsigned)(r >> 8 & r >> 16 & r >> 24 & 0xff);
        size_t back = kind == 4 ? 1 + (r >> 32) % 9 : 1 + (r >> 32) % 40000;
        switch (kind) {
        case 0: out[i] = (uint8_t)r; break;
        case 1: out[i] = (uint8_t)few; break;
        case 2: out[i] = r % 50 ? (i ? out[i - 1] : 7) : (uint8_t)(r >> 8); break;
        case 3: out[i] = 0x5a; break;
        default:
            out[i] = (uint8_t)few;
            if (back > i || r % 7) break;
            for (size_t n = 3 + (r >> 16) % 256; n > 0 && i < size; n--, i++) out[i] = out[i - back];
            i--;
        }
    }
}

static stream pack_zlib(leat__random *random, const uint8_t *in, size_t size)
{
    static const int strategies[] = {Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED};
    z_stream z = {0};
    int level = (int)leat__random_below(random, 10), window = 9 + (int)leat__random_below(random, 7);
    int memory = 1 + (int)leat__random_below(random, 9), strategy = strategies[leat__random_below(random, 5)];
    ck_assert_int_eq(deflateInit2(&z, level, Z_DEFLATED, window, memory, strategy), Z_OK);
    stream out = {malloc(deflateBound(&z, size) + 4096), 0};
    z.next_in = (uint8_t *)(uintptr_t)in;
    z.next_out = out.data;
    z.avail_out = (uInt)(deflateBound(&z, size) + 4096);
    size_t flush = leat__random_below(random, 3) ? 0 : 1 + leat__random_below(random, size + 1);
    if (flush && flush < size) {
        z.avail_in = (uInt)flush;
        ck_assert_int_eq(deflate(&z, leat__random_below(random, 2) ? Z_FULL_FLUSH : Z_PARTIAL_FLUSH), Z_OK);
    }
    z.avail_in = (uInt)(size - z.total_in);
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    out.size = z.total_out;
    deflateEnd(&z);
    out.data = realloc(out.data, out.size);
    return out;
}

static stream pack_libdeflate(leat__random *random, const uint8_t *in, size_t size)
{
    struct libdeflate_compressor *c = libdeflate_alloc_compressor((int)leat__random_below(random, 13));
    size_t bound = libdeflate_zlib_compress_bound(c, size);
    stream out = {malloc(bound), 0};
    out.size = libdeflate_zlib_compress(c, in, size, out.data, bound);
    libdeflate_free_compressor(c);
    ck_assert_uint_gt(out.size, 0);
    out.data = realloc(out.data, out.size);
    return out;
}

/* zlib's verdict: true if it gives `size` bytes of all of the stream. */
static bool zlib_takes(const stream *s, uint8_t *out, size_t size)
{
    inflateReset(&zlib);
    zlib.next_in = s->data, zlib.avail_in = (uInt)s->size;
    zlib.next_out = out, zlib.avail_out = (uInt)size + 1;
    return inflate(&zlib, Z_FINISH) == Z_STREAM_END && zlib.total_out == size && zlib.avail_in == 0;
}

static bool ours_takes(const stream *s, uint8_t *out, size_t size)
{
    uint8_t guard[GUARD];
    memset(guard, 0xc3, GUARD);
    memcpy(out + size + LEAT__INFLATE_SLACK, guard, GUARD);
    bool takes = leat__inflate_zlib(inflate_state, s->data, s->size, out, size, NULL);
    if (memcmp(out + size + LEAT__INFLATE_SLACK, guard, GUARD) != 0) ck_abort_msg("written behind the slack");
    return takes;
}

static uint8_t *room(size_t size)
{
    uint8_t *out = malloc(size + LEAT__INFLATE_SLACK + GUARD);
    ck_assert_ptr_nonnull(out);
    return out;
}

START_TEST(test_every_encoder)
{
    leat__random random = {.key = {.seed = 5}};
    uint8_t *in = malloc(MOST), *out = room(MOST);
    for (unsigned n = 0; n < 3000; n++) {
        size_t size = leat__random_below(&random, n % 8 ? 600 : MOST);
        fill(&random, in, size);
        stream s = n % 2 ? pack_zlib(&random, in, size) : pack_libdeflate(&random, in, size);
        ck_assert_msg(ours_takes(&s, out, size), "%u: %zu bytes in %zu", n, size, s.size);
        ck_assert_int_eq(memcmp(in, out, size), 0);
        if (size > 0) ck_assert(!ours_takes(&s, out, size - 1));
        ck_assert(!ours_takes(&s, out, size + 1));
        for (size_t cut = 0; cut < s.size && cut < 40; cut++) {
            stream end = {malloc(s.size - cut), s.size - cut};
            memcpy(end.data, s.data, end.size);
            if (ours_takes(&end, out, size) != (cut == 0)) ck_abort_msg("%u: cut by %zu", n, cut);
            free(end.data);
        }
        s.data = realloc(s.data, s.size + 1);
        s.data[s.size++] = 0;
        ck_assert(!ours_takes(&s, out, size));
        free(s.data);
    }
    free(in);
    free(out);
}
END_TEST

/* libdeflate takes more than zlib does: what it gives is how the stream would have to end, and with which Adler-32.
 * Gives the number of bytes. */
static size_t mend_end(stream *s, uint8_t *out, size_t most)
{
    size_t used = 0, size = SIZE_MAX;
    if (libdeflate_deflate_decompress_ex(lax, s->data + 2, s->size - 6, out, most, &used, &size) != LIBDEFLATE_SUCCESS)
        return SIZE_MAX;
    const uint32_t adler = libdeflate_adler32(1, out, size);
    s->size = 2 + used + 4;
    for (unsigned i = 0; i < 4; i++) s->data[s->size - 4 + i] = (uint8_t)(adler >> (24 - 8 * i));
    s->data = realloc(s->data, s->size);
    return size;
}

/* How many changed streams both took; both refused; and of these, libdeflate would have taken. */
typedef struct verdicts {
    unsigned taken, refused, lax;
} verdicts;

/* Changed streams: both take one, with the same bytes, or neither does. */
static void expect_agreement(stream *s, size_t size, uint8_t *ours, uint8_t *zlibs, verdicts *v)
{
    size_t mended = mend_end(s, zlibs, MOST);
    if (mended != SIZE_MAX) size = mended;
    bool want = zlib_takes(s, zlibs, size), got = ours_takes(s, ours, size);
    if (want != got) ck_abort_msg("zlib says %d, inflate.c %d, to %zu bytes", want, got, s->size);
    if (want && memcmp(ours, zlibs, size) != 0) ck_abort_msg("other bytes");
    v->taken += want;
    v->refused += !want;
    v->lax += !want && mended != SIZE_MAX;
}

START_TEST(test_every_bit_of_short_streams)
{
    leat__random random = {.key = {.seed = 6}};
    uint8_t *in = malloc(MOST), *ours = room(MOST), *zlibs = malloc(MOST + 1);
    verdicts v = {0};
    for (unsigned n = 0; n < 250; n++) {
        size_t size = 1 + leat__random_below(&random, 300);
        fill(&random, in, size);
        stream s = n % 2 ? pack_zlib(&random, in, size) : pack_libdeflate(&random, in, size);
        for (size_t bit = 0; bit < s.size * 8; bit++) {
            stream bad = {malloc(s.size), s.size};
            memcpy(bad.data, s.data, s.size);
            bad.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            expect_agreement(&bad, size, ours, zlibs, &v);
            free(bad.data);
        }
        free(s.data);
    }
    ck_assert_uint_gt(v.taken, 10000);
    ck_assert_uint_gt(v.refused, 10000);
    ck_assert_uint_gt(v.lax, 100);
    free(in);
    free(ours);
    free(zlibs);
}
END_TEST

/* ---- blocks that no encoder writes ---- */

typedef struct writer {
    uint8_t data[4096];
    size_t bits;
} writer;

static void put(writer *w, unsigned value, unsigned bits)
{
    for (unsigned i = 0; i < bits && w->bits < 8 * (sizeof w->data - 8); i++, w->bits++)
        w->data[w->bits / 8] = (uint8_t)(w->data[w->bits / 8] | (value >> i & 1) << w->bits % 8);
}

/* Code lengths: complete, or one too few, or one too many, or single, or none. */
static void draw_lengths(leat__random *random, uint8_t *lengths, unsigned symbols, unsigned longest)
{
    unsigned used = 1 + (unsigned)leat__random_below(random, symbols < 40 ? symbols : 40);
    unsigned codes[64] = {0}, count = 1;
    memset(lengths, 0, symbols);
    if (leat__random_below(random, 12) == 0) return;
    while (count < used) {
        unsigned at = (unsigned)leat__random_below(random, count);
        if (codes[at] == longest) break;
        codes[count++] = ++codes[at];
    }
    if (count == 1) codes[0] = leat__random_below(random, 2);
    for (unsigned i = 0; i < count; i++) {
        unsigned at = (unsigned)leat__random_below(random, symbols);
        if (i == 0 && symbols > 256) at = 256;
        if (!lengths[at]) lengths[at] = (uint8_t)codes[i];
        else i--;
    }
    if (leat__random_below(random, 6) > 0) return;
    lengths[leat__random_below(random, symbols)] = (uint8_t)leat__random_below(random, longest + 1);
}

/* Writes lengths with a precode of 5 bits for every length: symbols 0..15 and one of 16, 17, 18 as codes of 4 or 5. */
static void put_lengths(leat__random *random, writer *w, const uint8_t *lengths, unsigned total)
{
    static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    uint8_t bits[19];
    for (unsigned i = 0; i < 19; i++) bits[i] = i < 13 ? 4 : 5; /* 13 / 16 + 6 / 32 = 1 */
    put(w, 15, 4);
    for (unsigned i = 0; i < 19; i++) put(w, bits[order[i]], 3);
    for (unsigned i = 0; i < total;) {
        unsigned run = 1, symbol = lengths[i], extra = 0, extra_bits = 0;
        while (i + run < total && lengths[i + run] == lengths[i]) run++;
        const bool overrun = leat__random_below(random, 200) == 0;
        if (lengths[i] == 0 && (run >= 11 || overrun)) {
            symbol = 18, extra_bits = 7;
            if (run > 138) run = 138;
            extra = overrun ? 127 : run - 11;
        } else if (lengths[i] == 0 && run >= 3) {
            symbol = 17, extra_bits = 3;
            extra = run - 3;
        } else if (i > 0 && lengths[i] == lengths[i - 1] && (run >= 3 || overrun)) {
            symbol = 16, extra_bits = 2;
            if (run > 6) run = 6;
            extra = overrun ? 3 : run - 3;
        } else {
            run = 1;
        }
        unsigned code = symbol < 13 ? symbol : 26 + symbol - 13, length = bits[symbol];
        for (unsigned b = length; b-- > 0;) put(w, code >> b & 1, 1);
        put(w, extra, extra_bits);
        i += run;
    }
}

START_TEST(test_codes_that_no_encoder_makes)
{
    leat__random random = {.key = {.seed = 7, .sample = (uint64_t)_i}};
    uint8_t *ours = room(MOST), *zlibs = malloc(MOST + 1), lengths[320];
    verdicts v = {0};
    for (unsigned n = 0; n < 30000; n++) {
        writer w = {.data = {0x78, 0x9c}, .bits = 16};
        const bool fixed = n % 8 == 0;
        put(&w, 1, 1);
        put(&w, fixed ? 1 : 2, 2);
        if (!fixed) {
            unsigned literals = 257 + (unsigned)leat__random_below(&random, n % 16 ? 30 : 32);
            unsigned distances = 1 + (unsigned)leat__random_below(&random, n % 16 ? 30 : 32);
            put(&w, literals - 257, 5);
            put(&w, distances - 1, 5);
            draw_lengths(&random, lengths, literals, 15);
            draw_lengths(&random, lengths + literals, distances, 15);
            put_lengths(&random, &w, lengths, literals + distances);
        }
        const unsigned noise = (unsigned)leat__random_below(&random, 40);
        for (unsigned i = 0; i < noise; i++) put(&w, (unsigned)leat__random_next(&random), 5);
        stream s = {malloc((w.bits + 7) / 8 + 8), (w.bits + 7) / 8 + 8};
        memcpy(s.data, w.data, s.size);
        expect_agreement(&s, 10, ours, zlibs, &v);
        free(s.data);
    }
    ck_assert_uint_gt(v.taken, 500);
    ck_assert_uint_gt(v.refused, 10000);
    ck_assert_uint_gt(v.lax, 100);
    free(ours);
    free(zlibs);
}
END_TEST

typedef struct attempt {
    uint8_t *data, *out;
    size_t size;
    atomic_bool stop;
    bool took;
} attempt;

static void *run_attempt(void *argument)
{
    attempt *a = argument;
    a->took = leat__inflate_zlib(inflate_state, a->data, a->size, a->out, 64, &a->stop);
    return NULL;
}

/* 256 MB of empty stored blocks: a second and more. Were the flag not looked at, the test's time would be over. */
START_TEST(test_a_stop_ends_a_stream_of_tiny_blocks)
{
    attempt a = {.size = (size_t)256 << 20, .out = room(64)};
    a.data = malloc(a.size);
    ck_assert_ptr_nonnull(a.data);
    a.data[0] = 0x78, a.data[1] = 0x01;
    for (size_t i = 2; i + 5 <= a.size; i += 5) memcpy(a.data + i, "\x00\x00\x00\xff\xff", 5);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, run_attempt, &a), 0);
    atomic_store(&a.stop, true);
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    pthread_join(thread, NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    ck_assert(!a.took);
    ck_assert_double_lt((double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9, 0.2);
    free(a.data);
    free(a.out);
}
END_TEST

START_TEST(test_headers)
{
    uint8_t in[100] = "abcabcabcabc", out[100 + LEAT__INFLATE_SLACK + GUARD], zlibs[101];
    leat__random random = {.key = {.seed = 8}};
    stream s = pack_libdeflate(&random, in, sizeof in);
    unsigned all = 0;
    for (unsigned header = 0; header < 1 << 16; header++) {
        s.data[0] = (uint8_t)(header >> 8), s.data[1] = (uint8_t)header;
        bool taken = ours_takes(&s, out, sizeof in);
        if (taken != zlib_takes(&s, zlibs, sizeof in)) ck_abort_msg("%04x", header);
        all += taken;
    }
    ck_assert_uint_eq(all, 8 * 4); /* windows, levels; the rest of 31 follows */
    free(s.data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("inflate");
    TCase *tests = tcase_create("inflate");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, test_every_encoder);
    tcase_add_test(tests, test_every_bit_of_short_streams);
    tcase_add_loop_test(tests, test_codes_that_no_encoder_makes, 0, 2);
    tcase_add_test(tests, test_a_stop_ends_a_stream_of_tiny_blocks);
    tcase_add_test(tests, test_headers);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
