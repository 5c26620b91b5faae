/* marker.c - an item that divides a stream. A type of item like any other, known to the engine by its type's address. */
#include "pipeline/marker.h"

#include <stdlib.h>

static void marker_release(leat__item *item)
{
    free(item);
}

static const leat__item_type marker_type = {.name = "marker", .release = marker_release};

leat__marker *leat__marker_new(uint64_t number)
{
    leat__marker *marker = malloc(sizeof *marker);
    if (marker) *marker = (leat__marker){.item.type = &marker_type, .number = number};
    return marker;
}

bool leat__is_marker(const leat__item *item)
{
    return item->type == &marker_type;
}
