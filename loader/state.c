/* state.c - a loader's position as a line of JSON.
 *
 * What:    {"leat":1,"epoch":E,"step":S, ... ,"crc":"xxxxxxxx"}: flat, its settings as numbers and digests, a CRC-32 of all before
 *          it.
 * Why so:  the position itself is two numbers, as the order is arithmetic; the rest is there to refuse a state where these two
 *          numbers would mean something else. Each setting is a member of its own, so that the refusal can name it.
 * Format:  docs/formats.md.
 * Threads: any. */
#include "loader/state.h"

#include <assert.h>
#include <inttypes.h>
#include <libdeflate.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <leat/loader.h>

#include "loader/digests.h"
#include "pipeline/failure.h"

enum { VERSION = 1, LONGEST = 4096 };

typedef struct state {
    uint64_t epoch, step, world, windows_cut;
    leat__state_settings settings;
} state;

/* A member: where it is kept, and what a difference is called. */
typedef struct member {
    const char *name;
    size_t offset;
    bool hex;           /* a digest: sixteen hex digits in quotes */
    bool compared;
    const char *words;  /* "saved with SEED 7, here it is 8" */
} member;

#define AT(field) offsetof(state, field)
#define SETTING(field) offsetof(state, settings.field)

/* In the order in which differences are said: the data first. order and remainder follow, by their names. */
static const member members[] = {
    {"epoch", AT(epoch), false, false, NULL},
    {"step", AT(step), false, false, NULL},
    {"world", AT(world), false, false, NULL},
    {"windows_cut", AT(windows_cut), false, false, NULL},
    {"objects", SETTING(objects), false, true, "the number of shards or files"},
    {"names", SETTING(names), true, true, "the names of the shards or files"},
    {"sizes", SETTING(sizes), true, false, NULL},
    {"seed", SETTING(seed), false, true, "seed"},
    {"batch_size", SETTING(batch_size), false, true, "batch_size (of all ranks together)"},
    {"lanes", SETTING(lanes), false, true, "lanes"},
    {"shuffle_window", SETTING(shuffle_window), false, true, "shuffle_window"},
    {"limit", SETTING(limit), false, true, "limit"},
    {"epoch_samples", SETTING(epoch_samples), false, true, "epoch_samples"},
    {"mix", SETTING(mix), true, true, "the weights of the sources, or their fields"},
    {"fields", SETTING(fields), true, true, "the fields"},
    {"image", SETTING(image), true, true, "the image settings (size, crop, flip, dtype ...)"},
    {"index", SETTING(index), true, false, NULL},
    {"window_bytes", SETTING(window_bytes), false, false, NULL},
};
enum { MEMBERS = sizeof members / sizeof *members };

static uint64_t *value_of(const state *s, const member *m)
{
    return (uint64_t *)((char *)(uintptr_t)s + m->offset);
}

static const char *const orders[] = {"shuffled", "sequential"};
static const char *const remainders[] = {"short", "drop", "pad"};

void leat__state_describe(leat__state_settings *settings, const leat_config *config, const leat__origins *origins,
                          uint64_t window_bytes)
{
    *settings = (leat__state_settings){
        .seed = config->seed, .batch_size = config->batch_size, .limit = config->limit, .epoch_samples = config->epoch_samples,
        .lanes = leat__origins_have_shards(origins) && config->order == LEAT_ORDER_SHUFFLED ? config->lanes : 0,
        .shuffle_window = config->shuffle_window, .order = config->order, .remainder = config->remainder,
        .objects = leat__origins_objects(origins), .names = leat__digest_names(origins),
        .sizes = leat__digest_sizes(origins),
        .index = leat__digest_counts(origins), .fields = leat__digest_fields(config->fields, config->field_count),
        .image = leat__digest_image(&config->image), .mix = leat__digest_mix(config),
        .window_bytes = origins->counted ? 0 : window_bytes,
    };
}

/* ---- writing ---- */

static uint32_t crc_of(const char *text, size_t length)
{
    return libdeflate_crc32(0, text, length);
}

leat_code leat__state_write(const leat__state_settings *settings, uint64_t epoch, uint64_t step, uint32_t world,
                            uint64_t windows_cut,
                            char *text, size_t capacity, leat_error *error)
{
    const state s = {.epoch = epoch, .step = step, .world = world, .windows_cut = windows_cut, .settings = *settings};
    char out[LONGEST];
    size_t used = (size_t)snprintf(out, sizeof out, "{\"leat\":%d", VERSION);
    for (size_t i = 0; i < MEMBERS; i++)
        used += (size_t)snprintf(out + used, sizeof out - used, members[i].hex ? ",\"%s\":\"%016" PRIx64 "\"" : ",\"%s\":%" PRIu64,
                                 members[i].name, *value_of(&s, &members[i]));
    used += (size_t)snprintf(out + used, sizeof out - used, ",\"order\":\"%s\",\"remainder\":\"%s\"", orders[settings->order],
                             remainders[settings->remainder]);
    used += (size_t)snprintf(out + used, sizeof out - used, ",\"crc\":\"%08x\"}", crc_of(out, used));
    assert(used < LEAT_STATE_BYTES);
    if (used >= capacity)
        return leat__fail(error, LEAT_EINVAL, 0, "the state takes %zu bytes, there is room for %zu: give LEAT_STATE_BYTES",
                          used + 1,
                          capacity);
    memcpy(text, out, used + 1);
    return LEAT_OK;
}

/* ---- reading ---- */

static leat_code damaged(const char *what, leat_error *error)
{
    return leat__fail(error, LEAT_EINVAL, 0, "resume: the state is damaged: %s", what);
}

/* "{"leat":N," in front, and the CRC behind. */
static leat_code check_frame(const char *text, size_t *length, leat_error *error)
{
    static const char front[] = "{\"leat\":", tail[] = ",\"crc\":\"";
    size_t n = strnlen(text, LONGEST), tail_bytes = sizeof tail - 1 + 10;
    while (n && strchr(" \t\r\n", text[n - 1])) n--;
    if (n == LONGEST) return damaged("it is far too long", error);
    if (strncmp(text, front, sizeof front - 1) != 0)
        return leat__fail(error, LEAT_EINVAL, 0, "resume: this is no state of leat's: it begins otherwise than {\"leat\":");
    unsigned long version = strtoul(text + sizeof front - 1, NULL, 10);
    if (version > VERSION)
        return leat__fail(error, LEAT_EINVAL, 0, "resume: the state is of version %lu, written by a newer leat; this one knows up "
                          "to %d",
                          version, VERSION);
    if (version < 1) return damaged("its version is no number", error);
    if (n < tail_bytes || strncmp(text + n - tail_bytes, tail, sizeof tail - 1) != 0 || strncmp(text + n - 2, "\"}", 2) != 0)
        return damaged("its end is missing", error);
    char said[9], is[9];
    snprintf(said, sizeof said, "%.8s", text + n - 10);
    snprintf(is, sizeof is, "%08x", crc_of(text, n - tail_bytes));
    if (strcmp(said, is) != 0) return damaged("its CRC is another", error);
    *length = n - tail_bytes;
    return LEAT_OK;
}

/* Where the value of a member begins; NULL: it is not there. The text is as leat wrote it: its CRC is right. */
static const char *find(const char *text, size_t length, const char *name)
{
    char quoted[40];
    size_t n = (size_t)snprintf(quoted, sizeof quoted, "\"%s\":", name);
    const char *at = memmem(text, length, quoted, n);
    return at ? at + n : NULL;
}

static bool read_name(const char *at, const char *const *names, int count, int *value)
{
    for (*value = 0; *value < count; (*value)++) {
        size_t length = strlen(names[*value]);
        if (at[0] == '"' && strncmp(at + 1, names[*value], length) == 0 && at[1 + length] == '"') return true;
    }
    return false;
}

static leat_code read_members(const char *text, size_t length, state *s, leat_error *error)
{
    for (size_t i = 0; i < MEMBERS; i++) {
        const char *at = find(text, length, members[i].name);
        char *end;
        if (!at) return damaged("a member is missing", error);
        at += members[i].hex;
        *value_of(s, &members[i]) = strtoull(at, &end, members[i].hex ? 16 : 10);
        if (end == at) return damaged("a member is no number", error);
    }
    const char *order = find(text, length, "order"), *remainder = find(text, length, "remainder");
    int order_number, remainder_number;
    if (!order || !read_name(order, orders, 2, &order_number) || !remainder || !read_name(remainder, remainders, 3,
                                                                                          &remainder_number))
        return damaged("order or remainder is missing", error);
    s->settings.order = (leat_order)order_number;
    s->settings.remainder = (leat_remainder)remainder_number;
    return LEAT_OK;
}

bool leat__state_is_counted(const char *text)
{
    static const char none[] = "\"0000000000000000\"";
    const char *at = find(text, strnlen(text, LONGEST), "index");
    return at && strncmp(at, none, sizeof none - 1) != 0;
}

static leat_code differs(const member *m, uint64_t saved, uint64_t here, leat_error *error)
{
    if (m->hex) return leat__fail(error, LEAT_EINVAL, 0, "resume: %s are other ones than when the state was saved", m->words);
    return leat__fail(error, LEAT_EINVAL, 0, "resume: the state was saved with %s %" PRIu64 ", here it is %" PRIu64, m->words,
                      saved, here);
}

/* An index makes no difference to the order unless windows have been cut. */
static leat_code compare_counts(const state *saved, const leat__state_settings *here, leat_error *error)
{
    const leat__state_settings *there = &saved->settings;
    if (there->sizes && here->sizes && there->sizes != here->sizes)
        return leat__fail(error, LEAT_EINVAL, 0, "resume: the shards have other sizes than when the state was saved");
    if (there->index && !here->index)
        return leat__fail(error, LEAT_EINVAL, 0, "resume: the state was saved with an index of the shards, here there is none: run "
                          "leat index, or give it");
    if (there->index && there->index != here->index)
        return leat__fail(error, LEAT_EINVAL, 0, "resume: the shards have other numbers of samples, or sizes, than when the state "
                          "was saved");
    if (!there->index && here->index && saved->windows_cut)
        return leat__fail(error, LEAT_EINVAL, 0, "resume: the state was saved without an index, with %" PRIu64 " shuffle windows "
                          "cut for want of memory; with the index of now they are not: give index \"none\"", saved->windows_cut);
    if (!here->index && there->window_bytes != here->window_bytes)
        return leat__fail(error, LEAT_EINVAL, 0, "resume: memory_limit (or the size of a batch) is another: without an index "
                          "shuffle windows are cut where they do not fit: then at %" PRIu64 " bytes, here at %" PRIu64,
                          there->window_bytes,
                          here->window_bytes);
    return LEAT_OK;
}

leat_code leat__state_read(const char *text, const leat__state_settings *settings, uint64_t *epoch, uint64_t *step,
                           leat_error *error)
{
    state saved = {0};
    const state here = {.settings = *settings};
    size_t length = 0;
    leat_code code = check_frame(text, &length, error);
    if (!code) code = read_members(text, length, &saved, error);
    if (code) return code;
    if (saved.settings.order != settings->order)
        return leat__fail(error, LEAT_EINVAL, 0, "resume: the state was saved with order %s, here it is %s",
                          orders[saved.settings.order],
                          orders[settings->order]);
    for (size_t i = 0; i < MEMBERS; i++) {
        uint64_t there = *value_of(&saved, &members[i]), now = *value_of(&here, &members[i]);
        if (members[i].compared && there != now) return differs(&members[i], there, now, error);
    }
    if (saved.settings.remainder != settings->remainder)
        return leat__fail(error, LEAT_EINVAL, 0, "resume: the state was saved with remainder %s, here it is %s",
                          remainders[saved.settings.remainder], remainders[settings->remainder]);
    *epoch = saved.epoch;
    *step = saved.step;
    return compare_counts(&saved, settings, error);
}
