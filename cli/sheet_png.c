/* sheet_png.c - writes a picture as PNG, by libpng.
 *
 * What:    8-bit RGB, no interlace.
 * Why so:  libpng's errors jump: everything that must survive the jump is in one struct, in a file of its own.
 * Threads: any. */
#include "cli/sheet_png.h"

#include <assert.h>
#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <string.h>

typedef struct png_job {
    FILE *out;
    char *reason;
    size_t capacity;
} png_job;

static void on_error(png_structp png, png_const_charp message)
{
    png_job *job = png_get_error_ptr(png);
    if (ferror(job->out) && errno) message = strerror(errno);
    snprintf(job->reason, job->capacity, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void write_all(png_structp png, png_infop info, const cli_picture *picture)
{
    png_set_IHDR(png, info, picture->width, picture->height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (uint32_t y = 0; y < picture->height; y++) png_write_row(png, picture->rgb + (size_t)y * picture->width * 3);
    png_write_end(png, info);
}

bool cli_write_png(FILE *out, const cli_picture *picture, char *reason, size_t capacity)
{
    assert(out && picture->rgb && capacity > 0);
    png_job job = {out, reason, capacity};
    snprintf(reason, capacity, "no memory");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &job, on_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info || setjmp(png_jmpbuf(png))) {
        png_destroy_write_struct(&png, &info);
        return false;
    }
    png_init_io(png, out);
    write_all(png, info, picture);
    png_destroy_write_struct(&png, &info);
    return true;
}
