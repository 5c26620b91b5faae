/* The parts of a large file: arithmetic, where connections go, and the checksum of the whole (fetch/grid.h). */
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "fetch/grid.h"
#include "pipeline/random.h"
#include "store/checksum.h"

START_TEST(test_parts_cover_every_byte_once)
{
    for (uint64_t total = 1; total <= 40; total++)
        for (uint64_t size = 1; size <= 12; size++) {
            leat__grid grid;
            uint64_t at = 0;
            ck_assert(leat__grid_make(&grid, total, size));
            ck_assert_uint_eq(grid.count, (total + size - 1) / size);
            for (uint64_t i = 0; i < grid.count; i++) {
                ck_assert_uint_eq(leat__grid_begin(&grid, i), at);
                ck_assert_uint_gt(leat__grid_end(&grid, i), at);
                at = leat__grid_end(&grid, i);
                leat__grid_set(&grid, i, LEAT__PART_THERE);
            }
            ck_assert_uint_eq(at, total);
            ck_assert_uint_eq(grid.there_bytes, total);
            ck_assert_uint_eq(grid.missing, 0);
            leat__grid_clear(&grid);
        }
}
END_TEST

START_TEST(test_a_run_that_nobody_comes_into_begins_at_its_first_part)
{
    leat__grid grid;
    uint64_t part = 99;
    ck_assert(leat__grid_make(&grid, 10, 1));
    ck_assert(leat__grid_next(&grid, 4, &part));
    ck_assert_uint_eq(part, 0);
    leat__grid_set(&grid, 0, LEAT__PART_TAKEN);
    ck_assert(leat__grid_next(&grid, 4, &part));
    ck_assert_uint_eq(part, 6); /* 1..9 are missing, 0's connection comes from before them: their middle */
    leat__grid_set(&grid, 6, LEAT__PART_THERE);
    ck_assert(leat__grid_next(&grid, 4, &part));
    ck_assert_uint_eq(part, 7); /* 7..9: nobody comes into them, as 6 is there */
    leat__grid_clear(&grid);
}
END_TEST

START_TEST(test_short_runs_are_left_to_who_comes_into_them)
{
    leat__grid grid;
    uint64_t part;
    ck_assert(leat__grid_make(&grid, 4, 1));
    leat__grid_set(&grid, 0, LEAT__PART_TAKEN);
    ck_assert(!leat__grid_next(&grid, 4, &part));
    ck_assert(leat__grid_next(&grid, 3, &part));
    ck_assert_uint_eq(part, 3);
    leat__grid_clear(&grid);
}
END_TEST

/* Connections that take parts as leat fetch does, one of them at random moving on at a time: each part is fetched by one. */
START_TEST(test_connections_share_out_a_file)
{
    leat__random random = {.key = {.seed = (uint64_t)_i}};
    uint64_t at[8];
    unsigned alive = 0, fetched[300] = {0};
    leat__grid grid;
    uint64_t count = 1 + leat__random_below(&random, 300), next;
    ck_assert(leat__grid_make(&grid, count, 1));
    while (grid.there < count) {
        if (alive < 8 && leat__grid_next(&grid, alive ? 4 : 1, &next)) {
            ck_assert_uint_eq(grid.states[next], LEAT__PART_MISSING);
            leat__grid_set(&grid, next, LEAT__PART_TAKEN);
            at[alive++] = next;
            continue;
        }
        ck_assert_uint_gt(alive, 0); /* else some part would never come */
        unsigned who = (unsigned)leat__random_below(&random, alive);
        leat__grid_set(&grid, at[who], LEAT__PART_THERE);
        fetched[at[who]]++;
        uint64_t following = at[who] + 1;
        if (following < count && grid.states[following] == LEAT__PART_MISSING) {
            leat__grid_set(&grid, following, LEAT__PART_TAKEN);
            at[who] = following;
        } else {
            at[who] = at[--alive];
        }
    }
    for (uint64_t i = 0; i < count; i++) ck_assert_uint_eq(fetched[i], 1);
    leat__grid_clear(&grid);
}
END_TEST

START_TEST(test_the_checksum_of_the_whole_is_made_of_the_parts)
{
    uint8_t bytes[1000];
    leat__random random = {.key = {.seed = 7}};
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)leat__random_next(&random);
    for (uint64_t total = 1; total <= sizeof bytes; total += 37)
        for (uint64_t size = 1; size <= 300; size += 61) {
            leat__grid grid;
            ck_assert(leat__grid_make(&grid, total, size));
            for (uint64_t i = 0; i < grid.count; i++) {
                uint64_t begin = leat__grid_begin(&grid, i);
                grid.crcs[i] = leat__crc32c(0, bytes + begin, (size_t)(leat__grid_end(&grid, i) - begin));
                leat__grid_set(&grid, i, LEAT__PART_THERE);
            }
            ck_assert_uint_eq(leat__grid_crc(&grid), leat__crc32c(0, bytes, (size_t)total));
            leat__grid_clear(&grid);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("grid");
    TCase *tests = tcase_create("grid");
    tcase_add_test(tests, test_parts_cover_every_byte_once);
    tcase_add_test(tests, test_a_run_that_nobody_comes_into_begins_at_its_first_part);
    tcase_add_test(tests, test_short_runs_are_left_to_who_comes_into_them);
    tcase_add_loop_test(tests, test_connections_share_out_a_file, 0, 200);
    tcase_add_test(tests, test_the_checksum_of_the_whole_is_made_of_the_parts);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
