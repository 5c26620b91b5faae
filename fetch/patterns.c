/* patterns.c - which files are wanted.
 *
 * What:    the last pattern that matches decides, so that "all but these, yet that one" can be said in the order of the words.
 * Why so:  fnmatch(3) without FNM_PATHNAME and FNM_PERIOD: '*' matches '/' and a leading dot too. glibc's goes back to the last '*'
 *          only, so that no name makes it slow.
 * Threads: any; nothing is shared. */
#include "fetch/patterns.h"

#include <assert.h>
#include <fnmatch.h>

bool leat__patterns_want(const leat_fetch_pattern *patterns, size_t count, const char *name)
{
    assert(count == 0 || patterns);
    for (size_t i = count; i-- > 0;)
        if (fnmatch(patterns[i].glob, name, 0) == 0) return !patterns[i].exclude;
    return count == 0 || patterns[0].exclude;
}
