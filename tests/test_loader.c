/* test_loader.c - the loader as a trainer uses it: what each source and each setting makes come out, and what is refused. */
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loading.h"

static leat_loader *open_loader(const leat_config *config)
{
    leat_loader *loader;
    leat_error error;
    ck_leat(leat_open(config, &loader, &error));
    return loader;
}

static leat_batch *next_batch(leat_loader *loader)
{
    leat_batch *batch;
    leat_error error;
    ck_leat(leat_next(loader, &batch, &error));
    return batch;
}

static void expect_end(leat_loader *loader)
{
    leat_batch *batch = (leat_batch *)loader;
    ck_assert_int_eq(leat_next(loader, &batch, NULL), LEAT_END);
    ck_assert_ptr_null(batch);
}

/* ---- sources ---- */

/* The generated samples 0..count-1, each once; in sequential order. */
static void expect_samples(const char *source, unsigned count)
{
    leat_config config = small_config(source);
    config.order = LEAT_ORDER_SEQUENTIAL;
    epoch_seen seen;
    see_all(&config, NULL, &seen);
    ck_assert_uint_eq(seen.count, count);
    ck_assert_uint_eq(seen.batches, (count + 7) / 8);
    for (unsigned i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof key, "s%05u", i);
        ck_assert_str_eq(seen.rows[i].key, key);
        ck_assert_int_eq(seen.rows[i].label, i);
        ck_assert_uint_eq(seen.rows[i].step, i / 8);
    }
    epoch_free(&seen);
}

START_TEST(shards_by_every_name)
{
    const char *braces = make_shards(3, 5);
    expect_samples(braces, 15);
    expect_samples(scratch, 15);
    expect_samples(at("train-*.tar"), 15);
    expect_samples(at("train-000000.tar"), 5);
    write_text(at("list.txt"), "# three shards\ntrain-{000000..000001}.tar\n\ntrain-000002.tar\r\n");
    char source[80];
    snprintf(source, sizeof source, "@%s/list.txt", scratch);
    expect_samples(source, 15);
    int kept = dup(STDIN_FILENO), list = open(at("list.txt"), O_RDONLY), here = open(".", O_RDONLY | O_DIRECTORY);
    ck_assert_int_eq(dup2(list, STDIN_FILENO), STDIN_FILENO);
    ck_assert_int_eq(chdir(scratch), 0); /* a list on stdin has no folder */
    expect_samples("@-", 15);
    ck_assert_int_eq(fchdir(here), 0);
    close(here);
    dup2(kept, STDIN_FILENO);
    close(kept);
    close(list);
}
END_TEST

START_TEST(shards_made_by_tar_zstd_and_gzip)
{
    make_shards(1, 6);
    ck_assert_int_eq(mkdir(at("files"), 0700), 0);
    run_tool("tar", "-xf", at("train-000000.tar"), "-C", at("files"), NULL);
    static const char *const formats[] = {"ustar", "gnu", "pax", "v7"};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const char *path = at("%s.tar", formats[i]);
        run_tool("tar", "-cf", path, "--format", formats[i], "--sort=name", "-C", at("files"), ".", NULL);
        leat_config config = small_config(path);
        config.order = LEAT_ORDER_SEQUENTIAL;
        epoch_seen seen;
        see_all(&config, NULL, &seen);
        ck_assert_uint_eq(seen.count, 6);
        ck_assert_str_eq(seen.rows[5].key, "./s00005");
        epoch_free(&seen);
    }
    run_tool("zstd", "-q", at("train-000000.tar"), "-o", at("a.tar.zst"), NULL);
    run_tool("gzip", "-k", at("train-000000.tar"), NULL);
    expect_samples(at("a.tar.zst"), 6);
    expect_samples(at("train-000000.tar.gz"), 6);
    run_tool("cp", at("train-000000.tar.gz"), at("named-wrongly.tar"), NULL);
    expect_samples(at("named-wrongly.tar"), 6); /* by content, not by name */
}
END_TEST

/* Photos, as a source lists them: keys are CLASS/NAME, labels the position of the class. */
static void expect_photos(const char *source, size_t count, bool class_in_key, bool labelled)
{
    leat_config config = small_config(source);
    config.order = LEAT_ORDER_SEQUENTIAL;
    epoch_seen seen;
    see_all(&config, NULL, &seen);
    ck_assert_uint_eq(seen.count, count);
    for (size_t i = 0; i < count; i++) {
        const photo *p = photo_number(i);
        char key[96];
        int stem = (int)(strrchr(p->name, '.') - p->name);
        snprintf(key, sizeof key, "%s%s%.*s", class_in_key ? p->class_name : "", class_in_key ? "/" : "", stem, p->name);
        ck_assert_str_eq(seen.rows[i].key, key);
        ck_assert_int_eq(seen.rows[i].label, labelled ? p->label : -1);
    }
    epoch_free(&seen);
}

START_TEST(photos_by_every_name)
{
    expect_photos(LEAT_PHOTOS, PHOTOS, true, true);
    expect_photos(LEAT_PHOTOS "/bird", 16, false, false);
    expect_photos(LEAT_PHOTOS "/*/*.*", PHOTOS, true, true);
    expect_photos(LEAT_PHOTOS "/bird/albino_peahen.jpg", 1, true, false);
    expect_photos(LEAT_PHOTOS "/bird/{albino_peahen,blackbird,crow}.jpg", 3, true, false);
    FILE *list = fopen(at("list"), "w");
    for (size_t i = 0; i < PHOTOS; i++)
        fprintf(list, LEAT_PHOTOS "/%s/%s\n", photo_number(i)->class_name, photo_number(i)->name);
    fclose(list);
    char source[80];
    snprintf(source, sizeof source, "@%s/list", scratch);
    expect_photos(source, PHOTOS, true, true);
}
END_TEST

/* ---- tensors ---- */

static void expect_dense(const leat_tensor *tensor, leat_dtype dtype, int ndim, const int64_t *shape)
{
    ck_assert_ptr_nonnull(tensor);
    ck_assert_int_eq(tensor->dtype, dtype);
    ck_assert_int_eq(tensor->ndim, ndim);
    int64_t elements = 1;
    for (int d = ndim - 1; d >= 0; d--) {
        ck_assert_int_eq(tensor->shape[d], shape[d]);
        ck_assert_int_eq(tensor->strides[d], elements);
        elements *= shape[d];
    }
    ck_assert_uint_eq(tensor->bytes, (size_t)elements * leat_dtype_size(dtype));
    ck_assert_uint_eq((uintptr_t)tensor->data % LEAT_ALIGNMENT, 0);
    ck_assert_ptr_null(tensor->offsets);
}

START_TEST(image_tensors_of_every_type_and_layout)
{
    static const leat_dtype dtypes[] = {LEAT_UINT8, LEAT_FLOAT16, LEAT_FLOAT32};
    leat_config config = small_config(make_shards(1, 5));
    config.batch_size = 3;
    config.image.dtype = dtypes[_i % 3];
    config.image.layout = (leat_layout)(_i / 3 % 3);
    config.image.alpha = _i / 9;
    config.image.height = 20;
    config.image.width = 30;
    leat_loader *loader = open_loader(&config);
    bool floats = config.image.dtype != LEAT_UINT8;
    leat_layout layout = config.image.layout ? config.image.layout : floats ? LEAT_CHW : LEAT_HWC;
    int64_t channels = config.image.alpha ? 4 : 3;
    for (int64_t rows = 3; rows >= 2; rows--) {
        leat_batch *batch = next_batch(loader);
        const leat_tensor *image = leat_batch_tensor(batch, "image");
        int64_t hwc[4] = {rows, 20, 30, channels}, chw[4] = {rows, channels, 20, 30};
        expect_dense(image, config.image.dtype, 4, layout == LEAT_HWC ? hwc : chw);
        ck_assert_int_eq(image->layout, layout);
        ck_assert_ptr_eq(leat_batch_tensor_at(batch, 0), image);
        expect_dense(leat_batch_tensor(batch, "label"), LEAT_INT64, 1, (int64_t[]){rows});
        ck_assert_ptr_null(leat_batch_tensor_at(batch, 2));
        ck_assert_ptr_null(leat_batch_tensor(batch, "json"));
        leat_release(batch);
    }
    expect_end(loader);
    leat_close(loader);
}
END_TEST

START_TEST(float_chw_has_the_pixels_of_uint8_hwc)
{
    leat_config config = small_config(LEAT_PHOTOS);
    config.batch_size = PHOTOS;
    config.image.crop = LEAT_CROP_RANDOM_RESIZED;
    config.image.flip = true;
    leat_loader *bytes = open_loader(&config);
    config.image.dtype = LEAT_FLOAT32;
    for (int c = 0; c < 3; c++) {
        config.image.mean[c] = 0.1f * (float)(c + 1);
        config.image.std[c] = 0.25f * (float)(c + 1);
    }
    leat_loader *floats = open_loader(&config);
    leat_batch *a = next_batch(bytes), *b = next_batch(floats);
    const uint8_t *pixels = leat_batch_tensor(a, "image")->data;
    const float *values = leat_batch_tensor(b, "image")->data;
    for (size_t row = 0; row < PHOTOS; row++) {
        ck_assert_str_eq(leat_batch_key(a, row), leat_batch_key(b, row));
        for (size_t at_pixel = 0; at_pixel < 32 * 32; at_pixel++)
            for (size_t c = 0; c < 3; c++) {
                float value = values[row * 3072 + c * 1024 + at_pixel] * config.image.std[c] + config.image.mean[c];
                ck_assert_float_eq_tol(value * 255, pixels[row * 3072 + at_pixel * 3 + c], 0.6f);
            }
    }
    leat_release(a);
    leat_release(b);
    leat_close(bytes);
    leat_close(floats);
}
END_TEST

START_TEST(fields_of_every_kind)
{
    leat_config config = small_config(make_shards(2, 10));
    config.fields = all_fields;
    config.field_count = 5;
    leat_loader *loader = open_loader(&config);
    for (size_t done = 0; done < 20;) {
        leat_batch *batch = next_batch(loader);
        int64_t rows = (int64_t)leat_batch_rows(batch);
        const leat_tensor *label = leat_batch_tensor_at(batch, 1), *json = leat_batch_tensor_at(batch, 2);
        const leat_tensor *value = leat_batch_tensor_at(batch, 3), *array = leat_batch_tensor_at(batch, 4);
        expect_dense(label, LEAT_INT64, 1, &rows);
        expect_dense(value, LEAT_FLOAT32, 1, &rows);
        expect_dense(array, LEAT_FLOAT32, 3, (int64_t[]){rows, 2, 3});
        ck_assert_int_eq(json->ndim, 1);
        ck_assert_int_eq(json->offsets[0], 0);
        ck_assert_int_eq(json->offsets[rows], json->shape[0]);
        ck_assert_uint_eq(json->bytes, (size_t)json->shape[0]);
        for (int64_t i = 0; i < rows; i++) {
            unsigned g = (unsigned)((const int64_t *)label->data)[i];
            char text[64], key[16];
            sample_json(g, text);
            snprintf(key, sizeof key, "s%05u", g);
            ck_assert_str_eq(leat_batch_key(batch, (size_t)i), key);
            ck_assert_uint_eq(leat_batch_index(batch, (size_t)i), g % 10);
            ck_assert_str_eq(leat_batch_shard(batch, (size_t)i), at("train-%06u.tar", g / 10));
            ck_assert_int_eq(json->offsets[i + 1] - json->offsets[i], strlen(text));
            if (text[0]) ck_assert_mem_eq((const char *)json->data + json->offsets[i], text, strlen(text));
            ck_assert_float_eq(((const float *)value->data)[i], (float)g + 0.5f);
            for (unsigned k = 0; k < 6; k++) ck_assert_float_eq(((const float *)array->data)[i * 6 + k], (float)(g + k));
        }
        ck_assert_str_eq(leat_batch_key(batch, (size_t)rows), "");
        ck_assert_str_eq(leat_batch_shard(batch, (size_t)rows), "");
        done += (size_t)rows;
        leat_release(batch);
    }
    expect_end(loader);
    leat_close(loader);
}
END_TEST

START_TEST(optional_fields_have_their_stand_ins)
{
    FILE *shard = shard_begin(at("a.tar"));
    shard_add_text(shard, "a.cls", "7");
    shard_add_text(shard, "a.val", "1e3");
    shard_add_text(shard, "a.txt", "words");
    shard_add_text(shard, "b.other", "x");
    shard_add_text(shard, "c.cls", "");
    shard_add_text(shard, "c.txt", "");
    shard_end(shard);
    static const leat_field fields[] = {{"label", "cls", LEAT_FIELD_INT, true}, {"value", "val", LEAT_FIELD_FLOAT, true},
                                        {"text", "nothing;TXT", LEAT_FIELD_BYTES, true}};
    leat_config config = small_config(at("a.tar"));
    config.order = LEAT_ORDER_SEQUENTIAL;
    config.fields = fields;
    config.field_count = 3;
    leat_loader *loader = open_loader(&config);
    leat_batch *batch = next_batch(loader);
    ck_assert_uint_eq(leat_batch_rows(batch), 2); /* c's empty label is no number */
    ck_assert_uint_eq(leat_batch_missing(batch), 1);
    const int64_t *labels = leat_batch_tensor(batch, "label")->data;
    const float *values = leat_batch_tensor(batch, "value")->data;
    const leat_tensor *text = leat_batch_tensor(batch, "text");
    ck_assert_int_eq(labels[0], 7);
    ck_assert_int_eq(labels[1], -1);
    ck_assert_float_eq(values[0], 1000);
    ck_assert(isnan(values[1]));
    ck_assert_int_eq(text->offsets[1], 5);
    ck_assert_int_eq(text->offsets[2], 5);
    ck_assert_mem_eq(text->data, "words", 5);
    leat_release(batch);
    expect_end(loader);
    leat_close(loader);
}
END_TEST

static void add_array(FILE *shard, const char *name, const char *descr, const char *shape, size_t bytes)
{
    uint8_t data[256] = {1, 2, 3}, npy[128 + sizeof data];
    shard_add(shard, name, npy, make_npy(npy, descr, shape, data, bytes));
}

START_TEST(the_first_array_fixes_the_shape)
{
    FILE *shard = shard_begin(at("a.tar"));
    add_array(shard, "a.npy", "<i4", "(4,)", 16);
    add_array(shard, "b.npy", "<i4", "(2, 2)", 16);
    add_array(shard, "c.npy", "<f4", "(4,)", 16);
    add_array(shard, "d.npy", ">i4", "(4,)", 16);
    add_array(shard, "e.npy", "<i4", "()", 4);
    shard_end(shard);
    static const leat_field field = {.tensor = "x", .names = "npy", .kind = LEAT_FIELD_ARRAY};
    leat_config config = small_config(at("a.tar"));
    config.order = LEAT_ORDER_SEQUENTIAL;
    config.fields = &field;
    config.field_count = 1;
    leat_loader *loader = open_loader(&config);
    leat_batch *batch = next_batch(loader);
    expect_dense(leat_batch_tensor(batch, "x"), LEAT_INT32, 2, (int64_t[]){2, 4});
    ck_assert_str_eq(leat_batch_key(batch, 1), "d");
    ck_assert_int_eq(((const int32_t *)leat_batch_tensor(batch, "x")->data)[0], 0x030201);
    ck_assert_int_eq(((const int32_t *)leat_batch_tensor(batch, "x")->data)[4], 0x01020300);
    leat_release(batch);
    expect_end(loader);
    leat_error errors[4];
    char expected[1024];
    ck_assert_uint_eq(leat_errors(loader, errors, 4), 3);
    for (int i = 0; i < 3; i++) ck_assert_int_eq(errors[i].code, LEAT_ESHAPE);
    snprintf(expected, sizeof expected, "%s: sample b at byte 1536: tensor \"x\" is int32 [2, 2] here, but int32 [4] in a of %s; "
             "skipped (1 of at most 100)", at("a.tar"), at("a.tar"));
    ck_assert_str_eq(errors[0].message, expected);
    ck_assert_uint_eq(errors[0].offset, 1536);
    leat_close(loader);
}
END_TEST

/* ---- batches and epochs ---- */

START_TEST(short_and_dropped_last_batches)
{
    static const uint32_t sizes[] = {1, 5, 8, 20, 100};
    leat_config config = small_config(make_shards(2, 10));
    config.batch_size = sizes[_i % 5];
    config.remainder = _i >= 5 ? LEAT_REMAINDER_DROP : LEAT_REMAINDER_SHORT;
    epoch_seen seen;
    see_all(&config, NULL, &seen);
    size_t full = 20 / config.batch_size, rest = 20 % config.batch_size;
    bool last = rest && config.remainder == LEAT_REMAINDER_SHORT;
    ck_assert_uint_eq(seen.batches, full + last);
    ck_assert_uint_eq(seen.count, full * config.batch_size + last * rest);
    epoch_free(&seen);
}
END_TEST

START_TEST(epochs_on_one_loader)
{
    leat_config config = small_config(make_shards(3, 7));
    config.epochs = 3;
    config.remainder = _i ? LEAT_REMAINDER_DROP : LEAT_REMAINDER_SHORT;
    leat_loader *loader = open_loader(&config);
    for (uint64_t epoch = 0; epoch < 3; epoch++) {
        for (uint64_t step = 0; step < (_i ? 2 : 3); step++) {
            leat_batch *batch = next_batch(loader);
            ck_assert_uint_eq(leat_batch_epoch(batch), epoch);
            ck_assert_uint_eq(leat_batch_step(batch), step);
            leat_release(batch);
        }
        expect_end(loader);
    }
    for (int i = 0; i < 3; i++) expect_end(loader);
    leat_statistics stats;
    ck_assert_int_eq(leat_stats(loader, &stats), LEAT_OK);
    ck_assert_uint_eq(stats.epochs, 3);
    leat_close(loader);
}
END_TEST

/* Epochs without end; a loader that begins at a later one gives what this one gives then. */
START_TEST(epochs_without_end_and_from_an_offset)
{
    leat_config config = small_config(make_shards(3, 7));
    config.epochs = 0;
    leat_loader *loader = open_loader(&config);
    epoch_seen seen[6];
    leat_error error;
    for (size_t i = 0; i < 6; i++) {
        seen[i] = (epoch_seen){0};
        ck_assert_int_eq(see_epoch(loader, &seen[i], &error), LEAT_END);
        ck_assert_uint_eq(seen[i].count, 21);
        for (size_t j = 0; j < i; j++) ck_assert_str_ne(seen[i].hash, seen[j].hash);
    }
    leat_close(loader);
    config.epochs = 1;
    for (config.epoch = 0; config.epoch < 6; config.epoch++) {
        epoch_seen alone;
        see_all(&config, NULL, &alone);
        ck_assert_str_eq(alone.hash, seen[config.epoch].hash);
        epoch_free(&alone);
    }
    for (size_t i = 0; i < 6; i++) epoch_free(&seen[i]);
}
END_TEST

START_TEST(a_limit_cuts_each_epoch_to_its_first_samples)
{
    static const uint64_t limits[] = {1, 7, 8, 9, 20, 21, 50};
    leat_config config = small_config(_i < 7 ? make_shards(3, 7) : LEAT_PHOTOS);
    epoch_seen all[2], some;
    config.epochs = 2;
    leat_loader *loader = open_loader(&config);
    for (size_t i = 0; i < 2; i++) {
        all[i] = (epoch_seen){0};
        ck_assert_int_eq(see_epoch(loader, &all[i], NULL), LEAT_END);
    }
    leat_close(loader);
    config.limit = limits[_i % 7];
    loader = open_loader(&config);
    for (size_t i = 0; i < 2; i++) {
        size_t expected = all[i].count < config.limit ? all[i].count : config.limit;
        some = (epoch_seen){0};
        ck_assert_int_eq(see_epoch(loader, &some, NULL), LEAT_END);
        ck_assert_uint_eq(some.count, expected);
        for (size_t k = 0; k < expected; k++) ck_assert_uint_eq(some.rows[k].print, all[i].rows[k].print);
        epoch_free(&some);
        epoch_free(&all[i]);
    }
    expect_end(loader);
    ck_assert_uint_eq(leat_errors(loader, NULL, 0), 0); /* a shard that was cut off is no broken one */
    leat_close(loader);
}
END_TEST

/* ---- waiting ---- */

static int wait_for_semaphore(void *user, leat_row *row, char *reason, size_t bytes)
{
    (void)row;
    (void)reason;
    (void)bytes;
    while (sem_wait(user)) continue;
    return 0;
}

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    return poll(&entry, 1, timeout_ms) == 1;
}

START_TEST(waiting_with_time_out_and_poll)
{
    sem_t gate;
    sem_init(&gate, 0, 0);
    leat_config config = small_config(make_shards(1, 8));
    config.batch_size = 4;
    config.threads = 1; /* rows are decoded in their order */
    config.map = wait_for_semaphore;
    config.map_user = &gate;
    leat_loader *loader = open_loader(&config);
    int fd = leat_fd(loader);
    leat_batch *batch;
    leat_error error;
    for (int part = 0; part < 2; part++) {
        ck_assert_int_eq(leat_try_next(loader, &batch, &error), LEAT_AGAIN);
        ck_assert_ptr_null(batch);
        double begin = seconds_now();
        ck_assert_int_eq(leat_next_timeout(loader, 50, &batch, &error), LEAT_AGAIN);
        ck_assert_double_ge(seconds_now() - begin, 0.05);
        ck_assert(!is_readable(fd, 0));
        for (int i = 0; i < 4; i++) sem_post(&gate);
        ck_assert(is_readable(fd, 20000));
        ck_assert(is_readable(fd, 0)); /* level-triggered */
        ck_leat(leat_try_next(loader, &batch, &error));
        ck_assert_uint_eq(leat_batch_rows(batch), 4);
        leat_release(batch);
    }
    ck_assert(is_readable(fd, 20000));
    ck_assert_int_eq(leat_try_next(loader, &batch, &error), LEAT_END);
    ck_assert(is_readable(fd, 20000)); /* the end stays */
    ck_assert_int_eq(leat_try_next(loader, &batch, &error), LEAT_END);
    leat_close(loader);
    sem_destroy(&gate);
}
END_TEST

/* ---- a function of the user's ---- */

typedef struct mapped {
    _Atomic uint64_t calls, key_sum, random_sum;
} mapped;

static int map_row(void *user, leat_row *row, char *reason, size_t bytes)
{
    (void)reason;
    (void)bytes;
    mapped *m = user;
    size_t size;
    int64_t *label = leat_row_data(row, "label", &size);
    ck_assert_uint_eq(size, 8);
    ck_assert_ptr_null(leat_row_data(row, "json", &size)); /* ragged */
    ck_assert_ptr_null(leat_row_data(row, "nothing", &size));
    ck_assert_uint_eq(size, 0);
    const char *value = leat_row_field(row, "val", &size);
    ck_assert_int_eq(strtol(value, NULL, 10), *label);
    ck_assert_uint_gt(size, 2);
    ck_assert_ptr_null(leat_row_field(row, "nothing", &size));
    ck_assert_uint_eq((uint64_t)atoi(leat_row_key(row) + 1), (uint64_t)*label);
    ck_assert_uint_eq(leat_row_index(row), (uint64_t)*label % 10);
    ck_assert_uint_eq(leat_row_epoch(row), 3);
    ck_assert_ptr_nonnull(strstr(leat_row_shard(row), "/train-"));
    m->calls++;
    m->key_sum += (uint64_t)*label;
    m->random_sum += leat_row_random(row, 2, 5) ^ leat_row_random(row, 3, 5);
    *label = *label * 2 + 1;
    return 0;
}

START_TEST(a_map_function_sees_and_changes_each_row_once)
{
    leat_config config = small_config(make_shards(2, 10));
    config.epoch = 3;
    config.fields = all_fields;
    config.field_count = 5;
    config.map = map_row;
    uint64_t random_sum = 0;
    for (config.threads = 1; config.threads <= 3; config.threads++) {
        mapped m = {0};
        config.map_user = &m;
        epoch_seen seen;
        see_all(&config, NULL, &seen);
        ck_assert_uint_eq(m.calls, 20);
        ck_assert_uint_eq(m.key_sum, 190);
        for (size_t i = 0; i < seen.count; i++) ck_assert_int_eq(seen.rows[i].label, 2 * atoi(seen.rows[i].key + 1) + 1);
        if (config.threads > 1) ck_assert_uint_eq(m.random_sum, random_sum);
        random_sum = m.random_sum;
        ck_assert_uint_ne(random_sum, 0);
        epoch_free(&seen);
    }
}
END_TEST

/* ---- reading back ---- */

START_TEST(chosen_values_have_no_zero_left)
{
    leat_config config = LEAT_CONFIG_INIT, chosen;
    config.source = make_shards(3, 7);
    char source[256];
    snprintf(source, sizeof source, "%s", config.source);
    leat_loader *loader = open_loader(&config);
    leat_chosen(loader, &chosen);
    ck_assert_str_eq(chosen.source, source);
    ck_assert_uint_eq(chosen.batch_size, 256);
    ck_assert_uint_eq(chosen.image.height, 224);
    ck_assert_uint_eq(chosen.image.width, 224);
    ck_assert_int_eq(chosen.image.layout, LEAT_HWC);
    ck_assert_uint_eq(chosen.lanes, 3); /* no more than shards */
    ck_assert_uint_eq(chosen.shuffle_window, 32);
    ck_assert_uint_eq(chosen.max_errors, 100);
    ck_assert_uint_eq(chosen.memory_limit, 1 << 30);
    ck_assert_uint_ge(chosen.threads, 1);
    ck_assert(chosen.io_threads >= 2 && chosen.io_threads <= 4);
    ck_assert_uint_eq(chosen.connections, 32);
    ck_assert_uint_eq(chosen.prefetch, 2);
    ck_assert_uint_eq(chosen.max_image_pixels, 100000000);
    ck_assert_uint_gt(chosen.max_sample_bytes, 1 << 20);
    ck_assert_uint_eq(chosen.max_object_bytes, UINT64_C(64) << 30);
    ck_assert_uint_eq(chosen.max_unpacked_bytes, UINT64_C(1) << 40);
    ck_assert_uint_eq(chosen.retries, 5);
    ck_assert_uint_eq(chosen.connect_timeout_ms, 10000);
    ck_assert_uint_eq(chosen.stall_timeout_ms, 30000);
    ck_assert_uint_eq(chosen.max_retry_after_ms, 120000);
    ck_assert_uint_eq(chosen.redirects, 5);
    leat_close(loader);
}
END_TEST

/* The config's strings may go as soon as leat_open has returned. */
START_TEST(the_config_is_copied)
{
    char *source = strdup(make_shards(1, 4)), *tensor = strdup("text"), *names = strdup("json");
    leat_field *field = calloc(1, sizeof *field);
    *field = (leat_field){.tensor = tensor, .names = names, .kind = LEAT_FIELD_BYTES};
    leat_config config = small_config(source), chosen;
    config.fields = field;
    config.field_count = 1;
    leat_loader *loader = open_loader(&config);
    free(source);
    free(tensor);
    free(names);
    free(field);
    leat_batch *batch = next_batch(loader);
    ck_assert_str_eq(leat_batch_tensor_at(batch, 0)->name, "text");
    leat_chosen(loader, &chosen);
    ck_assert_str_eq(chosen.fields[0].names, "json");
    leat_release(batch);
    leat_close(loader);
}
END_TEST

START_TEST(stats_add_up)
{
    FILE *shard;
    const char *source = make_shards(2, 20);
    shard = shard_begin(at("train-000002.tar"));
    shard_add_text(shard, "README", "no dot: no sample");
    shard_add_sample(shard, 40);
    shard_add_text(shard, "broken.jpg", "no image");
    shard_end(shard);
    (void)source;
    leat_config config = small_config(at("train-{000000..000002}.tar"));
    config.epochs = 2;
    leat_loader *loader = open_loader(&config);
    leat_error error;
    struct stat info;
    uint64_t rows = 0, missing = 0, batches = 0, size = 0;
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(stat(at("train-%06u.tar", i), &info), 0);
        size += (uint64_t)info.st_size;
    }
    for (int epoch = 0; epoch < 2; epoch++) {
        epoch_seen seen = {0};
        ck_assert_int_eq(see_epoch(loader, &seen, &error), LEAT_END);
        rows += seen.count;
        missing += seen.missing;
        batches += seen.batches;
        epoch_free(&seen);
    }
    leat_statistics stats;
    ck_assert_int_eq(leat_stats(loader, &stats), LEAT_OK);
    ck_assert_uint_eq(stats.samples, 82);
    ck_assert_uint_eq(stats.samples, rows);
    ck_assert_uint_eq(stats.errors, 2);
    ck_assert_uint_eq(stats.errors, missing);
    ck_assert_uint_eq(stats.batches, batches);
    ck_assert_uint_eq(stats.epochs, 2);
    ck_assert_uint_eq(stats.ignored, 2);
    ck_assert_uint_eq(stats.bytes_read, 2 * size);
    ck_assert_uint_eq(stats.retries, 0);
    ck_assert_uint_eq(stats.windows_cut, 0);
    ck_assert_uint_eq(stats.memory_limit, 64 << 20);
    ck_assert_uint_gt(stats.memory_peak, 0);
    ck_assert_uint_le(stats.memory_used, stats.memory_peak);
    ck_assert_uint_gt(stats.first_batch_ns, 0);
    ck_assert_uint_gt(stats.open_ns, stats.first_batch_ns);
    static const char *const names[] = {"source", "fetch", "decompress", "unpack", "shuffle", "merge", "rows", "decode", "batch"};
    ck_assert_uint_eq(stats.stage_count, sizeof names / sizeof *names);
    for (size_t i = 0; i < stats.stage_count; i++) {
        ck_assert_str_eq(stats.stages[i].name, names[i]);
        ck_assert_uint_eq(stats.stages[i].instances, i < 5 ? 3 : 1);
    }
    ck_assert_uint_eq(stats.stages[7].items, 84);
    leat_close(loader);
}
END_TEST

/* ---- lifetimes ---- */

START_TEST(batches_outlive_their_loader)
{
    leat_config config = small_config(make_shards(2, 8));
    config.fields = all_fields;
    config.field_count = 5;
    leat_loader *loader = open_loader(&config);
    leat_batch *batches[2] = {next_batch(loader), next_batch(loader)};
    epoch_seen before = {0}, after = {0};
    see_batch(&before, batches[0]);
    see_batch(&before, batches[1]);
    leat_close(loader);
    see_batch(&after, batches[0]);
    see_batch(&after, batches[1]);
    assert_same_rows(&before, &after);
    ck_assert_ptr_nonnull(strstr(leat_batch_shard(batches[0], 0), "train-"));
    leat_release(batches[1]);
    ck_assert_uint_eq(leat_batch_rows(batches[0]), 8);
    leat_release(batches[0]);
    epoch_free(&before);
    epoch_free(&after);
}
END_TEST

START_TEST(nothing_is_released_gladly)
{
    leat_release(NULL);
    leat_close(NULL);
    leat_digest_free(NULL);
}
END_TEST

/* ---- small and empty ---- */

START_TEST(a_shard_without_samples_is_an_epoch_without_batches)
{
    shard_end(shard_begin(at("empty.tar")));
    leat_config config = small_config(at("empty.tar"));
    config.epochs = (uint64_t)_i;
    leat_loader *loader = open_loader(&config);
    for (int i = 0; i < 10; i++) expect_end(loader);
    ck_assert_uint_eq(leat_errors(loader, NULL, 0), 0);
    leat_close(loader);
}
END_TEST

START_TEST(class_folders_of_arrays)
{
    uint8_t npy[128 + 8];
    for (int16_t i = 0; i < 6; i++) {
        int16_t values[4] = {i, (int16_t)(i + 1), -1, 300};
        size_t size = make_npy(npy, "<i2", "(4,)", values, sizeof values);
        if (i % 3 == 0) ck_assert_int_eq(mkdir(at("c%d", i / 3), 0700), 0);
        write_file(at("c%d/n%d.npy", i / 3, i), npy, size);
    }
    static const leat_field fields[] = {{"x", "npy", LEAT_FIELD_ARRAY, false}, {"label", "cls", LEAT_FIELD_INT, false}};
    leat_config config = small_config(scratch);
    config.order = LEAT_ORDER_SEQUENTIAL;
    config.fields = fields;
    config.field_count = 2;
    leat_loader *loader = open_loader(&config);
    leat_batch *batch = next_batch(loader);
    const leat_tensor *x = leat_batch_tensor(batch, "x");
    expect_dense(x, LEAT_INT16, 2, (int64_t[]){6, 4});
    for (int16_t i = 0; i < 6; i++) {
        ck_assert_int_eq(((const int16_t *)x->data)[i * 4 + 1], i + 1);
        ck_assert_int_eq(((const int64_t *)leat_batch_tensor(batch, "label")->data)[i], i / 3);
    }
    ck_assert_str_eq(leat_batch_key(batch, 5), "c1/n5");
    leat_release(batch);
    expect_end(loader);
    leat_close(loader);
}
END_TEST

/* ---- what is refused ---- */

typedef struct refusal {
    const char *message;
    leat_config config;
} refusal;

static const leat_field twice[] = {{"a", "cls", LEAT_FIELD_INT, false}, {"a", "txt", LEAT_FIELD_INT, false}};
static const leat_field nameless[] = {{NULL, "cls", LEAT_FIELD_INT, false}};
static const leat_field kindless[] = {{"a", "cls", (leat_field_kind)9, false}};
static const leat_field maybe[] = {{"a", "jpg", LEAT_FIELD_IMAGE, true}};
static const char *const bad_header[] = {"Good: yes", "no colon"};
static const char *const split_header[] = {"A: b\r\nHost: elsewhere"};

#define ANY .source = LEAT_PHOTOS
static const refusal refusals[] = {
    {"source is not set: give a folder, file, URL or @list", {.source = NULL}},
    {"source is not set: give a folder, file, URL or @list", {.source = ""}},
    {"order is 7: none of LEAT_ORDER_*", {ANY, .order = (leat_order)7}},
    {"on_error is 5: none of LEAT_ON_ERROR_*", {ANY, .on_error = (leat_on_error)5}},
    {"batch_size is 65537: give a number from 1 to 65536, or 0 for the default", {ANY, .batch_size = 65537}},
    {"shuffle_window is 1048577: give a number from 1 to 1048576, or 0 for the default", {ANY, .shuffle_window = 1048577}},
    {"lanes is 257: give a number from 1 to 256, or 0 for the default", {ANY, .lanes = 257}},
    {"threads is 1025: give a number from 1 to 1024, or 0 for the default", {ANY, .threads = 1025}},
    {"io_threads is 257: give a number from 1 to 256, or 0 for the default", {ANY, .io_threads = 257}},
    {"connections is 1025: give a number from 1 to 1024, or 0 for the default", {ANY, .connections = 1025}},
    {"prefetch is 17: give a number from 1 to 16, or 0 for the default", {ANY, .prefetch = 17}},
    {"retries is 101: give a number from 1 to 100, or 0 for the default", {ANY, .retries = 101}},
    {"redirects is 101: give a number from 1 to 100, or 0 for the default", {ANY, .redirects = 101}},
    {"epoch plus epochs overflows", {ANY, .epoch = UINT64_MAX, .epochs = 1}},
    {"memory_limit is 1000000 bytes: give at least 32 MiB (33554432), or 0 for 1 GiB", {ANY, .memory_limit = 1000000}},
    {"header_count is 1, but headers is NULL", {ANY, .header_count = 1}},
    {"headers[1] is not of the form \"Name: value\" without control characters",
     {ANY, .headers = bad_header, .header_count = 2}},
    {"headers[0] is not of the form \"Name: value\" without control characters",
     {ANY, .headers = split_header, .header_count = 1}},
    {"fields and field_count go together: fields is zero", {ANY, .field_count = 1}},
    {"fields and field_count go together: field_count is zero", {ANY, .fields = twice}},
    {"fields[0] and fields[1] are both named \"a\"", {ANY, .fields = twice, .field_count = 2}},
    {"fields[0] needs a tensor name and field names such as \"jpg;png\"", {ANY, .fields = nameless, .field_count = 1}},
    {"fields[0] (\"a\"): kind 9 is none of LEAT_FIELD_*", {ANY, .fields = kindless, .field_count = 1}},
    {"fields[0] (\"a\"): images and arrays cannot be optional", {ANY, .fields = maybe, .field_count = 1}},
    {"image.crop is 9: it must be one of LEAT_CROP_*",
     {ANY, .image = {.crop = (leat_crop)9}}},
    {"image.dtype is 7: it must be LEAT_UINT8, LEAT_FLOAT32 or LEAT_FLOAT16",
     {ANY, .image = {.dtype = LEAT_INT64}}},
    {"image.layout is 9: it must be LEAT_HWC or LEAT_CHW",
     {ANY, .image = {.layout = (leat_layout)9}}},
    {"image.height and image.width are 2147483648 and 2147483648: each must be 1..65535",
     {ANY, .image = {.height = 1u << 31}}},
    {"image.scale is {0.9, 0.1}: it must be {low, high} with 0 < low <= high <= 1",
     {ANY, .image = {.crop = LEAT_CROP_RANDOM_RESIZED, .scale = {0.9f, 0.1f}}}},
    {"image.ratio is {-1, 1}: it must be {low, high} with 0 < low <= high <= 1000",
     {ANY, .image = {.crop = LEAT_CROP_RANDOM_RESIZED, .ratio = {-1, 1}}}},
    {"image.std[0] is -1: it must be positive",
     {ANY, .image = {.dtype = LEAT_FLOAT32, .std = {-1, 1, 1}}}},
    {"memory_limit of 33.6 MB is too small: a batch of 4096 rows takes 616.6 MB, and each of 2 lanes needs 0.5 MB of the 0.0 MB "
     "that are left; lower batch_size or lanes, or raise memory_limit",
     {ANY, .memory_limit = 32 << 20, .batch_size = 4096}},
};

START_TEST(impossible_settings_are_refused)
{
    const refusal *r = &refusals[_i];
    leat_loader *loader = (leat_loader *)&loader;
    leat_error error;
    size_t fds = count_fds();
    ck_assert_int_eq(leat_open(&r->config, &loader, &error), LEAT_EINVAL);
    ck_assert_ptr_null(loader);
    ck_assert_int_eq(error.code, LEAT_EINVAL);
    ck_assert_str_eq(error.message, r->message);
    ck_assert_uint_eq(count_fds(), fds);
    ck_assert_int_eq(leat_open(&r->config, &loader, NULL), LEAT_EINVAL); /* error may be NULL */
}
END_TEST

START_TEST(a_source_of_nothing_is_not_found)
{
    leat_loader *loader;
    leat_error error;
    leat_config config = small_config(at("nowhere"));
    char expected[300];
    snprintf(expected, sizeof expected, "there is no file or folder '%s'", config.source);
    ck_assert_int_eq(leat_open(&config, &loader, &error), LEAT_ENOTFOUND);
    ck_assert_str_eq(error.message, expected);
    config.source = scratch; /* empty */
    ck_assert_int_eq(leat_open(&config, &loader, &error), LEAT_ENOTFOUND);
    ck_assert_ptr_nonnull(strstr(error.message, scratch));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loader");
    TCase *tests = tcase_create("loader");
    tcase_add_checked_fixture(tests, scratch_begin, scratch_end);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, shards_by_every_name);
    tcase_add_test(tests, shards_made_by_tar_zstd_and_gzip);
    tcase_add_test(tests, photos_by_every_name);
    tcase_add_loop_test(tests, image_tensors_of_every_type_and_layout, 0, 18);
    tcase_add_test(tests, float_chw_has_the_pixels_of_uint8_hwc);
    tcase_add_test(tests, fields_of_every_kind);
    tcase_add_test(tests, optional_fields_have_their_stand_ins);
    tcase_add_test(tests, the_first_array_fixes_the_shape);
    tcase_add_loop_test(tests, short_and_dropped_last_batches, 0, 10);
    tcase_add_loop_test(tests, epochs_on_one_loader, 0, 2);
    tcase_add_test(tests, epochs_without_end_and_from_an_offset);
    tcase_add_loop_test(tests, a_limit_cuts_each_epoch_to_its_first_samples, 0, 14);
    tcase_add_test(tests, waiting_with_time_out_and_poll);
    tcase_add_test(tests, a_map_function_sees_and_changes_each_row_once);
    tcase_add_test(tests, chosen_values_have_no_zero_left);
    tcase_add_test(tests, the_config_is_copied);
    tcase_add_test(tests, stats_add_up);
    tcase_add_test(tests, batches_outlive_their_loader);
    tcase_add_test(tests, nothing_is_released_gladly);
    tcase_add_loop_test(tests, a_shard_without_samples_is_an_epoch_without_batches, 0, 3);
    tcase_add_test(tests, class_folders_of_arrays);
    tcase_add_loop_test(tests, impossible_settings_are_refused, 0, sizeof refusals / sizeof *refusals);
    tcase_add_test(tests, a_source_of_nothing_is_not_found);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
