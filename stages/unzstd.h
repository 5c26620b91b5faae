/* unzstd.h - zstd frames one after another, by libzstd. For decompress.c; gunzip.h has the same shape. */
#ifndef LEAT__UNZSTD_H
#define LEAT__UNZSTD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <leat/error.h>

#include "pipeline/buffer.h"

/* What a codec works on: it advances all four. */
typedef struct leat__codec_io {
    const uint8_t *in;
    size_t in_size;
    uint8_t *out;
    size_t out_size;
} leat__codec_io;

typedef struct leat__unzstd leat__unzstd;

/* Gives; NULL if memory is short. arena, budget: as in leat__decompress_limits. */
leat__unzstd *leat__unzstd_new(unsigned max_window_log, leat__arena *arena, leat__budget *budget);
void leat__unzstd_free(leat__unzstd *unzstd);            /* takes; NULL is fine */
void leat__unzstd_begin(leat__unzstd *unzstd);           /* forgets the stream before, in any state */

/* True if these first bytes, 1 to 4 of them, are those of a zstd or a skippable frame; or could be, if under 4. */
bool leat__unzstd_magic(const uint8_t *data, size_t size);

/* LEAT_OK: all of in is used, and no more can come of it. LEAT_AGAIN: out is full. Or what leat__decompress returns. */
leat_code leat__unzstd_run(leat__unzstd *unzstd, leat__codec_io *flow, leat_error *error);

/* Nothing follows: LEAT_OK between frames, else LEAT_ETRUNCATED (LEAT_EFORMAT if what is there begins no frame). */
leat_code leat__unzstd_end(leat__unzstd *unzstd, leat_error *error);

/* What one holds at most, bytes. */
size_t leat__unzstd_memory(unsigned max_window_log);

#endif
