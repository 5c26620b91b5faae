/* stage.c - the stage runtime: when operations begin, where their results go, and how streams end.
 *
 * What:    each stage is pumped whenever something around it has changed: results go out, waiting operations go on, new items
 *          are taken, until nothing moves. All decisions are made here, from the state at hand; nothing is remembered about
 *          who waits for whom, so there is no wake-up to lose.
 * Why so:  tried on paper: callbacks from queue to stage (deep recursion, re-entrance while a list is walked) and a
 *          coroutine a stage (two stacks a stage, and cancellation at every await). A dirty list that is drained has neither.
 * Threads: loop thread.
 * Invariants: active <= concurrency; ordered: only the first op of the list has passed results on;
 *          a stage takes an item only when there is room behind, so at most `concurrency` results wait in operations.
 * Streams: running --inbox over, flushed, no op left--> ended (outbox ended)
 *          running --an op FAILED, its turn come; or the inbox failed--> failed (outbox failed, what is before abandoned)
 *          any --close, or the reader failed--> abandoned. All three set `over`. */
#include <assert.h>
#include <stdlib.h>

#include "pipeline/engine.h"
#include "pipeline/failure.h"

/* ---- building ---- */

leat__stage *leat__stage_new(leat__pipeline *pipeline, const leat__stage_type *type, const leat__stage_options *options)
{
    assert(options->concurrency > 0 && (type->begin || type->job));
    assert(options->inboxes == 0 || (options->queue_items > 0 && options->queue_bytes > 0));
    leat__stage *stage = calloc(1, sizeof *stage);
    unsigned n = options->inboxes;
    if (!stage) goto fail;
    stage->pipeline = pipeline;
    stage->type = type;
    stage->options = *options;
    stage->inboxes = calloc(n ? n : 1, sizeof *stage->inboxes);
    stage->writers = calloc(n ? n : 1, sizeof *stage->writers);
    stage->ops = calloc(options->concurrency, sizeof *stage->ops);
    if (!stage->inboxes || !stage->writers || !stage->ops) goto fail;
    uint64_t now = leat__now(pipeline);
    for (unsigned i = 0; i < n; i++) leat__queue_init(&stage->inboxes[i], options->queue_items, options->queue_bytes, now);
    for (unsigned i = options->concurrency; i-- > 0;) {
        stage->ops[i].stage = stage;
        stage->ops[i].next = stage->free;
        stage->free = &stage->ops[i];
    }
    stage->meter.since_ns = now;
    if (pipeline->last_stage) pipeline->last_stage->next = stage;
    else pipeline->stages = stage;
    pipeline->last_stage = stage;
    return stage;
fail:
    if (stage) {
        stage->type = type;
        stage->options = *options;
        leat__stage_free(stage);
    } else if (type->destroy) {
        type->destroy(options->state);
    }
    return NULL;
}

void leat__stage_free(leat__stage *stage)
{
    assert(stage->active == 0);
    if (stage->inboxes)
        for (unsigned i = 0; i < stage->options.inboxes; i++) leat__queue_discard(&stage->inboxes[i]);
    if (stage->type->destroy) stage->type->destroy(stage->options.state);
    free(stage->inboxes);
    free(stage->writers);
    free(stage->ops);
    free(stage);
}

void leat__stage_connect(leat__stage *from, leat__stage *to, unsigned inbox)
{
    assert(!from->outbox && !from->outlet && inbox < to->options.inboxes && !to->writers[inbox]);
    from->reader = to;
    from->outbox = &to->inboxes[inbox];
    to->writers[inbox] = from;
}

void *leat__stage_state(const leat__stage *stage)
{
    return stage->options.state;
}

leat__pipeline *leat__stage_pipeline(const leat__stage *stage)
{
    return stage->pipeline;
}

/* ---- results out ---- */

bool leat__stage_has_room_behind(const leat__stage *stage)
{
    if (stage->outbox) return leat__queue_has_room(stage->outbox);
    if (stage->outlet) return leat__outlet_has_room(stage->outlet);
    return true;
}

static void put_behind(leat__stage *stage, leat__item *item)
{
    if (stage->outbox) {
        leat__queue_put(stage->outbox, item);
        leat__stage_mark(stage->reader);
    } else if (stage->outlet) {
        leat__outlet_put(stage->outlet, item);
    } else {
        leat__item_release(item); /* a last stage that has no outlet: its results are counted, not kept */
    }
}

void leat__stage_end_behind(leat__stage *stage, const leat_error *error)
{
    stage->over = true;
    if (stage->outbox) {
        leat__queue_end(stage->outbox, error);
        leat__stage_mark(stage->reader);
    } else if (stage->outlet) {
        leat__outlet_end(stage->outlet, error);
    }
}

void leat__stage_abandon(leat__stage *stage)
{
    stage->over = true;
    for (leat__op *op = stage->first, *next; op; op = next) {
        next = op->next;
        leat__op_cancel(op);
    }
    for (unsigned i = 0; i < stage->options.inboxes; i++) {
        leat__queue_discard(&stage->inboxes[i]);
        if (stage->writers[i] && !stage->writers[i]->over) leat__stage_abandon(stage->writers[i]);
    }
}

static void fail_stream(leat__stage *stage, leat__op *op)
{
    leat_error error = op->error;
    if (!error.stage[0]) {
        size_t n = 0;
        for (; stage->type->name[n] && n + 1 < sizeof error.stage; n++) error.stage[n] = stage->type->name[n];
        error.stage[n] = 0;
    }
    leat__stage_end_behind(stage, &error);
    leat__stage_abandon(stage);
}

bool leat__stage_may_step(leat__stage *stage, const leat__item *input)
{
    return leat__stage_has_room_behind(stage) && (!stage->type->ready || stage->type->ready(stage, input));
}

/* Passes on what op has emitted, as far as there is room. */
static bool pass_on(leat__stage *stage, leat__op *op)
{
    bool moved = false;
    while (op->out.first && leat__stage_has_room_behind(stage)) {
        put_behind(stage, leat__items_take(&op->out));
        moved = true;
    }
    if (op->wants_room && op->phase == LEAT__PHASE_LATER && !op->out.first && leat__stage_may_step(stage, op->input)) {
        op->wants_room = false;
        stage->type->room(op);
        moved = true;
    }
    return moved;
}

/* Passes results on, in order if order is asked for, and retires what has ended. True if anything moved. */
static bool results_out(leat__stage *stage)
{
    bool moved = false;
    for (leat__op *op = stage->first, *next; op && !stage->over; op = next) {
        next = op->next;
        if (op->phase != LEAT__PHASE_JOB) moved |= pass_on(stage, op); /* in a job, its results are the worker's */
        bool over = op->phase == LEAT__PHASE_ENDED && !op->out.first;
        if (over && op->step == LEAT__FAILED) {
            fail_stream(stage, op);
            return true;
        }
        if (over) {
            leat__op_retire(op);
            moved = true;
        } else if (!stage->options.unordered) {
            break;
        }
    }
    return moved;
}

/* ---- operations on ---- */

/* Has operations that wanted to be called again go on. */
static bool go_on(leat__stage *stage)
{
    bool moved = false;
    for (leat__op *op = stage->waiting ? stage->first : NULL, *next; op && !stage->over; op = next) {
        next = op->next;
        if (op->phase != LEAT__PHASE_MORE || op->out.first || !leat__stage_may_step(stage, op->input)) continue;
        leat__op_start(op, op->function);
        moved = true;
    }
    return moved;
}

/* ---- measuring ---- */

/* Books the time since the last look under the state found then, and finds the present one. */
static void measure(leat__stage *stage, uint64_t now)
{
    leat__meter *meter = &stage->meter;
    uint64_t passed = now > meter->since_ns ? now - meter->since_ns : 0;
    if (meter->state == LEAT__METER_STARVED) meter->starved_ns += passed;
    if (meter->state == LEAT__METER_BLOCKED) meter->blocked_ns += passed;
    meter->since_ns = now;
    if (stage->over || !leat__stage_has_room_behind(stage)) {
        meter->state = stage->over ? LEAT__METER_IDLE : LEAT__METER_BLOCKED;
    } else {
        meter->state = stage->active == 0 ? LEAT__METER_STARVED : LEAT__METER_IDLE;
    }
    for (unsigned i = 0; i < stage->options.inboxes; i++) leat__queue_meter(&stage->inboxes[i], now);
}

uint64_t leat__stage_pump(leat__stage *stage, uint64_t now)
{
    LEAT__ASSERT_LOOP(stage->pipeline);
    if (stage->over) return now;
    bool moved;
    do {
        moved = results_out(stage);
        moved |= go_on(stage);
        moved |= leat__intake_take_one(stage);
        moved |= leat__intake_begin_source(stage);
        moved |= leat__intake_end_stream(stage);
    } while (moved && !stage->over);
    uint64_t end = leat__now(stage->pipeline);
    if (stage->type->begin) stage->meter.busy_ns += end - now;
    measure(stage, end);
    return end;
}

void leat__stage_mark(leat__stage *stage)
{
    LEAT__ASSERT_LOOP(stage->pipeline);
    if (stage->dirty || stage->over) return;
    leat__pipeline *pipeline = stage->pipeline;
    stage->dirty = true;
    stage->next_dirty = NULL;
    if (pipeline->last_dirty) pipeline->last_dirty->next_dirty = stage;
    else pipeline->dirty = stage;
    pipeline->last_dirty = stage;
}
