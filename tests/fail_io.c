/* fail_io.c - makes calls that touch files fail, be slow, be cut short, or be a process's last. To be preloaded (LD_PRELOAD).
 *
 * What:    FAIL_IO        rules, ';' between: CALL|CALL...@WHEN=ACTION
 *            CALL         create (open with O_CREAT), open (any other), read, pread, write, pwrite, pwritev, fsync, fdatasync,
 *                         syncfs, rename, link, symlink, unlink, mkdir, rmdir, fallocate, ftruncate, flock; "change": all that
 *                         change something on disk
 *            WHEN         N: the N-th such call (from 1 on), N+: from then on, %N: every N-th, *: each
 *            ACTION       ENOSPC, EIO ... (see `errors`): fails with it; short: does half of it; none: does nothing, and says
 *                         that it worked; sleepMS: takes so long; kill: SIGKILL before it; torn: SIGKILL after half of it
 *          FAIL_IO_UNDER  a directory: only calls on what lies in it, or on it
 *          FAIL_IO_LOG    a file: a line "CALL PATH" is added for each such call
 * Why so:  the library's own calls are what is to be tested, not a model of them. Variants (at, 64, 2, _chk) count as the plain
 *          call; openat2 comes by way of syscall(2).
 * Threads: any; counts are under one lock. */
#undef _FILE_OFFSET_BITS /* which would make one name of pwrite and pwrite64 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define CHANGING "|create|write|pwrite|pwritev|fsync|fdatasync|syncfs|rename|link|symlink|unlink|mkdir|rmdir|fallocate|ftruncate|"
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define SHOWN __attribute__((visibility("default")))

typedef struct rule {
    char calls[256];      /* "|write|pwrite|" */
    char when[16], action[16];
    long seen;
} rule;

static const struct {
    const char *name;
    int number;
} errors[] = {{"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EIO", EIO}, {"EINTR", EINTR}, {"EPERM", EPERM}, {"EOPNOTSUPP", EOPNOTSUPP},
              {"EROFS", EROFS}, {"ESTALE", ESTALE}};

static rule rules[16];
static size_t rule_count;
static const char *under, *log_path;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void read_rules(void)
{
    under = getenv("FAIL_IO_UNDER");
    log_path = getenv("FAIL_IO_LOG");
    char *text = strdup(getenv("FAIL_IO") ? getenv("FAIL_IO") : ""), *rest = text;
    for (char *part; rule_count < 16 && (part = strsep(&rest, ";"));) {
        rule *r = &rules[rule_count];
        if (sscanf(part, "%240[^@]@%15[^=]=%15s", r->calls + 1, r->when, r->action) != 3) continue;
        r->calls[0] = '|';
        strcat(r->calls, "|");
        rule_count++;
    }
    free(text);
}

/* Whether a rule's turn has come. */
static bool is_due(rule *r, const char *call)
{
    char word[32];
    snprintf(word, sizeof word, "|%s|", call);
    if (!strstr(r->calls, word) && !(!strcmp(r->calls, "|change|") && strstr(CHANGING, word))) return false;
    long n = strtol(r->when + (r->when[0] == '%'), NULL, 10);
    r->seen++;
    if (r->when[0] == '*') return true;
    if (r->when[0] == '%') return r->seen % n == 0;
    return r->when[strlen(r->when) - 1] == '+' ? r->seen >= n : r->seen == n;
}

/* The path that a call is about: of a name in a folder, or of a descriptor. */
static void path_of(int fd, const char *name, char *out, size_t capacity)
{
    char link[64], folder[PATH_MAX] = "";
    if (name && name[0] == '/') {
        snprintf(out, capacity, "%s", name);
        return;
    }
    snprintf(link, sizeof link, fd == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, folder, sizeof folder - 1);
    folder[size > 0 ? size : 0] = 0;
    if (name) snprintf(out, capacity, "%s/%s", folder, name);
    else snprintf(out, capacity, "%s", folder);
}

static void note(const char *call, const char *path)
{
    if (!log_path) return;
    char line[PATH_MAX + 64];
    int size = snprintf(line, sizeof line, "%s %s\n", call, path);
    int fd = (int)REAL(syscall)(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return;
    REAL(syscall)(SYS_write, fd, line, (size_t)size);
    close(fd);
}

enum { GO_ON = 0, HALF = -1, HALF_AND_DIE = -2, NOTHING = -3 }; /* or an errno */

static int act(const char *action)
{
    if (!strcmp(action, "short")) return HALF;
    if (!strcmp(action, "torn")) return HALF_AND_DIE;
    if (!strcmp(action, "none")) return NOTHING;
    if (!strcmp(action, "kill")) raise(SIGKILL);
    if (!strncmp(action, "sleep", 5)) usleep((useconds_t)atoi(action + 5) * 1000);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (!strcmp(action, errors[i].name)) return errors[i].number;
    return GO_ON;
}

/* What is to become of a call. */
static int meet(const char *call, int fd, const char *name)
{
    int saved = errno;
    char path[2 * PATH_MAX];
    const char *action = NULL;
    pthread_once(&once, read_rules);
    path_of(fd, name, path, sizeof path);
    size_t size = under ? strlen(under) : 0;
    if (size && (strncmp(path, under, size) || (path[size] && path[size] != '/'))) return GO_ON;
    pthread_mutex_lock(&lock);
    note(call, path);
    for (size_t i = 0; i < rule_count; i++)
        if (is_due(&rules[i], call)) action = rules[i].action;
    pthread_mutex_unlock(&lock);
    int what = action ? act(action) : GO_ON;
    errno = what > 0 ? what : saved;
    return what;
}

/* For calls that have no half. */
#define MEET(call, fd, name)                                                                                            \
    do {                                                                                                                \
        int what = meet(call, fd, name);                                                                                \
        if (what > 0) return -1;                                                                                        \
        if (what == NOTHING) return 0;                                                                                  \
        if (what == HALF_AND_DIE) raise(SIGKILL);                                                                       \
    } while (0)

/* ---- reading and writing ---- */

#define MEET_BYTES(call, fd, count, real)                                                                               \
    do {                                                                                                                \
        int what = meet(call, fd, NULL);                                                                                \
        if (what > 0) return -1;                                                                                        \
        if (what == NOTHING) return (ssize_t)(count);                                                                   \
        if ((what == HALF || what == HALF_AND_DIE) && (count) > 1) (count) /= 2;                                        \
        ssize_t done = (real);                                                                                          \
        if (what == HALF_AND_DIE) raise(SIGKILL);                                                                       \
        return done;                                                                                                    \
    } while (0)

SHOWN ssize_t write(int fd, const void *data, size_t count)
{
    MEET_BYTES("write", fd, count, REAL(write)(fd, data, count));
}

SHOWN ssize_t pwrite(int fd, const void *data, size_t count, off_t at)
{
    MEET_BYTES("pwrite", fd, count, REAL(pwrite)(fd, data, count, at));
}

SHOWN ssize_t pwrite64(int fd, const void *data, size_t count, off64_t at)
{
    return pwrite(fd, data, count, at);
}

SHOWN ssize_t read(int fd, void *data, size_t count)
{
    MEET_BYTES("read", fd, count, REAL(read)(fd, data, count));
}

SHOWN ssize_t __read_chk(int fd, void *data, size_t count, size_t room)
{
    (void)room;
    return read(fd, data, count);
}

SHOWN ssize_t pread(int fd, void *data, size_t count, off_t at)
{
    MEET_BYTES("pread", fd, count, REAL(pread)(fd, data, count, at));
}

SHOWN ssize_t pread64(int fd, void *data, size_t count, off64_t at)
{
    return pread(fd, data, count, at);
}

SHOWN ssize_t __pread64_chk(int fd, void *data, size_t count, off64_t at, size_t room)
{
    (void)room;
    return pread(fd, data, count, at);
}

/* half of it: the first buffer alone, or half of the only one */
SHOWN ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    int what = meet("pwritev", fd, NULL);
    if (what > 0) return -1;
    bool half = what == HALF || what == HALF_AND_DIE;
    struct iovec first = {parts->iov_base, half && count == 1 && parts->iov_len > 1 ? parts->iov_len / 2 : parts->iov_len};
    ssize_t done = REAL(pwritev)(fd, half ? &first : parts, half ? 1 : count, at);
    if (what == HALF_AND_DIE) raise(SIGKILL);
    return done;
}

SHOWN ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
    return pwritev(fd, parts, count, at);
}

SHOWN int ftruncate(int fd, off_t size)
{
    MEET("ftruncate", fd, NULL);
    return REAL(ftruncate)(fd, size);
}

SHOWN int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

SHOWN int fallocate(int fd, int mode, off_t at, off_t size)
{
    MEET("fallocate", fd, NULL);
    return REAL(fallocate)(fd, mode, at, size);
}

SHOWN int fallocate64(int fd, int mode, off64_t at, off64_t size)
{
    return fallocate(fd, mode, at, size);
}

SHOWN int posix_fallocate(int fd, off_t at, off_t size)
{
    int what = meet("fallocate", fd, NULL);
    return what > 0 ? what : REAL(posix_fallocate)(fd, at, size);
}

SHOWN int posix_fallocate64(int fd, off64_t at, off64_t size)
{
    return posix_fallocate(fd, at, size);
}

SHOWN int fsync(int fd)
{
    MEET("fsync", fd, NULL);
    return REAL(fsync)(fd);
}

SHOWN int fdatasync(int fd)
{
    MEET("fdatasync", fd, NULL);
    return REAL(fdatasync)(fd);
}

SHOWN int syncfs(int fd)
{
    MEET("syncfs", fd, NULL);
    return REAL(syncfs)(fd);
}

SHOWN int flock(int fd, int operation)
{
    MEET("flock", fd, NULL);
    return REAL(flock)(fd, operation);
}

/* ---- names ---- */

SHOWN int openat(int folder, const char *name, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    MEET(flags & O_CREAT ? "create" : "open", folder, name);
    return REAL(openat)(folder, name, flags, mode);
}

SHOWN int openat64(int folder, const char *name, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    return openat(folder, name, flags, mode);
}

SHOWN int open(const char *name, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    return openat(AT_FDCWD, name, flags, mode);
}

SHOWN int open64(const char *name, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    return openat(AT_FDCWD, name, flags, mode);
}

/* openat2 and renameat2 have no function of their own in older C libraries */
SHOWN long syscall(long number, ...)
{
    long a[6];
    va_list more;
    va_start(more, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(more, long);
    va_end(more);
    if (number == SYS_openat2) {
        const struct open_how *how = (const struct open_how *)a[2];
        MEET(how->flags & O_CREAT ? "create" : "open", (int)a[0], (const char *)a[1]);
    }
    return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

SHOWN int renameat2(int from_folder, const char *from, int folder, const char *name, unsigned flags)
{
    MEET("rename", folder, name);
    return REAL(renameat2)(from_folder, from, folder, name, flags);
}

SHOWN int renameat(int from_folder, const char *from, int folder, const char *name)
{
    MEET("rename", folder, name);
    return REAL(renameat)(from_folder, from, folder, name);
}

SHOWN int rename(const char *from, const char *name)
{
    MEET("rename", AT_FDCWD, name);
    return REAL(rename)(from, name);
}

SHOWN int linkat(int from_folder, const char *from, int folder, const char *name, int flags)
{
    MEET("link", folder, name);
    return REAL(linkat)(from_folder, from, folder, name, flags);
}

SHOWN int symlinkat(const char *target, int folder, const char *name)
{
    MEET("symlink", folder, name);
    return REAL(symlinkat)(target, folder, name);
}

SHOWN int unlinkat(int folder, const char *name, int flags)
{
    MEET(flags & AT_REMOVEDIR ? "rmdir" : "unlink", folder, name);
    return REAL(unlinkat)(folder, name, flags);
}

SHOWN int unlink(const char *name)
{
    MEET("unlink", AT_FDCWD, name);
    return REAL(unlink)(name);
}

SHOWN int mkdirat(int folder, const char *name, mode_t mode)
{
    MEET("mkdir", folder, name);
    return REAL(mkdirat)(folder, name, mode);
}

SHOWN int mkdir(const char *name, mode_t mode)
{
    MEET("mkdir", AT_FDCWD, name);
    return REAL(mkdir)(name, mode);
}
