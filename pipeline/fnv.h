/* fnv.h - FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/): digests of what is not hostile. Threads: any; pure. */
#ifndef LEAT__FNV_H
#define LEAT__FNV_H

#include <stddef.h>
#include <stdint.h>

#define LEAT__FNV_START UINT64_C(0xcbf29ce484222325)

/* Adds bytes to a digest; a number as its eight bytes, the lowest first. */
static inline uint64_t leat__fnv_add(uint64_t digest, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) digest = (digest ^ bytes[i]) * UINT64_C(0x100000001b3);
    return digest;
}

static inline uint64_t leat__fnv_number(uint64_t digest, uint64_t number)
{
    for (int i = 0; i < 8; i++) digest = (digest ^ (number >> 8 * i & 255)) * UINT64_C(0x100000001b3);
    return digest;
}

#endif
