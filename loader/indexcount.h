/* indexcount.h - counts several shards side by side. */
#ifndef LEAT__INDEXCOUNT_H
#define LEAT__INDEXCOUNT_H

#include "loader/indexshard.h"

typedef struct leat__counted {
    const leat__object *object;
    leat__index_row row;          /* once it is counted; name and etag: not set; places: owned, till they are added to a list */
    char etag[LEAT__INDEX_ETAG];
} leat__counted;

/* Reads each shard to its end. look(user): now and then on the calling thread, and at the end; it may set run->stopping, which
 * fails the call with LEAT_ECLOSED. A failure names the shard. shards: zeroed but for `object`; to be ended by leat__counted_end,
 * also on failure. Threads: as many as run->config says. Blocks: till done. */
leat_code leat__index_count(leat__index_run *run, leat__counted *shards, size_t count, void (*look)(void *user), void *user,
                            leat_error *error);

/* Adds a counted shard to a list under its base name; its places go with it. */
leat_code leat__counted_add(leat__index_list *list, leat__counted *shard, leat_error *error);

/* Frees what was not added; the array stays. */
void leat__counted_end(leat__counted *shards, size_t count);

#endif
