/* digests.c - 64-bit digests of data and settings, by which a state knows them again. */
#include "loader/digests.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "pipeline/fnv.h"

enum { MOST_STATS = 20000 };

/* A text and its NUL; NULL is another one than "". */
static uint64_t add_text(uint64_t digest, const char *text)
{
    return text ? leat__fnv_add(digest, text, strlen(text) + 1) : leat__fnv_add(digest, "\1", 1);
}

static uint64_t add_float(uint64_t digest, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return leat__fnv_number(digest, bits);
}

/* ---- data ---- */

static uint64_t add_name(uint64_t digest, const leat__object *object)
{
    if (object->key) return add_text(digest, object->key);
    size_t length = object->is_url ? strcspn(object->name, "?#") : strlen(object->name);
    const char *slash = memrchr(object->name, '/', length), *name = slash ? slash + 1 : object->name;
    digest = leat__fnv_add(digest, name, length - (size_t)(name - object->name));
    return leat__fnv_add(digest, "", 1);
}

uint64_t leat__digest_names(const leat__origins *origins)
{
    uint64_t digest = LEAT__FNV_START;
    for (size_t i = 0; i < origins->count; i++) {
        const leat__listing *listing = origins->all[i].listing;
        for (size_t k = 0; k < listing->count; k++) digest = add_name(digest, &listing->objects[k]);
        digest = leat__fnv_number(digest, listing->count);
    }
    return digest;
}

uint64_t leat__digest_sizes(const leat__origins *origins)
{
    uint64_t digest = LEAT__FNV_START;
    const leat__listing *listing = origins->all[0].listing;
    if (origins->counted || listing->count > MOST_STATS) return 0;
    for (size_t k = 0; k < listing->count; k++) {
        struct stat status;
        if (listing->objects[k].is_url || stat(listing->objects[k].name, &status)) return 0;
        digest = leat__fnv_number(digest, (uint64_t)status.st_size);
    }
    return digest;
}

uint64_t leat__digest_counts(const leat__origins *origins)
{
    uint64_t digest = LEAT__FNV_START;
    if (!origins->counted) return 0;
    for (size_t i = 0; i < origins->count; i++) {
        const leat__origin *origin = &origins->all[i];
        digest = leat__fnv_number(digest, origin->index ? leat__index_digest(origin->index) : origin->listing->count);
    }
    return digest ? digest : 1;
}

/* ---- settings ---- */

uint64_t leat__digest_fields(const leat_field *fields, size_t count)
{
    uint64_t digest = LEAT__FNV_START;
    for (size_t i = 0; fields && i < count; i++) {
        digest = add_text(digest, fields[i].tensor);
        digest = add_text(digest, fields[i].names);
        digest = leat__fnv_number(digest, fields[i].kind);
        digest = leat__fnv_number(digest, fields[i].optional);
    }
    return digest;
}

uint64_t leat__digest_image(const leat_image *image)
{
    uint64_t digest = LEAT__FNV_START;
    const uint64_t numbers[] = {image->height, image->width, image->crop, image->resize_shorter, image->flip, image->orient,
                                image->alpha, image->resample, image->decode, image->dtype, image->layout};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) digest = leat__fnv_number(digest, numbers[i]);
    for (int i = 0; i < 2; i++) {
        digest = add_float(digest, image->scale[i]);
        digest = add_float(digest, image->ratio[i]);
    }
    for (int i = 0; i < 3; i++) {
        digest = add_float(digest, image->mean[i]);
        digest = add_float(digest, image->std[i]);
    }
    return digest;
}

uint64_t leat__digest_mix(const leat_config *config)
{
    uint64_t digest = LEAT__FNV_START;
    if (!config->source_count) return 0;
    double first = config->sources[0].weight ? config->sources[0].weight : 1;
    for (size_t i = 0; i < config->source_count; i++) {
        const leat_source *source = &config->sources[i];
        double ratio = (source->weight ? source->weight : 1) / first; /* 1:1 is 2:2; impossible weights are refused elsewhere */
        digest = leat__fnv_number(digest, ratio > 1e-7 && ratio < 1e12 ? (uint64_t)llround(ratio * 1e6) : 0);
        digest = leat__fnv_number(digest, leat__digest_fields(source->fields, source->field_count));
        digest = leat__fnv_number(digest, source->image ? leat__digest_image(source->image) : 0);
    }
    return digest;
}
