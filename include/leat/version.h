/* version.h - which leat this is, as compiled against and as linked. */
#ifndef LEAT_VERSION_H
#define LEAT_VERSION_H

#include <leat/export.h>

#define LEAT_VERSION_MAJOR 0
#define LEAT_VERSION_MINOR 1
#define LEAT_VERSION_PATCH 0
#define LEAT_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/* Returns the linked library's version and those of the libraries that touch foreign bytes, one line; static.
 * Thread: any. Blocks: no. */
LEAT_API const char *leat_version(void);

#ifdef __cplusplus
}
#endif
#endif
