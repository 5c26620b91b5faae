/* json.c - writes JSON (RFC 8259) to a stream: always valid, whatever the strings hold.
 *
 * What:    a writer that sets commas, quotes and escapes; the caller says what comes.
 * Why so:  keys, paths and server texts come from outside; a library is not needed for the writing half of JSON.
 *          Bytes that are not UTF-8 become the text \xNN, the project's one way of showing them, so that two names that
 *          differ still differ; controls become \u00XX.
 * Threads: one at a time.
 * Invariants: depth >= 0; closing[0..depth) are the brackets still owed.
 * Not here: failures of the stream: whoever opened it looks at ferror. */
#include "cli/json.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "cli/text.h"

void cli_json_begin(cli_json *json, FILE *out)
{
    assert(out);
    *json = (cli_json){.out = out};
}

static void print_escape(FILE *out, uint32_t code)
{
    assert(code < 0x10000); /* every control that is escaped lies in the basic plane */
    if (code == '\n') fputs("\\n", out);
    else if (code == '\t') fputs("\\t", out);
    else if (code == '"' || code == '\\') fprintf(out, "\\%c", (char)code);
    else fprintf(out, "\\u%04x", (unsigned)code);
}

static void print_string(FILE *out, const char *text)
{
    fputc('"', out);
    while (*text) {
        uint32_t code = 0;
        size_t length = cli_utf8_decode(text, &code);
        if (length == 0) {
            fprintf(out, "\\\\x%02X", (unsigned)(unsigned char)*text);
            length = 1;
        } else if (code == '"' || code == '\\' || cli_is_control(code)) {
            print_escape(out, code);
        } else {
            fwrite(text, 1, length, out);
        }
        text += length;
    }
    fputc('"', out);
}

/* What stands before a value: the comma and its name. */
static void lead(cli_json *json, const char *key)
{
    assert((key != NULL) == (json->depth > 0 && json->closing[json->depth - 1] == '}'));
    if (json->depth > 0) {
        if (json->filled[json->depth - 1]) fputs(", ", json->out);
        json->filled[json->depth - 1] = true;
    }
    if (key) {
        print_string(json->out, key);
        fputs(": ", json->out);
    }
}

/* What stands after it: a document is a line. */
static void trail(cli_json *json)
{
    if (json->depth == 0) fputc('\n', json->out);
}

static void open_bracket(cli_json *json, const char *key, char opening, char closing)
{
    assert(json->depth < CLI_JSON_DEPTH);
    lead(json, key);
    fputc(opening, json->out);
    json->filled[json->depth] = false;
    json->closing[json->depth++] = closing;
}

void cli_json_object(cli_json *json, const char *key)
{
    open_bracket(json, key, '{', '}');
}

void cli_json_list(cli_json *json, const char *key)
{
    open_bracket(json, key, '[', ']');
}

void cli_json_end(cli_json *json)
{
    assert(json->depth > 0);
    fputc(json->closing[--json->depth], json->out);
    trail(json);
}

void cli_json_string(cli_json *json, const char *key, const char *text)
{
    lead(json, key);
    print_string(json->out, text);
    trail(json);
}

void cli_json_integer(cli_json *json, const char *key, int64_t value)
{
    lead(json, key);
    fprintf(json->out, "%" PRId64, value);
    trail(json);
}

void cli_json_count(cli_json *json, const char *key, uint64_t value)
{
    lead(json, key);
    fprintf(json->out, "%" PRIu64, value);
    trail(json);
}

void cli_json_real(cli_json *json, const char *key, double value)
{
    lead(json, key);
    if (isfinite(value)) fprintf(json->out, "%.9g", value);
    else fputs("null", json->out);
    trail(json);
}

void cli_json_boolean(cli_json *json, const char *key, bool value)
{
    lead(json, key);
    fputs(value ? "true" : "false", json->out);
    trail(json);
}

void cli_json_null(cli_json *json, const char *key)
{
    lead(json, key);
    fputs("null", json->out);
    trail(json);
}
