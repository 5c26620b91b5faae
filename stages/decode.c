/* decode.c - the decode stage.
 *
 * What:    for each column of the schema: find the sample's field, turn it into the row's bytes. Then the user's function.
 * Why so:  one job does all of a sample, so that its bytes are read once, while they are warm; and the bytes are let go of here,
 *          as soon as the pixels are there, so that the lane they came from can read on.
 * Threads: jobs on the CPU pool, each with a kit of its own; the kits' list is under a lock for a few instructions.
 * Memory:  a codec that must hold a whole image (progressive, interlaced) is allowed worker_codec_bytes; a larger one waits
 *          for the one place of big_codec_bytes. A job that waits holds nothing that another one needs. */
#include "stages/decode.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <leat/loader.h>

#include "pipeline/failure.h"
#include "pipeline/pipeline.h"
#include "stages/flow.h"
#include "stages/npy.h"

/* One worker's codec and scratch. */
typedef struct kit {
    struct kit *next;
    leat__image_reader *reader;
    leat__transform *transform;
    leat__transform **own; /* of each source with image settings of its own, once it is needed; NULL: there are none */
} kit;

struct leat__decoder {
    /* fixed after creation */
    leat__decode_options options;
    /* under the lock */
    pthread_mutex_t lock;
    kit *kits;
    /* held while an image over worker_codec_bytes is decoded */
    pthread_mutex_t big;
};

struct leat_row {
    leat_batch *batch;
    size_t row;
    const leat__sample *sample;
    uint64_t seed;
};

leat__decoder *leat__decoder_new(const leat__decode_options *options)
{
    leat__decoder *decoder = calloc(1, sizeof *decoder);
    if (!decoder) return NULL;
    decoder->options = *options;
    pthread_mutex_init(&decoder->lock, NULL);
    pthread_mutex_init(&decoder->big, NULL);
    return decoder;
}

static void kit_free(kit *k, size_t sources)
{
    leat__image_reader_free(k->reader);
    leat__transform_free(k->transform);
    for (size_t i = 0; k->own && i < sources; i++) leat__transform_free(k->own[i]);
    free(k->own);
    free(k);
}

void leat__decoder_free(leat__decoder *decoder)
{
    if (!decoder) return;
    for (kit *k = decoder->kits, *next; k; k = next) {
        next = k->next;
        kit_free(k, decoder->options.schema->view_count);
    }
    pthread_mutex_destroy(&decoder->lock);
    pthread_mutex_destroy(&decoder->big);
    free(decoder);
}

static kit *kit_new(const leat__schema *schema)
{
    kit *k = calloc(1, sizeof *k);
    if (!k) return NULL;
    k->reader = leat__image_reader_new();
    k->transform = leat__transform_new(&schema->image);
    if (schema->view_count) k->own = calloc(schema->view_count, sizeof *k->own);
    if (k->reader && k->transform && (k->own || !schema->view_count)) return k;
    kit_free(k, schema->view_count);
    return NULL;
}

/* The transform for a sample's source; NULL if memory is short. */
static leat__transform *kit_transform(kit *k, const leat__schema *schema, const leat__sample *sample)
{
    const leat__schema *view = leat__schema_of(schema, sample);
    if (view == schema) return k->transform;
    leat__transform **own = &k->own[sample->object->source];
    if (!*own) *own = leat__transform_new(&view->image);
    return *own;
}

/* A kit that no other worker uses; NULL if memory is short. There are never more than workers. */
static kit *kit_take(leat__decoder *decoder)
{
    pthread_mutex_lock(&decoder->lock);
    kit *k = decoder->kits;
    if (k) decoder->kits = k->next;
    pthread_mutex_unlock(&decoder->lock);
    return k ? k : kit_new(decoder->options.schema);
}

static void kit_give_back(leat__decoder *decoder, kit *k)
{
    pthread_mutex_lock(&decoder->lock);
    k->next = decoder->kits;
    decoder->kits = k;
    pthread_mutex_unlock(&decoder->lock);
}

/* ---- fields ---- */

static uint64_t sample_id(const leat__sample *sample)
{
    return sample->object->number << 32 ^ sample->index;
}

static leat_code decode_image(leat__decoder *decoder, const leat__sample *sample, const leat__bytes *bytes, void *out,
                              leat_error *error)
{
    const leat__decode_options *options = &decoder->options;
    kit *k = kit_take(decoder);
    leat__transform *transform = k ? kit_transform(k, options->schema, sample) : NULL;
    if (!transform) {
        if (k) kit_give_back(decoder, k);
        return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a decoder");
    }
    leat__random_key key = {.seed = options->seed, .epoch = sample->pass, .sample = sample_id(sample)};
    leat__image_limits limits = {.max_pixels = options->max_image_pixels, .max_codec_bytes = options->worker_codec_bytes,
                                 .stop = options->stop};
    leat_code code = leat__transform_image(transform, k->reader, bytes->data, bytes->size, &limits, &key, out, error);
    if (code == LEAT_ELIMIT && options->big_codec_bytes > options->worker_codec_bytes) {
        limits.max_codec_bytes = options->big_codec_bytes;
        pthread_mutex_lock(&decoder->big);
        code = leat__transform_image(transform, k->reader, bytes->data, bytes->size, &limits, &key, out, error);
        pthread_mutex_unlock(&decoder->big);
    }
    kit_give_back(decoder, k);
    return code;
}

static void describe_shape(char *out, size_t capacity, leat_dtype dtype, int ndim, const int64_t *shape)
{
    size_t used = (size_t)snprintf(out, capacity, "%s [", leat_dtype_name(dtype));
    for (int i = 0; i < ndim && used < capacity; i++)
        used += (size_t)snprintf(out + used, capacity - used, i ? ", %lld" : "%lld", (long long)shape[i]);
    if (used + 1 < capacity) memcpy(out + used, "]", 2);
}

static leat_code decode_array(const leat__column *column, const leat__bytes *bytes, void *out, leat_error *error)
{
    leat__npy npy;
    leat_code code = leat__npy_parse(bytes->data, bytes->size, &npy, error);
    if (code) return code;
    bool same = npy.dtype == column->dtype && npy.ndim == column->ndim &&
                memcmp(npy.shape, column->shape, (size_t)npy.ndim * sizeof *npy.shape) == 0;
    if (!same) {
        char here[200], there[200];
        describe_shape(here, sizeof here, npy.dtype, npy.ndim, npy.shape);
        describe_shape(there, sizeof there, column->dtype, column->ndim, column->shape);
        return leat__fail(error, LEAT_ESHAPE, 0, "tensor \"%s\" is %s here, but %s in %s", column->tensor, here, there,
                          column->origin);
    }
    leat__npy_copy(&npy, bytes->data, out);
    return LEAT_OK;
}

static leat_code missing_field(const leat__column *column, const leat__sample *sample, leat_error *error)
{
    char have[300] = "";
    size_t used = 0;
    for (size_t i = 0; i < sample->field_count && used < sizeof have; i++) {
        char name[64];
        leat__escape(name, sizeof name, sample->fields[i].name, strlen(sample->fields[i].name));
        used += (size_t)snprintf(have + used, sizeof have - used, i ? ", %s" : "%s", name);
    }
    return leat__fail(error, LEAT_EMISSING, 0, "no field '%s' for tensor \"%s\"; the sample has %s", column->names,
                      column->tensor, have[0] ? have : "none");
}

/* A column for which the sample has no field. A class folder stands in for a label. */
static leat_code fill_missing(const leat__column *column, const leat__sample *sample, void *out, leat_error *error)
{
    if (column->kind == LEAT_FIELD_INT && (column->optional || sample->object->label >= 0)) {
        int64_t label = sample->object->label;
        memcpy(out, &label, sizeof label);
        return LEAT_OK;
    }
    if (!column->optional) return missing_field(column, sample, error);
    float nan = NAN;
    if (column->kind == LEAT_FIELD_FLOAT) memcpy(out, &nan, sizeof nan);
    return LEAT_OK;
}

/* A loose file is the image, whatever its name's ending says. */
static const leat__sample_field *find_field(const leat__column *column, const leat__sample *sample)
{
    bool any = column->kind == LEAT_FIELD_IMAGE && !sample->object->is_shard && sample->field_count == 1;
    return any ? &sample->fields[0] : leat__sample_find(sample, column->names);
}

static leat_code decode_field(leat__decoder *decoder, leat__sample *sample, size_t i, uint64_t *offset, leat_error *error)
{
    leat_batch *batch = sample->batch;
    const leat__column *column = &decoder->options.schema->columns[i];
    const leat__column *named = &leat__schema_of(decoder->options.schema, sample)->columns[i];
    const leat__sample_field *field = find_field(named, sample);
    void *out = column->kind == LEAT_FIELD_BYTES ? NULL : leat__batch_row(batch, i, sample->row);
    *offset = field ? field->offset : sample->offset;
    if (!field) return fill_missing(named, sample, out, error);
    const leat__bytes *bytes = &field->bytes;
    switch (column->kind) {
    case LEAT_FIELD_IMAGE:
        return decode_image(decoder, sample, bytes, out, error);
    case LEAT_FIELD_INT: {
        int64_t value;
        leat_code code = leat__parse_int(bytes->data, bytes->size, &value, error);
        if (!code) memcpy(out, &value, sizeof value);
        return code;
    }
    case LEAT_FIELD_FLOAT: {
        float value;
        leat_code code = leat__parse_float(bytes->data, bytes->size, &value, error);
        if (!code) memcpy(out, &value, sizeof value);
        return code;
    }
    case LEAT_FIELD_ARRAY:
        return decode_array(column, bytes, out, error);
    case LEAT_FIELD_BYTES:
        if (leat__batch_set_ragged(batch, i, sample->row, bytes)) return LEAT_OK;
        return leat__fail(error, LEAT_ENOMEM, 0, "no memory for %zu bytes of field '%s'", bytes->size, field->name);
    }
    return leat__fail(error, LEAT_EBUG, 0, "column kind %d", (int)column->kind);
}

/* ---- the user's function ---- */

static leat_code run_map(leat__decoder *decoder, const leat__sample *sample, leat_error *error)
{
    leat_row row = {.batch = sample->batch, .row = sample->row, .sample = sample, .seed = decoder->options.seed};
    char reason[512] = "", shown[sizeof reason];
    int refused = decoder->options.map(decoder->options.map_user, &row, reason, sizeof reason);
    if (!refused) return LEAT_OK;
    leat__escape(shown, sizeof shown, reason, strnlen(reason, sizeof reason));
    leat_code code = leat__fail(error, LEAT_EUSER, refused, "the map function refused it: %s", shown[0] ? shown : "no reason given");
    leat__error_at_stage(error, "map");
    return code;
}

void *leat_row_data(leat_row *row, const char *tensor, size_t *bytes)
{
    const leat__schema *schema = row->batch->schema;
    for (size_t i = 0; i < schema->count; i++) {
        if (strcmp(schema->columns[i].tensor, tensor) != 0 || schema->columns[i].kind == LEAT_FIELD_BYTES) continue;
        if (bytes) *bytes = schema->columns[i].row_bytes;
        return leat__batch_row(row->batch, i, row->row);
    }
    if (bytes) *bytes = 0;
    return NULL;
}

const void *leat_row_field(leat_row *row, const char *name, size_t *bytes)
{
    const leat__sample_field *field = leat__sample_field_named(row->sample, name, strlen(name));
    if (bytes) *bytes = field ? field->bytes.size : 0;
    return field ? field->bytes.data : NULL;
}

const char *leat_row_key(const leat_row *row)
{
    return row->sample->key;
}

const char *leat_row_shard(const leat_row *row)
{
    return row->sample->object->display;
}

uint64_t leat_row_index(const leat_row *row)
{
    return row->sample->index;
}

uint64_t leat_row_epoch(const leat_row *row)
{
    return row->sample->epoch;
}

uint64_t leat_row_random(const leat_row *row, uint32_t operation, uint32_t n)
{
    leat__random_key key = {.seed = row->seed, .epoch = row->sample->pass, .sample = sample_id(row->sample),
                            .operation = LEAT__DRAW_USER + operation};
    return leat__random_at(&key, n);
}

/* ---- the stage ---- */

void leat__decode_sample(leat__decoder *decoder, leat__sample *sample)
{
    assert(sample->batch && !sample->failed);
    uint64_t offset = UINT64_MAX;
    leat_code code = LEAT_OK;
    for (size_t i = 0; !code && i < decoder->options.schema->count; i++)
        code = decode_field(decoder, sample, i, &offset, &sample->error);
    if (!code && decoder->options.map) code = run_map(decoder, sample, &sample->error);
    if (!code) return;
    sample->failed = true;
    leat__error_at_stage(&sample->error, "decode");
    if (sample->object->is_shard) sample->error.offset = offset;
}

static leat__step decode_begin(leat__op *op)
{
    const leat__sample *sample = (const leat__sample *)op->input;
    if (sample->batch && !sample->failed) return LEAT__CPU;
    return leat__emit_input(op);
}

static leat__step decode_job(leat__op *op)
{
    LEAT__ASSERT_JOB(leat__stage_pipeline(op->stage));
    leat__sample *sample = (leat__sample *)op->input;
    leat__decode_sample(leat__stage_state(op->stage), sample);
    for (size_t i = 0; i < sample->field_count; i++) leat__bytes_release(&sample->fields[i].bytes);
    return leat__emit_input(op);
}

static void decode_destroy(void *state)
{
    leat__decoder_free(state);
}

const leat__stage_type leat__decode_type = {.name = "decode", .begin = decode_begin, .job = decode_job,
                                            .destroy = decode_destroy};
