/* items.c - tasks, chunks and samples: making them, filling them, ending them.
 *
 * What:    the three item types of the data's way, and the pool that samples come from and go back to.
 * Why so:  tasks and chunks are few (one an object, one per 256 KiB), so they come from malloc. Samples are many, and
 *          each has a text and a list of fields: they are recycled with both, so that a warm pipeline allocates
 *          nothing per sample. The pool keeps as many as were ever alive at once, which the memory plan bounds; one
 *          sample's text and list are cut back when they come home large, so that a hostile name doesn't stay for
 *          good.
 * Threads: any; the lock guards the free list and is held for a few instructions. A sample itself has one holder.
 * Invariants:
 *   (1) a sample is alive (counted in pool->live) or in pool->unused, never both
 *   (2) key is `no_text` or text; each field's name lies in text: when text moves they are rebased
 *   (3) the pool lives until it is released and its last sample has come back
 * Not here: what keys and fields mean (wds.c, source.c), memory limits (budget.c). */
#include "stages/items.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"

enum {
    TEXT_FIRST = 128,       /* a key of some 40 bytes and a few names of 4 */
    TEXT_KEPT = 4096,       /* 32 times that: no ordinary name is longer */
    FIELDS_FIRST = 4,       /* jpg, cls, json and one more */
    FIELDS_KEPT = 256,      /* 10 KiB */
};

static const char no_text[] = "";

struct leat__pool_of_samples {
    pthread_mutex_t lock;
    /* under the lock */
    leat__sample *unused;   /* linked by item.next */
    size_t live;
    bool released;
};

/* ---- tasks ---- */

static void task_release(leat__item *item)
{
    free(item);
}

static const leat__item_type task_type = { "task", task_release };

leat__task *leat__task_new(const leat__object *object, uint64_t epoch)
{
    leat__task *task = calloc(1, sizeof *task);
    if (!task) return NULL;
    task->item.type = &task_type;
    task->object = object;
    task->epoch = epoch;
    return task;
}

/* ---- chunks ---- */

static void chunk_release(leat__item *item)
{
    leat__chunk *chunk = (leat__chunk *)item;
    assert(!chunk->error || chunk->failed);
    leat__bytes_release(&chunk->bytes);
    free(chunk->error);
    free(chunk);
}

static const leat__item_type chunk_type = { "chunk", chunk_release };

leat__chunk *leat__chunk_new(const leat__object *object, uint64_t epoch)
{
    leat__chunk *chunk = calloc(1, sizeof *chunk);
    if (!chunk) return NULL;
    chunk->item.type = &chunk_type;
    chunk->object = object;
    chunk->epoch = epoch;
    return chunk;
}

/* ---- the pool of samples ---- */

static void sample_free(leat__sample *sample)
{
    free(sample->fields);
    free(sample->text);
    free(sample);
}

static void pool_free(leat__pool_of_samples *pool)
{
    assert(pool->live == 0);
    while (pool->unused) {
        leat__sample *sample = pool->unused;
        pool->unused = (leat__sample *)sample->item.next;
        sample_free(sample);
    }
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

leat__pool_of_samples *leat__samples_new(void)
{
    leat__pool_of_samples *pool = calloc(1, sizeof *pool);
    if (!pool) return NULL;
    if (pthread_mutex_init(&pool->lock, NULL)) {
        free(pool);
        return NULL;
    }
    return pool;
}

void leat__samples_release(leat__pool_of_samples *pool)
{
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    assert(!pool->released);
    pool->released = true;
    bool last = pool->live == 0;
    pthread_mutex_unlock(&pool->lock);
    if (last) pool_free(pool);
}

size_t leat__samples_live(leat__pool_of_samples *pool)
{
    pthread_mutex_lock(&pool->lock);
    size_t live = pool->live;
    pthread_mutex_unlock(&pool->lock);
    return live;
}

/* Drops what the sample holds, and arrays that grew beyond what an ordinary sample needs. */
static void sample_empty(leat__sample *sample)
{
    assert(sample->field_count <= sample->field_capacity);
    for (size_t i = 0; i < sample->field_count; i++) leat__bytes_release(&sample->fields[i].bytes);
    if (sample->field_capacity > FIELDS_KEPT) {
        free(sample->fields);
        sample->fields = NULL;
        sample->field_capacity = 0;
    }
    if (sample->text_capacity > TEXT_KEPT) {
        free(sample->text);
        sample->text = NULL;
        sample->text_capacity = 0;
    }
    sample->field_count = 0;
    sample->text_size = 0;
    sample->key = no_text;
}

static void sample_release(leat__item *item)
{
    leat__sample *sample = (leat__sample *)item;
    leat__pool_of_samples *pool = sample->home;
    sample_empty(sample);
    pthread_mutex_lock(&pool->lock);
    assert(pool->live > 0);
    sample->item.next = (leat__item *)pool->unused;
    pool->unused = sample;
    bool last = --pool->live == 0 && pool->released;
    pthread_mutex_unlock(&pool->lock);
    if (last) pool_free(pool);
}

static const leat__item_type sample_type = { "sample", sample_release };

/* ---- samples ---- */

leat__sample *leat__sample_new(leat__pool_of_samples *pool, const leat__object *object, uint64_t epoch)
{
    pthread_mutex_lock(&pool->lock);
    assert(!pool->released);
    leat__sample *sample = pool->unused;
    if (sample) pool->unused = (leat__sample *)sample->item.next;
    else sample = calloc(1, sizeof *sample);
    if (sample) pool->live++;
    pthread_mutex_unlock(&pool->lock);
    if (!sample) return NULL;

    assert(sample->field_count == 0 && sample->text_size == 0);
    sample->item = (leat__item){ .type = &sample_type };
    sample->home = pool;
    sample->object = object;
    sample->epoch = epoch;
    sample->index = sample->offset = sample->end = 0;
    sample->key = no_text;
    sample->failed = sample->lost_object = sample->last_of_object = false;
    leat__error_clear(&sample->error);
    sample->batch = NULL;
    sample->row = 0;
    return sample;
}

/* True if the bytes lie in the sample's text. */
static bool is_inline(const leat__bytes *bytes)
{
    return !bytes->buffer && bytes->size > 0;
}

/* Moves the text to `capacity` bytes, and what lies in it with it. */
static bool text_move(leat__sample *sample, size_t capacity)
{
    assert(capacity > sample->text_size);
    char *text = malloc(capacity);
    if (!text) return false;
    if (sample->text_size) memcpy(text, sample->text, sample->text_size);
    if (sample->key != no_text) sample->key = text;
    for (size_t i = 0; i < sample->field_count; i++) {
        leat__sample_field *field = &sample->fields[i];
        field->name = text + (field->name - sample->text);
        if (is_inline(&field->bytes)) field->bytes.data = (uint8_t *)text + ((const char *)field->bytes.data - sample->text);
    }
    free(sample->text);
    sample->text = text;
    sample->text_capacity = capacity;
    return true;
}

/* Appends length bytes and a NUL to the text. Returns where they lie, or NULL if memory is short. */
static char *text_append(leat__sample *sample, const char *from, size_t length)
{
    size_t need, capacity = sample->text_capacity ? sample->text_capacity : TEXT_FIRST;
    if (__builtin_add_overflow(sample->text_size, length, &need) || need > SIZE_MAX / 2 - 1) return NULL;
    need++;
    while (capacity < need) capacity *= 2;
    if (capacity > sample->text_capacity && !text_move(sample, capacity)) return NULL;

    char *at = sample->text + sample->text_size;
    if (length) memcpy(at, from, length);
    at[length] = '\0';
    sample->text_size = need;
    assert(sample->text_size <= sample->text_capacity);
    return at;
}

bool leat__sample_set_key(leat__sample *sample, const char *key, size_t length)
{
    assert(sample->field_count == 0 && sample->key == no_text);
    const char *at = text_append(sample, key, length);
    if (!at) return false;
    assert(at == sample->text);
    sample->key = at;
    return true;
}

/* ASCII only: names mean the same in every locale. */
static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool fields_grow(leat__sample *sample)
{
    if (sample->field_count < sample->field_capacity) return true;
    size_t capacity = sample->field_capacity ? sample->field_capacity * 2 : FIELDS_FIRST;
    leat__sample_field *fields = reallocarray(sample->fields, capacity, sizeof *fields);
    if (!fields) return false;
    sample->fields = fields;
    sample->field_capacity = capacity;
    return true;
}

/* Copies a small field's bytes into the text and drops its buffer. False if memory is short. */
static bool take_in(leat__sample *sample, leat__bytes *bytes)
{
    const char *copy = text_append(sample, (const char *)bytes->data, bytes->size);
    if (!copy) return false;
    size_t size = bytes->size;
    leat__bytes_release(bytes);
    *bytes = (leat__bytes){.data = (const uint8_t *)copy, .size = size};
    return true;
}

bool leat__sample_add(leat__sample *sample, const char *name, size_t length, leat__bytes bytes, uint64_t offset)
{
    char *at = fields_grow(sample) ? text_append(sample, name, length) : NULL;
    if (!at) {
        leat__bytes_release(&bytes);
        return false;
    }
    for (size_t i = 0; i < length; i++) at[i] = lower(at[i]);
    leat__sample_field *field = &sample->fields[sample->field_count++];
    *field = (leat__sample_field){.name = at, .offset = offset}; /* named first: its name moves with the text */
    if (bytes.buffer && bytes.size > 0 && bytes.size <= LEAT__INLINE_BYTES && !take_in(sample, &bytes)) {
        leat__bytes_release(&bytes);
        sample->field_count--;
        return false;
    }
    field->bytes = bytes;
    sample->item.bytes += bytes.size;
    return true;
}

const leat__sample_field *leat__sample_field_named(const leat__sample *sample, const char *name, size_t length)
{
    for (size_t i = 0; i < sample->field_count; i++) {
        const char *have = sample->fields[i].name;
        size_t k = 0;
        while (k < length && have[k] && have[k] == lower(name[k])) k++;
        if (k == length && !have[k]) return &sample->fields[i];
    }
    return NULL;
}

const leat__sample_field *leat__sample_find(const leat__sample *sample, const char *names)
{
    assert(names);
    for (;;) {
        size_t length = strcspn(names, ";");
        const leat__sample_field *field = length ? leat__sample_field_named(sample, names, length) : NULL;
        if (field || !names[length]) return field;
        names += length + 1;
    }
}
