/* stream.c - from a source to one stream of samples.
 *
 * What:    opens the sources, the pipeline and the HTTP client; the lanes and their merge are built by lanes.c.
 * Threads: built and closed by the opener's thread; the stages say where they run. */
#include "loader/stream.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/caching.h"
#include "loader/download.h"
#include "loader/lanes.h"
#include "loader/launch.h"
#include "loader/ownconfig.h"
#include "pipeline/failure.h"

/* ---- opening ---- */

leat_code leat__stream_open(leat__stream *stream, const leat_config *config, leat__origins **origins, leat_error *error)
{
    *origins = NULL;
    stream->pid = getpid();
    stream->opened_ns = uv_hrtime();
    leat_config *chosen = &stream->plan.config;
    leat_code code = leat__plan_config(config, chosen, error);
    if (code) return code;
    code = leat__launch(chosen, NULL, stream->plan.launcher, error);
    if (code) return code;
    if (chosen->batch_size < chosen->world)
        return leat__fail(error, LEAT_EINVAL, 0, "batch_size is %u for %u ranks: it is that of all of them together, and a rank "
                          "would have no rows; give at least %u", chosen->batch_size, chosen->world, chosen->world);
    stream->configured = true;
    leat__failures_init(&stream->failures, chosen->on_error, chosen->max_errors);
    if (!leat__config_own(chosen)) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for the configuration");
    return leat__origins_open(chosen, origins, error);
}

typedef struct http_call {
    leat__stream *stream;
    leat_code code;
    leat_error *error;
} http_call;

static void make_http(void *argument)
{
    http_call *call = argument;
    leat__stream *stream = call->stream;
    const leat_config *config = &stream->plan.config;
    const leat__env *env = leat__pipeline_env(stream->pipeline);
    bool shards = leat__origins_have_shards(stream->home->origins);
    size_t chunk_bytes = shards ? stream->plan.shards.chunk_bytes : stream->plan.loose.chunk_bytes;
    leat__http_options options = leat__http_options_of(config, env, leat__loop_uv(leat__pipeline_loop(stream->pipeline)),
                                                       stream->home->arena, chunk_bytes);
    call->code = leat__http_new(&options, &stream->http, call->error);
}

static void http_closed(void *user)
{
    leat__stream *stream = user;
    stream->http = NULL;
    leat__pipeline_closer_done(stream->pipeline);
}

static void close_http(leat__closer *closer, leat__pipeline *pipeline)
{
    (void)pipeline;
    leat__stream *stream = (leat__stream *)((char *)closer - offsetof(leat__stream, http_closer));
    leat__http_close(stream->http, http_closed, stream);
}

static leat_code open_http(leat__stream *stream, leat_error *error)
{
    http_call call = {.stream = stream, .error = error};
    leat__loop_do(leat__pipeline_loop(stream->pipeline), make_http, &call);
    if (call.code) return call.code;
    stream->http_closer.close = close_http;
    leat__pipeline_add_closer(stream->pipeline, &stream->http_closer);
    return LEAT_OK;
}

/* ---- stages ---- */

leat_code leat__stream_add(leat__stream *stream, const leat__stage_type *type, void *state, unsigned concurrency,
                           size_t queue_items, size_t queue_bytes, leat_error *error)
{
    leat__stage_options options = {.state = state, .inboxes = stream->last ? 1 : 0, .concurrency = concurrency,
                                   .queue_items = queue_items, .queue_bytes = queue_bytes};
    leat__stage *stage = state ? leat__stage_new(stream->pipeline, type, &options) : NULL;
    if (!stage) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for the %s stage", type->name);
    if (stream->last) leat__stage_connect(stream->last, stage, 0);
    stream->last = stage;
    return LEAT_OK;
}

leat_code leat__stream_build(leat__stream *stream, leat__origins *origins, const leat__env *env, size_t outlet_items,
                             leat_error *error)
{
    const leat__plan *plan = &stream->plan;
    bool urls = leat__origins_have_urls(origins);
    for (size_t i = 0; i < origins->count; i++) stream->flow.ignored += origins->all[i].listing->ignored;
    leat_code code = leat__origins_order(origins, &plan->config, error);
    if (code) {
        leat__origins_free(origins);
        return code;
    }
    stream->home = leat__home_new(origins, plan->keep_bytes, plan->lane_bytes, plan->ragged_bytes / 2,
                                  (size_t)plan->config.memory_limit);
    if (!stream->home) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for %u lanes", plan->config.lanes);
    code = leat__caching_open(stream, env ? env : leat__env_real(), error);
    if (!code) code = leat__outlet_new(outlet_items, leat__home_wake, stream->home, &stream->outlet, error);
    leat__pipeline_options options = {.env = env, .threads = plan->config.threads, .io_threads = plan->config.io_threads};
    if (!code) code = leat__pipeline_new(&options, &stream->pipeline, error);
    if (!code && urls) code = open_http(stream, error);
    if (!code) code = leat__caching_add_fills(stream, error);
    if (!code) code = leat__lanes_build(stream, error);
    if (!code) leat__home_set_pipeline(stream->home, stream->pipeline);
    return code;
}

void leat__stream_start(leat__stream *stream)
{
    leat__pipeline_set_outlet(stream->last, stream->outlet);
    leat__pipeline_start(stream->pipeline);
}

void leat__stream_close(leat__stream *stream)
{
    if (stream->home) leat__home_set_pipeline(stream->home, NULL);
    leat__pipeline_close(stream->pipeline);
    leat__outlet_free(stream->outlet);
    leat__caching_close(stream);
    free(stream->lanes);
    leat__home_release(stream->home);
    if (!stream->configured) return;
    leat__failures_destroy(&stream->failures);
    leat__config_free_pointers(&stream->plan.config);
}

leat_code leat__stream_check_process(const leat__stream *stream, leat_error *error)
{
    if (getpid() == stream->pid) return LEAT_OK;
    return leat__fail(error, LEAT_EFORKED, 0, "this loader belongs to process %ld, its threads are not in this one (%ld): open a "
                      "loader after fork", (long)stream->pid, (long)getpid());
}

static void get_source_stats(const leat__stream *stream, leat_statistics *stats)
{
    const leat__origins *origins = stream->home->origins;
    stats->source_count = origins->count;
    for (size_t i = 0; i < origins->count; i++) {
        leat_source_stats *source = &stats->sources[i];
        const leat__origin *origin = &origins->all[i];
        memcpy(source->name, origin->name, sizeof source->name);
        source->weight = origins->course.mix ? leat__mix_share(origins->course.mix, (unsigned)i) : 1;
        source->counted = origin->order ? leat__order_samples(origin->order) : 0;
        source->samples = atomic_load(&stream->flow.delivered[i]);
    }
}

static void get_order_stats(const leat__stream *stream, leat_statistics *stats)
{
    const leat__origins *origins = stream->home->origins;
    const leat__course *course = &origins->course;
    stats->rank = stream->plan.config.rank;
    stats->world = stream->plan.config.world;
    memcpy(stats->launcher, stream->plan.launcher, sizeof stats->launcher);
    stats->indexed = origins->counted;
    stats->steps = course->steps;
    stats->dropped = course->dropped;
    stats->padded = course->padded;
}

typedef struct http_stats_call {
    const leat__stream *stream;
    leat__http_stats stats;
} http_stats_call;

static void look_at_http(void *argument)
{
    http_stats_call *call = argument;
    leat__http_get_stats(call->stream->http, &call->stats);
}

void leat__stream_get_stats(leat__stream *stream, leat_statistics *stats)
{
    *stats = (leat_statistics){0};
    leat__outlet_stats outlet;
    leat__outlet_get_stats(stream->outlet, &outlet);
    stats->errors = leat__failures_get(&stream->failures, NULL, 0);
    stats->ignored = atomic_load(&stream->flow.ignored);
    stats->bytes_read = atomic_load(&stream->flow.bytes_read);
    stats->windows_cut = atomic_load(&stream->flow.windows_cut);
    stats->cache_hits = atomic_load(&stream->fills.hits);
    stats->cache_misses = atomic_load(&stream->fills.misses);
    stats->cache_bypassed = atomic_load(&stream->fills.bypassed);
    stats->cache_damaged = atomic_load(&stream->fills.damaged);
    get_order_stats(stream, stats);
    get_source_stats(stream, stats);
    stats->open_ns = uv_hrtime() - stream->opened_ns;
    stats->first_batch_ns = outlet.first_put_ns ? outlet.first_put_ns - stream->opened_ns : 0;
    stats->consumer_wait_ns = outlet.wait_ns;
    stats->memory_limit = stream->plan.config.memory_limit;
    stats->memory_used = leat__budget_used(&stream->home->total);
    stats->memory_peak = leat__budget_peak(&stream->home->total);
    stats->stage_count = leat__pipeline_get_stats(stream->pipeline, stats->stages);
    if (!stream->http) return;
    http_stats_call call = {.stream = stream};
    leat__loop_do(leat__pipeline_loop(stream->pipeline), look_at_http, &call);
    stats->retries = call.stats.retries;
}
