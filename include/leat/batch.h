/* batch.h - what a trainer receives: named dense tensors and, for each row, where it came from.
 *
 * A batch is read-only to leat once it is delivered and belongs to the consumer until leat_release. It may outlive its
 * loader. Thread: a batch may be passed between threads, used by one at a time. */
#ifndef LEAT_BATCH_H
#define LEAT_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <leat/export.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LEAT_MAX_DIMS 8
#define LEAT_ALIGNMENT 64 /* of every tensor's data, bytes: a cache line, and the widest vector register */

typedef enum leat_dtype {
    LEAT_UINT8 = 0,
    LEAT_INT8 = 1,
    LEAT_UINT16 = 2,
    LEAT_INT16 = 3,
    LEAT_UINT32 = 4,
    LEAT_INT32 = 5,
    LEAT_UINT64 = 6,
    LEAT_INT64 = 7,
    LEAT_FLOAT16 = 8, /* IEEE 754 binary16 */
    LEAT_FLOAT32 = 9,
    LEAT_FLOAT64 = 10,
    LEAT_BOOL = 11, /* one byte, 0 or 1 */
} leat_dtype;

typedef enum leat_layout {
    LEAT_LAYOUT_AUTO = 0,
    LEAT_HWC = 1, /* rows, columns, channels: as files and screens have it */
    LEAT_CHW = 2, /* channels, rows, columns: as convolutions want it */
} leat_layout;

typedef struct leat_batch leat_batch;

/* A dense, C-contiguous array in native byte order, LEAT_ALIGNMENT-aligned. shape[0] is the number of rows.
 * Ragged tensors (LEAT_FIELD_BYTES) are 1-d LEAT_UINT8 with the bytes of all rows one after another, shape[0] of them: row i
 * is data[offsets[i] .. offsets[i + 1]). */
typedef struct leat_tensor {
    const char *name;
    leat_dtype dtype;
    leat_layout layout;            /* images only; else LEAT_LAYOUT_AUTO */
    int ndim;
    int64_t shape[LEAT_MAX_DIMS];  /* elements */
    int64_t strides[LEAT_MAX_DIMS];/* elements, not bytes */
    void *data;                    /* NULL if the tensor has no bytes */
    size_t bytes;                  /* of all rows */
    const int64_t *offsets;        /* ragged: rows + 1 byte positions in data; else NULL */
} leat_tensor;

/* Returns the size of one element in bytes, 0 for a number that is no dtype. Thread: any. Blocks: no. */
LEAT_API size_t leat_dtype_size(leat_dtype dtype);

/* Returns "uint8", "float32" ..., or "unknown"; static. Thread: any. Blocks: no. */
LEAT_API const char *leat_dtype_name(leat_dtype dtype);

/* Returns the tensor of that name, or NULL; it lives as long as the batch (borrows). Blocks: no. */
LEAT_API const leat_tensor *leat_batch_tensor(const leat_batch *batch, const char *name);

/* Returns tensor number i in the order of the config's fields, or NULL past the last (borrows). Blocks: no. */
LEAT_API const leat_tensor *leat_batch_tensor_at(const leat_batch *batch, size_t i);

/* Rows that are there: shape[0] of every dense tensor. Can be less than batch_size, 0 if every sample failed. Blocks: no. */
LEAT_API size_t leat_batch_rows(const leat_batch *batch);

/* Samples that belong to this batch and are not in it: they failed under LEAT_ON_ERROR_SKIP. Blocks: no. */
LEAT_API size_t leat_batch_missing(const leat_batch *batch);

/* The batch's epoch, and its number in that epoch from 0. Blocks: no. */
LEAT_API uint64_t leat_batch_epoch(const leat_batch *batch);
LEAT_API uint64_t leat_batch_step(const leat_batch *batch);

/* The sample's key ("n01440764/10026"), the shard or file it came from, and its number within that shard; "" and 0 for
 * a row that is not there. The strings live as long as the batch (borrows). Blocks: no. */
LEAT_API const char *leat_batch_key(const leat_batch *batch, size_t row);
LEAT_API const char *leat_batch_shard(const leat_batch *batch, size_t row);
LEAT_API uint64_t leat_batch_index(const leat_batch *batch, size_t row);

/* True if the row repeats a neighbour because its own sample failed (LEAT_ON_ERROR_SUBSTITUTE). Its key is the failed
 * sample's. Blocks: no. */
LEAT_API bool leat_batch_substituted(const leat_batch *batch, size_t row);

/* Ends the batch (takes): its memory goes back to the pool of the loader that made it. NULL is fine. Every pointer got
 * from the batch is void after it. Thread: any, also after leat_close. Blocks: no. */
LEAT_API void leat_release(leat_batch *batch);

#ifdef __cplusplus
}
#endif
#endif
