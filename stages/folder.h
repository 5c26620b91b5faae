/* folder.h - the objects of a folder: shards, class folders, or loose files. For the source only. */
#ifndef LEAT__FOLDER_H
#define LEAT__FOLDER_H

#include "stages/listing.h"

/* Adds what the folder holds, as source.h says, sorted. LEAT_ENOTFOUND says what it has instead; LEAT_EACCESS or
 * LEAT_EIO name the folder that could not be read (one below is an error too: its samples would be missing in silence).
 * Blocks. */
leat_code leat__folder_list(const char *folder, leat__listing *listing, leat_error *error);

#endif
