/* gunzip.c - gzip members one after another, by zlib.
 *
 * What:    gives a stream to inflate() member by member.
 * Why so:  zlib stops at a member's end and knows nothing of the next, which bgzip and `cat a.gz b.gz` make. After the
 *          last one, zeros are padding, as for gzip(1). Of other garbage gzip(1) warns, and drops it; here it is an
 *          error, since it may be the rest of the data, damaged.
 *
 *     BETWEEN --0x1f--> WITHIN --Z_STREAM_END--> BETWEEN --0--> PADDING --0--> PADDING
 *
 * Threads: one holder.
 * Source:  RFC 1952; gzip 1.12's get_method() for padding.
 * Not here: limits of output and ratio (decompress.c). */
#include "stages/gunzip.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>

#include <zlib.h>

#include "pipeline/failure.h"

enum { GZIP_ONLY = 16, MAGIC_1 = 0x1f, MAGIC_2 = 0x8b, DEFLATE = 8 };

struct leat__gunzip {
    z_stream stream;
    enum { BETWEEN, WITHIN, PADDING } state;
    bool full; /* the last call filled its output: zlib may hold more */
};

leat__gunzip *leat__gunzip_new(void)
{
    leat__gunzip *gunzip = calloc(1, sizeof *gunzip);
    if (!gunzip) return NULL;
    if (inflateInit2(&gunzip->stream, MAX_WBITS + GZIP_ONLY) != Z_OK) {
        free(gunzip);
        return NULL;
    }
    return gunzip;
}

void leat__gunzip_free(leat__gunzip *gunzip)
{
    if (!gunzip) return;
    inflateEnd(&gunzip->stream);
    free(gunzip);
}

void leat__gunzip_begin(leat__gunzip *gunzip)
{
    int result = inflateReset(&gunzip->stream);
    assert(result == Z_OK);
    (void)result;
    gunzip->state = BETWEEN;
    gunzip->full = false;
}

size_t leat__gunzip_memory(void)
{
    return (size_t)64 << 10; /* zlib's technical notes: 32 KiB of window and about 7 KiB of tables */
}

bool leat__gunzip_magic(const uint8_t *data, size_t size)
{
    assert(size >= 2);
    return data[0] == MAGIC_1 && data[1] == MAGIC_2 && (size == 2 || data[2] == DEFLATE);
}

/* One call of zlib. */
static leat_code decode(leat__gunzip *gunzip, leat__codec_io *flow, leat_error *error)
{
    z_stream *z = &gunzip->stream;
    uInt in = flow->in_size < UINT_MAX ? (uInt)flow->in_size : UINT_MAX;
    uInt out = flow->out_size < UINT_MAX ? (uInt)flow->out_size : UINT_MAX;
    z->next_in = (Bytef *)(uintptr_t)flow->in; /* zlib 1.2 lacks the const */
    z->avail_in = in;
    z->next_out = flow->out;
    z->avail_out = out;
    int result = inflate(z, Z_NO_FLUSH);
    size_t used = in - z->avail_in, made = out - z->avail_out;
    if (used) flow->in += used;
    flow->in_size -= used;
    flow->out += made;
    flow->out_size -= made;
    gunzip->full = flow->out_size == 0;

    if (result == Z_STREAM_END) {
        leat__gunzip_begin(gunzip);
        return LEAT_OK;
    }
    if (result == Z_OK || (result == Z_BUF_ERROR && (!flow->in_size || !flow->out_size))) return LEAT_OK;
    if (result == Z_MEM_ERROR) return leat__fail(error, LEAT_ENOMEM, result, "gzip: out of memory");
    return leat__fail(error, LEAT_ECORRUPT, result, "gzip: %s", z->msg ? z->msg : "no progress");
}

/* Looks at the byte after a member. */
static leat_code between(leat__gunzip *gunzip, leat__codec_io *flow, leat_error *error)
{
    uint8_t next = *flow->in;
    if (gunzip->state == BETWEEN && next == MAGIC_1) {
        gunzip->state = WITHIN;
        return LEAT_OK;
    }
    if (next) {
        return leat__fail(error, LEAT_EFORMAT, 0, "gzip: after the last member comes byte 0x%02x, which begins none",
                          next);
    }
    gunzip->state = PADDING;
    flow->in++;
    flow->in_size--;
    return LEAT_OK;
}

leat_code leat__gunzip_run(leat__gunzip *gunzip, leat__codec_io *flow, leat_error *error)
{
    assert(flow->out_size > 0);
    leat_code code = LEAT_OK;
    while (!code && flow->out_size && (flow->in_size || gunzip->full))
        code = gunzip->state == WITHIN ? decode(gunzip, flow, error) : between(gunzip, flow, error);
    if (code) return code;
    return flow->out_size ? LEAT_OK : LEAT_AGAIN;
}

leat_code leat__gunzip_end(leat__gunzip *gunzip, leat_error *error)
{
    if (gunzip->state != WITHIN) return LEAT_OK;
    return leat__fail(error, LEAT_ETRUNCATED, 0, "gzip: the data ends within a member");
}
