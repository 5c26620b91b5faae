/* random.h - counter-based randomness: numbers and permutations that are computed from keys, with no state to carry.
 *
 * Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) for numbers; a keyed Feistel
 * network with cycle walking (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002) for
 * permutations. The same on every machine: integers only; the floating-point results below are exact conversions.
 * Threads: any; nothing is shared. */
#ifndef LEAT__RANDOM_H
#define LEAT__RANDOM_H

#include <stdint.h>

/* What the numbers depend on. Every combination is a sequence of its own. */
typedef struct leat__random_key {
    uint64_t seed;
    uint64_t epoch;
    uint64_t sample;    /* or lane and window, or whatever is being drawn for */
    uint32_t operation; /* LEAT__DRAW_*: what the draw is for */
} leat__random_key;

/* A sequence being read. */
typedef struct leat__random {
    leat__random_key key;
    uint32_t n; /* numbers drawn so far */
} leat__random;

/* The generator itself: ten rounds over a 128-bit counter under a 64-bit key. */
void leat__philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* The n-th 64-bit number of a key's sequence. */
uint64_t leat__random_at(const leat__random_key *key, uint32_t n);

/* The next number: 64 bits; a double in [0, 1) with 53 bits; a double in [low, high) (low if they are equal); an
 * integer in [0, bound) without bias (bound > 0). */
uint64_t leat__random_next(leat__random *random);
double leat__random_unit(leat__random *random);
double leat__random_uniform(leat__random *random, double low, double high);
uint64_t leat__random_below(leat__random *random, uint64_t bound);

#define LEAT__PERMUTATION_ROUNDS 8

/* A permutation of 0..count-1 chosen by a key. */
typedef struct leat__permutation {
    uint64_t count;
    unsigned half_bits;
    uint64_t round_keys[LEAT__PERMUTATION_ROUNDS];
} leat__permutation;

/* Sets up the permutation; count >= 1. Uses the first numbers of the key's sequence. */
void leat__permutation_init(leat__permutation *permutation, const leat__random_key *key, uint64_t count);

/* Where position i (< count) of the permuted order comes from. Well under a microsecond. */
uint64_t leat__permutation_at(const leat__permutation *permutation, uint64_t i);

/* Which position comes from i: the inverse. */
uint64_t leat__permutation_of(const leat__permutation *permutation, uint64_t i);

#endif
