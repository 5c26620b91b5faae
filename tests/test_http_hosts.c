/* test_http_hosts.c - what the HTTP client makes of its servers: how many connections each gets, pauses, doubts, retry budgets.
 *
 * The servers run on the test's own loop, so that they can change their mind in mid-run. Every test ends with
 * uv_loop_close() == 0, no live buffer and nothing charged (world_close). */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_fetch.h"

enum { BODY = 1000, PATHS = 4096 };

/* ---- a server: answers GET /N with BODY bytes, after a while ---- */

typedef struct server {
    uv_tcp_t listener;
    int port;
    int status, retry_after;       /* what it answers now; 200: the object. retry_after: -1: none */
    int most;                      /* more at a time get 429; 0: any number */
    bool fails_first;              /* the first request of each path gets a 500 */
    int refused;                   /* this path gets a 503; 0: none */
    unsigned latency_ms;
    int running, peak;             /* requests at a time */
    int requests, served, last;    /* last: the path that was asked for last */
    uint8_t seen[PATHS];
    struct line *lines;
} server;

typedef struct line {              /* a connection */
    uv_tcp_t tcp;
    uv_timer_t timer;
    server *s;
    char head[4096];
    size_t size;
    int path, status, handles;
    bool busy;
    struct line *next, **back;
} line;

typedef struct answer {
    uv_write_t write;
    char bytes[BODY + 256];
} answer;

static void line_closed(uv_handle_t *handle)
{
    line *l = handle->data;
    if (!--l->handles) free(l);
}

static void line_end(line *l)
{
    if (uv_is_closing((uv_handle_t *)&l->tcp)) return;
    if (l->busy) l->s->running--;
    *l->back = l->next;
    if (l->next) l->next->back = l->back;
    uv_close((uv_handle_t *)&l->tcp, line_closed);
    uv_close((uv_handle_t *)&l->timer, line_closed);
}

static void answer_sent(uv_write_t *write, int status)
{
    (void)status;
    free(write->data);
}

static void line_answer(uv_timer_t *timer)
{
    line *l = timer->data;
    server *s = l->s;
    answer *a = malloc(sizeof *a);
    bool good = l->status == 200;
    int size = good ? BODY : 0;
    char after[40] = "";
    if (!good && s->retry_after >= 0) snprintf(after, sizeof after, "Retry-After: %d\r\n", s->retry_after);
    int n = snprintf(a->bytes, 256, "HTTP/1.1 %d Word\r\n%sContent-Length: %d\r\n\r\n", l->status, after, size);
    for (int i = 0; i < size; i++) a->bytes[n + i] = (char)http_pattern((uint64_t)i);
    uv_buf_t buffer = uv_buf_init(a->bytes, (unsigned)(n + size));
    a->write.data = a;
    l->busy = false;
    s->running--;
    s->served += good;
    if (uv_write(&a->write, (uv_stream_t *)&l->tcp, &buffer, 1, answer_sent)) free(a);
}

static void line_asked(line *l)
{
    server *s = l->s;
    l->head[l->size] = 0;
    l->path = atoi(strchr(l->head, '/') + 1);
    l->size = 0;
    l->busy = true;
    s->requests++;
    s->last = l->path;
    if (++s->running > s->peak) s->peak = s->running;
    l->status = s->status;
    if (s->most && s->running > s->most) l->status = 429;
    if (s->fails_first && !s->seen[l->path]) l->status = 500;
    if (s->refused && l->path == s->refused) l->status = 503;
    s->seen[l->path] = 1;
    uv_timer_start(&l->timer, line_answer, s->latency_ms, 0);
}

static void line_room(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
    line *l = handle->data;
    (void)size;
    *buffer = uv_buf_init(l->head + l->size, (unsigned)(sizeof l->head - 1 - l->size));
}

static void line_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    line *l = stream->data;
    (void)buffer;
    if (n < 0) {
        line_end(l);
        return;
    }
    l->size += (size_t)n;
    if (l->size >= 4 && !memcmp(l->head + l->size - 4, "\r\n\r\n", 4)) line_asked(l);
}

static void server_connected(uv_stream_t *listener, int status)
{
    server *s = listener->data;
    line *l = calloc(1, sizeof *l);
    ck_assert_int_eq(status, 0);
    *l = (line){.s = s, .handles = 2, .next = s->lines, .back = &s->lines};
    if (l->next) l->next->back = &l->next;
    s->lines = l;
    uv_tcp_init(listener->loop, &l->tcp);
    uv_timer_init(listener->loop, &l->timer);
    l->tcp.data = l->timer.data = l;
    uv_accept(listener, (uv_stream_t *)&l->tcp);
    uv_tcp_nodelay(&l->tcp, 1);
    uv_read_start((uv_stream_t *)&l->tcp, line_room, line_read);
}

static void server_start(server *s, world *w)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int size = sizeof address;
    s->status = 200;
    s->retry_after = -1;
    uv_tcp_init(&w->loop, &s->listener);
    s->listener.data = s;
    ck_assert_int_eq(uv_tcp_bind(&s->listener, (struct sockaddr *)&address, 0), 0);
    ck_assert_int_eq(uv_listen((uv_stream_t *)&s->listener, 512, server_connected), 0);
    uv_tcp_getsockname(&s->listener, (struct sockaddr *)&address, &size);
    s->port = ntohs(address.sin_port);
}

static void server_stop(server *s)
{
    while (s->lines) line_end(s->lines);
    uv_close((uv_handle_t *)&s->listener, NULL);
}

static void get(fetch *f, world *w, int port, int path)
{
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/%d", port, path % PATHS);
    *f = (fetch){0};
    fetch_start(f, w, url, 0);
}

/* ---- looking ---- */

typedef struct looked {
    const char *port;
    leat__http_host host;
} looked;

static void on_host(void *user, const leat__http_host *host)
{
    looked *l = user;
    if (strstr(host->origin, l->port)) l->host = *host;
}

static leat__http_host host_of(world *w, int port)
{
    char text[16];
    looked l = {.port = text};
    snprintf(text, sizeof text, ":%d", port);
    leat__http_hosts(w->http, on_host, &l);
    ck_assert_ptr_nonnull(l.host.origin);
    return l.host;
}

static leat__http_stats stats_of(world *w)
{
    leat__http_stats stats;
    leat__http_get_stats(w->http, &stats);
    return stats;
}

static uint64_t ahead_ns; /* of the client's clock */

static uint64_t shifted_now(void *user)
{
    (void)user;
    return uv_hrtime() + ahead_ns;
}

static uint64_t always_zero(void *user)
{
    (void)user;
    return 0;
}

/* ---- connections ---- */

START_TEST(each_host_has_its_share)
{
    static fetch f[80];
    world w;
    server a = {.latency_ms = 5}, b = {.latency_ms = 5};
    memset(f, 0, sizeof f); /* in one process it is as the last test has left it */
    world_init(&w);
    w.options.connections = 5;
    w.options.connections_per_host = _i ? 0 : 3;
    world_open(&w);
    server_start(&a, &w);
    server_start(&b, &w);
    for (int i = 0; i < 40; i++) get(&f[i], &w, a.port, i);
    for (int i = 40; i < 80; i++) get(&f[i], &w, b.port, i);
    world_run_until(&w, &w.running, 0, 5 * SECOND);
    for (int i = 0; i < 80; i++) ck_assert_uint_eq(f[i].got, BODY);
    ck_assert_int_ge(a.peak, 3);
    ck_assert_int_le(a.peak, _i ? 5 : 3);
    ck_assert_int_ge(b.peak, _i ? 2 : 3);
    ck_assert_int_le(b.peak, _i ? 5 : 3);
    leat__http_host host = host_of(&w, a.port);
    ck_assert_uint_eq(host.limit, _i ? 5 : 3);
    ck_assert(host.active == 0 && !host.unreachable && !host.paused_ns && !host.retries);
    server_stop(&a);
    server_stop(&b);
    world_close(&w);
}
END_TEST

/* ---- the retry budget (R5) ---- */

static int closed_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    getsockname(fd, (struct sockaddr *)&address, &size);
    close(fd);
    return ntohs(address.sin_port);
}

/* A host that is not there, with 2,000 objects: each fails, and little is asked. */
START_TEST(a_dead_host_costs_few_requests)
{
    enum { MANY = 2000 };
    static fetch f[MANY];
    int port = closed_port(), refused = 0;
    world w;
    memset(f, 0, sizeof f); /* in one process it is as the last test has left it */
    world_init(&w);
    w.options.connections = 16;
    world_open(&w);
    for (int i = 0; i < MANY; i++) get(&f[i], &w, port, i);
    world_run_until(&w, &w.running, 0, 10 * SECOND);
    for (int i = 0; i < MANY; i++) {
        ck_assert_msg(strstr(f[i].error.message, "connecting failed (curl 7: "), "%s", f[i].error.message);
        ck_assert(f[i].error.code == LEAT_ENETWORK || f[i].error.code == LEAT_ERETRIES);
        refused += f[i].error.code == LEAT_ERETRIES && strstr(f[i].error.message, "not asked, as its host has failed too often");
    }
    ck_assert_int_gt(refused, MANY - 100);
    ck_assert_uint_eq(stats_of(&w).retries, 50); /* 500 tokens, 10 each */
    ck_assert_uint_lt(stats_of(&w).requests, 150); /* 50 repeated, and the first ones of those begun until then */
    leat__http_host host = host_of(&w, port);
    ck_assert(host.unreachable && host.retries == 50);
    ck_assert_uint_eq(host.limit, 2); /* an eighth */
    world_close(&w);
}
END_TEST

/* Spent by HTTP 500s; one transfer each 5 s looks whether the host is well again. */
START_TEST(one_probe_each_five_seconds)
{
    static fetch f[200];
    world w;
    server s = {0};
    memset(f, 0, sizeof f); /* in one process it is as the last test has left it */
    world_init(&w);
    w.options.now_ns = shifted_now;
    w.options.random = always_zero;
    ahead_ns = 0;
    world_open(&w);
    server_start(&s, &w);
    s.status = 500;
    for (int i = 0; i < 200; i++) get(&f[i], &w, s.port, i);
    world_run_until(&w, &w.running, 0, 5 * SECOND);
    ck_assert_uint_eq(stats_of(&w).retries, 100); /* 500 tokens, 5 each */
    for (int round = 0; round < 3; round++) {
        int before = s.requests;
        for (int i = 0; i < 5; i++) get(&f[i], &w, s.port, i);
        world_run_until(&w, &w.running, 0, SECOND);
        ck_assert_int_eq(s.requests - before, round > 0);
        for (int i = 0; i < 5; i++) {
            ck_assert_int_eq(f[i].error.code, LEAT_ERETRIES);
            ck_assert_msg(strstr(f[i].error.message, "HTTP 500 Word"), "%s", f[i].error.message);
        }
        ck_assert(host_of(&w, s.port).unreachable);
        ahead_ns += 5000 * LEAT__MS;
    }
    s.status = 200;
    get(&f[0], &w, s.port, 0);
    world_run_until(&w, &w.running, 0, SECOND);
    ck_assert_msg(f[0].got == BODY, "%s", f[0].error.message);
    ck_assert(!host_of(&w, s.port).unreachable);
    for (int i = 0; i < 50; i++) get(&f[i], &w, s.port, i);
    world_run_until(&w, &w.running, 0, SECOND);
    for (int i = 0; i < 50; i++) ck_assert_uint_eq(f[i].got, BODY);
    server_stop(&s);
    world_close(&w);
}
END_TEST

/* 400 objects that each fail once would cost 2,000 tokens: each success gives back what it has cost. */
START_TEST(success_pays_back)
{
    static fetch f[400];
    world w;
    server s = {.fails_first = true};
    memset(f, 0, sizeof f); /* in one process it is as the last test has left it */
    world_init(&w);
    world_open(&w);
    server_start(&s, &w);
    for (int i = 0; i < 400; i++) {
        get(&f[i], &w, s.port, i);
        if (i % 40 == 39) world_run_until(&w, &w.running, 0, 5 * SECOND);
    }
    for (int i = 0; i < 400; i++) ck_assert_msg(f[i].got == BODY, "%s", f[i].error.message);
    ck_assert_uint_eq(host_of(&w, s.port).retries, 400);
    server_stop(&s);
    world_close(&w);
}
END_TEST

/* A refusal that is final is an answer: it costs nothing, and nobody is cut for it. */
START_TEST(refusals_cost_nothing)
{
    static fetch f[400];
    world w;
    server s = {0};
    memset(f, 0, sizeof f); /* in one process it is as the last test has left it */
    world_init(&w);
    world_open(&w);
    server_start(&s, &w);
    s.status = 404;
    for (int i = 0; i < 400; i++) get(&f[i], &w, s.port, i);
    world_run_until(&w, &w.running, 0, 5 * SECOND);
    for (int i = 0; i < 400; i++) ck_assert_int_eq(f[i].error.code, LEAT_ENOTFOUND);
    ck_assert(!host_of(&w, s.port).unreachable && host_of(&w, s.port).limit == 8);
    server_stop(&s);
    world_close(&w);
}
END_TEST

/* ---- throttling (R3, R4) ---- */

/* More transfers as others end, so that a run goes on for as long as a test likes. */
static void keep_going(fetch *f, int count, world *w, int port)
{
    static int path;
    for (int i = 0; i < count; i++) {
        if (f[i].transfer) continue;
        ck_assert_msg(!f[i].ends || !f[i].error.code, "%s", f[i].error.message);
        get(&f[i], w, port, ++path);
    }
}

/* Requests that were served in a time. */
static int served_in(world *w, server *s, fetch *f, int count, int ms)
{
    int before = s->served;
    for (uint64_t end = uv_hrtime() + (uint64_t)ms * LEAT__MS; uv_hrtime() < end;) {
        keep_going(f, count, w, s->port);
        uv_run(&w->loop, UV_RUN_ONCE);
    }
    return s->served - before;
}

/* 503 to everything in mid-run, for 3 s: nothing fails, though a retry of each transfer would spend the budget, and each may
 * try only three times; little is asked meanwhile; and the rate is back soon. */
START_TEST(an_outage_fails_nothing_and_is_over_soon)
{
    enum { COUNT = 120 };
    static fetch f[COUNT];
    world w;
    server s = {.latency_ms = 60};
    memset(f, 0, sizeof f); /* in one process it is as the last test has left it */
    world_init(&w);
    w.random = 11 + (uint64_t)_i;
    w.options.connections = COUNT;
    w.options.retries = 3;
    w.options.max_retry_after_ms = 120 * SECOND;
    world_open(&w);
    server_start(&s, &w);
    served_in(&w, &s, f, COUNT, 300);
    int usual = served_in(&w, &s, f, COUNT, 1000) / 4, now = 0;
    ck_assert_int_eq(s.peak, COUNT);
    s.status = 503;
    int before = s.requests;
    ck_assert_int_le(served_in(&w, &s, f, COUNT, 3000), COUNT);
    ck_assert_int_le(s.requests - before, COUNT + 15);
    s.status = 200;
    uint64_t over = uv_hrtime();
    while (now < usual * 9 / 10) {
        now = served_in(&w, &s, f, COUNT, 250);
        ck_assert_msg(uv_hrtime() - over < 10000 * LEAT__MS, "%d of %d in 250 ms", now, usual);
    }
    server_stop(&s);
    world_close(&w);
}
END_TEST

/* A server that bears four at a time is not asked for more all the time. */
START_TEST(the_limit_grows_with_care)
{
    static fetch f[600];
    world w;
    server s = {.latency_ms = 2, .most = 4};
    memset(f, 0, sizeof f); /* in one process it is as the last test has left it */
    world_init(&w);
    w.options.connections = 32;
    w.options.random = always_zero;
    world_open(&w);
    server_start(&s, &w);
    for (int i = 0; i < 600; i++) get(&f[i], &w, s.port, i);
    world_run_until(&w, &w.running, 0, 20 * SECOND);
    for (int i = 0; i < 600; i++) ck_assert_msg(f[i].got == BODY, "%s", f[i].error.message);
    ck_assert_uint_ge(stats_of(&w).throttled, 28); /* the burst at the beginning */
    ck_assert_uint_le(stats_of(&w).throttled, 28 + 30);
    server_stop(&s);
    world_close(&w);
}
END_TEST

/* R3: who is to come back in 100 s waits for as long as is allowed, behind those who came later; so does the host. */
START_TEST(a_retry_after_that_is_too_long)
{
    fetch f[3];
    world w;
    server s = {.latency_ms = 2};
    world_init(&w);
    w.options.connections = 1;
    w.options.max_retry_after_ms = 600;
    w.options.random = always_zero;
    world_open(&w);
    server_start(&s, &w);
    s.status = _i ? 503 : 500;
    s.retry_after = 100;
    get(&f[0], &w, s.port, 7);
    while (!s.requests) uv_run(&w.loop, UV_RUN_ONCE);
    world_run_for(&w, 50);
    s.status = 200;
    get(&f[1], &w, s.port, 8);
    get(&f[2], &w, s.port, 9);
    uint64_t paused_ns = host_of(&w, s.port).paused_ns;
    ck_assert(paused_ns > 400 * LEAT__MS && paused_ns <= 600 * LEAT__MS);
    world_run_for(&w, 300);
    ck_assert_int_eq(s.requests, 1);
    world_run_until(&w, &w.running, 0, 2 * SECOND);
    for (int i = 0; i < 3; i++) ck_assert_uint_eq(f[i].got, BODY);
    ck_assert_int_eq(s.last, 7);
    server_stop(&s);
    world_close(&w);
}
END_TEST

/* ---- the end of a host that refuses (R2, R5), in a clock that jumps ---- */

static void settle(world *w)
{
    while (stats_of(w).active || uv_is_active((uv_handle_t *)&w->http->idle)) uv_run(&w->loop, UV_RUN_ONCE);
}

/* Has so much time pass, with all that comes up in it; less if nothing runs any more. Gives how much. */
static double pass(world *w, double seconds)
{
    uint64_t begin = shifted_now(NULL), end = begin + (uint64_t)(seconds * 1e9);
    for (settle(w); w->running && w->http->wake_ns && w->http->wake_ns <= end; settle(w)) {
        uint64_t now = shifted_now(NULL);
        if (w->http->wake_ns > now) ahead_ns += w->http->wake_ns - now;
        leat__places_on_wake(&w->http->wake_timer);
    }
    if (w->running && end > shifted_now(NULL)) ahead_ns += end - shifted_now(NULL);
    return (double)(shifted_now(NULL) - begin) / 1e9;
}

static void open_jumping(world *w, uint32_t retries, uint64_t seed)
{
    world_init(w);
    w->random = seed;
    w->options.now_ns = shifted_now;
    w->options.retries = retries;
    w->options.max_retry_after_ms = 120 * SECOND;
    ahead_ns = 0;
    world_open(w);
}

/* Ten seconds of nothing but 503: nobody fails, be they one, two or many, and have they two attempts or five. */
START_TEST(a_short_outage_does_not_use_up_the_attempts)
{
    static const int counts[] = {1, 2, 20};
    int count = counts[_i % 3];
    fetch f[20];
    for (uint64_t seed = 1; seed <= 10; seed++) {
        world w;
        server s = {0};
        open_jumping(&w, _i / 3 ? 5 : 2, seed);
        server_start(&s, &w);
        s.status = 503;
        for (int i = 0; i < count; i++) get(&f[i], &w, s.port, i);
        pass(&w, 10);
        ck_assert_int_eq(w.running, count);
        ck_assert_int_ge(s.requests, 4);
        ck_assert_int_le(s.requests, 60);
        s.status = 200;
        pass(&w, 25);
        for (int i = 0; i < count; i++) ck_assert_msg(f[i].got == BODY, "%s", f[i].error.message);
        server_stop(&s);
        world_close(&w);
    }
}
END_TEST

/* Hangs at the end: 503 for ever fails all of it, soon after half a minute, however many wait; and the host is found again. */
START_TEST(a_host_that_refuses_for_ever_is_given_up)
{
    enum { COUNT = 300 };
    static fetch f[COUNT];
    int asked = 0;
    world w;
    server s = {0};
    open_jumping(&w, 2 + (uint32_t)_i, 3 + (uint64_t)_i);
    server_start(&s, &w);
    s.status = 503;
    for (int i = 0; i < COUNT; i++) get(&f[i], &w, s.port, i);
    pass(&w, 29.9);
    ck_assert_int_eq(w.running, COUNT);
    double more = pass(&w, 60);
    ck_assert_msg(w.running == 0 && more < 20, "%d run after %.1f s more", w.running, more);
    ck_assert_int_le(s.requests, 8 + 60);
    for (int i = 0; i < COUNT; i++) {
        ck_assert_msg(strstr(f[i].error.message, "HTTP 503 Word"), "%s", f[i].error.message);
        asked += f[i].error.code == LEAT_EHTTP;
        if (f[i].error.code != LEAT_EHTTP) ck_assert_int_eq(f[i].error.code, LEAT_ERETRIES);
    }
    ck_assert_int_eq(asked, 1);
    ck_assert(host_of(&w, s.port).unreachable);
    int before = s.requests;
    get(&f[0], &w, s.port, 0);
    ck_assert(pass(&w, 60) < 1);
    ck_assert_int_eq(f[0].error.code, LEAT_ERETRIES);
    ck_assert_int_eq(s.requests, before);
    s.status = 200;
    ahead_ns += 5000 * LEAT__MS;
    for (int i = 0; i < 2; i++) get(&f[i], &w, s.port, i);
    pass(&w, 60);
    ck_assert_msg(f[0].got == BODY, "%s", f[0].error.message);
    ck_assert(!host_of(&w, s.port).unreachable);
    get(&f[2], &w, s.port, 2);
    pass(&w, 60);
    ck_assert_msg(f[2].got == BODY, "%s", f[2].error.message);
    server_stop(&s);
    world_close(&w);
}
END_TEST

/* A Retry-After that is longer than half a minute is waited out each time, before the end as well. */
START_TEST(a_long_retry_after_is_kept_to_the_end)
{
    fetch f[3];
    world w;
    server s = {0};
    open_jumping(&w, 3, 5);
    server_start(&s, &w);
    s.status = 503;
    s.retry_after = 50;
    for (int i = 0; i < 3; i++) get(&f[i], &w, s.port, i);
    pass(&w, 0);
    for (int n = 0; n < 2; n++) {
        int before = s.requests;
        pass(&w, 48);
        ck_assert_int_eq(s.requests, before);
        ck_assert_int_eq(w.running, 3);
        pass(&w, 3); /* of which it asks after 2, in the second turn after 1: that one ends a second later than the first */
        ck_assert_int_eq(s.requests, before + 1);
    }
    ck_assert_int_eq(w.running, 0);
    server_stop(&s);
    world_close(&w);
}
END_TEST

/* One path that is always refused is its own affair: it fails, and nothing else does. */
START_TEST(one_path_that_is_always_refused)
{
    fetch f, other;
    world w;
    server s = {.refused = 7};
    open_jumping(&w, 4, 5);
    server_start(&s, &w);
    get(&f, &w, s.port, 7);
    double passed = 0;
    while (!f.ends && passed < 200) {
        get(&other, &w, s.port, 8);
        while (!other.ends) passed += pass(&w, 1);
        ck_assert_msg(other.got == BODY, "%s", other.error.message);
        if (!f.ends) passed += pass(&w, 1);
    }
    ck_assert_int_eq(f.error.code, LEAT_EHTTP);
    ck_assert(passed > 30 && passed < 80);
    ck_assert(!host_of(&w, s.port).unreachable);
    server_stop(&s);
    world_close(&w);
}
END_TEST

/* A server that has as much to do as it bears refuses more: as long as one of its answers is on its way, it is not given up. */
START_TEST(a_host_that_still_serves_is_not_given_up)
{
    fetch f[5];
    world w;
    server s = {.latency_ms = 900};
    open_jumping(&w, 2, 5);
    server_start(&s, &w);
    get(&f[0], &w, s.port, 0);
    world_run_for(&w, 50); /* the first of a host goes alone */
    s.latency_ms = 150;
    for (int i = 1; i < 4; i++) get(&f[i], &w, s.port, i);
    world_run_for(&w, 50);
    ck_assert_int_eq(s.running, 4);
    s.status = 503;
    s.latency_ms = 0;
    get(&f[4], &w, s.port, 4);
    world_run_for(&w, 300);
    ck_assert_int_eq(s.running, 1);
    ck_assert_uint_eq(host_of(&w, s.port).limit, 2);
    ahead_ns += 40000 * LEAT__MS;
    leat__places_on_wake(&w.http->wake_timer);
    world_run_for(&w, 50);
    ck_assert_int_eq(s.requests, 6);
    ck_assert(!host_of(&w, s.port).unreachable);
    world_run_until(&w, &w.running, 0, 5 * SECOND);
    for (int i = 0; i < 4; i++) ck_assert_msg(f[i].got == BODY, "%s", f[i].error.message);
    server_stop(&s);
    world_close(&w);
}
END_TEST

/* ---- a dead host among three ---- */

/* A port that lets nobody connect, and says nothing: its queue of one is full. */
static int black_hole(int fds[4])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    for (int i = 0; i < 4; i++) fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fds[0], (struct sockaddr *)&address, size), 0);
    getsockname(fds[0], (struct sockaddr *)&address, &size);
    ck_assert_int_eq(listen(fds[0], 0), 0);
    for (int i = 1; i < 4; i++) connect(fds[i], (struct sockaddr *)&address, size);
    return ntohs(address.sin_port);
}

/* Seconds that 3,000 objects of two hosts take; with 200 of a third that swallows connections, named between them. */
static double seconds_of(bool with_dead)
{
    enum { ALIVE = 3000, DEAD = 200 };
    static fetch f[ALIVE], dead[DEAD];
    int fds[4], port = black_hole(fds), left = 1;
    world w;
    server a = {.latency_ms = 10}, b = {.latency_ms = 10};
    memset(f, 0, sizeof f); /* in one process it is as the last test has left it */
    world_init(&w);
    w.options.connections = 24;
    w.options.connect_timeout_ms = 1500; /* longer than the others need for all of theirs */
    world_open(&w);
    server_start(&a, &w);
    server_start(&b, &w);
    for (int i = 0; i < ALIVE; i++) {
        if (with_dead && i < DEAD) get(&dead[i], &w, port, i);
        get(&f[i], &w, i % 2 ? a.port : b.port, i);
    }
    uint64_t begin = uv_hrtime();
    while (left) {
        ck_assert_uint_lt(uv_hrtime() - begin, 20000 * LEAT__MS);
        uv_run(&w.loop, UV_RUN_ONCE);
        left = ALIVE - a.served - b.served;
    }
    double seconds = (double)(uv_hrtime() - begin) / 1e9;
    if (with_dead) {
        ck_assert_uint_le(host_of(&w, port).limit, 3);
        ck_assert_uint_le(stats_of(&w).requests, ALIVE + 3 * 4);
        for (int i = 0; i < DEAD; i++) leat__transfer_cancel(dead[i].transfer);
        w.running -= DEAD;
    }
    world_run_until(&w, &w.running, 0, 5 * SECOND);
    for (int i = 0; i < ALIVE; i++) ck_assert_msg(f[i].got == BODY, "%s", f[i].error.message);
    server_stop(&a);
    server_stop(&b);
    world_close(&w);
    for (int i = 0; i < 4; i++) close(fds[i]);
    return seconds;
}

START_TEST(a_dead_host_among_three)
{
    double alone = seconds_of(false), beside = seconds_of(true);
    ck_assert_msg(beside < 1.5 * alone, "%.2f s, %.2f s without the dead host", beside, alone);
}
END_TEST

/* Seconds that 2,000 objects of one host take, while so many wait for another one that is paused. */
static double seconds_beside(int waiting)
{
    enum { COUNT = 2000 };
    static fetch f[COUNT];
    fetch *idle = calloc((size_t)waiting, sizeof *idle);
    world w;
    server a = {0}, b = {.retry_after = 0};
    memset(f, 0, sizeof f); /* in one process it is as the last test has left it */
    world_init(&w);
    w.options.connections = 16;
    w.options.max_retry_after_ms = 120 * SECOND;
    world_open(&w);
    server_start(&a, &w);
    server_start(&b, &w);
    b.status = 503;
    b.retry_after = 100;
    for (int i = 0; i < waiting; i++) get(&idle[i], &w, b.port, i);
    while (!b.requests) uv_run(&w.loop, UV_RUN_ONCE);
    world_run_for(&w, 50);
    ck_assert_uint_gt(host_of(&w, b.port).paused_ns, 90000 * LEAT__MS);
    uint64_t begin = uv_hrtime();
    for (int i = 0; i < COUNT; i++) get(&f[i], &w, a.port, i);
    world_run_until(&w, &w.running, waiting, 20 * SECOND);
    double seconds = (double)(uv_hrtime() - begin) / 1e9;
    for (int i = 0; i < COUNT; i++) ck_assert_msg(f[i].got == BODY, "%s", f[i].error.message);
    for (int i = 0; i < waiting; i++) leat__transfer_cancel(idle[i].transfer);
    w.running -= waiting;
    server_stop(&a);
    server_stop(&b);
    world_close(&w);
    free(idle);
    return seconds;
}

START_TEST(the_ones_that_wait_cost_nothing)
{
    double few = seconds_beside(20), many = seconds_beside(40000);
    ck_assert_msg(many < 2 * few + 0.1, "%.2f s beside 40,000 that wait, %.2f s beside 20", many, few);
}
END_TEST

static Suite *hosts_suite(void)
{
    Suite *suite = suite_create("http_hosts");
    TCase *connections = add_case(suite, "connections");
    tcase_add_loop_test(connections, each_host_has_its_share, 0, 2);
    TCase *budget = add_case(suite, "budget");
    tcase_add_test(budget, a_dead_host_costs_few_requests);
    tcase_add_test(budget, one_probe_each_five_seconds);
    tcase_add_test(budget, success_pays_back);
    tcase_add_test(budget, refusals_cost_nothing);
    TCase *throttling = add_case(suite, "throttling");
    tcase_add_loop_test(throttling, an_outage_fails_nothing_and_is_over_soon, 0, 3);
    tcase_add_test(throttling, the_limit_grows_with_care);
    tcase_add_loop_test(throttling, a_retry_after_that_is_too_long, 0, 2);
    TCase *end = add_case(suite, "end");
    tcase_add_loop_test(end, a_short_outage_does_not_use_up_the_attempts, 0, 6);
    tcase_add_loop_test(end, a_host_that_refuses_for_ever_is_given_up, 0, 4);
    tcase_add_test(end, a_long_retry_after_is_kept_to_the_end);
    tcase_add_test(end, one_path_that_is_always_refused);
    tcase_add_test(end, a_host_that_still_serves_is_not_given_up);
    TCase *dead = add_case(suite, "dead");
    tcase_add_test(dead, a_dead_host_among_three);
    tcase_add_test(dead, the_ones_that_wait_cost_nothing);
    return suite;
}

int main(void)
{
    return http_suite_run(hosts_suite());
}
