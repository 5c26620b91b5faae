/* unfilter.h - PNG's row filters undone, in place. */
#ifndef LEAT__UNFILTER_H
#define LEAT__UNFILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LEAT__UNFILTER_SLACK = 8, /* bytes behind the last row that are read, whatever they are, and kept */
    LEAT__UNFILTER_TYPES = 5, /* None, Sub, Up, Average, Paeth (PNG, section 9.2) */
};

/* Undoes the filters of `count` rows that lie one behind the other, each a filter type and row_bytes bytes. Before them
 * lies a row of the same form, already without filter, or zeros where the image begins. pixel_bytes: 1 to 4; row_bytes
 * is a multiple of it and not 0; types are less than LEAT__UNFILTER_TYPES. Borrows rows. Thread: any. Blocks: no. */
void leat__unfilter(uint8_t *rows, size_t row_bytes, unsigned pixel_bytes, size_t count);

/* The same in plain C: what the other is compared with, and used where there is no SSE4.1. */
void leat__unfilter_plain(uint8_t *rows, size_t row_bytes, unsigned pixel_bytes, size_t count);

#endif
