/* fetch_events.c - a fetch for programs: an event a line, as JSON.
 *
 * What:    plan (first), start, progress (every second), retry, done, skip, would, error, note, summary (last).
 * Why so:  the keys are a contract: they may be added to, never renamed. What is not known is null, so that nobody takes 0 for a
 *          size. Sources and headers are counted and not named: URLs may hold credentials, and events' own come without.
 * Threads: the main thread.
 * Not here: quoting (json.c). */
#include "cli/fetch_events.h"

#include <assert.h>
#include <stdio.h>

#include <leat/version.h>

#include "cli/json.h"

static void begin_line(cli_json *json, const char *event)
{
    cli_json_begin(json, stdout);
    cli_json_object(json, NULL);
    cli_json_string(json, "event", event);
}

static void put_size(cli_json *json, const char *key, uint64_t bytes)
{
    if (bytes == UINT64_MAX) cli_json_null(json, key);
    else cli_json_count(json, key, bytes);
}

static void put_text(cli_json *json, const char *key, const char *text)
{
    if (text && *text) cli_json_string(json, key, text);
    else cli_json_null(json, key);
}

/* 0 means that the library chooses: null. */
static void put_choice(cli_json *json, const char *key, uint64_t value)
{
    put_size(json, key, value ? value : UINT64_MAX);
}

static void put_settings(cli_json *json, const leat_fetch_config *config)
{
    cli_json_object(json, "settings");
    cli_json_string(json, "layout", config->layout == LEAT_FETCH_HASHED ? "hash" : "names");
    cli_json_boolean(json, "resume", !config->fresh);
    cli_json_boolean(json, "durable", !config->fast);
    cli_json_boolean(json, "dry_run", config->dry_run);
    put_text(json, "checksums", config->checksums);
    cli_json_list(json, "patterns");
    for (size_t i = 0; i < config->pattern_count; i++) {
        cli_json_object(json, NULL);
        cli_json_string(json, config->patterns[i].exclude ? "exclude" : "include", config->patterns[i].glob);
        cli_json_end(json);
    }
    cli_json_end(json);
    put_choice(json, "jobs", config->jobs);
    put_choice(json, "max_per_host", config->max_per_host);
    put_choice(json, "parts", config->parts);
    put_choice(json, "part_bytes", config->part_bytes);
    put_choice(json, "limit_rate", config->limit_rate);
    put_choice(json, "memory_limit", config->memory_limit);
    put_choice(json, "threads", config->threads);
    put_choice(json, "max_object_bytes", config->max_object_bytes);
    put_choice(json, "retries", config->retries);
    put_choice(json, "connect_timeout_ms", config->connect_timeout_ms);
    put_choice(json, "stall_timeout_ms", config->stall_timeout_ms);
    put_choice(json, "max_retry_after_ms", config->max_retry_after_ms);
    put_choice(json, "world", config->world);
    cli_json_count(json, "headers", config->header_count);
    cli_json_end(json);
}

void fetch_events_plan(const leat_fetch_config *config)
{
    cli_json json;
    begin_line(&json, "plan");
    cli_json_integer(&json, "schema", FETCH_EVENTS_SCHEMA);
    cli_json_string(&json, "version", leat_version());
    cli_json_string(&json, "to", config->to);
    cli_json_count(&json, "sources", config->source_count);
    put_settings(&json, config);
    cli_json_end(&json);
}

static void put_error(cli_json *json, const leat_error *error)
{
    cli_json_string(json, "code", leat_code_name(error->code));
    if (error->system) cli_json_integer(json, "system", error->system);
    else cli_json_null(json, "system");
    cli_json_string(json, "message", error->message);
}

void fetch_events_event(const leat_fetch_event *event, double seconds)
{
    static const char *const names[] = {
        [LEAT_FETCH_START] = "start", [LEAT_FETCH_RETRY] = "retry", [LEAT_FETCH_DONE] = "done", [LEAT_FETCH_SKIP] = "skip",
        [LEAT_FETCH_ERROR] = "error", [LEAT_FETCH_WOULD] = "would", [LEAT_FETCH_NOTE] = "note"};
    cli_json json;
    assert(event->kind >= LEAT_FETCH_START && event->kind <= LEAT_FETCH_NOTE);
    begin_line(&json, names[event->kind]);
    cli_json_real(&json, "seconds", seconds);
    put_text(&json, "url", event->url);
    put_text(&json, "path", event->path);
    put_size(&json, "bytes", event->bytes);
    cli_json_count(&json, "attempts", event->attempts);
    if (event->kind == LEAT_FETCH_SKIP || event->kind == LEAT_FETCH_WOULD || event->kind == LEAT_FETCH_NOTE)
        cli_json_string(&json, "reason", event->reason);
    if (event->kind == LEAT_FETCH_RETRY) cli_json_count(&json, "delay_ms", event->delay_ms);
    if (event->kind == LEAT_FETCH_DONE) cli_json_boolean(&json, "unverified", event->unverified);
    if (event->error) put_error(&json, event->error);
    cli_json_end(&json);
}

/* What progress and summary have in common. */
static void put_counts(cli_json *json, const leat_fetch_progress *now)
{
    cli_json_count(json, "planned", now->planned);
    cli_json_count(json, "done", now->done);
    cli_json_count(json, "skipped", now->skipped);
    cli_json_count(json, "failed", now->failed);
    cli_json_count(json, "cancelled", now->cancelled);
    cli_json_count(json, "bytes", now->bytes);
    cli_json_count(json, "planned_bytes", now->planned_bytes);
    cli_json_count(json, "finished_bytes", now->finished_bytes);
    cli_json_count(json, "unsized", now->unsized);
    cli_json_count(json, "requests", now->requests);
    cli_json_count(json, "retries", now->retries);
    cli_json_count(json, "throttled", now->throttled);
    cli_json_count(json, "redirects", now->redirects);
    cli_json_count(json, "unverified", now->unverified);
}

static void put_hosts(cli_json *json, const leat_fetch_progress *now)
{
    cli_json_list(json, "hosts");
    for (size_t i = 0; i < now->host_count; i++) {
        const leat_fetch_host *host = &now->hosts[i];
        cli_json_object(json, NULL);
        cli_json_string(json, "name", host->name);
        cli_json_count(json, "active", host->active);
        cli_json_count(json, "limit", host->limit);
        cli_json_count(json, "paused_ms", host->paused_ms);
        cli_json_count(json, "retries", host->retries);
            cli_json_boolean(json, "unreachable", host->unreachable);
        cli_json_end(json);
    }
    cli_json_end(json);
}

void fetch_events_progress(const leat_fetch_progress *now, const fetch_outlook *outlook)
{
    cli_json json;
    begin_line(&json, "progress");
    cli_json_real(&json, "seconds", outlook->seconds);
    cli_json_boolean(&json, "listed", now->listed);
    put_counts(&json, now);
    cli_json_real(&json, "rate", outlook->bytes_per_second);
    cli_json_real(&json, "files_per_second", outlook->files_per_second);
    if (outlook->seconds_left < 0) cli_json_null(&json, "seconds_left");
    else cli_json_real(&json, "seconds_left", outlook->seconds_left);
    cli_json_count(&json, "active", now->active);
    cli_json_count(&json, "waiting", now->waiting);
    cli_json_count(&json, "writing", now->writing);
    put_hosts(&json, now);
    cli_json_end(&json);
}

void fetch_events_summary(const leat_fetch_result *result, const leat_error *error, int exit_code)
{
    static const char *const troubles[] = {
        [LEAT_FETCH_FINE] = "fine", [LEAT_FETCH_SOME_FAILED] = "failed", [LEAT_FETCH_NO_NETWORK] = "network",
        [LEAT_FETCH_NO_SOURCE] = "source", [LEAT_FETCH_BAD_CONFIG] = "config", [LEAT_FETCH_BAD_DISK] = "disk",
        [LEAT_FETCH_BAD_DATA] = "data"};
    cli_json json;
    begin_line(&json, "summary");
    put_counts(&json, &result->last);
    cli_json_real(&json, "seconds", result->seconds);
    cli_json_real(&json, "rate", result->seconds > 0 ? (double)result->last.bytes / result->seconds : 0);
    cli_json_string(&json, "worst", troubles[result->worst]);
    put_text(&json, "failed_list", result->failed_list);
    cli_json_count(&json, "rank", result->rank);
    cli_json_count(&json, "world", result->world);
    cli_json_string(&json, "launcher", result->launcher);
    put_text(&json, "first_error", result->first_error.code ? result->first_error.message : NULL);
    put_text(&json, "error", error ? error->message : NULL);
    cli_json_integer(&json, "exit_code", exit_code);
    cli_json_end(&json);
}
