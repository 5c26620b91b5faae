/* buffer.c - reference-counted bytes out of a recycling arena.
 *
 * What:    size classes of four steps a doubling (4 KiB, 5, 6, 7, 8, 10 ...: at most a quarter is wasted), a free list each, up
 *          to 4 MiB; what is larger is mapped to the page and given back at once (batches have a pool of their own). Memory
 *          from mmap, so that what is given back leaves the process at once and RSS follows the budget.
 * Why so:  malloc's thresholds move and its heaps keep what threads freed; a loader that promises a bound on memory has to
 *          know where its bytes are.
 *          No huge pages: on a virtual machine whose host has not backed them yet the first touch of 154 MB took 0.43 s with
 *          them and 0.11 s without (then 0.01 and 0.06); rows are written once, in order, so little is lost.
 * Threads: any; one mutex, held for a few instructions. Buffers keep the arena alive.
 * Invariants: references >= 1 while held; kept <= keep_limit; live counts buffers handed out. */
#include "pipeline/buffer.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    SMALLEST_LOG = 12, /* 4 KiB: a page, below that mmap wastes more than it gives */
    STEPS = 4,         /* classes a doubling */
    CLASSES = (40 - SMALLEST_LOG) * STEPS,
    LARGEST_CLASS = 4 << 20,
    PAGE = 4096,
};

struct leat__arena {
    /* fixed after creation */
    size_t keep_limit;
    /* under the lock */
    pthread_mutex_t lock;
    leat__buffer *free[CLASSES];
    size_t kept;          /* bytes on the free lists */
    size_t live;          /* buffers handed out */
    uint64_t allocations;
    bool released;        /* by its owner: goes with the last buffer */
};

/* The smallest class that holds `size`, and its size. */
static size_t class_of(size_t size, size_t *class_size)
{
    size_t smallest = (size_t)1 << SMALLEST_LOG;
    if (size <= smallest) {
        *class_size = smallest;
        return 0;
    }
    unsigned log = 63 - (unsigned)__builtin_clzll(size - 1); /* 2^log < size <= 2^(log + 1), log >= SMALLEST_LOG */
    size_t base = (size_t)1 << log;
    size_t step = base / STEPS;
    size_t steps = (size - base + step - 1) / step;
    assert(steps >= 1 && steps <= STEPS);
    *class_size = base + steps * step;
    return (log - SMALLEST_LOG) * STEPS + steps;
}

leat__arena *leat__arena_new(size_t keep_bytes)
{
    leat__arena *arena = calloc(1, sizeof *arena);
    if (!arena) return NULL;
    arena->keep_limit = keep_bytes;
    if (pthread_mutex_init(&arena->lock, NULL)) {
        free(arena);
        return NULL;
    }
    return arena;
}

static void buffer_unmap(leat__buffer *buffer)
{
    munmap(buffer->data, buffer->capacity);
    free(buffer);
}

static void arena_destroy(leat__arena *arena)
{
    assert(arena->live == 0);
    for (size_t i = 0; i < CLASSES; i++) {
        for (leat__buffer *buffer = arena->free[i], *next; buffer; buffer = next) {
            next = buffer->next;
            buffer_unmap(buffer);
        }
    }
    pthread_mutex_destroy(&arena->lock);
    free(arena);
}

void leat__arena_release(leat__arena *arena)
{
    if (!arena) return;
    pthread_mutex_lock(&arena->lock);
    assert(!arena->released);
    arena->released = true;
    bool last = arena->live == 0;
    pthread_mutex_unlock(&arena->lock);
    if (last) arena_destroy(arena);
}

size_t leat__arena_live(leat__arena *arena)
{
    pthread_mutex_lock(&arena->lock);
    size_t live = arena->live;
    pthread_mutex_unlock(&arena->lock);
    return live;
}

uint64_t leat__arena_allocations(leat__arena *arena)
{
    pthread_mutex_lock(&arena->lock);
    uint64_t allocations = arena->allocations;
    pthread_mutex_unlock(&arena->lock);
    return allocations;
}

static leat__buffer *buffer_map(leat__arena *arena, size_t size)
{
    leat__buffer *buffer = malloc(sizeof *buffer);
    if (!buffer) return NULL;
    void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
        free(buffer);
        return NULL;
    }
    *buffer = (leat__buffer){.arena = arena, .capacity = size, .data = data};
    return buffer;
}

leat__buffer *leat__buffer_new(leat__arena *arena, leat__budget *budget, size_t capacity)
{
    if (capacity > (size_t)1 << 39) return NULL;
    size_t size, class = class_of(capacity, &size);
    assert(class < CLASSES && size >= capacity);
    if (capacity > LARGEST_CLASS) size = (capacity + PAGE - 1) & ~(size_t)(PAGE - 1);
    pthread_mutex_lock(&arena->lock);
    leat__buffer *buffer = capacity > LARGEST_CLASS ? NULL : arena->free[class];
    if (buffer) {
        arena->free[class] = buffer->next;
        arena->kept -= buffer->capacity;
    } else {
        arena->allocations++;
    }
    arena->live++;
    pthread_mutex_unlock(&arena->lock);

    if (!buffer) buffer = buffer_map(arena, size);
    if (!buffer) {
        pthread_mutex_lock(&arena->lock);
        arena->live--;
        pthread_mutex_unlock(&arena->lock);
        return NULL;
    }
    buffer->budget = budget;
    buffer->next = NULL;
    atomic_store_explicit(&buffer->references, 1, memory_order_relaxed);
    if (budget) leat__budget_charge(budget, buffer->capacity);
    return buffer;
}

leat__buffer *leat__buffer_share(leat__buffer *buffer)
{
    unsigned before = atomic_fetch_add_explicit(&buffer->references, 1, memory_order_relaxed);
    assert(before >= 1);
    (void)before;
    return buffer;
}

/* Puts it on its free list, unless that would keep too much. The last buffer of a released arena ends the arena. */
static void buffer_recycle(leat__buffer *buffer)
{
    leat__arena *arena = buffer->arena;
    size_t size, class = class_of(buffer->capacity, &size);
    assert(size == buffer->capacity || buffer->capacity > LARGEST_CLASS);
    pthread_mutex_lock(&arena->lock);
    bool keep = !arena->released && buffer->capacity <= LARGEST_CLASS &&
                arena->kept + buffer->capacity <= arena->keep_limit;
    if (keep) {
        buffer->next = arena->free[class];
        arena->free[class] = buffer;
        arena->kept += buffer->capacity;
    }
    assert(arena->live > 0);
    bool last = --arena->live == 0 && arena->released;
    pthread_mutex_unlock(&arena->lock);
    if (!keep) buffer_unmap(buffer);
    if (last) arena_destroy(arena);
}

void leat__buffer_release(leat__buffer *buffer)
{
    if (!buffer) return;
    unsigned before = atomic_fetch_sub_explicit(&buffer->references, 1, memory_order_acq_rel);
    assert(before >= 1);
    if (before > 1) return;
    if (buffer->budget) leat__budget_refund(buffer->budget, buffer->capacity);
    buffer_recycle(buffer);
}

leat__bytes leat__bytes_slice(const leat__bytes *bytes, size_t offset, size_t size)
{
    assert(offset <= bytes->size && size <= bytes->size - offset);
    leat__bytes slice = {.data = bytes->data ? bytes->data + offset : NULL, .size = size};
    if (bytes->buffer) slice.buffer = leat__buffer_share(bytes->buffer);
    return slice;
}

bool leat__bytes_uncharge(const leat__bytes *bytes)
{
    leat__buffer *buffer = bytes->buffer;
    size_t size;
    class_of(bytes->size, &size);
    if (!buffer || buffer->capacity > size) return false;
    if (atomic_load_explicit(&buffer->references, memory_order_acquire) != 1) return false; /* nobody else can share it meanwhile */
    if (buffer->budget) leat__budget_refund(buffer->budget, buffer->capacity);
    buffer->budget = NULL;
    return true;
}

void leat__bytes_release(leat__bytes *bytes)
{
    leat__buffer_release(bytes->buffer);
    *bytes = (leat__bytes){0};
}
