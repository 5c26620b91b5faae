/* flow.c - making chunks. */
#include "stages/flow.h"

#include <stdlib.h>

/* What a chunk is of. */
typedef struct origin {
    const leat__object *object;
    uint64_t epoch;
    const leat__extent *extent;
} origin;

static leat__chunk *make(leat__lane *lane, const origin *of, leat__bytes bytes, uint64_t offset, bool last, const leat_error *error)
{
    leat__chunk *chunk = leat__chunk_new(lane->stock, of->object, of->epoch);
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
    chunk->extent = *of->extent;
    chunk->offset = offset;
    chunk->failed = error != NULL;
    chunk->last = last || error;
    if (error) *chunk->error = *error;
    return chunk;
}

leat__chunk *leat__chunk_make(leat__lane *lane, const leat__task *task, leat__bytes bytes, uint64_t offset, bool last,
                              const leat_error *error)
{
    const origin of = {task->object, task->epoch, &task->extent};
    leat__chunk *chunk = make(lane, &of, bytes, offset, last, error);
    if (chunk) chunk->first = offset == task->extent.from;
    return chunk;
}

leat__chunk *leat__chunk_made_of(leat__lane *lane, const leat__chunk *in, leat__bytes bytes, uint64_t offset, bool last,
                                 const leat_error *error)
{
    const origin of = {in->object, in->epoch, &in->extent};
    leat__chunk *chunk = make(lane, &of, bytes, offset, last, error);
    if (chunk) chunk->first = offset == 0;
    return chunk;
}
