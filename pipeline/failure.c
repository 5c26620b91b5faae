/* failure.c - filling a leat_error, and making foreign text safe to print.
 *
 * What:    every message of the library goes through leat__fail; every byte from outside through leat__escape.
 * Why so:  names and server text come from strangers: a control byte in them could move a cursor, a newline forge a line
 *          of a log, and half a UTF-8 character break a strict JSON parser. URLs carry secrets in userinfo and query.
 * Threads: any; nothing is shared. */
#include "pipeline/failure.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const char *leat_code_name(leat_code code)
{
    switch (code) {
#define CASE(symbol, number, name, text)                                                                               \
    case LEAT_##symbol:                                                                                                \
        return name;
        LEAT_CODES(CASE)
#undef CASE
    }
    return "unknown";
}

const char *leat_code_text(leat_code code)
{
    switch (code) {
#define CASE(symbol, number, name, text)                                                                               \
    case LEAT_##symbol:                                                                                                \
        return text;
        LEAT_CODES(CASE)
#undef CASE
    }
    return "unknown code";
}

/* Length of the valid UTF-8 character at text that may be printed as it is, or 0. */
static size_t printable_length(const unsigned char *text, size_t length)
{
    unsigned char c = text[0];
    if (c < 0x80) return c >= 0x20 && c != 0x7f;
    size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 0;
    if (!n || c > 0xf4 || n > length) return 0;
    uint32_t point = c & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((text[i] & 0xc0) != 0x80) return 0;
        point = point << 6 | (text[i] & 0x3f);
    }
    if ((n == 3 && point < 0x800) || (n == 4 && (point < 0x10000 || point > 0x10ffff))) return 0;
    if (point >= 0xd800 && point <= 0xdfff) return 0;
    if (point < 0xa0) return 0;                                                            /* C1 */
    if ((point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069)) return 0; /* bidi overrides */
    if (point == 0x200e || point == 0x200f || point == 0x2028 || point == 0x2029) return 0;
    return n;
}

char *leat__escape(char *out, size_t capacity, const char *text, size_t length)
{
    assert(capacity > 0);
    static const char hex[] = "0123456789abcdef";
    const unsigned char *in = (const unsigned char *)text;
    size_t used = 0;
    for (size_t i = 0; i < length;) {
        size_t n = printable_length(in + i, length - i);
        size_t need = n ? n : 4;
        if (used + need >= capacity) break;
        if (n) {
            memcpy(out + used, in + i, n);
        } else {
            char escaped[4] = {'\\', 'x', hex[in[i] >> 4], hex[in[i] & 15]};
            memcpy(out + used, escaped, 4);
        }
        used += need;
        i += n ? n : 1;
    }
    out[used] = 0;
    return out;
}

char *leat__redact(char *out, size_t capacity, const char *url)
{
    const char *rest = strstr(url, "://");
    if (!rest) return leat__escape(out, capacity, url, strlen(url));
    rest += 3;
    size_t authority = strcspn(rest, "/?#");
    const char *at = memrchr(rest, '@', authority);
    const char *host = at ? at + 1 : rest;
    size_t shown = strcspn(host, "?#");
    char clean[2048];
    int n = snprintf(clean, sizeof clean, "%.*s%.*s%s", (int)(rest - url), url, (int)(shown > 1900 ? 1900 : shown), host,
                     host[shown] == '?' ? "?..." : "");
    size_t length = n < 0 ? 0 : (size_t)n < sizeof clean ? (size_t)n : sizeof clean - 1;
    return leat__escape(out, capacity, clean, length);
}

void leat__error_clear(leat_error *error)
{
    if (!error) return;
    error->code = LEAT_OK;
    error->system = 0;
    error->stage[0] = error->shard[0] = error->key[0] = error->message[0] = 0;
    error->offset = UINT64_MAX;
}

/* Cuts off the incomplete UTF-8 character that vsnprintf may have left at the end of a full buffer. */
static void trim_character(char *text, size_t capacity)
{
    size_t length = strlen(text);
    if (length + 1 < capacity) return;
    size_t start = length;
    while (start > 0 && ((unsigned char)text[start - 1] & 0xc0) == 0x80) start--;
    if (start > 0 && (unsigned char)text[start - 1] >= 0xc0) text[start - 1] = 0;
}

static void fail_with(leat_error *error, leat_code code, int system, const char *format, va_list arguments)
{
    leat__error_clear(error);
    error->code = code;
    error->system = system;
    if (vsnprintf(error->message, sizeof error->message, format, arguments) < 0) error->message[0] = 0;
    trim_character(error->message, sizeof error->message);
}

leat_code leat__fail(leat_error *error, leat_code code, int system, const char *format, ...)
{
    assert(code >= LEAT_EINVAL);
    if (!error) return code;
    va_list arguments;
    va_start(arguments, format);
    fail_with(error, code, system, format, arguments);
    va_end(arguments);
    return code;
}

leat_code leat__fail_errno(leat_error *error, leat_code code, int number, const char *format, ...)
{
    assert(code >= LEAT_EINVAL);
    if (!error) return code;
    va_list arguments;
    va_start(arguments, format);
    fail_with(error, code, number, format, arguments);
    va_end(arguments);
    size_t used = strlen(error->message);
    char words[128];
    snprintf(error->message + used, sizeof error->message - used, ": %s", strerror_r(number, words, sizeof words));
    return code;
}

leat_code leat__code_of_errno(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return LEAT_ENOTFOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return LEAT_EACCESS;
    case ENOMEM:
        return LEAT_ENOMEM;
    case EMFILE:
    case ENFILE:
        return LEAT_ESYSTEM;
    default:
        return LEAT_EIO;
    }
}
