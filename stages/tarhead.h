/* tarhead.h - one 512-byte header block of a tar archive: checksum, numbers, names, kinds. Shared by tar.c only.
 *
 * Forms: old v7 (checksum alone tells it from noise), POSIX.1-1988 ustar (name = prefix "/" name), GNU (magic
 * "ustar  ": no prefix, base-256 numbers), POSIX.1-2001 pax (ustar plus records, pax.h). */
#ifndef LEAT__TARHEAD_H
#define LEAT__TARHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <leat/error.h>

enum {
    LEAT__TAR_BLOCK = 512,
    LEAT__TAR_NAME = 155 + 1 + 100 + 1, /* prefix, slash, name, NUL */
};

typedef enum leat__tar_kind {
    LEAT__TAR_OTHER = 0,   /* directory, link, device, fifo, volume label ...: nothing for a sample */
    LEAT__TAR_FILE,        /* '0', NUL, '7' */
    LEAT__TAR_SPARSE,      /* 'S', GNU's old sparse file: extension blocks may follow, its data has holes cut out */
    LEAT__TAR_PAX,         /* 'x' (and Solaris's 'X'): records for the next entry */
    LEAT__TAR_PAX_GLOBAL,  /* 'g': records for all entries that follow */
    LEAT__TAR_LONG_NAME,   /* 'L', GNU: the next entry's name */
    LEAT__TAR_LONG_LINK,   /* 'K', GNU: the next entry's link target */
} leat__tar_kind;

typedef struct leat__tar_header {
    leat__tar_kind kind;
    bool has_data;         /* false: a link, device, directory or fifo, after which no data lies whatever size says */
    bool extended;         /* LEAT__TAR_SPARSE: an extension block follows */
    uint64_t size;         /* bytes that follow before padding; at most INT64_MAX */
    size_t name_length;
    char name[LEAT__TAR_NAME];
} leat__tar_header;

bool leat__tar_block_is_zero(const uint8_t *block);

/* True if the block says "ustar", as all but the oldest archives do. */
bool leat__tar_has_magic(const uint8_t *block);

/* True if an extension block of an old sparse file says that another follows. */
bool leat__tar_sparse_goes_on(const uint8_t *block);

/* Reads a header; offset: where it lies, for the message. LEAT_ECORRUPT: the checksum (sums of signed bytes are
 * accepted too, as some old writers made), or a size that is no number or negative or over 2^63 - 1. */
leat_code leat__tar_header_read(const uint8_t *block, uint64_t offset, leat__tar_header *header, leat_error *error);

/* What the beginning of something that is no tar looks like ("zstd data", "HTML"), or NULL. */
const char *leat__tar_looks_like(const uint8_t *data, size_t size);

#endif
