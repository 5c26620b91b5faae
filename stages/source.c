/* source.c - what a source names: folders, files, globs, brace ranges, URLs and lists become a list of objects.
 *
 * What:    tells the forms apart and hands each to its file: folder.c, braces.c, wildcard.c; reads lists itself.
 * Why so:  what exists is taken literally before any character is given a meaning, so that a file named "a{1}.jpg" can
 *          be named. Only a list's lines with braces are looked up on the disk: a list of a million paths is not a
 *          million stats, and what is missing is found, and named, when it is read. A small source of which nothing
 *          exists is an error at once: it is a slip of the pen, and not 16 failed shards.
 * Threads: any; nothing is shared.
 * Not here: what names mean (filename.c), how the list is held (listing.c). */
#include "stages/source.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipeline/failure.h"
#include "stages/filename.h"
#include "stages/folder.h"
#include "stages/listing.h"
#include "stages/wildcard.h"

#define MAX_LINE 16384 /* characters of a line of a list: a presigned URL is about 2,000 */
#define MAX_PROBES 1000 /* files that are looked for, to say at once that none of them exists: a few milliseconds */

struct naming {
    leat__listing *listing;
    leat_error *error;
    leat_code code;
    bool in_list;
    const char *folder;    /* of the list: "" or ends in '/' */
    size_t folder_length;
};

/* ---- texts ---- */

/* Adds one text whose braces are gone. False: it failed. */
static bool add_text(void *user, const char *text)
{
    struct naming *naming = user;
    bool is_path = leat__scheme_length(text) == 0;
    if (is_path && !naming->in_list && leat__has_wildcard(text)) {
        naming->code = leat__wildcard_list(text, naming->listing, naming->error);
        return naming->code == LEAT_OK;
    }
    char joined[PATH_MAX];
    if (is_path && naming->folder_length > 0 && text[0] != '/') {
        int length = snprintf(joined, sizeof joined, "%s%s", naming->folder, text);
        if (length < 0 || (size_t)length >= sizeof joined) {
            naming->code = leat__fail(naming->error, LEAT_EINVAL, ENAMETOOLONG, "a path of more than %d characters",
                                      PATH_MAX - 1);
            return false;
        }
        text = joined;
    }
    naming->code = leat__listing_add(naming->listing, text, LEAT__KEY_OF_PARENT, -1, naming->error);
    return naming->code == LEAT_OK;
}

static leat_code add_braces(struct naming *naming, const char *text)
{
    uint64_t count;
    leat_code code = leat__braces_count(text, &count, naming->error);
    if (code) return code;
    if (count > LEAT__MAX_OBJECTS) {
        char shown[512];
        return leat__fail(naming->error, LEAT_EINVAL, 0, "'%s' names %s%llu objects: a source may have %u",
                          leat__redact(shown, sizeof shown, text), count == UINT64_MAX ? "over " : "",
                          (unsigned long long)count, LEAT__MAX_OBJECTS);
    }
    code = leat__braces_expand(text, add_text, naming, naming->error);
    return code ? code : naming->code;
}

/* ---- lists ---- */

static bool path_exists(const struct naming *naming, const char *line)
{
    char joined[PATH_MAX];
    struct stat status;
    int length = snprintf(joined, sizeof joined, "%s%s", line[0] == '/' ? "" : naming->folder, line);
    return length > 0 && (size_t)length < sizeof joined && lstat(joined, &status) == 0;
}

static leat_code add_line(struct naming *naming, const char *line)
{
    bool braces = strpbrk(line, "{}") != NULL;
    if (braces && (leat__scheme_length(line) > 0 || !path_exists(naming, line))) return add_braces(naming, line);
    add_text(naming, line);
    return naming->code;
}

enum reading { READING_LINE, READING_TOO_LONG, READING_NUL, READING_END };

/* Reads a line without its end into line[MAX_LINE + 1]. */
static enum reading read_line(FILE *file, char *line)
{
    size_t length = 0;
    int c = getc_unlocked(file);
    if (c == EOF) return READING_END;
    for (; c != EOF && c != '\n'; c = getc_unlocked(file)) {
        if (c == '\0') return READING_NUL;
        if (length == MAX_LINE) return READING_TOO_LONG;
        line[length++] = (char)c;
    }
    if (length > 0 && line[length - 1] == '\r') length--;
    line[length] = '\0';
    return READING_LINE;
}

static bool is_entry(const char *line)
{
    return line[0] != '#' && line[strspn(line, " \t")] != '\0';
}

/* Puts the place in front of an error's message. */
static leat_code fail_line(leat_error *error, leat_code code, const char *list, size_t number)
{
    if (!error) return code;
    leat_error cause = *error;
    return leat__fail(error, code, cause.system, "%s line %zu: %s", list, number, cause.message);
}

static leat_code read_lines(struct naming *naming, FILE *file, const char *list)
{
    char line[MAX_LINE + 1];
    for (size_t number = 1;; number++) {
        leat_code code = LEAT_OK;
        enum reading reading = read_line(file, line);
        if (reading == READING_END) break;
        bool marked = number == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0; /* UTF-8's byte order mark */
        const char *text = marked ? line + 3 : line;
        if (reading == READING_TOO_LONG) {
            code = leat__fail(naming->error, LEAT_EINVAL, 0, "over %d characters: is it a list of paths?", MAX_LINE);
        } else if (reading == READING_NUL) {
            code = leat__fail(naming->error, LEAT_EINVAL, 0, "a NUL byte: a list is UTF-8 text, a path or URL a line");
        } else if (is_entry(text)) {
            code = add_line(naming, text);
        }
        if (code) return fail_line(naming->error, code, list, number);
    }
    if (ferror(file)) return leat__fail_errno(naming->error, LEAT_EIO, errno, "cannot read %s", list);
    if (naming->listing->count == 0) return leat__fail(naming->error, LEAT_ENOTFOUND, 0, "%s is empty", list);
    return LEAT_OK;
}

/* Lists what "@name" names; "-" is stdin, through a descriptor of our own: the host's stays open. */
static leat_code add_list(struct naming *naming, const char *name)
{
    char escaped[400], list[420] = "the list on stdin", folder[PATH_MAX] = "";
    bool is_stdin = strcmp(name, "-") == 0;
    const char *slash = strrchr(name, '/');
    leat__escape(escaped, sizeof escaped, name, strlen(name));
    if (!is_stdin) snprintf(list, sizeof list, "list '%s'", escaped);
    int fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(name, O_RDONLY | O_CLOEXEC);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (!file) {
        int number = errno;
        if (fd >= 0) close(fd);
        return leat__fail_errno(naming->error, leat__code_of_errno(number), number, "cannot open %s", list);
    }
    if (slash && !is_stdin) {
        naming->folder_length = (size_t)(slash - name) + 1;
        assert(naming->folder_length < sizeof folder); /* or open would have said ENAMETOOLONG */
        memcpy(folder, name, naming->folder_length);
    }
    naming->folder = folder;
    naming->in_list = true;
    leat_code code = read_lines(naming, file, list);
    fclose(file);
    return code;
}

/* ---- the forms ---- */

/* LEAT_ENOTFOUND if the objects are local files, few, and none of them exists. */
static leat_code some_exist(const struct naming *naming)
{
    const leat__listing *listing = naming->listing;
    assert(listing->count > 0);
    if (listing->objects[0].is_url || listing->count > MAX_PROBES) return LEAT_OK;
    for (size_t i = 0; i < listing->count; i++) {
        struct stat status;
        if (lstat(listing->objects[i].name, &status) == 0 || (errno != ENOENT && errno != ENOTDIR)) return LEAT_OK;
    }
    const char *first = listing->objects[0].display;
    if (listing->count == 1 && !naming->in_list) {
        return leat__fail(naming->error, LEAT_ENOTFOUND, ENOENT, "there is no file or folder '%.512s'", first);
    }
    return leat__fail(naming->error, LEAT_ENOTFOUND, ENOENT, "none of %zu files exists, the first is '%.512s'%s",
                      listing->count, first,
                      naming->in_list ? "; relative paths in a list are relative to the list's folder" : "");
}

/* A source that is neither a list nor a URL. */
static leat_code add_path(struct naming *naming, const char *path)
{
    struct stat status;
    if (stat(path, &status) == 0) {
        if (S_ISDIR(status.st_mode)) return leat__folder_list(path, naming->listing, naming->error);
        return leat__listing_add(naming->listing, path, LEAT__KEY_OF_PARENT, -1, naming->error);
    }
    if (errno == EACCES) {
        char shown[512];
        leat__escape(shown, sizeof shown, path, strlen(path));
        return leat__fail_errno(naming->error, LEAT_EACCESS, EACCES, "cannot look at '%s'", shown);
    }
    leat_code code = add_braces(naming, path);
    return code ? code : some_exist(naming);
}

static leat_code add_source(struct naming *naming, const char *source)
{
    leat_code code;
    if (strcmp(source, "-") == 0) code = add_list(naming, "-");
    else if (source[0] == '@') code = add_list(naming, source + 1);
    else if (leat__scheme_length(source) > 0) code = add_braces(naming, source);
    else return add_path(naming, source);
    if (!code && naming->in_list) code = some_exist(naming);
    return code;
}

leat_code leat__source_list(const char *source, leat__listing **listing, leat_error *error)
{
    assert(listing);
    *listing = NULL;
    leat__error_clear(error);
    if (!source || !*source) {
        return leat__fail(error, LEAT_EINVAL, 0, "no source: name a folder, shards such as train-{000000..000015}.tar, "
                                                 "an http(s):// URL or a list '@FILE'");
    }
    struct naming naming = {.listing = leat__listing_new(), .error = error};
    if (!naming.listing) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a list of objects");
    leat_code code = add_source(&naming, source);
    if (!code && !naming.listing->classes) code = leat__listing_label_by_parent(naming.listing, error);
    if (code) {
        leat__listing_free(naming.listing);
        return code;
    }
    leat__listing_finish(naming.listing);
    *listing = naming.listing;
    return LEAT_OK;
}
