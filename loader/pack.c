/* pack.c - leat_pack: class folders, lists or shards into WebDataset shards.
 *
 * What:    checks the settings, lists the source, looks that nothing would be overwritten, then packs one of two ways
 *          (packfiles.c, packstream.c) and writes classes.txt: the class names, one a line, line n for class n; and the index.
 * Why so:  everything that can be refused is refused before the first byte is written.
 * Threads: the caller's, and those of packfiles.c or the reader.
 * Not here: the archive's format (tarwriter.c), files (shardfile.c). */
#include <leat/pack.h>

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/packjob.h"
#include "pipeline/failure.h"

#define DEFAULT_SHARD_BYTES ((uint64_t)256 << 20)
enum { DEFAULT_LEVEL = 3, LARGEST_LEVEL = 19, MOST_THREADS = 1024, LONGEST_PREFIX = 200 };
static const char classes_name[] = "classes.txt";

static uint32_t own_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0) return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? (uint32_t)count : 1;
}

static leat_code fail_setting(leat_error *error, const char *what, const char *value, const char *right)
{
    char shown[256];
    leat__escape(shown, sizeof shown, value, strlen(value));
    return leat__fail(error, LEAT_EINVAL, 0, "%s \"%s\": %s", what, shown, right);
}

static leat_code check_prefix(const char *prefix, leat_error *error)
{
    size_t length = strlen(prefix);
    bool fine = length > 0 && length <= LONGEST_PREFIX && prefix[0] != '.' && !strchr(prefix, '/');
    for (size_t i = 0; i < length; i++) fine = fine && (unsigned char)prefix[i] >= ' ' && prefix[i] != 127;
    return fine ? LEAT_OK : fail_setting(error, "prefix", prefix, "give 1 to 200 characters, no '/', no '.' in front");
}

/* Copies the caller's settings, zeros replaced. */
static leat_code choose(const leat_pack_config *wanted, leat_pack_config *config, leat_error *error)
{
    *config = *wanted;
    if (!config->source || !*config->source)
        return leat__fail(error, LEAT_EINVAL, 0, "source: give a folder, a list or shards");
    if (!config->to || !*config->to)
        return leat__fail(error, LEAT_EINVAL, 0, "to: give the folder that the shards go into");
    if (!config->prefix) config->prefix = "shard";
    if (config->shard_bytes == 0) config->shard_bytes = DEFAULT_SHARD_BYTES;
    if (config->level == 0) config->level = DEFAULT_LEVEL;
    if (config->threads == 0) config->threads = own_cpus();
    if (config->compression != LEAT_COMPRESSION_NONE && config->compression != LEAT_COMPRESSION_ZSTD)
        return leat__fail(error, LEAT_EINVAL, 0, "compression %d: give LEAT_COMPRESSION_NONE or LEAT_COMPRESSION_ZSTD",
                          (int)config->compression);
    if (config->level < 1 || config->level > LARGEST_LEVEL)
        return leat__fail(error, LEAT_EINVAL, 0, "level %d: give 1 to %d", config->level, LARGEST_LEVEL);
    if (config->threads > MOST_THREADS)
        return leat__fail(error, LEAT_EINVAL, 0, "threads %u: give 1 to %d", config->threads, MOST_THREADS);
    return check_prefix(config->prefix, error);
}

static leat_code fail_folder(const char *path, int number, const char *what, leat_error *error)
{
    char shown[512];
    leat_code code = leat__fail_errno(error, leat__code_of_errno(number), number, "%s %s", what,
                                      leat__escape(shown, sizeof shown, path, strlen(path)));
    if (error) snprintf(error->stage, sizeof error->stage, "write");
    return code;
}

/* Makes the folder and those above it. */
static leat_code make_folders(const char *to, leat_error *error)
{
    assert(*to);
    char *path = strdup(to);
    if (!path) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for a path");
    leat_code code = LEAT_OK;
    for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash) *slash = '\0';
        if (mkdir(path, 0777) < 0 && errno != EEXIST) code = fail_folder(path, errno, "making folder", error);
        if (code || !slash) break;
        *slash = '/';
    }
    free(path);
    return code;
}

leat_code leat__pack_open_folder(const char *to, int *directory, leat_error *error)
{
    *directory = -1;
    leat_code code = make_folders(to, error);
    if (code) return code;
    *directory = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *directory < 0 ? fail_folder(to, errno, "opening folder", error) : LEAT_OK;
}

/* A class name is a line of classes.txt. */
static leat_code check_classes(const leat__listing *listing, leat_error *error)
{
    for (size_t i = 0; i < listing->class_count; i++) {
        if (strchr(listing->classes[i], '\n'))
            return fail_setting(error, "class folder", listing->classes[i],
                                "rename it: a class name must not have a line feed");
    }
    return LEAT_OK;
}

/* The text of classes.txt; NULL if memory is short. */
static char *classes_text(const leat__listing *listing, size_t *length)
{
    char *text = NULL;
    FILE *stream = open_memstream(&text, length);
    if (!stream) return NULL;
    for (size_t i = 0; i < listing->class_count; i++) fprintf(stream, "%s\n", listing->classes[i]);
    bool bad = ferror(stream) != 0;
    if (fclose(stream) == 0 && !bad) return text;
    free(text);
    return NULL;
}

/* A classes.txt that says the same is fine: train and val packed into one folder have one list. */
static leat_code look_for_classes(const leat__pack_job *job, bool *there, leat_error *error)
{
    size_t length;
    *there = false;
    int fd = openat(job->directory, classes_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return errno == ENOENT ? LEAT_OK : fail_folder(classes_name, errno, "opening", error);
    char *text = classes_text(job->listing, &length), *present = malloc(length + 1);
    ssize_t got = text && present ? read(fd, present, length + 1) : -1;
    *there = got >= 0 && (size_t)got == length && memcmp(text, present, length) == 0;
    free(text);
    free(present);
    close(fd);
    if (*there || job->config.overwrite) return LEAT_OK;
    return leat__fail(error, LEAT_EEXISTS, 0, "%s/%s is there and lists other classes: pack into another folder, or "
                                              "overwrite",
                      job->config.to, classes_name);
}

/* Refuses if shards of this prefix are there: old ones among new ones would be read as one set. */
static leat_code look_for_shards(const leat__pack_job *job, leat_error *error)
{
    uint64_t found = 0;
    char first[256] = "", shown[512];
    if (job->config.overwrite) return LEAT_OK;
    int fd = openat(job->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder) {
        int number = errno;
        if (fd >= 0) close(fd);
        return fail_folder(job->config.to, number, "listing folder", error);
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (!leat__pack_is_name(job, entry->d_name)) continue;
        if (found++ == 0 || strcmp(entry->d_name, first) < 0) snprintf(first, sizeof first, "%s", entry->d_name);
    }
    closedir(folder);
    if (found == 0) return LEAT_OK;
    return leat__fail(error, LEAT_EEXISTS, 0, "%s/%s is there already (shards of this prefix: %" PRIu64
                      "): choose another folder or prefix, or overwrite", job->config.to,
                      leat__escape(shown, sizeof shown, first, strlen(first)), found);
}

/* Overwriting shards while they are being read would be the end of both. */
static leat_code check_not_source(const leat__pack_job *job, leat_error *error)
{
    struct stat target, folder;
    if (fstat(job->directory, &target) < 0) return fail_folder(job->config.to, errno, "looking at", error);
    for (size_t i = 0; i < job->listing->count; i++) {
        const leat__object *object = &job->listing->objects[i];
        const char *slash = object->is_url ? NULL : strrchr(object->name, '/');
        if (object->is_url || !leat__pack_is_name(job, slash ? slash + 1 : object->name)) continue;
        char *path = slash ? strndup(object->name, (size_t)(slash - object->name) + 1) : strdup(".");
        bool same = path && stat(path, &folder) == 0 && folder.st_dev == target.st_dev &&
                    folder.st_ino == target.st_ino;
        free(path);
        if (same)
            return leat__fail(error, LEAT_EINVAL, 0,
                              "%s would be overwritten while it is read: pack into another folder", object->display);
    }
    return LEAT_OK;
}

static leat_code write_classes(const leat__pack_job *job, leat_error *error)
{
    size_t length;
    uint64_t stored;
    assert(job->listing->class_count > 0 && job->directory >= 0);
    char *text = classes_text(job->listing, &length);
    leat__shard_file *file = leat__shard_file_new(LEAT_COMPRESSION_NONE, 0);
    leat_code code = LEAT_ENOMEM;
    if (text && file)
        code = leat__shard_file_begin(file, job->directory, job->config.to, classes_name, job->config.overwrite, error);
    else leat__fail(error, LEAT_ENOMEM, 0, "no memory for the list of classes");
    if (!code) code = leat__shard_file_write(file, text, length, error);
    if (!code) code = leat__shard_file_commit(file, &stored, error);
    leat__shard_file_free(file);
    free(text);
    return code;
}

/* True if all that is listed are files on local disk that are samples or parts of samples. */
static bool is_all_files(const leat__listing *listing)
{
    if (listing->shards) return false;
    for (size_t i = 0; i < listing->count; i++) {
        if (listing->objects[i].is_url) return false;
    }
    return true;
}

static leat_code pack(leat__pack_job *job, leat_error *error)
{
    bool files = is_all_files(job->listing), classes_there = job->listing->class_count == 0;
    if (!files && strcmp(job->config.source, "@-") == 0)
        return leat__fail(error, LEAT_EUNSUPPORTED, 0, "\"@-\" can list files on local disk only here: write the list "
                          "of shards or URLs to a file and give \"@FILE\"");
    leat_code code = check_classes(job->listing, error);
    if (!code) code = leat__pack_open_folder(job->config.to, &job->directory, error);
    if (!code) code = look_for_shards(job, error);
    if (!code) code = check_not_source(job, error);
    if (!code && !classes_there) code = look_for_classes(job, &classes_there, error);
    if (!code) code = files ? leat__pack_files(job, error) : leat__pack_stream(job, error);
    if (!code && !classes_there) code = write_classes(job, error);
    if (!code) code = leat__pack_write_index(job, error);
    leat__pack_progress(job);
    return code;
}

static void fill_result(leat__pack_job *job, leat_pack_result *result)
{
    result->samples = atomic_load(&job->samples);
    result->shards = atomic_load(&job->shards);
    result->bytes = atomic_load(&job->stored_bytes);
    result->errors = job->errors;
    result->first_error = job->first_error;
}

leat_code leat_pack(const leat_pack_config *config, leat_pack_result *result, leat_error *error)
{
    assert(config && result);
    leat_error own_error;
    leat__listing *listing = NULL;
    leat__pack_job job = {.directory = -1};
    if (!error) error = &own_error;
    leat__error_clear(error);
    *result = (leat_pack_result){0};
    leat__error_clear(&job.first_error);
    leat_code code = choose(config, &job.config, error);
    if (!code) code = leat__source_list(job.config.source, &listing, error);
    if (!code) {
        job.listing = listing;
        pthread_mutex_init(&job.lock, NULL);
        code = pack(&job, error);
        pthread_mutex_destroy(&job.lock);
        fill_result(&job, result);
    }
    leat__index_list_end(&job.index);
    if (job.directory >= 0) close(job.directory);
    leat__listing_free(listing);
    return code;
}
