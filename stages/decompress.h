/* decompress.h - zstd and gzip by magic, streaming, window and output capped; anything else passes through.
 *
 * Push in chunks, take out buffers; one decompressor serves one object after another (a lane's). unzstd.c and gunzip.c
 * are the codecs. Concatenated frames and members, skippable and empty frames are part of both formats and are read
 * through. All of a caller:
 *
 *     if (leat__decompressor_passes(d, data, size, last)) return hand_on_the_chunk_itself();
 *     do {
 *         ... a fresh buffer: out = start, room = its capacity ...
 *         code = leat__decompress(d, &data, &size, last, &out, &room, error);
 *         if (out > start) hand_on_the_buffer();      // also before an error: it is good as far as it goes
 *     } while (code == LEAT_AGAIN);
 *     // LEAT_OK: the chunk is used up; if it was the last, the object is complete
 */
#ifndef LEAT__DECOMPRESS_H
#define LEAT__DECOMPRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <leat/error.h>

#include "pipeline/buffer.h"

typedef enum leat__codec { LEAT__CODEC_UNKNOWN = 0, LEAT__CODEC_NONE, LEAT__CODEC_ZSTD, LEAT__CODEC_GZIP } leat__codec;

typedef struct leat__decompress_limits {
    unsigned max_window_log;  /* zstd, 10 to 31: 23 (8 MiB, RFC 9659) */
    uint64_t max_output;      /* bytes a packed object may unpack to */
    uint64_t ratio;           /* output over this many times the input ... */
    uint64_t ratio_after;     /* ... is refused once it passes this many bytes */
    leat__arena *arena;       /* where zstd's window comes from, borrows, as long as the decompressor lives; NULL: malloc */
    leat__budget *budget;     /* charged for it; NULL: none */
} leat__decompress_limits;

typedef struct leat__decompressor leat__decompressor;

/* Gives; NULL if memory is short. The codecs' own memory is taken when the first packed object comes, and kept. */
leat__decompressor *leat__decompressor_new(const leat__decompress_limits *limits);
void leat__decompressor_free(leat__decompressor *decompressor); /* takes; NULL is fine */

/* Begins an object: forgets the one before, in any state; keeps the codecs' memory. */
void leat__decompressor_begin(leat__decompressor *decompressor);

/* What the object is: UNKNOWN until 4 bytes, or all, of it have been seen by one of the two calls below. */
leat__codec leat__decompressor_codec(const leat__decompressor *decompressor);

/* True if these next bytes are the object's as they are: hand them on unchanged, they are counted as used and made.
 * False: give the same bytes to leat__decompress, which must be called then. (Not packed, and nothing held back: false
 * can only come for a packed object, or while the first chunks have under 4 bytes together.) */
bool leat__decompressor_passes(leat__decompressor *decompressor, const uint8_t *data, size_t size, bool last);

/* Unpacks from *in to *out; advances in/in_size and out/out_size past what was used. in_size may be 0, out_size not.
 * LEAT_OK: all of in[] is used and no more can come of it; up to 3 first bytes may be held inside until the next call.
 * With `last` (nothing follows in[]) the object is complete. LEAT_AGAIN: out[] is full; call again with the rest of
 * in[] (may be empty), the same `last` and an out[] with room. Work is bounded by in_size + out_size. Errors, after
 * which only begin may follow; what lies in out[] before is good as far as it could be checked: LEAT_ECORRUPT ("zstd:
 * Restored data doesn't match checksum"), LEAT_ETRUNCATED (the object ends within a frame or member), LEAT_ELIMIT
 * (window, output or ratio; with the figures and the setting to change), LEAT_EUNSUPPORTED (a dictionary, named by
 * id), LEAT_EFORMAT (garbage after the last frame; zero bytes after a gzip member are fine), LEAT_ENOMEM.
 * leat__decompressor_used says where in the packed stream. */
leat_code leat__decompress(leat__decompressor *decompressor, const uint8_t **in, size_t *in_size, bool last,
                           uint8_t **out, size_t *out_size, leat_error *error);

/* Packed bytes used and unpacked bytes made in this object. */
uint64_t leat__decompressor_used(const leat__decompressor *decompressor);
uint64_t leat__decompressor_made(const leat__decompressor *decompressor);

/* What a decompressor holds at most, bytes, for the memory plan. */
size_t leat__decompressor_memory(const leat__decompress_limits *limits);

#endif
