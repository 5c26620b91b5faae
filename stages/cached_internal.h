/* cached_internal.h - what cached.c and cachedjob.c share: a lane's way through the cache. Nobody else includes it. */
#ifndef LEAT__CACHED_INTERNAL_H
#define LEAT__CACHED_INTERNAL_H

#include "stages/cached.h"
#include "stages/webread.h"

typedef struct leat__cached {
    /* fixed after creation */
    leat__lane *lane;
    leat__fills *fills;
    /* the job's while it runs, else the loop's */
    leat__webread web;
    uint64_t ordinal;           /* objects begun in this lane */
    leat__op *op;
    bool over;                  /* its task has ended: the next begin is of another one */
    enum { LOOK, LOOKED, READ, PAST } at;
    const leat__object *object; /* that key and file are of */
    leat__cachekey key;
    leat__cachefile file;       /* fd -1: not open */
    uint64_t offset, end;       /* the task's: read so far, and to be read; end is known once the file is open */
    uint64_t there;             /* bytes of the object that may be read: as of the last look */
    bool counted;               /* in the statistics, of this object */
    bool fresh;                 /* it came in while we waited */
    bool past;                  /* the rest of it goes past the cache, extents that follow as well */
    bool may_fill;
    leat__cachelook look;       /* what the job has found */
    leat__cachefile found;
    leat__cachewriter part;
    /* loop thread only */
    leat__fill *fill;           /* taken, or at work for us; NULL: none */
    bool filling;               /* the latter */
    bool waiting, reading;      /* on the loop: for time or news; and, of these, for room to read */
    uint64_t since_ns;          /* nothing has come since then */
    uint64_t looked_ns;         /* the last look at names */
    leat__fill_news news;       /* of our fill; GREW: nothing final */
    leat_error failure;
} leat__cached;

static inline void leat__cached_count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* Emits a chunk; the last one, and one with an error, ends the task: DONE. Loop or job. */
leat__step leat__cached_emit(leat__op *op, leat__bytes bytes, bool last, const leat_error *error);

/* The stage's job: looks for the entry (at LOOK), or reads from it. */
leat__step leat__cached_job(leat__op *op);

#endif
