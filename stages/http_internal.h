/* http_internal.h - what the files of the HTTP client share. Nobody else includes it; the outside sees stages/http.h.
 *
 * http.c       the client: options, curl's timer, the deferred work, close
 * socket.c     curl's sockets on uv_poll handles
 * places.c     which transfer may hold a connection, and when: the queue, parking, waiting out a delay, stalls
 * host.c, .h   what is known of a server: throttling, concurrency, retry budget, name resolution
 * transfer.c   one object: its bytes on their way to the consumer, pause and resume
 * attempt.c    one request on one easy handle: options, curl's header and write callbacks
 * request.c    the header of a request
 * reply.c      what a response's header says, and whether its body may be believed
 * outcome.c    what an ended attempt means: whole, redirect, again, or failed
 * httpfault.c  what curl's codes and HTTP's statuses mean, in classes and in words
 * redirect.c   URLs: parsing, origins, where a redirect may lead
 *
 * Everything runs on the loop thread. A function of the outside (get, resume, flush, limit, renew, cancel, close) never calls
 * back and never calls curl: it marks the transfer as due, and the idle handle does the work in the loop's next turn. So nothing
 * here has to be re-entrant, although the consumer may call all of them from its callbacks, which run inside curl. */
#ifndef LEAT__HTTP_INTERNAL_H
#define LEAT__HTTP_INTERNAL_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>

#include <curl/curl.h>
#include <sys/queue.h>

#include "pipeline/random.h"
#include "stages/host.h"
#include "stages/http.h"

#define LEAT__MS UINT64_C(1000000) /* nanoseconds */
#define LEAT__NO_SIZE UINT64_MAX   /* a size that is not known */

enum {
    LEAT__READ_BYTES = 64 << 10,    /* of curl's read buffer: attempt.c says why; larger is unfair, too (P12) */
    LEAT__HEADERS_BYTES = 64 << 10, /* of all headers of an attempt, interim answers and trailers included (N15, N16) */
    LEAT__ETAG_BYTES = 128,         /* a longer one is ignored */
    LEAT__SOCKET_BUCKETS = 64,
};

/* ---- a failure and what may be done about it (R1) ---- */

typedef enum leat__fault_class {
    LEAT__FAULT_FATAL,     /* asking again would not help */
    LEAT__FAULT_TRANSIENT, /* asking again may */
    LEAT__FAULT_THROTTLE,  /* asking less and later will */
    LEAT__FAULT_CHANGED,   /* another object is there now: from the start, or not at all */
} leat__fault_class;

struct leat__fault {
    leat_code code; /* LEAT_OK: none */
    leat__fault_class class;
    int system;     /* curl's or HTTP's own number */
    char text[600];
};

/* Fills *fault; returns false, so that a check can end in it. */
bool leat__fault_set(leat__fault *fault, leat_code code, leat__fault_class class, int system, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* ---- reply.c ---- */

/* The header of one response, as far as it matters. */
typedef struct leat__reply {
    int status;        /* 0: no status line yet */
    bool chunked, has_length, has_range, has_retry_after, rangeless; /* rangeless: Accept-Ranges: none */
    uint64_t length;   /* Content-Length */
    uint64_t range_first, range_last; /* Content-Range; first = LEAT__NO_SIZE: unsatisfied */
    uint64_t range_total;             /* or LEAT__NO_SIZE */
    uint64_t retry_after_ms;
    char reason[64], etag[LEAT__ETAG_BYTES], modified[64], encoding[32], type[64];
    char *location;    /* owned; NULL: none */
} leat__reply;

/* What the answers so far said of an object; or what it is expected to be. */
typedef struct leat__known {
    uint64_t total;    /* LEAT__NO_SIZE: not said */
    char etag[LEAT__ETAG_BYTES], modified[64], type[64];
    bool rangeless;    /* it does not come in ranges */
} leat__known;

/* Reads one header line (with its CRLF or LF). False: refused, *fault says why. */
bool leat__reply_line(leat__reply *reply, const char *line, size_t size, leat__fault *fault);
void leat__reply_clear(leat__reply *reply);
/* Copies a field's value if it fits; one that does not is as good as none. */
void leat__reply_keep(char *out, size_t capacity, const char *value);
/* True for an ETag that can vouch for bytes: a weak one cannot (RFC 9110 8.8.1). */
static inline bool leat__etag_is_strong(const char *etag)
{
    return etag[0] == '"';
}

typedef enum leat__verdict {
    LEAT__VERDICT_NONE,     /* no header yet, or an interim answer */
    LEAT__VERDICT_BODY,     /* the body is the object's */
    LEAT__VERDICT_NOTHING,  /* nothing is left to be sent: the object is whole */
    LEAT__VERDICT_REDIRECT,
    LEAT__VERDICT_STATUS,   /* an error status, with *fault */
    LEAT__VERDICT_REFUSED,  /* not to be believed, with *fault */
} leat__verdict;

/* What was asked for. */
typedef struct leat__asked {
    uint64_t from, to;   /* bytes of the object; to = LEAT__NO_SIZE: to its end. A Range header was sent unless it is all */
    bool continues;      /* bytes of this object were accepted before: it has to be the same one */
    bool strict;         /* the whole object is no answer to a range that begins behind 0 */
    bool careful;        /* an equal size alone does not make it the same object */
    uint64_t max_bytes;  /* of the object */
    const leat__known *expected; /* what it has to be like */
} leat__asked;

/* Where an accepted body lies in the object. */
typedef struct leat__span {
    uint64_t skip;       /* bytes to be thrown away first: the server began before `from` */
    uint64_t end;        /* the body ends before this byte; LEAT__NO_SIZE: not said */
} leat__span;

/* Judges a complete header (F1, F2, F5, F6); on BODY and NOTHING *known is filled in and *span is set. */
leat__verdict leat__reply_judge(const leat__reply *reply, const leat__asked *asked, leat__known *known,
                                leat__span *span, leat__fault *fault);

/* ---- redirect.c ---- */

/* Parses an absolute URL, or one relative to base (NULL: none). *url and *origin: gives (free). False: *fault says why. */
bool leat__url_parse(const char *text, const char *base, char **url, char **origin, leat__fault *fault);
/* The same for an absolute URL; *host: gives a reference. */
bool leat__url_locate(leat__http *http, const char *text, char **url, leat__host **host, leat__fault *fault);
/* Points a transfer to where its server sent it (F8). False: *fault says why. */
bool leat__redirect_follow(leat__transfer *transfer, const char *location, leat__fault *fault);
/* Points it to its own URL again. */
void leat__redirect_forget(leat__transfer *transfer);

/* ---- attempt.c ---- */

typedef struct leat__socket leat__socket;

/* An easy handle, and the request it is doing for a transfer. Kept for the next one afterwards. */
struct leat__attempt {
    /* fixed after creation */
    leat__http *http;
    CURL *easy;
    /* of this request */
    leat__transfer *transfer;
    leat__reply reply;
    leat__verdict verdict;
    leat__span span;
    leat__fault fault;        /* why a callback broke it off, or what the verdict was */
    uint64_t started_ns;
    uint64_t accepted;        /* bytes that the transfer took */
    uint64_t received, marked;/* body bytes now, and when the stall clock was last wound up */
    uint64_t quiet_ns;        /* the stall clock: how long ago that was, not counting pauses */
    size_t header_bytes, swallowed, excerpt_size;
    leat__socket *socket;     /* the last one that was polled for it; NULL: none yet */
    curl_socket_t opened;     /* the last one that was opened for it */
    int socket_errno;         /* why the last socket could not be had; 0: all could */
    bool resolving;           /* the others wait for it to find the host's address */
    bool conditional;         /* it was asked with a condition */
    bool abandoned;           /* it has to end: what it still brings is of no use */
    struct curl_slist range, match;
    char range_text[64], match_text[LEAT__ETAG_BYTES + 32];
    char excerpt[200];        /* of an error's body */
    char curl_text[CURL_ERROR_SIZE];
    leat__attempt *next;
};

/* Sends a transfer's request: it is active from now on. False if memory is short. */
bool leat__attempt_start(leat__transfer *transfer, bool fresh_connection);
/* Breaks off or puts away a transfer's attempt; its place is free then. */
void leat__attempt_end(leat__transfer *transfer);
void leat__attempts_free(leat__http *http);

/* ---- request.c ---- */

/* Makes the header lists that every request sends; LEAT_EINVAL if one of the user's is no good. */
leat_code leat__headers_new(leat__http *http, const leat__http_options *options, leat_error *error);
/* The list for this request; sets attempt->conditional. Borrows from the client and the attempt. */
struct curl_slist *leat__request_headers(leat__attempt *attempt);

/* ---- transfer.c ---- */

/*  get ─► WAITING ──fill──► ACTIVE ──data says false──► PAUSED ──fill, for another──► PARKED
 *           ▲                │ ▲ │                        │                            │
 *           │ wake           │ │ └─redirect─► RESUMED     └─resume─► ACTIVE            └─resume─► RESUMED ─► ACTIVE
 *        DELAYED ◄──failed───┘ └──────────────fill┘
 *  ACTIVE ──whole or failed for good──► end; whole while paused ──► PARKED ──resume──► end; any ──cancel──► gone */
typedef enum leat__transfer_state {
    LEAT__TRANSFER_RESUMED, /* waits for a place, before the waiting ones */
    LEAT__TRANSFER_WAITING, /* waits for a place */
    LEAT__TRANSFER_DELAYED, /* waits for due_ns */
    LEAT__TRANSFER_ACTIVE,  /* holds a place, reads */
    LEAT__TRANSFER_PAUSED,  /* holds a place, does not read; in the order in which they were paused */
    LEAT__TRANSFER_PARKED,  /* lost its place while it was paused, or is whole and waits for its consumer */
    LEAT__TRANSFER_STATES,
} leat__transfer_state;

struct leat__transfer {
    /* fixed after creation */
    leat__http *http;
    char *url;
    leat__budget *budget;
    leat__transfer_callbacks callbacks;
    void *user;
    uint64_t start, stop;      /* the bytes that were asked for; stop = LEAT__NO_SIZE: to the end */
    leat__known expected;
    bool strict;
    /* where it stands */
    leat__transfer_state state;
    TAILQ_ENTRY(leat__transfer) link, due_link;
    bool due, canceled, resume_wanted, flush_wanted;
    uint64_t due_ns;           /* DELAYED: until then */
    leat__host *home;          /* its own URL's */
    leat__host *host;          /* where it is to ask next: home, or a redirect's */
    leat__attempt *attempt;    /* ACTIVE and PAUSED: not NULL */
    /* where redirects led */
    char *target;              /* NULL: nowhere; else the URL to ask next */
    char *chain;               /* for messages: "http://a/x -> http://b/y" */
    uint32_t hops;
    bool foreign;              /* another origin was met: the user's headers stay behind */
    /* the object */
    leat__known known;
    uint64_t position;         /* the next byte to accept: start + accepted so far */
    uint64_t limit;            /* nothing is accepted behind it: start <= position <= limit <= stop */
    leat__buffer *buffer;      /* what has arrived and was not handed out */
    size_t filled;
    bool handed, handing;      /* bytes went to the consumer; are going right now */
    bool paused, whole, restarted;
    /* requests and failures */
    uint32_t requests;         /* sent so far */
    uint32_t failures;         /* since the last byte of progress, but for refusals */
    uint32_t refusals;         /* 429 and 503 since then, one of each burst */
    uint64_t refused_ns;       /* when the first of those was */
    uint32_t attempts;         /* in all, this one included */
    uint32_t paid;             /* to its host's retry budget, since the last byte of progress */
    bool fresh;                /* the next attempt needs a new connection */
    bool unconditional;        /* its server does not understand what was expected as a condition */
    bool put_off;              /* DELAYED: waits behind the others afterwards (R3) */
};

/* Where the transfer is whole; LEAT__NO_SIZE: where the answer ends. */
static inline uint64_t leat__transfer_goal(const leat__transfer *transfer)
{
    uint64_t end = transfer->stop != LEAT__NO_SIZE ? transfer->stop : transfer->known.total;
    return transfer->limit < end ? transfer->limit : end;
}

/* It has all bytes up to a limit that lies before the end. */
static inline bool leat__transfer_at_limit(const leat__transfer *transfer)
{
    return transfer->position == transfer->limit && transfer->limit < transfer->stop;
}

typedef enum leat__accepted { LEAT__ACCEPTED, LEAT__ACCEPT_LATER, LEAT__ACCEPT_NO_MEMORY } leat__accepted;

/* Takes the next bytes of the object (at most CURL_MAX_WRITE_SIZE): *taken of them, all up to the limit; or none. */
leat__accepted leat__transfer_accept(leat__transfer *transfer, const char *data, size_t size, size_t *taken);
/* Puts it last in a state's list. Its host does not change while it waits in one of that host's queues. */
void leat__transfer_move(leat__transfer *transfer, leat__transfer_state state);
void leat__transfer_do_due(leat__transfer *transfer);
/* All bytes are there: hands out the last ones and ends it, as soon as its consumer takes them. */
void leat__transfer_complete(leat__transfer *transfer);
void leat__transfer_end(leat__transfer *transfer, const leat_error *error); /* takes; calls end */
void leat__transfer_free(leat__transfer *transfer);                         /* takes; calls nothing */
/* Ends it with a failure: its words, the attempts, the place in the object. `tail`: more words, or "". */
void leat__transfer_fail(leat__transfer *transfer, const leat__fault *fault, const char *tail);
/* Ends one that has not begun, because its host is unreachable (R5). */
void leat__transfer_refuse(leat__transfer *transfer);

/* ---- httpfault.c, outcome.c ---- */

void leat__fault_of_curl(const leat__attempt *attempt, CURLcode result, leat__fault *fault);
void leat__fault_of_status(const leat__attempt *attempt, leat__fault *fault);
/* ': "..."': the first words of an error's body, if it is text and no page for a browser; else "". */
void leat__fault_quote(const leat__attempt *attempt, char *out, size_t capacity);

/* A transfer's attempt is over: with what curl said, or broken off (attempt->fault is set). Frees its place; the
 * transfer may be gone afterwards. */
void leat__outcome(leat__transfer *transfer, CURLcode result);

/* ---- places.c ---- */

void leat__places_fill(leat__http *http);
void leat__places_wake_at(leat__http *http, uint64_t ns);
void leat__places_on_wake(uv_timer_t *timer);
void leat__places_on_tick(uv_timer_t *timer);

/* ---- socket.c ---- */

curl_socket_t leat__socket_open(void *attempt, curlsocktype purpose, struct curl_sockaddr *address);
int leat__socket_close(void *http, curl_socket_t fd);
int leat__socket_wants(CURL *easy, curl_socket_t fd, int what, void *http, void *unused);
/* An attempt's answer has begun: the connection on its socket is up. */
void leat__socket_keep(const leat__attempt *attempt);
void leat__sockets_drop(leat__http *http); /* ends all handles */
void leat__sockets_free(leat__http *http);

/* ---- http.c ---- */

struct leat__http {
    /* fixed after creation */
    leat__http_options options;        /* without ca_file and headers */
    char *ca_file;
    struct curl_slist *plain_headers;  /* for every request */
    struct curl_slist *user_headers;   /* the user's, and then the plain ones: for the origin they were meant for */
    CURLM *multi;
    uint64_t tick_ms;
    /* loop thread only: libuv's handles */
    uv_timer_t curl_timer;             /* when curl wants to be called */
    uv_timer_t wake_timer;             /* when the next delay is over */
    uv_timer_t tick_timer;             /* stall clocks and watchdog; runs while there are transfers */
    uv_idle_t idle;                    /* runs while there is deferred work */
    unsigned open_handles;             /* those four and the sockets': closed() when it gets to 0 */
    leat__socket *sockets[LEAT__SOCKET_BUCKETS];
    /* transfers */
    struct leat__transfer_list lists[LEAT__TRANSFER_STATES]; /* but for the first LEAT__QUEUES: those are with their hosts */
    struct leat__host_list queues[LEAT__QUEUES]; /* the hosts for which transfers wait, the next one to have a turn first */
    uint32_t counts[LEAT__TRANSFER_STATES];
    struct leat__transfer_list due;
    uint32_t due_count;
    bool soon;                         /* the idle handle was asked to run */
    uint64_t wake_ns;                  /* what wake_timer is set to; 0: not running */
    uint64_t tick_ns;                  /* the last tick */
    struct leat__host_list hosts;
    uint32_t host_count;
    leat__attempt *idle_attempts;
    leat__random random;               /* if options has none */
    leat__http_stats stats;
    /* the end */
    bool closing;
    void (*closed)(void *user);
    void *closed_user;
};

uint64_t leat__http_now(const leat__http *http);
uint64_t leat__http_random(leat__http *http);
/* Makes the idle handle run in the loop's next turn. */
void leat__http_soon(leat__http *http);
/* Tells curl that a socket is ready (or, with CURL_SOCKET_TIMEOUT, that time has passed), and does what follows. */
void leat__http_drive(leat__http *http, curl_socket_t fd, int events);
void leat__http_handle_closed(leat__http *http);

#endif
