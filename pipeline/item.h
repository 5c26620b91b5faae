/* item.h - what queues carry. A type of item embeds leat__item as its first member. */
#ifndef LEAT__ITEM_H
#define LEAT__ITEM_H

#include <stddef.h>

struct leat__item;

typedef struct leat__item_type {
    const char *name;
    void (*release)(struct leat__item *item); /* takes; on the thread that holds the item */
} leat__item_type;

/* An item is held by exactly one queue, operation or consumer at a time; `next` belongs to that holder. */
typedef struct leat__item {
    const leat__item_type *type; /* leat__marker_type for a marker (stage.h) */
    struct leat__item *next;
    size_t bytes;                /* what it weighs on a queue */
} leat__item;

/* A list of items in order, for handing several over at once. */
typedef struct leat__items {
    leat__item *first, *last;
    size_t count;
} leat__items;

static inline void leat__items_append(leat__items *items, leat__item *item)
{
    item->next = NULL;
    if (items->last) items->last->next = item;
    else items->first = item;
    items->last = item;
    items->count++;
}

static inline leat__item *leat__items_take(leat__items *items)
{
    leat__item *item = items->first;
    if (!item) return NULL;
    items->first = item->next;
    if (!items->first) items->last = NULL;
    items->count--;
    item->next = NULL;
    return item;
}

/* Ends an item by its type's release (takes; NULL is fine). */
static inline void leat__item_release(leat__item *item)
{
    if (item) item->type->release(item);
}

#endif
