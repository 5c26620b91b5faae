/* test_failures.c - shards and samples that cannot be read: what is named, what is delivered, and that nothing else moves. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loading.h"

enum { SHARDS = 4, EACH = 10, SAMPLES = SHARDS * EACH };

static leat_loader *open_loader(const leat_config *config)
{
    leat_loader *loader;
    leat_error error;
    ck_leat(leat_open(config, &loader, &error));
    return loader;
}

/* A run to its end, and what failed in it. */
typedef struct run {
    epoch_seen seen;
    leat_error errors[SAMPLES];
    uint64_t failed;
    leat_code code;
    leat_error error; /* why it stopped */
    leat_statistics stats;
} run;

static void run_loader(const leat_config *config, run *r)
{
    *r = (run){0};
    leat_loader *loader = open_loader(config);
    r->code = see_epoch(loader, &r->seen, &r->error);
    r->failed = leat_errors(loader, r->errors, SAMPLES);
    ck_assert_int_eq(leat_stats(loader, &r->stats), LEAT_OK);
    ck_assert_uint_eq(r->stats.errors, r->failed);
    ck_assert_uint_eq(r->stats.samples, r->seen.count - r->seen.substituted);
    leat_batch *batch;
    leat_error again;
    ck_assert_int_eq(leat_next(loader, &batch, &again), r->code); /* ends and errors stay */
    if (r->code != LEAT_END) ck_assert_str_eq(again.message, r->error.message);
    leat_close(loader);
}

static const row_seen *find_row(const epoch_seen *seen, const char *key)
{
    for (size_t i = 0; i < seen->count; i++)
        if (strcmp(seen->rows[i].key, key) == 0) return &seen->rows[i];
    return NULL;
}

/* The rows of `some` are rows of `all`, in the same order and batches, with the same bytes. */
static void assert_part_of(const epoch_seen *some, const epoch_seen *all)
{
    size_t k = 0;
    for (size_t i = 0; i < some->count; i++) {
        while (k < all->count && strcmp(all->rows[k].key, some->rows[i].key) != 0) k++;
        ck_assert_msg(k < all->count, "row %zu (%s) is not where it was", i, some->rows[i].key);
        ck_assert_uint_eq(some->rows[i].print, all->rows[k].print);
        ck_assert_uint_eq(some->rows[i].step, all->rows[k].step);
        k++;
    }
}

/* Overwrites bytes of a file. */
static void damage(const char *path, long offset, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "r+");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, offset, SEEK_SET), 0);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

/* Where a sample's photo begins in its shard, by the writer's arithmetic. */
static long photo_offset(unsigned g)
{
    long at_byte = 0;
    char text[64];
    for (unsigned i = g / EACH * EACH; i < g; i++) {
        sample_json(i, text);
        at_byte += 512 + ((long)photo_number(i)->size + 511) / 512 * 512 + 1024 + 512 + (text[0] ? 512 : 0) + 1024 + 1024;
    }
    return at_byte + 512;
}

static void break_photo(unsigned g)
{
    damage(at("train-%06u.tar", g / EACH), photo_offset(g), "not an image", 12);
}

/* What is said about a photo that break_photo has broken. */
static const char *told(unsigned g, const char *action)
{
    static char message[1024];
    snprintf(message, sizeof message, "%s: sample s%05u at byte %ld: image: neither JPEG nor PNG: %zu bytes that begin with "
             "6e 6f 74 20 61 6e 20 69; %s", at("train-%06u.tar", g / EACH), g, photo_offset(g), photo_number(g)->size, action);
    return message;
}

static bool is_broken(unsigned g)
{
    return g == 3 || g == 12 || g == 13 || g == 39;
}

static leat_config broken_photos(void)
{
    leat_config config = small_config(make_shards(SHARDS, EACH));
    for (unsigned g = 0; g < SAMPLES; g++)
        if (is_broken(g)) break_photo(g);
    config.shuffle_window = 4;
    return config;
}

static void clean_run(const leat_config *config, epoch_seen *seen)
{
    const char *braces = make_shards(SHARDS, EACH);
    ck_assert_str_eq(braces, config->source);
    see_all(config, NULL, seen);
    ck_assert_uint_eq(seen->count, SAMPLES);
}

/* ---- samples ---- */

START_TEST(skipped_samples_leave_the_others_alone)
{
    leat_config config = broken_photos();
    config.order = (leat_order)_i;
    run r;
    epoch_seen clean;
    run_loader(&config, &r);
    ck_assert_int_eq(r.code, LEAT_END);
    ck_assert_uint_eq(r.failed, 4);
    ck_assert_uint_eq(r.seen.missing, 4);
    ck_assert_uint_eq(r.seen.count, SAMPLES - 4);
    ck_assert_uint_eq(r.seen.batches, SAMPLES / 8);
    clean_run(&config, &clean);
    assert_part_of(&r.seen, &clean);
    for (unsigned i = 0, k = 0; i < clean.count; i++) {
        if (!is_broken((unsigned)clean.rows[i].label)) continue;
        ck_assert_str_eq(r.errors[k].key, clean.rows[i].key); /* listed in the order of the data */
        ck_assert_int_eq(r.errors[k].code, LEAT_EFORMAT);
        ck_assert_str_eq(r.errors[k].stage, "decode");
        ck_assert_ptr_null(find_row(&r.seen, clean.rows[i].key));
        k++;
    }
    epoch_free(&r.seen);
    epoch_free(&clean);
}
END_TEST

START_TEST(a_failure_is_told_in_one_sentence)
{
    leat_config config = small_config(make_shards(SHARDS, EACH));
    config.order = LEAT_ORDER_SEQUENTIAL;
    break_photo(13);
    damage(at("train-%06u.tar", 2), photo_offset(27) + 5000, "\xff\xd9", 2);
    run r;
    run_loader(&config, &r);
    ck_assert_uint_eq(r.failed, 2);
    ck_assert_str_eq(r.errors[0].message, told(13, "skipped (1 of at most 100)"));
    char expected[1024];
    snprintf(expected, sizeof expected, "%s: sample s00027 at byte %ld: JPEG: damaged (libjpeg: Corrupt JPEG data: premature end of "
             "data segment); skipped (2 of at most 100)", at("train-000002.tar"), photo_offset(27));
    ck_assert_str_eq(r.errors[1].message, expected);
    ck_assert_str_eq(r.errors[0].shard, at("train-000001.tar"));
    ck_assert_str_eq(r.errors[0].key, "s00013");
    ck_assert_uint_eq(r.errors[0].offset, (uint64_t)photo_offset(13));
    epoch_free(&r.seen);
}
END_TEST

START_TEST(stop_delivers_every_batch_before_the_failure)
{
    leat_config config = broken_photos();
    config.order = LEAT_ORDER_SEQUENTIAL;
    config.on_error = LEAT_ON_ERROR_STOP;
    config.batch_size = _i ? 3 : 2; /* sample 3 is the first broken one */
    config.threads = 4;
    run r;
    epoch_seen clean;
    run_loader(&config, &r);
    ck_assert_int_eq(r.code, LEAT_EFORMAT);
    ck_assert_uint_eq(r.seen.batches, 1);
    ck_assert_uint_eq(r.seen.count, config.batch_size);
    ck_assert_uint_eq(r.failed, 1);
    ck_assert_str_eq(r.error.key, "s00003");
    ck_assert_str_eq(r.error.message, told(3, "stopped"));
    clean_run(&config, &clean);
    assert_part_of(&r.seen, &clean);
    epoch_free(&r.seen);
    epoch_free(&clean);
}
END_TEST

/* The row of a failed sample repeats its nearest good neighbour in the batch, the earlier of two. */
START_TEST(substituted_rows_repeat_a_neighbour)
{
    leat_config config = broken_photos();
    config.order = LEAT_ORDER_SEQUENTIAL;
    config.on_error = LEAT_ON_ERROR_SUBSTITUTE;
    config.fields = all_fields;
    config.field_count = 5;
    run r;
    epoch_seen clean;
    run_loader(&config, &r);
    ck_assert_int_eq(r.code, LEAT_END);
    ck_assert_uint_eq(r.seen.count, SAMPLES);
    ck_assert_uint_eq(r.seen.missing, 0);
    ck_assert_uint_eq(r.seen.substituted, 4);
    ck_assert_uint_eq(r.failed, 4);
    clean_run(&config, &clean);
    for (unsigned i = 0; i < SAMPLES; i++) {
        unsigned from = i == 3 ? 2 : i == 12 ? 11 : i == 13 ? 14 : i == 39 ? 38 : i;
        ck_assert_str_eq(r.seen.rows[i].key, clean.rows[i].key);
        ck_assert_int_eq(r.seen.rows[i].substituted, from != i);
        ck_assert_uint_eq(r.seen.rows[i].print, clean.rows[from].print);
    }
    ck_assert_ptr_nonnull(strstr(r.errors[0].message, "; substituted (1 of at most 100)"));
    epoch_free(&r.seen);
    epoch_free(&clean);
}
END_TEST

START_TEST(a_batch_without_a_good_row_is_empty)
{
    leat_config config = small_config(make_shards(1, 6));
    config.order = LEAT_ORDER_SEQUENTIAL;
    config.batch_size = 2;
    config.on_error = _i ? LEAT_ON_ERROR_SUBSTITUTE : LEAT_ON_ERROR_SKIP;
    config.fields = all_fields;
    config.field_count = 5;
    break_photo(2);
    break_photo(3);
    leat_loader *loader = open_loader(&config);
    for (unsigned step = 0; step < 3; step++) {
        leat_batch *batch;
        leat_error error;
        ck_leat(leat_next(loader, &batch, &error));
        ck_assert_uint_eq(leat_batch_step(batch), step);
        ck_assert_uint_eq(leat_batch_rows(batch), step == 1 ? 0 : 2);
        ck_assert_uint_eq(leat_batch_missing(batch), step == 1 ? 2 : 0);
        ck_assert_int_eq(leat_batch_tensor(batch, "image")->shape[0], step == 1 ? 0 : 2);
        ck_assert_uint_eq(leat_batch_tensor(batch, "json")->offsets[0], 0);
        leat_release(batch);
    }
    leat_close(loader);
}
END_TEST

START_TEST(max_errors_stops_with_the_first_cause)
{
    leat_config config = broken_photos();
    config.order = LEAT_ORDER_SEQUENTIAL;
    config.max_errors = (uint64_t)_i + 1;
    config.on_error = LEAT_ON_ERROR_SKIP;
    run r;
    run_loader(&config, &r);
    char action[64], expected[1200];
    snprintf(action, sizeof action, "skipped (1 of at most %d)", _i + 1);
    const char *first = told(3, action);
    if (_i == 3) {
        ck_assert_int_eq(r.code, LEAT_END);
        ck_assert_uint_eq(r.failed, 4);
    } else {
        snprintf(expected, sizeof expected, "%d failures, more than max_errors (%d); the first: %s", _i + 2, _i + 1, first);
        ck_assert_int_eq(r.code, LEAT_ETOOMANY);
        ck_assert_str_eq(r.error.message, expected);
        ck_assert_str_eq(r.error.key, "s00003");
        ck_assert_uint_eq(r.failed, (uint64_t)_i + 2);
        static const size_t batches[] = {1, 1, 4}; /* samples 12, 13 and 39 are the last straw */
        ck_assert_uint_eq(r.seen.batches, batches[_i]);
    }
    ck_assert_str_eq(r.errors[0].message, first);
    epoch_free(&r.seen);
}
END_TEST

START_TEST(errors_without_limit)
{
    FILE *shard = shard_begin(at("a.tar"));
    for (unsigned i = 0; i < 1500; i++) {
        char name[32];
        snprintf(name, sizeof name, "%04u.jpg", i);
        shard_add_text(shard, name, "no image");
    }
    shard_end(shard);
    leat_config config = small_config(at("a.tar"));
    config.order = LEAT_ORDER_SEQUENTIAL;
    config.max_errors = LEAT_UNLIMITED;
    leat_loader *loader = open_loader(&config);
    epoch_seen seen = {0};
    ck_assert_int_eq(see_epoch(loader, &seen, NULL), LEAT_END);
    ck_assert_uint_eq(seen.count, 0);
    ck_assert_uint_eq(seen.missing, 1500);
    leat_error *errors = calloc(LEAT_ERRORS_KEPT + 1, sizeof *errors);
    ck_assert_uint_eq(leat_errors(loader, errors, LEAT_ERRORS_KEPT + 1), 1500);
    ck_assert_str_eq(errors[999].key, "0999");
    ck_assert_int_eq(errors[1000].code, LEAT_OK); /* not kept, not touched */
    ck_assert_ptr_null(strstr(errors[0].message, "of at most"));
    free(errors);
    epoch_free(&seen);
    leat_close(loader);
}
END_TEST

/* ---- fields and functions ---- */

START_TEST(a_sample_without_its_field_is_missing)
{
    make_shards(1, 3);
    FILE *shard = shard_begin(at("b.tar"));
    shard_add_sample(shard, 0);
    shard_add_text(shard, "lonely.txt", "5");
    shard_add(shard, "unlabelled.jpg", photo_number(1)->data, photo_number(1)->size);
    shard_add_text(shard, "worded.cls", "cat");
    shard_add(shard, "worded.jpg", photo_number(1)->data, photo_number(1)->size);
    shard_end(shard);
    leat_config config = small_config(at("b.tar"));
    config.order = LEAT_ORDER_SEQUENTIAL;
    config.fields = all_fields;
    config.field_count = 2;
    run r;
    run_loader(&config, &r);
    ck_assert_int_eq(r.code, LEAT_END);
    ck_assert_uint_eq(r.seen.count, 1);
    ck_assert_uint_eq(r.failed, 3);
    ck_assert_int_eq(r.errors[0].code, LEAT_EMISSING);
    ck_assert_int_eq(r.errors[1].code, LEAT_EMISSING);
    ck_assert_ptr_nonnull(strstr(r.errors[0].message, "no field 'jpg;png' for tensor \"image\"; the sample has txt; skipped"));
    ck_assert_ptr_nonnull(strstr(r.errors[1].message, "no field 'cls' for tensor \"label\"; the sample has jpg; skipped"));
    ck_assert_int_eq(r.errors[2].code, LEAT_EFORMAT);
    ck_assert_ptr_nonnull(strstr(r.errors[2].message, "sample worded at byte"));
    epoch_free(&r.seen);
}
END_TEST

/* Before the first array says what a batch is, a sample that fails has no place in one. */
START_TEST(samples_before_the_first_array)
{
    FILE *shard = shard_begin(at("a.tar"));
    shard_add(shard, "arrayless.jpg", photo_number(0)->data, photo_number(0)->size);
    shard_add_text(shard, "wordy.npy", "an array of words");
    for (unsigned g = 0; g < 3; g++) shard_add_sample(shard, g);
    shard_add_text(shard, "again.npy", "an array of words");
    shard_end(shard);
    static const leat_field field = {.tensor = "x", .names = "npy", .kind = LEAT_FIELD_ARRAY};
    leat_config config = small_config(at("a.tar"));
    config.order = LEAT_ORDER_SEQUENTIAL;
    config.on_error = LEAT_ON_ERROR_SUBSTITUTE;
    config.fields = &field;
    config.field_count = 1;
    run r;
    char expected[512];
    run_loader(&config, &r);
    ck_assert_int_eq(r.code, LEAT_END);
    ck_assert_uint_eq(r.failed, 3);
    ck_assert_uint_eq(r.seen.count, 6); /* those before the first array have rows too: nothing shifts */
    ck_assert_uint_eq(r.seen.substituted, 3);
    ck_assert_str_eq(r.seen.rows[0].key, "arrayless");
    ck_assert_str_eq(r.seen.rows[2].key, "s00000");
    ck_assert_str_eq(r.errors[0].stage, "decode");
    snprintf(expected, sizeof expected,
             "%s: sample arrayless at byte 0: no field 'npy' for tensor \"x\"; substituted (1 of at most 100)",
             at("a.tar"));
    ck_assert_str_eq(r.errors[0].message, expected);
    ck_assert_str_eq(r.errors[1].key, "wordy");
    ck_assert_ptr_nonnull(strstr(r.errors[1].message, "; substituted (2 of"));
    ck_assert_str_eq(r.errors[2].key, "again");
    ck_assert_ptr_nonnull(strstr(r.errors[2].message, "; substituted (3 of"));
    epoch_free(&r.seen);
}
END_TEST

static int refuse_some(void *user, leat_row *row, char *reason, size_t bytes)
{
    (void)user;
    int number = atoi(leat_row_key(row) + 1);
    if (!is_broken((unsigned)number)) return 0;
    if (number != 3) snprintf(reason, bytes, "number %d\x1b[31m is odd", number);
    return number;
}

START_TEST(a_function_that_refuses_rows)
{
    leat_config config = small_config(make_shards(SHARDS, EACH));
    config.order = LEAT_ORDER_SEQUENTIAL;
    config.map = refuse_some;
    run r;
    epoch_seen clean;
    run_loader(&config, &r);
    config.map = NULL;
    clean_run(&config, &clean);
    ck_assert_int_eq(r.code, LEAT_END);
    ck_assert_uint_eq(r.failed, 4);
    ck_assert_uint_eq(r.seen.count, SAMPLES - 4);
    assert_part_of(&r.seen, &clean);
    ck_assert_int_eq(r.errors[1].code, LEAT_EUSER);
    ck_assert_int_eq(r.errors[1].system, 12);
    ck_assert_str_eq(r.errors[1].stage, "map");
    ck_assert_ptr_nonnull(strstr(r.errors[0].message, "the map function refused it: no reason given; skipped (1 of"));
    ck_assert_ptr_nonnull(strstr(r.errors[1].message, "the map function refused it: number 12\\x1b[31m is odd; skipped (2 of"));
    epoch_free(&r.seen);
    epoch_free(&clean);
}
END_TEST

/* ---- shards ---- */

static void break_nothing(void)
{
}

static void truncate_shard(void)
{
    ck_assert_int_eq(truncate(at("train-000001.tar"), photo_offset(14) + 100), 0);
}

static void put_garbage(void)
{
    char noise[5000];
    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (char)(i * 7919 >> 3);
    write_file(at("train-000001.tar"), noise, sizeof noise);
}

static void remove_shard(void)
{
    ck_assert_int_eq(remove(at("train-000001.tar")), 0);
}

static void break_header(void)
{
    damage(at("train-000001.tar"), photo_offset(15) - 512 + 150, "x", 1);
}

static void make_it_a_folder(void)
{
    remove_shard();
    ck_assert_int_eq(mkdir(at("train-000001.tar"), 0700), 0);
}

static void empty_shard(void)
{
    write_text(at("train-000001.tar"), "");
}

/* Compressed, and cut off or damaged in its middle. */
static void truncate_zstd(void)
{
    run_tool("zstd", "-q", at("train-000001.tar"), NULL);
    run_tool("mv", at("train-000001.tar.zst"), at("train-000001.tar"), NULL);
    ck_assert_int_eq(truncate(at("train-000001.tar"), 90000), 0);
}

static void truncate_gzip(void)
{
    run_tool("gzip", at("train-000001.tar"), NULL);
    run_tool("mv", at("train-000001.tar.gz"), at("train-000001.tar"), NULL);
    ck_assert_int_eq(truncate(at("train-000001.tar"), 90000), 0);
}

static const struct broken_shard {
    void (*make)(void);
    leat_code code;
    const char *stage;
    int left; /* of the shard's samples; -1: some */
} broken_shards[] = {
    {break_nothing, LEAT_OK, "", EACH},
    {truncate_shard, LEAT_ETRUNCATED, "unpack", 4},
    {put_garbage, LEAT_EFORMAT, "unpack", 0},
    {remove_shard, LEAT_ENOTFOUND, "fetch", 0},
    {break_header, LEAT_ECORRUPT, "unpack", 4}, /* the sample before it may not be whole: it goes too */
    {make_it_a_folder, LEAT_EUNSUPPORTED, "fetch", 0},
    {empty_shard, LEAT_ETRUNCATED, "unpack", 0},
    {truncate_zstd, LEAT_ETRUNCATED, "decompress", -1},
    {truncate_gzip, LEAT_ETRUNCATED, "decompress", -1},
};

/* Delivered + lost = planned; the failure stands for the rest of the shard and is counted once. */
START_TEST(a_broken_shard_loses_only_its_own_samples)
{
    const struct broken_shard *broken = &broken_shards[_i / 2];
    leat_config config = small_config(make_shards(SHARDS, EACH));
    config.order = (leat_order)(_i % 2);
    config.shuffle_window = 4;
    broken->make();
    run r, again;
    run_loader(&config, &r);
    ck_assert_int_eq(r.code, LEAT_END);
    unsigned counts[SHARDS] = {0};
    for (size_t i = 0; i < r.seen.count; i++) counts[r.seen.rows[i].label / EACH]++;
    for (unsigned s = 0; s < SHARDS; s++)
        if (s != 1) ck_assert_uint_eq(counts[s], EACH);
    if (broken->left >= 0) ck_assert_int_eq((int)counts[1], broken->left);
    if (broken->left == 4) ck_assert_str_eq(r.errors[0].key, "s00014");
    ck_assert_uint_eq(r.failed, broken->code != LEAT_OK);
    if (r.failed) {
        ck_assert_msg(r.errors[0].code == broken->code, "%s: %s", leat_code_name(r.errors[0].code), r.errors[0].message);
        ck_assert_str_eq(r.errors[0].stage, broken->stage);
        ck_assert_str_eq(r.errors[0].shard, at("train-000001.tar"));
        ck_assert_ptr_nonnull(strstr(r.errors[0].message, "; the rest of it skipped (1 of at most 100)"));
    }
    config.threads = 1;
    run_loader(&config, &again);
    ck_assert_str_eq(again.seen.hash, r.seen.hash);
    epoch_free(&again.seen);
    epoch_free(&r.seen);
}
END_TEST

/* In order, what comes before and beside a broken shard stays; rows after it move up by what is lost. */
START_TEST(rows_of_other_shards_keep_their_bytes)
{
    const struct broken_shard *broken = &broken_shards[_i];
    leat_config config = small_config(make_shards(SHARDS, EACH));
    config.image.crop = LEAT_CROP_RANDOM_RESIZED;
    config.image.flip = true;
    broken->make();
    run r;
    epoch_seen clean;
    run_loader(&config, &r);
    if (broken->make == make_it_a_folder) ck_assert_int_eq(remove(at("train-000001.tar")), 0);
    clean_run(&config, &clean);
    for (size_t i = 0; i < r.seen.count; i++) {
        const row_seen *row = find_row(&clean, r.seen.rows[i].key);
        ck_assert_ptr_nonnull(row);
        ck_assert_uint_eq(row->print, r.seen.rows[i].print);
    }
    epoch_free(&r.seen);
    epoch_free(&clean);
}
END_TEST

START_TEST(a_missing_shard_stops_the_run_if_asked)
{
    leat_config config = small_config(make_shards(SHARDS, EACH));
    config.on_error = LEAT_ON_ERROR_STOP;
    config.order = LEAT_ORDER_SEQUENTIAL;
    remove_shard();
    run r;
    char expected[512];
    run_loader(&config, &r);
    ck_assert_int_eq(r.code, LEAT_ENOTFOUND);
    ck_assert_uint_eq(r.seen.count, 8);
    snprintf(expected, sizeof expected, "%s: cannot open the file: No such file or directory; stopped", at("train-000001.tar"));
    ck_assert_str_eq(r.error.message, expected);
    epoch_free(&r.seen);
}
END_TEST

/* Epochs without end over nothing but a broken shard: max_errors ends them. */
START_TEST(nothing_good_for_ever)
{
    write_text(at("train-000001.tar"), "not even a block");
    leat_config config = small_config(at("train-000001.tar"));
    config.epochs = 0;
    config.max_errors = 5;
    leat_loader *loader = open_loader(&config);
    leat_batch *batch;
    leat_error error;
    leat_code code;
    int ends = 0;
    while ((code = leat_next_timeout(loader, 20000, &batch, &error)) == LEAT_END) ends++;
    ck_assert_int_eq(code, LEAT_ETOOMANY);
    ck_assert_int_eq(ends, 5);
    ck_assert_uint_eq(leat_errors(loader, NULL, 0), 6);
    leat_close(loader);
}
END_TEST

/* ---- loose files ---- */

START_TEST(loose_files_that_cannot_be_read_leave_their_places_empty)
{
    run_tool("cp", "-r", LEAT_PHOTOS, at("photos"), NULL);
    leat_config config = small_config(at("photos"));
    config.on_error = (leat_on_error)(_i ? LEAT_ON_ERROR_SUBSTITUTE : LEAT_ON_ERROR_SKIP);
    run r;
    epoch_seen clean;
    see_all(&config, NULL, &clean);
    write_text(at("photos/bird/owl.jpg"), "hoo");
    write_text(at("photos/fruit/kiwi.png"), "");
    ck_assert_int_eq(truncate(at("photos/mammal/cow.jpg"), 2000), 0);
    ck_assert_int_eq(remove(at("photos/flower/rose.png")), 0);
    ck_assert_int_eq(symlink("/nowhere", at("photos/flower/rose.png")), 0);
    run_loader(&config, &r);
    ck_assert_int_eq(r.code, LEAT_END);
    ck_assert_uint_eq(r.failed, 4);
    ck_assert_uint_eq(r.seen.missing, _i ? 0 : 4);
    ck_assert_uint_eq(r.seen.substituted, _i ? 4 : 0);
    if (!_i) assert_part_of(&r.seen, &clean);
    for (size_t i = 0; _i && i < clean.count; i++) {
        ck_assert_str_eq(r.seen.rows[i].key, clean.rows[i].key);
        if (!r.seen.rows[i].substituted) ck_assert_uint_eq(r.seen.rows[i].print, clean.rows[i].print);
    }
    char path[256];
    for (size_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(r.errors[i].offset, UINT64_MAX);
        snprintf(path, sizeof path, "%s/photos/", scratch);
        ck_assert_int_eq(strncmp(r.errors[i].message, path, strlen(path)), 0);
    }
    epoch_free(&r.seen);
    epoch_free(&clean);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("failures");
    TCase *tests = tcase_create("failures");
    tcase_add_checked_fixture(tests, scratch_begin, scratch_end);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, skipped_samples_leave_the_others_alone, 0, 2);
    tcase_add_test(tests, a_failure_is_told_in_one_sentence);
    tcase_add_loop_test(tests, stop_delivers_every_batch_before_the_failure, 0, 2);
    tcase_add_test(tests, substituted_rows_repeat_a_neighbour);
    tcase_add_loop_test(tests, a_batch_without_a_good_row_is_empty, 0, 2);
    tcase_add_loop_test(tests, max_errors_stops_with_the_first_cause, 0, 4);
    tcase_add_test(tests, errors_without_limit);
    tcase_add_test(tests, a_sample_without_its_field_is_missing);
    tcase_add_test(tests, samples_before_the_first_array);
    tcase_add_test(tests, a_function_that_refuses_rows);
    tcase_add_loop_test(tests, a_broken_shard_loses_only_its_own_samples, 0, 2 * sizeof broken_shards / sizeof *broken_shards);
    tcase_add_loop_test(tests, rows_of_other_shards_keep_their_bytes, 0, sizeof broken_shards / sizeof *broken_shards);
    tcase_add_test(tests, a_missing_shard_stops_the_run_if_asked);
    tcase_add_test(tests, nothing_good_for_ever);
    tcase_add_loop_test(tests, loose_files_that_cannot_be_read_leave_their_places_empty, 0, 2);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
