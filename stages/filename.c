/* filename.c - what the name of a file or URL says: its kind, its key and its field.
 *
 * What:    splits a name into folder, base name and extension, and makes a loose file's key and field of them.
 * Why so:  WebDataset cuts at the first dot: "0001.jpg" and "0001.seg.png" are fields of one sample, and are packed as
 *          one. But "J. Smith.jpg" and "2020.01.02.jpg" have to stay jpgs, so what lies between the first and the last
 *          dot must look like the words that fields are made of; else the cut is at the last dot. The key's other dots
 *          become '_', so that WebDataset's rule finds the same key once the file is packed.
 * Threads: any; nothing is shared, nothing is allocated.
 * Not here: whether the file exists (source.c, folder.c). */
#include "stages/filename.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

static bool ends_with(const char *begin, const char *end, const char *ending)
{
    size_t length = strlen(ending);
    return (size_t)(end - begin) > length && strncasecmp(end - length, ending, length) == 0;
}

bool leat__is_url(const char *name)
{
    return strncasecmp(name, "http://", 7) == 0 || strncasecmp(name, "https://", 8) == 0;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

size_t leat__scheme_length(const char *name)
{
    size_t length = 0;
    while (is_letter(name[length]) || (length > 0 && strchr("0123456789+.-", name[length]) && name[length])) length++;
    return length > 0 && strncmp(name + length, "://", 3) == 0 ? length : 0;
}

/* Sets parent: the last component of [begin, end) that is not empty. */
static void parse_parent(leat__filename *filename, const char *begin, const char *end)
{
    while (end > begin && end[-1] == '/') end--;
    const char *slash = memrchr(begin, '/', (size_t)(end - begin));
    const char *parent = slash ? slash + 1 : begin;
    size_t length = (size_t)(end - parent);
    if (length == 0 || (length == 1 && parent[0] == '.') || (length == 2 && memcmp(parent, "..", 2) == 0)) return;
    filename->parent = parent;
    filename->parent_length = length;
}

/* True if [p, end) is like the first words of a field's name: "seg", "left2". */
static bool is_word(const char *p, const char *end)
{
    if (p == end || *p < 'a' || *p > 'z') return false;
    for (; p < end; p++) {
        if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_')) return false;
    }
    return true;
}

/* Where the extension of a base name begins: behind the first dot or the last one; `end` if there is none. */
static const char *find_extension(const char *base, const char *end)
{
    const char *start = base < end ? base + 1 : end, *last = memrchr(start, '.', (size_t)(end - start));
    if (!last) return end;
    const char *first = memchr(start, '.', (size_t)(end - start));
    for (const char *word = first + 1; word <= last;) {
        const char *dot = memchr(word, '.', (size_t)(end - word));
        if (!is_word(word, dot)) return last + 1;
        word = dot + 1;
    }
    return first + 1;
}

leat__filename leat__filename_parse(const char *name)
{
    leat__filename filename = {.path = name, .end = name + strlen(name), .is_url = leat__is_url(name)};
    if (filename.is_url) {
        filename.path = strstr(name, "://") + 3;
        filename.path += strcspn(filename.path, "/?#");
        filename.end = filename.path + strcspn(filename.path, "?#");
    }
    const char *slash = memrchr(filename.path, '/', (size_t)(filename.end - filename.path));
    filename.base = slash ? slash + 1 : filename.path;
    filename.extension = find_extension(filename.base, filename.end);
    parse_parent(&filename, filename.path, filename.base);
    return filename;
}

bool leat__filename_is_shard(const leat__filename *filename)
{
    static const char *const endings[] = {".tar", ".tar.zst", ".tar.gz", ".tgz", ".tzst"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        if (ends_with(filename->base, filename->end, endings[i])) return true;
    }
    return false;
}

bool leat__filename_is_data(const leat__filename *filename)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".npy"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        if (ends_with(filename->base, filename->end, endings[i])) return true;
    }
    return false;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The character that "%xx" at p stands for in a key, or 0: none that a key may have. */
static char percent_decoded(const char *p, const char *end)
{
    if (end - p < 3 || *p != '%') return 0;
    int high = hex_value(p[1]), low = hex_value(p[2]);
    if (high < 0 || low < 0) return 0;
    int value = high * 16 + low;
    return value < 0x20 || value == 0x7f || value == '/' ? 0 : (char)value;
}

size_t leat__filename_key(const leat__filename *filename, const char *from, char *key)
{
    assert(from >= filename->path && from <= filename->base);
    const char *end = filename->extension < filename->end ? filename->extension - 1 : filename->end;
    size_t length = 0;
    for (const char *p = from; p < end; p++) {
        char decoded = filename->is_url ? percent_decoded(p, end) : 0;
        bool is_base = p >= filename->base;
        if (decoded) p += 2;
        char c = decoded ? decoded : *p;
        key[length++] = c == '.' && is_base ? '_' : c;
    }
    key[length] = '\0';
    return length;
}

const char *leat__filename_key_start(const leat__filename *filename)
{
    return filename->parent ? filename->parent : filename->base;
}
