/* test_random.c - known answers, bijections and distributions of pipeline/random.c. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/random.h"

/* kat_vectors of the Random123 distribution, philox4x32 10. */
START_TEST(test_philox_gives_the_published_answers)
{
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } answers[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    uint32_t out[4];
    leat__philox(answers[_i].counter, answers[_i].key, out);
    ck_assert_mem_eq(out, answers[_i].out, sizeof(out));
}
END_TEST

/* The numbers behind every order and crop: if these change, no run can be repeated with another version. */
START_TEST(test_sequences_never_change)
{
    const leat__random_key key = {.seed = 1, .epoch = 2, .sample = 3, .operation = 4};
    leat__permutation permutation;
    uint64_t sum = 0;
    ck_assert_uint_eq(leat__random_at(&key, 0), UINT64_C(11910679272498347303));
    ck_assert_uint_eq(leat__random_at(&key, 1), UINT64_C(8849055291228673150));
    leat__permutation_init(&permutation, &key, 1000);
    for (uint64_t i = 0; i < 1000; i++) sum = sum * 31 + leat__permutation_at(&permutation, i);
    ck_assert_uint_eq(sum, UINT64_C(10507445732775695340));
}
END_TEST

/* Each part of the key, and n, changes the number; no two of 5 * 4096 are equal. */
static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

START_TEST(test_every_part_of_the_key_counts)
{
    enum { EACH = 4096 };
    static uint64_t numbers[5 * EACH];
    for (uint64_t i = 0; i < EACH; i++) {
        const uint64_t v = i + 1, high = v << 32; /* seeds and samples: also their upper half */
        const leat__random_key keys[5] = {
            {.seed = i % 2 ? v : high},
            {.epoch = i % 2 ? v : high},
            {.sample = i % 2 ? v : high},
            {.operation = (uint32_t)v},
            {0}};
        for (int k = 0; k < 5; k++) numbers[i * 5 + (uint64_t)k] = leat__random_at(&keys[k], k == 4 ? (uint32_t)i : 0);
    }
    qsort(numbers, 5 * EACH, sizeof(numbers[0]), compare_u64);
    int equal = 0;
    for (int i = 1; i < 5 * EACH; i++) equal += numbers[i - 1] == numbers[i];
    ck_assert_int_eq(equal, 0);
}
END_TEST

START_TEST(test_next_reads_the_sequence_in_order)
{
    leat__random random = {.key = {.seed = 7, .epoch = 1, .sample = 9, .operation = 2}};
    for (uint32_t n = 0; n < 100; n++) ck_assert_uint_eq(leat__random_next(&random), leat__random_at(&random.key, n));
    ck_assert_uint_eq(random.n, 100);
}
END_TEST

START_TEST(test_bits_and_units_are_even)
{
    enum { DRAWS = 200000 };
    leat__random random = {.key = {.seed = 42}};
    int ones[64] = {0}, outside = 0;
    double sum = 0, squares = 0;
    for (int i = 0; i < DRAWS; i++) {
        uint64_t bits = leat__random_next(&random);
        for (int b = 0; b < 64; b++) ones[b] += bits >> b & 1;
        double unit = leat__random_unit(&random);
        outside += unit < 0 || unit >= 1;
        sum += unit;
        squares += unit * unit;
    }
    ck_assert_int_eq(outside, 0);
    /* sigma = sqrt(DRAWS) / 2 = 224 */
    for (int b = 0; b < 64; b++) ck_assert_int_lt(abs(ones[b] - DRAWS / 2), 5 * 224);
    ck_assert_double_eq_tol(sum / DRAWS, 0.5, 0.0035); /* 5 sigma = 0.0032 */
    ck_assert_double_eq_tol(squares / DRAWS, 1.0 / 3, 0.0035);
}
END_TEST

START_TEST(test_uniform_stays_in_its_range)
{
    leat__random random = {.key = {.seed = 3}};
    const double next = nextafter(1.0, 2.0);
    for (int i = 0; i < 10000; i++) {
        double wide = leat__random_uniform(&random, -2, 5);
        ck_assert(wide >= -2 && wide < 5);
        ck_assert_double_eq(leat__random_uniform(&random, 1.0, next), 1.0); /* not rounded up to the bound */
    }
    ck_assert_double_eq(leat__random_uniform(&random, 0.5, 0.5), 0.5);
}
END_TEST

static double chi_square(const unsigned *counts, size_t cells, double expected)
{
    double sum = 0;
    for (size_t i = 0; i < cells; i++) sum += (counts[i] - expected) * (counts[i] - expected) / expected;
    return sum;
}

/* A chi-square of so many degrees of freedom passes this once in about 3 million runs (Wilson and Hilferty, z = 5). */
static double chi_square_bound(double freedom)
{
    double x = 1 - 2 / (9 * freedom) + 5 * sqrt(2 / (9 * freedom));
    return freedom * x * x * x;
}

START_TEST(test_below_is_even)
{
    enum { DRAWS = 60000 };
    unsigned counts[1000] = {0};
    const uint64_t bound = (uint64_t[]){1, 2, 3, 7, 64, 1000}[_i];
    leat__random random = {.key = {.seed = 5, .sample = bound}};
    for (int i = 0; i < DRAWS; i++) {
        uint64_t value = leat__random_below(&random, bound);
        if (value >= bound)
            ck_abort_msg("%llu is not below %llu", (unsigned long long)value, (unsigned long long)bound);
        counts[value]++;
    }
    if (bound == 1) return;
    ck_assert(chi_square(counts, bound, (double)DRAWS / (double)bound) < chi_square_bound((double)bound - 1));
}
END_TEST

/* 3 * 2^62: without drawing again, the lowest third of the products would come twice as often as the others. */
START_TEST(test_below_is_even_for_large_bounds)
{
    enum { DRAWS = 30000 };
    const uint64_t bound = UINT64_C(3) << 62;
    unsigned counts[3] = {0};
    leat__random random = {.key = {.seed = 6}};
    for (int i = 0; i < DRAWS; i++) counts[leat__random_below(&random, bound) / (bound / 3)]++;
    ck_assert(chi_square(counts, 3, DRAWS / 3.0) < chi_square_bound(2));
    ck_assert_uint_gt(random.n, DRAWS + DRAWS / 5); /* a quarter of the draws was thrown away */
}
END_TEST

static void check_bijection(const leat__random_key *key, uint64_t count)
{
    leat__permutation permutation;
    uint8_t *seen = calloc(count, 1);
    ck_assert_ptr_nonnull(seen);
    leat__permutation_init(&permutation, key, count);
    uint64_t wrong = 0; /* not an assertion each: Check writes to a pipe for every one */
    for (uint64_t i = 0; i < count; i++) {
        uint64_t to = leat__permutation_at(&permutation, i);
        if (to >= count || seen[to]++) wrong++;
    }
    free(seen);
    ck_assert_msg(wrong == 0, "count %llu: %llu places come twice or lie outside", (unsigned long long)count,
                  (unsigned long long)wrong);
}

START_TEST(test_permutations_are_bijections)
{
    for (uint64_t count = 1; count <= 2000; count++) {
        const leat__random_key key = {.seed = count * 977, .epoch = count % 5};
        check_bijection(&key, count);
    }
    static const uint64_t large[] = {4095, 4096, 4097, 65536, 65537, 1281167};
    for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++)
        check_bijection(&(leat__random_key){.seed = i}, large[i]);
}
END_TEST

/* Too many to try: no two of 100,000 positions go to the same place, and all stay inside. */
START_TEST(test_huge_permutations_stay_inside)
{
    enum { TRIED = 100000 };
    static uint64_t to[TRIED];
    const uint64_t count = (uint64_t[]){UINT64_C(1) << 32, (UINT64_C(1) << 40) + 1, UINT64_MAX}[_i];
    int wrong = 0;
    leat__permutation permutation;
    leat__permutation_init(&permutation, &(leat__random_key){.seed = 8}, count);
    for (uint64_t i = 0; i < TRIED; i++) {
        to[i] = leat__permutation_at(&permutation, i % 2 ? i : count - 1 - i);
        if (to[i] >= count) wrong++;
    }
    ck_assert_int_eq(wrong, 0);
    qsort(to, TRIED, sizeof(to[0]), compare_u64);
    for (int i = 1; i < TRIED; i++) wrong += to[i - 1] == to[i];
    ck_assert_int_eq(wrong, 0);
}
END_TEST

/* All n! orders of few elements come equally often over the seeds. */
START_TEST(test_small_permutations_are_even)
{
    enum { SEEDS = 48000 };
    const unsigned n = (unsigned)_i;
    unsigned counts[120] = {0}, orders = 1;
    for (unsigned i = 2; i <= n; i++) orders *= i;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        leat__permutation permutation;
        unsigned rank = 0, places[5];
        leat__permutation_init(&permutation, &(leat__random_key){.seed = seed}, n);
        for (unsigned i = 0; i < n; i++) {
            places[i] = (unsigned)leat__permutation_at(&permutation, i);
            unsigned smaller = places[i];
            for (unsigned j = 0; j < i; j++) smaller -= places[j] < places[i];
            rank = rank * (n - i) + smaller;
        }
        counts[rank]++;
    }
    ck_assert(chi_square(counts, orders, (double)SEEDS / orders) < chi_square_bound(orders - 1));
}
END_TEST

/* Windows, as the loader permutes them: every element gets to every place equally often; neighbours are parted. */
START_TEST(test_windows_are_well_mixed)
{
    enum { SEEDS = 6400 };
    const unsigned n = (unsigned[]){16, 64, 100}[_i];
    static unsigned counts[100 * 100], distances[100];
    memset(counts, 0, sizeof(counts));
    memset(distances, 0, sizeof(distances));
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        leat__permutation permutation;
        leat__permutation_init(&permutation, &(leat__random_key){.seed = 1, .epoch = 2, .sample = seed}, n);
        uint64_t before = leat__permutation_at(&permutation, n - 1);
        for (unsigned i = 0; i < n; i++) {
            uint64_t to = leat__permutation_at(&permutation, i);
            counts[i * n + to]++;
            distances[(to + n - before) % n]++;
            before = to;
        }
    }
    /* Rows and columns both have fixed sums: (n - 1)^2 degrees of freedom once scaled. */
    ck_assert(chi_square(counts, n * n, (double)SEEDS / n) * (n - 1) / n < chi_square_bound((n - 1.0) * (n - 1)));
    ck_assert_uint_eq(distances[0], 0);
    ck_assert(chi_square(distances + 1, n - 1, (double)SEEDS * n / (n - 1)) < chi_square_bound(n - 2));
}
END_TEST

static Suite *random_suite(void)
{
    Suite *suite = suite_create("random");
    TCase *numbers = tcase_create("numbers"), *permutations = tcase_create("permutations");
    tcase_add_loop_test(numbers, test_philox_gives_the_published_answers, 0, 3);
    tcase_add_test(numbers, test_sequences_never_change);
    tcase_add_test(numbers, test_every_part_of_the_key_counts);
    tcase_add_test(numbers, test_next_reads_the_sequence_in_order);
    tcase_add_test(numbers, test_bits_and_units_are_even);
    tcase_add_test(numbers, test_uniform_stays_in_its_range);
    tcase_add_loop_test(numbers, test_below_is_even, 0, 6);
    tcase_add_test(numbers, test_below_is_even_for_large_bounds);
    tcase_set_timeout(permutations, 60);
    tcase_add_test(permutations, test_permutations_are_bijections);
    tcase_add_loop_test(permutations, test_huge_permutations_stay_inside, 0, 3);
    tcase_add_loop_test(permutations, test_small_permutations_are_even, 2, 6);
    tcase_add_loop_test(permutations, test_windows_are_well_mixed, 0, 3);
    suite_add_tcase(suite, numbers);
    suite_add_tcase(suite, permutations);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(random_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
