/* fixing.h - what is bad or missing is fetched again. */
#ifndef LEAT__FIXING_H
#define LEAT__FIXING_H

#include "fetch/checkfile.h"

typedef struct leat__fixing leat__fixing;

/* Tells that a file has been fetched again (error: NULL), or why it could not be. */
typedef void (*leat__fixing_tell)(void *user, const char *path, const char *url, const leat_error *error);

/* root: borrows. Gives; NULL if memory is short. */
leat__fixing *leat__fixing_new(const leat__root *root);
/* Notes a file that is missing, or a regular file that is bad; with its URL, and what it should be. One thread at a time. */
leat_code leat__fixing_add(leat__fixing *fixing, const leat__expected *expected, leat_error *error);
/* Puts the bad files aside (.leat/bad) and fetches them; those that could not be had come back to their place as they were. tell is
 * called on this thread, once for each file unless the run is ended. settings: NULL: defaults. */
leat_code leat__fixing_run(leat__fixing *fixing, const char *directory, const leat_fetch_config *settings, const volatile int *stop,
                           leat__fixing_tell tell, void *user, leat_error *error);
void leat__fixing_free(leat__fixing *fixing); /* takes; NULL is fine */

#endif
