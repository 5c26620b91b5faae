/* queue.c - bounded queue between two stages.
 *
 * What:    a FIFO of items with a bound in items and one in bytes, that ends with end-of-stream or an error.
 * Why so:  only the loop thread touches it, so it has no lock and no waiters: a stage looks at its queues when it is
 *          pumped (stage.c), and is pumped whenever one of them has changed.
 * Threads: loop thread; workers never see a queue.
 * Invariants (leat__queue_check):
 *   (1) items.count <= max_items      (2) bytes is the sum of the items' bytes
 *   (3) after end no put succeeds; take drains, then is_over
 * States:  open --put/take--> open --end--> ended --take until empty--> over;  any --discard--> discarding.
 * Not here: memory limits (budget.c), order across stages (stage.c). */
#include "pipeline/queue.h"

#include <assert.h>

void leat__queue_init(leat__queue *queue, size_t max_items, size_t max_bytes, uint64_t now_ns)
{
    assert(max_items > 0 && max_bytes > 0);
    *queue = (leat__queue){.max_items = max_items, .max_bytes = max_bytes, .since_ns = now_ns};
}

void leat__queue_check(const leat__queue *queue)
{
    assert(queue->items.count <= queue->max_items);
    assert((queue->items.count == 0) == (queue->items.first == NULL));
    assert(queue->items.count > 0 || queue->bytes == 0);
    assert(!queue->failed || queue->ended);
    assert(!queue->discarding || queue->items.count == 0);
    (void)queue;
}

bool leat__queue_has_room(const leat__queue *queue)
{
    return queue->discarding || (queue->items.count < queue->max_items && queue->bytes < queue->max_bytes);
}

void leat__queue_put(leat__queue *queue, leat__item *item)
{
    leat__queue_check(queue);
    assert(leat__queue_has_room(queue) && !queue->ended);
    if (queue->discarding) {
        leat__item_release(item);
        return;
    }
    leat__items_append(&queue->items, item);
    queue->bytes += item->bytes;
    if (queue->items.count > queue->depth_max) queue->depth_max = queue->items.count;
}

const leat__item *leat__queue_peek(const leat__queue *queue)
{
    return queue->items.first;
}

leat__item *leat__queue_take(leat__queue *queue)
{
    leat__queue_check(queue);
    leat__item *item = leat__items_take(&queue->items);
    if (item) {
        assert(queue->bytes >= item->bytes);
        queue->bytes -= item->bytes;
    }
    return item;
}

void leat__queue_end(leat__queue *queue, const leat_error *error)
{
    leat__queue_check(queue);
    assert(!queue->ended);
    queue->ended = true;
    if (!error) return;
    queue->failed = true;
    queue->error = *error;
}

bool leat__queue_is_over(const leat__queue *queue)
{
    return queue->ended && queue->items.count == 0;
}

void leat__queue_discard(leat__queue *queue)
{
    leat__item *item;
    while ((item = leat__queue_take(queue))) leat__item_release(item);
    queue->discarding = true;
}

void leat__queue_meter(leat__queue *queue, uint64_t now_ns)
{
    if (now_ns <= queue->since_ns) return;
    queue->depth_time += (double)queue->items.count * (double)(now_ns - queue->since_ns);
    queue->since_ns = now_ns;
}
