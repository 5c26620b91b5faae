/* cachefile.c - the file of one object in the cache.
 *
 * What:    a page of head; a CRC-32C for each block of 64 KiB, filled up to a page; then the object's bytes, to the file's end.
 * Why so:  the checksums lie before the bytes, so that the file's length alone says how many of them are there: readers of other
 *          processes follow a growing file with fstat, and no note beside it can contradict it. A checksum is written when its
 *          block is full: whoever takes over what a killed process left compares and keeps what agrees, whatever a power failure
 *          has made of the rest. Blocks are small since an extent of some hundred KB is checked with the blocks at its ends.
 *          Nothing is synced: what did not get to the disk does not agree with its checksum.
 * Errors:  every write failure is LEAT_EDISK: the caller gives the file up, whatever the reason was.
 * Invariants: have <= total; the file's length is data_at + have, also between two calls; crc is of bytes [have - have % BLOCK,
 *             have). */
#include "store/cachefile.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipeline/failure.h"
#include "store/checksum.h"

enum {
    VERSION = 1,
    WHOLE = 1,              /* flag */
    AT_VERSION = 8, AT_FLAGS = 12, AT_TOTAL = 16, AT_BLOCK = 24, AT_KEY = 32, AT_ETAG = 64, AT_MODIFIED = 192, AT_URL = 256,
    AT_CRC = LEAT__CACHE_HEAD - 4,
    CHECK_STEP = 4 << 20,   /* bytes that one leat__cachewriter_check looks at: some ms */
    PIECE = 16 << 10,       /* on the stack of a job */
    WORDS = 64,             /* checksums read at a time */
};

static const char magic[8] = {'l', 'e', 'a', 't', 'c', 'a', 'c', 'h'};

uint64_t leat__cachefile_data_at(uint64_t total)
{
    uint64_t table = (total / LEAT__CACHE_BLOCK + (total % LEAT__CACHE_BLOCK != 0)) * 4;
    return LEAT__CACHE_HEAD + (table + LEAT__CACHE_HEAD - 1) / LEAT__CACHE_HEAD * LEAT__CACHE_HEAD;
}

uint64_t leat__cachefile_bytes(uint64_t total)
{
    return leat__cachefile_data_at(total) + total;
}

/* ---- the head ---- */

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static void write_head(uint8_t page[LEAT__CACHE_HEAD], const leat__cachehead *head)
{
    memset(page, 0, LEAT__CACHE_HEAD);
    memcpy(page, magic, sizeof magic);
    put(page + AT_VERSION, VERSION, 4);
    put(page + AT_FLAGS, head->whole ? WHOLE : 0, 4);
    put(page + AT_TOTAL, head->total, 8);
    put(page + AT_BLOCK, LEAT__CACHE_BLOCK, 4);
    memcpy(page + AT_KEY, head->key, sizeof head->key);
    memcpy(page + AT_ETAG, head->etag, sizeof head->etag);
    memcpy(page + AT_MODIFIED, head->modified, sizeof head->modified);
    memcpy(page + AT_URL, head->url, sizeof head->url);
    put(page + AT_CRC, leat__crc32c(0, page, AT_CRC), 4);
}

/* A text in its place; false if nothing ends it, or it has what no header or message may have. */
static bool read_text(const uint8_t *from, char *out, size_t capacity)
{
    memcpy(out, from, capacity);
    if (!memchr(out, 0, capacity)) return false;
    for (const char *c = out; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) return false;
    return true;
}

leat_code leat__cachefile_parse(const uint8_t *page, leat__cachehead *head, leat_error *error)
{
    memset(head, 0, sizeof *head);
    if (memcmp(page, magic, sizeof magic) != 0)
        return leat__fail(error, LEAT_ECORRUPT, 0, "it does not begin as a cache file does");
    if (get(page + AT_CRC, 4) != leat__crc32c(0, page, AT_CRC))
        return leat__fail(error, LEAT_ECORRUPT, 0, "the head's checksum does not agree");
    unsigned version = (unsigned)get(page + AT_VERSION, 4), block = (unsigned)get(page + AT_BLOCK, 4);
    if (version != VERSION || block != LEAT__CACHE_BLOCK)
        return leat__fail(error, LEAT_ECORRUPT, 0, "a cache file of version %u with blocks of %u bytes, not 1 and 65536", version,
                          block);
    head->total = get(page + AT_TOTAL, 8);
    head->whole = get(page + AT_FLAGS, 4) & WHOLE;
    memcpy(head->key, page + AT_KEY, sizeof head->key);
    bool texts = read_text(page + AT_ETAG, head->etag, sizeof head->etag) &&
                 read_text(page + AT_MODIFIED, head->modified, sizeof head->modified) &&
                 read_text(page + AT_URL, head->url, sizeof head->url);
    if (!texts || head->total > INT64_MAX / 2) return leat__fail(error, LEAT_ECORRUPT, 0, "the head makes no sense");
    return LEAT_OK;
}

/* ---- reading ---- */

/* Reads `size` bytes of the file at a place. The end before them is LEAT_ECORRUPT. */
static leat_code read_at(int fd, uint64_t at, void *data, size_t size, leat_error *error)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = pread(fd, (char *)data + done, size - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return leat__fail_errno(error, LEAT_EIO, errno, "read failed at byte %llu of the cache file", (unsigned long long)at);
        if (n == 0)
            return leat__fail(error, LEAT_ECORRUPT, 0, "the cache file ends at byte %llu", (unsigned long long)(at + done));
        done += (size_t)n;
    }
    return LEAT_OK;
}

static leat_code read_head(int fd, leat__cachehead *head, leat_error *error)
{
    uint8_t page[LEAT__CACHE_HEAD];
    leat_code code = read_at(fd, 0, page, sizeof page, error);
    return code ? code : leat__cachefile_parse(page, head, error);
}

/* What is open has to be a regular file with a head of that object. */
static leat_code look_at(leat__cachefile *file, const uint8_t *key, leat_error *error)
{
    struct stat status;
    if (fstat(file->fd, &status)) return leat__fail_errno(error, LEAT_EIO, errno, "cannot look at the cache file");
    if (!S_ISREG(status.st_mode)) return leat__fail(error, LEAT_ECORRUPT, 0, "not a regular file");
    file->device = status.st_dev;
    file->inode = status.st_ino;
    leat_code code = read_head(file->fd, &file->head, error);
    if (code) return code;
    if (key && memcmp(key, file->head.key, sizeof file->head.key) != 0)
        return leat__fail(error, LEAT_ECORRUPT, 0, "the cache file is of another URL");
    uint64_t size = (uint64_t)status.st_size, wanted = leat__cachefile_bytes(file->head.total);
    if (size > wanted || (file->head.whole && size < wanted))
        return leat__fail(error, LEAT_ECORRUPT, 0, "the cache file has %llu bytes, not %llu", (unsigned long long)size,
                          (unsigned long long)wanted);
    return LEAT_OK;
}

leat_code leat__cachefile_open(int folder, const char *name, const uint8_t *key, bool write, leat__cachefile *file,
                               leat_error *error)
{
    *file = LEAT__NO_CACHEFILE;
    const int flags = (write ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
    file->fd = TEMP_FAILURE_RETRY(openat(folder, name, flags));
    if (file->fd < 0) {
        bool strange = errno == ELOOP || errno == EISDIR || errno == ENXIO || errno == ENODEV; /* a link, a folder, a device */
        return leat__fail_errno(error, strange ? LEAT_ECORRUPT : leat__code_of_errno(errno), errno, "cannot open the cache file");
    }
    leat_code code = look_at(file, key, error);
    if (code) leat__cachefile_close(file);
    return code;
}

void leat__cachefile_close(leat__cachefile *file)
{
    if (file->fd >= 0) close(file->fd);
    *file = LEAT__NO_CACHEFILE;
}

uint64_t leat__cachefile_have(const leat__cachefile *file)
{
    struct stat status;
    uint64_t data_at = leat__cachefile_data_at(file->head.total);
    if (fstat(file->fd, &status) || (uint64_t)status.st_size <= data_at) return 0;
    uint64_t have = (uint64_t)status.st_size - data_at;
    return have < file->head.total ? have : file->head.total;
}

bool leat__cachefile_is_unlinked(const leat__cachefile *file)
{
    struct stat status;
    return fstat(file->fd, &status) != 0 || status.st_nlink == 0;
}

void leat__cachefile_refresh(leat__cachefile *file)
{
    leat__cachehead head; /* one that is being rewritten may be torn: then it is looked at another time */
    if (!file->head.whole && read_head(file->fd, &head, NULL) == LEAT_OK) file->head.whole = head.whole;
}

/* CRC-32C of bytes [from, to) of the object, after `crc`. */
static leat_code sum_up(const leat__cachefile *file, uint64_t from, uint64_t to, uint32_t *crc, leat_error *error)
{
    uint8_t piece[PIECE];
    uint64_t data_at = leat__cachefile_data_at(file->head.total);
    while (from < to) {
        size_t size = to - from < sizeof piece ? (size_t)(to - from) : sizeof piece;
        leat_code code = read_at(file->fd, data_at + from, piece, size, error);
        if (code) return code;
        *crc = leat__crc32c(*crc, piece, size);
        from += size;
    }
    return LEAT_OK;
}

/* Compares one block with its checksum. [offset, offset + size) is what has been read of the object. */
static leat_code check_block(const leat__cachefile *file, uint64_t block, uint32_t wanted, uint64_t offset, const uint8_t *data,
                             size_t size, leat_error *error)
{
    uint64_t begin = block * LEAT__CACHE_BLOCK, end = begin + LEAT__CACHE_BLOCK, to = offset + size;
    if (end > file->head.total) end = file->head.total;
    uint64_t low = begin > offset ? begin : offset, high = end < to ? end : to;
    uint32_t crc = 0;
    leat_code code = sum_up(file, begin, low, &crc, error);
    crc = leat__crc32c(crc, data + (low - offset), (size_t)(high - low));
    if (!code) code = sum_up(file, high, end, &crc, error);
    if (code || crc == wanted) return code;
    return leat__fail(error, LEAT_ECORRUPT, 0, "bytes %llu to %llu of the cached object do not agree with their checksum",
                      (unsigned long long)begin, (unsigned long long)end);
}

static leat_code check_blocks(const leat__cachefile *file, uint64_t offset, const uint8_t *data, size_t size, leat_error *error)
{
    uint64_t block = offset / LEAT__CACHE_BLOCK, end = (offset + size - 1) / LEAT__CACHE_BLOCK + 1;
    uint8_t words[4 * WORDS];
    leat_code code = LEAT_OK;
    while (!code && block < end) {
        uint64_t first = block, count = end - block < WORDS ? end - block : WORDS;
        code = read_at(file->fd, LEAT__CACHE_HEAD + 4 * first, words, (size_t)(4 * count), error);
        for (; !code && block < first + count; block++)
            code = check_block(file, block, (uint32_t)get(words + 4 * (block - first), 4), offset, data, size, error);
    }
    return code;
}

leat_code leat__cachefile_read(const leat__cachefile *file, uint64_t offset, void *data, size_t size, leat_error *error)
{
    assert(offset <= file->head.total && size <= file->head.total - offset);
    if (!size) return LEAT_OK;
    leat_code code = read_at(file->fd, leat__cachefile_data_at(file->head.total) + offset, data, size, error);
    return code || !file->head.whole ? code : check_blocks(file, offset, data, size, error);
}

/* ---- writing ---- */

static leat_code write_at(int fd, uint64_t at, const void *data, size_t size, leat_error *error)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = pwrite(fd, (const char *)data + done, size - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return leat__fail_errno(error, LEAT_EDISK, errno, "cannot write to the cache");
        done += (size_t)n;
    }
    return LEAT_OK;
}

/* The writer's lock, which readers (flock, cachedir.c) never meet. Where there are none, false: then nothing is taken over. */
static bool lock(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

static leat_code reserve(const leat__cachefile *file, leat_error *error)
{
    if (!fallocate(file->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)leat__cachefile_bytes(file->head.total))) return LEAT_OK;
    if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINTR) return LEAT_OK; /* cachequota.c goes by the heads, too */
    return leat__fail_errno(error, LEAT_EDISK, errno, "cannot reserve %llu bytes in the cache",
                            (unsigned long long)leat__cachefile_bytes(file->head.total));
}

static leat_code put_head(const leat__cachefile *file, leat_error *error)
{
    uint8_t page[LEAT__CACHE_HEAD];
    write_head(page, &file->head);
    return write_at(file->fd, 0, page, sizeof page, error);
}

leat_code leat__cachewriter_create(int folder, const char *name, const leat__cachehead *head, leat__cachewriter *writer,
                                   leat_error *error)
{
    *writer = (leat__cachewriter){.file = LEAT__NO_CACHEFILE};
    snprintf(writer->name, sizeof writer->name, "%s", name);
    leat__cachefile *file = &writer->file;
    file->fd = TEMP_FAILURE_RETRY(openat(folder, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (file->fd < 0) return leat__fail_errno(error, LEAT_EDISK, errno, "cannot make a file in the cache");
    lock(file->fd);
    file->head = *head;
    file->head.whole = false;
    struct stat status;
    leat_code code = LEAT_OK;
    if (fstat(file->fd, &status)) code = leat__fail_errno(error, LEAT_EDISK, errno, "cannot look at a new cache file");
    file->device = status.st_dev;
    file->inode = status.st_ino;
    if (!code) code = reserve(file, error);
    if (!code && ftruncate(file->fd, (off_t)leat__cachefile_data_at(head->total)))
        code = leat__fail_errno(error, LEAT_EDISK, errno, "cannot make a file in the cache");
    if (!code) code = put_head(file, error);
    if (!code) return LEAT_OK;
    unlinkat(folder, name, 0);
    leat__cachefile_close(file);
    return code;
}

leat_code leat__cachewriter_inherit(int folder, const char *name, const uint8_t *key, leat__cachewriter *writer, leat_error *error)
{
    *writer = (leat__cachewriter){.file = LEAT__NO_CACHEFILE};
    snprintf(writer->name, sizeof writer->name, "%s", name);
    leat_code code = leat__cachefile_open(folder, name, key, true, &writer->file, error);
    if (code) return code;
    if (!lock(writer->file.fd)) code = leat__fail(error, LEAT_EEXISTS, 0, "the cache file %s is being written", name);
    bool whole = writer->file.head.whole; /* killed before it got its name */
    writer->file.head.whole = false;
    if (!code && whole) code = put_head(&writer->file, error);
    if (code) leat__cachefile_close(&writer->file);
    return code;
}

/* Cuts off what does not agree. */
static leat_code cut(leat__cachewriter *writer, leat_error *error)
{
    uint64_t length = leat__cachefile_data_at(writer->file.head.total) + writer->have;
    if (ftruncate(writer->file.fd, (off_t)length))
        return leat__fail_errno(error, LEAT_EDISK, errno, "cannot cut a cache file");
    return reserve(&writer->file, error);
}

leat_code leat__cachewriter_check(leat__cachewriter *writer, bool *done, leat_error *error)
{
    uint64_t there = leat__cachefile_have(&writer->file), stop = writer->have + CHECK_STEP;
    while (writer->have < there && writer->have < stop) {
        uint64_t left = writer->file.head.total - writer->have, size = left < LEAT__CACHE_BLOCK ? left : LEAT__CACHE_BLOCK;
        uint8_t word[4];
        uint32_t crc = 0;
        bool good = size <= there - writer->have &&
                    read_at(writer->file.fd, LEAT__CACHE_HEAD + writer->have / LEAT__CACHE_BLOCK * 4, word, 4, error) == LEAT_OK &&
                    sum_up(&writer->file, writer->have, writer->have + size, &crc, error) == LEAT_OK && crc == get(word, 4);
        if (!good) {
            *done = true;
            return cut(writer, error);
        }
        writer->have += size;
    }
    *done = writer->have >= there;
    return *done ? cut(writer, error) : LEAT_OK;
}

leat_code leat__cachewriter_add(leat__cachewriter *writer, const void *data, size_t size, leat_error *error)
{
    const leat__cachefile *file = &writer->file;
    const uint8_t *from = data;
    assert(size <= file->head.total - writer->have);
    leat_code code = write_at(file->fd, leat__cachefile_data_at(file->head.total) + writer->have, from, size, error);
    while (!code && size > 0) {
        size_t room = LEAT__CACHE_BLOCK - writer->have % LEAT__CACHE_BLOCK, n = size < room ? size : room;
        writer->crc = leat__crc32c(writer->crc, from, n);
        writer->have += n;
        from += n;
        size -= n;
        if (writer->have % LEAT__CACHE_BLOCK && writer->have < file->head.total) continue;
        uint8_t word[4];
        put(word, writer->crc, 4);
        code = write_at(file->fd, LEAT__CACHE_HEAD + (writer->have - 1) / LEAT__CACHE_BLOCK * 4, word, 4, error);
        writer->crc = 0;
    }
    return code;
}

leat_code leat__cachewriter_finish(leat__cachewriter *writer, leat_error *error)
{
    assert(writer->have == writer->file.head.total);
    writer->file.head.whole = true;
    return put_head(&writer->file, error);
}
