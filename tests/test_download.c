/* test_download.c - leat__download: a small object, whole, or a failure in words. */
#include <check.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_fetch.h"
#include "loader/download.h"
#include "loader/plan.h"

static leat_config chosen_config(void)
{
    leat_config config = {.source = "unused", .ca_file = servers.ca, .stall_timeout_ms = 400, .connect_timeout_ms = 2000}, chosen;
    leat_error error;
    ck_assert_msg(leat__plan_config(&config, &chosen, &error) == LEAT_OK, "%s", error.message);
    return chosen;
}

typedef struct row {
    const char *path;      /* on the chaos server */
    uint64_t max_bytes;
    size_t size;           /* that comes */
    leat_code code;
    int requests;
    const char *words;     /* in the message */
} row;

static const row rows[] = {
    {"/ok/0", 100000, 100000, LEAT_OK, 1, NULL}, {"/ok/1?size=0", 10, 0, LEAT_OK, 1, NULL},
    {"/ok/2?size=1", 1, 1, LEAT_OK, 1, NULL}, {"/ok/3?size=3000001", 1 << 30, 3000001, LEAT_OK, 1, NULL},
    {"/ok/4?frame=chunked&size=700000", 1 << 20, 700000, LEAT_OK, 1, NULL},
    {"/ok/5?frame=close&size=65537", 1 << 20, 65537, LEAT_OK, 1, NULL},
    {"/cut/6?at=30000&times=2", 1 << 20, 100000, LEAT_OK, 3, NULL},
    {"/reset/7?at=70000&times=1", 1 << 20, 100000, LEAT_OK, 2, NULL},
    {"/redirect/8?to=/ok/8", 1 << 20, 100000, LEAT_OK, 1, NULL}, {"/stall/9?at=50000&times=1", 1 << 20, 100000, LEAT_OK, 2, NULL},
    {"/ok/19?size=3000001", 3000001, 3000001, LEAT_OK, 1, NULL},
    {"/ok/20?frame=chunked&size=70001", 70001, 70001, LEAT_OK, 1, NULL},
    {"/ok/10", 99999, 0, LEAT_ELIMIT, 1, "has more than the 99999 bytes"},
    {"/ok/11?frame=chunked", 99999, 0, LEAT_ELIMIT, 1, "has more than the 99999 bytes"},
    {"/status/12?code=404&reason=Not%20Found", 1 << 20, 0, LEAT_ENOTFOUND, 1, "HTTP 404 Not Found"},
    {"/status/13?code=410", 1 << 20, 0, LEAT_ENOTFOUND, 1, "HTTP 410"},
    {"/status/14?code=403", 1 << 20, 0, LEAT_EACCESS, 1, "HTTP 403"},
    {"/status/15?code=500", 1 << 20, 0, LEAT_EHTTP, 5, "HTTP 500"},
    {"/cut/16?at=150000&size=400000&times=1&etag=change", 1 << 20, 0, LEAT_ECHANGED, 2, "changed"},
    {"/redirect/17?to=file:///etc/passwd", 1 << 20, 0, LEAT_EREDIRECT, 1, "scheme file"},
};

START_TEST(download_rows)
{
    const row *r = &rows[_i];
    leat_config config = chosen_config();
    leat_error error;
    uint8_t *bytes;
    size_t size;
    leat_code code = leat__download(&config, chaos_url(r->path), r->max_bytes, &bytes, &size, &error);
    ck_assert_msg(code == r->code, "%s: %s", r->path, code ? error.message : "is fine");
    ck_assert_uint_eq(size, r->size);
    if (code) {
        ck_assert_ptr_null(bytes);
        ck_assert_int_eq(error.code, code);
        ck_assert_msg(strstr(error.message, r->words) && !strncmp(error.message, "http://127.0.0.1:", 17), "%s", error.message);
    } else {
        ck_assert_ptr_nonnull(bytes);
        ck_assert_uint_le(malloc_usable_size(bytes), size + 8192); /* what was reserved while it grew is given back */
        for (size_t i = 0; i < size; i++) ck_assert_uint_eq(bytes[i], http_pattern(i));
    }
    ck_assert_int_eq(asked("count", r->path), r->requests);
    free(bytes);
}
END_TEST

/* What fails before a request; and the URL's secrets stay out of the words. */
START_TEST(refused_at_once)
{
    static const char *const bad[] = {"Range: bytes=0-1"};
    leat_config config = chosen_config();
    leat_error error;
    uint8_t *bytes;
    size_t size;
    ck_assert_int_eq(leat__download(&config, "ftp://h/leat.index", 100, &bytes, &size, &error), LEAT_EINVAL);
    ck_assert_ptr_null(bytes);
    ck_assert_msg(strstr(error.message, "ftp"), "%s", error.message);
    leat_code code = leat__download(&config, "http://user:s3cret@127.0.0.1:1/x?sig=s3cret", 100, &bytes, &size, &error);
    ck_assert_int_eq(code, LEAT_ENETWORK);
    ck_assert_msg(!strstr(error.message, "s3cret") && strstr(error.message, "connecting failed"), "%s", error.message);
    config.headers = bad;
    config.header_count = 1;
    ck_assert_int_eq(leat__download(&config, chaos_url("/ok/x"), 100, &bytes, &size, &error), LEAT_EINVAL);
    ck_assert_msg(strstr(error.message, "\"Range\" is set by leat itself"), "%s", error.message);
}
END_TEST

/* The config's headers and authorities are used; many at a time do not meet. */
START_TEST(the_configs_options_are_used)
{
    static const char *const headers[] = {"X-Api-Key: s3cret"};
    leat_config config = chosen_config();
    leat_error error;
    uint8_t *bytes;
    size_t size;
    char url[128];
    config.headers = headers;
    config.header_count = 1;
    ck_assert_int_eq(leat__download(&config, chaos_url("/ok/headers"), 100000, &bytes, &size, &error), LEAT_OK);
    free(bytes);
    ck_assert_str_eq(http_servers_ask(&servers, "/__header?path=/ok/headers&name=X-Api-Key"), "s3cret\n");
    snprintf(url, sizeof url, "https://127.0.0.1:%d/small", servers.tls_good);
    ck_assert_int_eq(leat__download(&config, url, 58000, &bytes, &size, &error), LEAT_OK);
    ck_assert_uint_eq(size, 58000);
    free(bytes);
    config.ca_file = NULL;
    ck_assert_int_eq(leat__download(&config, url, 58000, &bytes, &size, &error), LEAT_ETLS);
}
END_TEST

static void *download_some(void *argument)
{
    const leat_config *config = argument;
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/small", servers.nginx);
    for (int i = 0; i < 10; i++) {
        uint8_t *bytes;
        size_t size;
        leat_error error;
        uint64_t most = i % 3 ? 58000 : 57999;
        if (leat__download(config, url, most, &bytes, &size, &error) != (i % 3 ? LEAT_OK : LEAT_ELIMIT)) return "wrong";
        free(bytes);
    }
    return NULL;
}

START_TEST(side_by_side)
{
    leat_config config = chosen_config();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, download_some, &config), 0);
    for (int i = 0; i < 4; i++) {
        void *said;
        pthread_join(threads[i], &said);
        ck_assert_ptr_null(said);
    }
}
END_TEST

static Suite *download_suite(void)
{
    Suite *suite = suite_create("download");
    TCase *tcase = add_case(suite, "download");
    tcase_add_loop_test(tcase, download_rows, 0, sizeof rows / sizeof *rows);
    tcase_add_test(tcase, refused_at_once);
    tcase_add_test(tcase, the_configs_options_are_used);
    tcase_add_test(tcase, side_by_side);
    return suite;
}

int main(void)
{
    return http_suite_run(download_suite());
}
