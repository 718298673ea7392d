/* Every test case must leave as many open file descriptors as it found; and what happens when there are no more. */
#ifndef NEEP_TESTS_SUPPORT_FD_CHECK_H
#define NEEP_TESTS_SUPPORT_FD_CHECK_H

#include <sys/resource.h>

/* cmocka set-up and tear-down: use as cmocka_unit_test_setup_teardown(fn, fd_check_setup, fd_check_teardown). */
int fd_check_setup(void **state);
int fd_check_teardown(void **state);

/* The number of open descriptors of this process. */
int fd_check_count(void);

/* Leaves this process no fd from `end` on. Returns the limit there was, for fd_limit_restore(). */
struct rlimit fd_limit(rlim_t end);
/* Leaves it none at all that it has not yet. */
struct rlimit fd_limit_all(void);
void fd_limit_restore(struct rlimit before);

/* A case with the leak check around it. */
#define fd_checked_test(fn) cmocka_unit_test_setup_teardown(fn, fd_check_setup, fd_check_teardown)

#endif
