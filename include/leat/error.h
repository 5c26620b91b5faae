/* error.h - how leat says what happened.
 *
 * Every call that can fail returns a leat_code and fills a leat_error that the caller owns (a plain struct: nothing to
 * free, safe to copy). Three codes are not errors but the flow of a loop: LEAT_OK, LEAT_AGAIN and LEAT_END. */
#ifndef LEAT_ERROR_H
#define LEAT_ERROR_H

#include <stdint.h>

#include <leat/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(symbol, number, name, text): the one list of codes. Numbers are ABI: append only. */
#define LEAT_CODES(X)                                                                                                  \
    X(OK, 0, "ok", "it worked")                                                                                        \
    X(AGAIN, 1, "again", "nothing is ready yet: ask again")                                                            \
    X(END, 2, "end", "the epoch has ended")                                                                            \
    X(EINVAL, 10, "invalid", "an argument or a setting is impossible")                                                 \
    X(ENOMEM, 11, "no-memory", "memory could not be had, or memory_limit leaves too little")                           \
    X(ESYSTEM, 12, "system", "the operating system refused something")                                                 \
    X(EIO, 13, "io", "reading or writing a file failed")                                                               \
    X(ENOTFOUND, 14, "not-found", "a file, a URL or a name does not exist")                                            \
    X(EACCESS, 15, "access", "not permitted to read or write")                                                         \
    X(ENETWORK, 20, "network", "the connection failed")                                                                \
    X(EHTTP, 21, "http", "the server answered with an error status")                                                   \
    X(ETLS, 22, "tls", "the server's identity or the TLS session could not be verified")                               \
    X(ETIMEOUT, 23, "timeout", "nothing arrived for too long")                                                         \
    X(ERANGE, 24, "range", "the server answered a range request with another range")                                   \
    X(ECHANGED, 25, "changed", "the object changed while it was read")                                                 \
    X(EREDIRECT, 26, "redirect", "a redirect is refused or never ends")                                                \
    X(EENCODING, 27, "encoding", "the server sent a content encoding nobody asked for")                                \
    X(EHEADERS, 28, "headers", "the server's headers are too large or malformed")                                      \
    X(ERETRIES, 29, "retries", "the server failed too often: it is asked no more for a while")                         \
    X(ETRUNCATED, 30, "truncated", "data ends too early")                                                              \
    X(EOVERSIZE, 31, "oversize", "more data came than was announced or is allowed")                                    \
    X(EFORMAT, 32, "format", "data is not of a known format")                                                          \
    X(ECORRUPT, 33, "corrupt", "data is damaged")                                                                      \
    X(ELIMIT, 34, "limit", "a size is over a configured limit")                                                        \
    X(EUNSUPPORTED, 35, "unsupported", "a valid form that leat does not read")                                         \
    X(EMISSING, 36, "missing", "a sample lacks a field that the batch needs")                                          \
    X(ESHAPE, 37, "shape", "an array has another shape or type than the batch")                                        \
    X(EUSER, 40, "user", "a function of the user's refused a sample")                                                  \
    X(ETOOMANY, 41, "too-many-errors", "more samples failed than max_errors allows")                                   \
    X(ECLOSED, 42, "closed", "the loader is closed")                                                                   \
    X(EFORKED, 43, "forked", "the loader belongs to the parent process")                                               \
    X(EEXISTS, 44, "exists", "a file that would be written is there already")                                          \
    X(ECHECKSUM, 45, "checksum", "a size or checksum is not what it should be")                                        \
    X(EDISK, 46, "disk", "writing to the disk failed")                                                                 \
    X(EBUG, 50, "bug", "leat broke a rule of its own: please report it")

typedef enum leat_code {
#define LEAT_CODE_ENUM(symbol, number, name, text) LEAT_##symbol = number,
    LEAT_CODES(LEAT_CODE_ENUM)
#undef LEAT_CODE_ENUM
} leat_code;

/* One failure. Strings are UTF-8 and end in NUL; bytes from outside (names, server text) are escaped, so that printing
 * a message can neither move a cursor nor forge a line. Credentials and query strings of URLs never appear. */
typedef struct leat_error {
    leat_code code;     /* LEAT_OK when nothing failed */
    int system;         /* errno, curl's or the codec's own number; 0 if there is none */
    char stage[16];     /* the stage that failed: "fetch", "unpack", "decode" ...; "" outside of a pipeline */
    char shard[256];    /* the shard's or file's path or URL; "" if none */
    char key[256];      /* the sample's key; "" if none */
    uint64_t offset;    /* where in the shard's unpacked stream, bytes; UINT64_MAX if not known */
    char message[1024]; /* the whole sentence: what failed, on what, why, what was done about it */
} leat_error;

/* Returns the short name of a code ("truncated"), or "unknown". The string is static. Thread: any. Blocks: no. */
LEAT_API const char *leat_code_name(leat_code code);

/* Returns one line of explanation of a code, or "unknown code". The string is static. Thread: any. Blocks: no. */
LEAT_API const char *leat_code_text(leat_code code);

#ifdef __cplusplus
}
#endif
#endif
