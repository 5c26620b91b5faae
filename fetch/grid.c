/* grid.c - the parts of a large file: which are there, which are being fetched, and where another connection would help most.
 *
 * What:    an array of states and one of checksums; the next place is where the most missing parts are gained.
 * Why so:  every connection asks for "from here to the end" and goes on from part to part until it meets one that somebody else has
 *          taken. So a request is sent for a run and not for a part, parts may be small (a later run repeats little), and a
 *          connection that is done halves what another one would have to do.
 * Threads: one at a time; crcs of different parts may be written side by side.
 * Invariants: missing and there are the numbers of parts in those states; there_bytes is the sum of their sizes. */
#include "fetch/grid.h"

#include <assert.h>
#include <stdlib.h>

#include "store/checksum.h"

bool leat__grid_make(leat__grid *grid, uint64_t total, uint64_t part_bytes)
{
    assert(total > 0 && part_bytes > 0);
    uint64_t count = total / part_bytes + (total % part_bytes != 0);
    *grid = (leat__grid){.count = count, .total = total, .part_bytes = part_bytes, .missing = count};
    grid->states = calloc(count, sizeof *grid->states);
    grid->crcs = calloc(count, sizeof *grid->crcs);
    if (grid->states && grid->crcs) return true;
    leat__grid_clear(grid);
    return false;
}

void leat__grid_clear(leat__grid *grid)
{
    free(grid->states);
    free(grid->crcs);
    *grid = (leat__grid){0};
}

uint64_t leat__grid_begin(const leat__grid *grid, uint64_t part)
{
    assert(part < grid->count);
    return part * grid->part_bytes;
}

uint64_t leat__grid_end(const leat__grid *grid, uint64_t part)
{
    assert(part < grid->count);
    return part + 1 == grid->count ? grid->total : (part + 1) * grid->part_bytes;
}

void leat__grid_set(leat__grid *grid, uint64_t part, leat__part state)
{
    uint64_t bytes = leat__grid_end(grid, part) - leat__grid_begin(grid, part);
    leat__part old = grid->states[part];
    grid->missing += (state == LEAT__PART_MISSING) - (old == LEAT__PART_MISSING);
    grid->there += (state == LEAT__PART_THERE) - (old == LEAT__PART_THERE);
    if (state == LEAT__PART_THERE && old != LEAT__PART_THERE) grid->there_bytes += bytes;
    if (state != LEAT__PART_THERE && old == LEAT__PART_THERE) grid->there_bytes -= bytes;
    grid->states[part] = (uint8_t)state;
}

bool leat__grid_next(const leat__grid *grid, uint64_t least, uint64_t *part)
{
    uint64_t best = 0;
    for (uint64_t i = 0; i < grid->count && grid->missing; i++) {
        if (grid->states[i] != LEAT__PART_MISSING) continue;
        uint64_t end = i;
        while (end < grid->count && grid->states[end] == LEAT__PART_MISSING) end++;
        bool met = i > 0 && grid->states[i - 1] == LEAT__PART_TAKEN; /* somebody comes into it */
        uint64_t length = end - i, gain = met ? length / 2 : length;
        if (gain > best && (!met || length >= least)) {
            best = gain;
            *part = met ? i + (length + 1) / 2 : i;
        }
        i = end;
    }
    return best > 0;
}

uint32_t leat__grid_crc(const leat__grid *grid)
{
    uint32_t crc = 0;
    assert(grid->there == grid->count);
    for (uint64_t i = 0; i < grid->count; i++)
        crc = leat__crc32c_combine(crc, grid->crcs[i], leat__grid_end(grid, i) - leat__grid_begin(grid, i));
    return crc;
}
