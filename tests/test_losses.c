/* test_losses.c - shards with an index that cannot be read, or are others than it says: their places stay empty, nothing moves. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/opening.h"
#include "stages/indexfile.h"
#include "trails.h"

enum { SHARDS = 5, EACH = 24, SAMPLES = SHARDS * EACH, BROKEN = 2 };

/* ---- the set ---- */

/* Five shards of 24; the middle one is what breaks. pad: 3000 bytes of it, or enough that groups are of a few samples. */
static void make_five(data_set *set, set_kind kind, unsigned pad)
{
    *set = (data_set){.name = "s", .kind = SET_TAR, .shards = SHARDS, .samples = SAMPLES};
    snprintf(set->source, sizeof set->source, "%s", at("s"));
    ck_assert_int_eq(mkdir(set->source, 0777), 0);
    for (unsigned s = 0; s < SHARDS; s++) {
        set->first[s] = s * EACH;
        set->counts[s] = EACH;
        FILE *shard = shard_begin(set_shard(set, s));
        for (unsigned i = 0; i < EACH; i++) set_add_sample(shard, "s", s * EACH + i, pad);
        shard_end(shard);
    }
    if (kind != SET_TAR) set_pack(set, kind);
    set_index(set);
    set_by_range(set);
}

static bool is_of_broken(const char *key)
{
    return atoi(key + 1) / EACH == BROKEN;
}

static leat_config loss_config(const data_set *set)
{
    leat_config config = small_config(set->source);
    config.fields = text_fields;
    config.field_count = 2;
    config.map = draw_into_label;
    config.world = 1;
    config.batch_size = 7;
    config.lanes = 2;
    config.shuffle_window = 10;
    config.epochs = 2;
    config.memory_limit = 32 << 20;
    return config;
}

/* ---- damage ---- */

static void overwrite(const char *path, long offset, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "r+");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, offset, SEEK_SET), 0);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

/* Offset of a sample of 3000 bytes of pad in its shard: three headers, texts of under 512 bytes, six blocks. */
enum { SAMPLE_BYTES = 3 * 512 + 2 * 512 + 6 * 512 };

static void lose(const char *path)
{
    ck_assert_int_eq(remove(path), 0);
}

static void cut(const char *path)
{
    ck_assert_int_eq(truncate(path, 9 * SAMPLE_BYTES + 700), 0);
}

static void break_header(const char *path)
{
    overwrite(path, 9 * SAMPLE_BYTES + 150, "x", 1);
}

static void change_head(const char *path)
{
    overwrite(path, 600, "another", 7);
}

static void replace(const char *path)
{
    write_text(path, "something else altogether");
}

static void make_folder(const char *path)
{
    lose(path);
    ck_assert_int_eq(mkdir(path, 0777), 0);
}

static void empty(const char *path)
{
    write_text(path, "");
}

static void cut_packed(const char *path)
{
    struct stat info;
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(truncate(path, info.st_size / 2), 0);
}

typedef struct damage {
    set_kind kind;
    void (*make)(const char *path);
    leat_code code;
    const char *stage, *words;
    int lost;           /* samples of the shard; -1: some */
} damage;

static const damage damages[] = {
    {SET_TAR, lose, LEAT_ENOTFOUND, "fetch", "cannot open the file", EACH},
    {SET_TAR, cut, LEAT_ECHANGED, "fetch", "the index says", EACH},
    {SET_TAR, break_header, LEAT_ECORRUPT, "unpack", "", -1},
    {SET_TAR, change_head, LEAT_ECHANGED, "fetch", "begins otherwise than the index says", EACH},
    {SET_TAR, replace, LEAT_ECHANGED, "fetch", "the index says", EACH},
    {SET_TAR, make_folder, LEAT_EUNSUPPORTED, "fetch", "not a regular file", EACH},
    {SET_TAR, empty, LEAT_ECHANGED, "fetch", "the index says", EACH},
    {SET_ZST, lose, LEAT_ENOTFOUND, "fetch", "cannot open the file", EACH},
    {SET_ZST, cut_packed, LEAT_ECHANGED, "fetch", "the index says", EACH},
    {SET_GZ, replace, LEAT_ECHANGED, "fetch", "the index says", EACH},
};
enum { DAMAGES = sizeof damages / sizeof *damages };

/* Damages at the first step of the first stage: behind what is looked at when opening, before anything is read. */
typedef struct breaker {
    const damage *how;
    char path[256];
    bool done;
    rough_world rough;
    leat__env env;
} breaker;

static uint64_t break_at_first(void *user, const char *stage)
{
    breaker *b = user;
    if (!b->done) b->how->make(b->path);
    b->done = true;
    return b->rough.env.delay_ns(&b->rough, stage);
}

static uint64_t now(void *user)
{
    return ((breaker *)user)->rough.env.now_ns(user);
}

static uint64_t any(void *user)
{
    return ((breaker *)user)->rough.env.random(&((breaker *)user)->rough);
}

static size_t pick(void *user, size_t count)
{
    return ((breaker *)user)->rough.env.pick(&((breaker *)user)->rough, count);
}

static void breaker_init(breaker *b, const data_set *set, const damage *how, uint64_t seed)
{
    *b = (breaker){.how = how, .env = {.now_ns = now, .random = any, .pick = pick, .delay_ns = break_at_first, .user = b}};
    snprintf(b->path, sizeof b->path, "%s", set_shard(set, BROKEN));
    rough_world_init(&b->rough, seed);
    b->rough.one_in = 40;
}

/* ---- comparing ---- */

/* Batch by batch: rows of the broken shard may be missing, all others are there with the same bytes. Gives how many are missing. */
static size_t compare_skipped(const trail *clean, size_t from, const trail *t)
{
    size_t missing = 0;
    ck_assert_uint_eq(t->count, clean->count - from);
    for (size_t m = 0; m < t->count; m++) {
        const mark *a = &clean->marks[from + m], *b = &t->marks[m];
        size_t k = 0;
        for (size_t i = 0; i < a->rows; i++) {
            const row_seen *its = &clean->seen.rows[a->first + i], *mine = &t->seen.rows[b->first + k];
            bool there = k < b->rows && strcmp(mine->key, its->key) == 0;
            ck_assert_msg(there || is_of_broken(its->key), "%s is not in step %llu of epoch %llu", its->key,
                          (unsigned long long)a->step, (unsigned long long)a->epoch);
            if (there) ck_assert_uint_eq(mine->print, its->print);
            k += there;
        }
        ck_assert_uint_eq(k, b->rows);
        ck_assert_uint_eq(b->missing, a->rows - b->rows);
        ck_assert(a->epoch == b->epoch && a->step == b->step);
        missing += b->missing;
    }
    return missing;
}

static size_t compare_substituted(const trail *clean, size_t from, const trail *t)
{
    size_t marked = 0;
    ck_assert_uint_eq(t->count, clean->count - from);
    for (size_t m = 0; m < t->count; m++) {
        const mark *a = &clean->marks[from + m], *b = &t->marks[m];
        if (b->missing) { /* not one good row to repeat */
            ck_assert(b->rows == 0 && b->missing == a->rows);
            marked += b->missing;
            continue;
        }
        ck_assert_uint_eq(a->rows, b->rows);
        for (size_t i = 0; i < a->rows; i++) {
            const row_seen *its = &clean->seen.rows[a->first + i], *mine = &t->seen.rows[b->first + i];
            marked += mine->substituted;
            if (mine->substituted) ck_assert(is_of_broken(its->key));
            else ck_assert(strcmp(mine->key, its->key) == 0 && mine->print == its->print);
        }
    }
    return marked;
}

/* What is listed: one failure for each epoch in which the shard is read. */
static void check_errors(leat_loader *loader, const breaker *b, unsigned epochs)
{
    leat_error errors[8];
    uint64_t count = leat_errors(loader, errors, 8);
    for (uint64_t i = 0; i < count && i < 8; i++) {
        ck_assert_msg(errors[i].code == b->how->code, "%s: %s", leat_code_name(errors[i].code), errors[i].message);
        ck_assert_str_eq(errors[i].shard, b->path);
        ck_assert_msg(strstr(errors[i].message, b->how->words) != NULL, "%s", errors[i].message);
        ck_assert_str_eq(errors[i].stage, b->how->stage);
    }
    if (b->how->lost > 0)
        ck_assert_msg(count <= epochs && count >= 1, "%llu failures in %u epochs; the last: %s", (unsigned long long)count, epochs,
                      errors[count < 8 ? count - 1 : 7].message);
}

/* From a mark of the clean run on (SIZE_MAX: from its beginning, before which the damage comes). */
static void run_broken(const leat_config *config, const damage *how, const data_set *set, const trail *clean, size_t from)
{
    breaker b;
    leat_config own = *config;
    leat_loader *loader;
    leat_error error;
    trail t = {0};
    breaker_init(&b, set, how, from);
    own.resume = from ? clean->marks[from - 1].state : NULL;
    run_tool("cp", "-r", at("s"), at("kept"), NULL);
    ck_leat(leat__open_in(&own, &b.env, &loader, &error));
    unsigned ends = trail_ends(clean, from);
    trail_take(&t, loader, ends);
    ck_assert_msg(t.code == LEAT_END, "%s", t.error.message);
    bool substitutes = config->on_error == LEAT_ON_ERROR_SUBSTITUTE;
    size_t gone = substitutes ? compare_substituted(clean, from, &t) : compare_skipped(clean, from, &t), all = 0;
    for (size_t m = from; m < clean->count; m++)
        for (size_t i = 0; i < clean->marks[m].rows; i++) all += is_of_broken(clean->seen.rows[clean->marks[m].first + i].key);
    ck_assert_uint_le(gone, all);
    if (how->lost > 0) ck_assert_uint_eq(gone, all);
    if (how->lost < 0 && from == 0) ck_assert(gone > 0 && gone < all);
    if (gone) check_errors(loader, &b, ends);
    ck_assert_uint_eq(t.stats.samples, t.seen.count - t.seen.substituted);
    leat_close(loader);
    trail_free(&t);
    run_tool("rm", "-r", at("s"), NULL);
    run_tool("mv", at("kept"), at("s"), NULL);
}

/* ---- the tests ---- */

START_TEST(only_rows_of_the_broken_shard_are_lost)
{
    const damage *how = &damages[_i / 3];
    data_set set;
    trail clean = {.saves = true};
    make_five(&set, how->kind, 3000);
    leat_config config = loss_config(&set);
    if (_i % 3 == 1) config.on_error = LEAT_ON_ERROR_SUBSTITUTE;
    if (_i % 3 == 2) config.order = LEAT_ORDER_SEQUENTIAL;
    trail_run(&clean, &config, NULL);
    ck_assert_uint_eq(clean.seen.count, 2 * SAMPLES);
    run_broken(&config, how, &set, &clean, 0);
    for (size_t m = 1; m + 1 < clean.count; m += SANITIZED ? 9 : 3) run_broken(&config, how, &set, &clean, m);
    trail_free(&clean);
}
END_TEST

START_TEST(stop_ends_the_run_at_the_first_lost_place)
{
    data_set set;
    trail clean = {0}, t = {0};
    make_five(&set, _i ? SET_ZST : SET_TAR, 3000);
    leat_config config = loss_config(&set);
    trail_run(&clean, &config, NULL);
    lose(set_shard(&set, BROKEN));
    config.on_error = LEAT_ON_ERROR_STOP;
    trail_run(&t, &config, NULL);
    ck_assert_int_eq(t.code, LEAT_ENOTFOUND);
    ck_assert_str_eq(t.error.shard, set_shard(&set, BROKEN));
    ck_assert_ptr_nonnull(strstr(t.error.message, "; stopped"));
    size_t m = 0, i = 0;
    while (i < clean.seen.count && !is_of_broken(clean.seen.rows[i].key)) i++;
    for (; m < t.count; m++) ck_assert_str_eq(t.marks[m].digest, clean.marks[m].digest);
    ck_assert_uint_eq(m, i / config.batch_size); /* every batch before it was delivered */
    trail_free(&clean);
    trail_free(&t);
}
END_TEST

START_TEST(max_errors_counts_shards)
{
    data_set set;
    trail t = {0};
    make_five(&set, _i ? SET_ZST : SET_TAR, 60000); /* groups of a few samples */
    leat_config config = loss_config(&set);
    config.epochs = 1;
    config.max_errors = 2;
    lose(set_shard(&set, 1));
    lose(set_shard(&set, 2));
    trail_run(&t, &config, NULL);
    ck_assert_msg(t.code == LEAT_END, "%s", t.error.message);
    ck_assert_uint_eq(t.stats.errors, 2);
    ck_assert_uint_eq(t.seen.missing, 2 * EACH);
    trail_free(&t);
    lose(set_shard(&set, 3));
    trail_run(&t, &config, NULL);
    ck_assert_int_eq(t.code, LEAT_ETOOMANY);
    ck_assert_ptr_nonnull(strstr(t.error.message, "3 failures, more than max_errors (2); the first: "));
    trail_free(&t);
}
END_TEST

/* ---- samples ---- */

static int refuse_some(void *user, leat_row *row, char *reason, size_t bytes)
{
    (void)user;
    snprintf(reason, bytes, "odd one");
    return atoi(leat_row_key(row) + 1) / EACH == BROKEN && leat_row_index(row) % 3 == 1;
}

/* One that cannot be decoded, here: that a function refuses. */
START_TEST(samples_that_fail_shift_nothing)
{
    data_set set;
    trail clean = {.saves = true};
    make_five(&set, _i / 2 ? SET_ZST : SET_TAR, 3000);
    leat_config config = loss_config(&set);
    config.map = NULL;
    trail_run(&clean, &config, NULL);
    config.map = refuse_some;
    config.on_error = _i % 2 ? LEAT_ON_ERROR_SUBSTITUTE : LEAT_ON_ERROR_SKIP;
    for (size_t m = 0; m + 1 < clean.count; m++) {
        trail t = {0};
        leat_loader *loader;
        leat_error error, errors[2 * EACH];
        config.resume = m ? clean.marks[m - 1].state : NULL;
        ck_leat(leat_open(&config, &loader, &error));
        trail_take(&t, loader, trail_ends(&clean, m));
        size_t gone = _i % 2 ? compare_substituted(&clean, m, &t) : compare_skipped(&clean, m, &t);
        ck_assert_uint_eq(leat_errors(loader, errors, 2 * EACH), gone);
        if (m == 0) ck_assert_uint_eq(gone, 2 * EACH / 3);
        if (gone) ck_assert_int_eq(errors[0].code, LEAT_EUSER);
        leat_close(loader);
        trail_free(&t);
    }
    trail_free(&clean);
}
END_TEST

/* ---- indexes that are wrong ---- */

static leat_code put(void *user, const void *data, size_t size, leat_error *error)
{
    (void)error;
    ck_assert_uint_eq(fwrite(data, 1, size, user), size);
    return LEAT_OK;
}

/* Writes the index anew as it is, but that the broken shard has more or fewer samples: at its end, or one of them in two halves. */
static void recount(int more, bool places)
{
    leat__index_file *file;
    leat__index_row rows[SHARDS];
    uint64_t bytes[EACH + 1];
    uint32_t units[SHARDS][EACH + 8];
    leat_error error;
    ck_leat(leat__index_file_open(at("s/leat.index"), "it", &file, &error));
    FILE *out = fopen(at("new.index"), "w");
    for (size_t s = 0; s < SHARDS; s++) {
        leat__index_file_row(file, s, &rows[s]);
        if (places) {
            ck_leat(leat__index_file_places(file, s, 0, EACH, bytes, &error));
            for (size_t i = 0; i <= EACH; i++) units[s][i] = (uint32_t)(bytes[i] / 512);
            rows[s].places = units[s];
        }
    }
    rows[BROKEN].samples = (uint64_t)(EACH + more);
    if (more > 0) { /* its last sample's files are samples of their own: places 0, 2, 4 blocks on */
        units[BROKEN][EACH + more] = units[BROKEN][EACH];
        for (int i = 0; i < more; i++) units[BROKEN][EACH + i] = units[BROKEN][EACH - 1] + 2 * (uint32_t)(i + 1);
    }
    ck_leat(leat__index_file_write(rows, SHARDS, put, out, &error));
    fclose(out);
    leat__index_file_free(file);
    ck_assert_int_eq(rename(at("new.index"), at("s/leat.index")), 0);
}

/* The index says more samples than there are: their places stay empty. Fewer: what it does not know is not delivered. */
START_TEST(an_index_that_counts_wrongly)
{
    data_set set;
    trail t = {0};
    bool packed = _i % 2, more = _i / 2;
    make_five(&set, packed ? SET_ZST : SET_TAR, 3000);
    recount(more ? 2 : -2, !packed);
    leat_config config = loss_config(&set);
    config.epochs = 1;
    config.order = LEAT_ORDER_SEQUENTIAL;
    trail_run(&t, &config, NULL);
    ck_assert_msg(t.code == LEAT_END, "%s", t.error.message);
    ck_assert_uint_eq(t.stats.sources[0].counted, SAMPLES + (more ? 2 : -2));
    size_t others = 0;
    for (size_t i = 0; i < t.seen.count; i++) others += !is_of_broken(t.seen.rows[i].key);
    ck_assert_uint_eq(others, SAMPLES - EACH);
    ck_assert_uint_eq(t.seen.count + t.seen.missing, t.stats.sources[0].counted);
    if (packed || more) ck_assert_uint_ge(t.stats.errors, 1);
    if (packed) ck_assert_uint_eq(t.seen.missing, more ? 2 : 0);
    trail_free(&t);
    if (!packed && !more) return;
    config.on_error = LEAT_ON_ERROR_STOP; /* what the index does not know is said before the epoch's end, also by the last shard */
    trail stopped = {0};
    trail_run(&stopped, &config, NULL);
    ck_assert_msg(stopped.code == LEAT_ECHANGED, "%d %s", (int)stopped.code, stopped.error.message);
    trail_free(&stopped);
}
END_TEST

/* A block of places whose checksum is wrong: nothing says where the shard's samples are, so the run ends, whatever
 * on_error says. */
START_TEST(an_index_block_that_is_damaged)
{
    enum { BLOCK = (EACH + 1) * 4 + 4 }; /* of a shard: places and their checksum */
    data_set set;
    trail clean = {0}, t = {0};
    struct stat info;
    make_five(&set, SET_TAR, 3000);
    leat_config config = loss_config(&set);
    config.order = LEAT_ORDER_SEQUENTIAL;
    config.on_error = (leat_on_error)_i;
    trail_run(&clean, &config, NULL);
    ck_assert_int_eq(stat(at("s/leat.index"), &info), 0);
    overwrite(at("s/leat.index"), info.st_size - (SHARDS - BROKEN) * BLOCK + 50, "\xff\xff\xff", 3);
    trail_run(&t, &config, NULL);
    ck_assert_msg(t.code == LEAT_ECORRUPT, "%s", t.error.message);
    ck_assert_ptr_nonnull(strstr(t.error.message, "s/leat.index: the checksum of places is wrong"));
    ck_assert_uint_le(t.count, BROKEN * EACH / config.batch_size); /* those that were ready by then */
    for (size_t m = 0; m < t.count; m++) ck_assert_str_eq(t.marks[m].digest, clean.marks[m].digest);
    trail_free(&clean);
    trail_free(&t);
}
END_TEST

/* ---- a large one ---- */

/* A shard of a hundred thousand samples that is not there: empty places, counted, and no memory for each of them. */
START_TEST(a_large_shard_that_is_lost)
{
    enum { LARGE = 100000 };
    data_set set = {.name = "s", .kind = SET_TAR, .shards = 3, .samples = LARGE + 20};
    leat_error error;
    leat_loader *loader;
    trail t = {0};
    snprintf(set.source, sizeof set.source, "%s", at("s"));
    ck_assert_int_eq(mkdir(set.source, 0777), 0);
    for (unsigned s = 0; s < 3; s++) {
        FILE *shard = shard_begin(set_shard(&set, s));
        for (unsigned i = 0; i < (s == 1 ? LARGE : 10); i++) {
            char name[32];
            snprintf(name, sizeof name, "s%06u.txt", s * LARGE + i);
            shard_add_text(shard, name, "x");
        }
        shard_end(shard);
    }
    if (_i) set_pack(&set, SET_ZST);
    set_index(&set);
    set_by_range(&set);
    leat_config config = loss_config(&set);
    config.epochs = 1;
    config.batch_size = 1000;
    config.shuffle_window = 1000;
    config.epoch_samples = set.samples; /* needs the counts, so that they are kept although the windows take much of the memory */
    lose(set_shard(&set, 1));
    reset_peak_rss();
    size_t before = rss_bytes();
    ck_leat(leat_open(&config, &loader, &error));
    trail_take(&t, loader, 1);
    ck_assert_msg(t.code == LEAT_END, "%s", t.error.message);
    ck_assert_uint_eq(t.seen.count, 20);
    ck_assert_uint_eq(t.seen.missing, LARGE);
    ck_assert_uint_eq(t.stats.errors, 1);
    ck_assert_uint_le(t.stats.memory_peak, config.memory_limit);
    if (!SANITIZED) ck_assert_uint_lt(peak_rss_bytes(), before + config.memory_limit + (16 << 20));
    leat_close(loader);
    trail_free(&t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("losses");
    TCase *tests = tcase_create("losses");
    tcase_add_checked_fixture(tests, scratch_begin, scratch_end);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, only_rows_of_the_broken_shard_are_lost, 0, 3 * DAMAGES);
    tcase_add_loop_test(tests, stop_ends_the_run_at_the_first_lost_place, 0, 2);
    tcase_add_loop_test(tests, max_errors_counts_shards, 0, 2);
    tcase_add_loop_test(tests, samples_that_fail_shift_nothing, 0, 4);
    tcase_add_loop_test(tests, an_index_that_counts_wrongly, 0, 4);
    tcase_add_loop_test(tests, an_index_block_that_is_damaged, 0, 3);
    tcase_add_loop_test(tests, a_large_shard_that_is_lost, 0, 2);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
