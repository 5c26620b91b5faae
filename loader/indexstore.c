/* indexstore.c - puts leat.index into a folder.
 *
 * Threads: the caller's.
 * Not here: its layout (stages/indexwrite.c), files that appear when they are whole (shardfile.c). */
#include "loader/indexstore.h"

#include <assert.h>

#include "loader/shardfile.h"
#include "pipeline/failure.h"
#include "stages/index.h"

leat_code leat__index_store(int directory, const char *to, const leat__index_list *list, uint64_t *bytes, leat_error *error)
{
    assert(directory >= 0);
    leat__shard_file *file = leat__shard_file_new(LEAT_COMPRESSION_NONE, 0);
    if (!file) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for an index");
    leat_code code = leat__shard_file_begin(file, directory, to, LEAT__INDEX_NAME, true, error);
    if (!code) code = leat__index_file_write(list->rows, list->count, leat__shard_file_write, file, error);
    if (!code) code = leat__shard_file_commit(file, bytes, error);
    leat__shard_file_free(file);
    return code;
}
