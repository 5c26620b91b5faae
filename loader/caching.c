/* caching.c - a stream's use of the cache.
 *
 * Why so:  loose files are not kept: a cache of millions of small files would be slower than the servers they come from, and could
 *          not be reckoned at each one's coming (store/cachequota.c). `leat fetch` is for them.
 * Threads: the opener's. */
#include "loader/caching.h"

#include "pipeline/failure.h"

bool leat__caching_keeps(const leat_config *config, const leat__origin *origin)
{
    return config->cache && origin->listing->shards && origin->listing->objects[0].is_url;
}

/* What an index tells of sizes is looked at before anything is downloaded. */
static leat_code check_sizes(const leat__stream *stream, const leat__origin *origin, leat_error *error)
{
    for (size_t i = 0; origin->index && i < origin->listing->count; i++) {
        leat__index_facts facts;
        leat__index_get_facts(origin->index, i, &facts);
        if (facts.bytes == UINT64_MAX) continue;
        leat_code code = leat__cachedir_admits(stream->fills.dir, facts.bytes, origin->listing->objects[i].display, error);
        if (code) return code;
    }
    return LEAT_OK;
}

leat_code leat__caching_open(leat__stream *stream, const leat__env *env, leat_error *error)
{
    leat_config *config = &stream->plan.config;
    const leat__origins *origins = stream->home->origins;
    leat__fills *fills = &stream->fills;
    leat_code code = LEAT_OK;
    for (size_t i = 0; !code && i < origins->count; i++) {
        if (!leat__caching_keeps(config, &origins->all[i])) continue;
        if (!fills->dir) code = leat__cachedir_open(config->cache, true, config->cache_limit, env, &fills->dir, error);
        if (!code) code = check_sizes(stream, &origins->all[i], error);
    }
    if (code || !fills->dir) return code;
    config->cache_limit = leat__cachedir_limit(fills->dir);
    fills->http = &stream->http;
    fills->stall_ns = (uint64_t)config->stall_timeout_ms * 1000000;
    leat__budget_init(&fills->budget, &stream->home->total, stream->plan.fill_bytes, NULL, NULL);
    return LEAT_OK;
}

leat_code leat__caching_add_fills(leat__stream *stream, leat_error *error)
{
    leat_code code = LEAT_OK;
    for (unsigned i = 0; stream->fills.dir && !code && i < stream->plan.fills; i++) {
        stream->last = NULL;
        code = leat__stream_add(stream, &leat__fill_type, leat__fill_new(&stream->fills, i), 1, 1, 1, error);
        if (!code) stream->fills.count = i + 1;
    }
    stream->last = NULL;
    return code;
}

void leat__caching_close(leat__stream *stream)
{
    leat__cachedir_close(stream->fills.dir);
    stream->fills.dir = NULL;
}
