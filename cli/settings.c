/* settings.c - options that several commands share.
 *
 * What:    the rows that fill a leat_config, and the checks that need two of them.
 * Why so:  bench, show and ls read the same sources; a row that is written once reads the same everywhere.
 * Threads: the main thread.
 * Not here: what only the library can judge (whether memory_limit holds a batch): leat_open says that. */
#include "cli/settings.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_CONNECT_S = 10 };

/* "224x192" or "224" */
static bool parse_image(void *target, const char *text)
{
    leat_image *image = target;
    char height[12];
    uint64_t rows, columns;
    size_t length = strcspn(text, "x");
    if (length == 0 || length >= sizeof height) return false;
    snprintf(height, sizeof height, "%.*s", (int)length, text);
    if (!cli_read_number(height, &rows)) return false;
    columns = rows;
    if (text[length] && !cli_read_number(text + length + 1, &columns)) return false;
    if (rows < 1 || rows > 16384 || columns < 1 || columns > 16384) return false;
    image->height = (uint32_t)rows;
    image->width = (uint32_t)columns;
    return true;
}

/* "0.485,0.456,0.406" */
static bool parse_three(float values[3], const char *text)
{
    for (int i = 0; i < 3; i++) {
        char *end;
        values[i] = strtof(text, &end);
        if (end == text || *end != (i < 2 ? ',' : '\0') || !isfinite(values[i])) return false;
        text = end + 1;
    }
    return true;
}

static bool parse_mean(void *target, const char *text)
{
    cli_settings *settings = target;
    settings->mean_given = true;
    return parse_three(settings->config.image.mean, text);
}

static bool parse_std(void *target, const char *text)
{
    cli_settings *settings = target;
    float *std = settings->config.image.std;
    settings->std_given = true;
    return parse_three(std, text) && std[0] > 0 && std[1] > 0 && std[2] > 0;
}

static bool parse_window(void *target, const char *text)
{
    cli_settings *settings = target;
    uint64_t window;
    if (!cli_read_number(text, &window) || window > 1 << 24) return false;
    settings->sequential = window == 0;
    settings->config.shuffle_window = (uint32_t)window;
    return true;
}

static bool parse_max_errors(void *target, const char *text)
{
    cli_settings *settings = target;
    uint64_t count = LEAT_UNLIMITED;
    if (strcmp(text, "unlimited") != 0 && !cli_read_number(text, &count)) return false;
    settings->none_may_fail = count == 0;
    settings->config.max_errors = count;
    return true;
}

static const cli_choice crops[] = {{"none", LEAT_CROP_NONE}, {"center", LEAT_CROP_CENTER},
                                   {"random-resized", LEAT_CROP_RANDOM_RESIZED}, {NULL, 0}};
static const cli_choice resamples[] = {{"bilinear", LEAT_RESAMPLE_BILINEAR}, {"bicubic", LEAT_RESAMPLE_BICUBIC}, {NULL, 0}};
static const cli_choice decodes[] = {{"crop", LEAT_DECODE_CROP}, {"whole", LEAT_DECODE_WHOLE}, {NULL, 0}};
static const cli_choice dtypes[] = {{"u8", LEAT_UINT8}, {"f16", LEAT_FLOAT16}, {"f32", LEAT_FLOAT32}, {NULL, 0}};
static const cli_choice layouts[] = {{"hwc", LEAT_HWC}, {"chw", LEAT_CHW}, {NULL, 0}};
static const cli_choice orders[] = {{"shuffled", LEAT_ORDER_SHUFFLED}, {"sequential", LEAT_ORDER_SEQUENTIAL},
                                    {NULL, 0}};
static const cli_choice on_errors[] = {{"stop", LEAT_ON_ERROR_STOP}, {"skip", LEAT_ON_ERROR_SKIP},
                                       {"substitute", LEAT_ON_ERROR_SUBSTITUTE}, {NULL, 0}};
_Static_assert(sizeof(leat_crop) == sizeof(int) && sizeof(leat_dtype) == sizeof(int), "choices are stored as int");
_Static_assert(sizeof(leat_resample) == sizeof(int) && sizeof(leat_decode) == sizeof(int), "choices are stored as int");

static const cli_option image_options[] = {
    {.name = "image", .value = "HxW", .kind = CLI_CUSTOM, .offset = CLI_AT(config.image), .parse = parse_image,
     .what = "rows and columns from 1 to 16384, such as 224x224",
     .help = "size of the images in the batch, px (default 224x224)"},
    {.name = "crop", .value = "MODE", .kind = CLI_CHOICE, .offset = CLI_AT(config.image.crop), .choices = crops,
     .help = "none: resize the whole image; center: shorter side, then the middle; random-resized: torchvision's "
             "RandomResizedCrop (default none)"},
    {.name = "resize-shorter", .value = "N", .kind = CLI_U32, .offset = CLI_AT(config.image.resize_shorter), .low = 1,
     .high = 65535,
     .what = "a length in pixels",
     .help = "--crop center: length of the shorter side before the cut (default 256/224 of --image's longer side)"},
    {.name = "resample", .value = "FILTER", .kind = CLI_CHOICE, .offset = CLI_AT(config.image.resample),
     .choices = resamples, .help = "bilinear or bicubic, antialiased (default bilinear)"},
    {.name = "decode", .value = "HOW", .kind = CLI_CHOICE, .offset = CLI_AT(config.image.decode), .choices = decodes,
     .help = "crop: only what the crop needs, JPEG at 1/2, 1/4 or 1/8 where that is enough; whole: all of each file at "
             "full size (default crop)"},
    {.name = "flip", .kind = CLI_FLAG, .offset = CLI_AT(config.image.flip),
     .help = "mirror left to right with probability 1/2"},
    {.name = "orient", .kind = CLI_FLAG, .offset = CLI_AT(config.image.orient),
     .help = "turn upright by the EXIF orientation first"},
    {.name = "alpha", .kind = CLI_FLAG, .offset = CLI_AT(config.image.alpha), .help = "keep alpha as a fourth channel"},
    {.name = "dtype", .value = "TYPE", .kind = CLI_CHOICE, .offset = CLI_AT(config.image.dtype), .choices = dtypes,
     .help = "u8, f16 or f32 (default u8)"},
    {.name = "layout", .value = "LAYOUT", .kind = CLI_CHOICE, .offset = CLI_AT(config.image.layout), .choices = layouts,
     .help = "hwc or chw (default: hwc for u8, chw for floats)"},
    {.name = "mean", .value = "r,g,b", .kind = CLI_CUSTOM, .parse = parse_mean,
     .what = "three numbers, such as 0.485,0.456,0.406",
     .help = "floats: subtracted from value / 255 (default 0,0,0)"},
    {.name = "std", .value = "r,g,b", .kind = CLI_CUSTOM, .parse = parse_std,
     .what = "three numbers over 0, such as 0.229,0.224,0.225", .help = "floats: then divided by this (default 1,1,1)"},
};
const cli_group cli_image_group = CLI_GROUP("Images", image_options);

static const cli_option order_options[] = {
    {.name = "order", .value = "ORDER", .kind = CLI_CHOICE, .offset = CLI_AT(config.order), .choices = orders,
     .help = "shuffled or sequential (default shuffled)"},
    {.name = "shuffle-window", .value = "N", .kind = CLI_CUSTOM, .parse = parse_window,
     .what = "a number of samples from 0 to 16777216",
     .help = "samples of a lane that are shuffled together; 1: only shards and lanes are; 0: the same as --order "
             "sequential (default 32)"},
    {.name = "lanes", .value = "N", .kind = CLI_U32, .offset = CLI_AT(config.lanes), .low = 1, .high = 256,
     .what = "a number of lanes",
     .help = "shards read side by side (default 16, at most the number of shards)"},
    {.name = "seed", .value = "N", .kind = CLI_U64, .offset = CLI_AT(config.seed), .high = UINT64_MAX,
     .what = "a whole number",
     .help = "of order and augmentation: the same seed gives the same batches (default 0)"},
    {.name = "epoch", .value = "N", .kind = CLI_U64, .offset = CLI_AT(config.epoch), .high = UINT64_MAX,
     .what = "a whole number",
     .help = "number of the first epoch (default 0)"},
};
const cli_group cli_order_group = CLI_GROUP("Order", order_options);

static const cli_option failure_options[] = {
    {.name = "on-error", .value = "WHAT", .kind = CLI_CHOICE, .offset = CLI_AT(config.on_error), .choices = on_errors,
     .help = "stop, skip (the batch has fewer rows) or substitute (a neighbour takes the row) (default skip)"},
    {.name = "max-errors", .value = "N", .kind = CLI_CUSTOM, .parse = parse_max_errors,
     .what = "a number of failures, or unlimited",
     .help = "failures after which the run ends; 0: the first one; or unlimited (default 100)"},
};
const cli_group cli_failure_group = CLI_GROUP("Failures", failure_options);

static const cli_option resource_options[] = {
    {.name = "memory", .value = "BYTES", .kind = CLI_SIZE, .offset = CLI_AT(config.memory_limit),
     .low = (uint64_t)32 << 20,
     .high = (uint64_t)1 << 46, .what = "a size such as 512M",
     .help = "limit for everything in flight; K, M, G (default 1G)"},
    {.name = "threads", .value = "N", .kind = CLI_U32, .offset = CLI_AT(config.threads), .low = 1, .high = 1024,
     .what = "a number of threads", .help = "that decode (default: one for each CPU)"},
    {.name = "io-threads", .value = "N", .kind = CLI_U32, .offset = CLI_AT(config.io_threads), .low = 1, .high = 256,
     .what = "a number of threads", .help = "that wait for disks (default: one for each CPU, 2 to 4)"},
};
const cli_group cli_resource_group = CLI_GROUP("Means", resource_options);

static const cli_option network_options[] = {
    {.name = "connections", .value = "N", .kind = CLI_U32, .offset = CLI_AT(config.connections), .low = 1, .high = 1024,
     .what = "a number of connections", .help = "transfers at a time (default 32)"},
    {.name = "ca", .value = "FILE", .kind = CLI_TEXT, .offset = CLI_AT(config.ca_file), .what = "a PEM file",
     .help = "certificate authorities to trust (default: the system's)"},
    {.name = "header", .value = "H", .kind = CLI_TEXTS, .offset = CLI_AT(headers),
     .what = "\"Name: value\", at most 32 times",
     .help = "request header for the source's own hosts; may be repeated"},
    {.name = "timeout", .value = "S", .kind = CLI_U32, .offset = CLI_AT(timeout_s), .low = 1, .high = 86400,
     .what = "a number of seconds", .help = "a transfer that stalls for so long is cut and tried again (default 30)"},
    {.name = "cache", .value = "DIR", .kind = CLI_TEXT, .offset = CLI_AT(config.cache), .what = "a directory",
     .help = "keep shards in it while they stream, and read them from there the next time; leat cache looks after it (default: "
             "none)"},
    {.name = "cache-limit", .value = "BYTES", .kind = CLI_SIZE, .offset = CLI_AT(config.cache_limit), .low = 1,
     .high = (uint64_t)1 << 50, .what = "a size such as 500G",
     .help = "of all in it: the least recently used go first; K, M, G (default: 90% of what the disk has free for it)"},
};
const cli_group cli_network_group = CLI_GROUP("Network", network_options);

/* RFC 9110: a token, a colon, and no control characters. */
static bool is_header(const char *text)
{
    size_t name = strspn(text, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    if (name == 0 || text[name] != ':') return false;
    for (; *text; text++) {
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == 127) return false;
    }
    return true;
}

int cli_check_headers(const cli_command *command, const cli_texts *headers)
{
    for (size_t i = 0; i < headers->count; i++) { /* the value may be a secret: not repeated */
        if (!is_header(headers->items[i]))
            return cli_refuse(command, "--header number %zu: give \"Name: value\" in one line", i + 1);
    }
    return CLI_GO_ON;
}

int cli_settings_finish(const cli_command *command, cli_settings *settings, const char *source)
{
    leat_config *config = &settings->config;
    assert(source && *source);
    if (settings->sequential) config->order = LEAT_ORDER_SEQUENTIAL;
    if (settings->none_may_fail) config->on_error = LEAT_ON_ERROR_STOP;
    if (config->image.dtype == LEAT_UINT8 && (settings->mean_given || settings->std_given))
        return cli_refuse(command, "--%s: u8 images are not normalized; add --dtype f32 or f16",
                          settings->mean_given ? "mean" : "std");
    if (config->image.resize_shorter > 0 && config->image.crop != LEAT_CROP_CENTER)
        return cli_refuse(command, "--resize-shorter: goes with --crop center only");
    if (config->cache_limit > 0 && !config->cache) return cli_refuse(command, "--cache-limit: goes with --cache");
    config->headers = settings->headers.items;
    config->header_count = settings->headers.count;
    config->stall_timeout_ms = settings->timeout_s * 1000;
    if (settings->timeout_s < DEFAULT_CONNECT_S) config->connect_timeout_ms = settings->timeout_s * 1000;
    int code = cli_mixing_finish(command, &settings->mixing, config, source);
    return code == CLI_GO_ON ? cli_check_headers(command, &settings->headers) : code;
}
