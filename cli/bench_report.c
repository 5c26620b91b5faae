/* bench_report.c - the figures of a run, for people.
 *
 * What:    a short list, the stage table, one sentence on what holds the run back, the failures.
 * Why so:  the verdict comes from starvation, not from busy time: a stage that waits for its input is not the one to
 *          make faster, however busy it looks. Where starvation jumps from one stage to the next, the first of the two
 *          is.
 * Threads: the main thread.
 * Not here: JSON (bench_json.c), measuring (bench.c). */
#include "cli/bench_report.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "cli/run.h"
#include "cli/table.h"
#include "cli/text.h"

static double per_second(const bench_figures *figures, double amount)
{
    return figures->seconds > 0 ? amount / figures->seconds : 0;
}

double bench_rate(const bench_figures *figures)
{
    return per_second(figures, (double)figures->samples);
}

double bench_steady_rate(const bench_figures *figures)
{
    double seconds = figures->seconds - figures->first_batch_seconds;
    if (figures->batches < 2 || figures->first_batch_seconds < 0 || seconds <= 0) return NAN;
    return (double)(figures->samples - figures->first_samples) / seconds;
}

static void print_figures(const bench_report *report)
{
    const bench_figures *total = &report->total;
    const leat_statistics *stats = &report->stats;
    char a[16], b[16];
    printf("  samples   %" PRIu64 " in %" PRIu64 " batches, %zu epoch%s\n", total->samples, total->batches,
           report->epoch_count,
           report->epoch_count == 1 ? "" : "s");
    printf("  rate      %.1f samples/s", bench_rate(total));
    if (isfinite(bench_steady_rate(total))) printf("; %.1f after the first batch", bench_steady_rate(total));
    printf("; %s/s read\n", cli_format_size(a, (uint64_t)per_second(total, (double)total->bytes_read)));
    printf("  time      %.3f s", total->seconds);
    if (total->first_batch_seconds >= 0) printf("; first batch after %.3f s", total->first_batch_seconds);
    printf("; the consumer waited %.3f s\n", total->consumer_wait_seconds);
    printf("  cpu       %.3f s, %.2f cores\n", total->cpu_seconds, per_second(total, total->cpu_seconds));
    printf("  memory    %s resident at most", cli_format_size(a, total->peak_rss_bytes));
    printf("; %s of %s in flight at most\n", cli_format_size(a, stats->memory_peak),
           cli_format_size(b, stats->memory_limit));
    printf("  errors    %" PRIu64, total->errors);
    if (total->substituted) printf("; %" PRIu64 " rows substituted", total->substituted);
    if (stats->retries) printf("; %" PRIu64 " retries", stats->retries);
    if (stats->ignored) printf("; %" PRIu64 " ignored (no samples)", stats->ignored);
    if (stats->windows_cut) printf("; %" PRIu64 " shuffle windows cut: give more --memory", stats->windows_cut);
    putchar('\n');
    if (report->sha256[0]) printf("  sha256    %s\n", report->sha256);
    if (report->ideal_measured)
        printf("  ideal     %.1f samples/s; this run reached %.3f of it\n", report->ideal.samples_per_second,
               report->ideal.samples_per_second > 0 ? bench_rate(total) / report->ideal.samples_per_second : 0);
}

/* Which part of the data this was; nothing where it is all of it in batches that nobody has counted. */
static void print_ranks(const leat_statistics *stats)
{
    if (stats->world <= 1 && stats->steps == 0) return;
    printf("  rank      %u of %u", stats->rank, stats->world);
    if (stats->launcher[0]) printf(" (%s)", stats->launcher);
    if (stats->steps) printf("; %" PRIu64 " steps an epoch", stats->steps);
    if (stats->dropped) printf("; %" PRIu64 " samples dropped", stats->dropped);
    if (stats->padded) printf("; %" PRIu64 " rows padded", stats->padded);
    putchar('\n');
}

static void print_sources(const leat_statistics *stats)
{
    for (size_t i = 0; i < stats->source_count && stats->source_count > 1; i++) {
        const leat_source_stats *source = &stats->sources[i];
        printf("  source    %" PRIu64 " samples, %.6g of all wanted: ", source->samples, source->weight);
        cli_print_escaped(stdout, source->name);
        putchar('\n');
    }
}

static void print_state(const bench_report *report)
{
    if (!report->state_file) return;
    printf("  state     ");
    cli_print_escaped(stdout, report->state_file);
    putchar('\n');
}

static void print_epochs(const bench_report *report)
{
    cli_table table = {0};
    cli_table_row(&table, "epoch|samples|batches|samples/s|seconds|cpu s|waited s|errors");
    size_t shown = report->epoch_count < CLI_TABLE_ROWS - 1 ? report->epoch_count : CLI_TABLE_ROWS - 1;
    for (size_t i = 0; i < shown; i++) {
        const bench_figures *epoch = &report->epochs[i];
        cli_table_row(&table, "%" PRIu64 "|%" PRIu64 "|%" PRIu64 "|%.1f|%.3f|%.3f|%.3f|%" PRIu64,
                      epoch->number, epoch->samples, epoch->batches, bench_rate(epoch), epoch->seconds, epoch->cpu_seconds,
                      epoch->consumer_wait_seconds, epoch->errors);
    }
    putchar('\n');
    cli_table_print(&table, stdout);
    if (shown < report->epoch_count) printf("  and %zu more, which --json lists\n", report->epoch_count - shown);
}

static void print_stages(const leat_statistics *stats)
{
    cli_table table = {0};
    char size[16];
    cli_table_row(&table, "stage|lanes|at a time|items|bytes|busy s|starved s|blocked s|queue mean|max");
    for (size_t i = 0; i < stats->stage_count; i++) {
        const leat_stage_stats *stage = &stats->stages[i];
        cli_format_size(size, stage->bytes);
        cli_table_row(&table, "%s|%u|%u|%" PRIu64 "|%s|%.3f|%.3f|%.3f|%.1f|%" PRIu64, stage->name, stage->instances,
                      stage->concurrency, stage->items, size, (double)stage->busy_ns / 1e9,
                      (double)stage->starved_ns / 1e9, (double)stage->blocked_ns / 1e9, stage->queue_depth_mean,
                      stage->queue_depth_max);
    }
    putchar('\n');
    cli_table_print(&table, stdout);
}

void bench_verdict(const bench_report *report, char *out, size_t capacity)
{
    const leat_statistics *stats = &report->stats;
    double elapsed = report->total.seconds, waited = report->total.consumer_wait_seconds;
    assert(stats->stage_count <= LEAT_MAX_STAGES);
    if (elapsed <= 0 || report->total.batches == 0 || stats->stage_count == 0) {
        snprintf(out, capacity, "nothing was delivered, so there is nothing to say about speed");
        return;
    }
    if (waited < 0.1 * elapsed) {
        snprintf(out, capacity, "the consumer holds it back: it waited for data only %.0f%% of the time",
                 100 * waited / elapsed);
        return;
    }
    size_t worst = 0;
    double jump = -1;
    for (size_t i = 0; i < stats->stage_count; i++) {
        bool last = i + 1 == stats->stage_count;
        double next = last ? waited : (double)stats->stages[i + 1].starved_ns / 1e9;
        double own = (double)stats->stages[i].starved_ns / 1e9;
        if (next - own <= jump) continue;
        jump = next - own;
        worst = i;
    }
    if (jump < 0.1 * elapsed) {
        snprintf(out, capacity, "no single stage holds it back: the run is short, or evenly matched");
        return;
    }
    double own = (double)stats->stages[worst].starved_ns / 1e9;
    const char *next = worst + 1 < stats->stage_count ? stats->stages[worst + 1].name : "the consumer";
    snprintf(out, capacity, "%s holds it back: it was starved %.0f%% of the time, %s after it %.0f%%",
             stats->stages[worst].name, 100 * own / elapsed, next, 100 * (own + jump) / elapsed);
}

void bench_print(const bench_report *report)
{
    char verdict[256];
    cli_print_escaped(stdout, report->source);
    putchar('\n');
    print_figures(report);
    print_ranks(&report->stats);
    print_sources(&report->stats);
    print_state(report);
    if (report->epoch_count > 1) print_epochs(report);
    print_stages(&report->stats);
    bench_verdict(report, verdict, sizeof verdict);
    printf("\n  %s\n", verdict);
}
