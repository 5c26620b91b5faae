/* pax.h - the records of a pax extended header ("27 path=n01440764/10026.jpg\n"), as far as they change what leat
 * reads. Shared by tar.c only. Parser of foreign bytes. */
#ifndef LEAT__PAX_H
#define LEAT__PAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <leat/error.h>

/* What records said. {0} is "nothing". */
typedef struct leat__pax {
    bool has_path, has_size;
    bool sparse;            /* a GNU sparse file (formats 0.0, 0.1, 1.0): its data has holes cut out */
    bool real_name;         /* path came from GNU.sparse.name, which wins over path */
    uint64_t size;
    char *path;             /* owned, not NUL-terminated */
    size_t path_length, path_capacity;
} leat__pax;

/* Forgets what was said, keeps the memory. */
void leat__pax_clear(leat__pax *pax);
void leat__pax_free(leat__pax *pax);

/* Reads the records in data and adds them to *pax. Keys used: path, size, GNU.sparse.*; an empty value takes back what
 * was said. All others are ignored, linkpath too: links are never followed. A record's self-length must be exact.
 * offset: of the extended header, for the message. LEAT_ECORRUPT, LEAT_ENOMEM. */
leat_code leat__pax_read(leat__pax *pax, const char *data, size_t size, uint64_t offset, leat_error *error);

#endif
