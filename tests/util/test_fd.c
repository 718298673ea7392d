#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/fd.h"

static void close_leaves_none_and_keeps_errno(void **state) {
	(void)state;
	int fd = neep_eventfd_create();
	assert_true(fd >= 0);
	errno = ENOENT;
	neep_close_fd(&fd);
	assert_int_equal(fd, -1);
	neep_close_fd(&fd);
	assert_int_equal(errno, ENOENT);
}

static void memfd_has_the_size_and_cannot_shrink(void **state) {
	(void)state;
	neep_autoclose int fd = neep_memfd_create("test", 8192);
	assert_true(fd >= 0);
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 8192);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(neep_memfd_create("test", UINT64_MAX), -EFBIG);
}

static void fds_travel_with_the_first_byte(void **state) {
	(void)state;
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	int sent_fd = neep_eventfd_create();
	struct neep_send send = { .buf = "abc", .len = 3, .fds = &sent_fd, .fd_count = 1 };
	assert_int_equal(neep_send_all(pair[0], &send), 0);

	struct neep_fds fds = { 0 };
	char buf[8];
	assert_int_equal(neep_recv(pair[1], buf, sizeof(buf), &fds), 3);
	assert_memory_equal(buf, "abc", 3);
	assert_int_equal(fds.count, 1);
	assert_true(fcntl(fds.fd[0], F_GETFD) & FD_CLOEXEC);
	int taken = neep_fds_take(&fds, 0);
	assert_true(taken >= 0);
	assert_int_equal(neep_fds_take(&fds, 0), -1);
	assert_int_equal(neep_fds_take(&fds, 1), -1);
	neep_fds_finish(&fds);
	neep_close_fd(&taken);
	neep_close_fd(&sent_fd);
	neep_close_fd(&pair[0]);
	neep_close_fd(&pair[1]);
}

static void fds_finish_closes_what_nobody_took(void **state) {
	(void)state;
	struct neep_fds fds = { .count = 2, .fd = { neep_eventfd_create(), neep_eventfd_create() } };
	neep_fds_finish(&fds);
	assert_int_equal(fds.count, 0);
}

static void send_to_a_closed_peer_is_an_error_not_a_signal(void **state) {
	(void)state;
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	neep_close_fd(&pair[1]);
	struct neep_send send = { .buf = "abc", .len = 3 };
	assert_int_equal(neep_send_all(pair[0], &send), -EPIPE);
	neep_close_fd(&pair[0]);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(close_leaves_none_and_keeps_errno),
		fd_checked_test(memfd_has_the_size_and_cannot_shrink),
		fd_checked_test(fds_travel_with_the_first_byte),
		fd_checked_test(fds_finish_closes_what_nobody_took),
		fd_checked_test(send_to_a_closed_peer_is_an_error_not_a_signal),
	};
	return cmocka_run_group_tests_name("fd", tests, NULL, NULL);
}
