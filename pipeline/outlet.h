/* outlet.h - where items leave the loop for the consumer's threads: the one place where threads meet. */
#ifndef LEAT__OUTLET_H
#define LEAT__OUTLET_H

#include <stdbool.h>
#include <stdint.h>

#include <leat/error.h>

#include "pipeline/item.h"

typedef struct leat__outlet leat__outlet;

#define LEAT__FOREVER UINT64_MAX

typedef struct leat__outlet_stats {
    uint64_t first_put_ns; /* clock of uv_hrtime; 0: not yet */
    uint64_t wait_ns;      /* that consumers spent waiting */
} leat__outlet_stats;

/* Makes an outlet that holds up to `capacity` items. on_room(user) is called on the consumer's thread when a full outlet
 * gets room. *outlet: gives, to be ended by leat__outlet_free. */
leat_code leat__outlet_new(size_t capacity, void (*on_room)(void *user), void *user, leat__outlet **outlet,
                           leat_error *error);

/* Loop thread. has_room: the next put is within capacity. put: takes; markers too. end: once, with or without an error. */
bool leat__outlet_has_room(leat__outlet *outlet);
void leat__outlet_put(leat__outlet *outlet, leat__item *item);
void leat__outlet_end(leat__outlet *outlet, const leat_error *error);

/* Loop thread: says that nothing can come, and why, until the consumer does something; NULL: that is over. A consumer that
 * finds the outlet empty gets this error instead of waiting for ever. */
void leat__outlet_set_stuck(leat__outlet *outlet, const leat_error *stuck);

/* Consumers: waits up to timeout_ns for the next item. LEAT_OK with an item (gives); LEAT_END for a marker and for the end;
 * LEAT_AGAIN; or the error the stream ended with, at every call. Any thread. */
leat_code leat__outlet_take(leat__outlet *outlet, uint64_t timeout_ns, leat__item **item, leat_error *error);

/* The same; *marker: with LEAT_END the marker's number, UINT64_MAX at the end. */
leat_code leat__outlet_take_marked(leat__outlet *outlet, uint64_t timeout_ns, leat__item **item, uint64_t *marker, leat_error *error);

/* An eventfd that polls readable while take would not say LEAT_AGAIN. Any thread. */
int leat__outlet_fd(leat__outlet *outlet);

void leat__outlet_get_stats(leat__outlet *outlet, leat__outlet_stats *stats); /* any thread */

/* Frees it with what is in it (takes; NULL is fine). */
void leat__outlet_free(leat__outlet *outlet);

#endif
