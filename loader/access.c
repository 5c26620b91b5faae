/* access.c - looking into a finished batch (include/leat/batch.h). A batch belongs to one thread at a time: no locks. */
#include <string.h>

#include <leat/batch.h>

#include "stages/tensors.h"

size_t leat_dtype_size(leat_dtype dtype)
{
    static const unsigned char sizes[] = {1, 1, 2, 2, 4, 4, 8, 8, 2, 4, 8, 1};
    return (size_t)dtype < sizeof sizes ? sizes[dtype] : 0;
}

const char *leat_dtype_name(leat_dtype dtype)
{
    static const char *const names[] = {"uint8",  "int8",   "uint16",  "int16",   "uint32",  "int32",
                                        "uint64", "int64",  "float16", "float32", "float64", "bool"};
    return (size_t)dtype < sizeof names / sizeof *names ? names[dtype] : "unknown";
}

const leat_tensor *leat_batch_tensor_at(const leat_batch *batch, size_t i)
{
    return i < batch->schema->count ? &batch->tensors[i] : NULL;
}

const leat_tensor *leat_batch_tensor(const leat_batch *batch, const char *name)
{
    for (size_t i = 0; i < batch->schema->count; i++)
        if (strcmp(batch->tensors[i].name, name) == 0) return &batch->tensors[i];
    return NULL;
}

size_t leat_batch_rows(const leat_batch *batch)
{
    return batch->count;
}

size_t leat_batch_missing(const leat_batch *batch)
{
    return batch->missing;
}

uint64_t leat_batch_epoch(const leat_batch *batch)
{
    return batch->epoch;
}

uint64_t leat_batch_step(const leat_batch *batch)
{
    return batch->step;
}

const char *leat_batch_key(const leat_batch *batch, size_t row)
{
    return row < batch->count ? batch->text + batch->rows[row].key : "";
}

const char *leat_batch_shard(const leat_batch *batch, size_t row)
{
    return row < batch->count ? batch->rows[row].shard : "";
}

uint64_t leat_batch_index(const leat_batch *batch, size_t row)
{
    return row < batch->count ? batch->rows[row].index : 0;
}

bool leat_batch_substituted(const leat_batch *batch, size_t row)
{
    return row < batch->count && batch->rows[row].state == LEAT__ROW_SUBSTITUTED;
}
