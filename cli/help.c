/* help.c - prints --help out of a command's tables.
 *
 * What:    usage, what it does, its options by group, exit codes, an example.
 * Why so:  made from the rows that options.c parses by, so it can't name an option that is not there.
 * Threads: the main thread. */
#include "cli/help.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { HELP_COLUMN = 30, LINE = 112 };

/* Prints text from column HELP_COLUMN on, broken at spaces. */
static void print_wrapped(const char *text)
{
    size_t room = LINE - HELP_COLUMN;
    while (strlen(text) > room) {
        size_t cut = room;
        while (cut > 0 && text[cut] != ' ') cut--;
        if (cut == 0) break;
        printf("%.*s\n%*s", (int)cut, text, HELP_COLUMN, "");
        text += cut + 1;
    }
    printf("%s\n", text);
}

static void print_option(const cli_option *option)
{
    char left[64], letter[8] = "    ";
    const char *value = option->value ? option->value : "";
    const char *before = option->value_optional ? "[=" : *value ? " " : "", *after = option->value_optional ? "]" : "";
    if (option->letter) snprintf(letter, sizeof letter, "-%c, ", option->letter);
    int used = snprintf(left, sizeof left, "  %s--%s%s%s%s", letter, option->name, before, value, after);
    assert(used > 0 && (size_t)used < sizeof left);
    if (used + 2 > HELP_COLUMN) printf("%s\n%*s", left, HELP_COLUMN, "");
    else printf("%-*s", HELP_COLUMN, left);
    print_wrapped(option->help);
}

void cli_print_help(const cli_command *command)
{
    printf("usage: leat %s %s [options]\n\n%s\n", command->name, command->argument, command->about);
    for (size_t g = 0; g < command->group_count; g++) {
        printf("\n%s:\n", command->groups[g]->title);
        for (size_t i = 0; i < command->groups[g]->count; i++) print_option(&command->groups[g]->options[i]);
    }
    printf("\nExit codes: 0 all done (or skipped as told) · 1 ended by an error · 2 wrong usage · 3 impossible "
           "settings ·\n"
           "4 source not found or forbidden · 5 nothing could be reached · 6 data is not what it should be · "
           "7 writing failed ·\n"
           "130, 143 stopped by a signal\n");
    printf("\nexample: %s\n", command->example);
}

void cli_print_commands(const cli_command *const *commands, size_t count)
{
    printf("leat - brings training data to a trainer: steadily, from wherever it is stored\n\nusage: leat COMMAND "
           "...\n\n");
    for (size_t i = 0; i < count; i++) printf("  %-8s%s\n", commands[i]->name, commands[i]->summary);
    printf("\nleat COMMAND --help says more; leat --version says which leat this is.\n");
}
