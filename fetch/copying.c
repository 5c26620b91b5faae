/* copying.c - local sources: files of other disks and network file systems.
 *
 * What:    a job copies a part, or a small file whole, by read and write; parts are journaled like those of the network. Size and
 *          time of the last change stand for an ETag: a source that changes under way is begun anew, once.
 * Why so:  a mounted file system can stall and fail as a server can, and 2 TB of it are not copied twice either. copy_file_range
 *          would spare a copy in memory, but every byte is read for its checksum in any case.
 * Threads: leat__copy_run on the pool, with the target to itself; the rest on the loop. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fetch/run.h"
#include "pipeline/failure.h"

enum { READ_BYTES = 1 << 20 };

/* What stands for its ETag. */
static void mark_of(const struct stat *status, char etag[128])
{
    snprintf(etag, 128, "%lld.%09ld-%lld", (long long)status->st_mtim.tv_sec, status->st_mtim.tv_nsec, (long long)status->st_size);
}

static int open_source(const char *source, struct stat *status, leat_error *error)
{
    int fd = TEMP_FAILURE_RETRY(open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (fd < 0) leat__fail_errno(error, leat__code_of_errno(errno), errno, "cannot open it");
    else if (fstat(fd, status)) leat__fail_errno(error, LEAT_EIO, errno, "cannot look at it");
    else if (!S_ISREG(status->st_mode)) leat__fail(error, LEAT_EUNSUPPORTED, 0, "not a regular file");
    else return fd;
    if (fd >= 0) close(fd);
    return -1;
}

/* The source is seen for the first time: how large, and in which parts. */
static leat_code learn(leat__target *target, const struct stat *status, leat_error *error)
{
    leat__run *run = target->run;
    uint64_t total = (uint64_t)status->st_size;
    target->learnt = target->sized = target->ranges = true;
    target->total = total;
    mark_of(status, target->etag);
    if (total > run->config.max_object_bytes)
        return leat__fail(error, LEAT_ELIMIT, 0, "it has %" PRIu64 " bytes, over max_object_bytes, %" PRIu64, total,
                          run->config.max_object_bytes);
    if (total <= run->config.part_bytes) return LEAT_OK;
    if (leat__grid_make(&target->grid, total, run->config.part_bytes)) return LEAT_OK;
    return leat__fail(error, LEAT_ENOMEM, 0, "no memory for the parts of a file");
}

static leat_code copy(leat__write_job *job, int source, uint64_t from, uint64_t to, uint8_t *buffer)
{
    leat__target *target = job->target;
    uint32_t crc = 0;
    leat_code code = leat__temporary_open(target, &job->error);
    while (!code && from < to && !atomic_load(&target->run->stopping)) {
        size_t size = to - from < READ_BYTES ? (size_t)(to - from) : READ_BYTES;
        ssize_t n = pread(source, buffer, size, (off_t)from);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return leat__fail_errno(&job->error, LEAT_EIO, errno, "reading it at byte %" PRIu64, from);
        if (n == 0) return leat__fail(&job->error, LEAT_ECHANGED, 0, "it ended at byte %" PRIu64 ", it had %" PRIu64, from,
                                      target->total);
        code = leat__temporary_write(target, buffer, (size_t)n, from, &job->error);
        crc = leat__crc32c(crc, buffer, (size_t)n);
        if (!target->grid.count && target->summer) leat__summer_add(target->summer, buffer, (size_t)n);
        from += (uint64_t)n;
        job->bytes += (uint64_t)n;
    }
    if (code || from < to) return code;
    if (!target->grid.count) target->crc = crc;
    else code = leat__temporary_note(target, job->part, crc, &job->error);
    if (target->grid.count && !code) job->end_part = (job->first_part = job->part) + 1;
    return code;
}

/* The first part that is not there. */
static uint64_t next_part(const leat__grid *grid)
{
    uint64_t part = 0;
    while (part < grid->count && grid->states[part] == LEAT__PART_THERE) part++;
    return part;
}

/* Whether it is still what it was when it was begun: looked at after it was read. */
static void check_mark(const leat__target *target, int source, leat_error *error)
{
    struct stat status;
    char etag[128];
    if (error->code) return;
    if (fstat(source, &status)) {
        leat__fail_errno(error, LEAT_EIO, errno, "cannot look at it");
        return;
    }
    mark_of(&status, etag);
    if (strcmp(etag, target->etag)) leat__fail(error, LEAT_ECHANGED, 0, "it changed while it was read");
}

void leat__copy_run(leat__write_job *job)
{
    leat__target *target = job->target;
    struct stat status;
    uint8_t *buffer = malloc(READ_BYTES);
    int source = open_source(target->entry.source, &status, &job->error);
    if (!buffer && !job->error.code) leat__fail(&job->error, LEAT_ENOMEM, 0, "no memory to copy a file");
    if (!job->error.code) {
        if (!target->learnt && !target->grid.count) learn(target, &status, &job->error);
        else check_mark(target, source, &job->error);
    }
    if (!job->error.code) {
        leat__grid *grid = &target->grid;
        job->part = next_part(grid);
        uint64_t from = grid->count ? leat__grid_begin(grid, job->part) : 0;
        uint64_t to = grid->count ? leat__grid_end(grid, job->part) : target->total;
        copy(job, source, from, to, buffer);
        check_mark(target, source, &job->error);
        job->finish = !grid->count && !job->error.code && job->bytes == target->total;
        target->size = target->total;
    }
    if (source >= 0) close(source);
    free(buffer);
}

void leat__copy_returned(leat__write_job *job)
{
    leat__target *target = job->target;
    leat__run *run = target->run;
    run->copies--;
    run->bytes += job->bytes;
    run->tokens -= (double)job->bytes;
    target->opened = true;
    if (target->sized) leat__target_sized(target, target->total);
}

void leat__copy_next(leat__target *target)
{
    leat_error error;
    leat__run *run = target->run;
    target->held = run->config.limit_rate && run->tokens < 0;
    if (target->held) return; /* until leat__streams_resume */
    leat__write_job *job = leat__write_job_new(target, LEAT__JOB_COPY);
    if (!job) {
        leat__fail(&error, LEAT_ENOMEM, 0, "no memory for a job");
        leat__target_end(target, LEAT__FATE_FAILED, &error);
        return;
    }
    run->copies++;
    target->attempts = 1;
    target->learning = !target->learnt;
    leat__write_job_submit(job);
}
