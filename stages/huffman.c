/* huffman.c - a faster entropy decoder for libjpeg.
 *
 * What:    one look at the next bits says, for up to two coefficients, how many zeros to step over, the value or
 *          where its bits lie, and how many bits that took. What does not fit goes one symbol at a time.
 * Why so:  entropy decoding is half of a photograph's time and the one part of libjpeg-turbo that is not vectors,
 *          and what it costs is branches that nobody can foresee. So there are none but "does the block end here":
 *          bits are refilled once in two look-ups, whether needed or not, from a window of the data in which ff 00
 *          has become ff already, so that neither markers nor the end need a look; a pair without a second symbol
 *          reads its first one twice. Look-ups of 11 and 12 bits were tried: slower, the tables then leave the
 *          first-level cache. One symbol a look-up: 1.33 times libjpeg in place of 1.65. Rows above a crop need no
 *          coefficients at all: the same loop without the stores.
 * ABI:     libjpeg's struct jpeg_entropy_decoder is not in its public header. It begins with start_pass and
 *          decode_mcu in every libjpeg-turbo, and the library that is linked may be newer than the one compiled
 *          with (2.1 and 3.x share their soname): behind them come insufficient_data (2.1), or two functions for
 *          other kinds of JPEG and then insufficient_data (3.x). Both are zero here, which is right for the flag;
 *          the functions are not called for baseline files, and others are not taken (is_ours). Without libjpeg-
 *          turbo nothing is replaced.
 * Threads: one at a time (a worker's).
 * Invariants: (1) window <= at <= limit + SPARE - 8   (2) `from` never passes a marker (3) after each MCU no bit
 *          was taken that the data did not have, or `odd` was called
 * Not here: what becomes of the coefficients (libjpeg), doing it again (jpeg.c). */
#include "stages/huffman.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "stages/hufftable.h"

#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define ALWAYS_INLINE inline __attribute__((always_inline))

enum {
    LOOK = LEAT__HUFF_LOOK,
    END = LEAT__HUFF_END,
    LAST = DCTSIZE2 - 1,
    MCU_MOST = D_MAX_BLOCKS_IN_MCU * DCTSIZE2 * 4, /* bytes of an MCU at worst: 31 bits a coefficient */
    WINDOW = 2 * MCU_MOST,                         /* at least one MCU lies in it after each filling */
    SPARE = MCU_MOST + 8,                          /* zeros behind the last byte, so that no read leaves the window */
    DC_MOST = 1 << 20, /* beyond what any 8-bit image has; sums stay far from overflow */
};

/* The bits to come. */
typedef struct input {
    const uint8_t *at;       /* the next byte of the window to take */
    uint64_t buffer;         /* the next bits, the first one on top; behind `count`: zeros, or bits of *at */
    unsigned count;
} input;

struct leat__huffman {
    /* begins as libjpeg's struct jpeg_entropy_decoder: codec->entropy points here */
    void (*start_pass)(j_decompress_ptr codec);
    boolean (*decode_mcu)(j_decompress_ptr codec, JBLOCKROW *blocks);
    void *zeros[6];
    /* kept between images */
    leat__hufftable dc[NUM_HUFF_TBLS], ac[NUM_HUFF_TBLS];
    /* the image's, from attach on */
    leat__huffman_hooks hooks;
    uint32_t column, columns;   /* of MCUs: the next one, and how many there are */
    uint32_t first, last;       /* whose coefficients are needed */
    input in;
    const uint8_t *limit;       /* end of the window's data */
    const uint8_t *from, *end;  /* the file's data that is not in the window yet */
    bool ended;                 /* `from` is at a marker or the end */
    int dc_last[MAX_COMPS_IN_SCAN];
    uint8_t window[WINDOW + SPARE];
};

/* The k-th coefficient's place in a block, by T.81's zig-zag. */
static const uint8_t zigzag[DCTSIZE2] = {
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
};

leat__huffman *leat__huffman_new(void)
{
    return calloc(1, sizeof(leat__huffman));
}

void leat__huffman_free(leat__huffman *huffman)
{
    free(huffman);
}

/* ---- bits ---- */

/* Appends data up to a marker, ff 00 as ff. */
static uint8_t *copy_data(leat__huffman *h, uint8_t *to)
{
    const uint8_t *const full = h->window + WINDOW;
    while (to < full && !h->ended) {
        size_t size = (size_t)(h->end - h->from), room = (size_t)(full - to);
        const uint8_t *ff = memchr(h->from, 0xff, size < room ? size : room);
        const size_t plain = ff ? (size_t)(ff - h->from) : size < room ? size : room;
        memcpy(to, h->from, plain);
        to += plain;
        h->from += plain;
        h->ended = h->from == h->end;
        if (!ff) continue;
        h->ended = h->end - ff < 2 || ff[1] != 0;
        if (h->ended) continue;
        *to++ = 0xff;
        h->from += 2;
    }
    return to;
}

/* Makes the window hold at least one MCU, or all that is left and zeros behind it. */
static void fill_window(leat__huffman *h)
{
    h->hooks.poll(h->hooks.user);
    assert(h->in.at <= h->limit);
    const size_t kept = (size_t)(h->limit - h->in.at);
    memmove(h->window, h->in.at, kept);
    h->in.at = h->window;
    uint8_t *limit = copy_data(h, h->window + kept);
    memset(limit, 0, SPARE);
    h->limit = limit;
}

static ALWAYS_INLINE uint64_t read_u64(const uint8_t *at)
{
    uint64_t bits;
    memcpy(&bits, at, sizeof bits);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    bits = __builtin_bswap64(bits);
#endif
    return bits;
}

/* At least 56 bits. */
static ALWAYS_INLINE void refill(input *in)
{
    in->buffer |= read_u64(in->at) >> in->count;
    in->at += (63 - in->count) >> 3;
    in->count |= 56;
}

/* ---- blocks ---- */

/* The next symbol and its value; takes at most 31 bits. Returns the symbol's step. */
static ALWAYS_INLINE int take(const leat__huffman *h, input *in, const leat__hufftable *t, bool is_ac, int *value)
{
    uint32_t entry = t->look[in->buffer >> (64 - LOOK)];
    if (UNLIKELY(!entry)) {
        entry = leat__hufftable_far(t, (int)(in->buffer >> (64 - LEAT__HUFF_LONGEST)), is_ac);
        if (!entry) h->hooks.odd(h->hooks.user); /* no such code */
    }
    *value = leat__huff_value(in->buffer << leat__huff_length(entry), leat__huff_size(entry));
    in->buffer <<= leat__huff_bits(entry);
    in->count -= leat__huff_bits(entry);
    return leat__huff_step(entry);
}

/* The rest of a block, one symbol at a time. */
static __attribute__((noinline)) input end_block(const leat__huffman *h, input in, const leat__hufftable *t, int k,
                                                JCOEF *block)
{
    while (k < LAST) {
        int value;
        refill(&in);
        k += take(h, &in, t, true, &value);
        if (k <= LAST && block) block[zigzag[k]] = (JCOEF)value;
    }
    if (k > LAST && k < END) h->hooks.odd(h->hooks.user); /* libjpeg has a way of its own with these */
    return in;
}

/* The symbols that one look-up gives, which take at most 25 bits, if the block goes on behind them. */
static ALWAYS_INLINE bool take_pair(input *in, uint64_t entry, int *k, JCOEF *block)
{
    const int first = *k + leat__huff_pair_first(entry), second = *k + leat__huff_pair_second(entry);
    if (second >= LAST) return false;
    if (block) {
        block[zigzag[first]] = (JCOEF)leat__huff_pair_value(entry);
        const uint64_t bits = in->buffer << leat__huff_pair_place(entry);
        block[zigzag[second]] = (JCOEF)leat__huff_value(bits, leat__huff_pair_size(entry));
    }
    in->buffer <<= leat__huff_pair_bits(entry);
    in->count -= leat__huff_pair_bits(entry);
    *k = second;
    return true;
}

/* The coefficients 1..63 of a block, which is zero before. */
static ALWAYS_INLINE void decode_ac(const leat__huffman *h, input *in, const leat__hufftable *t, JCOEF *block)
{
    int k = 0;
    uint64_t entry;
    for (;;) {
        refill(in);
        entry = t->pairs[in->buffer >> (64 - LOOK)];
        if (UNLIKELY(!entry)) { /* a long code, whose symbol comes alone */
            int value;
            k += take(h, in, t, true, &value);
            if (k > LAST && k < END) h->hooks.odd(h->hooks.user);
            if (k > LAST) return;
            if (block) block[zigzag[k]] = (JCOEF)value;
            if (k == LAST) return;
            continue;
        }
        if (!take_pair(in, entry, &k, block)) break;
        entry = t->pairs[in->buffer >> (64 - LOOK)];
        if (entry && !take_pair(in, entry, &k, block)) break;
    }
    const int first = k + leat__huff_pair_first(entry), second = k + leat__huff_pair_second(entry);
    if (second < END || (first >= LAST && first < END)) { /* the block is full, or odd */
        *in = end_block(h, *in, t, k, block);
        return;
    }
    if (block && first < LAST) block[zigzag[first]] = (JCOEF)leat__huff_pair_value(entry);
    in->buffer <<= leat__huff_pair_bits(entry);
    in->count -= leat__huff_pair_bits(entry);
}

static boolean decode_mcu(j_decompress_ptr codec, JBLOCKROW *blocks)
{
    leat__huffman *h = (leat__huffman *)(void *)codec->entropy;
    if (h->limit - h->in.at < MCU_MOST && !h->ended) fill_window(h);
    if (h->column < h->first || h->column > h->last) blocks = NULL;
    if (++h->column == h->columns) h->column = 0;
    input in = h->in;
    for (int i = 0; i < codec->blocks_in_MCU; i++) {
        const int c = codec->MCU_membership[i];
        const jpeg_component_info *component = codec->cur_comp_info[c];
        const leat__hufftable *ac = &h->ac[component->ac_tbl_no];
        int difference;
        refill(&in);
        take(h, &in, &h->dc[component->dc_tbl_no], false, &difference);
        const int dc = h->dc_last[c] + difference;
        if (UNLIKELY(dc < -DC_MOST || dc > DC_MOST)) h->hooks.odd(h->hooks.user);
        h->dc_last[c] = dc;
        if (blocks && component->component_needed) {
            JCOEF *block = *blocks[i];
            block[0] = (JCOEF)dc;
            decode_ac(h, &in, ac, block);
        } else {
            decode_ac(h, &in, ac, NULL);
        }
    }
    if (UNLIKELY(in.at - in.count / 8 > h->limit)) h->hooks.odd(h->hooks.user);
    h->in = in;
    codec->src->next_input_byte = h->from;
    codec->src->bytes_in_buffer = (size_t)(h->end - h->from);
    return TRUE;
}

/* ---- attaching ---- */

static void start_no_pass(j_decompress_ptr codec)
{
    (void)codec; /* there is one scan, and it has begun */
}

static bool is_ours(j_decompress_ptr codec)
{
#ifdef LIBJPEG_TURBO_VERSION_NUMBER
    if (codec->Ss != 0 || codec->Se != DCTSIZE2 - 1) return false; /* a lossless scan, where libjpeg reads those */
    if (codec->progressive_mode || codec->arith_code || codec->restart_interval) return false;
    if (jpeg_has_multiple_scans(codec)) return false;
    for (int i = 0; i < codec->comps_in_scan; i++) {
        const jpeg_component_info *component = codec->cur_comp_info[i];
        if (!codec->dc_huff_tbl_ptrs[component->dc_tbl_no]) return false;
        if (!codec->ac_huff_tbl_ptrs[component->ac_tbl_no]) return false;
    }
    return codec->data_precision == 8;
#else
    (void)codec;
    return false;
#endif
}

bool leat__huffman_attach(leat__huffman *h, j_decompress_ptr codec, const uint8_t *end,
                          const leat__huffman_hooks *hooks)
{
    if (!is_ours(codec)) return false;
    for (int i = 0; i < codec->comps_in_scan; i++) {
        const int dc = codec->cur_comp_info[i]->dc_tbl_no, ac = codec->cur_comp_info[i]->ac_tbl_no;
        leat__hufftable_make(&h->dc[dc], codec->dc_huff_tbl_ptrs[dc], false);
        leat__hufftable_make(&h->ac[ac], codec->ac_huff_tbl_ptrs[ac], true);
    }
    h->start_pass = start_no_pass;
    h->decode_mcu = decode_mcu;
    h->hooks = *hooks;
    h->from = codec->src->next_input_byte;
    h->end = end;
    h->ended = false;
    h->limit = h->window;
    h->in = (input){.at = h->window};
    h->column = h->first = 0;
    h->columns = codec->MCUs_per_row;
    h->last = h->columns - 1;
    memset(h->dc_last, 0, sizeof h->dc_last);
    codec->entropy = (struct jpeg_entropy_decoder *)(void *)h;
    return true;
}

void leat__huffman_crop(leat__huffman *h, uint32_t first, uint32_t last)
{
    assert(first <= last && h->column == 0);
    h->first = first;
    h->last = last;
}
