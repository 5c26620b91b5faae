/* pillow_driver.c - runs leat's transform for pillow_compare.py: a job a line on stdin, the row's bytes on stdout.
 *
 * A line: FILE out_height out_width dtype layout alpha orient flip bicubic x y width height [mean r g b, std r g b]
 * width 0: the whole image. The file is decoded whole, as Pillow does. The view is the line's, so this program brings
 * its own leat__view_choose and must be linked with the sources of transform.c, resize, pixels, the image readers and
 * failure.c, but without view.c. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "stages/transform.h"

static leat__view asked;

void leat__view_choose(const leat_image *image, uint32_t width, uint32_t height, const leat__random_key *key,
                       leat__view *view)
{
    (void)image;
    (void)key;
    *view = asked;
    if (asked.width == 0) *view = (leat__view){.width = width, .height = height, .flip = asked.flip};
}

static uint8_t *read_file(const char *path, size_t *size)
{
    struct stat info;
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    uint8_t *data = fstat(fileno(file), &info) == 0 ? malloc((size_t)info.st_size) : NULL;
    *size = data ? fread(data, 1, (size_t)info.st_size, file) : 0;
    fclose(file);
    return data;
}

static int run(leat__image_reader *reader, const leat_image *image, const char *path)
{
    const leat__image_limits limits = {.max_pixels = 100000000, .max_codec_bytes = 1 << 30};
    const leat__random_key key = {0};
    const size_t elements = (size_t)image->height * image->width * (image->alpha ? 4 : 3);
    const size_t bytes = elements * (image->dtype == LEAT_UINT8 ? 1 : image->dtype == LEAT_FLOAT16 ? 2 : 4);
    leat_error error = {0};
    size_t size;
    uint8_t *data = read_file(path, &size), *out = malloc(bytes);
    leat__transform *transform = leat__transform_new(image);
    int failed = !data || !out || !transform;
    if (!failed) {
        memset(out, 0xA5, bytes);
        failed = leat__transform_image(transform, reader, data, size, &limits, &key, out, &error) != LEAT_OK;
    }
    if (failed) fprintf(stderr, "%s: %s\n", path, error.message);
    else fwrite(out, 1, bytes, stdout);
    leat__transform_free(transform);
    free(data);
    free(out);
    return failed;
}

int main(void)
{
    char path[512], line[2048];
    int failed = 0;
    leat__image_reader *reader = leat__image_reader_new();
    assert(reader);
    while (!failed && fgets(line, sizeof(line), stdin)) {
        leat_image image = {.std = {1, 1, 1}, .decode = LEAT_DECODE_WHOLE};
        int dtype, layout, alpha, orient, flip, bicubic;
        int n = sscanf(line, "%511s %u %u %d %d %d %d %d %d %lf %lf %lf %lf %f %f %f %f %f %f", path, &image.height,
                       &image.width, &dtype, &layout, &alpha, &orient, &flip, &bicubic, &asked.x, &asked.y,
                       &asked.width, &asked.height, &image.mean[0], &image.mean[1], &image.mean[2],
                       &image.std[0], &image.std[1], &image.std[2]);
        if (n != 13 && n != 19) {
            fprintf(stderr, "malformed line: %s", line);
            failed = 1;
            break;
        }
        image.dtype = (leat_dtype)dtype;
        image.layout = (leat_layout)layout;
        image.alpha = alpha;
        image.orient = orient;
        image.resample = bicubic ? LEAT_RESAMPLE_BICUBIC : LEAT_RESAMPLE_BILINEAR;
        asked.flip = flip;
        failed = run(reader, &image, path);
        fflush(stdout);
    }
    leat__image_reader_free(reader);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
