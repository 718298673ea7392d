/* Several processes and threads on the node: runs under `neep run`, and as its own child. */
#include "support/cmocka.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/fd_check.h"
#include "virtgpu/render_node.h"

#define ROUNDS 50

/* Makes a blob, changes it through the device, looks at it. Returns whether all went well. Ids of blobs are the
 * context's: `base` keeps users of one context apart. */
static bool use_node(int fd, uint64_t base, int rounds) {
	bool is_right = true;
	for (int i = 0; is_right && i < rounds; i++) {
		struct neep_fake_stream stream = { .count = 0 };
		struct node_blob blob = { .size = NODE_PAGE };
		neep_fake_stream_blob(&stream, base + (uint64_t)i, blob.size, 1, 0x70);
		is_right = node_blob_create_from(
				   fd, &stream, base + (uint64_t)i, NEEP_DRM_BLOB_FLAG_MAPPABLE, &blob) == 0;
		uint32_t *memory = is_right ? node_map(fd, blob.handle, NODE_PAGE) : NULL;
		stream.count = 0;
		neep_fake_stream_op(
			&stream, NEEP_FAKE_OP_POKE, (const uint32_t[]){ blob.resource_id, 64, 0, 31 }, 4);
		struct node_submit submit = {
			.stream = &stream,
			.handles = &blob.handle,
			.handle_count = 1,
			.ring = -1,
			.fence_in = -1,
		};
		is_right = memory != NULL && memory[0] == 0x70707070 && node_submit(fd, &submit) == 0 &&
			   node_wait(fd, blob.handle, false) == 0 && memory[16] == 31 &&
			   node_close(fd, blob.handle) == 0;
		munmap(memory, NODE_PAGE);
	}
	return is_right;
}

static void assert_child_succeeds(pid_t child) {
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void forked_child_and_parent_use_one_file(void **state) {
	(void)state;
	int fd = node_open_context();
	assert_true(use_node(fd, 1000, 1));
	pid_t child = fork();
	if (child == 0) {
		_exit(use_node(fd, 2000, ROUNDS) ? 0 : 1);
	}
	assert_true(use_node(fd, 3000, ROUNDS));
	assert_child_succeeds(child);
	assert_true(use_node(fd, 4000, 1));
	close(fd);
}

static void file_lives_until_its_last_copy_is_closed(void **state) {
	(void)state;
	int fd = node_open_context();
	struct node_blob blob;
	assert_int_equal(node_blob_create(fd, NODE_PAGE, 1, &blob), 0);
	int copy = dup(fd);
	close(fd);
	void *memory = node_map(copy, blob.handle, NODE_PAGE);
	assert_non_null(memory);
	munmap(memory, NODE_PAGE);
	close(copy);
}

static void file_survives_exec(void **state) {
	(void)state;
	int fd = node_open_context();
	char number[16];
	snprintf(number, sizeof(number), "%d", fd);
	fcntl(fd, F_SETFD, 0);
	pid_t child = fork();
	if (child == 0) {
		execl("/proc/self/exe", "use", number, (char *)NULL);
		_exit(2);
	}
	assert_child_succeeds(child);
	close(fd);
}

static void file_that_was_passed_is_the_same_file(void **state) {
	(void)state;
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pid_t child = fork();
	if (child == 0) {
		int passed = node_receive_fd(pair[1]);
		struct neep_drm_resource_info info = { .bo_handle = 1 };
		bool is_right = NODE_IOCTL(passed, RESOURCE_INFO, &info) == 0 && info.size == 2 * NODE_PAGE &&
				use_node(passed, 100, ROUNDS);
		_exit(is_right ? 0 : 1);
	}
	int fd = node_open_context();
	struct node_blob blob;
	assert_int_equal(node_blob_create(fd, 2 * NODE_PAGE, 0, &blob), 0);
	assert_int_equal(blob.handle, 1);
	node_send_fd(pair[0], fd);
	close(fd);
	assert_child_succeeds(child);
	close(pair[0]);
	close(pair[1]);
}

static void dma_buf_is_passed_between_processes(void **state) {
	(void)state;
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pid_t child = fork();
	if (child == 0) {
		int fd = node_open_context();
		struct node_blob blob;
		bool is_right = node_blob_create(fd, NODE_PAGE, 0x66, &blob) == 0;
		int dma_buf = node_export(fd, blob.handle);
		node_send_fd(pair[1], dma_buf);
		_exit(is_right ? 0 : 1);
	}
	int dma_buf = node_receive_fd(pair[0]);
	/* Its maker is gone by now. */
	assert_child_succeeds(child);
	int fd = node_open_context();
	uint32_t handle;
	assert_int_equal(node_import(fd, dma_buf, &handle), 0);
	uint8_t *memory = node_map(fd, handle, NODE_PAGE);
	assert_non_null(memory);
	assert_int_equal(memory[9], 0x66);
	munmap(memory, NODE_PAGE);
	close(dma_buf);
	close(fd);
	close(pair[0]);
	close(pair[1]);
}

static void program_may_close_what_it_does_not_know(void **state) {
	(void)state;
	int fd = node_open_context();
	pid_t child = fork();
	if (child == 0) {
		bool is_right = use_node(fd, 1, 1);
		for (int other = 3; other < 1024; other++) {
			if (other != fd) {
				close(other);
			}
		}
		/* Others are at the same numbers now. */
		for (int i = 0; i < 300; i++) {
			open("/dev/null", O_RDWR);
		}
		_exit(is_right && use_node(fd, 2, 2) ? 0 : 1);
	}
	assert_child_succeeds(child);
	close(fd);
}

/* ---- threads ---- */

#define THREADS 4

struct worker {
	int fd;
	uint64_t base;
	bool is_right;
};

static void *work(void *data) {
	struct worker *worker = data;
	worker->is_right = use_node(worker->fd, worker->base, ROUNDS);
	return NULL;
}

static void threads_use_one_file(void **state) {
	(void)state;
	pthread_t threads[THREADS];
	struct worker workers[THREADS];
	int fd = node_open_context();
	for (size_t i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .fd = fd, .base = (i + 1) * 1000 };
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_true(workers[i].is_right);
	}
	close(fd);
}

/* What fork() copies of a process with threads is one thread, whatever the others were about. */
static void child_of_many_threads_uses_the_file(void **state) {
	(void)state;
	struct worker worker = { .fd = node_open_context(), .base = 1000 };
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, work, &worker), 0);
	for (uint64_t i = 0; i < 10; i++) {
		pid_t child = fork();
		if (child == 0) {
			_exit(use_node(worker.fd, 2000 + 10 * i, 2) ? 0 : 1);
		}
		assert_child_succeeds(child);
	}
	pthread_join(thread, NULL);
	assert_true(worker.is_right);
	close(worker.fd);
}

/* ---- signals ---- */

static int handler_fd;
static atomic_int handled;
static atomic_bool is_over;

static void on_alarm(int number) {
	(void)number;
	struct neep_drm_resource_info info = { .bo_handle = 1 };
	int saved = errno;
	handled += NODE_IOCTL(handler_fd, RESOURCE_INFO, &info) == 0 ? 1 : 1000000;
	/* Not at an interval: a slow machine would do nothing else. */
	struct itimerval next = { .it_value = { .tv_usec = 500 } };
	if (!is_over) {
		setitimer(ITIMER_REAL, &next, NULL);
	}
	errno = saved;
}

static void signal_handler_may_use_the_file(void **state) {
	(void)state;
	struct node_blob blob;
	handler_fd = node_open_context();
	assert_int_equal(node_blob_create(handler_fd, NODE_PAGE, 0, &blob), 0);
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	sigaction(SIGALRM, &action, NULL);
	raise(SIGALRM);
	bool is_right = use_node(handler_fd, 1000, 4 * ROUNDS);
	is_over = true;
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	assert_true(is_right);
	assert_in_range(handled, 2, 999999);
	close(handler_fd);
}

static int main_of_child(const char *number) {
	return use_node(atoi(number), 7000, 2) ? 0 : 1;
}

int main(int argc, char **argv) {
	if (argc == 2 && strcmp(argv[0], "use") == 0) {
		return main_of_child(argv[1]);
	}
	const struct CMUnitTest tests[] = {
		fd_checked_test(forked_child_and_parent_use_one_file),
		fd_checked_test(file_lives_until_its_last_copy_is_closed),
		fd_checked_test(file_survives_exec),
		fd_checked_test(file_that_was_passed_is_the_same_file),
		fd_checked_test(dma_buf_is_passed_between_processes),
		fd_checked_test(program_may_close_what_it_does_not_know),
		fd_checked_test(threads_use_one_file),
		fd_checked_test(child_of_many_threads_uses_the_file),
		fd_checked_test(signal_handler_may_use_the_file),
	};
	/* The connection to the node stays open: made before the fds are counted. */
	close(node_open());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
