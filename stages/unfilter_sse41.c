/* unfilter_sse41.c - the row filters for x86.
 *
 * What:    a pixel is 4 lanes of 16 bits, so that a + b and 3c need no care. Rows by themselves, or four at a time.
 * Why so:  each pixel waits for the one to the left: 5 instructions in a row for Paeth, whatever the machine could do
 *          besides. Four rows at a time keep it busy: while row y is at pixel x, the row below is at x - 1, whose pixel
 *          above is known by then, and so on:
 *
 *              row y       . . . . x             pairs[0] = [ row y, x         | row y + 1, x - 1 ]
 *              row y + 1   . . . x               pairs[1] = [ row y + 2, x - 2 | row y + 3, x - 3 ]
 *              row y + 2   . . x
 *              row y + 3   . x                   what lies above comes out of these registers, but for row y
 *
 *          Six and eight rows gained a tenth at most. Left of the first pixel everything is 0, and zeros lead to zeros
 *          there, so that only loads have to know about it.
 *          A row's filter is a set of masks: Paeth with b = c = 0 predicts a (Sub), with a = c = 0 it predicts b (Up),
 *          with all 0 nothing (None). Average is chosen instead of it.
 *          In place: 4 bytes are read for any pixel; 4 bytes are stored for one of 3, which spoils the next pixel's
 *          first byte, but that has been loaded by then.
 * Threads: any; no state.
 * Not here: the formula of Paeth's predictor (unfilter.c). */
#include "stages/unfilter_sse41.h"

#ifdef LEAT__UNFILTER_SSE41

#include <assert.h>
#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

#include "stages/unfilter.h"

#define SSE41 __attribute__((target("sse4.1")))
#define INLINE static inline __attribute__((always_inline)) SSE41

enum { NONE, SUB, UP, AVERAGE, PAETH, PAIRS = 2, WAVE_ROWS = 2 * PAIRS };

INLINE int read_px(const uint8_t *at)
{
    int px;
    memcpy(&px, at, 4);
    return px;
}

/* last: no pixel follows in this row. */
INLINE void write_px(uint8_t *at, int px, const unsigned pixel, const bool last)
{
    memcpy(at, &px, pixel == 3 && !last ? 4 : pixel);
}

/* ---- a row by itself ---- */

INLINE __m128i paeth(__m128i raw, __m128i a, __m128i b, __m128i c)
{
    __m128i t = _mm_sub_epi16(_mm_sub_epi16(_mm_add_epi16(c, _mm_add_epi16(c, c)), b), a);
    __m128i low = _mm_min_epi16(a, b), high = _mm_max_epi16(a, b);
    /* the byte is added to all three before the choice, not to what was chosen: that would have to wait */
    __m128i is_c = _mm_cmpgt_epi16(high, t), is_low = _mm_cmpgt_epi16(t, low);
    __m128i other = _mm_blendv_epi8(_mm_add_epi8(low, raw), _mm_add_epi8(c, raw), is_c);
    return _mm_blendv_epi8(_mm_add_epi8(high, raw), other, is_low);
}

INLINE void undo_row(uint8_t *row, const uint8_t *above, size_t bytes, const unsigned pixel, const int filter)
{
    __m128i a = _mm_setzero_si128(), c = a, next = _mm_cvtepu8_epi16(_mm_cvtsi32_si128(read_px(row)));
    for (size_t at = 0; at < bytes; at += pixel) {
        __m128i raw = next;
        next = _mm_cvtepu8_epi16(_mm_cvtsi32_si128(read_px(row + at + pixel)));
        __m128i b = _mm_cvtepu8_epi16(_mm_cvtsi32_si128(read_px(above + at)));
        if (filter == SUB) a = _mm_add_epi8(raw, a);
        if (filter == AVERAGE) a = _mm_add_epi8(raw, _mm_srli_epi16(_mm_add_epi16(a, b), 1));
        if (filter == PAETH) a = paeth(raw, a, b, c);
        c = b;
        int px = _mm_cvtsi128_si32(_mm_packus_epi16(a, a));
        write_px(row + at, px, pixel, at + pixel == bytes);
    }
}

INLINE void undo_rows(uint8_t *rows, size_t row_bytes, const unsigned pixel, size_t count)
{
    const size_t stride = 1 + row_bytes;
    for (; count > 0; count--, rows += stride) {
        uint8_t *row = rows + 1;
        switch (*rows) {
        case SUB: undo_row(row, row - stride, row_bytes, pixel, SUB); break;
        case AVERAGE: undo_row(row, row - stride, row_bytes, pixel, AVERAGE); break;
        case PAETH: undo_row(row, row - stride, row_bytes, pixel, PAETH); break;
        default: leat__unfilter_plain(rows, row_bytes, pixel, 1);
        }
    }
}

/* ---- four rows ---- */

/* Two rows of a wave, by their pixels of 4 lanes. */
typedef struct pair {
    __m128i left;                    /* the pixels made last */
    __m128i above_left;
    __m128i use_a, use_b, use_c, average; /* masks that say what the rows' filters are */
} pair;

INLINE __m128i mask_of(bool low, bool high)
{
    return _mm_set_epi64x(-(long long)high, -(long long)low);
}

INLINE pair begin_pair(int low, int high)
{
    pair p = {.left = _mm_setzero_si128(), .above_left = _mm_setzero_si128()};
    p.use_a = mask_of(low != NONE && low != UP, high != NONE && high != UP);
    p.use_b = mask_of(low >= UP, high >= UP);
    p.use_c = mask_of(low == PAETH, high == PAETH);
    p.average = mask_of(low == AVERAGE, high == AVERAGE);
    return p;
}

/* The next pixel of both rows. */
INLINE void step_pair(pair *p, __m128i raw, __m128i b, const bool same)
{
    __m128i a = p->left, c = p->above_left;
    p->above_left = b;
    if (same) {
        p->left = paeth(raw, a, b, c);
        return;
    }
    a = _mm_and_si128(a, p->use_a), b = _mm_and_si128(b, p->use_b), c = _mm_and_si128(c, p->use_c);
    __m128i average = _mm_add_epi8(raw, _mm_srli_epi16(_mm_add_epi16(a, b), 1));
    p->left = _mm_blendv_epi8(paeth(raw, a, b, c), average, p->average);
}

typedef struct wave {
    uint8_t *row;      /* its first pixel */
    size_t stride, pixels;
    __m128i raw[PAIRS]; /* of the next step */
    pair pairs[PAIRS];
} wave;

/* Pixel x of a row of the wave; 0 outside of it. */
INLINE int raw_px(const wave *w, unsigned row, size_t x, const unsigned pixel, const bool edge)
{
    if (edge && x >= w->pixels) return 0; /* also those left of it: x wraps */
    return read_px(w->row + row * w->stride + x * pixel);
}

INLINE void load_raw(wave *w, size_t x, const unsigned pixel, const bool edge)
{
    for (unsigned i = 0; i < PAIRS; i++) {
        __m128i px = _mm_cvtsi32_si128(raw_px(w, 2 * i, x - 2 * i, pixel, edge));
        px = _mm_insert_epi32(px, raw_px(w, 2 * i + 1, x - 2 * i - 1, pixel, edge), 1);
        w->raw[i] = _mm_cvtepu8_epi16(px);
    }
}

INLINE void store_px(const wave *w, unsigned row, size_t x, int px, const unsigned pixel, const bool edge)
{
    if (edge && x >= w->pixels) return;
    write_px(w->row + row * w->stride + x * pixel, px, pixel, edge);
}

/* Row y at pixel x, and the others where they are. */
INLINE void step_wave(wave *w, size_t x, const unsigned pixel, const bool edge, const bool same)
{
    __m128i raw[PAIRS], above[PAIRS];
    memcpy(raw, w->raw, sizeof raw);
    load_raw(w, x + 1, pixel, edge);
    const int highest = edge && x >= w->pixels ? 0 : read_px(w->row - w->stride + x * pixel);
    above[0] = _mm_unpacklo_epi64(_mm_cvtepu8_epi16(_mm_cvtsi32_si128(highest)), w->pairs[0].left);
    for (unsigned i = 1; i < PAIRS; i++) above[i] = _mm_alignr_epi8(w->pairs[i].left, w->pairs[i - 1].left, 8);
    for (unsigned i = 0; i < PAIRS; i++) {
        step_pair(&w->pairs[i], raw[i], above[i], same);
        __m128i bytes = _mm_packus_epi16(w->pairs[i].left, w->pairs[i].left);
        store_px(w, 2 * i, x - 2 * i, _mm_cvtsi128_si32(bytes), pixel, edge);
        store_px(w, 2 * i + 1, x - 2 * i - 1, _mm_extract_epi32(bytes, 1), pixel, edge);
    }
}

INLINE void undo_wave(uint8_t *rows, size_t row_bytes, const unsigned pixel, const bool same)
{
    const size_t stride = 1 + row_bytes, pixels = row_bytes / pixel;
    wave w = {.row = rows + 1, .stride = stride, .pixels = pixels};
    for (unsigned i = 0; i < PAIRS; i++) w.pairs[i] = begin_pair(rows[2 * i * stride], rows[(2 * i + 1) * stride]);
    load_raw(&w, 0, pixel, true);
    size_t x = 0;
    for (; x < WAVE_ROWS - 1; x++) step_wave(&w, x, pixel, true, same);
    for (; x + 1 < pixels; x++) step_wave(&w, x, pixel, false, same);
    for (; x < pixels + WAVE_ROWS - 1; x++) step_wave(&w, x, pixel, true, same);
}

INLINE void undo(uint8_t *rows, size_t row_bytes, const unsigned pixel, size_t count)
{
    const size_t stride = 1 + row_bytes;
    for (; count >= WAVE_ROWS; count -= WAVE_ROWS, rows += WAVE_ROWS * stride) {
        unsigned slow = 0;
        for (unsigned i = 0; i < WAVE_ROWS; i++) slow += rows[i * stride] == PAETH;
        if (slow == WAVE_ROWS) undo_wave(rows, row_bytes, pixel, true);
        else if (slow >= 2) undo_wave(rows, row_bytes, pixel, false);
        else undo_rows(rows, row_bytes, pixel, WAVE_ROWS);
    }
    undo_rows(rows, row_bytes, pixel, count);
}

SSE41 void leat__unfilter_sse41(uint8_t *rows, size_t row_bytes, unsigned pixel_bytes, size_t count)
{
    switch (pixel_bytes) {
    case 1: undo(rows, row_bytes, 1, count); break;
    case 2: undo(rows, row_bytes, 2, count); break;
    case 3: undo(rows, row_bytes, 3, count); break;
    default: undo(rows, row_bytes, 4, count);
    }
}

#endif
