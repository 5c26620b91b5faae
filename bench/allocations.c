/* allocations.c - counts what a warm loader allocates for each sample, and who does.
 *
 * usage: bench-allocations [--json]        LEAT_BENCH_DATA: the sets that bench/data makes
 *
 * This program's own malloc and its kin, and mmap, stand before the C library's, for every library of the process: once the
 * loader is warm each call is booked under its return address. libjpeg's calls are told from the others by the object
 * that the address lies in. The batches are drawn as a trainer would, from shards and from loose files. */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <leat/leat.h>

#include "bench/timing.h"

enum {
    BATCH = 64,
    WARM_EPOCHS = 4, /* every buffer, list and codec has then been as large as it will be */
    COUNTED_EPOCHS = 4,
    PAUSE_EVERY = 10, /* batches, while it warms up: then queues and windows fill, and as much is alive as ever will be */
    PAUSE_US = 100000,
    CALLERS = 4096,  /* a power of two, some hundred are used */
    SHOWN = 12,
};

/* ---- counting ---- */

typedef struct caller {
    _Atomic(void *) address;
    _Atomic uint64_t calls;
} caller;

static caller callers[CALLERS];
static atomic_bool counting;

static void book(void *address)
{
    if (!atomic_load_explicit(&counting, memory_order_relaxed)) return;
    size_t at = (uintptr_t)address * 0x9e3779b97f4a7c15u >> 52;
    for (size_t n = 0; n < CALLERS; n++, at = (at + 1) % CALLERS) {
        void *free_place = NULL;
        if (atomic_load(&callers[at].address) != address &&
            !atomic_compare_exchange_strong(&callers[at].address, &free_place, address) && free_place != address)
            continue;
        atomic_fetch_add(&callers[at].calls, 1);
        return;
    }
}

/* ---- in front of the C library ---- */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
    book(__builtin_return_address(0));
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    book(__builtin_return_address(0));
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    book(__builtin_return_address(0));
    return __libc_realloc(old, size);
}

void *reallocarray(void *old, size_t count, size_t size)
{
    book(__builtin_return_address(0));
    size_t bytes;
    if (!__builtin_mul_overflow(count, size, &bytes)) return __libc_realloc(old, bytes);
    errno = ENOMEM;
    return NULL;
}

void *memalign(size_t alignment, size_t size)
{
    book(__builtin_return_address(0));
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    book(__builtin_return_address(0));
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    book(__builtin_return_address(0));
    void *data = __libc_memalign(alignment, size);
    if (!data) return ENOMEM;
    *out = data;
    return 0;
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    book(__builtin_return_address(0));
    return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}

/* ---- the loader ---- */

static void check(leat_code code, const leat_error *error)
{
    if (!code) return;
    fprintf(stderr, "bench-allocations: %s\n", error->message);
    exit(1);
}

/* Draws epochs, with a pause now and then (0: none); returns the samples they had. */
static uint64_t draw(leat_loader *loader, int epochs, unsigned pause_every)
{
    uint64_t samples = 0;
    unsigned batches = 0;
    while (epochs > 0) {
        leat_batch *batch;
        leat_error error;
        leat_code code = leat_next(loader, &batch, &error);
        if (code == LEAT_END) {
            epochs--;
            continue;
        }
        check(code, &error);
        samples += leat_batch_rows(batch);
        leat_release(batch);
        if (pause_every && ++batches % pause_every == 0) usleep(PAUSE_US);
    }
    return samples;
}

static uint64_t load(const char *source)
{
    leat_config config = LEAT_CONFIG_INIT;
    config.source = source;
    config.batch_size = BATCH;
    config.epochs = WARM_EPOCHS + COUNTED_EPOCHS + 1; /* the last one is begun while the counting goes on, as in a long run */
    config.image = (leat_image){.crop = LEAT_CROP_RANDOM_RESIZED, .flip = true, .dtype = LEAT_FLOAT32};
    leat_loader *loader;
    leat_error error;
    check(leat_open(&config, &loader, &error), &error);
    draw(loader, WARM_EPOCHS, PAUSE_EVERY);
    atomic_store(&counting, true);
    uint64_t samples = draw(loader, COUNTED_EPOCHS, 0);
    atomic_store(&counting, false);
    leat_close(loader);
    return samples;
}

/* ---- the report ---- */

static int by_calls(const void *a, const void *b)
{
    uint64_t x = ((const caller *)a)->calls, y = ((const caller *)b)->calls;
    return (x < y) - (x > y);
}

static const char *object_of(void *address, uintptr_t *offset)
{
    Dl_info info;
    if (!dladdr(address, &info)) return "?";
    *offset = (uintptr_t)address - (uintptr_t)info.dli_fbase;
    const char *slash = strrchr(info.dli_fname, '/');
    return slash ? slash + 1 : info.dli_fname;
}

/* Prints the figures of one run and clears them. */
static void report(bool json, const char *what, uint64_t samples)
{
    uint64_t libjpeg = 0, others = 0;
    qsort(callers, CALLERS, sizeof *callers, by_calls);
    for (size_t i = 0; i < CALLERS && callers[i].calls; i++) {
        uintptr_t offset = 0;
        const char *object = object_of(callers[i].address, &offset);
        bool is_libjpeg = strncmp(object, "libjpeg", 7) == 0;
        *(is_libjpeg ? &libjpeg : &others) += callers[i].calls;
        if (!json && i < SHOWN)
            printf("    %s+0x%zx: %.4f a sample\n", object, (size_t)offset, (double)callers[i].calls / (double)samples);
    }
    char name[80];
    snprintf(name, sizeof name, "allocations-per-sample-%s", what);
    bench_print_value(json, name, (double)others / (double)samples, "calls");
    snprintf(name, sizeof name, "allocations-per-sample-%s-libjpeg", what);
    bench_print_value(json, name, (double)libjpeg / (double)samples, "calls");
    memset(callers, 0, sizeof callers);
}

int main(int argc, char **argv)
{
    bool json;
    if (!bench_arguments(argc, argv, &json)) {
        fprintf(stderr, "usage: bench-allocations [--json]\n");
        return 2;
    }
    static const char *const sets[][2] = {{"shards", "jpeg/tar"}, {"files", "jpeg/folder"}};
    const char *data = getenv("LEAT_BENCH_DATA");
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        char source[4096];
        snprintf(source, sizeof source, "%s/%s", data ? data : "/var/tmp/leat-bench3", sets[i][1]);
        report(json, sets[i][0], load(source));
    }
    return 0;
}
