/* test_tarwriter.c - archives as tar(1) and Python's tarfile read them.
 *
 * Not here: whole shards (test_cli.py packs folders and reads them back). */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check_main.h"
#include "loader/tarwriter.h"

#define GIB ((uint64_t)1 << 30)
static char path[] = "/tmp/test_tarwriter.XXXXXX";
static int fd = -1;
static uint64_t position;

static void setup(void)
{
    strcpy(path + sizeof path - 7, "XXXXXX");
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    position = 0;
}

static void teardown(void)
{
    close(fd);
    unlink(path);
}

static leat_code to_file(void *user, const void *data, size_t size, leat_error *error)
{
    (void)user;
    (void)error;
    ck_assert_int_eq(pwrite(fd, data, size, (off_t)position), (ssize_t)size);
    position += size;
    return LEAT_OK;
}

static leat_code refuse(void *user, const void *data, size_t size, leat_error *error)
{
    int *left = user;
    (void)data;
    (void)size;
    (void)error;
    return (*left)-- > 0 ? LEAT_OK : LEAT_EIO;
}

/* Writes an entry of `size` bytes, its body a hole of the file (zeros). */
static void add(leat__tar_writer *writer, const char *name, uint64_t size)
{
    uint64_t before = position;
    leat_error error;
    ck_assert_int_eq(leat__tar_writer_entry(writer, name, size, &error), LEAT_OK);
    for (uint64_t left = size; left > 0;) {
        size_t step = left > GIB ? (size_t)GIB : (size_t)left;
        position += step;
        left -= step;
        ck_assert_int_eq(leat__tar_writer_skip(writer, step, &error), LEAT_OK);
    }
    ck_assert_uint_eq(position - before, leat__tar_entry_bytes(name, size));
}

static void finish(leat__tar_writer *writer)
{
    leat_error error;
    ck_assert_int_eq(leat__tar_writer_end(writer, &error), LEAT_OK);
    ck_assert_int_eq(ftruncate(fd, (off_t)position), 0);
}

/* Output of a command on the archive, at most capacity - 1 bytes. */
static void run(const char *command, char *out, size_t capacity)
{
    char line[512];
    snprintf(line, sizeof line, command, path);
    FILE *pipe = popen(line, "r");
    ck_assert_ptr_nonnull(pipe);
    size_t length = fread(out, 1, capacity - 1, pipe);
    out[length] = '\0';
    ck_assert_int_eq(pclose(pipe), 0);
}

#define TAR "TZ=UTC LC_ALL=C tar --full-time --quoting-style=literal -tvf %s 2>&1"
#define PYTHON "/usr/bin/python3 -c \"import tarfile,sys\n" \
    "for m in tarfile.open('%s'): print(m.name, m.size, oct(m.mode), m.uid, m.gid, m.mtime, m.uname == '', " \
    "m.isreg())\" 2>&1"

static const uint64_t sizes[] = {0, 1, 511, 512, 513, 10240, 8 * GIB - 1, 8 * GIB, 8 * GIB + 1, 20 * GIB};

START_TEST(sizes_as_tar_and_python_read_them)
{
    leat__tar_writer writer;
    char expected[256], out[1024];
    leat__tar_writer_begin(&writer, to_file, NULL);
    add(&writer, "a/b.jpg", sizes[_i]);
    add(&writer, "a/c.jpg", 3);
    finish(&writer);
    run(PYTHON, out, sizeof out);
    snprintf(expected, sizeof expected, "a/b.jpg %" PRIu64 " 0o644 0 0 0 True True\na/c.jpg 3 0o644 0 0 0 True True\n",
             sizes[_i]);
    ck_assert_str_eq(out, expected);
    run(TAR " | tr -s ' '", out, sizeof out);
    snprintf(expected, sizeof expected, "-rw-r--r-- 0/0 %" PRIu64 " 1970-01-01 00:00:00 a/b.jpg\n"
             "-rw-r--r-- 0/0 3 1970-01-01 00:00:00 a/c.jpg\n", sizes[_i]);
    ck_assert_str_eq(out, expected);
}
END_TEST

/* Lengths around every border: 100 (name), 155 + 1 + 100 (prefix and name), and beyond; slashes where they help and
 * not. */
static const struct { size_t length, slash; } names[] = {
    {1, 0}, {99, 0}, {100, 0}, {101, 0}, {101, 1}, {102, 1}, {102, 50}, {200, 99}, {200, 100}, {255, 155},
    {256, 155}, {256, 154},
    {257, 155}, {257, 156}, {300, 200}, {4000, 7}, {101, 100}, {985, 3}, {986, 3}, {987, 3}, {9980, 3}, {65535, 9},
};

START_TEST(names_as_tar_and_python_read_them)
{
    leat__tar_writer writer;
    size_t length = names[_i].length, capacity = length * 2 + 512;
    char *name = malloc(length + 1), *expected = malloc(capacity), *out = malloc(capacity);
    for (size_t i = 0; i < length; i++) name[i] = (char)('a' + i % 26);
    if (names[_i].slash > 0 && names[_i].slash < length) name[names[_i].slash] = '/';
    name[length] = '\0';
    leat__tar_writer_begin(&writer, to_file, NULL);
    add(&writer, name, 700);
    add(&writer, "next", 1);
    finish(&writer);
    size_t shown = strlen(name);
    while (shown > 0 && name[shown - 1] == '/') shown--; /* tarfile strips a slash at the end */
    run(PYTHON, out, capacity);
    snprintf(expected, capacity, "%.*s 700 0o644 0 0 0 True True\nnext 1 0o644 0 0 0 True True\n", (int)shown, name);
    ck_assert_str_eq(out, expected);
    run("LC_ALL=C tar -tf %s 2>&1", out, capacity);
    snprintf(expected, capacity, "%s\nnext\n", name);
    ck_assert_str_eq(out, expected);
    free(name);
    free(expected);
    free(out);
}
END_TEST

START_TEST(names_beyond_ascii)
{
    leat__tar_writer writer;
    char name[256], expected[600], out[1024];
    leat__tar_writer_begin(&writer, to_file, NULL);
    add(&writer, "gr\303\266\303\237e/1.jpg", 1);
    strcpy(name, "");
    for (int i = 0; i < 60; i++) strcat(name, "\303\266");
    add(&writer, name, 1);
    finish(&writer);
    run("LC_ALL=C.UTF-8 tar --quoting-style=literal -tf %s 2>&1", out, sizeof out);
    snprintf(expected, sizeof expected, "gr\303\266\303\237e/1.jpg\n%s\n", name);
    ck_assert_str_eq(out, expected);
}
END_TEST

START_TEST(bodies_in_any_pieces)
{
    char *text = malloc(5000), out[20480], expected[20480] = "";
    leat__tar_writer writer;
    leat_error error;
    for (int i = 0; i < 5000; i++) text[i] = (char)('0' + i % 10);
    text[4999] = '\0';
    leat__tar_writer_begin(&writer, to_file, NULL);
    for (size_t piece = 1; piece <= 5000; piece += 1663) {
        ck_assert_int_eq(leat__tar_writer_entry(&writer, "x", 4999, &error), LEAT_OK);
        for (size_t at = 0; at < 4999; at += piece) {
            size_t size = 4999 - at < piece ? 4999 - at : piece;
            ck_assert_int_eq(leat__tar_writer_body(&writer, text + at, size, &error), LEAT_OK);
        }
        strcat(expected, text);
    }
    finish(&writer);
    run("tar -xOf %s 2>&1", out, sizeof out);
    ck_assert_str_eq(out, expected);
    free(text);
}
END_TEST

START_TEST(the_same_bytes_every_time)
{
    char first[8192], second[8192];
    leat__tar_writer writer;
    for (int round = 0; round < 2; round++) {
        position = 0;
        leat__tar_writer_begin(&writer, to_file, NULL);
        add(&writer, "dog/1.jpg", 1000);
        add(&writer, "dog/1.cls", 1);
        finish(&writer);
        ck_assert_uint_eq(position, 512 + 1024 + 512 + 512 + LEAT__TAR_END_BYTES);
        ck_assert_int_eq(pread(fd, round ? second : first, position, 0), (ssize_t)position);
    }
    ck_assert_mem_eq(first, second, position);
}
END_TEST

START_TEST(a_sink_that_fails_ends_the_archive)
{
    leat_error error;
    leat__tar_writer writer;
    char name[301];
    memset(name, 'n', 300);
    name[300] = '\0';
    for (int allowed = 0; allowed < 6; allowed++) { /* pax header, records, padding, header, body, padding */
        int left = allowed;
        leat__tar_writer_begin(&writer, refuse, &left);
        leat_code code = leat__tar_writer_entry(&writer, name, 5, &error);
        ck_assert_int_eq(code, allowed < 4 ? LEAT_EIO : LEAT_OK);
        if (!code) ck_assert_int_eq(leat__tar_writer_body(&writer, "12345", 5, &error), LEAT_EIO);
    }
}
END_TEST

START_TEST(sizes_that_cannot_be_added_up)
{
    ck_assert_uint_eq(leat__tar_entry_bytes("a", UINT64_MAX), UINT64_MAX);
    ck_assert_uint_eq(leat__tar_entry_bytes("a", UINT64_MAX - 600), UINT64_MAX);
    ck_assert_uint_eq(leat__tar_entry_bytes("a", 0), 512);
    ck_assert_uint_eq(leat__tar_entry_bytes("a", 1), 1024);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tarwriter");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, sizes_as_tar_and_python_read_them, 0, sizeof sizes / sizeof sizes[0]);
    tcase_add_loop_test(tests, names_as_tar_and_python_read_them, 0, sizeof names / sizeof names[0]);
    tcase_add_test(tests, names_beyond_ascii);
    tcase_add_test(tests, bodies_in_any_pieces);
    tcase_add_test(tests, the_same_bytes_every_time);
    tcase_add_test(tests, a_sink_that_fails_ends_the_archive);
    tcase_add_test(tests, sizes_that_cannot_be_added_up);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
