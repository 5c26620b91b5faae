/* inflatetables.c - look-up tables for DEFLATE's Huffman codes.
 *
 * What:    from code lengths (RFC 1951, 3.2.2) a root table by the first bits, and tables behind it for longer codes.
 * Why so:  the first bit of a code is the lowest of the input, so a code's entry is repeated at every step of 2^length.
 *          Codes come in order of length: the root is filled for one length, then doubled, and so on. Literals are
 *          joined in pairs afterwards. The root has no more bits than the longest code has, so that a block of few
 *          symbols costs little.
 * Threads: any; no state.
 * Not here: reading lengths and symbols (inflate.c). */
#include "stages/inflatetables.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

enum {
    LITERAL = 1 << 6,          /* a COUNT of 1 */
    ONE_BIT = 1 << 8 | 1,      /* of code, to be consumed */
};

/* Base and extra bits of each symbol (RFC 1951, 3.2.5). */
#define B(base, extra) ((uint32_t)(base) << 16 | (extra))
static const uint32_t length_bases[LEAT__FIXED_LITERALS - 256] = {
    LEAT__SPECIAL | LEAT__END_OF_BLOCK,
    B(3, 0), B(4, 0), B(5, 0), B(6, 0), B(7, 0), B(8, 0), B(9, 0), B(10, 0), B(11, 1), B(13, 1),
    B(15, 1), B(17, 1), B(19, 2), B(23, 2), B(27, 2), B(31, 2), B(35, 3), B(43, 3), B(51, 3), B(59, 3), B(67, 4),
    B(83, 4), B(99, 4), B(115, 4), B(131, 5), B(163, 5), B(195, 5), B(227, 5), B(258, 0), LEAT__INVALID, LEAT__INVALID,
};
static const uint32_t distance_bases[LEAT__FIXED_DISTANCES] = {
    B(1, 0), B(2, 0), B(3, 0), B(4, 0), B(5, 1), B(7, 1), B(9, 2), B(13, 2), B(17, 3), B(25, 3), B(33, 4), B(49, 4),
    B(65, 5), B(97, 5), B(129, 6), B(193, 6), B(257, 7), B(385, 7), B(513, 8), B(769, 8), B(1025, 9), B(1537, 9),
    B(2049, 10), B(3073, 10), B(4097, 11), B(6145, 11), B(8193, 12), B(12289, 12), B(16385, 13), B(24577, 13),
    LEAT__INVALID, LEAT__INVALID,
};
#undef B

/* What is coded, and what of its table is being built. */
typedef struct code {
    uint32_t *table;
    const uint32_t *bases;     /* of symbols from first_base on; those below are literals */
    unsigned first_base;
    unsigned root;             /* bits */
    unsigned numbers[LEAT__LONGEST_CODE + 1]; /* codes of each length that are still to come */
    const uint16_t *symbol;    /* the next one, by length */
    unsigned word, length;     /* its code, with the first bit lowest, and how many bits it has */
} code;

static uint32_t entry_of(const code *c, unsigned symbol)
{
    return symbol < c->first_base ? LITERAL | symbol << 16 : c->bases[symbol - c->first_base];
}

/* Goes on to the next code of this length: 1 is added from the top. The last one, all ones, stays. */
static void next_word(code *c)
{
    unsigned zeros = c->word ^ ((1u << c->length) - 1);
    if (!zeros) return;
    unsigned highest = 1u << (31 - __builtin_clz(zeros));
    c->word = (c->word & (highest - 1)) | highest;
}

/* Counts the codes of each length and sorts the symbols. False if zlib refuses such a code: more than there is room
 * for, or fewer, unless it is one of a single bit, or empty. (Of a precode zlib refuses a single one, too; here its
 * streams fall later: all lengths it can say are equal, and 286 or fewer codes of one length are never complete.) */
static bool sort_symbols(leat__inflate_tables *t, code *c, const uint8_t *lengths, unsigned symbols, unsigned *longest)
{
    unsigned places[LEAT__LONGEST_CODE + 2] = {0};
    unsigned left = 1;
    memset(c->numbers, 0, sizeof c->numbers);
    for (unsigned i = 0; i < symbols; i++) c->numbers[lengths[i]]++;
    *longest = 0;
    for (unsigned length = 1; length <= LEAT__LONGEST_CODE; length++) {
        left *= 2;
        if (c->numbers[length] > left) return false;
        left -= c->numbers[length];
        if (c->numbers[length] > 0) *longest = length;
        places[length + 1] = places[length] + c->numbers[length];
    }
    for (unsigned i = 0; i < symbols; i++) {
        if (lengths[i]) t->sorted[places[lengths[i]]++] = (uint16_t)i;
    }
    c->symbol = t->sorted;
    return left == 0 || *longest <= 1;
}

/* Bits of the subtable that begins with the next code: as many as make a complete tree of those that follow. */
static unsigned subtable_bits(const code *c)
{
    unsigned bits = c->length - c->root, used = c->numbers[c->length];
    while (used < 1u << bits) {
        bits++;
        assert(c->root + bits <= LEAT__LONGEST_CODE); /* the code is complete */
        used = 2 * used + c->numbers[c->root + bits];
    }
    return bits;
}

/* The codes longer than the root: tables behind it, one for all codes that begin with the same root. */
static void fill_subtables(code *c, size_t capacity)
{
    const unsigned mask = (1u << c->root) - 1;
    unsigned begin = 0, bits = 0, prefix = UINT32_MAX, end = 1u << c->root;
    for (;; next_word(c)) {
        while (c->numbers[c->length] == 0) {
            if (++c->length > LEAT__LONGEST_CODE) return;
        }
        if ((c->word & mask) != prefix) {
            prefix = c->word & mask;
            bits = subtable_bits(c);
            begin = end;
            end += 1u << bits;
            assert(end <= capacity);
            c->table[prefix] = begin << 16 | LEAT__SPECIAL | LEAT__SUBTABLE | bits << 8 | c->root;
        }
        unsigned own = c->length - c->root;
        uint32_t entry = entry_of(c, *c->symbol++) + own * ONE_BIT;
        for (unsigned i = c->word >> c->root; i < 1u << bits; i += 1u << own) c->table[begin + i] = entry;
        c->numbers[c->length]--;
    }
}

/* The root: for each length in turn the codes of that length; then what there is is repeated for one bit more. */
static void fill_root(code *c)
{
    c->word = 0;
    for (c->length = 1; c->length <= c->root; c->length++) {
        const unsigned half = 1u << (c->length - 1);
        memcpy(c->table + half, c->table, half * sizeof *c->table);
        for (; c->numbers[c->length] > 0; c->numbers[c->length]--) {
            c->table[c->word] = entry_of(c, *c->symbol++) + c->length * ONE_BIT;
            next_word(c);
        }
    }
}

/* Builds a table, with `most` bits at most in the root; *root says how many. */
static bool build_table(leat__inflate_tables *t, code *c, unsigned most, size_t capacity, const uint8_t *lengths,
                        unsigned symbols, unsigned *root)
{
    unsigned longest;
    if (!sort_symbols(t, c, lengths, symbols, &longest)) return false;
    *root = c->root = longest < 1 ? 1 : longest > most ? most : longest;
    c->table[0] = c->table[1] = LEAT__INVALID; /* where an incomplete code leaves them so */
    fill_root(c);
    if (longest > c->root) fill_subtables(c, capacity);
    return true;
}

/* Joins pairs of literals that fit into the root. From the top down: what follows an entry's code lies below it. */
static void pair_literals(uint32_t *table, unsigned root)
{
    for (unsigned i = 1u << root; i-- > 0;) {
        const uint32_t first = table[i], second = table[i >> LEAT__CONSUME(first)];
        const unsigned consume = LEAT__CONSUME(first) + LEAT__CONSUME(second);
        const uint32_t joined = (first & 0xff0000) | LEAT__VALUE(second) << 24 | 2 * LITERAL | consume;
        table[i] = first & second & LITERAL && consume <= root ? joined : first;
    }
}

bool leat__inflate_tables_codes(leat__inflate_tables *t, const uint8_t *lengths, unsigned literals,
                                unsigned distances)
{
    code c = {.table = t->literals, .bases = length_bases, .first_base = 256};
    if (!build_table(t, &c, LEAT__LITERAL_BITS, LEAT__LITERAL_ENTRIES, lengths, literals, &t->literal_bits))
        return false;
    pair_literals(t->literals, t->literal_bits);
    c = (code){.table = t->distances, .bases = distance_bases};
    lengths += literals;
    return build_table(t, &c, LEAT__DISTANCE_BITS, LEAT__DISTANCE_ENTRIES, lengths, distances, &t->distance_bits);
}

/* Repeats a root up to LEAT__PRECODE_BITS. */
static void widen(uint32_t *table, unsigned root)
{
    for (; root < LEAT__PRECODE_BITS; root++) memcpy(table + (1u << root), table, (1u << root) * sizeof *table);
}

bool leat__inflate_tables_precodes(leat__inflate_tables *t, const uint8_t *lengths)
{
    static const uint32_t none[1] = {0};
    unsigned root;
    code c = {.table = t->precodes, .bases = none, .first_base = LEAT__PRECODES};
    if (!build_table(t, &c, LEAT__PRECODE_BITS, LEAT__PRECODE_ENTRIES, lengths, LEAT__PRECODES, &root)) return false;
    widen(t->precodes, root);
    return true;
}
