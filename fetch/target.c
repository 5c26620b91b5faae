/* target.c - one file on its way, from claim to commit or failure.
 *
 * What:    the states of run.h and what moves a target from one to the next: a transfer ended, a job came back, the committer is
 *          done.
 * State:   QUEUED ──start──► (LOOKING ──►) FETCHING ──all on disk──► FINISHING ──► COMMITTING ──► concluded
 *             any but COMMITTING ──leat__target_end──► ENDING ──last job back──► from the start (ANEW), put aside, or concluded
 * Why so:  every way out of FETCHING but the good one goes through ENDING, which waits until no job and no transfer has the target
 *          any more. What has failed for a reason that may pass is put aside and tried once more at the end of the run (R6); the
 *          same for what another process was quicker with.
 * Threads: loop, but new and post.
 * Invariants: streams and jobs are 0 when it is freed; planned = done + skipped + failed + cancelled + alive + spilled. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fetch/run.h"
#include "pipeline/failure.h"

/* ---- birth ---- */

leat__target *leat__target_new(leat__run *run, const leat__entry *entry)
{
    size_t source = strlen(entry->source) + 1, path = strlen(entry->path) + 1;
    leat__target *target = calloc(1, sizeof *target + source + path);
    if (!target) return NULL;
    char *text = (char *)(target + 1);
    target->run = run;
    target->entry = *entry;
    target->entry.source = memcpy(text, entry->source, source);
    target->entry.path = memcpy(text + source, entry->path, path);
    target->fd = -1;
    target->total = LEAT__NO_BYTES;
    LIST_INIT(&target->streams);
    pthread_mutex_init(&target->journal_lock, NULL);
    leat__error_clear(&target->error);
    return target;
}

void leat__target_free(leat__target *target)
{
    leat_error ignored;
    assert(LIST_EMPTY(&target->streams) && !target->jobs);
    leat__temporary_close(target, &ignored);
    leat__grid_clear(&target->grid);
    leat__summer_free(target->summer);
    pthread_mutex_destroy(&target->journal_lock);
    free(target);
}

static void arrive(leat__call *call)
{
    leat__target *target = (leat__target *)call;
    leat__run *run = target->run;
    TAILQ_INSERT_TAIL(&run->queued, target, link);
    run->queued_count++;
    if (run->cancelled) leat__targets_cancel(run);
    else leat__targets_start(run);
}

/* The bucket of an id, which is hexadecimal digits of a digest. */
static struct leat__target_bucket *bucket_of(leat__run *run, const char *id)
{
    unsigned number = 0;
    for (int i = 0; i < 3; i++) number = number * 16 + (unsigned)(id[i] <= '9' ? id[i] - '0' : id[i] - 'a' + 10);
    return &run->by_id[number % LEAT__FETCH_BUCKETS];
}

bool leat__target_has_twin(leat__run *run, const leat__target *target)
{
    leat__target *other;
    pthread_mutex_lock(&run->lock);
    LIST_FOREACH(other, bucket_of(run, target->id), twin_link)
        if (!strcmp(other->id, target->id)) break;
    pthread_mutex_unlock(&run->lock);
    return other != NULL;
}

void leat__target_post(leat__target *target)
{
    leat__run *run = target->run;
    pthread_mutex_lock(&run->lock);
    LIST_INSERT_HEAD(bucket_of(run, target->id), target, twin_link);
    run->alive++;
    run->waiting++;
    pthread_mutex_unlock(&run->lock);
    target->call.run = arrive;
    leat__loop_post(run->loop, &target->call);
}

/* ---- the end of the way ---- */

/* Whether it may go better later (R1, R6). */
static bool may_pass(const leat_error *error)
{
    switch (error->code) {
    case LEAT_ENETWORK: case LEAT_ETIMEOUT: case LEAT_ETRUNCATED: case LEAT_ERETRIES: case LEAT_ECHANGED:
        return true;
    case LEAT_EHTTP:
        return error->system >= 500 || error->system == 408 || error->system == 429;
    case LEAT_ETLS:
        return error->system == 35; /* a handshake that broke, as opposed to a certificate that is refused */
    default:
        return false;
    }
}

/* It will be met again, or never be known. */
static void forget_size(leat__target *target)
{
    leat__run *run = target->run;
    if (!target->counted) return;
    target->counted = false;
    pthread_mutex_lock(&run->lock);
    run->now.planned_bytes -= target->total;
    run->now.unsized++;
    pthread_mutex_unlock(&run->lock);
}

/* Gives its room back (takes). */
static void conclude(leat__target *target)
{
    leat__run *run = target->run;
    TAILQ_REMOVE(&run->active, target, link);
    run->active_count--;
    pthread_mutex_lock(&run->lock);
    LIST_REMOVE(target, twin_link);
    pthread_mutex_unlock(&run->lock);
    leat__target_free(target);
    pthread_mutex_lock(&run->lock);
    assert(run->alive > 0);
    run->alive--;
    leat__planner_wake_locked(run);
    pthread_mutex_unlock(&run->lock);
}

/* For the next pass; the claim goes, so that the other process or the next pass can have it. */
static void put_aside(leat__target *target, leat__later why)
{
    leat_error error;
    leat__run *run = target->run;
    forget_size(target);
    leat__run_drop_claim(run, target->id);
    if (leat__spill_put(run->spill, &target->entry, why, &error)) {
        leat__tell_failed(run, &target->entry, target->attempts, why == LEAT__LATER_FAILED ? &target->error : &error);
        leat__run_stop(run, &error);
    }
    conclude(target);
}

static void conclude_failed(leat__target *target)
{
    leat__run *run = target->run;
    if (!target->journal) leat__temporary_remove(target);
    if (leat__disk_is_full(&target->error)) {
        leat__run_stop(run, &target->error);
        target->fate = LEAT__FATE_CANCELLED;
    }
    if (target->fate == LEAT__FATE_FAILED && may_pass(&target->error) && !target->second && !run->cancelled) {
        put_aside(target, LEAT__LATER_FAILED);
        return;
    }
    leat__run_drop_claim(run, target->id);
    if (target->fate == LEAT__FATE_CANCELLED) leat__tell_cancelled(run, &target->entry, target->attempts);
    else leat__tell_failed(run, &target->entry, target->attempts, &target->error);
    conclude(target);
}

/* What it is from now on known to be no more. */
static void forget_object(leat__target *target)
{
    forget_size(target);
    leat__temporary_remove(target);
    leat__grid_clear(&target->grid);
    leat__summer_free(target->summer);
    target->summer = NULL;
    target->total = LEAT__NO_BYTES;
    target->etag[0] = target->modified[0] = target->type[0] = 0;
    target->ranges = target->sized = target->learnt = target->opened = target->whole = target->finished = false;
    target->received = target->size = target->summed = target->sum_to = 0;
    target->crc = 0;
}

/* ---- its steps ---- */

static void begin(leat__target *target)
{
    leat__run *run = target->run;
    if (!target->looked && target->journal_of[0]) {
        leat__write_job *job = leat__write_job_new(target, LEAT__JOB_LOOK);
        target->looked = true;
        target->learning = job != NULL;
        target->state = LEAT__TARGET_LOOKING;
        if (job) leat__write_job_submit(job);
        if (job) return;
    }
    leat__sum_kind kind = target->entry.sum.kind;
    if (kind != LEAT__SUM_NONE && kind != LEAT__SUM_CRC32C && !(target->summer = leat__summer_new(kind))) {
        leat_error error;
        leat__fail(&error, LEAT_ENOMEM, 0, "no memory for a checksum");
        leat__target_end(target, LEAT__FATE_FAILED, &error);
        return;
    }
    target->state = LEAT__TARGET_FETCHING;
    target->opened = target->journal != NULL;
    if (target->sized) leat__target_sized(target, target->total);
    if (!target->told) leat__tell(run, LEAT_FETCH_START, &target->entry, target->grid.count ? target->grid.there_bytes : 0, "", 0,
                                  0, false, NULL);
    target->told = true;
    if (target->entry.is_url) leat__streams_begin(target);
    else leat__copy_next(target);
}

/* Where the parts that are there from the beginning on end. */
static void look_at_sum(leat__target *target)
{
    leat__grid *grid = &target->grid;
    if (!target->summer || !grid->count || target->summing) return;
    uint64_t part = target->sum_to / grid->part_bytes;
    while (target->sum_to < grid->total && grid->states[part] == LEAT__PART_THERE) target->sum_to = leat__grid_end(grid, part++);
    if (target->sum_to < target->summed + 4 * grid->part_bytes) return; /* FINISH reads the rest */
    leat__write_job *job = leat__write_job_new(target, LEAT__JOB_SUM);
    if (!job) return;
    job->to = target->sum_to;
    target->summing = true;
    leat__write_job_submit(job);
}

static void finish(leat__target *target)
{
    leat__write_job *job = leat__write_job_new(target, LEAT__JOB_FINISH);
    leat_error error;
    target->state = LEAT__TARGET_FINISHING;
    if (job) {
        leat__write_job_submit(job);
        return;
    }
    leat__fail(&error, LEAT_ENOMEM, 0, "no memory for a job");
    leat__target_end(target, LEAT__FATE_FAILED, &error);
}

static void step_fetching(leat__target *target)
{
    if (target->finished) {
        target->state = LEAT__TARGET_COMMITTING;
        target->run->committing++;
        leat__commit(target->run->committer, target);
        return;
    }
    look_at_sum(target);
    if (!LIST_EMPTY(&target->streams) || target->jobs) return;
    bool all = target->grid.count ? target->grid.there == target->grid.count : target->whole;
    if (all) finish(target);
    else if (target->entry.is_url) leat__streams_begin(target);
    else leat__copy_next(target);
}

static void step_ending(leat__target *target)
{
    if (!LIST_EMPTY(&target->streams) || target->jobs) return;
    if (target->fate == LEAT__FATE_ANEW && target->run->cancelled) target->fate = LEAT__FATE_CANCELLED;
    if (target->fate != LEAT__FATE_ANEW) {
        conclude_failed(target);
        return;
    }
    target->fate = LEAT__FATE_NONE;
    target->restarted = true;
    leat__error_clear(&target->error);
    forget_object(target);
    begin(target);
}

void leat__target_step(leat__target *target)
{
    switch (target->state) {
    case LEAT__TARGET_LOOKING:
        begin(target);
        break;
    case LEAT__TARGET_FETCHING:
    case LEAT__TARGET_FINISHING:
        step_fetching(target);
        break;
    case LEAT__TARGET_ENDING:
        step_ending(target);
        break;
    case LEAT__TARGET_QUEUED:
    case LEAT__TARGET_COMMITTING:
        break;
    }
}

void leat__target_end(leat__target *target, leat__fate fate, const leat_error *error)
{
    assert(target->state != LEAT__TARGET_COMMITTING && target->state != LEAT__TARGET_QUEUED);
    if (target->state == LEAT__TARGET_ENDING) {
        if (fate == LEAT__FATE_CANCELLED && target->fate == LEAT__FATE_ANEW) target->fate = fate;
    } else {
        target->fate = fate;
        if (error) target->error = *error;
        target->state = LEAT__TARGET_ENDING;
        leat__streams_cancel(target);
    }
    leat__target_step(target);
}

/* ---- many of them ---- */

void leat__targets_start(leat__run *run)
{
    while (run->queued_count && !run->cancelled && leat__streams_have_room(run)) {
        leat__target *target = TAILQ_FIRST(&run->queued);
        if (!target->entry.is_url && run->copies >= 2 * run->config.threads) return;
        TAILQ_REMOVE(&run->queued, target, link);
        run->queued_count--;
        TAILQ_INSERT_TAIL(&run->active, target, link);
        run->active_count++;
        pthread_mutex_lock(&run->lock);
        run->waiting--;
        leat__planner_wake_locked(run);
        pthread_mutex_unlock(&run->lock);
        begin(target);
    }
}

void leat__target_sized(leat__target *target, uint64_t bytes)
{
    leat__run *run = target->run;
    if (target->counted || target->entry.bytes != LEAT__NO_BYTES) return;
    target->counted = true;
    pthread_mutex_lock(&run->lock);
    run->now.planned_bytes += bytes;
    run->now.unsized--;
    pthread_mutex_unlock(&run->lock);
}

static void count_done(leat__target *target)
{
    leat__run *run = target->run;
    pthread_mutex_lock(&run->lock);
    run->now.done++;
    run->now.unverified += !target->verified;
    run->now.finished_bytes += target->size;
    pthread_mutex_unlock(&run->lock);
    leat__target_sized(target, target->size);
}

void leat__target_committed(leat__call *call)
{
    leat__target *target = (leat__target *)call;
    leat__run *run = target->run;
    run->committing--;
    if (target->error.code) {
        target->fate = LEAT__FATE_FAILED;
        conclude_failed(target);
    } else if (target->again) {
        put_aside(target, LEAT__LATER_OTHERS);
    } else {
        count_done(target);
        leat__tell(run, LEAT_FETCH_DONE, &target->entry, target->size, "", target->attempts, 0, !target->verified, NULL);
        conclude(target);
    }
}

void leat__targets_cancel(leat__run *run)
{
    run->cancelled = true;
    leat__target *target, *next;
    while ((target = TAILQ_FIRST(&run->queued))) {
        TAILQ_REMOVE(&run->queued, target, link);
        run->queued_count--;
        TAILQ_INSERT_TAIL(&run->active, target, link);
        run->active_count++;
        target->state = LEAT__TARGET_ENDING;
        target->fate = LEAT__FATE_CANCELLED;
        pthread_mutex_lock(&run->lock);
        run->waiting--;
        pthread_mutex_unlock(&run->lock);
    }
    for (target = TAILQ_FIRST(&run->active); target; target = next) {
        next = TAILQ_NEXT(target, link);
        bool over = target->state == LEAT__TARGET_COMMITTING || target->state == LEAT__TARGET_FINISHING;
        if (!over) leat__target_end(target, LEAT__FATE_CANCELLED, NULL);
    }
}
