/* mix.h - whose turn it is when several sources are mixed by weights.
 *
 * At every prefix of the order the samples of each source are within 1 of its share of them (Tijdeman, "The chairman assignment
 * problem", Discrete Mathematics 32, 1980). Weights are whole numbers here; the order repeats with their sum, so a table of one
 * period says all. Threads: any; fixed after creation. */
#ifndef LEAT__MIX_H
#define LEAT__MIX_H

#include <stdbool.h>
#include <stdint.h>

#include <leat/error.h>

#define LEAT__MIX_PERIOD 1000000u /* at most: 9 bytes of table for each */

typedef struct leat__mix leat__mix;

/* Makes the mix of `count` (1..255) sources. weights: decimals over 0 with at most 6 digits behind the point. LEAT_EINVAL for
 * others, and where their sum, in units of what they have in common, is over LEAT__MIX_PERIOD; LEAT_ENOMEM. *mix: gives. */
leat_code leat__mix_new(const double *weights, unsigned count, leat__mix **mix, leat_error *error);
void leat__mix_free(leat__mix *mix); /* takes; NULL is fine */

/* The source of position n, and how many of the same source come before it. */
unsigned leat__mix_source(const leat__mix *mix, uint64_t n, uint64_t *ordinal);

/* The position of a source's sample number `ordinal`: the inverse. */
uint64_t leat__mix_position(const leat__mix *mix, unsigned source, uint64_t ordinal);

/* How many of the source come before position n. */
uint64_t leat__mix_before(const leat__mix *mix, unsigned source, uint64_t n);

double leat__mix_share(const leat__mix *mix, unsigned source); /* 0..1 */

#endif
