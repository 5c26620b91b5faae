/* unfilter.c - PNG's row filters undone, in place: plain C, and which version runs.
 *
 * What:    a row's bytes are differences from a prediction made of the pixels to the left (a), above (b), and above to
 *          the left (c); here the prediction is added again.
 * Why so:  Up is added by the compiler's vectors. All others depend on the pixel to the left, so a row goes pixel by
 *          pixel here; unfilter_sse41.c has a way round that.
 *          Paeth's predictor is the one of a, b, c that is nearest to a + b - c, a before b before c. Here it is found
 *          by two comparisons that do not wait for each other: with t = 3c - a - b, it is the smaller of a and b if the
 *          larger is <= t; the larger if t <= the smaller; else c. (As in stb_image; the test goes through all 2^24.)
 * Threads: any; no state.
 * Not here: whether filter types are valid (pngfast.c). */
#include "stages/unfilter.h"

#include <assert.h>

#include "stages/unfilter_sse41.h"

static uint8_t paeth(int a, int b, int c)
{
    const int low = a < b ? a : b, high = a < b ? b : a, t = 3 * c - a - b;
    const int other = high <= t ? low : c;
    return (uint8_t)(t <= low ? high : other);
}

static void add_left(uint8_t *row, size_t bytes, unsigned pixel)
{
    for (size_t i = pixel; i < bytes; i++) row[i] = (uint8_t)(row[i] + row[i - pixel]);
}

static void add_above(uint8_t *restrict row, const uint8_t *restrict above, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) row[i] = (uint8_t)(row[i] + above[i]);
}

static void add_average(uint8_t *row, const uint8_t *above, size_t bytes, unsigned pixel)
{
    for (size_t i = 0; i < pixel; i++) row[i] = (uint8_t)(row[i] + above[i] / 2);
    for (size_t i = pixel; i < bytes; i++) row[i] = (uint8_t)(row[i] + (row[i - pixel] + above[i]) / 2);
}

static void add_paeth(uint8_t *row, const uint8_t *above, size_t bytes, unsigned pixel)
{
    for (size_t i = 0; i < pixel; i++) row[i] = (uint8_t)(row[i] + above[i]);
    for (size_t i = pixel; i < bytes; i++)
        row[i] = (uint8_t)(row[i] + paeth(row[i - pixel], above[i], above[i - pixel]));
}

void leat__unfilter_plain(uint8_t *rows, size_t row_bytes, unsigned pixel_bytes, size_t count)
{
    const size_t stride = 1 + row_bytes;
    assert(pixel_bytes >= 1 && pixel_bytes <= 4 && row_bytes > 0 && row_bytes % pixel_bytes == 0);
    for (; count > 0; count--, rows += stride) {
        uint8_t *row = rows + 1;
        const uint8_t *above = row - stride;
        assert(*rows < LEAT__UNFILTER_TYPES);
        switch (*rows) {
        case 1: add_left(row, row_bytes, pixel_bytes); break;
        case 2: add_above(row, above, row_bytes); break;
        case 3: add_average(row, above, row_bytes, pixel_bytes); break;
        case 4: add_paeth(row, above, row_bytes, pixel_bytes); break;
        default: break;
        }
    }
}

void leat__unfilter(uint8_t *rows, size_t row_bytes, unsigned pixel_bytes, size_t count)
{
#ifdef LEAT__UNFILTER_SSE41
    if (__builtin_cpu_supports("sse4.1")) {
        leat__unfilter_sse41(rows, row_bytes, pixel_bytes, count);
        return;
    }
#endif
    leat__unfilter_plain(rows, row_bytes, pixel_bytes, count);
}
