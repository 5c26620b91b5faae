/* fuzz_tar.c - any bytes as a tar archive; and what comes out must not depend on how they are cut into chunks.
 * Each input is read as it is, and once more with right checksums in all that looks like a header: else few changes
 * get past them. Seeds: what tests/archives.py makes. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"
#include "stages/tar.h"

static const leat__object object = { .display = "fuzz.tar", .is_shard = true };

#define CHECK(what) do { if (!(what)) { fprintf(stderr, "fuzz_tar: %s\n", #what); abort(); } } while (0)

/* FNV-1a over all that a reader could see of the samples. */
typedef struct sight {
    uint64_t hash, samples;
} sight;

static void see_bytes(sight *s, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) s->hash = (s->hash ^ bytes[i]) * 1099511628211u;
    s->hash = (s->hash ^ size) * 1099511628211u;
}

static void see(void *user, leat__sample *sample)
{
    sight *s = user;
    CHECK(sample->index == s->samples++);
    CHECK(sample->failed ? sample->error.code >= LEAT_EINVAL : sample->field_count > 0);
    see_bytes(s, sample->key, strlen(sample->key));
    see_bytes(s, &sample->offset, sizeof sample->offset);
    see_bytes(s, sample->error.message, strlen(sample->error.message));
    size_t total = 0;
    for (size_t i = 0; i < sample->field_count; i++) {
        const leat__sample_field *f = &sample->fields[i];
        see_bytes(s, f->name, strlen(f->name));
        see_bytes(s, &f->offset, sizeof f->offset);
        see_bytes(s, f->bytes.data, f->bytes.size);
        total += f->bytes.size;
    }
    CHECK(total == sample->item.bytes);
    leat__item_release(&sample->item);
}

static leat_code read_archive(leat__tar *tar, leat__arena *arena, const uint8_t *data, size_t size, size_t chunk,
                              sight *s, leat_error *error)
{
    *s = (sight){ 14695981039346656037u, 0 };
    leat__error_clear(error);
    leat__tar_begin(tar, &object, 0);
    for (size_t at = 0, n; at < size; at += n) {
        n = size - at < chunk ? size - at : chunk;
        leat__buffer *buffer = leat__buffer_new(arena, NULL, n);
        CHECK(buffer);
        memcpy(buffer->data, data + at, n);
        leat__bytes bytes = { buffer, buffer->data, n };
        leat_code code = leat__tar_feed(tar, &bytes, see, s, error);
        leat__bytes_release(&bytes);
        if (code) return code;
    }
    return leat__tar_end(tar, see, s, error);
}

static void read_in_all_ways(const uint8_t *data, size_t size)
{
    leat__arena *arena = leat__arena_new((size_t)1 << 20);
    leat__stock *samples = leat__stock_new();
    leat__tar_options options = { .arena = arena, .samples = samples, .max_sample_bytes = 1 << 20 };
    leat__tar *tar = leat__tar_new(&options);
    sight whole, pieces;
    leat_error error, other;
    static const size_t chunks[] = { 100, 512, 1499 };
    leat_code code = read_archive(tar, arena, data, size, size, &whole, &error);
    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        CHECK(read_archive(tar, arena, data, size, chunks[i], &pieces, &other) == code);
        CHECK(pieces.hash == whole.hash && pieces.samples == whole.samples);
        CHECK(!strcmp(error.message, other.message) && !strcmp(error.key, other.key) && error.offset == other.offset);
    }
    leat__tar_free(tar);
    CHECK(leat__stock_live(samples) == 0 && leat__arena_live(arena) == 0);
    leat__stock_release(samples);
    leat__arena_release(arena);
}

static void seal(uint8_t *block)
{
    unsigned sum = 0;
    char digits[16];
    memset(block + 148, ' ', 8);
    for (int i = 0; i < 512; i++) sum += block[i];
    snprintf(digits, sizeof digits, "%06o", sum);
    memcpy(block + 148, digits, 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_in_all_ways(data, size);
    uint8_t *sealed = malloc(size + 1);
    CHECK(sealed);
    if (size) memcpy(sealed, data, size);
    for (size_t at = 0; at + 512 <= size; at += 512) {
        if (memcmp(sealed + at + 257, "ustar", 5) == 0) seal(sealed + at);
    }
    read_in_all_ways(sealed, size);
    free(sealed);
    return 0;
}
