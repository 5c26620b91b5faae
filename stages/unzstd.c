/* unzstd.c - zstd frames one after another, by libzstd.
 *
 * What:    gives a stream to ZSTD_decompressStream frame by frame, and names what it refuses.
 * Why so:  between frames the next four bytes are looked at here first, since libzstd calls garbage there only "Unknown
 *          frame descriptor". A frame's header is remembered (18 bytes at most), because libzstd's errors name neither
 *          the window that was too large nor the dictionary that is missing. The window is the only memory that a
 *          frame can ask for; ZSTD_d_windowLogMax refuses a larger one before it is taken, and a content size is never
 *          believed. Progress: each turn uses input or fills output, so a million empty frames cost what their bytes
 *          cost.
 *
 *     BETWEEN --4 bytes of magic--> WITHIN --ZSTD_decompressStream returns 0--> BETWEEN
 *
 * Threads: one holder.
 * Invariants: BETWEEN implies head_size < 4; head holds the frame's first head_size bytes.
 * Source:  RFC 8878 section 3.1.1 (frame header), 3.1.2 (skippable frames); RFC 9659 (8 MiB windows).
 * Not here: limits of output and ratio (decompress.c). */
#include "stages/unzstd.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_createDCtx_advanced: since 0.8 the same, exported by every libzstd */
#include <zstd.h>
#include <zstd_errors.h>

#include "pipeline/failure.h"

enum {
    MAGIC_SIZE = 4,
    BLOCK_HEAD = 64, /* before each block of libzstd's: keeps its alignment */
    LARGE = 64 << 10,
    COMMON_WINDOW_LOG = 23, /* RFC 9659: what every reader should take; less is for want of memory */
    HEADER_MAX = 18, /* magic 4, descriptor 1, window 1, dictionary id 4, content size 8 */
};

/* Where libzstd's memory comes from. */
typedef struct zstd_memory {
    leat__arena *arena;
    leat__budget *budget;
} zstd_memory;

struct leat__unzstd {
    /* fixed after creation */
    ZSTD_DCtx *context;
    zstd_memory memory;
    unsigned max_window_log;
    /* the stream's */
    bool within;            /* a frame */
    bool full;              /* the last call filled its output: libzstd may hold more */
    uint8_t head[HEADER_MAX];
    size_t head_size;
    uint64_t frame_used;    /* bytes of this frame given to libzstd */
    uint64_t frame_made;    /* bytes that came of it */
};

/* Windows are large and live as long as the loader: out of malloc's heaps they left a hole of their size with each frame that
 * needed a larger one. Every block begins with the buffer that holds it. */
static void *zstd_alloc(void *opaque, size_t size)
{
    const zstd_memory *memory = opaque;
    leat__buffer *buffer = NULL;
    size_t whole;
    if (__builtin_add_overflow(size, (size_t)BLOCK_HEAD, &whole)) return NULL;
    if (memory->arena && whole >= LARGE) {
        buffer = leat__buffer_new(memory->arena, memory->budget, whole);
        if (!buffer) return NULL;
    }
    uint8_t *block = buffer ? buffer->data : malloc(whole);
    if (!block) return NULL;
    memcpy(block, &buffer, sizeof(leat__buffer *));
    return block + BLOCK_HEAD;
}

static void zstd_release(void *opaque, void *address)
{
    (void)opaque;
    if (!address) return;
    uint8_t *block = (uint8_t *)address - BLOCK_HEAD;
    leat__buffer *buffer;
    memcpy(&buffer, block, sizeof(leat__buffer *));
    if (buffer) leat__buffer_release(buffer);
    else free(block);
}

leat__unzstd *leat__unzstd_new(unsigned max_window_log, leat__arena *arena, leat__budget *budget)
{
    assert(max_window_log >= 10 && max_window_log <= 31);
    leat__unzstd *unzstd = calloc(1, sizeof *unzstd);
    if (!unzstd) return NULL;
    unzstd->max_window_log = max_window_log;
    unzstd->memory = (zstd_memory){.arena = arena, .budget = budget};
    unzstd->context = ZSTD_createDCtx_advanced((ZSTD_customMem){zstd_alloc, zstd_release, &unzstd->memory});
    if (!unzstd->context ||
        ZSTD_isError(ZSTD_DCtx_setParameter(unzstd->context, ZSTD_d_windowLogMax, (int)max_window_log))) {
        leat__unzstd_free(unzstd);
        return NULL;
    }
    return unzstd;
}

void leat__unzstd_free(leat__unzstd *unzstd)
{
    if (!unzstd) return;
    ZSTD_freeDCtx(unzstd->context);
    free(unzstd);
}

static void frame_clear(leat__unzstd *unzstd)
{
    unzstd->within = unzstd->full = false;
    unzstd->head_size = 0;
    unzstd->frame_used = unzstd->frame_made = 0;
}

void leat__unzstd_begin(leat__unzstd *unzstd)
{
    size_t result = ZSTD_DCtx_reset(unzstd->context, ZSTD_reset_session_only);
    assert(!ZSTD_isError(result));
    (void)result;
    frame_clear(unzstd);
}

size_t leat__unzstd_memory(unsigned max_window_log)
{
    /* The window, a block's worth on either side of it, the context with its tables (160 KiB in libzstd 1.5). */
    return ((size_t)1 << max_window_log) + 2 * ((size_t)128 << 10) + ((size_t)256 << 10);
}

bool leat__unzstd_magic(const uint8_t *data, size_t size)
{
    static const uint8_t frame[MAGIC_SIZE] = { 0x28, 0xb5, 0x2f, 0xfd };
    static const uint8_t skippable[MAGIC_SIZE] = { 0x50, 0x2a, 0x4d, 0x18 }; /* the low four bits are free */
    assert(size > 0);
    if (size > MAGIC_SIZE) size = MAGIC_SIZE;
    if (memcmp(data, frame, size) == 0) return true;
    return (data[0] & 0xf0) == skippable[0] && memcmp(data + 1, skippable + 1, size - 1) == 0;
}

/* RFC 8878, 3.1.1.1.2: what the frame wants as its window, from its header. */
static unsigned long long window_of(const leat__unzstd *unzstd)
{
    assert(unzstd->head_size > 5);
    bool single_segment = unzstd->head[4] & 0x20;
    if (single_segment) return ZSTD_getFrameContentSize(unzstd->head, unzstd->head_size);
    unsigned long long base = 1ULL << (10 + (unzstd->head[5] >> 3));
    return base + base / 8 * (unzstd->head[5] & 7);
}

static leat_code refused(const leat__unzstd *unzstd, size_t result, leat_error *error)
{
    ZSTD_ErrorCode number = ZSTD_getErrorCode(result);
    switch (number) {
    case ZSTD_error_frameParameter_windowTooLarge:
        return leat__fail(error, LEAT_ELIMIT, (int)number, "zstd: a window of %llu bytes, over the limit of %llu "
                          "(%spack with at most that: zstd --long=%u at most, no --ultra)", window_of(unzstd),
                          1ULL << unzstd->max_window_log,
                          unzstd->max_window_log < COMMON_WINDOW_LOG ? "raise memory_limit, lower lanes, or " : "",
                          unzstd->max_window_log);
    case ZSTD_error_dictionary_wrong:
        return leat__fail(error, LEAT_EUNSUPPORTED, (int)number, "zstd: packed with a dictionary (id %u), "
                          "which leat does not read", ZSTD_getDictID_fromFrame(unzstd->head, unzstd->head_size));
    case ZSTD_error_memory_allocation:
        return leat__fail(error, LEAT_ENOMEM, (int)number, "zstd: %s", ZSTD_getErrorName(result));
    default:
        return leat__fail(error, LEAT_ECORRUPT, (int)number, "zstd: %s", ZSTD_getErrorName(result));
    }
}

/* Copies what this call may show of the frame's header; the bytes stay in the input. */
static void remember(leat__unzstd *unzstd, const uint8_t *in, size_t in_size)
{
    if (unzstd->head_size == HEADER_MAX) return;
    assert(unzstd->frame_used <= unzstd->head_size);
    size_t known = (size_t)(unzstd->head_size - unzstd->frame_used), room = HEADER_MAX - unzstd->head_size;
    if (known >= in_size) return;
    size_t n = in_size - known < room ? in_size - known : room;
    memcpy(unzstd->head + unzstd->head_size, in + known, n);
    unzstd->head_size += n;
}

/* BETWEEN again. libzstd does not look at the content size if the frame's last block is empty; in one call it does. */
static leat_code frame_end(leat__unzstd *unzstd, leat_error *error)
{
    unsigned long long said = ZSTD_getFrameContentSize(unzstd->head, unzstd->head_size), made = unzstd->frame_made;
    frame_clear(unzstd);
    if (said == made || said == ZSTD_CONTENTSIZE_UNKNOWN) return LEAT_OK;
    return leat__fail(error, LEAT_ECORRUPT, 0, "zstd: a frame of %llu bytes, its header says %llu", made, said);
}

/* One call of libzstd. At a frame's end: BETWEEN. */
static leat_code decode(leat__unzstd *unzstd, leat__codec_io *flow, leat_error *error)
{
    remember(unzstd, flow->in, flow->in_size);
    ZSTD_inBuffer in = { flow->in, flow->in_size, 0 };
    ZSTD_outBuffer out = { flow->out, flow->out_size, 0 };
    size_t result = ZSTD_decompressStream(unzstd->context, &out, &in);
    if (in.pos) flow->in += in.pos;
    flow->in_size -= in.pos;
    flow->out += out.pos;
    flow->out_size -= out.pos;
    unzstd->frame_used += in.pos;
    unzstd->frame_made += out.pos;
    unzstd->full = flow->out_size == 0;
    if (ZSTD_isError(result)) return refused(unzstd, result, error);
    if (result == 0) return frame_end(unzstd, error);
    if (in.pos == 0 && out.pos == 0 && flow->in_size && flow->out_size)
        return leat__fail(error, LEAT_ECORRUPT, 0, "zstd: no progress");
    return LEAT_OK;
}

static leat_code garbage(const leat__unzstd *unzstd, leat_error *error)
{
    char text[4 * MAGIC_SIZE + 1];
    leat__escape(text, sizeof text, (const char *)unzstd->head, unzstd->head_size);
    return leat__fail(error, LEAT_EFORMAT, 0, "zstd: after the last frame comes '%s', which begins no frame", text);
}

/* Takes the four bytes that begin a frame and gives them to libzstd. */
static leat_code frame_begin(leat__unzstd *unzstd, leat__codec_io *flow, leat_error *error)
{
    while (unzstd->head_size < MAGIC_SIZE && flow->in_size) {
        unzstd->head[unzstd->head_size++] = *flow->in++;
        flow->in_size--;
    }
    if (unzstd->head_size < MAGIC_SIZE) return LEAT_OK;
    if (!leat__unzstd_magic(unzstd->head, MAGIC_SIZE)) return garbage(unzstd, error);
    uint8_t nothing;
    leat__codec_io magic = { unzstd->head, MAGIC_SIZE, &nothing, 0 };
    unzstd->within = true;
    leat_code code = decode(unzstd, &magic, error);
    assert(code || (magic.in_size == 0 && unzstd->within));
    unzstd->full = false;
    return code;
}

leat_code leat__unzstd_run(leat__unzstd *unzstd, leat__codec_io *flow, leat_error *error)
{
    assert(flow->out_size > 0);
    leat_code code = LEAT_OK;
    while (!code && flow->out_size && (flow->in_size || unzstd->full))
        code = unzstd->within ? decode(unzstd, flow, error) : frame_begin(unzstd, flow, error);
    if (code) return code;
    return flow->out_size ? LEAT_OK : LEAT_AGAIN;
}

leat_code leat__unzstd_end(leat__unzstd *unzstd, leat_error *error)
{
    if (!unzstd->within && unzstd->head_size == 0) return LEAT_OK;
    if (!unzstd->within && !leat__unzstd_magic(unzstd->head, unzstd->head_size)) return garbage(unzstd, error);
    return leat__fail(error, LEAT_ETRUNCATED, 0, "zstd: the data ends within a frame");
}
