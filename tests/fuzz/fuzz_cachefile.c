/* fuzz_cachefile.c - any bytes as the head of a cache file, as they come and with the checksum put right. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "store/cachefile.h"
#include "store/checksum.h"

static bool is_text(const char *text, size_t capacity)
{
    if (strnlen(text, capacity) == capacity) return false;
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) return false;
    return true;
}

static void check(const uint8_t *page)
{
    leat__cachehead head;
    leat_error error = {.code = LEAT_OK};
    leat_code code = leat__cachefile_parse(page, &head, &error);
    if (code) {
        if (code != LEAT_ECORRUPT || !error.message[0]) abort();
        return;
    }
    if (!is_text(head.etag, sizeof head.etag) || !is_text(head.modified, sizeof head.modified)) abort();
    if (!is_text(head.url, sizeof head.url)) abort();
    uint64_t data_at = leat__cachefile_data_at(head.total), bytes = leat__cachefile_bytes(head.total);
    if (data_at % LEAT__CACHE_HEAD || bytes < head.total || bytes - head.total != data_at) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t page[LEAT__CACHE_HEAD] = {0};
    memcpy(page, data, size < sizeof page ? size : sizeof page);
    check(page);
    uint32_t crc = htole32(leat__crc32c(0, page, sizeof page - 4));
    memcpy(page + sizeof page - 4, &crc, sizeof crc);
    check(page);
    return 0;
}
