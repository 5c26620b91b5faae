/* rows.c - gives each sample its row in a batch.
 *
 * What:    samples come in the order of the epoch; the n-th gets row n mod batch_size of batch n / batch_size.
 * Why so:  a sample's place is known before it is decoded, so that workers write straight into it, in any order, and a sample
 *          that fails leaves its place empty instead of shifting the others. And here is where the pipeline waits for the
 *          consumer: without a free batch nothing is taken.
 * Threads: loop thread.
 * Invariants: batch is NULL or has a free row. */
#include "stages/rows.h"

#include <assert.h>
#include <stdlib.h>

#include "pipeline/failure.h"
#include "pipeline/pipeline.h"

typedef struct rows_state {
    leat__rows_options options;
    leat_batch *batch;      /* being given out */
    bool too_small;         /* the ragged budget cannot hold what one batch needs */
    uint64_t step;          /* batches begun in this epoch */
    uint64_t samples;       /* given a row in this epoch */
} rows_state;

void *leat__rows_state_new(const leat__rows_options *options)
{
    rows_state *state = calloc(1, sizeof *state);
    if (state) state->options = *options;
    return state;
}

/* ---- arrays: the first sample that has one says its shape ---- */

/* Fills in what the schema does not know yet. A sample that cannot say fails without a row: no batch can be laid out. */
static bool learn_schema(rows_state *state, leat__sample *sample)
{
    leat__schema *schema = state->options.schema;
    for (size_t i = 0; i < schema->count; i++) {
        leat__column *column = &schema->columns[i];
        if (column->known || !leat__schema_learn(column, sample, &sample->error)) continue;
        sample->failed = true;
        leat__error_at_stage(&sample->error, "decode");
        if (sample->object->is_shard) sample->error.offset = sample->offset;
        return false;
    }
    return true;
}

/* The batches of a schema with arrays can only be weighed once the first sample is there. */
static leat_code check_room(const rows_state *state, leat_error *error)
{
    size_t bytes = leat__schema_batch_bytes(state->options.schema);
    if (bytes && bytes <= state->options.memory_limit / 2) {
        leat__batches_set_max(state->options.batches, (size_t)(state->options.memory_limit / 2 / bytes));
        return LEAT_OK;
    }
    return leat__fail(error, LEAT_ENOMEM, 0, "a batch of %u rows takes %.1f MB, more than half of memory_limit (%.1f MB): lower "
                      "batch_size or raise memory_limit", state->options.schema->batch_size, (double)bytes / 1e6,
                      (double)state->options.memory_limit / 1e6);
}

/* ---- waiting for the consumer ---- */

/* Only the consumer can make room: every batch but the one being filled is in its hands. */
static void tell_stuck(void *user, size_t delivered)
{
    const rows_state *state = user;
    leat_error error;
    leat__fail(&error, LEAT_ENOMEM, 0, "memory_limit (%.1f MB) has no room for more while the consumer holds %zu: release one first, "
               "or raise memory_limit", (double)state->options.memory_limit / 1e6, delivered);
    state->options.stuck(state->options.user, &error);
}

/* After a look for room that failed, before which `returns` was read: true if other batches than the one being filled are on their
 * way to the consumer or with it, so that room may come back. */
static bool others_hold_room(rows_state *state, uint64_t returns)
{
    return leat__batches_look(state->options.batches, state->batch != NULL, returns, tell_stuck, state);
}

/* The bytes a sample brings to ragged columns, in pages as its buffers are. The budget keeps as much again for the joined
 * column (loader/plan.c). */
static size_t ragged_bytes(const rows_state *state, const leat__sample *sample)
{
    const leat__schema *schema = state->options.schema;
    size_t bytes = 0;
    for (size_t i = 0; schema->ragged_count && i < schema->count; i++) {
        if (schema->columns[i].kind != LEAT_FIELD_BYTES) continue;
        const leat__sample_field *field = leat__sample_find(sample, schema->columns[i].names);
        if (field) bytes += (field->bytes.size + 4095) & ~(size_t)4095;
    }
    return bytes;
}

/* True if the sample's ragged bytes have room, or never will: too_small says so then. What is decided here holds until the row is
 * given: only the loop thread takes of the budget for rows. */
static bool has_ragged_room(rows_state *state, const leat__sample *sample)
{
    uint64_t returns = leat__batches_returns(state->options.batches);
    size_t bytes = ragged_bytes(state, sample);
    if (!bytes || leat__budget_fits(state->options.ragged_budget, bytes)) return true;
    if (others_hold_room(state, returns)) return false;
    /* nobody else holds any now, but one may have gone between the two looks */
    state->too_small = !leat__budget_fits(state->options.ragged_budget, bytes);
    return true;
}

static bool takes_row(const rows_state *state, const leat__sample *sample)
{
    return !sample->lost_object && !leat__flow_is_cut(state->options.flow, sample->epoch);
}

static bool rows_ready(leat__stage *stage, const leat__item *input)
{
    rows_state *state = leat__stage_state(stage);
    const leat__sample *sample = (const leat__sample *)input;
    if (!takes_row(state, sample) || !leat__schema_is_known(state->options.schema)) return true;
    if (!state->batch) {
        bool no_memory;
        uint64_t returns = leat__batches_returns(state->options.batches);
        state->batch = leat__batches_take(state->options.batches, sample->epoch, state->step, &no_memory);
        if (!state->batch && !no_memory) {
            others_hold_room(state, returns);
            return false;
        }
    }
    return has_ragged_room(state, sample);
}

/* ---- rows ---- */

static leat__step assign(leat__op *op, rows_state *state, leat__sample *sample)
{
    if (state->too_small)
        return leat__op_fail(op, LEAT_ENOMEM, "the bytes fields of one batch need more than the %.1f MB that memory_limit leaves "
                             "them: lower batch_size or raise memory_limit", (double)state->options.ragged_budget->limit / 1e6);
    if (!leat__batch_assign(state->batch, sample, &sample->row)) return leat__op_fail(op, LEAT_ENOMEM, "no memory for a key");
    sample->batch = state->batch;
    size_t bytes = ragged_bytes(state, sample);
    if (bytes) leat__batch_reserve_ragged(state->batch, bytes);
    state->samples++;
    if (state->batch->assigned == state->options.schema->batch_size) {
        state->batch = NULL;
        state->step++;
    }
    if (state->samples == state->options.limit) atomic_store(&state->options.flow->cut, sample->epoch + 1);
    return leat__emit_input(op);
}

static leat__step rows_begin(leat__op *op)
{
    LEAT__ASSERT_LOOP(leat__stage_pipeline(op->stage));
    rows_state *state = leat__stage_state(op->stage);
    leat__sample *sample = (leat__sample *)op->input;
    if (leat__flow_is_cut(state->options.flow, sample->epoch)) return LEAT__DONE;
    if (sample->lost_object) return leat__emit_input(op);
    bool first = !leat__schema_is_known(state->options.schema);
    if (first) {
        if (sample->failed || !learn_schema(state, sample)) return leat__emit_input(op);
        if (check_room(state, &op->error)) return LEAT__FAILED;
    }
    if (!state->batch) {
        bool no_memory;
        state->batch = leat__batches_take(state->options.batches, sample->epoch, state->step, &no_memory);
    }
    if (!state->batch) return leat__op_fail(op, LEAT_ENOMEM, "no memory for a batch");
    if (first) has_ragged_room(state, sample); /* it could not be asked before */
    return assign(op, state, sample);
}

static leat__step rows_flush(leat__op *op)
{
    rows_state *state = leat__stage_state(op->stage);
    if (state->batch && !state->batch->assigned) leat__item_release(&state->batch->item);
    state->batch = NULL;
    state->step = state->samples = 0;
    return LEAT__DONE;
}

const leat__stage_type leat__rows_type = {.name = "rows", .begin = rows_begin, .flush = rows_flush, .ready = rows_ready,
                                          .destroy = free};
