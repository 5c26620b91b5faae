/* scaling.c - where the loop thread would become the limit.
 *
 * usage: bench-scaling [--json]        LEAT_BENCH_DATA: the sets that bench/data makes
 *
 * Engine alone: items go the way of a sample (source, four stages on the loop, one in the pool, an end) with jobs that
 * sleep, on more workers than there are cores. The ideal is workers / job time; `of-bare` compares with as many threads that
 * do nothing but sleep so, which is what this machine's scheduler can do. What a core's worth of the loop thread could move
 * follows from its CPU time.
 * Loader: shards are read, unpacked, shuffled and merged as ever, and a map function sleeps instead of a decoder, so that
 * 3,000 samples a second come whatever the machine: what the loop thread takes of a core then. */
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <leat/leat.h>

#include "bench/timing.h"
#include "pipeline/pipeline.h"

enum {
    LOOP_STAGES = 4,     /* shuffle, merge, rows, batch */
    RATE = 3000,         /* samples a second of the loader */
    LOADER_THREADS = 8,
    LOADER_SECONDS = 3,
};
static const uint64_t engine_ns = 1500000000, bare_ns = 500000000;

static void check(leat_code code, const leat_error *error)
{
    if (!code) return;
    fprintf(stderr, "bench-scaling: %s\n", error->message);
    exit(1);
}

static void sleep_ns(uint64_t ns)
{
    struct timespec time = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

/* CPU time of this process's loop thread, ns: of the one there is, by its name. */
static uint64_t loop_cpu_ns(void)
{
    DIR *tasks = opendir("/proc/self/task");
    unsigned long long ns = 0;
    for (struct dirent *entry; tasks && (entry = readdir(tasks));) {
        char path[64], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%.16s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file && fscanf(file, "%31s", name) != 1) name[0] = '\0';
        if (file) fclose(file);
        if (strcmp(name, "leat-loop") != 0) continue;
        snprintf(path, sizeof path, "/proc/self/task/%.16s/schedstat", entry->d_name);
        file = fopen(path, "r");
        if (file && fscanf(file, "%llu", &ns) != 1) ns = 0;
        if (file) fclose(file);
    }
    if (tasks) closedir(tasks);
    return ns;
}

/* ---- threads without an engine ---- */

typedef struct bare {
    uint64_t end_ns, job_ns;
    atomic_uint_fast64_t done;
} bare;

static void *doze_on(void *argument)
{
    bare *b = argument;
    uint64_t done = 0;
    while (uv_hrtime() < b->end_ns) {
        sleep_ns(b->job_ns);
        done++;
    }
    atomic_fetch_add(&b->done, done);
    return NULL;
}

/* Jobs a second of threads that do nothing else. */
static double run_bare(unsigned workers, uint64_t job_ns)
{
    pthread_t *thread = calloc(workers, sizeof *thread);
    uint64_t begin = uv_hrtime();
    bare b = {.end_ns = begin + bare_ns, .job_ns = job_ns};
    for (unsigned i = 0; i < workers; i++)
        if (pthread_create(&thread[i], NULL, doze_on, &b)) check(LEAT_ESYSTEM, &(leat_error){.message = "cannot start a thread"});
    for (unsigned i = 0; i < workers; i++) pthread_join(thread[i], NULL);
    free(thread);
    return (double)b.done * 1e9 / (double)(uv_hrtime() - begin);
}

/* ---- the engine alone ---- */

static void keep(leat__item *item)
{
    (void)item;
}
static const leat__item_type grain_type = {.name = "grain", .release = keep};

typedef struct grains {
    uint64_t end_ns, job_ns;
    size_t next, count;
    leat__item *item;  /* more than can be on the way at once */
    uint64_t done;     /* loop thread; read when the pipeline has ended */
} grains;

static leat__step give(leat__op *op)
{
    grains *g = leat__stage_state(op->stage);
    if (uv_hrtime() > g->end_ns) return LEAT__DONE;
    leat__item *item = &g->item[g->next++ % g->count];
    *item = (leat__item){.type = &grain_type, .bytes = 1};
    leat__emit(op, item);
    return LEAT__MORE;
}

static leat__step doze(leat__op *op)
{
    sleep_ns(((grains *)leat__stage_state(op->stage))->job_ns);
    return leat__emit_input(op);
}

static leat__step count(leat__op *op)
{
    ((grains *)leat__stage_state(op->stage))->done++;
    return LEAT__DONE;
}

static const leat__stage_type source = {.name = "source", .begin = give};
static const leat__stage_type on_loop = {.name = "loop", .begin = leat__emit_input};
static const leat__stage_type in_pool = {.name = "pool", .job = doze};
static const leat__stage_type sink = {.name = "sink", .begin = count};

static void no_room(void *user)
{
    (void)user;
}

static leat__stage *add(leat__pipeline *pipeline, leat__stage *last, const leat__stage_type *type, unsigned at_once, grains *g)
{
    leat__stage_options options = {.state = g, .inboxes = last ? 1 : 0, .concurrency = at_once,
                                   .queue_items = at_once > 1 ? at_once : 64, .queue_bytes = SIZE_MAX};
    leat__stage *stage = leat__stage_new(pipeline, type, &options);
    if (last) leat__stage_connect(last, stage, 0);
    return stage;
}

typedef struct engine_result {
    double rate, share, limit; /* items/s; of a core; items/s at which the loop thread takes a core */
} engine_result;

static engine_result run_engine(unsigned workers, uint64_t job_ns)
{
    leat_error error;
    leat__pipeline *pipeline;
    leat__outlet *outlet;
    check(leat__pipeline_new(&(leat__pipeline_options){.threads = workers, .io_threads = 1}, &pipeline, &error), &error);
    check(leat__outlet_new(1, no_room, NULL, &outlet, &error), &error);
    grains g = {.job_ns = job_ns, .count = 64 * (LOOP_STAGES + 2) + 4 * 8 * workers};
    g.item = calloc(g.count, sizeof *g.item);
    leat__stage *last = add(pipeline, NULL, &source, 1, &g);
    for (int i = 0; i < LOOP_STAGES - 1; i++) last = add(pipeline, last, &on_loop, 1, &g);
    last = add(pipeline, last, &in_pool, 8 * workers, &g); /* as loader.c has it for decode */
    last = add(pipeline, last, &on_loop, 1, &g);
    leat__pipeline_set_outlet(add(pipeline, last, &sink, 1, &g), outlet);
    uint64_t cpu = loop_cpu_ns(), begin = uv_hrtime();
    g.end_ns = begin + engine_ns;
    leat__pipeline_start(pipeline);
    leat__item *item;
    leat__outlet_take(outlet, LEAT__FOREVER, &item, &error);
    double passed = (double)(uv_hrtime() - begin), used = (double)(loop_cpu_ns() - cpu);
    leat__pipeline_close(pipeline);
    leat__outlet_free(outlet);
    free(g.item);
    return (engine_result){.rate = (double)g.done * 1e9 / passed, .share = used / passed, .limit = (double)g.done * 1e9 / used};
}

static void engine(bool json)
{
    static const unsigned workers[] = {64, 256};
    static const double jobs_ms[] = {10, 1, 0.1};
    for (size_t i = 0; i < sizeof workers / sizeof *workers; i++) {
        for (size_t j = 0; j < sizeof jobs_ms / sizeof *jobs_ms; j++) {
            uint64_t job_ns = (uint64_t)(jobs_ms[j] * 1e6);
            double bare_rate = run_bare(workers[i], job_ns);
            engine_result r = run_engine(workers[i], job_ns);
            char name[80];
            int n = snprintf(name, sizeof name, "engine-%u-workers-%gms", workers[i], jobs_ms[j]);
            snprintf(name + n, sizeof name - (size_t)n, "-rate");
            bench_print_value(json, name, r.rate, "items/s");
            snprintf(name + n, sizeof name - (size_t)n, "-of-ideal");
            bench_print_value(json, name, r.rate / (workers[i] * 1e3 / jobs_ms[j]), "");
            snprintf(name + n, sizeof name - (size_t)n, "-of-bare");
            bench_print_value(json, name, r.rate / bare_rate, "");
            snprintf(name + n, sizeof name - (size_t)n, "-loop-cpu-share");
            bench_print_value(json, name, r.share, "of a core");
            snprintf(name + n, sizeof name - (size_t)n, "-loop-limit");
            bench_print_value(json, name, r.limit, "items/s");
        }
    }
}

/* ---- the loader at a known rate ---- */

static int doze_on_row(void *user, leat_row *row, char *reason, size_t capacity)
{
    (void)user, (void)row, (void)reason, (void)capacity;
    sleep_ns((uint64_t)LOADER_THREADS * 1000000000 / RATE);
    return 0;
}

static void loader(bool json, const char *source_name)
{
    leat_field cls = {.tensor = "label", .names = "cls", .kind = LEAT_FIELD_INT};
    leat_config config = LEAT_CONFIG_INIT;
    config.source = source_name;
    config.threads = LOADER_THREADS;
    config.batch_size = 64;
    config.epochs = 0;
    config.fields = &cls;
    config.field_count = 1;
    config.map = doze_on_row;
    leat_loader *loader;
    leat_error error;
    check(leat_open(&config, &loader, &error), &error);
    uint64_t begin = uv_hrtime(), cpu = 0, samples = 0;
    for (bool warm = false; !warm || uv_hrtime() - begin < LOADER_SECONDS * UINT64_C(1000000000);) {
        leat_batch *batch;
        leat_code code = leat_next(loader, &batch, &error);
        if (code == LEAT_END) continue;
        check(code, &error);
        samples += leat_batch_rows(batch);
        leat_release(batch);
        if (warm || samples < RATE / 2) continue;
        warm = true;
        begin = uv_hrtime(), cpu = loop_cpu_ns(), samples = 0;
    }
    double passed = (double)(uv_hrtime() - begin), used = (double)(loop_cpu_ns() - cpu);
    leat_close(loader);
    bench_print_value(json, "loader-rate", (double)samples * 1e9 / passed, "samples/s");
    bench_print_value(json, "loop-cpu-share-at-3000", used / (double)samples * RATE / 1e9, "of a core");
}

int main(int argc, char **argv)
{
    bool json;
    if (!bench_arguments(argc, argv, &json)) {
        fprintf(stderr, "usage: bench-scaling [--json]\n");
        return 2;
    }
    const char *data = getenv("LEAT_BENCH_DATA");
    char source_name[4096];
    snprintf(source_name, sizeof source_name, "%s/jpeg/tar", data ? data : "/var/tmp/leat-bench3");
    loader(json, source_name);
    engine(json);
    return 0;
}
