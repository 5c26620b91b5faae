/* simd.c - which vector instructions the kernels may use here.
 *
 * What:    three levels; each has all that its kernels use, so a kernel file never asks for a single feature.
 * Why so:  AVX-512 without VBMI and VNNI (Skylake-X) gets the AVX2 kernels: its wide vectors cost clock frequency, and
 *          the byte permutes and word products that make ours short are missing. F16C is asked by cpuid, as clang 14's
 *          __builtin_cpu_supports does not know it; that AVX2 is usable (the kernel saves its registers) makes it so.
 * Threads: any; no state. */
#include "stages/simd.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <stdbool.h>

static bool has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

leat__simd leat__simd_best(void)
{
    if (!__builtin_cpu_supports("avx2") || !has_f16c()) return LEAT__SIMD_PORTABLE;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni"))
        return LEAT__SIMD_AVX512;
    return LEAT__SIMD_AVX2;
}
#else
leat__simd leat__simd_best(void)
{
    return LEAT__SIMD_PORTABLE;
}
#endif
