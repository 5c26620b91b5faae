/* entryname.c - a file's name under the directory, of text that comes from strangers.
 *
 * What:    text is split at '/', each part made safe by itself, and the parts put together again.
 * Why so:  names of lists and URLs are foreign: ".." and links lead out of the directory (root.h stops what gets that far), control
 *          bytes move a terminal's cursor, a colon is a device or a stream elsewhere, ".leat" is our own, half a character
 *          breaks whoever reads names as UTF-8. %XX keeps them apart and can be read. '%' itself stays: so a safe name is its
 *          own, and what was fetched once has the same name in every later list of what is there.
 * Threads: any; nothing is shared.
 * Invariants: (1) leat__entry_name(leat__entry_name(x)) == leat__entry_name(x)   (2) no part is longer than 255 bytes. */
#include "fetch/entryname.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "pipeline/failure.h"
#include "pipeline/fnv.h"
#include "stages/filename.h"
#include "store/records.h"

enum {
    MAX_PART = LEAT__ENTRY_PART_BYTES - 1,
    MAX_EXTENSION = 32,  /* bytes of one that is kept, dot included: ".seg.png", ".tar.zst" */
    MAX_ENCODED = 16384, /* bytes of a URL's path: four times what a name may have */
};

/* ---- parts ---- */

/* Length of the character at p if it may stand in a name as it is, else 0. */
static size_t fit_length(const char *p, const char *end)
{
    unsigned char c = (unsigned char)*p;
    if (c < 0x80) return c >= 0x20 && c != 0x7f && c != '\\' && c != ':';
    size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    char shown[4 * 4 + 1];
    if ((size_t)(end - p) < length) return 0;
    return memcmp(leat__escape(shown, sizeof shown, p, length), p, length) == 0 ? length : 0;
}

static bool is_plain(const char *p, const char *end)
{
    for (; p < end; p++)
        if (!isascii(*p) || (!isalnum((unsigned char)*p) && !strchr("._-", *p))) return false;
    return true;
}

/* The extension of a part with its dot, if it has a short and plain one that may be its end; else end. */
static const char *extension_of(const char *p, const char *end)
{
    const char *dot = memrchr(p, '.', (size_t)(end - p));
    return dot && end - dot > 1 && end - dot <= MAX_EXTENSION && is_plain(dot, end) ? dot : end;
}

/* Writes the part [p, end), of which out has all that fits already, as its beginning, a digest and its extension. */
static size_t shorten(const char *p, const char *end, char *out)
{
    char tail[1 + 16 + MAX_EXTENSION + 1];
    const char *extension = extension_of(p, end);
    uint64_t digest = leat__fnv_add(LEAT__FNV_START, p, (size_t)(end - p));
    int length = snprintf(tail, sizeof tail, "~%016" PRIx64 "%.*s", digest, (int)(end - extension), extension);
    assert(length > 0 && (size_t)length < sizeof tail);
    size_t keep = MAX_PART - (size_t)length;
    while (keep > 0 && ((unsigned char)out[keep] & 0xc0) == 0x80) keep--; /* between characters */
    memcpy(out + keep, tail, (size_t)length);
    return keep + (size_t)length;
}

/* Writes a part to out[MAX_PART]; returns its length. odd_start: its first byte may not stand as it is. */
static size_t write_part(const char *p, const char *end, bool odd_start, char *out)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t used = 0;
    for (const char *at = p; at < end;) {
        bool odd_end = at + 1 == end && (*at == '.' || *at == ' ');
        size_t fits = odd_end || (odd_start && at == p) ? 0 : fit_length(at, end);
        size_t need = fits ? fits : 3;
        if (used + need > MAX_PART) return shorten(p, end, out);
        if (fits) {
            memcpy(out + used, at, fits);
        } else {
            unsigned char c = (unsigned char)*at;
            out[used] = '%', out[used + 1] = digits[c >> 4], out[used + 2] = digits[c & 15];
        }
        used += need;
        at += fits ? fits : 1;
    }
    return used;
}

static bool is_state_folder(const char *p, const char *end)
{
    return (size_t)(end - p) == strlen(LEAT__STATE_FOLDER) && strncasecmp(p, LEAT__STATE_FOLDER, (size_t)(end - p)) == 0;
}

/* ---- names ---- */

static bool write_name(const char *p, const char *end, char *out, size_t capacity)
{
    size_t used = 0;
    for (const char *next; p < end; p = next + 1) {
        char part[MAX_PART];
        next = memchr(p, '/', (size_t)(end - p));
        if (!next) next = end;
        if (next == p || (next - p == 1 && *p == '.')) continue;
        size_t length = write_part(p, next, used == 0 && is_state_folder(p, next), part);
        if (length + 2 > capacity - used) return false; /* with a slash before it and NUL behind it */
        if (used > 0) out[used++] = '/';
        memcpy(out + used, part, length);
        used += length;
    }
    if (used > 0) out[used] = '\0';
    return used > 0;
}

bool leat__entry_name(const char *text, char *out, size_t capacity)
{
    assert(text && out && capacity > 0);
    return write_name(text, text + strlen(text), out, capacity);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool leat__entry_name_of_url(const char *from, const char *end, char *out, size_t capacity)
{
    char decoded[MAX_ENCODED];
    size_t length = 0;
    if (!memchr(from, '%', (size_t)(end - from))) return write_name(from, end, out, capacity);
    if ((size_t)(end - from) > sizeof decoded) return false;
    for (const char *p = from; p < end; p++) {
        int high = *p == '%' && end - p > 2 ? hex_digit(p[1]) : -1, low = high >= 0 ? hex_digit(p[2]) : -1;
        int value = low < 0 ? 0 : high * 16 + low;
        bool is_kept = value < 0x20 || value == 0x7f || value == '/';
        decoded[length++] = is_kept ? *p : (char)value;
        if (!is_kept) p += 2;
    }
    return write_name(decoded, decoded + length, out, capacity);
}

void leat__entry_name_hashed(leat__summer *summer, const char *source, char out[LEAT__ENTRY_PATH_BYTES])
{
    char hex[LEAT__SUM_HEX];
    leat__filename filename = leat__filename_parse(source);
    int length = (int)(filename.end - filename.extension);
    leat__summer_add(summer, source, strlen(source));
    leat__sum sum = leat__summer_finish(summer);
    leat__sum_hex(&sum, hex);
    bool has_extension = length > 0 && length < MAX_EXTENSION && is_plain(filename.extension, filename.end) &&
                         filename.end[-1] != '.';
    snprintf(out, LEAT__ENTRY_PATH_BYTES, "%.2s/%s%s%.*s", hex, hex, has_extension ? "." : "", has_extension ? length : 0,
             filename.extension);
}
