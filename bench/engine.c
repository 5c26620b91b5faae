/* engine.c - what the engine itself costs: items through no-op stages, and the hand-over to the consumer.
 *
 * usage: bench-engine [ITEMS]
 * Prints one line a measurement, the median of 5 runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/pipeline.h"

enum { RUNS = 5, STAGES = 4, DEPTH = 1024 };

/* ---- no-op items and stages: nothing is allocated for each, so that only the engine is measured ---- */

static void keep(leat__item *item)
{
    (void)item;
}
static const leat__item_type grain_type = {.name = "grain", .release = keep};

typedef struct grains {
    uint64_t left;
    size_t next;
    leat__item item[16 * DEPTH]; /* more than can be on the way at once: 4 queues, 4 stages' operations, the outlet */
} grains;

static leat__step give(leat__op *op)
{
    grains *g = leat__stage_state(op->stage);
    if (!g->left) return LEAT__DONE;
    g->left--;
    leat__item *item = &g->item[g->next++ % (16 * DEPTH)];
    *item = (leat__item){.type = &grain_type, .bytes = 1};
    leat__emit(op, item);
    return LEAT__MORE;
}
static const leat__stage_type source = {.name = "source", .begin = give};

static const leat__stage_type on_loop = {.name = "loop", .begin = leat__emit_input};
static const leat__stage_type in_pool = {.name = "pool", .job = leat__emit_input};
static const leat__stage_type *const all_pool[STAGES] = {&in_pool, &in_pool, &in_pool, &in_pool};
static const leat__stage_type *const all_loop[STAGES] = {&on_loop, &on_loop, &on_loop, &on_loop};

static leat__step drop(leat__op *op)
{
    (void)op;
    return LEAT__DONE;
}
static const leat__stage_type sink = {.name = "sink", .begin = drop};

static leat__pipeline *woken;

static void on_room(void *user)
{
    (void)user;
    leat__pipeline_wake(woken);
}

static void check(leat_code code, const leat_error *error)
{
    if (!code) return;
    fprintf(stderr, "bench-engine: %s\n", error->message);
    exit(1);
}

/* Items a second through four stages with two workers, sources and sink beside them. */
static double rate(const leat__stage_type *const types[STAGES], uint64_t items)
{
    leat_error error;
    leat__pipeline *pipeline;
    leat__outlet *outlet;
    leat__pipeline_options options = {.threads = 2, .io_threads = 1};
    check(leat__pipeline_new(&options, &pipeline, &error), &error);
    check(leat__outlet_new(1, on_room, NULL, &outlet, &error), &error);
    woken = pipeline;
    static grains g;
    g.left = items;
    leat__stage *last = leat__stage_new(pipeline, &source, &(leat__stage_options){.state = &g, .concurrency = 1});
    for (unsigned i = 0; i <= STAGES; i++) {
        const leat__stage_type *type = i < STAGES ? types[i] : &sink;
        leat__stage_options o = {.inboxes = 1, .concurrency = type->job ? DEPTH : 1, .queue_items = DEPTH, .queue_bytes = SIZE_MAX};
        leat__stage *stage = leat__stage_new(pipeline, type, &o);
        leat__stage_connect(last, stage, 0);
        last = stage;
    }
    leat__pipeline_set_outlet(last, outlet);
    uint64_t begin = uv_hrtime();
    leat__pipeline_start(pipeline);
    leat__item *item;
    leat__outlet_take(outlet, LEAT__FOREVER, &item, &error);
    double seconds = (double)(uv_hrtime() - begin) / 1e9;
    leat__pipeline_close(pipeline);
    leat__outlet_free(outlet);
    return (double)items / seconds;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_rate(const leat__stage_type *const types[STAGES], uint64_t items)
{
    double runs[RUNS];
    for (int i = 0; i < RUNS; i++) runs[i] = rate(types, items);
    qsort(runs, RUNS, sizeof *runs, by_value);
    return runs[RUNS / 2];
}

/* ---- hand-over: the time from a put on one thread to the take's return on another ---- */

typedef struct stamped {
    leat__item item;
    uint64_t put_ns;
} stamped;
static const leat__item_type stamped_type = {.name = "stamped", .release = keep};

typedef struct handover {
    leat__outlet *outlet;
    size_t count;
    stamped *items;
} handover;

static void no_room(void *user)
{
    (void)user;
}

/* Puts one batch a millisecond, so that the consumer is asleep in its take each time. */
static void *put_slowly(void *argument)
{
    handover *h = argument;
    for (size_t i = 0; i < h->count; i++) {
        uv_sleep(1);
        h->items[i].put_ns = uv_hrtime();
        leat__outlet_put(h->outlet, &h->items[i].item);
    }
    return NULL;
}

static void hand_over(size_t count, double *waiting_us, double *ready_us)
{
    leat_error error;
    handover h = {.count = count, .items = calloc(count, sizeof(stamped))};
    double *took = calloc(count, sizeof *took);
    check(leat__outlet_new(count, no_room, NULL, &h.outlet, &error), &error);
    for (size_t i = 0; i < count; i++) h.items[i].item = (leat__item){.type = &stamped_type};
    uv_thread_t thread;
    uv_thread_create(&thread, (uv_thread_cb)(void *)put_slowly, &h);
    leat__item *item;
    for (size_t i = 0; i < count; i++) {
        leat__outlet_take(h.outlet, LEAT__FOREVER, &item, &error);
        took[i] = (double)(uv_hrtime() - ((stamped *)item)->put_ns) / 1e3;
    }
    uv_thread_join(&thread);
    qsort(took, count, sizeof *took, by_value);
    *waiting_us = took[count / 2];
    for (size_t i = 0; i < count; i++) leat__outlet_put(h.outlet, &h.items[i].item);
    for (size_t i = 0; i < count; i++) {
        uint64_t begin = uv_hrtime();
        leat__outlet_take(h.outlet, LEAT__FOREVER, &item, &error);
        took[i] = (double)(uv_hrtime() - begin) / 1e3;
    }
    qsort(took, count, sizeof *took, by_value);
    *ready_us = took[count / 2];
    leat__outlet_free(h.outlet);
    free(h.items);
    free(took);
}

int main(int argc, char **argv)
{
    uint64_t items = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    double pool = median_rate(all_pool, items), loop = median_rate(all_loop, items);
    printf("4 no-op stages in the pool, 2 workers: %.2f million items/s, %.0f ns an item and stage\n", pool / 1e6,
           1e9 / pool / STAGES);
    printf("4 no-op stages on the loop:            %.2f million items/s, %.0f ns an item and stage\n", loop / 1e6,
           1e9 / loop / STAGES);
    double waiting_us, ready_us;
    hand_over(1000, &waiting_us, &ready_us);
    printf("hand-over of a batch that is ready:    %.2f us (median)\n", ready_us);
    printf("hand-over to a consumer that sleeps:   %.2f us (median, from put to take's return)\n", waiting_us);
    return 0;
}
