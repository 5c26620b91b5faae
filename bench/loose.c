/* loose.c - how fast the loader brings loose files that nobody decodes: what is left is fetching, ordering and batching.
 *
 * usage: bench-loose SOURCE [CONNECTIONS] [EPOCHS]     SOURCE: as leat_config.source, its files named *.bin
 *
 * Prints one JSON object: samples, seconds from leat_open to the end, per_second. Files become rows of one ragged
 * uint8 tensor; bench/fetch.py compares it with a bare libcurl loop over the same files (bench-http --bare). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <leat/leat.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static leat_code run(const leat_config *config, uint64_t *samples, leat_error *error)
{
    leat_loader *loader;
    leat_batch *batch;
    uint64_t ended = 0;
    leat_code code = leat_open(config, &loader, error);
    while (code == LEAT_OK && ended < config->epochs) {
        if ((code = leat_next(loader, &batch, error)) == LEAT_OK) {
            *samples += leat_batch_rows(batch);
            leat_release(batch);
        } else if (code == LEAT_END) {
            ended++;
            code = LEAT_OK;
        }
    }
    leat_close(loader);
    return code;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: bench-loose SOURCE [CONNECTIONS] [EPOCHS]\n");
        return 2;
    }
    const leat_field field = {.tensor = "data", .names = "bin", .kind = LEAT_FIELD_BYTES};
    leat_config config = LEAT_CONFIG_INIT;
    config.source = argv[1];
    config.fields = &field;
    config.field_count = 1;
    config.batch_size = 64;
    config.connections = argc > 2 ? (uint32_t)atoi(argv[2]) : 0;
    config.epochs = argc > 3 ? (uint64_t)atoll(argv[3]) : 1;
    config.on_error = LEAT_ON_ERROR_STOP;
    uint64_t samples = 0;
    leat_error error;
    double begin = now();
    if (run(&config, &samples, &error)) {
        fprintf(stderr, "bench-loose: %s\n", error.message);
        return 1;
    }
    double seconds = now() - begin;
    printf("{\"samples\":%llu,\"seconds\":%.6f,\"per_second\":%.1f}\n", (unsigned long long)samples, seconds,
           (double)samples / seconds);
    return 0;
}
