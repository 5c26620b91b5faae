/* test_entries.c - what sources, lists and manifests name: all forms, every kind of error in whole sentences, hostile names. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check_main.h"
#include "fetch/entryname.h"
#include "fetch/listref.h"
#include "fetch/patterns.h"
#include "fetch/sums.h"
#include "http_servers.h"
#include "loader/plan.h"
#include "pipeline/failure.h"

#define SHA_OF_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define MD5_OF_EMPTY "d41d8cd98f00b204e9800998ecf8427e"
#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static char scratch[] = "/tmp/leat-entries-XXXXXX";

static void enter_scratch(void)
{
    ck_assert_ptr_nonnull(mkdtemp(scratch));
    ck_assert_int_eq(chdir(scratch), 0);
}

static void leave_scratch(void)
{
    char command[64];
    ck_assert_int_eq(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -rf %s", scratch);
    ck_assert_int_eq(system(command), 0);
}

static void write_bytes(const char *name, const char *text, size_t size)
{
    FILE *file = fopen(name, "w");
    ck_assert_msg(file && fwrite(text, 1, size, file) == size && fclose(file) == 0, "%s: %s", name, strerror(errno));
}

static void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

/* ---- what came, as text ---- */

struct came {
    char text[8192];       /* "NUMBER SOURCE > PATH [bytes] [sum]\n" and "NUMBER! TEXT | MESSAGE\n" */
    size_t used;
    uint64_t count, stop_after;
    char message[1024];
    leat__entries_options options; /* set before read_sources */
};

__attribute__((format(printf, 2, 3))) static void note(struct came *came, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(came->text + came->used, sizeof came->text - came->used, format, arguments);
    va_end(arguments);
    came->used += (size_t)length;
    ck_assert_uint_lt(came->used, sizeof came->text);
}

static bool on_entry(void *user, const leat__entry *entry)
{
    struct came *came = user;
    char hex[LEAT__SUM_HEX] = "";
    ck_assert_uint_eq(entry->number, came->count);
    ck_assert_int_eq(entry->is_url, strncasecmp(entry->source, "http", 4) == 0);
    note(came, "%" PRIu64 " %s > %s", entry->number, entry->source, entry->path);
    if (entry->bytes != UINT64_MAX) note(came, " %" PRIu64, entry->bytes);
    if (entry->sum.kind) leat__sum_hex(&entry->sum, hex);
    if (entry->sum.kind) note(came, " %s:%.4s", leat__sum_name(entry->sum.kind), hex);
    note(came, "\n");
    return ++came->count != came->stop_after;
}

static bool on_bad(void *user, uint64_t number, const char *text, const leat_error *error)
{
    struct came *came = user;
    ck_assert_uint_eq(number, came->count);
    ck_assert_int_ne(error->code, LEAT_OK);
    note(came, "%" PRIu64 "! %s | %s\n", number, text, error->message);
    return ++came->count != came->stop_after;
}

static leat_code read_sources(struct came *came, const char *const *sources, size_t count)
{
    leat_error error;
    came->options.sources = sources, came->options.source_count = count;
    came->options.entry = on_entry, came->options.bad = on_bad, came->options.user = came;
    leat_code code = leat__entries_read(&came->options, &error);
    ck_assert_int_eq(error.code, code);
    strcpy(came->message, error.message);
    return code;
}

static void expect(struct came *came, const char *source, const char *want)
{
    leat_code code = read_sources(came, &source, 1);
    ck_assert_msg(code == LEAT_OK, "%s: %s", source, came->message);
    ck_assert_str_eq(came->text, want);
}

/* ---- sources ---- */

static const char *const url_rows[][2] = {
    {"https://h/d/a.tar", "0 https://h/d/a.tar > a.tar\n"},
    {"HTTPS://u:secret@h:8/d/a%20b.tar?q=/z#f", "0 HTTPS://u:secret@h:8/d/a%20b.tar?q=/z#f > a b.tar\n"},
    {"https://h/d/t-{08..10}.tar", "0 https://h/d/t-08.tar > t-08.tar\n1 https://h/d/t-09.tar > t-09.tar\n"
                                   "2 https://h/d/t-10.tar > t-10.tar\n"},
    {"https://h/d/{a,b}/x/{1..2}.jpg", "0 https://h/d/a/x/1.jpg > a/x/1.jpg\n1 https://h/d/a/x/2.jpg > a/x/2.jpg\n"
                                       "2 https://h/d/b/x/1.jpg > b/x/1.jpg\n3 https://h/d/b/x/2.jpg > b/x/2.jpg\n"},
    {"https://u:secret@h{1,2}:80/x", "0 https://u:secret@h1:80/x > h1%3A80/x\n1 https://u:secret@h2:80/x > h2%3A80/x\n"},
    {"http://h/d/x?n={1,2}", "0 http://h/d/x?n=1 > x\n1 http://h/d/x?n=2 > x\n"},
    {"http://h/%2e%2e%2f..%5C%00%0a%C3%A4%ff", "0 http://h/%2e%2e%2f..%5C%00%0a%C3%A4%ff > ..%2f..%5C%00%0a\xc3\xa4%FF\n"},
    {"http://u:p@h/?q", "0! source 'http://h/?...' | source 'http://h/?...': its name is empty, or longer than 4,000 bytes\n"},
};

START_TEST(urls)
{
    struct came came = {0};
    expect(&came, url_rows[_i][0], url_rows[_i][1]);
}
END_TEST

START_TEST(names_by_digest)
{
    struct came came = {.options = {.layout = LEAT_FETCH_HASHED, .patterns = &(leat_fetch_pattern){"*.txt", true},
        .pattern_count = 1}};
    static const char *const sources[] = {"http://h/a.seg.png", "http://h/a.b%c", "http://h/skip.txt", "http://h/"};
    ck_assert_int_eq(read_sources(&came, sources, 4), LEAT_OK);
    ck_assert_str_eq(came.text, /* printf %s URL | sha256sum */
        "0 http://h/a.seg.png > df/df55d27299e5fb1f1924bf54b2edda25f66709238642ce39da0c6e6b63a9a9c2.seg.png\n"
        "1 http://h/a.b%c > 36/362a843bf4ffe5571115c17ac19ccaec471c05686ae9dcf0648e7c973a697187\n"
        "2 http://h/ > ad/ad8295a7a69d6f00bcbec158f753e9310e81a0ffc377dbe0d6d40de0b76d7142\n");
}
END_TEST

static const struct { const char *source, *message; leat_code code; } refused[] = {
    {"", "an empty source: name a URL, a file, a folder or a list '@FILE'", LEAT_EINVAL},
    {"@", "a list without a name: '@FILE', or '@-' for stdin", LEAT_EINVAL},
    {"s3://b/k", "'s3://' is not read: only http:// and https:// URLs and local paths are", LEAT_EINVAL},
    {"file:///etc/passwd", "'file://' is not read: write the path itself", LEAT_EINVAL},
    {"none\x1b", "there is no file or folder 'none\\x1b'", LEAT_ENOTFOUND},
    {"n{1..", "source 'n{1..': braces: '{1..' at character 2 is never closed: the '}' after it is missing", LEAT_EINVAL},
    {"https://u:p@h/{1..x}?s=k", "source 'https://h/{1..x}?...': braces: '{...}' at character 15 is no range of integers: "
                                 "{000000..000015} would be one", LEAT_EINVAL},
    {"http://h/{0..99999999999}", "source 'http://h/{0..99999999999}': its braces stand for 100000000000 files: 100000000 is the "
     "most",
     LEAT_EINVAL},
    {"http://h/{0..99999999999}{0..99999999999}", "source 'http://h/{0..99999999999}{0..99999999999}': its braces stand for over "
                                                  "18446744073709551615 files: 100000000 is the most", LEAT_EINVAL},
    {"*.none", "no file matches '*.none'", LEAT_ENOTFOUND},
    {"@none.txt", "cannot open list 'none.txt': No such file or directory", LEAT_ENOTFOUND},
    {"@http://h/list?k=secret", "list 'http://h/list?...': a file is wanted here, not a URL", LEAT_EINVAL},
    {"@.", "cannot read list '.': Is a directory", LEAT_EIO},
    {"/dev/null", "'/dev/null' is neither a file nor a folder", LEAT_EINVAL},
    {"empty", "folder 'empty' has no files", LEAT_ENOTFOUND},
};

START_TEST(sources_refused)
{
    struct came came = {0};
    enter_scratch();
    mkdir("empty", 0777);
    leat_code code = read_sources(&came, &refused[_i].source, 1);
    leave_scratch();
    ck_assert_str_eq(came.message, refused[_i].message);
    ck_assert_int_eq(code, refused[_i].code);
    ck_assert_str_eq(came.text, "");
}
END_TEST

START_TEST(stops_when_told)
{
    static const char *const sources[] = {"http://h/{0..99}", "@list", ".", "http://h/x"};
    enter_scratch();
    write_text("list", "http://h/{a,b}\nx://\nhttp://h/c\n");
    ck_assert_int_eq(symlink("nowhere", "link"), 0);
    write_text("z", "");
    for (uint64_t n = 1; n <= 107; n++) {
        struct came came = {.stop_after = n};
        ck_assert_int_eq(read_sources(&came, sources, 4), LEAT_OK);
        ck_assert_uint_eq(came.count, n); /* 100, 4, "link", "list" and "z", and one */
    }
    leave_scratch();
}
END_TEST

/* ---- folders, files, globs ---- */

static void make_tree(void)
{
    static const char *const folders[] = {"t", "t/b", "t/b/deep", "t/.leat", "t/.leat/records", "t/b/.leat", "t/into", "t/empty"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) ck_assert_int_eq(mkdir(folders[i], 0777), 0);
    write_text("t/b.x", ""), write_text("t/b/2.jpg", ""), write_text("t/b/10.jpg", ""), write_text("t/b/deep/\x01.jpg", "");
    write_text("t/.hidden", ""), write_text("t/.leat/records/r", ""), write_text("t/b/.leat/r", ""), write_text("t/into/old", "");
    write_text("t/a{1,2}", ""), write_text("t/z*", "");
    ck_assert_int_eq(symlink("b/2.jpg", "t/l-file"), 0);
    ck_assert_int_eq(symlink("b", "t/l-folder"), 0);
    ck_assert_int_eq(symlink("/nowhere", "t/l-none"), 0);
    ck_assert_int_eq(mkfifo("t/pipe", 0600), 0);
}

#define TREE(t) \
    "0 " t ".hidden > .hidden\n1 " t "a{1,2} > a{1,2}\n2 " t "b/.leat/r > b/.leat/r\n3 " t "b/10.jpg > b/10.jpg\n" \
    "4 " t "b/2.jpg > b/2.jpg\n5 " t "b/deep/\x01.jpg > b/deep/%01.jpg\n6 " t "b.x > b.x\n7 " t "l-file > l-file\n" \
    "8! " t "l-folder | '" t "l-folder' is a symbolic link to a folder, which is not followed: name that folder as a source\n" \
    "9! " t "l-none | '" t "l-none' is a symbolic link that leads nowhere\n" \
    "10! " t "pipe | '" t "pipe' is neither a file nor a folder\n11 " t "z* > z*\n"

static const char *const local_rows[][2] = {
    {"t", TREE("t/")}, {"t/", TREE("t/")}, {"./t", TREE("./t/")},
    {"t/b.x", "0 t/b.x > b.x\n"}, {"t/l-file", "0 t/l-file > l-file\n"}, 
    {"t/l-folder", "0 t/l-folder/10.jpg > 10.jpg\n1 t/l-folder/2.jpg > 2.jpg\n2 t/l-folder/deep/\x01.jpg > deep/%01.jpg\n"},
    {"t/a{1,2}", "0 t/a{1,2} > a{1,2}\n"}, {"t/z*", "0 t/z* > z*\n"},
    {"t//b//*.jpg", "0 t/b/10.jpg > 10.jpg\n1 t/b/2.jpg > 2.jpg\n"},
    {"t/*/[0-9].jpg", "0 t/b/2.jpg > b/2.jpg\n1 t/l-folder/2.jpg > l-folder/2.jpg\n"},
    {"t/{b,none}/{2..3}.jpg", "0 t/b/2.jpg > b/2.jpg\n1 t/b/3.jpg > b/3.jpg\n2 t/none/2.jpg > none/2.jpg\n"
     "3 t/none/3.jpg > none/3.jpg\n"},
    {"{t/b,t/into}/*", "0 t/b/10.jpg > t/b/10.jpg\n1 t/b/2.jpg > t/b/2.jpg\n2 t/into/old > t/into/old\n"},
    {"t/{into,b/deep}", "0 t/into/old > into/old\n1 t/b/deep/\x01.jpg > b/deep/%01.jpg\n"},
};

START_TEST(local_sources)
{
    const char *source = local_rows[_i][0];
    struct came came = {.options.to = _i < 3 ? "t/into" : NULL};
    enter_scratch();
    make_tree();
    expect(&came, source, local_rows[_i][1]);
    leave_scratch();
}
END_TEST

START_TEST(where_files_are_put_is_no_source)
{
    struct came came = {.options.to = "t/into"};
    const char *source = "t/b/../into";
    enter_scratch();
    make_tree();
    ck_assert_int_eq(read_sources(&came, &source, 1), LEAT_EINVAL);
    ck_assert_str_eq(came.message, "folder 't/b/../into' is where files are put: it cannot be a source too");
    leave_scratch();
}
END_TEST

/* What a pattern refuses is neither counted nor told. */
START_TEST(bad_files_that_are_not_wanted)
{
    struct came came = {.options = {.patterns = &(leat_fetch_pattern){"l-*", true}, .pattern_count = 1}};
    enter_scratch();
    make_tree();
    const char *source = "t";
    ck_assert_int_eq(read_sources(&came, &source, 1), LEAT_OK);
    ck_assert_ptr_null(strstr(came.text, "l-"));
    ck_assert_ptr_nonnull(strstr(came.text, "8! t/pipe"));
    leave_scratch();
}
END_TEST

START_TEST(unreadable_folders)
{
    struct came came = {0};
    bool is_root = geteuid() == 0; /* who reads everything */
    if (is_root) ck_assert_int_eq(seteuid(65534), 0);
    enter_scratch();
    mkdir("t", 0777), mkdir("t/shut", 0), write_text("t/a", "");
    expect(&came, "t", "0 t/a > a\n1! t/shut | folder 't/shut' cannot be read: Permission denied\n");
    const char *source = "t/shut";
    ck_assert_int_eq(read_sources(&came, &source, 1), LEAT_EACCESS);
    ck_assert_str_eq(came.message, "folder 't/shut' cannot be read: Permission denied");
    chmod("t/shut", 0777);
    leave_scratch();
    if (is_root) ck_assert_int_eq(seteuid(0) | prctl(PR_SET_DUMPABLE, 1), 0); /* or LeakSanitizer can't look */
}
END_TEST

START_TEST(deep_folders)
{
    struct came came = {0};
    enter_scratch();
    ck_assert_int_eq(system("mkdir d && cd d && for i in $(seq 1000); do mkdir a && cd a || exit 1; done; touch f"), 0);
    const char *source = "d";
    ck_assert_int_eq(read_sources(&came, &source, 1), LEAT_OK);
    ck_assert_uint_eq(came.count, 1);
    ck_assert_str_eq(came.text + came.used - 6, "a/a/f\n");
    leave_scratch();
}
END_TEST

/* ---- lists ---- */

#define L(n) "! list 'd/list' line " #n " | list 'd/list' line " #n ": "

static const char *const list_rows[][2] = {
    {"", ""},
    {"\xef\xbb\xbf# c\r\n\r\n  \nhttps://h/d/a.tar?k=1\r\nx/y.jpg\n/abs//z", /* mark, comment, CRLF, no newline at the end */
     "0 https://h/d/a.tar?k=1 > d/a.tar\n1 d/x/y.jpg > x/y.jpg\n2 /abs//z > abs/z\n"},
    {"http://h/p/{a,b}{1..2}\nq{1,2}\nhere{1,2}\n", /* the last one is a file's name */
     "0 http://h/p/a1 > p/a1\n1 http://h/p/a2 > p/a2\n2 http://h/p/b1 > p/b1\n3 http://h/p/b2 > p/b2\n4 d/q1 > q1\n5 d/q2 > q2\n"
     "6 d/here{1,2} > here{1,2}\n"},
    {"../up\n", "0 d/../up > .%2E/up\n"},
    {"http://h/{1..\nftp://h/x\nfile:///x\nhttp://h/\nhttp://h/{0..99999999999}\nhttp://h/ok",
     "0" L(1) "braces: '{...}' at character 10 is never closed: the '}' after it is missing\n"
     "1" L(2) "'ftp://' is not read: only http:// and https:// URLs and local paths are\n"
     "2" L(3) "'file://' is not read: write the path itself\n3" L(4) "its name is empty, or longer than 4,000 bytes\n"
     "4" L(5) "its braces stand for 100000000000 files: 100000000 is the most\n5 http://h/ok > ok\n"},
    /* JSON lines */
    {"{\"url\": \"http://h/a%20b\", \"path\": \"n/\\u00e4\", \"bytes\": 12, \"sha256\": \"" SHA_OF_EMPTY "\", \"x\": [1, {}]}\n"
     "# c\n"
     "{\"source\":\"l\",\"size\":3,\"md5\":\"" MD5_OF_EMPTY "\",\"crc32c\":\"0a1b2c3d\"}\r\n"
     " {\"path\":\"only/p{1,2}\",\"sha256\":null}",
     "0 http://h/a%20b > n/\xc3\xa4 12 sha256:e3b0\n1 d/l > l 3 md5:d41d\n2 d/only/p{1,2} > only/p{1,2}\n"},
    {"{\"url\":\"http://h/{1,2}\",\"crc32c\":\"ChssPQ==\"}\n{\"url\":\"http://h/a%20b?q\",\"path\":\"\"}\n",
     "0 http://h/{1,2} > {1,2} crc32c:0a1b\n1 http://h/a%20b?q > a b\n"},
    {"{}\n{\"url\":\"http://h/a\"\n{\"url\":1}\n{\"bytes\":-1,\"url\":\"a\"}\n{\"url\":\"a\",\"bytes\":99999999999999999999}\n"
     "{\"url\":\"a\",\"sha256\":\"12\"}\n{\"url\":\"a\",\"md5\":\"x\"}\n{\"url\":\"a\",\"crc32c\":\"q\"}\nhttp://h/x\n"
     "{\"url\":\"a\"} x\n"
     "{\"url\":\"a\\u0000b\"}\n{\"url\":\"s3://b/k\"}\n{\"url\":\"http://h/a\",\"path\":\"//.\"}\n",
     "0" L(1) "it has neither url nor path\n1" L(2) "JSON at byte 20: a comma or closing bracket was expected\n"
     "2" L(3) "JSON at byte 8: a string was expected\n3" L(4) "JSON at byte 12: a whole number from 0 to 2^64 - 1 was expected\n"
     "4" L(5) "JSON at byte 40: a whole number from 0 to 2^64 - 1 was expected\n"
     "5" L(6) "its sha256 is none: 64 hexadecimal digits are\n6" L(7) "its md5 is none: 32 hexadecimal digits are\n7" L(8)
     "its crc32c is none: 8 hexadecimal digits are\n"
     "8" L(9) "JSON at byte 1: an object was expected\n9" L(10) "JSON at byte 13: something after the end\n"
     "10" L(11) "JSON at byte 16: a NUL in a string\n"
     "11" L(12) "'s3://' is not read: only http:// and https:// URLs and local paths are\n"
     "12" L(13) "its name is empty, or longer than 4,000 bytes\n"},
    {"{\"path\":\"a\\udcff\\\\udcff\\ud83d\\ude00\"}", "0 d/a\xff\\udcff\xf0\x9f\x98\x80 > a%FF%5Cudcff\xf0\x9f\x98\x80\n"},
    /* sums */
    {SHA_OF_EMPTY "  ./a/b c.tar\n" MD5_OF_EMPTY " *bin\n\\" SHA_A "  x\\\\y\\nz\\r\n" SHA_A "  http://h/q/w?k\n# c\n" SHA_A
     "  /abs",
     "0 d/./a/b c.tar > a/b c.tar sha256:e3b0\n1 d/bin > bin md5:d41d\n2 d/x\\y\nz\r > x%5Cy%0Az%0D sha256:aaaa\n"
     "3 http://h/q/w?k > q/w sha256:aaaa\n4 /abs > abs sha256:aaaa\n"},
    {SHA_A "  a\nx" SHA_A "  a\n" SHA_A " a\n" SHA_A "  \n\\" SHA_A "  a\\b\n" SHA_A "  s3://b/k\n",
     "0 d/a > a sha256:aaaa\n1" L(2) "it is no line of sha256sum or md5sum, as those before it are\n"
     "2" L(3) "it is no line of sha256sum or md5sum, as those before it are\n"
     "3" L(4) "it is no line of sha256sum or md5sum, as those before it are\n4" L(5)
     "its name has a backslash before something else than \\, n and r\n"
     "5 d/s3://b/k > s3%3A/b/k sha256:aaaa\n"},
    /* CSV */
    {"size,URL,note,sha256\n5,http://h/a,\"x, \"\"y\"\"\"," SHA_OF_EMPTY "\r\n,\"http://h/b,c\",,\n",
     "0 http://h/a > a 5 sha256:e3b0\n1 http://h/b,c > b,c\n"},
    {"path\tsource\tmd5\np/q\tl.jpg\t" MD5_OF_EMPTY "\n\t\"http://h/\"\"\"\t\nonly\t\t\n",
     "0 d/l.jpg > p/q md5:d41d\n1 http://h/\" > \"\n2 d/only > only\n"},
    {"url\nhttp://h/{1,2}\n", "0 http://h/{1,2} > {1,2}\n"},
    {"url,bytes\nhttp://h/a\nhttp://h/a,1,2\nhttp://h/a,x\n\"http://h/a,1\n\"http://h/a\"b,1\n,1\nhttp://h/a,1e3\nhttp://h/a, 7 \n",
     "0" L(2) "it has 1 fields, where the header has 2\n1" L(3) "it has 3 fields, where the header has 2\n"
     "2" L(4) "its number of bytes is none\n3" L(5) "a quoted field without its end\n4" L(6) "something behind a quoted field\n"
     "5" L(7) "it has neither url nor path\n6" L(8) "its number of bytes is none\n7 http://h/a > a 7\n"},
    {"name,bytes\nx\n", "0 d/name,bytes > name,bytes\n1 d/x > x\n"}, /* no column url: plain */
    /* hostile names */
    {"http://h/../../etc/passwd\nhttp://h/.leat/records/x\nhttp://h/.LEAT/x\nhttp://h/a/.leat/x\nhttp://h//%2e/a. /b..\n"
     "http://h/%ff%c0%af\n"
     "http://h/\x1b[2J\xe2\x80\xae\n",
     "0 http://h/../../etc/passwd > .%2E/.%2E/etc/passwd\n1 http://h/.leat/records/x > %2Eleat/records/x\n"
     "2 http://h/.LEAT/x > %2ELEAT/x\n"
     "3 http://h/a/.leat/x > a/.leat/x\n4 http://h//%2e/a. /b.. > a.%20/b.%2E\n5 http://h/%ff%c0%af > %FF%C0%AF\n"
     "6 http://h/\x1b[2J\xe2\x80\xae > %1B[2J%E2%80%AE\n"},
};

START_TEST(lists)
{
    struct came came = {0};
    enter_scratch();
    mkdir("d", 0777);
    write_text("d/list", list_rows[_i][0]);
    write_text("d/here{1,2}", "");
    expect(&came, "@d/list", list_rows[_i][1]);
    leave_scratch();
}
END_TEST

/* Lines around the limit of 64 KiB, over several buffers, with both ends of lines. */
START_TEST(long_lines)
{
    static char text[8 * 65536];
    struct came came = {0};
    enter_scratch();
    for (int crlf = 0; crlf < 2; crlf++) {
        size_t used = 0, lengths[] = {65536, 65537, 300000, 65536};
        for (size_t i = 0; i < 4; i++) {
            memset(text + used, 'x', lengths[i]);
            memcpy(text + used, "http://h/?", 10); /* the name is what is too long otherwise */
            used += lengths[i];
            used += (size_t)sprintf(text + used, crlf ? "\r\n" : "\n");
        }
        write_bytes("list", text, used - (crlf ? 2 : 1));
        memset(came.text, 0, sizeof came.text), came.used = came.count = 0;
        expect(&came, "@list",
               "0! list 'list' line 1 | list 'list' line 1: its name is empty, or longer than 4,000 bytes\n"
               "1! list 'list' line 2 | list 'list' line 2: it is longer than 64 KiB\n"
               "2! list 'list' line 3 | list 'list' line 3: it is longer than 64 KiB\n"
               "3! list 'list' line 4 | list 'list' line 4: its name is empty, or longer than 4,000 bytes\n");
    }
    leave_scratch();
}
END_TEST

START_TEST(lines_with_nul)
{
    struct came came = {0};
    enter_scratch();
    write_bytes("list", "a\0b\nc\n\0", 7);
    expect(&came, "@list", "0! list 'list' line 1 | list 'list' line 1: it has a NUL byte: a list is text, a line for each entry\n"
                           "1 c > c\n"
                           "2! list 'list' line 3 | list 'list' line 3: it has a NUL byte: a list is text, a line for each "
                           "entry\n");
    leave_scratch();
}
END_TEST

/* A header of more columns than anybody has is none. */
START_TEST(wide_header)
{
    char text[2048] = "url";
    struct came came = {0};
    enter_scratch();
    for (int i = 0; i < 255; i++) strcat(text, ",c");
    write_text("list", text);
    expect(&came, "@list", "");
    strcat(text, ",c");
    write_text("list", text);
    const char *source = "@list";
    ck_assert_int_eq(read_sources(&came, &source, 1), LEAT_OK);
    ck_assert_uint_eq(came.count, 1);
    leave_scratch();
}
END_TEST

static const char *const stdin_forms[] = {"-", "@-"};

START_TEST(list_on_stdin)
{
    struct came came = {0};
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(write(ends[1], "http://h/a\nb\n{", 14), 14);
    close(ends[1]);
    ck_assert_int_eq(dup2(ends[0], 0), 0);
    expect(&came, stdin_forms[_i], "0 http://h/a > a\n1 b > b\n"
        "2! the list on stdin line 3 | the list on stdin line 3: braces: '{' at "
                                   "character 1 is never closed: the '}' after it is missing\n");
    ck_assert_int_ge(fcntl(0, F_GETFD), 0); /* the host's descriptor stays open */
}
END_TEST

static bool stop_at_third(void *user)
{
    (void)user;
    static int asked;
    return ++asked >= 3;
}

/* A list that says nothing more and does not end. */
START_TEST(waiting_ends_when_stopped)
{
    struct came came = {.options.stopped = stop_at_third};
    static const char *const sources[] = {"@-", "http://h/x"};
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(write(ends[1], "http://h/a\nhalf", 15), 15);
    ck_assert_int_eq(dup2(ends[0], 0), 0);
    ck_assert_int_eq(read_sources(&came, sources, 2), LEAT_OK);
    ck_assert_str_eq(came.text, "0 http://h/a > a\n");
}
END_TEST

static bool count_entry(void *user, const leat__entry *entry)
{
    (void)entry;
    ++*(uint64_t *)user;
    return true;
}

static int line_ends[2];

/* The end of a line comes after all of it has been read. */
static bool end_line_at_second(void *user)
{
    (void)user;
    static int asked;
    if (++asked == 2) ck_assert(write(line_ends[1], "\nb{\n", 4) == 4 && close(line_ends[1]) == 0);
    return false;
}

static bool bad_in_line_2(void *user, uint64_t number, const char *text, const leat_error *error)
{
    (void)user, (void)error;
    ck_assert_uint_eq(number, 1);
    ck_assert_str_eq(text, "the list on stdin line 2");
    return true;
}

START_TEST(longest_line_in_pieces)
{
    static char line[LEAT__LIST_LINE];
    memset(line, 'x', sizeof line);
    memcpy(line, "http://h/a?", 11);
    ck_assert_int_eq(pipe(line_ends), 0);
    ck_assert_int_eq(write(line_ends[1], line, sizeof line), sizeof line);
    ck_assert_int_eq(dup2(line_ends[0], 0), 0);
    const char *source = "@-";
    uint64_t count = 0;
    leat__entries_options options = {.sources = &source, .source_count = 1, .entry = count_entry,
                                     .bad = bad_in_line_2, .stopped = end_line_at_second, .user = &count};
    ck_assert_int_eq(leat__entries_read(&options, NULL), LEAT_OK);
    ck_assert_uint_eq(count, 1);
}
END_TEST

/* L8, a tenth of it; and lines in pieces of every size that the pipe makes of them. */
START_TEST(a_million_lines_take_no_memory)
{
    struct rusage before, after;
    static const char *const source = "@-";
    uint64_t count = 0;
    leat__entries_options options = {.sources = &source, .source_count = 1, .entry = count_entry, .bad = on_bad, .user = &count};
    FILE *lines = popen("seq -f 'https://data.example.org/train/%.0f.jpg' 1000000", "r");
    ck_assert_ptr_nonnull(lines);
    ck_assert_int_eq(dup2(fileno(lines), 0), 0);
    getrusage(RUSAGE_SELF, &before);
    ck_assert_int_eq(leat__entries_read(&options, NULL), LEAT_OK);
    getrusage(RUSAGE_SELF, &after);
    ck_assert_uint_eq(count, 1000000);
    ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, SANITIZED ? 16384 : 4096); /* of 45 MB; a sanitizer keeps what was freed */
    ck_assert_int_eq(pclose(lines), 0);
}
END_TEST

/* ---- lists from servers ---- */

static const struct { const char *folder, *text; bool is_file; const char *want; } refs[] = {
    {"", "a/b", false, "a/b"}, {"d/", "a/b", false, "d/a/b"}, {"d/", "/a", true, "/a"}, {"d/", "http://h/x", false, "http://h/x"},
    {"d/", "http://h/x", true, "d/http://h/x"},
    {"https://u:p@h:1/d/e/", "a b?c", false, "https://u:p@h:1/d/e/a b?c"},
    {"https://u:p@h:1/d/e/", "a b?c#%/\xc3\xa4", true, "https://u:p@h:1/d/e/a%20b%3Fc%23%25/%C3%A4"},
    {"https://h:1/d/e/", "/a", false, "https://h:1/a"}, {"https://h:1/d/e/", "/a", true, "https://h:1/a"},
    {"https://h:1/d/e/", "//g/a", false, "https://g/a"}, {"https://h:1/d/", "//g/a", true, "https://h:1//g/a"},
    {"https://h/", "../x", false, "https://h/../x"}, {"https://h/", "HTTP://g/x", false, "HTTP://g/x"},
};

START_TEST(references)
{
    static char out[LEAT__REF_BYTES];
    ck_assert_int_eq(leat__listref_resolve(refs[_i].folder, refs[_i].text, refs[_i].is_file, out, NULL), LEAT_OK);
    ck_assert_str_eq(out, refs[_i].want);
}
END_TEST

START_TEST(references_that_are_too_long)
{
    static char out[LEAT__REF_BYTES], text[LEAT__LIST_LINE + 1], folder[70000];
    leat_error error;
    memset(text, ' ', LEAT__LIST_LINE);
    ck_assert_int_eq(leat__listref_resolve("http://h/", text, true, out, &error), LEAT_OK);
    ck_assert_uint_eq(strlen(out), 9 + 3 * LEAT__LIST_LINE);
    ck_assert_int_eq(leat__listref_resolve("d/", text, true, out, &error), LEAT_EINVAL);
    ck_assert_str_eq(error.message, "a path of more than 4095 bytes");
    memset(folder, 'x', sizeof folder - 2), memcpy(folder, "http://h/", 9), folder[sizeof folder - 2] = '/';
    ck_assert_int_eq(leat__listref_resolve(folder, "a", true, out, &error), LEAT_EINVAL);
    ck_assert_str_eq(error.message, "it is longer than 64 KiB");
}
END_TEST

START_TEST(list_from_a_server)
{
    http_servers servers;
    char source[64], want[512], path[128];
    leat_config config = {.source = "unused"}, chosen;
    http_servers_start(&servers);
    snprintf(path, sizeof path, "%s/www/SUMS", servers.dir);
    write_text(path, SHA_A "  a b/c.tar\n" SHA_A "  /etc/passwd\n" SHA_A "  http://g/x\n");
    snprintf(source, sizeof source, "@http://127.0.0.1:%d/SUMS?k=1", servers.nginx);
    snprintf(want, sizeof want, "0 http://127.0.0.1:%d/a%%20b/c.tar > a b/c.tar sha256:aaaa\n"
             "1 http://127.0.0.1:%d/etc/passwd > etc/passwd sha256:aaaa\n2 http://g/x > x sha256:aaaa\n", servers.nginx,
             servers.nginx);
    ck_assert_int_eq(leat__plan_config(&config, &chosen, NULL), LEAT_OK);
    struct came came = {.options.network = &chosen};
    leat_code code = read_sources(&came, &(const char *){source}, 1);
    snprintf(source, sizeof source, "@http://127.0.0.1:%d/none", servers.nginx);
    leat_code none = read_sources(&(struct came){.options.network = &chosen}, &(const char *){source}, 1);
    http_servers_stop(&servers);
    ck_assert_msg(code == LEAT_OK, "%s", came.message);
    ck_assert_str_eq(came.text, want);
    ck_assert_int_eq(none, LEAT_ENOTFOUND);
}
END_TEST

/* ---- patterns ---- */

START_TEST(patterns)
{
    static const leat_fetch_pattern rules[] = {{"*.jpg", false}, {"b/*", true}, {"b/k?ep[12].jpg", false}};
    static const struct { const char *name; size_t from, count; bool wanted; } rows[] = {
        {"x", 0, 0, true}, {"x", 0, 1, false}, {"a/b.jpg", 0, 1, true}, {".hidden.jpg", 0, 1, true}, {"a.JPG", 0, 1, false},
        {"b/x.jpg", 0, 2, false}, {"b/c/x.jpg", 0, 2, false}, {"ab/x.jpg", 0, 2, true}, {"b/keep1.jpg", 0, 3, true},
        {"b/keep3.jpg", 0, 3, false}, {"x.png", 0, 3, false}, {"x.png", 1, 1, true}, {"b/x.png", 1, 1, false}, {"b/keep2.jpg", 1,
         2, true},
        {"b/keep2.jpg", 2, 1, true}, {"a", 2, 1, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        ck_assert_msg(leat__patterns_want(rules + rows[i].from, rows[i].count, rows[i].name) == rows[i].wanted, "row %zu", i);
}
END_TEST

/* Numbers count what is wanted only. */
START_TEST(patterns_and_numbers)
{
    struct came came = {.options = {.patterns = (leat_fetch_pattern[]){{"*3*", true}, {"*", false}, {"*[02]", true}},
        .pattern_count = 3}};
    expect(&came, "http://h/{0..4}", "0 http://h/1 > 1\n1 http://h/3 > 3\n2 http://h/4 > 4\n");
}
END_TEST

/* ---- checksums ---- */

static leat__sums *read_sums(const char *text)
{
    leat__sums *sums;
    leat_error error;
    write_text("SUMS", text);
    ck_assert_msg(leat__sums_read("SUMS", NULL, &sums, &error) == LEAT_OK, "%s", error.message);
    return sums;
}

START_TEST(sums_found)
{
    leat__sums_entry found;
    enter_scratch();
    leat__sums *sums = read_sums(SHA_OF_EMPTY "  ./t/a.tar\n" SHA_A "  v/a.tar\n" SHA_A "  t/b.tar\n" MD5_OF_EMPTY "  b.tar\n" SHA_A
                                 "  http://h/t/u%20v.tar\n" SHA_A "  same\n" SHA_A "  x/same\n" SHA_A "  y/one\n" SHA_A
                                 "  z/one\n");
    static const struct { const char *name; leat__sums_found found; leat__sum_kind kind; const char *as; } rows[] = {
        {"t/a.tar", LEAT__SUMS_FOUND, LEAT__SUM_SHA256, "t/a.tar"}, {"a.tar", LEAT__SUMS_AMBIGUOUS, LEAT__SUM_NONE, ""},
        {"w/a.tar", LEAT__SUMS_NONE, LEAT__SUM_NONE, ""}, {"b.tar", LEAT__SUMS_FOUND, LEAT__SUM_MD5, "b.tar"},
        {"t/b.tar", LEAT__SUMS_FOUND, LEAT__SUM_SHA256, "t/b.tar"}, {"w/b.tar", LEAT__SUMS_FOUND, LEAT__SUM_MD5, "b.tar"},
        {"u v.tar", LEAT__SUMS_FOUND, LEAT__SUM_SHA256, "t/u v.tar"}, {"t/u v.tar", LEAT__SUMS_FOUND, LEAT__SUM_SHA256,
         "t/u v.tar"},
        {"one", LEAT__SUMS_FOUND, LEAT__SUM_SHA256, "y/one"}, {"none", LEAT__SUMS_NONE, LEAT__SUM_NONE, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_assert_msg(leat__sums_find(sums, rows[i].name, &found) == rows[i].found, "%s", rows[i].name);
        if (rows[i].found != LEAT__SUMS_FOUND) continue;
        ck_assert_str_eq(found.name, rows[i].as);
        ck_assert_int_eq(found.sum.kind, rows[i].kind);
        ck_assert_uint_eq(found.bytes, UINT64_MAX);
    }
    ck_assert_uint_eq(leat__sums_count(sums), 9);
    ck_assert_str_eq(leat__sums_at(sums, 4).name, "t/u v.tar");
    leat__sums_free(sums);
    leave_scratch();
}
END_TEST

/* Several lines of one file add up. */
START_TEST(sums_add_up)
{
    leat__sums_entry found;
    enter_scratch();
    leat__sums *sums = read_sums("path,url,bytes,md5,sha256\nn,u,,," SHA_A "\nn,u,7,,\nn,u,," MD5_OF_EMPTY ",\nnothing,u,,,\n");
    ck_assert_uint_eq(leat__sums_count(sums), 1);
    ck_assert_int_eq(leat__sums_find(sums, "n", &found), LEAT__SUMS_FOUND);
    ck_assert_uint_eq(found.bytes, 7);
    ck_assert_int_eq(found.sum.kind, LEAT__SUM_SHA256);
    leat__sums_free(sums);
    sums = read_sums("");
    ck_assert_int_eq(leat__sums_find(sums, "n", &found), LEAT__SUMS_NONE);
    leat__sums_free(sums);
    leave_scratch();
}
END_TEST

START_TEST(many_sums)
{
    leat__sums_entry found;
    char name[64];
    enter_scratch();
    FILE *file = fopen("SUMS", "w");
    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < 20000; i++) fprintf(file, MD5_OF_EMPTY "  f%d/n%d.jpg\n", i % 7, i);
    ck_assert_int_eq(fclose(file), 0);
    leat__sums *sums;
    ck_assert_int_eq(leat__sums_read("SUMS", NULL, &sums, NULL), LEAT_OK);
    ck_assert_uint_eq(leat__sums_count(sums), 20000);
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "f%d/n%d.jpg", i % 7, i);
        ck_assert_int_eq(leat__sums_find(sums, name, &found), LEAT__SUMS_FOUND);
        ck_assert_str_eq(found.name, name);
        ck_assert_int_eq(leat__sums_find(sums, strchr(name, '/') + 1, &found), LEAT__SUMS_FOUND);
        name[1] = '8';
        ck_assert_int_eq(leat__sums_find(sums, name, &found), LEAT__SUMS_NONE);
    }
    leat__sums_free(sums);
    leave_scratch();
}
END_TEST

static const char *const sums_refused[][2] = {
    {"http://h/a\n", "list 'SUMS' line 1: no checksum: lines of sha256sum or md5sum are wanted, JSON lines, or CSV with a column "
     "url"},
    {SHA_A "  a\nx\n", "list 'SUMS' line 2: it is no line of sha256sum or md5sum, as those before it are"},
    {SHA_A "  a\n" SHA_OF_EMPTY "  ./a\n", "list 'SUMS' line 2: it contradicts what an earlier line says of the same file"},
    {"url,bytes\na,1\na,2\n", "list 'SUMS' line 3: it contradicts what an earlier line says of the same file"},
    {SHA_A "  ..//../\n" SHA_A "  /.\n", "list 'SUMS' line 2: its name is empty, or longer than 4,000 bytes"},
};

START_TEST(sums_that_are_refused)
{
    leat__sums *sums;
    leat_error error;
    enter_scratch();
    write_text("SUMS", sums_refused[_i][0]);
    ck_assert_int_eq(leat__sums_read("SUMS", NULL, &sums, &error), LEAT_EINVAL);
    ck_assert_str_eq(error.message, sums_refused[_i][1]);
    ck_assert_ptr_null(sums);
    leave_scratch();
}
END_TEST

START_TEST(entries_with_checksums)
{
    struct came came = {.options.checksums = "SUMS"};
    enter_scratch();
    write_text("SUMS", "{\"url\":\"a\",\"bytes\":5,\"sha256\":\"" SHA_A "\"}\n{\"url\":\"b\",\"md5\":\"" MD5_OF_EMPTY "\"}\n"
                       "{\"url\":\"x/c\",\"bytes\":1}\n{\"url\":\"y/c\",\"bytes\":2}\n");
    write_text("list", "{\"url\":\"http://h/a\",\"md5\":\"" MD5_OF_EMPTY "\"}\n{\"url\":\"http://h/b\",\"sha256\":\"" SHA_A
        "\",\"bytes\":9}\n"
                       "{\"url\":\"http://h/a\",\"sha256\":\"" SHA_OF_EMPTY "\"}\n{\"url\":\"http://h/a\",\"bytes\":6}\n"
                       "{\"url\":\"http://h/c\"}\n"
                       "{\"url\":\"http://h/y/c\"}\n{\"url\":\"http://h/d\"}\n");
    expect(&came, "@list", "0 http://h/a > a 5 sha256:aaaa\n1 http://h/b > b 9 sha256:aaaa\n"
           "2! list 'list' line 3 | list 'list' line 3: 'a' has one checksum or size in the list and another one in the checksums\n"
           "3! list 'list' line 4 | list 'list' line 4: 'a' has one checksum or size in the list and another one in the checksums\n"
           "4! list 'list' line 5 | list 'list' line 5: 'c' could be one of several files in the checksums, which differ\n"
           "5 http://h/y/c > y/c 2\n6 http://h/d > d\n");
    struct came none = {.options.checksums = "nowhere"};
    const char *source = "@list";
    ck_assert_int_eq(read_sources(&none, &source, 1), LEAT_ENOTFOUND);
    ck_assert_str_eq(none.message, "cannot open list 'nowhere': No such file or directory");
    leave_scratch();
}
END_TEST

/* ---- names ---- */

START_TEST(names)
{
    static const char *const rows[][2] = {
        {"a/b.jpg", "a/b.jpg"}, {"/a//b/", "a/b"}, {"./a/./b", "a/b"}, {"..", ".%2E"}, {"a/../b", "a/.%2E/b"}, {"...", "..%2E"},
        {" ", "%20"}, {"a ", "a%20"}, {" a", " a"}, {"a\tb\x7f\\:", "a%09b%7F%5C%3A"}, {".leat", "%2Eleat"}, {".Leat/x",
         "%2ELeat/x"},
        {"/./.leat/x", "%2Eleat/x"}, {"x/.leat", "x/.leat"}, {".leat.", ".leat%2E"}, {"a%2Fb%", "a%2Fb%"},
         {"\xc3\xa4\xf0\x9f\x98\x80", "\xc3\xa4\xf0\x9f\x98\x80"},
        {"\xff\xc3", "%FF%C3"}, {"\xed\xa0\x80", "%ED%A0%80"}, {"\xc2\x80\xe2\x80\xae", "%C2%80%E2%80%AE"},
    };
    char out[LEAT__ENTRY_PATH_BYTES];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_assert(leat__entry_name(rows[i][0], out, sizeof out));
        ck_assert_str_eq(out, rows[i][1]);
    }
    static const char *const none[] = {"", "/", ".", "./", "//./"};
    for (size_t i = 0; i < 5; i++) ck_assert(!leat__entry_name(none[i], out, sizeof out));
}
END_TEST

START_TEST(long_names)
{
    char text[4200], out[LEAT__ENTRY_PATH_BYTES], other[LEAT__ENTRY_PATH_BYTES];
    memset(text, 'x', 255), text[255] = '\0';
    ck_assert(leat__entry_name(text, out, sizeof out));
    ck_assert_str_eq(out, text);
    strcpy(text + 250, ".tar.zst");
    ck_assert(leat__entry_name(text, out, sizeof out));
    ck_assert_uint_eq(strlen(out), 255);
    ck_assert_str_eq(out + 251, ".zst");
    ck_assert_int_eq(out[234], '~');
    text[0] = 'y';
    ck_assert(leat__entry_name(text, other, sizeof other));
    ck_assert_str_ne(out + 234, other + 234); /* told apart by the digest */
    text[0] = '\0';
    for (int i = 0; i < 100; i++) strcat(text, "\xe2\x82\xac"); /* cut between characters */
    ck_assert(leat__entry_name(text, out, sizeof out));
    ck_assert_uint_eq(strlen(out), 237 / 3 * 3 + 17);
    for (size_t length = 3998; length <= 4002; length++) {
        memset(text, 'x', length), text[length] = '\0';
        for (size_t i = 100; i < length - 1; i += 100) text[i] = '/';
        ck_assert_int_eq(leat__entry_name(text, out, sizeof out), length <= 4000);
    }
    ck_assert(leat__entry_name("ab/c", out, 5));
    ck_assert(!leat__entry_name("ab/c", out, 4));
}
END_TEST

/* Whether a name is what entries.h promises, told by other means than entryname.c's. */
static void check_safe(const char *name)
{
    char printed[4 * LEAT__ENTRY_PATH_BYTES], copy[LEAT__ENTRY_PATH_BYTES];
    size_t length = strlen(name);
    ck_assert(length > 0 && length <= 4000 && name[0] != '/' && name[length - 1] != '/' && !strstr(name, "//"));
    ck_assert_str_eq(leat__escape(printed, sizeof printed, name, length), name); /* valid UTF-8, nothing below 0x20 */
    ck_assert(!strpbrk(name, "\\:"));
    strcpy(copy, name);
    char *save, *part = strtok_r(copy, "/", &save);
    ck_assert(strcasecmp(part, ".leat") != 0);
    for (; part; part = strtok_r(NULL, "/", &save)) {
        char last = part[strlen(part) - 1];
        ck_assert(strlen(part) <= 255 && last != '.' && last != ' ');
    }
}

START_TEST(names_are_safe_and_stay)
{
    static const char *const pieces[] = {"/", ".", "..", " ", ".leat", "\xc3\xa4", "\xff", "\\", ":", "\n", "a", "%2e",
        "\xe2\x80", "longer.tar"};
    char text[6000], out[LEAT__ENTRY_PATH_BYTES], again[LEAT__ENTRY_PATH_BYTES];
    uint64_t random = 1, fine = 0;
    for (int round = 0; round < 20000; round++) {
        size_t used = 0, wanted = round % 10 ? 1 + (size_t)round % 60 : 1 + (size_t)round % 5000;
        while (used < wanted) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            size_t choice = (size_t)(random >> 33) % 20;
            if (choice < 14) used += (size_t)sprintf(text + used, "%s", pieces[choice]);
            else text[used++] = (char)(random >> 50 | 1);
        }
        text[used] = '\0';
        if (!leat__entry_name(text, out, sizeof out)) continue;
        fine++;
        check_safe(out);
        ck_assert(leat__entry_name(out, again, sizeof again));
        ck_assert_str_eq(again, out);
        ck_assert(!leat__entry_name_of_url(text, text + used, again, sizeof again) || (check_safe(again), true));
    }
    ck_assert_uint_gt(fine, 18000);
}
END_TEST

#define ROWS(table) (int)(sizeof table / sizeof *(table))

int main(void)
{
    Suite *suite = suite_create("entries");
    TCase *sources = tcase_create("sources"), *list = tcase_create("lists"), *sums = tcase_create("sums"),
        *name = tcase_create("names");
    tcase_add_loop_test(sources, urls, 0, ROWS(url_rows));
    tcase_add_test(sources, names_by_digest);
    tcase_add_loop_test(sources, sources_refused, 0, ROWS(refused));
    tcase_add_test(sources, stops_when_told);
    tcase_add_loop_test(sources, local_sources, 0, ROWS(local_rows));
    tcase_add_test(sources, where_files_are_put_is_no_source);
    tcase_add_test(sources, bad_files_that_are_not_wanted);
    tcase_add_test(sources, unreadable_folders);
    tcase_add_test(sources, deep_folders);
    tcase_add_test(sources, patterns);
    tcase_add_test(sources, patterns_and_numbers);
    tcase_add_loop_test(list, lists, 0, ROWS(list_rows));
    tcase_add_test(list, long_lines);
    tcase_add_test(list, lines_with_nul);
    tcase_add_test(list, wide_header);
    tcase_add_loop_test(list, list_on_stdin, 0, ROWS(stdin_forms));
    tcase_add_test(list, waiting_ends_when_stopped);
    tcase_add_test(list, longest_line_in_pieces);
    tcase_add_test(list, a_million_lines_take_no_memory);
    tcase_add_loop_test(list, references, 0, ROWS(refs));
    tcase_add_test(list, references_that_are_too_long);
    tcase_add_test(list, list_from_a_server);
    tcase_add_test(sums, sums_found);
    tcase_add_test(sums, sums_add_up);
    tcase_add_test(sums, many_sums);
    tcase_add_loop_test(sums, sums_that_are_refused, 0, ROWS(sums_refused));
    tcase_add_test(sums, entries_with_checksums);
    tcase_add_test(name, names);
    tcase_add_test(name, long_names);
    tcase_add_test(name, names_are_safe_and_stay);
    TCase *const cases[] = {sources, list, sums, name};
    for (size_t i = 0; i < 4; i++) {
        tcase_set_timeout(cases[i], 60);
        suite_add_tcase(suite, cases[i]);
    }
    return run_suite(suite);
}
