/* test_failure.c - messages: escaping, redaction, cutting. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "pipeline/failure.h"

static void expect_escaped(const char *text, size_t length, const char *expected)
{
    char out[200];
    ck_assert_str_eq(leat__escape(out, sizeof out, text, length), expected);
}

START_TEST(foreign_text_cannot_forge_lines_or_move_cursors)
{
    expect_escaped("plain \xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xb1", 16 - 1, "plain \xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xb1");
    expect_escaped("a\nb\x1b[2J\x7f", 8, "a\\x0ab\\x1b[2J\\x7f");
    expect_escaped("\0x", 2, "\\x00x");
    expect_escaped("\xc2\x85", 2, "\\xc2\\x85");                     /* C1 */
    expect_escaped("\xe2\x80\xae", 3, "\\xe2\\x80\\xae");            /* bidi override */
    expect_escaped("\xc0\xaf\xed\xa0\x80\xf5", 6, "\\xc0\\xaf\\xed\\xa0\\x80\\xf5"); /* overlong, surrogate, above U+10FFFF */
    expect_escaped("\xe2\x82", 2, "\\xe2\\x82");                     /* cut character */
}
END_TEST

START_TEST(escaping_never_overflows_and_never_cuts_an_escape)
{
    char text[64];
    memset(text, 1, sizeof text);
    for (size_t capacity = 1; capacity < 50; capacity++) {
        char out[64];
        memset(out, '#', sizeof out);
        leat__escape(out, capacity, text, sizeof text);
        ck_assert_uint_eq(strlen(out), (capacity - 1) / 4 * 4);
        ck_assert_int_eq(out[capacity], '#');
    }
}
END_TEST

START_TEST(secrets_in_urls_are_not_shown)
{
    char out[200];
    ck_assert_str_eq(leat__redact(out, sizeof out, "https://user:pw@host:8/a@b.tar?X-Amz-Signature=1#f"),
                     "https://host:8/a@b.tar?...");
    ck_assert_str_eq(leat__redact(out, sizeof out, "http://h/x.tar"), "http://h/x.tar");
    ck_assert_str_eq(leat__redact(out, sizeof out, "http://h?token=1"), "http://h?...");
    ck_assert_str_eq(leat__redact(out, sizeof out, "/data/what?.tar"), "/data/what?.tar");
}
END_TEST

START_TEST(a_long_message_is_cut_at_a_character)
{
    char text[3000];
    for (size_t i = 0; i + 2 < sizeof text; i += 2) memcpy(text + i, "\xc3\xa9", 2);
    text[sizeof text - 2] = 0;
    leat_error error;
    for (int pad = 0; pad < 2; pad++) {
        ck_assert_int_eq(leat__fail(&error, LEAT_EIO, 5, "%s%s", pad ? "x" : "", text), LEAT_EIO);
        size_t length = strlen(error.message);
        ck_assert_uint_ge(length, sizeof error.message - 3);
        ck_assert_int_eq((unsigned char)error.message[length - 1], 0xa9);
    }
}
END_TEST

START_TEST(a_system_error_keeps_its_number_and_words)
{
    leat_error error;
    ck_assert_int_eq(leat__fail_errno(&error, leat__code_of_errno(ENOENT), ENOENT, "cannot open %s", "x"), LEAT_ENOTFOUND);
    ck_assert_str_eq(error.message, "cannot open x: No such file or directory");
    ck_assert_int_eq(error.system, ENOENT);
    ck_assert_uint_eq(error.offset, UINT64_MAX);
    ck_assert_int_eq(leat__fail(NULL, LEAT_EIO, 0, "nobody listens"), LEAT_EIO);
}
END_TEST

START_TEST(every_code_has_a_name_and_a_text)
{
#define HAS(symbol, number, name, text)                                                                                \
    ck_assert_str_eq(leat_code_name(LEAT_##symbol), name);                                                             \
    ck_assert_str_eq(leat_code_text(LEAT_##symbol), text);
    LEAT_CODES(HAS)
    ck_assert_str_eq(leat_code_name((leat_code)9999), "unknown");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("failure");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, foreign_text_cannot_forge_lines_or_move_cursors);
    tcase_add_test(tcase, escaping_never_overflows_and_never_cuts_an_escape);
    tcase_add_test(tcase, secrets_in_urls_are_not_shown);
    tcase_add_test(tcase, a_long_message_is_cut_at_a_character);
    tcase_add_test(tcase, a_system_error_keeps_its_number_and_words);
    tcase_add_test(tcase, every_code_has_a_name_and_a_text);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
