/* streams.c - a target's transfers, and which part of it each fetches.
 *
 * What:    begins with one transfer from the start. When its server has said how large the file is, and can be asked for ranges, the
 *          file gets a grid of parts; further connections begin where the grid says and go on until they meet a part that is taken.
 * Why so:  nobody is asked for a size beforehand: a small file is one request, and the first answer of a large one is its first
 *          bytes, too. What has arrived is handed to jobs once in a turn of the loop, so that the last bytes of a small file and its
 *          end come in one job.
 * Threads: loop. data, end and retry are called by the HTTP client, from within curl: they begin and end transfers, which the client
 *          only notes.
 * Memory:  a transfer pauses while the run's budget has no room for another chunk, or 16 buffers of it wait for the disk.
 * Invariants: a strand is freed when it has no transfer and no job; [offset - pending, offset) is what its buffers hold. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/statvfs.h>

#include "fetch/run.h"
#include "pipeline/failure.h"
#include "stages/filename.h"

enum {
    MOST_TRANSFERS = 4096,   /* in the client, those included that wait for a host that is throttled or dead */
    WAITING = 16,            /* that wait for a place, so that none is ever empty; but no more than are under way */
    RUN_WORTH = 4,           /* parts that a connection would fetch alone: fewer are not worth another one (F14 looks after slow
                                ones) */
    LOOKED_AT_BYTES = 1 << 20, /* a file for which the disk is asked for its room beforehand */
    RENEW_BYTES = 1 << 20,   /* left of a transfer that is worth another connection */
};
#define RENEW_NS UINT64_C(3000000000) /* how long a transfer crawls before */

/* ---- what is done in each turn ---- */

void leat__strand_mark(leat__strand *stream)
{
    if (stream->dirty) return;
    stream->dirty = true;
    LIST_INSERT_HEAD(&stream->target->run->dirty, stream, dirty_link);
}

void leat__strand_free(leat__strand *stream)
{
    leat__run *run = stream->target->run;
    assert(!stream->transfer && !stream->busy);
    if (stream->dirty) LIST_REMOVE(stream, dirty_link);
    if (stream->paused) run->streams_paused--;
    for (unsigned i = 0; i < stream->pending_count; i++) leat__bytes_release(&stream->pending[i]);
    LIST_REMOVE(stream, link);
    free(stream);
}

/* Hands what has arrived to a job. False if memory is short. */
static bool write_pending(leat__strand *stream)
{
    leat__target *target = stream->target;
    leat__write_job *job = leat__write_job_new(target, LEAT__JOB_WRITE);
    if (!job) return false;
    job->stream = stream;
    job->offset = stream->written;
    job->count = stream->pending_count;
    job->bytes = stream->offset - stream->written;
    memcpy(job->buffers, stream->pending, stream->pending_count * sizeof *job->buffers);
    stream->pending_count = 0;
    stream->busy = true;
    target->opening = !target->opened;
    job->finish = target->whole;
    if (job->finish) target->state = LEAT__TARGET_FINISHING;
    leat__write_job_submit(job);
    return true;
}

static void pump(leat__strand *stream)
{
    leat__target *target = stream->target;
    if (stream->busy) return;
    if (stream->pending_count) {
        leat_error error;
        if (target->opening || write_pending(stream)) return; /* opening: the job that opens the file marks it again */
        leat__fail(&error, LEAT_ENOMEM, 0, "no memory for a job");
        leat__target_end(target, LEAT__FATE_FAILED, &error);
    } else if (!stream->transfer) {
        leat__strand_free(stream);
        leat__target_step(target);
    }
}

void leat__streams_pump(leat__run *run)
{
    struct leat__strand_list now = LIST_HEAD_INITIALIZER(now);
    leat__strand *stream;
    while ((stream = LIST_FIRST(&run->dirty))) {
        LIST_REMOVE(stream, dirty_link);
        LIST_INSERT_HEAD(&now, stream, dirty_link); /* in the order in which they were marked */
    }
    while ((stream = LIST_FIRST(&now))) {
        LIST_REMOVE(stream, dirty_link);
        stream->dirty = false;
        bool waits = stream->pending_count && stream->target->opening && !stream->busy;
        if (waits) leat__strand_mark(stream);
        else pump(stream);
    }
}

/* ---- room ---- */

static bool has_room(leat__strand *stream)
{
    leat__run *run = stream->target->run;
    if (run->config.limit_rate && run->tokens < 0) return false;
    return stream->pending_count < LEAT__WRITE_BUFFERS && leat__budget_fits(&run->budget, run->chunk_bytes);
}

/* Local copies that waited for --limit-rate. */
static void copies_resume(leat__run *run)
{
    for (leat__target *target = TAILQ_FIRST(&run->active), *next; target; target = next) {
        next = TAILQ_NEXT(target, link);
        if (target->held && target->state == LEAT__TARGET_FETCHING) leat__copy_next(target);
    }
}

void leat__streams_resume(leat__run *run)
{
    leat__target *target;
    leat__strand *stream;
    if (run->config.limit_rate && run->tokens >= 0) copies_resume(run);
    if (!run->streams_paused) return;
    TAILQ_FOREACH(target, &run->active, link)
        LIST_FOREACH(stream, &target->streams, link) {
            if (!stream->paused || !stream->transfer || !has_room(stream)) continue;
            stream->paused = false;
            run->streams_paused--;
            leat__transfer_resume(stream->transfer);
        }
}

bool leat__streams_have_room(leat__run *run)
{
    leat__http_stats stats;
    if (run->config.limit_rate && run->tokens < 0) return false;
    if (leat__teller_behind(run->teller) || !leat__budget_fits(&run->budget, run->chunk_bytes)) return false;
    leat__http_get_stats(run->http, &stats);
    if (run->transfers >= MOST_TRANSFERS) return false;
    /* a place is free although others wait: their hosts are throttled or dead, and must not hold up the others */
    uint32_t waiting = run->config.jobs < WAITING ? run->config.jobs : WAITING;
    return stats.active + stats.paused < run->config.jobs || stats.waiting < waiting;
}

/* ---- what the server says ---- */

/* A page for a browser in the place of data (N38). */
static bool is_page(const leat__target *target, const uint8_t *data, size_t size)
{
    leat__filename name = leat__filename_parse(target->entry.source);
    size_t i = 0;
    if (strncasecmp(target->type, "text/html", 9) || !(leat__filename_is_shard(&name) ||
                                                       leat__filename_is_data(&name))) return false;
    while (i < size && strchr(" \t\r\n\xef\xbb\xbf", data[i]) && data[i]) i++;
    return i < size && data[i] == '<';
}

static bool disk_has_room(leat__target *target, leat_error *error)
{
    leat__run *run = target->run;
    struct statvfs disk;
    if (target->total < LOOKED_AT_BYTES || fstatvfs(run->root.fd, &disk)) return true;
    if (target->total <= (uint64_t)disk.f_bavail * disk.f_frsize) return true;
    leat__fail_errno(error, LEAT_EDISK, ENOSPC, "%s: the file needs %.1f MB where %.1f MB are free", run->root.shown,
                     (double)target->total / 1e6, (double)disk.f_bavail * (double)disk.f_frsize / 1e6);
    return false;
}

/* The first bytes of a file are here: what is it? False: not what is wanted, *error says why. */
static bool learn(leat__strand *stream, const uint8_t *data, size_t size, leat_error *error)
{
    leat__target *target = stream->target;
    leat__run *run = target->run;
    leat__transfer_facts facts = leat__transfer_facts_of(stream->transfer);
    char shown[64];
    target->learnt = true;
    target->total = facts.total;
    target->sized = facts.total != LEAT__NO_BYTES;
    target->ranges = facts.ranges && !target->alone;
    if (target->sized) leat__target_sized(target, target->total);
    snprintf(target->etag, sizeof target->etag, "%s", facts.etag);
    snprintf(target->modified, sizeof target->modified, "%s", facts.modified);
    leat__escape(target->type, sizeof target->type, facts.type, strlen(facts.type));
    if (is_page(target, data, size)) {
        leat__fail(error, LEAT_EFORMAT, 0, "the server sent a page for a browser (Content-Type %s)",
                   leat__escape(shown, sizeof shown, facts.type, strlen(facts.type)));
        return false;
    }
    if (target->sized && !disk_has_room(target, error)) return false;
    if (!target->ranges || !target->sized || target->total <= run->config.part_bytes) return true;
    if (!leat__grid_make(&target->grid, target->total, run->config.part_bytes)) {
        leat__fail(error, LEAT_ENOMEM, 0, "no memory for the parts of a file");
        return false;
    }
    leat__grid_set(&target->grid, 0, LEAT__PART_TAKEN);
    stream->limit = leat__grid_end(&target->grid, 0);
    leat__transfer_limit(stream->transfer, stream->limit);
    return true;
}

/* ---- callbacks of the client ---- */

/* The part's last byte is here: on with the next one, if nobody has it. */
static void extend(leat__strand *stream)
{
    leat__grid *grid = &stream->target->grid;
    uint64_t next = ++stream->part;
    if (next >= grid->count || grid->states[next] != LEAT__PART_MISSING) return;
    leat__grid_set(grid, next, LEAT__PART_TAKEN);
    stream->limit = leat__grid_end(grid, next);
    leat__transfer_limit(stream->transfer, stream->limit);
}

static bool on_data(void *user, leat__buffer *buffer, size_t size)
{
    leat__strand *stream = user;
    leat__target *target = stream->target;
    leat__run *run = target->run;
    leat_error error;
    assert(target->state == LEAT__TARGET_FETCHING && stream->pending_count < LEAT__WRITE_BUFFERS);
    run->bytes += size;
    run->tokens -= (double)size;
    if (!target->learnt && !learn(stream, buffer->data, size, &error)) {
        leat__buffer_release(buffer);
        leat__target_end(target, LEAT__FATE_FAILED, &error); /* cancels this transfer */
        return true;
    }
    stream->pending[stream->pending_count++] = (leat__bytes){.buffer = buffer, .data = buffer->data, .size = size};
    stream->offset += size;
    if (!target->grid.count) target->received = stream->offset;
    else if (stream->offset == stream->limit) extend(stream);
    leat__strand_mark(stream);
    if (has_room(stream)) return true;
    stream->paused = true;
    run->streams_paused++;
    return false;
}

/* How fast a transfer is that does not crawl. */
static void note_rate(leat__run *run, const leat__strand *stream, uint64_t from)
{
    uint64_t now = uv_hrtime(), bytes = stream->offset - from;
    if (bytes < RENEW_BYTES || now <= stream->begun_ns) return;
    double rate = (double)bytes * 1e9 / (double)(now - stream->begun_ns);
    run->usual_rate = run->usual_rate > 0 ? run->usual_rate * 0.9 + rate * 0.1 : rate;
}

static void on_end(void *user, const leat_error *error)
{
    leat__strand *stream = user;
    leat__target *target = stream->target;
    leat__run *run = target->run;
    bool known = target->learnt;
    stream->transfer = NULL;
    target->stream_count--;
    run->transfers--;
    if (stream->paused) run->streams_paused--;
    stream->paused = false;
    leat__strand_mark(stream);
    if (!error) {
        note_rate(run, stream, 0);
        if (!target->grid.count) target->whole = true;
        if (!known) { /* an empty object */
            target->learnt = target->sized = true;
            target->total = 0;
        }
        return;
    }
    leat_error wrong = *error;
    bool listed = error->code == LEAT_ECHANGED && !known && target->entry.bytes != LEAT__NO_BYTES;
    if (listed) wrong.code = LEAT_ECHECKSUM; /* it is not as large as the list says */
    bool changed = error->code == LEAT_ECHANGED && known, ranges = error->code == LEAT_ERANGE && target->grid.count;
    if (ranges) target->alone = true;
    bool anew = (changed || ranges) && !target->restarted;
    if (anew)
        leat__tell(run, LEAT_FETCH_NOTE, &target->entry, LEAT__NO_BYTES,
                   changed ? "the object has changed: from the start" : "no more in parts: from the start", target->attempts, 0, false, error);
    leat__target_end(target, anew ? LEAT__FATE_ANEW : LEAT__FATE_FAILED, &wrong);
}

static void on_retry(void *user, const leat_error *error, uint64_t delay_ms)
{
    leat__strand *stream = user;
    leat__target *target = stream->target;
    target->attempts++;
    leat__tell(target->run, LEAT_FETCH_RETRY, &target->entry, target->grid.count ? target->grid.there_bytes : target->received, "",
               target->attempts, delay_ms, false, error);
}

/* ---- begin and end ---- */

static leat_code begin_one(leat__target *target, uint64_t part, leat_error *error)
{
    static const leat__transfer_callbacks callbacks = {.data = on_data, .end = on_end, .retry = on_retry};
    leat__run *run = target->run;
    leat__grid *grid = &target->grid;
    leat__http_range range = {.to = UINT64_MAX, .total = target->entry.bytes, .etag = "", .strict = true};
    leat__strand *stream = calloc(1, sizeof *stream);
    if (!stream) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a transfer");
    stream->target = target;
    stream->begun_ns = stream->looked_ns = uv_hrtime();
    if (grid->count) {
        stream->part = part;
        stream->offset = stream->written = stream->looked_at = leat__grid_begin(grid, part);
        stream->limit = leat__grid_end(grid, part);
        range = (leat__http_range){.from = stream->offset, .to = UINT64_MAX, .total = grid->total, .etag = target->etag,
                                   .modified = target->modified, .limit = stream->limit, .strict = true};
    }
    LIST_INSERT_HEAD(&target->streams, stream, link);
    if (leat__http_get(run->http, target->entry.source, &range, &run->budget, &callbacks, stream, &stream->transfer, error)) {
        leat__strand_free(stream);
        return error->code;
    }
    if (grid->count) leat__grid_set(grid, part, LEAT__PART_TAKEN);
    target->stream_count++;
    target->attempts++;
    run->transfers++;
    return LEAT_OK;
}

void leat__streams_begin(leat__target *target)
{
    leat_error error;
    uint64_t part = 0;
    bool lost = target->grid.count && !leat__grid_next(&target->grid, 1, &part);
    if (lost && target->grid.there == target->grid.count) {
        leat__target_step(target); /* an earlier run had it all but the name */
        return;
    }
    assert(!lost);
    if (begin_one(target, part, &error)) leat__target_end(target, LEAT__FATE_FAILED, &error);
    else leat__streams_spread(target);
}

void leat__streams_spread(leat__target *target)
{
    leat__run *run = target->run;
    leat__http_stats stats;
    leat_error error;
    uint64_t part;
    if (target->state != LEAT__TARGET_FETCHING || !target->stream_count || !target->grid.count || run->queued_count) return;
    while (target->stream_count < run->config.parts && leat__grid_next(&target->grid, RUN_WORTH, &part)) {
        leat__http_get_stats(run->http, &stats);
        if (stats.active + stats.paused + stats.waiting >= run->config.jobs || begin_one(target, part, &error)) return;
    }
}

void leat__streams_cancel(leat__target *target)
{
    leat__strand *stream, *next;
    for (stream = LIST_FIRST(&target->streams); stream; stream = next) {
        next = LIST_NEXT(stream, link);
        if (stream->transfer) {
            leat__transfer_cancel(stream->transfer);
            stream->transfer = NULL;
            target->stream_count--;
            target->run->transfers--;
        }
        if (!stream->busy) leat__strand_free(stream);
    }
}

/* ---- F14 ---- */

/* Whether it got less than a quarter of what is usual since it was last looked at. */
static bool crawls(leat__run *run, leat__strand *stream, uint64_t now_ns)
{
    uint64_t left = (stream->limit ? stream->limit : stream->target->total) - stream->offset;
    if (!stream->transfer || stream->paused || now_ns - stream->looked_ns < RENEW_NS || left < RENEW_BYTES) return false;
    double rate = (double)(stream->offset - stream->looked_at) * 1e9 / (double)(now_ns - stream->looked_ns);
    stream->looked_ns = now_ns;
    stream->looked_at = stream->offset;
    return rate < run->usual_rate / 4;
}

void leat__streams_renew_slow(leat__run *run, uint64_t now_ns)
{
    leat__target *target;
    leat__strand *stream;
    if (run->queued_count || run->usual_rate <= 0 || run->config.limit_rate) return;
    TAILQ_FOREACH(target, &run->active, link)
        LIST_FOREACH(stream, &target->streams, link)
            if (target->ranges && target->sized && crawls(run, stream, now_ns)) leat__transfer_renew(stream->transfer);
}
