/* listform.h - a line of a list or manifest becomes an entry: JSON, sums, CSV, plain (entries.h). For listfile.c. */
#ifndef LEAT__LISTFORM_H
#define LEAT__LISTFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/checksum.h"

/* What a line says. Strings are valid until the next line. */
typedef struct leat__listed {
    const char *source;  /* a URL, or a path as it was written; not empty */
    const char *path;    /* the name that the manifest gives it; NULL: none */
    bool is_file;        /* source is a file's name (of sums, or a manifest's `path` alone): no URL's syntax is meant in it */
    bool braces;         /* brace ranges in it are meant */
    uint64_t bytes;      /* UINT64_MAX: not told */
    leat__sum sum;       /* kind NONE: none told */
} leat__listed;

typedef struct leat__listform leat__listform;

enum { LEAT__LIST_LINE = 64 << 10 }; /* bytes of a line at most, its end not counted */

typedef enum leat__line {
    LEAT__LINE_ENTRY,
    LEAT__LINE_NOTHING, /* it is CSV's header */
    LEAT__LINE_BAD,     /* why: what is wrong with it */
} leat__line;

leat__listform *leat__listform_new(void);       /* gives; NULL if memory is short */
void leat__listform_free(leat__listform *form); /* takes; NULL is fine */

/* Reads a line that is neither blank nor a comment, at most LEAT__LIST_LINE bytes and no NUL; the first one tells the form of all.
 * line: is written to. */
leat__line leat__listform_read(leat__listform *form, char *line, leat__listed *listed, char *why, size_t why_bytes);

#endif
