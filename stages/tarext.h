/* tarext.h - extended headers of a tar archive: what pax records and GNU's 'L' say about the entry that follows.
 * Shared by tar.c only. Parser of foreign bytes. */
#ifndef LEAT__TAREXT_H
#define LEAT__TAREXT_H

#include "stages/pax.h"
#include "stages/tarhead.h"

typedef struct leat__tarext {
    leat__pax global;       /* from 'g': for all entries that follow */
    leat__pax local;        /* from 'x': for the next one */
    char *long_name;        /* from 'L': for the next one; NULL if none */
    size_t long_name_size;
    /* the extended header whose body is coming */
    leat__tar_kind kind;
    uint64_t offset;        /* of its header */
    uint64_t remaining;     /* bytes of its body to come */
    char *text;             /* body so far */
    size_t text_size, text_capacity;
} leat__tarext;

/* Begins the body of an extended header (PAX, PAX_GLOBAL or LONG_NAME) that lies at offset. LEAT_ELIMIT: over 1 MiB. */
leat_code leat__tarext_open(leat__tarext *ext, const leat__tar_header *header, uint64_t offset, leat_error *error);

/* Takes `size` bytes of the body (borrows), at most ext->remaining. */
leat_code leat__tarext_add(leat__tarext *ext, const uint8_t *data, size_t size, leat_error *error);

/* Reads the body once none of it remains. LEAT_ECORRUPT, LEAT_ENOMEM. */
leat_code leat__tarext_done(leat__tarext *ext, leat_error *error);

/* What the entry after is called, how large it is and whether it is sparse: records go over its own header's fields.
 * *path: borrows, from ext or header, until ext is cleared. */
void leat__tarext_apply(const leat__tarext *ext, const leat__tar_header *header, const char **path, size_t *length,
                        uint64_t *size, bool *sparse);

void leat__tarext_next_entry(leat__tarext *ext);   /* forgets all but the global records */
void leat__tarext_next_archive(leat__tarext *ext); /* forgets everything, keeps memory */
void leat__tarext_free(leat__tarext *ext);

#endif
