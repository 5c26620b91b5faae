/* caching.h - a stream's use of the cache: opening it, its fills, its statistics. For stream.c and lanes.c. */
#ifndef LEAT__CACHING_H
#define LEAT__CACHING_H

#include "loader/stream.h"

/* Whether the objects of a source are kept: shards that are URLs. */
bool leat__caching_keeps(const leat_config *config, const leat__origin *origin);

/* Opens the cache, if there is one and anything to be kept in it; config.cache_limit is chosen then. After the home, before the
 * lanes. LEAT_EINVAL also if an index names a shard that is larger than cache_limit. env: borrows, until leat__caching_close.
 * Blocks. */
leat_code leat__caching_open(leat__stream *stream, const leat__env *env, leat_error *error);

/* Adds the stages that fill it. */
leat_code leat__caching_add_fills(leat__stream *stream, leat_error *error);

/* After the pipeline. */
void leat__caching_close(leat__stream *stream);

#endif
