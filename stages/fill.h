/* fill.h - filling the cache: downloads that write to it and wait for nobody who reads.
 *
 * A loader has a few fills, each of which is at work on one object at a time:
 *
 *     free --leat__fill_take--> taken --leat__fill_start--> filling --told: WHOLE, PAST, FAILED, REFUSED--> free
 *                                 `--leat__fill_give_back--> free
 * All on the loop thread, but for the counters. */
#ifndef LEAT__FILL_H
#define LEAT__FILL_H

#include <stdatomic.h>

#include "pipeline/stage.h"
#include "stages/http.h"
#include "store/cachedir.h"

typedef struct leat__fill leat__fill;

/* Of a loader: enough to keep any disk busy. */
enum { LEAT__MOST_FILLS = 64 };

/* What the fills of a loader, and the stages that read what they fill, share. */
typedef struct leat__fills {
    /* fixed after creation, but *http until the pipeline starts */
    leat__cachedir *dir;
    leat__http *const *http;
    leat__budget budget;        /* of their buffers: count * LEAT__FILL_BUFFERS * chunk_bytes */
    uint64_t stall_ns;          /* without a byte from another process's fill for so long, its readers go past it */
    unsigned count;
    leat__fill *all[LEAT__MOST_FILLS];
    /* atomic */
    _Atomic uint64_t hits, misses, bypassed, damaged;
} leat__fills;

/* Buffers of one fill: the client's, LEAT__FILL_QUEUE that wait, and as many that are being written. */
enum { LEAT__FILL_QUEUE = 2, LEAT__FILL_BUFFERS = 2 * LEAT__FILL_QUEUE + 1 };

typedef enum leat__fill_news {
    LEAT__FILL_GREW,    /* there is more of it */
    LEAT__FILL_WHOLE,
    LEAT__FILL_PAST,    /* it cannot be kept: no room, the disk failed, or its size is not known */
    LEAT__FILL_FAILED,  /* the download did: error */
    LEAT__FILL_REFUSED, /* cache_limit is too small for it, which is an error: error */
} leat__fill_news;

/* What is to be filled. Strings: borrows, until the end. */
typedef struct leat__fill_order {
    const char *url;
    leat__cachekey key;
    uint64_t total;      /* and etag: what an index says; UINT64_MAX, "": nothing */
    const char *etag;
    leat__cachewriter part; /* takes; what a dead process has left, or fd -1 */
    void (*tell)(void *user, leat__fill_news news, const leat_error *error); /* all but GREW: for the last time */
    void *user;
} leat__fill_order;

/* Makes number i of them. state for the stage leat__fill_type: without inbox, concurrency 1. NULL if memory is short. */
void *leat__fill_new(leat__fills *fills, unsigned i);

/* A free one; NULL: none is. */
leat__fill *leat__fill_take(leat__fills *fills);
void leat__fill_give_back(leat__fill *fill);
/* The caller has claimed the object (leat__cachedir_look). May tell at once, but not from within. */
void leat__fill_start(leat__fill *fill, const leat__fill_order *order);
/* From now on it tells nobody. */
void leat__fill_unwatch(leat__fill *fill);

extern const leat__stage_type leat__fill_type;

#endif
