/* cachequota.c - what lies in the cache, what it takes on disk, and what goes first.
 *
 * What:    a list of all files with what they take on disk, in the order in which they would go.
 * Why so:  looked at anew whenever something is to come in, under the folder's lock (cachedir.c): ten thousand files take some 20
 *          ms, and a sum kept in a file could lie after a kill. The last use is the modification time, set when an entry is opened:
 *          access times depend on how the disk is mounted. What is in use is locked by its readers (flock, shared), and the kernel
 *          takes the lock away when they die. Where locks do nothing, an entry may lose its name while it is read: its readers keep
 *          it, the disk's room comes back later.
 * Threads: any. */
#include "store/cachequota.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipeline/failure.h"
#include "store/cachefile.h"

typedef struct reading {
    int folder;
    bool (*is_alive)(void *user, const char *token);
    void *user;
    leat__cachelist *list;
} reading;

/* ---- looking ---- */

/* A growing file counts with what it will have: file systems that cannot reserve know only what is there. */
static uint64_t bytes_to_be(int folder, const leat__cacheitem *item)
{
    leat__cachefile file;
    uint64_t bytes = item->disk_bytes;
    if (leat__cachefile_open(folder, item->name, NULL, false, &file, NULL)) return bytes;
    uint64_t later = leat__cachefile_bytes(file.head.total);
    leat__cachefile_close(&file);
    return later > bytes ? later : bytes;
}

bool leat__cacheitem_is_aside(const leat__cacheitem *item)
{
    return strncmp(item->name, LEAT__CACHE_BAD "/", sizeof LEAT__CACHE_BAD) == 0;
}

/* An item for a name; false if it is none of the cache's, or gone. */
static bool look(const reading *r, const char *name, leat__cacheitem *item)
{
    struct stat status;
    size_t length = strlen(name);
    if (length >= sizeof item->name || fstatat(r->folder, name, &status, AT_SYMLINK_NOFOLLOW)) return false;
    *item = (leat__cacheitem){.state = LEAT_CACHE_WHOLE, .disk_bytes = (uint64_t)status.st_blocks * 512, .device = status.st_dev,
                              .inode = status.st_ino, .is_file = S_ISREG(status.st_mode)};
    if (status.st_mtim.tv_sec > 0) item->used_s = (uint64_t)status.st_mtim.tv_sec;
    memcpy(item->name, name, length + 1);
    const char *part = strstr(name, LEAT__CACHE_PART);
    if (leat__cacheitem_is_aside(item) || !item->is_file) item->state = LEAT_CACHE_BAD;
    else if (part && r->is_alive(r->user, part + strlen(LEAT__CACHE_PART))) item->state = LEAT_CACHE_GROWING;
    else if (part) item->state = LEAT_CACHE_PARTIAL;
    if (item->state == LEAT_CACHE_GROWING) item->disk_bytes = bytes_to_be(r->folder, item);
    return true;
}

static leat_code add(leat__cachelist *list, const leat__cacheitem *item, leat_error *error)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        leat__cacheitem *items = reallocarray(list->items, capacity, sizeof *items);
        if (!items) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a list of %zu cache files", capacity);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = *item;
    list->disk_bytes += item->disk_bytes;
    return LEAT_OK;
}

/* Every file of one of the cache's folders. */
static leat_code read_folder(const reading *r, const char *name, leat_error *error)
{
    int fd = openat(r->folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (!folder) {
        int number = errno;
        if (fd >= 0) close(fd);
        return number == ENOENT ? LEAT_OK : leat__fail_errno(error, LEAT_EIO, number, "cannot read folder '%s' of the cache", name);
    }
    leat_code code = LEAT_OK;
    for (struct dirent *entry; !code && (entry = readdir(folder));) {
        char path[sizeof((leat__cacheitem *)NULL)->name];
        leat__cacheitem item;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        int length = snprintf(path, sizeof path, "%s/%s", name, entry->d_name);
        if (length > 0 && (size_t)length < sizeof path && look(r, path, &item)) code = add(r->list, &item, error);
    }
    closedir(folder);
    return code;
}

static int rank_of(leat_cache_state state)
{
    return state == LEAT_CACHE_BAD ? 0 : state == LEAT_CACHE_PARTIAL ? 1 : state == LEAT_CACHE_WHOLE ? 2 : 3;
}

static int compare(const void *one, const void *another)
{
    const leat__cacheitem *a = one, *b = another;
    int ranks = rank_of(a->state) - rank_of(b->state);
    if (ranks) return ranks;
    if (a->used_s != b->used_s) return a->used_s < b->used_s ? -1 : 1;
    return strcmp(a->name, b->name);
}

leat_code leat__cachelist_read(int folder, bool (*is_alive)(void *user, const char *token), void *user, leat__cachelist *list,
                               leat_error *error)
{
    *list = (leat__cachelist){0};
    const reading r = {.folder = folder, .is_alive = is_alive, .user = user, .list = list};
    leat_code code = read_folder(&r, LEAT__CACHE_BAD, error);
    for (unsigned i = 0; !code && i < 256; i++) {
        char name[3];
        snprintf(name, sizeof name, "%02x", i);
        code = read_folder(&r, name, error);
    }
    if (list->count) qsort(list->items, list->count, sizeof *list->items, compare);
    return code;
}

void leat__cachelist_free(leat__cachelist *list)
{
    free(list->items);
    *list = (leat__cachelist){0};
}

/* ---- removing ---- */

/* Opens an item that is still what was listed, and locks it against readers: they are not there, and none comes. -1: not. */
static int lock_out(int folder, const leat__cacheitem *item)
{
    struct stat status;
    int fd = openat(folder, item->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return -1;
    bool same = fstat(fd, &status) == 0 && status.st_dev == item->device && status.st_ino == item->inode;
    if (same && (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)) return fd;
    close(fd);
    return -1;
}

bool leat__cacheitem_in_use(int folder, const leat__cacheitem *item)
{
    if (!item->is_file) return false;
    int fd = lock_out(folder, item);
    if (fd < 0) return true;
    close(fd);
    return false;
}

bool leat__cacheitem_remove(int folder, const leat__cacheitem *item)
{
    if (item->state == LEAT_CACHE_GROWING) return false;
    if (!item->is_file) return unlinkat(folder, item->name, 0) == 0 || unlinkat(folder, item->name, AT_REMOVEDIR) == 0;
    int fd = lock_out(folder, item);
    if (fd < 0) return false;
    bool gone = unlinkat(folder, item->name, 0) == 0;
    close(fd);
    return gone;
}

void leat__cachelist_shrink(int folder, leat__cachelist *list, uint64_t limit)
{
    for (size_t i = 0; i < list->count && list->disk_bytes > limit; i++)
        if (leat__cacheitem_remove(folder, &list->items[i])) list->disk_bytes -= list->items[i].disk_bytes;
}
