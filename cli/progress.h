/* progress.h - one line on the terminal for what takes long: bar, rate, time left. Nothing where stderr is no
 * terminal. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct cli_progress {
    const char *label;  /* "bench" */
    const char *unit;   /* "samples" */
    bool shown;         /* stderr is a terminal */
    bool dirty;         /* a line stands there */
    uint64_t begin_ns, drawn_ns;
} cli_progress;

/* Begins; label and unit: borrows, until cli_progress_clear. */
void cli_progress_begin(cli_progress *progress, const char *label, const char *unit);

/* Draws the line anew, at most ten times a second. total: 0 if it is not known; note: more to say, "" if nothing. */
void cli_progress_update(cli_progress *progress, uint64_t done, uint64_t total, const char *note);

/* Wipes the line; before anything else is printed, and at the end. */
void cli_progress_clear(cli_progress *progress);

/* Nanoseconds of the monotonic clock. */
uint64_t cli_now_ns(void);

#endif
