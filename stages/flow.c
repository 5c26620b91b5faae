/* flow.c - making chunks. */
#include "stages/flow.h"

#include <stdlib.h>

static leat__chunk *make(leat__lane *lane, const leat__object *object, uint64_t epoch, leat__bytes bytes, const leat_error *error)
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
    chunk->failed = error != NULL;
    if (error) *chunk->error = *error;
    return chunk;
}

leat__chunk *leat__chunk_make(leat__lane *lane, const leat__task *task, leat__bytes bytes, uint64_t offset, bool last,
                              const leat_error *error)
{
    leat__chunk *chunk = make(lane, task->object, task->epoch, bytes, error);
    if (!chunk) return NULL;
    chunk->extent = task->extent;
    chunk->offset = offset;
    chunk->first = offset == task->extent.from;
    chunk->last = last || error;
    return chunk;
}

leat__chunk *leat__chunk_made_of(leat__lane *lane, const leat__chunk *in, leat__bytes bytes, uint64_t offset, bool last,
                                 const leat_error *error)
{
    leat__chunk *chunk = make(lane, in->object, in->epoch, bytes, error);
    if (!chunk) return NULL;
    chunk->extent = in->extent;
    chunk->offset = offset;
    chunk->first = offset == 0;
    chunk->last = last || error;
    return chunk;
}
