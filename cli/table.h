/* table.h - columns for people. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stddef.h>
#include <stdio.h>

enum { CLI_TABLE_COLUMNS = 10, CLI_TABLE_ROWS = 20, CLI_TABLE_CELL = 24 };

/* Cells are cut to CLI_TABLE_CELL - 1 bytes. The first column is set flush left, the others flush right. */
typedef struct cli_table {
    size_t columns, rows;
    char cells[CLI_TABLE_ROWS][CLI_TABLE_COLUMNS][CLI_TABLE_CELL];
} cli_table;

/* Adds a row, its cells printed by the format and separated by '|'. The first row decides the number of columns; rows
 * past CLI_TABLE_ROWS are a mistake of the caller's. */
void cli_table_row(cli_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

void cli_table_print(const cli_table *table, FILE *out);

#endif
