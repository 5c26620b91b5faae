/* run.h - what the files of leat fetch share. Nobody else includes it; the outside sees include/leat/fetch.h.
 *
 * fetch.c       a run from begin to end: settings, threads, the caller's wait
 * fetchset.c    the settings, completed and checked
 * fetchloop.c   the loop's side: client, timers, turns
 * planner.c     thread: entries, what is there of them, claims; several passes
 * presence.c    what lies under an entry's name already, and what follows from it
 * spill.c       entries that have to be looked at again, kept in a file
 * target.c      loop: one file on its way, from claim to commit or failure
 * streams.c     loop: its transfers, and which part of it each fetches
 * grid.c        parts: arithmetic only
 * writing.c     pool: the jobs: bytes to disk, checksums
 * temporary.c   a target's file in .leat/work, its journal, and those of earlier runs
 * copying.c     pool: local sources
 * committer.c   thread: groups of finished files get their records and names
 * leftovers.c   what broken-off runs have left in .leat/work, found and swept
 * telling.c     events and progress to the calling thread; failed.jsonl
 *
 *     planner ──target──► loop ──buffers──► pool ──done──► loop ──whole──► committer ──named──► loop ──► concluded
 *        ▲                  │                                                                      │
 *        └──────spill───────┴── taken by another process, or failed: once more at the end ─────────┘
 *
 * A target belongs to the planner until it is posted, to the loop from then on, but for the fields that its jobs own while one
 * runs,
 * and to the committer between commit and its return. */
#ifndef LEAT__FETCH_RUN_H
#define LEAT__FETCH_RUN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/queue.h>
#include <uv.h>

#include <leat/fetch.h>

#include "fetch/entries.h"
#include "fetch/grid.h"
#include "fetch/spill.h"
#include "pipeline/buffer.h"
#include "pipeline/loop.h"
#include "pipeline/pool.h"
#include "pipeline/random.h"
#include "stages/http.h"
#include "store/journal.h"
#include "store/owner.h"
#include "store/records.h"
#include "store/root.h"

#define LEAT__NO_BYTES UINT64_MAX /* a size that is not known */

enum {
    LEAT__FETCH_ID = 33,          /* of an object: 32 hexadecimal digits, and NUL */
    LEAT__FETCH_NAME = LEAT__FETCH_ID + LEAT__TOKEN_BYTES + 16, /* of a file in .leat/work */
    LEAT__WRITE_BUFFERS = 16,     /* that one job writes */
    LEAT__FETCH_BUCKETS = 4096,   /* of a table of what is under way: a quarter of the most there may be */
};

typedef struct leat__run leat__run;
typedef struct leat__target leat__target;
typedef struct leat__strand leat__strand; /* a transfer's side of a target */

/* ---- presence.c ---- */

typedef enum leat__presence {
    LEAT__PRESENCE_NONE,    /* nothing is there: fetch it */
    LEAT__PRESENCE_WHOLE,   /* it is there: nothing to do */
    LEAT__PRESENCE_OLD,     /* an older one of leat's is there: fetch it and replace that */
    LEAT__PRESENCE_STRANGE, /* something is there that leat did not write: *error says what */
} leat__presence;

/* Looks. May read the whole file, if only a checksum can tell. Planner thread. */
leat__presence leat__presence_of(leat__run *run, const leat__entry *entry, leat_error *error);
/* The set's keys of a file that is finished; sum may be NONE. False if memory is short. */
bool leat__presence_note(leat__finished *finished, const char *path, const char *url, uint64_t bytes, const leat__sum *sum);

/* ---- target.c ---- */

typedef enum leat__target_state {
    LEAT__TARGET_QUEUED,     /* waits for its turn */
    LEAT__TARGET_LOOKING,    /* a job looks over the parts of an earlier run */
    LEAT__TARGET_FETCHING,   /* transfers run, or a local copy */
    LEAT__TARGET_FINISHING,  /* all bytes are on disk: the last job ends checksums and closes the file */
    LEAT__TARGET_COMMITTING, /* the committer has it */
    LEAT__TARGET_ENDING,     /* failed, cancelled or to be begun anew: waits for its transfers and jobs */
} leat__target_state;

/* What becomes of a target when its jobs have returned. */
typedef enum leat__fate {
    LEAT__FATE_NONE,
    LEAT__FATE_ANEW,      /* it has changed, or its parts are no good: from the start, once */
    LEAT__FATE_FAILED,
    LEAT__FATE_CANCELLED, /* what is there of it is kept */
} leat__fate;

struct leat__target {
    leat__call call;            /* to the loop, and back from the committer */
    /* fixed after creation */
    leat__run *run;
    leat__entry entry;          /* strings: owned, in one allocation with this */
    char id[LEAT__FETCH_ID];
    bool replace;               /* an older file of ours may be overwritten */
    bool second;                /* it failed before: this is its last try */
    char data_of[LEAT__TOKEN_BYTES], journal_of[LEAT__TOKEN_BYTES]; /* under whose tokens parts of an earlier run lie; "": none */
    /* loop thread only */
    leat__target_state state;
    leat__fate fate;
    TAILQ_ENTRY(leat__target) link; /* in run->queued or run->active */
    LIST_ENTRY(leat__target) twin_link; /* in run->by_id; under the run's lock */
    LIST_HEAD(, leat__strand) streams;
    uint32_t stream_count;      /* of them, those with a transfer */
    uint32_t jobs;              /* in the pool */
    bool told;                  /* START was said */
    bool looked;                /* for parts of an earlier run */
    bool learning;              /* a job learns what it is, LOOK or the first COPY: grid and what belongs to it are that one's */
    bool restarted;             /* from the start, once */
    bool alone;                 /* its server does not do ranges as it says: one transfer, from the start */
    bool learnt;                /* its server has told what it is */
    bool held;                  /* a local copy waits for --limit-rate */
    bool counted;               /* its size is in now.planned_bytes */
    bool opening, opened;       /* the job that opens the temporary file runs; has run */
    bool whole;                 /* without grid: its transfer has ended well */
    bool finished;              /* and FINISH is done */
    uint64_t total;             /* LEAT__NO_BYTES: not known */
    char etag[128], modified[64], type[64];
    bool ranges, sized;         /* sized: the server told a size */
    leat__grid grid;            /* parts; count 0: none, one transfer from the start to the end */
    uint64_t received;          /* bytes of it that came, without a grid */
    uint32_t attempts;
    uint64_t sum_to;            /* grid: parts up to this byte are there, from the beginning */
    leat_error error;           /* the first */
    /* the jobs' own while they run; fd, journal and grid.crcs of different parts are used side by side */
    char name[LEAT__FETCH_NAME];/* of its temporary file; "": none */
    int fd;
    pthread_mutex_t journal_lock;
    leat__journal *journal;
    leat__summer *summer;       /* entry.sum's, NULL: none */
    uint64_t summed;            /* grid: bytes of the file that it has seen */
    bool summing;               /* a job has it; loop's */
    uint32_t crc;               /* single: of all so far; then of the whole file */
    uint64_t size;              /* of the whole file */
    leat__sum sum;              /* what the file's own checksum is */
    bool verified;
    /* the committer's */
    leat__target *next;
    bool again;                 /* something came between: look again */
};
TAILQ_HEAD(leat__target_list, leat__target);
LIST_HEAD(leat__target_bucket, leat__target);

/* Makes a target of an entry (copied). NULL if memory is short. */
leat__target *leat__target_new(leat__run *run, const leat__entry *entry);
void leat__target_free(leat__target *target); /* takes; closes what is open */
/* Whether one of the same name is under way. Planner thread. */
bool leat__target_has_twin(leat__run *run, const leat__target *target);
void leat__target_post(leat__target *target); /* from the planner to the loop */
/* Starts what waits, as far as there is room. */
void leat__targets_start(leat__run *run);
/* It cannot be had (fate FAILED, error set), or is to be begun anew or put aside: ends transfers, waits for jobs. */
void leat__target_end(leat__target *target, leat__fate fate, const leat_error *error);
/* Something of it came back: goes on to whatever is next. */
void leat__target_step(leat__target *target);
/* The committer gave it back. */
void leat__target_committed(leat__call *call);
/* Counts its size, as soon as it is known. */
void leat__target_sized(leat__target *target, uint64_t bytes);
/* Ends every target: the run was stopped, or the disk is full. */
void leat__targets_cancel(leat__run *run);
/* ---- streams.c ---- */

struct leat__strand {
    LIST_ENTRY(leat__strand) link;
    leat__target *target;
    leat__transfer *transfer;   /* NULL: ended */
    uint64_t part;              /* grid: the one that is arriving */
    uint64_t limit;             /* grid: its end */
    uint64_t offset;            /* of the next byte to arrive */
    uint64_t written;           /* of the next byte to be written */
    uint32_t crc;               /* of the part so far, up to `written`; the job's while one runs */
    leat__bytes pending[LEAT__WRITE_BUFFERS]; /* [offset - pending, offset) */
    unsigned pending_count;
    bool busy;                  /* a job writes */
    bool paused;                /* the transfer waits for room */
    bool dirty;                 /* in run->dirty */
    uint64_t begun_ns, looked_ns, looked_at; /* F14: when it began; when and where it was last looked at */
    LIST_ENTRY(leat__strand) dirty_link;
};
LIST_HEAD(leat__strand_list, leat__strand);

/* Begins to fetch a target: from the start, or what its grid lacks. */
void leat__streams_begin(leat__target *target);
/* Gives it more connections, if there are any to be had and that would help. */
void leat__streams_spread(leat__target *target);
/* Whether another transfer should be begun. */
bool leat__streams_have_room(leat__run *run);
/* Ends the transfers; jobs go on. */
void leat__streams_cancel(leat__target *target);
void leat__strand_mark(leat__strand *stream); /* to be pumped in this turn */
void leat__strand_free(leat__strand *stream);  /* takes; neither transfer nor job has it */
/* Writes what has come; lets paused ones go on. */
void leat__streams_pump(leat__run *run);
void leat__streams_resume(leat__run *run);
/* F14: the last transfers of a run that crawl go on over new connections. */
void leat__streams_renew_slow(leat__run *run, uint64_t now_ns);

/* ---- writing.c ---- */

typedef enum leat__write_kind {
    LEAT__JOB_LOOK,   /* takes over the parts of an earlier run: the grid is made, or not */
    LEAT__JOB_WRITE,
    LEAT__JOB_SUM,    /* reads what is there for the entry's checksum */
    LEAT__JOB_COPY,   /* a local source: a part, or the whole */
    LEAT__JOB_FINISH, /* ends checksums, compares, closes */
} leat__write_kind;

typedef struct leat__write_job {
    leat__job job;
    leat__target *target;
    leat__strand *stream;    /* NULL: of no transfer */
    leat__write_kind kind;
    leat__bytes buffers[LEAT__WRITE_BUFFERS]; /* WRITE: they follow each other, from `offset` on */
    unsigned count;
    uint64_t offset, bytes;
    bool finish;                /* WRITE, COPY: and then what FINISH does */
    uint64_t to;                /* SUM: up to this byte */
    uint64_t part;              /* COPY: which, if there is a grid */
    /* results */
    uint64_t first_part, end_part; /* WRITE, COPY: these are there now */
    leat_error error;
} leat__write_job;

/* Hands a job to the pool. False if memory is short. */
leat__write_job *leat__write_job_new(leat__target *target, leat__write_kind kind);
void leat__write_job_submit(leat__write_job *job);
/* Takes back what the pool has done. Loop. */
void leat__writing_reap(leat__run *run);

/* ---- temporary.c: each by a job, or by whoever has the target ---- */

/* Opens a target's temporary file, if it is not open; and begins its journal, if it has a grid and none yet. */
leat_code leat__temporary_open(leat__target *target, leat_error *error);
/* Writes bytes at an offset. */
leat_code leat__temporary_write(leat__target *target, const void *data, size_t size, uint64_t offset, leat_error *error);
/* A part is there. */
leat_code leat__temporary_note(leat__target *target, uint64_t part, uint32_t crc, leat_error *error);
/* Takes over what lies under data_of and journal_of: those parts whose checksums are right are in the grid afterwards; without any,
   there is no
 * grid, and nothing is left. */
void leat__temporary_adopt(leat__target *target);
/* Closes it. */
leat_code leat__temporary_close(leat__target *target, leat_error *error);
/* Removes it and its journal. */
void leat__temporary_remove(leat__target *target);
/* A failed system call on the disk in words: LEAT_EDISK; a full disk with what is free. */
leat_code leat__disk_fail(leat__run *run, const char *what, int number, leat_error *error);
/* True if no other file can be written either. */
bool leat__disk_is_full(const leat_error *error);

/* ---- copying.c ---- */

/* What a COPY job does; what follows from it, on the loop. */
void leat__copy_run(leat__write_job *job);
void leat__copy_returned(leat__write_job *job);
/* Submits the next one. Loop. */
void leat__copy_next(leat__target *target);
/* ---- committer.c ---- */

typedef struct leat__committer leat__committer;
leat__committer *leat__committer_new(leat__run *run, leat_error *error);
void leat__commit(leat__committer *committer, leat__target *target); /* loop; takes, until leat__target_committed */
void leat__committer_hurry(leat__committer *committer); /* nothing else is under way: a group need not wait for more */
void leat__committer_free(leat__committer *committer); /* takes; ends the thread: nothing is in it any more */

/* ---- leftovers.c ---- */

typedef struct leat__leftovers leat__leftovers;
/* Finds the journaled files of dead owners in .leat/work. fresh: removes them instead. */
leat_code leat__leftovers_find(leat__run *run, bool fresh, leat__leftovers **leftovers, leat_error *error);
/* Under which tokens the parts of a target, and their journal, lie, if there are any: under `token` ("": none in particular), or
   under one that was
 * dead when the run began. */
void leat__leftovers_of(leat__run *run, const char *token, leat__target *target);
void leat__leftovers_free(leat__leftovers *leftovers);
/* At the end of a run: removes what dead owners left that nobody can go on with. */
void leat__leftovers_sweep(leat__run *run);
/* The name of the journal beside a file in .leat/work. */
void leat__leftover_journal(const char *name, char out[LEAT__FETCH_NAME]);
/* Removes what lies in .leat/work under a name, with its journal. */
void leat__leftover_remove(leat__run *run, const char *name);

/* ---- telling.c ---- */

typedef struct leat__teller leat__teller;
leat__teller *leat__teller_new(leat__run *run);
void leat__teller_free(leat__teller *teller);
/* Puts an event in the caller's queue. Any thread. entry may be NULL. */
void leat__tell(leat__run *run, leat_fetch_event_kind kind, const leat__entry *entry, uint64_t bytes, const char *reason,
                uint32_t attempts,
                uint64_t delay_ms, bool unverified, const leat_error *error);
/* Calls the caller's functions for what has come; false once the run is over and all is said. wait: up to 100 ms. Calling thread.
   */
bool leat__teller_say(leat__teller *teller);
/* Counts, tells and lists a file that failed for good. Any thread. */
void leat__tell_failed(leat__run *run, const leat__entry *entry, uint32_t attempts, const leat_error *error);
/* Takes a picture for the caller. Loop. */
void leat__teller_picture(leat__run *run);
/* Counts and lists (NULL: counts only) a file that a stop has come before. Any thread. */
void leat__tell_cancelled(leat__run *run, const leat__entry *entry, uint32_t attempts);
/* failed.jsonl gets its name; or goes, if nothing failed. Calling thread, at the end. */
void leat__failed_list_end(leat__run *run);
/* The run is over: wakes the caller. */
void leat__teller_end(leat__teller *teller);
/* True while the caller is behind: nothing new should be begun. */
bool leat__teller_behind(leat__teller *teller);
void leat__teller_wait(leat__teller *teller); /* until it is not. Planner thread */

/* ---- the run ---- */

struct leat__run {
    /* fixed after creation */
    leat_fetch_config config;      /* completed */
    leat_config network;           /* for the HTTP client and lists */
    leat_fetch_result *result;
    leat__root root, state, work;  /* DIR, DIR/.leat, DIR/.leat/work; not open in a dry run where they are not there */
    leat__finished *finished;
    leat__owner *owner;
    leat__leftovers *leftovers;
    leat__spill *spill;
    leat__loop *loop;
    leat__arena *arena;
    leat__pool *pool;
    leat__committer *committer;
    leat__teller *teller;
    pthread_t planner;
    size_t chunk_bytes;
    struct timespec begun;         /* wall clock, as files have it */
    leat__budget budget;
    leat__random random;           /* of the delays; loop thread */
    /* loop thread only */
    leat__http *http;
    uv_timer_t tick, refill, flush;
    uv_prepare_t prepare;
    unsigned open_handles;
    bool handles_made;
    uv_sem_t closed;
    leat_error loop_error;         /* of begin */
    struct leat__target_list queued, active;
    struct leat__strand_list dirty;
    uint32_t submitted;            /* jobs since the last flush */
    uint32_t queued_count, active_count, committing, streams_paused, transfers, copies;
    double usual_rate;             /* F14: bytes a second of a transfer, as those that ended had; 0: not known */
    uint64_t ticks;
    double tokens;                 /* of --limit-rate, bytes; below 0: owed */
    uint64_t refilled_ns;
    bool cancelled;                /* nothing more is begun */
    bool ended;                    /* no job will come back */
    uint64_t bytes;                /* that came */
    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    leat_fetch_progress now;       /* its counts of files, and their bytes */
    uint64_t failed_by[LEAT_FETCH_BAD_DATA + 1]; /* files, by trouble */
    FILE *failed_list;             /* NULL: nothing failed yet */
    char *quoted;                  /* room for a line of it */
    uint64_t alive;                /* targets that were posted and not concluded */
    uint64_t waiting;              /* of them, not begun */
    bool planner_waits;            /* for room */
    struct leat__target_bucket by_id[LEAT__FETCH_BUCKETS]; /* all that are alive */
    leat_error error;              /* why the run itself ends; the first */
    /* the owner's functions, which are one thread's at a time */
    pthread_mutex_t owner_lock;
    /* atomic */
    atomic_bool stopping;          /* no pass goes on, no target is begun */
    atomic_uint_fast64_t unwritten;/* bytes that wait for the disk */
};

/* Ends the run early: error (first wins) and stopping. Any thread. */
void leat__run_stop(leat__run *run, const leat_error *error);
void leat__run_drop_claim(leat__run *run, const char *id);
/* The caller's stop flag, which a signal handler may be setting. Any thread. */
bool leat__run_is_told_to_stop(const leat__run *run);
void *leat__planner_main(void *run);
/* Wakes the planner if it waits, and there is room enough for that to be worth it. Loop. */
void leat__planner_wake_locked(leat__run *run);
/* Puts what is recorded of finished files into run->finished. */
leat_code leat__planner_read_records(leat__run *run, leat_error *error);

/* ---- fetchset.c ---- */

/* Completes run->config and run->network of what was given. */
leat_code leat__fetch_settings(const leat_fetch_config *given, leat__run *run, leat_error *error);

/* ---- fetchloop.c: calling thread ---- */

leat_code leat__fetch_loop_begin(leat__run *run, leat_error *error);
/* Nothing is under way any more: ends client and loop. {0} is fine. */
void leat__fetch_loop_end(leat__run *run);

#endif
