/* cachedir_internal.h - what cachedir.c and cachelook.c share: the insides of a cache's folder. Nobody else includes it. */
#ifndef LEAT__CACHEDIR_INTERNAL_H
#define LEAT__CACHEDIR_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/cachedir.h"
#include "store/owner.h"
#include "store/root.h"

enum { LEAT__CACHE_NAME = 256 }; /* "ab/", a key, ".old", ".part." and a token are 205 */

#define LEAT__CACHE_LEFT "left" /* the token of a file that was left in order */

#define LEAT__CACHE_OLD ".old"  /* it has been taken over, and its server has not yet said that it is still the same object */

/* An object that this process fills. */
typedef struct leat__cacheclaim {
    struct leat__cacheclaim *next;
    leat__cachekey key;
} leat__cacheclaim;

struct leat__cachedir {
    /* fixed after creation */
    leat__root root;          /* DIR/v1 */
    uint64_t limit;
    bool limit_given;
    const leat__env *env;
    char shown[512];          /* DIR, escaped */
    leat__owner *owner;       /* NULL: the disk is full, nothing can be claimed */
    int lock;                 /* -1 likewise */
    /* under `owners` */
    pthread_mutex_t owners;
    uint64_t beaten_ns;
    leat__cacheclaim *claims; /* of this process: the owner tells them from others' only */
    pthread_mutex_t room;
    /* atomic */
    atomic_uint aside;        /* numbers for names in bad/ */
};

/* "ab/KEY" and, with a token, mark and ".part.TOKEN". mark: "" or LEAT__CACHE_OLD. */
void leat__cachedir_name(const leat__cachekey *key, const char *mark, const char *token, char name[LEAT__CACHE_NAME]);

#endif
