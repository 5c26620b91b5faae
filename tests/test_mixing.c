/* test_mixing.c - several sources in one order: their shares at every prefix, their own orders, resume, ranks, refusals. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <leat/index.h>

#include "loader/opening.h"
#include "trails.h"

enum { MOST = 6 };

/* Sources called a, b, c ...: the first letter of a key tells where it is from. */
typedef struct mixture {
    data_set sets[MOST];
    leat_source sources[MOST];
    unsigned count, samples;
    double sum;
} mixture;

static void mixture_make(mixture *mix, dice *d)
{
    static const double weights[] = {1, 2, 3, 0.5, 0.25, 10, 0.001, 0.7};
    *mix = (mixture){.count = 2 + roll(d, MOST - 1)};
    for (unsigned i = 0; i < mix->count; i++) {
        static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
        bool single = chance(d, 6);
        set_make(&mix->sets[i], names[i], (set_kind)roll(d, SET_KINDS), d, single ? 1 : 1 + roll(d, 6), single ? 1 : 30);
        set_index(&mix->sets[i]);
        mix->sources[i] = (leat_source){.source = mix->sets[i].source, .weight = weights[roll(d, 8)], .name = names[i]};
        mix->sum += mix->sources[i].weight;
        mix->samples += mix->sets[i].samples;
    }
}

static leat_config mixed_config(const mixture *mix, dice *d)
{
    data_set together = {.samples = mix->samples};
    leat_config config = random_config(&together, true, d);
    config.source = NULL;
    config.sources = mix->sources;
    config.source_count = mix->count;
    config.lanes = 1 + roll(d, 4);
    if (!config.epoch_samples && chance(d, 3)) config.epoch_samples = 3 * mix->samples;
    return config;
}

static void new_folder(void)
{
    scratch_end();
    scratch_begin();
}

static unsigned source_of(const char *key)
{
    return (unsigned)(strrchr(key, '/') ? strrchr(key, '/')[1] : key[0]) - 'a';
}

/* ---- the order ---- */

/* At every prefix of the course's order each source is within 1 of its share. The first epoch is 0, nothing is dropped. */
static void check_shares(const mixture *mix, const trail *t)
{
    uint64_t counts[MOST] = {0};
    for (size_t n = 0; n < t->seen.count; n++) {
        unsigned s = source_of(t->seen.rows[n].key);
        ck_assert_uint_lt(s, mix->count);
        counts[s]++;
        for (unsigned i = 0; i < mix->count; i++) {
            double share = (double)(n + 1) * mix->sources[i].weight / mix->sum;
            ck_assert_msg(fabs((double)counts[i] - share) < 1 + 1e-9, "%llu of source %u among the first %zu, its share is %f",
                          (unsigned long long)counts[i], i, n + 1, share);
        }
    }
}

/* Each source comes pass after pass, each sample once in each; the first one as it comes alone, augmentation included. */
static void check_passes(const mixture *mix, const trail *t, const leat_config *config)
{
    const row_seen **rows = calloc(t->seen.count + 1, sizeof *rows);
    for (unsigned s = 0; s < mix->count; s++) {
        size_t count = 0, size = mix->sets[s].samples;
        for (size_t n = 0; n < t->seen.count; n++)
            if (source_of(t->seen.rows[n].key) == s) rows[count++] = &t->seen.rows[n];
        for (size_t i = 0; i < count; i++)
            for (size_t k = 0; k < i; k++) {
                if (strcmp(rows[i]->key, rows[k]->key) != 0) continue;
                ck_assert_uint_ne(i / size, k / size);
                ck_assert_uint_ne(rows[i]->print, rows[k]->print); /* each pass draws anew */
            }
        if (s || !count) continue;
        trail alone = {0};
        leat_config own = *config;
        own.source = mix->sets[0].source;
        own.sources = NULL;
        own.source_count = 0;
        own.epoch = own.limit = own.epoch_samples = 0;
        own.remainder = LEAT_REMAINDER_SHORT;
        own.epochs = (count + size - 1) / size;
        trail_run(&alone, &own, NULL);
        for (size_t i = 0; i < count; i++) {
            ck_assert_str_eq(rows[i]->key, alone.seen.rows[i].key);
            ck_assert_uint_eq(rows[i]->print, alone.seen.rows[i].print);
        }
        trail_free(&alone);
    }
    free(rows);
}

START_TEST(shares_and_passes)
{
    for (unsigned n = 0; n < case_count(4); n++) {
        dice d = {.state = 100 + (uint64_t)_i * 1000 + n};
        mixture mix;
        trail t = {0};
        mixture_make(&mix, &d);
        leat_config config = mixed_config(&mix, &d);
        config.epoch = 0;
        trail_run(&t, &config, NULL);
        ck_assert_msg(t.code == LEAT_END, "%s", t.error.message);
        check_shares(&mix, &t);
        check_passes(&mix, &t, &config);
        ck_assert_uint_eq(t.stats.source_count, mix.count);
        uint64_t samples = 0;
        for (unsigned i = 0; i < mix.count; i++) {
            const leat_source_stats *stats = &t.stats.sources[i];
            uint64_t rows = 0;
            for (size_t k = 0; k < t.seen.count; k++) rows += source_of(t.seen.rows[k].key) == i;
            ck_assert_str_eq(stats->name, mix.sources[i].name);
            ck_assert(stats->samples == rows && stats->counted == mix.sets[i].samples);
            ck_assert(fabs(stats->weight - mix.sources[i].weight / mix.sum) < 1e-9);
            samples += stats->samples;
        }
        ck_assert_uint_eq(samples, t.stats.samples);
        trail_free(&t);
        new_folder();
    }
}
END_TEST

START_TEST(threads_queues_and_memory_do_not_matter)
{
    for (unsigned n = 0; n < case_count(3); n++) {
        dice d = {.state = 200 + (uint64_t)_i * 1000 + n};
        mixture mix;
        trail expected = {0};
        mixture_make(&mix, &d);
        leat_config config = mixed_config(&mix, &d);
        trail_run(&expected, &config, NULL);
        ck_assert_int_eq(expected.code, LEAT_END);
        for (int k = 0; k < 4; k++) {
            trail t = {0};
            rough_world world;
            random_world(&world, expected.seen.count, &d);
            random_resources(&config, true, &d);
            trail_run(&t, &config, k % 2 ? &world.env : NULL);
            if (!trail_lacked_memory(&t)) assert_goes_on(&expected, 0, &t);
            trail_free(&t);
        }
        trail_free(&expected);
        new_folder();
    }
}
END_TEST

/* The reader gives the same samples in the same order. */
START_TEST(a_reader_mixes_likewise)
{
    dice d = {.state = 250 + (uint64_t)_i};
    mixture mix;
    trail t = {0};
    leat_reader *reader;
    leat_sample *sample;
    leat_error error;
    mixture_make(&mix, &d);
    leat_config config = mixed_config(&mix, &d);
    trail_run(&t, &config, NULL);
    ck_leat(leat_reader_open(&config, &reader, &error));
    for (size_t m = 0; m < t.count; m++) {
        const mark *at_mark = &t.marks[m];
        for (size_t i = 0; i < at_mark->rows; i++) {
            ck_leat(leat_reader_next_timeout(reader, 60000, &sample, &error));
            ck_assert_str_eq(leat_sample_key(sample), t.seen.rows[at_mark->first + i].key);
            ck_assert_uint_eq(leat__reader_source(sample), source_of(leat_sample_key(sample)));
            ck_assert(leat_sample_epoch(sample) == at_mark->epoch && leat_sample_step(sample) == at_mark->step);
            ck_assert_uint_eq(leat_sample_row(sample), i);
            leat_sample_release(sample);
        }
        if (!strcmp(at_mark->digest, "end")) ck_assert_int_eq(leat_reader_next_timeout(reader, 60000, &sample, &error), LEAT_END);
    }
    leat_reader_close(reader);
    trail_free(&t);
}
END_TEST

/* ---- resume and ranks ---- */

START_TEST(every_step_can_be_resumed)
{
    for (unsigned n = 0; n < case_count(2); n++) {
        dice d = {.state = 300 + (uint64_t)_i * 1000 + n};
        mixture mix;
        trail all = {.saves = true};
        mixture_make(&mix, &d);
        leat_config config = mixed_config(&mix, &d);
        trail_run(&all, &config, NULL);
        size_t stride = 1 + all.count / 30;
        for (size_t m = 0; m < all.count; m += stride) {
            random_resources(&config, false, &d);
            assert_resumes(&config, &all, m + 1, all.marks[m].state);
        }
        trail_free(&all);
        new_folder();
    }
}
END_TEST

START_TEST(worlds_share_the_mixture)
{
    dice d = {.state = 400 + (uint64_t)_i};
    mixture mix;
    trail alone = {0};
    char state[LEAT_STATE_BYTES] = "";
    mixture_make(&mix, &d);
    leat_config config = mixed_config(&mix, &d);
    config.batch_size = 7 + roll(&d, 10);
    config.limit = 0;
    config.epoch_samples = config.batch_size * (3 + roll(&d, 12));
    trail_run(&alone, &config, NULL);
    for (size_t m = 0; m < alone.count;) {
        unsigned world = 1 + roll(&d, 7);
        trail ranks[7] = {{0}};
        leat_loader *loaders[7];
        ranks_open(&config, world, *state ? state : NULL, loaders);
        for (unsigned r = 0; r < world; r++) ranks[r].saves = true;
        for (size_t until = m + 4; m < until && m < alone.count; m++) ranks_step(loaders, ranks, world, &alone, m);
        memcpy(state, ranks[0].marks[ranks[0].count - 1].state, sizeof state);
        ranks_close(loaders, ranks, world);
    }
    trail_free(&alone);
}
END_TEST

/* ---- settings of their own ---- */

static const leat_field common_fields[] = {{.tensor = "image", .names = "jpg;png", .kind = LEAT_FIELD_IMAGE},
                                           {.tensor = "label", .names = "cls", .kind = LEAT_FIELD_INT}};
static const leat_field other_fields[] = {{.tensor = "image", .names = "photo", .kind = LEAT_FIELD_IMAGE},
                                          {.tensor = "label", .names = "number;class", .kind = LEAT_FIELD_INT, .optional = true}};

/* Two shards of photographs: one as usual, one with fields called otherwise. */
static void make_two(void)
{
    ck_assert_int_eq(mkdir(at("a"), 0777), 0);
    ck_assert_int_eq(mkdir(at("b"), 0777), 0);
    for (int other = 0; other < 2; other++) {
        FILE *shard = shard_begin(at(other ? "b/0.tar" : "a/0.tar"));
        for (unsigned i = 0; i < 12; i++) {
            const photo *p = photo_number(i + 20 * (unsigned)other);
            char name[32], text[16];
            snprintf(name, sizeof name, "%c%03u.%s", "ab"[other], i, other ? "photo" : p->ending);
            shard_add(shard, name, p->data, p->size);
            snprintf(name, sizeof name, "%c%03u.%s", "ab"[other], i, other ? "number" : "cls");
            snprintf(text, sizeof text, "%u", i);
            shard_add_text(shard, name, text);
        }
        shard_end(shard);
        leat_index_config config = {.source = at(other ? "b" : "a")};
        leat_index_result result;
        leat_error error;
        ck_leat(leat_index(&config, &result, &error));
    }
}

static leat_config photo_config(void)
{
    leat_config config = small_config(NULL);
    config.fields = common_fields;
    config.field_count = 2;
    config.world = 1;
    config.image.dtype = LEAT_FLOAT32;
    config.image.crop = LEAT_CROP_CENTER;
    config.image.std[0] = config.image.std[1] = config.image.std[2] = 0.5f;
    return config;
}

START_TEST(fields_and_images_of_their_own)
{
    make_two();
    leat_config config = photo_config(), own = photo_config();
    leat_image image = config.image;
    image.crop = LEAT_CROP_NONE;
    image.mean[1] = 0.25f;
    image.resample = LEAT_RESAMPLE_BICUBIC;
    char sources[2][96];
    for (int i = 0; i < 2; i++) snprintf(sources[i], sizeof sources[i], "%s", at(i ? "b" : "a"));
    leat_source two[] = {{.source = sources[0]}, {.source = sources[1], .fields = other_fields, .field_count = 2, .image = &image}};
    config.sources = two;
    config.source_count = 2;
    trail mixed = {0}, alone[2] = {{0}};
    trail_run(&mixed, &config, NULL);
    ck_assert_uint_eq(mixed.seen.count, 24);
    for (int i = 0; i < 2; i++) {
        own.source = sources[i];
        if (i) own.image = image, own.fields = other_fields;
        trail_run(&alone[i], &own, NULL);
        ck_assert_uint_eq(alone[i].seen.count, 12);
        for (size_t k = 0; k < 12; k++) {
            size_t n = 0;
            while (n < 24 && strcmp(mixed.seen.rows[n].key, alone[i].seen.rows[k].key) != 0) n++;
            ck_assert_uint_lt(n, 24);
            ck_assert_uint_eq(mixed.seen.rows[n].print, alone[i].seen.rows[k].print);
            ck_assert_int_eq(mixed.seen.rows[n].label, atoi(mixed.seen.rows[n].key + 1));
        }
        trail_free(&alone[i]);
    }
    trail_free(&mixed);
}
END_TEST

/* ---- refusals ---- */

static const leat_field three_fields[] = {{.tensor = "image", .names = "jpg", .kind = LEAT_FIELD_IMAGE},
                                          {.tensor = "label", .names = "cls", .kind = LEAT_FIELD_INT},
                                          {.tensor = "more", .names = "txt", .kind = LEAT_FIELD_BYTES}};
static const leat_field renamed_fields[] = {{.tensor = "picture", .names = "jpg", .kind = LEAT_FIELD_IMAGE},
                                            {.tensor = "label", .names = "cls", .kind = LEAT_FIELD_INT}};
static const leat_field swapped_kind[] = {{.tensor = "image", .names = "jpg", .kind = LEAT_FIELD_IMAGE},
                                          {.tensor = "label", .names = "cls", .kind = LEAT_FIELD_FLOAT}};

typedef struct refusal {
    const char *words;
    bool both;                  /* source and sources */
    double weight;
    const leat_field *fields;
    size_t field_count;
    uint32_t height;            /* of an image of its own; 0: none */
    const char *index, *source;
    leat_code code;
} refusal;

static const refusal refusals[] = {
    {.words = "source and sources are both set", .both = true},
    {.words = "weight", .weight = -1},
    {.words = "weight", .weight = NAN},
    {.words = "weight", .weight = INFINITY},
    {.words = "weight", .weight = 0.0000001},
    {.words = "2 sources are mixed, but how many samples", .index = "none"},
    {.words = "leat index", .index = "none"},
    {.words = "field", .fields = three_fields, .field_count = 3},
    {.words = "tensors and kinds", .fields = renamed_fields, .field_count = 2},
    {.words = "tensors and kinds", .fields = swapped_kind, .field_count = 2},
    {.words = "height", .height = 48},
    {.words = "sources[1].source is not set", .source = ""},
    {.words = "source 2 of 2", .source = "/nowhere/at-all.d/*.tar", .code = LEAT_ENOTFOUND},
};

START_TEST(what_is_refused)
{
    const refusal *r = &refusals[_i];
    make_two();
    char sources[2][96];
    for (int i = 0; i < 2; i++) snprintf(sources[i], sizeof sources[i], "%s", at(i ? "b" : "a"));
    leat_config config = photo_config();
    leat_image image = config.image;
    image.height = r->height;
    leat_source two[] = {{.source = sources[0]},
                         {.source = r->source ? r->source : sources[1], .weight = r->weight, .index = r->index, .fields = r->fields,
                          .field_count = r->field_count, .image = r->height ? &image : NULL}};
    config.sources = two;
    config.source_count = 2;
    if (r->both) config.source = sources[0];
    leat_loader *loader;
    leat_error error = {0};
    leat_code code = leat_open(&config, &loader, &error);
    ck_assert_msg(code == (r->code ? r->code : LEAT_EINVAL), "%s: %s", leat_code_name(code), error.message);
    ck_assert_msg(strstr(error.message, r->words) != NULL, "%s", error.message);
    ck_assert_ptr_null(loader);
}
END_TEST

/* A state of other weights is no state of these. */
START_TEST(states_know_their_weights)
{
    dice d = {.state = 500};
    mixture mix;
    trail t = {.saves = true};
    leat_loader *loader;
    leat_error error;
    mixture_make(&mix, &d);
    leat_config config = mixed_config(&mix, &d);
    trail_run(&t, &config, NULL);
    mix.sources[1].weight += 1;
    config.resume = t.marks[0].state;
    ck_assert_int_eq(leat_open(&config, &loader, &error), LEAT_EINVAL);
    ck_assert_ptr_nonnull(strstr(error.message, "weights"));
    trail_free(&t);
}
END_TEST

/* ---- failures ---- */

/* Shards of one source are others, or its files are gone: its places stay empty, those of the others have what they had. */
START_TEST(a_source_that_fails)
{
    dice d = {.state = 600 + (uint64_t)_i};
    data_set sets[3];
    leat_source sources[3] = {{0}};
    trail clean = {0}, t = {0};
    static const char *const names[] = {"a", "b", "c"};
    for (unsigned i = 0; i < 3; i++) {
        set_make(&sets[i], names[i], i == 1 ? (set_kind)_i : i ? SET_FOLDER : SET_TAR, &d, 3, 20);
        set_index(&sets[i]);
        sources[i] = (leat_source){.source = sets[i].source, .weight = 1 + i};
    }
    leat_config config = small_config(NULL);
    config.fields = text_fields;
    config.field_count = 2;
    config.world = 1;
    config.sources = sources;
    config.source_count = 3;
    config.max_errors = LEAT_UNLIMITED;
    trail_run(&clean, &config, NULL);
    ck_assert_uint_gt(clean.stats.sources[1].samples, 0);
    if (_i == SET_FOLDER) run_tool("sh", "-c", "for f in \"$0\"/b/*/*; do rm $f; ln -s /nowhere $f; done", scratch, NULL);
    for (unsigned s = 0; s < 3 && _i != SET_FOLDER; s++) { /* of the same size, so that it is seen when it is read */
        FILE *shard = fopen(set_shard(&sets[1], s), "r+");
        ck_assert_ptr_nonnull(shard);
        ck_assert_int_ne(fputs("something else altogether", shard), EOF);
        fclose(shard);
    }
    trail_run(&t, &config, NULL);
    ck_assert_msg(t.code == LEAT_END, "%s", t.error.message);
    ck_assert_uint_eq(t.stats.sources[1].samples, 0);
    ck_assert_uint_gt(t.stats.errors, 0);
    ck_assert_uint_eq(t.seen.missing, clean.stats.sources[1].samples);
    size_t k = 0;
    for (size_t i = 0; i < clean.seen.count; i++) {
        if (source_of(clean.seen.rows[i].key) == 1) continue;
        ck_assert_str_eq(t.seen.rows[k].key, clean.seen.rows[i].key);
        ck_assert_uint_eq(t.seen.rows[k].step, clean.seen.rows[i].step);
        ck_assert_uint_eq(t.seen.rows[k++].print, clean.seen.rows[i].print);
    }
    ck_assert_uint_eq(k, t.seen.count);
    trail_free(&clean);
    trail_free(&t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mixing");
    TCase *tests = tcase_create("mixing");
    tcase_add_checked_fixture(tests, scratch_begin, scratch_end);
    tcase_set_timeout(tests, getenv("LEAT_MORE_CASES") ? 3600 : 120);
    tcase_add_loop_test(tests, shares_and_passes, 0, 4);
    tcase_add_loop_test(tests, threads_queues_and_memory_do_not_matter, 0, 3);
    tcase_add_loop_test(tests, a_reader_mixes_likewise, 0, 4);
    tcase_add_loop_test(tests, every_step_can_be_resumed, 0, 3);
    tcase_add_loop_test(tests, worlds_share_the_mixture, 0, 4);
    tcase_add_test(tests, fields_and_images_of_their_own);
    tcase_add_loop_test(tests, what_is_refused, 0, sizeof refusals / sizeof *refusals);
    tcase_add_test(tests, states_know_their_weights);
    tcase_add_loop_test(tests, a_source_that_fails, 0, SET_KINDS);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
