/* unfilter_sse41.h - the row filters for x86. Called by unfilter.c. */
#ifndef LEAT__UNFILTER_SSE41_H
#define LEAT__UNFILTER_SSE41_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#define LEAT__UNFILTER_SSE41 1

/* As leat__unfilter; the processor has SSE4.1. */
void leat__unfilter_sse41(uint8_t *rows, size_t row_bytes, unsigned pixel_bytes, size_t count);

#endif
#endif
