/* engine.h - what stage.c, intake.c, op.c and pipeline.c share: the insides of stages and pipelines. Nobody else includes it. */
#ifndef LEAT__ENGINE_H
#define LEAT__ENGINE_H

#include "pipeline/pipeline.h"

typedef enum leat__phase {
    LEAT__PHASE_FREE = 0,
    LEAT__PHASE_DELAYED, /* by env->delay_ns */
    LEAT__PHASE_JOB,     /* the pool has it */
    LEAT__PHASE_LATER,
    LEAT__PHASE_MORE,    /* to go on when its results are out */
    LEAT__PHASE_ENDED,   /* nothing left to do but to pass on results */
} leat__phase;

typedef struct leat__meter {
    uint64_t items, bytes, busy_ns, starved_ns, blocked_ns;
    uint64_t since_ns;   /* the state below holds since then */
    enum { LEAT__METER_IDLE, LEAT__METER_STARVED, LEAT__METER_BLOCKED } state;
} leat__meter;

struct leat__stage {
    /* fixed after creation */
    leat__pipeline *pipeline;
    const leat__stage_type *type;
    leat__stage_options options;
    leat__queue *inboxes;
    leat__stage **writers;     /* of each inbox */
    leat__stage *reader;       /* the stage behind, NULL: none */
    leat__queue *outbox;       /* one of the reader's inboxes, NULL: none */
    leat__outlet *outlet;      /* instead of a reader; NULL: none */
    leat__op *ops;             /* options.concurrency of them */
    leat__stage *next;         /* of the pipeline */
    /* loop thread only */
    leat__op *free, *first, *last;
    unsigned active;
    unsigned waiting;          /* of them, in LEAT__PHASE_MORE */
    leat__meter meter;
    bool flushed;              /* at the end of the stream */
    bool source_begun;         /* a stage without inbox has had its one operation */
    bool over;                 /* ended, failed or abandoned: takes and emits nothing more */
    bool dirty;
    leat__stage *next_dirty;
};

struct leat__pipeline {
    /* fixed after creation */
    const leat__env *env;
    leat__loop *loop;
    leat__pool *cpu, *io;
    unsigned threads;
    /* before start, then fixed */
    leat__stage *stages, *last_stage;
    leat__closer *closers;
    uint64_t begun_ns;
    /* loop thread only */
    uv_prepare_t prepare;
    uv_check_t check;
    uv_timer_t look;           /* for finished jobs that nobody has told of */
    leat__stage *dirty, *last_dirty;
    size_t operations;         /* ops that are not free */
    size_t open_handles;       /* of ours, until their close callbacks */
    size_t open_closers;
    bool handles_made, in_turn, closing, closers_called, handles_closed;
    /* for the thread that closes */
    uv_sem_t closed;
    /* atomic */
    atomic_bool stop;
    atomic_bool look_again;    /* wake means: mark every stage */
};

/* op.c */
void leat__op_start(leat__op *op, leat__step (*function)(leat__op *op)); /* runs one step, now or delayed */
void leat__op_job_returned(leat__op *op);
void leat__op_cancel(leat__op *op);  /* in any phase; retired now, or when its job returns */
void leat__op_retire(leat__op *op);
void leat__op_set_phase(leat__op *op, leat__phase phase);

/* stage.c */
void leat__stage_mark(leat__stage *stage);
uint64_t leat__stage_pump(leat__stage *stage, uint64_t now); /* gives the time at its end */
void leat__stage_abandon(leat__stage *stage); /* drops everything, and what is before it */
bool leat__stage_has_room_behind(const leat__stage *stage);
void leat__stage_free(leat__stage *stage);
bool leat__stage_may_step(leat__stage *stage, const leat__item *input); /* room behind, and the type's permission */
void leat__stage_end_behind(leat__stage *stage, const leat_error *error);

/* intake.c: each does one thing if it can, and says whether */
bool leat__intake_take_one(leat__stage *stage);
bool leat__intake_begin_source(leat__stage *stage);
bool leat__intake_end_stream(leat__stage *stage);

static inline uint64_t leat__now(const leat__pipeline *pipeline)
{
    return pipeline->env->now_ns(pipeline->env->user);
}

#endif
