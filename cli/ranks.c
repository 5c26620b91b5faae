/* ranks.c - how the samples are shared out: --rank, --world, --remainder, --epoch-samples.
 *
 * What:    rows for leat_config's rank, world, remainder and epoch_samples.
 * Why so:  what a rank not given means differs: bench asks the launcher, order lists all ranks. So it stays
 *          LEAT_RANK_OF_LAUNCHER here, and each command goes on from there. Whether the numbers agree (rank < world) is for the
 *          library to say: it does so for every caller.
 * Threads: the main thread. */
#include "cli/ranks.h"

static const cli_choice remainders[] = {{"drop", LEAT_REMAINDER_DROP}, {"pad", LEAT_REMAINDER_PAD}, {NULL, 0}};
_Static_assert(sizeof(leat_remainder) == sizeof(int), "choices are stored as int");

static const cli_option rank_options[] = {
    {.name = "rank", .value = "R", .kind = CLI_U32, .offset = CLI_AT(config.rank), .high = 999999, .what = "a rank",
     .help = "of --world; see above for what is taken if it is not given"},
    {.name = "world", .value = "W", .kind = CLI_U32, .offset = CLI_AT(config.world), .low = 1, .high = 1000000,
     .what = "a number of ranks", .help = "ranks that share each global batch; over 1 the samples have to be counted: leat index"},
    {.name = "remainder", .value = "WHAT", .kind = CLI_CHOICE, .offset = CLI_AT(config.remainder), .choices = remainders,
     .help = "what of an epoch does not fill a global batch: drop leaves it out, pad fills it up with the epoch's first samples "
             "(default: a short last batch)"},
    {.name = "drop-last", .kind = CLI_FLAG, .offset = CLI_AT(drop_last), .help = "the same as --remainder drop"},
    {.name = "epoch-samples", .value = "N", .kind = CLI_U64, .offset = CLI_AT(config.epoch_samples), .low = 1, .high = UINT64_MAX,
     .what = "a number of samples",
     .help = "length of an epoch of all ranks together; the data is read again and again (default: all of it once)"},
};
const cli_group cli_rank_group = CLI_GROUP("Ranks", rank_options);

int cli_ranks_finish(const cli_command *command, cli_settings *settings)
{
    leat_config *config = &settings->config;
    if (config->world == 0 && config->rank != LEAT_RANK_OF_LAUNCHER) return cli_refuse(command, "--rank: goes with --world");
    if (!settings->drop_last) return CLI_GO_ON;
    if (config->remainder == LEAT_REMAINDER_PAD) return cli_refuse(command, "--drop-last: contradicts --remainder pad");
    config->remainder = LEAT_REMAINDER_DROP;
    return CLI_GO_ON;
}
