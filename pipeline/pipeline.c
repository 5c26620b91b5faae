/* pipeline.c - a loop, two pools and the stages that live on them; start, turns, statistics and close.
 *
 * What:    a turn takes back finished jobs, pumps every stage that has changed until none has, and hands new jobs to the
 *          pools in one go. Turns run before the loop waits (for what timers changed) and after it has waited (for sockets and
 *          wake-ups).
 * Why so:  one place where everything moves makes the engine easy to drive by hand: with threads == 0 jobs run one by one
 *          in the turns, in the order the env picks, and the whole pipeline is a function of a seed.
 * Threads: the loop thread, but for new, start, wake, close and the statistics' callers.
 * States:  building --start--> running --close--> closing --no operation left--> closers called --all done--> handles
 *          closing --close callbacks--> closed; then the caller of close joins pools and loop, and frees. */
#include "pipeline/pipeline.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/engine.h"
#include "pipeline/failure.h"

enum { LOOK_MS = 10 }; /* at most so long a finished job waits behind long ones (pool.c): 100 wake-ups a second cost nothing */

/* ---- turns ---- */

static void take_back(leat__pool *pool)
{
    leat__job *job;
    while ((job = leat__pool_take_done(pool))) leat__op_job_returned((leat__op *)job);
}

static void pump_all(leat__pipeline *pipeline)
{
    leat__stage *stage;
    uint64_t now = pipeline->dirty ? leat__now(pipeline) : 0; /* one look at the clock for each stage, not two */
    while ((stage = pipeline->dirty)) {
        pipeline->dirty = stage->next_dirty;
        if (!pipeline->dirty) pipeline->last_dirty = NULL;
        stage->dirty = false;
        now = leat__stage_pump(stage, now);
    }
}

static void on_look(uv_timer_t *timer)
{
    (void)timer; /* to be awake is enough: a turn follows */
}

static void look_later(leat__pipeline *pipeline)
{
    bool busy = leat__pool_is_busy(pipeline->cpu) || leat__pool_is_busy(pipeline->io);
    if (busy && !uv_is_active((uv_handle_t *)&pipeline->look)) uv_timer_start(&pipeline->look, on_look, LOOK_MS, 0);
}

static void go_on_closing(leat__pipeline *pipeline);

static void turn(leat__pipeline *pipeline)
{
    assert(!pipeline->in_turn);
    pipeline->in_turn = true;
    bool ran;
    do {
        take_back(pipeline->cpu);
        take_back(pipeline->io);
        pump_all(pipeline);
        leat__pool_flush(pipeline->cpu);
        leat__pool_flush(pipeline->io);
        ran = pipeline->threads == 0 && (leat__pool_run_one(pipeline->cpu) || leat__pool_run_one(pipeline->io));
    } while (ran);
    pipeline->in_turn = false;
    look_later(pipeline);
    if (pipeline->closing) go_on_closing(pipeline);
}

static void on_prepare(uv_prepare_t *prepare)
{
    turn(prepare->data);
}

static void on_check(uv_check_t *check)
{
    turn(check->data);
}

/* Wakes come from workers with finished jobs (the check handle's turn takes them back) and from budgets with room. */
static void on_wake(void *user)
{
    leat__pipeline *pipeline = user;
    if (!atomic_exchange(&pipeline->look_again, false) || pipeline->closing) return;
    for (leat__stage *stage = pipeline->stages; stage; stage = stage->next) leat__stage_mark(stage);
}

static void on_cpu_done(void *user)
{
    leat__pipeline *pipeline = user;
    leat__loop_wake(pipeline->loop);
}

/* While the CPU's workers have enough to do, what was read can wait for their next word: a turn takes back from both pools. */
static void on_io_done(void *user)
{
    leat__pipeline *pipeline = user;
    if (leat__pool_is_short(pipeline->cpu)) leat__loop_wake(pipeline->loop);
}

void leat__pipeline_wake(leat__pipeline *pipeline)
{
    atomic_store(&pipeline->look_again, true);
    leat__loop_wake(pipeline->loop);
}

/* ---- building ---- */

static void make_handles(void *argument)
{
    leat__pipeline *pipeline = argument;
    uv_loop_t *uv = leat__loop_uv(pipeline->loop);
    uv_prepare_init(uv, &pipeline->prepare);
    uv_check_init(uv, &pipeline->check);
    uv_timer_init(uv, &pipeline->look);
    pipeline->prepare.data = pipeline->check.data = pipeline->look.data = pipeline;
    pipeline->open_handles = 3;
    pipeline->handles_made = true;
}

leat_code leat__pipeline_new(const leat__pipeline_options *options, leat__pipeline **out, leat_error *error)
{
    *out = NULL;
    leat__pipeline *pipeline = calloc(1, sizeof *pipeline);
    if (!pipeline) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a pipeline");
    pipeline->env = options->env ? options->env : leat__env_real();
    pipeline->threads = options->threads;
    pipeline->begun_ns = leat__now(pipeline);
    unsigned io_threads = options->threads ? options->io_threads : 0;
    leat_code code = leat__loop_new(on_wake, pipeline, &pipeline->loop, error);
    if (!code)
        code = leat__pool_new("cpu", options->threads, pipeline->env, on_cpu_done, pipeline, &pipeline->cpu, error);
    if (!code) code = leat__pool_new("io", io_threads, pipeline->env, on_io_done, pipeline, &pipeline->io, error);
    if (!code) leat__loop_do(pipeline->loop, make_handles, pipeline);
    if (code) leat__pipeline_close(pipeline);
    else *out = pipeline;
    return code;
}

void leat__pipeline_set_outlet(leat__stage *last, leat__outlet *outlet)
{
    assert(!last->outbox && !last->outlet);
    last->outlet = outlet;
}

void leat__pipeline_add_closer(leat__pipeline *pipeline, leat__closer *closer)
{
    closer->next = pipeline->closers;
    pipeline->closers = closer;
}

static void start(void *argument)
{
    leat__pipeline *pipeline = argument;
    uv_prepare_start(&pipeline->prepare, on_prepare);
    uv_check_start(&pipeline->check, on_check);
    for (leat__stage *stage = pipeline->stages; stage; stage = stage->next) leat__stage_mark(stage);
}

void leat__pipeline_start(leat__pipeline *pipeline)
{
    leat__loop_do(pipeline->loop, start, pipeline);
}

/* ---- closing ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    leat__pipeline *pipeline = handle->data;
    assert(pipeline->open_handles > 0);
    if (--pipeline->open_handles == 0) uv_sem_post(&pipeline->closed);
}

static void on_timer_closed(uv_handle_t *handle)
{
    leat__op *op = handle->data;
    handle->data = op->stage->pipeline;
    on_handle_closed(handle);
}

static void close_handles(leat__pipeline *pipeline)
{
    pipeline->handles_closed = true;
    for (leat__stage *stage = pipeline->stages; stage; stage = stage->next) {
        for (unsigned i = 0; i < stage->options.concurrency; i++) {
            if (!stage->ops[i].timers_made) continue;
            uv_close((uv_handle_t *)&stage->ops[i].timer, on_timer_closed);
            uv_close((uv_handle_t *)&stage->ops[i].deadline, on_timer_closed);
        }
    }
    uv_close((uv_handle_t *)&pipeline->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&pipeline->check, on_handle_closed);
    uv_close((uv_handle_t *)&pipeline->look, on_handle_closed);
}

/* The next step of closing, as soon as what it waits for has come. */
static void go_on_closing(leat__pipeline *pipeline)
{
    if (pipeline->operations > 0 || pipeline->handles_closed) return;
    if (!pipeline->closers_called) {
        pipeline->closers_called = true;
        pipeline->open_closers = 1; /* ours: so that one that is done at once doesn't close the handles in the loop below */
        for (leat__closer *closer = pipeline->closers, *next; closer; closer = next) {
            next = closer->next;
            pipeline->open_closers++;
            closer->close(closer, pipeline);
        }
        pipeline->open_closers--;
    }
    if (pipeline->open_closers == 0) close_handles(pipeline);
}

void leat__pipeline_closer_done(leat__pipeline *pipeline)
{
    LEAT__ASSERT_LOOP(pipeline);
    assert(pipeline->open_closers > 0);
    pipeline->open_closers--;
    if (pipeline->open_closers == 0) go_on_closing(pipeline);
}

static void begin_close(void *argument)
{
    leat__pipeline *pipeline = argument;
    pipeline->closing = true;
    for (leat__stage *stage = pipeline->stages; stage; stage = stage->next) leat__stage_abandon(stage);
    leat__pool_cancel_queued(pipeline->cpu);
    leat__pool_cancel_queued(pipeline->io);
    turn(pipeline);
}

void leat__pipeline_close(leat__pipeline *pipeline)
{
    if (!pipeline) return;
    atomic_store(&pipeline->stop, true);
    if (pipeline->handles_made) {
        uv_sem_init(&pipeline->closed, 0);
        leat__loop_do(pipeline->loop, begin_close, pipeline);
        uv_sem_wait(&pipeline->closed);
        uv_sem_destroy(&pipeline->closed);
    }
    leat__pool_free(pipeline->io);   /* before the other: its workers' last words ask how that one does */
    leat__pool_free(pipeline->cpu);
    leat__loop_free(pipeline->loop); /* after the pools: their last wake-ups go to it */
    assert(pipeline->operations == 0);
    for (leat__stage *stage = pipeline->stages, *next; stage; stage = next) {
        next = stage->next;
        leat__stage_free(stage);
    }
    free(pipeline);
}

/* ---- looking ---- */

const atomic_bool *leat__pipeline_stop_flag(const leat__pipeline *pipeline)
{
    return &pipeline->stop;
}

leat__loop *leat__pipeline_loop(leat__pipeline *pipeline)
{
    return pipeline->loop;
}

const leat__env *leat__pipeline_env(const leat__pipeline *pipeline)
{
    return pipeline->env;
}

bool leat__pipeline_on_loop(const leat__pipeline *pipeline)
{
    return leat__loop_is_here(pipeline->loop);
}

bool leat__pipeline_on_worker(const leat__pipeline *pipeline)
{
    return leat__pool_is_here(pipeline->cpu) || leat__pool_is_here(pipeline->io);
}

/* ---- statistics ---- */

typedef struct stats_call {
    leat__pipeline *pipeline;
    leat_stage_stats *stages;
    size_t count;
} stats_call;

static leat_stage_stats *row_of(stats_call *call, const char *name)
{
    for (size_t i = 0; i < call->count; i++)
        if (strncmp(call->stages[i].name, name, sizeof call->stages[i].name - 1) == 0) return &call->stages[i];
    if (call->count == LEAT_MAX_STAGES) return NULL;
    leat_stage_stats *row = &call->stages[call->count++];
    *row = (leat_stage_stats){0};
    strncpy(row->name, name, sizeof row->name - 1);
    return row;
}

/* Adds one stage to its name's row; what is a mean in the end is a sum until then. */
static void add_stage(leat_stage_stats *row, leat__stage *stage, uint64_t now)
{
    leat__meter meter = stage->meter;
    uint64_t passed = now > meter.since_ns ? now - meter.since_ns : 0;
    row->instances++;
    row->concurrency = stage->options.concurrency;
    row->items += meter.items;
    row->bytes += meter.bytes;
    row->busy_ns += meter.busy_ns;
    row->starved_ns += meter.starved_ns + (meter.state == LEAT__METER_STARVED ? passed : 0);
    row->blocked_ns += meter.blocked_ns + (meter.state == LEAT__METER_BLOCKED ? passed : 0);
    for (unsigned i = 0; i < stage->options.inboxes; i++) {
        leat__queue *queue = &stage->inboxes[i];
        leat__queue_meter(queue, now);
        row->queue_depth_mean += queue->depth_time / stage->options.inboxes;
        if (queue->depth_max > row->queue_depth_max) row->queue_depth_max = queue->depth_max;
    }
}

static void collect_stats(void *argument)
{
    stats_call *call = argument;
    leat__pipeline *pipeline = call->pipeline;
    uint64_t now = leat__now(pipeline);
    for (leat__stage *stage = pipeline->stages; stage; stage = stage->next) {
        leat_stage_stats *row = row_of(call, stage->type->name);
        if (row) add_stage(row, stage, now);
    }
    double lifetime = (double)(now - pipeline->begun_ns);
    for (size_t i = 0; i < call->count; i++) {
        leat_stage_stats *row = &call->stages[i];
        row->starved_ns /= row->instances;
        row->blocked_ns /= row->instances;
        row->queue_depth_mean = lifetime > 0 ? row->queue_depth_mean / row->instances / lifetime : 0;
    }
}

size_t leat__pipeline_get_stats(leat__pipeline *pipeline, leat_stage_stats *stages)
{
    stats_call call = {.pipeline = pipeline, .stages = stages};
    leat__loop_do(pipeline->loop, collect_stats, &call);
    return call.count;
}
