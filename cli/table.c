/* table.c - columns for people.
 *
 * What:    collects rows of short cells and prints them aligned.
 * Why so:  widths are known only when every row is; the tables here are small, so they need no allocation.
 * Threads: one at a time.
 * Not here: escaping: cells are figures and names of leat's own. */
#include "cli/table.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

void cli_table_row(cli_table *table, const char *format, ...)
{
    assert(table->rows < CLI_TABLE_ROWS);
    char line[CLI_TABLE_COLUMNS * CLI_TABLE_CELL];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    size_t column = 0;
    for (char *rest = line, *cell; (cell = strsep(&rest, "|")) != NULL; column++) {
        assert(column < CLI_TABLE_COLUMNS);
        snprintf(table->cells[table->rows][column], CLI_TABLE_CELL, "%.*s", CLI_TABLE_CELL - 1, cell);
    }
    if (table->rows == 0) table->columns = column;
    assert(column == table->columns);
    table->rows++;
}

void cli_table_print(const cli_table *table, FILE *out)
{
    int widths[CLI_TABLE_COLUMNS] = {0};
    assert(table->rows <= CLI_TABLE_ROWS && table->columns <= CLI_TABLE_COLUMNS);
    for (size_t row = 0; row < table->rows; row++) {
        for (size_t column = 0; column < table->columns; column++) {
            int width = (int)strlen(table->cells[row][column]);
            if (width > widths[column]) widths[column] = width;
        }
    }
    for (size_t row = 0; row < table->rows; row++) {
        fprintf(out, "  %-*s", widths[0], table->cells[row][0]);
        for (size_t column = 1; column < table->columns; column++)
            fprintf(out, "  %*s", widths[column], table->cells[row][column]);
        fputc('\n', out);
    }
}
