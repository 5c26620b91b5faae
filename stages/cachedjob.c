/* cachedjob.c - the jobs of the fetch stage for cached shards: looking for an entry, and reading from it.
 *
 * What:    one look at names and claims; or a few chunks, of what the loop has seen to be there.
 * Threads: I/O pool; the operation that runs owns the state.
 * Errors:  a damaged entry is put aside, and the rest of the object comes from the server: no error of the trainer's. */
#include "stages/cached_internal.h"

#include <assert.h>
#include <string.h>

#include "pipeline/failure.h"
#include "pipeline/pipeline.h"

leat__step leat__cached_emit(leat__op *op, leat__bytes bytes, bool last, const leat_error *error)
{
    leat__cached *state = leat__stage_state(op->stage);
    leat__chunk *chunk = leat__chunk_make(state->lane, (const leat__task *)op->input, bytes, state->offset, last, error);
    if (!chunk) return leat__op_fail(op, LEAT_ENOMEM, "no memory for a chunk of a cached shard");
    if (error) leat__error_at_stage(chunk->error, "fetch");
    state->offset += bytes.size;
    leat__emit(op, &chunk->item);
    state->over = chunk->last;
    return chunk->last ? LEAT__DONE : LEAT__MORE;
}

/* ---- the job: looking ---- */

/* Whether it is the object that the index speaks of. */
static bool is_indexed(const leat__task *task, const leat__cachehead *head)
{
    bool size = task->total == UINT64_MAX || task->total == head->total;
    return size && (!task->etag || !task->etag[0] || !head->etag[0] || strcmp(task->etag, head->etag) == 0);
}

static leat__step look_job(leat__op *op)
{
    leat__cached *state = leat__stage_state(op->stage);
    const leat__task *task = (const leat__task *)op->input;
    leat__cachedir *dir = state->fills->dir;
    if (state->object != task->object && !leat__cachekey_of(task->object->name, &state->key))
        return leat__op_fail(op, LEAT_ENOMEM, "no memory for the key of a cached shard");
    state->object = task->object;
    bool damaged;
    state->look = leat__cachedir_look(dir, &state->key, state->may_fill, &state->found, &state->part, &damaged);
    if (damaged) leat__cached_count(&state->fills->damaged);
    if (state->look == LEAT__CACHE_OPEN && !is_indexed(task, &state->found.head)) {
        if (state->found.head.whole) leat__cachedir_forget(dir, &state->key, &state->found);
        else leat__cachefile_close(&state->found);
        state->look = LEAT__CACHE_NONE;
    }
    state->at = LOOKED;
    return LEAT__AGAIN;
}

/* ---- the job: reading ---- */

/* Bytes to be read at once: extents whole, unless one has what no sample may have. */
static size_t next_size(const leat__cached *state, const leat__task *task)
{
    const leat__lane *lane = state->lane;
    uint64_t stop = state->there < state->end ? state->there : state->end, left = stop - state->offset, whole = lane->burst_bytes;
    if (whole < lane->max_sample_bytes) whole = lane->max_sample_bytes;
    if (left <= lane->chunk_bytes || (task->extent.to != UINT64_MAX && left <= whole)) return (size_t)left;
    return lane->chunk_bytes;
}

/* What was read is not what it should be: the rest comes from the server. */
static leat__step give_up_file(leat__cached *state, const leat_error *error)
{
    if (error->code == LEAT_ECORRUPT || error->code == LEAT_EIO) {
        leat__cachedir_put_aside(state->fills->dir, &state->key, &state->file);
        if (state->file.head.whole) leat__cached_count(&state->fills->damaged);
        state->past = true;
    }
    state->at = PAST;
    return LEAT__AGAIN;
}

static leat__step read_chunk(leat__op *op)
{
    leat__cached *state = leat__stage_state(op->stage);
    leat__lane *lane = state->lane;
    const leat__task *task = (const leat__task *)op->input;
    size_t size = next_size(state, task);
    leat__buffer *buffer = leat__buffer_new(lane->arena, lane->budget, size);
    if (!buffer) return leat__op_fail(op, LEAT_ENOMEM, "no memory for %zu bytes of a cached shard", size);
    leat_error error;
    if (leat__cachefile_read(&state->file, state->offset, buffer->data, size, &error)) {
        leat__buffer_release(buffer);
        return give_up_file(state, &error);
    }
    atomic_fetch_add_explicit(&lane->flow->bytes_read, size, memory_order_relaxed);
    bool last = state->offset + size == state->end;
    return leat__cached_emit(op, (leat__bytes){.buffer = buffer, .data = buffer->data, .size = size}, last, NULL);
}

static leat__step read_job(leat__op *op)
{
    leat__cached *state = leat__stage_state(op->stage);
    const leat__task *task = (const leat__task *)op->input;
    leat__cachefile_refresh(&state->file);
    leat__step step = LEAT__MORE;
    for (int i = 0; i < LEAT__LANE_BURST && step == LEAT__MORE && state->offset < state->there; i++) {
        if (leat__lane_is_done_with(state->lane, state->ordinal, task->epoch) || atomic_load(&op->cancelled)) break;
        step = read_chunk(op);
    }
    return step == LEAT__MORE ? LEAT__AGAIN : step;
}

leat__step leat__cached_job(leat__op *op)
{
    LEAT__ASSERT_JOB(leat__stage_pipeline(op->stage));
    leat__cached *state = leat__stage_state(op->stage);
    return state->at == LOOK ? look_job(op) : read_job(op);
}
