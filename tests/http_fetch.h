/* http_fetch.h - what the tests of the HTTP client share: a world with a client, and a consumer that checks every byte. */
#ifndef HTTP_FETCH_H
#define HTTP_FETCH_H

#include <check.h>

#include "http_servers.h"
#include "stages/http.h"
#include "stages/http_internal.h"

enum { SECOND = 1000 };

extern http_servers servers;

/* Loop, arena, budget, client. */
typedef struct world {
    uv_loop_t loop;
    leat__arena *arena;
    leat__budget budget;
    leat__http_options options;
    leat__http *http;
    uv_timer_t limit;
    bool closed, late;
    uint64_t random;
    int running;        /* fetches that have not ended */
} world;

void world_init(world *w);  /* options may be changed after it */
void world_open(world *w);
uint64_t world_random(void *world);
/* Runs the loop until *done is `value`, or fails after limit_ms. */
void world_run_until(world *w, const int *done, int value, int limit_ms);
/* Runs the loop for so long, whatever happens. */
void world_run_for(world *w, int ms);
/* Closes the client and checks that nothing is left: no handle, no buffer, nothing charged. */
void world_close(world *w);

/* A consumer. Set what it is to do, then start it. */
typedef struct fetch {
    world *w;
    leat__transfer *transfer;
    uint64_t start, got;      /* got: bytes since start */
    unsigned chunks, ends;
    unsigned pause_every;     /* pause after so many chunks; 0: never */
    bool paused, cancel_at_data, close_at_data;
    bool forbidden;           /* no callback may come now */
    leat_error error;
} fetch;

extern const leat__transfer_callbacks fetch_callbacks;
void fetch_start(fetch *f, world *w, const char *url, uint64_t offset);
void fetch_start_range(fetch *f, world *w, const char *url, const leat__http_range *range);
void fetch_resume(fetch *f);
/* Clears it, starts it, and waits for its end. */
void fetch_all(world *w, fetch *f, const char *url, int limit_ms);

/* Static: good until the next call. */
const char *chaos_url(const char *path);
/* A count that the chaos server kept of a path (its query cut off). */
int asked(const char *what, const char *path);

TCase *add_case(Suite *suite, const char *name);
/* Starts the servers, runs the suite, stops them; returns what main returns. nginx has the pattern as `small` (58,000 bytes) and
 * `large` (20,000,000). */
int http_suite_run(Suite *suite);

#endif
