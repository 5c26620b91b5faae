/* show.c - leat show: a contact sheet of the first batch, as the trainer would see it.
 *
 * What:    takes one batch from a loader, undoes the normalization, writes a PNG with label, class name and key of
 *          each row.
 * Why so:  the loader is the trainer's own, with the same options as bench: what is wrong with crops, colours or labels
 *          shows here before it shows in a loss curve.
 * Threads: the main thread; the loader has its own.
 * Not here: drawing (sheet.c), PNG (sheet_png.c). */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <leat/leat.h>

#include "cli/classes.h"
#include "cli/commands.h"
#include "cli/run.h"
#include "cli/settings.h"
#include "cli/sheet.h"
#include "cli/sheet_png.h"
#include "cli/wholefile.h"

#define COMMAND "show"
enum { DEFAULT_COUNT = 16, POLL_MS = 100, FAILURES = 20 };

/* The label of a row as an integer; false if the batch has none. */
static bool label_of(const leat_batch *batch, size_t row, int64_t *label)
{
    const leat_tensor *labels = leat_batch_tensor(batch, "label");
    if (!labels || labels->dtype != LEAT_INT64 || labels->ndim != 1) return false;
    assert(row < (size_t)labels->shape[0]);
    *label = ((const int64_t *)labels->data)[row];
    return *label >= 0; /* -1: the sample has none */
}

static void write_caption(const leat_batch *batch, size_t row, const cli_classes *classes, cli_caption *caption)
{
    int64_t label;
    *caption = (cli_caption){0};
    snprintf(caption->key, sizeof caption->key, "%s", leat_batch_key(batch, row));
    if (label_of(batch, row, &label)) {
        const char *name = cli_classes_name(classes, label);
        snprintf(caption->label, sizeof caption->label, "%" PRId64 "%s%s", label, name ? " " : "", name ? name : "");
    }
    if (leat_batch_substituted(batch, row)) {
        size_t used = strlen(caption->label);
        snprintf(caption->label + used, sizeof caption->label - used, " (substituted)");
    }
}

static void write_title(char *title, size_t capacity, const cli_settings *settings, const leat_config *chosen,
                        size_t rows)
{
    static const char *const crops[] = {"", " center crop", " random-resized crop"};
    const leat_image *image = &chosen->image;
    snprintf(title, capacity, "%s: %zu images %ux%u%s%s %s, seed %" PRIu64 " epoch %" PRIu64, settings->config.source,
             rows,
             image->height, image->width, crops[image->crop], image->flip ? " flip" : "", leat_dtype_name(image->dtype),
             chosen->seed, chosen->epoch);
}

/* Writes the PNG to `output`, "-" for stdout. */
static int write_sheet(const char *output, const cli_picture *picture)
{
    char text[128];
    const char *reason = text;
    cli_whole_file file;
    if (strcmp(output, "-") == 0) {
        /* cli_finish speaks of a broken stdout */
        if (cli_write_png(stdout, picture, text, sizeof text) || cli_output_broken()) return CLI_OK;
        return cli_whole_file_refuse(COMMAND, output, reason);
    }
    if (!cli_whole_file_begin(&file, output, &reason)) return cli_whole_file_refuse(COMMAND, output, reason);
    bool fine = cli_write_png(file.out, picture, text, sizeof text);
    if (cli_whole_file_end(&file, fine, &reason)) return CLI_OK;
    return cli_whole_file_refuse(COMMAND, output, reason);
}

static int draw(const cli_settings *settings, const leat_config *chosen, const leat_batch *batch,
                const cli_caption *captions)
{
    char title[512];
    cli_picture picture = {0};
    size_t rows = leat_batch_rows(batch);
    write_title(title, sizeof title, settings, chosen, rows);
    cli_sheet_plan plan = {.images = leat_batch_tensor(batch, "image"), .mean = chosen->image.mean,
                           .std = chosen->image.std,
                           .captions = captions, .title = title};
    assert(plan.images && (size_t)plan.images->shape[0] == rows);
    if (!cli_sheet_size(&plan, &picture.width, &picture.height)) {
        fputs("leat " COMMAND ": the sheet would have over 200 million pixels: show fewer (--count) or smaller "
                              "(--image)\n", stderr);
        return CLI_CONFIG;
    }
    if (!cli_sheet_draw(&plan, &picture)) {
        fputs("leat " COMMAND ": no memory for the sheet\n", stderr);
        return CLI_FAILED;
    }
    int code = write_sheet(settings->output, &picture);
    if (code == CLI_OK && strcmp(settings->output, "-") != 0 && isatty(STDERR_FILENO))
        fprintf(stderr, "leat " COMMAND ": %zu images, %ux%u px: %s\n", rows, picture.width, picture.height,
                settings->output);
    free(picture.rgb);
    return code;
}

static int show_batch(const cli_settings *settings, const leat_config *chosen, const leat_batch *batch)
{
    cli_classes classes = {0};
    int64_t label;
    size_t rows = leat_batch_rows(batch);
    if (rows == 0) return CLI_FAILED; /* the failures say why */
    if (settings->classes_file && !cli_classes_read(&classes, settings->classes_file)) {
        fprintf(stderr, "leat " COMMAND ": --classes %s: %s\n", settings->classes_file, strerror(errno));
        return CLI_NO_SOURCE;
    }
    bool labelled = false;
    for (size_t row = 0; row < rows && !labelled; row++) labelled = label_of(batch, row, &label);
    if (labelled && !settings->classes_file)
        cli_classes_find(&classes, settings->config.source, leat_batch_shard(batch, 0));
    cli_caption *captions = calloc(rows, sizeof *captions);
    for (size_t row = 0; captions && row < rows; row++) write_caption(batch, row, &classes, &captions[row]);
    int code = captions ? draw(settings, chosen, batch, captions) : CLI_FAILED;
    free(captions);
    cli_classes_free(&classes);
    return code;
}

/* Waits for the first batch, a failure or a signal. */
static int take_and_show(const cli_settings *settings, leat_loader *loader)
{
    leat_batch *batch = NULL;
    leat_error error, *failures = calloc(FAILURES, sizeof *failures);
    leat_config chosen;
    leat_code code = LEAT_AGAIN;
    int result = CLI_FAILED;
    while (code == LEAT_AGAIN && !cli_signal()) code = leat_next_timeout(loader, POLL_MS, &batch, &error);
    leat_chosen(loader, &chosen);
    if (code == LEAT_OK) result = show_batch(settings, &chosen, batch);
    uint64_t count = failures ? leat_errors(loader, failures, FAILURES) : 0;
    cli_print_failures(COMMAND, failures, count, FAILURES);
    if (code != LEAT_OK && code != LEAT_AGAIN && code != LEAT_END) result = cli_fail(COMMAND, &error, false);
    bool nothing = code == LEAT_END || (code == LEAT_OK && leat_batch_rows(batch) == 0);
    if (nothing) fputs("leat " COMMAND ": no sample could be shown\n", stderr);
    if (nothing && count > 0 && cli_code_of(&failures[0], true) == CLI_NO_SOURCE) result = CLI_NO_SOURCE;
    leat_release(batch);
    free(failures);
    return result;
}

static int run(const cli_command *command, int argc, char **argv)
{
    cli_settings settings = {.config = LEAT_CONFIG_INIT, .count = DEFAULT_COUNT};
    const char *source;
    leat_loader *loader;
    leat_error error;
    int code = cli_parse(command, argc, argv, &settings, &source);
    if (code == CLI_GO_ON) code = cli_settings_finish(command, &settings, source);
    if (code != CLI_GO_ON) return code;
    if (!settings.output)
        return cli_refuse(command, "no -o: give the PNG to write, as in -o sheet.png, or - for stdout");
    settings.config.batch_size = settings.count;
    settings.config.limit = settings.count;
    settings.config.epochs = 1;
    settings.config.world = 1; /* whatever started this process */
    if (leat_open(&settings.config, &loader, &error)) return cli_fail(COMMAND, &error, true);
    code = take_and_show(&settings, loader);
    leat_close(loader);
    return code;
}

static const cli_option sheet_options[] = {
    {.name = "output", .letter = 'o', .value = "FILE", .kind = CLI_TEXT, .offset = CLI_AT(output),
     .what = "the PNG to write",
     .help = "the PNG to write; - is stdout (needed)"},
    {.name = "count", .value = "N", .kind = CLI_U32, .offset = CLI_AT(count), .low = 1, .high = 256,
     .what = "a number of images",
     .help = "images on the sheet (default 16)"},
    {.name = "classes", .value = "FILE", .kind = CLI_TEXT, .offset = CLI_AT(classes_file),
     .what = "a file of class names, one a line",
     .help = "names for the labels, one a line (default: the class folders, or classes.txt beside the shard)"},
};
static const cli_group sheet_group = CLI_GROUP("Sheet", sheet_options);
static const cli_group *const groups[] = {&sheet_group, &cli_image_group, &cli_order_group, &cli_failure_group,
                                          &cli_resource_group, &cli_network_group};

const cli_command cli_show = {
    .name = COMMAND,
    .summary = "a contact sheet of the first batch, with its labels, as the trainer would see it",
    .argument = "SOURCE",
    .argument_what = "a folder, a shard, a pattern, a URL or @list.txt",
    .about = "Writes the first batch as one PNG: each image as it comes out of the loader, with the normalization "
             "undone, and\n"
             "below it its label, class name and key. The options are those of leat bench.",
    .example = "leat show photos -o sheet.png --crop random-resized --flip",
    .groups = groups,
    .group_count = sizeof groups / sizeof groups[0],
    .run = run,
};
