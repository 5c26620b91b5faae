/* archive.c - what unpacking costs: zstd, gzip and tar beside the libraries' own loops, the commands, and memcpy.
 *
 * What:    zstd-*, gzip-*      leat's decompressor over a shard in memory, in chunks as the pipeline hands them on,
 *                              beside a plain loop around the library with the library's own sizes
 *          *-command           the same from files, beside `zstd -d` and `gzip -d` writing to /dev/null: CPU time,
 *                              user and system, of all their threads
 *          tar-*               leat's reader over an archive in chunks of 256 KiB (pieces: buffers of 256 KiB that
 *                              come in four chunks; 1m: of 1 MiB), beside a plain walk over the archive whole
 *                              (tests/reference_tar.c), and beside memcpy of it: the machine's own limit
 *          tar-bytes-copied-*  the share of the fields' bytes that does not lie in the chunks themselves: bodies that
 *                              go on in another buffer, and those of up to 512 bytes
 * Data:    bench/data's sets jpeg and text, in $LEAT_BENCH_DATA or /var/tmp/leat-bench3. */
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zlib.h>
#include <zstd.h>

#include "bench/timing.h"
#include "stages/decompress.h"
#include "stages/tar.h"
#include "tests/reference_tar.h"

#define SECONDS 0.15 /* of each work, in each round */

enum {
    CHUNK = 256 << 10,         /* plan.c's MAX_CHUNK */
    COMMAND_BYTES = 128 << 20, /* what a command unpacks at least, so that starting it does not count */
    MAX_FILES = 64,
};

/* Files to unpack, and how: leat's way and the reference's. */
typedef struct packed {
    char *paths[MAX_FILES];
    size_t count;
    const char *command;
    unsigned char *data; /* the first file's */
    size_t size;
    uint64_t unpacked;   /* bytes it makes */
    uint64_t unpacked_all;
    leat__arena *arena;
    leat__decompressor *decompressor;
    leat__buffer *out, *in;
    size_t filled;
    ZSTD_DCtx *zstd;
    z_stream zlib;
    unsigned char *room; /* the reference's output */
    size_t room_size;
} packed;

static void fail(const char *what)
{
    fprintf(stderr, "bench-archive: %s\n", what);
    exit(1);
}

/* ---- unpacking ---- */

/* As expand.c does it: a buffer is filled over steps, then the next is taken. */
static void push(packed *p, const uint8_t *data, size_t size, bool last)
{
    leat_code code;
    do {
        if (!p->out || p->filled == CHUNK) {
            leat__buffer_release(p->out);
            p->out = leat__buffer_new(p->arena, NULL, CHUNK);
            p->filled = 0;
        }
        uint8_t *at = p->out->data + p->filled;
        size_t room = CHUNK - p->filled;
        code = leat__decompress(p->decompressor, &data, &size, last, &at, &room, NULL);
        p->filled = CHUNK - room;
    } while (code == LEAT_AGAIN);
    if (code) fail("leat cannot unpack the data");
}

static void unpack_memory(void *user)
{
    packed *p = user;
    leat__decompressor_begin(p->decompressor);
    for (size_t at = 0, n; at < p->size; at += n) {
        n = p->size - at < CHUNK ? p->size - at : CHUNK;
        push(p, p->data + at, n, at + n == p->size);
    }
}

static void unpack_files(packed *p)
{
    p->unpacked_all = 0;
    for (size_t i = 0; i < p->count; i++) {
        int fd = open(p->paths[i], O_RDONLY | O_CLOEXEC);
        leat__decompressor_begin(p->decompressor);
        ssize_t n;
        while ((n = read(fd, p->in->data, CHUNK)) > 0) push(p, p->in->data, (size_t)n, false);
        push(p, p->in->data, 0, true);
        close(fd);
        p->unpacked_all += leat__decompressor_made(p->decompressor);
    }
}

static void plain_zstd(void *user)
{
    packed *p = user;
    size_t step = ZSTD_DStreamInSize(), result = 1;
    ZSTD_DCtx_reset(p->zstd, ZSTD_reset_session_only);
    for (size_t at = 0; at < p->size; at += step) {
        ZSTD_inBuffer in = {p->data + at, p->size - at < step ? p->size - at : step, 0};
        while (in.pos < in.size) {
            ZSTD_outBuffer out = {p->room, p->room_size, 0};
            result = ZSTD_decompressStream(p->zstd, &out, &in);
            if (ZSTD_isError(result)) fail("libzstd cannot unpack the data");
        }
    }
    while (result) {
        ZSTD_inBuffer in = {NULL, 0, 0};
        ZSTD_outBuffer out = {p->room, p->room_size, 0};
        result = ZSTD_decompressStream(p->zstd, &out, &in);
        if (ZSTD_isError(result) || !out.pos) fail("libzstd cannot unpack the data");
    }
}

static void plain_zlib(void *user)
{
    packed *p = user;
    inflateReset(&p->zlib);
    p->zlib.next_in = p->data;
    p->zlib.avail_in = (uInt)p->size;
    int result;
    do {
        p->zlib.next_out = p->room;
        p->zlib.avail_out = (uInt)p->room_size;
        result = inflate(&p->zlib, Z_NO_FLUSH);
    } while (result == Z_OK);
    if (result != Z_STREAM_END) fail("zlib cannot unpack the data");
}

/* ---- the commands ---- */

/* CPU time of `COMMAND -d -c FILE...` with nobody reading, ns. */
static double command_ns(const packed *p)
{
    char *arguments[MAX_FILES + 5] = {(char *)(uintptr_t)p->command, "-q", "-d", "-c"};
    memcpy(arguments + 4, p->paths, p->count * sizeof *p->paths);
    pid_t child = fork();
    if (child == 0) {
        dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
        execvp(p->command, arguments);
        _exit(127);
    }
    int status;
    struct rusage used;
    if (child < 0 || wait4(child, &status, 0, &used) != child || status) fail("a command failed");
    return ((double)used.ru_utime.tv_sec + (double)used.ru_stime.tv_sec) * 1e9 +
           ((double)used.ru_utime.tv_usec + (double)used.ru_stime.tv_usec) * 1e3;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* bench_compare, where the reference is another process. */
static bench_result compare_with_command(packed *p)
{
    double ns[BENCH_ROUNDS], reference_ns[BENCH_ROUNDS], ratio[BENCH_ROUNDS];
    unpack_files(p);
    command_ns(p);
    for (int i = 0; i < BENCH_ROUNDS; i++) {
        double begin = bench_cpu_ns();
        unpack_files(p);
        ns[i] = bench_cpu_ns() - begin;
        reference_ns[i] = command_ns(p);
        ratio[i] = reference_ns[i] / ns[i];
    }
    qsort(ns, BENCH_ROUNDS, sizeof *ns, by_value);
    qsort(reference_ns, BENCH_ROUNDS, sizeof *ns, by_value);
    qsort(ratio, BENCH_ROUNDS, sizeof *ns, by_value);
    return (bench_result){.ns = ns[BENCH_ROUNDS / 2], .reference_ns = reference_ns[BENCH_ROUNDS / 2],
                          .ratio = ratio[BENCH_ROUNDS / 2], .low = ratio[0], .high = ratio[BENCH_ROUNDS - 1]};
}

/* ---- sets ---- */

static char *set_path(const char *pattern)
{
    const char *folder = getenv("LEAT_BENCH_DATA");
    char *path;
    if (asprintf(&path, "%s/%s", folder ? folder : "/var/tmp/leat-bench3", pattern) < 0) fail("no memory");
    return path;
}

/* The files that match, again and again until they make COMMAND_BYTES. */
static void find_files(packed *p, const char *pattern)
{
    char *path = set_path(pattern);
    glob_t found;
    if (glob(path, 0, NULL, &found)) fail("no data: make it with bench/data");
    p->data = bench_read_file(found.gl_pathv[0], &p->size);
    unpack_memory(p);
    p->unpacked = leat__decompressor_made(p->decompressor);
    size_t wanted = COMMAND_BYTES / p->unpacked + 1;
    for (p->count = 0; p->count < wanted && p->count < MAX_FILES; p->count++)
        p->paths[p->count] = strdup(found.gl_pathv[p->count % found.gl_pathc]);
    globfree(&found);
    free(path);
}

static void packed_open(packed *p, const char *pattern, const char *command)
{
    *p = (packed){.command = command, .arena = leat__arena_new((size_t)16 << 20), .room_size = ZSTD_DStreamOutSize()};
    leat__decompress_limits limits = {.max_window_log = 23, .max_output = UINT64_MAX, .ratio = 1000,
                                      .ratio_after = 1 << 24, .arena = p->arena};
    p->decompressor = leat__decompressor_new(&limits);
    p->in = leat__buffer_new(p->arena, NULL, CHUNK);
    p->zstd = ZSTD_createDCtx();
    p->room = malloc(p->room_size);
    bool all = p->decompressor && p->in && p->zstd && p->room;
    if (!all || inflateInit2(&p->zlib, MAX_WBITS + 16) != Z_OK) fail("no memory");
    find_files(p, pattern);
}

static void packed_close(packed *p)
{
    leat__buffer_release(p->in);
    leat__buffer_release(p->out);
    leat__decompressor_free(p->decompressor);
    leat__arena_release(p->arena);
    ZSTD_freeDCtx(p->zstd);
    inflateEnd(&p->zlib);
    free(p->room);
    free(p->data);
    for (size_t i = 0; i < p->count; i++) free(p->paths[i]);
}

static void bench_packed(bool json, const char *name, const char *pattern, const char *command)
{
    char label[64];
    packed p;
    packed_open(&p, pattern, command);
    bench_result r = bench_compare(unpack_memory, strcmp(command, "gzip") ? plain_zstd : plain_zlib, &p, SECONDS);
    bench_print(json, name, &r, (double)p.unpacked / 1e6, "MB");
    r = compare_with_command(&p);
    snprintf(label, sizeof label, "%s-command", name);
    bench_print(json, label, &r, (double)p.unpacked_all / 1e6, "MB");
    packed_close(&p);
}

/* ---- tar ---- */

typedef struct archive {
    unsigned char *data, *copy;
    size_t size;
    leat__arena *arena;
    leat__stock *samples;
    leat__tar *tar;
    leat__bytes *chunks;
    size_t count;
    uint64_t found, copied; /* bytes of fields; of them, outside the chunks */
} archive;

static void drop(void *user, leat__sample *sample)
{
    (void)user;
    leat__item_release(&sample->item);
}

static void read_with(archive *a, leat__tar_emit emit)
{
    static const leat__object object = {.display = "archive", .is_shard = true};
    leat__tar_begin(a->tar, &object, 0);
    for (size_t i = 0; i < a->count; i++) {
        if (leat__tar_feed(a->tar, &a->chunks[i], emit, a, NULL)) fail("leat cannot read the archive");
    }
    if (leat__tar_end(a->tar, emit, a, NULL)) fail("leat cannot read the archive's end");
}

static void read_archive(void *user)
{
    read_with(user, drop);
}

static void see(void *user, const char *path, size_t length, size_t body_offset, size_t size)
{
    *(size_t *)user += (size_t)path[length - 1] + body_offset + size;
}

static void walk_archive(void *user)
{
    archive *a = user;
    size_t sum = 0;
    if (!reference_tar_walk(a->data, a->size, see, &sum)) fail("the reference cannot read the archive");
    __asm__ volatile("" ::"r"(sum));
}

static void copy_archive(void *user)
{
    archive *a = user;
    memcpy(a->copy, a->data, a->size);
    __asm__ volatile("" ::"r"(a->copy) : "memory");
}

static void count_copies(void *user, leat__sample *sample)
{
    archive *a = user;
    for (size_t i = 0; i < sample->field_count; i++) {
        const leat__bytes *bytes = &sample->fields[i].bytes;
        size_t in = 0;
        while (in < a->count && a->chunks[in].buffer != bytes->buffer) in++;
        a->found += bytes->size;
        if (in == a->count) a->copied += bytes->size;
    }
    leat__item_release(&sample->item);
}

/* The archive in buffers of buffer_bytes that come in chunks of chunk_bytes. */
static void archive_open(archive *a, const char *name, size_t buffer_bytes, size_t chunk_bytes)
{
    char *path = set_path(name);
    *a = (archive){.arena = leat__arena_new((size_t)16 << 20), .samples = leat__stock_new()};
    a->data = bench_read_file(path, &a->size);
    a->copy = malloc(a->size);
    a->chunks = calloc(a->size / chunk_bytes + 2, sizeof *a->chunks);
    leat__tar_options options = {.arena = a->arena, .samples = a->samples, .max_sample_bytes = (uint64_t)1 << 26};
    a->tar = leat__tar_new(&options);
    if (!a->copy || !a->chunks || !a->tar) fail("no memory");
    leat__buffer *buffer = NULL;
    for (size_t at = 0, n; at < a->size; at += n) {
        size_t in = at % buffer_bytes;
        if (in == 0) buffer = leat__buffer_new(a->arena, NULL, buffer_bytes);
        else leat__buffer_share(buffer);
        n = a->size - at < chunk_bytes ? a->size - at : chunk_bytes;
        memcpy(buffer->data + in, a->data + at, n);
        a->chunks[a->count++] = (leat__bytes){.buffer = buffer, .data = buffer->data + in, .size = n};
    }
    free(path);
}

static void archive_close(archive *a)
{
    for (size_t i = 0; i < a->count; i++) leat__bytes_release(&a->chunks[i]);
    leat__tar_free(a->tar);
    leat__stock_release(a->samples);
    leat__arena_release(a->arena);
    free(a->chunks);
    free(a->copy);
    free(a->data);
}

static void bench_tar(bool json, const char *name, const char *file, size_t buffer_bytes, size_t chunk_bytes)
{
    char label[64];
    archive a;
    archive_open(&a, file, buffer_bytes, chunk_bytes);
    double gb = (double)a.size / 1e9;
    bench_result r = bench_compare(read_archive, walk_archive, &a, SECONDS);
    snprintf(label, sizeof label, "tar-%s", name);
    bench_print(json, label, &r, gb, "GB");
    r = bench_compare(read_archive, copy_archive, &a, SECONDS);
    snprintf(label, sizeof label, "tar-%s-memcpy", name);
    bench_print(json, label, &r, gb, "GB");
    read_with(&a, count_copies);
    snprintf(label, sizeof label, "tar-bytes-copied-%s", name);
    bench_print_value(json, label, 100 * (double)a.copied / (double)a.found, "%");
    archive_close(&a);
}

int main(int argc, char **argv)
{
    bool json;
    if (!bench_arguments(argc, argv, &json)) fail("usage: bench-archive [--json]");
    bench_packed(json, "zstd-text", "text/text.tar.zst", "zstd");
    bench_packed(json, "zstd-jpeg", "jpeg/tar.zst/*.tar.zst", "zstd");
    bench_packed(json, "gzip-text", "text/text.tar.gz", "gzip");
    bench_tar(json, "jpeg", "jpeg/tar/train-000000.tar", CHUNK, CHUNK);
    bench_tar(json, "jpeg-pieces", "jpeg/tar/train-000000.tar", CHUNK, CHUNK / 4);
    bench_tar(json, "jpeg-1m", "jpeg/tar/train-000000.tar", 4 * CHUNK, 4 * CHUNK);
    bench_tar(json, "text", "text/text.tar", CHUNK, CHUNK);
    return 0;
}
