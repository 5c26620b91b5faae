/* test_buffer.c - arena, buffers, slices and budgets. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <leat/batch.h>

#include "check_main.h"
#include "pipeline/buffer.h"

static unsigned woken;

static void wake(void *user)
{
    (void)user;
    woken++;
}

START_TEST(sizes_are_enough_aligned_and_charged)
{
    leat__arena *arena = leat__arena_new(1 << 20);
    leat__budget parent, budget;
    leat__budget_init(&parent, NULL, SIZE_MAX, NULL, NULL);
    leat__budget_init(&budget, &parent, SIZE_MAX, NULL, NULL);
    for (size_t size = 0; size < 3000000; size = size * 9 / 8 + 1) {
        leat__buffer *buffer = leat__buffer_new(arena, &budget, size);
        ck_assert_ptr_nonnull(buffer);
        ck_assert_uint_ge(buffer->capacity, size);
        if (size >= 4096) ck_assert_uint_le(buffer->capacity, size + size / 4 + 1);
        ck_assert_uint_eq((uintptr_t)buffer->data % LEAT_ALIGNMENT, 0);
        ck_assert_uint_eq(leat__budget_used(&budget), buffer->capacity);
        ck_assert_uint_eq(leat__budget_used(&parent), buffer->capacity);
        memset(buffer->data, 0xa5, buffer->capacity);
        leat__buffer_release(buffer);
        ck_assert_uint_eq(leat__budget_used(&budget), 0);
    }
    ck_assert_uint_eq(leat__arena_live(arena), 0);
    ck_assert_ptr_null(leat__buffer_new(arena, &budget, SIZE_MAX));
    leat__arena_release(arena);
}
END_TEST

START_TEST(a_warm_arena_takes_nothing_from_the_system)
{
    leat__arena *arena = leat__arena_new(1 << 20);
    leat__buffer *held[4];
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 4; i++) held[i] = leat__buffer_new(arena, NULL, 100000);
        for (int i = 0; i < 4; i++) leat__buffer_release(held[i]);
    }
    ck_assert_uint_eq(leat__arena_allocations(arena), 4);
    leat__arena_release(arena);
}
END_TEST

START_TEST(slices_keep_their_buffer)
{
    leat__arena *arena = leat__arena_new(0);
    leat__buffer *buffer = leat__buffer_new(arena, NULL, 100);
    memcpy(buffer->data, "0123456789", 10);
    leat__bytes whole = {.buffer = buffer, .data = buffer->data, .size = 10};
    leat__bytes slice = leat__bytes_slice(&whole, 3, 4);
    leat__bytes none = leat__bytes_slice(&whole, 10, 0);
    leat__bytes_release(&whole);
    ck_assert_uint_eq(leat__arena_live(arena), 1);
    ck_assert_int_eq(memcmp(slice.data, "3456", 4), 0);
    leat__bytes_release(&none);
    leat__arena_release(arena); /* the slice keeps the arena too */
    leat__bytes_release(&slice);
}
END_TEST

/* Only bytes that have a buffer for themselves, and none that is too large for them, leave its budget; once. */
START_TEST(bytes_leave_their_budget)
{
    leat__arena *arena = leat__arena_new(0);
    leat__budget budget;
    leat__budget_init(&budget, NULL, 100000, NULL, NULL);
    leat__buffer *buffer = leat__buffer_new(arena, &budget, 9000);
    leat__bytes whole = {.buffer = buffer, .data = buffer->data, .size = 9000};
    leat__bytes small = {.buffer = buffer, .data = buffer->data, .size = 8000};
    leat__bytes slice = leat__bytes_slice(&whole, 0, 9000), none = {0};
    ck_assert(!leat__bytes_uncharge(&whole));
    leat__bytes_release(&slice);
    ck_assert(!leat__bytes_uncharge(&small) && !leat__bytes_uncharge(&none));
    ck_assert_uint_eq(leat__budget_used(&budget), buffer->capacity);
    for (int i = 0; i < 2; i++) {
        ck_assert(leat__bytes_uncharge(&whole));
        ck_assert_uint_eq(leat__budget_used(&budget), 0);
    }
    leat__bytes_release(&whole);
    ck_assert_uint_eq(leat__budget_used(&budget), 0);
    leat__arena_release(arena);
}
END_TEST

START_TEST(a_refund_wakes_who_found_no_room_once)
{
    woken = 0;
    leat__budget budget;
    leat__budget_init(&budget, NULL, 100, wake, NULL);
    leat__budget_charge(&budget, 60);
    ck_assert(leat__budget_fits(&budget, 40));
    leat__budget_refund(&budget, 10);
    ck_assert_uint_eq(woken, 0);
    ck_assert(!leat__budget_fits(&budget, 60));
    leat__budget_refund(&budget, 10);
    leat__budget_refund(&budget, 10);
    ck_assert_uint_eq(woken, 1);
    ck_assert(leat__budget_fits(&budget, 60));
    ck_assert(!leat__budget_fits(&budget, SIZE_MAX));
    ck_assert_uint_eq(leat__budget_peak(&budget), 60);
    leat__budget_refund(&budget, 30);
}
END_TEST

static void *churn(void *argument)
{
    leat__arena *arena = argument;
    for (unsigned i = 0; i < 20000; i++) {
        leat__buffer *buffer = leat__buffer_new(arena, NULL, 1000 + i % 7 * 3000);
        buffer->data[0] = (uint8_t)i;
        leat__buffer_share(buffer);
        leat__buffer_release(buffer);
        leat__buffer_release(buffer);
    }
    return NULL;
}

START_TEST(threads_share_an_arena)
{
    leat__arena *arena = leat__arena_new(1 << 16);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, churn, arena);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    ck_assert_uint_eq(leat__arena_live(arena), 0);
    leat__arena_release(arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("buffer");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, sizes_are_enough_aligned_and_charged);
    tcase_add_test(tcase, a_warm_arena_takes_nothing_from_the_system);
    tcase_add_test(tcase, slices_keep_their_buffer);
    tcase_add_test(tcase, bytes_leave_their_budget);
    tcase_add_test(tcase, a_refund_wakes_who_found_no_room_once);
    tcase_add_test(tcase, threads_share_an_arena);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
