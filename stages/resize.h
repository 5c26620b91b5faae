/* resize.h - Pillow's antialiased bilinear resize in two passes, one row at a time.
 *
 * The same numbers as Pillow's Image.resize(size, BILINEAR, box) on 8-bit images (src/libImaging/Resample.c), bit for
 * bit: triangle filter stretched by the scale when it reduces, weights in double then in fixed point with RESIZE_BITS
 * bits, an 8-bit image between the passes. Threads: any; a filter belongs to one worker. */
#ifndef LEAT__RESIZE_H
#define LEAT__RESIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEAT__RESIZE_BITS 22  /* Pillow's PRECISION_BITS: 32 - 8 bits of a pixel - 2 of head room */
#define LEAT__RESIZE_BLOCK 16 /* bytes that leat__resize_down writes at a time */
#define LEAT__RESIZE_LONGEST (1 << 24) /* longest line, px: positions are floats, as in Pillow */
#define LEAT__RESIZE_SLACK 16 /* bytes that must be readable past the last pixel given to leat__resize_across */

/* The source pixels that one output pixel is made of. */
typedef struct leat__span {
    uint32_t start, taps; /* taps >= 1 */
} leat__span;

/* One direction's resize. Lives in memory that its user provides. */
typedef struct leat__filter {
    uint32_t size;           /* outputs */
    uint32_t stride;         /* weights kept for each: at least every span's taps */
    uint32_t first, end;     /* source pixels that any output needs: first <= p < end */
    bool identity;           /* output i is source pixel first + i */
    leat__span *spans;       /* [size] */
    int32_t *weights;        /* [size][stride], sum about 1 << LEAT__RESIZE_BITS each */
} leat__filter;

/* Most source pixels that one output can be made of when `extent` of them become `size`. */
uint32_t leat__filter_taps(double extent, uint32_t size);

/* Bytes of memory that such a filter needs. */
size_t leat__filter_bytes(double extent, uint32_t size);

/* Computes the filter that makes `size` outputs of [begin, end) of a line of `length` pixels, 0 <= begin < end <=
 * length <= LEAT__RESIZE_LONGEST.
 * memory: borrows, as long as the filter is used; leat__filter_bytes(end - begin, size), aligned for int32_t. As in
 * Pillow, begin and end are rounded to float, and pixels outside of them but in the line are used by outputs at the
 * edges. */
void leat__filter_build(leat__filter *filter, void *memory, uint32_t length, double begin, double end, uint32_t size);

/* Makes an output row (size * channels bytes; channels 3 or 4) of a source row. in: the whole row's start; only pixels
 * first..end are read, and LEAT__RESIZE_SLACK bytes after them may be. */
void leat__resize_across(const leat__filter *filter, const uint8_t *in, unsigned channels, uint8_t *out);

/* Makes output row y of source rows that lie in a ring: row r at ring + (r % rows) * stride. Works in blocks: `bytes`
 * is rounded up to LEAT__RESIZE_BLOCK, so must the stride and out be. */
void leat__resize_down(const leat__filter *filter, uint32_t y, const uint8_t *ring, size_t stride, uint32_t rows,
                       size_t bytes, uint8_t *out);

#endif
