/* packfiles.c - packs files on local disk: each thread writes whole shards, reading its files itself.
 *
 * What:    threads that take the next shard's number and write it, and the caller's thread that watches them.
 * Why so:  no queue and no hand-over: a shard is one thread's from its first file to its rename, memory is one buffer a
 *          thread, and the bytes don't depend on how many threads there are.
 * Threads: writers of our own, signals blocked; the caller's thread reports progress and sees the stop flag.
 * Not here: which file goes where (packplan.c), the bytes of a shard (packshard.c). */
#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "loader/packshard.h"
#include "pipeline/failure.h"

enum { WATCH_MS = 50 };

typedef struct pack_crew {
    /* fixed after creation */
    leat__pack_job *job;
    leat__pack_plan *plan;
    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t ended;
    size_t next_shard;
    unsigned running;
    leat_error error; /* the first that ended the run */
} pack_crew;

/* The next shard's number, or false if there is none or the run ends. */
static bool take_shard(pack_crew *crew, size_t *shard)
{
    bool there = false;
    pthread_mutex_lock(&crew->lock);
    if (crew->next_shard < crew->plan->shards && !leat__pack_stopping(crew->job)) {
        *shard = crew->next_shard++;
        there = true;
    }
    pthread_mutex_unlock(&crew->lock);
    return there;
}

static leat_code write_shards(pack_crew *crew, leat_error *error)
{
    leat__shard_writer writer;
    size_t shard;
    leat_code code = leat__shard_writer_begin(&writer, crew->job, crew->plan, error);
    while (!code && take_shard(crew, &shard)) code = leat__shard_writer_run(&writer, shard, error);
    leat__shard_writer_end(&writer);
    return code;
}

static void *run_writer(void *argument)
{
    pack_crew *crew = argument;
    leat_error error;
    leat_code code = write_shards(crew, &error);
    pthread_mutex_lock(&crew->lock);
    if (code && !crew->error.code) crew->error = error;
    if (code) atomic_store(&crew->job->cancelled, true);
    assert(crew->running > 0 && crew->next_shard <= crew->plan->shards);
    crew->running--;
    pthread_cond_signal(&crew->ended);
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

/* Starts up to `wanted` writers; returns how many run. */
static unsigned start(pack_crew *crew, pthread_t *threads, unsigned wanted, int *number)
{
    sigset_t all, before;
    unsigned count = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the host's handlers run on the host's threads */
    pthread_mutex_lock(&crew->lock);
    while (count < wanted && (*number = pthread_create(&threads[count], NULL, run_writer, crew)) == 0) count++;
    crew->running += count;
    pthread_mutex_unlock(&crew->lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return count;
}

/* Waits for the writers, showing progress meanwhile. */
static void watch(pack_crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    while (crew->running > 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += WATCH_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&crew->ended, &crew->lock, &until);
        pthread_mutex_unlock(&crew->lock);
        leat__pack_heed(crew->job);
        leat__pack_progress(crew->job);
        pthread_mutex_lock(&crew->lock);
    }
    pthread_mutex_unlock(&crew->lock);
}

static leat_code run_crew(pack_crew *crew, leat_error *error)
{
    uint64_t wanted = crew->job->config.threads;
    if (wanted > crew->plan->shards) wanted = crew->plan->shards;
    if (wanted == 0) return LEAT_OK; /* every file was left out */
    assert(wanted <= crew->plan->shards);
    pthread_t *threads = calloc((size_t)wanted, sizeof *threads);
    if (!threads) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for %" PRIu64 " threads", wanted);
    int number = 0;
    unsigned count = start(crew, threads, (unsigned)wanted, &number);
    watch(crew);
    for (unsigned i = 0; i < count; i++) pthread_join(threads[i], NULL);
    free(threads);
    if (count == 0) return leat__fail_errno(error, LEAT_ESYSTEM, number, "starting a thread");
    if (crew->error.code) {
        *error = crew->error;
        return error->code;
    }
    return crew->next_shard < crew->plan->shards ? leat__pack_stopped(error) : LEAT_OK;
}

leat_code leat__pack_files(leat__pack_job *job, leat_error *error)
{
    leat__pack_plan plan;
    leat_code code = leat__pack_plan_make(job, &plan, error);
    job->total = plan.count;
    if (!code) {
        pack_crew crew = {.job = job, .plan = &plan};
        pthread_mutex_init(&crew.lock, NULL);
        pthread_cond_init(&crew.ended, NULL);
        code = run_crew(&crew, error);
        pthread_cond_destroy(&crew.ended);
        pthread_mutex_destroy(&crew.lock);
    }
    leat__pack_plan_end(&plan);
    return code;
}
