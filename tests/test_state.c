/* test_state.c - loader/state.c and digests.c: what a state holds, and every way in which one is refused. */
#include <libdeflate.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <leat/loader.h>

#include "check_main.h"
#include "loader/digests.h"
#include "loader/state.h"
#include "pipeline/random.h"
#include "stages/listing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const leat__state_settings settings = {
    .seed = 7, .batch_size = 256, .limit = 0, .epoch_samples = 0, .lanes = 16, .shuffle_window = 32, .order = LEAT_ORDER_SHUFFLED,
    .remainder = LEAT_REMAINDER_SHORT, .objects = 1000, .names = UINT64_C(0x123456789abcdef0),
    .sizes = 9, .index = UINT64_C(0x0fedcba987654321),
    .fields = 3, .image = 4, .mix = 0, .window_bytes = 0};

/* Writes a state of epoch 3, step 41. Returns its length. */
static size_t write_state(const leat__state_settings *of, uint64_t windows_cut, char text[LEAT_STATE_BYTES])
{
    leat_error error;
    leat_code code = leat__state_write(of, 3, 41, 8, windows_cut, text, LEAT_STATE_BYTES, &error);
    ck_assert_msg(code == LEAT_OK, "%s", error.message);
    return strlen(text);
}

/* Reads a copy that ends where its memory ends. */
static leat_code read_state(const char *text, size_t length, const leat__state_settings *here, uint64_t *epoch, uint64_t *step,
                            leat_error *error)
{
    char *copy = malloc(length + 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, length);
    copy[length] = '\0';
    *error = (leat_error){.code = LEAT_OK};
    leat_code code = leat__state_read(copy, here, epoch, step, error);
    free(copy);
    return code;
}

static void check_taken(const char *text, size_t length, const leat__state_settings *here)
{
    uint64_t epoch = 0, step = 0;
    leat_error error;
    leat_code code = read_state(text, length, here, &epoch, &step, &error);
    ck_assert_msg(code == LEAT_OK, "%.*s: %s", (int)length, text, error.message);
    ck_assert_uint_eq(epoch, 3);
    ck_assert_uint_eq(step, 41);
}

static void check_refused(const char *text, size_t length, const leat__state_settings *here, const char *message)
{
    uint64_t epoch, step;
    leat_error error;
    leat_code code = read_state(text, length, here, &epoch, &step, &error);
    ck_assert_msg(code == LEAT_EINVAL && error.code == LEAT_EINVAL, "taken: %.*s", (int)length, text);
    ck_assert_msg(strncmp(error.message, "resume: ", 8) == 0 && strstr(error.message, message) != NULL, "%.*s: %s", (int)length,
                  text,
                  error.message);
}

/* ---- round trips ---- */

START_TEST(a_state_is_one_line_of_json)
{
    char text[LEAT_STATE_BYTES];
    write_state(&settings, 5, text);
    ck_assert_str_eq(text, "{\"leat\":1,\"epoch\":3,\"step\":41,\"world\":8,\"windows_cut\":5,\"objects\":1000,"
                           "\"names\":\"123456789abcdef0\",\"sizes\":\"0000000000000009\","
                           "\"seed\":7,\"batch_size\":256,\"lanes\":16,\"shuffle_window\":32,\"limit\":0,\"epoch_samples\":0,"
                           "\"mix\":\"0000000000000000\",\"fields\":\"0000000000000003\",\"image\":\"0000000000000004\","
                           "\"index\":\"0fedcba987654321\",\"window_bytes\":0,\"order\":\"shuffled\",\"remainder\":\"short\","
                           "\"crc\":\"b983b931\"}");
}
END_TEST

START_TEST(what_was_written_is_read)
{
    static const uint64_t numbers[] = {0, 1, 9, 10, UINT32_MAX, INT64_MAX, UINT64_MAX};
    leat__random random = {.key = {.seed = 4}};
    for (int i = 0; i < 500; i++) {
        leat__state_settings s = {.order = (leat_order)(i % 2), .remainder = (leat_remainder)(i % 3)};
        uint64_t *const values[] = {&s.seed, &s.batch_size, &s.limit, &s.epoch_samples, &s.lanes, &s.shuffle_window, &s.objects,
                                    &s.names, &s.sizes, &s.index, &s.fields, &s.image, &s.mix, &s.window_bytes};
        for (size_t k = 0; k < COUNT(values); k++)
            *values[k] = leat__random_below(&random, 2) ? numbers[leat__random_below(&random, COUNT(numbers))]
                                                        : leat__random_next(&random);
        uint64_t epoch = leat__random_next(&random), step = leat__random_next(&random), epoch_read, step_read;
        char text[LEAT_STATE_BYTES];
        leat_error error;
        ck_assert_int_eq(leat__state_write(&s, epoch, step, (uint32_t)leat__random_next(&random), 0, text, sizeof text, &error),
                         LEAT_OK);
        leat_code code = read_state(text, strlen(text), &s, &epoch_read, &step_read, &error);
        ck_assert_msg(code == LEAT_OK, "%s: %s", text, error.message);
        ck_assert_uint_eq(epoch_read, epoch);
        ck_assert_uint_eq(step_read, step);
    }
}
END_TEST

START_TEST(the_longest_state_fits)
{
    leat__state_settings s;
    memset(&s, 0xff, sizeof s);
    s.order = LEAT_ORDER_SEQUENTIAL;
    s.remainder = LEAT_REMAINDER_SHORT;
    char text[LEAT_STATE_BYTES];
    leat_error error;
    uint64_t epoch, step;
    ck_assert_int_eq(leat__state_write(&s, UINT64_MAX, UINT64_MAX, UINT32_MAX, UINT64_MAX, text, sizeof text, &error), LEAT_OK);
    ck_assert_uint_lt(strlen(text), 900); /* room for a member or two of a later version */
    ck_assert_int_eq(read_state(text, strlen(text), &s, &epoch, &step, &error), LEAT_OK);
    ck_assert_uint_eq(epoch, UINT64_MAX);
    ck_assert_uint_eq(step, UINT64_MAX);
}
END_TEST

START_TEST(white_space_behind_it_does_not_matter)
{
    static const char *const ends[] = {"\n", "\r\n", " ", "\t\n\n  "};
    char text[LEAT_STATE_BYTES + 8];
    size_t length = write_state(&settings, 0, text);
    strcpy(text + length, ends[_i]);
    check_taken(text, length + strlen(ends[_i]), &settings);
}
END_TEST

START_TEST(too_little_room_is_said)
{
    char text[LEAT_STATE_BYTES], small[LEAT_STATE_BYTES], message[80];
    size_t length = write_state(&settings, 0, text);
    leat_error error;
    for (size_t capacity = 0; capacity <= length; capacity++) {
        memset(small, 'x', sizeof small);
        ck_assert_int_eq(leat__state_write(&settings, 3, 41, 8, 0, small, capacity, &error), LEAT_EINVAL);
        snprintf(message, sizeof message, "the state takes %zu bytes, there is room for %zu: give LEAT_STATE_BYTES", length + 1,
                 capacity);
        ck_assert_str_eq(error.message, message);
        for (size_t i = 0; i < sizeof small; i++) ck_assert(small[i] == 'x');
    }
    ck_assert_int_eq(leat__state_write(&settings, 3, 41, 8, 0, small, length + 1, &error), LEAT_OK);
    ck_assert_str_eq(small, text);
}
END_TEST

/* ---- other data, other settings ---- */

#define DIFFERS(field, words) {offsetof(leat__state_settings, field), "the state was saved with " words}
#define OTHERS(field, words) {offsetof(leat__state_settings, field), words " are other ones than when the state was saved"}

static const struct {
    size_t offset;
    const char *message;
} differences[] = {
    DIFFERS(objects, "the number of shards or files 1000, here it is 1001"),
    OTHERS(names, "the names of the shards or files"),
    {offsetof(leat__state_settings, sizes), "the shards have other sizes than when the state was saved"},
    DIFFERS(seed, "seed 7, here it is 8"),
    DIFFERS(batch_size, "batch_size (of all ranks together) 256, here it is 257"),
    DIFFERS(lanes, "lanes 16, here it is 17"),
    DIFFERS(shuffle_window, "shuffle_window 32, here it is 33"),
    DIFFERS(limit, "limit 0, here it is 1"),
    DIFFERS(epoch_samples, "epoch_samples 0, here it is 1"),
    OTHERS(mix, "the weights of the sources, or their fields"),
    OTHERS(fields, "the fields"),
    OTHERS(image, "the image settings (size, crop, flip, dtype ...)"),
    {offsetof(leat__state_settings, index), "the shards have other numbers of samples, or sizes, than when the state was saved"},
};

START_TEST(each_setting_that_differs_is_named)
{
    /* with window_bytes, which counts only without an index, these are all but order and remainder */
    ck_assert_uint_eq((COUNT(differences) + 1) * sizeof(uint64_t) + 2 * sizeof(int), sizeof(leat__state_settings));
    char text[LEAT_STATE_BYTES];
    size_t length = write_state(&settings, 0, text);
    leat__state_settings here = settings;
    ++*(uint64_t *)((char *)&here + differences[_i].offset);
    check_refused(text, length, &here, differences[_i].message);
    here = settings;
    *(uint64_t *)((char *)&here + differences[_i].offset) ^= UINT64_C(1) << 63;
    bool is_number = strncmp(differences[_i].message, "the state", 9) == 0; /* and not a digest */
    check_refused(text, length, &here, is_number ? "here it is 9223372036854" : differences[_i].message);
}
END_TEST

START_TEST(another_order_or_remainder_is_named)
{
    static const char *const orders[] = {"shuffled", "sequential"}, *const remainders[] = {"short", "drop", "pad"};
    char text[LEAT_STATE_BYTES], message[80];
    for (unsigned saved = 0; saved < 6; saved++)
        for (unsigned here = 0; here < 6; here++) {
            leat__state_settings s = settings, t = settings;
            s.order = (leat_order)(saved % 2);
            t.order = (leat_order)(here % 2);
            s.remainder = (leat_remainder)(saved / 2);
            t.remainder = (leat_remainder)(here / 2);
            size_t length = write_state(&s, 0, text);
            bool order = s.order != t.order;
            snprintf(message, sizeof message, "the state was saved with %s %s, here it is %s", order ? "order" : "remainder",
                     order ? orders[s.order] : remainders[s.remainder], order ? orders[t.order] : remainders[t.remainder]);
            if (saved == here) check_taken(text, length, &t);
            else check_refused(text, length, &t, message);
        }
}
END_TEST

START_TEST(sizes_that_are_not_known_are_not_compared)
{
    char text[LEAT_STATE_BYTES];
    leat__state_settings saved = settings, here = settings;
    here.sizes = 0;
    check_taken(text, write_state(&saved, 0, text), &here);
    saved.sizes = 0;
    here.sizes = 9;
    check_taken(text, write_state(&saved, 0, text), &here);
}
END_TEST

/* Index, windows cut and where: of the state, and here. */
static const struct {
    uint64_t index, window_bytes, windows_cut, index_here, window_bytes_here;
    const char *message; /* NULL: taken */
} counts[] = {
    {5, 0, 0, 5, 0, NULL},
    {5, 0, 9, 5, 0, NULL},
    {5, 0, 0, 6, 0, "the shards have other numbers of samples, or sizes, than when the state was saved"},
    {5, 0, 0, 0, 1000, "the state was saved with an index of the shards, here there is none: run leat index, or give it"},
    {0, 1000, 0, 0, 1000, NULL},
    {0, 1000, 9, 0, 1000, NULL},
    {0, 1000, 0, 0, 2000, "without an index shuffle windows are cut where they do not fit: then at 1000 bytes, here at 2000"},
    {0, 1000, 9, 0, 2000, "memory_limit (or the size of a batch) is another"},
    {0, 1000, 0, 5, 0, NULL},
    {0, 1000, 9, 5, 0,
     "the state was saved without an index, with 9 shuffle windows cut for want of memory; with the index of now they "
                       "are not: give index \"none\""},
};

START_TEST(an_index_may_come_but_not_go)
{
    char text[LEAT_STATE_BYTES];
    leat__state_settings saved = settings, here = settings;
    saved.index = counts[_i].index;
    saved.window_bytes = counts[_i].window_bytes;
    here.index = counts[_i].index_here;
    here.window_bytes = counts[_i].window_bytes_here;
    size_t length = write_state(&saved, counts[_i].windows_cut, text);
    if (counts[_i].message) check_refused(text, length, &here, counts[_i].message);
    else check_taken(text, length, &here);
}
END_TEST

/* ---- damage ---- */

START_TEST(each_byte_counts)
{
    char text[LEAT_STATE_BYTES];
    size_t length = write_state(&settings, 0, text);
    check_taken(text, length, &settings);
    for (size_t at = 0; at < length; at++) {
        char right = text[at];
        for (int value = 0; value < 256; value++) {
            text[at] = (char)value;
            if (text[at] == right) continue;
            check_refused(text, length, &settings, "");
        }
        text[at] = right;
    }
}
END_TEST

START_TEST(each_byte_is_needed)
{
    char text[LEAT_STATE_BYTES];
    size_t length = write_state(&settings, 0, text);
    for (size_t part = 0; part < length; part++) {
        check_refused(text, part, &settings, part < 8 ? "this is no state of leat's: it begins otherwise than {\"leat\":"
                                                      : "the state is damaged: ");
        char without[LEAT_STATE_BYTES];
        memcpy(without, text, part);
        memcpy(without + part, text + part + 1, length - part - 1);
        check_refused(without, length - 1, &settings, "");
    }
}
END_TEST

START_TEST(garbage_is_refused)
{
    leat__random random = {.key = {.seed = 12}};
    char text[LEAT_STATE_BYTES], garbage[3000];
    size_t length = write_state(&settings, 0, text);
    for (int i = 0; i < 20000; i++) {
        size_t size = leat__random_below(&random, i % 10 ? 200 : sizeof garbage), kept = 0;
        for (size_t k = 0; k < size; k++)
            garbage[k] = (char)(i % 2 ? leat__random_below(&random, 256) : 32 + leat__random_below(&random, 95));
        if (i % 3) kept = leat__random_below(&random, size < length ? size + 1 : length); /* begins like a state */
        memcpy(garbage, text, kept);
        check_refused(garbage, size, &settings, "");
    }
    check_refused("", 0, &settings, "this is no state of leat's");
    check_refused("\n", 1, &settings, "this is no state of leat's");
    check_refused("{}", 2, &settings, "this is no state of leat's");
}
END_TEST

START_TEST(a_text_without_end_is_refused)
{
    size_t size = 1 << 20;
    char *text = malloc(size);
    ck_assert_ptr_nonnull(text);
    memset(text, '1', size);
    memcpy(text, "{\"leat\":", 8);
    check_refused(text, size, &settings, "the state is damaged: it is far too long");
    free(text);
}
END_TEST

START_TEST(newer_versions_are_named)
{
    static const struct { const char *text, *message; } versions[] = {
        {"{\"leat\":2,\"epoch\":0}", "the state is of version 2, written by a newer leat; this one knows up to 1"},
        {"{\"leat\":10}", "the state is of version 10, written by a newer leat"},
        {"{\"leat\":99999999999999999999}", "written by a newer leat"},
        {"{\"leat\":0}", "the state is damaged: its version is no number"},
        {"{\"leat\":x}", "the state is damaged: its version is no number"},
        {"{\"leat\":", "the state is damaged: its version is no number"},
        {"{\"leat\":1}", "the state is damaged: its end is missing"},
    };
    for (size_t i = 0; i < COUNT(versions); i++) check_refused(versions[i].text, strlen(versions[i].text), &settings,
                                                               versions[i].message);
}
END_TEST

/* Gives a text the end of a state, with the right CRC. */
static size_t seal(char *text, size_t length)
{
    return length + (size_t)sprintf(text + length, ",\"crc\":\"%08x\"}", libdeflate_crc32(0, text, length));
}

/* Whose CRC is right, but which leat has not written: without a member, or with something else in its place. */
START_TEST(forged_members_are_refused)
{
    char text[LEAT_STATE_BYTES], forged[2 * LEAT_STATE_BYTES];
    size_t length = write_state(&settings, 0, text) - strlen(",\"crc\":\"00000000\"}"), members = 0;
    memcpy(forged, text, length);
    check_taken(forged, seal(forged, length), &settings);
    for (size_t from = (size_t)(strchr(text, ',') - text); from < length; members++) {
        size_t to = from + 1, value;
        while (to < length && text[to] != ',') to++;
        value = (size_t)((char *)memchr(text + from, ':', to - from) - text) + 1;
        memcpy(forged, text, from);
        memcpy(forged + from, text + to, length - to);
        check_refused(forged, seal(forged, length - (to - from)), &settings, "missing");
        memcpy(forged, text, value);
        memcpy(forged + value, "\"zz\"", 4);
        memcpy(forged + value + 4, text + to, length - to);
        check_refused(forged, seal(forged, value + 4 + length - to), &settings, "the state is damaged: ");
        from = to;
    }
    ck_assert_uint_eq(members, 20);
}
END_TEST

/* ---- what a loader's state is of ---- */

/* Sources of names, ';' between them; the second one may be NULL. gives: origins_free. */
static leat__origins list(const char *first, const char *second)
{
    const char *const texts[] = {first, second};
    leat__origins origins = {.all = calloc(2, sizeof(leat__origin))};
    ck_assert_ptr_nonnull(origins.all);
    for (; origins.count < 2 && texts[origins.count]; origins.count++) {
        leat__listing *listing = origins.all[origins.count].listing = leat__listing_new();
        char *names = strdup(texts[origins.count]), *rest = names, *name;
        leat_error error;
        while ((name = strsep(&rest, ";"))) ck_assert_int_eq(leat__listing_add(listing, name, 0, -1, &error), LEAT_OK);
        leat__listing_finish(listing);
        free(names);
    }
    return origins;
}

static void origins_free(leat__origins *origins)
{
    for (size_t i = 0; i < origins->count; i++) leat__listing_free(origins->all[i].listing);
    free(origins->all);
}

static uint64_t names_of(const char *first, const char *second)
{
    leat__origins origins = list(first, second);
    uint64_t digest = leat__digest_names(&origins);
    origins_free(&origins);
    return digest;
}

START_TEST(names_are_known_again)
{
    static const char *const different[][2] = {
        {"a.tar;b.tar", NULL}, {"b.tar;a.tar", NULL}, {"a.tar", "b.tar"}, {"b.tar", "a.tar"}, {"a.tar", NULL},
        {"a.tar;b.tar;c.tar", NULL}, {"a.tar;b.tar.zst", NULL}, {"ab.tar;.tar", NULL}, {"A.tar;b.tar", NULL},
        {"x/a.jpg;x/b.jpg", NULL}, {"y/a.jpg;x/b.jpg", NULL}, {"x/a.png;x/b.png", "x/c.jpg"}};
    for (size_t i = 0; i < COUNT(different); i++)
        for (size_t k = 0; k < i; k++) {
            if (names_of(different[i][0], different[i][1]) == names_of(different[k][0], different[k][1]))
                ck_abort_msg("%s and %s are the same", different[i][0], different[k][0]);
        }
    /* elsewhere; from a server; by a signed URL */
    uint64_t here = names_of("/data/set/a.tar;/data/set/b.tar", NULL);
    ck_assert_uint_eq(names_of("a.tar;b.tar", NULL), here);
    ck_assert_uint_eq(names_of("/mnt/x/a.tar;/mnt/y/b.tar", NULL), here);
    ck_assert_uint_eq(names_of("http://host/set/a.tar;http://host/set/b.tar", NULL), here);
    ck_assert_uint_eq(names_of("https://host/a.tar?key=1/2;https://host/b.tar#x/y", NULL), here);
}
END_TEST

START_TEST(counts_of_files_are_known_again)
{
    leat__origins two = list("a.jpg;b.jpg", NULL), three = list("a.jpg;b.jpg;c.jpg", NULL), split = list("a.jpg;b.jpg", "c.jpg");
    ck_assert_uint_eq(leat__digest_counts(&two), 0);
    two.counted = three.counted = split.counted = true;
    ck_assert_uint_ne(leat__digest_counts(&two), 0);
    ck_assert_uint_eq(leat__digest_counts(&two), leat__digest_counts(&two));
    ck_assert_uint_ne(leat__digest_counts(&two), leat__digest_counts(&three));
    ck_assert_uint_ne(leat__digest_counts(&split), leat__digest_counts(&three));
    ck_assert_uint_ne(leat__digest_counts(&split), leat__digest_counts(&two));
    origins_free(&two);
    origins_free(&three);
    origins_free(&split);
}
END_TEST

static void check_all_different(const uint64_t *digests, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++) {
            if (digests[i] == digests[k]) ck_abort_msg("digest %zu is the same as digest %zu", i, k);
        }
}

/* Each setting of an image, and each value of an array in it, counts. */
START_TEST(each_image_setting_is_known_again)
{
    const leat_image images[] = {
        {0}, {.height = 1}, {.width = 1}, {.crop = LEAT_CROP_CENTER}, {.resize_shorter = 1}, {.scale = {1, 0}}, {.scale = {0, 1}},
        {.ratio = {1, 0}}, {.ratio = {0, 1}}, {.flip = true}, {.orient = true}, {.alpha = true},
        {.resample = LEAT_RESAMPLE_BICUBIC}, {.decode = LEAT_DECODE_WHOLE}, {.dtype = LEAT_FLOAT32}, {.layout = LEAT_CHW},
        {.mean = {1}}, {.mean = {0, 1}}, {.mean = {0, 0, 1}}, {.std = {1}}, {.std = {0, 1}}, {.std = {0, 0, 1}},
        {.mean = {0.5F}}, {.mean = {0.50000006F}}};
    uint64_t digests[COUNT(images)];
    for (size_t i = 0; i < COUNT(images); i++) digests[i] = leat__digest_image(&images[i]);
    check_all_different(digests, COUNT(images));
    ck_assert_uint_eq(leat__digest_image(&(leat_image){.flip = true}), digests[9]);
}
END_TEST

START_TEST(each_field_is_known_again)
{
    const leat_field fields[] = {
        {"image", "jpg;png", LEAT_FIELD_IMAGE, false}, {"image", "jpg;jpeg", LEAT_FIELD_IMAGE, false},
        {"images", "jpg;png", LEAT_FIELD_IMAGE, false}, {"image", "jpg;png", LEAT_FIELD_BYTES, false},
        {"image", "jpg;png", LEAT_FIELD_IMAGE, true}, {"imagejpg", ";png", LEAT_FIELD_IMAGE, false}};
    uint64_t digests[COUNT(fields) + 3];
    for (size_t i = 0; i < COUNT(fields); i++) digests[i] = leat__digest_fields(&fields[i], 1);
    digests[COUNT(fields)] = leat__digest_fields(NULL, 0);
    digests[COUNT(fields) + 1] = leat__digest_fields(fields, 2);
    digests[COUNT(fields) + 2] = leat__digest_fields((leat_field[]){fields[1], fields[0]}, 2);
    check_all_different(digests, COUNT(digests));
    char image[] = "image", names[] = "jpg;png"; /* the texts count, not where they are */
    ck_assert_uint_eq(leat__digest_fields(&(leat_field){image, names, LEAT_FIELD_IMAGE, false}, 1), digests[0]);
}
END_TEST

START_TEST(each_source_of_a_mix_is_known_again)
{
    const leat_field field = {"image", "jpg", LEAT_FIELD_IMAGE, false};
    const leat_image image = {.height = 8};
    const leat_source mixes[][2] = {
        {{.weight = 1}, {.weight = 2}}, {{.weight = 2}, {.weight = 1}}, {{.weight = 1}, {.weight = 2.000001}},
        {{.weight = 1}, {.weight = 1}},
        {{.weight = 1, .fields = &field, .field_count = 1}, {.weight = 2}},
        {{.weight = 1}, {.weight = 2, .fields = &field, .field_count = 1}},
        {{.weight = 1, .image = &image}, {.weight = 2}}, {{.weight = 1}, {.weight = 2, .image = &image}}};
    uint64_t digests[COUNT(mixes) + 2];
    for (size_t i = 0; i < COUNT(mixes); i++) digests[i] = leat__digest_mix(&(leat_config){.sources = mixes[i], .source_count = 2});
    digests[COUNT(mixes)] = leat__digest_mix(&(leat_config){.sources = mixes[0], .source_count = 1});
    digests[COUNT(mixes) + 1] = leat__digest_mix(&(leat_config){0});
    check_all_different(digests, COUNT(digests));
    ck_assert_uint_eq(digests[COUNT(mixes) + 1], 0);
    const leat_source unsaid[2] = {{.weight = 0}, {.weight = 0, .name = "other", .source = "elsewhere"}}; /* 0 means 1 */
    ck_assert_uint_eq(leat__digest_mix(&(leat_config){.sources = unsaid, .source_count = 2}), digests[3]);
}
END_TEST

/* If these change, every state is refused by another version. */
START_TEST(digests_never_change)
{
    leat__origins origins = list("a.tar;b.tar", NULL);
    const leat_field field = {"image", "jpg;png", LEAT_FIELD_IMAGE, true};
    const leat_image image = {.height = 224, .width = 200, .crop = LEAT_CROP_RANDOM_RESIZED, .scale = {0.08F, 1},
                              .mean = {0.5F, 0.25F, 0}};
    const leat_source sources[2] = {{.weight = 0.3}, {.weight = 0.7, .image = &image}};
    ck_assert_uint_eq(leat__digest_names(&origins), UINT64_C(8278300257471612996));
    ck_assert_uint_eq(leat__digest_fields(&field, 1), UINT64_C(16129891151112998347));
    ck_assert_uint_eq(leat__digest_image(&image), UINT64_C(5790653201489338374));
    ck_assert_uint_eq(leat__digest_mix(&(leat_config){.sources = sources, .source_count = 2}), UINT64_C(6394571305666682718));
    origins_free(&origins);
}
END_TEST

START_TEST(settings_are_those_of_the_config)
{
    leat__origins origins = list("a.tar;b.tar", "c.tar"), loose = list("a.jpg;b.jpg", NULL);
    for (size_t i = 0; i < origins.count; i++) origins.all[i].listing->shards = true;
    const leat_field field = {"x", "y", LEAT_FIELD_INT, false};
    const leat_source sources[2] = {{.weight = 1}, {.weight = 2}};
    leat_config config = {.seed = 1, .batch_size = 2, .limit = 3, .epoch_samples = 4, .lanes = 5, .shuffle_window = 6,
                          .fields = &field,
                          .field_count = 1, .image = {.height = 9}, .sources = sources, .source_count = 2,
                              .remainder = LEAT_REMAINDER_PAD};
    leat__state_settings s;
    leat__state_describe(&s, &config, &origins, 77);
    ck_assert(s.seed == 1 && s.batch_size == 2 && s.limit == 3 && s.epoch_samples == 4 && s.lanes == 5 && s.shuffle_window == 6);
    ck_assert(s.order == LEAT_ORDER_SHUFFLED && s.remainder == LEAT_REMAINDER_PAD && s.objects == 3);
    ck_assert(s.names == leat__digest_names(&origins) && s.fields == leat__digest_fields(&field, 1));
    ck_assert(s.image == leat__digest_image(&config.image) && s.mix == leat__digest_mix(&config));
    ck_assert(s.index == 0 && s.window_bytes == 77);
    config.order = LEAT_ORDER_SEQUENTIAL;
    leat__state_describe(&s, &config, &origins, 77);
    ck_assert(s.order == LEAT_ORDER_SEQUENTIAL && s.lanes == 0); /* the order as listed does not depend on them */
    config.order = LEAT_ORDER_SHUFFLED;
    loose.counted = true;
    leat__state_describe(&s, &config, &loose, 77);
    ck_assert(s.objects == 2 && s.lanes == 0 && s.window_bytes == 0 && s.index == leat__digest_counts(&loose));
    origins_free(&origins);
    origins_free(&loose);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, a_state_is_one_line_of_json);
    tcase_add_test(tcase, what_was_written_is_read);
    tcase_add_test(tcase, the_longest_state_fits);
    tcase_add_loop_test(tcase, white_space_behind_it_does_not_matter, 0, 4);
    tcase_add_test(tcase, too_little_room_is_said);
    tcase_add_loop_test(tcase, each_setting_that_differs_is_named, 0, COUNT(differences));
    tcase_add_test(tcase, another_order_or_remainder_is_named);
    tcase_add_test(tcase, sizes_that_are_not_known_are_not_compared);
    tcase_add_loop_test(tcase, an_index_may_come_but_not_go, 0, COUNT(counts));
    tcase_add_test(tcase, each_byte_counts);
    tcase_add_test(tcase, each_byte_is_needed);
    tcase_add_test(tcase, garbage_is_refused);
    tcase_add_test(tcase, a_text_without_end_is_refused);
    tcase_add_test(tcase, newer_versions_are_named);
    tcase_add_test(tcase, forged_members_are_refused);
    tcase_add_test(tcase, names_are_known_again);
    tcase_add_test(tcase, counts_of_files_are_known_again);
    tcase_add_test(tcase, each_image_setting_is_known_again);
    tcase_add_test(tcase, each_field_is_known_again);
    tcase_add_test(tcase, each_source_of_a_mix_is_known_again);
    tcase_add_test(tcase, digests_never_change);
    tcase_add_test(tcase, settings_are_those_of_the_config);
}

int main(void)
{
    Suite *suite = suite_create("state");
    TCase *tcase = tcase_create("state");
    tcase_set_timeout(tcase, 120);
    add_tests(tcase);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
