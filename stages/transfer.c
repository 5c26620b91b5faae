/* transfer.c - one object, or a range of it: its bytes on their way to the consumer, pause and resume.
 *
 * What:    body bytes come from curl in pieces of at most 16 KiB and are gathered in a buffer, which is handed out when
 *          it is full, at the end of the object, or when the consumer asks for what there is. The state diagram is in
 *          http_internal.h.
 * Why so:  the consumer says `false` after it has taken a buffer; the rest of curl's piece then goes into the next
 *          buffer, so that curl never gets a part of a piece back (P10); when that is full too, curl is stopped. This
 *          buffer, and not more, is held for a paused transfer; it survives the connection. An object that is whole
 *          while its consumer pauses gives up its place and waits.
 * Threads: loop. The functions of http.h only note what is wanted; leat__transfer_do_due does it in the loop's next
 *          turn.
 * Invariants: start <= position <= stop; position counts every byte that is or was in a buffer, so each is handed out once;
 *          attempt != NULL exactly in ACTIVE and PAUSED; paused only in PAUSED and PARKED; after `canceled` no callback
 *          runs.
 * Not here: which transfer may hold a connection (places.c), failures (outcome.c). */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"
#include "stages/http_internal.h"

static void transfer_check(const leat__transfer *transfer)
{
    bool placed = transfer->state == LEAT__TRANSFER_ACTIVE || transfer->state == LEAT__TRANSFER_PAUSED;
    assert(placed == (transfer->attempt != NULL));
    assert(!transfer->paused || transfer->state == LEAT__TRANSFER_PAUSED || transfer->state == LEAT__TRANSFER_PARKED);
    assert(transfer->position >= transfer->start && transfer->position <= transfer->stop);
    assert(!transfer->buffer == !transfer->filled);
    (void)transfer, (void)placed;
}

static void mark_due(leat__transfer *transfer)
{
    leat__http *http = transfer->http;
    if (transfer->due) return;
    transfer->due = true;
    TAILQ_INSERT_TAIL(&http->due, transfer, due_link);
    http->due_count++;
    leat__http_soon(http);
}

void leat__transfer_move(leat__transfer *transfer, leat__transfer_state state)
{
    leat__http *http = transfer->http;
    TAILQ_REMOVE(&http->lists[transfer->state], transfer, link);
    http->counts[transfer->state]--;
    transfer->state = state;
    TAILQ_INSERT_TAIL(&http->lists[state], transfer, link);
    http->counts[state]++;
}

/* ---- bytes ---- */

/* Pauses. curl is not told: it goes on until the next buffer is full too, and then gets CURL_WRITEFUNC_PAUSE from the
 * write callback (leat__transfer_accept). curl_easy_pause(CURLPAUSE_RECV) would be sooner, but makes 7.88.1 read the
 * socket once more at once and keep that; with chunks smaller than its read buffer every pause then left more inside of
 * curl than the resume before had taken out: tens of megabytes in the end. And if what it kept is a header, it gives
 * all lines of it to on_header in one piece later. */
static void hold(leat__transfer *transfer)
{
    transfer->paused = true;
    leat__transfer_move(transfer, transfer->attempt ? LEAT__TRANSFER_PAUSED : LEAT__TRANSFER_PARKED);
    if (transfer->attempt) leat__http_soon(transfer->http); /* another one may want the place */
}

/* Gives the buffer to the consumer. The transfer may be paused or canceled afterwards. */
static void hand_out(leat__transfer *transfer)
{
    leat__buffer *buffer = transfer->buffer;
    size_t size = transfer->filled;
    assert(size > 0 && !transfer->paused && !transfer->canceled);
    transfer->buffer = NULL;
    transfer->filled = 0;
    transfer->flush_wanted = transfer->resume_wanted = false;
    transfer->handed = transfer->handing = true;
    bool more = transfer->callbacks.data(transfer->user, buffer, size);
    transfer->handing = false;
    if (!more && !transfer->canceled) hold(transfer);
}

/* Makes an empty buffer: for a chunk, or for what is known to come if that is less. */
static bool buffer_make(leat__transfer *transfer)
{
    const leat__http_options *options = &transfer->http->options;
    uint64_t goal = leat__transfer_goal(transfer);
    uint64_t rest = goal == LEAT__NO_SIZE ? LEAT__NO_SIZE : goal - transfer->position;
    size_t size = rest < options->chunk_bytes ? (size_t)rest : options->chunk_bytes;
    assert(size > 0);
    transfer->buffer = leat__buffer_new(options->arena, transfer->budget, size);
    return transfer->buffer != NULL;
}

leat__accepted leat__transfer_accept(leat__transfer *transfer, const char *data, size_t size)
{
    assert(size > 0 && size <= CURL_MAX_WRITE_SIZE);
    if (transfer->paused && transfer->buffer && transfer->buffer->capacity - transfer->filled < size)
        return LEAT__ACCEPT_LATER;
    while (size) {
        if (!transfer->buffer && !buffer_make(transfer)) return LEAT__ACCEPT_NO_MEMORY;
        size_t room = transfer->buffer->capacity - transfer->filled;
        size_t n = size < room ? size : room;
        assert(n > 0); /* while paused: the rest of a piece fits into the new buffer, no smaller than a piece */
        memcpy(transfer->buffer->data + transfer->filled, data, n);
        transfer->filled += n;
        transfer->position += n;
        data += n;
        size -= n;
        if (transfer->filled == transfer->buffer->capacity && !transfer->paused) hand_out(transfer);
        if (transfer->canceled) return LEAT__ACCEPTED; /* the rest goes nowhere */
    }
    if (transfer->flush_wanted && transfer->filled) mark_due(transfer);
    return LEAT__ACCEPTED;
}

void leat__transfer_complete(leat__transfer *transfer)
{
    assert(!transfer->attempt && transfer->state == LEAT__TRANSFER_PARKED);
    transfer->whole = true;
    if (transfer->filled && !transfer->paused) hand_out(transfer);
    if (transfer->paused || transfer->canceled) return;
    leat__transfer_end(transfer, NULL);
}

/* ---- what was asked for from outside ---- */

/* Goes on after a pause. */
static void resume(leat__transfer *transfer)
{
    leat__attempt *attempt = transfer->attempt;
    assert(transfer->paused);
    transfer->paused = false;
    if (attempt) leat__transfer_move(transfer, LEAT__TRANSFER_ACTIVE);
    if (!attempt && (transfer->whole || transfer->position == leat__transfer_goal(transfer))) {
        leat__transfer_complete(transfer);
        return;
    }
    if (transfer->buffer && transfer->filled == transfer->buffer->capacity) hand_out(transfer);
    else if (transfer->flush_wanted && transfer->filled) hand_out(transfer);
    if (transfer->paused || transfer->canceled) return;
    if (!attempt) {
        leat__redirect_forget(transfer);
        bool delayed = transfer->due_ns > leat__http_now(transfer->http);
        leat__transfer_move(transfer, delayed ? LEAT__TRANSFER_DELAYED : LEAT__TRANSFER_RESUMED);
        if (delayed) leat__places_wake_at(transfer->http, transfer->due_ns);
        return;
    }
    attempt->quiet_ns = 0;
    attempt->marked = attempt->received;
    /* may call on_body before it returns (P9); what that says of the end, curl would forget */
    CURLcode result = curl_easy_pause(attempt->easy, CURLPAUSE_CONT);
    if (result && !transfer->http->closing) leat__outcome(transfer, result);
}

void leat__transfer_do_due(leat__transfer *transfer)
{
    transfer_check(transfer);
    if (transfer->canceled) {
        leat__transfer_free(transfer);
    } else if (transfer->resume_wanted && transfer->paused) {
        transfer->resume_wanted = false;
        resume(transfer);
    } else if (transfer->whole && !transfer->paused) { /* an empty range */
        leat__transfer_complete(transfer);
    } else if (transfer->flush_wanted && transfer->filled && !transfer->paused) {
        hand_out(transfer);
    }
}

void leat__transfer_resume(leat__transfer *transfer)
{
    if (!transfer->paused && !transfer->handing) return;
    transfer->resume_wanted = true;
    mark_due(transfer);
}

void leat__transfer_flush(leat__transfer *transfer)
{
    transfer->flush_wanted = true; /* until the next bytes are handed out */
    if (transfer->filled && !transfer->paused) mark_due(transfer);
}

const char *leat__transfer_etag(const leat__transfer *transfer)
{
    return transfer->known.etag;
}

void leat__transfer_cancel(leat__transfer *transfer)
{
    assert(!transfer->canceled);
    transfer->canceled = true;
    leat__buffer_release(transfer->buffer);
    transfer->buffer = NULL;
    transfer->filled = 0;
    mark_due(transfer);
}

/* ---- birth and death ---- */

static void set_range(leat__transfer *transfer, const leat__http_range *range)
{
    leat__known *expected = &transfer->expected;
    size_t length = strlen(range->etag);
    assert(range->from <= range->to);
    transfer->start = transfer->position = range->from;
    transfer->stop = range->to;
    expected->total = range->total;
    if (length < sizeof expected->etag) memcpy(expected->etag, range->etag, length);
    transfer->known.total = LEAT__NO_SIZE;
    transfer->whole = range->from == range->to;
    transfer->state = transfer->whole ? LEAT__TRANSFER_PARKED : LEAT__TRANSFER_WAITING;
}

leat_code leat__http_get(leat__http *http, const char *url, const leat__http_range *range, leat__budget *budget,
                         const leat__transfer_callbacks *callbacks, void *user, leat__transfer **out, leat_error *error)
{
    assert(callbacks->data && callbacks->end);
    *out = NULL;
    if (http->closing) return leat__fail(error, LEAT_ECLOSED, 0, "the HTTP client is closed");
    leat__fault fault;
    leat__transfer *transfer = calloc(1, sizeof *transfer);
    if (!transfer) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a transfer");
    transfer->http = http;
    if (!leat__url_parse(url, NULL, &transfer->url, &transfer->origin, &fault)) {
        free(transfer);
        return leat__fail(error, fault.code, fault.system, "%s", fault.text);
    }
    transfer->home = leat__host_get(http, transfer->origin);
    if (!transfer->home) {
        free(transfer->url);
        free(transfer->origin);
        free(transfer);
        return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a transfer");
    }
    transfer->host = leat__host_share(transfer->home);
    transfer->budget = budget;
    transfer->callbacks = *callbacks;
    transfer->user = user;
    set_range(transfer, range ? range : &LEAT__HTTP_WHOLE);
    TAILQ_INSERT_TAIL(&http->lists[transfer->state], transfer, link);
    http->counts[transfer->state]++;
    if (transfer->whole) mark_due(transfer);
    else leat__http_soon(http);
    *out = transfer;
    return LEAT_OK;
}

void leat__transfer_free(leat__transfer *transfer)
{
    leat__http *http = transfer->http;
    assert(!transfer->handing);
    if (transfer->attempt) leat__attempt_end(transfer);
    TAILQ_REMOVE(&http->lists[transfer->state], transfer, link);
    http->counts[transfer->state]--;
    if (transfer->due) {
        TAILQ_REMOVE(&http->due, transfer, due_link);
        http->due_count--;
    }
    leat__host_release(transfer->host);
    leat__host_release(transfer->home);
    leat__buffer_release(transfer->buffer);
    free(transfer->url);
    free(transfer->origin);
    free(transfer->target);
    free(transfer->chain);
    free(transfer);
}

void leat__transfer_end(leat__transfer *transfer, const leat_error *error)
{
    void (*end)(void *user, const leat_error *error) = transfer->callbacks.end;
    void *user = transfer->user;
    assert(!transfer->canceled);
    leat__transfer_free(transfer);
    end(user, error);
}
