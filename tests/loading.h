/* loading.h - small data sets and counters for the tests of the loader.
 *
 * A test's files live in a folder of its own (scratch_begin, scratch_end: fixtures). Shards are written by a ustar writer
 * of the tests' own, so that the loader's is not judged by itself; the tools tar, zstd and gzip make the rest. */
#ifndef LEAT_TEST_LOADING_H
#define LEAT_TEST_LOADING_H

#include <stdio.h>

#include <leat/leat.h>
#include <leat/measure.h>

#include "check_main.h"
#include "pipeline/env.h"

#ifndef LEAT_PHOTOS
#define LEAT_PHOTOS "examples/data/photos"
#endif

#define ck_leat(call) /* a call that fills `error` is to succeed */ \
    do { \
        leat_code ck_code = (call); \
        ck_assert_msg(ck_code == LEAT_OK, #call ": %s: %s", leat_code_name(ck_code), error.message); \
    } while (0)

/* ---- files ---- */

extern char scratch[64];
void scratch_begin(void);
void scratch_end(void);

/* A path in the scratch folder; good for the next 15 calls. */
const char *at(const char *format, ...) __attribute__((format(printf, 1, 2)));

void write_file(const char *path, const void *data, size_t size);
void write_text(const char *path, const char *text);

/* Runs a program of PATH; the list ends with NULL. Fails the test unless it exits with 0. */
void run_tool(const char *program, ...) __attribute__((sentinel));

/* ---- photos ---- */

typedef struct photo {
    char class_name[16], name[64]; /* "bird", "crow.jpg" */
    const char *ending;            /* "jpg" */
    int label;
    uint8_t *data;
    size_t size;
} photo;

enum { PHOTOS = 64 };
const photo *photo_number(size_t n); /* n modulo PHOTOS, sorted by class and name */

/* ---- shards ---- */

FILE *shard_begin(const char *path);
void shard_add(FILE *shard, const char *name, const void *data, size_t size);
void shard_add_text(FILE *shard, const char *name, const char *text);
void shard_add_hole(FILE *shard, const char *name, size_t size); /* zeros that take no disk */
void shard_end(FILE *shard);

/* A .npy of version 1 with the data as it lies in memory; gives the size, out has to hold 128 + bytes. */
size_t make_npy(uint8_t *out, const char *descr, const char *shape, const void *data, size_t bytes);

/* Sample `g` of every generated set: key s<g>, its photo, .cls g, .json of g % 7 letters, .val g + 0.5, .npy of [2, 3]
 * floats from g on. */
void shard_add_sample(FILE *shard, unsigned g);
void sample_json(unsigned g, char out[64]);

/* train-000000.tar ... in the scratch folder, samples numbered through; gives the brace range. */
const char *make_shards(unsigned shards, unsigned samples_each);

/* ---- loading ---- */

/* A config with small images and few resources: batches of 8, 32 x 32, 2 threads, 64 MiB, one epoch, 4 lanes. */
leat_config small_config(const char *source);

extern const leat_field all_fields[5]; /* image, label, json, value, array */

typedef struct row_seen {
    char key[64];
    int64_t label;      /* of tensor "label", if there is one */
    uint64_t print;     /* a hash of the row's bytes in every tensor */
    uint64_t step;
    bool substituted;
} row_seen;

typedef struct epoch_seen {
    char hash[65];
    row_seen *rows;
    size_t count, capacity, batches, missing, substituted;
} epoch_seen;

/* Adds what a batch says. */
void see_batch(epoch_seen *seen, const leat_batch *batch);

/* Takes batches until the epoch's end or an error, and returns that. seen: zeroed before; free it with epoch_free. */
leat_code see_epoch(leat_loader *loader, epoch_seen *seen, leat_error *error);

/* Opens, takes one epoch that has to end well, closes. */
void see_all(const leat_config *config, const leat__env *env, epoch_seen *seen);
void epoch_free(epoch_seen *seen);
void assert_same_rows(const epoch_seen *a, const epoch_seen *b);

/* ---- a world with delays and shuffled completions ---- */

typedef struct rough_world {
    uint64_t state;
    unsigned one_in;    /* so many steps is held back: 8 */
    uint64_t most_ns;   /* up to so long: 2 ms */
    leat__env env;
} rough_world;
void rough_world_init(rough_world *world, uint64_t seed);

/* ---- the process ---- */

size_t count_fds(void);
size_t count_threads(void);
size_t settle_threads(size_t wanted); /* waits up to 5 s for joined threads to leave /proc */
size_t rss_bytes(void);
void reset_peak_rss(void);
size_t peak_rss_bytes(void);
double seconds_now(void);


#endif
