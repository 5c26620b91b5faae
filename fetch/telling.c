/* telling.c - events and progress to the calling thread; failed.jsonl.
 *
 * What:    a queue of copied events, and one picture of where the run stands, taken by the loop ten times a second.
 * Why so:  the caller's functions may print, and a terminal or a pipe may be slow: neither the loop nor the planner may wait for
 *          them. While the caller is far behind, no new file is begun. The list of what failed is written beside its place and
 *          renamed at the end: it may be what this very run reads.
 * Threads: leat__tell: any; say: the calling one.
 * Not here: words for people (cli/fetch_view.c). */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fetch/run.h"
#include "pipeline/failure.h"
#include "store/recordline.h"

enum { MOST_TOLD = 20000, TOLD_AT_ONCE = 512, WAIT_MS = 100, URL_BYTES = 2048, QUOTED_BYTES = 6 * 65537 };

typedef struct told {
    STAILQ_ENTRY(told) link;
    leat_fetch_event event;
    leat_error error;
    char *text; /* url, path and reason, each with its NUL */
} told;
STAILQ_HEAD(told_list, told);

struct leat__teller {
    /* fixed after creation */
    leat__run *run;
    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed, taken;
    struct told_list list;
    uint64_t count;
    leat_fetch_progress picture;
    bool pictured, over;
};

leat__teller *leat__teller_new(leat__run *run)
{
    leat__teller *teller = calloc(1, sizeof *teller);
    pthread_condattr_t monotonic;
    if (!teller) return NULL;
    teller->run = run;
    STAILQ_INIT(&teller->list);
    pthread_mutex_init(&teller->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&teller->changed, &monotonic);
    pthread_cond_init(&teller->taken, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return teller;
}

static void told_free(told *one)
{
    if (one) free(one->text);
    free(one);
}

void leat__teller_free(leat__teller *teller)
{
    told *one;
    if (!teller) return;
    while ((one = STAILQ_FIRST(&teller->list))) {
        STAILQ_REMOVE_HEAD(&teller->list, link);
        told_free(one);
    }
    pthread_cond_destroy(&teller->taken);
    pthread_cond_destroy(&teller->changed);
    pthread_mutex_destroy(&teller->lock);
    free(teller);
}

/* ---- events ---- */

/* The error, with the name of what it is of before it, if it does not begin with that. */
static void name_it(leat_error *out, const leat_error *error, const char *name)
{
    bool named = !strncmp(error->message, name, strlen(name));
    leat__fail(out, error->code, error->system, "%s%s%.500s", named ? "" : name, named ? "" : ": ", error->message);
}

void leat__tell(leat__run *run, leat_fetch_event_kind kind, const leat__entry *entry, uint64_t bytes, const char *reason,
                uint32_t attempts,
                uint64_t delay_ms, bool unverified, const leat_error *error)
{
    leat__teller *teller = run->teller;
    char url[URL_BYTES];
    if (!run->config.event || (run->config.events && !(run->config.events >> kind & 1))) return;
    told *one = calloc(1, sizeof *one);
    const char *path = entry ? entry->path : "";
    if (entry && entry->is_url) leat__redact(url, sizeof url, entry->source);
    else snprintf(url, sizeof url, "%s", entry ? entry->source : "");
    int lengths[2] = {(int)strlen(url), (int)strlen(path)};
    if (!one || asprintf(&one->text, "%s%c%s%c%s", url, 0, path, 0, reason) < 0) { /* an event less; the counts are right */
        free(one);
        return;
    }
    one->event = (leat_fetch_event){.kind = kind, .bytes = bytes, .attempts = attempts, .delay_ms = delay_ms,
                                    .unverified = unverified};
    one->event.url = one->text;
    one->event.path = one->text + lengths[0] + 1;
    one->event.reason = one->event.path + lengths[1] + 1;
    if (error) {
        char shown[512];
        name_it(&one->error, error, leat__escape(shown, sizeof shown, one->event.url, strlen(one->event.url)));
        one->error.offset = error->offset;
        one->event.error = &one->error;
    }
    pthread_mutex_lock(&teller->lock);
    STAILQ_INSERT_TAIL(&teller->list, one, link);
    if (++teller->count == TOLD_AT_ONCE) pthread_cond_signal(&teller->changed); /* fewer wait for the next look: a wake costs more
                                                                                   than an event */
    pthread_mutex_unlock(&teller->lock);
}

bool leat__teller_behind(leat__teller *teller)
{
    pthread_mutex_lock(&teller->lock);
    bool behind = teller->count > MOST_TOLD;
    pthread_mutex_unlock(&teller->lock);
    return behind;
}

void leat__teller_wait(leat__teller *teller)
{
    pthread_mutex_lock(&teller->lock);
    while (teller->count > MOST_TOLD) pthread_cond_wait(&teller->taken, &teller->lock);
    pthread_mutex_unlock(&teller->lock);
}

/* ---- pictures ---- */

static void add_host(void *user, const leat__http_host *host)
{
    leat_fetch_progress *now = user;
    if (now->host_count == LEAT_FETCH_SHOWN) return;
    leat_fetch_host *one = &now->hosts[now->host_count++];
    const char *name = strstr(host->origin, "://");
    name = name ? name + 3 : host->origin;
    *one = (leat_fetch_host){.active = host->active, .limit = host->limit, .paused_ms = host->paused_ns / 1000000,
                             .retries = host->retries, .unreachable = host->unreachable};
    leat__escape(one->name, sizeof one->name, name, strlen(name));
}

/* Bytes of a target that are there. */
static uint64_t bytes_of(const leat__target *target)
{
    if (target->learning) return 0; /* the next picture has them */
    return target->grid.count ? target->grid.there_bytes : target->received;
}

static void add_transfer(const leat__target *target, leat_fetch_progress *now)
{
    if (now->transfer_count == LEAT_FETCH_SHOWN) return;
    leat_fetch_transfer *one = &now->transfers[now->transfer_count++];
    size_t length = strlen(target->entry.path), most = sizeof one->name - 1;
    const char *name = length > most / 2 ? target->entry.path + length - most / 2 : target->entry.path;
    while ((*name & 0xc0) == 0x80) name++; /* a character's beginning */
    leat__escape(one->name, sizeof one->name, name, strlen(name));
    one->bytes = bytes_of(target);
    one->total = target->sized ? target->total : target->entry.bytes;
    one->connections = target->stream_count + !target->entry.is_url;
}

/* Those that move first: others may wait for a host that is throttled or dead. */
static void add_transfers(const leat__run *run, leat_fetch_progress *now)
{
    const leat__target *target;
    TAILQ_FOREACH(target, &run->active, link) {
        now->finished_bytes += bytes_of(target);
        if (target->state == LEAT__TARGET_FETCHING && !target->learning && target->learnt) add_transfer(target, now);
    }
    TAILQ_FOREACH(target, &run->active, link)
        if (target->state == LEAT__TARGET_FETCHING && target->stream_count && !target->learnt) add_transfer(target, now);
}

void leat__teller_picture(leat__run *run)
{
    leat__teller *teller = run->teller;
    leat_fetch_progress now;
    leat__http_stats stats;
    pthread_mutex_lock(&run->lock);
    now = run->now;
    pthread_mutex_unlock(&run->lock);
    leat__http_get_stats(run->http, &stats);
    now.bytes = run->bytes;
    now.requests = stats.requests;
    now.retries = stats.retries;
    now.throttled = stats.throttled;
    now.redirects = stats.redirects;
    now.active = stats.active + stats.paused + run->copies;
    now.waiting = stats.waiting + run->queued_count;
    now.writing = atomic_load(&run->unwritten);
    leat__http_hosts(run->http, add_host, &now);
    add_transfers(run, &now);
    pthread_mutex_lock(&teller->lock);
    teller->picture = now;
    teller->pictured = true;
    pthread_cond_signal(&teller->changed);
    pthread_mutex_unlock(&teller->lock);
}

/* ---- the calling thread ---- */

void leat__teller_end(leat__teller *teller)
{
    pthread_mutex_lock(&teller->lock);
    teller->over = true;
    pthread_cond_signal(&teller->changed);
    pthread_mutex_unlock(&teller->lock);
}

static void wait_locked(leat__teller *teller)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += WAIT_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    while (teller->count < TOLD_AT_ONCE && !teller->pictured && !teller->over)
        if (pthread_cond_timedwait(&teller->changed, &teller->lock, &until)) break;
}

bool leat__teller_say(leat__teller *teller)
{
    const leat_fetch_config *config = &teller->run->config;
    struct told_list list = STAILQ_HEAD_INITIALIZER(list);
    leat_fetch_progress picture;
    told *one;
    pthread_mutex_lock(&teller->lock);
    wait_locked(teller);
    STAILQ_CONCAT(&list, &teller->list);
    teller->count = 0;
    pthread_cond_broadcast(&teller->taken);
    bool pictured = teller->pictured, over = teller->over;
    if (pictured) picture = teller->picture;
    teller->pictured = false;
    pthread_mutex_unlock(&teller->lock);
    while ((one = STAILQ_FIRST(&list))) {
        STAILQ_REMOVE_HEAD(&list, link);
        config->event(config->user, &one->event);
        told_free(one);
    }
    if (pictured) teller->run->result->last = picture;
    if (pictured && config->progress) config->progress(config->user, &picture);
    return !over;
}

/* ---- what failed ---- */

static leat_fetch_trouble trouble_of(const leat_error *error)
{
    switch (error->code) {
    case LEAT_ECHECKSUM: case LEAT_ECORRUPT: case LEAT_EFORMAT: case LEAT_EOVERSIZE: case LEAT_ECHANGED:
        return LEAT_FETCH_BAD_DATA;
    case LEAT_EDISK:
        return LEAT_FETCH_BAD_DISK;
    case LEAT_EINVAL:
        return LEAT_FETCH_BAD_CONFIG;
    case LEAT_EACCESS:
        return error->system == 401 || error->system == 407 ? LEAT_FETCH_BAD_CONFIG : LEAT_FETCH_NO_SOURCE;
    case LEAT_ENOTFOUND:
        return LEAT_FETCH_NO_SOURCE;
    case LEAT_ENETWORK: case LEAT_ETIMEOUT: case LEAT_ERETRIES: case LEAT_ETLS:
        return LEAT_FETCH_NO_NETWORK;
    default:
        return LEAT_FETCH_SOME_FAILED;
    }
}

/* failed.jsonl, or failed.R.jsonl of a rank; own: with the token, while it is written. */
static void list_name(const leat__run *run, bool own, char out[LEAT__FETCH_NAME])
{
    char rank[16] = "";
    if (run->result->world > 1) snprintf(rank, sizeof rank, "%u.", run->result->rank);
    snprintf(out, LEAT__FETCH_NAME, "failed.%s%s%sjsonl", rank, own ? leat__owner_token(run->owner) : "", own ? "." : "");
}

static void open_list_locked(leat__run *run)
{
    char name[LEAT__FETCH_NAME];
    if (run->state.fd < 0 || run->config.dry_run) return;
    list_name(run, true, name);
    int fd = TEMP_FAILURE_RETRY(openat(run->state.fd, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600));
    run->failed_list = fd < 0 ? NULL : fdopen(fd, "w");
    if (fd >= 0 && !run->failed_list) close(fd);
}

/* A line of failed.jsonl: an entry as fetch/entries.h reads it, and why it failed. */
static void list_locked(leat__run *run, const leat__entry *entry, uint32_t attempts, const leat_error *error)
{
    char *text = run->quoted, hex[LEAT__SUM_HEX];
    if (!text) text = run->quoted = malloc(3 * (size_t)QUOTED_BYTES);
    if (!run->failed_list) open_list_locked(run);
    if (!text || !run->failed_list) return;
    if (!entry->path[0]) { /* a line of a list that could not be understood: where it is, as a comment */
        fprintf(run->failed_list, "# %s: %s\n", entry->source, error->message);
        return;
    }
    leat__json_quote(text, QUOTED_BYTES, entry->source);
    leat__json_quote(text + QUOTED_BYTES, QUOTED_BYTES, entry->path);
    leat__json_quote(text + 2 * QUOTED_BYTES, QUOTED_BYTES, error->message);
    fprintf(run->failed_list, "{\"%s\":%s,\"path\":%s", entry->is_url ? "url" : "source", text, text + QUOTED_BYTES);
    if (entry->bytes != LEAT__NO_BYTES) fprintf(run->failed_list, ",\"bytes\":%" PRIu64, entry->bytes);
    leat__sum_hex(&entry->sum, hex);
    if (entry->sum.kind) fprintf(run->failed_list, ",\"%s\":\"%s\"", leat__sum_name(entry->sum.kind), hex);
    fprintf(run->failed_list, ",\"code\":\"%s\",\"attempts\":%u,\"error\":%s}\n", leat_code_name(error->code), attempts,
            text + 2 * QUOTED_BYTES);
}

void leat__tell_failed(leat__run *run, const leat__entry *entry, uint32_t attempts, const leat_error *error)
{
    char shown[400];
    leat_error *first = &run->result->first_error;
    pthread_mutex_lock(&run->lock);
    run->now.failed++;
    run->failed_by[trouble_of(error)]++;
    if (!first->code) {
        leat__fail(first, error->code, error->system, "%s: %.600s", leat__redact(shown, sizeof shown, entry->source),
                   error->message);
        first->offset = error->offset;
    }
    list_locked(run, entry, attempts, error);
    pthread_mutex_unlock(&run->lock);
    leat__tell(run, LEAT_FETCH_ERROR, entry, LEAT__NO_BYTES, "", attempts, 0, false, error);
}

void leat__tell_cancelled(leat__run *run, const leat__entry *entry, uint32_t attempts)
{
    leat_error error;
    leat__fail(&error, LEAT_ECLOSED, 0, "cancelled");
    pthread_mutex_lock(&run->lock);
    run->now.cancelled++;
    if (entry) list_locked(run, entry, attempts, &error);
    pthread_mutex_unlock(&run->lock);
}

/* Whether the list under the common name is of an earlier run. */
static bool is_old(const leat__run *run, const char *name)
{
    struct stat status;
    if (fstatat(run->state.fd, name, &status, AT_SYMLINK_NOFOLLOW)) return false;
    if (status.st_mtim.tv_sec != run->begun.tv_sec) return status.st_mtim.tv_sec < run->begun.tv_sec;
    return status.st_mtim.tv_nsec < run->begun.tv_nsec;
}

void leat__failed_list_end(leat__run *run)
{
    char own[LEAT__FETCH_NAME], name[LEAT__FETCH_NAME];
    if (run->state.fd < 0 || !run->owner) return;
    list_name(run, true, own);
    list_name(run, false, name);
    bool old = is_old(run, name), written = run->failed_list != NULL;
    bool fine = written && !(ferror(run->failed_list) | fclose(run->failed_list));
    run->failed_list = NULL;
    if (!written && !run->error.code && old) unlinkat(run->state.fd, name, 0); /* all of it is there now */
    if (!fine) return;
    bool taken = !old && faccessat(run->state.fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    if (taken) snprintf(name, sizeof name, "failed-%s.jsonl", leat__owner_token(run->owner)); /* another process of now has one, too
                                                                                                 */
    if (renameat(run->state.fd, own, run->state.fd, name)) return;
    snprintf(run->result->failed_list, sizeof run->result->failed_list, "%s/" LEAT__STATE_FOLDER "/%s", run->config.to, name);
}
