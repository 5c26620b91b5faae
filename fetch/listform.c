/* listform.c - a line of a list or manifest becomes an entry.
 *
 * What:    four forms, told apart by the first line. JSON's members and CSV's columns have the same names and meanings (`member`).
 * Why so:  every line is read by itself, so that a list of any length takes no memory and one bad line costs one entry.
 * Threads: one at a time. Parser of foreign bytes: a line is at most LEAT__LIST_LINE bytes, and no text that comes out of it is
 *          longer than the line.
 * Not here: where lines come from (listfile.c), what a path is relative to (listref.c). */
#include "fetch/listform.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stages/filename.h"
#include "store/records.h"
#include "pipeline/jsonread.h"

enum { MAX_COLUMNS = 256 };

enum member {
    MEMBER_NONE, MEMBER_URL, MEMBER_SOURCE, MEMBER_PATH, MEMBER_BYTES, MEMBER_SHA256, MEMBER_MD5, MEMBER_CRC32C,
};

struct leat__listform {
    enum { FORM_UNKNOWN, FORM_JSON, FORM_SUMS, FORM_CSV, FORM_PLAIN } form;
    char separator;              /* CSV: ',' or tab */
    size_t columns;
    uint8_t members[MAX_COLUMNS];
    /* of the line at hand */
    const char *texts[MEMBER_PATH + 1]; /* MEMBER_URL.. MEMBER_PATH; NULL: not there */
    char *why;
    size_t why_bytes;
    char room[MEMBER_PATH + 2][LEAT__LIST_LINE + 1]; /* JSON: strings, each at its member's place, and one for sums; CSV: a copy of
                                                        what may be a header */
};

enum { SUM_ROOM = MEMBER_PATH + 1 };

leat__listform *leat__listform_new(void)
{
    return calloc(1, sizeof(leat__listform));
}

void leat__listform_free(leat__listform *form)
{
    free(form);
}

__attribute__((format(printf, 2, 3))) static bool refuse(leat__listform *form, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(form->why, form->why_bytes, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- members ---- */

static enum member member_of(const char *name)
{
    static const struct { const char *name; enum member member; } known[] = {
        {"url", MEMBER_URL}, {"source", MEMBER_SOURCE}, {"path", MEMBER_PATH}, {"bytes", MEMBER_BYTES}, {"size", MEMBER_BYTES},
        {"sha256", MEMBER_SHA256}, {"md5", MEMBER_MD5}, {"crc32c", MEMBER_CRC32C},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(name, known[i].name) == 0) return known[i].member;
    return MEMBER_NONE;
}

/* The strongest of several counts. */
static bool set_sum(leat__listform *form, enum member member, const char *text, leat__listed *listed)
{
    leat__sum_kind kind = member == MEMBER_SHA256 ? LEAT__SUM_SHA256 : member == MEMBER_MD5 ? LEAT__SUM_MD5 : LEAT__SUM_CRC32C;
    leat__sum sum;
    if (!leat__sum_parse(kind, text, &sum))
        return refuse(form, "its %s is none: %zu hexadecimal digits are", leat__sum_name(kind), 2 * leat__sum_size(kind));
    if (sum.kind > listed->sum.kind) listed->sum = sum;
    return true;
}

static bool set_bytes(leat__listform *form, const char *text, leat__listed *listed)
{
    leat__json number = {.at = text, .end = text + strlen(text)};
    if (leat__json_u64(&number, &listed->bytes) && leat__json_end(&number)) return true;
    return refuse(form, "its number of bytes is none");
}

/* The line's members are read: what do they name? */
static bool conclude(leat__listform *form, leat__listed *listed)
{
    for (enum member m = MEMBER_URL; m <= MEMBER_PATH; m++)
        if (form->texts[m] && !*form->texts[m]) form->texts[m] = NULL;
    const char *url = form->texts[MEMBER_URL] ? form->texts[MEMBER_URL] : form->texts[MEMBER_SOURCE];
    listed->path = form->texts[MEMBER_PATH];
    listed->source = url ? url : listed->path;
    listed->is_file = !url;
    return listed->source ? true : refuse(form, "it has neither url nor path");
}

/* ---- JSON lines ---- */

static bool read_json_member(leat__listform *form, leat__json *json, enum member member, leat__listed *listed)
{
    char *room = form->room[member <= MEMBER_PATH ? (size_t)member : SUM_ROOM];
    if (member == MEMBER_NONE || leat__json_peek(json) == 'n') return leat__json_skip(json);
    if (member == MEMBER_BYTES) return leat__json_u64(json, &listed->bytes);
    if (!leat__json_text(json, room, sizeof form->room[0])) return false;
    if (member > MEMBER_PATH) return set_sum(form, member, room, listed);
    form->texts[member] = room;
    return true;
}

static bool read_json(leat__listform *form, char *line, leat__listed *listed)
{
    leat__json json = {.at = line, .end = line + leat__json_unescape(line, strlen(line))};
    char key[16];
    bool fine = true;
    for (bool first = true; fine && leat__json_item(&json, '{', &first);)
        fine = leat__json_key(&json, key, sizeof key) && read_json_member(form, &json, member_of(key), listed);
    if (!fine && !json.why) return false; /* a sum, which has said why */
    if (!leat__json_end(&json)) return refuse(form, "JSON at byte %zu: %s", (size_t)(json.at - line) + 1, json.why);
    return conclude(form, listed);
}

/* ---- sums ---- */

/* Length of the digits if it is a line of sha256sum or md5sum, else 0. */
static size_t sum_digits(const char *line)
{
    size_t digits = strspn(line, "0123456789abcdefABCDEF");
    if (digits != 2 * leat__sum_size(LEAT__SUM_SHA256) && digits != 2 * leat__sum_size(LEAT__SUM_MD5)) return 0;
    const char *rest = line + digits;
    return rest[0] == ' ' && (rest[1] == ' ' || rest[1] == '*') && rest[2] ? digits : 0;
}

/* A name with \\, \n and \r, as sha256sum writes it in a line that begins with a backslash. In place. */
static bool unescape(char *name)
{
    char *out = name;
    for (const char *in = name; *in; in++) {
        if (*in != '\\') {
            *out++ = *in;
            continue;
        }
        in++;
        if (*in != '\\' && *in != 'n' && *in != 'r') return false;
        *out++ = *in == 'n' ? '\n' : *in == 'r' ? '\r' : '\\';
    }
    *out = '\0';
    return true;
}

static bool read_sums(leat__listform *form, char *line, leat__listed *listed)
{
    bool escaped = line[0] == '\\';
    char *hex = line + escaped, *name;
    size_t digits = sum_digits(hex);
    if (!digits) return refuse(form, "it is no line of sha256sum or md5sum, as those before it are");
    name = hex + digits + 2;
    hex[digits] = '\0';
    if (!leat__sum_parse(LEAT__SUM_NONE, hex, &listed->sum)) return refuse(form, "its checksum is none");
    if (escaped && !unescape(name)) return refuse(form, "its name has a backslash before something else than \\, n and r");
    listed->source = name;
    listed->is_file = !leat__is_url(name);
    return true;
}

/* ---- CSV ---- */

/* Takes the next field of a row, unquoted in place. *at: NULL behind the last one. */
static bool next_field(leat__listform *form, char **at, char **field)
{
    char *p = *at, *out = *at;
    *field = out;
    if (*p != '"') {
        p = strchrnul(p, form->separator);
        out = p;
    } else {
        for (p++; *p && (*p != '"' || p[1] == '"'); p++) {
            if (*p == '"') p++;
            *out++ = *p;
        }
        if (!*p) return refuse(form, "a quoted field without its end");
        p++;
        if (*p && *p != form->separator) return refuse(form, "something behind a quoted field");
    }
    *at = *p ? p + 1 : NULL;
    *out = '\0';
    return true;
}

static bool read_header(leat__listform *form, char *line, char separator)
{
    bool has_source = false;
    form->separator = separator;
    form->columns = 0;
    for (char *at = line, *name; at;) {
        if (!next_field(form, &at, &name) || form->columns == MAX_COLUMNS) return false;
        enum member member = member_of(name);
        has_source = has_source || member == MEMBER_URL || member == MEMBER_SOURCE;
        form->members[form->columns++] = (uint8_t)member;
    }
    if (form->columns == 1) form->separator = '\0'; /* of URLs alone: those with commas need no quotes */
    return has_source;
}

static bool is_header(leat__listform *form, const char *line)
{
    for (const char *separator = ",\t"; *separator; separator++) {
        strcpy(form->room[0], line); /* at most LEAT__LIST_LINE bytes */
        if (read_header(form, form->room[0], *separator)) return true;
    }
    return false;
}

static bool read_row(leat__listform *form, char *line, leat__listed *listed)
{
    size_t count = 0;
    for (char *at = line, *text; at; count++) {
        if (!next_field(form, &at, &text)) return false;
        enum member member = count < form->columns ? form->members[count] : MEMBER_NONE;
        if (member == MEMBER_NONE || (!*text && member > MEMBER_PATH)) continue;
        if (member <= MEMBER_PATH) form->texts[member] = text;
        else if (member == MEMBER_BYTES ? !set_bytes(form, text, listed) : !set_sum(form, member, text, listed)) return false;
    }
    if (count != form->columns) return refuse(form, "it has %zu fields, where the header has %zu", count, form->columns);
    return conclude(form, listed);
}

/* ---- all ---- */

/* Tells the form by the first line; true if that is a header. */
static bool tell_form(leat__listform *form, const char *line)
{
    if (line[strspn(line, " \t")] == '{') form->form = FORM_JSON;
    else if (sum_digits(line + (line[0] == '\\'))) form->form = FORM_SUMS;
    else form->form = is_header(form, line) ? FORM_CSV : FORM_PLAIN;
    return form->form == FORM_CSV;
}

leat__line leat__listform_read(leat__listform *form, char *line, leat__listed *listed, char *why, size_t why_bytes)
{
    bool fine = true;
    assert(strlen(line) <= LEAT__LIST_LINE && why_bytes > 0);
    form->why = why, form->why_bytes = why_bytes;
    if (form->form == FORM_UNKNOWN && tell_form(form, line)) return LEAT__LINE_NOTHING;
    why[0] = '\0'; /* also of what made it no header */
    memset(form->texts, 0, sizeof form->texts);
    *listed = (leat__listed){.bytes = UINT64_MAX};
    switch (form->form) {
    case FORM_JSON: fine = read_json(form, line, listed); break;
    case FORM_SUMS: fine = read_sums(form, line, listed); break;
    case FORM_CSV: fine = read_row(form, line, listed); break;
    default: listed->source = line, listed->braces = true; break;
    }
    assert(!fine == (why[0] != '\0'));
    return fine ? LEAT__LINE_ENTRY : LEAT__LINE_BAD;
}
