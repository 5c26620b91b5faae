/* font.c - draws ASCII text into an RGB image: X11's misc-fixed 6x13.
 *
 * What:    one fixed-width bitmap font, one colour, no blending.
 * Why so:  a contact sheet needs legible captions and nothing else: a table of 1,235 bytes does it
 *          (scripts/make_font.py).
 * Threads: any. */
#include "cli/font.h"

#include <assert.h>
#include <string.h>

#include "cli/font_table.h"
#include "cli/text.h"

enum { FIRST = 32, LAST = 126 };

/* Bytes of the character at text, and its place in the table. */
static size_t next_glyph(const char *text, const unsigned char **glyph)
{
    uint32_t code = 0;
    size_t length = cli_utf8_decode(text, &code);
    if (length == 0 || code < FIRST || code > LAST) code = '?';
    *glyph = font_table[code - FIRST];
    return length > 0 ? length : 1;
}

size_t cli_font_length(const char *text)
{
    const unsigned char *glyph;
    size_t count = 0;
    for (; *text; count++) text += next_glyph(text, &glyph);
    return count;
}

static void draw_glyph(cli_picture *picture, uint32_t x, uint32_t y, const unsigned char *glyph,
                       const uint8_t colour[3])
{
    for (uint32_t row = 0; row < CLI_FONT_HEIGHT && y + row < picture->height; row++) {
        for (uint32_t column = 0; column < CLI_FONT_WIDTH && x + column < picture->width; column++) {
            if (!(glyph[row] & (0x80u >> column))) continue;
            memcpy(picture->rgb + ((size_t)(y + row) * picture->width + x + column) * 3, colour, 3);
        }
    }
}

void cli_font_draw(cli_picture *picture, uint32_t x, uint32_t y, const char *text, const uint8_t colour[3])
{
    assert(picture->rgb && text);
    while (*text && x < picture->width) {
        const unsigned char *glyph;
        text += next_glyph(text, &glyph);
        draw_glyph(picture, x, y, glyph, colour);
        x += CLI_FONT_WIDTH;
    }
}
