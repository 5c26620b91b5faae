/* stage.h - the stage runtime: what a stage is made of, and what it may say.
 *
 * Writing a stage is writing one function: here is an item; emit none, one or many; now, from a pool, or later. The engine
 * does the rest: it takes items when there is a free operation, room behind and (if asked) a permission; it keeps results in
 * the order of their inputs; it holds them while the queue behind is full; it carries markers, ends and errors through in
 * their places; it cancels, times out, counts and measures.
 *
 *     static leat__step double_it(leat__op *op)            // on a worker: owns op->input and what it emits
 *     {
 *         struct number *in = (struct number *)op->input;
 *         leat__emit(op, number_new(in->value * 2));
 *         return LEAT__DONE;
 *     }
 *     static const leat__stage_type doubler = {.name = "double", .job = double_it};
 *
 * An operation (leat__op) is one item being worked on: a task in asyncio's words. It belongs to its stage, which belongs to its
 * pipeline, and ends before they do (structured concurrency). Its life:
 *
 *     free --take--> [delayed] --begin--> DONE/FAILED -------------------------------> ended --results out--> free
 *                                  |-----> CPU/IO: job() on a worker --> DONE/FAILED --^
 *                                  |                              |----> MORE: when its results are out, job() again
 *                                  |                              `----> AGAIN: when its results are out, begin() again
 *                                  `-----> LATER: leat__emit, leat__op_end from callbacks on the loop
 */
#ifndef LEAT__STAGE_H
#define LEAT__STAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include <leat/error.h>
#include <leat/stats.h>

#include "pipeline/item.h"
#include "pipeline/marker.h"
#include "pipeline/pool.h"
#include "pipeline/queue.h"

typedef struct leat__pipeline leat__pipeline;
typedef struct leat__stage leat__stage;
typedef struct leat__op leat__op;

typedef enum leat__step {
    LEAT__DONE,   /* finished with the item */
    LEAT__MORE,   /* not finished: call the same function again once what was emitted is out and there is room */
    LEAT__AGAIN,  /* from job: as MORE, but it is begin that is called again */
    LEAT__CPU,    /* from begin: go on in job(), on the CPU pool */
    LEAT__IO,     /* from begin: go on in job(), on the I/O pool */
    LEAT__LATER,  /* from begin: goes on by itself on the loop, until leat__op_end */
    LEAT__FAILED, /* op->error is filled: the stream ends here, with it */
} leat__step;

struct leat__op {
    leat__job job;
    /* fixed after creation */
    leat__stage *stage;
    /* the op's own: the loop thread's, or the job's while it runs */
    leat__item *input; /* NULL for a stage without inbox. Released by the engine at the end; set it to NULL to keep it */
    leat__items out;   /* emitted and not yet passed on */
    void *state;       /* the stage's, NULL at begin */
    leat_error error;  /* with LEAT__FAILED */
    /* loop thread only: the engine's */
    leat__op *next, *previous; /* ops of the stage in the order of their inputs; free ones by next */
    int phase;
    leat__step step;
    leat__step (*function)(leat__op *op); /* that goes on after MORE or a delay */
    uv_timer_t timer, deadline;
    bool timers_made;
    bool wants_room;
    bool on_io;        /* its job runs on the I/O pool */
    uint64_t begun_ns;
    /* atomic */
    atomic_bool cancelled; /* a running job whose result nobody wants: may end early */
};

typedef struct leat__stage_type {
    const char *name; /* stages of one name are counted together in the statistics */
    /* Loop thread: begins work on op->input. NULL: straight to job on the CPU pool. A stage without inboxes is called with
     * input NULL, again after MORE, until DONE. */
    leat__step (*begin)(leat__op *op);
    /* Worker: returns DONE, MORE, AGAIN or FAILED. */
    leat__step (*job)(leat__op *op);
    /* Loop thread: op->input is a marker, or NULL at the end of the stream; every item before it has been worked on. Emits what
     * the stage held back; DONE, MORE or FAILED. NULL: nothing is held back. For stages of concurrency 1. */
    leat__step (*flush)(leat__op *op);
    /* Loop thread: an op in LATER that called leat__op_want_room has room again. */
    void (*room)(leat__op *op);
    /* Loop thread: the time of leat__op_after has come. */
    void (*timer)(leat__op *op);
    /* Loop thread: an op in LATER is to end: drop everything; it is over on return. Required with LATER. */
    void (*cancel)(leat__op *op);
    /* Loop thread: may this item begin (or, after MORE, go on) now? input NULL: a stage without inbox. Asked again after
     * leat__pipeline_wake. NULL: always. */
    bool (*ready)(leat__stage *stage, const leat__item *input);
    /* Loop thread: which inbox to take from next (LEAT__NO_INBOX: wait), among those for which leat__stage_can_take or that
     * wait for items. NULL: inbox 0. */
    unsigned (*select)(leat__stage *stage);
    /* Any thread, after the last operation: frees the stage's state. NULL: nothing to free. */
    void (*destroy)(void *state);
} leat__stage_type;

#define LEAT__NO_INBOX UINT32_MAX

typedef struct leat__stage_options {
    void *state;            /* takes; goes to type->destroy, also when making the stage fails */
    unsigned inboxes;       /* 0: a source; 1; or more, merged by type->select */
    unsigned concurrency;   /* operations at a time, >= 1 */
    bool unordered;         /* results leave as they come, not in the order of their inputs */
    size_t queue_items;     /* bounds of each inbox */
    size_t queue_bytes;
    uint64_t timeout_ns;    /* an operation in LATER for longer fails with LEAT_ETIMEOUT; 0: never */
} leat__stage_options;

/* ---- building: before leat__pipeline_start, any thread ---- */

/* Makes a stage of the pipeline, which owns it. NULL if memory is short (type->destroy has been called on the state). */
leat__stage *leat__stage_new(leat__pipeline *pipeline, const leat__stage_type *type, const leat__stage_options *options);

/* Joins from's outlet to inbox number `inbox` of to. */
void leat__stage_connect(leat__stage *from, leat__stage *to, unsigned inbox);

/* ---- for stages, on the loop thread unless said otherwise ---- */

void *leat__stage_state(const leat__stage *stage); /* any thread */
leat__pipeline *leat__stage_pipeline(const leat__stage *stage); /* any thread */

/* Emits a result (takes). In begin, job, flush, or for an op in LATER anywhere on the loop. */
void leat__emit(leat__op *op, leat__item *item);

/* Emits the input itself, and is done with it: what a begin or a job that changes nothing, or works in place, returns. */
leat__step leat__emit_input(leat__op *op);

/* For an op in LATER: true if the queue behind is full, or has not even taken what was emitted before the last item. */
bool leat__op_is_full(const leat__op *op);

/* For an op in LATER: has type->room(op) called once it is not full and type->ready agrees. */
void leat__op_want_room(leat__op *op);

/* True if the next stage waits for something: a good moment to hand out what is there. */
bool leat__op_is_wanted(const leat__op *op);

/* For an op in LATER: goes on with step: DONE, FAILED, CPU, IO. */
void leat__op_end(leat__op *op, leat__step step);

/* For an op in LATER: has type->timer(op) called after so long (ms granularity), unless the op ends before. */
void leat__op_after(leat__op *op, uint64_t ns);

/* An op's error, from begin or job: fills op->error as leat__fail does and returns LEAT__FAILED. */
leat__step leat__op_fail(leat__op *op, leat_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* For select: inbox i has an item that is no marker; has neither item nor end nor marker, so that one may still come. */
bool leat__stage_can_take(const leat__stage *stage, unsigned i);
bool leat__stage_may_come(const leat__stage *stage, unsigned i);

#endif
