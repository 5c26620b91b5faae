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

static void drop_contents(leat_batch *batch)
{
    size_t ragged_count = batch->schema->ragged_count;
    for (size_t i = 0; i < batch->assigned * ragged_count; i++) leat__bytes_release(&batch->ragged[i]);
    for (size_t i = 0; i < ragged_count; i++) {
        leat__buffer_release(batch->joined[i]);
        batch->joined[i] = NULL;
    }
    leat__batch_end_reserve(batch);
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
    batch->arena = batches->options.arena;
    batch->ragged_budget = batches->options.ragged_budget;
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
