/* sheet.c - a contact sheet: the images of a batch side by side, with captions.
 *
 * What:    undoes the normalization, sets pixels one to one (small images in whole multiples), captions below.
 * Why so:  it shows what a trainer gets, so nothing is smoothed or scaled down; alpha lies over a chequerboard, so that
 *          what is transparent shows.
 * Threads: any.
 * Invariants: a cell is `scale` times the image plus captions and margins; every pixel written lies in the picture.
 * Not here: PNG (sheet_png.c), which batch (show.c). */
#include "cli/sheet.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MARGIN = 8, GAP = 3, LEAST_WIDTH = 120, CAPTION = 2 * CLI_FONT_HEIGHT + GAP, TITLE = CLI_FONT_HEIGHT + MARGIN,
      CHEQUER = 8 };
#define MOST_PIXELS ((uint64_t)200000000)
static const uint8_t paper[3] = {250, 250, 248}, ink[3] = {20, 20, 20}, faint[3] = {110, 110, 110};

typedef struct sheet_grid {
    uint32_t count, columns, rows;
    uint32_t width, height; /* of an image, px */
    uint32_t scale;
} sheet_grid;

/* As square as it can be with full rows; 16 is 4 x 4, 24 is 6 x 4, 17 is 5 x 4 with a gap. */
static uint32_t choose_columns(uint32_t count)
{
    uint32_t square = (uint32_t)ceil(sqrt((double)count));
    for (uint32_t columns = square; columns <= square * 2 && columns <= count; columns++) {
        if (count % columns == 0) return columns;
    }
    return square > 0 ? square : 1;
}

static sheet_grid plan_grid(const leat_tensor *images)
{
    bool chw = images->layout == LEAT_CHW;
    assert(images->ndim == 4 && images->shape[0] > 0);
    sheet_grid grid = {.count = (uint32_t)images->shape[0], .height = (uint32_t)images->shape[chw ? 2 : 1],
                 .width = (uint32_t)images->shape[chw ? 3 : 2]};
    grid.columns = choose_columns(grid.count);
    grid.rows = (grid.count + grid.columns - 1) / grid.columns;
    grid.scale = grid.width >= LEAST_WIDTH ? 1 : (LEAST_WIDTH + grid.width - 1) / grid.width;
    return grid;
}

static uint64_t cell_width(const sheet_grid *grid)
{
    return (uint64_t)grid->width * grid->scale + MARGIN;
}

static uint64_t cell_height(const sheet_grid *grid)
{
    return (uint64_t)grid->height * grid->scale + GAP + CAPTION + MARGIN;
}

bool cli_sheet_size(const cli_sheet_plan *plan, uint32_t *width, uint32_t *height)
{
    sheet_grid grid = plan_grid(plan->images);
    uint64_t across = cell_width(&grid) * grid.columns + MARGIN, down = cell_height(&grid) * grid.rows + MARGIN + TITLE;
    if (across > MOST_PIXELS || down > MOST_PIXELS / across) return false;
    *width = (uint32_t)across;
    *height = (uint32_t)down;
    return true;
}

/* IEEE 754 binary16. */
static float half_to_float(uint16_t half)
{
    int exponent = half >> 10 & 31, fraction = half & 1023;
    float magnitude = exponent == 0    ? ldexpf((float)fraction, -24)
                      : exponent == 31 ? (fraction ? NAN : INFINITY)
                                       : ldexpf((float)(fraction + 1024), exponent - 25);
    return half & 0x8000 ? -magnitude : magnitude;
}

/* One element as the trainer has it; uint8 as 0..255. */
static float element(const leat_tensor *images, int64_t at)
{
    switch (images->dtype) {
    case LEAT_FLOAT32: return ((const float *)images->data)[at];
    case LEAT_FLOAT16: return half_to_float(((const uint16_t *)images->data)[at]);
    default: assert(images->dtype == LEAT_UINT8); return ((const uint8_t *)images->data)[at];
    }
}

/* A channel's value as 0..255. channel 3 is alpha, which is not normalized. */
static float channel_value(const cli_sheet_plan *plan, int64_t at, int64_t channel)
{
    float value = element(plan->images, at);
    if (plan->images->dtype == LEAT_UINT8) return value;
    if (channel < 3) value = value * plan->std[channel] + plan->mean[channel];
    value *= 255;
    return value >= 0 ? (value <= 255 ? value : 255) : 0; /* NaN is black */
}

static void read_pixel(const cli_sheet_plan *plan, uint32_t row, uint32_t x, uint32_t y, uint8_t rgb[3])
{
    const leat_tensor *images = plan->images;
    assert(row < images->shape[0] && images->strides[images->ndim - 1] == 1);
    bool chw = images->layout == LEAT_CHW;
    const int64_t *strides = images->strides;
    int64_t channels = images->shape[chw ? 1 : 3], step = strides[chw ? 1 : 3];
    int64_t at = row * strides[0] + y * strides[chw ? 2 : 1] + x * strides[chw ? 3 : 2];
    float alpha = channels == 4 ? channel_value(plan, at + 3 * step, 3) / 255 : 1;
    float behind = (x / CHEQUER + y / CHEQUER) % 2 ? 255 : 204;
    for (int64_t channel = 0; channel < 3; channel++) {
        float value = channel_value(plan, at + channel * step, channel);
        rgb[channel] = (uint8_t)lrintf(value * alpha + behind * (1 - alpha));
    }
}

static void draw_image(const cli_sheet_plan *plan, const sheet_grid *grid, uint32_t row, cli_picture *picture,
                       uint32_t left, uint32_t top)
{
    for (uint32_t y = 0; y < grid->height * grid->scale; y++) {
        uint8_t *line = picture->rgb + ((size_t)(top + y) * picture->width + left) * 3;
        for (uint32_t x = 0; x < grid->width; x++) {
            uint8_t rgb[3];
            read_pixel(plan, row, x, y / grid->scale, rgb);
            for (uint32_t i = 0; i < grid->scale; i++) memcpy(line + ((size_t)x * grid->scale + i) * 3, rgb, 3);
        }
    }
}

/* Cuts the text to what fits: the end of a key is what tells it from others. */
static void draw_line(cli_picture *picture, uint32_t x, uint32_t y, uint32_t width, const char *text,
                      const uint8_t colour[3])
{
    size_t room = width / CLI_FONT_WIDTH, length = cli_font_length(text);
    if (length > room && room > 2) {
        cli_font_draw(picture, x, y, "..", colour);
        x += 2 * CLI_FONT_WIDTH;
        size_t bytes = strlen(text), keep = room - 2 < bytes ? room - 2 : bytes;
        text += bytes - keep; /* at least as far as needed: characters may have several bytes */
        while ((*text & 0xC0) == 0x80) text++;
    }
    cli_font_draw(picture, x, y, text, colour);
}

static void draw_cell(const cli_sheet_plan *plan, const sheet_grid *grid, uint32_t row, cli_picture *picture)
{
    uint32_t left = MARGIN + (uint32_t)cell_width(grid) * (row % grid->columns);
    uint32_t top = MARGIN + TITLE + (uint32_t)cell_height(grid) * (row / grid->columns);
    uint32_t width = grid->width * grid->scale, below = top + grid->height * grid->scale + GAP;
    const cli_caption *caption = &plan->captions[row];
    assert(left + width <= picture->width && below + CAPTION <= picture->height);
    draw_image(plan, grid, row, picture, left, top);
    if (!caption->label[0]) {
        draw_line(picture, left, below, width, caption->key, ink);
        return;
    }
    draw_line(picture, left, below, width, caption->label, ink);
    draw_line(picture, left, below + CLI_FONT_HEIGHT, width, caption->key, faint);
}

bool cli_sheet_draw(const cli_sheet_plan *plan, cli_picture *picture)
{
    sheet_grid grid = plan_grid(plan->images);
    bool fine = cli_sheet_size(plan, &picture->width, &picture->height);
    assert(fine);
    (void)fine;
    size_t pixels = (size_t)picture->width * picture->height;
    picture->rgb = malloc(pixels * 3);
    if (!picture->rgb) return false;
    for (size_t i = 0; i < pixels; i++) memcpy(picture->rgb + i * 3, paper, 3);
    draw_line(picture, MARGIN, MARGIN, picture->width - 2 * MARGIN, plan->title, faint);
    for (uint32_t row = 0; row < grid.count; row++) draw_cell(plan, &grid, row, picture);
    return true;
}
