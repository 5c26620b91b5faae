/* cachelook.c - finding entries of the cache: open, growing, or to be filled; and what to do with one that is no good.
 *
 * What:    looks under the entry's name, then for the claim on it, and makes one if there is none.
 * Why so:  a claim comes before its file and goes after it has got its name: who finds neither name nor claim, and gets the claim,
 *          has only to look at the name once more. What an heir goes on with has to be locked by nobody, since a process in another
 *          container may only look dead (cachefile.c; where locks do nothing, it is begun anew).
 * Threads: any. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/cachedir_internal.h"

enum { MOST_LOOKS = 8 };  /* around a look that others' renames begin anew */

/* ---- finding ---- */

/* Marks an open file as in use. False: it is being removed, or has been. */
static bool hold(const leat__cachefile *file)
{
    if (flock(file->fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK) return false;
    return !leat__cachefile_is_unlinked(file);
}

/* "ab/NAME" becomes "bad/NAME.TIME.PID.NUMBER". */
static void put_aside(leat__cachedir *dir, const char *name)
{
    char bad[LEAT__CACHE_NAME];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(bad, sizeof bad, LEAT__CACHE_BAD "/%.150s.%lld.%ld.%u", name + 3, (long long)now.tv_sec, (long)getpid(),
             atomic_fetch_add(&dir->aside, 1));
    mkdirat(dir->root.fd, LEAT__CACHE_BAD, 0700);
    renameat(dir->root.fd, name, dir->root.fd, bad);
}

/* A file that is there under a name, held. LEAT_AGAIN: it is being removed. */
static leat_code open_held(leat__cachedir *dir, const leat__cachekey *key, const char *name, leat__cachefile *file)
{
    leat_code code = leat__cachefile_open(dir->root.fd, name, key->sum, false, file, NULL);
    if (code || hold(file)) return code;
    leat__cachefile_close(file);
    return LEAT_AGAIN;
}

/* The whole entry. LEAT_ECORRUPT: something else lies there. */
static leat_code open_whole(leat__cachedir *dir, const leat__cachekey *key, leat__cachefile *file)
{
    char name[LEAT__CACHE_NAME];
    leat__cachedir_name(key, "", NULL, name);
    leat_code code = open_held(dir, key, name, file);
    if (!code && !file->head.whole) {
        leat__cachefile_close(file);
        code = LEAT_ECORRUPT;
    }
    if (!code) futimens(file->fd, NULL);
    return code;
}

static bool is_there(const leat__cachedir *dir, const leat__cachekey *key)
{
    struct stat status;
    char name[LEAT__CACHE_NAME];
    leat__cachedir_name(key, "", NULL, name);
    return fstatat(dir->root.fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What the process `from` fills. */
static leat__cachelook follow(leat__cachedir *dir, const leat__cachekey *key, const char *from, leat__cachefile *file)
{
    char name[LEAT__CACHE_NAME];
    leat__cachedir_name(key, "", from, name);
    return open_held(dir, key, name, file) ? LEAT__CACHE_WAIT : LEAT__CACHE_OPEN;
}

/* Opens what was left under a name, and puts it under one that nobody follows: it may be of an older object than the server has
 * now. Of an object of which its server said nothing that would tell it from another one it is of no use. */
static void take_over(leat__cachedir *dir, const leat__cachekey *key, const char *name, leat__cachewriter *part)
{
    char own[LEAT__CACHE_NAME];
    leat_code code = leat__cachewriter_inherit(dir->root.fd, name, key->sum, part, NULL);
    if (code == LEAT_ENOTFOUND) return;
    bool useful = !code && (part->file.head.etag[0] || part->file.head.modified[0]);
    leat__cachedir_name(key, LEAT__CACHE_OLD, leat__owner_token(dir->owner), own);
    if (useful && renameat(dir->root.fd, name, dir->root.fd, own) == 0) {
        memcpy(part->name, own, sizeof part->name);
        return;
    }
    leat__cachefile_close(&part->file);
    if (code != LEAT_EEXISTS) unlinkat(dir->root.fd, name, 0);
}

/* Takes over what the process `from` has left, or one that ended in order. */
static void inherit(leat__cachedir *dir, const leat__cachekey *key, const char *from, leat__cachewriter *part)
{
    const char *const tokens[] = {from, from, LEAT__CACHE_LEFT}, *const marks[] = {"", LEAT__CACHE_OLD, ""};
    for (int i = 0; i < 3 && part->file.fd < 0; i++) {
        char name[LEAT__CACHE_NAME];
        leat__cachedir_name(key, marks[i], tokens[i], name);
        if (tokens[i][0]) take_over(dir, key, name, part);
    }
}

static leat_code claim_locked(leat__cachedir *dir, const leat__cachekey *key, leat__claim *got, char from[LEAT__TOKEN_BYTES])
{
    *got = LEAT__CLAIM_TAKEN;
    snprintf(from, LEAT__TOKEN_BYTES, "%s", leat__owner_token(dir->owner));
    for (const leat__cacheclaim *claim = dir->claims; claim; claim = claim->next)
        if (strcmp(claim->key.hex, key->hex) == 0) return LEAT_OK;
    leat__cacheclaim *claim = malloc(sizeof *claim);
    leat_code code = claim ? leat__owner_claim(dir->owner, key->hex, got, from, NULL) : LEAT_ENOMEM;
    if (code || *got == LEAT__CLAIM_TAKEN) {
        free(claim);
        return code;
    }
    *claim = (leat__cacheclaim){.next = dir->claims, .key = *key};
    dir->claims = claim;
    return LEAT_OK;
}

/* Nothing is there under the entry's name: whose is it to fill? LEAT_AGAIN: it has come meanwhile. */
static leat_code claim(leat__cachedir *dir, const leat__cachekey *key, leat__cachelook *look, leat__cachefile *file,
                       leat__cachewriter *part)
{
    leat__claim got;
    char from[LEAT__TOKEN_BYTES];
    pthread_mutex_lock(&dir->owners);
    leat_code code = claim_locked(dir, key, &got, from);
    pthread_mutex_unlock(&dir->owners);
    *look = LEAT__CACHE_NONE;
    if (code) return LEAT_OK;
    if (got == LEAT__CLAIM_TAKEN) {
        *look = follow(dir, key, from, file);
        return LEAT_OK;
    }
    if (is_there(dir, key)) { /* it was given its name between our look for that and the claim */
        leat__cachedir_release(dir, key);
        return LEAT_AGAIN;
    }
    inherit(dir, key, got == LEAT__CLAIM_INHERITED ? from : "", part);
    *look = LEAT__CACHE_FILL;
    return LEAT_OK;
}

/* The same without the right to fill. */
static leat__cachelook look_on(leat__cachedir *dir, const leat__cachekey *key, leat__cachefile *file)
{
    char from[LEAT__TOKEN_BYTES];
    pthread_mutex_lock(&dir->owners);
    bool taken = leat__owner_of(dir->owner, key->hex, from);
    pthread_mutex_unlock(&dir->owners);
    return taken ? follow(dir, key, from, file) : LEAT__CACHE_WAIT;
}

leat__cachelook leat__cachedir_look(leat__cachedir *dir, const leat__cachekey *key, bool may_fill, leat__cachefile *file,
                                    leat__cachewriter *part, bool *damaged)
{
    *file = LEAT__NO_CACHEFILE;
    *part = (leat__cachewriter){.file = LEAT__NO_CACHEFILE};
    *damaged = false;
    leat__cachedir_beat(dir);
    for (int i = 0; i < MOST_LOOKS; i++) {
        leat__cachelook look;
        leat_code code = open_whole(dir, key, file);
        if (!code) return LEAT__CACHE_OPEN;
        if (code == LEAT_AGAIN) return LEAT__CACHE_WAIT;
        if (code == LEAT_ECORRUPT) {
            char name[LEAT__CACHE_NAME];
            leat__cachedir_name(key, "", NULL, name);
            put_aside(dir, name);
            *damaged = true;
            continue;
        }
        if (code != LEAT_ENOTFOUND || !dir->owner) return LEAT__CACHE_NONE;
        if (!may_fill) return look_on(dir, key, file);
        if (!claim(dir, key, &look, file, part)) return look;
    }
    return LEAT__CACHE_NONE;
}

/* ---- of an open one ---- */

/* Whether the name is still that of the file. */
static bool has_name(const leat__cachedir *dir, const char *name, const leat__cachefile *file)
{
    struct stat status;
    return fstatat(dir->root.fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_dev == file->device &&
           status.st_ino == file->inode;
}

void leat__cachedir_put_aside(leat__cachedir *dir, const leat__cachekey *key, const leat__cachefile *file)
{
    char name[LEAT__CACHE_NAME];
    leat__cachedir_name(key, "", NULL, name);
    if (has_name(dir, name, file)) put_aside(dir, name);
}

void leat__cachedir_put_aside_named(leat__cachedir *dir, const leat__cacheitem *item)
{
    struct stat status;
    if (leat__cacheitem_is_aside(item) || fstatat(dir->root.fd, item->name, &status, AT_SYMLINK_NOFOLLOW)) return;
    if (status.st_dev == item->device && status.st_ino == item->inode) put_aside(dir, item->name);
}

void leat__cachedir_forget(leat__cachedir *dir, const leat__cachekey *key, leat__cachefile *file)
{
    char name[LEAT__CACHE_NAME];
    leat__cachedir_name(key, "", NULL, name);
    if (has_name(dir, name, file) && flock(file->fd, LOCK_EX | LOCK_NB) == 0) unlinkat(dir->root.fd, name, 0);
    leat__cachefile_close(file);
}
