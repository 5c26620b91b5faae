/* packshard.c - writes one planned shard of local files.
 *
 * What:    for each sample of the shard: open its files, check them, header, body straight into the shard's buffer.
 * Why so:  a file that fails before its header is written is simply left out. One that fails in mid-body can't be taken
 *          back out of a compressed stream: the shard is begun again without it, which is rare and always right.
 * Threads: the writer's own.
 * Invariants: samples of the plan are changed by their shard's writer only; job progress is the sum over all writers.
 * Not here: which file goes where (packplan.c), threads (packfiles.c). */
#include "loader/packshard.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipeline/failure.h"

leat_code leat__shard_writer_begin(leat__shard_writer *writer, leat__pack_job *job, leat__pack_plan *plan,
                                   leat_error *error)
{
    assert(plan->shards > 0 && plan->longest_name > 0);
    *writer = (leat__shard_writer){.job = job, .plan = plan};
    writer->file = leat__shard_file_new(job->config.compression, job->config.level);
    writer->name = malloc(plan->longest_name);
    if (writer->file && writer->name) return LEAT_OK;
    leat__shard_writer_end(writer);
    return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a shard's buffers");
}

void leat__shard_writer_end(leat__shard_writer *writer)
{
    leat__shard_file_free(writer->file);
    free(writer->name);
    leat__place_list_end(&writer->places);
    *writer = (leat__shard_writer){0};
}

static leat_code fail_input(leat__shard_writer *writer, const leat__object *object, leat_error *error)
{
    writer->foreign = true;
    leat__pack_set_place(error, "read", object->display, object->key);
    return error->code;
}

/* A regular file of the size that was planned; *fd: gives. */
static leat_code open_input(leat__shard_writer *writer, const leat__object *object, uint64_t size, int *fd,
                            leat_error *error)
{
    struct stat status;
    *fd = open(object->name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (*fd < 0 || fstat(*fd, &status) < 0) {
        int number = errno;
        leat__fail_errno(error, leat__code_of_errno(number), number, "%s", object->display);
        return fail_input(writer, object, error);
    }
    if (S_ISREG(status.st_mode) && (uint64_t)status.st_size == size) return LEAT_OK;
    leat__fail(error, LEAT_ECHANGED, 0, "%s: changed while it was packed: had %" PRIu64 " bytes, now %" PRIu64,
               object->display,
               size, (uint64_t)status.st_size);
    return fail_input(writer, object, error);
}

/* Copies the body. Each read asks for one byte more than is left, so that growth shows without a call of its own. */
static leat_code copy_body(leat__shard_writer *writer, const leat__object *object, int fd, uint64_t size,
                           leat_error *error)
{
    uint64_t left = size;
    assert(writer->tar.left == size);
    while (left > 0) {
        uint8_t *space;
        size_t room;
        if (leat__pack_stopping(writer->job)) return leat__pack_stopped(error);
        leat_code code = leat__shard_file_space(writer->file, &space, &room, error);
        if (code) return code;
        size_t wanted = left < room ? (size_t)left : room;
        ssize_t got = read(fd, space, wanted == left ? wanted + 1 : wanted);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            leat__fail_errno(error, leat__code_of_errno(errno), errno, "%s: reading at byte %" PRIu64, object->display,
                             size - left);
            return fail_input(writer, object, error);
        }
        if (got == 0 || (size_t)got > wanted) {
            leat__fail(error, LEAT_ECHANGED, 0, "%s: %s while it was packed: had %" PRIu64 " bytes", object->display,
                       got == 0 ? "shrank" : "grew", size);
            return fail_input(writer, object, error);
        }
        leat__shard_file_advance(writer->file, (size_t)got);
        code = leat__tar_writer_skip(&writer->tar, (size_t)got, error);
        if (code) return code;
        left -= (size_t)got;
    }
    return LEAT_OK;
}

static leat_code write_field(leat__shard_writer *writer, const leat__object *object, uint64_t size, leat_error *error)
{
    int fd;
    leat_code code = open_input(writer, object, size, &fd, error);
    if (!code) {
        leat__pack_entry_name(object, writer->name, writer->plan->longest_name);
        code = leat__tar_writer_entry(&writer->tar, writer->name, size, error);
    }
    if (!code) code = copy_body(writer, object, fd, size, error);
    if (fd >= 0) close(fd);
    return code;
}

static leat_code write_sample(leat__shard_writer *writer, const leat__pack_sample *sample, leat_error *error)
{
    const leat__pack_plan *plan = writer->plan;
    leat__pack_job *job = writer->job;
    leat_code code = LEAT_OK;
    char text[24];
    for (uint32_t i = 0; !code && i < sample->fields; i++) {
        const leat__object *object = &job->listing->objects[sample->first + i];
        code = write_field(writer, object, plan->sizes[sample->first + i], error);
    }
    if (code || !leat__pack_class_entry(job, sample, writer->name, plan->longest_name, text)) return code;
    code = leat__tar_writer_entry(&writer->tar, writer->name, strlen(text), error);
    return code ? code : leat__tar_writer_body(&writer->tar, text, strlen(text), error);
}

/* Brings the job's progress up to what the shard has: negative after a shard was begun again. */
static void report(leat__shard_writer *writer, uint64_t samples, uint64_t bytes)
{
    atomic_fetch_add(&writer->job->samples, samples - writer->samples);
    atomic_fetch_add(&writer->job->unpacked_bytes, bytes - writer->bytes);
    writer->samples = samples;
    writer->bytes = bytes;
}

/* Writes the samples and the end mark. *again: a sample failed after bytes of it were written, and is left out now. */
static leat_code write_samples(leat__shard_writer *writer, size_t shard, bool *again, leat_error *error)
{
    leat__pack_plan *plan = writer->plan;
    leat__pack_job *job = writer->job;
    *again = false;
    assert(shard < plan->shards && leat__shard_file_position(writer->file) == 0);
    leat__tar_writer_begin(&writer->tar, leat__shard_file_write, writer->file);
    report(writer, 0, 0);
    leat__place_list_clear(&writer->places);
    for (size_t i = plan->shard_begins[shard]; i < plan->shard_begins[shard + 1]; i++) {
        leat__pack_sample *sample = &plan->samples[i];
        if (sample->fields == 0) continue;
        if (leat__pack_stopping(job)) return leat__pack_stopped(error);
        uint64_t before = leat__shard_file_position(writer->file);
        writer->foreign = false;
        leat_code code = write_sample(writer, sample, error);
        if (code && writer->foreign) {
            size_t first = sample->first;
            sample->fields = 0;
            code = leat__pack_failed(job, first, error);
            *again = !code && leat__shard_file_position(writer->file) != before;
            if (*again) return LEAT_OK;
            if (!code) continue;
        }
        if (!code) code = leat__place_list_add(&writer->places, before, error);
        if (code) return code;
        report(writer, writer->samples + 1, leat__shard_file_position(writer->file));
    }
    leat_code code = leat__place_list_add(&writer->places, leat__shard_file_position(writer->file), error);
    return code ? code : leat__tar_writer_end(&writer->tar, error);
}

leat_code leat__shard_writer_run(leat__shard_writer *writer, size_t shard, leat_error *error)
{
    leat__pack_job *job = writer->job;
    char name[LEAT__SHARD_NAME];
    bool again = true;
    leat_code code = LEAT_OK;
    assert(writer->samples == 0 && writer->bytes == 0);
    leat__pack_name(job, shard, name);
    while (!code && again) {
        leat__shard_file_abandon(writer->file);
        code = leat__shard_file_begin(writer->file, job->directory, job->config.to, name, job->config.overwrite, error);
        if (!code) code = write_samples(writer, shard, &again, error);
    }
    uint64_t stored = 0, places = writer->places.count, unpacked = leat__shard_file_position(writer->file);
    if (!code) code = leat__shard_file_commit(writer->file, &stored, error);
    if (!code)
        code = leat__pack_note_shard(job, name, stored, unpacked, places - 1, leat__place_list_take(&writer->places), error);
    leat__shard_file_abandon(writer->file);
    if (code) {
        report(writer, 0, 0);
        return code;
    }
    atomic_fetch_add(&job->stored_bytes, stored);
    atomic_fetch_add(&job->shards, 1);
    writer->samples = writer->bytes = 0;
    return LEAT_OK;
}
