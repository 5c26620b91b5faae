/* reference_tar.c - a tar reader that sees the whole archive at once (reference_tar.h). */
#include "tests/reference_tar.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512 };

/* What extended headers say of the next entry. */
typedef struct said {
    const char *path; /* NULL: nothing */
    size_t length;
    bool has_size;
    uint64_t size;
} said;

static uint64_t octal(const uint8_t *field, size_t length)
{
    uint64_t value = 0;
    if (field[0] == 0x80) {
        for (size_t i = 1; i < length; i++) value = value << 8 | field[i];
        return value;
    }
    size_t i = 0;
    while (i < length && field[i] == ' ') i++;
    for (; i < length && field[i] >= '0' && field[i] <= '7'; i++) value = value * 8 + (uint64_t)(field[i] - '0');
    return value;
}

static bool sum_is_right(const uint8_t *block)
{
    unsigned sum = 0;
    for (int i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? ' ' : block[i];
    return octal(block + 148, 8) == sum;
}

static bool is_zero(const uint8_t *block)
{
    for (int i = 0; i < BLOCK; i++) {
        if (block[i]) return false;
    }
    return true;
}

static void read_records(const char *text, size_t size, said *s)
{
    for (size_t at = 0; at < size && text[at] >= '1' && text[at] <= '9';) {
        char *key;
        size_t length = strtoul(text + at, &key, 10);
        const char *end = text + at + length - 1;
        if (length == 0 || length > size - at || *end != '\n') return;
        key++;
        if (memcmp(key, "path=", 5) == 0) {
            s->path = key + 5;
            s->length = (size_t)(end - s->path);
        } else if (memcmp(key, "size=", 5) == 0) {
            s->has_size = true;
            s->size = strtoull(key + 5, NULL, 10);
        }
        at += length;
    }
}

/* The header's own name, put together in `room` (257 bytes) if it has a prefix. */
static void own_name(const uint8_t *block, char *room, said *s)
{
    const char *name = (const char *)block, *prefix = (const char *)block + 345;
    s->path = name;
    s->length = strnlen(name, 100);
    if (memcmp(block + 257, "ustar", 6) != 0 || !prefix[0]) return;
    size_t used = strnlen(prefix, 155);
    memcpy(room, prefix, used);
    room[used] = '/';
    memcpy(room + used + 1, name, s->length);
    s->path = room;
    s->length += used + 1;
}

bool reference_tar_walk(const uint8_t *data, size_t size, reference_tar_see see, void *user)
{
    said next = {0};
    bool pending = false;
    size_t at = 0;
    while (size - at >= BLOCK) {
        const uint8_t *block = data + at;
        if (is_zero(block)) return !pending && (size - at < 2 * BLOCK || is_zero(block + BLOCK));
        if (!sum_is_right(block)) return false;
        char room[257], type = (char)block[156];
        bool extended = type == 'x' || type == 'g' || type == 'L' || type == 'K';
        uint64_t body = next.has_size && !extended ? next.size : octal(block + 124, 12);
        if (type >= '1' && type <= '6') body = 0;
        at += BLOCK;
        if (body > size - at) return false;
        const char *text = (const char *)data + at;
        if (type == 'x') {
            read_records(text, (size_t)body, &next);
        } else if (type == 'L') {
            next.path = text;
            next.length = strnlen(text, (size_t)body);
        } else if (type == 'g' || type == 'K') {
            /* of no file's name or size, in the archives that this reads */
        } else {
            if (!next.path) own_name(block, room, &next);
            if (type == '0' || type == '\0' || type == '7') see(user, next.path, next.length, at, (size_t)body);
            next = (said){0};
        }
        pending = extended ? pending || type != 'g' : false;
        uint64_t whole = (body + BLOCK - 1) / BLOCK * BLOCK;
        if (whole > size - at) return false;
        at += (size_t)whole;
    }
    return at == size && size > 0 && !pending;
}
