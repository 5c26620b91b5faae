/* fetch_report.c - a fetch in words: a line now and then where there is no terminal, and the summary.
 *
 * What:    for logs: whole lines, no cursor, no colours.
 * Threads: the main thread.
 * Not here: when a line is due (fetch_command.c). */
#include "cli/fetch_report.h"

#include <inttypes.h>

#include "cli/text.h"

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

void fetch_report_line(const leat_fetch_progress *now, const fetch_outlook *outlook)
{
    char settled[32], planned[32], size[16], rate[16], left[16], share[16] = "", until[32] = "";
    if (outlook->fraction >= 0) {
        snprintf(share, sizeof share, " (%d%%)", (int)(outlook->fraction * 100));
        snprintf(until, sizeof until, ", %s left", cli_format_time(left, outlook->seconds_left));
    }
    fprintf(stderr, "leat fetch: %s of %s%s files%s, %s, %s/s%s; %" PRIu64 " failed, %" PRIu64 " retr%s\n",
            cli_format_count(settled, outlook->settled), cli_format_count(planned, now->planned), now->listed ? "" : "+", share,
            cli_format_size(size, now->finished_bytes), cli_format_size(rate, (uint64_t)outlook->bytes_per_second), until,
            now->failed, now->retries, now->retries == 1 ? "y" : "ies");
}

void fetch_report_would(const leat_fetch_event *event)
{
    char size[16];
    printf("%-6s  %8s  ", event->reason, event->bytes == UINT64_MAX ? "?" : cli_format_size(size, event->bytes));
    cli_print_escaped(stdout, event->path);
    fputs("  ", stdout);
    cli_print_escaped(stdout, event->url);
    putchar('\n');
}

static void print_cost(const leat_fetch_result *result, FILE *out)
{
    const leat_fetch_progress *last = &result->last;
    char size[16], text[32];
    fprintf(out, "%s%s in %.1f s", cli_format_size(size, last->bytes), last->bytes < 1024 ? " bytes" : "", result->seconds);
    if (last->bytes > 0 && result->seconds > 0)
        fprintf(out, ", %s/s", cli_format_size(size, (uint64_t)((double)last->bytes / result->seconds)));
    fprintf(out, "; %s request%s", cli_format_count(text, last->requests), plural(last->requests));
    if (last->retries > 0) fprintf(out, ", %s of them repeated", cli_format_count(text, last->retries));
    if (last->throttled > 0) fprintf(out, ", %s throttled", cli_format_count(text, last->throttled));
    if (last->unverified > 0) fprintf(out, "; %s file%s of unknown size and checksum", cli_format_count(text, last->unverified),
                                      plural(last->unverified));
    fputc('\n', out);
}

static void print_plan(const leat_fetch_result *result, FILE *out)
{
    const leat_fetch_progress *last = &result->last;
    char size[16], text[32];
    fprintf(out, "%s", cli_format_size(size, last->planned_bytes));
    if (last->unsized > 0)
        fprintf(out, " and %s file%s of unknown size", cli_format_count(text, last->unsized), plural(last->unsized));
    fputs("; nothing was done\n", out);
}

void fetch_report_summary(const leat_fetch_config *config, const leat_fetch_result *result, FILE *out)
{
    const leat_fetch_progress *last = &result->last;
    char planned[32], done[32], skipped[32], failed[32], cancelled[32];
    if (result->world > 1) fprintf(out, "rank %" PRIu32 " of %" PRIu32 ": ", result->rank, result->world);
    fprintf(out, "%s planned = %s done + %s skipped + %s failed + %s cancelled\n", cli_format_count(planned, last->planned),
            cli_format_count(done, last->done), cli_format_count(skipped, last->skipped), cli_format_count(failed, last->failed),
            cli_format_count(cancelled, last->cancelled));
    if (config->dry_run) print_plan(result, out);
    else print_cost(result, out);
    if (!result->failed_list[0]) return;
    fputs("what failed or was cancelled is listed in ", out);
    cli_print_escaped(out, result->failed_list);
    fputs("; the same command again, or leat fetch @", out);
    cli_print_escaped(out, result->failed_list);
    fputs(" --to ", out);
    cli_print_escaped(out, config->to);
    fputs(", tries again\n", out);
}
