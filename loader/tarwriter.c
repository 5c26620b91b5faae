/* tarwriter.c - writes a tar archive: ustar, with pax headers for names and sizes that don't fit into it.
 *
 * What:    headers, padding and the end mark; where the bytes go is the sink's business.
 * Why so:  ustar is what every reader knows. Names of over 100 bytes are split at a '/' into ustar's prefix and name
 *          where that works, else a pax record carries the whole name, and sizes of 8 GiB and more, as bsdtar and
 *          Python write them (GNU's 'L' entries are for GNU's readers only).
 * Threads: one at a time.
 * Invariants: an entry begins only when the body before it is whole (left == 0).
 * Not here: which entries (pack*.c), files and compression (shardfile.c). */
#include "loader/tarwriter.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* POSIX.1-2017, pax, table "ustar Header Block". */
typedef struct ustar {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
    char linkname[100], magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8], prefix[155], rest[12];
} ustar;
_Static_assert(sizeof(ustar) == LEAT__TAR_BLOCK, "a header is a block");

#define OCTAL_SIZE_LIMIT ((uint64_t)1 << 33) /* 11 octal digits */
enum { LONGEST_NAME = 65535, RECORD = LONGEST_NAME + 32 };

static const char zeros[LEAT__TAR_END_BYTES];

static size_t padding_of(uint64_t size)
{
    return (size_t)(-size % LEAT__TAR_BLOCK);
}

/* Where a name is cut into prefix and name, at a '/': the length of the prefix; 0: it fits as it is; -1: there is no
 * such place. */
static int prefix_length(const char *name)
{
    size_t length = strlen(name);
    if (length <= sizeof((ustar *)0)->name) return 0;
    size_t least = length - sizeof((ustar *)0)->name - 1;
    for (size_t cut = least; cut < length - 1 && cut <= sizeof((ustar *)0)->prefix; cut++) {
        if (cut > 0 && name[cut] == '/') return (int)cut;
    }
    return -1;
}

/* Bytes of the record "LENGTH KEY=VALUE\n", LENGTH counting itself. */
static size_t record_length(const char *key, size_t value_length)
{
    size_t rest = strlen(key) + value_length + 3, length = rest + 1;
    for (size_t digits = 1, power = 10;; digits++, power *= 10) {
        length = rest + digits;
        if (length < power) return length;
    }
}

static bool needs_size_record(uint64_t size)
{
    return size >= OCTAL_SIZE_LIMIT;
}

/* Bytes of an entry's pax records; 0: it needs none. */
static size_t records_length(const char *name, uint64_t size)
{
    char digits[24];
    size_t length = prefix_length(name) < 0 ? record_length("path", strlen(name)) : 0;
    if (needs_size_record(size)) {
        snprintf(digits, sizeof digits, "%" PRIu64, size);
        length += record_length("size", strlen(digits));
    }
    return length;
}

uint64_t leat__tar_entry_bytes(const char *name, uint64_t size)
{
    uint64_t bytes;
    size_t records = records_length(name, size);
    if (records > 0) records += LEAT__TAR_BLOCK + padding_of(records);
    if (__builtin_add_overflow(size, records + LEAT__TAR_BLOCK + padding_of(size), &bytes)) return UINT64_MAX;
    return bytes;
}

void leat__tar_writer_begin(leat__tar_writer *writer, leat__tar_sink sink, void *user)
{
    assert(sink);
    *writer = (leat__tar_writer){.sink = sink, .user = user};
}

static void set_octal(char *field, size_t width, uint64_t value)
{
    assert(width > 1);
    field[--width] = '\0';
    while (width > 0) {
        field[--width] = (char)('0' + (value & 7));
        value >>= 3;
    }
    assert(value == 0);
}

/* Sum of the header's bytes, its own field taken as spaces; six digits, NUL, space. */
static void set_checksum(ustar *header)
{
    unsigned sum = 0;
    memset(header->checksum, ' ', sizeof header->checksum);
    for (size_t i = 0; i < sizeof *header; i++) sum += ((const unsigned char *)header)[i];
    set_octal(header->checksum, 7, sum);
    header->checksum[7] = ' ';
}

/* name: as much as fits; a pax record has the whole of it then. */
static leat_code write_header(leat__tar_writer *writer, const char *name, char type, uint64_t size, leat_error *error)
{
    ustar header = {.type = type, .magic = "ustar", .version = {'0', '0'}};
    int prefix = prefix_length(name);
    if (prefix > 0) {
        memcpy(header.prefix, name, (size_t)prefix);
        name += prefix + 1;
    }
    memcpy(header.name, name, strnlen(name, sizeof header.name));
    set_octal(header.mode, sizeof header.mode, 0644);
    set_octal(header.uid, sizeof header.uid, 0);
    set_octal(header.gid, sizeof header.gid, 0);
    set_octal(header.size, sizeof header.size, needs_size_record(size) ? 0 : size);
    set_octal(header.mtime, sizeof header.mtime, 0);
    set_octal(header.devmajor, sizeof header.devmajor, 0);
    set_octal(header.devminor, sizeof header.devminor, 0);
    set_checksum(&header);
    return writer->sink(writer->user, &header, sizeof header, error);
}

static size_t add_record(char *records, size_t capacity, const char *key, const char *value)
{
    size_t length = record_length(key, strlen(value));
    int printed = snprintf(records, capacity, "%zu %s=%s\n", length, key, value);
    assert(printed > 0 && (size_t)printed == length);
    return (size_t)printed;
}

static leat_code write_records(leat__tar_writer *writer, const char *name, uint64_t size, leat_error *error)
{
    char records[RECORD + 64], digits[24];
    size_t length = 0;
    if (prefix_length(name) < 0) length += add_record(records, sizeof records, "path", name);
    if (needs_size_record(size)) {
        snprintf(digits, sizeof digits, "%" PRIu64, size);
        length += add_record(records + length, sizeof records - length, "size", digits);
    }
    assert(length == records_length(name, size));
    leat_code code = write_header(writer, "././@PaxHeader", 'x', length, error);
    if (!code) code = writer->sink(writer->user, records, length, error);
    size_t padding = padding_of(length);
    if (!code && padding > 0) code = writer->sink(writer->user, zeros, padding, error);
    return code;
}

leat_code leat__tar_writer_entry(leat__tar_writer *writer, const char *name, uint64_t size, leat_error *error)
{
    assert(writer->left == 0 && *name && strlen(name) <= LONGEST_NAME);
    if (records_length(name, size) > 0) {
        leat_code code = write_records(writer, name, size, error);
        if (code) return code;
    }
    writer->left = size;
    writer->padding = padding_of(size);
    return write_header(writer, name, '0', size, error);
}

leat_code leat__tar_writer_skip(leat__tar_writer *writer, size_t size, leat_error *error)
{
    assert(size <= writer->left);
    writer->left -= size;
    if (writer->left > 0 || writer->padding == 0) return LEAT_OK;
    size_t padding = writer->padding;
    writer->padding = 0;
    return writer->sink(writer->user, zeros, padding, error);
}

leat_code leat__tar_writer_body(leat__tar_writer *writer, const void *data, size_t size, leat_error *error)
{
    assert(size <= writer->left);
    leat_code code = writer->sink(writer->user, data, size, error);
    return code ? code : leat__tar_writer_skip(writer, size, error);
}

leat_code leat__tar_writer_end(leat__tar_writer *writer, leat_error *error)
{
    assert(writer->left == 0);
    return writer->sink(writer->user, zeros, sizeof zeros, error);
}
