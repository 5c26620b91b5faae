/* fuzz_reply.c - any bytes as the header of a response, judged as the answer to each kind of request.
 * Seeds: seed_reply.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stages/http_internal.h"

#define CHECK(what) do { if (!(what)) { fprintf(stderr, "fuzz_reply: %s\n", #what); abort(); } } while (0)

static const leat__known any = {.total = LEAT__NO_SIZE}, this_one = {.total = 200, .etag = "\"a\""};

#define TO_END .to = LEAT__NO_SIZE, .expected = &any
static const leat__asked requests[] = {
    {TO_END, .max_bytes = UINT64_MAX},
    {TO_END, .max_bytes = 1000},
    {TO_END, .from = 100, .max_bytes = UINT64_MAX},
    {TO_END, .from = 100, .continues = true, .max_bytes = 100000},
    {TO_END, .from = UINT64_MAX - 2, .continues = true, .max_bytes = UINT64_MAX},
    {TO_END, .from = 150, .continues = true, .max_bytes = UINT64_MAX},
    {.from = 0, .to = 150, .expected = &any, .max_bytes = UINT64_MAX},
    {.from = 100, .to = 150, .expected = &any, .continues = true, .max_bytes = 1000},
    {.from = 100, .to = UINT64_MAX - 1, .expected = &any, .max_bytes = UINT64_MAX},
    {.from = 100, .to = 200, .expected = &this_one, .max_bytes = UINT64_MAX},
    {.from = 0, .to = LEAT__NO_SIZE, .expected = &this_one, .max_bytes = UINT64_MAX},
};

/* What an accepted header must not be able to say. */
static void check_body(const leat__asked *asked, const leat__known *known, const leat__span *span)
{
    CHECK(span->skip == 0 || span->skip == asked->from);
    CHECK(span->skip || asked->from == 0 || span->end > asked->from);
    CHECK(known->total == LEAT__NO_SIZE || known->total <= asked->max_bytes);
    CHECK(span->end == LEAT__NO_SIZE || span->end <= asked->max_bytes);
    CHECK(span->end == LEAT__NO_SIZE || known->total == LEAT__NO_SIZE || span->end <= known->total);
    CHECK(asked->to == LEAT__NO_SIZE || known->total >= asked->to);
    CHECK(asked->expected->total == LEAT__NO_SIZE || known->total == asked->expected->total);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    leat__reply reply = {.status = 0};
    leat__fault fault = {.code = LEAT_OK};
    bool good = true;
    for (size_t at = 0, n; good && at < size; at += n) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        n = end ? (size_t)(end - (data + at)) + 1 : size - at;
        good = leat__reply_line(&reply, (const char *)data + at, n, &fault);
        CHECK(good || fault.code >= LEAT_EINVAL);
    }
    for (size_t i = 0; good && i < sizeof requests / sizeof *requests; i++) {
        leat__known known = {.total = requests[i].from <= 200 ? 200 : LEAT__NO_SIZE, .etag = "\"a\""};
        leat__span span = {.skip = 0, .end = LEAT__NO_SIZE};
        fault.code = LEAT_OK;
        switch (leat__reply_judge(&reply, &requests[i], &known, &span, &fault)) {
        case LEAT__VERDICT_BODY:
            check_body(&requests[i], &known, &span);
            break;
        case LEAT__VERDICT_NOTHING:
            CHECK(known.total == requests[i].from && requests[i].to == LEAT__NO_SIZE);
            break;
        case LEAT__VERDICT_REFUSED:
            CHECK(fault.code >= LEAT_EINVAL && memchr(fault.text, 0, sizeof fault.text));
            break;
        default:
            break;
        }
    }
    leat__reply_clear(&reply);
    return 0;
}
