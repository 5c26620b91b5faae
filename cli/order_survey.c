/* order_survey.c - how well an order mixes.
 *
 * What:    keeps each sample's shard and number (24 bytes), then compares three figures with those of a perfect shuffle of the
 *          same samples: how far neighbours were apart in the data as stored; how often they were from one shard; how many
 *          shards were in a batch.
 * Why so:  data is stored sorted by something: class, day, source. What neighbours in the data have in common, neighbours in the
 *          order should not. Distance alone doesn't see it: lanes that are read one beside the other give neighbours that are far
 *          apart, and batches that come from the same few shards for a long time.
 *          Places are known only at the end: shards in the order of their names (as folders list them), each as long as the
 *          highest number that was seen in it says. Of loose files each is a shard of one sample; there the class takes the
 *          shard's part.
 *          Perfect means, each exact: over all pairs of the places x of n samples, sum |xi - xj| / (n (n - 1) / 2), which is
 *          (n + 1) / 3 where they are 1..n; sum c (c - 1) / (n (n - 1)) for groups of c; and for a batch of m the sum over groups
 *          of 1 - C(n - c, m) / C(n, m), the hypergeometric chance that it has one of theirs.
 * Threads: the main thread.
 * Not here: where the samples come from, and printing (order_command.c). */
#include "cli/order_survey.h"

#include <assert.h>
#include <math.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

typedef struct survey_group {
    uint64_t count;         /* samples of it in the order */
    uint64_t seen_in;       /* the last batch that it was seen in, from 1 */
} survey_group;

/* A shard or file: in the tree by name. */
typedef struct survey_shard {
    char *name;
    uint64_t length;        /* the highest number seen, plus 1 */
    uint64_t first;         /* place of its number 0 */
    size_t group;           /* its class (0: has none), until all are known */
} survey_shard;

typedef struct survey_sample {
    survey_shard *shard;
    uint64_t index, step;
} survey_sample;

struct order_survey {
    void *tree;             /* of survey_shard, by name */
    survey_shard *last;     /* samples of one shard often follow one another */
    bool loose;             /* no shard has a second sample so far */
    survey_sample *samples;
    size_t count, room;
};

order_survey *order_survey_new(void)
{
    order_survey *survey = calloc(1, sizeof *survey);
    if (survey) survey->loose = true;
    return survey;
}

static void free_shard(void *node)
{
    survey_shard *shard = node;
    free(shard->name);
    free(shard);
}

void order_survey_free(order_survey *survey)
{
    if (!survey) return;
    tdestroy(survey->tree, free_shard);
    free(survey->samples);
    free(survey);
}

static int compare_shards(const void *a, const void *b)
{
    return strcmp(((const survey_shard *)a)->name, ((const survey_shard *)b)->name);
}

/* The shard of that name, put into the tree if it is new; NULL if memory is short. */
static survey_shard *find_shard(order_survey *survey, const char *name, int64_t class_number)
{
    survey_shard key = {.name = (char *)name};
    if (survey->last && strcmp(survey->last->name, name) == 0) return survey->last;
    survey_shard *const *found = tfind(&key, &survey->tree, compare_shards);
    if (found) return *found;
    survey_shard *shard = calloc(1, sizeof *shard);
    if (!shard) return NULL;
    shard->name = strdup(name);
    if (!shard->name || !tsearch(shard, &survey->tree, compare_shards)) {
        free_shard(shard);
        return NULL;
    }
    shard->group = class_number < 0 ? 0 : (size_t)class_number;
    return shard;
}

bool order_survey_add(order_survey *survey, uint64_t step, const char *name, uint64_t index, int64_t class_number)
{
    survey_shard *shard = find_shard(survey, name, class_number);
    if (!shard) return false;
    if (survey->count == survey->room) {
        size_t room = survey->room ? 2 * survey->room : 1024;
        survey_sample *samples = reallocarray(survey->samples, room, sizeof *samples);
        if (!samples) return false;
        survey->samples = samples;
        survey->room = room;
    }
    survey->last = shard;
    if (shard->length <= index) shard->length = index + 1;
    if (shard->length > 1) survey->loose = false;
    survey->samples[survey->count++] = (survey_sample){.shard = shard, .index = index, .step = step};
    return true;
}

/* ---- places and groups ---- */

typedef struct next_place {
    uint64_t place;
    size_t groups;          /* so far */
    bool classes;           /* are the groups */
} next_place;

/* In the order of names: gives each shard its first place and its group. */
static void place_shard(const void *node, VISIT visit, void *closure)
{
    next_place *next = closure;
    survey_shard *shard = *(survey_shard *const *)node;
    if (visit != postorder && visit != leaf) return;
    shard->first = next->place;
    next->place += shard->length;
    if (!next->classes) shard->group = next->groups;
    if (next->groups <= shard->group) next->groups = shard->group + 1;
}

static uint64_t place_of(const survey_sample *sample)
{
    return sample->shard->first + sample->index;
}

/* ---- the figures ---- */

static int compare_places(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Mean |xi - xj| over all pairs: sorted, each place is above those before it and below those behind it. False if memory is
 * short. */
static bool mean_of_pairs(const order_survey *survey, double *mean)
{
    size_t n = survey->count;
    uint64_t *places = reallocarray(NULL, n, sizeof *places);
    long double sum = 0;
    assert(n >= 2);
    if (!places) return false;
    for (size_t i = 0; i < n; i++) places[i] = place_of(&survey->samples[i]);
    qsort(places, n, sizeof *places, compare_places);
    for (size_t i = 0; i < n; i++) sum += (long double)places[i] * (2 * (long double)i - (long double)(n - 1));
    free(places);
    *mean = (double)(sum / ((long double)n * (long double)(n - 1) / 2));
    return true;
}

static bool measure_neighbours(const order_survey *survey, const survey_group *groups, size_t group_count,
                               order_quality *quality)
{
    size_t n = survey->count, same = 0;
    long double sum = 0, pairs = 0;
    if (!mean_of_pairs(survey, &quality->distance[1])) return false;
    for (size_t i = 1; i < n; i++) {
        const survey_sample *before = &survey->samples[i - 1], *sample = &survey->samples[i];
        uint64_t a = place_of(before), b = place_of(sample);
        sum += (long double)(a > b ? a - b : b - a);
        same += before->shard->group == sample->shard->group;
    }
    for (size_t g = 0; g < group_count; g++) pairs += (long double)groups[g].count * ((long double)groups[g].count - 1);
    quality->distance[0] = (double)(sum / (long double)(n - 1));
    quality->same_group[0] = (double)same / (double)(n - 1);
    quality->same_group[1] = (double)(pairs / ((long double)n * (long double)(n - 1)));
    return true;
}

/* C(n - c, m) / C(n, m): the chance that m out of n samples are all among those n - c. */
static double chance_of_none(double n, double c, double m)
{
    if (c + m > n) return 0; /* too few others */
    return exp(lgamma(n - c + 1) + lgamma(n - m + 1) - lgamma(n - c - m + 1) - lgamma(n + 1));
}

/* Groups that a batch of m out of n samples has on average, if it is drawn at random. */
static double expected_groups(const survey_group *groups, size_t count, uint64_t n, uint64_t m)
{
    double sum = 0;
    for (size_t g = 0; g < count; g++) sum += 1 - chance_of_none((double)n, (double)groups[g].count, (double)m);
    return sum;
}

static void measure_batches(const order_survey *survey, survey_group *groups, size_t group_count, order_quality *quality)
{
    uint64_t largest = 0, expected_of = 0;
    double found = 0, perfect = 0, expected = 0;
    for (size_t begin = 0, end; begin < survey->count; begin = end) {
        uint64_t distinct = 0, m;
        quality->batches++;
        for (end = begin; end < survey->count && survey->samples[end].step == survey->samples[begin].step; end++) {
            survey_group *group = &groups[survey->samples[end].shard->group];
            distinct += group->seen_in != quality->batches;
            group->seen_in = quality->batches;
        }
        m = end - begin;
        if (m != expected_of) expected = expected_groups(groups, group_count, survey->count, expected_of = m);
        found += (double)distinct;
        perfect += expected;
        if (m > largest || (m == largest && distinct < quality->batch_groups_least)) quality->batch_groups_least = distinct;
        if (m > largest) largest = m;
    }
    quality->batch_groups[0] = found / (double)quality->batches;
    quality->batch_groups[1] = perfect / (double)quality->batches;
}

/* How much of what a perfect shuffle has is there, by the worst figure. */
static double worst_of(const order_quality *quality)
{
    double mixing = fmin(1, quality->distance[0] / quality->distance[1]);
    mixing = fmin(mixing, quality->batch_groups[0] / quality->batch_groups[1]);
    if (quality->same_group[1] < 1) mixing = fmin(mixing, (1 - quality->same_group[0]) / (1 - quality->same_group[1]));
    return mixing;
}

bool order_survey_end(order_survey *survey, order_quality *quality)
{
    *quality = (order_quality){.samples = survey->count, .classes = survey->loose, .distance = {NAN, NAN}, .same_group = {NAN, NAN},
                               .batch_groups = {NAN, NAN}, .mixing = NAN};
    next_place next = {.classes = survey->loose};
    twalk_r(survey->tree, place_shard, &next);
    if (survey->count == 0) return true;
    survey_group *groups = calloc(next.groups, sizeof *groups);
    if (!groups) return false;
    for (size_t i = 0; i < survey->count; i++) groups[survey->samples[i].shard->group].count++;
    for (size_t g = 0; g < next.groups; g++) quality->groups += groups[g].count > 0;
    bool fine = survey->count < 2 || measure_neighbours(survey, groups, next.groups, quality);
    if (fine) {
        measure_batches(survey, groups, next.groups, quality);
        if (quality->distance[1] > 0) quality->mixing = worst_of(quality);
    }
    free(groups);
    return fine;
}

const char *order_verdict(const order_quality *quality)
{
    if (!(quality->mixing >= 0)) return "too few samples to say how well they are mixed";
    if (quality->mixing >= 0.9) return "it mixes about as well as a perfect shuffle";
    if (quality->mixing >= 0.5) return "it mixes fairly: more lanes or a larger shuffle window would do better";
    return "it mixes poorly: more lanes, a larger shuffle window, or shards that were packed shuffled (leat pack --shuffle)";
}
