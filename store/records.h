/* records.h - what is known of the files that leat fetch has finished: a line of JSON each, in DIR/.leat/records.
 *
 * What:    every process appends to a file of its own, named by its token, so that no two ever write to one. Files of earlier runs
 *          are only read. A record is written before its file gets its name: a record says that a file of this name, size and URL
 *          is leat's; whether it is there is for stat to say.
 * Form:    {"path":"a/b.jpg","url":"https://...","bytes":1234,"crc32c":"0a1b2c3d","sha256":"...","etag":"\"x\"","verified":true,
 *          "time":1700000000}; crc32c is always there, sha256 or md5 if it was asked for, etag if there was one. Strings as they
 *          are, but what JSON escapes; bytes that are no UTF-8 as \udc80..\udcff (as Python's surrogateescape). A line that is no
 *          such record (torn by a crash) is passed over, and counted; members that are not known are passed over. 0600: URLs may
 *          carry signatures.
 * Threads: one at a time for a writer. */
#ifndef LEAT__RECORDS_H
#define LEAT__RECORDS_H

#include "store/checksum.h"
#include "store/finished.h"
#include "store/root.h"

#define LEAT__STATE_FOLDER ".leat"
#define LEAT__RECORDS_FOLDER "records" /* in it */

/* Bytes of the texts that a record may have, NUL included. */
enum { LEAT__RECORD_PATH = 4096 + 1, LEAT__RECORD_URL = 65536 + 1, LEAT__RECORD_ETAG = 1024 + 1 };

typedef struct leat__record {
    const char *path, *url;
    uint64_t bytes;
    uint32_t crc32c;
    leat__sum sum;        /* sha256 or md5 that it was verified by; another kind: none is written */
    const char *etag;     /* "": none */
    bool verified;        /* its size was announced or a checksum matched (F4) */
    uint64_t time_s;
} leat__record;

typedef struct leat__record_writer leat__record_writer;

/* state: DIR/.leat; borrows, until the writer is freed. The file is made with the first record. Gives; NULL if memory is short. */
leat__record_writer *leat__record_writer_new(const leat__root *state, const char *token);
/* Adds a record to what the next flush writes: LEAT_ELIMIT if a text is longer than records may have, LEAT_ENOMEM. */
leat_code leat__record_add(leat__record_writer *writer, const leat__record *record, leat_error *error);
/* Writes what was added, in one write if it can. After a failure (LEAT_EDISK, LEAT_EACCESS, LEAT_EIO) the next flush goes on where
 * this one came to. */
leat_code leat__record_flush(leat__record_writer *writer, leat_error *error);
void leat__record_writer_free(leat__record_writer *writer); /* takes; NULL is fine; what was not flushed is forgotten */

/* Calls each(user, record) for every record in every file of the folder, files by name, lines in their order, until it returns
 * false. *torn: lines passed over. Constant memory. LEAT_OK also if there is no folder. */
leat_code leat__records_read(const leat__root *state, bool (*each)(void *user, const leat__record *record), void *user,
                             uint64_t *torn, leat_error *error);

/* Writes a text as a JSON string, quotes included, as above. Returns its length as snprintf does. For failed.jsonl too. */
size_t leat__json_quote(char *out, size_t capacity, const char *text);

/* Puts the bytes that \udc80..\udcff stand for back in their place, in a whole line: what pipeline/jsonread.h reads then gives the
 * texts that leat__json_quote was given. Returns the new length. */
size_t leat__json_unescape(char *line, size_t length);

#endif
