/* marker.h - an item that divides a stream, such as the end of an epoch. Every stage passes it on in its place in the order,
 * after it has emitted what it held back (leat__stage_type.flush). */
#ifndef LEAT__MARKER_H
#define LEAT__MARKER_H

#include <stdbool.h>
#include <stdint.h>

#include "pipeline/item.h"

typedef struct leat__marker {
    leat__item item;
    uint64_t number; /* the user's: the epoch that ends here */
    void (*come_back)(struct leat__marker *marker); /* takes */
    void *home;      /* come_back's */
} leat__marker;

/* Makes a marker of memory that the caller has: come_back is called at its end, on the thread that holds it then. */
void leat__marker_init(leat__marker *marker, uint64_t number, void (*come_back)(leat__marker *marker), void *home);

/* Gives a marker from malloc; NULL if memory is short. Thread: any. */
leat__marker *leat__marker_new(uint64_t number);

bool leat__is_marker(const leat__item *item);

#endif
