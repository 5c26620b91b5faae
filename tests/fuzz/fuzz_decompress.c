/* fuzz_decompress.c - any bytes as a packed object; whether it unpacks, and to what, must not depend on how it is cut
 * into chunks. Seeds: anything that zstd and gzip make. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"
#include "stages/decompress.h"

#define CHECK(what) do { if (!(what)) { fprintf(stderr, "fuzz_decompress: %s\n", #what); abort(); } } while (0)

static const leat__decompress_limits limits = { .max_window_log = 20, .max_output = 4 << 20, .ratio = 1000,
                                                .ratio_after = 1 << 20 };

typedef struct result {
    leat_code code;
    uint64_t hash, size;
} result;

static void see(result *r, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) r->hash = (r->hash ^ data[i]) * 1099511628211u; /* FNV-1a */
    r->size += size;
}

static result unpack(leat__decompressor *d, const uint8_t *data, size_t size, size_t in_chunk, size_t out_chunk)
{
    static uint8_t buffer[65536];
    result r = { LEAT_OK, 14695981039346656037u, 0 };
    leat_error error;
    leat__decompressor_begin(d);
    for (size_t at = 0, n; r.code == LEAT_OK; at += n) {
        n = size - at < in_chunk ? size - at : in_chunk;
        bool last = at + n == size;
        const uint8_t *in = data + at;
        size_t in_size = n, calls = 0;
        if (leat__decompressor_passes(d, in, n, last)) {
            see(&r, in, n);
        } else {
            do {
                uint8_t *out = buffer;
                size_t room = out_chunk, had = in_size;
                r.code = leat__decompress(d, &in, &in_size, last, &out, &room, &error);
                CHECK(r.code != LEAT_AGAIN || room == 0);
                CHECK(r.code != LEAT_OK || (in_size == 0 && room > 0));
                CHECK(in + in_size == data + at + n && in_size <= had);
                see(&r, buffer, (size_t)(out - buffer));
                CHECK(++calls <= (limits.max_output + out_chunk) / out_chunk + 2); /* progress */
            } while (r.code == LEAT_AGAIN);
        }
        if (last) break;
    }
    CHECK(r.size == leat__decompressor_made(d));
    CHECK(r.size <= limits.max_output + out_chunk || leat__decompressor_codec(d) == LEAT__CODEC_NONE);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t chunks[][2] = { { 1 << 20, 65536 }, { 1, 4096 }, { 3, 65536 }, { 1000, 777 } };
    leat__decompressor *d = leat__decompressor_new(&limits);
    CHECK(d);
    result first = unpack(d, data, size, chunks[0][0], chunks[0][1]);
    for (size_t i = 1; i < sizeof chunks / sizeof chunks[0]; i++) {
        result r = unpack(d, data, size, chunks[i][0], chunks[i][1]);
        /* The ratio is looked at after each buffer, so it may be over at one place and not at another. */
        if (first.code == LEAT_ELIMIT || r.code == LEAT_ELIMIT) continue;
        CHECK((r.code == LEAT_OK) == (first.code == LEAT_OK));
        if (r.code == LEAT_OK) CHECK(r.hash == first.hash && r.size == first.size);
    }
    leat__decompressor_free(d);
    return 0;
}
