/* indexweb.c - reads a shard over the network, for its index.
 *
 * What:    the loader's HTTP client on a loop of the thread's own; what comes is counted as it comes.
 * Why so:  counting is headers only and takes no time beside the network, so it needs no thread apart from the loop's.
 * Threads: a leat__index_web belongs to one thread, which runs its loop; it has all signals blocked (crew.c), as the client asks
 *          for.
 * Not here: what the bytes say (indexshard.c), how HTTP is done (stages/http.h). */
#include "loader/indexshard.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "loader/download.h"
#include "pipeline/env.h"
#include "pipeline/failure.h"

enum { LOOK_MS = 100 }; /* how often the stop flag is seen while nothing comes */

struct leat__index_web {
    uv_loop_t loop;
    uv_timer_t timer;
    bool looped, timed;      /* the two have to be closed */
    leat__http *http;
    /* of the transfer under way */
    leat__shard_counter *counter;
    leat__transfer *transfer;
    char *etag;
    bool done;
    leat_code code;
    leat_error error;
};

static void closed(void *user)
{
    ((struct leat__index_web *)user)->http = NULL;
}

void leat__index_web_free(struct leat__index_web *web)
{
    if (!web) return;
    if (web->http) leat__http_close(web->http, closed, web);
    if (web->timed) uv_close((uv_handle_t *)&web->timer, NULL);
    if (web->looped) {
        uv_run(&web->loop, UV_RUN_DEFAULT);
        int left = uv_loop_close(&web->loop);
        assert(left == 0 && !web->http);
        (void)left;
    }
    free(web);
}

/* Ends the transfer under way, by a failure of ours. */
static void break_off(struct leat__index_web *web)
{
    leat__transfer_cancel(web->transfer);
    web->done = true;
}

static void on_look(uv_timer_t *timer)
{
    struct leat__index_web *web = timer->data;
    if (web->done || !atomic_load(&web->counter->run->stopping)) return;
    web->code = leat__fail(&web->error, LEAT_ECLOSED, 0, "stopped as asked");
    break_off(web);
}

static bool on_data(void *user, leat__buffer *buffer, size_t size)
{
    struct leat__index_web *web = user;
    leat__bytes bytes = {.buffer = buffer, .data = buffer->data, .size = size};
    if (web->counter->bytes == 0) snprintf(web->etag, LEAT__INDEX_ETAG, "%s", leat__transfer_facts_of(web->transfer).etag);
    web->code = leat__shard_counter_feed(web->counter, &bytes, false, &web->error);
    leat__bytes_release(&bytes);
    if (web->code) break_off(web);
    return true;
}

static void on_end(void *user, const leat_error *error)
{
    struct leat__index_web *web = user;
    leat__bytes none = {0};
    web->done = true;
    if (error) web->error = *error;
    web->code = error ? error->code : leat__shard_counter_feed(web->counter, &none, true, &web->error);
}

static leat_code web_new(leat__shard_counter *counter, leat_error *error)
{
    struct leat__index_web *web = calloc(1, sizeof *web);
    counter->web = web;
    if (!web) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a transfer");
    int rc = uv_loop_init(&web->loop);
    web->looped = rc == 0;
    if (web->looped) rc = uv_timer_init(&web->loop, &web->timer);
    web->timed = web->looped && rc == 0;
    if (web->timed) rc = uv_timer_start(&web->timer, on_look, LOOK_MS, LOOK_MS);
    if (rc) return leat__fail(error, LEAT_ESYSTEM, -rc, "an event loop: %s", uv_strerror(rc));
    web->timer.data = web;
    leat__http_options options = leat__http_options_of(counter->run->config, leat__env_real(), &web->loop, counter->arena,
                                                       LEAT__INDEX_CHUNK);
    options.connections = 1;
    return leat__http_new(&options, &web->http, error);
}

leat_code leat__index_web_read(leat__shard_counter *counter, char etag[LEAT__INDEX_ETAG], leat_error *error)
{
    static const leat__transfer_callbacks callbacks = {.data = on_data, .end = on_end};
    leat_code code = counter->web ? LEAT_OK : web_new(counter, error);
    if (code) return code;
    struct leat__index_web *web = counter->web;
    web->counter = counter;
    web->etag = etag;
    web->done = false;
    web->code = LEAT_OK;
    code = leat__http_get(web->http, counter->object->name, NULL, NULL, &callbacks, web, &web->transfer, error);
    if (code) return code;
    while (!web->done) uv_run(&web->loop, UV_RUN_ONCE);
    if (web->code && error) *error = web->error;
    return web->code;
}
