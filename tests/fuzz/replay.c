/* replay.c - a main for fuzz targets without libFuzzer: feeds every file named on the command line (and each file of every
 * folder named), whole, cut short, and with deterministic mutations, so that a target runs as an ordinary test.
 *
 * Environment: none. The mutations depend on the file's bytes alone; -n N sets how many of them a file gets (default 200). */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned mutations = 200;
static unsigned long inputs;

/* In memory of exactly its size, so that a sanitizer sees every read past the end. */
static void feed(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size + !size);
    if (!exact) abort();
    if (size) memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    inputs++;
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u; /* SplitMix64 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* One to four edits: a bit, a byte, a run set to an edge value, a run copied elsewhere, a cut. Returns the new size. */
static size_t mutate(uint8_t *data, size_t size, uint64_t *state)
{
    static const uint8_t edges[] = {0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff, 0x20, 0x2f};
    for (uint64_t edits = 1 + next_random(state) % 4; edits > 0 && size > 0; edits--) {
        uint64_t what = next_random(state), r = next_random(state);
        size_t at = (size_t)(r % size), from = (size_t)((r >> 20) % size);
        size_t run = 1 + (size_t)(what >> 32) % 8;
        if (run > size - at) run = size - at;
        if (run > size - from) run = size - from;
        switch (what % 6) {
        case 0: data[at] ^= (uint8_t)(1u << (what >> 8 & 7)); break;
        case 1: data[at] = (uint8_t)(what >> 8); break;
        case 2: memset(data + at, edges[what >> 8 & 7], run); break;
        case 3: memmove(data + at, data + from, run); break;
        case 4: data[at] = (uint8_t)(data[at] + (int)(what >> 8 & 15) - 8); break;
        default: if (what >> 8 & 1) size = at; break;
        }
    }
    return size;
}

static void replay(const uint8_t *data, size_t size)
{
    feed(data, size);
    for (unsigned i = 0; i < 32; i++) feed(data, size * i / 32);
    uint64_t state = size;
    for (size_t i = 0; i < size; i++) state = (state ^ data[i]) * 0x100000001b3u; /* FNV-1a */
    uint8_t *copy = malloc(size + 1);
    if (!copy) abort();
    for (unsigned i = 0; i < mutations; i++) {
        if (size) memcpy(copy, data, size);
        size_t left = mutate(copy, size, &state);
        feed(copy, left);
    }
    free(copy);
}

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) goto fail;
    long size = ftell(file);
    uint8_t *data = size < 0 ? NULL : malloc((size_t)size + 1);
    if (!data) goto fail;
    rewind(file);
    size_t got = fread(data, 1, (size_t)size, file);
    fclose(file);
    replay(data, got);
    free(data);
    return EXIT_SUCCESS;

fail:
    perror(path);
    if (file) fclose(file);
    return EXIT_FAILURE;
}

static int replay_path(const char *path)
{
    struct stat about;
    struct dirent **names;
    if (stat(path, &about) != 0 || !S_ISDIR(about.st_mode)) return replay_file(path);
    int count = scandir(path, &names, NULL, alphasort), result = EXIT_SUCCESS;
    for (int i = 0; i < count; i++) {
        char inner[4096];
        snprintf(inner, sizeof inner, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.' && replay_path(inner) != EXIT_SUCCESS) result = EXIT_FAILURE;
        free(names[i]);
    }
    if (count >= 0) free(names);
    return count < 0 ? EXIT_FAILURE : result;
}

int main(int argc, char **argv)
{
    int result = EXIT_SUCCESS, first = 1;
    if (argc > 2 && strcmp(argv[1], "-n") == 0) {
        mutations = (unsigned)strtoul(argv[2], NULL, 10);
        first = 3;
    }
    feed((const uint8_t *)"", 0);
    for (int i = first; i < argc; i++) {
        if (replay_path(argv[i]) != EXIT_SUCCESS) result = EXIT_FAILURE;
    }
    if (first >= argc || inputs < 2) result = EXIT_FAILURE; /* nothing was fed: no test */
    printf("%lu inputs\n", inputs);
    return result;
}
