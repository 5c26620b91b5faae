/* test_closing.c - closing in every state, forks, loaders side by side, and a consumer that keeps what it gets. */
#include <arpa/inet.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "loader/opening.h"
#include "loading.h"

static leat_loader *open_loader(const leat_config *config)
{
    leat_loader *loader;
    leat_error error;
    ck_leat(leat_open(config, &loader, &error));
    return loader;
}

/* Of this epoch or, at its end, the next. */
static leat_batch *next_batch(leat_loader *loader)
{
    leat_batch *batch;
    leat_error error = {0};
    leat_code code = leat_next_timeout(loader, 60000, &batch, &error);
    if (code == LEAT_END) code = leat_next_timeout(loader, 60000, &batch, &error);
    ck_assert_msg(code == LEAT_OK, "%s: %s", leat_code_name(code), error.message);
    return batch;
}

/* Closes within a second, and leaves no thread and no descriptor. */
typedef struct before {
    size_t fds, threads;
} before;

static void *do_nothing(void *argument)
{
    return argument;
}

/* From its first loop on libuv keeps two descriptors for the process, and from the first thread on TSan one of its own:
 * they are no loader's. */
static before count_before(void)
{
    uv_loop_t loop;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, do_nothing, NULL), 0);
    pthread_join(thread, NULL);
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    return (before){.fds = count_fds(), .threads = count_threads()};
}

static void close_quickly(leat_loader *loader, before counts)
{
    double begin = seconds_now();
    leat_close(loader);
    ck_assert_double_lt(seconds_now() - begin, SANITIZED ? 4 : 1);
    ck_assert_uint_eq(settle_threads(counts.threads), counts.threads);
    ck_assert_uint_eq(count_fds(), counts.fds);
}

/* ---- a server that stops answering ---- */

typedef struct mute_server {
    int listener, stop;
    uint16_t port;
    const void *body;   /* sent after the headers of a larger one; NULL: not even headers */
    size_t size;
    sem_t reached;      /* posted when a client hears no more */
    int clients[64];
    size_t count;
    pthread_t thread;
} mute_server;

static void send_all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n <= 0) return; /* the client has gone */
        data += n;
        size -= (size_t)n;
    }
}

/* Answers the request with a part of its body. */
static void answer_half(mute_server *server, int client)
{
    char request[4096], headers[128];
    size_t used = 0;
    while (used < sizeof request - 1) {
        ssize_t n = recv(client, request + used, sizeof request - 1 - used, 0);
        if (n <= 0) return;
        used += (size_t)n;
        request[used] = 0;
        if (strstr(request, "\r\n\r\n")) break;
    }
    int n = snprintf(headers, sizeof headers, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nETag: \"x\"\r\n\r\n", server->size + 1000000);
    send_all(client, headers, (size_t)n);
    send_all(client, server->body, server->size);
}

static void *serve(void *argument)
{
    mute_server *server = argument;
    struct pollfd entries[2] = {{.fd = server->stop, .events = POLLIN}, {.fd = server->listener, .events = POLLIN}};
    while (poll(entries, 2, -1) > 0 && !entries[0].revents && server->count < 64) {
        int client = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0) continue;
        server->clients[server->count++] = client;
        if (server->body) answer_half(server, client);
        sem_post(&server->reached);
    }
    return NULL;
}

static void server_start(mute_server *server, const void *body, size_t size)
{
    *server = (mute_server){.body = body, .size = size};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    server->stop = eventfd(0, EFD_CLOEXEC);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(server->listener, 16), 0);
    ck_assert_int_eq(getsockname(server->listener, (struct sockaddr *)&address, &length), 0);
    server->port = ntohs(address.sin_port);
    sem_init(&server->reached, 0, 0);
    ck_assert_int_eq(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_wait(mute_server *server)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 20;
    ck_assert_int_eq(sem_timedwait(&server->reached, &deadline), 0);
}

static void server_end(mute_server *server)
{
    uint64_t one = 1;
    ck_assert_int_eq(write(server->stop, &one, sizeof one), sizeof one);
    pthread_join(server->thread, NULL);
    for (size_t i = 0; i < server->count; i++) close(server->clients[i]);
    close(server->listener);
    close(server->stop);
    sem_destroy(&server->reached);
}

/* ---- states ---- */

static leat_config endless(void)
{
    leat_config config = small_config(make_shards(4, 10));
    config.epochs = 0;
    return config;
}

START_TEST(right_after_open)
{
    leat_config config = endless();
    if (_i % 2) config.source = LEAT_PHOTOS;
    before counts = count_before();
    for (int i = 0; i < 5; i++) close_quickly(open_loader(&config), counts);
}
END_TEST

/* With batches that take long. */
START_TEST(before_the_first_batch)
{
    leat_config config = endless();
    config.batch_size = 20;
    config.image.height = config.image.width = 512;
    before counts = count_before();
    leat_loader *loader = open_loader(&config);
    leat_batch *batch;
    ck_assert_int_eq(leat_try_next(loader, &batch, NULL), LEAT_AGAIN);
    leat_statistics stats = {0};
    while (!stats.bytes_read) ck_assert_int_eq(leat_stats(loader, &stats), LEAT_OK);
    close_quickly(loader, counts);
}
END_TEST

/* Until nothing moves any more: nobody reads. */
static void wait_until_full(leat_loader *loader)
{
    leat_statistics stats = {0};
    uint64_t last = 0;
    int still = 0;
    double deadline = seconds_now() + 30;
    while (still < 10 && seconds_now() < deadline) {
        poll(NULL, 0, 10);
        ck_assert_int_eq(leat_stats(loader, &stats), LEAT_OK);
        uint64_t moved = stats.bytes_read;
        for (size_t i = 0; i < stats.stage_count; i++) moved += stats.stages[i].items;
        still = moved == last && stats.first_batch_ns ? still + 1 : 0;
        last = moved;
    }
    ck_assert_int_eq(still, 10);
}

START_TEST(with_everything_full)
{
    leat_config config = endless();
    if (_i) config.source = LEAT_PHOTOS;
    before counts = count_before();
    leat_loader *loader = open_loader(&config);
    wait_until_full(loader);
    leat_statistics stats;
    ck_assert_int_eq(leat_stats(loader, &stats), LEAT_OK);
    ck_assert_uint_le(stats.memory_peak, stats.memory_limit);
    close_quickly(loader, counts);
}
END_TEST

START_TEST(after_an_error)
{
    leat_config config = endless();
    config.on_error = LEAT_ON_ERROR_STOP;
    config.order = LEAT_ORDER_SEQUENTIAL;
    ck_assert_int_eq(remove(at("train-000002.tar")), 0);
    before counts = count_before();
    leat_loader *loader = open_loader(&config);
    epoch_seen seen = {0};
    leat_error error;
    if (_i == 0) ck_assert_int_eq(see_epoch(loader, &seen, &error), LEAT_ENOTFOUND);
    else wait_until_full(loader);
    epoch_free(&seen);
    close_quickly(loader, counts);
}
END_TEST

START_TEST(after_the_end)
{
    leat_config config = small_config(make_shards(2, 4));
    before counts = count_before();
    leat_loader *loader = open_loader(&config);
    epoch_seen seen = {0};
    ck_assert_int_eq(see_epoch(loader, &seen, NULL), LEAT_END);
    epoch_free(&seen);
    close_quickly(loader, counts);
}
END_TEST

/* Steps that wait for a timer far away. */
static uint64_t long_delay(void *user, const char *stage)
{
    (void)user;
    (void)stage;
    return UINT64_C(100000000000);
}

START_TEST(while_every_step_waits)
{
    leat_config config = endless();
    before counts = count_before();
    rough_world world;
    rough_world_init(&world, 1);
    world.env.delay_ns = long_delay;
    leat_loader *loader;
    leat_error error;
    leat_batch *batch;
    ck_leat(leat__open_in(&config, &world.env, &loader, &error));
    ck_assert_int_eq(leat_next_timeout(loader, 20, &batch, &error), LEAT_AGAIN);
    close_quickly(loader, counts);
}
END_TEST

/* 0: it never answers; 1: it stops in the middle of a shard, with samples delivered; 2: of a loose file. */
START_TEST(in_mid_fetch_from_a_server_that_has_stopped)
{
    mute_server server;
    char source[128];
    make_shards(1, 40);
    FILE *shard = fopen(at("train-000000.tar"), "r");
    uint8_t *body = malloc(400000);
    ck_assert_uint_eq(fread(body, 1, 400000, shard), 400000);
    fclose(shard);
    server_start(&server, _i ? body : NULL, 400000);
    snprintf(source, sizeof source, "http://127.0.0.1:%u/{0..3}.%s", server.port, _i == 2 ? "jpg" : "tar");
    leat_config config = small_config(source);
    config.shuffle_window = 1;
    before counts = count_before();
    leat_loader *loader = open_loader(&config);
    server_wait(&server);
    if (_i == 1) leat_release(next_batch(loader)); /* the first samples come while the end is on its way */
    leat_batch *batch;
    leat_code code;
    while ((code = leat_next_timeout(loader, 50, &batch, NULL)) == LEAT_OK) leat_release(batch);
    ck_assert_int_eq(code, LEAT_AGAIN);
    /* the server's own descriptors of the clients are no leak */
    double begin = seconds_now();
    leat_close(loader);
    ck_assert_double_lt(seconds_now() - begin, SANITIZED ? 4 : 1);
    ck_assert_uint_eq(settle_threads(counts.threads), counts.threads);
    server_end(&server);
    ck_assert_uint_eq(count_fds(), counts.fds - 2);
    free(body);
}
END_TEST

/* Between two attempts at a port that refuses. */
START_TEST(while_it_waits_to_try_again)
{
    mute_server server;
    char source[128];
    server_start(&server, NULL, 0);
    snprintf(source, sizeof source, "http://127.0.0.1:%u/{0..3}.tar", server.port);
    server_end(&server);
    leat_config config = small_config(source);
    config.retries = 100;
    before counts = count_before();
    leat_loader *loader = open_loader(&config);
    leat_statistics stats = {0};
    leat_batch *batch;
    ck_assert_int_eq(leat_next_timeout(loader, 200, &batch, NULL), LEAT_AGAIN);
    ck_assert_int_eq(leat_stats(loader, &stats), LEAT_OK);
    close_quickly(loader, counts);
}
END_TEST

/* ---- a consumer that keeps its batches ---- */

START_TEST(a_consumer_that_holds_all_batches_is_told)
{
    leat_config config = endless();
    config.prefetch = (uint32_t)_i + 1;
    if (_i == 3) { /* one batch is all there is room for */
        config.image.height = config.image.width = 512;
        config.image.dtype = LEAT_FLOAT32;
        config.batch_size = 6;
    }
    before counts = count_before();
    leat_loader *loader = open_loader(&config);
    leat_batch *held[80];
    size_t n = 0;
    leat_code code;
    leat_error error;
    int fd = leat_fd(loader);
    while ((code = leat_next_timeout(loader, 60000, &held[n], &error)) == LEAT_OK || code == LEAT_END) n += code == LEAT_OK;
    ck_assert_int_eq(code, LEAT_ENOMEM);
    ck_assert_uint_eq(n, _i == 3 ? 1 : config.prefetch + 2);
    char expected[256];
    snprintf(expected, sizeof expected, "memory_limit (67.1 MB) has no room for more while the consumer holds %zu: release one "
             "first, or raise memory_limit", n);
    ck_assert_str_eq(error.message, expected);
    ck_assert_int_eq(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0), 1);
    ck_assert_int_eq(leat_try_next(loader, &held[n], &error), LEAT_ENOMEM);
    for (int i = 0; i < 20; i++) { /* it does not stay: not even for a moment */
        leat_release(held[--n]);
        held[n++] = next_batch(loader);
    }
    while (n) leat_release(held[--n]);
    close_quickly(loader, counts);
}
END_TEST

/* The same, one at a time: with room for a single batch, nobody holds too much. */
START_TEST(a_single_batch_is_enough)
{
    leat_config config = small_config(make_shards(4, 10));
    config.image.height = config.image.width = 256;
    config.image.dtype = LEAT_FLOAT32;
    config.batch_size = 24;
    config.epochs = 6;
    rough_world world;
    rough_world_init(&world, (uint64_t)_i);
    leat_loader *loader;
    leat_error error;
    ck_leat(leat__open_in(&config, _i ? &world.env : NULL, &loader, &error));
    for (int epoch = 0; epoch < 6; epoch++) {
        epoch_seen seen = {0};
        leat_code code = see_epoch(loader, &seen, &error);
        ck_assert_msg(code == LEAT_END, "%s: %s", leat_code_name(code), error.message);
        ck_assert_uint_eq(seen.count, 40);
        epoch_free(&seen);
    }
    leat_close(loader);
}
END_TEST

/* ---- again and again ---- */

START_TEST(a_thousand_loaders_leave_nothing)
{
    leat_config config = small_config(make_shards(2, 3));
    config.epochs = 0;
    size_t cycles = SANITIZED ? 50 : 1000, warm = cycles / 5, rss = 0;
    before counts = count_before();
    for (size_t i = 0; i < cycles; i++) {
        leat_loader *loader = open_loader(&config);
        for (size_t k = 0; k < i % 3; k++) {
            leat_batch *batch;
            leat_code code = leat_next(loader, &batch, NULL);
            ck_assert(code == LEAT_OK || code == LEAT_END);
            leat_release(batch);
        }
        leat_close(loader);
        if (i == warm) rss = rss_bytes();
    }
    ck_assert_uint_eq(settle_threads(counts.threads), counts.threads);
    ck_assert_uint_eq(count_fds(), counts.fds);
    if (!SANITIZED) ck_assert_uint_lt(rss_bytes(), rss + (4 << 20));
}
END_TEST

/* ---- processes and threads ---- */

/* What a forked child does with its parent's loader; 0 if every call said what it should. */
static int child_calls(leat_loader *loader)
{
    leat_batch *batch;
    leat_error error, listed[1];
    leat_statistics stats;
    char expected[200];
    if (leat_next(loader, &batch, &error) != LEAT_EFORKED || batch) return 1;
    snprintf(expected, sizeof expected, "this loader belongs to process %ld, its threads are not in this one (%ld): open a loader "
             "after fork", (long)getppid(), (long)getpid());
    if (strcmp(error.message, expected) != 0) return 2;
    if (leat_next_timeout(loader, 1000, &batch, &error) != LEAT_EFORKED) return 3;
    if (leat_try_next(loader, &batch, NULL) != LEAT_EFORKED) return 4;
    if (leat_stats(loader, &stats) != LEAT_EFORKED) return 5;
    if (leat_errors(loader, listed, 1) != 0) return 6;
    if (leat_fd(loader) != -1) return 7;
    leat_close(loader);
    return 0;
}

START_TEST(a_forked_child_is_told)
{
    leat_config config = endless();
    leat_loader *loader = open_loader(&config);
    for (int i = 0; i < 5; i++) {
        leat_batch *batch = next_batch(loader);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) _exit(child_calls(loader));
        int status = 0;
        pid_t ended = 0;
        for (double deadline = seconds_now() + 20; !ended && seconds_now() < deadline; poll(NULL, 0, 5))
            ended = waitpid(child, &status, WNOHANG);
        if (!ended) kill(child, SIGKILL);
        ck_assert_msg(ended == child, "the child hangs");
        ck_assert(WIFEXITED(status));
        ck_assert_int_eq(WEXITSTATUS(status), 0);
        leat_release(batch);
        leat_release(next_batch(loader)); /* the parent goes on */
    }
    leat_close(loader);
}
END_TEST

typedef struct side {
    leat_config config;
    char hash[65];
    leat_code code;
} side;

static void *run_side(void *argument)
{
    side *s = argument;
    leat_loader *loader;
    s->code = leat_open(&s->config, &loader, NULL);
    if (s->code) return NULL;
    epoch_seen seen = {0};
    s->code = see_epoch(loader, &seen, NULL);
    memcpy(s->hash, seen.hash, sizeof s->hash);
    epoch_free(&seen);
    leat_close(loader);
    return NULL;
}

START_TEST(loaders_side_by_side_do_not_know_of_each_other)
{
    char alone[2][65];
    side sides[2] = {{.config = small_config(make_shards(4, 10))}, {.config = small_config(LEAT_PHOTOS)}};
    sides[1].config.image.dtype = LEAT_FLOAT16;
    for (int i = 0; i < 2; i++) {
        run_side(&sides[i]);
        ck_assert_int_eq(sides[i].code, LEAT_END);
        memcpy(alone[i], sides[i].hash, 65);
    }
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, run_side, &sides[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(sides[i].code, LEAT_END);
        ck_assert_str_eq(sides[i].hash, alone[i]);
    }
}
END_TEST

typedef struct shared_loader {
    leat_loader *loader;
    _Atomic size_t rows, ends;
} shared_loader;

static void *take_some(void *argument)
{
    shared_loader *shared = argument;
    leat_batch *batch;
    while (leat_next(shared->loader, &batch, NULL) == LEAT_OK) {
        shared->rows += leat_batch_rows(batch);
        leat_release(batch);
    }
    shared->ends++;
    return NULL;
}

/* Several consumers: each batch goes to one of them, the end to all. */
START_TEST(several_threads_take_from_one_loader)
{
    leat_config config = small_config(make_shards(4, 10));
    config.batch_size = 3;
    shared_loader shared = {.loader = open_loader(&config)};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, take_some, &shared), 0);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    ck_assert_uint_eq(shared.rows, 40);
    ck_assert_uint_eq(shared.ends, 3);
    leat_close(shared.loader);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("closing");
    TCase *tests = tcase_create("closing");
    tcase_add_checked_fixture(tests, scratch_begin, scratch_end);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, right_after_open, 0, 2);
    tcase_add_test(tests, before_the_first_batch);
    tcase_add_loop_test(tests, with_everything_full, 0, 2);
    tcase_add_loop_test(tests, after_an_error, 0, 2);
    tcase_add_test(tests, after_the_end);
    tcase_add_test(tests, while_every_step_waits);
    tcase_add_loop_test(tests, in_mid_fetch_from_a_server_that_has_stopped, 0, 3);
    tcase_add_test(tests, while_it_waits_to_try_again);
    tcase_add_loop_test(tests, a_consumer_that_holds_all_batches_is_told, 0, 4);
    tcase_add_loop_test(tests, a_single_batch_is_enough, 0, 8);
    tcase_add_test(tests, a_thousand_loaders_leave_nothing);
    tcase_add_test(tests, a_forked_child_is_told);
    tcase_add_test(tests, loaders_side_by_side_do_not_know_of_each_other);
    tcase_add_test(tests, several_threads_take_from_one_loader);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
