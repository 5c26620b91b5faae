/* test_items.c - tasks, chunks, samples and their stock. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "pipeline/failure.h"
#include "stages/items.h"

static const leat__object object = { .display = "train-000.tar", .is_shard = true, .label = -1 };

static leat__bytes bytes_of(leat__arena *arena, const char *text)
{
    leat__buffer *buffer = leat__buffer_new(arena, NULL, strlen(text) + 1);
    ck_assert_ptr_nonnull(buffer);
    memcpy(buffer->data, text, strlen(text) + 1);
    return (leat__bytes){ buffer, buffer->data, strlen(text) };
}

START_TEST(a_task_carries_its_object)
{
    leat__stock *stock = leat__stock_new();
    leat__task *task = leat__task_new(stock, &object, 7);
    ck_assert_str_eq(task->item.type->name, "task");
    ck_assert_ptr_eq(task->object, &object);
    ck_assert_uint_eq(task->epoch, 7);
    leat__item_release(&task->item);
    ck_assert_uint_eq(leat__stock_live(stock), 0);
    leat__stock_release(stock);
}
END_TEST

START_TEST(a_chunk_gives_back_its_bytes_and_its_error)
{
    leat__arena *arena = leat__arena_new(0);
    leat__stock *stock = leat__stock_new();
    leat__chunk *chunk = leat__chunk_new(stock, &object, 3);
    ck_assert(!chunk->first && !chunk->last && !chunk->failed && !chunk->error && chunk->bytes.size == 0);
    chunk->bytes = bytes_of(arena, "abc");
    chunk->failed = chunk->last = true;
    chunk->error = malloc(sizeof *chunk->error);
    leat__fail(chunk->error, LEAT_EIO, 5, "broken");
    ck_assert_uint_eq(leat__arena_live(arena), 1);
    leat__item_release(&chunk->item);
    ck_assert_uint_eq(leat__arena_live(arena), 0);
    leat__chunk *again = leat__chunk_new(stock, &object, 4);
    ck_assert_ptr_eq(again, chunk);
    ck_assert(!again->first && !again->last && !again->failed && !again->error && again->bytes.size == 0);
    ck_assert_uint_eq(again->epoch, 4);
    leat__item_release(&again->item);
    leat__stock_release(stock);
    leat__arena_release(arena);
}
END_TEST

START_TEST(a_new_sample_is_empty_even_if_it_was_used_before)
{
    leat__arena *arena = leat__arena_new(0);
    leat__stock *stock = leat__stock_new();
    for (int round = 0; round < 3; round++) {
        leat__sample *sample = leat__sample_new(stock, &object, 9);
        ck_assert_str_eq(sample->key, "");
        ck_assert_uint_eq(sample->field_count, 0);
        ck_assert_uint_eq(sample->item.bytes, 0);
        ck_assert(!sample->failed && !sample->lost_object && !sample->last_of_object && !sample->batch);
        ck_assert_int_eq(sample->error.code, LEAT_OK);
        ck_assert_uint_eq(sample->error.offset, UINT64_MAX);
        ck_assert(leat__sample_set_key(sample, "cat/0001", 8));
        ck_assert(leat__sample_add(sample, "JPG", 3, bytes_of(arena, "12345"), 512));
        sample->failed = sample->lost_object = sample->last_of_object = true;
        sample->index = sample->offset = sample->row = 77;
        sample->batch = sample;
        leat__fail(&sample->error, LEAT_ECORRUPT, 1, "bad");
        leat__item_release(&sample->item);
        ck_assert_uint_eq(leat__arena_live(arena), 0);
        ck_assert_uint_eq(leat__stock_live(stock), 0);
    }
    leat__stock_release(stock);
    leat__arena_release(arena);
}
END_TEST

/* A task must never come back as a chunk: they differ in size. */
START_TEST(each_kind_of_item_comes_back_as_its_own)
{
    leat__stock *stock = leat__stock_new();
    leat__item *items[3][4];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3; i++) {
            items[i][0] = &leat__task_new(stock, &object, 0)->item;
            items[i][1] = &leat__chunk_new(stock, &object, 0)->item;
            items[i][2] = &leat__sample_new(stock, &object, 0)->item;
        }
        for (int i = 0; i < 3; i++) {
            leat__marker *marker = leat__stock_marker(stock, 5);
            ck_assert_uint_eq(marker->number, 5);
            items[i][3] = &marker->item;
        }
        ck_assert_uint_eq(leat__stock_live(stock), 12);
        for (int i = 0; i < 3; i++) {
            ck_assert_str_eq(items[i][0]->type->name, "task");
            ck_assert_str_eq(items[i][1]->type->name, "chunk");
            ck_assert_str_eq(items[i][2]->type->name, "sample");
            ck_assert(leat__is_marker(items[i][3]) && !leat__is_marker(items[i][0]));
            for (int j = 0; j < 4; j++) leat__item_release(items[i][(j + round) % 4]);
        }
        ck_assert_uint_eq(leat__stock_live(stock), 0);
    }
    leat__stock_release(stock);
}
END_TEST

START_TEST(samples_are_recycled)
{
    leat__stock *stock = leat__stock_new();
    leat__sample *first = leat__sample_new(stock, &object, 0);
    leat__item_release(&first->item);
    leat__sample *again = leat__sample_new(stock, &object, 0);
    ck_assert_ptr_eq(first, again);
    ck_assert_uint_eq(leat__stock_live(stock), 1);
    leat__item_release(&again->item);
    leat__stock_release(stock);
}
END_TEST

START_TEST(samples_may_outlive_the_hold_on_their_stock)
{
    leat__stock *stock = leat__stock_new();
    leat__sample *a = leat__sample_new(stock, &object, 0), *b = leat__sample_new(stock, &object, 0);
    leat__stock_release(stock);
    ck_assert(leat__sample_set_key(b, "k", 1));
    leat__item_release(&a->item);
    ck_assert_str_eq(b->key, "k");
    leat__item_release(&b->item); /* ends the stock: the leak check sees it if not */
}
END_TEST

/* The text moves several times: key and every name must follow. */
START_TEST(names_stay_right_while_the_text_grows)
{
    leat__arena *arena = leat__arena_new((size_t)1 << 20);
    leat__stock *stock = leat__stock_new();
    for (int key_length = 0; key_length < 5000; key_length += 97) {
        leat__sample *sample = leat__sample_new(stock, &object, 0);
        char key[5000], name[32];
        memset(key, 'k', sizeof key);
        ck_assert(leat__sample_set_key(sample, key, (size_t)key_length));
        for (int i = 0; i < 300; i++) {
            int n = snprintf(name, sizeof name, "Field-%d.PNG", i);
            ck_assert(leat__sample_add(sample, name, (size_t)n, bytes_of(arena, name), (uint64_t)i));
        }
        ck_assert_uint_eq(strlen(sample->key), key_length);
        ck_assert_uint_eq(strspn(sample->key, "k"), key_length);
        ck_assert_uint_eq(sample->field_count, 300);
        size_t total = 0;
        for (int i = 0; i < 300; i++) {
            snprintf(name, sizeof name, "field-%d.png", i);
            ck_assert_str_eq(sample->fields[i].name, name);
            ck_assert_uint_eq(sample->fields[i].offset, (uint64_t)i);
            ck_assert_ptr_eq(leat__sample_find(sample, name), &sample->fields[i]);
            total += sample->fields[i].bytes.size;
        }
        ck_assert_uint_eq(sample->item.bytes, total);
        leat__item_release(&sample->item);
    }
    ck_assert_uint_eq(leat__arena_live(arena), 0);
    leat__stock_release(stock);
    leat__arena_release(arena);
}
END_TEST

START_TEST(find_takes_the_first_name_the_sample_has)
{
    leat__stock *stock = leat__stock_new();
    leat__sample *sample = leat__sample_new(stock, &object, 0);
    ck_assert(leat__sample_set_key(sample, "k", 1));
    ck_assert(leat__sample_add(sample, "seg.png", 7, (leat__bytes){ 0 }, 0));
    ck_assert(leat__sample_add(sample, "png", 3, (leat__bytes){ 0 }, 1));
    ck_assert(leat__sample_add(sample, "jpg", 3, (leat__bytes){ 0 }, 2));
    static const struct { const char *names; int field; } cases[] = {
        { "jpg;jpeg;png", 2 }, { "png;jpg", 1 }, { "jpeg;PNG", 1 }, { "JPG", 2 }, { "seg.png", 0 }, { "Seg.Png", 0 },
        { "pn", -1 }, { "pngx", -1 }, { "seg", -1 }, { "", -1 }, { ";", -1 }, { ";;png;", 1 }, { "jpeg;cls", -1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const leat__sample_field *expected = cases[i].field < 0 ? NULL : &sample->fields[cases[i].field];
        ck_assert_msg(leat__sample_find(sample, cases[i].names) == expected, "names '%s'", cases[i].names);
    }
    ck_assert_ptr_eq(leat__sample_field_named(sample, "png;jpg", 3), &sample->fields[1]);
    ck_assert_ptr_null(leat__sample_field_named(sample, "png;jpg", 7));
    leat__item_release(&sample->item);
    leat__stock_release(stock);
}
END_TEST

/* A hostile name must not stay in the stock for good. */
START_TEST(large_texts_and_lists_are_not_kept)
{
    leat__stock *stock = leat__stock_new();
    leat__sample *sample = leat__sample_new(stock, &object, 0);
    char *key = malloc(1 << 20);
    memset(key, 'x', 1 << 20);
    ck_assert(leat__sample_set_key(sample, key, 1 << 20));
    for (int i = 0; i < 1000; i++) ck_assert(leat__sample_add(sample, "n", 1, (leat__bytes){ 0 }, 0));
    ck_assert_uint_gt(sample->text_capacity, 1 << 20);
    leat__item_release(&sample->item);
    leat__sample *again = leat__sample_new(stock, &object, 0);
    ck_assert_ptr_eq(again, sample);
    ck_assert_uint_le(again->text_capacity, 4096);
    ck_assert_uint_le(again->field_capacity, 256);
    leat__item_release(&again->item);
    leat__stock_release(stock);
    free(key);
}
END_TEST

static void *make_and_release(void *user)
{
    leat__stock *stock = user;
    leat__sample *held[8] = { 0 };
    for (unsigned i = 0; i < 20000; i++) {
        leat__sample **slot = &held[(i * 2654435761u) >> 29];
        if (*slot) leat__item_release(&(*slot)->item);
        *slot = leat__sample_new(stock, &object, i);
        if (!*slot || !leat__sample_set_key(*slot, "key", 3)) return user;
    }
    for (int i = 0; i < 8; i++) leat__item_release(held[i] ? &held[i]->item : NULL);
    return NULL;
}

START_TEST(threads_share_a_stock)
{
    for (int threads = 1; threads <= 4; threads++) {
        leat__stock *stock = leat__stock_new();
        pthread_t ids[4];
        for (int i = 0; i < threads; i++) ck_assert_int_eq(pthread_create(&ids[i], NULL, make_and_release, stock), 0);
        for (int i = 0; i < threads; i++) {
            void *failed;
            pthread_join(ids[i], &failed);
            ck_assert_ptr_null(failed);
        }
        ck_assert_uint_eq(leat__stock_live(stock), 0);
        leat__stock_release(stock);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("items");
    TCase *tests = tcase_create("items");
    tcase_add_test(tests, a_task_carries_its_object);
    tcase_add_test(tests, a_chunk_gives_back_its_bytes_and_its_error);
    tcase_add_test(tests, a_new_sample_is_empty_even_if_it_was_used_before);
    tcase_add_test(tests, each_kind_of_item_comes_back_as_its_own);
    tcase_add_test(tests, samples_are_recycled);
    tcase_add_test(tests, samples_may_outlive_the_hold_on_their_stock);
    tcase_add_test(tests, names_stay_right_while_the_text_grows);
    tcase_add_test(tests, find_takes_the_first_name_the_sample_has);
    tcase_add_test(tests, large_texts_and_lists_are_not_kept);
    tcase_add_test(tests, threads_share_a_stock);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
