/* opening.h - the ways to open a loader or reader that only leat itself uses: in a test's world, or without delivering. */
#ifndef LEAT__OPENING_H
#define LEAT__OPENING_H

#include <leat/loader.h>
#include <leat/reader.h>

#include "pipeline/env.h"
#include "stages/decode.h"

/* leat_open in a world of its own. env: NULL for the real one; borrows, until leat_close. */
leat_code leat__open_in(const leat_config *config, const leat__env *env, leat_loader **loader, leat_error *error);

/* The decoder's options that a config with all choices made means. schema: borrows, as long as the options are used. */
leat__decode_options leat__decode_options_of(const leat_config *chosen, const leat__schema *schema);

/* Which of several sources a reader's sample is from. */
uint32_t leat__reader_source(const leat_sample *sample);

#endif
