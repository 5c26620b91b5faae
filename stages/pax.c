/* pax.c - the records of a pax extended header.
 *
 * What:    splits "LENGTH KEY=VALUE\n" records and keeps path, size and whether the file is sparse.
 * Why so:  a record whose length doesn't lead to its own newline is an error, never guessed at: a wrong path gives a
 *          wrong key in silence. NUL bytes after the last record are padding that some writers leave, and are fine.
 * Threads: any; a leat__pax has one holder.
 * Invariants: path_length <= path_capacity; has_path implies the path has no NUL; size <= INT64_MAX.
 * Source:  POSIX.1-2017 pax, "pax Extended Header"; GNU tar manual, "Storing Sparse Files".
 * Not here: which header the records apply to (tar.c). */
#include "stages/pax.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"

typedef struct record {
    const char *key, *value;
    size_t key_length, value_length;
} record;

void leat__pax_clear(leat__pax *pax)
{
    pax->has_path = pax->has_size = pax->sparse = pax->real_name = false;
    pax->path_length = 0;
}

void leat__pax_free(leat__pax *pax)
{
    free(pax->path);
    *pax = (leat__pax){ 0 };
}

static bool key_is(const record *r, const char *key)
{
    return r->key_length == strlen(key) && memcmp(r->key, key, r->key_length) == 0;
}

static bool key_begins(const record *r, const char *key)
{
    return r->key_length >= strlen(key) && memcmp(r->key, key, strlen(key)) == 0;
}

/* Decimal digits and nothing else, up to `most`. */
static bool decimal(const char *text, size_t length, uint64_t most, uint64_t *value)
{
    uint64_t result = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        if (__builtin_mul_overflow(result, 10, &result) || __builtin_add_overflow(result, text[i] - '0', &result))
            return false;
    }
    *value = result;
    return length > 0 && result <= most;
}

/* Finds the record at data; returns its length, or 0 if it is malformed. */
static size_t split(const char *data, size_t size, record *r)
{
    const char *space = memchr(data, ' ', size < 21 ? size : 21); /* 20 digits hold any uint64_t */
    uint64_t length;
    if (!space || !decimal(data, (size_t)(space - data), size, &length)) return 0;
    const char *end = data + length; /* one past the newline */
    if (end <= space + 1 || end[-1] != '\n') return 0;
    const char *equals = memchr(space + 1, '=', (size_t)(end - space) - 1);
    if (!equals || equals == space + 1) return 0;
    assert(equals < end - 1); /* end[-1] is a newline, not '=' */
    *r = (record){ .key = space + 1, .key_length = (size_t)(equals - space) - 1,
                   .value = equals + 1, .value_length = (size_t)(end - 1 - equals) - 1 };
    return (size_t)length;
}

static leat_code keep_path(leat__pax *pax, const record *r, uint64_t offset, leat_error *error)
{
    if (memchr(r->value, '\0', r->value_length)) {
        return leat__fail(error, LEAT_ECORRUPT, 0, "pax header at byte %llu: the path has a NUL byte in it",
                          (unsigned long long)offset);
    }
    if (r->value_length > pax->path_capacity) {
        char *path = realloc(pax->path, r->value_length);
        if (!path) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a path of %zu bytes", r->value_length);
        pax->path = path;
        pax->path_capacity = r->value_length;
    }
    if (r->value_length) memcpy(pax->path, r->value, r->value_length);
    pax->path_length = r->value_length;
    pax->has_path = r->value_length > 0;
    assert(pax->path_length <= pax->path_capacity);
    return LEAT_OK;
}

static leat_code keep_size(leat__pax *pax, const record *r, uint64_t offset, leat_error *error)
{
    pax->has_size = r->value_length > 0;
    if (!pax->has_size || decimal(r->value, r->value_length, INT64_MAX, &pax->size)) return LEAT_OK;
    char text[81];
    leat__escape(text, sizeof text, r->value, r->value_length);
    return leat__fail(error, LEAT_ECORRUPT, 0, "pax header at byte %llu: size '%s' is no number from 0 to 2^63 - 1",
                      (unsigned long long)offset, text);
}

static leat_code keep(leat__pax *pax, const record *r, uint64_t offset, leat_error *error)
{
    if (key_is(r, "path")) return pax->real_name ? LEAT_OK : keep_path(pax, r, offset, error);
    if (key_is(r, "size")) return keep_size(pax, r, offset, error);
    if (!key_begins(r, "GNU.sparse.")) return LEAT_OK;
    pax->sparse = true;
    if (!key_is(r, "GNU.sparse.name")) return LEAT_OK;
    pax->real_name = r->value_length > 0;
    return keep_path(pax, r, offset, error);
}

static bool all_zero(const char *data, size_t size)
{
    return size == 0 || (data[0] == '\0' && memcmp(data, data + 1, size - 1) == 0);
}

leat_code leat__pax_read(leat__pax *pax, const char *data, size_t size, uint64_t offset, leat_error *error)
{
    for (size_t at = 0; at < size;) {
        record r;
        size_t length = split(data + at, size - at, &r);
        if (!length && data[at] == '\0' && all_zero(data + at, size - at)) return LEAT_OK;
        if (!length) {
            return leat__fail(error, LEAT_ECORRUPT, 0,
                              "pax header at byte %llu: the record at its byte %zu is malformed",
                              (unsigned long long)offset, at);
        }
        leat_code code = keep(pax, &r, offset, error);
        if (code) return code;
        assert(length <= size - at);
        at += length;
    }
    return LEAT_OK;
}
