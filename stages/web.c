/* web.c - the fetch stage for URLs: a transfer for each task (webread.c). Threads: loop thread. */
#include "stages/web.h"

#include <stdlib.h>

#include "stages/webread.h"

typedef struct web_state {
    leat__webread web;
    uint64_t ordinal; /* objects begun in this lane */
} web_state;

void *leat__web_state_new(leat__lane *lane, leat__http *const *http)
{
    web_state *state = calloc(1, sizeof *state);
    if (state) state->web = (leat__webread){.lane = lane, .http = http};
    return state;
}

static leat__step web_begin(leat__op *op)
{
    web_state *state = leat__stage_state(op->stage);
    const leat__task *task = (const leat__task *)op->input;
    const leat__http_range range = {.from = task->extent.from, .to = task->extent.to, .total = task->total, .etag = task->etag};
    return leat__webread_begin(&state->web, op, &range, ++state->ordinal);
}

static void web_room(leat__op *op)
{
    leat__webread_room(&((web_state *)leat__stage_state(op->stage))->web);
}

static void web_timer(leat__op *op)
{
    leat__webread_timer(&((web_state *)leat__stage_state(op->stage))->web);
}

static void web_cancel(leat__op *op)
{
    leat__webread_cancel(&((web_state *)leat__stage_state(op->stage))->web);
}

static void web_destroy(void *argument)
{
    leat__webread_clear(&((web_state *)argument)->web);
    free(argument);
}

static bool web_ready(leat__stage *stage, const leat__item *input)
{
    (void)input;
    leat__lane *lane = ((web_state *)leat__stage_state(stage))->web.lane;
    return leat__budget_fits(lane->budget, lane->chunk_bytes);
}

const leat__stage_type leat__web_type = {.name = "fetch", .begin = web_begin, .room = web_room, .timer = web_timer,
                                         .cancel = web_cancel, .ready = web_ready, .destroy = web_destroy};
