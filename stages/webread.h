/* webread.h - an object's bytes off the network as chunks of an operation: what the fetch stages for URLs are made of. */
#ifndef LEAT__WEBREAD_H
#define LEAT__WEBREAD_H

#include "pipeline/stage.h"
#include "stages/flow.h"
#include "stages/http.h"

/* One a lane; loop thread only. */
typedef struct leat__webread {
    leat__lane *lane;
    leat__http *const *http;  /* may be set until the pipeline starts */
    uint64_t ordinal;         /* of the lane's object under way */
    leat__op *op;             /* that reads, NULL: none */
    leat__transfer *transfer;
    uint64_t offset;          /* in the object, of what comes next */
    leat__buffer *gathered;   /* small pieces, the first `filled` bytes of it; NULL: none */
    size_t filled;
} leat__webread;

/* Reads `range` of the object of op's task, which ends with it: chunks are emitted, and at the end the operation ends. What a
 * stage's begin returns then. ordinal: of the object in its lane. */
leat__step leat__webread_begin(leat__webread *web, leat__op *op, const leat__http_range *range, uint64_t ordinal);

/* For the stage's functions of these names, while leat__webread_begin's LATER lasts. */
void leat__webread_room(leat__webread *web);
void leat__webread_timer(leat__webread *web);
void leat__webread_cancel(leat__webread *web);

/* Frees what is in it. */
void leat__webread_clear(leat__webread *web);

#endif
