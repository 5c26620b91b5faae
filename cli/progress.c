/* progress.c - one line on the terminal for what takes long.
 *
 * What:    "bench  [#########.....]  1,234/4,096 samples  1,520/s  0:02 left"; a count and a rate where no total is
 *          known.
 * Why so:  drawn by the caller's own thread on its way, so that nothing runs beside the measurement; a tenth of a
 *          second apart, because a terminal is slow.
 * Threads: one at a time.
 * Not here: results: they go to stdout. */
#include "cli/progress.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/text.h"

enum { BAR = 20, REDRAW_MS = 100 };

uint64_t cli_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void cli_progress_begin(cli_progress *progress, const char *label, const char *unit)
{
    *progress = (cli_progress){.label = label, .unit = unit, .shown = isatty(STDERR_FILENO) == 1,
                               .begin_ns = cli_now_ns()};
}

static int terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return 80;
}

static void draw_bar(char bar[BAR + 4], uint64_t done, uint64_t total)
{
    size_t full = (size_t)((double)done / (double)total * BAR);
    if (full > BAR) full = BAR;
    bar[0] = '[';
    memset(bar + 1, '#', full);
    memset(bar + 1 + full, '.', BAR - full);
    memcpy(bar + 1 + BAR, "] ", 3);
}

void cli_progress_update(cli_progress *progress, uint64_t done, uint64_t total, const char *note)
{
    assert(progress->label && progress->unit && note);
    uint64_t now = cli_now_ns();
    if (!progress->shown || now - progress->drawn_ns < REDRAW_MS * 1000000u) return;
    progress->drawn_ns = now;
    double seconds = (double)(now - progress->begin_ns) / 1e9, rate = seconds > 0 ? (double)done / seconds : 0;
    char line[256], time_text[16], bar[BAR + 4] = "";
    if (total > 0) {
        draw_bar(bar, done, total);
        double left = rate > 0 && done <= total ? (double)(total - done) / rate : -1;
        snprintf(line, sizeof line, "%s %s%" PRIu64 "/%" PRIu64 " %s  %.0f/s  %s left  %s", progress->label, bar, done,
                 total,
                 progress->unit, rate, cli_format_time(time_text, left), note);
    } else {
        snprintf(line, sizeof line, "%s  %" PRIu64 " %s  %.0f/s  %s  %s", progress->label, done, progress->unit, rate,
                 cli_format_time(time_text, seconds), note);
    }
    fprintf(stderr, "\r\033[K%.*s", terminal_columns() - 1, line);
    fflush(stderr);
    progress->dirty = true;
}

void cli_progress_clear(cli_progress *progress)
{
    if (!progress->dirty) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    progress->dirty = false;
}
