/* queue.h - bounded queue between two stages. Loop thread only. */
#ifndef LEAT__QUEUE_H
#define LEAT__QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include <leat/error.h>

#include "pipeline/item.h"

typedef struct leat__queue {
    /* fixed after creation */
    size_t max_items, max_bytes;
    /* loop thread only */
    leat__items items;
    size_t bytes;
    bool ended;         /* nothing more will be put */
    bool failed;        /* ... because of `error` */
    bool discarding;    /* the reader is gone: what is put is dropped */
    leat_error error;
    /* depth over time, since `since_ns` at the present depth */
    uint64_t since_ns;
    double depth_time;  /* sum of depth * ns */
    size_t depth_max;
} leat__queue;

void leat__queue_init(leat__queue *queue, size_t max_items, size_t max_bytes, uint64_t now_ns);

/* True if one more item may be put: fewer than max_items, and less than max_bytes so far (the last item may go over: an
 * item larger than the bound must pass too). A discarding queue always has room. */
bool leat__queue_has_room(const leat__queue *queue);

/* Puts an item (takes). There must be room, and no end. */
void leat__queue_put(leat__queue *queue, leat__item *item);

/* The next item, or NULL; peek leaves it there. */
leat__item *leat__queue_take(leat__queue *queue);
const leat__item *leat__queue_peek(const leat__queue *queue);

/* Ends it: after what is in it, the reader sees the end, or the error. Once. */
void leat__queue_end(leat__queue *queue, const leat_error *error);

/* True if it is empty and has ended. */
bool leat__queue_is_over(const leat__queue *queue);

/* Drops what is in it, and what is put from now on. */
void leat__queue_discard(leat__queue *queue);

/* Books the depth that was since the last call. */
void leat__queue_meter(leat__queue *queue, uint64_t now_ns);

/* Asserts the invariants (debug builds). */
void leat__queue_check(const leat__queue *queue);

#endif
