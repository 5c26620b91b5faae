/* bench.c - leat bench: how fast the data comes, and what holds it back.
 *
 * What:    options, the measured run, the ideal loop if it is asked for, and the report.
 * Threads: the main thread.
 * Not here: the run (bench_run.c), printing (bench_report.c, bench_json.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <leat/leat.h>

#include "cli/bench_report.h"
#include "cli/bench_run.h"
#include "cli/commands.h"
#include "cli/ranks.h"
#include "cli/run.h"
#include "cli/settings.h"
#include "cli/statefile.h"

#define COMMAND "bench"
static const double ideal_seconds = 3;

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
    leat_config whole = *config;
    whole.resume = NULL; /* wherever the run began */
    if (leat_measure_ideal(&whole, ideal_seconds, 0, &report->ideal, &error)) {
        fputs("leat " COMMAND ": the ideal loop could not be measured\n", stderr);
        return cli_fail(COMMAND, &error, false);
    }
    report->ideal_measured = true;
    return CLI_OK;
}

/* A resumed run that had nothing left to deliver is no failure, but hardly what was meant. */
static void explain_nothing(const cli_settings *settings, const bench_report *report)
{
    bool ended = !cli_signal() && report->fatal.code == LEAT_OK && settings->stop_after > 0;
    if (!settings->resume || report->total.batches > 0 || !ended) return;
    fputs("leat " COMMAND ": nothing is left: the state stands behind the last epoch (--epochs counts from --epoch on)\n", stderr);
}

static int measure_and_print(const cli_settings *settings, bench_report *report)
{
    leat_digest *digest = NULL;
    bool opened;
    if (settings->hash && !(digest = leat_digest_new())) {
        fputs("leat " COMMAND ": no memory for a digest\n", stderr);
        return CLI_FAILED;
    }
    int code = bench_measure(settings, digest, report, &opened);
    if (digest) leat_digest_hex(digest, report->sha256);
    leat_digest_free(digest);
    if (!opened) return code;
    if (code == CLI_OK) code = code_of_nothing(report);
    if (settings->ideal && code == CLI_OK && !cli_signal()) code = measure_ideal(report, &settings->config);
    if (settings->json) bench_print_json(report);
    else bench_print(report);
    cli_flush_output();
    cli_print_failures(COMMAND, report->failures, report->failure_count, BENCH_FAILURES);
    if (report->fatal.code && !is_listed(report)) cli_fail(COMMAND, &report->fatal, false);
    explain_nothing(settings, report);
    return code;
}

/* Completes the settings. state: room for --resume. */
static int finish(const cli_command *command, cli_settings *settings, const char *source, char *state)
{
    int code = cli_settings_finish(command, settings, source);
    if (code == CLI_GO_ON) code = cli_ranks_finish(command, settings);
    if (code != CLI_GO_ON) return code;
    if (settings->hash_from == UINT64_MAX) settings->hash_from = 0;
    else settings->hash = true;
    if (!settings->resume) return CLI_GO_ON;
    settings->config.resume = state;
    return cli_state_read(COMMAND, settings->resume, state);
}

static int run(const cli_command *command, int argc, char **argv)
{
    cli_settings settings = {.config = LEAT_CONFIG_INIT, .stop_after = UINT64_MAX, .hash_from = UINT64_MAX};
    const char *source;
    char state[CLI_STATE_BYTES + 1];
    settings.config.epochs = 1;
    settings.config.rank = LEAT_RANK_OF_LAUNCHER; /* not given */
    int code = cli_parse(command, argc, argv, &settings, &source);
    if (code == CLI_GO_ON) code = finish(command, &settings, source, state);
    bench_report *report = code == CLI_GO_ON ? calloc(1, sizeof *report) : NULL; /* 170 KB of failures */
    if (report) {
        report->source = source;
        code = measure_and_print(&settings, report);
        free(report->epochs);
        free(report);
    }
    cli_mixing_free(&settings.mixing);
    return code == CLI_GO_ON ? CLI_FAILED : code;
}

static const cli_option run_options[] = {
    {.name = "batch", .value = "N", .kind = CLI_U32, .offset = CLI_AT(config.batch_size), .low = 1, .high = 65536,
     .what = "a number of rows", .help = "rows a global batch; each rank gets its share of them (default 256)"},
    {.name = "epochs", .value = "N", .kind = CLI_U64, .offset = CLI_AT(config.epochs), .low = 1, .high = 1000000,
     .what = "a number of epochs", .help = "how many (default 1)"},
    {.name = "limit", .value = "SAMPLES", .kind = CLI_U64, .offset = CLI_AT(config.limit), .high = UINT64_MAX,
     .what = "a number of samples", .help = "samples an epoch, the first of its order (default 0: all)"},
    {.name = "stop-after", .value = "BATCHES", .kind = CLI_U64, .offset = CLI_AT(stop_after), .high = UINT64_MAX,
     .what = "a number of batches", .help = "end the run after so many batches of all epochs together (default: at the end)"},
    {.name = "save", .value = "FILE", .kind = CLI_TEXT, .offset = CLI_AT(save), .what = "the file that the state goes to",
     .help = "write the state after the last batch delivered, however the run ends; the file is replaced when it is whole"},
    {.name = "resume", .value = "FILE", .kind = CLI_TEXT, .offset = CLI_AT(resume), .what = "a file that --save has written",
     .help = "go on where that state was saved; ends, as without it, with epoch --epoch + --epochs - 1"},
    {.name = "prefetch", .value = "N", .kind = CLI_U32, .offset = CLI_AT(config.prefetch), .low = 1, .high = 16,
     .what = "a number of batches", .help = "ready batches kept for the consumer (default 2)"},
    {.name = "consumer-delay", .value = "MS", .kind = CLI_U32, .offset = CLI_AT(delay_ms), .high = 3600000,
     .what = "a number of milliseconds", .help = "sleep so long over each batch, as a trainer would (default 0)"},
};

static const cli_option output_options[] = {
    {.name = "hash", .kind = CLI_FLAG, .offset = CLI_AT(hash),
     .help = "SHA-256 over all batches' tensors in order; takes the consumer's time: not for measuring speed"},
    {.name = "hash-from", .value = "BATCH", .kind = CLI_U64, .offset = CLI_AT(hash_from), .high = UINT64_MAX,
     .what = "the number of a batch",
     .help = "--hash without the batches before this one, counted from 0 over the run (default 0)"},
    {.name = "ideal", .kind = CLI_FLAG, .offset = CLI_AT(ideal),
     .help = "then measure for 3 s the same kernels over samples held in memory, same threads, no pipeline"},
    {.name = "json", .kind = CLI_FLAG, .offset = CLI_AT(json), .help = "print one JSON object on stdout, see above"},
};

static const cli_group run_group = CLI_GROUP("Run", run_options), output_group = CLI_GROUP("Results", output_options);
static const cli_group *const groups[] = {&run_group, &cli_source_group, &cli_rank_group, &cli_image_group, &cli_order_group,
                                          &cli_failure_group, &cli_resource_group, &cli_network_group, &output_group};

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
             "Ranks: --rank and --world, or by default those of the launcher that started the process (torchrun, Open MPI, "
             "PMI, Slurm;\n"
             "--world alone: its rank, also that of a Kubernetes indexed job). Each rank runs a command of its own, with "
             "the same\n"
             "options.\n\n"
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
             "memory_limit_bytes, retries, ignored, windows_cut, verdict, config (as chosen), version; rank, world, launcher, "
             "indexed,\n"
             "steps (of an epoch; null: not known), dropped and padded (samples and rows of an epoch, all ranks together), "
             "sources\n"
             "(a list: name, weight, samples); state_file with --save.",
    .example = "leat bench 'train-{000000..000015}.tar' --crop random-resized --flip --dtype f32 --ideal",
    .groups = groups,
    .group_count = sizeof groups / sizeof groups[0],
    .run = run,
};
