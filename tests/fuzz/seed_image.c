/* seed_image.c - writes the seeds of fuzz_image to the folder named on the command line: a small file of each form. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/pictures.h"

static void save(const char *folder, const char *kind, unsigned number, picture of)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s-%03u", folder, kind, number);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(of.data, 1, of.size, file) != of.size || fclose(file) != 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    free(of.data);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: seed_image FOLDER\n");
        return EXIT_FAILURE;
    }
    unsigned number = 0;
    for (unsigned colours = STORED_GREY; colours <= STORED_TWO; colours++) {
        for (unsigned scans = SCANS_ONE; scans <= SCANS_MANY; scans++) {
            for (unsigned coding = 0; coding < 2; coding++) {
                jpeg_form form = {.width = 17, .height = 13, .colours = colours, .quality = 50, .scans = scans};
                form.h = 1 + number % 2, form.v = 1 + number / 2 % 2, form.restart_rows = number % 3;
                form.arithmetic = coding, form.optimized = !coding;
                if (colours == STORED_TWO && scans != SCANS_ONE) continue;
                picture jpeg = picture_jpeg(&form);
                if (number % 4 == 1) picture_orient_jpeg(&jpeg, 1 + number % 8, coding);
                save(argv[1], "jpeg", number++, jpeg);
            }
        }
    }
    static const int types[][2] = {{0, 1}, {0, 2}, {0, 4}, {0, 8}, {0, 16}, {2, 8}, {2, 16}, {3, 1},
                                   {3, 2}, {3, 4}, {3, 8}, {4, 8}, {4, 16}, {6, 8}, {6, 16}};
    for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++) {
        for (unsigned bits = 0; bits < 4; bits++) {
            bool has_alpha = types[i][0] & 4;
            if (has_alpha && bits & 2) continue;
            picture png = picture_png(&(png_form){11, 9, types[i][0], types[i][1], bits & 1, bits & 2, 0});
            if (i % 4 == 1) picture_orient_png(&png, 1 + i % 8, bits & 1);
            save(argv[1], "png", number++, png);
        }
    }
    return EXIT_SUCCESS;
}
