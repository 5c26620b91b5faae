/* samples.c - what the commands that list samples have in common: waiting for one, and the end.
 *
 * Threads: the main thread; the reader has its own. */
#include "cli/samples.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/options.h"
#include "cli/run.h"

enum { FAILURES = 100, POLL_MS = 100 }; /* how often a signal is looked for while nothing comes */

leat_code cli_next_sample(leat_reader *reader, leat_sample **sample, leat_error *error)
{
    leat_code code = leat_reader_next_timeout(reader, POLL_MS, sample, error);
    while (code == LEAT_AGAIN && !cli_signal()) {
        cli_flush_output();
        code = leat_reader_next_timeout(reader, POLL_MS, sample, error);
    }
    return code;
}

int cli_end_samples(const char *command, leat_reader *reader, leat_code ended, const leat_error *error)
{
    leat_error *failures = calloc(FAILURES, sizeof *failures);
    cli_flush_output();
    if (!failures) ended = LEAT_ENOMEM;
    uint64_t count = failures ? leat_reader_errors(reader, failures, FAILURES) : 0;
    leat_reader_close(reader);
    cli_print_failures(command, failures, count, FAILURES);
    int code = count > 0 ? CLI_FAILED : CLI_OK;
    if (count > 0 && cli_code_of(&failures[0], true) == CLI_NO_SOURCE) code = CLI_NO_SOURCE;
    if (ended == LEAT_ENOMEM) fprintf(stderr, "leat %s: no memory\n", command);
    else if (ended) cli_fail(command, error, false);
    free(failures);
    return ended ? CLI_FAILED : code;
}
