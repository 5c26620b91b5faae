/* indexforeign.c - indexes that other programs have written: WebDataset's wids (JSON) and DALI's wds2idx (.idx).
 *
 * What:    both become rows like those of leat.index; shards are told by their base names.
 * Why so:  DALI gives the offsets of bodies, not of headers. What lies between the last body of one sample and the first of the
 *          next is the next one's headers: a sample begins where the one before ends, rounded up to tar's blocks, the first one
 *          at 0.
 * Threads: any; nothing is shared.
 * Not here: which file is whose (index.c). */
#include "stages/indexforeign.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pipeline/failure.h"
#include "pipeline/jsonread.h"

enum { MOST_URL = 16384, LONGEST_TAR_NAME = 100 };

/* ---- wids ---- */

bool leat__wids_is(const uint8_t *text, size_t size)
{
    leat__json json = {.at = (const char *)text, .end = (const char *)text + size};
    return leat__json_peek(&json) == '{';
}

static leat_code fail_wids(const char *shown, const leat__json *json, const uint8_t *text, leat_error *error)
{
    return leat__fail(error, LEAT_EFORMAT, 0, "index %s: no WebDataset index (wids): %s at byte %zu", shown, json->why,
                      (size_t)(json->at - (const char *)text));
}

/* One shard: an object with "url" and "nsamples". */
static leat_code read_shard(leat__json *json, char *url, const char *shown, leat__index_list *list, leat_error *error)
{
    char key[32];
    uint64_t samples = UINT64_MAX, bytes = UINT64_MAX;
    url[0] = '\0';
    for (bool first = true; leat__json_item(json, '{', &first);) {
        if (!leat__json_key(json, key, sizeof key)) break;
        if (strcmp(key, "url") == 0) leat__json_text(json, url, MOST_URL);
        else if (strcmp(key, "nsamples") == 0) leat__json_u64(json, &samples);
        else if (strcmp(key, "filesize") == 0 && leat__json_peek(json) != 'n') leat__json_u64(json, &bytes);
        else leat__json_skip(json);
    }
    if (json->why) return LEAT_OK; /* the caller says it, with the place */
    if (!url[0] || samples > LEAT__INDEX_MOST_COUNT) {
        json->why = url[0] ? "a shard without a possible \"nsamples\"" : "a shard without \"url\"";
        return LEAT_OK;
    }
    char *name = leat__index_name(url);
    if (!name) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for index %s", shown);
    leat__index_row row = {.name = name, .etag = "", .samples = samples, .bytes = bytes, .unpacked = UINT64_MAX};
    leat_code code = leat__index_list_add(list, &row, error);
    free(name);
    return code;
}

static leat_code read_shards(leat__json *json, const char *shown, leat__index_list *list, leat_error *error)
{
    leat_code code = LEAT_OK;
    char *url = malloc(MOST_URL);
    if (!url) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for index %s", shown);
    for (bool first = true; !code && leat__json_item(json, '[', &first);) code = read_shard(json, url, shown, list, error);
    free(url);
    return code;
}

leat_code leat__wids_read(const uint8_t *text, size_t size, const char *shown, leat__index_list *list, leat_error *error)
{
    leat__json json = {.at = (const char *)text, .end = (const char *)text + size};
    char key[32];
    uint64_t version = 0;
    bool listed = false;
    leat_code code = LEAT_OK;
    for (bool first = true; !code && leat__json_item(&json, '{', &first);) {
        if (!leat__json_key(&json, key, sizeof key)) break;
        if (strcmp(key, "wids_version") == 0) leat__json_u64(&json, &version);
        else if (strcmp(key, "shardlist") != 0 || listed) leat__json_skip(&json);
        else {
            listed = true;
            code = read_shards(&json, shown, list, error);
        }
    }
    if (code) return code;
    if (!leat__json_end(&json)) return fail_wids(shown, &json, text, error);
    if (version > 1)
        return leat__fail(error, LEAT_EUNSUPPORTED, 0, "index %s: version %" PRIu64 " of wids, this leat reads 1", shown, version);
    if (listed && version == 1) return LEAT_OK;
    return leat__fail(error, LEAT_EFORMAT, 0, "index %s: no WebDataset index (wids): it has no \"%s\"", shown,
                      listed ? "wids_version" : "shardlist");
}

/* ---- DALI ---- */

typedef struct dali {
    const char *at, *end, *shown;
    uint64_t line;
    bool named;         /* v1.2 */
    bool believed;      /* the places */
    uint64_t place;     /* end of the bodies so far, bytes */
} dali;

bool leat__dali_is(const uint8_t *text, size_t size)
{
    return size >= 5 && (memcmp(text, "v1.1 ", 5) == 0 || memcmp(text, "v1.2 ", 5) == 0);
}

static leat_code fail_dali(const dali *d, const char *why, leat_error *error)
{
    return leat__fail(error, LEAT_EFORMAT, 0, "index %s line %" PRIu64 ": no index of DALI's wds2idx: %s", d->shown, d->line, why);
}

/* The next word of the line; NULL at its end. */
static const char *take_word(dali *d, size_t *length)
{
    while (d->at < d->end && (*d->at == ' ' || *d->at == '\r')) d->at++;
    const char *from = d->at;
    while (d->at < d->end && *d->at != ' ' && *d->at != '\r' && *d->at != '\n') d->at++;
    *length = (size_t)(d->at - from);
    return *length ? from : NULL;
}

static bool take_number(dali *d, uint64_t *value)
{
    size_t length;
    const char *word = take_word(d, &length);
    *value = 0;
    for (size_t i = 0; i < length; i++) {
        if (word[i] < '0' || word[i] > '9' || __builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, (uint64_t)(word[i] - '0'), value)) return false;
    }
    return length > 0 && *value <= INT64_MAX;
}

static bool take_line_end(dali *d)
{
    if (d->at == d->end) return true;
    d->line++;
    return *d->at++ == '\n';
}

/* The files of a sample: moves `place` behind the last one's body. */
static leat_code read_sample(dali *d, leat_error *error)
{
    size_t length, files = 0;
    for (; take_word(d, &length); files++) {
        uint64_t offset, size;
        if (!take_number(d, &offset) || !take_number(d, &size)) return fail_dali(d, "an offset and a size were expected", error);
        if (d->named && !take_word(d, &length)) return fail_dali(d, "the name of a file was expected", error);
        bool possible = offset >= d->place + LEAT__PLACE_UNIT && offset % LEAT__PLACE_UNIT == 0;
        d->believed = d->believed && possible && !(d->named && length > LONGEST_TAR_NAME);
        d->place = (offset + size + LEAT__PLACE_UNIT - 1) / LEAT__PLACE_UNIT * LEAT__PLACE_UNIT;
    }
    if (files == 0) return fail_dali(d, "a sample without files", error);
    return take_line_end(d) ? LEAT_OK : fail_dali(d, "a line's end was expected", error);
}

/* places: room for count + 1. */
static leat_code read_samples(dali *d, uint64_t count, uint32_t *places, leat_error *error)
{
    places[0] = 0;
    for (uint64_t i = 1; i <= count; i++) {
        leat_code code = read_sample(d, error);
        if (code) return code;
        d->believed = d->believed && d->place <= LEAT__INDEX_MOST_BYTES;
        places[i] = (uint32_t)(d->place / LEAT__PLACE_UNIT);
    }
    size_t length;
    if (take_word(d, &length) || !take_line_end(d) || d->at != d->end)
        return fail_dali(d, "more samples than its first line says", error);
    return LEAT_OK;
}

leat_code leat__dali_read(const uint8_t *text, size_t size, const char *shown, const char *name, leat__index_list *list,
                          leat_error *error)
{
    dali d = {.at = (const char *)text + 5, .end = (const char *)text + size, .shown = shown, .line = 1};
    uint64_t count;
    const char *dot = strrchr(name, '.');
    d.believed = dot && strcasecmp(dot, ".tar") == 0; /* tar lists packed archives too, by their unpacked offsets */
    if (!leat__dali_is(text, size)) return fail_dali(&d, "it does not begin with v1.1 or v1.2", error);
    d.named = text[3] == '2';
    if (!take_number(&d, &count) || !take_line_end(&d)) return fail_dali(&d, "the number of samples was expected", error);
    if (count > size / 6) return fail_dali(&d, "fewer samples than its first line says", error); /* "e 1 1\n" */
    uint32_t *places = reallocarray(NULL, count + 1, sizeof *places);
    if (!places) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for index %s", shown);
    leat_code code = read_samples(&d, count, places, error);
    if (code || !d.believed) {
        free(places);
        places = NULL;
    }
    leat__index_row row = {.name = name, .etag = "", .samples = count, .bytes = UINT64_MAX, .unpacked = UINT64_MAX,
                           .places = places};
    return code ? code : leat__index_list_add(list, &row, error);
}
