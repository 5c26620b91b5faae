/* tensors.c - a pool of batches that are used again.
 *
 * What:    batches are made when first needed, up to max_batches, and come back by leat_release, on any thread, also long
 *          after the loader has gone.
 * Why so:  a batch of 256 float images is 154 MB: mapping and clearing it costs more than decoding some of its rows.
 * Threads: the pool is under its lock; a batch belongs to who holds it.
 * Invariants: taken <= made <= max_batches; delivered <= taken; the pool lives while it is held or a batch is taken. */
#include "stages/tensors.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct leat__batches {
    /* fixed before the first batch */
    leat__batches_options options;
    /* under the lock */
    pthread_mutex_t lock;
    leat_batch *free, *all;
    size_t made, taken, delivered;
    bool wanted;             /* somebody found none, or counted */
    bool released;
    void (*wake)(void *user);
    void *wake_user;
    /* atomic; changed under the lock */
    _Atomic uint64_t returns;
};

leat__batches *leat__batches_new(const leat__batches_options *options)
{
    assert(options->max_batches > 0);
    leat__batches *batches = calloc(1, sizeof *batches);
    if (!batches) return NULL;
    batches->options = *options;
    pthread_mutex_init(&batches->lock, NULL);
    return batches;
}

static void end_reserve(leat_batch *batch)
{
    if (batch->reserved) leat__budget_refund(batch->home->options.ragged_budget, batch->reserved);
    batch->reserved = 0;
}

static void drop_contents(leat_batch *batch)
{
    size_t ragged_count = batch->schema->ragged_count;
    for (size_t i = 0; i < batch->assigned * ragged_count; i++) leat__bytes_release(&batch->ragged[i]);
    for (size_t i = 0; i < ragged_count; i++) {
        leat__buffer_release(batch->joined[i]);
        batch->joined[i] = NULL;
    }
    end_reserve(batch);
    batch->assigned = batch->arrived = batch->failed = batch->count = batch->missing = 0;
    batch->text_size = 0;
}

static void batch_free(leat_batch *batch)
{
    leat__buffer_release(batch->block);
    free(batch->tensors);
    free(batch->rows);
    free(batch->ragged);
    free(batch->joined);
    free(batch->text);
    free(batch);
}

static void pool_free(leat__batches *batches)
{
    for (leat_batch *batch = batches->all, *next; batch; batch = next) {
        next = batch->next_made;
        assert(batch->place == LEAT__BATCH_FREE);
        batch_free(batch);
    }
    pthread_mutex_destroy(&batches->lock);
    void (*on_free)(void *) = batches->options.on_free;
    void *user = batches->options.user;
    free(batches);
    if (on_free) on_free(user);
}

void leat__batches_set_max(leat__batches *batches, size_t max_batches)
{
    pthread_mutex_lock(&batches->lock);
    assert(batches->made == 0 && max_batches > 0);
    if (max_batches < batches->options.max_batches) batches->options.max_batches = max_batches;
    pthread_mutex_unlock(&batches->lock);
}

void leat__batches_set_wake(leat__batches *batches, void (*wake)(void *user), void *user)
{
    pthread_mutex_lock(&batches->lock);
    batches->wake = wake;
    batches->wake_user = user;
    pthread_mutex_unlock(&batches->lock);
}

/* Tells whoever waits that the counts have changed. The lock is held: the pipeline cannot go while its wake is called. */
static void wake_locked(leat__batches *batches)
{
    if (!batches->wanted) return;
    batches->wanted = false;
    if (batches->wake) batches->wake(batches->wake_user);
}

/* Back to the free ones. */
static void put_back_locked(leat__batches *batches, leat_batch *batch)
{
    assert(batches->taken > 0 && batch->place != LEAT__BATCH_FREE);
    batches->taken--;
    if (batch->place == LEAT__BATCH_DELIVERED) batches->delivered--;
    atomic_fetch_add(&batches->returns, 1);
    batch->place = LEAT__BATCH_FREE;
    batch->next = batches->free;
    batches->free = batch;
}

static void put_back(leat_batch *batch)
{
    leat__batches *batches = batch->home;
    drop_contents(batch);
    pthread_mutex_lock(&batches->lock);
    put_back_locked(batches, batch);
    bool last = batches->released && batches->taken == 0;
    wake_locked(batches);
    pthread_mutex_unlock(&batches->lock);
    if (last) pool_free(batches);
}

void leat__batches_release(leat__batches *batches)
{
    if (!batches) return;
    pthread_mutex_lock(&batches->lock);
    batches->released = true;
    batches->wake = NULL;
    for (leat_batch *batch = batches->all; batch; batch = batch->next_made) {
        if (batch->place != LEAT__BATCH_TAKEN) continue;
        drop_contents(batch);
        put_back_locked(batches, batch);
    }
    bool last = batches->taken == 0;
    pthread_mutex_unlock(&batches->lock);
    if (last) pool_free(batches);
}

static void batch_release_item(leat__item *item)
{
    put_back((leat_batch *)item);
}

static const leat__item_type batch_type = {.name = "batch", .release = batch_release_item};

void leat_release(leat_batch *batch)
{
    if (batch) put_back(batch);
}

/* Points the tensors into the block. */
static void lay_out(leat_batch *batch)
{
    const leat__schema *schema = batch->schema;
    uint8_t *at = batch->block->data;
    for (size_t i = 0; i < schema->count; i++) {
        const leat__column *column = &schema->columns[i];
        bool ragged = column->kind == LEAT_FIELD_BYTES;
        leat_tensor *tensor = &batch->tensors[i];
        *tensor = (leat_tensor){.name = column->tensor, .dtype = column->dtype, .layout = column->layout,
                                .ndim = column->ndim + 1};
        for (int d = 0; d < column->ndim; d++) tensor->shape[d + 1] = column->shape[d];
        int64_t stride = 1;
        for (int d = column->ndim; d >= 0; d--) {
            tensor->strides[d] = stride;
            if (d > 0) stride *= tensor->shape[d];
        }
        if (ragged) tensor->offsets = (int64_t *)(void *)at;
        else tensor->data = at;
        size_t bytes = ragged ? sizeof(int64_t) * (schema->batch_size + 1u) : column->row_bytes * schema->batch_size;
        at += (bytes + LEAT_ALIGNMENT - 1) & ~((size_t)LEAT_ALIGNMENT - 1);
    }
}

static leat_batch *batch_new(leat__batches *batches)
{
    const leat__schema *schema = batches->options.schema;
    assert(leat__schema_is_known(schema));
    size_t rows = schema->batch_size, ragged = schema->ragged_count, bytes = leat__schema_batch_bytes(schema);
    leat_batch *batch = calloc(1, sizeof *batch);
    if (!batch || !bytes) goto fail;
    batch->item.type = &batch_type;
    batch->home = batches;
    batch->schema = schema;
    batch->tensors = calloc(schema->count, sizeof *batch->tensors);
    batch->rows = calloc(rows, sizeof *batch->rows);
    batch->ragged = calloc(ragged ? rows * ragged : 1, sizeof *batch->ragged);
    batch->joined = calloc(ragged ? ragged : 1, sizeof *batch->joined);
    batch->block = leat__buffer_new(batches->options.arena, batches->options.budget, bytes);
    if (!batch->tensors || !batch->rows || !batch->ragged || !batch->joined || !batch->block) goto fail;
    lay_out(batch);
    return batch;
fail:
    if (batch) batch_free(batch);
    return NULL;
}

leat_batch *leat__batches_take(leat__batches *batches, uint64_t epoch, uint64_t step, bool *no_memory)
{
    *no_memory = false;
    pthread_mutex_lock(&batches->lock);
    leat_batch *batch = batches->free;
    bool make = !batch && batches->made < batches->options.max_batches;
    if (batch) batches->free = batch->next;
    if (make) batches->made++;
    if (batch || make) batches->taken++;
    else batches->wanted = true;
    pthread_mutex_unlock(&batches->lock);
    if (make) {
        batch = batch_new(batches);
        pthread_mutex_lock(&batches->lock);
        if (batch) {
            batch->next_made = batches->all;
            batches->all = batch;
        } else {
            batches->made--;
            batches->taken--;
            *no_memory = true;
        }
        pthread_mutex_unlock(&batches->lock);
    }
    if (!batch) return NULL;
    batch->place = LEAT__BATCH_TAKEN;
    batch->epoch = epoch;
    batch->step = step;
    batch->item.bytes = batch->block->capacity;
    return batch;
}

void leat__batch_deliver(leat_batch *batch)
{
    leat__batches *batches = batch->home;
    pthread_mutex_lock(&batches->lock);
    assert(batch->place == LEAT__BATCH_TAKEN);
    batch->place = LEAT__BATCH_DELIVERED;
    batches->delivered++;
    wake_locked(batches);
    pthread_mutex_unlock(&batches->lock);
}

uint64_t leat__batches_returns(const leat__batches *batches)
{
    return atomic_load(&batches->returns);
}

bool leat__batches_look(leat__batches *batches, size_t ours, uint64_t returns, void (*stuck)(void *user, size_t delivered),
                        void *user)
{
    pthread_mutex_lock(&batches->lock);
    assert(ours <= batches->taken - batches->delivered);
    batches->wanted = true;
    bool others = batches->taken > ours;
    bool held = batches->taken - ours == batches->delivered && returns == atomic_load(&batches->returns);
    if (others && held) stuck(user, batches->delivered);
    pthread_mutex_unlock(&batches->lock);
    return others;
}

/* ---- rows ---- */

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
    batch->rows[*row] = (leat__row_info){.key = batch->text_size, .shard = sample->object->display, .index = sample->index};
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
    leat__budget_charge(batch->home->options.ragged_budget, bytes);
    batch->reserved += bytes;
}

bool leat__batch_set_ragged(leat_batch *batch, size_t column, size_t row, const leat__bytes *bytes)
{
    const leat__schema *schema = batch->schema;
    leat__bytes *place = &batch->ragged[row * schema->ragged_count + schema->columns[column].ragged];
    assert(schema->columns[column].kind == LEAT_FIELD_BYTES && !place->buffer);
    if (!bytes->size) return true;
    leat__buffer *buffer = leat__buffer_new(batch->home->options.arena, NULL, bytes->size); /* charged: it is reserved */
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
        leat__buffer *buffer = leat__buffer_new(batch->home->options.arena, batch->home->options.ragged_budget, total);
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
    end_reserve(batch);
    return true;
}
