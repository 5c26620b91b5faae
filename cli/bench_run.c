/* bench_run.c - the run that leat bench measures: as a trainer would, from opening to the end of the last epoch.
 *
 * What:    takes batches and counts them by epoch; the loader's own figures at the end of each; the state at the end of all.
 * Why so:  the time to open and to fill the pipeline counts, as it does for a trainer; the rate without it is given
 *          beside it. Resident memory is VmHWM: ru_maxrss would also know what the shell had before exec.
 *          When the run is over is for the batches to say: after the last epoch leat_next says LEAT_END for ever, and a resumed
 *          loader says it fewer times than there are epochs, or once more than there are epochs with batches, where the state
 *          stands at an epoch's end. So a resumed run is over at the LEAT_END behind a batch of the last epoch, or at two LEAT_ENDs
 *          in a row; and what ended without a batch was measured by the run that saved the state. (Epochs without a batch are all
 *          alike: there is none to resume in.) A run from the beginning counts its LEAT_ENDs, as empty epochs are epochs too.
 *          The state is saved before the loader closes, however the run ends: what was delivered is behind it, the rest is not.
 * Threads: the main thread; it is the consumer.
 * Invariants: samples of all epochs filed and of the one being measured are those of the total. */
#include "cli/bench_run.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include <leat/leat.h>

#include "cli/progress.h"
#include "cli/run.h"
#include "cli/statefile.h"

#define COMMAND "bench"
enum { POLL_MS = 100 }; /* how often a waiting consumer looks for a signal */

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
    uint64_t ends;           /* LEAT_ENDs in a row without a batch; of a run from the beginning: in all */
    bool over;               /* the last epoch has ended */
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

/* number: of the epoch, if a batch does not say otherwise. */
static void begin_epoch(bench_run *run, uint64_t number)
{
    run->before = run->report->total;
    run->epoch = (bench_figures){.number = number, .first_batch_seconds = -1};
    run->epoch_ns = cli_now_ns();
}

/* Files the epoch's figures: what the totals have grown by. False if memory is short. */
static bool file_epoch(bench_run *run)
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
    begin_epoch(run, epoch->number + 1);
    return true;
}

/* A LEAT_END has come. False if memory is short. */
static bool end_epoch(bench_run *run)
{
    const leat_config *config = &run->settings->config;
    if (!config->resume) {
        run->over = ++run->ends == config->epochs;
        return file_epoch(run);
    }
    if (run->epoch.batches == 0) {
        run->over = ++run->ends == 2;
        return true;
    }
    run->ends = 0;
    run->over = run->epoch.number >= config->epoch && run->epoch.number - config->epoch + 1 >= config->epochs;
    return file_epoch(run);
}

static void count_batch(bench_run *run, const leat_batch *batch)
{
    bench_figures *both[2] = {&run->epoch, &run->report->total};
    size_t rows = leat_batch_rows(batch), substituted = 0;
    for (size_t row = 0; row < rows; row++) substituted += leat_batch_substituted(batch, row);
    assert(substituted <= rows);
    bool hashed = run->digest && run->report->total.batches >= run->settings->hash_from;
    run->epoch.number = leat_batch_epoch(batch);
    for (int i = 0; i < 2; i++) {
        bench_figures *figures = both[i];
        if (figures->batches++ == 0) {
            figures->first_samples = rows - substituted;
            figures->first_batch_seconds = since(i == 0 ? run->epoch_ns : run->begin_ns);
        }
        figures->samples += rows - substituted;
        figures->substituted += substituted;
    }
    if (hashed) leat_digest_add(run->digest, batch);
}

static void show_progress(bench_run *run)
{
    const leat_config *config = &run->settings->config;
    uint64_t total = 0;
    char note[64];
    bool known = !config->resume && run->settings->stop_after == UINT64_MAX;
    if (!known || __builtin_mul_overflow(config->limit, config->epochs, &total)) total = 0;
    snprintf(note, sizeof note, "epoch %zu", run->report->epoch_count + 1);
    cli_progress_update(&run->progress, run->report->total.samples, total, note);
}

static void sleep_ms(uint32_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    if (ms > 0 && !cli_signal()) nanosleep(&left, NULL); /* a signal ends it, which is wanted */
}

/* Takes batches until the last epoch has ended, --stop-after, an error or a signal. */
static leat_code consume(bench_run *run)
{
    leat_error *fatal = &run->report->fatal;
    while (!run->over && run->report->total.batches < run->settings->stop_after && !cli_signal()) {
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

/* What there is of an epoch that did not end. */
static void end_run(bench_run *run)
{
    bool first = run->report->epoch_count == 0, resumed = run->settings->config.resume;
    if (run->epoch.batches > 0 || (first && !resumed)) file_epoch(run);
    else if (first) update_total(run);
}

static int save(bench_run *run)
{
    const char *path = run->settings->save;
    char state[LEAT_STATE_BYTES];
    leat_error error;
    if (!path) return CLI_OK;
    if (leat_save(run->loader, state, sizeof state, &error)) return cli_fail(COMMAND, &error, false);
    int code = cli_state_write(COMMAND, path, state);
    if (code == CLI_OK) run->report->state_file = path;
    return code;
}

int bench_measure(const cli_settings *settings, leat_digest *digest, bench_report *report, bool *opened)
{
    bench_run run = {.settings = settings, .report = report, .digest = digest};
    leat_error error;
    cli_progress_begin(&run.progress, COMMAND, "samples");
    run.begin_ns = cli_now_ns();
    run.cpu_begin = cpu_seconds();
    report->total.first_batch_seconds = -1;
    *opened = false;
    if (leat_open(&settings->config, &run.loader, &error)) return cli_fail(COMMAND, &error, true);
    *opened = true;
    begin_epoch(&run, settings->config.epoch);
    run.epoch_ns = run.begin_ns; /* opening is part of the first epoch, as of the run */
    leat_code code = consume(&run);
    if (code == LEAT_OK) report->fatal = (leat_error){.code = LEAT_OK};
    end_run(&run);
    cli_progress_clear(&run.progress);
    int saved = save(&run);
    report->failure_count = leat_errors(run.loader, report->failures, BENCH_FAILURES);
    leat_chosen(run.loader, &report->chosen);
    leat_close(run.loader);
    return code ? cli_code_of(&report->fatal, report->total.samples == 0) : saved;
}
