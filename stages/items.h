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
    uint32_t source;    /* which of several */
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

/* Which part of an object is read, and what is known of its samples. Where nothing is known: LEAT__WHOLE. */
typedef struct leat__extent {
    uint64_t from, to;    /* bytes as stored, [from, to); to = UINT64_MAX: to its end */
    uint64_t first, last; /* the samples in it: numbers in the object, [first, last); last = UINT64_MAX: not known */
    uint64_t base;        /* position in its lane of the object's sample 0 (order.h) */
    uint64_t latest;      /* it is read for samples that leave the lane as this number at the latest; later ones that lie between
                             them will be read again */
} leat__extent;
#define LEAT__WHOLE ((leat__extent){.to = UINT64_MAX, .last = UINT64_MAX, .latest = UINT64_MAX})

/* An object as it is to be read once: in a lane, in an epoch. */
typedef struct leat__task {
    leat__item item;
    leat__stock *home;
    const leat__object *object;
    uint64_t epoch;         /* which time round; in lanes that read by the order: the segment (order.h) */
    leat__extent extent;    /* LEAT__WHOLE at first */
    /* what the index says of the object as stored; UINT64_MAX and "" where it says nothing */
    uint64_t total;
    const char *etag;       /* borrows, from the index */
    uint32_t head_crc;      /* CRC-32 of its first LEAT__HEAD_BYTES */
    bool has_head_crc;
} leat__task;
#define LEAT__HEAD_BYTES 4096

leat__task *leat__task_new(leat__stock *stock, const leat__object *object, uint64_t epoch); /* gives; NULL if memory is short */

/* ---- chunks ---- */

typedef struct leat__chunk {
    leat__item item;
    leat__stock *home;
    const leat__object *object;
    uint64_t epoch;
    leat__bytes bytes;  /* may be empty */
    uint64_t offset;    /* of the first byte in the object's stream at this point of the way */
    leat__extent extent;/* of the task */
    bool first, last;   /* of the task */
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
    uint64_t epoch;     /* as the task's; once a lane that reads by the order has let it go: the epoch it is delivered in */
    uint64_t pass;      /* which time round its source: what augmentation is keyed by */
    uint64_t place;     /* position in the epoch's order, of all ranks; 0 where nothing is counted */
    uint64_t base, latest; /* as the extent's */
    uint64_t index;     /* in its object, counting every sample that could be told apart */
    uint64_t offset;    /* of its first field's header in the unpacked shard */
    uint64_t end;       /* of its last field's bytes there; 0: loose files */
    const char *key;    /* in text; "" if a whole object failed */
    leat__sample_field *fields;
    size_t field_count, field_capacity;
    char *text;         /* key, names, small fields' bytes */
    size_t text_size, text_capacity;
    bool failed;        /* `error` says why; fields may be there in part */
    bool lost_object;   /* stands for the rest of the object or extent, not for one sample: takes no row */
    bool last_of_object;/* nothing more comes from this task */
    bool repeats;       /* failed with others of its object, of which one has said why */
    uint64_t until;     /* the extent's last; lost_object: it stands for the samples index .. until - 1 */
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
