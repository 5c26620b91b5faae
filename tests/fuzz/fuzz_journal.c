/* fuzz_journal.c - any bytes as a journal, as they come and with the header's checksum put right. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "store/checksum.h"
#include "store/journal.h"

#define AT_CRC 260
#define HEADER 264
#define RECORD 16

static void check(const uint8_t *data, size_t size)
{
    leat_error error;
    leat__journal_head head;
    uint32_t *crcs;
    bool *there;
    size_t used, noted = 0;
    leat_code code = leat__journal_parse(data, size, &head, &crcs, &there, &used, &error);
    if ((code == LEAT_OK) != (crcs && there)) abort();
    if (code) {
        if (crcs || there || used != 0 || !error.message[0]) abort();
        return;
    }
    uint64_t parts = leat__journal_parts(&head);
    if (used < HEADER || used > size || (used - HEADER) % RECORD || parts > LEAT__JOURNAL_MOST_PARTS) abort();
    if (strnlen(head.etag, sizeof head.etag) == sizeof head.etag || strpbrk(head.etag, "\r\n")) abort();
    if (strnlen(head.modified, sizeof head.modified) == sizeof head.modified || strpbrk(head.modified, "\r\n")) abort();
    for (uint64_t i = 0; i < parts; i++) noted += there[i] || crcs[i];
    if (noted > (used - HEADER) / RECORD) abort();
    free(crcs);
    free(there);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(data, size);
    if (size < HEADER) return 0;
    uint8_t *mended = malloc(size);
    if (!mended) abort();
    memcpy(mended, data, size);
    uint32_t crc = leat__crc32c(0, mended, AT_CRC), little = htole32(crc);
    memcpy(mended + AT_CRC, &little, 4);
    for (size_t at = HEADER; size - at >= RECORD; at += RECORD) {
        little = htole32(leat__crc32c(crc, mended + at, 12));
        memcpy(mended + at + 12, &little, 4);
    }
    check(mended, size);
    free(mended);
    return 0;
}
