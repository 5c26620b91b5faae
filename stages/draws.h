/* draws.h - what random numbers are drawn for (leat__random_key.operation): one list, so that no two share a sequence. */
#ifndef LEAT__DRAWS_H
#define LEAT__DRAWS_H

enum {
    /* of a sample */
    LEAT__DRAW_CROP = 1,
    LEAT__DRAW_FLIP = 2,
    /* of the order */
    LEAT__DRAW_OBJECTS = 0x8001, /* permutation of an epoch's objects */
    LEAT__DRAW_WINDOW = 0x8002,  /* permutation of a window */
    /* of a sample, by the user's map function: its operation numbers are added to this */
    LEAT__DRAW_USER = 0x10000,
};

#endif
