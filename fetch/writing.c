/* writing.c - the jobs of a run: bytes to disk, checksums.
 *
 * What:    a job writes what has arrived of one stream, computes the CRC-32C of parts, and, where the whole file is one stream, the
 *          checksum that the entry asks for. A small file is one job: open, write, compare, close.
 * Why so:  the loop does not read, write or hash (it only unlinks what failed). One job a stream at a time keeps its bytes in order, so that a CRC
 *          needs no second reading; SHA-256 and MD5 of a file in parts follow behind, as the parts are finished from its beginning
 *          on.
 * Threads: run_* on the pool; the rest on the loop. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fetch/run.h"
#include "pipeline/failure.h"

enum { READ_BYTES = 1 << 20 };

/* ---- on the pool ---- */

/* Bytes of a file without parts. */
static void add_single(leat__target *target, const leat__bytes *bytes)
{
    target->crc = leat__crc32c(target->crc, bytes->data, bytes->size);
    if (target->summer) leat__summer_add(target->summer, bytes->data, bytes->size);
}

/* Bytes of a stream, whose CRC is taken part by part. */
static leat_code add_to_parts(leat__write_job *job, const leat__bytes *bytes, uint64_t offset)
{
    leat__grid *grid = &job->target->grid;
    leat__strand *stream = job->stream;
    const uint8_t *at = bytes->data;
    size_t left = bytes->size;
    while (left) {
        uint64_t part = offset / grid->part_bytes, end = leat__grid_end(grid, part);
        size_t size = end - offset < left ? (size_t)(end - offset) : left;
        stream->crc = leat__crc32c(stream->crc, at, size);
        at += size;
        left -= size;
        offset += size;
        if (offset < end) return LEAT_OK;
        if (leat__temporary_note(job->target, part, stream->crc, &job->error)) return job->error.code;
        if (job->end_part == job->first_part) job->first_part = part;
        job->end_part = part + 1;
        stream->crc = 0;
    }
    return LEAT_OK;
}

/* Reads what is on disk for the entry's checksum, up to a byte. */
static leat_code sum_up_to(leat__target *target, uint64_t to, leat_error *error)
{
    leat_code code = LEAT_OK;
    uint8_t *buffer = malloc(READ_BYTES);
    if (!buffer) return leat__fail(error, LEAT_ENOMEM, 0, "no memory to read a file");
    while (!code && target->summed < to) {
        uint64_t left = to - target->summed;
        ssize_t n = pread(target->fd, buffer, left < READ_BYTES ? (size_t)left : READ_BYTES, (off_t)target->summed);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) code = leat__disk_fail(target->run, "reading a file", n < 0 ? errno : EIO, error);
        else leat__summer_add(target->summer, buffer, (size_t)n);
        if (n > 0) target->summed += (uint64_t)n;
        if (!code && target->summed < to && atomic_load(&target->run->stopping))
            code = leat__fail(error, LEAT_ECLOSED, 0, "stopped");
    }
    free(buffer);
    return code;
}

static leat_code compare(leat__target *target, leat_error *error)
{
    const leat__entry *entry = &target->entry;
    char got[LEAT__SUM_HEX], wanted[LEAT__SUM_HEX];
    if (entry->bytes != LEAT__NO_BYTES && entry->bytes != target->size)
        return leat__fail(error, LEAT_ECHECKSUM, 0, "it has %" PRIu64 " bytes, the list says %" PRIu64, target->size, entry->bytes);
    if (!entry->sum.kind || leat__sum_equal(&target->sum, &entry->sum)) return LEAT_OK;
    leat__sum_hex(&target->sum, got);
    leat__sum_hex(&entry->sum, wanted);
    return leat__fail(error, LEAT_ECHECKSUM, 0, "its %s is %s, the list says %s (%" PRIu64 " bytes%s%s)",
                      leat__sum_name(entry->sum.kind),
                      got, wanted, target->size, target->type[0] ? ", Content-Type " : "", target->type);
}

/* All bytes are on disk. */
static leat_code finish(leat__target *target, leat_error *error)
{
    leat_code code = LEAT_OK;
    if (target->grid.count) {
        target->crc = leat__grid_crc(&target->grid);
        target->size = target->grid.total;
        if (target->summer) code = sum_up_to(target, target->size, error);
    }
    if (code) return code; /* its parts are kept: nothing is wrong with them */
    if (target->summer) target->sum = leat__summer_finish(target->summer);
    else if (target->entry.sum.kind == LEAT__SUM_CRC32C) target->sum = leat__sum_of_crc32c(target->crc);
    code = compare(target, error);
    target->verified = target->sized || target->entry.bytes != LEAT__NO_BYTES || target->entry.sum.kind;
    leat_code closed = leat__temporary_close(target, code ? NULL : error);
    return code ? code : closed;
}

static void run_write(leat__write_job *job)
{
    leat__target *target = job->target;
    uint64_t offset = job->offset;
    leat_code code = leat__temporary_open(target, &job->error);
    for (unsigned i = 0; !code && i < job->count; i++) {
        const leat__bytes *bytes = &job->buffers[i];
        code = leat__temporary_write(target, bytes->data, bytes->size, offset, &job->error);
        if (!code && !target->grid.count) add_single(target, bytes);
        else if (!code) code = add_to_parts(job, bytes, offset);
        offset += bytes->size;
    }
    if (!target->grid.count) target->size = offset;
    if (!code && job->finish) finish(target, &job->error);
}

static void run_job(leat__job *base)
{
    leat__write_job *job = (leat__write_job *)base;
    leat__target *target = job->target;
    switch (job->kind) {
    case LEAT__JOB_LOOK:
        leat__temporary_adopt(target);
        break;
    case LEAT__JOB_WRITE:
        run_write(job);
        break;
    case LEAT__JOB_SUM:
        sum_up_to(target, job->to, &job->error);
        break;
    case LEAT__JOB_COPY:
        leat__copy_run(job);
        if (!job->error.code && job->finish) finish(target, &job->error);
        break;
    case LEAT__JOB_FINISH:
        if (leat__temporary_open(target, &job->error) == LEAT_OK) finish(target, &job->error); /* an empty file has had no other job
                                                                                                  */
        break;
    }
    for (unsigned i = 0; i < job->count; i++) leat__bytes_release(&job->buffers[i]);
}

/* ---- on the loop ---- */

leat__write_job *leat__write_job_new(leat__target *target, leat__write_kind kind)
{
    leat__write_job *job = calloc(1, sizeof *job);
    if (!job) return NULL;
    job->job.run = run_job;
    job->target = target;
    job->kind = kind;
    leat__error_clear(&job->error);
    return job;
}

void leat__write_job_submit(leat__write_job *job)
{
    job->target->jobs++;
    if (job->kind == LEAT__JOB_WRITE) atomic_fetch_add(&job->target->run->unwritten, job->bytes);
    job->target->run->submitted++;
    leat__pool_submit(job->target->run->pool, &job->job);
}

/* What a failed job means. What the network or a change under way may have done is begun anew, once. */
static leat__fate fate_of(const leat__write_job *job)
{
    const leat__target *target = job->target;
    leat_code code = job->error.code;
    bool passing = code == LEAT_ECHECKSUM ? target->entry.is_url : code == LEAT_ECHANGED && job->kind == LEAT__JOB_COPY;
    if (code == LEAT_ECLOSED) return LEAT__FATE_CANCELLED;
    return passing && !target->restarted ? LEAT__FATE_ANEW : LEAT__FATE_FAILED;
}

/* Takes a job's results into its target and stream. */
static void job_returned(leat__write_job *job)
{
    leat__target *target = job->target;
    leat__run *run = target->run;
    assert(target->jobs > 0 && !job->job.cancelled);
    target->jobs--;
    if (job->kind == LEAT__JOB_WRITE) atomic_fetch_sub(&run->unwritten, job->bytes);
    if (job->stream) {
        job->stream->busy = false;
        job->stream->written += job->bytes;
    }
    if (job->kind == LEAT__JOB_WRITE) {
        target->opening = false;
        target->opened = true;
    }
    if (job->kind == LEAT__JOB_SUM) target->summing = false;
    target->learning = false; /* while it was, no other job ran */
    for (uint64_t part = job->first_part; part < job->end_part; part++) leat__grid_set(&target->grid, part, LEAT__PART_THERE);
    if (job->kind == LEAT__JOB_COPY) leat__copy_returned(job);
    if (job->finish || job->kind == LEAT__JOB_FINISH) target->finished = !job->error.code;
    leat__strand *stream = job->stream;
    bool over = stream && (target->state == LEAT__TARGET_ENDING || (!stream->transfer && !stream->pending_count));
    if (over) leat__strand_free(stream);
    else if (stream) leat__strand_mark(stream);
    if (job->error.code) leat__target_end(target, fate_of(job), &job->error);
    else leat__target_step(target);
}

void leat__writing_reap(leat__run *run)
{
    leat__job *done;
    while ((done = leat__pool_take_done(run->pool))) {
        job_returned((leat__write_job *)done);
        free(done);
    }
}
