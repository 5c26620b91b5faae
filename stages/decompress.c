/* decompress.c - finds out how an object is packed, and unpacks it within limits.
 *
 * What:    looks at the first four bytes, then runs the codec over what comes.
 * Why so:  by content, never by name: a .zst that holds gzip is read, and one that holds a tar passes through. First
 *          bytes that come alone are held inside, so that a caller never has to join chunks. An object that isn't
 *          packed passes through the caller's hands without a copy (leat__decompressor_passes). The ratio limit stops
 *          a bomb early; it starts late, because a small archive of blank files is no bomb.
 * Threads: one holder.
 * Invariants: codec UNKNOWN: head_size < 4, all bytes so far are in head; else head[head_used..head_size) comes first.
 * Not here: the formats (unzstd.c, gunzip.c), the size of the object as it was sent (fetch). */
#include "stages/decompress.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"
#include "stages/gunzip.h"
#include "stages/unzstd.h"

enum { SNIFF = 4 };

struct leat__decompressor {
    /* fixed after creation */
    leat__decompress_limits limits;
    /* the object's */
    leat__codec codec;
    uint64_t used, made;
    uint8_t head[SNIFF];
    size_t head_size, head_used;
    /* made when first needed */
    leat__unzstd *unzstd;
    leat__gunzip *gunzip;
};

leat__decompressor *leat__decompressor_new(const leat__decompress_limits *limits)
{
    assert(limits->ratio > 0);
    leat__decompressor *decompressor = calloc(1, sizeof *decompressor);
    if (decompressor) decompressor->limits = *limits;
    return decompressor;
}

void leat__decompressor_free(leat__decompressor *decompressor)
{
    if (!decompressor) return;
    leat__unzstd_free(decompressor->unzstd);
    leat__gunzip_free(decompressor->gunzip);
    free(decompressor);
}

void leat__decompressor_begin(leat__decompressor *decompressor)
{
    decompressor->codec = LEAT__CODEC_UNKNOWN;
    decompressor->used = decompressor->made = 0;
    decompressor->head_size = decompressor->head_used = 0;
}

leat__codec leat__decompressor_codec(const leat__decompressor *decompressor)
{
    return decompressor->codec;
}

uint64_t leat__decompressor_used(const leat__decompressor *decompressor)
{
    return decompressor->used;
}

uint64_t leat__decompressor_made(const leat__decompressor *decompressor)
{
    return decompressor->made;
}

size_t leat__decompressor_memory(const leat__decompress_limits *limits)
{
    return leat__unzstd_memory(limits->max_window_log) + leat__gunzip_memory() + sizeof(leat__decompressor);
}

/* A lone first byte can't tell; "(" is 0x28 too. */
static leat__codec codec_of(const uint8_t *data, size_t size)
{
    if (size < 2) return LEAT__CODEC_NONE;
    if (leat__unzstd_magic(data, size)) return LEAT__CODEC_ZSTD;
    return leat__gunzip_magic(data, size) ? LEAT__CODEC_GZIP : LEAT__CODEC_NONE;
}

bool leat__decompressor_passes(leat__decompressor *decompressor, const uint8_t *data, size_t size, bool last)
{
    if (decompressor->codec == LEAT__CODEC_UNKNOWN && decompressor->head_size == 0 && (size >= SNIFF || last) &&
        codec_of(data, size) == LEAT__CODEC_NONE)
        decompressor->codec = LEAT__CODEC_NONE;
    if (decompressor->codec != LEAT__CODEC_NONE || decompressor->head_used < decompressor->head_size) return false;
    decompressor->used += size;
    decompressor->made += size;
    return true;
}

/* Makes the codec ready, the first time with its memory. */
static leat_code codec_begin(leat__decompressor *decompressor, leat_error *error)
{
    if (decompressor->codec == LEAT__CODEC_ZSTD) {
        if (!decompressor->unzstd) {
            const leat__decompress_limits *limits = &decompressor->limits;
            decompressor->unzstd = leat__unzstd_new(limits->max_window_log, limits->arena, limits->budget);
        }
        if (!decompressor->unzstd) return leat__fail(error, LEAT_ENOMEM, 0, "zstd: out of memory");
        leat__unzstd_begin(decompressor->unzstd);
    } else if (decompressor->codec == LEAT__CODEC_GZIP) {
        if (!decompressor->gunzip) decompressor->gunzip = leat__gunzip_new();
        if (!decompressor->gunzip) return leat__fail(error, LEAT_ENOMEM, 0, "gzip: out of memory");
        leat__gunzip_begin(decompressor->gunzip);
    }
    return LEAT_OK;
}

/* Takes first bytes into head until the codec is known. */
static leat_code sniff(leat__decompressor *decompressor, leat__codec_io *flow, bool last, leat_error *error)
{
    while (decompressor->head_size < SNIFF && flow->in_size) {
        decompressor->head[decompressor->head_size++] = *flow->in++;
        flow->in_size--;
    }
    if (decompressor->head_size < SNIFF && !last) return LEAT_OK;
    decompressor->codec = codec_of(decompressor->head, decompressor->head_size);
    assert(decompressor->codec != LEAT__CODEC_UNKNOWN);
    return codec_begin(decompressor, error);
}

static leat_code copy_run(leat__codec_io *flow)
{
    size_t n = flow->in_size < flow->out_size ? flow->in_size : flow->out_size;
    if (n) {
        memcpy(flow->out, flow->in, n);
        flow->in += n;
        flow->out += n;
    }
    flow->in_size -= n;
    flow->out_size -= n;
    return flow->out_size ? LEAT_OK : LEAT_AGAIN;
}

static leat_code codec_run(leat__decompressor *decompressor, leat__codec_io *flow, leat_error *error)
{
    switch (decompressor->codec) {
    case LEAT__CODEC_ZSTD: return leat__unzstd_run(decompressor->unzstd, flow, error);
    case LEAT__CODEC_GZIP: return leat__gunzip_run(decompressor->gunzip, flow, error);
    case LEAT__CODEC_NONE: return copy_run(flow);
    case LEAT__CODEC_UNKNOWN: break;
    }
    assert(flow->in_size == 0);
    return LEAT_OK;
}

static leat_code codec_end(leat__decompressor *decompressor, leat_error *error)
{
    if (decompressor->codec == LEAT__CODEC_ZSTD) return leat__unzstd_end(decompressor->unzstd, error);
    if (decompressor->codec == LEAT__CODEC_GZIP) return leat__gunzip_end(decompressor->gunzip, error);
    return LEAT_OK;
}

/* What head holds goes first; then the caller's bytes. */
static leat_code run(leat__decompressor *decompressor, leat__codec_io *flow, bool last, leat_error *error)
{
    leat_code code = LEAT_OK;
    if (decompressor->codec == LEAT__CODEC_UNKNOWN) code = sniff(decompressor, flow, last, error);
    if (!code && decompressor->codec != LEAT__CODEC_UNKNOWN && decompressor->head_used < decompressor->head_size) {
        leat__codec_io head = { decompressor->head + decompressor->head_used,
                            decompressor->head_size - decompressor->head_used, flow->out, flow->out_size };
        code = codec_run(decompressor, &head, error);
        decompressor->head_used = decompressor->head_size - head.in_size;
        flow->out = head.out;
        flow->out_size = head.out_size;
    }
    return code ? code : codec_run(decompressor, flow, error);
}

static leat_code check_limits(const leat__decompressor *decompressor, leat_error *error)
{
    const leat__decompress_limits *limits = &decompressor->limits;
    unsigned long long made = decompressor->made, used = decompressor->used;
    if (decompressor->codec == LEAT__CODEC_NONE) return LEAT_OK;
    if (made > limits->max_output) {
        return leat__fail(error, LEAT_ELIMIT, 0, "%llu packed bytes have made %llu, over max_unpacked_bytes (%llu)",
                          used, made, (unsigned long long)limits->max_output);
    }
    unsigned long long most;
    if (made > limits->ratio_after && !__builtin_mul_overflow(used, limits->ratio, &most) && made > most) {
        return leat__fail(error, LEAT_ELIMIT, 0,
                          "%llu packed bytes have made %llu, over %llu times as much: refused as a decompression bomb",
                          used, made, (unsigned long long)limits->ratio);
    }
    return LEAT_OK;
}

leat_code leat__decompress(leat__decompressor *decompressor, const uint8_t **in, size_t *in_size, bool last,
                           uint8_t **out, size_t *out_size, leat_error *error)
{
    assert(*out_size > 0);
    leat__codec_io flow = { *in, *in_size, *out, *out_size };
    leat_code code = run(decompressor, &flow, last, error);
    assert(flow.in_size <= *in_size && flow.out_size <= *out_size);
    decompressor->used += *in_size - flow.in_size;
    decompressor->made += *out_size - flow.out_size;
    *in = flow.in;
    *in_size = flow.in_size;
    *out = flow.out;
    *out_size = flow.out_size;

    if (code == LEAT_OK || code == LEAT_AGAIN) {
        leat_code limit = check_limits(decompressor, error);
        if (limit) return limit;
    }
    assert(code != LEAT_OK || (flow.in_size == 0 && flow.out_size > 0));
    return code == LEAT_OK && last ? codec_end(decompressor, error) : code;
}
