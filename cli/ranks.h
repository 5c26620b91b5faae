/* ranks.h - how the samples are shared out: --rank, --world, --remainder, --epoch-samples. */
#ifndef CLI_RANKS_H
#define CLI_RANKS_H

#include "cli/settings.h"

/* The rows; targets are within a cli_settings whose config.rank was LEAT_RANK_OF_LAUNCHER before parsing: not given. */
extern const cli_group cli_rank_group;

/* Looks at what they mean together. Returns CLI_GO_ON or CLI_USAGE. */
int cli_ranks_finish(const cli_command *command, cli_settings *settings);

#endif
