/* samples.h - what the commands that list samples have in common: waiting for one, and the end. */
#ifndef CLI_SAMPLES_H
#define CLI_SAMPLES_H

#include <leat/reader.h>

/* Waits for a sample, or LEAT_AGAIN at a signal. What was printed before a wait can be read during it. */
leat_code cli_next_sample(leat_reader *reader, leat_sample **sample, leat_error *error);

/* Closes the reader (takes), prints its failures and what ended the listing, and returns the exit code: a listing with holes is no
 * success. ended: LEAT_OK, or what went wrong, with its error. */
int cli_end_samples(const char *command, leat_reader *reader, leat_code ended, const leat_error *error);

#endif
