/* root.h - a directory that nothing escapes from: every path is opened beneath it, without following symbolic links.
 *
 * openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), and where a kernel or sandbox has no openat2, component by component with
 * O_NOFOLLOW. Paths are relative, '/' between their parts, none of which is empty, "." or ".."; others are refused with EINVAL.
 * Threads: any. */
#ifndef LEAT__ROOT_H
#define LEAT__ROOT_H

#include <stdbool.h>
#include <sys/stat.h>

#include <leat/error.h>

typedef struct leat__root {
    int fd;             /* O_DIRECTORY; -1: not open */
    char shown[512];    /* its path, escaped, for messages */
} leat__root;

/* Opens a directory; make: with its parents, if it is not there (0777 and umask). The path itself is the user's: links in it are
 * followed. *root: gives, to be ended by leat__root_close; {-1} on failure. Errors name path and reason: LEAT_ENOTFOUND,
 * LEAT_EACCESS, LEAT_EDISK (full, quota, read-only), LEAT_EIO (ENOTDIR, ELOOP, ENAMETOOLONG in words). */
leat_code leat__root_open(const char *path, bool make, leat__root *root, leat_error *error);
/* A directory beneath another one (made if `make`), without following links. */
leat_code leat__root_open_beneath(const leat__root *root, const char *path, bool make, leat__root *sub, leat_error *error);
void leat__root_close(leat__root *root); /* {-1} is fine */

/* open(2) beneath it, always with O_CLOEXEC and O_NOFOLLOW. Returns a descriptor, or -1 and errno (ELOOP: a symbolic link is in the
 * way). A FIFO in the place of a file is for the caller's O_NONBLOCK and fstat. */
int leat__root_openat(const leat__root *root, const char *path, int flags, mode_t mode);

/* Opens the folder of a path ("a/b" of "a/b/c.jpg"; make: makes what is missing of it): its descriptor (gives), and *base, the
 * file's own name in path. -1 and errno. */
int leat__root_open_parent(const leat__root *root, const char *path, bool make, const char **base);

/* lstat beneath it, without following any link: 0, or -1 and errno. */
int leat__root_stat(const leat__root *root, const char *path, struct stat *status);

/* Renames name in folder `from_fd` to base in folder `to_fd`; replace: an existing one, else EEXIST. Atomic; where neither
 * RENAME_NOREPLACE nor hard links are to be had, looked for before. 0, or -1 and errno. */
int leat__rename_to(int from_fd, const char *name, int to_fd, const char *base, bool replace);

#endif
