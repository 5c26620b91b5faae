/* check_main.c - how a Check program ends. */
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

int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
