/* http.c - the client: options, curl's timer, the deferred work, close.
 *
 * What:    joins one curl multi handle to one libuv loop. The map of the client's files is in http_internal.h.
 * Why so:  libuv's time is updated before each timer, as its cached time would make curl's time-outs fire early (P7);
 *          every finished transfer is reaped after each call of curl, whatever it says of running handles (P6).
 * Threads: loop. The thread has to block SIGPIPE (P17): curl is told not to touch signals.
 * Life:    open ──leat__http_close──► closing (no callback runs any more) ──idle──► shut down: transfers, easy handles
 *          and connections are gone, handles close ──last close callback──► freed, closed() is called.
 * Invariants: counts[s] is the length of lists[s], or of the hosts' queues[s] together; the idle handle runs exactly while work is
 *          deferred;
 *          open_handles = 4 + sockets not yet freed. */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"
#include "stages/http_internal.h"

/* ---- small services ---- */

uint64_t leat__http_now(const leat__http *http)
{
    return http->options.now_ns ? http->options.now_ns(http->options.user) : uv_hrtime();
}

uint64_t leat__http_random(leat__http *http)
{
    return http->options.random ? http->options.random(http->options.user) : leat__random_next(&http->random);
}

void leat__http_get_stats(const leat__http *http, leat__http_stats *stats)
{
    const uint32_t *counts = http->counts;
    *stats = http->stats;
    stats->active = counts[LEAT__TRANSFER_ACTIVE];
    stats->waiting = counts[LEAT__TRANSFER_RESUMED] + counts[LEAT__TRANSFER_WAITING] + counts[LEAT__TRANSFER_DELAYED];
    stats->paused = counts[LEAT__TRANSFER_PAUSED] + counts[LEAT__TRANSFER_PARKED];
}

/* ---- curl ---- */

static void reap(leat__http *http)
{
    CURLMsg *message;
    int left;
    while (!http->closing && (message = curl_multi_info_read(http->multi, &left))) {
        if (message->msg != CURLMSG_DONE) continue;
        leat__attempt *attempt = NULL;
        CURLcode result = message->data.result; /* the message dies with the removal (P24) */
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &attempt);
        assert(attempt && attempt->transfer);
        leat__outcome(attempt->transfer, result);
    }
}

void leat__http_drive(leat__http *http, curl_socket_t fd, int events)
{
    int running;
    if (http->closing) return;
    curl_multi_socket_action(http->multi, fd, events, &running);
    reap(http);
    http->soon = false;
    leat__places_fill(http);
    /* what the idle handle would do is done: no turn of the loop, and no system call, for that alone */
    if (!http->soon && !http->due_count && !http->closing) uv_idle_stop(&http->idle);
}

static void on_curl_timer(uv_timer_t *timer)
{
    leat__http_drive(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_curl_wants_time(CURLM *multi, long timeout_ms, void *user)
{
    leat__http *http = user;
    (void)multi;
    if (timeout_ms < 0 || http->closing) {
        uv_timer_stop(&http->curl_timer);
        return 0;
    }
    uv_update_time(http->options.loop);
    uv_timer_start(&http->curl_timer, on_curl_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

/* ---- deferred work ---- */

static void shut_down(leat__http *http);

static void on_idle(uv_idle_t *idle)
{
    leat__http *http = idle->data;
    uv_idle_stop(idle);
    for (uint32_t n = http->due_count; n && !http->closing; n--) {
        leat__transfer *transfer = TAILQ_FIRST(&http->due);
        TAILQ_REMOVE(&http->due, transfer, due_link);
        http->due_count--;
        transfer->due = false;
        leat__transfer_do_due(transfer);
    }
    if (http->closing) shut_down(http);
    else leat__places_fill(http);
}

void leat__http_soon(leat__http *http)
{
    http->soon = true;
    if (!uv_is_closing((uv_handle_t *)&http->idle)) uv_idle_start(&http->idle, on_idle);
}

/* ---- birth ---- */

static CURLcode global_result;

static void global_init(void)
{
    global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

#define SET(option, value)                                                                                             \
    if (!code) code = curl_multi_setopt(http->multi, option, value)

static bool multi_setup(leat__http *http)
{
    CURLMcode code = CURLM_OK;
    http->multi = curl_multi_init();
    if (!http->multi) return false;
    SET(CURLMOPT_SOCKETFUNCTION, leat__socket_wants);
    SET(CURLMOPT_SOCKETDATA, http);
    SET(CURLMOPT_TIMERFUNCTION, on_curl_wants_time);
    SET(CURLMOPT_TIMERDATA, http);
    SET(CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    SET(CURLMOPT_MAXCONNECTS, (long)http->options.connections); /* kept alive */
    return code == CURLM_OK;
}

/* Frees what is not a libuv handle. Accepts a half-built client. */
static void http_free(leat__http *http)
{
    leat__hosts_free(http);
    leat__sockets_free(http);
    curl_slist_free_all(http->plain_headers);
    curl_slist_free_all(http->user_headers);
    free(http->ca_file);
    free(http);
}

static void handles_init(leat__http *http)
{
    uv_timer_t *timers[] = {&http->curl_timer, &http->wake_timer, &http->tick_timer};
    for (size_t i = 0; i < 3; i++) {
        uv_timer_init(http->options.loop, timers[i]);
        timers[i]->data = http;
    }
    uv_idle_init(http->options.loop, &http->idle);
    http->idle.data = http;
    http->open_handles = 4;
}

leat_code leat__http_new(const leat__http_options *options, leat__http **out, leat_error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    leat_code code = LEAT_ENOMEM;
    *out = NULL;
    assert(options->loop && options->arena && options->connections && options->retries && options->stall_timeout_ms);
    pthread_once(&once, global_init);
    if (global_result)
        return leat__fail(error, LEAT_ESYSTEM, (int)global_result, "curl: %s", curl_easy_strerror(global_result));
    leat__http *http = calloc(1, sizeof *http);
    if (!http) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for the HTTP client");
    http->options = *options;
    http->options.ca_file = NULL;
    http->options.headers = NULL;
    uint32_t *per_host = &http->options.connections_per_host;
    if (!*per_host || *per_host > options->connections) *per_host = options->connections;
    if (http->options.chunk_bytes < CURL_MAX_WRITE_SIZE) http->options.chunk_bytes = CURL_MAX_WRITE_SIZE;
    http->tick_ms = options->stall_timeout_ms / 8 < 1000 ? options->stall_timeout_ms / 8 + 1 : 1000;
    for (int i = 0; i < LEAT__TRANSFER_STATES; i++) TAILQ_INIT(&http->lists[i]);
    for (int i = 0; i < LEAT__QUEUES; i++) TAILQ_INIT(&http->queues[i]);
    TAILQ_INIT(&http->due);
    TAILQ_INIT(&http->hosts);
    if (options->ca_file && !(http->ca_file = strdup(options->ca_file))) goto no_memory;
    code = leat__headers_new(http, options, error);
    if (code) goto fail;
    code = LEAT_ENOMEM;
    if (!multi_setup(http)) goto no_memory;
    handles_init(http);
    *out = http;
    return LEAT_OK;
no_memory:
    leat__fail(error, code, 0, "no memory for the HTTP client");
fail:
    if (http->multi) curl_multi_cleanup(http->multi);
    http_free(http);
    return code;
}

/* ---- death ---- */

void leat__http_handle_closed(leat__http *http)
{
    assert(http->open_handles > 0);
    if (--http->open_handles) return;
    void (*closed)(void *user) = http->closed;
    void *user = http->closed_user;
    http_free(http);
    if (closed) closed(user);
}

static void on_handle_closed(uv_handle_t *handle)
{
    leat__http_handle_closed(handle->data);
}

/* P25: transfers, easy handles, then the multi handle, which closes the kept connections; then libuv's handles. */
static void shut_down(leat__http *http)
{
    assert(http->closing);
    for (int i = 0; i < LEAT__QUEUES; i++)
        for (leat__host *host; (host = TAILQ_FIRST(&http->queues[i]));) leat__transfer_free(TAILQ_FIRST(&host->queues[i]));
    for (int i = 0; i < LEAT__TRANSFER_STATES; i++)
        while (!TAILQ_EMPTY(&http->lists[i])) leat__transfer_free(TAILQ_FIRST(&http->lists[i]));
    leat__attempts_free(http);
    curl_multi_cleanup(http->multi);
    http->multi = NULL;
    leat__sockets_drop(http);
    uv_close((uv_handle_t *)&http->curl_timer, on_handle_closed);
    uv_close((uv_handle_t *)&http->wake_timer, on_handle_closed);
    uv_close((uv_handle_t *)&http->tick_timer, on_handle_closed);
    uv_close((uv_handle_t *)&http->idle, on_handle_closed);
}

void leat__http_close(leat__http *http, void (*closed)(void *user), void *user)
{
    assert(!http->closing);
    http->closing = true;
    http->closed = closed;
    http->closed_user = user;
    leat__http_soon(http); /* not from here: it may be called from within curl */
}
