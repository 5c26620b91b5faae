/* deep.c - what is inside of a file: is it whole?
 *
 * What:    shards are read by leat's own reader, with one thread and no order: what it would say of them in a run, it says here.
 *          Packed files that are no shards are unpacked and forgotten. Of images the header is read, as the decoders do before they
 *          take memory, and the end is looked for.
 * Why so:  a file may be what its server sent, byte for byte, and still be cut short or damaged: from before it was uploaded. The
 *          loader's reader decides what is damage, so that nothing passes here that fails there.
 * Threads: one at a time; the reader has its own.
 * Limits:  loose images and arrays of more than 256 MiB are not looked into; 10^9 pixels. A zstd file's window may take 2 GiB. */
#include "fetch/deep.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <leat/reader.h>

#include "pipeline/failure.h"
#include "stages/decompress.h"
#include "stages/filename.h"
#include "stages/image.h"
#include "stages/npy.h"

enum { READ_BYTES = 1 << 20, IMAGE_BYTES = 256 << 20 };

#define READER_MEMORY (UINT64_C(16) << 30) /* at most: a sample may span a quarter of it, and takes what it spans; else a few MB */

static const leat__image_limits image_limits = {.max_pixels = 1000000000, .max_codec_bytes = UINT64_C(1) << 40};

struct leat__deep {
    const char *directory;
    atomic_bool *stopping;
    leat__image_reader *images;
    leat__decompressor *decompressor;
    uint8_t *in, *out;
};

leat__deep *leat__deep_new(const char *directory, atomic_bool *stopping)
{
    /* what is made is thrown away: no bomb */
    static const leat__decompress_limits limits = {.max_window_log = 31, .max_output = UINT64_MAX, .ratio = 1,
                                                   .ratio_after = UINT64_MAX};
    leat__deep *deep = calloc(1, sizeof *deep);
    if (!deep) return NULL;
    *deep = (leat__deep){.directory = directory, .stopping = stopping, .images = leat__image_reader_new(),
                         .decompressor = leat__decompressor_new(&limits), .in = malloc(READ_BYTES), .out = malloc(READ_BYTES)};
    if (deep->images && deep->decompressor && deep->in && deep->out) return deep;
    leat__deep_free(deep);
    return NULL;
}

void leat__deep_free(leat__deep *deep)
{
    if (!deep) return;
    leat__image_reader_free(deep->images);
    leat__decompressor_free(deep->decompressor);
    free(deep->in);
    free(deep->out);
    free(deep);
}

/* ---- images and arrays ---- */

/* Whether a file's name, or a field of a sample, is of a type: "jpg", "a.jpg", "seg.JPG". */
static bool is_of(const char *name, const char *type)
{
    size_t length = strlen(name), tail = strlen(type);
    if (length < tail || strcasecmp(name + length - tail, type)) return false;
    return length == tail || name[length - tail - 1] == '.';
}

/* Whether a name promises an image that leat reads. */
static bool is_image(const char *name)
{
    return is_of(name, "jpg") || is_of(name, "jpeg") || is_of(name, "png") || is_of(name, "jpe") || is_of(name, "jfif");
}

static leat_code check_image(leat__deep *deep, const uint8_t *data, size_t size, leat_error *error)
{
    leat__image_info info;
    leat_code code = leat__image_open(deep->images, data, size, false, &image_limits, &info, error);
    if (!code) code = leat__image_verify(deep->images, error);
    if (!code) leat__image_done(deep->images);
    return code;
}

static leat_code check_content(leat__deep *deep, const char *name, const uint8_t *data, size_t size, leat_error *error)
{
    leat__npy array;
    leat_code code = LEAT_OK;
    if (is_image(name)) code = check_image(deep, data, size, error);
    else if (is_of(name, "npy")) code = leat__npy_parse(data, size, &array, error);
    return code == LEAT_EUNSUPPORTED ? LEAT_OK : code; /* a valid form: no damage */
}

static leat_code stopped(leat_error *error)
{
    return leat__fail(error, LEAT_ECLOSED, 0, "stopped");
}

static leat_code check_loose(leat__deep *deep, int fd, const char *path, uint64_t bytes, leat_error *error)
{
    if (bytes > IMAGE_BYTES) return LEAT_OK;
    uint8_t *data = malloc((size_t)bytes + 1);
    if (!data) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for %" PRIu64 " bytes", bytes);
    size_t got = 0;
    leat_code code = LEAT_OK;
    while (!code && got < bytes) {
        ssize_t n = pread(fd, data + got, (size_t)bytes - got, (off_t)got);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) code = leat__fail_errno(error, LEAT_EIO, n < 0 ? errno : EIO, "reading it at byte %zu", got);
        else got += (size_t)n;
    }
    if (!code) code = check_content(deep, path, data, got, error);
    free(data);
    return code;
}

/* ---- packed files ---- */

static leat_code unpack(leat__deep *deep, const uint8_t *in, size_t size, bool last, leat_error *error)
{
    leat_code code;
    if (leat__decompressor_passes(deep->decompressor, in, size, last)) return LEAT_OK;
    do {
        uint8_t *out = deep->out;
        size_t room = READ_BYTES;
        code = leat__decompress(deep->decompressor, &in, &size, last, &out, &room, error);
    } while (code == LEAT_AGAIN && !atomic_load(deep->stopping));
    return code == LEAT_AGAIN ? LEAT_OK : code;
}

/* Whether it was what its name says. */
static leat_code check_codec(const leat__deep *deep, leat__codec wanted, leat_error *error)
{
    const char *name = wanted == LEAT__CODEC_ZSTD ? "zstd" : "gzip";
    if (leat__decompressor_codec(deep->decompressor) == wanted) return LEAT_OK;
    return leat__fail(error, LEAT_EFORMAT, 0, "it is not packed by %s: no magic number of it at byte 0", name);
}

static leat_code check_packed(leat__deep *deep, int fd, leat__codec wanted, uint64_t bytes, leat_error *error)
{
    leat_code code = LEAT_OK;
    leat_error cause;
    leat__decompressor_begin(deep->decompressor);
    for (uint64_t at = 0; !code && at < bytes && !atomic_load(deep->stopping);) {
        ssize_t n = pread(fd, deep->in, READ_BYTES, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return leat__fail_errno(error, LEAT_EIO, n < 0 ? errno : EIO, "reading it at byte %" PRIu64, at);
        at += (uint64_t)n;
        code = unpack(deep, deep->in, (size_t)n, at >= bytes, &cause);
    }
    uint64_t used = leat__decompressor_used(deep->decompressor);
    if (code) return leat__fail(error, code, cause.system, "%.800s, at byte %" PRIu64, cause.message, used);
    return atomic_load(deep->stopping) ? stopped(error) : check_codec(deep, wanted, error);
}

/* ---- shards ---- */

static leat_code check_sample(leat__deep *deep, const leat_sample *sample, leat_error *error)
{
    leat_error cause;
    char key[300];
    for (size_t i = 0; i < leat_sample_fields(sample); i++) {
        size_t size;
        const char *field = leat_sample_field(sample, i), *name = leat_sample_key(sample);
        const void *data = leat_sample_bytes(sample, i, &size);
        leat_code code = check_content(deep, field, data, size, &cause);
        if (!code) continue;
        return leat__fail(error, code, cause.system, "sample %s.%s at byte %" PRIu64 ": %.600s",
                          leat__escape(key, sizeof key, name, strlen(name)), field, leat_sample_offset(sample), cause.message);
    }
    return LEAT_OK;
}

/* Braces and globs in a path mean themselves: what exists is taken literally (source.c). */
static leat_code check_shard(leat__deep *deep, const char *path, leat_error *error)
{
    char source[PATH_MAX];
    leat_reader *reader;
    leat_sample *sample;
    leat_config config = LEAT_CONFIG_INIT;
    snprintf(source, sizeof source, "%s%s/%s", deep->directory[0] == '/' ? "" : "./", deep->directory, path);
    config.source = source;
    config.order = LEAT_ORDER_SEQUENTIAL;
    config.on_error = LEAT_ON_ERROR_STOP;
    config.epochs = config.threads = config.io_threads = config.lanes = config.shuffle_window = config.world = 1;
    config.index = "none";
    config.memory_limit = READER_MEMORY;
    leat_code code = leat_reader_open(&config, &reader, error);
    if (code) return code;
    while (!code && (code = leat_reader_next(reader, &sample, error)) == LEAT_OK) {
        code = check_sample(deep, sample, error);
        leat_sample_release(sample);
        if (!code && atomic_load(deep->stopping)) code = stopped(error);
    }
    leat_reader_close(reader);
    return code == LEAT_END ? LEAT_OK : code;
}

leat_code leat__deep_check(leat__deep *deep, int fd, const char *path, uint64_t bytes, leat_error *error)
{
    leat__filename name = leat__filename_parse(path);
    if (leat__filename_is_shard(&name)) return check_shard(deep, path, error);
    if (is_image(path) || is_of(path, "npy")) return check_loose(deep, fd, path, bytes, error);
    if (is_of(path, "zst")) return check_packed(deep, fd, LEAT__CODEC_ZSTD, bytes, error);
    if (is_of(path, "gz")) return check_packed(deep, fd, LEAT__CODEC_GZIP, bytes, error);
    return LEAT_OK;
}
