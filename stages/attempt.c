/* attempt.c - one request on one easy handle.
 *
 * What:    options of the easy handle, once; URL, Range and If-Match for each request; curl's header and write
 *          callbacks, which judge the header and pass only an accepted body on to the transfer.
 * Why so:  easy handles are kept and used again, as making one costs more than a small request. Everything that makes
 *          curl clever is off: redirects, decoding, cookies, netrc, proxies of the environment, its total time-out
 *          (which would run while we pause, P13). A body that is not the object's (an error's, a redirect's) is read up
 *          to a limit, so that its connection can be kept, and its first bytes may explain the error.
 *          While paused, curl keeps what it has read already: at most one read buffer (64 KiB). 7.88.1 frees that buffer after
 *          each answer, and what glibc then gives back to the system comes again as page faults: with 128 KiB ten for
 *          each file of 58 KB, a fifth of the thread's time; with 64 KiB one; with 16 or 32 KiB nothing is gained any more.
 * Threads: loop. The callbacks run inside curl: they call no curl function but curl_easy_pause.
 * Invariants: bytes reach the transfer only after VERDICT_BODY, and only up to span.end (F3), the size cap (F5) and the
 *          limit of what is wanted: a server that sends on behind that loses its connection.
 * Not here: what the end of an attempt means (outcome.c). */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "stages/http_internal.h"

enum {
    SWALLOW_BYTES = 64 << 10, /* of a body that is not the object's */
    IDLE_SECONDS = 4,         /* a kept connection is not used after that: S3 closes them after 5 (P23) */
    LIFETIME_SECONDS = 3600,  /* then its certificate is looked at again (P31) */
    ADDRESS_SECONDS = 60,
};

/* ---- curl's callbacks ---- */

static bool header_done(leat__attempt *attempt)
{
    leat__transfer *transfer = attempt->transfer;
    leat__asked asked = {
        .from = transfer->position,
        .to = transfer->stop,
        .continues = transfer->position > transfer->start,
        .strict = transfer->strict && transfer->start,
        .careful = transfer->strict,
        .expected = &transfer->expected,
        .max_bytes = attempt->http->options.max_object_bytes,
    };
    attempt->verdict = leat__reply_judge(&attempt->reply, &asked, &transfer->known, &attempt->span, &attempt->fault);
    if (attempt->verdict == LEAT__VERDICT_REDIRECT && !attempt->reply.location) attempt->verdict = LEAT__VERDICT_STATUS;
    attempt->quiet_ns = 0;
    bool serves = attempt->verdict == LEAT__VERDICT_BODY || attempt->verdict == LEAT__VERDICT_NOTHING;
    if (serves || attempt->verdict == LEAT__VERDICT_REDIRECT)
        leat__host_serves(attempt->http, transfer->host, attempt->started_ns);
    return attempt->verdict != LEAT__VERDICT_REFUSED;
}

/* The first header line: the connection is up, and the host's address known. */
static void answer_begins(leat__attempt *attempt)
{
    leat__attempt_resolved(attempt, true);
    leat__socket_keep(attempt);
}

static size_t on_header(char *line, size_t one, size_t size, void *user)
{
    (void)one;
    leat__attempt *attempt = user;
    if (!attempt->header_bytes) answer_begins(attempt);
    attempt->header_bytes += size;
    if (attempt->header_bytes > LEAT__HEADERS_BYTES) {
        leat__fault_set(&attempt->fault, LEAT_EHEADERS, LEAT__FAULT_FATAL, 0, "more than %d bytes of headers",
                        LEAT__HEADERS_BYTES);
        return 0;
    }
    if (attempt->verdict != LEAT__VERDICT_NONE) return size; /* trailers say nothing that is believed */
    bool last = size <= 2 && (line[0] == '\r' || line[0] == '\n');
    bool good = last ? header_done(attempt) : leat__reply_line(&attempt->reply, line, size, &attempt->fault);
    return good ? size : 0;
}

/* A body that is not the object's. */
static size_t swallow(leat__attempt *attempt, const char *data, size_t size)
{
    size_t room = sizeof attempt->excerpt - attempt->excerpt_size;
    size_t kept = size < room ? size : room;
    memcpy(attempt->excerpt + attempt->excerpt_size, data, kept);
    attempt->excerpt_size += kept;
    attempt->swallowed += size;
    return attempt->swallowed <= SWALLOW_BYTES ? size : 0;
}

/* Bytes past `position` that may still come. */
static bool check_room(leat__attempt *attempt, size_t size)
{
    const leat__transfer *transfer = attempt->transfer;
    uint64_t position = transfer->position, cap = attempt->http->options.max_object_bytes;
    assert(position <= attempt->span.end);
    if (size > attempt->span.end - position && attempt->span.end == transfer->expected.total)
        return leat__fault_set(&attempt->fault, LEAT_ECHANGED, LEAT__FAULT_FATAL, 0,
                               "not the object that was expected: it is larger than the %" PRIu64 " bytes that were "
                               "expected", attempt->span.end);
    if (size > attempt->span.end - position)
        return leat__fault_set(&attempt->fault, LEAT_EOVERSIZE, LEAT__FAULT_FATAL, 0,
                               "more bytes came than the %" PRIu64 " that were announced", attempt->span.end);
    if (position > cap || size > cap - position)
        return leat__fault_set(&attempt->fault, LEAT_ELIMIT, LEAT__FAULT_FATAL, 0,
                               "the object is larger than max_object_bytes, %" PRIu64, cap);
    return true;
}

/* The server would send more than is wanted. Not while the bytes before a limit wait for their consumer: it may raise it. */
static bool enough(const leat__attempt *attempt)
{
    const leat__transfer *transfer = attempt->transfer;
    if (transfer->position != transfer->limit || attempt->span.end == transfer->limit) return false;
    return !leat__transfer_at_limit(transfer) || !transfer->filled;
}

static size_t on_body(char *data, size_t one, size_t size, void *user)
{
    (void)one;
    leat__attempt *attempt = user;
    leat__transfer *transfer = attempt->transfer;
    if (transfer->canceled || attempt->http->closing) return 0;
    if (attempt->verdict != LEAT__VERDICT_BODY) return swallow(attempt, data, size);
    if (attempt->abandoned) return 0;
    size_t skip = size < attempt->span.skip ? size : (size_t)attempt->span.skip, taken = 0;
    if (size > skip) {
        if (!check_room(attempt, size - skip)) return 0;
        switch (leat__transfer_accept(transfer, data + skip, size - skip, &taken)) {
        case LEAT__ACCEPT_LATER:
            return CURL_WRITEFUNC_PAUSE;
        case LEAT__ACCEPT_NO_MEMORY:
            leat__fault_set(&attempt->fault, LEAT_ENOMEM, LEAT__FAULT_FATAL, 0, "no memory for a buffer");
            return 0;
        case LEAT__ACCEPTED:
            attempt->accepted += taken;
        }
    }
    attempt->span.skip -= skip;
    attempt->received += size;
    attempt->http->stats.bytes += size;
    return taken < size - skip || enough(attempt) ? 0 : size;
}

/* ---- easy handles ---- */

#define SET(option, value)                                                                                             \
    if (!code) code = curl_easy_setopt(easy, option, value)

/* The options that are the same for every request. */
static CURLcode easy_setup(leat__attempt *attempt)
{
    leat__http *http = attempt->http;
    CURL *easy = attempt->easy;
    CURLcode code = CURLE_OK;
    SET(CURLOPT_PRIVATE, attempt);
    SET(CURLOPT_NOSIGNAL, 1L);   /* P17: the loop's thread blocks SIGPIPE itself */
    SET(CURLOPT_QUICK_EXIT, 1L); /* P16: don't wait for the resolver's thread */
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1); /* F7 */
    SET(CURLOPT_PROXY, "");      /* a library does not read http_proxy */
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_BUFFERSIZE, (long)LEAT__READ_BYTES);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)http->options.connect_timeout_ms);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (http->ca_file) {
        SET(CURLOPT_CAINFO, http->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    SET(CURLOPT_MAXAGE_CONN, (long)IDLE_SECONDS);
    SET(CURLOPT_MAXLIFETIME_CONN, (long)LIFETIME_SECONDS);
    SET(CURLOPT_DNS_CACHE_TIMEOUT, (long)ADDRESS_SECONDS);
    SET(CURLOPT_DNS_SHUFFLE_ADDRESSES, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_OPENSOCKETFUNCTION, leat__socket_open);
    SET(CURLOPT_OPENSOCKETDATA, attempt);
    SET(CURLOPT_CLOSESOCKETFUNCTION, leat__socket_close);
    SET(CURLOPT_CLOSESOCKETDATA, http);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, attempt);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, attempt);
    SET(CURLOPT_ERRORBUFFER, attempt->curl_text);
    return code;
}

static void attempt_free(leat__attempt *attempt)
{
    leat__reply_clear(&attempt->reply);
    curl_easy_cleanup(attempt->easy);
    free(attempt);
}

static leat__attempt *attempt_new(leat__http *http)
{
    leat__attempt *attempt = calloc(1, sizeof *attempt);
    if (!attempt) return NULL;
    attempt->http = http;
    attempt->easy = curl_easy_init();
    if (!attempt->easy || easy_setup(attempt)) {
        attempt_free(attempt);
        return NULL;
    }
    return attempt;
}

static void attempt_reset(leat__attempt *attempt, leat__transfer *transfer)
{
    leat__reply_clear(&attempt->reply);
    attempt->transfer = transfer;
    attempt->verdict = LEAT__VERDICT_NONE;
    attempt->span = (leat__span){.skip = 0, .end = LEAT__NO_SIZE};
    attempt->fault.code = LEAT_OK;
    attempt->started_ns = leat__http_now(attempt->http);
    attempt->accepted = attempt->received = attempt->marked = attempt->quiet_ns = 0;
    attempt->header_bytes = attempt->swallowed = attempt->excerpt_size = 0;
    attempt->resolving = attempt->abandoned = false;
    attempt->curl_text[0] = 0;
    attempt->socket_errno = 0;
    attempt->socket = NULL;
    attempt->opened = CURL_SOCKET_BAD;
}

bool leat__attempt_start(leat__transfer *transfer, bool fresh_connection)
{
    leat__http *http = transfer->http;
    leat__attempt *attempt = http->idle_attempts;
    assert(!transfer->attempt && !transfer->paused && !http->closing);
    if (attempt) http->idle_attempts = attempt->next;
    else attempt = attempt_new(http);
    if (!attempt) return false;
    attempt_reset(attempt, transfer);
    CURL *easy = attempt->easy;
    CURLcode code = CURLE_OK;
    SET(CURLOPT_URL, transfer->target ? transfer->target : transfer->url);
    SET(CURLOPT_HTTPHEADER, leat__request_headers(attempt));
    SET(CURLOPT_FRESH_CONNECT, fresh_connection ? 1L : 0L);
    if (code || curl_multi_add_handle(http->multi, easy)) {
        attempt->next = http->idle_attempts;
        http->idle_attempts = attempt;
        return false;
    }
    transfer->attempt = attempt;
    transfer->requests++;
    http->stats.requests++;
    leat__host_asked(attempt);
    leat__attempt_resolving(attempt);
    leat__transfer_move(transfer, LEAT__TRANSFER_ACTIVE);
    return true;
}

void leat__attempt_end(leat__transfer *transfer)
{
    leat__attempt *attempt = transfer->attempt;
    leat__http *http = transfer->http;
    assert(attempt && attempt->transfer == transfer && transfer->host->active > 0);
    curl_multi_remove_handle(http->multi, attempt->easy);
    leat__attempt_resolved(attempt, false);
    if (transfer->host->probe == attempt) transfer->host->probe = NULL;
    transfer->host->active--;
    transfer->attempt = NULL;
    attempt->transfer = NULL;
    attempt->next = http->idle_attempts;
    http->idle_attempts = attempt;
    leat__http_soon(http);
}

void leat__attempts_free(leat__http *http)
{
    for (leat__attempt *attempt = http->idle_attempts, *next; attempt; attempt = next) {
        next = attempt->next;
        attempt_free(attempt);
    }
    http->idle_attempts = NULL;
}
