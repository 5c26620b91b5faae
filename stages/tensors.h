/* tensors.h - the storage of batches: what their tensors are (the schema), and a pool of batches that are used again.
 *
 * A batch's dense tensors lie in one aligned block, rows next to each other, so that a worker decodes straight into its row.
 * Rows are filled in any order by many workers; each row's place is its worker's alone until the batch is finished. */
#ifndef LEAT__TENSORS_H
#define LEAT__TENSORS_H

#include <pthread.h>

#include <leat/batch.h>
#include <leat/config.h>

#include "stages/items.h"

/* ---- schema: one for a loader ---- */

typedef struct leat__column {
    char *tensor, *names;   /* owned copies of leat_field's */
    leat_field_kind kind;
    bool optional;
    bool known;             /* shape and dtype are: false for arrays until the first sample says */
    leat_dtype dtype;
    leat_layout layout;
    int ndim;               /* of a row */
    int64_t shape[LEAT_MAX_DIMS - 1];
    size_t row_bytes;       /* 0: ragged */
    size_t ragged;          /* ragged: which one of them, from 0 */
    char origin[300];       /* arrays: the sample that fixed the shape, for messages */
} leat__column;

typedef struct leat__schema leat__schema;
struct leat__schema {
    leat__column *columns;
    size_t count, ragged_count;
    uint32_t batch_size;
    leat_image image;       /* every zero replaced */
    /* several sources: the same columns as each of them has them, with field names and image settings of its own; NULL: as here */
    leat__schema **views;
    size_t view_count;
};

/* Makes the schema that a config (with its choices made) asks for, with `rows` rows a batch. *schema: gives. LEAT_EINVAL names the
 * field that is impossible, or the source whose fields are others. */
leat_code leat__schema_new(const leat_config *config, uint32_t rows, leat__schema **schema, leat_error *error);

/* The columns as the sample's source has them: names, `optional`, image settings. Shapes are those of the schema itself. */
static inline const leat__schema *leat__schema_of(const leat__schema *schema, const leat__sample *sample)
{
    uint32_t source = sample->object->source;
    return source < schema->view_count && schema->views[source] ? schema->views[source] : schema;
}
void leat__schema_free(leat__schema *schema); /* takes; NULL is fine */

/* Fixes the shape and dtype of array column i by a sample's field. LEAT_EMISSING, or as leat__npy_parse. */
leat_code leat__schema_learn(leat__schema *schema, size_t i, const leat__sample *sample, leat_error *error);

/* True once every column is known; then the bytes of a batch's block can be told (0 if it overflows). */
bool leat__schema_is_known(const leat__schema *schema);
size_t leat__schema_batch_bytes(const leat__schema *schema);

/* ---- batches ---- */

typedef enum leat__row_state { LEAT__ROW_OPEN = 0, LEAT__ROW_GOOD, LEAT__ROW_FAILED, LEAT__ROW_SUBSTITUTED } leat__row_state;

typedef struct leat__row_info {
    size_t key;             /* where it begins in the batch's text */
    const char *shard;      /* the listing's */
    uint64_t index;
    uint32_t source;        /* which of several */
    leat__row_state state;
} leat__row_info;

typedef struct leat__batches leat__batches;

struct leat_batch {
    leat__item item;
    /* fixed after creation */
    leat__batches *home;
    leat__arena *arena;     /* the home's */
    leat__budget *ragged_budget;
    const leat__schema *schema;
    leat__buffer *block;
    leat_tensor *tensors;   /* of each column */
    leat__row_info *rows;   /* batch_size of them */
    leat__bytes *ragged;    /* batch_size * ragged_count: the rows' own bytes, until the batch is finished */
    leat__buffer **joined;  /* of each ragged column, once it is finished */
    /* the holder's */
    uint64_t epoch, step;
    size_t reserved;        /* bytes charged for ragged rows */
    size_t assigned;        /* rows given to samples */
    size_t arrived;         /* of them, back from decoding */
    size_t failed;
    size_t count;           /* rows that are there, once it is finished */
    size_t missing;
    char *text;             /* keys, one after another */
    size_t text_size, text_capacity;
    /* the pool's */
    struct leat_batch *next, *next_made;
    enum { LEAT__BATCH_FREE, LEAT__BATCH_TAKEN, LEAT__BATCH_DELIVERED } place;
};

typedef struct leat__batches_options {
    const leat__schema *schema;   /* borrows all, until on_free */
    leat__arena *arena;
    leat__budget *budget;         /* charged for blocks */
    leat__budget *ragged_budget;  /* and for ragged bytes: reserved for the rows, then those of the joined columns */
    size_t max_batches;
    void (*on_free)(void *user);  /* when the last batch has come back after leat__batches_release */
    void *user;
} leat__batches_options;

/* Makes the pool; NULL if memory is short. Threads: any. */
leat__batches *leat__batches_new(const leat__batches_options *options);

/* Lets go of the pool (takes; NULL is fine), once the pipeline has ended: batches that it had taken and not delivered are
 * reclaimed; the pool goes with the last one that the consumer gives back. wake is not called any more. */
void leat__batches_release(leat__batches *batches);

/* Lowers max_batches, before the first batch is taken: for when its size is known late. */
void leat__batches_set_max(leat__batches *batches, size_t max_batches);

/* What to call when a batch has come back, or was delivered, after leat__batches_take found none or leat__batches_look looked;
 * it is called under the pool's lock. */
void leat__batches_set_wake(leat__batches *batches, void (*wake)(void *user), void *user);

/* Gives an empty batch; NULL: all are taken (then wake is called when one is back, or another delivered), or, with *no_memory
 * set, memory is short. */
leat_batch *leat__batches_take(leat__batches *batches, uint64_t epoch, uint64_t step, bool *no_memory);

/* Books that the consumer has got a batch. */
void leat__batch_deliver(leat_batch *batch);

/* How often batches have come back so far. Read it before trying to take one, or to find room. */
uint64_t leat__batches_returns(const leat__batches *batches);

/* After a try that failed: looks whether anything but the consumer can give a batch back. If every batch but `ours` of them is in
 * its hands and none has come back since `returns` was read, calls stuck(user, delivered) under the pool's lock, so that a release
 * can only come after it. Returns true if there are others than ours at all. Asks for a wake, as take does. */
bool leat__batches_look(leat__batches *batches, size_t ours, uint64_t returns, void (*stuck)(void *user, size_t delivered),
                        void *user);

/* ---- rows ---- */

/* Assigns the next row to a sample: its key, shard and number. False if memory is short. */
bool leat__batch_assign(leat_batch *batch, const leat__sample *sample, size_t *row);

/* Where a row's bytes of a dense column lie. */
void *leat__batch_row(const leat_batch *batch, size_t column, size_t row);

/* Charges what the rows' bytes of ragged columns will take, before they are there; refunded when the batch is finished or back. */
void leat__batch_reserve_ragged(leat_batch *batch, size_t bytes);

/* Copies a row's bytes of a ragged column. False if memory is short. Thread: the row's worker. */
bool leat__batch_set_ragged(leat_batch *batch, size_t column, size_t row, const leat__bytes *bytes);

/* True if leat__batch_finish has something to move: failed rows or ragged columns. */
bool leat__batch_has_work(const leat_batch *batch);

/* Finishes it: failed rows are filled from a neighbour (substitute) or closed up, ragged columns joined, shapes set. False if
 * memory is short. Thread: whoever holds the batch. */
bool leat__batch_finish(leat_batch *batch, bool substitute);

/* Gives back what was reserved for ragged bytes and not yet given back: its rows are joined, or dropped. */
void leat__batch_end_reserve(leat_batch *batch);

#endif
