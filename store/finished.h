/* finished.h - which files are finished, by name, URL and size: a set of 64-bit hashes, 9.4 to 11.8 bytes each once there are many.
 *
 * A set of 10 million that is asked for 10 million others says yes to one of them in 1 of 180,000 runs; so a yes counts only for a
 * file that is there and has that size. Threads: any (a lock inside). */
#ifndef LEAT__FINISHED_H
#define LEAT__FINISHED_H

#include <stdbool.h>
#include <stdint.h>

typedef struct leat__finished leat__finished;

leat__finished *leat__finished_new(void); /* gives; NULL: no memory */
bool leat__finished_add(leat__finished *set, const char *path, const char *url, uint64_t bytes); /* false: no memory */
bool leat__finished_has(leat__finished *set, const char *path, const char *url, uint64_t bytes);
void leat__finished_free(leat__finished *set); /* takes; NULL is fine */

#endif
