/* temporary.c - a target's file in .leat/work, its journal, and those of earlier runs.
 *
 * What:    ID.TOKEN holds the bytes, ID.TOKEN.journal says which parts of it are there. Both are named by their owner, so that no
 *          two processes ever write to one file; what a dead owner has left is renamed to the own token first, the journal before
 *          the data. Of several that try, one gets it.
 * Why so:  nothing is synced while a part is written: when parts are taken over, each is read and compared with its checksum in the
 *          journal. So it does not matter which of them a power failure has lost (C3, D06, D08), and a kill loses nothing that was
 *          journaled.
 * Threads: jobs of one target, several at a time: the journal has a lock.
 * Not here: final names (committer.c). */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "fetch/run.h"
#include "pipeline/failure.h"

enum { READ_BYTES = 1 << 20 };

bool leat__disk_is_full(const leat_error *error)
{
    if (error->code != LEAT_EDISK) return false;
    return error->system == ENOSPC || error->system == EDQUOT || error->system == EROFS;
}

leat_code leat__disk_fail(leat__run *run, const char *what, int number, leat_error *error)
{
    struct statvfs disk;
    if ((number == ENOSPC || number == EDQUOT) && !fstatvfs(run->root.fd, &disk))
        leat__fail_errno(error, LEAT_EDISK, number, "%s in %s, where %.1f MB are free", what, run->root.shown,
                         (double)disk.f_bavail * (double)disk.f_frsize / 1e6);
    else leat__fail_errno(error, LEAT_EDISK, number, "%s in %s", what, run->root.shown);
    return LEAT_EDISK;
}

static void name_of(const leat__target *target, const char *token, char out[LEAT__FETCH_NAME])
{
    snprintf(out, LEAT__FETCH_NAME, "%s.%s", target->id, token);
}

/* ---- new ones ---- */

static void head_of(const leat__target *target, leat__journal_head *head)
{
    leat__summer *summer = leat__summer_new(LEAT__SUM_SHA256);
    *head = (leat__journal_head){.total = target->total, .part_bytes = target->grid.part_bytes};
    if (summer) {
        leat__summer_add(summer, target->entry.source, strlen(target->entry.source));
        leat__sum sum = leat__summer_finish(summer);
        memcpy(head->url_sum, sum.bytes, sizeof head->url_sum);
    }
    leat__summer_free(summer);
    memcpy(head->etag, target->etag, sizeof head->etag);
    memcpy(head->modified, target->modified, sizeof head->modified);
}

/* Reserves the whole file's room, so that a disk too small is known at once (C5). Not on tmpfs, which would clear every page now,
   and
 * again when it is written: the disk was asked for its free room before. */
static leat_code reserve(leat__target *target, leat_error *error)
{
    struct statfs system;
    if (fstatfs(target->fd, &system) == 0 && system.f_type == TMPFS_MAGIC) return LEAT_OK;
    if (fallocate(target->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)target->total) == 0) return LEAT_OK;
    if (errno != ENOSPC && errno != EDQUOT) return LEAT_OK; /* it cannot: then it is known when it is full */
    return leat__disk_fail(target->run, "reserving room for a file", errno, error);
}

/* Begins the journal. */
static leat_code keep(leat__target *target, leat_error *error)
{
    leat__journal_head head;
    char name[LEAT__FETCH_NAME];
    leat_code code = reserve(target, error);
    if (code) return code;
    leat__leftover_journal(target->name, name);
    head_of(target, &head);
    return leat__journal_create(target->run->work.fd, name, &head, &target->journal, error);
}

/* Parts that another entry of this run has left under the same name give way to this one's. */
static int create(const leat__target *target)
{
    const int flags = O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW;
    int work = target->run->work.fd, fd = TEMP_FAILURE_RETRY(openat(work, target->name, flags, 0666));
    char journal[LEAT__FETCH_NAME];
    leat__leftover_journal(target->name, journal);
    if (fd >= 0 || errno != EEXIST) return fd;
    if (faccessat(work, journal, F_OK, AT_SYMLINK_NOFOLLOW)) {
        errno = EEXIST;
        return fd;
    }
    leat__leftover_remove(target->run, target->name);
    return TEMP_FAILURE_RETRY(openat(work, target->name, flags, 0666));
}

leat_code leat__temporary_open(leat__target *target, leat_error *error)
{
    leat__run *run = target->run;
    leat_code code = LEAT_OK;
    if (target->fd < 0) {
        name_of(target, leat__owner_token(run->owner), target->name);
        target->fd = create(target);
        if (target->fd < 0) {
            int number = errno;
            target->name[0] = 0;
            return leat__disk_fail(run, "making a file", number, error);
        }
    }
    pthread_mutex_lock(&target->journal_lock);
    if (target->grid.count && !target->journal) code = keep(target, error);
    pthread_mutex_unlock(&target->journal_lock);
    return code;
}

leat_code leat__temporary_write(leat__target *target, const void *data, size_t size, uint64_t offset, leat_error *error)
{
    const uint8_t *at = data;
    while (size) {
        ssize_t n = pwrite(target->fd, at, size, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return leat__disk_fail(target->run, "writing a file", n < 0 ? errno : ENOSPC, error);
        at += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return LEAT_OK;
}

leat_code leat__temporary_note(leat__target *target, uint64_t part, uint32_t crc, leat_error *error)
{
    leat__journal_part record = {.number = part, .crc = crc};
    target->grid.crcs[part] = crc;
    pthread_mutex_lock(&target->journal_lock);
    leat_code code = leat__journal_add(target->journal, &record, 1, false, error);
    pthread_mutex_unlock(&target->journal_lock);
    return code;
}

/* ---- of earlier runs ---- */

/* CRC-32C of bytes of the file. False: they cannot be read, or the run ends. */
static bool crc_of(leat__target *target, uint8_t *buffer, uint64_t from, uint64_t to, uint32_t *crc)
{
    *crc = 0;
    while (from < to) {
        size_t size = to - from < READ_BYTES ? (size_t)(to - from) : READ_BYTES;
        ssize_t n = pread(target->fd, buffer, size, (off_t)from);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0 || atomic_load(&target->run->stopping)) return false;
        *crc = leat__crc32c(*crc, buffer, (size_t)n);
        from += (uint64_t)n;
    }
    return true;
}

/* Puts the parts whose bytes are right into the grid. */
static void take_parts(leat__target *target, const bool *there, const uint32_t *crcs)
{
    leat__grid *grid = &target->grid;
    uint8_t *buffer = malloc(READ_BYTES);
    for (uint64_t i = 0; buffer && i < grid->count; i++) {
        uint32_t crc;
        if (!there[i] || !crc_of(target, buffer, leat__grid_begin(grid, i), leat__grid_end(grid, i), &crc) ||
            crc != crcs[i]) continue;
        grid->crcs[i] = crc;
        leat__grid_set(grid, i, LEAT__PART_THERE);
    }
    free(buffer);
}

static bool is_file(int folder, const char *name)
{
    struct stat status;
    return fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode);
}

/* Removes what is no part or journal but has its name. */
static void discard(int folder, const char *name)
{
    if (unlinkat(folder, name, 0) && errno == EISDIR) unlinkat(folder, name, AT_REMOVEDIR);
}

/* What lies behind the object's end is nobody's. */
static leat_code cut_to_size(leat__target *target, leat_error *error)
{
    struct stat status;
    if (fstat(target->fd, &status) == 0 && (uint64_t)status.st_size <= target->total) return LEAT_OK;
    if (ftruncate(target->fd, (off_t)target->total) == 0) return LEAT_OK;
    return leat__disk_fail(target->run, "cutting a file to its size", errno, error);
}

/* Gets both files to the own name: first the journal, then the data, whose name alone says that there is something. */
static bool take_files(leat__target *target)
{
    int work = target->run->work.fd;
    char old[LEAT__FETCH_NAME], old_journal[LEAT__FETCH_NAME], journal[LEAT__FETCH_NAME];
    name_of(target, leat__owner_token(target->run->owner), target->name);
    leat__leftover_journal(target->name, journal);
    name_of(target, target->journal_of, old);
    leat__leftover_journal(old, old_journal);
    name_of(target, target->data_of, old);
    bool fine = is_file(work, old) && is_file(work, old_journal);
    if (!fine) {
        discard(work, old);
        discard(work, old_journal);
    }
    fine = fine && renameat(work, old_journal, work, journal) == 0 && renameat(work, old, work, target->name) == 0;
    if (!fine) {
        leat__leftover_remove(target->run, target->name); /* the journal, if that came */
        target->name[0] = 0;
    }
    if (fine) target->fd = TEMP_FAILURE_RETRY(openat(work, target->name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat status;
    return target->fd >= 0 && fstat(target->fd, &status) == 0 && S_ISREG(status.st_mode);
}

/* Whether the journal is of this object. */
static bool is_same(const leat__target *target, const leat__journal_head *head)
{
    leat__journal_head own;
    head_of(target, &own);
    bool fits = target->entry.bytes == LEAT__NO_BYTES || target->entry.bytes == head->total;
    return fits && head->total > 0 && !memcmp(own.url_sum, head->url_sum, sizeof own.url_sum);
}

void leat__temporary_adopt(leat__target *target)
{
    leat__journal_head head;
    uint32_t *crcs = NULL;
    bool *there = NULL;
    char name[LEAT__FETCH_NAME];
    leat_error error;
    leat_code code = take_files(target) ? LEAT_OK : leat__fail(&error, LEAT_ENOTFOUND, 0, "somebody else has it");
    leat__leftover_journal(target->name, name);
    if (!code) code = leat__journal_open(target->run->work.fd, name, &head, &crcs, &there, &target->journal, &error);
    if (!code && !is_same(target, &head)) code = leat__fail(&error, LEAT_ECHANGED, 0, "it is of another object");
    if (!code && !leat__grid_make(&target->grid, head.total, head.part_bytes)) code = leat__fail(&error, LEAT_ENOMEM, 0,
                                                                                                 "no memory");
    if (!code) {
        target->total = head.total;
        memcpy(target->etag, head.etag, sizeof target->etag);
        memcpy(target->modified, head.modified, sizeof target->modified);
        if (!cut_to_size(target, &error)) take_parts(target, there, crcs);
        target->ranges = target->sized = target->learnt = true;
        if (!target->grid.there && !atomic_load(&target->run->stopping)) code = leat__fail(&error, LEAT_ECORRUPT, 0,
                                                                                           "none of its parts is whole");
    }
    free(crcs);
    free(there);
    if (!code) return;
    if (code != LEAT_ENOTFOUND)
        leat__tell(target->run, LEAT_FETCH_NOTE, &target->entry, LEAT__NO_BYTES, error.message, 0, 0, false, NULL);
    leat__temporary_remove(target);
    leat__grid_clear(&target->grid);
    target->total = LEAT__NO_BYTES;
    target->etag[0] = target->modified[0] = 0;
    target->ranges = target->sized = target->learnt = false;
}

/* ---- the end ---- */

leat_code leat__temporary_close(leat__target *target, leat_error *error)
{
    int fd = target->fd;
    target->fd = -1;
    leat__journal_close(target->journal);
    target->journal = NULL;
    if (fd >= 0 && close(fd) && errno != EINTR) return leat__disk_fail(target->run, "closing a file", errno, error);
    return LEAT_OK;
}

void leat__temporary_remove(leat__target *target)
{
    leat_error ignored;
    leat__temporary_close(target, &ignored);
    if (target->name[0]) leat__leftover_remove(target->run, target->name);
    target->name[0] = 0;
}
