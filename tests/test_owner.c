/* test_owner.c - store/owner.c and token.c: who is alive, claims that are taken, inherited and given back, also in races and when
 * those who take over are killed. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loading.h"
#include "pipeline/fnv.h"
#include "refusing.h"
#include "store/owner.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define SECOND UINT64_C(1000000000)

static int work;
static atomic_uint_fast64_t fake_ns;

static uint64_t fake_now(void *user)
{
    (void)user;
    return atomic_load(&fake_ns);
}

static const leat__env fake = {.now_ns = fake_now};

static void set_up(void)
{
    scratch_begin();
    work = open(scratch, O_RDONLY | O_DIRECTORY);
    ck_assert_int_ge(work, 0);
    atomic_store(&fake_ns, SECOND);
}

static void tear_down(void)
{
    close(work);
    scratch_end();
}

static leat__owner *owner_new(void)
{
    leat_error error;
    leat__owner *owner;
    leat_code code = leat__owner_new(work, &fake, &owner, &error);
    if (code) fprintf(stderr, "%s\n", error.message);
    MUST(code == LEAT_OK && owner);
    return owner;
}

static leat__claim claim_from(leat__owner *owner, const char *id, char from[LEAT__TOKEN_BYTES])
{
    leat_error error;
    leat__claim claim;
    leat_code code = leat__owner_claim(owner, id, &claim, from, &error);
    if (code) fprintf(stderr, "%s\n", error.message);
    MUST(code == LEAT_OK);
    return claim;
}

static leat__claim claim(leat__owner *owner, const char *id)
{
    char from[LEAT__TOKEN_BYTES];
    return claim_from(owner, id, from);
}

static bool is_there(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

/* This process, but for what the caller changes. */
static const char *text_of(leat__token token)
{
    static char texts[8][LEAT__TOKEN_BYTES];
    static unsigned next;
    char *text = texts[next++ % 8];
    leat__token_write(&token, text);
    return text;
}

/* A process of this machine that is gone: its pid runs, but began at another time. */
static const char *dead_token(uint32_t chance)
{
    leat__token token = leat__token_of_self();
    token.start++;
    token.chance = chance;
    return text_of(token);
}

static const char *token_elsewhere(void)
{
    leat__token token = leat__token_of_self();
    strcpy(token.host, "elsewhere");
    return text_of(token);
}

static void put_claim(const char *id, const char *token)
{
    mkdir(at("claims"), 0777);
    ck_assert_int_eq(symlink(token, at("claims/%s", id)), 0);
}

static void put_owner(const char *token)
{
    write_text(at("owners/%s", token), "");
}

/* ---- tokens ---- */

START_TEST(a_token_is_read_as_it_was_written)
{
    leat__token self = leat__token_of_self(), again, other = leat__token_of_self();
    char text[LEAT__TOKEN_BYTES];
    leat__token_write(&self, text);
    ck_assert_uint_le(strlen(text), 120);
    ck_assert_ptr_null(strpbrk(text, "./"));
    ck_assert(leat__token_read(text, &again));
    ck_assert_str_eq(text_of(again), text);
    ck_assert_uint_eq(again.pid, getpid());
    ck_assert_uint_ne(again.start, 0);
    ck_assert_uint_ne(again.boot, 0);
    ck_assert_uint_ne(again.pid_space, 0);
    ck_assert_uint_ne(self.chance, other.chance);
    leat__token longest = {
        .boot = UINT32_MAX, .pid_space = UINT64_MAX, .pid = INT32_MAX, .start = UINT64_MAX, .chance = UINT32_MAX};
    memset(longest.host, '-', LEAT__TOKEN_HOST);
    leat__token_write(&longest, text);
    ck_assert_uint_le(strlen(text), 120);
    ck_assert(leat__token_read(text, &again) && again.start == UINT64_MAX && strcmp(again.host, longest.host) == 0);
}
END_TEST

static const char *const no_tokens[] = {
    "", "-", "-----", "a", "../../etc-1a2b3c4d-f0000001-1-2-0badcafe", "a.b-1a2b3c4d-f0000001-1-2-0badcafe",
    "node7-1a2b3c4d-f0000001-1-2", "node7-1a2b3c4d-f0000001-0-2-0badcafe", "node7-1a2b3c4d-f0000001-4294967295-2-0badcafe",
    "node7-1a2b3c4d-f0000001-01-2-0badcafe", "node7-1a2b3c4d-f0000001-1-2-0badcaf", "node7-1a2b3c4d-f0000001-1-2-0BADCAFE",
    "node7-1a2b3c4d-f0000001--1-2-0badcafe", "node7-1a2b3c4d-f0000001-1-2-0badcafe ", "node7-1a2b3c4d-f0000001-1- 2-0badcafe",
    "node7-1a2b3c4d-f0000001-1-18446744073709551616-0badcafe", "node7-0x1a2b3c-f0000001-1-2-0badcafe",
    "a23456789012345678901234567890123456789012345678901234-1a2b3c4d-f0000001-1-2-0badcafe",
    ("node7-1a2b3c4d-f0000001-1-2-0badcafe"
    "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"),
};

START_TEST(what_is_no_token_is_dead)
{
    leat__token token;
    ck_assert_msg(!leat__token_read(no_tokens[_i], &token), "%s", no_tokens[_i]);
    leat__owner *owner = owner_new();
    ck_assert(!leat__owner_is_alive(owner, no_tokens[_i]));
    ck_assert(leat__owner_is_alive(owner, leat__owner_token(owner)));
    leat__owner_free(owner);
}
END_TEST

START_TEST(processes_are_told_by_host_boot_namespace_pid_and_start)
{
    leat__token self = leat__token_of_self(), token;
    if (strncmp(self.host, "localhost", 9) == 0 || !*self.host) strcpy(self.host, "node7");
#define CHECK(change, expected) \
    token = self; \
    change; \
    ck_assert_int_eq(leat__token_process(&token, &self), LEAT__PROCESS_##expected)
    CHECK(token.chance++, RUNS);
    CHECK(token.start++, GONE); /* the pid came again */
    CHECK(token.pid = 1 << 30, GONE);
    CHECK(token.boot++, GONE);
    CHECK(token.boot = 0, STRANGE);
    CHECK(token.pid_space++, STRANGE);
    CHECK(token.start = 0, STRANGE); /* it cannot be told whether it is the same */
    CHECK(strcpy(token.host, "elsewhere"), STRANGE);
    CHECK((strcpy(token.host, "elsewhere"), token.boot++), STRANGE);
    strcpy(self.host, "localhost");
    CHECK(token.boot++, STRANGE);
    CHECK(token.start++, GONE);
#undef CHECK
}
END_TEST

/* ---- one after the other ---- */

struct seen {
    int count;
    char names[8][256];
};

static void see(void *user, const char *token)
{
    struct seen *seen = user;
    strcpy(seen->names[seen->count++], token);
}

START_TEST(a_claim_is_ones_until_it_is_given_back)
{
    char from[LEAT__TOKEN_BYTES];
    leat__owner *a = owner_new(), *b = owner_new();
    ck_assert_str_ne(leat__owner_token(a), leat__owner_token(b));
    ck_assert(is_there(at("owners/%s", leat__owner_token(a))) && is_there(at("owners/%s", leat__owner_token(b))));
    ck_assert(!leat__owner_of(a, "it", from));
    ck_assert_int_eq(claim_from(a, "it", from), LEAT__CLAIM_MINE);
    ck_assert_str_eq(from, "");
    ck_assert_int_eq(claim(a, "it"), LEAT__CLAIM_MINE);
    ck_assert_int_eq(claim_from(b, "it", from), LEAT__CLAIM_TAKEN);
    ck_assert_str_eq(from, leat__owner_token(a));
    ck_assert(leat__owner_of(b, "it", from));
    ck_assert_str_eq(from, leat__owner_token(a));
    leat__owner_drop(b, "it"); /* not b's */
    ck_assert_int_eq(claim(b, "it"), LEAT__CLAIM_TAKEN);
    leat__owner_drop(a, "it");
    leat__owner_drop(a, "it");
    ck_assert_int_eq(claim(b, "it"), LEAT__CLAIM_MINE);
    leat__owner_free(a);
    ck_assert(is_there(at("owners")));
    leat__owner_drop(b, "it");
    leat__owner_free(b);
    leat__owner_free(NULL);
    ck_assert(!is_there(at("owners")) && !is_there(at("claims")));
}
END_TEST

START_TEST(claims_that_are_held_stay_when_their_owner_signs_off)
{
    char token[LEAT__TOKEN_BYTES], from[LEAT__TOKEN_BYTES];
    leat__owner *owner = owner_new();
    strcpy(token, leat__owner_token(owner));
    ck_assert_int_eq(claim(owner, "it"), LEAT__CLAIM_MINE);
    leat__owner_free(owner);
    ck_assert(!is_there(at("owners")) && is_there(at("claims")));
    leat__owner *next = owner_new();
    ck_assert(leat__owner_of(next, "it", from));
    ck_assert_str_eq(from, token);
    leat__owner_free(next);
}
END_TEST

/* A child that has claimed "it", and waits to be killed. */
static pid_t claiming_child(void)
{
    int pipes[2];
    char byte;
    ck_assert_int_eq(pipe(pipes), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        MUST(claim(owner_new(), "it") == LEAT__CLAIM_MINE);
        MUST(write(pipes[1], "x", 1) == 1);
        for (;;) pause();
    }
    close(pipes[1]);
    ck_assert_int_eq(read(pipes[0], &byte, 1), 1);
    close(pipes[0]);
    return child;
}

START_TEST(a_killed_owners_claim_is_inherited)
{
    char from[LEAT__TOKEN_BYTES], of[LEAT__TOKEN_BYTES];
    pid_t child = claiming_child();
    leat__owner *owner = owner_new();
    ck_assert_int_eq(claim_from(owner, "it", from), LEAT__CLAIM_TAKEN);
    kill(child, SIGKILL);
    siginfo_t info;
    ck_assert_int_eq(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    if (_i) waitpid(child, NULL, 0); /* else it stays a zombie, as in containers whose init reaps nobody */
    ck_assert_int_eq(claim_from(owner, "it", of), LEAT__CLAIM_INHERITED);
    ck_assert_str_eq(from, of);
    ck_assert(leat__owner_of(owner, "it", of));
    ck_assert_str_eq(of, leat__owner_token(owner));
    leat__owner_drop(owner, "it");
    struct seen seen = {0};
    leat__owner_bury(owner, see, &seen);
    ck_assert_str_eq(seen.names[0], from);
    leat__owner_free(owner);
    waitpid(child, NULL, 0);
    ck_assert(!is_there(at("claims")) && !is_there(at("owners")));
}
END_TEST

START_TEST(a_stopped_owner_keeps_its_claim)
{
    int status;
    pid_t child = claiming_child();
    leat__owner *owner = owner_new();
    kill(child, SIGSTOP);
    ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
    atomic_fetch_add(&fake_ns, 1000 * SECOND);
    ck_assert_int_eq(claim(owner, "it"), LEAT__CLAIM_TAKEN);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    leat__owner_free(owner);
}
END_TEST

START_TEST(an_owner_of_another_boot_or_start_is_dead)
{
    char from[LEAT__TOKEN_BYTES];
    leat__token token = leat__token_of_self();
    leat__owner *owner = owner_new();
    put_claim("start", dead_token(1));
    put_owner(dead_token(1));
    ck_assert_int_eq(claim_from(owner, "start", from), LEAT__CLAIM_INHERITED);
    ck_assert_str_eq(from, dead_token(1));
    token.boot++;
    put_claim("boot", text_of(token));
    put_owner(text_of(token));
    bool has_name = *token.host && strncmp(token.host, "localhost", 9) != 0;
    ck_assert_int_eq(claim(owner, "boot"), has_name ? LEAT__CLAIM_INHERITED : LEAT__CLAIM_TAKEN);
    leat__owner_free(owner);
}
END_TEST

/* ---- owners elsewhere ---- */

static void touch_owner(const char *token, time_t time)
{
    struct timespec times[2] = {{.tv_sec = time}, {.tv_sec = time}};
    ck_assert_int_eq(utimensat(AT_FDCWD, at("owners/%s", token), times, 0), 0);
}

/* Its clock says what it likes: in 1970 first, then backwards. */
START_TEST(a_strange_owner_lives_as_long_as_it_beats)
{
    leat__owner *owner = owner_new();
    const char *token = token_elsewhere();
    put_owner(token);
    put_claim("it", token);
    touch_owner(token, 1000);
    for (int i = 0; i < 20; i++) { /* 20 times 50 s, and each time it has beaten since */
        ck_assert_int_eq(claim(owner, "it"), LEAT__CLAIM_TAKEN);
        atomic_fetch_add(&fake_ns, 50 * SECOND);
        touch_owner(token, 1000 - i);
    }
    ck_assert_int_eq(claim(owner, "it"), LEAT__CLAIM_TAKEN);
    for (int i = 0; i < 59; i++) {
        atomic_fetch_add(&fake_ns, SECOND);
        ck_assert_int_eq(claim(owner, "it"), LEAT__CLAIM_TAKEN);
    }
    atomic_fetch_add(&fake_ns, SECOND);
    ck_assert_int_eq(claim(owner, "it"), LEAT__CLAIM_INHERITED);
    leat__owner_free(owner);
}
END_TEST

START_TEST(a_strange_owner_that_has_signed_off_is_dead)
{
    leat__owner *owner = owner_new();
    put_claim("it", token_elsewhere());
    ck_assert_int_eq(claim(owner, "it"), LEAT__CLAIM_INHERITED);
    leat__owner_free(owner);
}
END_TEST

START_TEST(an_owner_in_another_pid_namespace_is_strange)
{
    leat__token token = leat__token_of_self();
    leat__owner *owner = owner_new();
    token.pid_space++;
    token.pid = 1; /* runs here as well, but is another one there */
    put_owner(text_of(token));
    put_claim("it", text_of(token));
    ck_assert_int_eq(claim(owner, "it"), LEAT__CLAIM_TAKEN);
    atomic_fetch_add(&fake_ns, 61 * SECOND);
    ck_assert_int_eq(claim(owner, "it"), LEAT__CLAIM_INHERITED);
    leat__owner_free(owner);
}
END_TEST

START_TEST(a_beat_touches_the_owners_file)
{
    struct stat before, after;
    leat__owner *owner = owner_new();
    const char *path = at("owners/%s", leat__owner_token(owner));
    touch_owner(leat__owner_token(owner), 5);
    ck_assert_int_eq(stat(path, &before), 0);
    leat__owner_beat(owner);
    ck_assert_int_eq(stat(path, &after), 0);
    ck_assert_int_gt(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
    ck_assert_int_eq(unlink(path), 0); /* taken for dead and buried, while the machine was asleep */
    ck_assert_int_eq(rmdir(at("owners")), 0);
    leat__owner_beat(owner);
    ck_assert(is_there(path));
    leat__owner_free(owner);
    ck_assert(!is_there(at("owners")));
}
END_TEST

/* ---- the dead ---- */

START_TEST(the_dead_are_buried_once)
{
    struct seen seen = {0};
    leat__owner *owner = owner_new(), *other = owner_new();
    put_owner(dead_token(1));
    put_owner(token_elsewhere());
    write_text(at("owners/.nfs0001"), "");
    write_text(at("owners/readme"), "");
    leat__owner_bury(owner, see, &seen);
    ck_assert_int_eq(seen.count, 1);
    ck_assert_str_eq(seen.names[0], dead_token(1));
    leat__owner_bury(owner, see, &seen);
    ck_assert_int_eq(seen.count, 1);
    atomic_fetch_add(&fake_ns, 61 * SECOND);
    leat__owner_bury(owner, see, &seen);
    ck_assert_int_eq(seen.count, 2);
    ck_assert(is_there(at("owners/readme")) && is_there(at("owners/%s", leat__owner_token(other))));
    leat__owner_free(owner);
    leat__owner_free(other);
}
END_TEST

static bool see_claim(void *user, const char *id, const char *token)
{
    struct seen *seen = user;
    snprintf(seen->names[seen->count++], sizeof seen->names[0], "%s %s", id, token);
    return strcmp(id, "wanted") != 0;
}

static const char *succession_of(const char *name, const char *dead)
{
    static char names[4][256];
    static unsigned next;
    char *succession = names[next++ % 4];
    snprintf(succession, sizeof names[0], "%s.%016" PRIx64, name, leat__fnv_add(LEAT__FNV_START, dead, strlen(dead)));
    return succession;
}

START_TEST(claims_of_the_dead_are_swept)
{
    struct seen seen = {0};
    leat__owner *owner = owner_new(), *other = owner_new();
    put_claim("left", dead_token(1));
    put_claim("wanted", dead_token(1));
    put_claim(succession_of("left", dead_token(1)), dead_token(2));
    put_claim(succession_of("gone", dead_token(1)), dead_token(2));
    ck_assert_int_eq(claim(owner, "own"), LEAT__CLAIM_MINE);
    ck_assert_int_eq(claim(other, "others"), LEAT__CLAIM_MINE);
    leat__owner_sweep(owner, see_claim, &seen);
    ck_assert_int_eq(seen.count, 2);
    ck_assert(!is_there(at("claims/left")) && is_there(at("claims/wanted")) && is_there(at("claims/own")));
    ck_assert(is_there(at("claims/others")) && !is_there(at("claims/%s", succession_of("left", dead_token(1)))) &&
              !is_there(at("claims/%s", succession_of("gone", dead_token(1)))));
    leat__owner_drop(owner, "own");
    leat__owner_drop(other, "others");
    leat__owner_free(owner);
    ck_assert_int_eq(unlink(at("claims/wanted")), 0);
    put_claim(succession_of("gone", dead_token(1)), dead_token(2));
    leat__owner_free(other); /* the last one: what is left of successions goes with it */
    ck_assert(!is_there(at("claims")) && !is_there(at("owners")));
}
END_TEST

/* ---- successions ---- */

START_TEST(an_heir_that_died_is_succeeded)
{
    char from[LEAT__TOKEN_BYTES], name[256];
    leat__owner *owner = owner_new();
    put_claim("it", dead_token(0));
    strcpy(name, "it");
    for (int i = 0; i < _i; i++) { /* so many died one after another */
        strcpy(name, succession_of(name, dead_token((uint32_t)i)));
        put_claim(name, dead_token((uint32_t)i + 1));
    }
    ck_assert_int_eq(claim_from(owner, "it", from), LEAT__CLAIM_INHERITED);
    ck_assert_str_eq(from, dead_token(0));
    leat__owner_drop(owner, "it");
    leat__owner_free(owner);
    ck_assert(!is_there(at("claims")));
}
END_TEST

START_TEST(a_live_heir_has_the_claim)
{
    char from[LEAT__TOKEN_BYTES];
    leat__owner *owner = owner_new(), *heir = owner_new();
    put_claim("it", dead_token(0));
    put_claim(succession_of("it", dead_token(0)), leat__owner_token(heir));
    ck_assert_int_eq(claim_from(owner, "it", from), LEAT__CLAIM_TAKEN);
    ck_assert_str_eq(from, leat__owner_token(heir));
    ck_assert_int_eq(claim_from(heir, "it", from), LEAT__CLAIM_INHERITED);
    ck_assert_str_eq(from, dead_token(0));
    ck_assert_int_eq(claim(owner, "it"), LEAT__CLAIM_TAKEN);
    leat__owner_free(owner);
    leat__owner_free(heir);
}
END_TEST

START_TEST(a_claim_that_leads_to_no_token_gives_no_name)
{
    static const char *const targets[] = {"../../../../etc/passwd", "x", "/", "."};
    char from[LEAT__TOKEN_BYTES];
    leat__owner *owner = owner_new();
    put_claim("it", targets[_i]);
    ck_assert(!leat__owner_of(owner, "it", from));
    ck_assert_int_eq(claim_from(owner, "it", from), LEAT__CLAIM_INHERITED);
    ck_assert_str_eq(from, "");
    leat__owner_free(owner);
}
END_TEST

START_TEST(a_file_in_the_place_of_a_claim_or_folder_is_an_error)
{
    leat_error error;
    leat__claim taken;
    char from[LEAT__TOKEN_BYTES];
    leat__owner *owner = owner_new(), *none;
    write_text(at("claims/it"), "");
    ck_assert_int_eq(leat__owner_claim(owner, "it", &taken, from, &error), LEAT_EIO);
    ck_assert_ptr_nonnull(strstr(error.message, "cannot claim claims/it in the work folder"));
    leat__owner_free(owner);
    ck_assert_int_eq(symlink("claims", at("owners")), 0);
    ck_assert(leat__owner_new(work, &fake, &none, &error) != LEAT_OK);
    ck_assert_ptr_null(none);
    ck_assert_ptr_nonnull(strstr(error.message, "cannot make owners/ in the work folder"));
}
END_TEST

/* ---- file systems ---- */

static void claim_without_links(void)
{
    leat__owner *a = owner_new(), *b = owner_new();
    refuse_call(SYS_symlinkat, EPERM);
    MUST(claim(a, "it") == LEAT__CLAIM_MINE && claim(b, "it") == LEAT__CLAIM_MINE);
    leat__owner_drop(a, "it");
    leat__owner_free(a);
    leat__owner_free(b);
    MUST(!is_there(at("owners")) && !is_there(at("claims")));
}

static void claim_on_full_disk(void)
{
    leat_error error;
    leat__claim taken;
    char from[LEAT__TOKEN_BYTES];
    leat__owner *owner = owner_new();
    refuse_call(SYS_symlinkat, ENOSPC);
    MUST(leat__owner_claim(owner, "it", &taken, from, &error) == LEAT_EDISK && strstr(error.message, "No space left"));
    leat__owner_free(owner);
}

START_TEST(without_links_every_claim_is_granted)
{
    in_child(claim_without_links);
    in_child(claim_on_full_disk);
}
END_TEST

/* ---- races ---- */

enum { TAKERS = 100, ROUNDS = 12 };

struct taker {
    pthread_t thread;
    leat__owner *owner;
    pthread_barrier_t *barrier;
    atomic_int *inherited, *taken;
};

static void *take(void *user)
{
    struct taker *taker = user;
    char id[16];
    for (int i = 0; i < ROUNDS; i++) {
        snprintf(id, sizeof id, "it%d", i);
        pthread_barrier_wait(taker->barrier);
        leat__claim got = claim(taker->owner, id);
        atomic_fetch_add(&taker->inherited[i], got == LEAT__CLAIM_INHERITED);
        atomic_fetch_add(&taker->taken[i], got == LEAT__CLAIM_TAKEN);
    }
    return NULL;
}

START_TEST(of_a_hundred_takers_one_inherits)
{
    static struct taker takers[TAKERS];
    pthread_barrier_t barrier;
    atomic_int inherited[ROUNDS] = {0}, taken[ROUNDS] = {0};
    pthread_barrier_init(&barrier, NULL, TAKERS);
    for (int i = 0; i < ROUNDS; i++) {
        char id[16];
        snprintf(id, sizeof id, "it%d", i);
        put_claim(id, dead_token((uint32_t)i));
        if (i % 3 == 2) put_claim(succession_of(id, dead_token((uint32_t)i)), dead_token(99)); /* and an heir that died */
    }
    for (int i = 0; i < TAKERS; i++) {
        takers[i] = (struct taker){.owner = owner_new(), .barrier = &barrier, .inherited = inherited, .taken = taken};
        ck_assert_int_eq(pthread_create(&takers[i].thread, NULL, take, &takers[i]), 0);
    }
    for (int i = 0; i < TAKERS; i++) pthread_join(takers[i].thread, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        ck_assert_int_eq(inherited[i], 1);
        ck_assert_int_eq(taken[i], TAKERS - 1);
    }
    for (int i = 0; i < TAKERS; i++) {
        for (int k = 0; k < ROUNDS; k++) {
            char id[16];
            snprintf(id, sizeof id, "it%d", k);
            leat__owner_drop(takers[i].owner, id);
        }
        leat__owner_free(takers[i].owner);
    }
    pthread_barrier_destroy(&barrier);
    ck_assert(!is_there(at("claims")) && !is_there(at("owners")));
}
END_TEST

/* Comes, claims, goes: the folders are made and removed all the time. */
static void *come_and_go(void *user)
{
    atomic_int *holders = user;
    for (int i = 0; i < 150; i++) {
        leat__owner *owner = owner_new();
        if (claim(owner, "it") != LEAT__CLAIM_TAKEN) {
            MUST(atomic_fetch_add(holders, 1) == 0);
            MUST(atomic_fetch_sub(holders, 1) == 1);
            leat__owner_drop(owner, "it");
        }
        leat__owner_free(owner);
    }
    return NULL;
}

START_TEST(folders_that_come_and_go_lose_no_claim)
{
    pthread_t threads[8];
    atomic_int holders = 0;
    for (size_t i = 0; i < COUNT(threads); i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go, &holders), 0);
    for (size_t i = 0; i < COUNT(threads); i++) pthread_join(threads[i], NULL);
    ck_assert(!is_there(at("claims")) && !is_there(at("owners")));
}
END_TEST

/* Claims over and over, until it is killed; *holder is who is within: another one must be dead then. */
static void claim_until_killed(atomic_int *holder, atomic_int *turns)
{
    leat__owner *owner = owner_new();
    char path[64], state[64] = "";
    for (;;) {
        if (claim(owner, "it") == LEAT__CLAIM_TAKEN) continue;
        pid_t before = atomic_exchange(holder, getpid());
        snprintf(path, sizeof path, "/proc/%d/stat", (int)before);
        FILE *file = before ? fopen(path, "r") : NULL;
        if (file && fgets(state, sizeof state, file)) MUST(strstr(state, ") Z ")); /* killed, and not reaped yet */
        if (file) fclose(file);
        atomic_fetch_add(turns, 1);
        MUST(atomic_exchange(holder, 0) == getpid());
        leat__owner_drop(owner, "it");
    }
}

static void count(void *user, const char *token)
{
    (void)token;
    ++*(int *)user;
}

START_TEST(two_never_hold_a_claim_however_many_are_killed)
{
    enum { CHILDREN = 6, KILLS = 80 };
    pid_t children[CHILDREN] = {0};
    int status, buried = 0;
    atomic_int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
    leat__owner *first = owner_new(); /* so that the folders stay */
    for (int i = 0; i < KILLS + CHILDREN; i++) {
        pid_t *child = &children[i % CHILDREN];
        usleep((unsigned)(i * 7919 % 6000));
        if (*child) {
            kill(*child, SIGKILL);
            ck_assert_int_eq(waitpid(*child, &status, 0), *child);
            ck_assert_msg(WIFSIGNALED(status), "a child found another one at work");
        }
        *child = i < KILLS ? fork() : 0;
        ck_assert_int_ge(*child, 0);
        if (i < KILLS && *child == 0) claim_until_killed(&shared[0], &shared[1]);
    }
    ck_assert_int_gt(shared[1], CHILDREN);
    ck_assert_int_ne(claim(first, "it"), LEAT__CLAIM_TAKEN);
    leat__owner_drop(first, "it");
    leat__owner_bury(first, count, &buried);
    ck_assert_int_gt(buried, 0); /* not all: some were killed before they had signed on */
    leat__owner_free(first);
    ck_assert(!is_there(at("claims")) && !is_there(at("owners")));
    munmap(shared, 4096);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("owner");
    TCase *tokens = tcase_create("tokens"), *claims = tcase_create("claims"), *races = tcase_create("races");
    tcase_add_checked_fixture(tokens, set_up, tear_down);
    tcase_add_checked_fixture(claims, set_up, tear_down);
    tcase_add_checked_fixture(races, set_up, tear_down);
    tcase_set_timeout(races, 60);
    tcase_add_test(tokens, a_token_is_read_as_it_was_written);
    tcase_add_loop_test(tokens, what_is_no_token_is_dead, 0, (int)COUNT(no_tokens));
    tcase_add_test(tokens, processes_are_told_by_host_boot_namespace_pid_and_start);
    tcase_add_test(claims, a_claim_is_ones_until_it_is_given_back);
    tcase_add_test(claims, claims_that_are_held_stay_when_their_owner_signs_off);
    tcase_add_loop_test(claims, a_killed_owners_claim_is_inherited, 0, 2);
    tcase_add_test(claims, a_stopped_owner_keeps_its_claim);
    tcase_add_test(claims, an_owner_of_another_boot_or_start_is_dead);
    tcase_add_test(claims, a_strange_owner_lives_as_long_as_it_beats);
    tcase_add_test(claims, a_strange_owner_that_has_signed_off_is_dead);
    tcase_add_test(claims, an_owner_in_another_pid_namespace_is_strange);
    tcase_add_test(claims, a_beat_touches_the_owners_file);
    tcase_add_test(claims, the_dead_are_buried_once);
    tcase_add_test(claims, claims_of_the_dead_are_swept);
    tcase_add_loop_test(claims, an_heir_that_died_is_succeeded, 0, 9);
    tcase_add_test(claims, a_live_heir_has_the_claim);
    tcase_add_loop_test(claims, a_claim_that_leads_to_no_token_gives_no_name, 0, 4);
    tcase_add_test(claims, a_file_in_the_place_of_a_claim_or_folder_is_an_error);
    tcase_add_test(claims, without_links_every_claim_is_granted);
    tcase_add_test(races, of_a_hundred_takers_one_inherits);
    tcase_add_test(races, folders_that_come_and_go_lose_no_claim);
    tcase_add_test(races, two_never_hold_a_claim_however_many_are_killed);
    suite_add_tcase(suite, tokens);
    suite_add_tcase(suite, claims);
    suite_add_tcase(suite, races);
    return run_suite(suite);
}
