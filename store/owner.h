/* owner.h - which process something belongs to, and whether that one is still alive; claims that need no locks.
 *
 * What:    a work folder has sub-folders owners/ (a file for each process at work in it, touched every few seconds) and claims/ (a
 *          symbolic link for each object that somebody works on; where it points to is the owner's token). Making a link is atomic
 *          on every file system that has links, also over NFS; a claim is read by readlink. Where links are not to be had (EPERM,
 *          EOPNOTSUPP) every claim is granted. Claims spare double work and nothing else: what is right never depends on them, as
 *          all data lies in files named by their owner until they are renamed.
 * Token:   host name (its end, escaped to [A-Za-z0-9-]), boot id, pid namespace, pid, start time, chance:
 *          "node7-1a2b3c4d-f0000001-1234-99887766-0badcafe". No '.' and no '/' in it, at most 120 characters.
 * Alive:   same host name, boot id and pid namespace: that pid runs, is no zombie, and has that start time (/proc/PID/stat). Same
 *          host name, other boot id: dead (but for "localhost", which many are called). Anything else: its file in owners/ is
 *          there, and was touched within LEAT__OWNER_LEASE_S of this process's own monotonic clock; so a strange owner counts as
 *          alive until it was watched for so long (D11, D15: no clock is compared with another machine's).
 * Threads: new, free, claim, drop, of, is_alive, bury, sweep: one thread at a time for each owner; beat, token: any. */
#ifndef LEAT__OWNER_H
#define LEAT__OWNER_H

#include <stdbool.h>
#include <stdint.h>

#include <leat/error.h>

#include "pipeline/env.h"
#include "store/token.h"

enum {
    LEAT__OWNER_LEASE_S = 60,
    LEAT__OWNER_BEAT_S = 10,   /* how often leat__owner_beat is to be called */
    LEAT__CLAIM_ID_MOST = 80,  /* characters of an id */
};

typedef struct leat__owner leat__owner;

/* Registers this process in a work folder: makes owners/ and claims/ in it. work_fd: borrows, until leat__owner_free. *owner:
 * gives; NULL on failure. env: borrows likewise. */
leat_code leat__owner_new(int work_fd, const leat__env *env, leat__owner **owner, leat_error *error);

/* Signs off (takes; NULL is fine): claims that are still held stay, and those of a dead owner they are from then on. Removes
 * owners/ and claims/ if they are empty. */
void leat__owner_free(leat__owner *owner);

const char *leat__owner_token(const leat__owner *owner); /* borrows */
void leat__owner_beat(const leat__owner *owner);

/* Whether the owner with a token is at work (true for the own one). A token that is none is dead. */
bool leat__owner_is_alive(leat__owner *owner, const char *token);

typedef enum leat__claim {
    LEAT__CLAIM_MINE,      /* it was free, or mine already; `from` is "" */
    LEAT__CLAIM_INHERITED, /* it was a dead owner's: `from` is its token, under which there may be data; "": it was no token */
    LEAT__CLAIM_TAKEN,     /* a live owner has it: `from` is its token */
} leat__claim;

/* Claims an object. id: a file name of 1 to LEAT__CLAIM_ID_MOST characters, [A-Za-z0-9_-]. Of several that try for a dead owner's
 * claim one gets it, and the others see TAKEN. Errors: LEAT_EACCESS, LEAT_EDISK, LEAT_EIO. */
leat_code leat__owner_claim(leat__owner *owner, const char *id, leat__claim *claim, char from[LEAT__TOKEN_BYTES],
                            leat_error *error);

/* Whose claim an object is, without taking it: false if it is nobody's that has a token. */
bool leat__owner_of(leat__owner *owner, const char *id, char token[LEAT__TOKEN_BYTES]);

/* Gives a claim back, if it is still the own one. */
void leat__owner_drop(leat__owner *owner, const char *id);

/* Calls each(user, token) for every other owner whose file is in owners/ and who is dead; that file is removed afterwards. */
void leat__owner_bury(leat__owner *owner, void (*each)(void *user, const char *token), void *user);

/* Calls each(user, id, token) for every claim of a dead owner; if it returns true, the claim is taken over and given back: so that
 * claims that nobody will ask for do not stay for ever. each: NULL: for none. */
void leat__owner_sweep(leat__owner *owner, bool (*each)(void *user, const char *id, const char *token), void *user);

#endif
