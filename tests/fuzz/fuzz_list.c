/* fuzz_list.c - a list file of any bytes: its lines, braces and names. No path in it is opened, only looked for. */
#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stages/source.h"

#define MOST_OBJECTS 5000 /* more would only take time */

struct seen {
    uint64_t count;
    size_t longest;
};

static bool see(void *user, const char *text)
{
    struct seen *seen = user;
    if (strlen(text) > seen->longest) seen->longest = strlen(text);
    return ++seen->count < MOST_OBJECTS;
}

/* Checks the expansion of one line by itself; returns how many objects it names. */
static uint64_t check_line(const char *line, leat_error *error)
{
    uint64_t count = 1;
    struct seen seen = {0};
    leat_code code = leat__braces_count(line, &count, error);
    if (leat__braces_expand(line, see, &seen, error) != code) abort();
    if (code) return seen.count == 0 && error->message[0] ? 1 : (abort(), 0);
    if (seen.count != (count < MOST_OBJECTS ? count : MOST_OBJECTS) || seen.longest > strlen(line)) abort();
    return count;
}

static void check_listing(const leat__listing *listing)
{
    for (size_t i = 0; i < listing->count; i++) {
        const leat__object *object = &listing->objects[i];
        if (object->number != i || object->is_shard != !object->key || object->is_shard != !object->field) abort();
        if (object->is_url != listing->objects[0].is_url) abort();
        if (object->label < -1 || object->label >= (int64_t)listing->class_count) abort();
        for (const char *c = object->display; *c; c++) {
            if ((unsigned char)*c < 0x20 || *c == 0x7f) abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    leat_error error;
    char path[64];
    char *text = malloc(size + 1);
    if (!text) return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    uint64_t total = 0;
    char *save;
    for (char *line = strtok_r(text, "\n", &save); line && total <= MOST_OBJECTS; line = strtok_r(NULL, "\n", &save)) {
        uint64_t count = check_line(line, &error);
        total = count > MOST_OBJECTS ? MOST_OBJECTS + 1 : total + count;
    }
    free(text);
    int fd = memfd_create("list", MFD_CLOEXEC);
    if (total <= MOST_OBJECTS && fd >= 0 && write(fd, data, size) == (ssize_t)size) {
        leat__listing *listing;
        snprintf(path, sizeof path, "@/proc/self/fd/%d", fd);
        leat_code code = leat__source_list(path, &listing, &error);
        if ((code == LEAT_OK) != (listing != NULL) || (code && !error.message[0])) abort();
        if (listing) check_listing(listing);
        leat__listing_free(listing);
    }
    if (fd >= 0) close(fd);
    return 0;
}
