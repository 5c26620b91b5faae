/* number.c - a number in ASCII, as .cls and .txt files hold it (declared in npy.h).
 *
 * What:    white space, one number, white space, nothing else.
 * Why so:  strtol and strtof take prefixes ("12abc"), hexadecimal and the host's decimal comma; so the grammar is
 *          checked here first, and only the conversion of a float is the C library's, under its C locale, rounded once.
 * Threads: any; the locale is made once and constant afterwards.
 * Not here: what a missing number becomes (loader). */
#include "stages/npy.h"

#include <assert.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"

#define SHOWN_BYTES 24    /* of foreign text in a message */
#define NUMBER_BYTES 1024 /* longest number: far over the 112 digits that the longest exact float32 has */

static bool is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static void trim(const uint8_t **data, size_t *size)
{
    while (*size && is_space((*data)[0])) {
        ++*data;
        --*size;
    }
    while (*size && is_space((*data)[*size - 1])) --*size;
}

static leat_code fail_number(leat_error *error, leat_code code, const char *what, const uint8_t *data, size_t size)
{
    if (!size) return leat__fail(error, LEAT_EFORMAT, 0, "%s expected, the field is empty", what);
    char shown[4 * SHOWN_BYTES + 1];
    leat__escape(shown, sizeof(shown), (const char *)data, size < SHOWN_BYTES ? size : SHOWN_BYTES);
    const char *more = size > SHOWN_BYTES ? "..." : "";
    if (code == LEAT_ELIMIT) return leat__fail(error, code, 0, "\"%s%s\" does not fit into %s", shown, more, what);
    return leat__fail(error, code, 0, "%s expected, \"%s%s\" found", what, shown, more);
}

leat_code leat__parse_int(const uint8_t *data, size_t size, int64_t *value, leat_error *error)
{
    static const char what[] = "a 64-bit integer";
    trim(&data, &size);
    const bool negative = size && data[0] == '-';
    size_t i = size && (data[0] == '-' || data[0] == '+');
    bool fits = true;
    int64_t result = 0; /* summed up with its sign, so that INT64_MIN fits */
    if (i == size) return fail_number(error, LEAT_EFORMAT, what, data, size);
    for (; i < size; i++) {
        if (!is_digit(data[i])) return fail_number(error, LEAT_EFORMAT, what, data, size);
        const int64_t digit = data[i] - '0';
        fits = fits && !__builtin_mul_overflow(result, 10, &result) &&
               !__builtin_add_overflow(result, negative ? -digit : digit, &result);
    }
    if (!fits) return fail_number(error, LEAT_ELIMIT, what, data, size);
    *value = result;
    return LEAT_OK;
}

static size_t count_digits(const char *text)
{
    size_t n = 0;
    while (is_digit((uint8_t)text[n])) n++;
    return n;
}

static bool word_is(const char *text, const char *word)
{
    while (*word && (*text | 0x20) == *word) text++, word++;
    return !*word && !*text;
}

/* Python's float(): decimal with optional fraction and exponent, or inf, infinity, nan in any case. */
static bool is_number(const char *text, bool *finite)
{
    if (*text == '+' || *text == '-') text++;
    *finite = !word_is(text, "inf") && !word_is(text, "infinity") && !word_is(text, "nan");
    if (!*finite) return true;
    size_t digits = count_digits(text);
    text += digits;
    if (*text == '.') {
        size_t fraction = count_digits(++text);
        digits += fraction;
        text += fraction;
    }
    if (!digits) return false;
    if (*text == 'e' || *text == 'E') {
        text++;
        if (*text == '+' || *text == '-') text++;
        digits = count_digits(text);
        if (!digits) return false;
        text += digits;
    }
    return !*text;
}

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

leat_code leat__parse_float(const uint8_t *data, size_t size, float *value, leat_error *error)
{
    static const char what[] = "a number (float32)";
    char text[NUMBER_BYTES];
    bool finite;
    trim(&data, &size);
    if (size >= sizeof(text)) return fail_number(error, LEAT_ELIMIT, what, data, size);
    if (size) memcpy(text, data, size);
    text[size] = '\0';
    if (strlen(text) != size || !is_number(text, &finite)) return fail_number(error, LEAT_EFORMAT, what, data, size);
    pthread_once(&c_locale_once, make_c_locale);
    if (!c_locale) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for the C locale");
    char *end;
    float result = strtof_l(text, &end, c_locale);
    assert(end == text + size);
    if (finite && isinf(result)) return fail_number(error, LEAT_ELIMIT, what, data, size);
    *value = result;
    return LEAT_OK;
}
