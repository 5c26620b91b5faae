/* http_fetch.c - what the tests of the HTTP client share: a world with a client, and a consumer that checks every byte. */
#include "check_main.h"
#include "http_fetch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"

http_servers servers;

/* ---- a world: loop, arena, budget, client ---- */


uint64_t world_random(void *user)
{
    world *w = user;
    return w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
}

void world_init(world *w)
{
    *w = (world){.random = 7};
    ck_assert_int_eq(uv_loop_init(&w->loop), 0);
    w->arena = leat__arena_new(1 << 20);
    leat__budget_init(&w->budget, NULL, SIZE_MAX, NULL, NULL);
    w->options = (leat__http_options){
        .loop = &w->loop, .arena = w->arena, .random = world_random, .user = w, .ca_file = servers.ca, .connections = 8,
        .chunk_bytes = 64 << 10, .max_object_bytes = UINT64_C(1) << 40, .retries = 5, .connect_timeout_ms = 2000,
        .stall_timeout_ms = 400, .max_retry_after_ms = 2000, .redirects = 5,
    };
}

void world_open(world *w)
{
    leat_error error;
    ck_assert_msg(leat__http_new(&w->options, &w->http, &error) == LEAT_OK, "%s", error.message);
}

static void on_limit(uv_timer_t *timer)
{
    ((world *)timer->data)->late = true;
    uv_stop(timer->loop);
}

void world_run_until(world *w, const int *done, int value, int limit_ms)
{
    uv_timer_init(&w->loop, &w->limit);
    w->limit.data = w;
    uv_timer_start(&w->limit, on_limit, (uint64_t)limit_ms, 0);
    while (*done != value && !w->late) uv_run(&w->loop, UV_RUN_ONCE);
    ck_assert_msg(!w->late, "not done after %d ms", limit_ms);
    uv_close((uv_handle_t *)&w->limit, NULL);
    uv_run(&w->loop, UV_RUN_NOWAIT);
}

void world_run_for(world *w, int ms)
{
    uv_timer_init(&w->loop, &w->limit);
    w->limit.data = w;
    uv_timer_start(&w->limit, on_limit, (uint64_t)ms, 0);
    while (!w->late) uv_run(&w->loop, UV_RUN_ONCE);
    w->late = false;
    uv_close((uv_handle_t *)&w->limit, NULL);
    uv_run(&w->loop, UV_RUN_NOWAIT);
}

static void on_http_closed(void *user)
{
    ((world *)user)->closed = true;
}

void world_close(world *w)
{
    uint64_t begin = uv_hrtime();
    leat__http_close(w->http, on_http_closed, w);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    ck_assert(w->closed);
    ck_assert_uint_lt(uv_hrtime() - begin, 500 * LEAT__MS);
    ck_assert_int_eq(uv_loop_close(&w->loop), 0);
    ck_assert_uint_eq(leat__arena_live(w->arena), 0);
    ck_assert_uint_eq(leat__budget_used(&w->budget), 0);
    leat__arena_release(w->arena);
}

/* ---- a fetch: a consumer that checks every byte ---- */


static bool on_data(void *user, leat__buffer *buffer, size_t size)
{
    fetch *f = user;
    ck_assert(!f->forbidden && !f->paused && !f->ends);
    ck_assert_uint_gt(size, 0);
    ck_assert_uint_le(size, buffer->capacity);
    for (size_t i = 0; i < size; i++)
        if (buffer->data[i] != http_pattern(f->start + f->got + i))
            ck_abort_msg("byte %llu is wrong", (unsigned long long)(f->start + f->got + i));
    f->got += size;
    f->chunks++;
    leat__buffer_release(buffer);
    if (f->cancel_at_data) {
        leat__transfer_cancel(f->transfer);
        f->forbidden = true;
        f->w->running--;
        return f->chunks % 2;
    }
    if (f->close_at_data) {
        leat__http_close(f->w->http, on_http_closed, f->w);
        f->forbidden = true;
        f->w->running--;
    }
    f->paused = f->pause_every && f->chunks % f->pause_every == 0;
    return !f->paused;
}

static void on_end(void *user, const leat_error *error)
{
    fetch *f = user;
    ck_assert(!f->forbidden && !f->paused && !f->ends);
    f->ends++;
    f->transfer = NULL;
    f->w->running--;
    if (error) f->error = *error;
    else leat__error_clear(&f->error);
}

const leat__transfer_callbacks fetch_callbacks = {.data = on_data, .end = on_end};

void fetch_start_range(fetch *f, world *w, const char *url, const leat__http_range *range)
{
    leat_error error;
    f->w = w;
    f->start = range->from;
    w->running++;
    f->forbidden = true;
    leat_code code = leat__http_get(w->http, url, range, &w->budget, &fetch_callbacks, f, &f->transfer, &error);
    f->forbidden = false;
    ck_assert_msg(code == LEAT_OK, "%s", error.message);
}

void fetch_start(fetch *f, world *w, const char *url, uint64_t offset)
{
    leat__http_range range = LEAT__HTTP_WHOLE;
    range.from = offset;
    fetch_start_range(f, w, url, &range);
}

void fetch_resume(fetch *f)
{
    f->paused = false;
    f->forbidden = true;
    leat__transfer_resume(f->transfer);
    f->forbidden = false;
}

const char *chaos_url(const char *path)
{
    static char url[512];
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", servers.chaos[0], path);
    return url;
}

int asked(const char *what, const char *path)
{
    return atoi(http_servers_ask(&servers, "/__%s?path=%.*s", what, (int)strcspn(path, "?"), path));
}

void fetch_all(world *w, fetch *f, const char *url, int limit_ms)
{
    memset(f, 0, sizeof *f);
    fetch_start(f, w, url, 0);
    world_run_until(w, &w->running, 0, limit_ms);
}

/* ---- the suite ---- */

static void write_pattern(const char *name, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/www/%s", servers.dir, name);
    FILE *file = fopen(path, "w");
    for (size_t i = 0; i < size; i++) putc(http_pattern(i), file);
    fclose(file);
}

TCase *add_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    return tcase;
}

int http_suite_run(Suite *suite)
{
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigprocmask(SIG_BLOCK, &pipe, NULL); /* as the loop's thread has to (P17) */
    http_servers_start(&servers);
    write_pattern("small", 58000);
    write_pattern("large", 20000000);
    int failed = run_suite(suite);
    http_servers_stop(&servers);
    return failed;
}
