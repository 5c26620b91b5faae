/* fetch_events.h - a fetch for programs: an event a line, as JSON. */
#ifndef CLI_FETCH_EVENTS_H
#define CLI_FETCH_EVENTS_H

#include <leat/fetch.h>

#include "cli/fetch_pace.h"

/* Of what stands in the lines: goes up if something is taken away or changes its meaning; added keys leave it. */
enum { FETCH_EVENTS_SCHEMA = 1 };

/* Each prints a line on stdout and leaves it to the caller to flush. */
void fetch_events_plan(const leat_fetch_config *config);
void fetch_events_event(const leat_fetch_event *event, double seconds);
void fetch_events_progress(const leat_fetch_progress *now, const fetch_outlook *outlook);

/* The last line. error: why the run ended before its end; NULL: it did not. exit_code: of the process. */
void fetch_events_summary(const leat_fetch_result *result, const leat_error *error, int exit_code);

#endif
