/* stream.h - from sources to one stream of samples: what a loader and a reader have in common.
 *
 *     lane 0:  source -> fetch -> decompress -> unpack -> order --.
 *     lane 1:  source -> fetch -> decompress -> unpack -> order ---> merge -> (what the owner adds) -> outlet
 *     ...                                                      --'
 * lanes.c has the stages of a lane. */
#ifndef LEAT__STREAM_H
#define LEAT__STREAM_H

#include <sys/types.h>

#include <leat/stats.h>

#include "loader/failures.h"
#include "loader/home.h"
#include "loader/plan.h"
#include "stages/fill.h"
#include "stages/flow.h"
#include "stages/http.h"

typedef struct leat__stream {
    /* fixed after leat__stream_start */
    leat__plan plan;            /* its strings are copies */
    leat__home *home;
    leat__pipeline *pipeline;
    leat__outlet *outlet;
    leat__http *http;           /* NULL: no URLs */
    leat__closer http_closer;
    leat__lane *lanes;
    leat__fills fills;          /* of the cache; fills.dir NULL: none */
    leat__stage *last;          /* whose results the owner takes over */
    leat__failures failures;
    leat__flow flow;
    bool configured;            /* plan.config and failures are to be freed */
    pid_t pid;                  /* that opened it */
    uint64_t opened_ns;
} leat__stream;

/* Opens the sources: fills stream->plan.config (all choices made) and *origins (gives). The first step of opening; the stream is zeroed
 * before it. Also after a failure end it with leat__stream_close. */
leat_code leat__stream_open(leat__stream *stream, const leat_config *config, leat__origins **origins, leat_error *error);

/* Makes everything up to the merge. stream->plan is complete (leat__plan_memory). origins: takes, also on failure. env: NULL for
 * the real one. outlet_items: what the consumer may find ready. */
leat_code leat__stream_build(leat__stream *stream, leat__origins *origins, const leat__env *env, size_t outlet_items,
                             leat_error *error);

/* Adds a stage behind the last one. state: takes, also on failure; NULL is LEAT_ENOMEM. queue_bytes: bound of its inbox; SIZE_MAX:
 * behind the merge, where the lanes' budgets and the batches bound the bytes. */
leat_code leat__stream_add(leat__stream *stream, const leat__stage_type *type, void *state, unsigned concurrency,
                           size_t queue_items, size_t queue_bytes, leat_error *error);

/* Joins the last stage to the outlet and begins. */
void leat__stream_start(leat__stream *stream);

/* Ends the pipeline and frees what is in the stream, not the stream itself; in any state of opening. */
void leat__stream_close(leat__stream *stream);

/* LEAT_EFORKED, with the words, in another process than the one that opened it. */
leat_code leat__stream_check_process(const leat__stream *stream, leat_error *error);

/* Fills in what the stream knows of the statistics. */
void leat__stream_get_stats(leat__stream *stream, leat_statistics *stats);

#endif
