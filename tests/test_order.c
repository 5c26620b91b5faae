/* test_order.c - the promise that the sequence of batches depends on the data, the settings, the seed and the epoch alone. */
#include <stdlib.h>
#include <string.h>

#include "loading.h"

enum { SHARDS = 5, EACH = 13, SAMPLES = SHARDS * EACH };

/* A config with random crops, flips and every kind of field, so that the hash sees whatever could differ. */
static leat_config rich_config(const char *source)
{
    leat_config config = small_config(source);
    config.image.crop = LEAT_CROP_RANDOM_RESIZED;
    config.image.flip = true;
    config.fields = all_fields;
    config.field_count = 5;
    config.shuffle_window = 4;
    config.memory_limit = 64 << 20; /* windows are cut: where, must not depend on what varies here */
    config.seed = 7;
    return config;
}

static void hash_of(const leat_config *config, const leat__env *env, char hash[65])
{
    epoch_seen seen;
    see_all(config, env, &seen);
    memcpy(hash, seen.hash, 65);
    epoch_free(&seen);
}

/* ---- what must not matter ---- */

static const char *source_number(int n)
{
    return n == 0 ? make_shards(SHARDS, EACH) : LEAT_PHOTOS;
}

/* Sources x (threads, prefetch, I/O threads, memory). */
START_TEST(threads_and_queues_do_not_matter)
{
    static const uint32_t io_threads[] = {1, 2, 7}, prefetch[] = {1, 2, 9};
    leat_config config = rich_config(source_number(_i));
    if (_i) config.fields = NULL, config.field_count = 0;
    char expected[65], hash[65];
    config.threads = 1;
    hash_of(&config, NULL, expected);
    for (config.threads = 1; config.threads <= 4; config.threads *= 2)
        for (int k = 0; k < 3; k++) {
            config.prefetch = prefetch[k];
            config.io_threads = io_threads[(k + config.threads) % 3];
            config.memory_limit = (uint64_t)(k == 1 ? 512 : 256) << 20;
            hash_of(&config, NULL, hash);
            ck_assert_str_eq(hash, expected);
        }
}
END_TEST

START_TEST(delays_and_completions_do_not_matter)
{
    leat_config config = rich_config(source_number(_i));
    if (_i) config.fields = NULL, config.field_count = 0;
    char expected[65], hash[65];
    hash_of(&config, NULL, expected);
    for (uint64_t seed = 1; seed <= (SANITIZED ? 4 : 12); seed++) {
        rough_world world;
        rough_world_init(&world, seed);
        config.threads = 1u << seed % 3;
        hash_of(&config, &world.env, hash);
        ck_assert_str_eq(hash, expected);
    }
}
END_TEST

START_TEST(compression_does_not_matter)
{
    leat_config config = rich_config(make_shards(SHARDS, EACH));
    char expected[65], hash[65];
    hash_of(&config, NULL, expected);
    for (unsigned i = 0; i < SHARDS; i++) {
        run_tool("zstd", "-q", "-3", at("train-%06u.tar", i), NULL);
        run_tool("gzip", "-k", at("train-%06u.tar", i), NULL);
    }
    config.source = at("train-{000000..%06u}.tar.zst", SHARDS - 1);
    hash_of(&config, NULL, hash);
    ck_assert_str_eq(hash, expected);
    config.source = at("train-{000000..%06u}.tar.gz", SHARDS - 1);
    hash_of(&config, NULL, hash);
    ck_assert_str_eq(hash, expected);
    for (unsigned i = 1; i < SHARDS; i += 2) { /* one source of both kinds */
        run_tool("cp", at("train-%06u.tar.zst", i), at("train-%06u.tar", i), NULL);
    }
    rough_world world;
    rough_world_init(&world, 99);
    config.source = at("train-{000000..%06u}.tar", SHARDS - 1);
    hash_of(&config, &world.env, hash);
    ck_assert_str_eq(hash, expected);
}
END_TEST

/* ---- what must matter ---- */

START_TEST(seed_and_epoch_matter)
{
    leat_config config = rich_config(source_number(_i));
    if (_i) config.fields = NULL, config.field_count = 0;
    enum { RUNS = 6 };
    epoch_seen seen[RUNS];
    for (unsigned i = 0; i < RUNS; i++) {
        config.seed = i < 3 ? i : 100;
        config.epoch = i < 3 ? 0 : i;
        see_all(&config, NULL, &seen[i]);
        for (unsigned j = 0; j < i; j++) {
            size_t same = 0;
            for (size_t row = 0; row < seen[i].count; row++) same += strcmp(seen[i].rows[row].key, seen[j].rows[row].key) == 0;
            ck_assert_uint_lt(same, seen[i].count / 2);
        }
    }
    for (unsigned i = 0; i < RUNS; i++) epoch_free(&seen[i]);
}
END_TEST

/* ---- the order itself ---- */

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const row_seen *)a)->key, ((const row_seen *)b)->key);
}

static void assert_each_once(epoch_seen *seen, unsigned count)
{
    ck_assert_uint_eq(seen->count, count);
    qsort(seen->rows, seen->count, sizeof *seen->rows, compare_keys);
    for (unsigned i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof key, "s%05u", i);
        ck_assert_str_eq(seen->rows[i].key, key);
    }
}

START_TEST(every_sample_once_for_any_lanes_and_window)
{
    static const uint32_t lanes[] = {1, 2, 3, 4, 5, 6, 64}, windows[] = {1, 2, 3, 13, 14, 1000};
    leat_config config = small_config(make_shards(SHARDS, EACH));
    config.epochs = 2;
    for (size_t l = 0; l < 7; l++)
        for (size_t w = 0; w < 6; w++) {
            config.lanes = lanes[l];
            config.shuffle_window = windows[w];
            leat_loader *loader;
            leat_error error;
            ck_leat(leat_open(&config, &loader, &error));
            for (int epoch = 0; epoch < 2; epoch++) {
                epoch_seen seen = {0};
                ck_assert_int_eq(see_epoch(loader, &seen, &error), LEAT_END);
                assert_each_once(&seen, SAMPLES);
                epoch_free(&seen);
            }
            leat_close(loader);
        }
}
END_TEST

START_TEST(sequential_order_is_the_listing_s)
{
    static const uint32_t lanes[] = {1, 2, 3, 5, 16};
    leat_config config = small_config(make_shards(SHARDS, EACH));
    config.order = LEAT_ORDER_SEQUENTIAL;
    config.lanes = lanes[_i];
    rough_world world;
    rough_world_init(&world, (uint64_t)_i + 1);
    epoch_seen seen;
    see_all(&config, &world.env, &seen);
    ck_assert_uint_eq(seen.count, SAMPLES);
    for (unsigned i = 0; i < SAMPLES; i++) ck_assert_int_eq(seen.rows[i].label, i);
    epoch_free(&seen);
    config.source = LEAT_PHOTOS;
    see_all(&config, &world.env, &seen);
    ck_assert_uint_eq(seen.count, PHOTOS);
    for (unsigned i = 0; i < PHOTOS; i++) ck_assert_int_eq(strncmp(strchr(seen.rows[i].key, '/') + 1, photo_number(i)->name, 3), 0);
    epoch_free(&seen);
}
END_TEST

/* One lane, window 1: shards come whole, one after another, in an order of the seed. Lanes: one sample of each in turn. */
START_TEST(lanes_take_turns)
{
    leat_config config = small_config(make_shards(SHARDS, EACH));
    config.shuffle_window = 1;
    config.lanes = 1;
    epoch_seen seen;
    see_all(&config, NULL, &seen);
    int64_t shard[SHARDS];
    for (unsigned i = 0; i < SAMPLES; i++) {
        if (i % EACH == 0) shard[i / EACH] = seen.rows[i].label / EACH;
        ck_assert_int_eq(seen.rows[i].label, shard[i / EACH] * EACH + i % EACH);
    }
    epoch_free(&seen);
    config.lanes = SHARDS;
    see_all(&config, NULL, &seen);
    for (unsigned i = 0; i < SAMPLES; i++) ck_assert_int_eq(seen.rows[i].label, shard[i % SHARDS] * EACH + i / SHARDS);
    epoch_free(&seen);
}
END_TEST

/* A window holds its own samples, permuted; no window as the one before it, no lane as the other. */
START_TEST(windows_are_permuted_each_in_its_own_way)
{
    enum { WINDOW = 16, WINDOWS = 4 };
    leat_config config = small_config(make_shards(2, WINDOW * WINDOWS));
    config.shuffle_window = WINDOW;
    config.lanes = 2;
    epoch_seen seen;
    see_all(&config, NULL, &seen);
    ck_assert_uint_eq(seen.count, 2 * WINDOW * WINDOWS);
    int64_t orders[2 * WINDOWS][WINDOW];
    for (unsigned w = 0; w < 2 * WINDOWS; w++) { /* window w / 2 of lane w % 2 */
        unsigned there = 0, in_place = 0;
        for (unsigned i = 0; i < WINDOW; i++) {
            int64_t in_shard = seen.rows[2 * (w / 2 * WINDOW + i) + w % 2].label % (WINDOW * WINDOWS);
            ck_assert_int_eq(in_shard / WINDOW, w / 2);
            orders[w][i] = in_shard % WINDOW;
            there |= 1u << orders[w][i];
            in_place += orders[w][i] == i;
        }
        ck_assert_uint_eq(there, (1u << WINDOW) - 1);
        ck_assert_uint_lt(in_place, WINDOW / 2);
        for (unsigned v = 0; v < w; v++) ck_assert_mem_ne(orders[v], orders[w], sizeof orders[w]);
    }
    epoch_free(&seen);
}
END_TEST

/* The order of loose files is one permutation, whatever reads them. */
START_TEST(loose_files_do_not_know_of_lanes)
{
    leat_config config = small_config(LEAT_PHOTOS);
    char expected[65], hash[65];
    hash_of(&config, NULL, expected);
    for (config.io_threads = 1; config.io_threads <= 9; config.io_threads += 4)
        for (config.lanes = 1; config.lanes <= 9; config.lanes += 4) {
            config.shuffle_window = config.lanes;
            hash_of(&config, NULL, hash);
            ck_assert_str_eq(hash, expected);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("order");
    TCase *tests = tcase_create("order");
    tcase_add_checked_fixture(tests, scratch_begin, scratch_end);
    tcase_set_timeout(tests, 200);
    tcase_add_loop_test(tests, threads_and_queues_do_not_matter, 0, 2);
    tcase_add_loop_test(tests, delays_and_completions_do_not_matter, 0, 2);
    tcase_add_test(tests, compression_does_not_matter);
    tcase_add_loop_test(tests, seed_and_epoch_matter, 0, 2);
    tcase_add_test(tests, every_sample_once_for_any_lanes_and_window);
    tcase_add_loop_test(tests, sequential_order_is_the_listing_s, 0, 5);
    tcase_add_test(tests, lanes_take_turns);
    tcase_add_test(tests, windows_are_permuted_each_in_its_own_way);
    tcase_add_test(tests, loose_files_do_not_know_of_lanes);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
