/* text.c - text for people: escaping foreign names, sizes and times, and guessing what was meant.
 *
 * What:    small pure functions that the writers of output share.
 * Why so:  keys and paths come from strangers' archives; one place decides what may reach a terminal, for human and
 *          JSON output alike.
 * Threads: any.
 * Not here: JSON's own quoting (json.c). */
#include "cli/text.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

size_t cli_utf8_decode(const char *text, uint32_t *code)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *s = (const unsigned char *)text;
    if (s[0] < 0x80) {
        *code = s[0];
        return s[0] != 0;
    }
    if (s[0] < 0xC2 || s[0] > 0xF4) return 0;
    size_t length = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    uint32_t value = s[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xC0) != 0x80) return 0; /* also at the NUL */
        value = value << 6 | (s[i] & 0x3Fu);
    }
    if (value < least[length] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return 0;
    *code = value;
    return length;
}

bool cli_is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x061C || (code >= 0x200E && code <= 0x200F) ||
           (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) || code == 0xFEFF;
}

void cli_print_escaped(FILE *out, const char *text)
{
    assert(out && text);
    while (*text) {
        uint32_t code = 0;
        size_t length = cli_utf8_decode(text, &code);
        if (length > 0 && !cli_is_control(code)) {
            fwrite(text, 1, length, out);
        } else {
            if (length == 0) length = 1;
            for (size_t i = 0; i < length; i++) fprintf(out, "\\x%02X", (unsigned)(unsigned char)text[i]);
        }
        text += length;
    }
}

char *cli_name_message(char *out, size_t capacity, const char *name, const char *message)
{
    size_t length = strlen(name);
    bool named = length == 0 || (strncmp(message, name, length) == 0 && message[length] == ':');
    snprintf(out, capacity, "%s%s%s", named ? "" : name, named ? "" : ": ", message);
    return out;
}

char *cli_format_size(char out[16], uint64_t bytes)
{
    static const char units[] = "KMGTPE";
    if (bytes < 1024) {
        snprintf(out, 16, "%u", (unsigned)bytes);
        return out;
    }
    double value = (double)bytes / 1024;
    size_t unit = 0;
    while (value >= 1023.95 && unit + 2 < sizeof units) {
        value /= 1024;
        unit++;
    }
    snprintf(out, 16, "%.1f%c", value, units[unit]);
    return out;
}

char *cli_format_count(char out[32], uint64_t count)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, count);
    char *to = out;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return out;
}

char *cli_format_time(char out[16], double seconds)
{
    if (!(seconds >= 0 && seconds < 99 * 3600.0)) {
        snprintf(out, 16, "--");
        return out;
    }
    unsigned total = (unsigned)(seconds + 0.5), hours = total / 3600, minutes = total / 60 % 60;
    if (hours > 0) snprintf(out, 16, "%u:%02u:%02u", hours, minutes, total % 60);
    else snprintf(out, 16, "%u:%02u", minutes, total % 60);
    return out;
}

enum { LONGEST = 32 }; /* names longer than any option are not worth guessing at */

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment distance, three rows at a time. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][LONGEST + 1];
    size_t a_length = strlen(a), b_length = strlen(b);
    assert(a_length <= LONGEST && b_length <= LONGEST);
    for (size_t j = 0; j <= b_length; j++) rows[0][j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *higher = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            row[j] = least_of(least_of(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) row[j] = least_of(row[j], higher[j - 2] + 1);
        }
    }
    return rows[a_length % 3][b_length];
}

const char *cli_suggest(const char *text, const char *const *candidates, size_t count)
{
    const char *best = NULL;
    size_t length = strlen(text), best_distance = SIZE_MAX, beginnings = 0;
    if (length == 0 || length > LONGEST) return NULL;
    for (size_t i = 0; i < count; i++) {
        assert(strlen(candidates[i]) <= LONGEST);
        size_t d = distance(text, candidates[i]);
        if (d < best_distance) {
            best_distance = d;
            best = candidates[i];
        }
    }
    if (best_distance <= (length < 6 ? 1 : length / 3)) return best;
    best = NULL;
    for (size_t i = 0; length >= 3 && i < count; i++) {
        if (strncmp(text, candidates[i], length) != 0) continue;
        best = candidates[i];
        beginnings++;
    }
    return beginnings == 1 ? best : NULL;
}
