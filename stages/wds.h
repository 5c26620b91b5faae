/* wds.h - groups the files of an archive into samples, as WebDataset does. Shared by tar.c only.
 *
 * Key and field of a file (WebDataset's base_plus_ext): the base name is cut at its first dot; what is before it, with
 * the folder, is the key; what is after it, in lower case, is the field: "a.b/cat.seg.PNG" is field "seg.png" of
 * "a.b/cat". Files without a dot in the base name, or with one in front (".DS_Store", macOS's "._cat.jpg"), belong to
 * no sample. Files next to each other with one key are a sample (group_by_keys); a key that comes again after another
 * is a new one. */
#ifndef LEAT__WDS_H
#define LEAT__WDS_H

#include "stages/tar.h"

/* A file of the archive, as its headers announce it. */
typedef struct leat__wds_file {
    const char *path;       /* no NUL in it, not NUL-terminated */
    size_t length;
    uint64_t header_offset; /* of its first header */
    uint64_t body_offset;
    uint64_t size;
    bool sparse;            /* its data has holes cut out: refused */
} leat__wds_file;

typedef struct leat__wds {
    /* fixed after creation */
    leat__stock *pool;
    uint64_t limit;         /* bytes a sample may span, from its first body's start to its last one's end */
    const char *limit_hint;
    /* the archive's */
    const leat__object *object;
    uint64_t epoch;
    leat__tar_emit emit;    /* set before each call that may emit */
    void *user;
    uint64_t index;         /* of the next sample */
    leat__sample *sample;   /* being put together, or NULL */
    uint64_t first_body;    /* its first field's body_offset */
    /* the file whose body comes next, if it was wanted */
    const char *field;      /* in the path given to leat__wds_open */
    size_t field_length;
    uint64_t body_offset;
} leat__wds;

typedef enum leat__wds_verdict {
    LEAT__WDS_WANTED,       /* give its body to leat__wds_add, while the path still lies where it was */
    LEAT__WDS_UNWANTED,     /* its sample has failed: step over the body */
    LEAT__WDS_IGNORED,      /* belongs to no sample: step over the body */
} leat__wds_verdict;

/* Forgets the sample and begins an archive, with sample number `index`. */
void leat__wds_begin(leat__wds *wds, const leat__object *object, uint64_t epoch, uint64_t index);

/* Takes up a file: emits the sample before it, if its key differs. A sample fails (and is emitted in its turn) with
 * LEAT_ECORRUPT: two fields of one name; LEAT_ELIMIT: over the limit, or more than 1024 fields; LEAT_EUNSUPPORTED:
 * sparse. Returns LEAT_ENOMEM, else LEAT_OK. */
leat_code leat__wds_open(leat__wds *wds, const leat__wds_file *file, leat__wds_verdict *verdict, leat_error *error);

/* Adds the body of the file that was wanted (takes bytes). LEAT_ENOMEM. */
leat_code leat__wds_add(leat__wds *wds, leat__bytes bytes, leat_error *error);

/* Emits the last sample, if there is one. */
void leat__wds_end(leat__wds *wds);

/* Drops the sample, if there is one, and writes its key into error->key (NULL is fine). */
void leat__wds_drop(leat__wds *wds, leat_error *error);

#endif
