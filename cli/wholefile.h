/* wholefile.h - a file that appears under its name only when it is whole. */
#ifndef CLI_WHOLEFILE_H
#define CLI_WHOLEFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct cli_whole_file {
    FILE *out;     /* write here */
    char *target;  /* the file that path leads to */
    char *partial; /* it is written there first; NULL: in its place */
} cli_whole_file;

/* Begins path; what is there stays as it is until the end. False: *reason says why, and there is nothing to end. */
bool cli_whole_file_begin(cli_whole_file *file, const char *path, const char **reason);

/* Ends it. fine: what was written is what was to be written; else nothing is changed. False: it is not there under its name;
 * *reason says why if it was fine so far. */
bool cli_whole_file_end(cli_whole_file *file, bool fine, const char **reason);

/* Prints "leat NAME: writing PATH: reason" on stderr; returns CLI_DISK. */
int cli_whole_file_refuse(const char *command, const char *path, const char *reason);

#endif
