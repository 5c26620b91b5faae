/* bench_report.h - the figures of a run, for people and for programs. */
#ifndef CLI_BENCH_REPORT_H
#define CLI_BENCH_REPORT_H

#include <leat/leat.h>

#include "cli/json.h"

/* What is measured of an epoch, and of the run. */
typedef struct bench_figures {
    uint64_t number;              /* of the epoch; of the run: 0 */
    uint64_t samples;             /* rows delivered; substituted ones are not counted */
    uint64_t batches, substituted, errors, bytes_read;
    uint64_t first_samples;       /* of the first batch */
    double seconds, cpu_seconds;
    double first_batch_seconds;   /* from the beginning to the first batch; negative: none came */
    double consumer_wait_seconds;
    uint64_t peak_rss_bytes;      /* of the process so far */
} bench_figures;

enum { BENCH_FAILURES = 100 };

typedef struct bench_report {
    const char *source;
    leat_config chosen;           /* as it ran; its pointers are void */
    bench_figures total, *epochs;
    size_t epoch_count;
    leat_statistics stats;
    leat_error failures[BENCH_FAILURES];
    uint64_t failure_count;
    leat_error fatal;             /* code LEAT_OK: none */
    char sha256[65];              /* "": not asked for */
    const char *state_file;       /* NULL: none was saved */
    leat_ideal ideal;
    bool ideal_measured;
} bench_report;

double bench_rate(const bench_figures *figures);        /* samples a second; 0 if nothing was measured */
double bench_steady_rate(const bench_figures *figures); /* after the first batch; NaN if there is no second one */

void bench_print(const bench_report *report);
void bench_print_json(const bench_report *report);

/* One sentence about what to make faster, in out. */
void bench_verdict(const bench_report *report, char *out, size_t capacity);

#endif
