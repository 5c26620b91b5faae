/* hufftable.h - a JPEG file's Huffman table, unrolled into look-ups (huffman.c uses them, and says why).
 *
 * Threads: a table belongs to who made it. */
#ifndef LEAT__HUFFTABLE_H
#define LEAT__HUFFTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jpeglib.h>

enum {
    LEAT__HUFF_LOOK = 10,      /* bits that one look-up covers; 8 KiB a table of pairs: two stay in L1 */
    LEAT__HUFF_LONGEST = 16,   /* bits of a code */
    LEAT__HUFF_END = 128,      /* step of the end-of-block code: far beyond the last coefficient */
};

/* Zeroed memory is a table that is not made yet. */
typedef struct leat__hufftable {
    uint32_t look[1 << LEAT__HUFF_LOOK];  /* a symbol, by the next bits; 0: its code is longer */
    uint64_t pairs[1 << LEAT__HUFF_LOOK]; /* AC only: one or two symbols, by the next bits; 0: the code is longer */
    int32_t past[LEAT__HUFF_LONGEST + 1]; /* past[n]: the first code of more than n bits, left-aligned in 16 bits */
    int32_t offset[LEAT__HUFF_LONGEST + 1]; /* index of a code's symbol less the code, by length */
    JHUFF_TBL made_of;
    bool made;
} leat__hufftable;

/* Makes the table of libjpeg's, which has found it to be sound; at once if it is the one made last. */
void leat__hufftable_make(leat__hufftable *table, const JHUFF_TBL *from, bool is_ac);

/* The symbol whose code begins the next LONGEST bits and has more than LOOK; 0: there is no such code. */
uint32_t leat__hufftable_far(const leat__hufftable *table, int bits, bool is_ac);

/* ---- what a symbol says ---- */

static inline unsigned leat__huff_bits(uint32_t symbol) /* of code and value together, 1..31 */
{
    return symbol & 31;
}
static inline unsigned leat__huff_length(uint32_t symbol) /* of the code, bits */
{
    return symbol >> 5 & 31;
}
static inline unsigned leat__huff_size(uint32_t symbol) /* of the value behind it, bits, 0..15 */
{
    return symbol >> 10 & 15;
}
static inline int leat__huff_step(uint32_t symbol) /* AC: coefficients to go on by; LEAT__HUFF_END: no more */
{
    return (int)(symbol >> 16);
}

/* ---- what a pair says: where there is no second symbol, the first one stands for it again ---- */

static inline unsigned leat__huff_pair_bits(uint64_t pair) /* of all of it, at most 25 */
{
    return pair & 63;
}
static inline unsigned leat__huff_pair_place(uint64_t pair) /* bits before the second one's value */
{
    return pair >> 8 & 63;
}
static inline unsigned leat__huff_pair_size(uint64_t pair) /* of that value, bits */
{
    return pair >> 16 & 15;
}
static inline int leat__huff_pair_first(uint64_t pair) /* coefficients to the first one */
{
    return (int)(pair >> 24 & 255);
}
static inline int leat__huff_pair_second(uint64_t pair) /* and to the second one */
{
    return (int)(pair >> 32 & 0xffff);
}
static inline int leat__huff_pair_value(uint64_t pair) /* of the first one; unknown if it is the second one too */
{
    return (int16_t)(pair >> 48);
}

/* What the first `size` of these bits say (T.81's EXTEND): a first bit of 0 stands for a negative value. */
static inline int leat__huff_value(uint64_t bits, unsigned size)
{
    const uint64_t sign = (uint64_t)((int64_t)~bits >> 63); /* all ones: negative */
    return (int)((((bits ^ sign) >> 1 >> (63 - size)) ^ sign) - sign);
}

#endif
