/* deep.h - what is inside of a file: is it whole? */
#ifndef LEAT__DEEP_H
#define LEAT__DEEP_H

#include <stdatomic.h>
#include <stdint.h>

#include <leat/error.h>

typedef struct leat__deep leat__deep;

/* A thread's own memory for it. directory: that paths are relative to; stopping: both borrows. Gives; NULL if memory is short. */
leat__deep *leat__deep_new(const char *directory, atomic_bool *stopping);
void leat__deep_free(leat__deep *deep); /* takes; NULL is fine */

/* Reads a file, by its name's ending and its content: of shards (tar, tar.zst, tar.gz) every header and, of images and arrays in
 * them, theirs; zstd frames and gzip members to their end; headers and ends of images and arrays. Anything else is fine. Errors say
 * what, at which byte, of which sample: LEAT_ECORRUPT, LEAT_ETRUNCATED, LEAT_EFORMAT, LEAT_ELIMIT ...; LEAT_ECLOSED if it was
 * stopped. fd: borrows, at any place. */
leat_code leat__deep_check(leat__deep *deep, int fd, const char *path, uint64_t bytes, leat_error *error);

#endif
