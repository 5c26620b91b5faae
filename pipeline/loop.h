/* loop.h - the event loop's thread, and how other threads reach it. */
#ifndef LEAT__LOOP_H
#define LEAT__LOOP_H

#include <stdbool.h>
#include <uv.h>

#include <leat/error.h>

typedef struct leat__loop leat__loop;

/* A call to be made on the loop thread. Belongs to the loop from post until `run` is called; then to run. */
typedef struct leat__call {
    struct leat__call *next;
    void (*run)(struct leat__call *call);
} leat__call;

/* Starts a loop on a thread of its own. on_wake(user) runs there after leat__loop_wake, once for any number of wakes.
 * *loop: gives, to be ended by leat__loop_free. */
leat_code leat__loop_new(void (*on_wake)(void *user), void *user, leat__loop **loop, leat_error *error);

/* libuv's loop, for handles of stages. Loop thread only, but for passing it on. */
uv_loop_t *leat__loop_uv(leat__loop *loop);

/* Has on_wake called soon. Thread: any. Blocks: no. */
void leat__loop_wake(leat__loop *loop);

/* Has call->run called soon, in the order of the posts. Thread: any. Blocks: no. */
void leat__loop_post(leat__loop *loop, leat__call *call);

/* Calls run(argument) on the loop thread and waits for its return. Thread: any but the loop's. */
void leat__loop_do(leat__loop *loop, void (*run)(void *argument), void *argument);

/* True on the loop's thread. */
bool leat__loop_is_here(const leat__loop *loop);

/* Ends the thread and the loop (takes; NULL is fine). Every handle but the loop's own is closed by now: asserted.
 * Thread: any but the loop's. */
void leat__loop_free(leat__loop *loop);

#endif
