/* checksum.c - digests of files: SHA-256 and MD5 by OpenSSL's libcrypto, CRC-32C by ISA-L.
 *
 * What:    sums as texts; CRC-32C in one go, piece by piece, and of pieces put together; a summer for any kind.
 * Why so:  parts of a file are summed as they come, in any order, so the file's own CRC-32C must follow from theirs without
 *          reading it again: that is multiplication by a power of x modulo the polynomial (as zlib's crc32_combine).
 *          ISA-L's crc32_iscsi folds by carry-less multiplication, some 10 bytes a cycle; it takes an int for the length and
 *          neither inverts the sum before nor after.
 * Threads: any; nothing is shared.
 * Invariants: bytes of a sum behind leat__sum_size are 0. */
#include "store/checksum.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <isa-l/crc.h>
#include <openssl/evp.h>

#define CRC_POLYNOMIAL UINT32_C(0x82f63b78) /* Castagnoli's, reflected: the highest bit is x^0 */
#define CRC_ONE UINT32_C(0x80000000)
#define CRC_MOST (1u << 30)                 /* bytes at a time: ISA-L counts in int */

struct leat__summer {
    leat__sum_kind kind;
    uint32_t crc;
    EVP_MD_CTX *context; /* NULL for CRC-32C */
    bool is_failed;      /* libcrypto refused something: the sum is NONE */
};

size_t leat__sum_size(leat__sum_kind kind)
{
    static const uint8_t sizes[] = {[LEAT__SUM_NONE] = 0, [LEAT__SUM_CRC32C] = 4, [LEAT__SUM_MD5] = 16, [LEAT__SUM_SHA256] = 32};
    assert((size_t)kind < sizeof sizes);
    return sizes[kind];
}

const char *leat__sum_name(leat__sum_kind kind)
{
    static const char *const names[] = {
        [LEAT__SUM_NONE] = "", [LEAT__SUM_CRC32C] = "crc32c", [LEAT__SUM_MD5] = "md5", [LEAT__SUM_SHA256] = "sha256"};
    assert((size_t)kind < sizeof names / sizeof *names);
    return names[kind];
}

/* ---- texts ---- */

/* The kind that a text of this length is a sum of; base64 is told by its padding. */
static leat__sum_kind kind_of(const char *text, size_t length)
{
    bool padded = length > 0 && text[length - 1] == '=';
    if (length == 8) return LEAT__SUM_CRC32C;
    if (length == 32 && !padded) return LEAT__SUM_MD5;
    if (length == 24 && padded) return LEAT__SUM_MD5;
    return length == 64 && !padded ? LEAT__SUM_SHA256 : LEAT__SUM_NONE;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_hex(const char *text, uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* Base64 (RFC 4648, section 4) of `size` bytes; the bits that are left over have to be 0. */
static bool parse_base64(const char *text, uint8_t *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    unsigned held = 0;
    size_t done = 0;
    for (; *text && *text != '='; text++) {
        const char *digit = strchr(digits, *text);
        if (!digit) return false;
        bits = bits << 6 | (uint32_t)(digit - digits);
        held += 6;
        if (held < 8) continue;
        held -= 8;
        if (done == size) return false;
        bytes[done++] = (uint8_t)(bits >> held);
    }
    return done == size && (bits & ((1u << held) - 1)) == 0 && strcmp(text, "==") == 0;
}

bool leat__sum_parse(leat__sum_kind kind, const char *text, leat__sum *sum)
{
    size_t length = strlen(text);
    leat__sum read = {.kind = kind_of(text, length)};
    size_t size = leat__sum_size(read.kind);
    bool fits = read.kind != LEAT__SUM_NONE && (kind == LEAT__SUM_NONE || kind == read.kind);
    *sum = (leat__sum){.kind = LEAT__SUM_NONE};
    if (!fits) return false;
    if (text[length - 1] == '=' ? !parse_base64(text, read.bytes, size) : !parse_hex(text, read.bytes, size)) return false;
    *sum = read;
    return true;
}

void leat__sum_hex(const leat__sum *sum, char hex[LEAT__SUM_HEX])
{
    static const char digits[] = "0123456789abcdef";
    size_t size = leat__sum_size(sum->kind);
    for (size_t i = 0; i < size; i++) {
        hex[2 * i] = digits[sum->bytes[i] >> 4];
        hex[2 * i + 1] = digits[sum->bytes[i] & 15];
    }
    hex[2 * size] = '\0';
}

bool leat__sum_equal(const leat__sum *a, const leat__sum *b)
{
    return a->kind != LEAT__SUM_NONE && a->kind == b->kind && memcmp(a->bytes, b->bytes, leat__sum_size(a->kind)) == 0;
}

/* ---- CRC-32C ---- */

uint32_t leat__crc32c(uint32_t crc, const void *data, size_t size)
{
    unsigned char *bytes = (unsigned char *)(uintptr_t)data; /* crc32_iscsi only reads */
    uint32_t state = ~crc;
    while (size > 0) {
        size_t now = size < CRC_MOST ? size : CRC_MOST;
        state = crc32_iscsi(bytes, (int)now, state);
        bytes += now;
        size -= now;
    }
    return ~state;
}

/* a * b modulo the polynomial; b != 0. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (uint32_t bit = CRC_ONE; bit; bit >>= 1) {
        if (a & bit) product ^= b;
        b = b & 1 ? b >> 1 ^ CRC_POLYNOMIAL : b >> 1;
    }
    return product;
}

uint32_t leat__crc32c_combine(uint32_t first, uint32_t second, uint64_t second_bytes)
{
    uint32_t power = CRC_ONE >> 8, shift = CRC_ONE; /* power: x^(8 * 2^i), shift: x^(8 * second_bytes) in the end */
    for (uint64_t n = second_bytes; n > 0; n >>= 1) {
        if (n & 1) shift = multiply(power, shift);
        power = multiply(power, power);
    }
    return multiply(first, shift) ^ second;
}

leat__sum leat__sum_of_crc32c(uint32_t crc)
{
    return (leat__sum){.kind = LEAT__SUM_CRC32C,
                       .bytes = {(uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8), (uint8_t)crc}};
}

/* ---- any kind ---- */

leat__summer *leat__summer_new(leat__sum_kind kind)
{
    assert(kind != LEAT__SUM_NONE);
    leat__summer *summer = calloc(1, sizeof *summer);
    if (!summer) return NULL;
    summer->kind = kind;
    if (kind == LEAT__SUM_CRC32C) return summer;
    summer->context = EVP_MD_CTX_new();
    const EVP_MD *method = kind == LEAT__SUM_MD5 ? EVP_md5() : EVP_sha256();
    if (summer->context && EVP_DigestInit_ex(summer->context, method, NULL) == 1) return summer;
    leat__summer_free(summer);
    return NULL;
}

void leat__summer_add(leat__summer *summer, const void *data, size_t size)
{
    if (summer->kind == LEAT__SUM_CRC32C) summer->crc = leat__crc32c(summer->crc, data, size);
    else if (EVP_DigestUpdate(summer->context, data, size) != 1) summer->is_failed = true;
}

leat__sum leat__summer_finish(leat__summer *summer)
{
    leat__sum sum = {.kind = summer->kind};
    if (summer->kind == LEAT__SUM_CRC32C) {
        sum = leat__sum_of_crc32c(summer->crc);
        summer->crc = 0;
        return sum;
    }
    bool fine = EVP_DigestFinal_ex(summer->context, sum.bytes, NULL) == 1 && !summer->is_failed;
    summer->is_failed = EVP_DigestInit_ex(summer->context, NULL, NULL) != 1; /* the same method as before */
    return fine ? sum : (leat__sum){.kind = LEAT__SUM_NONE};
}

void leat__summer_free(leat__summer *summer)
{
    if (!summer) return;
    EVP_MD_CTX_free(summer->context);
    free(summer);
}
