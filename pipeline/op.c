/* op.c - the life of an operation: its steps, its timers, its end.
 *
 * What:    runs a stage's functions and turns what they return into the operation's next phase (see the figure in stage.h).
 * Why so:  operations are made with their stage and used again, so that a warm pipeline allocates nothing for them.
 * Threads: loop thread, but for run_job (worker) and leat__emit (whoever has the operation).
 * Invariants: an op is on its stage's list iff its phase is not FREE; pipeline->operations counts those,
 *          stage->waiting those of a stage that are in MORE. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "pipeline/engine.h"
#include "pipeline/failure.h"

void leat__op_set_phase(leat__op *op, leat__phase phase)
{
    if (op->phase == LEAT__PHASE_MORE) op->stage->waiting--;
    if (phase == LEAT__PHASE_MORE) op->stage->waiting++;
    op->phase = phase;
}

void leat__emit(leat__op *op, leat__item *item)
{
    assert(item && op->phase != LEAT__PHASE_FREE);
    leat__items_append(&op->out, item);
    if (op->phase == LEAT__PHASE_LATER) leat__stage_mark(op->stage);
}

leat__step leat__emit_input(leat__op *op)
{
    leat__item *item = op->input;
    op->input = NULL;
    leat__emit(op, item);
    return LEAT__DONE;
}

leat__step leat__op_fail(leat__op *op, leat_code code, const char *format, ...)
{
    char text[sizeof op->error.message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    leat__fail(&op->error, code, 0, "%s", text);
    return LEAT__FAILED;
}

static void run_job(leat__job *job)
{
    leat__op *op = (leat__op *)job;
    LEAT__ASSERT_JOB(op->stage->pipeline);
    op->step = op->stage->type->job(op);
}

static void submit(leat__op *op, leat__pool *pool)
{
    assert(op->stage->type->job);
    leat__op_set_phase(op, LEAT__PHASE_JOB);
    op->function = op->stage->type->job;
    op->on_io = pool == op->stage->pipeline->io;
    op->job.run = run_job;
    leat__pool_submit(pool, &op->job);
}

static void on_deadline(uv_timer_t *timer)
{
    leat__op *op = timer->data;
    leat__stage *stage = op->stage;
    if (op->phase != LEAT__PHASE_LATER) return;
    stage->type->cancel(op);
    leat__fail(&op->error, LEAT_ETIMEOUT, 0, "%s: no answer after %.1f s", stage->type->name,
               (double)stage->options.timeout_ns / 1e9);
    leat__op_set_phase(op, LEAT__PHASE_ENDED);
    op->step = LEAT__FAILED;
    leat__stage_mark(stage);
}

/* The handles' memory is the op's: they are closed with the pipeline. */
static void make_timers(leat__op *op)
{
    if (op->timers_made) return;
    uv_loop_t *uv = leat__loop_uv(op->stage->pipeline->loop);
    uv_timer_init(uv, &op->timer);
    uv_timer_init(uv, &op->deadline);
    op->timer.data = op->deadline.data = op;
    op->timers_made = true;
    op->stage->pipeline->open_handles += 2;
}

static uint64_t to_ms(uint64_t ns)
{
    return ns / 1000000 + (ns % 1000000 != 0);
}

static void arm(leat__op *op, uv_timer_t *timer, uv_timer_cb callback, uint64_t ns)
{
    make_timers(op);
    uv_update_time(leat__loop_uv(op->stage->pipeline->loop)); /* the cached time may be old: timers would fire early */
    uv_timer_start(timer, callback, to_ms(ns), 0);
}

/* Applies what a function of the stage returned. */
static void apply(leat__op *op, leat__step step)
{
    leat__pipeline *pipeline = op->stage->pipeline;
    LEAT__ASSERT_LOOP(pipeline);
    op->step = step;
    switch (step) {
    case LEAT__CPU:
        submit(op, pipeline->cpu);
        return;
    case LEAT__IO:
        submit(op, pipeline->io);
        return;
    case LEAT__LATER:
        assert(op->stage->type->cancel);
        leat__op_set_phase(op, LEAT__PHASE_LATER);
        op->begun_ns = leat__now(pipeline);
        if (op->stage->options.timeout_ns) arm(op, &op->deadline, on_deadline, op->stage->options.timeout_ns);
        return;
    case LEAT__MORE:
    case LEAT__AGAIN:
        leat__op_set_phase(op, LEAT__PHASE_MORE);
        return;
    case LEAT__DONE:
    case LEAT__FAILED:
        leat__op_set_phase(op, LEAT__PHASE_ENDED);
        return;
    }
}

static void run_function(leat__op *op)
{
    if (op->function != op->stage->type->job) {
        leat__op_set_phase(op, LEAT__PHASE_ENDED); /* emits of a begin or flush wait for the pump that is under way */
        apply(op, op->function(op));
    } else {
        apply(op, op->on_io ? LEAT__IO : LEAT__CPU);
    }
}

static void on_delay_over(uv_timer_t *timer)
{
    leat__op *op = timer->data;
    assert(op->phase == LEAT__PHASE_DELAYED);
    run_function(op);
    leat__stage_mark(op->stage);
}

void leat__op_start(leat__op *op, leat__step (*function)(leat__op *op))
{
    const leat__env *env = op->stage->pipeline->env;
    op->function = function;
    uint64_t delay_ns = env->delay_ns ? env->delay_ns(env->user, op->stage->type->name) : 0;
    if (!delay_ns) {
        run_function(op);
        return;
    }
    leat__op_set_phase(op, LEAT__PHASE_DELAYED);
    arm(op, &op->timer, on_delay_over, delay_ns);
}

void leat__op_job_returned(leat__op *op)
{
    leat__stage *stage = op->stage;
    assert(op->phase == LEAT__PHASE_JOB);
    stage->meter.busy_ns += op->job.run_ns;
    if (stage->over || op->job.cancelled) {
        leat__op_retire(op);
        return;
    }
    assert(op->step == LEAT__DONE || op->step == LEAT__MORE || op->step == LEAT__AGAIN || op->step == LEAT__FAILED);
    if (op->step == LEAT__AGAIN) op->function = stage->type->begin;
    bool goes_on = op->step == LEAT__MORE || op->step == LEAT__AGAIN;
    leat__op_set_phase(op, goes_on ? LEAT__PHASE_MORE : LEAT__PHASE_ENDED);
    leat__stage_mark(stage);
}

void leat__op_end(leat__op *op, leat__step step)
{
    LEAT__ASSERT_LOOP(op->stage->pipeline);
    assert(op->phase == LEAT__PHASE_LATER && step != LEAT__LATER && step != LEAT__MORE);
    op->stage->meter.busy_ns += leat__now(op->stage->pipeline) - op->begun_ns;
    if (op->timers_made) {
        uv_timer_stop(&op->timer);
        uv_timer_stop(&op->deadline);
    }
    apply(op, step);
    leat__stage_mark(op->stage);
}

bool leat__op_is_full(const leat__op *op)
{
    return op->out.count > 1 || !leat__stage_has_room_behind(op->stage);
}

void leat__op_want_room(leat__op *op)
{
    assert(op->stage->type->room);
    op->wants_room = true;
    leat__stage_mark(op->stage);
}

bool leat__op_is_wanted(const leat__op *op)
{
    const leat__stage *stage = op->stage;
    return op->out.count == 0 && stage->outbox && stage->outbox->items.count == 0 && stage->reader->active == 0;
}

static void on_timer(uv_timer_t *timer)
{
    leat__op *op = timer->data;
    assert(op->phase == LEAT__PHASE_LATER);
    op->stage->type->timer(op);
}

void leat__op_after(leat__op *op, uint64_t ns)
{
    LEAT__ASSERT_LOOP(op->stage->pipeline);
    assert((op->phase == LEAT__PHASE_LATER || op->phase == LEAT__PHASE_ENDED) && op->stage->type->timer);
    arm(op, &op->timer, on_timer, ns);
}

void leat__op_cancel(leat__op *op)
{
    switch ((leat__phase)op->phase) {
    case LEAT__PHASE_FREE:
        return;
    case LEAT__PHASE_JOB:
        atomic_store(&op->cancelled, true); /* its job comes back, soon */
        return;
    case LEAT__PHASE_LATER:
        op->stage->type->cancel(op);
        break;
    case LEAT__PHASE_DELAYED:
    case LEAT__PHASE_MORE:
    case LEAT__PHASE_ENDED:
        break;
    }
    leat__op_retire(op);
}

void leat__op_retire(leat__op *op)
{
    leat__stage *stage = op->stage;
    assert(op->phase != LEAT__PHASE_FREE && stage->active > 0);
    leat__item *item;
    while ((item = leat__items_take(&op->out))) leat__item_release(item);
    leat__item_release(op->input);
    op->input = NULL;
    if (op->timers_made) {
        uv_timer_stop(&op->timer);
        uv_timer_stop(&op->deadline);
    }
    if (op->previous) op->previous->next = op->next;
    else stage->first = op->next;
    if (op->next) op->next->previous = op->previous;
    else stage->last = op->previous;
    leat__op_set_phase(op, LEAT__PHASE_FREE);
    op->next = stage->free;
    stage->free = op;
    stage->active--;
    stage->pipeline->operations--;
}
