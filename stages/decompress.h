/* decompress.h - zstd and gzip by magic, streaming, window and output capped; anything else passes through.
 *
 * Push in chunks, take out buffers; one decompressor serves one object after another (a lane's). zstd.c and gzip.c are the
 * codecs. Concatenated frames and members, skippable and empty frames are part of both formats and are read through. */
#ifndef LEAT__DECOMPRESS_H
#define LEAT__DECOMPRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <leat/error.h>

typedef enum leat__codec { LEAT__CODEC_UNKNOWN = 0, LEAT__CODEC_NONE, LEAT__CODEC_ZSTD, LEAT__CODEC_GZIP } leat__codec;

typedef struct leat__decompress_limits {
    unsigned max_window_log;  /* zstd: 23 (8 MiB, RFC 9659) */
    uint64_t max_output;      /* bytes an object may unpack to */
    uint64_t ratio;           /* output over this many times the input ... */
    uint64_t ratio_after;     /* ... is refused once it passes this many bytes */
} leat__decompress_limits;

typedef struct leat__decompressor leat__decompressor;

leat__decompressor *leat__decompressor_new(const leat__decompress_limits *limits); /* gives; NULL if memory is short */
void leat__decompressor_free(leat__decompressor *decompressor);                    /* takes; NULL is fine */

/* Begins an object: forgets the one before, in any state; keeps the codecs' memory. */
void leat__decompressor_begin(leat__decompressor *decompressor);

/* What the object is: UNKNOWN until enough bytes (4, or the end) have been seen by leat__decompressor_sniff. */
leat__codec leat__decompressor_sniff(leat__decompressor *decompressor, const uint8_t *data, size_t size, bool last);

/* Unpacks from *in to *out; advances in/in_size and out/out_size past what was used. Call again while it returns LEAT_OK
 * and (in_size > 0 or the output was filled). last: nothing follows in[]; then, with in_size == 0 and room left in out, a
 * stream that is not at a frame's end is LEAT_ETRUNCATED. Call leat__decompressor_sniff first with the same bytes; bytes that it
 * kept back (it keeps none: the caller must keep a first chunk of under 4 bytes and prepend it) are not repeated here.
 * Errors: LEAT_ECORRUPT ("zstd: Restored data doesn't match checksum"), LEAT_ETRUNCATED, LEAT_ELIMIT (window, output or ratio;
 * with the figures and the setting to change), LEAT_EUNSUPPORTED (a dictionary, named by id), LEAT_EFORMAT (garbage after
 * the last frame), LEAT_ENOMEM. *offset of the packed stream for messages: leat__decompressor_position. */
leat_code leat__decompress(leat__decompressor *decompressor, const uint8_t **in, size_t *in_size, bool last, uint8_t **out,
                           size_t *out_size, leat_error *error);

/* Packed bytes used and unpacked bytes made in this object. */
uint64_t leat__decompressor_used(const leat__decompressor *decompressor);
uint64_t leat__decompressor_made(const leat__decompressor *decompressor);

/* What a decompressor holds at most, bytes, for the memory plan. */
size_t leat__decompressor_memory(const leat__decompress_limits *limits);

#endif
