/* sums.h - --checksums: sums and sizes of files by their names, held in memory. For fetch and verify. */
#ifndef LEAT__SUMS_H
#define LEAT__SUMS_H

#include <leat/config.h>
#include <leat/error.h>

#include "store/checksum.h"

typedef struct leat__sums leat__sums;

typedef struct leat__sums_entry {
    const char *name;  /* safe, as leat__entry_name makes it */
    uint64_t bytes;    /* UINT64_MAX: not told */
    leat__sum sum;     /* kind NONE: none told, but then bytes are */
} leat__sums_entry;

/* Reads what sha256sum or md5sum wrote, or a manifest (entries.h). network: as there. *sums: gives. LEAT_EINVAL: a line that cannot
 * be understood, a plain list, two entries that contradict each other; else as opening and reading fail. Blocks. */
leat_code leat__sums_read(const char *file, const leat_config *network, leat__sums **sums, leat_error *error);
void leat__sums_free(leat__sums *sums); /* takes; NULL is fine */

size_t leat__sums_count(const leat__sums *sums);
leat__sums_entry leat__sums_at(const leat__sums *sums, size_t number); /* in the file's order; borrows */

typedef enum leat__sums_found {
    LEAT__SUMS_NONE,
    LEAT__SUMS_FOUND,
    LEAT__SUMS_AMBIGUOUS, /* several entries have this base name, and they differ */
} leat__sums_found;

/* False if two entries of one file cannot both be right. Sums of different kinds can. Pure. */
bool leat__sums_agree(const leat__sums_entry *a, const leat__sums_entry *b);

/* What is known of a file: by its whole name; else by its base name, where either that or the entry's name has no folder.
 * Threads: any number at a time. */
leat__sums_found leat__sums_find(const leat__sums *sums, const char *name, leat__sums_entry *entry);

#endif
