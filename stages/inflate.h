/* inflate.h - a zlib stream that lies in memory whole, at once; refused wherever zlib refuses it. */
#ifndef LEAT__INFLATE_H
#define LEAT__INFLATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes behind the output that may be written: what one turn gives when it begins at the last byte (6 literals or 4 and
 * a match of 258), and 32 by which the match's copy oversteps. */
enum { LEAT__INFLATE_SLACK = 4 + 258 + 32 };

/* Tables of one stream at a time, about 16 KiB; kept, so that nothing is allocated per stream. */
typedef struct leat__inflate leat__inflate;

leat__inflate *leat__inflate_new(void);          /* gives; NULL if memory is short */
void leat__inflate_free(leat__inflate *inflate); /* takes; NULL is fine */

/* Inflates in[0..size) to exactly out_size bytes at out, behind which there is room for LEAT__INFLATE_SLACK more.
 * Borrows both until it returns. True only if zlib's inflate takes the stream too, if it gives out_size bytes, if they
 * have its Adler-32, and if not a byte of `in` is left over. stop: NULL, or looked at before
 * each block: ends it early, with false. Thread: any. Blocks: no. RFC 1950, RFC 1951. */
bool leat__inflate_zlib(leat__inflate *inflate, const uint8_t *in, size_t size, uint8_t *out, size_t out_size,
                        const atomic_bool *stop);

#endif
