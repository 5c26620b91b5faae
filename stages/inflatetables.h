/* inflatetables.h - look-up tables for DEFLATE's Huffman codes (RFC 1951, 3.2.2). Called by inflate.c. */
#ifndef LEAT__INFLATETABLES_H
#define LEAT__INFLATETABLES_H

#include <stdbool.h>
#include <stdint.h>

enum {
    LEAT__LONGEST_CODE = 15,   /* bits */
    LEAT__LITERAL_BITS = 11,   /* of a root: 8 KiB, and a pair of common literals fits */
    LEAT__DISTANCE_BITS = 8,
    LEAT__PRECODE_BITS = 7,    /* the longest there is */
    LEAT__LITERALS = 286, LEAT__DISTANCES = 30, LEAT__PRECODES = 19, /* symbols that zlib knows ... */
    LEAT__FIXED_LITERALS = 288, LEAT__FIXED_DISTANCES = 32, /* ... and that have a fixed code, of at most 9 bits */
    /* A complete subtable of k bits has 2^k entries for at least k + 1 codes, where k <= 15 - root bits: at most 16 / 5
     * entries for each code of more than 11 bits, 128 / 8 for each of more than 8. */
    LEAT__LITERAL_ENTRIES = (1 << LEAT__LITERAL_BITS) + LEAT__LITERALS * 16 / 5,
    LEAT__DISTANCE_ENTRIES = (1 << LEAT__DISTANCE_BITS) + LEAT__DISTANCES * 16,
    LEAT__PRECODE_ENTRIES = 1 << LEAT__PRECODE_BITS,
};

/* An entry. Lengths and distances: bits to consume (the code's and the extra ones), the code's alone, and from bit 16
 * the base. Literals: the bits of one or two of them, COUNT, and from bit 16 the bytes. SUBTABLE: the root's bits, how
 * many more choose, and from bit 16 where the table begins. */
#define LEAT__CONSUME(entry) ((entry) & 63)
#define LEAT__COUNT(entry) ((entry) >> 6 & 3)
#define LEAT__CODE(entry) ((entry) >> 8 & 15)
#define LEAT__VALUE(entry) ((entry) >> 16)
enum {
    LEAT__SPECIAL = 1 << 12,   /* none of the above but one of the next three */
    LEAT__SUBTABLE = 1 << 13,
    LEAT__END_OF_BLOCK = 1 << 14,
    LEAT__INVALID = 1 << 15 | LEAT__SPECIAL, /* no symbol, or one that zlib does not know */
};

/* Tables of one block, and of its precode. */
typedef struct leat__inflate_tables {
    uint32_t literals[LEAT__LITERAL_ENTRIES], distances[LEAT__DISTANCE_ENTRIES], precodes[LEAT__PRECODE_ENTRIES];
    unsigned literal_bits, distance_bits; /* of the roots, at most the constants; precodes: LEAT__PRECODE_BITS */
    uint16_t sorted[LEAT__FIXED_LITERALS];
} leat__inflate_tables;

/* Build tables from the codes' lengths (0 to 15; precodes: to 7): LEAT__PRECODES of them, or those of literals and then
 * of distances. False if zlib refuses such codes: over-subscribed, or incomplete, but for a single one of one bit or
 * none. Thread: any. */
bool leat__inflate_tables_precodes(leat__inflate_tables *tables, const uint8_t *lengths);
bool leat__inflate_tables_codes(leat__inflate_tables *tables, const uint8_t *lengths, unsigned literals,
                                unsigned distances);

#endif
