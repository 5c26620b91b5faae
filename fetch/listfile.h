/* listfile.h - a list or manifest, from a file, stdin or a server, entry by entry. */
#ifndef LEAT__LISTFILE_H
#define LEAT__LISTFILE_H

#include <leat/config.h>
#include <leat/error.h>

#include "fetch/listform.h"

typedef struct leat__listfile leat__listfile;

typedef struct leat__listfile_options {
    const char *name;             /* a file, "-" for stdin, or a URL */
    const leat_config *network;   /* NULL: URLs are refused */
    bool (*stopped)(void *user);  /* as in leat__entries_options; NULL: never */
    void *user;
} leat__listfile_options;

/* options and what it points to: borrows, until leat__listfile_close. *list: gives. */
leat_code leat__listfile_open(const leat__listfile_options *options, leat__listfile **list, leat_error *error);
void leat__listfile_close(leat__listfile *list); /* takes; NULL is fine */

typedef enum leat__list_step {
    LEAT__LIST_ENTRY,
    LEAT__LIST_BAD,     /* a line that cannot be understood: error says which and why */
    LEAT__LIST_END,     /* no more, or stopped */
    LEAT__LIST_FAILED,  /* it cannot be read any further: error */
} leat__list_step;

/* The next entry; listed is valid until the next call. Blocks. */
leat__list_step leat__listfile_next(leat__listfile *list, leat__listed *listed, leat_error *error);

enum { LEAT__LIST_PLACE = 500 };

/* Where the last entry was: "list 'a.txt' line 7", escaped, without a URL's secrets. Returns out. */
char *leat__listfile_place(const leat__listfile *list, char out[LEAT__LIST_PLACE]);

/* What its paths are relative to: "" or a folder with '/' at its end; of a list from a server its URL, without query, up to the
 * last '/'. Borrows. */
const char *leat__listfile_folder(const leat__listfile *list);

#endif
