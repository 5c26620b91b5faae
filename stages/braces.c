/* braces.c - brace expansion as the shells do it, with ranges for shard names.
 *
 * What:    {a,b}: alternatives, which may hold braces themselves. {x..y} and {x..y..step}: integers, up or down; if x
 *          or y has a leading zero all are padded to the wider of the two. The rightmost group changes fastest.
 * Why so:  results are produced one by one into one buffer: a range over a million shards takes no memory here. A
 *          first walk (count_*) checks the whole pattern and counts, so that expansion cannot fail half way and a slip
 *          such as {0..9999999999} is refused before anything is made. Unlike a shell, a group that is neither a range
 *          nor alternatives is an error and not literal text: in a source it is a typing mistake.
 * Threads: any; nothing is shared.
 * Invariants: an expanded text is never longer than its pattern, because a number of a range is at most as wide as the
 *          wider end that is written in the pattern.
 * Not here: files and wildcards (source.c, wildcard.c). */
#include "stages/braces.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"

/* Both bound the recursion, which goes one level deeper for each group on the way to the end of a text: 256 levels of
 * about 0.4 KB each. People use 2 and 3. */
#define MAX_NESTING 16
#define MAX_GROUPS 256

/* An integer range as written. */
struct range {
    int64_t from, to;
    uint64_t step, count; /* count saturates */
    size_t width;         /* pad to so many characters, sign included; 0: do not */
};

typedef enum group { GROUP_NEITHER, GROUP_RANGE, GROUP_BAD_NUMBER, GROUP_BAD_STEP } group;

/* The brace that closes the one at `open`, or NULL. */
static const char *matching(const char *open, const char *end)
{
    assert(*open == '{');
    size_t depth = 0;
    for (const char *p = open; p < end; p++) {
        if (*p == '{') depth++;
        if (*p == '}' && --depth == 0) return p;
    }
    return NULL;
}

/* The comma at this level in [p, end), or end. */
static const char *next_comma(const char *p, const char *end)
{
    size_t depth = 0;
    for (; p < end; p++) {
        if (*p == ',' && depth == 0) return p;
        if (*p == '{') depth++;
        if (*p == '}') depth--;
    }
    return end;
}

/* The ".." in [p, end), or NULL. */
static const char *dots(const char *p, const char *end)
{
    return end - p < 2 ? NULL : memmem(p, (size_t)(end - p), "..", 2);
}

/* Reads all of [p, end) as a decimal integer. *padded: it has a leading zero. */
static bool parse_integer(const char *p, const char *end, int64_t *value, bool *padded)
{
    bool negative = p < end && *p == '-';
    if (negative) p++;
    if (p == end) return false;
    *padded = *p == '0' && end - p > 1;
    *value = 0;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9') return false;
        int64_t digit = negative ? -(*p - '0') : *p - '0';
        if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, digit, value)) return false;
    }
    return true;
}

static uint64_t magnitude(int64_t value)
{
    return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

/* What is between the braces [p, end), if it is no list of alternatives. */
static group parse_range(const char *p, const char *end, struct range *out)
{
    const char *middle = dots(p, end);
    if (!middle) return GROUP_NEITHER;
    const char *to = middle + 2, *second = dots(to, end), *to_end = second ? second : end;
    bool padded_from = false, padded_to = false, padded_step = false;
    if (!parse_integer(p, middle, &out->from, &padded_from) || !parse_integer(to, to_end, &out->to, &padded_to)) {
        return GROUP_BAD_NUMBER;
    }
    int64_t step = 1;
    if (second && (!parse_integer(second + 2, end, &step, &padded_step) || step == 0)) return GROUP_BAD_STEP;
    out->step = magnitude(step); /* its sign says nothing: from and to give the direction */
    uint64_t from = (uint64_t)out->from, to_last = (uint64_t)out->to;
    uint64_t span = out->from <= out->to ? to_last - from : from - to_last;
    if (__builtin_add_overflow(span / out->step, 1, &out->count)) out->count = UINT64_MAX;
    size_t from_width = (size_t)(middle - p), to_width = (size_t)(to_end - to);
    out->width = !padded_from && !padded_to ? 0 : from_width > to_width ? from_width : to_width;
    return GROUP_RANGE;
}

static uint64_t saturating_add(uint64_t a, uint64_t b)
{
    return __builtin_add_overflow(a, b, &a) ? UINT64_MAX : a;
}

static uint64_t saturating_multiply(uint64_t a, uint64_t b)
{
    return __builtin_mul_overflow(a, b, &a) ? UINT64_MAX : a;
}

/* ---- the first walk: check and count ---- */

struct check {
    const char *pattern;
    size_t groups;
    leat_error *error;
};

static leat_code malformed(const struct check *check, const char *from, const char *to, const char *cause)
{
    char shown[64] = "{...}"; /* a URL's query and password are not shown */
    if (!strstr(check->pattern, "://")) leat__escape(shown, sizeof shown, from, (size_t)(to - from));
    return leat__fail(check->error, LEAT_EINVAL, 0, "braces: '%s' at character %zu %s", shown,
                      (size_t)(from - check->pattern) + 1, cause);
}

static leat_code count_text(struct check *check, const char *p, const char *end, unsigned depth, uint64_t *count);

static leat_code count_group(struct check *check, const char *open, const char *close, unsigned depth, uint64_t *count)
{
    const char *p = open + 1;
    struct range range;
    if (depth == MAX_NESTING) return malformed(check, open, close + 1, "is nested too deeply: 16 levels at most");
    if (++check->groups > MAX_GROUPS) return malformed(check, open, close + 1, "is one group too many: 256 at most");
    if (next_comma(p, close) == close) {
        switch (parse_range(p, close, &range)) {
        case GROUP_RANGE: *count = range.count; return LEAT_OK;
        case GROUP_BAD_NUMBER:
            return malformed(check, open, close + 1, "is no range of integers: {000000..000015} would be one");
        case GROUP_BAD_STEP:
            return malformed(check, open, close + 1, "has no step of 1 or more: {0..100..10} would be right");
        case GROUP_NEITHER: break;
        }
        return malformed(check, open, close + 1, "is neither a range ({000000..000015}) nor alternatives ({a,b})");
    }
    for (*count = 0;; p++) {
        const char *comma = next_comma(p, close);
        uint64_t part = 0;
        leat_code code = count_text(check, p, comma, depth + 1, &part);
        if (code) return code;
        *count = saturating_add(*count, part);
        p = comma;
        if (comma == close) return LEAT_OK;
    }
}

static leat_code count_text(struct check *check, const char *p, const char *end, unsigned depth, uint64_t *count)
{
    for (*count = 1; p < end; p++) {
        if (*p == '}') return malformed(check, p, p + 1, "closes nothing: the '{' before it is missing");
        if (*p != '{') continue;
        const char *close = matching(p, end);
        if (!close) return malformed(check, p, end, "is never closed: the '}' after it is missing");
        uint64_t part = 0;
        leat_code code = count_group(check, p, close, depth, &part);
        if (code) return code;
        *count = saturating_multiply(*count, part);
        p = close;
    }
    return LEAT_OK;
}

leat_code leat__braces_count(const char *pattern, uint64_t *count, leat_error *error)
{
    assert(pattern && count);
    struct check check = {pattern, 0, error};
    return count_text(&check, pattern, pattern + strlen(pattern), 0, count);
}

/* ---- the second walk: make the texts ---- */

/* What follows a text once it has been written: the rest of the pattern, and what follows that. */
struct rest {
    const char *p, *end;
    const struct rest *next;
};

struct expansion {
    char *text;
    size_t capacity;
    bool (*each)(void *user, const char *text);
    void *user;
};

/* Writes a number; returns its length. */
static size_t put_integer(char *out, int64_t value, size_t width)
{
    char digits[24];
    size_t count = 0, length = 0;
    uint64_t rest = magnitude(value);
    do digits[count++] = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (value < 0) out[length++] = '-';
    for (size_t pad = length + count; pad < width; pad++) out[length++] = '0';
    while (count > 0) out[length++] = digits[--count];
    return length;
}

static bool expand(const struct expansion *expansion, size_t length, const char *p, const char *end,
                   const struct rest *rest);

static bool expand_range(const struct expansion *expansion, size_t length, const struct range *range,
                         const struct rest *after)
{
    for (uint64_t i = 0; i < range->count; i++) {
        uint64_t distance = i * range->step;
        uint64_t value = range->from <= range->to ? (uint64_t)range->from + distance : (uint64_t)range->from - distance;
        size_t written = put_integer(expansion->text + length, (int64_t)value, range->width);
        assert(length + written < expansion->capacity);
        if (!expand(expansion, length + written, after->p, after->end, after->next)) return false;
    }
    return true;
}

static bool expand_group(const struct expansion *expansion, size_t length, const char *p, const char *close,
                         const struct rest *after)
{
    struct range range;
    const char *comma = next_comma(p, close);
    if (comma == close) {
        group kind = parse_range(p, close, &range);
        assert(kind == GROUP_RANGE); /* leat__braces_count has seen to it */
        return kind == GROUP_RANGE && expand_range(expansion, length, &range, after);
    }
    while (expand(expansion, length, p, comma, after)) {
        if (comma == close) return true;
        p = comma + 1;
        comma = next_comma(p, close);
    }
    return false;
}

/* Writes [p, end) and then `rest` behind the first `length` characters. False: stop. */
static bool expand(const struct expansion *expansion, size_t length, const char *p, const char *end,
                   const struct rest *rest)
{
    for (;;) {
        const char *open = memchr(p, '{', (size_t)(end - p));
        size_t literal = (size_t)((open ? open : end) - p);
        assert(length + literal < expansion->capacity);
        memcpy(expansion->text + length, p, literal);
        length += literal;
        if (open) {
            const char *close = matching(open, end);
            assert(close);
            struct rest after = {close + 1, end, rest};
            return expand_group(expansion, length, open + 1, close, &after);
        }
        if (!rest) break;
        p = rest->p, end = rest->end, rest = rest->next;
    }
    expansion->text[length] = '\0';
    return expansion->each(expansion->user, expansion->text);
}

leat_code leat__braces_expand(const char *pattern, bool (*each)(void *user, const char *text), void *user,
                              leat_error *error)
{
    assert(pattern && each);
    uint64_t count;
    leat_code code = leat__braces_count(pattern, &count, error);
    if (code) return code;
    size_t length = strlen(pattern);
    struct expansion expansion = {malloc(length + 1), length + 1, each, user};
    if (!expansion.text) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for %zu bytes of a name", length + 1);
    expand(&expansion, 0, pattern, pattern + length, NULL);
    free(expansion.text);
    return LEAT_OK;
}
