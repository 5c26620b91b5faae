/* loading.c - small data sets and counters for the tests of the loader. */
#include "loading.h"

#include <dirent.h>
#include <ftw.h>
#include <glob.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "loader/opening.h"

/* ---- files ---- */

char scratch[64];

void scratch_begin(void)
{
    strcpy(scratch, "/tmp/leat-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scratch));
}

static int remove_one(const char *path, const struct stat *info, int flag, struct FTW *ftw)
{
    (void)info;
    (void)flag;
    (void)ftw;
    return remove(path);
}

void scratch_end(void)
{
    ck_assert_int_eq(nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

const char *at(const char *format, ...)
{
    static char paths[16][256];
    static unsigned next;
    char *path = paths[next++ % 16];
    int used = snprintf(path, sizeof paths[0], "%s/", scratch);
    va_list list;
    va_start(list, format);
    vsnprintf(path + used, sizeof paths[0] - (size_t)used, format, list);
    va_end(list);
    return path;
}

void write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "w");
    ck_assert_msg(file != NULL, "cannot write %s", path);
    ck_assert_uint_eq(fwrite(data, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

void write_text(const char *path, const char *text)
{
    write_file(path, text, strlen(text));
}

void run_tool(const char *program, ...)
{
    const char *arguments[64] = {program};
    va_list list;
    va_start(list, program);
    for (size_t i = 1; i < 63 && (arguments[i] = va_arg(list, const char *)); i++) continue;
    va_end(list);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        execvp(program, (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s ended with status %d", program, status);
}

/* ---- photos ---- */

static void load_photo(photo *p, const char *path)
{
    struct stat info;
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fstat(fileno(file), &info), 0);
    p->size = (size_t)info.st_size;
    p->data = malloc(p->size);
    ck_assert_ptr_nonnull(p->data);
    ck_assert_uint_eq(fread(p->data, 1, p->size, file), p->size);
    fclose(file);
    const char *name = strrchr(path, '/') + 1, *class_name = path + strlen(LEAT_PHOTOS) + 1;
    snprintf(p->name, sizeof p->name, "%s", name);
    snprintf(p->class_name, sizeof p->class_name, "%.*s", (int)(name - 1 - class_name), class_name);
    p->ending = strrchr(p->name, '.') + 1;
}

const photo *photo_number(size_t n)
{
    static photo photos[PHOTOS];
    if (!photos[0].data) {
        glob_t found;
        ck_assert_int_eq(glob(LEAT_PHOTOS "/*/*.*", 0, NULL, &found), 0);
        ck_assert_uint_eq(found.gl_pathc, PHOTOS);
        for (size_t i = 0; i < PHOTOS; i++) {
            load_photo(&photos[i], found.gl_pathv[i]);
            bool same = i && strcmp(photos[i].class_name, photos[i - 1].class_name) == 0;
            photos[i].label = i ? photos[i - 1].label + !same : 0;
        }
        globfree(&found);
    }
    return &photos[n % PHOTOS];
}

/* ---- shards ---- */

FILE *shard_begin(const char *path)
{
    FILE *shard = fopen(path, "w");
    ck_assert_msg(shard != NULL, "cannot write %s", path);
    return shard;
}

static void write_header(FILE *shard, const char *name, size_t size)
{
    char header[512] = "";
    unsigned sum = 0;
    ck_assert_uint_lt(strlen(name), 100);
    memcpy(header, name, strlen(name));
    memcpy(header + 100, "0000644", 8);
    memcpy(header + 108, "0000000", 8);
    memcpy(header + 116, "0000000", 8);
    snprintf(header + 124, 12, "%011zo", size);
    memcpy(header + 136, "00000000000", 12);
    memcpy(header + 148, "        ", 8);
    header[156] = '0';
    memcpy(header + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof header; i++) sum += (unsigned char)header[i];
    snprintf(header + 148, 8, "%06o", sum);
    ck_assert_uint_eq(fwrite(header, 1, sizeof header, shard), sizeof header);
}

void shard_add(FILE *shard, const char *name, const void *data, size_t size)
{
    static const char zeros[512];
    size_t padding = (512 - size % 512) % 512;
    write_header(shard, name, size);
    ck_assert_uint_eq(fwrite(data, 1, size, shard), size);
    ck_assert_uint_eq(fwrite(zeros, 1, padding, shard), padding);
}

void shard_add_text(FILE *shard, const char *name, const char *text)
{
    shard_add(shard, name, text, strlen(text));
}

void shard_add_hole(FILE *shard, const char *name, size_t size)
{
    write_header(shard, name, size);
    ck_assert_int_eq(fseek(shard, (long)((size + 511) / 512 * 512), SEEK_CUR), 0);
}

void shard_end(FILE *shard)
{
    static const char zeros[1024];
    ck_assert_uint_eq(fwrite(zeros, 1, sizeof zeros, shard), sizeof zeros);
    ck_assert_int_eq(fclose(shard), 0);
}

size_t make_npy(uint8_t *out, const char *descr, const char *shape, const void *data, size_t bytes)
{
    memcpy(out, "\x93NUMPY\x01\x00\x76\x00", 10);
    int used = snprintf((char *)out + 10, 118, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape);
    ck_assert_int_lt(used, 117);
    memset(out + 10 + used, ' ', 117 - (size_t)used);
    out[127] = '\n';
    memcpy(out + 128, data, bytes);
    return 128 + bytes;
}

void sample_json(unsigned g, char out[64])
{
    int used = snprintf(out, 64, "%.*s", (int)(g % 7), "abcdefg");
    if (g % 7) snprintf(out + used, 64 - (size_t)used, "%u", g);
}

void shard_add_sample(FILE *shard, unsigned g)
{
    char name[80], text[64];
    const photo *p = photo_number(g);
    snprintf(name, sizeof name, "s%05u.%s", g, p->ending);
    shard_add(shard, name, p->data, p->size);
    snprintf(name, sizeof name, "s%05u.cls", g);
    snprintf(text, sizeof text, "%u", g);
    shard_add_text(shard, name, text);
    snprintf(name, sizeof name, "s%05u.json", g);
    sample_json(g, text);
    shard_add_text(shard, name, text);
    snprintf(name, sizeof name, "s%05u.val", g);
    snprintf(text, sizeof text, "%u.5\n", g);
    shard_add_text(shard, name, text);
    float values[6];
    for (unsigned i = 0; i < 6; i++) values[i] = (float)(g + i);
    uint8_t npy[128 + sizeof values];
    snprintf(name, sizeof name, "s%05u.npy", g);
    shard_add(shard, name, npy, make_npy(npy, "<f4", "(2, 3)", values, sizeof values));
}

const char *make_shards(unsigned shards, unsigned samples_each)
{
    for (unsigned s = 0; s < shards; s++) {
        FILE *shard = shard_begin(at("train-%06u.tar", s));
        for (unsigned i = 0; i < samples_each; i++) shard_add_sample(shard, s * samples_each + i);
        shard_end(shard);
    }
    return at("train-{000000..%06u}.tar", shards - 1);
}

/* ---- loading ---- */

leat_config small_config(const char *source)
{
    leat_config config = LEAT_CONFIG_INIT;
    config.source = source;
    config.batch_size = 8;
    config.image.height = 32;
    config.image.width = 32;
    config.threads = 2;
    config.io_threads = 2;
    config.memory_limit = 64 << 20;
    config.epochs = 1;
    config.lanes = 4;
    return config;
}

const leat_field all_fields[5] = {
    {.tensor = "image", .names = "jpg;png", .kind = LEAT_FIELD_IMAGE},
    {.tensor = "label", .names = "cls", .kind = LEAT_FIELD_INT},
    {.tensor = "json", .names = "json", .kind = LEAT_FIELD_BYTES},
    {.tensor = "value", .names = "val", .kind = LEAT_FIELD_FLOAT},
    {.tensor = "array", .names = "npy", .kind = LEAT_FIELD_ARRAY},
};

/* FNV-1a, 64 bits. */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t print_row(const leat_batch *batch, size_t row)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    const leat_tensor *tensor;
    for (size_t i = 0; (tensor = leat_batch_tensor_at(batch, i)); i++) {
        size_t begin = 0, end = tensor->bytes;
        if (tensor->offsets) {
            begin = (size_t)tensor->offsets[row];
            end = (size_t)tensor->offsets[row + 1];
        } else {
            size_t bytes = tensor->bytes / leat_batch_rows(batch);
            begin = row * bytes;
            end = begin + bytes;
        }
        if (end > begin) hash = hash_bytes(hash, (const uint8_t *)tensor->data + begin, end - begin);
    }
    return hash;
}

void see_batch(epoch_seen *seen, const leat_batch *batch)
{
    size_t rows = leat_batch_rows(batch);
    const leat_tensor *label = leat_batch_tensor(batch, "label");
    if (seen->count + rows > seen->capacity) {
        seen->capacity = 2 * (seen->count + rows);
        seen->rows = realloc(seen->rows, seen->capacity * sizeof *seen->rows);
        ck_assert_ptr_nonnull(seen->rows);
    }
    for (size_t i = 0; i < rows; i++) {
        row_seen *row = &seen->rows[seen->count++];
        *row = (row_seen){.print = print_row(batch, i), .step = leat_batch_step(batch)};
        snprintf(row->key, sizeof row->key, "%s", leat_batch_key(batch, i));
        row->label = label ? ((const int64_t *)label->data)[i] : -1;
        row->substituted = leat_batch_substituted(batch, i);
        seen->substituted += row->substituted;
    }
    seen->batches++;
    seen->missing += leat_batch_missing(batch);
}

leat_code see_epoch(leat_loader *loader, epoch_seen *seen, leat_error *error)
{
    leat_digest *digest = leat_digest_new();
    ck_assert_ptr_nonnull(digest);
    leat_batch *batch;
    leat_code code;
    while ((code = leat_next_timeout(loader, 60000, &batch, error)) == LEAT_OK) {
        leat_digest_add(digest, batch);
        see_batch(seen, batch);
        leat_release(batch);
    }
    ck_assert_msg(code != LEAT_AGAIN, "no batch came within a minute");
    leat_digest_hex(digest, seen->hash);
    leat_digest_free(digest);
    return code;
}

void see_all(const leat_config *config, const leat__env *env, epoch_seen *seen)
{
    leat_loader *loader;
    leat_error error;
    *seen = (epoch_seen){0};
    ck_leat(leat__open_in(config, env, &loader, &error));
    leat_code code = see_epoch(loader, seen, &error);
    ck_assert_msg(code == LEAT_END, "%s: %s", leat_code_name(code), error.message);
    leat_close(loader);
}

void epoch_free(epoch_seen *seen)
{
    free(seen->rows);
    *seen = (epoch_seen){0};
}

void assert_same_rows(const epoch_seen *a, const epoch_seen *b)
{
    ck_assert_uint_eq(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        ck_assert_str_eq(a->rows[i].key, b->rows[i].key);
        ck_assert_uint_eq(a->rows[i].print, b->rows[i].print);
    }
}

/* ---- a world with delays and shuffled completions ---- */

static uint64_t rough_random(void *user)
{
    rough_world *world = user;
    world->state = world->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return world->state >> 33;
}

static uint64_t rough_now(void *user)
{
    (void)user;
    return uv_hrtime();
}

static size_t rough_pick(void *user, size_t count)
{
    return rough_random(user) % count;
}

static uint64_t rough_delay(void *user, const char *stage)
{
    const rough_world *world = user;
    (void)stage;
    return rough_random(user) % world->one_in == 0 ? rough_random(user) % world->most_ns : 0;
}

void rough_world_init(rough_world *world, uint64_t seed)
{
    world->state = seed;
    world->one_in = 8;
    world->most_ns = 2000000;
    world->env = (leat__env){.now_ns = rough_now, .random = rough_random, .pick = rough_pick, .delay_ns = rough_delay,
                             .user = world};
}

/* ---- the process ---- */

static size_t count_entries(const char *path)
{
    DIR *folder = opendir(path);
    ck_assert_ptr_nonnull(folder);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(folder));) count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

size_t count_fds(void)
{
    return count_entries("/proc/self/fd") - 1; /* less the one that counts */
}

size_t count_threads(void)
{
    return count_entries("/proc/self/task");
}

size_t settle_threads(size_t wanted)
{
    double deadline = seconds_now() + 5;
    size_t count;
    while ((count = count_threads()) > wanted && seconds_now() < deadline) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return count;
}

static size_t status_bytes(const char *name)
{
    char line[256];
    size_t kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0) kib = strtoul(line + strlen(name), NULL, 10);
    fclose(file);
    ck_assert_uint_gt(kib, 0);
    return kib * 1024;
}

size_t rss_bytes(void)
{
    return status_bytes("VmRSS:");
}

void reset_peak_rss(void)
{
    write_text("/proc/self/clear_refs", "5");
}

size_t peak_rss_bytes(void)
{
    return status_bytes("VmHWM:");
}

double seconds_now(void)
{
    return (double)uv_hrtime() / 1e9;
}
