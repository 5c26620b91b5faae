/* wildcard.h - * ? and [..] in paths. For the source only. */
#ifndef LEAT__WILDCARD_H
#define LEAT__WILDCARD_H

#include "stages/listing.h"

/* True if the text has one of * ? [ */
bool leat__has_wildcard(const char *text);

/* Adds the files (not the folders) that match, sorted bytewise. LEAT_ENOTFOUND if none does; LEAT_EACCESS or LEAT_EIO
 * name a folder on the way that could not be read. Blocks. */
leat_code leat__wildcard_list(const char *pattern, leat__listing *listing, leat_error *error);

#endif
