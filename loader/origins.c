/* origins.c - the sources of a loader.
 *
 * What:    lists them, numbers their objects through, finds their indexes, and, once the plan has chosen lanes, makes their orders
 *          and the course of all.
 * Why so:  one source is the same as several with one; what needs counts is refused here, before anything runs, by a sentence that
 *          says how to get them.
 * Threads: opening: any, one at a time; orders: the loop's, afterwards. */
#include "loader/origins.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/download.h"
#include "loader/state.h"
#include "pipeline/failure.h"

/* A source as the config gives it: the only one, or one of several. */
static leat_source source_of(const leat_config *config, size_t i)
{
    if (config->source_count) return config->sources[i];
    return (leat_source){.source = config->source, .index = config->index};
}

static leat_code fetch(void *user, const char *url, uint64_t max_bytes, uint8_t **bytes, size_t *size, leat_error *error)
{
    leat_code code = leat__download(user, url, max_bytes, bytes, size, error);
    return code == LEAT_EACCESS ? LEAT_ENOTFOUND : code;
}

bool leat__origins_need_counts(const leat_config *config)
{
    return config->world > 1 || config->source_count || config->epoch_samples || config->remainder == LEAT_REMAINDER_PAD ||
           (config->resume && leat__state_is_counted(config->resume));
}

void leat__origins_forget_counts(leat__origins *origins)
{
    assert(origins->count == 1);
    leat__index_free(origins->all[0].index);
    origins->all[0].index = NULL;
    origins->counted = false;
}

/* Puts which of several sources it was in front of an error. */
static leat_code fail_source(const leat__origins *origins, size_t i, leat_code code, leat_error *error)
{
    if (origins->count < 2) return code;
    leat_error cause = *error;
    return leat__fail(error, code, cause.system, "source %zu of %zu: %s", i + 1, origins->count, cause.message);
}

static leat_code open_one(leat__origins *origins, size_t i, const leat_config *config, uint64_t numbered, leat_error *error)
{
    leat__origin *origin = &origins->all[i];
    const leat_source source = source_of(config, i);
    leat__redact(origin->name, sizeof origin->name, source.name ? source.name : source.source ? source.source : "");
    origin->weight = source.weight ? source.weight : 1;
    leat_code code = leat__source_list(source.source, &origin->listing, error);
    if (code) return fail_source(origins, i, code, error);
    for (size_t k = 0; k < origin->listing->count; k++) {
        origin->listing->objects[k].number = numbered + k;
        origin->listing->objects[k].source = (uint32_t)i;
    }
    if (!origin->listing->shards) return LEAT_OK;
    const char *wanted = source.index ? source.index : config->index;
    bool asks = leat__origins_need_counts(config) || config->resume; /* opening waits for the server's answer */
    if (!wanted && origin->listing->objects[0].is_url && !asks) wanted = "none";
    code = leat__index_find(origin->listing, wanted, fetch, (void *)(uintptr_t)config, config->memory_limit / 4, &origin->index,
                            error);
    if (code) return fail_source(origins, i, code, error);
    if (!origin->index) origins->counted = false;
    return LEAT_OK;
}

static leat_code check_counted(const leat__origins *origins, const leat_config *config, leat_error *error)
{
    if (origins->counted) return LEAT_OK;
    char what[96];
    if (config->world > 1) snprintf(what, sizeof what, "the data is for %u ranks", config->world);
    else if (origins->count > 1) snprintf(what, sizeof what, "%zu sources are mixed", origins->count);
    else if (config->epoch_samples) snprintf(what, sizeof what, "epoch_samples is set");
    else return LEAT_OK;
    size_t i = 0;
    while (!origins->all[i].listing->shards || origins->all[i].index) i++;
    return leat__fail(error, LEAT_EINVAL, 0, "%s, but how many samples the shards of %s have is not known: run `leat index` on "
                      "them once (--to a folder of yours, given as the index, if they are remote)", what, origins->all[i].name);
}

leat_code leat__origins_open(const leat_config *config, leat__origins **out, leat_error *error)
{
    *out = NULL;
    size_t count = config->source_count ? config->source_count : 1;
    leat__origins *origins = calloc(1, sizeof *origins);
    if (origins) origins->all = calloc(count, sizeof *origins->all);
    if (!origins || !origins->all) {
        free(origins);
        return leat__fail(error, LEAT_ENOMEM, 0, "no memory for %zu sources", count);
    }
    origins->count = count;
    origins->counted = true;
    leat_code code = LEAT_OK;
    uint64_t numbered = 0;
    for (size_t i = 0; !code && i < count; i++) {
        code = open_one(origins, i, config, numbered, error);
        if (!code) numbered += origins->all[i].listing->count;
    }
    if (!code) code = check_counted(origins, config, error);
    if (code) leat__origins_free(origins);
    else *out = origins;
    return code;
}

void leat__origins_free(leat__origins *origins)
{
    if (!origins) return;
    leat__course_clear(&origins->course);
    for (size_t i = 0; i < origins->count; i++) {
        leat__order_free(origins->all[i].order);
        leat__index_free(origins->all[i].index);
        leat__listing_free(origins->all[i].listing);
    }
    free(origins->all);
    free(origins);
}

static leat_code order_one(leat__origins *origins, size_t i, const leat_config *config, leat_error *error)
{
    leat__origin *origin = &origins->all[i];
    bool shuffled = config->order == LEAT_ORDER_SHUFFLED;
    leat__order_options options = {
        .objects = origin->listing->count,
        .counts = origin->index ? leat__index_counts(origin->index) : NULL,
        .lanes = origin->lanes,
        .window = shuffled && origin->index ? config->shuffle_window : 1,
        .shuffled = shuffled,
        .seed = config->seed,
        .source = (uint32_t)i,
        .spread = config->world,
    };
    origin->order = leat__order_new(&options);
    if (!origin->order) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for the order of %zu objects", origin->listing->count);
    if (leat__order_samples(origin->order)) return LEAT_OK;
    return leat__fail(error, LEAT_EMISSING, 0, "the shards of %s have no samples", origin->name);
}

leat_code leat__origins_order(leat__origins *origins, const leat_config *config, leat_error *error)
{
    if (!origins->counted) return LEAT_OK;
    const leat__order *orders[LEAT_MAX_SOURCES];
    uint32_t lanes[LEAT_MAX_SOURCES];
    double weights[LEAT_MAX_SOURCES];
    leat_code code = LEAT_OK;
    for (size_t i = 0; !code && i < origins->count; i++) {
        code = order_one(origins, i, config, error);
        orders[i] = origins->all[i].order;
        lanes[i] = origins->all[i].lanes;
        weights[i] = origins->all[i].weight;
    }
    if (code) return code;
    leat__course_options options = {
        .orders = orders, .lanes = lanes, .weights = weights, .count = (unsigned)origins->count, .batch = config->batch_size,
        .limit = config->limit, .epoch_samples = config->epoch_samples, .first_epoch = config->epoch, .first_step = config->step,
        .epochs = config->epochs, .remainder = config->remainder, .rank = config->rank, .world = config->world,
    };
    return leat__course_init(&origins->course, &options, error);
}

/* ---- all of them ---- */

uint64_t leat__origins_objects(const leat__origins *origins)
{
    uint64_t objects = 0;
    for (size_t i = 0; i < origins->count; i++) objects += origins->all[i].listing->count;
    return objects;
}

bool leat__origins_have_shards(const leat__origins *origins)
{
    bool any = false;
    for (size_t i = 0; i < origins->count; i++) any = any || origins->all[i].listing->shards;
    return any;
}

bool leat__origins_have_urls(const leat__origins *origins)
{
    bool any = false;
    for (size_t i = 0; i < origins->count; i++) any = any || origins->all[i].listing->objects[0].is_url;
    return any;
}
