/* checksum.h - digests of files: SHA-256 and MD5 by OpenSSL's libcrypto, CRC-32C by ISA-L.
 *
 * Threads: any; a summer belongs to one at a time. */
#ifndef LEAT__CHECKSUM_H
#define LEAT__CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum leat__sum_kind {
    LEAT__SUM_NONE = 0,
    LEAT__SUM_CRC32C, /* Castagnoli (RFC 3720); bytes: big endian, as GCS and S3 write it */
    LEAT__SUM_MD5,    /* against accidents only, as CRC-32C */
    LEAT__SUM_SHA256,
} leat__sum_kind;

typedef struct leat__sum {
    leat__sum_kind kind;
    uint8_t bytes[32]; /* the first leat__sum_size(kind) of them; the others are 0 */
} leat__sum;

enum { LEAT__SUM_HEX = 65 }; /* room for the longest in hexadecimal, NUL included */

size_t leat__sum_size(leat__sum_kind kind);
const char *leat__sum_name(leat__sum_kind kind); /* "sha256", "md5", "crc32c", "" */

/* Reads a sum in hexadecimal (any case), or base64 with its padding (CRC-32C and MD5, as object stores write them). kind
 * LEAT__SUM_NONE: by its length. False, and *sum is NONE: it is none of that kind. */
bool leat__sum_parse(leat__sum_kind kind, const char *text, leat__sum *sum);
void leat__sum_hex(const leat__sum *sum, char hex[LEAT__SUM_HEX]);
bool leat__sum_equal(const leat__sum *a, const leat__sum *b); /* false if either is NONE */

/* CRC-32C: of `size` more bytes after those that gave `crc` (0: none); and of two pieces of data that follow each other. */
uint32_t leat__crc32c(uint32_t crc, const void *data, size_t size);
uint32_t leat__crc32c_combine(uint32_t first, uint32_t second, uint64_t second_bytes);
leat__sum leat__sum_of_crc32c(uint32_t crc);

typedef struct leat__summer leat__summer;

/* kind: not NONE. Gives; NULL if memory is short, or libcrypto refuses the method (MD5 under FIPS rules). */
leat__summer *leat__summer_new(leat__sum_kind kind);
void leat__summer_add(leat__summer *summer, const void *data, size_t size);
leat__sum leat__summer_finish(leat__summer *summer); /* and begins anew; kind NONE, which equals no sum: libcrypto failed */
void leat__summer_free(leat__summer *summer);        /* takes; NULL is fine */

#endif
