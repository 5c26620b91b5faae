/* fetch.h - a data set brought to local disk: every file whole and verified, or named as failed; and looked over afterwards.
 *
 * What is kept: files under their names in a directory, and beside them the folder .leat with what is known of them
 * (docs/formats.md): records of finished files, and, while a run is under way or after it was broken off, parts and
 * journals. A file appears under its name only when it is whole and verified; nothing is overwritten or deleted that leat did
 * not write. */
#ifndef LEAT_FETCH_H
#define LEAT_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <leat/config.h>
#include <leat/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Which names files get under the directory. */
typedef enum leat_fetch_layout {
    LEAT_FETCH_NAMES = 0, /* relative paths, made safe: of a URL or glob what follows the last '/' before its first brace; of a line
                             of a list the URL's whole path, without host and query; of a manifest its `path` */
    LEAT_FETCH_HASHED = 1,/* xx/SHA-256 of the URL in hexadecimal, and the URL's extension */
} leat_fetch_layout;

/* Which files of the sources are wanted. The last pattern that matches a file's name decides; if none does: wanted, unless the
 * first pattern includes. */
typedef struct leat_fetch_pattern {
    const char *glob;  /* of the relative name: * ? [..], '*' matches '/' too */
    bool exclude;
} leat_fetch_pattern;

/* What befell one file. */
typedef enum leat_fetch_event_kind {
    LEAT_FETCH_START = 1, /* its first request is about to be sent */
    LEAT_FETCH_RETRY = 2, /* a request failed and will be repeated: error, delay_ms */
    LEAT_FETCH_DONE = 3,  /* it is there under its name: bytes, unverified */
    LEAT_FETCH_SKIP = 4,  /* nothing was to be done: reason */
    LEAT_FETCH_ERROR = 5, /* it failed for good: error, attempts */
    LEAT_FETCH_WOULD = 6, /* dry_run: what would be done: reason ("fetch" or "exists") */
    LEAT_FETCH_NOTE = 7,  /* worth knowing, of no file in particular or of the one named: reason (a damaged journal, say) */
} leat_fetch_event_kind;

/* Strings are valid during the call. URLs come without userinfo and query. */
typedef struct leat_fetch_event {
    leat_fetch_event_kind kind;
    const char *url;      /* or the local path; "" for a NOTE of none */
    const char *path;     /* relative to the directory; "" if it has none */
    uint64_t bytes;       /* of the file; of RETRY: those that are there. UINT64_MAX: not known, as of ERROR */
    const char *reason;   /* SKIP: "exists", "duplicate", "other process"; WOULD, NOTE: see above; else "" */
    uint32_t attempts;    /* requests sent for it so far */
    uint64_t delay_ms;    /* RETRY */
    bool unverified;      /* DONE: its server gave no size and no checksum is known */
    const leat_error *error; /* RETRY, ERROR; else NULL */
} leat_fetch_event;

typedef struct leat_fetch_transfer {
    char name[128];       /* the end of its relative name, escaped */
    uint64_t bytes, total;/* total: UINT64_MAX if not known */
    uint32_t connections; /* parts that are under way */
} leat_fetch_transfer;

typedef struct leat_fetch_host {
    char name[64];        /* host:port, escaped */
    uint32_t active, limit; /* requests under way, and how many may be */
    uint64_t paused_ms;   /* until the next request may be sent; 0: now */
    uint64_t retries;     /* requests repeated */
    bool unreachable;     /* its retry budget is spent, or it refuses everything for too long: files fail without a request, but for
                             a probe now and then */
} leat_fetch_host;

#define LEAT_FETCH_SHOWN 16 /* transfers and hosts in a leat_fetch_progress */

/* How far a run is. planned = done + skipped + failed + cancelled at the end, always. */
typedef struct leat_fetch_progress {
    uint64_t planned;        /* files of this rank that the sources have named so far */
    bool listed;             /* and that are all */
    uint64_t done, skipped, failed, cancelled;
    uint64_t bytes;          /* that came over the network, or from other disks, in this run */
    uint64_t planned_bytes;  /* sum of the sizes of the planned files that are known: finished, under way or told by the manifest */
    uint64_t unsized;        /* planned files whose size is not known yet */
    uint64_t finished_bytes; /* of done and skipped files, and of the parts that are there of those under way */
    uint64_t requests, retries, throttled, redirects;
    uint64_t unverified;     /* of `done` */
    uint64_t writing;        /* bytes that wait for the disk */
    uint32_t active, waiting;/* transfers under way, and objects that wait for one */
    size_t transfer_count;   /* the oldest of those under way */
    leat_fetch_transfer transfers[LEAT_FETCH_SHOWN];
    size_t host_count;       /* the first that were asked */
    leat_fetch_host hosts[LEAT_FETCH_SHOWN];
} leat_fetch_progress;

typedef struct leat_fetch_config {
    /* ---- what ---- */
    const char *const *sources; /* URLs with brace ranges; "@FILE" and "@-": lists and manifests (docs/guide.md: a URL or path a
                                   line, JSON lines, CSV, or what sha256sum writes), read as a stream; local files, folders
                                   (all files below), globs. Required */
    size_t source_count;
    const char *checksums;      /* a file of sha256sum, md5sum or a manifest: checksums of files by relative name or base name;
                                   NULL: none. Held in memory */
    const leat_fetch_pattern *patterns; /* NULL: all is wanted */
    size_t pattern_count;

    /* ---- where to ---- */
    const char *to;             /* a directory; made if it is not there. Required */
    leat_fetch_layout layout;
    bool fresh;                 /* what earlier runs left of unfinished files is thrown away; finished ones stay */
    bool fast;                  /* not durable: no fsync; a power failure may lose or damage files that were reported as done */
    bool dry_run;               /* only say what would be done: no file is asked for (a list on a server is) and nothing is written
                                   */

    /* ---- how ---- */
    uint32_t jobs;              /* transfers at a time in all; 1..1024; 0: 64 */
    uint32_t max_per_host;      /* and to one host; a server's 429 or 503 halves it for a while; 0: as jobs */
    uint32_t parts;             /* connections for one large file; 1..64; 0: 4 */
    uint64_t part_bytes;        /* a file larger than this is fetched in parts, which are what a later run need not fetch again;
                                   a multiple of 256 KiB is made of it; 0: 8 MiB */
    uint64_t limit_rate;        /* bytes a second in all; 0: no limit */
    uint64_t memory_limit;      /* bytes held between network and disk; at least 16 MiB; 0: 256 MiB */
    uint32_t threads;           /* that write and hash; 0: one for each two CPUs, 1 to 8 */
    uint64_t max_object_bytes;  /* of one file; 0: 64 GiB */
    uint32_t world, rank;       /* as in leat_config: entry n of the list is rank n % world's */

    /* ---- network: as in leat_config ---- */
    uint32_t retries, connect_timeout_ms, stall_timeout_ms, max_retry_after_ms, redirects;
    const char *ca_file;
    const char *const *headers;
    size_t header_count;
    uint64_t seed;              /* of the delays before retries; 0: another one each time */

    /* ---- being told: on the calling thread ---- */
    void (*event)(void *user, const leat_fetch_event *event);          /* NULL: none */
    uint32_t events;            /* which kinds: the sum of 1 << kind; 0: all */
    void (*progress)(void *user, const leat_fetch_progress *progress); /* ten times a second, and once at the end; NULL: none */
    void *user;                 /* borrows, until leat_fetch returns */
    const volatile int *stop;   /* set it to non-zero (from a signal handler, say) to stop within 5 s, resumable; NULL: never */
} leat_fetch_config;

#define LEAT_FETCH_CONFIG_INIT {0}

/* The worst that happened to any file, from bad to worse: what a script has to tell apart. */
typedef enum leat_fetch_trouble {
    LEAT_FETCH_FINE = 0,
    LEAT_FETCH_SOME_FAILED = 1,
    LEAT_FETCH_NO_NETWORK = 2,  /* files failed for the network, and none could be fetched at all */
    LEAT_FETCH_NO_SOURCE = 3,   /* not found, or forbidden */
    LEAT_FETCH_BAD_CONFIG = 4,  /* settings or credentials (HTTP 401, 407) */
    LEAT_FETCH_BAD_DISK = 5,    /* writing failed: full, read-only, not permitted */
    LEAT_FETCH_BAD_DATA = 6,    /* a size or checksum is not what it should be */
} leat_fetch_trouble;

typedef struct leat_fetch_result {
    leat_fetch_progress last;   /* with the final counts */
    double seconds;
    leat_fetch_trouble worst;
    leat_error first_error;     /* of the first file that failed; code LEAT_OK: none did */
    char failed_list[512];      /* path of the list of what failed or was cancelled (of very many, the first), in a form that
                                   leat_fetch reads; "": none */
    uint32_t rank, world;
    char launcher[24];          /* as in leat_statistics */
} leat_fetch_result;

/* Fetches what the sources name. Files that fail are counted, named and listed; they do not fail the call: LEAT_OK means that every
 * planned file is accounted for in result->last. LEAT_ECLOSED: stopped, with cancelled > 0. Any other code: the run could not begin
 * or go on (a setting, the directory, a full disk, a source that cannot be read). Several processes, also on several machines, may
 * share one directory: each file is fetched by one of them. result: filled as far as it came, also on failure. Thread: any, but a
 * process calls it for one directory once at a time. Blocks: till done. */
LEAT_API leat_code leat_fetch(const leat_fetch_config *config, leat_fetch_result *result, leat_error *error);

/* ---- afterwards ---- */

typedef enum leat_verify_state {
    LEAT_VERIFY_BAD = 1,     /* size, checksum or contents are wrong: error */
    LEAT_VERIFY_MISSING = 2, /* recorded, and not there */
    LEAT_VERIFY_FIXED = 3,   /* was one of these, and has been fetched again */
    LEAT_VERIFY_UNFIXED = 4, /* is one of these, and could not be fetched again: error */
} leat_verify_state;

typedef struct leat_verify_finding {
    leat_verify_state state;
    const char *path, *url;  /* url: "" if not known; without userinfo and query */
    const leat_error *error;
} leat_verify_finding;

typedef struct leat_verify_progress {
    uint64_t files, bytes;   /* looked at so far */
    uint64_t bad, missing, fixed;
} leat_verify_progress;

typedef struct leat_verify_config {
    const char *directory;   /* that leat_fetch has filled; or any, with `checksums` or `deep`. Required */
    const char *checksums;   /* as in leat_fetch_config: these count, beside what is recorded */
    bool quick;              /* sizes only */
    bool deep;               /* also read what is inside: every header of a tar, every zstd and gzip frame, header and end of
                                every image */
    bool fix;                /* fetch again what is bad or missing, from where it came */
    const leat_fetch_config *fetch; /* settings for `fix` (without sources and to); NULL: defaults */
    uint32_t threads;        /* files looked at side by side; 0: one for each CPU */
    void (*finding)(void *user, const leat_verify_finding *finding);      /* on the calling thread; NULL: none */
    void (*progress)(void *user, const leat_verify_progress *progress);   /* likewise */
    void *user;
    const volatile int *stop;
} leat_verify_config;

#define LEAT_VERIFY_CONFIG_INIT {0}

typedef struct leat_verify_result {
    uint64_t files, bytes;   /* looked at */
    uint64_t good, bad, missing, fixed; /* files = good + bad + missing; fixed: of bad + missing */
    uint64_t unverified;     /* of good: their size is right, and nothing else is known of them (quick, or no checksum) */
    uint64_t unknown;        /* files in the directory that nothing is recorded of; with `deep` they are looked at, and count in
                                files */
    double seconds;
    leat_error first_error;
} leat_verify_result;

/* Looks whether files are what they were, or what their checksums say. A bad file does not fail the call: LEAT_OK means that all
 * were looked at. LEAT_ENOTFOUND if nothing is recorded in the directory and neither `checksums` nor `deep` is given. Thread: any.
 * Blocks: till done. */
LEAT_API leat_code leat_verify(const leat_verify_config *config, leat_verify_result *result, leat_error *error);

#ifdef __cplusplus
}
#endif
#endif
