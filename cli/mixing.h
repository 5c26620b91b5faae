/* mixing.h - several sources as one: --index, --weight, --mix. */
#ifndef CLI_MIXING_H
#define CLI_MIXING_H

#include <leat/config.h>

#include "cli/options.h"

enum { CLI_MOST_MIXED = 32 };

typedef struct cli_mixing {
    leat_source sources[CLI_MOST_MIXED + 1]; /* [0] is SOURCE's own place; the names of the others are ours */
    size_t count;                            /* of --mix */
    cli_texts indexes;  /* of SOURCE, then of each --mix in their order */
    double weight;                           /* of SOURCE; 0: not given */
} cli_mixing;

/* The rows; targets are within a cli_settings. */
extern const cli_group cli_source_group;

/* Completes config->source or config->sources, the latter within mixing (which must stay where it is). Returns CLI_GO_ON or
 * CLI_USAGE. */
int cli_mixing_finish(const cli_command *command, cli_mixing *mixing, leat_config *config, const char *source);

/* Frees the names. */
void cli_mixing_free(cli_mixing *mixing);

#endif
