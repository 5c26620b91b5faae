/* test_root.c - store/root.c: what is opened beneath a directory and what is not, by openat2 and without it; renaming. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "loading.h"
#include "refusing.h"
#include "store/root.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static leat__root root;

static void set_up(void)
{
    leat_error error;
    scratch_begin();
    ck_assert_int_eq(mkdir(at("in"), 0777), 0);
    ck_assert_int_eq(mkdir(at("in/d"), 0777), 0);
    ck_assert_int_eq(mkdir(at("in/d/e"), 0777), 0);
    ck_assert_int_eq(mkdir(at("out"), 0777), 0);
    write_text(at("in/f"), "inside");
    write_text(at("in/d/f"), "inside");
    write_text(at("in/d/e/f"), "inside");
    write_text(at("out/f"), "outside");
    ck_assert_int_eq(symlink("../out", at("in/up")), 0);
    ck_assert_int_eq(symlink(at("out"), at("in/far")), 0);
    ck_assert_int_eq(symlink("d", at("in/near")), 0);
    ck_assert_int_eq(symlink("f", at("in/d/leaf")), 0);
    ck_assert_int_eq(symlink("nowhere", at("in/dangling")), 0);
    ck_leat(leat__root_open(at("in"), false, &root, &error));
}

static void tear_down(void)
{
    leat__root_close(&root);
    scratch_end();
}

/* The first bytes of what a descriptor is of; closes it. */
static void read_text(int fd, char text[16])
{
    ssize_t got = read(fd, text, 15);
    text[got > 0 ? got : 0] = '\0';
    close(fd);
}

static const char *contents(const char *path)
{
    static char text[16];
    int fd = open(path, O_RDONLY | O_NOFOLLOW);
    ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
    read_text(fd, text);
    return text;
}

/* ---- opening ---- */

static const struct {
    const char *path;
    int flags, number; /* 0: it opens */
} paths[] = {
    {"f", O_RDONLY, 0},
    {"d/f", O_RDONLY, 0},
    {"d/e/f", O_RDWR, 0},
    {"d/new", O_WRONLY | O_CREAT | O_EXCL, 0},
    {"d/f", O_WRONLY | O_CREAT | O_EXCL, EEXIST},
    {"d", O_RDONLY | O_DIRECTORY, 0},
    {"d/none", O_RDONLY, ENOENT},
    {"none/f", O_RDONLY, ENOENT},
    {"f/f", O_RDONLY, ENOTDIR},
    {"up/f", O_RDONLY, ELOOP},
    {"far/f", O_RDONLY, ELOOP},
    {"near/f", O_RDONLY, ELOOP},
    {"near/e/f", O_RDONLY, ELOOP},
    {"d/leaf", O_RDONLY, ELOOP},
    {"dangling", O_WRONLY | O_CREAT, ELOOP},
    {"near", O_RDONLY | O_DIRECTORY, ELOOP},
    {"", O_RDONLY, EINVAL},
    {".", O_RDONLY, EINVAL},
    {"..", O_RDONLY, EINVAL},
    {"../out/f", O_RDONLY, EINVAL},
    {"d/../f", O_RDONLY, EINVAL},
    {"d/./f", O_RDONLY, EINVAL},
    {"d//f", O_RDONLY, EINVAL},
    {"/f", O_RDONLY, EINVAL},
    {"d/", O_RDONLY, EINVAL},
    {"d/..", O_RDONLY, EINVAL},
    {"...", O_RDONLY, ENOENT},
};

static void open_paths(void)
{
    char text[16], name[300];
    for (size_t i = 0; i < COUNT(paths); i++) {
        int fd = leat__root_openat(&root, paths[i].path, paths[i].flags, 0644);
        int number = fd < 0 ? errno : 0;
        if (number != paths[i].number) fprintf(stderr, "'%s': %s\n", paths[i].path, strerror(number));
        MUST(number == paths[i].number);
        if (fd < 0) continue;
        MUST(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        if (paths[i].flags == O_RDONLY) {
            read_text(fd, text);
            MUST(strcmp(text, "inside") == 0);
        } else {
            close(fd);
        }
    }
    MUST(unlink(at("in/d/new")) == 0);
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    MUST(leat__root_openat(&root, name, O_RDONLY, 0) < 0 && errno == ENAMETOOLONG);
}

START_TEST(paths_open_beneath_and_nowhere_else)
{
    open_paths();
}
END_TEST

static void open_paths_without_openat2(void)
{
    refuse_call(SYS_openat2, ENOSYS);
    open_paths();
}

static void open_paths_with_forbidden_openat2(void)
{
    refuse_call(SYS_openat2, EPERM);
    open_paths();
}

START_TEST(paths_open_the_same_without_openat2)
{
    in_child(open_paths_without_openat2);
    in_child(open_paths_with_forbidden_openat2);
}
END_TEST

static void stat_paths(void)
{
    struct stat status;
    MUST(leat__root_stat(&root, "d/f", &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 6);
    MUST(leat__root_stat(&root, "d", &status) == 0 && S_ISDIR(status.st_mode));
    MUST(leat__root_stat(&root, "d/leaf", &status) == 0 && S_ISLNK(status.st_mode));
    MUST(leat__root_stat(&root, "dangling", &status) == 0 && S_ISLNK(status.st_mode));
    MUST(leat__root_stat(&root, "near/f", &status) < 0 && errno == ELOOP);
    MUST(leat__root_stat(&root, "d/none", &status) < 0 && errno == ENOENT);
    MUST(leat__root_stat(&root, "../out/f", &status) < 0 && errno == EINVAL);
}

static void stat_paths_without_openat2(void)
{
    refuse_call(SYS_openat2, ENOSYS);
    stat_paths();
}

START_TEST(stat_follows_no_link)
{
    stat_paths();
    in_child(stat_paths_without_openat2);
}
END_TEST

/* ---- folders ---- */

/* Opens the folder of a path and makes the file in it. */
static int make_in_parent(const char *path, bool make)
{
    const char *base = NULL;
    int folder = leat__root_open_parent(&root, path, make, &base);
    if (folder < 0) return -1;
    int fd = openat(folder, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    MUST(fd >= 0);
    MUST(fsync(folder) == 0); /* it is open for that, too */
    close(fd);
    return close(folder);
}

static void open_parents(const char *made)
{
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "%s/b/c/x", made);
    MUST(make_in_parent(path, false) < 0 && errno == ENOENT);
    MUST(make_in_parent(path, true) == 0);
    MUST(leat__root_stat(&root, path, &status) == 0 && S_ISREG(status.st_mode));
    snprintf(path, sizeof path, "%s/b/y", made);
    MUST(make_in_parent(path, false) == 0);
    MUST(make_in_parent("near/x", true) < 0 && errno == ELOOP);
    MUST(make_in_parent("near/new/x", true) < 0 && errno == ELOOP);
    MUST(make_in_parent("dangling/x", true) < 0 && errno == ELOOP);
    MUST(make_in_parent("f/x", true) < 0 && errno == ENOTDIR);
    MUST(make_in_parent("../out/x", true) < 0 && errno == EINVAL);
    MUST(make_in_parent("a/../x", true) < 0 && errno == EINVAL);
    MUST(stat(at("in/d/new"), &status) < 0);
}

static void open_parents_without_openat2(void)
{
    refuse_call(SYS_openat2, ENOSYS);
    open_parents("without");
}

START_TEST(parents_are_made_and_opened)
{
    struct stat status;
    open_parents("with");
    ck_assert_int_eq(make_in_parent("plain", false), 0);
    in_child(open_parents_without_openat2);
    ck_assert_int_eq(stat(at("in/without/b/c/x"), &status), 0);
    ck_assert_int_eq(stat(at("in/plain"), &status), 0);
}
END_TEST

START_TEST(directories_are_made_with_their_parents)
{
    leat_error error;
    leat__root made, beneath;
    char shown[600];
    ck_leat(leat__root_open(at("one/two//three/"), true, &made, &error));
    ck_leat(leat__root_open_beneath(&made, "x/y\n", true, &beneath, &error));
    snprintf(shown, sizeof shown, "%s/x/y\\x0a", made.shown);
    ck_assert_str_eq(beneath.shown, shown);
    leat__root_close(&beneath);
    ck_assert_int_eq(beneath.fd, -1);
    leat__root_close(&beneath);
    ck_assert_int_eq(leat__root_open_beneath(&made, "none", false, &beneath, &error), LEAT_ENOTFOUND);
    ck_assert_int_eq(beneath.fd, -1);
    leat__root_close(&made);
    ck_leat(leat__root_open(at("in/near"), false, &made, &error)); /* a link that the user names is the user's */
    leat__root_close(&made);
}
END_TEST

static void check_refused(const char *path, bool make, leat_code code, const char *words)
{
    leat_error error;
    leat__root refused;
    leat_code got = leat__root_open(path, make, &refused, &error);
    ck_assert_msg(got == code && refused.fd == -1, "'%s': %s", path, leat_code_name(got));
    ck_assert_msg(strstr(error.message, words) && strstr(error.message, refused.shown), "%s", error.message);
}

START_TEST(a_directory_that_cannot_be_had_says_why)
{
    char name[300];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    check_refused(at("none"), false, LEAT_ENOTFOUND, "No such file");
    check_refused("", true, LEAT_ENOTFOUND, "No such file");
    check_refused(at("in/f"), true, LEAT_EIO, "is no folder");
    check_refused(at("in/f/g"), true, LEAT_EIO, "is no folder");
    check_refused(at("in/dangling"), true, LEAT_EIO, "is no folder");
    check_refused(name, true, LEAT_EIO, "too long");
    check_refused("/proc/leat/x", true, LEAT_ENOTFOUND, "No such file");
}
END_TEST

static void make_on_full_disk(void)
{
    leat_error error;
    leat__root made;
#ifdef SYS_mkdir
    refuse_call(SYS_mkdir, ENOSPC);
#endif
    refuse_call(SYS_mkdirat, ENOSPC);
    MUST(leat__root_open(at("new/a"), true, &made, &error) == LEAT_EDISK && strstr(error.message, "No space left"));
}

START_TEST(a_full_disk_is_told)
{
    in_child(make_on_full_disk);
}
END_TEST

/* ---- somebody swaps a folder and a link ---- */

static atomic_bool is_over;

static void *swap(void *unused)
{
    (void)unused;
    while (!atomic_load(&is_over)) renameat2(root.fd, "d", root.fd, "far", RENAME_EXCHANGE);
    return NULL;
}

static void open_while_swapped(void)
{
    pthread_t thread;
    const char *base;
    char text[16];
    int opened = 0, refused = 0;
    MUST(pthread_create(&thread, NULL, swap, NULL) == 0);
    for (int i = 0; i < 200000 && (i < 3000 || opened < 100 || refused < 100); i++) {
        int fd = leat__root_openat(&root, "d/f", O_RDONLY, 0);
        MUST(fd >= 0 || errno == ELOOP || errno == ENOTDIR); /* the latter: it was a link, and is a folder again */
        opened += fd >= 0;
        refused += fd < 0;
        if (fd >= 0) read_text(fd, text);
        MUST(fd < 0 || strcmp(text, "inside") == 0);
        int folder = leat__root_open_parent(&root, "d/f", true, &base);
        if (folder < 0) continue;
        fd = openat(folder, base, O_RDONLY);
        MUST(fd >= 0);
        read_text(fd, text);
        MUST(strcmp(text, "inside") == 0);
        close(folder);
    }
    atomic_store(&is_over, true);
    pthread_join(thread, NULL);
    MUST(opened >= 100 && refused >= 100);
}

static void open_while_swapped_without_openat2(void)
{
    refuse_call(SYS_openat2, ENOSYS);
    open_while_swapped();
}

START_TEST(a_swapped_link_is_never_followed)
{
    in_child(open_while_swapped);
    in_child(open_while_swapped_without_openat2);
}
END_TEST

/* ---- renaming ---- */

static bool is_there(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

static void rename_files(void)
{
    int folder = open(at("in/d"), O_RDONLY | O_DIRECTORY);
    MUST(folder >= 0);
    write_text(at("in/t1"), "new");
    MUST(leat__rename_to(root.fd, "t1", folder, "g", false) == 0);
    MUST(!is_there(at("in/t1")) && strcmp(contents(at("in/d/g")), "new") == 0);
    write_text(at("in/t2"), "newer");
    MUST(leat__rename_to(root.fd, "t2", folder, "g", false) < 0 && errno == EEXIST);
    MUST(is_there(at("in/t2")) && strcmp(contents(at("in/d/g")), "new") == 0);
    MUST(leat__rename_to(root.fd, "t2", root.fd, "dangling", false) < 0 && errno == EEXIST); /* nor is a link written over */
    MUST(leat__rename_to(root.fd, "t2", root.fd, "d", false) < 0 && errno == EEXIST);
    MUST(leat__rename_to(root.fd, "t2", folder, "g", true) == 0);
    MUST(!is_there(at("in/t2")) && strcmp(contents(at("in/d/g")), "newer") == 0);
    MUST(leat__rename_to(root.fd, "none", folder, "h", false) < 0 && errno == ENOENT);
    MUST(unlink(at("in/d/g")) == 0);
    close(folder);
}

static void rename_with_links(void)
{
    refuse_call(SYS_renameat2, EINVAL);
    rename_files();
    write_text(at("in/t3"), "both"); /* killed between link and unlink */
    MUST(link(at("in/t3"), at("in/both")) == 0);
    MUST(leat__rename_to(root.fd, "t3", root.fd, "both", false) == 0);
    MUST(!is_there(at("in/t3")) && strcmp(contents(at("in/both")), "both") == 0);
}

static void rename_with_nothing(void)
{
    refuse_call(SYS_renameat2, EINVAL);
    refuse_call(SYS_linkat, EPERM);
    rename_files();
}

static void rename_on_broken_disk(void)
{
    refuse_call(SYS_renameat2, EINVAL);
    refuse_call(SYS_linkat, EIO);
    write_text(at("in/t"), "new");
    MUST(leat__rename_to(root.fd, "t", root.fd, "u", false) < 0 && errno == EIO && is_there(at("in/t")));
}

START_TEST(renaming_writes_over_nothing)
{
    rename_files();
    in_child(rename_with_links);
    in_child(rename_with_nothing);
    in_child(rename_on_broken_disk);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("root");
    TCase *opening = tcase_create("opening"), *naming = tcase_create("renaming");
    tcase_set_timeout(opening, 60);
    tcase_add_checked_fixture(opening, set_up, tear_down);
    tcase_add_checked_fixture(naming, set_up, tear_down);
    tcase_add_test(opening, paths_open_beneath_and_nowhere_else);
    tcase_add_test(opening, paths_open_the_same_without_openat2);
    tcase_add_test(opening, stat_follows_no_link);
    tcase_add_test(opening, parents_are_made_and_opened);
    tcase_add_test(opening, directories_are_made_with_their_parents);
    tcase_add_test(opening, a_directory_that_cannot_be_had_says_why);
    tcase_add_test(opening, a_full_disk_is_told);
    tcase_add_test(opening, a_swapped_link_is_never_followed);
    tcase_add_test(naming, renaming_writes_over_nothing);
    suite_add_tcase(suite, opening);
    suite_add_tcase(suite, naming);
    return run_suite(suite);
}
