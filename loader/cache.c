/* cache.c - looking after the cache: what is in it, whether it is whole, making it smaller (include/leat/cache.h).
 *
 * Threads: the caller's. Loaders may be at work on the same cache: every file is opened before anything is said of it, and only
 *          removed while nobody holds it (store/cachequota.c). */
#include <leat/cache.h>

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"
#include "store/cachedir.h"
#include "store/checksum.h"

enum { PIECE = 1 << 20 }; /* read at a time by verify */

/* One call of the public interface. */
typedef struct work {
    leat__cachedir *dir;
    leat__cachelist list;
    leat_cache_fn each;
    void *user;
    leat_cache_result result;
} work;

static leat_code begin(work *w, const char *directory, leat_cache_fn each, void *user, leat_error *error)
{
    leat__error_clear(error);
    *w = (work){.each = each, .user = user};
    if (!directory || !directory[0]) return leat__fail(error, LEAT_EINVAL, 0, "the cache's directory is not given");
    leat_code code = leat__cachedir_open(directory, false, UINT64_MAX, leat__env_real(), &w->dir, error);
    return code ? code : leat__cachedir_list(w->dir, &w->list, error);
}

static leat_code end(work *w, leat_code code, leat_cache_result *result)
{
    leat__cachelist_free(&w->list);
    leat__cachedir_close(w->dir);
    if (result) *result = w->result;
    return code;
}

/* Tells of an item. failure: what is wrong with it, or NULL. */
static void tell(const work *w, const leat__cacheitem *item, const leat__cachehead *head, uint64_t bytes, const leat_error *failure)
{
    leat_cache_entry entry = {.url = head->url, .file = item->name, .state = item->state, .bytes = bytes,
                              .disk_bytes = item->disk_bytes, .used_s = item->used_s, .error = failure};
    if (!w->each) return;
    entry.in_use = leat__cacheitem_in_use(leat__cachedir_folder(w->dir), item);
    w->each(w->user, &entry);
}

/* The head of an item's file, and how much of the object is there; zeros if it cannot be read. */
static uint64_t look(const work *w, const leat__cacheitem *item, leat__cachehead *head)
{
    leat__cachefile file;
    memset(head, 0, sizeof *head);
    if (leat__cachefile_open(leat__cachedir_folder(w->dir), item->name, NULL, false, &file, NULL)) return 0;
    uint64_t bytes = leat__cachefile_have(&file);
    *head = file.head;
    leat__cachefile_close(&file);
    return bytes;
}

static void count_kept(work *w, const leat__cacheitem *item)
{
    w->result.entries++;
    w->result.bytes += item->disk_bytes;
}

/* ---- list ---- */

static int by_use(const void *one, const void *another)
{
    const leat__cacheitem *a = one, *b = another;
    return a->used_s != b->used_s ? (a->used_s < b->used_s ? -1 : 1) : strcmp(a->name, b->name);
}

leat_code leat_cache_list(const char *directory, leat_cache_fn each, void *user, leat_cache_result *result, leat_error *error)
{
    work w;
    leat_code code = begin(&w, directory, each, user, error);
    if (!code && w.list.count) qsort(w.list.items, w.list.count, sizeof *w.list.items, by_use);
    for (size_t i = 0; !code && i < w.list.count; i++) {
        leat__cachehead head;
        uint64_t bytes = look(&w, &w.list.items[i], &head);
        tell(&w, &w.list.items[i], &head, bytes, NULL);
        count_kept(&w, &w.list.items[i]);
        w.result.bad += w.list.items[i].state == LEAT_CACHE_BAD;
    }
    return end(&w, code, result);
}

/* ---- verify ---- */

/* The key in an item's name; false: it is none. */
static bool key_of(const leat__cacheitem *item, leat__cachekey *key)
{
    leat__sum sum;
    if (strlen(item->name) != 67 || !leat__sum_parse(LEAT__SUM_SHA256, item->name + 3, &sum)) return false;
    memcpy(key->sum, sum.bytes, sizeof key->sum);
    leat__sum_hex(&sum, key->hex);
    return true;
}

static leat_code read_all(const leat__cachefile *file, leat_error *error)
{
    uint8_t *piece = malloc(PIECE);
    leat_code code = piece ? LEAT_OK : leat__fail(error, LEAT_ENOMEM, 0, "no memory for reading a cache file");
    for (uint64_t at = 0; !code && at < file->head.total; at += PIECE) {
        uint64_t left = file->head.total - at;
        code = leat__cachefile_read(file, at, piece, left < PIECE ? (size_t)left : PIECE, error);
    }
    free(piece);
    return code;
}

/* Looks at one whole entry, and puts it aside if it is damaged. */
static leat_code verify(work *w, leat__cacheitem *item, leat_error *error)
{
    leat__cachefile file = LEAT__NO_CACHEFILE;
    leat__cachekey key;
    leat_error failure;
    leat_code code;
    if (!key_of(item, &key)) code = leat__fail(&failure, LEAT_ECORRUPT, 0, "not the name of a cache file");
    else code = leat__cachefile_open(leat__cachedir_folder(w->dir), item->name, key.sum, false, &file, &failure);
    if (!code && !file.head.whole) code = leat__fail(&failure, LEAT_ECORRUPT, 0, "the cache file is not whole");
    if (!code) code = read_all(&file, &failure);
    if (code == LEAT_ENOMEM) *error = failure;
    if (code && code != LEAT_ENOTFOUND && code != LEAT_ENOMEM) {
        leat__cachedir_put_aside_named(w->dir, item);
        item->state = LEAT_CACHE_BAD;
        w->result.bad++;
        tell(w, item, &file.head, 0, &failure);
    } else if (code != LEAT_ENOTFOUND) {
        count_kept(w, item);
    }
    leat__cachefile_close(&file);
    return code == LEAT_ENOMEM ? code : LEAT_OK;
}

leat_code leat_cache_verify(const char *directory, leat_cache_fn each, void *user, leat_cache_result *result, leat_error *error)
{
    work w;
    leat_error ignored;
    leat_code code = begin(&w, directory, each, user, error);
    for (size_t i = 0; !code && i < w.list.count; i++) {
        leat__cacheitem *item = &w.list.items[i];
        bool entry = item->state == LEAT_CACHE_WHOLE || (item->state == LEAT_CACHE_BAD && !leat__cacheitem_is_aside(item));
        if (entry) code = verify(&w, item, error ? error : &ignored);
        else count_kept(&w, item);
    }
    return end(&w, code, result);
}

/* ---- removing ---- */

/* Removes an item, or only says so. */
static void take_out(work *w, const leat__cacheitem *item, bool dry_run)
{
    leat__cachehead head;
    int folder = leat__cachedir_folder(w->dir);
    uint64_t bytes = look(w, item, &head);
    bool free_to_go = item->state != LEAT_CACHE_GROWING && !leat__cacheitem_in_use(folder, item);
    if (!free_to_go || (!dry_run && !leat__cacheitem_remove(folder, item))) {
        count_kept(w, item);
        return;
    }
    w->result.removed++;
    w->result.removed_bytes += item->disk_bytes;
    leat_cache_entry entry = {.url = head.url, .file = item->name, .state = item->state, .bytes = bytes,
                              .disk_bytes = item->disk_bytes, .used_s = item->used_s};
    if (w->each) w->each(w->user, &entry);
}

leat_code leat_cache_gc(const char *directory, uint64_t limit, bool dry_run, leat_cache_fn each, void *user,
                        leat_cache_result *result, leat_error *error)
{
    work w;
    leat_code code = begin(&w, directory, each, user, error);
    for (size_t i = 0; !code && i < w.list.count; i++) {
        const leat__cacheitem *item = &w.list.items[i];
        bool useless = item->state == LEAT_CACHE_BAD || item->state == LEAT_CACHE_PARTIAL;
        if (useless || w.list.disk_bytes - w.result.removed_bytes > limit) take_out(&w, item, dry_run);
        else count_kept(&w, item);
    }
    if (!code && !dry_run) leat__cachedir_tidy(w.dir);
    return end(&w, code, result);
}

leat_code leat_cache_remove(const char *directory, const char *glob, leat_cache_fn each, void *user, leat_cache_result *result,
                            leat_error *error)
{
    work w;
    leat_code code = begin(&w, directory, each, user, error);
    if (!code && !glob) code = leat__fail(error, LEAT_EINVAL, 0, "no glob is given: \"*\" is all");
    for (size_t i = 0; !code && i < w.list.count; i++) {
        leat__cachehead head;
        look(&w, &w.list.items[i], &head);
        if (fnmatch(glob, head.url, 0) == 0) take_out(&w, &w.list.items[i], false);
        else count_kept(&w, &w.list.items[i]);
    }
    if (!code) leat__cachedir_tidy(w.dir);
    return end(&w, code, result);
}
