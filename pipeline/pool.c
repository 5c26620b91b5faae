/* pool.c - worker threads for jobs.
 *
 * What:    a FIFO of jobs under a lock, workers that take from it, and a lock-free stack on which they put what is done.
 * Why so:  libuv's own pool is four threads shared with name look-ups and files of the whole process, aborts if it cannot
 *          start one, and cannot be sized by a library. The loop thread hands jobs over in one go for each turn of the loop
 *          (leat__pool_flush), and a worker takes several at once when the queue is long: at a million tiny jobs a second
 *          the lock is taken a few ten thousand times. Heavy jobs (a decode) are taken one by one: their queue is short.
 * Telling: waking the loop costs it 10 us, more than what it then does. So while the queue has a job for every worker, the loop
 *          is told of finished ones once a millisecond, not of each; once the queue is shorter, at once. Nothing is
 *          forgotten: whoever keeps still has seen, after its job was on `done`, others in the queue, and the last one of
 *          those finds it short. Should they take long, the loop looks by itself (pipeline.c).
 * Threads: submit, flush, take_done, cancel on the loop thread; run on the workers.
 * Invariants: accepted == returned + queued + running + done; workers never touch a job after pushing it on `done`.
 * Not here: who waits for a job (stage.c). */
#include "pipeline/pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/failure.h"
#include "pipeline/thread.h"

enum {
    MAX_GRAB = 16,     /* jobs a worker takes at once; more would unbalance two workers for no saving */
    TELL_NS = 1000000, /* between two words to the loop that are not urgent; a batch of 256 takes 25 ms even at 10,000 rows/s */
};

struct leat__pool {
    /* fixed after creation */
    const leat__env *env;
    void (*on_done)(void *user);
    void *user;
    unsigned threads;
    pthread_t *thread;
    /* loop thread only */
    unsigned started;     /* of `threads` */
    leat__job *staged_first, *staged_last;
    size_t staged;
    leat__job *taken;     /* done jobs not yet given back, oldest first */
    uint64_t accepted, returned;
    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t work;
    leat__job *first, *last;
    size_t queued;
    unsigned idle;
    bool stopping;
    /* atomic */
    _Atomic(leat__job *) done;
    atomic_bool told;          /* the loop has been told, and has not yet looked */
    _Atomic uint64_t told_ns;  /* when, last */
};

static _Thread_local const leat__pool *here;

static void push_done(leat__pool *pool, leat__job *job)
{
    leat__job *top = atomic_load_explicit(&pool->done, memory_order_relaxed);
    do {
        job->next = top;
    } while (!atomic_compare_exchange_weak_explicit(&pool->done, &top, job, memory_order_acq_rel, memory_order_relaxed));
}

/* Has the loop look at `done`, unless it is about to. */
static void tell(leat__pool *pool, uint64_t now)
{
    if (atomic_exchange(&pool->told, true)) return;
    atomic_store_explicit(&pool->told_ns, now, memory_order_relaxed);
    pool->on_done(pool->user);
}

static bool is_time_to_tell(const leat__pool *pool, uint64_t now)
{
    uint64_t told_ns = atomic_load_explicit(&pool->told_ns, memory_order_relaxed);
    return now > told_ns && now - told_ns >= TELL_NS; /* another worker's told_ns may be later than now */
}

/* Runs a job and puts it on `done`. Returns the time at its end. */
static uint64_t run_job(leat__pool *pool, leat__job *job)
{
    uint64_t begin = pool->env->now_ns(pool->env->user);
    here = pool;
    job->run(job);
    here = NULL;
    uint64_t end = pool->env->now_ns(pool->env->user);
    job->run_ns = end - begin;
    push_done(pool, job);
    return end;
}

/* Takes up to `count` jobs off the queue, linked. The lock is held. */
static leat__job *grab_locked(leat__pool *pool, size_t count)
{
    leat__job *first = pool->first, *last = first;
    assert(first && count > 0 && count <= pool->queued);
    for (size_t i = 1; i < count; i++) last = last->next;
    pool->first = last->next;
    if (!pool->first) pool->last = NULL;
    last->next = NULL;
    pool->queued -= count;
    return first;
}

/* A worker's fair part of the queue; NULL if it is empty. The lock is held. */
static leat__job *grab_share_locked(leat__pool *pool)
{
    size_t share = pool->queued / (4 * (size_t)pool->threads);
    return pool->queued ? grab_locked(pool, share < 1 ? 1 : share > MAX_GRAB ? MAX_GRAB : share) : NULL;
}

/* Waits for jobs; NULL: the pool ends. */
static leat__job *wait_for_jobs(leat__pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    while (!pool->queued && !pool->stopping) {
        pool->idle++;
        pthread_cond_wait(&pool->work, &pool->lock);
        pool->idle--;
    }
    leat__job *jobs = grab_share_locked(pool);
    pthread_mutex_unlock(&pool->lock);
    return jobs;
}

/* Runs jobs, and gives the next ones, if there are any. */
static leat__job *run_jobs(leat__pool *pool, leat__job *job)
{
    uint64_t now = 0;
    for (leat__job *next; job; job = next) {
        next = job->next;
        now = run_job(pool, job);
        if (is_time_to_tell(pool, now)) tell(pool, now);
    }
    pthread_mutex_lock(&pool->lock);
    bool is_short = pool->queued < pool->threads;
    leat__job *jobs = grab_share_locked(pool);
    pthread_mutex_unlock(&pool->lock);
    if (is_short) tell(pool, now);
    return jobs;
}

static void *worker_main(void *argument)
{
    leat__pool *pool = argument;
    leat__job *jobs;
    while ((jobs = wait_for_jobs(pool)))
        while (jobs) jobs = run_jobs(pool, jobs);
    return NULL;
}

leat_code leat__pool_new(const char *name, unsigned threads, const leat__env *env, void (*on_done)(void *user), void *user,
                         leat__pool **out, leat_error *error)
{
    *out = NULL;
    leat__pool *pool = calloc(1, sizeof *pool);
    if (!pool) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a thread pool");
    pool->env = env;
    pool->on_done = on_done;
    pool->user = user;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pool->thread = calloc(threads ? threads : 1, sizeof *pool->thread);
    leat_code code = LEAT_OK;
    if (!pool->thread) code = leat__fail(error, LEAT_ENOMEM, 0, "no memory for %u threads", threads);
    pool->threads = threads; /* fixed before the first worker looks at it */
    while (!code && pool->started < threads) {
        unsigned n = pool->started;
        char thread_name[32];
        snprintf(thread_name, sizeof thread_name, "leat-%s-%u", name, n);
        int rc = leat__thread_start(&pool->thread[n], thread_name, worker_main, pool);
        if (rc) code = leat__fail_errno(error, LEAT_ESYSTEM, rc, "cannot start %s thread %u of %u", name, n + 1, threads);
        else pool->started++;
    }
    if (code) leat__pool_free(pool);
    else *out = pool;
    return code;
}

void leat__pool_submit(leat__pool *pool, leat__job *job)
{
    job->next = NULL;
    job->cancelled = false;
    if (pool->staged_last) pool->staged_last->next = job;
    else pool->staged_first = job;
    pool->staged_last = job;
    pool->staged++;
    pool->accepted++;
}

void leat__pool_flush(leat__pool *pool)
{
    if (!pool->staged) return;
    pthread_mutex_lock(&pool->lock);
    assert(!pool->stopping);
    if (pool->last) pool->last->next = pool->staged_first;
    else pool->first = pool->staged_first;
    pool->last = pool->staged_last;
    pool->queued += pool->staged;
    size_t wake = pool->staged < pool->idle ? pool->staged : pool->idle;
    pthread_mutex_unlock(&pool->lock);
    pool->staged_first = pool->staged_last = NULL;
    pool->staged = 0;
    while (wake--) pthread_cond_signal(&pool->work);
}

/* Moves what the workers have finished to `taken`, oldest first. */
static void collect_done(leat__pool *pool)
{
    atomic_exchange(&pool->told, false); /* first: what is pushed from now on is told anew */
    leat__job *stack = atomic_exchange_explicit(&pool->done, NULL, memory_order_acquire);
    leat__job *fifo = NULL;
    while (stack) {
        leat__job *next = stack->next;
        stack->next = fifo;
        fifo = stack;
        stack = next;
    }
    leat__job **end = &pool->taken;
    while (*end) end = &(*end)->next;
    *end = fifo;
}

/* Unlinks the job that the env picks from a list of `count`. */
static leat__job *pick_from(leat__pool *pool, leat__job **list, size_t count)
{
    size_t n = pool->env->pick ? pool->env->pick(pool->env->user, count) : 0;
    assert(n < count);
    leat__job **at = list;
    while (n--) at = &(*at)->next;
    leat__job *job = *at;
    *at = job->next;
    job->next = NULL;
    return job;
}

leat__job *leat__pool_take_done(leat__pool *pool)
{
    if (!pool->taken || pool->env->pick) collect_done(pool);
    if (!pool->taken) return NULL;
    size_t count = 1;
    if (pool->env->pick) {
        count = 0;
        for (leat__job *job = pool->taken; job; job = job->next) count++;
    }
    pool->returned++;
    return pick_from(pool, &pool->taken, count);
}

bool leat__pool_is_short(leat__pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    bool is_short = pool->queued < pool->threads;
    pthread_mutex_unlock(&pool->lock);
    return is_short;
}

bool leat__pool_is_busy(const leat__pool *pool)
{
    return pool->accepted > pool->returned;
}

bool leat__pool_run_one(leat__pool *pool)
{
    assert(pool->threads == 0);
    pthread_mutex_lock(&pool->lock);
    leat__job *job = NULL;
    if (pool->queued) {
        job = pick_from(pool, &pool->first, pool->queued);
        pool->queued--;
        pool->last = pool->first;
        while (pool->last && pool->last->next) pool->last = pool->last->next;
    }
    pthread_mutex_unlock(&pool->lock);
    if (job) run_job(pool, job);
    return job != NULL;
}

void leat__pool_cancel_queued(leat__pool *pool)
{
    leat__pool_flush(pool);
    pthread_mutex_lock(&pool->lock);
    leat__job *job = pool->queued ? grab_locked(pool, pool->queued) : NULL;
    pthread_mutex_unlock(&pool->lock);
    while (job) {
        leat__job *next = job->next;
        job->cancelled = true;
        job->run_ns = 0;
        push_done(pool, job);
        job = next;
    }
}

bool leat__pool_is_here(const leat__pool *pool)
{
    return here == pool;
}

void leat__pool_free(leat__pool *pool)
{
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->started; i++) pthread_join(pool->thread[i], NULL);
    assert(pool->accepted == pool->returned && !pool->first && !pool->taken);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool->thread);
    free(pool);
}
