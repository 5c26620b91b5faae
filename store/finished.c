/* finished.c - a set of 64-bit hashes of what is finished.
 *
 * What:    256 tables with open addressing, one for each value of the hash's highest byte, each grown by itself.
 * Why so:  10 million records have to fit into some 100 MB, also while a table grows; one table alone would be there twice then.
 *          Tables grow by a quarter at 85%: probes stay short, and no more than a third is empty. The hash is keyed by chance, as
 *          names come from lists of strangers.
 * Threads: any; one lock, held for some 100 ns.
 * Invariants: 0 marks an empty slot, and is no hash; each table has an empty slot, or no slots. */
#include "store/finished.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/env.h"
#include "pipeline/fnv.h"

#define TABLES 256
#define FIRST_SLOTS 8

struct table {
    uint64_t *slots;
    uint64_t count, capacity;
};

struct leat__finished {
    uint64_t key;
    pthread_mutex_t lock;
    struct table tables[TABLES];
};

leat__finished *leat__finished_new(void)
{
    const leat__env *real = leat__env_real();
    leat__finished *set = calloc(1, sizeof *set);
    if (!set) return NULL;
    if (pthread_mutex_init(&set->lock, NULL) != 0) {
        free(set);
        return NULL;
    }
    set->key = real->random(real->user);
    return set;
}

void leat__finished_free(leat__finished *set)
{
    if (!set) return;
    for (size_t i = 0; i < TABLES; i++) free(set->tables[i].slots);
    pthread_mutex_destroy(&set->lock);
    free(set);
}

/* Spreads a digest over all bits (the finalizer of MurmurHash3, by Austin Appleby, public domain). */
static uint64_t spread(uint64_t z)
{
    z = (z ^ z >> 33) * UINT64_C(0xff51afd7ed558ccd);
    z = (z ^ z >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return z ^ z >> 33;
}

static uint64_t hash_of(const leat__finished *set, const char *path, const char *url, uint64_t bytes)
{
    uint64_t digest = leat__fnv_number(LEAT__FNV_START, set->key);
    digest = leat__fnv_add(digest, path, strlen(path) + 1); /* with their NULs, so that no two pairs run together */
    digest = spread(leat__fnv_add(digest, url, strlen(url) + 1) ^ set->key);
    digest = spread(leat__fnv_number(digest, bytes));
    return digest ? digest : 1;
}

/* The slot that has the hash, or the empty one where it belongs. */
static uint64_t *find_slot(const struct table *table, uint64_t hash)
{
    uint64_t i = (uint64_t)((unsigned __int128)(hash << 8) * table->capacity >> 64); /* the highest byte has chosen the table */
    while (table->slots[i] && table->slots[i] != hash) i = i + 1 < table->capacity ? i + 1 : 0;
    return &table->slots[i];
}

static bool grow(struct table *table)
{
    uint64_t capacity = table->capacity ? table->capacity + table->capacity / 4 : FIRST_SLOTS;
    struct table larger = {.capacity = capacity, .count = table->count};
    larger.slots = calloc(larger.capacity, sizeof *larger.slots);
    if (!larger.slots) return false;
    for (uint64_t i = 0; i < table->capacity; i++) {
        if (table->slots[i]) *find_slot(&larger, table->slots[i]) = table->slots[i];
    }
    free(table->slots);
    *table = larger;
    return true;
}

static bool add_locked(struct table *table, uint64_t hash)
{
    if (table->capacity > 0 && *find_slot(table, hash)) return true;
    if ((table->count + 1) * 20 > table->capacity * 17 && !grow(table)) return false;
    *find_slot(table, hash) = hash;
    table->count++;
    return true;
}

bool leat__finished_add(leat__finished *set, const char *path, const char *url, uint64_t bytes)
{
    uint64_t hash = hash_of(set, path, url, bytes);
    pthread_mutex_lock(&set->lock);
    bool fine = add_locked(&set->tables[hash >> 56], hash);
    pthread_mutex_unlock(&set->lock);
    return fine;
}

bool leat__finished_has(leat__finished *set, const char *path, const char *url, uint64_t bytes)
{
    uint64_t hash = hash_of(set, path, url, bytes);
    const struct table *table = &set->tables[hash >> 56];
    pthread_mutex_lock(&set->lock);
    bool has = table->capacity > 0 && *find_slot(table, hash);
    pthread_mutex_unlock(&set->lock);
    return has;
}
