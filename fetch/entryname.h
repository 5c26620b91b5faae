/* entryname.h - names under the directory, of URLs. entries.h has leat__entry_name, which says what is safe. */
#ifndef LEAT__ENTRYNAME_H
#define LEAT__ENTRYNAME_H

#include "fetch/entries.h"

/* The safe name of what is between from and end of a URL, percent-decoded where that gives neither '/' nor a control byte. */
bool leat__entry_name_of_url(const char *from, const char *end, char *out, size_t capacity);

/* LEAT_FETCH_HASHED: "xx/" and SHA-256 of the source in hexadecimal, and its extension if that is short and plain. summer: of
 * SHA-256; borrows. */
void leat__entry_name_hashed(leat__summer *summer, const char *source, char out[LEAT__ENTRY_PATH_BYTES]);

#endif
