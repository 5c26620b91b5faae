/* fill.c - filling the cache: downloads that write to it and wait for nobody who reads.
 *
 * What:    each fill is a stage of its own, without inbox and without results. Its one operation waits on the loop while bytes come
 *          in, and goes to the I/O pool when there is something to write.
 * Why so:  a trainer that is slow must not hold up the other processes that read what this one fetches; so the download goes on
 *          whatever its lane does, also when the lane is done with the object. Being stages, fills are cancelled, counted and
 *          closed by the engine's rules, and their jobs run on the pool for files. At most LEAT__FILL_QUEUE buffers wait: then the
 *          transfer is paused, so that a slow disk slows the download and takes no memory.
 * Threads: loop thread; `the job's` members belong to the job while in_job.
 * States:  FREE --take--> TAKEN --start--> CHECKING (what a dead process has left, in jobs) --fetch--> FETCHING
 *          FETCHING --all written, or given up: finish--> FREE;  --throw_away, what was left is outdated: fetch--> FETCHING
 * Ends:    the claim goes with every end. Where the download failed, and at close, the file is left for the next one to go on with;
 *          else it is whole or removed. */
#include "stages/fill.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"
#include "pipeline/pipeline.h"

enum { LOOK_NS = 20000000 }; /* what a slow server has sent is written so often */

typedef struct pieces {
    leat__buffer *buffers[LEAT__FILL_QUEUE];
    size_t sizes[LEAT__FILL_QUEUE];
    unsigned count;
} pieces;

struct leat__fill {
    /* fixed after creation */
    leat__fills *fills;
    /* loop thread only */
    leat__op *op;               /* NULL: not yet begun */
    enum { FREE, TAKEN, CHECKING, FETCHING } state;
    bool in_job;
    leat__fill_order order;     /* of the job's: order.part */
    leat__transfer *transfer;
    pieces waiting;
    bool paused, ended;
    bool headed;                /* head says what the server told */
    bool again;                 /* all is to be fetched, from the beginning */
    leat_error error;           /* of the transfer that has ended; code LEAT_OK: it came to its end */
    /* the job's */
    leat__cachehead head;       /* total UINT64_MAX: not known */
    pieces writing;
    bool last;                  /* nothing comes after it */
    bool discard;               /* what is there is thrown away */
    bool checked;
    bool confirmed;             /* others may follow it */
    leat__fill_news news;
    leat_error told;            /* with them */
};

void *leat__fill_new(leat__fills *fills, unsigned i)
{
    leat__fill *fill = calloc(1, sizeof *fill);
    if (!fill) return NULL;
    fill->fills = fills;
    fill->order.part.file.fd = -1;
    fills->all[i] = fill;
    return fill;
}

leat__fill *leat__fill_take(leat__fills *fills)
{
    for (unsigned i = 0; i < fills->count; i++) {
        leat__fill *fill = fills->all[i];
        if (fill->state != FREE || !fill->op) continue;
        fill->state = TAKEN;
        return fill;
    }
    return NULL;
}

void leat__fill_give_back(leat__fill *fill)
{
    assert(fill->state == TAKEN);
    fill->state = FREE;
}

void leat__fill_unwatch(leat__fill *fill)
{
    fill->order.tell = NULL;
}

static void tell(leat__fill *fill, leat__fill_news news)
{
    if (fill->order.tell) fill->order.tell(fill->order.user, news, &fill->told);
}

static void drop_pieces(pieces *all)
{
    for (unsigned i = 0; i < all->count; i++) leat__buffer_release(all->buffers[i]);
    all->count = 0;
}

/* ---- the job ---- */

/* Whether the next one that wants the object may go on with what has come: it has to be of one object, which the server is then
 * asked about (If-Match). */
static bool is_of_use(leat__fill_news news, const leat_error *error)
{
    return news == LEAT__FILL_FAILED && error->code != LEAT_ECHANGED && error->code != LEAT_EOVERSIZE;
}

/* The fill ends here: with what, and why. */
static void conclude(leat__fill *fill, leat__fill_news news, const leat_error *error)
{
    if (!is_of_use(news, error)) leat__cachedir_discard(fill->fills->dir, &fill->order.part);
    leat__cachedir_leave(fill->fills->dir, &fill->order.key, &fill->order.part);
    if (error) fill->told = *error;
    fill->news = news;
}

/* Makes the file. False: the fill has ended. */
static bool begin_file(leat__fill *fill)
{
    leat_error error;
    if (fill->head.total == UINT64_MAX) { /* room for it cannot be reckoned, and its end would be believed unseen */
        conclude(fill, LEAT__FILL_PAST, NULL);
        return false;
    }
    leat_code code = leat__cachedir_begin(fill->fills->dir, &fill->order.key, &fill->head, &fill->order.part, &error);
    if (code) conclude(fill, code == LEAT_EINVAL ? LEAT__FILL_REFUSED : LEAT__FILL_PAST, &error);
    return !code;
}

/* The server has answered. */
static bool open_file(leat__fill *fill)
{
    leat_error error;
    leat__cachewriter *part = &fill->order.part;
    fill->confirmed = true;
    if (part->file.fd < 0) return begin_file(fill);
    if (!leat__cachedir_confirm(fill->fills->dir, &fill->order.key, part, &error)) return true;
    conclude(fill, LEAT__FILL_PAST, &error);
    return false;
}

static bool write_pieces(leat__fill *fill)
{
    leat__cachewriter *part = &fill->order.part;
    leat_error error;
    for (unsigned i = 0; i < fill->writing.count; i++) {
        bool fits = fill->writing.sizes[i] <= part->file.head.total - part->have;
        if (fits && !leat__cachewriter_add(part, fill->writing.buffers[i]->data, fill->writing.sizes[i], &error)) continue;
        conclude(fill, LEAT__FILL_PAST, fits ? &error : NULL);
        return false;
    }
    return true;
}

/* All has been written, or nothing more comes. */
static void end_file(leat__fill *fill)
{
    leat_error error;
    const leat__cachewriter *part = &fill->order.part;
    if (fill->error.code) conclude(fill, LEAT__FILL_FAILED, &fill->error);
    else if (part->file.fd < 0 || part->have < part->file.head.total) conclude(fill, LEAT__FILL_PAST, NULL);
    else if (leat__cachedir_publish(fill->fills->dir, &fill->order.key, &fill->order.part, &error)) fill->news = LEAT__FILL_PAST;
    else fill->news = LEAT__FILL_WHOLE;
}

static void check_part(leat__fill *fill)
{
    leat_error error;
    if (leat__cachewriter_check(&fill->order.part, &fill->checked, &error)) conclude(fill, LEAT__FILL_PAST, &error);
}

static leat__step fill_job(leat__op *op)
{
    LEAT__ASSERT_JOB(leat__stage_pipeline(op->stage));
    leat__fill *fill = leat__stage_state(op->stage);
    leat__cachedir_beat(fill->fills->dir);
    fill->news = LEAT__FILL_GREW;
    if (fill->state == CHECKING || fill->discard) {
        if (fill->discard) leat__cachedir_discard(fill->fills->dir, &fill->order.part);
        else check_part(fill);
        if (fill->discard) fill->confirmed = false;
        fill->discard = false;
        return LEAT__AGAIN;
    }
    bool good = !fill->writing.count || fill->confirmed || open_file(fill);
    if (good) good = write_pieces(fill);
    if (good && fill->last) end_file(fill);
    drop_pieces(&fill->writing);
    return LEAT__AGAIN;
}

/* ---- on the loop ---- */

/* Hands what has come to a job. */
static void hand_over(leat__fill *fill)
{
    assert(!fill->in_job && !fill->writing.count);
    fill->writing = fill->waiting;
    fill->waiting.count = 0;
    fill->last = fill->ended;
    fill->in_job = true;
}

static bool has_work(const leat__fill *fill)
{
    return fill->waiting.count > 0 || fill->ended;
}

/* Sends the operation, which waits on the loop, to work. */
static void go(leat__fill *fill)
{
    if (fill->in_job) return;
    hand_over(fill);
    leat__op_end(fill->op, LEAT__IO);
}

static bool on_data(void *user, leat__buffer *buffer, size_t size)
{
    leat__fill *fill = user;
    if (atomic_load(leat__pipeline_stop_flag(leat__stage_pipeline(fill->op->stage)))) {
        leat__buffer_release(buffer);
        return false;
    }
    if (!fill->headed) {
        fill->headed = true;
        leat__transfer_facts facts = leat__transfer_facts_of(fill->transfer);
        fill->head.total = facts.total;
        snprintf(fill->head.etag, sizeof fill->head.etag, "%s", facts.etag);
        snprintf(fill->head.modified, sizeof fill->head.modified, "%s", facts.modified);
    }
    assert(fill->waiting.count < LEAT__FILL_QUEUE);
    fill->waiting.buffers[fill->waiting.count] = buffer;
    fill->waiting.sizes[fill->waiting.count++] = size;
    go(fill);
    fill->paused = fill->waiting.count == LEAT__FILL_QUEUE;
    return !fill->paused;
}

static void on_end(void *user, const leat_error *error)
{
    leat__fill *fill = user;
    fill->transfer = NULL;
    if (atomic_load(leat__pipeline_stop_flag(leat__stage_pipeline(fill->op->stage)))) return;
    fill->ended = true;
    if (error) fill->error = *error;
    go(fill);
}

static leat__http_range range_of(const leat__fill *fill)
{
    const leat__cachewriter *part = &fill->order.part;
    leat__http_range range = LEAT__HTTP_WHOLE;
    range.total = fill->order.total;
    range.etag = fill->order.etag;
    if (part->file.fd < 0) return range;
    range.from = part->have;
    range.total = part->file.head.total;
    range.etag = part->file.head.etag;
    range.modified = part->file.head.modified;
    return range;
}

static void fetch(leat__fill *fill)
{
    static const leat__transfer_callbacks callbacks = {.data = on_data, .end = on_end};
    const leat__http_range range = range_of(fill);
    fill->state = FETCHING;
    fill->paused = fill->headed = false;
    leat__error_clear(&fill->error);
    fill->head = (leat__cachehead){.total = UINT64_MAX};
    memcpy(fill->head.key, fill->order.key.sum, sizeof fill->head.key);
    leat__redact(fill->head.url, sizeof fill->head.url, fill->order.url);
    fill->ended = leat__http_get(*fill->fills->http, fill->order.url, &range, &fill->fills->budget, &callbacks, fill,
                                 &fill->transfer, &fill->error) != LEAT_OK;
}

/* What was left turns out to be of another object than the server has now, or the index speaks of. */
static bool is_outdated(const leat__fill *fill)
{
    const leat__fill_order *order = &fill->order;
    const leat__cachehead *head = &order->part.file.head;
    if (order->part.file.fd < 0) return false;
    bool other_size = order->total != UINT64_MAX && order->total != head->total;
    bool other_etag = order->etag[0] && head->etag[0] && strcmp(order->etag, head->etag) != 0;
    return other_size || other_etag || (fill->ended && fill->error.code == LEAT_ECHANGED && fill->checked);
}

static void throw_away(leat__fill *fill)
{
    fill->state = FETCHING;
    fill->again = fill->discard = true;
    drop_pieces(&fill->waiting);
}

/* Ends what is left of it, says so, and is free. */
static void finish(leat__fill *fill)
{
    void (*last)(void *user, leat__fill_news news, const leat_error *error) = fill->order.tell;
    if (fill->transfer) leat__transfer_cancel(fill->transfer);
    fill->transfer = NULL;
    drop_pieces(&fill->waiting);
    fill->state = FREE;
    fill->order.tell = NULL;
    if (last) last(fill->order.user, fill->news, &fill->told);
}

/* What follows a job, or the beginning. */
static leat__step go_on(leat__fill *fill)
{
    if (!fill->again && is_outdated(fill)) throw_away(fill);
    bool checks = fill->state == CHECKING && !fill->checked && !fill->again;
    if (checks || fill->discard) {
        fill->in_job = true;
        return LEAT__IO;
    }
    if (fill->state == CHECKING || fill->again) {
        fill->again = false;
        fetch(fill);
    }
    if (has_work(fill)) {
        hand_over(fill);
        return LEAT__IO;
    }
    if (fill->paused && fill->transfer) {
        fill->paused = false;
        leat__transfer_resume(fill->transfer);
    }
    leat__op_after(fill->op, LOOK_NS);
    return LEAT__LATER;
}

static leat__step fill_begin(leat__op *op)
{
    LEAT__ASSERT_LOOP(leat__stage_pipeline(op->stage));
    leat__fill *fill = leat__stage_state(op->stage);
    fill->op = op;
    fill->in_job = false;
    if (fill->state == FREE || fill->state == TAKEN) return LEAT__LATER;
    if (fill->news == LEAT__FILL_GREW) {
        tell(fill, LEAT__FILL_GREW);
        return go_on(fill);
    }
    finish(fill);
    return LEAT__LATER;
}

void leat__fill_start(leat__fill *fill, const leat__fill_order *order)
{
    assert(fill->state == TAKEN && !fill->in_job);
    fill->order = *order;
    fill->discard = fill->checked = fill->ended = fill->confirmed = false;
    fill->again = order->part.file.fd < 0;
    fill->news = LEAT__FILL_GREW;
    fill->state = CHECKING;
    leat__step step = go_on(fill);
    if (step == LEAT__IO) leat__op_end(fill->op, step);
}

static void fill_timer(leat__op *op)
{
    leat__fill *fill = leat__stage_state(op->stage);
    if (fill->transfer && !fill->waiting.count) leat__transfer_flush(fill->transfer);
    leat__op_after(op, LOOK_NS);
}

static void fill_cancel(leat__op *op)
{
    leat__fill *fill = leat__stage_state(op->stage);
    if (fill->transfer) leat__transfer_cancel(fill->transfer);
    fill->transfer = NULL;
}

static void fill_destroy(void *argument)
{
    leat__fill *fill = argument;
    drop_pieces(&fill->waiting);
    drop_pieces(&fill->writing);
    if (fill->state != FREE && fill->state != TAKEN) leat__cachedir_leave(fill->fills->dir, &fill->order.key, &fill->order.part);
    free(fill);
}

const leat__stage_type leat__fill_type = {.name = "cache", .begin = fill_begin, .job = fill_job, .timer = fill_timer,
                                          .cancel = fill_cancel, .destroy = fill_destroy};
