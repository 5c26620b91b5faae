/* host.c - what is known of a server.
 *
 * What:    one record an origin: how many attempts run, how many may, until when it wants to be left alone, and whether
 *          its address is known. R4: an answer of 429 or 503 halves what may run (not below 1) and pauses all new
 *          starts until the delay is over; 32 successes give one back.
 * Why so:  the limit belongs to the server and is shared by its transfers; a back-off of each transfer alone would keep
 *          the pressure up. Answers to requests that were sent before the last cut don't cut again: one burst, one cut.
 *          P15: curl starts a thread for each look-up and does not join equal ones. So the first attempt to a host
 *          whose address is not in curl's cache goes alone, until its socket is opened; the others then find the
 *          address there.
 * Threads: loop.
 * Invariants: 1 <= limit <= connections; active <= connections; a record with references is never dropped.
 * Not here: which transfer starts (places.c); back-off of a transfer (outcome.c). */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "stages/http_internal.h"

enum {
    HOSTS_KEPT = 64,            /* records of hosts: redirects could name any number of them */
    SUCCESSES_A_STEP = 32,      /* R4 */
};
#define ADDRESS_NS (50 * 1000 * LEAT__MS) /* shorter than curl's own cache, 60 s, so that it cannot run out unguarded */

static leat__host *host_find(leat__http *http, const char *origin)
{
    leat__host *host;
    TAILQ_FOREACH(host, &http->hosts, link)
        if (!strcmp(host->origin, origin)) return host;
    return NULL;
}

/* Drops the oldest records nobody uses while there are too many. A pause that is still on is not forgotten. */
static void hosts_trim(leat__http *http)
{
    uint64_t now = leat__http_now(http);
    leat__host *host, *next;
    for (host = TAILQ_FIRST(&http->hosts); host && http->host_count > HOSTS_KEPT; host = next) {
        next = TAILQ_NEXT(host, link);
        if (host->references || host->paused_until_ns > now) continue;
        assert(host->active == 0);
        TAILQ_REMOVE(&http->hosts, host, link);
        http->host_count--;
        free(host);
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
        host->limit = http->options.connections;
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
        TAILQ_REMOVE(&http->hosts, host, link);
        free(host);
    }
}

bool leat__host_open(const leat__host *host, uint64_t now)
{
    return host->paused_until_ns <= now && !host->resolving;
}

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

void leat__host_throttled(leat__http *http, leat__host *host, uint64_t asked_ns, uint64_t delay_ns)
{
    uint64_t now = leat__http_now(http);
    if (asked_ns >= host->cut_ns) {
        uint32_t running = host->active < host->limit ? host->active : host->limit;
        host->limit = running > 1 ? running / 2 : 1;
        host->successes = 0;
        host->cut_ns = now;
    }
    if (now + delay_ns > host->paused_until_ns) host->paused_until_ns = now + delay_ns;
    http->stats.throttled++;
    leat__places_wake_at(http, host->paused_until_ns);
    assert(host->limit >= 1 && host->limit <= http->options.connections);
}

void leat__host_succeeded(leat__http *http, leat__host *host)
{
    if (host->limit >= http->options.connections || ++host->successes < SUCCESSES_A_STEP) return;
    host->successes = 0;
    host->limit++;
}
