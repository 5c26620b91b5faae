/* patterns.h - which files are wanted: leat_fetch_pattern. */
#ifndef LEAT__PATTERNS_H
#define LEAT__PATTERNS_H

#include <leat/fetch.h>

/* True if a file of this relative name is wanted. Threads: any; pure, but for the locale's idea of a character. */
bool leat__patterns_want(const leat_fetch_pattern *patterns, size_t count, const char *name);

#endif
