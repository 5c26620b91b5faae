/* Tests of store/cachefile.c: the file of one object in the cache. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loading.h"
#include "store/cachefile.h"

enum { BLOCK = LEAT__CACHE_BLOCK, HEAD = LEAT__CACHE_HEAD };

static const size_t sizes[] = {0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5, 1100000};
static int folder;
static uint8_t *object; /* 2 MiB of noise */
static leat_error error;

static void setup(void)
{
    scratch_begin();
    folder = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    object = malloc(2 << 20);
    uint32_t state = 1;
    for (size_t i = 0; i < 2 << 20; i++) object[i] = (uint8_t)((state = state * 1664525 + 1013904223) >> 24);
}

static void teardown(void)
{
    close(folder);
    free(object);
    scratch_end();
}

static leat__cachehead head_of(size_t total)
{
    leat__cachehead head = {.total = total, .etag = "\"abc\"", .modified = "Tue, 01 Jan 2030 00:00:00 GMT",
                            .url = "http://h/a.tar"};
    memset(head.key, 0x5a, sizeof head.key);
    return head;
}

/* Writes up to `to`, in pieces of odd sizes. */
static void write_up_to(leat__cachewriter *writer, size_t to)
{
    for (size_t step = 1; writer->have < to; step = step * 7 % 100003) {
        size_t left = to - (size_t)writer->have, n = step < left ? step : left;
        ck_leat(leat__cachewriter_add(writer, object + writer->have, n, &error));
    }
}

static leat__cachewriter begin(const char *name, size_t total, size_t have)
{
    leat__cachewriter writer;
    leat__cachehead head = head_of(total);
    ck_leat(leat__cachewriter_create(folder, name, &head, &writer, &error));
    write_up_to(&writer, have);
    return writer;
}

static void make_whole(const char *name, size_t total)
{
    leat__cachewriter writer = begin(name, total, total);
    ck_leat(leat__cachewriter_finish(&writer, &error));
    leat__cachefile_close(&writer.file);
}

static leat__cachefile open_good(const char *name)
{
    leat__cachefile file;
    leat__cachehead head = head_of(0);
    ck_leat(leat__cachefile_open(folder, name, head.key, false, &file, &error));
    return file;
}

static leat_code try_open(const char *name)
{
    leat__cachefile file;
    leat_code code = leat__cachefile_open(folder, name, NULL, false, &file, &error);
    leat__cachefile_close(&file);
    return code;
}

static void flip(const char *name, off_t at)
{
    uint8_t byte;
    int fd = openat(folder, name, O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* What lies at [from, to) of a file is as it should be. */
static leat_code read_range(const leat__cachefile *file, size_t from, size_t to)
{
    uint8_t *data = malloc(to - from + 1);
    leat_code code = leat__cachefile_read(file, from, data, to - from, &error);
    if (!code) ck_assert_msg(memcmp(data, object + from, to - from) == 0, "bytes %zu to %zu differ", from, to);
    free(data);
    return code;
}

START_TEST(an_object_comes_back_as_it_was_written)
{
    size_t total = sizes[_i];
    make_whole("x", total);
    leat__cachefile file = open_good("x");
    ck_assert(file.head.whole);
    ck_assert_uint_eq(file.head.total, total);
    ck_assert_str_eq(file.head.etag, "\"abc\"");
    ck_assert_str_eq(file.head.url, "http://h/a.tar");
    ck_assert_uint_eq(leat__cachefile_have(&file), total);
    size_t edges[] = {0, 1, total / 3, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, total / 2, total ? total - 1 : 0, total};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        for (size_t k = 0; k < sizeof edges / sizeof *edges; k++)
            if (edges[i] <= edges[k] && edges[k] <= total) ck_leat(read_range(&file, edges[i], edges[k]));
    leat__cachefile_close(&file);
}
END_TEST

START_TEST(a_reader_follows_a_growing_file)
{
    size_t total = 3 * BLOCK + 5;
    leat__cachewriter writer = begin("x", total, 0);
    leat__cachefile file = open_good("x");
    ck_assert(!file.head.whole);
    for (size_t have = 0; have <= total; have = have + 40000 < total || have == total ? have + 40000 : total) {
        write_up_to(&writer, have);
        ck_assert_uint_eq(leat__cachefile_have(&file), have);
        ck_leat(read_range(&file, 0, have));
    }
    leat__cachefile_refresh(&file);
    ck_assert(!file.head.whole);
    ck_leat(leat__cachewriter_finish(&writer, &error));
    leat__cachefile_refresh(&file);
    ck_assert(file.head.whole);
    ck_assert(!leat__cachefile_is_unlinked(&file));
    unlinkat(folder, "x", 0);
    ck_assert(leat__cachefile_is_unlinked(&file));
    leat__cachefile_close(&writer.file);
    leat__cachefile_close(&file);
}
END_TEST

START_TEST(its_room_is_reserved_when_it_begins)
{
    size_t total = 1100000;
    leat__cachewriter writer = begin("x", total, 0);
    struct stat status;
    fstat(writer.file.fd, &status);
    ck_assert_int_eq(status.st_size, (off_t)leat__cachefile_data_at(total));
    ck_assert_int_ge(status.st_blocks * 512, (off_t)leat__cachefile_bytes(total));
    leat__cachefile_close(&writer.file);
}
END_TEST

START_TEST(a_flipped_byte_is_found_by_every_read_of_its_block)
{
    size_t total = 3 * BLOCK + 5, bad = BLOCK + 77;
    make_whole("x", total);
    flip("x", (off_t)(leat__cachefile_data_at(total) + bad));
    leat__cachefile file = open_good("x");
    ck_leat(read_range(&file, 0, BLOCK));
    ck_leat(read_range(&file, 2 * BLOCK, total));
    ck_assert_int_eq(read_range(&file, BLOCK, BLOCK + 1), LEAT_ECORRUPT); /* also where the read does not touch the byte */
    ck_assert_int_eq(read_range(&file, 2 * BLOCK - 1, 2 * BLOCK), LEAT_ECORRUPT);
    ck_assert_int_eq(read_range(&file, 0, total), LEAT_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(error.message, "bytes 65536 to 131072"));
    leat__cachefile_close(&file);
}
END_TEST

START_TEST(a_flipped_checksum_is_found)
{
    make_whole("x", 3 * BLOCK);
    flip("x", HEAD + 4);
    leat__cachefile file = open_good("x");
    ck_leat(read_range(&file, 0, BLOCK));
    ck_assert_int_eq(read_range(&file, 0, BLOCK + 1), LEAT_ECORRUPT);
    leat__cachefile_close(&file);
}
END_TEST

START_TEST(any_flipped_byte_of_the_head_is_found)
{
    make_whole("x", 100);
    for (off_t at = 0; at < HEAD; at += at < 1300 ? 1 : 97) {
        flip("x", at);
        ck_assert_msg(try_open("x") == LEAT_ECORRUPT, "byte %ld", (long)at);
        flip("x", at);
    }
    flip("x", HEAD - 1);
    ck_assert_int_eq(try_open("x"), LEAT_ECORRUPT);
    flip("x", HEAD - 1);
    ck_assert_int_eq(try_open("x"), LEAT_OK);
}
END_TEST

START_TEST(a_file_of_another_length_or_key_is_refused)
{
    leat__cachefile file;
    uint8_t other[32] = {1};
    make_whole("x", 3 * BLOCK);
    ck_assert_int_eq(leat__cachefile_open(folder, "x", other, false, &file, &error), LEAT_ECORRUPT);
    for (int i = 0; i < 3; i++) {
        const off_t lengths[] = {0, 5000, (off_t)leat__cachefile_bytes(3 * BLOCK) + 1};
        make_whole("y", 3 * BLOCK);
        int fd = openat(folder, "y", O_RDWR | O_CLOEXEC);
        ck_assert_int_eq(ftruncate(fd, lengths[i]), 0);
        close(fd);
        ck_assert_int_eq(try_open("y"), LEAT_ECORRUPT);
        unlinkat(folder, "y", 0);
    }
    ck_assert_int_eq(try_open("none"), LEAT_ENOTFOUND);
}
END_TEST

START_TEST(only_regular_files_are_opened)
{
    make_whole("good", 10);
    ck_assert_int_eq(symlinkat("good", folder, "link"), 0);
    ck_assert_int_eq(mkdirat(folder, "dir", 0700), 0);
    ck_assert_int_eq(mkfifoat(folder, "fifo", 0600), 0);
    ck_assert_int_eq(try_open("good"), LEAT_OK);
    ck_assert_int_eq(try_open("link"), LEAT_ECORRUPT);
    ck_assert_int_eq(try_open("dir"), LEAT_ECORRUPT);
    ck_assert_int_eq(try_open("fifo"), LEAT_ECORRUPT);
}
END_TEST

static leat__cachewriter inherit(const char *name)
{
    leat__cachewriter writer;
    ck_leat(leat__cachewriter_inherit(folder, name, NULL, &writer, &error));
    for (bool done = false; !done;) ck_leat(leat__cachewriter_check(&writer, &done, &error));
    return writer;
}

START_TEST(what_a_killed_writer_left_is_gone_on_with)
{
    size_t total = 5 * BLOCK + 9, left = (size_t)_i * 50021 < total ? (size_t)_i * 50021 : total;
    leat__cachewriter writer = begin("x", total, left), heir;
    ck_assert_int_eq(leat__cachewriter_inherit(folder, "x", NULL, &heir, &error), LEAT_EEXISTS); /* it lives */
    leat__cachefile_close(&writer.file);
    heir = inherit("x");
    ck_assert_uint_eq(heir.have, left == total ? total : left / BLOCK * BLOCK);
    write_up_to(&heir, total);
    ck_leat(leat__cachewriter_finish(&heir, &error));
    leat__cachefile_close(&heir.file);
    leat__cachefile file = open_good("x");
    ck_leat(read_range(&file, 0, total));
    leat__cachefile_close(&file);
}
END_TEST

START_TEST(what_a_power_failure_made_of_it_is_not)
{
    size_t total = 8 * BLOCK;
    leat__cachewriter writer = begin("x", total, 6 * BLOCK);
    leat__cachefile_close(&writer.file);
    flip("x", (off_t)leat__cachefile_data_at(total) + 3 * BLOCK + 1);
    leat__cachewriter heir = inherit("x");
    ck_assert_uint_eq(heir.have, 3 * BLOCK);
    ck_assert_uint_eq(leat__cachefile_have(&heir.file), 3 * BLOCK);
    write_up_to(&heir, total);
    ck_leat(leat__cachewriter_finish(&heir, &error));
    leat__cachefile_close(&heir.file);
    leat__cachefile file = open_good("x");
    ck_leat(read_range(&file, 0, total));
    leat__cachefile_close(&file);
}
END_TEST

START_TEST(one_killed_between_its_last_word_and_its_name_is_checked_too)
{
    make_whole("x", 2 * BLOCK + 1);
    flip("x", (off_t)leat__cachefile_data_at(2 * BLOCK + 1) + BLOCK);
    leat__cachewriter heir = inherit("x");
    ck_assert_uint_eq(heir.have, BLOCK);
    leat__cachefile reader = open_good("x"); /* it says that it grows */
    ck_assert(!reader.head.whole);
    leat__cachefile_close(&reader);
    leat__cachefile_close(&heir.file);
}
END_TEST

START_TEST(a_write_that_fails_says_so)
{
    signal(SIGXFSZ, SIG_IGN);
    leat__cachewriter writer = begin("x", 10 * BLOCK, BLOCK);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 3 * BLOCK, .rlim_max = RLIM_INFINITY});
    leat_code code = LEAT_OK;
    while (!code && writer.have < 9 * BLOCK) code = leat__cachewriter_add(&writer, object + writer.have, BLOCK, &error);
    ck_assert_int_eq(code, LEAT_EDISK);
    ck_assert_int_eq(error.system, EFBIG);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY});
    leat__cachefile_close(&writer.file);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cachefile");
    TCase *tests = tcase_create("cachefile");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, an_object_comes_back_as_it_was_written, 0, (int)(sizeof sizes / sizeof *sizes));
    tcase_add_test(tests, a_reader_follows_a_growing_file);
    tcase_add_test(tests, its_room_is_reserved_when_it_begins);
    tcase_add_test(tests, a_flipped_byte_is_found_by_every_read_of_its_block);
    tcase_add_test(tests, a_flipped_checksum_is_found);
    tcase_add_test(tests, any_flipped_byte_of_the_head_is_found);
    tcase_add_test(tests, a_file_of_another_length_or_key_is_refused);
    tcase_add_test(tests, only_regular_files_are_opened);
    tcase_add_loop_test(tests, what_a_killed_writer_left_is_gone_on_with, 0, 8);
    tcase_add_test(tests, what_a_power_failure_made_of_it_is_not);
    tcase_add_test(tests, one_killed_between_its_last_word_and_its_name_is_checked_too);
    tcase_add_test(tests, a_write_that_fails_says_so);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
