/* fetch_command.c - leat fetch: a data set to local disk.
 *
 * What:    options, leat_fetch, and what it says on the way: to the view, the log or as JSON.
 * Why so:  stdout has what programs read (JSON, a dry run's lines) or else the summary; stderr has the view, a line every 10 s
 *          where there is no terminal, and failures. A million failures would bury everything else: the first ones are named, and
 *          all of them are in the list that the summary names.
 * Threads: the main thread: the library calls back on it. Signals only set a flag (run.c).
 * Not here: options (fetch_options.c), the view (fetch_view.c), JSON (fetch_events.c), sentences (fetch_report.c). */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <leat/fetch.h>

#include "cli/commands.h"
#include "cli/fetch_events.h"
#include "cli/fetch_options.h"
#include "cli/fetch_report.h"
#include "cli/fetch_view.h"
#include "cli/progress.h"
#include "cli/run.h"
#include "cli/text.h"

#define COMMAND "fetch"

enum { MOST_NAMED = 10, LOG_S = 10, JSON_S = 1 };

typedef struct fetch_run {
    const fetch_settings *settings;
    fetch_view *view;            /* NULL: stderr is no terminal that a view can be drawn on */
    fetch_pace pace;
    uint64_t logged_ns, json_ns; /* when the last line was printed */
    uint64_t failures, notes;
    char named[MOST_NAMED][1280]; /* with a view: failures to be named after it */
    bool stopping;               /* it has been said */
} fetch_run;

static void say(const char *text)
{
    fputs("leat " COMMAND ": ", stderr);
    cli_print_escaped(stderr, text);
    fputc('\n', stderr);
}

static void take_failure(fetch_run *run, const leat_fetch_event *event)
{
    char message[sizeof run->named[0]];
    cli_name_message(message, sizeof message, event->url, event->error->message);
    if (run->view) fetch_view_failure(run->view, message);
    if (run->failures++ >= MOST_NAMED) return;
    if (run->view) snprintf(run->named[run->failures - 1], sizeof run->named[0], "%s", message);
    else say(message);
}

static void take_note(fetch_run *run, const leat_fetch_event *event)
{
    char text[sizeof run->named[0]];
    if (run->notes++ >= MOST_NAMED) return;
    cli_name_message(text, sizeof text, event->path, event->reason);
    if (run->view) fetch_view_wipe(run->view);
    say(text);
}

static void on_event(void *user, const leat_fetch_event *event)
{
    fetch_run *run = user;
    bool json = run->settings->json;
    if (json) fetch_events_event(event, (double)(cli_now_ns() - run->pace.begin_ns) / 1e9);
    if (event->kind == LEAT_FETCH_ERROR) take_failure(run, event);
    else if (event->kind == LEAT_FETCH_NOTE) take_note(run, event);
    else if (event->kind == LEAT_FETCH_WOULD && !json) fetch_report_would(event);
}

/* Whether `seconds` have gone by since *last; it begins anew then. */
static bool is_due(uint64_t *last, uint64_t now, unsigned seconds)
{
    if (now - *last < seconds * UINT64_C(1000000000)) return false;
    *last = now;
    return true;
}

static void on_progress(void *user, const leat_fetch_progress *progress)
{
    fetch_run *run = user;
    uint64_t now = cli_now_ns();
    fetch_outlook outlook = fetch_pace_add(&run->pace, now, progress);
    if (run->settings->json && is_due(&run->json_ns, now, JSON_S)) fetch_events_progress(progress, &outlook);
    cli_flush_output();
    cli_stop_if_output_broken();
    if (cli_signal() && !run->stopping) {
        run->stopping = true;
        if (!run->view) say("stopping, resumable; again to quit at once");
    }
    if (run->view) fetch_view_draw(run->view, progress, &outlook, run->stopping);
    else if (is_due(&run->logged_ns, now, LOG_S)) fetch_report_line(progress, &outlook);
}

/* A view, where stderr is a terminal and no lines on stdout would get into it. NULL: none. */
static fetch_view *open_view(const fetch_settings *settings)
{
    bool lines = settings->json || settings->config.dry_run;
    if (!cli_screen_possible(STDERR_FILENO) || (lines && isatty(STDOUT_FILENO) == 1)) return NULL;
    fetch_view *view = malloc(sizeof *view); /* without memory for it the run goes on, and says less */
    if (view) fetch_view_begin(view, STDERR_FILENO, &settings->config);
    return view;
}

static void close_view(fetch_run *run)
{
    if (!run->view) return;
    fetch_view_end(run->view);
    free(run->view);
    for (uint64_t i = 0; i < run->failures && i < MOST_NAMED; i++) say(run->named[i]);
    run->view = NULL;
}

/* The exit code: of what was worst for any file, or of what ended the run if that says more. */
static int code_of(const leat_fetch_result *result, const leat_error *error)
{
    static const int codes[] = {
        [LEAT_FETCH_FINE] = CLI_OK, [LEAT_FETCH_SOME_FAILED] = CLI_FAILED, [LEAT_FETCH_NO_NETWORK] = CLI_NETWORK,
        [LEAT_FETCH_NO_SOURCE] = CLI_NO_SOURCE, [LEAT_FETCH_BAD_CONFIG] = CLI_CONFIG, [LEAT_FETCH_BAD_DISK] = CLI_DISK,
        [LEAT_FETCH_BAD_DATA] = CLI_INTEGRITY};
    int worst = codes[result->worst];
    if (!error) return worst;
    int ended = error->code == LEAT_ECLOSED ? CLI_FAILED : cli_code_of(error, true);
    return ended == CLI_FAILED && worst != CLI_OK ? worst : ended;
}

static int conclude(fetch_run *run, const leat_fetch_result *result, const leat_error *error)
{
    const fetch_settings *settings = run->settings;
    bool began = result->last.planned > 0 || !error;
    close_view(run);
    uint64_t more = run->failures > MOST_NAMED ? run->failures - MOST_NAMED : 0;
    if (more > 0) fprintf(stderr, "leat " COMMAND ": and %" PRIu64 " more failure%s\n", more, more == 1 ? "" : "s");
    if (error && error->code != LEAT_ECLOSED) say(error->message);
    int code = code_of(result, error);
    cli_flush_output();
    if (settings->json) fetch_events_summary(result, error, cli_exit_code(code));
    if (began) fetch_report_summary(&settings->config, result, settings->json || settings->config.dry_run ? stderr : stdout);
    return code;
}

static int fetch(fetch_settings *settings)
{
    fetch_run *run = calloc(1, sizeof *run);
    leat_fetch_result *result = calloc(1, sizeof *result);
    int code = CLI_FAILED;
    if (run && result) {
        leat_fetch_config *config = &settings->config;
        leat_error error;
        run->settings = settings;
        run->view = open_view(settings);
        fetch_pace_begin(&run->pace, cli_now_ns());
        run->logged_ns = run->json_ns = run->pace.begin_ns;
        config->event = on_event;
        if (!settings->json) config->events = 1 << LEAT_FETCH_ERROR | 1 << LEAT_FETCH_NOTE | 1 << LEAT_FETCH_WOULD;
        config->progress = on_progress;
        config->user = run;
        config->stop = cli_signal_flag();
        if (settings->json) fetch_events_plan(config);
        leat_code fetched = leat_fetch(config, result, &error);
        code = conclude(run, result, fetched ? &error : NULL);
    } else {
        fputs("leat " COMMAND ": no memory\n", stderr);
    }
    free(result);
    free(run);
    return code;
}

static int run(const cli_command *command, int argc, char **argv)
{
    fetch_settings settings = {.config = LEAT_FETCH_CONFIG_INIT};
    leat_fetch_config *config = &settings.config;
    config->rank = LEAT_RANK_OF_LAUNCHER; /* not given */
    int code = cli_parse_many(command, argc, argv, &settings, (size_t)argc, &config->source_count);
    if (code == CLI_GO_ON) code = fetch_settings_finish(command, &settings);
    if (code != CLI_GO_ON) return code;
    if (!config->to) return cli_refuse(command, "no --to: give the directory that the files go into, as in --to data");
    config->sources = (const char *const *)argv;
    return fetch(&settings);
}

static const cli_group *const groups[] = {&fetch_files_group, &fetch_means_group, &fetch_network_group, &fetch_share_group,
                                          &fetch_output_group};

const cli_command cli_fetch = {
    .name = COMMAND,
    .summary = "a data set to local disk: whole and verified, resumable at any time",
    .argument = "SOURCE...",
    .argument_what = "a URL, a local path or @list.txt",
    .about = "Brings files under DIR. SOURCE is a URL, with brace ranges ('https://host/train-{000000..000999}.tar'); a\n"
             "local file, folder or glob; or @FILE, a list that is read as a stream: a URL or path a line, JSON lines,\n"
             "CSV, or what sha256sum writes (@- is stdin). Sizes and checksums that a list has are kept to.\n\n"
             "A file appears under its name when it is whole and verified. What is there already is not fetched again;\n"
             "what leat did not write is never touched. However a run ends (Ctrl-C, kill -9, a reboot, a full disk), the\n"
             "same command goes on where it was, also from several processes and machines at a time. What failed is listed\n"
             "in DIR/.leat/failed.jsonl, which @ makes a SOURCE.\n\n"
             "With --world, or under a launcher (torchrun, Open MPI, PMI, Slurm), each rank takes its share of the files.\n\n"
             "--json prints an object a line, each with \"event\": plan (first: schema, version, settings), start, progress\n"
             "(every second), retry, done, skip, would, error, note, and summary (last: planned, done, skipped, failed,\n"
             "cancelled, bytes, seconds, planned_bytes, retries, requests, unverified, rate, worst, failed_list, rank,\n"
             "world, exit_code ...). At the end planned = done + skipped + failed + cancelled. What is not known is null.\n\n"
             "A first Ctrl-C stops within 5 s, resumable; a second one at once.",
    .example = "leat fetch 'https://host/train-{000000..000999}.tar' --to /data/train --checksums SHA256SUMS",
    .groups = groups,
    .group_count = sizeof groups / sizeof groups[0],
    .run = run,
};
