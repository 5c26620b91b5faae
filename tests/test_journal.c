/* test_journal.c - store/journal.c: what is noted is read again, whatever a crash or a full disk did to the file (D07). */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "loading.h"
#include "pipeline/random.h"
#include "refusing.h"
#include "store/checksum.h"
#include "store/journal.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { HEADER = 264, RECORD = 16, AT_CRC = 260 }; /* as docs/formats.md says */

static int folder;
static leat__journal_head head;

static void set_up(void)
{
    scratch_begin();
    folder = open(scratch, O_RDONLY | O_DIRECTORY);
    ck_assert_int_ge(folder, 0);
    head = (leat__journal_head){.total = 1000, .part_bytes = 100, .etag = "\"e\"", .modified = "Sat, 21 Nov 2026 19:00:00 GMT"};
    for (size_t i = 0; i < sizeof head.url_sum; i++) head.url_sum[i] = (uint8_t)(i * 7);
}

static void tear_down(void)
{
    close(folder);
    scratch_end();
}

static leat__journal *create(const char *name)
{
    leat_error error;
    leat__journal *journal;
    ck_leat(leat__journal_create(folder, name, &head, &journal, &error));
    return journal;
}

static void add(leat__journal *journal, uint64_t number, uint32_t crc)
{
    leat_error error;
    leat__journal_part part = {number, crc};
    bool sync = number % 2 > 0;
    ck_leat(leat__journal_add(journal, &part, 1, sync, &error));
}

/* What a journal says: a letter for each part, '.' if it is not there, and else 'a' + the CRC's last digit. NULL: nothing. */
static const char *says(const char *name, leat_error *error)
{
    static char text[64];
    leat__journal_head again;
    leat__journal *journal;
    uint32_t *crcs;
    bool *there;
    *error = (leat_error){.code = LEAT_OK};
    if (leat__journal_open(folder, name, &again, &crcs, &there, &journal, error)) {
        ck_assert(!journal && !crcs && !there && error->message[0]);
        return NULL;
    }
    uint64_t parts = leat__journal_parts(&again);
    ck_assert_uint_lt(parts, sizeof text);
    ck_assert_int_eq(memcmp(&again, &head, sizeof head), 0);
    for (uint64_t i = 0; i < parts; i++) text[i] = there[i] ? (char)('a' + crcs[i] % 10) : '.';
    text[parts] = '\0';
    free(crcs);
    free(there);
    leat__journal_close(journal);
    return text;
}

static size_t read_file(const char *name, uint8_t *bytes, size_t capacity)
{
    FILE *file = fopen(at("%s", name), "r");
    ck_assert_ptr_nonnull(file);
    size_t size = fread(bytes, 1, capacity, file);
    fclose(file);
    return size;
}

/* A journal of three parts in bytes[]; its size. */
static size_t three_parts(uint8_t bytes[1024])
{
    leat__journal *journal = create("three");
    add(journal, 2, 3);
    add(journal, 9, 4);
    add(journal, 0, 5);
    leat__journal_close(journal);
    size_t size = read_file("three", bytes, 1024);
    ck_assert_uint_eq(size, HEADER + 3 * RECORD);
    return size;
}

static void put_crc(uint8_t *bytes)
{
    uint32_t crc = htole32(leat__crc32c(0, bytes, AT_CRC));
    memcpy(bytes + AT_CRC, &crc, 4);
}

/* ---- what is written is read ---- */

START_TEST(parts_that_were_noted_are_there)
{
    leat_error error;
    struct stat status;
    leat__journal *journal = create("j");
    ck_assert_str_eq(says("j", &error), "..........");
    add(journal, 3, 1);
    add(journal, 9, 2);
    add(journal, 3, 7); /* fetched again: the last note counts */
    ck_assert_str_eq(says("j", &error), "...h.....c");
    leat__journal_close(journal);
    leat__journal_close(NULL);
    ck_assert_int_eq(stat(at("j"), &status), 0);
    ck_assert_int_eq(status.st_mode & 0777, 0600);
}
END_TEST

START_TEST(the_layout_is_as_documented)
{
    uint8_t bytes[1024];
    three_parts(bytes);
    ck_assert_mem_eq(bytes, "\x89LEJ\r\n\x1a\n\1\0\0\0\x08\1\0\0\xe8\3\0\0\0\0\0\0\x64\0\0\0\0\0\0\0\0\x07\x0e", 35);
    ck_assert_mem_eq(bytes + 64, "\"e\"\0", 4);
    ck_assert_mem_eq(bytes + 192, "Sat, 21", 7);
    ck_assert_mem_eq(bytes + HEADER, "\2\0\0\0\0\0\0\0\3\0\0\0", 12);
    uint32_t head_crc, crc;
    memcpy(&head_crc, bytes + AT_CRC, 4);
    memcpy(&crc, bytes + HEADER + 12, 4);
    ck_assert_uint_eq(le32toh(head_crc), leat__crc32c(0, bytes, AT_CRC));
    ck_assert_uint_eq(le32toh(crc), leat__crc32c(le32toh(head_crc), bytes + HEADER, 12));
}
END_TEST

START_TEST(many_parts_in_one_go)
{
    enum { PARTS = 1000 };
    static leat__journal_part parts[PARTS];
    leat_error error;
    leat__journal *journal;
    leat__journal_head again;
    uint32_t *crcs;
    bool *there;
    head.total = PARTS * head.part_bytes - 1;
    for (uint32_t i = 0; i < PARTS; i++) parts[i] = (leat__journal_part){(i * 7) % PARTS, i};
    journal = create("many");
    ck_leat(leat__journal_add(journal, parts, PARTS, true, &error));
    ck_leat(leat__journal_add(journal, parts, 0, false, &error));
    leat__journal_close(journal);
    ck_leat(leat__journal_open(folder, "many", &again, &crcs, &there, &journal, &error));
    for (uint32_t i = 0; i < PARTS; i++) ck_assert(there[parts[i].number] && crcs[parts[i].number] == i);
    free(crcs);
    free(there);
    leat__journal_close(journal);
}
END_TEST

START_TEST(parts_are_counted)
{
    static const struct {
        uint64_t total, part, parts;
    } rows[] = {{0, 1, 0}, {1, 1, 1}, {1000, 100, 10}, {1001, 100, 11}, {99, 100, 1}, {UINT64_MAX, UINT64_MAX, 1},
                {UINT64_MAX, 2, (UINT64_C(1) << 63)}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        leat__journal_head of = {.total = rows[i].total, .part_bytes = rows[i].part};
        ck_assert_uint_eq(leat__journal_parts(&of), rows[i].parts);
    }
}
END_TEST

START_TEST(a_journal_goes_on_where_it_was_opened)
{
    leat_error error;
    leat__journal_head again;
    leat__journal *journal;
    uint32_t *crcs;
    bool *there;
    uint8_t bytes[1024];
    three_parts(bytes);
    FILE *file = fopen(at("three"), "a");
    fputs("half a rec", file); /* a crash while it was written */
    fclose(file);
    ck_leat(leat__journal_open(folder, "three", &again, &crcs, &there, &journal, &error));
    add(journal, 1, 6);
    leat__journal_close(journal);
    free(crcs);
    free(there);
    ck_assert_uint_eq(read_file("three", bytes, sizeof bytes), HEADER + 4 * RECORD);
    ck_assert_str_eq(says("three", &error), "fg" "d......e");
}
END_TEST

/* ---- damage ---- */

START_TEST(every_cut_leaves_what_is_before_it)
{
    static const char *const expected[] = {"..........", "..d.......", "..d......e", "f.d......e"};
    uint8_t bytes[1024];
    leat_error error;
    size_t size = three_parts(bytes);
    for (size_t cut = 0; cut <= size; cut++) {
        write_file(at("cut"), bytes, cut);
        const char *text = says("cut", &error);
        if (cut < HEADER) ck_assert(!text && error.code == LEAT_ECORRUPT);
        else ck_assert_str_eq(text, expected[(cut - HEADER) / RECORD]);
    }
}
END_TEST

START_TEST(no_flipped_bit_is_believed)
{
    static const char *const before[] = {"..........", "..d.......", "..d......e"};
    uint8_t bytes[1024];
    leat_error error;
    size_t size = three_parts(bytes);
    for (size_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        write_file(at("flipped"), bytes, size);
        const char *text = says("flipped", &error);
        if (bit / 8 < HEADER) ck_assert(!text && error.code == LEAT_ECORRUPT);
        else ck_assert_str_eq(text, before[(bit / 8 - HEADER) / RECORD]);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

START_TEST(zeroes_are_no_records)
{
    uint8_t bytes[1024];
    leat_error error;
    size_t size = three_parts(bytes);
    memset(bytes + HEADER + RECORD, 0, size - HEADER - RECORD);
    write_file(at("zeroed"), bytes, size);
    ck_assert_str_eq(says("zeroed", &error), "..d.......");
    memset(bytes, 0, size);
    write_file(at("zeroed"), bytes, size);
    ck_assert_ptr_null(says("zeroed", &error));
}
END_TEST

START_TEST(records_of_another_journal_are_not_taken)
{
    uint8_t mine[1024], other[1024];
    leat_error error;
    size_t size = three_parts(mine);
    leat__journal_head before = head;
    head.etag[1] = 'f'; /* the same file, in another version */
    leat__journal *journal = create("other");
    add(journal, 5, 5);
    leat__journal_close(journal);
    head = before;
    read_file("other", other, sizeof other);
    memcpy(mine + HEADER + RECORD, other + HEADER, RECORD);
    write_file(at("mixed"), mine, size);
    ck_assert_str_eq(says("mixed", &error), "..d.......");
}
END_TEST

START_TEST(headers_that_cannot_be_are_refused)
{
    static const struct {
        size_t at;
        const char *bytes;
        size_t size;
    } changes[] = {
        {0, "x", 1},     {8, "\2", 1},   {12, "\0", 1},  {16, "\xff\xff\xff\xff\xff\xff\xff\xff", 8}, {24, "\0", 1}, {65, "\n", 1},
        {65, "\x7f", 1}, {100, "x", 1}, {192, "\r", 1}, {255, "x", 1}, {256, "\1", 1},
    };
    uint8_t bytes[1024];
    leat_error error;
    size_t size = three_parts(bytes);
    memcpy(bytes + changes[_i].at, changes[_i].bytes, changes[_i].size);
    put_crc(bytes);
    write_file(at("odd"), bytes, size);
    ck_assert_msg(!says("odd", &error) && error.code == LEAT_ECORRUPT, "change %d", _i);
    ck_assert_ptr_nonnull(strstr(error.message, "the journal 'odd' is of no use: it"));
}
END_TEST

START_TEST(an_etag_without_its_end_is_refused)
{
    uint8_t bytes[1024];
    leat_error error;
    size_t size = three_parts(bytes);
    memset(bytes + 64, 'x', 128);
    put_crc(bytes);
    write_file(at("long"), bytes, size);
    ck_assert_ptr_null(says("long", &error));
}
END_TEST

START_TEST(a_record_beyond_the_last_part_is_the_end)
{
    uint8_t bytes[1024];
    leat_error error;
    uint32_t crc;
    size_t size = three_parts(bytes);
    bytes[HEADER + RECORD] = 10; /* parts are 0 to 9 */
    memcpy(&crc, bytes + AT_CRC, 4);
    crc = htole32(leat__crc32c(le32toh(crc), bytes + HEADER + RECORD, 12));
    memcpy(bytes + HEADER + RECORD + 12, &crc, 4);
    write_file(at("beyond"), bytes, size);
    ck_assert_str_eq(says("beyond", &error), "..d.......");
}
END_TEST

/* ---- files ---- */

START_TEST(what_is_no_regular_file_is_refused)
{
    uint8_t bytes[1024];
    leat_error error;
    three_parts(bytes);
    ck_assert_int_eq(symlink("three", at("link")), 0);
    ck_assert_int_eq(mkfifo(at("fifo"), 0600), 0);
    ck_assert_int_eq(mkdir(at("dir"), 0700), 0);
    ck_assert_ptr_null(says("link", &error));
    ck_assert_ptr_null(says("fifo", &error));
    ck_assert_int_eq(error.code, LEAT_ECORRUPT);
    ck_assert_ptr_null(says("dir", &error));
    ck_assert_ptr_null(says("none", &error));
    ck_assert_int_eq(error.code, LEAT_ENOTFOUND);
}
END_TEST

START_TEST(a_file_that_is_far_too_large_takes_no_memory)
{
    uint8_t bytes[1024];
    leat_error error;
    struct stat status;
    three_parts(bytes);
    ck_assert_int_eq(truncate(at("three"), (off_t)1 << 40), 0);
    ck_assert_ptr_null(says("three", &error));
    ck_assert_int_eq(error.code, LEAT_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(error.message, "1099511627776 bytes"));
    ck_assert_int_eq(stat(at("three"), &status), 0);
    ck_assert_int_eq(status.st_size, (off_t)1 << 40); /* and is left alone */
}
END_TEST

START_TEST(too_many_parts_are_refused)
{
    leat_error error;
    leat__journal *journal;
    head.total = head.part_bytes * LEAT__JOURNAL_MOST_PARTS + 1;
    ck_assert_int_eq(leat__journal_create(folder, "much", &head, &journal, &error), LEAT_ELIMIT);
    ck_assert_ptr_null(journal);
    head.total--;
    leat__journal_close(create("much"));
    ck_assert_int_eq(leat__journal_create(folder, "much", &head, &journal, &error), LEAT_EEXISTS);
    ck_assert_int_eq(leat__journal_create(folder, "none/much", &head, &journal, &error), LEAT_ENOTFOUND);
}
END_TEST

/* ---- disks ---- */

/* A limit on the file's size cuts a write short, as a full disk does. */
static void write_until_full(void)
{
    leat_error error;
    leat__journal_part parts[4] = {{0, 0}, {1, 1}, {2, 2}, {3, 3}};
    leat__journal *journal;
    MUST(leat__journal_create(folder, "full", &head, &journal, &error) == LEAT_OK);
    MUST(leat__journal_add(journal, parts, 1, false, &error) == LEAT_OK);
    struct rlimit limit = {HEADER + 2 * RECORD + 5, RLIM_INFINITY};
    MUST(signal(SIGXFSZ, SIG_IGN) != SIG_ERR && setrlimit(RLIMIT_FSIZE, &limit) == 0);
    MUST(leat__journal_add(journal, parts + 1, 3, true, &error) != LEAT_OK);
    MUST(strstr(error.message, "cannot write the journal 'full'"));
    limit.rlim_cur = RLIM_INFINITY;
    MUST(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    MUST(leat__journal_add(journal, parts + 3, 1, true, &error) == LEAT_OK);
    leat__journal_close(journal);
}

START_TEST(half_a_record_is_written_over)
{
    leat_error error;
    in_child(write_until_full);
    ck_assert_str_eq(says("full", &error), "a..d......");
}
END_TEST

static void sync_fails(void)
{
    leat_error error;
    leat__journal_part part = {1, 1};
    leat__journal *journal;
    refuse_call(SYS_fdatasync, EIO);
    MUST(leat__journal_create(folder, "sync", &head, &journal, &error) == LEAT_OK);
    MUST(leat__journal_add(journal, &part, 1, false, &error) == LEAT_OK);
    part.number = 2;
    MUST(leat__journal_add(journal, &part, 1, true, &error) == LEAT_EIO && strstr(error.message, "cannot sync"));
    leat__journal_close(journal);
}

static void disk_is_full(void)
{
    leat_error error;
    leat__journal *journal;
    refuse_call(SYS_pwrite64, ENOSPC);
    MUST(leat__journal_create(folder, "new", &head, &journal, &error) == LEAT_EDISK && !journal);
    MUST(strstr(error.message, "No space left on device"));
}

START_TEST(errors_of_the_disk_are_told)
{
    leat_error error;
    in_child(sync_fails);
    ck_assert_str_eq(says("sync", &error), ".b........");
    in_child(disk_is_full);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("journal");
    TCase *tests = tcase_create("journal");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, parts_that_were_noted_are_there);
    tcase_add_test(tests, the_layout_is_as_documented);
    tcase_add_test(tests, many_parts_in_one_go);
    tcase_add_test(tests, parts_are_counted);
    tcase_add_test(tests, a_journal_goes_on_where_it_was_opened);
    tcase_add_test(tests, every_cut_leaves_what_is_before_it);
    tcase_add_test(tests, no_flipped_bit_is_believed);
    tcase_add_test(tests, zeroes_are_no_records);
    tcase_add_test(tests, records_of_another_journal_are_not_taken);
    tcase_add_loop_test(tests, headers_that_cannot_be_are_refused, 0, 11);
    tcase_add_test(tests, an_etag_without_its_end_is_refused);
    tcase_add_test(tests, a_record_beyond_the_last_part_is_the_end);
    tcase_add_test(tests, what_is_no_regular_file_is_refused);
    tcase_add_test(tests, a_file_that_is_far_too_large_takes_no_memory);
    tcase_add_test(tests, too_many_parts_are_refused);
    tcase_add_test(tests, half_a_record_is_written_over);
    tcase_add_test(tests, errors_of_the_disk_are_told);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
