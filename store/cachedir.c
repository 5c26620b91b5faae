/* cachedir.c - the folder of the cache: finding entries, filling them, room for new ones.
 *
 * What:    names, claims and locks around the files of cachefile.c.
 * Why so:  names are digests: no piece of a URL becomes part of a path (C7). An entry appears under its name by one rename, whole.
 *          Who fills it is said by a claim (owner.h), which a dead process's heir takes over together with the file. Nothing that
 *          is right depends on claims or on flock: two that fill one object write two files, and the last rename wins with the same
 *          bytes. What a heir goes on with has in addition to be locked by nobody, since a process in another container may only
 *          look dead (cachefile.c: where locks do nothing, it is begun anew). Room is reckoned and reserved under one lock, so that
 *          the processes of a machine never take the same room twice.
 * Threads: any. `owners` guards the owner, `room` the reckoning; room before owners.
 * Not here: finding entries (cachelook.c), the reckoning itself (cachequota.c). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "pipeline/failure.h"
#include "store/cachedir_internal.h"
#include "store/checksum.h"

#define VERSION_FOLDER "v1"
#define LOCK_FILE "lock"
#define LOCK_TRIES 400   /* of 5 ms: whoever holds it longer is stopped, and is not waited for */
#define LOCK_NS 5000000

bool leat__cachekey_of(const char *url, leat__cachekey *key)
{
    leat__summer *summer = leat__summer_new(LEAT__SUM_SHA256);
    if (!summer) return false;
    leat__summer_add(summer, url, strlen(url));
    leat__sum sum = leat__summer_finish(summer);
    leat__summer_free(summer);
    memcpy(key->sum, sum.bytes, sizeof key->sum);
    leat__sum_hex(&sum, key->hex);
    return true;
}

void leat__cachedir_name(const leat__cachekey *key, const char *mark, const char *token, char name[LEAT__CACHE_NAME])
{
    snprintf(name, LEAT__CACHE_NAME, "%.2s/%s%s%s%s", key->hex, key->hex, mark, token ? LEAT__CACHE_PART : "", token ? token : "");
}

/* ---- owners ---- */

void leat__cachedir_beat(leat__cachedir *dir)
{
    if (!dir->owner) return;
    pthread_mutex_lock(&dir->owners);
    uint64_t now = dir->env->now_ns(dir->env->user);
    if (now - dir->beaten_ns >= (uint64_t)LEAT__OWNER_BEAT_S * 1000000000) {
        dir->beaten_ns = now;
        leat__owner_beat(dir->owner);
    }
    pthread_mutex_unlock(&dir->owners);
}

static bool is_alive(void *user, const char *token)
{
    leat__cachedir *dir = user;
    if (!dir->owner) return true; /* cannot be told: then nothing is taken for abandoned */
    pthread_mutex_lock(&dir->owners);
    bool alive = leat__owner_is_alive(dir->owner, token);
    pthread_mutex_unlock(&dir->owners);
    return alive;
}

static void ignore_token(void *user, const char *token)
{
    (void)user, (void)token; /* what it has left is taken over by the next one that wants it, or makes room */
}

/* Whether a dead owner's claim is one of which nothing is left. */
static bool is_idle(void *user, const char *id, const char *token)
{
    const leat__cachedir *dir = user;
    leat__cachekey key;
    char name[LEAT__CACHE_NAME], old[LEAT__CACHE_NAME];
    struct stat status;
    if (strlen(id) + 1 != sizeof key.hex) return true;
    memcpy(key.hex, id, sizeof key.hex);
    leat__cachedir_name(&key, "", token, name);
    leat__cachedir_name(&key, LEAT__CACHE_OLD, token, old);
    return fstatat(dir->root.fd, name, &status, AT_SYMLINK_NOFOLLOW) && fstatat(dir->root.fd, old, &status, AT_SYMLINK_NOFOLLOW);
}

void leat__cachedir_tidy(leat__cachedir *dir)
{
    if (!dir->owner) return;
    pthread_mutex_lock(&dir->owners);
    leat__owner_bury(dir->owner, ignore_token, NULL);
    leat__owner_sweep(dir->owner, is_idle, dir);
    pthread_mutex_unlock(&dir->owners);
}

/* ---- opening ---- */

static leat_code check_owner(const leat__root *root, const char *shown, leat_error *error)
{
    struct stat status;
    if (fstat(root->fd, &status)) return leat__fail_errno(error, LEAT_EIO, errno, "cannot look at the cache '%s'", shown);
    if (status.st_uid != geteuid())
        return leat__fail(error, LEAT_EACCESS, 0, "the cache '%s' belongs to user %ld, and this is user %ld, who would read "
                          "what the other one has written; give a folder of your own", shown, (long)status.st_uid, (long)geteuid());
    if ((status.st_mode & (S_IWOTH | S_ISVTX)) == S_IWOTH)
        return leat__fail(error, LEAT_EACCESS, 0, "anyone may write to the cache '%s': chmod o-w it", shown);
    return LEAT_OK;
}

/* DIR and DIR/v1. */
static leat_code open_folders(leat__cachedir *dir, const char *path, bool make, leat_error *error)
{
    leat__root top = {.fd = -1};
    leat_code code = leat__root_open(path, make, &top, error);
    memcpy(dir->shown, top.shown, sizeof dir->shown);
    if (!code) code = check_owner(&top, dir->shown, error);
    if (!code && make && mkdirat(top.fd, VERSION_FOLDER, 0700) && errno != EEXIST) {
        code = errno == EROFS || errno == ENOSPC || errno == EDQUOT ? LEAT_EDISK : leat__code_of_errno(errno);
        leat__fail_errno(error, code, errno, "cannot make a folder in the cache '%s'", dir->shown);
    }
    if (!code) code = leat__root_open_beneath(&top, VERSION_FOLDER, false, &dir->root, error);
    if (code == LEAT_ENOTFOUND && top.fd >= 0) leat__fail(error, code, 0, "'%s' is no cache: it has no folder v1", dir->shown);
    if (!code) code = check_owner(&dir->root, dir->shown, error);
    leat__root_close(&top);
    return code;
}

/* Signs on. A full disk, which is no error, is left without an owner. */
static leat_code sign_on(leat__cachedir *dir, leat_error *error)
{
    leat_code code = leat__owner_new(dir->root.fd, dir->env, &dir->owner, error);
    if (!code) {
        dir->beaten_ns = dir->env->now_ns(dir->env->user);
        leat__cachedir_tidy(dir);
        dir->lock = TEMP_FAILURE_RETRY(openat(dir->root.fd, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
        return LEAT_OK;
    }
    int number = error ? error->system : 0;
    if (code == LEAT_EDISK && (number == ENOSPC || number == EDQUOT)) return LEAT_OK;
    char cause[512];
    snprintf(cause, sizeof cause, "%.500s", error ? error->message : "");
    return leat__fail(error, code, number, "the cache '%s' cannot be written: %s", dir->shown, cause);
}

/* 90% of what is free or taken by the cache. */
static leat_code choose_limit(leat__cachedir *dir, leat_error *error)
{
    leat__cachelist list;
    struct statvfs disk;
    leat_code code = leat__cachedir_list(dir, &list, error);
    uint64_t taken = list.disk_bytes;
    leat__cachelist_free(&list);
    if (!code && fstatvfs(dir->root.fd, &disk))
        code = leat__fail_errno(error, LEAT_EIO, errno, "cannot tell how much room the cache '%s' has", dir->shown);
    if (!code) dir->limit = (taken + (uint64_t)disk.f_bavail * disk.f_frsize) / 10 * 9;
    return code;
}

leat_code leat__cachedir_open(const char *path, bool make, uint64_t limit, const leat__env *env, leat__cachedir **out,
                              leat_error *error)
{
    *out = NULL;
    leat__cachedir *dir = calloc(1, sizeof *dir);
    if (!dir) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a cache");
    dir->root.fd = dir->lock = -1;
    dir->env = env;
    dir->limit = limit;
    dir->limit_given = limit != 0;
    pthread_mutex_init(&dir->owners, NULL);
    pthread_mutex_init(&dir->room, NULL);
    leat_code code = open_folders(dir, path, make, error);
    if (!code) code = sign_on(dir, error);
    if (!code && !limit) code = choose_limit(dir, error);
    if (code) leat__cachedir_close(dir);
    else *out = dir;
    return code;
}

void leat__cachedir_close(leat__cachedir *dir)
{
    if (!dir) return;
    while (dir->claims) {
        leat__cachekey key = dir->claims->key;
        leat__cachedir_release(dir, &key);
    }
    leat__owner_free(dir->owner);
    if (dir->lock >= 0) close(dir->lock);
    leat__root_close(&dir->root);
    pthread_mutex_destroy(&dir->owners);
    pthread_mutex_destroy(&dir->room);
    free(dir);
}

uint64_t leat__cachedir_limit(const leat__cachedir *dir)
{
    return dir->limit;
}

int leat__cachedir_folder(const leat__cachedir *dir)
{
    return dir->root.fd;
}

leat_code leat__cachedir_list(leat__cachedir *dir, leat__cachelist *list, leat_error *error)
{
    return leat__cachelist_read(dir->root.fd, is_alive, dir, list, error);
}

leat_code leat__cachedir_admits(const leat__cachedir *dir, uint64_t total, const char *shown, leat_error *error)
{
    if (!dir->limit_given || leat__cachefile_bytes(total) <= dir->limit) return LEAT_OK;
    return leat__fail(error, LEAT_EINVAL, 0, "cache_limit is %llu bytes, and %s alone takes %llu in the cache: raise cache_limit, "
                      "or leave cache out", (unsigned long long)dir->limit, shown,
                      (unsigned long long)leat__cachefile_bytes(total));
}

/* ---- filling ---- */

static bool lock_room(leat__cachedir *dir)
{
    pthread_mutex_lock(&dir->room);
    for (int i = 0; dir->lock >= 0 && i < LOCK_TRIES; i++) {
        if (flock(dir->lock, LOCK_EX | LOCK_NB) == 0) return true;
        if (errno != EWOULDBLOCK) break;
        nanosleep(&(struct timespec){.tv_nsec = LOCK_NS}, NULL);
    }
    return false;
}

static void unlock_room(leat__cachedir *dir, bool locked)
{
    if (locked) flock(dir->lock, LOCK_UN);
    pthread_mutex_unlock(&dir->room);
}

static leat_code make_room_locked(leat__cachedir *dir, uint64_t bytes, leat_error *error)
{
    leat__cachelist list;
    leat_code code = bytes > dir->limit ? LEAT_EDISK : leat__cachedir_list(dir, &list, error);
    if (bytes > dir->limit) return leat__fail(error, code, 0, "no room in the cache '%s'", dir->shown);
    if (!code) leat__cachelist_shrink(dir->root.fd, &list, dir->limit - bytes);
    if (!code && list.disk_bytes > dir->limit - bytes)
        code = leat__fail(error, LEAT_EDISK, 0, "no room in the cache '%s': what is in use takes %llu of %llu bytes", dir->shown,
                          (unsigned long long)list.disk_bytes, (unsigned long long)dir->limit);
    leat__cachelist_free(&list);
    return code;
}

leat_code leat__cachedir_begin(leat__cachedir *dir, const leat__cachekey *key, const leat__cachehead *head, leat__cachewriter *part,
                               leat_error *error)
{
    char name[LEAT__CACHE_NAME], folder[3];
    *part = (leat__cachewriter){.file = LEAT__NO_CACHEFILE};
    leat_code code = leat__cachedir_admits(dir, head->total, head->url, error);
    if (code) return code;
    leat__cachedir_name(key, "", leat__owner_token(dir->owner), name);
    snprintf(folder, sizeof folder, "%.2s", key->hex);
    bool locked = lock_room(dir);
    code = make_room_locked(dir, (leat__cachefile_bytes(head->total) + 4095) / 4096 * 4096, error);
    if (!code) {
        mkdirat(dir->root.fd, folder, 0700);
        unlinkat(dir->root.fd, name, 0);
        code = leat__cachewriter_create(dir->root.fd, name, head, part, error);
    }
    unlock_room(dir, locked);
    return code;
}

leat_code leat__cachedir_confirm(leat__cachedir *dir, const leat__cachekey *key, leat__cachewriter *part, leat_error *error)
{
    char name[LEAT__CACHE_NAME];
    leat__cachedir_name(key, "", leat__owner_token(dir->owner), name);
    if (renameat(dir->root.fd, part->name, dir->root.fd, name))
        return leat__fail_errno(error, LEAT_EDISK, errno, "cannot rename a cache file");
    memcpy(part->name, name, sizeof part->name);
    return LEAT_OK;
}

leat_code leat__cachedir_publish(leat__cachedir *dir, const leat__cachekey *key, leat__cachewriter *part, leat_error *error)
{
    char name[LEAT__CACHE_NAME];
    leat__cachedir_name(key, "", NULL, name);
    leat_code code = leat__cachewriter_finish(part, error);
    if (!code && renameat(dir->root.fd, part->name, dir->root.fd, name))
        code = leat__fail_errno(error, LEAT_EDISK, errno, "cannot give a cache file its name");
    if (code) leat__cachedir_discard(dir, part);
    else leat__cachefile_close(&part->file);
    leat__cachedir_release(dir, key);
    return code;
}

void leat__cachedir_discard(leat__cachedir *dir, leat__cachewriter *part)
{
    if (part->file.fd < 0) return;
    unlinkat(dir->root.fd, part->name, 0);
    leat__cachefile_close(&part->file);
}

void leat__cachedir_leave(leat__cachedir *dir, const leat__cachekey *key, leat__cachewriter *part)
{
    char name[LEAT__CACHE_NAME];
    leat__cachedir_name(key, "", LEAT__CACHE_LEFT, name);
    if (part->file.fd >= 0) renameat(dir->root.fd, part->name, dir->root.fd, name);
    leat__cachefile_close(&part->file);
    leat__cachedir_release(dir, key);
}

void leat__cachedir_release(leat__cachedir *dir, const leat__cachekey *key)
{
    pthread_mutex_lock(&dir->owners);
    for (leat__cacheclaim **at = &dir->claims; *at; at = &(*at)->next) {
        leat__cacheclaim *claim = *at;
        if (strcmp(claim->key.hex, key->hex) != 0) continue;
        *at = claim->next;
        free(claim);
        leat__owner_drop(dir->owner, key->hex);
        break;
    }
    pthread_mutex_unlock(&dir->owners);
}
