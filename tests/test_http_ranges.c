/* test_http_ranges.c - ranges of objects through the HTTP client: what is asked for, believed, gone on with, and refused.
 *
 * Every test ends with uv_loop_close() == 0, no live buffer and nothing charged (world_close). */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "http_fetch.h"

#define ANY LEAT__NO_SIZE

static leat__http_range bytes(uint64_t from, uint64_t to)
{
    return (leat__http_range){.from = from, .to = to, .total = ANY, .etag = ""};
}

/* The values of a header that the chaos server kept of a path, a line each. */
static const char *header_of(const char *path, const char *name)
{
    return http_servers_ask(&servers, "/__header?path=%.*s&name=%s", (int)strcspn(path, "?"), path, name);
}

/* ---- the table ---- */

typedef struct row {
    const char *path;      /* on the chaos server; objects are 100,000 bytes unless it says so */
    leat__http_range range;
    leat_code code;
    int requests;          /* that the server saw; -1: not checked */
    const char *words;     /* in the message */
    uint64_t most;         /* bytes that may have come before a failure */
} row;

#define RANGE(first, end, size, tag) {.from = first, .to = end, .total = size, .etag = tag}
#define GOOD(path, from, to, requests) {path, RANGE(from, to, ANY, ""), LEAT_OK, requests, NULL, 0}
#define BAD(path, from, to, code, requests, words, most) {path, RANGE(from, to, ANY, ""), code, requests, words, most}
#define KNOWN(path, from, to, total, etag, code, requests, words, most) \
    {path, RANGE(from, to, total, etag), code, requests, words, most}

static const row rows[] = {
    /* at the beginning, the end, around chunks' and curl's pieces; framed in each way */
    GOOD("/ok/r0", 0, 100000, 1), GOOD("/ok/r1", 0, 1, 1), GOOD("/ok/r2", 99999, 100000, 1), GOOD("/ok/r3", 1, 65537, 1),
    GOOD("/ok/r4", 16384, 81920, 1), GOOD("/ok/r5?size=3000001", 1000, 2999999, 1),
    GOOD("/ok/r6?frame=chunked", 5000, 70001, 1), GOOD("/ok/r7?frame=close", 5000, 70001, 1),
    GOOD("/ok/r8", 40000, ANY, 1),
    /* broken in the middle: goes on at the byte where it stopped, and no further than was asked */
    GOOD("/reset/r0?at=3000&times=2", 20000, 90000, 3), GOOD("/reset/r1?at=-2&times=2", 20000, 90000, 3),
    GOOD("/reset/r2?at=-1&times=1", 20000, 90000, 2), GOOD("/reset/r3?at=69999&times=1", 20000, 90000, 2),
    GOOD("/reset/r4?at=70000&times=1", 20000, 90000, 1), GOOD("/cut/r0?at=5000", 20000, 90000, 14),
    GOOD("/cut/r1?at=30000&times=1&frame=chunked", 0, 90000, 2), GOOD("/cut/r2?at=30000&times=1&etag=weak", 0, 90000, 2),
    GOOD("/cut/r3?at=30000&times=1&etag=none&modified=0", 10000, 90000, 2),
    BAD("/reset/r5?at=0", 20000, 90000, LEAT_ENETWORK, 5, "after 5 attempts, at byte 20000 of 100000", 0),
    GOOD("/status/r0?code=503&times=1&retry_after=0", 20000, 90000, 2),
    GOOD("/redirect/r0?to=/ok/rr0", 20000, 90000, 1), GOOD("/redirect/r1?to=/cut/rr1%3Fat=20000%26times=2", 20000, 90000, 3),
    BAD("/status/r1?code=404", 20000, 90000, LEAT_ENOTFOUND, 1, "HTTP 404", 0),
    /* all that was asked for is there: that the answer doesn't end is no failure */
    GOOD("/stall/r0?at=70000&frame=chunked", 30000, 100000, 1), GOOD("/cut/r4?at=70000&frame=chunked", 30000, 100000, 1),
    GOOD("/cut/r5?at=70000&range=no", 30000, 70000, 1), GOOD("/stall/r1?at=70000&range=no", 30000, 70000, 1),
    /* a server without ranges */
    GOOD("/ok/n0?range=no&size=400000", 100000, 200000, 1), GOOD("/ok/n1?range=no&size=400000", 0, 65536, 1),
    GOOD("/ok/n2?range=no", 30000, 100000, 1), GOOD("/ok/n3?range=no", 0, 100000, 1),
    GOOD("/ok/n4?range=no&frame=chunked", 30000, 70001, 1), GOOD("/ok/n5?range=no&frame=chunked", 30000, 100000, 1),
    GOOD("/ok/n6?range=no&frame=close", 30000, 70001, 1), GOOD("/cut/n0?at=150000&times=1&range=no&size=400000", 100000, 200000, 2),
    GOOD("/cut/n1?at=50000&times=1&range=no&size=400000", 100000, 200000, 2),
    BAD("/cut/n2?at=180000&range=no&size=400000&etag=change", 100000, 200000, LEAT_ECHANGED, -1, "changed", 80000),
    /* objects that end too early */
    BAD("/ok/e0", 50000, 150000, LEAT_ETRUNCATED, 1, "has 100000 bytes, asked was for bytes 50000-149999", 0),
    BAD("/ok/e1", 99999, 100001, LEAT_ETRUNCATED, 1, "has 100000 bytes", 0),
    BAD("/ok/e2", 100000, 100001, LEAT_ETRUNCATED, 1, "has 100000 bytes, asked was for bytes 100000-100000", 0),
    BAD("/ok/e3", 200000, 300000, LEAT_ETRUNCATED, 1, "has 100000 bytes, asked was for bytes 200000-299999", 0),
    BAD("/ok/e4?size=0", 0, 10, LEAT_ETRUNCATED, 1, "has 0 bytes", 0),
    BAD("/ok/e5?range=no", 50000, 150000, LEAT_ETRUNCATED, 1, "has 100000 bytes, asked was for bytes 50000-149999", 0),
    BAD("/ok/e6?range=no", 200000, 300000, LEAT_ETRUNCATED, 1, "has 100000 bytes", 0),
    BAD("/ok/e7?range=no&frame=chunked", 50000, 150000, LEAT_ETRUNCATED, 1, "has 100000 bytes, asked was for", 50000),
    BAD("/ok/e8?range=no&frame=chunked", 200000, 300000, LEAT_ETRUNCATED, 1, "has 100000 bytes", 0),
    BAD("/ok/e9?range=no&frame=close", 50000, 150000, LEAT_ETRUNCATED, 5, "has 100000 bytes", 50000),
    BAD("/bad_range/e0?kind=star", 50000, 150000, LEAT_ETRUNCATED, 2, "has 100000 bytes, asked was for bytes 100000-149999", 50000),
    /* answers that are not what was asked for */
    BAD("/bad_range/b0?kind=start", 30000, 70000, LEAT_ERANGE, 1, "asked for bytes 30000-69999 of -1", 0),
    BAD("/bad_range/b1?kind=before", 30000, 70000, LEAT_ERANGE, 1, "206 with bytes 29995-69999 of 100000", 0),
    BAD("/bad_range/b2?kind=beyond", 30000, 70000, LEAT_ERANGE, 1, "206 with bytes 30000-70004 of 100000", 0),
    BAD("/bad_range/b3?kind=end", 30000, 70000, LEAT_ERANGE, 1, "206 with bytes 30000-100005 of 100000", 0),
    BAD("/bad_range/b4?kind=missing", 30000, 70000, LEAT_ERANGE, 1, "no usable Content-Range", 0),
    BAD("/bad_range/b5?kind=multipart", 30000, 70000, LEAT_ERANGE, 1, "multipart/byteranges", 0),
    BAD("/bad_range/b6?kind=oversize", 30000, 70000, LEAT_EOVERSIZE, 1, "the 70000 that were announced", 40000),
    GOOD("/bad_range/b7?kind=star", 30000, 70000, 1), GOOD("/bad_range/b8?kind=short&step=7000", 30000, 70000, 6),
    BAD("/encoding/b0", 30000, 70000, LEAT_EENCODING, 1, "Content-Encoding gzip", 0),
    /* objects that change on the way */
    BAD("/grow/c0?at=150000&size=400000&etag=none", 20000, 300000, LEAT_ECHANGED, 2, "size was 400000, is 400007", 150000),
    BAD("/cut/c0?at=150000&times=1&etag=change&size=400000", 20000, 300000, LEAT_ECHANGED, 2, "HTTP 412", 150000),
    BAD("/cut/c1?at=150000&times=1&etag=change&size=400000&precondition=0", 20000, 300000, LEAT_ECHANGED, 2, "is \"v2\"", 150000),
    GOOD("/cut/c2?at=30000&times=1&etag=change", 20000, 90000, 3), GOOD("/grow/c1?at=30000&etag=none", 20000, 90000, 3),
    GOOD("/grow/c2?at=0", 20000, 90000, 2),
    /* what is known beforehand */
    KNOWN("/ok/k0", 20000, 90000, 100000, "\"v1\"", LEAT_OK, 1, NULL, 0),
    KNOWN("/ok/k1", 0, ANY, 100000, "\"v1\"", LEAT_OK, 1, NULL, 0),
    KNOWN("/ok/k2", 20000, 90000, 100001, "", LEAT_ECHANGED, 1, "its size is 100000, 100001 was expected", 0),
    KNOWN("/ok/k3", 20000, 90000, 90000, "\"v1\"", LEAT_ECHANGED, 1, "its size is 100000, 90000 was expected", 0),
    KNOWN("/ok/k4", 20000, 90000, ANY, "\"v2\"", LEAT_ECHANGED, 1, "its ETag is \"v1\", \"v2\" was expected", 0),
    KNOWN("/ok/k5", 0, ANY, 100001, "", LEAT_ECHANGED, 1, "its size is 100000, 100001 was expected", 0),
    KNOWN("/ok/k6", 0, ANY, ANY, "\"v2\"", LEAT_ECHANGED, 1, "\"v2\" was expected", 0),
    KNOWN("/ok/k7", 150000, 160000, 170000, "", LEAT_ECHANGED, 1, "its size is 100000, 170000 was expected", 0), /* 416 */
    KNOWN("/ok/k8", 50000, 150000, 150000, "", LEAT_ECHANGED, 1, "its size is 100000, 150000 was expected", 0),
    KNOWN("/ok/k9?range=no", 20000, 90000, 100001, "", LEAT_ECHANGED, 1, "100001 was expected", 0),
    KNOWN("/ok/k10?range=no", 20000, 90000, 100000, "\"v1\"", LEAT_OK, 1, NULL, 0),
    /* a server without ETags does not fulfil a condition on one: asked without it, it serves what was expected */
    KNOWN("/ok/k11?etag=none", 20000, 90000, 100000, "\"v1\"", LEAT_OK, 2, NULL, 0),
    KNOWN("/ok/k11a?etag=none", 20000, 90000, 100001, "\"v1\"", LEAT_ECHANGED, 2, "100001 was expected", 0),
    KNOWN("/ok/k11b?etag=none&precondition=0", 20000, 90000, 100000, "\"v1\"", LEAT_OK, 1, NULL, 0),
    KNOWN("/cut/k0?at=30000&times=1", 20000, 90000, 100000, "\"v1\"", LEAT_OK, 2, NULL, 0),
    KNOWN("/cut/k1?at=30000&times=1&etag=change", 20000, 90000, ANY, "\"v1\"", LEAT_ECHANGED, 3, "\"v3\", \"v1\" was expected", 0),
    /* ... and a size that only the end can tell */
    KNOWN("/ok/k12?frame=chunked", 0, ANY, 100000, "", LEAT_OK, 1, NULL, 0),
    KNOWN("/ok/k13?frame=close", 0, ANY, 100000, "", LEAT_OK, 1, NULL, 0),
    KNOWN("/ok/k14?frame=chunked", 0, ANY, 100001, "", LEAT_ECHANGED, 2, "its size is 100000, 100001 was expected", 100000),
    KNOWN("/ok/k15?frame=chunked", 0, ANY, 99999, "", LEAT_ECHANGED, 1, "larger than the 99999 bytes", 99999),
    KNOWN("/ok/k16?range=no&frame=chunked", 0, ANY, 100001, "", LEAT_ETRUNCATED, 5, "ended before", 100000),
    KNOWN("/bad_range/k0?kind=star", 20000, 90000, 95000, "", LEAT_OK, 1, NULL, 0), /* said by nobody, so not compared */
};

START_TEST(range_rows)
{
    const row *r = &rows[_i];
    world w;
    fetch f = {0};
    world_init(&w);
    world_open(&w);
    fetch_start_range(&f, &w, chaos_url(r->path), &r->range);
    world_run_until(&w, &w.running, 0, 10 * SECOND);
    ck_assert_msg(f.error.code == r->code, "%s: %s: %s", r->path, leat_code_name(f.error.code), f.error.message);
    uint64_t to = r->range.to == ANY ? 100000 : r->range.to;
    if (r->code) {
        ck_assert_msg(strstr(f.error.message, r->words) != NULL, "%s: %s", r->path, f.error.message);
        ck_assert_uint_le(f.got, r->most);
    } else {
        ck_assert_msg(f.got == to - r->range.from, "%s: %d bytes", r->path, (int)f.got);
    }
    const char *counted = strstr(r->path, "/rr1") ? "/cut/rr1" : r->path;
    int count = asked("count", counted);
    ck_assert_msg(r->requests < 0 || count == r->requests, "%s: %d requests", r->path, count);
    world_close(&w);
}
END_TEST

/* ---- what is asked for ---- */

START_TEST(asks_for_what_is_wanted_and_no_more)
{
    static const struct { const char *path; uint64_t from, to; const char *ranges, *matches; } cases[] = {
        {"/ok/a0", 0, ANY, "-\n", "-\n"}, {"/ok/a1", 5, ANY, "bytes=5-\n", "-\n"}, {"/ok/a2", 0, 100, "bytes=0-99\n", "-\n"},
        {"/ok/a3", 99999, 100000, "bytes=99999-99999\n", "-\n"},
        {"/cut/a4?at=3000&times=2", 20000, 90000, "bytes=20000-89999\nbytes=23000-89999\nbytes=26000-89999\n",
         "-\n\"v1\"\n\"v1\"\n"},
        {"/cut/a5?at=0&times=1", 20000, 90000, "bytes=20000-89999\nbytes=20000-89999\n", "-\n-\n"}, /* no byte binds it */
        {"/ok/a6", 1, UINT64_MAX - 1, "bytes=1-18446744073709551613\n", "-\n"},
    };
    world w;
    world_init(&w);
    world_open(&w);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fetch f = {0};
        leat__http_range range = bytes(cases[i].from, cases[i].to);
        fetch_start_range(&f, &w, chaos_url(cases[i].path), &range);
        world_run_until(&w, &w.running, 0, 5 * SECOND);
        ck_assert_str_eq(header_of(cases[i].path, "Range"), cases[i].ranges);
        ck_assert_str_eq(header_of(cases[i].path, "If-Match"), cases[i].matches);
    }
    world_close(&w);
}
END_TEST

/* An empty range ends without a request, and not from within the call; an end may be cancelled before it comes. */
START_TEST(empty_ranges)
{
    world w;
    fetch f[4] = {0};
    leat__http_stats stats;
    leat__http_range empty[] = {bytes(0, 0), bytes(50, 50), bytes(200000, 200000), bytes(7, 7)};
    world_init(&w);
    world_open(&w);
    for (int i = 0; i < 4; i++) fetch_start_range(&f[i], &w, chaos_url("/ok/empty"), &empty[i]);
    leat__transfer_flush(f[0].transfer);
    leat__transfer_resume(f[1].transfer);
    leat__transfer_cancel(f[3].transfer);
    f[3].forbidden = true;
    w.running--;
    world_run_until(&w, &w.running, 0, SECOND);
    for (int i = 0; i < 3; i++) ck_assert(f[i].ends == 1 && !f[i].error.code && f[i].got == 0);
    leat__http_get_stats(w.http, &stats);
    ck_assert_uint_eq(stats.requests, 0);
    ck_assert_int_eq(asked("count", "/ok/empty"), 0);
    fetch_start_range(&f[3], &w, chaos_url("/ok/empty"), &empty[0]); /* closed before it has ended */
    f[3].forbidden = true;
    world_close(&w);
}
END_TEST

/* ---- connections ---- */

/* Ranges one after another: one connection does for all, as each ends with its answer. */
START_TEST(ranges_share_a_connection)
{
    world w;
    world_init(&w);
    w.options.connections = 1;
    world_open(&w);
    for (uint64_t i = 0; i < 100; i++) {
        fetch f = {0};
        leat__http_range range = bytes(i * 991, i * 991 + 1 + i * 7);
        range.total = 100000;
        range.etag = "\"v1\"";
        fetch_start_range(&f, &w, chaos_url("/ok/shared"), &range);
        world_run_until(&w, &w.running, 0, 5 * SECOND);
        ck_assert_msg(!f.error.code && f.got == 1 + i * 7, "%s", f.error.message);
    }
    ck_assert_int_eq(asked("count", "/ok/shared"), 100);
    ck_assert_int_eq(asked("connections", "/ok/shared"), 1);
    world_close(&w);
}
END_TEST

/* A server that sends on behind the range is not listened to: the object has 64 MB, little more than the range is read. */
START_TEST(what_lies_behind_the_range_is_not_read)
{
    world w;
    leat__http_stats stats;
    world_init(&w);
    w.options.connections = 1;
    world_open(&w);
    for (int i = 0; i < 3; i++) {
        fetch f = {0};
        leat__http_range range = bytes(1000, 60000);
        fetch_start_range(&f, &w, chaos_url("/ok/behind?range=no&size=64000000"), &range);
        world_run_until(&w, &w.running, 0, 5 * SECOND);
        ck_assert_msg(!f.error.code && f.got == 59000, "%s", f.error.message);
    }
    leat__http_get_stats(w.http, &stats);
    ck_assert_uint_eq(stats.retries, 0);
    ck_assert_uint_lt(stats.bytes, 3 * (60000 + CURL_MAX_WRITE_SIZE));
    ck_assert_int_eq(asked("connections", "/ok/behind"), 3);
    world_close(&w);
}
END_TEST

/* ---- pause, park, go on ---- */

/* Paused for longer than every clock; also with the last byte handed out, and with the answer all there. */
START_TEST(pauses_in_a_range)
{
    static const char *const paths[] = {"/ok/p0?size=900000", "/ok/p1?size=900000&range=no",
                                        "/cut/p2?size=900000&at=200000&times=2", "/ok/p3?size=900000&frame=chunked"};
    world w;
    fetch f = {.pause_every = 1};
    leat__http_range range = bytes(123456, 654321);
    world_init(&w);
    world_open(&w);
    fetch_start_range(&f, &w, chaos_url(paths[_i]), &range);
    for (int pauses = 0; !f.ends; pauses++) {
        while (!f.paused && !f.ends) uv_run(&w.loop, UV_RUN_ONCE);
        if (f.ends) break;
        if (pauses == 2) world_run_for(&w, 3 * (int)w.options.stall_timeout_ms);
        ck_assert(f.paused && !f.ends);
        fetch_resume(&f);
    }
    ck_assert_msg(!f.error.code && f.got == 654321 - 123456, "%s", f.error.message);
    ck_assert_uint_le(leat__budget_peak(&w.budget), 2 * w.options.chunk_bytes);
    world_close(&w);
}
END_TEST

/* The range ends in what curl held while its consumer paused, and nothing more comes: that ends it, and no clock. */
START_TEST(the_end_lies_in_what_curl_held)
{
    world w;
    fetch f = {.pause_every = 1};
    leat__http_range range = bytes(0, 150000);
    world_init(&w);
    w.options.stall_timeout_ms = 30000;
    world_open(&w);
    fetch_start_range(&f, &w, chaos_url("/stall/held?range=no&size=400000&at=150010"), &range);
    for (uint64_t begin = uv_hrtime(); !f.ends;) {
        ck_assert_uint_lt(uv_hrtime() - begin, UINT64_C(3000) * LEAT__MS);
        world_run_for(&w, 100);
        if (f.paused) fetch_resume(&f);
    }
    ck_assert_msg(!f.error.code && f.got == 150000, "%s", f.error.message);
    ck_assert_int_eq(asked("count", "/stall/held"), 1);
    world_close(&w);
}
END_TEST

/* Six ranges of one object on one or two connections, each paused after every chunk, the last one needed first: all are parked in
 * turn, and go on inside of their range. */
START_TEST(parked_ranges_go_on)
{
    world w;
    fetch f[6] = {0};
    char path[64];
    leat__http_stats stats;
    world_init(&w);
    w.options.connections = 1 + (uint32_t)_i;
    world_open(&w);
    snprintf(path, sizeof path, "/ok/parked%d?size=2000000", _i);
    for (int i = 0; i < 6; i++) {
        leat__http_range range = bytes((uint64_t)i * 300000, (uint64_t)i * 300000 + 300000);
        f[i].pause_every = 1;
        fetch_start_range(&f[i], &w, chaos_url(path), &range);
    }
    for (int i = 5; i >= 0; i--) {
        uint64_t begin = uv_hrtime();
        while (!f[i].ends) {
            ck_assert_uint_lt(uv_hrtime() - begin, UINT64_C(5000) * LEAT__MS);
            if (f[i].paused) fetch_resume(&f[i]);
            uv_run(&w.loop, UV_RUN_ONCE);
        }
        ck_assert_msg(!f[i].error.code && f[i].got == 300000, "%s", f[i].error.message);
    }
    leat__http_get_stats(w.http, &stats);
    ck_assert_uint_eq(stats.retries, 0);
    ck_assert_uint_gt(stats.requests, 6); /* some were parked */
    world_close(&w);
}
END_TEST

/* Random ranges, faults, pauses, flushes, places and cancels: every byte of a range once and in order, and each ends. */
START_TEST(random_ranges_lose_nothing)
{
    static const char *const kinds[] = {
        "/ok/q%d-%d?size=%d", "/ok/q%d-%d?frame=chunked&size=%d", "/cut/q%d-%d?at=50000&times=3&size=%d",
        "/reset/q%d-%d?at=30000&times=2&size=%d", "/ok/q%d-%d?range=no&size=%d", "/cut/q%d-%d?at=70000&times=2&range=no&size=%d",
    };
    char path[128];
    world w;
    fetch f[18] = {0};
    uint64_t wanted[18];
    bool canceled[18] = {false};
    world_init(&w);
    w.random = (uint64_t)_i * 977 + 1;
    w.options.connections = 1 + (uint32_t)_i % 5;
    w.options.chunk_bytes = (size_t)16384 << (_i % 4);
    w.options.stall_timeout_ms = 2000;
    w.options.retries = 100;
    world_open(&w);
    for (int i = 0; i < 18; i++) {
        int size = 1 + (int)(world_random(&w) >> 33) % 500000;
        uint64_t from = (world_random(&w) >> 20) % (uint64_t)size;
        uint64_t to = from + (world_random(&w) >> 20) % ((uint64_t)size - from + 1);
        leat__http_range range = bytes(from, to);
        if (i % 2) range.total = (uint64_t)size;
        wanted[i] = to - from;
        snprintf(path, sizeof path, kinds[i % 6], _i, i, size);
        f[i].pause_every = (unsigned)(world_random(&w) >> 60);
        fetch_start_range(&f[i], &w, chaos_url(path), &range);
    }
    uint64_t begin = uv_hrtime();
    while (w.running) {
        ck_assert_uint_lt(uv_hrtime() - begin, UINT64_C(20000) * LEAT__MS);
        for (int i = 0; i < 18; i++) {
            uint64_t dice = world_random(&w) >> 40;
            if (!f[i].transfer) continue;
            if (i % 9 == 8 && dice % 50 == 0 && !canceled[i]) {
                leat__transfer_cancel(f[i].transfer);
                f[i].transfer = NULL;
                canceled[i] = f[i].forbidden = true;
                w.running--;
            } else if (f[i].paused && dice % 7 == 0) {
                fetch_resume(&f[i]);
            } else if (dice % 11 == 0) {
                leat__transfer_flush(f[i].transfer);
            }
        }
        if (w.running) uv_run(&w.loop, UV_RUN_NOWAIT);
    }
    for (int i = 0; i < 18; i++)
        ck_assert_msg(canceled[i] || (!f[i].error.code && f[i].got == wanted[i]), "%d: %s", i, f[i].error.message);
    world_close(&w);
}
END_TEST

START_TEST(cancel_in_a_range)
{
    world w;
    fetch f[8] = {0};
    world_init(&w);
    w.options.connections = 3;
    world_open(&w);
    for (int i = 0; i < 8; i++) {
        /* the last two: cancelled with the last byte that is wanted, while the server has more */
        leat__http_range range = i < 6 ? bytes(1000, 800000) : bytes(1000, 1000 + w.options.chunk_bytes);
        f[i].cancel_at_data = i % 2 == 0;
        fetch_start_range(&f[i], &w, chaos_url(i < 4 ? "/ok/cancel0?size=900000" : "/ok/cancel1?size=900000&range=no"), &range);
    }
    world_run_until(&w, &w.running, 0, 5 * SECOND);
    for (int i = 1; i < 8; i += 2) ck_assert_msg(!f[i].error.code && f[i].got >= w.options.chunk_bytes, "%s", f[i].error.message);
    for (int i = 0; i < 8; i += 2) ck_assert_uint_eq(f[i].chunks, 1);
    world_close(&w);
}
END_TEST

/* The client is closed while ranges wait, run, pause and are parked, at different times. */
START_TEST(close_in_any_state)
{
    static const int delays[] = {0, 1, 5, 30, 150};
    static const char *const paths[] = {"/ok/s0?size=5000000", "/stall/s1?at=-1", "/stall/s2?at=20000",
                                        "/ok/s3?size=5000000&range=no", "/status/s4?code=503&retry_after=2", "/reset/s5?at=-2"};
    world w;
    fetch f[24] = {0};
    world_init(&w);
    w.options.connections = 5;
    w.options.stall_timeout_ms = 30000;
    world_open(&w);
    for (int i = 0; i < 24; i++) {
        leat__http_range range = bytes((uint64_t)i * 1000, 90000);
        f[i].pause_every = i % 3 == 0;
        fetch_start_range(&f[i], &w, chaos_url(paths[i % 6]), &range);
    }
    if (delays[_i]) world_run_for(&w, delays[_i]);
    for (int i = 0; i < 24; i++) f[i].forbidden = true;
    world_close(&w);
}
END_TEST

/* ---- nginx ---- */

START_TEST(nginx_ranges)
{
    enum { RANGES = 200 };
    static fetch f[RANGES];
    static uint64_t wanted[RANGES];
    char url[128], status[8];
    world w;
    leat__http_stats stats;
    memset(f, 0, sizeof f);
    world_init(&w);
    world_open(&w);
    snprintf(status, sizeof status, "%s", _i ? "https" : "http");
    snprintf(url, sizeof url, "%s://127.0.0.1:%d/large", status, _i ? servers.tls_good : servers.nginx);
    for (int i = 0; i < RANGES; i++) {
        uint64_t from = (world_random(&w) >> 20) % 20000000;
        uint64_t most = 20000000 - from < 400000 ? 20000000 - from : 400000;
        leat__http_range range = bytes(from, from + (world_random(&w) >> 20) % (most + 1));
        range.total = 20000000;
        wanted[i] = range.to - range.from;
        fetch_start_range(&f[i], &w, url, &range);
    }
    world_run_until(&w, &w.running, 0, 20 * SECOND);
    for (int i = 0; i < RANGES; i++) ck_assert_msg(!f[i].error.code && f[i].got == wanted[i], "%s", f[i].error.message);
    leat__http_get_stats(w.http, &stats);
    ck_assert_uint_le(stats.requests, RANGES);
    ck_assert_uint_eq(stats.retries, 0);
    world_close(&w);
}
END_TEST

/* nginx' own words for what is not there, and its ETag. */
START_TEST(nginx_refusals)
{
    static const struct { leat__http_range range; leat_code code; const char *words; } cases[] = {
        {RANGE(57000, 58000, 58000, ""), LEAT_OK, ""},
        {RANGE(57000, 58001, ANY, ""), LEAT_ETRUNCATED, "has 58000 bytes, asked was for bytes 57000-58000"},
        {RANGE(58000, 58001, ANY, ""), LEAT_ETRUNCATED, "has 58000 bytes"},
        {RANGE(0, 1000, 58001, ""), LEAT_ECHANGED, "its size is 58000, 58001 was expected"},
        {RANGE(0, 1000, ANY, "\"0-0\""), LEAT_ECHANGED, "\"0-0\" was expected"},
    };
    char url[128];
    world w;
    fetch f = {0};
    world_init(&w);
    world_open(&w);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/small", servers.nginx);
    fetch_start_range(&f, &w, url, &cases[_i].range);
    world_run_until(&w, &w.running, 0, 5 * SECOND);
    ck_assert_msg(f.error.code == cases[_i].code, "%s", f.error.message);
    if (f.error.code) ck_assert_msg(strstr(f.error.message, cases[_i].words) && f.got == 0, "%s", f.error.message);
    else ck_assert_uint_eq(f.got, 1000);
    world_close(&w);
}
END_TEST

static Suite *ranges_suite(void)
{
    Suite *suite = suite_create("http_ranges");
    TCase *answers = add_case(suite, "answers");
    tcase_add_loop_test(answers, range_rows, 0, sizeof rows / sizeof *rows);
    tcase_add_test(answers, asks_for_what_is_wanted_and_no_more);
    tcase_add_test(answers, empty_ranges);
    TCase *flow = add_case(suite, "flow");
    tcase_add_test(flow, ranges_share_a_connection);
    tcase_add_test(flow, what_lies_behind_the_range_is_not_read);
    tcase_add_loop_test(flow, pauses_in_a_range, 0, 4);
    tcase_add_test(flow, the_end_lies_in_what_curl_held);
    tcase_add_loop_test(flow, parked_ranges_go_on, 0, 3);
    tcase_add_loop_test(flow, random_ranges_lose_nothing, 0, 20);
    tcase_add_test(flow, cancel_in_a_range);
    tcase_add_loop_test(flow, close_in_any_state, 0, 5);
    TCase *real = add_case(suite, "nginx");
    tcase_add_loop_test(real, nginx_ranges, 0, 2);
    tcase_add_loop_test(real, nginx_refusals, 0, 5);
    return suite;
}

int main(void)
{
    return http_suite_run(ranges_suite());
}
