/* index_command.c - leat index: how many samples shards have, and where each lies, written down once.
 *
 * What:    options, leat_index, and what it did in a line or as JSON.
 * Threads: the main thread; leat_index has its own.
 * Not here: everything that reads and writes (loader/indexing.c). */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <leat/index.h>

#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/run.h"
#include "cli/text.h"

#define COMMAND "index"

typedef struct index_settings {
    leat_index_config config;
    cli_texts headers;
    bool json;
} index_settings;

#define AT(member) offsetof(index_settings, member)

static const cli_option run_options[] = {
    {.name = "to", .value = "DIR", .kind = CLI_TEXT, .offset = AT(config.to), .what = "the folder that the index goes into",
     .help = "the folder that an index of just SOURCE goes into (default: beside the shards, one a folder; URLs need it)"},
    {.name = "threads", .value = "N", .kind = CLI_U32, .offset = AT(config.threads), .what = "a number of threads", .low = 1,
     .high = 1024,
     .help = "shards read side by side (default: one for each CPU)"},
    {.name = "json", .kind = CLI_FLAG, .offset = AT(json), .help = "print what was done as one JSON object"},
};

static const cli_option network_options[] = {
    {.name = "ca", .value = "FILE", .kind = CLI_TEXT, .offset = AT(config.ca_file), .what = "a PEM file",
     .help = "certificate authorities to trust (default: the system's)"},
    {.name = "header", .value = "H", .kind = CLI_TEXTS, .offset = AT(headers), .what = "\"Name: value\", at most 32 times",
     .help = "request header for the source's own hosts; may be repeated"},
};

static const cli_group run_group = {"Run", run_options, sizeof run_options / sizeof run_options[0]};
static const cli_group network_group = {"Network", network_options, sizeof network_options / sizeof network_options[0]};
static const cli_group *const groups[] = {&run_group, &network_group};

static void on_progress(void *user, const leat_index_progress *now)
{
    char note[64], size[16];
    snprintf(note, sizeof note, "%" PRIu64 " samples, %s", now->samples, cli_format_size(size, now->bytes));
    cli_progress_update(user, now->shards, now->total, note);
}

static void print_json(const leat_index_result *result, double seconds, const leat_error *error)
{
    cli_json json;
    cli_json_begin(&json, stdout);
    cli_json_object(&json, NULL);
    cli_json_count(&json, "shards", result->shards);
    cli_json_count(&json, "samples", result->samples);
    cli_json_count(&json, "files", result->files);
    cli_json_count(&json, "bytes", result->bytes);
    cli_json_real(&json, "seconds", seconds);
    if (error) cli_json_string(&json, "error", error->message);
    cli_json_end(&json);
}

static void print_result(const leat_index_result *result, double seconds)
{
    char size[16];
    printf("%" PRIu64 " sample%s in %" PRIu64 " shard%s in %.1f s: %" PRIu64 " index file%s, %s\n", result->samples,
           result->samples == 1 ? "" : "s", result->shards, result->shards == 1 ? "" : "s", seconds, result->files,
           result->files == 1 ? "" : "s", cli_format_size(size, result->bytes));
}

static int run(const cli_command *command, int argc, char **argv)
{
    index_settings settings = {.config = LEAT_INDEX_CONFIG_INIT};
    int code = cli_parse(command, argc, argv, &settings, &settings.config.source);
    if (code != CLI_GO_ON) return code;
    assert(settings.config.source);

    cli_progress progress;
    leat_index_result result;
    leat_error error;
    cli_progress_begin(&progress, COMMAND, "shards");
    settings.config.headers = settings.headers.items;
    settings.config.header_count = settings.headers.count;
    settings.config.progress = on_progress;
    settings.config.progress_user = &progress;
    settings.config.stop = cli_signal_flag();
    leat_code indexed = leat_index(&settings.config, &result, &error);
    double seconds = (double)(cli_now_ns() - progress.begin_ns) / 1e9;
    cli_progress_clear(&progress);

    if (settings.json) print_json(&result, seconds, indexed ? &error : NULL);
    else if (!indexed) print_result(&result, seconds);
    if (!indexed) return CLI_OK;
    cli_fail(COMMAND, &error, false);
    return strcmp(error.stage, "write") == 0 ? CLI_DISK : cli_code_of(&error, true);
}

const cli_command cli_index = {
    .name = COMMAND,
    .summary = "counts and places of the samples in shards, for ranks, exact resume and reading by sample",
    .argument = "SOURCE",
    .argument_what = "a folder of shards, a shard, a glob, URLs or @list.txt",
    .about = "Reads every shard once and writes leat.index: for each shard its name, size and number of samples, and where each\n"
             "sample lies. With it several ranks share the data, a state is restored at once, and shards are read by sample.\n"
             "leat pack writes it too. An index that does not match its shards is refused when it is used: run leat index again\n"
             "after a change. Given some of a folder's shards, it reads those, and keeps what leat.index has of the others.",
    .example = "leat index shards",
    .groups = groups,
    .group_count = sizeof groups / sizeof groups[0],
    .run = run,
};
