/* marker.c - an item that divides a stream. A type of item like any other, known to the engine by its type's address. */
#include "pipeline/marker.h"

#include <stdlib.h>

static void marker_release(leat__item *item)
{
    leat__marker *marker = (leat__marker *)item;
    marker->come_back(marker);
}

static const leat__item_type marker_type = {.name = "marker", .release = marker_release};

void leat__marker_init(leat__marker *marker, uint64_t number, void (*come_back)(leat__marker *marker), void *home)
{
    *marker = (leat__marker){.item.type = &marker_type, .number = number, .come_back = come_back, .home = home};
}

static void free_marker(leat__marker *marker)
{
    free(marker);
}

leat__marker *leat__marker_new(uint64_t number)
{
    leat__marker *marker = malloc(sizeof *marker);
    if (marker) leat__marker_init(marker, number, free_marker, NULL);
    return marker;
}

bool leat__is_marker(const leat__item *item)
{
    return item->type == &marker_type;
}
