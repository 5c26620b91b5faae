/* decode.h - the decode stage: a sample's fields become its row of the batch; the user's map function runs behind it. */
#ifndef LEAT__DECODE_H
#define LEAT__DECODE_H

#include "pipeline/stage.h"
#include "stages/image.h"
#include "stages/tensors.h"
#include "stages/transform.h"

typedef struct leat__decode_options {
    const leat__schema *schema;     /* borrows, as long as the stage lives */
    uint64_t seed;
    uint64_t max_image_pixels;
    uint64_t worker_codec_bytes;    /* what the codec of each worker may hold beyond a few rows ... */
    uint64_t big_codec_bytes;       /* ... and one worker at a time, for an image that needs more */
    leat_map_fn map;                /* NULL: none */
    void *map_user;
    const atomic_bool *stop;        /* ends long decodes early; NULL: never */
} leat__decode_options;

/* What is needed to decode: shared by all workers, that each borrow a kit (codec, scratch) from it. Threads: any. */
typedef struct leat__decoder leat__decoder;
leat__decoder *leat__decoder_new(const leat__decode_options *options); /* gives; NULL if memory is short */
void leat__decoder_free(leat__decoder *decoder);                       /* takes; NULL is fine */

/* Decodes a sample into its row of its batch. A failure is noted in the sample. Thread: any, in parallel. */
void leat__decode_sample(leat__decoder *decoder, leat__sample *sample);

/* The stage; its state is a leat__decoder (taken). Ordered, any concurrency. */
extern const leat__stage_type leat__decode_type;

#endif
