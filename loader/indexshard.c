/* indexshard.c - reads one shard to its end and says what an index has to know of it.
 *
 * What:    bytes as stored -> decompressor -> the tar reader of the loader, which holds nothing: with a limit of 0 bytes a
 *          sample, bodies are stepped over, and samples that fail are counted as they are when they are read.
 * Why so:  the loader's own reader decides what a sample is, so the count is the loader's. It reads all bytes of packed shards
 *          and of URLs; on local disk a body longer than what is read at a time is not read, which is most of a shard of videos.
 * Threads: one at a time.
 * Not here: threads and files of indexes (indexing.c), the network (indexweb.c). */
#include "loader/indexshard.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libdeflate.h>

#include "pipeline/failure.h"
#include "stages/index.h"

leat__shard_counter *leat__shard_counter_new(leat__index_run *run, leat_error *error)
{
    leat__shard_counter *counter = calloc(1, sizeof *counter);
    if (counter) {
        counter->run = run;
        counter->arena = leat__arena_new(4 * LEAT__INDEX_CHUNK);
        counter->stock = leat__stock_new();
    }
    if (counter && counter->arena && counter->stock) {
        leat__tar_options options = {.arena = counter->arena, .samples = counter->stock};
        leat__decompress_limits limits = {.max_window_log = 23, .max_output = run->config->max_unpacked_bytes, .ratio = 1000,
                                          .ratio_after = 16 << 20};
        counter->tar = leat__tar_new(&options);
        counter->decompressor = leat__decompressor_new(&limits);
    }
    if (counter && counter->tar && counter->decompressor) return counter;
    leat__shard_counter_free(counter);
    leat__fail(error, LEAT_ENOMEM, 0, "no memory to read a shard");
    return NULL;
}

void leat__shard_counter_free(leat__shard_counter *counter)
{
    if (!counter) return;
    leat__index_web_free(counter->web);
    leat__tar_free(counter->tar);
    leat__decompressor_free(counter->decompressor);
    if (counter->stock) leat__stock_release(counter->stock);
    if (counter->arena) leat__arena_release(counter->arena);
    leat__place_list_end(&counter->places);
    free(counter);
}

/* ---- what the bytes say ---- */

static void on_sample(void *user, leat__sample *sample)
{
    leat__shard_counter *counter = user;
    assert(counter->code || sample->index == counter->places.count);
    if (!counter->code) counter->code = leat__place_list_add(&counter->places, sample->offset, NULL);
    leat__item_release(&sample->item);
    atomic_fetch_add_explicit(&counter->run->samples, 1, memory_order_relaxed);
}

static leat_code unpack(leat__shard_counter *counter, const leat__bytes *in, bool last, leat_error *error)
{
    const uint8_t *from = in->data;
    size_t left = in->size;
    leat_code code;
    do {
        leat__buffer *buffer = leat__buffer_new(counter->arena, NULL, LEAT__INDEX_CHUNK);
        if (!buffer) return leat__fail(error, LEAT_ENOMEM, 0, "no memory to unpack it");
        uint8_t *out = buffer->data;
        size_t room = LEAT__INDEX_CHUNK;
        code = leat__decompress(counter->decompressor, &from, &left, last, &out, &room, error);
        leat__bytes made = {.buffer = buffer, .data = buffer->data, .size = LEAT__INDEX_CHUNK - room};
        leat_error cause;
        leat_code fed = made.size ? leat__tar_feed(counter->tar, &made, on_sample, counter, &cause) : LEAT_OK;
        leat__buffer_release(buffer);
        counter->unpacked += made.size;
        if (fed) {
            *error = cause;
            return fed;
        }
        if (atomic_load(&counter->run->stopping)) return leat__fail(error, LEAT_ECLOSED, 0, "stopped as asked");
    } while (code == LEAT_AGAIN);
    return code;
}

leat_code leat__shard_counter_feed(leat__shard_counter *counter, const leat__bytes *bytes, bool last, leat_error *error)
{
    leat_code code = LEAT_OK;
    if (counter->bytes < LEAT__INDEX_HEAD) {
        size_t missing = LEAT__INDEX_HEAD - (size_t)counter->bytes;
        if (bytes->size)
            counter->head_crc = libdeflate_crc32(counter->head_crc, bytes->data, bytes->size < missing ? bytes->size : missing);
    }
    counter->bytes += bytes->size;
    atomic_fetch_add_explicit(&counter->run->bytes, bytes->size, memory_order_relaxed);
    if (!leat__decompressor_passes(counter->decompressor, bytes->data, bytes->size, last))
        code = unpack(counter, bytes, last, error);
    else if (bytes->size) code = leat__tar_feed(counter->tar, bytes, on_sample, counter, error);
    if (!code && last) code = leat__tar_end(counter->tar, on_sample, counter, error);
    return code;
}

/* ---- local disk ---- */

/* Up to a chunk of the file at `at`. */
static leat_code read_chunk(leat__shard_counter *counter, int fd, uint64_t at, size_t size, leat__bytes *bytes, leat_error *error)
{
    leat__buffer *buffer = leat__buffer_new(counter->arena, NULL, LEAT__INDEX_CHUNK);
    if (!buffer) return leat__fail(error, LEAT_ENOMEM, 0, "no memory to read it");
    ssize_t got;
    do got = size ? pread(fd, buffer->data, size, (off_t)at) : 0;
    while (got < 0 && errno == EINTR);
    *bytes = (leat__bytes){.buffer = buffer, .data = buffer->data, .size = got > 0 ? (size_t)got : 0};
    if (got > 0 || size == 0) return LEAT_OK;
    int number = errno;
    leat__bytes_release(bytes);
    if (got < 0)
        return leat__fail_errno(error, leat__code_of_errno(number), number, "reading at byte %llu", (unsigned long long)at);
    return leat__fail(error, LEAT_ECHANGED, 0, "it became shorter while it was read: it ends at byte %llu", (unsigned long long)at);
}

/* Steps over what the tar reader would not look at. Returns how much. */
static uint64_t step_over(leat__shard_counter *counter, uint64_t left)
{
    if (leat__decompressor_codec(counter->decompressor) != LEAT__CODEC_NONE) return 0;
    uint64_t bytes = leat__tar_skippable(counter->tar);
    if (bytes > left) bytes = left;
    if (bytes < LEAT__INDEX_CHUNK) return 0;
    leat__tar_skip(counter->tar, bytes);
    counter->bytes += bytes;
    return bytes;
}

static leat_code read_file(leat__shard_counter *counter, int fd, uint64_t size, leat_error *error)
{
    leat_code code = LEAT_OK;
    uint64_t at = 0;
    bool last = false;
    while (!code && !last) {
        leat__bytes bytes;
        uint64_t left = size - at;
        if (atomic_load(&counter->run->stopping)) return leat__fail(error, LEAT_ECLOSED, 0, "stopped as asked");
        code = read_chunk(counter, fd, at, left < LEAT__INDEX_CHUNK ? (size_t)left : LEAT__INDEX_CHUNK, &bytes, error);
        if (code) return code;
        last = bytes.size == left;
        at += bytes.size;
        code = leat__shard_counter_feed(counter, &bytes, last, error);
        leat__bytes_release(&bytes);
        if (!code && !last) at += step_over(counter, size - at);
    }
    return code;
}

/* A local file of another size or time than before was written to while it was read. */
static leat_code check_unchanged(int fd, const struct stat *before, leat_error *error)
{
    struct stat now;
    if (fstat(fd, &now) < 0) return leat__fail_errno(error, LEAT_EIO, errno, "looking at it again");
    if (now.st_size == before->st_size && now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == before->st_mtim.tv_nsec)
        return LEAT_OK;
    return leat__fail(error, LEAT_ECHANGED, 0, "it changed while it was read");
}

static leat_code read_local(leat__shard_counter *counter, leat_error *error)
{
    struct stat status;
    int fd = open(counter->object->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not wait for its writer */
    if (fd < 0 || fstat(fd, &status) < 0) {
        int number = errno;
        if (fd >= 0) close(fd);
        return leat__fail_errno(error, leat__code_of_errno(number), number, "opening it");
    }
    leat_code code = LEAT_OK;
    if (!S_ISREG(status.st_mode)) code = leat__fail(error, LEAT_EUNSUPPORTED, 0, "not a regular file");
    if (!code) posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    if (!code) code = read_file(counter, fd, (uint64_t)status.st_size, error);
    if (!code) code = check_unchanged(fd, &status, error);
    close(fd);
    return code;
}

/* ---- a shard ---- */

static void begin(leat__shard_counter *counter, const leat__object *object)
{
    counter->object = object;
    counter->bytes = counter->unpacked = 0;
    counter->head_crc = 0;
    counter->code = LEAT_OK;
    leat__place_list_clear(&counter->places);
    leat__decompressor_begin(counter->decompressor);
    leat__tar_begin(counter->tar, object, 0);
}

/* Fills the row; the places go with it. */
static leat_code finish(leat__shard_counter *counter, leat__index_row *row, leat_error *error)
{
    bool plain = leat__decompressor_codec(counter->decompressor) == LEAT__CODEC_NONE;
    uint64_t samples = counter->places.count;
    if (!counter->code) counter->code = leat__place_list_add(&counter->places, leat__tar_entries_end(counter->tar), NULL);
    if (counter->code)
        return leat__fail(error, LEAT_ENOMEM, 0, "no memory for the places of %llu samples", (unsigned long long)samples);
    *row = (leat__index_row){.bytes = counter->bytes, .unpacked = plain ? counter->bytes : counter->unpacked, .samples = samples,
                             .head_crc = counter->head_crc, .has_head_crc = true};
    if (plain && !leat__tar_has_global(counter->tar)) row->places = leat__place_list_take(&counter->places);
    return LEAT_OK;
}

leat_code leat__shard_counter_run(leat__shard_counter *counter, const leat__object *object, leat__index_row *row,
                                  char etag[LEAT__INDEX_ETAG], leat_error *error)
{
    leat_error cause;
    etag[0] = '\0';
    begin(counter, object);
    leat_code code = object->is_url ? leat__index_web_read(counter, etag, &cause) : read_local(counter, &cause);
    if (!code) code = finish(counter, row, &cause);
    row->etag = etag;
    if (!code) {
        atomic_fetch_add(&counter->run->shards, 1);
        return LEAT_OK;
    }
    leat__fail(error, code, cause.system, "%.400s: %.600s", object->display, cause.message);
    if (error) {
        snprintf(error->shard, sizeof error->shard, "%s", object->display);
        snprintf(error->key, sizeof error->key, "%s", cause.key);
        error->offset = cause.offset;
    }
    return code;
}
