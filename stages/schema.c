/* schema.c - what the tensors of a batch are (tensors.h), from what the config says. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"
#include "stages/npy.h"
#include "stages/tensors.h"
#include "stages/transform.h"

/* What a batch has if the config names no fields. */
static const leat_field default_fields[] = {
    {.tensor = "image", .names = "jpg;jpeg;png;jpe;jfif;img;image", .kind = LEAT_FIELD_IMAGE},
    {.tensor = "label", .names = "cls;label", .kind = LEAT_FIELD_INT, .optional = true},
};

static leat_code check_field(const leat_config *config, const leat_field *field, size_t i, leat_error *error)
{
    if (!field->tensor || !field->tensor[0] || !field->names || !field->names[0])
        return leat__fail(error, LEAT_EINVAL, 0, "fields[%zu] needs a tensor name and field names such as \"jpg;png\"", i);
    if (field->kind < LEAT_FIELD_IMAGE || field->kind > LEAT_FIELD_BYTES)
        return leat__fail(error, LEAT_EINVAL, 0, "fields[%zu] (\"%s\"): kind %d is none of LEAT_FIELD_*", i, field->tensor,
                          (int)field->kind);
    if (field->optional && (field->kind == LEAT_FIELD_IMAGE || field->kind == LEAT_FIELD_ARRAY))
        return leat__fail(error, LEAT_EINVAL, 0, "fields[%zu] (\"%s\"): images and arrays cannot be optional", i,
                          field->tensor);
    for (size_t j = 0; j < i; j++)
        if (strcmp(config->fields[j].tensor, field->tensor) == 0)
            return leat__fail(error, LEAT_EINVAL, 0, "fields[%zu] and fields[%zu] are both named \"%s\"", j, i,
                              field->tensor);
    return LEAT_OK;
}

static void describe_image(leat__column *column, const leat_image *image)
{
    int64_t channels = image->alpha ? 4 : 3;
    column->dtype = image->dtype;
    column->layout = image->layout;
    column->ndim = 3;
    column->shape[0] = image->layout == LEAT_CHW ? channels : image->height;
    column->shape[1] = image->layout == LEAT_CHW ? image->height : image->width;
    column->shape[2] = image->layout == LEAT_CHW ? image->width : channels;
    column->row_bytes = leat__image_row_bytes(image);
    column->known = true;
}

static bool describe(leat__schema *schema, leat__column *column, const leat_field *field)
{
    column->tensor = strdup(field->tensor);
    column->names = strdup(field->names);
    if (!column->tensor || !column->names) return false;
    column->kind = field->kind;
    column->optional = field->optional;
    column->known = field->kind != LEAT_FIELD_ARRAY;
    switch (field->kind) {
    case LEAT_FIELD_IMAGE:
        describe_image(column, &schema->image);
        break;
    case LEAT_FIELD_INT:
        column->dtype = LEAT_INT64;
        column->row_bytes = 8;
        break;
    case LEAT_FIELD_FLOAT:
        column->dtype = LEAT_FLOAT32;
        column->row_bytes = 4;
        break;
    case LEAT_FIELD_ARRAY:
        break;
    case LEAT_FIELD_BYTES:
        column->dtype = LEAT_UINT8;
        column->ragged = schema->ragged_count++;
        break;
    }
    return true;
}

static leat_code make(const leat_config *config, uint32_t rows, leat__schema **out, leat_error *error)
{
    *out = NULL;
    bool given = config->fields != NULL;
    if (given != (config->field_count > 0))
        return leat__fail(error, LEAT_EINVAL, 0, "fields and field_count go together: %s is zero",
                          given ? "field_count" : "fields");
    const leat_field *fields = given ? config->fields : default_fields;
    size_t count = given ? config->field_count : sizeof default_fields / sizeof *default_fields;
    leat__schema *schema = calloc(1, sizeof *schema);
    if (schema) schema->columns = calloc(count, sizeof *schema->columns);
    leat_code code = schema && schema->columns ? LEAT_OK : leat__fail(error, LEAT_ENOMEM, 0, "no memory for the fields");
    if (!code) {
        schema->count = count;
        schema->batch_size = rows;
        schema->image = config->image;
    }
    for (size_t i = 0; !code && i < count; i++) {
        if (given) code = check_field(config, &fields[i], i, error);
        if (!code && !describe(schema, &schema->columns[i], &fields[i]))
            code = leat__fail(error, LEAT_ENOMEM, 0, "no memory for the fields");
    }
    if (code) leat__schema_free(schema);
    else *out = schema;
    return code;
}

/* ---- sources with fields or images of their own ---- */

static leat_code check_view(const leat__schema *schema, const leat__schema *view, leat_error *error)
{
    const leat_image *a = &schema->image, *b = &view->image;
    bool same = view->count == schema->count;
    for (size_t i = 0; same && i < view->count; i++)
        same = view->columns[i].kind == schema->columns[i].kind && strcmp(view->columns[i].tensor, schema->columns[i].tensor) == 0;
    if (!same) return leat__fail(error, LEAT_EINVAL, 0, "its fields are not the config's tensors and kinds in the same order");
    if (a->height == b->height && a->width == b->width && a->alpha == b->alpha && a->dtype == b->dtype && a->layout == b->layout)
        return LEAT_OK;
    return leat__fail(error, LEAT_EINVAL, 0, "its images are not of the config's height, width, alpha, dtype and layout");
}

static leat_code make_view(leat__schema *schema, const leat_config *config, size_t i, leat_error *error)
{
    const leat_source *source = &config->sources[i];
    if (!source->fields && !source->image) return LEAT_OK;
    leat_config own = *config;
    leat_code code = LEAT_OK;
    if (source->fields) {
        own.fields = source->fields;
        own.field_count = source->field_count;
    }
    if (source->image) {
        own.image = *source->image;
        code = leat__image_defaults(&own.image, error);
    }
    if (!code) code = make(&own, schema->batch_size, &schema->views[i], error);
    if (!code) code = check_view(schema, schema->views[i], error);
    if (!code) return LEAT_OK;
    leat_error cause = *error;
    return leat__fail(error, code, 0, "sources[%zu]: %s", i, cause.message);
}

leat_code leat__schema_new(const leat_config *config, uint32_t rows, leat__schema **out, leat_error *error)
{
    leat_code code = make(config, rows, out, error);
    if (code || !config->source_count) return code;
    leat__schema *schema = *out;
    schema->views = calloc(config->source_count, sizeof *schema->views);
    if (schema->views) schema->view_count = config->source_count;
    else code = leat__fail(error, LEAT_ENOMEM, 0, "no memory for the fields of %zu sources", config->source_count);
    for (size_t i = 0; !code && i < config->source_count; i++) code = make_view(schema, config, i, error);
    if (!code) return LEAT_OK;
    leat__schema_free(schema);
    *out = NULL;
    return code;
}

void leat__schema_free(leat__schema *schema)
{
    if (!schema) return;
    for (size_t i = 0; i < schema->view_count; i++) leat__schema_free(schema->views[i]);
    for (size_t i = 0; i < schema->count; i++) {
        free(schema->columns[i].tensor);
        free(schema->columns[i].names);
    }
    free(schema->views);
    free(schema->columns);
    free(schema);
}

bool leat__schema_is_known(const leat__schema *schema)
{
    for (size_t i = 0; i < schema->count; i++)
        if (!schema->columns[i].known) return false;
    return true;
}

/* Adds `bytes`, rounded up to LEAT_ALIGNMENT, to *sum. False if it overflows. */
static bool add_aligned(size_t *sum, size_t bytes)
{
    return !__builtin_add_overflow(bytes, (size_t)LEAT_ALIGNMENT - 1, &bytes) &&
           !__builtin_add_overflow(*sum, bytes & ~((size_t)LEAT_ALIGNMENT - 1), sum);
}

size_t leat__schema_batch_bytes(const leat__schema *schema)
{
    size_t sum = 0;
    for (size_t i = 0; i < schema->count; i++) {
        size_t bytes;
        bool ragged = schema->columns[i].kind == LEAT_FIELD_BYTES;
        size_t row = ragged ? sizeof(int64_t) : schema->columns[i].row_bytes;
        size_t rows = (size_t)schema->batch_size + ragged; /* offsets: one more than rows */
        if (__builtin_mul_overflow(row, rows, &bytes) || !add_aligned(&sum, bytes)) return 0;
    }
    return sum ? sum : LEAT_ALIGNMENT;
}

leat_code leat__schema_learn(leat__schema *schema, size_t i, const leat__sample *sample, leat_error *error)
{
    leat__column *column = &schema->columns[i];
    const char *names = leat__schema_of(schema, sample)->columns[i].names;
    const leat__sample_field *field = leat__sample_find(sample, names);
    if (!field) return leat__fail(error, LEAT_EMISSING, 0, "no field '%s' for tensor \"%s\"", names, column->tensor);
    leat__npy npy;
    leat_code code = leat__npy_parse(field->bytes.data, field->bytes.size, &npy, error);
    if (code) return code;
    column->dtype = npy.dtype;
    column->ndim = npy.ndim;
    for (int k = 0; k < npy.ndim; k++) column->shape[k] = npy.shape[k];
    column->row_bytes = npy.bytes;
    snprintf(column->origin, sizeof column->origin, "%.150s of %.120s", sample->key, sample->object->display);
    column->known = true;
    return LEAT_OK;
}
