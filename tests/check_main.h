/* check_main.h - what all Check programs share. */
#ifndef CHECK_MAIN_H
#define CHECK_MAIN_H

#include <check.h>

int run_suite(Suite *suite); /* takes; what main returns */

#endif
