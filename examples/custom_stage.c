/* custom_stage.c - a function of your own on every decoded sample, in leat's pool: cutout and a change of brightness.
 *
 *     custom_stage examples/data/photos
 *
 * It draws from leat_row_random, so every run with the same seed sees the same squares: the program runs twice and
 * compares. (Cutout: DeVries and Taylor, "Improved regularization of convolutional neural networks", 2017.) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <leat/leat.h>

enum { SIDE = 96, HOLE = 32, CUTOUT = 1, BRIGHTNESS = 2 }; /* the operations' numbers: each has a sequence of its own */

struct settings {
    int brightness; /* at most so much more or less, of 255 */
};

static int augment(void *user, leat_row *row, char *reason, size_t reason_bytes)
{
    const struct settings *settings = user;
    size_t bytes;
    uint8_t *pixels = leat_row_data(row, "image", &bytes);
    if (!pixels || bytes != SIDE * SIDE * 3) {
        snprintf(reason, reason_bytes, "an image of %zu bytes, not %d", bytes, SIDE * SIDE * 3);
        return 1; /* refused: config.on_error says what becomes of it */
    }
    uint64_t range = 2 * (uint64_t)settings->brightness + 1;
    int more = (int)(leat_row_random(row, BRIGHTNESS, 0) % range) - settings->brightness;
    for (size_t i = 0; i < bytes; i++) {
        int value = pixels[i] + more;
        pixels[i] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
    size_t x = leat_row_random(row, CUTOUT, 0) % (SIDE - HOLE + 1);
    size_t y = leat_row_random(row, CUTOUT, 1) % (SIDE - HOLE + 1);
    for (size_t i = y; i < y + HOLE; i++) memset(pixels + (i * SIDE + x) * 3, 0, HOLE * 3);
    return 0;
}

/* Runs an epoch and writes its digest. */
static leat_code run(const leat_config *config, char hex[65], leat_error *error)
{
    leat_loader *loader;
    leat_batch *batch;
    leat_digest *digest = leat_digest_new();
    leat_code code = leat_open(config, &loader, error);
    while (code == LEAT_OK && (code = leat_next(loader, &batch, error)) == LEAT_OK) {
        if (digest) leat_digest_add(digest, batch);
        leat_release(batch);
    }
    if (digest) leat_digest_hex(digest, hex);
    leat_digest_free(digest);
    leat_close(loader);
    return code == LEAT_END ? LEAT_OK : code;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: custom_stage SOURCE\n");
        return EXIT_FAILURE;
    }
    struct settings settings = {.brightness = 40};
    leat_config config = LEAT_CONFIG_INIT;
    config.source = argv[1];
    config.batch_size = 32;
    config.epochs = 1;
    config.seed = 7;
    config.image = (leat_image){.height = SIDE, .crop = LEAT_CROP_RANDOM_RESIZED, .flip = true};
    config.map = augment;
    config.map_user = &settings;

    char first[65] = "", second[65] = "";
    leat_error error;
    if (run(&config, first, &error) || run(&config, second, &error)) {
        fprintf(stderr, "custom_stage: %s\n", error.message);
        return EXIT_FAILURE;
    }
    printf("%s\n%s\n%s\n", first, second, strcmp(first, second) == 0 ? "the same" : "not the same");
    return strcmp(first, second) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
