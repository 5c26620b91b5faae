/* budget.c - bytes that are in flight, counted against a limit.
 *
 * What:    two relaxed counters and a flag; the wake-up is the only part with an order to keep.
 * Why so:  charges happen for every buffer on every thread; a lock here would be the hottest of the program.
 * Wake-up: fits() sets `waited` and then looks again; refund() takes bytes off and then looks at `waited`. With both
 *          sequentially consistent one of the two always sees the other, so that room that appears between the look and
 *          the wait is not missed.
 * Threads: any. */
#include "pipeline/budget.h"

#include <assert.h>

void leat__budget_init(leat__budget *budget, leat__budget *parent, size_t limit, void (*wake)(void *user), void *user)
{
    *budget = (leat__budget){.parent = parent, .limit = limit, .wake = wake, .user = user};
}

void leat__budget_charge(leat__budget *budget, size_t bytes)
{
    for (; budget; budget = budget->parent) {
        size_t used = atomic_fetch_add(&budget->used, bytes) + bytes;
        assert(used >= bytes);
        size_t peak = atomic_load_explicit(&budget->peak, memory_order_relaxed);
        while (used > peak && !atomic_compare_exchange_weak(&budget->peak, &peak, used)) {}
    }
}

void leat__budget_refund(leat__budget *budget, size_t bytes)
{
    for (; budget; budget = budget->parent) {
        size_t before = atomic_fetch_sub(&budget->used, bytes);
        assert(before >= bytes);
        (void)before;
        if (budget->wake && atomic_load(&budget->waited) && atomic_exchange(&budget->waited, false))
            budget->wake(budget->user);
    }
}

static bool has_room(const leat__budget *budget, size_t bytes)
{
    size_t used = atomic_load(&budget->used);
    return bytes <= budget->limit && used <= budget->limit - bytes;
}

bool leat__budget_fits(leat__budget *budget, size_t bytes)
{
    if (has_room(budget, bytes)) return true;
    atomic_store(&budget->waited, true);
    return has_room(budget, bytes);
}

size_t leat__budget_used(const leat__budget *budget)
{
    return atomic_load_explicit(&budget->used, memory_order_relaxed);
}

size_t leat__budget_peak(const leat__budget *budget)
{
    return atomic_load_explicit(&budget->peak, memory_order_relaxed);
}
