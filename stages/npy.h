/* npy.h - NumPy's .npy arrays (format versions 1 to 3, numpy/lib/format.py) and ASCII numbers. Parsers of foreign
 * bytes: no allocation, every size checked. npy.c reads arrays, number.c numbers. Threads: any. */
#ifndef LEAT__NPY_H
#define LEAT__NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <leat/batch.h>
#include <leat/error.h>

typedef struct leat__npy {
    leat_dtype dtype;
    bool swapped;       /* stored in the other byte order */
    bool fortran;       /* stored column-major */
    int ndim;           /* 0..LEAT_MAX_DIMS - 1: the batch adds one */
    int64_t shape[LEAT_MAX_DIMS];
    size_t bytes;       /* of the data */
    size_t data_offset; /* where the data begins */
} leat__npy;

/* Reads the header. Errors: LEAT_EFORMAT (no .npy), LEAT_EUNSUPPORTED (object, structured, string, complex or date
 * dtypes, too many dimensions; says which), LEAT_ECORRUPT, LEAT_ETRUNCATED (header or data), LEAT_EOVERSIZE (bytes
 * after the data). */
leat_code leat__npy_parse(const uint8_t *data, size_t size, leat__npy *npy, leat_error *error);

/* Copies the array to out (npy->bytes) in C order and native byte order. data: what was parsed. */
void leat__npy_copy(const leat__npy *npy, const uint8_t *data, void *out);

/* A decimal integer (int64) or number in ASCII with white space around it and nothing else. LEAT_EFORMAT says what is
 * there instead (escaped, at most a few bytes); LEAT_ELIMIT if it doesn't fit. Not locale dependent. */
leat_code leat__parse_int(const uint8_t *data, size_t size, int64_t *value, leat_error *error);
leat_code leat__parse_float(const uint8_t *data, size_t size, float *value, leat_error *error);

#endif
