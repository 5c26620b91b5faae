/* test_checksum.c - store/checksum.c: known sums, every way to cut data, texts of sums. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "check_main.h"
#include "pipeline/random.h"
#include "store/checksum.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* One bit at a time: nothing of it is shared with the code. */
static uint32_t reference_crc(uint32_t crc, const uint8_t *data, size_t size)
{
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ UINT32_C(0x82f63b78) : crc >> 1;
    }
    return ~crc;
}

static void fill(uint8_t *data, size_t size)
{
    leat__random random = {.key = {.seed = 5}};
    for (size_t i = 0; i < size; i++) data[i] = (uint8_t)leat__random_next(&random);
}

/* ---- CRC-32C ---- */

START_TEST(crc32c_of_rfc_3720)
{
    uint8_t data[48], rising[32], falling[32];
    static const uint8_t read_command[48] = {0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 4, 0,
                                             0, 0, 0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0};
    for (uint8_t i = 0; i < 32; i++) {
        rising[i] = i;
        falling[i] = (uint8_t)(31 - i);
    }
    memset(data, 0, sizeof data);
    ck_assert_uint_eq(leat__crc32c(0, data, 32), 0x8a9136aa); /* RFC 3720, B.4; its bytes are little endian */
    memset(data, 0xff, sizeof data);
    ck_assert_uint_eq(leat__crc32c(0, data, 32), 0x62a8ab43);
    ck_assert_uint_eq(leat__crc32c(0, rising, 32), 0x46dd794e);
    ck_assert_uint_eq(leat__crc32c(0, falling, 32), 0x113fdb5c);
    ck_assert_uint_eq(leat__crc32c(0, read_command, 48), 0xd9963a56);
    ck_assert_uint_eq(leat__crc32c(0, "123456789", 9), 0xe3069283);
    ck_assert_uint_eq(leat__crc32c(7, "", 0), 7);
}
END_TEST

START_TEST(crc32c_is_the_reference_at_every_length_and_place)
{
    uint8_t data[700];
    fill(data, sizeof data);
    for (size_t from = 0; from < 16; from++) {
        for (size_t size = 0; size <= sizeof data - from; size += 1 + size / 40)
            ck_assert_uint_eq(leat__crc32c(0, data + from, size), reference_crc(0, data + from, size));
    }
}
END_TEST

START_TEST(crc32c_of_pieces_is_that_of_the_whole)
{
    static uint8_t data[70000];
    static const size_t cuts[] = {0, 1, 2, 3, 64, 255, 4096, 65535, 69999, 70000};
    fill(data, sizeof data);
    uint32_t whole = leat__crc32c(0, data, sizeof data);
    ck_assert_uint_eq(whole, reference_crc(0, data, sizeof data));
    for (size_t i = 0; i < COUNT(cuts); i++) {
        uint32_t first = leat__crc32c(0, data, cuts[i]), second = leat__crc32c(0, data + cuts[i], sizeof data - cuts[i]);
        ck_assert_uint_eq(leat__crc32c(first, data + cuts[i], sizeof data - cuts[i]), whole);
        ck_assert_uint_eq(leat__crc32c_combine(first, second, sizeof data - cuts[i]), whole);
    }
}
END_TEST

/* More than an int can count, with sign or without: ISA-L takes one. Zeroes that nobody has touched are one page. */
START_TEST(crc32c_of_more_than_four_gigabytes)
{
    size_t size = ((size_t)4 << 30) + 12345;
    uint8_t *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ck_assert_ptr_ne(data, MAP_FAILED);
    uint32_t mib = leat__crc32c(0, data, 1 << 20), whole = 0;
    for (int i = 0; i < 4096; i++) whole = leat__crc32c_combine(whole, mib, 1 << 20);
    whole = leat__crc32c_combine(whole, leat__crc32c(0, data, 12345), 12345);
    ck_assert_uint_eq(leat__crc32c(0, data, size), whole);
    munmap(data, size);
}
END_TEST

START_TEST(combining_counts_in_64_bits)
{
    uint64_t half = UINT64_C(1) << 40;
    uint32_t a = 0x12345678, b = 0x9abcdef0, c = 0x0badcafe; /* (a b) c = a (b c) */
    uint32_t left = leat__crc32c_combine(leat__crc32c_combine(a, b, half), c, half + 3);
    uint32_t right = leat__crc32c_combine(a, leat__crc32c_combine(b, c, half + 3), 2 * half + 3);
    ck_assert_uint_eq(left, right);
    ck_assert_uint_ne(leat__crc32c_combine(a, b, half), leat__crc32c_combine(a, b, 0));
}
END_TEST

/* ---- summers ---- */

static const struct {
    leat__sum_kind kind;
    const char *text, *hex;
} known[] = {
    {LEAT__SUM_CRC32C, "123456789", "e3069283"},
    {LEAT__SUM_CRC32C, "", "00000000"},
    {LEAT__SUM_MD5, "abc", "900150983cd24fb0d6963f7d28e17f72"}, /* RFC 1321 */
    {LEAT__SUM_MD5, "", "d41d8cd98f00b204e9800998ecf8427e"},
    {LEAT__SUM_SHA256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}, /* FIPS 180-2 */
    {LEAT__SUM_SHA256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
};

/* Twice: it begins anew. And byte by byte. */
START_TEST(summers_give_known_sums)
{
    char hex[LEAT__SUM_HEX];
    leat__summer *summer = leat__summer_new(known[_i].kind);
    ck_assert_ptr_nonnull(summer);
    for (int i = 0; i < 2; i++) {
        leat__summer_add(summer, known[_i].text, strlen(known[_i].text));
        leat__sum sum = leat__summer_finish(summer);
        leat__sum_hex(&sum, hex);
        ck_assert_str_eq(hex, known[_i].hex);
        ck_assert_int_eq(sum.kind, known[_i].kind);
        for (size_t k = leat__sum_size(sum.kind); k < sizeof sum.bytes; k++) ck_assert_uint_eq(sum.bytes[k], 0);
    }
    for (const char *c = known[_i].text; *c; c++) leat__summer_add(summer, c, 1);
    leat__sum sum = leat__summer_finish(summer);
    leat__sum_hex(&sum, hex);
    ck_assert_str_eq(hex, known[_i].hex);
    leat__summer_free(summer);
    leat__summer_free(NULL);
}
END_TEST

/* ---- texts ---- */

static const struct {
    leat__sum_kind kind;
    const char *text, *hex; /* hex NULL: refused */
} texts[] = {
    {LEAT__SUM_NONE, "E3069283", "e3069283"},
    {LEAT__SUM_CRC32C, "4waSgw==", "e3069283"}, /* as GCS writes it */
    {LEAT__SUM_NONE, "4waSgw==", "e3069283"},
    {LEAT__SUM_MD5, "kAFQmDzST7DWlj99KOF/cg==", "900150983cd24fb0d6963f7d28e17f72"},
    {LEAT__SUM_NONE, "900150983CD24fb0d6963f7d28e17f72", "900150983cd24fb0d6963f7d28e17f72"},
    {LEAT__SUM_SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {LEAT__SUM_SHA256, "900150983cd24fb0d6963f7d28e17f72", NULL},
    {LEAT__SUM_MD5, "e3069283", NULL},
    {LEAT__SUM_CRC32C, "4waSgx==", NULL}, /* bits that are left over */
    {LEAT__SUM_CRC32C, "4waSg===", NULL},
    {LEAT__SUM_CRC32C, "4wa=gw==", NULL},
    {LEAT__SUM_CRC32C, "4waSgw=a", NULL},
    {LEAT__SUM_CRC32C, "=======", NULL},
    {LEAT__SUM_CRC32C, "4wa_gw==", NULL},
    {LEAT__SUM_NONE, "e306928g", NULL},
    {LEAT__SUM_NONE, "e30692 3", NULL},
    {LEAT__SUM_NONE, "e306928", NULL},
    {LEAT__SUM_NONE, "", NULL},
    {LEAT__SUM_MD5, "kAFQmDzST7DWlj99KOF/cgAA", NULL},
    {LEAT__SUM_NONE, "900150983cd24fb0d6963f7d28e17f7=", NULL},
};

START_TEST(texts_of_sums)
{
    char hex[LEAT__SUM_HEX];
    leat__sum sum = {.kind = LEAT__SUM_MD5};
    bool taken = leat__sum_parse(texts[_i].kind, texts[_i].text, &sum);
    ck_assert_msg(taken == (texts[_i].hex != NULL), "'%s'", texts[_i].text);
    if (!taken) ck_assert_int_eq(sum.kind, LEAT__SUM_NONE);
    leat__sum_hex(&sum, hex);
    ck_assert_str_eq(hex, taken ? texts[_i].hex : "");
}
END_TEST

START_TEST(sums_are_compared)
{
    leat__sum a, b, none = {.kind = LEAT__SUM_NONE};
    ck_assert(leat__sum_parse(LEAT__SUM_NONE, "e3069283", &a));
    b = leat__sum_of_crc32c(0xe3069283);
    ck_assert(leat__sum_equal(&a, &b));
    b = leat__sum_of_crc32c(0xe3069284);
    ck_assert(!leat__sum_equal(&a, &b));
    ck_assert(!leat__sum_equal(&none, &none));
    ck_assert(!leat__sum_equal(&a, &none));
    ck_assert_str_eq(leat__sum_name(LEAT__SUM_SHA256), "sha256");
    ck_assert_str_eq(leat__sum_name(LEAT__SUM_NONE), "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("checksum");
    TCase *crc = tcase_create("CRC-32C"), *summing = tcase_create("summers"), *text = tcase_create("texts");
    tcase_set_timeout(crc, 60);
    tcase_add_test(crc, crc32c_of_rfc_3720);
    tcase_add_test(crc, crc32c_is_the_reference_at_every_length_and_place);
    tcase_add_test(crc, crc32c_of_pieces_is_that_of_the_whole);
    tcase_add_test(crc, crc32c_of_more_than_four_gigabytes);
    tcase_add_test(crc, combining_counts_in_64_bits);
    tcase_add_loop_test(summing, summers_give_known_sums, 0, (int)COUNT(known));
    tcase_add_loop_test(text, texts_of_sums, 0, (int)COUNT(texts));
    tcase_add_test(text, sums_are_compared);
    suite_add_tcase(suite, crc);
    suite_add_tcase(suite, summing);
    suite_add_tcase(suite, text);
    return run_suite(suite);
}
