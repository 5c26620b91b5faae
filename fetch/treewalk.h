/* treewalk.h - every file below a local folder, in an order that is the same everywhere. */
#ifndef LEAT__TREEWALK_H
#define LEAT__TREEWALK_H

#include <stdbool.h>
#include <sys/stat.h>

#include <leat/error.h>

typedef struct leat__treewalk {
    const struct stat *skipped; /* a folder below that is passed over; NULL: none */
    /* path: the folder's as it was given, and names. False: no more. */
    bool (*file)(void *user, const char *path);
    bool (*bad)(void *user, const char *path, const leat_error *error); /* see entries.h */
    void *user;
} leat__treewalk;

/* Calls back for what is below a folder. What is held: names of the folders on the way down. Errors: the folder itself cannot be
 * read; LEAT_ENOMEM. Thread: any. Blocks. */
leat_code leat__treewalk_run(const leat__treewalk *walk, const char *folder, leat_error *error);

#endif
