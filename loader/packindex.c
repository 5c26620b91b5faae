/* packindex.c - the index of what leat_pack writes.
 *
 * What:    notes each shard when it is finished; at the end writes leat.index for all shards of the folder.
 * Why so:  the places are known while they are written, so the index costs nothing. It is the one that leat_index would write,
 *          byte for byte. An index that lacks a shard is refused for the whole folder: shards that were there before keep the rows
 *          they have in an index that is there, if they still match them; the others are read now.
 * Threads: leat__pack_note_shard on any; the rest on leat_pack's caller's, and a crew that counts (indexcount.c).
 * Not here: the file, and what one that is there knows (indexstore.c). */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/indexcount.h"
#include "loader/indexstore.h"
#include "loader/packjob.h"
#include "loader/plan.h"
#include "pipeline/failure.h"
#include "stages/index.h"

leat_code leat__pack_note_shard(leat__pack_job *job, const char *name, uint64_t bytes, uint64_t unpacked, uint64_t samples,
                                uint32_t *places, leat_error *error)
{
    uint64_t there;
    leat__index_row row = {.name = name, .etag = "", .bytes = bytes, .unpacked = unpacked, .samples = samples,
                           .has_head_crc = true, .places = places};
    if (job->config.compression != LEAT_COMPRESSION_NONE) { /* only an uncompressed shard can be read by sample */
        free(places);
        row.places = NULL;
    }
    if (!leat__index_look(job->directory, name, &there, &row.head_crc) || there != bytes) {
        free((uint32_t *)row.places);
        return leat__fail(error, LEAT_EIO, 0, "%s/%s: it is not there as it was written: is another run writing to the folder?",
                          job->config.to, name);
    }
    pthread_mutex_lock(&job->lock);
    leat_code code = leat__index_list_add(&job->index, &row, error);
    pthread_mutex_unlock(&job->lock);
    return code;
}

/* ---- shards that no index knows ---- */

typedef struct strangers {
    leat__pack_job *job;
    leat_config config;      /* for reading, with its choices made */
    leat__index_run run;
    leat__object *objects;   /* of each: name and display are owned */
    leat__counted *shards;
    size_t count;
} strangers;

static void end_strangers(strangers *s)
{
    if (s->shards) leat__counted_end(s->shards, s->count);
    for (size_t i = 0; s->objects && i < s->count; i++) {
        free(s->objects[i].name);
        free(s->objects[i].display);
    }
    free(s->objects);
    free(s->shards);
}

static leat_code begin_strangers(strangers *s, const leat__index_list *unknown, leat_error *error)
{
    const char *to = s->job->config.to;
    char shown[1024];
    leat_config config = {.source = to, .index = "none", .threads = s->job->config.threads, .world = 1};
    leat_code code = leat__plan_config(&config, &s->config, error);
    if (code) return code;
    s->run.config = &s->config;
    s->count = unknown->count;
    s->objects = calloc(s->count, sizeof *s->objects);
    s->shards = calloc(s->count, sizeof *s->shards);
    for (size_t i = 0; s->objects && s->shards && i < s->count; i++) {
        leat__object *object = &s->objects[i];
        *object = (leat__object){.number = i, .label = -1, .is_shard = true};
        if (asprintf(&object->name, "%s/%s", to, unknown->rows[i].name) < 0) object->name = NULL;
        if (object->name) object->display = strdup(leat__escape(shown, sizeof shown, object->name, strlen(object->name)));
        if (!object->display) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a list of %zu shards", s->count);
        s->shards[i].object = object;
    }
    return s->objects && s->shards ? LEAT_OK : leat__fail(error, LEAT_ENOMEM, 0, "no memory for a list of %zu shards", s->count);
}

static void look(void *user)
{
    strangers *s = user;
    if (leat__pack_heed(s->job)) atomic_store(&s->run.stopping, true);
    leat__pack_progress(s->job);
}

/* One of them cannot be read, as *error says. Without an index there nothing is wrong but that there is none. */
static leat_code fail_unreadable(const leat__pack_job *job, bool stale, leat_error *error)
{
    leat_error cause = *error;
    leat__error_clear(error);
    if (!stale) return LEAT_OK;
    leat__fail(error, LEAT_ECORRUPT, cause.system,
               "%.900s: so %.200s/" LEAT__INDEX_NAME " could not be written anew, and lacks shards that are there now; what was "
               "packed is whole: mend or remove that shard and run leat index", cause.message, job->config.to);
    leat__pack_set_place(error, "read", cause.shard, "");
    error->offset = cause.offset;
    return LEAT_ECORRUPT;
}

/* Reads the shards that no index knows, and adds them. *whole: all could be read. stale: an index is there that lacks them. */
static leat_code add_strangers(leat__pack_job *job, const leat__index_list *unknown, bool stale, bool *whole, leat_error *error)
{
    strangers s = {.job = job};
    *whole = true;
    if (unknown->count == 0) return LEAT_OK;
    leat_code code = begin_strangers(&s, unknown, error);
    if (!code) {
        code = leat__index_count(&s.run, s.shards, s.count, look, &s, error);
        if (code == LEAT_ECLOSED) leat__pack_stopped(error);
        else if (code && code != LEAT_ENOMEM && code != LEAT_ESYSTEM) {
            *whole = false;
            code = fail_unreadable(job, stale, error);
        }
    }
    for (size_t i = 0; !code && *whole && i < s.count; i++) code = leat__counted_add(&job->index, &s.shards[i], error);
    end_strangers(&s);
    return code ? code : leat__index_list_sort(&job->index, job->config.to, error);
}

leat_code leat__pack_write_index(leat__pack_job *job, leat_error *error)
{
    leat__index_list unknown = {0};
    bool whole, stale;
    uint64_t bytes;
    leat_code code = leat__index_list_sort(&job->index, job->config.to, error);
    if (!code) code = leat__index_keep_others(job->directory, job->config.to, &job->index, &unknown, &stale, error);
    if (!code) code = add_strangers(job, &unknown, stale, &whole, error);
    if (!code && whole) code = leat__index_store(job->directory, job->config.to, &job->index, &bytes, error);
    leat__index_list_end(&unknown);
    return code;
}
