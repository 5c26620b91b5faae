/* shardfile.c - a file that appears under its name only when it is whole, compressed on the way if asked.
 *
 * What:    a buffer of fixed size in front of write(2) or of one zstd frame (with checksum), and the rename.
 * Why so:  zstd is always handed full buffers, so that its output depends on the bytes alone, not on how reads were
 *          cut.
 *          Nobody ever sees half a shard: not a reader at the same time, not a run after one that was killed.
 * Threads: one at a time; compression runs on the caller's thread (a frame made by one thread is the same everywhere).
 * States:  closed --begin--> open --commit--> closed; open --abandon--> closed.
 * Invariants: fd >= 0 exactly while open; used <= BUFFER.
 * Not here: what is in the file. */
#include "loader/shardfile.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "pipeline/failure.h"

enum { BUFFER = 1 << 20, PACKED = 1 << 17 };

struct leat__shard_file {
    /* fixed after creation */
    ZSTD_CCtx *zstd;   /* NULL: not compressed */
    uint8_t *buffer;   /* BUFFER bytes and one to spare */
    uint8_t *packed;   /* PACKED bytes; NULL without zstd */
    /* while open */
    int fd;
    int directory;
    bool overwrite;
    const char *to;
    char name[LEAT__SHARD_NAME], partial[LEAT__SHARD_NAME];
    size_t used;       /* of buffer */
    uint64_t flushed;  /* bytes handed on from the buffer */
    uint64_t stored;   /* bytes in the file */
};

static leat_code fail_errno(const leat__shard_file *file, int number, const char *what, leat_error *error)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", file->to, file->partial);
    char shown[sizeof path * 2];
    leat__escape(shown, sizeof shown, path, strlen(path));
    leat_code code = leat__fail_errno(error, leat__code_of_errno(number), number, "%s %s", what, shown);
    if (error) snprintf(error->stage, sizeof error->stage, "write");
    return code;
}

static leat_code fail_zstd(size_t result, leat_error *error)
{
    leat_code code = leat__fail(error, LEAT_ENOMEM, 0, "zstd: compressing: %s", ZSTD_getErrorName(result));
    if (error) snprintf(error->stage, sizeof error->stage, "write");
    return code;
}

leat__shard_file *leat__shard_file_new(leat_compression compression, int level)
{
    leat__shard_file *file = calloc(1, sizeof *file);
    if (!file) return NULL;
    file->fd = -1;
    file->buffer = malloc(BUFFER + 1);
    if (!file->buffer) goto fail;
    if (compression == LEAT_COMPRESSION_NONE) return file;
    file->packed = malloc(PACKED);
    file->zstd = ZSTD_createCCtx();
    if (!file->packed || !file->zstd) goto fail;
    if (ZSTD_isError(ZSTD_CCtx_setParameter(file->zstd, ZSTD_c_compressionLevel, level)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(file->zstd, ZSTD_c_checksumFlag, 1))) goto fail;
    return file;
fail:
    leat__shard_file_free(file);
    return NULL;
}

void leat__shard_file_free(leat__shard_file *file)
{
    if (!file) return;
    leat__shard_file_abandon(file);
    ZSTD_freeCCtx(file->zstd);
    free(file->packed);
    free(file->buffer);
    free(file);
}

leat_code leat__shard_file_begin(leat__shard_file *file, int directory, const char *to, const char *name,
                                 bool overwrite,
                                 leat_error *error)
{
    assert(file->fd < 0 && directory >= 0);
    file->directory = directory;
    file->to = to;
    file->overwrite = overwrite;
    file->used = 0;
    file->flushed = file->stored = 0;
    if (file->zstd) ZSTD_CCtx_reset(file->zstd, ZSTD_reset_session_only);
    int printed = snprintf(file->partial, sizeof file->partial, "%s.partial", name);
    assert(printed > 0 && (size_t)printed < sizeof file->partial);
    snprintf(file->name, sizeof file->name, "%s", name);
    /* A new file, never the one that another run has open: see commit. */
    if (unlinkat(directory, file->partial, 0) < 0 && errno != ENOENT)
        return fail_errno(file, errno, "replacing", error);
    file->fd = openat(directory, file->partial, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    return file->fd < 0 ? fail_errno(file, errno, "creating", error) : LEAT_OK;
}

static leat_code store(leat__shard_file *file, const uint8_t *data, size_t size, leat_error *error)
{
    assert(file->fd >= 0);
    while (size > 0) {
        ssize_t written = write(file->fd, data, size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return fail_errno(file, errno, "writing", error);
        data += written;
        size -= (size_t)written;
        file->stored += (size_t)written;
    }
    return LEAT_OK;
}

static leat_code compress(leat__shard_file *file, ZSTD_EndDirective directive, leat_error *error)
{
    assert(file->zstd && (file->used == BUFFER || directive == ZSTD_e_end));
    ZSTD_inBuffer in = {.src = file->buffer, .size = file->used};
    for (;;) {
        ZSTD_outBuffer out = {.dst = file->packed, .size = PACKED};
        size_t left = ZSTD_compressStream2(file->zstd, &out, &in, directive);
        if (ZSTD_isError(left)) return fail_zstd(left, error);
        leat_code code = store(file, file->packed, out.pos, error);
        if (code) return code;
        if (directive == ZSTD_e_end ? left == 0 : in.pos == in.size) return LEAT_OK;
    }
}

static leat_code flush(leat__shard_file *file, bool last, leat_error *error)
{
    assert(file->fd >= 0 && file->used <= BUFFER);
    leat_code code = file->zstd ? compress(file, last ? ZSTD_e_end : ZSTD_e_continue, error)
                                : store(file, file->buffer, file->used, error);
    file->flushed += file->used;
    file->used = 0;
    return code;
}

leat_code leat__shard_file_space(leat__shard_file *file, uint8_t **space, size_t *room, leat_error *error)
{
    if (file->used == BUFFER) {
        leat_code code = flush(file, false, error);
        if (code) return code;
    }
    assert(file->fd >= 0 && file->used < BUFFER);
    *space = file->buffer + file->used;
    *room = BUFFER - file->used;
    return LEAT_OK;
}

void leat__shard_file_advance(leat__shard_file *file, size_t size)
{
    assert(size <= BUFFER - file->used);
    file->used += size;
}

leat_code leat__shard_file_write(void *user, const void *data, size_t size, leat_error *error)
{
    leat__shard_file *file = user;
    const uint8_t *from = data;
    while (size > 0) {
        uint8_t *space;
        size_t room;
        leat_code code = leat__shard_file_space(file, &space, &room, error);
        if (code) return code;
        if (room > size) room = size;
        memcpy(space, from, room);
        leat__shard_file_advance(file, room);
        from += room;
        size -= room;
    }
    return LEAT_OK;
}

uint64_t leat__shard_file_position(const leat__shard_file *file)
{
    return file->flushed + file->used;
}

static leat_code fail_exists(const char *what, leat_error *error)
{
    leat_code code = leat__fail(error, LEAT_EEXISTS, EEXIST, "%s", what);
    if (error) snprintf(error->stage, sizeof error->stage, "write");
    return code;
}

/* The partial file is still ours: a second run over the same names would have put its own in this place. */
static bool is_ours(const leat__shard_file *file)
{
    struct stat own, there;
    return fstat(file->fd, &own) == 0 && fstatat(file->directory, file->partial, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           own.st_dev == there.st_dev && own.st_ino == there.st_ino;
}

static leat_code rename_partial(leat__shard_file *file, leat_error *error)
{
    int directory = file->directory;
    assert(file->used == 0); /* everything is in the file */
    if (!file->overwrite) {
        if (renameat2(directory, file->partial, directory, file->name, RENAME_NOREPLACE) == 0) return LEAT_OK;
        if (errno == EEXIST) return fail_exists("a file of the shard's name has appeared while it was written", error);
        if (errno != EINVAL && errno != ENOSYS) return fail_errno(file, errno, "renaming", error);
        /* The file system can't: rename as usual; pack.c looked for the name before. */
    }
    if (renameat(directory, file->partial, directory, file->name) == 0) return LEAT_OK;
    return fail_errno(file, errno, "renaming", error);
}

leat_code leat__shard_file_commit(leat__shard_file *file, uint64_t *bytes, leat_error *error)
{
    assert(file->fd >= 0);
    leat_code code = flush(file, true, error);
    if (code) return code;
    if (fdatasync(file->fd) < 0 && errno != EINVAL && errno != EROFS) return fail_errno(file, errno, "writing", error);
    if (!is_ours(file)) return fail_exists("another run is writing shards of the same names", error);
    code = rename_partial(file, error);
    if (code) return code;
    *bytes = file->stored;
    int fd = file->fd;
    file->fd = -1;
    if (close(fd) < 0 && errno != EINTR) return fail_errno(file, errno, "closing", error);
    return LEAT_OK;
}

void leat__shard_file_abandon(leat__shard_file *file)
{
    if (file->fd < 0) return;
    if (is_ours(file)) unlinkat(file->directory, file->partial, 0);
    close(file->fd);
    file->fd = -1;
}
