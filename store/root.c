/* root.c - a directory that nothing escapes from: every path is opened beneath it, without following symbolic links.
 *
 * What:    open, stat and rename for relative paths beneath a descriptor.
 * Why so:  a path that is checked first and opened afterwards can be changed in between; so the kernel looks for links while it
 *          walks. Without openat2 (before Linux 5.6; gVisor; docker's older sandboxes, which say EPERM) every part is opened by
 *          itself with O_NOFOLLOW, which no swap of folder and link gets past either.
 *          A file gets its name by RENAME_NOREPLACE. NFS and FUSE may lack that: there a hard link, which is exclusive too, and
 *          the old name removed. Without both (vfat behind FUSE) somebody who makes the name within microseconds is overwritten.
 * Threads: any.
 * Not here: names that are safe on a disk (fetch/entryname.c). */
#include "store/root.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h> /* renameat2 */
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pipeline/failure.h"

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)
#define FOLDER_MODE 0777

/* ---- paths ---- */

/* Length of the first part of a path; 0 if it is none that is allowed. */
static size_t first_part(const char *path)
{
    size_t length = strcspn(path, "/");
    bool is_dots = (length == 1 && path[0] == '.') || (length == 2 && path[0] == '.' && path[1] == '.');
    return is_dots ? 0 : length;
}

static bool is_beneath(const char *path)
{
    for (;;) {
        size_t length = first_part(path);
        if (length == 0) return false;
        if (!path[length]) return true;
        path += length + 1;
    }
}

/* ---- walking without openat2 ---- */

/* A link where a folder has to be is ENOTDIR to openat and ELOOP to openat2: the latter says what is wrong. */
static int fail_step(int folder, const char *part)
{
    struct stat status;
    int number = errno;
    bool is_link = number == ENOTDIR && fstatat(folder, part, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode);
    errno = is_link ? ELOOP : number;
    return -1;
}

/* Closes a folder on the way, and leaves errno as it is. */
static void leave(int root, int folder)
{
    int number = errno;
    if (folder != root) close(folder);
    errno = number;
}

/* Opens part[0..length) in a folder; make: it is made, if it is not there. */
static int step(int folder, const char *path, size_t length, int flags, mode_t mode, bool make)
{
    char part[NAME_MAX + 1];
    if (length > NAME_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(part, path, length);
    part[length] = '\0';
    if (make && mkdirat(folder, part, FOLDER_MODE) != 0 && errno != EEXIST) return -1;
    int fd = TEMP_FAILURE_RETRY(openat(folder, part, flags | O_NOFOLLOW | O_CLOEXEC, mode));
    return fd >= 0 ? fd : fail_step(folder, part);
}

/* make: folders on the way, the last part included. */
static int walk(int root, const char *path, int flags, mode_t mode, bool make)
{
    for (int folder = root;;) {
        size_t length = first_part(path);
        bool is_last = !path[length];
        int next = step(folder, path, length, is_last ? flags : O_PATH | O_DIRECTORY, is_last ? mode : 0, make);
        leave(root, folder);
        if (next < 0 || is_last) return next;
        folder = next;
        path += length + 1;
    }
}

static int open_beneath(int root, const char *path, int flags, mode_t mode)
{
    bool makes = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
    struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NOFOLLOW), .mode = makes ? mode & 07777 : 0,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    long fd = TEMP_FAILURE_RETRY(syscall(SYS_openat2, root, path, &how, sizeof how));
    if (fd >= 0) return (int)fd;
    bool unusable = errno == ENOSYS || errno == EPERM || errno == EAGAIN; /* EAGAIN: something was renamed meanwhile */
    return unusable || errno == ENOTDIR ? walk(root, path, flags, mode, false) : -1; /* which tells a link from a file */
}

/* ---- opening and looking ---- */

int leat__root_openat(const leat__root *root, const char *path, int flags, mode_t mode)
{
    assert(root->fd >= 0);
    if (is_beneath(path)) return open_beneath(root->fd, path, flags, mode);
    errno = EINVAL;
    return -1;
}

/* The folder of path[0..length). Most are there: looked for first, made only if not. */
static int open_folder(int root, const char *path, size_t length, bool make)
{
    char folder[PATH_MAX];
    if (length >= sizeof folder) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(folder, path, length);
    folder[length] = '\0';
    int fd = open_beneath(root, folder, FOLDER_FLAGS, 0);
    if (fd >= 0 || errno != ENOENT || !make) return fd;
    return walk(root, folder, FOLDER_FLAGS, 0, true);
}

int leat__root_open_parent(const leat__root *root, const char *path, bool make, const char **base)
{
    assert(root->fd >= 0);
    if (!is_beneath(path)) {
        errno = EINVAL;
        return -1;
    }
    const char *slash = strrchr(path, '/');
    *base = slash ? slash + 1 : path;
    if (!slash) return TEMP_FAILURE_RETRY(openat(root->fd, ".", FOLDER_FLAGS));
    return open_folder(root->fd, path, (size_t)(slash - path), make);
}

int leat__root_stat(const leat__root *root, const char *path, struct stat *status)
{
    if (!strchr(path, '/') && is_beneath(path)) return fstatat(root->fd, path, status, AT_SYMLINK_NOFOLLOW);
    int fd = leat__root_openat(root, path, O_PATH, 0); /* of a link at the end: the link itself */
    if (fd < 0) return -1;
    int result = fstat(fd, status), number = errno;
    close(fd);
    errno = number;
    return result;
}

/* ---- directories ---- */

static leat_code fail_folder(const char *shown, const char *done, int number, leat_error *error)
{
    leat_code code = leat__code_of_errno(number);
    const char *hint = "";
    if (number == ENOSPC || number == EDQUOT || number == EROFS) code = LEAT_EDISK;
    if (number == ENOTDIR || number == ELOOP || number == ENAMETOOLONG || number == EINVAL) code = LEAT_EIO;
    if (number == ENOTDIR || number == EEXIST) hint = " (a part of it is there, and is no folder)";
    if (number == ELOOP) hint = " (a symbolic link is in the way)";
    return leat__fail_errno(error, code, number, "cannot %s folder '%s'%s", done, shown, hint);
}

/* mkdir -p. 0, or an errno. */
static int make_path(const char *path)
{
    char part[PATH_MAX];
    size_t length = strlen(path);
    if (length >= sizeof part) return ENAMETOOLONG;
    memcpy(part, path, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if ((part[i] != '/' && part[i] != '\0') || part[i - 1] == '/') continue;
        part[i] = '\0';
        if (mkdir(part, FOLDER_MODE) != 0) {
            struct stat status;
            int number = errno;
            if (stat(part, &status) != 0) return number; /* EROFS and EACCES are said of folders that are there, too */
        }
        part[i] = path[i];
    }
    return 0;
}

leat_code leat__root_open(const char *path, bool make, leat__root *root, leat_error *error)
{
    leat__escape(root->shown, sizeof root->shown, path, strlen(path));
    root->fd = TEMP_FAILURE_RETRY(open(path, FOLDER_FLAGS));
    if (root->fd >= 0) return LEAT_OK;
    if (errno != ENOENT || !make || !*path) return fail_folder(root->shown, "open", errno, error);
    int number = make_path(path);
    if (number) return fail_folder(root->shown, "make", number, error);
    root->fd = TEMP_FAILURE_RETRY(open(path, FOLDER_FLAGS));
    return root->fd >= 0 ? LEAT_OK : fail_folder(root->shown, "open", errno, error);
}

leat_code leat__root_open_beneath(const leat__root *root, const char *path, bool make, leat__root *sub, leat_error *error)
{
    assert(root->fd >= 0);
    size_t used = strlen(root->shown);
    *sub = (leat__root){.fd = -1};
    memcpy(sub->shown, root->shown, used);
    if (used + 2 < sizeof sub->shown) {
        sub->shown[used++] = '/';
        leat__escape(sub->shown + used, sizeof sub->shown - used, path, strlen(path));
    }
    errno = EINVAL;
    if (is_beneath(path)) sub->fd = open_folder(root->fd, path, strlen(path), make);
    return sub->fd >= 0 ? LEAT_OK : fail_folder(sub->shown, make ? "make" : "open", errno, error);
}

void leat__root_close(leat__root *root)
{
    if (root->fd >= 0) close(root->fd);
    root->fd = -1;
}

/* ---- renaming ---- */

static bool is_same(int from_fd, const char *name, int to_fd, const char *base)
{
    struct stat from, to;
    return fstatat(from_fd, name, &from, AT_SYMLINK_NOFOLLOW) == 0 && fstatat(to_fd, base, &to, AT_SYMLINK_NOFOLLOW) == 0 &&
           from.st_dev == to.st_dev && from.st_ino == to.st_ino;
}

/* Both names of one file: a kill came between link and unlink, or NFS made the link and lost the answer. */
static int finish_link(int from_fd, const char *name)
{
    int number = errno;
    unlinkat(from_fd, name, 0); /* the file has its final name: what stays is only a second one */
    errno = number;
    return 0;
}

int leat__rename_to(int from_fd, const char *name, int to_fd, const char *base, bool replace)
{
    struct stat status;
    if (replace) return renameat(from_fd, name, to_fd, base);
    if (renameat2(from_fd, name, to_fd, base, RENAME_NOREPLACE) == 0) return 0;
    if (errno == EEXIST && is_same(from_fd, name, to_fd, base)) return finish_link(from_fd, name);
    if (errno != EINVAL && errno != ENOSYS && errno != EPERM) return -1;
    if (linkat(from_fd, name, to_fd, base, 0) == 0) return finish_link(from_fd, name);
    if (errno == EEXIST && is_same(from_fd, name, to_fd, base)) return finish_link(from_fd, name);
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK && errno != EINVAL) return -1;
    if (fstatat(to_fd, base, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        errno = EEXIST;
        return -1;
    }
    return errno == ENOENT ? renameat(from_fd, name, to_fd, base) : -1;
}
