/* journal.c - which parts of a large file are there.
 *
 * What:    writes a header and records, and reads what of them is whole.
 * Why so:  records are of one size, and each one's checksum begins with the header's: so neither zeroes (aria2#790), nor blocks of
 *          another journal, nor half a record are taken for one. After the first that is not whole nothing is believed: it is
 *          what a crash leaves. Records are written at a place that we know and not where the file ends, so that half a record,
 *          left by a full disk, is written over.
 * Threads: one at a time.
 * Invariants: the file is whole up to journal->size; parts <= LEAT__JOURNAL_MOST_PARTS. */
#include "store/journal.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipeline/failure.h"
#include "store/checksum.h"

/* Places in the header, as docs/formats.md has them. */
enum {
    AT_VERSION = 8, AT_HEADER = 12, AT_TOTAL = 16, AT_PART = 24, AT_URL = 32, AT_ETAG = 64, AT_MODIFIED = 192, AT_ZERO = 256,
    AT_CRC = 260, HEADER = 264, /* bytes of the header */
    RECORD = 16,                /* number 8, CRC-32C of the part 4, of the record 4 */
    VERSION = 1,
    GROUP = 256,                /* records in a write: 4 KiB */
    REPEATS = 4,                /* times that each part may have been noted, and if parts are few: that all may have been */
    FEW_PARTS = 64,             /* together, as if they were so many more */
};

static const uint8_t magic[8] = {0x89, 'L', 'E', 'J', '\r', '\n', 0x1a, '\n'};

struct leat__journal {
    int fd;
    uint64_t parts;
    uint32_t head_crc;
    uint64_t size;
    char shown[256];
};

static void put_u32(uint8_t *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, 4);
}

static void put_u64(uint8_t *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, 8);
}

static uint32_t get_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, 4);
    return le32toh(value);
}

static uint64_t get_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, 8);
    return le64toh(value);
}

uint64_t leat__journal_parts(const leat__journal_head *head)
{
    assert(head->part_bytes > 0);
    return head->total / head->part_bytes + (head->total % head->part_bytes != 0);
}

/* ---- header ---- */

/* A text that will be sent to a server again: it ends within its room, holds no control characters, and nothing is behind it. */
static bool is_text(const char *text, size_t room)
{
    size_t length = strnlen(text, room);
    if (length == room) return false;
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) return false;
    }
    for (size_t i = length; i < room; i++) {
        if (text[i]) return false;
    }
    return true;
}

static void put_head(uint8_t bytes[HEADER], const leat__journal_head *head)
{
    memset(bytes, 0, HEADER);
    memcpy(bytes, magic, sizeof magic);
    put_u32(bytes + AT_VERSION, VERSION);
    put_u32(bytes + AT_HEADER, HEADER);
    put_u64(bytes + AT_TOTAL, head->total);
    put_u64(bytes + AT_PART, head->part_bytes);
    memcpy(bytes + AT_URL, head->url_sum, sizeof head->url_sum);
    memcpy(bytes + AT_ETAG, head->etag, strlen(head->etag));
    memcpy(bytes + AT_MODIFIED, head->modified, strlen(head->modified));
    put_u32(bytes + AT_CRC, leat__crc32c(0, bytes, AT_CRC));
}

static leat_code get_head(const uint8_t *bytes, size_t size, leat__journal_head *head, leat_error *error)
{
    *head = (leat__journal_head){.total = 0};
    if (size < HEADER) return leat__fail(error, LEAT_ECORRUPT, 0, "it ends within its header");
    if (memcmp(bytes, magic, sizeof magic) != 0) return leat__fail(error, LEAT_ECORRUPT, 0, "it is no journal");
    if (get_u32(bytes + AT_VERSION) != VERSION)
        return leat__fail(error, LEAT_ECORRUPT, 0, "it is of version %u, this leat reads %d", get_u32(bytes + AT_VERSION), VERSION);
    if (get_u32(bytes + AT_CRC) != leat__crc32c(0, bytes, AT_CRC))
        return leat__fail(error, LEAT_ECORRUPT, 0, "its header's checksum is wrong");
    memcpy(head->url_sum, bytes + AT_URL, sizeof head->url_sum);
    memcpy(head->etag, bytes + AT_ETAG, sizeof head->etag);
    memcpy(head->modified, bytes + AT_MODIFIED, sizeof head->modified);
    head->total = get_u64(bytes + AT_TOTAL);
    head->part_bytes = get_u64(bytes + AT_PART);
    bool fits = get_u32(bytes + AT_HEADER) == HEADER && get_u32(bytes + AT_ZERO) == 0 && is_text(head->etag, sizeof head->etag) &&
                is_text(head->modified, sizeof head->modified);
    if (fits && head->part_bytes > 0 && leat__journal_parts(head) <= LEAT__JOURNAL_MOST_PARTS) return LEAT_OK;
    return leat__fail(error, LEAT_ECORRUPT, 0, "its header cannot be");
}

/* ---- records ---- */

static void put_record(uint8_t bytes[RECORD], uint32_t head_crc, const leat__journal_part *part)
{
    put_u64(bytes, part->number);
    put_u32(bytes + 8, part->crc);
    put_u32(bytes + 12, leat__crc32c(head_crc, bytes, 12));
}

leat_code leat__journal_parse(const uint8_t *data, size_t size, leat__journal_head *head, uint32_t **crcs, bool **there,
                              size_t *used, leat_error *error)
{
    *crcs = NULL;
    *there = NULL;
    *used = 0;
    leat_code code = get_head(data, size, head, error);
    if (code) return code;
    uint64_t parts = leat__journal_parts(head);
    uint32_t head_crc = get_u32(data + AT_CRC);
    *crcs = calloc(parts + 1, sizeof **crcs); /* + 1: an empty object has no parts, and NULL is failure */
    *there = calloc(parts + 1, sizeof **there);
    if (!*crcs || !*there) {
        free(*crcs);
        free(*there);
        *crcs = NULL;
        *there = NULL;
        return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a journal of %llu parts", (unsigned long long)parts);
    }
    for (*used = HEADER; size - *used >= RECORD; *used += RECORD) {
        const uint8_t *record = data + *used;
        uint64_t number = get_u64(record);
        if (number >= parts || get_u32(record + 12) != leat__crc32c(head_crc, record, 12)) break;
        (*crcs)[number] = get_u32(record + 8);
        (*there)[number] = true;
    }
    return LEAT_OK;
}

/* ---- files ---- */

/* *journal is NULL until it is whole. */
static leat__journal *journal_new(const char *name)
{
    leat__journal *journal = calloc(1, sizeof *journal);
    if (!journal) return NULL;
    journal->fd = -1;
    leat__escape(journal->shown, sizeof journal->shown, name, strlen(name));
    return journal;
}

void leat__journal_close(leat__journal *journal)
{
    if (!journal) return;
    if (journal->fd >= 0) close(journal->fd);
    free(journal);
}

static leat_code fail_journal(const leat__journal *journal, const char *done, int number, leat_error *error)
{
    leat_code code = leat__code_of_errno(number);
    if (number == ENOSPC || number == EDQUOT || number == EROFS) code = LEAT_EDISK;
    if (number == EEXIST) code = LEAT_EEXISTS;
    return leat__fail_errno(error, code, number, "cannot %s the journal '%s'", done, journal->shown);
}

static leat_code write_at_end(leat__journal *journal, const uint8_t *bytes, size_t size, leat_error *error)
{
    for (size_t done = 0; done < size;) {
        ssize_t put = pwrite(journal->fd, bytes + done, size - done, (off_t)(journal->size + done));
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return fail_journal(journal, "write", put < 0 ? errno : ENOSPC, error);
        done += (size_t)put;
    }
    journal->size += size;
    return LEAT_OK;
}

leat_code leat__journal_create(int folder, const char *name, const leat__journal_head *head, leat__journal **out, leat_error *error)
{
    *out = NULL;
    uint64_t parts = leat__journal_parts(head);
    if (parts > LEAT__JOURNAL_MOST_PARTS)
        return leat__fail(error, LEAT_ELIMIT, 0, "%llu bytes in parts of %llu are more than %d parts: use larger ones",
                          (unsigned long long)head->total, (unsigned long long)head->part_bytes, LEAT__JOURNAL_MOST_PARTS);
    leat__journal *journal = journal_new(name);
    if (!journal) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a journal");
    uint8_t bytes[HEADER];
    put_head(bytes, head);
    journal->parts = parts;
    journal->head_crc = get_u32(bytes + AT_CRC);
    journal->fd = TEMP_FAILURE_RETRY(openat(folder, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    leat_code code = journal->fd < 0 ? fail_journal(journal, "make", errno, error) : write_at_end(journal, bytes, HEADER, error);
    if (code) leat__journal_close(journal);
    else *out = journal;
    return code;
}

/* Reads all of a file of `size` bytes; one that shrinks meanwhile is torn, not an error. */
static leat_code read_whole(const leat__journal *journal, uint8_t *bytes, size_t size, size_t *got, leat_error *error)
{
    for (*got = 0; *got < size;) {
        ssize_t more = pread(journal->fd, bytes + *got, size - *got, (off_t)*got);
        if (more < 0 && errno == EINTR) continue;
        if (more < 0) return fail_journal(journal, "read", errno, error);
        if (more == 0) break;
        *got += (size_t)more;
    }
    return LEAT_OK;
}

/* The header is read first: what it says bounds how large the file may be, before memory is taken for it. */
static leat_code check_size(const leat__journal *journal, uint64_t size, leat_error *error)
{
    uint8_t bytes[HEADER];
    leat__journal_head head;
    size_t got;
    leat_code code = read_whole(journal, bytes, HEADER, &got, error);
    if (!code) code = get_head(bytes, got, &head, error);
    if (code) return code;
    uint64_t most = HEADER + (leat__journal_parts(&head) + FEW_PARTS) * REPEATS * RECORD;
    if (size <= most) return LEAT_OK;
    return leat__fail(error, LEAT_ECORRUPT, 0, "it has %llu bytes, and cannot have more than %llu", (unsigned long long)size,
                      (unsigned long long)most);
}

static leat_code read_journal(leat__journal *journal, leat__journal_head *head, uint32_t **crcs, bool **there, leat_error *error)
{
    struct stat status;
    size_t got, used;
    if (fstat(journal->fd, &status) != 0) return fail_journal(journal, "look at", errno, error);
    if (!S_ISREG(status.st_mode)) return leat__fail(error, LEAT_ECORRUPT, 0, "it is no regular file");
    leat_code code = check_size(journal, (uint64_t)status.st_size, error);
    if (code) return code;
    uint8_t *bytes = malloc((size_t)status.st_size + 1);
    if (!bytes) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a journal of %llu bytes",
                                  (unsigned long long)status.st_size);
    code = read_whole(journal, bytes, (size_t)status.st_size, &got, error);
    if (!code) code = leat__journal_parse(bytes, got, head, crcs, there, &used, error);
    if (!code) {
        journal->parts = leat__journal_parts(head);
        journal->head_crc = get_u32(bytes + AT_CRC);
        journal->size = used;
    }
    free(bytes);
    return code;
}

leat_code leat__journal_open(int folder, const char *name, leat__journal_head *head, uint32_t **crcs, bool **there,
                             leat__journal **out, leat_error *error)
{
    *out = NULL;
    *crcs = NULL;
    *there = NULL;
    leat__journal *journal = journal_new(name);
    if (!journal) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a journal");
    journal->fd = TEMP_FAILURE_RETRY(openat(folder, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    leat_error cause;
    leat_code code;
    if (journal->fd < 0) code = fail_journal(journal, "open", errno, &cause);
    else code = read_journal(journal, head, crcs, there, &cause);
    if (code == LEAT_ECORRUPT) leat__fail(error, code, 0, "the journal '%s' is of no use: %s", journal->shown, cause.message);
    else if (code && error) *error = cause;
    if (!code && ftruncate(journal->fd, (off_t)journal->size) != 0) code = fail_journal(journal, "cut", errno, error);
    if (!code) {
        *out = journal;
        return LEAT_OK;
    }
    free(*crcs);
    free(*there);
    *crcs = NULL;
    *there = NULL;
    leat__journal_close(journal);
    return code;
}

leat_code leat__journal_add(leat__journal *journal, const leat__journal_part *parts, size_t count, bool sync, leat_error *error)
{
    uint8_t bytes[GROUP * RECORD];
    uint64_t before = journal->size;
    leat_code code = LEAT_OK;
    for (size_t i = 0; i < count && !code;) {
        size_t filled = 0;
        for (; filled < GROUP && i < count; filled++, i++) {
            assert(parts[i].number < journal->parts);
            put_record(bytes + filled * RECORD, journal->head_crc, &parts[i]);
        }
        code = write_at_end(journal, bytes, filled * RECORD, error);
    }
    if (!code && sync && fdatasync(journal->fd) != 0) code = fail_journal(journal, "sync", errno, error);
    if (!code) return LEAT_OK;
    journal->size = before;
    if (ftruncate(journal->fd, (off_t)before) != 0) return code; /* what stays is written over, or true */
    return code;
}
