/* pick.c - the source stage of a lane that reads by the order.
 *
 * What:    walks along what the lane delivers and names what has to be read for it: a file; the extents of a *group* of samples,
 *          where the index knows their places; else whole shards, from which arrange.c takes what is wanted.
 * Why so:  a group is as many samples as may be held, in the order in which they leave; sorted by where they are stored and joined
 *          where they touch, it becomes a few long reads. So the order is the order, however little memory there is: less of it
 *          only makes more and shorter reads of it. A compressed shard can only be read from its beginning, and its windows have to
 *          be held.
 * Threads: begin on the loop; the job, which looks places up in the index, on the I/O pool; one operation at a time owns the state.
 * Invariants: candidates are in the order in which they leave, of one segment and, but for the first, of shards with known places;
 *          the lane's shards that are read whole are named in their order, each once in a segment.
 * Not here: bounds of memory (the fetch stage asks for room), the order (order.h). */
#include "stages/pick.h"

#include <assert.h>
#include <stdlib.h>

#include "pipeline/failure.h"
#include "pipeline/pipeline.h"

enum {
    FIRST = 64,         /* candidates there is room for at first */
    MOST = 2048,        /* and at most: a group of samples of a few hundred bytes */
    SPAN = 1024,        /* places of neighbours that are looked up in one go */
};

typedef struct candidate {
    leat__wanted wanted;
    uint64_t from, to;  /* its bytes in the shard, once they are looked up */
} candidate;

typedef struct pick_state {
    leat__pick_options options;
    leat__walk walk;
    bool begun;
    uint64_t until;             /* nothing was found before this place */
    candidate *candidates;
    unsigned count, capacity;
    /* shards read whole: the next one to be named, up to which one of the segment */
    uint64_t segment, next_whole, end_whole;
    bool any_whole;             /* `segment` is set */
    uint64_t places[SPAN + 1];  /* the job's */
} pick_state;

void *leat__pick_state_new(const leat__pick_options *options)
{
    pick_state *state = calloc(1, sizeof *state);
    if (!state) return NULL;
    state->options = *options;
    state->capacity = FIRST;
    state->candidates = calloc(FIRST, sizeof *state->candidates);
    if (state->candidates) return state;
    free(state);
    return NULL;
}

/* Room for one more candidate: false if memory is short, or they are enough. */
static bool has_room(pick_state *state)
{
    if (state->count < state->capacity) return true;
    if (state->capacity == MOST) return false;
    candidate *grown = realloc(state->candidates, 2 * state->capacity * sizeof *grown);
    if (!grown) return false; /* a smaller group then */
    state->candidates = grown;
    state->capacity *= 2;
    return true;
}

static void pick_destroy(void *argument)
{
    pick_state *state = argument;
    leat__walk_end(&state->walk);
    free(state->candidates);
    free(state);
}

static leat__step no_memory(leat__op *op)
{
    return leat__op_fail(op, LEAT_ENOMEM, "no memory for the next object");
}

static bool has_places(const pick_state *state, const leat__stored *stored)
{
    return state->options.index && leat__index_has_places(state->options.index, stored->object);
}

static leat__step emit_task(leat__op *op, uint64_t segment, const leat__stored *stored, const leat__extent *extent)
{
    pick_state *state = leat__stage_state(op->stage);
    const leat__pick_options *options = &state->options;
    leat__task *task = leat__task_new(options->stock, &options->objects[stored->object], segment);
    if (!task) return no_memory(op);
    task->extent = *extent;
    if (options->index) {
        leat__index_facts facts;
        leat__index_get_facts(options->index, stored->object, &facts);
        task->total = facts.bytes;
        task->etag = facts.etag;
        task->has_head_crc = facts.has_head_crc;
        task->head_crc = facts.head_crc;
    }
    leat__emit(op, &task->item);
    return LEAT__MORE;
}

/* ---- shards that are read whole ---- */

/* The window of a wanted sample reaches over the lane's shards from the first to the last: those of them that have not been named
 * are to be read. True if it is one. */
static bool want_whole(pick_state *state, const leat__wanted *wanted, leat__stored *last)
{
    const leat__walk *walk = &state->walk;
    const leat__window *window = &walk->window;
    leat__stored first = leat__pass_stored(walk->pass, walk->lane, window->first);
    *last = leat__pass_stored(walk->pass, walk->lane, window->first + window->size - 1);
    if (!state->any_whole || state->segment != wanted->segment) state->next_whole = 0;
    state->any_whole = true;
    state->segment = wanted->segment;
    if (state->next_whole < first.ordinal) state->next_whole = first.ordinal;
    state->end_whole = last->ordinal + 1;
    return first.ordinal == last->ordinal;
}

/* Names the next one; LEAT__DONE if there is none. */
static leat__step name_whole(leat__op *op)
{
    pick_state *state = leat__stage_state(op->stage);
    leat__stored stored;
    while (state->next_whole < state->end_whole) {
        bool there = leat__pass_object(state->walk.pass, state->walk.lane, state->next_whole++, &stored);
        assert(there);
        (void)there;
        uint64_t count = leat__index_counts(state->options.index)[stored.object];
        if (!count || has_places(state, &stored)) continue;
        leat__extent extent = {.to = UINT64_MAX, .last = count, .base = stored.base, .latest = UINT64_MAX};
        return emit_task(op, state->segment, &stored, &extent);
    }
    return LEAT__DONE;
}

/* A wanted sample in a shard that is read whole. If its window lies in that shard, so do those up to the one with the next shard's
 * first sample: they need no looking at. */
static leat__step pick_whole(leat__op *op, const leat__wanted *wanted)
{
    pick_state *state = leat__stage_state(op->stage);
    const leat__walk *walk = &state->walk;
    leat__stored last, next;
    if (want_whole(state, wanted, &last)) {
        uint64_t samples = leat__pass_lane_samples(walk->pass, walk->lane);
        uint64_t base = leat__pass_object(walk->pass, walk->lane, last.ordinal + 1, &next) ? next.base : samples;
        uint64_t size = walk->window.size, windows = base > walk->window.first ? (base - walk->window.first) / size : 0;
        leat__walk_skip(&state->walk, base == samples ? samples : walk->window.first + windows * size);
    }
    leat__step step = name_whole(op);
    return step == LEAT__DONE ? LEAT__MORE : step;
}

/* ---- groups ---- */

static int compare(const void *a, const void *b)
{
    const leat__stored *x = &((const candidate *)a)->wanted.stored, *y = &((const candidate *)b)->wanted.stored;
    if (x->ordinal != y->ordinal) return x->ordinal < y->ordinal ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int compare_leaving(const void *a, const void *b)
{
    uint64_t x = ((const candidate *)a)->wanted.n, y = ((const candidate *)b)->wanted.n;
    return x < y ? -1 : x > y;
}

/* Looks up the places of all candidates; sorts them by where they are stored. */
static leat_code look_up(pick_state *state, leat_error *error)
{
    candidate *all = state->candidates;
    qsort(all, state->count, sizeof *all, compare);
    for (unsigned i = 0, j; i < state->count; i = j) {
        const leat__stored *first = &all[i].wanted.stored;
        for (j = i + 1; j < state->count; j++) {
            const leat__stored *next = &all[j].wanted.stored;
            if (next->ordinal != first->ordinal || next->index - first->index >= SPAN) break;
        }
        uint64_t span = all[j - 1].wanted.stored.index - first->index + 1;
        leat_code code = leat__index_places(state->options.index, first->object, first->index, span, state->places, error);
        if (code) return code;
        for (unsigned k = i; k < j; k++) {
            const uint64_t *place = &state->places[all[k].wanted.stored.index - first->index];
            all[k].from = place[0];
            all[k].to = place[1];
        }
    }
    return LEAT_OK;
}

/* How many candidates, in the order in which they leave, may be held together; at least one. */
static unsigned group_size(const pick_state *state)
{
    uint64_t held = 0;
    for (unsigned i = 0; i < state->count; i++) {
        const candidate *c = &state->candidates[i];
        uint64_t weight = c->to - c->from + sizeof(leat__sample);
        if (i && held + weight > state->options.group_bytes) return i;
        held += weight;
    }
    return state->count;
}

/* Emits the first `size` candidates, sorted by where they are stored, as extents. */
static leat__step emit_extents(leat__op *op, unsigned size, uint64_t latest)
{
    pick_state *state = leat__stage_state(op->stage);
    leat__step step = LEAT__MORE;
    for (unsigned i = 0, j; i < size && step == LEAT__MORE; i = j) {
        const candidate *first = &state->candidates[i], *last = first;
        for (j = i + 1; j < size; j++) {
            const candidate *next = &state->candidates[j];
            if (next->wanted.stored.ordinal != first->wanted.stored.ordinal) break;
            uint64_t gap = next->from - last->to, most = (next->to - next->from) / 2;
            if (gap > state->options.gap_bytes || gap > most || next->to - first->from > state->options.extent_bytes) break;
            last = next;
        }
        leat__extent extent = {.from = first->from, .to = last->to, .first = first->wanted.stored.index,
                               .last = last->wanted.stored.index + 1, .base = first->wanted.stored.base, .latest = latest};
        step = emit_task(op, first->wanted.segment, &first->wanted.stored, &extent);
    }
    return step;
}

static leat__step pick_job(leat__op *op)
{
    LEAT__ASSERT_JOB(leat__stage_pipeline(op->stage));
    pick_state *state = leat__stage_state(op->stage);
    if (look_up(state, &op->error)) return LEAT__FAILED;
    qsort(state->candidates, state->count, sizeof *state->candidates, compare_leaving);
    unsigned size = group_size(state);
    uint64_t latest = state->candidates[size - 1].wanted.n;
    qsort(state->candidates, size, sizeof *state->candidates, compare);
    leat__step step = emit_extents(op, size, latest);
    state->count -= size;
    for (unsigned i = 0; i < state->count; i++) state->candidates[i] = state->candidates[size + i];
    return step == LEAT__FAILED ? step : LEAT__AGAIN;
}

/* ---- on the loop ---- */

/* Adds what comes next to the candidates, as far as it may be one group: true if it was added. */
static bool add(pick_state *state, const leat__wanted *wanted)
{
    bool fits = state->count == 0 || (state->candidates[0].wanted.segment == wanted->segment && has_places(state, &wanted->stored));
    if (!fits || !has_room(state)) return false;
    state->candidates[state->count++] = (candidate){.wanted = *wanted};
    leat__walk_on(&state->walk);
    return true;
}

static uint64_t horizon_of(const pick_state *state)
{
    return leat__course_horizon(state->options.course, state->options.flow->place);
}

/* Finds candidates. LEAT__DONE: there are some, or none before the horizon. */
static leat__step find(leat__op *op)
{
    pick_state *state = leat__stage_state(op->stage);
    leat__wanted wanted;
    uint64_t until = horizon_of(state);
    for (;;) {
        switch (leat__walk_find(&state->walk, until, &wanted)) {
        case LEAT__WALK_NO_MEMORY: return no_memory(op);
        case LEAT__WALK_NONE:
            if (!state->count) state->until = until;
            return LEAT__DONE;
        case LEAT__WALK_WANTED: break;
        }
        if (!add(state, &wanted) || !has_places(state, &wanted.stored)) return LEAT__DONE;
    }
}

static leat__step pick_begin(leat__op *op)
{
    LEAT__ASSERT_LOOP(leat__stage_pipeline(op->stage));
    pick_state *state = leat__stage_state(op->stage);
    if (!state->begun && !leat__walk_begin(&state->walk, state->options.course, state->options.source, state->options.lane))
        return no_memory(op);
    state->begun = true;
    leat__step step = name_whole(op);
    if (step != LEAT__DONE) return step;
    step = find(op);
    if (step != LEAT__DONE) return step;
    if (!state->count) return state->until == state->options.course->end ? LEAT__DONE : LEAT__MORE;
    const leat__wanted *first = &state->candidates[0].wanted;
    if (has_places(state, &first->stored)) return LEAT__IO;
    state->count = 0;
    if (!state->options.index) {
        leat__extent extent = {.to = UINT64_MAX, .last = 1, .base = first->stored.base, .latest = UINT64_MAX};
        return emit_task(op, first->segment, &first->stored, &extent);
    }
    return pick_whole(op, first);
}

/* Waits, if nothing was found up to the horizon, until it has moved. */
static bool pick_ready(leat__stage *stage, const leat__item *input)
{
    (void)input;
    const pick_state *state = leat__stage_state(stage);
    return horizon_of(state) > state->until;
}

const leat__stage_type leat__pick_type = {.name = "source", .begin = pick_begin, .job = pick_job, .ready = pick_ready,
                                          .destroy = pick_destroy};
