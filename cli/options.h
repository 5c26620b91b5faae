/* options.h - a command's options as tables: parsed, checked, and listed by --help, from the same rows. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit codes of every subcommand. */
enum {
    CLI_OK = 0,        /* every sample delivered, or skipped as --on-error and --max-errors allow */
    CLI_FAILED = 1,    /* the run was ended by an error */
    CLI_USAGE = 2,     /* the command line makes no sense */
    CLI_CONFIG = 3,    /* the settings cannot be had together, or not on this machine */
    CLI_NO_SOURCE = 4, /* the source does not exist or may not be read */
    CLI_NETWORK = 5,   /* nothing could be fetched at all */
    CLI_INTEGRITY = 6, /* a size, a checksum or contents are not what they should be */
    CLI_DISK = 7,      /* writing failed */
    CLI_SIGNAL = 128,  /* plus the signal's number */
    CLI_GO_ON = -1,    /* of cli_parse: no exit yet */
};

typedef enum cli_kind {
    CLI_FLAG,   /* bool: no value */
    CLI_U32,    /* uint32_t, low..high */
    CLI_U64,    /* uint64_t, low..high */
    CLI_SIZE,   /* uint64_t, low..high: digits and K, M or G (1024 each step) */
    CLI_TEXT,   /* const char *, not empty */
    CLI_TEXTS,  /* cli_texts: may be given several times */
    CLI_CHOICE, /* int-sized enum: one of `choices` */
    CLI_CUSTOM, /* what `parse` makes of it */
} cli_kind;

enum { CLI_MOST_TEXTS = 32 };

typedef struct cli_texts {
    const char *items[CLI_MOST_TEXTS];
    size_t count;
} cli_texts;

typedef struct cli_choice {
    const char *name; /* NULL ends the list */
    int value;
} cli_choice;

typedef struct cli_option {
    const char *name;   /* "batch" for --batch */
    char letter;        /* 'o' for -o; 0: none */
    bool value_optional;/* --name alone is fine too, and a value must follow '=' */
    const char *value;  /* what --help calls the value: "N"; NULL: none is taken */
    const char *help;   /* one line, its default at the end */
    cli_kind kind;
    size_t offset;      /* of the target within the settings */
    const char *what;   /* "a number of rows": what is to be given, for refusals (CHOICE: not needed) */
    uint64_t low, high;
    const cli_choice *choices;
    bool (*parse)(void *target, const char *text); /* CLI_CUSTOM; text is "" for an optional value not given */
} cli_option;

typedef struct cli_group {
    const char *title;  /* "Images" */
    const cli_option *options;
    size_t count;
} cli_group;

typedef struct cli_command {
    const char *name;       /* "bench" */
    const char *summary;    /* for leat --help: a line */
    const char *argument;   /* what is positional: "SOURCE" */
    const char *argument_what; /* "a folder, a shard ...": for refusals */
    const char *about;      /* for leat NAME --help: paragraphs */
    const char *example;    /* a command line that can be run */
    const cli_group *const *groups;
    size_t group_count;
    int (*run)(const struct cli_command *command, int argc, char **argv);
} cli_command;

/* Parses argv[1..] into *settings and *argument (both point into argv). Returns CLI_GO_ON; CLI_OK after --help was
 * printed on stdout; CLI_USAGE after a sentence on stderr has said what would be right. */
int cli_parse(const cli_command *command, int argc, char **argv, void *settings, const char **argument);

/* The same for commands that take 1..most positional arguments: they are put at the beginning of argv, in their order;
 * *count: how many. */
int cli_parse_many(const cli_command *command, int argc, char **argv, void *settings, size_t most, size_t *count);

/* Prints "leat NAME: ..." on stderr; returns CLI_USAGE. */
int cli_refuse(const cli_command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Reads digits with an optional K, M or G (either case). False for anything else, and beyond 64 bits. */
bool cli_read_size(const char *text, uint64_t *value);

/* Reads decimal digits and nothing else. False beyond 64 bits. */
bool cli_read_number(const char *text, uint64_t *value);

#endif
