/* leftovers.c - what broken-off runs have left in .leat/work, found and swept.
 *
 * What:    ID.TOKEN and ID.TOKEN.journal of owners that are dead. A table of those at the beginning of a run says which targets have
 *          parts to go on with; at its end what nobody can go on with is removed.
 * Why so:  the names say whose and of what they are: no list is needed that could be lost. Parts with a journal of files that this
 *          run was not asked for stay for a week: another list may name them. What is not named like that was not written by leat,
 *          and is not touched.
 * Threads: find and sweep: the calling thread; of: the planner's. */
#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fetch/run.h"
#include "pipeline/failure.h"

#define JOURNAL ".journal"

enum { KEPT_S = 7 * 24 * 3600 };

typedef struct leftover {
    char id[LEAT__FETCH_ID];
    char data_of[LEAT__TOKEN_BYTES], journal_of[LEAT__TOKEN_BYTES];
} leftover;

struct leat__leftovers {
    leftover *all; /* sorted by id */
    size_t count, room;
};

/* Takes a name apart. False: it is none of leat's. */
static bool parse(const char *name, char id[LEAT__FETCH_ID], char token[LEAT__TOKEN_BYTES], bool *journal)
{
    if (strspn(name, "0123456789abcdef") != LEAT__FETCH_ID - 1 || name[LEAT__FETCH_ID - 1] != '.') return false;
    memcpy(id, name, LEAT__FETCH_ID - 1);
    id[LEAT__FETCH_ID - 1] = 0;
    const char *rest = name + LEAT__FETCH_ID, *dot = strchr(rest, '.');
    size_t length = dot ? (size_t)(dot - rest) : strlen(rest);
    *journal = dot != NULL;
    if (!length || length >= LEAT__TOKEN_BYTES || (dot && strcmp(dot, JOURNAL))) return false;
    memcpy(token, rest, length);
    token[length] = 0;
    return true;
}

static bool is_dead(leat__run *run, const char *token)
{
    pthread_mutex_lock(&run->owner_lock);
    bool alive = leat__owner_is_alive(run->owner, token);
    pthread_mutex_unlock(&run->owner_lock);
    return !alive;
}

/* Calls each(user, name, id, token, journal) for every file of leat's in the folder. */
static leat_code list(leat__run *run, void (*each)(void *, const char *, const char *, const char *, bool), void *user,
                      leat_error *error)
{
    char id[LEAT__FETCH_ID], token[LEAT__TOKEN_BYTES];
    bool journal;
    int fd = TEMP_FAILURE_RETRY(openat(run->work.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder) {
        if (fd >= 0) close(fd);
        return leat__disk_fail(run, "listing .leat/work", errno, error);
    }
    for (struct dirent *entry; (entry = readdir(folder));)
        if (parse(entry->d_name, id, token, &journal)) each(user, entry->d_name, id, token, journal);
    closedir(folder);
    return LEAT_OK;
}

void leat__leftover_journal(const char *name, char out[LEAT__FETCH_NAME])
{
    snprintf(out, LEAT__FETCH_NAME, "%.*s" JOURNAL, LEAT__FETCH_NAME - (int)sizeof JOURNAL, name);
}

void leat__leftover_remove(leat__run *run, const char *name)
{
    char journal[LEAT__FETCH_NAME];
    leat__leftover_journal(name, journal);
    unlinkat(run->work.fd, name, 0);
    unlinkat(run->work.fd, journal, 0);
}

/* ---- found ---- */

typedef struct finding {
    leat__run *run;
    leat__leftovers *leftovers;
    bool fresh, no_memory;
} finding;

static void found(void *user, const char *name, const char *id, const char *token, bool journal)
{
    finding *at = user;
    leat__leftovers *all = at->leftovers;
    if (!is_dead(at->run, token)) return;
    if (at->fresh) {
        unlinkat(at->run->work.fd, name, 0);
        return;
    }
    if (all->count == all->room) {
        size_t room = all->room ? 2 * all->room : 16;
        leftover *larger = reallocarray(all->all, room, sizeof *larger);
        at->no_memory |= !larger;
        if (!larger) return;
        all->all = larger;
        all->room = room;
    }
    leftover *one = &all->all[all->count++];
    *one = (leftover){0};
    memcpy(one->id, id, sizeof one->id);
    snprintf(journal ? one->journal_of : one->data_of, LEAT__TOKEN_BYTES, "%s", token);
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const leftover *)a)->id, ((const leftover *)b)->id);
}

/* Makes one of what belongs together. */
static void join(leat__leftovers *all)
{
    size_t kept = 0;
    if (all->count) qsort(all->all, all->count, sizeof *all->all, by_id);
    for (size_t i = 0; i < all->count; i++) {
        leftover *last = kept ? &all->all[kept - 1] : NULL, *one = &all->all[i];
        if (!last || strcmp(last->id, one->id)) {
            all->all[kept++] = *one;
            continue;
        }
        if (one->data_of[0]) memcpy(last->data_of, one->data_of, sizeof last->data_of);
        if (one->journal_of[0]) memcpy(last->journal_of, one->journal_of, sizeof last->journal_of);
    }
    all->count = kept;
}

leat_code leat__leftovers_find(leat__run *run, bool fresh, leat__leftovers **out, leat_error *error)
{
    finding at = {.run = run, .fresh = fresh, .leftovers = calloc(1, sizeof *at.leftovers)};
    *out = at.leftovers;
    if (!at.leftovers) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for what earlier runs have left");
    leat_code code = list(run, found, &at, error);
    if (!code && at.no_memory) code = leat__fail(error, LEAT_ENOMEM, 0, "no memory for what earlier runs have left");
    join(at.leftovers);
    return code;
}

/* Whether both files lie under one token. */
static bool look(leat__run *run, const char *id, const char *token)
{
    char name[LEAT__FETCH_NAME];
    snprintf(name, sizeof name, "%s.%s" JOURNAL, id, token);
    if (faccessat(run->work.fd, name, F_OK, AT_SYMLINK_NOFOLLOW)) return false;
    snprintf(name, sizeof name, "%s.%s", id, token);
    return faccessat(run->work.fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void leat__leftovers_of(leat__run *run, const char *token, leat__target *target)
{
    const leat__leftovers *all = run->leftovers;
    leftover key;
    memcpy(key.id, target->id, sizeof key.id);
    const leftover *one = all->count ? bsearch(&key, all->all, all->count, sizeof *all->all, by_id) : NULL;
    if (token[0] && look(run, target->id, token)) {
        snprintf(target->data_of, sizeof target->data_of, "%s", token);
        snprintf(target->journal_of, sizeof target->journal_of, "%s", token);
    } else if (one && one->data_of[0] && one->journal_of[0]) {
        memcpy(target->data_of, one->data_of, sizeof target->data_of);
        memcpy(target->journal_of, one->journal_of, sizeof target->journal_of);
    }
}

void leat__leftovers_free(leat__leftovers *leftovers)
{
    if (!leftovers) return;
    free(leftovers->all);
    free(leftovers);
}

/* ---- swept ---- */

static bool is_young(int folder, const char *name)
{
    struct stat status;
    return fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && time(NULL) - status.st_mtim.tv_sec < KEPT_S;
}

static void sweep_one(void *user, const char *name, const char *id, const char *token, bool journal)
{
    leat__run *run = user;
    char other[LEAT__FETCH_NAME];
    bool own = !strcmp(token, leat__owner_token(run->owner));
    if (!own && !is_dead(run, token)) return;
    snprintf(other, sizeof other, "%s.%s%s", id, token, journal ? "" : JOURNAL);
    if (is_young(run->work.fd, name) && faccessat(run->work.fd, other, F_OK, AT_SYMLINK_NOFOLLOW) == 0) return;
    unlinkat(run->work.fd, name, 0);
}

/* Files with a token somewhere in their names, that were being written: what failed, and what was put aside. */
static void sweep_named(leat__run *run, int folder_fd, const char *prefix)
{
    int fd = TEMP_FAILURE_RETRY(openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder && fd >= 0) close(fd);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char token[LEAT__TOKEN_BYTES];
        const char *at = entry->d_name + strlen(prefix);
        if (strncmp(entry->d_name, prefix, strlen(prefix))) continue;
        if (isdigit((unsigned char)*at) && at[strspn(at, "0123456789")] == '.') at += strspn(at, "0123456789") + 1; /* a rank */
        size_t length = strcspn(at, ".");
        if (length >= sizeof token) continue;
        memcpy(token, at, length);
        token[length] = 0;
        if (strchr(token, '-') && strchr(at, '.') && is_dead(run, token)) unlinkat(folder_fd, entry->d_name, 0);
    }
    if (folder) closedir(folder);
}

/* Whose parts there are is known by their names. */
static bool forget_claim(void *user, const char *id, const char *token)
{
    (void)user, (void)id, (void)token;
    return true;
}

static void nothing(void *user, const char *token)
{
    (void)user, (void)token;
}

void leat__leftovers_sweep(leat__run *run)
{
    leat_error ignored;
    list(run, sweep_one, run, &ignored);
    sweep_named(run, run->work.fd, "spill.");
    sweep_named(run, run->state.fd, "failed.");
    pthread_mutex_lock(&run->owner_lock);
    leat__owner_sweep(run->owner, forget_claim, NULL);
    leat__owner_bury(run->owner, nothing, NULL);
    pthread_mutex_unlock(&run->owner_lock);
}
