/* token.h - names of processes that tell whether the process still runs; store/owner.h says what is in one. Threads: any; pure, but
 * for /proc. Parser of foreign bytes. */
#ifndef LEAT__TOKEN_H
#define LEAT__TOKEN_H

#include <stdbool.h>
#include <stdint.h>

enum {
    LEAT__TOKEN_BYTES = 128, /* of a token, NUL included */
    LEAT__TOKEN_HOST = 52,   /* characters of a host's name: 52 + 8 + 16 + 10 + 20 + 8 and five hyphens are 119 */
};

typedef struct leat__token {
    char host[LEAT__TOKEN_HOST + 1]; /* may be "" */
    uint32_t boot;                   /* the first digits of the boot id; 0: not known */
    uint64_t pid_space;              /* inode of the pid namespace; 0: not known */
    uint32_t pid;
    uint64_t start;                  /* since boot, in clock ticks; 0: not known */
    uint32_t chance;
} leat__token;

/* This process; each call gives another one. */
leat__token leat__token_of_self(void);

void leat__token_write(const leat__token *token, char text[LEAT__TOKEN_BYTES]);

/* False: it is none. */
bool leat__token_read(const char *text, leat__token *token);

typedef enum leat__process {
    LEAT__PROCESS_RUNS,
    LEAT__PROCESS_GONE,
    LEAT__PROCESS_STRANGE, /* of another machine or container: cannot be told from here */
} leat__process;

leat__process leat__token_process(const leat__token *token, const leat__token *self);

#endif
