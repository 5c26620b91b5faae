/* bench_run.h - the run that leat bench measures. */
#ifndef CLI_BENCH_RUN_H
#define CLI_BENCH_RUN_H

#include <stdbool.h>

#include "cli/bench_report.h"
#include "cli/settings.h"

/* Opens a loader, takes its batches, saves the state, closes, and files what was measured in report. settings->config.resume: the
 * state, if settings->resume names one. digest: NULL for none. *opened: false if leat_open refused, which has then been said on
 * stderr. Returns the exit code. */
int bench_measure(const cli_settings *settings, leat_digest *digest, bench_report *report, bool *opened);

#endif
