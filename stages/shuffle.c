/* shuffle.c - permutes a lane's samples window by window.
 *
 * What:    for samples that are not counted: collects a window of samples, then emits them in an order that (seed, epoch, lane, number
 *          of the window) says.
 * Why so:  which samples form a window depends on the data and the settings alone, never on when they came, so the order is
 *          the same in every run. A window that would need more memory than its lane has ends early instead: a weaker
 *          shuffle, counted in the statistics, is better than a run that cannot go on.
 * Threads: loop thread.
 * Invariants: count <= window; weight is the sum over the window; samples that stand for objects are in `held`, fewer than a
 *          window, and none while the window is empty. */
#include "stages/shuffle.h"

#include <assert.h>
#include <stdlib.h>

#include "pipeline/random.h"
#include "stages/draws.h"
#include "stages/weight.h"

typedef struct shuffle_state {
    leat__shuffle_options options;
    leat__item **window;
    uint32_t count;
    uint64_t weight;
    leat__weigher weigher;
    uint64_t epoch;     /* of the samples in the window */
    uint64_t number;    /* windows emitted in this epoch */
    leat__items held;   /* objects' ends: they follow the window */
} shuffle_state;

void *leat__shuffle_state_new(const leat__shuffle_options *options)
{
    assert(options->window >= 2);
    shuffle_state *state = calloc(1, sizeof *state);
    if (!state) return NULL;
    state->options = *options;
    state->window = calloc(options->window, sizeof *state->window);
    if (!state->window) {
        free(state);
        return NULL;
    }
    return state;
}

static void shuffle_destroy(void *argument)
{
    shuffle_state *state = argument;
    leat__item *item;
    for (uint32_t i = 0; i < state->count; i++) leat__item_release(state->window[i]);
    while ((item = leat__items_take(&state->held))) leat__item_release(item);
    free(state->window);
    free(state);
}

static void emit_window(shuffle_state *state, leat__op *op)
{
    if (state->count) {
        /* lanes are few and windows many: both fit one number */
        leat__random_key key = {.seed = state->options.seed, .epoch = state->epoch,
                                .sample = state->options.number << 48 | state->number, .operation = LEAT__DRAW_WINDOW};
        leat__permutation permutation;
        leat__permutation_init(&permutation, &key, state->count);
        for (uint32_t i = 0; i < state->count; i++) leat__emit(op, state->window[leat__permutation_at(&permutation, i)]);
        state->number++;
    }
    leat__item *item;
    while ((item = leat__items_take(&state->held))) leat__emit(op, item);
    state->count = 0;
    state->weight = 0;
}

static leat__step shuffle_begin(leat__op *op)
{
    shuffle_state *state = leat__stage_state(op->stage);
    const leat__shuffle_options *options = &state->options;
    leat__sample *sample = (leat__sample *)op->input;
    op->input = NULL;
    if (sample->lost_object) {
        leat__items_append(&state->held, &sample->item);
        if (!state->count || state->held.count >= options->window) emit_window(state, op);
        return LEAT__DONE;
    }
    uint64_t weight = leat__weigh(&state->weigher, options->lane, sample);
    if (state->count && state->weight + weight > options->window_bytes) {
        atomic_fetch_add_explicit(&options->lane->flow->windows_cut, 1, memory_order_relaxed);
        emit_window(state, op);
    }
    state->epoch = sample->epoch;
    state->weight += weight;
    state->window[state->count++] = &sample->item;
    if (state->count == options->window) emit_window(state, op);
    return LEAT__DONE;
}

static leat__step shuffle_flush(leat__op *op)
{
    shuffle_state *state = leat__stage_state(op->stage);
    emit_window(state, op);
    state->number = 0;
    return LEAT__DONE;
}

const leat__stage_type leat__shuffle_type = {.name = "shuffle", .begin = shuffle_begin, .flush = shuffle_flush,
                                             .destroy = shuffle_destroy};
