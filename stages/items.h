/* items.h - what travels between the stages: tasks, chunks of bytes, samples; and the stock they come from.
 *
 * The way: source names objects (leat__object) -> fetch and decompress make chunks (leat__chunk) -> unpack makes samples
 * (leat__sample), which travel on to the batch. A failure travels as an item too, in its place in the order: a chunk with
 * an error ends its object; a sample with an error stands for a sample, or for the rest of a shard, that could not be had. */
#ifndef LEAT__ITEMS_H
#define LEAT__ITEMS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <leat/error.h>

#include "pipeline/buffer.h"
#include "pipeline/item.h"
#include "pipeline/marker.h"

/* ---- objects ---- */

/* One file or URL that the source lists. Fixed after creation, kept by the listing; chunks and samples point to it. */
typedef struct leat__object {
    char *name;         /* path or URL, as it is opened */
    char *display;      /* for messages: redacted, escaped */
    char *key;          /* loose files: the sample's key ("cat/0001"); shards: NULL */
    char *field;        /* loose files: the field's name ("jpg"); shards: NULL */
    uint64_t number;    /* position in the listing */
    int64_t label;      /* class by folder, or -1 */
    bool is_url;
    bool is_shard;
} leat__object;

/* ---- the stock ---- */

/* Markers, tasks, chunks and samples come from a stock and go back to it, samples with their text and field arrays: a warm
 * pipeline allocates none. leat__stock_release (takes) ends it once the last item has come back. NULL if memory is short.
 * Threads: any. */
typedef struct leat__stock leat__stock;
leat__stock *leat__stock_new(void);
void leat__stock_release(leat__stock *stock); /* NULL is fine */
size_t leat__stock_live(leat__stock *stock);  /* items that are out: 0 at the end of every test */

leat__marker *leat__stock_marker(leat__stock *stock, uint64_t number); /* gives; NULL if memory is short */

/* ---- tasks ---- */

/* An object as it is to be read once: in a lane, in an epoch. */
typedef struct leat__task {
    leat__item item;
    leat__stock *home;
    const leat__object *object;
    uint64_t epoch;
} leat__task;

leat__task *leat__task_new(leat__stock *stock, const leat__object *object, uint64_t epoch); /* gives; NULL if memory is short */

/* ---- chunks ---- */

typedef struct leat__chunk {
    leat__item item;
    leat__stock *home;
    const leat__object *object;
    uint64_t epoch;
    leat__bytes bytes;  /* may be empty */
    uint64_t offset;    /* of the first byte in the object's stream at this point of the way */
    bool first, last;   /* of the object */
    bool failed;        /* the object ends here, by `error`; last is true */
    leat_error *error;  /* owned; NULL unless failed */
} leat__chunk;

/* Gives an empty chunk; NULL if memory is short. */
leat__chunk *leat__chunk_new(leat__stock *stock, const leat__object *object, uint64_t epoch);

/* ---- samples ---- */

typedef struct leat__sample_field {
    const char *name;   /* in the sample's text */
    leat__bytes bytes;
    uint64_t offset;    /* of its first byte in the unpacked shard */
} leat__sample_field;

typedef struct leat__sample {
    leat__item item;
    /* fixed after creation */
    leat__stock *home;
    /* the holder's */
    const leat__object *object;
    uint64_t epoch;
    uint64_t index;     /* in its object, counting every sample that could be told apart */
    uint64_t offset;    /* of its first field's header in the unpacked shard */
    uint64_t end;       /* of its last field's bytes there; 0: loose files */
    const char *key;    /* in text; "" if a whole object failed */
    leat__sample_field *fields;
    size_t field_count, field_capacity;
    char *text;         /* key, names, small fields' bytes */
    size_t text_size, text_capacity;
    bool failed;        /* `error` says why; fields may be there in part */
    bool lost_object;   /* failed, and stands for the rest of the object, not for one sample: takes no row */
    bool last_of_object;/* nothing more comes from this object */
    /* on the way through the batch */
    void *batch;        /* loader's; NULL before a row is assigned */
    size_t row;
    leat_error error;   /* last: 1.5 KB that a good sample hardly touches */
} leat__sample;

/* Gives an empty sample; NULL if memory is short. End it with leat__item_release(&sample->item). */
leat__sample *leat__sample_new(leat__stock *stock, const leat__object *object, uint64_t epoch);

/* Sets the key (copied). Call once, before the first field. False if memory is short. */
bool leat__sample_set_key(leat__sample *sample, const char *key, size_t length);

/* Adds a field: the name is copied and lower-cased, the bytes' reference is taken (also on failure). item.bytes grows.
 * Up to LEAT__INLINE_BYTES are copied to the text: a class number must not keep a whole chunk of its shard in memory.
 * False if memory is short. */
#define LEAT__INLINE_BYTES 512
bool leat__sample_add(leat__sample *sample, const char *name, size_t length, leat__bytes bytes, uint64_t offset);

/* The field of exactly this name (case ignored), or NULL. */
const leat__sample_field *leat__sample_field_named(const leat__sample *sample, const char *name, size_t length);

/* The field whose name is in `names` ("jpg;jpeg;png", the first that the sample has), or NULL. */
const leat__sample_field *leat__sample_find(const leat__sample *sample, const char *names);

#endif
