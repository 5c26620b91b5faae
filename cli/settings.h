/* settings.h - options that several commands share: where from, what images become, in which order, with what means. */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include <leat/config.h>

#include "cli/mixing.h"
#include "cli/options.h"

typedef struct cli_settings {
    leat_config config;
    cli_texts headers;
    cli_mixing mixing;        /* --mix; cli_mixing_free at the end of commands that have it */
    bool drop_last;           /* --drop-last */
    uint32_t timeout_s;       /* 0: not given */
    bool sequential;          /* --shuffle-window 0 */
    bool none_may_fail;       /* --max-errors 0 */
    bool mean_given, std_given;
    /* of one command */
    bool hash, ideal, json;   /* bench */
    uint32_t delay_ms;
    uint64_t stop_after;      /* batches; UINT64_MAX: to the end */
    uint64_t hash_from;       /* batches before it stay out of the hash */
    const char *save, *resume;
    uint64_t from, to;        /* order: steps [from, to); to UINT64_MAX: to the end of the epoch */
    bool quality;
    uint32_t count;           /* show */
    const char *output;
    const char *classes_file;
    bool shards;              /* ls */
} cli_settings;

/* Tables for cli_command.groups; targets are within a cli_settings. */
extern const cli_group cli_image_group, cli_order_group, cli_failure_group, cli_resource_group, cli_network_group;

/* Looks at what options mean together, and completes settings->config. Returns CLI_GO_ON or CLI_USAGE. */
int cli_settings_finish(const cli_command *command, cli_settings *settings, const char *source);

/* Looks whether each is a header field in one line. Returns CLI_GO_ON or CLI_USAGE. */
int cli_check_headers(const cli_command *command, const cli_texts *headers);

/* For a command's own rows. */
#define CLI_AT(member) offsetof(cli_settings, member)
#define CLI_GROUP(title, rows) {title, rows, sizeof rows / sizeof rows[0]}

#endif
