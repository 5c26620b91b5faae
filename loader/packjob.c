/* packjob.c - one run of leat_pack: what its parts share.
 *
 * What:    the count of failures against max_errors, the stop flags, names, progress.
 * Why so:  the first failure named is the first in the order of the data, whichever thread met it first.
 * Threads: any, except where packjob.h says otherwise.
 * Not here: the run itself (pack.c). */
#include "loader/packjob.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "pipeline/failure.h"

bool leat__pack_stopping(leat__pack_job *job)
{
    return atomic_load_explicit(&job->cancelled, memory_order_relaxed);
}

bool leat__pack_heed(leat__pack_job *job)
{
    if (job->config.stop && *job->config.stop) atomic_store(&job->cancelled, true);
    return leat__pack_stopping(job);
}

leat_code leat__pack_stopped(leat_error *error)
{
    return leat__fail(error, LEAT_ECLOSED, 0, "stopped as asked; the shards that were finished stay");
}

void leat__pack_set_place(leat_error *error, const char *stage, const char *shard, const char *key)
{
    assert(error);
    snprintf(error->stage, sizeof error->stage, "%s", stage);
    snprintf(error->shard, sizeof error->shard, "%s", shard);
    leat__escape(error->key, sizeof error->key, key, strlen(key));
}

/* More failures than are allowed: the run ends by the first of them, or by their number. */
static leat_code give_up_locked(leat__pack_job *job, leat_error *error)
{
    if (job->config.max_errors == 0) {
        *error = job->first_error;
        return error->code;
    }
    leat_error first = job->first_error;
    leat__fail(error, LEAT_ETOOMANY, 0,
               "more than %" PRIu64 " files could not be packed (max_errors); the first: %.800s",
               job->config.max_errors, first.message);
    leat__pack_set_place(error, first.stage, first.shard, first.key);
    return error->code;
}

leat_code leat__pack_failed(leat__pack_job *job, uint64_t position, leat_error *error)
{
    leat_code code = LEAT_OK;
    assert(error && error->code != LEAT_OK);
    pthread_mutex_lock(&job->lock);
    if (job->errors == 0 || position < job->first_position) {
        job->first_error = *error;
        job->first_position = position;
    }
    job->errors++;
    if (job->errors > job->config.max_errors) code = give_up_locked(job, error);
    else leat__error_clear(error);
    pthread_mutex_unlock(&job->lock);
    return code;
}

void leat__pack_name(const leat__pack_job *job, uint64_t number, char name[LEAT__SHARD_NAME])
{
    const char *ending = job->config.compression == LEAT_COMPRESSION_ZSTD ? "tar.zst" : "tar";
    int printed = snprintf(name, LEAT__SHARD_NAME, "%s-%06" PRIu64 ".%s", job->config.prefix, number, ending);
    assert(printed > 0 && printed < LEAT__SHARD_NAME);
}

bool leat__pack_is_name(const leat__pack_job *job, const char *name)
{
    size_t length = strlen(job->config.prefix);
    if (strncmp(name, job->config.prefix, length) != 0 || name[length] != '-') return false;
    name += length + 1;
    size_t digits = strspn(name, "0123456789");
    return digits >= 6 && (strcmp(name + digits, ".tar") == 0 || strcmp(name + digits, ".tar.zst") == 0);
}

void leat__pack_progress(leat__pack_job *job)
{
    if (!job->config.progress) return;
    leat_pack_progress progress = {.samples = atomic_load(&job->samples), .total = job->total,
                                   .bytes = atomic_load(&job->unpacked_bytes), .shards = atomic_load(&job->shards)};
    job->config.progress(job->config.progress_user, &progress);
}
