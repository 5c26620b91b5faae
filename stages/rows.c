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
    uint64_t step;          /* of the batch that is begun next */
    uint64_t samples;       /* given a row in this epoch, or passed over */
    uint64_t skip;          /* still to be passed over */
    leat__items early;      /* failed before an array's shape was known: they get their rows once it is */
} rows_state;

void *leat__rows_state_new(const leat__rows_options *options)
{
    rows_state *state = calloc(1, sizeof *state);
    if (!state) return NULL;
    state->options = *options;
    state->step = options->first_step;
    state->skip = options->skip;
    return state;
}

static void rows_destroy(void *argument)
{
    rows_state *state = argument;
    leat__item *item;
    while ((item = leat__items_take(&state->early))) leat__item_release(item);
    free(state);
}

/* ---- arrays: the first sample that has one says its shape ---- */

/* Fills in what the schema does not know yet; a sample that cannot say fails. */
static bool learn_schema(rows_state *state, leat__sample *sample)
{
    leat__schema *schema = state->options.schema;
    for (size_t i = 0; i < schema->count; i++) {
        if (schema->columns[i].known || !leat__schema_learn(schema, i, sample, &sample->error)) continue;
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
    leat__fail(&error, LEAT_ENOMEM, 0, "memory_limit (%.1f MB) has no room for more while the consumer holds %zu: release one "
               "first, or raise memory_limit", (double)state->options.memory_limit / 1e6, delivered);
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
        const leat__sample_field *field = leat__sample_find(sample, leat__schema_of(schema, sample)->columns[i].names);
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
    if (!takes_row(state, sample) || !leat__schema_is_known(state->options.schema) || state->skip) return true;
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

/* Counts a sample of the epoch. */
static void count(rows_state *state, const leat__sample *sample)
{
    state->samples++;
    if (state->samples == state->options.limit) atomic_store(&state->options.flow->cut, sample->epoch + 1);
}

/* Gives the sample its row and emits it (takes). */
static leat__step assign(leat__op *op, rows_state *state, leat__sample *sample)
{
    if (state->too_small) {
        leat__item_release(&sample->item);
        return leat__op_fail(op, LEAT_ENOMEM, "the bytes fields of one batch need more than the %.1f MB that memory_limit leaves "
                             "them: lower batch_size or raise memory_limit", (double)state->options.ragged_budget->limit / 1e6);
    }
    if (!leat__batch_assign(state->batch, sample, &sample->row)) {
        leat__item_release(&sample->item);
        return leat__op_fail(op, LEAT_ENOMEM, "no memory for a key");
    }
    sample->batch = state->batch;
    size_t bytes = ragged_bytes(state, sample);
    if (bytes) leat__batch_reserve_ragged(state->batch, bytes);
    count(state, sample);
    if (state->batch->assigned == state->options.schema->batch_size) {
        state->batch = NULL;
        state->step++;
    }
    leat__emit(op, &sample->item);
    return LEAT__DONE;
}

/* Keeps a sample that failed before any array's shape was known. One batch holds those; after that many nothing can be learned. */
static leat__step keep_early(leat__op *op, rows_state *state, leat__sample *sample)
{
    leat__items_append(&state->early, &sample->item);
    op->input = NULL;
    if (state->early.count < state->options.schema->batch_size) return LEAT__DONE;
    leat_error cause = sample->error;
    return leat__op_fail(op, cause.code, "the first %zu samples all failed, so that the shape of an array is not known; the last "
                         "one: %.300s: %.500s", state->early.count, sample->object->display, cause.message);
}

/* A sample of those that come before the first batch. */
static leat__step pass_over(rows_state *state, const leat__sample *sample)
{
    if (sample->lost_object) return LEAT__DONE;
    state->skip--;
    count(state, sample);
    return LEAT__DONE;
}

static leat__step rows_begin(leat__op *op)
{
    LEAT__ASSERT_LOOP(leat__stage_pipeline(op->stage));
    rows_state *state = leat__stage_state(op->stage);
    leat__sample *sample = (leat__sample *)op->input;
    if (leat__flow_is_cut(state->options.flow, sample->epoch)) return LEAT__DONE;
    if (state->skip) return pass_over(state, sample);
    if (sample->lost_object) return leat__emit_input(op);
    bool first = !leat__schema_is_known(state->options.schema);
    if (first) {
        if (sample->failed || !learn_schema(state, sample)) return keep_early(op, state, sample);
        if (check_room(state, &op->error)) return LEAT__FAILED;
    }
    if (!state->batch) {
        bool no_memory;
        state->batch = leat__batches_take(state->options.batches, sample->epoch, state->step, &no_memory);
    }
    if (!state->batch) return leat__op_fail(op, LEAT_ENOMEM, "no memory for a batch");
    op->input = NULL;
    leat__step step = LEAT__DONE;
    leat__item *early;
    while (step == LEAT__DONE && (early = leat__items_take(&state->early))) step = assign(op, state, (leat__sample *)early);
    if (first) has_ragged_room(state, sample); /* it could not be asked before */
    if (step == LEAT__DONE) return assign(op, state, sample);
    leat__item_release(&sample->item);
    return step;
}

static leat__step rows_flush(leat__op *op)
{
    rows_state *state = leat__stage_state(op->stage);
    leat__item *early;
    if (state->batch && !state->batch->assigned) leat__item_release(&state->batch->item);
    while ((early = leat__items_take(&state->early))) leat__emit(op, early); /* without a row: no batch could be laid out */
    state->batch = NULL;
    state->step = state->samples = state->skip = 0;
    return LEAT__DONE;
}

const leat__stage_type leat__rows_type = {.name = "rows", .begin = rows_begin, .flush = rows_flush, .ready = rows_ready,
                                          .destroy = rows_destroy};
