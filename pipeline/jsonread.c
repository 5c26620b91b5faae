/* jsonread.c - reads JSON (RFC 8259) in one pass, strictly, without building anything.
 *
 * What:    a function for each kind of value; the caller knows what it expects where.
 * Why so:  indexes of other programs have a list of a few fields; a tree of all values would take ten times the text's size.
 *          Debian's libraries (json-c, jansson, yajl) would bring one more thing to install for two hundred lines.
 * Threads: one at a time.
 * Invariants: start <= at <= end; depth <= LEAT__JSON_DEPTH.
 * Not here: writing (cli/json.c). */
#include "pipeline/jsonread.h"

#include <assert.h>
#include <string.h>

static bool refuse(leat__json *json, const char *why)
{
    if (!json->why) json->why = why;
    return false;
}

char leat__json_peek(leat__json *json)
{
    while (json->at < json->end && (*json->at == ' ' || *json->at == '\t' || *json->at == '\n' || *json->at == '\r')) json->at++;
    return json->at < json->end && !json->why ? *json->at : '\0';
}

static bool take(leat__json *json, char c, const char *why)
{
    if (json->why || leat__json_peek(json) != c) return refuse(json, why);
    json->at++;
    return true;
}

bool leat__json_item(leat__json *json, char bracket, bool *first)
{
    char close = bracket == '{' ? '}' : ']';
    bool enters = *first;
    assert(bracket == '{' || bracket == '[');
    *first = false;
    if (enters) {
        if (!take(json, bracket, bracket == '{' ? "an object was expected" : "an array was expected")) return false;
        if (++json->depth > LEAT__JSON_DEPTH) return refuse(json, "it is nested too deeply");
    }
    if (leat__json_peek(json) == close) {
        json->at++;
        json->depth--;
        return false;
    }
    return enters ? !json->why : take(json, ',', "a comma or closing bracket was expected");
}

/* ---- strings ---- */

/* Four hex digits. */
static bool read_unit(leat__json *json, uint32_t *unit)
{
    *unit = 0;
    if (json->end - json->at < 4) return refuse(json, "a string without its end");
    for (int i = 0; i < 4; i++) {
        char c = *json->at++;
        char lower = c | 32;
        bool is_digit = c >= '0' && c <= '9';
        if (!is_digit && (lower < 'a' || lower > 'f')) return refuse(json, "four hex digits were expected");
        *unit = *unit << 4 | (uint32_t)(is_digit ? c - '0' : lower - 'a' + 10);
    }
    return true;
}

/* What follows "\u": one unit, or a pair of surrogates. Returns the UTF-8 bytes' count, 0 if it is refused. */
static size_t read_unicode(leat__json *json, char utf8[4])
{
    uint32_t c, low;
    if (!read_unit(json, &c)) return 0;
    if (c >= 0xd800 && c < 0xe000) {
        if (c >= 0xdc00 || json->end - json->at < 2 || json->at[0] != '\\' || json->at[1] != 'u')
            return refuse(json, "half of a surrogate pair");
        json->at += 2;
        if (!read_unit(json, &low)) return 0;
        if (low < 0xdc00 || low > 0xdfff) return refuse(json, "half of a surrogate pair");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    size_t count = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = count; i-- > 1; c >>= 6) utf8[i] = (char)(0x80 | (c & 63));
    utf8[0] = (char)(lead[count] | c);
    return count;
}

/* One character of a string, decoded to 1..4 bytes; 0 at its end, or if it is refused. */
static size_t read_character(leat__json *json, char utf8[4])
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (json->at == json->end) return refuse(json, "a string without its end");
    char c = *json->at++;
    if (c == '"') return 0;
    if ((unsigned char)c < 0x20) return refuse(json, "a control character in a string");
    utf8[0] = c;
    if (c != '\\') return 1;
    if (json->at == json->end) return refuse(json, "a string without its end");
    c = *json->at++;
    if (c == 'u') return read_unicode(json, utf8);
    const char *known = c ? strchr(from, c) : NULL;
    if (!known) return refuse(json, "an unknown escape in a string");
    utf8[0] = to[known - from];
    return 1;
}

/* Reads a string; cut: one that is too long is cut short, and one with a NUL is fine. */
static bool read_string(leat__json *json, char *text, size_t capacity, bool cut)
{
    size_t length = 0, more;
    char utf8[4];
    assert(capacity > 0);
    if (!take(json, '"', "a string was expected")) return false;
    while ((more = read_character(json, utf8)) > 0) {
        bool fits = more < capacity - length;
        if (!cut && !fits) return refuse(json, "a string that is too long");
        if (!cut && utf8[0] == '\0') return refuse(json, "a NUL in a string");
        if (fits) memcpy(text + length, utf8, more);
        length += fits ? more : 0;
    }
    text[length] = '\0';
    return !json->why;
}

bool leat__json_key(leat__json *json, char *key, size_t capacity)
{
    return read_string(json, key, capacity, true) && take(json, ':', "a colon was expected");
}

bool leat__json_text(leat__json *json, char *text, size_t capacity)
{
    return read_string(json, text, capacity, false);
}

/* ---- other values ---- */

static size_t skip_digits(leat__json *json)
{
    const char *from = json->at;
    while (json->at < json->end && *json->at >= '0' && *json->at <= '9') json->at++;
    return (size_t)(json->at - from);
}

static bool skip_number(leat__json *json)
{
    if (leat__json_peek(json) == '-') json->at++;
    const char *from = json->at;
    size_t digits = skip_digits(json);
    if (digits == 0 || (digits > 1 && *from == '0')) return refuse(json, "a value was expected");
    if (json->at < json->end && *json->at == '.') {
        json->at++;
        if (skip_digits(json) == 0) return refuse(json, "a digit was expected");
    }
    if (json->at < json->end && (*json->at | 32) == 'e') {
        json->at++;
        if (json->at < json->end && (*json->at == '+' || *json->at == '-')) json->at++;
        if (skip_digits(json) == 0) return refuse(json, "a digit was expected");
    }
    return true;
}

bool leat__json_u64(leat__json *json, uint64_t *value)
{
    leat__json_peek(json);
    const char *from = json->at;
    if (json->why || !skip_number(json)) return false;
    *value = 0;
    for (const char *p = from; p < json->at; p++) {
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, (uint64_t)(*p - '0'), value))
            return refuse(json, "a whole number from 0 to 2^64 - 1 was expected");
    }
    return true;
}

static bool skip_word(leat__json *json, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(json->end - json->at) < length || memcmp(json->at, word, length) != 0) return refuse(json, "a value was expected");
    json->at += length;
    return true;
}

bool leat__json_skip(leat__json *json)
{
    char ignored[8], c = leat__json_peek(json);
    if (json->why) return false;
    switch (c) {
    case '{':
        for (bool first = true; leat__json_item(json, '{', &first);) {
            if (!leat__json_key(json, ignored, sizeof ignored) || !leat__json_skip(json)) return false;
        }
        return !json->why;
    case '[':
        for (bool first = true; leat__json_item(json, '[', &first);) {
            if (!leat__json_skip(json)) return false;
        }
        return !json->why;
    case '"': return read_string(json, ignored, sizeof ignored, true);
    case 't': return skip_word(json, "true");
    case 'f': return skip_word(json, "false");
    case 'n': return skip_word(json, "null");
    default: return skip_number(json);
    }
}

bool leat__json_end(leat__json *json)
{
    leat__json_peek(json);
    if (json->why) return false;
    return json->at == json->end ? true : refuse(json, "something after the end");
}
