/* outlet.c - where items leave the loop for the consumer's threads.
 *
 * What:    a short FIFO under a mutex, a condition for blocking consumers, an eventfd for those with a loop of their own.
 * Why so:  a batch is handed over some hundred times a second: a mutex costs nothing there, and is simple to be sure of.
 *          The eventfd is only written once somebody has asked for it (two system calls a batch otherwise).
 * Threads: loop thread puts, any thread takes.
 * Invariants: count <= capacity; fd_set == (fd in use and take would not say AGAIN), both seen under the lock. */
#include "pipeline/outlet.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "pipeline/failure.h"
#include "pipeline/marker.h"

struct leat__outlet {
    /* fixed after creation */
    size_t capacity;
    void (*on_room)(void *user);
    void *user;
    int fd;
    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    leat__items items;
    bool ended, failed, is_stuck;
    bool fd_used, fd_set;
    leat_error error; /* why it ended, if failed */
    leat_error stuck;
    leat__outlet_stats stats;
};

leat_code leat__outlet_new(size_t capacity, void (*on_room)(void *user), void *user, leat__outlet **out, leat_error *error)
{
    assert(capacity > 0);
    *out = NULL;
    leat__outlet *outlet = calloc(1, sizeof *outlet);
    if (!outlet) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for the ready batches' queue");
    outlet->capacity = capacity;
    outlet->on_room = on_room;
    outlet->user = user;
    outlet->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (outlet->fd < 0) {
        int number = errno;
        free(outlet);
        return leat__fail_errno(error, LEAT_ESYSTEM, number, "cannot make an eventfd");
    }
    pthread_mutex_init(&outlet->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&outlet->arrived, &attributes);
    pthread_condattr_destroy(&attributes);
    *out = outlet;
    return LEAT_OK;
}

static bool has_answer_locked(const leat__outlet *outlet)
{
    return outlet->items.count > 0 || outlet->ended || outlet->is_stuck;
}

/* Makes the eventfd say what a take would. */
static void update_fd_locked(leat__outlet *outlet)
{
    bool wanted = outlet->fd_used && has_answer_locked(outlet);
    if (wanted == outlet->fd_set) return;
    uint64_t one = 1;
    ssize_t n = wanted ? write(outlet->fd, &one, sizeof one) : read(outlet->fd, &one, sizeof one);
    assert(n == sizeof one);
    (void)n;
    outlet->fd_set = wanted;
}

bool leat__outlet_has_room(leat__outlet *outlet)
{
    pthread_mutex_lock(&outlet->lock);
    bool room = outlet->items.count < outlet->capacity;
    pthread_mutex_unlock(&outlet->lock);
    return room;
}

void leat__outlet_put(leat__outlet *outlet, leat__item *item)
{
    pthread_mutex_lock(&outlet->lock);
    assert(!outlet->ended && outlet->items.count < outlet->capacity);
    leat__items_append(&outlet->items, item);
    if (!outlet->stats.first_put_ns) outlet->stats.first_put_ns = uv_hrtime();
    update_fd_locked(outlet);
    pthread_cond_signal(&outlet->arrived);
    pthread_mutex_unlock(&outlet->lock);
}

void leat__outlet_end(leat__outlet *outlet, const leat_error *error)
{
    pthread_mutex_lock(&outlet->lock);
    assert(!outlet->ended);
    outlet->ended = true;
    if (error) {
        outlet->failed = true;
        outlet->error = *error;
    }
    update_fd_locked(outlet);
    pthread_cond_broadcast(&outlet->arrived);
    pthread_mutex_unlock(&outlet->lock);
}

void leat__outlet_set_stuck(leat__outlet *outlet, const leat_error *stuck)
{
    pthread_mutex_lock(&outlet->lock);
    outlet->is_stuck = stuck != NULL;
    if (stuck) {
        outlet->stuck = *stuck;
        pthread_cond_broadcast(&outlet->arrived);
    }
    update_fd_locked(outlet);
    pthread_mutex_unlock(&outlet->lock);
}

/* Waits until there is an answer or the time is up. */
static void wait_locked(leat__outlet *outlet, uint64_t timeout_ns)
{
    uint64_t begin = uv_hrtime();
    struct timespec deadline;
    if (timeout_ns != LEAT__FOREVER) {
        clock_gettime(CLOCK_MONOTONIC, &deadline);
        uint64_t ns = (uint64_t)deadline.tv_nsec + timeout_ns % 1000000000;
        deadline.tv_sec += (time_t)(timeout_ns / 1000000000 + ns / 1000000000);
        deadline.tv_nsec = (long)(ns % 1000000000);
    }
    int rc = 0;
    while (!has_answer_locked(outlet) && rc != ETIMEDOUT) {
        if (timeout_ns == LEAT__FOREVER) pthread_cond_wait(&outlet->arrived, &outlet->lock);
        else rc = pthread_cond_timedwait(&outlet->arrived, &outlet->lock, &deadline);
    }
    outlet->stats.wait_ns += uv_hrtime() - begin;
}

static leat_code take_locked(leat__outlet *outlet, leat__item **item, leat_error *error)
{
    if (outlet->items.count) {
        *item = leat__items_take(&outlet->items);
        return leat__is_marker(*item) ? LEAT_END : LEAT_OK;
    }
    if (!outlet->ended && !outlet->is_stuck) return LEAT_AGAIN;
    if (outlet->ended && !outlet->failed) return LEAT_END;
    const leat_error *reason = outlet->ended ? &outlet->error : &outlet->stuck;
    if (error) *error = *reason;
    return reason->code;
}

leat_code leat__outlet_take(leat__outlet *outlet, uint64_t timeout_ns, leat__item **item, leat_error *error)
{
    uint64_t marker;
    return leat__outlet_take_marked(outlet, timeout_ns, item, &marker, error);
}

leat_code leat__outlet_take_marked(leat__outlet *outlet, uint64_t timeout_ns, leat__item **item, uint64_t *marker, leat_error *error)
{
    *item = NULL;
    *marker = UINT64_MAX;
    pthread_mutex_lock(&outlet->lock);
    if (timeout_ns && !has_answer_locked(outlet)) wait_locked(outlet, timeout_ns);
    bool was_full = outlet->items.count == outlet->capacity;
    leat_code code = take_locked(outlet, item, error);
    update_fd_locked(outlet);
    pthread_mutex_unlock(&outlet->lock);
    if (was_full) outlet->on_room(outlet->user);
    if (code == LEAT_END) {
        if (*item) *marker = ((const leat__marker *)*item)->number;
        leat__item_release(*item);
        *item = NULL;
    }
    return code;
}

int leat__outlet_fd(leat__outlet *outlet)
{
    pthread_mutex_lock(&outlet->lock);
    outlet->fd_used = true;
    update_fd_locked(outlet);
    pthread_mutex_unlock(&outlet->lock);
    return outlet->fd;
}

void leat__outlet_get_stats(leat__outlet *outlet, leat__outlet_stats *stats)
{
    pthread_mutex_lock(&outlet->lock);
    *stats = outlet->stats;
    pthread_mutex_unlock(&outlet->lock);
}

void leat__outlet_free(leat__outlet *outlet)
{
    if (!outlet) return;
    leat__item *item;
    while ((item = leat__items_take(&outlet->items))) leat__item_release(item);
    close(outlet->fd);
    pthread_cond_destroy(&outlet->arrived);
    pthread_mutex_destroy(&outlet->lock);
    free(outlet);
}
