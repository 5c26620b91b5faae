/* font.h - draws ASCII text into an RGB image: X11's misc-fixed 6x13. */
#ifndef CLI_FONT_H
#define CLI_FONT_H

#include <stddef.h>
#include <stdint.h>

enum { CLI_FONT_WIDTH = 6, CLI_FONT_HEIGHT = 13 };

/* An RGB image, 3 bytes a pixel, rows one after another. */
typedef struct cli_picture {
    uint32_t width, height;
    uint8_t *rgb;
} cli_picture;

/* Draws text with its upper left corner at (x, y), cut at the picture's edges. A character beyond printable ASCII is
 * one '?'. */
void cli_font_draw(cli_picture *picture, uint32_t x, uint32_t y, const char *text, const uint8_t colour[3]);

/* Characters that text has on the picture. */
size_t cli_font_length(const char *text);

#endif
