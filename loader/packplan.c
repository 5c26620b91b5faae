/* packplan.c - which local files become which sample of which shard.
 *
 * What:    stat every file, group neighbours of one key into samples, permute, cut where a shard is full.
 * Why so:  boundaries are decided before the first byte is written, from sizes alone: so shards can be written side by
 *          side by any number of threads and come out the same, and progress knows its total.
 * Threads: leat_pack's caller.
 * Invariants: shard_begins rises from 0 to count; a shard has at least one sample.
 * Not here: reading and writing (packfiles.c). */
#include "loader/packplan.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pipeline/failure.h"
#include "pipeline/random.h"

enum { DRAW_PACK = 0x200 }; /* beside the operations of transform.h: packing draws nothing for pixels */

void leat__pack_entry_name(const leat__object *object, char *name, size_t capacity)
{
    int printed = snprintf(name, capacity, "%s.%s", object->key, object->field);
    assert(printed > 0 && (size_t)printed < capacity);
}

bool leat__pack_class_entry(const leat__pack_job *job, const leat__pack_sample *sample, char *name, size_t capacity,
                            char text[24])
{
    const leat__object *objects = &job->listing->objects[sample->first];
    assert(sample->fields > 0 && sample->first + sample->fields <= job->listing->count);
    if (objects->label < 0) return false;
    for (uint32_t i = 0; i < sample->fields; i++) {
        if (strcmp(objects[i].field, "cls") == 0) return false;
    }
    int printed = snprintf(name, capacity, "%s.cls", objects->key);
    assert(printed > 0 && (size_t)printed < capacity);
    snprintf(text, 24, "%" PRId64, objects->label);
    return true;
}

static leat_code fail_memory(leat_error *error)
{
    return leat__fail(error, LEAT_ENOMEM, 0, "no memory for the list of files");
}

/* Looks at one file: a regular one whose size is known, with a name that can be a field. */
static leat_code look(const leat__object *object, uint64_t *size, leat_error *error)
{
    struct stat status;
    leat_code code = LEAT_OK;
    assert(object->key && object->field && !object->is_url && !object->is_shard);
    if (!*object->field)
        code = leat__fail(error, LEAT_EUNSUPPORTED, 0, "%s: no extension that could name its field", object->display);
    else if (stat(object->name, &status) < 0)
        code = leat__fail_errno(error, leat__code_of_errno(errno), errno, "%s", object->display);
    else if (!S_ISREG(status.st_mode))
        code = leat__fail(error, LEAT_EUNSUPPORTED, 0, "%s: not a regular file", object->display);
    else *size = (uint64_t)status.st_size;
    if (code) leat__pack_set_place(error, "read", object->display, object->key);
    return code;
}

/* Two files of one sample that would have one name in the shard. */
static leat_code check_fields(const leat__object *objects, uint32_t fields, leat_error *error)
{
    for (uint32_t i = 1; i < fields; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(objects[i].field, objects[j].field) != 0) continue;
            leat__fail(error, LEAT_EUNSUPPORTED, 0, "%s: a second field \"%s\" of a sample; the first is %s",
                       objects[i].display, objects[i].field, objects[j].display);
            leat__pack_set_place(error, "read", objects[i].display, objects[i].key);
            return error->code;
        }
    }
    return LEAT_OK;
}

static leat_code look_at_sample(leat__pack_job *job, leat__pack_plan *plan, leat__pack_sample *sample,
                                leat_error *error)
{
    const leat__object *objects = &job->listing->objects[sample->first];
    leat_code code = check_fields(objects, sample->fields, error);
    for (uint32_t i = 0; !code && i < sample->fields; i++) {
        code = look(&objects[i], &plan->sizes[sample->first + i], error);
        size_t length = strlen(objects[i].key) + strlen(objects[i].field) + sizeof ".cls.";
        if (length > plan->longest_name) plan->longest_name = length;
    }
    if (!code) return LEAT_OK;
    sample->fields = 0;
    return leat__pack_failed(job, sample->first, error);
}

/* Neighbours of one key are one sample. */
static leat_code group(leat__pack_job *job, leat__pack_plan *plan, leat_error *error)
{
    const leat__listing *listing = job->listing;
    for (size_t i = 0; i < listing->count;) {
        size_t end = i + 1;
        while (end < listing->count && strcmp(listing->objects[end].key, listing->objects[i].key) == 0) end++;
        if (leat__pack_heed(job)) return leat__pack_stopped(error);
        if (end - i > UINT32_MAX) return leat__fail(error, LEAT_ELIMIT, 0, "over 4 billion files of one key");
        leat__pack_sample sample = {.first = i, .fields = (uint32_t)(end - i)};
        leat_code code = look_at_sample(job, plan, &sample, error);
        if (code) return code;
        if (sample.fields > 0) plan->samples[plan->count++] = sample;
        i = end;
    }
    return LEAT_OK;
}

static leat_code shuffle(const leat__pack_job *job, leat__pack_plan *plan, leat_error *error)
{
    if (!job->config.shuffle || plan->count < 2) return LEAT_OK;
    leat__pack_sample *ordered = malloc(plan->count * sizeof *ordered);
    if (!ordered) return fail_memory(error);
    leat__random_key key = {.seed = job->config.seed, .operation = DRAW_PACK};
    leat__permutation permutation;
    leat__permutation_init(&permutation, &key, plan->count);
    for (size_t i = 0; i < plan->count; i++) ordered[i] = plan->samples[leat__permutation_at(&permutation, i)];
    free(plan->samples);
    plan->samples = ordered;
    return LEAT_OK;
}

/* Next to each other in a shard, two samples of one key would be read as one. */
static leat_code drop_twins(leat__pack_job *job, leat__pack_plan *plan, leat_error *error)
{
    const leat__object *objects = job->listing->objects;
    size_t kept = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const leat__object *one = &objects[plan->samples[i].first];
        const leat__object *before = kept > 0 ? &objects[plan->samples[kept - 1].first] : NULL;
        if (before && strcmp(one->key, before->key) == 0) {
            leat__fail(error, LEAT_EUNSUPPORTED, 0, "%s: its key is also that of the sample before it, %s",
                       one->display,
                       before->display);
            leat__pack_set_place(error, "read", one->display, one->key);
            leat_code code = leat__pack_failed(job, plan->samples[i].first, error);
            if (code) return code;
        } else {
            plan->samples[kept++] = plan->samples[i];
        }
    }
    assert(kept <= plan->count);
    plan->count = kept;
    return LEAT_OK;
}

/* Bytes of the sample in the archive; UINT64_MAX beyond 64 bits. */
static uint64_t sample_bytes(const leat__pack_job *job, const leat__pack_plan *plan, const leat__pack_sample *sample,
                             char *name)
{
    uint64_t sum = 0;
    char text[24];
    for (uint32_t i = 0; i < sample->fields; i++) {
        leat__pack_entry_name(&job->listing->objects[sample->first + i], name, plan->longest_name);
        uint64_t bytes = leat__tar_entry_bytes(name, plan->sizes[sample->first + i]);
        if (__builtin_add_overflow(sum, bytes, &sum)) return UINT64_MAX;
    }
    if (leat__pack_class_entry(job, sample, name, plan->longest_name, text)) {
        if (__builtin_add_overflow(sum, leat__tar_entry_bytes(name, strlen(text)), &sum)) return UINT64_MAX;
    }
    return sum;
}

/* Cuts the order into shards: one is closed before the sample that would take it over shard_bytes. */
static leat_code cut(const leat__pack_job *job, leat__pack_plan *plan, leat_error *error)
{
    char *name = malloc(plan->longest_name + 1);
    uint64_t in_shard = LEAT__TAR_END_BYTES, grown;
    plan->shard_begins = malloc((plan->count + 1) * sizeof *plan->shard_begins);
    if (!name || !plan->shard_begins) {
        free(name);
        return fail_memory(error);
    }
    for (size_t i = 0; i < plan->count; i++) {
        uint64_t bytes = sample_bytes(job, plan, &plan->samples[i], name);
        bool over = __builtin_add_overflow(in_shard, bytes, &grown) || grown > job->config.shard_bytes;
        if (i == 0 || over) {
            plan->shard_begins[plan->shards++] = i;
            if (__builtin_add_overflow(bytes, (uint64_t)LEAT__TAR_END_BYTES, &grown)) grown = UINT64_MAX;
        }
        in_shard = grown;
    }
    assert(plan->shards <= plan->count && (plan->shards > 0) == (plan->count > 0));
    plan->shard_begins[plan->shards] = plan->count;
    free(name);
    return LEAT_OK;
}

leat_code leat__pack_plan_make(leat__pack_job *job, leat__pack_plan *plan, leat_error *error)
{
    assert(job->listing->count > 0);
    *plan = (leat__pack_plan){.longest_name = sizeof ".cls."};
    plan->sizes = calloc(job->listing->count, sizeof *plan->sizes);
    plan->samples = calloc(job->listing->count, sizeof *plan->samples);
    if (!plan->sizes || !plan->samples) return fail_memory(error);
    leat_code code = group(job, plan, error);
    if (!code) code = shuffle(job, plan, error);
    if (!code) code = drop_twins(job, plan, error);
    if (!code) code = cut(job, plan, error);
    return code;
}

void leat__pack_plan_end(leat__pack_plan *plan)
{
    free(plan->sizes);
    free(plan->samples);
    free(plan->shard_begins);
    *plan = (leat__pack_plan){0};
}
