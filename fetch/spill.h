/* spill.h - entries that have to be looked at again, kept in a file. */
#ifndef LEAT__SPILL_H
#define LEAT__SPILL_H

#include "fetch/entries.h"

typedef struct leat__spill leat__spill;

/* Why an entry has to be looked at again. */
typedef enum leat__later {
    LEAT__LATER_OTHERS, /* another process has it */
    LEAT__LATER_STRANGE,/* something is there that no record that was read knows: it may have been finished just now */
    LEAT__LATER_TWIN,   /* the list has it twice, and it is under way */
    LEAT__LATER_FAILED, /* it was tried, and gets its last try */
} leat__later;

typedef struct leat__spilled {
    leat__entry entry;
    leat__later why;
} leat__spilled;

/* A file without a name in a folder; token: the owner's, borrows. Gives; NULL: *error says why. Threads: any. */
leat__spill *leat__spill_new(int folder, const char *token, leat_error *error);
leat_code leat__spill_put(leat__spill *spill, const leat__entry *entry, leat__later why, leat_error *error);
uint64_t leat__spill_count(leat__spill *spill);
/* Calls each for all that was put so far, which is then forgotten; puts meanwhile are kept for the next round. False from each: the
   rest is dropped. *lost:
 * how many were not read. */
leat_code leat__spill_take(leat__spill *spill, bool (*each)(void *user, const leat__spilled *spilled), void *user, uint64_t *lost,
                            leat_error *error);
void leat__spill_free(leat__spill *spill); /* takes; NULL is fine */

#endif
