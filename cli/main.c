/* main.c - the `leat` command: finds the subcommand and runs it.
 *
 * What:    leat COMMAND ..., leat --help, leat --version. Each command is a table and a function in a file of its own.
 * Why so:  the command is a user of the library like any other: it includes the public headers only.
 * Threads: the main thread.
 * Not here: options (options.c), signals (run.c). */
#include <assert.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include <leat/leat.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/run.h"
#include "cli/text.h"

static const cli_command *const commands[] = {&cli_bench, &cli_ls, &cli_show, &cli_order, &cli_index, &cli_pack,
                                             &cli_fetch, &cli_verify, &cli_cache};
enum { MAPPED_BYTES = 32 << 20, KEPT_BYTES = 64 << 20 };
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static const cli_command *find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    }
    return NULL;
}

static int refuse_command(const char *name)
{
    const char *names[COMMANDS];
    for (size_t i = 0; i < COMMANDS; i++) names[i] = commands[i]->name;
    const char *meant = cli_suggest(name, names, COMMANDS);
    fputs("leat: ", stderr);
    cli_print_escaped(stderr, name);
    if (meant) fprintf(stderr, ": no such command; did you mean leat %s?\n", meant);
    else fputs(": no such command; leat --help lists them\n", stderr);
    return CLI_USAGE;
}

/* leat help [COMMAND], leat --help, leat -h */
static int print_help(const char *name)
{
    const cli_command *command = name ? find(name) : NULL;
    if (name && !command) return refuse_command(name);
    if (command) cli_print_help(command);
    else cli_print_commands(commands, COMMANDS);
    return CLI_OK;
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        fputs("leat: no command; leat --help lists them\n", stderr);
        return CLI_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0) return puts(leat_version()) < 0 ? CLI_FAILED : CLI_OK;
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) return print_help(NULL);
    if (strcmp(name, "help") == 0) return print_help(argc > 2 ? argv[2] : NULL);
    const cli_command *command = find(name);
    if (!command) return refuse_command(name);
    assert(command->run);
    return command->run(command, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    /* else curl's read buffer goes back to the system, and is cleared, with each request */
    mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    cli_fill_streams();
    cli_catch_signals();
    return cli_finish(dispatch(argc, argv));
}
