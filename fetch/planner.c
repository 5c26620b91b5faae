/* planner.c - entries, what is there of them, claims; several passes.
 *
 * What:    a thread reads the sources and, for each entry of this rank, looks whether its file is there, claims it and hands it to
 *          the loop. What another process has claimed, what comes twice, and what failed and may go better later, is put aside and
 *          looked at again, pass after pass, until nothing is left.
 * Why so:  a stream: a list of ten million lines is never in memory (L8). Looking and claiming wait for disks, which the loop may
 *          not.
 * Threads: its own. It waits while enough targets are under way: few that are claimed and not begun, so that another process that
 *          shares the directory gets its part of them. */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fetch/run.h"
#include "pipeline/failure.h"

enum {
    MOST_ALIVE = 16384,    /* targets in all: a durable group waits 0.3 s, at up to 20,000 files/s, and the transfers that hosts
                              hold up */
    MOST_LISTED = 200000,  /* entries put aside that a stop lists as cancelled: within a second; the others are counted */
    LOOK_AGAIN_MS = 200,   /* between passes in which only others had what is left; twice as long each time, as records are read
                              anew, */
    LOOK_LAST_MS = 3200,   /* up to this */
};

typedef struct planning {
    leat__run *run;
    leat__summer *summer;  /* of SHA-256 */
    uint64_t listed;       /* of what a stop has cancelled */
    uint64_t posted;       /* in this pass */
    uint64_t others;       /* entries put aside in this pass as another process has them */
    uint64_t strange;      /* and those or others, of which records may be found now */
} planning;

/* ---- counts ---- */

static void count_planned(leat__run *run, const leat__entry *entry)
{
    pthread_mutex_lock(&run->lock);
    run->now.planned++;
    if (entry->bytes == LEAT__NO_BYTES) run->now.unsized++;
    else run->now.planned_bytes += entry->bytes;
    pthread_mutex_unlock(&run->lock);
}

static void count_skipped(leat__run *run, const leat__entry *entry, const char *reason)
{
    struct stat status;
    uint64_t bytes = leat__root_stat(&run->root, entry->path, &status) ? 0 : (uint64_t)status.st_size;
    pthread_mutex_lock(&run->lock);
    run->now.skipped++;
    run->now.finished_bytes += bytes;
    if (entry->bytes == LEAT__NO_BYTES) {
        run->now.planned_bytes += bytes;
        run->now.unsized--;
    }
    pthread_mutex_unlock(&run->lock);
    leat__tell(run, run->config.dry_run ? LEAT_FETCH_WOULD : LEAT_FETCH_SKIP, entry, bytes, reason, 0, 0, false, NULL);
}

/* ---- one entry ---- */

/* The first half of the SHA-256 of its name. */
static void make_id(planning *p, const leat__entry *entry, char id[LEAT__FETCH_ID])
{
    char hex[LEAT__SUM_HEX];
    leat__summer_add(p->summer, entry->path, strlen(entry->path));
    leat__sum sum = leat__summer_finish(p->summer);
    leat__sum_hex(&sum, hex);
    memcpy(id, hex, LEAT__FETCH_ID - 1);
    id[LEAT__FETCH_ID - 1] = 0;
}

void leat__planner_wake_locked(leat__run *run)
{
    bool room = run->waiting <= run->config.jobs / 2 && run->alive <= MOST_ALIVE * 3 / 4;
    if (run->alive == 0 || (run->planner_waits && room)) pthread_cond_signal(&run->changed);
}

/* Waits until another target may be posted, and then until several may. False: the run ends. */
static bool wait_for_room(leat__run *run)
{
    pthread_mutex_lock(&run->lock);
    run->planner_waits = run->alive >= MOST_ALIVE || run->waiting >= run->config.jobs;
    while (run->planner_waits && !atomic_load(&run->stopping)) {
        pthread_cond_wait(&run->changed, &run->lock);
        run->planner_waits = run->waiting > run->config.jobs / 2 || run->alive > MOST_ALIVE * 3 / 4;
    }
    run->planner_waits = false;
    pthread_mutex_unlock(&run->lock);
    return !atomic_load(&run->stopping);
}

static bool put_aside(planning *p, const leat__entry *entry, leat__later why)
{
    leat_error error;
    p->others += why == LEAT__LATER_OTHERS;
    p->strange += why == LEAT__LATER_STRANGE || why == LEAT__LATER_OTHERS;
    if (!leat__spill_put(p->run->spill, entry, why, &error)) return true;
    leat__tell_failed(p->run, entry, 0, &error);
    leat__run_stop(p->run, &error);
    return false;
}

/* Claims an object. from: whose claim it was, if its owner has died. *why: LEAT_AGAIN: who has it. */
static leat_code claim(leat__run *run, leat__target *target, char from[LEAT__TOKEN_BYTES], leat__later *why, leat_error *error)
{
    leat__claim claim = LEAT__CLAIM_MINE;
    struct stat status;
    *why = LEAT__LATER_TWIN;
    if (leat__target_has_twin(run, target)) return LEAT_AGAIN;
    *why = LEAT__LATER_OTHERS;
    pthread_mutex_lock(&run->owner_lock);
    leat_code code = leat__owner_claim(run->owner, target->id, &claim, from, error);
    pthread_mutex_unlock(&run->owner_lock);
    if (code) error->code = LEAT_EDISK;
    if (code || claim == LEAT__CLAIM_TAKEN) return code ? LEAT_EDISK : LEAT_AGAIN;
    if (claim != LEAT__CLAIM_INHERITED) from[0] = 0;
    if (target->replace || leat__root_stat(&run->root, target->entry.path, &status)) return LEAT_OK;
    leat__run_drop_claim(run, target->id); /* who had it before has just finished it */
    return LEAT_AGAIN;
}

/* Claims an entry and hands it to the loop. False: the run ends. */
static bool post(planning *p, const leat__entry *entry, bool replace, bool second)
{
    leat__run *run = p->run;
    leat_error error;
    leat__later why = LEAT__LATER_OTHERS;
    char from[LEAT__TOKEN_BYTES] = "";
    if (!wait_for_room(run)) return put_aside(p, entry, LEAT__LATER_OTHERS);
    leat__target *target = leat__target_new(run, entry);
    leat_code code = target ? LEAT_OK : leat__fail(&error, LEAT_ENOMEM, 0, "no memory for a file");
    if (target) {
        make_id(p, entry, target->id);
        target->replace = replace;
        target->second = second;
        code = claim(run, target, from, &why, &error);
    }
    if (code) {
        if (target) leat__target_free(target);
        if (code == LEAT_AGAIN) return put_aside(p, entry, why);
        leat__tell_failed(run, entry, 0, &error);
        if (leat__disk_is_full(&error)) leat__run_stop(run, &error);
        return !atomic_load(&run->stopping);
    }
    leat__leftovers_of(run, second ? leat__owner_token(run->owner) : from, target);
    p->posted++;
    leat__target_post(target);
    return true;
}

/* Looks at an entry and decides. why: of a later pass; first pass: NULL. False: the run ends. */
static bool decide(planning *p, const leat__entry *entry, const leat__later *why)
{
    leat__run *run = p->run;
    leat_error error;
    bool dry = run->config.dry_run;
    leat__presence presence = leat__presence_of(run, entry, &error);
    switch (presence) {
    case LEAT__PRESENCE_WHOLE:
        count_skipped(run, entry, !why || *why == LEAT__LATER_FAILED ? "exists" : *why == LEAT__LATER_TWIN ? "duplicate"
                      : "other process");
        return true;
    case LEAT__PRESENCE_STRANGE:
        if (!dry && !(why && *why == LEAT__LATER_STRANGE)) return put_aside(p, entry, LEAT__LATER_STRANGE);
        leat__tell_failed(run, entry, 0, &error);
        return true;
    case LEAT__PRESENCE_OLD:
    case LEAT__PRESENCE_NONE:
        break;
    }
    if (!dry) return post(p, entry, presence == LEAT__PRESENCE_OLD, why && *why == LEAT__LATER_FAILED);
    leat__tell(run, LEAT_FETCH_WOULD, entry, entry->bytes, "fetch", 0, 0, false, NULL);
    pthread_mutex_lock(&run->lock);
    run->now.cancelled++;
    pthread_mutex_unlock(&run->lock);
    return true;
}

/* ---- passes ---- */

/* The same entry with a path that means the same wherever records and lists of failures are read. */
static bool make_absolute(leat__entry *entry, char path[PATH_MAX])
{
    if (entry->is_url || entry->source[0] == '/' || !getcwd(path, PATH_MAX)) return true;
    size_t length = strlen(path);
    if (length + 1 + strlen(entry->source) >= PATH_MAX) return false;
    snprintf(path + length, PATH_MAX - length, "/%s", entry->source);
    entry->source = path;
    return true;
}

static bool on_entry(void *user, const leat__entry *given)
{
    planning *p = user;
    leat__run *run = p->run;
    leat__entry absolute = *given;
    const leat__entry *entry = &absolute;
    char path[PATH_MAX];
    leat__teller_wait(run->teller);
    if (atomic_load(&run->stopping)) return false;
    if (entry->number % run->result->world != run->result->rank) return true;
    count_planned(run, entry);
    leat_error error;
    if (make_absolute(&absolute, path)) return decide(p, entry, NULL);
    leat__fail(&error, LEAT_EINVAL, ENAMETOOLONG, "a path of more than %d characters", PATH_MAX - 1);
    leat__tell_failed(run, entry, 0, &error);
    return true;
}

static bool on_bad(void *user, uint64_t number, const char *text, const leat_error *error)
{
    planning *p = user;
    leat__entry entry = {.number = number, .source = text, .path = "", .bytes = LEAT__NO_BYTES};
    if (number % p->run->result->world != p->run->result->rank) return true;
    count_planned(p->run, &entry);
    leat__tell_failed(p->run, &entry, 0, error);
    return !atomic_load(&p->run->stopping);
}

static bool on_spilled(void *user, const leat__spilled *spilled)
{
    planning *p = user;
    leat__teller_wait(p->run->teller);
    if (!atomic_load(&p->run->stopping)) decide(p, &spilled->entry, &spilled->why);
    else leat__tell_cancelled(p->run, p->listed++ < MOST_LISTED ? &spilled->entry : NULL, 0);
    return true;
}

/* Looks at what was put aside. What cannot be read again is cancelled. */
static leat_code take_spilled(planning *p, leat_error *error)
{
    leat__run *run = p->run;
    uint64_t lost;
    leat_code code = leat__spill_take(run->spill, on_spilled, p, &lost, error);
    pthread_mutex_lock(&run->lock);
    run->now.cancelled += lost;
    pthread_mutex_unlock(&run->lock);
    return code;
}

static bool note_record(void *user, const leat__record *record)
{
    leat__run *run = user;
    if (leat__presence_note(run->finished, record->path, record->url, record->bytes, &record->sum))
        return !atomic_load(&run->stopping) && !leat__run_is_told_to_stop(run);
    leat_error error;
    leat__fail(&error, LEAT_ENOMEM, 0, "no memory for what is known of finished files");
    leat__run_stop(run, &error);
    return false;
}

leat_code leat__planner_read_records(leat__run *run, leat_error *error)
{
    uint64_t torn;
    return run->state.fd < 0 ? LEAT_OK : leat__records_read(&run->state, note_record, run, &torn, error);
}

/* Waits until nothing is under way; then, if only others have what is left, a while more. */
static void wait_for_all(leat__run *run, unsigned longer_ms)
{
    struct timespec until;
    pthread_mutex_lock(&run->lock);
    while (run->alive) pthread_cond_wait(&run->changed, &run->lock);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += longer_ms / 1000;
    until.tv_nsec += longer_ms % 1000 * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    while (longer_ms && !atomic_load(&run->stopping))
        if (pthread_cond_timedwait(&run->changed, &run->lock, &until)) break;
    pthread_mutex_unlock(&run->lock);
}

static bool is_stopped(void *user)
{
    const leat__run *run = ((planning *)user)->run;
    return atomic_load(&run->stopping) || leat__run_is_told_to_stop(run);
}

static leat_code read_sources(planning *p, leat_error *error)
{
    leat__run *run = p->run;
    leat__entries_options options = {
        .sources = run->config.sources, .source_count = run->config.source_count, .patterns = run->config.patterns,
        .pattern_count = run->config.pattern_count, .checksums = run->config.checksums, .layout = run->config.layout,
        .network = &run->network, .to = run->config.to, .entry = on_entry, .bad = on_bad, .stopped = is_stopped, .user = p};
    leat_code code = leat__entries_read(&options, error);
    pthread_mutex_lock(&run->lock);
    run->now.listed = !code && !atomic_load(&run->stopping);
    pthread_mutex_unlock(&run->lock);
    return code;
}

void *leat__planner_main(void *user)
{
    leat__run *run = user;
    unsigned idle_ms = 0;
    planning p = {.run = run, .summer = leat__summer_new(LEAT__SUM_SHA256)};
    leat_error error;
    leat_code code = p.summer ? read_sources(&p, &error) : leat__fail(&error, LEAT_ENOMEM, 0, "no memory for a checksum");
    while (!code && !run->config.dry_run) {
        bool idle = p.posted == 0 && p.others > 0;
        idle_ms = !idle ? 0 : !idle_ms ? LOOK_AGAIN_MS : idle_ms < LOOK_LAST_MS ? 2 * idle_ms : LOOK_LAST_MS;
        wait_for_all(run, idle_ms);
        if (atomic_load(&run->stopping) || leat__spill_count(run->spill) == 0) break;
        bool strange = p.strange > 0;
        p = (planning){.run = run, .summer = p.summer};
        if (strange) code = leat__planner_read_records(run, &error);
        if (!code) code = take_spilled(&p, &error);
    }
    if (code) leat__run_stop(run, &error);
    wait_for_all(run, 0);
    if (run->spill && take_spilled(&p, &error)) leat__run_stop(run, &error); /* stopped: what is left of it is cancelled */
    leat__summer_free(p.summer);
    leat__teller_end(run->teller);
    return NULL;
}
