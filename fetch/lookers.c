/* lookers.c - threads that look at files, and the queue between them and the one who asks.
 *
 * What:    a list of questions, a list of answers, and how many are open; each thread has a checker (checkfile.h) of its own.
 * Why so:  not the loader's crew: its tasks are numbered and known at the beginning; records are a stream. The asking thread keeps
 *          the queue short by taking answers before it asks more, so that ten million records are held nowhere.
 * Memory:  an answer keeps no leat_error, which is a kilobyte and a half, but its words: a million bad files are held until the
 *          end.
 * Threads: lists under the lock.
 * Invariants: (1) open = questions + answers + what is being looked at   (2) every question is answered. */
#include "fetch/lookers.h"

#include <assert.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pipeline/failure.h"
#include "pipeline/thread.h"

enum { MOST_THREADS = 64, WAIT_MS = 100 };

struct leat__lookers {
    /* fixed after creation */
    const leat__root *root;
    const leat_verify_config *config;
    atomic_bool *stopping;
    pthread_t threads[MOST_THREADS];
    unsigned thread_count;
    /* the asking thread's */
    unsigned open;
    uint64_t asked;
    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t put, done;
    struct leat__looks questions, answers;
    bool ending;
};

void leat__look_free(leat__look *look)
{
    free(look->message);
    free(look);
}

/* ---- the threads ---- */

static leat__look *next(leat__lookers *lookers)
{
    pthread_mutex_lock(&lookers->lock);
    while (STAILQ_EMPTY(&lookers->questions) && !lookers->ending) pthread_cond_wait(&lookers->put, &lookers->lock);
    leat__look *look = STAILQ_FIRST(&lookers->questions);
    if (look) STAILQ_REMOVE_HEAD(&lookers->questions, link);
    pthread_mutex_unlock(&lookers->lock);
    return look;
}

static void look_at(leat__checker *checker, leat__look *look)
{
    leat_error error;
    look->found = LEAT__FOUND_BAD;
    if (checker) look->found = leat__check_file(checker, &look->expected, &look->bytes, &error);
    else leat__fail(&error, LEAT_ENOMEM, 0, "no memory to look at files");
    if (look->found == LEAT__FOUND_GOOD || look->found == LEAT__FOUND_UNVERIFIED) return;
    look->code = error.code;
    look->system = error.system;
    look->message = strdup(error.message);
}

static void *looker_main(void *argument)
{
    leat__lookers *lookers = argument;
    const leat_verify_config *config = lookers->config;
    leat__checker *checker = leat__checker_new(lookers->root, config->directory, config->quick, config->deep, lookers->stopping);
    for (leat__look *look; (look = next(lookers));) {
        look_at(checker, look);
        pthread_mutex_lock(&lookers->lock);
        STAILQ_INSERT_TAIL(&lookers->answers, look, link);
        pthread_cond_signal(&lookers->done);
        pthread_mutex_unlock(&lookers->lock);
    }
    leat__checker_free(checker);
    return NULL;
}

/* ---- the asking thread ---- */

bool leat__lookers_put(leat__lookers *lookers, const leat__expected *expected)
{
    size_t path = strlen(expected->path) + 1, url = strlen(expected->url) + 1;
    leat__look *look = calloc(1, sizeof *look + path + url);
    if (!look) return false;
    look->expected = *expected;
    look->expected.path = memcpy((char *)(look + 1), expected->path, path);
    look->expected.url = memcpy((char *)(look + 1) + path, expected->url, url);
    look->number = lookers->asked++;
    lookers->open++;
    pthread_mutex_lock(&lookers->lock);
    STAILQ_INSERT_TAIL(&lookers->questions, look, link);
    pthread_cond_signal(&lookers->put);
    pthread_mutex_unlock(&lookers->lock);
    return true;
}

static void wait_for_answer_locked(leat__lookers *lookers)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += WAIT_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_cond_timedwait(&lookers->done, &lookers->lock, &until);
}

unsigned leat__lookers_take(leat__lookers *lookers, unsigned most, struct leat__looks *answers)
{
    struct leat__looks taken = STAILQ_HEAD_INITIALIZER(taken);
    pthread_mutex_lock(&lookers->lock);
    if (lookers->open > most && STAILQ_EMPTY(&lookers->answers)) wait_for_answer_locked(lookers);
    STAILQ_CONCAT(&taken, &lookers->answers);
    pthread_mutex_unlock(&lookers->lock);
    const leat__look *look;
    STAILQ_FOREACH(look, &taken, link) lookers->open--;
    STAILQ_CONCAT(answers, &taken);
    return lookers->open;
}

/* ---- begin and end ---- */

static unsigned threads_wanted(const leat_verify_config *config)
{
    cpu_set_t cpus;
    if (config->threads) return config->threads;
    unsigned count = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? (unsigned)CPU_COUNT(&cpus) : 2;
    return count < MOST_THREADS ? count : MOST_THREADS;
}

static void make_lock(leat__lookers *lookers)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&lookers->lock, NULL);
    pthread_cond_init(&lookers->put, NULL);
    pthread_cond_init(&lookers->done, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

leat_code leat__lookers_new(const leat__root *root, const leat_verify_config *config, atomic_bool *stopping, leat__lookers **out,
                            leat_error *error)
{
    *out = NULL;
    if (config->threads > MOST_THREADS)
        return leat__fail(error, LEAT_EINVAL, 0, "threads is %u: 1 to %d would be right, or 0 for the default", config->threads,
                          MOST_THREADS);
    leat__lookers *lookers = calloc(1, sizeof *lookers);
    if (!lookers) return leat__fail(error, LEAT_ENOMEM, 0, "no memory to look at files");
    lookers->root = root;
    lookers->config = config;
    lookers->stopping = stopping;
    STAILQ_INIT(&lookers->questions);
    STAILQ_INIT(&lookers->answers);
    make_lock(lookers);
    unsigned wanted = threads_wanted(config);
    int number = 0;
    while (lookers->thread_count < wanted && number == 0) {
        number = leat__thread_start(&lookers->threads[lookers->thread_count], "leat-verify", looker_main, lookers);
        lookers->thread_count += number == 0;
    }
    if (lookers->thread_count) return *out = lookers, LEAT_OK;
    leat__lookers_free(lookers);
    return leat__fail_errno(error, LEAT_ESYSTEM, number, "starting a thread");
}

void leat__lookers_free(leat__lookers *lookers)
{
    if (!lookers) return;
    assert(lookers->open == 0);
    pthread_mutex_lock(&lookers->lock);
    lookers->ending = true;
    pthread_cond_broadcast(&lookers->put);
    pthread_mutex_unlock(&lookers->lock);
    for (unsigned i = 0; i < lookers->thread_count; i++) pthread_join(lookers->threads[i], NULL);
    pthread_cond_destroy(&lookers->done);
    pthread_cond_destroy(&lookers->put);
    pthread_mutex_destroy(&lookers->lock);
    free(lookers);
}
