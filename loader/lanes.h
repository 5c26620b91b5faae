/* lanes.h - the stages of a stream's lanes, and their merge. Only for stream.c. */
#ifndef LEAT__LANES_H
#define LEAT__LANES_H

#include "loader/stream.h"

/* Makes all of them; the merge is stream->last then. */
leat_code leat__lanes_build(leat__stream *stream, leat_error *error);

#endif
