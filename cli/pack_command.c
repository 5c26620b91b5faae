/* pack_command.c - leat pack: folders into shards.
 *
 * What:    options, leat_pack, and what it did in a line or as JSON.
 * Threads: the main thread; leat_pack has its own.
 * Not here: everything that packs (loader/pack.c). */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <leat/config.h>
#include <leat/pack.h>

#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/run.h"
#include "cli/text.h"

#define COMMAND "pack"

typedef struct pack_settings {
    leat_pack_config config;
    bool json;
} pack_settings;

/* --zstd or --zstd=LEVEL */
static bool parse_zstd(void *target, const char *text)
{
    leat_pack_config *config = target;
    uint64_t level = 0;
    if (*text && !(cli_read_number(text, &level) && level >= 1 && level <= 19)) return false;
    config->compression = LEAT_COMPRESSION_ZSTD;
    config->level = (int)level;
    return true;
}

static bool parse_max_errors(void *target, const char *text)
{
    uint64_t *count = target;
    if (strcmp(text, "unlimited") == 0) {
        *count = LEAT_UNLIMITED;
        return true;
    }
    return cli_read_number(text, count);
}

#define AT(member) offsetof(pack_settings, member)

static const cli_option shard_options[] = {
    {.name = "to", .value = "DIR", .kind = CLI_TEXT, .offset = AT(config.to),
     .what = "the folder that the shards go into",
     .help = "the folder that the shards go into; made if it is not there (needed)"},
    {.name = "shard-size", .value = "BYTES", .kind = CLI_SIZE, .offset = AT(config.shard_bytes),
     .what = "a size such as 64M",
     .low = 1024, .high = (uint64_t)1 << 44,
     .help = "a shard is closed before the sample that would take it over this, before compression; K, M, G (default "
             "256M)"},
    {.name = "zstd", .value = "LEVEL", .value_optional = true, .kind = CLI_CUSTOM, .offset = AT(config),
     .parse = parse_zstd,
     .what = "a level from 1 to 19, as in --zstd=9, or --zstd alone",
     .help = "compress: .tar.zst, one frame with checksum a shard (default level 3)"},
    {.name = "prefix", .value = "P", .kind = CLI_TEXT, .offset = AT(config.prefix),
     .what = "the beginning of the shards' names",
     .help = "shards are named P-000000.tar, P-000001.tar ... (default shard)"},
    {.name = "shuffle", .kind = CLI_FLAG, .offset = AT(config.shuffle),
     .help = "put the samples in a random order first (shards as a source: by windows)"},
    {.name = "seed", .value = "N", .kind = CLI_U64, .offset = AT(config.seed), .high = UINT64_MAX,
     .what = "a whole number",
     .help = "of --shuffle; the same seed gives the same shards (default 0)"},
};

static const cli_option run_options[] = {
    {.name = "threads", .value = "N", .kind = CLI_U32, .offset = AT(config.threads), .what = "a number of threads",
     .low = 1,
     .high = 1024, .help = "shards written side by side; the bytes don't depend on it (default: one for each CPU)"},
    {.name = "max-errors", .value = "N", .kind = CLI_CUSTOM, .offset = AT(config.max_errors), .parse = parse_max_errors,
     .what = "a number of files, or unlimited",
     .help = "unreadable files that are left out and named before it gives up; or unlimited (default 0: none)"},
    {.name = "overwrite", .kind = CLI_FLAG, .offset = AT(config.overwrite),
     .help = "replace shards of the same names; without it, shards of the same prefix are refused"},
    {.name = "json", .kind = CLI_FLAG, .offset = AT(json), .help = "print what was done as one JSON object"},
};

static const cli_group shard_group = {"Shards", shard_options, sizeof shard_options / sizeof shard_options[0]};
static const cli_group run_group = {"Run", run_options, sizeof run_options / sizeof run_options[0]};
static const cli_group *const groups[] = {&shard_group, &run_group};

static void on_progress(void *user, const leat_pack_progress *now)
{
    char note[64], size[16];
    snprintf(note, sizeof note, "%s, %" PRIu64 " shards", cli_format_size(size, now->bytes), now->shards);
    cli_progress_update(user, now->samples, now->total, note);
}

static void print_json(const leat_pack_result *result, double seconds, const leat_error *error)
{
    cli_json json;
    cli_json_begin(&json, stdout);
    cli_json_object(&json, NULL);
    cli_json_count(&json, "samples", result->samples);
    cli_json_count(&json, "shards", result->shards);
    cli_json_count(&json, "bytes", result->bytes);
    cli_json_real(&json, "seconds", seconds);
    cli_json_count(&json, "errors", result->errors);
    if (result->errors > 0) cli_json_failures(&json, "failures", &result->first_error, 1, 1);
    if (error) cli_json_string(&json, "error", error->message);
    cli_json_end(&json);
}

static void print_result(const pack_settings *settings, const leat_pack_result *result, double seconds)
{
    char size[16];
    printf("%" PRIu64 " sample%s in %" PRIu64 " shard%s, %s, in %.1f s: ", result->samples,
           result->samples == 1 ? "" : "s",
           result->shards, result->shards == 1 ? "" : "s", cli_format_size(size, result->bytes), seconds);
    cli_print_escaped(stdout, settings->config.to);
    putchar('\n');
}

/* Shards of an earlier, larger run would be read as part of this one. */
static void warn_of_leftovers(const pack_settings *settings, uint64_t shards)
{
    static const char *const endings[] = {"tar", "tar.zst"};
    const char *prefix = settings->config.prefix ? settings->config.prefix : "shard";
    for (int compressed = 0; compressed < 2; compressed++) {
        bool own = (settings->config.compression == LEAT_COMPRESSION_ZSTD) == (compressed == 1);
        char *path;
        if (asprintf(&path, "%s/%s-%06" PRIu64 ".%s", settings->config.to, prefix, own ? shards : 0,
                     endings[compressed]) < 0) return;
        if (access(path, F_OK) == 0) {
            fprintf(stderr, "leat " COMMAND ": ");
            cli_print_escaped(stderr, path);
            fputs(" is left from an earlier run: remove what is not of this one\n", stderr);
        }
        free(path);
    }
}

static int code_of(const leat_error *error, bool began)
{
    if (strcmp(error->stage, "write") == 0 && error->code != LEAT_EEXISTS) return CLI_DISK;
    return cli_code_of(error, !began);
}

static int run(const cli_command *command, int argc, char **argv)
{
    pack_settings settings = {.config = LEAT_PACK_CONFIG_INIT};
    int code = cli_parse(command, argc, argv, &settings, &settings.config.source);
    if (code != CLI_GO_ON) return code;
    if (!settings.config.to)
        return cli_refuse(command, "no --to: give the folder that the shards go into, as in --to shards");

    cli_progress progress;
    leat_pack_result result;
    leat_error error;
    cli_progress_begin(&progress, COMMAND, "samples");
    settings.config.progress = on_progress;
    settings.config.progress_user = &progress;
    settings.config.stop = cli_signal_flag();
    leat_code packed = leat_pack(&settings.config, &result, &error);
    double seconds = (double)(cli_now_ns() - progress.begin_ns) / 1e9;
    cli_progress_clear(&progress);

    bool named = packed && strcmp(error.message, result.first_error.message) == 0;
    if (result.errors > 0 && !named) cli_print_failures(COMMAND, &result.first_error, 1, 1);
    if (result.errors > 1) fprintf(stderr, "leat " COMMAND ": %" PRIu64 " files were left out in all\n", result.errors);
    if (settings.json) print_json(&result, seconds, packed ? &error : NULL);
    else if (!packed) print_result(&settings, &result, seconds);
    if (!packed && settings.config.overwrite) warn_of_leftovers(&settings, result.shards);
    if (!packed) return CLI_OK;
    cli_fail(COMMAND, &error, false);
    return code_of(&error, result.samples > 0 || result.errors > 0);
}

const cli_command cli_pack = {
    .name = COMMAND,
    .summary = "class folders or a list into .tar or .tar.zst shards, byte for byte reproducible",
    .argument = "FOLDER",
    .argument_what = "a folder, a glob, shards or @list.txt",
    .about = "Packs samples into WebDataset shards. A folder of class folders gets a .cls field with the class number "
             "in each\n"
             "sample, and DIR/classes.txt with the class names, one a line. The same input gives the same bytes on "
             "every run,\n"
             "with any number of threads. A shard appears under its name when it is whole.\n"
             "FOLDER may also be a glob, @list.txt (a path or URL a line), or shards to be cut anew.",
    .example = "leat pack photos --to shards --shard-size 64M --zstd --shuffle --seed 1",
    .groups = groups,
    .group_count = sizeof groups / sizeof groups[0],
    .run = run,
};
