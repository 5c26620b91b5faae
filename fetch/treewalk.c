/* treewalk.c - every file below a local folder, in an order that is the same everywhere.
 *
 * What:    a folder's names are read whole, sorted bytewise and visited; a folder among them at its place, before the next name.
 * Why so:  nftw(3) has the order of the disk, which differs from run to run and from rank to rank. Folders are closed before they
 *          are visited: depth costs memory, not descriptors. Links to folders are not followed: there is no way round in circles.
 *          The type comes from readdir where the file system says it; stat is called for links alone.
 * Threads: any; nothing is shared.
 * Invariants: (1) path[length] == 0   (2) a folder's names are visited once, whatever is put into it meanwhile. */
#include "fetch/treewalk.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/failure.h"
#include "store/records.h"

/* The names of a folder: each behind a byte of its type (DT_REG, DT_DIR, DT_LNK: to a folder, DT_UNKNOWN: anything else, DT_WHT:
 * leads nowhere). */
struct names {
    char *text;
    size_t used, capacity;
    size_t *at; /* where each begins */
    size_t count, room;
};

struct travel {
    const leat__treewalk *walk;
    leat_error *error;
    bool ended;      /* by false */
    char path[PATH_MAX];
    size_t length;
    size_t top;      /* length of the folder's own path */
    leat_error told; /* here and not on the stack, which is 2,000 folders deep at most */
    char shown[700];
};

/* ---- names ---- */

static bool grow(void *array, size_t *capacity, size_t needed, size_t size)
{
    if (needed <= *capacity) return true;
    size_t more = needed + needed / 2 + 64, bytes;
    void *grown = __builtin_mul_overflow(more, size, &bytes) ? NULL : realloc(*(void **)array, bytes);
    if (!grown) return false;
    *(void **)array = grown;
    *capacity = more;
    return true;
}

static bool add_name(struct names *names, const char *name, char type)
{
    size_t size = strlen(name) + 2;
    if (!grow(&names->text, &names->capacity, names->used + size, 1)) return false;
    if (!grow(&names->at, &names->room, names->count + 1, sizeof *names->at)) return false;
    names->at[names->count++] = names->used;
    names->text[names->used] = type;
    memcpy(names->text + names->used + 1, name, size - 1);
    names->used += size;
    return true;
}

static int compare(const void *a, const void *b, void *text)
{
    return strcmp((char *)text + *(const size_t *)a + 1, (char *)text + *(const size_t *)b + 1);
}

static char type_of(int folder, const struct dirent *entry)
{
    struct stat status;
    if (entry->d_type == DT_REG || entry->d_type == DT_DIR) return (char)entry->d_type;
    if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN) return DT_UNKNOWN;
    if (fstatat(folder, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) return DT_WHT;
    bool is_link = S_ISLNK(status.st_mode);
    if (is_link && fstatat(folder, entry->d_name, &status, 0) != 0) return DT_WHT;
    if (S_ISREG(status.st_mode)) return DT_REG;
    return S_ISDIR(status.st_mode) ? (is_link ? DT_LNK : DT_DIR) : DT_UNKNOWN;
}

static bool is_passed_over(const struct travel *travel, const char *name)
{
    bool is_state = travel->length == travel->top && strcmp(name, LEAT__STATE_FOLDER) == 0;
    return is_state || strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Reads a folder's names, sorted. Returns 0 or an errno. */
static int read_names(const struct travel *travel, DIR *dir, struct names *names)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry && errno) return errno;
        if (!entry) break;
        if (is_passed_over(travel, entry->d_name)) continue;
        if (!add_name(names, entry->d_name, type_of(dirfd(dir), entry))) return ENOMEM;
    }
    if (names->count > 1) qsort_r(names->at, names->count, sizeof *names->at, compare, names->text);
    return 0;
}

/* ---- visits ---- */

static bool is_skipped(const struct travel *travel, int fd)
{
    struct stat status;
    const struct stat *skipped = travel->walk->skipped;
    return skipped && fstat(fd, &status) == 0 && status.st_dev == skipped->st_dev && status.st_ino == skipped->st_ino;
}

static leat_code say(struct travel *travel, int number, const char *what, leat_error *error)
{
    leat__escape(travel->shown, sizeof travel->shown, travel->path, travel->length);
    if (number) return leat__fail_errno(error, leat__code_of_errno(number), number, "folder '%s' %s", travel->shown, what);
    return leat__fail(error, LEAT_EINVAL, 0, "'%s' %s", travel->shown, what);
}

static void tell(struct travel *travel, int number, const char *what)
{
    say(travel, number, what, &travel->told);
    if (!travel->walk->bad(travel->walk->user, travel->path, &travel->told)) travel->ended = true;
}

static leat_code visit_folder(struct travel *travel);

static leat_code visit(struct travel *travel, const char *name)
{
    const leat__treewalk *walk = travel->walk;
    size_t length = strlen(name + 1), slash = travel->path[travel->length - 1] != '/';
    if (travel->length + slash + length >= sizeof travel->path) {
        tell(travel, ENAMETOOLONG, "has names that are too long to be read");
        return LEAT_OK;
    }
    if (slash) travel->path[travel->length++] = '/';
    memcpy(travel->path + travel->length, name + 1, length + 1);
    travel->length += length;
    switch (name[0]) {
    case DT_REG: travel->ended = !walk->file(walk->user, travel->path); return LEAT_OK;
    case DT_DIR: return visit_folder(travel);
    case DT_LNK: tell(travel, 0, "is a symbolic link to a folder, which is not followed: name that folder as a source"); break;
    case DT_WHT: tell(travel, 0, "is a symbolic link that leads nowhere"); break;
    default: tell(travel, 0, "is neither a file nor a folder"); break;
    }
    return LEAT_OK;
}

static leat_code visit_all(struct travel *travel, const struct names *names)
{
    leat_code code = LEAT_OK;
    size_t length = travel->length;
    for (size_t i = 0; i < names->count && !code && !travel->ended; i++) {
        code = visit(travel, names->text + names->at[i]);
        travel->path[travel->length = length] = '\0';
    }
    return code;
}

/* Visits the folder at travel->path. Only the one at the top may be reached by a link. */
static leat_code visit_folder(struct travel *travel)
{
    bool is_top = travel->length == travel->top;
    struct names names = {0};
    int fd = TEMP_FAILURE_RETRY(open(travel->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (is_top ? 0 : O_NOFOLLOW)));
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int number = dir ? 0 : errno;
    if (fd >= 0 && !dir) close(fd);
    bool skipped = dir && !is_top && is_skipped(travel, fd);
    if (dir && !skipped) number = read_names(travel, dir, &names);
    if (dir) closedir(dir);
    leat_code code = LEAT_OK;
    if (number == ENOMEM) code = leat__fail(travel->error, LEAT_ENOMEM, 0, "no memory for the names of a folder");
    else if (number && is_top) code = say(travel, number, "cannot be read", travel->error);
    else if (number) tell(travel, number, "cannot be read");
    else code = visit_all(travel, &names);
    free(names.text);
    free(names.at);
    return code;
}

leat_code leat__treewalk_run(const leat__treewalk *walk, const char *folder, leat_error *error)
{
    assert(walk->file && walk->bad && *folder);
    size_t length = strlen(folder);
    struct travel *travel = malloc(sizeof *travel);
    if (!travel) return leat__fail(error, LEAT_ENOMEM, 0, "no memory to read a folder");
    *travel = (struct travel){.walk = walk, .error = error};
    leat_code code;
    if (length < sizeof travel->path) {
        memcpy(travel->path, folder, length);
        travel->length = travel->top = length;
        code = visit_folder(travel);
    } else {
        code = leat__fail_errno(error, LEAT_EINVAL, ENAMETOOLONG, "a folder's path of %zu bytes", length);
    }
    free(travel);
    return code;
}
