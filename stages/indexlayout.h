/* indexlayout.h - the layout of leat.index in numbers. For indexfile.c and indexwrite.c only; in words: docs/formats.md. */
#ifndef LEAT__INDEXLAYOUT_H
#define LEAT__INDEXLAYOUT_H

#include "stages/indexfile.h"

enum {
    LEAT__INDEX_VERSION = 1,
    LEAT__INDEX_HEADER = 64,                              /* bytes */
    LEAT__INDEX_ROW = 56,                                 /* bytes */
    LEAT__INDEX_BLOCK_BYTES = LEAT__PLACE_BLOCK * 4 + 4,  /* and its CRC-32 */
    LEAT__INDEX_HAS_PLACES = 1,
    LEAT__INDEX_HAS_HEAD = 2,
    LEAT__INDEX_FLAGS = LEAT__INDEX_HAS_PLACES | LEAT__INDEX_HAS_HEAD,
};

#define LEAT__INDEX_MOST_SHARDS ((uint64_t)100000000)                         /* LEAT__MAX_OBJECTS */
#define LEAT__INDEX_MOST_SAMPLES ((uint64_t)1 << 48)                          /* in all: sums of such fit into 64 bits */

/* As PNG's: it shows what text modes break. */
static const uint8_t leat__index_magic[8] = {0x89, 'L', 'E', 'A', 'T', '\r', '\n', 0x1a};

static inline uint32_t leat__get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t leat__get_u64(const uint8_t *at)
{
    return (uint64_t)leat__get_u32(at) | (uint64_t)leat__get_u32(at + 4) << 32;
}

static inline void leat__put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> 8 * i);
}

static inline void leat__put_u64(uint8_t *at, uint64_t value)
{
    leat__put_u32(at, (uint32_t)value);
    leat__put_u32(at + 4, (uint32_t)(value >> 32));
}

/* Bytes of the places of a shard: samples + 1 of them, and a checksum for each block of them. */
static inline uint64_t leat__index_places_bytes(uint64_t samples)
{
    return (samples + 1) * 4 + (samples / LEAT__PLACE_BLOCK + 1) * 4;
}

#endif
