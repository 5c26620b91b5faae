/* timing.h - the same work done two ways, in turn, so that whatever disturbs the machine disturbs both.
 *
 * Times are CPU time of the calling thread: a kernel's cost, whoever else wants the core. Every benchmark of a kernel
 * prints its results through bench_print_*, as a table for people or, with --json, as a JSON line a measurement for
 * bench/bars. */
#ifndef LEAT_BENCH_TIMING_H
#define LEAT_BENCH_TIMING_H

#include <stdbool.h>
#include <stddef.h>

enum { BENCH_ROUNDS = 9 };

/* One call does a known amount of work. It must leave its result where the compiler cannot drop it. */
typedef void (*bench_work)(void *user);

typedef struct bench_result {
    double ns, reference_ns;     /* medians of BENCH_ROUNDS rounds, of one call */
    double ratio;                /* median of reference / work, round by round: above 1, the work is faster */
    double low, high;            /* the range of that ratio */
} bench_result;

/* Runs work and reference alternately, each for about `seconds` of CPU time in every round (at least once), after a round
 * that is not counted. reference: NULL: only the work is measured. */
bench_result bench_compare(bench_work work, bench_work reference, void *user, double seconds);

/* CPU time of this thread, ns. */
double bench_cpu_ns(void);

/* True if the arguments are nothing or --json; *json says which. */
bool bench_arguments(int argc, char **argv, bool *json);

/* One measurement: `units` of `unit` ("images", "MB") are done by one call. name: as bench/bars knows it. */
void bench_print(bool json, const char *name, const bench_result *result, double units, const char *unit);

/* A number that is not a time: a mean PSNR, a count of differing bytes. */
void bench_print_value(bool json, const char *name, double value, const char *unit);

/* The whole of a file, to be freed; ends the program with a message if it cannot be read. */
unsigned char *bench_read_file(const char *path, size_t *size);

#endif
