/* reply.c - what a response's header says, and whether its body may be believed.
 *
 * What:    a small parser of the header fields that matter, and the judgement over a complete header: F1 (ranges), F2
 *          (the same object still), F5 (size cap), F6 (no content encoding), all before a byte of the body is accepted.
 * Why so:  curl 7.88.1 takes a 200 for a range, or a 206 with a wrong Content-Range, for a success; it lets the last of
 *          two Content-Lengths win. It reads the fields for its framing, we read them again for our beliefs: where the
 *          two could differ (repeated or listed lengths, a length beside chunked) the answer is refused, as RFC 9112
 *          6.3 allows. Without any validator a broken transfer still goes on if the total size is the same: a changed
 *          object of equal size is not found then. Without even a size it does not.
 * Threads: any; nothing is shared; knows no curl handle, so that a fuzzer can drive it.
 * Not here: statuses' consequences (outcome.c), redirect rules (redirect.c). */
#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "pipeline/failure.h"
#include "stages/http_internal.h"

bool leat__fault_set(leat__fault *fault, leat_code code, leat__fault_class class, int system, const char *format, ...)
{
    assert(code >= LEAT_EINVAL);
    fault->code = code;
    fault->class = class;
    fault->system = system;
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(fault->text, sizeof fault->text, format, arguments) < 0) fault->text[0] = 0;
    va_end(arguments);
    return false;
}

void leat__reply_clear(leat__reply *reply)
{
    free(reply->location);
    reply->location = NULL;
    reply->status = 0;
    reply->chunked = reply->has_length = reply->has_range = reply->has_retry_after = reply->rangeless = false;
    reply->reason[0] = reply->etag[0] = reply->modified[0] = reply->encoding[0] = reply->type[0] = 0;
}

/* ---- fields ---- */

/* Reads a decimal number at *at and moves behind it; false if there is none or it is over 2^64 - 2. */
static bool read_number(const char **at, uint64_t *number)
{
    if (!isdigit((unsigned char)**at)) return false;
    uint64_t n = 0;
    for (; isdigit((unsigned char)**at); ++*at) {
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(**at - '0'), &n)) return false;
    }
    *number = n;
    return n != LEAT__NO_SIZE;
}

static bool read_length(leat__reply *reply, const char *value, leat__fault *fault)
{
    uint64_t length;
    const char *at = value;
    char shown[80];
    if (!read_number(&at, &length) || *at)
        return leat__fault_set(fault, LEAT_EHEADERS, LEAT__FAULT_FATAL, 0, "malformed Content-Length: %s",
                               leat__escape(shown, sizeof shown, value, strlen(value)));
    if (reply->has_length && reply->length != length)
        return leat__fault_set(fault, LEAT_EHEADERS, LEAT__FAULT_FATAL, 0,
                               "two Content-Lengths: %" PRIu64 " and %" PRIu64, reply->length, length);
    reply->length = length;
    reply->has_length = true;
    return true;
}

/* "bytes 0-99/200", "bytes 0-99/" and a star, or "bytes *" and "/200" (416). Anything else counts as not there. */
static void read_range(leat__reply *reply, const char *value)
{
    if (strncasecmp(value, "bytes", 5) || (value[5] != ' ' && value[5] != '=')) return;
    const char *at = value + 6;
    uint64_t first = LEAT__NO_SIZE, last = 0, total = LEAT__NO_SIZE;
    if (*at == '*') at++;
    else if (!read_number(&at, &first) || *at++ != '-' || !read_number(&at, &last)) return;
    if (*at++ != '/') return;
    if (*at == '*') at++;
    else if (!read_number(&at, &total)) return;
    if (*at) return;
    reply->range_first = first;
    reply->range_last = last;
    reply->range_total = total;
    reply->has_range = true;
}

/* Seconds or a date (RFC 9110 10.2.3); what lies in the past is 0, what is too large saturates, garbage is not there
 * (N26). */
static void read_retry_after(leat__reply *reply, const char *value)
{
    uint64_t seconds;
    const char *at = value;
    if (isdigit((unsigned char)*value)) {
        if (!read_number(&at, &seconds)) seconds = UINT32_MAX;
        else if (*at) return;
    } else {
        time_t date = curl_getdate(value, NULL);
        if (date == -1) return;
        time_t now = time(NULL);
        seconds = date > now ? (uint64_t)(date - now) : 0;
    }
    if (seconds > UINT32_MAX) seconds = UINT32_MAX;
    reply->retry_after_ms = seconds * 1000;
    reply->has_retry_after = true;
}

void leat__reply_keep(char *out, size_t capacity, const char *value)
{
    size_t length = strlen(value);
    if (length >= capacity) length = 0;
    memcpy(out, value, length);
    out[length] = 0;
}

static void read_content_field(leat__reply *reply, const char *name, const char *value)
{
    if (!strcasecmp(name, "Content-Range")) read_range(reply, value);
    else if (!strcasecmp(name, "Content-Type")) snprintf(reply->type, sizeof reply->type, "%s", value);
    else if (!strcasecmp(name, "Content-Encoding") && strcasecmp(value, "identity"))
        snprintf(reply->encoding, sizeof reply->encoding, "%s", *value ? value : "?");
}

/* By its first letter, as most fields are none of these. */
static bool read_field(leat__reply *reply, const char *name, const char *value, leat__fault *fault)
{
    switch (tolower((unsigned char)name[0])) {
    case 'a':
        if (!strcasecmp(name, "Accept-Ranges")) reply->rangeless = !strcasecmp(value, "none");
        break;
    case 'c':
        if (!strcasecmp(name, "Content-Length")) return read_length(reply, value, fault);
        read_content_field(reply, name, value);
        break;
    case 'e':
        if (!strcasecmp(name, "ETag")) leat__reply_keep(reply->etag, sizeof reply->etag, value);
        break;
    case 'l':
        if (!strcasecmp(name, "Last-Modified")) leat__reply_keep(reply->modified, sizeof reply->modified, value);
        else if (!strcasecmp(name, "Location") && !reply->location && !(reply->location = strdup(value)))
            return leat__fault_set(fault, LEAT_ENOMEM, LEAT__FAULT_FATAL, 0, "no memory for a redirect");
        break;
    case 'r':
        if (!strcasecmp(name, "Retry-After")) read_retry_after(reply, value);
        break;
    case 't':
        if (!strcasecmp(name, "Transfer-Encoding")) reply->chunked = true;
        break;
    default:
        break;
    }
    return true;
}

/* "HTTP/1.1 404 Not Found" */
static void read_status(leat__reply *reply, const char *line)
{
    leat__reply_clear(reply);
    const char *at = strchr(line, ' ');
    if (!at) return;
    while (*at == ' ') at++;
    for (int i = 0; i < 3 && isdigit((unsigned char)*at); i++) reply->status = reply->status * 10 + (*at++ - '0');
    while (*at == ' ') at++;
    snprintf(reply->reason, sizeof reply->reason, "%s", at);
}

bool leat__reply_line(leat__reply *reply, const char *line, size_t size, leat__fault *fault)
{
    while (size && (line[size - 1] == '\n' || line[size - 1] == '\r' || isblank((unsigned char)line[size - 1]))) size--;
    char small[512];
    char *copy = size < sizeof small ? small : malloc(size + 1);
    if (!copy)
        return leat__fault_set(fault, LEAT_ENOMEM, LEAT__FAULT_FATAL, 0, "no memory for a header of %zu bytes", size);
    memcpy(copy, line, size);
    copy[size] = 0;
    bool good = true;
    char *colon = strchr(copy, ':');
    if (!strncmp(copy, "HTTP/", 5)) {
        read_status(reply, copy);
    } else if (colon) {
        *colon = 0;
        good = read_field(reply, copy, colon + 1 + strspn(colon + 1, " \t"), fault);
    }
    if (copy != small) free(copy);
    return good;
}

/* ---- judgement ---- */

static bool refuse(leat__fault *fault, leat_code code, const char *what, const char *was, const char *is)
{
    char a[200], b[200];
    return leat__fault_set(fault, code, code == LEAT_ECHANGED ? LEAT__FAULT_CHANGED : LEAT__FAULT_FATAL, 0,
                           "the object changed while it was read: %s was %s, is %s", what,
                           leat__escape(a, sizeof a, was, strlen(was)), leat__escape(b, sizeof b, is, strlen(is)));
}

/* Is what the server has now what it had (F2)? A field that one of the answers lacks says nothing; one has to say
 * yes. */
static bool same_object(const leat__reply *reply, const leat__known *known, uint64_t total, bool careful, leat__fault *fault)
{
    unsigned agree = 0;
    if (known->etag[0] && reply->etag[0]) {
        if (strcmp(known->etag, reply->etag)) return refuse(fault, LEAT_ECHANGED, "ETag", known->etag, reply->etag);
        agree++;
    }
    if (known->total != LEAT__NO_SIZE && total != LEAT__NO_SIZE) {
        char was[24], is[24];
        snprintf(was, sizeof was, "%" PRIu64, known->total);
        snprintf(is, sizeof is, "%" PRIu64, total);
        if (known->total != total) return refuse(fault, LEAT_ECHANGED, "size", was, is);
        agree += !careful;
    }
    if (known->modified[0] && reply->modified[0]) {
        if (strcmp(known->modified, reply->modified))
            return refuse(fault, LEAT_ECHANGED, "Last-Modified", known->modified, reply->modified);
        agree++;
    }
    if (agree) return true;
    return leat__fault_set(fault, LEAT_ECHANGED, LEAT__FAULT_CHANGED, 0,
                           "cannot go on where the transfer broke: the server gives no ETag, Last-Modified%s to tell "
                           "whether it is still the same object", careful ? "" : " or size");
}

/* Is it what it was expected to be? A field that the answer lacks says nothing. */
static bool as_expected(const leat__reply *reply, const leat__known *expected, uint64_t total, leat__fault *fault)
{
    char a[200], b[200];
    if (expected->total != LEAT__NO_SIZE && total != LEAT__NO_SIZE && expected->total != total)
        return leat__fault_set(fault, LEAT_ECHANGED, LEAT__FAULT_FATAL, 0, "not the object that was expected: its size is "
                               "%" PRIu64 ", %" PRIu64 " was expected%s%s", total, expected->total,
                               reply->type[0] ? "; Content-Type " : "",
                               leat__escape(a, sizeof a, reply->type, strlen(reply->type)));
    if (expected->etag[0] && reply->etag[0] && strcmp(expected->etag, reply->etag))
        return leat__fault_set(fault, LEAT_ECHANGED, LEAT__FAULT_FATAL, 0, "not the object that was expected: its ETag is "
                               "%s, %s was expected", leat__escape(a, sizeof a, reply->etag, strlen(reply->etag)),
                               leat__escape(b, sizeof b, expected->etag, strlen(expected->etag)));
    if (expected->modified[0] && reply->modified[0] && strcmp(expected->modified, reply->modified))
        return leat__fault_set(fault, LEAT_ECHANGED, LEAT__FAULT_FATAL, 0, "not the object that was expected: it was modified "
                               "%s, %s was expected", leat__escape(a, sizeof a, reply->modified, strlen(reply->modified)),
                               leat__escape(b, sizeof b, expected->modified, strlen(expected->modified)));
    return true;
}

/* Does it have all the bytes that are wanted, as far as its size is known? */
static bool long_enough(const leat__asked *asked, uint64_t total, leat__fault *fault)
{
    if (asked->to == LEAT__NO_SIZE || total == LEAT__NO_SIZE || total >= asked->to) return true;
    return leat__fault_set(fault, LEAT_ETRUNCATED, LEAT__FAULT_FATAL, 0, "the object has %" PRIu64 " bytes, asked was for "
                           "bytes %" PRIu64 "-%" PRIu64, total, asked->from, asked->to - 1);
}

static bool range_fault(const leat__reply *reply, const leat__asked *asked, const leat__known *known,
                        leat__fault *fault)
{
    char type[120], got[100], wanted[64];
    if (reply->has_range && reply->range_first != LEAT__NO_SIZE)
        snprintf(got, sizeof got, "bytes %" PRIu64 "-%" PRIu64 " of %" PRId64, reply->range_first, reply->range_last,
                 (int64_t)reply->range_total);
    else snprintf(got, sizeof got, "no usable Content-Range");
    if (asked->to == LEAT__NO_SIZE) snprintf(wanted, sizeof wanted, "from %" PRIu64, asked->from);
    else snprintf(wanted, sizeof wanted, "%" PRIu64 "-%" PRIu64, asked->from, asked->to - 1);
    return leat__fault_set(fault, LEAT_ERANGE, LEAT__FAULT_FATAL, reply->status,
                           "asked for bytes %s of %" PRId64 " (-1: not known), the server answered HTTP "
                           "%d with %s (Content-Type %s)", wanted, (int64_t)known->total, reply->status, got,
                           reply->type[0] ? leat__escape(type, sizeof type, reply->type, strlen(reply->type)) : "none");
}

/* 206 (F1): it begins where it was asked to, and ends inside of the object and of what was asked for. */
static bool judge_range(const leat__reply *reply, const leat__asked *asked, const leat__known *known, leat__span *span,
                        leat__fault *fault)
{
    uint64_t total = reply->range_total != LEAT__NO_SIZE ? reply->range_total
                     : asked->continues ? known->total : asked->expected->total;
    bool asked_for = asked->from > 0 || asked->to != LEAT__NO_SIZE;
    if (!asked_for || !reply->has_range || reply->range_first != asked->from || reply->range_last < asked->from ||
        reply->range_last >= asked->to || (total != LEAT__NO_SIZE && reply->range_last >= total) ||
        (reply->has_length && !reply->chunked && reply->length != reply->range_last - reply->range_first + 1))
        return range_fault(reply, asked, known, fault);
    span->skip = 0;
    span->end = reply->range_last + 1;
    return true;
}

/* 200: the whole object. What was accepted before, or not asked for, is to be skipped. */
static bool judge_whole(const leat__reply *reply, const leat__asked *asked, const leat__known *known, leat__span *span,
                        leat__fault *fault)
{
    if ((reply->has_length && reply->length < asked->from && !asked->continues) || (asked->strict && asked->from))
        return range_fault(reply, asked, known, fault);
    span->skip = asked->from;
    span->end = reply->has_length ? reply->length : asked->continues ? known->total : asked->expected->total;
    return true;
}

/* Adds what this answer says; while no byte was accepted, an earlier answer does not bind. */
static void learn(leat__known *known, const leat__reply *reply, uint64_t total, const leat__asked *asked)
{
    if (!asked->continues) *known = (leat__known){.total = LEAT__NO_SIZE};
    if (known->total == LEAT__NO_SIZE) known->total = total != LEAT__NO_SIZE ? total : asked->expected->total;
    if (!known->etag[0]) memcpy(known->etag, reply->etag, sizeof known->etag);
    if (!known->modified[0]) memcpy(known->modified, reply->modified, sizeof known->modified);
    memcpy(known->type, reply->type, sizeof known->type);
    bool ranged = asked->from || asked->to != LEAT__NO_SIZE;
    if (reply->rangeless || (ranged && reply->status == 200)) known->rangeless = true;
}

static leat__verdict judge_body(const leat__reply *reply, const leat__asked *asked, leat__known *known,
                                leat__span *span, leat__fault *fault)
{
    bool partial = reply->status == 206;
    uint64_t total = partial ? (reply->has_range ? reply->range_total : LEAT__NO_SIZE)
                             : (reply->has_length ? reply->length : LEAT__NO_SIZE);
    if (reply->chunked && reply->has_length) {
        leat__fault_set(fault, LEAT_EHEADERS, LEAT__FAULT_FATAL, 0, "Content-Length beside Transfer-Encoding");
        return LEAT__VERDICT_REFUSED;
    }
    if (reply->encoding[0]) {
        char shown[64];
        leat__fault_set(fault, LEAT_EENCODING, LEAT__FAULT_FATAL, 0,
                        "the server sent Content-Encoding %s, identity was asked for",
                        leat__escape(shown, sizeof shown, reply->encoding, strlen(reply->encoding)));
        return LEAT__VERDICT_REFUSED;
    }
    if (asked->continues && !same_object(reply, known, total, asked->careful, fault)) return LEAT__VERDICT_REFUSED;
    if (!as_expected(reply, asked->expected, total, fault) || !long_enough(asked, total, fault)) return LEAT__VERDICT_REFUSED;
    if (partial ? !judge_range(reply, asked, known, span, fault) : !judge_whole(reply, asked, known, span, fault))
        return LEAT__VERDICT_REFUSED;
    uint64_t least = total != LEAT__NO_SIZE ? total : span->end != LEAT__NO_SIZE ? span->end : 0;
    if (least > asked->max_bytes) {
        leat__fault_set(fault, LEAT_ELIMIT, LEAT__FAULT_FATAL, 0,
                        "the object has %" PRIu64 " bytes, max_object_bytes is %" PRIu64, least, asked->max_bytes);
        return LEAT__VERDICT_REFUSED;
    }
    learn(known, reply, total, asked);
    return LEAT__VERDICT_BODY;
}

/* 416: nothing lies behind `from`. That is the end, if the object is exactly as long and all of it is wanted (N31). */
static leat__verdict judge_unsatisfied(const leat__reply *reply, const leat__asked *asked, leat__known *known,
                                       leat__fault *fault)
{
    uint64_t total = reply->has_range && reply->range_first == LEAT__NO_SIZE ? reply->range_total : LEAT__NO_SIZE;
    if (!as_expected(reply, asked->expected, total, fault)) return LEAT__VERDICT_REFUSED;
    if (total != asked->from || !asked->from || asked->to != LEAT__NO_SIZE) {
        bool changed = asked->continues && (known->total != LEAT__NO_SIZE || total != asked->from);
        if (changed)
            leat__fault_set(fault, LEAT_ECHANGED, LEAT__FAULT_CHANGED, 416,
                            "the object changed while it was read: the server has no bytes from %" PRIu64
                            " on (HTTP 416)", asked->from);
        else if (long_enough(asked, total, fault)) range_fault(reply, asked, known, fault);
        return LEAT__VERDICT_REFUSED;
    }
    /* having as many bytes as the object proves enough, unless an ETag or the size known before says otherwise */
    leat__known sized = *known;
    if (sized.total == LEAT__NO_SIZE) sized.total = total;
    if (asked->continues && !same_object(reply, &sized, total, asked->careful, fault)) return LEAT__VERDICT_REFUSED;
    known->total = total;
    return LEAT__VERDICT_NOTHING;
}

leat__verdict leat__reply_judge(const leat__reply *reply, const leat__asked *asked, leat__known *known,
                                leat__span *span, leat__fault *fault)
{
    switch (reply->status) {
    case 100: case 102: case 103:
        return LEAT__VERDICT_NONE;
    case 200: case 206:
        return judge_body(reply, asked, known, span, fault);
    case 301: case 302: case 303: case 307: case 308:
        return LEAT__VERDICT_REDIRECT;
    case 412:
        if (!asked->continues && !as_expected(reply, asked->expected, LEAT__NO_SIZE, fault)) return LEAT__VERDICT_REFUSED;
        return LEAT__VERDICT_STATUS;
    case 416:
        return judge_unsatisfied(reply, asked, known, fault);
    default:
        return LEAT__VERDICT_STATUS;
    }
}
