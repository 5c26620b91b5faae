/* intake.c - what a stage takes, and when: items, markers, the end.
 *
 * What:    begins operations on what stands in a stage's inboxes, as long as there is a free one, room behind and permission.
 * Why so:  the rules for several inboxes are the ones a merge needs: a marker is taken only when every inbox has come to it (or
 *          has ended), so that an epoch ends once for all lanes, as barriers are aligned in Flink.
 * Threads: loop thread.
 * Not here: what becomes of results (stage.c), the life of an operation (op.c). */
#include <assert.h>

#include "pipeline/engine.h"

/* Takes a free operation for an item (which may be NULL) and puts it at the end of the order. */
static leat__op *op_take(leat__stage *stage, leat__item *input)
{
    leat__op *op = stage->free;
    assert(op && stage->active < stage->options.concurrency && op->phase == LEAT__PHASE_FREE);
    stage->free = op->next;
    op->input = input;
    op->state = NULL;
    op->wants_room = false;
    atomic_store_explicit(&op->cancelled, false, memory_order_relaxed);
    op->next = NULL;
    op->previous = stage->last;
    if (stage->last) stage->last->next = op;
    else stage->first = op;
    stage->last = op;
    stage->active++;
    stage->pipeline->operations++;
    return op;
}

static leat__step begin_job(leat__op *op)
{
    (void)op;
    return LEAT__CPU;
}

static void begin_item(leat__stage *stage, leat__item *input)
{
    if (input) {
        stage->meter.items++;
        stage->meter.bytes += input->bytes;
    }
    leat__op_start(op_take(stage, input), stage->type->begin ? stage->type->begin : begin_job);
}

/* The operation of a marker, or of the end (NULL): emits what the stage held back. */
static leat__step flush_nothing(leat__op *op)
{
    (void)op;
    return LEAT__DONE;
}

/* A marker follows what flush emitted, so it becomes a result itself. */
static leat__step flush_marker(leat__op *op)
{
    leat__step step = op->stage->type->flush ? op->stage->type->flush(op) : LEAT__DONE;
    return step == LEAT__DONE ? leat__emit_input(op) : step;
}

static void begin_flush(leat__stage *stage, leat__item *marker)
{
    leat__op *op = op_take(stage, marker);
    leat__op_start(op, marker ? flush_marker : stage->type->flush ? stage->type->flush : flush_nothing);
}

/* ---- what stands in the inboxes ---- */

static bool at_marker(const leat__stage *stage, unsigned i)
{
    const leat__item *item = leat__queue_peek(&stage->inboxes[i]);
    return item && leat__is_marker(item);
}

bool leat__stage_can_take(const leat__stage *stage, unsigned i)
{
    const leat__item *item = leat__queue_peek(&stage->inboxes[i]);
    return item && !leat__is_marker(item);
}

bool leat__stage_may_come(const leat__stage *stage, unsigned i)
{
    return !stage->inboxes[i].ended && !leat__queue_peek(&stage->inboxes[i]);
}

static leat__item *inbox_take(leat__stage *stage, unsigned i)
{
    leat__item *item = leat__queue_take(&stage->inboxes[i]);
    if (stage->writers[i]) leat__stage_mark(stage->writers[i]);
    return item;
}

/* True if every inbox stands at a marker or is over, and at least one at a marker. */
static bool markers_aligned(const leat__stage *stage)
{
    bool any = false;
    for (unsigned i = 0; i < stage->options.inboxes; i++) {
        if (at_marker(stage, i)) any = true;
        else if (!leat__queue_is_over(&stage->inboxes[i])) return false;
    }
    return any;
}

/* Takes the marker of every inbox and begins the flush for all of them with one. */
static void take_markers(leat__stage *stage)
{
    leat__item *marker = NULL;
    for (unsigned i = 0; i < stage->options.inboxes; i++) {
        if (!at_marker(stage, i)) continue;
        leat__item_release(marker);
        marker = inbox_take(stage, i);
    }
    begin_flush(stage, marker);
}

static bool all_over(const leat__stage *stage)
{
    for (unsigned i = 0; i < stage->options.inboxes; i++)
        if (!leat__queue_is_over(&stage->inboxes[i])) return false;
    return true;
}

static const leat_error *failed_inbox(const leat__stage *stage)
{
    for (unsigned i = 0; i < stage->options.inboxes; i++)
        if (leat__queue_is_over(&stage->inboxes[i]) && stage->inboxes[i].failed) return &stage->inboxes[i].error;
    return NULL;
}

/* Begins one more operation if it can. */
bool leat__intake_take_one(leat__stage *stage)
{
    if (stage->over || !stage->free || stage->options.inboxes == 0) return false;
    if (markers_aligned(stage)) {
        bool alone = !stage->options.unordered || stage->active == 0;
        if (!alone || !leat__stage_has_room_behind(stage)) return false;
        take_markers(stage);
        return true;
    }
    unsigned i = stage->type->select ? stage->type->select(stage) : 0;
    if (i == LEAT__NO_INBOX || !leat__stage_can_take(stage, i)) return false;
    if (!leat__stage_may_step(stage, leat__queue_peek(&stage->inboxes[i]))) return false;
    begin_item(stage, inbox_take(stage, i));
    return true;
}

/* A stage without inbox has one operation, that goes on as long as it says MORE. */
bool leat__intake_begin_source(leat__stage *stage)
{
    if (stage->options.inboxes > 0 || stage->source_begun || stage->over || !leat__stage_may_step(stage, NULL)) return false;
    stage->source_begun = true;
    begin_item(stage, NULL);
    return true;
}

/* Ends the stream once everything before has ended: flush first, then the end (or the error) behind. */
bool leat__intake_end_stream(leat__stage *stage)
{
    if (stage->over || stage->active > 0) return false;
    if (stage->options.inboxes == 0) {
        if (!stage->source_begun) return false;
        leat__stage_end_behind(stage, NULL);
        return true;
    }
    const leat_error *error = failed_inbox(stage);
    if (error) {
        leat__stage_end_behind(stage, error);
        leat__stage_abandon(stage);
        return true;
    }
    if (!all_over(stage)) return false;
    if (!stage->flushed) {
        stage->flushed = true;
        begin_flush(stage, NULL);
    } else {
        leat__stage_end_behind(stage, NULL);
    }
    return true;
}
