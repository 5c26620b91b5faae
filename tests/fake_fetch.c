/* fake_fetch.c - a leat_fetch that fetches nothing: plays a run, so that what the command makes of it can be looked at.
 *
 * What:    linked into the command in the place of the library's: thousands of files, retries, a host that throttles and one that
 *          is dead, failures, a stop. FAKE_FETCH says what is played: words of "files=N", "steps=N" (how often progress is called),
 *          "step_ms=N", "hosts=N" (1..3), "transfers=N", "active=N", "hostile" (names that nobody should send),
 *          "sizes=none|some|all", "worst=N", "fatal=N" (fails with that code after half of the steps).
 * Why so:  a throttled host at second 3, a terminal that becomes narrow, a broken pipe: not to be had from a network at will.
 * Threads: the caller's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <leat/fetch.h>

typedef struct play {
    const leat_fetch_config *config;
    leat_fetch_progress now;
    uint64_t files, steps, step_ms, hosts, transfers, active, worst, fatal;
    bool hostile;
    char sizes[8];
    leat_error first_error;
} play;

static const char *const hostile_names[] = {
    "\033[2J\033[H\033]0;title\007owned.tar", "two\nlines\r\tand more.tar", "\377\300\200 no UTF-8.tar", "\342\200\256gpj.exe",
    "\346\274\242\345\255\227\346\274\242\345\255\227\346\274\242\345\255\227\346\274\242\345\255\227.tar",
    "e\314\201\314\201\314\201.tar",
    ("\302\233" "31m.tar"), "quote\"back\\slash.tar", "\360\237\232\200\360\237\232\200.tar",
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789.tar"};
enum { HOSTILE = sizeof hostile_names / sizeof hostile_names[0], FILE_BYTES = 60000, LARGE_BYTES = 1 << 28 };

/* The number behind "name=" in FAKE_FETCH. */
static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv("FAKE_FETCH"), *found = text ? strstr(text, name) : NULL;
    return found ? strtoull(found + strlen(name), NULL, 10) : otherwise;
}

static void read_settings(play *p)
{
    const char *text = getenv("FAKE_FETCH"), *sizes = text ? strstr(text, "sizes=") : NULL;
    p->files = setting("files=", 3000);
    p->steps = setting("steps=", 60);
    p->step_ms = setting("step_ms=", 100);
    p->hosts = setting("hosts=", 3);
    p->transfers = setting("transfers=", 12);
    p->active = setting("active=", p->transfers);
    p->worst = setting("worst=", LEAT_FETCH_SOME_FAILED);
    p->fatal = setting("fatal=", 0);
    p->hostile = text && strstr(text, "hostile");
    snprintf(p->sizes, sizeof p->sizes, "%.4s", sizes ? sizes + 6 : "all");
}

static void name_file(const play *p, uint64_t i, char *out, size_t capacity)
{
    if (p->hostile) snprintf(out, capacity, "%s", hostile_names[i % HOSTILE]);
    else snprintf(out, capacity, "train/class-%03d/image-%06d.jpg", (int)(i % 100), (int)i);
}

static void tell(play *p, uint64_t i, leat_fetch_event_kind kind, const char *reason, const leat_error *error)
{
    char path[256], url[300];
    name_file(p, i, path, sizeof path);
    snprintf(url, sizeof url, "https://data.example.org/%s", path);
    leat_fetch_event event = {.kind = kind, .url = url, .path = path, .bytes = kind == LEAT_FETCH_START ? UINT64_MAX : FILE_BYTES,
                              .reason = reason, .attempts = 1, .delay_ms = 250, .error = error};
    if (p->config->event) p->config->event(p->config->user, &event);
}

static void fail_file(play *p, uint64_t i, leat_fetch_event_kind kind)
{
    leat_error error = {.code = LEAT_EHTTP, .system = 404};
    snprintf(error.message, sizeof error.message, "HTTP 404 Not Found (attempt 1)");
    if (kind == LEAT_FETCH_ERROR && p->first_error.code == LEAT_OK) p->first_error = error;
    tell(p, i, kind, "", &error);
}

/* One file of the list comes to its end. */
static void settle(play *p, uint64_t i)
{
    leat_fetch_progress *now = &p->now;
    if (p->config->dry_run || i % 10 == 9) {
        tell(p, i, p->config->dry_run ? LEAT_FETCH_WOULD : LEAT_FETCH_SKIP, p->config->dry_run ? "fetch" : "exists", NULL);
        now->skipped++;
        now->finished_bytes += FILE_BYTES;
        return;
    }
    tell(p, i, LEAT_FETCH_START, "", NULL);
    now->requests++;
    if (i % 41 == 3) {
        fail_file(p, i, LEAT_FETCH_RETRY);
        now->retries++;
        now->requests++;
    }
    if (i % 400 == 7) {
        fail_file(p, i, LEAT_FETCH_ERROR);
        now->failed++;
        return;
    }
    tell(p, i, LEAT_FETCH_DONE, "", NULL);
    now->done++;
    now->bytes += FILE_BYTES;
    now->finished_bytes += FILE_BYTES;
}

static void show_transfers(play *p, uint64_t step)
{
    leat_fetch_progress *now = &p->now;
    bool ends = step == p->steps;
    now->transfer_count = ends ? 0 : p->transfers < LEAT_FETCH_SHOWN ? p->transfers : LEAT_FETCH_SHOWN;
    now->active = ends ? 0 : (uint32_t)p->active;
    now->waiting = ends ? 0 : (uint32_t)(now->planned - now->done - now->skipped - now->failed);
    for (size_t i = 0; i < now->transfer_count; i++) {
        leat_fetch_transfer *transfer = &now->transfers[i];
        bool large = i % 3 == 0;
        if (p->hostile) snprintf(transfer->name, sizeof transfer->name, "%s", hostile_names[(i + step / 8) % HOSTILE]);
        else if (large) snprintf(transfer->name, sizeof transfer->name, "shards/train-%06zu.tar", i);
        else name_file(p, step * 5 + i, transfer->name, sizeof transfer->name);
        transfer->total = large ? LARGE_BYTES : i % 3 == 1 ? FILE_BYTES : UINT64_MAX;
        transfer->bytes = large ? (uint64_t)LARGE_BYTES * step / p->steps : FILE_BYTES * (step % 5) / 5;
        transfer->connections = large ? 4 : 1;
    }
}

static void show_hosts(play *p, uint64_t step)
{
    static const char *const names[] = {"data.example.org:443", "mirror.example.org:443", "10.0.0.7:8080"};
    uint64_t share = step * 100 / p->steps;
    p->now.host_count = p->hosts;
    for (size_t i = 0; i < p->hosts; i++) {
        leat_fetch_host *host = &p->now.hosts[i];
        bool throttled = i == 1 && share >= 30 && share < 70, dead = i == 2 && share >= 40;
        *host = (leat_fetch_host){.active = dead ? 0 : throttled ? 8 : 28, .limit = throttled ? 8 : 64, .unreachable = dead};
        snprintf(host->name, sizeof host->name, "%s", p->hostile && i == 0 ? hostile_names[0] : names[i]);
        if (throttled && share < 50) host->paused_ms = (50 - share) * 300;
        host->retries = i == 0 ? p->now.retries : 0;
    }
}

/* The sources are read in the first fifth of the run. */
static void plan(play *p, uint64_t step)
{
    leat_fetch_progress *now = &p->now;
    uint64_t all = p->steps / 5 ? p->steps / 5 : 1;
    now->planned = step >= all ? p->files : p->files * step / all;
    now->listed = step >= all;
    now->unsized = strcmp(p->sizes, "none") == 0 ? now->planned : strcmp(p->sizes, "some") == 0 ? now->planned / 2 : 0;
    now->planned_bytes = (now->planned - now->unsized) * FILE_BYTES;
}

static bool play_step(play *p, uint64_t step)
{
    plan(p, step);
    uint64_t until = p->now.planned < p->files * step / p->steps ? p->now.planned : p->files * step / p->steps;
    for (uint64_t i = p->now.done + p->now.skipped + p->now.failed; i < until; i++) settle(p, i);
    if (step == p->steps / 2) tell(p, 0, LEAT_FETCH_NOTE, "a journal is damaged: its parts are fetched again", NULL);
    show_transfers(p, step);
    show_hosts(p, step);
    if (p->config->progress) p->config->progress(p->config->user, &p->now);
    usleep((useconds_t)(p->step_ms * 1000));
    return (p->config->stop && *p->config->stop) || (p->fatal && step >= p->steps / 2);
}

leat_code leat_fetch(const leat_fetch_config *config, leat_fetch_result *result, leat_error *error)
{
    static play p; /* large */
    p = (play){.config = config};
    read_settings(&p);
    bool ended = false;
    for (uint64_t step = 1; step <= p.steps && !ended; step++) ended = play_step(&p, step);
    if (ended) {
        usleep(300000);
        if (config->progress) config->progress(config->user, &p.now); /* as the run winds up: the view says that it stops */
        usleep(300000);
        p.now.cancelled = p.now.planned - p.now.done - p.now.skipped - p.now.failed;
    }
    *result = (leat_fetch_result){.last = p.now, .seconds = (double)(p.steps * p.step_ms) / 1e3, .world = 1,
                                  .worst = p.now.failed ? (leat_fetch_trouble)p.worst : LEAT_FETCH_FINE,
                                  .first_error = p.first_error};
    if (p.now.failed + p.now.cancelled > 0)
        snprintf(result->failed_list, sizeof result->failed_list, "%s/.leat/failed.jsonl", config->to);
    if (!ended) return LEAT_OK;
    *error = (leat_error){.code = p.fatal ? (leat_code)p.fatal : LEAT_ECLOSED};
    snprintf(error->message, sizeof error->message, p.fatal ? "%s: writing: no space left on device" : "%s: stopped", config->to);
    return error->code;
}
