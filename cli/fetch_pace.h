/* fetch_pace.h - how fast a fetch goes, and how long it will take. */
#ifndef CLI_FETCH_PACE_H
#define CLI_FETCH_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <leat/fetch.h>

/* 10 s of rates, at ten calls a second and one to compare with. */
enum { FETCH_PACE_MARKS = 101 };

typedef struct fetch_mark {
    uint64_t now_ns, bytes, files;
} fetch_mark;

typedef struct fetch_pace {
    fetch_mark marks[FETCH_PACE_MARKS]; /* a ring */
    size_t count, next;
    uint64_t begin_ns;
} fetch_pace;

typedef struct fetch_outlook {
    double seconds;          /* since the run began */
    double bytes_per_second, files_per_second; /* of the last 10 s */
    double fraction;         /* of the work that is done; negative: not known, as the sources are still being read */
    double seconds_left;     /* negative: not known */
    uint64_t settled;        /* files of which nothing more will come: done + skipped + failed + cancelled */
    uint64_t total_bytes;    /* of all planned files; 0: not known */
    bool estimated;          /* total_bytes is: some sizes are not known */
} fetch_outlook;

/* Begins; the clock is cli_now_ns's. */
void fetch_pace_begin(fetch_pace *pace, uint64_t now_ns);

/* Adds what is known now; marks less than 0.1 s after the one before are left out. Returns the outlook. */
fetch_outlook fetch_pace_add(fetch_pace *pace, uint64_t now_ns, const leat_fetch_progress *now);

#endif
