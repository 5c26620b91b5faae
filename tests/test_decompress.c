/* test_decompress.c - what the zstd and gzip tools make, broken in every way, and bombs. */
#include <check.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>
#include <zstd.h>

#include "pipeline/failure.h"
#include "stages/decompress.h"

static char folder[] = "/tmp/leat-test-decompress-XXXXXX";

#define MIB ((uint64_t)1 << 20)

static const leat__decompress_limits ordinary = { .max_window_log = 23, .max_output = (uint64_t)1 << 40, .ratio = 1000,
                                                  .ratio_after = 16 * MIB };

typedef struct blob {
    uint8_t *data;
    size_t size;
} blob;

static blob file_read(const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    fseek(file, 0, SEEK_END);
    blob b = { .size = (size_t)ftell(file) };
    rewind(file);
    b.data = malloc(b.size + 1);
    ck_assert_uint_eq(fread(b.data, 1, b.size, file), b.size);
    fclose(file);
    return b;
}

/* Runs a shell command in the folder. */
__attribute__((format(printf, 1, 2))) static void shell(const char *format, ...)
{
    char command[4000];
    int n = snprintf(command, sizeof command, "cd %s && ", folder);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command + n, sizeof command - (size_t)n, format, arguments);
    va_end(arguments);
    ck_assert_msg(system(command) == 0, "%s", command);
}

typedef struct outcome {
    leat_code code;
    leat__codec codec;
    uint64_t size, used, passed, calls;
    uLong crc;
    leat_error error;
} outcome;

/* The loop of decompress.h: chunks of in_chunk bytes (0: of random sizes), buffers of out_chunk. */
static outcome unpack_with(leat__decompressor *d, const uint8_t *data, size_t size, size_t in_chunk, size_t out_chunk)
{
    outcome o = { .crc = crc32_z(0, NULL, 0) };
    uint8_t *buffer = malloc(out_chunk), *piece;
    uint64_t random = 88172645463325252u + size;
    leat__decompressor_begin(d);
    for (size_t at = 0, n; o.code == LEAT_OK && at <= size; at += n) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        n = in_chunk ? in_chunk : 1 + (size_t)(random % 1000);
        bool last = at + n > size; /* on an empty chunk if the sizes fit */
        if (last) n = size - at;
        piece = malloc(n ? n : 1); /* its own memory: what is read beyond it shows */
        memcpy(piece, data + at, n);
        const uint8_t *in = piece;
        size_t in_size = n;
        if (leat__decompressor_passes(d, in, in_size, last)) {
            o.crc = crc32_z(o.crc, in, in_size);
            o.size += in_size;
            o.passed += in_size;
        } else {
            do {
                uint8_t *out = buffer;
                size_t room = out_chunk;
                o.code = leat__decompress(d, &in, &in_size, last, &out, &room, &o.error);
                if ((size_t)(out - buffer) + room != out_chunk || (o.code == LEAT_AGAIN && room) ||
                    (o.code == LEAT_OK && in_size)) /* a ck_assert each time would take most of the time */
                    ck_abort_msg("decompress.h promises otherwise: %s", leat_code_name(o.code));
                o.crc = crc32_z(o.crc, buffer, (size_t)(out - buffer));
                o.size += (size_t)(out - buffer);
                o.calls++;
            } while (o.code == LEAT_AGAIN);
        }
        free(piece);
        if (last) break;
    }
    free(buffer);
    o.codec = leat__decompressor_codec(d);
    o.used = leat__decompressor_used(d);
    ck_assert_uint_eq(leat__decompressor_made(d), o.size);
    if (o.code == LEAT_OK) ck_assert_uint_eq(o.used, size);
    return o;
}

static outcome unpack(const uint8_t *data, size_t size, const leat__decompress_limits *limits, size_t in_chunk,
                      size_t out_chunk)
{
    leat__decompressor *d = leat__decompressor_new(limits);
    ck_assert_ptr_nonnull(d);
    outcome o = unpack_with(d, data, size, in_chunk, out_chunk);
    leat__decompressor_free(d);
    return o;
}

static outcome unpack_file(const char *name, const leat__decompress_limits *limits)
{
    blob b = file_read(name);
    outcome o = unpack(b.data, b.size, limits, 65536, 262144);
    free(b.data);
    return o;
}

/* ---- what the tools make ---- */

/* Commands that write `packed` from `plain` (150 KB of half-random text), and what is in it then. */
static const struct {
    const char *command;
    leat__codec codec;
    const char *plain; /* a shell command that writes what must come out */
} made[] = {
    { "cat plain", LEAT__CODEC_NONE, "cat plain" },
    { "zstd -q -c plain", LEAT__CODEC_ZSTD, "cat plain" },
    { "zstd -q -c -19 plain", LEAT__CODEC_ZSTD, "cat plain" },
    { "zstd -q -c --fast=5 --no-check plain", LEAT__CODEC_ZSTD, "cat plain" },
    { "zstd -q -c < plain", LEAT__CODEC_ZSTD, "cat plain" },                              /* no content size */
    { "zstd -q -c -T2 -B65536 plain", LEAT__CODEC_ZSTD, "cat plain" },
    { "(zstd -q -c plain; zstd -q -c small; zstd -q -c plain)", LEAT__CODEC_ZSTD, "cat plain small plain" },
    { "(zstd -q -c empty; zstd -q -c < empty; zstd -q -c plain; zstd -q -c empty)", LEAT__CODEC_ZSTD, "cat plain" },
    { "zstd -q -c empty", LEAT__CODEC_ZSTD, "cat empty" },
    { "(printf '\\120\\052\\115\\030\\5\\0\\0\\0hello'; zstd -q -c plain; printf '\\137\\052\\115\\030\\0\\0\\0\\0')",
      LEAT__CODEC_ZSTD, "cat plain" },
    { "printf '\\123\\052\\115\\030\\5\\0\\0\\0hello'", LEAT__CODEC_ZSTD, "cat empty" }, /* skippable only */
    { "gzip -c plain", LEAT__CODEC_GZIP, "cat plain" },
    { "gzip -1 -n -c plain", LEAT__CODEC_GZIP, "cat plain" },
    { "(gzip -c plain; gzip -c small; gzip -c empty; gzip -9 -c plain)", LEAT__CODEC_GZIP, "cat plain small plain" },
    { "(gzip -c plain; head -c 3000 /dev/zero)", LEAT__CODEC_GZIP, "cat plain" },
    { "gzip -c empty", LEAT__CODEC_GZIP, "cat empty" },
    { "cat empty", LEAT__CODEC_NONE, "cat empty" },
    { "printf '('", LEAT__CODEC_NONE, "printf '('" },
    { "printf '\\037'", LEAT__CODEC_NONE, "printf '\\037'" },
    { "printf '\\037\\213\\011xyz'", LEAT__CODEC_NONE, "printf '\\037\\213\\011xyz'" },      /* no deflate */
    { "printf 'abc'", LEAT__CODEC_NONE, "printf 'abc'" },
    { "xz -c small 2>/dev/null || printf '\\3757zXZ'", LEAT__CODEC_NONE, "cat packed" },
};

static void make_plain(void)
{
    FILE *file;
    char path[PATH_MAX];
    static const struct { const char *name; int size; } files[] = {
        { "plain", 150000 }, { "small", 200 }, { "empty", 0 },
    };
    uint32_t state = 1;
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i].name);
        file = fopen(path, "wb");
        for (int k = 0; k < files[i].size; k++) {
            state = state * 1664525 + 1013904223;
            fputc(state >> 31 ? (int)('a' + k / 7 % 26) : (int)(state >> 24), file);
        }
        fclose(file);
    }
}

START_TEST(reads_what_the_tools_make)
{
    static const size_t in_chunks[] = { 1, 2, 3, 4, 5, 7, 13, 100, 4096, 65536, 1 << 20, 0 };
    static const size_t out_chunks[] = { 1, 3, 1000, 131072, 262144 };
    shell("(%s) > packed && (%s) > unpacked", made[_i].command, made[_i].plain);
    blob packed = file_read("packed"), plain = file_read("unpacked");
    uLong crc = crc32_z(crc32_z(0, NULL, 0), plain.data, plain.size);
    leat__decompressor *d = leat__decompressor_new(&ordinary);
    for (size_t i = 0; i < sizeof in_chunks / sizeof in_chunks[0]; i++) {
        for (size_t k = 0; k < sizeof out_chunks / sizeof out_chunks[0]; k++) {
            if (i > 4 && k == 0) continue; /* a byte at a time on both sides is slow, and done with the first ones */
            outcome o = unpack_with(d, packed.data, packed.size, in_chunks[i], out_chunks[k]);
            ck_assert_msg(o.code == LEAT_OK, "%s: %s", made[_i].command, o.error.message);
            ck_assert_int_eq(o.codec, made[_i].codec);
            ck_assert_msg(o.size == plain.size && o.crc == crc, "%s, chunks of %zu and %zu", made[_i].command,
                          in_chunks[i], out_chunks[k]);
            if (o.codec == LEAT__CODEC_NONE && in_chunks[i] >= 4) ck_assert_uint_eq(o.passed, plain.size); /* no copy */
        }
    }
    leat__decompressor_free(d);
    free(packed.data);
    free(plain.data);
}
END_TEST

START_TEST(a_first_chunk_under_four_bytes_is_held_and_the_rest_passes)
{
    shell("cat plain > packed");
    blob packed = file_read("packed");
    for (size_t n = 1; n < 4; n++) {
        outcome o = unpack(packed.data, packed.size, &ordinary, n, 2);
        ck_assert_uint_eq(o.passed, packed.size - (n == 1 ? 4 : n == 2 ? 4 : 6));
    }
    free(packed.data);
}
END_TEST

/* What comes of the first `size` bytes, not the last, in buffers of `room`. */
static uint64_t made_of(leat__decompressor *d, const blob *packed, size_t size, size_t room)
{
    const uint8_t *in = packed->data;
    uint8_t *buffer = malloc(room);
    leat_error error;
    leat_code code = LEAT_AGAIN;
    leat__decompressor_begin(d);
    while (code == LEAT_AGAIN) {
        uint8_t *out = buffer;
        size_t left = room;
        code = leat__decompress(d, &in, &size, false, &out, &left, &error);
    }
    ck_assert_int_eq(code, LEAT_OK);
    free(buffer);
    return leat__decompressor_made(d);
}

/* LEAT_OK says that no more can come of what was given: what a codec holds back would be late by a chunk. */
START_TEST(all_that_can_be_made_of_a_chunk_comes_at_once)
{
    static const struct { const char *plain, *command; size_t tail; } cases[] = {
        { "cat plain", "zstd -q -c", 4 }, { "cat plain", "gzip -c", 8 }, { "head -c 9000 /dev/zero", "gzip -c", 8 },
    };
    shell("%s > unpacked && %s < unpacked > packed", cases[_i].plain, cases[_i].command);
    blob packed = file_read("packed"), plain = file_read("unpacked");
    leat__decompressor *d = leat__decompressor_new(&ordinary);
    for (size_t cut = 0; cut < 20; cut++) { /* the tail is a checksum, which makes nothing */
        uint64_t all = made_of(d, &packed, packed.size - cases[_i].tail - cut, 1 << 20);
        ck_assert(cut ? all <= plain.size : all == plain.size);
        for (size_t room = 1; room < 300000; room = room * 5 + 1)
            ck_assert_uint_eq(made_of(d, &packed, packed.size - cases[_i].tail - cut, room), all);
    }
    leat__decompressor_free(d);
    free(packed.data);
    free(plain.data);
}
END_TEST

/* ---- broken data ---- */

/* Z10: cut at every byte; frame and member ends are whole streams. */
START_TEST(cut_anywhere_is_truncated)
{
    static const char *const commands[] = {
        "zstd -q -c small", "zstd -q -c --no-check < small", "(zstd -q -c small; zstd -q -c small)",
        "(printf '\\120\\052\\115\\030\\5\\0\\0\\0hello'; zstd -q -c small)", "gzip -n -c small",
        "(gzip -c small; gzip -c small)",
    };
    shell("(%s) > packed && (zstd -q -c small; true) > frame && gzip -c small > member", commands[_i]);
    blob packed = file_read("packed"), frame = file_read("frame"), member = file_read("member");
    leat__decompressor *d = leat__decompressor_new(&ordinary);
    for (size_t size = 2; size < packed.size; size++) {
        bool whole = (_i == 2 && size == frame.size) || (_i == 3 && size == 13) || (_i == 5 && size == member.size);
        for (size_t chunk = 1; chunk < 2000; chunk *= 11) {
            outcome o = unpack_with(d, packed.data, size, chunk, 100);
            ck_assert_msg(o.code == (whole ? LEAT_OK : LEAT_ETRUNCATED), "%zu of %zu bytes: %s %s", size, packed.size,
                          leat_code_name(o.code), o.error.message);
        }
    }
    leat__decompressor_free(d);
    free(packed.data);
    free(frame.data);
    free(member.data);
}
END_TEST

/* Z11: with a checksum no flipped bit goes unseen, but in fields that don't change the data. */
START_TEST(flipped_bits_are_found_where_there_is_a_checksum)
{
    shell("%s > packed", _i ? "gzip -n -c small" : "zstd -q -c small");
    blob packed = file_read("packed"), plain = file_read("small");
    uLong crc = crc32_z(crc32_z(0, NULL, 0), plain.data, plain.size);
    leat__decompressor *d = leat__decompressor_new(&ordinary);
    unsigned found = 0, harmless = 0;
    for (size_t bit = 0; bit < packed.size * 8; bit++) {
        packed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        outcome o = unpack_with(d, packed.data, packed.size, 0, 64);
        packed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (o.code) found++;
        else if (o.codec == LEAT__CODEC_NONE) ck_assert_uint_lt(bit, 32); /* the magic: passes as it is */
        else if (o.crc == crc && o.size == plain.size) harmless++;        /* gzip: time, flags, system */
        else ck_assert_uint_lt(bit / 8, 5); /* zstd: the bit that says there is a checksum */
    }
    ck_assert_uint_gt(found, (packed.size - 20) * 8);
    ck_assert_uint_lt(harmless, 100);
    packed.data[packed.size - 1] ^= 1; /* zstd: checksum; gzip: length */
    outcome o = unpack_with(d, packed.data, packed.size, 0, 64);
    ck_assert_int_eq(o.code, LEAT_ECORRUPT);
    ck_assert_str_eq(o.error.message,
                     _i ? "gzip: incorrect length check" : "zstd: Restored data doesn't match checksum");
    leat__decompressor_free(d);
    free(packed.data);
    free(plain.data);
}
END_TEST

START_TEST(garbage_after_the_end_is_an_error)
{
    static const struct { const char *command; leat_code code; const char *says; } cases[] = {
        { "zstd -q -c small; printf garbage", LEAT_EFORMAT,
          "zstd: after the last frame comes 'garb', which begins no frame" },
        { "zstd -q -c small; printf '\\0\\0\\0\\0\\0\\0'", LEAT_EFORMAT,
          "zstd: after the last frame comes '\\x00\\x00\\x00\\x00'" },
        { "zstd -q -c small; printf ab", LEAT_EFORMAT, "zstd: after the last frame comes 'ab'" },
        { "zstd -q -c small; gzip -c small", LEAT_EFORMAT, "zstd: after the last frame comes '\\x1f\\x8b\\x08" },
        { "gzip -c small; printf garbage", LEAT_EFORMAT, "gzip: after the last member comes byte 0x67" },
        { "gzip -c small; printf '\\0\\0\\0x'", LEAT_EFORMAT, "gzip: after the last member comes byte 0x78" },
        { "gzip -c small; zstd -q -c small", LEAT_EFORMAT, "gzip: after the last member comes byte 0x28" },
        { "gzip -c small; printf '\\0\\0'; gzip -c small", LEAT_EFORMAT,
          "gzip: after the last member comes byte 0x1f" },
        { "gzip -c small; printf '\\037\\214'", LEAT_ECORRUPT, "gzip: incorrect header check" },
    };
    blob plain = file_read("small");
    shell("(%s) > packed", cases[_i].command);
    blob packed = file_read("packed");
    for (size_t chunk = 1; chunk < 2000; chunk *= 3) {
        outcome o = unpack(packed.data, packed.size, &ordinary, chunk, 1000);
        ck_assert_msg(o.code == cases[_i].code, "%s: %s", cases[_i].command, o.error.message);
        ck_assert_msg(strncmp(o.error.message, cases[_i].says, strlen(cases[_i].says)) == 0, "%s", o.error.message);
        ck_assert_uint_eq(o.size, plain.size); /* what came before was delivered */
    }
    free(packed.data);
    free(plain.data);
}
END_TEST

START_TEST(a_dictionary_is_named)
{
    shell("for i in $(seq 200); do seq $i $((i + 300)) > d$i; done && "
          "zstd -q --train d* -o dictionary --dictID=4711 --maxdict=4096 2>/dev/null && "
          "zstd -q -c -D dictionary small > packed && rm d[0-9]*");
    blob packed = file_read("packed");
    for (size_t chunk = 1; chunk < 100; chunk++) {
        outcome o = unpack(packed.data, packed.size, &ordinary, chunk, 1000);
        ck_assert_int_eq(o.code, LEAT_EUNSUPPORTED);
        ck_assert_str_eq(o.error.message, "zstd: packed with a dictionary (id 4711), which leat does not read");
    }
    free(packed.data);
}
END_TEST

/* ---- limits ---- */

/* Z12: refused by the header, before memory is taken; and read where the limit allows it. */
START_TEST(a_large_window_is_refused)
{
    leat__decompress_limits wide = ordinary;
    wide.max_window_log = 27;
    shell("head -c 20000000 /dev/zero | cat - plain | zstd -q -c --long=27 > packed");
    outcome o = unpack_file("packed", &ordinary);
    ck_assert_int_eq(o.code, LEAT_ELIMIT);
    ck_assert_msg(strstr(o.error.message, "zstd: a window of 134217728 bytes, over the limit of 8388608 "), "%s",
                  o.error.message);
    ck_assert_uint_eq(o.size, 0);
    wide.ratio = 1000000;
    o = unpack_file("packed", &wide);
    ck_assert_msg(o.code == LEAT_OK, "%s", o.error.message);
    ck_assert_uint_eq(o.size, 20150000);

    /* Eighteen bytes that ask for 2^31 and for 3.75 TiB; a single segment of 2^62. */
    static const uint8_t bombs[][18] = { { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3 },
                                         { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff },
                                         { 0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x40 } };
    static const char *const windows[] = { "window of 2147483648 bytes", "window of 4123168604160 bytes",
                                           "window of 4611686018427387904 bytes" };
    for (size_t i = 0; i < 3; i++) {
        for (size_t chunk = 1; chunk <= 18; chunk++) {
            o = unpack(bombs[i], 18, &ordinary, chunk, 1000);
            ck_assert_int_eq(o.code, LEAT_ELIMIT);
            ck_assert_msg(strstr(o.error.message, windows[i]), "%s", o.error.message);
        }
    }
}
END_TEST

/* Z13: stopped soon after 16 MiB; what makes less, or packs less well, passes. */
START_TEST(bombs_are_stopped)
{
    static const struct { const char *command; leat_code code; } cases[] = {
        { "head -c 800000000 /dev/zero | zstd -q -c", LEAT_ELIMIT },
        { "head -c 16000000 /dev/zero | zstd -q -c", LEAT_OK },
        { "(head -c 30000000 /dev/zero; head -c 300000 /dev/urandom; head -c 30000000 /dev/zero) | zstd -q -c",
          LEAT_ELIMIT },
        { "(head -c 300000 /dev/urandom; head -c 60000000 /dev/zero) | zstd -q -c", LEAT_OK },
        { "head -c 100000000 /dev/zero | gzip -9 -c", LEAT_ELIMIT }, /* 1029 times */
        { "(head -c 300000 /dev/urandom; head -c 60000000 /dev/zero) | gzip -c", LEAT_OK },
    };
    shell("%s > packed", cases[_i].command);
    outcome o = unpack_file("packed", &ordinary);
    ck_assert_msg(o.code == cases[_i].code, "%s: %s, %llu from %llu", cases[_i].command, o.error.message,
                  (unsigned long long)o.size, (unsigned long long)o.used);
    if (!o.code) return;
    ck_assert_msg(strstr(o.error.message, "over 1000 times as much: refused as a decompression bomb"), "%s",
                  o.error.message);
    ck_assert_uint_le(o.size, 17 * MIB);
}
END_TEST

START_TEST(output_has_a_limit)
{
    leat__decompress_limits small = ordinary;
    small.max_output = 150000;
    shell("zstd -q -c plain > packed && gzip -c plain > packed.gz");
    ck_assert_int_eq(unpack_file("packed", &small).code, LEAT_OK);
    ck_assert_int_eq(unpack_file("packed.gz", &small).code, LEAT_OK);
    small.max_output--;
    outcome o = unpack_file("packed", &small);
    ck_assert_int_eq(o.code, LEAT_ELIMIT);
    ck_assert_msg(strstr(o.error.message, "have made 150000, over max_unpacked_bytes (149999)"), "%s", o.error.message);
    ck_assert_int_eq(unpack_file("packed.gz", &small).code, LEAT_ELIMIT);
}
END_TEST

/* Z14: a content size that lies, both ways. */
START_TEST(a_content_size_that_lies_is_corrupt)
{
    uint8_t frame[400];
    blob plain = file_read("small");
    size_t size = ZSTD_compress(frame, sizeof frame, plain.data, plain.size, 3);
    ck_assert(!ZSTD_isError(size));
    ck_assert_uint_eq(frame[4], 0x20); /* one segment, a size of one byte */
    ck_assert_uint_eq(frame[5], plain.size);
    for (int lie = 1; lie < 256; lie += 7) {
        frame[5] = (uint8_t)(plain.size + (size_t)lie);
        ck_assert_int_eq(unpack(frame, size, &ordinary, 3, 1000).code, LEAT_ECORRUPT);
    }
    free(plain.data);
}
END_TEST

/* libzstd itself takes it in pieces, and refuses it whole. */
START_TEST(a_content_size_before_an_empty_last_block_is_checked)
{
    static const uint8_t says_96[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 96, 0x01, 0, 0 };
    for (size_t in_chunk = 1; in_chunk <= sizeof says_96; in_chunk++) {
        outcome o = unpack(says_96, sizeof says_96, &ordinary, in_chunk, 1000);
        ck_assert_int_eq(o.code, LEAT_ECORRUPT);
        if (in_chunk < 5) ck_assert_str_eq(o.error.message, "zstd: a frame of 0 bytes, its header says 96");
    }
}
END_TEST

/* Z15: a million empty frames are read through, in one call for each chunk. */
START_TEST(a_million_empty_frames_are_read_through)
{
    uint8_t frame[64];
    size_t size = ZSTD_compress(frame, sizeof frame, "", 0, 1), count = 1000000;
    blob many = { malloc(size * count), size * count };
    for (size_t i = 0; i < count; i++) memcpy(many.data + i * size, frame, size);
    outcome o = unpack(many.data, many.size, &ordinary, 65536, 262144);
    ck_assert_msg(o.code == LEAT_OK, "%s", o.error.message);
    ck_assert_uint_eq(o.size, 0);
    ck_assert_uint_le(o.calls, many.size / 65536 + 1);
    free(many.data);

    shell("gzip -n -c empty > packed");
    blob member = file_read("packed");
    many = (blob){ malloc(member.size * 100000), member.size * 100000 };
    for (size_t i = 0; i < 100000; i++) memcpy(many.data + i * member.size, member.data, member.size);
    o = unpack(many.data, many.size, &ordinary, 65536, 262144);
    ck_assert_msg(o.code == LEAT_OK, "%s", o.error.message);
    free(many.data);
    free(member.data);
}
END_TEST

/* ---- reuse ---- */

START_TEST(one_decompressor_serves_objects_of_all_kinds_after_any_end)
{
    static const char *const commands[] = { "zstd -q -c plain", "gzip -c plain", "cat plain" };
    blob plain = file_read("plain"), packed[3];
    uLong crc = crc32_z(crc32_z(0, NULL, 0), plain.data, plain.size);
    for (int i = 0; i < 3; i++) {
        shell("%s > packed", commands[i]);
        packed[i] = file_read("packed");
    }
    leat__decompressor *d = leat__decompressor_new(&ordinary);
    for (int i = 0; i < 60; i++) {
        blob *b = &packed[i % 3];
        outcome cut = unpack_with(d, b->data, b->size * (size_t)i / 61, 5000, 4096);
        ck_assert_int_eq(cut.code, i % 3 == 2 || i == 0 ? LEAT_OK : LEAT_ETRUNCATED);
        b = &packed[i * 7 % 3];
        outcome o = unpack_with(d, b->data, b->size, 5000, 4096);
        ck_assert_int_eq(o.code, LEAT_OK);
        ck_assert_uint_eq(o.crc, crc);
    }
    leat__decompressor_free(d);
    for (int i = 0; i < 3; i++) free(packed[i].data);
    free(plain.data);
}
END_TEST

/* The memory plan counts on it: measured on the context of libzstd itself, in mid-stream, at the largest window. */
START_TEST(memory_is_as_announced)
{
    for (unsigned log = 12; log <= 24; log += 4) {
        leat__decompress_limits limits = { .max_window_log = log };
        shell("head -c 40000000 /dev/zero | zstd -q -c --zstd=wlog=%u > packed", log);
        blob packed = file_read("packed");
        ZSTD_DStream *stream = ZSTD_createDStream();
        uint8_t out[1000];
        ZSTD_inBuffer in = { packed.data, packed.size, 0 };
        ZSTD_outBuffer to = { out, sizeof out, 0 };
        ck_assert(!ZSTD_isError(ZSTD_decompressStream(stream, &to, &in)));
        ck_assert_uint_gt(ZSTD_sizeof_DStream(stream), (size_t)1 << log);
        ck_assert_uint_ge(leat__decompressor_memory(&limits), ZSTD_sizeof_DStream(stream));
        ZSTD_freeDStream(stream);
        free(packed.data);
    }
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

int main(void)
{
    if (!mkdtemp(folder)) return EXIT_FAILURE;
    make_plain();
    Suite *suite = suite_create("decompress");
    TCase *tests = tcase_create("decompress");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, reads_what_the_tools_make, 0, COUNT(made));
    tcase_add_test(tests, a_first_chunk_under_four_bytes_is_held_and_the_rest_passes);
    tcase_add_loop_test(tests, all_that_can_be_made_of_a_chunk_comes_at_once, 0, 3);
    tcase_add_loop_test(tests, cut_anywhere_is_truncated, 0, 6);
    tcase_add_loop_test(tests, flipped_bits_are_found_where_there_is_a_checksum, 0, 2);
    tcase_add_loop_test(tests, garbage_after_the_end_is_an_error, 0, 9);
    tcase_add_test(tests, a_dictionary_is_named);
    tcase_add_test(tests, a_large_window_is_refused);
    tcase_add_loop_test(tests, bombs_are_stopped, 0, 6);
    tcase_add_test(tests, output_has_a_limit);
    tcase_add_test(tests, a_content_size_that_lies_is_corrupt);
    tcase_add_test(tests, a_content_size_before_an_empty_last_block_is_checked);
    tcase_add_test(tests, a_million_empty_frames_are_read_through);
    tcase_add_test(tests, one_decompressor_serves_objects_of_all_kinds_after_any_end);
    tcase_add_test(tests, memory_is_as_announced);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) == 0 && !failed ? EXIT_SUCCESS : EXIT_FAILURE;
}
