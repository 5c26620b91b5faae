/* run.h - what every command's run has in common: signals, broken pipes, exit codes, and failures in print. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include <leat/error.h>

#include "cli/json.h"

/* Puts something in the place of standard streams that are closed: no file of ours may get their numbers, and libuv
 * aborts a process in which one of its own has. Reading or writing them still fails. */
void cli_fill_streams(void);

/* Installs the handlers: SIGINT, SIGTERM and SIGHUP ask for a stop once (a second one ends the process); SIGPIPE is ignored. */
void cli_catch_signals(void);

/* The number of the signal that asked for a stop, 0 while none has. */
int cli_signal(void);

/* Non-zero once a signal, or cli_stop_if_output_broken, has asked for a stop. */
const volatile int *cli_signal_flag(void);

/* The exit code that a failed open or run ends in. opening: the failure is leat_open's or leat_reader_open's. */
int cli_code_of(const leat_error *error, bool opening);

/* Prints "leat NAME: message" on stderr; returns cli_code_of. */
int cli_fail(const char *command, const leat_error *error, bool opening);

/* Prints up to `most` failures on stderr, a line each, and how many more there were. */
void cli_print_failures(const char *command, const leat_error *errors, uint64_t count, uint64_t most);

/* The list of up to `most` failures, under `key`. */
void cli_json_failures(cli_json *json, const char *key, const leat_error *errors, uint64_t count, uint64_t most);

/* True once stdout takes no more (the reader of a pipe has gone, the disk is full): a long listing then stops. */
bool cli_output_broken(void);

/* Asks for a stop, as a signal would, if nobody can see the results any more. */
void cli_stop_if_output_broken(void);

/* Flushes stdout, so that results stand before what follows on stderr. */
void cli_flush_output(void);

/* What cli_finish will make of `code`, as far as is known now. */
int cli_exit_code(int code);

/* Flushes stdout and turns `code` into what the process exits with: a signal that stopped the run, else a broken
 * stdout, say so. */
int cli_finish(int code);

#endif
