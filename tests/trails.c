/* trails.c - random data sets, and what a loader delivers of one, step by step. */
#include "trails.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <leat/index.h>

#include "loader/opening.h"

/* ---- chance ---- */

/* Knuth's MMIX. */
unsigned roll(dice *d, unsigned below)
{
    d->state = d->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((d->state >> 33) % below);
}

bool chance(dice *d, unsigned one_in)
{
    return roll(d, one_in) == 0;
}

unsigned case_count(unsigned cases)
{
    const char *more = getenv("LEAT_MORE_CASES");
    unsigned times = more ? (unsigned)atoi(more) : 1;
    if (SANITIZED && !more) cases = (cases + 2) / 3;
    return cases * (times ? times : 1);
}

/* ---- data sets ---- */

const leat_field text_fields[2] = {
    {.tensor = "data", .names = "txt;jpg", .kind = LEAT_FIELD_BYTES},
    {.tensor = "label", .names = "cls", .kind = LEAT_FIELD_INT, .optional = true},
};

int draw_into_label(void *user, leat_row *row, char *reason, size_t bytes)
{
    (void)user;
    (void)reason;
    (void)bytes;
    int64_t *label = leat_row_data(row, "label", NULL);
    *label ^= (int64_t)(leat_row_random(row, 1000, 0) & 0x7fffffff) << 20;
    return 0;
}

void set_add_sample(FILE *shard, const char *name, unsigned g, unsigned pad_bytes)
{
    static const char zeros[1 << 16];
    char field[64], text[200];
    memset(text, '.', sizeof text);
    text[snprintf(text, 32, "%s %u", name, g)] = ' ';
    text[32 + g % 97] = 0;
    snprintf(field, sizeof field, "%s%05u.txt", name, g);
    shard_add_text(shard, field, text);
    snprintf(field, sizeof field, "%s%05u.cls", name, g);
    snprintf(text, sizeof text, "%u", g);
    shard_add_text(shard, field, text);
    snprintf(field, sizeof field, "%s%05u.pad", name, g);
    if (pad_bytes) shard_add(shard, field, zeros, pad_bytes);
}

const char *set_shard(const data_set *set, unsigned s)
{
    bool packed = set->kind == SET_ZST || set->kind == SET_GZ || (set->kind == SET_MIXED && s % 2);
    return at("%s/%02u.tar%s", set->name, s, !packed ? "" : set->kind == SET_GZ ? ".gz" : ".zst");
}

static void write_shard(const data_set *set, unsigned s, dice *d, unsigned pad)
{
    FILE *shard = shard_begin(at("%s/%02u.tar", set->name, s));
    for (unsigned i = 0; i < set->counts[s]; i++)
        set_add_sample(shard, set->name, set->first[s] + i, pad ? roll(d, pad) : 0);
    shard_end(shard);
}

static void write_files(const data_set *set, unsigned s)
{
    char text[64];
    ck_assert_int_eq(mkdir(at("%s/%02u", set->name, s), 0777), 0);
    for (unsigned g = set->first[s]; g < set->first[s + 1]; g++) {
        snprintf(text, sizeof text, "%s %u", set->name, g);
        write_text(at("%s/%02u/%s%05u.jpg", set->name, s, set->name, g), text);
    }
}

void set_make(data_set *set, const char *name, set_kind kind, dice *d, unsigned shards, unsigned most)
{
    static const unsigned pads[] = {0, 0, 3000, 60000};
    *set = (data_set){.kind = kind == SET_FOLDER ? kind : SET_TAR, .shards = shards};
    unsigned pad = pads[roll(d, 4)];
    if (pad * (uint64_t)shards * most > 32 << 20) pad = 3000;
    snprintf(set->name, sizeof set->name, "%s", name);
    snprintf(set->source, sizeof set->source, "%s", at("%s", name));
    ck_assert_int_eq(mkdir(set->source, 0777), 0);
    for (unsigned s = 0; s < shards; s++) {
        set->first[s] = set->samples;
        set->counts[s] = chance(d, 8) ? 0 : roll(d, most + 1);
        if (s + 1 == shards && !set->samples && !set->counts[s]) set->counts[s] = 1;
        set->samples += set->counts[s];
        set->first[s + 1] = set->samples;
        if (kind == SET_FOLDER) write_files(set, s);
        else write_shard(set, s, d, pad);
    }
    if (kind != set->kind) set_pack(set, kind);
}

void set_pack(data_set *set, set_kind kind)
{
    char command[256];
    const char *what = kind == SET_MIXED ? "?[13579].tar" : "*.tar";
    if (kind == SET_MIXED && set->shards < 2) return; /* nothing to mix with */
    const char *tool = kind == SET_GZ ? "gzip -q" : "zstd -q --rm --zstd=wlog=17"; /* a window that small memory limits allow */
    snprintf(command, sizeof command, "cd '%s' && %s %s", set->source, tool, what);
    run_tool("sh", "-c", command, NULL);
    set->kind = kind;
}

void set_index(const data_set *set)
{
    leat_index_config config = {.source = set->source, .threads = 2};
    leat_index_result result;
    leat_error error;
    if (set->kind == SET_FOLDER) return;
    ck_leat(leat_index(&config, &result, &error));
    ck_assert_uint_eq(result.samples, set->samples);
}

void set_by_range(data_set *set)
{
    const char *first = strchr(set_shard(set, 0) + strlen(scratch) + strlen(set->name) + 2, '.');
    snprintf(set->source, sizeof set->source, "%s", at("%s/{00..%02u}%s", set->name, set->shards - 1, first));
}

/* ---- configs ---- */

leat_config random_config(const data_set *set, bool counted, dice *d)
{
    static const uint32_t windows[] = {1, 2, 3, 7, 32, 100, 1000};
    leat_config config = small_config(set->source);
    config.fields = text_fields;
    config.field_count = 2;
    config.map = draw_into_label;
    config.world = 1;
    config.memory_limit = 256 << 20;
    config.batch_size = 1 + roll(d, 24);
    config.lanes = 1 + roll(d, 9);
    config.shuffle_window = windows[roll(d, 7)];
    config.order = chance(d, 6) ? LEAT_ORDER_SEQUENTIAL : LEAT_ORDER_SHUFFLED;
    config.seed = roll(d, 1000);
    config.epoch = roll(d, 4);
    config.epochs = 1 + roll(d, 3);
    if (chance(d, 5)) config.limit = 1 + roll(d, set->samples + 3);
    if (counted && chance(d, 3)) config.epoch_samples = 1 + roll(d, 3 * set->samples);
    config.remainder = (leat_remainder)roll(d, counted ? 3 : 2);
    uint64_t length = config.epoch_samples ? config.epoch_samples : set->samples;
    if (config.limit && config.limit < length) length = config.limit;
    if (config.remainder == LEAT_REMAINDER_DROP && config.batch_size > length) config.batch_size = (uint32_t)length;
    return config;
}

void random_resources(leat_config *config, bool counted, dice *d)
{
    static const uint64_t limits[] = {32, 40, 64, 256, 1024};
    config->threads = 1u << roll(d, 4);
    config->io_threads = 1 + roll(d, 5);
    config->prefetch = 1 + roll(d, 5);
    if (counted) config->memory_limit = limits[roll(d, 5)] << 20;
}

void random_world(rough_world *world, uint64_t samples, dice *d)
{
    rough_world_init(world, d->state);
    world->one_in = 4 + (unsigned)(samples / 20); /* some five steps a sample */
    if (chance(d, 8)) {
        world->one_in *= 20;
        world->most_ns = 50000000;
    }
}

/* ---- trails ---- */

static mark *add_mark(trail *t)
{
    if (t->count == t->capacity) {
        t->capacity = t->capacity ? 2 * t->capacity : 32;
        t->marks = realloc(t->marks, t->capacity * sizeof *t->marks);
        ck_assert_ptr_nonnull(t->marks);
    }
    mark *m = &t->marks[t->count++];
    *m = (mark){.first = t->seen.count};
    return m;
}

static void note_batch(trail *t, mark *m, const leat_batch *batch)
{
    leat_digest *digest = leat_digest_new();
    ck_assert_ptr_nonnull(digest);
    leat_digest_add(digest, batch);
    leat_digest_hex(digest, m->digest);
    leat_digest_free(digest);
    see_batch(&t->seen, batch);
    m->epoch = leat_batch_epoch(batch);
    m->step = leat_batch_step(batch);
    m->rows = leat_batch_rows(batch);
    m->missing = leat_batch_missing(batch);
}

bool trail_step(trail *t, leat_loader *loader)
{
    leat_batch *batch;
    leat_error error = {0};
    if (t->saves && !t->count) ck_leat(leat_save(loader, t->begin, sizeof t->begin, &error));
    t->code = leat_next_timeout(loader, 60000, &batch, &t->error);
    ck_assert_msg(t->code != LEAT_AGAIN, "no batch came within a minute");
    if (t->code != LEAT_OK && t->code != LEAT_END) return false;
    mark *m = add_mark(t);
    if (t->code == LEAT_OK) note_batch(t, m, batch);
    else strcpy(m->digest, "end");
    leat_release(batch);
    if (t->saves) ck_leat(leat_save(loader, m->state, sizeof m->state, &error));
    return true;
}

void trail_take(trail *t, leat_loader *loader, unsigned ends)
{
    while (ends && trail_step(t, loader)) ends -= t->code == LEAT_END;
    ck_assert_int_eq(leat_stats(loader, &t->stats), LEAT_OK);
}

void trail_run(trail *t, const leat_config *config, const leat__env *env)
{
    leat_loader *loader;
    leat_error error;
    ck_assert_uint_eq(t->count, 0);
    ck_leat(leat__open_in(config, env, &loader, &error));
    trail_take(t, loader, (unsigned)config->epochs);
    t->failures = leat_errors(loader, &t->failure, 1);
    leat_close(loader);
}

void trail_free(trail *t)
{
    free(t->marks);
    epoch_free(&t->seen);
    *t = (trail){0};
}

unsigned trail_ends(const trail *t, size_t from)
{
    unsigned ends = 0;
    for (size_t i = from; i < t->count; i++) ends += strcmp(t->marks[i].digest, "end") == 0;
    return ends;
}

void assert_goes_on(const trail *all, size_t from, const trail *rest)
{
    ck_assert_msg(rest->code == LEAT_END, "%s: %s", leat_code_name(rest->code), rest->error.message);
    ck_assert_msg(rest->failures == 0, "%llu failures; the first: %s", (unsigned long long)rest->failures, rest->failure.message);
    ck_assert_uint_eq(rest->count, all->count - from);
    for (size_t i = 0; i < rest->count; i++) {
        const mark *a = &all->marks[from + i], *b = &rest->marks[i];
        ck_assert_msg(strcmp(a->digest, b->digest) == 0, "mark %zu (epoch %llu, step %llu; first row %s, there %s): %s, there %s",
                      from + i, (unsigned long long)a->epoch, (unsigned long long)a->step,
                      a->rows ? all->seen.rows[a->first].key : "none", b->rows ? rest->seen.rows[b->first].key : "none", a->digest,
                      b->digest);
        ck_assert(a->epoch == b->epoch && a->step == b->step && a->rows == b->rows && a->missing == b->missing);
    }
}

bool trail_lacked_memory(const trail *t)
{
    if (t->code == LEAT_ENOMEM) return strstr(t->error.message, "lower shuffle_window") != NULL;
    return t->code == LEAT_END && t->stats.windows_cut > 0;
}

/* ---- resume ---- */

void assert_resumes(const leat_config *config, const trail *all, size_t from, const char *state)
{
    leat_config again = *config;
    leat_loader *loader;
    leat_error error;
    trail rest = {0};
    unsigned ends = trail_ends(all, from);
    again.resume = state;
    ck_leat(leat_open(&again, &loader, &error));
    trail_take(&rest, loader, ends ? ends : 1);
    if (!ends) ck_assert_str_eq(rest.marks[--rest.count].digest, "end"); /* behind the last: again and again */
    assert_goes_on(all, from, &rest);
    leat_close(loader);
    trail_free(&rest);
}

/* ---- ranks ---- */

void ranks_step(leat_loader **loaders, trail *ranks, unsigned world, const trail *alone, size_t m)
{
    const mark *whole = &alone->marks[m];
    size_t rows = 0;
    for (unsigned r = 0; r < world; r++) {
        ck_assert_msg(trail_step(&ranks[r], loaders[r]), "%s", ranks[r].error.message);
        const mark *part = &ranks[r].marks[ranks[r].count - 1];
        ck_assert_int_eq(ranks[r].code, strcmp(whole->digest, "end") == 0 ? LEAT_END : LEAT_OK);
        ck_assert(part->step == whole->step && part->epoch == whole->epoch);
        rows += part->rows;
        for (size_t i = 0; i < part->rows; i++) {
            const row_seen *mine = &ranks[r].seen.rows[part->first + i], *its = &alone->seen.rows[whole->first + i * world + r];
            ck_assert_uint_lt(i * world + r, whole->rows);
            ck_assert_str_eq(mine->key, its->key);
            ck_assert_uint_eq(mine->print, its->print);
        }
    }
    ck_assert_uint_eq(rows, whole->rows);
}

void ranks_open(const leat_config *config, unsigned world, const char *state, leat_loader **loaders)
{
    leat_config own = *config;
    leat_error error;
    own.world = world;
    own.resume = state;
    for (own.rank = 0; own.rank < world; own.rank++) ck_leat(leat_open(&own, &loaders[own.rank], &error));
}

void ranks_close(leat_loader **loaders, trail *ranks, unsigned world)
{
    for (unsigned r = 0; r < world; r++) {
        trail_free(&ranks[r]);
        leat_close(loaders[r]);
    }
}
