/* test_npy.c - .npy arrays made by NumPy (arrays.py, beside this file or in $LEAT_TESTS) and by hand; and numbers. */
#include <check.h>
#include <glob.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stages/npy.h"

static char folder[] = "/tmp/leat-test-npy-XXXXXX";

static uint8_t *read_whole(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    uint8_t *data = malloc(1 << 16);
    ck_assert_ptr_nonnull(data);
    *size = fread(data, 1, 1 << 16, file);
    ck_assert_uint_lt(*size, 1 << 16);
    fclose(file);
    return realloc(data, *size + !*size); /* of its very size, for the sanitizer */
}

/* ---- NumPy's own files ---- */

static void compare_with_numpy(const char *path)
{
    char other[512];
    size_t size, expected_size;
    snprintf(other, sizeof(other), "%.*s.expected", (int)strlen(path) - 4, path);
    uint8_t *data = read_whole(path, &size), *expected = read_whole(other, &expected_size);
    leat__npy npy;
    leat_error error;
    leat_code code = leat__npy_parse(data, size, &npy, &error);
    ck_assert_msg(code == LEAT_OK, "%s: %s", path, error.message);
    uint8_t *body = memchr(expected, '\n', expected_size);
    ck_assert_ptr_nonnull(body);
    *body++ = '\0';
    char *at = (char *)expected;
    ck_assert_int_eq(npy.dtype, strtol(at, &at, 10));
    ck_assert_int_eq(npy.ndim, strtol(at, &at, 10));
    for (int i = 0; i < npy.ndim; i++) ck_assert_int_eq(npy.shape[i], strtoll(at, &at, 10));
    ck_assert_uint_eq(npy.bytes, expected_size - (size_t)(body - expected));
    uint8_t *out = malloc(npy.bytes + 1);
    out[npy.bytes] = 0xA5;
    leat__npy_copy(&npy, data, out);
    ck_assert_msg(!npy.bytes || !memcmp(out, body, npy.bytes), "%s: other bytes", path);
    ck_assert_uint_eq(out[npy.bytes], 0xA5);
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *part = malloc(cut + !cut);
        memcpy(part, data, cut);
        if (leat__npy_parse(part, cut, &npy, &error) != LEAT_ETRUNCATED)
            ck_abort_msg("%s cut at %zu: %s", path, cut, error.message);
        free(part);
    }
    free(out);
    free(data);
    free(expected);
}

START_TEST(test_numpys_arrays)
{
    glob_t found;
    char pattern[64];
    snprintf(pattern, sizeof(pattern), "%s/*.npy", folder);
    ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
    ck_assert_uint_eq(found.gl_pathc, 12 * 12 * 4);
    for (size_t i = 0; i < found.gl_pathc; i++) compare_with_numpy(found.gl_pathv[i]);
    globfree(&found);
}
END_TEST

/* ---- headers by hand ---- */

static leat_code parse_text(const char *header, size_t data_bytes, leat__npy *npy, leat_error *error)
{
    const size_t length = strlen(header), size = 10 + length + data_bytes;
    uint8_t *data = calloc(1, size);
    memcpy(data, "\x93NUMPY\x01\x00", 8);
    data[8] = (uint8_t)length;
    data[9] = (uint8_t)(length >> 8);
    memcpy(data + 10, header, length);
    leat_code code = leat__npy_parse(data, size, npy, error);
    free(data);
    return code;
}

static const struct accepted {
    const char *header;
    size_t bytes;
    leat_dtype dtype;
    int ndim;
    bool fortran, swapped;
} accepted[] = {
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   \n", 24, LEAT_FLOAT32, 2, false, false},
    {"{'shape':(2,3),'fortran_order':True,'descr':'>i2'}", 12, LEAT_INT16, 2, true, true},
    {"\n\t { \"descr\" :\"|u1\" , \"shape\" : ( 6 , ) , \"fortran_order\" : False , } \n", 6, LEAT_UINT8, 1, false,
     false},
    {"{'descr': '=f8', 'fortran_order': False, 'shape': ()}", 8, LEAT_FLOAT64, 0, false, false},
    {"{'descr': '|b1', 'fortran_order': False, 'shape': (2L, 3L,)}", 6, LEAT_BOOL, 2, false, false},
    {"{'descr': '?', 'fortran_order': False, 'shape': (1,)}", 1, LEAT_BOOL, 1, false, false},
    {"{'descr': '>u1', 'fortran_order': False, 'shape': (1,)}", 1, LEAT_UINT8, 1, false, false},
    {"{'descr': '<f2', 'fortran_order': False, 'shape': (0, 4611686018427387904)}", 0, LEAT_FLOAT16, 2, false, false},
};

START_TEST(test_headers_that_are_read)
{
    const struct accepted *a = &accepted[_i];
    leat__npy npy;
    leat_error error;
    leat_code code = parse_text(a->header, a->bytes, &npy, &error);
    ck_assert_msg(code == LEAT_OK, "%s: %s", a->header, error.message);
    ck_assert_int_eq(npy.dtype, a->dtype);
    ck_assert_int_eq(npy.ndim, a->ndim);
    ck_assert_int_eq(npy.fortran, a->fortran);
    ck_assert_int_eq(npy.swapped, a->swapped);
    ck_assert_uint_eq(npy.bytes, a->bytes);
    ck_assert_uint_eq(npy.data_offset, 10 + strlen(a->header));
    ck_assert_int_eq(parse_text(a->header, a->bytes + 1, &npy, &error), LEAT_EOVERSIZE);
}
END_TEST

static const struct refused {
    const char *header;
    leat_code code;
    const char *said;
} refused[] = {
    {"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", LEAT_EUNSUPPORTED, "object"},
    {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", LEAT_EUNSUPPORTED, "complex"},
    {"{'descr': '<U8', 'fortran_order': False, 'shape': (1,)}", LEAT_EUNSUPPORTED, "string"},
    {"{'descr': '|S8', 'fortran_order': False, 'shape': (1,)}", LEAT_EUNSUPPORTED, "string"},
    {"{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (1,)}", LEAT_EUNSUPPORTED, "date"},
    {"{'descr': '|V8', 'fortran_order': False, 'shape': (1,)}", LEAT_EUNSUPPORTED, "void"},
    {"{'descr': '<f16', 'fortran_order': False, 'shape': (1,)}", LEAT_EUNSUPPORTED, "<f16"},
    {"{'descr': '<i3', 'fortran_order': False, 'shape': (1,)}", LEAT_EUNSUPPORTED, "<i3"},
    {"{'descr': '<i44444444444444444444', 'fortran_order': False, 'shape': (1,)}", LEAT_EUNSUPPORTED, "dtype"},
    {"{'descr': '', 'fortran_order': False, 'shape': (1,)}", LEAT_EUNSUPPORTED, "dtype"},
    {"{'descr': '<', 'fortran_order': False, 'shape': (1,)}", LEAT_EUNSUPPORTED, "dtype"},
    {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", LEAT_EUNSUPPORTED, "structured"},
    {"{'descr': ('<f4', (2,)), 'fortran_order': False, 'shape': (1,)}", LEAT_EUNSUPPORTED, "sub-array"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1)}", LEAT_EUNSUPPORTED, "more than 7"},
    {"", LEAT_ECORRUPT, "ends where {"},
    {"hello", LEAT_ECORRUPT, "\"hello\" where {"},
    {"{'descr': '<f4', 'fortran_order': False}", LEAT_ECORRUPT, "lacks the key shape"},
    {"{'fortran_order': False, 'shape': (1,)}", LEAT_ECORRUPT, "lacks the key descr"},
    {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", LEAT_ECORRUPT, "keys"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}", LEAT_ECORRUPT, "keys"},
    {"{'descr': '<f4' 'fortran_order': False, 'shape': (1,)}", LEAT_ECORRUPT, "comma"},
    {"{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", LEAT_ECORRUPT, "True or False"},
    {"{'descr': '<f4', 'fortran_order': Falsehood, 'shape': (1,)}", LEAT_ECORRUPT, "comma"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': 1}", LEAT_ECORRUPT, "tuple"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1)}", LEAT_ECORRUPT, "comma"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1 1)}", LEAT_ECORRUPT, "comma"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (,)}", LEAT_ECORRUPT, "dimension"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", LEAT_ECORRUPT, "dimension"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,)}", LEAT_ECORRUPT, "dimension"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", LEAT_ECORRUPT,
     "larger than any memory"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)", LEAT_ECORRUPT, "comma or }"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x", LEAT_ECORRUPT, "the end"},
    {"{'descr': '<f\\x34', 'fortran_order': False, 'shape': (1,)}", LEAT_ECORRUPT, "dtype string"},
    {"{'descr': '\x1b[2J', 'fortran_order': False, 'shape': (1,)}", LEAT_EUNSUPPORTED, "\\x1b[2J"},
};

START_TEST(test_headers_that_are_refused)
{
    const struct refused *r = &refused[_i];
    leat__npy npy;
    leat_error error = {0};
    ck_assert_int_eq(parse_text(r->header, 4, &npy, &error), r->code);
    ck_assert_msg(strstr(error.message, r->said) != NULL, "%s: \"%s\" lacks \"%s\"", r->header, error.message, r->said);
    ck_assert_ptr_null(strchr(error.message, '\x1b'));
}
END_TEST

START_TEST(test_magic_and_version)
{
    leat__npy npy;
    leat_error error;
    uint8_t data[] = "\x93NUMPY\x04\x00\x01\x00{";
    ck_assert_int_eq(leat__npy_parse(data, 11, &npy, &error), LEAT_EUNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(error.message, "4.0"));
    data[6] = 2;
    ck_assert_int_eq(leat__npy_parse(data, 11, &npy, &error), LEAT_ETRUNCATED);
    data[0] = 'x';
    ck_assert_int_eq(leat__npy_parse(data, 11, &npy, &error), LEAT_EFORMAT);
    ck_assert_int_eq(leat__npy_parse(NULL, 0, &npy, &error), LEAT_ETRUNCATED);
    ck_assert_int_eq(leat__npy_parse((const uint8_t *)"PK\x03\x04", 4, &npy, &error), LEAT_EFORMAT); /* an .npz */
}
END_TEST

START_TEST(test_truths_are_0_or_1)
{
    leat__npy npy = {.dtype = LEAT_BOOL, .ndim = 1, .shape = {4}, .bytes = 4, .data_offset = 0};
    uint8_t out[4];
    leat__npy_copy(&npy, (const uint8_t[]){0, 1, 2, 255}, out);
    ck_assert_mem_eq(out, ((uint8_t[]){0, 1, 1, 1}), 4);
}
END_TEST

/* ---- numbers ---- */

static const struct int_case {
    const char *text;
    leat_code code;
    int64_t value;
} int_cases[] = {
    {"0", LEAT_OK, 0}, {"7\n", LEAT_OK, 7}, {" \t-12\r\n", LEAT_OK, -12}, {"+5", LEAT_OK, 5}, {"-0", LEAT_OK, 0},
    {"0000000000000000000000000042", LEAT_OK, 42}, {"9223372036854775807", LEAT_OK, INT64_MAX},
    {"-9223372036854775808", LEAT_OK, INT64_MIN}, {"9223372036854775808", LEAT_ELIMIT, 0},
    {"-9223372036854775809", LEAT_ELIMIT, 0}, {"99999999999999999999999", LEAT_ELIMIT, 0}, {"", LEAT_EFORMAT, 0},
    {" \n", LEAT_EFORMAT, 0}, {"-", LEAT_EFORMAT, 0}, {"+-1", LEAT_EFORMAT, 0}, {"1 2", LEAT_EFORMAT, 0},
    {"12abc", LEAT_EFORMAT, 0}, {"0x10", LEAT_EFORMAT, 0}, {"1.0", LEAT_EFORMAT, 0}, {"1e3", LEAT_EFORMAT, 0},
    {"99999999999999999999999x", LEAT_EFORMAT, 0}, {"\xef\xbb\xbf""1", LEAT_EFORMAT, 0},
};

/* In memory of its very size, without a NUL. */
static uint8_t *exact(const char *text)
{
    size_t size = strlen(text);
    uint8_t *copy = malloc(size + !size);
    memcpy(copy, text, size);
    return copy;
}

START_TEST(test_integers)
{
    const struct int_case *c = &int_cases[_i];
    int64_t value = -77;
    leat_error error = {0};
    uint8_t *text = exact(c->text);
    ck_assert_int_eq(leat__parse_int(text, strlen(c->text), &value, &error), c->code);
    ck_assert_int_eq(value, c->code ? -77 : c->value);
    ck_assert_int_eq(error.code, c->code);
    free(text);
}
END_TEST

START_TEST(test_integers_print_and_read)
{
    uint64_t state = 1;
    char text[32];
    for (int i = 0; i < 10000; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        int64_t value = (int64_t)state >> (state >> 58), read = 0;
        int length = snprintf(text, sizeof(text), "%" PRId64, value);
        leat_code code = leat__parse_int((uint8_t *)text, (size_t)length, &read, NULL);
        if (code != LEAT_OK || read != value) ck_abort_msg("%s", text);
    }
}
END_TEST

static const struct float_case {
    const char *text;
    leat_code code;
    float value;
} float_cases[] = {
    {"0", LEAT_OK, 0}, {"1.5\n", LEAT_OK, 1.5f}, {" -2.25e2 ", LEAT_OK, -225}, {".5", LEAT_OK, .5f}, {"5.", LEAT_OK, 5},
    {"+1E-3", LEAT_OK, 1e-3f}, {"3.4028235e38", LEAT_OK, 3.4028235e38f}, {"1e-45", LEAT_OK, 0x1p-149f},
    {"1e-400", LEAT_OK, 0}, {"inf", LEAT_OK, INFINITY}, {"-Infinity", LEAT_OK, -INFINITY}, {"NaN", LEAT_OK, NAN},
    /* rounded once: by way of double it would be 1 + 2^-23 */
    {"1.000000059604644775390625", LEAT_OK, 1},
    {"1.00000005960464477539062500000000000000000001", LEAT_OK, 0x1.000002p0f},
    {"1e39", LEAT_ELIMIT, 0}, {"-3.5e38", LEAT_ELIMIT, 0}, {"", LEAT_EFORMAT, 0}, {".", LEAT_EFORMAT, 0},
    {"1,5", LEAT_EFORMAT, 0}, {"0x1p3", LEAT_EFORMAT, 0}, {"1e", LEAT_EFORMAT, 0}, {"1e+", LEAT_EFORMAT, 0},
    {"1.2.3", LEAT_EFORMAT, 0}, {"1 2", LEAT_EFORMAT, 0}, {"nanx", LEAT_EFORMAT, 0}, {"nan(1)", LEAT_EFORMAT, 0},
    {"infinit", LEAT_EFORMAT, 0}, {"--1", LEAT_EFORMAT, 0}, {"1f", LEAT_EFORMAT, 0},
};

START_TEST(test_floats)
{
    const struct float_case *c = &float_cases[_i];
    float value = -77;
    leat_error error = {0};
    uint8_t *text = exact(c->text);
    ck_assert_int_eq(leat__parse_float(text, strlen(c->text), &value, &error), c->code);
    if (c->code) ck_assert_float_eq(value, -77);
    else ck_assert(isnan(c->value) ? isnan(value) : value == c->value);
    ck_assert_int_eq(error.code, c->code);
    free(text);
}
END_TEST

START_TEST(test_numbers_with_nul_or_of_great_length)
{
    float value;
    int64_t integer;
    leat_error error;
    ck_assert_int_eq(leat__parse_float((const uint8_t *)"1\0002", 3, &value, &error), LEAT_EFORMAT);
    ck_assert_int_eq(leat__parse_int((const uint8_t *)"1\0", 2, &integer, &error), LEAT_EFORMAT);
    ck_assert_str_eq(error.message, "a 64-bit integer expected, \"1\\x00\" found");
    static uint8_t digits[5000];
    memset(digits, '1', sizeof(digits));
    ck_assert_int_eq(leat__parse_float(digits, sizeof(digits), &value, &error), LEAT_ELIMIT);
    ck_assert_uint_lt(strlen(error.message), 100);
    ck_assert_int_eq(leat__parse_int(digits, sizeof(digits), &integer, &error), LEAT_ELIMIT);
}
END_TEST

/* With a decimal comma in the host's locale, if this machine has such a locale. */
START_TEST(test_floats_do_not_depend_on_the_locale)
{
    static const char *const locales[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "tr_TR.UTF-8", "C.UTF-8"};
    float value = 0;
    int used = 0;
    for (size_t i = 0; i < sizeof(locales) / sizeof(locales[0]); i++) {
        if (!setlocale(LC_ALL, locales[i])) continue;
        used++;
        ck_assert_int_eq(leat__parse_float((const uint8_t *)"1.25", 4, &value, NULL), LEAT_OK);
        ck_assert_float_eq(value, 1.25f);
        ck_assert_int_eq(leat__parse_float((const uint8_t *)"INF", 3, &value, NULL), LEAT_OK);
    }
    setlocale(LC_ALL, "C");
    ck_assert_int_gt(used, 0);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static Suite *npy_suite(void)
{
    Suite *suite = suite_create("npy");
    TCase *arrays = tcase_create("arrays"), *numbers = tcase_create("numbers");
    tcase_set_timeout(arrays, 60);
    tcase_add_test(arrays, test_numpys_arrays);
    tcase_add_loop_test(arrays, test_headers_that_are_read, 0, COUNT(accepted));
    tcase_add_loop_test(arrays, test_headers_that_are_refused, 0, COUNT(refused));
    tcase_add_test(arrays, test_magic_and_version);
    tcase_add_test(arrays, test_truths_are_0_or_1);
    tcase_add_loop_test(numbers, test_integers, 0, COUNT(int_cases));
    tcase_add_test(numbers, test_integers_print_and_read);
    tcase_add_loop_test(numbers, test_floats, 0, COUNT(float_cases));
    tcase_add_test(numbers, test_numbers_with_nul_or_of_great_length);
    tcase_add_test(numbers, test_floats_do_not_depend_on_the_locale);
    suite_add_tcase(suite, arrays);
    suite_add_tcase(suite, numbers);
    return suite;
}

/* Runs arrays.py into the folder. */
static bool make_arrays(void)
{
    char command[1024];
    const char *tests = getenv("LEAT_TESTS");
    if (!mkdtemp(folder)) return false;
    int here = (int)(strrchr(__FILE__, '/') ? strrchr(__FILE__, '/') - __FILE__ : 0);
    if (tests) snprintf(command, sizeof(command), "/usr/bin/python3 '%s/arrays.py' '%s' >/dev/null", tests, folder);
    else snprintf(command, sizeof(command), "/usr/bin/python3 '%.*s/arrays.py' '%s' >/dev/null", here, __FILE__,
                  folder);
    return system(command) == 0;
}

int main(void)
{
    char command[64];
    if (!make_arrays()) {
        fprintf(stderr, "test_npy: arrays.py failed (python3-numpy is needed)\n");
        return EXIT_FAILURE;
    }
    SRunner *runner = srunner_create(npy_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command) == 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
