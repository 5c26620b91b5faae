/* options.c - a command's options as tables: parsed and checked.
 *
 * What:    --name value, --name=value, -n value, flags, and positional arguments; "--" ends the options.
 * Why so:  getopt_long knows no ranges, no units and no near misses. A refusal says what would be right, so each row of
 *          the table carries its range and the words for it, and --help (help.c) prints the same rows.
 * Threads: the main thread.
 * Invariants: after CLI_GO_ON each value in *settings is in its range, and there is a positional argument. count < next, so that
 *          positional arguments can be gathered at the beginning of argv, however many a shell has made of a pattern.
 * Not here: what options mean to each other: that is the command's own. */
#include "cli/options.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/help.h"
#include "cli/text.h"

enum { MOST_OPTIONS = 64 };

typedef struct command_line {
    const cli_command *command;
    char **argv;
    int argc, next; /* argv[next] is read next */
    void *settings;
    size_t most, count; /* positional arguments; those found are argv[0..count) */
    bool help;
} command_line;

int cli_refuse(const cli_command *command, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    fprintf(stderr, "leat %s: ", command->name);
    cli_print_escaped(stderr, line);
    fputc('\n', stderr);
    return CLI_USAGE;
}

bool cli_read_number(const char *text, uint64_t *value)
{
    uint64_t sum = 0;
    if (!*text) return false;
    for (; *text; text++) {
        if (!isdigit((unsigned char)*text)) return false;
        if (__builtin_mul_overflow(sum, 10u, &sum)) return false;
        if (__builtin_add_overflow(sum, (uint64_t)(*text - '0'), &sum)) return false;
    }
    *value = sum;
    return true;
}

bool cli_read_size(const char *text, uint64_t *value)
{
    char digits[24];
    size_t length = strlen(text);
    if (length == 0 || length >= sizeof digits) return false;
    unsigned shift = 0;
    switch (text[length - 1]) {
    case 'K': case 'k': shift = 10; break;
    case 'M': case 'm': shift = 20; break;
    case 'G': case 'g': shift = 30; break;
    default: break;
    }
    memcpy(digits, text, length + 1);
    if (shift) digits[length - 1] = '\0';
    uint64_t count;
    return cli_read_number(digits, &count) && !__builtin_mul_overflow(count, (uint64_t)1 << shift, value);
}

/* "1.5G" is understood well enough to say how to write it. */
static bool is_fraction(const char *text)
{
    size_t before = strspn(text, "0123456789");
    return text[before] == '.' && isdigit((unsigned char)text[before + 1]);
}

/* How a bound reads: 33554432 as "32M" where it is a size and comes out even. */
static const char *bound(char out[24], cli_kind kind, uint64_t value)
{
    static const char *const units[] = {"", "K", "M", "G"};
    size_t unit = 0;
    if (kind == CLI_SIZE) {
        while (unit < 3 && value >= 1024 && value % 1024 == 0) {
            value /= 1024;
            unit++;
        }
    }
    snprintf(out, 24, "%" PRIu64 "%s", value, units[unit]);
    return out;
}

static void list_choices(const cli_option *option, char *out, size_t capacity)
{
    size_t used = 0;
    for (const cli_choice *choice = option->choices; choice->name; choice++) {
        const char *joint = choice == option->choices ? "" : choice[1].name ? ", " : " or ";
        int printed = snprintf(out + used, capacity - used, "%s%s", joint, choice->name);
        assert(printed > 0 && (size_t)printed < capacity - used);
        used += (size_t)printed;
    }
}

/* "a number of rows from 1 to 65536": what would be right. */
static const char *right_value(const cli_option *option, char *out, size_t capacity)
{
    char low[24], high[24];
    if (option->kind == CLI_CHOICE) {
        list_choices(option, out, capacity);
        return out;
    }
    assert(option->what);
    bool ranged = option->kind == CLI_U32 || option->kind == CLI_U64 || option->kind == CLI_SIZE;
    if (!ranged) return option->what;
    bound(low, option->kind, option->low);
    bound(high, option->kind, option->high);
    if (option->high == UINT64_MAX) snprintf(out, capacity, "%s, %s or more", option->what, low);
    else snprintf(out, capacity, "%s from %s to %s", option->what, low, high);
    return out;
}

static int refuse_value(const command_line *line, const cli_option *option, const char *text)
{
    char right[256], hint[96] = "";
    if (option->kind == CLI_SIZE && text && is_fraction(text))
        snprintf(hint, sizeof hint, " (no fractions: 1536M, not 1.5G)");
    if (option->kind == CLI_CHOICE && text) {
        const char *names[16];
        size_t count = 0;
        for (const cli_choice *choice = option->choices; choice->name &&
             count < 16; choice++) names[count++] = choice->name;
        const char *meant = cli_suggest(text, names, count);
        if (meant) snprintf(hint, sizeof hint, "; did you mean %s?", meant);
    }
    return cli_refuse(line->command, "--%s%s%s: give %s%s", option->name, text ? " " : "", text ? text : "",
                      right_value(option, right, sizeof right), hint);
}

static bool store_number(const cli_option *option, void *target, uint64_t value)
{
    assert(option->low <= option->high);
    if (value < option->low || value > option->high) return false;
    if (option->kind == CLI_U32) {
        assert(option->high <= UINT32_MAX);
        *(uint32_t *)target = (uint32_t)value;
    } else {
        *(uint64_t *)target = value;
    }
    return true;
}

static bool store_choice(const cli_option *option, void *target, const char *text)
{
    for (const cli_choice *choice = option->choices; choice->name; choice++) {
        if (strcmp(choice->name, text) != 0) continue;
        memcpy(target, &choice->value, sizeof choice->value);
        return true;
    }
    return false;
}

static bool store_text(cli_texts *texts, const char *text)
{
    if (!*text || texts->count == CLI_MOST_TEXTS) return false;
    texts->items[texts->count++] = text;
    return true;
}

/* Puts a value where the option says. False: it is none. */
static bool store(const command_line *line, const cli_option *option, const char *text)
{
    void *target = (char *)line->settings + option->offset;
    uint64_t value;
    switch (option->kind) {
    case CLI_FLAG: *(bool *)target = true; return true;
    case CLI_U32:
    case CLI_U64: return cli_read_number(text, &value) && store_number(option, target, value);
    case CLI_SIZE: return cli_read_size(text, &value) && store_number(option, target, value);
    case CLI_TEXT: *(const char **)target = text; return *text != '\0';
    case CLI_TEXTS: return store_text(target, text);
    case CLI_CHOICE: return store_choice(option, target, text);
    case CLI_CUSTOM: assert(option->parse && option->what); return option->parse(target, text);
    }
    return false;
}

static const cli_option *find(const cli_command *command, const char *name, size_t length, char letter)
{
    for (size_t g = 0; g < command->group_count; g++) {
        for (size_t i = 0; i < command->groups[g]->count; i++) {
            const cli_option *option = &command->groups[g]->options[i];
            if (letter ? option->letter == letter : strlen(option->name) == length &&
                !memcmp(option->name, name, length))
                return option;
        }
    }
    return NULL;
}

static int refuse_option(const command_line *line, const char *word, const char *name, size_t length)
{
    const char *names[MOST_OPTIONS] = {"help"};
    size_t count = 1;
    for (size_t g = 0; g < line->command->group_count; g++) {
        for (size_t i = 0; i < line->command->groups[g]->count; i++) {
            assert(count < MOST_OPTIONS);
            names[count++] = line->command->groups[g]->options[i].name;
        }
    }
    char text[64];
    snprintf(text, sizeof text, "%.*s", length < sizeof text ? (int)length : 63, name);
    const char *meant = cli_suggest(text, names, count);
    if (meant) return cli_refuse(line->command, "%s: no such option; did you mean --%s?", word, meant);
    return cli_refuse(line->command, "%s: no such option; leat %s --help lists them", word, line->command->name);
}

/* One option with its value: `value` is what follows '=' or the letter, NULL if nothing does. */
static int take_option(command_line *line, const cli_option *option, const char *value)
{
    if (option->kind == CLI_FLAG) {
        if (value) return cli_refuse(line->command, "--%s: takes no value", option->name);
    } else if (!value && option->value_optional) {
        value = "";
    } else if (!value) {
        bool there = line->next < line->argc && strncmp(line->argv[line->next], "--", 2) != 0;
        if (!there) return refuse_value(line, option, NULL);
        value = line->argv[line->next++];
    }
    return store(line, option, value) ? CLI_GO_ON : refuse_value(line, option, value);
}

static int take_long(command_line *line, const char *word)
{
    const char *name = word + 2, *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    if (length == 4 && memcmp(name, "help", 4) == 0 && !equals) {
        line->help = true;
        return CLI_GO_ON;
    }
    const cli_option *option = find(line->command, name, length, 0);
    if (!option) return refuse_option(line, word, name, length);
    return take_option(line, option, equals ? equals + 1 : NULL);
}

static int take_short(command_line *line, const char *word)
{
    assert(word[0] == '-' && word[1] != '\0');
    if (strcmp(word, "-h") == 0) {
        line->help = true;
        return CLI_GO_ON;
    }
    const cli_option *option = find(line->command, NULL, 0, word[1]);
    if (!option) return refuse_option(line, word, word + 1, strlen(word + 1));
    return take_option(line, option, word[2] ? word + 2 : NULL);
}

static int take_argument(command_line *line, char *word)
{
    const cli_command *command = line->command;
    if (line->count == line->most && line->most > 1)
        return cli_refuse(command, "%s: %s, and no more", word, command->argument);
    if (line->count == line->most)
        return cli_refuse(command, "%s: one %s is enough; put a pattern in quotes, or the shell spreads it out", word,
                          command->argument);
    if (!*word) return cli_refuse(command, "an empty %s: give %s", command->argument, command->argument_what);
    assert(line->count < (size_t)line->next);
    line->argv[line->count++] = word;
    return CLI_GO_ON;
}

int cli_parse_many(const cli_command *command, int argc, char **argv, void *settings, size_t most, size_t *count)
{
    assert(argc >= 1 && command->argument && command->argument_what && most > 0);
    command_line line = {.command = command, .argv = argv, .argc = argc, .next = 1, .settings = settings, .most = most};
    bool ended = false;
    while (line.next < argc) {
        char *word = argv[line.next++];
        int code = CLI_GO_ON;
        if (!ended && strcmp(word, "--") == 0) ended = true;
        else if (!ended && strncmp(word, "--", 2) == 0) code = take_long(&line, word);
        else if (!ended && word[0] == '-' && word[1]) code = take_short(&line, word);
        else code = take_argument(&line, word);
        if (code != CLI_GO_ON) return code;
        if (line.help) {
            cli_print_help(command);
            return CLI_OK;
        }
    }
    if (line.count == 0)
        return cli_refuse(command, "no %s: give %s; leat %s --help says more", command->argument, command->argument_what,
                          command->name);
    *count = line.count;
    return CLI_GO_ON;
}

int cli_parse(const cli_command *command, int argc, char **argv, void *settings, const char **argument)
{
    size_t count;
    int code = cli_parse_many(command, argc, argv, settings, 1, &count);
    if (code == CLI_GO_ON) *argument = argv[0];
    return code;
}
