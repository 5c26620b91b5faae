/* state.h - a loader's position as a line of JSON, and the settings and data that it is a position in. */
#ifndef LEAT__STATE_H
#define LEAT__STATE_H

#include "loader/origins.h"
#include "loader/plan.h"

/* All that has to be the same where a state is resumed. Texts, so that a difference can be shown. */
typedef struct leat__state_settings {
    uint64_t seed, batch_size, limit, epoch_samples, lanes, shuffle_window;
    leat_order order;
    leat_remainder remainder;
    uint64_t objects;       /* shards or files, of all sources */
    uint64_t names;         /* digest of their names */
    uint64_t sizes;         /* and of their sizes where nothing else is known of them; 0: not known, and not compared */
    uint64_t index;         /* digest of counts and sizes; 0: not counted */
    uint64_t fields, image, mix; /* digests of settings */
    uint64_t window_bytes;  /* where windows are cut; 0 with an index: they are not */
} leat__state_settings;

/* config: as it runs. origins: with their lanes. window_bytes: of the plan. */
void leat__state_describe(leat__state_settings *settings, const leat_config *config, const leat__origins *origins,
                          uint64_t window_bytes);

/* Writes the state to text[capacity]. LEAT_EINVAL if it does not fit. */
leat_code leat__state_write(const leat__state_settings *settings, uint64_t epoch, uint64_t step, uint32_t world,
                            uint64_t windows_cut,
                            char *text, size_t capacity, leat_error *error);

/* True if a state was saved where samples were counted. Looks at nothing else. */
bool leat__state_is_counted(const char *text);

/* Reads a state and compares it with the present settings. LEAT_EINVAL: it is of other data or settings (the message names them),
 * of a newer version, damaged, or none at all. */
leat_code leat__state_read(const char *text, const leat__state_settings *settings, uint64_t *epoch, uint64_t *step,
                           leat_error *error);

#endif
