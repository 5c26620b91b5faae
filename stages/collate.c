/* collate.c - puts decoded rows together to finished batches.
 *
 * What:    rows come back in their order; when the last one of a batch is there, it is finished (failed rows closed up or
 *          filled, ragged columns joined: on the pool) and sent on.
 * Threads: begin and flush on the loop, the job on the pool; one operation at a time owns the state.
 * Invariants: batch is NULL or has arrived < assigned or an open row. */
#include "stages/collate.h"

#include <assert.h>
#include <stdlib.h>

typedef struct collate_state {
    leat__collate_options options;
    leat_batch *batch; /* coming together */
} collate_state;

void *leat__collate_state_new(const leat__collate_options *options)
{
    collate_state *state = calloc(1, sizeof *state);
    if (state) state->options = *options;
    return state;
}

static leat__step finish_and_emit(leat__op *op)
{
    collate_state *state = leat__stage_state(op->stage);
    leat_batch *batch = state->batch;
    if (!leat__batch_finish(batch, state->options.substitute))
        return leat__op_fail(op, LEAT_ENOMEM, "no memory to join the bytes of a batch");
    state->batch = NULL;
    leat__emit(op, &batch->item);
    return LEAT__DONE;
}

static leat__step collate_begin(leat__op *op)
{
    collate_state *state = leat__stage_state(op->stage);
    leat__sample *sample = (leat__sample *)op->input;
    leat_batch *batch = sample->batch;
    if (batch) {
        assert(!state->batch || state->batch == batch);
        state->batch = batch;
        batch->rows[sample->row].state = sample->failed ? LEAT__ROW_FAILED : LEAT__ROW_GOOD;
        batch->failed += sample->failed;
        batch->arrived++;
    }
    if (sample->failed && !sample->repeats && state->options.judge(state->options.user, sample, &op->error)) return LEAT__FAILED;
    if (!batch || batch->arrived < batch->schema->batch_size) return LEAT__DONE;
    return leat__batch_has_work(batch) ? LEAT__CPU : finish_and_emit(op);
}

/* The end of an epoch: a batch that is short. */
static leat__step collate_flush(leat__op *op)
{
    collate_state *state = leat__stage_state(op->stage);
    if (!state->batch) return LEAT__DONE;
    if (!state->options.drop_last) return finish_and_emit(op);
    leat__item_release(&state->batch->item);
    state->batch = NULL;
    return LEAT__DONE;
}

const leat__stage_type leat__collate_type = {.name = "batch", .begin = collate_begin, .job = finish_and_emit,
                                             .flush = collate_flush, .destroy = free};
