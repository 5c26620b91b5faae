/* budget.h - bytes that are in flight, counted against a limit.
 *
 * What:    a counter with a limit, and optionally a parent that is charged along (a lane's budget and the loader's).
 * Why so:  a charge never fails and never waits: it records what is so. Whoever makes data asks leat__budget_fits()
 *          before it begins, and is woken when room appears. So the bound holds by arithmetic (loader/plan.c), and nobody
 *          sleeps while holding something that another one needs.
 * Threads: any. The wake function runs on the thread that made room. */
#ifndef LEAT__BUDGET_H
#define LEAT__BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct leat__budget {
    /* fixed after creation */
    struct leat__budget *parent; /* NULL: none */
    size_t limit;
    void (*wake)(void *user);    /* NULL: none */
    void *user;
    /* atomic */
    atomic_size_t used, peak;
    atomic_bool waited;          /* somebody found no room */
} leat__budget;

void leat__budget_init(leat__budget *budget, leat__budget *parent, size_t limit, void (*wake)(void *user), void *user);

/* Adds or takes away bytes, here and in every parent. */
void leat__budget_charge(leat__budget *budget, size_t bytes);
void leat__budget_refund(leat__budget *budget, size_t bytes);

/* True if `bytes` more would stay within the limit (of this budget alone). If not, the next refund calls wake once. */
bool leat__budget_fits(leat__budget *budget, size_t bytes);

size_t leat__budget_used(const leat__budget *budget);
size_t leat__budget_peak(const leat__budget *budget);

#endif
