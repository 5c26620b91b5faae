/* fetch_pace.c - how fast a fetch goes, and how long it will take.
 *
 * What:    rates over the last 10 s, and from them the share that is done and the time left.
 * Why so:  the average since the start says little after a pause or a throttled hour; a shorter one jumps. Files of unknown
 *          size are taken at the mean of the known ones where those are enough to have one, else files are counted.
 *          Files that failed have no bytes to come: they are taken out of the total at the mean size, too.
 * Threads: one at a time. */
#include "cli/fetch_pace.h"

#include <assert.h>
#include <string.h>

enum { MARK_MS = 100, SIZES_FOR_A_MEAN = 16 };
static const double least_seconds = 0.3; /* of a rate: one of less time jumps */
static const double most_before_end = 0.999; /* 100% is said when nothing is left to be done, and not of an estimate */

void fetch_pace_begin(fetch_pace *pace, uint64_t now_ns)
{
    memset(pace, 0, sizeof *pace);
    pace->begin_ns = now_ns;
    pace->marks[0].now_ns = now_ns;
    pace->count = pace->next = 1;
}

static const fetch_mark *oldest(const fetch_pace *pace)
{
    return &pace->marks[pace->count < FETCH_PACE_MARKS ? 0 : pace->next];
}

static const fetch_mark *newest(const fetch_pace *pace)
{
    return &pace->marks[(pace->next + FETCH_PACE_MARKS - 1) % FETCH_PACE_MARKS];
}

static void add_mark(fetch_pace *pace, fetch_mark mark)
{
    if (mark.now_ns - newest(pace)->now_ns < MARK_MS * 1000000u) return;
    pace->marks[pace->next] = mark;
    pace->next = (pace->next + 1) % FETCH_PACE_MARKS;
    if (pace->count < FETCH_PACE_MARKS) pace->count++;
}

/* The bytes of all planned files, as far as they can be told: 0 if not. */
static uint64_t total_bytes(const leat_fetch_progress *now)
{
    uint64_t sized = now->planned - (now->unsized < now->planned ? now->unsized : now->planned);
    if (!now->listed || sized == 0 || (now->unsized > 0 && sized < SIZES_FOR_A_MEAN)) return 0;
    double mean = (double)now->planned_bytes / (double)sized;
    double total = (double)now->planned_bytes + mean * ((double)now->unsized - (double)(now->failed + now->cancelled));
    return total > (double)now->finished_bytes ? (uint64_t)total : now->finished_bytes;
}

static void look_ahead(fetch_outlook *outlook, const leat_fetch_progress *now)
{
    outlook->fraction = outlook->seconds_left = -1;
    if (!now->listed || now->planned == 0) return;
    bool by_bytes = outlook->total_bytes > 0;
    double done = by_bytes ? (double)now->finished_bytes : (double)outlook->settled;
    double all = by_bytes ? (double)outlook->total_bytes : (double)now->planned;
    double rate = by_bytes ? outlook->bytes_per_second : outlook->files_per_second;
    bool over = outlook->settled == now->planned;
    outlook->fraction = over ? 1 : done < most_before_end * all ? done / all : most_before_end;
    if (over) outlook->seconds_left = 0;
    else if (rate > 0) outlook->seconds_left = (all - done) / rate;
}

fetch_outlook fetch_pace_add(fetch_pace *pace, uint64_t now_ns, const leat_fetch_progress *now)
{
    fetch_outlook outlook = {.settled = now->done + now->skipped + now->failed + now->cancelled};
    fetch_mark mark = {.now_ns = now_ns, .bytes = now->bytes, .files = outlook.settled};
    assert(pace->count > 0);
    add_mark(pace, mark);
    const fetch_mark *first = oldest(pace);
    double seconds = (double)(now_ns - first->now_ns) / 1e9;
    if (seconds >= least_seconds) {
        outlook.bytes_per_second = (double)(mark.bytes - first->bytes) / seconds;
        outlook.files_per_second = (double)(mark.files - first->files) / seconds;
    }
    outlook.seconds = (double)(now_ns - pace->begin_ns) / 1e9;
    outlook.total_bytes = total_bytes(now);
    outlook.estimated = now->unsized > 0 || now->failed + now->cancelled > 0;
    look_ahead(&outlook, now);
    return outlook;
}
