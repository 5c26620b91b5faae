/* file.c - the fetch stage for local files.
 *
 * What:    opens a task's file and reads it chunk by chunk; a loose file comes as one chunk of its size, so that it is
 *          decoded where the kernel put it. One step of the job reads a few chunks, then there has to be room again.
 * Why so:  reads block, on a cold disk for long: they run on threads of their own that never decode. Plain pread: mmap
 *          turns a file that shrinks into SIGBUS for the host, and page faults would block the workers that decode.
 * Threads: the job on the I/O pool; one operation at a time owns the state.
 * Errors:  travel as a failed chunk, in the object's place. */
#include "stages/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
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
    uint64_t size, offset; /* of the open file; read so far */
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
    bool last = !bytes.size || state->offset + bytes.size == state->size;
    leat__chunk *chunk = leat__chunk_make(state->lane, task->object, task->epoch, bytes, state->offset, last, error);
    if (!chunk) return leat__op_fail(op, LEAT_ENOMEM, "no memory for a chunk of a file");
    if (error) leat__error_at_stage(chunk->error, "fetch");
    state->offset += bytes.size;
    leat__emit(op, &chunk->item);
    if (!chunk->last) return LEAT__MORE;
    close_file(state);
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

static leat_code open_file(file_state *state, const leat__task *task, leat_error *error)
{
    state->offset = state->size = 0;
    state->ordinal++;
    /* O_NONBLOCK: opening a FIFO must not wait for a writer; regular files don't mind */
    state->fd = open(task->object->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (state->fd < 0) return leat__fail_errno(error, leat__code_of_errno(errno), errno, "cannot open the file");
    struct stat info;
    if (fstat(state->fd, &info)) return leat__fail_errno(error, LEAT_EIO, errno, "cannot look at the file");
    if (!S_ISREG(info.st_mode)) return leat__fail(error, LEAT_EUNSUPPORTED, 0, "not a regular file");
    state->size = (uint64_t)info.st_size;
    if (task->object->is_shard) posix_fadvise(state->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return check_size(state, task, error);
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

/* One chunk. */
static leat__step read_chunk(leat__op *op)
{
    file_state *state = leat__stage_state(op->stage);
    leat__lane *lane = state->lane;
    const leat__task *task = (const leat__task *)op->input;
    leat_error error;
    uint64_t left = state->size - state->offset;
    if (left == 0 || leat__lane_is_done_with(lane, state->ordinal, task->epoch))
        return emit_chunk(op, (leat__bytes){0}, NULL);
    size_t size = task->object->is_shard && left > lane->chunk_bytes ? lane->chunk_bytes : (size_t)left;
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
    if (state->fd < 0 && open_file(state, task, &error)) {
        close_file(state);
        state->offset = 0;
        return emit_chunk(op, (leat__bytes){0}, &error);
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
