/* listref.h - what an entry of a list refers to: a local file, or a URL. For entries.c. */
#ifndef LEAT__LISTREF_H
#define LEAT__LISTREF_H

#include <leat/error.h>

#include "fetch/listform.h"

enum { LEAT__REF_BYTES = 4 * LEAT__LIST_LINE };

/* Writes the URL or local path that a source of a list means. folder: leat__listfile_folder's. text: the source, with its braces
 * expanded. LEAT_EINVAL: another scheme than http; too long. Thread: any. Pure. */
leat_code leat__listref_resolve(const char *folder, const char *text, bool is_file, char out[LEAT__REF_BYTES], leat_error *error);

/* LEAT_EINVAL if a name has a scheme that is not read. */
leat_code leat__listref_scheme(const char *name, leat_error *error);

#endif
