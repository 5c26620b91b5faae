/* http_small.c - what leat's HTTP client costs: many small objects into memory, by it and by the least that can be.
 *
 *     bench-http LIST [--connections N] [--rounds N] [--client | --bare] [--json]
 *
 * LIST has a URL a line. All are read with N connections (64), once through stages/http.h and once by a bare loop: libcurl's
 * multi interface on libuv as in curl's own example, with a socket, a timer and a write callback that counts bytes; in turn,
 * after a round that is not counted. Prints files/s and the thread's CPU time a file, medians; the ratio is of each pair.
 * A server that is to be no bottleneck needs a core of its own. */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <uv.h>

#include "bench/timing.h"
#include "stages/http.h"

enum { ROUNDS_MAX = 64, CHUNK_BYTES = 256 << 10 };

typedef struct list {
    char **urls;
    size_t count, connections;
} list;

typedef struct figure {
    double rate, cpu_us; /* files/s of wall time; CPU time of a file */
} figure;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench-http: %s: %s\n", what, why);
    exit(1);
}

/* ---- through leat's client ---- */

typedef struct client {
    const list *urls;
    leat__http *http;
    leat__budget budget;
    size_t begun, ended;
    uint64_t bytes;
} client;

static void client_begin(client *c);

static bool client_data(void *user, leat__buffer *buffer, size_t size)
{
    client *c = user;
    c->bytes += size;
    leat__buffer_release(buffer);
    return true;
}

static void client_end(void *user, const leat_error *error)
{
    client *c = user;
    if (error) die("client", error->message);
    c->ended++;
    client_begin(c);
}

/* One more, if there is one. */
static void client_begin(client *c)
{
    static const leat__transfer_callbacks callbacks = {.data = client_data, .end = client_end};
    leat__transfer *transfer;
    leat_error error;
    if (c->begun == c->urls->count) return;
    if (leat__http_get(c->http, c->urls->urls[c->begun++], NULL, &c->budget, &callbacks, c, &transfer, &error))
        die("client", error.message);
}

static uint64_t client_run(const list *urls)
{
    uv_loop_t loop;
    leat_error error;
    client c = {.urls = urls};
    uv_loop_init(&loop);
    leat__budget_init(&c.budget, NULL, SIZE_MAX, NULL, NULL);
    leat__arena *arena = leat__arena_new(64 << 20);
    const leat__http_options options = {
        .loop = &loop, .arena = arena, .connections = (uint32_t)urls->connections, .chunk_bytes = CHUNK_BYTES,
        .max_object_bytes = UINT64_C(1) << 40, .retries = 5, .connect_timeout_ms = 10000, .stall_timeout_ms = 30000,
        .max_retry_after_ms = 1000, .redirects = 5,
    };
    if (leat__http_new(&options, &c.http, &error)) die("client", error.message);
    for (size_t i = 0; i < 2 * urls->connections; i++) client_begin(&c); /* one is ready when another one ends */
    while (c.ended < urls->count) uv_run(&loop, UV_RUN_ONCE);
    leat__http_close(c.http, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    leat__arena_release(arena);
    return c.bytes;
}

/* ---- the bare loop ---- */

typedef struct bare {
    const list *urls;
    CURLM *multi;
    uv_loop_t loop;
    uv_timer_t timer;
    size_t begun, ended;
    uint64_t bytes;
} bare;

typedef struct bare_socket {
    uv_poll_t poll;
    bare *b;
    curl_socket_t fd;
} bare_socket;

static size_t bare_write(char *data, size_t one, size_t size, void *user)
{
    (void)data, (void)one;
    ((bare *)user)->bytes += size;
    return size;
}

static void bare_reap(bare *b)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(b->multi, &left))) {
        CURL *easy = message->easy_handle;
        if (message->data.result) die("bare loop", curl_easy_strerror(message->data.result));
        curl_multi_remove_handle(b->multi, easy);
        b->ended++;
        if (b->begun == b->urls->count) {
            curl_easy_cleanup(easy);
            continue;
        }
        curl_easy_setopt(easy, CURLOPT_URL, b->urls->urls[b->begun++]);
        curl_multi_add_handle(b->multi, easy);
    }
}

static void bare_on_timer(uv_timer_t *timer)
{
    bare *b = timer->data;
    int running;
    curl_multi_socket_action(b->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    bare_reap(b);
}

static int bare_wants_time(CURLM *multi, long ms, void *user)
{
    bare *b = user;
    (void)multi;
    if (ms < 0) uv_timer_stop(&b->timer);
    else uv_timer_start(&b->timer, bare_on_timer, (uint64_t)ms, 0);
    return 0;
}

static void bare_on_ready(uv_poll_t *poll, int status, int events)
{
    bare_socket *s = poll->data;
    bare *b = s->b;
    int running, flags = (events & UV_READABLE ? CURL_CSELECT_IN : 0) | (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
    curl_multi_socket_action(b->multi, s->fd, status < 0 ? CURL_CSELECT_ERR : flags, &running);
    bare_reap(b);
}

static void bare_on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static int bare_wants_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *known)
{
    bare *b = user;
    bare_socket *s = known;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (!s) return 0;
        curl_multi_assign(b->multi, fd, NULL);
        uv_poll_stop(&s->poll);
        uv_close((uv_handle_t *)&s->poll, bare_on_closed);
        return 0;
    }
    if (!s) {
        s = calloc(1, sizeof *s);
        if (!s || uv_poll_init(&b->loop, &s->poll, fd)) die("bare loop", "no poll handle");
        *s = (bare_socket){.poll = s->poll, .b = b, .fd = fd};
        s->poll.data = s;
        curl_multi_assign(b->multi, fd, s);
    }
    uv_poll_start(&s->poll, (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0),
                  bare_on_ready);
    return 0;
}

static uint64_t bare_run(const list *urls)
{
    bare b = {.urls = urls};
    uv_loop_init(&b.loop);
    uv_timer_init(&b.loop, &b.timer);
    b.timer.data = &b;
    b.multi = curl_multi_init();
    curl_multi_setopt(b.multi, CURLMOPT_SOCKETFUNCTION, bare_wants_socket);
    curl_multi_setopt(b.multi, CURLMOPT_SOCKETDATA, &b);
    curl_multi_setopt(b.multi, CURLMOPT_TIMERFUNCTION, bare_wants_time);
    curl_multi_setopt(b.multi, CURLMOPT_TIMERDATA, &b);
    curl_multi_setopt(b.multi, CURLMOPT_MAXCONNECTS, (long)urls->connections);
    for (size_t i = 0; i < urls->connections && b.begun < urls->count; i++) {
        CURL *easy = curl_easy_init();
        curl_easy_setopt(easy, CURLOPT_URL, urls->urls[b.begun++]);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, bare_write);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, &b);
        curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 128L << 10);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        curl_multi_add_handle(b.multi, easy);
    }
    while (b.ended < urls->count) uv_run(&b.loop, UV_RUN_ONCE);
    curl_multi_cleanup(b.multi);
    uv_close((uv_handle_t *)&b.timer, NULL);
    uv_run(&b.loop, UV_RUN_DEFAULT);
    uv_loop_close(&b.loop);
    return b.bytes;
}

/* ---- both ---- */

static void read_list(list *urls, const char *path)
{
    size_t size, room = 0;
    char *text = (char *)bench_read_file(path, &size), *end = text + size;
    for (char *line = text; line < end;) {
        char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((newline ? newline : end) - line);
        if (urls->count == room) {
            room = room ? 2 * room : 4096;
            urls->urls = realloc(urls->urls, room * sizeof *urls->urls);
            if (!urls->urls) die(path, "no memory");
        }
        if (length) urls->urls[urls->count++] = strndup(line, length);
        line += length + 1;
    }
    free(text);
    if (!urls->count) die(path, "no URL in it");
}

static figure measure(uint64_t (*run)(const list *urls), const list *urls, uint64_t *bytes)
{
    double cpu = bench_cpu_ns();
    uint64_t begin = uv_hrtime(), got = run(urls);
    double seconds = (double)(uv_hrtime() - begin) / 1e9, n = (double)urls->count;
    if (*bytes && *bytes != got) die("both", "they did not read the same number of bytes");
    *bytes = got;
    return (figure){.rate = n / seconds, .cpu_us = (bench_cpu_ns() - cpu) / n / 1e3};
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, by_value);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static void print(bool json, const char *name, const figure *figures, size_t rounds)
{
    double rates[ROUNDS_MAX], cpus[ROUNDS_MAX];
    for (size_t i = 0; i < rounds; i++) {
        rates[i] = figures[i].rate;
        cpus[i] = figures[i].cpu_us;
    }
    double rate = median(rates, rounds), cpu = median(cpus, rounds);
    if (json) printf("{\"name\":\"http_small_%s\",\"per_second\":%.0f,\"cpu_us_per_file\":%.2f}\n", name, rate, cpu);
    else printf("%-8s %8.0f files/s  %6.2f us of CPU a file\n", name, rate, cpu);
}

static void compare(const list *urls, size_t rounds, bool with_client, bool with_bare, bool json)
{
    static figure clients[ROUNDS_MAX], bares[ROUNDS_MAX];
    double ratios[ROUNDS_MAX], costs[ROUNDS_MAX];
    uint64_t bytes = 0;
    if (with_client) measure(client_run, urls, &bytes);
    if (with_bare) measure(bare_run, urls, &bytes);
    for (size_t i = 0; i < rounds; i++) {
        if (with_client) clients[i] = measure(client_run, urls, &bytes);
        if (with_bare) bares[i] = measure(bare_run, urls, &bytes);
        if (!with_client || !with_bare) continue;
        ratios[i] = clients[i].rate / bares[i].rate;
        costs[i] = bares[i].cpu_us / clients[i].cpu_us;
    }
    if (with_client) print(json, "client", clients, rounds);
    if (with_bare) print(json, "bare", bares, rounds);
    if (!with_client || !with_bare) return;
    double ratio = median(ratios, rounds), cost = median(costs, rounds);
    if (json) printf("{\"name\":\"http_small\",\"of_bare\":%.3f,\"of_bare_cpu\":%.3f}\n", ratio, cost);
    else printf("client / bare: %.3f of the rate (%.3f to %.3f), %.3f by CPU time\n", ratio, ratios[0],
                ratios[rounds - 1], cost);
}

int main(int argc, char **argv)
{
    list urls = {.connections = 64};
    size_t rounds = 7;
    bool with_client = true, with_bare = true, json = false;
    const char *path = NULL;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--json")) json = true;
        else if (!strcmp(argv[i], "--bare")) with_client = false;
        else if (!strcmp(argv[i], "--client")) with_bare = false;
        else if (!strcmp(argv[i], "--connections") && i + 1 < argc) urls.connections = strtoul(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--rounds") && i + 1 < argc) rounds = strtoul(argv[++i], NULL, 10);
        else path = argv[i];
    }
    if (!path || !urls.connections || !rounds || rounds > ROUNDS_MAX || !(with_client || with_bare))
        die("usage", "bench-http LIST [--connections N] [--rounds 1..64] [--client | --bare] [--json]");
    signal(SIGPIPE, SIG_IGN);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    read_list(&urls, path);
    compare(&urls, rounds, with_client, with_bare, json);
    for (size_t i = 0; i < urls.count; i++) free(urls.urls[i]);
    free(urls.urls);
    return 0;
}
