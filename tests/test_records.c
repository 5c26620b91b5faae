/* test_records.c - store/records.c, recordline.c and finished.c: what is recorded is read again, whatever its bytes, and whatever a
 * crash left of the file; the set of what is finished. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "loading.h"
#include "pipeline/random.h"
#include "refusing.h"
#include "pipeline/jsonread.h"
#include "store/recordline.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static leat__root state;

static void set_up(void)
{
    leat_error error;
    scratch_begin();
    ck_leat(leat__root_open(scratch, false, &state, &error));
}

static void tear_down(void)
{
    leat__root_close(&state);
    scratch_end();
}

static leat__record record_of(const char *path)
{
    leat__record record = {.path = path, .url = "https://h/a?sig=x", .bytes = 1234, .crc32c = 0x0a1b2c3d, .etag = "\"x\"",
                           .verified = true, .time_s = 1700000000};
    return record;
}

/* ---- texts ---- */

static const struct {
    const char *text, *quoted;
} quotes[] = {
    {"", "\"\""},
    {"a/b.jpg", "\"a/b.jpg\""},
    {"\"\\\b\f\n\r\t", "\"\\\"\\\\\\b\\f\\n\\r\\t\""},
    {"\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\""},
    {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\""},
    {"\xff\x80", "\"\\udcff\\udc80\""},
    {"a\xc3", "\"a\\udcc3\""},                        /* half a character at the end */
    {"\xe2\x82" "b", "\"\\udce2\\udc82b\""},
    {"\xc0\xaf", "\"\\udcc0\\udcaf\""},               /* a long form of '/' */
    {"\xe0\x80\xaf", "\"\\udce0\\udc80\\udcaf\""},
    {"\xf0\x80\x80\xaf", "\"\\udcf0\\udc80\\udc80\\udcaf\""},
    {"\xed\xb2\x80", "\"\\udced\\udcb2\\udc80\""},    /* a surrogate */
    {"\xf4\x90\x80\x80", "\"\\udcf4\\udc90\\udc80\\udc80\""},
    {"\xf5", "\"\\udcf5\""},
    {"\\udc80", "\"\\\\udc80\""},
};

START_TEST(texts_are_quoted)
{
    char text[128];
    size_t length = strlen(quotes[_i].quoted);
    ck_assert_uint_eq(leat__json_quote(text, sizeof text, quotes[_i].text), length);
    ck_assert_str_eq(text, quotes[_i].quoted);
    ck_assert_uint_eq(leat__json_quote(NULL, 0, quotes[_i].text), length);
    for (size_t capacity = 1; capacity <= length + 1; capacity++) {
        memset(text, '#', sizeof text);
        ck_assert_uint_eq(leat__json_quote(text, capacity, quotes[_i].text), length);
        ck_assert_uint_eq(strlen(text), capacity - 1);
        ck_assert_int_eq(strncmp(text, quotes[_i].quoted, capacity - 1), 0);
        ck_assert_int_eq(text[capacity], '#');
    }
}
END_TEST

/* Quotes, puts bytes back, reads. */
static void check_round(const char *from)
{
    char quoted[2048], text[512];
    size_t length = leat__json_quote(quoted, sizeof quoted, from);
    for (const char *c = quoted; *c; c++) ck_assert((unsigned char)*c >= 0x20);
    leat__json json = {.at = quoted, .end = quoted + leat__json_unescape(quoted, length)};
    ck_assert_msg(leat__json_text(&json, text, sizeof text) && leat__json_end(&json), "%s: %s", quoted, json.why);
    ck_assert_str_eq(text, from);
}

START_TEST(texts_of_any_bytes_are_read_again)
{
    leat__random random = {.key = {.seed = 3}};
    char text[301];
    for (size_t i = 0; i < COUNT(quotes); i++) check_round(quotes[i].text);
    for (int i = 0; i < 3000; i++) {
        size_t length = leat__random_below(&random, sizeof text);
        for (size_t k = 0; k < length; k++) {
            uint64_t kind = leat__random_below(&random, 4);
            uint64_t any = leat__random_below(&random, 255);
            text[k] = kind == 0 ? '\\' : kind == 1 ? "udc8\"/"[any % 6] : (char)(1 + any);
        }
        text[length] = '\0';
        check_round(text);
    }
}
END_TEST

/* What others write: pairs stay pairs, and what is no escape stays as it is. */
START_TEST(only_lone_low_surrogates_are_put_back)
{
    static const struct {
        const char *from, *to;
    } rows[] = {
        {"\"\\ud83d\\udc80\"", "\"\\ud83d\\udc80\""}, {"\"\\\\udc80\"", "\"\\\\udc80\""},
        {"\"\\udc7f\\udd00\"", "\"\\udc7f\\udd00\""},
        {"\"\\uDC80\\udCfF\"", "\"\x80\xff\""},       {"\"\\udc8", "\"\\udc8"},           {"\"\\udc8g\"", "\"\\udc8g\""},
        {"\"\\", "\"\\"},                             {"\\ud83d", "\\ud83d"},             {"\\\"\\udc80", "\\\"\x80"},
    };
    char line[64];
    for (size_t i = 0; i < COUNT(rows); i++) {
        strcpy(line, rows[i].from);
        size_t length = leat__json_unescape(line, strlen(line));
        ck_assert_uint_eq(length, strlen(rows[i].to));
        ck_assert_mem_eq(line, rows[i].to, length);
    }
}
END_TEST

/* ---- lines ---- */

START_TEST(a_record_is_one_line_of_json)
{
    char line[512];
    leat__record record = record_of("a/b.jpg");
    leat__record_write(line, sizeof line, &record);
    ck_assert_str_eq(line, "{\"path\":\"a/b.jpg\",\"url\":\"https://h/a?sig=x\",\"bytes\":1234,\"crc32c\":\"0a1b2c3d\","
                           "\"etag\":\"\\\"x\\\"\",\"verified\":true,\"time\":1700000000}\n");
    record = (leat__record){.path = "p", .url = "u", .etag = "", .bytes = UINT64_MAX};
    ck_assert(leat__sum_parse(LEAT__SUM_MD5, "900150983cd24fb0d6963f7d28e17f72", &record.sum));
    leat__record_write(line, sizeof line, &record);
    ck_assert_str_eq(line, "{\"path\":\"p\",\"url\":\"u\",\"bytes\":18446744073709551615,\"crc32c\":\"00000000\","
                           "\"md5\":\"900150983cd24fb0d6963f7d28e17f72\",\"verified\":false,\"time\":0}\n");
}
END_TEST

static const struct {
    const char *line;
    bool is_record;
} lines[] = {
    {"{\"path\":\"p\",\"url\":\"u\",\"bytes\":1,\"crc32c\":\"00000001\"}", true},
    {" { \"new\" : [1, {\"a\": null}], \"crc32c\":\"00000001\", \"bytes\": 1, \"url\":\"\", \"path\":\"p\" } \r", true},
    {"", false},
    {"{}", false},
    {"{\"path\":\"\",\"url\":\"u\",\"bytes\":1,\"crc32c\":\"00000001\"}", false},
    {"{\"url\":\"u\",\"bytes\":1,\"crc32c\":\"00000001\"}", false},
    {"{\"path\":\"p\",\"bytes\":1,\"crc32c\":\"00000001\"}", false},
    {"{\"path\":\"p\",\"url\":\"u\",\"crc32c\":\"00000001\"}", false},
    {"{\"path\":\"p\",\"url\":\"u\",\"bytes\":1}", false},
    {"{\"path\":\"p\",\"url\":\"u\",\"bytes\":-1,\"crc32c\":\"00000001\"}", false},
    {"{\"path\":\"p\",\"url\":\"u\",\"bytes\":1.5,\"crc32c\":\"00000001\"}", false},
    {"{\"path\":\"p\",\"url\":\"u\",\"bytes\":1,\"crc32c\":\"1\"}", false},
    {"{\"path\":\"p\",\"url\":\"u\",\"bytes\":1,\"crc32c\":\"00000001\",\"sha256\":\"00000001\"}", false},
    {"{\"path\":\"p\\u0000q\",\"url\":\"u\",\"bytes\":1,\"crc32c\":\"00000001\"}", false},
    {"{\"path\":\"p\",\"url\":\"u\",\"bytes\":1,\"crc32c\":\"00000001\"}{", false},
    {"{\"path\":\"p\",\"url\":\"u\",\"bytes\":1,\"crc32c\":\"00000001\"", false},
    {"[\"path\"]", false},
};

static struct leat__record_texts texts;

static bool read_line(const char *line, size_t length, leat__record *record)
{
    char *copy = malloc(length + 1); /* of its size, so that a sanitizer sees what is read behind it */
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, line, length);
    bool is_record = leat__record_read(copy, length, &texts, record);
    free(copy);
    return is_record;
}

START_TEST(lines_that_are_records_and_that_are_not)
{
    leat__record record;
    ck_assert_int_eq(read_line(lines[_i].line, strlen(lines[_i].line), &record), lines[_i].is_record);
    if (!lines[_i].is_record) return;
    ck_assert_str_eq(record.path, "p");
    ck_assert_str_eq(record.etag, "");
    ck_assert_uint_eq(record.crc32c, 1);
    ck_assert(!record.verified && record.bytes == 1 && record.sum.kind == LEAT__SUM_NONE);
}
END_TEST

START_TEST(a_line_that_is_cut_is_no_record)
{
    char line[512];
    leat__record record = record_of("a\xff"), again;
    ck_assert(leat__sum_parse(LEAT__SUM_NONE, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", &record.sum));
    size_t length = leat__record_write(line, sizeof line, &record) - 1;
    for (size_t cut = 0; cut < length; cut++) ck_assert(!read_line(line, cut, &again));
    ck_assert(read_line(line, length, &again));
    ck_assert_str_eq(again.path, record.path);
    ck_assert_str_eq(again.url, record.url);
    ck_assert_str_eq(again.etag, record.etag);
    ck_assert(again.bytes == record.bytes && again.crc32c == record.crc32c && again.verified && again.time_s == record.time_s);
    ck_assert(leat__sum_equal(&again.sum, &record.sum));
}
END_TEST

/* ---- files ---- */

/* The paths of the records that are read, each with a blank behind it. */
struct seen {
    char paths[8192];
    int count, most; /* most: 0: all */
};

static bool see(void *user, const leat__record *record)
{
    struct seen *seen = user;
    if (strlen(seen->paths) + strlen(record->path) + 2 < sizeof seen->paths) strcat(strcat(seen->paths, record->path), " ");
    return ++seen->count != seen->most;
}

static uint64_t read_all(struct seen *seen)
{
    leat_error error;
    uint64_t torn;
    *seen = (struct seen){.most = seen->most};
    ck_leat(leat__records_read(&state, see, seen, &torn, &error));
    return torn;
}

static void add(leat__record_writer *writer, const char *path)
{
    leat_error error;
    leat__record record = record_of(path);
    ck_leat(leat__record_add(writer, &record, &error));
}

START_TEST(records_are_read_by_file_and_line)
{
    leat_error error;
    struct stat status;
    struct seen seen = {0};
    leat__record_writer *b = leat__record_writer_new(&state, "b"), *a = leat__record_writer_new(&state, "a");
    ck_assert_uint_eq(read_all(&seen), 0);
    ck_leat(leat__record_flush(a, &error));
    ck_assert_int_ne(stat(at("records"), &status), 0); /* nothing to write, nothing made */
    add(b, "b1");
    add(b, "b2");
    ck_leat(leat__record_flush(b, &error));
    add(a, "a1");
    ck_leat(leat__record_flush(a, &error));
    add(b, "b3");
    ck_leat(leat__record_flush(b, &error));
    add(a, "forgotten");
    leat__record_writer_free(a);
    leat__record_writer_free(b);
    leat__record_writer_free(NULL);
    ck_assert_uint_eq(read_all(&seen), 0);
    ck_assert_str_eq(seen.paths, "a1 b1 b2 b3 ");
    seen.most = 2;
    read_all(&seen);
    ck_assert_str_eq(seen.paths, "a1 b1 ");
    ck_assert_int_eq(stat(at("records/a.jsonl"), &status), 0);
    ck_assert_int_eq(status.st_mode & 0777, 0600);
}
END_TEST

/* Some 2.5 MB in lines of every length: they cross the reader's buffer at every place. */
START_TEST(long_files_are_read_in_pieces)
{
    enum { RECORDS = 5000 };
    static char path[1000];
    leat_error error;
    struct seen seen = {0};
    leat__record_writer *writer = leat__record_writer_new(&state, "t");
    for (size_t i = 0; i < RECORDS; i++) {
        memset(path, 'x', sizeof path);
        path[1 + i * 37 % 900] = '\0';
        add(writer, path);
        if (i % 11 == 0) ck_leat(leat__record_flush(writer, &error));
    }
    ck_leat(leat__record_flush(writer, &error));
    leat__record_writer_free(writer);
    ck_assert_uint_eq(read_all(&seen), 0);
    ck_assert_int_eq(seen.count, RECORDS);
}
END_TEST

START_TEST(torn_lines_are_passed_over_and_counted)
{
    leat_error error;
    struct seen seen = {0};
    leat__record_writer *writer = leat__record_writer_new(&state, "t");
    add(writer, "one");
    ck_leat(leat__record_flush(writer, &error));
    FILE *file = fopen(at("records/t.jsonl"), "a");
    fprintf(file, "\n{\"path\":\n");
    for (int i = 0; i < 1100000; i++) fputc('x', file); /* longer than two buffers */
    fprintf(file, "\n");
    for (int i = 0; i < 512 * 1024; i++) fputc('y', file); /* as long as one */
    fprintf(file, "\n");
    fflush(file);
    add(writer, "two");
    ck_leat(leat__record_flush(writer, &error));
    fprintf(file, "{\"path\":\"half");
    fclose(file);
    leat__record_writer_free(writer);
    ck_assert_uint_eq(read_all(&seen), 5);
    ck_assert_str_eq(seen.paths, "one two ");
}
END_TEST

START_TEST(what_is_no_file_of_records_is_passed_over)
{
    leat_error error;
    struct seen seen = {0};
    leat__record_writer *writer = leat__record_writer_new(&state, "t");
    add(writer, "one");
    ck_leat(leat__record_flush(writer, &error));
    leat__record_writer_free(writer);
    ck_assert_int_eq(symlink("t.jsonl", at("records/link.jsonl")), 0);
    ck_assert_int_eq(mkfifo(at("records/fifo.jsonl"), 0600), 0);
    ck_assert_int_eq(mkdir(at("records/dir.jsonl"), 0700), 0);
    write_text(at("records/notes.txt"), "hello\n");
    write_text(at("records/.hidden.jsonl"), "hello\n");
    ck_assert_uint_eq(read_all(&seen), 0);
    ck_assert_str_eq(seen.paths, "one ");
}
END_TEST

START_TEST(the_longest_record_is_read_again)
{
    static char path[LEAT__RECORD_PATH + 1], url[LEAT__RECORD_URL], etag[LEAT__RECORD_ETAG];
    leat_error error;
    struct seen seen = {0};
    leat__record record = {.path = path, .url = url, .etag = etag};
    memset(path, 0xff, LEAT__RECORD_PATH - 1); /* six characters each */
    memset(url, 1, sizeof url - 1);
    memset(etag, 0xff, sizeof etag - 1);
    leat__record_writer *writer = leat__record_writer_new(&state, "t");
    ck_leat(leat__record_add(writer, &record, &error));
    ck_leat(leat__record_flush(writer, &error));
    path[LEAT__RECORD_PATH - 1] = 'x';
    ck_assert_int_eq(leat__record_add(writer, &record, &error), LEAT_ELIMIT);
    leat__record_writer_free(writer);
    ck_assert_uint_eq(read_all(&seen), 0);
    path[LEAT__RECORD_PATH - 1] = '\0';
    ck_assert_int_eq(strncmp(seen.paths, path, strlen(path)), 0);
}
END_TEST

/* ---- disks ---- */

static void write_until_full(void)
{
    leat_error error;
    leat__record_writer *writer = leat__record_writer_new(&state, "full");
    add(writer, "one");
    add(writer, "two");
    struct rlimit limit = {200, RLIM_INFINITY}; /* the first and a part of the second */
    MUST(signal(SIGXFSZ, SIG_IGN) != SIG_ERR && setrlimit(RLIMIT_FSIZE, &limit) == 0);
    MUST(leat__record_flush(writer, &error) != LEAT_OK && strstr(error.message, "records/full.jsonl"));
    limit.rlim_cur = RLIM_INFINITY;
    MUST(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    add(writer, "three");
    MUST(leat__record_flush(writer, &error) == LEAT_OK);
    leat__record_writer_free(writer);
}

static void write_nothing(void)
{
    leat_error error;
    leat__record_writer *writer = leat__record_writer_new(&state, "none");
    add(writer, "none");
    refuse_call(SYS_write, ENOSPC);
    bool told = leat__record_flush(writer, &error) == LEAT_EDISK && strstr(error.message, "No space left on device");
    _exit(told ? 0 : 1); /* fprintf of MUST could not write */
}

START_TEST(a_full_disk_tears_no_line)
{
    struct seen seen = {0};
    in_child(write_until_full);
    ck_assert_uint_eq(read_all(&seen), 0);
    ck_assert_str_eq(seen.paths, "one two three ");
    in_child(write_nothing);
}
END_TEST

/* ---- the set ---- */

START_TEST(what_is_finished_is_told_by_name_url_and_size)
{
    leat__finished *set = leat__finished_new();
    ck_assert(!leat__finished_has(set, "a", "b", 1));
    for (int i = 0; i < 2; i++) ck_assert(leat__finished_add(set, "a", "b", 1));
    ck_assert(leat__finished_has(set, "a", "b", 1));
    ck_assert(!leat__finished_has(set, "a", "b", 2) && !leat__finished_has(set, "b", "a", 1));
    ck_assert(!leat__finished_has(set, "ab", "", 1) && !leat__finished_has(set, "", "ab", 1));
    leat__finished_free(set);
    leat__finished_free(NULL);
}
END_TEST

START_TEST(a_large_set_has_what_was_added_and_nothing_else)
{
    enum { MANY = 200000 };
    char path[32];
    leat__finished *set = leat__finished_new();
    for (int i = 0; i < MANY; i++) {
        snprintf(path, sizeof path, "train/%08d.jpg", i);
        ck_assert(leat__finished_add(set, path, path, (uint64_t)i % 100));
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(path, sizeof path, "train/%08d.jpg", i);
        ck_assert(leat__finished_has(set, path, path, (uint64_t)i % 100));
        ck_assert(!leat__finished_has(set, path, path, (uint64_t)i % 100 + 1));
    }
    leat__finished_free(set);
}
END_TEST

static void *add_some(void *user)
{
    static atomic_int next;
    int base = atomic_fetch_add(&next, 1) * 5000;
    char path[32];
    for (int i = 0; i < 5000; i++) {
        snprintf(path, sizeof path, "%d", base + i);
        leat__finished_add(user, path, "", 0);
        if (!leat__finished_has(user, path, "", 0)) return user;
    }
    return NULL;
}

START_TEST(threads_add_side_by_side)
{
    pthread_t threads[4];
    char path[32];
    void *failed;
    leat__finished *set = leat__finished_new();
    for (size_t i = 0; i < COUNT(threads); i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, add_some, set), 0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
    }
    for (int i = 0; i < 20000; i++) {
        snprintf(path, sizeof path, "%d", i);
        ck_assert(leat__finished_has(set, path, "", 0));
    }
    leat__finished_free(set);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("records");
    TCase *text = tcase_create("texts"), *files = tcase_create("files"), *sets = tcase_create("sets");
    tcase_set_timeout(text, 60);
    tcase_set_timeout(files, 60);
    tcase_set_timeout(sets, 60);
    tcase_add_checked_fixture(files, set_up, tear_down);
    tcase_add_loop_test(text, texts_are_quoted, 0, (int)COUNT(quotes));
    tcase_add_test(text, texts_of_any_bytes_are_read_again);
    tcase_add_test(text, only_lone_low_surrogates_are_put_back);
    tcase_add_test(text, a_record_is_one_line_of_json);
    tcase_add_loop_test(text, lines_that_are_records_and_that_are_not, 0, (int)COUNT(lines));
    tcase_add_test(text, a_line_that_is_cut_is_no_record);
    tcase_add_test(files, records_are_read_by_file_and_line);
    tcase_add_test(files, long_files_are_read_in_pieces);
    tcase_add_test(files, torn_lines_are_passed_over_and_counted);
    tcase_add_test(files, what_is_no_file_of_records_is_passed_over);
    tcase_add_test(files, the_longest_record_is_read_again);
    tcase_add_test(files, a_full_disk_tears_no_line);
    tcase_add_test(sets, what_is_finished_is_told_by_name_url_and_size);
    tcase_add_test(sets, a_large_set_has_what_was_added_and_nothing_else);
    tcase_add_test(sets, threads_add_side_by_side);
    suite_add_tcase(suite, text);
    suite_add_tcase(suite, files);
    suite_add_tcase(suite, sets);
    return run_suite(suite);
}
