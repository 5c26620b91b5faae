/* jsonread.h - reads JSON (RFC 8259) in one pass, strictly, without building anything.
 *
 *     leat__json json = {.at = text, .end = text + size};
 *     for (bool first = true; leat__json_item(&json, '{', &first);) {   // first call: enters; false: left, or an error
 *         if (!leat__json_key(&json, key, sizeof key)) break;
 *         if (strcmp(key, "n") == 0) leat__json_u64(&json, &n);
 *         else leat__json_skip(&json);
 *     }
 *     if (!leat__json_end(&json)) ... json.why, and json.at is where
 *
 * After an error every function returns false and changes nothing. Parser of foreign bytes: nesting is capped, and texts have a
 * capacity. Thread: one at a time. */
#ifndef LEAT__JSONREAD_H
#define LEAT__JSONREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct leat__json {
    const char *at, *end;
    const char *why;  /* NULL until there is an error: what was expected */
    unsigned depth;
} leat__json;

enum { LEAT__JSON_DEPTH = 64 };

/* Enters an object or array ('{' or '[') if *first, and clears it; then true while there is one more item to be read. */
bool leat__json_item(leat__json *json, char bracket, bool *first);

/* Reads an object's key, and the colon. A key that doesn't fit is cut short: it is none that anybody knows. */
bool leat__json_key(leat__json *json, char *key, size_t capacity);

/* Reads a string into text (NUL-terminated); one that has a NUL or doesn't fit is an error. */
bool leat__json_text(leat__json *json, char *text, size_t capacity);

/* Reads a whole number, 0..2^64 - 1. */
bool leat__json_u64(leat__json *json, uint64_t *value);

/* Reads a value of any kind and forgets it. */
bool leat__json_skip(leat__json *json);

/* The character that the next value begins with; 0 at the end. */
char leat__json_peek(leat__json *json);

/* True if there was no error and nothing but white space is left. */
bool leat__json_end(leat__json *json);

#endif
