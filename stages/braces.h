/* braces.h - "{000000..000015}" and "{a,b}" become the texts they stand for. */
#ifndef LEAT__BRACES_H
#define LEAT__BRACES_H

#include <stdbool.h>
#include <stdint.h>

#include <leat/error.h>

/* Sets *count to the number of texts the pattern stands for (1 if it has no braces), UINT64_MAX if that or more.
 * LEAT_EINVAL if malformed: the message shows the place and what would be right. Thread: any. Blocks: no. */
leat_code leat__braces_count(const char *pattern, uint64_t *count, leat_error *error);

/* Expands braces only; calls each(user, text) for every result in order, until it returns false (which is LEAT_OK
 * here). No text is longer than the pattern; text is valid during the call. LEAT_EINVAL if malformed, before the first
 * call; LEAT_ENOMEM. Thread: any. */
leat_code leat__braces_expand(const char *pattern, bool (*each)(void *user, const char *text), void *user,
                              leat_error *error);

#endif
