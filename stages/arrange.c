/* arrange.c - brings a lane's samples, which come as they are stored, into the order in which they leave.
 *
 * What:    walks along what the lane delivers; a sample that comes is dropped if this rank does not deliver it, or if it only lay
 *          between those that were asked for and will come again; else it waits in a heap until its turn. A part of an object that
 *          could not be read is a *loss*: whatever is wanted of it leaves as a failed sample, so that its place in the batch stays
 *          empty and nothing else moves.
 * Why so:  who comes when is computed from the sample's place in its shard (order.h), so nothing has to be said between the stage
 *          that asks for samples and this one. Losses are kept as intervals: a lost shard of a million samples costs nothing until
 *          their turns come. Why they are lost is kept apart, and said once: a shard that is gone fails in every group of it.
 * Threads: loop thread.
 * Invariants: every sample in the heap is wanted, and not before the walk's position; weight is the sum over those of shards that
 *          are read whole (of others there is one group here at a time, and pick.c has weighed that). */
#include "stages/arrange.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"
#include "pipeline/pipeline.h"
#include "stages/weight.h"

enum { BURST = 64 };        /* samples emitted in one go: failed ones weigh 1.5 KB each, and a loss may be long */

typedef struct waiting {
    uint64_t segment, n;
    uint64_t weight;
    leat__sample *sample;
} waiting;

/* Why samples of an object are lost. */
typedef struct cause {
    struct cause *next;
    uint64_t segment;
    const leat__object *object;
    uint64_t until;         /* end of the object in the lane's samples as they are stored */
    bool said;              /* one sample has carried it */
    leat_error error;
} cause;

typedef struct loss {
    struct loss *next;
    uint64_t segment;
    uint64_t from, until;   /* of the lane's samples as they are stored; what has left at its ends is not in it any more */
    uint64_t latest;        /* those that leave behind this number come again */
    cause *why;
} loss;

typedef struct arrange_state {
    leat__arrange_options options;
    leat__walk walk;
    bool begun;
    waiting *heap;          /* the first one leaves first */
    size_t count, capacity;
    uint64_t weight;
    leat__weigher weigher;
    waiting tail;           /* the last sample of an extent, which waits for its end to be known; sample NULL: none */
    loss *losses;           /* the newest first */
    cause *causes;          /* likewise */
    /* of the samples that come */
    uint64_t segment;       /* of `pass` */
    leat__pass *pass;       /* NULL: none yet */
    leat__window window;
} arrange_state;

void *leat__arrange_state_new(const leat__arrange_options *options)
{
    arrange_state *state = calloc(1, sizeof *state);
    if (state) state->options = *options;
    return state;
}

static void arrange_destroy(void *argument)
{
    arrange_state *state = argument;
    for (size_t i = 0; i < state->count; i++) leat__item_release(&state->heap[i].sample->item);
    if (state->tail.sample) leat__item_release(&state->tail.sample->item);
    for (loss *lost = state->losses, *next; lost; lost = next) {
        next = lost->next;
        free(lost);
    }
    for (cause *why = state->causes, *next; why; why = next) {
        next = why->next;
        free(why);
    }
    leat__walk_end(&state->walk);
    leat__pass_release(state->pass);
    free(state->heap);
    free(state);
}

static leat__step no_memory(leat__op *op)
{
    return leat__op_fail(op, LEAT_ENOMEM, "no memory for a sample that waits for its turn");
}

/* ---- the heap ---- */

static bool is_before(const waiting *a, const waiting *b)
{
    return a->segment != b->segment ? a->segment < b->segment : a->n < b->n;
}

static bool heap_put(arrange_state *state, const waiting *item)
{
    if (state->count == state->capacity) {
        size_t capacity = state->capacity ? 2 * state->capacity : 64;
        waiting *heap = realloc(state->heap, capacity * sizeof *heap);
        if (!heap) return false;
        state->heap = heap;
        state->capacity = capacity;
    }
    size_t i = state->count++;
    for (; i && is_before(item, &state->heap[(i - 1) / 2]); i = (i - 1) / 2) state->heap[i] = state->heap[(i - 1) / 2];
    state->heap[i] = *item;
    state->weight += item->weight;
    return true;
}

static leat__sample *heap_take(arrange_state *state)
{
    assert(state->count > 0);
    waiting *heap = state->heap, last = heap[--state->count];
    leat__sample *sample = heap[0].sample;
    state->weight -= heap[0].weight;
    size_t i = 0, child;
    while ((child = 2 * i + 1) < state->count) {
        if (child + 1 < state->count && is_before(&heap[child + 1], &heap[child])) child++;
        if (!is_before(&heap[child], &last)) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return sample;
}

/* ---- what comes ---- */

static uint64_t count_of(const arrange_state *state, const leat__object *object)
{
    return leat__index_counts(state->options.index)[object - state->options.objects];
}

static bool set_pass(arrange_state *state, uint64_t segment)
{
    if (state->pass && state->segment == segment) return true;
    const leat__arrange_options *options = &state->options;
    leat__pass_release(state->pass);
    state->segment = segment;
    state->pass = leat__pass_take(options->course->sources[options->source].order,
                                  leat__course_pass(options->course, options->source, segment));
    return state->pass != NULL;
}

/* Takes a sample in, or drops it. */
static leat__step admit(leat__op *op, leat__sample *sample)
{
    arrange_state *state = leat__stage_state(op->stage);
    const leat__arrange_options *options = &state->options;
    waiting item = {.segment = sample->epoch, .sample = sample};
    uint64_t weight = leat__weigh(&state->weigher, options->lane, sample);
    if (!set_pass(state, sample->epoch)) goto fail;
    bool counted = sample->index < count_of(state, sample->object);
    bool wanted = counted && leat__walk_wants(options->course, options->source, options->number, sample->epoch, state->pass,
                                              &state->window, sample->base + sample->index, &item.n);
    bool later = wanted && item.n > sample->latest;
    bool passed = item.segment < state->walk.segment || (item.segment == state->walk.segment && item.n < state->walk.n);
    if (!wanted || later || passed) {
        leat__item_release(&sample->item);
        return LEAT__DONE;
    }
    item.weight = leat__index_has_places(options->index, (uint64_t)(sample->object - options->objects)) ? 0 : weight;
    uint64_t until = count_of(state, sample->object);
    if (sample->until < until) until = sample->until;
    if (sample->object->is_shard && sample->index + 1 == until) { /* what is wrong with the end is said before the epoch's */
        assert(!state->tail.sample);
        state->tail = item;
        return LEAT__DONE;
    }
    if (!heap_put(state, &item)) goto fail;
    return LEAT__DONE;
fail:
    leat__item_release(&sample->item);
    return no_memory(op);
}

/* ---- losses ---- */

/* True if an error is the object's, wherever in it one looked: the file is gone, the server says no. */
static bool is_of_whole(const leat_error *error)
{
    switch (error->code) {
    case LEAT_ENOTFOUND: case LEAT_EACCESS: case LEAT_ENETWORK: case LEAT_EHTTP: case LEAT_ETLS: case LEAT_ETIMEOUT:
    case LEAT_ECHANGED: case LEAT_EREDIRECT: case LEAT_EENCODING: case LEAT_EHEADERS:
        return true;
    default:
        return false;
    }
}

/* The cause that is this error of this object; NULL: no memory. */
static cause *cause_of(arrange_state *state, const leat__sample *end, const leat_error *error)
{
    for (cause *why = state->causes; why; why = why->next) {
        bool same = why->segment == end->epoch && why->object == end->object && why->error.code == error->code;
        bool alike = why->error.offset == error->offset && strcmp(why->error.message, error->message) == 0;
        if (same && (alike || is_of_whole(error))) return why;
    }
    cause *why = calloc(1, sizeof *why);
    if (!why) return NULL;
    *why = (cause){.next = state->causes, .segment = end->epoch, .object = end->object,
                   .until = end->base + count_of(state, end->object), .error = *error};
    return state->causes = why;
}

/* No row is lost by it, but it has to be said: more came than the index knows, or the shard's end is damaged. */
static leat__step say(leat__op *op, const leat__sample *end, const leat_error *error)
{
    arrange_state *state = leat__stage_state(op->stage);
    leat__sample *said = leat__sample_new(state->options.lane->stock, end->object, end->epoch);
    if (!said) return no_memory(op);
    said->failed = said->lost_object = true;
    said->error = *error;
    leat__emit(op, &said->item);
    return LEAT__DONE;
}

/* An extent has ended, at sample->index: what should have come of it, and did not, is lost. */
static leat__step note_loss(leat__op *op, const leat__sample *end)
{
    arrange_state *state = leat__stage_state(op->stage);
    uint64_t count = count_of(state, end->object);
    uint64_t until = end->until < count ? end->until : count;
    if (end->index == until && !end->failed) return LEAT__DONE;
    leat_error error = end->error;
    if (!end->failed)
        leat__fail(&error, LEAT_ECHANGED, 0, "the index says %llu samples, here %s %llu: it is of another shard; run leat index "
                   "again",
                   (unsigned long long)until, end->index > until ? "are" : "end", (unsigned long long)end->index);
    if (end->index >= until) return say(op, end, &error);
    cause *why = cause_of(state, end, &error);
    loss *lost = why ? calloc(1, sizeof *lost) : NULL;
    if (!lost) return no_memory(op);
    *lost = (loss){.next = state->losses, .segment = end->epoch, .from = end->base + end->index, .until = end->base + until,
                   .latest = end->latest, .why = why};
    state->losses = lost;
    return LEAT__DONE;
}

static leat__step note_end(leat__op *op, const leat__sample *end)
{
    arrange_state *state = leat__stage_state(op->stage);
    leat__step step = note_loss(op, end);
    if (!state->tail.sample || step != LEAT__DONE) return step;
    if (!heap_put(state, &state->tail)) return no_memory(op);
    state->tail.sample = NULL;
    return step;
}

static bool is_passed(const arrange_state *state, const leat__wanted *wanted, uint64_t segment, uint64_t until)
{
    return segment < wanted->segment || (segment == wanted->segment && until <= state->walk.window.first);
}

/* Forgets what lies before the window of the next sample, and losses of which nothing is left. */
static void drop_losses(arrange_state *state, const leat__wanted *wanted)
{
    for (loss **at = &state->losses, *lost; (lost = *at);) {
        if (lost->from < lost->until && !is_passed(state, wanted, lost->segment, lost->until)) {
            at = &lost->next;
            continue;
        }
        *at = lost->next;
        free(lost);
    }
    for (cause **at = &state->causes, *why; (why = *at);) {
        if (!is_passed(state, wanted, why->segment, why->until)) {
            at = &why->next;
            continue;
        }
        *at = why->next;
        free(why);
    }
}

static loss *loss_of(const arrange_state *state, const leat__wanted *wanted)
{
    uint64_t stored = wanted->stored.base + wanted->stored.index;
    for (loss *lost = state->losses; lost; lost = lost->next)
        if (lost->segment == wanted->segment && wanted->n <= lost->latest && stored >= lost->from &&
            stored < lost->until) return lost;
    return NULL;
}

/* ---- what leaves ---- */

/* Adds what goes with it. What is not of a place in the shard may come again in other parts of it, and is not said again. */
static void describe(const arrange_state *state, leat_error *error, const leat__wanted *wanted, const loss *lost)
{
    uint64_t first = lost->from - wanted->stored.base, last = lost->until - 1 - wanted->stored.base;
    bool elsewhere = error->offset == UINT64_MAX && leat__index_has_places(state->options.index, wanted->stored.object);
    leat_error text;
    if (elsewhere) leat__fail(&text, error->code, 0, "%.900s; with it samples of this shard are lost", error->message);
    else if (first < last) leat__fail(&text, error->code, 0, "%.900s; with it its samples %llu to %llu are lost", error->message,
                                      (unsigned long long)first, (unsigned long long)last);
    else return;
    memcpy(error->message, text.message, sizeof text.message);
}

/* A failed sample for a place whose sample could not be had. */
static bool emit_lost(leat__op *op, const leat__wanted *wanted, loss *lost)
{
    arrange_state *state = leat__stage_state(op->stage);
    const leat__object *object = &state->options.objects[wanted->stored.object];
    leat__sample *sample = leat__sample_new(state->options.lane->stock, object, wanted->segment);
    if (!sample) return false;
    sample->index = wanted->stored.index;
    sample->failed = true;
    sample->repeats = lost->why->said;
    sample->error = lost->why->error;
    if (!sample->repeats) describe(state, &sample->error, wanted, lost);
    lost->why->said = true;
    uint64_t stored = wanted->stored.base + wanted->stored.index;
    if (stored == lost->from) lost->from++;
    else if (stored + 1 == lost->until) lost->until--;
    leat__emit(op, &sample->item);
    return true;
}

/* Where the search for the next wanted sample may end: one that waits is found for sure; a loss has none behind its segment. */
static uint64_t until_of(const arrange_state *state, bool all)
{
    const leat__course *course = state->options.course;
    if (state->count || all) return course->end;
    leat__course_spot behind = {.source = state->options.source, .segment = state->losses->segment + 1};
    uint64_t place = leat__course_place(course, &behind);
    return place < course->end ? place : course->end;
}

/* Emits all whose turn it is. all: nothing more comes, so that what is still missing is lost. */
static leat__step let_go(leat__op *op, bool all)
{
    arrange_state *state = leat__stage_state(op->stage);
    leat__wanted wanted;
    for (int emitted = 0; state->count || state->losses || all; emitted++) {
        if (emitted == BURST) return LEAT__MORE;
        leat__walk_step step = leat__walk_find(&state->walk, until_of(state, all), &wanted);
        if (step == LEAT__WALK_NO_MEMORY) return no_memory(op);
        if (step == LEAT__WALK_NONE) return LEAT__DONE;
        if (state->causes) drop_losses(state, &wanted);
        bool there = state->count && state->heap[0].segment == wanted.segment && state->heap[0].n == wanted.n;
        loss *lost = there ? NULL : loss_of(state, &wanted);
        if (there) leat__emit(op, &heap_take(state)->item);
        else if (!lost) return all ? leat__op_fail(op, LEAT_EBUG, "sample %llu of object %llu never came",
                                                   (unsigned long long)wanted.stored.index,
                                                   (unsigned long long)wanted.stored.object) : LEAT__DONE;
        else if (!emit_lost(op, &wanted, lost)) return no_memory(op);
        leat__walk_on(&state->walk);
    }
    return LEAT__DONE;
}

static leat__step too_much(leat__op *op)
{
    const arrange_state *state = leat__stage_state(op->stage);
    return leat__op_fail(op, LEAT_ENOMEM,
                         "%.400s: %zu samples of a shuffle window wait for their turn and take %.1f MB, more than the %.1f MB of "
                         "memory_limit that a lane has for them, and a shard that is compressed, or whose index has no places, can "
                         "only be read in its order: lower shuffle_window or lanes, raise memory_limit, or store the shards "
                         "uncompressed, with leat index", state->heap[0].sample->object->display, state->count,
                         (double)state->weight / 1e6, (double)state->options.held_bytes / 1e6);
}

static leat__step arrange_begin(leat__op *op)
{
    LEAT__ASSERT_LOOP(leat__stage_pipeline(op->stage));
    arrange_state *state = leat__stage_state(op->stage);
    const leat__arrange_options *options = &state->options;
    leat__sample *sample = (leat__sample *)op->input;
    if (!state->begun && !leat__walk_begin(&state->walk, options->course, options->source, options->number)) return no_memory(op);
    state->begun = true;
    leat__step step = LEAT__DONE;
    if (sample && sample->lost_object) {
        step = note_end(op, sample);
        leat__item_release(&sample->item);
    } else if (sample) {
        step = admit(op, sample);
    }
    op->input = NULL;
    if (step == LEAT__DONE) step = let_go(op, false);
    return step != LEAT__FAILED && state->weight > options->held_bytes && state->count > 1 ? too_much(op) : step;
}

/* The end of the stream: the course is over. */
static leat__step arrange_flush(leat__op *op)
{
    arrange_state *state = leat__stage_state(op->stage);
    return state->begun ? let_go(op, true) : LEAT__DONE;
}

const leat__stage_type leat__arrange_type = {.name = "arrange", .begin = arrange_begin, .flush = arrange_flush,
                                             .destroy = arrange_destroy};
