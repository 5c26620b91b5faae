/* tar.c - a push parser of tar archives: from chunks of bytes to files with a name and a body.
 *
 * What:    a state machine over 512-byte blocks and bodies. It gives each file to wds.c, which makes samples.
 * Why so:  push, not pull, so that an archive is read as its bytes arrive, on whatever worker has the next chunk. A
 *          body that lies in one buffer is a slice of it, also where the buffer comes in several chunks, one behind the
 *          other (expand.c fills its buffers so). Only one that goes on in another buffer is copied, when that one
 *          comes, into a buffer of the size its header says: wds.c has checked that against the limit before. Until
 *          then its beginning keeps the chunk it lies in, which the sample may do anyway (plan.c).
 *
 *     BLOCK --file--> BODY --+--> SKIP --> BLOCK      SKIP: padding, and what nobody wants
 *       | --x g L---> TEXT --+                        SPARSE: extension blocks of an old sparse file
 *       | --sparse--> SPARSE --> SKIP                 any state --end or error--> CLOSED --begin--> BLOCK
 *       | --zeros---> ZERO --zeros--> ENDED
 *
 *          End of archive is two blocks of zeros. After one alone, then more, GNU tar warns and stops reading, with
 *          exit code 0. Here the samples before it are delivered too, but the warning is an error of the shard, so
 *          that what follows isn't lost in silence. One alone at the end of the stream is fine.
 * Threads: a leat__tar has one holder at a time; nothing here blocks.
 * Invariants (tar_check):
 *   (1) block_size < 512 between calls            (2) body has bytes only in BODY
 *   (3) entry_offset <= header_offset <= position (4) gathered implies that body.buffer has room for the rest
 * Not here: a block's fields (tarhead.c), extended headers (tarext.c, pax.c), keys and samples (wds.c). */
#include "stages/tar.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"
#include "stages/tarext.h"
#include "stages/tarhead.h"
#include "stages/wds.h"

typedef enum tar_state { BLOCK, TEXT, SPARSE, BODY, SKIP, ZERO, ENDED, CLOSED } tar_state;

struct leat__tar {
    /* fixed after creation */
    leat__tar_options options;
    /* over all archives */
    uint64_t ignored;
    /* the archive's */
    tar_state state;
    uint64_t position;        /* of the next byte */
    uint64_t entry_offset;    /* of the entry's first header, extended ones included */
    uint64_t header_offset;   /* of the header read last */
    bool pending;             /* extended headers were read, their entry's own is to come */
    bool global;              /* a pax global header was read */
    uint64_t entries_end;     /* once it has ended well */
    uint64_t remaining;       /* BODY: bytes to come; SKIP: to be stepped over */
    uint64_t padding;         /* TEXT, BODY: up to the next block */
    leat__tar_header header;  /* of the entry */
    leat__wds wds;
    /* a block that crosses chunks */
    size_t block_size;
    uint8_t block[LEAT__TAR_BLOCK];
    leat__tarext ext;
    /* BODY: a body that crosses chunks */
    leat__bytes body;         /* what is there of it: where it came, or gathered */
    bool gathered;            /* in a buffer of our own, of the whole body's size */
};

/* The bytes being fed, and how far they are used. */
typedef struct feed {
    const leat__bytes *bytes;
    size_t at;
    leat_error *error;
} feed;

static void tar_check(const leat__tar *tar)
{
    assert(tar->block_size < LEAT__TAR_BLOCK);
    assert(tar->body.size == 0 || tar->state == BODY);
    assert(!tar->gathered || tar->remaining <= tar->body.buffer->capacity - tar->body.size);
    assert(tar->entry_offset <= tar->header_offset && tar->header_offset <= tar->position);
    (void)tar;
}

/* ---- making and ending ---- */

leat__tar *leat__tar_new(const leat__tar_options *options)
{
    assert(options->arena && options->samples);
    leat__tar *tar = calloc(1, sizeof *tar);
    if (!tar) return NULL;
    tar->options = *options;
    tar->state = CLOSED;
    tar->wds.pool = options->samples;
    tar->wds.limit = options->max_sample_bytes;
    tar->wds.limit_hint = options->limit_hint ? options->limit_hint : "max_sample_bytes";
    return tar;
}

/* Forgets a half-read entry. */
static void entry_clear(leat__tar *tar)
{
    leat__bytes_release(&tar->body);
    tar->gathered = false;
    tar->pending = false;
    leat__tarext_next_entry(&tar->ext);
}

void leat__tar_free(leat__tar *tar)
{
    if (!tar) return;
    leat__wds_drop(&tar->wds, NULL);
    entry_clear(tar);
    leat__tarext_free(&tar->ext);
    free(tar);
}

void leat__tar_begin_at(leat__tar *tar, const leat__object *object, uint64_t epoch, uint64_t offset, uint64_t index)
{
    leat__wds_begin(&tar->wds, object, epoch, index);
    entry_clear(tar);
    leat__tarext_next_archive(&tar->ext);
    tar->state = BLOCK;
    tar->position = tar->entry_offset = tar->header_offset = offset;
    tar->entries_end = 0;
    tar->global = false;
    tar->block_size = 0;
}

void leat__tar_begin(leat__tar *tar, const leat__object *object, uint64_t epoch)
{
    leat__tar_begin_at(tar, object, epoch, 0, 0);
}

uint64_t leat__tar_ignored(const leat__tar *tar)
{
    return tar->ignored;
}

bool leat__tar_has_global(const leat__tar *tar)
{
    return tar->global;
}

uint64_t leat__tar_entries_end(const leat__tar *tar)
{
    assert(tar->state == CLOSED);
    return tar->entries_end;
}

/* ---- taking bytes ---- */

/* Up to `most` of the bytes that are there; *from: where they are. */
static size_t take(leat__tar *tar, feed *f, uint64_t most, const uint8_t **from)
{
    size_t there = f->bytes->size - f->at, n = there < most ? there : (size_t)most;
    *from = f->bytes->data + f->at;
    f->at += n;
    tar->position += n;
    return n;
}

/* The next block, once all of it is there; NULL until then. Valid until the next call. */
static const uint8_t *take_block(leat__tar *tar, feed *f)
{
    const uint8_t *from;
    size_t n = take(tar, f, LEAT__TAR_BLOCK - tar->block_size, &from);
    if (n == LEAT__TAR_BLOCK) return from;
    memcpy(tar->block + tar->block_size, from, n);
    tar->block_size += n;
    if (tar->block_size < LEAT__TAR_BLOCK) return NULL;
    tar->block_size = 0;
    return tar->block;
}

static uint64_t padding_after(uint64_t size)
{
    return -size & (LEAT__TAR_BLOCK - 1);
}

/* Steps over `bytes` and then begins a block. */
static void skip(leat__tar *tar, uint64_t bytes)
{
    tar->remaining = bytes;
    tar->state = bytes ? SKIP : BLOCK;
}

static void skip_step(leat__tar *tar, feed *f)
{
    const uint8_t *unused;
    tar->remaining -= take(tar, f, tar->remaining, &unused);
    if (tar->remaining == 0) tar->state = BLOCK;
}

uint64_t leat__tar_skippable(const leat__tar *tar)
{
    return tar->state == SKIP ? tar->remaining : 0;
}

void leat__tar_skip(leat__tar *tar, uint64_t bytes)
{
    assert(tar->state == SKIP && bytes <= tar->remaining);
    tar->position += bytes;
    tar->remaining -= bytes;
    if (tar->remaining == 0) tar->state = BLOCK;
}

/* An entry is over, but for `rest` bytes up to the next header. */
static void entry_done(leat__tar *tar, uint64_t rest)
{
    entry_clear(tar);
    skip(tar, rest);
}

/* ---- extended headers ---- */

static leat_code text_step(leat__tar *tar, feed *f)
{
    if (tar->ext.remaining) {
        const uint8_t *from;
        size_t n = take(tar, f, tar->ext.remaining, &from);
        leat_code code = leat__tarext_add(&tar->ext, from, n, f->error);
        if (code || tar->ext.remaining) return code;
    }
    skip(tar, tar->padding);
    return leat__tarext_done(&tar->ext, f->error);
}

static leat_code text_open(leat__tar *tar, feed *f)
{
    leat_code code = leat__tarext_open(&tar->ext, &tar->header, tar->header_offset, f->error);
    if (code) return code;
    tar->state = TEXT;
    tar->padding = padding_after(tar->header.size);
    tar->pending |= tar->header.kind != LEAT__TAR_PAX_GLOBAL; /* 'g' belongs to no entry */
    tar->global |= tar->header.kind == LEAT__TAR_PAX_GLOBAL;
    return tar->header.size ? LEAT_OK : text_step(tar, f);
}

/* ---- bodies ---- */

static leat_code body_done(leat__tar *tar, leat_error *error)
{
    leat__bytes bytes = tar->body;
    tar->body = (leat__bytes){ 0 };
    leat_code code = leat__wds_add(&tar->wds, bytes, error);
    entry_done(tar, tar->padding);
    return code;
}

/* Moves what is there of the body into a buffer for all of it. */
static leat_code body_gather(leat__tar *tar, leat_error *error)
{
    uint64_t size = tar->body.size + tar->remaining;
    assert(size <= tar->options.max_sample_bytes);
    leat__buffer *buffer = leat__buffer_new(tar->options.arena, tar->options.budget, (size_t)size);
    if (!buffer)
        return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a field of %llu bytes", (unsigned long long)size);
    memcpy(buffer->data, tar->body.data, tar->body.size);
    leat__bytes gathered = { buffer, buffer->data, tar->body.size };
    leat__bytes_release(&tar->body);
    tar->body = gathered;
    tar->gathered = true;
    return LEAT_OK;
}

static leat_code body_step(leat__tar *tar, feed *f)
{
    leat__bytes *body = &tar->body;
    const uint8_t *from = f->bytes->data + f->at;
    bool goes_on = body->buffer == f->bytes->buffer && body->data + body->size == from;
    if (body->size == 0) {
        *body = leat__bytes_slice(f->bytes, f->at, 0);
    } else if (!goes_on && !tar->gathered) {
        leat_code code = body_gather(tar, f->error);
        if (code) return code;
    }
    size_t n = take(tar, f, tar->remaining, &from);
    if (tar->gathered) memcpy(body->buffer->data + body->size, from, n);
    body->size += n;
    tar->remaining -= n;
    return tar->remaining ? LEAT_OK : body_done(tar, f->error);
}

/* ---- headers ---- */

/* All headers of an entry are read: a file goes to wds.c, the rest is stepped over. */
static leat_code entry_open(leat__tar *tar, leat_error *error)
{
    leat__wds_file file = { .header_offset = tar->entry_offset, .body_offset = tar->position };
    leat__tarext_apply(&tar->ext, &tar->header, &file.path, &file.length, &file.size, &file.sparse);
    uint64_t padding = padding_after(file.size), end;
    if (__builtin_add_overflow(tar->position, file.size + padding, &end) || end > INT64_MAX) {
        return leat__fail(error, LEAT_ECORRUPT, 0, "tar header at byte %llu: a size of %llu bytes cannot be",
                          (unsigned long long)tar->header_offset, (unsigned long long)file.size);
    }
    leat__wds_verdict verdict = LEAT__WDS_IGNORED;
    bool is_file = tar->header.kind == LEAT__TAR_FILE || tar->header.kind == LEAT__TAR_SPARSE;
    leat_code code = is_file ? leat__wds_open(&tar->wds, &file, &verdict, error) : LEAT_OK;
    if (code) return code;
    if (verdict == LEAT__WDS_IGNORED) tar->ignored++;
    if (verdict != LEAT__WDS_WANTED) {
        entry_done(tar, file.size + padding);
        return LEAT_OK;
    }
    tar->state = BODY;
    tar->remaining = file.size;
    tar->padding = padding;
    return file.size ? LEAT_OK : body_done(tar, error);
}

static leat_code header_open(leat__tar *tar, feed *f)
{
    switch (tar->header.kind) {
    case LEAT__TAR_PAX:
    case LEAT__TAR_PAX_GLOBAL:
    case LEAT__TAR_LONG_NAME:
        return text_open(tar, f);
    case LEAT__TAR_LONG_LINK:
        tar->pending = true;
        skip(tar, tar->header.size + padding_after(tar->header.size));
        return LEAT_OK;
    case LEAT__TAR_SPARSE:
        if (!tar->header.extended) break;
        tar->state = SPARSE;
        return LEAT_OK;
    case LEAT__TAR_FILE:
    case LEAT__TAR_OTHER:
        break;
    }
    return entry_open(tar, f->error);
}

/* The first block of all is no header: says what it is instead, where that can be told. */
static leat_code not_tar(const uint8_t *data, size_t size, leat_error *error)
{
    const char *looks = leat__tar_looks_like(data, size);
    if (looks) return leat__fail(error, LEAT_EFORMAT, 0, "not a tar archive: it looks like %s", looks);
    char text[4 * 8 + 1];
    leat__escape(text, sizeof text, (const char *)data, size < 8 ? size : 8);
    return leat__fail(error, LEAT_EFORMAT, 0, "not a tar archive: it begins with '%s'", text);
}

static leat_code block_read(leat__tar *tar, const uint8_t *block, feed *f)
{
    tar->header_offset = tar->position - LEAT__TAR_BLOCK;
    if (!tar->pending) tar->entry_offset = tar->header_offset;
    if (leat__tar_block_is_zero(block)) {
        tar->state = ZERO;
        if (!tar->pending) return LEAT_OK;
        return leat__fail(f->error, LEAT_ECORRUPT, 0, "tar header at byte %llu: an extended header without its entry",
                          (unsigned long long)tar->entry_offset);
    }
    leat_code code = leat__tar_header_read(block, tar->header_offset, &tar->header, f->error);
    if (code && tar->header_offset == 0 && !leat__tar_has_magic(block))
        return not_tar(block, LEAT__TAR_BLOCK, f->error);
    return code ? code : header_open(tar, f);
}

static leat_code block_step(leat__tar *tar, feed *f)
{
    const uint8_t *block = take_block(tar, f);
    if (!block) return LEAT_OK;
    if (tar->state == BLOCK) return block_read(tar, block, f);
    if (tar->state == SPARSE) return leat__tar_sparse_goes_on(block) ? LEAT_OK : entry_open(tar, f->error);
    assert(tar->state == ZERO);
    tar->state = ENDED;
    if (leat__tar_block_is_zero(block)) return LEAT_OK;
    return leat__fail(f->error, LEAT_ECORRUPT, 0, "a lone block of zeros at byte %llu, then more data",
                      (unsigned long long)tar->header_offset);
}

/* ---- the two ways in ---- */

/* Ends the archive by an error: drops the sample, says where. */
static leat_code tar_fail(leat__tar *tar, leat_code code, uint64_t offset, leat_error *error)
{
    leat__wds_drop(&tar->wds, error);
    if (error) error->offset = offset;
    entry_clear(tar);
    tar->state = CLOSED;
    return code;
}

leat_code leat__tar_feed(leat__tar *tar, const leat__bytes *bytes, leat__tar_emit emit, void *user, leat_error *error)
{
    assert(tar->state != CLOSED);
    tar_check(tar);
    feed f = { bytes, 0, error };
    leat_code code = LEAT_OK;
    tar->wds.emit = emit;
    tar->wds.user = user;
    while (f.at < bytes->size && tar->state != ENDED && !code) {
        switch (tar->state) {
        case TEXT: code = text_step(tar, &f); break;
        case BODY: code = body_step(tar, &f); break;
        case SKIP: skip_step(tar, &f); break;
        default: code = block_step(tar, &f); break;
        }
    }
    if (code) return tar_fail(tar, code, tar->header_offset, error);
    tar_check(tar);
    return LEAT_OK;
}

static leat_code truncated(const leat__tar *tar, leat_error *error)
{
    unsigned long long position = tar->position, missing = tar->remaining;
    if (position == 0) return leat__fail(error, LEAT_ETRUNCATED, 0, "tar archive of 0 bytes");
    if (tar->state == BLOCK && tar->block_size == position && leat__tar_looks_like(tar->block, tar->block_size))
        return not_tar(tar->block, tar->block_size, error);
    if (tar->state == BLOCK || tar->state == SPARSE)
        return leat__fail(error, LEAT_ETRUNCATED, 0, "tar archive ends at byte %llu, within a header", position);
    if (tar->state == TEXT) missing = tar->ext.remaining;
    if (tar->state != SKIP) missing += tar->padding;
    return leat__fail(error, LEAT_ETRUNCATED, 0,
                      "tar archive ends at byte %llu, %llu bytes short of the end of the entry at byte %llu", position,
                      missing, (unsigned long long)tar->header_offset);
}

leat_code leat__tar_end(leat__tar *tar, leat__tar_emit emit, void *user, leat_error *error)
{
    assert(tar->state != CLOSED);
    tar_check(tar);
    bool between = tar->state == BLOCK && tar->block_size == 0 && tar->position > 0 && !tar->pending;
    if (!between && tar->state != ZERO && tar->state != ENDED)
        return tar_fail(tar, truncated(tar, error), tar->position, error);
    tar->wds.emit = emit;
    tar->wds.user = user;
    leat__wds_end(&tar->wds);
    tar->entries_end = between ? tar->position : tar->header_offset;
    tar->state = CLOSED; /* only begin may follow */
    return LEAT_OK;
}
