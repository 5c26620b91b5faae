/* npy.c - NumPy's .npy arrays.
 *
 * What:    a .npy file is a magic, a version, a header length, a header that is the text of a Python dict with the keys
 *          descr, fortran_order and shape, and the elements (numpy/lib/format.py; NEP 1).
 * Why so:  the header is read by a parser that knows only this one form of dict: strings, True, False and tuples of
 *          integers. Nothing is evaluated, nothing allocated; what NumPy can store but a tensor cannot be is refused by
 *          name.
 * Threads: any; pure functions.
 * Invariants: a cursor never passes its end; shape's product times the element size fits in 63 bits and lies within the
 *          file.
 * Not here: whether the shape suits the batch (loader), ASCII numbers (number.c). */
#include "stages/npy.h"

#include <assert.h>
#include <string.h>

#include "pipeline/failure.h"

#define MAGIC "\x93NUMPY"
#define MAGIC_BYTES 6
#define SHOWN_BYTES 24 /* of foreign text in a message */

/* Text that is being read. */
typedef struct cursor {
    const char *at, *end;
} cursor;

/* What has been found of the dict. */
typedef struct header {
    const char *descr; /* not terminated */
    size_t descr_length;
    bool has_descr, has_order, has_shape;
    leat__npy *npy;
} header;

static leat_code corrupt(leat_error *error, const cursor *c, const char *expected)
{
    char shown[4 * SHOWN_BYTES + 1];
    size_t left = (size_t)(c->end - c->at);
    if (!left) return leat__fail(error, LEAT_ECORRUPT, 0, "npy: header ends where %s should be", expected);
    leat__escape(shown, sizeof(shown), c->at, left < SHOWN_BYTES ? left : SHOWN_BYTES);
    return leat__fail(error, LEAT_ECORRUPT, 0, "npy: header has \"%s\" where %s should be", shown, expected);
}

static bool is_space(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static void skip_space(cursor *c)
{
    while (c->at < c->end && is_space(*c->at)) c->at++;
}

/* Steps over white space and then `text`, if it is there. */
static bool accept(cursor *c, const char *text)
{
    skip_space(c);
    size_t length = strlen(text);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, text, length)) return false;
    c->at += length;
    return true;
}

/* A string literal without escapes, in either kind of quotes. */
static bool accept_string(cursor *c, const char **text, size_t *length)
{
    skip_space(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"')) return false;
    const char *close = memchr(c->at + 1, *c->at, (size_t)(c->end - c->at) - 1);
    if (!close || memchr(c->at, '\\', (size_t)(close - c->at))) return false;
    *text = c->at + 1;
    *length = (size_t)(close - *text);
    c->at = close + 1;
    return true;
}

/* Digits that fit into an int64; Python 2's long integers end in L. */
static bool accept_size(cursor *c, int64_t *value)
{
    skip_space(c);
    if (c->at == c->end || !is_digit(*c->at)) return false;
    for (*value = 0; c->at < c->end && is_digit(*c->at); c->at++)
        if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, *c->at - '0', value))
            return false;
    if (c->at < c->end && *c->at == 'L') c->at++;
    return true;
}

static leat_code parse_shape(cursor *c, leat__npy *npy, leat_error *error)
{
    if (!accept(c, "(")) return corrupt(error, c, "a tuple");
    npy->ndim = 0;
    for (bool comma = true; !accept(c, ")");) {
        int64_t length;
        if (!comma) return corrupt(error, c, "a comma or )");
        if (!accept_size(c, &length)) return corrupt(error, c, "a dimension");
        if (npy->ndim == LEAT_MAX_DIMS - 1)
            return leat__fail(error, LEAT_EUNSUPPORTED, 0, "npy: array of more than %d dimensions", LEAT_MAX_DIMS - 1);
        npy->shape[npy->ndim++] = length;
        comma = accept(c, ",");
        if (!comma && npy->ndim == 1) return corrupt(error, c, "a comma"); /* (3) is no tuple */
    }
    return LEAT_OK;
}

static leat_code parse_descr(cursor *c, header *h, leat_error *error)
{
    if (accept(c, "[")) return leat__fail(error, LEAT_EUNSUPPORTED, 0, "npy: structured dtype is not read");
    if (accept(c, "(")) return leat__fail(error, LEAT_EUNSUPPORTED, 0, "npy: sub-array dtype is not read");
    if (!accept_string(c, &h->descr, &h->descr_length)) return corrupt(error, c, "a dtype string");
    return LEAT_OK;
}

static bool key_is(const char *key, size_t length, const char *name)
{
    return length == strlen(name) && !memcmp(key, name, length);
}

static leat_code parse_entry(cursor *c, header *h, leat_error *error)
{
    const char *key;
    size_t length;
    const cursor before = *c;
    if (!accept_string(c, &key, &length)) return corrupt(error, c, "a key");
    const bool is_descr = key_is(key, length, "descr"), is_order = key_is(key, length, "fortran_order");
    const bool is_shape = key_is(key, length, "shape");
    bool *seen = is_descr ? &h->has_descr : is_order ? &h->has_order : &h->has_shape;
    if ((!is_descr && !is_order && !is_shape) || *seen)
        return corrupt(error, &before, "one of the keys descr, fortran_order and shape");
    *seen = true;
    if (!accept(c, ":")) return corrupt(error, c, "a colon");
    if (is_descr) return parse_descr(c, h, error);
    if (is_shape) return parse_shape(c, h->npy, error);
    h->npy->fortran = accept(c, "True");
    if (!h->npy->fortran && !accept(c, "False")) return corrupt(error, c, "True or False");
    return LEAT_OK;
}

static leat_code parse_dict(cursor *c, header *h, leat_error *error)
{
    if (!accept(c, "{")) return corrupt(error, c, "{");
    for (bool comma = true; !accept(c, "}");) {
        if (!comma) return corrupt(error, c, "a comma or }");
        leat_code code = parse_entry(c, h, error);
        if (code) return code;
        comma = accept(c, ",");
    }
    skip_space(c);
    if (c->at < c->end) return corrupt(error, c, "the end");
    if (h->has_descr && h->has_order && h->has_shape) return LEAT_OK;
    return leat__fail(error, LEAT_ECORRUPT, 0, "npy: header lacks the key %s",
                      !h->has_descr ? "descr" : !h->has_order ? "fortran_order" : "shape");
}

/* Dtypes by kind and size in bytes. */
static const struct dtype_row {
    char kind;
    int64_t bytes;
    leat_dtype dtype;
} dtype_rows[] = {
    {'b', 1, LEAT_BOOL},    {'i', 1, LEAT_INT8},    {'i', 2, LEAT_INT16},   {'i', 4, LEAT_INT32},
    {'i', 8, LEAT_INT64},   {'u', 1, LEAT_UINT8},   {'u', 2, LEAT_UINT16},  {'u', 4, LEAT_UINT32},
    {'u', 8, LEAT_UINT64},  {'f', 2, LEAT_FLOAT16}, {'f', 4, LEAT_FLOAT32}, {'f', 8, LEAT_FLOAT64},
};

static size_t dtype_bytes(leat_dtype dtype)
{
    for (size_t i = 0; i < sizeof(dtype_rows) / sizeof(dtype_rows[0]); i++)
        if (dtype_rows[i].dtype == dtype) return (size_t)dtype_rows[i].bytes;
    assert(!"a dtype of the table");
    return 0;
}

/* What a dtype that is not read is called. */
static const char *kind_name(char kind)
{
    switch (kind) {
    case 'O': return "object (pickled Python objects)";
    case 'c': return "complex";
    case 'S':
    case 'a':
    case 'U': return "string";
    case 'V': return "void or structured";
    case 'M':
    case 'm': return "date or time";
    case 'f': return "floating point of this size";
    default: return "unknown";
    }
}

/* "<f4": byte order (may be missing), kind, bytes. */
static leat_code read_dtype(const header *h, leat_error *error)
{
    cursor c = {h->descr, h->descr + h->descr_length};
    const uint16_t probe = 1;
    uint8_t little_host;
    memcpy(&little_host, &probe, 1);
    bool swapped = false;
    if (c.at < c.end && strchr("<>|=", *c.at) && *c.at) {
        swapped = *c.at == (little_host ? '>' : '<');
        c.at++;
    }
    const char kind = c.at < c.end ? *c.at++ : '\0';
    int64_t bytes = 1;
    const bool sized = kind == '?' || accept_size(&c, &bytes);
    for (size_t i = 0; sized && c.at == c.end && i < sizeof(dtype_rows) / sizeof(dtype_rows[0]); i++) {
        if (dtype_rows[i].kind != (kind == '?' ? 'b' : kind) || dtype_rows[i].bytes != bytes) continue;
        h->npy->dtype = dtype_rows[i].dtype;
        h->npy->swapped = swapped && bytes > 1;
        return LEAT_OK;
    }
    char shown[4 * SHOWN_BYTES + 1];
    leat__escape(shown, sizeof(shown), h->descr, h->descr_length < SHOWN_BYTES ? h->descr_length : SHOWN_BYTES);
    return leat__fail(error, LEAT_EUNSUPPORTED, 0, "npy: dtype \"%s\" is not read: %s", shown, kind_name(kind));
}

/* Multiplies the shape out and compares with the bytes that are there. */
static leat_code check_size(leat__npy *npy, size_t size, leat_error *error)
{
    int64_t bytes = (int64_t)dtype_bytes(npy->dtype);
    for (int i = 0; i < npy->ndim; i++)
        if (__builtin_mul_overflow(bytes, npy->shape[i], &bytes))
            return leat__fail(error, LEAT_ECORRUPT, 0, "npy: shape is larger than any memory");
    npy->bytes = (size_t)bytes;
    const size_t there = size - npy->data_offset;
    if (there < npy->bytes)
        return leat__fail(error, LEAT_ETRUNCATED, 0, "npy: data ends after %zu of %zu bytes", there, npy->bytes);
    if (there > npy->bytes)
        return leat__fail(error, LEAT_EOVERSIZE, 0, "npy: %zu bytes after the %zu of the data", there - npy->bytes,
                          npy->bytes);
    return LEAT_OK;
}

leat_code leat__npy_parse(const uint8_t *data, size_t size, leat__npy *npy, leat_error *error)
{
    *npy = (leat__npy){0};
    if (memcmp(data ? data : (const uint8_t *)"", MAGIC, size < MAGIC_BYTES ? size : MAGIC_BYTES))
        return leat__fail(error, LEAT_EFORMAT, 0, "npy: the magic \\x93NUMPY is missing");
    if (size < MAGIC_BYTES + 2)
        return leat__fail(error, LEAT_ETRUNCATED, 0, "npy: ends after %zu bytes of its header", size);
    const unsigned major = data[MAGIC_BYTES], minor = data[MAGIC_BYTES + 1];
    if (major < 1 || major > 3 || minor != 0)
        return leat__fail(error, LEAT_EUNSUPPORTED, 0, "npy: format version %u.%u is not known (1.0 to 3.0 are)", major,
                          minor);
    const size_t length_bytes = major == 1 ? 2 : 4, start = MAGIC_BYTES + 2 + length_bytes;
    size_t length = 0;
    for (size_t i = 0; i < length_bytes && size >= start; i++) length |= (size_t)data[MAGIC_BYTES + 2 + i] << (8 * i);
    if (size < start || size - start < length)
        return leat__fail(error, LEAT_ETRUNCATED, 0, "npy: ends after %zu bytes of its header", size);
    cursor c = {(const char *)data + start, (const char *)data + start + length};
    header h = {.npy = npy};
    npy->data_offset = start + length;
    leat_code code = parse_dict(&c, &h, error);
    if (!code) code = read_dtype(&h, error);
    return code ? code : check_size(npy, size, error);
}

/* One element, its bytes reversed if asked for. Sizes are constants where this is inlined. */
static inline void copy_element(uint8_t *out, const uint8_t *in, size_t bytes, bool swapped)
{
    for (size_t i = 0; i < bytes; i++) out[i] = in[swapped ? bytes - 1 - i : i];
}

static inline __attribute__((always_inline)) void copy_run(uint8_t *out, const uint8_t *in, size_t count, size_t step,
                                                           const size_t bytes, const bool swapped)
{
    for (size_t i = 0; i < count; i++) copy_element(out + i * bytes, in + i * step * bytes, bytes, swapped);
}

/* `count` elements that lie `step` elements apart. */
static void copy_line(uint8_t *out, const uint8_t *in, size_t count, size_t step, size_t bytes, bool swapped)
{
    assert(bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8);
    if (bytes == 1) copy_run(out, in, count, step, 1, false);
    else if (bytes == 2 && swapped) copy_run(out, in, count, step, 2, true);
    else if (bytes == 2) copy_run(out, in, count, step, 2, false);
    else if (bytes == 4 && swapped) copy_run(out, in, count, step, 4, true);
    else if (bytes == 4) copy_run(out, in, count, step, 4, false);
    else copy_run(out, in, count, step, 8, swapped);
}

/* Column-major to row-major: lines along the last dimension, an odometer over the others. */
static void copy_fortran(const leat__npy *npy, const uint8_t *in, uint8_t *out, size_t element)
{
    const int last = npy->ndim - 1;
    int64_t steps[LEAT_MAX_DIMS], at[LEAT_MAX_DIMS] = {0}, offset = 0;
    steps[0] = 1;
    for (int i = 1; i <= last; i++) steps[i] = steps[i - 1] * npy->shape[i - 1];
    const size_t line = (size_t)npy->shape[last];
    for (size_t done = 0; done < npy->bytes; done += line * element) {
        copy_line(out + done, in + (size_t)offset * element, line, (size_t)steps[last], element, npy->swapped);
        for (int i = last - 1; i >= 0; i--) {
            offset += steps[i];
            if (++at[i] < npy->shape[i]) break;
            offset -= steps[i] * npy->shape[i];
            at[i] = 0;
        }
    }
}

void leat__npy_copy(const leat__npy *npy, const uint8_t *data, void *out)
{
    assert(npy->ndim >= 0 && npy->ndim < LEAT_MAX_DIMS);
    if (!npy->bytes) return;
    const uint8_t *in = data + npy->data_offset;
    const size_t element = dtype_bytes(npy->dtype);
    if (npy->fortran && npy->ndim > 1) copy_fortran(npy, in, out, element);
    else if (npy->swapped) copy_line(out, in, npy->bytes / element, 1, element, true);
    else memcpy(out, in, npy->bytes);
    uint8_t *truths = out;
    for (size_t i = 0; npy->dtype == LEAT_BOOL && i < npy->bytes; i++) truths[i] = truths[i] != 0;
}
