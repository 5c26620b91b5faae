/* sheet.h - a contact sheet: the images of a batch side by side, with captions. */
#ifndef CLI_SHEET_H
#define CLI_SHEET_H

#include <stdbool.h>
#include <stddef.h>

#include <leat/batch.h>

#include "cli/font.h"

typedef struct cli_caption {
    char label[64];  /* first line: "3 sunflower"; "" if there is none */
    char key[256];   /* second line; its end is kept where it is too long */
} cli_caption;

typedef struct cli_sheet_plan {
    const leat_tensor *images;  /* uint8, float16 or float32; HWC or CHW; 3 or 4 channels */
    const float *mean, *std;    /* three each: what floats were normalized by */
    const cli_caption *captions;/* a row each */
    const char *title;          /* above all */
} cli_sheet_plan;

/* The size of the sheet; false if it would have over 200 million pixels. */
bool cli_sheet_size(const cli_sheet_plan *plan, uint32_t *width, uint32_t *height);

/* Draws it. picture->rgb: gives (free); false if memory is short. The size must be all right. */
bool cli_sheet_draw(const cli_sheet_plan *plan, cli_picture *picture);

#endif
