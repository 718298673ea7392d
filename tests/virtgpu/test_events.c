/* Events of polled rings, as a program reads them: runs under `neep run` with a device that has the fake 3D component. */
#include "support/cmocka.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/await.h"
#include "support/fd_check.h"
#include "virtgpu/render_node.h"

#define POLLED   2
#define UNPOLLED 3
/* 4096 bytes of Linux, 8 bytes each. */
#define EVENTS_MAX  512
#define PATIENCE_MS ((int)AWAIT_MS)
#define PAUSE_MS    30

static int open_polled(void) {
	return node_open_polled(1 << POLLED);
}

static int submit_on(int fd, int ring) {
	struct node_submit submit = { .ring = ring, .fence_in = -1 };
	return node_submit(fd, &submit);
}

static bool is_readable(int fd, int timeout_ms) {
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	return poll(&poller, 1, timeout_ms) == 1;
}

static void assert_reads_event(int fd) {
	struct drm_event event;
	assert_int_equal(read(fd, &event, sizeof(event)), sizeof(event));
	assert_int_equal(event.type, 0x90000000);
	assert_int_equal(event.length, 8);
}

/* Fences of the polled ring wait for allow(). */
static int open_held(void) {
	int fd = open_polled();
	assert_int_equal(NODE_RUN(fd, NEEP_FAKE_OP_HOLD, NEEP_FAKE_THIS_CTX, POLLED, 1), 0);
	return fd;
}

static int allow(int fd, uint32_t count) {
	return NODE_RUN(fd, NEEP_FAKE_OP_COMPLETE, NEEP_FAKE_THIS_CTX, POLLED, count);
}

/* ---- when there is one ---- */

static void event_comes_when_the_fence_signals(void **state) {
	(void)state;
	int fd = open_held();
	assert_int_equal(submit_on(fd, POLLED), 0);
	assert_false(is_readable(fd, PAUSE_MS));
	assert_int_equal(allow(fd, 1), 0);
	assert_true(is_readable(fd, PATIENCE_MS));
	assert_reads_event(fd);
	assert_false(is_readable(fd, PAUSE_MS));
	close(fd);
}

static void each_submit_has_its_event(void **state) {
	(void)state;
	int fd = open_held();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(submit_on(fd, POLLED), 0);
	}
	assert_int_equal(allow(fd, 2), 0);
	assert_reads_event(fd);
	assert_reads_event(fd);
	assert_false(is_readable(fd, PAUSE_MS));
	assert_int_equal(allow(fd, 1), 0);
	assert_reads_event(fd);
	close(fd);
}

static void event_comes_beside_the_fence_that_was_asked_for(void **state) {
	(void)state;
	int fd = open_held();
	struct node_submit submit = { .ring = POLLED, .wants_fence = true, .fence_in = -1 };
	int fence = node_submit(fd, &submit);
	assert_true(fence >= 0);
	assert_int_equal(allow(fd, 1), 0);
	assert_true(node_fence_is_done(fence, PATIENCE_MS));
	assert_reads_event(fd);
	close(fence);
	close(fd);
}

static void rings_that_are_not_polled_have_none(void **state) {
	(void)state;
	int fd = open_polled();
	struct node_submit submit = { .ring = UNPOLLED, .wants_fence = true, .fence_in = -1 };
	int fence = node_submit(fd, &submit);
	assert_true(node_fence_is_done(fence, PATIENCE_MS));
	close(fence);
	submit.ring = -1;
	fence = node_submit(fd, &submit);
	assert_true(node_fence_is_done(fence, PATIENCE_MS));
	close(fence);
	assert_false(is_readable(fd, PAUSE_MS));
	close(fd);
}

static void submit_that_is_refused_has_no_event(void **state) {
	(void)state;
	int fd = open_polled();
	uint32_t handle = 77;
	struct node_submit submit = { .handles = &handle, .handle_count = 1, .ring = POLLED, .fence_in = -1 };
	assert_int_equal(node_submit(fd, &submit), -ENOENT);
	assert_false(is_readable(fd, PAUSE_MS));
	close(fd);
}

static void events_of_two_files_are_apart(void **state) {
	(void)state;
	int fd = open_held();
	int other = open_held();
	assert_int_equal(submit_on(fd, POLLED), 0);
	assert_int_equal(submit_on(other, POLLED), 0);
	assert_int_equal(allow(other, 1), 0);
	assert_reads_event(other);
	assert_false(is_readable(fd, PAUSE_MS));
	close(other);
	assert_int_equal(allow(fd, 1), 0);
	assert_reads_event(fd);
	close(fd);
}

static void file_may_end_before_its_fence(void **state) {
	(void)state;
	int fd = open_held();
	assert_int_equal(submit_on(fd, POLLED), 0);
	close(fd);
	fd = open_polled();
	assert_int_equal(submit_on(fd, POLLED), 0);
	assert_reads_event(fd);
	close(fd);
}

/* ---- reading ---- */

static void read_without_room_leaves_the_event(void **state) {
	(void)state;
	int fd = open_polled();
	char small[7];
	assert_int_equal(submit_on(fd, POLLED), 0);
	/* It waits, as for an event that it has room for. */
	assert_int_equal(read(fd, small, sizeof(small)), 0);
	assert_int_equal(read(fd, small, 0), 0);
	assert_reads_event(fd);
	close(fd);
}

static void read_with_much_room_gives_whole_events(void **state) {
	(void)state;
	int fd = open_polled();
	char large[1024];
	assert_int_equal(submit_on(fd, POLLED), 0);
	assert_int_equal(submit_on(fd, POLLED), 0);
	size_t got = 0;
	while (got < 16) {
		ssize_t len = read(fd, large, sizeof(large) - 3);
		assert_true(len > 0 && len % 8 == 0);
		got += (size_t)len;
	}
	assert_int_equal(got, 16);
	close(fd);
}

static void read_that_may_not_wait_does_not(void **state) {
	(void)state;
	int fd = open_held();
	char buf[8];
	fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
	assert_int_equal(read(fd, buf, sizeof(buf)), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(read(fd, buf, 4), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(submit_on(fd, POLLED), 0);
	assert_int_equal(allow(fd, 1), 0);
	assert_true(is_readable(fd, PATIENCE_MS));
	assert_reads_event(fd);
	close(fd);
}

static void file_may_be_opened_not_to_wait(void **state) {
	(void)state;
	char buf[8];
	int fd = open(NODE_PATH, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	alarm(PATIENCE_MS / 1000);
	assert_int_equal(read(fd, buf, sizeof(buf)), -1);
	assert_int_equal(errno, EAGAIN);
	alarm(0);
	close(fd);
}

static void epoll_tells_of_events(void **state) {
	(void)state;
	int fd = open_held();
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
	assert_int_equal(epoll_wait(epoll, &event, 1, PAUSE_MS), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(submit_on(fd, POLLED), 0);
		assert_int_equal(allow(fd, 1), 0);
		assert_int_equal(epoll_wait(epoll, &event, 1, PATIENCE_MS), 1);
		assert_reads_event(fd);
	}
	close(epoll);
	close(fd);
}

static void child_and_copies_read_events(void **state) {
	(void)state;
	int pair[2];
	int fd = open_polled();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	int copy = dup(fd);
	assert_int_equal(submit_on(copy, POLLED), 0);
	assert_reads_event(fd);
	pid_t child = fork();
	if (child == 0) {
		char buf[8];
		int passed = node_receive_fd(pair[1]);
		_exit(read(passed, buf, 8) == 8 && submit_on(copy, POLLED) == 0 ? 0 : 1);
	}
	node_send_fd(pair[0], fd);
	assert_int_equal(submit_on(fd, POLLED), 0);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_reads_event(fd);
	close(pair[0]);
	close(pair[1]);
	close(copy);
	close(fd);
}

/* ---- how many there are ---- */

static void submit_without_space_for_its_event_is_refused(void **state) {
	(void)state;
	int fd = open_held();
	int other = open_polled();
	for (int i = 0; i < EVENTS_MAX; i++) {
		assert_int_equal(submit_on(fd, POLLED), 0);
	}
	assert_int_equal(submit_on(fd, POLLED), -ENOMEM);
	/* What needs no event goes on, and so do others. */
	assert_int_equal(submit_on(fd, UNPOLLED), 0);
	assert_int_equal(submit_on(other, POLLED), 0);
	assert_int_equal(allow(fd, NEEP_FAKE_ALL), 0);
	assert_reads_event(fd);
	assert_int_equal(submit_on(fd, POLLED), 0);
	assert_int_equal(submit_on(fd, POLLED), -ENOMEM);
	assert_int_equal(allow(fd, 1), 0);
	for (int i = 0; i < EVENTS_MAX; i++) {
		assert_reads_event(fd);
	}
	assert_false(is_readable(fd, PAUSE_MS));
	assert_reads_event(other);
	close(other);
	close(fd);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(event_comes_when_the_fence_signals),
		fd_checked_test(each_submit_has_its_event),
		fd_checked_test(event_comes_beside_the_fence_that_was_asked_for),
		fd_checked_test(rings_that_are_not_polled_have_none),
		fd_checked_test(submit_that_is_refused_has_no_event),
		fd_checked_test(events_of_two_files_are_apart),
		fd_checked_test(file_may_end_before_its_fence),
		fd_checked_test(read_without_room_leaves_the_event),
		fd_checked_test(read_with_much_room_gives_whole_events),
		fd_checked_test(read_that_may_not_wait_does_not),
		fd_checked_test(file_may_be_opened_not_to_wait),
		fd_checked_test(epoll_tells_of_events),
		fd_checked_test(child_and_copies_read_events),
		fd_checked_test(submit_without_space_for_its_event_is_refused),
	};
	/* The connection to the node stays open: made before the fds are counted. */
	close(node_open());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
