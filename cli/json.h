/* json.h - writes JSON (RFC 8259) to a stream: always valid, whatever the strings hold. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { CLI_JSON_DEPTH = 8 };

typedef struct cli_json {
    FILE *out;
    int depth;                      /* of what is open */
    bool filled[CLI_JSON_DEPTH];    /* something is in it already */
    char closing[CLI_JSON_DEPTH];   /* '}' or ']' */
} cli_json;

/* Begins a document: one value follows. out: borrows, until the value is complete. */
void cli_json_begin(cli_json *json, FILE *out);

/* One value each. key: its name within an object; NULL within a list and at the top. */
void cli_json_object(cli_json *json, const char *key);
void cli_json_list(cli_json *json, const char *key);
void cli_json_string(cli_json *json, const char *key, const char *text);
void cli_json_integer(cli_json *json, const char *key, int64_t value);
void cli_json_count(cli_json *json, const char *key, uint64_t value);
void cli_json_real(cli_json *json, const char *key, double value); /* null if it is no finite number */
void cli_json_boolean(cli_json *json, const char *key, bool value);
void cli_json_null(cli_json *json, const char *key);

/* Ends the innermost object or list; a line feed after the outermost. */
void cli_json_end(cli_json *json);

#endif
