/* thread.h - starting threads the way all of leat's are: named, all signals blocked, a stack of known size. */
#ifndef LEAT__THREAD_H
#define LEAT__THREAD_H

#include <pthread.h>

/* Starts main(argument) on a new thread. name: at most 15 characters. Returns 0 or an errno. Thread: any. */
int leat__thread_start(pthread_t *thread, const char *name, void *(*main)(void *argument), void *argument);

#endif
