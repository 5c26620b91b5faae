/* owner.c - claims that need no locks: signing on and off, who is alive, taking, taking over, giving back.
 *
 * What:    owners/TOKEN is an empty file of a process at work, claims/ID a link to its token.
 * Why so:  locks are no-ops on some of the file systems that data sets lie on (faults.md, finding 9). Making a symbolic link fails
 *          if the name is there, on all of them, and brings the owner's name along in the same step.
 *          A dead owner's claim must not be taken by "rename away, then look whose it was": he who is late renames away the
 *          heir's fresh claim. So there is a succession, itself a claim and as exclusive: the link claims/ID.H, H being the hash of
 *          the dead token. Who made it looks again whether ID is still the dead one's (the one before may have finished), and
 *          renames it over ID: in one step the claim is his and the succession is gone. If an heir dies in between, its
 *          succession is taken over in the same way: ID.H.H'.
 *
 *              free --symlink ID--> mine --drop--> free
 *              dead owner's --symlink ID.H, ID still the same--> heir --rename ID.H over ID--> mine
 *
 *          Folders may vanish at any moment, as the last one to leave removes them: what misses one makes it, and tries again.
 * Threads: one at a time; beat from any: it uses nothing that changes.
 * Not here: what a token says (token.c). */
#include "store/owner.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipeline/failure.h"
#include "pipeline/fnv.h"

#define OWNERS "owners"
#define CLAIMS "claims"
#define NAME_BYTES 256    /* NAME_MAX and a NUL */
#define PATH_BYTES 264    /* "owners/" or "claims/" and a name */
#define SUCCESSION 17     /* characters that a succession adds to a name: '.' and 16 hexadecimal digits */
#define MOST_HEIRS 8      /* that died one after another, each within microseconds: 80 + 8 * 17 < NAME_BYTES */
#define MOST_TURNS 1000   /* around a loop that others can make longer only by getting something done each time */
#define LOOK_NS UINT64_C(1000000000) /* a stranger's file is looked at once a second */
#define SECOND_NS UINT64_C(1000000000)

/* A stranger, and since when its file has not been touched. */
struct stranger {
    char token[LEAT__TOKEN_BYTES];
    struct timespec touched;
    uint64_t since_ns, looked_ns;
    bool has_file;
};

struct leat__owner {
    int work;            /* borrowed */
    const leat__env *env;
    leat__token self;
    char token[LEAT__TOKEN_BYTES]; /* self, written */
    struct stranger *strangers;    /* as many as there are processes elsewhere: some hundreds */
    size_t stranger_count;
};

/* ---- folders and names ---- */

/* Makes a folder in the work folder, if it is not there. 0, or an errno: a link in its place is refused. */
static int make_folder(int work, const char *name)
{
    struct stat status;
    if (mkdirat(work, name, 0777) == 0) return 0;
    if (errno != EEXIST) return errno;
    if (fstatat(work, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return errno == ENOENT ? 0 : errno; /* gone again: we come back */
    return S_ISDIR(status.st_mode) ? 0 : ENOTDIR;
}

static void path_of(char path[PATH_BYTES], const char *folder, const char *name)
{
    assert(strlen(name) < NAME_BYTES);
    snprintf(path, PATH_BYTES, "%s/%.255s", folder, name);
}

static leat_code fail_work(const char *done, const char *folder, const char *name, int number, leat_error *error)
{
    bool is_full = number == ENOSPC || number == EDQUOT || number == EROFS;
    return leat__fail_errno(error, is_full ? LEAT_EDISK : leat__code_of_errno(number), number,
                            "cannot %s %s/%s in the work folder", done, folder, name);
}

/* Calls each(owner, name, user) for the entries of a folder; they may be removed meanwhile. */
static void each_entry(leat__owner *owner, const char *folder, void (*each)(leat__owner *owner, const char *name, void *user),
                       void *user)
{
    int fd = TEMP_FAILURE_RETRY(openat(owner->work, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (!entries) {
        if (fd >= 0) close(fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(entries));) {
        if (entry->d_name[0] != '.') each(owner, entry->d_name, user);
    }
    closedir(entries);
}

/* ---- signing on and off ---- */

/* Touches owners/TOKEN, and makes what is missing of it. 0, or an errno. */
static int sign(int work, const char *token)
{
    char path[PATH_BYTES];
    path_of(path, OWNERS, token);
    for (int i = 0; i < MOST_TURNS; i++) {
        if (utimensat(work, path, NULL, AT_SYMLINK_NOFOLLOW) == 0) return 0;
        int fd = errno == ENOENT ? TEMP_FAILURE_RETRY(openat(work, path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666)) : -1;
        if (fd >= 0) close(fd);
        if (fd >= 0 || errno != ENOENT) return fd >= 0 ? 0 : errno;
        int number = make_folder(work, OWNERS);
        if (number) return number;
    }
    return ENOENT;
}

leat_code leat__owner_new(int work_fd, const leat__env *env, leat__owner **out, leat_error *error)
{
    *out = NULL;
    leat__owner *owner = calloc(1, sizeof *owner);
    if (!owner) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for an owner of work");
    owner->work = work_fd;
    owner->env = env;
    owner->self = leat__token_of_self();
    leat__token_write(&owner->self, owner->token);
    const char *folder = OWNERS;
    int number = make_folder(work_fd, folder);
    if (!number) number = sign(work_fd, owner->token);
    if (!number) number = make_folder(work_fd, folder = CLAIMS);
    if (number) {
        leat__owner_free(owner);
        return fail_work("make", folder, "", number, error);
    }
    *out = owner;
    return LEAT_OK;
}

void leat__owner_free(leat__owner *owner)
{
    char path[PATH_BYTES];
    if (!owner) return;
    path_of(path, OWNERS, owner->token);
    unlinkat(owner->work, path, 0);
    if (unlinkat(owner->work, OWNERS, AT_REMOVEDIR) == 0) { /* nobody else is here */
        leat__owner_sweep(owner, NULL, NULL);
        unlinkat(owner->work, CLAIMS, AT_REMOVEDIR);
    }
    free(owner->strangers);
    free(owner);
}

const char *leat__owner_token(const leat__owner *owner)
{
    return owner->token;
}

void leat__owner_beat(const leat__owner *owner)
{
    sign(owner->work, owner->token); /* if it fails, others take us for dead: that costs work and spoils nothing */
}

/* ---- who is alive ---- */

/* NULL: no memory. */
static struct stranger *find_stranger(leat__owner *owner, const char *token)
{
    for (size_t i = 0; i < owner->stranger_count; i++) {
        if (strcmp(owner->strangers[i].token, token) == 0) return &owner->strangers[i];
    }
    struct stranger *more = realloc(owner->strangers, (owner->stranger_count + 1) * sizeof *more);
    if (!more) return NULL;
    owner->strangers = more;
    struct stranger *found = &more[owner->stranger_count++];
    *found = (struct stranger){.touched = {.tv_nsec = -1}}; /* no file has that time */
    strcpy(found->token, token);
    return found;
}

/* Looks at a stranger's file. It is opened for that: NFS answers stat from a cache that may be a minute old, but asks its server
 * when a file is opened. */
static void look_at(leat__owner *owner, struct stranger *stranger, uint64_t now)
{
    char path[PATH_BYTES];
    struct stat status;
    path_of(path, OWNERS, stranger->token);
    stranger->looked_ns = now;
    int fd = TEMP_FAILURE_RETRY(openat(owner->work, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    stranger->has_file = fd >= 0 || errno != ENOENT;
    bool known = fd >= 0 && fstat(fd, &status) == 0;
    if (fd >= 0) close(fd);
    const struct timespec *last = &stranger->touched;
    if (!known || (status.st_mtim.tv_sec == last->tv_sec && status.st_mtim.tv_nsec == last->tv_nsec)) return;
    stranger->touched = status.st_mtim;
    stranger->since_ns = now;
}

static bool is_stranger_alive(leat__owner *owner, const char *token)
{
    size_t before = owner->stranger_count;
    struct stranger *stranger = find_stranger(owner, token);
    uint64_t now = owner->env->now_ns(owner->env->user);
    if (!stranger) return true; /* nothing is taken on a guess */
    if (owner->stranger_count > before) stranger->since_ns = now;
    if (owner->stranger_count > before || now - stranger->looked_ns >= LOOK_NS) look_at(owner, stranger, now);
    return stranger->has_file && now - stranger->since_ns < LEAT__OWNER_LEASE_S * SECOND_NS;
}

bool leat__owner_is_alive(leat__owner *owner, const char *text)
{
    leat__token token;
    if (strcmp(text, owner->token) == 0) return true;
    if (!leat__token_read(text, &token)) return false;
    leat__process process = leat__token_process(&token, &owner->self);
    return process == LEAT__PROCESS_STRANGE ? is_stranger_alive(owner, text) : process == LEAT__PROCESS_RUNS;
}

/* ---- claims ---- */

/* Whom a claim belongs to: "" if the link is there and leads to no token. 0, or an errno. */
static int read_claim(const leat__owner *owner, const char *name, char holder[LEAT__TOKEN_BYTES])
{
    char path[PATH_BYTES];
    leat__token token;
    path_of(path, CLAIMS, name);
    ssize_t length = readlinkat(owner->work, path, holder, LEAT__TOKEN_BYTES);
    if (length < 0) return errno;
    holder[length < LEAT__TOKEN_BYTES ? length : 0] = '\0';
    if (!leat__token_read(holder, &token)) holder[0] = '\0';
    return 0;
}

/* How the attempt to take something ended. */
enum taking { TAKING_DONE, TAKING_INHERITED, TAKING_REFUSED, TAKING_AGAIN, TAKING_FAILED };

/* Renames the own succession over a claim, if that is still the dead holder's. */
static enum taking succeed(leat__owner *owner, const char *name, const char *succession, const char *dead)
{
    char from[PATH_BYTES], to[PATH_BYTES], holder[LEAT__TOKEN_BYTES];
    path_of(from, CLAIMS, succession);
    path_of(to, CLAIMS, name);
    bool same = read_claim(owner, name, holder) == 0 && strcmp(holder, dead) == 0;
    if (same && renameat(owner->work, from, owner->work, to) == 0) return TAKING_INHERITED;
    int number = same ? errno : ENOENT; /* ENOENT: somebody has been faster, or takes us for dead */
    unlinkat(owner->work, from, 0);
    errno = number;
    return number == ENOENT ? TAKING_AGAIN : TAKING_FAILED;
}

static enum taking take(leat__owner *owner, const char *name, int heirs, char from[LEAT__TOKEN_BYTES]);

/* A claim that is a dead one's. */
static enum taking take_over(leat__owner *owner, const char *name, int heirs, char dead[LEAT__TOKEN_BYTES])
{
    char succession[NAME_BYTES + SUCCESSION], heir[LEAT__TOKEN_BYTES];
    if (heirs == MOST_HEIRS) {
        path_of(succession, CLAIMS, name);
        unlinkat(owner->work, succession, 0);
        return TAKING_AGAIN;
    }
    snprintf(succession, sizeof succession, "%s.%016" PRIx64, name, leat__fnv_add(LEAT__FNV_START, dead, strlen(dead)));
    enum taking taking = take(owner, succession, heirs + 1, heir);
    if (taking == TAKING_DONE || taking == TAKING_INHERITED) return succeed(owner, name, succession, dead);
    if (taking == TAKING_REFUSED) strcpy(dead, heir);
    return taking;
}

/* Tries once. FAILED: errno says why. */
static enum taking take_once(leat__owner *owner, const char *name, int heirs, char from[LEAT__TOKEN_BYTES])
{
    char path[PATH_BYTES];
    path_of(path, CLAIMS, name);
    from[0] = '\0';
    if (symlinkat(owner->token, owner->work, path) == 0) return TAKING_DONE;
    if (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS) return TAKING_DONE; /* no links here */
    if (errno == ENOENT) {
        errno = make_folder(owner->work, CLAIMS);
        return errno ? TAKING_FAILED : TAKING_AGAIN;
    }
    if (errno != EEXIST) return TAKING_FAILED;
    errno = read_claim(owner, name, from);
    if (errno) return errno == ENOENT ? TAKING_AGAIN : TAKING_FAILED;
    if (strcmp(from, owner->token) == 0) {
        from[0] = '\0';
        return TAKING_DONE; /* we had it, or NFS made the link and lost the answer */
    }
    return leat__owner_is_alive(owner, from) ? TAKING_REFUSED : take_over(owner, name, heirs, from);
}

static enum taking take(leat__owner *owner, const char *name, int heirs, char from[LEAT__TOKEN_BYTES])
{
    enum taking taking = TAKING_AGAIN;
    for (int i = 0; i < MOST_TURNS && taking == TAKING_AGAIN; i++) taking = take_once(owner, name, heirs, from);
    if (taking != TAKING_AGAIN) return taking;
    errno = EAGAIN;
    return TAKING_FAILED;
}

leat_code leat__owner_claim(leat__owner *owner, const char *id, leat__claim *claim, char from[LEAT__TOKEN_BYTES], leat_error *error)
{
    assert(*id && strlen(id) <= LEAT__CLAIM_ID_MOST && !strpbrk(id, "./"));
    enum taking taking = take(owner, id, 0, from);
    if (taking == TAKING_FAILED) return fail_work("claim", CLAIMS, id, errno, error);
    *claim = taking == TAKING_DONE ? LEAT__CLAIM_MINE : taking == TAKING_INHERITED ? LEAT__CLAIM_INHERITED : LEAT__CLAIM_TAKEN;
    return LEAT_OK;
}

bool leat__owner_of(leat__owner *owner, const char *id, char token[LEAT__TOKEN_BYTES])
{
    return read_claim(owner, id, token) == 0 && token[0];
}

void leat__owner_drop(leat__owner *owner, const char *id)
{
    char path[PATH_BYTES], holder[LEAT__TOKEN_BYTES];
    path_of(path, CLAIMS, id);
    if (read_claim(owner, id, holder) == 0 && strcmp(holder, owner->token) == 0) unlinkat(owner->work, path, 0);
}

/* ---- those who are gone ---- */

struct burial {
    void (*each)(void *user, const char *token);
    void *user;
};

static void bury_one(leat__owner *owner, const char *name, void *user)
{
    const struct burial *burial = user;
    leat__token token;
    char path[PATH_BYTES];
    if (!leat__token_read(name, &token) || leat__owner_is_alive(owner, name)) return;
    burial->each(burial->user, name);
    path_of(path, OWNERS, name);
    unlinkat(owner->work, path, 0);
}

void leat__owner_bury(leat__owner *owner, void (*each)(void *user, const char *token), void *user)
{
    each_entry(owner, OWNERS, bury_one, &(struct burial){each, user});
}

struct sweeping {
    bool (*each)(void *user, const char *id, const char *token);
    void *user;
};

/* A claim is taken over before it is removed, so that nobody else takes it over meanwhile. */
static void sweep_one(leat__owner *owner, const char *name, void *user)
{
    const struct sweeping *sweeping = user;
    char holder[LEAT__TOKEN_BYTES];
    int heirs = 0;
    for (const char *dot = name; (dot = strchr(dot, '.')); dot++) heirs++;
    if (heirs > MOST_HEIRS || read_claim(owner, name, holder) != 0 || leat__owner_is_alive(owner, holder)) return;
    bool unwanted = heirs > 0; /* a succession whose heir died too: nothing lies under its name */
    if (!unwanted && sweeping->each) unwanted = sweeping->each(sweeping->user, name, holder);
    if (!unwanted) return;
    enum taking taking = take(owner, name, heirs, holder);
    if (taking == TAKING_DONE || taking == TAKING_INHERITED) leat__owner_drop(owner, name);
}

void leat__owner_sweep(leat__owner *owner, bool (*each)(void *user, const char *id, const char *token), void *user)
{
    each_entry(owner, CLAIMS, sweep_one, &(struct sweeping){each, user});
}
