/* statefile.c - states of leat_save in files: --save and --resume.
 *
 * What:    a file is the state and a line feed.
 * Why so:  what the state says is for the library to judge; here only what keeps a file from being one: its size, and bytes that
 *          end a string early.
 * Threads: the main thread. */
#include "cli/statefile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/text.h"
#include "cli/wholefile.h"

/* Says why path is no state; returns code. */
static int refuse(const char *command, const char *path, int code, const char *why)
{
    fprintf(stderr, "leat %s: --resume ", command);
    cli_print_escaped(stderr, path);
    fprintf(stderr, ": %s\n", why);
    return code;
}

int cli_state_read(const char *command, const char *path, char text[CLI_STATE_BYTES + 1])
{
    FILE *in = fopen(path, "rbe");
    if (!in) return refuse(command, path, CLI_NO_SOURCE, strerror(errno));
    size_t size = fread(text, 1, CLI_STATE_BYTES + 1, in);
    int number = ferror(in) ? errno : 0;
    fclose(in);
    if (number) return refuse(command, path, CLI_NO_SOURCE, strerror(number));
    if (size > CLI_STATE_BYTES) return refuse(command, path, CLI_CONFIG, "over 4096 bytes, so it is no state that leat has saved");
    if (memchr(text, '\0', size))
        return refuse(command, path, CLI_CONFIG, "has a zero byte, so it is no state that leat has saved");
    while (size > 0 && text[size - 1] == '\n') size--;
    if (size == 0) return refuse(command, path, CLI_CONFIG, "empty, so it is no state that leat has saved");
    text[size] = '\0';
    return CLI_GO_ON;
}

int cli_state_write(const char *command, const char *path, const char *text)
{
    cli_whole_file file;
    const char *reason = NULL;
    if (!cli_whole_file_begin(&file, path, &reason)) return cli_whole_file_refuse(command, path, reason);
    bool fine = fprintf(file.out, "%s\n", text) > 0;
    if (!fine) reason = strerror(errno);
    if (cli_whole_file_end(&file, fine, &reason)) return CLI_OK;
    return cli_whole_file_refuse(command, path, reason);
}
