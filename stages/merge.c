/* merge.c - the lanes become one stream.
 *
 * What:    takes from the lane whose turn it is, and from no other. With a course, that is the lane of the next place that is this
 *          rank's, and the sample gets its epoch and place here; else the lanes take turns, and one at its epoch's end is passed
 *          over.
 * Why so:  waiting for the slowest lane is what makes the order independent of which download finished first. The others fill
 *          their queues meanwhile, so no time is lost as long as they all keep up on average.
 * Epochs:  with a course lanes bring nothing but samples, which may lie on both sides of an epoch's end in one shard; the markers
 *          between epochs are made here, where the places are known. Without one each lane brings its markers.
 * Order:   what stands for an object (lost_object) does not count as a turn, so that a broken shard shifts nobody's.
 * Threads: loop thread. */
#include "stages/merge.h"

#include <assert.h>
#include <stdlib.h>

#include "pipeline/pipeline.h"

typedef struct merge_state {
    leat__merge_options options;
    unsigned turn;
    /* with a course */
    bool begun;             /* turn, spot and pass are those of flow->place */
    leat__course_spot spot;
    leat__pass **passes;    /* of each source: the one its last sample was of */
    uint64_t *numbers;      /* theirs */
    uint64_t epoch;         /* that ends next */
    uint64_t woken;         /* place at which the lanes were last told to look */
} merge_state;

static void merge_destroy(void *argument)
{
    merge_state *state = argument;
    for (unsigned i = 0; state->passes && i < state->options.course->count; i++) leat__pass_release(state->passes[i]);
    free(state->passes);
    free(state->numbers);
    free(state);
}

void *leat__merge_state_new(const leat__merge_options *options)
{
    merge_state *state = calloc(1, sizeof *state);
    if (!state) return NULL;
    state->options = *options;
    if (!options->course) return state;
    state->passes = calloc(options->course->count, sizeof *state->passes);
    state->numbers = calloc(options->course->count, sizeof *state->numbers);
    state->epoch = options->first_epoch;
    options->flow->place = state->woken = options->course->begin;
    if (state->passes && state->numbers) return state;
    merge_destroy(state);
    return NULL;
}

/* ---- by the course ---- */

/* Finds whose turn it is at or behind a place. False if memory is short; that is found again, and said, by merge_begin. */
static bool turn_to(merge_state *state, uint64_t place)
{
    const leat__course *course = state->options.course;
    state->begun = false;
    place = state->options.flow->place = leat__course_next(course, place);
    if (place == course->end) return state->begun = true;
    leat__course_spot spot = state->spot = leat__course_at(course, place);
    const leat__course_source *source = &course->sources[spot.source];
    uint64_t number = leat__course_pass(course, spot.source, spot.segment);
    leat__pass **pass = &state->passes[spot.source];
    if (!*pass || state->numbers[spot.source] != number) {
        leat__pass_release(*pass);
        *pass = leat__pass_take(source->order, number);
        state->numbers[spot.source] = number;
    }
    if (!*pass) return false;
    state->turn = source->first_lane + leat__pass_spot(*pass, spot.position).lane;
    return state->begun = true;
}

/* Emits the markers of the epochs that end before a place. */
static bool end_epochs(leat__op *op, uint64_t place)
{
    merge_state *state = leat__stage_state(op->stage);
    const leat__course *course = state->options.course;
    uint64_t epoch = leat__course_epoch(course, place);
    for (; state->epoch < epoch; state->epoch++) {
        leat__marker *marker = leat__stock_marker(state->options.stock, state->epoch);
        if (!marker) return false;
        leat__emit(op, &marker->item);
    }
    return true;
}

static leat__step no_memory(leat__op *op)
{
    return leat__op_fail(op, LEAT_ENOMEM, "no memory for the order");
}

static leat__step take_by_course(leat__op *op)
{
    merge_state *state = leat__stage_state(op->stage);
    leat__sample *sample = (leat__sample *)op->input;
    const leat__course *course = state->options.course;
    uint64_t place = state->options.flow->place;
    if (!state->begun) return no_memory(op);
    if (!end_epochs(op, place)) return no_memory(op);
    sample->pass = state->numbers[state->spot.source];
    sample->epoch = leat__course_epoch(course, place);
    sample->place = place - sample->epoch * course->epoch;
    if (sample->lost_object) return leat__emit_input(op);
    leat__step step = leat__emit_input(op);
    if (!turn_to(state, place + 1)) return no_memory(op);
    place = state->options.flow->place;
    if (!end_epochs(op, place)) return no_memory(op);
    if (place - state->woken >= LEAT__COURSE_ROWS_AHEAD / 4 * (uint64_t)course->world) { /* they may look further now */
        state->woken = place;
        leat__pipeline_wake(leat__stage_pipeline(op->stage));
    }
    return step;
}

static bool course_is_over(const merge_state *state)
{
    return state->begun && state->options.flow->place == state->options.course->end;
}

/* Whose turn it is; what stands for an object is taken from any lane, once all turns are over. */
static unsigned select_by_course(leat__stage *stage)
{
    merge_state *state = leat__stage_state(stage);
    if (!state->begun) turn_to(state, state->options.flow->place);
    for (unsigned i = 0; course_is_over(state) && i < state->options.lanes; i++)
        if (leat__stage_can_take(stage, i)) return i;
    return course_is_over(state) ? LEAT__NO_INBOX : state->turn;
}

/* ---- in turn ---- */

static unsigned select_in_turn(leat__stage *stage)
{
    merge_state *state = leat__stage_state(stage);
    for (unsigned n = 0; n < state->options.lanes; n++) {
        if (leat__stage_can_take(stage, state->turn)) return state->turn;
        if (leat__stage_may_come(stage, state->turn)) return LEAT__NO_INBOX;
        state->turn = (state->turn + 1) % state->options.lanes;
    }
    return LEAT__NO_INBOX;
}

static leat__step take_in_turn(leat__op *op)
{
    merge_state *state = leat__stage_state(op->stage);
    const leat__sample *sample = (const leat__sample *)op->input;
    if (state->options.by_object ? sample->last_of_object : !sample->lost_object)
        state->turn = (state->turn + 1) % state->options.lanes;
    return leat__emit_input(op);
}

/* ---- the stage ---- */

static unsigned merge_select(leat__stage *stage)
{
    const merge_state *state = leat__stage_state(stage);
    return state->options.course ? select_by_course(stage) : select_in_turn(stage);
}

static leat__step merge_begin(leat__op *op)
{
    const merge_state *state = leat__stage_state(op->stage);
    return state->options.course ? take_by_course(op) : take_in_turn(op);
}

/* A marker of the lanes; or the end of the stream, with epochs that had nothing left. */
static leat__step merge_flush(leat__op *op)
{
    merge_state *state = leat__stage_state(op->stage);
    if (!state->options.course) {
        state->turn = 0;
        return LEAT__DONE;
    }
    assert(!op->input);
    return end_epochs(op, state->options.flow->place) ? LEAT__DONE : no_memory(op);
}

const leat__stage_type leat__merge_type = {.name = "merge", .begin = merge_begin, .flush = merge_flush,
                                           .select = merge_select, .destroy = merge_destroy};
