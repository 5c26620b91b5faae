/* statefile.h - states of leat_save in files: --save and --resume. */
#ifndef CLI_STATEFILE_H
#define CLI_STATEFILE_H

#include "cli/options.h"

enum { CLI_STATE_BYTES = 4096 }; /* largest file that is read: 4 times what leat_save writes at most */

/* Reads the state in path into text. Returns CLI_GO_ON, or the exit code after a sentence on stderr. */
int cli_state_read(const char *command, const char *path, char text[CLI_STATE_BYTES + 1]);

/* Writes the state to path, which then holds all of it or what it held before. Returns CLI_OK, or CLI_DISK after a sentence. */
int cli_state_write(const char *command, const char *path, const char *text);

#endif
