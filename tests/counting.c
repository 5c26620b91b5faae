/* counting.c - random cases of orders, and the same orders by counting. */
#include "counting.h"

#include "stages/draws.h"

/* ---- cases ---- */

static leat__random dice;
uint64_t number;

void begin_case(uint64_t n)
{
    number = n;
    dice = (leat__random){.key = {.seed = n, .operation = 77}};
}

uint64_t draw(uint64_t bound)
{
    return leat__random_below(&dice, bound);
}

uint64_t cases(uint64_t usual)
{
    const char *more = getenv("LEAT_MORE_CASES");
    uint64_t times = more ? strtoull(more, NULL, 10) : 1;
    return usual * (times ? times : 1);
}
void *room(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    ck_assert_ptr_nonnull(memory);
    return memory;
}

/* ---- a source, and its order by counting ---- */
static leat__random_key key_of(const origin *o, uint64_t pass, uint32_t operation, uint64_t sample)
{
    return (leat__random_key){.seed = o->options.seed, .epoch = pass, .sample = sample, .operation = operation};
}

uint64_t object_at(const origin *o, uint64_t pass, uint64_t place)
{
    leat__permutation permutation;
    leat__random_key key = key_of(o, pass, LEAT__DRAW_OBJECTS, o->options.source);
    leat__permutation_init(&permutation, &key, o->options.objects);
    return o->options.shuffled ? leat__permutation_at(&permutation, place) : place;
}

/* A lane's samples as they are stored: object after object of those that were dealt to it. */
static uint64_t fill_lane(const origin *o, uint64_t pass, uint32_t lane, model_sample *samples)
{
    uint64_t count = 0;
    for (uint64_t place = lane; place < o->options.objects; place += o->options.lanes) {
        uint64_t object = object_at(o, pass, place);
        for (uint64_t i = 0; i < o->counts[object]; i++, count++)
            samples[count] = (model_sample){.object = object, .index = i, .stored = count, .lane = lane};
    }
    return count;
}

static void permute_windows(const origin *o, uint64_t pass, uint32_t lane, model_sample *samples, uint64_t count)
{
    uint64_t window = o->options.window;
    model_sample *before = room(window, sizeof *before);
    for (uint64_t w = 0; w * window < count; w++) {
        uint64_t size = count - w * window < window ? count - w * window : window;
        leat__permutation permutation;
        leat__random_key key = key_of(o, pass, LEAT__DRAW_WINDOW, (uint64_t)(o->options.source * 256 + lane) << 48 | w);
        leat__permutation_init(&permutation, &key, size);
        memcpy(before, samples + w * window, size * sizeof *before);
        for (uint64_t i = 0; window > 1 && i < size; i++) samples[w * window + i] = before[leat__permutation_at(&permutation, i)];
    }
    free(before);
    for (uint64_t i = 0; i < count; i++) samples[i].n = i;
}

/* Shards, shuffled: one of each lane in turn. */
static void deal_pass(const origin *o, uint64_t pass, model_sample *out)
{
    model_sample *lanes[MOST_LANES];
    uint64_t counts[MOST_LANES], at = 0;
    for (uint32_t lane = 0; lane < o->options.lanes; lane++) {
        lanes[lane] = room(o->samples, sizeof *lanes[lane]);
        counts[lane] = fill_lane(o, pass, lane, lanes[lane]);
        permute_windows(o, pass, lane, lanes[lane], counts[lane]);
    }
    for (uint64_t turn = 0; at < o->samples; turn++)
        for (uint32_t lane = 0; lane < o->options.lanes; lane++)
            if (turn < counts[lane]) out[at++] = lanes[lane][turn];
    for (uint32_t lane = 0; lane < o->options.lanes; lane++) free(lanes[lane]);
}

/* Shards as listed; loose files. */
static void list_pass(const origin *o, uint64_t pass, model_sample *out)
{
    uint64_t n[MOST_LANES] = {0}, at = 0;
    for (uint64_t place = 0; place < o->options.objects; place++) {
        uint32_t lane = (uint32_t)((o->options.counts ? place : place / o->options.spread) % o->options.lanes);
        uint64_t object = object_at(o, pass, place), count = o->options.counts ? o->counts[object] : 1;
        for (uint64_t i = 0; i < count; i++, n[lane]++)
            out[at++] = (model_sample){.object = object, .index = i, .n = n[lane], .stored = n[lane], .lane = lane};
    }
}

const model_sample *model_pass(origin *o, uint64_t pass)
{
    holds(pass < MOST_PASSES);
    if (o->passes[pass]) return o->passes[pass];
    o->passes[pass] = room(o->samples, sizeof(model_sample));
    if (o->options.shuffled && o->options.counts) deal_pass(o, pass, o->passes[pass]);
    else list_pass(o, pass, o->passes[pass]);
    return o->passes[pass];
}

origin *random_origin(uint32_t source, uint64_t spread)
{
    origin *o = room(1, sizeof *o);
    uint64_t objects = 1 + draw(draw(3) ? 8 : MOST_OBJECTS), most = 1 + draw(draw(2) ? 60 : 6);
    for (uint64_t i = 0; i < objects; i++) o->counts[i] = draw(4) ? draw(most + 1) : 0;
    o->counts[draw(objects)] = 1 + draw(7);
    bool loose = draw(4) == 0;
    for (uint64_t i = 0; i < objects; i++) o->samples += loose ? 1 : o->counts[i];
    o->options = (leat__order_options){
        .objects = objects, .counts = loose ? NULL : o->counts, .lanes = (uint32_t)(1 + draw(draw(3) ? 5 : MOST_LANES)),
        .window = (uint32_t)(1 + draw(draw(3) ? 40 : 3)), .shuffled = draw(3) > 0, .seed = draw(1000), .source = source,
            .spread = spread};
    o->order = leat__order_new(&o->options);
    ck_assert_ptr_nonnull(o->order);
    same(leat__order_samples(o->order), o->samples);
    return o;
}

void origin_free(origin *o)
{
    for (int i = 0; i < MOST_PASSES; i++) free(o->passes[i]);
    leat__order_free(o->order);
    free(o);
}

/* ---- what is tested ---- */

leat__pass *take_pass(leat__order *order, uint64_t pass)
{
    leat__pass *taken = leat__pass_take(order, pass);
    ck_assert_ptr_nonnull(taken);
    return taken;
}

leat__stored look_up(const leat__pass *pass, leat__spot spot)
{
    leat__window window = {0};
    leat__window_set(&window, pass, spot.lane, spot.n);
    uint64_t stored = leat__window_stored(&window, spot.n);
    same(leat__window_leaves(&window, stored), spot.n);
    return leat__pass_stored(pass, spot.lane, stored);
}

leat__mix *new_mix(const double *weights, unsigned count)
{
    leat__mix *mix;
    leat_error error = {0};
    leat_code code = leat__mix_new(weights, count, &mix, &error);
    if (code) ck_abort_msg("case %llu: %s", (unsigned long long)number, error.message);
    return mix;
}

leat__order *big_order(uint64_t *counts, bool shuffled)
{
    begin_case(9);
    for (int i = 0; i < BIG_SHARDS; i++) counts[i] = 9000 + draw(2001);
    leat__order_options options = {.objects = BIG_SHARDS, .counts = counts, .lanes = BIG_LANES, .window = 32, .shuffled = shuffled,
                                   .seed = 3,
                                   .spread = 1};
    leat__order *order = leat__order_new(&options);
    ck_assert_ptr_nonnull(order);
    return order;
}
