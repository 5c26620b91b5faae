/* cache_driver.c - a trainer for the tests of the cache: prints a line for each row it gets, and what the cache did.
 *
 *     cache_driver SOURCE [NAME=VALUE ...]      NAMEs: the table below
 *
 * What:    "EPOCH KEY:HASH" for each row, HASH over its bytes as they are stored, at once; "end EPOCH"; at the end "stats hits=..
 *          misses=.. bypassed=.. damaged=.. errors=.. limit=..". Lines are whole whenever the process is killed.
 * Why so:  a program of the public interface alone; rows are told apart, so that every byte that was served can be compared.
 * Exit:    0; 1 after a message of leat's on stderr; 2 for usage. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <leat/leat.h>

typedef struct driver {
    leat_config config;
    uint32_t delay_ms; /* sleep so long behind each batch */
    uint64_t batches;  /* end after so many; 0: at the end of all */
} driver;

typedef struct option {
    const char *name;
    char kind; /* t: text, w: 32 bits, d: 64 bits */
    size_t offset;
} option;

#define AT(member) offsetof(driver, member)

static const option options[] = {
    {"cache", 't', AT(config.cache)}, {"limit", 'd', AT(config.cache_limit)}, {"index", 't', AT(config.index)},
    {"batch", 'w', AT(config.batch_size)}, {"seed", 'd', AT(config.seed)}, {"epochs", 'd', AT(config.epochs)},
    {"world", 'w', AT(config.world)}, {"rank", 'w', AT(config.rank)}, {"order", 'w', AT(config.order)},
    {"lanes", 'w', AT(config.lanes)}, {"window", 'w', AT(config.shuffle_window)}, {"memory", 'd', AT(config.memory_limit)},
    {"io", 'w', AT(config.io_threads)}, {"connections", 'w', AT(config.connections)}, {"retries", 'w', AT(config.retries)},
    {"stall", 'w', AT(config.stall_timeout_ms)}, {"delay", 'w', AT(delay_ms)}, {"batches", 'd', AT(batches)},
};

static int refuse(const char *argument)
{
    fprintf(stderr, "cache_driver: %s: no such NAME=VALUE\n", argument);
    return 2;
}

static int set_option(driver *d, char *argument)
{
    char *value = strchr(argument, '=');
    size_t length = value ? (size_t)(value - argument) : 0;
    for (size_t i = 0; value && i < sizeof options / sizeof *options; i++) {
        char *at = (char *)d + options[i].offset, *end = value + 1;
        if (strlen(options[i].name) != length || strncmp(options[i].name, argument, length) != 0) continue;
        if (options[i].kind == 't') *(const char **)(void *)at = value + 1;
        else if (options[i].kind == 'w') *(uint32_t *)(void *)at = (uint32_t)strtoul(value + 1, &end, 10);
        else *(uint64_t *)(void *)at = strtoull(value + 1, &end, 10);
        return options[i].kind == 't' || (end != value + 1 && *end == '\0') ? 0 : refuse(argument);
    }
    return refuse(argument);
}

static int fail(const leat_error *error)
{
    fprintf(stderr, "cache_driver: %s\n", error->message);
    return 1;
}

/* FNV-1a, 64 bits, of a row of the only tensor, which is ragged bytes. */
static uint64_t hash_row(const leat_batch *batch, size_t row)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    const leat_tensor *tensor = leat_batch_tensor_at(batch, 0);
    const uint8_t *data = tensor->data;
    for (int64_t k = tensor->offsets[row]; k < tensor->offsets[row + 1]; k++) hash = (hash ^ data[k]) * UINT64_C(0x100000001b3);
    return hash;
}

static void print_batch(const leat_batch *batch)
{
    for (size_t row = 0; row < leat_batch_rows(batch); row++)
        printf("%" PRIu64 " %s:%016" PRIx64 "\n", leat_batch_epoch(batch), leat_batch_key(batch, row), hash_row(batch, row));
    fflush(stdout);
}

static int print_stats(leat_loader *loader)
{
    leat_statistics stats;
    leat_config chosen;
    leat_stats(loader, &stats);
    leat_chosen(loader, &chosen);
    printf("stats hits=%" PRIu64 " misses=%" PRIu64 " bypassed=%" PRIu64 " damaged=%" PRIu64 " errors=%" PRIu64 " limit=%" PRIu64
           " peak=%" PRIu64 "\n", stats.cache_hits, stats.cache_misses, stats.cache_bypassed, stats.cache_damaged, stats.errors,
           chosen.cache_limit, stats.memory_peak);
    leat_error error;
    if (leat_errors(loader, &error, 1)) fprintf(stderr, "cache_driver: %s\n", error.message);
    return 0;
}

static int run(const driver *d, leat_loader *loader)
{
    leat_error error;
    for (uint64_t epochs = 0, batches = 0; !d->batches || batches < d->batches;) {
        leat_batch *batch = NULL;
        leat_code code = leat_next(loader, &batch, &error);
        if (code == LEAT_END) {
            printf("end %" PRIu64 "\n", epochs++);
            if (epochs == d->config.epochs) break;
            continue;
        }
        if (code) return fail(&error);
        print_batch(batch);
        leat_release(batch);
        batches++;
        if (d->delay_ms) usleep(d->delay_ms * 1000);
    }
    return print_stats(loader);
}

int main(int argc, char **argv)
{
    static const leat_field fields[] = {{.tensor = "bytes", .names = "bin", .kind = LEAT_FIELD_BYTES}};
    driver d = {.config = LEAT_CONFIG_INIT};
    leat_loader *loader;
    leat_error error;
    if (argc < 2) return refuse("SOURCE");
    d.config.source = argv[1];
    d.config.fields = fields;
    d.config.field_count = 1;
    d.config.batch_size = 16;
    d.config.epochs = 1;
    d.config.memory_limit = 64 << 20;
    for (int i = 2; i < argc; i++) {
        int failed = set_option(&d, argv[i]);
        if (failed) return failed;
    }
    setvbuf(stdout, NULL, _IOFBF, 1 << 20);
    if (leat_open(&d.config, &loader, &error)) return fail(&error);
    int failed = run(&d, loader);
    leat_close(loader);
    return failed;
}
