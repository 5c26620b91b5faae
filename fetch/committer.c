/* committer.c - groups of finished files get their records and names.
 *
 * What:    a thread takes all files that are finished by now, appends their records, syncs the file system once, and renames them.
 *          While it does, the next ones gather.
 * Why so:  an fsync of each small file costs a disk's flush each; syncfs does the same for thousands with one (C1). The record goes
 *          before the name: should the process die between, the file is fetched again; the other way round there would be a file of
 *          which nobody knows whose it is. A name appears by a rename that replaces nothing: what another process has put there
 *          meanwhile is looked at again, not written over.
 * Threads: its own; leat__commit on the loop, to which the files go back.
 * Limits:  a group is taken when it has GROUP files or GROUP_BYTES, its first one waits GROUP_MS, or nothing else is under way;
 *          durable groups wait longer, as a sync is dear. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fetch/run.h"
#include "pipeline/failure.h"
#include "pipeline/thread.h"

enum { GROUP = 1024, GROUP_MS = 20, DURABLE_MS = 300, FOLDER_BYTES = 4096 };
#define GROUP_BYTES (UINT64_C(512) << 20)

struct leat__committer {
    /* fixed after creation */
    leat__run *run;
    pthread_t thread;
    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    leat__target *first, **last;
    uint64_t count, bytes;
    bool hurry, ending;
    /* the thread's */
    leat__record_writer *records;
    bool unsynced;                 /* names were given since the last sync */
    int folder_fd;                 /* where the last file went: the next one often goes there, too */
    char folder[FOLDER_BYTES];
};

/* ---- names ---- */

/* The folder that a file goes to: its descriptor (borrows), and the name in it. -1 and errno. */
static int folder_of(leat__committer *committer, const char *path, const char **base)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    *base = slash ? slash + 1 : path;
    if (!slash) return committer->run->root.fd;
    bool same = committer->folder_fd >= 0 && length < FOLDER_BYTES && !strncmp(committer->folder, path, length) &&
        !committer->folder[length];
    if (same) return committer->folder_fd;
    if (committer->folder_fd >= 0) close(committer->folder_fd);
    committer->folder_fd = leat__root_open_parent(&committer->run->root, path, true, base);
    snprintf(committer->folder, sizeof committer->folder, "%.*s", (int)length, path);
    return committer->folder_fd;
}

static void name_one(leat__committer *committer, leat__target *target)
{
    leat__run *run = committer->run;
    const char *base;
    int folder = folder_of(committer, target->entry.path, &base);
    if (folder >= 0 && leat__rename_to(run->work.fd, target->name, folder, base, target->replace) == 0) {
        leat__presence_note(run->finished, target->entry.path, target->entry.source, target->size, &target->sum);
        if (target->grid.count) leat__leftover_remove(run, target->name); /* its journal */
        target->name[0] = 0;
    } else if (errno == EEXIST) {
        target->again = true;
        leat__temporary_remove(target);
    } else {
        leat__disk_fail(run, errno == EXDEV ? "giving a file its name (its folder is on another file system)"
                        : "giving a file its name",
                        errno, &target->error);
        leat__temporary_remove(target);
    }
    if (!target->again && !target->error.code) leat__run_drop_claim(run, target->id);
}

/* ---- a group ---- */

static leat_code record_all(leat__committer *committer, leat__target *first, leat_error *error)
{
    leat_code code = LEAT_OK;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    for (leat__target *target = first; target && !code; target = target->next) {
        leat__record record = {.path = target->entry.path, .url = target->entry.source, .bytes = target->size,
                               .crc32c = target->crc,
                               .etag = target->etag, .verified = target->verified, .time_s = (uint64_t)now.tv_sec};
        if (target->sum.kind == LEAT__SUM_SHA256 || target->sum.kind == LEAT__SUM_MD5) record.sum = target->sum;
        code = leat__record_add(committer->records, &record, error);
        if (code != LEAT_ELIMIT) continue;
        target->error = *error; /* a URL longer than records may have: that file's own failure */
        code = LEAT_OK;
    }
    return code ? code : leat__record_flush(committer->records, error);
}

static leat_code sync_disk(leat__committer *committer, leat_error *error)
{
    leat__run *run = committer->run;
    committer->unsynced = false;
    if (run->config.fast || syncfs(run->work.fd) == 0) return LEAT_OK;
    return leat__disk_fail(run, "syncing files", errno, error);
}

static void commit_group(leat__committer *committer, leat__target *first)
{
    leat__run *run = committer->run;
    leat_error error;
    leat_code code = record_all(committer, first, &error);
    if (code && code != LEAT_EDISK) error.code = LEAT_EDISK;
    if (!code) code = sync_disk(committer, &error);
    committer->unsynced = !code;
    for (leat__target *target = first, *next; target; target = next) {
        next = target->next;
        if (code) target->error = error;
        if (target->error.code) {
            leat__temporary_remove(target);
        } else {
            name_one(committer, target);
        }
        target->call.run = leat__target_committed;
        leat__loop_post(run->loop, &target->call);
    }
}

/* Waits until a group is worth it. False: there is none, and never will be. */
static bool wait_for_group_locked(leat__committer *committer)
{
    while (!committer->first && !committer->ending) pthread_cond_wait(&committer->changed, &committer->lock);
    if (!committer->first) return false;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (committer->run->config.fast ? GROUP_MS : DURABLE_MS) * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    while (committer->count < GROUP && committer->bytes < GROUP_BYTES && !committer->hurry && !committer->ending)
        if (pthread_cond_timedwait(&committer->changed, &committer->lock, &until)) break;
    return true;
}

static void *committer_main(void *argument)
{
    leat__committer *committer = argument;
    pthread_mutex_lock(&committer->lock);
    while (wait_for_group_locked(committer)) {
        leat__target *first = committer->first;
        committer->first = NULL;
        committer->last = &committer->first;
        committer->count = committer->bytes = 0;
        committer->hurry = false;
        pthread_mutex_unlock(&committer->lock);
        commit_group(committer, first);
        pthread_mutex_lock(&committer->lock);
    }
    pthread_mutex_unlock(&committer->lock);
    leat_error error; /* the last group's names; those of others came with the next group's data */
    if (committer->unsynced && sync_disk(committer, &error)) leat__run_stop(committer->run, &error);
    return NULL;
}

/* ---- from outside ---- */

void leat__commit(leat__committer *committer, leat__target *target)
{
    target->next = NULL;
    pthread_mutex_lock(&committer->lock);
    *committer->last = target;
    committer->last = &target->next;
    committer->bytes += target->size;
    if (committer->count++ == 0 || committer->count == GROUP ||
        committer->bytes >= GROUP_BYTES) pthread_cond_signal(&committer->changed);
    pthread_mutex_unlock(&committer->lock);
}

void leat__committer_hurry(leat__committer *committer)
{
    pthread_mutex_lock(&committer->lock);
    if (committer->first && !committer->hurry) {
        committer->hurry = true;
        pthread_cond_signal(&committer->changed);
    }
    pthread_mutex_unlock(&committer->lock);
}

leat__committer *leat__committer_new(leat__run *run, leat_error *error)
{
    leat__committer *committer = calloc(1, sizeof *committer);
    pthread_condattr_t monotonic;
    int number = ENOMEM;
    if (!committer) goto fail;
    committer->run = run;
    committer->folder_fd = -1;
    committer->last = &committer->first;
    committer->records = leat__record_writer_new(&run->state, leat__owner_token(run->owner));
    if (!committer->records) goto fail;
    pthread_mutex_init(&committer->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&committer->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    number = leat__thread_start(&committer->thread, "leat-commit", committer_main, committer);
    if (number == 0) return committer;
    pthread_cond_destroy(&committer->changed);
    pthread_mutex_destroy(&committer->lock);
fail:
    leat__fail_errno(error, LEAT_ESYSTEM, number, "starting a thread");
    if (committer) leat__record_writer_free(committer->records);
    free(committer);
    return NULL;
}

void leat__committer_free(leat__committer *committer)
{
    if (!committer) return;
    pthread_mutex_lock(&committer->lock);
    committer->ending = true;
    pthread_cond_signal(&committer->changed);
    pthread_mutex_unlock(&committer->lock);
    pthread_join(committer->thread, NULL);
    assert(!committer->first);
    if (committer->folder_fd >= 0) close(committer->folder_fd);
    leat__record_writer_free(committer->records);
    pthread_cond_destroy(&committer->changed);
    pthread_mutex_destroy(&committer->lock);
    free(committer);
}
