/* test_pipeline.c - the engine, driven by toy stages: order, bounds, markers, errors, time-outs, close in every state. */
#include <semaphore.h>
#include <string.h>

#include "check_main.h"
#include "pipeline/pipeline.h"
#include "toys.h"

/* ---- a pipeline under test ---- */

typedef struct rig {
    leat__pipeline *pipeline;
    leat__outlet *outlet;
    leat__stage *last;
} rig;

static void on_room(void *user)
{
    leat__pipeline_wake(((rig *)user)->pipeline);
}

static void rig_open(rig *r, unsigned threads, const leat__env *env, size_t ready)
{
    memset(r, 0, sizeof *r);
    leat_error error;
    leat__pipeline_options options = {.env = env, .threads = threads, .io_threads = 2};
    ck_assert_int_eq(leat__pipeline_new(&options, &r->pipeline, &error), LEAT_OK);
    ck_assert_int_eq(leat__outlet_new(ready, on_room, r, &r->outlet, &error), LEAT_OK);
}

static leat__stage *rig_add(rig *r, const leat__stage_type *type, leat__stage_options options, void *state)
{
    options.state = state;
    leat__stage *stage = leat__stage_new(r->pipeline, type, &options);
    ck_assert_ptr_nonnull(stage);
    if (r->last && options.inboxes == 1) leat__stage_connect(r->last, stage, 0);
    r->last = stage;
    return stage;
}

static leat__stage_options inbox(unsigned concurrency, size_t depth)
{
    return (leat__stage_options){.inboxes = 1, .concurrency = concurrency, .queue_items = depth, .queue_bytes = 1 << 20};
}

static void rig_start(rig *r)
{
    leat__pipeline_set_outlet(r->last, r->outlet);
    leat__pipeline_start(r->pipeline);
}

static void rig_close(rig *r)
{
    leat__pipeline_close(r->pipeline);
    leat__outlet_free(r->outlet);
    ck_assert_uint_eq(atomic_load(&toys_live), 0);
}

/* The next value, or UINT64_MAX with the code in *code. */
static uint64_t rig_take(rig *r, leat_code *code, leat_error *error)
{
    leat__item *item;
    *code = leat__outlet_take(r->outlet, UINT64_C(20000000000), &item, error);
    if (*code) return UINT64_MAX;
    uint64_t value = toy_value(item);
    leat__item_release(item);
    return value;
}

static void expect_end(rig *r)
{
    leat_code code;
    leat_error error;
    rig_take(r, &code, &error);
    ck_assert_int_eq(code, LEAT_END);
}

/* ---- seeded worlds ---- */

typedef struct world {
    uint64_t state;
    bool delays;
} world;

static uint64_t world_random(void *user)
{
    world *w = user;
    w->state = w->state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return w->state >> 33;
}

static size_t world_pick(void *user, size_t count)
{
    return world_random(user) % count;
}

static uint64_t world_delay(void *user, const char *stage)
{
    (void)stage;
    world *w = user;
    return w->delays && world_random(user) % 16 == 0 ? world_random(user) % 3000000 : 0;
}

static uint64_t world_now(void *user)
{
    (void)user;
    return uv_hrtime();
}

static leat__env world_env(world *w)
{
    return (leat__env){.now_ns = world_now, .random = world_random, .pick = world_pick, .delay_ns = world_delay, .user = w};
}

/* ---- order and completeness ---- */

/* Every kind of stage in one row; what comes out is compared with the same done by hand. */
static void run_all_kinds(unsigned threads, unsigned concurrency, size_t depth, const leat__env *env)
{
    enum { COUNT = 300, EPOCH = 100 };
    rig r;
    rig_open(&r, threads, env, depth);
    toy_source source = {.count = COUNT, .epoch = EPOCH};
    struct {
        uint64_t sum;
        unsigned count;
    } sum = {0};
    rig_add(&r, &toy_source_type, (leat__stage_options){.concurrency = 1}, &source);
    rig_add(&r, &toy_pass_type, inbox(1, depth), NULL);
    rig_add(&r, &toy_add_type, inbox(concurrency, depth), NULL);
    rig_add(&r, &toy_repeat_type, inbox(concurrency, depth), NULL);
    rig_add(&r, &toy_io_type, inbox(concurrency, depth), NULL);
    rig_add(&r, &toy_timer_type, inbox(concurrency + 6, depth), NULL);
    rig_add(&r, &toy_sum_type, inbox(1, depth), &sum);
    rig_start(&r);
    leat_code code;
    leat_error error;
    for (uint64_t epoch = 0; epoch < COUNT / EPOCH; epoch++) {
        uint64_t expected = 0;
        unsigned summed = 0;
        for (uint64_t v = epoch * EPOCH + 1; v <= (epoch + 1) * EPOCH; v++) {
            for (uint64_t k = 0; k < v % 4; k++) {
                expected += v * 10 + k + 1;
                if (++summed < 3) continue;
                ck_assert_uint_eq(rig_take(&r, &code, &error), expected);
                expected = summed = 0;
            }
        }
        if (summed) ck_assert_uint_eq(rig_take(&r, &code, &error), expected);
        expect_end(&r);
    }
    expect_end(&r);
    expect_end(&r);
    rig_close(&r);
}

START_TEST(all_kinds_in_order)
{
    static const unsigned concurrencies[] = {1, 2, 7};
    static const size_t depths[] = {1, 2, 16};
    run_all_kinds((unsigned)_i / 9, concurrencies[_i % 9 / 3], depths[_i % 3], NULL);
}
END_TEST

START_TEST(all_kinds_in_order_with_delays_and_shuffled_completions)
{
    world w = {.state = (uint64_t)_i + 1, .delays = true};
    leat__env env = world_env(&w);
    run_all_kinds((unsigned)_i % 3, 5, 3, &env);
}
END_TEST

START_TEST(unordered_loses_and_doubles_nothing)
{
    enum { COUNT = 5000 };
    static char seen[COUNT + 1];
    memset(seen, 0, sizeof seen);
    rig r;
    rig_open(&r, 2, NULL, 4);
    toy_source source = {.count = COUNT};
    rig_add(&r, &toy_source_type, (leat__stage_options){.concurrency = 1}, &source);
    leat__stage_options options = inbox(8, 8);
    options.unordered = true;
    rig_add(&r, &toy_add_type, options, NULL);
    rig_start(&r);
    leat_code code;
    leat_error error;
    for (unsigned i = 0; i < COUNT; i++) {
        uint64_t value = rig_take(&r, &code, &error);
        ck_assert(value >= 1 && value <= COUNT && !seen[value]);
        seen[value] = 1;
    }
    expect_end(&r);
    rig_close(&r);
}
END_TEST

START_TEST(merge_takes_lanes_in_turn_and_aligns_markers)
{
    rig r;
    rig_open(&r, 2, NULL, 4);
    toy_source sources[4] = {{.count = 10, .epoch = 5}, {.count = 4, .epoch = 2}, {.count = 6, .epoch = 3}, {.count = 2, .epoch = 1}};
    leat__stage *last[4];
    for (unsigned i = 0; i < 4; i++) {
        r.last = NULL;
        rig_add(&r, &toy_source_type, (leat__stage_options){.concurrency = 1}, &sources[i]);
        last[i] = rig_add(&r, &toy_add_type, inbox(2, 2), NULL);
    }
    unsigned turn = 0;
    leat__stage_options options = inbox(1, 2);
    options.inboxes = 4;
    leat__stage *merged = rig_add(&r, &toy_merge_type, options, &turn);
    for (unsigned i = 0; i < 4; i++) leat__stage_connect(last[i], merged, i);
    rig_start(&r);
    static const uint64_t expected[2][11] = {{1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5}, {6, 3, 4, 2, 7, 4, 5, 8, 6, 9, 10}};
    leat_code code;
    leat_error error;
    for (unsigned epoch = 0; epoch < 2; epoch++) {
        for (unsigned i = 0; i < 11; i++) ck_assert_uint_eq(rig_take(&r, &code, &error), expected[epoch][i]);
        expect_end(&r);
    }
    expect_end(&r);
    rig_close(&r);
}
END_TEST

/* ---- bounds ---- */

START_TEST(a_consumer_that_does_not_read_stops_the_source)
{
    rig r;
    rig_open(&r, 2, NULL, 2);
    toy_source source = {.count = 1000000};
    rig_add(&r, &toy_source_type, (leat__stage_options){.concurrency = 1}, &source);
    rig_add(&r, &toy_add_type, inbox(4, 3), NULL);
    rig_add(&r, &toy_pass_type, inbox(1, 3), NULL);
    rig_start(&r);
    leat_code code;
    leat_error error;
    for (uint64_t i = 1; i <= 5; i++) ck_assert_uint_eq(rig_take(&r, &code, &error), i);
    leat_stage_stats stats[LEAT_MAX_STAGES];
    for (int i = 0; i < 50; i++) leat__pipeline_get_stats(r.pipeline, stats);
    /* taken 5; held: 2 ready + 3 + 1 pass + 4 add + 3 + 1 source */
    ck_assert_uint_le(atomic_load(&toys_live), 2 + 3 + 1 + 4 + 3 + 1);
    rig_close(&r);
}
END_TEST

START_TEST(bytes_bound_a_queue_but_let_a_large_item_pass)
{
    rig r;
    rig_open(&r, 1, NULL, 1);
    toy_source source = {.count = 100};
    rig_add(&r, &toy_source_type, (leat__stage_options){.concurrency = 1}, &source);
    leat__stage_options options = inbox(1, 50);
    options.queue_bytes = 1; /* smaller than any item: one at a time */
    rig_add(&r, &toy_pass_type, options, NULL);
    rig_start(&r);
    leat_code code;
    leat_error error;
    for (uint64_t i = 0; i < 100; i++) ck_assert_uint_eq(rig_take(&r, &code, &error), i);
    leat_stage_stats stats[LEAT_MAX_STAGES];
    ck_assert_uint_eq(leat__pipeline_get_stats(r.pipeline, stats), 2);
    ck_assert_str_eq(stats[1].name, "pass");
    ck_assert_uint_eq(stats[1].items, 100);
    ck_assert_uint_eq(stats[1].queue_depth_max, 1);
    rig_close(&r);
}
END_TEST

/* ---- failures ---- */

START_TEST(a_failure_arrives_after_everything_before_it)
{
    rig r;
    rig_open(&r, 2, NULL, 4);
    toy_source source = {.count = 100000};
    uint64_t at = (uint64_t)_i * 37;
    rig_add(&r, &toy_source_type, (leat__stage_options){.concurrency = 1}, &source);
    rig_add(&r, &toy_fail_type, inbox(6, 4), &at);
    rig_add(&r, &toy_add_type, inbox(3, 4), NULL);
    rig_start(&r);
    leat_code code;
    leat_error error;
    for (uint64_t i = 0; i < at; i++) ck_assert_uint_eq(rig_take(&r, &code, &error), i + 1);
    for (int again = 0; again < 3; again++) {
        rig_take(&r, &code, &error);
        ck_assert_int_eq(code, LEAT_EUSER);
        ck_assert_str_eq(error.stage, "fail");
        ck_assert_ptr_nonnull(strstr(error.message, "is bad"));
    }
    rig_close(&r);
}
END_TEST

START_TEST(an_operation_that_never_answers_times_out)
{
    rig r;
    rig_open(&r, 1, NULL, 4);
    toy_source source = {.count = 3};
    rig_add(&r, &toy_source_type, (leat__stage_options){.concurrency = 1}, &source);
    leat__stage_options options = inbox(2, 2);
    options.timeout_ns = 30000000;
    rig_add(&r, &toy_hang_type, options, NULL);
    rig_start(&r);
    leat_code code;
    leat_error error;
    rig_take(&r, &code, &error);
    ck_assert_int_eq(code, LEAT_ETIMEOUT);
    ck_assert_str_eq(error.stage, "hang");
    rig_close(&r);
}
END_TEST

/* ---- close ---- */

START_TEST(close_before_start)
{
    rig r;
    rig_open(&r, 2, NULL, 1);
    toy_source source = {.count = 3};
    rig_add(&r, &toy_source_type, (leat__stage_options){.concurrency = 1}, &source);
    rig_close(&r);
}
END_TEST

START_TEST(close_with_operations_that_hang)
{
    rig r;
    rig_open(&r, 2, NULL, 1);
    toy_source source = {.count = 100};
    rig_add(&r, &toy_source_type, (leat__stage_options){.concurrency = 1}, &source);
    rig_add(&r, &toy_hang_type, inbox(8, 4), NULL);
    rig_start(&r);
    leat_code code;
    leat__item *item;
    code = leat__outlet_take(r.outlet, 1000000, &item, NULL);
    ck_assert_int_eq(code, LEAT_AGAIN);
    rig_close(&r);
}
END_TEST

static void *post_later(void *argument)
{
    sem_t *semaphore = argument;
    uv_sleep(20);
    for (int i = 0; i < 64; i++) sem_post(semaphore);
    return NULL;
}

START_TEST(close_with_jobs_running_and_queued)
{
    rig r;
    rig_open(&r, 2, NULL, 1);
    sem_t semaphore;
    sem_init(&semaphore, 0, 0);
    toy_source source = {.count = 100};
    rig_add(&r, &toy_source_type, (leat__stage_options){.concurrency = 1}, &source);
    rig_add(&r, &toy_park_type, inbox(16, 16), &semaphore);
    rig_start(&r);
    pthread_t poster;
    pthread_create(&poster, NULL, post_later, &semaphore);
    rig_close(&r);
    pthread_join(poster, NULL);
    sem_destroy(&semaphore);
}
END_TEST

/* The pool need not tell of jobs that finish while its queue is long; if the next ones then take for ever, the loop looks. */
START_TEST(finished_jobs_do_not_wait_for_long_ones)
{
    rig r;
    rig_open(&r, 1, NULL, 1);
    sem_t semaphore;
    sem_init(&semaphore, 0, 0);
    toy_source source = {.count = 200};
    rig_add(&r, &toy_source_type, (leat__stage_options){.concurrency = 1}, &source);
    rig_add(&r, &toy_park_type, inbox(64, 64), &semaphore);
    rig_start(&r);
    leat_code code;
    leat_error error;
    for (uint64_t i = 0; i < 100; i++) {
        sem_post(&semaphore);
        ck_assert_uint_eq(rig_take(&r, &code, &error), i);
    }
    for (int i = 0; i < 100; i++) sem_post(&semaphore);
    rig_close(&r);
    sem_destroy(&semaphore);
}
END_TEST

START_TEST(close_at_any_moment)
{
    rig r;
    rig_open(&r, 1 + (unsigned)_i % 3, NULL, 2);
    toy_source source = {.count = 1000, .epoch = 10};
    struct {
        uint64_t sum;
        unsigned count;
    } sum = {0};
    rig_add(&r, &toy_source_type, (leat__stage_options){.concurrency = 1}, &source);
    rig_add(&r, &toy_add_type, inbox(3, 2), NULL);
    rig_add(&r, &toy_repeat_type, inbox(3, 2), NULL);
    rig_add(&r, &toy_timer_type, inbox(3, 2), NULL);
    rig_add(&r, &toy_sum_type, inbox(1, 2), &sum);
    rig_start(&r);
    leat_code code;
    leat_error error;
    for (int i = 0; i < _i; i++) rig_take(&r, &code, &error);
    rig_close(&r);
}
END_TEST

/* ---- a seeded world ---- */

/* With no threads the whole run, interleaving included, is a function of the seed. */
static uint64_t run_seeded(uint64_t seed)
{
    world w = {.state = seed};
    leat__env env = world_env(&w);
    rig r;
    rig_open(&r, 0, &env, 4);
    toy_source source = {.count = 200};
    rig_add(&r, &toy_source_type, (leat__stage_options){.concurrency = 1}, &source);
    leat__stage_options options = inbox(6, 6);
    options.unordered = true;
    rig_add(&r, &toy_add_type, options, NULL);
    rig_start(&r);
    uint64_t hash = 0;
    leat_code code;
    leat_error error;
    for (int i = 0; i < 200; i++) hash = hash * 31 + rig_take(&r, &code, &error);
    expect_end(&r);
    rig_close(&r);
    return hash;
}

START_TEST(a_seeded_world_shuffles_completions)
{
    ck_assert_uint_ne(run_seeded(1), run_seeded(2));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pipeline");
    TCase *tcase = tcase_create("engine");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, all_kinds_in_order, 0, 45);
    tcase_add_loop_test(tcase, all_kinds_in_order_with_delays_and_shuffled_completions, 0, 9);
    tcase_add_test(tcase, unordered_loses_and_doubles_nothing);
    tcase_add_test(tcase, merge_takes_lanes_in_turn_and_aligns_markers);
    tcase_add_test(tcase, a_consumer_that_does_not_read_stops_the_source);
    tcase_add_test(tcase, bytes_bound_a_queue_but_let_a_large_item_pass);
    tcase_add_loop_test(tcase, a_failure_arrives_after_everything_before_it, 0, 5);
    tcase_add_test(tcase, an_operation_that_never_answers_times_out);
    tcase_add_test(tcase, close_before_start);
    tcase_add_test(tcase, close_with_operations_that_hang);
    tcase_add_test(tcase, close_with_jobs_running_and_queued);
    tcase_add_test(tcase, finished_jobs_do_not_wait_for_long_ones);
    tcase_add_loop_test(tcase, close_at_any_moment, 0, 20);
    tcase_add_test(tcase, a_seeded_world_shuffles_completions);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
