/* hufftable.c - a JPEG file's Huffman table, unrolled into look-ups.
 *
 * What:    codes in order of length (T.81, annex C), each put wherever the next bits begin with it; then pairs of
 *          them.
 * Why so:  most encoders use the tables of T.81, annex K, so a table is made once and compared from then on; an
 *          optimized one costs some microseconds.
 * Threads: pure functions but for the table.
 * Not here: reading bits (huffman.c). */
#include "stages/hufftable.h"

#include <assert.h>
#include <string.h>

enum { LOOK = LEAT__HUFF_LOOK, LONGEST = LEAT__HUFF_LONGEST, END = LEAT__HUFF_END };

/* A symbol as leat__huff_bits and the like take it apart. length: bits of the code; size: of the value behind it;
 * step: coefficients to go on by. */
static uint32_t pack(int length, int size, int step)
{
    assert(length >= 1 && length <= LONGEST && size <= 15 && step <= END);
    return (uint32_t)step << 16 | (uint32_t)size << 10 | (uint32_t)length << 5 | (uint32_t)(length + size);
}

static uint32_t entry_of(int symbol, int length, bool is_ac)
{
    if (!is_ac) return pack(length, symbol & 15, 0);
    const int run = symbol >> 4, size = symbol & 15;
    return pack(length, size, size > 0 || run == 15 ? run + 1 : END);
}

/* The first symbol's value, if it is known, then how to read the second one's (0: there is none, and the first one
 * stands for it again: whoever stores the one and then the other is right always). */
static uint64_t pack_pair(uint32_t first, uint32_t second, int value)
{
    const uint32_t other = second ? second : first;
    const unsigned before = second ? leat__huff_bits(first) : 0;
    const uint64_t place = before + leat__huff_length(other), bits = before + leat__huff_bits(other);
    const uint64_t step = (uint64_t)leat__huff_step(first), steps = step + (second ? (uint64_t)leat__huff_step(second) : 0);
    const uint64_t size = leat__huff_size(other);
    return (uint64_t)(uint16_t)value << 48 | steps << 32 | step << 24 | size << 16 | place << 8 | bits;
}

/* For every LOOK bits: the first symbol, and the second one if its code lies in them too. */
static void make_pairs(leat__hufftable *t)
{
    for (uint32_t bits = 0; bits < 1 << LOOK; bits++) {
        const uint32_t first = t->look[bits];
        uint32_t second = 0;
        int value = 0;
        if (first && leat__huff_step(first) != END && leat__huff_bits(first) <= LOOK) {
            const unsigned used = leat__huff_bits(first), rest = LOOK - used;
            value = leat__huff_value((uint64_t)bits << (64 - LOOK) << leat__huff_length(first), leat__huff_size(first));
            const uint32_t next = bits << used & ((1u << LOOK) - 1);
            second = t->look[next];
            if (leat__huff_length(second) > rest) second = 0;
        }
        t->pairs[bits] = first ? pack_pair(first, second, value) : 0;
    }
}

void leat__hufftable_make(leat__hufftable *t, const JHUFF_TBL *from, bool is_ac)
{
    if (t->made && memcmp(t->made_of.bits, from->bits, sizeof from->bits) == 0 &&
        memcmp(t->made_of.huffval, from->huffval, sizeof from->huffval) == 0)
        return;
    t->made_of = *from;
    t->made = true;
    memset(t->look, 0, sizeof t->look);
    int code = 0, index = 0;
    for (int length = 1; length <= LONGEST; length++) {
        t->offset[length] = index - code;
        for (int i = 0; i < from->bits[length]; i++, code++, index++) {
            if (length > LOOK) continue;
            for (int rest = 0; rest < 1 << (LOOK - length); rest++)
                t->look[code << (LOOK - length) | rest] = entry_of(from->huffval[index], length, is_ac);
        }
        assert(code <= 1 << length && index <= 256);
        t->past[length] = code << (LONGEST - length);
        code <<= 1;
    }
    if (is_ac) make_pairs(t);
}

uint32_t leat__hufftable_far(const leat__hufftable *t, int bits, bool is_ac)
{
    for (int length = LOOK + 1; length <= LONGEST; length++) {
        if (bits >= t->past[length]) continue;
        return entry_of(t->made_of.huffval[((bits >> (LONGEST - length)) + t->offset[length]) & 255], length, is_ac);
    }
    return 0;
}
