/* test_memory.c - memory_limit is kept, whatever the data: by the loader's own count, and by the kernel's. */
#include <stdlib.h>
#include <string.h>
#include <sys/poll.h>

#include "loading.h"

#define MIB ((uint64_t)1 << 20)

static const uint64_t limits[] = {64 * MIB, 256 * MIB};

/* Shards of samples with a field of zeros that takes no disk; sizes in turn. Gives the bytes of all fields. */
static uint64_t make_hollow(unsigned shards, unsigned samples, const size_t *sizes, size_t count)
{
    uint64_t total = 0;
    for (unsigned s = 0; s < shards; s++) {
        FILE *shard = shard_begin(at("train-%06u.tar", s));
        for (unsigned i = 0; i < samples; i++) {
            char name[32];
            snprintf(name, sizeof name, "s%02u%04u.bin", s, i);
            shard_add_hole(shard, name, sizes[i % count]);
            total += sizes[i % count];
            snprintf(name, sizeof name, "s%02u%04u.cls", s, i);
            shard_add_text(shard, name, "1");
        }
        shard_end(shard);
    }
    return total;
}

/* Takes batches, slowly at first, and measures. */
typedef struct measured {
    uint64_t rows, bytes, failed, peak, rss_growth;
    leat_code code;
    leat_error error;
} measured;

static void measure(const leat_config *config, measured *m)
{
    *m = (measured){0};
    size_t before = rss_bytes();
    reset_peak_rss();
    leat_loader *loader;
    leat_error error;
    ck_leat(leat_open(config, &loader, &error));
    leat_batch *batch;
    while ((m->code = leat_next_timeout(loader, 60000, &batch, &m->error)) == LEAT_OK) {
        const leat_tensor *bytes = leat_batch_tensor(batch, "bytes");
        m->rows += leat_batch_rows(batch);
        m->bytes += bytes ? bytes->bytes : 0;
        if (leat_batch_step(batch) < 3) poll(NULL, 0, 150); /* the trainer is slow: everything fills up meanwhile */
        leat_release(batch);
    }
    leat_statistics stats;
    ck_assert_int_eq(leat_stats(loader, &stats), LEAT_OK);
    m->peak = stats.memory_peak;
    m->failed = stats.errors;
    m->rss_growth = peak_rss_bytes() - before;
    leat_close(loader);
}

static void assert_within(const measured *m, uint64_t limit)
{
    ck_assert_msg(m->peak <= limit, "memory_peak is %.1f MB of %.1f MB", (double)m->peak / 1e6, (double)limit / 1e6);
    if (!SANITIZED)
        ck_assert_msg(m->rss_growth <= limit + 64 * MIB, "the process grew by %.1f MB, limit %.1f MB", (double)m->rss_growth / 1e6,
                      (double)limit / 1e6);
}

static const leat_field hollow_fields[] = {{"bytes", "bin", LEAT_FIELD_BYTES, false}, {"label", "cls", LEAT_FIELD_INT, false}};

static leat_config hollow_config(uint64_t limit)
{
    leat_config config = small_config(scratch);
    config.fields = hollow_fields;
    config.field_count = 2;
    config.memory_limit = limit;
    config.batch_size = 4;
    config.lanes = 16;
    return config;
}

/* Sample sizes x limits; four times as many bytes as the limit. */
START_TEST(shards_of_large_and_small_samples)
{
    static const size_t small[] = {100}, large[] = {500000}, mixed[] = {10, 400000, 3000, 0, 65536, 1};
    static const struct {
        const size_t *sizes;
        size_t count, mean;
    } kinds[] = {{small, 1, 100}, {large, 1, 500000}, {mixed, 6, 78091}};
    uint64_t limit = limits[_i % 2];
    size_t mean = kinds[_i / 2].mean;
    unsigned samples = (unsigned)(4 * limit / 16 / mean);
    if (samples > (SANITIZED ? 300 : 2000)) samples = SANITIZED ? 300 : 2000;
    uint64_t total = make_hollow(16, samples, kinds[_i / 2].sizes, kinds[_i / 2].count);
    leat_config config = hollow_config(limit);
    measured m;
    measure(&config, &m);
    ck_assert_msg(m.code == LEAT_END, "%s: %s", leat_code_name(m.code), m.error.message);
    ck_assert_uint_eq(m.rows, 16u * samples);
    ck_assert_uint_eq(m.bytes, total);
    assert_within(&m, limit);
}
END_TEST

START_TEST(photographs_from_shards_and_folders)
{
    uint64_t limit = limits[_i % 2];
    static const uint32_t batch_sizes[] = {1, 24, 64};
    leat_config config = small_config(_i < 6 ? make_shards(4, 40) : LEAT_PHOTOS);
    config.image.height = config.image.width = 224;
    config.image.dtype = LEAT_FLOAT32;
    config.memory_limit = limit;
    config.prefetch = 8;
    config.threads = 4;
    config.batch_size = batch_sizes[_i / 2 % 3];
    measured m;
    measure(&config, &m);
    ck_assert_msg(m.code == LEAT_END, "%s: %s", leat_code_name(m.code), m.error.message);
    ck_assert_uint_eq(m.rows, _i < 6 ? 160 : PHOTOS);
    assert_within(&m, limit);
}
END_TEST

/* Compressed: a window for each lane, and much more out than in. */
START_TEST(compressed_shards)
{
    static const size_t sizes[] = {400000};
    const char *const tools[] = {"zstd", "gzip"};
    uint64_t total = make_hollow(8, 60, sizes, 1);
    for (unsigned s = 0; s < 8; s++) {
        if (_i == 0) run_tool("zstd", "-q", "--rm", "--long=23", at("train-%06u.tar", s), NULL);
        else run_tool(tools[_i], "-1", at("train-%06u.tar", s), NULL);
    }
    leat_config config = hollow_config(64 * MIB);
    config.max_unpacked_bytes = 0;
    measured m;
    measure(&config, &m);
    ck_assert_msg(m.code == LEAT_END, "%s: %s", leat_code_name(m.code), m.error.message);
    assert_within(&m, 64 * MIB);
    /* zeros unpack to over 1000 times their size: beyond 16 MiB that is refused, in so many words */
    ck_assert(m.bytes == total || m.failed == 8);
}
END_TEST

START_TEST(a_shard_larger_than_the_limit_is_streamed)
{
    static const size_t sizes[] = {1 << 20};
    uint64_t total = make_hollow(1, 400, sizes, 1);
    leat_config config = hollow_config(64 * MIB);
    measured m;
    measure(&config, &m);
    ck_assert_msg(m.code == LEAT_END, "%s: %s", leat_code_name(m.code), m.error.message);
    ck_assert_uint_eq(m.rows, 400);
    ck_assert_uint_eq(m.bytes, total);
    assert_within(&m, 64 * MIB);
}
END_TEST

/* One sample over its lane's share: refused by name, the others delivered. */
START_TEST(a_sample_over_its_lane_s_share_is_refused)
{
    static const size_t sizes[] = {1000, 40 << 20, 2000};
    make_hollow(2, 3, sizes, 3);
    leat_config config = hollow_config(64 * MIB);
    config.order = LEAT_ORDER_SEQUENTIAL;
    if (_i) config.max_sample_bytes = 2000;
    leat_loader *loader;
    leat_error error, errors[4];
    ck_leat(leat_open(&config, &loader, &error));
    epoch_seen seen = {0};
    leat_config chosen;
    leat_chosen(loader, &chosen);
    if (_i) ck_assert_uint_eq(chosen.max_sample_bytes, 2000);
    ck_assert_int_eq(see_epoch(loader, &seen, &error), LEAT_END);
    ck_assert_uint_eq(seen.count, _i ? 2 : 4);
    ck_assert_uint_eq(leat_errors(loader, errors, 4), _i ? 4 : 2);
    ck_assert_int_eq(errors[0].code, LEAT_ELIMIT);
    ck_assert_str_eq(errors[0].key, "s000001");
    char expected[1024];
    snprintf(expected, sizeof expected, "%s: sample s000001 at byte 2560: with field 'bin' of 41943040 bytes the sample spans "
             "41943040 bytes, over max_sample_bytes, or what memory_limit 67.1 MB leaves each of 2 lanes (%llu); skipped (1 of at most "
             "100)", at("train-000000.tar"), (unsigned long long)chosen.max_sample_bytes);
    ck_assert_str_eq(errors[0].message, expected);
    leat_statistics stats;
    ck_assert_int_eq(leat_stats(loader, &stats), LEAT_OK);
    ck_assert_uint_le(stats.memory_peak, 64 * MIB);
    epoch_free(&seen);
    leat_close(loader);
}
END_TEST

START_TEST(a_loose_file_over_its_share_is_refused)
{
    run_tool("cp", "-r", LEAT_PHOTOS "/bird", at("bird"), NULL);
    run_tool("truncate", "-s", "50M", at("bird/owl.jpg"), NULL);
    leat_config config = small_config(at("bird"));
    leat_loader *loader;
    leat_error error, errors[2];
    ck_leat(leat_open(&config, &loader, &error));
    epoch_seen seen = {0};
    ck_assert_int_eq(see_epoch(loader, &seen, &error), LEAT_END);
    ck_assert_uint_eq(seen.count, 15);
    ck_assert_uint_eq(leat_errors(loader, errors, 2), 1);
    ck_assert_int_eq(errors[0].code, LEAT_ELIMIT);
    char expected[256];
    snprintf(expected, sizeof expected, "%s/bird/owl.jpg: sample owl: the file has 52428800 bytes, over max_sample_bytes, or what "
             "memory_limit 67.1 MB leaves each of ", scratch);
    ck_assert_int_eq(strncmp(errors[0].message, expected, strlen(expected)), 0);
    epoch_free(&seen);
    leat_close(loader);
}
END_TEST

/* A batch that needs more for its bytes than there is says so, and does not wait for ever. */
START_TEST(bytes_of_one_batch_over_their_share_are_an_error)
{
    static const size_t sizes[] = {500000};
    make_hollow(2, 40, sizes, 1);
    leat_config config = hollow_config(64 * MIB);
    config.batch_size = 64;
    measured m;
    measure(&config, &m);
    ck_assert_int_eq(m.code, LEAT_ENOMEM);
    ck_assert_str_eq(m.error.message, "the bytes fields of one batch need more than the 4.2 MB that memory_limit leaves them: lower "
                                      "batch_size or raise memory_limit");
    assert_within(&m, 64 * MIB);
}
END_TEST

/* Windows that memory_limit cannot hold are made smaller, and counted. */
START_TEST(windows_are_cut_rather_than_overfull)
{
    static const size_t sizes[] = {300000};
    make_hollow(16, 20, sizes, 1);
    leat_config config = hollow_config(64 * MIB);
    config.shuffle_window = 100000;
    leat_loader *loader;
    leat_error error;
    ck_leat(leat_open(&config, &loader, &error));
    epoch_seen seen = {0};
    ck_assert_int_eq(see_epoch(loader, &seen, &error), LEAT_END);
    ck_assert_uint_eq(seen.count, 320);
    leat_statistics stats;
    ck_assert_int_eq(leat_stats(loader, &stats), LEAT_OK);
    ck_assert_uint_gt(stats.windows_cut, 0);
    ck_assert_uint_le(stats.memory_peak, 64 * MIB);
    epoch_free(&seen);
    leat_close(loader);
}
END_TEST

/* Everything fills up to its bound, and no further. */
START_TEST(a_consumer_that_never_reads)
{
    static const size_t sizes[] = {200000};
    make_hollow(16, 100, sizes, 1);
    leat_config config = hollow_config(limits[_i]);
    size_t before = rss_bytes();
    reset_peak_rss();
    leat_loader *loader;
    leat_error error;
    ck_leat(leat_open(&config, &loader, &error));
    leat_statistics stats = {0};
    uint64_t last = 1;
    for (int still = 0; still < 10; last = stats.bytes_read) {
        poll(NULL, 0, 20);
        ck_assert_int_eq(leat_stats(loader, &stats), LEAT_OK);
        still = stats.bytes_read == last ? still + 1 : 0;
    }
    ck_assert_uint_gt(stats.bytes_read, 4 * MIB);
    ck_assert_uint_lt(stats.bytes_read, limits[_i]);
    measured m = {.peak = stats.memory_peak, .rss_growth = peak_rss_bytes() - before};
    assert_within(&m, limits[_i]);
    leat_close(loader);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory");
    TCase *tests = tcase_create("memory");
    tcase_add_checked_fixture(tests, scratch_begin, scratch_end);
    tcase_set_timeout(tests, 200);
    tcase_add_loop_test(tests, shards_of_large_and_small_samples, 0, 6);
    tcase_add_loop_test(tests, photographs_from_shards_and_folders, 0, 12);
    tcase_add_loop_test(tests, compressed_shards, 0, 2);
    tcase_add_test(tests, a_shard_larger_than_the_limit_is_streamed);
    tcase_add_loop_test(tests, a_sample_over_its_lane_s_share_is_refused, 0, 2);
    tcase_add_test(tests, a_loose_file_over_its_share_is_refused);
    tcase_add_test(tests, bytes_of_one_batch_over_their_share_are_an_error);
    tcase_add_test(tests, windows_are_cut_rather_than_overfull);
    tcase_add_loop_test(tests, a_consumer_that_never_reads, 0, 2);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
