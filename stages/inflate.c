/* inflate.c - a zlib stream that lies in memory whole, at once.
 *
 * What:    DEFLATE (RFC 1951) in a zlib wrapper (RFC 1950), to as many bytes as the caller knows there must be.
 * Why so:  zlib's input may end anywhere; here all of it is there, so 8 bytes are read at a time, and one table look-up
 *          gives two literals where both codes are short: filtered photographs are mostly literals.
 *          libdeflate is about as fast, but takes streams that zlib refuses (a codeword that an incomplete code leaves
 *          free, length symbols 286 and 287, distance symbols 30 and 31, lengths repeated past their end), and whether
 *          a PNG is damaged must not depend on who read it. Its Adler-32 is used.
 *          The input's last bytes are moved to a padded place, so the one loop needs no second, careful form; nor does
 *          it for the output's end, which may be overstepped by LEAT__INFLATE_SLACK and is looked at once a turn.
 * Threads: one at a time for each leat__inflate.
 * Invariants: (1) bits holds `count` valid bits, lowest first; those above are zero or the input's next
 *          (2) next - count / 8 is the first byte that is not begun   (3) a turn begins with out <= out_end
 * Not here: the tables (inflatetables.c), what the bytes mean (pngfast.c). */
#include "stages/inflate.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <libdeflate.h>

#include "stages/inflatetables.h"

enum {
    MARGIN = 32,               /* bytes that a turn looks at: two refills by 7 bytes at most, and 8 behind */
    AHEAD = 8,                 /* bytes that may have been read and not used */
    TAIL_BYTES = AHEAD + MARGIN + AHEAD + MARGIN, /* not used, the last ones, overstepped, and a turn's */
};

struct leat__inflate {
    leat__inflate_tables tables;
    bool fixed;                /* the tables are those of the fixed codes */
    uint8_t lengths[LEAT__FIXED_LITERALS + LEAT__FIXED_DISTANCES]; /* of codes: literals, then distances */
    uint8_t tail[TAIL_BYTES];
    /* the stream's */
    const uint8_t *next, *end; /* of the input, or of tail */
    ptrdiff_t margin;          /* end - next is at least this */
    uint64_t bits;
    unsigned count;
    uint8_t *out, *out_begin, *out_end;
};

leat__inflate *leat__inflate_new(void)
{
    leat__inflate *inflate = calloc(1, sizeof *inflate);
    return inflate;
}

void leat__inflate_free(leat__inflate *inflate)
{
    free(inflate);
}

/* ---- input ---- */

static inline uint64_t read_u64(const uint8_t *data)
{
    uint64_t word;
    memcpy(&word, data, sizeof word);
    return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap64(word) : word;
}

/* Moves the bytes that are not begun, MARGIN or a few more, to where zeros follow. False if that has been done and they
 * have been overstepped too. */
static bool enter_tail(leat__inflate *s)
{
    if (s->margin < 0) return false;
    s->next -= s->count / 8;
    s->count %= 8;
    s->bits &= (1u << s->count) - 1;
    size_t left = (size_t)(s->end - s->next);
    assert(left <= AHEAD + MARGIN);
    memcpy(s->tail, s->next, left);
    memset(s->tail + left, 0, sizeof s->tail - left);
    s->next = s->tail;
    s->end = s->tail + left;
    s->margin = -AHEAD;
    return true;
}

/* At least 56 bits, by 7 bytes at most. */
#define REFILL(bits, count, next)            \
    do {                                     \
        (bits) |= read_u64(next) << (count); \
        (next) += (63 - (count)) >> 3;       \
        (count) |= 56;                       \
    } while (0)

static inline bool refill(leat__inflate *s)
{
    if (s->end - s->next < s->margin && !enter_tail(s)) return false;
    REFILL(s->bits, s->count, s->next);
    return true;
}

static inline unsigned take_bits(leat__inflate *s, unsigned number)
{
    assert(number <= s->count);
    unsigned value = (unsigned)s->bits & ((1u << number) - 1);
    s->bits >>= number;
    s->count -= number;
    return value;
}

/* ---- blocks ---- */

static void build_fixed(leat__inflate *s)
{
    if (s->fixed) return;
    memset(s->lengths, 8, 144);
    memset(s->lengths + 144, 9, 112);
    memset(s->lengths + 256, 7, 24);
    memset(s->lengths + 280, 8, 8);
    memset(s->lengths + LEAT__FIXED_LITERALS, 5, LEAT__FIXED_DISTANCES);
    s->fixed = leat__inflate_tables_codes(&s->tables, s->lengths, LEAT__FIXED_LITERALS, LEAT__FIXED_DISTANCES);
    assert(s->fixed);
}

/* How often the length before (16) or zero (17, 18) is repeated. */
static unsigned take_repeats(leat__inflate *s, unsigned symbol)
{
    if (symbol == 16) return 3 + take_bits(s, 2);
    return symbol == 17 ? 3 + take_bits(s, 3) : 11 + take_bits(s, 7);
}

static bool read_lengths(leat__inflate *s, unsigned total)
{
    for (unsigned i = 0; i < total;) {
        if (!refill(s)) return false;
        uint32_t entry = s->tables.precodes[s->bits & (LEAT__PRECODE_ENTRIES - 1)];
        if (entry & LEAT__SPECIAL) return false;
        take_bits(s, LEAT__CONSUME(entry));
        unsigned symbol = LEAT__VALUE(entry);
        if (symbol < 16) {
            s->lengths[i++] = (uint8_t)symbol;
            continue;
        }
        unsigned repeats = take_repeats(s, symbol);
        if ((symbol == 16 && i == 0) || repeats > total - i) return false;
        memset(s->lengths + i, symbol == 16 ? s->lengths[i - 1] : 0, repeats);
        i += repeats;
    }
    return true;
}

static bool read_codes(leat__inflate *s)
{
    static const uint8_t order[LEAT__PRECODES] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    s->fixed = false;
    if (!refill(s)) return false;
    unsigned literals = 257 + take_bits(s, 5), distances = 1 + take_bits(s, 5), precodes = 4 + take_bits(s, 4);
    if (literals > LEAT__LITERALS || distances > LEAT__DISTANCES) return false;
    uint8_t lengths[LEAT__PRECODES] = {0};
    for (unsigned i = 0; i < precodes; i++) {
        if (!refill(s)) return false;
        lengths[order[i]] = (uint8_t)take_bits(s, 3);
    }
    if (!leat__inflate_tables_precodes(&s->tables, lengths) || !read_lengths(s, literals + distances)) return false;
    return s->lengths[256] != 0 && leat__inflate_tables_codes(&s->tables, s->lengths, literals, distances);
}

static bool copy_stored(leat__inflate *s)
{
    take_bits(s, s->count % 8);
    if (!refill(s)) return false;
    unsigned length = take_bits(s, 16), inverse = take_bits(s, 16);
    s->next -= s->count / 8;
    s->bits = s->count = 0;
    if (length != (inverse ^ 0xffff)) return false;
    if (s->next > s->end || length > (size_t)(s->end - s->next)) return false;
    if (length > (size_t)(s->out_end - s->out)) return false;
    memcpy(s->out, s->next, length);
    s->next += length;
    s->out += length;
    return true;
}

/* Copies a match; writes up to 31 bytes more. */
static inline void copy_match(uint8_t *out, size_t distance, unsigned length)
{
    const uint8_t *from = out - distance;
    uint8_t *end = out + length;
    if (distance >= 16) {
        do {
            memcpy(out, from, 16);
            out += 16, from += 16;
        } while (out < end);
        return;
    }
    if (distance == 1) {
        memset(out, *from, length);
        return;
    }
    if (distance < 8) { /* the first 8 one by one; then the same bytes lie a multiple further back, 8 to 14 */
        for (unsigned i = 0; i < 8; i++) out[i] = from[i];
        static const uint8_t multiples[8] = {0, 0, 8, 9, 8, 10, 12, 14};
        out += 8;
        from = out - multiples[distance];
    }
    while (out < end) {
        memcpy(out, from, 8);
        out += 8, from += 8;
    }
}

#define PEEK(table, bits, root) ((table)[(bits) & ((1ull << (root)) - 1)])
#define TAKE(bits, count, entry) ((bits) >>= LEAT__CONSUME(entry), (count) -= LEAT__CONSUME(entry))
#define PUT(out, entry) \
    ((out)[0] = (uint8_t)((entry) >> 16), (out)[1] = (uint8_t)((entry) >> 24), (out) += LEAT__COUNT(entry))

/* The base and the extra bits, which lie above the code's in bits that are not consumed yet. */
static inline unsigned extended(uint32_t entry, uint64_t bits)
{
    return LEAT__VALUE(entry) + (unsigned)((bits & ((1ull << LEAT__CONSUME(entry)) - 1)) >> LEAT__CODE(entry));
}

/* The entry of the subtable that the bits behind the root's choose. */
static inline uint32_t behind(const uint32_t *table, uint32_t entry, uint64_t bits)
{
    return table[LEAT__VALUE(entry) + (bits & ((1ull << LEAT__CODE(entry)) - 1))];
}

/* Bits in hand are counted for the worst case: a turn begins with 56. `entry` is always the next one. */
static inline __attribute__((always_inline)) bool decode_block(leat__inflate *s)
{
    const uint32_t *const literals = s->tables.literals, *const distances = s->tables.distances;
    const unsigned literal_bits = s->tables.literal_bits, distance_bits = s->tables.distance_bits;
    if (!refill(s)) return false;
    uint8_t *out = s->out, *const out_end = s->out_end;
    const uint8_t *next = s->next;
    uint64_t bits = s->bits;
    unsigned count = s->count;
    uint32_t entry = PEEK(literals, bits, literal_bits);
    for (;;) {
        if (__builtin_expect(s->end - next < s->margin, false)) {
            s->next = next, s->bits = bits, s->count = count;
            if (!enter_tail(s)) return false;
            next = s->next, bits = s->bits, count = s->count;
        }
        if (out > out_end) return false;
        REFILL(bits, count, next);
        unsigned turns = 0;
        for (; turns < 3 && LEAT__COUNT(entry); turns++) {
            PUT(out, entry);
            TAKE(bits, count, entry);
            entry = PEEK(literals, bits, literal_bits);
        }
        if (turns == 3) continue; /* 56 - 3 * 11 */
        if (entry & LEAT__SUBTABLE) {
            TAKE(bits, count, entry);
            entry = behind(literals, entry, bits);
            if (LEAT__COUNT(entry)) {
                PUT(out, entry);
                TAKE(bits, count, entry);
                entry = PEEK(literals, bits, literal_bits);
                continue;
            }
        }
        if (entry & LEAT__SPECIAL) break;
        const unsigned length = extended(entry, bits);
        TAKE(bits, count, entry); /* 56 - 2 * 11 - 20 are enough for the next root */
        entry = PEEK(distances, bits, distance_bits);
        REFILL(bits, count, next);
        if (entry & LEAT__SUBTABLE) {
            TAKE(bits, count, entry);
            entry = behind(distances, entry, bits);
        }
        if (entry & LEAT__SPECIAL) break;
        const size_t distance = extended(entry, bits);
        TAKE(bits, count, entry);
        if (distance > (size_t)(out - s->out_begin)) return false;
        entry = PEEK(literals, bits, literal_bits); /* 56 - 28 */
        copy_match(out, distance, length);
        out += length;
    }
    TAKE(bits, count, entry);
    s->next = next, s->bits = bits, s->count = count, s->out = out;
    return entry & LEAT__END_OF_BLOCK && out <= out_end;
}

#if defined(__x86_64__)
__attribute__((target("bmi,bmi2"))) static bool decode_block_bmi2(leat__inflate *s)
{
    return decode_block(s);
}
#endif

static bool decode_block_plain(leat__inflate *s)
{
    return decode_block(s);
}

static bool decode_codes(leat__inflate *s)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("bmi2") && __builtin_cpu_supports("bmi")) return decode_block_bmi2(s);
#endif
    return decode_block_plain(s);
}

/* Reads a block; *last: no other follows. */
static bool read_block(leat__inflate *s, bool *last)
{
    if (!refill(s)) return false;
    *last = take_bits(s, 1);
    switch (take_bits(s, 2)) {
    case 0: return copy_stored(s);
    case 1: build_fixed(s); return decode_codes(s);
    case 2: return read_codes(s) && decode_codes(s);
    default: return false;
    }
}

bool leat__inflate_zlib(leat__inflate *s, const uint8_t *in, size_t size, uint8_t *out, size_t out_size,
                        const atomic_bool *stop)
{
    enum { HEADER = 2, ADLER = 4, METHOD = 8, WINDOW_MOST = 7, DICTIONARY = 0x20 };
    if (size < HEADER + ADLER) return false;
    if ((in[0] & 15) != METHOD || in[0] >> 4 > WINDOW_MOST || in[1] & DICTIONARY || (in[0] << 8 | in[1]) % 31 != 0)
        return false;
    s->next = in + HEADER;
    s->end = in + size;
    s->margin = MARGIN;
    s->bits = s->count = 0;
    s->fixed = false;
    s->out = s->out_begin = out;
    s->out_end = out + out_size;
    for (bool last = false; !last;) {
        if (stop && atomic_load_explicit(stop, memory_order_relaxed)) return false;
        if (!read_block(s, &last)) return false;
    }
    const uint8_t *behind = s->next - s->count / 8;
    if (s->out != s->out_end || s->end - behind != ADLER) return false;
    uint32_t adler = (uint32_t)behind[0] << 24 | (uint32_t)behind[1] << 16 | (uint32_t)behind[2] << 8 | behind[3];
    return libdeflate_adler32(1, out, out_size) == adler;
}
