/* test_pool.c - worker threads: every job comes back once, and the loop is told of it. */
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>
#include <uv.h>

#include "check_main.h"
#include "pipeline/pool.h"

typedef struct task {
    leat__job job;
    sem_t *gate;         /* waits for it; NULL: does not */
    unsigned sleep_us;
    unsigned runs, returns;
} task;

static void run(leat__job *job)
{
    task *t = (task *)job;
    if (t->gate) sem_wait(t->gate);
    if (t->sleep_us) nanosleep(&(struct timespec){.tv_nsec = t->sleep_us * 1000L}, NULL);
    t->runs++;
}

typedef struct rig {
    leat__pool *pool;
    sem_t told;
    atomic_uint words; /* how often */
} rig;

static void on_done(void *user)
{
    rig *r = user;
    atomic_fetch_add(&r->words, 1);
    sem_post(&r->told);
}

static void rig_open(rig *r, unsigned threads)
{
    leat_error error;
    sem_init(&r->told, 0, 0);
    atomic_init(&r->words, 0);
    ck_assert_int_eq(leat__pool_new("test", threads, leat__env_real(), on_done, r, &r->pool, &error), LEAT_OK);
}

static void rig_close(rig *r)
{
    leat__pool_free(r->pool);
    sem_destroy(&r->told);
}

static void submit(rig *r, task *tasks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tasks[i].job.run = run;
        leat__pool_submit(r->pool, &tasks[i].job);
    }
    leat__pool_flush(r->pool);
}

/* Takes back what is there. */
static size_t take_back(rig *r)
{
    size_t n = 0;
    for (leat__job *job; (job = leat__pool_take_done(r->pool)); n++) ((task *)job)->returns++;
    return n;
}

/* Looks only when it is told to, until `count` are back. */
static void take_back_when_told(rig *r, size_t count)
{
    for (size_t n = 0; n < count; n += take_back(r)) {
        struct timespec deadline;
        clock_gettime(CLOCK_REALTIME, &deadline);
        deadline.tv_sec += 20;
        ck_assert_msg(sem_timedwait(&r->told, &deadline) == 0, "%zu of %zu jobs are back, and nobody tells", n, count);
    }
}

/* ---- tests ---- */

START_TEST(every_job_comes_back_once_and_is_told_of)
{
    static const size_t counts[] = {1, 2, 7, 100, 2000};
    unsigned threads = 1 + (unsigned)_i % 4, sleep_us = _i < 4 ? 0 : 50;
    rig r;
    rig_open(&r, threads);
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        size_t count = sleep_us && counts[c] > 100 ? 500 : counts[c];
        task *tasks = calloc(count, sizeof *tasks);
        for (size_t i = 0; i < count; i++) tasks[i].sleep_us = i % 3 ? 0 : sleep_us;
        submit(&r, tasks, count);
        ck_assert(leat__pool_is_busy(r.pool));
        take_back_when_told(&r, count);
        ck_assert(!leat__pool_is_busy(r.pool) && !leat__pool_take_done(r.pool));
        for (size_t i = 0; i < count; i++) ck_assert(tasks[i].runs == 1 && tasks[i].returns == 1 && !tasks[i].job.cancelled);
        free(tasks);
    }
    rig_close(&r);
}
END_TEST

START_TEST(a_finished_job_is_told_of_while_others_run)
{
    rig r;
    sem_t gate;
    sem_init(&gate, 0, 0);
    rig_open(&r, 2);
    for (int round = 0; round < 20; round++) {
        task tasks[2] = {{.gate = &gate}, {.gate = NULL}};
        submit(&r, tasks, 2);
        take_back_when_told(&r, 1);
        ck_assert_uint_eq(tasks[1].returns, 1);
        sem_post(&gate);
        take_back_when_told(&r, 1);
        ck_assert_uint_eq(tasks[0].returns, 1);
    }
    rig_close(&r);
    sem_destroy(&gate);
}
END_TEST

/* A word wakes a thread: tiny jobs must not cost one each. */
START_TEST(of_a_long_queue_the_loop_is_told_now_and_then)
{
    enum { COUNT = 4000 };
    rig r;
    rig_open(&r, 1);
    task *tasks = calloc(COUNT, sizeof *tasks);
    submit(&r, tasks, COUNT);
    take_back_when_told(&r, COUNT);
    unsigned words = atomic_load(&r.words);
    ck_assert_msg(words >= 1 && words < COUNT / 4, "%u words for %d jobs", words, COUNT);
    free(tasks);
    rig_close(&r);
}
END_TEST

START_TEST(jobs_of_one_worker_come_back_in_order)
{
    enum { COUNT = 1000 };
    rig r;
    rig_open(&r, 1);
    task *tasks = calloc(COUNT, sizeof *tasks);
    submit(&r, tasks, COUNT);
    size_t n = 0;
    while (n < COUNT) {
        leat__job *job = leat__pool_take_done(r.pool);
        if (job) ck_assert_ptr_eq(job, &tasks[n++].job);
        else sem_wait(&r.told);
    }
    free(tasks);
    rig_close(&r);
}
END_TEST

START_TEST(cancelled_jobs_come_back_without_having_run)
{
    enum { COUNT = 100 };
    rig r;
    sem_t gate;
    sem_init(&gate, 0, 0);
    rig_open(&r, 2);
    task *tasks = calloc(COUNT, sizeof *tasks);
    for (int i = 0; i < COUNT; i++) tasks[i].gate = &gate;
    submit(&r, tasks, COUNT);
    leat__pool_cancel_queued(r.pool);
    size_t dropped = take_back(&r);
    for (int i = 0; i < COUNT; i++) sem_post(&gate);
    take_back_when_told(&r, COUNT - dropped);
    size_t cancelled = 0;
    for (int i = 0; i < COUNT; i++) {
        ck_assert_uint_eq(tasks[i].returns, 1);
        ck_assert_uint_eq(tasks[i].runs, !tasks[i].job.cancelled);
        cancelled += tasks[i].job.cancelled;
    }
    ck_assert_uint_eq(cancelled, dropped);
    free(tasks);
    rig_close(&r);
    sem_destroy(&gate);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pool");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, every_job_comes_back_once_and_is_told_of, 0, 8);
    tcase_add_test(tcase, a_finished_job_is_told_of_while_others_run);
    tcase_add_test(tcase, of_a_long_queue_the_loop_is_told_now_and_then);
    tcase_add_test(tcase, jobs_of_one_worker_come_back_in_order);
    tcase_add_test(tcase, cancelled_jobs_come_back_without_having_run);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
