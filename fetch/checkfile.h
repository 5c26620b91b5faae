/* checkfile.h - one file that is there: is it what it should be? */
#ifndef LEAT__CHECKFILE_H
#define LEAT__CHECKFILE_H

#include <stdatomic.h>

#include <leat/fetch.h>

#include "store/checksum.h"
#include "store/root.h"

/* What is known of a file. */
typedef struct leat__expected {
    const char *path, *url;  /* relative; url: "" if not known */
    uint64_t bytes;          /* UINT64_MAX: not known */
    bool has_crc;
    uint32_t crc32c;
    leat__sum sums[2];       /* recorded, and listed; kind NONE: none */
    uint64_t time_s;         /* when that was recorded; 0: never */
} leat__expected;

typedef enum leat__found {
    LEAT__FOUND_GOOD,
    LEAT__FOUND_UNVERIFIED,  /* its size is right, or not known, and nothing else was to be compared */
    LEAT__FOUND_BAD,         /* not what it should be; or it cannot be read */
    LEAT__FOUND_DAMAGED,     /* what it should be, as far as that is known; but its contents are damaged */
    LEAT__FOUND_STRANGE,     /* no file is there but a folder, a link ...: leat did not put it there */
    LEAT__FOUND_MISSING,
} leat__found;

/* A thread's own memory for it. */
typedef struct leat__checker leat__checker;

/* directory: root's path. root, directory, stopping: borrows. Gives; NULL if memory is short. */
leat__checker *leat__checker_new(const leat__root *root, const char *directory, bool quick, bool deep, atomic_bool *stopping);
void leat__checker_free(leat__checker *checker); /* takes; NULL is fine */

/* Looks at a file: that it is one, its size, then its checksums (not if quick), then what is inside (if deep). *bytes: its size.
 * Errors of the bad ones: LEAT_ECHECKSUM, LEAT_ENOTFOUND, those of deep.h, LEAT_EIO ...; LEAT_ENOMEM, LEAT_ESYSTEM, LEAT_ECLOSED:
 * it was not looked at to its end. */
leat__found leat__check_file(leat__checker *checker, const leat__expected *expected, uint64_t *bytes, leat_error *error);

#endif
