/* records.c - files of records: writing one, reading all.
 *
 * What:    a writer that gathers lines and appends them; a reader that goes through the folder with one buffer.
 * Why so:  a file for each process needs no lock, and what a crash tears is the end of a file that nobody appends to any more.
 *          Records are not merged: reading 10 million of them takes seconds, and a file that is never rewritten is never lost.
 * Threads: one at a time for a writer.
 * Not here: what a line says (recordline.c). */
#include "store/records.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/failure.h"
#include "store/recordline.h"

#define SUFFIX ".jsonl"
#define MOST_LINE (512 * 1024) /* a path and a URL of which every byte is escaped to six, and the rest */

_Static_assert(6 * (LEAT__RECORD_PATH + LEAT__RECORD_URL + LEAT__RECORD_ETAG) + 512 < MOST_LINE, "every record can be read again");

/* ---- writing ---- */

struct leat__record_writer {
    const leat__root *state;   /* borrowed */
    char name[NAME_MAX + 1];
    int fd;                    /* -1: not made yet */
    char *lines;               /* what was added and is not written */
    size_t used, capacity;
};

leat__record_writer *leat__record_writer_new(const leat__root *state, const char *token)
{
    leat__record_writer *writer = calloc(1, sizeof *writer);
    if (!writer) return NULL;
    writer->state = state;
    writer->fd = -1;
    snprintf(writer->name, sizeof writer->name, "%s" SUFFIX, token);
    return writer;
}

void leat__record_writer_free(leat__record_writer *writer)
{
    if (!writer) return;
    if (writer->fd >= 0) close(writer->fd);
    free(writer->lines);
    free(writer);
}

static bool reserve(leat__record_writer *writer, size_t more)
{
    size_t need = writer->used + more, capacity = writer->capacity ? writer->capacity : 4096;
    while (capacity < need) capacity *= 2;
    if (capacity == writer->capacity) return true;
    char *lines = realloc(writer->lines, capacity);
    if (!lines) return false;
    writer->lines = lines;
    writer->capacity = capacity;
    return true;
}

leat_code leat__record_add(leat__record_writer *writer, const leat__record *record, leat_error *error)
{
    char shown[512];
    if (strlen(record->path) >= LEAT__RECORD_PATH || strlen(record->url) >= LEAT__RECORD_URL ||
        strlen(record->etag) >= LEAT__RECORD_ETAG)
        return leat__fail(error, LEAT_ELIMIT, 0, "'%s': its name, URL or ETag is too long for a record",
                          leat__escape(shown, sizeof shown, record->path, strlen(record->path)));
    size_t length = leat__record_write(NULL, 0, record);
    if (!reserve(writer, length + 1)) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for records of finished files");
    leat__record_write(writer->lines + writer->used, length + 1, record);
    writer->used += length;
    return LEAT_OK;
}

static leat_code fail_records(const leat__root *state, const char *done, const char *name, int number, leat_error *error)
{
    char shown[256];
    bool is_full = number == ENOSPC || number == EDQUOT || number == EROFS;
    return leat__fail_errno(error, is_full ? LEAT_EDISK : leat__code_of_errno(number), number,
                            "cannot %s '%s/" LEAT__RECORDS_FOLDER "/%s'", done, state->shown,
                            leat__escape(shown, sizeof shown, name, strlen(name)));
}

static leat_code open_file(leat__record_writer *writer, leat_error *error)
{
    leat__root folder;
    leat_code code = leat__root_open_beneath(writer->state, LEAT__RECORDS_FOLDER, true, &folder, error);
    if (code) return code;
    writer->fd = leat__root_openat(&folder, writer->name, O_WRONLY | O_CREAT | O_APPEND, 0600);
    int number = errno;
    leat__root_close(&folder);
    return writer->fd >= 0 ? LEAT_OK : fail_records(writer->state, "make", writer->name, number, error);
}

leat_code leat__record_flush(leat__record_writer *writer, leat_error *error)
{
    leat_code code = LEAT_OK;
    size_t done = 0;
    if (writer->used == 0) return LEAT_OK;
    if (writer->fd < 0) code = open_file(writer, error);
    while (!code && done < writer->used) {
        ssize_t put = write(writer->fd, writer->lines + done, writer->used - done);
        if (put > 0) done += (size_t)put;
        else if (put == 0 || errno != EINTR) code = fail_records(writer->state, "write", writer->name, put ? errno : ENOSPC, error);
    }
    if (done > 0) memmove(writer->lines, writer->lines + done, writer->used - done);
    writer->used -= done;
    return code;
}

/* ---- reading ---- */

struct reading {
    bool (*each)(void *user, const leat__record *record);
    void *user;
    uint64_t torn;
    bool is_enough;                 /* each has returned false */
    bool is_passing;                /* within a line that is too long */
    size_t filled;
    char bytes[MOST_LINE];
    struct leat__record_texts texts;
};

static void take_line(struct reading *reading, char *line, size_t length)
{
    leat__record record;
    if (reading->is_passing) reading->is_passing = false; /* this is its end, and it has been counted */
    else if (!leat__record_read(line, length, &reading->texts, &record)) reading->torn++;
    else reading->is_enough = !reading->each(reading->user, &record);
}

/* Takes the lines that are there, and moves what is behind the last one to the front. */
static void take_lines(struct reading *reading)
{
    size_t from = 0;
    while (!reading->is_enough) {
        char *line = reading->bytes + from, *end = memchr(line, '\n', reading->filled - from);
        if (!end) break;
        take_line(reading, line, (size_t)(end - line));
        from += (size_t)(end - line) + 1;
    }
    memmove(reading->bytes, reading->bytes + from, reading->filled - from);
    reading->filled -= from;
    if (reading->filled < sizeof reading->bytes) return;
    reading->torn += !reading->is_passing;
    reading->is_passing = true;
    reading->filled = 0;
}

static leat_code read_file(struct reading *reading, int fd, const leat__root *state, const char *name, leat_error *error)
{
    ssize_t got = 0;
    reading->filled = 0;
    reading->is_passing = false;
    while (!reading->is_enough) {
        got = read(fd, reading->bytes + reading->filled, sizeof reading->bytes - reading->filled);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        reading->filled += (size_t)got;
        take_lines(reading);
    }
    if (got < 0) return fail_records(state, "read", name, errno, error);
    if (!reading->is_enough && reading->filled > 0 && !reading->is_passing) reading->torn++; /* a line without its end */
    return LEAT_OK;
}

/* One that is gone, or no regular file, is passed over. */
static leat_code read_named(struct reading *reading, const leat__root *folder, const leat__root *state, const char *name,
                            leat_error *error)
{
    struct stat status;
    int fd = leat__root_openat(folder, name, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0) return errno == ENOENT || errno == ELOOP ? LEAT_OK : fail_records(state, "open", name, errno, error);
    leat_code code = LEAT_OK;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) code = read_file(reading, fd, state, name, error);
    close(fd);
    return code;
}

static int is_records(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name), suffix = sizeof SUFFIX - 1;
    return entry->d_name[0] != '.' && length > suffix && strcmp(entry->d_name + length - suffix, SUFFIX) == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static leat_code read_folder(struct reading *reading, const leat__root *folder, const leat__root *state, leat_error *error)
{
    struct dirent **entries;
    leat_code code = LEAT_OK;
    int count = scandirat(folder->fd, ".", &entries, is_records, by_name);
    if (count < 0) return fail_records(state, "list", "", errno, error);
    for (int i = 0; i < count; i++) {
        if (!code && !reading->is_enough) code = read_named(reading, folder, state, entries[i]->d_name, error);
        free(entries[i]);
    }
    free(entries);
    return code;
}

leat_code leat__records_read(const leat__root *state, bool (*each)(void *user, const leat__record *record), void *user,
                             uint64_t *torn, leat_error *error)
{
    leat__root folder;
    *torn = 0;
    leat_code code = leat__root_open_beneath(state, LEAT__RECORDS_FOLDER, false, &folder, error);
    if (code == LEAT_ENOTFOUND) leat__error_clear(error);
    if (code) return code == LEAT_ENOTFOUND ? LEAT_OK : code;
    struct reading *reading = malloc(sizeof *reading);
    if (reading) {
        reading->each = each;
        reading->user = user;
        reading->torn = 0;
        reading->is_enough = false;
        code = read_folder(reading, &folder, state, error);
        *torn = reading->torn;
    } else {
        code = leat__fail(error, LEAT_ENOMEM, 0, "no memory for reading records");
    }
    free(reading);
    leat__root_close(&folder);
    return code;
}
