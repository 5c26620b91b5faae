/* deal.c - the source stage of a lane. Pure arithmetic on the loop thread: nothing is stored but where it stands. */
#include "stages/deal.h"

#include <assert.h>
#include <stdlib.h>

typedef struct deal_state {
    leat__deal_options options;
    uint64_t epochs_done;
    uint64_t position;          /* of the lane's next object in the epoch's order */
    leat__permutation permutation;
} deal_state;

static void begin_epoch(deal_state *state)
{
    const leat__deal_options *options = &state->options;
    state->position = options->lane;
    if (!options->shuffled) return;
    leat__random_key key = {.seed = options->seed, .epoch = options->first_epoch + state->epochs_done,
                            .operation = LEAT__DRAW_OBJECTS};
    leat__permutation_init(&state->permutation, &key, options->count);
}

void *leat__deal_state_new(const leat__deal_options *options)
{
    assert(options->count > 0 && options->lane < options->lanes);
    deal_state *state = calloc(1, sizeof *state);
    if (!state) return NULL;
    state->options = *options;
    begin_epoch(state);
    return state;
}

/* One task, or the marker at the epoch's end. */
static leat__step deal_begin(leat__op *op)
{
    deal_state *state = leat__stage_state(op->stage);
    const leat__deal_options *options = &state->options;
    if (options->epochs && state->epochs_done == options->epochs) return LEAT__DONE;
    uint64_t epoch = options->first_epoch + state->epochs_done;
    leat__item *item;
    if (state->position < options->count && !leat__flow_is_cut(options->flow, epoch)) {
        uint64_t n = options->shuffled ? leat__permutation_at(&state->permutation, state->position) : state->position;
        leat__task *task = leat__task_new(options->stock, &options->objects[n], epoch);
        item = task ? &task->item : NULL;
        state->position += options->lanes;
    } else {
        leat__marker *marker = leat__stock_marker(options->stock, epoch);
        item = marker ? &marker->item : NULL;
        state->epochs_done++;
        begin_epoch(state);
    }
    if (!item) return leat__op_fail(op, LEAT_ENOMEM, "no memory for the next object");
    leat__emit(op, item);
    return LEAT__MORE;
}

const leat__stage_type leat__deal_type = {.name = "source", .begin = deal_begin, .destroy = free};
