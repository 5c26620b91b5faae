/* redirect.c - URLs: parsing, origins, where a redirect may lead.
 *
 * What:    http(s) URLs are parsed by curl's own parser (P30) into the text to ask for and the origin,
 *          "https://host:443". A redirect is followed by us, hop by hop (F8): only to http and https, never from https
 *          to http, at most so many, and the user's headers stay behind as soon as another origin is met, also if the
 *          way leads back later.
 * Why so:  curl's FOLLOWLOCATION re-sends custom credential headers to the next host, and goes to ftp:// by default.
 *          Parsing costs a tenth of a small request. A URL that begins, up to its path, as one that was parsed before, and
 *          whose path is made of bytes that stand for themselves, is what parsing would make of it; so nothing but the
 *          parser ever says where a host's name ends.
 *          Every attempt begins at the object's own URL again: the target of a redirect may have expired (presigned
 *          URLs).
 * Threads: loop. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"
#include "stages/http_internal.h"

/* "https://host:443", lower case; NULL if memory is short. */
static char *origin_of(CURLU *parts)
{
    char *scheme = NULL, *host = NULL, *port = NULL, *origin = NULL;
    if (!curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) && !curl_url_get(parts, CURLUPART_HOST, &host, 0) &&
        !curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT)) {
        for (char *c = host; *c; c++)
            if (*c >= 'A' && *c <= 'Z') *c += 'a' - 'A';
        if (asprintf(&origin, "%s://%s:%s", scheme, host, port) < 0) origin = NULL;
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    return origin;
}

/* True for http and https; else *fault names the scheme. */
static bool scheme_allowed(CURLU *parts, leat__fault *fault)
{
    char *scheme = NULL, shown[48];
    if (curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0))
        return leat__fault_set(fault, LEAT_EINVAL, LEAT__FAULT_FATAL, 0, "no scheme, http:// or https:// is needed");
    bool good = !strcmp(scheme, "http") || !strcmp(scheme, "https");
    if (!good)
        leat__fault_set(fault, LEAT_EINVAL, LEAT__FAULT_FATAL, 0, "scheme %s is not http or https",
                        leat__escape(shown, sizeof shown, scheme, strlen(scheme)));
    curl_free(scheme);
    return good;
}

bool leat__url_parse(const char *text, const char *base, char **url, char **origin, leat__fault *fault)
{
    /* NON_SUPPORT_SCHEME: so that the message can name a foreign scheme, whatever curl was built with */
    const unsigned flags = CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE | CURLU_PATH_AS_IS;
    bool good = false;
    char *normal = NULL;
    *url = *origin = NULL;
    CURLU *parts = curl_url();
    CURLUcode code = parts ? CURLUE_OK : CURLUE_OUT_OF_MEMORY;
    if (!code && base) code = curl_url_set(parts, CURLUPART_URL, base, flags);
    if (!code) code = curl_url_set(parts, CURLUPART_URL, text, flags);
    if (code) {
        leat__fault_set(fault, code == CURLUE_OUT_OF_MEMORY ? LEAT_ENOMEM : LEAT_EINVAL, LEAT__FAULT_FATAL, (int)code,
                        "no http(s) URL: %s", curl_url_strerror(code));
        goto out;
    }
    if (!scheme_allowed(parts, fault)) goto out;
    if (!curl_url_get(parts, CURLUPART_URL, &normal, 0)) {
        *url = strdup(normal);
        *origin = origin_of(parts);
    }
    good = *url && *origin;
    if (!good) {
        leat__fault_set(fault, LEAT_ENOMEM, LEAT__FAULT_FATAL, 0, "no memory for a URL");
        free(*url);
        free(*origin);
        *url = *origin = NULL;
    }
out:
    curl_free(normal);
    curl_url_cleanup(parts);
    return good;
}

/* ---- and its host ---- */

/* The host whose root a URL begins with, if the rest of it is plain; NULL: it has to be parsed. Gives a reference. */
static leat__host *host_of_plain(leat__http *http, const char *text)
{
    static const char plain[] = "/-._~=+,0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    leat__host *host;
    TAILQ_FOREACH(host, &http->hosts, link) {
        if (!host->root || strncmp(text, host->root, host->root_size)) continue;
        const char *path = text + host->root_size;
        if (path[strspn(path, plain)]) return NULL;
        host->references++; /* perhaps the only one */
        return host;
    }
    return NULL;
}

/* Keeps how its URLs begin, if the parser leaves that as it is and there is no secret in it. */
static void keep_root(leat__host *host, const char *text, const char *url)
{
    const char *authority = strstr(url, "://"), *path = authority ? strchr(authority + 3, '/') : NULL;
    if (host->root || !path) return;
    size_t size = (size_t)(path - url) + 1;
    if (strncmp(text, url, size) || memchr(url, '@', size)) return;
    host->root = strndup(url, size);
    host->root_size = size;
}

bool leat__url_locate(leat__http *http, const char *text, char **url, leat__host **host, leat__fault *fault)
{
    char *origin = NULL;
    *url = NULL;
    *host = host_of_plain(http, text);
    if (*host) {
        *url = strdup(text);
    } else {
        if (!leat__url_parse(text, NULL, url, &origin, fault)) return false;
        *host = leat__host_get(http, origin);
        if (*host) keep_root(*host, text, *url);
        free(origin);
    }
    if (*url && *host) return true;
    if (*host) leat__host_release(*host);
    free(*url);
    return leat__fault_set(fault, LEAT_ENOMEM, LEAT__FAULT_FATAL, 0, "no memory for a URL");
}

/* ---- redirects ---- */

/* Adds a hop to the chain that messages show. */
static bool note_hop(leat__transfer *transfer, const char *to)
{
    char from[256], shown[256], *chain;
    leat__redact(from, sizeof from, transfer->url);
    leat__redact(shown, sizeof shown, to);
    if (asprintf(&chain, "%s -> %s", transfer->chain ? transfer->chain : from, shown) < 0) return false;
    free(transfer->chain);
    transfer->chain = chain;
    return true;
}

static bool refuse(leat__transfer *transfer, leat__fault *fault, const char *why)
{
    return leat__fault_set(fault, LEAT_EREDIRECT, LEAT__FAULT_FATAL, 0, "redirect refused, %s: %s", why,
                           transfer->chain);
}

bool leat__redirect_follow(leat__transfer *transfer, const char *location, leat__fault *fault)
{
    const char *from = transfer->target ? transfer->target : transfer->url;
    char *url = NULL, *origin = NULL, why[700];
    leat__fault parse;
    bool good = false, parsed = leat__url_parse(location, from, &url, &origin, &parse);
    if (!note_hop(transfer, parsed ? url : location)) {
        leat__fault_set(fault, LEAT_ENOMEM, LEAT__FAULT_FATAL, 0, "no memory for a redirect");
        goto out;
    }
    transfer->hops++;
    if (!parsed) {
        snprintf(why, sizeof why, "%s", parse.text);
        refuse(transfer, fault, why);
        goto out;
    }
    if (transfer->hops > transfer->http->options.redirects) {
        snprintf(why, sizeof why, "more than %" PRIu32 " in a row", transfer->http->options.redirects);
        refuse(transfer, fault, why);
        goto out;
    }
    if (!strncmp(from, "https:", 6) && strncmp(url, "https:", 6)) {
        refuse(transfer, fault, "from https to http");
        goto out;
    }
    leat__host *host = leat__host_get(transfer->http, origin);
    if (!host) {
        leat__fault_set(fault, LEAT_ENOMEM, LEAT__FAULT_FATAL, 0, "no memory for a redirect");
        goto out;
    }
    leat__host_release(transfer->host);
    transfer->host = host;
    if (strcmp(origin, transfer->home->origin)) transfer->foreign = true;
    free(transfer->target);
    transfer->target = url;
    url = NULL;
    transfer->http->stats.redirects++;
    good = true;
out:
    free(url);
    free(origin);
    return good;
}

void leat__redirect_forget(leat__transfer *transfer)
{
    if (!transfer->hops) return;
    leat__host_release(transfer->host);
    transfer->host = leat__host_share(transfer->home);
    free(transfer->target);
    free(transfer->chain);
    transfer->target = transfer->chain = NULL;
    transfer->hops = 0;
    transfer->foreign = false;
}
