/* bench_json.c - the figures of a run, for programs.
 *
 * What:    one JSON object; its keys are a contract: they may be added to, never renamed.
 * Threads: the main thread.
 * Not here: the words for people (bench_report.c). */
#include <stdio.h>
#include <string.h>

#include "cli/bench_report.h"
#include "cli/run.h"

static void put_figures(cli_json *json, const bench_figures *figures)
{
    cli_json_count(json, "samples", figures->samples);
    cli_json_count(json, "batches", figures->batches);
    cli_json_count(json, "bytes_read", figures->bytes_read);
    cli_json_real(json, "seconds", figures->seconds);
    cli_json_real(json, "samples_per_second", bench_rate(figures));
    cli_json_real(json, "steady_samples_per_second", bench_steady_rate(figures));
    cli_json_real(json, "cpu_seconds", figures->cpu_seconds);
    cli_json_count(json, "peak_rss_bytes", figures->peak_rss_bytes);
    if (figures->first_batch_seconds < 0) cli_json_null(json, "first_batch_seconds");
    else cli_json_real(json, "first_batch_seconds", figures->first_batch_seconds);
    cli_json_real(json, "consumer_wait_seconds", figures->consumer_wait_seconds);
    cli_json_count(json, "errors", figures->errors);
    cli_json_count(json, "substituted", figures->substituted);
}

static void put_stages(cli_json *json, const leat_statistics *stats)
{
    cli_json_list(json, "stages");
    for (size_t i = 0; i < stats->stage_count; i++) {
        const leat_stage_stats *stage = &stats->stages[i];
        cli_json_object(json, NULL);
        cli_json_string(json, "name", stage->name);
        cli_json_count(json, "items", stage->items);
        cli_json_real(json, "busy_seconds", (double)stage->busy_ns / 1e9);
        cli_json_real(json, "starved_seconds", (double)stage->starved_ns / 1e9);
        cli_json_real(json, "blocked_seconds", (double)stage->blocked_ns / 1e9);
        cli_json_real(json, "queue_depth_mean", stage->queue_depth_mean);
        cli_json_count(json, "queue_depth_max", stage->queue_depth_max);
        cli_json_count(json, "instances", stage->instances);
        cli_json_count(json, "concurrency", stage->concurrency);
        cli_json_count(json, "bytes", stage->bytes);
        cli_json_end(json);
    }
    cli_json_end(json);
}

static void put_three(cli_json *json, const char *key, const float values[3])
{
    cli_json_list(json, key);
    for (int i = 0; i < 3; i++) cli_json_real(json, NULL, (double)values[i]);
    cli_json_end(json);
}

static void put_image(cli_json *json, const leat_image *image)
{
    static const char *const crops[] = {"none", "center", "random-resized"};
    cli_json_object(json, "image");
    cli_json_count(json, "height", image->height);
    cli_json_count(json, "width", image->width);
    cli_json_string(json, "crop", crops[image->crop]);
    cli_json_count(json, "resize_shorter", image->resize_shorter);
    cli_json_string(json, "resample", image->resample == LEAT_RESAMPLE_BICUBIC ? "bicubic" : "bilinear");
    cli_json_string(json, "decode", image->decode == LEAT_DECODE_WHOLE ? "whole" : "crop");
    cli_json_boolean(json, "flip", image->flip);
    cli_json_boolean(json, "orient", image->orient);
    cli_json_boolean(json, "alpha", image->alpha);
    cli_json_string(json, "dtype", leat_dtype_name(image->dtype));
    cli_json_string(json, "layout", image->layout == LEAT_CHW ? "chw" : "hwc");
    put_three(json, "mean", image->mean);
    put_three(json, "std", image->std);
    cli_json_end(json);
}

static void put_config(cli_json *json, const leat_config *config)
{
    static const char *const on_errors[] = {"skip", "stop", "substitute"}, *const remainders[] = {"short", "drop", "pad"};
    cli_json_object(json, "config");
    put_image(json, &config->image);
    cli_json_count(json, "batch_size", config->batch_size);
    cli_json_boolean(json, "drop_last", config->remainder == LEAT_REMAINDER_DROP);
    cli_json_string(json, "remainder", remainders[config->remainder]);
    cli_json_string(json, "order", config->order == LEAT_ORDER_SEQUENTIAL ? "sequential" : "shuffled");
    cli_json_count(json, "seed", config->seed);
    cli_json_count(json, "epoch", config->epoch);
    cli_json_count(json, "step", config->step);
    cli_json_count(json, "epochs", config->epochs);
    cli_json_count(json, "limit", config->limit);
    cli_json_count(json, "epoch_samples", config->epoch_samples);
    cli_json_count(json, "rank", config->rank);
    cli_json_count(json, "world", config->world);
    cli_json_count(json, "lanes", config->lanes);
    cli_json_count(json, "shuffle_window", config->shuffle_window);
    cli_json_string(json, "on_error", on_errors[config->on_error]);
    if (config->max_errors == LEAT_UNLIMITED) cli_json_null(json, "max_errors");
    else cli_json_count(json, "max_errors", config->max_errors);
    cli_json_count(json, "memory_limit", config->memory_limit);
    cli_json_count(json, "threads", config->threads);
    cli_json_count(json, "io_threads", config->io_threads);
    cli_json_count(json, "connections", config->connections);
    cli_json_count(json, "prefetch", config->prefetch);
    cli_json_count(json, "stall_timeout_ms", config->stall_timeout_ms);
    cli_json_end(json);
}

static void put_ranks(cli_json *json, const leat_statistics *stats)
{
    cli_json_count(json, "rank", stats->rank);
    cli_json_count(json, "world", stats->world);
    cli_json_string(json, "launcher", stats->launcher);
    cli_json_boolean(json, "indexed", stats->indexed);
    if (stats->steps) cli_json_count(json, "steps", stats->steps);
    else cli_json_null(json, "steps");
    cli_json_count(json, "dropped", stats->dropped);
    cli_json_count(json, "padded", stats->padded);
    cli_json_list(json, "sources");
    for (size_t i = 0; i < stats->source_count; i++) {
        const leat_source_stats *source = &stats->sources[i];
        cli_json_object(json, NULL);
        cli_json_string(json, "name", source->name);
        cli_json_real(json, "weight", source->weight);
        cli_json_count(json, "samples", source->samples);
        cli_json_end(json);
    }
    cli_json_end(json);
}

static void put_epochs(cli_json *json, const bench_report *report)
{
    cli_json_list(json, "epochs");
    for (size_t i = 0; i < report->epoch_count; i++) {
        cli_json_object(json, NULL);
        cli_json_count(json, "epoch", report->epochs[i].number);
        put_figures(json, &report->epochs[i]);
        cli_json_end(json);
    }
    cli_json_end(json);
}

static void put_ideal(cli_json *json, const bench_report *report)
{
    if (!report->ideal_measured) return;
    double ideal = report->ideal.samples_per_second;
    cli_json_real(json, "ideal_samples_per_second", ideal);
    if (ideal > 0) cli_json_real(json, "of_ideal", bench_rate(&report->total) / ideal);
    else cli_json_null(json, "of_ideal");
    cli_json_count(json, "ideal_distinct_samples", report->ideal.distinct);
}

void bench_print_json(const bench_report *report)
{
    char verdict[256];
    cli_json json;
    bench_verdict(report, verdict, sizeof verdict);
    cli_json_begin(&json, stdout);
    cli_json_object(&json, NULL);
    put_figures(&json, &report->total);
    put_epochs(&json, report);
    put_stages(&json, &report->stats);
    if (report->sha256[0]) cli_json_string(&json, "sha256", report->sha256);
    put_ideal(&json, report);
    cli_json_failures(&json, "failures", report->failures, report->failure_count, BENCH_FAILURES);
    if (report->fatal.code) cli_json_string(&json, "error", report->fatal.message);
    cli_json_boolean(&json, "interrupted", cli_signal() != 0);
    cli_json_count(&json, "memory_peak_bytes", report->stats.memory_peak);
    cli_json_count(&json, "memory_limit_bytes", report->stats.memory_limit);
    cli_json_count(&json, "retries", report->stats.retries);
    cli_json_count(&json, "ignored", report->stats.ignored);
    cli_json_count(&json, "windows_cut", report->stats.windows_cut);
    cli_json_string(&json, "verdict", verdict);
    put_ranks(&json, &report->stats);
    if (report->state_file) cli_json_string(&json, "state_file", report->state_file);
    put_config(&json, &report->chosen);
    cli_json_string(&json, "source", report->source);
    cli_json_string(&json, "version", LEAT_VERSION);
    cli_json_end(&json);
}
