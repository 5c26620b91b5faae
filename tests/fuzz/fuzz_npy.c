/* fuzz_npy.c - any bytes as a .npy array and as numbers: no crash, nothing written past the array, and what is accepted
 * is consistent: the shape times the element is the bytes, and the data ends with the file. Seeds: seed_npy.py. */
#include <stdlib.h>
#include <string.h>

#include "stages/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const size_t element_bytes[] = {1, 1, 2, 2, 4, 4, 8, 8, 2, 4, 8, 1}; /* by dtype */

static void check_array(const uint8_t *data, size_t size, const leat__npy *npy)
{
    if (npy->ndim < 0 || npy->ndim >= LEAT_MAX_DIMS || npy->dtype > LEAT_BOOL) abort();
    if (npy->data_offset > size || npy->data_offset + npy->bytes != size) abort();
    size_t bytes = element_bytes[npy->dtype];
    for (int i = 0; i < npy->ndim; i++) {
        if (npy->shape[i] < 0) abort();
        bytes *= (size_t)npy->shape[i];
    }
    if (bytes != npy->bytes) abort();
    uint8_t *out = malloc(npy->bytes + !npy->bytes);
    if (!out) abort();
    leat__npy_copy(npy, data, out);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    leat__npy npy;
    leat_error error;
    int64_t integer;
    float number;
    leat_code code = leat__npy_parse(data, size, &npy, &error);
    if (code == LEAT_OK) check_array(data, size, &npy);
    else if (code != error.code || !error.message[0]) abort();
    code = leat__parse_int(data, size, &integer, &error);
    if (code != LEAT_OK && code != LEAT_EFORMAT && code != LEAT_ELIMIT) abort();
    if (code == LEAT_OK && leat__parse_float(data, size, &number, &error) == LEAT_EFORMAT) abort();
    return 0;
}
