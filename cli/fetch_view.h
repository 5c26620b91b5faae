/* fetch_view.h - a fetch on a terminal, live. */
#ifndef CLI_FETCH_VIEW_H
#define CLI_FETCH_VIEW_H

#include <leat/fetch.h>

#include "cli/fetch_pace.h"
#include "cli/screen.h"

enum { FETCH_VIEW_FAILURES = 3 };

typedef struct fetch_view {
    cli_screen screen;
    const leat_fetch_config *config;  /* borrows, until fetch_view_end */
    size_t transfer_lines;            /* that transfers take: at once as many as there are, but given back slowly, so that the block
                                         does not jump as they come and go */
    unsigned spare_frames;            /* since some of them are empty */
    size_t failure_count;             /* so far; failure n is in failures[n % FETCH_VIEW_FAILURES] */
    char failures[FETCH_VIEW_FAILURES][512];
} fetch_view;

/* Begins a view on a file descriptor for which cli_screen_possible is true. It is large: not for the stack. */
void fetch_view_begin(fetch_view *view, int fd, const leat_fetch_config *config);

/* Takes note of a failure, for the frames that follow. */
void fetch_view_failure(fetch_view *view, const char *message);

/* Draws. stopping: a first Ctrl-C has come. */
void fetch_view_draw(fetch_view *view, const leat_fetch_progress *now, const fetch_outlook *outlook, bool stopping);

/* Takes the block away, so that something else can be printed. */
void fetch_view_wipe(fetch_view *view);

/* Wipes it, and ends. */
void fetch_view_end(fetch_view *view);

#endif
