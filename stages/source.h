/* source.h - what a source names: folders, files, globs, brace ranges, URLs and lists become a list of objects.
 *
 * source.c: the forms and lists; braces.c and wildcard.c: patterns; folder.c: folders; filename.c: what a name says;
 * listing.c: the list. */
#ifndef LEAT__SOURCE_H
#define LEAT__SOURCE_H

#include "stages/braces.h"
#include "stages/items.h"

/* The list. Objects are in the source's order: folders and globs sorted bytewise by path, braces and lists as written.
 * Memory: 56 bytes an object and its strings, once each (display is name where nothing had to be hidden). */
typedef struct leat__listing {
    leat__object *objects;
    size_t count;
    char **classes;       /* names of the classes, sorted bytewise; a label is an index into it; NULL if none */
    size_t class_count;
    uint64_t ignored;     /* in folders: files of no known kind, hidden ones, links back to a folder above */
    bool shards;          /* at least one object is a shard */
} leat__listing;

#define LEAT__MAX_OBJECTS 100000000u /* of a source */

/* Lists a source. Forms, tried in this order:
 *   "@FILE", "@-", "-"     a path or URL a line (LF or CRLF; blank lines and lines that start with '#' are passed over;
 *                          each line may have brace ranges; "-" is stdin); relative paths are relative to the list's
 *                          folder
 *   "http://", "https://"  a URL, with brace ranges
 *   PATH of a folder       if it has shards (*.tar, .tar.zst, .tar.gz, .tgz, .tzst): these; else if it has sub-folders
 *                          with data files: class folders, class/ * * /name.ext (nested deeper too; the class is the
 *                          first level; every sub-folder counts as a class, also an empty one, so that train and test
 *                          folders agree); else its data files. Data files: jpg jpeg jpe jfif png npy in any case.
 *                          Links are followed, and those that lead nowhere listed by their name: reading them is the
 *                          error
 *   PATH                   a file that exists, taken literally
 *   braces, then globs     {000000..000015} (equal width zero padding), {a,b}; several and nested; * ? [..] as glob(3)
 * Shards are told from loose files by these endings (URLs: of the path). Loose files: key = path relative to the folder
 * (lists, globs, URLs: parent folder and base name, percent-decoded) without the extension; field = the extension,
 * lower case, "" if there is none. The extension is what follows the first dot of the base name ("0001.seg.png":
 * seg.png) if all before its last dot are lower-case words, else what follows the last dot ("J. Smith.jpg",
 * "2020.01.02.jpg": jpg); other dots of the base name are '_' in the key, so that a shard packed from it has the same
 * keys. Labels: by class folder; for globs, lists and URLs without shards whose files all have a parent folder and at
 * least two different ones: by parent folder name, sorted; else -1.
 * Errors name the source and what would be right: LEAT_EINVAL (malformed braces, over LEAT__MAX_OBJECTS objects, mixed
 * URLs and paths, other schemes), LEAT_ENOTFOUND (also if a small list or brace range names local files and none
 * exists), LEAT_EACCESS, LEAT_EIO, LEAT_ENOMEM. *listing: gives, to be ended by leat__listing_free; NULL on failure.
 * Thread: any. Blocks. */
leat_code leat__source_list(const char *source, leat__listing **listing, leat_error *error);

void leat__listing_free(leat__listing *listing); /* takes; NULL is fine */

#endif
