/* flow.c - making chunks. */
#include "stages/flow.h"

#include <stdlib.h>

leat__chunk *leat__chunk_make(leat__lane *lane, const leat__object *object, uint64_t epoch, leat__bytes bytes, uint64_t offset,
                              bool last, const leat_error *error)
{
    leat__chunk *chunk = leat__chunk_new(lane->stock, object, epoch);
    if (chunk && error) {
        chunk->error = malloc(sizeof *error);
        if (!chunk->error) {
            leat__item_release(&chunk->item);
            chunk = NULL;
        }
    }
    if (!chunk) {
        leat__bytes_release(&bytes);
        return NULL;
    }
    chunk->bytes = bytes;
    chunk->item.bytes = bytes.size;
    chunk->offset = offset;
    chunk->first = offset == 0;
    chunk->failed = error != NULL;
    chunk->last = last || error;
    if (error) *chunk->error = *error;
    return chunk;
}
