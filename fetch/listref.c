/* listref.c - what an entry of a list refers to.
 *
 * What:    URLs are themselves. A path is relative to the list's folder. In a list from a server everything else is a reference
 *          relative to its URL (RFC 3986, 5.2, without removing dots, which the client does); a file's name is percent-encoded.
 * Why so:  a list from a server that could name local files would copy them to where it says.
 * Threads: any; pure. */
#include "fetch/listref.h"

#include <assert.h>
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "pipeline/failure.h"
#include "stages/filename.h"

leat_code leat__listref_scheme(const char *name, leat_error *error)
{
    size_t length = leat__is_url(name) ? 0 : leat__scheme_length(name);
    if (length == 0) return LEAT_OK;
    bool is_file = length == 4 && strncasecmp(name, "file", 4) == 0;
    return leat__fail(error, LEAT_EINVAL, 0, "'%.*s://' is not read: %s", (int)(length > 32 ? 32 : length), name,
                      is_file ? "write the path itself" : "only http:// and https:// URLs and local paths are");
}

/* How much of the list's URL stays in front of a reference: up to its folder, its host, or its scheme. */
static size_t kept_of(const char *folder, const char *text, bool is_file)
{
    leat__filename filename = leat__filename_parse(folder);
    if (text[0] != '/') return strlen(folder);
    bool is_host = !is_file && text[1] == '/';
    return is_host ? leat__scheme_length(folder) + strlen(":") : (size_t)(filename.path - folder);
}

/* A file's name as a URL's path. Returns its length; out has room for 3 bytes each. */
static size_t encode(const char *text, char *out)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t length = 0;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (isascii(c) && (isalnum(c) || strchr("-._~/!$&'()*+,;=:@", c))) {
            out[length++] = (char)c;
            continue;
        }
        out[length++] = '%', out[length++] = digits[c >> 4], out[length++] = digits[c & 15];
    }
    out[length] = '\0';
    return length;
}

leat_code leat__listref_resolve(const char *folder, const char *text, bool is_file, char out[LEAT__REF_BYTES], leat_error *error)
{
    leat_code code = is_file ? LEAT_OK : leat__listref_scheme(text, error);
    bool is_served = leat__is_url(folder), is_url = !is_file && leat__is_url(text);
    size_t kept = is_url ? 0 : is_served ? kept_of(folder, text, is_file) : text[0] == '/' ? 0 : strlen(folder);
    if (code) return code;
    if (strlen(text) > LEAT__LIST_LINE || kept > LEAT__REF_BYTES - 3 * LEAT__LIST_LINE - 1)
        return leat__fail(error, LEAT_EINVAL, 0, "it is longer than 64 KiB");
    memcpy(out, folder, kept);
    if (is_served && is_file) encode(text, out + kept);
    else strcpy(out + kept, text);
    if (!is_url && !is_served && strlen(out) >= PATH_MAX)
        return leat__fail(error, LEAT_EINVAL, 0, "a path of more than %d bytes", PATH_MAX - 1);
    return LEAT_OK;
}
