/* packstream.c - packs whatever a leat_reader gives: shards into other shards, files over HTTP.
 *
 * What:    takes samples in the reader's order and writes them to one shard after another.
 * Why so:  the reader fetches, unpacks and shuffles on threads of its own; one writer keeps the order, and each sample
 *          is given back before the next is asked for, so memory stays the reader's.
 * Threads: leat_pack's caller.
 * Invariants: a shard file is open exactly while `in_shard` > 0.
 * Not here: which shard a file on local disk goes to (packplan.c). */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <leat/reader.h>

#include "loader/packjob.h"
#include "pipeline/failure.h"

enum { POLL_MS = 100 }; /* how often the stop flag is looked at while nothing comes */

typedef struct stream {
    leat__pack_job *job;
    leat_reader *reader;
    leat__shard_file *file;
    leat__tar_writer tar;
    uint64_t shard;     /* number of the one being written, or of the next */
    uint64_t in_shard;  /* bytes of it with the end mark; 0: none is open */
    uint64_t taken;     /* samples */
    char *name;         /* of an entry */
    size_t name_capacity;
    char *before;       /* key of the sample before */
    leat__place_list places; /* of the shard's samples */
} stream;

static leat_code fail_memory(leat_error *error)
{
    return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a sample's names");
}

/* Sets s->name to "key.field". */
static leat_code set_name(stream *s, const leat_sample *sample, const char *field, leat_error *error)
{
    const char *key = leat_sample_key(sample);
    size_t needed = strlen(key) + strlen(field) + 2;
    if (needed > s->name_capacity) {
        char *name = realloc(s->name, needed);
        if (!name) return fail_memory(error);
        s->name = name;
        s->name_capacity = needed;
    }
    snprintf(s->name, s->name_capacity, "%s.%s", key, field);
    return LEAT_OK;
}

/* The class as text; false if the sample gets no .cls field. */
static bool class_text(const leat_sample *sample, char text[24])
{
    int64_t label = leat_sample_class(sample);
    if (label < 0) return false;
    for (size_t i = 0; i < leat_sample_fields(sample); i++) {
        if (strcmp(leat_sample_field(sample, i), "cls") == 0) return false;
    }
    snprintf(text, 24, "%" PRId64, label);
    return true;
}

/* Bytes of the sample in the archive; UINT64_MAX beyond 64 bits. */
static leat_code weigh(stream *s, const leat_sample *sample, uint64_t *sum, leat_error *error)
{
    char text[24];
    size_t size;
    leat_code code;
    *sum = 0;
    for (size_t i = 0; i < leat_sample_fields(sample); i++) {
        if ((code = set_name(s, sample, leat_sample_field(sample, i), error))) return code;
        leat_sample_bytes(sample, i, &size);
        if (__builtin_add_overflow(*sum, leat__tar_entry_bytes(s->name, size), sum)) *sum = UINT64_MAX;
    }
    if (class_text(sample, text)) {
        if ((code = set_name(s, sample, "cls", error))) return code;
        if (__builtin_add_overflow(*sum, leat__tar_entry_bytes(s->name, strlen(text)), sum)) *sum = UINT64_MAX;
    }
    return LEAT_OK;
}

static leat_code end_shard(stream *s, leat_error *error)
{
    uint64_t stored = 0;
    if (s->in_shard == 0) return LEAT_OK;
    assert(s->in_shard == leat__shard_file_position(s->file) + LEAT__TAR_END_BYTES);
    char name[LEAT__SHARD_NAME];
    uint64_t samples = s->places.count;
    leat_code code = leat__place_list_add(&s->places, leat__shard_file_position(s->file), error);
    if (!code) code = leat__tar_writer_end(&s->tar, error);
    if (!code) code = leat__shard_file_commit(s->file, &stored, error);
    leat__pack_name(s->job, s->shard, name);
    if (!code)
        code = leat__pack_note_shard(s->job, name, stored, s->in_shard, samples, leat__place_list_take(&s->places), error);
    if (code) return code;
    atomic_fetch_add(&s->job->stored_bytes, stored);
    atomic_fetch_add(&s->job->shards, 1);
    s->shard++;
    s->in_shard = 0;
    return LEAT_OK;
}

/* Makes sure that a shard is open with room for `bytes`. */
static leat_code make_room(stream *s, uint64_t bytes, leat_error *error)
{
    uint64_t grown;
    const leat_pack_config *config = &s->job->config;
    char name[LEAT__SHARD_NAME];
    bool over = __builtin_add_overflow(s->in_shard, bytes, &grown) || grown > config->shard_bytes;
    leat_code code = over ? end_shard(s, error) : LEAT_OK;
    if (code || s->in_shard > 0) return code;
    leat__pack_name(s->job, s->shard, name);
    code = leat__shard_file_begin(s->file, s->job->directory, config->to, name, config->overwrite, error);
    if (code) return code;
    leat__tar_writer_begin(&s->tar, leat__shard_file_write, s->file);
    s->in_shard = LEAT__TAR_END_BYTES;
    return LEAT_OK;
}

static leat_code write_entry(stream *s, const leat_sample *sample, const char *field, const void *data, size_t size,
                             leat_error *error)
{
    leat_code code = set_name(s, sample, field, error);
    if (!code) code = leat__tar_writer_entry(&s->tar, s->name, size, error);
    if (!code && size > 0) code = leat__tar_writer_body(&s->tar, data, size, error);
    return code;
}

static leat_code write_sample(stream *s, const leat_sample *sample, leat_error *error)
{
    uint64_t bytes;
    char text[24];
    leat_code code = weigh(s, sample, &bytes, error);
    if (!code) code = make_room(s, bytes, error);
    if (!code) code = leat__place_list_add(&s->places, leat__shard_file_position(s->file), error);
    for (size_t i = 0; !code && i < leat_sample_fields(sample); i++) {
        size_t size;
        const void *data = leat_sample_bytes(sample, i, &size);
        code = write_entry(s, sample, leat_sample_field(sample, i), data, size, error);
    }
    if (!code && class_text(sample, text)) code = write_entry(s, sample, "cls", text, strlen(text), error);
    if (code) return code;
    s->in_shard += bytes; /* fits: make_room has seen the sum, or the shard is new and bytes alone were written */
    assert(s->in_shard == leat__shard_file_position(s->file) + LEAT__TAR_END_BYTES);
    atomic_fetch_add(&s->job->samples, 1);
    atomic_fetch_add(&s->job->unpacked_bytes, bytes);
    return LEAT_OK;
}

/* Next to each other in a shard, two samples of one key would be read as one. */
static leat_code check_twin(stream *s, const leat_sample *sample, bool *twin, leat_error *error)
{
    const char *key = leat_sample_key(sample);
    char shown[256];
    *twin = s->before && strcmp(s->before, key) == 0;
    if (*twin) {
        leat__fail(error, LEAT_EUNSUPPORTED, 0, "%s: sample %s has the same key as the one before it",
                   leat_sample_shard(sample),
                   leat__escape(shown, sizeof shown, key, strlen(key)));
        leat__pack_set_place(error, "read", leat_sample_shard(sample), key);
        return leat__pack_failed(s->job, s->taken, error);
    }
    free(s->before);
    s->before = strdup(key);
    return s->before ? LEAT_OK : fail_memory(error);
}

/* Waits for the next sample, and looks at the stop flag meanwhile: a server may be silent for long. */
static leat_code next_sample(stream *s, leat_sample **sample, leat_error *error)
{
    leat_code code = LEAT_AGAIN;
    while (code == LEAT_AGAIN) {
        if (leat__pack_heed(s->job)) return leat__pack_stopped(error);
        code = leat_reader_next_timeout(s->reader, POLL_MS, sample, error);
    }
    return code;
}

static leat_code run(stream *s, leat_error *error)
{
    leat_sample *sample;
    leat_code code;
    assert(s->reader && s->file);
    while ((code = next_sample(s, &sample, error)) == LEAT_OK) {
        bool twin;
        code = check_twin(s, sample, &twin, error);
        if (!code && !twin) code = write_sample(s, sample, error);
        leat_sample_release(sample);
        s->taken++;
        if (code) return code;
        leat__pack_progress(s->job);
    }
    return code == LEAT_END ? end_shard(s, error) : code;
}

/* What the reader left out counts with what was left out here. */
static void count_failures(stream *s)
{
    leat_error first;
    uint64_t count = leat_reader_errors(s->reader, &first, 1);
    if (count == 0) return;
    s->job->first_error = first;
    s->job->errors += count;
}

static leat_code open_reader(stream *s, leat_error *error)
{
    const leat_pack_config *wanted = &s->job->config;
    leat_config config = LEAT_CONFIG_INIT;
    config.source = wanted->source;
    config.world = 1; /* whatever launcher this runs under */
    config.order = wanted->shuffle ? LEAT_ORDER_SHUFFLED : LEAT_ORDER_SEQUENTIAL;
    config.seed = wanted->seed;
    config.epochs = 1;
    config.on_error = wanted->max_errors == 0 ? LEAT_ON_ERROR_STOP : LEAT_ON_ERROR_SKIP;
    config.max_errors = wanted->max_errors;
    config.threads = wanted->threads;
    config.world = 1;
    config.index = "none"; /* it is read once and in order, and may not match */
    return leat_reader_open(&config, &s->reader, error);
}

leat_code leat__pack_stream(leat__pack_job *job, leat_error *error)
{
    stream s = {.job = job};
    leat_code code;
    s.file = leat__shard_file_new(job->config.compression, job->config.level);
    if (!s.file) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a shard's buffers");
    code = open_reader(&s, error);
    if (!code) {
        code = run(&s, error);
        count_failures(&s);
    }
    leat_reader_close(s.reader);
    leat__shard_file_free(s.file); /* an unfinished shard goes with it */
    free(s.name);
    free(s.before);
    leat__place_list_end(&s.places);
    return code;
}
