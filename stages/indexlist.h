/* indexlist.h - rows of an index in memory, with texts and places of their own: read from elsewhere, or to be written. */
#ifndef LEAT__INDEXLIST_H
#define LEAT__INDEXLIST_H

#include "stages/indexfile.h"

typedef struct leat__index_list {
    leat__index_row *rows; /* zeroed: an empty list */
    size_t count, capacity;
} leat__index_list;

/* Adds a row: its texts are copied, row->places are taken, also on failure (malloc; NULL: none). LEAT_ENOMEM; LEAT_EUNSUPPORTED:
 * a name that no index can hold (too long, or none). */
leat_code leat__index_list_add(leat__index_list *list, const leat__index_row *row, leat_error *error);

/* Sorts it by name. LEAT_EINVAL: two of one name. what: whose list it is, for the message. */
leat_code leat__index_list_sort(leat__index_list *list, const char *what, leat_error *error);

/* Where a name stands in a sorted list; NULL: nowhere. */
const leat__index_row *leat__index_list_find(const leat__index_list *list, const char *name);

/* Frees what is in it; it is empty then. */
void leat__index_list_end(leat__index_list *list);

#define LEAT__INDEX_MOST_COUNT ((uint64_t)1 << 40) /* samples of a shard whose size is not known */

/* Places of one shard's samples while they are found, the end of the last one last. */
typedef struct leat__place_list {
    uint32_t *units;  /* owned */
    uint64_t count;
    size_t capacity;
    bool too_far;     /* one is beyond LEAT__INDEX_MOST_BYTES */
} leat__place_list;

void leat__place_list_clear(leat__place_list *list); /* keeps its memory */
leat_code leat__place_list_add(leat__place_list *list, uint64_t place, leat_error *error); /* bytes; LEAT_ENOMEM */
uint32_t *leat__place_list_take(leat__place_list *list); /* gives them (free); NULL if they can't be written. Empty then */
void leat__place_list_end(leat__place_list *list);

/* The name that an index has for a path or URL: the base name, of a URL without query and percent-decoded. Gives (free); NULL if
 * memory is short. */
char *leat__index_name(const char *path);

#endif
