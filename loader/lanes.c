/* lanes.c - the stages of a stream's lanes, and their merge.
 *
 *     not counted:  deal -> fetch -> decompress -> unpack -> shuffle --.
 *     counted:      pick -> fetch -> decompress -> unpack -> arrange ---> merge
 *     files:        pick -> fetch -> unpack ---------------------------'
 *
 * What:    builds a chain of stages for each lane of each source, from the plan.
 * Why so:  a chain of stages a lane, each with its own state and bounds, rather than one stage that knows of lanes: a stage then
 *          reads one stream of bytes, and what one lane holds can never keep another one from going on.
 * Threads: the opener's; the stages say where they run. */
#include "loader/lanes.h"

#include <stdio.h>
#include <stdlib.h>

#include "loader/caching.h"
#include "pipeline/failure.h"
#include "stages/arrange.h"
#include "stages/cached.h"
#include "stages/deal.h"
#include "stages/expand.h"
#include "stages/file.h"
#include "stages/merge.h"
#include "stages/pick.h"
#include "stages/shuffle.h"
#include "stages/unpack.h"
#include "stages/web.h"

enum {
    CHUNKS = 64,        /* items of a queue of chunks: its bytes are the bound that counts */
    SAMPLES = 256,      /* and of small samples */
    LOOSE_READY = 2,    /* loose files of a lane that wait for their turn */
    MOST_GROUP = 1536 << 10, /* of a file: some twenty photographs; more would only be colder when it is decoded */
    MOST_EXTENT = 1 << 20,
    GAP = 64 << 10,     /* bytes that nobody wants, fetched along rather than asking a server twice */
};

/* A lane as it is being built. */
typedef struct place {
    leat__stream *stream;
    leat__lane *lane;
    const leat__lane_plan *plan;
    const leat__origin *origin;
    unsigned source;
    uint32_t number;    /* of the lane in its source */
    bool counted;
    bool is_url;
    bool is_cached;
} place;

/* Sequential order over shards that are not counted: a lane keeps its turn until its shard ends. */
static bool takes_whole_objects(const leat__stream *stream)
{
    const leat__origins *origins = stream->home->origins;
    return !origins->counted && stream->plan.config.order == LEAT_ORDER_SEQUENTIAL && origins->all[0].listing->shards;
}

static void set_up_lane(const place *at, unsigned i)
{
    leat__stream *stream = at->stream;
    leat__lane *lane = at->lane;
    lane->flow = &stream->flow;
    lane->arena = stream->home->arena;
    lane->budget = &stream->home->lanes[i];
    lane->stock = stream->home->stock;
    lane->chunk_bytes = at->plan->chunk_bytes;
    lane->burst_bytes = at->plan->burst_bytes;
    size_t extent = at->plan->window_bytes / 6 < MOST_EXTENT ? at->plan->window_bytes / 6 : MOST_EXTENT;
    if (at->origin->index && extent > lane->burst_bytes) lane->burst_bytes = extent;
    lane->max_sample_bytes = at->plan->sample_bytes;
    lane->marks_objects = takes_whole_objects(stream) || (at->counted && at->origin->listing->shards);
    snprintf(lane->limit_hint, sizeof lane->limit_hint, "max_sample_bytes, or what memory_limit %.1f MB leaves each of %u lanes",
             (double)stream->plan.config.memory_limit / 1e6, stream->home->origins->lanes);
}

static void *deal_state(const place *at)
{
    const leat_config *config = &at->stream->plan.config;
    const leat__listing *listing = at->origin->listing;
    leat__deal_options options = {.flow = &at->stream->flow, .stock = at->stream->home->stock, .objects = listing->objects,
                                  .count = listing->count, .lane = at->number, .lanes = at->origin->lanes, .seed = config->seed,
                                  .first_epoch = config->epoch, .epochs = config->epochs,
                                  .shuffled = config->order == LEAT_ORDER_SHUFFLED};
    return leat__deal_state_new(&options);
}

/* How much a lane reads together, of the V = window_bytes that may be held. Of a file an extent is one buffer (5/4 of its bytes at
 * most); a third of V, or MOST_GROUP, makes long reads of what lies near. Off the network bodies
 * cross chunks and are copied (9/4), with gaps of half as much between them (1/2): all of V, in as few requests as may be. What is
 * kept in the cache is read from a file there. */
static void *pick_state(const place *at)
{
    bool by_web = at->is_url && !at->is_cached;
    uint64_t window = at->plan->window_bytes, group = by_web ? window * 4 / 11 : window * 4 / 15;
    if (!by_web && group > MOST_GROUP) group = MOST_GROUP;
    leat__pick_options options = {.flow = &at->stream->flow, .stock = at->stream->home->stock,
                                  .course = &at->stream->home->origins->course, .objects = at->origin->listing->objects,
                                  .index = at->origin->index, .source = at->source, .lane = at->number, .group_bytes = group,
                                  .extent_bytes = by_web ? group : at->lane->burst_bytes, .gap_bytes = by_web ? GAP : 0};
    return leat__pick_state_new(&options);
}

static void *expand_state(const place *at)
{
    leat__decompress_limits limits = {.max_window_log = at->stream->plan.window_log,
                                      .max_output = at->stream->plan.config.max_unpacked_bytes,
                                      .ratio = 1000, .ratio_after = 16 << 20,
                                      .arena = at->lane->arena, .budget = &at->stream->home->total};
    return leat__expand_state_new(at->lane, &limits);
}

static void *shuffle_state(const place *at)
{
    leat__shuffle_options options = {.lane = at->lane, .number = at->number, .seed = at->stream->plan.config.seed,
                                     .window = at->stream->plan.config.shuffle_window, .window_bytes = at->plan->window_bytes};
    return leat__shuffle_state_new(&options);
}

static void *arrange_state(const place *at)
{
    leat__arrange_options options = {.lane = at->lane, .course = &at->stream->home->origins->course,
                                     .objects = at->origin->listing->objects, .index = at->origin->index, .source = at->source,
                                     .number = at->number, .held_bytes = at->plan->window_bytes};
    return leat__arrange_state_new(&options);
}

static leat_code add_source(const place *at, leat_error *error)
{
    size_t bytes = at->plan->queue_bytes;
    if (at->counted) return leat__stream_add(at->stream, &leat__pick_type, pick_state(at), 1, 1, bytes, error);
    return leat__stream_add(at->stream, &leat__deal_type, deal_state(at), 1, 1, bytes, error);
}

static leat_code add_fetch(const place *at, leat_error *error)
{
    leat__stream *stream = at->stream;
    size_t bytes = at->plan->queue_bytes;
    if (at->is_cached)
        return leat__stream_add(stream, &leat__cached_type, leat__cached_state_new(at->lane, &stream->fills), 1, 1, bytes, error);
    if (at->is_url)
        return leat__stream_add(stream, &leat__web_type, leat__web_state_new(at->lane, &stream->http), 1, 1, bytes, error);
    uint64_t most = stream->plan.config.max_object_bytes;
    return leat__stream_add(stream, &leat__file_type, leat__file_state_new(at->lane, most), 1, 1, bytes, error);
}

/* What brings samples into their order. */
static leat_code add_order(const place *at, leat_error *error)
{
    leat__stream *stream = at->stream;
    size_t bytes = at->plan->queue_bytes;
    if (at->counted && at->origin->listing->shards)
        return leat__stream_add(stream, &leat__arrange_type, arrange_state(at), 1, SAMPLES, bytes, error);
    if (!at->counted && stream->plan.config.shuffle_window > 1)
        return leat__stream_add(stream, &leat__shuffle_type, shuffle_state(at), 1, SAMPLES, bytes, error);
    return LEAT_OK;
}

/* The stages of one lane; stream->last is the lane's last one after it. */
static leat_code build_lane(const place *at, unsigned i, leat_error *error)
{
    leat__stream *stream = at->stream;
    size_t bytes = at->plan->queue_bytes;
    stream->last = NULL;
    set_up_lane(at, i);
    leat_code code = add_source(at, error);
    if (!code) code = add_fetch(at, error);
    if (!code && at->origin->listing->shards)
        code = leat__stream_add(stream, &leat__expand_type, expand_state(at), 1, CHUNKS, bytes, error);
    if (!code) code = leat__stream_add(stream, &leat__unpack_type, leat__unpack_state_new(at->lane), 1, CHUNKS, bytes, error);
    return code ? code : add_order(at, error);
}

static leat_code build_merge(leat__stream *stream, leat__stage **lasts, leat_error *error)
{
    const leat__plan *plan = &stream->plan;
    const leat__origins *origins = stream->home->origins;
    bool shards = leat__origins_have_shards(origins), windows = plan->config.shuffle_window > 1;
    uint32_t window = plan->config.shuffle_window < SAMPLES ? plan->config.shuffle_window : SAMPLES;
    leat__merge_options merge = {.lanes = origins->lanes, .by_object = takes_whole_objects(stream),
                                 .course = origins->counted ? &origins->course : NULL, .flow = &stream->flow,
                                 .stock = stream->home->stock, .first_epoch = plan->config.epoch};
    leat__stage_options options = {
        .state = leat__merge_state_new(&merge),
        .inboxes = origins->lanes,
        .concurrency = 1,
        /* the window that leaves (the one that follows it comes when it has room: more would only be colder); without windows, what
         * one would hold */
        .queue_items = windows ? (size_t)window + 2 : shards ? SAMPLES : LOOSE_READY,
        .queue_bytes = windows ? SIZE_MAX : shards ? plan->shards.window_bytes : plan->loose.queue_bytes,
    };
    leat__stage *stage = options.state ? leat__stage_new(stream->pipeline, &leat__merge_type, &options) : NULL;
    if (!stage) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for the merge stage");
    for (unsigned i = 0; i < origins->lanes; i++) leat__stage_connect(lasts[i], stage, i);
    stream->last = stage;
    return LEAT_OK;
}

static leat_code build_source(leat__stream *stream, unsigned source, unsigned *next, leat__stage **lasts, leat_error *error)
{
    const leat__origins *origins = stream->home->origins;
    const leat__origin *origin = &origins->all[source];
    leat_code code = LEAT_OK;
    for (uint32_t k = 0; !code && k < origin->lanes; k++) {
        place at = {.stream = stream, .lane = &stream->lanes[*next], .origin = origin, .source = source, .number = k,
                    .plan = origin->listing->shards ? &stream->plan.shards : &stream->plan.loose, .counted = origins->counted,
                    .is_url = origin->listing->objects[0].is_url,
                    .is_cached = leat__caching_keeps(&stream->plan.config, origin)};
        code = build_lane(&at, *next, error);
        lasts[(*next)++] = stream->last;
    }
    return code;
}

leat_code leat__lanes_build(leat__stream *stream, leat_error *error)
{
    const leat__origins *origins = stream->home->origins;
    stream->lanes = calloc(origins->lanes, sizeof *stream->lanes);
    leat__stage **lasts = calloc(origins->lanes, sizeof *lasts);
    leat_code code = stream->lanes && lasts ? LEAT_OK : leat__fail(error, LEAT_ENOMEM, 0, "no memory for %u lanes", origins->lanes);
    unsigned next = 0;
    for (unsigned i = 0; !code && i < origins->count; i++) code = build_source(stream, i, &next, lasts, error);
    if (!code) code = build_merge(stream, lasts, error);
    free(lasts);
    return code;
}
