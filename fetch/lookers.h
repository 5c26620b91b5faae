/* lookers.h - threads that look at files, and the queue between them and the one who asks.
 *
 * Threads: new, put, take and free: one, the asking one. */
#ifndef LEAT__LOOKERS_H
#define LEAT__LOOKERS_H

#include <stdbool.h>
#include <sys/queue.h>

#include "fetch/checkfile.h"

/* A file that was asked about, and what was found. Ended by leat__look_free. */
typedef struct leat__look {
    STAILQ_ENTRY(leat__look) link;
    leat__expected expected; /* its strings: in one allocation with this */
    uint64_t number;         /* of the question: 0, 1, 2 ... */
    leat__found found;
    uint64_t bytes;
    leat_code code;          /* of BAD and the like: why; LEAT_ENOMEM and LEAT_ESYSTEM: it could not be looked at */
    int system;
    char *message;           /* NULL: none, or no memory for one */
} leat__look;
STAILQ_HEAD(leat__looks, leat__look);

typedef struct leat__lookers leat__lookers;

/* root, config, stopping: borrows, until freed. *out: gives. LEAT_EINVAL: config->threads; LEAT_ESYSTEM: no thread can be had. */
leat_code leat__lookers_new(const leat__root *root, const leat_verify_config *config, atomic_bool *stopping, leat__lookers **out,
                            leat_error *error);
/* Has a file looked at; its strings are copied. False: no memory. */
bool leat__lookers_put(leat__lookers *lookers, const leat__expected *expected);
/* Moves what has been answered to the end of *answers (gives); waits for some, 100 ms at most, while more than `most` are open.
 * Returns how many are open then. */
unsigned leat__lookers_take(leat__lookers *lookers, unsigned most, struct leat__looks *answers);
/* Takes; NULL is fine. Nothing may be open. */
void leat__lookers_free(leat__lookers *lookers);

void leat__look_free(leat__look *look);

#endif
