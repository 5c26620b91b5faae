/* jpegfacts.h - what is known about libjpeg: what its messages mean for us, and how much memory it takes. */
#ifndef LEAT__JPEGFACTS_H
#define LEAT__JPEGFACTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <jpeglib.h>

#include <leat/error.h>

/* The code of a failure, by libjpeg's number of the message. */
leat_code leat__jpeg_code_of(int message);

/* True for warnings about what no pixel depends on: junk between segments, odd Adobe and JFIF markers, scan parameters
 * that sequential decoding has no use for, a broken colour profile. */
bool leat__jpeg_is_harmless(int message);

/* What libjpeg keeps of an image in several scans: all coefficients (jdcoefct.c, jinit_d_coef_controller); else 0. At
 * most 10 components of 2^27 blocks of 128 bytes: cannot overflow. */
uint64_t leat__jpeg_coefficient_bytes(j_decompress_ptr codec);

#endif
