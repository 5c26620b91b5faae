/* fetch_view.c - a fetch on a terminal, live.
 *
 * What:    title, bar with share, rate and time left, counts; the transfers in flight; the hosts, where there are several or one
 *          has something to tell; the last failures. Within whatever the terminal has: what matters least goes first.
 * Why so:  a block that jumps cannot be read: transfers that end give their lines back one by one, and at once only if hosts or
 *          failures need them. Under 60 columns the bar has a line of its own, and hosts are left out.
 * Threads: one at a time.
 * Not here: cursor, colours, widths, escaping (screen.c); rates (fetch_pace.c); what is printed where there is no terminal
 *          (fetch_report.c). */
#include "cli/fetch_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/text.h"

enum {
    HEAD = 3,             /* title, bar, counts */
    NARROW = 60,          /* columns, below which it is laid out for narrow ones */
    SPARE_FRAMES = 5,     /* until an empty line is given back: half a second */
    ROOMY = 20,           /* lines, from which on blank ones divide it */
    WIDEST = 140,         /* columns, above which nothing becomes more readable */
    DEFAULT_JOBS = 64,    /* leat_fetch_config.jobs */
    RIGHT = 27,           /* columns behind a transfer's bar: "  100%  1023.9M/1023.9M x64" */
};

static size_t at_most(size_t value, size_t most)
{
    return value < most ? value : most;
}

void fetch_view_begin(fetch_view *view, int fd, const leat_fetch_config *config)
{
    view->config = config;
    view->transfer_lines = view->failure_count = view->spare_frames = 0;
    cli_screen_begin(&view->screen, fd);
}

void fetch_view_failure(fetch_view *view, const char *message)
{
    char *line = view->failures[view->failure_count++ % FETCH_VIEW_FAILURES];
    snprintf(line, sizeof view->failures[0], "%s", message);
}

void fetch_view_wipe(fetch_view *view)
{
    cli_screen_wipe(&view->screen);
}

void fetch_view_end(fetch_view *view)
{
    cli_screen_end(&view->screen);
}

static size_t columns_of(const fetch_view *view)
{
    return at_most(view->screen.columns, WIDEST);
}

/* "leat fetch  /data/imagenet                1:24": where to, and for how long. */
static void draw_title(fetch_view *view, const fetch_outlook *outlook, bool stopping)
{
    cli_screen *screen = &view->screen;
    char elapsed[16], rank[48] = "";
    cli_format_time(elapsed, outlook->seconds);
    if (view->config->world > 1)
        snprintf(rank, sizeof rank, "rank %" PRIu32 " of %" PRIu32 "  ", view->config->rank, view->config->world);
    size_t right = strlen(rank) + strlen(elapsed), columns = columns_of(view);
    cli_screen_put(screen, CLI_STRONG, "leat fetch  ");
    if (stopping) {
        cli_screen_put(screen, CLI_WARNING, "stopping, resumable; Ctrl-C again to quit at once");
    } else if (columns > screen->column + right + 2) {
        cli_screen_tail(screen, CLI_PLAIN, view->config->to, columns - screen->column - right - 2);
    }
    cli_screen_column(screen, columns > right ? columns - right : 0);
    cli_screen_put(screen, CLI_FAINT, rank);
    cli_screen_put(screen, CLI_FAINT, elapsed);
    cli_screen_line(screen);
}

/* "  38%   1.2G of 3.1G   142.3M/s   0:13 left", or as much as is known, and without the sizes if it has to be short. */
static void say_share(const leat_fetch_progress *now, const fetch_outlook *outlook, bool brief, char *out, size_t capacity)
{
    char size[16], all[16], rate[16], left[16], share[8] = "", have[48] = "", until[24] = "";
    bool known = outlook->total_bytes > 0;
    if (outlook->fraction >= 0) snprintf(share, sizeof share, "%3d%%  ", (int)(outlook->fraction * 100));
    if (!brief)
        snprintf(have, sizeof have, "%s%s%s  ", cli_format_size(size, now->finished_bytes),
                 !known ? "" : outlook->estimated ? " of ~" : " of ", known ? cli_format_size(all, outlook->total_bytes) : "");
    if (outlook->fraction >= 0) snprintf(until, sizeof until, "  %s left", cli_format_time(left, outlook->seconds_left));
    snprintf(out, capacity, "%s%s%s/s%s", share, have, cli_format_size(rate, (uint64_t)outlook->bytes_per_second), until);
}

static void draw_bar(fetch_view *view, const leat_fetch_progress *now, const fetch_outlook *outlook)
{
    cli_screen *screen = &view->screen;
    char text[128];
    size_t columns = columns_of(view);
    say_share(now, outlook, columns < NARROW, text, sizeof text);
    if (columns < NARROW) {
        if (outlook->fraction >= 0) {
            cli_screen_bar(screen, outlook->fraction, columns);
            cli_screen_line(screen);
        }
    } else {
        size_t width = columns - at_most(strlen(text) + 2, columns);
        cli_screen_bar(screen, outlook->fraction, width);
        cli_screen_column(screen, width + 2);
    }
    cli_screen_put(screen, CLI_STRONG, text);
    cli_screen_line(screen);
}

/* Puts "   name 1,234", or nothing if it would be cut. */
static void draw_count(cli_screen *screen, cli_style style, const char *name, uint64_t count)
{
    char number[32], text[64];
    int length = snprintf(text, sizeof text, "   %s %s", name, cli_format_count(number, count));
    if (screen->column + (size_t)length <= screen->columns) cli_screen_put(screen, count > 0 ? style : CLI_FAINT, text);
}

static void draw_counts(fetch_view *view, const leat_fetch_progress *now, const fetch_outlook *outlook)
{
    cli_screen *screen = &view->screen;
    char settled[32], planned[32];
    cli_format_count(settled, outlook->settled);
    cli_format_count(planned, now->planned);
    cli_screen_print(screen, CLI_PLAIN, "%s of %s%s files", settled, planned, now->listed ? "" : "+");
    if (columns_of(view) < NARROW) {
        draw_count(screen, CLI_BAD, "failed", now->failed);
        cli_screen_line(screen);
        return;
    }
    draw_count(screen, CLI_PLAIN, "done", now->done);
    draw_count(screen, CLI_PLAIN, "skipped", now->skipped);
    draw_count(screen, CLI_BAD, "failed", now->failed);
    draw_count(screen, CLI_WARNING, "retries", now->retries);
    if (outlook->files_per_second >= 1) draw_count(screen, CLI_FAINT, "files/s", (uint64_t)outlook->files_per_second);
    cli_screen_line(screen);
}

/* "  train-000012.tar          ━━━━━━╸───────  54%  553.0M/1.0G  x4" */
static void draw_transfer(fetch_view *view, const leat_fetch_transfer *transfer)
{
    cli_screen *screen = &view->screen;
    size_t columns = columns_of(view), bar = columns < NARROW ? 0 : columns / 5;
    size_t right = bar ? RIGHT + bar : 6, name = columns > right + 4 ? columns - right - 4 : 0;
    bool sized = transfer->total != UINT64_MAX && transfer->total > 0;
    double fraction = sized ? (double)transfer->bytes / (double)transfer->total : 0;
    char have[16], all[16];
    cli_screen_put(screen, CLI_PLAIN, "  ");
    cli_screen_tail(screen, CLI_PLAIN, transfer->name, name);
    if (bar) {
        cli_screen_put(screen, CLI_PLAIN, "  ");
        if (sized) cli_screen_bar(screen, fraction, bar);
        cli_screen_column(screen, 4 + name + bar);
    }
    if (sized) cli_screen_print(screen, CLI_PLAIN, "  %3d%%", (int)((fraction < 1 ? fraction : 1) * 100));
    else cli_screen_put(screen, CLI_PLAIN, "      ");
    if (bar && transfer->connections == 0) cli_screen_put(screen, CLI_FAINT, "  waiting");
    else if (bar) cli_screen_print(screen, CLI_FAINT, "  %s%s%s", cli_format_size(have, transfer->bytes), sized ? "/" : "",
                                   sized ? cli_format_size(all, transfer->total) : "");
    if (bar && transfer->connections > 1) cli_screen_print(screen, CLI_FAINT, " x%" PRIu32, transfer->connections);
    cli_screen_line(screen);
}

/* How many lines are kept for transfers that need `lines`. */
static size_t lines_kept(fetch_view *view, size_t lines, size_t room)
{
    if (lines >= view->transfer_lines) {
        view->transfer_lines = lines;
        view->spare_frames = 0;
    } else if (++view->spare_frames == SPARE_FRAMES) {
        view->transfer_lines--;
        view->spare_frames = 0;
    }
    return at_most(view->transfer_lines, room);
}

/* Transfers, and how many more there are, in at most `room` lines. */
static void draw_transfers(fetch_view *view, const leat_fetch_progress *now, size_t room)
{
    size_t count = now->transfer_count, drawn = 0;
    uint64_t flying = now->active > count ? now->active : count; /* the two need not be of the same moment */
    bool more = flying > count || count > room;
    size_t lines = at_most(count + more, room);
    for (; drawn + more < lines; drawn++) draw_transfer(view, &now->transfers[drawn]);
    if (more && lines > 0) {
        char active[32], waiting[32];
        cli_format_count(active, flying - drawn);
        cli_screen_print(&view->screen, CLI_FAINT, "  and %s more in flight, %s waiting", active,
                         cli_format_count(waiting, now->waiting));
        cli_screen_line(&view->screen);
    }
    for (size_t kept = lines_kept(view, lines, room); lines < kept; lines++) cli_screen_line(&view->screen);
}

static uint32_t full_limit(const leat_fetch_config *config)
{
    uint32_t jobs = config->jobs ? config->jobs : DEFAULT_JOBS;
    return config->max_per_host && config->max_per_host < jobs ? config->max_per_host : jobs;
}

static bool has_something_to_tell(const fetch_view *view, const leat_fetch_host *host)
{
    return host->unreachable || host->paused_ms > 0 || host->limit < full_limit(view->config);
}

static size_t hosts_to_draw(const fetch_view *view, const leat_fetch_progress *now)
{
    bool any = now->host_count > 1;
    for (size_t i = 0; i < now->host_count; i++) any = any || has_something_to_tell(view, &now->hosts[i]);
    return any && columns_of(view) >= NARROW ? now->host_count : 0;
}

static void draw_host(fetch_view *view, const leat_fetch_host *host, size_t name)
{
    cli_screen *screen = &view->screen;
    char text[32];
    cli_screen_put(screen, CLI_PLAIN, "  ");
    cli_screen_tail(screen, CLI_PLAIN, host->name, name);
    cli_screen_print(screen, CLI_PLAIN, "  %3" PRIu32 " of %" PRIu32 " requests", host->active, host->limit);
    cli_screen_column(screen, 4 + name + 20);
    if (host->unreachable) cli_screen_put(screen, CLI_BAD, "  unreachable");
    else if (host->paused_ms > 0)
        cli_screen_print(screen, CLI_WARNING, "  paused for %s", cli_format_time(text, (double)host->paused_ms / 1e3));
    else if (host->limit < full_limit(view->config)) cli_screen_put(screen, CLI_WARNING, "  throttled");
    if (host->retries > 0) cli_screen_print(screen, CLI_PLAIN, "  retries %s", cli_format_count(text, host->retries));
    cli_screen_line(screen);
}

static size_t gap_of(const fetch_view *view)
{
    return view->screen.lines >= ROOMY;
}

static void draw_heading(fetch_view *view, const char *text)
{
    if (gap_of(view)) cli_screen_line(&view->screen);
    cli_screen_put(&view->screen, CLI_FAINT, text);
    cli_screen_line(&view->screen);
}

static void draw_hosts(fetch_view *view, const leat_fetch_progress *now, size_t count)
{
    if (count == 0) return;
    size_t name = 0;
    for (size_t i = 0; i < count; i++) {
        size_t width = cli_screen_width(&view->screen, now->hosts[i].name);
        if (width > name) name = width;
    }
    draw_heading(view, "hosts");
    for (size_t i = 0; i < count; i++) draw_host(view, &now->hosts[i], at_most(name, columns_of(view) / 3));
}

static void draw_failures(fetch_view *view, size_t count)
{
    if (count == 0) return;
    draw_heading(view, "last failures");
    for (size_t i = count; i > 0; i--) {
        const char *message = view->failures[(view->failure_count - i) % FETCH_VIEW_FAILURES];
        cli_screen_put(&view->screen, CLI_PLAIN, "  ");
        cli_screen_middle(&view->screen, CLI_BAD, message, columns_of(view) - 2);
        cli_screen_line(&view->screen);
    }
}

/* How many of `count` lines are drawn under a heading, which `share` lines have to hold; takes them off *room. */
static size_t divide(const fetch_view *view, size_t count, size_t share, size_t *room)
{
    size_t heading = 1 + gap_of(view);
    if (count == 0 || share <= heading) return 0;
    count = at_most(count, share - heading);
    *room -= count + heading;
    return count;
}

void fetch_view_draw(fetch_view *view, const leat_fetch_progress *now, const fetch_outlook *outlook, bool stopping)
{
    cli_screen_frame(&view->screen);
    size_t lines = view->screen.lines, head = HEAD + (columns_of(view) < NARROW) + gap_of(view);
    if (lines < head) {
        draw_bar(view, now, outlook);
    } else {
        size_t room = lines - head, third = room / 3;
        size_t failures = divide(view, at_most(view->failure_count, FETCH_VIEW_FAILURES), third, &room);
        size_t hosts = divide(view, hosts_to_draw(view, now), third, &room);
        draw_title(view, outlook, stopping);
        draw_bar(view, now, outlook);
        draw_counts(view, now, outlook);
        if (gap_of(view)) cli_screen_line(&view->screen);
        draw_transfers(view, now, room);
        draw_hosts(view, now, hosts);
        draw_failures(view, failures);
    }
    cli_screen_show(&view->screen);
}
