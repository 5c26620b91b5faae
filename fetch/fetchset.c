/* fetchset.c - the settings of a run, completed and checked.
 *
 * Limits:  memory. Each transfer fills one buffer, and as much again waits for the disk; so a chunk is memory_limit / (4 * jobs), as
 *          a power of two from 16 KiB (what curl gives at a time) to 256 KiB; less cannot work, and is refused with both numbers
 *          (F13).
 * Threads: the caller's. */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "fetch/run.h"
#include "loader/launch.h"
#include "pipeline/failure.h"

enum {
    MIN_CHUNK = 16 << 10,
    MAX_CHUNK = 256 << 10,
    MIN_MEMORY = 16 << 20,
    MOST_JOBS = 1024,
    MOST_PARTS = 64,
    MIN_THREADS = 1,
    MOST_THREADS = 8,
};

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value ? value : fallback;
}

static uint64_t or_default64(uint64_t value, uint64_t fallback)
{
    return value ? value : fallback;
}

/* The loop has a CPU of its own; a second writer on two of them only makes them change places more often. */
static uint32_t default_threads(void)
{
    cpu_set_t cpus;
    uint32_t count = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? (uint32_t)CPU_COUNT(&cpus) / 2 : MIN_THREADS;
    return count < MIN_THREADS ? MIN_THREADS : count > MOST_THREADS ? MOST_THREADS : count;
}

static leat_code refuse(leat_error *error, const char *name, uint64_t value, uint64_t low, uint64_t high)
{
    return leat__fail(error, LEAT_EINVAL, 0, "%s is %" PRIu64 ": %" PRIu64 " to %" PRIu64 " would be right, or 0 for the default",
                      name, value,
                      low, high);
}

static leat_code check(const leat_fetch_config *config, leat_error *error)
{
    if (!config->sources || !config->source_count)
        return leat__fail(error, LEAT_EINVAL, 0,
                          "no source: name URLs such as https://host/train-{000000..000146}.tar, a list '@FILE', local files or folders");
    if (!config->to || !*config->to) return leat__fail(error, LEAT_EINVAL, 0, "no directory to fetch into (to)");
    if (config->jobs > MOST_JOBS) return refuse(error, "jobs", config->jobs, 1, MOST_JOBS);
    if (config->max_per_host > MOST_JOBS) return refuse(error, "max_per_host", config->max_per_host, 1, MOST_JOBS);
    if (config->parts > MOST_PARTS) return refuse(error, "parts", config->parts, 1, MOST_PARTS);
    if (config->threads > MOST_JOBS) return refuse(error, "threads", config->threads, 1, MOST_JOBS);
    if (config->retries > 100) return refuse(error, "retries", config->retries, 1, 100);
    if ((unsigned)config->layout > LEAT_FETCH_HASHED) return leat__fail(error, LEAT_EINVAL, 0, "layout %d is none",
                                                                        (int)config->layout);
    if (config->ca_file && access(config->ca_file, R_OK)) {
        char shown[512];
        return leat__fail_errno(error, LEAT_EINVAL, errno, "cannot read the certificate authorities '%s'",
                                leat__escape(shown, sizeof shown, config->ca_file, strlen(config->ca_file)));
    }
    if (config->part_bytes > (uint64_t)1 << 40) return refuse(error, "part_bytes", config->part_bytes, MAX_CHUNK,
                                                              (uint64_t)1 << 40);
    return LEAT_OK;
}

static leat_code plan_memory(leat__run *run, leat_error *error)
{
    leat_fetch_config *config = &run->config;
    uint64_t least = 4 * (uint64_t)config->jobs * MIN_CHUNK;
    if (least < MIN_MEMORY) least = MIN_MEMORY;
    if (config->memory_limit < least)
        return leat__fail(error, LEAT_EINVAL, 0, "memory_limit is %" PRIu64 " bytes: %u jobs need at least %" PRIu64,
                          config->memory_limit,
                          config->jobs, least);
    run->chunk_bytes = MAX_CHUNK;
    while (run->chunk_bytes > MIN_CHUNK && run->chunk_bytes * 4 * config->jobs > config->memory_limit) run->chunk_bytes /= 2;
    leat__budget_init(&run->budget, NULL, (size_t)config->memory_limit, NULL, NULL);
    return LEAT_OK;
}

static void complete(leat_fetch_config *config)
{
    config->jobs = or_default(config->jobs, 64);
    config->max_per_host = or_default(config->max_per_host, config->jobs);
    config->parts = or_default(config->parts, 4);
    config->part_bytes = or_default64(config->part_bytes, 8 << 20);
    if (config->part_bytes % MAX_CHUNK) config->part_bytes += MAX_CHUNK - config->part_bytes % MAX_CHUNK;
    config->memory_limit = or_default64(config->memory_limit, 256 << 20);
    config->threads = or_default(config->threads, default_threads());
    config->max_object_bytes = or_default64(config->max_object_bytes, (uint64_t)64 << 30);
    config->retries = or_default(config->retries, 5);
    config->connect_timeout_ms = or_default(config->connect_timeout_ms, 10000);
    config->stall_timeout_ms = or_default(config->stall_timeout_ms, 30000);
    config->max_retry_after_ms = or_default(config->max_retry_after_ms, 120000);
    config->redirects = or_default(config->redirects, 5);
    while (!config->seed && getrandom(&config->seed, sizeof config->seed, 0) < 0) config->seed = 1;
}

leat_code leat__fetch_settings(const leat_fetch_config *given, leat__run *run, leat_error *error)
{
    leat_code code = check(given, error);
    if (code) return code;
    run->config = *given;
    leat_fetch_config *config = &run->config;
    complete(config);
    run->network = (leat_config){
        .ca_file = config->ca_file, .headers = config->headers, .header_count = config->header_count, .connections = config->jobs,
        .max_object_bytes = config->max_object_bytes, .retries = config->retries, .connect_timeout_ms = config->connect_timeout_ms,
        .stall_timeout_ms = config->stall_timeout_ms, .max_retry_after_ms = config->max_retry_after_ms, .redirects = config->redirects,
        .world = config->world, .rank = config->rank};
    code = leat__launch(&run->network, NULL, run->result->launcher, error);
    if (!code) code = plan_memory(run, error);
    run->result->world = run->network.world;
    run->result->rank = run->network.rank;
    run->random = (leat__random){.key = {.seed = config->seed}};
    return code;
}
