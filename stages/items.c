/* items.c - tasks, chunks and samples: making them, filling them, ending them.
 *
 * What:    the three item types of the data's way, and the stock that they come from and go back to.
 * Why so:  a loader of loose files needs a task, a chunk and a sample for each image, and malloc is the one thing of a warm
 *          pipeline that could take long or fail. The stock keeps as many as were ever out at once, which queues and the
 *          memory plan bound. One sample's text and list are cut back when they come home large, so that a hostile name
 *          doesn't stay for good.
 * Threads: any; the lock guards the free lists and is held for a few instructions. An item itself has one holder.
 * Invariants:
 *   (1) an item is out (counted in stock->live) or on its shelf, never both
 *   (2) key is `no_text` or text; each field's name lies in text: when text moves they are rebased
 *   (3) the stock lives until it is released and its last item has come back
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

enum shelf { MARKERS, TASKS, CHUNKS, SAMPLES, SHELVES };

struct leat__stock {
    pthread_mutex_t lock;
    /* under the lock */
    leat__item *unused[SHELVES];
    size_t live;
    bool released;
};

/* ---- the stock ---- */

static void sample_free(leat__sample *sample)
{
    free(sample->fields);
    free(sample->text);
    free(sample);
}

static void stock_free(leat__stock *stock)
{
    assert(stock->live == 0);
    for (int shelf = 0; shelf < SHELVES; shelf++) {
        for (leat__item *item = stock->unused[shelf], *next; item; item = next) {
            next = item->next;
            if (shelf == SAMPLES) sample_free((leat__sample *)item);
            else free(item);
        }
    }
    pthread_mutex_destroy(&stock->lock);
    free(stock);
}

leat__stock *leat__stock_new(void)
{
    leat__stock *stock = calloc(1, sizeof *stock);
    if (!stock) return NULL;
    if (pthread_mutex_init(&stock->lock, NULL)) {
        free(stock);
        return NULL;
    }
    return stock;
}

void leat__stock_release(leat__stock *stock)
{
    if (!stock) return;
    pthread_mutex_lock(&stock->lock);
    assert(!stock->released);
    stock->released = true;
    bool last = stock->live == 0;
    pthread_mutex_unlock(&stock->lock);
    if (last) stock_free(stock);
}

size_t leat__stock_live(leat__stock *stock)
{
    pthread_mutex_lock(&stock->lock);
    size_t live = stock->live;
    pthread_mutex_unlock(&stock->lock);
    return live;
}

/* An item of `size` bytes: zeroed, or as the last one was given back. NULL if memory is short. */
static void *stock_take(leat__stock *stock, enum shelf shelf, size_t size)
{
    pthread_mutex_lock(&stock->lock);
    assert(!stock->released);
    leat__item *item = stock->unused[shelf];
    if (item) stock->unused[shelf] = item->next;
    else item = calloc(1, size);
    if (item) stock->live++;
    pthread_mutex_unlock(&stock->lock);
    return item;
}

static void stock_give_back(leat__stock *stock, enum shelf shelf, leat__item *item)
{
    pthread_mutex_lock(&stock->lock);
    assert(stock->live > 0);
    item->next = stock->unused[shelf];
    stock->unused[shelf] = item;
    bool last = --stock->live == 0 && stock->released;
    pthread_mutex_unlock(&stock->lock);
    if (last) stock_free(stock);
}

/* ---- markers ---- */

static void marker_come_back(leat__marker *marker)
{
    stock_give_back(marker->home, MARKERS, &marker->item);
}

leat__marker *leat__stock_marker(leat__stock *stock, uint64_t number)
{
    leat__marker *marker = stock_take(stock, MARKERS, sizeof *marker);
    if (marker) leat__marker_init(marker, number, marker_come_back, stock);
    return marker;
}

/* ---- tasks ---- */

static void task_release(leat__item *item)
{
    stock_give_back(((leat__task *)item)->home, TASKS, item);
}

static const leat__item_type task_type = { "task", task_release };

leat__task *leat__task_new(leat__stock *stock, const leat__object *object, uint64_t epoch)
{
    leat__task *task = stock_take(stock, TASKS, sizeof *task);
    if (task) *task = (leat__task){.item.type = &task_type, .home = stock, .object = object, .epoch = epoch,
                                   .extent = LEAT__WHOLE, .total = UINT64_MAX, .etag = ""};
    return task;
}

/* ---- chunks ---- */

static void chunk_release(leat__item *item)
{
    leat__chunk *chunk = (leat__chunk *)item;
    assert(!chunk->error || chunk->failed);
    leat__bytes_release(&chunk->bytes);
    free(chunk->error);
    stock_give_back(chunk->home, CHUNKS, item);
}

static const leat__item_type chunk_type = { "chunk", chunk_release };

leat__chunk *leat__chunk_new(leat__stock *stock, const leat__object *object, uint64_t epoch)
{
    leat__chunk *chunk = stock_take(stock, CHUNKS, sizeof *chunk);
    if (chunk) *chunk = (leat__chunk){.item.type = &chunk_type, .home = stock, .object = object, .epoch = epoch};
    return chunk;
}

/* ---- samples ---- */

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
    sample_empty(sample);
    stock_give_back(sample->home, SAMPLES, item);
}

static const leat__item_type sample_type = { "sample", sample_release };

leat__sample *leat__sample_new(leat__stock *stock, const leat__object *object, uint64_t epoch)
{
    leat__sample *sample = stock_take(stock, SAMPLES, sizeof *sample);
    if (!sample) return NULL;
    assert(sample->field_count == 0 && sample->text_size == 0);
    sample->item = (leat__item){ .type = &sample_type };
    sample->home = stock;
    sample->object = object;
    sample->epoch = sample->pass = epoch;
    sample->index = sample->offset = sample->end = sample->place = sample->base = sample->until = 0;
    sample->latest = UINT64_MAX;
    sample->key = no_text;
    sample->failed = sample->lost_object = sample->last_of_object = sample->repeats = false;
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
