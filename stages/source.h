/* source.h - what a source names: folders, files, globs, brace ranges, URLs and lists become a list of objects. */
#ifndef LEAT__SOURCE_H
#define LEAT__SOURCE_H

#include "stages/items.h"

/* The list. Objects are in the source's order: folders and globs sorted bytewise by path, braces and lists as written. */
typedef struct leat__listing {
    leat__object *objects;
    size_t count;
    char **classes;       /* names of the classes, sorted bytewise; a label is an index into it; NULL if none */
    size_t class_count;
    uint64_t ignored;     /* files in folders that are of no known kind, hidden files */
    bool shards;          /* at least one object is a shard */
} leat__listing;

/* Lists a source. Forms, tried in this order:
 *   "@FILE", "@-"          a path or URL a line (LF or CRLF; blank lines and lines that start with '#' are passed over; each
 *                          line may have brace ranges; "-" is stdin); relative paths are relative to the list's folder
 *   "http://", "https://"  a URL, with brace ranges
 *   PATH of a folder       if it has shards (*.tar, .tar.zst, .tar.gz, .tgz, .tzst): these; else if it has sub-folders
 *                          with data files: class folders, class/ * * /name.ext (nested deeper too; the class is the first
 *                          level); else its data files. Data files: jpg jpeg jpe jfif png npy in any case. Links are followed
 *   PATH                   a file that exists, taken literally
 *   braces, then globs     {000000..000015} (equal width zero padding), {a,b}; several and nested; * ? [..] by glob(3)
 * Shards are told from loose files by these endings (URLs: of the path). Loose files: key = path relative to the folder
 * without the extension (lists, globs, URLs: parent folder and base name), up to the first dot of the base name; field =
 * what follows that dot, lower case. Labels: by class folder; for globs, lists and URLs whose files have at least two
 * different parent folder names: by parent folder name, sorted; else -1.
 * Errors name the source and what would be right: LEAT_EINVAL (malformed braces, over 100,000,000 objects, mixed URLs and paths),
 * LEAT_ENOTFOUND, LEAT_EACCESS, LEAT_EIO, LEAT_ENOMEM. *listing: gives, to be ended by leat__listing_free. Thread: any. Blocks. */
leat_code leat__source_list(const char *source, leat__listing **listing, leat_error *error);

void leat__listing_free(leat__listing *listing); /* takes; NULL is fine */

/* Expands braces only; calls each(user, text) for every result in order, until it returns false. LEAT_EINVAL if malformed.
 * Thread: any. */
leat_code leat__braces_expand(const char *pattern, bool (*each)(void *user, const char *text), void *user, leat_error *error);

#endif
