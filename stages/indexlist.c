/* indexlist.c - rows of an index in memory.
 *
 * What:    an array of rows that own their texts and places.
 * Threads: one at a time; any number may look things up in a sorted list.
 * Invariants: every name is 1 byte or more, and fits with its ETag into LEAT__INDEX_MOST_TEXT. */
#include "stages/indexlist.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"
#include "stages/filename.h"

static void free_row(leat__index_row *row)
{
    free((char *)row->name);
    free((char *)row->etag);
    free((uint32_t *)row->places);
}

static leat_code no_memory(leat__index_row *row, leat_error *error)
{
    free_row(row);
    return leat__fail(error, LEAT_ENOMEM, 0, "no memory for an index");
}

leat_code leat__index_list_add(leat__index_list *list, const leat__index_row *wanted, leat_error *error)
{
    leat__index_row row = *wanted;
    char shown[400];
    size_t length = strlen(wanted->name);
    bool fits = length > 0 && length + strlen(wanted->etag) + 2 <= LEAT__INDEX_MOST_TEXT && !strchr(wanted->name, '/');
    row.name = strdup(wanted->name);
    row.etag = strdup(wanted->etag);
    if (!row.name || !row.etag) return no_memory(&row, error);
    if (!fits) {
        free_row(&row);
        return leat__fail(error, LEAT_EUNSUPPORTED, 0, "an index cannot hold a shard of the name '%s'",
                          leat__escape(shown, sizeof shown, wanted->name, length));
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 64;
        leat__index_row *rows = reallocarray(list->rows, capacity, sizeof *rows);
        if (!rows) return no_memory(&row, error);
        list->rows = rows;
        list->capacity = capacity;
    }
    list->rows[list->count++] = row;
    return LEAT_OK;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const leat__index_row *)a)->name, ((const leat__index_row *)b)->name);
}

leat_code leat__index_list_sort(leat__index_list *list, const char *what, leat_error *error)
{
    char shown[400];
    if (list->count > 1) qsort(list->rows, list->count, sizeof *list->rows, compare);
    for (size_t i = 1; i < list->count; i++) {
        const char *name = list->rows[i].name;
        if (strcmp(list->rows[i - 1].name, name) == 0)
            return leat__fail(error, LEAT_EINVAL, 0, "%s: two shards are named %s, and an index tells shards by their base names",
                              what, leat__escape(shown, sizeof shown, name, strlen(name)));
    }
    return LEAT_OK;
}

const leat__index_row *leat__index_list_find(const leat__index_list *list, const char *name)
{
    leat__index_row key = {.name = name};
    return list->count ? bsearch(&key, list->rows, list->count, sizeof *list->rows, compare) : NULL;
}

void leat__index_list_end(leat__index_list *list)
{
    for (size_t i = 0; i < list->count; i++) free_row(&list->rows[i]);
    free(list->rows);
    *list = (leat__index_list){0};
}

/* ---- places ---- */

void leat__place_list_clear(leat__place_list *list)
{
    list->count = 0;
    list->too_far = false;
}

leat_code leat__place_list_add(leat__place_list *list, uint64_t place, leat_error *error)
{
    assert(place % LEAT__PLACE_UNIT == 0);
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 1024;
        uint32_t *units = reallocarray(list->units, capacity, sizeof *units);
        if (!units) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for the places of %zu samples", capacity);
        list->units = units;
        list->capacity = capacity;
    }
    list->too_far = list->too_far || place > LEAT__INDEX_MOST_BYTES;
    list->units[list->count++] = (uint32_t)(place / LEAT__PLACE_UNIT);
    return LEAT_OK;
}

uint32_t *leat__place_list_take(leat__place_list *list)
{
    uint32_t *units = list->units, *fitted = list->count ? realloc(units, list->count * sizeof *units) : NULL;
    if (fitted) units = fitted;
    if (list->too_far) {
        free(units);
        units = NULL;
    }
    *list = (leat__place_list){0};
    return units;
}

void leat__place_list_end(leat__place_list *list)
{
    free(list->units);
    *list = (leat__place_list){0};
}

/* ---- names ---- */

static int hex(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c | (c >= 'A' && c <= 'F' ? 32 : 0)) : NULL;
    return at ? (int)(at - digits) : -1;
}

char *leat__index_name(const char *path)
{
    leat__filename filename = leat__filename_parse(path);
    char *name = strndup(filename.base, (size_t)(filename.end - filename.base)), *to = name;
    if (!name || !filename.is_url) return name;
    for (const char *from = name; *from; from++) {
        int high = *from == '%' ? hex(from[1]) : -1, low = high >= 0 ? hex(from[2]) : -1, value = high * 16 + low;
        bool decodes = low >= 0 && value != 0 && value != '/';
        *to++ = decodes ? (char)value : *from;
        if (decodes) from += 2;
    }
    *to = '\0';
    return name;
}
