/* screen.c - a block of lines at the foot of a terminal, drawn again and again in place.
 *
 * What:    a frame is made of lines of measured width; it is shown by going up over the one before it and writing each line
 *          anew. The cursor rests below the block, so that a process that is killed leaves it where a prompt belongs.
 * Why so:  no curses: a block needs five control sequences (ECMA-48: CUU, EL, ED, SGR; DEC: autowrap), and the rest of the
 *          terminal stays the user's. One write a frame, and none for one that is the same: nothing flickers. The size is asked
 *          for each time: no SIGWINCH handler is needed, and none can be lost. While the block is drawn autowrap is off: should
 *          the terminal take a character for wider than wcwidth does, a line is cut and not broken. After the terminal has become
 *          narrower, lines count as often as most terminals then break them.
 * Threads: one at a time.
 * Invariants: no line of a frame is wider than the terminal less one; a frame has fewer lines than the terminal; text never
 *          holds a control character (leat's own sequences are written by style() and cli_screen_show alone).
 * Not here: what the lines say (fetch_view.c). */
#include "cli/screen.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "cli/text.h"

enum {
    CELL = 20,        /* bytes that one character can become: 4 times \xNN, and the NUL */
    MARGIN = 32,      /* kept free at the end of a frame: a colour's end and the line's */
    EDGES = 64,       /* what surrounds a frame: autowrap, up, autowrap again, erase */
};

static bool says_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (value && *value) return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

bool cli_screen_possible(int fd)
{
    const char *terminal = getenv("TERM");
    return isatty(fd) == 1 && terminal && *terminal && strcmp(terminal, "dumb") != 0;
}

void cli_screen_begin(cli_screen *screen, int fd)
{
    const char *plain = getenv("NO_COLOR");
    *screen = (cli_screen){.fd = fd, .coloured = !(plain && *plain)};
    if (says_utf8()) screen->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    screen->unicode = screen->locale != (locale_t)0;
}

void cli_screen_end(cli_screen *screen)
{
    cli_screen_wipe(screen);
    if (screen->locale) freelocale(screen->locale);
    screen->locale = (locale_t)0;
}

static struct winsize ask_size(int fd)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0) size.ws_col = size.ws_row = 0;
    if (size.ws_col == 0) size.ws_col = 80;
    if (size.ws_row == 0) size.ws_row = 24;
    return size;
}

static size_t at_most(size_t value, size_t most)
{
    return value < most ? value : most;
}

void cli_screen_frame(cli_screen *screen)
{
    struct winsize size = ask_size(screen->fd);
    screen->columns = at_most((size_t)size.ws_col - 1, CLI_SCREEN_COLUMNS);
    screen->lines = at_most((size_t)size.ws_row - 1, CLI_SCREEN_LINES);
    screen->column = 0;
    screen->next.used = screen->next.lines = 0;
}

/* The columns of a character that is no control; -1: it is not to be shown as it is. */
static int width_of(const cli_screen *screen, uint32_t code)
{
    if (code < 0x80) return 1;
    if (!screen->unicode) return -1;
    locale_t before = uselocale(screen->locale);
    int width = wcwidth((wchar_t)code);
    uselocale(before);
    return width;
}

/* Makes of the character at text what is shown: its bytes and columns. Returns how many bytes of text it is. */
static size_t take_cell(const cli_screen *screen, const char *text, char cell[CELL], size_t *width)
{
    uint32_t code = 0;
    size_t length = cli_utf8_decode(text, &code);
    int columns = length > 0 && !cli_is_control(code) ? width_of(screen, code) : -1;
    if (length == 0) length = 1;
    if (columns >= 0) {
        memcpy(cell, text, length);
        cell[length] = '\0';
        *width = (size_t)columns;
        return length;
    }
    for (size_t i = 0; i < length; i++) snprintf(cell + 4 * i, CELL - 4 * i, "\\x%02X", (unsigned)(unsigned char)text[i]);
    *width = 4 * length;
    return length;
}

size_t cli_screen_width(const cli_screen *screen, const char *text)
{
    size_t sum = 0;
    while (*text) {
        char cell[CELL];
        size_t width;
        text += take_cell(screen, text, cell, &width);
        sum += width;
    }
    return sum;
}

/* Appends bytes that take `width` columns. False: there is no room in the line (or, by far too many combining characters, in the
 * frame). */
static bool append(cli_screen *screen, const char *bytes, size_t length, size_t width)
{
    cli_frame *frame = &screen->next;
    if (screen->column + width > screen->columns || frame->used + length + MARGIN > sizeof frame->bytes) return false;
    memcpy(frame->bytes + frame->used, bytes, length);
    frame->used += length;
    screen->column += width;
    return true;
}

static void style(cli_screen *screen, cli_style wanted)
{
    static const char *const codes[] = {
        [CLI_PLAIN] = "\033[0m", [CLI_STRONG] = "\033[1m", [CLI_FAINT] = "\033[2m",
        [CLI_GOOD] = "\033[32m", [CLI_WARNING] = "\033[33m", [CLI_BAD] = "\033[31m"};
    if (screen->coloured) append(screen, codes[wanted], strlen(codes[wanted]), 0);
}

void cli_screen_put(cli_screen *screen, cli_style wanted, const char *text)
{
    if (wanted != CLI_PLAIN) style(screen, wanted);
    while (*text) {
        char cell[CELL];
        size_t width;
        text += take_cell(screen, text, cell, &width);
        if (!append(screen, cell, strlen(cell), width)) break;
    }
    if (wanted != CLI_PLAIN) style(screen, CLI_PLAIN);
}

void cli_screen_print(cli_screen *screen, cli_style wanted, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cli_screen_put(screen, wanted, text);
}

void cli_screen_tail(cli_screen *screen, cli_style wanted, const char *text, size_t width)
{
    size_t end = screen->column + width, whole = cli_screen_width(screen, text);
    if (whole > width && width > 2) {
        cli_screen_put(screen, CLI_FAINT, "..");
        width -= 2;
    }
    while (whole > width) {
        char cell[CELL];
        size_t columns;
        text += take_cell(screen, text, cell, &columns);
        whole -= columns;
    }
    cli_screen_put(screen, wanted, text);
    cli_screen_column(screen, end);
}

void cli_screen_middle(cli_screen *screen, cli_style wanted, const char *text, size_t width)
{
    size_t columns = screen->columns, head = width / 3;
    if (cli_screen_width(screen, text) <= width) {
        cli_screen_put(screen, wanted, text);
        return;
    }
    screen->columns = at_most(screen->column + head, columns);
    cli_screen_put(screen, wanted, text);
    screen->columns = columns;
    cli_screen_tail(screen, wanted, text, width - head);
}

static void repeat(cli_screen *screen, cli_style wanted, const char *text, size_t times)
{
    if (times == 0) return;
    style(screen, wanted);
    while (times-- > 0) append(screen, text, strlen(text), 1);
    style(screen, CLI_PLAIN);
}

void cli_screen_bar(cli_screen *screen, double fraction, size_t width)
{
    if (!(fraction > 0)) fraction = 0;
    size_t full = fraction >= 1 ? width : (size_t)(fraction * (double)width);
    if (!screen->unicode) {
        repeat(screen, CLI_GOOD, "#", full);
        repeat(screen, CLI_FAINT, ".", width - full);
        return;
    }
    bool half = full < width && fraction * (double)width - (double)full >= 0.5;
    repeat(screen, CLI_GOOD, "\u2501", full);
    repeat(screen, CLI_GOOD, "\u257E", half); /* heavy left, light right */
    repeat(screen, CLI_FAINT, "\u2500", width - full - half);
}

void cli_screen_column(cli_screen *screen, size_t column)
{
    while (screen->column < column && append(screen, " ", 1, 1)) continue;
}

void cli_screen_line(cli_screen *screen)
{
    static const char end[] = "\033[K\r\n";
    cli_frame *frame = &screen->next;
    if (frame->lines >= screen->lines || frame->used + sizeof end > sizeof frame->bytes) {
        frame->used = frame->lines > 0 ? frame->used : 0;
        while (frame->used > 0 && frame->bytes[frame->used - 1] != '\n') frame->used--;
    } else {
        memcpy(frame->bytes + frame->used, end, sizeof end - 1);
        frame->used += sizeof end - 1;
        frame->widths[frame->lines++] = screen->column;
    }
    screen->column = 0;
}

/* Rows that the block takes on a terminal that is `columns` wide by now. */
static size_t rows_shown(const cli_screen *screen, size_t columns)
{
    size_t rows = 0;
    for (size_t i = 0; i < screen->shown.lines; i++) {
        size_t width = screen->shown.widths[i];
        rows += width > columns ? (width + columns - 1) / columns : 1;
    }
    return rows;
}

/* A terminal that is gone takes nothing: the run goes on without a view. */
static void write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return;
        bytes += written;
        length -= (size_t)written;
    }
}

void cli_screen_show(cli_screen *screen)
{
    const cli_frame *next = &screen->next, *shown = &screen->shown;
    bool same = screen->shown_columns == screen->columns && shown->lines == next->lines && shown->used == next->used;
    if (same && memcmp(shown->bytes, next->bytes, next->used) == 0) return;
    char out[CLI_SCREEN_BYTES + EDGES], up[24] = "";
    size_t rows = rows_shown(screen, ask_size(screen->fd).ws_col);
    if (rows > 0) snprintf(up, sizeof up, "\033[%zuA", rows);
    int used = snprintf(out, sizeof out, "\033[?7l\r%s%.*s\033[J\033[?7h", up, (int)next->used, next->bytes);
    assert(used > 0 && (size_t)used < sizeof out);
    write_all(screen->fd, out, (size_t)used);
    memcpy(&screen->shown, next, offsetof(cli_frame, bytes) + next->used);
    screen->shown_columns = screen->columns;
}

void cli_screen_wipe(cli_screen *screen)
{
    size_t rows = rows_shown(screen, ask_size(screen->fd).ws_col);
    if (rows == 0) return;
    char out[EDGES];
    int used = snprintf(out, sizeof out, "\r\033[%zuA\033[J", rows);
    write_all(screen->fd, out, (size_t)used);
    screen->shown.lines = screen->shown.used = 0;
}
