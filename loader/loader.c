/* loader.c - puts the stages together from a leat_config, and hands batches out.
 *
 *     ... merge -> rows -> decode -> batch -> outlet -> leat_next
 *
 * Threads: the public calls on any; what they touch is the outlet (locked), atomic counters and the pipeline's own doors.
 * Close:   pipeline first (its threads are gone then), outlet, batches, home: each may still be used by the one before. */
#include <leat/loader.h>

#include <stdlib.h>

#include "loader/opening.h"
#include "loader/state.h"
#include "loader/stream.h"
#include "pipeline/failure.h"
#include "stages/collate.h"
#include "stages/rows.h"

struct leat_loader {
    /* fixed after opening */
    leat__stream stream;
    leat__schema *schema;
    leat__batches *batches;
    leat__state_settings settings;  /* that a state belongs to */
    /* under the lock */
    pthread_mutex_t lock;
    uint64_t epoch, step;           /* of the batch that leat_next gives out next */
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

/* Rows before the first batch, of samples that are not counted. */
static uint64_t rows_before(const leat_config *config)
{
    uint64_t rows;
    return __builtin_mul_overflow(config->step, (uint64_t)config->batch_size, &rows) ? UINT64_MAX : rows;
}

static leat_code add_stages(leat_loader *loader, leat_error *error)
{
    leat__stream *stream = &loader->stream;
    const leat__plan *plan = &stream->plan;
    const leat_config *config = &plan->config;
    bool counted = stream->home->origins->counted; /* then the course says which samples come, and which not */
    leat__rows_options rows = {.flow = &stream->flow, .schema = loader->schema, .batches = loader->batches,
                               .ragged_budget = &stream->home->ragged, .limit = counted ? 0 : config->limit,
                               .first_step = config->step, .skip = counted ? 0 : rows_before(config),
                               .memory_limit = config->memory_limit, .stuck = on_stuck, .user = loader};
    leat__decode_options decode = leat__decode_options_of(config, loader->schema);
    decode.worker_codec_bytes = plan->worker_codec_bytes;
    decode.big_codec_bytes = plan->big_codec_bytes;
    decode.stop = leat__pipeline_stop_flag(stream->pipeline);
    leat__collate_options collate = {.drop_last = !counted && config->remainder == LEAT_REMAINDER_DROP,
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

/* Sets the position that is begun at: the config's, or that of its state. */
static leat_code resume(leat_loader *loader, const leat__origins *origins, leat_error *error)
{
    leat_config *config = &loader->stream.plan.config;
    uint64_t begin = config->epoch;
    uint64_t end = config->epochs ? begin + config->epochs : UINT64_MAX;
    leat__state_describe(&loader->settings, config, origins, loader->stream.plan.shards.window_bytes);
    if (config->resume) {
        leat_code code = leat__state_read(config->resume, &loader->settings, &config->epoch, &config->step, error);
        if (code) return code;
    }
    if (config->epoch < begin)
        return leat__fail(error, LEAT_EINVAL, 0, "resume: the state is in epoch %llu, and the config begins with epoch %llu",
                          (unsigned long long)config->epoch, (unsigned long long)begin);
    loader->epoch = config->epoch;
    loader->step = config->step;
    if (config->epoch >= end) { /* behind the last epoch: as behind its last batch */
        config->epoch = end - 1;
        config->step = UINT64_MAX;
    }
    if (config->epochs) config->epochs = end - config->epoch;
    if (config->step == UINT64_MAX) loader->stream.flow.cut = config->epoch + 1;
    return LEAT_OK;
}

/* What depends on the data: the schema, the memory plan, the position. */
static leat_code plan_loader(leat_loader *loader, leat__origins *origins, leat_error *error)
{
    leat__plan *plan = &loader->stream.plan;
    uint32_t rows = leat__plan_rows(&plan->config);
    if (!origins->counted && plan->config.remainder == LEAT_REMAINDER_PAD)
        return leat__fail(error, LEAT_EINVAL, 0, "remainder is pad, but how many samples the shards have is not known: run `leat "
                          "index` on them once, or drop it");
    leat_code code = leat__schema_new(&plan->config, rows, &loader->schema, error);
    if (code) return code;
    bool known = leat__schema_is_known(loader->schema);
    size_t bytes = known ? leat__schema_batch_bytes(loader->schema) : 0;
    if (known && !bytes) return leat__fail(error, LEAT_EINVAL, 0, "a batch of %u rows is too large", rows);
    code = leat__plan_memory(plan, origins, false, bytes, loader->schema->ragged_count > 0, error);
    return code ? code : resume(loader, origins, error);
}

leat_code leat__open_in(const leat_config *config, const leat__env *env, leat_loader **out, leat_error *error)
{
    leat_error ignored;
    if (!error) error = &ignored;
    leat__error_clear(error);
    *out = NULL;
    leat_loader *loader = calloc(1, sizeof *loader);
    if (!loader) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a loader");
    pthread_mutex_init(&loader->lock, NULL);
    leat__stream *stream = &loader->stream;
    leat__origins *origins;
    leat_code code = leat__stream_open(stream, config, &origins, error);
    if (!code) code = plan_loader(loader, origins, error);
    if (code) {
        leat__origins_free(origins);
    } else {
        code = leat__stream_build(stream, origins, env, stream->plan.config.prefetch, error);
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

/* Notes what comes next; never back: of several threads that take batches the one that took first may come here last. */
static void set_position(leat_loader *loader, uint64_t epoch, uint64_t step)
{
    pthread_mutex_lock(&loader->lock);
    if (epoch > loader->epoch || (epoch == loader->epoch && step > loader->step)) {
        loader->epoch = epoch;
        loader->step = step;
    }
    pthread_mutex_unlock(&loader->lock);
}

static void count_rows(leat_loader *loader, const leat_batch *batch)
{
    size_t good = 0;
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->rows[i].state == LEAT__ROW_SUBSTITUTED) continue;
        good++;
        atomic_fetch_add_explicit(&loader->stream.flow.delivered[batch->rows[i].source], 1, memory_order_relaxed);
    }
    atomic_fetch_add(&loader->samples, good);
}

static leat_code next_batch(leat_loader *loader, uint64_t timeout_ns, leat_batch **out, leat_error *error)
{
    *out = NULL;
    leat_code code = leat__stream_check_process(&loader->stream, error);
    if (code) return code;
    leat__item *item;
    uint64_t ended;
    code = leat__outlet_take_marked(loader->stream.outlet, timeout_ns, &item, &ended, error);
    if (code == LEAT_END && ended != UINT64_MAX) { /* an epoch's, and not the end of all, which is said again and again */
        atomic_fetch_add(&loader->epochs, 1);
        set_position(loader, ended + 1, 0);
    }
    if (code) return code;
    leat_batch *batch = (leat_batch *)item;
    set_position(loader, batch->epoch, batch->step + 1);
    count_rows(loader, batch);
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

leat_code leat_save(leat_loader *loader, char *state, size_t capacity, leat_error *error)
{
    leat_error ignored;
    if (!error) error = &ignored;
    leat__error_clear(error);
    leat_code code = leat__stream_check_process(&loader->stream, error);
    if (code) return code;
    pthread_mutex_lock(&loader->lock);
    uint64_t epoch = loader->epoch, step = loader->step;
    pthread_mutex_unlock(&loader->lock);
    return leat__state_write(&loader->settings, epoch, step, loader->stream.plan.config.world,
                             atomic_load(&loader->stream.flow.windows_cut), state, capacity, error);
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
    pthread_mutex_destroy(&loader->lock);
    free(loader);
}
