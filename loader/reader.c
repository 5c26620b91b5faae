/* reader.c - samples as they are stored (include/leat/reader.h): a stream with one more stage that keeps the failed ones back. */
#include <leat/reader.h>

#include <stdlib.h>

#include "loader/opening.h"
#include "loader/stream.h"
#include "pipeline/failure.h"

struct leat_reader {
    leat__stream stream;
    uint64_t taken; /* samples of this epoch; the loop thread's */
    uint64_t skip;  /* and those before the first one that is given out */
};

struct leat_sample {
    leat__sample *sample;
    leat__home *home;   /* shared: the sample may outlive the reader */
    uint64_t step, row;
};

enum { READY = 64 };    /* samples that wait for the consumer */

/* ---- the stage: failed samples are booked, the others go on ---- */

static leat__step sift(leat__op *op)
{
    leat_reader *reader = leat__stage_state(op->stage);
    leat__sample *sample = (leat__sample *)op->input;
    bool counted = reader->stream.home->origins->counted; /* then the course says which samples come */
    if (leat__flow_is_cut(&reader->stream.flow, sample->epoch)) return LEAT__DONE;
    if (!counted && !sample->lost_object) {
        sample->place = reader->taken++;
        if (reader->taken == reader->stream.plan.config.limit) atomic_store(&reader->stream.flow.cut, sample->epoch + 1);
        if (sample->place < reader->skip) return LEAT__DONE;
    }
    if (sample->failed && !sample->repeats)
        return leat__failures_judge(&reader->stream.failures, sample, &op->error) ? LEAT__FAILED : LEAT__DONE;
    if (sample->lost_object || sample->failed) return LEAT__DONE;
    return leat__emit_input(op);
}

static leat__step sift_flush(leat__op *op)
{
    leat_reader *reader = leat__stage_state(op->stage);
    reader->taken = reader->skip = 0;
    return LEAT__DONE;
}

static const leat__stage_type sift_type = {.name = "sift", .begin = sift, .flush = sift_flush};

leat_code leat_reader_open(const leat_config *config, leat_reader **out, leat_error *error)
{
    leat_error ignored;
    if (!error) error = &ignored;
    leat__error_clear(error);
    *out = NULL;
    leat_reader *reader = calloc(1, sizeof *reader);
    if (!reader) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a reader");
    leat__origins *origins;
    leat_code code = leat__stream_open(&reader->stream, config, &origins, error);
    if (!code) code = leat__plan_memory(&reader->stream.plan, origins, true, 0, false, error);
    const leat_config *chosen = &reader->stream.plan.config;
    if (__builtin_mul_overflow(chosen->step, (uint64_t)chosen->batch_size, &reader->skip)) reader->skip = UINT64_MAX;
    if (code) leat__origins_free(origins);
    else code = leat__stream_build(&reader->stream, origins, NULL, READY, error);
    if (!code) code = leat__stream_add(&reader->stream, &sift_type, reader, 1, 2, SIZE_MAX, error);
    if (code) {
        leat_reader_close(reader);
        return code;
    }
    leat__stream_start(&reader->stream);
    *out = reader;
    return LEAT_OK;
}

static leat_code next_sample(leat_reader *reader, uint64_t timeout_ns, leat_sample **out, leat_error *error)
{
    *out = NULL;
    leat_code code = leat__stream_check_process(&reader->stream, error);
    if (code) return code;
    leat_sample *sample = malloc(sizeof *sample);
    if (!sample) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a sample");
    leat__item *item;
    code = leat__outlet_take(reader->stream.outlet, timeout_ns, &item, error);
    if (code) {
        free(sample);
        return code;
    }
    const leat_config *config = &reader->stream.plan.config;
    const leat__sample *inner = (leat__sample *)item;
    *sample = (leat_sample){.sample = (leat__sample *)item, .home = reader->stream.home, .step = inner->place / config->batch_size,
                            .row = inner->place % config->batch_size / config->world};
    leat__home_share(sample->home);
    *out = sample;
    return LEAT_OK;
}

leat_code leat_reader_next(leat_reader *reader, leat_sample **sample, leat_error *error)
{
    return next_sample(reader, LEAT__FOREVER, sample, error);
}

leat_code leat_reader_next_timeout(leat_reader *reader, uint32_t timeout_ms, leat_sample **sample, leat_error *error)
{
    return next_sample(reader, (uint64_t)timeout_ms * 1000000, sample, error);
}

uint64_t leat_reader_errors(leat_reader *reader, leat_error *errors, size_t capacity)
{
    if (leat__stream_check_process(&reader->stream, NULL)) return 0;
    return leat__failures_get(&reader->stream.failures, errors, capacity);
}

size_t leat_reader_classes(const leat_reader *reader)
{
    return reader->stream.home->origins->all[0].listing->class_count;
}

const char *leat_reader_class(const leat_reader *reader, size_t i)
{
    const leat__listing *listing = reader->stream.home->origins->all[0].listing;
    return i < listing->class_count ? listing->classes[i] : NULL;
}

void leat_reader_close(leat_reader *reader)
{
    if (!reader || leat__stream_check_process(&reader->stream, NULL)) return;
    leat__stream_close(&reader->stream);
    free(reader);
}

const char *leat_sample_key(const leat_sample *sample)
{
    return sample->sample->key;
}

const char *leat_sample_shard(const leat_sample *sample)
{
    return sample->sample->object->display;
}

uint64_t leat_sample_index(const leat_sample *sample)
{
    return sample->sample->index;
}

uint64_t leat_sample_offset(const leat_sample *sample)
{
    return sample->sample->offset;
}

uint64_t leat_sample_epoch(const leat_sample *sample)
{
    return sample->sample->epoch;
}

uint64_t leat_sample_step(const leat_sample *sample)
{
    return sample->step;
}

uint64_t leat_sample_row(const leat_sample *sample)
{
    return sample->row;
}

uint32_t leat__reader_source(const leat_sample *sample)
{
    return sample->sample->object->source;
}

int64_t leat_sample_class(const leat_sample *sample)
{
    return sample->sample->object->label;
}

size_t leat_sample_fields(const leat_sample *sample)
{
    return sample->sample->field_count;
}

const char *leat_sample_field(const leat_sample *sample, size_t i)
{
    return i < sample->sample->field_count ? sample->sample->fields[i].name : NULL;
}

const void *leat_sample_bytes(const leat_sample *sample, size_t i, size_t *bytes)
{
    bool there = i < sample->sample->field_count;
    if (bytes) *bytes = there ? sample->sample->fields[i].bytes.size : 0;
    return there ? sample->sample->fields[i].bytes.data : NULL;
}

void leat_sample_release(leat_sample *sample)
{
    if (!sample) return;
    leat__item_release(&sample->sample->item);
    leat__home_release(sample->home);
    free(sample);
}
