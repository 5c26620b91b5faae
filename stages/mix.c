/* mix.c - whose turn it is when several sources are mixed by weights.
 *
 * What:    Tijdeman's rule, once around one period: of the sources that may have a sample now without running ahead of their share,
 *          the one that would fall behind first.
 * Why so:  drawing sources at random strays from the weights by the square root of the samples, and cannot be inverted; "the one
 *          that is furthest behind" strays by more than 1 with many sources. A table makes every question a look-up.
 * Invariants: which[] names source s weights[s] times; places[starts[s] ..] are its positions, ascending. */
#include "stages/mix.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "pipeline/failure.h"

enum { DECIMALS = 6 };

struct leat__mix {
    unsigned count;
    uint32_t period;
    uint32_t *weights, *starts; /* of each source */
    uint8_t *which;             /* of each position: its source */
    uint32_t *ordinals;         /* and how many of that came before */
    uint32_t *places;
};

void leat__mix_free(leat__mix *mix)
{
    if (!mix) return;
    free(mix->weights);
    free(mix->starts);
    free(mix->which);
    free(mix->ordinals);
    free(mix->places);
    free(mix);
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Weights as whole numbers without a common divisor. */
static leat_code make_whole(leat__mix *mix, const double *weights, leat_error *error)
{
    uint64_t scaled[256], common = 0, sum = 0;
    const double scale = pow(10, DECIMALS);
    for (unsigned s = 0; s < mix->count; s++) {
        double value = weights[s] * scale;
        if (!(weights[s] > 0) || value > 1e15 || fabs(value - round(value)) > 1e-3 * (value < 1 ? value : 1))
            return leat__fail(error, LEAT_EINVAL, 0, "weight %.9g of source %u: give a number over 0 with at most %d decimals, and "
                              "at most a billion", weights[s], s + 1, DECIMALS);
        scaled[s] = (uint64_t)llround(value);
        common = common_divisor(scaled[s], common);
    }
    for (unsigned s = 0; s < mix->count; s++) sum += scaled[s] /= common;
    if (sum > LEAT__MIX_PERIOD)
        return leat__fail(error, LEAT_EINVAL, 0, "the weights repeat only after %llu samples, %u are allowed: round them",
                          (unsigned long long)sum, LEAT__MIX_PERIOD);
    mix->period = (uint32_t)sum;
    for (unsigned s = 0, start = 0; s < mix->count; s++) {
        mix->weights[s] = (uint32_t)scaled[s];
        mix->starts[s] = start;
        start += mix->weights[s];
    }
    return LEAT_OK;
}

/* The source of position n (from 0), with had[s] of each before it. In units of 1 / (period * twice): a source may have one if it
 * is `period` behind by then, and must before it is period * (twice - 1) behind. */
static unsigned choose(const leat__mix *mix, uint64_t n, const uint32_t *had)
{
    int64_t period = mix->period, twice = 2 * (int64_t)mix->count - 2, best_slack = 0;
    unsigned best = mix->count;
    for (unsigned s = 0; s < mix->count; s++) {
        int64_t weight = mix->weights[s], behind = twice * (weight * (int64_t)(n + 1) - had[s] * period);
        int64_t slack = period * (twice - 1) - behind; /* over weight: the time until it must */
        if (behind < period) continue;
        if (best < mix->count && slack * mix->weights[best] >= best_slack * weight) continue;
        best = s;
        best_slack = slack;
    }
    assert(best < mix->count);
    return best;
}

static void fill(leat__mix *mix)
{
    uint32_t had[256] = {0};
    for (uint32_t n = 0; n < mix->period; n++) {
        unsigned s = mix->count == 1 ? 0 : choose(mix, n, had);
        mix->which[n] = (uint8_t)s;
        mix->ordinals[n] = had[s];
        mix->places[mix->starts[s] + had[s]++] = n;
    }
}

leat_code leat__mix_new(const double *weights, unsigned count, leat__mix **out, leat_error *error)
{
    assert(count >= 1 && count <= 255);
    *out = NULL;
    leat__mix *mix = calloc(1, sizeof *mix);
    if (!mix) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for the mix of %u sources", count);
    mix->count = count;
    mix->weights = calloc(count, sizeof *mix->weights);
    mix->starts = calloc(count, sizeof *mix->starts);
    leat_code code = mix->weights && mix->starts ? make_whole(mix, weights, error) : LEAT_ENOMEM;
    if (!code) {
        mix->which = calloc(mix->period, sizeof *mix->which);
        mix->ordinals = calloc(mix->period, sizeof *mix->ordinals);
        mix->places = calloc(mix->period, sizeof *mix->places);
        if (!mix->which || !mix->ordinals || !mix->places) code = LEAT_ENOMEM;
    }
    if (code == LEAT_ENOMEM) leat__fail(error, LEAT_ENOMEM, 0, "no memory for the mix of %u sources", count);
    if (code) {
        leat__mix_free(mix);
        return code;
    }
    fill(mix);
    *out = mix;
    return LEAT_OK;
}

unsigned leat__mix_source(const leat__mix *mix, uint64_t n, uint64_t *ordinal)
{
    uint32_t in = (uint32_t)(n % mix->period);
    unsigned source = mix->which[in];
    *ordinal = n / mix->period * mix->weights[source] + mix->ordinals[in];
    return source;
}

uint64_t leat__mix_position(const leat__mix *mix, unsigned source, uint64_t ordinal)
{
    uint32_t weight = mix->weights[source];
    return ordinal / weight * mix->period + mix->places[mix->starts[source] + ordinal % weight];
}

uint64_t leat__mix_before(const leat__mix *mix, unsigned source, uint64_t n)
{
    uint64_t in = n % mix->period, low = 0, high = mix->weights[source];
    const uint32_t *places = mix->places + mix->starts[source];
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (places[middle] < in) low = middle + 1;
        else high = middle;
    }
    return n / mix->period * mix->weights[source] + low;
}

double leat__mix_share(const leat__mix *mix, unsigned source)
{
    return (double)mix->weights[source] / mix->period;
}
