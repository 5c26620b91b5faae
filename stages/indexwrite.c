/* indexwrite.c - leat.index: writing.
 *
 * What:    header, table and places of given rows, straight into a sink.
 * Why so:  rows are sorted and everything lies where what is before it ends: the same rows give the same bytes, whoever counted
 *          them.
 * Threads: the caller's.
 * Not here: reading (indexfile.c), where rows come from (loader/indexing.c, loader/packindex.c). */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <libdeflate.h>

#include "pipeline/failure.h"
#include "stages/indexlayout.h"

static uint64_t table_size(const leat__index_row *rows, size_t count)
{
    uint64_t size = count * (uint64_t)LEAT__INDEX_ROW;
    for (size_t i = 0; i < count; i++) size += strlen(rows[i].name) + strlen(rows[i].etag) + 2;
    return size;
}

static void put_row(uint8_t *at, const leat__index_row *row, uint64_t text, uint64_t places)
{
    uint32_t flags = (row->places ? LEAT__INDEX_HAS_PLACES : 0) | (row->has_head_crc ? LEAT__INDEX_HAS_HEAD : 0);
    assert(!row->places || (row->bytes <= LEAT__INDEX_MOST_BYTES && row->unpacked == row->bytes));
    leat__put_u64(at, row->bytes);
    leat__put_u64(at + 8, row->samples);
    leat__put_u64(at + 16, row->places ? places : 0);
    leat__put_u32(at + 24, row->has_head_crc ? row->head_crc : 0);
    leat__put_u32(at + 28, flags);
    leat__put_u32(at + 32, (uint32_t)strlen(row->name));
    leat__put_u32(at + 36, (uint32_t)strlen(row->etag));
    leat__put_u64(at + 40, text);
    leat__put_u64(at + 48, row->unpacked);
}

/* Fills the table; returns where the places end, which is the file's size. *samples: in all. */
static uint64_t put_table(uint8_t *table, uint64_t size, const leat__index_row *rows, size_t count, uint64_t *samples)
{
    uint64_t text = count * (uint64_t)LEAT__INDEX_ROW, places = LEAT__INDEX_HEADER + size;
    *samples = 0;
    for (size_t i = 0; i < count; i++) {
        size_t name = strlen(rows[i].name), etag = strlen(rows[i].etag);
        assert(name > 0 && (i == 0 || strcmp(rows[i - 1].name, rows[i].name) < 0));
        put_row(table + i * LEAT__INDEX_ROW, &rows[i], text, places);
        memcpy(table + text, rows[i].name, name + 1);
        memcpy(table + text + name + 1, rows[i].etag, etag + 1);
        text += name + etag + 2;
        if (rows[i].places) places += leat__index_places_bytes(rows[i].samples);
        *samples += rows[i].samples;
    }
    assert(text == size);
    return places;
}

static leat_code write_places(const leat__index_row *row, leat__index_sink sink, void *user, leat_error *error)
{
    uint8_t block[LEAT__INDEX_BLOCK_BYTES];
    leat_code code = LEAT_OK;
    for (uint64_t i = 0; !code && i <= row->samples;) {
        size_t filled = 0;
        for (; filled < LEAT__PLACE_BLOCK && i <= row->samples; filled++, i++) leat__put_u32(block + filled * 4, row->places[i]);
        leat__put_u32(block + filled * 4, libdeflate_crc32(0, block, filled * 4));
        code = sink(user, block, filled * 4 + 4, error);
    }
    return code;
}

leat_code leat__index_file_write(const leat__index_row *rows, size_t count, leat__index_sink sink, void *user, leat_error *error)
{
    uint8_t header[LEAT__INDEX_HEADER] = {0};
    uint64_t size = table_size(rows, count), samples;
    uint8_t *table = malloc(size + 1);
    if (!table) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for an index of %zu shards", count);
    uint64_t whole = put_table(table, size, rows, count, &samples);
    memcpy(header, leat__index_magic, sizeof leat__index_magic);
    leat__put_u32(header + 8, LEAT__INDEX_VERSION);
    leat__put_u32(header + 12, LEAT__INDEX_HEADER);
    leat__put_u64(header + 16, whole);
    leat__put_u64(header + 24, count);
    leat__put_u64(header + 32, samples);
    leat__put_u64(header + 40, size);
    leat__put_u32(header + 56, libdeflate_crc32(0, table, size));
    leat__put_u32(header + 60, libdeflate_crc32(0, header, 60));
    leat_code code = sink(user, header, sizeof header, error);
    if (!code) code = sink(user, table, size, error);
    free(table);
    for (size_t i = 0; !code && i < count; i++) {
        if (rows[i].places) code = write_places(&rows[i], sink, user, error);
    }
    return code;
}
