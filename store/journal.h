/* journal.h - which parts of a large file are there, so that a later run need not fetch them again (C3).
 *
 * A header and a record for each finished part, appended; each with a CRC-32C of its own. What is torn at its end is left out; a
 * journal whose header is damaged, of another version or of another object says nothing. The layout is in docs/formats.md; little
 * endian. Parser of foreign bytes. Threads: one at a time. */
#ifndef LEAT__JOURNAL_H
#define LEAT__JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <leat/error.h>

enum { LEAT__JOURNAL_MOST_PARTS = 1 << 24 }; /* 128 TiB in parts of 8 MiB; 80 MiB of memory */

typedef struct leat__journal_head {
    uint8_t url_sum[32];   /* SHA-256 of the URL */
    uint64_t total;        /* bytes of the object */
    uint64_t part_bytes;   /* of every part but the last; > 0 */
    char etag[128], modified[64]; /* as its server sent them, without control characters; "": none */
} leat__journal_head;

typedef struct leat__journal leat__journal;

/* Begins a journal `name` in a folder (O_EXCL, 0600). *journal: gives, to be ended by leat__journal_close; NULL on failure.
 * LEAT_ELIMIT: more than LEAT__JOURNAL_MOST_PARTS parts. LEAT_EDISK: no space, or read-only. LEAT_EEXISTS. */
leat_code leat__journal_create(int folder, const char *name, const leat__journal_head *head, leat__journal **journal,
                               leat_error *error);

/* Reads one (O_NOFOLLOW; a regular file of plausible size). *head and *crcs (gives, free: CRC-32C of each part) and *there (gives,
 * free: which parts are there) are filled; LEAT_ECORRUPT says why it says nothing, and nothing is given then. What is read is then
 * also open for more records, with a torn end cut off. Whether it is of the wanted object is for the caller to compare. */
leat_code leat__journal_open(int folder, const char *name, leat__journal_head *head, uint32_t **crcs, bool **there,
                             leat__journal **journal, leat_error *error);

/* Notes finished parts, in one write for each 256. Their data has to be on disk before, if it is to survive a power failure. sync:
 * so is the journal then. A part may be noted again: the last note counts. After a failure (LEAT_EDISK, LEAT_EIO) it is as it was,
 * and may be added to. */
typedef struct leat__journal_part {
    uint64_t number;
    uint32_t crc;
} leat__journal_part;
leat_code leat__journal_add(leat__journal *journal, const leat__journal_part *parts, size_t count, bool sync, leat_error *error);

void leat__journal_close(leat__journal *journal); /* takes; NULL is fine */

/* How many parts an object has. */
uint64_t leat__journal_parts(const leat__journal_head *head);

/* The same from bytes, for fuzzing and open: at most `size` bytes at data. *used: bytes of it that are whole. */
leat_code leat__journal_parse(const uint8_t *data, size_t size, leat__journal_head *head, uint32_t **crcs, bool **there,
                              size_t *used, leat_error *error);

#endif
