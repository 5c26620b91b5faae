/* sheet_png.h - writes a picture as PNG. */
#ifndef CLI_SHEET_PNG_H
#define CLI_SHEET_PNG_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/font.h"

/* Writes the picture to a stream. False with the cause in reason if it failed. */
bool cli_write_png(FILE *out, const cli_picture *picture, char *reason, size_t capacity);

#endif
