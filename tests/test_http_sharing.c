/* test_http_sharing.c - what lets several transfers share one object: limits that move, renewed connections, strict ranges,
 * conditions, facts, and being told of retries.
 *
 * Every test ends with uv_loop_close() == 0, no live buffer and nothing charged (world_close). */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "http_fetch.h"
#include "pipeline/failure.h"

#define ANY LEAT__NO_SIZE

/* A consumer that checks every byte and moves its own limit. */
typedef struct sharer {
    world *w;
    leat__transfer *transfer;
    uint64_t start, got, limit, stop; /* limit: where it has to end, by the rules of http.h */
    uint64_t raise;                   /* by so much, whenever it gets the last bytes before its limit */
    unsigned chunks, ends, pause_every, retries, cancel_at_retry;
    bool paused, handing, canceled, renew_at_data;
    leat_error error, retry_error;
    leat__transfer_facts facts;       /* when the last bytes came */
    char etag[64], modified[64];
} sharer;

static void move_limit(sharer *s, uint64_t limit)
{
    uint64_t handed = s->start + s->got;
    leat__transfer_limit(s->transfer, limit);
    if (handed == s->limit && !s->handing) return; /* it is over */
    if (limit < handed) limit = handed;
    s->limit = limit < s->stop ? limit : s->stop;
}

static bool on_data(void *user, leat__buffer *buffer, size_t size)
{
    sharer *s = user;
    ck_assert(!s->paused && !s->ends && !s->canceled && size > 0);
    for (size_t i = 0; i < size; i++)
        if (buffer->data[i] != http_pattern(s->start + s->got + i))
            ck_abort_msg("byte %llu is wrong", (unsigned long long)(s->start + s->got + i));
    s->got += size;
    s->chunks++;
    leat__buffer_release(buffer);
    ck_assert_uint_le(s->start + s->got, s->limit);
    s->facts = leat__transfer_facts_of(s->transfer);
    snprintf(s->etag, sizeof s->etag, "%s", s->facts.etag);
    snprintf(s->modified, sizeof s->modified, "%s", s->facts.modified);
    s->handing = true;
    if (s->raise && s->start + s->got == s->limit) move_limit(s, s->limit + s->raise);
    if (s->renew_at_data) leat__transfer_renew(s->transfer);
    s->handing = false;
    s->paused = s->pause_every && s->chunks % s->pause_every == 0;
    return !s->paused;
}

static void on_end(void *user, const leat_error *error)
{
    sharer *s = user;
    ck_assert(!s->paused && !s->ends && !s->canceled);
    s->ends++;
    s->transfer = NULL;
    s->w->running--;
    leat__error_clear(&s->error);
    if (error) s->error = *error;
}

static void on_retry(void *user, const leat_error *error, uint64_t delay_ms)
{
    sharer *s = user;
    ck_assert(!s->ends && !s->canceled && error->code);
    ck_assert_uint_le(delay_ms, 20000);
    s->retry_error = *error;
    if (++s->retries != s->cancel_at_retry) return;
    leat__transfer_cancel(s->transfer);
    s->canceled = true;
    s->w->running--;
}

static void share(sharer *s, world *w, const char *url, const leat__http_range *range)
{
    static const leat__transfer_callbacks callbacks = {.data = on_data, .end = on_end, .retry = on_retry};
    leat_error error;
    s->w = w;
    s->start = range->from;
    s->stop = range->to;
    s->limit = range->limit && range->limit < range->to ? range->limit : range->to;
    w->running++;
    leat_code code = leat__http_get(w->http, url, range, &w->budget, &callbacks, s, &s->transfer, &error);
    ck_assert_msg(code == LEAT_OK, "%s", error.message);
}

static void resume(sharer *s)
{
    s->paused = false;
    leat__transfer_resume(s->transfer);
}

/* Runs until all have ended, going on with those that pause. */
static void finish(world *w, sharer *s, size_t count)
{
    uint64_t begin = uv_hrtime();
    while (w->running) {
        ck_assert_msg(uv_hrtime() - begin < 10000 * LEAT__MS, "not done");
        for (size_t i = 0; i < count; i++)
            if (s[i].paused) resume(&s[i]);
        uv_run(&w->loop, UV_RUN_ONCE);
    }
}

static leat__http_range limited(uint64_t from, uint64_t limit)
{
    return (leat__http_range){.from = from, .to = ANY, .total = ANY, .etag = "", .limit = limit};
}

static uint64_t requests_of(world *w)
{
    leat__http_stats stats;
    leat__http_get_stats(w->http, &stats);
    return stats.requests;
}

static const char *header_of(const char *path, const char *name)
{
    return http_servers_ask(&servers, "/__header?path=%.*s&name=%s", (int)strcspn(path, "?"), path, name);
}

/* ---- limits ---- */

START_TEST(ends_at_its_limit)
{
    static const struct { const char *path; uint64_t from, limit; } cases[] = {
        {"/ok/l0?size=400000", 0, 150000}, {"/ok/l1?size=400000", 1000, 65536}, {"/ok/l2?size=400000", 0, 1},
        {"/ok/l3?size=400000&frame=chunked", 0, 150000}, {"/ok/l4?size=400000&range=no", 70000, 150000},
        {"/cut/l5?size=400000&at=30000&times=4", 5000, 150000}, {"/stall/l6?size=400000&at=150000", 0, 150000},
        {"/ok/l7?size=400000", 131072, 131072},
    };
    world w;
    sharer s = {0};
    world_init(&w);
    world_open(&w);
    leat__http_range range = limited(cases[_i].from, cases[_i].limit);
    share(&s, &w, chaos_url(cases[_i].path), &range);
    finish(&w, &s, 1);
    ck_assert_msg(!s.error.code, "%s", s.error.message);
    ck_assert_uint_eq(s.got, cases[_i].limit - cases[_i].from);
    world_close(&w);
}
END_TEST

/* Behind the object's end a limit says nothing. */
START_TEST(a_limit_behind_the_end)
{
    world w;
    sharer s = {0};
    leat__http_range range = limited(1000, 500000);
    world_init(&w);
    world_open(&w);
    share(&s, &w, chaos_url("/ok/beyond"), &range);
    finish(&w, &s, 1);
    ck_assert_msg(!s.error.code && s.got == 99000, "%s", s.error.message);
    world_close(&w);
}
END_TEST

/* Raised when it gets the last bytes: they go on, out of the same answer. Steps around curl's pieces and our buffers. */
START_TEST(raised_in_time_the_bytes_go_on)
{
    static const uint64_t steps[] = {7, 999, 16383, 16384, 16385, 30000, 65536, 100000, 399999};
    char path[64];
    world w;
    sharer s = {.raise = steps[_i % 9], .pause_every = (unsigned)_i / 9};
    world_init(&w);
    world_open(&w);
    snprintf(path, sizeof path, "/ok/raise%d?size=%d", _i, s.raise == 7 ? 30000 : 400000);
    leat__http_range range = limited(0, s.raise);
    share(&s, &w, chaos_url(path), &range);
    finish(&w, &s, 1);
    ck_assert_msg(!s.error.code && s.got == (s.raise == 7 ? 30000 : 400000), "%s", s.error.message);
    if (!s.pause_every || s.raise % w.options.chunk_bytes == 0) ck_assert_int_eq(asked("count", path), 1);
    world_close(&w);
}
END_TEST

/* What curl holds of an answer while its consumer pauses at the limit is not lost when that is raised: no request more. */
START_TEST(raised_while_paused_at_the_limit)
{
    world w;
    sharer s = {.pause_every = 1};
    world_init(&w);
    w.options.chunk_bytes = 32 << 10;
    world_open(&w);
    leat__http_range range = limited(0, 50000);
    share(&s, &w, chaos_url("/ok/held?size=400000"), &range);
    while (!s.paused) uv_run(&w.loop, UV_RUN_ONCE);
    ck_assert_uint_eq(s.got, 32 << 10);
    world_run_for(&w, 200); /* the next buffer is full up to the limit, and curl holds what comes then */
    move_limit(&s, 300000);
    finish(&w, &s, 1);
    ck_assert_msg(!s.error.code && s.got == 300000, "%s", s.error.message);
    ck_assert_int_eq(asked("count", "/ok/held"), 1);
    world_close(&w);
}
END_TEST

/* Lowered into a buffer that is being filled while the consumer pauses, and raised again: still the same answer. */
START_TEST(lowered_and_raised_while_paused)
{
    world w;
    sharer s = {.pause_every = 1};
    world_init(&w);
    w.options.chunk_bytes = 16 << 10;
    world_open(&w);
    leat__http_range range = limited(0, 0);
    share(&s, &w, chaos_url("/pieces/held?size=30000&at=1000"), &range);
    while (!s.paused) uv_run(&w.loop, UV_RUN_ONCE);
    move_limit(&s, 25500);
    world_run_for(&w, 600);
    move_limit(&s, 29000);
    finish(&w, &s, 1);
    ck_assert_msg(!s.error.code && s.got == 29000, "%s", s.error.message);
    ck_assert_int_eq(asked("count", "/pieces/held"), 1);
    world_close(&w);
}
END_TEST

/* Lowered while bytes come, by another one's wish: to what lies ahead, in the buffer, behind what was handed out. */
START_TEST(lowered_from_outside)
{
    static const struct { uint64_t to, got; } cases[] = {{20000, 20000}, {8500, 8500}, {3000, 3000}, {0, 0}};
    char path[64];
    world w;
    sharer s = {0};
    world_init(&w);
    world_open(&w);
    snprintf(path, sizeof path, "/pieces/lower%d?size=60000&at=1000", _i);
    leat__http_range range = limited(0, 0);
    share(&s, &w, chaos_url(path), &range);
    world_run_for(&w, 400); /* some 12,000 bytes: all of them in the first buffer */
    ck_assert_uint_eq(s.got, 0);
    move_limit(&s, cases[_i].to);
    ck_assert_uint_eq(s.got, 0);
    finish(&w, &s, 1);
    ck_assert_msg(!s.error.code && s.got == cases[_i].got, "%s", s.error.message);
    ck_assert_uint_eq(requests_of(&w), 1);
    world_close(&w);
}
END_TEST

/* Lowered into the buffer and raised again at once: the bytes between come once more, by another request. */
START_TEST(lowered_and_raised_again)
{
    world w;
    sharer s = {0};
    world_init(&w);
    world_open(&w);
    leat__http_range range = limited(0, 0);
    share(&s, &w, chaos_url("/pieces/again?size=30000&at=1000&times=1"), &range);
    world_run_for(&w, 400);
    move_limit(&s, 3000);
    move_limit(&s, 25000);
    finish(&w, &s, 1);
    ck_assert_msg(!s.error.code && s.got == 25000, "%s", s.error.message);
    ck_assert_uint_eq(requests_of(&w), 2);
    ck_assert_str_eq(header_of("/pieces/again", "Range"), "-\nbytes=3000-\n");
    world_close(&w);
}
END_TEST

/* One that waits for a place, and one that waits for its delay to pass, end at once where nothing is left for them. */
START_TEST(lowered_before_it_runs)
{
    world w;
    sharer s[3] = {{0}};
    world_init(&w);
    w.options.connections = 1;
    world_open(&w);
    leat__http_range all = limited(0, 0), part = limited(5000, 0);
    share(&s[0], &w, chaos_url("/status/wait?code=500&retry_after=1&times=1"), &part);
    world_run_for(&w, 200);
    share(&s[1], &w, chaos_url("/stall/wait?at=0&times=1"), &all);
    share(&s[2], &w, chaos_url("/ok/wait2"), &part);
    world_run_for(&w, 100);
    uint64_t before = requests_of(&w), begin = uv_hrtime();
    move_limit(&s[0], 0);
    move_limit(&s[2], 0);
    while (!s[0].ends || !s[2].ends) uv_run(&w.loop, UV_RUN_ONCE);
    ck_assert_uint_lt(uv_hrtime() - begin, 200 * LEAT__MS);
    ck_assert(!s[0].error.code && !s[2].error.code && s[0].got == 0 && s[2].got == 0);
    ck_assert_uint_eq(requests_of(&w), before);
    finish(&w, s, 3);
    ck_assert_uint_eq(s[1].got, 100000);
    world_close(&w);
}
END_TEST

/* Limits that move at random while connections break, consumers pause and connections are renewed: each transfer gives
 * exactly what lies before its last limit, every byte right. */
START_TEST(random_limits_lose_nothing)
{
    enum { COUNT = 12, SIZE = 600000 };
    static const char *const kinds[] = {
        "/ok/x%d-%d?size=600000", "/ok/x%d-%d?size=600000&frame=chunked", "/cut/x%d-%d?size=600000&at=90000&times=4",
        "/reset/x%d-%d?size=600000&at=50000&times=3", "/ok/x%d-%d?size=600000&range=no", "/ok/x%d-%d?size=600000&frame=close",
    };
    char path[128];
    world w;
    sharer s[COUNT] = {{0}};
    world_init(&w);
    w.random = (uint64_t)_i * 977 + 5;
    w.options.connections = 1 + (uint32_t)_i % 6;
    w.options.chunk_bytes = (size_t)16384 << (_i % 3);
    w.options.stall_timeout_ms = 2000;
    w.options.retries = 100;
    world_open(&w);
    for (int i = 0; i < COUNT; i++) {
        leat__http_range range = limited((world_random(&w) >> 20) % SIZE, 0);
        range.limit = range.from + 1 + (world_random(&w) >> 20) % (SIZE - range.from);
        if (i % 3 == 0) range.to = SIZE;
        snprintf(path, sizeof path, kinds[i % 6], _i, i);
        s[i].pause_every = (unsigned)(world_random(&w) >> 61);
        s[i].raise = i % 2 ? (world_random(&w) >> 20) % 40000 : 0;
        share(&s[i], &w, chaos_url(path), &range);
        if (s[i].stop == ANY) s[i].stop = SIZE; /* which the object's end is */
    }
    uint64_t begin = uv_hrtime();
    while (w.running) {
        ck_assert_uint_lt(uv_hrtime() - begin, UINT64_C(20000) * LEAT__MS);
        for (int i = 0; i < COUNT; i++) {
            uint64_t dice = world_random(&w) >> 40;
            if (!s[i].transfer) continue;
            if (s[i].paused && dice % 7 == 0) resume(&s[i]);
            else if (dice % 97 == 1) move_limit(&s[i], (world_random(&w) >> 20) % (SIZE + 1));
            else if (dice % 499 == 2) leat__transfer_renew(s[i].transfer);
            else if (dice % 11 == 3) leat__transfer_flush(s[i].transfer);
        }
        if (w.running) uv_run(&w.loop, UV_RUN_NOWAIT);
    }
    for (int i = 0; i < COUNT; i++) {
        ck_assert_msg(!s[i].error.code, "%d: %s", i, s[i].error.message);
        ck_assert_msg(s[i].start + s[i].got == s[i].limit, "%d: %llu of %llu", i, (unsigned long long)(s[i].start + s[i].got),
                      (unsigned long long)s[i].limit);
    }
    world_close(&w);
}
END_TEST

/* ---- renewed connections (F14) ---- */

START_TEST(renewed_when_it_is_slow)
{
    world w;
    sharer s = {0};
    leat__http_stats stats;
    world_init(&w);
    world_open(&w);
    leat__http_range range = limited(1000, 0);
    share(&s, &w, chaos_url("/trickle/renew?at=50000&times=1&size=300000"), &range);
    leat__transfer_renew(s.transfer); /* has no connection yet */
    world_run_for(&w, 200);
    leat__transfer_renew(s.transfer);
    leat__transfer_renew(s.transfer);
    finish(&w, &s, 1);
    ck_assert_msg(!s.error.code && s.got == 299000, "%s", s.error.message);
    leat__http_get_stats(w.http, &stats);
    ck_assert_uint_eq(stats.requests, 2);
    ck_assert_uint_eq(stats.retries, 0);
    ck_assert_uint_eq(s.retries, 0);
    ck_assert_uint_eq(s.facts.attempts, 2);
    ck_assert_int_eq(asked("connections", "/trickle/renew"), 2);
    world_close(&w);
}
END_TEST

/* From within its data, and while it is paused: each byte once all the same, and each time on another connection. */
START_TEST(renewed_at_any_time)
{
    world w;
    sharer s = {.pause_every = (unsigned)_i, .renew_at_data = true};
    char path[64];
    world_init(&w);
    world_open(&w);
    snprintf(path, sizeof path, "/ok/renew%d?size=400000", _i);
    leat__http_range range = limited(0, 0);
    share(&s, &w, chaos_url(path), &range);
    finish(&w, &s, 1);
    ck_assert_msg(!s.error.code && s.got == 400000, "%s", s.error.message);
    ck_assert_uint_gt(requests_of(&w), 2);
    ck_assert_int_eq((int)requests_of(&w), asked("connections", path));
    world_close(&w);
}
END_TEST

/* ---- strict ranges, conditions, facts ---- */

typedef struct row {
    const char *path;
    leat__http_range range;
    leat_code code;
    const char *words, *matches, *since; /* in the message; the conditions that were sent, a request a line */
} row;

#define STRICT(first, end) {.from = first, .to = end, .total = ANY, .etag = "", .strict = true}
#define KNOWN(first, end, tag, date) {.from = first, .to = end, .total = ANY, .etag = tag, .modified = date}
#define DATE "Tue, 01 Jul 2025 10:00:00 GMT"
#define LATER "Wed, 02 Jul 2025 10:00:00 GMT"

static const row rows[] = {
    {"/ok/s0?range=no", STRICT(1000, ANY), LEAT_ERANGE, "the server answered HTTP 200", "-\n", "-\n"},
    {"/ok/s1?range=no&frame=chunked", STRICT(1000, 50000), LEAT_ERANGE, "asked for bytes 1000-49999", "-\n", "-\n"},
    {"/ok/s2?range=no", STRICT(0, 50000), LEAT_OK, "", "-\n", "-\n"},
    {"/ok/s3", STRICT(1000, 50000), LEAT_OK, "", "-\n", "-\n"},
    {"/cut/s4?at=20000&times=1&range=no", STRICT(0, ANY), LEAT_OK, "", "-\n\"v1\"\n", "-\n-\n"},
    /* F2: the first request already */
    {"/ok/c0", KNOWN(1000, 50000, "\"v1\"", NULL), LEAT_OK, "", "\"v1\"\n", "-\n"},
    {"/ok/c1", KNOWN(0, ANY, "\"v1\"", NULL), LEAT_OK, "", "\"v1\"\n", "-\n"},
    {"/ok/c2", KNOWN(1000, 50000, "\"v2\"", NULL), LEAT_ECHANGED, "its ETag is \"v1\", \"v2\" was expected", "\"v2\"\n", "-\n"},
    {"/ok/c3?precondition=0", KNOWN(1000, 50000, "\"v2\"", NULL), LEAT_ECHANGED, "\"v2\" was expected", "\"v2\"\n", "-\n"},
    {"/ok/c4?etag=weak", KNOWN(1000, 50000, "W/\"v1\"", DATE), LEAT_OK, "", "-\n", DATE "\n"},
    {"/ok/c5", KNOWN(1000, 50000, "", DATE), LEAT_OK, "", "-\n", DATE "\n"},
    {"/ok/c6", KNOWN(1000, 50000, "", LATER), LEAT_ECHANGED, "it was modified " DATE ", " LATER " was expected", "-\n", LATER "\n"},
    {"/ok/c7", KNOWN(0, ANY, NULL, LATER), LEAT_ECHANGED, LATER " was expected", "-\n", LATER "\n"},
    {"/ok/c8", KNOWN(1000, 50000, "\"v1\"", LATER), LEAT_OK, "", "\"v1\"\n", "-\n"}, /* the ETag is what counts */
    {"/ok/c9?etag=none", KNOWN(1000, 50000, "\"v1\"", NULL), LEAT_OK, "", "\"v1\"\n-\n", "-\n-\n"},
    {"/status/c10?code=412", KNOWN(1000, 50000, "\"v1\"", NULL), LEAT_ECHANGED, "HTTP 412", NULL, NULL},
    {"/cut/c11?at=20000&times=1", KNOWN(1000, 50000, "\"v1\"", NULL), LEAT_OK, "", "\"v1\"\n\"v1\"\n", "-\n-\n"},
    {"/redirect/c12?to=/ok/c12", KNOWN(1000, 50000, "\"v1\"", NULL), LEAT_OK, "", "\"v1\"\n", "-\n"},
};

START_TEST(strict_and_conditions)
{
    const row *r = &rows[_i];
    world w;
    sharer s = {0};
    world_init(&w);
    world_open(&w);
    share(&s, &w, chaos_url(r->path), &r->range);
    finish(&w, &s, 1);
    ck_assert_msg(s.error.code == r->code, "%s: %s", r->path, s.error.message);
    uint64_t end = r->range.to == ANY ? 100000 : r->range.to;
    ck_assert_uint_eq(s.got, r->code ? 0 : end - r->range.from);
    ck_assert_msg(strstr(s.error.message, r->words) != NULL, "%s: %s", r->path, s.error.message);
    if (r->matches) ck_assert_str_eq(header_of(r->path, "If-Match"), r->matches);
    if (r->since) ck_assert_str_eq(header_of(r->path, "If-Unmodified-Since"), r->since);
    world_close(&w);
}
END_TEST

/* nginx says 412 without a word of what it has; it is asked once more, and what it has then is looked at. */
START_TEST(conditions_at_nginx)
{
    char url[128];
    world w;
    sharer s[3] = {{0}};
    leat__http_range whole = limited(0, 0), wrong = KNOWN(1000, 2000, "\"0-0\"", NULL), right = wrong;
    world_init(&w);
    world_open(&w);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/small", servers.nginx);
    share(&s[0], &w, url, &whole);
    finish(&w, s, 1);
    ck_assert_uint_eq(s[0].facts.total, 58000);
    ck_assert(s[0].facts.ranges && s[0].etag[0] == '"' && s[0].modified[0]);
    right.etag = s[0].etag;
    share(&s[1], &w, url, &right);
    share(&s[2], &w, url, &wrong);
    finish(&w, s, 3);
    ck_assert_msg(!s[1].error.code && s[1].got == 1000, "%s", s[1].error.message);
    ck_assert_int_eq(s[2].error.code, LEAT_ECHANGED);
    ck_assert_msg(strstr(s[2].error.message, "\"0-0\" was expected") && s[2].got == 0, "%s", s[2].error.message);
    world_close(&w);
}
END_TEST

START_TEST(facts_of_an_object)
{
    static const struct { const char *path; uint64_t to, total; const char *etag; bool modified, ranges; } cases[] = {
        {"/ok/f0", ANY, 100000, "\"v1\"", true, true}, {"/ok/f1?etag=none", ANY, 100000, "", true, true},
        {"/ok/f2?etag=weak&modified=0", ANY, 100000, "W/\"v1\"", false, false},
        {"/ok/f3?etag=none&modified=0", ANY, 100000, "", false, false},
        {"/ok/f4?frame=chunked", ANY, ANY, "\"v1\"", true, true}, {"/ok/f5", 5000, 100000, "\"v1\"", true, true},
        {"/ok/f6?range=no", 5000, 100000, "\"v1\"", true, false},
    };
    world w;
    sharer s = {0};
    leat__http_range range = limited(0, 0);
    world_init(&w);
    world_open(&w);
    range.to = cases[_i].to;
    share(&s, &w, chaos_url(cases[_i].path), &range);
    finish(&w, &s, 1);
    ck_assert_msg(!s.error.code, "%s", s.error.message);
    ck_assert_uint_eq(s.facts.total, cases[_i].total);
    ck_assert_str_eq(s.etag, cases[_i].etag);
    ck_assert_int_eq(s.modified[0] != 0, cases[_i].modified);
    ck_assert_int_eq(s.facts.ranges, cases[_i].ranges);
    ck_assert_uint_eq(s.facts.attempts, 1);
    world_close(&w);
}
END_TEST

START_TEST(accept_ranges_none_is_heard)
{
    static const char *const lines[] = {"HTTP/1.1 200 OK\r\n", "Content-Length: 10\r\n", "ETag: \"a\"\r\n", NULL};
    leat__known any = {.total = ANY}, known = any;
    leat__asked whole = {.to = ANY, .max_bytes = ANY, .expected = &any};
    leat__reply reply = {0};
    leat__span span;
    leat__fault fault;
    for (int i = 0; i < 4; i++) {
        const char *line = lines[i] ? lines[i] : _i ? "Accept-Ranges: None\r\n" : "Accept-Ranges: bytes\r\n";
        ck_assert(leat__reply_line(&reply, line, strlen(line), &fault));
    }
    ck_assert_int_eq(leat__reply_judge(&reply, &whole, &known, &span, &fault), LEAT__VERDICT_BODY);
    ck_assert_int_eq(known.rangeless, _i);
    leat__reply_clear(&reply);
}
END_TEST

/* ---- being told of retries ---- */

START_TEST(retries_are_told)
{
    world w;
    sharer s[3] = {{0}, {.cancel_at_retry = 2}, {0}};
    leat__http_range all = limited(0, 0);
    world_init(&w);
    world_open(&w);
    share(&s[0], &w, chaos_url("/status/told0?code=500&times=3"), &all);
    share(&s[1], &w, chaos_url("/status/told1?code=502"), &all);
    share(&s[2], &w, chaos_url("/status/told2?code=404"), &all);
    finish(&w, s, 3);
    ck_assert_msg(!s[0].error.code && s[0].got == 100000, "%s", s[0].error.message);
    ck_assert_uint_eq(s[0].retries, 3);
    ck_assert_int_eq(s[0].retry_error.code, LEAT_EHTTP);
    ck_assert_msg(strstr(s[0].retry_error.message, "HTTP 500 Bad Luck after 3 attempts"), "%s", s[0].retry_error.message);
    ck_assert(s[1].canceled && !s[1].ends);
    ck_assert_int_eq(asked("count", "/status/told1"), 2);
    ck_assert_uint_eq(s[2].retries, 0);
    world_close(&w);
}
END_TEST

static Suite *sharing_suite(void)
{
    Suite *suite = suite_create("http_sharing");
    TCase *limits = add_case(suite, "limits");
    tcase_add_loop_test(limits, ends_at_its_limit, 0, 8);
    tcase_add_test(limits, a_limit_behind_the_end);
    tcase_add_loop_test(limits, raised_in_time_the_bytes_go_on, 0, 27);
    tcase_add_test(limits, raised_while_paused_at_the_limit);
    tcase_add_test(limits, lowered_and_raised_while_paused);
    tcase_add_loop_test(limits, lowered_from_outside, 0, 4);
    tcase_add_test(limits, lowered_and_raised_again);
    tcase_add_test(limits, lowered_before_it_runs);
    tcase_add_loop_test(limits, random_limits_lose_nothing, 0, 20);
    TCase *renewed = add_case(suite, "renewed");
    tcase_add_test(renewed, renewed_when_it_is_slow);
    tcase_add_loop_test(renewed, renewed_at_any_time, 0, 3);
    TCase *answers = add_case(suite, "answers");
    tcase_add_loop_test(answers, strict_and_conditions, 0, sizeof rows / sizeof *rows);
    tcase_add_test(answers, conditions_at_nginx);
    tcase_add_loop_test(answers, facts_of_an_object, 0, 7);
    tcase_add_loop_test(answers, accept_ranges_none_is_heard, 0, 2);
    tcase_add_test(answers, retries_are_told);
    return suite;
}

int main(void)
{
    return http_suite_run(sharing_suite());
}
