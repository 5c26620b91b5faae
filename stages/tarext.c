/* tarext.c - extended headers of a tar archive.
 *
 * What:    collects the body of an 'x', 'g' or 'L' header, reads it, and lays what it says over the next entry's.
 * Why so:  the body is kept whole, because a record may cross chunks; its memory grows as it comes, so that a header
 *          that announces 1 MiB and then ends costs nothing. Each 'x' replaces the one before: a million of them take
 *          time in proportion to their bytes and the memory of the largest.
 * Threads: one holder.
 * Invariants: text_size <= text_capacity, text_size + remaining <= MAX_TEXT.
 * Not here: the records' syntax (pax.c). */
#include "stages/tarext.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"

enum {
    MAX_TEXT = 1 << 20, /* PATH_MAX is 4 KiB, so this is room for 256 paths or attributes */
    TEXT_FIRST = 1024,  /* what pax writers usually make: one block or two */
};

void leat__tarext_next_entry(leat__tarext *ext)
{
    free(ext->long_name);
    ext->long_name = NULL;
    leat__pax_clear(&ext->local);
}

void leat__tarext_next_archive(leat__tarext *ext)
{
    leat__tarext_next_entry(ext);
    leat__pax_clear(&ext->global);
    ext->text_size = 0;
    ext->remaining = 0;
}

void leat__tarext_free(leat__tarext *ext)
{
    free(ext->long_name);
    free(ext->text);
    leat__pax_free(&ext->local);
    leat__pax_free(&ext->global);
    *ext = (leat__tarext){ 0 };
}

leat_code leat__tarext_open(leat__tarext *ext, const leat__tar_header *header, uint64_t offset, leat_error *error)
{
    assert(header->kind == LEAT__TAR_PAX || header->kind == LEAT__TAR_PAX_GLOBAL ||
           header->kind == LEAT__TAR_LONG_NAME);
    if (header->size > MAX_TEXT) {
        return leat__fail(error, LEAT_ELIMIT, 0, "tar header at byte %llu: an extended header of %llu bytes, over %d",
                          (unsigned long long)offset, (unsigned long long)header->size, MAX_TEXT);
    }
    ext->kind = header->kind;
    ext->offset = offset;
    ext->remaining = header->size;
    ext->text_size = 0;
    if (ext->kind == LEAT__TAR_PAX) leat__pax_clear(&ext->local);
    return LEAT_OK;
}

static leat_code text_reserve(leat__tarext *ext, size_t need, leat_error *error)
{
    assert(need <= MAX_TEXT);
    if (need <= ext->text_capacity) return LEAT_OK;
    size_t capacity = ext->text_capacity ? ext->text_capacity : TEXT_FIRST;
    while (capacity < need) capacity *= 2;
    char *text = realloc(ext->text, capacity);
    if (!text) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for an extended header of %zu bytes", need);
    ext->text = text;
    ext->text_capacity = capacity;
    return LEAT_OK;
}

leat_code leat__tarext_add(leat__tarext *ext, const uint8_t *data, size_t size, leat_error *error)
{
    assert(size <= ext->remaining);
    leat_code code = text_reserve(ext, ext->text_size + size, error);
    if (code) return code;
    if (size) memcpy(ext->text + ext->text_size, data, size);
    ext->text_size += size;
    ext->remaining -= size;
    assert(ext->text_size <= ext->text_capacity);
    return LEAT_OK;
}

/* GNU ends the name with a NUL that its size counts. */
static leat_code long_name_read(leat__tarext *ext, leat_error *error)
{
    free(ext->long_name);
    ext->long_name_size = ext->text_size ? strnlen(ext->text, ext->text_size) : 0;
    ext->long_name = strndup(ext->text_size ? ext->text : "", ext->long_name_size);
    if (ext->long_name) return LEAT_OK;
    return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a name of %zu bytes", ext->long_name_size);
}

leat_code leat__tarext_done(leat__tarext *ext, leat_error *error)
{
    assert(ext->remaining == 0);
    if (ext->kind == LEAT__TAR_LONG_NAME) return long_name_read(ext, error);
    leat__pax *pax = ext->kind == LEAT__TAR_PAX ? &ext->local : &ext->global;
    return leat__pax_read(pax, ext->text, ext->text_size, ext->offset, error);
}

void leat__tarext_apply(const leat__tarext *ext, const leat__tar_header *header, const char **path, size_t *length,
                        uint64_t *size, bool *sparse)
{
    const leat__pax *named = ext->local.has_path ? &ext->local : &ext->global;
    const leat__pax *sized = ext->local.has_size ? &ext->local : &ext->global;
    *path = named->has_path ? named->path : ext->long_name ? ext->long_name : header->name;
    *length = named->has_path ? named->path_length : ext->long_name ? ext->long_name_size : header->name_length;
    *size = sized->has_size && header->has_data ? sized->size : header->size;
    *sparse = header->kind == LEAT__TAR_SPARSE || ext->local.sparse;
    assert(*size <= INT64_MAX);
}
