/* token.c - names of processes that tell whether the process still runs.
 *
 * What:    reads who we are from /proc, and looks there for others of the same machine, boot and pid namespace.
 * Why so:  a pid alone comes again (D11), so its start time goes with it, which counts from boot, so the boot goes with that.
 *          Clones of a virtual machine share boot id and pids: the host's name has to be the same as well. "localhost" is the
 *          name of many, so with it another boot id may be another machine's.
 * Threads: any.
 * Not here: owners' files and leases (owner.c). */
#include "store/token.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipeline/env.h"

#define STAT_BYTES 1024 /* of /proc/PID/stat: 52 numbers and a name of 15 characters */

/* ---- /proc ---- */

/* Reads a small file whole. False: it cannot be, or is empty. */
static bool read_small(const char *path, char *text, size_t capacity)
{
    int fd = TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_CLOEXEC));
    if (fd < 0) return false;
    ssize_t got = read(fd, text, capacity - 1);
    close(fd);
    text[got > 0 ? got : 0] = '\0';
    return got > 0;
}

/* State (field 3) and start time (22) of a process; the name in field 2 may hold anything, so fields count from its last ')'. */
static bool read_stat(const char *path, char *state, uint64_t *start)
{
    char text[STAT_BYTES];
    if (!read_small(path, text, sizeof text)) return false;
    const char *at = strrchr(text, ')');
    if (!at || at[1] != ' ' || !at[2]) return false;
    *state = at[2];
    at += 1;
    for (int field = 3; at && field < 22; field++) at = strchr(at + 1, ' ');
    if (!at) return false;
    *start = strtoull(at + 1, NULL, 10);
    return true;
}

static void read_host(char host[LEAT__TOKEN_HOST + 1])
{
    char name[256];
    if (gethostname(name, sizeof name) != 0) name[0] = '\0';
    name[sizeof name - 1] = '\0';
    size_t length = strlen(name);
    const char *from = length > LEAT__TOKEN_HOST ? name + length - LEAT__TOKEN_HOST : name; /* names of a fleet end differently */
    strcpy(host, from);
    for (char *c = host; *c; c++) {
        bool is_letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');
        if (!is_letter && (*c < '0' || *c > '9')) *c = '-';
    }
}

leat__token leat__token_of_self(void)
{
    leat__token self = {.pid = (uint32_t)getpid()};
    char boot[64], state;
    struct stat space;
    const leat__env *real = leat__env_real();
    read_host(self.host);
    if (read_small("/proc/sys/kernel/random/boot_id", boot, 9)) self.boot = (uint32_t)strtoul(boot, NULL, 16);
    if (stat("/proc/self/ns/pid", &space) == 0) self.pid_space = space.st_ino;
    if (!read_stat("/proc/self/stat", &state, &self.start)) self.start = 0;
    self.chance = (uint32_t)real->random(real->user);
    return self;
}

/* ---- text ---- */

void leat__token_write(const leat__token *token, char text[LEAT__TOKEN_BYTES])
{
    snprintf(text, LEAT__TOKEN_BYTES, "%s-%08" PRIx32 "-%" PRIx64 "-%" PRIu32 "-%" PRIu64 "-%08" PRIx32, token->host, token->boot,
             token->pid_space, token->pid, token->start, token->chance);
}

/* There is one way to write a token: what is read is written again, and compared. */
bool leat__token_read(const char *text, leat__token *token)
{
    static const char characters[] = "-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    char again[LEAT__TOKEN_BYTES];
    size_t length = strnlen(text, LEAT__TOKEN_BYTES), hyphens = 0, host = length;
    if (length == LEAT__TOKEN_BYTES) return false;
    while (host > 0 && hyphens < 5) hyphens += text[--host] == '-';
    if (hyphens < 5 || host > LEAT__TOKEN_HOST || strspn(text, characters) < length) return false;
    *token = (leat__token){.pid = 0};
    memcpy(token->host, text, host);
    if (sscanf(text + host, "-%8" SCNx32 "-%16" SCNx64 "-%10" SCNu32 "-%20" SCNu64 "-%8" SCNx32, &token->boot, &token->pid_space,
               &token->pid, &token->start, &token->chance) != 5)
        return false;
    leat__token_write(token, again);
    return token->pid > 0 && token->pid <= INT32_MAX && strcmp(text, again) == 0;
}

/* ---- who runs ---- */

static leat__process look_at(const leat__token *token)
{
    char path[32], state;
    uint64_t start;
    snprintf(path, sizeof path, "/proc/%" PRIu32 "/stat", token->pid);
    if (token->start != 0 && read_stat(path, &state, &start)) {
        bool runs = start == token->start && state != 'Z' && state != 'X';
        return runs ? LEAT__PROCESS_RUNS : LEAT__PROCESS_GONE;
    }
    bool is_there = kill((pid_t)token->pid, 0) == 0 || errno != ESRCH; /* without /proc, or one that hides others' */
    return is_there ? LEAT__PROCESS_STRANGE : LEAT__PROCESS_GONE;
}

leat__process leat__token_process(const leat__token *token, const leat__token *self)
{
    bool same_host = strcmp(token->host, self->host) == 0, booted = token->boot != 0 && self->boot != 0;
    bool has_name = self->host[0] && strncmp(self->host, "localhost", 9) != 0;
    if (!same_host || !booted) return LEAT__PROCESS_STRANGE;
    if (token->boot != self->boot) return has_name ? LEAT__PROCESS_GONE : LEAT__PROCESS_STRANGE;
    if (token->pid_space != self->pid_space || self->pid_space == 0) return LEAT__PROCESS_STRANGE;
    return look_at(token);
}
