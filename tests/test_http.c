/* test_http.c - the HTTP client against real servers: nginx, and chaos_server.py which misbehaves on request.
 *
 * Every test ends with uv_loop_close() == 0, no live buffer and nothing charged. Rows N.. are the fault catalogue's.
 * Ranges of objects: test_http_ranges.c. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http_fetch.h"

enum { MANY = 256 };

/* ---- the table of faults ---- */

typedef struct row {
    const char *path;      /* on the chaos server; %d: its second port, %t its port with TLS */
    uint64_t size;         /* bytes that arrive, all checked; with an error: at most */
    leat_code code;
    int requests;          /* that the server saw; -1: not checked */
    const char *words;     /* in the message */
    uint64_t max_bytes;    /* max_object_bytes; 0: large */
} row;

#define WHOLE(path, size, requests) {path, size, LEAT_OK, requests, NULL, 0}

static const row rows[] = {
    /* good ones, framed in each way; sizes around the chunk's and curl's pieces */
    WHOLE("/ok/0?size=0", 0, 1), WHOLE("/ok/1?size=1", 1, 1), WHOLE("/ok/2?size=65535", 65535, 1),
    WHOLE("/ok/3?size=65536", 65536, 1),
    WHOLE("/ok/4?size=65537", 65537, 1), WHOLE("/ok/5?size=3000001", 3000001, 1),
    WHOLE("/ok/6?size=500000&frame=chunked", 500000, 1),
    WHOLE("/ok/7?size=500000&frame=close", 500000, 1), WHOLE("/ok/8?size=0&frame=chunked", 0, 1),
    WHOLE("/ok/a b/%C3%A9?size=10", 10, -1),
    /* N06: RST before, in and after the header, in the body, at its end */
    WHOLE("/reset/0?at=-2&times=2", 100000, 3), WHOLE("/reset/1?at=-1&times=2", 100000, 3),
    WHOLE("/reset/2?at=0&times=1", 100000, 2),
    WHOLE("/reset/3?at=1&times=1", 100000, 2), WHOLE("/reset/4?at=50000&times=1", 100000, 2),
    WHOLE("/reset/5?at=99999&times=1", 100000, 2),
    WHOLE("/reset/6?at=100000&times=1", 100000, 1), {"/reset/7?at=-2", 0, LEAT_ENETWORK, 5, "after 5 attempts", 0},
    {"/reset/8?at=0", 0, LEAT_ENETWORK, 5, "after 5 attempts, at byte 0 of 100000", 0},
    /* progress resets the count: 20 pieces of 5,000 bytes with 5 attempts */
    WHOLE("/cut/progress?at=5000", 100000, 20),
    /* N07, N09: FIN early, with a length and chunked; without a size the part that came counts as all */
    WHOLE("/cut/0?at=40000&times=2", 100000, 3), WHOLE("/cut/1?at=70000&times=1&frame=chunked", 100000, 2),
    {"/cut/2?at=0", 0, LEAT_ETRUNCATED, 5, "after 5 attempts, at byte 0 of 100000", 0},
    {"/cut/3?at=0&frame=chunked", 0, LEAT_ETRUNCATED, 5, "after 5 attempts", 0},
    WHOLE("/cut/4?at=70000&frame=close&size=90000", 70000, 1),
    /* a server without ranges: from the start again, what was delivered is thrown away */
    WHOLE("/cut/5?at=150000&times=1&range=no&size=400000", 400000, 2),
    WHOLE("/cut/6?at=150000&times=1&range=no&size=400000&etag=none", 400000, 2),
    {"/cut/7?at=150000&times=1&range=no&size=400000&etag=change", 150000, LEAT_ECHANGED, 2, "\"v1\", is \"v2\"", 0},
    /* validators (N32, N33): weak ones and missing ones, as long as the size is the same */
    WHOLE("/cut/8?at=150000&times=1&etag=weak&size=400000", 400000, 2),
    WHOLE("/cut/9?at=150000&times=1&etag=none&modified=0&size=400000", 400000, 2),
    {"/cut/10?at=150000&times=1&etag=change&size=400000", 150000, LEAT_ECHANGED, 2, "HTTP 412", 0},
    {"/cut/11?at=150000&times=1&etag=change&size=400000&precondition=0", 150000, LEAT_ECHANGED, 2, "is \"v2\"", 0},
    {"/cut/12?at=150000&times=1&etag=none&modified=0&size=400000&frame=chunked", 150000, LEAT_ECHANGED, 2, "tell", 0},
    {"/grow/0?at=150000&size=400000&etag=none", 150000, LEAT_ECHANGED, 2, "size was 400000, is 400007", 0},
    /* ... and begun anew once while nothing was handed out */
    WHOLE("/cut/13?at=30000&times=1&etag=change", 100000, 3), WHOLE("/grow/1?at=30000&etag=none", 100014, 3),
    WHOLE("/grow/2?at=0", 100007, 2), /* an answer of which no byte was accepted does not bind */
    {"/cut/14?at=30000&etag=change", 0, LEAT_ECHANGED, -1, "the object changed", 0},
    /* N31: 416 is the end if the size is right */
    WHOLE("/cut/15?at=100000&times=1&frame=chunked", 100000, 2),
    /* N12, N13: stalls; a server that is slow but not too slow is left alone */
    WHOLE("/stall/0?at=50000&times=1", 100000, 2), WHOLE("/stall/1?at=0&times=1", 100000, 2),
    WHOLE("/trickle/0?at=50000&times=1", 100000, 2),
    WHOLE("/pieces/0?at=1000&size=30000", 30000, 1),
    /* N10 */
    {"/bad_chunk/0?at=0&chunk=zz", 0, LEAT_ENETWORK, -1, "curl 56", 0},
    {"/bad_chunk/1?at=0&chunk=-5", 0, LEAT_ENETWORK, -1, "curl 56", 0},
    {"/bad_chunk/2?at=0&chunk=10000000000000000", 0, LEAT_ENETWORK, -1, "curl 56", 0},
    /* N15, N16 */
    {"/many_headers/0?at=400000", 0, LEAT_EHEADERS, 1, "65536 bytes of headers", 0},
    {"/many_headers/1?at=1000000&single=1", 0, LEAT_EHEADERS, -1, "", 0},
    {"/interim/0", 0, LEAT_EHEADERS, 1, "65536 bytes of headers", 0},
    WHOLE("/interim/1?at=3", 100000, 1), WHOLE("/many_headers/2?at=50000", 0, 1),
    /* N17, N18, N21: redirects */
    WHOLE("/redirect/0?to=/ok/r0", 100000, 1), WHOLE("/redirect/1?to=/ok/r1&hops=4", 100000, 1),
    {"/redirect/2?to=/ok/r2&hops=5", 0, LEAT_EREDIRECT, 1, "more than 5 in a row: http://127.0.0.1:", 0},
    {"/redirect/3?to=self", 0, LEAT_EREDIRECT, -1, " -> ", 0},
    {"/redirect/4?to=file:///etc/passwd", 0, LEAT_EREDIRECT, 1, "scheme file is not http or https", 0},
    {"/redirect/5?to=ftp://127.0.0.1/x", 0, LEAT_EREDIRECT, 1, "scheme ftp", 0},
    {"/redirect/6?to=gopher://127.0.0.1/x", 0, LEAT_EREDIRECT, 1, "gopher", 0},
    {"/redirect/7?to=data:text/plain,x", 0, LEAT_EREDIRECT, 1, "refused", 0},
    {"/redirect/8?to=http://a%%20b/", 0, LEAT_EREDIRECT, 1, "refused", 0},
    {"/no_location/0", 0, LEAT_EHTTP, 1, "HTTP 302", 0}, WHOLE("/redirect/9?to=//127.0.0.1:%d/ok/r9", 100000, 1),
    WHOLE("/redirect/10?to=https://127.0.0.1:%t/ok/r10", 100000, 1),
    WHOLE("/redirect/11?to=/ok/r11&code=301", 100000, 1),
    WHOLE("/redirect/12?to=/ok/r12&code=307", 100000, 1), WHOLE("/redirect/13?to=/ok/r13&code=308", 100000, 1),
    /* a redirect is asked again after a failure of its target */
    WHOLE("/redirect/14?to=/cut/r14%%3Fat=20000%%26times=2", 100000, 3),
    /* N24, N27: statuses */
    {"/status/0?code=404&reason=Not%%20Found", 0, LEAT_ENOTFOUND, 1, "HTTP 404 Not Found (attempt 1): \"no luck\"", 0},
    {"/status/1?code=410", 0, LEAT_ENOTFOUND, 1, "HTTP 410", 0},
    {"/status/2?code=401", 0, LEAT_EACCESS, 1, "HTTP 401", 0},
    {"/status/3?code=403&text=%%1B[2Jgone%%0Aline", 0, LEAT_EACCESS, 1, "\\x1b[2Jgone\\x0aline", 0},
    {"/status/4?code=405", 0, LEAT_EHTTP, 1, "HTTP 405", 0},
    {"/status/5?code=400", 0, LEAT_EHTTP, 1, "HTTP 400", 0},
    {"/status/6?code=500", 0, LEAT_EHTTP, 5, "HTTP 500 Bad Luck after 5 attempts", 0},
    WHOLE("/status/7?code=500&times=3", 100000, 4), WHOLE("/status/8?code=502&times=1", 100000, 2),
    WHOLE("/status/9?code=504&times=1", 100000, 2),
    WHOLE("/status/10?code=408&times=1", 100000, 2), {"/status/11?code=204", 0, LEAT_EHTTP, 1, "HTTP 204", 0},
    {"/status/12?code=304", 0, LEAT_EHTTP, 1, "HTTP 304", 0},
    WHOLE("/status/13?code=503&times=1&retry_after=0", 100000, 2),
    WHOLE("/status/14?code=500&times=1&retry_after=nonsense", 100000, 2),
    WHOLE("/status/15?code=500&times=1&retry_after=-5", 100000, 2),
    WHOLE("/status/16?code=500&times=1&retry_after=past", 100000, 2),
    /* N30: F1 */
    {"/bad_range/0?at=70000&kind=start", 70000, LEAT_ERANGE, 2, "asked for bytes from 70000 of 100000", 0},
    {"/bad_range/1?at=70000&kind=end", 70000, LEAT_ERANGE, 2, "bytes 70000-100005 of 100000", 0},
    {"/bad_range/2?at=70000&kind=total", 70000, LEAT_ECHANGED, 2, "size was 100000, is 100001", 0},
    {"/bad_range/3?at=70000&kind=missing", 70000, LEAT_ERANGE, 2, "no usable Content-Range", 0},
    {"/bad_range/4?at=70000&kind=multipart", 70000, LEAT_ERANGE, 2, "multipart/byteranges", 0},
    WHOLE("/bad_range/5?at=70000&kind=star", 100000, 2), WHOLE("/bad_range/6?at=70000&kind=short&step=7000", 100000, 6),
    {"/bad_range/7?at=70000&kind=oversize", 100000, LEAT_EOVERSIZE, 2, "the 100000 that were announced", 0},
    /* N34 */
    {"/encoding/0", 0, LEAT_EENCODING, 1, "Content-Encoding gzip", 0}, WHOLE("/encoding/1?name=identity", 100000, 1),
    /* N35, N36, N37 */
    {"/lengths/0?kind=two", 0, LEAT_EHEADERS, 1, "two Content-Lengths: 100000 and 100001", 0},
    WHOLE("/lengths/1?kind=same", 100000, 1),
    {"/lengths/2?kind=both", 0, LEAT_EHEADERS, 1, "beside Transfer-Encoding", 0},
    {"/lengths/3?kind=list", 0, LEAT_EHEADERS, 1, "Content-Length", 0},
    {"/lengths/4?kind=negative", 0, LEAT_EHEADERS, 1, "Content-Length", 0},
    {"/lengths/5?kind=huge", 0, LEAT_EHEADERS, -1, "Content-Length", 0},
    WHOLE("/lengths/6?kind=short", 99500, 1),
    {"/lengths/7?kind=long", 100500, LEAT_ECHANGED, 2, "size was 100500, is 100000", 0},
    {"/garbage/0", 0, LEAT_EHEADERS, 1, "", 0},
    {"/ok/cap0?size=100001", 0, LEAT_ELIMIT, 1, "has 100001 bytes, max_object_bytes is 100000", 100000},
    {"/ok/cap1?size=100000", 100000, LEAT_OK, 1, NULL, 100000},
    {"/ok/cap2?size=200000&frame=chunked", 100000, LEAT_ELIMIT, 1, "max_object_bytes, 100000", 100000},
    {"/ok/cap3?size=200000&frame=close", 100000, LEAT_ELIMIT, 1, "max_object_bytes, 100000", 100000},
};

/* Puts the ports in: %d the second plain one, %t the one with TLS, %% a percent sign. */
static void row_path(char *out, const char *path)
{
    for (; *path; path++) {
        if (*path == '%' && path[1] == '%') out += sprintf(out, "%%"), path++;
        else if (*path == '%' && path[1] == 'd') out += sprintf(out, "%d", servers.chaos[1]), path++;
        else if (*path == '%' && path[1] == 't') out += sprintf(out, "%d", servers.chaos_tls), path++;
        else *out++ = *path;
    }
    *out = 0;
}

START_TEST(fault_rows)
{
    const row *r = &rows[_i];
    char path[256];
    world w;
    fetch f;
    row_path(path, r->path);
    world_init(&w);
    if (r->max_bytes) w.options.max_object_bytes = r->max_bytes;
    world_open(&w);
    fetch_all(&w, &f, chaos_url(path), 10 * SECOND);
    ck_assert_msg(f.error.code == r->code, "%s: %s: %s", r->path, leat_code_name(f.error.code), f.error.message);
    if (r->code) {
        ck_assert_msg(strstr(f.error.message, r->words) != NULL, "%s: %s", r->path, f.error.message);
        ck_assert_uint_le(f.got, r->size);
    } else {
        ck_assert_uint_eq(f.got, r->size);
    }
    const char *counted = strstr(path, "?to=/cut") ? "/cut/r14" : path;
    int count = asked("count", counted);
    ck_assert_msg(r->requests < 0 || count == r->requests, "%s: %d requests", r->path, count);
    world_close(&w);
}
END_TEST

/* ---- offsets ---- */

START_TEST(offsets)
{
    static const struct { uint64_t offset; leat_code code; const char *path; } cases[] = {
        {1, LEAT_OK, "/ok/o0"}, {99999, LEAT_OK, "/ok/o1"}, {100000, LEAT_OK, "/ok/o2"},
        {100001, LEAT_ERANGE, "/ok/o3"}, {70000, LEAT_OK, "/ok/o4?range=no"}, {100000, LEAT_OK, "/ok/o5?range=no"},
        {100001, LEAT_ERANGE, "/ok/o6?range=no"}, {40000, LEAT_OK, "/cut/o7?at=20000&times=2"},
        {40000, LEAT_OK, "/ok/o8?frame=chunked"}, {40000, LEAT_OK, "/cut/o9?at=50000&times=1&range=no"},
    };
    world w;
    fetch f = {0};
    world_init(&w);
    world_open(&w);
    fetch_start(&f, &w, chaos_url(cases[_i].path), cases[_i].offset);
    world_run_until(&w, &w.running, 0, 5 * SECOND);
    ck_assert_msg(f.error.code == cases[_i].code, "%s", f.error.message);
    if (!f.error.code) ck_assert_uint_eq(f.got, 100000 - cases[_i].offset);
    else ck_assert_uint_eq(f.got, 0);
    world_close(&w);
}
END_TEST

/* ---- refused at once ---- */

START_TEST(bad_urls_and_headers)
{
    static const char *const urls[] = {"", "x", "/path", "ftp://h/x", "file:///etc/passwd", "http://",
                                       "http://h:99999/", "http://a b/", "http://h/\r\nX: y", "HTTP://[::1"};
    static const char *const bad[] = {"", "x", "x:", "X-A: b\r\nX-C: d", "Range: bytes=0-1", "accept-encoding: gzip",
                                      ": x", "If-Match: x", "a b: c"};
    world w;
    leat_error error;
    leat__transfer *transfer;
    world_init(&w);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        w.options.headers = &bad[i];
        w.options.header_count = 1;
        ck_assert_int_eq(leat__http_new(&w.options, &w.http, &error), LEAT_EINVAL);
        ck_assert_ptr_null(w.http);
    }
    w.options.header_count = 0;
    world_open(&w);
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        leat_code code = leat__http_get(w.http, urls[i], NULL, NULL, &fetch_callbacks, NULL, &transfer, &error);
        ck_assert_msg(code == LEAT_EINVAL, "%s", urls[i]);
        ck_assert_ptr_null(transfer);
    }
    world_close(&w);
}
END_TEST

/* ---- credentials (N20) ---- */

static void check_seen(const char *path, const char *name)
{
    const char *values = http_servers_ask(&servers, "/__header?path=%s&name=%s", path, name);
    ck_assert_msg(strstr(values, "s3cret\n") && !strstr(values, "-\n"), "%s %s: %s", path, name, values);
}

START_TEST(headers_stay_with_their_origin)
{
    static const char *const headers[] = {"Authorization: Bearer s3cret", "X-Api-Key: s3cret",
                                          "x-amz-security-token: s3cret", "Cookie: s3cret"};
    static const char *const names[] = {"Authorization", "X-Api-Key", "x-amz-security-token", "Cookie"};
    char path[256], back[320];
    world w;
    fetch f;
    world_init(&w);
    w.options.headers = headers;
    w.options.header_count = 4;
    world_open(&w);
    row_path(path, "/redirect/c0?to=http://127.0.0.1:%d/ok/c0");
    fetch_all(&w, &f, chaos_url(path), 5 * SECOND);
    ck_assert_msg(!f.error.code, "%s", f.error.message);
    fetch_all(&w, &f, chaos_url("/redirect/c1?to=/ok/c1"), 5 * SECOND);
    /* away and back again: they stay away, and are there again at the next attempt */
    row_path(path, "/redirect/c2?to=http://127.0.0.1:%d/redirect/c3?to=http://127.0.0.1:");
    snprintf(back, sizeof back, "%s%d/cut/c4?at=10%%2526times=1", path, servers.chaos[0]);
    fetch_all(&w, &f, chaos_url(back), 5 * SECOND);
    ck_assert_msg(!f.error.code, "%s", f.error.message);
    for (int i = 0; i < 4; i++) {
        ck_assert_str_eq(http_servers_ask(&servers, "/__header?path=/ok/c0&name=%s", names[i]), "-\n");
        check_seen("/redirect/c0", names[i]);
        check_seen("/ok/c1", names[i]);
        ck_assert_str_eq(http_servers_ask(&servers, "/__header?path=/redirect/c3&name=%s", names[i]), "-\n-\n");
        ck_assert_str_eq(http_servers_ask(&servers, "/__header?path=/cut/c4&name=%s", names[i]), "-\n-\n");
        check_seen("/redirect/c2", names[i]);
    }
    ck_assert_str_eq(http_servers_ask(&servers, "/__header?path=/ok/c0&name=Accept-Encoding"), "identity\n");
    ck_assert_str_eq(http_servers_ask(&servers, "/__header?path=/ok/c0&name=User-Agent"), "leat/0.1.0\n");
    ck_assert_str_eq(http_servers_ask(&servers, "/__header?path=/cut/c4&name=Range"), "-\nbytes=10-\n");
    ck_assert_str_eq(http_servers_ask(&servers, "/__header?path=/cut/c4&name=If-Match"), "-\n\"v1\"\n");
    world_close(&w);
}
END_TEST

START_TEST(secrets_stay_out_of_messages)
{
    char path[256];
    world w;
    fetch f;
    world_init(&w);
    w.options.redirects = 1;
    world_open(&w);
    row_path(path, "/redirect/s0?to=http://user:s3cret@127.0.0.1:%d/redirect/s1%%3Fto=/ok/s%%26X-Signature=s3cret");
    fetch_all(&w, &f, chaos_url(path), 5 * SECOND);
    ck_assert_int_eq(f.error.code, LEAT_EREDIRECT);
    ck_assert_ptr_nonnull(strstr(f.error.message, "/redirect/s1?..."));
    ck_assert_ptr_null(strstr(f.error.message, "s3cret"));
    world_close(&w);
}
END_TEST

/* ---- TLS (N21, N22) ---- */

START_TEST(tls)
{
    struct { int port; const char *path; leat_code code; const char *words; } cases[] = {
        {servers.tls_good, "/small", LEAT_OK, ""}, {servers.tls_wrong_host, "/small", LEAT_ETLS, "curl 60"},
        {servers.tls_self_signed, "/small", LEAT_ETLS, "curl 60"},
        {servers.tls_expired, "/small", LEAT_ETLS, "curl 60"},
        {servers.chaos_tls, "/redirect/t0?to=http://127.0.0.1/x", LEAT_EREDIRECT, "from https to http"},
        {servers.nginx, "/small", LEAT_ETLS, "curl 35"},
        {servers.chaos_tls, "/cut/t1?at=200000&times=2&size=700000", LEAT_OK, ""},
        {servers.chaos_tls, "/reset/t2?at=200000&times=2&size=700000", LEAT_OK, ""},
    };
    char url[256];
    world w;
    fetch f = {0};
    leat__http_stats stats;
    world_init(&w);
    world_open(&w);
    snprintf(url, sizeof url, "https://127.0.0.1:%d%s", cases[_i].port, cases[_i].path);
    fetch_start(&f, &w, url, 0);
    world_run_until(&w, &w.running, 0, 8 * SECOND);
    ck_assert_msg(f.error.code == cases[_i].code, "%s", f.error.message);
    ck_assert_msg(strstr(f.error.message, cases[_i].words) != NULL, "%s", f.error.message);
    leat__http_get_stats(w.http, &stats);
    if (f.error.code == LEAT_ETLS) {
        ck_assert_uint_eq(stats.bytes, 0);
        ck_assert_uint_eq(stats.requests, strcmp(cases[_i].words, "curl 60") ? 5 : 1);
    }
    world_close(&w);
}
END_TEST

START_TEST(tls_without_the_authority_fails)
{
    char url[256];
    world w;
    fetch f;
    world_init(&w);
    w.options.ca_file = NULL;
    world_open(&w);
    snprintf(url, sizeof url, "https://127.0.0.1:%d/small", servers.tls_good);
    fetch_all(&w, &f, url, 5 * SECOND);
    ck_assert_int_eq(f.error.code, LEAT_ETLS);
    world_close(&w);
}
END_TEST

/* ---- connections (N01, N04, N39) ---- */

START_TEST(connection_refused)
{
    world w;
    fetch f;
    leat__http_stats stats;
    world_init(&w);
    world_open(&w);
    fetch_all(&w, &f, "http://127.0.0.1:1/x", 5 * SECOND);
    ck_assert_int_eq(f.error.code, LEAT_ENETWORK);
    ck_assert_msg(strstr(f.error.message, "connecting failed (curl 7: ") != NULL, "%s", f.error.message);
    ck_assert_msg(strstr(f.error.message, "after 5 attempts") != NULL, "%s", f.error.message);
    leat__http_get_stats(w.http, &stats);
    ck_assert_uint_eq(stats.requests, 5);
    ck_assert_uint_eq(stats.retries, 4);
    world_close(&w);
}
END_TEST

START_TEST(unknown_host_is_looked_up_twice)
{
    world w;
    fetch f;
    leat__http_stats stats;
    world_init(&w);
    w.options.connect_timeout_ms = 10000;
    world_open(&w);
    fetch_all(&w, &f, "http://no-such-host.invalid/x", 30 * SECOND);
    ck_assert_int_eq(f.error.code, LEAT_ENETWORK);
    ck_assert_msg(strstr(f.error.message, "no-such-host.invalid"), "%s", f.error.message);
    leat__http_get_stats(w.http, &stats);
    ck_assert_uint_eq(stats.requests, 2);
    world_close(&w);
}
END_TEST

/* P15: the first transfer to a host of unknown address goes alone until the name is resolved. */
START_TEST(one_looks_the_name_up_for_all)
{
    char url[128];
    world w;
    fetch f[20] = {0};
    leat__http_stats stats;
    world_init(&w);
    world_open(&w);
    snprintf(url, sizeof url, "http://localhost:%d/ok/name?size=300000", servers.chaos[0]);
    for (int i = 0; i < 20; i++) fetch_start(&f[i], &w, url, 0);
    uv_run(&w.loop, UV_RUN_NOWAIT);
    leat__http_get_stats(w.http, &stats);
    ck_assert_uint_eq(stats.requests, 1);
    ck_assert_uint_eq(stats.waiting, 19);
    world_run_until(&w, &w.running, 0, 5 * SECOND);
    for (int i = 0; i < 20; i++) ck_assert_uint_eq(f[i].got, 300000);
    ck_assert_int_gt(asked("connections", "/ok/name"), 1);
    world_close(&w);
}
END_TEST

START_TEST(header_deadline)
{
    static const char *const paths[] = {"/slow_header/0?size=10", "/stall/h?at=-1"};
    world w;
    fetch f;
    world_init(&w);
    w.options.connect_timeout_ms = 200;
    w.options.stall_timeout_ms = 200;
    w.options.retries = 2;
    world_open(&w);
    fetch_all(&w, &f, chaos_url(paths[_i]), 5 * SECOND);
    ck_assert_msg(f.error.code == LEAT_ETIMEOUT, "%s", f.error.message);
    ck_assert_msg(strstr(f.error.message, "no complete header for 400 ms after 2 attempts"), "%s", f.error.message);
    world_close(&w);
}
END_TEST

START_TEST(connections_are_used_again)
{
    world w;
    fetch f[MANY] = {0};
    world_init(&w);
    w.options.connections = 4;
    world_open(&w);
    for (int i = 0; i < MANY; i++) fetch_start(&f[i], &w, chaos_url("/ok/keep?size=3000"), 0);
    world_run_until(&w, &w.running, 0, 10 * SECOND);
    for (int i = 0; i < MANY; i++) ck_assert_uint_eq(f[i].got, 3000);
    ck_assert_int_eq(asked("count", "/ok/keep"), MANY);
    ck_assert_int_le(asked("connections", "/ok/keep"), 4);
    world_close(&w);
}
END_TEST

/* N39: a kept connection that the server has closed meanwhile is replaced without a retry of ours. */
START_TEST(stale_connections_are_replaced)
{
    world w;
    fetch f;
    leat__http_stats stats;
    world_init(&w);
    world_open(&w);
    for (int i = 0; i < 10; i++) {
        fetch_all(&w, &f, chaos_url("/close_idle/0"), 5 * SECOND);
        ck_assert_uint_eq(f.got, 100000);
        if (i % 2) world_run_for(&w, 20);
    }
    leat__http_get_stats(w.http, &stats);
    ck_assert_uint_eq(stats.retries, 0);
    world_close(&w);
}
END_TEST

/* ---- throttling (N25, N26, R3, R4) ---- */

static uint64_t always_zero(void *user)
{
    (void)user;
    return 0;
}

START_TEST(retry_after_is_the_least_delay)
{
    static const struct { const char *value; int status; double least, most; } cases[] = {
        {"1", 429, 1.0, 1.4}, {"1", 503, 1.0, 1.4}, {"1", 500, 1.0, 1.4}, {"1000000000000", 429, 1.2, 1.6},
        {"99999999999999999999999", 503, 1.2, 1.6}, {"soon", 429, 0.9, 1.6}, {"0", 500, 0.0, 0.3},
        {"past", 429, 0.0, 0.3},
    };
    char path[128];
    world w;
    fetch f;
    leat__http_stats stats;
    world_init(&w);
    w.options.random = always_zero; /* no back-off beside it */
    w.options.max_retry_after_ms = 1200;
    world_open(&w);
    snprintf(path, sizeof path, "/status/after%d?times=1&code=%d&retry_after=%s", _i, cases[_i].status,
             cases[_i].value);
    fetch_all(&w, &f, chaos_url(path), 6 * SECOND);
    ck_assert_uint_eq(f.got, 100000);
    double gap = atof(http_servers_ask(&servers, "/__gap?path=/status/after%d", _i));
    ck_assert_msg(gap >= cases[_i].least && gap <= cases[_i].most, "%g s", gap);
    leat__http_get_stats(w.http, &stats);
    ck_assert_uint_eq(stats.throttled, cases[_i].status != 500);
    world_close(&w);
}
END_TEST

/* A host that wants a second: no other transfer starts there meanwhile, another host is not held up. */
START_TEST(throttled_host_is_left_alone)
{
    char other[128];
    world w;
    fetch first = {0}, second = {0}, third = {0};
    world_init(&w);
    world_open(&w);
    fetch_start(&first, &w, chaos_url("/status/pause?times=1&code=429&retry_after=1"), 0);
    world_run_for(&w, 200);
    uint64_t begin = uv_hrtime();
    snprintf(other, sizeof other, "http://127.0.0.1:%d/ok/pause2", servers.chaos[1]);
    fetch_start(&second, &w, chaos_url("/ok/pause1"), 0);
    fetch_start(&third, &w, other, 0);
    world_run_until(&w, &w.running, 2, 3 * SECOND);
    ck_assert_uint_eq(third.ends, 1);
    ck_assert_uint_lt(uv_hrtime() - begin, 500 * LEAT__MS);
    world_run_until(&w, &w.running, 0, 5 * SECOND);
    ck_assert_uint_gt(uv_hrtime() - begin, 700 * LEAT__MS);
    ck_assert_uint_eq(first.got + second.got, 200000);
    world_close(&w);
}
END_TEST

/* R4: a server that allows two at a time gets what it allows, after one burst; everything arrives. */
START_TEST(throttling_halves_concurrency)
{
    world w;
    fetch f[40] = {0};
    leat__http_stats stats;
    world_init(&w);
    w.options.connections = 16;
    w.options.retries = 20;
    w.random = 1;
    world_open(&w);
    for (int i = 0; i < 40; i++) fetch_start(&f[i], &w, chaos_url("/throttle/0?size=1000"), 0);
    world_run_until(&w, &w.running, 0, 30 * SECOND);
    for (int i = 0; i < 40; i++) ck_assert_msg(f[i].got == 1000, "%s", f[i].error.message);
    leat__http_get_stats(w.http, &stats);
    ck_assert_uint_ge(stats.throttled, 1);
    ck_assert_uint_lt(stats.throttled, 40); /* 14 of the burst, then ever less */
    world_close(&w);
}
END_TEST

START_TEST(delays_come_from_the_random_function)
{
    world w;
    fetch f;
    world_init(&w);
    w.options.random = always_zero;
    world_open(&w);
    uint64_t begin = uv_hrtime();
    fetch_all(&w, &f, chaos_url("/reset/zero?at=-2"), 5 * SECOND);
    ck_assert_uint_lt(uv_hrtime() - begin, 200 * LEAT__MS); /* five attempts, no delay */
    ck_assert_int_eq(f.error.code, LEAT_ENETWORK);
    world_close(&w);
}
END_TEST

/* ---- pause, resume, park, flush ---- */

START_TEST(pausing_stops_the_data_and_no_clock_runs)
{
    static const char *const frames[] = {"length", "chunked", "close"};
    char path[128];
    world w;
    fetch f = {.pause_every = 1};
    leat__http_stats stats;
    world_init(&w);
    world_open(&w);
    snprintf(path, sizeof path, "/ok/p%d?size=3000000&frame=%s", _i, frames[_i]);
    fetch_start(&f, &w, chaos_url(path), 0);
    while (!f.paused) uv_run(&w.loop, UV_RUN_ONCE);
    uint64_t got = f.got;
    world_run_for(&w, 1000); /* N14: far over the stall time-out */
    ck_assert_uint_eq(f.got, got);
    ck_assert_uint_le(leat__budget_used(&w.budget), 2 * w.options.chunk_bytes);
    leat__http_get_stats(w.http, &stats);
    ck_assert_uint_eq(stats.paused, 1);
    while (!f.ends) {
        if (f.paused) fetch_resume(&f);
        uv_run(&w.loop, UV_RUN_ONCE);
    }
    ck_assert_msg(f.got == 3000000, "%s", f.error.message);
    ck_assert_int_eq(asked("count", path), 1);
    world_close(&w);
}
END_TEST

/* A consumer that says false at the very last bytes hears of the end only when it goes on. */
START_TEST(end_waits_for_a_paused_consumer)
{
    world w;
    fetch f = {.pause_every = 1};
    world_init(&w);
    world_open(&w);
    fetch_start(&f, &w, chaos_url("/ok/last?size=1000"), 0);
    world_run_for(&w, 300);
    ck_assert(f.paused && !f.ends && f.got == 1000);
    fetch_resume(&f);
    ck_assert(!f.ends);
    world_run_until(&w, &w.running, 0, SECOND);
    ck_assert_int_eq(f.error.code, LEAT_OK);
    world_close(&w);
}
END_TEST

/* A flush hands out what an earlier attempt left, and the consumer says false while the next one's header lies in the socket:
 * curl's pause reads it, keeps its lines, and would give them in one piece later. */
START_TEST(pause_before_the_header)
{
    world w;
    fetch f = {.pause_every = 1};
    leat__http_stats stats = {0};
    world_init(&w);
    w.options.stall_timeout_ms = 30000; /* no tick between */
    world_open(&w);
    fetch_start(&f, &w, chaos_url("/late/0?at=20000&size=500000"), 0);
    while (stats.requests < 2) {
        uv_run(&w.loop, UV_RUN_ONCE);
        leat__http_get_stats(w.http, &stats);
    }
    world_run_for(&w, 350); /* the request is sent, curl's timers are over; the answer comes after 500 ms, unseen */
    ck_assert_uint_eq(f.got, 0);
    usleep(300000);
    leat__transfer_flush(f.transfer);
    world_run_for(&w, 400);
    ck_assert_uint_eq(f.got, 20000);
    ck_assert(f.paused);
    ck_assert_uint_le(leat__budget_used(&w.budget), w.options.chunk_bytes);
    while (!f.ends) {
        if (f.paused) fetch_resume(&f);
        uv_run(&w.loop, UV_RUN_ONCE);
    }
    ck_assert_msg(f.got == 500000, "%s", f.error.message);
    world_close(&w);
}
END_TEST

/* F12: random pauses, flushes, faults and places; every byte once and in order, every transfer ends. */
START_TEST(random_pauses_lose_nothing)
{
    static const char *const kinds[] = {
        "/ok/f%d-%d?size=%d", "/ok/f%d-%d?frame=chunked&size=%d", "/cut/f%d-%d?at=150000&times=3&size=%d",
        "/reset/f%d-%d?at=100000&times=2&size=%d", "/ok/f%d-%d?size=%d&range=no", "/ok/f%d-%d?frame=close&size=%d",
    };
    char path[128];
    world w;
    fetch f[12] = {0};
    int sizes[12];
    world_init(&w);
    w.random = (uint64_t)_i * 977 + 1;
    w.options.connections = 1 + (uint32_t)_i % 5;
    w.options.chunk_bytes = (size_t)16384 << (_i % 4);
    w.options.stall_timeout_ms = 2000;
    w.options.retries = 100;
    world_open(&w);
    for (int i = 0; i < 12; i++) {
        sizes[i] = (int)(world_random(&w) >> 33) % 900000;
        snprintf(path, sizeof path, kinds[i % 6], _i, i, sizes[i]);
        f[i].pause_every = (unsigned)(world_random(&w) >> 60);
        fetch_start(&f[i], &w, chaos_url(path), 0);
    }
    uint64_t begin = uv_hrtime();
    while (w.running) {
        ck_assert_uint_lt(uv_hrtime() - begin, UINT64_C(20000) * LEAT__MS);
        for (int i = 0; i < 12; i++) {
            uint64_t dice = world_random(&w) >> 40;
            if (f[i].paused && dice % 7 == 0) fetch_resume(&f[i]);
            else if (f[i].transfer && dice % 11 == 0) leat__transfer_flush(f[i].transfer);
        }
        if (w.running) uv_run(&w.loop, UV_RUN_NOWAIT);
    }
    for (int i = 0; i < 12; i++)
        ck_assert_msg(!f[i].error.code && f[i].got == (uint64_t)sizes[i], "%d: %s", i, f[i].error.message);
    world_close(&w);
}
END_TEST

/* The consumer needs the last transfer only, and leaves all others paused: it gets it, with however few connections. */
START_TEST(the_one_that_is_needed_moves)
{
    char path[64];
    world w;
    fetch f[6] = {0};
    leat__http_stats stats;
    world_init(&w);
    w.options.connections = (uint32_t)_i + 1;
    world_open(&w);
    for (int i = 0; i < 6; i++) {
        f[i].pause_every = 1;
        snprintf(path, sizeof path, "/ok/need%d-%d?size=1000000", _i, i);
        fetch_start(&f[i], &w, chaos_url(path), 0);
    }
    for (int i = 5; i >= 0; i--) { /* in the worst order */
        uint64_t begin = uv_hrtime();
        while (!f[i].ends) {
            ck_assert_uint_lt(uv_hrtime() - begin, UINT64_C(5000) * LEAT__MS);
            if (f[i].paused) fetch_resume(&f[i]);
            uv_run(&w.loop, UV_RUN_ONCE);
            leat__http_get_stats(w.http, &stats);
            ck_assert_uint_le(stats.active, w.options.connections);
        }
        ck_assert_msg(f[i].got == 1000000, "%s", f[i].error.message);
    }
    ck_assert_uint_eq(stats.retries, 0); /* losing a place is no failure */
    world_close(&w);
}
END_TEST

/* The same when the host has just been cut to half: six are paused there, a seventh is needed and gets 429. */
START_TEST(the_one_that_is_needed_moves_on_a_throttled_host)
{
    world w;
    fetch f[7] = {0};
    world_init(&w);
    w.options.connections = 6;
    w.options.random = always_zero;
    world_open(&w);
    for (int i = 0; i < 6; i++) {
        f[i].pause_every = 1;
        fetch_start(&f[i], &w, chaos_url("/ok/cut-host?size=3000000"), 0);
    }
    for (int i = 0; i < 6; i++)
        while (!f[i].paused) uv_run(&w.loop, UV_RUN_ONCE);
    fetch_start(&f[6], &w, chaos_url("/status/cut-host?code=429&times=3"), 0);
    world_run_until(&w, &w.running, 6, 3 * SECOND);
    ck_assert_msg(f[6].got == 100000, "%s", f[6].error.message);
    for (int i = 0; i < 6; i++) {
        f[i].pause_every = 0;
        fetch_resume(&f[i]);
    }
    world_run_until(&w, &w.running, 0, 5 * SECOND);
    for (int i = 0; i < 6; i++) ck_assert_msg(f[i].got == 3000000, "%s", f[i].error.message);
    world_close(&w);
}
END_TEST

START_TEST(flush_hands_out_what_is_there)
{
    world w;
    fetch f = {0};
    world_init(&w);
    world_open(&w);
    fetch_start(&f, &w, chaos_url("/pieces/flush?size=20000&at=1000"), 0);
    f.forbidden = true;
    leat__transfer_flush(f.transfer); /* before anything came: counts for the first bytes */
    f.forbidden = false;
    for (unsigned chunks = 1; chunks <= 5; chunks++) {
        uint64_t begin = uv_hrtime();
        while (f.chunks < chunks && uv_hrtime() - begin < 500 * LEAT__MS) uv_run(&w.loop, UV_RUN_ONCE);
        ck_assert_uint_eq(f.chunks, chunks);
        leat__transfer_flush(f.transfer);
    }
    ck_assert_uint_lt(f.got, 20000);
    world_run_until(&w, &w.running, 0, 3 * SECOND);
    ck_assert_uint_eq(f.got, 20000);
    world_close(&w);
}
END_TEST

/* ---- cancel and close in each state ---- */

START_TEST(cancel_from_data)
{
    world w;
    fetch f[8] = {0};
    world_init(&w);
    w.options.connections = 3;
    world_open(&w);
    for (int i = 0; i < 8; i++) {
        f[i].cancel_at_data = i % 2 == 0;
        fetch_start(&f[i], &w, chaos_url("/ok/cancel?size=900000"), 0);
    }
    world_run_until(&w, &w.running, 0, 5 * SECOND);
    for (int i = 1; i < 8; i += 2) ck_assert_uint_eq(f[i].got, 900000);
    for (int i = 0; i < 8; i += 2) ck_assert_uint_lt(f[i].got, 900000);
    world_close(&w);
}
END_TEST

/* Waiting, connecting, in a look-up, in the header, in the body, paused, parked, delayed. */
static const char *const states[] = {
    "http://127.0.0.1:%d/ok/state?size=5000000", "http://127.0.0.1:%d/stall/state?at=-1",
    "http://127.0.0.1:%d/stall/state2?at=100000", "http://127.0.0.1:%d/slow_header/state",
    "http://127.0.0.1:%d/status/state?code=503&retry_after=2", "http://127.0.0.1:%d/reset/state?at=-2",
    "http://192.0.2.1:%d/black-hole", "http://host-%d.invalid/x", "http://127.0.0.1:%d/redirect/state?to=/stall/state3",
};

START_TEST(ends_in_any_state)
{
    static const int delays[] = {0, 1, 5, 30, 150};
    bool cancel = _i % 2;
    int ms = delays[_i / 2 % 5];
    char url[256];
    world w;
    fetch f[24] = {0};
    world_init(&w);
    w.options.connections = 6;
    w.options.stall_timeout_ms = 30000;
    world_open(&w);
    for (int i = 0; i < 24; i++) {
        snprintf(url, sizeof url, states[i % 9], servers.chaos[0]);
        f[i].pause_every = i % 3 == 0;
        fetch_start(&f[i], &w, url, 0);
    }
    if (ms) world_run_for(&w, ms);
    for (int i = 0; i < 24; i++) {
        f[i].forbidden = true;
        if (cancel && f[i].transfer) leat__transfer_cancel(f[i].transfer);
    }
    if (cancel && ms % 2) world_run_for(&w, ms);
    world_close(&w);
}
END_TEST

START_TEST(close_from_data)
{
    world w;
    fetch f[6] = {0};
    world_init(&w);
    world_open(&w);
    for (int i = 0; i < 6; i++) fetch_start(&f[i], &w, chaos_url("/ok/close?size=900000"), 0);
    f[3].close_at_data = true;
    while (!f[3].forbidden) uv_run(&w.loop, UV_RUN_ONCE);
    for (int i = 0; i < 6; i++) f[i].forbidden = true;
    leat_error error;
    leat__transfer *transfer;
    leat_code code = leat__http_get(w.http, chaos_url("/ok/x"), NULL, NULL, &fetch_callbacks, &f[0], &transfer, &error);
    ck_assert_int_eq(code, LEAT_ECLOSED);
    uv_run(&w.loop, UV_RUN_DEFAULT);
    ck_assert(w.closed);
    ck_assert_int_eq(uv_loop_close(&w.loop), 0);
    ck_assert_uint_eq(leat__arena_live(w.arena), 0);
    leat__arena_release(w.arena);
}
END_TEST

/* Two clients on one loop, and many opens and closes of one. */
START_TEST(clients_come_and_go)
{
    for (int i = 0; i < 50; i++) {
        world w;
        fetch f;
        world_init(&w);
        world_open(&w);
        if (i % 5 == 0) fetch_all(&w, &f, chaos_url("/ok/many?size=70000"), 5 * SECOND);
        world_close(&w);
    }
}
END_TEST

/* ---- nginx ---- */

START_TEST(nginx_small_files_and_a_large_one)
{
    char url[128], path[128];
    world w;
    static fetch f[MANY];
    memset(f, 0, sizeof f);
    world_init(&w);
    world_open(&w);
    bool secure = _i;
    for (int i = 0; i < MANY; i++) {
        snprintf(url, sizeof url, "%s://127.0.0.1:%d/%s", secure ? "https" : "http",
                 secure ? servers.tls_good : servers.nginx, i == 7 ? "large" : "small");
        fetch_start(&f[i], &w, url, i % 16 == 5 ? 1000 : 0);
    }
    world_run_until(&w, &w.running, 0, 20 * SECOND);
    for (int i = 0; i < MANY; i++) {
        snprintf(path, sizeof path, "%s/www/%s", servers.dir, i == 7 ? "large" : "small");
        struct stat st;
        ck_assert_int_eq(stat(path, &st), 0);
        ck_assert_msg(!f[i].error.code && f[i].got == (uint64_t)st.st_size - f[i].start, "%s", f[i].error.message);
    }
    leat__http_stats stats;
    leat__http_get_stats(w.http, &stats);
    ck_assert_uint_eq(stats.requests, MANY);
    ck_assert_uint_eq(stats.retries, 0);
    world_close(&w);
}
END_TEST

/* The budget is charged for what is alive, and a warm client allocates no buffer. */
START_TEST(buffers_are_recycled)
{
    char url[128];
    world w;
    fetch f;
    world_init(&w);
    w.options.connections = 1;
    world_open(&w);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/large", servers.nginx);
    fetch_all(&w, &f, url, 5 * SECOND);
    uint64_t before = leat__arena_allocations(w.arena);
    for (int i = 0; i < 20; i++) fetch_all(&w, &f, url, 5 * SECOND);
    ck_assert_uint_eq(leat__arena_allocations(w.arena), before);
    ck_assert_uint_le(leat__budget_peak(&w.budget), 2 * w.options.chunk_bytes);
    world_close(&w);
}
END_TEST

/* ---- the suite ---- */

static Suite *http_suite(void)
{
    Suite *suite = suite_create("http");
    TCase *faults = add_case(suite, "faults");
    tcase_add_loop_test(faults, fault_rows, 0, sizeof rows / sizeof *rows);
    tcase_add_loop_test(faults, offsets, 0, 10);
    tcase_add_test(faults, bad_urls_and_headers);
    tcase_add_test(faults, headers_stay_with_their_origin);
    tcase_add_test(faults, secrets_stay_out_of_messages);
    tcase_add_loop_test(faults, tls, 0, 8);
    tcase_add_test(faults, tls_without_the_authority_fails);
    TCase *connections = add_case(suite, "connections");
    tcase_add_test(connections, connection_refused);
    tcase_add_test(connections, unknown_host_is_looked_up_twice);
    tcase_add_test(connections, one_looks_the_name_up_for_all);
    tcase_add_loop_test(connections, header_deadline, 0, 2);
    tcase_add_test(connections, connections_are_used_again);
    tcase_add_test(connections, stale_connections_are_replaced);
    tcase_add_loop_test(connections, retry_after_is_the_least_delay, 0, 8);
    tcase_add_test(connections, throttled_host_is_left_alone);
    tcase_add_test(connections, throttling_halves_concurrency);
    tcase_add_test(connections, delays_come_from_the_random_function);
    TCase *flow = add_case(suite, "flow");
    tcase_add_loop_test(flow, pausing_stops_the_data_and_no_clock_runs, 0, 3);
    tcase_add_test(flow, end_waits_for_a_paused_consumer);
    tcase_add_test(flow, pause_before_the_header);
    tcase_add_loop_test(flow, random_pauses_lose_nothing, 0, 20);
    tcase_add_loop_test(flow, the_one_that_is_needed_moves, 0, 6);
    tcase_add_test(flow, the_one_that_is_needed_moves_on_a_throttled_host);
    tcase_add_test(flow, flush_hands_out_what_is_there);
    TCase *ends = add_case(suite, "ends");
    tcase_add_test(ends, cancel_from_data);
    tcase_add_loop_test(ends, ends_in_any_state, 0, 10);
    tcase_add_test(ends, close_from_data);
    tcase_add_test(ends, clients_come_and_go);
    TCase *real = add_case(suite, "nginx");
    tcase_add_loop_test(real, nginx_small_files_and_a_large_one, 0, 2);
    tcase_add_test(real, buffers_are_recycled);
    return suite;
}

int main(void)
{
    return http_suite_run(http_suite());
}
