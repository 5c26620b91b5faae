/* thread.c - starting threads the way all of leat's are.
 *
 * Signals are blocked in the new thread from its first instruction (the mask is inherited, so it is set before and put back
 * after): the host's handlers run on the host's threads. The stack does not follow the host's RLIMIT_STACK, which may be
 * "unlimited" or tiny: 1 MiB holds the deepest decoder with room to spare (libjpeg and zstd keep their state on the heap). */
#include "pipeline/thread.h"

#include <signal.h>

enum { STACK_BYTES = 1 << 20 };

int leat__thread_start(pthread_t *thread, const char *name, void *(*main)(void *argument), void *argument)
{
    pthread_attr_t attributes;
    int rc = pthread_attr_init(&attributes);
    if (rc) return rc;
    rc = pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigset_t all, before;
    sigfillset(&all);
    if (!rc) rc = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (!rc) {
        rc = pthread_create(thread, &attributes, main, argument);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attributes);
    if (!rc) pthread_setname_np(*thread, name);
    return rc;
}
