/* order.c - in which order the samples of one source come.
 *
 * What:    for a pass of shards: the lanes' lists of shards with sums of their counts, and the *phases*: between two lanes' ends
 *          the number of lanes that still have samples is constant, so that positions and turns are a division apart. Everything
 *          else is computed where it is asked for.
 * Why so:  all three questions (what comes at position p? when does this sample come? how far was this lane at p?) have to be
 *          answered at any point, for a resume and for ranks, of data sets of a billion samples. A pass takes 12 bytes a shard; a
 *          few passes are kept, since lanes go over into the next one at different times.
 * Cost:    a pass of 100,000 shards some 5 ms; a position some 50 ns (bench/order.c).
 * Threads: see order.h.
 * Invariants: phases' positions and rounds ascend; the alive lanes of a phase ascend; the sum of lanes' samples is the order's. */
#include "stages/order.h"

#include <assert.h>
#include <stdlib.h>

#include "stages/draws.h"

enum { KEPT = 4, MOST_LANES = 256 };

/* A lane of a pass of counted objects. */
typedef struct lane_list {
    uint32_t *objects;
    uint64_t *ends;     /* samples up to and with that object */
    uint64_t count;
    uint64_t samples;
} lane_list;

typedef struct phase {
    uint64_t position;  /* first of it */
    uint64_t round;     /* turns that every lane still alive has had before */
    uint32_t alive;     /* lanes */
    uint16_t *lanes;    /* ascending */
} phase;

struct leat__pass {
    leat__order *order;
    uint64_t number;
    unsigned users;
    bool kept;                      /* by the order; else its users end it */
    leat__permutation permutation;  /* of the objects, if shuffled */
    /* of counted objects */
    lane_list *lists;
    uint32_t *objects;              /* of all lanes; the lists' memory */
    uint64_t *ends;
    /* and if shuffled */
    phase *phases;
    uint16_t *alive;                /* the phases' */
    size_t phase_count;
};

struct leat__order {
    leat__order_options options;
    uint64_t samples;
    uint64_t *ends;                 /* as listed: samples up to and with each object; NULL: one each, or shuffled */
    leat__pass *kept[KEPT];         /* the last made ones; they may have users, the others have */
};

static uint64_t count_of(const leat__order *order, uint64_t object)
{
    return order->options.counts ? order->options.counts[object] : 1;
}

leat__order *leat__order_new(const leat__order_options *options)
{
    assert(options->objects > 0 && options->objects <= UINT32_MAX && options->lanes > 0 && options->lanes <= MOST_LANES);
    assert(options->window > 0 && options->spread > 0);
    leat__order *order = calloc(1, sizeof *order);
    if (!order) return NULL;
    order->options = *options;
    bool listed = !options->shuffled && options->counts;
    if (listed) order->ends = malloc(options->objects * sizeof *order->ends);
    if (listed && !order->ends) {
        free(order);
        return NULL;
    }
    for (uint64_t i = 0; i < options->objects; i++) {
        if (__builtin_add_overflow(order->samples, count_of(order, i), &order->samples)) order->samples = UINT64_MAX;
        if (listed) order->ends[i] = order->samples;
    }
    return order;
}

uint64_t leat__order_samples(const leat__order *order)
{
    return order->samples;
}

/* ---- passes: making and sharing ---- */

static void pass_free(leat__pass *pass)
{
    if (!pass) return;
    assert(pass->users == 0);
    free(pass->lists);
    free(pass->objects);
    free(pass->ends);
    free(pass->phases);
    free(pass->alive);
    free(pass);
}

void leat__order_free(leat__order *order)
{
    if (!order) return;
    for (int i = 0; i < KEPT; i++) pass_free(order->kept[i]);
    free(order->ends);
    free(order);
}

/* Deals the objects to the lanes: the one at place i of the permutation, or of the listing, to lane i mod lanes. */
static bool deal(leat__pass *pass)
{
    const leat__order_options *options = &pass->order->options;
    uint64_t objects = options->objects, lanes = options->lanes, at = 0;
    pass->lists = calloc(lanes, sizeof *pass->lists);
    pass->objects = malloc(objects * sizeof *pass->objects);
    pass->ends = malloc(objects * sizeof *pass->ends);
    if (!pass->lists || !pass->objects || !pass->ends) return false;
    for (uint64_t lane = 0; lane < lanes; lane++) {
        lane_list *list = &pass->lists[lane];
        list->objects = pass->objects + at;
        list->ends = pass->ends + at;
        for (uint64_t i = lane; i < objects; i += lanes) {
            uint64_t object = options->shuffled ? leat__permutation_at(&pass->permutation, i) : i;
            list->samples += options->counts[object];
            list->objects[list->count] = (uint32_t)object;
            list->ends[list->count++] = list->samples;
        }
        at += list->count;
    }
    return true;
}

/* Every round in which a lane ends begins a phase, in which the others go on. */
static bool find_phases(leat__pass *pass)
{
    uint32_t lanes = pass->order->options.lanes;
    pass->phases = malloc(((size_t)lanes + 1) * sizeof *pass->phases);
    pass->alive = malloc((size_t)lanes * (lanes + 1) / 2 * sizeof *pass->alive);
    if (!pass->phases || !pass->alive) return false;
    uint16_t *next = pass->alive;
    uint64_t round = 0, position = 0;
    for (;;) {
        phase *now = &pass->phases[pass->phase_count];
        uint64_t end = UINT64_MAX;
        *now = (phase){.position = position, .round = round, .lanes = next};
        for (uint32_t lane = 0; lane < lanes; lane++) {
            uint64_t samples = pass->lists[lane].samples;
            if (samples <= round) continue;
            now->lanes[now->alive++] = (uint16_t)lane;
            if (samples < end) end = samples;
        }
        if (!now->alive) return true;
        pass->phase_count++;
        next += now->alive;
        position += (end - round) * now->alive;
        round = end;
    }
}

static leat__pass *pass_new(leat__order *order, uint64_t number)
{
    leat__pass *pass = calloc(1, sizeof *pass);
    if (!pass) return NULL;
    pass->order = order;
    pass->number = number;
    leat__random_key key = {.seed = order->options.seed, .epoch = number, .sample = order->options.source,
                            .operation = LEAT__DRAW_OBJECTS};
    if (order->options.shuffled) leat__permutation_init(&pass->permutation, &key, order->options.objects);
    bool counted = order->options.counts != NULL;
    if ((!counted || deal(pass)) && (!counted || !order->options.shuffled || find_phases(pass))) return pass;
    pass_free(pass);
    return NULL;
}

leat__pass *leat__pass_take(leat__order *order, uint64_t number)
{
    for (int i = 0; i < KEPT; i++) {
        if (!order->kept[i] || order->kept[i]->number != number) continue;
        order->kept[i]->users++;
        return order->kept[i];
    }
    leat__pass *pass = pass_new(order, number);
    if (!pass) return NULL;
    leat__pass *last = order->kept[KEPT - 1];
    if (last) last->kept = false;
    if (last && !last->users) pass_free(last);
    for (int i = KEPT - 1; i > 0; i--) order->kept[i] = order->kept[i - 1];
    order->kept[0] = pass;
    pass->kept = true;
    pass->users++;
    return pass;
}

void leat__pass_release(leat__pass *pass)
{
    if (!pass) return;
    assert(pass->users > 0);
    if (--pass->users == 0 && !pass->kept) pass_free(pass);
}

/* ---- positions ---- */

/* The number of the first of `count` ascending sums that is over n. */
static uint64_t first_over(const uint64_t *sums, uint64_t count, uint64_t n)
{
    uint64_t low = 0, high = count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (sums[middle] > n) high = middle;
        else low = middle + 1;
    }
    return low;
}

/* The phase that has a position, or, if by_round, the turn of that number. */
static const phase *phase_of(const leat__pass *pass, uint64_t number, bool by_round)
{
    size_t low = 0, high = pass->phase_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        const phase *now = &pass->phases[middle];
        if ((by_round ? now->round : now->position) <= number) low = middle;
        else high = middle;
    }
    return &pass->phases[low];
}

/* How many of the phase's lanes have numbers below this one. */
static uint32_t lanes_below(const phase *now, uint32_t lane)
{
    uint32_t low = 0, high = now->alive;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (now->lanes[middle] < lane) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* Files: `spread` positions of each lane in turn. */
static leat__spot loose_spot(const leat__order_options *options, uint64_t position)
{
    uint64_t turn = position / options->spread;
    return (leat__spot){.lane = (uint32_t)(turn % options->lanes),
                        .n = turn / options->lanes * options->spread + position % options->spread};
}

static uint64_t loose_position(const leat__order_options *options, leat__spot spot)
{
    uint64_t turn = spot.n / options->spread * options->lanes + spot.lane;
    return turn * options->spread + spot.n % options->spread;
}

static uint64_t loose_before(const leat__order_options *options, uint32_t lane, uint64_t position)
{
    uint64_t cycle = options->spread * options->lanes, full = position / cycle * options->spread, rest = position % cycle;
    uint64_t begin = lane * options->spread;
    return full + (rest <= begin ? 0 : rest - begin < options->spread ? rest - begin : options->spread);
}

leat__spot leat__pass_spot(const leat__pass *pass, uint64_t position)
{
    const leat__order *order = pass->order;
    const leat__order_options *options = &order->options;
    assert(position < order->samples);
    if (!options->counts) return loose_spot(options, position);
    if (options->shuffled) {
        const phase *now = phase_of(pass, position, false);
        uint64_t in = position - now->position;
        return (leat__spot){.lane = now->lanes[in % now->alive], .n = now->round + in / now->alive};
    }
    uint64_t object = first_over(order->ends, options->objects, position);
    uint32_t lane = (uint32_t)(object % options->lanes);
    uint64_t left = order->ends[object] - position; /* of the object, with this one */
    return (leat__spot){.lane = lane, .n = pass->lists[lane].ends[object / options->lanes] - left};
}

uint64_t leat__pass_position(const leat__pass *pass, leat__spot spot)
{
    const leat__order *order = pass->order;
    const leat__order_options *options = &order->options;
    assert(spot.n < leat__pass_lane_samples(pass, spot.lane));
    if (!options->counts) return loose_position(options, spot);
    if (options->shuffled) {
        const phase *now = phase_of(pass, spot.n, true);
        return now->position + (spot.n - now->round) * now->alive + lanes_below(now, spot.lane);
    }
    const lane_list *list = &pass->lists[spot.lane];
    uint64_t ordinal = first_over(list->ends, list->count, spot.n);
    return order->ends[list->objects[ordinal]] - (list->ends[ordinal] - spot.n);
}

uint64_t leat__pass_lane_samples(const leat__pass *pass, uint32_t lane)
{
    assert(lane < pass->order->options.lanes);
    if (pass->lists) return pass->lists[lane].samples;
    return loose_before(&pass->order->options, lane, pass->order->samples);
}

uint64_t leat__pass_lane_before(const leat__pass *pass, uint32_t lane, uint64_t position)
{
    const leat__order *order = pass->order;
    if (position >= order->samples) return leat__pass_lane_samples(pass, lane);
    if (!pass->lists) return loose_before(&order->options, lane, position);
    if (order->options.shuffled) {
        const phase *now = phase_of(pass, position, false);
        uint64_t in = position - now->position, round = now->round + in / now->alive, samples = pass->lists[lane].samples;
        if (samples <= round) return samples;
        return round + (lanes_below(now, lane) < in % now->alive);
    }
    uint64_t object = first_over(order->ends, order->options.objects, position), lanes = order->options.lanes;
    uint64_t ordinal = object / lanes + (object % lanes > lane); /* of the lane's first object that is not below this one */
    uint64_t before = ordinal ? pass->lists[lane].ends[ordinal - 1] : 0;
    if (object % lanes != lane) return before;
    return before + order->options.counts[object] - (order->ends[object] - position);
}

/* ---- what is stored where ---- */

void leat__window_set(leat__window *window, const leat__pass *pass, uint32_t lane, uint64_t n)
{
    const leat__order_options *options = &pass->order->options;
    bool same = window->pass == pass->number + 1 && window->lane == lane;
    if (same && n - window->first < window->size) return;
    uint64_t number = n / options->window, samples = leat__pass_lane_samples(pass, lane);
    *window = (leat__window){.pass = pass->number + 1, .lane = lane, .first = number * options->window, .size = options->window};
    if (samples - window->first < window->size) window->size = samples - window->first;
    if (!options->shuffled || !options->counts || options->window == 1) return;
    leat__random_key key = {.seed = options->seed, .epoch = pass->number, .operation = LEAT__DRAW_WINDOW,
                            .sample = ((uint64_t)options->source * MOST_LANES + lane) << 48 | number};
    leat__permutation_init(&window->permutation, &key, window->size);
}

uint64_t leat__window_stored(const leat__window *window, uint64_t n)
{
    assert(n - window->first < window->size);
    if (!window->permutation.count) return n;
    return window->first + leat__permutation_at(&window->permutation, n - window->first);
}

uint64_t leat__window_leaves(const leat__window *window, uint64_t stored)
{
    assert(stored - window->first < window->size);
    if (!window->permutation.count) return stored;
    return window->first + leat__permutation_of(&window->permutation, stored - window->first);
}

bool leat__pass_object(const leat__pass *pass, uint32_t lane, uint64_t ordinal, leat__stored *stored)
{
    const lane_list *list = &pass->lists[lane];
    if (ordinal >= list->count) return false;
    *stored = (leat__stored){.object = list->objects[ordinal], .ordinal = ordinal, .base = ordinal ? list->ends[ordinal - 1] : 0};
    return true;
}

leat__stored leat__pass_stored(const leat__pass *pass, uint32_t lane, uint64_t stored)
{
    const leat__order_options *options = &pass->order->options;
    if (!pass->lists) { /* a file is a sample; its place in the lane is that in the order */
        uint64_t position = loose_position(options, (leat__spot){.lane = lane, .n = stored});
        uint64_t object = options->shuffled ? leat__permutation_at(&pass->permutation, position) : position;
        return (leat__stored){.object = object, .ordinal = stored, .base = stored};
    }
    leat__stored found;
    bool there = leat__pass_object(pass, lane, first_over(pass->lists[lane].ends, pass->lists[lane].count, stored), &found);
    assert(there);
    (void)there;
    found.index = stored - found.base;
    return found;
}
