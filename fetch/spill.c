/* spill.c - entries that have to be looked at again, kept in a file.
 *
 * What:    a file without a name, in which entries are appended as their numbers and strings; taking reads them from the first to
 *          the last that was there when it began, and the next put begins a new file.
 * Why so:  two processes that share a list of ten million lines put aside half of it: that may not be held in memory.
 * Threads: any; a lock around puts. Taking reads a file that nobody else has any more. */
#include "fetch/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/failure.h"
#include "store/owner.h"

/* One entry in the file; its source, and its path, follow with their NULs. */
typedef struct frame {
    uint64_t number, bytes;
    uint32_t source_bytes, path_bytes;
    leat__sum sum;
    leat__later why;
    bool is_url;
} frame;

struct leat__spill {
    /* fixed after creation */
    int folder;
    const char *token;
    /* under the lock */
    pthread_mutex_t lock;
    FILE *file;       /* NULL: nothing was put yet */
    unsigned made;    /* files with names */
    bool broken;      /* a put has failed */
    uint64_t count;
};

/* A file that goes when it is closed, in the folder, whose file system has room for data. */
static FILE *file_new_locked(leat__spill *spill)
{
    int folder = spill->folder;
    char name[LEAT__TOKEN_BYTES + 32];
    int fd = TEMP_FAILURE_RETRY(openat(folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (fd < 0) { /* a file system that has no such thing */
        snprintf(name, sizeof name, "spill.%s.%u", spill->token, spill->made++);
        fd = TEMP_FAILURE_RETRY(openat(folder, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (fd >= 0) unlinkat(folder, name, 0);
    }
    if (fd < 0) return NULL;
    FILE *file = fdopen(fd, "w+");
    if (!file) close(fd);
    return file;
}

leat__spill *leat__spill_new(int folder, const char *token, leat_error *error)
{
    leat__spill *spill = calloc(1, sizeof *spill);
    if (!spill) {
        leat__fail(error, LEAT_ENOMEM, 0, "no memory for a list");
        return NULL;
    }
    spill->folder = folder;
    spill->token = token;
    pthread_mutex_init(&spill->lock, NULL);
    return spill;
}

static bool put_locked(leat__spill *spill, const leat__entry *entry, leat__later why)
{
    frame head = {.number = entry->number, .bytes = entry->bytes, .sum = entry->sum, .is_url = entry->is_url, .why = why,
                  .source_bytes = (uint32_t)strlen(entry->source) + 1, .path_bytes = (uint32_t)strlen(entry->path) + 1};
    if (!spill->file && !(spill->file = file_new_locked(spill))) return false;
    if (fwrite(&head, sizeof head, 1, spill->file) != 1 || fwrite(entry->source, head.source_bytes, 1, spill->file) != 1 ||
        fwrite(entry->path, head.path_bytes, 1, spill->file) != 1) return false;
    spill->count++;
    return true;
}

leat_code leat__spill_put(leat__spill *spill, const leat__entry *entry, leat__later why, leat_error *error)
{
    pthread_mutex_lock(&spill->lock);
    errno = 0;
    bool fine = !spill->broken && put_locked(spill, entry, why);
    spill->broken |= !fine; /* what follows would be read as part of a torn one */
    int number = errno;
    pthread_mutex_unlock(&spill->lock);
    return fine ? LEAT_OK : leat__fail_errno(error, LEAT_EDISK, number, "keeping a list of what is to be done later in .leat/work");
}

uint64_t leat__spill_count(leat__spill *spill)
{
    pthread_mutex_lock(&spill->lock);
    uint64_t count = spill->count;
    pthread_mutex_unlock(&spill->lock);
    return count;
}

/* Reads one entry. text: its strings, made larger as needed. */
static bool read_one(FILE *file, leat__spilled *spilled, char **text, size_t *capacity)
{
    frame head;
    if (fread(&head, sizeof head, 1, file) != 1) return false;
    size_t size = (size_t)head.source_bytes + head.path_bytes;
    if (size > *capacity) {
        char *larger = realloc(*text, size);
        if (!larger) return false;
        *text = larger;
        *capacity = size;
    }
    if (fread(*text, size, 1, file) != 1) return false;
    spilled->entry = (leat__entry){.number = head.number, .source = *text, .path = *text + head.source_bytes, .bytes = head.bytes,
                                   .sum = head.sum, .is_url = head.is_url};
    spilled->why = head.why;
    return true;
}

leat_code leat__spill_take(leat__spill *spill, bool (*each)(void *user, const leat__spilled *spilled), void *user, uint64_t *lost,
                           leat_error *error)
{
    pthread_mutex_lock(&spill->lock);
    FILE *file = spill->file;
    uint64_t count = spill->count;
    spill->file = NULL;
    spill->count = 0;
    pthread_mutex_unlock(&spill->lock);
    *lost = 0;
    if (!file) return LEAT_OK;
    char *text = NULL;
    size_t capacity = 0;
    leat__spilled spilled;
    leat_code code = LEAT_OK;
    if (fflush(file) || fseek(file, 0, SEEK_SET)) code = leat__fail_errno(error, LEAT_EDISK, errno, "reading a list in .leat/work");
    for (; !code && count; count--) {
        if (!read_one(file, &spilled, &text, &capacity))
            code = leat__fail_errno(error, LEAT_EIO, ferror(file) ? errno : ENOMEM, "reading a list in .leat/work");
        else if (!each(user, &spilled)) break;
    }
    *lost = count;
    free(text);
    fclose(file);
    return code;
}

void leat__spill_free(leat__spill *spill)
{
    if (!spill) return;
    if (spill->file) fclose(spill->file);
    pthread_mutex_destroy(&spill->lock);
    free(spill);
}
