/* fetchloop.c - the loop's side of a run: the HTTP client, timers, and what is done in each turn.
 *
 * What:    before the loop waits: what has arrived goes to jobs, free places get their next target. When jobs have come back: what
 *          was paused goes on. Ten times a second: a picture for the caller, the caller's stop flag; twice: further connections for
 *          large files.
 * Threads: begin and end: the calling one; the rest: the loop. */
#include <assert.h>
#include <stdlib.h>

#include "fetch/run.h"
#include "loader/download.h"
#include "pipeline/failure.h"

enum { JOBS_AT_ONCE = 16, TICK_MS = 100, REFILL_MS = 10, BEAT_TICKS = LEAT__OWNER_BEAT_S * 1000 / TICK_MS, SPREAD_TICKS = 5 };

static void on_wake(void *user)
{
    leat__run *run = user;
    if (run->ended) return; /* the loop's own end wakes it, too */
    leat__writing_reap(run);
    leat__streams_resume(run);
    leat__targets_start(run);
}

static void flush(leat__run *run)
{
    uv_timer_stop(&run->flush);
    run->submitted = 0;
    leat__pool_flush(run->pool);
}

static void on_flush(uv_timer_t *timer)
{
    flush(timer->data);
}

/* Jobs wait for company, a millisecond at most: waking a thread costs as much as writing a small file. */
static void on_turn(uv_prepare_t *prepare)
{
    leat__run *run = prepare->data;
    leat__streams_pump(run);
    leat__targets_start(run);
    if (run->submitted >= JOBS_AT_ONCE) flush(run);
    else if (run->submitted && !uv_is_active((uv_handle_t *)&run->flush)) uv_timer_start(&run->flush, on_flush, 1, 0);
    if (run->committing && run->committing == run->active_count && !run->queued_count) leat__committer_hurry(run->committer);
}

static void on_tick(uv_timer_t *timer)
{
    leat__run *run = timer->data;
    leat__target *target, *next;
    leat_error error;
    if (leat__run_is_told_to_stop(run) && !atomic_load(&run->stopping)) {
        leat__fail(&error, LEAT_ECLOSED, 0, "stopped");
        leat__run_stop(run, &error);
    }
    if (atomic_load(&run->stopping) && !run->cancelled) leat__targets_cancel(run);
    if (++run->ticks % BEAT_TICKS == 0) leat__owner_beat(run->owner);
    for (target = TAILQ_FIRST(&run->active); target && run->ticks % SPREAD_TICKS == 0; target = next) {
        next = TAILQ_NEXT(target, link);
        leat__streams_spread(target);
    }
    leat__streams_renew_slow(run, uv_hrtime());
    leat__teller_picture(run);
}

/* --limit-rate: tokens for what may arrive; never more than a tenth of a second's. */
static void on_refill(uv_timer_t *timer)
{
    leat__run *run = timer->data;
    uint64_t now = uv_hrtime(), elapsed = now - run->refilled_ns;
    double most = (double)run->config.limit_rate / 10;
    run->refilled_ns = now;
    run->tokens += (double)run->config.limit_rate * (double)elapsed / 1e9;
    if (run->tokens > most) run->tokens = most;
    if (run->tokens < 0) return;
    leat__streams_resume(run);
    leat__targets_start(run);
}

static uint64_t random_of(void *user)
{
    return leat__random_next(&((leat__run *)user)->random);
}

static uint64_t now_of(void *user)
{
    (void)user;
    return uv_hrtime();
}

static void begin(void *argument)
{
    leat__run *run = argument;
    uv_loop_t *loop = leat__loop_uv(run->loop);
    const leat__env env = {.now_ns = now_of, .random = random_of, .user = run};
    leat__http_options options = leat__http_options_of(&run->network, &env, loop, run->arena, run->chunk_bytes);
    options.connections_per_host = run->config.max_per_host;
    if (leat__http_new(&options, &run->http, &run->loop_error)) return;
    uv_timer_init(loop, &run->tick);
    uv_timer_init(loop, &run->refill);
    uv_timer_init(loop, &run->flush);
    uv_prepare_init(loop, &run->prepare);
    run->tick.data = run->refill.data = run->flush.data = run->prepare.data = run;
    run->refilled_ns = uv_hrtime();
    uv_timer_start(&run->tick, on_tick, TICK_MS, TICK_MS);
    if (run->config.limit_rate) uv_timer_start(&run->refill, on_refill, REFILL_MS, REFILL_MS);
    uv_prepare_start(&run->prepare, on_turn);
    run->handles_made = true;
}

static void on_jobs_done(void *user)
{
    leat__loop_wake(((leat__run *)user)->loop);
}

leat_code leat__fetch_loop_begin(leat__run *run, leat_error *error)
{
    TAILQ_INIT(&run->queued);
    TAILQ_INIT(&run->active);
    LIST_INIT(&run->dirty);
    uv_sem_init(&run->closed, 0);
    run->arena = leat__arena_new((size_t)run->config.memory_limit / 4);
    if (!run->arena) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for buffers");
    leat_code code = leat__loop_new(on_wake, run, &run->loop, error);
    if (!code) code = leat__pool_new("disk", run->config.threads, leat__env_real(), on_jobs_done, run, &run->pool, error);
    if (code) return code;
    leat__error_clear(&run->loop_error);
    leat__loop_do(run->loop, begin, run);
    if (run->loop_error.code && error) *error = run->loop_error;
    return run->loop_error.code;
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    leat__run *run = handle->data;
    assert(run->open_handles > 0);
    if (--run->open_handles == 0) uv_sem_post(&run->closed);
}

static void on_http_closed(void *user)
{
    leat__run *run = user;
    uv_handle_t *handles[] = {(uv_handle_t *)&run->tick, (uv_handle_t *)&run->refill, (uv_handle_t *)&run->flush,
                              (uv_handle_t *)&run->prepare};
    run->open_handles = 4;
    for (size_t i = 0; i < 4; i++) uv_close(handles[i], on_closed);
}

static void end(void *argument)
{
    leat__run *run = argument;
    assert(TAILQ_EMPTY(&run->queued) && TAILQ_EMPTY(&run->active) && !leat__pool_is_busy(run->pool));
    run->ended = true;
    leat__teller_picture(run);
    leat__http_close(run->http, on_http_closed, run);
}

void leat__fetch_loop_end(leat__run *run)
{
    if (run->handles_made) {
        leat__loop_do(run->loop, end, run);
        uv_sem_wait(&run->closed);
    }
    leat__pool_free(run->pool);
    leat__loop_free(run->loop);
    if (run->arena) {
        assert(leat__arena_live(run->arena) == 0 && leat__budget_used(&run->budget) == 0);
        leat__arena_release(run->arena);
        uv_sem_destroy(&run->closed);
    }
}
