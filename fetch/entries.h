/* entries.h - what is to be fetched: sources, lists and manifests as a stream of entries, in constant memory.
 *
 * entries.c: the forms of sources; treewalk.c: folders; listfile.c, listform.c, listref.c: lists and manifests, line by line;
 * entryname.c: names under the directory; patterns.c: include and exclude; sums.c: --checksums.
 *
 * Sources, tried in this order:
 *   "@FILE", "@-", "-"      a list (below); "@http(s)://..." is fetched whole first, up to 64 MiB
 *   "http(s)://..."         a URL, with brace ranges
 *   PATH of a folder        every file below it, sorted bytewise folder by folder; hidden ones too, but for .leat at its top and
 *                           the directory that files are put in. A link to a file is taken as the file; a link to a folder, one
 *                           that leads nowhere, what is neither file nor folder, and a folder that cannot be read are told by bad()
 *   PATH of a file          taken literally
 *   braces, then globs      of local paths; what comes out may be folders, if no glob made it. A file that is not there is an
 *                           entry all the same: reading it is the error
 *
 * Lists: the form is told by the first line that is not blank and no comment ('#'; UTF-8's byte order mark is passed over):
 *   JSON lines   '{': {"url": (or "source"; or "path" alone: a file), "path": name, "bytes" or "size": n, "sha256" | "md5" |
 *                "crc32c": sum}; other members, and null, are passed over. \udc80..\udcff are bytes (leat__json_quote).
 *                failed.jsonl is such a file
 *   sums         64 or 32 hexadecimal digits, ' ', ' ' or '*', a name (sha256sum, md5sum; their escaped form '\' too): a URL or a
 *                file
 *   CSV          a header line with a column url (or source): columns path, bytes or size, sha256, md5, crc32c; quoted as RFC 4180
 *                says, but no line breaks in fields; ',' or tab between. Unknown columns are passed over
 *   plain        a URL or path a line, brace ranges expanded (in a path: unless there is a file of that very name)
 * Files and paths are relative to the list's folder. Of a list from a server they are relative to its URL: such a list never names
 * a local file. LF or CRLF. A line longer than 64 KiB, or that cannot be understood, is told by bad() and passed over: planned
 * and failed. Of several sums the strongest counts. A list without entries is fine.
 *
 * Names: see leat_fetch_layout; of a URL percent-decoded, but for %2F and what a name may not have. Of a folder: relative to it.
 * Patterns see these names also if the layout is another. Parser of foreign bytes. Thread: one at a time. Blocks. */
#ifndef LEAT__ENTRIES_H
#define LEAT__ENTRIES_H

#include <leat/fetch.h>

#include "store/checksum.h"

enum { LEAT__ENTRY_PATH_BYTES = 4001, LEAT__ENTRY_PART_BYTES = 256 }; /* of a name and of each part of it, NUL included */

typedef struct leat__entry {
    uint64_t number;      /* of all entries that the sources name and the patterns want, from 0 on */
    const char *source;   /* URL, or local path */
    const char *path;     /* its name under the directory: relative, safe, shorter than LEAT__ENTRY_PATH_BYTES */
    bool is_url;
    uint64_t bytes;       /* UINT64_MAX: not told */
    leat__sum sum;        /* kind NONE: none told */
} leat__entry;

typedef struct leat__entries_options {
    const char *const *sources;
    size_t source_count;
    const leat_fetch_pattern *patterns;
    size_t pattern_count;
    const char *checksums;         /* NULL: none */
    const char *to;                /* where files are put: no source, and passed over below one; NULL: none */
    leat_fetch_layout layout;
    const leat_config *network;    /* for lists on servers (leat__download), with its choices made; NULL: such are refused */
    /* The next one; valid during the call; may block. False: no more. */
    bool (*entry)(void *user, const leat__entry *entry);
    /* An entry that cannot be understood; it has a number too. text: where, escaped ("list 'a.txt' line 7", or a local path);
     * error: the whole sentence. False: no more. */
    bool (*bad)(void *user, uint64_t number, const char *text, const leat_error *error);
    /* Asked five times a second while a list has nothing to read (stdin, a FIFO). True: no more. NULL: never. */
    bool (*stopped)(void *user);
    void *user;
} leat__entries_options;

/* Names every entry, in the sources' order. LEAT_OK also if it was ended by false. Errors name the source: it cannot be opened,
 * read or expanded, or the checksums contradict each other (LEAT_EINVAL, LEAT_ENOTFOUND, LEAT_EACCESS, LEAT_EIO, those of
 * leat__download); a folder or glob has no files: LEAT_ENOTFOUND. */
leat_code leat__entries_read(const leat__entries_options *options, leat_error *error);

/* A relative name made of text that may be anything: no part empty, ".", ".." or longer than 255 bytes; no byte below 0x20, 0x7f,
 * backslash, colon; valid UTF-8 without what leat__escape would not print; no dot or blank at a part's end; not .leat (in any
 * case) as its first part. Each such byte is written as %XX; empty parts and "." are left out; of a part that is too long a digest
 * takes the place of its end, before the extension. A name that is safe stays as it is. out: capacity bytes. False: nothing is left
 * of it, or it does not fit. Two texts may give one name: that is told when it is met. */
bool leat__entry_name(const char *text, char *out, size_t capacity);

#endif
