/* resize.h - antialiased resize of 8-bit images, from a ring of source rows to planar output rows, one at a time.
 *
 * Down the columns first, then across the row: the sums of down stay in 16 bits with 7 of fraction, and only the
 * finished pixel is rounded to 8. Within 1 of Pillow's Image.resize(size, BILINEAR, box) on every pixel (resize.c says
 * why). Bicubic is within 1 of the exact result; Pillow's differs where it clips between its passes.
 * Threads: any; a leat__resize belongs to one worker. */
#ifndef LEAT__RESIZE_H
#define LEAT__RESIZE_H

#include "stages/filter.h"
#include "stages/simd.h"

#define LEAT__RESIZE_SLACK 256 /* bytes that must be readable past the last needed pixel of every source row */

/* Source rows where their reader put them: row y at rows + (y % count) * stride; the row's first pixel is column
 * `column` of the line. */
typedef struct leat__ring {
    const uint8_t *rows;
    size_t stride;
    uint32_t count, column;
} leat__ring;

typedef struct leat__resize_kernels leat__resize_kernels;

/* One image's resize. */
typedef struct leat__resize {
    /* fixed after begin */
    const leat__resize_kernels *kernels;
    leat__filter across, down;
    leat__ring ring;
    unsigned channels;
    uint32_t columns;        /* source columns that are needed: across.end - across.first */
    size_t plane, out_plane; /* values from channel to channel, between the passes and in output rows */
    int16_t *planes;         /* an output row that is done down, but not across: value - 128, times 128 */
    float *sums;             /* many taps down: the output rows that are being summed up; else NULL */
    void *packed;            /* the across weights as the kernel wants them, if it does; else NULL */
    /* advances */
    uint32_t taken, next;    /* source rows before `taken` are in the ring; next: the output row that is next */
    uint32_t summed;         /* many taps down: source rows before this are in the sums */
} leat__resize;

/* Plans what two lines become: down.first .. down.end and across.first .. across.end say which pixels are needed.
 * channels: 3 or 4. level: at most leat__simd_best(). */
void leat__resize_plan(leat__resize *resize, const leat__line *across, const leat__line *down, unsigned channels,
                       leat__simd level);

/* Bytes of memory that a planned resize needs; at most leat__resize_most_bytes of lines as long and longer. */
size_t leat__resize_bytes(const leat__resize *resize);
size_t leat__resize_most_bytes(const leat__line *across, const leat__line *down, unsigned channels);

/* Rows that a ring must hold beside those that are being read: those that a later output row needs again. */
uint32_t leat__resize_kept(const leat__resize *resize);

/* Makes a planned resize ready. The lines are those of the plan. memory: borrows until the last row; 64-byte aligned.
 * ring: rows that were taken must stay there while an output row needs them: leat__resize_kept. */
void leat__resize_begin(leat__resize *resize, const leat__line *across, const leat__line *down, const leat__ring *ring,
                        void *memory);

/* Source rows up to (not including) `end` are in the ring; at least those that were not taken before and are needed.
 * Then call leat__resize_next until it says false, before more rows are taken. */
void leat__resize_take(leat__resize *resize, uint32_t end);

/* Writes the next output row, if all of its source rows have been taken: pixel x of channel c to
 * out[c * resize->out_plane + x]. What lies between the width and out_plane is overwritten. False: there is none. */
bool leat__resize_next(leat__resize *resize, uint8_t *out, uint32_t *y);

/* Bytes of an output row, all channels, for `width` pixels. */
size_t leat__resize_row_bytes(uint32_t width, unsigned channels);

#endif
