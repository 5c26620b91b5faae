/* check_main.h - what all Check programs share. */
#ifndef CHECK_MAIN_H
#define CHECK_MAIN_H

#include <check.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

int run_suite(Suite *suite); /* takes; what main returns */

#endif
