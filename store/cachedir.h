/* cachedir.h - the folder of the cache: finding entries, filling them, room for new ones.
 *
 * DIR/v1/ab/KEY               an entry, whole (cachefile.h); KEY: SHA-256 of the URL in hexadecimal, ab its first two digits
 * DIR/v1/ab/KEY.part.TOKEN    one that the process TOKEN (owner.h) is filling; DIR/v1/claims/KEY says so
 * DIR/v1/ab/KEY.part.left     one that was left by a process that ended in order
 * DIR/v1/ab/KEY.old.part.TOKEN  one that was taken over, before the server has said that it is still the same
 * DIR/v1/bad/                 what was found damaged
 * DIR/v1/lock                 locked while room is made
 *
 * An entry's way:
 *
 *     missing --look: FILL--> claimed --begin--> growing --publish--> whole --evicted, removed--> missing
 *                                |                  |--give_up--> missing         `--put_aside--> bad
 *                                `--release--> missing
 *                                                   `--leave, killed--> left --look: FILL, with it--> growing
 *
 * Threads: any (locks inside). All of it may block, unless said otherwise. */
#ifndef LEAT__CACHEDIR_H
#define LEAT__CACHEDIR_H

#include "pipeline/env.h"
#include "store/cachefile.h"
#include "store/cachequota.h"

typedef struct leat__cachedir leat__cachedir;

typedef struct leat__cachekey {
    uint8_t sum[32];
    char hex[65];
} leat__cachekey;

/* The key of a URL, which is all of it. False if memory is short. */
bool leat__cachekey_of(const char *url, leat__cachekey *key);

/* Opens a cache. make: it is made, with its parents. limit: bytes on disk; 0: 90% of what is free or taken by it; then an object
 * that is larger streams, else it is an error. env: borrows. *dir: gives, to be ended by leat__cachedir_close. LEAT_ENOTFOUND:
 * there is none (not make); LEAT_EACCESS: it belongs to another user, or anyone may write to it, or this process may not;
 * LEAT_EDISK: the file system is read-only. A full disk is no error: what is there is served. */
leat_code leat__cachedir_open(const char *path, bool make, uint64_t limit, const leat__env *env, leat__cachedir **dir,
                              leat_error *error);
/* Takes; NULL is fine. */
void leat__cachedir_close(leat__cachedir *dir);

uint64_t leat__cachedir_limit(const leat__cachedir *dir);
int leat__cachedir_folder(const leat__cachedir *dir); /* DIR/v1 */

/* Every file in it. *list: gives. */
leat_code leat__cachedir_list(leat__cachedir *dir, leat__cachelist *list, leat_error *error);

/* LEAT_EINVAL, in words with both numbers, if an object of so many bytes is larger than the limit that was given. shown: its URL.
 * */
leat_code leat__cachedir_admits(const leat__cachedir *dir, uint64_t total, const char *shown, leat_error *error);

typedef enum leat__cachelook {
    LEAT__CACHE_OPEN, /* *file is it, whole or growing, and in use as long as it is open */
    LEAT__CACHE_FILL, /* the caller has claimed it, and is to fill it; *part: with what is there, or fd -1 */
    LEAT__CACHE_WAIT, /* another one has claimed it; or may_fill is false */
    LEAT__CACHE_NONE, /* the cache cannot be used for it now */
} leat__cachelook;

/* Looks for an entry. *damaged: one was found damaged, and put aside. */
leat__cachelook leat__cachedir_look(leat__cachedir *dir, const leat__cachekey *key, bool may_fill, leat__cachefile *file,
                                    leat__cachewriter *part, bool *damaged);

/* Clears away what says that dead processes are at work, and of whose work nothing is left. */
void leat__cachedir_tidy(leat__cachedir *dir);

/* To be called at least every few seconds by a process that fills: it is at work. */
void leat__cachedir_beat(leat__cachedir *dir);

/* ---- of a claimed one ---- */

/* Makes room for an object and its file. LEAT_EINVAL: see leat__cachedir_admits; LEAT_EDISK: there is no room. The claim stays. */
leat_code leat__cachedir_begin(leat__cachedir *dir, const leat__cachekey *key, const leat__cachehead *head,
                               leat__cachewriter *part, leat_error *error);
/* Of one that was taken over: its server has said that it is still the same object. Others may follow it from now on. LEAT_EDISK.
 *                             */
leat_code leat__cachedir_confirm(leat__cachedir *dir, const leat__cachekey *key, leat__cachewriter *part, leat_error *error);
/* All is written: gives it its name, closes it, drops the claim. LEAT_EDISK: it is given up. */
leat_code leat__cachedir_publish(leat__cachedir *dir, const leat__cachekey *key, leat__cachewriter *part, leat_error *error);
/* Removes the file (fd -1: none). The claim stays. */
void leat__cachedir_discard(leat__cachedir *dir, leat__cachewriter *part);
/* Leaves it as it is, for the next one to go on with; closes it, drops the claim. */
void leat__cachedir_leave(leat__cachedir *dir, const leat__cachekey *key, leat__cachewriter *part);
void leat__cachedir_release(leat__cachedir *dir, const leat__cachekey *key);

/* ---- of an open one ---- */

/* It is damaged: moves it to bad/, if it still has its name. */
void leat__cachedir_put_aside(leat__cachedir *dir, const leat__cachekey *key, const leat__cachefile *file);
/* The same for what lies under a listed name, whatever it is. */
void leat__cachedir_put_aside_named(leat__cachedir *dir, const leat__cacheitem *item);
/* It is of no use any more: removes it, unless others use it. Closes it (takes). */
void leat__cachedir_forget(leat__cachedir *dir, const leat__cachekey *key, leat__cachefile *file);

#endif
