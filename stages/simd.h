/* simd.h - which vector instructions the kernels may use here.
 *
 * Threads: any. */
#ifndef LEAT__SIMD_H
#define LEAT__SIMD_H

typedef enum leat__simd {
    LEAT__SIMD_PORTABLE = 0, /* plain C, for the compiler's own vectors: SSE2, NEON */
    LEAT__SIMD_AVX2 = 1,     /* and F16C */
    LEAT__SIMD_AVX512 = 2,   /* F, BW, VL, VBMI and VNNI: Ice Lake, Zen 4 and later */
} leat__simd;

/* Before a loop over vectors that should stay in registers, at -O2 too. */
#define LEAT__UNROLL _Pragma("GCC unroll 8")

/* The best that this CPU and its kernel have. */
leat__simd leat__simd_best(void);

#endif
