/* plan.c - every choice made, and the arithmetic that keeps a loader within memory_limit.
 *
 * Memory: memory_limit M is dealt out once, before anything runs, so that no stage can starve another one of it:
 *
 *     M / 8   codecs: M / 16 over the workers, M / 16 for the one image at a time that needs more
 *     M / 32  unused buffers that are kept; with a cache M / 64, and as much for what is on its way there
 *     M / 8   zstd and gzip windows, if a shard's name says that it is packed
 *     M / 8   bytes columns, if there are any: half for rows as they come, half for the joined columns of whole batches
 *     n * B   batches: one with the consumer, one being filled, `prefetch` ready, as far as M / 2 goes; at least one
 *     X       the rest: the lanes, an equal share each
 *
 * A lane's share S has to be enough for it to fill one shuffle window whatever the others do (its samples then leave, and make
 * room). With chunks c, samples that span at most Y and a window of V:
 *
 *     V       what the window keeps alive: its bodies and the chunks that they are slices of, as shuffle.c weighs them
 *     9/4 Y   the sample that is being read: bodies that cross chunks are copied (5/4 Y: sizes are rounded up, buffer.c),
 *             and those beside them keep the chunks (Y)
 *     21 c    fetch, decompress and unpack: one in hand each, one made, inboxes of c that the last chunk may go over (9);
 *             the chunk that decompress fills; the chunks at both ends of window and sample (4); the one that is asked for;
 *             a local read asks for 4 at once, and its inbox may be gone over by as many (3 more each)
 *     5/4 Y   a body is not asked for, it may come on top: room is asked for up to S - 5/4 Y
 *     S = V + 7/2 Y + 21 c
 *
 * V and c decide where a window that is too large is cut, so they are part of the order. They come from what a share is at
 * least, with the packed eighth and the most batches set aside (T), so that they depend on M, lanes, fields and batch, but not on
 * prefetch, compression or who reads: c = T / 160 (but MIN_CHUNK at least), V = 2/5 (T - 21 c). The rest of S is Y's.
 *
 * A lane whose shards' places an index knows reads extents, a group of them at a time, which leaves before the next one comes: a
 * group takes at most V, and an extent, for which room is asked, V / 6 (9/4 Y is more than that); lanes.c has the shares. No window
 * is cut, whatever its size.
 *
 * Of shards that an index has counted, but that can only be read whole, windows have to be held: V is 2/5 of the actual share then.
 * If that will not do, and nothing but speed was to be had from the counts, they are forgotten.
 *
 * Loose files have no window: a file is read in chunks (Y) and put together (5/4 Y), beside one in hand, an inbox of 2 and one
 * that is gathered, and the one that is asked for; files that wait for their turn leave by themselves: S = 7/2 Y + 5 c. */
#include "loader/plan.h"

#include <assert.h>
#include <sched.h>
#include <string.h>

#include "loader/caching.h"
#include "pipeline/failure.h"
#include "stages/fill.h"
#include "stages/flow.h"
#include "stages/view.h"

#define MIB ((uint64_t)1 << 20)

enum {
    MIN_CHUNK = 16 << 10,
    MIN_SHARE = 32 * MIN_CHUNK, /* 21 chunks, and samples of some ten KB */
    MAX_CHUNK = 256 << 10,    /* large enough that a hand-over costs nothing, small enough to stay in a core's cache */
    MAX_PREFETCH = 16,
    MAX_BATCHES = MAX_PREFETCH + 2,
    MOST_LANES = 256,         /* of a source */
    LOOSE_LANE = 16 << 20,    /* of memory for each lane of loose files: several photographs of 4 MB */
    MAX_LOOSE_LOCAL = 8,      /* files being read at a time from a disk, per I/O thread two */
};

static unsigned cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set)) return 1;
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : (unsigned)n;
}

/* Enough to keep a disk busy; more than cores only push the decoders off theirs when the data is cached. */
static unsigned default_io_threads(void)
{
    unsigned n = cpus();
    return n < 2 ? 2 : n > 4 ? 4 : n;
}

/* ---- choices ---- */

static leat_code choose(uint32_t *value, uint32_t choice, uint32_t low, uint32_t high, const char *name, leat_error *error)
{
    if (*value == 0) *value = choice;
    if (*value >= low && *value <= high) return LEAT_OK;
    return leat__fail(error, LEAT_EINVAL, 0, "%s is %u: give a number from %u to %u, or 0 for the default", name, *value, low,
                      high);
}

static void choose_wide(uint64_t *value, uint64_t choice)
{
    if (*value == 0) *value = choice;
}

static leat_code check_enums(const leat_config *config, leat_error *error)
{
    if ((unsigned)config->order > LEAT_ORDER_SEQUENTIAL)
        return leat__fail(error, LEAT_EINVAL, 0, "order is %d: none of LEAT_ORDER_*", (int)config->order);
    if ((unsigned)config->remainder > LEAT_REMAINDER_PAD)
        return leat__fail(error, LEAT_EINVAL, 0, "remainder is %d: none of LEAT_REMAINDER_*", (int)config->remainder);
    if ((unsigned)config->on_error > LEAT_ON_ERROR_SUBSTITUTE)
        return leat__fail(error, LEAT_EINVAL, 0, "on_error is %d: none of LEAT_ON_ERROR_*", (int)config->on_error);
    return LEAT_OK;
}

static leat_code check_sources(const leat_config *config, leat_error *error)
{
    bool one = config->source && config->source[0];
    if (config->source_count > LEAT_MAX_SOURCES)
        return leat__fail(error, LEAT_EINVAL, 0, "source_count is %zu: at most %d can be mixed", config->source_count,
                          LEAT_MAX_SOURCES);
    if ((config->sources != NULL) != (config->source_count > 0))
        return leat__fail(error, LEAT_EINVAL, 0, "sources and source_count go together: %s is zero",
                          config->sources ? "source_count" : "sources");
    if (one && config->sources)
        return leat__fail(error, LEAT_EINVAL, 0, "source and sources are both set: give one source, or several in sources");
    if (!one && !config->sources) return leat__fail(error, LEAT_EINVAL, 0, "source is not set: give a folder, file, URL or @list");
    for (size_t i = 0; i < config->source_count; i++)
        if (!config->sources[i].source || !config->sources[i].source[0])
            return leat__fail(error, LEAT_EINVAL, 0, "sources[%zu].source is not set: give a folder, file, URL or @list", i);
    return LEAT_OK;
}

static leat_code check_cache(const leat_config *config, leat_error *error)
{
    if (config->cache && !config->cache[0])
        return leat__fail(error, LEAT_EINVAL, 0, "cache is an empty text: give a directory, or NULL");
    if (config->cache_limit && !config->cache)
        return leat__fail(error, LEAT_EINVAL, 0, "cache_limit is %llu, but cache is not set: give its directory",
                          (unsigned long long)config->cache_limit);
    return LEAT_OK;
}

static leat_code check_headers(const leat_config *config, leat_error *error)
{
    if (config->header_count && !config->headers)
        return leat__fail(error, LEAT_EINVAL, 0, "header_count is %zu, but headers is NULL", config->header_count);
    for (size_t i = 0; i < config->header_count; i++) {
        const char *header = config->headers[i];
        bool good = header && strchr(header, ':') && header[0] != ':';
        for (const char *c = header; good && *c; c++) good = (unsigned char)*c >= 0x20 && *c != 0x7f;
        if (!good)
            return leat__fail(error, LEAT_EINVAL, 0, "headers[%zu] is not of the form \"Name: value\" without control characters",
                              i);
    }
    return LEAT_OK;
}

leat_code leat__plan_config(const leat_config *config, leat_config *chosen, leat_error *error)
{
    *chosen = *config;
    leat_config *c = chosen;
    leat_code code = LEAT_OK;
    code = check_sources(c, error);
    if (!code) code = check_enums(c, error);
    if (!code) code = check_headers(c, error);
    if (!code) code = check_cache(c, error);
    if (!code) code = leat__image_defaults(&c->image, error);
    if (!code) code = choose(&c->batch_size, 256, 1, 65536, "batch_size", error);
    if (!code) code = choose(&c->shuffle_window, 32, 1, 1u << 20, "shuffle_window", error);
    if (!code) code = choose(&c->lanes, 16, 1, 256, "lanes", error);
    if (!code) code = choose(&c->threads, cpus(), 1, 1024, "threads", error);
    if (!code) code = choose(&c->io_threads, default_io_threads(), 1, 256, "io_threads", error);
    if (!code) code = choose(&c->connections, 32, 1, 1024, "connections", error);
    if (!code) code = choose(&c->prefetch, 2, 1, MAX_PREFETCH, "prefetch", error);
    if (!code) code = choose(&c->retries, 5, 1, 100, "retries", error);
    if (!code) code = choose(&c->connect_timeout_ms, 10000, 1, UINT32_MAX, "connect_timeout_ms", error);
    if (!code) code = choose(&c->stall_timeout_ms, 30000, 1, UINT32_MAX, "stall_timeout_ms", error);
    if (!code) code = choose(&c->max_retry_after_ms, 120000, 1, UINT32_MAX, "max_retry_after_ms", error);
    if (!code) code = choose(&c->redirects, 5, 1, 100, "redirects", error);
    if (code) return code;
    if (c->epochs > UINT64_MAX - c->epoch) return leat__fail(error, LEAT_EINVAL, 0, "epoch plus epochs overflows");
    choose_wide(&c->max_errors, 100);
    choose_wide(&c->memory_limit, 1024 * MIB);
    choose_wide(&c->max_image_pixels, 100000000);
    choose_wide(&c->max_object_bytes, 65536 * MIB);
    choose_wide(&c->max_unpacked_bytes, 1048576 * MIB);
    if (c->memory_limit < 32 * MIB)
        return leat__fail(error, LEAT_EINVAL, 0, "memory_limit is %llu bytes: give at least 32 MiB (%llu), or 0 for 1 GiB",
                          (unsigned long long)c->memory_limit, (unsigned long long)(32 * MIB));
    return LEAT_OK;
}

/* ---- memory ---- */

static bool ends_with(const char *name, size_t length, const char *ending)
{
    size_t n = strlen(ending);
    return length >= n && strncasecmp(name + length - n, ending, n) == 0;
}

static bool name_says_packed(const leat__object *object)
{
    static const char *const endings[] = {".zst", ".gz", ".tgz", ".tzst"};
    size_t length = object->is_url ? strcspn(object->name, "?#") : strlen(object->name);
    for (size_t i = 0; object->is_shard && i < sizeof endings / sizeof *endings; i++)
        if (ends_with(object->name, length, endings[i])) return true;
    return false;
}

static void look_for_packed(leat__plan *plan, const leat__origins *origins)
{
    for (size_t i = 0; i < origins->count; i++) {
        const leat__listing *listing = origins->all[i].listing;
        for (size_t k = 0; !plan->packed && k < listing->count; k++) plan->packed = name_says_packed(&listing->objects[k]);
    }
}

/* Lanes are part of the order of shards; for loose files, whose order is one permutation, only of the speed. */
static void choose_lanes(leat__plan *plan, leat__origins *origins, uint64_t rest)
{
    leat_config *c = &plan->config;
    bool shards = leat__origins_have_shards(origins);
    if (!shards || c->order == LEAT_ORDER_SEQUENTIAL) c->shuffle_window = 1;
    origins->lanes = 0;
    for (size_t i = 0; i < origins->count; i++) {
        leat__origin *origin = &origins->all[i];
        origin->lanes = c->lanes;
        if (!origin->listing->shards) {
            bool urls = origin->listing->objects[0].is_url;
            uint32_t wanted = urls ? c->connections : 2 * c->io_threads < MAX_LOOSE_LOCAL ? 2 * c->io_threads : MAX_LOOSE_LOCAL;
            uint64_t room = rest / LOOSE_LANE / origins->count;
            origin->lanes = room < 2 ? 2 : room < wanted ? (uint32_t)room : wanted;
            if (origin->lanes > MOST_LANES) origin->lanes = MOST_LANES;
        }
        if (origin->lanes > origin->listing->count) origin->lanes = (uint32_t)origin->listing->count;
        origins->lanes += origin->lanes;
    }
    c->lanes = origins->all[0].lanes;
}

static size_t clamp(uint64_t value, size_t low, size_t high)
{
    return value < low ? low : value > high ? high : (size_t)value;
}

/* What a lane's share is at least, whatever prefetch, compression and the kind of reader are (see the head). */
static uint64_t least_share(const leat__plan *plan, uint32_t lanes, size_t batch_bytes)
{
    uint64_t limit = plan->config.memory_limit, batches = limit / 2;
    if (batch_bytes && batch_bytes <= limit / 2 / MAX_BATCHES) batches = MAX_BATCHES * (uint64_t)batch_bytes;
    if (batch_bytes > limit / 2) batches = batch_bytes;
    uint64_t used = limit / 8 + limit / 32 + limit / 8 + plan->ragged_bytes + batches;
    uint64_t share = used < limit ? (limit - used) / lanes : 0;
    return share < MIN_SHARE ? MIN_SHARE : share;
}

static void share_shards(leat__lane_plan *lane, uint64_t share, uint64_t least)
{
    assert(least <= share);
    lane->chunk_bytes = clamp(least / 160 / MIN_CHUNK * MIN_CHUNK, MIN_CHUNK, MAX_CHUNK);
    lane->burst_bytes = LEAT__LANE_BURST * lane->chunk_bytes;
    uint64_t chunks = (15 + 2 * (LEAT__LANE_BURST - 1)) * (uint64_t)lane->chunk_bytes;
    lane->window_bytes = (size_t)((least - chunks) * 2 / 5);
    lane->sample_bytes = (size_t)((share - chunks - lane->window_bytes) * 2 / 7);
    lane->queue_bytes = lane->chunk_bytes;
}

static void share_loose(leat__lane_plan *lane, uint64_t share)
{
    lane->chunk_bytes = clamp(share / 32 / MIN_CHUNK * MIN_CHUNK, MIN_CHUNK, MAX_CHUNK / 2);
    lane->burst_bytes = lane->queue_bytes = lane->chunk_bytes;
    lane->sample_bytes = (size_t)((share - 5 * (uint64_t)lane->chunk_bytes) * 2 / 7);
}

/* Downloads into the cache at a time: one for each lane whose shards are kept, as far as connections and memory go. */
static void plan_fills(leat__plan *plan, const leat__origins *origins)
{
    size_t each = LEAT__FILL_BUFFERS * plan->shards.chunk_bytes, bytes = (size_t)(plan->config.memory_limit / 64);
    unsigned lanes = 0, most = plan->config.connections < LEAT__MOST_FILLS ? plan->config.connections : LEAT__MOST_FILLS;
    for (size_t i = 0; i < origins->count; i++)
        if (leat__caching_keeps(&plan->config, &origins->all[i])) lanes += origins->all[i].lanes;
    if (!lanes) return;
    if (bytes < each) bytes = each; /* one chunk is M / 160 at most: five are within M / 32 */
    if (bytes / each < most) most = (unsigned)(bytes / each);
    plan->fills = lanes < most ? lanes : most;
    plan->fill_bytes = bytes;
    assert(bytes <= plan->keep_bytes);
    plan->keep_bytes -= bytes;
}

static void share_lanes(leat__plan *plan, bool shards, uint64_t share, uint64_t least)
{
    share_loose(&plan->loose, share);
    if (shards) share_shards(&plan->shards, share, least);
    size_t most = shards ? plan->shards.sample_bytes : plan->loose.sample_bytes;
    plan->lane_bytes = (size_t)(share - most / 4 * 5);
    if (plan->config.max_sample_bytes && plan->config.max_sample_bytes < most) most = (size_t)plan->config.max_sample_bytes;
    plan->config.max_sample_bytes = plan->shards.sample_bytes = plan->loose.sample_bytes = most;
}

/* The largest zstd window for which every lane's fits into `bytes`. */
static unsigned choose_window_log(uint64_t bytes, uint32_t lanes)
{
    unsigned log = 23;
    while (log > 17 && ((uint64_t)1 << log) > bytes / lanes) log--;
    return log;
}

/* True if a counted shard has to be read from its beginning; *mean: bytes of a sample in the source where they are largest, as far
 * as the index tells. */
static bool reads_whole(const leat__origins *origins, double *mean)
{
    bool any = false;
    double largest = 0;
    for (size_t i = 0; i < origins->count; i++) {
        const leat__origin *origin = &origins->all[i];
        uint64_t samples = 0, bytes = 0;
        for (size_t k = 0; origin->index && k < origin->listing->count; k++) {
            leat__index_facts facts;
            leat__index_get_facts(origin->index, k, &facts);
            if (!origin->listing->objects[k].is_shard || leat__index_has_places(origin->index, k)) continue;
            any = true;
            uint64_t size = facts.unpacked != UINT64_MAX ? facts.unpacked : facts.bytes;
            if (size == UINT64_MAX) continue;
            samples += leat__index_counts(origin->index)[k];
            bytes += size;
        }
        if (samples && (double)bytes / (double)samples > largest) largest = (double)bytes / (double)samples;
    }
    if (mean) *mean = largest;
    return any;
}

/* True if the windows of shards that are read whole will be held, with half as much to spare. */
static bool windows_fit(const leat__plan *plan, const leat__origins *origins)
{
    double mean, samples = 0;
    reads_whole(origins, &mean);
    for (size_t i = 0; i < origins->count; i++) {
        const leat__origin *origin = &origins->all[i];
        for (size_t k = 0; origin->index && k < origin->listing->count; k++)
            samples += (double)leat__index_counts(origin->index)[k];
    }
    double window = plan->config.shuffle_window < samples ? plan->config.shuffle_window : samples;
    return window * (mean * 5 / 4 + (double)sizeof(leat__sample)) * 3 / 2 <= (double)plan->shards.window_bytes;
}

uint32_t leat__plan_rows(const leat_config *config)
{
    return config->batch_size / config->world + (config->rank < config->batch_size % config->world);
}

leat_code leat__plan_memory(leat__plan *plan, leat__origins *origins, bool reader, size_t batch_bytes, bool has_ragged,
                            leat_error *error)
{
    leat_config *c = &plan->config;
    uint64_t limit = c->memory_limit, used = limit / 32;
    look_for_packed(plan, origins);
    plan->keep_bytes = (size_t)(limit / 32);
    plan->big_codec_bytes = (size_t)(limit / 16);
    plan->worker_codec_bytes = (size_t)(limit / 16 / c->threads);
    plan->ragged_bytes = has_ragged ? (size_t)(limit / 8) : 0;
    used += plan->ragged_bytes + (plan->packed ? limit / 8 : 0);
    if (!reader) {
        used += limit / 8;
        uint64_t wanted = (uint64_t)c->prefetch + 2, room = batch_bytes ? limit / 2 / batch_bytes : wanted;
        plan->batches = (size_t)(room < 1 ? 1 : room < wanted ? room : wanted);
        used += batch_bytes ? plan->batches * (uint64_t)batch_bytes : limit / 2;
    }
    uint64_t rest = used < limit ? limit - used : 0;
    choose_lanes(plan, origins, rest);
    plan->window_log = choose_window_log(limit / 8, origins->lanes);
    uint64_t share = rest / origins->lanes;
    if (share < MIN_SHARE)
        return leat__fail(error, LEAT_EINVAL, 0,
                          "memory_limit of %.1f MB is too small: a batch of %u rows takes %.1f MB, and each of %u lanes needs 0.5 "
                          "MB of the %.1f MB that are left; lower batch_size or lanes, or raise memory_limit",
                          (double)limit / 1e6, leat__plan_rows(c), (double)batch_bytes / 1e6, origins->lanes, (double)rest / 1e6);
    uint64_t asked = c->max_sample_bytes;
    bool counted = origins->counted && reads_whole(origins, NULL); /* windows have to fit, and are no part of the order */
    share_lanes(plan, leat__origins_have_shards(origins), share, counted ? share : least_share(plan, origins->lanes, batch_bytes));
    plan_fills(plan, origins);
    if (!counted || windows_fit(plan, origins) || leat__origins_need_counts(c)) return LEAT_OK;
    leat__origins_forget_counts(origins); /* one rank: rather windows that are cut than none */
    c->max_sample_bytes = asked;
    share_lanes(plan, true, share, least_share(plan, origins->lanes, batch_bytes));
    return LEAT_OK;
}
