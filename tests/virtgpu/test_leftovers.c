/* Programs that are killed leave nothing behind: not in the node, which runs in this process, and not in the device. The
 * programs are this one with the library preloaded. */
#include "support/cmocka.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asg/layout.h"
#include "daemon/process.h"
#include "driver/driver.h"
#include "support/await.h"
#include "support/fd_check.h"
#include "util/loop.h"
#include "virtgpu/machine.h"
#include "virtgpu/protocol.h"
#include "virtgpu/render_node.h"

#define KILLS     200
#define PROGRAMS  3
#define HELD_RING 3

/* ---- a program that does everything, for ever ---- */

static void exchange(int fd, int socket) {
	struct node_blob blob = { .handle = 0 };
	int dma_buf = node_blob_create(fd, NODE_PAGE, 1, &blob) == 0 ? node_export(fd, blob.handle) : -1;
	if (dma_buf < 0) {
		_exit(3);
	}
	node_send_fd(socket, dma_buf);
	close(dma_buf);
}

/* A file of the program's own is a buffer. */
static void import_file(int fd) {
	uint32_t handle;
	int file = memfd_create("file", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (ftruncate(file, 3 * NODE_PAGE) < 0 || fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK) < 0 ||
		node_import(fd, file, &handle) < 0) {
		_exit(4);
	}
	close(file);
}

static void hold_fences(int fd, uint32_t handle) {
	NODE_RUN(fd, NEEP_FAKE_OP_HOLD, NEEP_FAKE_THIS_CTX, HELD_RING, 1);
	struct node_submit submit = {
		.handles = &handle,
		.handle_count = handle != 0 ? 1 : 0,
		.ring = HELD_RING,
		.wants_fence = true,
		.fence_in = -1,
	};
	int fence = node_submit(fd, &submit);
	close(fence);
}

_Noreturn static void work_for_ever(void) {
	int pair[2];
	uint32_t handle;
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	for (;;) {
		struct node_blob blob = { .handle = 0 };
		int fd = node_open_polled(1 << HELD_RING);
		int other = node_open_context();
		node_blob_create(fd, 4 * NODE_PAGE, 3, &blob);
		void *memory = node_map(fd, blob.handle, NODE_PAGE);
		hold_fences(fd, blob.handle);
		import_file(other);
		exchange(fd, pair[0]);
		int dma_buf = node_receive_fd(pair[1]);
		node_import(other, dma_buf, &handle);
		close(dma_buf);
		if (memory != NULL) {
			munmap(memory, NODE_PAGE);
		}
		close(fd);
		close(other);
	}
}

/* Waits for an event that the device owes it. */
_Noreturn static void read_at_the_end(void) {
	int fd = node_open_polled(1 << HELD_RING);
	char event[8];
	hold_fences(fd, 0);
	_exit(read(fd, event, sizeof(event)) == 0 ? 0 : 1);
}

#define RING_LEN (NEEP_ASG_BUFFER_OFFSET + NEEP_ASG_BUFFER_SIZE)

/* Maps a ring as Mesa's gfxstream driver does: the submit says what the blob is. */
static uint8_t *map_ring(int fd) {
	uint32_t words[] = { 0x1001, 0 };
	struct neep_drm_execbuffer exec = {
		.flags = NEEP_DRM_EXEC_RING_IDX,
		.command = (uintptr_t)words,
		.size = sizeof(words),
	};
	struct node_blob blob = { .handle = 0 };
	if (node_blob_create(fd, RING_LEN, 0, &blob) < 0) {
		return NULL;
	}
	words[1] = blob.resource_id;
	if (NODE_IOCTL(fd, EXECBUFFER, &exec) < 0) {
		return NULL;
	}
	return node_map(fd, blob.handle, RING_LEN);
}

/* Waits for a reply as that driver does: with a wake-up of its consumer now and then, if it `pings`. Nobody ever sends
 * one. */
static bool hears_that_the_device_is_lost(bool pings) {
	int fd = node_open_context();
	struct neep_drm_execbuffer ping = { .flags = NEEP_DRM_EXEC_RING_IDX };
	uint8_t *ring = map_ring(fd);
	if (ring == NULL) {
		return false;
	}
	volatile uint32_t *replies = (uint32_t *)(void *)(ring + NEEP_ASG_FROM_HOST_LARGE);
	close(open("waits", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	while (replies[NEEP_ASG_WRITE_POS / 4] == replies[NEEP_ASG_READ_POS / 4]) {
		sched_yield();
		if (pings) {
			NODE_IOCTL(fd, EXECBUFFER, &ping);
		}
	}
	const int32_t *answer = (const int32_t *)(void *)(ring + NEEP_ASG_BUFFER_OFFSET);
	return answer[0] == -4 && answer[1000] == -4 &&
	       *(uint32_t *)(void *)(ring + NEEP_ASG_HOST_STATE) == NEEP_ASG_EXIT;
}

_Noreturn static void wait_at_a_ring(bool pings) {
	_exit(hears_that_the_device_is_lost(pings) ? 0 : 1);
}

/* Goes on where no signal of its family reaches it. */
_Noreturn static void leave_a_child(void) {
	if (fork() == 0) {
		setsid();
		if (hears_that_the_device_is_lost(false)) {
			close(open("lost", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
		}
		_exit(0);
	}
	for (;;) {
		pause();
	}
}

static pid_t start_program(const struct machine *machine, const char *what) {
	pid_t pid = fork();
	if (pid == 0) {
		setenv("LD_PRELOAD", getenv("NEEP_TEST_PRELOAD"), 1);
		setenv(NEEP_VIRTGPU_ENV_SOCKET, neep_virtgpu_node_name(machine->node), 1);
		setenv(NEEP_VIRTGPU_ENV_TREE, getenv("NEEP_TEST_TREE"), 1);
		execl("/proc/self/exe", what, (char *)NULL);
		_exit(127);
	}
	return pid;
}

static void turn(struct machine *machine) {
	assert_int_equal(neep_loop_step(machine->loop, 10), 0);
}

/* Every second one dies when at least one of them has a context, the others at any moment. */
static void killed_programs_leave_nothing(void **state) {
	struct machine *machine = *state;
	pid_t programs[PROGRAMS] = { 0 };
	srand(4711);
	int fds = fd_check_count();
	for (int i = 0; i < KILLS + PROGRAMS; i++) {
		pid_t *program = &programs[i % PROGRAMS];
		if (*program > 0) {
			await_turning(i % 2 == 0 || neep_virtgpu_node_counts(machine->node).contexts > 0,
				turn(machine));
			kill(*program, SIGKILL);
			waitpid(*program, NULL, 0);
		}
		*program = i < KILLS ? start_program(machine, "work") : 0;
		machine_run_for(machine, rand() % 12 * NEEP_NS_PER_MS);
	}
	machine_await_empty(machine);
	assert_int_equal(fd_check_count(), fds);
	assert_int_equal(neep_driver_window_maps(machine->driver), 0);
	assert_false(neep_driver_is_dead(machine->driver));
}

static int await_program(struct machine *machine, pid_t program) {
	int status = 0;
	await_turning(waitpid(program, &status, WNOHANG) != 0, turn(machine));
	return status;
}

static void death_of_the_device_ends_calls(void **state) {
	struct machine *machine = *state;
	pid_t program = start_program(machine, "work");
	await_turning(neep_virtgpu_node_counts(machine->node).contexts > 0, turn(machine));
	machine_run_for(machine, 50 * NEEP_NS_PER_MS);
	kill(machine->device, SIGKILL);
	await_turning(neep_driver_is_dead(machine->driver), turn(machine));
	/* It finds no device, fails a claim of its own and ends. */
	assert_true(await_program(machine, program) != 0);
}

/* A program that waits for an event. */
static pid_t start_reader(struct machine *machine) {
	pid_t program = start_program(machine, "read");
	await_turning(neep_virtgpu_node_counts(machine->node).fences != 0, turn(machine));
	return program;
}

static void death_of_the_device_ends_events(void **state) {
	struct machine *machine = *state;
	pid_t program = start_reader(machine);
	kill(machine->device, SIGKILL);
	assert_int_equal(await_program(machine, program), 0);
}

static void death_of_the_node_ends_events(void **state) {
	struct machine *machine = *state;
	pid_t program = start_reader(machine);
	neep_virtgpu_node_destroy(machine->node);
	machine->node = NULL;
	assert_int_equal(await_program(machine, program), 0);
}

static pid_t start_waiter(struct machine *machine, const char *what) {
	pid_t program = start_program(machine, what);
	await_turning(file_exists("waits"), turn(machine));
	machine_run_for(machine, 200 * NEEP_NS_PER_MS);
	assert_int_equal(waitpid(program, NULL, WNOHANG), 0);
	return program;
}

static void death_of_the_device_is_told_at_rings(void **state) {
	struct machine *machine = *state;
	pid_t program = start_waiter(machine, "ring");
	unlink("waits");
	pid_t pinging = start_waiter(machine, "ping");
	kill(machine->device, SIGKILL);
	assert_int_equal(await_program(machine, program), 0);
	assert_int_equal(await_program(machine, pinging), 0);
}

static void death_of_the_node_is_told_at_rings(void **state) {
	struct machine *machine = *state;
	pid_t program = start_waiter(machine, "ring");
	neep_virtgpu_node_destroy(machine->node);
	machine->node = NULL;
	assert_int_equal(await_program(machine, program), 0);
}

static void killed_neep_lets_nobody_wait(void **state) {
	(void)state;
	char self[256] = "", words[1024];
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	snprintf(words, sizeof(words), "run --driver none --device-program %s -- %s leave",
		getenv("NEEP_TEST_DEVICE"), self);
	pid_t neep = process_start(cli_program(), words);
	file_await("waits");
	kill(neep, SIGKILL);
	assert_int_equal(process_wait(neep), -1);
	file_await("lost");
}

static int setup_folder(void **state) {
	(void)state;
	folder_enter();
	return 0;
}

static int teardown_folder(void **state) {
	(void)state;
	folder_leave();
	return 0;
}

int main(int argc, char **argv) {
	if (argc == 2 && strcmp(argv[1], "leave") == 0) {
		leave_a_child();
	}
	if (strcmp(argv[0], "ring") == 0) {
		wait_at_a_ring(false);
	}
	if (strcmp(argv[0], "ping") == 0) {
		wait_at_a_ring(true);
	}
	if (strcmp(argv[0], "work") == 0) {
		work_for_ever();
	}
	if (strcmp(argv[0], "read") == 0) {
		read_at_the_end();
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(killed_programs_leave_nothing, machine_start, machine_stop),
		cmocka_unit_test_setup_teardown(death_of_the_device_ends_calls, machine_start, machine_bury),
		cmocka_unit_test_setup_teardown(death_of_the_device_ends_events, machine_start, machine_bury),
		cmocka_unit_test_setup_teardown(death_of_the_node_ends_events, machine_start, machine_stop),
		cmocka_unit_test_setup_teardown(
			death_of_the_device_is_told_at_rings, machine_start, machine_bury),
		cmocka_unit_test_setup_teardown(
			death_of_the_node_is_told_at_rings, machine_start, machine_stop),
		cmocka_unit_test_setup_teardown(killed_neep_lets_nobody_wait, setup_folder, teardown_folder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
