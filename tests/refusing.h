/* refusing.h - a child process in which the kernel refuses a system call: for file systems and sandboxes that lack something. */
#ifndef REFUSING_H
#define REFUSING_H

#include <stdio.h>
#include <unistd.h>

/* In a child, instead of ck_assert: that would jump back into the parent's tests where Check does not fork. */
#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                    \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

/* From now on this process gets -1 and errno `number` from system call `call` (seccomp). Ends it if that cannot be had. */
void refuse_call(long call, int number);

/* Runs a function in a child process and asserts that it returned. */
void in_child(void (*run)(void));

#endif
