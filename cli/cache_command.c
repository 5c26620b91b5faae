/* cache_command.c - leat cache ls|verify|gc|rm: what loaders have kept of their shards.
 *
 * What:    four commands under one name, each a call of leat/cache.h: a line an entry, and a summary.
 * Threads: the main thread: the library calls back on it.
 * Not here: everything that caches (loader/). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <leat/cache.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/run.h"
#include "cli/text.h"

#define COMMAND "cache"

typedef struct cache_settings {
    const char *directory, *glob;
    uint64_t limit;
    bool dry_run, json;
} cache_settings;

static const char *const states[] = {
    [LEAT_CACHE_WHOLE] = "whole", [LEAT_CACHE_GROWING] = "growing", [LEAT_CACHE_PARTIAL] = "partial", [LEAT_CACHE_BAD] = "bad"};

static void print_entry(const leat_cache_entry *entry)
{
    char size[16], when[32] = "-";
    time_t used = (time_t)entry->used_s;
    struct tm local;
    if (entry->used_s > 0 && localtime_r(&used, &local)) strftime(when, sizeof when, "%Y-%m-%d %H:%M", &local);
    printf("%-7s  %8s  %-16s  %-6s  ", states[entry->state], cli_format_size(size, entry->disk_bytes), when,
           entry->in_use ? "in use" : "");
    cli_print_escaped(stdout, *entry->url ? entry->url : entry->file);
    if (entry->error) {
        fputs(": ", stdout);
        cli_print_escaped(stdout, entry->error->message);
    }
    putchar('\n');
}

static void print_entry_json(const leat_cache_entry *entry)
{
    cli_json json;
    cli_json_begin(&json, stdout);
    cli_json_object(&json, NULL);
    cli_json_string(&json, "event", "entry");
    cli_json_string(&json, "state", states[entry->state]);
    if (*entry->url) cli_json_string(&json, "url", entry->url);
    else cli_json_null(&json, "url");
    cli_json_string(&json, "file", entry->file);
    cli_json_count(&json, "bytes", entry->bytes);
    cli_json_count(&json, "disk_bytes", entry->disk_bytes);
    cli_json_count(&json, "used", entry->used_s);
    cli_json_boolean(&json, "in_use", entry->in_use);
    if (entry->error) cli_json_string(&json, "message", entry->error->message);
    cli_json_end(&json);
}

static void on_entry(void *user, const leat_cache_entry *entry)
{
    const cache_settings *settings = user;
    if (settings->json) print_entry_json(entry);
    else print_entry(entry);
}

static void print_summary(const cache_settings *settings, const leat_cache_result *result)
{
    char size[16], removed[16];
    cli_format_size(size, result->bytes);
    if (settings->json) {
        cli_json json;
        cli_json_begin(&json, stdout);
        cli_json_object(&json, NULL);
        cli_json_string(&json, "event", "summary");
        cli_json_count(&json, "entries", result->entries);
        cli_json_count(&json, "bytes", result->bytes);
        cli_json_count(&json, "removed", result->removed);
        cli_json_count(&json, "removed_bytes", result->removed_bytes);
        cli_json_count(&json, "bad", result->bad);
        cli_json_end(&json);
        return;
    }
    printf("%" PRIu64 " entr%s, %s on disk", result->entries, result->entries == 1 ? "y" : "ies", size);
    if (result->removed > 0) printf("; %" PRIu64 " %sremoved, %s", result->removed, settings->dry_run ? "would be " : "",
                                    cli_format_size(removed, result->removed_bytes));
    if (result->bad > 0) printf("; %" PRIu64 " bad, put aside", result->bad);
    putchar('\n');
}

static leat_code list(cache_settings *settings, leat_cache_result *result, leat_error *error)
{
    return leat_cache_list(settings->directory, on_entry, settings, result, error);
}

static leat_code verify(cache_settings *settings, leat_cache_result *result, leat_error *error)
{
    return leat_cache_verify(settings->directory, on_entry, settings, result, error);
}

static leat_code make_smaller(cache_settings *settings, leat_cache_result *result, leat_error *error)
{
    return leat_cache_gc(settings->directory, settings->limit, settings->dry_run, on_entry, settings, result, error);
}

static leat_code remove_matching(cache_settings *settings, leat_cache_result *result, leat_error *error)
{
    return leat_cache_remove(settings->directory, settings->glob, on_entry, settings, result, error);
}

#define AT(member) offsetof(cache_settings, member)
#define GROUP(rows) {"Options", rows, sizeof rows / sizeof rows[0]}
#define JSON_OPTION                                             \
    {.name = "json", .kind = CLI_FLAG, .offset = AT(json),      \
     .help = "print an object a line, each with \"event\": entry, and summary last"}

static const cli_option json_options[] = {
    JSON_OPTION,
};
static const cli_option gc_options[] = {
    {.name = "limit", .value = "BYTES", .kind = CLI_SIZE, .offset = AT(limit), .high = (uint64_t)1 << 50,
     .what = "a size such as 500G",
     .help = "remove whole entries, too, the least recently used first, until so many bytes are left; K, M, G (default: none)"},
    {.name = "dry-run", .kind = CLI_FLAG, .offset = AT(dry_run), .help = "only say what would be removed"},
    JSON_OPTION,
};
static const cli_group json_group = GROUP(json_options), gc_group = GROUP(gc_options);
static const cli_group *const json_groups[] = {&json_group}, *const gc_groups[] = {&gc_group};

typedef struct cache_action {
    const char *verb;
    cli_command command; /* its table */
    size_t arguments;
    leat_code (*act)(cache_settings *settings, leat_cache_result *result, leat_error *error);
} cache_action;

#define DIRECTORY "a directory that loaders have as their cache"

static const cache_action actions[] = {
    {"ls", {.name = COMMAND " ls", .argument = "DIR", .argument_what = DIRECTORY, .groups = json_groups, .group_count = 1,
            .about = "Lists every entry of a cache, the least recently used first: state, size on disk, when it was last\n"
                     "opened, whether it is in use, URL.",
            .example = "leat cache ls /scratch/cache"}, 1, list},
    {"verify", {.name = COMMAND " verify", .argument = "DIR", .argument_what = DIRECTORY, .groups = json_groups, .group_count = 1,
                .about = "Reads every whole entry and compares its checksums. Damaged ones are listed and put aside, so that they\n"
                         "are fetched again. Exit code 6: there were any.",
                .example = "leat cache verify /scratch/cache"}, 1, verify},
    {"gc", {.name = COMMAND " gc", .argument = "DIR", .argument_what = DIRECTORY, .groups = gc_groups, .group_count = 1,
            .about = "Removes what is damaged or was left behind, and with --limit whole entries; never one that is in use.",
            .example = "leat cache gc /scratch/cache --limit 500G"}, 1, make_smaller},
    {"rm", {.name = COMMAND " rm", .argument = "DIR GLOB", .argument_what = DIRECTORY ", and a pattern of URLs",
            .groups = json_groups, .group_count = 1,
            .about = "Removes the entries whose URL matches GLOB ('*' matches '/' too; '*' alone: all), but none that is in use.",
            .example = "leat cache rm /scratch/cache 'https://host/old/*'"}, 2, remove_matching},
};
enum { ACTIONS = sizeof actions / sizeof actions[0] };

static int act(const cache_action *action, int argc, char **argv)
{
    cache_settings settings = {.limit = UINT64_MAX};
    leat_cache_result result = {0};
    leat_error error;
    size_t count;
    int code = cli_parse_many(&action->command, argc, argv, &settings, action->arguments, &count);
    if (code != CLI_GO_ON) return code;
    if (count < action->arguments)
        return cli_refuse(&action->command, "no GLOB: give a pattern of URLs, such as 'https://host/old/*'");
    settings.directory = argv[0];
    settings.glob = action->arguments > 1 ? argv[1] : NULL;
    if (action->act(&settings, &result, &error)) {
        cli_flush_output();
        return cli_fail(action->command.name, &error, true);
    }
    print_summary(&settings, &result);
    return action->act == verify && result.bad > 0 ? CLI_INTEGRITY : CLI_OK;
}

static int run(const cli_command *command, int argc, char **argv)
{
    if (argc < 2) return cli_refuse(command, "nothing to do: give ls, verify, gc or rm");
    const char *verbs[ACTIONS], *verb = argv[1];
    for (size_t i = 0; i < ACTIONS; i++) {
        verbs[i] = actions[i].verb;
        if (strcmp(verb, verbs[i]) == 0) return act(&actions[i], argc - 1, argv + 1);
    }
    if (strcmp(verb, "--help") != 0 && strcmp(verb, "-h") != 0) {
        const char *meant = cli_suggest(verb, verbs, ACTIONS);
        return cli_refuse(command, "%s: give ls, verify, gc or rm%s%s%s", verb, meant ? "; did you mean " : "", meant ? meant : "",
                          meant ? "?" : "");
    }
    cli_print_help(command);
    return CLI_OK;
}

const cli_command cli_cache = {
    .name = COMMAND,
    .summary = "ls, verify, gc, rm: what loaders have kept of their shards on the local disk",
    .argument = "ls|verify|gc|rm DIR",
    .argument_what = DIRECTORY,
    .about = "Looks after a cache of shards, which loaders fill (bench --cache DIR, or leat_config.cache) and may use meanwhile.\n"
             "  ls DIR        every entry, the least recently used first\n"
             "  verify DIR    reads every entry and compares its checksums\n"
             "  gc DIR        removes what is damaged or was left behind; with --limit BYTES also whole entries\n"
             "  rm DIR GLOB   removes the entries whose URL matches\n"
             "leat cache gc --help says more about gc, and so on.",
    .example = "leat cache ls /scratch/cache",
    .run = run,
};
