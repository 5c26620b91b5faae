/* filename.h - what the name of a file or URL says: its kind, its key and its field. */
#ifndef LEAT__FILENAME_H
#define LEAT__FILENAME_H

#include <stdbool.h>
#include <stddef.h>

/* A path or URL, taken apart. The pointers point into the name that was parsed. */
typedef struct leat__filename {
    const char *path, *end;       /* the path: all of it, or of a URL what is between the host and ? or # */
    const char *base;             /* of the file, in [path, end] */
    const char *parent;           /* name of the folder it lies in, or NULL: none, "." or ".." */
    size_t parent_length;
    const char *extension;        /* the field: "jpg", "seg.png"; end if there is none */
    bool is_url;
} leat__filename;

/* True for http:// and https://, in any case. */
bool leat__is_url(const char *name);

/* Length of the scheme in "scheme://...", or 0 if it has none. */
size_t leat__scheme_length(const char *name);

leat__filename leat__filename_parse(const char *name);

/* By ending, in any case: a shard (tar, tar.zst, tar.gz, tgz, tzst); a file that holds a sample (an image or array). */
bool leat__filename_is_shard(const leat__filename *filename);
bool leat__filename_is_data(const leat__filename *filename);

/* Writes the key: [from, base) as it stands, then the base name without its extension and with its dots as '_'; of a
 * URL percent-decoded where that gives a printable character other than '/'. from: where the key begins, at most base.
 * key: room for strlen(name) + 1. Returns its length. */
size_t leat__filename_key(const leat__filename *filename, const char *from, char *key);

/* Where the key of a file begins that is named by itself: its parent's name if it has one, else its base name. */
const char *leat__filename_key_start(const leat__filename *filename);

#endif
