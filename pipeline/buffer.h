/* buffer.h - reference-counted bytes out of a recycling arena, charged to a budget while alive; and slices of them.
 *
 * Threads: every function may be called from any thread. The bytes of a buffer are written by the one who made it until
 * it is passed on, and only read from then on. */
#ifndef LEAT__BUFFER_H
#define LEAT__BUFFER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/budget.h"

typedef struct leat__arena leat__arena;

typedef struct leat__buffer {
    /* fixed after creation */
    leat__arena *arena;
    leat__budget *budget;  /* charged with capacity; NULL: none */
    size_t capacity;       /* at least what was asked for */
    uint8_t *data;         /* LEAT_ALIGNMENT-aligned */
    /* atomic */
    atomic_uint references;
    /* the arena's, while it lies there */
    struct leat__buffer *next;
} leat__buffer;

/* A piece of a buffer. The holder of a slice holds one reference to the buffer; {0} is the empty slice. */
typedef struct leat__bytes {
    leat__buffer *buffer;
    const uint8_t *data;
    size_t size;
} leat__bytes;

/* Makes an arena that keeps up to keep_bytes of unused buffers for later. NULL if memory is short.
 * leat__arena_release (takes) ends it once the last buffer has come back: buffers may outlive the caller's hold. */
leat__arena *leat__arena_new(size_t keep_bytes);
void leat__arena_release(leat__arena *arena);

/* Buffers alive: 0 at the end of every test. */
size_t leat__arena_live(leat__arena *arena);
/* Buffers ever taken from the system: stands still in a warm pipeline. */
uint64_t leat__arena_allocations(leat__arena *arena);

/* Gives a buffer of at least `capacity` bytes with one reference, contents undefined; NULL if memory is short. */
leat__buffer *leat__buffer_new(leat__arena *arena, leat__budget *budget, size_t capacity);

/* Shares: one reference more. Returns buffer. */
leat__buffer *leat__buffer_share(leat__buffer *buffer);

/* One reference less (takes); the last one gives it back to the arena and refunds the budget. NULL is fine. */
void leat__buffer_release(leat__buffer *buffer);

/* A slice [offset, offset + size) of bytes, with a reference of its own (shares). */
leat__bytes leat__bytes_slice(const leat__bytes *bytes, size_t offset, size_t size);

/* Takes the bytes' buffer out of its budget, if they have the only reference to it and another one made for them would be no
 * smaller: who holds it afterwards answers for it. False: they do not, and nothing has changed. */
bool leat__bytes_uncharge(const leat__bytes *bytes);

/* Drops the slice's reference and empties it. */
void leat__bytes_release(leat__bytes *bytes);

#endif
