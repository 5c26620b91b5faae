/* reference_tar.h - a tar reader that sees the whole archive at once: what stages/tar.c is compared with, in tests and
 * in bench/archive.c. Plain C, no state machine, no samples; ustar, GNU 'L' names, pax path and size. */
#ifndef LEAT_REFERENCE_TAR_H
#define LEAT_REFERENCE_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A regular file; path: not NUL-terminated, valid during the call. */
typedef void (*reference_tar_see)(void *user, const char *path, size_t length, size_t body_offset, size_t size);

/* Calls `see` with each regular file up to the two blocks of zeros or the archive's end. False: the archive is not
 * whole and sound. */
bool reference_tar_walk(const uint8_t *data, size_t size, reference_tar_see see, void *user);

#endif
