/* help.h - prints --help out of a command's tables. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/options.h"

/* Prints a command's help on stdout. */
void cli_print_help(const cli_command *command);

/* Prints the list of commands on stdout. */
void cli_print_commands(const cli_command *const *commands, size_t count);

#endif
