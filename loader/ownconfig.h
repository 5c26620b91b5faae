/* ownconfig.h - a config whose pointers are the loader's own. */
#ifndef LEAT__OWNCONFIG_H
#define LEAT__OWNCONFIG_H

#include <leat/config.h>

/* Replaces everything that the config points to (but the user's map) by copies. False if memory is short. End it with
 * leat__config_free_pointers, also then. */
bool leat__config_own(leat_config *config);
void leat__config_free_pointers(leat_config *config);

#endif
