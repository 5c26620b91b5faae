/* verify_command.c - leat verify: is everything still what it was.
 *
 * What:    options, leat_verify, a line for each finding, and a summary.
 * Threads: the main thread: the library calls back on it.
 * Not here: what is looked at (fetch/). */
#include <inttypes.h>
#include <stdio.h>

#include <leat/fetch.h>

#include "cli/commands.h"
#include "cli/fetch_options.h"
#include "cli/progress.h"
#include "cli/run.h"
#include "cli/text.h"

#define COMMAND "verify"

typedef struct verify_run {
    cli_progress progress;
    bool json;
} verify_run;

static const char *const states[] = {[LEAT_VERIFY_BAD] = "bad", [LEAT_VERIFY_MISSING] = "missing", [LEAT_VERIFY_FIXED] = "fixed",
                                    [LEAT_VERIFY_UNFIXED] = "unfixed"};

static void print_finding(const leat_verify_finding *finding)
{
    char text[1280];
    const char *why = finding->error && finding->state != LEAT_VERIFY_MISSING ? finding->error->message : NULL;
    printf("%-7s  ", states[finding->state]);
    cli_print_escaped(stdout, why ? cli_name_message(text, sizeof text, finding->path, why) : finding->path);
    putchar('\n');
}

static void print_finding_json(const leat_verify_finding *finding)
{
    cli_json json;
    bool failed = finding->error && finding->error->code;
    cli_json_begin(&json, stdout);
    cli_json_object(&json, NULL);
    cli_json_string(&json, "event", "finding");
    cli_json_string(&json, "state", states[finding->state]);
    cli_json_string(&json, "path", finding->path);
    if (*finding->url) cli_json_string(&json, "url", finding->url);
    else cli_json_null(&json, "url");
    if (failed) {
        cli_json_string(&json, "code", leat_code_name(finding->error->code));
        cli_json_string(&json, "message", finding->error->message);
    }
    cli_json_end(&json);
}

static void on_finding(void *user, const leat_verify_finding *finding)
{
    verify_run *run = user;
    cli_progress_clear(&run->progress);
    if (run->json) print_finding_json(finding);
    else print_finding(finding);
    cli_flush_output();
    cli_stop_if_output_broken();
}

static void on_progress(void *user, const leat_verify_progress *now)
{
    verify_run *run = user;
    char note[96], size[16];
    snprintf(note, sizeof note, "%s, %" PRIu64 " bad, %" PRIu64 " missing", cli_format_size(size, now->bytes), now->bad,
             now->missing);
    cli_progress_update(&run->progress, now->files, 0, note);
}

static void print_json(const leat_verify_result *result, const leat_error *error, int exit_code)
{
    cli_json json;
    cli_json_begin(&json, stdout);
    cli_json_object(&json, NULL);
    cli_json_string(&json, "event", "summary");
    cli_json_count(&json, "files", result->files);
    cli_json_count(&json, "bytes", result->bytes);
    cli_json_count(&json, "good", result->good);
    cli_json_count(&json, "bad", result->bad);
    cli_json_count(&json, "missing", result->missing);
    cli_json_count(&json, "fixed", result->fixed);
    cli_json_count(&json, "unverified", result->unverified);
    cli_json_count(&json, "unknown", result->unknown);
    cli_json_real(&json, "seconds", result->seconds);
    if (error) cli_json_string(&json, "error", error->message);
    else cli_json_null(&json, "error");
    cli_json_integer(&json, "exit_code", exit_code);
    cli_json_end(&json);
}

static void print_result(const leat_verify_result *result)
{
    char size[16];
    printf("%" PRIu64 " files, %s, in %.1f s: %" PRIu64 " good, %" PRIu64 " bad, %" PRIu64 " missing", result->files,
           cli_format_size(size, result->bytes), result->seconds, result->good, result->bad, result->missing);
    if (result->fixed > 0) printf(", %" PRIu64 " of them fixed", result->fixed);
    if (result->unverified > 0) printf("; %" PRIu64 " by their size only", result->unverified);
    if (result->unknown > 0) printf("; %" PRIu64 " that nothing is known of", result->unknown);
    putchar('\n');
}

#define AT(member) offsetof(fetch_settings, member)

static const cli_option look_options[] = {
    {.name = "quick", .kind = CLI_FLAG, .offset = AT(verify.quick), .help = "sizes only"},
    {.name = "deep", .kind = CLI_FLAG, .offset = AT(verify.deep),
     .help = "also read what is inside: every header of a tar, every zstd and gzip frame, header and end of every image"},
    {.name = "checksums", .value = "FILE", .kind = CLI_TEXT, .offset = AT(verify.checksums),
     .what = "a file of sha256sum or md5sum, or a manifest",
     .help = "what sha256sum or md5sum wrote, or a manifest: counts beside what was recorded when files were fetched"},
    {.name = "fix", .kind = CLI_FLAG, .offset = AT(verify.fix), .help = "fetch again what is bad or missing, from where it came"},
    {.name = "threads", .value = "N", .kind = CLI_U32, .offset = AT(verify.threads), .low = 1, .high = 1024,
     .what = "a number of threads", .help = "files looked at side by side (default: one for each CPU)"},
};
static const cli_group look_group = {"Looking", look_options, sizeof look_options / sizeof look_options[0]};

static int verify(fetch_settings *settings)
{
    verify_run run = {.json = settings->json};
    leat_verify_result result = {0};
    leat_error error;
    leat_verify_config *config = &settings->verify;
    cli_progress_begin(&run.progress, COMMAND, "files");
    config->finding = on_finding;
    config->progress = on_progress;
    config->user = &run;
    config->stop = cli_signal_flag();
    leat_code looked = leat_verify(config, &result, &error);
    cli_progress_clear(&run.progress);
    int code = result.bad + result.missing > result.fixed ? CLI_INTEGRITY : CLI_OK;
    if (looked && code == CLI_OK) code = looked == LEAT_ECLOSED ? CLI_FAILED : cli_code_of(&error, true);
    if (run.json) print_json(&result, looked ? &error : NULL, cli_exit_code(code));
    else if (!looked || result.files > 0) print_result(&result);
    cli_flush_output();
    if (looked) cli_fail(COMMAND, &error, true);
    return code;
}

static int run(const cli_command *command, int argc, char **argv)
{
    fetch_settings settings = {.config = LEAT_FETCH_CONFIG_INIT, .verify = LEAT_VERIFY_CONFIG_INIT};
    settings.config.world = 1; /* a directory is mended whole, whatever launcher there is */
    int code = cli_parse(command, argc, argv, &settings, &settings.verify.directory);
    if (code == CLI_GO_ON) code = fetch_settings_finish(command, &settings);
    if (code != CLI_GO_ON) return code;
    if (settings.verify.quick && settings.verify.deep) return cli_refuse(command, "--quick: contradicts --deep");
    settings.verify.fetch = &settings.config;
    return verify(&settings);
}

static const cli_group *const groups[] = {&look_group, &fetch_network_group, &fetch_output_group};

const cli_command cli_verify = {
    .name = COMMAND,
    .summary = "is what leat fetch brought still there and what it was; --fix fetches it again",
    .argument = "DIR",
    .argument_what = "a directory that leat fetch has filled",
    .about = "Looks at every file that leat fetch has brought into DIR: its size and its checksum. With --checksums or\n"
             "--deep, DIR may be any directory. Prints a line for each file that is bad or missing, with --fix one more that\n"
             "says fixed or unfixed, and a summary. Exit code 6: something is bad or missing, and was not fixed.\n\n"
             "--json prints an object a line, each with \"event\": finding (state, path, url, code, message) and summary\n"
             "(last: files, bytes, good, bad, missing, fixed, unverified, unknown, seconds, exit_code ...).",
    .example = "leat verify /data/train --deep --fix",
    .groups = groups,
    .group_count = sizeof groups / sizeof groups[0],
    .run = run,
};
