#include "util/acceptor.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/macros.h"

struct fixture {
	struct neep_loop *loop;
	struct neep_acceptor acceptor;
	struct sockaddr_un address;
	socklen_t address_len;
	int listening_fd;
	int accepted_fd; // -1: none
	bool stops;
};

static void accepted(struct neep_acceptor *acceptor, int owned_fd) {
	struct fixture *f = neep_container_of(acceptor, struct fixture, acceptor);
	assert_int_equal(f->accepted_fd, -1);
	f->accepted_fd = owned_fd;
	if (f->stops) {
		neep_acceptor_stop(acceptor);
		close(f->listening_fd);
	}
}

static void start(struct fixture *f) {
	*f = (struct fixture){
		.loop = neep_loop_create(),
		.acceptor.accepted = accepted,
		.listening_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
		.address.sun_family = AF_UNIX,
		.address_len = sizeof(f->address),
		.accepted_fd = -1,
	};
	assert_non_null(f->loop);
	/* A name of the kernel's choice. */
	assert_int_equal(bind(f->listening_fd, (struct sockaddr *)&f->address, sizeof(sa_family_t)), 0);
	assert_int_equal(getsockname(f->listening_fd, (struct sockaddr *)&f->address, &f->address_len), 0);
	assert_int_equal(listen(f->listening_fd, 4), 0);
	assert_int_equal(neep_acceptor_start(f->loop, &f->acceptor, f->listening_fd), 0);
}

static int knock(struct fixture *f) {
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&f->address, f->address_len), 0);
	return fd;
}

static void finish(struct fixture *f) {
	if (!f->stops) {
		neep_acceptor_stop(&f->acceptor);
		close(f->listening_fd);
	}
	neep_acceptor_stop(&f->acceptor);
	neep_loop_destroy(f->loop);
}

static void connections_are_told(void **state) {
	(void)state;
	struct fixture f;
	start(&f);
	for (int i = 0; i < 3; i++) {
		int fd = knock(&f);
		assert_int_equal(neep_loop_step(f.loop, 0), 0);
		assert_true(f.accepted_fd >= 0);
		assert_true((fcntl(f.accepted_fd, F_GETFL) & O_NONBLOCK) != 0);
		assert_true((fcntl(f.accepted_fd, F_GETFD) & FD_CLOEXEC) != 0);
		close(f.accepted_fd);
		f.accepted_fd = -1;
		close(fd);
	}
	finish(&f);
}

static void owner_may_stop_it_when_one_comes(void **state) {
	(void)state;
	struct fixture f;
	start(&f);
	f.stops = true;
	int first = knock(&f), second = knock(&f);
	assert_int_equal(neep_loop_step(f.loop, 0), 0);
	assert_int_equal(neep_loop_step(f.loop, 0), 0);
	close(f.accepted_fd);
	close(first);
	close(second);
	finish(&f);
}

/* Without an fd for them they wait, and the loop sleeps. */
static void who_waits_gets_in_once_there_is_an_fd(void **state) {
	(void)state;
	struct fixture f;
	start(&f);
	int fd = knock(&f);
	struct rlimit limit = fd_limit_all();
	int result = neep_loop_step(f.loop, 0);
	bool is_watched = f.acceptor.source.loop != NULL;
	/* Sleeps, asks again, and puts it off again. */
	for (int i = 0; i < 3; i++) {
		result |= neep_loop_step(f.loop, -1);
	}
	is_watched |= f.acceptor.source.loop != NULL;
	fd_limit_restore(limit);
	assert_int_equal(result, 0);
	assert_false(is_watched);
	assert_int_equal(f.accepted_fd, -1);
	while (f.accepted_fd < 0) {
		assert_int_equal(neep_loop_step(f.loop, -1), 0);
	}
	close(f.accepted_fd);
	close(fd);
	finish(&f);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(connections_are_told),
		fd_checked_test(owner_may_stop_it_when_one_comes),
		fd_checked_test(who_waits_gets_in_once_there_is_an_fd),
	};
	return cmocka_run_group_tests_name("acceptor", tests, NULL, NULL);
}
