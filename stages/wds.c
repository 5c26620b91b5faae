/* wds.c - groups the files of an archive into samples.
 *
 * What:    splits names into key and field, opens a sample when the key changes, fills it, hands it on.
 * Why so:  a fault of one sample (a name twice, too large, sparse) fails that sample alone: it is emitted with its
 *          error and whatever it held until then, in its turn, so that the others keep their index. The limit is on
 *          the bytes that the sample *spans* in the archive, from its first body on, junk between its files included:
 *          since its slices hold on to the chunks they lie in, that is what it keeps in memory. (A limit per field
 *          lets 1,024 small fields pin 1,024 chunks.)
 * Threads: none of its own; a leat__wds has one holder, the archive's reader.
 * Invariants:
 *   (1) sample is NULL, or has a key and all fields so far in archive order, no two of one name
 *   (2) field is set only between a WANTED open and its add
 * Not here: headers and bodies (tar.c), what a loader does with failed samples (loader/). */
#include "stages/wds.h"

#include <assert.h>
#include <string.h>

#include "pipeline/failure.h"

enum {
    MAX_FIELDS = 1024,   /* a name is looked up among the others each time: 1024 * 1024 / 2 short compares at most */
    SHOWN = 200,         /* bytes of a foreign name in a message, escapes included */
};

void leat__wds_begin(leat__wds *wds, const leat__object *object, uint64_t epoch, uint64_t index)
{
    leat__wds_drop(wds, NULL);
    wds->object = object;
    wds->epoch = epoch;
    wds->index = index;
    wds->field = NULL;
}

void leat__wds_end(leat__wds *wds)
{
    leat__sample *sample = wds->sample;
    if (!sample) return;
    assert(sample->failed || sample->field_count > 0);
    wds->sample = NULL;
    wds->emit(wds->user, sample);
}

void leat__wds_drop(leat__wds *wds, leat_error *error)
{
    if (!wds->sample) return;
    const char *key = wds->sample->key;
    if (error) leat__escape(error->key, sizeof error->key, key, strlen(key));
    leat__item_release(&wds->sample->item);
    wds->sample = NULL;
}

/* Cuts a path into key and field. False if it belongs to no sample. */
static bool split(const leat__wds_file *file, size_t *key_length, const char **field, size_t *field_length)
{
    const char *slash = memrchr(file->path, '/', file->length);
    const char *base = slash ? slash + 1 : file->path, *end = file->path + file->length;
    const char *dot = base < end ? memchr(base, '.', (size_t)(end - base)) : NULL;
    if (!dot || dot == base) return false;
    *key_length = (size_t)(dot - file->path);
    *field = dot + 1;
    *field_length = (size_t)(end - dot) - 1;
    return true;
}

static bool same_key(const leat__sample *sample, const char *key, size_t length)
{
    return strncmp(sample->key, key, length) == 0 && sample->key[length] == '\0';
}

static leat_code open_sample(leat__wds *wds, const leat__wds_file *file, size_t key_length, leat_error *error)
{
    leat__sample *sample = leat__sample_new(wds->pool, wds->object, wds->epoch);
    if (!sample || !leat__sample_set_key(sample, file->path, key_length)) {
        if (sample) leat__item_release(&sample->item);
        return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a sample");
    }
    sample->index = wds->index++;
    sample->offset = file->header_offset;
    wds->first_body = file->body_offset;
    wds->sample = sample;
    return LEAT_OK;
}

/* Completes the error of the sample: its key, where it failed. */
static void sample_failed(leat__sample *sample, uint64_t offset)
{
    assert(sample->error.code != LEAT_OK && !sample->failed);
    sample->failed = true;
    sample->error.offset = offset;
    leat__escape(sample->error.key, sizeof sample->error.key, sample->key, strlen(sample->key));
}

/* Fails the sample if it can't take this field; `name` is the field's, escaped. */
static bool accept(leat__wds *wds, const leat__wds_file *file, const char *field, size_t length)
{
    leat__sample *sample = wds->sample;
    char name[SHOWN];
    leat__escape(name, sizeof name, field, length);
    const leat__sample_field *twin = leat__sample_field_named(sample, field, length);
    assert(file->body_offset >= wds->first_body && file->size <= INT64_MAX && file->body_offset <= INT64_MAX);
    uint64_t span = file->body_offset - wds->first_body + file->size;

    if (file->sparse) {
        leat__fail(&sample->error, LEAT_EUNSUPPORTED, 0,
                   "field '%s' is a GNU sparse file (make the archive without --sparse)", name);
    } else if (twin) {
        leat__fail(&sample->error, LEAT_ECORRUPT, 0, "field '%s' is there twice, at byte %llu and at byte %llu", name,
                   (unsigned long long)twin->offset, (unsigned long long)file->body_offset);
    } else if (span > wds->limit) {
        leat__fail(&sample->error, LEAT_ELIMIT, 0,
                   "with field '%s' of %llu bytes the sample spans %llu bytes, over %s (%llu)", name,
                   (unsigned long long)file->size, (unsigned long long)span, wds->limit_hint,
                   (unsigned long long)wds->limit);
    } else if (sample->field_count == MAX_FIELDS) {
        leat__fail(&sample->error, LEAT_ELIMIT, 0, "field '%s': more than %d fields in one sample", name, MAX_FIELDS);
    } else {
        return true;
    }
    sample_failed(sample, file->header_offset);
    return false;
}

leat_code leat__wds_open(leat__wds *wds, const leat__wds_file *file, leat__wds_verdict *verdict, leat_error *error)
{
    assert(!wds->field);
    size_t key_length, field_length;
    const char *field;
    *verdict = LEAT__WDS_IGNORED;
    if (!split(file, &key_length, &field, &field_length)) return LEAT_OK;

    if (wds->sample && !same_key(wds->sample, file->path, key_length)) leat__wds_end(wds);
    leat_code code = wds->sample ? LEAT_OK : open_sample(wds, file, key_length, error);
    if (code) return code;

    *verdict = LEAT__WDS_UNWANTED;
    if (wds->sample->failed || !accept(wds, file, field, field_length)) return LEAT_OK;
    *verdict = LEAT__WDS_WANTED;
    wds->field = field;
    wds->field_length = field_length;
    wds->body_offset = file->body_offset;
    return LEAT_OK;
}

leat_code leat__wds_add(leat__wds *wds, leat__bytes bytes, leat_error *error)
{
    assert(wds->sample && wds->field && !wds->sample->failed);
    const char *field = wds->field;
    wds->field = NULL;
    wds->sample->end = wds->body_offset + bytes.size;
    if (leat__sample_add(wds->sample, field, wds->field_length, bytes, wds->body_offset)) return LEAT_OK;
    return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a field of a sample");
}
