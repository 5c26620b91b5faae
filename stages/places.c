/* places.c - which transfer may hold a connection, and when.
 *
 * What:    options.connections places. A waiting transfer gets one if one is free and its host lets it; if all are
 *          taken, the transfer that has been paused the longest loses its own (it is parked: its connection ends, its
 *          offset stays) and goes on by range when it is resumed and its turn comes. Also: delays waited out, stalled
 *          attempts broken off.
 * Why so:  the consumer merges several objects in a fixed order: at any time it may need one particular transfer, X,
 *          while every other one is paused for lack of room, and it will resume none of them before X moves. X does
 *          move:
 *          (1) X active: it reads, or its stall clock ends the attempt, which is repeated or reported.
 *          (2) X waiting: a place that is not paused becomes free or paused in finite time by (1), also on X's host if
 *              that limits it; a paused place is taken away for a waiting one. So someone who waits always gets a
 *              place. Each host has a FIFO of those that wait for it, and the hosts take turns: one that cannot start any
 *              keeps its turn, one that has started one goes behind the others. A transfer that was parked comes back only if
 *              the consumer resumes it, which it does not before X moves: finitely many are before X at its host,
 *              each gets its place once, and finitely many hosts have a turn between two of them.
 *          (3) X delayed, or its host paused or in doubt: time passes; delays are bounded (R2, R3), and one that tries a
 *              host either hears from it or fails, or is itself paused and holds up nobody.
 *          Resumed transfers come before those that never ran: the consumer is nearer to needing them, and by (2) they
 *          cannot come back without end. Less connections than objects that are merged work, but each turn costs a
 *          request. Thousands may wait for a host that is slow, throttles, or is dead: what is done at each of curl's events
 *          depends on the number of hosts, not on theirs. The queues are ours and not curl's (MAX_TOTAL_CONNECTIONS): curl's
 *          clocks run in its queue, and it parks nobody.
 * Threads: loop; called outside of curl.
 * Invariants: counts[ACTIVE] + counts[PAUSED] <= connections. */
#include <assert.h>

#include "stages/http_internal.h"

enum { STALL_BYTES_A_SECOND = 1024 }; /* F11 */

/* ---- places ---- */

/* The transfer that has been paused the longest, of one host or of all. */
static leat__transfer *longest_paused(leat__http *http, const leat__host *host)
{
    leat__transfer *transfer;
    TAILQ_FOREACH(transfer, &http->lists[LEAT__TRANSFER_PAUSED], link)
        if (!host || transfer->host == host) return transfer;
    return NULL;
}

static void park(leat__transfer *transfer)
{
    assert(transfer->paused);
    leat__attempt_end(transfer);
    leat__transfer_move(transfer, LEAT__TRANSFER_PARKED);
}

/* Sees to it that a place is free for a transfer; false if none can be had. A host whose limit was cut may have more
 * than one paused transfer too many. */
static bool make_room(leat__http *http, const leat__host *host)
{
    for (;;) {
        uint32_t taken = http->counts[LEAT__TRANSFER_ACTIVE] + http->counts[LEAT__TRANSFER_PAUSED];
        bool host_full = host->active >= leat__host_limit(http, host);
        assert(taken <= http->options.connections);
        if (!host_full && taken < http->options.connections) return true;
        leat__transfer *victim = longest_paused(http, host_full ? host : NULL);
        if (!victim) return false;
        park(victim);
    }
}

static void start(leat__transfer *transfer)
{
    bool fresh = transfer->fresh;
    transfer->fresh = false;
    if (leat__attempt_start(transfer, fresh)) return;
    leat__fault fault;
    leat__fault_set(&fault, LEAT_ENOMEM, LEAT__FAULT_FATAL, 0, "no memory for a request");
    transfer->attempts++;
    leat__transfer_fail(transfer, &fault, "");
}

/* R5: its host is unreachable, and it has not begun, or nothing of that host is waited for. */
static bool is_hopeless(const leat__transfer *transfer, uint64_t now)
{
    bool begun = transfer->failures || transfer->refusals || transfer->position > transfer->start;
    return !leat__host_may_begin(transfer->host, now) && (!begun || leat__host_is_given_up(transfer->host));
}

/* The first that waits for a host, without those that are hopeless: those it ends, at most *left of them. */
static leat__transfer *first_of(leat__host *host, leat__transfer_state queue, uint64_t now, uint32_t *left)
{
    leat__transfer *first = NULL;
    bool unreachable = !leat__host_may_begin(host, now);
    for (leat__transfer *transfer = TAILQ_FIRST(&host->queues[queue]), *next; transfer && *left; transfer = next) {
        next = TAILQ_NEXT(transfer, link);
        if (transfer->canceled) continue;
        if (unreachable && is_hopeless(transfer, now)) {
            leat__http *http = transfer->http;
            leat__transfer_refuse(transfer);
            --*left;
            if (http->closing) return NULL;
        } else if (!first) {
            first = transfer;
        }
        if (first && !unreachable) break;
    }
    return first;
}

/* Starts one that waits for a host, if that and a place allow it. */
static bool start_one(leat__http *http, leat__host *host, leat__transfer_state queue, uint64_t now, uint32_t *left)
{
    leat__transfer *transfer = first_of(host, queue, now, left);
    if (!transfer || transfer->canceled || !*left || !leat__host_open(host, now) || !make_room(http, host)) return false;
    --*left;
    start(transfer);
    return true;
}

static void fill_from(leat__http *http, leat__transfer_state queue, uint64_t now)
{
    uint32_t left = http->counts[queue]; /* what a consumer begins meanwhile has its turn in the loop's next one */
    struct leat__host_list *hosts = &http->queues[queue];
    for (leat__host *host = TAILQ_FIRST(hosts), *next; host && left; host = next) {
        if (http->closing || http->counts[LEAT__TRANSFER_ACTIVE] >= http->options.connections) return; /* none free or paused */
        leat__host_share(host);
        next = TAILQ_NEXT(host, queue_link[queue]); /* stays: only its own transfers' starts and ends take a host off the list */
        if (start_one(http, host, queue, now, &left) && !TAILQ_EMPTY(&host->queues[queue])) {
            TAILQ_REMOVE(hosts, host, queue_link[queue]);
            TAILQ_INSERT_TAIL(hosts, host, queue_link[queue]);
            if (!next) next = host;
        }
        leat__host_release(host);
    }
}

void leat__places_fill(leat__http *http)
{
    if (!http->counts[LEAT__TRANSFER_RESUMED] && !http->counts[LEAT__TRANSFER_WAITING]) return;
    uint64_t now = leat__http_now(http);
    fill_from(http, LEAT__TRANSFER_RESUMED, now);
    fill_from(http, LEAT__TRANSFER_WAITING, now);
    if (!uv_is_active((uv_handle_t *)&http->tick_timer) && !http->closing) {
        http->tick_ns = now;
        uv_timer_start(&http->tick_timer, leat__places_on_tick, http->tick_ms, http->tick_ms);
    }
}

/* ---- delays ---- */

void leat__places_wake_at(leat__http *http, uint64_t ns)
{
    if (http->closing || (http->wake_ns && http->wake_ns <= ns)) return;
    uint64_t now = leat__http_now(http);
    uint64_t delay = ns > now ? (ns - now + LEAT__MS - 1) / LEAT__MS : 1;
    http->wake_ns = ns;
    uv_update_time(http->options.loop);
    uv_timer_start(&http->wake_timer, leat__places_on_wake, delay, 0);
}

void leat__places_on_wake(uv_timer_t *timer)
{
    leat__http *http = timer->data;
    uint64_t now = leat__http_now(http);
    http->wake_ns = 0;
    leat__transfer *transfer, *next;
    for (transfer = TAILQ_FIRST(&http->lists[LEAT__TRANSFER_DELAYED]); transfer; transfer = next) {
        next = TAILQ_NEXT(transfer, link);
        if (transfer->due_ns > now) leat__places_wake_at(http, transfer->due_ns);
        else
            leat__transfer_move(transfer, transfer->position > transfer->start && !transfer->put_off
                                              ? LEAT__TRANSFER_RESUMED : LEAT__TRANSFER_WAITING);
    }
    leat__host *host;
    TAILQ_FOREACH(host, &http->hosts, link)
        if (host->paused_until_ns > now) leat__places_wake_at(http, host->paused_until_ns);
    leat__places_fill(http);
}

/* ---- clocks ---- */

/* F11: true if an attempt gets too little for too long. Waiting for a header has no bytes that count: a server that
 * trickles it (N11) or sends interim answers for ever (N16) is as good as silent. */
static bool stalled(leat__attempt *attempt, uint64_t elapsed)
{
    const leat__http_options *options = &attempt->http->options;
    uint64_t enough = (uint64_t)options->stall_timeout_ms * STALL_BYTES_A_SECOND / 1000;
    attempt->quiet_ns += elapsed;
    if (attempt->verdict == LEAT__VERDICT_NONE) {
        uint64_t limit = (uint64_t)options->connect_timeout_ms + options->stall_timeout_ms;
        if (attempt->quiet_ns < limit * LEAT__MS) return false;
        leat__fault_set(&attempt->fault, LEAT_ETIMEOUT, LEAT__FAULT_TRANSIENT, 0,
                        "no complete header for %" PRIu64 " ms", limit);
        return true;
    }
    if (attempt->received - attempt->marked > enough) {
        attempt->marked = attempt->received;
        attempt->quiet_ns = 0;
    }
    if (attempt->quiet_ns < options->stall_timeout_ms * LEAT__MS) return false;
    leat__fault_set(&attempt->fault, LEAT_ETIMEOUT, LEAT__FAULT_TRANSIENT, 0, "under %d bytes/s for %" PRIu32 " ms",
                    STALL_BYTES_A_SECOND, options->stall_timeout_ms);
    return true;
}

void leat__places_on_tick(uv_timer_t *timer)
{
    leat__http *http = timer->data;
    uint64_t now = leat__http_now(http), elapsed = now - http->tick_ns, most = 2 * http->tick_ms * LEAT__MS;
    if (elapsed > most) elapsed = most; /* the process was stopped, or the loop was busy: not the server's fault */
    http->tick_ns = now;
    leat__transfer *transfer, *next;
    for (transfer = TAILQ_FIRST(&http->lists[LEAT__TRANSFER_ACTIVE]); transfer; transfer = next) {
        next = TAILQ_NEXT(transfer, link);
        if (!transfer->canceled && stalled(transfer->attempt, elapsed)) leat__outcome(transfer, CURLE_OK);
        if (http->closing) return;
    }
    leat__http_drive(http, CURL_SOCKET_TIMEOUT, 0); /* watchdog: should curl's timer ever be lost (P7) */
    uint32_t transfers = 0;
    for (int i = 0; i < LEAT__TRANSFER_STATES; i++) transfers += http->counts[i];
    if (!transfers && !http->closing) uv_timer_stop(timer);
}
