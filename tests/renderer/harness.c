#include "renderer/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/process_table.h"
#include "util/macros.h"

static void forbid_namespaces(void) {
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	if (filter == NULL ||
		seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER)) < 0 ||
		seccomp_load(filter) < 0) {
		_exit(126);
	}
}

static void run(int socket, const char *argument) {
	if (dup2(socket, NEEP_WORKER_SPAWNER_FD) == NEEP_WORKER_SPAWNER_FD) {
		execl(getenv("NEEP_TEST_RENDERER"), "neep-renderer", argument, NULL);
	}
	_exit(127);
}

static void start(struct harness *harness, const char *argument, bool has_namespaces) {
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	/* Not the number that it is moved to: it would stay close-on-exec. */
	int theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, 10);
	neep_close_fd(&pair[1]);
	*harness = (struct harness){ .socket = pair[0], .pid = fork(), .next_token = 100 };
	assert_true(harness->pid >= 0);
	if (harness->pid == 0) {
		if (!has_namespaces) {
			forbid_namespaces();
		}
		run(theirs, argument);
	}
	neep_close_fd(&theirs);
}

void harness_start(struct harness *harness, const char *argument) {
	start(harness, argument, true);
}

void harness_start_without_namespaces(struct harness *harness) {
	start(harness, NULL, false);
}

void harness_finish(struct harness *harness) {
	int status;
	neep_close_fd(&harness->socket);
	assert_int_equal(waitpid(harness->pid, &status, 0), harness->pid);
	assert_int_equal(status, 0);
}

void harness_send(int socket, const void *message, size_t size, const int *fds, size_t fd_count) {
	struct neep_send send = { .buf = message, .len = size, .fds = fds, .fd_count = fd_count };
	assert_int_equal(neep_send_all(socket, &send), 0);
}

static bool wait_readable(int fd, int timeout_ms) {
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	return poll(&pollfd, 1, timeout_ms) == 1;
}

size_t harness_receive(int socket, void *message, size_t size, struct neep_fds *fds) {
	assert_true(wait_readable(socket, HARNESS_WAIT_MS));
	int64_t got = neep_recv(socket, message, size, fds);
	assert_true(got >= 0 || got == -ECONNRESET);
	return got > 0 ? (size_t)got : 0;
}

bool harness_is_silent(int socket) {
	return !wait_readable(socket, 100);
}

static void spawn_renderer(struct harness *harness, struct harness_context *context, bool is_lost) {
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	*context = (struct harness_context){
		.harness = harness,
		.token = harness->next_token++,
		.socket = pair[0],
	};
	struct neep_worker_spawn spawn = {
		.header = { .type = NEEP_WORKER_SPAWN, .size = sizeof(spawn) },
		.token = context->token,
		.ctx_id = 7,
		.is_lost = is_lost,
		.name = "test",
	};
	harness_send(harness->socket, &spawn, sizeof(spawn), &pair[1], 1);
	neep_close_fd(&pair[1]);
}

void harness_context_start(struct harness *harness, struct harness_context *context) {
	spawn_renderer(harness, context, false);
}

void harness_successor_start(struct harness *harness, struct harness_context *context) {
	spawn_renderer(harness, context, true);
}

void harness_context_close(struct harness_context *context) {
	neep_close_fd(&context->socket);
}

struct neep_worker_exited harness_context_wait(struct harness_context *context) {
	struct neep_worker_exited exited;
	struct neep_fds fds = { 0 };
	assert_int_equal(
		harness_receive(context->harness->socket, &exited, sizeof(exited), &fds), sizeof(exited));
	assert_int_equal(exited.header.type, NEEP_WORKER_EXITED);
	assert_int_equal(exited.token, context->token);
	assert_int_equal(fds.count, 0);
	return exited;
}

void harness_ring_give(struct harness_context *context, uint32_t resource_id, const struct asg_guest *guest) {
	struct neep_worker_ring_add add = {
		.header = { .type = NEEP_WORKER_RING_ADD, .size = sizeof(add) },
		.resource_id = resource_id,
		.size = ASG_GUEST_SIZE,
	};
	harness_send(context->socket, &add, sizeof(add), &guest->memory_fd, 1);
}

struct asg_guest *harness_ring_add(struct harness_context *context, uint32_t resource_id) {
	struct asg_guest *guest = asg_guest_create();
	harness_ring_give(context, resource_id, guest);
	asg_guest_init(guest);
	return guest;
}

void harness_ring_remove(struct harness_context *context, uint32_t resource_id) {
	struct neep_worker_resource_id remove = {
		.header = { .type = NEEP_WORKER_RING_REMOVE, .size = sizeof(remove) },
		.resource_id = resource_id,
	};
	harness_send(context->socket, &remove, sizeof(remove), NULL, 0);
}

void harness_sync(struct harness_context *context, uint64_t sync_id, uint64_t fence) {
	struct neep_worker_sync sync = {
		.header = { .type = NEEP_WORKER_SYNC, .size = sizeof(sync) },
		.sync_id = sync_id,
		.device = ECHO_DEVICE,
		.fence = fence,
	};
	harness_send(context->socket, &sync, sizeof(sync), NULL, 0);
}

void harness_tell(struct asg_guest *guest, enum echo_op op, uint32_t argument) {
	struct echo_request request = { .op = op, .argument = argument };
	assert_true(asg_guest_send(guest, &request, sizeof(request)));
}

bool harness_request(struct asg_guest *guest, enum echo_op op, uint32_t argument, uint32_t *reply) {
	struct echo_request request = { .op = op, .argument = argument };
	if (!asg_guest_send(guest, &request, sizeof(request))) {
		return false;
	}
	asg_guest_receive(guest, reply, sizeof(*reply));
	return true;
}

uint32_t harness_ask(struct asg_guest *guest, enum echo_op op, uint32_t argument) {
	uint32_t reply;
	assert_true(harness_request(guest, op, argument, &reply));
	return reply;
}

pid_t harness_child_of(pid_t parent) {
	pid_t child;
	return process_children(parent, &child, 1) == 1 ? child : -1;
}

uint64_t harness_cpu_ticks(pid_t pid) {
	return process_stat(pid, 14) + process_stat(pid, 15);
}

uint64_t harness_resident_kib(pid_t pid) {
	return process_stat(pid, 24) * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}
