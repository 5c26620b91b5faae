/* ideal.c - how fast the data could come (include/leat/measure.h).
 *
 * What:    reads samples into memory, then lets plain threads decode them over and over into the rows of one batch, with the
 *          very functions that the decode stage calls.
 * Why so:  a loader's speed means nothing by itself. Against this loop it says what the pipeline costs: reading, unpacking,
 *          queues, the loop thread. The rows are those of a whole batch, so that both write to memory that is as cold.
 * Threads: those it starts; each has its own part of the rows. */
#include <leat/measure.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <leat/reader.h>

#include "loader/opening.h"
#include "loader/plan.h"
#include "pipeline/failure.h"
#include "pipeline/thread.h"
#include "stages/source.h"

/* Samples in memory. They keep what they point to in the readers' samples alive by copies of their own. */
typedef struct hoard {
    leat__object *objects;   /* one for each sample: what decoding needs of it */
    leat__sample *samples;
    size_t count, capacity;
    uint64_t bytes;
} hoard;

typedef struct bench {
    leat__decoder *decoder;
    leat_batch *batch;
    const hoard *samples;
    unsigned threads;
    atomic_uint numbered;    /* threads that have taken their number */
    atomic_size_t next;      /* sample */
    atomic_bool measuring, stop;
    _Atomic uint64_t done;
} bench;

/* ---- collecting ---- */

static bool grow(hoard *h)
{
    size_t capacity = h->capacity ? 2 * h->capacity : 256;
    leat__sample *samples = realloc(h->samples, capacity * sizeof *samples);
    if (samples) h->samples = samples;
    leat__object *objects = samples ? realloc(h->objects, capacity * sizeof *objects) : NULL;
    if (!objects) return false;
    h->objects = objects;
    h->capacity = capacity;
    return true;
}

static void free_fields(leat__sample *sample)
{
    for (size_t i = 0; i < sample->field_count; i++) {
        free((void *)(uintptr_t)sample->fields[i].name);
        free((void *)(uintptr_t)sample->fields[i].bytes.data);
    }
    free(sample->fields);
    free(sample->text);
}

static bool copy_field(leat__sample_field *to, const leat_sample *from, size_t i)
{
    size_t bytes;
    const void *data = leat_sample_bytes(from, i, &bytes);
    uint8_t *copy = malloc(bytes ? bytes : 1);
    if (copy && bytes) memcpy(copy, data, bytes);
    *to = (leat__sample_field){.name = strdup(leat_sample_field(from, i)), .bytes = {.data = copy, .size = bytes}};
    return copy && to->name;
}

static bool keep(hoard *h, const leat_sample *from)
{
    if (h->count == h->capacity && !grow(h)) return false;
    leat__object *object = &h->objects[h->count];
    leat__sample *to = &h->samples[h->count];
    /* the sample's own number stands for (object, index): any key of its random draws is as good as another here */
    *object = (leat__object){.name = "", .display = "", .number = h->count, .label = leat_sample_class(from), .is_shard = true,
                              .source = leat__reader_source(from)};
    *to = (leat__sample){.text = strdup(leat_sample_key(from)), .index = 0};
    to->key = to->text;
    to->fields = calloc(leat_sample_fields(from) + 1, sizeof *to->fields);
    bool ok = to->text && to->fields;
    for (size_t i = 0; ok && i < leat_sample_fields(from); i++) {
        ok = copy_field(&to->fields[i], from, i);
        h->bytes += to->fields[i].bytes.size;
        to->field_count++;
    }
    h->count++;
    return ok;
}

static void hoard_free(hoard *h)
{
    for (size_t i = 0; i < h->count; i++) free_fields(&h->samples[i]);
    free(h->samples);
    free(h->objects);
}

static leat_code collect(const leat_config *config, uint64_t max_samples, hoard *h, leat_error *error)
{
    leat_config one_epoch = *config;
    one_epoch.epochs = 1;
    one_epoch.resume = NULL;
    one_epoch.world = 1;
    one_epoch.rank = 0;
    one_epoch.on_error = LEAT_ON_ERROR_SKIP;
    one_epoch.max_errors = LEAT_UNLIMITED;
    uint64_t max_bytes = (config->memory_limit ? config->memory_limit : UINT64_C(1) << 30) / 2;
    leat_reader *reader;
    leat_code code = leat_reader_open(&one_epoch, &reader, error);
    while (!code && h->bytes < max_bytes && (!max_samples || h->count < max_samples)) {
        leat_sample *sample;
        code = leat_reader_next(reader, &sample, error);
        if (code) break;
        if (!keep(h, sample)) code = leat__fail(error, LEAT_ENOMEM, 0, "no memory to hold %zu samples", h->count);
        leat_sample_release(sample);
    }
    leat_reader_close(reader);
    if (code && code != LEAT_END) return code;
    for (size_t i = 0; i < h->count; i++) h->samples[i].object = &h->objects[i];
    return h->count ? LEAT_OK : leat__fail(error, LEAT_EMISSING, 0, "the source has no sample to measure with");
}

/* ---- decoding ---- */

static void clear_ragged(leat_batch *batch, size_t row)
{
    size_t count = batch->schema->ragged_count;
    for (size_t i = 0; i < count; i++) leat__bytes_release(&batch->ragged[row * count + i]);
}

static void *decode_on(void *argument)
{
    bench *b = argument;
    size_t number = atomic_fetch_add(&b->numbered, 1), rows = b->batch->schema->batch_size / b->threads;
    for (size_t turn = 0; !atomic_load_explicit(&b->stop, memory_order_relaxed); turn++) {
        size_t n = atomic_fetch_add_explicit(&b->next, 1, memory_order_relaxed);
        leat__sample sample = b->samples->samples[n % b->samples->count];
        sample.batch = b->batch;
        sample.row = number * rows + turn % rows;
        leat__decode_sample(b->decoder, &sample);
        clear_ragged(b->batch, sample.row);
        if (!sample.failed && atomic_load_explicit(&b->measuring, memory_order_relaxed)) atomic_fetch_add(&b->done, 1);
    }
    return NULL;
}

static void nap(double seconds)
{
    uv_sleep((unsigned)(seconds * 1000));
}

static leat_code run_threads(bench *b, unsigned threads, double seconds, leat_ideal *ideal, leat_error *error)
{
    pthread_t *thread = calloc(threads, sizeof *thread);
    if (!thread) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for %u threads", threads);
    leat_code code = LEAT_OK;
    unsigned started = 0;
    while (!code && started < threads) {
        int rc = leat__thread_start(&thread[started], "leat-ideal", decode_on, b);
        if (rc) code = leat__fail_errno(error, LEAT_ESYSTEM, rc, "cannot start thread %u of %u", started + 1, threads);
        else started++;
    }
    if (!code) {
        nap(seconds / 5); /* warm up: codecs' memory, pages of the batch */
        uint64_t begin = uv_hrtime();
        atomic_store(&b->measuring, true);
        nap(seconds);
        atomic_store(&b->measuring, false);
        ideal->seconds = (double)(uv_hrtime() - begin) / 1e9;
        ideal->samples = atomic_load(&b->done);
        ideal->samples_per_second = (double)ideal->samples / ideal->seconds;
    }
    atomic_store(&b->stop, true);
    for (unsigned i = 0; i < started; i++) pthread_join(thread[i], NULL);
    free(thread);
    return code;
}

/* ---- all of it ---- */

/* What decoding needs, apart from samples: made without a pipeline. */
typedef struct kitchen {
    leat_config config;
    leat__schema *schema;
    leat__arena *arena;
    leat__budget budget;
    leat__batches *batches;
    leat__decoder *decoder;
    leat_batch *batch;
} kitchen;

static void kitchen_close(kitchen *k)
{
    leat__decoder_free(k->decoder);
    leat__batches_release(k->batches); /* takes the batch along: it was not delivered */
    leat__arena_release(k->arena);
    leat__schema_free(k->schema);
}

/* Array columns have the shape of the first sample, as in a loader. */
static leat_code learn_arrays(leat__schema *schema, const hoard *h, leat_error *error)
{
    leat_code code = LEAT_OK;
    for (size_t i = 0; !code && i < schema->count; i++)
        if (!schema->columns[i].known) code = leat__schema_learn(schema, i, &h->samples[0], error);
    return code;
}

static leat_code kitchen_open(kitchen *k, const leat_config *config, const hoard *h, leat_error *error)
{
    *k = (kitchen){0};
    leat_code code = leat__plan_config(config, &k->config, error);
    if (!code && k->config.batch_size < k->config.threads) k->config.batch_size = k->config.threads;
    if (!code) code = leat__schema_new(&k->config, k->config.batch_size, &k->schema, error);
    if (!code) code = learn_arrays(k->schema, h, error);
    if (code) return code;
    leat__budget_init(&k->budget, NULL, SIZE_MAX, NULL, NULL);
    leat__decode_options decode = leat__decode_options_of(&k->config, k->schema);
    decode.worker_codec_bytes = k->config.memory_limit / 16 / k->config.threads;
    decode.big_codec_bytes = k->config.memory_limit / 16;
    k->arena = leat__arena_new(0);
    k->decoder = leat__decoder_new(&decode);
    leat__batches_options batches = {.schema = k->schema, .arena = k->arena, .budget = &k->budget,
                                     .ragged_budget = &k->budget, .max_batches = 1};
    if (k->arena && k->decoder) k->batches = leat__batches_new(&batches);
    bool no_memory;
    if (k->batches) k->batch = leat__batches_take(k->batches, 0, 0, &no_memory);
    if (!k->batch) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a batch of %u rows", k->config.batch_size);
    return LEAT_OK;
}

leat_code leat_measure_ideal(const leat_config *config, double seconds, uint64_t max_samples, leat_ideal *ideal,
                             leat_error *error)
{
    leat_error ignored;
    if (!error) error = &ignored;
    leat__error_clear(error);
    *ideal = (leat_ideal){0};
    if (!(seconds > 0 && seconds < 1e6)) return leat__fail(error, LEAT_EINVAL, 0, "seconds is %g: give more than 0", seconds);
    hoard h = {0};
    kitchen k = {0};
    leat_code code = collect(config, max_samples, &h, error);
    if (!code) code = kitchen_open(&k, config, &h, error);
    if (!code) {
        bench b = {.decoder = k.decoder, .batch = k.batch, .samples = &h, .threads = k.config.threads};
        ideal->distinct = h.count;
        code = run_threads(&b, k.config.threads, seconds, ideal, error);
    }
    kitchen_close(&k);
    hoard_free(&h);
    return code;
}
