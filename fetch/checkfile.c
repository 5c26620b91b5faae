/* checkfile.c - one file that is there: is it what it should be?
 *
 * What:    its kind and size; every byte once, for all checksums that are known of it; then, if asked, what is inside.
 * Why so:  opened beneath the directory without following links: what a link leads to was not fetched. A FIFO in the place of a
 *          file does not hold anybody up.
 * Threads: a checker belongs to one. */
#include "fetch/checkfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fetch/deep.h"
#include "pipeline/failure.h"

enum { READ_BYTES = 1 << 20, SUMS = 2 };

struct leat__checker {
    const leat__root *root;
    bool quick;
    atomic_bool *stopping;
    leat__deep *deep;    /* NULL: not asked for */
    uint8_t *buffer;
};

leat__checker *leat__checker_new(const leat__root *root, const char *directory, bool quick, bool deep, atomic_bool *stopping)
{
    leat__checker *checker = calloc(1, sizeof *checker);
    if (!checker) return NULL;
    *checker = (leat__checker){.root = root, .quick = quick, .stopping = stopping, .buffer = malloc(READ_BYTES)};
    if (deep) checker->deep = leat__deep_new(directory, stopping);
    if (checker->buffer && (!deep || checker->deep)) return checker;
    leat__checker_free(checker);
    return NULL;
}

void leat__checker_free(leat__checker *checker)
{
    if (!checker) return;
    leat__deep_free(checker->deep);
    free(checker->buffer);
    free(checker);
}

static leat__found strange(leat_error *error, const char *what)
{
    leat__fail(error, LEAT_ECORRUPT, 0, "%s: leat leaves it alone", what);
    return LEAT__FOUND_STRANGE;
}

static leat__found open_file(leat__checker *checker, const char *path, int *fd, struct stat *status, leat_error *error)
{
    *fd = leat__root_openat(checker->root, path, O_RDONLY | O_NONBLOCK, 0);
    int number = *fd < 0 ? errno : 0;
    if (number == ELOOP) return strange(error, "a symbolic link is in its place");
    if (number == ENXIO) return strange(error, "a socket or device is in its place");
    if (number) leat__fail_errno(error, leat__code_of_errno(number), number, "cannot open it");
    if (number) return error->code == LEAT_ENOTFOUND ? LEAT__FOUND_MISSING : LEAT__FOUND_BAD;
    if (fstat(*fd, status)) {
        leat__fail_errno(error, LEAT_EIO, errno, "cannot look at it");
        return LEAT__FOUND_BAD;
    }
    if (S_ISREG(status->st_mode)) return LEAT__FOUND_GOOD;
    return strange(error, S_ISDIR(status->st_mode) ? "a folder is in its place" : "something that is no file is in its place");
}

/* Reads it to its end. */
static leat_code sum_up(leat__checker *checker, int fd, uint32_t *crc, leat__summer *summers[SUMS], leat_error *error)
{
    *crc = 0;
    for (;;) {
        ssize_t n = read(fd, checker->buffer, READ_BYTES);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return leat__fail_errno(error, LEAT_EIO, errno, "reading it");
        if (n == 0) return LEAT_OK;
        if (atomic_load(checker->stopping)) return leat__fail(error, LEAT_ECLOSED, 0, "stopped");
        *crc = leat__crc32c(*crc, checker->buffer, (size_t)n);
        for (int i = 0; i < SUMS; i++)
            if (summers[i]) leat__summer_add(summers[i], checker->buffer, (size_t)n);
    }
}

static leat_code compare(const leat__sum *got, const leat__sum *wanted, leat_error *error)
{
    char is[LEAT__SUM_HEX], should_be[LEAT__SUM_HEX];
    if (leat__sum_equal(got, wanted)) return LEAT_OK;
    leat__sum_hex(got, is);
    leat__sum_hex(wanted, should_be);
    return leat__fail(error, LEAT_ECHECKSUM, 0, "its %s is %s, it should be %s", leat__sum_name(wanted->kind), is, should_be);
}

/* *compared: there was something to compare. */
static leat_code check_sums(leat__checker *checker, int fd, const leat__expected *expected, bool *compared, leat_error *error)
{
    leat__summer *summers[SUMS] = {NULL, NULL};
    uint32_t crc = 0;
    *compared = expected->has_crc;
    leat_code code = LEAT_OK;
    for (int i = 0; i < SUMS; i++) {
        leat__sum_kind kind = expected->sums[i].kind;
        if (!kind) continue;
        *compared = true;
        if (kind != LEAT__SUM_CRC32C && !(summers[i] = leat__summer_new(kind)))
            code = leat__fail(error, LEAT_ENOMEM, 0, "no memory for a checksum");
    }
    if (!code && *compared) code = sum_up(checker, fd, &crc, summers, error);
    for (int i = 0; i < SUMS && !code && *compared; i++) {
        if (!expected->sums[i].kind) continue;
        leat__sum got = summers[i] ? leat__summer_finish(summers[i]) : leat__sum_of_crc32c(crc);
        code = compare(&got, &expected->sums[i], error);
    }
    if (!code && expected->has_crc) {
        leat__sum got = leat__sum_of_crc32c(crc), wanted = leat__sum_of_crc32c(expected->crc32c);
        code = compare(&got, &wanted, error);
    }
    for (int i = 0; i < SUMS; i++) leat__summer_free(summers[i]);
    return code;
}

leat__found leat__check_file(leat__checker *checker, const leat__expected *expected, uint64_t *bytes, leat_error *error)
{
    int fd;
    struct stat status;
    bool compared = false;
    *bytes = 0;
    leat__found found = open_file(checker, expected->path, &fd, &status, error);
    leat_code code = LEAT_OK;
    if (found == LEAT__FOUND_GOOD) {
        *bytes = (uint64_t)status.st_size;
        if (expected->bytes != UINT64_MAX && expected->bytes != *bytes)
            code = leat__fail(error, LEAT_ECHECKSUM, 0, "it has %" PRIu64 " bytes, it should have %" PRIu64, *bytes,
                              expected->bytes);
        if (!code && !checker->quick) code = check_sums(checker, fd, expected, &compared, error);
        found = code ? LEAT__FOUND_BAD : compared ? LEAT__FOUND_GOOD : LEAT__FOUND_UNVERIFIED;
        if (!code && checker->deep) code = leat__deep_check(checker->deep, fd, expected->path, *bytes, error);
        if (code && found != LEAT__FOUND_BAD) found = code == LEAT_EIO ? LEAT__FOUND_BAD : LEAT__FOUND_DAMAGED;
    }
    if (fd >= 0) close(fd);
    return found;
}
