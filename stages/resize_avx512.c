/* resize_avx512.c - the inner loops of a resize with 512-bit vectors.
 *
 * What:    down takes 64 pixels at a time: one byte permute of two vectors (vpermt2b) makes 32 words (b - 128) * 256 of
 *          one channel, so the sums are in planes from the start. Across makes 16 outputs at a time: a word permute
 *          (vpermt2w) of the 64 words from the first output's first tap on collects each output's next two taps, and
 *          one instruction (vpdpwssd) multiplies and adds them.
 * Why so:  this costs an instruction for 16 or 32 products, where loading every output's taps by themselves (as in
 *          resize_avx2.c) costs more than multiplying them. Where 16 outputs lie further apart than 64 words, a
 *          reduction by more than 4, that is what is done.
 * Threads: any; pure functions. Runs only where leat__simd_best says so.
 * Not here: what the numbers mean (resize.c). */
#if defined(__x86_64__)
#include <assert.h>
#include <immintrin.h>

#include "stages/resize_kernels.h"
#include "stages/resize_many.h"

#define AVX512 __attribute__((target("avx2,avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni")))
#define AVX512_INLINE                                                                                                  \
    __attribute__((target("avx2,avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni"), always_inline)) static inline

#define WINDOW 64 /* words of a plane that 16 outputs' taps are picked from */

/* ---- down ---- */

/* Which bytes of two vectors are a channel of 32 pixels, in the high bytes of words; the low ones become 0. */
AVX512_INLINE __m512i channel_bytes(unsigned first, unsigned channels)
{
    uint8_t index[64] = {0};
    for (unsigned i = 0; i < 32; i++) index[2 * i + 1] = (uint8_t)(first + i * channels);
    return _mm512_loadu_si512(index);
}

AVX512_INLINE __m512i load_centred(const uint8_t *at)
{
    return _mm512_xor_si512(_mm512_loadu_si512(at), _mm512_set1_epi8((char)0x80));
}

AVX512_INLINE __m512i add_product(__m512i sum, __m512i a, __m512i index, __m512i b, __m512i weight)
{
    const __m512i words = _mm512_maskz_permutex2var_epi8(UINT64_C(0xAAAAAAAAAAAAAAAA), a, index, b);
    return _mm512_add_epi16(sum, _mm512_mulhrs_epi16(words, weight));
}

/* Pixels 0..31 are in the first two vectors' 128 bytes; 32..63 begin 96 or 128 bytes on. */
AVX512_INLINE void down_block(const uint8_t *const *rows, size_t offset, const int16_t *weights, unsigned taps,
                              const unsigned channels, const __m512i *index, int16_t *planes, size_t plane)
{
    __m512i sum[8];
    LEAT__UNROLL for (unsigned i = 0; i < 2 * channels; i++) sum[i] = _mm512_setzero_si512();
    for (unsigned t = 0; t < taps; t++) {
        const uint8_t *row = rows[t] + offset;
        const __m512i weight = _mm512_set1_epi16(weights[t]);
        const __m512i a = load_centred(row), b = load_centred(row + 64), c = load_centred(row + 128);
        const __m512i d = channels == 4 ? load_centred(row + 192) : c;
        LEAT__UNROLL for (unsigned i = 0; i < channels; i++) {
            sum[i] = add_product(sum[i], a, index[i], b, weight);
            sum[channels + i] = add_product(sum[channels + i], channels == 4 ? c : b, index[channels + i], d, weight);
        }
    }
    LEAT__UNROLL for (unsigned i = 0; i < channels; i++) {
        _mm512_storeu_si512(planes + i * plane, sum[i]);
        _mm512_storeu_si512(planes + i * plane + 32, sum[channels + i]);
    }
}

AVX512_INLINE void down_rows(const uint8_t *const *rows, const int16_t *weights, unsigned taps, const unsigned channels,
                             size_t columns, int16_t *planes, size_t plane)
{
    __m512i index[8];
    for (unsigned i = 0; i < channels; i++) {
        index[i] = channel_bytes(i, channels);
        index[channels + i] = channel_bytes(channels == 4 ? i : 32 + i, channels); /* 3: byte 96 is byte 32 of b */
    }
    for (size_t x = 0; x < columns; x += 64)
        down_block(rows, x * channels, weights, taps, channels, index, planes + x, plane);
}

AVX512 static void down(const uint8_t *const *rows, const int16_t *weights, unsigned taps, unsigned channels,
                        size_t columns, int16_t *planes, size_t plane)
{
    if (channels == 3) down_rows(rows, weights, taps, 3, columns, planes, plane);
    else down_rows(rows, weights, taps, 4, columns, planes, plane);
}

/* ---- across ---- */

/* One group of 16 outputs; its weights follow, 16 pairs a vector. */
typedef struct group {
    uint32_t places[16]; /* where each output's first two taps are in the window */
    int32_t base;        /* the window's first word */
    int32_t unused[15];
} group;

static uint32_t pairs_of(const leat__filter *across)
{
    return (across->taps + 1) / 2;
}

static size_t group_bytes(const leat__filter *across)
{
    return sizeof(group) + 64 * (size_t)pairs_of(across);
}

static size_t packed_bytes(const leat__filter *across)
{
    return across->groups * group_bytes(across);
}

/* False if the outputs lie too far apart. */
AVX512_INLINE bool pack_group(const leat__filter *across, uint32_t g, group *to)
{
    const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const int32_t *starts = across->starts + g * 16;
    const int16_t *weights = across->weights + (size_t)g * 16 * across->stride;
    const uint32_t pairs = pairs_of(across);
    to->base = starts[0] < starts[15] ? starts[0] : starts[15];
    const __m512i place = _mm512_sub_epi32(_mm512_loadu_si512(starts), _mm512_set1_epi32(to->base));
    if (_mm512_cmpgt_epi32_mask(place, _mm512_set1_epi32(WINDOW - 2 * (int)pairs))) return false;
    const __m512i second = _mm512_slli_epi32(_mm512_add_epi32(place, _mm512_set1_epi32(1)), 16);
    _mm512_store_si512(to->places, _mm512_or_si512(place, second));
    __m512i *pair = (__m512i *)(to + 1);
    for (uint32_t t = 0; t < pairs; t++) {
        const __m512i at = _mm512_mullo_epi32(lanes, _mm512_set1_epi32((int)across->stride));
        _mm512_store_si512(pair + t, _mm512_i32gather_epi32(at, weights + 2 * t, 2));
    }
    return true;
}

AVX512 static void pack(leat__resize *resize)
{
    const leat__filter *across = &resize->across;
    uint8_t *at = resize->packed;
    for (uint32_t g = 0; g < across->groups; g++, at += group_bytes(across))
        if (!pack_group(across, g, (group *)at)) {
            resize->packed = NULL;
            return;
        }
}

AVX512_INLINE void across_groups(const leat__resize *resize, const unsigned channels, const uint32_t pairs,
                                 uint8_t *out)
{
    const __m512i zero = _mm512_setzero_si512(), two_on = _mm512_set1_epi16(2);
    const size_t plane = resize->plane, out_plane = resize->out_plane;
    const uint8_t *at = resize->packed;
    for (uint32_t g = 0; g < resize->across.groups; g++, out += 16, at += group_bytes(&resize->across)) {
        const group *from = (const group *)at;
        const __m512i *weights = (const __m512i *)(from + 1);
        LEAT__UNROLL for (unsigned c = 0; c < channels; c++) {
            const int16_t *values = resize->planes + from->base + c * plane;
            const __m512i low = _mm512_loadu_si512(values), high = _mm512_loadu_si512(values + 32);
            __m512i places = _mm512_load_si512(from->places), sum = _mm512_set1_epi32(LEAT__RESIZE_BIAS);
            for (uint32_t t = 0; t < pairs; t++) {
                const __m512i taps = _mm512_permutex2var_epi16(low, places, high);
                sum = _mm512_dpwssd_epi32(sum, taps, _mm512_load_si512(weights + t));
                places = _mm512_add_epi16(places, two_on);
            }
            sum = _mm512_max_epi32(_mm512_srai_epi32(sum, LEAT__RESIZE_SHIFT), zero);
            _mm_storeu_si128((__m128i *)(out + c * out_plane), _mm512_cvtusepi32_epi8(sum));
        }
    }
}

#define LEVEL AVX512
#include "stages/resize_level.h"

const leat__resize_kernels leat__resize_avx512 = {.down = down, .across = across, .packed_bytes = packed_bytes,
    .pack = pack, .add = add, .settle = settle, .across_many = across_many};
#endif
