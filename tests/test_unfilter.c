/* test_unfilter.c - PNG's row filters: every Paeth, and thousands of shapes against the specification's own words. */
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "pipeline/random.h"
#include "stages/unfilter.h"

typedef void unfilter(uint8_t *rows, size_t row_bytes, unsigned pixel_bytes, size_t count);

static unfilter *const versions[] = {leat__unfilter_plain, leat__unfilter};

/* PNG, section 9.4. */
static int paeth(int a, int b, int c)
{
    int p = a + b - c, pa = abs(p - a), pb = abs(p - b), pc = abs(p - c);
    if (pa <= pb && pa <= pc) return a;
    return pb <= pc ? b : c;
}

static int predict(int type, int a, int b, int c)
{
    switch (type) {
    case 1: return a;
    case 2: return b;
    case 3: return (a + b) / 2;
    case 4: return paeth(a, b, c);
    default: return 0;
    }
}

static void undo_by_the_book(uint8_t *rows, size_t row_bytes, unsigned pixel, size_t count)
{
    const size_t stride = 1 + row_bytes;
    for (size_t y = 0; y < count; y++) {
        uint8_t *row = rows + y * stride + 1, *above = row - stride;
        for (size_t i = 0; i < row_bytes; i++) {
            int a = i < pixel ? 0 : row[i - pixel], c = i < pixel ? 0 : above[i - pixel];
            row[i] = (uint8_t)(row[i] + predict(row[-1], a, above[i], c));
        }
    }
}

/* Two pixels in two rows: the last one has every a, b and c. */
START_TEST(test_every_paeth)
{
    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            for (int c = 0; c < 256; c++) {
                uint8_t rows[6 + LEAT__UNFILTER_SLACK] = {0, (uint8_t)c, (uint8_t)b, 4, (uint8_t)(a - c), 0};
                versions[_i](rows + 3, 2, 1, 1);
                if (rows[4] != a || rows[5] != paeth(a, b, c)) ck_abort_msg("%d %d %d: %d", a, b, c, rows[5]);
            }
        }
    }
}
END_TEST

/* Which types a picture's rows have. */
static const char *const mixes[] = {"0", "1", "2", "3", "4", "44443", "44442", "44410", "14", "23", "01234"};
enum { MIXES = sizeof mixes / sizeof mixes[0] };

START_TEST(test_every_shape)
{
    enum { MOST = 70, GUARD = 32 };
    leat__random random = {.key = {.seed = 3, .sample = (uint64_t)_i}};
    for (unsigned n = 0; n < 6000; n++) {
        const unsigned pixel = 1 + n % 4;
        const char *mix = mixes[n / 4 % MIXES];
        const size_t width = 1 + leat__random_below(&random, n % 3 ? 12 : MOST);
        const size_t count = leat__random_below(&random, 20), row_bytes = width * pixel, stride = 1 + row_bytes;
        const size_t bytes = (count + 1) * stride;
        uint8_t *want = malloc(bytes + GUARD), *got = malloc(bytes + LEAT__UNFILTER_SLACK);
        for (size_t i = 0; i < bytes + LEAT__UNFILTER_SLACK; i++) want[i] = (uint8_t)leat__random_below(&random, 256);
        if (n % 5 == 0) memset(want + stride, n % 2 ? 0xff : 0x80, bytes - stride);
        for (size_t y = 1; y <= count; y++)
            want[y * stride] = (uint8_t)(mix[leat__random_below(&random, strlen(mix))] - '0');
        memcpy(got, want, bytes + LEAT__UNFILTER_SLACK);
        undo_by_the_book(want + stride, row_bytes, pixel, count);
        versions[_i](got + stride, row_bytes, pixel, count);
        ck_assert_msg(memcmp(got, want, bytes + LEAT__UNFILTER_SLACK) == 0, "%u: %zu px of %u bytes, %zu rows of %s", n,
                      width, pixel, count, mix);
        free(want);
        free(got);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("unfilter");
    TCase *tests = tcase_create("unfilter");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, test_every_paeth, 0, 2);
    tcase_add_loop_test(tests, test_every_shape, 0, 2);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
