/* web.h - the fetch stage for URLs: tasks in, chunks out, on the loop. */
#ifndef LEAT__WEB_H
#define LEAT__WEB_H

#include "pipeline/stage.h"
#include "stages/flow.h"
#include "stages/http.h"

/* State of one lane's stage. Both borrowed, as long as the stage lives; *http may be set until the pipeline starts. NULL if
 * memory is short. Concurrency 1. */
void *leat__web_state_new(leat__lane *lane, leat__http *const *http);

extern const leat__stage_type leat__web_type;

#endif
