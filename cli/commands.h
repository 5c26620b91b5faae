/* commands.h - the subcommands, one file each. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/options.h"

extern const cli_command cli_bench; /* bench.c: how fast the data comes, and what holds it back */
extern const cli_command cli_ls;    /* ls.c: the samples of a source */
extern const cli_command cli_show;  /* show.c: a contact sheet of the first batch */
extern const cli_command cli_order; /* order_command.c: which sample comes when */
extern const cli_command cli_index; /* index_command.c: counts and places of samples in shards */
extern const cli_command cli_pack;  /* pack_command.c: folders into shards */
extern const cli_command cli_fetch; /* fetch_command.c: a data set to local disk */
extern const cli_command cli_verify; /* verify_command.c: is it still what it was */
extern const cli_command cli_cache; /* cache_command.c: what loaders have kept */

#endif
