/* resume_driver.c - a trainer for the tests of resume and of ranks: takes batches, prints a digest of each, saves its state.
 *
 *     resume_driver SOURCE [NAME=VALUE ...]      NAMEs: the tables below, and mix=SOURCE=WEIGHT
 *
 * What:    prints a line for each answer of leat_next, at once: "RANK EPOCH STEP SHA256", with rows=1 followed by " KEY:HASH" for
 *          each row (HASH over its own bytes alone), or "RANK end". Images are 16 x 16, cropped and flipped at random, so that
 *          augmentation shows. Without items= it goes on for ever, and is there to be killed.
 *          The state is written before the line is: who has seen line k knows that the state behind it is there, whole.
 * Why so:  a program of the public interface alone, as users write them; `leat bench` saves once, at the end.
 *          together=1 opens all ranks of world= in one process and takes a batch of each in turn: 17 worlds from 17 worlds would
 *          otherwise be 2,601 processes.
 * Exit:    0; 1 after a message of leat's on stderr; 2 for usage. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <leat/leat.h>

enum { MOST_RANKS = 64, STATE_FILE = 4096 };

typedef struct driver {
    leat_config config;
    leat_source sources[2]; /* the first, and mix= */
    uint64_t items;         /* lines of each rank; 0: for ever */
    const char *save;       /* file of the state; each rank its own, FILE.RANK, with together=1 */
    uint64_t after;         /* write it behind this line only, counted from 1; 0: behind every one */
    uint32_t writes;        /* so many times in a row; 0: once */
    uint32_t keep;          /* each line's state in a file of its own: FILE-LINE */
    const char *resume;     /* file of a state */
    uint32_t delay_ms;      /* sleep so long behind each line */
    uint32_t rows, together; /* 1: yes */
} driver;

typedef struct option {
    const char *name;
    char kind; /* t: text, w: 32 bits, d: 64 bits */
    size_t offset;
} option;

#define AT(member) offsetof(driver, member)

static const option options[] = {
    {"index", 't', AT(config.index)}, {"batch", 'w', AT(config.batch_size)}, {"remainder", 'w', AT(config.remainder)},
    {"seed", 'd', AT(config.seed)}, {"epoch", 'd', AT(config.epoch)}, {"step", 'd', AT(config.step)},
    {"epochs", 'd', AT(config.epochs)}, {"limit", 'd', AT(config.limit)}, {"epoch_samples", 'd', AT(config.epoch_samples)},
    {"world", 'w', AT(config.world)}, {"rank", 'w', AT(config.rank)}, {"order", 'w', AT(config.order)},
    {"lanes", 'w', AT(config.lanes)}, {"window", 'w', AT(config.shuffle_window)}, {"memory", 'd', AT(config.memory_limit)},
    {"threads", 'w', AT(config.threads)}, {"io", 'w', AT(config.io_threads)}, {"connections", 'w', AT(config.connections)},
    {"prefetch", 'w', AT(config.prefetch)}, {"ca", 't', AT(config.ca_file)}, {"items", 'd', AT(items)}, {"save", 't', AT(save)},
    {"after", 'd', AT(after)}, {"writes", 'w', AT(writes)}, {"keep", 'w', AT(keep)}, {"resume", 't', AT(resume)},
    {"delay", 'w', AT(delay_ms)}, {"rows", 'w', AT(rows)}, {"together", 'w', AT(together)},
};

static int refuse(const char *argument)
{
    fprintf(stderr, "resume_driver: %s: no such NAME=VALUE\n", argument);
    return 2;
}

/* "SOURCE=WEIGHT": the whole becomes two sources. */
static int set_mix(driver *d, char *value)
{
    char *weight = strrchr(value, '=');
    if (!weight) return refuse(value);
    *weight++ = '\0';
    d->sources[0] = (leat_source){.source = d->config.source, .index = d->config.index};
    d->sources[1] = (leat_source){.source = value, .weight = strtod(weight, NULL)};
    d->config.sources = d->sources;
    d->config.source_count = 2;
    d->config.source = NULL;
    return 0;
}

static int set_option(driver *d, char *argument)
{
    char *value = strchr(argument, '=');
    size_t length = value ? (size_t)(value - argument) : 0;
    if (length == 3 && strncmp(argument, "mix", 3) == 0) return set_mix(d, value + 1);
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
    fprintf(stderr, "resume_driver: %s\n", error->message);
    return 1;
}

static int fail_file(const char *path)
{
    perror(path);
    return 1;
}

/* The state that is to be gone on with. */
static int read_state(driver *d, char text[STATE_FILE])
{
    FILE *file = fopen(d->resume, "rbe");
    if (!file) return fail_file(d->resume);
    text[fread(text, 1, STATE_FILE - 1, file)] = '\0';
    fclose(file);
    d->config.resume = text;
    return 0;
}

/* Under its name there is always a whole state: the old one or the new one. */
static int write_state(const driver *d, leat_loader *loader, uint32_t rank, uint64_t line)
{
    char state[LEAT_STATE_BYTES], path[512], partial[520], of_rank[16] = "", of_line[24] = "";
    leat_error error;
    if (leat_save(loader, state, sizeof state, &error)) return fail(&error);
    if (d->together) snprintf(of_rank, sizeof of_rank, ".%" PRIu32, rank);
    if (d->keep) snprintf(of_line, sizeof of_line, "-%" PRIu64, line);
    snprintf(path, sizeof path, "%s%s%s", d->save, of_rank, of_line);
    snprintf(partial, sizeof partial, "%s.partial", path);
    FILE *file = fopen(partial, "wbe");
    if (!file || fputs(state, file) < 0 || fclose(file) != 0 || rename(partial, path) != 0) return fail_file(path);
    return 0;
}

static int save(const driver *d, leat_loader *loader, uint32_t rank, uint64_t line)
{
    int failed = 0;
    if (!d->save || (d->after && d->after != line)) return 0;
    for (uint32_t i = 0; !failed && (i == 0 || i < d->writes); i++) failed = write_state(d, loader, rank, line);
    return failed;
}

/* FNV-1a, 64 bits, over a row's bytes in all tensors: they are dense here. */
static uint64_t hash_row(const leat_batch *batch, size_t row)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    const leat_tensor *tensor;
    for (size_t i = 0; (tensor = leat_batch_tensor_at(batch, i)); i++) {
        size_t bytes = tensor->bytes / (size_t)tensor->shape[0];
        const uint8_t *data = (const uint8_t *)tensor->data + row * bytes;
        for (size_t k = 0; k < bytes; k++) hash = (hash ^ data[k]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static int print_batch(const driver *d, uint32_t rank, const leat_batch *batch)
{
    char hex[65];
    leat_digest *digest = leat_digest_new();
    if (!digest) return 1;
    leat_digest_add(digest, batch);
    leat_digest_hex(digest, hex);
    leat_digest_free(digest);
    printf("%" PRIu32 " %" PRIu64 " %" PRIu64 " %s", rank, leat_batch_epoch(batch), leat_batch_step(batch), hex);
    for (size_t row = 0; d->rows && row < leat_batch_rows(batch); row++)
        printf(" %s:%016" PRIx64, leat_batch_key(batch, row), hash_row(batch, row));
    putchar('\n');
    return 0;
}

/* One answer of leat_next. */
static int take_line(const driver *d, leat_loader *loader, uint32_t rank, uint64_t line)
{
    leat_batch *batch = NULL;
    leat_error error;
    leat_code code = leat_next(loader, &batch, &error);
    if (code && code != LEAT_END) return fail(&error);
    int failed = save(d, loader, rank, line);
    if (!failed && batch) failed = print_batch(d, rank, batch);
    else if (!failed) printf("%" PRIu32 " end\n", rank);
    leat_release(batch);
    return failed || fflush(stdout) != 0;
}

static int take_lines(const driver *d, leat_loader **loaders, uint32_t count)
{
    int failed = 0;
    for (uint64_t line = 1; !failed && (d->items == 0 || line <= d->items); line++) {
        for (uint32_t i = 0; !failed && i < count; i++) {
            leat_config chosen;
            leat_chosen(loaders[i], &chosen);
            failed = take_line(d, loaders[i], chosen.rank, line);
        }
        if (d->delay_ms) usleep(d->delay_ms * 1000);
    }
    return failed;
}

static int run(driver *d)
{
    leat_loader *loaders[MOST_RANKS] = {NULL};
    leat_error error;
    uint32_t count = d->together ? d->config.world : 1;
    int failed = count > MOST_RANKS;
    for (uint32_t i = 0; !failed && i < count; i++) {
        if (d->together) d->config.rank = i;
        if (leat_open(&d->config, &loaders[i], &error)) failed = fail(&error);
    }
    if (!failed) failed = take_lines(d, loaders, count);
    for (uint32_t i = 0; i < count && i < MOST_RANKS; i++) leat_close(loaders[i]);
    return failed;
}

int main(int argc, char **argv)
{
    driver d = {.config = LEAT_CONFIG_INIT};
    char state[STATE_FILE];
    if (argc < 2) return refuse("SOURCE");
    d.config.source = argv[1];
    d.config.image = (leat_image){.height = 16, .crop = LEAT_CROP_RANDOM_RESIZED, .flip = true};
    for (int i = 2; i < argc; i++) {
        int failed = set_option(&d, argv[i]);
        if (failed) return failed;
    }
    int failed = d.resume ? read_state(&d, state) : 0;
    return failed ? failed : run(&d);
}
