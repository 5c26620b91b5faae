/* presence.c - what lies under an entry's name already, and what follows from it.
 *
 * What:    one lstat for each entry; if a file is there, its size, what is recorded of it and, if only that can tell, its checksum.
 * Why so:  a file under its final name was whole and verified when it got it, if leat wrote it: so a record of its name, URL and
 *          size is enough, and a second run of the same list sends no request. What is not recorded is somebody else's: it is taken
 *          for the file if the manifest says so, and else neither believed nor touched.
 * Threads: the planner's. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fetch/run.h"
#include "pipeline/failure.h"

enum { READ_BYTES = 1 << 20, URL_AND_SUM = 16384 };

/* The key of a file that was verified by a checksum: its URL and that. */
static const char *keyed(const char *url, const leat__sum *sum, char out[URL_AND_SUM])
{
    char hex[LEAT__SUM_HEX];
    leat__sum_hex(sum, hex);
    snprintf(out, URL_AND_SUM, "%s:%s\n%s", leat__sum_name(sum->kind), hex, url); /* a cut one is still the same for the same */
    return out;
}

bool leat__presence_note(leat__finished *finished, const char *path, const char *url, uint64_t bytes, const leat__sum *sum)
{
    char key[URL_AND_SUM];
    if (!leat__finished_add(finished, path, url, bytes)) return false;
    return sum->kind == LEAT__SUM_NONE || leat__finished_add(finished, path, keyed(url, sum, key), bytes);
}

/* Whether the file has the entry's checksum. */
static bool has_sum(leat__run *run, const leat__entry *entry)
{
    int fd = leat__root_openat(&run->root, entry->path, O_RDONLY | O_NONBLOCK, 0);
    leat__summer *summer = leat__summer_new(entry->sum.kind);
    uint8_t *buffer = malloc(READ_BYTES);
    bool same = false;
    ssize_t n = -1;
    while (fd >= 0 && summer && buffer && (n = TEMP_FAILURE_RETRY(read(fd, buffer, READ_BYTES))) > 0 && !atomic_load(&run->stopping))
        leat__summer_add(summer, buffer, (size_t)n);
    if (n == 0) {
        leat__sum sum = leat__summer_finish(summer);
        same = leat__sum_equal(&sum, &entry->sum);
    }
    if (fd >= 0) close(fd);
    leat__summer_free(summer);
    free(buffer);
    return same;
}

static leat__presence strange(leat_error *error, const char *what)
{
    leat__fail(error, LEAT_EEXISTS, 0, "%s: it is left alone; move it away, or fetch into another directory", what);
    return LEAT__PRESENCE_STRANGE;
}

/* A regular file is there. */
static leat__presence judge(leat__run *run, const leat__entry *entry, uint64_t bytes, leat_error *error)
{
    char key[URL_AND_SUM], words[120];
    bool ours = leat__finished_has(run->finished, entry->path, entry->source, bytes);
    if (entry->bytes != LEAT__NO_BYTES && entry->bytes != bytes) {
        if (ours) return LEAT__PRESENCE_OLD;
        snprintf(words, sizeof words, "a file of %" PRIu64 " bytes is there that leat did not write, %" PRIu64 " are expected",
                 bytes,
                 entry->bytes);
        return strange(error, words);
    }
    if (entry->sum.kind) {
        if (leat__finished_has(run->finished, entry->path, keyed(entry->source, &entry->sum, key),
                               bytes)) return LEAT__PRESENCE_WHOLE;
        if (has_sum(run, entry)) return LEAT__PRESENCE_WHOLE;
        return ours ? LEAT__PRESENCE_OLD : strange(error, "a file of another checksum is there that leat did not write");
    }
    if (ours || entry->bytes == bytes) return LEAT__PRESENCE_WHOLE;
    return strange(error, "a file is there that leat did not fetch from here, and no size or checksum says whether it is the same");
}

leat__presence leat__presence_of(leat__run *run, const leat__entry *entry, leat_error *error)
{
    struct stat status;
    if (run->root.fd < 0) return LEAT__PRESENCE_NONE;
    if (leat__root_stat(&run->root, entry->path, &status)) {
        if (errno == ENOENT) return LEAT__PRESENCE_NONE;
        int number = errno;
        leat__fail_errno(error, LEAT_EDISK, number, "%s", number == ELOOP ? "a symbolic link is in its way" :
                         number == ENOTDIR ? "a file has the name of one of its folders" : "looking for it");
        return LEAT__PRESENCE_STRANGE;
    }
    if (S_ISREG(status.st_mode)) return judge(run, entry, (uint64_t)status.st_size, error);
    return strange(error, S_ISDIR(status.st_mode) ? "a folder has its name" : S_ISLNK(status.st_mode)
                   ? "a symbolic link has its name"
                                                                            : "something that is no file has its name");
}
