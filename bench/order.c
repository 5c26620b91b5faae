/* order.c - what the order, a state and a resume cost.
 *
 * usage: bench-order [--json] [FOLDER]     FOLDER: for a data set of 1,000,000 samples (1 GB, made if it is not there; default
 *                                          /var/tmp/leat-bench-order)
 *
 * Two parts. The arithmetic: a data set of a billion samples in 100,000 shards, whose counts are all there is of it: the time until the
 * first sample's place is known, the memory, the time a sample of a lane's walk and of the merge's way (place to lane). The loader: a
 * million samples in 100 indexed shards; leat_save, and the time from leat_open with a state to the first batch in hand, at random steps.
 * Wall-clock times; the resume reads its index blocks and its first samples from the page cache, or from the disk if they are not there. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <leat/leat.h>

#include "bench/timing.h"
#include "loader/shardfile.h"
#include "loader/tarwriter.h"
#include "stages/walk.h"

enum { SHARDS = 100000, LANES = 16, WALKED = 8000000, SETS = 100, EACH = 10000, RESUMES = 200, SAVES = 100000 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void give_up(const char *what, const leat_error *error)
{
    fprintf(stderr, "bench-order: %s: %s\n", what, error ? error->message : strerror(errno));
    exit(1);
}

static uint64_t resident_bytes(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file && fscanf(file, "%*s %llu", &pages) != 1) pages = 0;
    if (file) fclose(file);
    return pages * 4096;
}

/* ---- the arithmetic ---- */

static void bench_arithmetic(bool json)
{
    uint64_t *counts = malloc(SHARDS * sizeof *counts), before = resident_bytes(), sum = 0;
    if (!counts) give_up("counts", NULL);
    for (uint64_t i = 0; i < SHARDS; i++) counts[i] = 9000 + i * 7919 % 2001;
    double begin = now();
    leat__order_options options = {.objects = SHARDS, .counts = counts, .lanes = LANES, .window = 32, .shuffled = true, .spread = 1};
    leat__order *order = leat__order_new(&options);
    const leat__order *orders[] = {order};
    leat_error error;
    leat__course course;
    leat__course_options wanted = {.orders = orders, .lanes = (uint32_t[]){LANES}, .weights = (double[]){1}, .count = 1, .batch = 256,
                                   .epochs = 1, .world = 1};
    if (leat__course_init(&course, &wanted, &error)) give_up("course", &error);
    leat__walk walks[LANES];
    leat__wanted at;
    for (uint32_t lane = 0; lane < LANES; lane++) {
        if (!leat__walk_begin(&walks[lane], &course, 0, lane)) give_up("walk", NULL);
        sum += leat__walk_find(&walks[lane], course.end, &at) == LEAT__WALK_WANTED;
    }
    double started = now();
    for (uint64_t n = 0; n < WALKED; n++) {
        leat__walk *walk = &walks[n % LANES];
        leat__walk_find(walk, course.end, &at);
        leat__walk_on(walk);
        sum += at.stored.index;
    }
    double walked = now();
    leat__pass *pass = leat__pass_take(order, 0);
    for (uint64_t n = 0; n < WALKED; n++) sum += leat__pass_spot(pass, leat__course_at(&course, n * 100).position).lane;
    double turned = now();
    bench_print_value(json, "order_samples", (double)leat__order_samples(order), "samples");
    bench_print_value(json, "order_start", (started - begin) * 1e3, "ms");
    bench_print_value(json, "order_memory", (double)(resident_bytes() - before) / 1e6, "MB");
    bench_print_value(json, "order_walk", (walked - started) / WALKED * 1e9, "ns a sample");
    bench_print_value(json, "order_turn", (turned - walked) / WALKED * 1e9, "ns a sample");
    if (!sum) puts(""); /* so that it is computed */
    leat__pass_release(pass);
    for (uint32_t lane = 0; lane < LANES; lane++) leat__walk_end(&walks[lane]);
    leat__course_clear(&course);
    leat__order_free(order);
    free(counts);
}

/* ---- the loader ---- */

static void write_shard(leat__shard_file *file, int folder, const char *to, unsigned n)
{
    char name[40];
    leat_error error;
    leat__tar_writer tar;
    uint64_t stored;
    snprintf(name, sizeof name, "set-%06u.tar", n);
    leat_code code = leat__shard_file_begin(file, folder, to, name, true, &error);
    leat__tar_writer_begin(&tar, leat__shard_file_write, file);
    for (unsigned i = 0; !code && i < EACH; i++) {
        char text[24];
        int length = snprintf(text, sizeof text, "%u", n * EACH + i);
        snprintf(name, sizeof name, "%09u.cls", n * EACH + i);
        code = leat__tar_writer_entry(&tar, name, (uint64_t)length, &error);
        if (!code) code = leat__tar_writer_body(&tar, text, (size_t)length, &error);
    }
    if (!code) code = leat__tar_writer_end(&tar, &error);
    if (!code) code = leat__shard_file_commit(file, &stored, &error);
    if (code) give_up("a shard", &error);
}

/* Makes the data set unless its index is there, which is written last. */
static void make_set(const char *to)
{
    char index[4096];
    snprintf(index, sizeof index, "%s/leat.index", to);
    if (access(index, R_OK) == 0) return;
    if (mkdir(to, 0777) && errno != EEXIST) give_up(to, NULL);
    int folder = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    leat__shard_file *file = leat__shard_file_new(LEAT_COMPRESSION_NONE, 0);
    if (folder < 0 || !file) give_up(to, NULL);
    for (unsigned n = 0; n < SETS; n++) write_shard(file, folder, to, n);
    leat__shard_file_free(file);
    close(folder);
    leat_index_config config = {.source = to};
    leat_index_result result;
    leat_error error;
    if (leat_index(&config, &result, &error)) give_up("the index", &error);
}

static leat_config set_config(const char *from)
{
    static const leat_field field = {.tensor = "n", .names = "cls", .kind = LEAT_FIELD_INT};
    leat_config config = LEAT_CONFIG_INIT;
    config.source = from;
    config.fields = &field;
    config.field_count = 1;
    config.world = 1;
    return config;
}

/* Seconds from leat_open to the first batch in hand; state: takes the one behind that batch. */
static double open_to_batch(const leat_config *config, char *state)
{
    leat_loader *loader;
    leat_batch *batch;
    leat_error error;
    double begin = now();
    if (leat_open(config, &loader, &error)) give_up("leat_open", &error);
    if (leat_next(loader, &batch, &error)) give_up("leat_next", &error);
    double seconds = now() - begin;
    leat_release(batch);
    if (state && leat_save(loader, state, LEAT_STATE_BYTES, &error)) give_up("leat_save", &error);
    leat_close(loader);
    return seconds;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void bench_resume(bool json, const char *folder)
{
    make_set(folder);
    leat_config config = set_config(folder);
    char state[LEAT_STATE_BYTES];
    double seconds[RESUMES];
    uint64_t steps = (uint64_t)SETS * EACH / 256;
    open_to_batch(&config, state);
    for (unsigned i = 0; i < RESUMES; i++) {
        config.step = (uint64_t)i * 2654435761u % steps; /* a step anywhere; its state is where the resume begins */
        config.resume = NULL;
        open_to_batch(&config, state);
        config.resume = state;
        seconds[i] = open_to_batch(&config, NULL);
    }
    qsort(seconds, RESUMES, sizeof *seconds, compare);
    bench_print_value(json, "state_bytes", (double)strlen(state), "bytes");
    bench_print_value(json, "resume_median", seconds[RESUMES / 2] * 1e3, "ms");
    bench_print_value(json, "resume_longest", seconds[RESUMES - 1] * 1e3, "ms");
}

static void bench_save(bool json, const char *folder)
{
    leat_config config = set_config(folder);
    leat_loader *loader;
    leat_error error;
    char state[LEAT_STATE_BYTES];
    if (leat_open(&config, &loader, &error)) give_up("leat_open", &error);
    double begin = now();
    for (int i = 0; i < SAVES; i++)
        if (leat_save(loader, state, sizeof state, &error)) give_up("leat_save", &error);
    bench_print_value(json, "save", (now() - begin) / SAVES * 1e6, "us");
    leat_close(loader);
}

int main(int argc, char **argv)
{
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    const char *folder = argc > 1 + json ? argv[1 + json] : "/var/tmp/leat-bench-order";
    if (argc > 2 + json || folder[0] == '-') {
        fputs("usage: bench-order [--json] [FOLDER]\n", stderr);
        return 2;
    }
    bench_arithmetic(json);
    bench_resume(json, folder);
    bench_save(json, folder);
    return 0;
}
