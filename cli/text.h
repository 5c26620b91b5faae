/* text.h - text for people: escaping foreign names, sizes and times, and guessing what was meant. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Decodes the character at text (UTF-8, RFC 3629) into *code; returns its bytes, 0 if it is not valid there.
 * text ends in NUL, which is never read past. */
size_t cli_utf8_decode(const char *text, uint32_t *code);

/* True for characters that a terminal or a reader may be fooled with: C0, DEL, C1, line separators, bidi controls. */
bool cli_is_control(uint32_t code);

/* Writes "name: message" to out, or the message alone if it begins so already or there is no name; returns out. */
char *cli_name_message(char *out, size_t capacity, const char *name, const char *message);

/* Prints text with control characters and invalid UTF-8 as \xNN, so that a name can't move the cursor or forge
 * a line. */
void cli_print_escaped(FILE *out, const char *text);

/* Writes "58.1K", "512", "3.0M" (1024 each step) to out; returns out. */
char *cli_format_size(char out[16], uint64_t bytes);

/* Writes "4,096" to out; returns out. */
char *cli_format_count(char out[32], uint64_t count);

/* Writes "0:07", "12:40" or "3:02:10" to out; returns out. Anything beyond 99 hours is "--". */
char *cli_format_time(char out[16], double seconds);

/* The candidate that `text` was probably meant to be, or NULL if none is near: Damerau-Levenshtein distance (with
 * adjacent swaps) of at most a third of its length, at least 1; or a unique beginning of 3 characters or more. */
const char *cli_suggest(const char *text, const char *const *candidates, size_t count);

#endif
