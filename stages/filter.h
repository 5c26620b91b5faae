/* filter.h - one direction's resize as tables: which source pixels an output is made of, and with which weights.
 *
 * Pillow's antialiased filters (src/libImaging/Resample.c): a triangle or Keys' cubic, stretched by the scale when it
 * reduces, its weights divided by their sum. Threads: any; a filter belongs to one worker. */
#ifndef LEAT__FILTER_H
#define LEAT__FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <leat/config.h>

#define LEAT__FILTER_BITS 14             /* weights of few taps: 1.0 is 1 << 14, so that bicubic's 1.2 fits in int16 */
#define LEAT__FILTER_ONE (1 << LEAT__FILTER_BITS)
#define LEAT__FILTER_FEW 16              /* most taps with such weights; more have float weights */
#define LEAT__FILTER_GROUP 16            /* tables hold a multiple of so many outputs: those beyond repeat the last */
#define LEAT__FILTER_LONGEST (1 << 24)   /* longest line, px: positions are floats, as in Pillow */

/* What is resized in one direction: [begin, end) of a line of `length` pixels becomes `size` outputs, 0 <= begin < end
 * <= length <= LEAT__FILTER_LONGEST. As in Pillow, begin and end are rounded to float, and pixels outside of them but
 * in the line are used by outputs at the edges. */
typedef struct leat__line {
    uint32_t length, size;
    double begin, end;
    leat_resample resample;
    bool mirrored; /* output i is what output size - 1 - i would be */
} leat__line;

typedef struct leat__filter {
    uint32_t size, groups;   /* outputs; and in groups of LEAT__FILTER_GROUP, rounded up */
    uint32_t taps;           /* of every output, >= 1; the last ones, or the first, may weigh nothing */
    uint32_t stride;         /* weights kept for each: 8 or 16 (few), or a multiple of 16; zeros after the taps */
    uint32_t first, end;     /* source pixels that any output needs: first <= p < end; end - first >= taps */
    bool identity;           /* output i is source pixel first + i, or mirrored */
    int32_t *starts;         /* [groups * 16] first tap, counted from `first`; starts[i] + taps <= end - first */
    int16_t *weights;        /* few taps: [groups * 16][stride], each output's sum is LEAT__FILTER_ONE; else NULL */
    float *float_weights;    /* many taps: [groups * 16][stride], each output's sum is 1 but for rounding; else NULL */
} leat__filter;

/* Computes what does not need the tables: everything but starts and weights, which become NULL. */
void leat__filter_plan(leat__filter *filter, const leat__line *line);

/* Bytes that the tables of a planned filter need; never more than leat__filter_most_bytes. */
size_t leat__filter_bytes(const leat__filter *filter);

/* Upper bounds for any filter that makes `size` outputs of at most `extent` pixels; neither falls as extent grows. */
uint32_t leat__filter_most_taps(leat_resample resample, double extent, uint32_t size);
size_t leat__filter_most_bytes(leat_resample resample, double extent, uint32_t size);

/* Fills the tables of a filter that was planned for *line. memory: borrows, as long as the filter is used; aligned to
 * 64 bytes. */
void leat__filter_build(leat__filter *filter, const leat__line *line, void *memory);

#endif
