/* listing.c - the list of a source's objects while it is being made.
 *
 * What:    an array of objects whose strings lie in blocks of text, so that a listing of a million files costs a few
 *          hundred allocations, and what it holds besides the strings is 56 bytes an object.
 * Why so:  strings that would be the same are the same: display is name unless something had to be escaped or hidden, a
 *          field is shared with the object before. Blocks never move, so pointers into them stay valid while the array
 *          of objects grows.
 * Threads: one at a time while it is made; any number may read it afterwards.
 * Invariants: (1) objects are URLs all or paths all   (2) count <= capacity, count <= LEAT__MAX_OBJECTS
 *          (3) every string of an object is in a block or is another string of an object.
 * Not here: where names come from (source.c, folder.c, wildcard.c), what they mean (filename.c). */
#include "stages/listing.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"
#include "stages/filename.h"

#define BLOCK_BYTES ((size_t)256 << 10) /* of text: about 4,000 names */

struct block {
    struct block *next;
    size_t used, capacity;
    char text[];
};

struct making {
    leat__listing listing; /* first: what the world sees */
    size_t capacity, class_capacity;
    struct block *blocks;  /* the newest first */
};

static struct making *making_of(leat__listing *listing)
{
    return (struct making *)listing;
}

leat__listing *leat__listing_new(void)
{
    struct making *making = calloc(1, sizeof *making);
    return making ? &making->listing : NULL;
}

void leat__listing_free(leat__listing *listing)
{
    if (!listing) return;
    struct making *making = making_of(listing);
    while (making->blocks) {
        struct block *next = making->blocks->next;
        free(making->blocks);
        making->blocks = next;
    }
    free(listing->objects);
    free(listing->classes);
    free(making);
}

/* Room for `bytes` of text, which the caller then takes as much of as it needs by take_text. NULL if memory is
 * short. */
static char *text_room(struct making *making, size_t bytes)
{
    struct block *block = making->blocks;
    if (!block || block->capacity - block->used < bytes) {
        size_t capacity = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
        block = malloc(sizeof *block + capacity);
        if (!block) return NULL;
        *block = (struct block){.next = making->blocks, .capacity = capacity};
        making->blocks = block;
    }
    return block->text + block->used;
}

static void take_text(struct making *making, size_t bytes)
{
    assert(making->blocks && bytes <= making->blocks->capacity - making->blocks->used);
    making->blocks->used += bytes;
}

static char *copy_text(struct making *making, const char *text, size_t length)
{
    char *copy = text_room(making, length + 1);
    if (!copy) return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    take_text(making, length + 1);
    return copy;
}

/* Makes room for one more element of an array. */
static bool grow(void *array, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity) return true;
    size_t more = *capacity ? *capacity + *capacity / 2 : 64, bytes;
    if (__builtin_mul_overflow(more, size, &bytes)) return false;
    void *grown = realloc(*(void **)array, bytes);
    if (!grown) return false;
    *(void **)array = grown;
    *capacity = more;
    return true;
}

static leat_code no_memory(const leat__listing *listing, leat_error *error)
{
    return leat__fail(error, LEAT_ENOMEM, 0, "no memory to list more than %zu objects", listing->count);
}

/* ---- objects ---- */

static leat_code refuse_scheme(const char *name, size_t length, leat_error *error)
{
    bool is_file = length == 4 && strncasecmp(name, "file", 4) == 0;
    return leat__fail(error, LEAT_EINVAL, 0, "'%.*s://' is not read: %s", (int)(length > 32 ? 32 : length), name,
                      is_file ? "write the path itself" : "only http:// and https:// URLs and local paths are");
}

static leat_code may_add(const leat__listing *listing, const char *name, bool is_url, leat_error *error)
{
    size_t scheme = is_url ? 0 : leat__scheme_length(name);
    if (scheme > 0) return refuse_scheme(name, scheme, error);
    if (listing->count == LEAT__MAX_OBJECTS) {
        return leat__fail(error, LEAT_EINVAL, 0, "more than %u objects: pack loose files into shards (leat pack)",
                          LEAT__MAX_OBJECTS);
    }
    if (listing->count > 0 && listing->objects[0].is_url != is_url) {
        char shown[256];
        leat__redact(shown, sizeof shown, name);
        return leat__fail(error, LEAT_EINVAL, 0, "%s: '%s'; a source is local or remote, not both",
                          is_url ? "a URL among paths" : "a path among URLs", shown);
    }
    return LEAT_OK;
}

/* The text to show for a name: redacted and escaped, or the name itself where that changes nothing. */
static char *display_of(struct making *making, char *name, size_t length)
{
    size_t room = 4 * length + 8; /* every byte as \xNN, and "?..." */
    char *display = text_room(making, room);
    if (!display) return NULL;
    leat__redact(display, room, name);
    if (strcmp(display, name) == 0) return name;
    take_text(making, strlen(display) + 1);
    return display;
}

/* The field's name: that of the object before if it is the same. */
static char *field_of(struct making *making, const leat__filename *filename)
{
    const leat__listing *listing = &making->listing;
    size_t length = (size_t)(filename->end - filename->extension);
    char *field = text_room(making, length + 1);
    if (!field) return NULL;
    for (size_t i = 0; i < length; i++) {
        char c = filename->extension[i];
        field[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    field[length] = '\0';
    char *before = listing->count > 0 ? listing->objects[listing->count - 1].field : NULL;
    if (before && strcmp(before, field) == 0) return before;
    take_text(making, length + 1);
    return field;
}

static char *key_of(struct making *making, const leat__filename *filename, const char *name, size_t key_from)
{
    const char *from = key_from == LEAT__KEY_OF_PARENT ? leat__filename_key_start(filename) : name + key_from;
    char *key = text_room(making, (size_t)(filename->end - from) + 1);
    if (key) take_text(making, leat__filename_key(filename, from, key) + 1);
    return key;
}

leat_code leat__listing_add(leat__listing *listing, const char *name, size_t key_from, int64_t label, leat_error *error)
{
    assert(listing && name);
    struct making *making = making_of(listing);
    bool is_url = leat__is_url(name);
    leat_code code = may_add(listing, name, is_url, error);
    if (code) return code;
    size_t length = strlen(name);
    leat__object object = {.name = copy_text(making, name, length), .label = label, .is_url = is_url};
    if (!object.name || !(object.display = display_of(making, object.name, length))) return no_memory(listing, error);
    leat__filename filename = leat__filename_parse(object.name);
    object.is_shard = leat__filename_is_shard(&filename);
    if (!object.is_shard) {
        object.key = key_of(making, &filename, object.name, key_from);
        object.field = field_of(making, &filename);
        if (!object.key || !object.field) return no_memory(listing, error);
    }
    if (!grow(&listing->objects, &making->capacity, listing->count, sizeof object)) return no_memory(listing, error);
    listing->shards = listing->shards || object.is_shard;
    listing->objects[listing->count++] = object;
    return LEAT_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const leat__object *)a)->name, ((const leat__object *)b)->name);
}

void leat__listing_sort(leat__listing *listing, size_t from)
{
    assert(from <= listing->count);
    if (listing->count - from < 2) return;
    qsort(listing->objects + from, listing->count - from, sizeof *listing->objects, compare_names);
}

void leat__listing_finish(leat__listing *listing)
{
    for (size_t i = 0; i < listing->count; i++) listing->objects[i].number = i;
    struct making *making = making_of(listing);
    leat__object *fitted = listing->count ? realloc(listing->objects, listing->count * sizeof *fitted) : NULL;
    if (!fitted) return; /* it stays as it is: larger than it need be, or empty */
    listing->objects = fitted;
    making->capacity = listing->count;
}

/* ---- classes ---- */

static leat_code add_class(leat__listing *listing, const char *name, size_t length, leat_error *error)
{
    struct making *making = making_of(listing);
    char *copy = copy_text(making, name, length);
    if (!copy || !grow(&listing->classes, &making->class_capacity, listing->class_count, sizeof copy)) {
        return no_memory(listing, error);
    }
    listing->classes[listing->class_count++] = copy;
    return LEAT_OK;
}

leat_code leat__listing_add_class(leat__listing *listing, const char *name, leat_error *error)
{
    return add_class(listing, name, strlen(name), error);
}

static int compare_classes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void leat__listing_sort_classes(leat__listing *listing)
{
    if (listing->class_count < 2) return;
    qsort(listing->classes, listing->class_count, sizeof *listing->classes, compare_classes);
    size_t kept = 1;
    for (size_t i = 1; i < listing->class_count; i++) {
        char *name = listing->classes[i];
        if (strcmp(name, listing->classes[kept - 1]) != 0) listing->classes[kept++] = name;
    }
    listing->class_count = kept;
}

void leat__listing_drop_classes(leat__listing *listing)
{
    free(listing->classes);
    listing->classes = NULL;
    listing->class_count = making_of(listing)->class_capacity = 0;
}

/* Length of the parent folder's name at the beginning of a key made with LEAT__KEY_OF_PARENT; 0: it has none. */
static size_t parent_length(const leat__object *object)
{
    const char *slash = strchr(object->key, '/');
    return slash ? (size_t)(slash - object->key) : 0;
}

/* Collects the parents' names, one for every run of objects with the same. */
static leat_code collect_parents(leat__listing *listing, leat_error *error)
{
    for (size_t i = 0; i < listing->count; i++) {
        const leat__object *object = &listing->objects[i], *before = i > 0 ? object - 1 : NULL;
        size_t length = parent_length(object);
        if (length == 0) {
            leat__listing_drop_classes(listing);
            return LEAT_OK;
        }
        if (before && parent_length(before) == length && memcmp(before->key, object->key, length) == 0) continue;
        leat_code code = add_class(listing, object->key, length, error);
        if (code) return code;
    }
    leat__listing_sort_classes(listing);
    return LEAT_OK;
}

static int compare_parent(const void *key, const void *class)
{
    const leat__object *object = key;
    const char *name = *(char *const *)class;
    size_t length = parent_length(object);
    int order = strncmp(object->key, name, length);
    return order != 0 ? order : name[length] == '\0' ? 0 : -1;
}

leat_code leat__listing_label_by_parent(leat__listing *listing, leat_error *error)
{
    assert(!listing->classes);
    if (listing->shards || listing->count == 0) return LEAT_OK;
    leat_code code = collect_parents(listing, error);
    if (code) return code;
    if (listing->class_count < 2) {
        leat__listing_drop_classes(listing);
        return LEAT_OK;
    }
    for (size_t i = 0; i < listing->count; i++) {
        leat__object *object = &listing->objects[i];
        char **class = bsearch(object, listing->classes, listing->class_count, sizeof *class, compare_parent);
        assert(class);
        object->label = class - listing->classes;
    }
    return LEAT_OK;
}
