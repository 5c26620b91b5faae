/* fetch_options.c - options of leat fetch and leat verify.
 *
 * What:    the rows that fill a leat_fetch_config, and the checks that need two of them.
 * Why so:  leat verify --fix fetches too, so the rows for the network are shared. Times are in seconds, as everywhere in the
 *          command, but may have a fraction: a local server stalls sooner than one across an ocean.
 * Threads: the main thread.
 * Not here: what only the library can judge (whether the directory can be written to, rank and world). */
#include "cli/fetch_options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/settings.h"

/* "30" or "0.5", to milliseconds. */
static bool parse_seconds(void *target, const char *text)
{
    static const char digits[] = "0123456789";
    size_t whole = strspn(text, digits), decimals = 0;
    const char *end = text + whole;
    if (*end == '.') {
        decimals = strspn(end + 1, digits);
        end += 1 + decimals;
    }
    if (*end || whole + decimals == 0 || whole > 5) return false;
    double seconds = strtod(text, NULL); /* the C locale's: main sets no other */
    if (seconds < 0.001 || seconds > 86400) return false;
    *(uint32_t *)target = (uint32_t)lround(seconds * 1000);
    return true;
}

static bool add_pattern(void *target, const char *glob, bool exclude)
{
    fetch_settings *settings = target;
    if (!*glob || settings->config.pattern_count == FETCH_MOST_PATTERNS) return false;
    settings->patterns[settings->config.pattern_count++] = (leat_fetch_pattern){.glob = glob, .exclude = exclude};
    return true;
}

static bool parse_include(void *target, const char *text)
{
    return add_pattern(target, text, false);
}

static bool parse_exclude(void *target, const char *text)
{
    return add_pattern(target, text, true);
}

static const cli_choice layouts[] = {{"names", LEAT_FETCH_NAMES}, {"hash", LEAT_FETCH_HASHED}, {NULL, 0}};
_Static_assert(sizeof(leat_fetch_layout) == sizeof(int), "choices are stored as int");

#define AT(member) offsetof(fetch_settings, member)
#define SECONDS .kind = CLI_CUSTOM, .parse = parse_seconds, .value = "S", .what = "a number of seconds from 0.001 to 86400"

static const cli_option files_options[] = {
    {.name = "to", .value = "DIR", .kind = CLI_TEXT, .offset = AT(config.to), .what = "the directory that the files go into",
     .help = "the directory that the files go into; made if it is not there (needed)"},
    {.name = "layout", .value = "LAYOUT", .kind = CLI_CHOICE, .offset = AT(config.layout), .choices = layouts,
     .help = "names: relative paths, made safe; hash: xx/SHA-256 of the URL (default names)"},
    {.name = "include", .value = "GLOB", .kind = CLI_CUSTOM, .parse = parse_include, .what = "a pattern, at most 64 times",
     .help = "files whose name under DIR matches are wanted; * matches / too. --include and --exclude may be repeated: the last "
             "one that matches decides. If none does, the file is wanted, unless the first of them is an --include"},
    {.name = "exclude", .value = "GLOB", .kind = CLI_CUSTOM, .parse = parse_exclude, .what = "a pattern, at most 64 times",
     .help = "files whose name matches are not"},
    {.name = "checksums", .value = "FILE", .kind = CLI_TEXT, .offset = AT(config.checksums),
     .what = "a file of sha256sum or md5sum, or a manifest",
     .help = "what sha256sum or md5sum wrote, or a manifest: files are checked against it by their names"},
    {.name = "max-size", .value = "BYTES", .kind = CLI_SIZE, .offset = AT(config.max_object_bytes), .low = 1,
     .high = (uint64_t)1 << 50, .what = "a size such as 64G", .help = "of one file; larger ones fail; K, M, G (default 64G)"},
    {.name = "no-resume", .kind = CLI_FLAG, .offset = AT(config.fresh),
     .help = "throw away what earlier runs left of unfinished files; finished ones stay"},
    {.name = "durable", .kind = CLI_FLAG, .offset = AT(durable),
     .help = "files that are reported as done survive a power failure (the default)"},
    {.name = "no-durable", .kind = CLI_FLAG, .offset = AT(config.fast), .help = "no fsync: faster on slow disks"},
    {.name = "dry-run", .kind = CLI_FLAG, .offset = AT(config.dry_run),
     .help = "only say what would be done, a line a file: no request is sent, and nothing is written"},
};
const cli_group fetch_files_group = CLI_GROUP("Files", files_options);

static const cli_option means_options[] = {
    {.name = "jobs", .letter = 'j', .value = "N", .kind = CLI_U32, .offset = AT(config.jobs), .low = 1, .high = 1024,
     .what = "a number of transfers", .help = "transfers at a time (default 64)"},
    {.name = "max-per-host", .value = "N", .kind = CLI_U32, .offset = AT(config.max_per_host), .low = 1, .high = 1024,
     .what = "a number of transfers", .help = "and to one host; fewer for a while if it says 429 or 503 (default: as --jobs)"},
    {.name = "parts", .value = "N", .kind = CLI_U32, .offset = AT(config.parts), .low = 1, .high = 64,
     .what = "a number of connections", .help = "connections for one large file (default 4)"},
    {.name = "part-size", .value = "BYTES", .kind = CLI_SIZE, .offset = AT(config.part_bytes), .low = 1, .high = (uint64_t)1 << 40,
     .what = "a size such as 8M",
     .help = "files over this are fetched in parts, and a later run need not fetch finished parts again; K, M, G, made a multiple "
             "of 256K (default 8M)"},
    {.name = "limit-rate", .value = "BYTES", .kind = CLI_SIZE, .offset = AT(config.limit_rate), .low = 1, .high = (uint64_t)1 << 50,
     .what = "a size such as 100M", .help = "a second, in all; K, M, G (default: no limit)"},
    {.name = "memory", .value = "BYTES", .kind = CLI_SIZE, .offset = AT(config.memory_limit), .low = (uint64_t)16 << 20,
     .high = (uint64_t)1 << 46, .what = "a size such as 512M", .help = "held between network and disk; K, M, G (default 256M)"},
    {.name = "threads", .value = "N", .kind = CLI_U32, .offset = AT(config.threads), .low = 1, .high = 1024,
     .what = "a number of threads", .help = "that write and check files (default: one for each two CPUs, 1 to 8)"},
};
const cli_group fetch_means_group = CLI_GROUP("Means", means_options);

static const cli_option network_options[] = {
    {.name = "retries", .value = "N", .kind = CLI_U32, .offset = AT(config.retries), .low = 1, .high = 100,
     .what = "a number of attempts", .help = "at a transfer without a byte of progress (default 5)"},
    {.name = "connect-timeout", .offset = AT(config.connect_timeout_ms), SECONDS, .help = "(default 10)"},
    {.name = "stall", .offset = AT(config.stall_timeout_ms), SECONDS,
     .help = "a transfer under 1 KiB/s for so long is cut and tried again (default 30)"},
    {.name = "max-retry-after", .offset = AT(config.max_retry_after_ms), SECONDS,
     .help = "the longest Retry-After that is waited for (default 120)"},
    {.name = "ca", .value = "FILE", .kind = CLI_TEXT, .offset = AT(config.ca_file), .what = "a PEM file",
     .help = "certificate authorities to trust (default: the system's)"},
    {.name = "header", .value = "H", .kind = CLI_TEXTS, .offset = AT(headers), .what = "\"Name: value\", at most 32 times",
     .help = "request header for the sources' own hosts; may be repeated"},
    {.name = "seed", .value = "N", .kind = CLI_U64, .offset = AT(config.seed), .low = 1, .high = UINT64_MAX,
     .what = "a whole number", .help = "of the delays before retries (default: another one each time)"},
};
const cli_group fetch_network_group = CLI_GROUP("Network", network_options);

static const cli_option share_options[] = {
    {.name = "rank", .value = "R", .kind = CLI_U32, .offset = AT(config.rank), .high = 999999, .what = "a rank",
     .help = "of --world (default: the launcher's)"},
    {.name = "world", .value = "W", .kind = CLI_U32, .offset = AT(config.world), .low = 1, .high = 1000000,
     .what = "a number of ranks", .help = "processes that share the list: rank r takes entries r, r + W, r + 2W ... (default: the "
                                          "launcher's, else 1)"},
};
const cli_group fetch_share_group = CLI_GROUP("Across machines", share_options);

static const cli_option output_options[] = {
    {.name = "json", .kind = CLI_FLAG, .offset = AT(json), .help = "print events on stdout, a JSON object a line, a summary last"},
};
const cli_group fetch_output_group = CLI_GROUP("Results", output_options);

int fetch_settings_finish(const cli_command *command, fetch_settings *settings)
{
    leat_fetch_config *config = &settings->config;
    if (config->world == 0 && config->rank != LEAT_RANK_OF_LAUNCHER) return cli_refuse(command, "--rank: goes with --world");
    if (settings->durable && config->fast) return cli_refuse(command, "--durable: contradicts --no-durable");
    config->patterns = settings->patterns;
    config->headers = settings->headers.items;
    config->header_count = settings->headers.count;
    return cli_check_headers(command, &settings->headers);
}
