/* fuzz_index.c - any bytes as an index: leat.index as it comes and with its checksums put right, WebDataset's JSON, DALI's text. */
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

#include "stages/indexforeign.h"
#include "stages/indexlayout.h"

#define MOST_PLACES 100000 /* more would only take time */

/* Reads all places of a row, in one go and one by one: both give the same. */
static void check_places(const leat__index_file *file, size_t shard, const leat__index_row *row)
{
    leat_error error;
    uint64_t one[2], *places = malloc((row->samples + 1) * sizeof *places);
    if (!places) abort();
    leat_code code = leat__index_file_places(file, shard, 0, row->samples, places, &error);
    if (code && !error.message[0]) abort();
    for (uint64_t i = 0; !code && i < row->samples; i += 1 + row->samples / 50) {
        if (leat__index_file_places(file, shard, i, 1, one, &error) || one[0] != places[i] || one[1] != places[i + 1]) abort();
    }
    if (!code && places[row->samples] > row->bytes) abort();
    free(places);
}

static void check_file(const uint8_t *data, size_t size)
{
    leat_error error;
    leat__index_file *file;
    leat__index_row row;
    uint64_t sum = 0;
    uint8_t *bytes = malloc(size + 1);
    if (!bytes) abort();
    memcpy(bytes, data, size);
    leat_code code = leat__index_file_of_bytes(bytes, size, "it", &file, &error);
    if ((code == LEAT_OK) != (file != NULL) || (code && !error.message[0])) abort();
    for (size_t i = 0; file && i < leat__index_file_shards(file); i++) {
        size_t at;
        leat__index_file_row(file, i, &row);
        if (!*row.name || strlen(row.name) + strlen(row.etag) > LEAT__INDEX_MOST_TEXT) abort();
        if (!leat__index_file_find(file, row.name, &at) || at != i) abort();
        if (row.has_places && (row.samples * 4 > size || row.unpacked != row.bytes)) abort();
        if (row.has_places && (sum += row.samples) < MOST_PLACES) check_places(file, i, &row);
    }
    leat__index_file_free(file);
}

/* The same with the checksums of header and table put right, so that what lies behind them is met. */
static void check_mended(const uint8_t *data, size_t size)
{
    if (size < LEAT__INDEX_HEADER) return;
    uint8_t *bytes = malloc(size);
    if (!bytes) abort();
    memcpy(bytes, data, size);
    uint64_t table = leat__get_u64(bytes + 40);
    if (table <= size - LEAT__INDEX_HEADER)
        leat__put_u32(bytes + 56, libdeflate_crc32(0, bytes + LEAT__INDEX_HEADER, table));
    leat__put_u32(bytes + 60, libdeflate_crc32(0, bytes, 60));
    check_file(bytes, size);
    free(bytes);
}

static void check_list(leat_code code, leat__index_list *list, const leat_error *error, size_t size)
{
    if (code && !error->message[0]) abort();
    if (list->count > size) abort();
    for (size_t i = 0; !code && i < list->count; i++) {
        const leat__index_row *row = &list->rows[i];
        if (!*row->name || strchr(row->name, '/') || (row->places && row->samples > size)) abort();
        for (uint64_t n = 0; row->places && n < row->samples; n++)
            if (row->places[n] >= row->places[n + 1]) abort();
    }
    leat__index_list_end(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    leat_error error;
    leat__index_list list = {0};
    check_file(data, size);
    check_mended(data, size);
    check_list(leat__wids_read(data, size, "it", &list, &error), &list, &error, size);
    check_list(leat__dali_read(data, size, "it", "a.tar", &list, &error), &list, &error, size);
    return 0;
}
