/* wildcard.c - * ? and [..] in paths.
 *
 * What:    matches a pattern folder by folder with fnmatch(3); the result is that of glob(3) without its extensions.
 * Why so:  glob(3) either passes over unreadable folders in silence or cannot say which it was, sorts by the host's
 *          locale, and holds every path a second time. Samples that are not seen must be an error, and the order must
 *          be the same everywhere.
 * Threads: any; nothing is shared.
 * Invariants: (1) path[length] == 0   (2) path is "" or ends in '/' where the next component is matched. */
#include "stages/wildcard.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pipeline/failure.h"

struct search {
    leat__listing *listing;
    leat_error *error;
    char path[PATH_MAX];
    size_t length;
    uint64_t folders; /* that matched the whole pattern */
};

bool leat__has_wildcard(const char *text)
{
    return strpbrk(text, "*?[") != NULL;
}

static leat_code fail_at(const struct search *search, int number)
{
    char shown[512];
    leat__escape(shown, sizeof shown, search->path, search->length);
    return leat__fail_errno(search->error, leat__code_of_errno(number), number, "cannot read folder '%s'", shown);
}

static leat_code append(struct search *search, const char *text, size_t length)
{
    if (length >= sizeof search->path - search->length) return fail_at(search, ENAMETOOLONG);
    memcpy(search->path + search->length, text, length);
    search->length += length;
    search->path[search->length] = '\0';
    return LEAT_OK;
}

static leat_code match(struct search *search, const char *pattern);

/* The path is matched up to here; `rest` of the pattern begins with a slash or is empty. */
static leat_code go_on(struct search *search, const char *rest)
{
    struct stat status;
    if (*rest == '/') {
        size_t slashes = strspn(rest, "/");
        leat_code code = append(search, "/", 1);
        return code ? code : match(search, rest + slashes);
    }
    if (lstat(search->path, &status) != 0) return LEAT_OK;
    if (S_ISLNK(status.st_mode) && stat(search->path, &status) != 0) status.st_mode = S_IFREG; /* reading will tell */
    if (S_ISDIR(status.st_mode)) {
        search->folders++;
        return LEAT_OK;
    }
    return leat__listing_add(search->listing, search->path, LEAT__KEY_OF_PARENT, -1, search->error);
}

static leat_code match_entries(struct search *search, DIR *dir, const char *component, const char *rest)
{
    size_t length = search->length;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) return errno ? fail_at(search, errno) : LEAT_OK;
        bool may_be_folder = entry->d_type == DT_DIR || entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN;
        if (*rest == '/' && !may_be_folder) continue;
        if (fnmatch(component, entry->d_name, FNM_PERIOD) != 0) continue;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        leat_code code = append(search, entry->d_name, strlen(entry->d_name));
        if (!code) code = go_on(search, rest);
        search->path[search->length = length] = '\0';
        if (code) return code;
    }
}

/* Matches the next component of the pattern in the folder at search->path. */
static leat_code match(struct search *search, const char *pattern)
{
    assert(search->length == 0 || search->path[search->length - 1] == '/');
    size_t length = strcspn(pattern, "/");
    if (length == 0) { /* "folder/": as good as "folder" */
        search->folders++;
        return LEAT_OK;
    }
    char component[PATH_MAX];
    if (length >= sizeof component) return fail_at(search, ENAMETOOLONG);
    memcpy(component, pattern, length);
    component[length] = '\0';
    if (!leat__has_wildcard(component)) {
        leat_code code = append(search, component, length);
        return code ? code : go_on(search, pattern + length);
    }
    DIR *dir = opendir(search->length ? search->path : ".");
    if (!dir) return errno == ENOENT || errno == ENOTDIR ? LEAT_OK : fail_at(search, errno);
    leat_code code = match_entries(search, dir, component, pattern + length);
    closedir(dir);
    return code;
}

leat_code leat__wildcard_list(const char *pattern, leat__listing *listing, leat_error *error)
{
    assert(pattern && listing);
    struct search *search = calloc(1, sizeof *search);
    if (!search) return leat__fail(error, LEAT_ENOMEM, 0, "no memory to match a pattern");
    search->listing = listing, search->error = error;
    size_t before = listing->count, slashes = strspn(pattern, "/");
    leat_code code = slashes ? append(search, "/", 1) : LEAT_OK;
    if (!code) code = match(search, pattern + slashes);
    if (!code && listing->count == before) {
        char shown[512];
        leat__escape(shown, sizeof shown, pattern, strlen(pattern));
        code = leat__fail(error, LEAT_ENOTFOUND, 0, "no file matches '%s'%s", shown,
                          search->folders ? ", only folders: add '/*' to name their files" : "");
    }
    leat__listing_sort(listing, before);
    free(search);
    return code;
}
