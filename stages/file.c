/* file.c - the fetch stage for local files.
 *
 * What:    opens a task's file and reads it chunk by chunk; a loose file, and an extent of a shard, comes as one chunk of its size,
 *          so that samples are decoded where the kernel put them. One step of the job reads a few chunks, then there has to be room
 *          again. A shard stays open from extent to extent.
 * Why so:  reads block, on a cold disk for long: they run on threads of their own that never decode. Plain pread: mmap
 *          turns a file that shrinks into SIGBUS for the host, and page faults would block the workers that decode.
 * Threads: the job on the I/O pool; one operation at a time owns the state.
 * Errors:  travel as a failed chunk, in the object's place. */
#include "stages/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipeline/failure.h"
#include "pipeline/pipeline.h"

typedef struct file_state {
    leat__lane *lane;
    uint64_t max_object_bytes;
    uint64_t ordinal;      /* objects begun in this lane */
    int fd;                /* -1: none is open */
    const leat__object *object; /* of the open file */
    bool reading;          /* a task is under way */
    uint64_t size;         /* of the open file */
    uint64_t offset, end;  /* the task's: read so far, and to be read */
} file_state;

void *leat__file_state_new(leat__lane *lane, uint64_t max_object_bytes)
{
    file_state *state = calloc(1, sizeof *state);
    if (state) *state = (file_state){.lane = lane, .max_object_bytes = max_object_bytes, .fd = -1};
    return state;
}

static void close_file(file_state *state)
{
    if (state->fd >= 0) close(state->fd);
    state->fd = -1;
    state->object = NULL;
}

static void file_destroy(void *argument)
{
    close_file(argument);
    free(argument);
}

/* Emits a chunk; without bytes it only ends the object. LEAT__FAILED if memory is short. */
static leat__step emit_chunk(leat__op *op, leat__bytes bytes, const leat_error *error)
{
    file_state *state = leat__stage_state(op->stage);
    const leat__task *task = (const leat__task *)op->input;
    bool last = !bytes.size || state->offset + bytes.size == state->end;
    leat__chunk *chunk = leat__chunk_make(state->lane, task, bytes, state->offset, last, error);
    if (!chunk) return leat__op_fail(op, LEAT_ENOMEM, "no memory for a chunk of a file");
    if (error) leat__error_at_stage(chunk->error, "fetch");
    state->offset += bytes.size;
    leat__emit(op, &chunk->item);
    if (!chunk->last) return LEAT__MORE;
    state->reading = false;
    if (error || task->extent.to == UINT64_MAX) close_file(state);
    return LEAT__DONE;
}

static leat_code check_size(const file_state *state, const leat__task *task, leat_error *error)
{
    unsigned long long size = state->size;
    if (state->size > state->max_object_bytes)
        return leat__fail(error, LEAT_ELIMIT, 0, "the file has %llu bytes, over max_object_bytes (%llu)", size,
                          (unsigned long long)state->max_object_bytes);
    if (!task->object->is_shard && state->size > state->lane->max_sample_bytes)
        return leat__fail(error, LEAT_ELIMIT, 0, "the file has %llu bytes, over %s (%llu)", size, state->lane->limit_hint,
                          (unsigned long long)state->lane->max_sample_bytes);
    return LEAT_OK;
}

/* Whether it is the file that the index speaks of. */
static leat_code check_index(const file_state *state, const leat__task *task, leat_error *error)
{
    if (task->total != UINT64_MAX && task->total != state->size)
        return leat__fail(error, LEAT_ECHANGED, 0, "the index says %llu bytes, the file has %llu: run leat index again",
                          (unsigned long long)task->total, (unsigned long long)state->size);
    if (!task->has_head_crc) return LEAT_OK;
    uint8_t head[LEAT__HEAD_BYTES];
    ssize_t n = pread(state->fd, head, sizeof head, 0);
    if (n < 0) return leat__fail_errno(error, LEAT_EIO, errno, "read failed at byte 0");
    if (libdeflate_crc32(0, head, (size_t)n) == task->head_crc) return LEAT_OK;
    return leat__fail(error, LEAT_ECHANGED, 0, "the file begins otherwise than the index says: run leat index again");
}

static leat_code open_file(file_state *state, const leat__task *task, leat_error *error)
{
    if (state->fd >= 0 && state->object == task->object) return LEAT_OK;
    close_file(state);
    /* O_NONBLOCK: opening a FIFO must not wait for a writer; regular files don't mind */
    state->fd = open(task->object->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (state->fd < 0) return leat__fail_errno(error, leat__code_of_errno(errno), errno, "cannot open the file");
    state->object = task->object;
    struct stat info;
    if (fstat(state->fd, &info)) return leat__fail_errno(error, LEAT_EIO, errno, "cannot look at the file");
    if (!S_ISREG(info.st_mode)) return leat__fail(error, LEAT_EUNSUPPORTED, 0, "not a regular file");
    state->size = (uint64_t)info.st_size;
    if (task->object->is_shard && task->extent.to == UINT64_MAX) posix_fadvise(state->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    leat_code code = check_size(state, task, error);
    return code ? code : check_index(state, task, error);
}

/* Opens the task's file, or goes on in it, and sets what is to be read. */
static leat_code begin_task(file_state *state, const leat__task *task, leat_error *error)
{
    const leat__extent *extent = &task->extent;
    leat_code code = open_file(state, task, error);
    if (code) return code;
    state->end = extent->to < state->size ? extent->to : state->size;
    if (extent->to == UINT64_MAX || state->end == extent->to) return LEAT_OK;
    return leat__fail(error, LEAT_ETRUNCATED, 0, "the file has %llu bytes, the index names bytes up to %llu",
                      (unsigned long long)state->size, (unsigned long long)extent->to);
}

/* Reads until `size` bytes are there; the file's end before that is an error: it had them when it was opened. */
static leat_code read_exactly(const file_state *state, uint8_t *data, size_t size, leat_error *error)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = pread(state->fd, data + done, size - done, (off_t)(state->offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return leat__fail_errno(error, LEAT_EIO, errno, "read failed at byte %llu",
                                           (unsigned long long)(state->offset + done));
        if (n == 0) return leat__fail(error, LEAT_ETRUNCATED, 0, "the file ended at byte %llu while it was read, it had %llu",
                                      (unsigned long long)(state->offset + done), (unsigned long long)state->size);
        done += (size_t)n;
    }
    return LEAT_OK;
}

/* Bytes to be read at once: files and extents whole, unless an extent has what no sample may have. */
static size_t next_size(const file_state *state, const leat__task *task)
{
    const leat__lane *lane = state->lane;
    uint64_t left = state->end - state->offset, whole = lane->burst_bytes;
    if (whole < lane->max_sample_bytes) whole = lane->max_sample_bytes;
    if (!task->object->is_shard || left <= lane->chunk_bytes) return (size_t)left;
    return task->extent.to != UINT64_MAX && left <= whole ? (size_t)left : lane->chunk_bytes;
}

/* One chunk. */
static leat__step read_chunk(leat__op *op)
{
    file_state *state = leat__stage_state(op->stage);
    leat__lane *lane = state->lane;
    const leat__task *task = (const leat__task *)op->input;
    leat_error error;
    if (state->offset == state->end || leat__lane_is_done_with(lane, state->ordinal, task->epoch))
        return emit_chunk(op, (leat__bytes){0}, NULL);
    size_t size = next_size(state, task);
    leat__buffer *buffer = leat__buffer_new(lane->arena, lane->budget, size);
    if (!buffer) return leat__op_fail(op, LEAT_ENOMEM, "no memory for %zu bytes of a file", size);
    if (read_exactly(state, buffer->data, size, &error)) {
        leat__buffer_release(buffer);
        return emit_chunk(op, (leat__bytes){0}, &error);
    }
    atomic_fetch_add_explicit(&lane->flow->bytes_read, size, memory_order_relaxed);
    return emit_chunk(op, (leat__bytes){.buffer = buffer, .data = buffer->data, .size = size}, NULL);
}

/* The chunks that there was room for when it began, of a shard LEAT__LANE_BURST: waking a thread costs more than reading one. */
static leat__step file_job(leat__op *op)
{
    LEAT__ASSERT_JOB(leat__stage_pipeline(op->stage));
    file_state *state = leat__stage_state(op->stage);
    const leat__task *task = (const leat__task *)op->input;
    leat_error error;
    if (!state->reading) {
        state->reading = true;
        state->ordinal++;
        state->offset = task->extent.from;
        if (begin_task(state, task, &error)) return emit_chunk(op, (leat__bytes){0}, &error);
    }
    leat__step step = read_chunk(op);
    for (int i = 1; i < LEAT__LANE_BURST && step == LEAT__MORE && !atomic_load(&op->cancelled); i++) step = read_chunk(op);
    return step;
}

static leat__step file_begin(leat__op *op)
{
    (void)op;
    return LEAT__IO;
}

/* Room for all that a job reads is asked for before it. A loose file is at most max_sample_bytes, which the plan has set so that it
 * fits beside a chunk's room (loader/plan.c). */
static bool file_ready(leat__stage *stage, const leat__item *input)
{
    (void)input;
    leat__lane *lane = ((file_state *)leat__stage_state(stage))->lane;
    return leat__budget_fits(lane->budget, lane->burst_bytes);
}

const leat__stage_type leat__file_type = {
    .name = "fetch", .begin = file_begin, .job = file_job, .ready = file_ready, .destroy = file_destroy};
