/* ownconfig.c - a config whose pointers are the loader's own: leat_open only borrows the caller's. */
#include "loader/ownconfig.h"

#include <stdlib.h>
#include <string.h>

/* Copies a text that may be NULL. False if memory is short. */
static bool own_text(const char **text)
{
    if (!*text) return true;
    *text = strdup(*text);
    return *text != NULL;
}

static bool own_headers(leat_config *config)
{
    size_t count = config->header_count;
    const char *const *from = config->headers;
    char **headers = count ? calloc(count, sizeof *headers) : NULL;
    config->headers = (const char *const *)headers;
    if (!headers) return count == 0;
    for (size_t i = 0; i < count; i++)
        if (!(headers[i] = strdup(from[i]))) return false;
    return true;
}

static bool own_fields(const leat_field **all, size_t count)
{
    const leat_field *from = *all;
    if (!from) return true;
    leat_field *fields = calloc(count ? count : 1, sizeof *fields);
    *all = fields;
    if (!fields) return false;
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        fields[i] = from[i];
        bool tensor = own_text(&fields[i].tensor), names = own_text(&fields[i].names);
        good = good && tensor && names;
    }
    return good;
}

static bool own_source(leat_source *source)
{
    const leat_image *image = source->image;
    leat_image *copy = image ? malloc(sizeof *copy) : NULL;
    if (copy) *copy = *image;
    source->image = copy;
    bool texts = own_text(&source->source), name = own_text(&source->name), index = own_text(&source->index);
    bool fields = own_fields(&source->fields, source->field_count);
    return texts && name && index && fields && (!image || copy);
}

static bool own_sources(leat_config *config)
{
    const leat_source *from = config->sources;
    if (!from) return true;
    leat_source *sources = calloc(config->source_count, sizeof *sources);
    config->sources = sources;
    if (!sources) return false;
    bool good = true;
    for (size_t i = 0; i < config->source_count; i++) {
        sources[i] = from[i];
        good = own_source(&sources[i]) && good;
    }
    return good;
}

bool leat__config_own(leat_config *config)
{
    bool source = own_text(&config->source), ca_file = own_text(&config->ca_file), index = own_text(&config->index);
    bool cache = own_text(&config->cache), resume = own_text(&config->resume), headers = own_headers(config);
    bool fields = own_fields(&config->fields, config->field_count), sources = own_sources(config);
    return source && ca_file && index && cache && resume && headers && fields && sources;
}

static void free_text(const char *text)
{
    free((void *)(uintptr_t)text);
}

static void free_fields(const leat_field *fields, size_t count)
{
    for (size_t i = 0; fields && i < count; i++) {
        free_text(fields[i].tensor);
        free_text(fields[i].names);
    }
    free((void *)(uintptr_t)fields);
}

void leat__config_free_pointers(leat_config *config)
{
    for (size_t i = 0; config->headers && i < config->header_count; i++) free_text(config->headers[i]);
    for (size_t i = 0; config->sources && i < config->source_count; i++) {
        const leat_source *source = &config->sources[i];
        free_text(source->source);
        free_text(source->name);
        free_text(source->index);
        free_fields(source->fields, source->field_count);
        free((void *)(uintptr_t)source->image);
    }
    free_fields(config->fields, config->field_count);
    free((void *)(uintptr_t)config->headers);
    free((void *)(uintptr_t)config->sources);
    free_text(config->source);
    free_text(config->ca_file);
    free_text(config->index);
    free_text(config->cache);
    free_text(config->resume);
}
