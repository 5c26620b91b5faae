/* test_braces.c - brace expansion against the shell's, and what is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "stages/braces.h"

struct texts {
    char joined[4096]; /* the results, each followed by a space */
    size_t count, stop_after;
};

static bool collect(void *user, const char *text)
{
    struct texts *texts = user;
    size_t used = strlen(texts->joined);
    if (used + strlen(text) + 2 <= sizeof texts->joined) sprintf(texts->joined + used, "%s ", text);
    return ++texts->count != texts->stop_after;
}

/* The pattern as bash expands it. */
static void expand_by_bash(const char *pattern, char *out, size_t capacity)
{
    char command[512];
    snprintf(command, sizeof command, "bash -c \"printf '%%s ' %s\"", pattern);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    size_t length = fread(out, 1, capacity - 1, pipe);
    out[length] = '\0';
    ck_assert_int_eq(pclose(pipe), 0);
}

static const char *const as_bash[] = {
    "plain", "train-{000000..000015}.tar", "{0..3}", "{3..0}", "{08..11}", "{8..11}", "{1..010}", "{-2..2}", "{-02..2}",
    "{5..-5..5}", "{0..10..3}", "{10..0..3}", "{0..10..-3}", "{7..7}", "a{b,c}d", "a{,.gz}", "{a,b}{1,2}",
    "{a,b}-{1..3}.x",
    "x{a,b{1..3},{c,d}e}y", "{{a,b},{c,d}}", "p/{train,val}-{00..02}.tar", "{a,b{c,d{e,f}}}", "{1..3}{1..3}{1..3}",
};

START_TEST(same_as_bash)
{
    char want[4096];
    struct texts got = {0};
    uint64_t count;
    expand_by_bash(as_bash[_i], want, sizeof want);
    ck_assert_int_eq(leat__braces_count(as_bash[_i], &count, NULL), LEAT_OK);
    ck_assert_int_eq(leat__braces_expand(as_bash[_i], collect, &got, NULL), LEAT_OK);
    ck_assert_str_eq(got.joined, want);
    ck_assert_uint_eq(got.count, count);
}
END_TEST

START_TEST(stops_when_told)
{
    struct texts got = {.stop_after = 5};
    ck_assert_int_eq(leat__braces_expand("{a,b}{0..99999999999}", collect, &got, NULL), LEAT_OK);
    ck_assert_str_eq(got.joined, "a0 a1 a2 a3 a4 ");
}
END_TEST

static const struct { const char *pattern, *words; } malformed[] = {
    {"train-{000..015.tar", "'{000..015.tar' at character 7 is never closed"},
    {"train-000..015}.tar", "'}' at character 15 closes nothing"},
    {"{a,b}}", "closes nothing"},
    {"{a,{b}", "never closed"},
    {"{}", "'{}' at character 1 is neither a range"},
    {"x{abc}", "neither a range ({000000..000015}) nor alternatives ({a,b})"},
    {"{1..}", "is no range of integers"},
    {"{..1}", "is no range of integers"},
    {"{a..c}", "is no range of integers"},
    {"{1..2x}", "is no range of integers"},
    {"{0x1..2}", "is no range of integers"},
    {"{1..99999999999999999999}", "is no range of integers"},
    {"{1...3}", "is no range of integers"},
    {"{1..5..0}", "has no step"},
    {"{1..5..}", "has no step"},
    {"{1..5..1..1}", "has no step"},
    {"{{{{{{{{{{{{{{{{{0,0},0},0},0},0},0},0},0},0},0},0},0},0},0},0},0},0}", "nested too deeply"},
    {"{a,\x1b[2J{}", "\\x1b"},
};

START_TEST(malformed_is_named)
{
    leat_error error;
    uint64_t count;
    struct texts got = {0};
    ck_assert_int_eq(leat__braces_count(malformed[_i].pattern, &count, &error), LEAT_EINVAL);
    ck_assert_msg(strstr(error.message, malformed[_i].words), "%s", error.message);
    ck_assert_int_eq(leat__braces_expand(malformed[_i].pattern, collect, &got, &error), LEAT_EINVAL);
    ck_assert_uint_eq(got.count, 0);
}
END_TEST

START_TEST(urls_keep_their_secrets)
{
    leat_error error;
    uint64_t count;
    ck_assert_int_eq(leat__braces_count("https://u:{hunter2@h/a.tar", &count, &error), LEAT_EINVAL);
    ck_assert_ptr_null(strstr(error.message, "hunter2"));
    ck_assert_ptr_nonnull(strstr(error.message, "character 11"));
}
END_TEST

START_TEST(counts_saturate)
{
    uint64_t count;
    const char *full = "{-9223372036854775808..9223372036854775807}";
    ck_assert_int_eq(leat__braces_count(full, &count, NULL), LEAT_OK);
    ck_assert_uint_eq(count, UINT64_MAX);
    ck_assert_int_eq(leat__braces_count("{0..4294967295}{0..4294967295}{0..9}", &count, NULL), LEAT_OK);
    ck_assert_uint_eq(count, UINT64_MAX);
    struct texts got = {.stop_after = 2};
    ck_assert_int_eq(leat__braces_expand(full, collect, &got, NULL), LEAT_OK);
    ck_assert_str_eq(got.joined, "-9223372036854775808 -9223372036854775807 ");
    got = (struct texts){0};
    full = "{-9223372036854775808..9223372036854775807..-9223372036854775808}";
    ck_assert_int_eq(leat__braces_expand(full, collect, &got, NULL), LEAT_OK);
    ck_assert_str_eq(got.joined, "-9223372036854775808 0 ");
}
END_TEST

START_TEST(many_groups_are_bounded)
{
    char pattern[257 * 6 + 1] = "";
    uint64_t count;
    leat_error error;
    struct texts got = {0};
    for (int i = 0; i < 256; i++) strcat(pattern, "{1..1}");
    ck_assert_int_eq(leat__braces_expand(pattern, collect, &got, &error), LEAT_OK);
    ck_assert_uint_eq(got.count, 1);
    ck_assert_uint_eq(strlen(got.joined), 257);
    strcat(pattern, "{1..1}");
    ck_assert_int_eq(leat__braces_count(pattern, &count, &error), LEAT_EINVAL);
    ck_assert_ptr_nonnull(strstr(error.message, "256 at most"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("braces");
    TCase *tests = tcase_create("braces");
    tcase_add_loop_test(tests, same_as_bash, 0, sizeof as_bash / sizeof *as_bash);
    tcase_add_test(tests, stops_when_told);
    tcase_add_loop_test(tests, malformed_is_named, 0, sizeof malformed / sizeof *malformed);
    tcase_add_test(tests, urls_keep_their_secrets);
    tcase_add_test(tests, counts_saturate);
    tcase_add_test(tests, many_groups_are_bounded);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
