/* test_outlet.c - queue and outlet: bounds, ends, the descriptor, many consumers. */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "check_main.h"
#include "pipeline/failure.h"
#include "pipeline/outlet.h"
#include "pipeline/queue.h"
#include "toys.h"

static atomic_uint rooms;

static void on_room(void *user)
{
    (void)user;
    atomic_fetch_add(&rooms, 1);
}

static leat__outlet *outlet_of(size_t capacity)
{
    leat__outlet *outlet;
    leat_error error;
    ck_assert_int_eq(leat__outlet_new(capacity, on_room, NULL, &outlet, &error), LEAT_OK);
    return outlet;
}

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

START_TEST(queue_is_bounded_in_items_and_bytes_and_ends)
{
    leat__queue queue;
    leat__queue_init(&queue, 3, 20, 0);
    for (uint64_t i = 0; i < 3; i++) { /* 8 bytes each: the third goes over, the fourth has no room */
        ck_assert(leat__queue_has_room(&queue));
        leat__queue_put(&queue, &toy_number_new(i)->item);
    }
    ck_assert(!leat__queue_has_room(&queue));
    leat_error why;
    leat__fail(&why, LEAT_EIO, 0, "the disk is gone");
    leat__queue_end(&queue, &why);
    for (uint64_t i = 0; i < 3; i++) {
        ck_assert(!leat__queue_is_over(&queue));
        leat__item *item = leat__queue_take(&queue);
        ck_assert_uint_eq(toy_value(item), i);
        leat__item_release(item);
    }
    ck_assert(leat__queue_is_over(&queue) && queue.failed);
    ck_assert_ptr_null(leat__queue_take(&queue));
    ck_assert_uint_eq(atomic_load(&toys_live), 0);
}
END_TEST

START_TEST(discarding_queue_swallows)
{
    leat__queue queue;
    leat__queue_init(&queue, 1, 1, 0);
    leat__queue_put(&queue, &toy_number_new(1)->item);
    leat__queue_discard(&queue);
    for (int i = 0; i < 5; i++) leat__queue_put(&queue, &toy_number_new(2)->item);
    ck_assert_uint_eq(atomic_load(&toys_live), 0);
}
END_TEST

START_TEST(descriptor_says_what_take_would)
{
    leat__outlet *outlet = outlet_of(2);
    int fd = leat__outlet_fd(outlet);
    leat__item *item;
    leat_error error;
    ck_assert(!readable(fd));
    leat__outlet_put(outlet, &toy_number_new(1)->item);
    leat__outlet_put(outlet, &toy_number_new(2)->item);
    ck_assert(readable(fd) && !leat__outlet_has_room(outlet));
    for (uint64_t i = 1; i <= 2; i++) {
        ck_assert_int_eq(leat__outlet_take(outlet, 0, &item, &error), LEAT_OK);
        ck_assert_uint_eq(toy_value(item), i);
        leat__item_release(item);
    }
    ck_assert(!readable(fd));
    ck_assert_int_eq(leat__outlet_take(outlet, 0, &item, &error), LEAT_AGAIN);
    ck_assert_int_eq(leat__outlet_take(outlet, 2000000, &item, &error), LEAT_AGAIN);
    leat__outlet_put(outlet, &leat__marker_new(0)->item);
    ck_assert(readable(fd));
    ck_assert_int_eq(leat__outlet_take(outlet, 0, &item, &error), LEAT_END);
    ck_assert(!readable(fd));
    leat__outlet_end(outlet, NULL);
    ck_assert(readable(fd));
    for (int i = 0; i < 3; i++) ck_assert_int_eq(leat__outlet_take(outlet, LEAT__FOREVER, &item, &error), LEAT_END);
    leat__outlet_free(outlet);
}
END_TEST

START_TEST(stuck_is_told_instead_of_waiting_and_can_pass)
{
    leat__outlet *outlet = outlet_of(1);
    leat__item *item;
    leat_error why, error;
    leat__fail(&why, LEAT_ENOMEM, 0, "you hold them all");
    leat__outlet_set_stuck(outlet, &why);
    ck_assert_int_eq(leat__outlet_take(outlet, LEAT__FOREVER, &item, &error), LEAT_ENOMEM);
    ck_assert_str_eq(error.message, "you hold them all");
    leat__outlet_set_stuck(outlet, NULL);
    ck_assert_int_eq(leat__outlet_take(outlet, 0, &item, &error), LEAT_AGAIN);
    leat__outlet_free(outlet);
}
END_TEST

enum { ITEMS = 20000, CONSUMERS = 3 };

static void *consume(void *argument)
{
    uint64_t *sum = calloc(1, sizeof *sum);
    leat__item *item;
    leat_error error;
    while (leat__outlet_take(argument, LEAT__FOREVER, &item, &error) == LEAT_OK) {
        *sum += toy_value(item);
        leat__item_release(item);
    }
    return sum;
}

START_TEST(each_item_goes_to_one_of_many_consumers)
{
    leat__outlet *outlet = outlet_of(4);
    pthread_t threads[CONSUMERS];
    for (int i = 0; i < CONSUMERS; i++) pthread_create(&threads[i], NULL, consume, outlet);
    for (uint64_t i = 0; i < ITEMS;) {
        if (!leat__outlet_has_room(outlet)) continue;
        leat__outlet_put(outlet, &toy_number_new(i)->item);
        i++;
    }
    leat__outlet_end(outlet, NULL);
    uint64_t total = 0;
    for (int i = 0; i < CONSUMERS; i++) {
        void *sum;
        pthread_join(threads[i], &sum);
        total += *(uint64_t *)sum;
        free(sum);
    }
    ck_assert_uint_eq(total, (uint64_t)ITEMS * (ITEMS - 1) / 2);
    ck_assert_uint_eq(atomic_load(&toys_live), 0);
    leat__outlet_free(outlet);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("outlet");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, queue_is_bounded_in_items_and_bytes_and_ends);
    tcase_add_test(tcase, discarding_queue_swallows);
    tcase_add_test(tcase, descriptor_says_what_take_would);
    tcase_add_test(tcase, stuck_is_told_instead_of_waiting_and_can_pass);
    tcase_add_test(tcase, each_item_goes_to_one_of_many_consumers);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
