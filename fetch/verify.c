/* verify.c - leat_verify: every file of a directory compared with what is known of it (include/leat/fetch.h).
 *
 * What:    the calling thread streams records, then files that nothing is recorded of, then what only --checksums names, to the
 *          threads that look (lookers.h); at the end it judges what they found wrong, and has it fixed (fixing.h).
 * Why so:  ten million records are read as they lie; what is held are hashes of the names of files that were seen, and the
 *          findings. A file that was fetched twice has two records: it is good if it is as one of them says, so what is bad is only
 *          told at the end.
 * Threads: the calling one; callbacks too.
 * Invariants: files = good + bad + missing; every name is counted once. */
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "fetch/fixing.h"
#include "fetch/lookers.h"
#include "fetch/sums.h"
#include "fetch/treewalk.h"
#include "pipeline/failure.h"
#include "store/finished.h"
#include "store/records.h"

enum { QUEUE = 256, PROGRESS_NS = 100000000 };

/* What is noted of a name in `seen`. */
#define RECORDED "recorded" /* it is in a record, or a file of --checksums that is there */
#define LISTED "listed"     /* this name in --checksums was some file's */
#define GOOD "good"

typedef struct verification {
    /* fixed after creation */
    const leat_verify_config *config;
    leat_verify_result *result;
    leat__root root, state;
    leat__sums *sums;           /* NULL: none */
    leat__lookers *lookers;
    /* while it runs */
    leat__finished *seen;
    bool has_records;
    struct leat__looks suspects;/* bad or missing, as one record says */
    size_t suspect_count;
    leat_error error;           /* why it ends */
    leat_verify_progress now;
    uint64_t told_ns;
    leat__checker *checker;     /* for what was fetched again; NULL: not needed */
    /* atomic: for the threads */
    atomic_bool stopping;
} verification;

/* Notes something of a name. */
static void note(verification *v, const char *name, const char *what)
{
    if (!leat__finished_add(v->seen, name, what, 0)) leat__fail(&v->error, LEAT_ENOMEM, 0, "no memory for names");
}

static bool is_noted(verification *v, const char *name, const char *what)
{
    return leat__finished_has(v->seen, name, what, 0);
}

/* ---- answers ---- */

static void count_good(verification *v, const leat__look *look)
{
    if (is_noted(v, look->expected.path, GOOD)) return;
    note(v, look->expected.path, GOOD);
    v->result->good++;
    v->result->bytes += look->bytes;
    v->result->unverified += look->found == LEAT__FOUND_UNVERIFIED;
}

/* Whether the file could not be looked at for want of means, which says nothing about the file. */
static bool is_our_failure(leat_code code)
{
    return code == LEAT_ENOMEM || code == LEAT_ESYSTEM || code == LEAT_ECLOSED;
}

static void end_by(verification *v, const leat__look *look)
{
    char shown[400];
    const char *path = look->expected.path;
    if (look->code == LEAT_ECLOSED || v->error.code) return;
    leat__fail(&v->error, look->code, look->system, "%s: %.600s", leat__escape(shown, sizeof shown, path, strlen(path)),
               look->message ? look->message : "no memory");
}

static void take_answer(verification *v, leat__look *look)
{
    v->now.files++;
    v->now.bytes += look->bytes;
    bool good = look->found == LEAT__FOUND_GOOD || look->found == LEAT__FOUND_UNVERIFIED;
    if (!good && !is_our_failure(look->code)) {
        v->now.bad += look->found != LEAT__FOUND_MISSING;
        v->now.missing += look->found == LEAT__FOUND_MISSING;
        STAILQ_INSERT_TAIL(&v->suspects, look, link);
        v->suspect_count++;
        return;
    }
    if (good) count_good(v, look);
    else end_by(v, look);
    leat__look_free(look);
}

static void tell_progress(verification *v, bool always)
{
    uint64_t now = uv_hrtime();
    if (!v->config->progress || (!always && now - v->told_ns < PROGRESS_NS)) return;
    v->told_ns = now;
    v->config->progress(v->config->user, &v->now);
}

static bool goes_on(verification *v)
{
    if (v->config->stop && *v->config->stop) atomic_store(&v->stopping, true);
    return !v->error.code && !atomic_load(&v->stopping);
}

/* Takes what has been answered, waiting until at most `most` files are open. */
static void collect(verification *v, unsigned most)
{
    unsigned open;
    do {
        struct leat__looks answers = STAILQ_HEAD_INITIALIZER(answers);
        open = leat__lookers_take(v->lookers, most, &answers);
        for (leat__look *look; (look = STAILQ_FIRST(&answers));) {
            STAILQ_REMOVE_HEAD(&answers, link);
            take_answer(v, look);
        }
        if (!goes_on(v)) atomic_store(&v->stopping, true);
        tell_progress(v, false);
    } while (open > most);
}

/* ---- questions ---- */

static bool ask(verification *v, const leat__expected *expected)
{
    collect(v, QUEUE);
    if (!leat__lookers_put(v->lookers, expected)) leat__fail(&v->error, LEAT_ENOMEM, 0, "no memory for a file");
    return goes_on(v);
}

/* Adds what --checksums says of a file. */
static bool add_listed(verification *v, leat__expected *expected)
{
    leat__sums_entry entry;
    if (!v->sums || leat__sums_find(v->sums, expected->path, &entry) != LEAT__SUMS_FOUND) return false;
    if (entry.bytes != UINT64_MAX) expected->bytes = entry.bytes;
    expected->sums[1] = entry.sum;
    note(v, entry.name, LISTED);
    return true;
}

static bool on_record(void *user, const leat__record *record)
{
    verification *v = user;
    v->has_records = true;
    leat__expected expected = {.path = record->path, .url = record->url, .bytes = record->bytes, .has_crc = true,
                               .crc32c = record->crc32c, .sums = {record->sum}, .time_s = record->time_s};
    add_listed(v, &expected);
    note(v, record->path, RECORDED);
    return ask(v, &expected);
}

static bool is_link(const verification *v, const char *path)
{
    struct stat status;
    return leat__root_stat(&v->root, path, &status) == 0 && S_ISLNK(status.st_mode);
}

static bool on_file(void *user, const char *full)
{
    verification *v = user;
    const char *path = full + strlen(v->config->directory);
    path += strspn(path, "/");
    if (is_noted(v, path, RECORDED)) return goes_on(v);
    leat__expected expected = {.path = path, .url = "", .bytes = UINT64_MAX};
    bool listed = add_listed(v, &expected);
    v->result->unknown += !listed;
    if (listed) note(v, path, RECORDED);
    bool wanted = listed || (v->config->deep && !is_link(v, path)); /* what a link leads to may lie anywhere */
    return wanted ? ask(v, &expected) : goes_on(v);
}

static bool on_bad_file(void *user, const char *path, const leat_error *error)
{
    (void)path, (void)error; /* a link or a device: not fetched by leat */
    return goes_on(user);
}

/* Entries of --checksums that are no file's. */
static bool ask_listed(verification *v)
{
    bool more = goes_on(v);
    for (size_t i = 0; v->sums && more && i < leat__sums_count(v->sums); i++) {
        leat__sums_entry entry = leat__sums_at(v->sums, i);
        leat__expected expected = {.path = entry.name, .url = "", .bytes = entry.bytes, .sums = {entry.sum}};
        if (!is_noted(v, entry.name, LISTED)) more = ask(v, &expected);
    }
    return more;
}

static leat_code fail_unknown(const verification *v, leat_error *error)
{
    return leat__fail(error, LEAT_ENOTFOUND, 0, "%s: nothing is recorded here by leat fetch: give checksums, or look deep",
                      v->root.shown);
}

static leat_code ask_all(verification *v, leat_error *error)
{
    struct stat state;
    uint64_t torn;
    bool has_state = v->state.fd >= 0 && fstat(v->state.fd, &state) == 0, any = v->sums || v->config->deep;
    leat_code code = has_state ? leat__records_read(&v->state, on_record, v, &torn, error) : LEAT_OK;
    if (!code && !v->has_records && !any) code = fail_unknown(v, error);
    leat__treewalk walk = {.skipped = has_state ? &state : NULL, .file = on_file, .bad = on_bad_file, .user = v};
    if (!code && goes_on(v)) code = leat__treewalk_run(&walk, v->config->directory, error);
    if (!code) ask_listed(v);
    if (code) atomic_store(&v->stopping, true);
    collect(v, 0);
    return code;
}

/* ---- what is bad ---- */

static void tell(verification *v, leat_verify_state state, const char *path, const char *url, const leat_error *error)
{
    char shown[2048];
    leat_verify_finding finding = {.state = state, .path = path, .url = leat__redact(shown, sizeof shown, url), .error = error};
    if (v->config->finding) v->config->finding(v->config->user, &finding);
}

/* A file has been fetched again, or could not be (error). What is inside may be as bad as it was: at its source. */
static void on_fetched(void *user, const char *path, const char *url, const leat_error *error)
{
    verification *v = user;
    leat_error still;
    uint64_t bytes;
    leat__expected expected = {.path = path, .url = url, .bytes = UINT64_MAX};
    if (!error && v->checker && leat__check_file(v->checker, &expected, &bytes, &still) != LEAT__FOUND_UNVERIFIED) error = &still;
    if (!error) v->result->fixed++, v->now.fixed++;
    tell(v, error ? LEAT_VERIFY_UNFIXED : LEAT_VERIFY_FIXED, path, url, error);
    tell_progress(v, false);
}

static void keep_first(verification *v, const char *path, const leat_error *error)
{
    char shown[400];
    leat_error *first = &v->result->first_error;
    if (first->code) return;
    leat__escape(shown, sizeof shown, path, strlen(path));
    leat__fail(first, error->code, error->system, "%s: %.600s", shown, error->message);
}

/* Has a bad file fetched again, if it may be. Of one that is as recorded but damaged inside: whatever its source has now. */
static leat_code fix(verification *v, const leat__look *look, leat__fixing *fixing, leat_error *error)
{
    leat_error why;
    leat__expected wanted = look->expected;
    if (look->found == LEAT__FOUND_DAMAGED)
        wanted = (leat__expected){.path = wanted.path, .url = wanted.url, .bytes = UINT64_MAX, .sums = {{0}, wanted.sums[1]}};
    if (look->found == LEAT__FOUND_STRANGE) leat__fail(&why, look->code, 0, "%s", look->message ? look->message : "no memory");
    else if (!*wanted.url) leat__fail(&why, LEAT_ENOTFOUND, 0, "nothing is recorded of where it came from");
    else return leat__fixing_add(fixing, &wanted, error);
    tell(v, LEAT_VERIFY_UNFIXED, wanted.path, wanted.url, &why);
    return LEAT_OK;
}

/* Counts and tells a suspect, and has it fixed. */
static leat_code judge(verification *v, const leat__look *look, leat__fixing *fixing, leat_error *error)
{
    leat_error what;
    const char *path = look->expected.path;
    bool missing = look->found == LEAT__FOUND_MISSING;
    v->result->bad += !missing;
    v->result->missing += missing;
    v->result->bytes += look->bytes;
    leat__fail(&what, look->code, look->system, "%s", look->message ? look->message : "no memory to say what");
    keep_first(v, path, &what);
    tell(v, missing ? LEAT_VERIFY_MISSING : LEAT_VERIFY_BAD, path, look->expected.url, &what);
    return fixing ? fix(v, look, fixing, error) : LEAT_OK;
}

/* By name; of one name by time, the last record first: it was written last. */
static int compare(const void *left, const void *right)
{
    const leat__look *a = *(leat__look *const *)left, *b = *(leat__look *const *)right;
    int names = strcmp(a->expected.path, b->expected.path);
    if (names) return names;
    if (a->expected.time_s != b->expected.time_s) return a->expected.time_s > b->expected.time_s ? -1 : 1;
    return a->number > b->number ? -1 : a->number < b->number;
}

/* The suspects, sorted; NULL if memory is short. */
static leat__look **sort_suspects(const verification *v)
{
    leat__look **sorted = reallocarray(NULL, v->suspect_count + 1, sizeof *sorted), *look;
    size_t count = 0;
    if (!sorted) return NULL;
    STAILQ_FOREACH(look, &v->suspects, link) sorted[count++] = look;
    qsort(sorted, count, sizeof *sorted, compare);
    return sorted;
}

/* Judges each name once, and only those that no record clears. */
static leat_code judge_each(verification *v, leat__fixing *fixing, leat_error *error)
{
    leat__look **sorted = sort_suspects(v);
    const char *last = "";
    leat_code code = sorted ? LEAT_OK : leat__fail(error, LEAT_ENOMEM, 0, "no memory to sort what is bad");
    for (size_t i = 0; i < v->suspect_count && !code; i++) {
        const char *path = sorted[i]->expected.path;
        bool told = strcmp(path, last) == 0;
        last = path;
        if (!told && !is_noted(v, path, GOOD)) code = judge(v, sorted[i], fixing, error);
    }
    free(sorted);
    return code;
}

static leat_code judge_all(verification *v, leat_error *error)
{
    const leat_verify_config *config = v->config;
    leat__fixing *fixing = NULL;
    leat_code code = LEAT_OK;
    if (v->suspect_count == 0) return LEAT_OK;
    if (config->fix && !(fixing = leat__fixing_new(&v->root))) code = leat__fail(error, LEAT_ENOMEM, 0, "no memory to mend files");
    if (fixing && config->deep && !(v->checker = leat__checker_new(&v->root, config->directory, false, true, &v->stopping)))
        code = leat__fail(error, LEAT_ENOMEM, 0, "no memory to look at files");
    if (!code) code = judge_each(v, fixing, error);
    if (!code && fixing) code = leat__fixing_run(fixing, config->directory, config->fetch, config->stop, on_fetched, v, error);
    leat__fixing_free(fixing);
    return code;
}

/* ---- begin and end ---- */

static leat_code open_all(verification *v, leat_error *error)
{
    const leat_verify_config *config = v->config;
    leat_config network = {.connections = 4, .max_object_bytes = UINT64_C(1) << 36, .retries = 5, .connect_timeout_ms = 10000,
                           .stall_timeout_ms = 30000, .max_retry_after_ms = 120000, .redirects = 5};
    if (!config->directory || !*config->directory) return leat__fail(error, LEAT_EINVAL, 0, "no directory to look at");
    leat_code code = leat__root_open(config->directory, false, &v->root, error);
    if (code) return code;
    code = leat__root_open_beneath(&v->root, LEAT__STATE_FOLDER, false, &v->state, error);
    if (code == LEAT_ENOTFOUND) leat__error_clear(error), code = LEAT_OK;
    if (!code && config->checksums) code = leat__sums_read(config->checksums, &network, &v->sums, error);
    if (!code && !(v->seen = leat__finished_new())) code = leat__fail(error, LEAT_ENOMEM, 0, "no memory for names");
    return code;
}

static void close_all(verification *v)
{
    for (leat__look *look; (look = STAILQ_FIRST(&v->suspects));) {
        STAILQ_REMOVE_HEAD(&v->suspects, link);
        leat__look_free(look);
    }
    leat__lookers_free(v->lookers);
    leat__checker_free(v->checker);
    leat__sums_free(v->sums);
    leat__finished_free(v->seen);
    leat__root_close(&v->state);
    leat__root_close(&v->root);
}

leat_code leat_verify(const leat_verify_config *config, leat_verify_result *result, leat_error *error)
{
    uint64_t begun = uv_hrtime();
    verification v = {.config = config, .result = result, .root = {.fd = -1}, .state = {.fd = -1},
                      .suspects = STAILQ_HEAD_INITIALIZER(v.suspects)};
    *result = (leat_verify_result){0};
    leat__error_clear(error);
    leat__error_clear(&result->first_error);
    leat__error_clear(&v.error);
    leat_code code = open_all(&v, error);
    if (!code) code = leat__lookers_new(&v.root, config, &v.stopping, &v.lookers, error);
    if (!code) code = ask_all(&v, error);
    bool stopped = atomic_load(&v.stopping) && !v.error.code;
    if (!code && !stopped && !v.error.code) code = judge_all(&v, error);
    if (!code && v.error.code) *error = v.error, code = v.error.code;
    if (!code && stopped) code = leat__fail(error, LEAT_ECLOSED, 0, "stopped");
    tell_progress(&v, true);
    close_all(&v);
    result->files = result->good + result->bad + result->missing;
    result->seconds = (double)(uv_hrtime() - begun) / 1e9;
    return code;
}
