/* screen.h - a block of lines at the foot of a terminal, drawn again and again in place. */
#ifndef CLI_SCREEN_H
#define CLI_SCREEN_H

#include <locale.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum cli_style { CLI_PLAIN, CLI_STRONG, CLI_FAINT, CLI_GOOD, CLI_WARNING, CLI_BAD } cli_style;

/* A frame of 60 lines of 200 columns, 4 bytes each at most and with colours between them, is under 64 KiB. */
enum { CLI_SCREEN_LINES = 60, CLI_SCREEN_COLUMNS = 200, CLI_SCREEN_BYTES = 64 << 10 };

typedef struct cli_frame {
    size_t used, lines;
    size_t widths[CLI_SCREEN_LINES]; /* of its lines, in columns */
    char bytes[CLI_SCREEN_BYTES];
} cli_frame;

typedef struct cli_screen {
    int fd;
    bool coloured, unicode;
    locale_t locale;        /* that knows how wide characters are; 0: none, and other characters than ASCII are escaped */
    size_t columns, lines;  /* that the frame under way may have: one less than the terminal's */
    size_t column;          /* where its next text goes */
    cli_frame next, shown;  /* the one under way, and what stands on the terminal */
    size_t shown_columns;
} cli_screen;

/* Whether fd is a terminal on which a block can be drawn again (TERM is set and not "dumb"). */
bool cli_screen_possible(int fd);

/* Begins; nothing is drawn yet. Colours unless NO_COLOR is set (https://no-color.org); characters beyond ASCII if LC_ALL,
 * LC_CTYPE or LANG says UTF-8. */
void cli_screen_begin(cli_screen *screen, int fd);

/* Wipes the block and ends. */
void cli_screen_end(cli_screen *screen);

/* Begins a frame of the size that the terminal has now. */
void cli_screen_frame(cli_screen *screen);

/* Each puts text at the end of the line under way, and cuts what is over the line's width. Controls and what is no UTF-8 are
 * escaped: any text may come from outside. */
void cli_screen_put(cli_screen *screen, cli_style style, const char *text);
void cli_screen_print(cli_screen *screen, cli_style style, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts the end of a text that is wider than `width` columns, or all of it and spaces after it. */
void cli_screen_tail(cli_screen *screen, cli_style style, const char *text, size_t width);

/* Puts a text, without its middle if it is wider than `width` columns. */
void cli_screen_middle(cli_screen *screen, cli_style style, const char *text, size_t width);

/* Puts a bar of `width` columns, `fraction` of it full. */
void cli_screen_bar(cli_screen *screen, double fraction, size_t width);

/* Puts spaces up to a column. */
void cli_screen_column(cli_screen *screen, size_t column);

/* Ends the line; one that the terminal has no room for is dropped. */
void cli_screen_line(cli_screen *screen);

/* Draws the frame over what stands there, in one write; nothing if it is the same. */
void cli_screen_show(cli_screen *screen);

/* Takes the block away, so that something else can be printed. The next frame is drawn below it. */
void cli_screen_wipe(cli_screen *screen);

/* The columns that a text takes, escaped. */
size_t cli_screen_width(const cli_screen *screen, const char *text);

#endif
