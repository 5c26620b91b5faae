/* host.c - what is known of a server.
 *
 * What:    one record an origin: how many attempts run, how many may, until when it wants to be left alone, whether it
 *          is alive at all, and whether its address is known.
 *          R4: 429 or 503 halves what may run (not below 1) and pauses all new starts; 32 successes give one back. Where
 *          the limit is below a quarter of the full one and below half of what ran when it was cut, each success gives
 *          one back: that far the server is known to bear it, as TCP's slow start goes up to half of the window that
 *          lost something. Otherwise a server that takes a second for each answer would need minutes to be as fast as
 *          before after an outage of ten seconds.
 *          In doubt: until something that was sent after the cut is served, one request at a time tries, after pauses
 *          that double (full jitter, R2; at most the longer of 2 s and a quarter of the outage, and 20 s): so an outage
 *          is over for us soon after it is over, and costs few requests, whose failures fall on many transfers.
 *          The end: where as many of those probes have failed in a row as a transfer has attempts, and PATIENCE (30 s, or
 *          max_retry_after if that is less) has gone by since the doubts began and since a transfer was whole, and no other one of
 *          this host reads, it is given up: it counts as unreachable, and all that waits for it fails, whether it has begun or
 *          not. A Retry-After is waited out before that: no probe comes sooner.
 *          R5: a budget of tokens for repetitions; when it is spent, the host is unreachable: transfers that have not
 *          begun are not sent, but for one each 5 s. If that one is served, the budget is whole again.
 *          A dead host holds few of the places that all hosts share: before anybody has connected to it, it gets an eighth
 *          of the full limit; and where one connection after another fails before a word is said, it is cut likewise (no
 *          pause, no doubts; not below that eighth, as otherwise its budget would take long to be spent).
 * Why so:  the limit belongs to the server and is shared by its transfers; a back-off of each transfer alone would keep
 *          the pressure up. Answers to requests that were sent before the last cut don't cut again: one burst, one cut,
 *          and one failure: those transfers count none, nor do they pay.
 *          P15: curl starts a thread for each look-up and does not join equal ones. So the first attempt to a host
 *          whose address is not in curl's cache goes alone, until its socket is opened; the others then find the
 *          address there.
 * Threads: loop.
 * Invariants: 1 <= limit <= connections_per_host; active <= connections; a record with references is never dropped;
 *          probe is NULL or an attempt that runs; tokens <= TOKENS; a host is in http->queues[q] exactly while its own
 *          queues[q] is not empty.
 * Not here: which transfer starts (places.c); back-off of a transfer (outcome.c). */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stages/http_internal.h"

enum {
    HOSTS_KEPT = 64,            /* records of hosts: redirects could name any number of them */
    SUCCESSES_A_STEP = 32,      /* R4 */
    SILENT_IN_A_ROW = 4,        /* connections that fail at once are an accident; so many are not */
    TOKENS = 500,               /* R5 */
    COST_CONNECTION = 10,       /* of a repetition after a failed connection, a time-out, a stall */
    COST_OTHER = 5,
};
#define ADDRESS_NS (50 * 1000 * LEAT__MS) /* shorter than curl's own cache, 60 s, so that it cannot run out unguarded */
#define PAUSE_FIRST_NS (1000 * LEAT__MS)
#define PAUSE_SHORT_NS (2000 * LEAT__MS)
#define PAUSE_MAX_NS (20 * 1000 * LEAT__MS)
#define PROBE_NS (5000 * LEAT__MS)
#define PATIENCE_NS (30 * 1000 * LEAT__MS)

/* ---- records ---- */

static leat__host *host_find(leat__http *http, const char *origin)
{
    leat__host *host;
    TAILQ_FOREACH(host, &http->hosts, link)
        if (!strcmp(host->origin, origin)) return host;
    return NULL;
}

static void host_free(leat__http *http, leat__host *host)
{
    TAILQ_REMOVE(&http->hosts, host, link);
    free(host->root);
    free(host);
}

/* Drops the oldest records nobody uses while there are too many. A pause that is still on is not forgotten, nor that a
 * host is unreachable before it is time to look again. */
static void hosts_trim(leat__http *http)
{
    uint64_t now = leat__http_now(http);
    leat__host *host, *next;
    for (host = TAILQ_FIRST(&http->hosts); host && http->host_count > HOSTS_KEPT; host = next) {
        next = TAILQ_NEXT(host, link);
        if (host->references || host->paused_until_ns > now || (host->unreachable && host->probe_ns > now)) continue;
        assert(host->active == 0);
        http->host_count--;
        host_free(http, host);
    }
}

leat__host *leat__host_get(leat__http *http, const char *origin)
{
    leat__host *host = host_find(http, origin);
    if (!host) {
        size_t size = strlen(origin) + 1;
        host = calloc(1, sizeof *host + size);
        if (!host) return NULL;
        memcpy(host->origin, origin, size);
        host->limit = host->calm = http->options.connections_per_host;
        host->tokens = TOKENS;
        for (int i = 0; i < LEAT__QUEUES; i++) TAILQ_INIT(&host->queues[i]);
        TAILQ_INSERT_TAIL(&http->hosts, host, link);
        http->host_count++;
        host->references = 1;
        hosts_trim(http);
        return host;
    }
    host->references++;
    return host;
}

leat__host *leat__host_share(leat__host *host)
{
    assert(host->references > 0);
    host->references++;
    return host;
}

void leat__host_release(leat__host *host)
{
    assert(host->references > 0);
    host->references--;
}

void leat__hosts_free(leat__http *http)
{
    leat__host *host;
    while ((host = TAILQ_FIRST(&http->hosts))) {
        assert(host->references == 0);
        host_free(http, host);
    }
}

void leat__http_hosts(const leat__http *http, void (*each)(void *user, const leat__http_host *host), void *user)
{
    uint64_t now = leat__http_now(http);
    const leat__host *host;
    TAILQ_FOREACH(host, &http->hosts, link) {
        const leat__http_host shown = {
            .origin = host->origin, .active = host->active, .limit = leat__host_limit(http, host), .retries = host->retries,
            .paused_ns = host->paused_until_ns > now ? host->paused_until_ns - now : 0,
            .unreachable = host->unreachable,
        };
        each(user, &shown);
    }
}

/* ---- addresses ---- */

void leat__attempt_resolving(leat__attempt *attempt)
{
    leat__host *host = attempt->transfer->host;
    uint64_t now = attempt->started_ns;
    assert(!host->resolving);
    if (host->resolved_ns && now - host->resolved_ns < ADDRESS_NS) return;
    host->resolving = attempt->resolving = true;
}

void leat__attempt_resolved(leat__attempt *attempt, bool found)
{
    if (!attempt->resolving) return;
    leat__host *host = attempt->transfer->host;
    assert(host->resolving);
    attempt->resolving = host->resolving = false;
    if (found) host->resolved_ns = leat__http_now(attempt->http);
    leat__http_soon(attempt->http);
}

/* ---- how many at a time, and when ---- */

/* As many as a host gets that may be dead. */
static uint32_t few(const leat__http *http)
{
    uint32_t eighth = http->options.connections_per_host / 8;
    return eighth ? eighth : 1;
}

uint32_t leat__host_limit(const leat__http *http, const leat__host *host)
{
    return host->connected || host->limit < few(http) ? host->limit : few(http);
}

bool leat__host_open(const leat__host *host, uint64_t now)
{
    if (host->paused_until_ns > now || host->resolving) return false;
    /* one that tries and is paused by its consumer may never know: the next one tries, too */
    return !host->doubted || !host->probe || host->probe->transfer->paused;
}

void leat__host_asked(leat__attempt *attempt)
{
    leat__host *host = attempt->transfer->host;
    host->active++;
    if (host->doubted) host->probe = attempt;
    if (host->unreachable) host->probe_ns = attempt->started_ns + PROBE_NS;
}

/* Halves what may run, not below `floor`. */
static void cut(leat__http *http, leat__host *host, uint32_t floor)
{
    uint32_t running = host->active < host->limit ? host->active : host->limit;
    uint32_t half = running / 2 > floor ? running / 2 : floor;
    if (half < host->limit) host->limit = half;
    if (!host->doubted) host->calm = half; /* one that tries alone says nothing of how many can be borne */
    host->successes = 0;
    host->cut_ns = leat__http_now(http);
    assert(host->limit >= 1 && host->limit <= http->options.connections_per_host);
}

void leat__host_pause(leat__http *http, leat__host *host, uint64_t ns)
{
    uint64_t until = leat__http_now(http) + ns;
    if (until > host->paused_until_ns) host->paused_until_ns = until;
    leat__places_wake_at(http, host->paused_until_ns);
}

/* How long to leave it alone after so many refusals in a row. */
static uint64_t pause_of(leat__http *http, const leat__host *host)
{
    uint64_t longest = (leat__http_now(http) - host->doubted_ns) / 4, pause = PAUSE_FIRST_NS;
    if (longest < PAUSE_SHORT_NS) longest = PAUSE_SHORT_NS;
    if (longest > PAUSE_MAX_NS) longest = PAUSE_MAX_NS;
    for (uint32_t n = 1; n < host->refusals && pause < longest; n++) pause *= 2;
    return leat__http_random(http) % ((pause < longest ? pause : longest) + 1);
}

uint64_t leat__http_patience_ns(const leat__http *http)
{
    uint64_t most = http->options.max_retry_after_ms * LEAT__MS;
    return most < PATIENCE_NS ? most : PATIENCE_NS;
}

static void become_unreachable(leat__http *http, leat__host *host, const leat__fault *fault)
{
    uint64_t now = leat__http_now(http);
    if (!host->unreachable) host->unreachable_ns = now;
    host->unreachable = true;
    host->probe_ns = now + PROBE_NS;
    snprintf(host->last, sizeof host->last, "%s", fault->text);
}

/* Somebody else still gets bytes from it, or waits for an answer. */
static bool is_reading(const leat__http *http, const leat__host *host)
{
    const leat__transfer *transfer;
    TAILQ_FOREACH(transfer, &http->lists[LEAT__TRANSFER_ACTIVE], link)
        if (transfer->host == host && !transfer->canceled) return true;
    return false;
}

/* It was refused once more. */
static void give_up_in_time(leat__http *http, leat__host *host, const leat__fault *fault)
{
    uint64_t since = host->whole_ns > host->doubted_ns ? host->whole_ns : host->doubted_ns, passed = leat__http_now(http) - since;
    if (host->refusals < http->options.retries || passed < leat__http_patience_ns(http) || is_reading(http, host)) return;
    become_unreachable(http, host, fault);
    size_t used = strlen(host->last);
    snprintf(host->last + used, sizeof host->last - used, ", and nothing else for %" PRIu64 " s", passed / (1000 * LEAT__MS));
}

bool leat__host_is_given_up(const leat__host *host)
{
    return host->unreachable && host->doubted;
}

bool leat__host_throttled(leat__http *http, leat__host *host, uint64_t asked_ns, uint64_t least_ns, const leat__fault *fault)
{
    bool first = asked_ns >= host->cut_ns;
    uint64_t pause = 0;
    http->stats.throttled++;
    if (first) {
        cut(http, host, 1);
        if (!host->doubted) {
            host->doubted_ns = host->cut_ns;
            host->refusals = 0;
        }
        host->doubted = true;
        host->refusals++;
        pause = pause_of(http, host);
        give_up_in_time(http, host, fault);
    }
    leat__host_pause(http, host, pause > least_ns ? pause : least_ns);
    return first;
}

void leat__host_silent(leat__http *http, leat__host *host, uint64_t asked_ns)
{
    if (++host->silent >= SILENT_IN_A_ROW && asked_ns >= host->cut_ns) cut(http, host, few(http));
}

void leat__host_serves(leat__http *http, leat__host *host, uint64_t asked_ns)
{
    host->silent = 0;
    if (host->doubted && asked_ns >= host->cut_ns) {
        host->doubted = false;
        host->probe = NULL;
        leat__http_soon(http);
    }
    if (host->unreachable && asked_ns >= host->unreachable_ns) {
        host->unreachable = false;
        host->tokens = TOKENS;
    }
}

void leat__host_succeeded(leat__http *http, leat__host *host)
{
    host->whole_ns = leat__http_now(http);
    uint32_t full = http->options.connections_per_host;
    bool fast = host->limit < full / 4 && host->limit < host->calm;
    if (host->limit >= full || (++host->successes < SUCCESSES_A_STEP && !fast)) return;
    host->successes = 0;
    host->limit++;
}

/* ---- the retry budget (R5) ---- */

bool leat__host_pay(leat__transfer *transfer, const leat__fault *fault)
{
    leat__host *host = transfer->host;
    bool status = fault->system >= 100; /* HTTP's; else the connection's */
    bool costly = !status && (fault->code == LEAT_ENETWORK || fault->code == LEAT_ETIMEOUT || fault->code == LEAT_ETLS);
    uint32_t cost = costly ? COST_CONNECTION : COST_OTHER;
    if (host->tokens >= cost) {
        host->tokens -= cost;
        transfer->paid += cost;
        return true;
    }
    become_unreachable(transfer->http, host, fault);
    return false;
}

void leat__host_repay(leat__transfer *transfer)
{
    leat__host *host = transfer->host;
    uint32_t credit = transfer->paid ? transfer->paid : 1;
    host->tokens = host->tokens + credit < TOKENS ? host->tokens + credit : TOKENS;
    transfer->paid = 0;
}

bool leat__host_may_begin(const leat__host *host, uint64_t now)
{
    return !host->unreachable || now >= host->probe_ns;
}
