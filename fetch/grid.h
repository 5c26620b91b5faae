/* grid.h - the parts of a large file: which are there, which are being fetched, and where another connection would help most.
 *
 * Threads: one at a time; crcs of different parts may be written side by side. */
#ifndef LEAT__GRID_H
#define LEAT__GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum leat__part { LEAT__PART_MISSING = 0, LEAT__PART_TAKEN, LEAT__PART_THERE } leat__part;

typedef struct leat__grid {
    uint64_t count;      /* 0: no grid */
    uint64_t total, part_bytes;
    uint64_t there, there_bytes, missing; /* how many are, and their bytes; how many nobody has taken */
    uint8_t *states;     /* leat__part */
    uint32_t *crcs;      /* CRC-32C of those that are there */
} leat__grid;

/* total > 0. False if memory is short. leat__grid_clear frees it. */
bool leat__grid_make(leat__grid *grid, uint64_t total, uint64_t part_bytes);
void leat__grid_clear(leat__grid *grid);

uint64_t leat__grid_begin(const leat__grid *grid, uint64_t part);
uint64_t leat__grid_end(const leat__grid *grid, uint64_t part);
void leat__grid_set(leat__grid *grid, uint64_t part, leat__part state);

/* Where the next connection is to begin, to gain the most parts: of a run of missing ones its first one, if no connection comes
   from before it, else its
 * middle. least: shorter runs that somebody comes into are left to him. False: nowhere. */
bool leat__grid_next(const leat__grid *grid, uint64_t least, uint64_t *part);

/* CRC-32C of the whole, if all parts are there. */
uint32_t leat__grid_crc(const leat__grid *grid);

#endif
