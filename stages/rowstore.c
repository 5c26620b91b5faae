/* rowstore.c - the rows of a batch (tensors.h): given to samples, filled, and at the end closed up, substituted and joined.
 *
 * Threads: assign on the loop thread; a row's bytes by its worker alone; finish by whoever holds the batch.
 * Not here: where batches come from and go to (tensors.c). */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "stages/tensors.h"

void leat__batch_end_reserve(leat_batch *batch)
{
    if (batch->reserved) leat__budget_refund(batch->ragged_budget, batch->reserved);
    batch->reserved = 0;
}

bool leat__batch_assign(leat_batch *batch, const leat__sample *sample, size_t *row)
{
    assert(batch->assigned < batch->schema->batch_size);
    size_t length = strlen(sample->key) + 1;
    if (batch->text_size + length > batch->text_capacity) {
        size_t capacity = 2 * (batch->text_size + length) + 4096;
        char *text = realloc(batch->text, capacity);
        if (!text) return false;
        batch->text = text;
        batch->text_capacity = capacity;
    }
    memcpy(batch->text + batch->text_size, sample->key, length);
    *row = batch->assigned++;
    batch->rows[*row] = (leat__row_info){.key = batch->text_size, .shard = sample->object->display, .index = sample->index,
                                           .source = sample->object->source};
    batch->text_size += length;
    for (size_t i = 0; i < batch->schema->ragged_count; i++)
        batch->ragged[*row * batch->schema->ragged_count + i] = (leat__bytes){0};
    return true;
}

void *leat__batch_row(const leat_batch *batch, size_t column, size_t row)
{
    assert(row < batch->schema->batch_size && batch->schema->columns[column].kind != LEAT_FIELD_BYTES);
    return (uint8_t *)batch->tensors[column].data + row * batch->schema->columns[column].row_bytes;
}

void leat__batch_reserve_ragged(leat_batch *batch, size_t bytes)
{
    leat__budget_charge(batch->ragged_budget, bytes);
    batch->reserved += bytes;
}

bool leat__batch_set_ragged(leat_batch *batch, size_t column, size_t row, const leat__bytes *bytes)
{
    const leat__schema *schema = batch->schema;
    leat__bytes *place = &batch->ragged[row * schema->ragged_count + schema->columns[column].ragged];
    assert(schema->columns[column].kind == LEAT_FIELD_BYTES && !place->buffer);
    if (!bytes->size) return true;
    if (leat__bytes_uncharge(bytes)) { /* a file of its own, not a part of a shard's chunk */
        *place = leat__bytes_slice(bytes, 0, bytes->size);
        return true;
    }
    leat__buffer *buffer = leat__buffer_new(batch->arena, NULL, bytes->size); /* charged: it is reserved */
    if (!buffer) return false;
    memcpy(buffer->data, bytes->data, bytes->size);
    *place = (leat__bytes){.buffer = buffer, .data = buffer->data, .size = bytes->size};
    return true;
}

bool leat__batch_has_work(const leat_batch *batch)
{
    return batch->failed > 0 || batch->schema->ragged_count > 0;
}

static void copy_row(leat_batch *batch, size_t from, size_t to)
{
    const leat__schema *schema = batch->schema;
    for (size_t i = 0; i < schema->count; i++) {
        if (schema->columns[i].kind != LEAT_FIELD_BYTES) {
            memcpy(leat__batch_row(batch, i, to), leat__batch_row(batch, i, from), schema->columns[i].row_bytes);
            continue;
        }
        leat__bytes *rows = batch->ragged + schema->columns[i].ragged;
        leat__bytes copy = leat__bytes_slice(&rows[from * schema->ragged_count], 0, rows[from * schema->ragged_count].size);
        leat__bytes_release(&rows[to * schema->ragged_count]);
        rows[to * schema->ragged_count] = copy;
    }
}

/* The good row nearest to a failed one, the earlier of two; the number of rows if there is none. */
static size_t nearest_good(const leat_batch *batch, size_t row)
{
    for (size_t distance = 1; distance < batch->assigned; distance++) {
        if (row >= distance && batch->rows[row - distance].state == LEAT__ROW_GOOD) return row - distance;
        if (row + distance < batch->assigned && batch->rows[row + distance].state == LEAT__ROW_GOOD) return row + distance;
    }
    return batch->assigned;
}

static void substitute_failed(leat_batch *batch)
{
    for (size_t row = 0; row < batch->assigned; row++) {
        if (batch->rows[row].state != LEAT__ROW_FAILED) continue;
        size_t from = nearest_good(batch, row);
        if (from == batch->assigned) return; /* none is good: nothing to repeat */
        copy_row(batch, from, row);
        batch->rows[row].state = LEAT__ROW_SUBSTITUTED;
    }
}

/* Moves the rows that are there to the front, in their order. */
static void close_up(leat_batch *batch)
{
    size_t to = 0;
    for (size_t row = 0; row < batch->assigned; row++) {
        if (batch->rows[row].state == LEAT__ROW_FAILED) continue;
        if (to != row) {
            copy_row(batch, row, to);
            batch->rows[to] = batch->rows[row];
        }
        to++;
    }
    batch->count = to;
    batch->missing = batch->assigned - to;
}

static bool join_ragged(leat_batch *batch, const leat__column *column, leat_tensor *tensor)
{
    size_t stride = batch->schema->ragged_count;
    leat__bytes *rows = batch->ragged + column->ragged;
    int64_t *offsets = (int64_t *)(uintptr_t)tensor->offsets;
    size_t total = 0;
    for (size_t row = 0; row < batch->count; row++) {
        offsets[row] = (int64_t)total;
        total += rows[row * stride].size;
    }
    offsets[batch->count] = (int64_t)total;
    tensor->data = NULL;
    if (total) {
        leat__buffer *buffer = leat__buffer_new(batch->arena, batch->ragged_budget, total);
        if (!buffer) return false;
        batch->joined[column->ragged] = buffer;
        tensor->data = buffer->data;
    }
    for (size_t row = 0; row < batch->assigned; row++) {
        leat__bytes *bytes = &rows[row * stride];
        if (row < batch->count && bytes->size) memcpy((uint8_t *)tensor->data + offsets[row], bytes->data, bytes->size);
        leat__bytes_release(bytes);
    }
    tensor->bytes = total;
    return true;
}

bool leat__batch_finish(leat_batch *batch, bool substitute)
{
    assert(batch->arrived == batch->assigned);
    if (substitute && batch->failed) substitute_failed(batch);
    close_up(batch);
    for (size_t i = 0; i < batch->schema->count; i++) {
        leat_tensor *tensor = &batch->tensors[i];
        const leat__column *column = &batch->schema->columns[i];
        tensor->shape[0] = (int64_t)batch->count;
        tensor->bytes = batch->count * column->row_bytes;
        if (column->kind != LEAT_FIELD_BYTES) continue;
        if (!join_ragged(batch, column, tensor)) return false;
        tensor->shape[0] = (int64_t)tensor->bytes; /* 1-d: as many elements as bytes */
    }
    leat__batch_end_reserve(batch);
    return true;
}
