/* loop.c - the event loop's thread, and how other threads reach it.
 *
 * What:    one uv_loop_t on one thread; one eventfd through which everything from outside comes in.
 * Why so:  wakes coalesce: each one drains the whole list of posted calls and then runs on_wake, which has to look at everything
 *          it is responsible for. An eventfd of our own, and no uv_async_t: libuv 1.44 spins on the loop thread until the
 *          sender has left uv_async_send, which took an eighth of the thread's time.
 * Threads: the list is under a lock; everything else belongs to the loop thread. The thread blocks all signals (they are
 *          the host's, and SIGPIPE would be ours: sockets are written with it blocked).
 * States:  running --leat__loop_free--> stopping (poll handle closed by the loop thread) --> joined.
 * Invariants: uv_loop_close() succeeds at the end, so no handle is left behind. */
#include "pipeline/loop.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "pipeline/failure.h"
#include "pipeline/thread.h"

struct leat__loop {
    /* fixed after creation */
    uv_loop_t uv;
    int fd;             /* eventfd: readable once somebody has woken the loop */
    uv_poll_t poll;     /* of fd */
    pthread_t thread;
    void (*on_wake)(void *user);
    void *user;
    /* under the lock */
    pthread_mutex_t lock;
    leat__call *first, *last;
    bool stopping;
    /* atomic */
    atomic_bool woken;  /* fd has been written, or is about to be; cleared by the loop before it looks */
};

static void drain(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    leat__loop *loop = poll->data;
    uint64_t count;
    ssize_t n = read(loop->fd, &count, sizeof count);
    assert(n == sizeof count);
    (void)n;
    atomic_exchange(&loop->woken, false); /* an exchange: what the waker did before is seen after */
    pthread_mutex_lock(&loop->lock);
    leat__call *call = loop->first;
    loop->first = loop->last = NULL;
    bool stopping = loop->stopping;
    pthread_mutex_unlock(&loop->lock);
    while (call) {
        leat__call *next = call->next;
        call->run(call);
        call = next;
    }
    loop->on_wake(loop->user);
    if (stopping && !uv_is_closing((uv_handle_t *)&loop->poll)) uv_close((uv_handle_t *)&loop->poll, NULL);
}

static void *loop_main(void *argument)
{
    leat__loop *loop = argument;
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    return NULL;
}

/* What is left once the loop has run out. */
static void loop_free(leat__loop *loop)
{
    int rc = uv_loop_close(&loop->uv);
    assert(rc == 0);
    (void)rc;
    close(loop->fd);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

/* Looks whether as many descriptors are left as uv_loop_init takes, the first one in a process included (two pipes, an epoll and
 * an eventfd), and leat__loop_new itself (one). 0, or an errno. libuv 1.44 aborts the process if the one pipe that all loops share cannot be made. */
static int look_for_descriptors(void)
{
    int pipes[3][2], made = 0, number = 0;
    while (!number && made < 3) {
        if (pipe2(pipes[made], O_CLOEXEC)) number = errno;
        else made++;
    }
    while (made--) {
        close(pipes[made][0]);
        close(pipes[made][1]);
    }
    return number;
}

/* The loop and the handle that wakes it. 0, or an errno with nothing left behind. */
static int init_uv(leat__loop *loop)
{
    int rc = -look_for_descriptors();
    if (!rc) rc = uv_loop_init(&loop->uv);
    if (rc) return -rc;
    loop->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    rc = loop->fd < 0 ? -errno : uv_poll_init(&loop->uv, &loop->poll, loop->fd);
    if (rc) {
        if (loop->fd >= 0) close(loop->fd);
        uv_loop_close(&loop->uv);
        return -rc;
    }
    loop->poll.data = loop;
    uv_poll_start(&loop->poll, UV_READABLE, drain);
    return 0;
}

leat_code leat__loop_new(void (*on_wake)(void *user), void *user, leat__loop **out, leat_error *error)
{
    *out = NULL;
    leat__loop *loop = calloc(1, sizeof *loop);
    if (!loop) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for the event loop");
    loop->on_wake = on_wake;
    loop->user = user;
    int number = init_uv(loop);
    if (number) {
        free(loop);
        return leat__fail_errno(error, LEAT_ESYSTEM, number, "cannot make an event loop");
    }
    pthread_mutex_init(&loop->lock, NULL);
    number = leat__thread_start(&loop->thread, "leat-loop", loop_main, loop);
    if (number) {
        uv_close((uv_handle_t *)&loop->poll, NULL);
        uv_run(&loop->uv, UV_RUN_DEFAULT);
        loop_free(loop);
        return leat__fail_errno(error, LEAT_ESYSTEM, number, "cannot start the event loop's thread");
    }
    *out = loop;
    return LEAT_OK;
}

uv_loop_t *leat__loop_uv(leat__loop *loop)
{
    return &loop->uv;
}

void leat__loop_wake(leat__loop *loop)
{
    if (atomic_exchange(&loop->woken, true)) return;
    uint64_t one = 1;
    ssize_t n = write(loop->fd, &one, sizeof one);
    assert(n == sizeof one);
    (void)n;
}

void leat__loop_post(leat__loop *loop, leat__call *call)
{
    call->next = NULL;
    pthread_mutex_lock(&loop->lock);
    if (loop->last) loop->last->next = call;
    else loop->first = call;
    loop->last = call;
    /* under the lock: leat__loop_free's wake can then not overtake this one and close the descriptor before it */
    leat__loop_wake(loop);
    pthread_mutex_unlock(&loop->lock);
}

typedef struct waiting_call {
    leat__call call;
    void (*run)(void *argument);
    void *argument;
    pthread_mutex_t lock;
    pthread_cond_t done_cond;
    bool done;
} waiting_call;

static void run_waiting(leat__call *call)
{
    waiting_call *waiting = (waiting_call *)call;
    waiting->run(waiting->argument);
    pthread_mutex_lock(&waiting->lock);
    waiting->done = true;
    pthread_cond_signal(&waiting->done_cond);
    pthread_mutex_unlock(&waiting->lock);
}

void leat__loop_do(leat__loop *loop, void (*run)(void *argument), void *argument)
{
    assert(!leat__loop_is_here(loop));
    waiting_call waiting = {.call.run = run_waiting, .run = run, .argument = argument};
    pthread_mutex_init(&waiting.lock, NULL);
    pthread_cond_init(&waiting.done_cond, NULL);
    leat__loop_post(loop, &waiting.call);
    pthread_mutex_lock(&waiting.lock);
    while (!waiting.done) pthread_cond_wait(&waiting.done_cond, &waiting.lock);
    pthread_mutex_unlock(&waiting.lock);
    pthread_cond_destroy(&waiting.done_cond);
    pthread_mutex_destroy(&waiting.lock);
}

bool leat__loop_is_here(const leat__loop *loop)
{
    return pthread_equal(pthread_self(), loop->thread);
}

void leat__loop_free(leat__loop *loop)
{
    if (!loop) return;
    assert(!leat__loop_is_here(loop));
    pthread_mutex_lock(&loop->lock);
    loop->stopping = true;
    leat__loop_wake(loop);
    pthread_mutex_unlock(&loop->lock);
    pthread_join(loop->thread, NULL);
    loop_free(loop);
}
