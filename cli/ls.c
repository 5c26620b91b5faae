/* ls.c - leat ls: the samples of a source, or its shards.
 *
 * What:    reads the source in order and prints a line a sample: key, fields with their sizes, shard.
 * Why so:  what a loader would see is what a loader's reader says; nothing is decoded. Lines come as they are read.
 * Threads: the main thread; the reader has its own.
 * Not here: pixels (show.c). */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <leat/reader.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/run.h"
#include "cli/samples.h"
#include "cli/settings.h"
#include "cli/text.h"

#define COMMAND "ls"

/* A shard being summed up, for --shards. */
typedef struct ls_shard {
    char *name; /* NULL: none yet */
    uint64_t samples, fields, bytes;
} ls_shard;

static void print_sample(const leat_sample *sample)
{
    cli_print_escaped(stdout, leat_sample_key(sample));
    putchar('\t');
    for (size_t i = 0; i < leat_sample_fields(sample); i++) {
        size_t bytes;
        leat_sample_bytes(sample, i, &bytes);
        if (i > 0) putchar(' ');
        cli_print_escaped(stdout, leat_sample_field(sample, i));
        printf("=%zu", bytes);
    }
    putchar('\t');
    cli_print_escaped(stdout, leat_sample_shard(sample));
    putchar('\n');
}

static void print_sample_json(const leat_reader *reader, const leat_sample *sample)
{
    cli_json json;
    int64_t label = leat_sample_class(sample);
    cli_json_begin(&json, stdout);
    cli_json_object(&json, NULL);
    cli_json_string(&json, "key", leat_sample_key(sample));
    cli_json_string(&json, "shard", leat_sample_shard(sample));
    cli_json_count(&json, "index", leat_sample_index(sample));
    cli_json_count(&json, "offset", leat_sample_offset(sample));
    if (label >= 0) {
        const char *name = leat_reader_class(reader, (size_t)label);
        cli_json_integer(&json, "class", label);
        cli_json_string(&json, "class_name", name ? name : "");
    }
    cli_json_list(&json, "fields");
    for (size_t i = 0; i < leat_sample_fields(sample); i++) {
        size_t bytes;
        leat_sample_bytes(sample, i, &bytes);
        cli_json_object(&json, NULL);
        cli_json_string(&json, "name", leat_sample_field(sample, i));
        cli_json_count(&json, "bytes", bytes);
        cli_json_end(&json);
    }
    cli_json_end(&json);
    cli_json_end(&json);
}

static void end_shard(ls_shard *shard, bool as_json)
{
    if (!shard->name) return;
    if (as_json) {
        cli_json json;
        cli_json_begin(&json, stdout);
        cli_json_object(&json, NULL);
        cli_json_string(&json, "shard", shard->name);
        cli_json_count(&json, "samples", shard->samples);
        cli_json_count(&json, "fields", shard->fields);
        cli_json_count(&json, "bytes", shard->bytes);
        cli_json_end(&json);
    } else {
        cli_print_escaped(stdout, shard->name);
        printf("\t%" PRIu64 " samples\t%" PRIu64 " fields\t%" PRIu64 " bytes\n", shard->samples, shard->fields,
               shard->bytes);
    }
    free(shard->name);
    *shard = (ls_shard){0};
}

/* Samples come shard by shard: lanes is 1. False if memory is short. */
static bool add_to_shard(ls_shard *shard, const leat_sample *sample, bool as_json)
{
    const char *name = leat_sample_shard(sample);
    if (shard->name && strcmp(shard->name, name) != 0) end_shard(shard, as_json);
    if (!shard->name && !(shard->name = strdup(name))) return false;
    shard->samples++;
    shard->fields += leat_sample_fields(sample);
    for (size_t i = 0; i < leat_sample_fields(sample); i++) {
        size_t bytes;
        leat_sample_bytes(sample, i, &bytes);
        shard->bytes += bytes;
    }
    return true;
}

/* Prints until the end, an error, a signal or a closed stdout. */
static leat_code list(const cli_settings *settings, leat_reader *reader, leat_error *error)
{
    ls_shard shard = {0};
    leat_sample *sample;
    leat_code code = LEAT_OK;
    while (!code && !cli_signal() && !cli_output_broken()) {
        code = cli_next_sample(reader, &sample, error);
        if (code) break;
        if (settings->shards) code = add_to_shard(&shard, sample, settings->json) ? LEAT_OK : LEAT_ENOMEM;
        else if (settings->json) print_sample_json(reader, sample);
        else print_sample(sample);
        leat_sample_release(sample);
    }
    end_shard(&shard, settings->json);
    return code == LEAT_END || code == LEAT_AGAIN ? LEAT_OK : code;
}

static int run(const cli_command *command, int argc, char **argv)
{
    cli_settings settings = {.config = LEAT_CONFIG_INIT};
    const char *source;
    leat_reader *reader;
    leat_error error = {0};
    int code = cli_parse(command, argc, argv, &settings, &source);
    if (code == CLI_GO_ON) code = cli_settings_finish(command, &settings, source);
    if (code != CLI_GO_ON) return code;
    settings.config.order = LEAT_ORDER_SEQUENTIAL;
    settings.config.lanes = 1;
    settings.config.epochs = 1;
    settings.config.max_errors = LEAT_UNLIMITED;
    settings.config.world = 1; /* whatever started this process */
    settings.config.index = "none"; /* what is there, not what an index says */
    if (leat_reader_open(&settings.config, &reader, &error)) return cli_fail(COMMAND, &error, true);
    leat_code listed = list(&settings, reader, &error);
    return cli_end_samples(COMMAND, reader, listed, &error);
}

static const cli_option ls_options[] = {
    {.name = "limit", .value = "N", .kind = CLI_U64, .offset = CLI_AT(config.limit), .high = UINT64_MAX,
     .what = "a number of samples", .help = "stop after so many samples (default 0: all)"},
    {.name = "shards", .kind = CLI_FLAG, .offset = CLI_AT(shards),
     .help = "a line a shard: samples, fields, bytes of the fields"},
    {.name = "json", .kind = CLI_FLAG, .offset = CLI_AT(json), .help = "a JSON object a line"},
};
static const cli_group ls_group = CLI_GROUP("Listing", ls_options);
static const cli_group *const groups[] = {&ls_group, &cli_resource_group, &cli_network_group};

const cli_command cli_ls = {
    .name = COMMAND,
    .summary = "the samples of a source: keys, fields, sizes",
    .argument = "SOURCE",
    .argument_what = "a folder, a shard, a pattern, a URL or @list.txt",
    .about = "Prints a line a sample, in the order they are stored: key, fields with their bytes, and shard, "
             "separated by tabs.\n"
             "What can't be read is named on stderr, the rest is listed, and the exit code is not 0.\n"
             "--json: key, shard, index, offset, class and class_name (class folders), fields (a list: name, bytes); "
             "with --shards:\n"
             "shard, samples, fields, bytes.",
    .example = "leat ls shards --limit 10",
    .groups = groups,
    .group_count = sizeof groups / sizeof groups[0],
    .run = run,
};
