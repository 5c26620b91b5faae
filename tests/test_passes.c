/* test_passes.c - stages/order.c and mix.c: each position of a pass, each turn of a mix, against counting (counting.h). */
#include <math.h>

#include "check_main.h"
#include "counting.h"

/* ---- order ---- */

static void check_position(const leat__pass *pass, uint64_t position, const model_sample *expected)
{
    leat__spot spot = leat__pass_spot(pass, position);
    same(spot.lane, expected->lane);
    same(spot.n, expected->n);
    same(leat__pass_position(pass, spot), position);
    leat__stored stored = look_up(pass, spot);
    same(stored.object, expected->object);
    same(stored.index, expected->index);
    same(stored.base + stored.index, expected->stored);
}

START_TEST(each_position_is_what_counting_says)
{
    for (uint64_t n = 0; n < cases(400); n++) {
        begin_case(n);
        origin *o = random_origin((uint32_t)draw(64), 1 + draw(17));
        uint64_t number_of_pass = draw(5), before[MOST_LANES] = {0};
        const model_sample *model = model_pass(o, number_of_pass);
        leat__pass *pass = take_pass(o->order, number_of_pass);
        for (uint64_t x = 0; x < o->samples; x++) {
            for (uint32_t lane = 0; lane < o->options.lanes; lane++) same(leat__pass_lane_before(pass, lane, x), before[lane]);
            check_position(pass, x, &model[x]);
            before[model[x].lane]++;
        }
        for (uint32_t lane = 0; lane < o->options.lanes; lane++) {
            same(leat__pass_lane_samples(pass, lane), before[lane]);
            same(leat__pass_lane_before(pass, lane, o->samples), before[lane]);
            same(leat__pass_lane_before(pass, lane, UINT64_MAX), before[lane]);
        }
        leat__pass_release(pass);
        origin_free(o);
    }
}
END_TEST

/* Without the model: no sample is missing, none comes twice. */
START_TEST(each_sample_comes_once)
{
    for (uint64_t n = 0; n < cases(200); n++) {
        begin_case(n);
        origin *o = random_origin(0, 1 + draw(17));
        leat__pass *pass = take_pass(o->order, n);
        bool seen[MOST_OBJECTS][64] = {{false}};
        for (uint64_t x = 0; x < o->samples; x++) {
            leat__stored stored = look_up(pass, leat__pass_spot(pass, x));
            holds(stored.object < o->options.objects && stored.index < (o->options.counts ? o->counts[stored.object] : 1));
            holds(!seen[stored.object][stored.index]);
            seen[stored.object][stored.index] = true;
        }
        leat__pass_release(pass);
        origin_free(o);
    }
}
END_TEST

/* A lane's windows: their bounds, and each a permutation of itself, whichever of its samples it is set by. */
START_TEST(windows_are_permutations_of_themselves)
{
    for (uint64_t n = 0; n < cases(200); n++) {
        begin_case(n);
        origin *o = random_origin(0, 1);
        leat__pass *pass = take_pass(o->order, n);
        uint32_t lane = (uint32_t)draw(o->options.lanes);
        uint64_t samples = leat__pass_lane_samples(pass, lane);
        bool *seen = room(samples, sizeof *seen);
        leat__window window = {0};
        for (uint64_t i = 0; i < samples; i++) {
            leat__window by_any = {0};
            leat__window_set(&window, pass, lane, i);
            leat__window_set(&by_any, pass, lane, window.first + draw(window.size));
            same(window.first, i / o->options.window * o->options.window);
            same(window.size, samples - window.first < o->options.window ? samples - window.first : o->options.window);
            uint64_t stored = leat__window_stored(&window, i);
            same(leat__window_stored(&by_any, i), stored);
            holds(stored - window.first < window.size && !seen[stored]);
            seen[stored] = true;
        }
        free(seen);
        leat__pass_release(pass);
        origin_free(o);
    }
}
END_TEST

START_TEST(a_lanes_objects_follow_each_other)
{
    for (uint64_t n = 0; n < cases(100); n++) {
        begin_case(n);
        origin *o = random_origin(0, 1);
        if (o->options.counts) {
            leat__pass *pass = take_pass(o->order, n);
            uint32_t lane = (uint32_t)draw(o->options.lanes);
            uint64_t base = 0, ordinal = 0;
            leat__stored stored;
            for (uint64_t place = lane; place < o->options.objects; place += o->options.lanes, ordinal++) {
                holds(leat__pass_object(pass, lane, ordinal, &stored));
                same(stored.object, object_at(o, n, place));
                same(stored.ordinal, ordinal);
                same(stored.base, base);
                same(stored.index, 0);
                base += o->counts[stored.object];
            }
            holds(!leat__pass_object(pass, lane, ordinal, &stored));
            leat__pass_release(pass);
        }
        origin_free(o);
    }
}
END_TEST

/* Positions of a pass at which another order has another sample. */
static uint64_t differences(const leat__order_options *one, uint64_t pass_of_one, const leat__order_options *other,
                            uint64_t pass_of_other)
{
    leat__order *a = leat__order_new(one), *b = leat__order_new(other);
    leat__pass *p = take_pass(a, pass_of_one), *q = take_pass(b, pass_of_other);
    uint64_t different = 0;
    for (uint64_t x = 0; x < leat__order_samples(a); x++) {
        leat__stored s = look_up(p, leat__pass_spot(p, x)), t = look_up(q, leat__pass_spot(q, x));
        different += s.object != t.object || s.index != t.index;
    }
    leat__pass_release(p);
    leat__pass_release(q);
    leat__order_free(a);
    leat__order_free(b);
    return different;
}

START_TEST(seed_pass_and_source_make_another_order)
{
    uint64_t counts[20];
    for (int i = 0; i < 20; i++) counts[i] = 50;
    for (int loose = 0; loose < 2; loose++) {
        leat__order_options one = {.objects = loose ? 1000 : 20, .counts = loose ? NULL : counts, .lanes = 4, .window = 32,
                                   .shuffled = true, .seed = 5, .spread = 1}, other = one;
        same(differences(&one, 3, &one, 3), 0);
        holds(differences(&one, 3, &one, 4) > 900);
        other.seed = 6;
        holds(differences(&one, 3, &other, 3) > 900);
        other = one;
        other.source = 1;
        holds(differences(&one, 3, &other, 3) > 900);
        one.shuffled = other.shuffled = false;
        other.seed = 6;
        same(differences(&one, 3, &other, 4), 0);
    }
    /* one shard: only the windows can differ */
    leat__order_options one = {.objects = 1, .counts = (uint64_t[]){1000}, .lanes = 1, .window = 100, .shuffled = true,
                               .spread = 1};
    holds(differences(&one, 0, &one, 1) > 900);
}
END_TEST

/* If this changes, no state can be resumed, no run repeated with another version. */
START_TEST(the_order_never_changes)
{
    uint64_t counts[30], sum = 0;
    for (uint64_t i = 0; i < 30; i++) counts[i] = i * 7 % 23;
    leat__order_options options = {.objects = 30, .counts = counts, .lanes = 7, .window = 16, .shuffled = true, .seed = 11,
                                   .source = 2, .spread = 1};
    leat__order *order = leat__order_new(&options);
    leat__pass *pass = take_pass(order, 3);
    for (uint64_t x = 0; x < leat__order_samples(order); x++) {
        leat__stored stored = look_up(pass, leat__pass_spot(pass, x));
        sum = (sum * 31 + stored.object) * 31 + stored.index;
    }
    leat__pass_release(pass);
    leat__order_free(order);
    ck_assert_uint_eq(sum, UINT64_C(18421546961473966380));
}
END_TEST

/* Passes are shared while they are kept, and live on with those who took them. */
START_TEST(passes_are_shared_and_stay_with_their_users)
{
    begin_case(1);
    origin *o = random_origin(0, 1);
    while (!o->options.shuffled || o->samples < 20) {
        origin_free(o);
        o = random_origin(0, 1);
    }
    enum { TAKEN = 400, PASSES = 12 };
    leat__pass *taken[TAKEN] = {NULL};
    uint64_t numbers[TAKEN];
    for (int i = 0; i < 4000; i++) {
        uint64_t slot = draw(TAKEN), x = draw(o->samples);
        leat__pass_release(taken[slot]);
        numbers[slot] = draw(PASSES);
        taken[slot] = take_pass(o->order, numbers[slot]);
        leat__pass *again = take_pass(o->order, numbers[slot]);
        ck_assert_ptr_eq(again, taken[slot]);
        leat__pass_release(again);
        slot = draw(TAKEN);
        if (taken[slot]) check_position(taken[slot], x, &model_pass(o, numbers[slot])[x]);
    }
    for (int i = 0; i < TAKEN; i++) leat__pass_release(taken[i]);
    leat__pass_release(NULL);
    origin_free(o);
    leat__order_free(NULL);
}
END_TEST

START_TEST(counts_beyond_64_bits_do_not_wrap_around)
{
    leat__order_options options = {.objects = 3, .counts = (uint64_t[]){UINT64_C(1) << 63, UINT64_C(1) << 63, 5}, .lanes = 1,
                                   .window = 1,
                                   .shuffled = _i, .spread = 1};
    leat__order *order = leat__order_new(&options);
    ck_assert_uint_eq(leat__order_samples(order), UINT64_MAX);
    leat__order_free(order);
}
END_TEST
/* ---- a billion samples ---- */

/* How many samples come before number n of a lane, by the lanes' lengths alone. */
static uint64_t turns_before(const leat__pass *pass, uint32_t lanes, leat__spot spot)
{
    uint64_t before = 0;
    for (uint32_t lane = 0; lane < lanes; lane++) {
        uint64_t samples = leat__pass_lane_samples(pass, lane), had = spot.n + (lane < spot.lane);
        before += had < samples ? had : samples;
    }
    return before;
}
START_TEST(positions_of_a_billion_samples)
{
    uint64_t *counts = room(BIG_SHARDS, sizeof *counts);
    leat__order *order = big_order(counts, _i);
    leat__pass *pass = take_pass(order, 7);
    uint64_t samples = leat__order_samples(order);
    holds(samples > 990000000 && samples < 1010000000);
    for (int i = 0; i < 20000; i++) {
        uint64_t x = i < 10 ? (uint64_t)i : i < 20 ? samples - 20 + (uint64_t)i : draw(samples), together = 0;
        leat__spot spot = leat__pass_spot(pass, x);
        same(leat__pass_position(pass, spot), x);
        same(leat__pass_lane_before(pass, spot.lane, x), spot.n);
        if (_i) same(turns_before(pass, BIG_LANES, spot), x);
        leat__stored stored = look_up(pass, spot);
        holds(stored.index < counts[stored.object]);
        for (uint32_t lane = 0; lane < BIG_LANES; lane++) together += leat__pass_lane_before(pass, lane, x);
        same(together, x);
    }
    leat__pass_release(pass);
    leat__order_free(order);
    free(counts);
}
END_TEST
/* ---- mix ---- */

enum { MOST_MIXED = 255 };
/* Every prefix, in whole numbers. Tijdeman's bound is a little under 1: 1 - 1 / (2 * count - 2). */
static void check_mix(const leat__mix *mix, const uint64_t *weights, unsigned count, uint64_t prefixes, uint64_t *had)
{
    int64_t sum = 0, twice = 2 * (int64_t)count - 2;
    for (unsigned s = 0; s < count; s++) sum += (int64_t)weights[s];
    for (uint64_t n = 0; n < prefixes; n++) {
        uint64_t ordinal;
        unsigned asked = (unsigned)(n % count), chosen = leat__mix_source(mix, n, &ordinal);
        same(leat__mix_before(mix, asked, n), had[asked]);
        holds(chosen < count);
        same(ordinal, had[chosen]);
        same(leat__mix_position(mix, chosen, ordinal), n);
        had[chosen]++;
        for (unsigned s = 0; s < count; s++) {
            int64_t off = llabs((int64_t)had[s] * sum - (int64_t)weights[s] * (int64_t)(n + 1));
            holds(count == 1 ? off == 0 : off * twice <= sum * (twice - 1));
        }
    }
    for (unsigned s = 0; s < count; s++) holds(fabs(leat__mix_share(mix, s) - (double)weights[s] / (double)sum) < 1e-12);
}

START_TEST(each_prefix_of_a_mix_is_within_one_of_the_weights)
{
    static const uint64_t scales[] = {1, 10, 100, 1000, 10000, 100000, 1000000};
    for (uint64_t n = 0; n < cases(200); n++) {
        begin_case(n);
        unsigned count = (unsigned)(n < 64 ? n + 1 : n == 64 ? MOST_MIXED : 1 + draw(64));
        uint64_t whole[MOST_MIXED], had[MOST_MIXED] = {0}, sum = 0, scale = scales[draw(7)], most = 1 + draw(draw(2) ? 300 : 5);
        double weights[MOST_MIXED];
        for (unsigned s = 0; s < count; s++) {
            sum += whole[s] = 1 + draw(most);
            weights[s] = (double)whole[s] / (double)scale;
        }
        leat__mix *mix = new_mix(weights, count);
        check_mix(mix, whole, count, sum + sum / 2 < 4000 ? sum + sum / 2 : 4000, had);
        leat__mix_free(mix);
    }
}
END_TEST

/* The longest period there may be, all of it; and far behind its end. */
START_TEST(the_longest_period_of_a_mix)
{
    const double weights[] = {0.999996, 0.000001, 0.000003};
    const uint64_t whole[] = {999996, 1, 3}, far = UINT64_C(1) << 61;
    uint64_t had[3] = {0}, ordinal;
    leat__mix *mix = new_mix(weights, 3);
    check_mix(mix, whole, 3, 1000000, had);
    for (int s = 0; s < 3; s++) same(had[s], whole[s]);
    for (uint64_t n = far; n < far + 1000; n++) {
        unsigned source = leat__mix_source(mix, n, &ordinal);
        same(leat__mix_position(mix, source, ordinal), n);
        same(leat__mix_before(mix, source, n), ordinal);
        same(leat__mix_source(mix, n % 1000000, &ordinal), source);
    }
    leat__mix_free(mix);
}
END_TEST

START_TEST(weights_that_mean_the_same_make_the_same_mix)
{
    const double one[] = {1, 2, 5}, other[] = {0.01, 0.02, 0.05}, third[] = {200000, 400000, 1000000};
    leat__mix *a = new_mix(one, 3), *b = new_mix(other, 3), *c = new_mix(third, 3);
    static const unsigned golden[8] = {2, 2, 1, 2, 0, 2, 1, 2}; /* if these change, no mix can be resumed with another version */
    for (uint64_t n = 0; n < 100; n++) {
        uint64_t x, y, z;
        unsigned source = leat__mix_source(a, n, &x);
        same(source, golden[n % 8]);
        same(leat__mix_source(b, n, &y), source);
        same(leat__mix_source(c, n, &z), source);
        holds(x == y && x == z);
    }
    leat__mix_free(a);
    leat__mix_free(b);
    leat__mix_free(c);
    a = new_mix((double[]){3, 3, 3}, 3);
    for (uint64_t n = 0, x; n < 6; n++) same(leat__mix_source(a, n, &x), n % 3);
    leat__mix_free(a);
    leat__mix_free(NULL);
}
END_TEST

#define SIX_DECIMALS ": give a number over 0 with at most 6 decimals, and at most a billion"

static const struct refused_mix {
    double weights[3];
    unsigned count;
    const char *message;
} refused_mixes[] = {
    {{0, 1}, 2, "weight 0 of source 1" SIX_DECIMALS},
    {{1, -1}, 2, "weight -1 of source 2" SIX_DECIMALS},
    {{1, 1, (double)NAN}, 3, "nan of source 3" SIX_DECIMALS},
    {{1, (double)INFINITY}, 2, "weight inf of source 2" SIX_DECIMALS},
    {{1, -(double)INFINITY}, 2, "weight -inf of source 2" SIX_DECIMALS},
    {{1, 0.1234567}, 2, "of source 2" SIX_DECIMALS},
    {{1, 1.0000001}, 2, "of source 2" SIX_DECIMALS},
    {{1, 0.0000001}, 2, "weight 1e-07 of source 2" SIX_DECIMALS},
    {{1, 4.9e-324}, 2, "of source 2" SIX_DECIMALS},
    {{1e300, 1}, 2, "weight 1e+300 of source 1" SIX_DECIMALS},
    {{0}, 1, "weight 0 of source 1" SIX_DECIMALS},
    {{1, 1000000}, 2, "the weights repeat only after 1000001 samples, 1000000 are allowed: round them"},
    {{0.333333, 0.333334, 0.333334}, 3, "the weights repeat only after 1000001 samples"},
    {{1e9, 0.000001}, 2, "the weights repeat only after 1000000000000001 samples"},
};

START_TEST(weights_are_refused)
{
    const struct refused_mix *refused = &refused_mixes[_i];
    leat__mix *mix = (leat__mix *)&mix;
    leat_error error = {0};
    ck_assert_int_eq(leat__mix_new(refused->weights, refused->count, &mix, &error), LEAT_EINVAL);
    ck_assert_ptr_null(mix);
    ck_assert_msg(strstr(error.message, refused->message) != NULL, "%s", error.message);
}
END_TEST
static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, each_position_is_what_counting_says);
    tcase_add_test(tcase, each_sample_comes_once);
    tcase_add_test(tcase, windows_are_permutations_of_themselves);
    tcase_add_test(tcase, a_lanes_objects_follow_each_other);
    tcase_add_test(tcase, seed_pass_and_source_make_another_order);
    tcase_add_test(tcase, the_order_never_changes);
    tcase_add_test(tcase, passes_are_shared_and_stay_with_their_users);
    tcase_add_loop_test(tcase, counts_beyond_64_bits_do_not_wrap_around, 0, 2);
    tcase_add_loop_test(tcase, positions_of_a_billion_samples, 0, 2);
    tcase_add_test(tcase, each_prefix_of_a_mix_is_within_one_of_the_weights);
    tcase_add_test(tcase, the_longest_period_of_a_mix);
    tcase_add_test(tcase, weights_that_mean_the_same_make_the_same_mix);
    tcase_add_loop_test(tcase, weights_are_refused, 0, sizeof refused_mixes / sizeof *refused_mixes);
}

int main(void)
{
    Suite *suite = suite_create("passes");
    TCase *tcase = tcase_create("arithmetic");
    tcase_set_timeout(tcase, 600);
    add_tests(tcase);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
