/* cache.h - what loaders have kept of their shards on the local disk (leat_config.cache): looked at, checked, made smaller. */
#ifndef LEAT_CACHE_H
#define LEAT_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include <leat/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum leat_cache_state {
    LEAT_CACHE_WHOLE = 0,    /* complete and usable */
    LEAT_CACHE_GROWING = 1,  /* a live process is filling it */
    LEAT_CACHE_PARTIAL = 2,  /* left by a process that is gone: the next one goes on with it */
    LEAT_CACHE_BAD = 3,      /* damaged, put aside */
} leat_cache_state;

/* Strings are valid during the call. */
typedef struct leat_cache_entry {
    const char *url;         /* without userinfo and query; "" if not known */
    const char *file;        /* relative to the cache's directory */
    leat_cache_state state;
    uint64_t bytes;          /* of the object that are there */
    uint64_t disk_bytes;     /* that it takes on disk */
    uint64_t used_s;         /* when it was last opened, seconds since 1970 */
    bool in_use;             /* by a process on this machine */
    const leat_error *error; /* leat_cache_verify: what is wrong; else NULL */
} leat_cache_entry;

typedef void (*leat_cache_fn)(void *user, const leat_cache_entry *entry);

typedef struct leat_cache_result {
    uint64_t entries, bytes;           /* there, afterwards, on disk */
    uint64_t removed, removed_bytes;   /* or would be (dry_run) */
    uint64_t bad;                      /* of verify */
} leat_cache_result;

/* Each calls each(user, entry) on the calling thread for the entries it lists, checks or removes (NULL: none). directory: of a
 * leat_config.cache. LEAT_ENOTFOUND if it is no cache; LEAT_EACCESS if it belongs to another user or anyone may write to it.
 * result: may be NULL. Thread: any; loaders may use the cache meanwhile. Blocks: till done. */

/* Every entry, the least recently used first. */
LEAT_API leat_code leat_cache_list(const char *directory, leat_cache_fn each, void *user, leat_cache_result *result,
                                   leat_error *error);

/* Reads every whole entry and compares its checksums; `each` gets the damaged ones, which are put aside, so that they are fetched
 * again. */
LEAT_API leat_code leat_cache_verify(const char *directory, leat_cache_fn each, void *user, leat_cache_result *result,
                                     leat_error *error);

/* Removes what is damaged or was left behind, then whole entries, the least recently used first, until at most `limit` bytes are
 * left; never one that is in use. UINT64_MAX: no whole ones. dry_run: only says what it would remove. */
LEAT_API leat_code leat_cache_gc(const char *directory, uint64_t limit, bool dry_run, leat_cache_fn each, void *user,
                                 leat_cache_result *result, leat_error *error);

/* Removes the entries whose URL matches a glob ('*' matches '/' too); "*": all. Never one that is in use. */
LEAT_API leat_code leat_cache_remove(const char *directory, const char *glob, leat_cache_fn each, void *user,
                                     leat_cache_result *result, leat_error *error);

#ifdef __cplusplus
}
#endif
#endif
