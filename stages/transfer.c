/* transfer.c - one object, or a range of it: its bytes on their way to the consumer, pause and resume.
 *
 * What:    body bytes come from curl in pieces of at most 16 KiB and are gathered in a buffer, which is handed out when
 *          it is full, at the end of the object, or when the consumer asks for what there is. The state diagram is in
 *          http_internal.h.
 * Why so:  the consumer says `false` after it has taken a buffer; the rest of curl's piece then goes into the next
 *          buffer, so that curl never gets a part of a piece back (P10); when that is full too, curl is stopped. This
 *          buffer, and not more, is held for a paused transfer; it survives the connection. An object that is whole
 *          while its consumer pauses gives up its place and waits.
 *          A limit lies inside of what was asked for, and may be moved while bytes come: buffers end there, and the
 *          consumer may raise it when it gets the last one. So the rest of curl's piece is only let go of after that. When
 *          it is lowered to before what lies in the buffer, the connection is ahead of us and of no use any more
 *          (`abandoned`).
 * Threads: loop. The functions of http.h only note what is wanted; leat__transfer_do_due does it in the loop's next
 *          turn.
 * Invariants: start <= position <= limit <= stop; position counts every byte that is or was in a buffer, so each is
 *          handed out once;
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
    assert(transfer->position >= transfer->start && transfer->position <= transfer->limit);
    assert(transfer->limit <= transfer->stop);
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

/* ---- lists ---- */

/* The list that a transfer is in, or is to be in. */
static struct leat__transfer_list *list_of(const leat__transfer *transfer)
{
    leat__transfer_state state = transfer->state;
    return state < LEAT__QUEUES ? &transfer->host->queues[state] : &transfer->http->lists[state];
}

static void enlist(leat__transfer *transfer)
{
    leat__http *http = transfer->http;
    leat__transfer_state state = transfer->state;
    struct leat__transfer_list *list = list_of(transfer);
    if (state < LEAT__QUEUES && TAILQ_EMPTY(list)) TAILQ_INSERT_TAIL(&http->queues[state], transfer->host, queue_link[state]);
    TAILQ_INSERT_TAIL(list, transfer, link);
    http->counts[state]++;
}

static void delist(leat__transfer *transfer)
{
    leat__http *http = transfer->http;
    leat__transfer_state state = transfer->state;
    struct leat__transfer_list *list = list_of(transfer);
    TAILQ_REMOVE(list, transfer, link);
    http->counts[state]--;
    if (state < LEAT__QUEUES && TAILQ_EMPTY(list)) TAILQ_REMOVE(&http->queues[state], transfer->host, queue_link[state]);
}

void leat__transfer_move(leat__transfer *transfer, leat__transfer_state state)
{
    delist(transfer);
    transfer->state = state;
    enlist(transfer);
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

/* There is nothing to wait for before the buffer is handed out. */
static bool is_full(const leat__transfer *transfer)
{
    return transfer->filled == transfer->buffer->capacity || leat__transfer_at_limit(transfer);
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

/* While paused: a piece fits as a whole, or has to wait, also for a limit that may be raised. */
static bool must_wait(const leat__transfer *transfer, size_t size)
{
    if (transfer->limit < transfer->stop && size > transfer->limit - transfer->position) return true;
    return transfer->buffer && transfer->buffer->capacity - transfer->filled < size;
}

leat__accepted leat__transfer_accept(leat__transfer *transfer, const char *data, size_t size, size_t *taken)
{
    assert(size > 0 && size <= CURL_MAX_WRITE_SIZE);
    if (transfer->paused && must_wait(transfer, size)) return LEAT__ACCEPT_LATER;
    while (*taken < size && transfer->position < transfer->limit) {
        if (!transfer->buffer && !buffer_make(transfer)) return LEAT__ACCEPT_NO_MEMORY;
        uint64_t rest = transfer->limit - transfer->position;
        size_t room = transfer->buffer->capacity - transfer->filled, n = size - *taken;
        if (n > room) n = room;
        if (n > rest) n = (size_t)rest;
        assert(n > 0); /* while paused: the rest of a piece, up to the limit, fits into the new buffer */
        memcpy(transfer->buffer->data + transfer->filled, data + *taken, n);
        transfer->filled += n;
        transfer->position += n;
        *taken += n;
        if (is_full(transfer) && !transfer->paused) hand_out(transfer);
        if (transfer->canceled) return LEAT__ACCEPTED; /* the rest goes nowhere */
    }
    if (transfer->flush_wanted && transfer->filled) mark_due(transfer);
    return LEAT__ACCEPTED;
}

/* Waits for a place to go on by a request. */
static void go_on(leat__transfer *transfer)
{
    bool delayed = transfer->due_ns > leat__http_now(transfer->http);
    leat__redirect_forget(transfer);
    leat__transfer_move(transfer, delayed ? LEAT__TRANSFER_DELAYED : LEAT__TRANSFER_RESUMED);
    if (delayed) leat__places_wake_at(transfer->http, transfer->due_ns);
    else leat__http_soon(transfer->http);
}

void leat__transfer_complete(leat__transfer *transfer)
{
    assert(!transfer->attempt && transfer->state == LEAT__TRANSFER_PARKED);
    transfer->whole = true;
    if (transfer->filled && !transfer->paused) hand_out(transfer);
    if (transfer->paused || transfer->canceled) return;
    if (transfer->whole) leat__transfer_end(transfer, NULL);
    else go_on(transfer); /* its limit was raised meanwhile */
}

/* It is at its limit, and nobody has paused it: hands out the last bytes before it, and ends it if they were. */
static void reach_limit(leat__transfer *transfer)
{
    if (!transfer->attempt) {
        leat__transfer_move(transfer, LEAT__TRANSFER_PARKED);
        leat__transfer_complete(transfer);
        return;
    }
    if (transfer->filled) hand_out(transfer);
    if (transfer->paused || transfer->canceled) return;
    if (transfer->attempt->abandoned || leat__transfer_at_limit(transfer)) leat__outcome(transfer, CURLE_OK);
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
    if (transfer->filled && (transfer->flush_wanted || is_full(transfer))) hand_out(transfer);
    if (transfer->paused || transfer->canceled) return;
    if (!attempt) {
        go_on(transfer);
        return;
    }
    if (attempt->abandoned || leat__transfer_at_limit(transfer)) {
        leat__outcome(transfer, CURLE_OK);
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
    } else if (leat__transfer_at_limit(transfer) && !transfer->paused) {
        reach_limit(transfer);
    } else if (transfer->attempt && transfer->attempt->abandoned) {
        leat__outcome(transfer, CURLE_OK);
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

void leat__transfer_limit(leat__transfer *transfer, uint64_t limit)
{
    uint64_t handed = transfer->position - transfer->filled;
    if (transfer->canceled || (handed == transfer->limit && !transfer->handing)) return;
    if (limit < handed) limit = handed;
    if (limit > transfer->stop) limit = transfer->stop;
    bool was_at_it = transfer->position == transfer->limit;
    if (limit > transfer->limit && was_at_it && transfer->position != transfer->known.total) transfer->whole = false;
    transfer->limit = limit;
    if (transfer->position < limit) return;
    if (transfer->position > limit && transfer->attempt) transfer->attempt->abandoned = true;
    transfer->filled = (size_t)(limit - handed);
    transfer->position = limit;
    if (!transfer->filled) {
        leat__buffer_release(transfer->buffer);
        transfer->buffer = NULL;
    }
    mark_due(transfer);
}

void leat__transfer_renew(leat__transfer *transfer)
{
    if (!transfer->attempt || transfer->canceled) return;
    transfer->attempt->abandoned = true;
    mark_due(transfer);
}

leat__transfer_facts leat__transfer_facts_of(const leat__transfer *transfer)
{
    const leat__known *known = &transfer->known;
    return (leat__transfer_facts){
        .total = known->total, .etag = known->etag, .modified = known->modified, .type = known->type,
        .attempts = transfer->requests,
        .ranges = !known->rangeless && (leat__etag_is_strong(known->etag) || known->modified[0]),
    };
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
    assert(range->from <= range->to && (!range->limit || range->limit >= range->from));
    transfer->start = transfer->position = range->from;
    transfer->stop = range->to;
    transfer->limit = range->limit && range->limit < range->to ? range->limit : range->to;
    transfer->strict = range->strict;
    expected->total = range->total;
    if (range->etag) leat__reply_keep(expected->etag, sizeof expected->etag, range->etag);
    if (range->modified && !leat__etag_is_strong(expected->etag))
        leat__reply_keep(expected->modified, sizeof expected->modified, range->modified);
    transfer->known.total = LEAT__NO_SIZE;
    transfer->whole = transfer->start == transfer->limit;
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
    if (!leat__url_locate(http, url, &transfer->url, &transfer->home, &fault)) {
        free(transfer);
        return leat__fail(error, fault.code, fault.system, "%s", fault.text);
    }
    transfer->host = leat__host_share(transfer->home);
    transfer->budget = budget;
    transfer->callbacks = *callbacks;
    transfer->user = user;
    set_range(transfer, range ? range : &LEAT__HTTP_WHOLE);
    enlist(transfer);
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
    delist(transfer);
    if (transfer->due) {
        TAILQ_REMOVE(&http->due, transfer, due_link);
        http->due_count--;
    }
    leat__host_release(transfer->host);
    leat__host_release(transfer->home);
    leat__buffer_release(transfer->buffer);
    free(transfer->url);
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
