/* Every test case must leave as many open file descriptors as it found. */
#ifndef NEEP_TESTS_SUPPORT_FD_CHECK_H
#define NEEP_TESTS_SUPPORT_FD_CHECK_H

/* cmocka set-up and tear-down: use as cmocka_unit_test_setup_teardown(fn, fd_check_setup, fd_check_teardown). */
int fd_check_setup(void **state);
int fd_check_teardown(void **state);

/* The number of open descriptors of this process. */
int fd_check_count(void);

/* A case with the leak check around it. */
#define fd_checked_test(fn) cmocka_unit_test_setup_teardown(fn, fd_check_setup, fd_check_teardown)

#endif
