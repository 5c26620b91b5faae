/* listfile.c - a list or manifest, from a file, stdin or a server, entry by entry.
 *
 * What:    one buffer that a line always fits into; lines are cut out of it in place and given to listform.c.
 * Why so:  read(2) and not stdio: a line needs no copy, and a wait for stdin can be ended (poll). Ten million lines take the
 *          memory of one (L8). A list from a server is fetched whole, so that a list that breaks off names nothing.
 * Threads: one at a time.
 * Invariants: (1) at <= end <= capacity; bytes[capacity] is there too   (2) lines before `at` have been given. */
#include "fetch/listfile.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/download.h"
#include "pipeline/failure.h"
#include "stages/filename.h"

enum {
    BUFFER_BYTES = 4 * LEAT__LIST_LINE,  /* what is moved to make room for a read is a line at most: a quarter */
    MAX_DOWNLOAD = 64 << 20,             /* of a list from a server */
    POLL_MS = 200,
};

struct leat__listfile {
    /* fixed after opening */
    leat__listfile_options options;
    char shown[440];        /* "list 'x'" */
    char *folder;           /* leat__listfile_folder */
    int fd;                 /* -1: all is in the buffer */
    /* where it stands */
    leat__listform *form;
    char *bytes;
    size_t at, end, capacity;
    uint64_t line;          /* number of the last one that was cut out */
    bool whole;             /* nothing more is to be read */
    int number;             /* errno of a failed read */
};

/* ---- opening ---- */

static bool set_folder(leat__listfile *list, const char *name)
{
    leat__filename filename = leat__filename_parse(name);
    bool is_bare_host = filename.is_url && filename.path == filename.end;
    size_t length = (size_t)(filename.base - name);
    list->folder = malloc(length + 2);
    if (!list->folder) return false;
    memcpy(list->folder, name, length);
    strcpy(list->folder + length, is_bare_host ? "/" : "");
    return true;
}

static leat_code open_file(leat__listfile *list, leat_error *error)
{
    const char *name = list->options.name;
    bool is_stdin = strcmp(name, "-") == 0;
    if (is_stdin) strcpy(list->shown, "the list on stdin");
    list->fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (list->fd < 0) return leat__fail_errno(error, leat__code_of_errno(errno), errno, "cannot open %s", list->shown);
    list->capacity = BUFFER_BYTES;
    list->bytes = malloc(list->capacity + 1);
    return list->bytes ? LEAT_OK : leat__fail(error, LEAT_ENOMEM, 0, "no memory to read %s", list->shown);
}

static leat_code open_url(leat__listfile *list, leat_error *error)
{
    uint8_t *bytes;
    size_t size;
    if (!list->options.network) return leat__fail(error, LEAT_EINVAL, 0, "%s: a file is wanted here, not a URL", list->shown);
    leat_code code = leat__download(list->options.network, list->options.name, MAX_DOWNLOAD, &bytes, &size, error);
    if (code) return code;
    list->bytes = realloc(bytes, size + 1);
    if (!list->bytes) free(bytes);
    list->end = list->capacity = size;
    list->whole = true;
    return list->bytes ? LEAT_OK : leat__fail(error, LEAT_ENOMEM, 0, "no memory to read %s", list->shown);
}

leat_code leat__listfile_open(const leat__listfile_options *options, leat__listfile **out, leat_error *error)
{
    *out = NULL;
    if (!*options->name) return leat__fail(error, LEAT_EINVAL, 0, "a list without a name: '@FILE', or '@-' for stdin");
    leat__listfile *list = calloc(1, sizeof *list);
    if (!list) return leat__fail(error, LEAT_ENOMEM, 0, "no memory to read a list");
    char shown[400];
    list->options = *options;
    list->fd = -1;
    snprintf(list->shown, sizeof list->shown, "list '%s'", leat__redact(shown, sizeof shown, options->name));
    list->form = leat__listform_new();
    leat_code code = LEAT_OK;
    if (!list->form || !set_folder(list, options->name)) code = leat__fail(error, LEAT_ENOMEM, 0, "no memory to read a list");
    else code = leat__is_url(options->name) ? open_url(list, error) : open_file(list, error);
    if (code) {
        leat__listfile_close(list);
        return code;
    }
    *out = list;
    return LEAT_OK;
}

void leat__listfile_close(leat__listfile *list)
{
    if (!list) return;
    if (list->fd >= 0) close(list->fd);
    leat__listform_free(list->form);
    free(list->folder);
    free(list->bytes);
    free(list);
}

const char *leat__listfile_folder(const leat__listfile *list)
{
    return list->folder;
}

char *leat__listfile_place(const leat__listfile *list, char out[LEAT__LIST_PLACE])
{
    snprintf(out, LEAT__LIST_PLACE, "%s line %" PRIu64, list->shown, list->line);
    return out;
}

/* ---- lines ---- */

/* Waits until there is something to read. False: stopped. */
static bool wait_for(const leat__listfile *list)
{
    struct pollfd wanted = {list->fd, POLLIN, 0};
    if (!list->options.stopped) return true;
    while (!list->options.stopped(list->options.user))
        if (poll(&wanted, 1, POLL_MS) > 0) return true;
    return false;
}

/* Reads more behind what is there. False: stopped. */
static bool fill(leat__listfile *list)
{
    ssize_t got;
    if (list->at > 0) memmove(list->bytes, list->bytes + list->at, list->end - list->at);
    list->end -= list->at;
    list->at = 0;
    assert(list->end < list->capacity);
    if (!wait_for(list)) return false;
    do got = read(list->fd, list->bytes + list->end, list->capacity - list->end);
    while (got < 0 && errno == EINTR);
    if (got < 0) list->number = errno;
    if (got <= 0) list->whole = true;
    else list->end += (size_t)got;
    return true;
}

/* Goes behind the end of the line that `at` is in. */
static void skip_line(leat__listfile *list)
{
    for (;;) {
        char *newline = memchr(list->bytes + list->at, '\n', list->end - list->at);
        list->at = newline ? (size_t)(newline - list->bytes) + 1 : list->end;
        if (newline || list->whole || !fill(list)) return;
    }
}

enum cut { CUT_LINE, CUT_TOO_LONG, CUT_NUL, CUT_END };

/* Cuts the next line out of the buffer, without its end. */
static enum cut cut_line(leat__listfile *list, char **line)
{
    size_t seen = 0;
    char *newline;
    for (;;) {
        newline = memchr(list->bytes + list->at + seen, '\n', list->end - list->at - seen);
        seen = list->end - list->at;
        if (newline || list->whole || seen > LEAT__LIST_LINE + 1) break;
        if (!fill(list)) return CUT_END;
    }
    if (seen == 0 || list->number) return CUT_END;
    list->line++;
    *line = list->bytes + list->at;
    char *end = newline ? newline : list->bytes + list->end;
    if (end > *line && end[-1] == '\r') end--;
    if (end - *line > LEAT__LIST_LINE) {
        skip_line(list);
        return CUT_TOO_LONG;
    }
    list->at = newline ? (size_t)(newline - list->bytes) + 1 : list->end;
    *end = '\0';
    return memchr(*line, '\0', (size_t)(end - *line)) ? CUT_NUL : CUT_LINE;
}

static bool is_entry(const char *line)
{
    return line[0] != '#' && line[strspn(line, " \t")] != '\0';
}

static leat__list_step refuse(const leat__listfile *list, const char *why, leat_error *error)
{
    char place[LEAT__LIST_PLACE];
    leat__fail(error, LEAT_EINVAL, 0, "%s: %s", leat__listfile_place(list, place), why);
    return LEAT__LIST_BAD;
}

leat__list_step leat__listfile_next(leat__listfile *list, leat__listed *listed, leat_error *error)
{
    char *line, why[512];
    for (;;) {
        switch (cut_line(list, &line)) {
        case CUT_TOO_LONG: return refuse(list, "it is longer than 64 KiB", error);
        case CUT_NUL: return refuse(list, "it has a NUL byte: a list is text, a line for each entry", error);
        case CUT_END:
            if (!list->number) return LEAT__LIST_END;
            leat__fail_errno(error, LEAT_EIO, list->number, "cannot read %s", list->shown);
            return LEAT__LIST_FAILED;
        case CUT_LINE: break;
        }
        if (list->line == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0) line += 3; /* UTF-8's byte order mark */
        if (!is_entry(line)) continue;
        switch (leat__listform_read(list->form, line, listed, why, sizeof why)) {
        case LEAT__LINE_ENTRY: return LEAT__LIST_ENTRY;
        case LEAT__LINE_BAD: return refuse(list, why, error);
        case LEAT__LINE_NOTHING: break;
        }
    }
}
