/* sums.c - sums and sizes of files by their names.
 *
 * What:    entries in an array, their names in one block of text, and a hash table of names; an entry in a folder is in the table a
 *          second time under its base name.
 * Why so:  SHA256SUMS files are written in the folder that they describe, or above it, and files are fetched from below:
 *          "train/a.tar" and "a.tar" have to meet. Two files of one base name in different folders must not: that is said, not
 *          guessed.
 * Memory:  an entry takes 56 bytes, its name, and 16 to 32 bytes of table.
 * Threads: read: one; find: any number.
 * Invariants: (1) used < slots, so that a search ends   (2) the table holds entry numbers + 1, 0: none. */
#include "fetch/sums.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "fetch/entryname.h"
#include "fetch/listfile.h"
#include "pipeline/failure.h"
#include "pipeline/fnv.h"
#include "stages/filename.h"

struct row {
    size_t name, base;   /* where they are in the text */
    uint64_t bytes;
    leat__sum sum;
};

/* A place of the table: a row under its name or its base name. */
struct slot {
    uint32_t row;        /* + 1 */
    bool is_base, differs;
};

struct leat__sums {
    struct row *rows;
    size_t count, capacity;
    char *text;
    size_t text_used, text_capacity;
    struct slot *slots;
    size_t slot_count, slots_used; /* slot_count: a power of two */
};

size_t leat__sums_count(const leat__sums *sums)
{
    return sums->count;
}

leat__sums_entry leat__sums_at(const leat__sums *sums, size_t number)
{
    assert(number < sums->count);
    const struct row *row = &sums->rows[number];
    return (leat__sums_entry){sums->text + row->name, row->bytes, row->sum};
}

void leat__sums_free(leat__sums *sums)
{
    if (!sums) return;
    free(sums->rows);
    free(sums->text);
    free(sums->slots);
    free(sums);
}

/* ---- the table ---- */

static const char *key_of(const leat__sums *sums, const struct slot *slot)
{
    const struct row *row = &sums->rows[slot->row - 1];
    return sums->text + (slot->is_base ? row->base : row->name);
}

/* The slot of a key, or the free one where it would be. */
static struct slot *slot_of(const leat__sums *sums, const char *key, bool is_base)
{
    size_t at = (size_t)leat__fnv_add(LEAT__FNV_START, key, strlen(key));
    for (;; at++) {
        struct slot *slot = &sums->slots[at & (sums->slot_count - 1)];
        if (!slot->row || (slot->is_base == is_base && strcmp(key_of(sums, slot), key) == 0)) return slot;
    }
}

/* Makes room for two more slots. */
static bool grow_table(leat__sums *sums)
{
    if (sums->slots && sums->slots_used + 2 <= sums->slot_count / 2) return true;
    leat__sums larger = *sums;
    larger.slot_count = sums->slot_count ? 2 * sums->slot_count : 1024;
    larger.slots = calloc(larger.slot_count, sizeof *larger.slots);
    if (!larger.slots) return false;
    for (size_t i = 0; i < sums->slot_count; i++) {
        const struct slot *slot = &sums->slots[i];
        if (slot->row) *slot_of(&larger, key_of(sums, slot), slot->is_base) = *slot;
    }
    free(sums->slots);
    *sums = larger;
    return true;
}

static bool grow_rows(leat__sums *sums)
{
    if (sums->count < sums->capacity) return true;
    size_t capacity = sums->capacity ? sums->capacity + sums->capacity / 2 : 256;
    struct row *rows = capacity < UINT32_MAX ? reallocarray(sums->rows, capacity, sizeof *rows) : NULL;
    if (!rows) return false;
    sums->rows = rows;
    sums->capacity = capacity;
    return true;
}

static bool add_text(leat__sums *sums, const char *name, size_t size)
{
    if (size > sums->text_capacity - sums->text_used) {
        size_t capacity = sums->text_capacity + sums->text_capacity / 2 + size + 4096;
        char *text = realloc(sums->text, capacity);
        if (!text) return false;
        sums->text = text;
        sums->text_capacity = capacity;
    }
    memcpy(sums->text + sums->text_used, name, size);
    sums->text_used += size;
    return true;
}

static void add_base(leat__sums *sums, uint32_t row)
{
    struct slot *slot = slot_of(sums, sums->text + sums->rows[row].base, true);
    if (!slot->row) {
        *slot = (struct slot){row + 1, true, false};
        sums->slots_used++;
        return;
    }
    leat__sums_entry first = leat__sums_at(sums, slot->row - 1), other = leat__sums_at(sums, row);
    if (!leat__sums_agree(&first, &other)) slot->differs = true;
}

/* ---- reading ---- */

static leat_code no_memory(leat_error *error)
{
    return leat__fail(error, LEAT_ENOMEM, 0, "no memory to hold more checksums");
}

/* Adds to a row what another line says of the same file. */
static leat_code add_again(leat__sums *sums, size_t number, const leat__listed *listed, const char *place, leat_error *error)
{
    struct row *row = &sums->rows[number];
    leat__sums_entry before = leat__sums_at(sums, number), again = {"", listed->bytes, listed->sum};
    if (!leat__sums_agree(&before, &again))
        return leat__fail(error, LEAT_EINVAL, 0, "%s: it contradicts what an earlier line says of the same file", place);
    if (listed->sum.kind > row->sum.kind) row->sum = listed->sum;
    if (row->bytes == UINT64_MAX) row->bytes = listed->bytes;
    return LEAT_OK;
}

static leat_code add(leat__sums *sums, const char *name, const leat__listed *listed, const char *place, leat_error *error)
{
    const char *slash = strrchr(name, '/');
    struct row row = {.name = sums->text_used, .base = sums->text_used, .bytes = listed->bytes, .sum = listed->sum};
    if (slash) row.base += (size_t)(slash - name) + 1;
    if (!grow_table(sums)) return no_memory(error);
    struct slot *slot = slot_of(sums, name, false);
    if (slot->row) return add_again(sums, slot->row - 1, listed, place, error);
    if (!grow_rows(sums) || !add_text(sums, name, strlen(name) + 1)) return no_memory(error);
    sums->rows[sums->count++] = row;
    *slot = (struct slot){(uint32_t)sums->count, false, false};
    sums->slots_used++;
    if (slash) add_base(sums, (uint32_t)sums->count - 1);
    return LEAT_OK;
}

static leat_code add_listed(leat__sums *sums, const leat__listed *listed, const char *place, leat_error *error)
{
    char name[LEAT__ENTRY_PATH_BYTES];
    leat__filename filename = leat__filename_parse(listed->source);
    bool by_url = !listed->path && !listed->is_file && filename.is_url;
    if (listed->braces) return leat__fail(error, LEAT_EINVAL, 0, "%s: no checksum: lines of sha256sum or md5sum are wanted, JSON "
                                                                 "lines, or CSV with a column url", place);
    if (listed->sum.kind == LEAT__SUM_NONE && listed->bytes == UINT64_MAX) return LEAT_OK;
    bool named = by_url ? leat__entry_name_of_url(filename.path, filename.end, name, sizeof name)
                        : leat__entry_name(listed->path ? listed->path : listed->source, name, sizeof name);
    if (!named) return leat__fail(error, LEAT_EINVAL, 0, "%s: its name is empty, or longer than 4,000 bytes", place);
    return add(sums, name, listed, place, error);
}

static leat_code read_all(leat__sums *sums, leat__listfile *list, leat_error *error)
{
    char place[LEAT__LIST_PLACE];
    leat__listed listed;
    leat_error cause;
    for (;;) {
        leat__list_step step = leat__listfile_next(list, &listed, &cause);
        if (step == LEAT__LIST_END) return LEAT_OK;
        if (step != LEAT__LIST_ENTRY) {
            if (error) *error = cause;
            return cause.code;
        }
        leat_code code = add_listed(sums, &listed, leat__listfile_place(list, place), error);
        if (code) return code;
    }
}

leat_code leat__sums_read(const char *file, const leat_config *network, leat__sums **out, leat_error *error)
{
    leat__listfile *list = NULL;
    leat__listfile_options options = {.name = file, .network = network};
    leat__sums *sums = calloc(1, sizeof *sums);
    *out = NULL;
    if (!sums) return no_memory(error);
    leat_code code = leat__listfile_open(&options, &list, error);
    if (!code) code = read_all(sums, list, error);
    if (!code && !grow_table(sums)) code = no_memory(error); /* an empty one can be searched too */
    leat__listfile_close(list);
    if (code) leat__sums_free(sums);
    else *out = sums;
    return code;
}

/* ---- finding ---- */

bool leat__sums_agree(const leat__sums_entry *a, const leat__sums_entry *b)
{
    bool same_bytes = a->bytes == UINT64_MAX || b->bytes == UINT64_MAX || a->bytes == b->bytes;
    bool comparable = a->sum.kind == b->sum.kind && a->sum.kind != LEAT__SUM_NONE;
    return same_bytes && (!comparable || leat__sum_equal(&a->sum, &b->sum));
}

leat__sums_found leat__sums_find(const leat__sums *sums, const char *name, leat__sums_entry *entry)
{
    const char *slash = strrchr(name, '/');
    const struct slot *slot = slot_of(sums, name, false);
    if (!slot->row) slot = slash ? slot_of(sums, slash + 1, false) : slot_of(sums, name, true);
    if (!slot->row) return LEAT__SUMS_NONE;
    if (slot->differs) return LEAT__SUMS_AMBIGUOUS;
    *entry = leat__sums_at(sums, slot->row - 1);
    return LEAT__SUMS_FOUND;
}
