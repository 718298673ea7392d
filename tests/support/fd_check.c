#include "support/fd_check.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

/* Not cmocka's, since tests set limits in threads, too. */
static void must(int result) {
	if (result < 0) {
		perror("fd limit");
		abort();
	}
}

struct rlimit fd_limit(rlim_t end) {
	struct rlimit before;
	must(getrlimit(RLIMIT_NOFILE, &before));
	must(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ .rlim_cur = end, .rlim_max = before.rlim_max }));
	return before;
}

struct rlimit fd_limit_all(void) {
	int first_free = dup(STDERR_FILENO);
	must(first_free);
	close(first_free);
	return fd_limit((rlim_t)first_free);
}

void fd_limit_restore(struct rlimit before) {
	must(setrlimit(RLIMIT_NOFILE, &before));
}
