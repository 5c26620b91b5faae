/* recordline.c - a record as a line of JSON, and back.
 *
 * What:    writes each member by hand; reads with jsonread, after bytes that are no UTF-8 were put back into the line.
 * Why so:  names on a disk are bytes. As \udcXX they survive every strict JSON reader, and os.fsencode of Python gives them back.
 * Threads: any; pure. */
#include "store/recordline.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pipeline/jsonread.h"

/* ---- texts ---- */

/* Bytes of the UTF-8 character (RFC 3629) that text begins with; 0: it is none. */
static size_t character_length(const unsigned char *text)
{
    unsigned char c = text[0], least = 0x80, most = 0xbf; /* of the second byte: no long forms or surrogates */
    if (c < 0x80) return 1;
    if (c < 0xc2 || c > 0xf4) return 0;
    size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c == 0xe0) least = 0xa0;
    if (c == 0xed) most = 0x9f;
    if (c == 0xf0) least = 0x90;
    if (c == 0xf4) most = 0x8f;
    if (text[1] < least || text[1] > most) return 0;
    for (size_t i = 2; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) return 0; /* nor is a NUL: nothing behind it is read */
    }
    return length;
}

/* The characters that stand for one, or NULL: it stands for itself. */
static const char *escape_of(const unsigned char *text, size_t length, char room[8])
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *known = strchr(from, text[0]);
    if (length == 0) snprintf(room, 8, "\\udc%02x", text[0]);
    else if (known) snprintf(room, 8, "\\%c", to[known - from]);
    else if (text[0] < 0x20 || text[0] == 0x7f) snprintf(room, 8, "\\u%04x", text[0]);
    else return NULL;
    return room;
}

struct out {
    char *text;
    size_t capacity, length;
};

static void put_bytes(struct out *out, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++, out->length++) {
        if (out->length + 1 < out->capacity) out->text[out->length] = bytes[i];
    }
}

static void put_string(struct out *out, const char *text)
{
    put_bytes(out, "\"", 1);
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        char room[8];
        size_t length = character_length(at);
        const char *escape = escape_of(at, length, room);
        put_bytes(out, escape ? escape : (const char *)at, escape ? strlen(escape) : length);
        at += length ? length : 1;
    }
    put_bytes(out, "\"", 1);
}

static size_t end_text(const struct out *out)
{
    if (out->capacity > 0) out->text[out->length < out->capacity ? out->length : out->capacity - 1] = '\0';
    return out->length;
}

size_t leat__json_quote(char *text, size_t capacity, const char *from)
{
    struct out out = {.text = text, .capacity = capacity};
    put_string(&out, from);
    return end_text(&out);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The number of an escape \uXXXX, or -1. */
static int unit_at(const char *at, const char *end)
{
    int unit = 0;
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u') return -1;
    for (int i = 2; i < 6; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0) return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

size_t leat__json_unescape(char *line, size_t length)
{
    const char *end = line + length, *at = memchr(line, '\\', length);
    if (!at) return length;
    char *to = line + (at - line);
    while (at < end) {
        int unit = unit_at(at, end);
        size_t size = unit >= 0xd800 && unit < 0xdc00 ? 12 : unit >= 0 ? 6 : *at == '\\' ? 2 : 1; /* 12: the pair of a high one */
        if (size > (size_t)(end - at)) size = (size_t)(end - at);
        if (unit >= 0xdc80 && unit <= 0xdcff) *to++ = (char)(unit & 0xff);
        else to = (char *)memmove(to, at, size) + size;
        at += size;
    }
    return (size_t)(to - line);
}

/* ---- records ---- */

__attribute__((format(printf, 2, 3))) static void put(struct out *out, const char *format, ...)
{
    char room[128]; /* the longest: a name and 64 digits */
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(room, sizeof room, format, arguments);
    va_end(arguments);
    put_bytes(out, room, (size_t)length);
}

size_t leat__record_write(char *text, size_t capacity, const leat__record *record)
{
    struct out out = {.text = text, .capacity = capacity};
    put(&out, "{\"path\":");
    put_string(&out, record->path);
    put(&out, ",\"url\":");
    put_string(&out, record->url);
    put(&out, ",\"bytes\":%" PRIu64 ",\"crc32c\":\"%08" PRIx32 "\"", record->bytes, record->crc32c);
    if (record->sum.kind == LEAT__SUM_SHA256 || record->sum.kind == LEAT__SUM_MD5) {
        char hex[LEAT__SUM_HEX];
        leat__sum_hex(&record->sum, hex);
        put(&out, ",\"%s\":\"%s\"", leat__sum_name(record->sum.kind), hex);
    }
    if (*record->etag) {
        put(&out, ",\"etag\":");
        put_string(&out, record->etag);
    }
    put(&out, ",\"verified\":%s,\"time\":%" PRIu64 "}\n", record->verified ? "true" : "false", record->time_s);
    return end_text(&out);
}

static bool read_sum(leat__json *json, leat__sum_kind kind, leat__sum *sum)
{
    char hex[LEAT__SUM_HEX];
    return leat__json_text(json, hex, sizeof hex) && leat__sum_parse(kind, hex, sum);
}

/* Reads the value of a member; *seen: a bit for each of those that a record cannot do without. */
static bool read_member(leat__json *json, const char *key, struct leat__record_texts *texts, leat__record *record, unsigned *seen)
{
    leat__sum crc;
    if (strcmp(key, "path") == 0) return *seen |= 1, leat__json_text(json, texts->path, sizeof texts->path);
    if (strcmp(key, "url") == 0) return *seen |= 2, leat__json_text(json, texts->url, sizeof texts->url);
    if (strcmp(key, "bytes") == 0) return *seen |= 4, leat__json_u64(json, &record->bytes);
    if (strcmp(key, "etag") == 0) return leat__json_text(json, texts->etag, sizeof texts->etag);
    if (strcmp(key, "time") == 0) return leat__json_u64(json, &record->time_s);
    if (strcmp(key, "sha256") == 0) return read_sum(json, LEAT__SUM_SHA256, &record->sum);
    if (strcmp(key, "md5") == 0) return read_sum(json, LEAT__SUM_MD5, &record->sum);
    if (strcmp(key, "verified") == 0) record->verified = leat__json_peek(json) == 't';
    if (strcmp(key, "crc32c") != 0) return leat__json_skip(json);
    if (!read_sum(json, LEAT__SUM_CRC32C, &crc)) return false;
    record->crc32c = (uint32_t)crc.bytes[0] << 24 | (uint32_t)crc.bytes[1] << 16 | (uint32_t)crc.bytes[2] << 8 | crc.bytes[3];
    *seen |= 8;
    return true;
}

bool leat__record_read(char *line, size_t length, struct leat__record_texts *texts, leat__record *record)
{
    leat__json json = {.at = line, .end = line + leat__json_unescape(line, length)};
    char key[16];
    unsigned seen = 0;
    *record = (leat__record){.path = texts->path, .url = texts->url, .etag = texts->etag};
    texts->etag[0] = '\0';
    for (bool first = true; leat__json_item(&json, '{', &first);) {
        if (!leat__json_key(&json, key, sizeof key) || !read_member(&json, key, texts, record, &seen)) return false;
    }
    return leat__json_end(&json) && seen == 15 && texts->path[0];
}
