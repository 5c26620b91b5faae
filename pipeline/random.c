/* random.c - Philox4x32-10 and keyed permutations.
 *
 * What:    leat__random_at hashes (seed, epoch, operation) with one Philox block into the key of a second one, which
 *          counts (sample, n). leat__permutation_at enciphers a position with a Feistel network over the next power of
 *          four and walks on along the cycle while the result lies outside 0..count-1.
 * Why so:  nothing to store, share or carry: any draw of any sample can be made by any thread, in any order, after any
 *          restart. Two blocks because a 256-bit key does not fit into Philox's 192; Threefry4x64 would hold it, but is
 *          slower without 64-bit vectors. A stored Fisher-Yates shuffle was rejected: 8 bytes a file, and no random
 *          access.
 * Threads: any; pure functions.
 * Invariants: the domain 4^half_bits holds count and is less than 4 * count (or SMALLEST_HALF_BITS), so a walk takes
 *          under 4 steps on average; every round is invertible, so the network is a bijection and the walk always comes
 *          back.
 * Not here: what the draws mean (stages/view.c, the loader's order). */
#include "pipeline/random.h"

#include <assert.h>

/* Networks over fewer bits than this choose among too few of the permutations. */
#define SMALLEST_HALF_BITS 3

void leat__philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = UINT64_C(0xD2511F53) * c0, p1 = UINT64_C(0xCD9E8D57) * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9; /* the golden ratio and sqrt(3) - 1, Weyl sequences */
        k1 += 0xBB67AE85;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

uint64_t leat__random_at(const leat__random_key *key, uint32_t n)
{
    const uint32_t seed[2] = {(uint32_t)key->seed, (uint32_t)(key->seed >> 32)};
    const uint32_t what[4] = {(uint32_t)key->epoch, (uint32_t)(key->epoch >> 32), key->operation,
                              0x6C656174 /* "leat" */};
    uint32_t inner[4], out[4];
    leat__philox(what, seed, inner);
    const uint32_t which[4] = {(uint32_t)key->sample, (uint32_t)(key->sample >> 32), n, inner[2]};
    leat__philox(which, inner, out);
    return (uint64_t)out[1] << 32 | out[0];
}

uint64_t leat__random_next(leat__random *random)
{
    assert(random->n < UINT32_MAX);
    return leat__random_at(&random->key, random->n++);
}

double leat__random_unit(leat__random *random)
{
    return (double)(leat__random_next(random) >> 11) * 0x1p-53;
}

double leat__random_uniform(leat__random *random, double low, double high)
{
    assert(low <= high);
    double value = low + leat__random_unit(random) * (high - low);
    return value < high ? value : low; /* rounding may reach high */
}

/* Lemire, "Fast random integer generation in an interval", 2019: the high word of a product, low remainders drawn
 * again. */
uint64_t leat__random_below(leat__random *random, uint64_t bound)
{
    assert(bound > 0);
    unsigned __int128 product;
    uint64_t uneven = -bound % bound; /* 2^64 mod bound */
    do product = (unsigned __int128)leat__random_next(random) * bound;
    while ((uint64_t)product < uneven);
    return (uint64_t)(product >> 64);
}

void leat__permutation_init(leat__permutation *permutation, const leat__random_key *key, uint64_t count)
{
    assert(count >= 1);
    unsigned half_bits = SMALLEST_HALF_BITS;
    while (half_bits < 32 && (count - 1) >> (2 * half_bits)) half_bits++;
    permutation->count = count;
    permutation->half_bits = half_bits;
    for (uint32_t i = 0; i < LEAT__PERMUTATION_ROUNDS; i++) permutation->round_keys[i] = leat__random_at(key, i);
}

/* A round's function of half a word: any function will do, a well-mixed one gives a well-mixed permutation. */
static uint64_t scramble(uint64_t half, uint64_t round_key)
{
    uint64_t x = (half ^ round_key) * UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 32) * UINT64_C(0xD6E8FEB86659FD93);
    return x ^ x >> 32;
}

uint64_t leat__permutation_at(const leat__permutation *permutation, uint64_t i)
{
    assert(i < permutation->count);
    const unsigned bits = permutation->half_bits;
    const uint64_t mask = (UINT64_C(1) << bits) - 1;
    do {
        uint64_t left = i >> bits, right = i & mask;
        for (int round = 0; round < LEAT__PERMUTATION_ROUNDS; round++) {
            uint64_t next = left ^ (scramble(right, permutation->round_keys[round]) & mask);
            left = right;
            right = next;
        }
        i = left << bits | right;
    } while (i >= permutation->count);
    return i;
}

uint64_t leat__permutation_of(const leat__permutation *permutation, uint64_t i)
{
    assert(i < permutation->count);
    const unsigned bits = permutation->half_bits;
    const uint64_t mask = (UINT64_C(1) << bits) - 1;
    do {
        uint64_t left = i >> bits, right = i & mask;
        for (int round = LEAT__PERMUTATION_ROUNDS - 1; round >= 0; round--) {
            uint64_t before = right ^ (scramble(left, permutation->round_keys[round]) & mask);
            right = left;
            left = before;
        }
        i = left << bits | right;
    } while (i >= permutation->count);
    return i;
}
