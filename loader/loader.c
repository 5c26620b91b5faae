/* loader.c - puts the stages together from a leat_config, and hands batches out.
 *
 *     ... merge -> rows -> decode -> batch -> outlet -> leat_next
 *
 * Threads: the public calls on any; what they touch is the outlet (locked), atomic counters and the pipeline's own doors.
 * Close:   pipeline first (its threads are gone then), outlet, batches, home: each may still be used by the one before. */
#include <leat/loader.h>

#include <stdlib.h>

#include "loader/opening.h"
#include "loader/stream.h"
#include "pipeline/failure.h"
#include "stages/collate.h"
#include "stages/rows.h"

struct leat_loader {
    /* fixed after opening */
    leat__stream stream;
    leat__schema *schema;
    leat__batches *batches;
    /* atomic */
    _Atomic uint64_t samples, delivered, epochs;
};

/* Batches live as long as any of them is held; they hold the home, and the schema through it. */
typedef struct batches_owner {
    leat__home *home;
    leat__schema *schema;
} batches_owner;

static void free_owner(void *argument)
{
    batches_owner *owner = argument;
    leat__schema_free(owner->schema);
    leat__home_release(owner->home);
    free(owner);
}

/* A batch has come back: there is room again. Called under the batches' lock, on any thread, before the loader goes. */
static void on_batch_back(void *user)
{
    leat_loader *loader = user;
    leat__outlet_set_stuck(loader->stream.outlet, NULL);
    leat__home_wake(loader->stream.home);
}

static leat_code make_batches(leat_loader *loader, leat_error *error)
{
    leat__stream *stream = &loader->stream;
    batches_owner *owner = calloc(1, sizeof *owner);
    if (!owner) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for the batches");
    *owner = (batches_owner){.home = stream->home, .schema = loader->schema};
    leat__batches_options options = {.schema = loader->schema, .arena = stream->home->arena, .budget = &stream->home->total,
                                     .ragged_budget = &stream->home->ragged, .max_batches = stream->plan.batches,
                                     .on_free = free_owner, .user = owner};
    loader->batches = leat__batches_new(&options);
    if (!loader->batches) {
        free(owner);
        return leat__fail(error, LEAT_ENOMEM, 0, "no memory for the batches");
    }
    leat__home_share(stream->home);
    leat__batches_set_wake(loader->batches, on_batch_back, loader);
    return LEAT_OK;
}

static void on_stuck(void *user, const leat_error *error)
{
    leat__outlet_set_stuck(((leat_loader *)user)->stream.outlet, error);
}

static leat_code on_failure(void *user, const leat__sample *sample, leat_error *error)
{
    return leat__failures_judge(&((leat_loader *)user)->stream.failures, sample, error);
}

leat__decode_options leat__decode_options_of(const leat_config *chosen, const leat__schema *schema)
{
    return (leat__decode_options){.schema = schema, .seed = chosen->seed, .max_image_pixels = chosen->max_image_pixels,
                                  .map = chosen->map, .map_user = chosen->map_user};
}

static leat_code add_stages(leat_loader *loader, leat_error *error)
{
    leat__stream *stream = &loader->stream;
    const leat__plan *plan = &stream->plan;
    const leat_config *config = &plan->config;
    leat__rows_options rows = {.flow = &stream->flow, .schema = loader->schema, .batches = loader->batches,
                               .ragged_budget = &stream->home->ragged, .limit = config->limit,
                               .memory_limit = config->memory_limit, .stuck = on_stuck, .user = loader};
    leat__decode_options decode = leat__decode_options_of(config, loader->schema);
    decode.worker_codec_bytes = plan->worker_codec_bytes;
    decode.big_codec_bytes = plan->big_codec_bytes;
    decode.stop = leat__pipeline_stop_flag(stream->pipeline);
    leat__collate_options collate = {.drop_last = config->drop_last,
                                     .substitute = config->on_error == LEAT_ON_ERROR_SUBSTITUTE,
                                     .judge = on_failure, .user = loader};
    /* one sample at each worker, one that waits for it, and room for the others to go ahead of a slow one */
    unsigned at_once = 8 * config->threads;
    leat_code code = leat__stream_add(stream, &leat__rows_type, leat__rows_state_new(&rows), 1, 2, SIZE_MAX, error);
    if (!code)
        code = leat__stream_add(stream, &leat__decode_type, leat__decoder_new(&decode), at_once, config->threads, SIZE_MAX, error);
    if (!code)
        code = leat__stream_add(stream, &leat__collate_type, leat__collate_state_new(&collate), 1, at_once, SIZE_MAX, error);
    return code;
}

leat_code leat__open_in(const leat_config *config, const leat__env *env, leat_loader **out, leat_error *error)
{
    leat_error ignored;
    if (!error) error = &ignored;
    leat__error_clear(error);
    *out = NULL;
    leat_loader *loader = calloc(1, sizeof *loader);
    if (!loader) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a loader");
    leat__stream *stream = &loader->stream;
    leat__listing *listing;
    leat_code code = leat__stream_list(stream, config, &listing, error);
    if (!code) code = leat__schema_new(&stream->plan.config, &loader->schema, error);
    if (!code) {
        bool known = leat__schema_is_known(loader->schema);
        size_t bytes = known ? leat__schema_batch_bytes(loader->schema) : 0;
        if (known && !bytes) code = leat__fail(error, LEAT_EINVAL, 0, "a batch of %u rows is too large", config->batch_size);
        else code = leat__plan_memory(&stream->plan, listing, false, bytes, loader->schema->ragged_count > 0, error);
    }
    if (code) {
        leat__listing_free(listing);
    } else {
        code = leat__stream_build(stream, listing, env, stream->plan.config.prefetch, error);
        if (!code) code = make_batches(loader, error);
        if (!code) code = add_stages(loader, error);
    }
    if (code) {
        leat_close(loader);
        return code;
    }
    leat__stream_start(stream);
    *out = loader;
    return LEAT_OK;
}

leat_code leat_open(const leat_config *config, leat_loader **loader, leat_error *error)
{
    return leat__open_in(config, NULL, loader, error);
}

static leat_code next_batch(leat_loader *loader, uint64_t timeout_ns, leat_batch **out, leat_error *error)
{
    *out = NULL;
    leat_code code = leat__stream_check_process(&loader->stream, error);
    if (code) return code;
    leat__item *item;
    code = leat__outlet_take(loader->stream.outlet, timeout_ns, &item, error);
    if (code == LEAT_END) atomic_fetch_add(&loader->epochs, 1);
    if (code) return code;
    leat_batch *batch = (leat_batch *)item;
    size_t substituted = 0;
    for (size_t i = 0; i < batch->count; i++) substituted += batch->rows[i].state == LEAT__ROW_SUBSTITUTED;
    atomic_fetch_add(&loader->samples, batch->count - substituted);
    atomic_fetch_add(&loader->delivered, 1);
    leat__batch_deliver(batch);
    *out = batch;
    return LEAT_OK;
}

leat_code leat_next(leat_loader *loader, leat_batch **batch, leat_error *error)
{
    return next_batch(loader, LEAT__FOREVER, batch, error);
}

leat_code leat_next_timeout(leat_loader *loader, uint32_t timeout_ms, leat_batch **batch, leat_error *error)
{
    return next_batch(loader, (uint64_t)timeout_ms * 1000000, batch, error);
}

leat_code leat_try_next(leat_loader *loader, leat_batch **batch, leat_error *error)
{
    return next_batch(loader, 0, batch, error);
}

int leat_fd(const leat_loader *loader)
{
    if (leat__stream_check_process(&loader->stream, NULL)) return -1;
    return leat__outlet_fd(loader->stream.outlet);
}

leat_code leat_stats(leat_loader *loader, leat_statistics *stats)
{
    leat_code code = leat__stream_check_process(&loader->stream, NULL);
    if (code) return code;
    leat__stream_get_stats(&loader->stream, stats);
    stats->samples = atomic_load(&loader->samples);
    stats->batches = atomic_load(&loader->delivered);
    stats->epochs = atomic_load(&loader->epochs);
    uint64_t wanted = loader->stream.plan.config.epochs;
    if (wanted && stats->epochs > wanted) stats->epochs = wanted; /* LEAT_END is said again and again after the last */
    return LEAT_OK;
}

uint64_t leat_errors(leat_loader *loader, leat_error *errors, size_t capacity)
{
    if (leat__stream_check_process(&loader->stream, NULL)) return 0; /* the lock may have been held when it was forked */
    return leat__failures_get(&loader->stream.failures, errors, capacity);
}

void leat_chosen(const leat_loader *loader, leat_config *chosen)
{
    *chosen = loader->stream.plan.config;
}

void leat_close(leat_loader *loader)
{
    if (!loader) return;
    if (leat__stream_check_process(&loader->stream, NULL)) return; /* a forked child: the threads are not here to be joined */
    leat__home *home = loader->stream.home;
    if (home) leat__home_share(home); /* the batches go after the stream */
    if (loader->batches) leat__batches_set_wake(loader->batches, NULL, NULL); /* consumers may release while it closes */
    leat__stream_close(&loader->stream);
    if (loader->batches) leat__batches_release(loader->batches);
    else leat__schema_free(loader->schema);
    leat__home_release(home);
    free(loader);
}
