/* jpegcodes.c - JPEG's entropy coding alone: stages/huffman.c in libjpeg's place against libjpeg's own decoder.
 *
 *     bench-jpegcodes [--json]
 *
 * Photographs of DIR/jpeg/folder (bench/data makes them), DIR being LEAT_BENCH_DATA or /var/tmp/leat-bench3. "codes": all
 * rows but the last are stepped over, so that little is left but codes; "whole": all rows as RGB. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/timing.h"
#include "stages/huffman.h"

enum { IMAGES = 32, ROW_MOST = 4096 * 3 };

static const double seconds = 0.1;

typedef struct set {
    unsigned char *data[IMAGES];
    size_t size[IMAGES];
    unsigned count;
    leat__huffman *huffman;
    bool skip;
} set;

static void on_odd(void *user)
{
    (void)user;
    fputs("bench-jpegcodes: a photograph is odd\n", stderr);
    exit(1);
}

static void on_poll(void *user)
{
    (void)user;
}

static void decode(const set *s, unsigned i, leat__huffman *huffman)
{
    static unsigned char row[ROW_MOST];
    struct jpeg_decompress_struct codec;
    struct jpeg_error_mgr messages;
    codec.err = jpeg_std_error(&messages);
    jpeg_create_decompress(&codec);
    jpeg_mem_src(&codec, s->data[i], s->size[i]);
    jpeg_read_header(&codec, TRUE);
    jpeg_start_decompress(&codec);
    const leat__huffman_hooks hooks = {.odd = on_odd, .poll = on_poll};
    if (codec.output_width * 3 > ROW_MOST ||
        (huffman && !leat__huffman_attach(huffman, &codec, s->data[i] + s->size[i], &hooks)))
        on_odd(NULL);
    if (s->skip) jpeg_skip_scanlines(&codec, codec.output_height - 1);
    for (JSAMPROW rows = row; codec.output_scanline < codec.output_height;) jpeg_read_scanlines(&codec, &rows, 1);
    jpeg_finish_decompress(&codec);
    jpeg_destroy_decompress(&codec);
}

static void ours(void *user)
{
    const set *s = user;
    for (unsigned i = 0; i < s->count; i++) decode(s, i, s->huffman);
}

static void theirs(void *user)
{
    const set *s = user;
    for (unsigned i = 0; i < s->count; i++) decode(s, i, NULL);
}

static void load(set *s)
{
    const char *root = getenv("LEAT_BENCH_DATA");
    char pattern[4096];
    snprintf(pattern, sizeof pattern, "%s/jpeg/folder/*/*.jpg", root ? root : "/var/tmp/leat-bench3");
    glob_t found = {0};
    glob(pattern, 0, NULL, &found);
    const size_t step = found.gl_pathc / IMAGES ? found.gl_pathc / IMAGES : 1;
    for (size_t i = 0; i < found.gl_pathc && s->count < IMAGES; i += step, s->count++)
        s->data[s->count] = bench_read_file(found.gl_pathv[i], &s->size[s->count]);
    globfree(&found);
}

int main(int argc, char **argv)
{
    bool json;
    if (!bench_arguments(argc, argv, &json)) {
        fputs("usage: bench-jpegcodes [--json]\n", stderr);
        return 2;
    }
    static set s;
    load(&s);
    s.huffman = leat__huffman_new();
    if (!s.count || !s.huffman) {
        fputs("bench-jpegcodes: no photographs: make the data with bench/data\n", stderr);
        return 1;
    }
    for (int i = 0; i < 2; i++) {
        s.skip = i == 0;
        bench_result result = bench_compare(ours, theirs, &s, seconds);
        bench_print(json, i == 0 ? "jpeg-codes" : "jpeg-codes-and-pixels", &result, s.count, "images");
    }
    leat__huffman_free(s.huffman);
    for (unsigned i = 0; i < s.count; i++) free(s.data[i]);
    return 0;
}
