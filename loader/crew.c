/* crew.c - threads that share out numbered tasks, while their caller looks on.
 *
 * What:    each thread takes the next number and works it off; the caller's thread shows progress and sees the stop flag meanwhile.
 * Why so:  no queue and no hand-over: a task is one thread's from beginning to end, and its result does not depend on how many
 *          there are.
 * Threads: ours, signals blocked; look runs on the caller's alone.
 * Not here: the work (packfiles.c, indexing.c). */
#include "loader/crew.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "pipeline/failure.h"
#include "pipeline/thread.h"

enum { LOOK_MS = 50 };

typedef struct running {
    /* fixed after creation */
    const leat__crew *crew;
    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t ended;
    uint64_t next;
    unsigned running;
    leat_error error; /* the first */
} running;

/* The next task's number, or false if there is none or the run ends. */
static bool take_task(running *r, uint64_t *task)
{
    bool there = false;
    pthread_mutex_lock(&r->lock);
    if (r->next < r->crew->tasks && !atomic_load(r->crew->stopping)) {
        *task = r->next++;
        there = true;
    }
    pthread_mutex_unlock(&r->lock);
    return there;
}

static leat_code work(running *r, leat_error *error)
{
    uint64_t task;
    leat_code code = LEAT_OK;
    void *state = r->crew->begin(r->crew->job, error);
    if (!state) return error->code;
    while (!code && take_task(r, &task)) code = r->crew->run(state, task, error);
    r->crew->end(state);
    return code;
}

static void *run_thread(void *argument)
{
    running *r = argument;
    leat_error error;
    leat__error_clear(&error);
    leat_code code = work(r, &error);
    pthread_mutex_lock(&r->lock);
    if (code && !r->error.code) r->error = error;
    if (code) atomic_store(r->crew->stopping, true);
    assert(r->running > 0 && r->next <= r->crew->tasks);
    r->running--;
    pthread_cond_signal(&r->ended);
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* Waits for the threads, looking on meanwhile. */
static void watch(running *r)
{
    pthread_mutex_lock(&r->lock);
    while (r->running > 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&r->ended, &r->lock, &until);
        pthread_mutex_unlock(&r->lock);
        r->crew->look(r->crew->job);
        pthread_mutex_lock(&r->lock);
    }
    pthread_mutex_unlock(&r->lock);
}

static leat_code run(running *r, pthread_t *threads, uint64_t wanted, leat_error *error)
{
    unsigned count = 0;
    int number = 0;
    pthread_mutex_lock(&r->lock);
    while (count < wanted && (number = leat__thread_start(&threads[count], r->crew->name, run_thread, r)) == 0) count++;
    r->running = count;
    pthread_mutex_unlock(&r->lock);
    watch(r);
    for (unsigned i = 0; i < count; i++) pthread_join(threads[i], NULL);
    if (count == 0) return leat__fail_errno(error, LEAT_ESYSTEM, number, "starting a thread");
    if (!r->error.code) return LEAT_OK;
    if (error) *error = r->error;
    return r->error.code;
}

leat_code leat__crew_run(const leat__crew *crew, bool *unfinished, leat_error *error)
{
    running r = {.crew = crew};
    uint64_t wanted = crew->threads < crew->tasks ? crew->threads : crew->tasks;
    *unfinished = false;
    if (wanted == 0) return LEAT_OK;
    pthread_t *threads = calloc((size_t)wanted, sizeof *threads);
    if (!threads) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for %" PRIu64 " threads", wanted);
    pthread_mutex_init(&r.lock, NULL);
    pthread_cond_init(&r.ended, NULL);
    leat_code code = run(&r, threads, wanted, error);
    pthread_cond_destroy(&r.ended);
    pthread_mutex_destroy(&r.lock);
    free(threads);
    *unfinished = r.next < crew->tasks;
    return code;
}
