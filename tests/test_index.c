/* test_index.c - leat.index written and read, indexes of others, and what is refused.
 *
 * Foreign indexes are texts as their writers give them: webdataset's wids/wids_index.py (json.dump of the dict in main_create)
 * and DALI's tools/wds2idx.py (IndexCreator.create_index), whose output for the archive that the test makes was taken down.
 * Not here: leat index and leat pack as commands (test_cli.py), any bytes (fuzz/fuzz_index.c). */
#include <check.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <leat/index.h>
#include <leat/pack.h>

#include "loader/tarwriter.h"
#include "loading.h"
#include "pipeline/failure.h"
#include "stages/index.h"
#include "stages/indexforeign.h"
#include "stages/indexlayout.h"
#include "pipeline/jsonread.h"

static leat_error error;

/* ---- helpers ---- */

typedef struct memory {
    uint8_t *bytes;
    size_t size, capacity;
} memory;

static leat_code to_memory(void *user, const void *data, size_t size, leat_error *ignored)
{
    memory *m = user;
    (void)ignored;
    if (m->capacity - m->size < size) {
        m->capacity = (m->size + size) * 2;
        m->bytes = realloc(m->bytes, m->capacity);
        ck_assert_ptr_nonnull(m->bytes);
    }
    if (size) memcpy(m->bytes + m->size, data, size);
    m->size += size;
    return LEAT_OK;
}

static uint8_t *copy_of(const void *bytes, size_t size)
{
    uint8_t *copy = malloc(size + !size);
    ck_assert_ptr_nonnull(copy);
    if (size) memcpy(copy, bytes, size);
    return copy;
}

static memory read_whole(const char *path)
{
    memory m = {0};
    uint8_t buffer[4096];
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    for (size_t got; (got = fread(buffer, 1, sizeof buffer, file)) > 0;) to_memory(&m, buffer, got, NULL);
    fclose(file);
    return m;
}

/* Changes one bit of a file in place. */
static void flip(const char *path, size_t byte)
{
    memory m = read_whole(path);
    ck_assert_uint_lt(byte, m.size);
    m.bytes[byte] ^= 1;
    write_file(path, m.bytes, m.size);
    free(m.bytes);
}

static leat__listing *list(const char *source)
{
    leat__listing *listing;
    ck_leat(leat__source_list(source, &listing, &error));
    return listing;
}

/* A place that rises unevenly. */
static uint32_t place_of(uint64_t i)
{
    return (uint32_t)(i * 3 + i / 7);
}

static leat__index_row row_with(const char *name, uint64_t samples)
{
    leat__index_row row = {.name = name, .etag = "", .samples = samples, .bytes = (uint64_t)(place_of(samples) + 2) * 512,
                           .unpacked = (uint64_t)(place_of(samples) + 2) * 512,
                           .has_head_crc = true, .head_crc = (uint32_t)samples * 77};
    uint32_t *places = calloc(samples + 1, sizeof *places);
    for (uint64_t i = 0; i <= samples; i++) places[i] = place_of(i);
    row.places = places;
    return row;
}

/* An archive of `samples` samples n0, n1 ... of two files each; sample i's jpg has i * 100 % 3000 bytes. */
static void make_shard(const char *path, int samples)
{
    memory m = {0};
    leat__tar_writer writer;
    char name[64], body[3000];
    memset(body, 'b', sizeof body);
    leat__tar_writer_begin(&writer, to_memory, &m);
    for (int i = 0; i < samples; i++) {
        size_t size = (size_t)i * 100 % 3000;
        snprintf(name, sizeof name, "d/n%d.jpg", i);
        ck_leat(leat__tar_writer_entry(&writer, name, size, &error));
        if (size) ck_leat(leat__tar_writer_body(&writer, body, size, &error));
        snprintf(name, sizeof name, "d/n%d.cls", i);
        ck_leat(leat__tar_writer_entry(&writer, name, 1, &error));
        ck_leat(leat__tar_writer_body(&writer, "7", 1, &error));
    }
    ck_leat(leat__tar_writer_end(&writer, &error));
    write_file(path, m.bytes, m.size);
    free(m.bytes);
}

static uint64_t shard_place(int sample)
{
    uint64_t at = 0;
    for (int i = 0; i < sample; i++) at += 512 + (uint64_t)(i * 100 % 3000 + 511) / 512 * 512 + 1024;
    return at;
}

static leat_index_result index_it(const char *source, const char *to)
{
    leat_index_config config = {.source = source, .to = to, .threads = 2};
    leat_index_result result;
    ck_leat(leat_index(&config, &result, &error));
    return result;
}

static leat_code find(const char *source, const char *wanted, leat__index **index)
{
    leat__listing *listing = list(source);
    leat_code code = leat__index_find(listing, wanted, NULL, NULL, 0, index, &error);
    leat__listing_free(listing);
    ck_assert(!code || !*index);
    return code;
}

static leat__index *found(const char *source, const char *wanted)
{
    leat__index *index;
    ck_leat(find(source, wanted, &index));
    ck_assert_ptr_nonnull(index);
    return index;
}

static void refused(const char *source, const char *wanted, leat_code expected, const char *words)
{
    leat__index *index;
    leat_code code = find(source, wanted, &index);
    ck_assert_msg(code == expected, "%s: %s", leat_code_name(code), error.message);
    ck_assert_msg(strstr(error.message, words) != NULL, "%s", error.message);
}

/* ---- the file ---- */

static const uint64_t sizes[] = {0, 1, 2, 1022, 1023, 1024, 1025, 2047, 2048, 2049, 5000};
enum { COUNTS = sizeof sizes / sizeof sizes[0] };

START_TEST(what_is_written_is_read)
{
    memory m = {0};
    leat__index_file *file;
    leat__index_row rows[COUNTS], row;
    char names[COUNTS][8];
    static uint64_t places[5001];
    for (size_t i = 0; i < COUNTS; i++) {
        snprintf(names[i], sizeof names[i], "s%02u", (unsigned)i % 100);
        rows[i] = row_with(names[i], sizes[i]);
    }
    rows[3].etag = "\"abc\"";
    ck_leat(leat__index_file_write(rows, COUNTS, to_memory, &m, &error));
    ck_leat(leat__index_file_of_bytes(copy_of(m.bytes, m.size), m.size, "it", &file, &error));
    ck_assert_uint_eq(leat__index_file_shards(file), COUNTS);
    for (size_t i = 0; i < COUNTS; i++) {
        size_t at;
        ck_assert(leat__index_file_find(file, names[i], &at) && at == i);
        leat__index_file_row(file, i, &row);
        ck_assert_str_eq(row.name, names[i]);
        ck_assert_str_eq(row.etag, i == 3 ? "\"abc\"" : "");
        ck_assert(row.samples == sizes[i] && row.bytes == rows[i].bytes && row.unpacked == rows[i].bytes && row.has_places);
        ck_assert_uint_eq(row.head_crc, rows[i].head_crc);
        for (uint64_t first = 0; first <= sizes[i]; first += 1 + first / 3) {
            for (uint64_t n = 0; n <= sizes[i] - first; n += 1 + n * 2) {
                ck_leat(leat__index_file_places(file, i, first, n, places, &error));
                for (uint64_t k = 0; k <= n; k++) ck_assert_uint_eq(places[k], (uint64_t)place_of(first + k) * 512);
            }
        }
        free((uint32_t *)rows[i].places);
    }
    size_t nowhere;
    ck_assert(!leat__index_file_find(file, "s", &nowhere) && !leat__index_file_find(file, "t", &nowhere));
    leat__index_file_free(file);
    free(m.bytes);
}
END_TEST

static memory small_index(void)
{
    memory m = {0};
    leat__index_row rows[3] = {row_with("a.tar", 3),
                               {.name = "b.tar.zst", .etag = "\"e\"", .bytes = 999, .unpacked = 12345, .samples = 5},
                               row_with("c.tar", 0)};
    ck_leat(leat__index_file_write(rows, 3, to_memory, &m, &error));
    for (int i = 0; i < 3; i++) free((uint32_t *)rows[i].places);
    return m;
}

/* True if it is refused when it is opened, or when all its places are read. */
static bool is_refused(const uint8_t *bytes, size_t size)
{
    leat__index_file *file;
    leat__index_row row;
    uint64_t places[64];
    leat_code code = leat__index_file_of_bytes(copy_of(bytes, size), size, "it", &file, &error);
    ck_assert((code == LEAT_OK) == (file != NULL));
    for (size_t i = 0; !code && i < leat__index_file_shards(file); i++) {
        leat__index_file_row(file, i, &row);
        ck_assert(!row.has_places || row.samples < 64);
        if (row.has_places) code = leat__index_file_places(file, i, 0, row.samples, places, &error);
    }
    leat__index_file_free(file);
    ck_assert(!code || strlen(error.message) > 10);
    return code != LEAT_OK;
}

START_TEST(every_truncation_and_flip_is_refused)
{
    memory m = small_index();
    ck_assert(!is_refused(m.bytes, m.size));
    for (size_t size = 0; size < m.size; size++) ck_assert_msg(is_refused(m.bytes, size), "cut to %zu bytes", size);
    for (size_t i = 0; i < m.size * 8; i++) {
        m.bytes[i / 8] ^= (uint8_t)(1u << i % 8);
        ck_assert_msg(is_refused(m.bytes, m.size), "bit %zu of byte %zu", i % 8, i / 8);
        m.bytes[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    to_memory(&m, "x", 1, NULL);
    ck_assert(is_refused(m.bytes, m.size));
    free(m.bytes);
}
END_TEST

/* A shard that is read by sample is not compressed: two sizes for it are damage, whatever the checksums say. */
START_TEST(an_uncompressed_shard_has_one_size)
{
    memory m = small_index();
    uint64_t table = leat__get_u64(m.bytes + 40);
    m.bytes[LEAT__INDEX_HEADER + 48]++; /* unpacked bytes of row 0 */
    leat__put_u32(m.bytes + 56, libdeflate_crc32(0, m.bytes + LEAT__INDEX_HEADER, table));
    leat__put_u32(m.bytes + 60, libdeflate_crc32(0, m.bytes, 60));
    ck_assert(is_refused(m.bytes, m.size));
    ck_assert_msg(strstr(error.message, "a row that cannot be") != NULL, "%s", error.message);
    m.bytes[LEAT__INDEX_HEADER + 48]--;
    m.bytes[LEAT__INDEX_HEADER + LEAT__INDEX_ROW + 48]++; /* of the compressed one: any */
    leat__put_u32(m.bytes + 56, libdeflate_crc32(0, m.bytes + LEAT__INDEX_HEADER, table));
    leat__put_u32(m.bytes + 60, libdeflate_crc32(0, m.bytes, 60));
    ck_assert(!is_refused(m.bytes, m.size));
    free(m.bytes);
}
END_TEST

START_TEST(codes_say_what_is_wrong)
{
    memory m = small_index();
    leat__index_file *file;
    ck_assert_int_eq(leat__index_file_of_bytes(copy_of(m.bytes, m.size - 1), m.size - 1, "it", &file, &error), LEAT_ETRUNCATED);
    ck_assert_int_eq(leat__index_file_of_bytes(copy_of(m.bytes, 20), 20, "it", &file, &error), LEAT_ETRUNCATED);
    ck_assert_int_eq(leat__index_file_of_bytes(copy_of("hello", 5), 5, "it", &file, &error), LEAT_EFORMAT);
    m.bytes[8] = 2;
    ck_assert_int_eq(leat__index_file_of_bytes(copy_of(m.bytes, m.size), m.size, "it", &file, &error), LEAT_EUNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(error.message, "version 2"));
    ck_assert_int_eq(leat__index_file_open("/nonexistent/leat.index", "it", &file, &error), LEAT_ENOTFOUND);
    free(m.bytes);
}
END_TEST

START_TEST(a_hundred_thousand_shards_open_at_once)
{
    enum { SHARDS = 100000 };
    memory m = {0};
    leat__index_file *file;
    leat__index_row *rows = calloc(SHARDS, sizeof *rows), row;
    char (*names)[20] = calloc(SHARDS, sizeof *names);
    for (size_t i = 0; i < SHARDS; i++) {
        snprintf(names[i], sizeof names[i], "train-%06u.tar", (unsigned)i % SHARDS);
        rows[i] = (leat__index_row){.name = names[i], .etag = "", .bytes = 1000000, .unpacked = 9000000, .samples = 10000};
    }
    ck_leat(leat__index_file_write(rows, SHARDS, to_memory, &m, &error));
    write_file(at("leat.index"), m.bytes, m.size);
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    ck_leat(leat__index_file_open(at("leat.index"), "it", &file, &error));
    clock_gettime(CLOCK_MONOTONIC, &after);
    double seconds = (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;
    ck_assert_msg(seconds < (SANITIZED ? 3 : 0.5), "%f s", seconds);
    leat__index_file_row(file, SHARDS - 1, &row);
    ck_assert_str_eq(row.name, "train-099999.tar");
    leat__index_file_free(file);
    free(m.bytes);
    free(rows);
    free(names);
}
END_TEST

/* ---- leat_index, and finding what it wrote ---- */

START_TEST(counts_places_and_facts_of_shards)
{
    static const int samples[] = {5, 0, 1200};
    for (int i = 0; i < 3; i++) make_shard(at("s%d.tar", i), samples[i]);
    run_tool("zstd", "-q", at("s0.tar"), "-o", at("z.tar.zst"), NULL);
    leat_index_result result = index_it(scratch, NULL);
    ck_assert_uint_eq(result.shards, 4);
    ck_assert_uint_eq(result.samples, 5 + 0 + 1200 + 5);
    ck_assert_uint_eq(result.files, 1);
    leat__index *index = found(scratch, NULL);
    for (int i = 0; i < 3; i++) {
        uint64_t places[1201];
        leat__index_facts facts;
        struct stat status;
        ck_assert_uint_eq(leat__index_counts(index)[i], (uint64_t)samples[i]);
        ck_assert(leat__index_has_places(index, (uint64_t)i));
        ck_leat(leat__index_places(index, (uint64_t)i, 0, (uint64_t)samples[i], places, &error));
        for (int n = 0; n <= samples[i]; n++) ck_assert_uint_eq(places[n], shard_place(n));
        leat__index_get_facts(index, (uint64_t)i, &facts);
        ck_assert(stat(at("s%d.tar", i), &status) == 0 && facts.bytes == (uint64_t)status.st_size && facts.has_head_crc &&
                  facts.unpacked == facts.bytes && !*facts.etag);
    }
    ck_assert_uint_eq(leat__index_counts(index)[3], 5);
    ck_assert(!leat__index_has_places(index, 3));
    leat__index_facts plain, packed;
    leat__index_get_facts(index, 0, &plain);
    leat__index_get_facts(index, 3, &packed);
    ck_assert(packed.unpacked == plain.bytes && packed.bytes < plain.bytes);
    leat__index_free(index);
}
END_TEST

/* What tar and other programs put among samples: a folder, a link, long names (pax), a name twice, a file without extension. */
START_TEST(samples_are_those_of_the_reader)
{
    static const char script[] =
        "import tarfile, io, sys\n"
        "def add(t, n, s=3, kind=tarfile.REGTYPE):\n"
        "    i = tarfile.TarInfo(n); i.type = kind; i.size = s if kind == tarfile.REGTYPE else 0; i.linkname = 'x'\n"
        "    t.addfile(i, io.BytesIO(b'x' * s))\n"
        "t = tarfile.open(sys.argv[1], 'w', format=tarfile.PAX_FORMAT if sys.argv[2] == 'pax' else tarfile.GNU_FORMAT,\n"
        "                 pax_headers={'comment': 'g'} if sys.argv[3] == 'g' else None)\n"
        "add(t, 'README'); add(t, 'd', kind=tarfile.DIRTYPE); add(t, 'd/a.jpg', 700); add(t, 'd/a.cls')\n"
        "add(t, 'l.jpg', kind=tarfile.SYMTYPE); add(t, 'd/b.jpg'); add(t, 'd/b.jpg'); add(t, 'd/b.cls')\n"
        "add(t, 'n' * 200 + '/' + 'm' * 150 + '.jpg', 5000000); add(t, 'n' * 200 + '/' + 'm' * 150 + '.cls'); add(t, 'd/a.jpg')\n"
        "t.close()\n";
    run_tool("/usr/bin/python3", "-c", script, at("pax.tar"), "pax", "", NULL);
    run_tool("/usr/bin/python3", "-c", script, at("gnu.tar"), "gnu", "", NULL);
    run_tool("/usr/bin/python3", "-c", script, at("global.tar"), "pax", "g", NULL);
    index_it(scratch, NULL);
    leat__index *index = found(scratch, NULL);
    for (int i = 0; i < 3; i++) {
        uint64_t places[5];
        ck_assert_uint_eq(leat__index_counts(index)[i], 4);
        ck_assert_int_eq(leat__index_has_places(index, (uint64_t)i), i != 0); /* global.tar comes first */
        if (i == 0) continue;
        ck_leat(leat__index_places(index, (uint64_t)i, 0, 4, places, &error));
        ck_assert_uint_eq(places[0], 1536);                     /* README and its body, the folder */
        ck_assert_uint_eq(places[1], 1536 + 512 + 1024 + 1024 + 512); /* its two files, the link */
        ck_assert_uint_eq(places[2], places[1] + 3 * 1024);
        ck_assert_uint_eq(places[3], places[2] + (512 + 5000192 + 1024) + 2 * (512 + 512)); /* two files, each with its long name */
        ck_assert_uint_eq(places[4], places[3] + 1024);
    }
    leat__index_free(index);
}
END_TEST

START_TEST(a_shard_that_cannot_be_read_fails_by_name)
{
    leat_index_config config = {.source = scratch};
    leat_index_result result;
    make_shard(at("a.tar"), 3);
    make_shard(at("b.tar"), 30);
    ck_assert_int_eq(truncate(at("b.tar"), 3000), 0);
    ck_assert_int_eq(leat_index(&config, &result, &error), LEAT_ETRUNCATED);
    ck_assert_msg(strstr(error.message, "b.tar: tar archive ends at byte 3000") != NULL, "%s", error.message);
    ck_assert_int_ne(access(at("leat.index"), F_OK), 0);
    config.source = "http://127.0.0.1:1/x.tar";
    ck_assert_int_eq(leat_index(&config, &result, &error), LEAT_EINVAL);
    ck_assert_msg(strstr(error.message, "--to") != NULL, "%s", error.message);
    write_text(at("1.jpg"), "x");
    config.source = at("1.jpg");
    ck_assert_int_eq(leat_index(&config, &result, &error), LEAT_EINVAL);
    ck_assert_msg(strstr(error.message, "no shards") != NULL, "%s", error.message);
}
END_TEST

START_TEST(an_index_that_does_not_match_is_refused)
{
    make_shard(at("a.tar"), 3);
    make_shard(at("b.tar"), 4);
    index_it(scratch, NULL);
    leat__index_free(found(scratch, NULL));
    make_shard(at("a.tar"), 6);
    refused(scratch, NULL, LEAT_ECHANGED, "a.tar: index ");
    ck_assert_ptr_nonnull(strstr(error.message, "run leat index again"));
    make_shard(at("a.tar"), 3);
    make_shard(at("c.tar"), 1);
    refused(scratch, NULL, LEAT_ECHANGED, "lacks the shard");
    ck_assert_ptr_nonnull(strstr(error.message, "c.tar"));
    leat__index *index;
    ck_leat(find(scratch, "none", &index));
    ck_assert_ptr_null(index);
    write_text(at("leat.index"), "no");
    refused(scratch, NULL, LEAT_EFORMAT, "not a file of leat index");
    refused(scratch, at("nowhere"), LEAT_ENOTFOUND, "nowhere");
    refused(scratch, "", LEAT_EINVAL, "index");
}
END_TEST

START_TEST(a_shard_of_the_same_size_has_another_head)
{
    leat__index_facts facts;
    make_shard(at("a.tar"), 3);
    index_it(scratch, NULL);
    flip(at("a.tar"), 1024);
    leat__index *index = found(scratch, NULL);
    leat__index_get_facts(index, 0, &facts);
    uint32_t before = facts.head_crc;
    leat__index_free(index);
    memory m = read_whole(at("a.tar"));
    m.bytes[1024] ^= 1;
    ck_assert_uint_gt(m.size, LEAT__INDEX_HEAD);
    uint32_t crc = 0xffffffff; /* CRC-32 of the first 4096 bytes, bit by bit (ISO 3309) */
    for (size_t i = 0; i < LEAT__INDEX_HEAD * 8; i++)
        crc = (crc >> 1) ^ (0xedb88320u & -((crc ^ (uint32_t)(m.bytes[i / 8] >> i % 8)) & 1));
    ck_assert_uint_eq(before, ~crc);
    free(m.bytes);
}
END_TEST

START_TEST(several_folders)
{
    char both[256];
    mkdir(at("x"), 0777);
    mkdir(at("y"), 0777);
    make_shard(at("x/a.tar"), 3);
    make_shard(at("y/b.tar"), 5);
    make_shard(at("y/a.tar"), 7);
    snprintf(both, sizeof both, "%s/{x,y}/*.tar", scratch);
    leat__index *index;
    ck_leat(find(both, NULL, &index));
    ck_assert_ptr_null(index);
    index_it(at("x"), NULL);
    refused(both, NULL, LEAT_ECHANGED, "there is no leat.index beside");
    leat_index_result result = index_it(both, NULL);
    ck_assert_uint_eq(result.files, 2);
    index = found(both, NULL);
    static const uint64_t expected[] = {3, 7, 5}; /* x/a y/a y/b */
    ck_assert_mem_eq(leat__index_counts(index), expected, sizeof expected);
    leat__index_free(index);
    leat_index_config config = {.source = both, .to = at("all")};
    ck_assert_int_eq(leat_index(&config, &result, &error), LEAT_EINVAL); /* two are named a.tar */
    ck_assert_ptr_nonnull(strstr(error.message, "a.tar"));
    index_it(at("y"), at("elsewhere"));
    index = found(at("y"), at("elsewhere"));
    ck_assert_uint_eq(leat__index_counts(index)[0], 7);
    leat__index_free(index);
    leat__index_free(found(at("y"), at("elsewhere/leat.index")));
}
END_TEST

START_TEST(a_data_set_that_was_moved_has_the_same_digest)
{
    uint64_t digests[4];
    for (int i = 0; i < 4; i++) {
        mkdir(at("%d", i), 0777);
        make_shard(at("%d/a.tar", i), 3);
        make_shard(at("%d/b.tar", i), i == 2 ? 5 : 4);
        if (i == 3) flip(at("3/b.tar"), 1024); /* of the same shape */
        index_it(at("%d", i), NULL);
        leat__index *index = found(at("%d", i), NULL);
        digests[i] = leat__index_digest(index);
        leat__index_free(index);
    }
    ck_assert_uint_eq(digests[0], digests[1]);
    ck_assert_uint_ne(digests[0], digests[2]);
    ck_assert_uint_ne(digests[0], digests[3]);
}
END_TEST

/* Makes and reads index rows of a folder: names, each followed by its count. */
static void check_names(const char *path, const char *expected)
{
    leat__index_file *file;
    leat__index_row row;
    char names[256] = "";
    ck_leat(leat__index_file_open(path, path, &file, &error));
    for (size_t i = 0; i < leat__index_file_shards(file); i++) {
        size_t length = strlen(names);
        leat__index_file_row(file, i, &row);
        snprintf(names + length, sizeof names - length, "%s%s %d", i ? ", " : "", row.name, (int)row.samples);
    }
    leat__index_file_free(file);
    ck_assert_str_eq(names, expected);
}

START_TEST(a_part_of_a_folder_is_indexed_anew)
{
    char only[128];
    snprintf(only, sizeof only, "%s", at("b.tar"));
    for (int i = 0; i < 4; i++) make_shard(at("%c.tar", 'a' + i), 3 + i);
    run_tool("zstd", "-q", at("a.tar"), "-o", at("z.tar.zst"), NULL);
    index_it(scratch, NULL);
    memory before = read_whole(at("leat.index"));
    index_it(only, NULL); /* nothing has changed */
    memory after = read_whole(at("leat.index"));
    ck_assert(before.size == after.size && memcmp(before.bytes, after.bytes, after.size) == 0);
    free(before.bytes);
    free(after.bytes);
    make_shard(only, 9);
    index_it(only, NULL);
    check_names(at("leat.index"), "a.tar 3, b.tar 9, c.tar 5, d.tar 6, z.tar.zst 3");
    leat__index_free(found(scratch, NULL));
    flip(at("a.tar"), 1024);                         /* of the same size */
    struct stat status;
    ck_assert(stat(at("c.tar"), &status) == 0 && truncate(at("c.tar"), status.st_size + 512) == 0); /* with the same beginning */
    ck_assert_int_eq(unlink(at("d.tar")), 0);       /* gone */
    make_shard(at("e.tar"), 2);                     /* not known before */
    leat_index_result result = index_it(only, NULL);
    ck_assert(result.shards == 1 && result.samples == 9);
    check_names(at("leat.index"), "b.tar 9, z.tar.zst 3");
    refused(scratch, NULL, LEAT_ECHANGED, "lacks the shard");
    index_it(scratch, NULL);
    check_names(at("leat.index"), "a.tar 3, b.tar 9, c.tar 5, e.tar 2, z.tar.zst 3");
    index_it(only, scratch);                        /* to a folder: exactly the source's */
    check_names(at("leat.index"), "b.tar 9");
    write_text(at("leat.index"), "damaged");        /* is replaced */
    index_it(only, NULL);
    check_names(at("leat.index"), "b.tar 9");
}
END_TEST

START_TEST(a_list_may_name_a_shard_twice_and_have_loose_files)
{
    make_shard(at("a.tar"), 3);
    make_shard(at("b.tar"), 4);
    write_text(at("1.jpg"), "x");
    write_text(at("l.txt"), "b.tar\na.tar\n1.jpg\nb.tar\n");
    char source[128];
    snprintf(source, sizeof source, "@%s", at("l.txt"));
    leat_index_result result = index_it(source, NULL);
    ck_assert_uint_eq(result.shards, 2);
    leat__index *index = found(source, NULL);
    static const uint64_t expected[] = {4, 3, 1, 4};
    ck_assert_mem_eq(leat__index_counts(index), expected, sizeof expected);
    ck_assert(!leat__index_has_places(index, 2) && leat__index_has_places(index, 3));
    leat__index_free(index);
}
END_TEST

/* ---- over the network ---- */

typedef struct served {
    const char *url;    /* what is asked for; NULL: nothing may be */
    const void *bytes;
    size_t size;
    leat_code code;
    uint64_t max_bytes; /* what is asked for */
    int asked;
} served;

static leat_code serve(void *user, const char *url, uint64_t max_bytes, uint8_t **bytes, size_t *size, leat_error *e)
{
    served *s = user;
    s->asked++;
    ck_assert_str_eq(url, s->url);
    ck_assert_uint_eq(max_bytes, s->max_bytes);
    if (s->code) return leat__fail(e, s->code, 0, "as told");
    *bytes = copy_of(s->bytes, s->size);
    *size = s->size;
    return LEAT_OK;
}

static leat_code find_served(const char *wanted, served *s, leat__index **index)
{
    leat__listing *listing = list("http://h/d/{a,c}.tar?key=%2f");
    leat_code code = leat__index_find(listing, wanted, serve, s, s->max_bytes, index, &error);
    leat__listing_free(listing);
    return code;
}

START_TEST(an_index_beside_urls)
{
    memory m = small_index();
    leat__index *index;
    served s = {.url = "http://h/d/leat.index?key=%2f", .bytes = m.bytes, .size = m.size};
    ck_leat(find_served(NULL, &s, &index));
    ck_assert(index && s.asked == 1 && leat__index_counts(index)[0] == 3 && leat__index_counts(index)[1] == 0);
    uint64_t places[4];
    ck_leat(leat__index_places(index, 0, 1, 2, places, &error));
    ck_assert_uint_eq(places[2], (uint64_t)place_of(3) * 512);
    leat__index_free(index);
    s.code = LEAT_ENOTFOUND;
    ck_leat(find_served(NULL, &s, &index));
    ck_assert_ptr_null(index);
    ck_assert_int_eq(error.code, LEAT_OK);
    s.code = LEAT_ENETWORK;
    ck_assert_int_eq(find_served(NULL, &s, &index), LEAT_ENETWORK);
    s.code = LEAT_ELIMIT;
    s.max_bytes = 1234567;
    ck_assert_int_eq(find_served(NULL, &s, &index), LEAT_ELIMIT);
    ck_assert_msg(strstr(error.message, "h/d/leat.index?") && strstr(error.message, "more than the 1234567 bytes") &&
                  strstr(error.message, "raise memory_limit, or give a local copy"), "%s", error.message);
    s = (served){.url = s.url, .bytes = "<html>", .size = 6};
    ck_leat(find_served(NULL, &s, &index));
    ck_assert_ptr_null(index);
    s = (served){.url = "http://i/leat.index", .bytes = "<html>", .size = 6};
    ck_assert_int_eq(find_served("http://i/", &s, &index), LEAT_EFORMAT);
    s.code = LEAT_ENOTFOUND;
    ck_assert_int_eq(find_served("http://i/", &s, &index), LEAT_ENOTFOUND);
    s = (served){.url = "http://i/it?q", .bytes = m.bytes, .size = m.size - 1};
    ck_assert_int_eq(find_served("http://i/it?q", &s, &index), LEAT_ETRUNCATED);
    ck_assert_msg(!strstr(error.message, "?q"), "%s", error.message);
    free(m.bytes);
}
END_TEST

START_TEST(the_digest_is_of_the_data_and_not_of_who_serves_it)
{
    uint64_t digests[3];
    for (int i = 0; i < 3; i++) {
        memory m = {0};
        leat__index *index;
        leat__index_row rows[2] = {row_with("a.tar", 3), row_with("c.tar", 4)};
        if (i == 1) rows[0].etag = "\"1\"";
        if (i == 2) rows[1].head_crc ^= 1;
        ck_leat(leat__index_file_write(rows, 2, to_memory, &m, &error));
        served s = {.url = "http://h/d/leat.index?key=%2f", .bytes = m.bytes, .size = m.size, .max_bytes = 100000};
        ck_leat(find_served(NULL, &s, &index));
        digests[i] = leat__index_digest(index);
        leat__index_free(index);
        free(m.bytes);
        for (int k = 0; k < 2; k++) free((uint32_t *)rows[k].places);
    }
    ck_assert(digests[0] == digests[1] && digests[0] != digests[2]);
}
END_TEST

/* Answers with the same index, whatever is asked, and notes how much it might have been. */
static leat_code serve_all(void *user, const char *url, uint64_t max_bytes, uint8_t **bytes, size_t *size, leat_error *e)
{
    served *s = user;
    (void)url;
    if (max_bytes < s->size) return leat__fail(e, LEAT_ELIMIT, 0, "too long");
    s->max_bytes = max_bytes;
    s->asked++;
    *bytes = copy_of(s->bytes, s->size);
    *size = s->size;
    return LEAT_OK;
}

START_TEST(indexes_of_several_remote_folders_share_the_room)
{
    memory m = small_index();
    leat__index *index;
    for (uint64_t spare = 0; spare < 2; spare++) {
        served s = {.bytes = m.bytes, .size = m.size};
        leat__listing *listing = list("http://h/{d,e,f}/a.tar");
        leat_code code = leat__index_find(listing, NULL, serve_all, &s, 3 * m.size - 1 + spare, &index, &error);
        leat__listing_free(listing);
        ck_assert_int_eq(code, spare ? LEAT_OK : LEAT_ELIMIT);
        ck_assert_int_eq(s.asked, spare ? 3 : 2);
        ck_assert_uint_eq(s.max_bytes, spare ? m.size : 2 * m.size - 1);
        leat__index_free(index);
    }
    free(m.bytes);
}
END_TEST

/* ---- indexes of others ---- */

/* As json.dump(result, f, indent=2) writes it: a shard of 3 samples, and b.tar of 4 without its size. */
static void write_wids(const char *path, const char *name, long long bytes)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\n  \"__kind__\": \"wids-shard-index-v1\",\n  \"wids_version\": 1,\n  \"shardlist\": [\n    {\n"
             "      \"url\": \"http://h/x/%s?q\",\n      \"md5sum\": \"3f\\u00e4\",\n      \"nsamples\": 3,\n"
             "      \"filesize\": %lld\n    },\n"
             "    {\n      \"url\": \"b.tar\",\n      \"md5sum\": \"00\",\n      \"nsamples\": 4\n    }\n  ],\n"
             "  \"name\": \"x\"\n}", name, bytes);
    write_text(path, text);
}

START_TEST(the_index_of_webdataset)
{
    struct stat status;
    mkdir(at("d"), 0777);
    make_shard(at("d/a.tar"), 3);
    make_shard(at("d/b.tar"), 4);
    ck_assert_int_eq(stat(at("d/a.tar"), &status), 0);
    write_wids(at("w.json"), "%61.tar", (long long)status.st_size);
    for (int i = 0; i < 2; i++) { /* the file, or the folder it is in */
        leat__index_facts facts;
        leat__index *index = found(at("d"), i ? scratch : at("w.json"));
        ck_assert(leat__index_counts(index)[0] == 3 && leat__index_counts(index)[1] == 4 && !leat__index_has_places(index, 0));
        leat__index_get_facts(index, 0, &facts);
        ck_assert_uint_eq(facts.bytes, (uint64_t)status.st_size);
        ck_assert_uint_eq(facts.unpacked, UINT64_MAX);
        leat__index_get_facts(index, 1, &facts);
        ck_assert(facts.bytes == UINT64_MAX && facts.unpacked == UINT64_MAX && !facts.has_head_crc);
        leat__index_free(index);
    }
    write_text(at("v.json"), "{}");
    refused(at("d"), scratch, LEAT_EINVAL, "several .json files");
    write_wids(at("w.json"), "a.tar", 17);
    refused(at("d"), at("w.json"), LEAT_ECHANGED, "says 17 bytes");
    ck_assert_msg(strstr(error.message, ": make the index again") && !strstr(error.message, "leat index"), "%s", error.message);
    write_wids(at("w.json"), "c.tar", 17);
    refused(at("d"), at("w.json"), LEAT_ECHANGED, "lacks the shard");
    ck_assert_msg(strstr(error.message, ": make the index again") && !strstr(error.message, "leat index"), "%s", error.message);
    write_wids(at("w.json"), "b.tar", 17);
    refused(at("d"), at("w.json"), LEAT_EINVAL, "two shards are named b.tar");
}
END_TEST

static const struct { const char *text, *words; leat_code code; } bad_wids[] = {
    {"{}", "no \"shardlist\"", LEAT_EFORMAT},
    {"{\"wids_version\":2,\"shardlist\":[]}", "version 2", LEAT_EUNSUPPORTED},
    {"{\"shardlist\":[]}", "no \"wids_version\"", LEAT_EFORMAT},
    {"{\"wids_version\":1,\"shardlist\":[{\"url\":\"a.tar\"}]}", "nsamples", LEAT_EFORMAT},
    {"{\"wids_version\":1,\"shardlist\":[{\"nsamples\":1}]}", "without \"url\"", LEAT_EFORMAT},
    {"{\"wids_version\":1,\"shardlist\":[{\"url\":\"a.tar\",\"nsamples\":-1}]}", "whole number", LEAT_EFORMAT},
    {"{\"wids_version\":1,\"shardlist\":[{\"url\":\"a.tar\",\"nsamples\":99999999999999999999}]}", "whole number", LEAT_EFORMAT},
    {"{\"wids_version\":1,\"shardlist\":[{\"url\":\"a.tar\",\"nsamples\":9999999999999999999}]}", "nsamples", LEAT_EFORMAT},
    {"{\"wids_version\":1,\"shardlist\":[{\"url\":\"a.tar\",\"nsamples\":1}]", "comma or closing bracket", LEAT_EFORMAT},
    {"{\"wids_version\":1,\"shardlist\":[{\"url\":\"a.tar\",\"nsamples\":1}]} x", "after the end", LEAT_EFORMAT},
    {"{\"wids_version\":1,\"shardlist\":{}}", "array was expected", LEAT_EFORMAT},
    {"{\"wids_version\":1,\"shardlist\":[{\"url\":\"x/\",\"nsamples\":1}]}", "cannot hold a shard", LEAT_EUNSUPPORTED},
};

START_TEST(wids_that_are_none)
{
    make_shard(at("a.tar"), 1);
    write_text(at("w.json"), bad_wids[_i].text);
    refused(at("a.tar"), at("w.json"), bad_wids[_i].code, bad_wids[_i].words);
}
END_TEST

/* As wds2idx.py writes them, of tarfile's a/0.jpg (1000 bytes), a/0.cls (1), z.jpg (3). */
START_TEST(the_index_of_dali)
{
    static const char script[] = "import tarfile, io, sys\nt = tarfile.open(sys.argv[1], 'w', format=tarfile.GNU_FORMAT)\n"
                                 "for n, s in ('a/0.jpg', 1000), ('a/0.cls', 1), ('z.jpg', 3):\n"
                                 "    i = tarfile.TarInfo(n); i.size = s; t.addfile(i, io.BytesIO(b'x' * s))\nt.close()\n";
    static const char *const texts[] = {"v1.2 2\njpg 512 1000 a/0.jpg cls 2048 1 a/0.cls\njpg 3072 3 z.jpg\n",
                                        "v1.1 2\njpg 512 1000 cls 2048 1\njpg 3072 3\n"};
    char folder[80];
    mkdir(at("d"), 0777);
    mkdir(at("i"), 0777);
    snprintf(folder, sizeof folder, "%s", at("i"));
    run_tool("/usr/bin/python3", "-c", script, at("d/t.x.tar"), NULL);
    for (int i = 0; i < 4; i++) { /* both versions; the file or the folder */
        uint64_t places[3];
        write_text(at("i/t.idx"), texts[i % 2]);
        leat__index *index = found(at("d"), i < 2 ? folder : at("i/t.idx"));
        ck_assert(leat__index_counts(index)[0] == 2 && leat__index_has_places(index, 0));
        ck_leat(leat__index_places(index, 0, 0, 2, places, &error));
        ck_assert(places[0] == 0 && places[1] == 2560 && places[2] == 3584);
        leat__index_free(index);
    }
    write_text(at("i/t.idx"), "v1.2 1\njpg 512 1000000 a/0.jpg\n");
    refused(at("d"), folder, LEAT_ECHANGED, "ends at byte 1000960");
    run_tool("cp", at("d/t.x.tar"), at("d/u.tar"), NULL);
    write_text(at("i/t.idx"), texts[0]);
    refused(at("d"), folder, LEAT_ENOTFOUND, "u.idx");
    refused(at("d"), at("i/t.idx"), LEAT_EINVAL, "of one shard");
}
END_TEST

static const struct { const char *text; bool places; const char *words; } dalis[] = {
    {"v1.2 1\njpg 512 3 n.jpg\n", true, NULL}, {"v1.2 1\njpg 512 3 n.jpg", true, NULL}, {"v1.2 0\n", true, NULL},
    {"v1.2 1\njpg 100 3 n.jpg\n", false, NULL},                     /* not on a block */
    {"v1.2 2\njpg 512 3 n.jpg\njpg 1024 3 m.jpg\n", false, NULL},   /* no room for a header */
    {"v1.2 1\njpg 512 9999999999999 n.jpg\n", false, NULL},         /* over 2 TiB */
    {"v1.2 2\njpg 512 3 n.jpg\n", false, "without files"}, {"v1.2 1\n\n", false, "without files"},
    {"v1.2 1\njpg 512 3 n.jpg\njpg 2048 3 m.jpg\n", false, "more samples"}, {"v1.2 x\n", false, "number of samples"},
    {"v1.2 99999999\njpg 512 3 n.jpg\n", false, "fewer samples"}, {"v1.2 1\njpg 512 3\n", false, "name of a file"},
    {"v1.2 1\njpg x 3 n\n", false, "offset and a size"}, {"v1.2 1\njpg 512 99999999999999999999 n\n", false, "offset and a size"},
};

START_TEST(dalis_odd_and_bad)
{
    leat__index_list rows = {0};
    leat_code code = leat__dali_read((const uint8_t *)dalis[_i].text, strlen(dalis[_i].text), "it", "n.tar", &rows, &error);
    ck_assert_int_eq(code, dalis[_i].words ? LEAT_EFORMAT : LEAT_OK);
    if (code) ck_assert_msg(strstr(error.message, dalis[_i].words) != NULL, "%s", error.message);
    else ck_assert_int_eq(rows.rows[0].places != NULL, dalis[_i].places);
    leat__index_list_end(&rows);
}
END_TEST

/* ---- counts that cannot be ---- */

static void write_row(const char *name, uint64_t bytes, uint64_t unpacked, uint64_t samples)
{
    memory m = {0};
    leat__index_row row = {.name = name, .etag = "", .bytes = bytes, .unpacked = unpacked, .samples = samples};
    ck_leat(leat__index_file_write(&row, 1, to_memory, &m, &error));
    write_file(at("i/leat.index"), m.bytes, m.size);
    free(m.bytes);
}

/* A shard's file has 10240 bytes, or, compressed, what zstd makes of them. */
START_TEST(a_count_over_what_a_shard_can_hold_is_refused)
{
    static const uint64_t unknown = UINT64_MAX;
    char folder[80], text[256];
    struct stat status;
    leat__index *index;
    snprintf(folder, sizeof folder, "%s", at("i"));
    mkdir(folder, 0777);
    make_shard(at("a.tar"), 3);
    ck_assert_int_eq(truncate(at("a.tar"), 10240), 0);
    run_tool("zstd", "-q", at("a.tar"), "-o", at("z.tar.zst"), NULL);
    ck_assert_int_eq(stat(at("z.tar.zst"), &status), 0);
    uint64_t packed = (uint64_t)status.st_size;
    const struct { const char *name; uint64_t bytes, unpacked, most; } cases[] = {
        {"a.tar", 10240, 10240, 20}, {"a.tar", 10240, unknown, 20}, {"a.tar", unknown, unknown, 20},
        {"z.tar.zst", packed, 10240, 20},
        {"z.tar.zst", packed, unknown, (uint64_t)1 << 40}, {"z.tar.zst", unknown, unknown, (uint64_t)1 << 40},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_row(cases[i].name, cases[i].bytes, cases[i].unpacked, cases[i].most);
        leat__index_free(found(at("%s", cases[i].name), folder));
        write_row(cases[i].name, cases[i].bytes, cases[i].unpacked, cases[i].most + 1);
        snprintf(text, sizeof text, "says %llu samples, a shard of %s size has at most %llu: run leat index again",
                 (unsigned long long)cases[i].most + 1, cases[i].most == 20 ? "its" : "any", (unsigned long long)cases[i].most);
        refused(at("%s", cases[i].name), folder, LEAT_ECORRUPT, text);
        ck_assert_msg(strstr(error.message, cases[i].name) && strstr(error.message, "index "), "%s", error.message);
    }
    write_wids(at("w.json"), "a.tar", 10240); /* 3 samples */
    leat__index_free(found(at("a.tar"), at("w.json")));
    write_text(at("w.json"), "{\"wids_version\":1,\"shardlist\":[{\"url\":\"a.tar\",\"nsamples\":21,\"filesize\":10240}]}");
    refused(at("a.tar"), at("w.json"), LEAT_ECORRUPT, "21 samples, a shard of its size has at most 20: make the index again");
    write_text(at("w.json"), "{\"wids_version\":1,\"shardlist\":[{\"url\":\"a.tar\",\"nsamples\":21}]}");
    refused(at("a.tar"), at("w.json"), LEAT_ECORRUPT, "at most 20");
    ck_leat(find(at("a.tar"), "none", &index));
}
END_TEST

/* 2^40 samples in each of 2^16 shards are the most, and one more is refused. */
START_TEST(sums_that_overflow_are_refused)
{
    enum { LINES = 1 << 16 };
    make_shard(at("z.tar.zst"), 0);
    FILE *file = fopen(at("l.txt"), "w");
    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < LINES; i++) fputs("z.tar.zst\n", file);
    fclose(file);
    char source[128];
    snprintf(source, sizeof source, "@%s", at("l.txt"));
    write_text(at("w.json"), "{\"wids_version\":1,\"shardlist\":[{\"url\":\"z.tar.zst\",\"nsamples\":1099511627776}]}");
    leat__index_free(found(source, at("w.json")));
    write_text(at("1.jpg"), "x"); /* a loose file is one more */
    file = fopen(at("l.txt"), "a");
    ck_assert(file != NULL);
    fputs("1.jpg\n", file);
    fclose(file);
    refused(source, at("w.json"), LEAT_ECORRUPT, "1.jpg: with its 1 samples the index says over 2^56 in all");
}
END_TEST

/* ---- JSON ---- */

static const struct { const char *text; bool fine; } jsons[] = {
    {"[]", true}, {"\"\\u0000\"", true},
    {" [1, -2.5e+3 ,0.1E2,true,false,null,\"\\u00e4\\n\\ud83d\\ude00\",{\"a\":[{}]}] \n", true},
    {"[1,]", false}, {"[,1]", false}, {"[1 2]", false}, {"{\"a\" 1}", false}, {"{\"a\":}", false}, {"{a:1}", false},
    {"{\"a\":1,}", false},
    {"01", false}, {"1.", false}, {".5", false}, {"+1", false}, {"1e", false}, {"-", false}, {"nul", false}, {"nulls", false},
    {"", false},
    {"\"", false}, {"\"\\x\"", false}, {"\"\\ud800\"", false}, {"\"\\udc00\"", false}, {"\"\\u12g4\"", false}, {"\"\n\"", false},
    {"[[]", false}, {"[]]", false}, {"{]", false}, {"\"\\u12", false}, {"\"\\", false},
};

START_TEST(json_is_read_strictly)
{
    leat__json json = {.at = jsons[_i].text, .end = jsons[_i].text + strlen(jsons[_i].text)};
    leat__json_skip(&json);
    ck_assert_msg(leat__json_end(&json) == jsons[_i].fine, "%s", jsons[_i].text);
}
END_TEST

START_TEST(json_nesting_is_capped)
{
    char text[400];
    for (int depth = 62; depth <= 67; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        leat__json json = {.at = text, .end = text + depth * 2};
        ck_assert(leat__json_skip(&json) == (depth <= LEAT__JSON_DEPTH));
    }
}
END_TEST

/* ---- leat_pack ---- */

static void pack(const char *source, const char *to, const char *prefix, bool zstd)
{
    leat_pack_config config = {.source = source, .to = to, .prefix = prefix, .shard_bytes = 6000, .threads = 2,
                               .compression = zstd ? LEAT_COMPRESSION_ZSTD : LEAT_COMPRESSION_NONE};
    leat_pack_result result;
    ck_leat(leat_pack(&config, &result, &error));
    ck_assert_uint_gt(result.shards, 2);
}

/* The index that is there, and the one that leat_index makes. */
static void check_index(const char *folder)
{
    char path[128];
    snprintf(path, sizeof path, "%s/leat.index", folder);
    memory there = read_whole(path);
    index_it(folder, NULL);
    memory made = read_whole(path);
    ck_assert_uint_eq(there.size, made.size);
    ck_assert_mem_eq(there.bytes, made.bytes, made.size);
    free(there.bytes);
    free(made.bytes);
}

/* Packs beside w.tar, which cannot be read, and an index that doesn't know it as it is: that is said, and nothing is lost. */
static void pack_fails_at_its_end(const char *files, const char *to, const char *prefix)
{
    leat_pack_config config = {.source = files, .to = to, .prefix = prefix, .shard_bytes = 6000, .threads = 2};
    leat_pack_result result;
    memory before = read_whole(at("to/leat.index"));
    ck_assert_int_eq(leat_pack(&config, &result, &error), LEAT_ECORRUPT);
    ck_assert_msg(strstr(error.message, "to/w.tar: tar archive ends at byte 1000") && strstr(error.message, "packed is whole"),
                  "%s", error.message);
    ck_assert(strstr(error.shard, "to/w.tar") && strcmp(error.stage, "read") == 0);
    memory after = read_whole(at("to/leat.index"));
    ck_assert(before.size == after.size && memcmp(before.bytes, after.bytes, after.size) == 0);
    free(before.bytes);
    free(after.bytes);
    ck_assert_uint_eq(result.samples, 40);
    index_it(at("to/%s-*.tar", prefix), at("check")); /* they are whole */
    refused(to, NULL, LEAT_ECHANGED, "lacks the shard");
}

START_TEST(pack_writes_the_same_index)
{
    char files[80], to[80], shards[96];
    snprintf(files, sizeof files, "%s", at("files"));
    snprintf(to, sizeof to, "%s", at("to"));
    snprintf(shards, sizeof shards, "%s/f-*.tar", to);
    mkdir(files, 0777);
    for (int class = 0; class < 2; class++) {
        mkdir(at("files/c%d", class), 0777);
        for (int i = 0; i < 20; i++) write_file(at("files/c%d/%d.jpg", class, i), files, (size_t)i);
    }
    pack(files, to, "f", false);          /* files */
    check_index(to);
    pack(files, to, "z", true);           /* beside shards that are there, compressed */
    check_index(to);
    pack(shards, to, "s", false);         /* shards into shards */
    check_index(to);
    leat__index *index = found(to, NULL);
    leat__index_free(index);
    make_shard(at("to/w.tar"), 2);        /* beside one that no index knows */
    pack(files, to, "g", false);
    check_index(to);
    flip(at("to/w.tar"), 1024);            /* or knows otherwise, of the same size */
    pack(files, to, "h", true);
    check_index(to);
    ck_assert_int_eq(unlink(at("to/leat.index")), 0); /* or none of which is known */
    pack(files, to, "i", false);
    check_index(to);
    ck_assert_int_eq(truncate(at("to/w.tar"), 1000), 0);
    pack_fails_at_its_end(files, to, "k");
    ck_assert_int_eq(unlink(at("to/leat.index")), 0);
    pack(files, to, "l", false);          /* no index is there that could be stale, and none is made */
    ck_assert_int_ne(access(at("to/leat.index"), F_OK), 0);
    ck_assert_int_eq(unlink(at("to/w.tar")), 0);
    pack(files, to, "m", false);
    check_index(to);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("index");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, scratch_begin, scratch_end);
    tcase_add_test(tests, what_is_written_is_read);
    tcase_add_test(tests, every_truncation_and_flip_is_refused);
    tcase_add_test(tests, an_uncompressed_shard_has_one_size);
    tcase_add_test(tests, codes_say_what_is_wrong);
    tcase_add_test(tests, a_hundred_thousand_shards_open_at_once);
    tcase_add_test(tests, counts_places_and_facts_of_shards);
    tcase_add_test(tests, samples_are_those_of_the_reader);
    tcase_add_test(tests, a_shard_that_cannot_be_read_fails_by_name);
    tcase_add_test(tests, an_index_that_does_not_match_is_refused);
    tcase_add_test(tests, a_shard_of_the_same_size_has_another_head);
    tcase_add_test(tests, several_folders);
    tcase_add_test(tests, a_data_set_that_was_moved_has_the_same_digest);
    tcase_add_test(tests, the_digest_is_of_the_data_and_not_of_who_serves_it);
    tcase_add_test(tests, a_part_of_a_folder_is_indexed_anew);
    tcase_add_test(tests, a_count_over_what_a_shard_can_hold_is_refused);
    tcase_add_test(tests, sums_that_overflow_are_refused);
    tcase_add_test(tests, a_list_may_name_a_shard_twice_and_have_loose_files);
    tcase_add_test(tests, an_index_beside_urls);
    tcase_add_test(tests, indexes_of_several_remote_folders_share_the_room);
    tcase_add_test(tests, the_index_of_webdataset);
    tcase_add_loop_test(tests, wids_that_are_none, 0, sizeof bad_wids / sizeof bad_wids[0]);
    tcase_add_test(tests, the_index_of_dali);
    tcase_add_loop_test(tests, dalis_odd_and_bad, 0, sizeof dalis / sizeof dalis[0]);
    tcase_add_loop_test(tests, json_is_read_strictly, 0, sizeof jsons / sizeof jsons[0]);
    tcase_add_test(tests, json_nesting_is_capped);
    tcase_add_test(tests, pack_writes_the_same_index);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
