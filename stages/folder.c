/* folder.c - the objects of a folder: shards, class folders, or loose files.
 *
 * What:    one look at the folder finds shards and the names of sub-folders; without shards the sub-folders are walked,
 *          one class each; without data files in them a second look takes the folder's own files.
 * Why so:  names go straight into the listing, nothing is held twice: a flat folder of a million files is read in two
 *          passes, which costs less than a second list of its names. The type of an entry comes from readdir where the
 *          file system says it; stat is called for links alone.
 * Threads: any; nothing is shared.
 * Invariants: (1) path[length] == 0   (2) above[0 .. depth) are the folders that are open, so a folder that is among
 *          them was reached by a link back and is not entered again: the walk ends.
 * Not here: the order (listing.c), the endings (filename.c). */
#include "stages/folder.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipeline/failure.h"
#include "stages/filename.h"

#define MAX_DEPTH 64 /* folders in folders; each holds a descriptor while what is below it is read */

enum look {
    LOOK_FOR_SHARDS, /* at the top: shards, and sub-folders as classes */
    LOOK_FOR_FILES,  /* at the top: data files */
    LOOK_BELOW,      /* in a class folder: data files at any depth */
};

struct walk {
    leat__listing *listing;
    leat_error *error;
    enum look look;
    int64_t label;
    size_t key_from; /* where keys begin in a path: behind the top folder */
    char path[PATH_MAX];
    size_t length;
    size_t depth;
    struct { dev_t device; ino_t inode; } above[MAX_DEPTH];
    bool shards_below; /* a class folder has shards: worth a hint if nothing else is found */
};

static leat_code fail_at(const struct walk *walk, int number, const char *doing)
{
    char shown[512];
    leat__escape(shown, sizeof shown, walk->path, walk->length);
    return leat__fail_errno(walk->error, leat__code_of_errno(number), number, "cannot %s folder '%s'", doing, shown);
}

/* Appends "/name"; false if the path gets too long for the system. */
static bool enter_name(struct walk *walk, const char *name)
{
    bool slash = walk->length > 0 && walk->path[walk->length - 1] != '/';
    size_t length = strlen(name);
    if (walk->length + slash + length >= sizeof walk->path) return false;
    if (slash) walk->path[walk->length++] = '/';
    memcpy(walk->path + walk->length, name, length + 1);
    walk->length += length;
    return true;
}

static void leave_name(struct walk *walk, size_t length)
{
    assert(length <= walk->length);
    walk->length = length;
    walk->path[length] = '\0';
}

static unsigned char type_of(int folder, const struct dirent *entry)
{
    struct stat status;
    if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN) return entry->d_type;
    if (fstatat(folder, entry->d_name, &status, 0) != 0) return DT_REG; /* leads nowhere: reading it will say so */
    return S_ISDIR(status.st_mode) ? DT_DIR : S_ISREG(status.st_mode) ? DT_REG : DT_UNKNOWN;
}

static leat_code walk_folder(struct walk *walk);

static leat_code visit_folder(struct walk *walk, const char *name)
{
    if (walk->look == LOOK_FOR_SHARDS) return leat__listing_add_class(walk->listing, name, walk->error);
    if (walk->look == LOOK_FOR_FILES) return LEAT_OK;
    return walk_folder(walk);
}

static leat_code visit_file(struct walk *walk)
{
    leat__filename filename = leat__filename_parse(walk->path);
    bool is_shard = leat__filename_is_shard(&filename);
    if (is_shard && walk->look == LOOK_BELOW) walk->shards_below = true;
    bool wanted = walk->look == LOOK_FOR_SHARDS ? is_shard : leat__filename_is_data(&filename);
    if (wanted) return leat__listing_add(walk->listing, walk->path, walk->key_from, walk->label, walk->error);
    walk->listing->ignored++;
    return LEAT_OK;
}

static leat_code visit(struct walk *walk, int folder, const struct dirent *entry)
{
    const char *name = entry->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return LEAT_OK;
    unsigned char type = type_of(folder, entry);
    if (name[0] == '.' || (type != DT_DIR && type != DT_REG)) {
        walk->listing->ignored++;
        return LEAT_OK;
    }
    size_t length = walk->length;
    if (!enter_name(walk, name)) return fail_at(walk, ENAMETOOLONG, "read all of");
    leat_code code = type == DT_DIR ? visit_folder(walk, name) : visit_file(walk);
    leave_name(walk, length);
    return code;
}

/* Notes the folder as being open. False if it is open already, further up. */
static bool descend(struct walk *walk, const struct stat *status)
{
    assert(walk->depth < MAX_DEPTH);
    for (size_t i = 0; i < walk->depth; i++) {
        if (walk->above[i].device == status->st_dev && walk->above[i].inode == status->st_ino) return false;
    }
    walk->above[walk->depth].device = status->st_dev;
    walk->above[walk->depth].inode = status->st_ino;
    walk->depth++;
    return true;
}

static leat_code read_entries(struct walk *walk, DIR *dir)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) return errno ? fail_at(walk, errno, "read") : LEAT_OK;
        leat_code code = visit(walk, dirfd(dir), entry);
        if (code) return code;
    }
}

/* Looks at the folder at walk->path. */
static leat_code walk_folder(struct walk *walk)
{
    leat_code code = LEAT_OK;
    struct stat status;
    if (walk->depth == MAX_DEPTH) return fail_at(walk, ELOOP, "go into");
    int fd = open(walk->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return fail_at(walk, errno, "open");
    DIR *dir = fdopendir(fd);
    if (!dir) {
        code = fail_at(walk, errno, "read");
        close(fd);
        return code;
    }
    if (fstat(fd, &status) != 0) {
        code = fail_at(walk, errno, "look at");
    } else if (descend(walk, &status)) {
        code = read_entries(walk, dir);
        walk->depth--;
    } else {
        walk->listing->ignored++;
    }
    closedir(dir);
    return code;
}

static leat_code walk_classes(struct walk *walk)
{
    leat__listing *listing = walk->listing;
    leat__listing_sort_classes(listing);
    walk->look = LOOK_BELOW;
    for (size_t i = 0; i < listing->class_count; i++) {
        size_t length = walk->length;
        if (!enter_name(walk, listing->classes[i])) return fail_at(walk, ENAMETOOLONG, "read all of");
        walk->label = (int64_t)i;
        leat_code code = walk_folder(walk);
        leave_name(walk, length);
        if (code) return code;
    }
    walk->label = -1;
    return LEAT_OK;
}

static leat_code nothing_found(const struct walk *walk)
{
    char shown[512];
    leat__escape(shown, sizeof shown, walk->path, walk->length);
    if (walk->shards_below) {
        return leat__fail(walk->error, LEAT_ENOTFOUND, 0,
                          "'%s' has shards in its sub-folders only: name one of these, or '%s/*/*.tar'", shown, shown);
    }
    return leat__fail(walk->error, LEAT_ENOTFOUND, 0,
                      "'%s' has neither shards (.tar, .tar.zst, .tar.gz, .tgz, .tzst) nor data files (jpg, jpeg, jpe, "
                      "jfif, png, npy), alone or in class folders; %llu other or hidden files",
                      shown, (unsigned long long)walk->listing->ignored);
}

leat_code leat__folder_list(const char *folder, leat__listing *listing, leat_error *error)
{
    assert(folder && *folder && listing->count == 0);
    struct walk *walk = calloc(1, sizeof *walk);
    if (!walk) return leat__fail(error, LEAT_ENOMEM, 0, "no memory to read a folder");
    walk->listing = listing, walk->error = error, walk->label = -1, walk->look = LOOK_FOR_SHARDS;
    leat_code code = LEAT_OK;
    if (!enter_name(walk, folder)) code = fail_at(walk, ENAMETOOLONG, "open");
    while (walk->length > 1 && walk->path[walk->length - 1] == '/') leave_name(walk, walk->length - 1);
    walk->key_from = walk->length + (walk->path[walk->length - 1] != '/');

    if (!code) code = walk_folder(walk);
    if (!code && !listing->shards) code = walk_classes(walk);
    if (!code && listing->count == 0) {
        listing->ignored = 0; /* the same files are counted again */
        walk->look = LOOK_FOR_FILES;
        code = walk_folder(walk);
    }
    bool by_class = listing->count > 0 && listing->objects[0].label >= 0;
    if (!by_class) leat__listing_drop_classes(listing);
    if (!code && listing->count == 0) code = nothing_found(walk);
    leat__listing_sort(listing, 0);
    free(walk);
    return code;
}
