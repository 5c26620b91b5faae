/* fetch.c - a run of leat fetch from begin to end (include/leat/fetch.h).
 *
 * What:    opens the directory, reads what is known of it, starts loop, pool, committer and planner, and then tells the caller what
 *          they say, until the planner has nothing left.
 * State:   settings ─► folders ─► owner, records, leftovers ─► threads ─► (stopping) ─► planner over ─► loop closed ─► swept. A
 *          failure at any point goes
 *          through the same end, which accepts any half-built state.
 * Threads: the calling one.
 * Invariants: after it planned = done + skipped + failed + cancelled; cancelled is 0 unless the run was stopped, or was dry. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fetch/run.h"
#include "pipeline/failure.h"
#include "pipeline/thread.h"

#define WORK_FOLDER "work" /* in .leat */

enum { SIGN_ON_TRIES = 100 };

/* ---- what several threads say ---- */

void leat__run_stop(leat__run *run, const leat_error *error)
{
    pthread_mutex_lock(&run->lock);
    if (!run->error.code) run->error = *error;
    atomic_store(&run->stopping, true);
    pthread_cond_broadcast(&run->changed);
    pthread_mutex_unlock(&run->lock);
}

bool leat__run_is_told_to_stop(const leat__run *run)
{
    return run->config.stop && __atomic_load_n(run->config.stop, __ATOMIC_RELAXED);
}

void leat__run_drop_claim(leat__run *run, const char *id)
{
    pthread_mutex_lock(&run->owner_lock);
    leat__owner_drop(run->owner, id);
    pthread_mutex_unlock(&run->owner_lock);
}

/* ---- begin ---- */

static leat_code open_folders(leat__run *run, leat_error *error)
{
    bool make = !run->config.dry_run;
    leat_code code = leat__root_open(run->config.to, make, &run->root, error);
    if (!code) code = leat__root_open_beneath(&run->root, LEAT__STATE_FOLDER, make, &run->state, error);
    if (!code) code = make ? leat__root_open_beneath(&run->state, WORK_FOLDER, true, &run->work, error) : LEAT_OK;
    if (!make && code == LEAT_ENOTFOUND) return LEAT_OK;
    if (code && code != LEAT_ENOMEM) error->code = LEAT_EDISK;
    return code ? error->code : LEAT_OK;
}

/* Registers. A process that ends at this moment may take the empty work folder away under our feet: again, then. */
static leat_code sign_on(leat__run *run, leat_error *error)
{
    leat_code code = leat__owner_new(run->work.fd, leat__env_real(), &run->owner, error);
    for (int i = 0; i < SIGN_ON_TRIES && code && error->system == ENOENT; i++) {
        leat__root_close(&run->work);
        code = leat__root_open_beneath(&run->state, WORK_FOLDER, true, &run->work, error);
        if (!code) code = leat__owner_new(run->work.fd, leat__env_real(), &run->owner, error);
    }
    return code;
}

static leat_code begin(leat__run *run, leat_error *error)
{
    leat_code code = open_folders(run, error);
    if (code) return code;
    run->finished = leat__finished_new();
    run->teller = leat__teller_new(run);
    if (!run->finished || !run->teller) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a run");
    code = leat__planner_read_records(run, error);
    if (!code && !run->config.dry_run) {
        code = sign_on(run, error);
        if (!code) code = leat__leftovers_find(run, run->config.fresh, &run->leftovers, error);
        if (!code && !(run->spill = leat__spill_new(run->work.fd, leat__owner_token(run->owner), error))) code = error->code;
        if (!code) code = leat__fetch_loop_begin(run, error);
        if (!code && !(run->committer = leat__committer_new(run, error))) code = error->code;
    }
    return code;
}

/* ---- end ---- */

static leat_fetch_trouble worst_of(const leat__run *run)
{
    const leat_fetch_progress *last = &run->result->last;
    leat_fetch_trouble worst = leat__disk_is_full(&run->error) ||
        run->error.code == LEAT_EDISK ? LEAT_FETCH_BAD_DISK : LEAT_FETCH_FINE;
    for (leat_fetch_trouble trouble = LEAT_FETCH_SOME_FAILED; trouble <= LEAT_FETCH_BAD_DATA; trouble++) {
        bool reached = trouble == LEAT_FETCH_NO_NETWORK && last->done + last->skipped > 0;
        if (run->failed_by[trouble] && (reached ? LEAT_FETCH_SOME_FAILED : trouble) > worst)
            worst = reached ? LEAT_FETCH_SOME_FAILED : trouble;
    }
    return worst;
}

static void end(leat__run *run)
{
    leat__committer_free(run->committer);
    leat__fetch_loop_end(run);
    if (run->teller) leat__teller_say(run->teller);
    if (run->owner) leat__leftovers_sweep(run);
    leat__leftovers_free(run->leftovers);
    leat__spill_free(run->spill);
    leat__failed_list_end(run);
    leat__owner_free(run->owner);
    if (run->work.fd >= 0 && run->state.fd >= 0) unlinkat(run->state.fd, WORK_FOLDER, AT_REMOVEDIR); /* if it is empty */
    leat__finished_free(run->finished);
    free(run->quoted);
    leat__teller_free(run->teller);
    leat__root_close(&run->work);
    leat__root_close(&run->state);
    leat__root_close(&run->root);
}

/* The final counts. */
static void close_account(leat__run *run)
{
    leat_fetch_progress *last = &run->result->last;
    last->planned = run->now.planned;
    last->listed = run->now.listed;
    last->done = run->now.done;
    last->skipped = run->now.skipped;
    last->failed = run->now.failed;
    last->planned_bytes = run->now.planned_bytes;
    last->unsized = run->now.unsized;
    last->finished_bytes = run->now.finished_bytes;
    last->unverified = run->now.unverified;
    last->cancelled = run->now.cancelled;
    last->transfer_count = 0;
    assert(last->planned == last->done + last->skipped + last->failed + last->cancelled);
    assert(last->cancelled == 0 || run->error.code || run->config.dry_run);
    run->result->worst = worst_of(run);
}

static leat_code go(leat__run *run, leat_error *error)
{
    leat_code code = begin(run, error);
    int number = code ? 0 : leat__thread_start(&run->planner, "leat-planner", leat__planner_main, run);
    if (number) code = leat__fail_errno(error, LEAT_ESYSTEM, number, "starting a thread");
    if (!code) {
        while (leat__teller_say(run->teller)) {}
        pthread_join(run->planner, NULL);
    }
    end(run);
    close_account(run);
    if (code) return code;
    bool all = run->error.code == LEAT_ECLOSED && run->now.listed && !run->result->last.cancelled; /* stopped when there was nothing
                                                                                                      left to stop */
    if (all) return LEAT_OK;
    if (run->error.code && error) *error = run->error;
    return run->error.code;
}

leat_code leat_fetch(const leat_fetch_config *config, leat_fetch_result *result, leat_error *error)
{
    uint64_t begun = uv_hrtime();
    leat__run *run = calloc(1, sizeof *run);
    pthread_condattr_t monotonic;
    *result = (leat_fetch_result){0};
    leat__error_clear(error);
    leat__error_clear(&result->first_error);
    if (!run) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a run");
    run->result = result;
    clock_gettime(CLOCK_REALTIME_COARSE, &run->begun);
    run->root.fd = run->state.fd = run->work.fd = -1;
    leat__error_clear(&run->error);
    pthread_mutex_init(&run->lock, NULL);
    pthread_mutex_init(&run->owner_lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&run->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    leat_code code = leat__fetch_settings(config, run, error);
    if (!code) code = go(run, error);
    pthread_cond_destroy(&run->changed);
    pthread_mutex_destroy(&run->owner_lock);
    pthread_mutex_destroy(&run->lock);
    free(run);
    result->seconds = (double)(uv_hrtime() - begun) / 1e9;
    return code;
}
