/* index.c - how many samples the shards of a listing have, and where each lies: indexes found, joined, compared, asked.
 *
 * What:    each shard of the listing is pointed to its row of one of the indexes ("parts"): beside the shards one for each
 *          folder, or the one that the user named. Then sizes are compared with those on disk.
 * Why so:  counts decide what every rank reads, so that one shard that the index doesn't know, or knows otherwise, is an error
 *          before anything is read. 20,000 stats cost some 40 ms, at most; beyond that a shard is compared when it is opened.
 * Threads: see index.h.
 * Invariants: (1) every shard has a part and a row in it, every loose file has none and counts 1   (2) counts sum up to at most
 *             2^56   (3) a shard whose size is known has a count that fits into it
 * Not here: finding and loading one index (indexpart.c), formats (indexfile.c, indexforeign.c). */
#include "stages/index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "pipeline/failure.h"
#include "pipeline/fnv.h"
#include "stages/filename.h"
#include "stages/indexpart.h"

enum {
    MOST_PARTS = 256,   /* each keeps a file open */
    MOST_STATS = 20000,
    NO_PART = UINT16_MAX,
};
#define MOST_SAMPLES ((uint64_t)1 << 56) /* in all */

struct leat__index {
    size_t count;        /* of objects */
    uint64_t *counts;
    uint32_t *rows;      /* of each object, in its part */
    uint16_t *part_of;   /* NO_PART: a loose file */
    leat__index_part parts[MOST_PARTS];
    size_t part_count;
    uint64_t digest;
};

static void row_of(const leat__index *index, uint64_t object, leat__index_row *row)
{
    assert(object < index->count);
    static const leat__index_row loose = {.name = "", .etag = "", .samples = 1, .bytes = UINT64_MAX, .unpacked = UINT64_MAX};
    if (index->part_of[object] == NO_PART) *row = loose;
    else leat__index_part_row(&index->parts[index->part_of[object]], index->rows[object], row);
}

/* ---- finding ---- */

typedef struct folders {
    const leat__object *first[MOST_PARTS]; /* an object of each; number i is part i */
    size_t lengths[MOST_PARTS];            /* of the name up to the base name */
    size_t count;
} folders;

/* The number of an object's folder; MOST_PARTS: there are too many. */
static size_t folder_of(folders *f, const leat__object *object, size_t last)
{
    size_t length = (size_t)(leat__filename_parse(object->name).base - object->name);
    for (size_t n = 0; n < f->count; n++) {
        size_t i = (last + n) % f->count; /* the one before's, most of the time */
        if (f->lengths[i] == length && memcmp(f->first[i]->name, object->name, length) == 0) return i;
    }
    if (f->count == MOST_PARTS) return MOST_PARTS;
    f->first[f->count] = object;
    f->lengths[f->count] = length;
    return f->count++;
}

static leat_code fail_lacks(const leat__index_part *part, const leat__object *object, leat_error *error)
{
    return leat__fail(error, LEAT_ECHANGED, 0, "index %s lacks the shard %.400s: %s", part->shown, object->display,
                      leat__index_part_hint(part));
}

/* Loads the index of each folder. *found: there is one in each; else in none. */
static leat_code load_folders(leat__index *index, const folders *f, leat__index_source *source, bool *found,
                              leat_error *error)
{
    const leat__object *without = NULL;
    *found = false;
    for (size_t i = 0; i < f->count; i++) {
        bool there;
        leat_code code = leat__index_part_beside(f->first[i], source, &index->parts[index->part_count++], &there, error);
        if (code) return code;
        *found = *found || there;
        if (!there && !without) without = f->first[i];
        if (*found && without) break;
    }
    if (!*found || !without) return LEAT_OK;
    return leat__fail(error, LEAT_ECHANGED, 0,
                      "there is no leat.index beside %.400s, but beside other shards of the source: run leat index",
                      without->display);
}

static leat_code find_beside(leat__index *index, const leat__listing *listing, leat__index_source *source, bool *found,
                             leat_error *error)
{
    folders f = {.count = 0};
    bool too_many = false;
    size_t last = 0;
    for (size_t i = 0; i < listing->count && !too_many; i++) {
        index->part_of[i] = NO_PART;
        if (!listing->objects[i].is_shard) continue;
        last = folder_of(&f, &listing->objects[i], last);
        index->part_of[i] = (uint16_t)last;
        too_many = last == MOST_PARTS;
    }
    leat_code code = load_folders(index, &f, source, found, error);
    if (code || !*found || !too_many) return code;
    return leat__fail(error, LEAT_ELIMIT, 0,
                      "the shards lie in over %d folders, each with an index of its own: make one of all with leat index "
                      "--to DIR, and name it", MOST_PARTS);
}

static leat_code find_named(leat__index *index, const char *wanted, const leat__listing *listing, leat__index_source *source,
                            leat_error *error)
{
    for (size_t i = 0; i < listing->count; i++) index->part_of[i] = listing->objects[i].is_shard ? 0 : NO_PART;
    index->part_count = 1;
    return leat__index_part_named(wanted, listing, source, &index->parts[0], error);
}

/* ---- joining ---- */

/* Points a shard to its row. */
static leat_code join_one(leat__index *index, size_t i, const leat__object *object, leat_error *error)
{
    size_t row = 0;
    const leat__index_part *part = &index->parts[index->part_of[i]];
    char *name = leat__index_name(object->name);
    if (!name) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for an index");
    bool there = leat__index_part_find(part, name, &row);
    free(name);
    if (!there) return fail_lacks(part, object, error);
    index->rows[i] = (uint32_t)row;
    return LEAT_OK;
}

static leat_code join(leat__index *index, const leat__listing *listing, leat_error *error)
{
    uint64_t sum = 0;
    assert(index->count <= MOST_SAMPLES);
    for (size_t i = 0; i < index->count; i++) {
        leat__index_row row;
        leat_code code = index->part_of[i] == NO_PART ? LEAT_OK : join_one(index, i, &listing->objects[i], error);
        if (code) return code;
        row_of(index, i, &row);
        index->counts[i] = row.samples;
        if (row.samples > MOST_SAMPLES || (sum += row.samples) > MOST_SAMPLES)
            return leat__fail(error, LEAT_ECORRUPT, 0, "%.400s: with its %llu samples the index says over 2^56 in all",
                              listing->objects[i].display, (unsigned long long)row.samples);
    }
    return LEAT_OK;
}

/* A sample takes one of tar's blocks at least; where sizes are not known there is a most for all. stored: bytes of the shard as it
 * lies there, if they are known. */
static leat_code check_count(const leat__index *index, size_t i, const leat__object *object, uint64_t stored, leat_error *error)
{
    leat__index_row row;
    row_of(index, i, &row);
    const char *dot = strrchr(row.name, '.');
    const leat__index_part *part = &index->parts[index->part_of[i]];
    uint64_t bytes = row.unpacked;
    if (bytes == UINT64_MAX && dot && strcasecmp(dot, ".tar") == 0) bytes = stored;
    uint64_t most = bytes == UINT64_MAX ? LEAT__INDEX_MOST_COUNT : bytes / LEAT__PLACE_UNIT;
    if (row.samples <= most) return LEAT_OK;
    return leat__fail(error, LEAT_ECORRUPT, 0, "%.400s: index %s says %llu samples, a shard of %s size has at most %llu: %s",
                      object->display, part->shown, (unsigned long long)row.samples, bytes == UINT64_MAX ? "any" : "its",
                      (unsigned long long)most, leat__index_part_hint(part));
}

/* Compares a local shard with what its index says. One that is not there is found when it is read. */
static leat_code check_size(const leat__index *index, size_t i, const leat__object *object, leat_error *error)
{
    struct stat status;
    leat__index_row row;
    row_of(index, i, &row);
    const leat__index_part *part = &index->parts[index->part_of[i]];
    if (stat(object->name, &status) < 0) return LEAT_OK;
    uint64_t bytes = (uint64_t)status.st_size, last = 0;
    if (row.bytes != UINT64_MAX && row.bytes != bytes)
        return leat__fail(error, LEAT_ECHANGED, 0, "%.400s: index %s says %llu bytes, the shard has %llu: %s", object->display,
                          part->shown, (unsigned long long)row.bytes, (unsigned long long)bytes, leat__index_part_hint(part));
    if (row.places) last = (uint64_t)row.places[row.samples] * LEAT__PLACE_UNIT;
    if (last <= bytes) return check_count(index, i, object, bytes, error);
    return leat__fail(error, LEAT_ECHANGED, 0,
                      "%.400s: index %s has a sample that ends at byte %llu, the shard has %llu: %s",
                      object->display, part->shown, (unsigned long long)last, (unsigned long long)bytes,
                      leat__index_part_hint(part));
}

static leat_code check_sizes(const leat__index *index, const leat__listing *listing, leat_error *error)
{
    leat_code code = LEAT_OK;
    bool looks = !listing->objects[0].is_url && listing->count <= MOST_STATS;
    for (size_t i = 0; !code && i < index->count; i++) {
        leat__index_row row;
        if (index->part_of[i] == NO_PART) continue;
        row_of(index, i, &row);
        if (looks) code = check_size(index, i, &listing->objects[i], error);
        if (!code) code = check_count(index, i, &listing->objects[i], row.bytes, error);
    }
    return code;
}

static uint64_t digest_of(const leat__index *index, const leat__listing *listing)
{
    uint64_t hash = LEAT__FNV_START;
    for (size_t i = 0; i < index->count; i++) {
        leat__index_row row;
        row_of(index, i, &row);
        leat__filename filename = leat__filename_parse(listing->objects[i].name);
        if (index->part_of[i] != NO_PART) hash = leat__fnv_add(hash, row.name, strlen(row.name));
        else hash = leat__fnv_add(hash, filename.base, (size_t)(filename.end - filename.base));
        hash = leat__fnv_number(leat__fnv_add(hash, "", 1), row.samples);
        hash = leat__fnv_number(hash, row.bytes);
        hash = leat__fnv_number(hash, row.has_head_crc ? row.head_crc : UINT64_MAX);
    }
    return hash;
}

/* ---- the outside ---- */

leat_code leat__index_find(const leat__listing *listing, const char *wanted, leat__index_fetch fetch, void *user,
                           uint64_t max_bytes, leat__index **out, leat_error *error)
{
    leat__index_source source = {.fetch = fetch, .user = user, .max_bytes = max_bytes};
    leat_error ignored;
    bool found = true;
    leat_code code = LEAT_OK;
    *out = NULL;
    if (!error) error = &ignored;
    leat__error_clear(error);
    if (!listing->shards || (wanted && strcmp(wanted, "none") == 0)) return LEAT_OK;
    if (wanted && !*wanted) return leat__fail(error, LEAT_EINVAL, 0, "index \"\": give a file or folder, \"none\", or nothing");
    leat__index *index = calloc(1, sizeof *index);
    if (index) {
        index->count = listing->count;
        index->counts = calloc(index->count, sizeof *index->counts);
        index->rows = calloc(index->count, sizeof *index->rows);
        index->part_of = calloc(index->count, sizeof *index->part_of);
    }
    if (!index || !index->counts || !index->rows || !index->part_of)
        code = leat__fail(error, LEAT_ENOMEM, 0, "no memory for an index");
    else if (wanted) code = find_named(index, wanted, listing, &source, error);
    else code = find_beside(index, listing, &source, &found, error);
    if (!code && found) code = join(index, listing, error);
    if (!code && found) code = check_sizes(index, listing, error);
    if (code || !found) {
        leat__index_free(index);
        return code;
    }
    index->digest = digest_of(index, listing);
    *out = index;
    return LEAT_OK;
}

void leat__index_free(leat__index *index)
{
    if (!index) return;
    for (size_t i = 0; i < index->part_count; i++) leat__index_part_end(&index->parts[i]);
    free(index->counts);
    free(index->rows);
    free(index->part_of);
    free(index);
}

const uint64_t *leat__index_counts(const leat__index *index)
{
    return index->counts;
}

bool leat__index_has_places(const leat__index *index, uint64_t object)
{
    leat__index_row row;
    row_of(index, object, &row);
    return row.has_places;
}

leat_code leat__index_places(const leat__index *index, uint64_t object, uint64_t first, uint64_t count, uint64_t *places,
                             leat_error *error)
{
    leat__index_row row;
    uint64_t bad;
    row_of(index, object, &row);
    assert(row.has_places && first <= row.samples && count <= row.samples - first);
    const leat__index_part *part = &index->parts[index->part_of[object]];
    if (part->file) return leat__index_file_places(part->file, index->rows[object], first, count, places, error);
    for (uint64_t i = 0; i <= count; i++) places[i] = (uint64_t)row.places[first + i] * LEAT__PLACE_UNIT;
    if (leat__places_rise(places, count, row.bytes, &bad)) return LEAT_OK;
    return leat__fail(error, LEAT_ECORRUPT, 0, "index %s: the place of sample %llu of %.300s cannot be: %s", part->shown,
                      (unsigned long long)(first + bad), row.name, leat__index_part_hint(part));
}

void leat__index_get_facts(const leat__index *index, uint64_t object, leat__index_facts *facts)
{
    leat__index_row row;
    row_of(index, object, &row);
    *facts = (leat__index_facts){.bytes = row.bytes, .unpacked = row.unpacked, .head_crc = row.head_crc,
                                 .has_head_crc = row.has_head_crc, .etag = row.etag};
}

uint64_t leat__index_digest(const leat__index *index)
{
    return index->digest;
}
