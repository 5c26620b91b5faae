/* http.h - objects from HTTP(S) servers: libcurl's multi interface on a libuv loop, with retries of its own.
 *
 * One client a loop. A transfer gives an object's bytes, or a range of them, in order, each exactly once, however often
 * the connection breaks: a transient failure in mid-body goes on by range at the byte where it stopped, if the server
 * says that it is still the same object (ETag, Last-Modified, size: none may differ, one has to agree). A server without
 * ranges is read from the start again, and what was delivered, or is not wanted, is thrown away. An object whose server
 * gives no size ends where the connection does. All on the loop thread, which has to block SIGPIPE: OpenSSL may raise it,
 * and the client leaves signals alone.
 * A host that answers nothing but 429 or 503 is asked by one transfer at a time, which costs no transfer its attempts, until
 * `retries` of those in a row were refused and 30 s (or max_retry_after_ms, if that is less) have gone by without an object of it:
 * then all transfers to it fail, the one that asked with LEAT_EHTTP, the others with LEAT_ERETRIES, and it is unreachable, as one
 * whose budget of retries is spent. A single object that is always refused fails after as many and as long; with retries = 1 at
 * once.
 * Memory: one buffer a transfer, charged to its budget; and, not charged, curl's read buffer of 64 KiB a connection,
 * while paused at most as much again.
 * The rules F.. and R.. of the project's fault catalogue that it keeps are named where they are kept; the map of its
 * files is in http_internal.h. */
#ifndef LEAT__HTTP_H
#define LEAT__HTTP_H

#include <uv.h>

#include "pipeline/buffer.h"
#include <leat/error.h>

typedef struct leat__http leat__http;
typedef struct leat__transfer leat__transfer;

typedef struct leat__http_options {
    uv_loop_t *loop;             /* borrows, until leat__http_close has called back */
    leat__arena *arena;          /* borrows likewise */
    uint64_t (*now_ns)(void *user);  /* the clock and the randomness (of back-off); NULL: uv_hrtime and a fixed seed */
    uint64_t (*random)(void *user);
    void *user;
    const char *ca_file;         /* NULL: the system's */
    const char *const *headers;  /* as in leat_config; copied. LEAT_EINVAL for a field that the client sets itself */
    size_t header_count;
    uint32_t connections;        /* transfers at a time in all; further ones wait. A paused transfer may lose its place
                                    to a waiting one, and goes on by range when it is resumed: places.c says why */
    uint32_t connections_per_host; /* and to one host; 0, or more than that: as many */
    size_t chunk_bytes;          /* size of the buffers handed out; at least 16 KiB, what curl gives at a time */
    uint64_t max_object_bytes;
    uint32_t retries, connect_timeout_ms, stall_timeout_ms, max_retry_after_ms, redirects; /* as there, no zeros */
} leat__http_options;

typedef struct leat__http_stats {
    uint64_t requests, retries, bytes, redirects, throttled; /* since the client was made */
    uint32_t active, waiting, paused;                        /* transfers now */
} leat__http_stats;

/* Makes a client. *http: gives, to be ended by leat__http_close. */
leat_code leat__http_new(const leat__http_options *options, leat__http **http, leat_error *error);

/* A host that transfers went to. */
typedef struct leat__http_host {
    const char *origin;            /* "https://host:port" */
    uint32_t active, limit;
    uint64_t paused_ns;            /* from now on; 0: not paused */
    uint64_t retries;
    bool unreachable;              /* its retry budget is spent (R5), or it has refused everything for too long */
} leat__http_host;
/* Calls each(user, host) for every host that is known. Valid during the call. */
void leat__http_hosts(const leat__http *http, void (*each)(void *user, const leat__http_host *host), void *user);

/* Ends it (takes; NULL is not fine): cancels every transfer, closes every handle, then calls closed(user) once, on the
 * loop, when nothing of it is left there. Does not block, also in name resolution. */
void leat__http_close(leat__http *http, void (*closed)(void *user), void *user);

void leat__http_get_stats(const leat__http *http, leat__http_stats *stats);

typedef struct leat__transfer_callbacks {
    /* The next bytes (buffer: gives one reference; `size` of it filled). Return false to pause: nothing more comes
     * until leat__transfer_resume. May call cancel. */
    bool (*data)(void *user, leat__buffer *buffer, size_t size);
    /* The end: error is NULL if the object is whole, else says why not (borrows). The transfer is gone after it. Not
     * called after cancel, nor while paused. Never called from within leat__http_get, leat__transfer_resume or data.
     * The message is the cause, the attempts and the place: "HTTP 404 Not Found (attempt 1)"; error->offset is the
     * object's byte. */
    void (*end)(void *user, const leat_error *error);
    /* NULL, or: a request failed as `error` says (borrows), and will be repeated after delay_ms at the soonest. May call
     * cancel. Called from where end is. */
    void (*retry)(void *user, const leat_error *error, uint64_t delay_ms);
} leat__transfer_callbacks;

/* Which bytes of an object are wanted, and what is known of it beforehand. */
typedef struct leat__http_range {
    uint64_t from, to;  /* [from, to), from <= to; to = UINT64_MAX: to its end */
    uint64_t total;     /* the size that it is expected to have; UINT64_MAX: any */
    const char *etag;   /* and the ETag; "" or NULL: any. One of 128 bytes or more says nothing. A strong one is sent as
                           If-Match (F2); a server that refuses it without a word of an ETag is asked once more without */
    const char *modified; /* and, where there is no strong ETag, Last-Modified, sent as If-Unmodified-Since; NULL or "":
                             any */
    uint64_t limit;     /* hand out bytes up to here only, although they are asked for up to `to`: see
                           leat__transfer_limit. 0: to */
    bool strict;        /* the whole object (200) is no answer to a range that begins behind 0: LEAT_ERANGE; and where a connection
                           broke it is only gone on with an ETag or Last-Modified that is the same, not with the size alone:
                           LEAT_ECHANGED */
} leat__http_range;
#define LEAT__HTTP_WHOLE ((leat__http_range){.to = UINT64_MAX, .total = UINT64_MAX, .etag = ""})

/* Begins to read a URL. range: NULL is the whole object; an empty one ends without a request. budget: charged for the
 * buffers. url, range: borrows, until it returns. *transfer: gives, until its end or cancel. LEAT_EINVAL for what is no
 * http(s) URL. If it fails, no callback runs. An object that ends before range->to ends in LEAT_ETRUNCATED; one that is
 * not as expected in LEAT_ECHANGED, before a byte of it is handed out (but for a size that only its end can tell). */
leat_code leat__http_get(leat__http *http, const char *url, const leat__http_range *range, leat__budget *budget,
                         const leat__transfer_callbacks *callbacks, void *user, leat__transfer **transfer,
                         leat_error *error);

/* Goes on after data returned false. No data callback runs from within it. */
void leat__transfer_resume(leat__transfer *transfer);

/* Hands out what has arrived so far, however little, by the data callback (soon, not from within); if nothing has, then
 * the next bytes as soon as they come. For a consumer that starves while a slow server fills a buffer. */
void leat__transfer_flush(leat__transfer *transfer);

/* Moves the end of what is handed out, to at least the next byte to come (the first that data was not called for) and at
 * most `to`: so that transfers of one object can share out what is left of it. A transfer that has come to its limit ends
 * as whole, and its connection is dropped if the server had more to send. From within the data callback of the bytes before
 * the limit it can still be raised, and the bytes go on without a new request (unless the consumer has paused less than
 * CURL_MAX_WRITE_SIZE before a limit, old or new: what curl had passed in behind it is asked for again). Afterwards this
 * does nothing, nor after cancel. No callback runs from within it. */
void leat__transfer_limit(leat__transfer *transfer, uint64_t limit);

/* Breaks off a connection that is too slow: goes on by range on a new one (F14), which counts as no failure. Nothing
 * happens to a transfer that has none, nor after cancel. No callback runs from within it. */
void leat__transfer_renew(leat__transfer *transfer);

/* What is known of the object from its server's answers; once data is called. Strings: borrows, until the next call. */
typedef struct leat__transfer_facts {
    uint64_t total;           /* UINT64_MAX: not said */
    const char *etag, *modified; /* "": none */
    const char *type;         /* Content-Type; "": none */
    bool ranges;              /* it may be asked for by ranges: a validator that can vouch for its bytes (strong ETag or
                                 Last-Modified), no "Accept-Ranges: none", and no range was answered with all of it */
    uint32_t attempts;        /* requests so far */
} leat__transfer_facts;
leat__transfer_facts leat__transfer_facts_of(const leat__transfer *transfer);

/* Ends it without a callback (takes). */
void leat__transfer_cancel(leat__transfer *transfer);

#endif
