/* tar.h - a push parser of tar archives (ustar, GNU, pax) that gives WebDataset samples.
 *
 * Feed it an archive's bytes in chunks of any size; it calls back with samples whose fields are slices of those chunks
 * (no copy) or, where a body goes on in another buffer, of one of its own (one copy). tar.c reads entries, wds.c groups
 * them into samples: all files that share directory and name up to the first dot of the base name, standing next to
 * each other. Names are only ever keys, never paths to open. Parser of foreign bytes: sizes are checked before memory
 * is taken. Formats: POSIX.1-2017 pax (ustar), GNU tar manual "Basic Tar Format"; WebDataset's base_plus_ext and
 * group_by_keys. */
#ifndef LEAT__TAR_H
#define LEAT__TAR_H

#include "stages/items.h"

typedef struct leat__tar_options {
    leat__arena *arena;             /* borrows all three, until leat__tar_free */
    leat__budget *budget;           /* charged for bodies that cross chunks */
    leat__stock *samples;
    /* Bytes a sample may span in the archive, from its first body to the end of its last (one file: its size). Beyond,
     * bodies are stepped over, never held, and the sample fails with LEAT_ELIMIT. So a sample keeps at most twice this
     * alive: the chunks that its slices lie in, and copies of bodies that cross chunks. */
    uint64_t max_sample_bytes;
    /* What the limit comes from, for the message; NULL: "max_sample_bytes". */
    const char *limit_hint;
} leat__tar_options;

typedef struct leat__tar leat__tar;

leat__tar *leat__tar_new(const leat__tar_options *options); /* gives; NULL if memory is short */
void leat__tar_free(leat__tar *tar);                        /* takes; NULL is fine; drops a half-read sample */

/* Begins an archive: forgets the one before, in any state. object: borrows, until the next begin. */
void leat__tar_begin(leat__tar *tar, const leat__object *object, uint64_t epoch);

/* Begins a part of an archive that begins, at byte `offset`, with the headers of sample number `index`; it may end behind any sample. */
void leat__tar_begin_at(leat__tar *tar, const leat__object *object, uint64_t epoch, uint64_t offset, uint64_t index);

/* Called with each sample, in order (gives): also samples that failed alone (failed, with `error`), such as one with a
 * field over the limit or two fields of one name. */
typedef void (*leat__tar_emit)(void *user, leat__sample *sample);

/* Feeds the next bytes (borrows; slices of it are shared into samples). Returns LEAT_OK, or an error that ends the
 * archive: LEAT_ECORRUPT (header checksum, numbers; "tar header at byte 5242880: checksum is 012345, computed
 * 012346"), LEAT_EFORMAT
 * (not a tar at byte 0: says what it looks like), LEAT_ELIMIT (names and pax headers over 1 MiB), LEAT_ENOMEM. Samples
 * that were complete before it have been emitted; the error's offset is the header's. After an error only begin may
 * follow. */
leat_code leat__tar_feed(leat__tar *tar, const leat__bytes *bytes, leat__tar_emit emit, void *user, leat_error *error);

/* Ends the archive: emits the last sample. LEAT_ETRUNCATED if it ends within an entry or header; a missing
 * end-of-archive mark alone is fine (many writers leave it out), bytes after it are ignored. An archive of 0 bytes is
 * LEAT_ETRUNCATED. The incomplete sample is dropped; its key is in error->key. */
leat_code leat__tar_end(leat__tar *tar, leat__tar_emit emit, void *user, leat_error *error);

/* How many of the next bytes nobody looks at; so many, or fewer, may be stepped over instead of being fed (without an end: if the
 * archive is shorter, it is for the caller to step over what is there alone). */
uint64_t leat__tar_skippable(const leat__tar *tar);
void leat__tar_skip(leat__tar *tar, uint64_t bytes);

/* Of an archive that leat__tar_end has ended well: where its entries end and its end mark, if any, begins; and whether it has pax global
 * headers, on which every entry after them depends. */
uint64_t leat__tar_entries_end(const leat__tar *tar);
bool leat__tar_has_global(const leat__tar *tar);

/* Directories, links, devices and other entries without data, stepped over so far (all archives). */
uint64_t leat__tar_ignored(const leat__tar *tar);

#endif
