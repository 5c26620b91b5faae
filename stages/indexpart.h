/* indexpart.h - one index out of those that a listing needs: a leat.index, or one of another program. For index.c only. */
#ifndef LEAT__INDEXPART_H
#define LEAT__INDEXPART_H

#include "stages/index.h"
#include "stages/indexlist.h"

typedef struct leat__index_part {
    leat__index_file *file;  /* a leat.index; or NULL: */
    leat__index_list list;
    char *shown;             /* its name for messages; owned */
} leat__index_part;

/* How URLs are read. */
typedef struct leat__index_source {
    leat__index_fetch fetch; /* NULL: not at all */
    void *user;
    uint64_t max_bytes;      /* of all that is still to be fetched */
} leat__index_source;

/* Loads the leat.index that lies beside an object. *there: false (with LEAT_OK): there is none. part: gives, to be ended by
 * leat__index_part_end, also on failure. Blocks, as the next one. */
leat_code leat__index_part_beside(const leat__object *object, leat__index_source *source, leat__index_part *part, bool *there,
                                  leat_error *error);

/* Loads the one that leat_config.index names: a file, folder or URL. */
leat_code leat__index_part_named(const char *wanted, const leat__listing *listing, leat__index_source *source,
                                 leat__index_part *part, leat_error *error);

void leat__index_part_end(leat__index_part *part);

/* What is to be done if it is wrong, for messages: "run leat index again", or whatever else makes it. */
const char *leat__index_part_hint(const leat__index_part *part);

/* Where a shard stands in it (false: nowhere), and what it says there. */
bool leat__index_part_find(const leat__index_part *part, const char *name, size_t *shard);
void leat__index_part_row(const leat__index_part *part, size_t shard, leat__index_row *row);

#endif
