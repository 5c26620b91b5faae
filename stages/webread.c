/* webread.c - an object's bytes off the network as chunks of an operation.
 *
 * What:    begins a transfer for a task's extent, makes chunks of its buffers, pauses it while there is no room.
 * Why so:  all that is hard about HTTP is in the client (http.h); here is only what the engine and it say to each other.
 * Threads: loop thread.
 * Latency: a buffer is handed on when it is full; a timer looks whether the next stage starves, and then hands on what a
 *          slow server has sent so far (of a shard: of a file nothing can be used before its end). Such small pieces are gathered
 *          in one buffer: a buffer for each would fill the lane's memory with emptiness. */
#include "stages/webread.h"

#include <assert.h>
#include <string.h>

#include "pipeline/failure.h"
#include "pipeline/pipeline.h"

enum { LOOK_NS = 20000000 };

/* Emits a chunk: bytes, or the object's end, or its failure. False if memory is short: op->error says so. */
static bool emit_chunk(leat__webread *web, leat__bytes bytes, bool last, const leat_error *error)
{
    leat__op *op = web->op;
    const leat__task *task = (const leat__task *)op->input;
    leat__chunk *chunk = leat__chunk_make(web->lane, task, bytes, web->offset, last, error);
    if (!chunk) {
        leat__op_fail(op, LEAT_ENOMEM, "no memory for a chunk of a transfer");
        return false;
    }
    if (error) leat__error_at_stage(chunk->error, "fetch");
    web->offset += bytes.size;
    leat__emit(op, &chunk->item);
    return true;
}

/* Ends the operation. */
static void finish(leat__webread *web, leat__step step)
{
    leat__op *op = web->op;
    web->op = NULL;
    web->transfer = NULL;
    leat__op_end(op, step);
}

static bool has_room(const leat__webread *web)
{
    return !leat__op_is_full(web->op) && leat__budget_fits(web->lane->budget, web->lane->chunk_bytes);
}

static bool is_unwanted(const leat__webread *web)
{
    return leat__lane_is_done_with(web->lane, web->ordinal, ((const leat__task *)web->op->input)->epoch);
}

/* Ends an object whose rest nobody wants, or for which memory is short. */
static void break_off(leat__webread *web)
{
    leat__transfer_cancel(web->transfer);
    bool failed = web->op->error.code || !emit_chunk(web, (leat__bytes){0}, true, NULL);
    finish(web, failed ? LEAT__FAILED : LEAT__DONE);
}

/* A piece as a slice: of its own buffer (takes), or, if it fills less than half of that, next to others like it. */
static leat__bytes slice_of(leat__webread *web, leat__buffer *buffer, size_t size)
{
    leat__bytes own = {.buffer = buffer, .data = buffer->data, .size = size};
    size_t chunk = web->lane->chunk_bytes;
    if (size >= buffer->capacity / 2 || size > chunk / 2) return own;
    if (!web->gathered || chunk - web->filled < size) {
        leat__buffer *fresh = leat__buffer_new(web->lane->arena, web->lane->budget, chunk);
        if (!fresh) return own;
        leat__buffer_release(web->gathered);
        web->gathered = fresh;
        web->filled = 0;
    }
    leat__bytes slice = {.buffer = leat__buffer_share(web->gathered), .data = web->gathered->data + web->filled,
                         .size = size};
    memcpy(web->gathered->data + web->filled, buffer->data, size);
    web->filled += size;
    leat__bytes_release(&own);
    return slice;
}

static bool on_data(void *user, leat__buffer *buffer, size_t size)
{
    leat__webread *web = user;
    atomic_fetch_add_explicit(&web->lane->flow->bytes_read, size, memory_order_relaxed);
    leat__bytes bytes = slice_of(web, buffer, size);
    bool unwanted = is_unwanted(web);
    if (unwanted) leat__bytes_release(&bytes);
    if (unwanted || !emit_chunk(web, bytes, false, NULL)) {
        break_off(web);
        return true;
    }
    if (has_room(web)) return true;
    leat__op_want_room(web->op);
    return false;
}

static void on_end(void *user, const leat_error *error)
{
    leat__webread *web = user;
    const leat__task *task = (const leat__task *)web->op->input;
    leat_error told;
    if (error && error->code == LEAT_ECHANGED && task->total != UINT64_MAX) {
        leat__fail(&told, error->code, error->system, "the index is of another object: %.800s; run leat index again",
                   error->message);
        told.offset = error->offset;
        error = &told;
    }
    bool emitted = emit_chunk(web, (leat__bytes){0}, true, error);
    finish(web, emitted ? LEAT__DONE : LEAT__FAILED);
}

leat__step leat__webread_begin(leat__webread *web, leat__op *op, const leat__http_range *range, uint64_t ordinal)
{
    LEAT__ASSERT_LOOP(leat__stage_pipeline(op->stage));
    static const leat__transfer_callbacks callbacks = {.data = on_data, .end = on_end};
    const leat__task *task = (const leat__task *)op->input;
    assert(!web->op && !web->transfer);
    web->op = op;
    web->ordinal = ordinal;
    web->offset = range->from;
    leat__error_clear(&op->error);
    leat_error error;
    leat_code code = LEAT_OK;
    bool unwanted = leat__flow_is_cut(web->lane->flow, task->epoch);
    if (!unwanted)
        code = leat__http_get(*web->http, task->object->name, range, web->lane->budget, &callbacks, web, &web->transfer, &error);
    if (code || unwanted) {
        bool emitted = emit_chunk(web, (leat__bytes){0}, true, code ? &error : NULL);
        web->op = NULL;
        return emitted ? LEAT__DONE : LEAT__FAILED;
    }
    leat__op_after(op, LOOK_NS);
    return LEAT__LATER;
}

void leat__webread_room(leat__webread *web)
{
    leat__transfer_resume(web->transfer);
}

void leat__webread_timer(leat__webread *web)
{
    if (is_unwanted(web)) {
        break_off(web);
        return;
    }
    bool usable = ((const leat__task *)web->op->input)->object->is_shard;
    if (usable && leat__op_is_wanted(web->op)) leat__transfer_flush(web->transfer);
    leat__op_after(web->op, LOOK_NS);
}

void leat__webread_cancel(leat__webread *web)
{
    leat__transfer_cancel(web->transfer);
    web->transfer = NULL;
    web->op = NULL;
}

void leat__webread_clear(leat__webread *web)
{
    leat__buffer_release(web->gathered);
    web->gathered = NULL;
}
