/* tarhead.c - one 512-byte header block of a tar archive.
 *
 * What:    checks the block's sum, reads what leat needs of it (kind, size, name), and knows foreign formats by their
 *          magic.
 * Why so:  the sum is the only thing that all dialects share, so it alone decides what is a header; magic only decides
 *          whether there is a prefix. A damaged header is never resynchronized from: what follows could be a file's
 *          body.
 * Threads: any; pure functions.
 * Source:  POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format"; src/list.c of GNU tar for
 *          what is tolerated (blank fields are 0, numbers end at the first blank or NUL).
 * Not here: records of extended headers (pax.c), the order of blocks (tar.c). */
#include "stages/tarhead.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#include "pipeline/failure.h"

/* Offsets and sizes of the fields, POSIX.1-2017 table "ustar Header Block". */
enum {
    NAME_AT = 0, NAME_SIZE = 100,
    SIZE_AT = 124, SIZE_SIZE = 12,
    SUM_AT = 148, SUM_SIZE = 8,
    TYPE_AT = 156,
    MAGIC_AT = 257,
    PREFIX_AT = 345, PREFIX_SIZE = 155,
    GNU_EXTENDED_AT = 482,     /* in a header of type 'S' */
    SPARSE_EXTENDED_AT = 504,  /* in an extension block */
};

_Static_assert(LEAT__TAR_NAME == PREFIX_SIZE + 1 + NAME_SIZE + 1, "room for prefix, slash, name and NUL");

bool leat__tar_block_is_zero(const uint8_t *block)
{
    return block[0] == 0 && memcmp(block, block + 1, LEAT__TAR_BLOCK - 1) == 0;
}

bool leat__tar_has_magic(const uint8_t *block)
{
    return memcmp(block + MAGIC_AT, "ustar", 5) == 0;
}

bool leat__tar_sparse_goes_on(const uint8_t *block)
{
    return block[SPARSE_EXTENDED_AT] != 0;
}

/* Big-endian two's complement after the marker bits 10 (positive) or 11 (negative): GNU's and star's base-256. */
static bool base256(const uint8_t *field, size_t length, uint64_t *value)
{
    assert(field[0] & 0x80);
    if (field[0] & 0x40) return false;
    uint64_t result = field[0] & 0x3f;
    for (size_t i = 1; i < length; i++) {
        if (result > (uint64_t)INT64_MAX >> 8) return false;
        result = result << 8 | field[i];
    }
    *value = result;
    return true;
}

/* A field of octal digits with blanks before and a blank, NUL or the field's end after; blank fields are 0. */
static bool number(const uint8_t *field, size_t length, uint64_t *value)
{
    if (field[0] & 0x80) return base256(field, length, value);
    size_t i = 0;
    while (i < length && (field[i] == ' ' || field[i] == '\t')) i++;
    uint64_t result = 0;
    for (; i < length && field[i] >= '0' && field[i] <= '7'; i++) result = result * 8 + (field[i] - '0');
    assert(result < (uint64_t)1 << 36); /* 12 digits of 3 bits */
    *value = result;
    return i == length || field[i] == ' ' || field[i] == '\0';
}

static unsigned sum_of(const uint8_t *bytes, size_t size)
{
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++) sum += bytes[i]; /* without a condition: compilers vectorize it */
    return sum;
}

/* The sum counts its own field as blanks. */
static unsigned plain_sum(const uint8_t *block)
{
    return sum_of(block, LEAT__TAR_BLOCK) - sum_of(block + SUM_AT, SUM_SIZE) + SUM_SIZE * ' ';
}

/* Writers on machines with signed char summed signed bytes: 256 less for each byte from 128 on. */
static int signed_sum(const uint8_t *block)
{
    int high = 0;
    for (size_t i = 0; i < LEAT__TAR_BLOCK; i++) high += block[i] >> 7;
    for (size_t i = 0; i < SUM_SIZE; i++) high -= block[SUM_AT + i] >> 7;
    return (int)plain_sum(block) - 256 * high;
}

static leat_code check_sum(const uint8_t *block, uint64_t offset, leat_error *error)
{
    uint64_t stored;
    unsigned plain = plain_sum(block);
    bool readable = number(block + SUM_AT, SUM_SIZE, &stored);
    if (readable && stored == plain) return LEAT_OK;
    if (readable && stored <= INT_MAX && (int)stored == signed_sum(block)) return LEAT_OK;
    if (readable) {
        return leat__fail(error, LEAT_ECORRUPT, 0, "tar header at byte %llu: checksum is %06llo, computed %06o",
                          (unsigned long long)offset, (unsigned long long)stored, plain);
    }
    char text[4 * SUM_SIZE + 1];
    leat__escape(text, sizeof text, (const char *)block + SUM_AT, SUM_SIZE);
    return leat__fail(error, LEAT_ECORRUPT, 0, "tar header at byte %llu: checksum '%s' is no number, computed %06o",
                      (unsigned long long)offset, text, plain);
}

static leat_code read_size(const uint8_t *block, uint64_t offset, uint64_t *size, leat_error *error)
{
    if (number(block + SIZE_AT, SIZE_SIZE, size)) return LEAT_OK;
    char text[4 * SIZE_SIZE + 1];
    leat__escape(text, sizeof text, (const char *)block + SIZE_AT, SIZE_SIZE);
    return leat__fail(error, LEAT_ECORRUPT, 0, "tar header at byte %llu: size '%s' is no number from 0 to 2^63 - 1",
                      (unsigned long long)offset, text);
}

static void read_kind(uint8_t type, leat__tar_header *header)
{
    header->has_data = !(type >= '1' && type <= '6');
    switch (type) {
    case '0': case '\0': case '7': header->kind = LEAT__TAR_FILE; break;
    case 'S': header->kind = LEAT__TAR_SPARSE; break;
    case 'x': case 'X': header->kind = LEAT__TAR_PAX; break;
    case 'g': header->kind = LEAT__TAR_PAX_GLOBAL; break;
    case 'L': header->kind = LEAT__TAR_LONG_NAME; break;
    case 'K': header->kind = LEAT__TAR_LONG_LINK; break;
    default: header->kind = LEAT__TAR_OTHER; break;
    }
}

static void read_name(const uint8_t *block, leat__tar_header *header)
{
    const char *name = (const char *)block + NAME_AT, *prefix = (const char *)block + PREFIX_AT;
    size_t used = 0;
    if (memcmp(block + MAGIC_AT, "ustar", 6) == 0 && prefix[0]) {
        used = strnlen(prefix, PREFIX_SIZE);
        memcpy(header->name, prefix, used);
        header->name[used++] = '/';
    }
    size_t length = strnlen(name, NAME_SIZE);
    memcpy(header->name + used, name, length);
    header->name_length = used + length;
    assert(header->name_length < LEAT__TAR_NAME);
    header->name[header->name_length] = '\0';
}

leat_code leat__tar_header_read(const uint8_t *block, uint64_t offset, leat__tar_header *header, leat_error *error)
{
    leat_code code = check_sum(block, offset, error);
    if (!code) code = read_size(block, offset, &header->size, error);
    if (code) return code;
    assert(header->size <= INT64_MAX);
    read_kind(block[TYPE_AT], header);
    if (!header->has_data) header->size = 0;
    header->extended = header->kind == LEAT__TAR_SPARSE && block[GNU_EXTENDED_AT] != 0;
    read_name(block, header);
    return LEAT_OK;
}

const char *leat__tar_looks_like(const uint8_t *data, size_t size)
{
    static const struct {
        const char *magic;
        size_t length;
        const char *name;
    } known[] = {
        { "\x28\xb5\x2f\xfd", 4, "zstd data" }, { "\x1f\x8b", 2, "gzip data" },   { "BZh", 3, "bzip2 data" },
        { "\xfd" "7zXZ", 5, "xz data" },        { "\x04\x22\x4d\x18", 4, "LZ4 data" },
        { "PK\x03\x04", 4, "a zip archive" },   { "PK\x05\x06", 4, "an empty zip archive" },
        { "\xff\xd8\xff", 3, "a JPEG image" },  { "\x89PNG", 4, "a PNG image" },
        { "\x93NUMPY", 6, "a NumPy array" },    { "\x7f" "ELF", 4, "a program" },
        { "MDS\0", 4, "a MosaicML shard" },     { "PAR1", 4, "a Parquet file" },
        { "version https://git-lfs", 23, "a Git LFS pointer (fetch the file itself with `git lfs pull`)" },
        { "<!DOCTYPE", 9, "HTML" },             { "<!doctype", 9, "HTML" },       { "<html", 5, "HTML" },
        { "<?xml", 5, "XML" },                  { "{\"", 2, "JSON" },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (size >= known[i].length && memcmp(data, known[i].magic, known[i].length) == 0) return known[i].name;
    }
    return NULL;
}
