/* test_regressions.c - bugs that were there once, each named after its symptom.
 *
 * Most are loaders that waited for ever: a lane's share of memory_limit was full of what nobody could let go of. Each test makes
 * the data that did it, on disk or behind a small server of its own, and asks for the whole epoch within a time. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <leat/leat.h>

#include "check_main.h"
#include "loader/opening.h"

enum { WAIT_MS = 20000, MB = 1 << 20 }; /* twenty times what a slow machine under a sanitizer needs */

static char folder[64];

static void set_up(void)
{
    strcpy(folder, "/tmp/leat-regressions-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void run(const char *format, const char *argument)
{
    char command[512];
    snprintf(command, sizeof command, format, folder, argument);
    ck_assert_int_eq(system(command), 0);
}

static void tear_down(void)
{
    run("rm -rf '%s'%s", "");
}

/* ---- shards ---- */

static FILE *tar_begin(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *tar = fopen(path, "w");
    ck_assert_ptr_nonnull(tar);
    return tar;
}

/* A ustar file; data NULL: a hole. */
static void tar_add(FILE *tar, const char *name, const void *data, size_t size)
{
    unsigned char block[513] = {0};
    snprintf((char *)block, 100, "%s", name);
    snprintf((char *)block + 100, 8, "0000644");
    snprintf((char *)block + 124, 12, "%011zo", size);
    memset(block + 148, ' ', 8);
    block[156] = '0';
    memcpy(block + 257, "ustar\00000", 8);
    unsigned sum = 0;
    for (int i = 0; i < 512; i++) sum += block[i];
    snprintf((char *)block + 148, 8, "%06o", sum);
    fwrite(block, 512, 1, tar);
    if (data) fwrite(data, size, 1, tar);
    else fseek(tar, (long)size, SEEK_CUR);
    fseek(tar, (long)(-size & 511), SEEK_CUR);
}

static void tar_end(FILE *tar)
{
    static const char zeros[1024];
    fwrite(zeros, sizeof zeros, 1, tar);
    ck_assert_int_eq(fclose(tar), 0);
}

/* s-000000 ... as so many names of one file. */
static void name_often(const char *file, unsigned count, const char *ending)
{
    for (unsigned i = 0; i < count; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/s-%06u.%s", folder, i, ending);
        ck_assert_int_eq(symlink(file, path), 0);
    }
}

/* ---- loading ---- */

static const leat_field fields[] = {
    {.tensor = "label", .names = "cls", .kind = LEAT_FIELD_INT, .optional = true},
    {.tensor = "raw", .names = "bin", .kind = LEAT_FIELD_BYTES, .optional = true},
};

static leat_config small(const char *source)
{
    leat_config config = LEAT_CONFIG_INIT;
    config.source = source;
    config.memory_limit = 32 * MB;
    config.threads = 2;
    config.batch_size = 4;
    config.epochs = 1;
    config.fields = fields;
    config.field_count = 1;
    return config;
}

/* Takes one epoch; each batch has to come in time. Gives the code that ended it. */
static leat_code take_all(leat_loader *loader, size_t *rows, leat_error *error)
{
    leat_batch *batch;
    leat_code code;
    *rows = 0;
    while ((code = leat_next_timeout(loader, WAIT_MS, &batch, error)) == LEAT_OK) {
        *rows += leat_batch_rows(batch);
        leat_release(batch);
    }
    return code;
}

static void expect_rows_in(const leat_config *config, const leat__env *env, size_t wanted)
{
    leat_loader *loader;
    leat_error error = {0};
    ck_assert_msg(leat__open_in(config, env, &loader, &error) == LEAT_OK, "%s", error.message);
    size_t rows;
    leat_code code = take_all(loader, &rows, &error);
    ck_assert_msg(code == LEAT_END, "%s: %s", leat_code_name(code), error.message);
    ck_assert_uint_eq(rows, wanted);
    leat_statistics stats;
    ck_assert_int_eq(leat_stats(loader, &stats), LEAT_OK);
    ck_assert_uint_le(stats.memory_peak, stats.memory_limit);
    leat_close(loader);
}

static void expect_rows(const char *names, uint32_t lanes, uint32_t window, size_t wanted)
{
    char source[256];
    snprintf(source, sizeof source, "%s/%s", folder, names);
    leat_config config = small(source);
    config.lanes = lanes;
    config.shuffle_window = window;
    expect_rows_in(&config, NULL, wanted);
}

/* A window was weighed by its bodies alone; each of these keeps 1024 bytes of its shard for one of its own. */
START_TEST(test_wide_window_of_tiny_samples_hangs)
{
    FILE *tar = tar_begin("all");
    for (unsigned i = 0; i < 2048; i++) {
        char name[32];
        snprintf(name, sizeof name, "%u.cls", i);
        tar_add(tar, name, "7", 1);
    }
    tar_end(tar);
    name_often("all", 16, "tar");
    expect_rows("s-{000000..000015}.tar", 16, 2048, 16 * 2048);
}
END_TEST

/* A sample of one byte keeps its whole chunk, of which the rest is nobody's. */
START_TEST(test_small_samples_between_large_unwanted_files_hang)
{
    FILE *tar = tar_begin("all");
    for (unsigned i = 0; i < 80; i++) {
        char name[32];
        snprintf(name, sizeof name, "%u.cls", i);
        tar_add(tar, "README", NULL, 300000);
        tar_add(tar, name, "7", 1);
    }
    tar_end(tar);
    name_often("all", 16, "tar");
    expect_rows("s-{000000..000015}.tar", 16, 64, 16 * 80);
}
END_TEST

/* Each object's unpacked bytes had a buffer of their own, of a chunk's size. */
START_TEST(test_many_tiny_zstd_shards_hang)
{
    FILE *tar = tar_begin("one");
    tar_add(tar, "a.cls", "7", 1);
    tar_end(tar);
    run("cd '%s' && zstd -q one -o %s", "one.zst");
    name_often("one.zst", 400, "tar.zst");
    expect_rows("s-{000000..000399}.tar.zst", 4, 64, 400);
}
END_TEST

/* Samples that stand for lost shards waited for a window that never filled: all of them were read, and kept, first. */
START_TEST(test_max_errors_is_only_seen_at_the_end_of_the_epoch)
{
    char source[256];
    snprintf(source, sizeof source, "%s/nothing-{000000..004999}.tar", folder);
    leat_config config = small(source);
    config.lanes = 1;
    config.max_errors = 10;
    leat_loader *loader;
    leat_error error;
    size_t rows;
    ck_assert_int_eq(leat_open(&config, &loader, &error), LEAT_OK);
    ck_assert_int_eq(take_all(loader, &rows, &error), LEAT_ETOOMANY);
    leat_statistics stats;
    leat_stats(loader, &stats);
    for (size_t i = 0; i < stats.stage_count; i++)
        if (strcmp(stats.stages[i].name, "fetch") == 0) ck_assert_uint_lt(stats.stages[i].items, 1000);
    leat_close(loader);
}
END_TEST

/* ---- bytes columns ---- */

static uint64_t rows_late(void *user, const char *stage)
{
    (void)user;
    return strcmp(stage, "rows") == 0 ? 1000000 : 0;
}

/* Whether there is room was looked at twice, and the workers took some of it in between: "need more than memory_limit leaves". */
START_TEST(test_bytes_fields_fail_by_chance_when_memory_is_nearly_full)
{
    FILE *tar = tar_begin("s-000000.tar");
    uint8_t *data = calloc(1, 100000);
    for (unsigned i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof name, "%u.bin", i);
        tar_add(tar, name, data, 90000 + i * 30);
    }
    free(data);
    tar_end(tar);
    char source[256];
    snprintf(source, sizeof source, "%s/s-000000.tar", folder);
    leat_config config = small(source);
    config.field_count = 2;
    config.batch_size = 16; /* 1.5 MB of the 2 MB that there are: the next batch runs into the limit */
    leat__env env = *leat__env_real();
    env.delay_ns = rows_late;
    expect_rows_in(&config, &env, 300);
}
END_TEST

/* ---- descriptors ---- */

/* In a process of its own: libuv makes something once for all loops, and aborted if it could not. Its exit status: leat_open's code. */
static int open_with_descriptors(const char *source, rlim_t most)
{
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {most, most};
        setrlimit(RLIMIT_NOFILE, &limit);
        leat_config config = small(source);
        leat_loader *loader;
        leat_error error;
        leat_code code = leat_open(&config, &loader, &error);
        leat_close(loader);
        _exit((int)code);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status), "%lu descriptors: signal %d", (unsigned long)most, WTERMSIG(status));
    return WEXITSTATUS(status);
}

START_TEST(test_too_few_descriptors_abort_the_process)
{
    tar_end(tar_begin("a.tar"));
    char source[128];
    snprintf(source, sizeof source, "%s/a.tar", folder);
    int code = -1;
    for (rlim_t most = 3; most < 200 && code != LEAT_OK; most++) {
        code = open_with_descriptors(source, most);
        ck_assert_msg(code == LEAT_OK || code == LEAT_ESYSTEM, "%lu descriptors: %s", (unsigned long)most, leat_code_name(code));
    }
    ck_assert_int_eq(code, LEAT_OK);
}
END_TEST

/* ---- messages ---- */

static bool is_utf8(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        int more = *c < 0x80 ? 0 : *c >= 0xe0 ? 2 : 1;
        for (; more; more--)
            if ((*++c & 0xc0) != 0x80) return false;
    }
    return true;
}

START_TEST(test_long_shard_name_is_cut_within_a_character)
{
    static const char twenty[] = "\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4";
    for (int shift = 0; shift < 2; shift++) {
        char inner[300], path[600], source[600];
        snprintf(inner, sizeof inner, "%s/%s%s%s%s%s%s%s", folder, shift ? "x" : "", twenty, twenty, twenty, twenty, twenty, twenty);
        ck_assert_int_eq(mkdir(inner, 0755), 0);
        snprintf(path, sizeof path, "%s/%s%s%s%s%s%s-0.tar", inner, twenty, twenty, twenty, twenty, twenty, twenty);
        FILE *empty = fopen(path, "w");
        ck_assert_ptr_nonnull(empty);
        fclose(empty);
        snprintf(source, sizeof source, "%s/%s%s%s%s%s%s-{0..1}.tar", inner, twenty, twenty, twenty, twenty, twenty, twenty);
        leat_config config = small(source);
        leat_loader *loader;
        leat_error error;
        size_t rows;
        ck_assert_int_eq(leat_open(&config, &loader, &error), LEAT_OK);
        ck_assert_int_eq(take_all(loader, &rows, &error), LEAT_END);
        ck_assert_uint_eq(leat_errors(loader, &error, 1), 2);
        leat_close(loader);
        ck_assert_uint_ge(strlen(error.shard), 252); /* it was cut */
        ck_assert(is_utf8(error.shard) && is_utf8(error.message));
    }
}
END_TEST

/* ---- a server that sends little by little ---- */

typedef struct server {
    int listener;
    const uint8_t *body;
    size_t size, sent_before_silence; /* then it says nothing more */
    useconds_t pause;                 /* between pieces of 1000 bytes */
    atomic_bool stop;
    pthread_t thread[9];              /* the first accepts */
    int socket[9];
    unsigned count;
} server;

typedef struct connection {
    server *owner;
    int socket;
} connection;

static void *serve(void *argument)
{
    connection c = *(connection *)argument;
    free(argument);
    char request[4096];
    size_t used = 0;
    ssize_t n;
    while ((n = recv(c.socket, request + used, sizeof request - 1 - used, 0)) > 0) {
        used += (size_t)n;
        request[used] = 0;
        if (!strstr(request, "\r\n\r\n")) continue;
        used = 0;
        char head[200];
        int length = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: %zu\r\n\r\n", c.owner->size);
        send(c.socket, head, (size_t)length, MSG_NOSIGNAL);
        for (size_t at = 0; at < c.owner->sent_before_silence && !atomic_load(&c.owner->stop); at += 1000) {
            size_t rest = c.owner->sent_before_silence - at;
            if (send(c.socket, c.owner->body + at, rest < 1000 ? rest : 1000, MSG_NOSIGNAL) < 0) break;
            usleep(c.owner->pause);
        }
    }
    return NULL;
}

static void *accept_all(void *argument)
{
    server *s = argument;
    int socket;
    while (s->count < 8 && (socket = accept(s->listener, NULL, NULL)) >= 0) {
        connection *c = malloc(sizeof *c);
        *c = (connection){s, socket};
        s->socket[++s->count] = socket;
        ck_assert_int_eq(pthread_create(&s->thread[s->count], NULL, serve, c), 0);
    }
    return NULL;
}

static uint16_t server_start(server *s)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    s->listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(s->listener, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(s->listener, 8), 0);
    ck_assert_int_eq(getsockname(s->listener, (struct sockaddr *)&address, &size), 0);
    ck_assert_int_eq(pthread_create(&s->thread[0], NULL, accept_all, s), 0);
    return ntohs(address.sin_port);
}

static void server_end(server *s)
{
    atomic_store(&s->stop, true);
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread[0], NULL);
    for (unsigned i = 1; i <= s->count; i++) {
        shutdown(s->socket[i], SHUT_RDWR);
        pthread_join(s->thread[i], NULL);
        close(s->socket[i]);
    }
    close(s->listener);
}

/* Every piece that a slow server had sent was handed on in a buffer of a chunk's size, until the lane's memory was full of them. */
START_TEST(test_large_file_from_a_slow_server_hangs)
{
    uint8_t *body = calloc(1, 500000);
    server s = {.body = body, .size = 500000, .sent_before_silence = 500000, .pause = 5000};
    char source[64];
    snprintf(source, sizeof source, "http://127.0.0.1:%u/{0..1}.bin", server_start(&s)); /* two: each has half of the memory */
    leat_config config = small(source);
    config.field_count = 2;
    expect_rows_in(&config, NULL, 2);
    server_end(&s);
    free(body);
}
END_TEST

/* The rest of a shard that nobody wants was waited for, stall time-outs and retries included, before the epoch could end. */
START_TEST(test_limit_waits_for_a_silent_server)
{
    FILE *tar = tar_begin("a.tar");
    for (unsigned i = 0; i < 40; i++) tar_add(tar, i % 2 ? "b.cls" : "a.cls", "7", 1);
    tar_end(tar);
    char path[128];
    snprintf(path, sizeof path, "%s/a.tar", folder);
    tar = fopen(path, "r");
    uint8_t *body = calloc(1, 50000);
    size_t size = fread(body, 1, 50000, tar);
    fclose(tar);
    server s = {.body = body, .size = size, .sent_before_silence = size / 2};
    char source[64];
    snprintf(source, sizeof source, "http://127.0.0.1:%u/a.tar", server_start(&s));
    leat_config config = small(source);
    config.limit = 4;
    config.shuffle_window = 1;
    leat_loader *loader;
    leat_error error;
    leat_batch *batch;
    ck_assert_int_eq(leat_open(&config, &loader, &error), LEAT_OK);
    ck_assert_int_eq(leat_next_timeout(loader, 10000, &batch, &error), LEAT_OK);
    leat_release(batch);
    ck_assert_int_eq(leat_next_timeout(loader, 10000, &batch, &error), LEAT_END); /* not after 30 s */
    leat_close(loader);
    server_end(&s);
    free(body);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("regressions");
    TCase *tests = tcase_create("symptoms");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, test_wide_window_of_tiny_samples_hangs);
    tcase_add_test(tests, test_small_samples_between_large_unwanted_files_hang);
    tcase_add_test(tests, test_many_tiny_zstd_shards_hang);
    tcase_add_test(tests, test_max_errors_is_only_seen_at_the_end_of_the_epoch);
    tcase_add_test(tests, test_bytes_fields_fail_by_chance_when_memory_is_nearly_full);
    tcase_add_test(tests, test_too_few_descriptors_abort_the_process);
    tcase_add_test(tests, test_long_shard_name_is_cut_within_a_character);
    tcase_add_test(tests, test_large_file_from_a_slow_server_hangs);
    tcase_add_test(tests, test_limit_waits_for_a_silent_server);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
