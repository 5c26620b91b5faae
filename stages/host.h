/* host.h - what is known of a server: a part of the HTTP client (http_internal.h, which alone includes this). Loop thread. */
#ifndef LEAT__HOST_H
#define LEAT__HOST_H

#include <stdbool.h>
#include <stdint.h>

#include <sys/queue.h>

#include "stages/http.h"

typedef struct leat__attempt leat__attempt;
typedef struct leat__fault leat__fault;
TAILQ_HEAD(leat__transfer_list, leat__transfer);

#define LEAT__QUEUES 2         /* of transfers that wait for a place: the states RESUMED and WAITING */

typedef struct leat__host {
    TAILQ_ENTRY(leat__host) link;
    unsigned references;       /* transfers that are on their way to it */
    struct leat__transfer_list queues[LEAT__QUEUES];
    TAILQ_ENTRY(leat__host) queue_link[LEAT__QUEUES]; /* with the other hosts whose queue is not empty */
    uint32_t active;           /* attempts that hold a connection to it */
    uint64_t retries;
    char *root;                /* "https://host/", as URLs of it began that were parsed; NULL: none yet */
    size_t root_size;
    /* how many at a time (R4) */
    uint32_t limit;            /* at most so many; 1..connections_per_host */
    uint32_t calm;             /* half of what ran when it was last cut: up to here the limit may grow fast */
    uint32_t successes;        /* since the limit was last changed */
    uint32_t silent;           /* connections that failed before a word was said, since something was */
    uint64_t cut_ns;           /* when the limit was last halved */
    uint64_t paused_until_ns;  /* no new start before that */
    /* does it serve anybody at all? */
    bool doubted;              /* it throttled, and has served nothing that was asked for since: one request at a time */
    uint32_t refusals;         /* so many times in a row, one for each pause */
    uint64_t doubted_ns;       /* since when */
    uint64_t whole_ns;         /* when a transfer of it was whole, last; 0: none was */
    leat__attempt *probe;      /* that one request, NULL: none */
    /* its retry budget (R5) */
    uint32_t tokens;
    bool unreachable;          /* it is spent; or it has refused everything for too long, then it is doubted as well */
    uint64_t unreachable_ns;   /* since when */
    uint64_t probe_ns;         /* when the next transfer may try */
    char last[600];            /* what was the matter */
    /* its address */
    bool connected;            /* it has let somebody connect */
    uint64_t resolved_ns;      /* when the name was last resolved; 0: never */
    bool resolving;            /* one attempt is finding out the address: the others wait for it (P15) */
    char origin[];             /* "https://host:port" */
} leat__host;
TAILQ_HEAD(leat__host_list, leat__host);

/* Gives a reference to the host of an origin; NULL if memory is short. */
leat__host *leat__host_get(leat__http *http, const char *origin);
leat__host *leat__host_share(leat__host *host);              /* shares; returns host */
void leat__host_release(leat__host *host);                   /* takes */
void leat__hosts_free(leat__http *http);
uint32_t leat__host_limit(const leat__http *http, const leat__host *host); /* how many attempts it may have now */
/* Neither paused, nor waiting for its address, nor doubted while somebody tries. */
bool leat__host_open(const leat__host *host, uint64_t now);
void leat__host_asked(leat__attempt *attempt);
/* An attempt starts (and may be the one that finds the address); it has the address, or ended without. */
void leat__attempt_resolving(leat__attempt *attempt);
void leat__attempt_resolved(leat__attempt *attempt, bool found);
/* 429 or 503, as fault says, to what was sent at asked_ns, with the least pause that it names. False: a failure of the same burst
 * as another. */
bool leat__host_throttled(leat__http *http, leat__host *host, uint64_t asked_ns, uint64_t least_ns, const leat__fault *fault);
/* It has refused for so long that nothing of it is waited for any more. */
bool leat__host_is_given_up(const leat__host *host);
/* For how long refusals are put up with. */
uint64_t leat__http_patience_ns(const leat__http *http);
/* Leaves it alone for so long. A connection failed before the server said a word. It serves what was sent at asked_ns. A
 * transfer of it is whole. */
void leat__host_pause(leat__http *http, leat__host *host, uint64_t ns);
void leat__host_silent(leat__http *http, leat__host *host, uint64_t asked_ns);
void leat__host_serves(leat__http *http, leat__host *host, uint64_t asked_ns);
void leat__host_succeeded(leat__http *http, leat__host *host);
/* Takes what a repetition costs from its host's budget (R5), or false; gives back what a transfer has paid, as it gets on. */
bool leat__host_pay(leat__transfer *transfer, const leat__fault *fault);
void leat__host_repay(leat__transfer *transfer);
/* It is reachable, or it is time to look again. */
bool leat__host_may_begin(const leat__host *host, uint64_t now);

#endif
