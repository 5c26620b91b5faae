/* check_main.c - what all Check programs share: how they end, and how they note where they are. */
#include "check_main.h"

#include <stdlib.h>

#if defined __SANITIZE_THREAD__
const char *__tsan_default_suppressions(void);

/* libuv closes its descriptors by syscall(2), which TSan does not see: it takes the next one of the same number, on another loop's
 * thread, for the old one. */
const char *__tsan_default_suppressions(void)
{
    return "race:epoll_create1\nrace:eventfd\nrace:pipe2\n";
}
#endif

void __real__mark_point(const char *file, int line);
void __wrap__mark_point(const char *file, int line);

/* Linked in place of Check's own (-Wl,--wrap), which writes to a file for each assertion that holds: a loop over pixels did so three
 * million times. The line is for the report of a crash; it stays that of the loop, but not of the loop's last assertion. */
void __wrap__mark_point(const char *file, int line)
{
    enum { KEPT = 8 }; /* lines of a loop's body */
    static _Thread_local struct { const char *file; int line; } last[KEPT];
    static _Thread_local unsigned next;
    for (unsigned i = 0; i < KEPT; i++)
        if (last[i].line == line && last[i].file == file) return;
    last[next].file = file;
    last[next].line = line;
    next = (next + 1) % KEPT;
    __real__mark_point(file, line);
}

int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
