/* trails.h - random data sets, and what a loader delivers of one, step by step, so that two runs can be compared.
 *
 * Their samples are small texts: what is tested is which sample comes where, not pixels. A draw of the augmentation's random
 * numbers goes into every row (draw_into_label), so that the digests see it too. */
#ifndef LEAT_TEST_TRAILS_H
#define LEAT_TEST_TRAILS_H

#include "loading.h"

/* ---- chance ---- */

typedef struct dice {
    uint64_t state;
} dice;
unsigned roll(dice *d, unsigned below);
bool chance(dice *d, unsigned one_in);
unsigned case_count(unsigned cases); /* times LEAT_MORE_CASES, if the environment has it; a third under sanitizers */

/* ---- data sets ---- */

typedef enum set_kind { SET_TAR, SET_ZST, SET_GZ, SET_MIXED, SET_FOLDER, SET_KINDS } set_kind;

typedef struct data_set {
    char name[16];
    char source[96];        /* a folder in the scratch folder */
    set_kind kind;
    unsigned shards;        /* class folders of SET_FOLDER */
    unsigned samples, counts[40], first[41];
} data_set;

/* Writes `shards` (1..40) of up to `most` random samples each, at least one in all. Keys are <name>00000 ... in the listing's
 * order, with "txt" (SET_FOLDER: "jpg"), "cls" and in some sets a large "pad" that no field asks for. */
void set_make(data_set *set, const char *name, set_kind kind, dice *d, unsigned shards, unsigned most);
void set_add_sample(FILE *shard, const char *name, unsigned g, unsigned pad_bytes);
const char *set_shard(const data_set *set, unsigned s); /* its path, good for the next 15 calls of at() */
void set_pack(data_set *set, set_kind kind);            /* compresses the shards of a SET_TAR, all or every other one */
void set_index(const data_set *set);                    /* SET_FOLDER: nothing to do */
void set_by_range(data_set *set);                       /* not SET_MIXED: its source names them as a range, also if they are gone */

extern const leat_field text_fields[2]; /* data: BYTES, label: INT */
int draw_into_label(void *user, leat_row *row, char *reason, size_t bytes);

/* Batches of up to 24 of the set's samples, order, remainder, epochs, length of an epoch: all at random. counted: also what needs
 * counts. */
leat_config random_config(const data_set *set, bool counted, dice *d);

/* What must not matter: threads, queues; memory too, if the samples are counted. */
void random_resources(leat_config *config, bool counted, dice *d);

/* A rough world with about a hundred delays in so many samples, now and then of up to 50 ms. */
void random_world(rough_world *world, uint64_t samples, dice *d);

/* ---- trails ---- */

/* A batch, or the end of an epoch. */
typedef struct mark {
    char digest[65];                 /* "end" */
    uint64_t epoch, step;
    size_t first, rows;              /* in the trail's rows */
    size_t missing;
    char state[LEAT_STATE_BYTES];    /* saved behind it; "" if the trail has none */
} mark;

typedef struct trail {
    mark *marks;
    size_t count, capacity;
    epoch_seen seen;                 /* all rows */
    bool saves;                      /* set it before taking */
    char begin[LEAT_STATE_BYTES];    /* saved before the first mark, if it saves */
    leat_code code;                  /* LEAT_END, or the error that ended it */
    leat_error error;
    leat_statistics stats;           /* at the end */
    leat_error failure;              /* of trail_run: the first of so many */
    uint64_t failures;
} trail;

/* Takes one more mark. False at an error, which is kept. */
bool trail_step(trail *t, leat_loader *loader);

/* Takes until `ends` epochs have ended, or an error. */
void trail_take(trail *t, leat_loader *loader, unsigned ends);

/* Opens, takes config->epochs epochs, closes. */
void trail_run(trail *t, const leat_config *config, const leat__env *env);
void trail_free(trail *t);

unsigned trail_ends(const trail *t, size_t from); /* epochs that end from this mark on */

/* `rest` is the trail `all` from mark `from` on. */
void assert_goes_on(const trail *all, size_t from, const trail *rest);

/* True if shards that can only be read whole, as compressed ones, had windows that a small memory does not hold: that is said, or, where
 * nothing needs their counts, windows were cut. */
bool trail_lacked_memory(const trail *t);

/* A loader with this state goes on as `all` does from mark `from` on. */
void assert_resumes(const leat_config *config, const trail *all, size_t from, const char *state);

/* ---- ranks ---- */

/* Opens a loader for each rank, at a state if it is not NULL. */
void ranks_open(const leat_config *config, unsigned world, const char *state, leat_loader **loaders);

/* Takes the next mark of each: put together (slot i is rank i mod world's row i / world) they are mark m of one rank alone. */
void ranks_step(leat_loader **loaders, trail *ranks, unsigned world, const trail *alone, size_t m);
void ranks_close(leat_loader **loaders, trail *ranks, unsigned world);

#endif
