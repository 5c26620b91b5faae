/* version.c - which leat this is, and which libraries touch foreign bytes in it. */
#include <curl/curl.h>
#include <png.h>
#include <pthread.h>
#include <stdio.h>
#include <uv.h>
#include <zlib.h>
#include <zstd.h>

/* after stdio.h, which it needs */
#include <jpeglib.h>

#include <leat/version.h>

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

static char line[256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void write_line(void)
{
    const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
    snprintf(line, sizeof line, "leat %s (libuv %s, curl %s, %s, zstd %s, zlib %s, png %s, jpeg-turbo %s)", LEAT_VERSION,
             uv_version_string(), curl->version, curl->ssl_version ? curl->ssl_version : "no TLS", ZSTD_versionString(),
             zlibVersion(), png_get_libpng_ver(NULL), TEXT(LIBJPEG_TURBO_VERSION));
}

const char *leat_version(void)
{
    pthread_once(&once, write_line);
    return line;
}
