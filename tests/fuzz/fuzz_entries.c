/* fuzz_entries.c - a list or manifest of any bytes, as a source and as --checksums; and its bytes as a name. No path in it is
 * opened, only looked for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fetch/entryname.h"
#include "fetch/sums.h"
#include "pipeline/failure.h"

#define MOST_ENTRIES 5000 /* more would only take time */

static void check_name(const char *name)
{
    char shown[4 * LEAT__ENTRY_PATH_BYTES], again[LEAT__ENTRY_PATH_BYTES];
    size_t length = strlen(name);
    if (length == 0 || length >= LEAT__ENTRY_PATH_BYTES || name[0] == '/' || strstr(name, "/../") || strpbrk(name, "\\:")) abort();
    if (strncmp(name, "../", 3) == 0 || strncasecmp(name, ".leat/", 6) == 0) abort();
    if (strcmp(leat__escape(shown, sizeof shown, name, length), name) != 0) abort();
    if (!leat__entry_name(name, again, sizeof again) || strcmp(again, name) != 0) abort();
}

struct seen {
    uint64_t count;
    bool hashed;
};

static bool see(void *user, const leat__entry *entry)
{
    struct seen *seen = user;
    if (entry->number != seen->count || !entry->source) abort();
    check_name(entry->path);
    if (seen->hashed && (entry->path[2] != '/' || strlen(entry->path) < 67)) abort();
    return ++seen->count < MOST_ENTRIES;
}

static bool see_bad(void *user, uint64_t number, const char *text, const leat_error *error)
{
    struct seen *seen = user;
    if (number != seen->count || error->code == LEAT_OK) abort();
    if (strncmp(error->message, text, strlen(text)) != 0 || strlen(error->message) < strlen(text) + 4) abort();
    for (const char *c = error->message; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) abort();
    return ++seen->count < MOST_ENTRIES;
}

static void read_as_source(const char *path, leat_fetch_layout layout)
{
    char source[80];
    leat_error error;
    struct seen seen = {.hashed = layout == LEAT_FETCH_HASHED};
    snprintf(source, sizeof source, "@%s", path);
    leat__entries_options options = {.sources = &(const char *){source}, .source_count = 1, .layout = layout, .entry = see,
                                     .bad = see_bad, .user = &seen};
    if (leat__entries_read(&options, &error) != LEAT_OK) abort();
}

static void read_as_sums(const char *path)
{
    leat_error error;
    leat__sums *sums;
    leat__sums_entry found;
    leat_code code = leat__sums_read(path, NULL, &sums, &error);
    if ((code == LEAT_OK) != (sums != NULL) || (code && !error.message[0])) abort();
    for (size_t i = 0; sums && i < leat__sums_count(sums); i++) {
        leat__sums_entry entry = leat__sums_at(sums, i);
        check_name(entry.name);
        if (leat__sums_find(sums, entry.name, &found) != LEAT__SUMS_FOUND || strcmp(found.name, entry.name) != 0) abort();
    }
    leat__sums_free(sums);
}

static void read_as_name(const uint8_t *data, size_t size)
{
    char name[LEAT__ENTRY_PATH_BYTES];
    char *text = malloc(size + 1);
    if (!text) return;
    if (size) memcpy(text, data, size);
    text[size] = '\0';
    if (leat__entry_name(text, name, sizeof name)) check_name(name);
    if (leat__entry_name_of_url(text, text + strlen(text), name, sizeof name)) check_name(name);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = memfd_create("list", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd >= 0 && write(fd, data, size) == (ssize_t)size) {
        read_as_source(path, size % 2 ? LEAT_FETCH_HASHED : LEAT_FETCH_NAMES);
        read_as_sums(path);
    }
    if (fd >= 0) close(fd);
    read_as_name(data, size);
    return 0;
}
