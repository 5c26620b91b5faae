/* listing.h - the list of a source's objects while it is being made. For the files of the source only. */
#ifndef LEAT__LISTING_H
#define LEAT__LISTING_H

#include "stages/source.h"

/* Gives an empty list, to be ended by leat__listing_free; NULL if memory is short. */
leat__listing *leat__listing_new(void);

#define LEAT__KEY_OF_PARENT SIZE_MAX /* the key begins with the parent folder's name */

/* Adds an object (name: copied). key_from: where in the name its key begins. Returns LEAT_OK; LEAT_EINVAL (a URL among
 * paths or the reverse, another scheme than http, too many objects); LEAT_ENOMEM. */
leat_code leat__listing_add(leat__listing *listing, const char *name, size_t key_from, int64_t label,
                            leat_error *error);

/* Adds a class; leat__listing_sort_classes then puts them in order, leat__listing_drop_classes forgets them. */
leat_code leat__listing_add_class(leat__listing *listing, const char *name, leat_error *error);
void leat__listing_sort_classes(leat__listing *listing);
void leat__listing_drop_classes(leat__listing *listing);

/* Sorts the objects from number `from` on bytewise by name. */
void leat__listing_sort(leat__listing *listing, size_t from);

/* Labels the objects by parent folder, if there are no shards, all have one and there are at least two different. */
leat_code leat__listing_label_by_parent(leat__listing *listing, leat_error *error);

/* Ends the making: numbers the objects and gives back the room that was kept for more. */
void leat__listing_finish(leat__listing *listing);

#endif
