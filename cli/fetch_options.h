/* fetch_options.h - options of leat fetch and leat verify. */
#ifndef CLI_FETCH_OPTIONS_H
#define CLI_FETCH_OPTIONS_H

#include <leat/fetch.h>

#include "cli/options.h"

enum { FETCH_MOST_PATTERNS = 64 };

typedef struct fetch_settings {
    leat_fetch_config config;
    leat_verify_config verify;
    leat_fetch_pattern patterns[FETCH_MOST_PATTERNS]; /* --include and --exclude, in the order in which they were given */
    cli_texts headers;
    bool json;
    bool durable;           /* --durable */
} fetch_settings;

/* Tables for cli_command.groups; targets are within a fetch_settings. */
extern const cli_group fetch_files_group, fetch_means_group, fetch_network_group, fetch_share_group, fetch_output_group;

/* Looks at what options mean together, and completes settings->config. Returns CLI_GO_ON or CLI_USAGE. */
int fetch_settings_finish(const cli_command *command, fetch_settings *settings);

#endif
