/* fixing.c - what is bad or missing is fetched again.
 *
 * What:    a list of JSON lines, as leat_fetch reads them, of the files and what they should be; the bad ones are moved to
 *          .leat/bad while that runs, and are gone for good only when there is a new one in their place.
 * Why so:  fetching is what leat_fetch does: names, retries, checksums and records are the same. A file that is damaged is better
 *          than none if its server is gone: it comes back. The list is a file without a name, read through /proc/self/fd: nothing
 *          is left of it, whatever ends the process, and two processes that mend one directory do not meet in it; in .leat/bad
 *          names begin with the process's token for the same reason.
 * Threads: the calling one. */
#include "fetch/fixing.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/failure.h"
#include "stages/filename.h"
#include "store/records.h"
#include "store/token.h"

#define BAD_FOLDER "bad"

enum { QUOTED_BYTES = 6 * LEAT__RECORD_URL + 3, ASIDE_BYTES = LEAT__TOKEN_BYTES + 24 };

struct leat__fixing {
    /* fixed after creation, or with the first file */
    const leat__root *root;       /* borrowed */
    leat__root state, bad;        /* DIR/.leat, and bad in it, which is open while it runs */
    char token[LEAT__TOKEN_BYTES];
    FILE *list;                   /* NULL: nothing has been added */
    char *quoted;                 /* room for a string of JSON */
    /* what was added */
    char **paths;
    size_t count, room;
    /* of the run */
    leat__fixing_tell tell;
    void *user;
};

/* ---- the list ---- */

/* With the first file: where nothing is recorded there is no .leat, and nothing to be mended. */
static leat_code make_list(leat__fixing *fixing, leat_error *error)
{
    char name[ASIDE_BYTES];
    leat_code code = leat__root_open_beneath(fixing->root, LEAT__STATE_FOLDER, false, &fixing->state, error);
    if (code) return code;
    snprintf(name, sizeof name, "fix.%s", fixing->token);
    int fd = leat__root_openat(&fixing->state, name, O_CREAT | O_EXCL | O_RDWR, 0600);
    if (fd >= 0) unlinkat(fixing->state.fd, name, 0);
    fixing->list = fd < 0 ? NULL : fdopen(fd, "w");
    if (fixing->list) return LEAT_OK;
    leat__fail_errno(error, LEAT_EDISK, errno, "making a list in %s/" LEAT__STATE_FOLDER, fixing->root->shown);
    if (fd >= 0) close(fd);
    return LEAT_EDISK;
}

leat__fixing *leat__fixing_new(const leat__root *root)
{
    leat__fixing *fixing = calloc(1, sizeof *fixing);
    if (!fixing) return NULL;
    fixing->root = root;
    fixing->state.fd = fixing->bad.fd = -1;
    leat__token token = leat__token_of_self();
    leat__token_write(&token, fixing->token);
    if ((fixing->quoted = malloc(QUOTED_BYTES))) return fixing;
    leat__fixing_free(fixing);
    return NULL;
}

void leat__fixing_free(leat__fixing *fixing)
{
    if (!fixing) return;
    if (fixing->list) fclose(fixing->list);
    for (size_t i = 0; i < fixing->count; i++) free(fixing->paths[i]);
    free(fixing->paths);
    free(fixing->quoted);
    leat__root_close(&fixing->bad);
    leat__root_close(&fixing->state);
    free(fixing);
}

static void write_string(leat__fixing *fixing, const char *before, const char *text)
{
    leat__json_quote(fixing->quoted, QUOTED_BYTES, text);
    fprintf(fixing->list, "%s%s", before, fixing->quoted);
}

/* A local path means what it meant where it was recorded, if that was here: not beside the list. */
static void write_source(leat__fixing *fixing, const char *url)
{
    char here[PATH_MAX], whole[LEAT__RECORD_URL];
    bool relative = !leat__is_url(url) && *url != '/' && getcwd(here, sizeof here);
    size_t length = relative ? (size_t)snprintf(whole, sizeof whole, "%s/%s", here, url) : sizeof whole;
    write_string(fixing, "{\"url\":", length < sizeof whole ? whole : url);
}

static void write_line(leat__fixing *fixing, const leat__expected *expected)
{
    char hex[LEAT__SUM_HEX];
    const leat__sum *sum = expected->sums[1].kind ? &expected->sums[1] : &expected->sums[0];
    leat__sum crc = leat__sum_of_crc32c(expected->crc32c);
    if (!sum->kind && expected->has_crc) sum = &crc;
    write_source(fixing, expected->url);
    write_string(fixing, ",\"path\":", expected->path);
    if (expected->bytes != UINT64_MAX) fprintf(fixing->list, ",\"bytes\":%" PRIu64, expected->bytes);
    leat__sum_hex(sum, hex);
    if (sum->kind) fprintf(fixing->list, ",\"%s\":\"%s\"", leat__sum_name(sum->kind), hex);
    fputs("}\n", fixing->list);
}

leat_code leat__fixing_add(leat__fixing *fixing, const leat__expected *expected, leat_error *error)
{
    leat_code code = fixing->list ? LEAT_OK : make_list(fixing, error);
    if (code) return code;
    if (fixing->count == fixing->room) {
        size_t room = fixing->room ? 2 * fixing->room : 16;
        char **larger = reallocarray(fixing->paths, room, sizeof *larger);
        if (!larger) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a list");
        fixing->paths = larger;
        fixing->room = room;
    }
    char *path = strdup(expected->path);
    if (!path) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a list");
    fixing->paths[fixing->count++] = path;
    write_line(fixing, expected);
    return LEAT_OK;
}

/* ---- bad files ---- */

static void put_aside(leat__fixing *fixing, size_t number)
{
    char name[ASIDE_BYTES];
    const char *base;
    int folder = leat__root_open_parent(fixing->root, fixing->paths[number], false, &base);
    if (folder < 0) return; /* a missing one */
    snprintf(name, sizeof name, "%s.%zu", fixing->token, number);
    leat__rename_to(folder, base, fixing->bad.fd, name, true);
    close(folder);
}

/* Back to its place, unless there is a new one: only then is it not needed any more. */
static void bring_back(leat__fixing *fixing, size_t number)
{
    char name[ASIDE_BYTES];
    const char *base;
    int folder = leat__root_open_parent(fixing->root, fixing->paths[number], false, &base);
    if (folder < 0) return;
    snprintf(name, sizeof name, "%s.%zu", fixing->token, number);
    if (leat__rename_to(fixing->bad.fd, name, folder, base, false) && errno == EEXIST) unlinkat(fixing->bad.fd, name, 0);
    close(folder);
}

/* ---- the run ---- */

static void on_event(void *user, const leat_fetch_event *event)
{
    leat__fixing *fixing = user;
    bool brought = event->kind == LEAT_FETCH_DONE || event->kind == LEAT_FETCH_SKIP; /* by us, or by another process meanwhile */
    const leat_error *error = brought ? NULL : event->error;
    if (brought || event->kind == LEAT_FETCH_ERROR) fixing->tell(fixing->user, event->path, event->url, error);
}

static leat_code fetch(leat__fixing *fixing, const char *directory, const leat_fetch_config *settings, const volatile int *stop,
                       leat_error *error)
{
    leat_fetch_config config = LEAT_FETCH_CONFIG_INIT;
    leat_fetch_result result;
    char list[64];
    if (settings) config = *settings;
    snprintf(list, sizeof list, "@/proc/self/fd/%d", fileno(fixing->list));
    config.sources = (const char *const[]){list};
    config.source_count = 1;
    config.to = directory;
    config.world = 1;
    config.event = on_event;
    config.progress = NULL;
    config.user = fixing;
    config.stop = stop;
    return leat_fetch(&config, &result, error);
}

leat_code leat__fixing_run(leat__fixing *fixing, const char *directory, const leat_fetch_config *settings, const volatile int *stop,
                           leat__fixing_tell tell, void *user, leat_error *error)
{
    if (!fixing->count) return LEAT_OK;
    if (fflush(fixing->list) || ferror(fixing->list))
        return leat__fail_errno(error, LEAT_EDISK, errno, "writing a list in %s/" LEAT__STATE_FOLDER, fixing->root->shown);
    leat_code code = leat__root_open_beneath(&fixing->state, BAD_FOLDER, true, &fixing->bad, error);
    if (code) return code;
    fixing->tell = tell;
    fixing->user = user;
    for (size_t i = 0; i < fixing->count; i++) put_aside(fixing, i);
    code = fetch(fixing, directory, settings, stop, error);
    for (size_t i = 0; i < fixing->count; i++) bring_back(fixing, i);
    unlinkat(fixing->state.fd, BAD_FOLDER, AT_REMOVEDIR); /* not if another process has something in it */
    return code;
}
