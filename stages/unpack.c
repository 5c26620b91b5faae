/* unpack.c - the unpack stage.
 *
 * What:    a shard's chunks go through the tar reader; a loose file's chunks become a sample of one field.
 * Order:   a shard that ends badly is followed by one more sample, with lost_object set, that stands for the rest of it and has
 *          the reason; where the end has to be known (marks_objects) also one that ended well. A loose file is always exactly one
 *          sample, failed or not, so that a file that cannot be read leaves its place empty and shifts nothing.
 * Threads: job on the CPU pool (headers and bodies that cross chunks); one operation at a time owns the state. */
#include "stages/unpack.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"
#include "pipeline/pipeline.h"
#include "stages/tar.h"

typedef struct unpack_state {
    leat__lane *lane;
    leat__tar *tar;
    uint64_t ordinal;       /* objects seen in this lane */
    bool dead;              /* the present one has ended here */
    uint64_t ignored;       /* of tar's count, booked so far */
    uint64_t next_index;    /* of the shard's samples: behind the last one emitted */
    uint64_t last, base, latest; /* of the present extent */
    /* a loose file's pieces */
    leat__bytes *pieces;
    size_t count, capacity;
    uint64_t size;
} unpack_state;

void *leat__unpack_state_new(leat__lane *lane)
{
    unpack_state *state = calloc(1, sizeof *state);
    if (!state) return NULL;
    state->lane = lane;
    leat__tar_options options = {.arena = lane->arena, .budget = lane->budget, .samples = lane->stock,
                                 .max_sample_bytes = lane->max_sample_bytes, .limit_hint = lane->limit_hint};
    state->tar = leat__tar_new(&options);
    if (!state->tar) {
        free(state);
        return NULL;
    }
    return state;
}

static void drop_pieces(unpack_state *state)
{
    for (size_t i = 0; i < state->count; i++) leat__bytes_release(&state->pieces[i]);
    state->count = 0;
    state->size = 0;
}

static void unpack_destroy(void *argument)
{
    unpack_state *state = argument;
    drop_pieces(state);
    free(state->pieces);
    leat__tar_free(state->tar);
    free(state);
}

static leat__step no_memory(leat__op *op)
{
    return leat__op_fail(op, LEAT_ENOMEM, "no memory for a sample");
}

/* Stops the reading of the present object; what still comes of it is dropped. */
static void give_up(unpack_state *state)
{
    state->dead = true;
    atomic_store_explicit(&state->lane->dead, state->ordinal, memory_order_relaxed);
}

/* ---- shards ---- */

static void emit_sample(void *user, leat__sample *sample)
{
    unpack_state *state = leat__stage_state(((leat__op *)user)->stage);
    leat__error_at_stage(&sample->error, "unpack");
    state->next_index = sample->index + 1;
    sample->until = state->last;
    sample->base = state->base;
    sample->latest = state->latest;
    leat__emit(user, &sample->item);
}

/* Emits the sample that stands for the object; error: NULL if it ended well. */
static leat__step end_object(leat__op *op, const leat_error *error)
{
    unpack_state *state = leat__stage_state(op->stage);
    const leat__chunk *chunk = (const leat__chunk *)op->input;
    uint64_t ignored = leat__tar_ignored(state->tar);
    atomic_fetch_add_explicit(&state->lane->flow->ignored, ignored - state->ignored, memory_order_relaxed);
    state->ignored = ignored;
    if (!error && !state->lane->marks_objects) return LEAT__DONE;
    leat__sample *sample = leat__sample_new(state->lane->stock, chunk->object, chunk->epoch);
    if (!sample) return no_memory(op);
    sample->lost_object = sample->last_of_object = true;
    sample->failed = error != NULL;
    sample->index = state->next_index;
    sample->until = state->last;
    sample->base = state->base;
    sample->latest = state->latest;
    if (error) {
        sample->error = *error;
        leat__error_at_stage(&sample->error, "unpack");
    }
    leat__emit(op, &sample->item);
    return LEAT__DONE;
}

static leat__step unpack_shard_job(leat__op *op)
{
    LEAT__ASSERT_JOB(leat__stage_pipeline(op->stage));
    unpack_state *state = leat__stage_state(op->stage);
    const leat__chunk *chunk = (const leat__chunk *)op->input;
    if (chunk->first) {
        state->next_index = chunk->extent.first;
        state->last = chunk->extent.last;
        state->base = chunk->extent.base;
        state->latest = chunk->extent.latest;
        leat__tar_begin_at(state->tar, chunk->object, chunk->epoch, chunk->extent.from, chunk->extent.first);
    }
    leat_error error;
    if (chunk->failed) return end_object(op, chunk->error);
    if (leat__flow_is_cut(state->lane->flow, chunk->epoch)) {
        give_up(state);
        return end_object(op, NULL);
    }
    leat_code code = LEAT_OK;
    if (chunk->bytes.size) code = leat__tar_feed(state->tar, &chunk->bytes, emit_sample, op, &error);
    if (!code && !chunk->last) return LEAT__DONE;
    if (!code) code = leat__tar_end(state->tar, emit_sample, op, &error);
    if (!chunk->last) give_up(state);
    return end_object(op, code ? &error : NULL);
}

/* ---- loose files ---- */

/* The pieces as one slice (gives), without a copy if there is one piece. */
static bool join_pieces(unpack_state *state, leat__bytes *whole)
{
    *whole = (leat__bytes){0};
    if (state->count == 0) return true;
    if (state->count == 1) {
        *whole = state->pieces[0];
        state->count = 0;
        return true;
    }
    leat__buffer *buffer = leat__buffer_new(state->lane->arena, state->lane->budget, (size_t)state->size);
    if (!buffer) return false;
    uint8_t *at = buffer->data;
    for (size_t i = 0; i < state->count; i++) {
        memcpy(at, state->pieces[i].data, state->pieces[i].size);
        at += state->pieces[i].size;
    }
    *whole = (leat__bytes){.buffer = buffer, .data = buffer->data, .size = (size_t)state->size};
    return true;
}

static bool keep_piece(unpack_state *state, leat__chunk *chunk)
{
    if (state->count == state->capacity) {
        size_t capacity = state->capacity ? state->capacity * 2 : 8;
        leat__bytes *pieces = realloc(state->pieces, capacity * sizeof *pieces);
        if (!pieces) return false;
        state->pieces = pieces;
        state->capacity = capacity;
    }
    state->pieces[state->count++] = chunk->bytes;
    state->size += chunk->bytes.size;
    chunk->bytes = (leat__bytes){0};
    return true;
}

/* Emits the file's sample, whole or failed. */
static leat__step end_file(leat__op *op, const leat_error *error)
{
    unpack_state *state = leat__stage_state(op->stage);
    const leat__object *object = ((const leat__chunk *)op->input)->object;
    leat__sample *sample = leat__sample_new(state->lane->stock, object, ((const leat__chunk *)op->input)->epoch);
    if (!sample) return no_memory(op);
    leat__bytes bytes = {0};
    bool ok = leat__sample_set_key(sample, object->key, strlen(object->key));
    if (ok && !error) ok = join_pieces(state, &bytes);
    if (ok && !error) ok = leat__sample_add(sample, object->field, strlen(object->field), bytes, 0);
    drop_pieces(state);
    if (!ok) {
        leat__item_release(&sample->item);
        return no_memory(op);
    }
    sample->last_of_object = true;
    sample->base = ((const leat__chunk *)op->input)->extent.base;
    sample->failed = error != NULL;
    if (error) {
        sample->error = *error;
        leat__error_at_stage(&sample->error, "unpack");
    }
    leat__emit(op, &sample->item);
    return LEAT__DONE;
}

static leat__step unpack_file(leat__op *op)
{
    unpack_state *state = leat__stage_state(op->stage);
    leat__chunk *chunk = (leat__chunk *)op->input;
    if (chunk->first) drop_pieces(state);
    if (chunk->failed) return end_file(op, chunk->error);
    if (state->size + chunk->bytes.size > state->lane->max_sample_bytes) {
        leat_error error;
        leat__fail(&error, LEAT_ELIMIT, 0, "the file has over %llu bytes, more than %s allows",
                   (unsigned long long)state->lane->max_sample_bytes, state->lane->limit_hint);
        if (!chunk->last) give_up(state);
        return end_file(op, &error);
    }
    if (chunk->bytes.size && !keep_piece(state, chunk)) return no_memory(op);
    return chunk->last ? end_file(op, NULL) : LEAT__DONE;
}

static leat__step unpack_begin(leat__op *op)
{
    LEAT__ASSERT_LOOP(leat__stage_pipeline(op->stage));
    unpack_state *state = leat__stage_state(op->stage);
    const leat__chunk *chunk = (const leat__chunk *)op->input;
    if (chunk->first) {
        state->ordinal++;
        state->dead = false;
    }
    if (state->dead) return LEAT__DONE;
    if (chunk->object->is_shard) return LEAT__CPU;
    return unpack_file(op);
}

const leat__stage_type leat__unpack_type = {.name = "unpack", .begin = unpack_begin, .job = unpack_shard_job,
                                            .destroy = unpack_destroy};
