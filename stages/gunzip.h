/* gunzip.h - gzip members one after another, by zlib. For decompress.c; the same shape as unzstd.h. */
#ifndef LEAT__GUNZIP_H
#define LEAT__GUNZIP_H

#include "stages/unzstd.h"

typedef struct leat__gunzip leat__gunzip;

leat__gunzip *leat__gunzip_new(void);          /* gives; NULL if memory is short */
void leat__gunzip_free(leat__gunzip *gunzip);  /* takes; NULL is fine */
void leat__gunzip_begin(leat__gunzip *gunzip); /* forgets the stream before, in any state */

/* True if these first bytes, 2 to 4 of them, are those of a gzip member. */
bool leat__gunzip_magic(const uint8_t *data, size_t size);

/* As leat__unzstd_run and leat__unzstd_end. Zero bytes after the last member are padding (tapes, gzip(1)); anything
 * else there is LEAT_EFORMAT. zlib checks each member's CRC-32 and length. */
leat_code leat__gunzip_run(leat__gunzip *gunzip, leat__codec_io *flow, leat_error *error);
leat_code leat__gunzip_end(leat__gunzip *gunzip, leat_error *error);

/* What one holds at most, bytes. */
size_t leat__gunzip_memory(void);

#endif
