/* web.c - the fetch stage for URLs.
 *
 * What:    begins a transfer for each task's extent, makes chunks of its buffers, pauses it while there is no room.
 * Why so:  all that is hard about HTTP is in the client (http.h); here is only what the engine and it say to each other.
 * Threads: loop thread.
 * Latency: a buffer is handed on when it is full; a timer looks whether the next stage starves, and then hands on what a
 *          slow server has sent so far (of a shard: of a file nothing can be used before its end). Such small pieces are gathered
 *          in one buffer: a buffer for each would fill the lane's memory with emptiness. */
#include "stages/web.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"
#include "pipeline/pipeline.h"

enum { LOOK_NS = 20000000 };

typedef struct web_state {
    leat__lane *lane;
    leat__http *const *http;
    uint64_t ordinal;         /* objects begun in this lane */
    leat__op *op;             /* the one under way, NULL: none */
    leat__transfer *transfer;
    uint64_t offset;          /* in the object, of what comes next */
    leat__buffer *gathered;   /* small pieces, the first `filled` bytes of it; NULL: none */
    size_t filled;
} web_state;

void *leat__web_state_new(leat__lane *lane, leat__http *const *http)
{
    web_state *state = calloc(1, sizeof *state);
    if (state) *state = (web_state){.lane = lane, .http = http};
    return state;
}

/* Emits a chunk: bytes, or the object's end, or its failure. False if memory is short: op->error says so. */
static bool emit_chunk(web_state *state, leat__bytes bytes, bool last, const leat_error *error)
{
    leat__op *op = state->op;
    const leat__task *task = (const leat__task *)op->input;
    leat__chunk *chunk = leat__chunk_make(state->lane, task, bytes, state->offset, last, error);
    if (!chunk) {
        leat__op_fail(op, LEAT_ENOMEM, "no memory for a chunk of a transfer");
        return false;
    }
    if (error) leat__error_at_stage(chunk->error, "fetch");
    state->offset += bytes.size;
    leat__emit(op, &chunk->item);
    return true;
}

/* Ends the operation. */
static void finish(web_state *state, leat__step step)
{
    leat__op *op = state->op;
    state->op = NULL;
    state->transfer = NULL;
    leat__op_end(op, step);
}

static bool has_room(const web_state *state)
{
    return !leat__op_is_full(state->op) && leat__budget_fits(state->lane->budget, state->lane->chunk_bytes);
}

static bool is_unwanted(const web_state *state)
{
    return leat__lane_is_done_with(state->lane, state->ordinal, ((const leat__task *)state->op->input)->epoch);
}

/* Ends an object whose rest nobody wants, or for which memory is short. */
static void break_off(web_state *state)
{
    leat__transfer_cancel(state->transfer);
    bool failed = state->op->error.code || !emit_chunk(state, (leat__bytes){0}, true, NULL);
    finish(state, failed ? LEAT__FAILED : LEAT__DONE);
}

/* A piece as a slice: of its own buffer (takes), or, if it fills less than half of that, next to others like it. */
static leat__bytes slice_of(web_state *state, leat__buffer *buffer, size_t size)
{
    leat__bytes own = {.buffer = buffer, .data = buffer->data, .size = size};
    size_t chunk = state->lane->chunk_bytes;
    if (size >= buffer->capacity / 2 || size > chunk / 2) return own;
    if (!state->gathered || chunk - state->filled < size) {
        leat__buffer *fresh = leat__buffer_new(state->lane->arena, state->lane->budget, chunk);
        if (!fresh) return own;
        leat__buffer_release(state->gathered);
        state->gathered = fresh;
        state->filled = 0;
    }
    leat__bytes slice = {.buffer = leat__buffer_share(state->gathered), .data = state->gathered->data + state->filled,
                         .size = size};
    memcpy(state->gathered->data + state->filled, buffer->data, size);
    state->filled += size;
    leat__bytes_release(&own);
    return slice;
}

static bool on_data(void *user, leat__buffer *buffer, size_t size)
{
    web_state *state = user;
    atomic_fetch_add_explicit(&state->lane->flow->bytes_read, size, memory_order_relaxed);
    leat__bytes bytes = slice_of(state, buffer, size);
    bool unwanted = is_unwanted(state);
    if (unwanted) leat__bytes_release(&bytes);
    if (unwanted || !emit_chunk(state, bytes, false, NULL)) {
        break_off(state);
        return true;
    }
    if (has_room(state)) return true;
    leat__op_want_room(state->op);
    return false;
}

static void on_end(void *user, const leat_error *error)
{
    web_state *state = user;
    const leat__task *task = (const leat__task *)state->op->input;
    leat_error told;
    if (error && error->code == LEAT_ECHANGED && task->total != UINT64_MAX) {
        leat__fail(&told, error->code, error->system, "the index is of another object: %.800s; run leat index again",
                   error->message);
        told.offset = error->offset;
        error = &told;
    }
    bool emitted = emit_chunk(state, (leat__bytes){0}, true, error);
    finish(state, emitted ? LEAT__DONE : LEAT__FAILED);
}

static leat__step web_begin(leat__op *op)
{
    LEAT__ASSERT_LOOP(leat__stage_pipeline(op->stage));
    static const leat__transfer_callbacks callbacks = {.data = on_data, .end = on_end};
    web_state *state = leat__stage_state(op->stage);
    const leat__task *task = (const leat__task *)op->input;
    assert(!state->op && !state->transfer);
    state->op = op;
    state->ordinal++;
    state->offset = task->extent.from;
    leat__error_clear(&op->error);
    leat_error error;
    leat_code code = LEAT_OK;
    bool unwanted = leat__flow_is_cut(state->lane->flow, task->epoch);
    const leat__http_range range = {.from = task->extent.from, .to = task->extent.to, .total = task->total,
                                    .etag = task->etag};
    if (!unwanted)
        code = leat__http_get(*state->http, task->object->name, &range, state->lane->budget, &callbacks, state,
                              &state->transfer, &error);
    if (code || unwanted) {
        bool emitted = emit_chunk(state, (leat__bytes){0}, true, code ? &error : NULL);
        state->op = NULL;
        return emitted ? LEAT__DONE : LEAT__FAILED;
    }
    leat__op_after(op, LOOK_NS);
    return LEAT__LATER;
}

static void web_room(leat__op *op)
{
    web_state *state = leat__stage_state(op->stage);
    leat__transfer_resume(state->transfer);
}

static void web_timer(leat__op *op)
{
    web_state *state = leat__stage_state(op->stage);
    if (is_unwanted(state)) {
        break_off(state);
        return;
    }
    bool usable = ((const leat__task *)op->input)->object->is_shard;
    if (usable && leat__op_is_wanted(op)) leat__transfer_flush(state->transfer);
    leat__op_after(op, LOOK_NS);
}

static void web_cancel(leat__op *op)
{
    web_state *state = leat__stage_state(op->stage);
    leat__transfer_cancel(state->transfer);
    state->transfer = NULL;
    state->op = NULL;
}

static void web_destroy(void *argument)
{
    leat__buffer_release(((web_state *)argument)->gathered);
    free(argument);
}

static bool web_ready(leat__stage *stage, const leat__item *input)
{
    (void)input;
    leat__lane *lane = ((web_state *)leat__stage_state(stage))->lane;
    return leat__budget_fits(lane->budget, lane->chunk_bytes);
}

const leat__stage_type leat__web_type = {.name = "fetch", .begin = web_begin, .room = web_room, .timer = web_timer,
                                         .cancel = web_cancel, .ready = web_ready, .destroy = web_destroy};
