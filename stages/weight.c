/* weight.c - what a sample that waits keeps in memory. */
#include "stages/weight.h"

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t leat__weigh(leat__weigher *weigher, const leat__lane *lane, const leat__sample *sample)
{
    uint64_t chunk = lane->chunk_bytes, small = 0;
    for (size_t i = 0; i < sample->field_count; i++) {
        size_t size = sample->fields[i].bytes.size; /* smaller ones lie in the sample, larger ones never in one chunk */
        small += size > LEAT__INLINE_BYTES && size < chunk;
    }
    uint64_t span = sample->end > sample->offset ? sample->end - sample->offset : 0, gap = 2 * chunk;
    if (sample->object == weigher->object && sample->offset >= weigher->end) gap = least(gap, sample->offset - weigher->end);
    weigher->object = sample->object;
    weigher->end = sample->end;
    return sizeof *sample + sample->item.bytes / 4 * 5 + least(small * chunk, span + gap);
}
