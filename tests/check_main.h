/* check_main.h - how a Check program ends. */
#ifndef CHECK_MAIN_H
#define CHECK_MAIN_H

#include <check.h>

int run_suite(Suite *suite); /* takes; what main returns */

#endif
