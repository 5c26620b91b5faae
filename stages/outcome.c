/* outcome.c - what an ended attempt means: whole, redirect, again, or failed; and in which words.
 *
 * What:    sorts curl's codes and HTTP's statuses into the classes of R1, and takes the consequence: R2 (back-off with
 *          full jitter; a byte of progress resets the count), R3 (Retry-After is the least delay, clamped), R4 (by
 *          host.c).
 * Why so:  an answer's own verdict counts before curl's code: a 404 stays a 404 if its body was cut short. All bytes of
 *          a known total, or of the range that was asked for, are a whole object, however the connection ended
 *          afterwards. Without a size the end of the connection is the end of the object: nothing can prove otherwise
 *          here (a checksum can, further down).
 *          A changed object is begun anew once, as long as no byte was handed out; afterwards that would mix two
 *          objects. What curl reads beyond Content-Length it throws away, and the connection with it: such an excess is
 *          not seen here.
 * Threads: loop; called outside of curl.
 * Not here: what the header has to say (reply.c). */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pipeline/failure.h"
#include "stages/http_internal.h"

enum {
    ATTEMPTS_MAX = 1000, /* of one object, whatever its progress (R2) */
    RESOLVE_ATTEMPTS = 2 /* a name that does not exist is looked up twice (N01) */
};

/* R2: delay before the n-th repetition: random in [0, min(20 s, base * 2^(n - 1))]. */
#define BASE_TRANSIENT_NS (50 * LEAT__MS)
#define BASE_THROTTLE_NS (1000 * LEAT__MS)
#define DELAY_MAX_NS (20 * 1000 * LEAT__MS)

/* ---- in words ---- */

typedef struct meaning {
    CURLcode curl;
    leat_code code;
    leat__fault_class class;
    const char *words;
} meaning;

static const meaning meanings[] = {
    {CURLE_COULDNT_RESOLVE_HOST, LEAT_ENETWORK, LEAT__FAULT_TRANSIENT, "the host's name could not be resolved"},
    {CURLE_COULDNT_CONNECT, LEAT_ENETWORK, LEAT__FAULT_TRANSIENT, "connecting failed"},
    {CURLE_HTTP2, LEAT_ENETWORK, LEAT__FAULT_TRANSIENT, "the connection broke"},
    {CURLE_PARTIAL_FILE, LEAT_ETRUNCATED, LEAT__FAULT_TRANSIENT, "the connection ended before the object did"},
    {CURLE_OPERATION_TIMEDOUT, LEAT_ETIMEOUT, LEAT__FAULT_TRANSIENT, "connecting took too long"},
    {CURLE_SSL_CONNECT_ERROR, LEAT_ETLS, LEAT__FAULT_TRANSIENT, "the TLS handshake failed"},
    {CURLE_GOT_NOTHING, LEAT_ENETWORK, LEAT__FAULT_TRANSIENT, "the server closed the connection without an answer"},
    {CURLE_SEND_ERROR, LEAT_ENETWORK, LEAT__FAULT_TRANSIENT, "the connection broke"},
    {CURLE_RECV_ERROR, LEAT_ENETWORK, LEAT__FAULT_TRANSIENT, "the connection broke"},
    {CURLE_HTTP2_STREAM, LEAT_ENETWORK, LEAT__FAULT_TRANSIENT, "the connection broke"},
    {CURLE_PEER_FAILED_VERIFICATION, LEAT_ETLS, LEAT__FAULT_FATAL, "the server's identity could not be verified"},
    {CURLE_SSL_CACERT_BADFILE, LEAT_ETLS, LEAT__FAULT_FATAL, "the certificate authorities could not be read"},
    {CURLE_SSL_CERTPROBLEM, LEAT_ETLS, LEAT__FAULT_FATAL, "TLS failed"},
    {CURLE_SSL_CIPHER, LEAT_ETLS, LEAT__FAULT_FATAL, "TLS failed"},
    {CURLE_SSL_ISSUER_ERROR, LEAT_ETLS, LEAT__FAULT_FATAL, "TLS failed"},
    {CURLE_SSL_ENGINE_INITFAILED, LEAT_ETLS, LEAT__FAULT_FATAL, "TLS failed"},
    {CURLE_OUT_OF_MEMORY, LEAT_ENOMEM, LEAT__FAULT_FATAL, "no memory in curl"},
    {CURLE_UNSUPPORTED_PROTOCOL, LEAT_EHEADERS, LEAT__FAULT_FATAL, "the answer is not HTTP"},
    {CURLE_WEIRD_SERVER_REPLY, LEAT_EHEADERS, LEAT__FAULT_FATAL, "the answer's header is malformed"},
};

static void curl_fault(const leat__attempt *attempt, CURLcode result, leat__fault *fault)
{
    static const meaning other = {CURLE_OK, LEAT_ENETWORK, LEAT__FAULT_FATAL, "the transfer failed"};
    const meaning *found = &other;
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if (meanings[i].curl == result) found = &meanings[i];
    const char *text = attempt->curl_text[0] ? attempt->curl_text : curl_easy_strerror(result); /* P27 */
    char shown[CURL_ERROR_SIZE * 2];
    leat__escape(shown, sizeof shown, text, strlen(text));
    leat__fault_set(fault, found->code, found->class, (int)result, "%s (curl %d: %s)", found->words, (int)result,
                    shown);
}

/* N40: with fewer connections there may be descriptors enough. */
static bool is_short_of_descriptors(const leat__attempt *attempt, CURLcode result)
{
    return result == CURLE_COULDNT_CONNECT && (attempt->socket_errno == EMFILE || attempt->socket_errno == ENFILE);
}

static leat_code code_of_status(int status)
{
    switch (status) {
    case 401: case 403: case 407:
        return LEAT_EACCESS;
    case 404: case 410:
        return LEAT_ENOTFOUND;
    case 412:
        return LEAT_ECHANGED;
    default:
        return LEAT_EHTTP;
    }
}

static leat__fault_class class_of_status(int status)
{
    switch (status) {
    case 429: case 503:
        return LEAT__FAULT_THROTTLE;
    case 408: case 500: case 502: case 504: case 522: case 524:
        return LEAT__FAULT_TRANSIENT;
    case 412:
        return LEAT__FAULT_CHANGED;
    default:
        return LEAT__FAULT_FATAL;
    }
}

static void status_fault(const leat__attempt *attempt, leat__fault *fault)
{
    const leat__reply *reply = &attempt->reply;
    char reason[128];
    leat__escape(reason, sizeof reason, reply->reason, strlen(reply->reason));
    const char *changed = reply->status == 412 ? "the object changed while it was read: " : "";
    leat__fault_set(fault, code_of_status(reply->status), class_of_status(reply->status), reply->status,
                    "%sHTTP %d%s%s", changed, reply->status, *reason ? " " : "", reason);
}

/* The first words of an error's body, if it is text and no page for a browser. */
static void quote(const leat__attempt *attempt, char *out, size_t capacity)
{
    char shown[240];
    out[0] = 0;
    if (attempt->verdict != LEAT__VERDICT_STATUS || strcasestr(attempt->reply.type, "html")) return;
    size_t size = attempt->excerpt_size;
    while (size && strchr(" \t\r\n", attempt->excerpt[size - 1])) size--;
    if (!size) return;
    snprintf(out, capacity, ": \"%s\"", leat__escape(shown, sizeof shown, attempt->excerpt, size));
}

/* ---- what it was ---- */

typedef enum outcome { WAS_WHOLE, WAS_SHORT, WAS_REDIRECT, WAS_FAILURE } outcome;

/* Every byte that was asked for is there. */
static bool has_all(const leat__attempt *attempt)
{
    const leat__transfer *transfer = attempt->transfer;
    return attempt->verdict == LEAT__VERDICT_BODY && !attempt->span.skip &&
           transfer->position == leat__transfer_goal(transfer);
}

/* An accepted body is over. */
static outcome look_at_body(const leat__attempt *attempt, CURLcode result, leat__fault *fault)
{
    const leat__transfer *transfer = attempt->transfer;
    const leat__span *span = &attempt->span;
    if (has_all(attempt)) return WAS_WHOLE;
    if (result) {
        curl_fault(attempt, result, fault);
    } else if (span->end != LEAT__NO_SIZE && transfer->position < span->end) {
        leat__fault_set(fault, LEAT_ETRUNCATED, LEAT__FAULT_TRANSIENT, 0, "the answer ended before the object did");
    } else if (span->end == LEAT__NO_SIZE && transfer->stop != LEAT__NO_SIZE) { /* a 200 of no known size */
        leat__fault_set(fault, LEAT_ETRUNCATED, attempt->reply.chunked ? LEAT__FAULT_FATAL : LEAT__FAULT_TRANSIENT, 0,
                        "the object has %" PRIu64 " bytes, asked was for bytes %" PRIu64 "-%" PRIu64, attempt->received,
                        transfer->start, transfer->stop - 1);
    } else if (span->skip) {
        leat__fault_set(fault, LEAT_ECHANGED, LEAT__FAULT_CHANGED, 0,
                        "the object changed while it was read: it is shorter than what was read of it");
    } else {
        return leat__transfer_goal(transfer) == LEAT__NO_SIZE ? WAS_WHOLE : WAS_SHORT;
    }
    return WAS_FAILURE;
}

static outcome look(const leat__attempt *attempt, CURLcode result, leat__fault *fault)
{
    if (attempt->fault.code) {
        if (attempt->fault.class == LEAT__FAULT_TRANSIENT && has_all(attempt)) return WAS_WHOLE; /* its end is a stall */
        *fault = attempt->fault;
        return WAS_FAILURE;
    }
    switch (attempt->verdict) {
    case LEAT__VERDICT_BODY:
        return look_at_body(attempt, result, fault);
    case LEAT__VERDICT_NOTHING:
        return WAS_WHOLE;
    case LEAT__VERDICT_REDIRECT:
        return WAS_REDIRECT;
    case LEAT__VERDICT_STATUS:
        status_fault(attempt, fault);
        return WAS_FAILURE;
    default:
        if (result == CURLE_OUT_OF_MEMORY && attempt->reply.status) /* curl says so for a field over 100 KB */
            leat__fault_set(fault, LEAT_EHEADERS, LEAT__FAULT_FATAL, (int)result,
                            "a header field is too large (curl 27)");
        else if (is_short_of_descriptors(attempt, result))
            leat__fault_set(fault, LEAT_ESYSTEM, LEAT__FAULT_THROTTLE, attempt->socket_errno,
                            "no descriptor for a connection is left (ulimit -n)");
        else if (result) curl_fault(attempt, result, fault);
        else leat__fault_set(fault, LEAT_EHEADERS, LEAT__FAULT_FATAL, 0, "the answer has no header");
        return WAS_FAILURE;
    }
}

/* ---- what follows ---- */

void leat__transfer_fail(leat__transfer *transfer, const leat__fault *fault, const char *tail)
{
    leat_error error;
    char attempts[40], place[80] = "";
    uint64_t total = transfer->known.total;
    if (transfer->attempts == 1) snprintf(attempts, sizeof attempts, "(attempt 1)");
    else snprintf(attempts, sizeof attempts, "after %" PRIu32 " attempts", transfer->attempts);
    if (total != LEAT__NO_SIZE)
        snprintf(place, sizeof place, ", at byte %" PRIu64 " of %" PRIu64, transfer->position, total);
    else if (transfer->position) snprintf(place, sizeof place, ", at byte %" PRIu64, transfer->position);
    leat__fail(&error, fault->code, fault->system, "%s %s%s%s", fault->text, attempts, place, tail);
    error.offset = transfer->position;
    leat__transfer_end(transfer, &error);
}

/* R2, R3 */
static uint64_t delay_of(leat__transfer *transfer, leat__fault_class class, uint64_t retry_after_ms)
{
    uint64_t longest = class == LEAT__FAULT_THROTTLE ? BASE_THROTTLE_NS : BASE_TRANSIENT_NS;
    for (uint32_t n = 1; n < transfer->failures && longest < DELAY_MAX_NS; n++) longest *= 2;
    if (longest > DELAY_MAX_NS) longest = DELAY_MAX_NS;
    uint64_t delay = leat__http_random(transfer->http) % (longest + 1);
    uint64_t least = retry_after_ms;
    if (least > transfer->http->options.max_retry_after_ms) least = transfer->http->options.max_retry_after_ms;
    return delay > least * LEAT__MS ? delay : least * LEAT__MS;
}

/* True if the object may be begun anew: nothing of it was handed out yet. */
static bool forget_object(leat__transfer *transfer)
{
    if (transfer->handed || transfer->restarted) return false;
    leat__buffer_release(transfer->buffer);
    transfer->buffer = NULL;
    transfer->filled = 0;
    transfer->position = transfer->start;
    transfer->known = (leat__known){.total = LEAT__NO_SIZE};
    transfer->restarted = true;
    return true;
}

static bool may_repeat(leat__transfer *transfer, const leat__fault *fault)
{
    uint32_t most = transfer->http->options.retries;
    if (transfer->attempts >= ATTEMPTS_MAX) return false;
    if (fault->class == LEAT__FAULT_CHANGED) return forget_object(transfer);
    if (fault->class == LEAT__FAULT_FATAL) return false;
    if (fault->system == CURLE_COULDNT_RESOLVE_HOST && most > RESOLVE_ATTEMPTS) most = RESOLVE_ATTEMPTS;
    return transfer->failures < most;
}

static void fail_or_repeat(leat__transfer *transfer, const leat__fault *fault, const char *words, uint64_t asked_ns,
                           uint64_t retry_after_ms)
{
    leat__http *http = transfer->http;
    transfer->failures++;
    transfer->attempts++;
    uint64_t delay = delay_of(transfer, fault->class, retry_after_ms);
    if (fault->class == LEAT__FAULT_THROTTLE) leat__host_throttled(http, transfer->host, asked_ns, delay);
    if (!may_repeat(transfer, fault)) {
        leat__transfer_fail(transfer, fault, words);
        return;
    }
    http->stats.retries++;
    /* not an HTTP status: the next one on a connection of its own (P23, F11), if there are descriptors for it (N40) */
    transfer->fresh = fault->system < 100 && fault->class != LEAT__FAULT_THROTTLE;
    transfer->due_ns = leat__http_now(http) + delay;
    leat__redirect_forget(transfer);
    leat__transfer_move(transfer, LEAT__TRANSFER_DELAYED);
    leat__places_wake_at(http, transfer->due_ns);
}

/* Asks on at once: at a redirect's target, or for what a shorter range left out. */
static void ask_on(leat__transfer *transfer, outcome was, const char *location)
{
    leat__fault fault;
    if (was == WAS_REDIRECT) {
        if (!leat__redirect_follow(transfer, location, &fault)) {
            transfer->attempts++;
            leat__transfer_fail(transfer, &fault, "");
            return;
        }
    } else if (++transfer->attempts >= ATTEMPTS_MAX) {
        leat__fault_set(&fault, LEAT_ERANGE, LEAT__FAULT_FATAL, 0, "the server sends too little in each range");
        leat__transfer_fail(transfer, &fault, "");
        return;
    }
    leat__transfer_move(transfer, LEAT__TRANSFER_RESUMED);
}

void leat__outcome(leat__transfer *transfer, CURLcode result)
{
    leat__attempt *attempt = transfer->attempt;
    leat__fault fault = {.code = LEAT_OK};
    char words[300];
    outcome was = look(attempt, result, &fault);
    quote(attempt, words, sizeof words);
    uint64_t asked_ns = attempt->started_ns;
    uint64_t retry_after_ms = attempt->reply.has_retry_after ? attempt->reply.retry_after_ms : 0;
    char *location = attempt->reply.location;
    attempt->reply.location = NULL;
    if (attempt->accepted) transfer->failures = 0;
    leat__attempt_end(transfer);
    leat__transfer_move(transfer, LEAT__TRANSFER_PARKED);
    if (transfer->canceled) goto out;
    if (was == WAS_WHOLE) {
        leat__host_succeeded(transfer->http, transfer->host);
        leat__transfer_complete(transfer);
    } else if (transfer->paused) {
        goto out; /* whatever it was, it will be met again when the consumer wants more */
    } else if (was == WAS_FAILURE) {
        fail_or_repeat(transfer, &fault, words, asked_ns, retry_after_ms);
    } else {
        ask_on(transfer, was, location);
    }
out:
    free(location);
}
