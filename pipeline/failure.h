/* failure.h - filling a leat_error, and making foreign text safe to print. */
#ifndef LEAT__FAILURE_H
#define LEAT__FAILURE_H

#include <stddef.h>

#include <leat/error.h>

/* Clears *error: code LEAT_OK, empty strings, unknown offset. NULL is fine. Thread: any. */
void leat__error_clear(leat_error *error);

/* Sets code, system number and message (cut to fit, on a character's edge); clears the other fields.
 * Returns code, so that a function can end in `return leat__fail(...)`. error: NULL is fine. Thread: any. */
leat_code leat__fail(leat_error *error, leat_code code, int system, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same for a failed system call: appends ": " and the system's words for `number` (an errno). */
leat_code leat__fail_errno(leat_error *error, leat_code code, int number, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The code that fits an errno of open, read or stat: LEAT_ENOTFOUND, LEAT_EACCESS, LEAT_ENOMEM, LEAT_ESYSTEM (no
 * descriptors left), else LEAT_EIO. Thread: any. */
leat_code leat__code_of_errno(int number);

/* Copies text to out (capacity bytes, NUL-terminated always), with control bytes (C0, C1, DEL), bidi controls and
 * invalid UTF-8 written as \xNN. Returns out. Thread: any. */
char *leat__escape(char *out, size_t capacity, const char *text, size_t length);

/* Copies a URL to out with userinfo, query and fragment replaced ("https://host/a.tar?..."), escaped; a path is just
 * escaped. Returns out. Thread: any. */
char *leat__redact(char *out, size_t capacity, const char *url);

#endif
