/* cached.c - the fetch stage for URLs of shards that are kept on the local disk.
 *
 * What:    reads an object from its entry in the cache, which may still be growing; begins to fill it where nobody does; and goes
 *          past the cache, straight to the server, where that is of no use.
 * Why so:  all bytes are read from the file, also by the process that fetches them: one way for the first epoch and the later ones,
 *          for one process and many, for whole shards and extents. What was just written comes from memory. A growing file is
 *          looked at with fstat every 10 ms: no messages between processes, nothing to lose when one is killed.
 * Threads: loop thread; the job (cachedjob.c) on the I/O pool: one operation at a time owns the state, and the loop leaves it alone
 *          while a job has it (`waiting` is false then), but for what a fill says (`news`, `failure`).
 * States:  LOOK --job--> LOOKED --open--> READ --all there is has been read--> wait: grown? READ; too long? LOOK
 *                           |--claimed: a fill begins--> LOOK         `--damaged, given up--> PAST
 *                           |--somebody else's, not there yet--> wait --> LOOK
 *                           `--no use, or for too long--> PAST (webread.c), from the next byte on, of the same object
 * Never mixed: an object that was begun goes on in another file, or from the server, only where ETag and size are the same. */
#include "stages/cached_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"
#include "pipeline/pipeline.h"

enum {
    LOOK_NS = 10000000,     /* between two looks at a growing file */
    LATER_NS = 100000000,   /* and at one that has not grown for that long, or at names */
};

void *leat__cached_state_new(leat__lane *lane, leat__fills *fills)
{
    leat__cached *state = calloc(1, sizeof *state);
    if (!state) return NULL;
    *state = (leat__cached){.lane = lane, .fills = fills, .over = true, .web = {.lane = lane, .http = fills->http}};
    state->file.fd = state->found.fd = state->part.file.fd = -1;
    return state;
}

static void cached_destroy(void *argument)
{
    leat__cached *state = argument;
    leat__cachefile_close(&state->file);
    leat__cachefile_close(&state->found);
    leat__cachefile_close(&state->part.file);
    leat__webread_clear(&state->web);
    free(state);
}

static const leat__task *task_of(const leat__cached *state)
{
    return (const leat__task *)state->op->input;
}

static uint64_t now_of(const leat__cached *state)
{
    const leat__env *env = leat__pipeline_env(leat__stage_pipeline(state->op->stage));
    return env->now_ns(env->user);
}

/* ---- on the loop ---- */

/* Waits for time or news. */
static leat__step stay(leat__cached *state, uint64_t ns)
{
    state->waiting = true;
    leat__op_after(state->op, ns);
    return LEAT__LATER;
}

static void leave_fill(leat__cached *state)
{
    if (state->fill && state->filling) leat__fill_unwatch(state->fill);
    else if (state->fill) leat__fill_give_back(state->fill);
    state->fill = NULL;
    state->filling = false;
}

static bool is_unwanted(const leat__cached *state)
{
    return leat__lane_is_done_with(state->lane, state->ordinal, task_of(state)->epoch);
}

static leat__step end_early(leat__cached *state, const leat_error *error)
{
    return leat__cached_emit(state->op, (leat__bytes){0}, true, error);
}

/* Sends the job to look at names. */
static leat__step go_look(leat__cached *state)
{
    if (!state->fill) state->fill = leat__fill_take(state->fills);
    state->may_fill = state->fill && !state->filling;
    state->looked_ns = now_of(state);
    state->at = LOOK;
    return LEAT__IO;
}

/* Straight to the server. */
static leat__step go_past(leat__cached *state)
{
    const leat__task *task = task_of(state);
    leat__http_range range = {.from = state->offset, .to = task->extent.to, .total = task->total, .etag = task->etag};
    if (state->file.fd >= 0) {
        range.total = state->file.head.total;
        range.etag = state->file.head.etag;
        range.modified = state->file.head.modified;
    }
    if (!state->past) leat__cached_count(&state->fills->bypassed);
    state->past = state->over = true; /* webread.c ends the operation */
    leave_fill(state);
    return leat__webread_begin(&state->web, state->op, &range, state->ordinal);
}

static void on_news(void *user, leat__fill_news news, const leat_error *error);

static void start_fill(leat__cached *state)
{
    const leat__task *task = task_of(state);
    const leat__fill_order order = {.url = task->object->name, .key = state->key, .total = task->total,
                                    .etag = task->etag ? task->etag : "", .part = state->part, .tell = on_news, .user = state};
    state->part.file.fd = -1;
    state->filling = state->fresh = true;
    state->news = LEAT__FILL_GREW;
    leat__fill_start(state->fill, &order);
}

/* Whether bytes of the object have been handed out, so that the rest has to be of the same. */
static bool is_begun(const leat__cached *state)
{
    return state->offset > task_of(state)->extent.from;
}

static bool is_same(const leat__cachefile *a, const leat__cachefile *b)
{
    bool file = a->device == b->device && a->inode == b->inode;
    return file || (a->head.total == b->head.total && a->head.etag[0] && strncmp(a->head.etag, "W/", 2) != 0 &&
                    strcmp(a->head.etag, b->head.etag) == 0);
}

/* Takes over the file that was found. False: it is of another object than what has been begun. */
static bool adopt(leat__cached *state)
{
    const leat__task *task = task_of(state);
    bool open = state->file.fd >= 0;
    if (open && is_begun(state) && !is_same(&state->file, &state->found)) {
        leat__cachefile_close(&state->found);
        return false;
    }
    leat__cachefile_close(&state->file);
    state->file = state->found;
    state->found.fd = -1;
    state->end = task->extent.to != UINT64_MAX ? task->extent.to : state->file.head.total;
    return true;
}

static leat__step fail_extent(leat__cached *state)
{
    leat_error error;
    leat__fail(&error, LEAT_ETRUNCATED, 0, "the cached shard has %llu bytes, the index names bytes up to %llu",
               (unsigned long long)state->file.head.total, (unsigned long long)task_of(state)->extent.to);
    return end_early(state, &error);
}

static leat__step read_on(leat__cached *state);

/* The file is open: read. */
static leat__step begin_file(leat__cached *state)
{
    if (!adopt(state)) return go_past(state);
    if (!state->filling) leave_fill(state);
    bool hit = state->file.head.whole && !state->fresh;
    if (!state->counted) leat__cached_count(hit ? &state->fills->hits : &state->fills->misses);
    state->counted = true;
    state->at = READ;
    return read_on(state);
}

/* A growing file that has lost its name will not grow any more. */
static bool is_abandoned(const leat__cached *state)
{
    return state->file.fd >= 0 && !state->filling && leat__cachefile_is_unlinked(&state->file);
}

/* Ours to fill. */
static leat__step begin_fill(leat__cached *state)
{
    const leat__cachefile *part = &state->part.file;
    bool open = state->file.fd >= 0, same = open && part->fd >= 0 && part->device == state->file.device &&
                                            part->inode == state->file.inode;
    start_fill(state);
    if (open && !same && is_begun(state)) return go_past(state);
    if (!same) leat__cachefile_close(&state->file);
    state->since_ns = now_of(state);
    state->at = same ? READ : LOOK;
    return same ? read_on(state) : stay(state, LATER_NS);
}

/* Somebody else's, and not there yet; or there is no fill free, or our own has not come to its file: that is not to be stuck. */
static leat__step wait_for_file(leat__cached *state)
{
    bool theirs = state->may_fill;
    state->fresh = true;
    if (!state->filling) leave_fill(state);
    if (is_abandoned(state)) return go_past(state);
    state->at = state->file.fd >= 0 ? READ : LOOK;
    if (state->at == READ) return read_on(state);
    if (!theirs) state->since_ns = now_of(state);
    return now_of(state) - state->since_ns > state->fills->stall_ns ? go_past(state) : stay(state, LOOK_NS);
}

/* What the look has found. */
static leat__step act(leat__cached *state)
{
    switch (state->look) {
    case LEAT__CACHE_OPEN:
        return begin_file(state);
    case LEAT__CACHE_FILL:
        return begin_fill(state);
    case LEAT__CACHE_WAIT:
        return wait_for_file(state);
    case LEAT__CACHE_NONE:
        break;
    }
    return go_past(state);
}

/* What our fill said at its end, for a lane that has read all there is. */
static leat__step heed(leat__cached *state)
{
    if (state->news == LEAT__FILL_REFUSED) {
        state->op->error = state->failure;
        return LEAT__FAILED;
    }
    if (state->news == LEAT__FILL_FAILED && state->failure.code != LEAT_ECHANGED) return end_early(state, &state->failure);
    return go_past(state); /* also where the object is another one than the index says: the server will say it again */
}

static bool has_ended(const leat__cached *state)
{
    return state->news == LEAT__FILL_PAST || state->news == LEAT__FILL_FAILED || state->news == LEAT__FILL_REFUSED;
}

/* Looks how far the file has grown. True: there is enough to read. */
static bool has_grown(leat__cached *state)
{
    uint64_t there = state->file.head.whole ? state->file.head.total : leat__cachefile_have(&state->file);
    if (there > state->there || state->since_ns == 0) state->since_ns = now_of(state);
    state->there = there;
    if (there >= state->end) return true;
    if (there <= state->offset || task_of(state)->extent.to != UINT64_MAX) return false;
    return there - state->offset >= state->lane->chunk_bytes || leat__op_is_wanted(state->op) || has_ended(state);
}

static leat__step read_on(leat__cached *state)
{
    if (state->end > state->file.head.total) return fail_extent(state);
    if (state->offset == state->end) return end_early(state, NULL);
    if (has_grown(state)) return LEAT__IO;
    if (has_ended(state)) return heed(state);
    uint64_t now = now_of(state);
    bool quiet = !state->filling && now - state->since_ns > LATER_NS && now - state->looked_ns > LATER_NS;
    if (quiet && now - state->since_ns > state->fills->stall_ns) return go_past(state);
    return quiet ? go_look(state) : stay(state, LOOK_NS);
}

static void begin_task(leat__cached *state, leat__op *op)
{
    const leat__task *task = (const leat__task *)op->input;
    leave_fill(state);
    leat__error_clear(&op->error);
    state->op = op;
    state->over = false;
    state->ordinal++;
    state->offset = task->extent.from;
    state->there = 0;
    state->since_ns = now_of(state);
    state->news = LEAT__FILL_GREW;
    if (state->object != task->object || task->extent.to == UINT64_MAX) {
        leat__cachefile_close(&state->file);
        state->counted = state->fresh = state->past = false;
    }
    state->end = task->extent.to;
    state->at = state->past ? PAST : state->file.fd >= 0 ? READ : LOOK;
}

/* What comes next, whatever it is. */
static leat__step advance(leat__cached *state)
{
    if (state->at != LOOKED && is_unwanted(state)) return end_early(state, NULL);
    switch (state->at) {
    case LOOK:
        return has_ended(state) ? heed(state) : go_look(state);
    case LOOKED:
        return act(state);
    case READ:
        return read_on(state);
    case PAST:
        break;
    }
    return go_past(state);
}

static leat__step cached_begin(leat__op *op)
{
    LEAT__ASSERT_LOOP(leat__stage_pipeline(op->stage));
    leat__cached *state = leat__stage_state(op->stage);
    if (state->over) begin_task(state, op);
    return advance(state);
}

/* The wait is over. What reads has to have room first. */
static void wake(leat__cached *state)
{
    leat__op *op = state->op;
    state->waiting = false;
    leat__step step = advance(state);
    if (step == LEAT__IO && state->at == READ) {
        state->reading = true;
        leat__op_want_room(op);
    } else if (step != LEAT__LATER) {
        leat__op_end(op, step);
    }
}

static void on_news(void *user, leat__fill_news news, const leat_error *error)
{
    leat__cached *state = user;
    if (news != LEAT__FILL_GREW) {
        state->fill = NULL;
        state->filling = false;
        state->news = news;
        if (error) state->failure = *error;
    }
    if (state->waiting) wake(state);
}

static void cached_timer(leat__op *op)
{
    leat__cached *state = leat__stage_state(op->stage);
    if (state->web.op) leat__webread_timer(&state->web);
    else if (state->waiting) wake(state);
}

static void cached_room(leat__op *op)
{
    leat__cached *state = leat__stage_state(op->stage);
    if (state->web.op) {
        leat__webread_room(&state->web);
        return;
    }
    assert(state->reading);
    state->reading = false;
    leat__op_end(op, LEAT__IO);
}

static void cached_cancel(leat__op *op)
{
    leat__cached *state = leat__stage_state(op->stage);
    if (state->web.op) leat__webread_cancel(&state->web);
    leave_fill(state);
    state->waiting = false;
}

static bool cached_ready(leat__stage *stage, const leat__item *input)
{
    (void)input;
    leat__lane *lane = ((leat__cached *)leat__stage_state(stage))->lane;
    return leat__budget_fits(lane->budget, lane->burst_bytes);
}

const leat__stage_type leat__cached_type = {.name = "fetch", .begin = cached_begin, .job = leat__cached_job, .room = cached_room,
                                            .timer = cached_timer, .cancel = cached_cancel, .ready = cached_ready,
                                            .destroy = cached_destroy};
