/* merge.c - the lanes become one stream.
 *
 * What:    takes from the lane whose turn it is, and from no other; a lane at its epoch's end is passed over.
 * Why so:  waiting for the slowest lane is what makes the order independent of which download finished first. The others fill
 *          their queues meanwhile, so no time is lost as long as they all keep up on average.
 * Order:   samples take turns; what stands for an object (lost_object) does not count as one, so that a broken shard shifts
 *          nobody's turn.
 * Threads: loop thread. */
#include "stages/merge.h"

#include <stdlib.h>

typedef struct merge_state {
    unsigned lanes, turn;
    bool by_object;
} merge_state;

void *leat__merge_state_new(unsigned lanes, bool by_object)
{
    merge_state *state = calloc(1, sizeof *state);
    if (state) *state = (merge_state){.lanes = lanes, .by_object = by_object};
    return state;
}

static unsigned merge_select(leat__stage *stage)
{
    merge_state *state = leat__stage_state(stage);
    for (unsigned n = 0; n < state->lanes; n++) {
        if (leat__stage_can_take(stage, state->turn)) return state->turn;
        if (leat__stage_may_come(stage, state->turn)) return LEAT__NO_INBOX;
        state->turn = (state->turn + 1) % state->lanes;
    }
    return LEAT__NO_INBOX;
}

static leat__step merge_begin(leat__op *op)
{
    merge_state *state = leat__stage_state(op->stage);
    const leat__sample *sample = (const leat__sample *)op->input;
    if (state->by_object ? sample->last_of_object : !sample->lost_object) state->turn = (state->turn + 1) % state->lanes;
    return leat__emit_input(op);
}

static leat__step merge_flush(leat__op *op)
{
    ((merge_state *)leat__stage_state(op->stage))->turn = 0;
    return LEAT__DONE;
}

const leat__stage_type leat__merge_type = {.name = "merge", .begin = merge_begin, .flush = merge_flush,
                                           .select = merge_select, .destroy = free};
