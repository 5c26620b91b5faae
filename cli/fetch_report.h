/* fetch_report.h - a fetch in words: a line now and then where there is no terminal, and the summary. */
#ifndef CLI_FETCH_REPORT_H
#define CLI_FETCH_REPORT_H

#include <stdio.h>

#include <leat/fetch.h>

#include "cli/fetch_pace.h"

/* "leat fetch: 3,801 of 10,000 files (38%), 1.2G, 142.3M/s, 0:13 left; 3 failed, 41 retries" on stderr. */
void fetch_report_line(const leat_fetch_progress *now, const fetch_outlook *outlook);

/* What a dry run would do with a file: a line on stdout. */
void fetch_report_would(const leat_fetch_event *event);

/* Counts, bytes, time, and what is to be done about failures. Where the sources were read to their end: planned = done + skipped +
 * failed + cancelled. */
void fetch_report_summary(const leat_fetch_config *config, const leat_fetch_result *result, FILE *out);

#endif
