/* toys.c - toy stages: every kind the engine promises. */
#include "toys.h"

#include <assert.h>
#include <semaphore.h>

atomic_size_t toys_live;

static void number_release(leat__item *item)
{
    atomic_fetch_sub(&toys_live, 1);
    free(item);
}

static const leat__item_type number_type = {.name = "number", .release = number_release};

toy_number *toy_number_new(uint64_t value)
{
    toy_number *number = malloc(sizeof *number);
    assert(number);
    *number = (toy_number){.item = {.type = &number_type, .bytes = 8}, .value = value};
    atomic_fetch_add(&toys_live, 1);
    return number;
}

uint64_t toy_value(const leat__item *item)
{
    assert(item->type == &number_type);
    return ((const toy_number *)item)->value;
}

static void emit_value(leat__op *op, uint64_t value)
{
    leat__emit(op, &toy_number_new(value)->item);
}

static leat__step source_begin(leat__op *op)
{
    toy_source *source = leat__stage_state(op->stage);
    if (source->next == source->count) return LEAT__DONE;
    emit_value(op, source->next++);
    if (source->epoch && source->next % source->epoch == 0)
        leat__emit(op, &leat__marker_new(source->next / source->epoch - 1)->item);
    return LEAT__MORE;
}
const leat__stage_type toy_source_type = {.name = "source", .begin = source_begin};

const leat__stage_type toy_pass_type = {.name = "pass", .begin = leat__emit_input};

static leat__step add(leat__op *op)
{
    assert(leat__pipeline_on_worker(leat__stage_pipeline(op->stage)));
    ((toy_number *)op->input)->value++;
    return leat__emit_input(op);
}
const leat__stage_type toy_add_type = {.name = "add", .job = add};

static leat__step to_io(leat__op *op)
{
    (void)op;
    return LEAT__IO;
}
const leat__stage_type toy_io_type = {.name = "io", .begin = to_io, .job = add};

static leat__step repeat(leat__op *op)
{
    uint64_t value = toy_value(op->input), done = (uint64_t)(uintptr_t)op->state;
    if (done == value % 4) return LEAT__DONE;
    emit_value(op, value * 10 + done);
    op->state = (void *)(uintptr_t)(done + 1);
    return LEAT__MORE;
}
const leat__stage_type toy_repeat_type = {.name = "repeat", .job = repeat};

typedef struct sum_state {
    uint64_t sum;
    unsigned count;
} sum_state;

static leat__step sum_flush(leat__op *op)
{
    sum_state *state = leat__stage_state(op->stage);
    if (state->count) emit_value(op, state->sum);
    *state = (sum_state){0};
    return LEAT__DONE;
}

static leat__step sum(leat__op *op)
{
    sum_state *state = leat__stage_state(op->stage);
    state->sum += toy_value(op->input);
    return ++state->count == 3 ? sum_flush(op) : LEAT__DONE;
}
const leat__stage_type toy_sum_type = {.name = "sum", .begin = sum, .flush = sum_flush};

static leat__step timer_begin(leat__op *op)
{
    leat__op_after(op, toy_value(op->input) % 3 * 1000000);
    return LEAT__LATER;
}

static void timer_fired(leat__op *op)
{
    leat__op_end(op, leat__emit_input(op));
}

static void drop(leat__op *op)
{
    (void)op;
}
const leat__stage_type toy_timer_type = {.name = "timer", .begin = timer_begin, .timer = timer_fired, .cancel = drop};

static leat__step hang(leat__op *op)
{
    (void)op;
    return LEAT__LATER;
}
const leat__stage_type toy_hang_type = {.name = "hang", .begin = hang, .cancel = drop};

static leat__step fail_at(leat__op *op)
{
    const uint64_t *at = leat__stage_state(op->stage);
    if (toy_value(op->input) == *at) return leat__op_fail(op, LEAT_EUSER, "value %llu is bad", (unsigned long long)*at);
    return leat__emit_input(op);
}
const leat__stage_type toy_fail_type = {.name = "fail", .job = fail_at};

static unsigned merge_select(leat__stage *stage)
{
    unsigned *turn = leat__stage_state(stage);
    for (unsigned n = 0; n < 4; n++) {
        if (leat__stage_can_take(stage, *turn) || leat__stage_may_come(stage, *turn)) return *turn;
        *turn = (*turn + 1) % 4;
    }
    return LEAT__NO_INBOX;
}

static leat__step merge(leat__op *op)
{
    unsigned *turn = leat__stage_state(op->stage);
    *turn = (*turn + 1) % 4;
    return leat__emit_input(op);
}

static leat__step merge_flush(leat__op *op)
{
    *(unsigned *)leat__stage_state(op->stage) = 0;
    return LEAT__DONE;
}
const leat__stage_type toy_merge_type = {.name = "merge", .begin = merge, .select = merge_select, .flush = merge_flush};

static leat__step park(leat__op *op)
{
    sem_wait(leat__stage_state(op->stage));
    return leat__emit_input(op);
}
const leat__stage_type toy_park_type = {.name = "park", .job = park};
