/* Tests of store/cachedir.c, cachelook.c, cachequota.c and loader/cache.c: the folder of the cache; several processes in it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "loading.h"
#include "store/cachedir.h"

enum { BLOCK = LEAT__CACHE_BLOCK, TOTAL = 3 * BLOCK + 100, URLS = 12, PROCESSES = 4 };

static leat_error error;
static leat__cachefile file;
static leat__cachewriter part;
static bool damaged;

/* In a forked child an assertion of Check's would go on with the parent's tests. */
#define child_assert(condition) \
    do { \
        if (condition) break; \
        fprintf(stderr, "%s:%d: child: %s: %s\n", __FILE__, __LINE__, #condition, error.message); \
        _exit(1); \
    } while (0)

static void setup(void)
{
    scratch_begin();
    file.fd = part.file.fd = -1;
}

static void teardown(void)
{
    leat__cachefile_close(&file);
    leat__cachefile_close(&part.file);
    scratch_end();
}

static leat__cachedir *open_cache(uint64_t limit)
{
    leat__cachedir *dir;
    ck_leat(leat__cachedir_open(at("cache"), true, limit, leat__env_real(), &dir, &error));
    return dir;
}

static leat__cachekey key_of(unsigned n)
{
    char url[64];
    leat__cachekey key;
    snprintf(url, sizeof url, "http://host/%u.tar", n);
    ck_assert(leat__cachekey_of(url, &key));
    return key;
}

/* Byte i of object n. */
static uint8_t byte_of(unsigned n, uint64_t i)
{
    return (uint8_t)(n * 31 + i * 7 + (i >> 8) * 13 + (i >> 16));
}

static leat_code add_up_to(unsigned n, leat__cachewriter *writer, uint64_t to)
{
    leat_code code = LEAT_OK;
    while (!code && writer->have < to) {
        uint8_t piece[5000];
        size_t size = to - writer->have < sizeof piece ? (size_t)(to - writer->have) : sizeof piece;
        for (size_t i = 0; i < size; i++) piece[i] = byte_of(n, writer->have + i);
        code = leat__cachewriter_add(writer, piece, size, &error);
    }
    return code;
}

static leat__cachelook look(leat__cachedir *dir, unsigned n, bool may_fill)
{
    leat__cachekey key = key_of(n);
    leat__cachefile_close(&file);
    return leat__cachedir_look(dir, &key, may_fill, &file, &part, &damaged);
}

static leat_code begin(leat__cachedir *dir, unsigned n, uint64_t total)
{
    leat__cachekey key = key_of(n);
    leat__cachehead head = {.total = total, .etag = "\"e\""};
    snprintf(head.url, sizeof head.url, "http://host/%u.tar", n);
    memcpy(head.key, key.sum, sizeof head.key);
    return leat__cachedir_begin(dir, &key, &head, &part, &error);
}

static void publish(leat__cachedir *dir, unsigned n)
{
    leat__cachekey key = key_of(n);
    ck_leat(leat__cachedir_publish(dir, &key, &part, &error));
}

/* Claims and fills object n. False: there was no room. */
static bool fill(leat__cachedir *dir, unsigned n, uint64_t total)
{
    leat__cachekey key = key_of(n);
    ck_assert_int_eq(look(dir, n, true), LEAT__CACHE_FILL);
    ck_assert_int_eq(part.file.fd, -1);
    if (begin(dir, n, total)) {
        leat__cachedir_release(dir, &key);
        return false;
    }
    ck_leat(add_up_to(n, &part, total));
    publish(dir, n);
    return true;
}

/* Whether the open file has object n, up to what is there. */
static bool is_right(unsigned n, uint64_t total)
{
    uint8_t *data = malloc(total + 1);
    bool right = leat__cachefile_read(&file, 0, data, total, &error) == LEAT_OK;
    for (uint64_t i = 0; right && i < total; i++) right = data[i] == byte_of(n, i);
    free(data);
    return right;
}

static bool is_there(leat__cachedir *dir, unsigned n)
{
    bool there = look(dir, n, false) == LEAT__CACHE_OPEN;
    leat__cachefile_close(&file);
    return there;
}

static const char *path_of(unsigned n)
{
    leat__cachekey key = key_of(n);
    return at("cache/v1/%.2s/%s", key.hex, key.hex);
}

/* The last use of an entry is so many seconds ago. */
static void age(unsigned n, unsigned seconds)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct timespec times[2] = {{.tv_sec = now.tv_sec - seconds}, {.tv_sec = now.tv_sec - seconds}};
    ck_assert_int_eq(utimensat(AT_FDCWD, path_of(n), times, 0), 0);
}

static uint64_t disk_bytes(leat__cachedir *dir)
{
    leat__cachelist list;
    ck_leat(leat__cachedir_list(dir, &list, &error));
    uint64_t bytes = list.disk_bytes;
    leat__cachelist_free(&list);
    return bytes;
}

/* ---- an entry's way ---- */

START_TEST(an_entry_is_filled_once_and_found_again)
{
    leat__cachedir *dir = open_cache(1 << 30), *other = open_cache(1 << 30);
    ck_assert_int_eq(look(dir, 1, false), LEAT__CACHE_WAIT);
    ck_assert_int_eq(look(dir, 1, true), LEAT__CACHE_FILL);
    leat__cachewriter mine = part;
    ck_assert_int_eq(look(other, 1, true), LEAT__CACHE_WAIT); /* no file yet */
    ck_assert_int_eq(look(dir, 1, true), LEAT__CACHE_WAIT);   /* nor is it filled twice by one process */
    part = mine;
    ck_leat(begin(dir, 1, TOTAL));
    mine = part;
    ck_leat(add_up_to(1, &mine, 70000));
    ck_assert_int_eq(look(other, 1, true), LEAT__CACHE_OPEN);
    ck_assert(!file.head.whole);
    ck_assert_uint_eq(leat__cachefile_have(&file), 70000);
    ck_assert(is_right(1, 70000));
    ck_leat(add_up_to(1, &mine, TOTAL));
    ck_assert(is_right(1, TOTAL)); /* the same descriptor follows */
    part = mine;
    publish(dir, 1);
    leat__cachefile_refresh(&file);
    ck_assert(file.head.whole);
    ck_assert_int_eq(look(other, 1, true), LEAT__CACHE_OPEN);
    ck_assert(file.head.whole);
    ck_assert(is_right(1, TOTAL));
    leat__cachedir_close(other);
    leat__cachedir_close(dir);
    dir = open_cache(1 << 30);
    ck_assert(is_there(dir, 1));
    leat__cachedir_close(dir);
}
END_TEST

START_TEST(what_is_given_up_leaves_nothing)
{
    leat__cachedir *dir = open_cache(1 << 30);
    leat__cachekey key = key_of(1);
    ck_assert_int_eq(look(dir, 1, true), LEAT__CACHE_FILL);
    ck_leat(begin(dir, 1, TOTAL));
    leat__cachedir_discard(dir, &part);
    leat__cachedir_release(dir, &key);
    ck_assert_uint_eq(disk_bytes(dir), 0);
    ck_assert(fill(dir, 1, TOTAL));
    leat__cachedir_close(dir);
    ck_assert_int_ne(access(at("cache/v1/claims"), F_OK), 0);
    ck_assert_int_ne(access(at("cache/v1/owners"), F_OK), 0);
}
END_TEST

START_TEST(a_closed_one_is_gone_on_with)
{
    leat__cachedir *dir = open_cache(1 << 30);
    ck_assert_int_eq(look(dir, 1, true), LEAT__CACHE_FILL);
    ck_leat(begin(dir, 1, TOTAL));
    ck_leat(add_up_to(1, &part, 2 * BLOCK + 10));
    leat__cachekey key = key_of(1);
    leat__cachedir_leave(dir, &key, &part);
    leat__cachedir_close(dir);
    dir = open_cache(1 << 30);
    ck_assert_int_eq(look(dir, 1, true), LEAT__CACHE_FILL);
    ck_assert_int_ge(part.file.fd, 0);
    for (bool done = false; !done;) ck_leat(leat__cachewriter_check(&part, &done, &error));
    ck_assert_uint_eq(part.have, 2 * BLOCK);
    leat__cachewriter mine = part;
    ck_assert_int_eq(look(dir, 1, false), LEAT__CACHE_WAIT); /* nobody follows what may be outdated */
    ck_leat(leat__cachedir_confirm(dir, &key, &mine, &error));
    ck_assert_int_eq(look(dir, 1, false), LEAT__CACHE_OPEN);
    part = mine;
    ck_leat(add_up_to(1, &part, TOTAL));
    publish(dir, 1);
    ck_assert_int_eq(look(dir, 1, false), LEAT__CACHE_OPEN);
    ck_assert(is_right(1, TOTAL));
    leat__cachedir_close(dir);
}
END_TEST

START_TEST(an_object_without_validators_is_begun_anew)
{
    leat__cachedir *dir = open_cache(1 << 30);
    ck_assert_int_eq(look(dir, 1, true), LEAT__CACHE_FILL);
    leat__cachekey key = key_of(1);
    leat__cachehead head = {.total = TOTAL};
    memcpy(head.key, key.sum, sizeof head.key);
    ck_leat(leat__cachedir_begin(dir, &key, &head, &part, &error));
    ck_leat(add_up_to(1, &part, BLOCK));
    leat__cachedir_leave(dir, &key, &part);
    leat__cachedir_close(dir);
    dir = open_cache(1 << 30);
    ck_assert_int_eq(look(dir, 1, true), LEAT__CACHE_FILL);
    ck_assert_int_eq(part.file.fd, -1);
    ck_assert_uint_eq(disk_bytes(dir), 0);
    leat__cachedir_close(dir);
}
END_TEST

/* ---- room ---- */

static uint64_t room_for(unsigned count)
{
    return count * ((leat__cachefile_bytes(TOTAL) + 4095) / 4096 * 4096);
}

START_TEST(the_least_recently_used_go_first)
{
    leat__cachedir *dir = open_cache(room_for(3));
    for (unsigned n = 0; n < 3; n++) {
        ck_assert(fill(dir, n, TOTAL));
        age(n, 100 - n);
    }
    ck_assert(is_there(dir, 0)); /* which uses it: now it is the latest */
    ck_assert(fill(dir, 3, TOTAL));
    ck_assert(is_there(dir, 0) && !is_there(dir, 1) && is_there(dir, 2) && is_there(dir, 3));
    ck_assert_uint_le(disk_bytes(dir), room_for(3));
    leat__cachedir_close(dir);
}
END_TEST

START_TEST(what_is_in_use_never_goes)
{
    leat__cachedir *dir = open_cache(room_for(2));
    for (unsigned n = 0; n < 2; n++) {
        ck_assert(fill(dir, n, TOTAL));
        age(n, 100 - n);
    }
    ck_assert_int_eq(look(dir, 0, false), LEAT__CACHE_OPEN);
    leat__cachefile held = file;
    file.fd = -1;
    age(0, 200);
    ck_assert(fill(dir, 2, TOTAL));
    ck_assert(is_there(dir, 0) && !is_there(dir, 1) && is_there(dir, 2));
    ck_assert_int_eq(look(dir, 2, false), LEAT__CACHE_OPEN);
    leat__cachefile second = file;
    file.fd = -1;
    ck_assert(!fill(dir, 3, TOTAL)); /* both are in use */
    ck_assert_int_eq(error.code, LEAT_EDISK);
    leat__cachefile_close(&held);
    ck_assert(fill(dir, 3, TOTAL));
    leat__cachefile_close(&second);
    leat__cachedir_close(dir);
}
END_TEST

START_TEST(what_grows_counts_with_its_whole_size)
{
    leat__cachedir *dir = open_cache(room_for(2) - 1);
    ck_assert_int_eq(look(dir, 0, true), LEAT__CACHE_FILL);
    ck_leat(begin(dir, 0, TOTAL));
    leat__cachewriter first = part;
    ck_assert_uint_ge(disk_bytes(dir), leat__cachefile_bytes(TOTAL));
    part.file.fd = -1;
    ck_assert(!fill(dir, 1, TOTAL));
    ck_assert(fill(dir, 2, TOTAL / 2));
    leat__cachefile_close(&first.file);
    leat__cachedir_close(dir);
}
END_TEST

START_TEST(too_small_a_limit_is_said_with_both_numbers)
{
    leat__cachedir *dir = open_cache(100000);
    ck_assert_int_eq(look(dir, 0, true), LEAT__CACHE_FILL);
    ck_assert_int_eq(begin(dir, 0, TOTAL), LEAT_EINVAL);
    char needed[32];
    snprintf(needed, sizeof needed, "%llu", (unsigned long long)leat__cachefile_bytes(TOTAL));
    ck_assert_ptr_nonnull(strstr(error.message, "100000"));
    ck_assert_ptr_nonnull(strstr(error.message, needed));
    leat__cachedir_close(dir);
}
END_TEST

START_TEST(a_limit_of_its_own_leaves_a_tenth)
{
    leat__cachedir *dir = open_cache(0);
    ck_assert_uint_gt(leat__cachedir_limit(dir), 0);
    ck_assert_int_eq(leat__cachedir_admits(dir, INT64_MAX / 4, "x", &error), LEAT_OK); /* streams, and is no error */
    leat__cachedir_close(dir);
}
END_TEST

/* ---- damage and strangers ---- */

START_TEST(whatever_lies_under_an_entrys_name_is_put_aside)
{
    leat__cachedir *dir = open_cache(1 << 30);
    ck_assert(fill(dir, 0, TOTAL));
    if (_i == 0) ck_assert_int_eq(truncate(path_of(0), 5000), 0);
    else unlink(path_of(0));
    if (_i == 1) ck_assert_int_eq(mkdir(path_of(0), 0700), 0);
    if (_i == 2) ck_assert_int_eq(mkfifo(path_of(0), 0600), 0);
    if (_i == 3) ck_assert_int_eq(symlink("/etc/passwd", path_of(0)), 0);
    if (_i == 4) write_text(path_of(0), "<html>");
    ck_assert_int_eq(look(dir, 0, true), LEAT__CACHE_FILL);
    ck_assert(damaged);
    ck_assert_int_eq(begin(dir, 0, TOTAL), LEAT_OK);
    ck_leat(add_up_to(0, &part, TOTAL));
    publish(dir, 0);
    ck_assert_int_eq(look(dir, 0, true), LEAT__CACHE_OPEN);
    ck_assert(!damaged);
    ck_assert(is_right(0, TOTAL));
    leat__cachedir_close(dir);
}
END_TEST

START_TEST(a_reader_puts_aside_only_what_it_has_read)
{
    leat__cachedir *dir = open_cache(1 << 30);
    leat__cachekey key = key_of(0);
    ck_assert(fill(dir, 0, TOTAL));
    ck_assert_int_eq(look(dir, 0, false), LEAT__CACHE_OPEN);
    leat__cachefile old = file;
    file.fd = -1;
    leat__cachedir_put_aside(dir, &key, &old);
    ck_assert(!is_there(dir, 0));
    ck_assert(fill(dir, 0, TOTAL));
    leat__cachedir_put_aside(dir, &key, &old); /* another one has its name by now */
    ck_assert(is_there(dir, 0));
    leat__cachefile_close(&old);
    leat__cachedir_close(dir);
}
END_TEST

START_TEST(a_folder_of_others_is_refused)
{
    leat__cachedir *dir;
    ck_assert_int_eq(leat__cachedir_open(at("none"), false, 1, leat__env_real(), &dir, &error), LEAT_ENOTFOUND);
    mkdir(at("plain"), 0700);
    ck_assert_int_eq(leat__cachedir_open(at("plain"), false, 1, leat__env_real(), &dir, &error), LEAT_ENOTFOUND);
    mkdir(at("open"), 0700);
    chmod(at("open"), 0777);
    ck_assert_int_eq(leat__cachedir_open(at("open"), true, 1, leat__env_real(), &dir, &error), LEAT_EACCESS);
    chmod(at("open"), 01777);
    ck_assert_int_eq(leat__cachedir_open(at("open"), true, 1, leat__env_real(), &dir, &error), LEAT_OK);
    leat__cachedir_close(dir);
    if (geteuid() != 0) return;
    mkdir(at("theirs"), 0700);
    ck_assert_int_eq(chown(at("theirs"), 1, 1), 0);
    ck_assert_int_eq(leat__cachedir_open(at("theirs"), true, 1, leat__env_real(), &dir, &error), LEAT_EACCESS);
}
END_TEST

/* ---- several processes ---- */

/* Gets object n: reads it, follows it, or fills it. Returns whether it was filled here. */
static bool get(leat__cachedir *dir, unsigned n)
{
    for (;;) {
        leat__cachelook found = look(dir, n, true);
        if (found == LEAT__CACHE_OPEN) {
            uint64_t have = leat__cachefile_have(&file);
            child_assert(is_right(n, have));
            if (have == TOTAL) return false;
        }
        if (found == LEAT__CACHE_FILL) {
            if (part.file.fd < 0) child_assert(!begin(dir, n, TOTAL));
            else for (bool done = false; !done;) child_assert(!leat__cachewriter_check(&part, &done, &error));
            leat__cachekey key = key_of(n);
            child_assert(!leat__cachedir_confirm(dir, &key, &part, &error));
            child_assert(!add_up_to(n, &part, TOTAL));
            child_assert(!leat__cachedir_publish(dir, &key, &part, &error));
            return true;
        }
        child_assert(found != LEAT__CACHE_NONE);
        usleep(500);
    }
}

/* Every object, in an order of the process's own; a letter for each that is filled goes to the pipe. */
static void be_a_reader(unsigned number, uint64_t limit, int pipe_fd)
{
    leat__cachedir *dir = open_cache(limit);
    for (unsigned i = 0; i < URLS; i++) {
        unsigned n = (i * 5 + number) % URLS;
        char letter = (char)('a' + n);
        if (get(dir, n)) child_assert(write(pipe_fd, &letter, 1) == 1);
    }
    leat__cachefile_close(&file);
    leat__cachedir_close(dir);
    _exit(0);
}

static size_t run_readers(uint64_t limit, char *letters, size_t capacity)
{
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    for (unsigned i = 0; i < PROCESSES; i++)
        if (fork() == 0) be_a_reader(i, limit, fds[1]);
    close(fds[1]);
    size_t count = 0;
    for (ssize_t n; (n = read(fds[0], letters + count, capacity - count)) > 0;) count += (size_t)n;
    close(fds[0]);
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status;
        wait(&status);
        ck_assert_int_eq(status, 0);
    }
    return count;
}

START_TEST(each_object_is_filled_by_one_of_four_processes)
{
    char letters[URLS * PROCESSES + 1] = "", seen[URLS] = "";
    size_t count = run_readers(1 << 30, letters, sizeof letters);
    ck_assert_uint_eq(count, URLS);
    for (size_t i = 0; i < count; i++) ck_assert_int_eq(seen[letters[i] - 'a']++, 0);
}
END_TEST

START_TEST(a_killed_process_is_inherited_from)
{
    for (unsigned round = 0; round < 20; round++) {
        pid_t child = fork();
        if (child == 0) {
            leat__cachedir *dir = open_cache(1 << 30);
            for (unsigned n = 0; n < URLS; n++) get(dir, n);
            pause();
        }
        usleep(round * 731);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        leat__cachedir *dir = open_cache(1 << 30);
        for (unsigned n = 0; n < URLS; n++) get(dir, n);
        for (unsigned n = 0; n < URLS; n++) ck_assert(!get(dir, n));
        leat__cachefile_close(&file);
        leat__cachedir_close(dir);
        leat_cache_result result;
        ck_leat(leat_cache_list(at("cache"), NULL, NULL, &result, &error));
        ck_assert_uint_eq(result.entries, URLS); /* nothing was left lying about */
        ck_leat(leat_cache_remove(at("cache"), "*", NULL, NULL, &result, &error));
        ck_assert_uint_eq(result.removed, URLS);
    }
}
END_TEST

START_TEST(gc_clears_away_what_a_killed_process_left)
{
    leat_cache_result result;
    pid_t child = fork();
    if (child == 0) {
        leat__cachedir *dir = open_cache(1 << 30);
        if (look(dir, 1, true) != LEAT__CACHE_FILL || begin(dir, 1, TOTAL) || add_up_to(1, &part, BLOCK)) _exit(1);
        if (look(dir, 2, true) != LEAT__CACHE_FILL) _exit(1); /* killed before its file */
        _exit(0);
    }
    waitpid(child, NULL, 0);
    ck_leat(leat_cache_list(at("cache"), NULL, NULL, &result, &error));
    ck_assert_uint_eq(result.entries, 1);
    ck_leat(leat_cache_gc(at("cache"), UINT64_MAX, true, NULL, NULL, &result, &error));
    ck_assert_uint_eq(result.removed, 1);
    ck_leat(leat_cache_gc(at("cache"), UINT64_MAX, false, NULL, NULL, &result, &error));
    ck_assert_uint_eq(result.removed, 1);
    ck_assert_int_ne(access(at("cache/v1/claims"), F_OK), 0);
    ck_assert_int_ne(access(at("cache/v1/owners"), F_OK), 0);
}
END_TEST

/* ---- the public interface ---- */

typedef struct told {
    char urls[512];
    unsigned count, in_use, bad;
} told;

static void on_entry(void *user, const leat_cache_entry *entry)
{
    told *t = user;
    t->count++;
    t->in_use += entry->in_use;
    t->bad += entry->state == LEAT_CACHE_BAD;
    strcat(t->urls, entry->url);
    strcat(t->urls, " ");
}

static leat__cachedir *with_entries(unsigned count)
{
    leat__cachedir *dir = open_cache(1 << 30);
    for (unsigned n = 0; n < count; n++) {
        ck_assert(fill(dir, n, TOTAL));
        age(n, 100 - n);
    }
    return dir;
}

START_TEST(list_names_the_least_recently_used_first)
{
    leat__cachedir *dir = with_entries(3);
    told t = {0};
    leat_cache_result result;
    ck_assert_int_eq(look(dir, 1, false), LEAT__CACHE_OPEN);
    ck_leat(leat_cache_list(at("cache"), on_entry, &t, &result, &error));
    ck_assert_str_eq(t.urls, "http://host/0.tar http://host/2.tar http://host/1.tar ");
    ck_assert_uint_eq(t.in_use, 1);
    ck_assert_uint_eq(result.entries, 3);
    ck_assert_uint_eq(result.bytes, disk_bytes(dir));
    leat__cachedir_close(dir);
    ck_assert_int_eq(leat_cache_list(at("none"), NULL, NULL, NULL, &error), LEAT_ENOTFOUND);
}
END_TEST

START_TEST(verify_finds_a_flipped_byte_and_puts_it_aside)
{
    leat__cachedir *dir = with_entries(3);
    told t = {0};
    leat_cache_result result;
    FILE *stream = fopen(path_of(1), "r+");
    fseek(stream, (long)leat__cachefile_data_at(TOTAL) + TOTAL - 1, SEEK_SET);
    fputc(byte_of(1, TOTAL - 1) ^ 1, stream);
    fclose(stream);
    unlink(path_of(2));
    mkdir(path_of(2), 0700);
    ck_leat(leat_cache_verify(at("cache"), on_entry, &t, &result, &error));
    ck_assert_uint_eq(result.bad, 2);
    ck_assert_uint_eq(result.entries, 1);
    ck_assert_uint_eq(t.bad, 2);
    ck_assert_ptr_nonnull(strstr(t.urls, "http://host/1.tar"));
    ck_leat(leat_cache_verify(at("cache"), NULL, NULL, &result, &error));
    ck_assert_uint_eq(result.bad, 0);
    ck_assert_uint_eq(result.entries, 3); /* the two in bad/ are still there */
    ck_leat(leat_cache_gc(at("cache"), UINT64_MAX, false, NULL, NULL, &result, &error));
    ck_assert_uint_eq(result.removed, 2);
    ck_assert_uint_eq(result.entries, 1);
    leat__cachedir_close(dir);
}
END_TEST

START_TEST(gc_removes_the_least_recently_used)
{
    leat__cachedir *dir = with_entries(4);
    told t = {0};
    leat_cache_result result;
    ck_assert_int_eq(look(dir, 0, false), LEAT__CACHE_OPEN);
    age(0, 500);
    ck_leat(leat_cache_gc(at("cache"), room_for(2), true, NULL, NULL, &result, &error));
    ck_assert_uint_eq(result.removed, 2);
    ck_leat(leat_cache_gc(at("cache"), room_for(2), false, on_entry, &t, &result, &error));
    ck_assert_str_eq(t.urls, "http://host/1.tar http://host/2.tar ");
    ck_assert_uint_eq(result.entries, 2);
    ck_assert_uint_le(result.bytes, room_for(2));
    ck_leat(leat_cache_gc(at("cache"), 0, false, NULL, NULL, &result, &error));
    ck_assert_uint_eq(result.entries, 1); /* in use */
    leat__cachedir_close(dir);
}
END_TEST

START_TEST(remove_goes_by_url)
{
    leat__cachedir *dir = with_entries(3);
    leat_cache_result result;
    ck_leat(leat_cache_remove(at("cache"), "*/1.tar", NULL, NULL, &result, &error));
    ck_assert_uint_eq(result.removed, 1);
    ck_assert(is_there(dir, 0) && !is_there(dir, 1) && is_there(dir, 2));
    ck_leat(leat_cache_remove(at("cache"), "ftp*", NULL, NULL, &result, &error));
    ck_assert_uint_eq(result.removed, 0);
    ck_leat(leat_cache_remove(at("cache"), "*", NULL, NULL, &result, &error));
    ck_assert_uint_eq(result.removed, 2);
    ck_assert_uint_eq(disk_bytes(dir), 0);
    leat__cachedir_close(dir);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cachedir");
    TCase *tests = tcase_create("cachedir");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, an_entry_is_filled_once_and_found_again);
    tcase_add_test(tests, what_is_given_up_leaves_nothing);
    tcase_add_test(tests, a_closed_one_is_gone_on_with);
    tcase_add_test(tests, an_object_without_validators_is_begun_anew);
    tcase_add_test(tests, the_least_recently_used_go_first);
    tcase_add_test(tests, what_is_in_use_never_goes);
    tcase_add_test(tests, what_grows_counts_with_its_whole_size);
    tcase_add_test(tests, too_small_a_limit_is_said_with_both_numbers);
    tcase_add_test(tests, a_limit_of_its_own_leaves_a_tenth);
    tcase_add_loop_test(tests, whatever_lies_under_an_entrys_name_is_put_aside, 0, 5);
    tcase_add_test(tests, a_reader_puts_aside_only_what_it_has_read);
    tcase_add_test(tests, a_folder_of_others_is_refused);
    tcase_add_test(tests, each_object_is_filled_by_one_of_four_processes);
    tcase_add_test(tests, a_killed_process_is_inherited_from);
    tcase_add_test(tests, gc_clears_away_what_a_killed_process_left);
    tcase_add_test(tests, list_names_the_least_recently_used_first);
    tcase_add_test(tests, verify_finds_a_flipped_byte_and_puts_it_aside);
    tcase_add_test(tests, gc_removes_the_least_recently_used);
    tcase_add_test(tests, remove_goes_by_url);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
