/* cachequota.h - what lies in the cache, what it takes on disk, and what goes first. Only for cachedir.c and loader/cache.c. */
#ifndef LEAT__CACHEQUOTA_H
#define LEAT__CACHEQUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <leat/cache.h>

#define LEAT__CACHE_BAD "bad"      /* the folder of what is damaged */
#define LEAT__CACHE_PART ".part."  /* between key and owner's token, in the name of a file that grows */

typedef struct leat__cacheitem {
    char name[224];            /* in the cache's folder: "ab/KEY", "ab/KEY.part.TOKEN", "bad/..." */
    leat_cache_state state;
    uint64_t disk_bytes, used_s;
    uint64_t device, inode;
    bool is_file;              /* regular: opened without harm */
} leat__cacheitem;

typedef struct leat__cachelist {
    leat__cacheitem *items;    /* in the order in which they are to go: bad, partial, whole by last use; growing ones behind */
    size_t count, capacity;
    uint64_t disk_bytes;       /* of all; a growing one counts with what it will have in the end */
} leat__cachelist;

/* Looks at every file of a cache. is_alive: whether the owner with a token is at work. *list: gives, to be ended by
 * leat__cachelist_free, also after a failure. LEAT_ENOMEM, LEAT_EIO. Blocks. */
leat_code leat__cachelist_read(int folder, bool (*is_alive)(void *user, const char *token), void *user, leat__cachelist *list,
                               leat_error *error);
void leat__cachelist_free(leat__cachelist *list);

/* Whether it lies in bad/. */
bool leat__cacheitem_is_aside(const leat__cacheitem *item);

/* Whether a reader holds it (flock). */
bool leat__cacheitem_in_use(int folder, const leat__cacheitem *item);

/* Removes it, unless it is in use, growing, or not what was listed any more. True: it is gone. */
bool leat__cacheitem_remove(int folder, const leat__cacheitem *item);

/* Removes items in their order until at most `limit` bytes are left; list->disk_bytes says what is left then. */
void leat__cachelist_shrink(int folder, leat__cachelist *list, uint64_t limit);

#endif
