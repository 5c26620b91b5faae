/* timing.c - the same work done two ways, in turn (timing.h). */
#include "bench/timing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double bench_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Calls in a row that take about `seconds`. */
static unsigned calls_for(bench_work work, void *user, double seconds)
{
    work(user); /* warm */
    double begin = bench_cpu_ns();
    work(user);
    double calls = seconds * 1e9 / (bench_cpu_ns() - begin + 1);
    return calls < 1 ? 1 : calls > 1e6 ? 1000000 : (unsigned)calls;
}

static double time_of(bench_work work, void *user, unsigned calls)
{
    double begin = bench_cpu_ns();
    for (unsigned i = 0; i < calls; i++) work(user);
    return (bench_cpu_ns() - begin) / calls;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

bench_result bench_compare(bench_work work, bench_work reference, void *user, double seconds)
{
    double ns[BENCH_ROUNDS], reference_ns[BENCH_ROUNDS] = {0}, ratio[BENCH_ROUNDS] = {0};
    unsigned calls = calls_for(work, user, seconds), reference_calls = reference ? calls_for(reference, user, seconds) : 0;
    for (int i = 0; i < BENCH_ROUNDS; i++) {
        ns[i] = time_of(work, user, calls);
        if (!reference) continue;
        reference_ns[i] = time_of(reference, user, reference_calls);
        ratio[i] = reference_ns[i] / ns[i];
    }
    qsort(ns, BENCH_ROUNDS, sizeof *ns, by_value);
    qsort(reference_ns, BENCH_ROUNDS, sizeof *ns, by_value);
    qsort(ratio, BENCH_ROUNDS, sizeof *ns, by_value);
    return (bench_result){.ns = ns[BENCH_ROUNDS / 2], .reference_ns = reference_ns[BENCH_ROUNDS / 2],
                          .ratio = ratio[BENCH_ROUNDS / 2], .low = ratio[0], .high = ratio[BENCH_ROUNDS - 1]};
}

bool bench_arguments(int argc, char **argv, bool *json)
{
    *json = argc == 2 && strcmp(argv[1], "--json") == 0;
    return argc == 1 || *json;
}

void bench_print(bool json, const char *name, const bench_result *result, double units, const char *unit)
{
    double rate = units * 1e9 / result->ns, reference_rate = result->reference_ns > 0 ? units * 1e9 / result->reference_ns : 0;
    if (json) {
        printf("{\"name\": \"%s\", \"unit\": \"%s\", \"per_second\": %.6g, \"ns\": %.6g, \"reference_per_second\": %.6g, "
               "\"ratio\": %.4g, \"low\": %.4g, \"high\": %.4g}\n",
               name, unit, rate, result->ns / units, reference_rate, result->ratio, result->low, result->high);
    } else if (result->reference_ns > 0) {
        printf("%-44s %12.1f %s/s   reference %12.1f   %.2f times (%.2f..%.2f)\n", name, rate, unit, reference_rate,
               result->ratio, result->low, result->high);
    } else {
        printf("%-44s %12.1f %s/s\n", name, rate, unit);
    }
    fflush(stdout);
}

void bench_print_value(bool json, const char *name, double value, const char *unit)
{
    printf(json ? "{\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\"}\n" : "%-44s %12.6g %s\n", name, value, unit);
    fflush(stdout);
}

unsigned char *bench_read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    unsigned char *data = NULL;
    long end = -1;
    if (file && fseek(file, 0, SEEK_END) == 0) end = ftell(file);
    if (end >= 0 && fseek(file, 0, SEEK_SET) == 0) data = malloc((size_t)end + 1);
    if (!data || fread(data, 1, (size_t)end, file) != (size_t)end) {
        fprintf(stderr, "%s cannot be read: make the data with bench/data\n", path);
        exit(1);
    }
    fclose(file);
    *size = (size_t)end;
    return data;
}
