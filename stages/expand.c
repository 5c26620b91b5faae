/* expand.c - the decompress stage.
 *
 * What:    runs a lane's decompressor over its chunks: on the loop to see whether there is anything to do, in the pool if so,
 *          at most one output buffer a step. A buffer is filled up over steps, chunks and objects before the next is begun, so
 *          that what samples keep alive of it is full.
 * Threads: begin on the loop, job on the pool; one operation at a time owns the state.
 * Errors:  a failed chunk in the object's place; the rest of the object is dropped here and its reading stopped. */
#include "stages/expand.h"

#include <assert.h>
#include <stdlib.h>

#include "pipeline/failure.h"
#include "pipeline/pipeline.h"

typedef struct expand_state {
    leat__lane *lane;
    leat__decompressor *decompressor;
    uint64_t ordinal;   /* objects seen in this lane */
    bool dead;          /* the present one has ended here */
    uint64_t made;      /* bytes of it handed on */
    leat__buffer *buffer; /* being filled: its first `filled` bytes have been handed on; NULL: none */
    size_t filled;
} expand_state;

void *leat__expand_state_new(leat__lane *lane, const leat__decompress_limits *limits)
{
    expand_state *state = calloc(1, sizeof *state);
    if (!state) return NULL;
    state->lane = lane;
    state->decompressor = leat__decompressor_new(limits);
    if (!state->decompressor) {
        free(state);
        return NULL;
    }
    return state;
}

static void expand_destroy(void *argument)
{
    expand_state *state = argument;
    leat__decompressor_free(state->decompressor);
    leat__buffer_release(state->buffer);
    free(state);
}

static leat__step expand_begin(leat__op *op)
{
    LEAT__ASSERT_LOOP(leat__stage_pipeline(op->stage));
    expand_state *state = leat__stage_state(op->stage);
    leat__chunk *chunk = (leat__chunk *)op->input;
    if (!chunk->object->is_shard) return leat__emit_input(op);
    if (chunk->first) {
        leat__decompressor_begin(state->decompressor);
        state->ordinal++;
        state->dead = false;
        state->made = 0;
    }
    if (state->dead) return LEAT__DONE;
    bool passes = chunk->failed || leat__lane_is_done_with(state->lane, state->ordinal, chunk->epoch) ||
                  leat__decompressor_passes(state->decompressor, chunk->bytes.data, chunk->bytes.size, chunk->last);
    if (!passes) return LEAT__CPU;
    chunk->offset = state->made;
    chunk->first = state->made == 0;
    state->made += chunk->bytes.size;
    return leat__emit_input(op);
}

/* Hands on the next `size` bytes of the buffer, or the object's end or failure. */
static leat__step emit_chunk(leat__op *op, size_t size, bool last, const leat_error *error)
{
    expand_state *state = leat__stage_state(op->stage);
    const leat__chunk *in = (const leat__chunk *)op->input;
    leat__bytes bytes = {0};
    if (size) bytes = (leat__bytes){.buffer = leat__buffer_share(state->buffer), .data = state->buffer->data + state->filled, .size = size};
    state->filled += size;
    leat__chunk *chunk = leat__chunk_made_of(state->lane, in, bytes, state->made, last, error);
    if (!chunk) return leat__op_fail(op, LEAT_ENOMEM, "no memory for an unpacked chunk");
    state->made += size;
    leat__emit(op, &chunk->item);
    return LEAT__DONE;
}

static leat__step fail_object(leat__op *op, leat_error *error)
{
    expand_state *state = leat__stage_state(op->stage);
    state->dead = true;
    atomic_store_explicit(&state->lane->dead, state->ordinal, memory_order_relaxed);
    leat__error_at_stage(error, "decompress");
    error->offset = leat__decompressor_used(state->decompressor);
    return emit_chunk(op, 0, true, error);
}

/* Sees to it that there is a buffer with room. */
static bool has_buffer(expand_state *state)
{
    if (state->buffer && state->filled < state->lane->chunk_bytes) return true;
    leat__buffer_release(state->buffer);
    state->filled = 0;
    state->buffer = leat__buffer_new(state->lane->arena, state->lane->budget, state->lane->chunk_bytes);
    return state->buffer != NULL;
}

/* What goes into one buffer of output. What is left of the input stays in its chunk for the next step. */
static leat__step expand_job(leat__op *op)
{
    LEAT__ASSERT_JOB(leat__stage_pipeline(op->stage));
    expand_state *state = leat__stage_state(op->stage);
    leat__chunk *in = (leat__chunk *)op->input;
    if (!has_buffer(state)) return leat__op_fail(op, LEAT_ENOMEM, "no memory for %zu unpacked bytes", state->lane->chunk_bytes);
    uint8_t *out = state->buffer->data + state->filled;
    size_t capacity = state->lane->chunk_bytes - state->filled, room = capacity;
    leat_error error;
    leat_code code =
        leat__decompress(state->decompressor, &in->bytes.data, &in->bytes.size, in->last, &out, &room, &error);
    size_t made = capacity - room;
    bool last = code == LEAT_OK && in->last;
    leat__step step = LEAT__DONE;
    if (made || last) step = emit_chunk(op, made, last, NULL);
    if (step == LEAT__FAILED) return step;
    if (code == LEAT_AGAIN) return LEAT__MORE;
    return code ? fail_object(op, &error) : LEAT__DONE;
}

/* Room for an unpacked chunk; the chunk that passes needs none of its own, but asking is harmless: it has its share. */
static bool expand_ready(leat__stage *stage, const leat__item *input)
{
    const leat__chunk *chunk = (const leat__chunk *)input;
    leat__lane *lane = ((expand_state *)leat__stage_state(stage))->lane;
    return !chunk->object->is_shard || leat__budget_fits(lane->budget, lane->chunk_bytes);
}

const leat__stage_type leat__expand_type = {.name = "decompress", .begin = expand_begin, .job = expand_job,
                                            .ready = expand_ready, .destroy = expand_destroy};
