/* download.c - a small object of the network, whole, for a caller who waits.
 *
 * What:    a loop, an HTTP client and one transfer, whose buffers are put together in memory of the caller's.
 * Why so:  an index is read before there is a pipeline, and by callers without one. The loader's client does it, so that retries,
 *          redirects, credentials and limits are the same as for the data. A loop's thread costs less than the request.
 * Memory:  grows with what has come, whatever was announced, by half, within max_bytes: at most 1.5 times the object, and where the
 *          allocator has to copy (glibc moves pages instead) 2.5 times while it grows. What is given is of its size.
 * Threads: begin, on_data, on_end and on_closed run on the loop thread; the caller waits for on_closed, then has all to itself. */
#include "loader/download.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"
#include "pipeline/loop.h"

enum {
    CHUNK_BYTES = 128 << 10, /* what curl reads at a time */
    FIRST_BYTES = 64 << 10,  /* an index of a few thousand samples */
};

leat__http_options leat__http_options_of(const leat_config *config, const leat__env *env, uv_loop_t *loop, leat__arena *arena,
                                         size_t chunk_bytes)
{
    return (leat__http_options){
        .loop = loop,
        .arena = arena,
        .now_ns = env->now_ns,
        .random = env->random,
        .user = env->user,
        .ca_file = config->ca_file,
        .headers = config->headers,
        .header_count = config->header_count,
        .connections = config->connections,
        .chunk_bytes = chunk_bytes,
        .max_object_bytes = config->max_object_bytes,
        .retries = config->retries,
        .connect_timeout_ms = config->connect_timeout_ms,
        .stall_timeout_ms = config->stall_timeout_ms,
        .max_retry_after_ms = config->max_retry_after_ms,
        .redirects = config->redirects,
    };
}

typedef struct download {
    /* fixed after creation */
    const leat_config *config;
    const char *url;
    uint64_t max_bytes;
    leat__loop *loop;
    leat__arena *arena;
    /* loop thread; once it is done, the caller's */
    leat__http *http;
    leat__transfer *transfer;
    uint8_t *bytes;
    size_t size, capacity;
    leat_error error;
    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t done_cond;
    bool done;
} download;

static void on_closed(void *user)
{
    download *d = user;
    pthread_mutex_lock(&d->lock);
    d->done = true;
    pthread_cond_signal(&d->done_cond);
    pthread_mutex_unlock(&d->lock);
}

/* Room for `more` bytes. False if memory is short. */
static bool reserve(download *d, size_t more)
{
    size_t needed;
    if (d->bytes && more <= d->capacity - d->size) return true;
    if (__builtin_add_overflow(d->size, more, &needed)) return false;
    size_t capacity = d->capacity ? d->capacity + d->capacity / 2 : FIRST_BYTES; /* of what is allocated: it does not overflow */
    if (capacity > d->max_bytes) capacity = (size_t)d->max_bytes;
    if (capacity < needed) capacity = needed;
    uint8_t *larger = realloc(d->bytes, capacity + !capacity);
    if (!larger) return false;
    d->bytes = larger;
    d->capacity = capacity;
    return true;
}

/* Gives back what was reserved and is not used. */
static void fit(download *d)
{
    uint8_t *fitted = d->size ? realloc(d->bytes, d->size) : NULL;
    if (fitted) d->bytes = fitted;
}

static bool on_data(void *user, leat__buffer *buffer, size_t size)
{
    download *d = user;
    bool fits = reserve(d, size);
    if (fits) {
        memcpy(d->bytes + d->size, buffer->data, size);
        d->size += size;
    }
    leat__buffer_release(buffer);
    if (fits) return true;
    leat__fail(&d->error, LEAT_ENOMEM, 0, "no memory for more than %zu bytes", d->size);
    leat__transfer_cancel(d->transfer);
    leat__http_close(d->http, on_closed, d);
    return true;
}

static void on_end(void *user, const leat_error *error)
{
    download *d = user;
    if (error) d->error = *error;
    else if (!reserve(d, 0)) leat__fail(&d->error, LEAT_ENOMEM, 0, "no memory for it");
    leat__http_close(d->http, on_closed, d);
}

static void begin(void *argument)
{
    static const leat__transfer_callbacks callbacks = {.data = on_data, .end = on_end};
    download *d = argument;
    leat__http_options options = leat__http_options_of(d->config, leat__env_real(), leat__loop_uv(d->loop), d->arena, CHUNK_BYTES);
    options.connections = 1;
    options.max_object_bytes = d->max_bytes;
    leat_code code = leat__http_new(&options, &d->http, &d->error);
    if (!code) code = leat__http_get(d->http, d->url, NULL, NULL, &callbacks, d, &d->transfer, &d->error);
    if (!code) return;
    if (d->http) leat__http_close(d->http, on_closed, d);
    else on_closed(d);
}

static void on_wake(void *user)
{
    (void)user; /* nothing waits for it */
}

static void run(download *d)
{
    d->arena = leat__arena_new(2 * CHUNK_BYTES);
    if (!d->arena) leat__fail(&d->error, LEAT_ENOMEM, 0, "no memory for a download");
    if (!d->arena || leat__loop_new(on_wake, NULL, &d->loop, &d->error)) return;
    leat__loop_do(d->loop, begin, d);
    pthread_mutex_lock(&d->lock);
    while (!d->done) pthread_cond_wait(&d->done_cond, &d->lock);
    pthread_mutex_unlock(&d->lock);
    leat__loop_free(d->loop);
    assert(leat__arena_live(d->arena) == 0);
}

leat_code leat__download(const leat_config *config, const char *url, uint64_t max_bytes, uint8_t **bytes, size_t *size,
                         leat_error *error)
{
    download d = {.config = config, .url = url, .max_bytes = max_bytes};
    char shown[512];
    *bytes = NULL;
    *size = 0;
    pthread_mutex_init(&d.lock, NULL);
    pthread_cond_init(&d.done_cond, NULL);
    leat__error_clear(&d.error);
    run(&d);
    leat__arena_release(d.arena);
    pthread_cond_destroy(&d.done_cond);
    pthread_mutex_destroy(&d.lock);
    if (!d.error.code) {
        fit(&d);
        *bytes = d.bytes;
        *size = d.size;
        return LEAT_OK;
    }
    free(d.bytes);
    leat__redact(shown, sizeof shown, url);
    if (d.error.code == LEAT_ELIMIT) /* the client's words name a setting that this limit does not come from */
        return leat__fail(error, LEAT_ELIMIT, 0, "%s: has more than the %" PRIu64 " bytes that are read of such a file", shown,
                          max_bytes);
    return leat__fail(error, d.error.code, d.error.system, "%s: %s", shown, d.error.message);
}
