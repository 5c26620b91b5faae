/* indexstore.h - puts leat.index into a folder. */
#ifndef LEAT__INDEXSTORE_H
#define LEAT__INDEXSTORE_H

#include "stages/indexlist.h"

/* Writes the index of a folder's shards: whole or not at all, in the place of one that is there. list: sorted. directory: the
 * folder's descriptor; to: its path, for messages. *bytes: its size. Failures have stage "write". Blocks. */
leat_code leat__index_store(int directory, const char *to, const leat__index_list *list, uint64_t *bytes, leat_error *error);

#endif
