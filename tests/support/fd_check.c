#include "support/fd_check.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static int fds_before;

int fd_check_count(void) {
	DIR *dir = opendir("/proc/self/fd");
	if (dir == NULL) {
		return -1;
	}
	int count = 0;
	while (readdir(dir) != NULL) {
		count++;
	}
	closedir(dir);
	return count;
}

int fd_check_setup(void **state) {
	(void)state;
	fds_before = fd_check_count();
	return 0;
}

int fd_check_teardown(void **state) {
	(void)state;
	int after = fd_check_count();
	if (after != fds_before) {
		fprintf(stderr, "open fds before %d, after %d\n", fds_before, after);
		return -1;
	}
	return 0;
}
