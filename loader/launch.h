/* launch.h - which of how many ranks this process is. */
#ifndef LEAT__LAUNCH_H
#define LEAT__LAUNCH_H

#include <leat/config.h>
#include <leat/error.h>

#define LEAT__MOST_RANKS 1000000

/* Looks up a variable of the environment: its value, or NULL. */
typedef const char *(*leat__launch_get)(const char *name);

/* Replaces config->world and config->rank by those that are to be used, as include/leat/config.h says, and writes to launcher
 * whence they come: "config", the launcher's name, or "" (alone). get: NULL for the process's own environment.
 * LEAT_EINVAL names the variable or field, its value and what would be right; *config is then as it was. Thread: any. */
leat_code leat__launch(leat_config *config, leat__launch_get get, char launcher[24], leat_error *error);

#endif
