/* test_source.c - every form of source, on real folder trees in a temporary directory. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "check_main.h"
#include "stages/source.h"

/* ---- a folder of its own for each test ---- */

static char root[64], home[1024];

static void enter_root(void)
{
    strcpy(root, "/tmp/leat-source-XXXXXX");
    ck_assert_ptr_nonnull(getcwd(home, sizeof home));
    ck_assert_ptr_nonnull(mkdtemp(root));
    ck_assert_int_eq(chdir(root), 0);
}

static void leave_root(void)
{
    char command[256];
    ck_assert_int_eq(chdir(home), 0);
    snprintf(command, sizeof command, "chmod -R u+rwx '%s' && rm -rf '%s'", root, root);
    ck_assert_int_eq(system(command), 0);
}

/* Makes a file and the folders it lies in. */
static void put(const char *path, const char *text)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        ck_assert(mkdir(folder, 0777) == 0 || errno == EEXIST);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

static void put_all(const char *const *paths)
{
    for (; *paths; paths++) put(*paths, "x");
}

#define PUT(...) put_all((const char *const[]){__VA_ARGS__, NULL})

/* ---- what a listing says, as one text ---- */

static leat__listing *list(const char *source)
{
    leat__listing *listing;
    leat_error error;
    leat_code code = leat__source_list(source, &listing, &error);
    ck_assert_msg(code == LEAT_OK, "%s: %s", source, error.message);
    ck_assert_int_eq(error.code, LEAT_OK);
    for (size_t i = 0; i < listing->count; i++) {
        ck_assert_uint_eq(listing->objects[i].number, i);
        ck_assert_int_lt(listing->objects[i].label, (int64_t)listing->class_count);
        ck_assert_ptr_nonnull(listing->objects[i].display);
    }
    return listing;
}

/* "name[key|field|label] ..." for loose files, "name ..." for shards. */
static const char *told(const char *source)
{
    static char text[40000];
    leat__listing *listing = list(source);
    size_t used = 0;
    for (size_t i = 0; i < listing->count; i++) {
        const leat__object *object = &listing->objects[i];
        ck_assert_uint_lt(used + strlen(object->name) + 600, sizeof text);
        used += (size_t)sprintf(text + used, "%s%s", i ? " " : "", object->name);
        if (object->is_shard) {
            ck_assert_ptr_null(object->key);
            ck_assert_ptr_null(object->field);
            ck_assert_int_eq(object->label, -1);
            ck_assert(listing->shards);
        } else {
            used += (size_t)sprintf(text + used, "[%s|%s|%d]", object->key, object->field, (int)object->label);
        }
    }
    leat__listing_free(listing);
    return text;
}

static const char *classes_of(const char *source)
{
    static char text[1024];
    leat__listing *listing = list(source);
    text[0] = '\0';
    for (size_t i = 0; i < listing->class_count; i++) {
        sprintf(text + strlen(text), "%s%s", i ? " " : "", listing->classes[i]);
    }
    ck_assert(listing->class_count > 0 || listing->classes == NULL);
    leat__listing_free(listing);
    return text;
}

static uint64_t ignored_in(const char *source)
{
    leat__listing *listing = list(source);
    uint64_t ignored = listing->ignored;
    leat__listing_free(listing);
    return ignored;
}

static void refused(const char *source, leat_code code, const char *words)
{
    leat_error error;
    leat__listing *listing = (leat__listing *)&error;
    leat_code got = leat__source_list(source, &listing, &error);
    ck_assert_msg(got == code, "%s: %s (%s)", source ? source : "NULL", leat_code_name(got), error.message);
    ck_assert_int_eq(error.code, code);
    ck_assert_msg(strstr(error.message, words), "'%s' not in '%s'", words, error.message);
    ck_assert_ptr_null(listing);
    ck_assert_int_eq(leat__source_list(source, &listing, NULL), code);
}

/* ---- folders ---- */

START_TEST(class_folders)
{
    PUT("photos/dog/b.JPG", "photos/dog/a.png", "photos/cat/1.jpeg", "photos/cat/2.npy", "photos/cat/notes.txt",
        "photos/ORIGIN.md", "photos/loose.jpg", "photos/cat/.hidden.jpg", "photos/.git/x.jpg");
    const char *want = "photos/cat/1.jpeg[cat/1|jpeg|0] photos/cat/2.npy[cat/2|npy|0] photos/dog/a.png[dog/a|png|1] "
                       "photos/dog/b.JPG[dog/b|jpg|1]";
    ck_assert_str_eq(told("photos"), want);
    ck_assert_str_eq(told("photos/"), want);
    ck_assert_str_eq(told("photos///"), want);
    ck_assert_str_eq(classes_of("photos"), "cat dog");
    ck_assert_uint_eq(ignored_in("photos"), 5);
    ck_assert_int_eq(chdir("photos"), 0);
    ck_assert_str_eq(told("."), "./cat/1.jpeg[cat/1|jpeg|0] ./cat/2.npy[cat/2|npy|0] ./dog/a.png[dog/a|png|1] "
                                "./dog/b.JPG[dog/b|jpg|1]");
}
END_TEST

START_TEST(class_folders_may_be_nested_or_empty)
{
    PUT("p/b/deep/er/1.jpg", "p/b/2.jpg", "p/a-c/3.jpg", "p/a/4.jpg", "p/d/readme");
    ck_assert_int_eq(mkdir("p/aa", 0777), 0);
    /* by path '-' comes before '/'; by class name "a" comes before "a-c" */
    ck_assert_str_eq(told("p"), "p/a-c/3.jpg[a-c/3|jpg|1] p/a/4.jpg[a/4|jpg|0] p/b/2.jpg[b/2|jpg|3] "
                                "p/b/deep/er/1.jpg[b/deep/er/1|jpg|3]");
    ck_assert_str_eq(classes_of("p"), "a a-c aa b d");
}
END_TEST

START_TEST(order_is_bytewise)
{
    PUT("p/B.jpg", "p/a.jpg", "p/\xc3\xa9.jpg", "p/Z.jpg", "p/10.jpg", "p/9.jpg");
    ck_assert_str_eq(told("p"), "p/10.jpg[10|jpg|-1] p/9.jpg[9|jpg|-1] p/B.jpg[B|jpg|-1] p/Z.jpg[Z|jpg|-1] "
                                "p/a.jpg[a|jpg|-1] p/\xc3\xa9.jpg[\xc3\xa9|jpg|-1]");
}
END_TEST

START_TEST(folder_of_loose_files)
{
    PUT("p/b.jpg", "p/a.jfif", "p/c.JPE", "p/x.txt", "p/jpg", "p/.jpg");
    ck_assert_int_eq(mkdir("p/empty", 0777), 0);
    ck_assert_str_eq(told("p"), "p/a.jfif[a|jfif|-1] p/b.jpg[b|jpg|-1] p/c.JPE[c|jpe|-1]");
    ck_assert_str_eq(classes_of("p"), "");
    ck_assert_uint_eq(ignored_in("p"), 3);
}
END_TEST

START_TEST(fields_of_one_sample_share_a_key)
{
    PUT("p/1.jpg", "p/1.seg.PNG", "p/1.left_2.depth.npy", "p/1.Seg.png");
    ck_assert_str_eq(told("p"), "p/1.Seg.png[1_Seg|png|-1] p/1.jpg[1|jpg|-1] "
                                "p/1.left_2.depth.npy[1|left_2.depth.npy|-1] p/1.seg.PNG[1|seg.png|-1]");
}
END_TEST

START_TEST(folder_of_shards)
{
    PUT("s/b.tar", "s/a.tar.zst", "s/c.TAR.GZ", "s/d.tgz", "s/e.tzst", "s/x.jpg", "s/sub/y.jpg", "s/index.json",
        "s/tar");
    ck_assert_str_eq(told("s"), "s/a.tar.zst s/b.tar s/c.TAR.GZ s/d.tgz s/e.tzst");
    ck_assert_str_eq(classes_of("s"), "");
    ck_assert_uint_eq(ignored_in("s"), 3);
}
END_TEST

START_TEST(folders_with_nothing)
{
    ck_assert_int_eq(mkdir("empty", 0777), 0);
    PUT("texts/a.txt", "texts/.b.jpg", "deep/train/a.tar");
    refused("empty", LEAT_ENOTFOUND, "'empty' has neither shards");
    refused("texts", LEAT_ENOTFOUND, "2 other or hidden files");
    refused("deep", LEAT_ENOTFOUND, "'deep/*/*.tar'");
    ck_assert_str_eq(told("deep/*/*.tar"), "deep/train/a.tar");
}
END_TEST

START_TEST(links_are_followed)
{
    PUT("real/1.jpg", "elsewhere/2.jpg", "elsewhere/deep/3.jpg", "p/a/4.jpg");
    ck_assert_int_eq(symlink("../../real/1.jpg", "p/a/link.jpg"), 0);
    ck_assert_int_eq(symlink("../elsewhere", "p/b"), 0);
    ck_assert_int_eq(symlink("p", "q"), 0);
    ck_assert_str_eq(told("p"), "p/a/4.jpg[a/4|jpg|0] p/a/link.jpg[a/link|jpg|0] p/b/2.jpg[b/2|jpg|1] "
                                "p/b/deep/3.jpg[b/deep/3|jpg|1]");
    ck_assert_str_eq(told("q/a"), "q/a/4.jpg[4|jpg|-1] q/a/link.jpg[link|jpg|-1]");
}
END_TEST

START_TEST(loops_of_links_end)
{
    PUT("p/a/1.jpg", "p/b/2.jpg");
    ck_assert_int_eq(symlink(".", "p/a/self"), 0);
    ck_assert_int_eq(symlink("../b", "p/a/other"), 0);
    ck_assert_int_eq(symlink("../a", "p/b/back"), 0);
    ck_assert_str_eq(told("p"), "p/a/1.jpg[a/1|jpg|0] p/a/other/2.jpg[a/other/2|jpg|0] p/b/2.jpg[b/2|jpg|1] "
                                "p/b/back/1.jpg[b/back/1|jpg|1]");
    ck_assert_uint_eq(ignored_in("p"), 4); /* self twice, back in other, other in back */
}
END_TEST

START_TEST(dangling_links_are_listed_by_name)
{
    PUT("p/a.jpg");
    ck_assert_int_eq(symlink("nowhere", "p/b.jpg"), 0);
    ck_assert_int_eq(symlink("nowhere", "p/c"), 0);
    ck_assert_int_eq(symlink("d.jpg", "p/d.jpg"), 0);
    ck_assert_str_eq(told("p"), "p/a.jpg[a|jpg|-1] p/b.jpg[b|jpg|-1] p/d.jpg[d|jpg|-1]");
    ck_assert_uint_eq(ignored_in("p"), 1);
}
END_TEST

START_TEST(pipes_are_not_files)
{
    PUT("p/a.jpg");
    ck_assert_int_eq(mkfifo("p/b.jpg", 0666), 0);
    ck_assert_int_eq(symlink("b.jpg", "p/c.jpg"), 0);
    ck_assert_str_eq(told("p"), "p/a.jpg[a|jpg|-1]");
    ck_assert_uint_eq(ignored_in("p"), 2);
}
END_TEST

START_TEST(unreadable_folders_are_errors)
{
    bool is_root = geteuid() == 0;
    PUT("p/a/1.jpg", "p/b/2.jpg");
    ck_assert_int_eq(chmod(".", 0755), 0);
    ck_assert_int_eq(chmod("p/b", 0), 0);
    if (is_root) ck_assert_int_eq(seteuid(65534), 0); /* root reads everything */
    refused("p", LEAT_EACCESS, "cannot open folder 'p/b'");
    refused("p/*/*.jpg", LEAT_EACCESS, "cannot read folder 'p/b/'");
    refused("p/b/2.jpg", LEAT_EACCESS, "cannot look at 'p/b/2.jpg'");
    if (is_root) ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(deep_folders_are_bounded)
{
    char path[512] = "p";
    for (int i = 0; i < 70; i++) strcat(path, "/d");
    strcat(path, "/x.jpg");
    PUT(path);
    refused("p", LEAT_EIO, "cannot go into folder 'p/d/d");
    leat__listing *listing = list("p/d/d/d/d/d/d/d/d/d/d");
    ck_assert_uint_eq(listing->count, 1);
    ck_assert_str_eq(listing->objects[0].name, path);
    leat__listing_free(listing);
}
END_TEST

/* ---- files, braces, globs ---- */

START_TEST(single_files)
{
    PUT("a.tar", "sub/b.jpg", "odd{1..2}.tar", "c*.jpg", "J. Smith.v2.JPG", "noext", "St.Bernard.jpg",
        "2020.01.02.jpg", "a..jpg", "a.jpg.", ".x.jpg");
    ck_assert_str_eq(told("a.tar"), "a.tar");
    ck_assert_str_eq(told("sub/b.jpg"), "sub/b.jpg[sub/b|jpg|-1]");
    ck_assert_str_eq(told("./sub//b.jpg"), "./sub//b.jpg[sub//b|jpg|-1]");
    ck_assert_str_eq(told("odd{1..2}.tar"), "odd{1..2}.tar");
    ck_assert_str_eq(told("c*.jpg"), "c*.jpg[c*|jpg|-1]");
    ck_assert_str_eq(told("J. Smith.v2.JPG"), "J. Smith.v2.JPG[J_ Smith_v2|jpg|-1]");
    ck_assert_str_eq(told("St.Bernard.jpg"), "St.Bernard.jpg[St_Bernard|jpg|-1]");
    ck_assert_str_eq(told("2020.01.02.jpg"), "2020.01.02.jpg[2020_01_02|jpg|-1]");
    ck_assert_str_eq(told("a..jpg"), "a..jpg[a_|jpg|-1]");
    ck_assert_str_eq(told("a.jpg."), "a.jpg.[a|jpg.|-1]");
    ck_assert_str_eq(told(".x.jpg"), ".x.jpg[_x|jpg|-1]");
    ck_assert_str_eq(told("noext"), "noext[noext||-1]");
}
END_TEST

START_TEST(names_that_are_nothing)
{
    refused(NULL, LEAT_EINVAL, "no source");
    refused("", LEAT_EINVAL, "no source");
    refused("missing.tar", LEAT_ENOTFOUND, "there is no file or folder 'missing.tar'");
    refused("missing-{0..15}.tar", LEAT_ENOTFOUND, "none of 16 files exists, the first is 'missing-0.tar'");
    refused("s3://bucket/a.tar", LEAT_EINVAL, "'s3://' is not read: only http:// and https://");
    refused("file:///etc/x.tar", LEAT_EINVAL, "write the path itself");
    refused("bad\x1b[2J", LEAT_ENOTFOUND, "bad\\x1b[2J");
}
END_TEST

START_TEST(brace_ranges_of_files)
{
    PUT("t-08.tar", "v/cat/1.jpg");
    ck_assert_str_eq(told("t-{08..10}.tar"), "t-08.tar t-09.tar t-10.tar"); /* missing ones are found by reading */
    ck_assert_str_eq(told("t-{10..08..2}.tar"), "t-10.tar t-08.tar");
    ck_assert_str_eq(told("v/{dog,cat}/{1..2}.jpg"), "v/dog/1.jpg[dog/1|jpg|1] v/dog/2.jpg[dog/2|jpg|1] "
                                                     "v/cat/1.jpg[cat/1|jpg|0] v/cat/2.jpg[cat/2|jpg|0]");
    ck_assert_str_eq(classes_of("v/{dog,cat}/{1..2}.jpg"), "cat dog");
    refused("t-{08..10.tar", LEAT_EINVAL, "braces: '{08..10.tar' at character 3 is never closed");
    refused("t-{0..9999999999}.tar", LEAT_EINVAL, "names 10000000000 objects");
    refused("{0..9223372036854775807}{0..9}", LEAT_EINVAL, "over 18446744073709551615");
}
END_TEST

START_TEST(globs)
{
    PUT("p/b/2.jpg", "p/b/10.jpg", "p/a/1.jpg", "p/a/x.txt", "p/a/.h.jpg", "p/c[1]/y.jpg", "s/t-1.tar", "s/t-0.tar");
    ck_assert_str_eq(told("p/*/*.jpg"), "p/a/1.jpg[a/1|jpg|0] p/b/10.jpg[b/10|jpg|1] p/b/2.jpg[b/2|jpg|1] "
                                        "p/c[1]/y.jpg[c[1]/y|jpg|2]");
    ck_assert_str_eq(told("p/[ab]/?.jpg"), "p/a/1.jpg[a/1|jpg|0] p/b/2.jpg[b/2|jpg|1]");
    ck_assert_str_eq(told("p/a/*"), "p/a/1.jpg[a/1|jpg|-1] p/a/x.txt[a/x|txt|-1]");
    ck_assert_str_eq(told("p/c?1]/*"), "p/c[1]/y.jpg[c[1]/y|jpg|-1]");
    ck_assert_str_eq(told("./s/*.tar"), "./s/t-0.tar ./s/t-1.tar");
    ck_assert_str_eq(told("p/{b,a}/*.jpg"), "p/b/10.jpg[b/10|jpg|1] p/b/2.jpg[b/2|jpg|1] p/a/1.jpg[a/1|jpg|0]");
    char absolute[128], want[256];
    snprintf(absolute, sizeof absolute, "%s/s/t-?.tar", root);
    snprintf(want, sizeof want, "%s/s/t-0.tar %s/s/t-1.tar", root, root);
    ck_assert_str_eq(told(absolute), want);
    refused("p/*/*.png", LEAT_ENOTFOUND, "no file matches 'p/*/*.png'");
    refused("q/*", LEAT_ENOTFOUND, "no file matches 'q/*'");
    refused("p/*/*/", LEAT_ENOTFOUND, "no file matches");
    refused("p/*", LEAT_ENOTFOUND, "only folders: add '/*'");
    refused("p/{a,z}/*.jpg", LEAT_ENOTFOUND, "no file matches 'p/z/*.jpg'");
}
END_TEST

/* ---- URLs ---- */

START_TEST(urls)
{
    ck_assert_str_eq(told("http://h/d/t-{00..02}.tar"), "http://h/d/t-00.tar http://h/d/t-01.tar http://h/d/t-02.tar");
    ck_assert_str_eq(told("HTTPS://h:8080/t.tar.zst?sig=a/b.jpg#f"), "HTTPS://h:8080/t.tar.zst?sig=a/b.jpg#f");
    ck_assert_str_eq(told("http://h/x.jpg?n=a.tar"), "http://h/x.jpg?n=a.tar[x|jpg|-1]");
    ck_assert_str_eq(told("http://h/big%20cat/n%2F1%2ea%00.JPG"),
                     "http://h/big%20cat/n%2F1%2ea%00.JPG[big cat/n%2F1_a%00|jpg|-1]");
    ck_assert_str_eq(told("http://h/{dog,cat}/{1,2}.png"),
                     "http://h/dog/1.png[dog/1|png|1] http://h/dog/2.png[dog/2|png|1] "
                     "http://h/cat/1.png[cat/1|png|0] http://h/cat/2.png[cat/2|png|0]");
    ck_assert_str_eq(told("http://h/*.tar"), "http://h/*.tar"); /* not a glob */
    ck_assert_str_eq(told("http://h"), "http://h[||-1]");
    refused("http://h/{x}.tar", LEAT_EINVAL, "at character 10 is neither");
    refused("{http://h/a,b}.tar", LEAT_EINVAL, "a path among URLs: 'b.tar'");
}
END_TEST

START_TEST(secrets_are_not_shown)
{
    leat__listing *listing = list("https://user:hunter2@h/a-{0..1}.tar?X-Signature=hunter2#hunter2");
    ck_assert_uint_eq(listing->count, 2);
    ck_assert_str_eq(listing->objects[1].display, "https://h/a-1.tar?...");
    ck_assert_str_eq(listing->objects[1].name, "https://user:hunter2@h/a-1.tar?X-Signature=hunter2#hunter2");
    leat__listing_free(listing);

    PUT("p/new\nline.jpg", "p/plain.jpg");
    listing = list("p");
    ck_assert_str_eq(listing->objects[0].display, "p/new\\x0aline.jpg");
    ck_assert_ptr_eq(listing->objects[1].display, listing->objects[1].name);
    leat__listing_free(listing);
}
END_TEST

/* ---- lists ---- */

START_TEST(lists_of_paths)
{
    PUT("sets/cat/1.jpg", "sets/dog/2.jpg", "sets/dog/q{1..2}.jpg");
    put("sets/l.txt", "\xef\xbb\xbf# a comment\r\ncat/1.jpg\r\n\r\n  \t\ndog/{2..3}.jpg\ndog/q{1..2}.jpg\n#end\n"
                      "../x/*.jpg");
    ck_assert_str_eq(told("@sets/l.txt"), "sets/cat/1.jpg[cat/1|jpg|0] sets/dog/2.jpg[dog/2|jpg|1] "
                                          "sets/dog/3.jpg[dog/3|jpg|1] sets/dog/q{1..2}.jpg[dog/q{1__2}|jpg|1] "
                                          "sets/../x/*.jpg[x/*|jpg|2]");
    ck_assert_str_eq(classes_of("@sets/l.txt"), "cat dog x");
    char list_of_absolute[256], absolute[128];
    snprintf(absolute, sizeof absolute, "%s/sets/cat/1.jpg", root);
    snprintf(list_of_absolute, sizeof list_of_absolute, "%s\n", absolute);
    put("sets/absolute", list_of_absolute);
    ck_assert_ptr_nonnull(strstr(told("@sets/absolute"), absolute));
    put("sets/one", "dog/2.jpg"); /* no newline at the end; one folder: no classes */
    ck_assert_str_eq(told("@sets/one"), "sets/dog/2.jpg[dog/2|jpg|-1]");
    put("here", "l.tar\nsets/m.tar\n");
    PUT("l.tar");
    ck_assert_str_eq(told("@here"), "l.tar sets/m.tar");
}
END_TEST

START_TEST(lists_of_urls)
{
    put("l", "https://h/a-{0..1}.tar\nhttp://g/b.tar.gz?s=1\n");
    ck_assert_str_eq(told("@l"), "https://h/a-0.tar https://h/a-1.tar http://g/b.tar.gz?s=1");
    put("same-names", "https://h/x/1.jpg\nhttps://h/2.jpg\n");
    ck_assert_str_eq(told("@same-names"), "https://h/x/1.jpg[x/1|jpg|-1] https://h/2.jpg[2|jpg|-1]");
}
END_TEST

START_TEST(lists_that_are_wrong)
{
    char line[20000];
    PUT("a.jpg");
    put("mixed", "http://h/a.tar\n\n/b.tar\n");
    refused("@mixed", LEAT_EINVAL, "list 'mixed' line 3: a path among URLs: '/b.tar'");
    put("mixed", "a.jpg\nhttp://u:pw@h/a.tar?q\n");
    refused("@mixed", LEAT_EINVAL, "line 2: a URL among paths: 'http://h/a.tar?...'");
    put("braces", "a.jpg\nb{1..jpg\n");
    refused("@braces", LEAT_EINVAL, "list 'braces' line 2: braces: '{1..jpg' at character 2 is never closed");
    put("s3", "s3://b/k\n");
    refused("@s3", LEAT_EINVAL, "line 1: 's3://' is not read");
    put("empty", "# nothing\n\n");
    refused("@empty", LEAT_ENOTFOUND, "list 'empty' is empty");
    refused("@missing", LEAT_ENOTFOUND, "cannot open list 'missing'");
    put("astray", "x/1.jpg\nx/2.jpg\n");
    refused("@astray", LEAT_ENOTFOUND, "relative to the list's folder");
    refused("@.", LEAT_EIO, "cannot read list '.'");
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    put("long", line);
    refused("@long", LEAT_EINVAL, "line 1: over 16384 characters");
    line[16384] = '\0';
    put("long", line); /* too long for the system, which says so when it is read */
    ck_assert_uint_eq(strlen(strtok(strdupa(told("@long")), "[")), 16384);
    FILE *file = fopen("binary", "w");
    fwrite("a.jpg\n\0x\n", 1, 9, file);
    fclose(file);
    refused("@binary", LEAT_EINVAL, "line 2: a NUL byte");
}
END_TEST

START_TEST(list_on_stdin)
{
    static const char *const sources[] = {"@-", "-"};
    PUT("cat/1.jpg", "dog/2.jpg");
    put("l", "cat/1.jpg\ndog/{2..2}.jpg\n");
    int kept = dup(STDIN_FILENO);
    for (size_t i = 0; i < 2; i++) {
        int fd = open("l", O_RDONLY);
        ck_assert_int_eq(dup2(fd, STDIN_FILENO), STDIN_FILENO);
        close(fd);
        ck_assert_str_eq(told(sources[i]), "cat/1.jpg[cat/1|jpg|0] dog/2.jpg[dog/2|jpg|1]");
        ck_assert_int_ne(fcntl(STDIN_FILENO, F_GETFD), -1); /* the host's stdin stays open */
    }
    refused("-", LEAT_ENOTFOUND, "the list on stdin is empty");
    close(STDIN_FILENO);
    refused("@-", LEAT_EIO, "cannot open the list on stdin");
    if (kept >= 0) dup2(kept, STDIN_FILENO);
}
END_TEST

/* ---- size ---- */

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static const struct { const char *source; size_t text_bytes; } million[] = {
    {"https://data.example/train-{000000..999999}.tar", 43}, /* name and NUL */
    {"https://data.example/{000000..999999}/photo.jpg", 43 + 13 + 1},
    {"/data/images/n{00..99}/img_{0000..9999}.jpg", 34 + 14 + 1},
};

START_TEST(a_million_objects)
{
    size_t before = heap_bytes();
    double begun = cpu_seconds();
    leat__listing *listing;
    ck_assert_int_eq(leat__source_list(million[_i].source, &listing, NULL), LEAT_OK);
    double seconds = cpu_seconds() - begun;
    ck_assert_uint_eq(listing->count, 1000000);
    ck_assert_uint_eq(listing->objects[999999].number, 999999);
    size_t each = (heap_bytes() - before) / listing->count;
    if (getenv("LEAT_TEST_VERBOSE")) printf("%s: %.2f s, %zu bytes an object\n", million[_i].source, seconds, each);
    double most = SANITIZED ? 10.0 : 2.0;
    ck_assert_double_lt(seconds, most);
    size_t classes = listing->class_count * 32;
    if (!SANITIZED) ck_assert_uint_le(each, sizeof(leat__object) + million[_i].text_bytes + 4 + classes / 1000000);
    leat__listing_free(listing);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("source");
    TCase *tests = tcase_create("source");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, enter_root, leave_root);
    tcase_add_test(tests, class_folders);
    tcase_add_test(tests, class_folders_may_be_nested_or_empty);
    tcase_add_test(tests, order_is_bytewise);
    tcase_add_test(tests, folder_of_loose_files);
    tcase_add_test(tests, fields_of_one_sample_share_a_key);
    tcase_add_test(tests, folder_of_shards);
    tcase_add_test(tests, folders_with_nothing);
    tcase_add_test(tests, links_are_followed);
    tcase_add_test(tests, loops_of_links_end);
    tcase_add_test(tests, dangling_links_are_listed_by_name);
    tcase_add_test(tests, pipes_are_not_files);
    tcase_add_test(tests, unreadable_folders_are_errors);
    tcase_add_test(tests, deep_folders_are_bounded);
    tcase_add_test(tests, single_files);
    tcase_add_test(tests, names_that_are_nothing);
    tcase_add_test(tests, brace_ranges_of_files);
    tcase_add_test(tests, globs);
    tcase_add_test(tests, urls);
    tcase_add_test(tests, secrets_are_not_shown);
    tcase_add_test(tests, lists_of_paths);
    tcase_add_test(tests, lists_of_urls);
    tcase_add_test(tests, lists_that_are_wrong);
    tcase_add_test(tests, list_on_stdin);
    tcase_add_loop_test(tests, a_million_objects, 0, sizeof million / sizeof *million);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
