/* test_counted.c - random data sets and settings: one sequence of batches, whoever reads them, from wherever it goes on. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loader/opening.h"
#include "trails.h"

/* A set of any kind for a case; mostly indexed. */
static bool random_set(data_set *set, dice *d)
{
    unsigned most = getenv("LEAT_MORE_CASES") && chance(d, 4) ? 300 : 60, shards = chance(d, 3) ? 1 + roll(d, 40) : 1 + roll(d, 8);
    set_kind kind = (set_kind)roll(d, SET_KINDS);
    set_make(set, "s", kind, d, shards, chance(d, 4) ? 5 : most);
    if (kind != SET_FOLDER && chance(d, 4)) return false;
    set_index(set);
    return true;
}

/* One rank forgets the counts of shards that are read whole, rather than fail, where their windows will not fit (loader/plan.c). */
static bool may_forget(const data_set *set)
{
    return set->kind == SET_ZST || set->kind == SET_GZ || set->kind == SET_MIXED;
}

static void new_folder(void)
{
    scratch_end();
    scratch_begin();
}

/* ---- what must not matter ---- */

static void check_each_once(const trail *t, const data_set *set)
{
    uint8_t *seen = calloc(set->samples, 1);
    for (size_t i = 0, m = 0; i < t->seen.count; i++) {
        while (m < t->count && i >= t->marks[m].first + t->marks[m].rows) m++;
        unsigned g = (unsigned)atoi(strrchr(t->seen.rows[i].key, 's') + 1);
        ck_assert_uint_lt(g, set->samples);
        ck_assert_msg(!(seen[g] & 1u << (t->marks[m].epoch % 8)), "sample %u came twice in epoch %llu", g,
                      (unsigned long long)t->marks[m].epoch);
        seen[g] |= (uint8_t)(1u << (t->marks[m].epoch % 8));
    }
    free(seen);
}

START_TEST(nothing_matters_but_data_and_settings)
{
    for (unsigned n = 0; n < case_count(6); n++) {
        dice d = {.state = (uint64_t)_i * 1000 + n};
        data_set set;
        trail expected = {0};
        bool counted = random_set(&set, &d);
        leat_config config = random_config(&set, counted, &d);
        trail_run(&expected, &config, NULL);
        ck_assert_msg(expected.code == LEAT_END, "case %u: %s", n, expected.error.message);
        if (!counted || !may_forget(&set)) ck_assert_int_eq(expected.stats.indexed, counted);
        else ck_assert(expected.stats.indexed || expected.stats.memory_limit < 1 << 30); /* samples are small */
        if (!config.epoch_samples && config.remainder != LEAT_REMAINDER_PAD) check_each_once(&expected, &set);
        if (config.remainder == LEAT_REMAINDER_SHORT && !config.limit && !config.epoch_samples)
            ck_assert_uint_eq(expected.seen.count, set.samples * config.epochs);
        for (int k = 0; k < 4; k++) {
            trail t = {0};
            rough_world world;
            random_world(&world, expected.seen.count, &d);
            random_resources(&config, counted, &d);
            trail_run(&t, &config, k % 2 ? &world.env : NULL);
            bool packed = counted && may_forget(&set);
            if (!(packed && (trail_lacked_memory(&t) || expected.stats.windows_cut))) assert_goes_on(&expected, 0, &t);
            trail_free(&t);
        }
        trail_free(&expected);
        new_folder();
    }
}
END_TEST

/* Compressed or not, indexed or not: where no window is cut, all the same. */
START_TEST(index_and_compression_do_not_matter)
{
    static const set_kind kinds[] = {SET_MIXED, SET_ZST, SET_GZ};
    for (unsigned n = 0; n < case_count(4); n++) {
        dice d = {.state = 7000 + (uint64_t)_i * 100 + n};
        data_set set;
        trail expected = {0};
        set_make(&set, "s", SET_TAR, &d, 1 + roll(&d, 12), 40);
        leat_config config = random_config(&set, false, &d);
        trail_run(&expected, &config, NULL);
        ck_assert_uint_eq(expected.stats.windows_cut, 0);
        ck_assert_int_eq(expected.stats.indexed, false);
        for (int k = 0; k < 4; k++) {
            trail t = {0};
            if (k == 1) set_pack(&set, kinds[_i]);
            if (k == 2) run_tool("rm", at("s/leat.index"), NULL);
            if (k == 0 || k == 3) set_index(&set);
            random_resources(&config, false, &d);
            config.index = k == 1 ? "none" : NULL;
            trail_run(&t, &config, NULL);
            if (k != 3 || !may_forget(&set)) ck_assert_int_eq(t.stats.indexed, k == 0 || k == 3);
            else ck_assert(t.stats.indexed || t.stats.memory_limit < 1 << 30);
            assert_goes_on(&expected, 0, &t);
            trail_free(&t);
        }
        trail_free(&expected);
        new_folder();
    }
}
END_TEST

/* With an index no memory cuts a window; without one it does, so that the test is one. */
START_TEST(an_index_keeps_windows_whole)
{
    dice d = {.state = 5};
    data_set set;
    trail large = {0}, small = {0}, cut = {0};
    do {
        new_folder();
        set_make(&set, "s", SET_TAR, &d, 6, 60);
    } while (set.samples < 150);
    for (unsigned s = 0; s < set.shards; s++) {
        FILE *shard = shard_begin(set_shard(&set, s));
        for (unsigned i = 0; i < set.counts[s]; i++) set_add_sample(shard, "s", set.first[s] + i, 60000);
        shard_end(shard);
    }
    set_index(&set);
    leat_config config = small_config(set.source);
    config.fields = text_fields;
    config.field_count = 2;
    config.world = 1;
    config.shuffle_window = 1000;
    config.lanes = 3;
    config.memory_limit = 1024 << 20;
    trail_run(&large, &config, NULL);
    config.memory_limit = 32 << 20;
    trail_run(&small, &config, NULL);
    assert_goes_on(&large, 0, &small);
    ck_assert_uint_eq(small.stats.windows_cut, 0);
    ck_assert_uint_le(small.stats.memory_peak, config.memory_limit);
    config.index = "none";
    trail_run(&cut, &config, NULL);
    ck_assert_uint_gt(cut.stats.windows_cut, 0);
    ck_assert_uint_eq(cut.seen.count, set.samples);
    trail_free(&large);
    trail_free(&small);
    trail_free(&cut);
}
END_TEST

/* ---- ranks ---- */

/* A config whose last batch no world of up to 7 would drop: with remainder short, fewer rows than ranks are. */
static leat_config config_for_ranks(const data_set *set, dice *d)
{
    leat_config config;
    uint64_t rest;
    do {
        config = random_config(set, true, d);
        uint64_t length = config.epoch_samples ? config.epoch_samples : set->samples;
        if (config.limit && config.limit < length) length = config.limit;
        rest = length % config.batch_size;
    } while (config.batch_size < 7 || (config.remainder == LEAT_REMAINDER_SHORT && rest && rest < 7));
    return config;
}

static void indexed_set(data_set *set, dice *d)
{
    do {
        new_folder();
        set_make(set, "s", (set_kind)roll(d, SET_KINDS), d, 1 + roll(d, 10), 40);
    } while (set->samples < 30);
    set_index(set);
}

START_TEST(ranks_share_each_global_batch)
{
    for (unsigned n = 0; n < case_count(3); n++) {
        dice d = {.state = 100 + (uint64_t)_i * 1000 + n};
        unsigned world = 2 + roll(&d, 6);
        data_set set;
        trail alone = {0}, ranks[7] = {{0}};
        leat_loader *loaders[7];
        indexed_set(&set, &d);
        leat_config config = config_for_ranks(&set, &d);
        trail_run(&alone, &config, NULL);
        ranks_open(&config, world, NULL, loaders);
        for (size_t m = 0; m < alone.count; m++) ranks_step(loaders, ranks, world, &alone, m);
        for (unsigned r = 0; r < world; r++) {
            leat_statistics stats;
            ck_assert_int_eq(leat_stats(loaders[r], &stats), LEAT_OK);
            ck_assert(stats.rank == r && stats.world == world && stats.indexed && strcmp(stats.launcher, "config") == 0);
            ck_assert_uint_eq(stats.steps * config.epochs, alone.count - config.epochs);
            ck_assert(stats.dropped == alone.stats.dropped && stats.padded == alone.stats.padded);
        }
        ranks_close(loaders, ranks, world);
        trail_free(&alone);
    }
}
END_TEST

/* Saved under one world, gone on with in another, then in a third. */
START_TEST(other_worlds_go_on_at_the_next_global_batch)
{
    for (unsigned n = 0; n < case_count(2); n++) {
        dice d = {.state = 200 + (uint64_t)_i * 1000 + n};
        data_set set;
        trail alone = {0};
        indexed_set(&set, &d);
        leat_config config = config_for_ranks(&set, &d);
        trail_run(&alone, &config, NULL);
        char state[LEAT_STATE_BYTES] = "";
        for (size_t m = 0; m < alone.count;) {
            unsigned world = 1 + roll(&d, 7);
            size_t until = m + 1 + roll(&d, 4);
            trail ranks[7] = {{0}};
            leat_loader *loaders[7];
            ranks_open(&config, world, *state ? state : NULL, loaders);
            for (unsigned r = 0; r < world; r++) ranks[r].saves = true;
            for (; m < until && m < alone.count; m++) ranks_step(loaders, ranks, world, &alone, m);
            const trail *any = &ranks[roll(&d, world)];
            memcpy(state, any->marks[any->count - 1].state, sizeof state);
            ranks_close(loaders, ranks, world);
        }
        trail_free(&alone);
    }
}
END_TEST

/* ---- resume ---- */

START_TEST(every_step_can_be_resumed)
{
    for (unsigned n = 0; n < case_count(3); n++) {
        dice d = {.state = 300 + (uint64_t)_i * 1000 + n};
        data_set set;
        trail all = {.saves = true};
        set_make(&set, "s", (set_kind)roll(&d, SET_KINDS), &d, 1 + roll(&d, 8), 20);
        bool counted = set.kind == SET_FOLDER || chance(&d, 2);
        if (counted) set_index(&set);
        leat_config config = random_config(&set, counted, &d);
        trail_run(&all, &config, NULL);
        ck_assert_int_eq(all.code, LEAT_END);
        assert_resumes(&config, &all, 0, all.begin);
        size_t stride = 1 + all.count / 40;
        for (size_t m = 0; m < all.count; m += stride) {
            random_resources(&config, counted && set.kind == SET_TAR, &d);
            assert_resumes(&config, &all, m + 1, all.marks[m].state);
        }
        if (all.count) assert_resumes(&config, &all, all.count, all.marks[all.count - 1].state);
        trail_free(&all);
        new_folder();
    }
}
END_TEST

/* Each of many loaders in a row delivers a few batches and is closed with others ready, beside one that is open all the time. */
START_TEST(a_chain_of_resumes)
{
    dice d = {.state = 400 + (uint64_t)_i};
    data_set set;
    trail all = {0}, beside = {0};
    set_make(&set, "s", (set_kind)_i, &d, 6, 40);
    if (_i % 2 == 0) set_index(&set);
    bool counted = _i % 2 == 0 || set.kind == SET_FOLDER;
    leat_config config = random_config(&set, counted, &d);
    trail_run(&all, &config, NULL);
    leat_loader *open, *loader;
    leat_error error;
    ck_leat(leat_open(&config, &open, &error));
    char state[LEAT_STATE_BYTES] = "";
    for (size_t m = 0; m < all.count;) {
        trail part = {.saves = true};
        leat_config own = config;
        own.resume = *state ? state : NULL;
        ck_leat(leat_open(&own, &loader, &error));
        for (size_t left = 1 + roll(&d, 5); left && m < all.count; left--, m++) {
            ck_assert(trail_step(&part, loader));
            ck_assert_str_eq(part.marks[part.count - 1].digest, all.marks[m].digest);
        }
        memcpy(state, part.marks[part.count - 1].state, sizeof state);
        leat_close(loader);
        trail_free(&part);
        if (beside.count < all.count) ck_assert(trail_step(&beside, open));
    }
    for (size_t m = 0; m < beside.count; m++) ck_assert_str_eq(beside.marks[m].digest, all.marks[m].digest);
    leat_close(open);
    trail_free(&beside);
    trail_free(&all);
}
END_TEST

/* The state without an index serves with one, and not the other way round. */
START_TEST(an_index_may_come_between)
{
    dice d = {.state = 500 + (uint64_t)_i};
    data_set set;
    trail all = {.saves = true}, indexed = {.saves = true};
    leat_loader *loader;
    leat_error error;
    set_make(&set, "s", _i % 2 ? SET_ZST : SET_TAR, &d, 5, 30);
    leat_config config = random_config(&set, false, &d);
    trail_run(&all, &config, NULL);
    set_index(&set);
    for (size_t m = 0; m < all.count; m++) assert_resumes(&config, &all, m + 1, all.marks[m].state);
    trail_run(&indexed, &config, NULL);
    config.index = "none";
    config.resume = indexed.marks[0].state;
    ck_assert_int_eq(leat_open(&config, &loader, &error), LEAT_EINVAL);
    ck_assert_ptr_nonnull(strstr(error.message, "saved with an index"));
    trail_free(&all);
    trail_free(&indexed);
}
END_TEST

/* ---- several threads ---- */

typedef struct saver {
    leat_loader *loader;
    _Atomic bool stop;
    char states[4000][LEAT_STATE_BYTES];
    size_t count;
} saver;

/* Saves again and again; keeps each state that differs from the one before. */
static void *save_in_a_loop(void *argument)
{
    saver *s = argument;
    leat_error error;
    char state[LEAT_STATE_BYTES];
    while (!atomic_load(&s->stop)) {
        if (leat_save(s->loader, state, sizeof state, &error)) return s;
        if (s->count && strcmp(state, s->states[s->count - 1]) == 0) continue;
        if (s->count < 4000) memcpy(s->states[s->count++], state, sizeof state);
    }
    return NULL;
}

START_TEST(saving_beside_the_consumer)
{
    dice d = {.state = 600};
    data_set set;
    trail all = {.saves = true}, t = {0};
    set_make(&set, "s", SET_TAR, &d, 8, 60);
    set_index(&set);
    leat_config config = random_config(&set, true, &d);
    config.batch_size = 4;
    config.epochs = 3;
    trail_run(&all, &config, NULL);
    saver *s = calloc(1, sizeof *s);
    leat_error error;
    pthread_t thread;
    void *failed;
    ck_leat(leat_open(&config, &s->loader, &error));
    ck_assert_int_eq(pthread_create(&thread, NULL, save_in_a_loop, s), 0);
    trail_take(&t, s->loader, 3);
    atomic_store(&s->stop, true);
    pthread_join(thread, &failed);
    ck_assert_ptr_null(failed);
    assert_goes_on(&all, 0, &t);
    ck_assert_uint_gt(s->count, 0);
    size_t m = 0;
    for (size_t i = 0; i < s->count; i++) { /* each is one of those between two batches, in their order */
        if (i == 0 && strcmp(s->states[0], all.begin) == 0) continue;
        while (m < all.count && strcmp(all.marks[m].state, s->states[i]) != 0) m++;
        ck_assert_msg(m < all.count, "no batch ends at %s", s->states[i]);
    }
    leat_close(s->loader);
    free(s);
    trail_free(&all);
    trail_free(&t);
}
END_TEST

enum { CONSUMERS = 8, EPOCHS = 600 };

typedef struct crowd {
    leat_loader *loader;
    _Atomic uint64_t batches, ends;
} crowd;

static void *consume_together(void *argument)
{
    crowd *c = argument;
    leat_batch *batch;
    leat_error error;
    while (atomic_load(&c->ends) < EPOCHS) {
        leat_code code = leat_next(c->loader, &batch, &error);
        if (code == LEAT_END) atomic_fetch_add(&c->ends, 1);
        else if (code) return c;
        else atomic_fetch_add(&c->batches, 1);
        leat_release(batch);
    }
    return NULL;
}

/* The thread that took an epoch's end may note it after another one has taken the next epoch's batch. */
START_TEST(an_epoch_was_skipped_when_several_threads_took_batches)
{
    leat_config config = small_config(LEAT_PHOTOS);
    config.epochs = 0;
    config.limit = config.batch_size = 1;
    crowd c = {0};
    leat_error error;
    pthread_t threads[CONSUMERS];
    void *failed;
    ck_leat(leat_open(&config, &c.loader, &error));
    for (int i = 0; i < CONSUMERS; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, consume_together, &c), 0);
    for (int i = 0; i < CONSUMERS; i++) {
        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
    }
    char state[LEAT_STATE_BYTES], begin[80];
    ck_leat(leat_save(c.loader, state, sizeof state, &error));
    uint64_t batches = atomic_load(&c.batches), ends = atomic_load(&c.ends);
    ck_assert(batches == ends || batches == ends + 1);
    snprintf(begin, sizeof begin, "{\"leat\":1,\"epoch\":%llu,\"step\":%llu,", (unsigned long long)ends, (unsigned long long)(batches - ends));
    ck_assert_msg(strncmp(state, begin, strlen(begin)) == 0, "%s after %llu batches and %llu ends", state, (unsigned long long)batches,
                  (unsigned long long)ends);
    leat_close(c.loader);
}
END_TEST

/* ---- closing ---- */

static void close_in_time(leat_loader *loader, size_t fds, size_t threads)
{
    double begin = seconds_now();
    leat_close(loader);
    ck_assert_double_lt(seconds_now() - begin, SANITIZED ? 4 : 1);
    ck_assert_uint_eq(settle_threads(threads), threads);
    ck_assert_uint_eq(count_fds(), fds);
}

/* With shards that are read by extents and, where they are packed, whole; the consumer takes some batches, or none, and stops. */
START_TEST(closed_at_any_moment)
{
    dice d = {.state = 700 + (uint64_t)_i};
    data_set set;
    leat_loader *loader;
    leat_error error;
    set_make(&set, "s", (set_kind)_i, &d, 12, 60);
    set_index(&set);
    size_t fds = 0, threads = 0;
    for (unsigned n = 0; n < case_count(24); n++) {
        leat_config config = random_config(&set, true, &d);
        random_resources(&config, set.kind == SET_TAR, &d);
        config.epochs = 0;
        rough_world world;
        rough_world_init(&world, d.state);
        ck_leat(leat__open_in(&config, chance(&d, 2) ? &world.env : NULL, &loader, &error));
        trail t = {0};
        for (unsigned k = roll(&d, 6); k; k--) ck_assert_msg(trail_step(&t, loader), "%s", t.error.message);
        if (chance(&d, 2)) nanosleep(&(struct timespec){.tv_nsec = (long)roll(&d, 5000000)}, NULL);
        trail_free(&t);
        if (n == 0) { /* what libuv and sanitizers keep from the first one on is no loader's */
            leat_close(loader);
            threads = settle_threads(1);
            fds = count_fds();
        } else {
            close_in_time(loader, fds, threads);
        }
    }
}
END_TEST

/* ---- edges ---- */

/* Every kind of epoch, by figures: batches, rows, what is dropped and padded. */
static const struct {
    uint64_t batch, limit, epoch_samples;
    leat_remainder remainder;
    uint64_t steps, rows, dropped, padded;
} lengths[] = {
    {8, 0, 0, LEAT_REMAINDER_SHORT, 4, 30, 0, 0},     {8, 0, 0, LEAT_REMAINDER_DROP, 3, 24, 6, 0},
    {8, 0, 0, LEAT_REMAINDER_PAD, 4, 32, 0, 2},       {30, 0, 0, LEAT_REMAINDER_DROP, 1, 30, 0, 0},
    {64, 0, 0, LEAT_REMAINDER_SHORT, 1, 30, 0, 0},    {64, 0, 0, LEAT_REMAINDER_PAD, 1, 64, 0, 34},
    {200, 0, 0, LEAT_REMAINDER_PAD, 1, 200, 0, 170},  {7, 10, 0, LEAT_REMAINDER_PAD, 2, 14, 0, 4},
    {64, 10, 0, LEAT_REMAINDER_PAD, 1, 64, 0, 54},    {8, 0, 5, LEAT_REMAINDER_SHORT, 1, 5, 0, 0},
    {1, 0, 1, LEAT_REMAINDER_DROP, 1, 1, 0, 0},       {8, 0, 100, LEAT_REMAINDER_SHORT, 13, 100, 0, 0},
    {8, 0, 100, LEAT_REMAINDER_DROP, 12, 96, 4, 0},   {8, 0, 100, LEAT_REMAINDER_PAD, 13, 104, 0, 4},
    {8, 90, 100, LEAT_REMAINDER_SHORT, 12, 90, 0, 0}, {50, 0, 1000, LEAT_REMAINDER_SHORT, 20, 1000, 0, 0},
};

static void set_of_30(data_set *set, set_kind kind)
{
    dice d = {.state = 9};
    *set = (data_set){0};
    do {
        new_folder();
        set_make(set, "s", kind, &d, 4, 12);
    } while (set->samples != 30);
    set_index(set);
}

START_TEST(lengths_of_epochs)
{
    data_set set;
    trail t = {.saves = true};
    set_of_30(&set, _i % 2 ? SET_TAR : SET_FOLDER);
    leat_config config = small_config(set.source);
    config.fields = text_fields;
    config.field_count = 2;
    config.world = 1;
    config.epochs = 3;
    config.batch_size = (uint32_t)lengths[_i].batch;
    config.limit = lengths[_i].limit;
    config.epoch_samples = lengths[_i].epoch_samples;
    config.remainder = lengths[_i].remainder;
    trail_run(&t, &config, NULL);
    ck_assert_uint_eq(t.count, 3 * (lengths[_i].steps + 1));
    ck_assert_uint_eq(t.seen.count, 3 * lengths[_i].rows);
    ck_assert_uint_eq(t.stats.steps, lengths[_i].steps);
    ck_assert_uint_eq(t.stats.dropped, lengths[_i].dropped);
    ck_assert_uint_eq(t.stats.padded, lengths[_i].padded);
    ck_assert(t.stats.source_count == 1 && t.stats.sources[0].counted == 30 && t.stats.sources[0].samples == t.seen.count);
    ck_assert(t.stats.samples == t.seen.count && t.stats.epochs == 3 && t.stats.errors == 0);
    for (size_t m = 0; m < t.count; m++) assert_resumes(&config, &t, m + 1, t.marks[m].state);
    uint64_t length = lengths[_i].rows - lengths[_i].padded;
    for (uint64_t i = 0; !lengths[_i].epoch_samples && i < lengths[_i].padded; i++) /* the first of the epoch's order again */
        ck_assert_str_eq(t.seen.rows[length + i].key, t.seen.rows[i % length].key);
    for (size_t i = 0; lengths[_i].epoch_samples && i < t.seen.count; i++) /* pass after pass, whatever an epoch is */
        for (size_t k = i / 30 * 30; k < i; k++) ck_assert_str_ne(t.seen.rows[i].key, t.seen.rows[k].key);
    trail_free(&t);
}
END_TEST

START_TEST(what_needs_counts_says_so)
{
    static const char *const what[] = {"the data is for 2 ranks", "epoch_samples is set", "remainder is pad"};
    dice d = {.state = 11};
    data_set set;
    leat_loader *loader;
    leat_error error;
    set_make(&set, "s", SET_TAR, &d, 3, 9);
    leat_config config = small_config(set.source);
    config.world = _i == 0 ? 2 : 1;
    config.epoch_samples = _i == 1;
    config.remainder = _i == 2 ? LEAT_REMAINDER_PAD : LEAT_REMAINDER_SHORT;
    ck_assert_int_eq(leat_open(&config, &loader, &error), LEAT_EINVAL);
    ck_assert_ptr_nonnull(strstr(error.message, what[_i]));
    ck_assert_ptr_nonnull(strstr(error.message, "leat index"));
    ck_assert_ptr_null(loader);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("counted");
    TCase *tests = tcase_create("counted");
    tcase_add_checked_fixture(tests, scratch_begin, scratch_end);
    tcase_set_timeout(tests, getenv("LEAT_MORE_CASES") ? 3600 : 120);
    tcase_add_loop_test(tests, nothing_matters_but_data_and_settings, 0, 4);
    tcase_add_loop_test(tests, index_and_compression_do_not_matter, 0, 3);
    tcase_add_test(tests, an_index_keeps_windows_whole);
    tcase_add_loop_test(tests, ranks_share_each_global_batch, 0, 4);
    tcase_add_loop_test(tests, other_worlds_go_on_at_the_next_global_batch, 0, 3);
    tcase_add_loop_test(tests, every_step_can_be_resumed, 0, 4);
    tcase_add_loop_test(tests, a_chain_of_resumes, 0, SET_KINDS);
    tcase_add_loop_test(tests, an_index_may_come_between, 0, 4);
    tcase_add_test(tests, saving_beside_the_consumer);
    tcase_add_test(tests, an_epoch_was_skipped_when_several_threads_took_batches);
    tcase_add_loop_test(tests, closed_at_any_moment, 0, SET_KINDS);
    tcase_add_loop_test(tests, lengths_of_epochs, 0, sizeof lengths / sizeof *lengths);
    tcase_add_loop_test(tests, what_needs_counts_says_so, 0, 3);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
