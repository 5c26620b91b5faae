/* indexing.c - leat_index: reads shards and writes what they hold to leat.index.
 *
 * What:    lists the source, sorts the shards by folder and name, counts them side by side, then writes the index of each folder.
 * Why so:  nothing is written before every shard has been read to its end. The table needs all counts before the first byte, so
 *          places are held until then: 4 bytes a sample. A part of a folder's shards can be counted anew: the folder's index keeps
 *          what it has of the others.
 * Threads: a crew that counts; the caller's thread shows progress, sees the stop flag, and writes.
 * Not here: one shard (indexshard.c), the crew (indexcount.c), the file (indexstore.c). */
#include <leat/index.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/indexcount.h"
#include "loader/indexstore.h"
#include "loader/packjob.h"
#include "loader/plan.h"
#include "pipeline/failure.h"
#include "stages/filename.h"

typedef struct indexing {
    /* fixed after creation */
    const leat_index_config *wanted;
    leat_config config;           /* for listing and the network, with its choices made */
    leat__listing *listing;
    leat__counted *shards;        /* sorted by folder, then name; row and etag are the task's own */
    size_t count;
    /* shared */
    leat__index_run run;
} indexing;

/* ---- the settings ---- */

static leat_code choose(indexing *i, leat_error *error)
{
    const leat_index_config *wanted = i->wanted;
    leat_config config = LEAT_CONFIG_INIT;
    if (wanted->to && !*wanted->to)
        return leat__fail(error, LEAT_EINVAL, 0, "to: give the folder that the index goes into, or nothing");
    config.source = wanted->source;
    config.index = "none";
    config.threads = wanted->threads;
    config.ca_file = wanted->ca_file;
    config.headers = wanted->headers;
    config.header_count = wanted->header_count;
    config.world = 1;
    return leat__plan_config(&config, &i->config, error);
}

/* Length of a shard's path up to the base name. */
static size_t folder_of(const leat__counted *shard)
{
    return (size_t)(leat__filename_parse(shard->object->name).base - shard->object->name);
}

/* Shards of one folder stand together: their names have the same beginning of the same length. */
static int compare(const void *a, const void *b)
{
    const leat__counted *x = a, *y = b;
    size_t folder = folder_of(x), other = folder_of(y);
    if (folder != other) return folder < other ? -1 : 1;
    return strcmp(x->object->name, y->object->name);
}

/* Picks the listing's shards, each once. */
static leat_code pick_shards(indexing *i, leat_error *error)
{
    const leat__listing *listing = i->listing;
    if (!listing->shards)
        return leat__fail(error, LEAT_EINVAL, 0, "the source has no shards, but loose files, which need no index");
    if (!i->wanted->to && listing->objects[0].is_url)
        return leat__fail(error, LEAT_EINVAL, 0, "the shards are not on local disk: say where the index goes to (to, --to DIR)");
    i->shards = calloc(listing->count, sizeof *i->shards);
    if (!i->shards) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a list of %zu shards", listing->count);
    for (size_t n = 0; n < listing->count; n++) {
        const leat__object *object = &listing->objects[n];
        if (!object->is_shard) continue;
        i->shards[i->count++] = (leat__counted){.object = object};
    }
    qsort(i->shards, i->count, sizeof *i->shards, compare);
    size_t kept = 1; /* a list may name a shard twice */
    for (size_t n = 1; n < i->count; n++) {
        if (strcmp(i->shards[kept - 1].object->name, i->shards[n].object->name) != 0) i->shards[kept++] = i->shards[n];
    }
    i->count = kept;
    return LEAT_OK;
}

/* ---- counting ---- */

static void look(void *job)
{
    indexing *i = job;
    if (i->wanted->stop && *i->wanted->stop) atomic_store(&i->run.stopping, true);
    if (!i->wanted->progress) return;
    leat_index_progress progress = {.shards = atomic_load(&i->run.shards), .total = i->count,
                                    .samples = atomic_load(&i->run.samples), .bytes = atomic_load(&i->run.bytes)};
    i->wanted->progress(i->wanted->progress_user, &progress);
}

static leat_code count(indexing *i, leat_error *error)
{
    leat_code code = leat__index_count(&i->run, i->shards, i->count, look, i, error);
    if (code != LEAT_ECLOSED) return code;
    return leat__fail(error, LEAT_ECLOSED, 0, "stopped as asked; no index was written");
}

/* ---- writing ---- */

/* Writes one index: of shards [first, last) into the folder `to`; beside: it is theirs, whose other shards keep what is known. */
static leat_code store(indexing *i, size_t first, size_t last, const char *to, bool beside, leat_index_result *result,
                       leat_error *error)
{
    leat__index_list list = {0}, unknown = {0};
    int directory = -1;
    uint64_t bytes = 0;
    bool stale;
    leat_code code = LEAT_OK;
    for (size_t n = first; !code && n < last; n++) code = leat__counted_add(&list, &i->shards[n], error);
    if (!code) code = leat__index_list_sort(&list, "the source", error);
    if (!code) code = leat__pack_open_folder(to, &directory, error);
    if (!code && beside) code = leat__index_keep_others(directory, to, &list, &unknown, &stale, error);
    if (!code) code = leat__index_store(directory, to, &list, &bytes, error);
    if (directory >= 0) close(directory);
    leat__index_list_end(&unknown);
    leat__index_list_end(&list);
    result->files += code ? 0 : 1;
    result->bytes += bytes;
    return code;
}

static bool same_folder(const leat__counted *a, const leat__counted *b)
{
    size_t folder = folder_of(a);
    return folder == folder_of(b) && memcmp(a->object->name, b->object->name, folder) == 0;
}

static leat_code store_all(indexing *i, leat_index_result *result, leat_error *error)
{
    if (i->wanted->to) return store(i, 0, i->count, i->wanted->to, false, result, error);
    leat_code code = LEAT_OK;
    for (size_t first = 0, last; !code && first < i->count; first = last) {
        const leat__counted *shard = &i->shards[first];
        for (last = first + 1; last < i->count && same_folder(shard, &i->shards[last]); last++) {}
        size_t folder = folder_of(shard);
        char *to = folder ? strndup(shard->object->name, folder) : strdup(".");
        code = to ? store(i, first, last, to, true, result, error) : leat__fail(error, LEAT_ENOMEM, 0, "no memory for a path");
        free(to);
    }
    return code;
}

leat_code leat_index(const leat_index_config *config, leat_index_result *result, leat_error *error)
{
    assert(config && result);
    leat_error ignored;
    indexing i = {.wanted = config};
    if (!error) error = &ignored;
    leat__error_clear(error);
    *result = (leat_index_result){0};
    i.run.config = &i.config;
    leat_code code = choose(&i, error);
    if (!code) code = leat__source_list(i.config.source, &i.listing, error);
    if (!code) code = pick_shards(&i, error);
    if (!code) code = count(&i, error);
    if (!code) code = store_all(&i, result, error);
    result->shards = atomic_load(&i.run.shards);
    result->samples = atomic_load(&i.run.samples);
    leat__counted_end(i.shards, i.count);
    free(i.shards);
    leat__listing_free(i.listing);
    return code;
}
