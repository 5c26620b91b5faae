/* stream.c - from a source to one stream of samples.
 *
 * What:    builds the lanes' stages and their merge from a plan; owns the pipeline and the HTTP client.
 * Why so:  a chain of stages a lane, each with its own state and bounds, rather than one stage that knows of lanes: a stage then
 *          reads one stream of bytes, and what one lane holds can never keep another one from going on.
 * Threads: built and closed by the opener's thread; the stages say where they run. */
#include "loader/stream.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/failure.h"
#include "stages/deal.h"
#include "stages/expand.h"
#include "stages/file.h"
#include "stages/merge.h"
#include "stages/shuffle.h"
#include "stages/unpack.h"
#include "stages/web.h"

enum {
    CHUNKS = 64,        /* items of a queue of chunks: its bytes are the bound that counts */
    SAMPLES = 256,      /* and of small samples */
    LOOSE_READY = 2,    /* loose files of a lane that wait for their turn */
};

/* ---- copies of what the config points to ---- */

static bool copy_headers(leat_config *config)
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

static bool copy_fields(leat_config *config)
{
    if (!config->fields) return true;
    const leat_field *from = config->fields;
    leat_field *fields = calloc(config->field_count, sizeof *fields);
    config->fields = fields;
    if (!fields) return false;
    for (size_t i = 0; i < config->field_count; i++) {
        fields[i] = from[i];
        fields[i].tensor = from[i].tensor ? strdup(from[i].tensor) : NULL;
        fields[i].names = from[i].names ? strdup(from[i].names) : NULL;
        if ((from[i].tensor && !fields[i].tensor) || (from[i].names && !fields[i].names)) return false;
    }
    return true;
}

static bool copy_pointers(leat_config *config)
{
    const char *source = config->source, *ca_file = config->ca_file;
    config->source = strdup(source);
    config->ca_file = ca_file ? strdup(ca_file) : NULL;
    bool headers = copy_headers(config), fields = copy_fields(config);
    return headers && fields && config->source && (!ca_file || config->ca_file);
}

static void free_pointers(leat_config *config)
{
    for (size_t i = 0; config->headers && i < config->header_count; i++) free((void *)(uintptr_t)config->headers[i]);
    for (size_t i = 0; config->fields && i < config->field_count; i++) {
        free((void *)(uintptr_t)config->fields[i].tensor);
        free((void *)(uintptr_t)config->fields[i].names);
    }
    free((void *)(uintptr_t)config->headers);
    free((void *)(uintptr_t)config->fields);
    free((void *)(uintptr_t)config->source);
    free((void *)(uintptr_t)config->ca_file);
}

/* ---- opening ---- */

leat_code leat__stream_list(leat__stream *stream, const leat_config *config, leat__listing **listing, leat_error *error)
{
    *listing = NULL;
    stream->pid = getpid();
    stream->opened_ns = uv_hrtime();
    leat_config chosen;
    leat_code code = leat__plan_config(config, &chosen, error);
    if (code) return code;
    stream->plan.config = chosen;
    stream->configured = true;
    leat__failures_init(&stream->failures, chosen.on_error, chosen.max_errors);
    if (!copy_pointers(&stream->plan.config)) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for the configuration");
    return leat__source_list(stream->plan.config.source, listing, error);
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
    leat__http_options options = {
        .loop = leat__loop_uv(leat__pipeline_loop(stream->pipeline)),
        .arena = stream->home->arena,
        .now_ns = env->now_ns,
        .random = env->random,
        .user = env->user,
        .ca_file = config->ca_file,
        .headers = config->headers,
        .header_count = config->header_count,
        .connections = config->connections,
        .chunk_bytes = stream->plan.chunk_bytes,
        .max_object_bytes = config->max_object_bytes,
        .retries = config->retries,
        .connect_timeout_ms = config->connect_timeout_ms,
        .stall_timeout_ms = config->stall_timeout_ms,
        .max_retry_after_ms = config->max_retry_after_ms,
        .redirects = config->redirects,
    };
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

/* Sequential order over shards: a lane keeps its turn until its shard ends. */
static bool takes_whole_objects(const leat__stream *stream)
{
    return stream->home->listing->shards && stream->plan.config.order == LEAT_ORDER_SEQUENTIAL;
}

static void set_up_lane(leat__stream *stream, unsigned i)
{
    const leat__plan *plan = &stream->plan;
    leat__lane *lane = &stream->lanes[i];
    lane->flow = &stream->flow;
    lane->arena = stream->home->arena;
    lane->budget = &stream->home->lanes[i];
    lane->stock = stream->home->stock;
    lane->chunk_bytes = plan->chunk_bytes;
    lane->burst_bytes = plan->burst_bytes;
    lane->max_sample_bytes = plan->sample_bytes;
    lane->marks_objects = takes_whole_objects(stream);
    snprintf(lane->limit_hint, sizeof lane->limit_hint, "max_sample_bytes, or what memory_limit %.1f MB leaves each of %u lanes",
             (double)plan->config.memory_limit / 1e6, plan->config.lanes);
}

static void *deal_state(leat__stream *stream, unsigned i)
{
    const leat_config *config = &stream->plan.config;
    const leat__listing *listing = stream->home->listing;
    leat__deal_options options = {.flow = &stream->flow, .stock = stream->home->stock, .objects = listing->objects,
                                  .count = listing->count, .lane = i, .lanes = config->lanes, .seed = config->seed,
                                  .first_epoch = config->epoch, .epochs = config->epochs,
                                  .shuffled = config->order == LEAT_ORDER_SHUFFLED};
    return leat__deal_state_new(&options);
}

static void *expand_state(leat__stream *stream, leat__lane *lane)
{
    leat__decompress_limits limits = {.max_window_log = stream->plan.window_log,
                                      .max_output = stream->plan.config.max_unpacked_bytes,
                                      .ratio = 1000, .ratio_after = 16 << 20,
                                      .arena = lane->arena, .budget = &stream->home->total};
    return leat__expand_state_new(lane, &limits);
}

static void *shuffle_state(leat__stream *stream, leat__lane *lane, unsigned i)
{
    leat__shuffle_options options = {.lane = lane, .number = i, .seed = stream->plan.config.seed,
                                     .window = stream->plan.config.shuffle_window,
                                     .window_bytes = stream->plan.window_bytes};
    return leat__shuffle_state_new(&options);
}

/* The stages of one lane; stream->last is the lane's last one after it. */
static leat_code build_lane(leat__stream *stream, unsigned i, leat_error *error)
{
    const leat__plan *plan = &stream->plan;
    leat__lane *lane = &stream->lanes[i];
    bool shards = stream->home->listing->shards;
    stream->last = NULL;
    set_up_lane(stream, i);
    uint64_t max_object = plan->config.max_object_bytes;
    size_t bytes = plan->queue_bytes;
    leat_code code = leat__stream_add(stream, &leat__deal_type, deal_state(stream, i), 1, 1, bytes, error);
    if (!code && plan->urls)
        code = leat__stream_add(stream, &leat__web_type, leat__web_state_new(lane, &stream->http), 1, 1, bytes, error);
    else if (!code)
        code = leat__stream_add(stream, &leat__file_type, leat__file_state_new(lane, max_object), 1, 1, bytes, error);
    if (!code && shards)
        code = leat__stream_add(stream, &leat__expand_type, expand_state(stream, lane), 1, CHUNKS, bytes, error);
    if (!code) code = leat__stream_add(stream, &leat__unpack_type, leat__unpack_state_new(lane), 1, CHUNKS, bytes, error);
    if (!code && plan->config.shuffle_window > 1)
        code = leat__stream_add(stream, &leat__shuffle_type, shuffle_state(stream, lane, i), 1, SAMPLES, bytes, error);
    return code;
}

static leat_code build_merge(leat__stream *stream, leat__stage **lasts, leat_error *error)
{
    const leat_config *config = &stream->plan.config;
    bool shards = stream->home->listing->shards;
    leat__stage_options options = {
        .state = leat__merge_state_new(config->lanes, takes_whole_objects(stream)),
        .inboxes = config->lanes,
        .concurrency = 1,
        /* the window that leaves (the one that follows it comes when it has room: more would only be colder); without windows, what
         * one would hold */
        .queue_items = config->shuffle_window > 1 ? (size_t)config->shuffle_window + 2 : shards ? SAMPLES : LOOSE_READY,
        .queue_bytes = config->shuffle_window > 1 ? SIZE_MAX : shards ? stream->plan.window_bytes : stream->plan.queue_bytes,
    };
    leat__stage *merge = options.state ? leat__stage_new(stream->pipeline, &leat__merge_type, &options) : NULL;
    if (!merge) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for the merge stage");
    for (unsigned i = 0; i < config->lanes; i++) leat__stage_connect(lasts[i], merge, i);
    stream->last = merge;
    return LEAT_OK;
}

static leat_code build_lanes(leat__stream *stream, leat_error *error)
{
    unsigned lanes = stream->plan.config.lanes;
    stream->lanes = calloc(lanes, sizeof *stream->lanes);
    leat__stage **lasts = calloc(lanes, sizeof *lasts);
    leat_code code = stream->lanes && lasts ? LEAT_OK : leat__fail(error, LEAT_ENOMEM, 0, "no memory for %u lanes", lanes);
    for (unsigned i = 0; !code && i < lanes; i++) {
        code = build_lane(stream, i, error);
        lasts[i] = stream->last;
    }
    if (!code) code = build_merge(stream, lasts, error);
    free(lasts);
    return code;
}

leat_code leat__stream_build(leat__stream *stream, leat__listing *listing, const leat__env *env, size_t outlet_items,
                             leat_error *error)
{
    const leat__plan *plan = &stream->plan;
    atomic_store(&stream->flow.ignored, listing->ignored);
    stream->home = leat__home_new(listing, plan->keep_bytes, plan->config.lanes, plan->lane_bytes, plan->ragged_bytes / 2,
                                  (size_t)plan->config.memory_limit);
    if (!stream->home) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for %u lanes", plan->config.lanes);
    leat_code code = leat__outlet_new(outlet_items, leat__home_wake, stream->home, &stream->outlet, error);
    leat__pipeline_options options = {.env = env, .threads = plan->config.threads, .io_threads = plan->config.io_threads};
    if (!code) code = leat__pipeline_new(&options, &stream->pipeline, error);
    if (!code && plan->urls) code = open_http(stream, error);
    if (!code) code = build_lanes(stream, error);
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
    free(stream->lanes);
    leat__home_release(stream->home);
    if (!stream->configured) return;
    leat__failures_destroy(&stream->failures);
    free_pointers(&stream->plan.config);
}

leat_code leat__stream_check_process(const leat__stream *stream, leat_error *error)
{
    if (getpid() == stream->pid) return LEAT_OK;
    return leat__fail(error, LEAT_EFORKED, 0, "this loader belongs to process %ld, its threads are not in this one (%ld): open a "
                      "loader after fork", (long)stream->pid, (long)getpid());
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
