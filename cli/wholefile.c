/* wholefile.c - a file that appears under its name only when it is whole.
 *
 * What:    NAME.PID.partial beside it, flushed to the disk, then renamed; then the folder is flushed, so that the name survives.
 * Why so:  a state that is cut short is a lost run. The process's id is in the name because all ranks of a run may save to one
 *          file: one of them would rename what another is writing. A link is followed: it must not be replaced by a file. A device
 *          or a pipe can only be written in its place.
 * Threads: the main thread. */
#include "cli/wholefile.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/text.h"

/* True for what is there and no plain file. */
static bool is_written_in_place(const char *target)
{
    struct stat status;
    return lstat(target, &status) == 0 && !S_ISREG(status.st_mode);
}

static void free_names(cli_whole_file *file)
{
    free(file->target);
    free(file->partial);
    *file = (cli_whole_file){0};
}

bool cli_whole_file_begin(cli_whole_file *file, const char *path, const char **reason)
{
    *file = (cli_whole_file){.target = realpath(path, NULL)}; /* NULL: it is not there yet */
    if (!file->target) file->target = strdup(path);
    bool fine = file->target != NULL;
    if (fine && !is_written_in_place(file->target))
        fine = asprintf(&file->partial, "%s.%ld.partial", file->target, (long)getpid()) > 0;
    if (fine) file->out = fopen(file->partial ? file->partial : file->target, "wbe");
    if (file->out) return true;
    *reason = fine ? strerror(errno) : "no memory";
    free_names(file);
    return false;
}

/* The new name, on the disk. Folders of some file systems can't be flushed, which is theirs to answer for. */
static void flush_folder(const char *target)
{
    char *copy = strdup(target);
    int folder = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (folder >= 0) {
        fsync(folder);
        close(folder);
    }
    free(copy);
}

bool cli_whole_file_end(cli_whole_file *file, bool fine, const char **reason)
{
    assert(file->out && file->target);
    int number = 0;
    if (fine && fflush(file->out) != 0) number = errno;
    if (fine && number == 0 && file->partial && fsync(fileno(file->out)) != 0) number = errno;
    if (fclose(file->out) != 0 && number == 0) number = errno;
    fine = fine && number == 0;
    if (fine && file->partial && rename(file->partial, file->target) != 0) number = errno;
    fine = fine && number == 0;
    if (number) *reason = strerror(number);
    if (file->partial && !fine) unlink(file->partial);
    else if (file->partial) flush_folder(file->target);
    free_names(file);
    return fine;
}

int cli_whole_file_refuse(const char *command, const char *path, const char *reason)
{
    fprintf(stderr, "leat %s: writing ", command);
    cli_print_escaped(stderr, path);
    fprintf(stderr, ": %s\n", reason);
    return CLI_DISK;
}
