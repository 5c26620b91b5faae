/* reference_resize.h - resizes that are easy to believe: Pillow's own arithmetic, the exact result, and plain C floats.
 *
 * All take a box of an interleaved 8-bit image of 3 or 4 channels, and the weights of Pillow's precompute_coeffs. */
#ifndef LEAT_TESTS_REFERENCE_RESIZE_H
#define LEAT_TESTS_REFERENCE_RESIZE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct reference_job {
    const uint8_t *in;
    uint32_t width, height, channels; /* of the whole image */
    double x, y, box_width, box_height;
    uint32_t to_width, to_height;
    bool bicubic;
} reference_job;

/* The filter itself: Pillow's triangle, or Keys' cubic with a = -0.5. */
double reference_filter(double x, bool bicubic);

/* Pillow's Image.resize, bit for bit: 22-bit weights, across first, rounded and clipped to 8 bits after each pass. out:
 * interleaved. */
void reference_pillow(const reference_job *job, uint8_t *out);

/* In double, nothing rounded and nothing clipped. out: interleaved. */
void reference_exact(const reference_job *job, double *out);

/* What one would write in an afternoon: separable, float, only the rows that are needed; then flipped, normalized,
 * planar (CHW). The plain version that benchmarks compare with. */
void reference_plain(const reference_job *job, bool flip, const float mean[3], const float std[3], float *out);

#endif
