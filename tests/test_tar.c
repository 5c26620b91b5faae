/* test_tar.c - archives of GNU tar and Python against what Python reads in them; broken and hostile ones made by hand.
 * archives.py (beside this file, or in $LEAT_TESTS) makes the real ones. */
#include <check.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include "pipeline/failure.h"
#include "stages/tar.h"

static const leat__object object = { .display = "train-000.tar", .is_shard = true, .label = -1 };
static char folder[] = "/tmp/leat-test-tar-XXXXXX";

/* ---- text that grows, and archives that are made by hand ---- */

typedef struct text {
    char *data;
    size_t size, capacity;
} text;

static void text_add(text *t, const void *data, size_t size)
{
    if (t->size + size + 1 > t->capacity) {
        t->capacity = (t->size + size + 1) * 2;
        t->data = realloc(t->data, t->capacity);
    }
    if (size) memcpy(t->data + t->size, data, size);
    t->size += size;
    t->data[t->size] = '\0';
}

__attribute__((format(printf, 2, 3))) static void text_print(text *t, const char *format, ...)
{
    char *line;
    va_list arguments;
    va_start(arguments, format);
    int n = vasprintf(&line, format, arguments);
    va_end(arguments);
    text_add(t, line, (size_t)n);
    free(line);
}

static text file_read(const char *path)
{
    text t = { 0 };
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    char part[4096];
    for (size_t n; (n = fread(part, 1, sizeof part, file)) > 0;) text_add(&t, part, n);
    fclose(file);
    return t;
}

static void seal(uint8_t *block)
{
    unsigned sum = 0;
    memset(block + 148, ' ', 8);
    for (int i = 0; i < 512; i++) sum += block[i];
    char digits[16];
    snprintf(digits, sizeof digits, "%06o", sum);
    memcpy(block + 148, digits, 7);
}

/* Appends a header; returns its offset. */
static size_t put_header(text *t, const char *name, uint64_t size, char type)
{
    uint8_t block[512] = { 0 };
    char digits[32];
    memcpy(block, name, strlen(name) > 100 ? 100 : strlen(name));
    snprintf(digits, sizeof digits, "%011llo", (unsigned long long)size);
    memcpy(block + 124, digits, 11);
    block[156] = (uint8_t)type;
    memcpy(block + 257, "ustar\00000", 8);
    seal(block);
    size_t offset = t->size;
    text_add(t, block, 512);
    return offset;
}

static void put_body(text *t, const void *data, size_t size)
{
    static const char zeros[512];
    text_add(t, data, size);
    text_add(t, zeros, -size & 511);
}

static size_t put_file(text *t, const char *name, const char *body)
{
    size_t offset = put_header(t, name, strlen(body), '0');
    put_body(t, body, strlen(body));
    return offset;
}

static size_t put_extended(text *t, char type, const void *data, size_t size)
{
    size_t offset = put_header(t, "extended", size, type);
    put_body(t, data, size);
    return offset;
}

static void put_end(text *t)
{
    static const char zeros[1024];
    text_add(t, zeros, sizeof zeros);
}

/* ---- reading ---- */

typedef struct reading {
    leat__arena *arena;
    leat__budget budget;
    leat__stock *samples;
    leat__tar *tar;
    text seen;           /* in the form of archives.py; a failed sample: "index key failed CODE offset message" */
    uint64_t next_index;
    leat_code code;
    leat_error error;
    bool drop_at_once;   /* samples are counted, not written down */
} reading;

static void see(void *user, leat__sample *sample)
{
    reading *r = user;
    ck_assert_uint_eq(sample->index, r->next_index++);
    ck_assert_ptr_eq(sample->object, &object);
    ck_assert_uint_eq(sample->epoch, 5);
    ck_assert(!sample->lost_object && !sample->last_of_object);
    char key[140001], *end = key;
    for (const char *c = sample->key; *c; c++) end += sprintf(end, "%02x", (unsigned char)*c);
    *end = '\0';
    for (size_t i = 0; !r->drop_at_once && !sample->failed && i < sample->field_count; i++) {
        const leat__sample_field *f = &sample->fields[i];
        text_print(&r->seen, "%llu %s %llu ", (unsigned long long)sample->index, key,
                   (unsigned long long)sample->offset);
        for (const char *c = f->name; *c; c++) text_print(&r->seen, "%02x", (unsigned char)*c);
        text_print(&r->seen, " %llu %zu %08lx\n", (unsigned long long)f->offset, f->bytes.size,
                   crc32_z(0, f->bytes.size ? f->bytes.data : (const Bytef *)"", f->bytes.size));
    }
    if (sample->failed) {
        text_print(&r->seen, "%llu %s failed %s %llu %s\n", (unsigned long long)sample->index, sample->key,
                   leat_code_name(sample->error.code), (unsigned long long)sample->error.offset, sample->error.message);
    }
    leat__item_release(&sample->item);
}

static void reading_open(reading *r, uint64_t limit)
{
    memset(r, 0, sizeof *r);
    r->arena = leat__arena_new((size_t)1 << 20);
    r->samples = leat__stock_new();
    leat__budget_init(&r->budget, NULL, SIZE_MAX, NULL, NULL);
    leat__tar_options options = { .arena = r->arena, .budget = &r->budget, .samples = r->samples,
                                  .max_sample_bytes = limit };
    r->tar = leat__tar_new(&options);
    ck_assert_ptr_nonnull(r->tar);
}

/* Feeds `size` bytes in a buffer of their own, with noise after them: what is read beyond them shows. */
static bool feed(reading *r, const void *data, size_t size)
{
    leat__buffer *buffer = leat__buffer_new(r->arena, &r->budget, size + 64);
    memcpy(buffer->data, data, size);
    memset(buffer->data + size, 0xee, 64);
    leat__bytes bytes = { buffer, buffer->data, size };
    r->code = leat__tar_feed(r->tar, &bytes, see, r, &r->error);
    leat__bytes_release(&bytes);
    return r->code == LEAT_OK;
}

/* Reads an archive in chunks of chunk bytes; 0: of random sizes. */
static void read_archive(reading *r, const text *archive, size_t chunk)
{
    uint64_t state = 88172645463325252u + archive->size;
    r->seen.size = 0;
    r->next_index = 0;
    leat__error_clear(&r->error);
    uint64_t ignored = leat__tar_ignored(r->tar);
    leat__tar_begin(r->tar, &object, 5);
    for (size_t at = 0; at < archive->size;) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        size_t n = chunk ? chunk : 1 + (size_t)(state % (state & 256 ? 20000 : 700));
        if (n > archive->size - at) n = archive->size - at;
        if (!feed(r, archive->data + at, n)) return;
        at += n;
    }
    r->code = leat__tar_end(r->tar, see, r, &r->error);
    if (!r->code) text_print(&r->seen, "ignored %llu\n", (unsigned long long)(leat__tar_ignored(r->tar) - ignored));
}

static void reading_close(reading *r)
{
    leat__tar_free(r->tar);
    ck_assert_uint_eq(leat__arena_live(r->arena), 0);
    ck_assert_uint_eq(leat__stock_live(r->samples), 0);
    ck_assert_uint_eq(leat__budget_used(&r->budget), 0);
    leat__stock_release(r->samples);
    leat__arena_release(r->arena);
    free(r->seen.data);
}

/* Reads what was made by hand in one chunk, and in several other sizes, which must show the same. Frees it. */
static void read_by_hand(reading *r, text *archive, uint64_t limit)
{
    static const size_t chunks[] = { 1, 7, 511, 512, 513, 1000, 0, 1 << 20 };
    char *first = NULL;
    reading_open(r, limit);
    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        read_archive(r, archive, chunks[i]);
        char *seen;
        ck_assert_int_gt(asprintf(&seen, "%s%s %s %llu %s", r->seen.size ? r->seen.data : "", leat_code_name(r->code),
                                  r->error.message, (unsigned long long)r->error.offset, r->error.key), 0);
        if (first) ck_assert_str_eq(first, seen);
        free(first);
        first = seen;
    }
    if (!r->seen.size) text_add(&r->seen, "", 0);
    free(first);
    free(archive->data);
    *archive = (text){ 0 };
}

#define BIG ((uint64_t)1 << 30)

/* ---- real archives ---- */

static const char *const archives[] = {
    "gnu-v7-short", "gnu-oldgnu-short", "gnu-ustar-short", "gnu-gnu-short", "gnu-pax-short", "gnu-posix-short",
    "gnu-oldgnu-long", "gnu-gnu-long", "gnu-pax-long", "gnu-posix-long", "gnu-empty", "gnu-folders", "py-ustar",
    "py-gnu", "py-pax", "py-64k-name",
};
enum { ARCHIVES = sizeof archives / sizeof archives[0] };

static void archive_load(int number, text *archive, text *expected)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s.tar", folder, archives[number]);
    *archive = file_read(path);
    snprintf(path, sizeof path, "%s/%s.expected", folder, archives[number]);
    *expected = file_read(path);
}

START_TEST(reads_what_python_reads)
{
    static const size_t chunks[] = { 0, 0, 64, 512, 4096, 65536, 262144, 1 << 22 };
    text archive, expected;
    archive_load(_i, &archive, &expected);
    reading r;
    reading_open(&r, BIG);
    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        read_archive(&r, &archive, chunks[i]);
        ck_assert_msg(r.code == LEAT_OK, "%s: %s", archives[_i], r.error.message);
        ck_assert_msg(strcmp(r.seen.data, expected.data) == 0, "%s in chunks of %zu:\n%s---\n%s", archives[_i],
                      chunks[i], r.seen.data, expected.data);
    }
    reading_close(&r);
    free(archive.data);
    free(expected.data);
}
END_TEST

START_TEST(every_chunk_size_from_1_to_600_reads_the_same)
{
    text archive, expected;
    archive_load(_i, &archive, &expected);
    reading r;
    reading_open(&r, BIG);
    for (size_t chunk = 1; chunk <= 600; chunk++) {
        read_archive(&r, &archive, chunk);
        ck_assert_msg(r.code == LEAT_OK && strcmp(r.seen.data, expected.data) == 0, "chunks of %zu", chunk);
    }
    reading_close(&r);
    free(archive.data);
    free(expected.data);
}
END_TEST

/* Z01: samples that were complete before the cut come out, the others don't, and the error says where. */
START_TEST(an_archive_cut_anywhere_is_truncated)
{
    text archive, expected;
    archive_load(_i, &archive, &expected);
    size_t whole = archive.size;
    reading r;
    reading_open(&r, BIG);
    unsigned fine = 0, broken = 0;
    for (size_t block = 0; block < whole / 512; block++) {
        for (size_t extra = 0; extra < 512; extra += extra ? 510 : 1) { /* 0, 1, 511 */
            archive.size = block * 512 + extra;
            read_archive(&r, &archive, archive.size % 3 ? 700 : 1 << 20);
            if (r.code == LEAT_OK) {
                ck_assert(extra == 0 || strcmp(r.seen.data, expected.data) == 0); /* between entries; in the end mark */
                fine++;
                continue;
            }
            ck_assert_int_eq(r.code, LEAT_ETRUNCATED);
            ck_assert_uint_eq(r.error.offset, archive.size);
            ck_assert_uint_ge(expected.size, r.seen.size);
            ck_assert(memcmp(r.seen.size ? r.seen.data : "", expected.data, r.seen.size) == 0); /* a prefix */
            broken++;
        }
    }
    ck_assert_uint_gt(fine, 10);
    ck_assert_uint_gt(broken, 100);
    reading_close(&r);
    free(archive.data);
    free(expected.data);
}
END_TEST

/* Z03: any bit of any header that is flipped is seen, and nothing after it is believed. */
START_TEST(a_flipped_bit_in_a_header_is_found)
{
    text archive = { 0 }, flipped = { 0 };
    put_file(&archive, "a.jpg", "first");
    put_file(&archive, "b.jpg", "second");
    size_t header = put_file(&archive, "c.jpg", "third");
    put_file(&archive, "d.jpg", "fourth");
    put_end(&archive);
    reading r;
    reading_open(&r, BIG);
    for (size_t bit = 0; bit < 512 * 8; bit++) {
        if (bit / 8 >= 148 + 6 && bit / 8 < 156) continue; /* what ends the checksum's digits has no meaning */
        flipped.size = 0;
        text_add(&flipped, archive.data, archive.size);
        flipped.data[header + bit / 8] ^= (char)(1 << bit % 8);
        if (bit / 8 >= 148 && bit / 8 < 154 && flipped.data[header + bit / 8] == ' ') continue; /* was a leading 0 */
        read_archive(&r, &flipped, 0);
        ck_assert_msg(r.code == LEAT_ECORRUPT, "bit %zu", bit);
        ck_assert_uint_eq(r.error.offset, header);
        ck_assert_str_eq(r.error.key, "b");
        char expected[64];
        snprintf(expected, sizeof expected, "tar header at byte %zu: checksum", header);
        ck_assert_int_eq(strncmp(r.error.message, expected, strlen(expected)), 0);
        ck_assert_uint_eq(r.next_index, 1); /* "a"; "b" could have had more fields */
    }
    reading_close(&r);
    free(archive.data);
    free(flipped.data);
}
END_TEST

/* ---- numbers ---- */

static void put_sized(text *t, const char *name, const void *field, const char *body)
{
    size_t offset = put_header(t, name, 0, '0');
    memcpy(t->data + offset + 124, field, 12);
    seal((uint8_t *)t->data + offset);
    put_body(t, body, strlen(body));
}

START_TEST(sizes_in_every_form_are_read)
{
    text t = { 0 };
    put_sized(&t, "a.x", "\x80\0\0\0\0\0\0\0\0\0\0\x03", "abc");
    put_sized(&t, "b.x", "          3 ", "abc");
    put_sized(&t, "c.x", "000000000003", "abc"); /* no room for an end */
    put_sized(&t, "d.x", "3\0garbage...", "abc");
    put_sized(&t, "e.x", "            ", "");
    put_end(&t);
    reading r;
    read_by_hand(&r, &t, BIG);
    ck_assert_str_eq(r.seen.data, "0 61 0 78 512 3 352441c2\n1 62 1024 78 1536 3 352441c2\n"
                                  "2 63 2048 78 2560 3 352441c2\n"
                                  "3 64 3072 78 3584 3 352441c2\n4 65 4096 78 4608 0 00000000\nignored 0\n");
    reading_close(&r);
}
END_TEST

START_TEST(impossible_sizes_are_refused)
{
    static const char *const fields[] = {
        "\xc0\0\0\0\0\0\0\0\0\0\0\x03", "0000000000x3", "-00000000003", "00000000008\0",
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfd",
        "\x80\0\0\0\x80\0\0\0\0\0\0\0", "\x80\x01\0\0\0\0\0\0\0\0\0\0",
        "\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", /* 2^63 - 1: no room for it after the header */
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        text t = { 0 };
        put_file(&t, "a.x", "abc");
        put_sized(&t, "b.x", fields[i], "");
        put_end(&t);
        reading r;
        read_by_hand(&r, &t, BIG);
        ck_assert_msg(r.code == LEAT_ECORRUPT, "field %zu: %s", i, leat_code_name(r.code));
        ck_assert_uint_eq(r.error.offset, 1024);
        ck_assert_uint_eq(leat__arena_allocations(r.arena) < 40, 1);
        reading_close(&r);
    }
}
END_TEST

/* 2^62 bytes announced: no memory is taken for it; the sample before stays, this one is lost with the archive. */
START_TEST(a_huge_size_takes_no_memory)
{
    text t = { 0 };
    put_file(&t, "a.x", "abc");
    put_sized(&t, "b.x", "\x80\0\0\0\x40\0\0\0\0\0\0\0", "0123456789");
    reading r;
    read_by_hand(&r, &t, 1000);
    ck_assert_int_eq(r.code, LEAT_ETRUNCATED);
    ck_assert_str_eq(r.seen.data, "0 61 0 78 512 3 352441c2\n");
    ck_assert_str_eq(r.error.key, "b");
    ck_assert_uint_lt(leat__budget_peak(&r.budget), 1 << 20);
    reading_close(&r);
}
END_TEST

/* GNU keeps times where ustar has the rest of the name. */
START_TEST(only_ustar_has_a_prefix)
{
    static const char *const magics[] = { "ustar\00000", "ustar  \0", "\0\0\0\0\0\0\0\0" };
    static const char *const keys[] = { "31323334352f61", "61", "61" };
    for (size_t i = 0; i < 3; i++) {
        text t = { 0 };
        char expected[100];
        put_header(&t, "a.x", 0, '0');
        memcpy(t.data + 257, magics[i], 8);
        memcpy(t.data + 345, "12345", 6);
        seal((uint8_t *)t.data);
        reading r;
        read_by_hand(&r, &t, BIG);
        snprintf(expected, sizeof expected, "0 %s 0 78 512 0 00000000\nignored 0\n", keys[i]);
        ck_assert_str_eq(r.seen.data, expected);
        reading_close(&r);
    }
}
END_TEST

START_TEST(a_sum_of_signed_bytes_is_accepted)
{
    text t = { 0 };
    size_t offset = put_header(&t, "\xfc\xe9.x", 0, '0');
    int sum = 0;
    memset(t.data + offset + 148, ' ', 8);
    for (int i = 0; i < 512; i++) sum += (signed char)t.data[i];
    snprintf(t.data + offset + 148, 8, "%06o", (unsigned)sum);
    reading r;
    read_by_hand(&r, &t, BIG);
    ck_assert_int_eq(r.code, LEAT_OK);
    ck_assert_str_eq(r.seen.data, "0 fce9 0 78 512 0 00000000\nignored 0\n");
    reading_close(&r);
}
END_TEST

/* ---- extended headers ---- */

START_TEST(records_go_over_the_header)
{
    text t = { 0 };
    put_extended(&t, 'g', "19 path=global.xy\n", 18);
    reading r;
    read_by_hand(&r, &t, BIG);
    ck_assert_int_eq(r.code, LEAT_ECORRUPT); /* the length says 19 */
    reading_close(&r);

    put_extended(&t, 'g', "18 path=global.xy\n", 18);
    put_file(&t, "a.x", "abc");
    put_extended(&t, 'x', "15 path=one.xy\n9 size=3\n\0\0\0\0", 28); /* padding after the records */
    put_header(&t, "b.x", 0, '0');
    put_body(&t, "abc", 3);
    put_extended(&t, 'x', "8 path=\n13 linkpath=\n15 comment=a=b\n", 36);
    put_file(&t, "c.x", "abc");
    put_end(&t);
    read_by_hand(&r, &t, BIG);
    ck_assert_msg(r.code == LEAT_OK, "%s", r.error.message);
    ck_assert_str_eq(r.seen.data, "0 676c6f62616c 1024 7879 1536 3 352441c2\n1 6f6e65 2048 7879 3584 3 352441c2\n"
                                  "2 676c6f62616c 4096 7879 5632 3 352441c2\nignored 0\n");
    reading_close(&r);

    put_extended(&t, 'g', "18 path=global.xy\n", 18);
    put_extended(&t, 'g', "8 path=\n", 8); /* takes it back */
    put_file(&t, "a.x", "abc");
    read_by_hand(&r, &t, BIG);
    ck_assert_str_eq(r.seen.data, "0 61 2048 78 2560 3 352441c2\nignored 0\n");
    reading_close(&r);
}
END_TEST

START_TEST(malformed_records_end_the_archive)
{
    static const struct { const char *data; size_t size; } bad[] = {
        { "path=a.x\n", 9 }, { "0 path=a.x\n", 11 }, { "99 path=a.x\n", 12 }, { "10 path=a.x\n", 12 },
        { "12path=a.x\n", 11 }, { "11 path\n", 8 }, { "8 path\n\n", 8 }, { "5 =x\n", 5 }, { "12 path=a.xx", 12 },
        { "-1 path=a.x\n", 12 }, { "+12 path=a.x\n", 13 }, { " 12 path=a.x\n", 13 },
        { "18446744073709551628 path=a.x\n", 30 }, { "12 path=a.x\nx", 13 }, { "12 path=a.x\n\0x", 14 },
        { "12 path=a\0x\n", 12 }, { "11 size=-1\n", 11 }, { "11 size=0x\n", 11 }, { "12 size=1.5\n", 12 },
        { "28 size=9223372036854775808\n", 28 }, { "3 \n", 3 }, { "2 ", 2 }, { "1", 1 },
        { "30 GNU.sparse.name=a\0b.xxxxxx\n", 30 },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        text t = { 0 };
        put_file(&t, "a.x", "abc");
        put_extended(&t, 'x', bad[i].data, bad[i].size);
        put_file(&t, "b.x", "abc");
        put_end(&t);
        reading r;
        read_by_hand(&r, &t, BIG);
        ck_assert_msg(r.code == LEAT_ECORRUPT, "record %zu: %s", i, leat_code_name(r.code));
        ck_assert_uint_eq(r.error.offset, 1024);
        ck_assert_str_eq(r.error.key, "a");
        ck_assert_msg(strstr(r.error.message, "pax header at byte 1024: "), "%s", r.error.message);
        reading_close(&r);
    }
}
END_TEST

START_TEST(extended_headers_have_a_limit)
{
    static const char types[] = { 'x', 'g', 'L' };
    char *name = malloc(1 << 21);
    memset(name, 'n', 1 << 21);
    for (size_t i = 0; i < sizeof types; i++) {
        text t = { 0 };
        put_extended(&t, types[i], name, (1 << 20) + 1);
        put_file(&t, "b.x", "abc");
        reading r;
        read_by_hand(&r, &t, BIG);
        ck_assert_int_eq(r.code, LEAT_ELIMIT);
        reading_close(&r);
    }
    text t = { 0 };
    memcpy(name + (1 << 16), ".x", 3);
    put_extended(&t, 'L', name, 1 << 20); /* the name ends at its NUL */
    put_file(&t, "b.x", "abc");
    put_end(&t);
    reading r;
    read_by_hand(&r, &t, BIG);
    ck_assert_msg(r.code == LEAT_OK, "%s", r.error.message);
    ck_assert_uint_eq(r.next_index, 1);
    ck_assert_uint_gt(r.seen.size, 2 << 16);
    reading_close(&r);
    free(name);
}
END_TEST

/* Z07: many extended headers take no more memory than one. */
START_TEST(a_hundred_thousand_extended_headers_are_stepped_through)
{
    text one = { 0 }, file = { 0 };
    put_extended(&one, 'x', "12 path=a.x\n", 12);
    put_file(&file, "b.x", "abc");
    reading r;
    reading_open(&r, BIG);
    leat__tar_begin(r.tar, &object, 5);
    for (int i = 0; i < 100000; i++) ck_assert(feed(&r, one.data, one.size));
    ck_assert(feed(&r, file.data, file.size));
    ck_assert_int_eq(leat__tar_end(r.tar, see, &r, &r.error), LEAT_OK);
    ck_assert_str_eq(r.seen.data, "0 61 0 78 102400512 3 352441c2\n");
    ck_assert_uint_lt(leat__budget_peak(&r.budget), 1 << 20);
    reading_close(&r);
    free(one.data);
    free(file.data);
}
END_TEST

START_TEST(an_extended_header_needs_its_entry)
{
    text t = { 0 };
    put_file(&t, "a.x", "abc");
    put_extended(&t, 'x', "12 path=b.x\n", 12);
    reading r;
    text cut = { 0 };
    text_add(&cut, t.data, t.size);
    read_by_hand(&r, &cut, BIG);
    ck_assert_int_eq(r.code, LEAT_ETRUNCATED);
    reading_close(&r);
    put_end(&t);
    read_by_hand(&r, &t, BIG);
    ck_assert_int_eq(r.code, LEAT_ECORRUPT);
    ck_assert_str_eq(r.error.message, "tar header at byte 1024: an extended header without its entry");
    reading_close(&r);
}
END_TEST

/* ---- the end of an archive, and what is none ---- */

START_TEST(what_comes_after_the_end_is_ignored)
{
    static const char *const ends[] = { "no mark", "one block", "two blocks", "two and a bit", "two and an archive" };
    for (int i = 0; i < 5; i++) {
        text t = { 0 };
        char zeros[5000] = { 0 };
        put_file(&t, "a.x", "abc");
        if (i) text_add(&t, zeros, i == 1 ? 512 : i == 3 ? 1200 : 1024);
        if (i == 4) put_file(&t, "b.x", "of another archive");
        reading r;
        read_by_hand(&r, &t, BIG);
        ck_assert_msg(r.code == LEAT_OK, "%s: %s", ends[i], r.error.message);
        ck_assert_str_eq(r.seen.data, "0 61 0 78 512 3 352441c2\nignored 0\n");
        reading_close(&r);
    }
}
END_TEST

/* A block of zeros where a header was: GNU tar warns and loses the rest; here the rest of the shard is an error. */
START_TEST(a_lone_block_of_zeros_hides_nothing)
{
    text t = { 0 };
    char zeros[512] = { 0 };
    put_file(&t, "a.x", "abc");
    put_file(&t, "b.x", "abc");
    text_add(&t, zeros, 512);
    put_file(&t, "c.x", "abc");
    put_end(&t);
    reading r;
    read_by_hand(&r, &t, BIG);
    ck_assert_int_eq(r.code, LEAT_ECORRUPT);
    ck_assert_str_eq(r.error.message, "a lone block of zeros at byte 2048, then more data");
    ck_assert_str_eq(r.seen.data, "0 61 0 78 512 3 352441c2\n");
    ck_assert_str_eq(r.error.key, "b");
    reading_close(&r);
}
END_TEST

START_TEST(what_is_no_tar_is_named)
{
    static const struct { const char *data; size_t size; const char *says; leat_code code; } cases[] = {
        { "<!DOCTYPE html><title>404</title>", 33, "looks like HTML", LEAT_EFORMAT },
        { "\x28\xb5\x2f\xfd....", 8, "looks like zstd data", LEAT_EFORMAT },
        { "\x1f\x8b\x08.....", 8, "looks like gzip data", LEAT_EFORMAT },
        { "\xfd" "7zXZ\0", 6, "looks like xz data", LEAT_EFORMAT },
        { "PK\x03\x04", 4, "looks like a zip archive", LEAT_EFORMAT },
        { "\xff\xd8\xff\xe0", 4, "looks like a JPEG image", LEAT_EFORMAT },
        { "version https://git-lfs.github.com/spec/v1", 42, "looks like a Git LFS pointer", LEAT_EFORMAT },
        { "\033[2Jhello", 9, "begins with '\\x1b[2Jhell'", LEAT_EFORMAT },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int padded = 0; padded < 2; padded++) {
            if (!padded && i == 7) continue; /* short and of no known form: could be cut within a header */
            text t = { 0 };
            char noise[2000];
            memset(noise, 'x', sizeof noise);
            text_add(&t, cases[i].data, cases[i].size);
            if (padded) text_add(&t, noise, sizeof noise);
            reading r;
            read_by_hand(&r, &t, BIG);
            ck_assert_int_eq(r.code, cases[i].code);
            ck_assert_msg(strstr(r.error.message, cases[i].says) != NULL, "%s", r.error.message);
            reading_close(&r);
        }
    }
}
END_TEST

START_TEST(nothing_at_all_is_truncated)
{
    text t = { 0 };
    reading r;
    reading_open(&r, BIG);
    read_archive(&r, &t, 1);
    ck_assert_int_eq(r.code, LEAT_ETRUNCATED);
    ck_assert_str_eq(r.error.message, "tar archive of 0 bytes");
    put_end(&t);
    read_archive(&r, &t, 100); /* zeros alone are an empty archive */
    ck_assert_int_eq(r.code, LEAT_OK);
    ck_assert_str_eq(r.seen.data, "ignored 0\n");
    reading_close(&r);
    free(t.data);
}
END_TEST

/* ---- samples ---- */

START_TEST(a_name_twice_fails_its_sample_alone)
{
    text t = { 0 };
    put_file(&t, "a.jpg", "abc");
    put_file(&t, "b.jpg", "abc");
    put_file(&t, "b.JPG", "def");
    put_file(&t, "b.cls", "1");
    put_file(&t, "b.jpg", "abc");
    put_file(&t, "c.jpg", "abc");
    put_end(&t);
    reading r;
    read_by_hand(&r, &t, BIG);
    ck_assert_str_eq(r.seen.data, "0 61 0 6a7067 512 3 352441c2\n"
                                  "1 b failed corrupt 2048 field 'JPG' is there twice, at byte 1536 and at byte 2560\n"
                                  "2 63 5120 6a7067 5632 3 352441c2\nignored 0\n");
    ck_assert_int_eq(r.code, LEAT_OK);
    reading_close(&r);
}
END_TEST

START_TEST(a_key_that_begins_another_is_a_key_of_its_own)
{
    text t = { 0 };
    put_file(&t, "ab.x", "abc");
    put_file(&t, "a.y", "abc");
    put_file(&t, "ab.y", "abc");
    put_end(&t);
    reading r;
    read_by_hand(&r, &t, BIG);
    ck_assert_str_eq(r.seen.data, "0 6162 0 78 512 3 352441c2\n1 61 1024 79 1536 3 352441c2\n"
                                  "2 6162 2048 79 2560 3 352441c2\nignored 0\n");
    reading_close(&r);
}
END_TEST

START_TEST(a_sample_over_the_limit_fails_alone)
{
    char large[5001];
    memset(large, 'x', 5000);
    large[5000] = '\0';
    for (uint64_t limit = 4999; limit <= 5000; limit++) {
        text t = { 0 }, expected = { 0 };
        put_file(&t, "a.x", large);
        put_file(&t, "b.x", "abc");
        put_end(&t);
        reading r;
        read_by_hand(&r, &t, limit);
        if (limit == 5000) {
            text_print(&expected, "0 61 0 78 512 5000 %08lx\n", crc32_z(0, (const Bytef *)large, 5000));
        } else {
            text_print(&expected, "0 a failed limit 0 with field 'x' of 5000 bytes the sample spans 5000 bytes, "
                                  "over max_sample_bytes (4999)\n");
        }
        text_print(&expected, "1 62 5632 78 6144 3 352441c2\nignored 0\n");
        ck_assert_str_eq(r.seen.data, expected.data);
        reading_close(&r);
        free(expected.data);
    }
}
END_TEST

/* Many small fields hold on to many chunks: the limit is on what the sample spans. */
START_TEST(the_limit_counts_what_lies_between_the_fields)
{
    char junk[4001];
    memset(junk, 'j', 4000);
    junk[4000] = '\0';
    text t = { 0 };
    put_file(&t, "a.x", "abc");
    for (int i = 0; i < 10; i++) put_file(&t, ".junk", junk);
    put_file(&t, "a.y", "abc");
    put_file(&t, "b.x", "abc");
    put_end(&t);
    reading r;
    read_by_hand(&r, &t, 20000);
    ck_assert_ptr_nonnull(strstr(r.seen.data, "0 a failed limit 47104 "
                                              "with field 'y' of 3 bytes the sample spans 47107 bytes"));
    ck_assert_ptr_nonnull(strstr(r.seen.data, "1 62 "));
    ck_assert_ptr_nonnull(strstr(r.seen.data, "ignored 10"));
    reading_close(&r);
}
END_TEST

START_TEST(too_many_fields_fail_the_sample)
{
    text t = { 0 };
    for (int i = 0; i < 1500; i++) {
        char name[32];
        snprintf(name, sizeof name, "a.%d", i);
        put_file(&t, name, "");
    }
    put_file(&t, "b.x", "abc");
    put_end(&t);
    reading r;
    read_by_hand(&r, &t, BIG);
    ck_assert_ptr_nonnull(strstr(r.seen.data, "0 a failed limit 524288 "
                                              "field '1024': more than 1024 fields in one sample\n"));
    ck_assert_ptr_nonnull(strstr(r.seen.data, "1 62 "));
    reading_close(&r);
}
END_TEST

/* Each way that GNU tar has of storing sparse files; and Python reads none of their data as a sample's by mistake. */
START_TEST(sparse_files_fail_their_sample)
{
    static const char *const options[] = { "--format=gnu", "--format=pax --sparse-version=0.0",
                                           "--format=pax --sparse-version=0.1", "--format=pax --sparse-version=1.0" };
    for (size_t i = 0; i < 4; i++) {
        char command[2000];
        snprintf(command, sizeof command,
                 "cd %s && rm -rf s && mkdir s && cd s && echo a > a.x && echo c > c.x && rm -f b.x && "
                 "for i in 1 5 9 13 17 21 25 29 33 37 41 45 49 53 57 61; do "
                 "dd if=/dev/urandom of=b.x bs=4096 count=1 seek=$((i * 16)) conv=notrunc status=none; done && "
                 "truncate -s 8M b.x && tar %s --sparse -cf ../s.tar a.x b.x c.x", folder, options[i]);
        ck_assert_int_eq(system(command), 0);
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/s.tar", folder);
        text t = file_read(path);
        ck_assert_uint_lt(t.size, 1 << 20);
        reading r;
        read_by_hand(&r, &t, BIG);
        ck_assert_msg(r.code == LEAT_OK, "%s", r.error.message);
        ck_assert_msg(strstr(r.seen.data, "1 b failed unsupported "), "%s: %s", options[i], r.seen.data);
        ck_assert_ptr_nonnull(strstr(r.seen.data, "field 'x' is a GNU sparse file "
                                                  "(make the archive without --sparse)\n2 63 "));
        ck_assert_ptr_nonnull(strstr(r.seen.data, "0 61 "));
        reading_close(&r);
    }
}
END_TEST

START_TEST(names_are_keys_whatever_they_are)
{
    text t = { 0 };
    put_file(&t, "/etc/passwd.x", "abc");
    put_file(&t, "../../up.x", "abc");
    put_file(&t, "\033[2J\n.x", "abc");
    put_file(&t, "\033[2J\n.x", "abc");
    put_file(&t, "", "abc");
    put_file(&t, ".", "abc");
    put_file(&t, "..", "abc");
    put_file(&t, "dir.d/", "abc");
    put_file(&t, "a.b/.c", "abc");
    put_header(&t, "x.link", 99, '2'); /* whatever a link says, no data follows */
    put_header(&t, "x.dir", 99, '5');
    put_header(&t, "x.label", 0, 'V');
    put_end(&t);
    reading r;
    read_by_hand(&r, &t, BIG);
    ck_assert_int_eq(r.code, LEAT_OK);
    ck_assert_str_eq(r.seen.data, "0 2f6574632f706173737764 0 78 512 3 352441c2\n"
                                  "1 2e2e2f2e2e2f7570 1024 78 1536 3 352441c2\n2 \033[2J\n failed corrupt 3072 "
                                  "field 'x' is there twice, at byte 2560 and at byte 3584\nignored 8\n");
    reading_close(&r);
}
END_TEST

/* ---- bodies ---- */

typedef struct holding {
    leat__sample *samples[64];
    size_t count;
} holding;

static void hold(void *user, leat__sample *sample)
{
    holding *h = user;
    ck_assert_uint_lt(h->count, 64);
    h->samples[h->count++] = sample;
}

START_TEST(a_body_in_one_chunk_is_not_copied)
{
    char body[601]; /* just over what is copied into the sample: two blocks */
    memset(body, 'b', sizeof body - 1);
    body[600] = '\0';
    text t = { 0 };
    put_file(&t, "a.x", body);
    put_file(&t, "a.y", "defgh");
    put_end(&t);
    reading r;
    reading_open(&r, BIG);
    holding h = { .count = 0 };
    leat__buffer *buffer = leat__buffer_new(r.arena, &r.budget, t.size);
    memcpy(buffer->data, t.data, t.size);
    size_t charged = leat__budget_used(&r.budget);
    leat__bytes bytes = { buffer, buffer->data, t.size };
    leat__tar_begin(r.tar, &object, 5);
    ck_assert_int_eq(leat__tar_feed(r.tar, &bytes, hold, &h, &r.error), LEAT_OK);
    ck_assert_int_eq(leat__tar_end(r.tar, hold, &h, &r.error), LEAT_OK);
    ck_assert_uint_eq(h.count, 1);
    ck_assert_ptr_eq(h.samples[0]->fields[0].bytes.data, buffer->data + 512);
    ck_assert_ptr_null(h.samples[0]->fields[1].bytes.buffer); /* small: lies in the sample */
    ck_assert_uint_eq(h.samples[0]->item.bytes, 605);
    ck_assert_uint_eq(leat__budget_used(&r.budget), charged);
    leat__bytes_release(&bytes);
    ck_assert_uint_eq(leat__arena_live(r.arena), 1); /* the sample's slice keeps it */
    ck_assert_mem_eq(h.samples[0]->fields[1].bytes.data, "defgh", 5);
    leat__item_release(&h.samples[0]->item);
    reading_close(&r);
    free(t.data);
}
END_TEST

START_TEST(a_body_across_chunks_is_copied_once_and_charged)
{
    char large[10001];
    for (int i = 0; i < 10000; i++) large[i] = (char)('a' + i % 23);
    large[10000] = '\0';
    text t = { 0 };
    put_file(&t, "a.x", large);
    put_end(&t);
    reading r;
    reading_open(&r, BIG);
    holding h = { .count = 0 };
    leat__tar_begin(r.tar, &object, 5);
    for (size_t at = 0; at < t.size; at += 100) {
        leat__buffer *buffer = leat__buffer_new(r.arena, NULL, 100);
        size_t n = t.size - at < 100 ? t.size - at : 100;
        memcpy(buffer->data, t.data + at, n);
        leat__bytes bytes = { buffer, buffer->data, n };
        ck_assert_int_eq(leat__tar_feed(r.tar, &bytes, hold, &h, &r.error), LEAT_OK);
        leat__bytes_release(&bytes);
        ck_assert_uint_le(leat__arena_live(r.arena), 1);
    }
    ck_assert_int_eq(leat__tar_end(r.tar, hold, &h, &r.error), LEAT_OK);
    ck_assert_uint_eq(leat__budget_used(&r.budget), h.samples[0]->fields[0].bytes.buffer->capacity);
    ck_assert_uint_eq(h.samples[0]->fields[0].bytes.size, 10000);
    ck_assert_mem_eq(h.samples[0]->fields[0].bytes.data, large, 10000);
    leat__item_release(&h.samples[0]->item);
    reading_close(&r);
    free(t.data);
}
END_TEST

/* Begin in any state forgets what was half read, and what the archive before said for all entries. */
START_TEST(begin_starts_afresh_from_any_state)
{
    text t = { 0 }, clean = { 0 };
    put_extended(&t, 'g', "18 path=global.xy\n", 18);
    put_file(&t, "a.x", "abc");
    put_extended(&t, 'x', "12 path=b.x\n", 12);
    put_extended(&t, 'L', "long.x", 7);
    put_file(&t, "b.x", "abcdefghijklmnopqrstuvwxyz");
    put_end(&t);
    put_file(&clean, "a.x", "abc");
    put_end(&clean);
    reading r;
    reading_open(&r, BIG);
    for (size_t cut = 0; cut <= t.size; cut += 13) {
        leat__tar_begin(r.tar, &object, 5);
        r.next_index = 0;
        for (size_t at = 0; at < cut; at += 50) feed(&r, t.data + at, cut - at < 50 ? cut - at : 50);
        read_archive(&r, &clean, 40);
        ck_assert_str_eq(r.seen.data, "0 61 0 78 512 3 352441c2\nignored 0\n");
    }
    reading_close(&r);
    free(t.data);
    free(clean.data);
}
END_TEST

START_TEST(an_empty_chunk_changes_nothing)
{
    text t = { 0 };
    put_file(&t, "a.x", "abc");
    put_end(&t);
    reading r;
    reading_open(&r, BIG);
    leat__tar_begin(r.tar, &object, 5);
    leat__bytes nothing = { 0 };
    for (size_t at = 0; at < t.size; at += 64) {
        ck_assert_int_eq(leat__tar_feed(r.tar, &nothing, see, &r, &r.error), LEAT_OK);
        ck_assert(feed(&r, t.data + at, 64));
    }
    ck_assert_int_eq(leat__tar_end(r.tar, see, &r, &r.error), LEAT_OK);
    ck_assert_str_eq(r.seen.data, "0 61 0 78 512 3 352441c2\n");
    reading_close(&r);
    free(t.data);
}
END_TEST

static void make_archives(void)
{
    char source[] = __FILE__, command[2 * PATH_MAX];
    const char *tests = getenv("LEAT_TESTS");
    bool made = mkdtemp(folder) != NULL;
    snprintf(command, sizeof command, "python3 '%s/archives.py' '%s'", tests ? tests : dirname(source), folder);
    if (!made || system(command) != 0) {
        fprintf(stderr, "test_tar: could not make the archives: %s\n", command);
        rmdir(folder); /* if nothing was made in it */
        exit(EXIT_FAILURE);
    }
}

int main(void)
{
    make_archives();
    Suite *suite = suite_create("tar");
    TCase *tests = tcase_create("tar");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, reads_what_python_reads, 0, ARCHIVES);
    tcase_add_loop_test(tests, every_chunk_size_from_1_to_600_reads_the_same, 7, 9);
    tcase_add_loop_test(tests, every_chunk_size_from_1_to_600_reads_the_same, 12, 13);
    tcase_add_loop_test(tests, an_archive_cut_anywhere_is_truncated, 2, 4);
    tcase_add_loop_test(tests, an_archive_cut_anywhere_is_truncated, 8, 9);
    tcase_add_test(tests, a_flipped_bit_in_a_header_is_found);
    tcase_add_test(tests, sizes_in_every_form_are_read);
    tcase_add_test(tests, impossible_sizes_are_refused);
    tcase_add_test(tests, a_huge_size_takes_no_memory);
    tcase_add_test(tests, only_ustar_has_a_prefix);
    tcase_add_test(tests, a_sum_of_signed_bytes_is_accepted);
    tcase_add_test(tests, records_go_over_the_header);
    tcase_add_test(tests, malformed_records_end_the_archive);
    tcase_add_test(tests, extended_headers_have_a_limit);
    tcase_add_test(tests, a_hundred_thousand_extended_headers_are_stepped_through);
    tcase_add_test(tests, an_extended_header_needs_its_entry);
    tcase_add_test(tests, what_comes_after_the_end_is_ignored);
    tcase_add_test(tests, a_lone_block_of_zeros_hides_nothing);
    tcase_add_test(tests, what_is_no_tar_is_named);
    tcase_add_test(tests, nothing_at_all_is_truncated);
    tcase_add_test(tests, a_name_twice_fails_its_sample_alone);
    tcase_add_test(tests, a_key_that_begins_another_is_a_key_of_its_own);
    tcase_add_test(tests, a_sample_over_the_limit_fails_alone);
    tcase_add_test(tests, the_limit_counts_what_lies_between_the_fields);
    tcase_add_test(tests, too_many_fields_fail_the_sample);
    tcase_add_test(tests, sparse_files_fail_their_sample);
    tcase_add_test(tests, names_are_keys_whatever_they_are);
    tcase_add_test(tests, a_body_in_one_chunk_is_not_copied);
    tcase_add_test(tests, a_body_across_chunks_is_copied_once_and_charged);
    tcase_add_test(tests, begin_starts_afresh_from_any_state);
    tcase_add_test(tests, an_empty_chunk_changes_nothing);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) == 0 && !failed ? EXIT_SUCCESS : EXIT_FAILURE;
}
