/* order_command.c - leat order: which sample comes when, without decoding.
 *
 * What:    reads a source in the order of a configuration and prints a line a sample: step, rank, row, shard, key; or with
 *          --quality how well that order mixes.
 * Why so:  the order is the library's own, told by its reader: what a loader with this configuration delivers. The lines of all
 *          ranks come from one reader of one rank: slot s of a global batch is row s / world of rank s % world. Only a last short
 *          batch with fewer samples than ranks differs, which no rank gets: so the lines of a step are held back until there is one
 *          for each rank. Rank and world are never the launcher's: an audit on a cluster must say the same as on a desk.
 * Threads: the main thread; the reader has its own.
 * Not here: the figures of --quality (order_survey.c). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <leat/leat.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/order_survey.h"
#include "cli/ranks.h"
#include "cli/run.h"
#include "cli/samples.h"
#include "cli/settings.h"
#include "cli/text.h"

#define COMMAND "order"

/* A listing on its way. */
typedef struct order_run {
    const cli_settings *settings;
    uint32_t ranks;       /* that the reader's rows are dealt to: 1 for the rows of one rank */
    order_survey *survey; /* NULL: rows are printed */
    bool begun;           /* there was a row */
    uint64_t step;        /* of the last row */
    FILE *held;           /* lines of that step until every rank has one; NULL: it has */
    char *text;           /* what is held */
    size_t size;
} order_run;

static void print_row(FILE *out, const order_run *run, const leat_sample *sample)
{
    uint64_t slot = leat_sample_row(sample), rank = run->ranks > 1 ? slot % run->ranks : run->settings->config.rank;
    uint64_t row = slot / run->ranks;
    if (run->settings->json) {
        cli_json json;
        cli_json_begin(&json, out);
        cli_json_object(&json, NULL);
        cli_json_count(&json, "epoch", leat_sample_epoch(sample));
        cli_json_count(&json, "step", leat_sample_step(sample));
        cli_json_count(&json, "rank", rank);
        cli_json_count(&json, "row", row);
        cli_json_string(&json, "shard", leat_sample_shard(sample));
        cli_json_string(&json, "key", leat_sample_key(sample));
        cli_json_end(&json);
        return;
    }
    fprintf(out, "%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t", leat_sample_step(sample), rank, row);
    cli_print_escaped(out, leat_sample_shard(sample));
    fputc('\t', out);
    cli_print_escaped(out, leat_sample_key(sample));
    fputc('\n', out);
}

/* Ends what is held; printed: it belongs to the order. False if memory was short. */
static bool end_held(order_run *run, bool printed)
{
    if (!run->held) return true;
    bool fine = fclose(run->held) == 0;
    if (fine && printed) fwrite(run->text, 1, run->size, stdout);
    free(run->text);
    run->held = NULL;
    run->text = NULL;
    return fine;
}

/* Prints the row now or later. False if memory is short. */
static bool add_row(order_run *run, const leat_sample *sample)
{
    if (!run->begun || leat_sample_step(sample) != run->step) {
        end_held(run, false);
        if (run->ranks > 1 && !(run->held = open_memstream(&run->text, &run->size))) return false;
        run->begun = true;
        run->step = leat_sample_step(sample);
    }
    if (run->held && leat_sample_row(sample) + 1 >= run->ranks && !end_held(run, true)) return false;
    print_row(run->held ? run->held : stdout, run, sample);
    return true;
}

static bool add(order_run *run, const leat_sample *sample)
{
    if (!run->survey) return add_row(run, sample);
    return order_survey_add(run->survey, leat_sample_step(sample), leat_sample_shard(sample), leat_sample_index(sample),
                            leat_sample_class(sample));
}

/* Takes samples until --to, the end of the epoch, an error, a signal or a closed stdout. */
static leat_code take(order_run *run, leat_reader *reader, leat_error *error)
{
    leat_code code = LEAT_OK;
    bool over = false;
    while (!code && !over && !cli_signal() && !cli_output_broken()) {
        leat_sample *sample;
        code = cli_next_sample(reader, &sample, error);
        if (code) break;
        over = leat_sample_step(sample) >= run->settings->to;
        if (!over && !add(run, sample)) code = LEAT_ENOMEM;
        leat_sample_release(sample);
    }
    end_held(run, false);
    return code == LEAT_END || code == LEAT_AGAIN ? LEAT_OK : code;
}

/* ---- --quality ---- */

static void put_pair(cli_json *json, const char *found, const char *perfect, const double pair[2])
{
    cli_json_real(json, found, pair[0]);
    cli_json_real(json, perfect, pair[1]);
}

static void print_quality_json(const order_quality *quality, uint64_t epoch)
{
    cli_json json;
    cli_json_begin(&json, stdout);
    cli_json_object(&json, NULL);
    cli_json_count(&json, "epoch", epoch);
    cli_json_count(&json, "samples", quality->samples);
    cli_json_count(&json, "batches", quality->batches);
    cli_json_string(&json, "group", quality->classes ? "class" : "shard");
    cli_json_count(&json, "groups", quality->groups);
    put_pair(&json, "neighbour_distance", "perfect_neighbour_distance", quality->distance);
    put_pair(&json, "same_group", "perfect_same_group", quality->same_group);
    put_pair(&json, "batch_groups", "perfect_batch_groups", quality->batch_groups);
    cli_json_count(&json, "batch_groups_least", quality->batch_groups_least);
    cli_json_real(&json, "mixing", quality->mixing);
    cli_json_string(&json, "verdict", order_verdict(quality));
    cli_json_end(&json);
}

static void print_quality(const order_quality *quality, uint64_t epoch)
{
    const char *group = quality->classes ? "class" : "shard", *groups = quality->classes ? "classes" : "shards";
    printf("  order       %" PRIu64 " sample%s in %" PRIu64 " batch%s, epoch %" PRIu64 "; %" PRIu64 " %s\n", quality->samples,
           quality->samples == 1 ? "" : "s", quality->batches, quality->batches == 1 ? "" : "es", epoch, quality->groups,
           quality->groups == 1 ? group : groups);
    if (quality->samples >= 2) {
        printf("  neighbours  %.1f places apart in the data on average; a perfect shuffle: %.1f\n", quality->distance[0],
               quality->distance[1]);
        printf("  same %s  %.3f of the neighbours; a perfect shuffle: %.3f\n", group, quality->same_group[0],
               quality->same_group[1]);
        printf("  a batch     %.1f %s on average, %" PRIu64 " at least; a perfect shuffle: %.1f on average\n",
               quality->batch_groups[0], groups, quality->batch_groups_least, quality->batch_groups[1]);
    }
    printf("\n  %s\n", order_verdict(quality));
}

/* ---- the command ---- */

/* Prints what was taken; returns what went wrong. */
static leat_code finish_survey(order_run *run)
{
    order_quality quality;
    uint64_t epoch = run->settings->config.epoch;
    if (!run->survey || cli_signal()) return LEAT_OK; /* half an order says nothing */
    if (!order_survey_end(run->survey, &quality)) return LEAT_ENOMEM;
    if (run->settings->json) print_quality_json(&quality, epoch);
    else print_quality(&quality, epoch);
    return LEAT_OK;
}

/* What no rank could be opened with is refused for all of them, in the library's words. */
static leat_code try_first_rank(const leat_config *config, leat_error *error)
{
    leat_reader *reader;
    leat_config first = *config;
    first.rank = 0;
    leat_code code = leat_reader_open(&first, &reader, error);
    if (!code) leat_reader_close(reader);
    return code;
}

static int list(cli_settings *settings)
{
    leat_config *config = &settings->config;
    order_run run = {.settings = settings, .ranks = 1};
    leat_reader *reader;
    leat_error error = {0};
    bool all = config->rank == LEAT_RANK_OF_LAUNCHER;
    if (config->world == 0) config->world = 1;
    if (all && config->world > 1) {
        if (try_first_rank(config, &error)) return cli_fail(COMMAND, &error, true);
        run.ranks = config->world;
        config->world = 1;
    }
    if (all) config->rank = 0;
    if (leat_reader_open(config, &reader, &error)) return cli_fail(COMMAND, &error, true);
    leat_code code = LEAT_OK;
    if (settings->quality && !(run.survey = order_survey_new())) code = LEAT_ENOMEM;
    if (!code) code = take(&run, reader, &error);
    if (!code) code = finish_survey(&run);
    order_survey_free(run.survey);
    return cli_end_samples(COMMAND, reader, code, &error);
}

static int finish(const cli_command *command, cli_settings *settings, const char *source)
{
    leat_config *config = &settings->config;
    int code = cli_settings_finish(command, settings, source);
    if (code == CLI_GO_ON) code = cli_ranks_finish(command, settings);
    if (code != CLI_GO_ON) return code;
    if (settings->to <= settings->from)
        return cli_refuse(command, "--to %" PRIu64 ": give a step over --from, %" PRIu64 ": rows end before it", settings->to,
                          settings->from);
    config->step = settings->from;
    config->epochs = 1;
    config->max_errors = LEAT_UNLIMITED;
    return CLI_GO_ON;
}

static int run(const cli_command *command, int argc, char **argv)
{
    cli_settings settings = {.config = LEAT_CONFIG_INIT, .to = UINT64_MAX};
    const char *source;
    settings.config.rank = LEAT_RANK_OF_LAUNCHER; /* not given */
    int code = cli_parse(command, argc, argv, &settings, &source);
    if (code == CLI_GO_ON) code = finish(command, &settings, source);
    if (code == CLI_GO_ON) code = list(&settings);
    cli_mixing_free(&settings.mixing);
    return code;
}

static const cli_option row_options[] = {
    {.name = "batch", .value = "N", .kind = CLI_U32, .offset = CLI_AT(config.batch_size), .low = 1, .high = 65536,
     .what = "a number of rows", .help = "rows a global batch, of all ranks together (default 256)"},
    {.name = "from", .value = "STEP", .kind = CLI_U64, .offset = CLI_AT(from), .high = UINT64_MAX,
     .what = "the number of a step", .help = "the first step, that is global batch, counted from 0 (default 0)"},
    {.name = "to", .value = "STEP", .kind = CLI_U64, .offset = CLI_AT(to), .high = UINT64_MAX, .what = "the number of a step",
     .help = "end before this step: --from 2 --to 4 prints steps 2 and 3 (default: the end of the epoch)"},
    {.name = "limit", .value = "SAMPLES", .kind = CLI_U64, .offset = CLI_AT(config.limit), .high = UINT64_MAX,
     .what = "a number of samples", .help = "samples an epoch, the first of its order (default 0: all)"},
    {.name = "quality", .kind = CLI_FLAG, .offset = CLI_AT(quality),
     .help = "instead of the rows: how well their order mixes, against a perfect shuffle of the same samples"},
    {.name = "json", .kind = CLI_FLAG, .offset = CLI_AT(json), .help = "a JSON object a line"},
};
static const cli_group row_group = CLI_GROUP("Rows", row_options);
static const cli_group *const groups[] = {&row_group, &cli_source_group, &cli_rank_group, &cli_order_group, &cli_resource_group,
                                          &cli_network_group};

const cli_command cli_order = {
    .name = COMMAND,
    .summary = "which sample comes when: step, rank and row of each, without decoding",
    .argument = "SOURCE",
    .argument_what = "a folder, a shard, a pattern, a URL or @list.txt",
    .about = "Prints a line a sample, in the order in which a loader with these settings delivers them in an epoch: step, "
             "rank, row,\n"
             "shard and key, separated by tabs. Steps FROM to TO - 1; step and row are counted from 0.\n\n"
             "Ranks: --world W lists the rows of all W ranks, and with --rank R those of one. Launchers are not asked: "
             "without\n"
             "--world there is one rank.\n\n"
             "--json: epoch, step, rank, row, shard, key. With --quality: epoch, samples, batches, group (shard, or class "
             "of loose\n"
             "files), groups, neighbour_distance (places in the data, mean), same_group (share of neighbours from one), "
             "batch_groups\n"
             "(in a batch, mean), batch_groups_least, each with its perfect_... of a perfect shuffle, mixing (the worst "
             "against\n"
             "perfect, 0 to 1), verdict.",
    .example = "leat order shards --world 4 --batch 64 --seed 1 --epoch 2 --from 100 --to 110",
    .groups = groups,
    .group_count = sizeof groups / sizeof groups[0],
    .run = run,
};
