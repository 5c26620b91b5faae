/* request.c - the header of a request.
 *
 * What:    the fields that every request sends, the user's among them for the origin that they were meant for (F8); the
 *          range, unless all is wanted; and the condition that it is the object that was expected, or, for a request that
 *          goes on in mid-object, still the same one (F2).
 * Why so:  the lists are made once and shared; Range and If-Match are two list nodes inside of the attempt, chained
 *          before them. A user's field that would change what an answer means (Range, Accept-Encoding ...) is refused
 *          at the start.
 * Threads: loop. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <leat/version.h>

#include "pipeline/failure.h"
#include "stages/http_internal.h"

/* Fields that the client sets itself, or that would change what an answer means. */
static bool header_reserved(const char *header, size_t name)
{
    static const char *const reserved[] = {
        "Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "Accept-Encoding",
        "TE", "Transfer-Encoding", "Content-Length", "Connection", "Host", "Expect", "Upgrade",
    };
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strlen(reserved[i]) == name && !strncasecmp(reserved[i], header, name)) return true;
    return false;
}

/* "Name: value", without control bytes (P30). */
static leat_code header_check(const char *header, leat_error *error)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    char shown[128];
    size_t name = strspn(header, token);
    leat__escape(shown, sizeof shown, header, name < 64 ? name : 64); /* the name only: the value may be a secret */
    if (!name || header[name] != ':' || !header[name + 1 + strspn(header + name + 1, " ")])
        return leat__fail(error, LEAT_EINVAL, 0, "header \"%s...\": \"Name: value\" is needed", shown);
    for (const char *c = header; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return leat__fail(error, LEAT_EINVAL, 0, "header \"%s\" contains a control byte", shown);
    if (header_reserved(header, name))
        return leat__fail(error, LEAT_EINVAL, 0, "header \"%s\" is set by leat itself", shown);
    return LEAT_OK;
}

static bool append(struct curl_slist **list, const char *header)
{
    struct curl_slist *longer = curl_slist_append(*list, header);
    if (longer) *list = longer;
    return longer != NULL;
}

leat_code leat__headers_new(leat__http *http, const leat__http_options *options, leat_error *error)
{
    bool agent = false;
    for (size_t i = 0; i < options->header_count; i++) {
        const char *header = options->headers[i];
        leat_code code = header_check(header, error);
        if (code) return code;
        if (!strncasecmp(header, "User-Agent:", 11)) agent = true;
        if (!append(&http->user_headers, header)) goto no_memory;
    }
    const char *const plain[] = {"Accept-Encoding: identity" /* F6 */, "User-Agent: leat/" LEAT_VERSION};
    for (size_t i = 0; i < 2; i++) {
        if (!append(&http->plain_headers, plain[i])) goto no_memory;
        if (!(i == 1 && agent) && !append(&http->user_headers, plain[i])) goto no_memory;
    }
    return LEAT_OK;
no_memory:
    return leat__fail(error, LEAT_ENOMEM, 0, "no memory for the request headers");
}

/* The condition that the object is the one that bytes were accepted of, or the expected one, before `list`; just that if
 * it has no validator. */
static struct curl_slist *add_condition(leat__attempt *attempt, struct curl_slist *list)
{
    const leat__transfer *transfer = attempt->transfer;
    bool continues = transfer->position > transfer->start;
    const leat__known *known = continues ? &transfer->known : &transfer->expected;
    attempt->conditional = false;
    if (!continues && transfer->unconditional) return list;
    attempt->match.data = attempt->match_text;
    attempt->match.next = list;
    if (leat__etag_is_strong(known->etag))
        snprintf(attempt->match_text, sizeof attempt->match_text, "If-Match: %s", known->etag);
    else if (known->modified[0])
        snprintf(attempt->match_text, sizeof attempt->match_text, "If-Unmodified-Since: %s", known->modified);
    else return list;
    attempt->conditional = true;
    return &attempt->match;
}

struct curl_slist *leat__request_headers(leat__attempt *attempt)
{
    const leat__transfer *transfer = attempt->transfer;
    struct curl_slist *list = transfer->foreign ? attempt->http->plain_headers : attempt->http->user_headers;
    list = add_condition(attempt, list);
    if (!transfer->position && transfer->stop == LEAT__NO_SIZE) return list;
    int n = snprintf(attempt->range_text, sizeof attempt->range_text, "Range: bytes=%" PRIu64 "-", transfer->position);
    if (transfer->stop != LEAT__NO_SIZE)
        snprintf(attempt->range_text + n, sizeof attempt->range_text - (size_t)n, "%" PRIu64, transfer->stop - 1);
    attempt->range.data = attempt->range_text;
    attempt->range.next = list;
    return &attempt->range;
}
