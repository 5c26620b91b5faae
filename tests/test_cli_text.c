/* test_cli_text.c - what the command prints of foreign text: JSON as Python reads it, UTF-8 as iconv(3) does, sizes,
 * and
 * the sheet's pixels. Options and whole commands: test_cli.py. */
#include <iconv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/sheet.h"
#include "cli/table.h"
#include "cli/text.h"

/* Whether iconv takes the first character of text, and how many bytes it has. */
static size_t reference_length(iconv_t converter, const char *text)
{
    for (size_t length = 1; length <= 4; length++) {
        char in[8] = "", *from = in;
        uint32_t out;
        char *to = (char *)&out;
        size_t left = length, room = sizeof out;
        if (memchr(text, 0, length)) return 0;
        memcpy(in, text, length);
        iconv(converter, NULL, NULL, NULL, NULL);
        if (iconv(converter, &from, &left, &to, &room) != (size_t)-1 && left == 0) return out <= 0x10FFFF ? length : 0;
    }
    return 0;
}

START_TEST(utf8_as_iconv_decodes_it)
{
    iconv_t converter = iconv_open("UTF-32LE", "UTF-8");
    unsigned long long state = 1;
    ck_assert_ptr_ne(converter, (iconv_t)-1);
    for (int round = 0; round < 300000; round++) {
        char text[8] = "";
        uint32_t code = 0;
        static const unsigned char heads[] = {0x00, 0x20, 0x7F, 0x80, 0xBF, 0xC1, 0xC2, 0xDF, 0xE0, 0xED, 0xEF, 0xF0,
                                              0xF4, 0xF5};
        for (int i = 0; i < 4; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            bool head = round % 2 && i == 0;
            unsigned byte = state >> 33 & 3 ? 0x80 | (state >> 40 & 63) : state >> 40 & 255;
            text[i] = (char)(head ? heads[(state >> 33) % sizeof heads] : byte);
        }
        size_t length = cli_utf8_decode(text, &code);
        ck_assert_uint_eq(length, reference_length(converter, text));
    }
    iconv_close(converter);
}
END_TEST

START_TEST(json_that_python_reads_back)
{
    char path[] = "/tmp/test_cli_text.XXXXXX", command[512], out[4096];
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    cli_json json;
    cli_json_begin(&json, file);
    cli_json_object(&json, NULL);
    cli_json_string(&json, "plain", "a/b \"c\" \\ \303\266");
    cli_json_string(&json, "controls", "\001\n\t\r\033[31m\177\302\205\342\200\256\342\200\250");
    cli_json_string(&json, "broken", "a\377\300\200z\355\240\200");
    cli_json_string(&json, "\"key\"\n", "");
    cli_json_real(&json, "nan", NAN);
    cli_json_real(&json, "inf", INFINITY);
    cli_json_real(&json, "real", 0.1);
    cli_json_count(&json, "count", UINT64_MAX);
    cli_json_integer(&json, "integer", INT64_MIN);
    cli_json_list(&json, "list");
    cli_json_object(&json, NULL);
    cli_json_end(&json);
    cli_json_list(&json, NULL);
    cli_json_end(&json);
    cli_json_boolean(&json, NULL, true);
    cli_json_null(&json, NULL);
    cli_json_end(&json);
    cli_json_end(&json);
    fclose(file);
    snprintf(command, sizeof command, "/usr/bin/python3 -c \"import json; t = open('%s', encoding='utf8').read();"
             "assert all(c.isprintable() for c in t[:-1]) and t[-1] == chr(10), t; print(ascii(json.loads(t)))\" "
             "2>&1", path);
    FILE *pipe = popen(command, "r");
    size_t length = fread(out, 1, sizeof out - 1, pipe);
    out[length] = '\0';
    ck_assert_int_eq(pclose(pipe), 0);
    remove(path);
    ck_assert_str_eq(out, "{'plain': 'a/b \"c\" \\\\ \\xf6', 'controls': "
                          "'\\x01\\n\\t\\r\\x1b[31m\\x7f\\x85\\u202e\\u2028', "
                          "'broken': 'a\\\\xFF\\\\xC0\\\\x80z\\\\xED\\\\xA0\\\\x80', '\"key\"\\n': '', 'nan': None, "
                          "'inf': None, 'real': 0.1, "
                          "'count': 18446744073709551615, 'integer': -9223372036854775808, 'list': [{}, [], True, "
                          "None]}\n");
}
END_TEST

START_TEST(nothing_moves_the_cursor)
{
    char *out = NULL;
    size_t size;
    FILE *file = open_memstream(&out, &size);
    cli_print_escaped(file, "a\033[2J\n\302\233\342\200\256\377\303\266z");
    fclose(file);
    ck_assert_str_eq(out, "a\\x1B[2J\\x0A\\xC2\\x9B\\xE2\\x80\\xAE\\xFF\303\266z");
    free(out);
}
END_TEST

START_TEST(sizes_and_numbers)
{
    static const struct { const char *text; bool fine; uint64_t value; } sizes[] = {
        {"0", true, 0}, {"1", true, 1}, {"64K", true, 65536}, {"2k", true, 2048}, {"256M", true, 268435456},
        {"1G", true, 1u << 30}, {"18446744073709551615", true, UINT64_MAX}, {"18446744073709551616", false, 0},
        {"17179869183G", true, 17179869183u * ((uint64_t)1 << 30)}, {"17179869184G", false, 0}, {"", false, 0},
        {"K", false, 0}, {"1.5G", false, 0}, {"-1", false, 0}, {"+1", false, 0}, {" 1", false, 0}, {"1 ", false, 0},
        {"1KB", false, 0}, {"0x10", false, 0}, {"1T", false, 0},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t value = 0;
        ck_assert_msg(cli_read_size(sizes[i].text, &value) == sizes[i].fine, "%s", sizes[i].text);
        if (sizes[i].fine) ck_assert_uint_eq(value, sizes[i].value);
    }
    char text[16];
    ck_assert_str_eq(cli_format_size(text, 0), "0");
    ck_assert_str_eq(cli_format_size(text, 1023), "1023");
    ck_assert_str_eq(cli_format_size(text, 1024), "1.0K");
    ck_assert_str_eq(cli_format_size(text, 1048575), "1.0M");
    ck_assert_str_eq(cli_format_size(text, UINT64_MAX), "16.0E");
    ck_assert_str_eq(cli_format_time(text, 7), "0:07");
    ck_assert_str_eq(cli_format_time(text, 10930), "3:02:10");
    ck_assert_str_eq(cli_format_time(text, -1), "--");
    ck_assert_str_eq(cli_format_time(text, NAN), "--");
}
END_TEST

START_TEST(near_misses_are_guessed_and_far_ones_not)
{
    static const char *const names[] = {"batch", "threads", "shuffle-window", "epoch", "epochs", "memory"};
    static const struct { const char *text, *meant; } cases[] = {
        {"bathc", "batch"}, {"bacth", "batch"}, {"thread", "threads"}, {"shufle-windw", "shuffle-window"},
        {"mem", "memory"},
        {"epcohs", "epochs"}, {"epo", NULL}, {"x", NULL}, {"", NULL}, {"verbose", NULL}, {"shuffle", "shuffle-window"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *meant = cli_suggest(cases[i].text, names, 6);
        if (cases[i].meant) ck_assert_str_eq(meant ? meant : "nothing", cases[i].meant);
        else ck_assert_ptr_null(meant);
    }
}
END_TEST

START_TEST(tables_are_aligned)
{
    char *out = NULL;
    size_t size;
    FILE *file = open_memstream(&out, &size);
    cli_table table = {0};
    cli_table_row(&table, "stage|items");
    cli_table_row(&table, "%s|%d", "fetch", 123456);
    cli_table_row(&table, "a|");
    cli_table_print(&table, file);
    fclose(file);
    ck_assert_str_eq(out, "  stage   items\n  fetch  123456\n  a            \n");
    free(out);
}
END_TEST

enum { ROWS = 3, H = 5, W = 130 };

static uint8_t pattern(int64_t r, int64_t y, int64_t x, int64_t c)
{
    return (uint8_t)(r * 80 + y * 7 + x + c * 30);
}

/* IEEE 754 binary16 of a number between 2^-24 and 65504, or 0. */
static uint16_t to_half(float value)
{
    int exponent;
    float fraction = frexpf(fabsf(value), &exponent); /* in [0.5, 1) */
    unsigned sign = value < 0 ? 0x8000 : 0;
    if (value == 0 || exponent < -13) return (uint16_t)(sign | (unsigned)lrintf(ldexpf(fabsf(value), 24)));
    return (uint16_t)(sign + (unsigned)(exponent + 14) * 1024 + (unsigned)lrintf((fraction * 2 - 1) * 1024));
}

/* Puts the pattern into a row as the loader would; alpha is opaque. */
static void fill_row(leat_tensor *images, int64_t r, const float mean[3], const float std[3])
{
    bool chw = images->layout == LEAT_CHW;
    int64_t channels = images->shape[chw ? 1 : 3], *strides = images->strides;
    for (int64_t i = 0; i < H * W * channels; i++) {
        int64_t c = i % channels, x = i / channels % W, y = i / channels / W;
        int64_t at = r * strides[0] + y * strides[chw ? 2 : 1] + x * strides[chw ? 3 : 2] + c * strides[chw ? 1 : 3];
        uint8_t value = c == 3 ? 255 : pattern(r, y, x, c);
        float normal = c == 3 ? 1 : ((float)value / 255 - mean[c]) / std[c];
        uint16_t half = to_half(normal);
        if (images->dtype == LEAT_UINT8) ((uint8_t *)images->data)[at] = value;
        else if (images->dtype == LEAT_FLOAT32) ((float *)images->data)[at] = normal;
        else memcpy((uint16_t *)images->data + at, &half, 2);
    }
}

/* Every dtype, layout and number of channels shows the same pixels, normalized or not. */
START_TEST(sheets_undo_what_the_loader_did)
{
    static const leat_dtype dtypes[] = {LEAT_UINT8, LEAT_FLOAT32, LEAT_FLOAT16};
    const float mean[3] = {0.485f, 0.456f, 0.406f}, std[3] = {0.229f, 0.224f, 0.225f};
    leat_dtype dtype = dtypes[_i % 3];
    bool chw = _i / 3 % 2, alpha = _i / 6;
    int64_t channels = alpha ? 4 : 3;
    leat_tensor images = {.name = "image", .dtype = dtype, .layout = chw ? LEAT_CHW : LEAT_HWC, .ndim = 4};
    int64_t hwc[4] = {ROWS, H, W, channels}, chw_shape[4] = {ROWS, channels, H, W};
    memcpy(images.shape, chw ? chw_shape : hwc, sizeof hwc);
    images.strides[3] = 1;
    for (int i = 2; i >= 0; i--) images.strides[i] = images.strides[i + 1] * images.shape[i + 1];
    images.data = calloc((size_t)(ROWS * images.strides[0]), 4);
    for (int64_t r = 0; r < ROWS; r++) fill_row(&images, r, mean, std);
    cli_caption captions[ROWS] = {{"1 cat", "cat/1"}, {"", "a-key-that-is-far-too-long-for-the-width-of-its-cell"},
                                  {"", "\303\266"}};
    cli_sheet_plan plan = {.images = &images, .mean = mean, .std = std, .captions = captions, .title = "title"};
    cli_picture picture;
    uint32_t width, height;
    ck_assert(cli_sheet_size(&plan, &width, &height));
    ck_assert(cli_sheet_draw(&plan, &picture));
    ck_assert_uint_eq(picture.width, width);
    ck_assert_uint_eq(picture.width, 8 + 3 * (W + 8));
    for (uint32_t i = 0; i < ROWS * H * W * 3; i++) {
        uint32_t c = i % 3, x = i / 3 % W, y = i / 3 / W % H, r = i / 3 / W / H;
        ck_assert_uint_eq(picture.rgb[((size_t)(29 + y) * width + 8 + r * (W + 8) + x) * 3 + c], pattern(r, y, x, c));
    }
    free(picture.rgb);
    free(images.data);
}
END_TEST

START_TEST(sheets_beyond_reason_are_refused)
{
    leat_tensor images = {.dtype = LEAT_UINT8, .layout = LEAT_HWC, .ndim = 4, .shape = {256, 16384, 16384, 3}};
    cli_sheet_plan plan = {.images = &images};
    uint32_t width, height;
    ck_assert(!cli_sheet_size(&plan, &width, &height));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli_text");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, utf8_as_iconv_decodes_it);
    tcase_add_test(tests, json_that_python_reads_back);
    tcase_add_test(tests, nothing_moves_the_cursor);
    tcase_add_test(tests, sizes_and_numbers);
    tcase_add_test(tests, near_misses_are_guessed_and_far_ones_not);
    tcase_add_test(tests, tables_are_aligned);
    tcase_add_loop_test(tests, sheets_undo_what_the_loader_did, 0, 12);
    tcase_add_test(tests, sheets_beyond_reason_are_refused);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
