/* outcome.c - what an ended attempt means: whole, redirect, again, or failed.
 *
 * What:    takes the consequence of how it ended, by the classes of R1 (httpfault.c): R2 (back-off with full jitter; a
 *          byte of progress resets the count), R3 (Retry-After is the least delay; one that is too long is clamped, pauses
 *          the host, and sends the transfer behind the others), R4 and R5 (by host.c).
 * Why so:  an answer's own verdict counts before curl's code: a 404 stays a 404 if its body was cut short. All bytes of
 *          a known total, or of the range that was asked for, are a whole object, however the connection ended
 *          afterwards. Without a size the end of the connection is the end of the object: nothing can prove otherwise
 *          here (a checksum can, further down).
 *          412 to what was expected, in an answer that does not say what is there instead, may come from a server that
 *          has no ETags at all: it is asked once more without the condition, and that answer's own fields decide.
 *          Refusals (429, 503) fail a transfer only if there are too many of them and they have gone on for too long (R2: a
 *          short outage would use up five attempts), or if host.c has given up on the host.
 *          Who was throttled waits in the back, even in mid-object: while a host throttles everybody its failures have to
 *          fall on many.
 *          A changed object is begun anew once, as long as no byte was handed out; afterwards that would mix two
 *          objects. What curl reads beyond Content-Length it throws away, and the connection with it: such an excess is
 *          not seen here.
 * Threads: loop; called outside of curl.
 * Not here: what the header has to say (reply.c). */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

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

/* ---- what it was ---- */

typedef enum outcome {
    WAS_WHOLE,
    WAS_SHORT,     /* the answer has less than was asked for, and says so */
    WAS_REDIRECT,
    WAS_UNMET,     /* a condition was not, and nothing says why */
    WAS_ABANDONED, /* we broke it off, by no fault of the server's */
    WAS_FAILURE,
} outcome;

/* What has to be known of an attempt after its end. */
typedef struct ended {
    uint64_t asked_ns, retry_after_ms;
    bool silent;                       /* the server has not said a word */
    char words[300], *location;
} ended;

/* Every byte that is wanted is there. */
static bool has_all(const leat__attempt *attempt)
{
    const leat__transfer *transfer = attempt->transfer;
    if (leat__transfer_at_limit(transfer)) return true;
    return attempt->verdict == LEAT__VERDICT_BODY && !attempt->span.skip &&
           transfer->position == leat__transfer_goal(transfer);
}

/* An accepted body is over. */
static outcome look_at_body(const leat__attempt *attempt, CURLcode result, leat__fault *fault)
{
    const leat__transfer *transfer = attempt->transfer;
    const leat__span *span = &attempt->span;
    if (result) {
        leat__fault_of_curl(attempt, result, fault);
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

/* N40: with fewer connections there may be descriptors enough. */
static bool is_short_of_descriptors(const leat__attempt *attempt, CURLcode result)
{
    return result == CURLE_COULDNT_CONNECT && (attempt->socket_errno == EMFILE || attempt->socket_errno == ENFILE);
}

static outcome look(const leat__attempt *attempt, CURLcode result, leat__fault *fault)
{
    bool broken = attempt->fault.code && attempt->fault.class != LEAT__FAULT_TRANSIENT; /* else its end is a stall */
    if (!broken && has_all(attempt)) return WAS_WHOLE;
    if (attempt->fault.code) {
        *fault = attempt->fault;
        return WAS_FAILURE;
    }
    if (attempt->abandoned) return WAS_ABANDONED;
    switch (attempt->verdict) {
    case LEAT__VERDICT_BODY:
        return look_at_body(attempt, result, fault);
    case LEAT__VERDICT_NOTHING:
        return WAS_WHOLE;
    case LEAT__VERDICT_REDIRECT:
        return WAS_REDIRECT;
    case LEAT__VERDICT_STATUS:
        if (attempt->reply.status == 412 && attempt->conditional &&
            attempt->transfer->position == attempt->transfer->start)
            return WAS_UNMET;
        leat__fault_of_status(attempt, fault);
        return WAS_FAILURE;
    default:
        if (result == CURLE_OUT_OF_MEMORY && attempt->reply.status) /* curl says so for a field over 100 KB */
            leat__fault_set(fault, LEAT_EHEADERS, LEAT__FAULT_FATAL, (int)result,
                            "a header field is too large (curl 27)");
        else if (is_short_of_descriptors(attempt, result))
            leat__fault_set(fault, LEAT_ESYSTEM, LEAT__FAULT_THROTTLE, attempt->socket_errno,
                            "no descriptor for a connection is left (ulimit -n)");
        else if (result) leat__fault_of_curl(attempt, result, fault);
        else leat__fault_set(fault, LEAT_EHEADERS, LEAT__FAULT_FATAL, 0, "the answer has no header");
        return WAS_FAILURE;
    }
}

/* ---- what follows ---- */

static void describe(const leat__transfer *transfer, const leat__fault *fault, const char *tail, leat_error *error)
{
    char attempts[40] = "", place[80] = "";
    uint64_t total = transfer->known.total;
    if (transfer->attempts == 1) snprintf(attempts, sizeof attempts, " (attempt 1)");
    else if (transfer->attempts) snprintf(attempts, sizeof attempts, " after %" PRIu32 " attempts", transfer->attempts);
    if (total != LEAT__NO_SIZE)
        snprintf(place, sizeof place, ", at byte %" PRIu64 " of %" PRIu64, transfer->position, total);
    else if (transfer->position) snprintf(place, sizeof place, ", at byte %" PRIu64, transfer->position);
    leat__fail(error, fault->code, fault->system, "%s%s%s%s", fault->text, attempts, place, tail);
    error->offset = transfer->position;
}

void leat__transfer_fail(leat__transfer *transfer, const leat__fault *fault, const char *tail)
{
    leat_error error;
    describe(transfer, fault, tail, &error);
    leat__transfer_end(transfer, &error);
}

void leat__transfer_refuse(leat__transfer *transfer)
{
    leat__fault fault;
    leat__fault_set(&fault, LEAT_ERETRIES, LEAT__FAULT_FATAL, 0,
                    "not asked, as its host has failed too often; it is tried again in a while: %.500s",
                    transfer->host->last);
    leat__transfer_fail(transfer, &fault, "");
}

/* R2, R3 */
static uint64_t delay_of(leat__transfer *transfer, leat__fault_class class, uint64_t least_ns)
{
    bool throttled = class == LEAT__FAULT_THROTTLE;
    uint64_t longest = throttled ? BASE_THROTTLE_NS : BASE_TRANSIENT_NS;
    uint32_t count = throttled ? transfer->refusals : transfer->failures;
    for (uint32_t n = 1; n < count && longest < DELAY_MAX_NS; n++) longest *= 2;
    if (longest > DELAY_MAX_NS) longest = DELAY_MAX_NS;
    uint64_t delay = leat__http_random(transfer->http) % (longest + 1);
    return delay > least_ns ? delay : least_ns;
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

/* A refusal is no word about the object: one outage must not use up the attempts of the few that meet it again and again. So time
 * counts as well, and the host's own end. */
static bool may_ask_again(const leat__transfer *transfer)
{
    const leat__http *http = transfer->http;
    uint32_t most = http->options.retries;
    if (most == 1 || leat__host_is_given_up(transfer->host)) return false;
    return transfer->refusals < most || leat__http_now(http) - transfer->refused_ns < leat__http_patience_ns(http);
}

static bool may_repeat(leat__transfer *transfer, const leat__fault *fault)
{
    uint32_t most = transfer->http->options.retries;
    if (transfer->attempts >= ATTEMPTS_MAX) return false;
    if (fault->class == LEAT__FAULT_CHANGED) return forget_object(transfer);
    if (fault->class == LEAT__FAULT_FATAL) return false;
    if (fault->class == LEAT__FAULT_THROTTLE) return may_ask_again(transfer);
    if (fault->system == CURLE_COULDNT_RESOLVE_HOST && most > RESOLVE_ATTEMPTS) most = RESOLVE_ATTEMPTS;
    return transfer->failures < most;
}

/* Tells the host what happened there, and counts it. False: it was counted with another one of the same burst. */
static bool count_failure(leat__transfer *transfer, const leat__fault *fault, const ended *e, uint64_t least_ns)
{
    leat__http *http = transfer->http;
    leat__host *host = transfer->host;
    bool counts = true, throttled = fault->class == LEAT__FAULT_THROTTLE;
    if (throttled) counts = leat__host_throttled(http, host, e->asked_ns, least_ns, fault);
    else if (e->silent) leat__host_silent(http, host, e->asked_ns);
    transfer->put_off = throttled;
    if (e->retry_after_ms > http->options.max_retry_after_ms && fault->class != LEAT__FAULT_FATAL) { /* R3 */
        leat__host_pause(http, host, least_ns);
        transfer->put_off = true;
    }
    transfer->attempts++;
    if (!throttled) transfer->failures++;
    else if (counts && !transfer->refusals++) transfer->refused_ns = leat__http_now(http);
    return counts;
}

/* Sends it once more, later. It may be canceled afterwards. */
static void repeat(leat__transfer *transfer, const leat__fault *fault, const char *words, uint64_t delay)
{
    leat__http *http = transfer->http;
    leat_error error;
    uint64_t now = leat__http_now(http), until = now + delay;
    if (transfer->host->paused_until_ns > until) until = transfer->host->paused_until_ns;
    http->stats.retries++;
    transfer->host->retries++;
    /* not an HTTP status: the next one on a connection of its own (P23, F11), if there are descriptors for it (N40) */
    transfer->fresh = fault->system < 100 && fault->class != LEAT__FAULT_THROTTLE;
    transfer->due_ns = now + delay;
    describe(transfer, fault, words, &error);
    leat__redirect_forget(transfer);
    leat__transfer_move(transfer, LEAT__TRANSFER_DELAYED);
    leat__places_wake_at(http, transfer->due_ns);
    if (transfer->callbacks.retry) transfer->callbacks.retry(transfer->user, &error, (until - now) / LEAT__MS);
}

static void fail_or_repeat(leat__transfer *transfer, const leat__fault *fault, const ended *e)
{
    uint64_t most_ms = transfer->http->options.max_retry_after_ms;
    uint64_t least_ns = (e->retry_after_ms < most_ms ? e->retry_after_ms : most_ms) * LEAT__MS;
    bool counts = count_failure(transfer, fault, e, least_ns);
    if (!may_repeat(transfer, fault)) {
        leat__transfer_fail(transfer, fault, e->words);
    } else if (counts && !leat__host_pay(transfer, fault)) {
        leat__fault spent = *fault;
        spent.code = LEAT_ERETRIES;
        leat__transfer_fail(transfer, &spent, "; its host has failed too often to be asked once more");
    } else {
        repeat(transfer, fault, e->words, delay_of(transfer, fault->class, least_ns));
    }
}

/* Asks on at once: at a redirect's target, for what a shorter range left out, on another connection. */
static void ask_on(leat__transfer *transfer, outcome was, const char *location)
{
    leat__fault fault;
    if (was == WAS_UNMET) transfer->unconditional = true;
    if (was == WAS_REDIRECT) {
        if (!leat__redirect_follow(transfer, location, &fault)) {
            transfer->attempts++;
            leat__transfer_fail(transfer, &fault, "");
            return;
        }
    } else if (++transfer->attempts >= ATTEMPTS_MAX) {
        leat__fault_set(&fault, LEAT_ERANGE, LEAT__FAULT_FATAL, 0, was == WAS_ABANDONED ?
                        "no connection was fast enough" : "the server sends too little in each range");
        leat__transfer_fail(transfer, &fault, "");
        return;
    }
    leat__transfer_move(transfer, LEAT__TRANSFER_RESUMED);
}

/* The transfer has got on, or has been served; a refusal that asking again would not change shows as well that its host
 * is alive. */
static void credit(leat__attempt *attempt, outcome was, const leat__fault *fault)
{
    leat__transfer *transfer = attempt->transfer;
    bool refused = was == WAS_FAILURE && (fault->class == LEAT__FAULT_FATAL || fault->class == LEAT__FAULT_CHANGED);
    if (attempt->verdict == LEAT__VERDICT_STATUS && (refused || was == WAS_UNMET))
        leat__host_serves(transfer->http, transfer->host, attempt->started_ns);
    bool whole = was == WAS_WHOLE && attempt->verdict != LEAT__VERDICT_NONE;
    if (attempt->accepted) transfer->failures = transfer->refusals = 0;
    if (whole || (attempt->accepted && transfer->paid)) leat__host_repay(transfer);
    if (whole) leat__host_succeeded(transfer->http, transfer->host);
}

void leat__outcome(leat__transfer *transfer, CURLcode result)
{
    leat__attempt *attempt = transfer->attempt;
    leat__fault fault = {.code = LEAT_OK};
    outcome was = look(attempt, result, &fault);
    ended e = {
        .asked_ns = attempt->started_ns,
        .retry_after_ms = attempt->reply.has_retry_after ? attempt->reply.retry_after_ms : 0,
        .silent = !attempt->header_bytes,
        .location = attempt->reply.location,
    };
    leat__fault_quote(attempt, e.words, sizeof e.words);
    attempt->reply.location = NULL;
    credit(attempt, was, &fault);
    if (was == WAS_ABANDONED) transfer->fresh = true;
    leat__attempt_end(transfer);
    leat__transfer_move(transfer, LEAT__TRANSFER_PARKED);
    if (transfer->canceled) goto out;
    if (was == WAS_WHOLE) {
        leat__transfer_complete(transfer);
    } else if (transfer->paused) {
        goto out; /* whatever it was, it will be met again when the consumer wants more */
    } else if (was == WAS_FAILURE) {
        fail_or_repeat(transfer, &fault, &e);
    } else {
        ask_on(transfer, was, e.location);
    }
out:
    free(e.location);
}
