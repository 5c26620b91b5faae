/* mixing.c - several sources as one: --index, --weight, --mix.
 *
 * What:    `A --weight 0.7 --mix B=0.3` into a list of leat_source, the positional SOURCE first.
 * Why so:  one source stays the positional argument of every command; the others are added to it. A URL may contain '=', a weight
 *          can't: the last '=' divides.
 * Threads: the main thread.
 * Not here: shares and counts, which the library judges. */
#include "cli/mixing.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cli/settings.h"

enum { MOST_DECIMALS = 6 }; /* of leat_source.weight */
static const double most_weight = 1e6;

/* Digits, at most 6 of them behind a point; over 0. */
static bool read_weight(const char *text, double *weight)
{
    static const char digits[] = "0123456789";
    size_t whole = strspn(text, digits), decimals = 0;
    const char *end = text + whole;
    if (*end == '.') {
        decimals = strspn(end + 1, digits);
        end += 1 + decimals;
    }
    if (*end || whole + decimals == 0 || decimals > MOST_DECIMALS) return false;
    *weight = strtod(text, NULL); /* the C locale's: main sets no other */
    return *weight > 0 && *weight <= most_weight;
}

static bool parse_weight(void *target, const char *text)
{
    cli_mixing *mixing = target;
    return read_weight(text, &mixing->weight);
}

static bool parse_mix(void *target, const char *text)
{
    cli_mixing *mixing = target;
    const char *equals = strrchr(text, '=');
    double weight;
    if (mixing->count == CLI_MOST_MIXED || !equals || equals == text || !read_weight(equals + 1, &weight)) return false;
    char *source = strndup(text, (size_t)(equals - text));
    if (!source) return false;
    mixing->sources[++mixing->count] = (leat_source){.source = source, .weight = weight};
    return true;
}

/* The index of source number i; "none" given once is meant for all. */
static const char *index_of(const cli_mixing *mixing, size_t i)
{
    const cli_texts *given = &mixing->indexes;
    if (given->count == 1 && strcmp(given->items[0], "none") == 0) return given->items[0];
    return i < given->count ? given->items[i] : NULL;
}

int cli_mixing_finish(const cli_command *command, cli_mixing *mixing, leat_config *config, const char *source)
{
    config->source = source;
    if (mixing->indexes.count > mixing->count + 1)
        return cli_refuse(command, "--index: given %zu times for %zu source%s", mixing->indexes.count, mixing->count + 1,
                          mixing->count ? "s" : "");
    if (mixing->count == 0) {
        config->index = index_of(mixing, 0);
        if (mixing->weight > 0) return cli_refuse(command, "--weight: goes with --mix only");
        return CLI_GO_ON;
    }
    mixing->sources[0] = (leat_source){.source = source, .weight = mixing->weight > 0 ? mixing->weight : 1};
    for (size_t i = 0; i <= mixing->count; i++) mixing->sources[i].index = index_of(mixing, i);
    config->source = NULL;
    config->sources = mixing->sources;
    config->source_count = mixing->count + 1;
    return CLI_GO_ON;
}

void cli_mixing_free(cli_mixing *mixing)
{
    for (size_t i = 1; i <= mixing->count; i++) free((char *)mixing->sources[i].source);
    mixing->count = 0;
}

static const cli_option source_options[] = {
    {.name = "index", .value = "PATH", .kind = CLI_TEXTS, .offset = CLI_AT(mixing.indexes),
     .what = "an index of the shards, the folder that it is in, or none",
     .help = "counts and places of the samples in the shards: leat.index, a WebDataset index (wids JSON), DALI's .idx, or a folder "
             "with any of them; none: read without; with --mix one for each source, in their order (default: leat.index beside "
             "the shards, if it is there)"},
    {.name = "mix", .value = "SOURCE=WEIGHT", .kind = CLI_CUSTOM, .offset = CLI_AT(mixing), .parse = parse_mix,
     .what = "SOURCE=WEIGHT, such as more.tar=0.3 (a weight over 0 with at most 6 decimals), at most 32 times",
     .help = "mix in another source; its share is its weight over the sum of all. May be repeated; all of them need counts"},
    {.name = "weight", .value = "W", .kind = CLI_CUSTOM, .offset = CLI_AT(mixing), .parse = parse_weight,
     .what = "a weight over 0 with at most 6 decimals, such as 0.7",
     .help = "of SOURCE itself, with --mix (default 1): leat bench A --weight 0.7 --mix B=0.3"},
};
const cli_group cli_source_group = CLI_GROUP("Sources", source_options);
