/* bench.c - leat bench: how fast the data comes, and what holds it back.
 *
 * What:    runs a loader as a trainer would and measures it from outside: wall clock from leat_open to the end of the
 *          last epoch, CPU time and resident memory of the process, and the loader's own figures.
 * Why so:  the time to open and to fill the pipeline counts, as it does for a trainer; the rate without it is given
 *          beside it. Resident memory is VmHWM: ru_maxrss would also know what the shell had before exec.
 * Threads: the main thread; it is the consumer.
 * Not here: printing (bench_report.c, bench_json.c). */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <leat/leat.h>

#include "cli/bench_report.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/run.h"
#include "cli/settings.h"
#include "cli/text.h"

#define COMMAND "bench"
enum { POLL_MS = 100 }; /* how often a waiting consumer looks for a signal */
static const double ideal_seconds = 3;

/* A measurement on its way. */
typedef struct bench_run {
    const cli_settings *settings;
    leat_loader *loader;
    leat_digest *digest;     /* NULL: no --hash */
    cli_progress progress;
    bench_report *report;
    uint64_t begin_ns;       /* of the run */
    double cpu_begin;
    uint64_t epoch_ns;       /* of the epoch being measured */
    bench_figures epoch;     /* counts so far */
    bench_figures before;    /* totals at its beginning */
} bench_run;

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static uint64_t peak_rss(void)
{
    unsigned long long kib = 0;
    char line[256];
    FILE *status = fopen("/proc/self/status", "re");
    while (status && fgets(line, sizeof line, status)) {
        if (sscanf(line, "VmHWM: %llu kB", &kib) == 1) break;
    }
    if (status) fclose(status);
    return kib * 1024;
}

static double since(uint64_t begin_ns)
{
    return (double)(cli_now_ns() - begin_ns) / 1e9;
}

/* Brings the totals up to now. */
static void update_total(bench_run *run)
{
    bench_figures *total = &run->report->total;
    leat_statistics *stats = &run->report->stats;
    leat_stats(run->loader, stats);
    total->seconds = since(run->begin_ns);
    total->cpu_seconds = cpu_seconds() - run->cpu_begin;
    total->peak_rss_bytes = peak_rss();
    total->errors = stats->errors;
    total->bytes_read = stats->bytes_read;
    total->consumer_wait_seconds = (double)stats->consumer_wait_ns / 1e9;
    if (total->batches > 0 && stats->first_batch_ns > 0)
        total->first_batch_seconds = (double)stats->first_batch_ns / 1e9;
}

static void begin_epoch(bench_run *run)
{
    run->before = run->report->total;
    run->epoch = (bench_figures){.first_batch_seconds = -1};
    run->epoch_ns = cli_now_ns();
}

/* Files the epoch's figures: what the totals have grown by. False if memory is short. */
static bool end_epoch(bench_run *run)
{
    bench_report *report = run->report;
    bench_figures *epoch = &run->epoch, *before = &run->before, *total = &report->total;
    update_total(run);
    assert(total->errors >= before->errors && total->bytes_read >= before->bytes_read);
    assert(total->samples == before->samples + epoch->samples);
    epoch->seconds = total->seconds - before->seconds;
    epoch->cpu_seconds = total->cpu_seconds - before->cpu_seconds;
    epoch->consumer_wait_seconds = total->consumer_wait_seconds - before->consumer_wait_seconds;
    epoch->errors = total->errors - before->errors;
    epoch->bytes_read = total->bytes_read - before->bytes_read;
    epoch->peak_rss_bytes = total->peak_rss_bytes;
    bench_figures *epochs = realloc(report->epochs, (report->epoch_count + 1) * sizeof *epochs);
    if (!epochs) return false;
    report->epochs = epochs;
    epochs[report->epoch_count++] = *epoch;
    begin_epoch(run);
    return true;
}

static void count_batch(bench_run *run, const leat_batch *batch)
{
    bench_figures *both[2] = {&run->epoch, &run->report->total};
    size_t rows = leat_batch_rows(batch), substituted = 0;
    for (size_t row = 0; row < rows; row++) substituted += leat_batch_substituted(batch, row);
    assert(substituted <= rows);
    for (int i = 0; i < 2; i++) {
        bench_figures *figures = both[i];
        if (figures->batches++ == 0) {
            figures->first_samples = rows - substituted;
            figures->first_batch_seconds = since(i == 0 ? run->epoch_ns : run->begin_ns);
        }
        figures->samples += rows - substituted;
        figures->substituted += substituted;
    }
    if (run->digest) leat_digest_add(run->digest, batch);
}

static void show_progress(bench_run *run)
{
    const cli_settings *settings = run->settings;
    uint64_t total = 0;
    char note[64];
    if (__builtin_mul_overflow(settings->config.limit, settings->config.epochs, &total)) total = 0;
    snprintf(note, sizeof note, "epoch %zu", run->report->epoch_count + 1);
    cli_progress_update(&run->progress, run->report->total.samples, total, note);
}

static void sleep_ms(uint32_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    if (ms > 0 && !cli_signal()) nanosleep(&left, NULL); /* a signal ends it, which is wanted */
}

/* Takes batches until the last epoch has ended, an error or a signal. */
static leat_code consume(bench_run *run)
{
    leat_error *fatal = &run->report->fatal;
    while (run->report->epoch_count < run->settings->config.epochs && !cli_signal()) {
        leat_batch *batch = NULL;
        leat_code code = leat_next_timeout(run->loader, POLL_MS, &batch, fatal);
        show_progress(run);
        if (code == LEAT_OK) {
            count_batch(run, batch);
            sleep_ms(run->settings->delay_ms);
            leat_release(batch);
        } else if (code == LEAT_END) {
            if (!end_epoch(run)) return fatal->code = LEAT_ENOMEM;
        } else if (code != LEAT_AGAIN) {
            return code;
        }
    }
    return LEAT_OK;
}

/* Opens, consumes, closes. Returns the exit code. */
static int measure(bench_run *run, leat_config *config)
{
    bench_report *report = run->report;
    leat_error error;
    run->begin_ns = cli_now_ns();
    run->cpu_begin = cpu_seconds();
    report->total.first_batch_seconds = -1;
    if (leat_open(config, &run->loader, &error)) return cli_fail(COMMAND, &error, true);
    begin_epoch(run);
    run->epoch_ns = run->begin_ns; /* opening is part of the first epoch, as of the run */
    leat_code code = consume(run);
    if (code == LEAT_OK) report->fatal = (leat_error){.code = LEAT_OK};
    if (report->epoch_count < config->epochs) end_epoch(run); /* what there was of it */
    cli_progress_clear(&run->progress);
    report->failure_count = leat_errors(run->loader, report->failures, BENCH_FAILURES);
    leat_chosen(run->loader, &report->chosen);
    leat_close(run->loader);
    return code ? cli_code_of(&report->fatal, report->total.samples == 0) : CLI_OK;
}

/* Failures were allowed, but nothing at all came: that is no success. */
static int code_of_nothing(const bench_report *report)
{
    if (report->total.samples > 0 || report->failure_count == 0) return CLI_OK;
    return cli_code_of(&report->failures[0], true) == CLI_NO_SOURCE ? CLI_NO_SOURCE : CLI_FAILED;
}

/* True if the error that ended the run is among the failures that are printed anyway. */
static bool is_listed(const bench_report *report)
{
    for (uint64_t i = 0; i < report->failure_count && i < BENCH_FAILURES; i++) {
        if (strcmp(report->failures[i].message, report->fatal.message) == 0) return true;
    }
    return false;
}

static int measure_ideal(bench_report *report, const leat_config *config)
{
    leat_error error;
    if (leat_measure_ideal(config, ideal_seconds, 0, &report->ideal, &error)) {
        fputs("leat " COMMAND ": the ideal loop could not be measured\n", stderr);
        return cli_fail(COMMAND, &error, false);
    }
    report->ideal_measured = true;
    return CLI_OK;
}

static int measure_and_print(const cli_settings *settings, bench_report *report, leat_config *config)
{
    bench_run run = {.settings = settings, .report = report};
    if (settings->hash && !(run.digest = leat_digest_new())) {
        fputs("leat " COMMAND ": no memory for a digest\n", stderr);
        return CLI_FAILED;
    }
    cli_progress_begin(&run.progress, COMMAND, "samples");
    int code = measure(&run, config);
    if (run.digest) leat_digest_hex(run.digest, report->sha256);
    leat_digest_free(run.digest);
    if (!run.loader) return code;
    if (code == CLI_OK) code = code_of_nothing(report);
    if (settings->ideal && code == CLI_OK && !cli_signal()) code = measure_ideal(report, config);
    if (settings->json) bench_print_json(report);
    else bench_print(report);
    cli_flush_output();
    cli_print_failures(COMMAND, report->failures, report->failure_count, BENCH_FAILURES);
    if (report->fatal.code && !is_listed(report)) cli_fail(COMMAND, &report->fatal, false);
    return code;
}

static int run(const cli_command *command, int argc, char **argv)
{
    cli_settings settings = {.config = LEAT_CONFIG_INIT};
    const char *source;
    settings.config.epochs = 1;
    int code = cli_parse(command, argc, argv, &settings, &source);
    if (code == CLI_GO_ON) code = cli_settings_finish(command, &settings, source);
    if (code != CLI_GO_ON) return code;
    bench_report *report = calloc(1, sizeof *report); /* 170 KB of failures */
    if (!report) return CLI_FAILED;
    report->source = source;
    code = measure_and_print(&settings, report, &settings.config);
    free(report->epochs);
    free(report);
    return code;
}

static const cli_option run_options[] = {
    {.name = "batch", .value = "N", .kind = CLI_U32, .offset = CLI_AT(config.batch_size), .low = 1, .high = 65536,
     .what = "a number of rows", .help = "rows a batch (default 256)"},
    {.name = "epochs", .value = "N", .kind = CLI_U64, .offset = CLI_AT(config.epochs), .low = 1, .high = 1000000,
     .what = "a number of epochs", .help = "how many (default 1)"},
    {.name = "limit", .value = "SAMPLES", .kind = CLI_U64, .offset = CLI_AT(config.limit), .high = UINT64_MAX,
     .what = "a number of samples", .help = "samples an epoch, the first of its order (default 0: all)"},
    {.name = "drop-last", .kind = CLI_FLAG, .offset = CLI_AT(config.drop_last),
     .help = "leave out an epoch's last batch if it is short"},
    {.name = "prefetch", .value = "N", .kind = CLI_U32, .offset = CLI_AT(config.prefetch), .low = 1, .high = 16,
     .what = "a number of batches", .help = "ready batches kept for the consumer (default 2)"},
    {.name = "consumer-delay", .value = "MS", .kind = CLI_U32, .offset = CLI_AT(delay_ms), .high = 3600000,
     .what = "a number of milliseconds", .help = "sleep so long over each batch, as a trainer would (default 0)"},
};

static const cli_option output_options[] = {
    {.name = "hash", .kind = CLI_FLAG, .offset = CLI_AT(hash),
     .help = "SHA-256 over all batches' tensors in order; takes the consumer's time: not for measuring speed"},
    {.name = "ideal", .kind = CLI_FLAG, .offset = CLI_AT(ideal),
     .help = "then measure for 3 s the same kernels over samples held in memory, same threads, no pipeline"},
    {.name = "json", .kind = CLI_FLAG, .offset = CLI_AT(json), .help = "print one JSON object on stdout, see above"},
};

static const cli_group run_group = CLI_GROUP("Run", run_options), output_group = CLI_GROUP("Results", output_options);
static const cli_group *const groups[] = {&run_group, &cli_image_group, &cli_order_group, &cli_failure_group,
                                          &cli_resource_group, &cli_network_group, &output_group};

const cli_command cli_bench = {
    .name = COMMAND,
    .summary = "how fast the data of a source comes as batches, and which stage holds it back",
    .argument = "SOURCE",
    .argument_what = "a folder, a shard, a pattern, a URL or @list.txt",
    .about = "Runs the loader as a trainer would, and reports. SOURCE is a folder of class folders, of files or of "
             "shards; a file,\n"
             "glob or brace range ('train-{000000..000015}.tar'); the same as http:// or https:// URLs; or @list.txt "
             "(one path\n"
             "or URL a line; @- is stdin).\n\n"
             "--json prints samples, batches, bytes_read, seconds (from opening to the end of the last epoch), "
             "samples_per_second,\n"
             "steady_samples_per_second (after the first batch), cpu_seconds, peak_rss_bytes, first_batch_seconds,\n"
             "consumer_wait_seconds, errors; epochs (a list of the same figures; the next epoch's reading may begin "
             "in one);\n"
             "stages (a list: name, items, busy_seconds, starved_seconds, blocked_seconds, queue_depth_mean, "
             "queue_depth_max,\n"
             "instances, concurrency, bytes); sha256 with --hash; ideal_samples_per_second and of_ideal "
             "(samples_per_second\n"
             "over it) with --ideal; failures (up to 100: stage, code, shard, key, offset, message); "
             "memory_peak_bytes,\n"
             "memory_limit_bytes, retries, ignored, windows_cut, verdict, config (as chosen), version.",
    .example = "leat bench 'train-{000000..000015}.tar' --crop random-resized --flip --dtype f32 --ideal",
    .groups = groups,
    .group_count = sizeof groups / sizeof groups[0],
    .run = run,
};
