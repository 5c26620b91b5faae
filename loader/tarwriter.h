/* tarwriter.h - writes a tar archive: ustar, with pax headers for names and sizes that don't fit into it.
 *
 * Formats: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header". Every field that could differ from
 * run to run is fixed: mode 0644, owner 0, time 0. Thread: one at a time. */
#ifndef LEAT__TARWRITER_H
#define LEAT__TARWRITER_H

#include <stddef.h>
#include <stdint.h>

#include <leat/error.h>

/* Takes the archive's next bytes (borrows). Anything but LEAT_OK ends the archive. */
typedef leat_code (*leat__tar_sink)(void *user, const void *data, size_t size, leat_error *error);

typedef struct leat__tar_writer {
    leat__tar_sink sink;
    void *user;
    uint64_t left;  /* bytes that the entry's body still owes */
    size_t padding; /* zeros after the body */
} leat__tar_writer;

enum { LEAT__TAR_BLOCK = 512, LEAT__TAR_END_BYTES = 2 * LEAT__TAR_BLOCK };

/* Bytes that an entry takes in the archive: headers, body and padding. UINT64_MAX if that doesn't fit into 64 bits. */
uint64_t leat__tar_entry_bytes(const char *name, uint64_t size);

void leat__tar_writer_begin(leat__tar_writer *writer, leat__tar_sink sink, void *user);

/* Writes an entry's headers; exactly `size` bytes of body must follow by leat__tar_writer_body. name: 1..65535
 * bytes. */
leat_code leat__tar_writer_entry(leat__tar_writer *writer, const char *name, uint64_t size, leat_error *error);

/* Writes some of the body, and the padding once it is whole. */
leat_code leat__tar_writer_body(leat__tar_writer *writer, const void *data, size_t size, leat_error *error);

/* Notes that `size` bytes of the body went to the sink on another way (straight into its buffer), as _body does. */
leat_code leat__tar_writer_skip(leat__tar_writer *writer, size_t size, leat_error *error);

/* Writes the end-of-archive mark: two blocks of zeros. */
leat_code leat__tar_writer_end(leat__tar_writer *writer, leat_error *error);

#endif
