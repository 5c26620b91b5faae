/* indexstore.h - puts leat.index into a folder; what is there of a folder's shards, and what its leat.index knows of them. */
#ifndef LEAT__INDEXSTORE_H
#define LEAT__INDEXSTORE_H

#include "stages/indexlist.h"

/* Writes the index of a folder's shards: whole or not at all, in the place of one that is there. list: sorted. directory: the
 * folder's descriptor; to: its path, for messages. *bytes: its size. Failures have stage "write". Blocks. */
leat_code leat__index_store(int directory, const char *to, const leat__index_list *list, uint64_t *bytes, leat_error *error);

/* Size, and CRC-32 of the beginning, of a file in a folder, as an index has them. False: no regular file that can be read.
 * Blocks. */
bool leat__index_look(int directory, const char *name, uint64_t *bytes, uint32_t *crc);

/* Completes the index of a part of a folder's shards. list: sorted; to it are added, and it is sorted again, the folder's other
 * shards of which its leat.index has a row that still matches (size and CRC of the beginning). unknown: empty; gives the names of
 * the others. *stale: a leat.index is there, whatever is in it. directory, to: the folder. Blocks. */
leat_code leat__index_keep_others(int directory, const char *to, leat__index_list *list, leat__index_list *unknown, bool *stale,
                                  leat_error *error);

#endif
