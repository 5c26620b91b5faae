/* entries.c - what is to be fetched: sources, lists and manifests as a stream of entries.
 *
 * What:    tells the forms of sources apart and hands each to its file; whatever comes out gets its name, is asked for by the
 *          patterns, gets its checksum and its number, and is handed on.
 * Why so:  a callback for each entry, and nothing kept: ten million lines take the memory of one (L8). What exists is taken
 *          literally before any character is given a meaning, so that a file named "a{1}.jpg" can be named. An entry that cannot
 *          be understood is counted and told, and never ends the run: the others are wanted all the same; a source of the command
 *          line that cannot be opened does, as it is a slip of the pen.
 * Threads: one at a time; callbacks run on it.
 * Invariants: (1) numbers are given once, in order, to entries and bad ones alike   (2) after a callback said false none is called.
 * Not here: lists (listfile.c), what their paths mean (listref.c), folders (treewalk.c), names (entryname.c). */
#include "fetch/entries.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fetch/entryname.h"
#include "fetch/listfile.h"
#include "fetch/listref.h"
#include "fetch/patterns.h"
#include "fetch/sums.h"
#include "fetch/treewalk.h"
#include "pipeline/failure.h"
#include "stages/braces.h"
#include "stages/filename.h"
#include "stages/wildcard.h"

struct naming {
    /* fixed after opening */
    const leat__entries_options *options;
    leat__sums *sums;       /* NULL: no checksums */
    leat__summer *summer;   /* NULL: files keep their names */
    struct stat to;
    bool has_to;
    /* where it stands */
    leat_error *error;
    leat_code code;         /* of what failed within an expansion */
    bool ended;             /* by false */
    uint64_t number;
    const char *source;     /* of options->sources */
    size_t name_from;       /* where in a source's text its name begins */
    bool found;             /* a folder has something */
    leat__listfile *list;   /* NULL: the source itself is the entry */
    leat__listed listed;    /* what its line says */
    char name[LEAT__ENTRY_PATH_BYTES], hashed[LEAT__ENTRY_PATH_BYTES], ref[LEAT__REF_BYTES];
};

/* ---- handing on ---- */

static char *place_of(const struct naming *naming, char out[LEAT__LIST_PLACE])
{
    char shown[400];
    if (naming->list) return leat__listfile_place(naming->list, out);
    snprintf(out, LEAT__LIST_PLACE, "source '%s'", leat__redact(shown, sizeof shown, naming->source));
    return out;
}

static bool tell(struct naming *naming, const char *text, const leat_error *error)
{
    assert(!naming->ended);
    naming->ended = !naming->options->bad(naming->options->user, naming->number++, text, error);
    return !naming->ended;
}

/* Tells an entry that cannot be had. */
static bool refuse(struct naming *naming, const char *why)
{
    char place[LEAT__LIST_PLACE];
    leat_error error;
    place_of(naming, place);
    leat__fail(&error, LEAT_EINVAL, 0, "%s: %s", place, why);
    return tell(naming, place, &error);
}

static bool refuse_sum(struct naming *naming, const char *why)
{
    char text[900], shown[600];
    snprintf(text, sizeof text, "'%s' %s", leat__escape(shown, sizeof shown, naming->name, strlen(naming->name)), why);
    return refuse(naming, text);
}

/* Adds what --checksums knows of an entry. *why: what is wrong; NULL: nothing. */
static void add_known(const struct naming *naming, leat__entry *entry, const char **why)
{
    leat__sums_entry known;
    *why = NULL;
    switch (leat__sums_find(naming->sums, naming->name, &known)) {
    case LEAT__SUMS_NONE: return;
    case LEAT__SUMS_AMBIGUOUS: *why = "could be one of several files in the checksums, which differ"; return;
    case LEAT__SUMS_FOUND: break;
    }
    if (!leat__sums_agree(&known, &(leat__sums_entry){"", entry->bytes, entry->sum}))
        *why = "has one checksum or size in the list and another one in the checksums";
    if (known.sum.kind > entry->sum.kind) entry->sum = known.sum;
    if (entry->bytes == UINT64_MAX) entry->bytes = known.bytes;
}

/* Hands on what naming->name is the name of, if it is wanted. */
static bool emit(struct naming *naming, const char *source, bool is_url)
{
    const leat__entries_options *options = naming->options;
    leat__entry entry = {naming->number, source, naming->name, is_url, naming->listed.bytes, naming->listed.sum};
    const char *why = NULL;
    assert(!naming->ended);
    if (!leat__patterns_want(options->patterns, options->pattern_count, naming->name)) return true;
    if (naming->sums) add_known(naming, &entry, &why);
    if (why) return refuse_sum(naming, why);
    if (naming->summer) {
        leat__entry_name_hashed(naming->summer, source, naming->hashed);
        entry.path = naming->hashed;
    }
    naming->number++;
    naming->ended = !options->entry(options->user, &entry);
    return !naming->ended;
}

/* The same after its name was made; named: it has one. Names by digest need none. */
static bool emit_named(struct naming *naming, bool named, const char *source, bool is_url)
{
    if (!named && !naming->summer) return refuse(naming, "its name is empty, or longer than 4,000 bytes");
    if (!named) naming->name[0] = '\0';
    return emit(naming, source, is_url);
}

/* ---- braces ---- */

static leat_code check_braces(const char *text, leat_error *error)
{
    uint64_t count;
    leat_code code = leat__braces_count(text, &count, error);
    if (code || count <= LEAT__MAX_OBJECTS) return code;
    return leat__fail(error, LEAT_EINVAL, 0, "its braces stand for %s%" PRIu64 " files: %u is the most",
                      count == UINT64_MAX ? "over " : "", count, LEAT__MAX_OBJECTS);
}

/* Expands a source's braces. */
static leat_code expand(struct naming *naming, const char *text, bool (*each)(void *naming, const char *text))
{
    char place[LEAT__LIST_PLACE];
    leat_error cause;
    leat_code code = check_braces(text, &cause);
    if (code) return leat__fail(naming->error, code, 0, "%s: %s", place_of(naming, place), cause.message);
    naming->code = LEAT_OK;
    code = leat__braces_expand(text, each, naming, naming->error);
    return code ? code : naming->code;
}

/* Where the names of what a text stands for begin: behind the last '/' before `end`, and before the first special character. */
static size_t name_begin(const char *text, const char *end, const char *special)
{
    const char *stop = text + strcspn(text, special);
    if (stop > end) stop = end;
    const char *slash = memrchr(text, '/', (size_t)(stop - text));
    return slash ? (size_t)(slash - text) + 1 : 0;
}

/* ---- lists ---- */

/* An entry of a list, its braces expanded. */
static bool add_reference(void *user, const char *text)
{
    struct naming *naming = user;
    const leat__listed *listed = &naming->listed;
    leat_error error;
    if (leat__listref_resolve(leat__listfile_folder(naming->list), text, listed->is_file, naming->ref, &error))
        return refuse(naming, error.message);
    leat__filename url = leat__filename_parse(naming->ref);
    bool by_url = url.is_url && !listed->path && !listed->is_file;
    bool named = by_url ? leat__entry_name_of_url(url.path, url.end, naming->name, sizeof naming->name)
                        : leat__entry_name(listed->path ? listed->path : text, naming->name, sizeof naming->name);
    return emit_named(naming, named, naming->ref, url.is_url);
}

/* True if a line with braces is a file's name as it stands. */
static bool is_there(struct naming *naming, const char *text)
{
    struct stat status;
    leat_code code = leat__listref_resolve(leat__listfile_folder(naming->list), text, false, naming->ref, NULL);
    return !code && !leat__is_url(naming->ref) && lstat(naming->ref, &status) == 0;
}

static bool add_listed(struct naming *naming)
{
    const char *text = naming->listed.source;
    leat_error error;
    if (!naming->listed.braces || !strpbrk(text, "{}") || is_there(naming, text)) return add_reference(naming, text);
    if (check_braces(text, &error)) return refuse(naming, error.message);
    if (leat__braces_expand(text, add_reference, naming, &error)) return refuse(naming, error.message);
    return !naming->ended;
}

static leat_code read_list(struct naming *naming)
{
    const leat__entries_options *options = naming->options;
    char place[LEAT__LIST_PLACE];
    leat_error error;
    while (!naming->ended) {
        switch (leat__listfile_next(naming->list, &naming->listed, &error)) {
        case LEAT__LIST_ENTRY: add_listed(naming); break;
        case LEAT__LIST_BAD: tell(naming, place_of(naming, place), &error); break;
        case LEAT__LIST_END: naming->ended = options->stopped && options->stopped(options->user); return LEAT_OK;
        case LEAT__LIST_FAILED: return leat__fail(naming->error, error.code, error.system, "%s", error.message);
        }
    }
    return LEAT_OK;
}

static leat_code add_list(struct naming *naming, const char *name)
{
    const leat__entries_options *options = naming->options;
    leat__listfile_options list = {name, options->network, options->stopped, options->user};
    leat_code code = leat__listfile_open(&list, &naming->list, naming->error);
    if (!code) code = read_list(naming);
    leat__listfile_close(naming->list);
    naming->list = NULL;
    return code;
}

/* ---- URLs ---- */

static bool add_url(void *user, const char *url)
{
    struct naming *naming = user;
    leat__filename filename = leat__filename_parse(url);
    const char *from = url + naming->name_from;
    if (from < filename.path) { /* braces in the host: it is part of the name, without userinfo */
        const char *host = strstr(url, "://") + 3, *at = memrchr(host, '@', (size_t)(filename.path - host));
        from = at ? at + 1 : host;
    }
    return emit_named(naming, leat__entry_name_of_url(from, filename.end, naming->name, sizeof naming->name), url, true);
}

static leat_code add_urls(struct naming *naming, const char *source)
{
    leat__filename filename = leat__filename_parse(source);
    naming->name_from = name_begin(source, filename.end, "{");
    return expand(naming, source, add_url);
}

/* ---- local files ---- */

static bool add_file(void *user, const char *path)
{
    struct naming *naming = user;
    naming->found = true;
    return emit_named(naming, leat__entry_name(path + naming->name_from, naming->name, sizeof naming->name), path, false);
}

static bool tell_file(void *user, const char *path, const leat_error *error)
{
    struct naming *naming = user;
    const leat__entries_options *options = naming->options;
    char shown[700];
    naming->found = true;
    bool named = leat__entry_name(path + naming->name_from, naming->name, sizeof naming->name);
    if (named && !leat__patterns_want(options->patterns, options->pattern_count, naming->name)) return true;
    return tell(naming, leat__escape(shown, sizeof shown, path, strlen(path)), error);
}

static leat_code add_folder(struct naming *naming, const char *folder, const struct stat *status)
{
    leat__treewalk walk = {.skipped = naming->has_to ? &naming->to : NULL, .file = add_file, .bad = tell_file, .user = naming};
    char shown[600];
    leat__escape(shown, sizeof shown, folder, strlen(folder));
    if (naming->has_to && status->st_dev == naming->to.st_dev && status->st_ino == naming->to.st_ino)
        return leat__fail(naming->error, LEAT_EINVAL, 0, "folder '%s' is where files are put: it cannot be a source too", shown);
    naming->found = false;
    leat_code code = leat__treewalk_run(&walk, folder, naming->error);
    if (code || naming->found) return code;
    return leat__fail(naming->error, LEAT_ENOTFOUND, 0, "folder '%s' has no files", shown);
}

static leat_code add_glob(struct naming *naming, const char *pattern)
{
    leat__listing *listing = leat__listing_new();
    if (!listing) return leat__fail(naming->error, LEAT_ENOMEM, 0, "no memory to list files");
    leat_code code = leat__wildcard_list(pattern, listing, naming->error);
    for (size_t i = 0; !code && i < listing->count; i++)
        if (!add_file(naming, listing->objects[i].name)) break;
    leat__listing_free(listing);
    return code;
}

/* A local source without braces, or what its braces stand for. */
static bool add_expanded(void *user, const char *path)
{
    struct naming *naming = user;
    struct stat status;
    bool there = stat(path, &status) == 0;
    if (there && S_ISDIR(status.st_mode)) naming->code = add_folder(naming, path, &status);
    else if (!there && leat__has_wildcard(path)) naming->code = add_glob(naming, path);
    else add_file(naming, path);
    return !naming->code && !naming->ended;
}

/* A local source that is not there as it stands. Its '/' come one at a time, as those of what a glob finds. */
static leat_code add_pattern(struct naming *naming, const char *source, const char *shown)
{
    char *path = strdup(source), *out = path;
    if (!path) return leat__fail(naming->error, LEAT_ENOMEM, 0, "no memory for a name");
    for (const char *in = source; *in; in++)
        if (*in != '/' || out == path || out[-1] != '/') *out++ = *in;
    *out = '\0';
    leat_code code;
    naming->name_from = name_begin(path, out, "{*?[");
    if (strpbrk(path, "{}*?[")) code = expand(naming, path, add_expanded);
    else code = leat__fail(naming->error, LEAT_ENOTFOUND, ENOENT, "there is no file or folder '%s'", shown);
    free(path);
    return code;
}

static leat_code add_local(struct naming *naming, const char *path)
{
    struct stat status;
    char shown[600];
    leat__escape(shown, sizeof shown, path, strlen(path));
    if (stat(path, &status) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) return add_pattern(naming, path, shown);
        return leat__fail_errno(naming->error, leat__code_of_errno(errno), errno, "cannot look at '%s'", shown);
    }
    naming->name_from = S_ISDIR(status.st_mode) ? strlen(path) : name_begin(path, path + strlen(path), "");
    if (S_ISDIR(status.st_mode)) return add_folder(naming, path, &status);
    if (!S_ISREG(status.st_mode))
        return leat__fail(naming->error, LEAT_EINVAL, 0, "'%s' is neither a file nor a folder", shown);
    add_file(naming, path);
    return LEAT_OK;
}

/* ---- all ---- */

static leat_code add_source(struct naming *naming, const char *source)
{
    naming->source = source;
    naming->listed = (leat__listed){.bytes = UINT64_MAX};
    if (!source || !*source)
        return leat__fail(naming->error, LEAT_EINVAL, 0, "an empty source: name a URL, a file, a folder or a list '@FILE'");
    if (strcmp(source, "-") == 0) return add_list(naming, "-");
    if (source[0] == '@') return add_list(naming, source + 1);
    leat_code code = leat__listref_scheme(source, naming->error);
    if (code) return code;
    return leat__is_url(source) ? add_urls(naming, source) : add_local(naming, source);
}

static leat_code open_naming(struct naming *naming)
{
    const leat__entries_options *options = naming->options;
    leat_code code = LEAT_OK;
    naming->has_to = options->to && stat(options->to, &naming->to) == 0;
    if (options->checksums) code = leat__sums_read(options->checksums, options->network, &naming->sums, naming->error);
    if (code || options->layout != LEAT_FETCH_HASHED) return code;
    naming->summer = leat__summer_new(LEAT__SUM_SHA256);
    return naming->summer ? LEAT_OK : leat__fail(naming->error, LEAT_ENOMEM, 0, "no memory for names by digest");
}

leat_code leat__entries_read(const leat__entries_options *options, leat_error *error)
{
    assert(options->entry && options->bad);
    struct naming *naming = calloc(1, sizeof *naming);
    leat__error_clear(error);
    if (!naming) return leat__fail(error, LEAT_ENOMEM, 0, "no memory to read sources");
    naming->options = options, naming->error = error;
    leat_code code = open_naming(naming);
    for (size_t i = 0; i < options->source_count && !code && !naming->ended; i++) code = add_source(naming, options->sources[i]);
    leat__sums_free(naming->sums);
    leat__summer_free(naming->summer);
    free(naming);
    return code;
}
